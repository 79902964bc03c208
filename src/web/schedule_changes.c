/*
 * Schedules that are made, changed, paused, run and deleted.
 */
#include "web/web_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "web/schedule_request.h"

#include <inttypes.h>
#include <string.h>

/* ---- reading ---- */

static enum err_code read_body(const struct asking *a, bool is_new, struct schedule_request *wanted,
                               struct err *err)
{
    cleanup(json_decrefp) json_t *body = NULL;
    const struct buf *text = http_body(a->request);
    unsigned depth = (unsigned)a->door->options.settings->server.depth_limit;
    enum err_code rc = json_parse(buf_cstr(text), text->len, depth, &body, err);
    return rc == ERR_OK ? schedule_request_read(wanted, body, is_new, clock_wall_ms(), err) : rc;
}

/* What this server allows and decides, and who is who. */
static enum err_code complete(const struct asking *a, struct schedule_request *wanted, const char *owner,
                              struct err *err)
{
    const struct door *door = a->door->options.door;
    struct schedule_spec *spec = &wanted->spec;
    const char *proxy_user = NULL;
    enum err_code rc = door_proxy_user(door, a->request, wanted->program.proxy_user, &proxy_user, err);
    if (rc == ERR_OK && (rc = door_accept_program(door, &wanted->program, proxy_user, err)) != ERR_OK)
        (void)err_wrap(err, "batch");
    if (rc != ERR_OK)
        return rc;
    if (mem_set_str(&spec->owner, owner) != 0 || mem_set_str(&spec->proxy_user, proxy_user) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    spec->submission = wanted->program.submission;
    wanted->program.submission = (struct spark_submission){0};
    return ERR_OK;
}

/* Into a->if_match: 0 when any definition will do. */
static enum err_code read_if_match(struct asking *a, struct err *err)
{
    const char *text = http_header(a->request, "If-Match");
    if (text == NULL || strcmp(text, "*") == 0)
        return ERR_OK;
    size_t n = strlen(text);
    bool quoted = n > 2 && text[0] == '"' && text[n - 1] == '"';
    cleanup(mem_freep) char *number = quoted ? mem_strndup(text + 1, n - 2) : NULL;
    if (number != NULL && parse_i64(number, 1, INT64_MAX, &a->if_match, err) == ERR_OK)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "If-Match is '%.80s'; it must be the ETag of an answer, such as \"7\"",
                   text);
}

/* ---- making ---- */

static void reply_taken(const struct asking *a, int64_t by)
{
    web_reply_msg(a->request, 409, "group and name belong to schedule %" PRId64, by);
}

static void on_created(const struct err *err, int64_t id, void *arg)
{
    struct asking *a = arg;
    if (err->code == ERR_CONFLICT) {
        reply_taken(a, id);
        asking_free(a);
    } else if (err->code != ERR_OK) {
        asking_fail(a, err);
    } else {
        a->id = id;
        log_info("a schedule", LOG_I("schedule", id), LOG_S("user", http_user(a->request)));
        asking_show(a, 201);
    }
}

void schedule_create(struct http_request *r, void *door)
{
    struct err err = {0};
    cleanup(schedule_request_clear) struct schedule_request wanted = {0};
    struct asking *a = asking_new(door, r);
    if (a == NULL)
        return;
    if (read_body(a, true, &wanted, &err) != ERR_OK || complete(a, &wanted, http_user(r), &err) != ERR_OK)
        asking_fail(a, &err);
    else
        scheduler_create(a->door->options.scheduler, &wanted.spec, wanted.paused, on_created, a);
}

/* ---- replacing ---- */

enum { LOOKS_MAX = 100 }; /* each loses against another change, or a fire */

static void on_replaced(const struct err *err, int64_t id, void *arg)
{
    struct asking *a = arg;
    if (err->code == ERR_CONFLICT && id >= 0 && id != a->id) {
        reply_taken(a, id);
        asking_free(a);
    } else if (err->code == ERR_CONFLICT && a->looks < LOOKS_MAX) {
        asking_find(a); /* what is there now is judged anew */
    } else if (err->code != ERR_OK) {
        asking_fail(a, err);
    } else {
        log_info("a schedule was replaced", LOG_I("schedule", a->id), LOG_S("user", http_user(a->request)));
        asking_show(a, 200);
    }
}

static void replace(struct asking *a, const struct schedule_view *schedule)
{
    struct err err = {0};
    cleanup(schedule_request_clear) struct schedule_request wanted = {0};
    a->looks++;
    if (schedule->spec.door != NULL)
        (void)err_set(&err, ERR_CONFLICT,
                      "schedule %" PRId64 " was made by another door (%s), which replaces it", a->id,
                      schedule->spec.door);
    else if (read_body(a, false, &wanted, &err) == ERR_OK)
        (void)complete(a, &wanted, schedule->spec.owner, &err);
    if (err.code != ERR_OK)
        asking_fail(a, &err);
    else /* the very version of which it is known that this user may change it */
        scheduler_replace(a->door->options.scheduler, a->id, schedule->version, &wanted.spec, on_replaced, a);
}

/* ---- the rest ---- */

static void on_switched(const struct err *err, int64_t id, void *arg)
{
    struct asking *a = arg;
    (void)id;
    if (err->code != ERR_OK)
        asking_fail(a, err);
    else
        asking_show(a, 200);
}

static void pause_it(struct asking *a, const struct schedule_view *schedule)
{
    scheduler_pause(a->door->options.scheduler, schedule->id, on_switched, a);
}

static void resume_it(struct asking *a, const struct schedule_view *schedule)
{
    scheduler_resume(a->door->options.scheduler, schedule->id, on_switched, a);
}

static void on_deleted(const struct err *err, int64_t id, void *arg)
{
    struct asking *a = arg;
    (void)id;
    if (err->code != ERR_OK) {
        asking_fail(a, err);
        return;
    }
    log_info("a schedule was deleted", LOG_I("schedule", a->id), LOG_S("user", http_user(a->request)));
    http_reply(a->request, http_answer_empty(204, HTTP_JSON));
    asking_free(a);
}

static void delete_it(struct asking *a, const struct schedule_view *schedule)
{
    scheduler_remove(a->door->options.scheduler, schedule->id, on_deleted, a);
}

static void on_run(const struct err *err, int64_t number, void *arg)
{
    struct asking *a = arg;
    if (err->code != ERR_OK) {
        asking_fail(a, err);
        return;
    }
    json_out_object(&a->out, NULL);
    json_out_int(&a->out, "schedule", a->id);
    json_out_int(&a->out, "fire", number);
    json_out_end_object(&a->out);
    asking_answer(a, 202);
}

static void run_it(struct asking *a, const struct schedule_view *schedule)
{
    scheduler_run_now(a->door->options.scheduler, schedule->id, NULL, on_run, a);
}

static void change(struct schedules *d, struct http_request *r, asking_found *found)
{
    struct err err = {0};
    struct asking *a = asking_new(d, r);
    if (a == NULL)
        return;
    a->to_modify = true;
    a->unreadable_too = found == replace || found == delete_it;
    a->found = found;
    if (read_if_match(a, &err) == ERR_OK)
        asking_find(a);
    else
        asking_fail(a, &err);
}

void schedule_replace(struct http_request *r, void *door)
{
    change(door, r, replace);
}

void schedule_delete(struct http_request *r, void *door)
{
    change(door, r, delete_it);
}

void schedule_pause(struct http_request *r, void *door)
{
    change(door, r, pause_it);
}

void schedule_resume(struct http_request *r, void *door)
{
    change(door, r, resume_it);
}

void schedule_run(struct http_request *r, void *door)
{
    change(door, r, run_it);
}
