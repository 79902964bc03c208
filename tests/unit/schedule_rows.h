/* What the tests of stored schedules and fires share: rows to store, and calls that wait for their answer. */
#ifndef HEARTH_TESTS_SCHEDULE_ROWS_H
#define HEARTH_TESTS_SCHEDULE_ROWS_H

#include "store_world.h"

#include <string.h>

static inline struct store_schedule schedule_row(const char *group, const char *name)
{
    return (struct store_schedule){
        .group = group,
        .name = name,
        .state = "active",
        .spec = "{\"cron\":\"0 * * * * ?\"}",
        .progress = "{}",
        .priority = 5,
        .due_ms = 60000,
        .created_ms = 1000,
        .changed_ms = 1000,
    };
}

static inline struct answer insert_schedule(struct world *w, const struct store_schedule *schedule)
{
    struct answer a = {0};
    store_insert_schedule(w->store, schedule, on_answer, &a);
    await(w, &a.came);
    return a;
}

/* Inserts one with its due time and priority; its id. */
static inline int64_t insert_due(struct world *w, const char *group, const char *name, int64_t due_ms,
                                 int64_t priority)
{
    struct store_schedule row = schedule_row(group, name);
    row.due_ms = due_ms;
    row.priority = priority;
    struct answer a = insert_schedule(w, &row);
    assert_int_equal(a.err.code, ERR_OK);
    return a.id;
}

static inline struct answer update_schedule(struct world *w, const struct store_schedule *schedule)
{
    struct answer a = {0};
    store_update_schedule(w->store, schedule, on_answer, &a);
    await(w, &a.came);
    return a;
}

static inline struct answer remove_schedule(struct world *w, int64_t id)
{
    struct answer a = {0};
    store_remove_schedule(w->store, id, on_answer, &a);
    await(w, &a.came);
    return a;
}

/* The step that gives a schedule its fire `number`, when its version is `version`. */
static inline struct store_step step_row(int64_t schedule, int64_t version, int64_t number)
{
    return (struct store_step){
        .schedule = {.id = schedule,
                     .version = version,
                     .state = "active",
                     .progress = "{\"fired\":1}",
                     .due_ms = 120000,
                     .fires = number},
        .fire = {.cause = "trigger",
                 .state = "skipped",
                 .attempt = 1,
                 .planned_ms = 60000,
                 .ended_ms = 60001,
                 .batch = -1,
                 .reason = "the one before runs",
                 .ended = true},
        .keep = 100,
    };
}

static inline struct answer take_step(struct world *w, const struct store_step *step)
{
    struct answer a = {0};
    store_step(w->store, step, on_answer, &a);
    await(w, &a.came);
    return a;
}

/* A step whose fire runs. */
static inline struct store_step running_step(int64_t schedule, int64_t version, int64_t number)
{
    struct store_step step = step_row(schedule, version, number);
    step.fire.state = "running";
    step.fire.actual_ms = 60002;
    step.fire.ended_ms = 0;
    step.fire.ended = false;
    step.fire.reason = NULL;
    return step;
}

static inline struct answer fire_app(struct world *w, const struct store_step *step,
                                     const struct store_app *app)
{
    struct answer a = {0};
    store_fire_app(w->store, step, app, &first_note, on_answer, &a);
    await(w, &a.came);
    return a;
}

/* ---- reading ---- */

struct visited {
    struct answer answer; /* id: total */
    char text[2048];      /* what the visitor saw */
    int stop_after;       /* 0: never */
    int n;
};

static inline void see(struct visited *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void see(struct visited *v, const char *format, ...)
{
    size_t used = strlen(v->text);
    va_list list;
    va_start(list, format);
    (void)vsnprintf(v->text + used, sizeof v->text - used, format, list);
    va_end(list);
    v->n++;
}

static inline void on_visited(const struct err *err, int64_t total, void *arg)
{
    struct visited *v = arg;
    v->answer = (struct answer){.came = true, .err = *err, .id = total};
}

/* "id:group/name " of each. */
static inline bool see_name(const struct store_schedule *s, void *arg)
{
    struct visited *v = arg;
    see(v, "%d:%s/%s ", (int)s->id, s->group, s->name);
    return v->n != v->stop_after;
}

static inline struct visited read_schedules(struct world *w, const struct store_schedules *which,
                                            int stop_after)
{
    static struct visited v;
    v = (struct visited){.stop_after = stop_after};
    store_read_schedules(w->store, which, see_name, &v, on_visited, &v);
    await(w, &v.answer.came);
    return v;
}

static inline void expect_schedules(struct world *w, struct store_schedules which, const char *text,
                                    int64_t total)
{
    struct visited v = read_schedules(w, &which, 0);
    assert_int_equal(v.answer.err.code, ERR_OK);
    assert_string_equal(v.text, text);
    assert_int_equal(v.answer.id, total);
}

/* "number:cause:state:attempt:batch " of each. */
static inline bool see_fire(const struct store_fire *f, void *arg)
{
    struct visited *v = arg;
    see(v, "%d:%s:%s:%d:%d ", (int)f->number, f->cause, f->state, (int)f->attempt, (int)f->batch);
    return v->n != v->stop_after;
}

static inline struct visited read_fires(struct world *w, int64_t schedule, int64_t before, int64_t max)
{
    static struct visited v;
    v = (struct visited){0};
    store_read_fires(w->store, schedule, before, max, see_fire, &v, on_visited, &v);
    await(w, &v.answer.came);
    assert_int_equal(v.answer.id, 0);
    return v;
}

static inline void expect_fires(struct world *w, int64_t schedule, const char *text)
{
    struct visited v = read_fires(w, schedule, 0, -1);
    assert_int_equal(v.answer.err.code, ERR_OK);
    assert_string_equal(v.text, text);
}

#endif
