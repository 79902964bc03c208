/*
 * Fires under way: each is a small entry until its end is on disk.
 *
 *     an application ends ──► ONGOING_ENDED ──► its end written, with a further attempt when it died and the
 *     policy allows ──► ONGOING_DELAY ──► ONGOING_READY ──► launched
 *
 * A fire that waits starts when its back-off is over and, unless the schedule allows overlap, nothing of the
 * schedule lives; where the overlap policy is to replace, what lives is ended first.
 */
#include "scheduler/scheduler_internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"

#include <utlist.h>

/* ---- entries ---- */

struct ongoing_fires *ongoing_find(const struct scheduler *s, int64_t schedule)
{
    struct ongoing_fires *of = NULL;
    HASH_FIND(hh, s->ongoing, &schedule, sizeof schedule, of);
    return of;
}

static struct ongoing_fires *find_or_add(struct scheduler *s, int64_t schedule)
{
    struct ongoing_fires *of = ongoing_find(s, schedule);
    if (of != NULL || (of = mem_calloc(1, sizeof *of)) == NULL)
        return of;
    of->scheduler = s;
    of->schedule = schedule;
    HASH_ADD(hh, s->ongoing, schedule, sizeof of->schedule, of);
    return of;
}

struct ongoing *ongoing_new(struct scheduler *s, int64_t schedule, int64_t number)
{
    struct ongoing *f = mem_calloc(1, sizeof *f);
    struct ongoing_fires *of = f != NULL ? find_or_add(s, schedule) : NULL;
    if (of == NULL) {
        mem_free(f);
        return NULL;
    }
    f->of = of;
    f->number = number;
    f->batch = -1;
    f->phase = ONGOING_READY;
    DL_APPEND(of->list, f);
    return f;
}

static bool is_running(enum ongoing_phase phase)
{
    return phase == ONGOING_APP || phase == ONGOING_TASK;
}

void ongoing_set_phase(struct ongoing *f, enum ongoing_phase phase)
{
    f->of->scheduler->running += is_running(phase) - is_running(f->phase);
    f->phase = phase;
}

void ongoing_free(struct ongoing *f)
{
    struct ongoing_fires *of = f->of;
    app_unwait(&f->waiter);
    ongoing_set_phase(f, ONGOING_READY);
    DL_DELETE(of->list, f);
    mem_free(f->reason);
    mem_free(f);
    if (of->list == NULL) {
        HASH_DEL(of->scheduler->ongoing, of);
        mem_free(of);
    }
}

void ongoing_drop_schedule(struct scheduler *s, int64_t schedule)
{
    (void)timing_take(&s->delays, schedule, NULL); /* perhaps there is none */
    struct ongoing_fires *of = ongoing_find(s, schedule);
    size_t n = 0;
    struct ongoing *f;
    if (of != NULL)
        DL_COUNT(of->list, f, n);
    while (n-- > 0)
        ongoing_free(of->list);
}

void ongoing_clear(struct scheduler *s)
{
    while (s->ongoing != NULL)
        ongoing_drop_schedule(s, s->ongoing->schedule);
}

struct ongoing *ongoing_living(const struct ongoing_fires *of)
{
    struct ongoing *f = NULL;
    if (of != NULL)
        DL_FOREACH(of->list, f)
        {
            if (is_running(f->phase))
                return f;
        }
    return NULL;
}

struct ongoing *ongoing_waiting(const struct ongoing_fires *of)
{
    struct ongoing *f = NULL;
    if (of != NULL)
        DL_FOREACH(of->list, f)
        {
            if (f->phase == ONGOING_READY && f->cause != FIRE_RETRY)
                return f;
        }
    return NULL;
}

/* ---- ends ---- */

/* When memory is short the tick of the timer comes back here by way of `delays`. */
static void poke(struct scheduler *s, int64_t schedule)
{
    if (!s->started || s->stopping)
        return;
    if (turn_begin(s, schedule) == NULL)
        (void)timing_put(&s->delays, schedule, clock_mono_ms() + TICK_MS, 0); /* else with the next change */
    turn_read_waiting(s);
}

void ongoing_end(struct ongoing *f, enum fire_state end, const char *reason)
{
    struct ongoing_fires *of = f->of;
    app_unwait(&f->waiter);
    ongoing_set_phase(f, ONGOING_ENDED);
    f->end = end;
    f->ended_ms = clock_wall_ms();
    if (mem_set_str(&f->reason, reason) != 0)
        log_warn("out of memory for a reason", LOG_I("schedule", of->schedule), LOG_I("fire", f->number));
    poke(of->scheduler, of->schedule);
}

static enum fire_state end_of(const struct app_info *info)
{
    switch (info->state) {
    case APP_SUCCESS: return FIRE_SUCCEEDED;
    case APP_DEAD: return FIRE_FAILED;
    case APP_KILLED: return FIRE_KILLED;
    case APP_WAITING:
    case APP_LAUNCHING:
    case APP_RUNNING:
    case APP_STOPPING:
    case APP_STATES: break;
    }
    return FIRE_LOST;
}

/* True when it has ended, or is gone. */
static bool conclude(struct ongoing *f, struct app *app)
{
    const struct app_info *info = app_info(app);
    bool has_ended = app_state_is_end(info->state);
    if (!has_ended && !info->gone)
        return false;
    ongoing_end(f, has_ended ? end_of(info) : FIRE_KILLED,
                has_ended ? info->reason : "its application was deleted");
    return true;
}

static void on_change(void *arg)
{
    struct ongoing *f = arg;
    struct scheduler *s = f->of->scheduler;
    struct app *app = apps_find(s->options.apps, APP_BATCH, f->batch);
    if (s->stopping)
        return;
    if (app == NULL) /* dismissed: it is hidden already when those who wait are told */
        ongoing_end(f, FIRE_KILLED, "its application was deleted");
    else if (!conclude(f, app))
        app_wait(app, &f->waiter);
}

void ongoing_app(struct ongoing *f, int64_t batch)
{
    struct app *app = apps_find(f->of->scheduler->options.apps, APP_BATCH, batch);
    f->batch = batch;
    f->waiter = (struct app_waiter){.on_change = on_change, .arg = f};
    ongoing_set_phase(f, ONGOING_APP);
    if (app == NULL)
        ongoing_end(f, FIRE_LOST, "its application is gone");
    else if (!conclude(f, app))
        app_wait(app, &f->waiter);
}

void scheduler_end_fire(struct scheduler *s, int64_t schedule, int64_t number, enum fire_state state,
                        int64_t batch, const char *reason)
{
    struct ongoing_fires *of = ongoing_find(s, schedule);
    struct ongoing *f = NULL;
    if (of != NULL)
        DL_SEARCH_SCALAR(of->list, f, number, number);
    if (f == NULL || f->phase != ONGOING_TASK)
        return; /* the schedule was removed meanwhile */
    f->batch = batch;
    ongoing_end(f, state, reason);
}

/* ---- their writing ---- */

/* delay * 2^(attempt - 1), up to the largest. */
static int64_t back_off(const struct retry_policy *retry, int64_t attempt)
{
    int64_t delay_ms = retry->delay_ms;
    for (int64_t i = 1; i < attempt && delay_ms < retry->max_delay_ms; i++)
        delay_ms = delay_ms > retry->max_delay_ms / 2 ? retry->max_delay_ms : 2 * delay_ms;
    return delay_ms;
}

static bool wants_retry(const struct turn *t, const struct ongoing *f)
{
    return f->end == FIRE_FAILED && f->attempt <= t->view.spec.retry.limit;
}

static void note_delay(struct ongoing *f)
{
    struct scheduler *s = f->of->scheduler;
    struct ongoing_fires *of = f->of;
    int64_t first_ms = INT64_MAX;
    DL_FOREACH(of->list, f)
    {
        if (f->phase == ONGOING_DELAY && f->due_mono_ms < first_ms)
            first_ms = f->due_mono_ms;
    }
    if (!timing_put(&s->delays, of->schedule, first_ms, 0))
        log_error("out of memory: a further attempt waits for the next change of its schedule",
                  LOG_I("schedule", of->schedule));
}

static struct ongoing *first_ended(const struct turn *t)
{
    struct ongoing_fires *of = ongoing_find(t->scheduler, t->id);
    struct ongoing *f = NULL;
    if (of != NULL)
        DL_SEARCH_SCALAR(of->list, f, phase, ONGOING_ENDED);
    return f;
}

bool ongoing_has_ended(const struct turn *t)
{
    return first_ended(t) != NULL;
}

/* The further attempt, kept with the turn until it is on disk. */
static void take_up_retry(struct turn *t, struct ongoing *next, int64_t number)
{
    next->number = number;
    next->due_mono_ms = clock_mono_ms() + back_off(&t->view.spec.retry, next->attempt - 1);
    ongoing_set_phase(next, ONGOING_DELAY);
    note_delay(next);
}

static void on_end_written(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct turn *t = arg;
    struct ongoing *f = t->ending;
    struct ongoing *next = t->step.ongoing;
    (void)replayed;
    t->step.ongoing = NULL;
    if (err->code != ERR_OK && err->code != ERR_NOT_FOUND) {
        if (next != NULL)
            ongoing_free(next);
        turn_fail(t, err);
        return;
    }
    if (next != NULL && err->code == ERR_OK)
        take_up_retry(t, next, id);
    else if (next != NULL)
        ongoing_free(next);
    bool has_retry = next != NULL;
    ongoing_free(f);
    step_clear(&t->step);
    turn_release_held(t->scheduler, 1); /* there may be room for it */
    if (has_retry)
        turn_reread(t); /* it took the next number */
    else
        turn_go(t);
}

static struct ongoing *retry_new(struct turn *t, const struct ongoing *f)
{
    struct ongoing *next = ongoing_new(t->scheduler, t->id, 0);
    if (next == NULL)
        return NULL;
    next->cause = FIRE_RETRY;
    next->attempt = f->attempt + 1;
    next->planned_ms = f->planned_ms;
    return next;
}

static struct fire_view view_of(const struct turn *t, const struct ongoing *f, enum fire_state state)
{
    return (struct fire_view){
        .schedule = t->id,
        .number = f->number,
        .cause = f->cause,
        .state = state,
        .attempt = f->attempt,
        .planned_ms = f->planned_ms,
        .actual_ms = f->actual_ms,
        .ended_ms = f->ended_ms,
        .batch = f->batch,
        .reason = f->reason,
    };
}

bool ongoing_write_end(struct turn *t)
{
    struct ongoing *f = first_ended(t);
    struct store *store = t->scheduler->options.store;
    if (f == NULL)
        return false;
    t->ending = f;
    const struct fire_view ended = view_of(t, f, f->end);
    const struct store_fire row = record_fire(&ended);
    if (!wants_retry(t, f)) {
        store_update_fire(store, &row, NULL, on_end_written, t);
        return true;
    }
    struct ongoing *next = retry_new(t, f);
    if (next == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        turn_fail(t, &err);
        return true;
    }
    t->step.ongoing = next;
    const struct fire_view attempt = view_of(t, next, FIRE_WAITING);
    struct store_fire next_row = record_fire(&attempt);
    next_row.due_ms = clock_wall_ms() + back_off(&t->view.spec.retry, f->attempt);
    store_update_fire(store, &row, &next_row, on_end_written, t);
    return true;
}

/* ---- those that wait ---- */

static void on_kill_asked(const struct err *err, void *arg)
{
    (void)err; /* it is under way all the same */
    (void)arg;
}

static void kill_living(struct turn *t, struct ongoing_fires *of)
{
    struct ongoing *f;
    struct ongoing *next;
    DL_FOREACH_SAFE(of->list, f, next)
    {
        struct app *app = f->phase == ONGOING_APP && !f->kill_asked
                              ? apps_find(t->scheduler->options.apps, APP_BATCH, f->batch)
                              : NULL;
        f->kill_asked |= app != NULL;
        if (app != NULL)
            app_kill(app, "replaced by the next run of its schedule", on_kill_asked, NULL);
    }
}

/* After a restart the wall clock has told how much of a back-off is left, and it may have been put back. */
static void limit_delay(const struct turn *t, struct ongoing *f, int64_t now_ms)
{
    const struct retry_policy *retry = &t->view.spec.retry;
    if (retry->limit > 0 && f->due_mono_ms > now_ms + retry->max_delay_ms)
        f->due_mono_ms = now_ms + retry->max_delay_ms;
}

/* Back-offs that are over. */
static void end_delays(struct turn *t, struct ongoing_fires *of)
{
    int64_t now_ms = clock_mono_ms();
    struct ongoing *f;
    struct ongoing *delayed = NULL;
    DL_FOREACH(of->list, f)
    {
        limit_delay(t, f, now_ms);
        if (f->phase == ONGOING_DELAY && f->due_mono_ms <= now_ms)
            ongoing_set_phase(f, ONGOING_READY);
        else if (f->phase == ONGOING_DELAY)
            delayed = f;
    }
    if (delayed != NULL)
        note_delay(delayed);
    else
        (void)timing_take(&t->scheduler->delays, t->id, NULL); /* perhaps there is none */
}

bool ongoing_start_waiting(struct turn *t)
{
    struct ongoing_fires *of = ongoing_find(t->scheduler, t->id);
    if (of == NULL || t->unreadable != NULL)
        return false;
    end_delays(t, of);
    if (ongoing_waiting(of) != NULL && t->view.spec.overlap == OVERLAP_REPLACE)
        kill_living(t, of); /* their ends come as events */
    struct ongoing *f = NULL;
    DL_SEARCH_SCALAR(of->list, f, phase, ONGOING_READY);
    if (f == NULL || (t->view.spec.overlap != OVERLAP_ALLOW && ongoing_living(of) != NULL))
        return false;
    t->wants_room = f->cause != FIRE_MANUAL && !fire_has_room(t);
    return !t->wants_room && fire_launch(t, f);
}

/* ---- after a restart ---- */

static int64_t in_back_off_ms(const struct store_fire *row)
{
    int64_t rest_ms = row->due_ms - clock_wall_ms();
    return row->due_ms != 0 && rest_ms > 0 ? rest_ms : 0;
}

bool ongoing_load(struct scheduler *s, const struct store_fire *row)
{
    struct fire_view view;
    if (!record_read_fire(row, &view)) {
        log_error("a stored fire is not readable", LOG_I("schedule", row->schedule),
                  LOG_I("fire", row->number));
        return true;
    }
    struct ongoing *f = ongoing_new(s, row->schedule, row->number);
    if (f == NULL)
        return false;
    f->cause = view.cause;
    f->attempt = view.attempt;
    f->planned_ms = view.planned_ms;
    f->actual_ms = view.actual_ms;
    f->batch = view.batch;
    f->due_mono_ms = clock_mono_ms() + in_back_off_ms(row);
    if (view.state == FIRE_RUNNING)
        ongoing_set_phase(f, view.batch >= 0 ? ONGOING_APP : ONGOING_TASK);
    else if (row->due_ms != 0)
        ongoing_set_phase(f, ONGOING_DELAY);
    return true;
}

static void take_up(struct ongoing *f)
{
    switch (f->phase) {
    case ONGOING_APP: ongoing_app(f, f->batch); break;
    case ONGOING_TASK:
        ongoing_end(f, FIRE_LOST, "the server ended while the task was done; whether it was is not known");
        break;
    case ONGOING_DELAY:
    case ONGOING_READY: poke(f->of->scheduler, f->of->schedule); break;
    case ONGOING_ENDED: break;
    }
}

void ongoing_take_up(struct scheduler *s)
{
    struct ongoing_fires *of;
    struct ongoing_fires *next;
    HASH_ITER(hh, s->ongoing, of, next)
    {
        struct ongoing *f;
        struct ongoing *after;
        DL_FOREACH_SAFE(of->list, f, after)
        {
            take_up(f);
        }
    }
}
