/*
 * Misfires: what updateAfterMisfire() of Quartz's triggers does, and an account of the fire times that it
 * leaves out.
 *
 * What "fires now" is a fire of its own, planned for now: the times that were missed stay missed. Only a fire
 * time that lies exactly at now is not missed by it.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "schedule/trigger.h"
#include "schedule/trigger_internal.h"

#include <string.h>

/* ---- names ---- */

enum {
    FOR_CRON = 1 << TRIGGER_CRON,
    FOR_ONCE = 1 << TRIGGER_ONCE,
    FOR_INTERVAL = 1 << TRIGGER_INTERVAL,
    FOR_ALL = FOR_CRON | FOR_ONCE | FOR_INTERVAL,
};

static const struct {
    const char *name;
    unsigned kinds; /* bits FOR_… */
} misfires[] = {
    [MISFIRE_SMART] = {"smart", FOR_ALL},
    [MISFIRE_IGNORE] = {"ignore", FOR_ALL},
    [MISFIRE_ONCE_NOW] = {"fire_now", FOR_ALL},
    [MISFIRE_SKIP] = {"do_nothing", FOR_CRON},
    [MISFIRE_NOW_EXISTING] = {"now_with_existing_count", FOR_INTERVAL},
    [MISFIRE_NOW_REMAINING] = {"now_with_remaining_count", FOR_INTERVAL},
    [MISFIRE_NEXT_REMAINING] = {"next_with_remaining_count", FOR_INTERVAL},
    [MISFIRE_NEXT_EXISTING] = {"next_with_existing_count", FOR_INTERVAL},
};

const char *misfire_name(enum misfire misfire)
{
    return misfires[misfire].name;
}

static enum err_code refuse(const char *name, enum trigger_kind kind, struct err *err)
{
    cleanup(buf_clear) struct buf allowed = BUF(256);
    for (enum misfire m = MISFIRE_SMART; m < MISFIRES; m++)
        if ((misfires[m].kinds & 1U << kind) != 0)
            buf_printf(&allowed, "%s%s", allowed.len > 0 ? ", " : "", misfires[m].name);
    return err_set(err, ERR_INVALID, "'%.40s' is not known for the kind %s (allowed: %s)", name,
                   trigger_kind_name(kind), buf_cstr(&allowed));
}

enum err_code misfire_find(const char *name, enum trigger_kind kind, enum misfire *ret, struct err *err)
{
    for (enum misfire m = MISFIRE_SMART; m < MISFIRES; m++) {
        if ((misfires[m].kinds & 1U << kind) != 0 && strcmp(misfires[m].name, name) == 0) {
            *ret = m;
            return ERR_OK;
        }
    }
    return refuse(name, kind, err);
}

/* ---- what happens ---- */

static bool has_repeats(const struct trigger *t)
{
    return t->kind == TRIGGER_INTERVAL && t->repeat != 0;
}

/* What an instruction comes down to for this trigger. */
static enum misfire meaning_of(const struct trigger *t)
{
    if (t->misfire == MISFIRE_ONCE_NOW && has_repeats(t))
        return MISFIRE_NOW_REMAINING;
    if (t->misfire != MISFIRE_SMART)
        return t->misfire;
    if (!has_repeats(t))
        return MISFIRE_ONCE_NOW;
    return t->repeat == TRIGGER_REPEAT_FOREVER ? MISFIRE_NEXT_REMAINING : MISFIRE_NOW_EXISTING;
}

static void take_from_repeats(struct trigger *t, int64_t used)
{
    if (t->repeat == TRIGGER_REPEAT_FOREVER || t->repeat == 0)
        return;
    t->repeat = used < t->repeat ? t->repeat - used : 0;
    t->fired = 0;
}

static void begin_now(struct trigger *t, int64_t now_ms)
{
    if (t->end_ms < now_ms)
        t->next_ms = TRIGGER_NEVER;
    else
        t->start_ms = t->next_ms = now_ms;
}

static void go_on(struct trigger *t, int64_t now_ms, bool is_counted)
{
    int64_t next_ms = trigger_following(t, now_ms);
    if (is_counted && next_ms != TRIGGER_NEVER)
        t->fired = trigger_sum(t->fired, trigger_steps(t->next_ms, next_ms, t->interval_ms));
    t->next_ms = next_ms;
}

static void apply(struct trigger *t, int64_t now_ms)
{
    switch (meaning_of(t)) {
    case MISFIRE_ONCE_NOW: /* whatever the end */ t->next_ms = now_ms; return;
    case MISFIRE_NOW_EXISTING:
        take_from_repeats(t, t->fired);
        begin_now(t, now_ms);
        return;
    case MISFIRE_NOW_REMAINING:
        take_from_repeats(t, trigger_sum(t->fired, trigger_steps(t->next_ms, now_ms, t->interval_ms)));
        begin_now(t, now_ms);
        return;
    case MISFIRE_NEXT_REMAINING: go_on(t, now_ms, true); return;
    case MISFIRE_NEXT_EXISTING:
    case MISFIRE_SKIP: go_on(t, now_ms, false); return;
    case MISFIRE_SMART:
    case MISFIRE_IGNORE:
    case MISFIRES: return;
    }
}

/* ---- what it has cost ---- */

/* The number of the last fire time of an interval up to an instant that is not before its start. */
static uint64_t number_at(const struct trigger *t, int64_t at_ms)
{
    uint64_t number = trigger_steps(t->start_ms, at_ms, t->interval_ms);
    bool is_over = t->repeat != TRIGGER_REPEAT_FOREVER && number > (uint64_t)t->repeat;
    return is_over ? (uint64_t)t->repeat : number;
}

/* Fire times of an interval behind ret->first_ms, up to an instant. */
static void count_interval(const struct trigger *t, int64_t up_to_ms, struct missed *ret)
{
    uint64_t last = number_at(t, up_to_ms);
    uint64_t first = number_at(t, ret->first_ms);
    if (last <= first)
        return;
    ret->count = last - first < MISSED_MAX ? (int64_t)(last - first) + 1 : MISSED_MAX;
    ret->last_ms = (int64_t)((uint64_t)t->start_ms + last * (uint64_t)t->interval_ms);
}

static void count_cron(const struct trigger *t, int64_t up_to_ms, struct missed *ret)
{
    int64_t at_ms = ret->first_ms;
    int64_t last_s;
    while (ret->count < MISSED_MAX && (at_ms = trigger_after(t, at_ms)) <= up_to_ms) {
        ret->last_ms = at_ms;
        ret->count++;
    }
    if (ret->count == MISSED_MAX && cron_previous(&t->cron, t->zone, trigger_seconds(up_to_ms) + 1, &last_s))
        ret->last_ms = last_s * 1000;
}

/* From next_ms on, which is missed in any case. */
static struct missed missed_up_to(const struct trigger *t, int64_t up_to_ms)
{
    struct missed missed = {.first_ms = t->next_ms, .last_ms = t->next_ms, .count = 1};
    if (up_to_ms > t->end_ms)
        up_to_ms = t->end_ms;
    if (up_to_ms <= t->next_ms)
        return missed;
    if (t->kind == TRIGGER_CRON)
        count_cron(t, up_to_ms, &missed);
    else if (t->kind == TRIGGER_INTERVAL)
        count_interval(t, up_to_ms, &missed);
    return missed;
}

bool trigger_apply_misfire(struct trigger *t, int64_t now_ms, int64_t threshold_ms, struct missed *ret)
{
    int64_t latest_ms;
    if (__builtin_sub_overflow(now_ms, threshold_ms, &latest_ms) || t->next_ms >= latest_ms ||
        t->misfire == MISFIRE_IGNORE)
        return false;
    struct trigger before = *t;
    apply(t, now_ms);
    *ret = missed_up_to(&before, t->next_ms == now_ms ? now_ms - 1 : now_ms);
    return true;
}
