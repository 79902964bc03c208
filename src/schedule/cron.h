/*
 * Cron expressions in Quartz's language, and in the five fields of Unix.
 *
 *     0 15 10 ? * MON-FRI            seconds, minutes, hours, day of month, month, day of week, [year]
 *     unix: 15 10 * * 1-5            minutes, hours, day of month, month, day of week
 *
 * The first is read as Quartz 2.3.2 reads it, with its leniencies, and fires when it fires, also where clocks
 * are put forward or back: a wall time that is left out does not fire, one that comes twice fires the second
 * time. What Quartz accepts and then cannot compute, or computes for ever, is refused here. The word "unix:"
 * in front says that the five-field form follows: there Sunday is 0 or 7, and when both days are restricted
 * either may match. docs/cron.md tells the whole language.
 *
 * A struct cron is a value of a few words: copy it, keep it, forget it. Questions about it allocate nothing
 * and take a bounded number of steps, whatever it says. Instants are seconds since 1970-01-01T00:00:00Z.
 *
 * Thread   any.
 */
#ifndef HEARTH_SCHEDULE_CRON_H
#define HEARTH_SCHEDULE_CRON_H

#include "base/buf.h"
#include "base/err.h"
#include "schedule/zone.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CRON_TEXT_MAX = 1024, /* the longest expression, bytes */
    /* `*` in the year field, and the last years that are looked at. */
    CRON_YEAR_MIN = 1970,
    CRON_YEAR_MAX = 2199,
    CRON_YEAR_WORDS = 4,
};

enum cron_day_rule {
    CRON_DAYS,            /* days of the month */
    CRON_WEEKDAYS,        /* days of the week */
    CRON_EITHER,          /* one or the other (Unix form) */
    CRON_BOTH,            /* one and the other (Unix form) */
    CRON_LAST_DAY,        /* L, L-n */
    CRON_LAST_WORKDAY,    /* LW, L-nW: the working day nearest to it */
    CRON_NEAREST_WORKDAY, /* nW */
    CRON_LAST_WEEKDAY,    /* nL: the last Friday */
    CRON_NTH_WEEKDAY,     /* n#m: the third Friday */
};

/* Bit n of a set is the value n; of the years, 1970 + n. */
struct cron {
    uint64_t seconds, minutes;
    uint64_t years[CRON_YEAR_WORDS];
    uint32_t hours, days;
    uint16_t months;  /* 1-12 */
    uint8_t weekdays; /* 1 = Sunday .. 7 */
    uint8_t day_rule; /* enum cron_day_rule */
    uint8_t day;      /* the n of nW; how far before the last day in L-n and L-nW */
    uint8_t weekday;  /* of nL and n#m; 1 = Sunday */
    uint8_t nth;      /* the m of n#m */
};

enum { CRON_VALUE_MAX = 48, CRON_REASON_MAX = 240 };

/* Why an expression is refused, for programs. */
struct cron_problem {
    const char *field;          /* "hours"; NULL when it is about the expression as a whole */
    const char *allowed;        /* what the field may hold; NULL with field */
    char value[CRON_VALUE_MAX]; /* the part of the field that is wrong, cut */
    /* Quartz's own words where it refuses the expression, too. */
    char reason[CRON_REASON_MAX];
};

/* On failure ERR_INVALID, or ERR_TOO_LARGE for more than CRON_TEXT_MAX bytes, with a message that names the
 * field, the value and what is allowed; *ret is untouched. `problem` may be NULL; it is filled on failure
 * only. */
enum err_code cron_parse(const char *text, struct cron *ret, struct cron_problem *problem, struct err *err);

/* Whether the word for the five-field form stands in front, in whatever case. */
bool cron_is_unix(const char *text);

/* The first instant after `after_s` at which it fires; false when there is none to the end of CRON_YEAR_MAX.
 */
bool cron_next(const struct cron *cron, const struct zone *zone, int64_t after_s, int64_t *ret_s);
/* The last instant before `before_s` at which it fires; false when there is none from CRON_YEAR_MIN on. */
bool cron_previous(const struct cron *cron, const struct zone *zone, int64_t before_s, int64_t *ret_s);

/* Adds what it means in plain English: "At 10:15 every weekday in Europe/Rome". Without a zone nothing is
 * said of one. A full buffer fails as buffers do. */
void cron_describe(const struct cron *cron, const struct zone *zone, struct buf *to);

#endif
