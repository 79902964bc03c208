#include "schedule/civil.h"

#include <stdio.h>
#include <string.h>

enum {
    ERA_YEARS = 400, /* after which the calendar repeats, weekdays included */
    ERA_DAYS = 146097,
    EPOCH_FROM_ERA = 719468, /* 0000-03-01 to 1970-01-01 */
};

/* Years are counted from March here, so that the leap day is the last of its year. */
static int days_before_month(int months_since_march)
{
    return (153 * months_since_march + 2) / 5;
}

int64_t civil_to_days(int year, int month, int day)
{
    int64_t y = month > 2 ? year : (int64_t)year - 1;
    int64_t era = (y >= 0 ? y : y - (ERA_YEARS - 1)) / ERA_YEARS;
    int64_t year_of_era = y - era * ERA_YEARS;
    int64_t day_of_year = days_before_month((month + 9) % 12) + day - 1;
    return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           EPOCH_FROM_ERA;
}

struct civil civil_from_days(int64_t days)
{
    int64_t since = days + EPOCH_FROM_ERA;
    int64_t era = (since >= 0 ? since : since - (ERA_DAYS - 1)) / ERA_DAYS;
    int day_of_era = (int)(since - era * ERA_DAYS);
    /* what the leap days before it add is taken off first, and then every year has 365 days */
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1)) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int from_march = (5 * day_of_year + 2) / 153;
    struct civil date = {
        .year = (int)(era * ERA_YEARS) + year_of_era + (from_march >= 10),
        .month = from_march < 10 ? from_march + 3 : from_march - 9,
        .day = day_of_year - days_before_month(from_march) + 1,
    };
    return date;
}

bool civil_is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int civil_month_length(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && civil_is_leap(year) ? 29 : lengths[month - 1];
}

int civil_weekday(int64_t days)
{
    int64_t since_sunday = (days + 4) % 7; /* 1970-01-01 was a Thursday */
    return (int)(since_sunday < 0 ? since_sunday + 7 : since_sunday);
}

int64_t civil_day_of(int64_t seconds)
{
    return (seconds >= 0 ? seconds : seconds - (CIVIL_DAY_S - 1)) / CIVIL_DAY_S;
}

/* ---- text ---- */

/* Exactly n digits; moves *at behind them. -1 when there are fewer. */
static int digits(const char **at, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool skip(const char **at, const char *one_of)
{
    if (**at == '\0' || strchr(one_of, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

static bool within(int value, int min, int max)
{
    return value >= min && value <= max;
}

static bool read_date(const char **at, int64_t *ret_days)
{
    int year = digits(at, 4);
    if (year < 1 || !skip(at, "-"))
        return false;
    int month = digits(at, 2);
    if (!within(month, 1, 12) || !skip(at, "-"))
        return false;
    int day = digits(at, 2);
    if (!within(day, 1, civil_month_length(year, month)))
        return false;
    *ret_days = civil_to_days(year, month, day);
    return true;
}

/* Behind the dot; more than three digits are cut. */
static bool read_fraction(const char **at, int *ret_ms)
{
    int n = 0;
    for (int unit = 100; **at >= '0' && **at <= '9'; (*at)++, n++, unit /= 10)
        *ret_ms += (**at - '0') * unit;
    return n > 0;
}

static bool read_time(const char **at, int64_t *ret_ms)
{
    int hour = digits(at, 2);
    if (!within(hour, 0, 23) || !skip(at, ":"))
        return false;
    int minute = digits(at, 2);
    if (!within(minute, 0, 59) || !skip(at, ":"))
        return false;
    int second = digits(at, 2);
    int ms = 0;
    if (!within(second, 0, 59) || (skip(at, ".") && !read_fraction(at, &ms)))
        return false;
    *ret_ms = ((hour * 60 + minute) * 60 + second) * INT64_C(1000) + ms;
    return true;
}

/* "Z" or "+01:00". */
static bool read_offset(const char **at, int *ret_s)
{
    if (skip(at, "Zz"))
        return true;
    int sign = **at == '-' ? -1 : 1;
    if (!skip(at, "+-"))
        return false;
    int hours = digits(at, 2);
    if (!within(hours, 0, 23) || !skip(at, ":"))
        return false;
    int minutes = digits(at, 2);
    if (!within(minutes, 0, 59))
        return false;
    *ret_s = sign * (hours * 60 + minutes) * 60;
    return true;
}

enum err_code civil_parse_instant(const char *text, int64_t *ret_ms, struct err *err)
{
    const char *at = text;
    int64_t days = 0;
    int64_t ms = 0;
    int offset_s = 0;
    bool good = read_date(&at, &days);
    if (good && *at != '\0')
        good = skip(&at, "Tt ") && read_time(&at, &ms) && read_offset(&at, &offset_s) && *at == '\0';
    ms += (days * CIVIL_DAY_S - offset_s) * 1000;
    if (!good || ms < CIVIL_INSTANT_MIN_S * 1000 || ms > CIVIL_INSTANT_MAX_S * 1000 + 999)
        return err_set(err, ERR_INVALID,
                       "'%.40s' is not an instant such as 2026-11-21T08:44:05Z or 2026-11-21T09:44:05+01:00",
                       text);
    *ret_ms = ms;
    return ERR_OK;
}

static void format(int64_t seconds, char between, const char *behind, char out[CIVIL_INSTANT_TEXT])
{
    int64_t day = civil_day_of(seconds);
    int time = (int)(seconds - day * CIVIL_DAY_S);
    struct civil date = civil_from_days(day);
    (void)snprintf(out, CIVIL_INSTANT_TEXT, "%04d-%02d-%02d%c%02d:%02d:%02d%s", date.year, date.month,
                   date.day, between, time / 3600, time / 60 % 60, time % 60, behind);
}

void civil_format_instant(int64_t instant_s, char out[CIVIL_INSTANT_TEXT])
{
    format(instant_s, 'T', "Z", out);
}

void civil_format_wall(int64_t wall_s, char out[CIVIL_INSTANT_TEXT])
{
    format(wall_s, ' ', "", out);
}
