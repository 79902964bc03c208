/*
 * POST /batches.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

static enum err_code read_fields(struct program_request *p, json_t *body, struct err *err)
{
    struct json_in in;
    json_in_open(&in, body, err);
    program_request_read(p, &in);
    return json_in_end(&in);
}

static enum err_code hand_over(struct livy *l, const struct program_request *p, const char *owner,
                               const struct store_key *key, apps_submit_cb *done, void *arg, struct err *err)
{
    struct app_request request = {
        .kind = APP_BATCH,
        .owner = owner,
        .proxy_user = p->submission.proxy_user,
        .name = p->submission.name,
        .submission = &p->submission,
        .key = key,
    };
    return apps_submit(l->apps, &request, done, arg, err);
}

void batches_create(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    struct err err = {0};
    cleanup(program_request_clear) struct program_request p = {.kind = APP_BATCH};
    cleanup(json_decrefp) json_t *body = livy_read_body(l, r);
    if (body == NULL)
        return;
    if (read_fields(&p, body, &err) == ERR_OK)
        creation_run(l, r, &p, hand_over);
    else
        livy_reply_unreadable(r, &err);
}
