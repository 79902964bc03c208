/*
 * What an expression means, in English, told from its sets: whatever was written, the same moments read the
 * same.
 *
 *     At 10:15 | every weekday | in March | in 2027 | in Europe/Rome
 *     when     | on which days | months   | years   | zone
 */
#include "schedule/cron_internal.h"

#include <stdio.h>

enum {
    TIMES_MAX = 6,     /* moments of a day that are told one by one */
    HOUR_RUNS_MAX = 3, /* runs of hours that are told as "from .. to .." */
    RUN_MIN = 3,       /* values in a row that are told as a range */
};

#define ALL_60 ((UINT64_C(1) << 60) - 1)
#define ALL_HOURS ((UINT64_C(1) << 24) - 1)
#define ALL_DAYS UINT64_C(0xfffffffe)
#define ALL_MONTHS UINT64_C(0x1ffe)
#define WORKDAYS UINT64_C(0x7c)

typedef void (*value_writer)(struct buf *to, int value);

/* ---- values ---- */

static void write_number(struct buf *to, int value)
{
    buf_printf(to, "%d", value);
}

static const char *ordinal_ending(int n)
{
    static const char *const endings[] = {"th", "st", "nd", "rd"};
    return n / 10 != 1 && n % 10 <= 3 ? endings[n % 10] : endings[0];
}

static void write_ordinal(struct buf *to, int value)
{
    buf_printf(to, "%d%s", value, ordinal_ending(value));
}

static void write_month(struct buf *to, int value)
{
    static const char *const names[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
    buf_str(to, names[value - 1]);
}

static void write_weekday(struct buf *to, int value)
{
    static const char *const names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
    buf_str(to, names[value - 1]);
}

/* ---- sets ---- */

static int count(uint64_t set)
{
    return __builtin_popcountll(set);
}

/* The last of the values in a row that begins with `from`. */
static int end_of_run(uint64_t set, int from)
{
    int to = from;
    while (to < 63 && (set >> (to + 1) & 1) != 0)
        to++;
    return to;
}

static uint64_t without_up_to(uint64_t set, int n)
{
    return set & ~((UINT64_C(2) << n) - 1);
}

static int count_runs(uint64_t set)
{
    return count(set & ~(set << 1));
}

static void write_separator(struct buf *to, bool is_first, bool is_last)
{
    if (!is_first)
        buf_str(to, is_last ? " and " : ", ");
}

/* "1, 3 and 5 to 9". */
static void write_set(struct buf *to, uint64_t set, value_writer write)
{
    bool is_first = true;
    while (set != 0) {
        int from = cron_lowest(set);
        int end = end_of_run(set, from);
        if (end - from + 1 < RUN_MIN)
            end = from;
        set = without_up_to(set, end);
        write_separator(to, is_first, set == 0);
        write(to, from);
        if (end != from) {
            buf_str(to, " to ");
            write(to, end);
        }
        is_first = false;
    }
}

/* The n of "every n-th" when the set has the values 0, n, 2n … and the steps come out even; else 0. */
static int even_step(uint64_t set, int size)
{
    int n = count(set) > 1 && (set & 1) != 0 ? cron_lowest(set & ~UINT64_C(1)) : 0;
    if (n == 0 || size % n != 0 || count(set) != size / n)
        return 0;
    for (int v = 0; v < size; v += n)
        if ((set >> v & 1) == 0)
            return 0;
    return n;
}

/* ---- the time of day ---- */

static void write_times(const struct cron *c, struct buf *to)
{
    int second = cron_lowest(c->seconds);
    int left = count(c->hours) * count(c->minutes);
    buf_str(to, "At ");
    for (uint64_t hours = c->hours; hours != 0; hours &= hours - 1)
        for (uint64_t minutes = c->minutes; minutes != 0; minutes &= minutes - 1) {
            buf_printf(to, "%02d:%02d", cron_lowest(hours), cron_lowest(minutes));
            if (second != 0)
                buf_printf(to, ":%02d", second);
            left--;
            if (left > 0)
                buf_str(to, left == 1 ? " and " : ", ");
        }
}

/* " from 09:00 to 17:59", " during the hours 1, 5 and 7"; nothing for all hours. `minute` is that of the end.
 */
static void write_hours(const struct cron *c, struct buf *to, int minute)
{
    int step = even_step(c->hours, 24);
    if (c->hours == ALL_HOURS)
        return;
    if (step != 0) {
        buf_str(to, " of every ");
        write_ordinal(to, step);
        buf_str(to, " hour");
        return;
    }
    if (count_runs(c->hours) > HOUR_RUNS_MAX) {
        buf_str(to, " of the hours ");
        write_set(to, c->hours, write_number);
        return;
    }
    bool is_first = true;
    for (uint64_t left = c->hours; left != 0;) {
        int from = cron_lowest(left);
        int end = end_of_run(left, from);
        left = without_up_to(left, end);
        write_separator(to, is_first, left == 0);
        buf_printf(to, "%sfrom %02d:00 to %02d:%02d", is_first ? " " : "", from, end, minute);
        is_first = false;
    }
}

static bool has_few_runs(const struct cron *c)
{
    return even_step(c->hours, 24) == 0 && count_runs(c->hours) <= HOUR_RUNS_MAX;
}

/* "Every second", "Every 15 seconds": a set that comes at even distances. */
static void write_every(struct buf *to, uint64_t set, const char *unit)
{
    int step = even_step(set, 60);
    if (step == 1)
        buf_printf(to, "Every %s", unit);
    else
        buf_printf(to, "Every %d %ss", step, unit);
}

/* "every minute", "every 5th minute", "minute 15", "minutes 5 to 10 of every hour". */
static void write_minutes(const struct cron *c, struct buf *to)
{
    int step = even_step(c->minutes, 60);
    if (step == 1) {
        buf_str(to, "every minute");
    } else if (step != 0) {
        buf_str(to, "every ");
        write_ordinal(to, step);
        buf_str(to, " minute");
    } else {
        buf_str(to, count(c->minutes) == 1 ? "minute " : "minutes ");
        write_set(to, c->minutes, write_number);
        if (c->hours == ALL_HOURS || has_few_runs(c))
            buf_str(to, " of every hour");
    }
}

/* Every hour, on the hour. */
static void write_whole_hours(const struct cron *c, struct buf *to)
{
    int step = even_step(c->hours, 24);
    if (step > 1) {
        buf_printf(to, "Every %d hours", step);
        return;
    }
    buf_str(to, "Every hour");
    write_hours(c, to, 0);
}

/* Several minutes of a day, at the first second of each. */
static void write_whole_minutes(const struct cron *c, struct buf *to)
{
    if (c->minutes == 1 && (c->hours == ALL_HOURS || even_step(c->hours, 24) != 0 || has_few_runs(c))) {
        write_whole_hours(c, to);
        return;
    }
    if (even_step(c->minutes, 60) != 0) {
        write_every(to, c->minutes, "minute");
    } else {
        buf_str(to, "At ");
        write_minutes(c, to);
    }
    write_hours(c, to, 59);
}

static void write_seconds(const struct cron *c, struct buf *to)
{
    if (even_step(c->seconds, 60) != 0) {
        write_every(to, c->seconds, "second");
        if (c->minutes != ALL_60)
            buf_str(to, " of ");
    } else {
        buf_str(to, count(c->seconds) == 1 ? "At second " : "At seconds ");
        write_set(to, c->seconds, write_number);
        buf_str(to, " of ");
    }
    if (c->minutes != ALL_60 || even_step(c->seconds, 60) == 0)
        write_minutes(c, to);
    write_hours(c, to, 59);
}

static void write_time(const struct cron *c, struct buf *to)
{
    if (count(c->seconds) == 1 && count(c->hours) * count(c->minutes) <= TIMES_MAX)
        write_times(c, to);
    else if (c->seconds == 1)
        write_whole_minutes(c, to);
    else
        write_seconds(c, to);
}

/* ---- the days ---- */

/* What the days are counted in: "of the month", "of January and July". */
static void write_of_month(const struct cron *c, struct buf *to)
{
    buf_str(to, " of ");
    if (c->months == ALL_MONTHS)
        buf_str(to, "the month");
    else
        write_set(to, c->months, write_month);
}

static void write_weekdays(const struct cron *c, struct buf *to)
{
    buf_str(to, c->day_rule == CRON_BOTH ? "a " : "every ");
    if (c->weekdays == WORKDAYS)
        buf_str(to, "weekday");
    else
        write_set(to, c->weekdays, write_weekday);
}

static void write_days(const struct cron *c, struct buf *to)
{
    buf_str(to, "on the ");
    write_set(to, c->days, write_ordinal);
    write_of_month(c, to);
}

/* "last day", "3rd day before the last day". */
static void write_last_day(const struct cron *c, struct buf *to)
{
    if (c->day > 0) {
        write_ordinal(to, c->day);
        buf_str(to, " day before the ");
    }
    buf_str(to, "last day");
    write_of_month(c, to);
}

static void write_last_workday(const struct cron *c, struct buf *to)
{
    buf_str(to, "on the ");
    if (c->day == 0) {
        buf_str(to, "last weekday");
        write_of_month(c, to);
        return;
    }
    buf_str(to, "weekday nearest to the ");
    write_last_day(c, to);
}

static void write_chosen_weekday(const struct cron *c, struct buf *to)
{
    static const char *const numbers[] = {"last", "first", "second", "third", "fourth", "fifth"};
    buf_printf(to, "on the %s ", numbers[c->day_rule == CRON_NTH_WEEKDAY ? c->nth : 0]);
    write_weekday(to, c->weekday);
    write_of_month(c, to);
}

static bool is_every_day(const struct cron *c)
{
    return (c->day_rule == CRON_DAYS && c->days == ALL_DAYS) ||
           (c->day_rule == CRON_WEEKDAYS && c->weekdays == 0xfe);
}

static void write_day_rule(const struct cron *c, struct buf *to)
{
    switch ((enum cron_day_rule)c->day_rule) {
    case CRON_DAYS: write_days(c, to); return;
    case CRON_WEEKDAYS: write_weekdays(c, to); return;
    case CRON_EITHER:
    case CRON_BOTH:
        write_days(c, to);
        buf_str(to, c->day_rule == CRON_EITHER ? " and " : " if that is ");
        write_weekdays(c, to);
        return;
    case CRON_LAST_DAY:
        buf_str(to, "on the ");
        write_last_day(c, to);
        return;
    case CRON_LAST_WORKDAY: write_last_workday(c, to); return;
    case CRON_NEAREST_WORKDAY:
        buf_str(to, "on the weekday nearest to the ");
        write_ordinal(to, c->day);
        write_of_month(c, to);
        return;
    case CRON_LAST_WEEKDAY:
    case CRON_NTH_WEEKDAY: write_chosen_weekday(c, to); return;
    }
}

/* Weekdays and "every day" stand beside the months, all other rules name them. */
static bool leaves_out_months(const struct cron *c)
{
    return is_every_day(c) || c->day_rule == CRON_WEEKDAYS;
}

static void write_date(const struct cron *c, struct buf *to, bool says_every)
{
    if (!is_every_day(c)) {
        buf_char(to, ' ');
        write_day_rule(c, to);
    } else if (!says_every) {
        buf_str(to, " every day");
    }
    if (c->months != ALL_MONTHS && leaves_out_months(c)) {
        buf_str(to, " in ");
        write_set(to, c->months, write_month);
    }
}

/* ---- the years ---- */

/* The first year from `year` on that is in the set, or is not. */
static int find_year(const struct cron *c, int year, bool is_in)
{
    while (year <= CRON_YEAR_MAX && cron_has_year(c, year) != is_in)
        year++;
    return year;
}

static void write_year_run(struct buf *to, int from, int behind)
{
    if (behind > CRON_YEAR_MAX && from < CRON_YEAR_MAX)
        buf_printf(to, "%d and later", from);
    else if (behind - from == 1)
        buf_printf(to, "%d", from);
    else
        buf_printf(to, "%d to %d", from, behind - 1);
}

/* The distance of the years when there are some, all equally far apart; else 0. *ret is the last of them. */
static int year_step(const struct cron *c, int from, int *ret)
{
    int n = 1;
    int last = from;
    int step = find_year(c, from + 1, true) - from;
    for (int next = from + step; next <= CRON_YEAR_MAX; next = find_year(c, next + 1, true), n++) {
        if (next - last != step)
            return 0;
        last = next;
    }
    *ret = last;
    return step > 1 && n > RUN_MIN ? step : 0;
}

static void write_stepped_years(struct buf *to, int from, int last, int step)
{
    buf_str(to, " in every ");
    write_ordinal(to, step);
    buf_printf(to, " year from %d", from);
    if (last + step <= CRON_YEAR_MAX)
        buf_printf(to, " to %d", last);
}

static void write_years(const struct cron *c, struct buf *to)
{
    int last = 0;
    int from = find_year(c, CRON_YEAR_MIN, true);
    int behind = find_year(c, from, false);
    int step = year_step(c, from, &last);
    if (from == CRON_YEAR_MIN && behind > CRON_YEAR_MAX)
        return;
    if (step != 0) {
        write_stepped_years(to, from, last, step);
        return;
    }
    buf_str(to, from > CRON_YEAR_MAX ? " in no year to come" : " in ");
    while (from <= CRON_YEAR_MAX) {
        write_year_run(to, from, behind);
        from = find_year(c, behind, true);
        behind = find_year(c, from, false);
        if (from <= CRON_YEAR_MAX)
            buf_str(to, find_year(c, behind, true) > CRON_YEAR_MAX ? " and " : ", ");
    }
}

void cron_describe(const struct cron *cron, const struct zone *zone, struct buf *to)
{
    size_t start = to->len;
    write_time(cron, to);
    bool says_every = to->len > start && to->data[start] == 'E';
    write_date(cron, to, says_every);
    write_years(cron, to);
    if (zone != NULL)
        buf_printf(to, " in %s", zone_name(zone));
}
