/*
 * /hearth/batches/{id}: the whole record of a batch, deleted ones included, and a kill that keeps it.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <string.h>

struct record_request {
    struct livy *livy;
    struct http_request *request;
    int64_t id;
};

static void write_history(struct json_out *out, const struct store_note *notes, unsigned n)
{
    json_out_array(out, "history");
    for (unsigned i = 0; i < n; i++) {
        json_out_object(out, NULL);
        view_time(out, "at", notes[i].at_ms);
        json_out_str(out, "state", notes[i].state);
        json_out_str(out, "reason", notes[i].reason);
        json_out_end_object(out);
    }
    json_out_end_array(out);
}

/* A deleted batch, from its row alone: the columns, and the facts that hearth kept. */
static void write_deleted(struct json_out *out, const struct store_app *row)
{
    json_out_int(out, "id", row->id);
    json_out_str(out, "name", row->name);
    json_out_str(out, "owner", row->owner);
    json_out_str(out, "proxyUser", row->proxy_user);
    json_out_str(out, "state", view_state_of_row(row));
    json_out_str(out, "appId", row->app_id);
    json_out_str(out, "reason", row->reason);
    view_time(out, "createdAt", row->created_ms);
    view_time(out, "startedAt", row->started_ms);
    view_time(out, "endedAt", row->ended_ms);
    view_time(out, "deletedAt", row->forgotten_ms);
    json_out_raw(out, "facts", row->facts);
}

static void write_record(struct livy *l, struct json_out *out, const struct store_app *row,
                         const struct app *app)
{
    if (app != NULL)
        view_batch_keys(out, app, VIEW_WORDS);
    else
        write_deleted(out, row);
    if (row->pid != 0)
        json_out_int(out, "pid", row->pid);
    else
        json_out_null(out, "pid");
    json_out_int(out, "memory", row->memory);
    cleanup(mem_freep) char *folder = apps_folder(l->apps, APP_BATCH, row->id);
    json_out_str(out, "folder", folder);
    json_out_raw(out, "submission", row->submission);
}

static void on_record(const struct err *err, const struct store_app *row, const struct store_note *notes,
                      unsigned n_notes, void *arg)
{
    struct record_request q = *(struct record_request *)arg;
    mem_free(arg);
    const char *user = NULL;
    if (row == NULL && err->code == ERR_NOT_FOUND) {
        livy_reply_msg(q.request, 404, "Session '%" PRId64 "' not found.", q.id);
        return;
    }
    if (row == NULL) {
        livy_reply_error(q.request, err);
        return;
    }
    if (!access_effective_user(q.livy->access, q.request, &user))
        return;
    if (!access_may_view_row(q.livy->access, user, row)) {
        livy_reply_forbidden(q.request);
        return;
    }
    cleanup(buf_clear) struct buf body = BUF(64 << 20);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    write_record(q.livy, &out, row, apps_find(q.livy->apps, APP_BATCH, q.id));
    write_history(&out, notes, n_notes);
    json_out_end_object(&out);
    livy_reply_json(q.request, 200, &body);
}

void record_get(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    int64_t id = 0;
    if (parse_i64(http_param(r, 0), 0, INT32_MAX, &id, NULL) !=
        ERR_OK) { /* a name: only listed ones have it */
        const struct app *app = livy_find(l, r);
        if (app == NULL)
            return;
        id = app_info(app)->id;
    }
    struct record_request *q = mem_calloc(1, sizeof *q);
    if (q == NULL) {
        http_reply(r, NULL);
        return;
    }
    *q = (struct record_request){l, r, id};
    apps_read_row(l->apps, APP_BATCH, id, on_record, q);
}

static void on_killed(const struct err *err, void *arg)
{
    if (err->code == ERR_OK)
        livy_reply_msg(arg, 200, "killing");
    else
        livy_reply_error(arg, err);
}

void record_kill(struct http_request *r, void *arg)
{
    struct app *app = livy_find_modifiable(arg, r);
    if (app != NULL)
        app_kill(app, "killed by request", on_killed, r);
}
