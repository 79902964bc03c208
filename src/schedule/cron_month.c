/* On which days of a month an expression fires. */
#include "schedule/civil.h"
#include "schedule/cron_internal.h"

enum { WEEK = 7, SUNDAY = 0, SATURDAY = 6 };

static uint32_t bit(int n)
{
    return UINT32_C(1) << n;
}

/* 0 = Sunday, of a day in the month; it may lie behind its end. */
static int weekday_of(const struct cron_month *m, int day)
{
    return civil_weekday(m->first + day - 1);
}

static uint32_t all_days(const struct cron_month *m)
{
    return (uint32_t)((UINT64_C(2) << m->length) - 2);
}

static uint32_t days_of_weekdays(const struct cron *cron, const struct cron_month *m)
{
    uint64_t week = cron->weekdays >> 1; /* bit 0 is Sunday now */
    uint64_t weeks =
        week | week << WEEK | week << 2 * WEEK | week << 3 * WEEK | week << 4 * WEEK | week << 5 * WEEK;
    return (uint32_t)(weeks >> weekday_of(m, 1) << 1) & all_days(m);
}

/* The working day nearest to a day, in the same month. The day may lie just behind the end: Quartz counts on
 * into the next month then, and comes back only when that day is a Saturday. */
static uint32_t nearest_workday(const struct cron_month *m, int day)
{
    int weekday = weekday_of(m, day);
    if (weekday == SATURDAY)
        day += day == 1 ? 2 : -1;
    else if (weekday == SUNDAY)
        day += day == m->length ? -2 : 1;
    return day <= m->length ? bit(day) : 0;
}

static int first_of_weekday(const struct cron *cron, const struct cron_month *m)
{
    return 1 + (cron->weekday - 1 - weekday_of(m, 1) + WEEK) % WEEK;
}

static uint32_t nth_weekday(const struct cron *cron, const struct cron_month *m)
{
    int day = first_of_weekday(cron, m) + WEEK * (cron->nth - 1);
    return day <= m->length ? bit(day) : 0;
}

static uint32_t last_weekday(const struct cron *cron, const struct cron_month *m)
{
    int day = first_of_weekday(cron, m) + 4 * WEEK;
    return bit(day <= m->length ? day : day - WEEK);
}

static uint32_t days_of_month(const struct cron *cron, const struct cron_month *m)
{
    int last = m->length - cron->day;
    switch ((enum cron_day_rule)cron->day_rule) {
    case CRON_DAYS: return cron->days & all_days(m);
    case CRON_WEEKDAYS: return days_of_weekdays(cron, m);
    case CRON_EITHER: return (cron->days & all_days(m)) | days_of_weekdays(cron, m);
    case CRON_BOTH: return cron->days & days_of_weekdays(cron, m);
    case CRON_LAST_DAY: return last >= 1 ? bit(last) : 0;
    case CRON_LAST_WORKDAY: return last >= 1 ? nearest_workday(m, last) : 0;
    case CRON_NEAREST_WORKDAY: return nearest_workday(m, cron->day);
    case CRON_LAST_WEEKDAY: return last_weekday(cron, m);
    case CRON_NTH_WEEKDAY: return nth_weekday(cron, m);
    }
    return 0;
}

bool cron_has_year(const struct cron *cron, int year)
{
    int n = year - CRON_YEAR_MIN;
    return year >= CRON_YEAR_MIN && year <= CRON_YEAR_MAX && (cron->years[n / 64] >> n % 64 & 1) != 0;
}

void cron_month_fill(const struct cron *cron, int year, int month, struct cron_month *ret)
{
    ret->first = civil_to_days(year, month, 1);
    ret->year = year;
    ret->month = month;
    ret->length = civil_month_length(year, month);
    bool fires = (cron->months >> month & 1) != 0 && cron_has_year(cron, year);
    ret->days = fires ? days_of_month(cron, ret) : 0;
}
