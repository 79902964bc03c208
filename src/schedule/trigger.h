/*
 * Triggers: when something fires. Pure arithmetic: no clock, no disk, no memory.
 *
 *   cron       at the fire times of an expression, read in a time zone
 *   once       at `start`
 *   interval   at `start`, then every interval, `repeat` more times
 *
 * within [start, end], both included; the start of cron is cut to whole seconds. A trigger remembers the fire
 * time that comes next; trigger_fired() moves it on. When that time is past by more than a threshold, because
 * nobody was there to fire, it has misfired, and its misfire instruction says what happens: those are
 * Quartz 2.3's, and so are their results, which docs/scheduling.md lists.
 *
 * Instants are milliseconds since 1970-01-01T00:00:00Z. A struct trigger is a value: copy it, keep it, forget
 * it.
 *
 * Thread   any.
 */
#ifndef HEARTH_SCHEDULE_TRIGGER_H
#define HEARTH_SCHEDULE_TRIGGER_H

#include "base/err.h"
#include "schedule/cron.h"
#include "schedule/zone.h"

#include <stdbool.h>
#include <stdint.h>

enum trigger_kind { TRIGGER_CRON, TRIGGER_ONCE, TRIGGER_INTERVAL, TRIGGER_KINDS };

enum misfire {
    MISFIRE_SMART,          /* cron: once now; once: now; interval: as next_remaining without a limit of
                               repeats, else as now_existing */
    MISFIRE_IGNORE,         /* each missed time fires, at once, one after the other */
    MISFIRE_ONCE_NOW,       /* "fire_now": once, now; interval with repeats: as now_remaining */
    MISFIRE_SKIP,           /* cron only, "do_nothing": goes on with the next time after now */
    MISFIRE_NOW_EXISTING,   /* interval only: begins again now, with as many repeats as were left */
    MISFIRE_NOW_REMAINING,  /* interval only: begins again now, less the repeats that were missed */
    MISFIRE_NEXT_REMAINING, /* interval only: next time after now, the missed ones count as fired */
    MISFIRE_NEXT_EXISTING,  /* interval only: next time after now, the missed ones are not counted */
    MISFIRES
};

/* "smart", "ignore", "fire_now", "do_nothing", "now_with_existing_count", "now_with_remaining_count",
 * "next_with_remaining_count", "next_with_existing_count". */
const char *misfire_name(enum misfire misfire);
/* ERR_INVALID tells what is allowed for that kind. */
enum err_code misfire_find(const char *name, enum trigger_kind kind, enum misfire *ret, struct err *err);
const char *trigger_kind_name(enum trigger_kind kind); /* "cron", "once", "interval" */

enum {
    TRIGGER_REPEAT_FOREVER = -1,
    TRIGGER_INTERVAL_MIN_MS = 1000,
};
#define TRIGGER_NEVER INT64_MAX   /* as next_ms: it does not fire any more; as end_ms: it has no end */
#define TRIGGER_NOT_YET INT64_MIN /* as previous_ms: it has not fired */

struct trigger {
    /* what it is */
    enum trigger_kind kind;
    enum misfire misfire;
    struct cron cron;        /* of cron */
    const struct zone *zone; /* of cron */
    int64_t interval_ms;     /* of interval */
    int64_t repeat;          /* of interval: fires after the first */
    int64_t start_ms;
    int64_t end_ms; /* or TRIGGER_NEVER */
    /* how far it has come */
    int64_t next_ms;     /* fire time that comes next, or TRIGGER_NEVER */
    int64_t previous_ms; /* fire time that came last, or TRIGGER_NOT_YET */
    int64_t fired;       /* fires so far; of interval since its last beginning */
};

/* Finds the first fire time; nothing has fired yet. ERR_INVALID: end before start ("End time cannot be before
 * start time"), no fire time in the window ("… will never fire"), interval or repeat out of range. */
enum err_code trigger_begin(struct trigger *t, struct err *err);

/* The first fire time after an instant that its definition gives, whatever it has fired already;
 * TRIGGER_NEVER when there is none. For showing what is to come, step by step. */
int64_t trigger_after(const struct trigger *t, int64_t after_ms);

/* next_ms has fired: it becomes previous_ms, and the one after it comes next. */
void trigger_fired(struct trigger *t);

/* What a misfire has cost. */
struct missed {
    int64_t first_ms,
        last_ms;   /* fire times that did not fire at their time; those that fire now are not in it */
    int64_t count; /* counted up to MISSED_MAX */
};
enum { MISSED_MAX = 1000 }; /* each one of cron costs as much as a look for the next */

/* Applies the misfire instruction when next_ms lies more than threshold_ms before now_ms; false when it does
 * not, or when the instruction is to ignore it. Afterwards next_ms is now_ms (fire at once), a later time, or
 * TRIGGER_NEVER. `ret` tells what was left out. */
bool trigger_apply_misfire(struct trigger *t, int64_t now_ms, int64_t threshold_ms, struct missed *ret);

/* The clock on the wall was put forward or back by delta_ms: an interval is a duration, so its beginning and
 * its fire times move along. What was promised as an instant stays: the end (next_ms is TRIGGER_NEVER when it
 * would come behind it), the start of an interval that has not begun, other kinds. */
void trigger_shift(struct trigger *t, int64_t delta_ms);

#endif
