/*
 * What people ask: rows are read and made sense of on a worker, the answer is given on the loop. One whose
 * row is not readable is left out, and logged.
 */
#include "scheduler/scheduler_internal.h"

#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- schedules ---- */

enum { VIEWS_FIRST = 16, UPCOMING_MAX = 100000 };

struct views {
    struct schedule_view *items;
    size_t n, cap;
    enum err_code failed;  /* ERR_NOMEM */
    int64_t id;            /* of a single one; -1: it is looked for by its name */
    struct err unreadable; /* why the one of that id is */
    schedule_cb *one;
    schedules_cb *many;
    void *arg;
};

static void views_free(struct views *v)
{
    for (size_t i = 0; i < v->n; i++)
        schedule_view_clear(&v->items[i]);
    mem_free(v->items);
    mem_free(v);
}

static bool views_grow(struct views *v)
{
    size_t cap = v->cap > 0 ? 2 * v->cap : VIEWS_FIRST;
    struct schedule_view *items = mem_realloc(v->items, cap * sizeof *items);
    if (items == NULL)
        return false;
    v->items = items;
    v->cap = cap;
    return true;
}

/* False: memory is short. On a worker, as all that reads a row. */
static bool read_view(const struct store_schedule *row, struct schedule_view *ret, bool *is_readable,
                      struct err *err)
{
    enum err_code rc = record_read_schedule(row, ret, err);
    *is_readable = rc == ERR_OK;
    if (rc != ERR_OK && rc != ERR_NOMEM)
        log_error("a stored schedule is not readable", LOG_I("schedule", row->id), LOG_S("why", err->msg));
    return rc != ERR_NOMEM;
}

/* Of one that is asked for by its id, what is known is told all the same. */
static bool see_unreadable(struct views *v, const struct store_schedule *row, const struct err *why)
{
    if (v->one == NULL || v->id < 0)
        return true;
    if (record_unreadable(row, &v->items[v->n]) != ERR_OK)
        return false;
    err_set(&v->unreadable, ERR_INTERNAL, "schedule %" PRId64 " is not readable: %.400s", row->id, why->msg);
    v->n++;
    return true;
}

static bool see_view(const struct store_schedule *row, void *arg)
{
    struct views *v = arg;
    bool is_readable = false;
    struct err err = {0};
    if ((v->n == v->cap && !views_grow(v)) || !read_view(row, &v->items[v->n], &is_readable, &err) ||
        (!is_readable && !see_unreadable(v, row, &err))) {
        v->failed = ERR_NOMEM;
        return false;
    }
    v->n += is_readable;
    return true;
}

static const struct err *result_of(const struct err *err, enum err_code failed, struct err *space)
{
    if (err->code == ERR_OK && failed != ERR_OK) {
        err_set(space, failed, "out of memory");
        return space;
    }
    return err;
}

static void on_one(const struct err *err, int64_t total, void *arg)
{
    struct views *v = arg;
    struct err space = {0};
    (void)total;
    err = result_of(err, v->failed, &space);
    if (err->code == ERR_OK && v->n == 0) {
        if (v->id >= 0)
            err_set(&space, ERR_NOT_FOUND, "there is no schedule %" PRId64, v->id);
        else
            err_set(&space, ERR_NOT_FOUND, "there is no schedule of that group and name");
        err = &space;
    }
    bool is_there = err->code == ERR_OK;
    v->one(is_there ? &v->unreadable : err, is_there ? &v->items[0] : NULL, v->arg);
    views_free(v);
}

static void read_one(struct scheduler *s, const struct store_schedules *which, int64_t id, schedule_cb *done,
                     void *arg)
{
    struct views *v = mem_calloc(1, sizeof *v);
    if (v == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        done(&err, NULL, arg);
        return;
    }
    v->id = id;
    v->one = done;
    v->arg = arg;
    store_read_schedules(s->options.store, which, see_view, v, on_one, v);
}

void scheduler_get(struct scheduler *s, int64_t id, schedule_cb *done, void *arg)
{
    const struct store_schedules which = {.ids = &id, .n_ids = 1, .after_id = -1, .max = -1};
    read_one(s, &which, id, done, arg);
}

void scheduler_find(struct scheduler *s, const char *group, const char *name, schedule_cb *done, void *arg)
{
    const struct store_schedules which = {.group = group, .name = name, .after_id = -1, .max = 1};
    read_one(s, &which, -1, done, arg);
}

static void on_many(const struct err *err, int64_t total, void *arg)
{
    struct views *v = arg;
    struct err space = {0};
    err = result_of(err, v->failed, &space);
    bool good = err->code == ERR_OK;
    v->many(err, good ? v->items : NULL, good ? v->n : 0, good ? total : 0, v->arg);
    views_free(v);
}

void scheduler_list(struct scheduler *s, const struct schedule_query *query, schedules_cb *done, void *arg)
{
    struct views *v = mem_calloc(1, sizeof *v);
    if (v == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        done(&err, NULL, 0, 0, arg);
        return;
    }
    v->many = done;
    v->arg = arg;
    const struct store_schedules which = {
        .group = query->group,
        .door = query->door,
        .after_id = query->after_id,
        .max = query->max < INT64_MAX ? (int64_t)query->max : INT64_MAX,
        .by_name = query->by_name,
        .newest_first = query->newest_first,
        .from = query->from,
    };
    store_read_schedules(s->options.store, &which, see_view, v, on_many, v);
}

/* ---- fires ---- */

struct fires {
    struct fire_view *items;
    size_t n, cap;
    enum err_code failed;
    fires_cb *done;
    void *arg;
};

static void fires_free(struct fires *f)
{
    for (size_t i = 0; i < f->n; i++) {
        mem_free((char *)(uintptr_t)f->items[i].reason); /* copies of ours */
        mem_free((char *)(uintptr_t)f->items[i].token);
    }
    mem_free(f->items);
    mem_free(f);
}

static bool fires_grow(struct fires *f)
{
    size_t cap = f->cap > 0 ? 2 * f->cap : VIEWS_FIRST;
    struct fire_view *items = mem_realloc(f->items, cap * sizeof *items);
    if (items == NULL)
        return false;
    f->items = items;
    f->cap = cap;
    return true;
}

static bool add_fire(struct fires *f, const struct fire_view *fire)
{
    char *reason = NULL;
    char *token = NULL;
    if ((f->n == f->cap && !fires_grow(f)) || mem_set_str(&reason, fire->reason) != 0 ||
        mem_set_str(&token, fire->token) != 0) {
        mem_free(reason);
        return false;
    }
    f->items[f->n] = *fire;
    f->items[f->n].reason = reason;
    f->items[f->n].token = token;
    f->n++;
    return true;
}

static bool see_fire(const struct store_fire *row, void *arg)
{
    struct fires *f = arg;
    struct fire_view fire;
    if (!record_read_fire(row, &fire)) {
        log_error("a stored fire is not readable", LOG_I("schedule", row->schedule),
                  LOG_I("fire", row->number));
        return true;
    }
    if (add_fire(f, &fire))
        return true;
    f->failed = ERR_NOMEM;
    return false;
}

static void on_fires(const struct err *err, int64_t total, void *arg)
{
    struct fires *f = arg;
    struct err space = {0};
    (void)total;
    err = result_of(err, f->failed, &space);
    bool good = err->code == ERR_OK;
    f->done(err, good ? f->items : NULL, good ? f->n : 0, f->arg);
    fires_free(f);
}

void scheduler_history(struct scheduler *s, int64_t id, int64_t before, size_t max, fires_cb *done, void *arg)
{
    struct fires *f = mem_calloc(1, sizeof *f);
    if (f == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        done(&err, NULL, 0, arg);
        return;
    }
    f->done = done;
    f->arg = arg;
    store_read_fires(s->options.store, id, before, max < INT64_MAX ? (int64_t)max : INT64_MAX, see_fire, f,
                     on_fires, f);
}

/* ---- what is to come ---- */

/* Schedules are read a slice at a time, so that others who ask have their turn in between. */
enum { SLICE = 500 };

/* The earliest `max` of all times: a heap with the latest of them on top. */
struct coming {
    struct scheduler *scheduler;
    int64_t id;                /* -1: of all */
    size_t n_rows, n_in_slice; /* looked at */
    struct store_place behind; /* the last of them */
    bool is_over;              /* those that follow are too late */
    struct upcoming *items;
    size_t n, cap, max;
    bool is_complete;
    enum err_code failed;
    int64_t from_ms, to_ms;
    upcoming_cb *done;
    void *arg;
};

static bool is_later(const struct upcoming *a, const struct upcoming *b)
{
    return a->at_ms != b->at_ms ? a->at_ms > b->at_ms : a->schedule > b->schedule;
}

static int compare(const void *a, const void *b)
{
    return is_later(a, b) ? 1 : is_later(b, a) ? -1 : 0;
}

static void clear_item(struct upcoming *u)
{
    mem_free((char *)(uintptr_t)u->group); /* copies of ours */
    mem_free((char *)(uintptr_t)u->name);
}

static void sift_up(struct coming *c, size_t at)
{
    struct upcoming item = c->items[at];
    while (at > 0 && is_later(&item, &c->items[(at - 1) / 2])) {
        c->items[at] = c->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    c->items[at] = item;
}

static void drop_latest(struct coming *c)
{
    clear_item(&c->items[0]);
    struct upcoming item = c->items[--c->n];
    size_t at = 0;
    for (size_t child = 1; child < c->n; child = 2 * at + 1) {
        if (child + 1 < c->n && is_later(&c->items[child + 1], &c->items[child]))
            child++;
        if (!is_later(&c->items[child], &item))
            break;
        c->items[at] = c->items[child];
        at = child;
    }
    if (c->n > 0)
        c->items[at] = item;
}

/* False: it is too late to matter, or memory is short. */
static bool add_time(struct coming *c, const struct schedule_view *view, int64_t at_ms)
{
    struct upcoming item = {.schedule = view->id, .at_ms = at_ms};
    if (c->n == c->max) {
        c->is_complete = false;
        if (c->n == 0 || !is_later(&c->items[0], &item))
            return false;
        drop_latest(c);
    }
    char *group = mem_strdup(view->spec.group);
    char *name = mem_strdup(view->spec.name);
    if (c->n == c->cap) {
        size_t cap = c->cap > 0 ? 2 * c->cap : VIEWS_FIRST;
        struct upcoming *items = mem_realloc(c->items, cap * sizeof *items);
        c->items = items != NULL ? items : c->items;
        c->cap = items != NULL ? cap : c->cap;
    }
    if (group == NULL || name == NULL || c->n == c->cap) {
        mem_free(group);
        mem_free(name);
        c->failed = ERR_NOMEM;
        return false;
    }
    item.group = group;
    item.name = name;
    c->items[c->n++] = item;
    sift_up(c, c->n - 1);
    return true;
}

/* Its times before the one that comes next have fired, or will not. */
static void add_times(struct coming *c, const struct schedule_view *view)
{
    const struct trigger *t = &view->spec.trigger;
    if (view->state != SCHEDULE_ACTIVE)
        return;
    int64_t at_ms = t->next_ms;
    if (at_ms < c->from_ms)
        at_ms = trigger_after(t, c->from_ms - 1);
    while (at_ms != TRIGGER_NEVER && at_ms < c->to_ms && add_time(c, view, at_ms))
        at_ms = trigger_after(t, at_ms);
}

static bool see_coming(const struct store_schedule *row, void *arg)
{
    struct coming *c = arg;
    struct schedule_view view = {0};
    struct err err = {0};
    bool is_readable = false;
    c->n_rows++;
    c->n_in_slice++;
    c->behind = (struct store_place){row->due_ms, row->priority, row->id};
    if (!read_view(row, &view, &is_readable, &err)) {
        c->failed = ERR_NOMEM;
        return false;
    }
    if (!is_readable)
        return true;
    /* They come ascending by their next time: what is behind the latest kept one ends it. */
    c->is_over = c->n == c->max && c->n > 0 && view.spec.trigger.next_ms > c->items[0].at_ms;
    if (c->is_over)
        c->is_complete = false;
    else
        add_times(c, &view);
    schedule_view_clear(&view);
    return !c->is_over && c->failed == ERR_OK;
}

/* A schedule that fired between two slices may have come twice. */
static void drop_twins(struct coming *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (n > 0 && compare(&c->items[n - 1], &c->items[i]) == 0)
            clear_item(&c->items[i]);
        else
            c->items[n++] = c->items[i];
    }
    c->n = n;
}

static void coming_end(struct coming *c, const struct err *err)
{
    bool good = err->code == ERR_OK;
    if (c->n > 0)
        qsort(c->items, c->n, sizeof *c->items, compare);
    drop_twins(c);
    c->done(err, good ? c->items : NULL, good ? c->n : 0, good && c->is_complete, c->arg);
    for (size_t i = 0; i < c->n; i++)
        clear_item(&c->items[i]);
    mem_free(c->items);
    mem_free(c);
}

static void read_coming(struct coming *c);

static void on_coming(const struct err *err, int64_t total, void *arg)
{
    struct coming *c = arg;
    struct err space = {0};
    (void)total;
    err = result_of(err, c->failed, &space);
    bool has_more = c->id < 0 && c->n_in_slice == SLICE && !c->is_over;
    if (has_more && c->n_rows >= SCHEDULER_UPCOMING_ROWS) {
        c->is_complete = false;
        has_more = false;
    }
    if (err->code != ERR_OK || !has_more) {
        coming_end(c, err);
    } else if (c->scheduler->stopping) {
        err_set(&space, ERR_BUSY, "the server stops");
        coming_end(c, &space);
    } else {
        read_coming(c);
    }
}

static void read_coming(struct coming *c)
{
    struct store_schedules which = {.after_id = -1, .max = -1};
    c->n_in_slice = 0;
    if (c->id >= 0) {
        which.ids = &c->id;
        which.n_ids = 1;
    } else {
        which.due_before_ms = c->to_ms > 1 ? c->to_ms : 1;
        which.behind = c->behind;
        which.max = SLICE;
    }
    store_read_schedules(c->scheduler->options.store, &which, see_coming, c, on_coming, c);
}

void scheduler_upcoming(struct scheduler *s, int64_t id, int64_t from_ms, int64_t to_ms, size_t max,
                        upcoming_cb *done, void *arg)
{
    struct coming *c = mem_calloc(1, sizeof *c);
    if (c == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        done(&err, NULL, 0, false, arg);
        return;
    }
    *c = (struct coming){
        .scheduler = s,
        .id = id,
        .max = max < UPCOMING_MAX ? max : UPCOMING_MAX,
        .is_complete = true,
        .from_ms = from_ms > INT64_MIN ? from_ms : INT64_MIN + 1,
        .to_ms = to_ms,
        .done = done,
        .arg = arg,
    };
    read_coming(c);
}
