/*
 * A turn: work on one schedule, one thing after the other.
 *
 *     turn_begin ──► row read ──► turn_go: an end to write? a wish? one that waits? due?
 *                      ▲   ▲        │ yes: a write begins                  │ no
 *                      │   └────────┘ it came back                         ▼
 *                      └── held for a second: refused               noted when it is due; over
 *
 * Rows are read in batches on a worker, which also makes sense of them.
 */
#include "scheduler/scheduler_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <utlist.h>

/* ---- beginning and ending ---- */

/* Its entry leaves the timing for the length of the turn. */
static void take_entry(struct turn *t)
{
    struct scheduler *s = t->scheduler;
    struct timing_entry entry;
    if (timing_take(&s->wall, t->id, NULL)) {
        t->was_due = true;
    } else if (timing_take(&s->steady, t->id, &entry)) {
        t->was_due = t->is_anchored = true;
        t->anchor_mono_ms = entry.due_ms;
        t->anchor_next_ms = TRIGGER_NEVER; /* known when the row is */
    }
    s->n_due_turns += t->was_due;
}

static void leave_place(struct turn *t)
{
    struct scheduler *s = t->scheduler;
    if (t->place == TURN_HELD) {
        DL_DELETE(s->held, t); /* NOLINT: the last one's next alone is NULL */
        s->n_held--;
    } else if (t->place == TURN_WAITS_FOR_READ) {
        DL_DELETE(s->to_read, t); /* NOLINT: as above */
    }
    t->place = TURN_BUSY;
}

static void wait_for_read(struct turn *t)
{
    t->place = TURN_WAITS_FOR_READ;
    DL_APPEND(t->scheduler->to_read, t);
}

struct turn *turn_begin(struct scheduler *s, int64_t id)
{
    struct turn *t = NULL;
    HASH_FIND(hh, s->turns, &id, sizeof id, t);
    if (t == NULL && (t = mem_calloc(1, sizeof *t)) != NULL) {
        t->scheduler = s;
        t->id = id;
        t->at_once_ms = TRIGGER_NEVER;
        HASH_ADD(hh, s->turns, id, sizeof t->id, t);
        s->n_turns++;
        take_entry(t);
        wait_for_read(t);
    } else if (t != NULL && t->place == TURN_HELD) {
        leave_place(t);
        wait_for_read(t);
    }
    return t;
}

static void drop_view(struct turn *t)
{
    if (t->has_view)
        schedule_view_clear(&t->view);
    t->has_view = false;
    mem_freep(&t->unreadable);
}

void turn_forget_due(struct turn *t)
{
    t->scheduler->n_due_turns -= t->was_due;
    t->was_due = false;
}

void turn_free(struct turn *t)
{
    struct scheduler *s = t->scheduler;
    leave_place(t);
    turn_forget_due(t);
    HASH_DEL(s->turns, t);
    s->n_turns--;
    step_clear(&t->step);
    drop_view(t);
    mem_free(t->refusal);
    mem_free(t);
}

/* Notes when it is due again. False: out of memory. */
static bool note_due(struct turn *t)
{
    struct scheduler *s = t->scheduler;
    const struct trigger *trigger = &t->view.spec.trigger;
    int64_t due_ms = fire_due_ms(t);
    int32_t priority = (int32_t)t->view.spec.priority;
    if (due_ms == TRIGGER_NEVER)
        return true;
    if (!fire_is_steady(trigger))
        return timing_put(&s->wall, t->id, due_ms, priority);
    int64_t mono_ms = clock_mono_ms() + (due_ms - clock_wall_ms());
    if (t->is_anchored && t->anchor_next_ms == trigger->next_ms)
        mono_ms = t->anchor_mono_ms;
    return timing_put(&s->steady, t->id, mono_ms, priority);
}

static void turn_end(struct turn *t)
{
    struct scheduler *s = t->scheduler;
    if (t->wishes != NULL || ongoing_has_ended(t)) { /* they came meanwhile */
        turn_reread(t);
        return;
    }
    if (!note_due(t)) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        turn_hold(t, &err);
        return;
    }
    turn_free(t);
    scheduler_pump(s);
}

/* ---- reading ---- */

struct row_read {
    int64_t id;
    enum err_code rc;
    struct schedule_view view;
    char why[200];
};

struct batch {
    struct scheduler *scheduler;
    size_t n, n_rows;
    int64_t ids[READ_BATCH];
    struct row_read rows[READ_BATCH]; /* as they come: ids that are gone are left out */
};

static bool may_be_read_later(enum err_code rc)
{
    return rc == ERR_NOMEM || rc == ERR_BUSY || rc == ERR_IO;
}

/* On a worker. */
static bool on_row(const struct store_schedule *row, void *arg)
{
    struct batch *b = arg;
    struct err err = {0};
    if (b->n_rows == b->n)
        return false;
    struct row_read *r = &b->rows[b->n_rows++];
    r->id = row->id;
    r->view = (struct schedule_view){0};
    r->rc = record_read_schedule(row, &r->view, &err);
    if (r->rc != ERR_OK) {
        (void)snprintf(r->why, sizeof r->why, "%.190s", err.msg);
        if (!may_be_read_later(r->rc) && record_unreadable(row, &r->view) != ERR_OK)
            r->rc = ERR_NOMEM;
    }
    return true;
}

static void tell_all(struct turn *t, const struct err *err)
{
    while (t->wishes != NULL)
        wish_tell(t, t->wishes, err, -1);
}

static void give_up(struct turn *t, const struct err *err)
{
    struct scheduler *s = t->scheduler;
    tell_all(t, err);
    turn_free(t);
    scheduler_pump(s);
}

void turn_fail(struct turn *t, const struct err *err)
{
    tell_all(t, err);
    turn_hold(t, err);
}

static void on_gone(struct turn *t)
{
    struct err err;
    err_set(&err, ERR_NOT_FOUND, "there is no schedule %lld", (long long)t->id);
    ongoing_drop_schedule(t->scheduler, t->id);
    give_up(t, &err);
}

static void take_view(struct turn *t, struct row_read *r)
{
    t->view = r->view;
    r->view = (struct schedule_view){0};
    t->has_view = true;
    if (t->unreadable != NULL) {
        turn_go(t);
        return;
    }
    if (t->is_anchored && t->anchor_next_ms == TRIGGER_NEVER)
        fire_complete_anchor(t);
    turn_go(t);
}

/* It does not fire, but the ends of its fires are written, and it can be replaced and removed. */
static void on_unreadable(struct turn *t, struct row_read *r)
{
    struct err err;
    err_set(&err, r->rc, "schedule %lld: %s", (long long)t->id, r->why);
    if (may_be_read_later(r->rc) || mem_set_str(&t->unreadable, r->why) != 0) {
        schedule_view_clear(&r->view);
        turn_fail(t, &err);
        return;
    }
    log_error("a stored schedule is not readable and does not fire", LOG_I("schedule", t->id),
              LOG_S("why", r->why));
    take_view(t, r);
}

static void on_batch(const struct err *err, int64_t total, void *arg)
{
    struct batch *b = arg;
    struct scheduler *s = b->scheduler;
    (void)total;
    s->reads--;
    for (size_t i = 0, at = 0; i < b->n; i++) {
        struct turn *t = NULL;
        HASH_FIND(hh, s->turns, &b->ids[i], sizeof b->ids[i], t);
        struct row_read *r = at < b->n_rows && b->rows[at].id == b->ids[i] ? &b->rows[at++] : NULL;
        if (t == NULL) /* only while the server stops */
            schedule_view_clear(r != NULL ? &r->view : &(struct schedule_view){0});
        else if (r != NULL && r->rc == ERR_OK)
            take_view(t, r);
        else if (r != NULL)
            on_unreadable(t, r);
        else if (err->code != ERR_OK)
            turn_fail(t, err);
        else
            on_gone(t);
    }
    mem_free(b);
    turn_read_waiting(s);
}

static bool read_batch(struct scheduler *s)
{
    struct batch *b = mem_alloc(sizeof *b);
    if (b == NULL)
        return false; /* the tick comes here again */
    b->scheduler = s;
    b->n = b->n_rows = 0;
    while (b->n < READ_BATCH && s->to_read != NULL) {
        struct turn *t = s->to_read;
        leave_place(t);
        b->ids[b->n++] = t->id;
    }
    s->reads++;
    const struct store_schedules which = {.ids = b->ids, .n_ids = b->n, .after_id = -1, .max = -1};
    store_read_schedules(s->options.store, &which, on_row, b, on_batch, b);
    return true;
}

void turn_read_waiting(struct scheduler *s)
{
    while (s->to_read != NULL && s->reads < READS_MAX && s->started && !s->stopping)
        if (!read_batch(s))
            return;
}

void turn_reread(struct turn *t)
{
    drop_view(t);
    wait_for_read(t);
    turn_read_waiting(t->scheduler);
}

/* ---- going on ---- */

void turn_go(struct turn *t)
{
    if (t->scheduler->stopping)
        return; /* freed by the stop */
    t->wants_room = false;
    if (ongoing_write_end(t) || change_if_wanted(t) || ongoing_start_waiting(t) || fire_if_due(t))
        return;
    if (t->wants_room)
        turn_hold_for_room(t);
    else
        turn_end(t);
}

/* One of them, when the queue is full: thousands may be held at the same time. */
static void log_held(struct turn *t, const struct err *why)
{
    struct scheduler *s = t->scheduler;
    int64_t now_ms = clock_mono_ms();
    s->n_held_unlogged++;
    if (now_ms < s->held_log_mono_ms)
        return;
    log_warn("schedules cannot go on now; trying again", LOG_I("schedules", (int64_t)s->n_held_unlogged),
             LOG_I("schedule", t->id), LOG_S("why", why->msg));
    s->held_log_mono_ms = now_ms + HELD_LOG_MS;
    s->n_held_unlogged = 0;
}

static void hold(struct turn *t, const struct err *why)
{
    struct scheduler *s = t->scheduler;
    (void)mem_set_str(&t->refusal, why->msg); /* for the record of a miss, which does without */
    step_clear(&t->step);
    drop_view(t);
    leave_place(t);
    if (t->wishes != NULL) { /* these came meanwhile and may be fulfilled */
        turn_reread(t);
        return;
    }
    t->place = TURN_HELD;
    s->n_held++;
    DL_APPEND(s->held, t);
}

void turn_hold(struct turn *t, const struct err *why)
{
    if (t->refusal == NULL)
        log_held(t, why);
    hold(t, why);
}

/* Everyday work, which the log does not tell. */
void turn_hold_for_room(struct turn *t)
{
    struct err err;
    err_set(&err, ERR_BUSY, "others are under way, as many as may be at a time");
    hold(t, &err);
}

void turn_release_held(struct scheduler *s, size_t n)
{
    while (n-- > 0 && s->held != NULL) {
        struct turn *t = s->held;
        leave_place(t);
        wait_for_read(t);
    }
    turn_read_waiting(s);
}
