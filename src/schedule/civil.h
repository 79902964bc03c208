/*
 * The calendar: days since 1970-01-01 and years, months, days; and instants as text.
 *
 * The calendar is the Gregorian one, also before it was introduced. An instant is a number of seconds (or
 * milliseconds) since 1970-01-01T00:00:00Z; a wall time is what a clock on the wall shows, counted in the
 * same way as if the wall stood in UTC.
 *
 * Thread   any.
 */
#ifndef HEARTH_SCHEDULE_CIVIL_H
#define HEARTH_SCHEDULE_CIVIL_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CIVIL_DAY_S = 86400 };

/* Instants of the years 1 to 9999, in seconds. */
#define CIVIL_INSTANT_MIN_S INT64_C(-62135596800)
#define CIVIL_INSTANT_MAX_S INT64_C(253402300799)

struct civil {
    int year;
    int month; /* 1-12 */
    int day;   /* 1-31 */
};

/* Days since 1970-01-01 of a date; the month must be 1-12, the day may lie outside of the month. */
int64_t civil_to_days(int year, int month, int day);
/* The other way; for days of years -32768 to 32767. */
struct civil civil_from_days(int64_t days);
bool civil_is_leap(int year);
int civil_month_length(int year, int month);
/* 0 = Sunday .. 6 = Saturday. */
int civil_weekday(int64_t days);
/* The day a wall time or instant is in, rounding down. */
int64_t civil_day_of(int64_t seconds);

/* "2026-11-21T08:44:05Z", "2026-11-21T08:44:05.123+01:00", "2026-11-21t08:44:05z"; without the time it is
 * midnight UTC. Years 1 to 9999. ERR_INVALID with words that tell the form. */
enum err_code civil_parse_instant(const char *text, int64_t *ret_ms, struct err *err);

#define CIVIL_INSTANT_TEXT 32
/* "2026-11-21T08:44:05Z"; the instant must be within CIVIL_INSTANT_MIN_S .. CIVIL_INSTANT_MAX_S. */
void civil_format_instant(int64_t instant_s, char out[CIVIL_INSTANT_TEXT]);
/* "2026-11-21 09:44:05": a wall time. */
void civil_format_wall(int64_t wall_s, char out[CIVIL_INSTANT_TEXT]);

#endif
