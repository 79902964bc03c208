/*
 * /batches: list, get, state, delete. The table of routes is at the foot.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

static void batches_list(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    int64_t from = 0;
    int64_t size = 100;
    const char *user = NULL;
    if (!livy_query_int(r, "from", &from) || !livy_query_int(r, "size", &size) ||
        !access_effective_user(l->access, r, &user))
        return;
    views_reply_list(l, r, from, size, user);
}

static void batch_get(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    const char *user = NULL;
    struct app *app = livy_find(l, r);
    if (app == NULL || !access_effective_user(l->access, r, &user))
        return;
    views_reply_batch(l, r, app, access_may_view(l->access, user, app_info(app)) ? VIEW_LOG : VIEW_PUBLIC);
}

static void batch_state(struct http_request *r, void *arg)
{
    const struct app *app = livy_find(arg, r);
    if (app == NULL)
        return;
    struct buf body = BUF(256);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_int(&out, "id", app_info(app)->id);
    json_out_str(&out, "state", view_state(app_info(app)));
    json_out_end_object(&out);
    livy_reply_json(r, 200, &body);
}

static void on_deleted(const struct err *err, void *arg)
{
    if (err->code == ERR_OK)
        livy_reply_msg(arg, 200, "deleted");
    else
        livy_reply_error(arg, err);
}

static void batch_delete(struct http_request *r, void *arg)
{
    struct app *app = livy_find_modifiable(arg, r);
    if (app != NULL)
        app_forget(app, on_deleted, r);
}

static void version(struct http_request *r, void *arg)
{
    (void)arg;
    struct buf body = BUF(512);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "url", "");
    json_out_str(&out, "branch", "");
    json_out_str(&out, "revision", "");
    json_out_str(&out, "version", "0.9.0-hearth-" HEARTH_VERSION); /* clients read the leading number */
    json_out_str(&out, "date", "");
    json_out_str(&out, "user", "");
    json_out_end_object(&out);
    livy_reply_json(r, 200, &body);
}

const struct http_route livy_batch_routes[] = {
    {"GET", "/batches", batches_list, "List batches, oldest first"},
    {"POST", "/batches", batches_create, "Submit an application"},
    {"GET", "/batches/{id}", batch_get, "One batch"},
    {"DELETE", "/batches/{id}", batch_delete, "Kill it when it lives, and take it off the list"},
    {"GET", "/batches/{id}/state", batch_state, "Its state alone"},
    {"GET", "/batches/{id}/log", batch_log, "Lines of its output"},
    {"GET", "/version", version, "The version, as Livy's clients want it"},
    {"GET", "/hearth/batches/{id}", record_get, "All that is known of a batch, deleted ones too"},
    {"GET", "/hearth/batches/{id}/log", record_log, "Output by stream; can wait for more"},
    {"POST", "/hearth/batches/{id}/kill", record_kill, "End it and keep it listed"},
};
const size_t livy_batch_routes_count = sizeof livy_batch_routes / sizeof *livy_batch_routes;
