/*
 * /batches: list, get, state, log, delete, and hearth's records of them. The table of routes is at the foot.
 */
#include "livy/livy_internal.h"

static void batches_list(struct http_request *r, void *arg)
{
    views_reply_list(arg, r, APP_BATCH);
}

static void batch_get(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    const char *user = NULL;
    struct app *app = livy_find(l, r, APP_BATCH, RIGHT_NONE);
    if (app == NULL || !livy_effective_user(l, r, &user))
        return;
    bool viewable = door_may_view(l->door, user, app_info(app));
    views_reply_app(l, r, app, viewable ? VIEW_LOG : VIEW_PUBLIC, KEYS_ALL);
}

static void batch_state(struct http_request *r, void *arg)
{
    const struct app *app = livy_find(arg, r, APP_BATCH, RIGHT_NONE);
    if (app != NULL)
        views_reply_state(arg, r, app);
}

static void batch_log(struct http_request *r, void *arg)
{
    const struct app *app = livy_find(arg, r, APP_BATCH, RIGHT_VIEW);
    if (app != NULL)
        logs_reply(arg, r, app);
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
    struct app *app = livy_find(arg, r, APP_BATCH, RIGHT_MODIFY);
    if (app != NULL)
        app_forget(app, on_deleted, r);
}

static void batch_record(struct http_request *r, void *arg)
{
    record_reply(arg, r, APP_BATCH);
}

static void batch_record_log(struct http_request *r, void *arg)
{
    logs_reply_record(arg, r, APP_BATCH);
}

static void batch_kill(struct http_request *r, void *arg)
{
    struct app *app = livy_find(arg, r, APP_BATCH, RIGHT_MODIFY);
    if (app != NULL)
        app_kill(app, "killed by request", record_killed, r);
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
    {"GET", "/batches", batches_list, "List batches, oldest first", false},
    {"POST", "/batches", batches_create, "Submit an application", false},
    {"GET", "/batches/{id}", batch_get, "One batch", false},
    {"DELETE", "/batches/{id}", batch_delete, "Kill it when it lives, and take it off the list", false},
    {"GET", "/batches/{id}/state", batch_state, "Its state alone", false},
    {"GET", "/batches/{id}/log", batch_log, "Lines of its output", false},
    {"GET", "/version", version, "The version, as Livy's clients want it", false},
    {"GET", "/hearth/batches/{id}", batch_record, "All that is known of a batch, deleted ones too", false},
    {"GET", "/hearth/batches/{id}/log", batch_record_log, "Output by stream; can wait for more", false},
    {"POST", "/hearth/batches/{id}/kill", batch_kill, "End it and keep it listed", false},
};
const size_t livy_batch_routes_count = sizeof livy_batch_routes / sizeof *livy_batch_routes;
