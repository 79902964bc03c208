/*
 * POST /batches: the fields that only batches have, and the way to the core.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

static enum err_code read_fields(struct creation *c, json_t *body, struct err *err)
{
    struct json_in in;
    json_in_open(&in, body, err);
    json_in_str(&in, "file", &c->submission.file);
    json_in_str(&in, "className", &c->submission.class_name);
    json_in_list(&in, "args", &c->submission.args);
    creation_read(c, &in);
    return json_in_end(&in);
}

static enum err_code hand_over(struct livy *l, const struct creation *c, const char *owner,
                               const struct store_key *key, apps_submit_cb *done, void *arg, struct err *err)
{
    struct app_request request = {
        .kind = APP_BATCH,
        .owner = owner,
        .proxy_user = c->submission.proxy_user,
        .submission = &c->submission,
        .key = key,
    };
    return apps_submit(l->apps, &request, done, arg, err);
}

void batches_create(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    struct err err = {0};
    cleanup(creation_clear) struct creation c = {.kind = APP_BATCH};
    cleanup(json_decrefp) json_t *body = livy_read_body(l, r);
    if (body == NULL)
        return;
    if (read_fields(&c, body, &err) == ERR_OK)
        creation_run(l, r, &c, hand_over);
    else
        livy_reply_unreadable(r, &err);
}
