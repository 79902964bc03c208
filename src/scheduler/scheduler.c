/*
 * Opening, the timer that finds what is due, stopping.
 */
#include "scheduler/scheduler_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>
#include <utlist.h>

/* ---- the timer ---- */

/* Cron and one-shot schedules need nothing done: their due times are compared with the wall clock anyway. An
 * interval finds out when it fires. */
static void look_at_clocks(struct scheduler *s)
{
    int64_t offset_ms = clock_wall_ms() - clock_mono_ms();
    int64_t jump_ms = offset_ms - s->clock_offset_ms;
    s->clock_offset_ms = offset_ms;
    if (jump_ms > CLOCK_JUMP_MS || jump_ms < -CLOCK_JUMP_MS)
        log_info("the clock was set", LOG_I("by_ms", jump_ms));
}

/* Begins a turn for the first one when it is due. False: it is not, or memory is short. The turn notes it
 * again when there is still something to come. */
static bool take_first(struct scheduler *s, struct timing *timing, int64_t now_ms)
{
    const struct timing_entry *first = timing_first(timing);
    if (first == NULL || first->due_ms > now_ms)
        return false;
    int64_t id = first->id;
    if (turn_begin(s, id) == NULL)
        return false;
    (void)timing_take(timing, id, NULL); /* a turn that has just begun has it already */
    return true;
}

/* Those that are held do not keep others from their turn, except that memory has an end. */
static bool has_room(const struct scheduler *s)
{
    return s->n_turns - s->n_held < TURNS_MAX && s->n_held < HELD_MAX;
}

static void take_due(struct scheduler *s, int64_t wall_ms, int64_t mono_ms)
{
    bool more = true;
    while (more && has_room(s)) {
        more = take_first(s, &s->wall, wall_ms);
        more = take_first(s, &s->steady, mono_ms) || more;
        more = take_first(s, &s->delays, mono_ms) || more;
    }
}

/* `taken_ms`: what was due by then has been taken; when it has not, memory is short, and the tick tries
 * again. */
static int64_t sooner(int64_t wait_ms, const struct timing *timing, int64_t taken_ms, int64_t now_ms)
{
    const struct timing_entry *first = timing_first(timing);
    if (first == NULL || first->due_ms <= taken_ms || first->due_ms >= now_ms + wait_ms)
        return wait_ms;
    return first->due_ms > now_ms ? first->due_ms - now_ms : 1;
}

static void on_timer(uv_timer_t *timer);

void scheduler_pump(struct scheduler *s)
{
    if (!s->started || s->stopping)
        return;
    int64_t wall_ms = clock_wall_ms();
    int64_t mono_ms = clock_mono_ms();
    take_due(s, wall_ms, mono_ms);
    turn_read_waiting(s);
    int64_t now_ms = clock_mono_ms();
    int64_t wait_ms = s->tick_mono_ms > now_ms ? s->tick_mono_ms - now_ms : 0;
    if (has_room(s)) {
        wait_ms = sooner(wait_ms, &s->wall, wall_ms, clock_wall_ms());
        wait_ms = sooner(wait_ms, &s->steady, mono_ms, now_ms);
        wait_ms = sooner(wait_ms, &s->delays, mono_ms, now_ms);
    }
    uv_update_time(s->options.loop);
    (void)uv_timer_start(&s->timer, on_timer, (uint64_t)wait_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct scheduler *s = timer->data;
    if (clock_mono_ms() >= s->tick_mono_ms) {
        s->tick_mono_ms = clock_mono_ms() + TICK_MS;
        look_at_clocks(s);
        turn_release_held(s, READ_BATCH);
    }
    scheduler_pump(s);
}

/* ---- opening ---- */

static bool on_due(const struct store_due *due, void *arg)
{
    struct scheduler *s = arg;
    if (!due->steady)
        return timing_put(&s->wall, due->id, due->due_ms, (int32_t)due->priority);
    /* After a restart the wall clock tells how much of a duration is left. */
    return timing_put(&s->steady, due->id, due->due_ms - s->load_offset_ms, (int32_t)due->priority);
}

static bool on_fire(const struct store_fire *row, void *arg)
{
    return ongoing_load(arg, row);
}

enum err_code scheduler_open(const struct scheduler_options *options, struct scheduler **ret, struct err *err)
{
    struct scheduler *s = mem_calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->options = *options;
    s->clock_offset_ms = s->load_offset_ms = clock_wall_ms() - clock_mono_ms();
    enum err_code rc = store_load_due(options->store, on_due, s, err);
    if (rc == ERR_OK)
        rc = store_count_schedules(options->store, &s->schedules, err);
    if (rc == ERR_OK)
        rc = store_load_fires(options->store, on_fire, s, err);
    if (rc != ERR_OK) {
        scheduler_free(s);
        return rc;
    }
    (void)uv_timer_init(options->loop, &s->timer); /* cannot fail */
    s->timer.data = s;
    s->has_timer = true;
    *ret = s;
    return ERR_OK;
}

void scheduler_start(struct scheduler *s)
{
    s->started = true;
    s->tick_mono_ms = clock_mono_ms() + TICK_MS;
    ongoing_take_up(s);
    scheduler_pump(s);
}

/* ---- doors ---- */

void scheduler_add_door(struct scheduler *s, const struct schedule_door *door)
{
    struct door_entry *entry = mem_calloc(1, sizeof *entry);
    if (entry == NULL) {
        log_error("out of memory: the schedules of a door are refused", LOG_S("door", door->name));
        return;
    }
    entry->door = *door;
    LL_PREPEND(s->doors, entry);
}

struct door_entry *scheduler_find_door_entry(const struct scheduler *s, const char *name)
{
    struct door_entry *entry;
    LL_FOREACH(s->doors, entry)
    {
        if (name != NULL && strcmp(entry->door.name, name) == 0)
            return entry;
    }
    return NULL;
}

const struct schedule_door *scheduler_find_door(const struct scheduler *s, const char *name)
{
    const struct door_entry *entry = scheduler_find_door_entry(s, name);
    return entry != NULL ? &entry->door : NULL;
}

/* ---- looking ---- */

struct scheduler_summary scheduler_summary(const struct scheduler *s)
{
    const struct timing_entry *wall = timing_first(&s->wall);
    const struct timing_entry *steady = timing_first(&s->steady);
    struct scheduler_summary summary = {
        .schedules = s->schedules,
        .active = (int64_t)s->wall.n + s->steady.n + (int64_t)s->n_due_turns,
        .running = s->running,
        .next_ms = wall != NULL ? wall->due_ms : TRIGGER_NEVER,
    };
    int64_t steady_ms = steady != NULL ? steady->due_ms + s->clock_offset_ms : TRIGGER_NEVER;
    if (steady_ms < summary.next_ms)
        summary.next_ms = steady_ms;
    return summary;
}

/* ---- stopping ---- */

void scheduler_stop(struct scheduler *s)
{
    struct err err;
    if (s == NULL)
        return;
    s->stopping = true;
    err_set(&err, ERR_BUSY, "the server stops");
    struct turn *t;
    struct turn *next;
    HASH_ITER(hh, s->turns, t, next)
    {
        if (t->wish != NULL)
            wish_tell(t, t->wish, &err, -1);
        while (t->wishes != NULL)
            wish_tell(t, t->wishes, &err, -1);
        turn_free(t);
    }
    ongoing_clear(s);
    if (s->has_timer)
        uv_close((uv_handle_t *)&s->timer, NULL);
    s->has_timer = false;
}

void scheduler_free(struct scheduler *s)
{
    if (s == NULL)
        return;
    ongoing_clear(s);
    timing_clear(&s->wall);
    timing_clear(&s->steady);
    timing_clear(&s->delays);
    struct door_entry *entry;
    struct door_entry *next;
    LL_FOREACH_SAFE(s->doors, entry, next)
    {
        mem_free(entry);
    }
    mem_free(s);
}
