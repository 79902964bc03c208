/*
 * The next fire time, found as Quartz finds it: on the fields of a clock on the wall, the smallest first. A
 * field that moves sets all smaller ones back and the search begins anew; each time the fields are set
 * together, which where clocks are put forward may show another time than was set, and the search goes on
 * from that.
 *
 * Bounded: every step moves the clock forward, and months in which nothing can fire are passed over whole.
 */
#include "schedule/civil.h"
#include "schedule/cron_internal.h"

struct search {
    const struct cron *cron;
    const struct zone *zone;
    struct zone_span span;    /* that the wall clock is in */
    struct cron_month month;  /* looked at last */
    int64_t day;              /* since 1970-01-01 */
    int hour, minute, second; /* may be one too large until settle() */
};

static int64_t wall_of(const struct search *s)
{
    return s->day * CIVIL_DAY_S + (s->hour * 60 + s->minute) * 60 + s->second;
}

static void set_wall(struct search *s, int64_t wall_s)
{
    s->day = civil_day_of(wall_s);
    int time = (int)(wall_s - s->day * CIVIL_DAY_S);
    s->hour = time / 3600;
    s->minute = time / 60 % 60;
    s->second = time % 60;
}

/* The wall clock left the span: it may stand in a gap, which moves it on. */
static int64_t find_span(struct search *s, int64_t wall_s)
{
    s->span = zone_span_of_wall(s->zone, wall_s);
    if (wall_s < s->span.wall_to_s)
        return wall_s;
    int64_t instant_s = wall_s - s->span.offset_s;
    s->span = zone_span_at(s->zone, instant_s);
    return instant_s + s->span.offset_s;
}

/* The fields are set: what does the clock show? */
static void settle(struct search *s)
{
    int64_t wall_s = wall_of(s);
    if (wall_s < s->span.wall_from_s || wall_s >= s->span.wall_to_s)
        set_wall(s, find_span(s, wall_s));
    else if (s->second > 59 || s->minute > 59 || s->hour > 23)
        set_wall(s, wall_s);
}

/* Where an hour was left out, Quartz goes to the hour behind the one it wanted and keeps the moved minute. */
static void settle_hour(struct search *s)
{
    int wanted = s->hour;
    settle(s);
    if (s->hour != wanted && wanted != 24) {
        s->hour = wanted + 1;
        settle(s);
    }
}

static void to_midnight(struct search *s, int64_t day)
{
    s->day = day;
    s->hour = s->minute = s->second = 0;
    settle(s);
}

/* The first month behind the present one that the expression names. */
static bool next_month(struct search *s)
{
    int year = s->month.year;
    uint64_t rest = cron_from(s->cron->months, s->month.month + 1);
    if (year < CRON_YEAR_MIN || rest == 0 || !cron_has_year(s->cron, year)) {
        year = year < CRON_YEAR_MIN ? CRON_YEAR_MIN : year + 1;
        while (year <= CRON_YEAR_MAX && !cron_has_year(s->cron, year))
            year++;
        rest = s->cron->months;
    }
    if (year > CRON_YEAR_MAX)
        return false;
    cron_month_fill(s->cron, year, cron_lowest(rest), &s->month);
    return true;
}

static void load_month(struct search *s)
{
    int64_t in_month = s->day - s->month.first;
    if (in_month >= 0 && in_month < s->month.length)
        return;
    struct civil date = civil_from_days(s->day);
    cron_month_fill(s->cron, date.year, date.month, &s->month);
}

/* To the first day that fires, at midnight unless it is today; false when there is none. */
static bool to_day(struct search *s)
{
    for (;;) {
        load_month(s);
        int today = (int)(s->day - s->month.first) + 1;
        uint64_t rest = cron_from(s->month.days, today);
        while (rest == 0) {
            if (!next_month(s))
                return false;
            rest = s->month.days;
        }
        int64_t day = s->month.first + cron_lowest(rest) - 1;
        if (day == s->day)
            return true;
        to_midnight(s, day);
    }
}

static void to_second(struct search *s)
{
    uint64_t rest = cron_from(s->cron->seconds, s->second);
    if (rest != 0) {
        s->second = cron_lowest(rest);
        return;
    }
    s->second = cron_lowest(s->cron->seconds);
    s->minute++;
    settle(s);
}

/* False when the minute moved. */
static bool to_minute(struct search *s)
{
    uint64_t rest = cron_from(s->cron->minutes, s->minute);
    int minute = cron_lowest(rest != 0 ? rest : s->cron->minutes);
    if (minute == s->minute)
        return true;
    s->hour += rest == 0;
    s->minute = minute;
    s->second = 0;
    settle_hour(s);
    return false;
}

/* False when the hour moved. */
static bool to_hour(struct search *s)
{
    uint64_t rest = cron_from(s->cron->hours, s->hour);
    int hour = cron_lowest(rest != 0 ? rest : s->cron->hours);
    if (hour == s->hour)
        return true;
    s->day += rest == 0;
    s->hour = hour;
    s->minute = s->second = 0;
    settle_hour(s);
    return false;
}

/* A moment from which the search may begin: not before the first year. */
static int64_t begin_of(int64_t after_s)
{
    int64_t least = civil_to_days(CRON_YEAR_MIN - 1, 12, 1) * CIVIL_DAY_S;
    return after_s < least ? least : after_s + 1;
}

bool cron_next(const struct cron *cron, const struct zone *zone, int64_t after_s, int64_t *ret_s)
{
    if (after_s > CIVIL_INSTANT_MAX_S)
        return false;
    int64_t from_s = begin_of(after_s);
    struct search s = {.cron = cron, .zone = zone, .span = zone_span_at(zone, from_s)};
    set_wall(&s, from_s + s.span.offset_s);
    settle(&s); /* in the first pass of an hour that comes twice it counts as the second */
    for (;;) {
        if (!to_day(&s))
            return false;
        int64_t day = s.day;
        to_second(&s); /* which may lead into another day */
        if (to_minute(&s) && to_hour(&s) && s.day == day)
            break;
    }
    *ret_s = wall_of(&s) - s.span.offset_s;
    return true;
}
