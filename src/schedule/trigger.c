/*
 * Fire times by Quartz's rules: CronTriggerImpl for cron, SimpleTriggerImpl for once (a simple trigger
 * without repeats) and interval.
 *
 * One deviation: an end is included for every kind. Quartz includes it for cron triggers, and leaves it out
 * for simple ones.
 *
 * The fire times of an interval are start + n * interval for n from 0 to repeat, whether they have fired or
 * not. Times that do not fit into 64 bits are never.
 */
#include "schedule/trigger.h"

#include "schedule/trigger_internal.h"

#include <assert.h>
#include <inttypes.h>

const char *trigger_kind_name(enum trigger_kind kind)
{
    static const char *const names[] = {
        [TRIGGER_CRON] = "cron", [TRIGGER_ONCE] = "once", [TRIGGER_INTERVAL] = "interval"};
    return names[kind];
}

/* ---- what the definition gives ---- */

static int64_t up_to_end(const struct trigger *t, int64_t at_ms)
{
    return at_ms > t->end_ms ? TRIGGER_NEVER : at_ms;
}

/* What cron_next() finds lies before the end of CRON_YEAR_MAX, and so fits in milliseconds. */
static int64_t cron_after(const struct trigger *t, int64_t after_s)
{
    int64_t at_s = 0;
    bool found = cron_next(&t->cron, t->zone, after_s, &at_s);
    return found ? up_to_end(t, at_s * 1000) : TRIGGER_NEVER;
}

/* after_ms is start or later. */
static int64_t interval_after(const struct trigger *t, int64_t after_ms)
{
    uint64_t number = trigger_steps(t->start_ms, after_ms, t->interval_ms) + 1;
    uint64_t since_start;
    int64_t at_ms;
    if (t->repeat != TRIGGER_REPEAT_FOREVER && number > (uint64_t)t->repeat)
        return TRIGGER_NEVER;
    if (__builtin_mul_overflow(number, (uint64_t)t->interval_ms, &since_start) ||
        __builtin_add_overflow(t->start_ms, since_start, &at_ms))
        return TRIGGER_NEVER;
    return up_to_end(t, at_ms);
}

static int64_t first_of(const struct trigger *t)
{
    if (t->kind == TRIGGER_CRON)
        return cron_after(t, trigger_seconds(t->start_ms) - 1);
    return up_to_end(t, t->start_ms);
}

int64_t trigger_after(const struct trigger *t, int64_t after_ms)
{
    switch (t->kind) {
    case TRIGGER_CRON:
        if (trigger_seconds(after_ms) >= trigger_seconds(t->start_ms))
            return cron_after(t, trigger_seconds(after_ms));
        break;
    case TRIGGER_INTERVAL:
        if (after_ms >= t->start_ms)
            return interval_after(t, after_ms);
        break;
    case TRIGGER_ONCE:
    case TRIGGER_KINDS:
        if (after_ms >= t->start_ms)
            return TRIGGER_NEVER;
        break;
    }
    return first_of(t);
}

/* ---- how far it has come ---- */

static enum err_code check_interval(const struct trigger *t, struct err *err)
{
    if (t->interval_ms < TRIGGER_INTERVAL_MIN_MS)
        return err_set(err, ERR_INVALID, "interval '%" PRId64 "': milliseconds, at least %d", t->interval_ms,
                       TRIGGER_INTERVAL_MIN_MS);
    if (t->repeat < TRIGGER_REPEAT_FOREVER)
        return err_set(err, ERR_INVALID, "repeat '%" PRId64 "': 0 or more, or %d for ever", t->repeat,
                       TRIGGER_REPEAT_FOREVER);
    return ERR_OK;
}

enum err_code trigger_begin(struct trigger *t, struct err *err)
{
    if (t->kind == TRIGGER_INTERVAL && check_interval(t, err) != ERR_OK)
        return ERR_INVALID;
    if (t->end_ms < t->start_ms)
        return err_set(err, ERR_INVALID, "End time cannot be before start time");
    int64_t first_ms = first_of(t);
    if (first_ms == TRIGGER_NEVER)
        return err_set(err, ERR_INVALID, "based on its schedule, start and end, the trigger will never fire");
    t->next_ms = first_ms;
    t->previous_ms = TRIGGER_NOT_YET;
    t->fired = 0;
    return ERR_OK;
}

int64_t trigger_following(const struct trigger *t, int64_t after_ms)
{
    bool is_counted = t->kind == TRIGGER_INTERVAL && t->repeat != TRIGGER_REPEAT_FOREVER;
    return is_counted && t->fired > t->repeat ? TRIGGER_NEVER : trigger_after(t, after_ms);
}

void trigger_fired(struct trigger *t)
{
    assert(t->next_ms != TRIGGER_NEVER);
    t->fired = trigger_sum(t->fired, 1);
    t->previous_ms = t->next_ms;
    t->next_ms = trigger_following(t, t->next_ms);
}

/* ---- clocks that are set ---- */

/* Stops at the first and last instant that is no sign for something else. */
static int64_t moved(int64_t at_ms, int64_t delta_ms)
{
    int64_t to_ms;
    if (at_ms == TRIGGER_NOT_YET || at_ms == TRIGGER_NEVER)
        return at_ms;
    if (__builtin_add_overflow(at_ms, delta_ms, &to_ms))
        return delta_ms > 0 ? TRIGGER_NEVER - 1 : TRIGGER_NOT_YET + 1;
    return to_ms == TRIGGER_NEVER ? to_ms - 1 : to_ms == TRIGGER_NOT_YET ? to_ms + 1 : to_ms;
}

void trigger_shift(struct trigger *t, int64_t delta_ms)
{
    bool has_begun = t->previous_ms != TRIGGER_NOT_YET || t->next_ms != t->start_ms;
    if (t->kind != TRIGGER_INTERVAL || !has_begun)
        return;
    t->start_ms = moved(t->start_ms, delta_ms);
    t->previous_ms = moved(t->previous_ms, delta_ms);
    t->next_ms = up_to_end(t, moved(t->next_ms, delta_ms));
}
