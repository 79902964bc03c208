/*
 * What people want of a schedule: a wish is kept with the schedule's turn, fulfilled when that comes to it,
 * and told when it is on disk.
 */
#include "scheduler/scheduler_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>
#include <utlist.h>

enum { RETRY_LIMIT_MAX = 1000 };
#define RETRY_DELAY_MAX_MS (365LL * 24 * 3600 * 1000)

/* ---- what may be asked for ---- */

static enum err_code check_text(const char *what, const char *text, struct err *err)
{
    size_t n = text != NULL ? strlen(text) : 0;
    if (n >= 1 && n <= SCHEDULE_NAME_MAX)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "%s has %zu bytes; it must have 1 to %d", what, n, SCHEDULE_NAME_MAX);
}

static enum err_code check_range(const char *what, int64_t value, int64_t min, int64_t max, struct err *err)
{
    if (value >= min && value <= max)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "%s is %" PRId64 "; it must be %" PRId64 " to %" PRId64, what, value,
                   min, max);
}

static enum err_code check_retry(const struct retry_policy *retry, struct err *err)
{
    enum err_code rc = check_range("retry limit", retry->limit, 0, RETRY_LIMIT_MAX, err);
    if (rc == ERR_OK && retry->limit > 0)
        rc = check_range("retry delay (ms)", retry->delay_ms, 0, RETRY_DELAY_MAX_MS, err);
    if (rc == ERR_OK && retry->limit > 0)
        rc = check_range("retry max delay (ms)", retry->max_delay_ms, retry->delay_ms, RETRY_DELAY_MAX_MS,
                         err);
    return rc;
}

static enum err_code check_values(const struct schedule_spec *spec, struct err *err)
{
    enum err_code rc = check_text("group", spec->group, err);
    if (rc == ERR_OK)
        rc = check_text("name", spec->name, err);
    if (rc == ERR_OK)
        rc = check_range("priority", spec->priority, 1, 10, err);
    if (rc == ERR_OK)
        rc = check_range("overlap", (int64_t)spec->overlap, 0, OVERLAPS - 1, err);
    if (rc == ERR_OK)
        rc = check_range("jitter (ms)", spec->jitter_ms, 0, SCHEDULE_JITTER_MAX_MS, err);
    if (rc == ERR_OK)
        rc = check_retry(&spec->retry, err);
    if (rc == ERR_OK && spec->door == NULL && str_blank(spec->submission.file))
        rc = err_set(err, ERR_INVALID, "file is missing: a schedule needs a program to run");
    return rc;
}

enum err_code scheduler_check(const struct schedule_spec *spec, struct trigger *ret, struct err *err)
{
    struct trigger t = spec->trigger;
    enum misfire misfire;
    enum err_code rc = check_values(spec, err);
    if (rc == ERR_OK)
        rc = misfire_find(misfire_name(t.misfire), t.kind, &misfire, err);
    if (rc == ERR_OK && t.kind == TRIGGER_CRON)
        rc = record_read_cron(spec, &t, err);
    if (rc == ERR_OK)
        rc = trigger_begin(&t, err);
    if (rc == ERR_OK)
        *ret = t;
    return rc;
}

/* ---- wishes ---- */

static void wish_free(struct wish *wish)
{
    schedule_spec_clear(&wish->spec);
    mem_free(wish->token);
    mem_free(wish);
}

void wish_tell(struct turn *t, struct wish *wish, const struct err *err, int64_t id)
{
    scheduler_cb *done = wish->done;
    void *arg = wish->arg;
    if (t->wish == wish)
        t->wish = NULL;
    else
        DL_DELETE(t->wishes, wish);
    wish_free(wish);
    done(err, id, arg);
}

static void refuse(scheduler_cb *done, void *arg, enum err_code code, const char *words)
{
    struct err err;
    err_set(&err, code, "%s", words);
    done(&err, -1, arg);
}

/* Takes the wish. */
static void want(struct scheduler *s, int64_t id, struct wish *wish, scheduler_cb *done, void *arg)
{
    struct turn *t = wish != NULL && !s->stopping ? turn_begin(s, id) : NULL;
    if (t == NULL) {
        if (wish != NULL)
            wish_free(wish);
        refuse(done, arg, s->stopping ? ERR_BUSY : ERR_NOMEM,
               s->stopping ? "the server stops" : "out of memory");
        return;
    }
    wish->done = done;
    wish->arg = arg;
    DL_APPEND(t->wishes, wish);
    turn_read_waiting(s);
}

static struct wish *wish_new(enum wish_kind kind)
{
    struct wish *wish = mem_calloc(1, sizeof *wish);
    if (wish != NULL)
        wish->kind = kind;
    return wish;
}

void scheduler_pause(struct scheduler *s, int64_t id, scheduler_cb *done, void *arg)
{
    want(s, id, wish_new(WISH_PAUSE), done, arg);
}

void scheduler_resume(struct scheduler *s, int64_t id, scheduler_cb *done, void *arg)
{
    want(s, id, wish_new(WISH_RESUME), done, arg);
}

void scheduler_remove(struct scheduler *s, int64_t id, scheduler_cb *done, void *arg)
{
    want(s, id, wish_new(WISH_REMOVE), done, arg);
}

void scheduler_run_now(struct scheduler *s, int64_t id, const char *token, scheduler_cb *done, void *arg)
{
    struct wish *wish = wish_new(WISH_RUN);
    if (wish != NULL && mem_set_str(&wish->token, token) != 0) {
        wish_free(wish);
        wish = NULL;
    }
    want(s, id, wish, done, arg);
}

void scheduler_replace(struct scheduler *s, int64_t id, int64_t version, const struct schedule_spec *spec,
                       scheduler_cb *done, void *arg)
{
    struct err err = {0};
    struct trigger trigger;
    if (scheduler_check(spec, &trigger, &err) != ERR_OK) {
        done(&err, -1, arg);
        return;
    }
    struct wish *wish = wish_new(WISH_REPLACE);
    if (wish != NULL && schedule_spec_copy(&wish->spec, spec, &err) != ERR_OK) {
        wish_free(wish);
        wish = NULL;
    }
    if (wish != NULL) {
        wish->spec.trigger = trigger;
        wish->version = version;
    }
    want(s, id, wish, done, arg);
}

/* ---- fulfilling them ---- */

static void on_changed(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct turn *t = arg;
    (void)replayed;
    if (err->code == ERR_CONFLICT && id == t->id && t->wish->version == 0) {
        DL_PREPEND(t->wishes, t->wish); /* another node was faster */
        t->wish = NULL;
    } else {
        t->is_anchored = err->code == ERR_OK ? false : t->is_anchored;
        wish_tell(t, t->wish, err, err->code == ERR_OK ? t->id : id);
    }
    turn_reread(t);
}

/* Writes the schedule with this definition and state. */
static void write_row(struct turn *t, const struct schedule_spec *spec, enum schedule_state state)
{
    cleanup(mem_freep) char *text = record_spec(spec);
    cleanup(mem_freep) char *progress = record_progress(&spec->trigger);
    if (text == NULL || progress == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        on_changed(&err, -1, false, t);
        return;
    }
    struct store_schedule row = record_row(spec, state, text, progress);
    row.id = t->id;
    row.version = t->view.version;
    row.created_ms = t->view.created_ms;
    int64_t now_ms = clock_wall_ms();
    row.changed_ms = now_ms > t->view.changed_ms ? now_ms : t->view.changed_ms + 1;
    store_update_schedule(t->scheduler->options.store, &row, on_changed, t);
}

static bool fulfil_replace(struct turn *t, struct wish *wish)
{
    if (wish->version != 0 && wish->version != t->view.version) {
        struct err err;
        err_set(&err, ERR_CONFLICT, "schedule %" PRId64 " has version %" PRId64 ", not %" PRId64, t->id,
                t->view.version, wish->version);
        wish_tell(t, wish, &err, t->id);
        return false;
    }
    t->at_once_ms = TRIGGER_NEVER;
    mem_freep(&t->refusal); /* of the old definition */
    write_row(t, &wish->spec, t->view.state == SCHEDULE_PAUSED ? SCHEDULE_PAUSED : SCHEDULE_ACTIVE);
    return true;
}

static bool fulfil_state(struct turn *t, struct wish *wish, enum schedule_state from, enum schedule_state to)
{
    if (t->view.state == from) {
        write_row(t, &t->view.spec, to);
        return true;
    }
    static const struct err ok; /* it is so already, or is complete */
    wish_tell(t, wish, &ok, t->id);
    return false;
}

static void on_removed(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct turn *t = arg;
    (void)id;
    (void)replayed;
    if (err->code == ERR_OK) {
        t->scheduler->schedules--;
        turn_forget_due(t);
        ongoing_drop_schedule(t->scheduler, t->id);
    }
    wish_tell(t, t->wish, err, t->id);
    turn_reread(t); /* which tells others that it is gone */
}

/* A schedule that is not readable can only be replaced and removed. */
static bool is_possible(const struct turn *t, const struct wish *wish)
{
    return t->unreadable == NULL || wish->kind == WISH_REPLACE || wish->kind == WISH_REMOVE;
}

/* False: done at once. */
static bool fulfil(struct turn *t, struct wish *wish)
{
    if (!is_possible(t, wish)) {
        struct err err;
        err_set(&err, ERR_INTERNAL, "schedule %" PRId64 " is not readable: %s", t->id, t->unreadable);
        wish_tell(t, wish, &err, -1);
        return false;
    }
    switch (wish->kind) {
    case WISH_RUN: return fire_wish(t, wish);
    case WISH_REPLACE: return fulfil_replace(t, wish);
    case WISH_PAUSE: return fulfil_state(t, wish, SCHEDULE_ACTIVE, SCHEDULE_PAUSED);
    case WISH_RESUME: return fulfil_state(t, wish, SCHEDULE_PAUSED, SCHEDULE_ACTIVE);
    case WISH_REMOVE: store_remove_schedule(t->scheduler->options.store, t->id, on_removed, t); return true;
    }
    return false;
}

bool change_if_wanted(struct turn *t)
{
    while (t->wishes != NULL) {
        t->wish = t->wishes;
        DL_DELETE(t->wishes, t->wish);
        if (fulfil(t, t->wish))
            return true;
    }
    return false;
}

/* ---- creating ---- */

struct creation {
    struct scheduler *scheduler;
    scheduler_cb *done;
    void *arg;
};

static void on_created(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct creation c = *(struct creation *)arg;
    (void)replayed;
    mem_free(arg);
    if (err->code == ERR_OK) {
        c.scheduler->schedules++;
        /* A turn notes when it is due; when memory is short, the timer begins it. */
        if (turn_begin(c.scheduler, id) == NULL &&
            !timing_put(&c.scheduler->wall, id, clock_wall_ms() + TICK_MS, 0))
            log_error("out of memory: a new schedule fires after the next start only", LOG_I("schedule", id));
        turn_read_waiting(c.scheduler);
    }
    c.done(err, id, c.arg);
}

static enum err_code insert(struct scheduler *s, const struct schedule_spec *spec, bool paused,
                            scheduler_cb *done, void *arg, struct err *err)
{
    cleanup(mem_freep) char *text = record_spec(spec);
    cleanup(mem_freep) char *progress = record_progress(&spec->trigger);
    struct creation *c = mem_alloc(sizeof *c);
    if (text == NULL || progress == NULL || c == NULL) {
        mem_free(c);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *c = (struct creation){s, done, arg};
    struct store_schedule row = record_row(spec, paused ? SCHEDULE_PAUSED : SCHEDULE_ACTIVE, text, progress);
    row.created_ms = row.changed_ms = clock_wall_ms();
    store_insert_schedule(s->options.store, &row, on_created, c);
    return ERR_OK;
}

void scheduler_create(struct scheduler *s, const struct schedule_spec *spec, bool paused, scheduler_cb *done,
                      void *arg)
{
    struct err err = {0};
    struct schedule_spec checked = *spec;
    if (scheduler_check(spec, &checked.trigger, &err) != ERR_OK ||
        insert(s, &checked, paused, done, arg, &err) != ERR_OK)
        done(&err, -1, arg);
}
