/*
 * What is below /hearth/batches and /hearth/sessions: records of those that are listed and of those that
 * are known by their row alone, because they were deleted or ended by time.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"
#include "base/parse.h"

#include <string.h>

/* ---- finding ---- */

struct finding {
    struct livy *livy;
    struct http_request *request;
    enum app_kind kind;
    int64_t id;
    record_cb *found;
};

static void on_row(const struct err *err, const struct store_app *row, const struct store_note *notes,
                   unsigned n_notes, void *arg)
{
    struct finding f = *(struct finding *)arg;
    mem_free(arg);
    const char *user = NULL;
    if (row == NULL && err->code != ERR_NOT_FOUND) {
        livy_reply_error(f.request, err);
    } else if (row == NULL) {
        livy_reply_msg(f.request, 404, "Session '%.1000s' not found.", http_param(f.request, 0));
    } else if (livy_effective_user(f.livy, f.request, &user)) {
        struct record record = {
            .kind = f.kind,
            .id = f.id,
            .app = apps_find(f.livy->apps, f.kind, f.id),
            .row = row,
            .notes = notes,
            .n_notes = n_notes,
        };
        if (door_may_view_row(f.livy->door, user, row))
            f.found(f.livy, f.request, &record);
        else
            livy_reply_forbidden(f.request);
    }
}

void record_find(struct livy *l, struct http_request *r, enum app_kind kind, bool with_row, record_cb *found)
{
    int64_t id = 0;
    bool unlisted = parse_i64(http_param(r, 0), 0, INT32_MAX, &id, NULL) == ERR_OK &&
                    apps_find(l->apps, kind, id) == NULL;
    if (!unlisted) {
        const struct app *app = livy_find(l, r, kind, RIGHT_VIEW);
        if (app == NULL)
            return;
        id = app_info(app)->id;
        if (!with_row) {
            found(l, r, &(struct record){.kind = kind, .id = id, .app = app});
            return;
        }
    }
    struct finding *f = mem_calloc(1, sizeof *f);
    if (f == NULL) {
        http_reply(r, NULL);
        return;
    }
    *f = (struct finding){l, r, kind, id, found};
    apps_read_row(l->apps, kind, id, on_row, f);
}

/* ---- the whole record ---- */

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

/* One that has left the lists, from its row alone: the columns, and the facts that hearth kept. */
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

/* Of a driver that a standalone cluster runs. */
static void write_driver(struct json_out *out, const struct app *app)
{
    const struct app_info *info = app != NULL ? app_info(app) : NULL;
    if (info == NULL || info->driver_id == NULL) {
        json_out_null(out, "driver");
        return;
    }
    json_out_object(out, "driver");
    json_out_str(out, "id", info->driver_id);
    json_out_str(out, "state", info->launcher_state);
    json_out_str(out, "worker", info->worker);
    json_out_str(out, "logUrl", info->log_url);
    json_out_end_object(out);
}

static void write_record(struct livy *l, struct json_out *out, const struct record *record)
{
    const struct store_app *row = record->row;
    cleanup(mem_freep) char *folder = apps_folder(l->apps, record->kind, record->id);
    if (record->app != NULL)
        view_keys(l, out, record->app, VIEW_WORDS, KEYS_ALL);
    else
        write_deleted(out, row);
    if (row->pid != 0)
        json_out_int(out, "pid", row->pid);
    else
        json_out_null(out, "pid");
    write_driver(out, record->app);
    json_out_int(out, "memory", row->memory);
    json_out_str(out, "folder", folder);
    json_out_raw(out, "submission", row->submission);
    write_history(out, record->notes, record->n_notes);
}

static void on_record(struct livy *l, struct http_request *r, const struct record *record)
{
    struct buf body = BUF(128 << 20);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    write_record(l, &out, record);
    json_out_end_object(&out);
    livy_reply_json(r, 200, &body);
}

void record_reply(struct livy *l, struct http_request *r, enum app_kind kind)
{
    record_find(l, r, kind, true, on_record);
}

void record_killed(const struct err *err, void *request)
{
    if (err->code == ERR_OK)
        livy_reply_msg(request, 200, "killing");
    else
        livy_reply_error(request, err);
}
