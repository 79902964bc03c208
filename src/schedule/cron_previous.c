/*
 * The last fire time before an instant: the largest wall time that the expression names, looked for downwards
 * in the plain calendar, unless clocks were put forward over it.
 */
#include "schedule/civil.h"
#include "schedule/cron_internal.h"

/* The largest time of day that is named and at most `time`, in seconds; -1 when there is none. */
static int latest_time(const struct cron *c, int time)
{
    int hour = time / 3600;
    int minute = time / 60 % 60;
    int second = time % 60;
    uint64_t hours = cron_up_to(c->hours, hour);
    uint64_t minutes = cron_up_to(c->minutes, minute);
    uint64_t seconds = cron_up_to(c->seconds, second);
    if ((hours >> hour & 1) != 0) {
        if ((minutes >> minute & 1) != 0 && seconds != 0)
            return (hour * 60 + minute) * 60 + cron_highest(seconds);
        minutes &= (UINT64_C(1) << minute) - 1;
        if (minutes != 0)
            return (hour * 60 + cron_highest(minutes)) * 60 + cron_highest(c->seconds);
        hours &= (UINT64_C(1) << hour) - 1;
    }
    if (hours == 0)
        return -1;
    return (cron_highest(hours) * 60 + cron_highest(c->minutes)) * 60 + cron_highest(c->seconds);
}

/* The last month before this one that the expression names. */
static bool month_before(const struct cron *c, struct cron_month *m)
{
    int year = m->year;
    uint64_t rest = cron_up_to(c->months, m->month - 1);
    if (year > CRON_YEAR_MAX || rest == 0 || !cron_has_year(c, year)) {
        year = year > CRON_YEAR_MAX ? CRON_YEAR_MAX : year - 1;
        while (year >= CRON_YEAR_MIN && !cron_has_year(c, year))
            year--;
        rest = c->months;
    }
    if (year < CRON_YEAR_MIN)
        return false;
    cron_month_fill(c, year, cron_highest(rest), m);
    return true;
}

/* The last day up to this one that fires; false when there is none. */
static bool latest_day(const struct cron *c, struct cron_month *m, int64_t *day)
{
    int64_t in_month = *day - m->first;
    if (in_month < 0 || in_month >= m->length) {
        struct civil date = civil_from_days(*day);
        cron_month_fill(c, date.year, date.month, m);
        in_month = *day - m->first;
    }
    uint64_t rest = cron_up_to(m->days, (int)in_month + 1);
    while (rest == 0) {
        if (!month_before(c, m))
            return false;
        rest = m->days;
    }
    *day = m->first + cron_highest(rest) - 1;
    return true;
}

/* The largest named wall time that is at most *wall_s. */
static bool latest_wall(const struct cron *c, struct cron_month *m, int64_t *wall_s)
{
    int64_t today = civil_day_of(*wall_s);
    int time = latest_time(c, (int)(*wall_s - today * CIVIL_DAY_S));
    int64_t day = time >= 0 ? today : today - 1;
    if (!latest_day(c, m, &day))
        return false;
    if (time < 0 || day != today)
        time = latest_time(c, CIVIL_DAY_S - 1);
    *wall_s = day * CIVIL_DAY_S + time;
    return true;
}

/* A wall time that does not come later than the instant. */
static int64_t begin_of(const struct zone *zone, int64_t instant_s)
{
    int64_t wall_s = instant_s + zone_span_at(zone, instant_s).offset_s;
    struct zone_span meant = zone_span_of_wall(zone, wall_s);
    bool is_first_pass = wall_s - meant.offset_s > instant_s;
    return is_first_pass ? meant.wall_from_s - 1 : wall_s;
}

bool cron_previous(const struct cron *cron, const struct zone *zone, int64_t before_s, int64_t *ret_s)
{
    if (before_s < -2 * CIVIL_DAY_S)
        return false;
    int64_t most_s = civil_to_days(CRON_YEAR_MAX + 1, 2, 1) * CIVIL_DAY_S;
    int64_t wall_s = begin_of(zone, before_s > most_s ? most_s : before_s - 1);
    struct cron_month month = {0};
    while (latest_wall(cron, &month, &wall_s)) {
        struct zone_span span = zone_span_of_wall(zone, wall_s);
        if (wall_s < span.wall_to_s) {
            *ret_s = wall_s - span.offset_s;
            return true;
        }
        wall_s = span.wall_to_s - 1; /* left out: on from where the clocks were put forward */
    }
    return false;
}
