/* Rules for the time to come, in POSIX's form of the TZ variable: "EST5EDT,M3.2.0,M11.1.0". */
#include "schedule/civil.h"
#include "schedule/zone_internal.h"

#include <string.h>

enum { RULE_YEAR_MIN = 1900, RULE_TIME_DEFAULT_S = 2 * 3600, RULE_HOURS_MAX = 167 };

enum day_form {
    DAY_JULIAN,  /* Jn: 1-365, and 29 February does not count */
    DAY_OF_YEAR, /* n: 0-365 */
    DAY_OF_WEEK, /* Mm.w.d: the w-th (5: last) weekday d of month m */
};

struct rule_day {
    enum day_form form;
    int day, week, month;
    int time_s; /* wall time, counted from midnight; may lie outside of the day */
};

struct rule {
    int standard_s, summer_s; /* offsets */
    bool has_summer;
    struct rule_day begin, end; /* of summer time */
};

struct text {
    const char *at, *end;
};

static bool skip(struct text *t, char c)
{
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool is_digit(const struct text *t)
{
    return t->at < t->end && *t->at >= '0' && *t->at <= '9';
}

static bool number(struct text *t, int min, int max, int *ret)
{
    int value = 0;
    if (!is_digit(t))
        return false;
    for (; is_digit(t) && value <= max; t->at++)
        value = value * 10 + (*t->at - '0');
    *ret = value;
    return value >= min && value <= max;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* "CET" or "<+0330>": not needed, only skipped. */
static bool abbreviation(struct text *t)
{
    bool quoted = skip(t, '<');
    const char *from = t->at;
    while (t->at < t->end && (quoted ? *t->at != '>' : is_letter(*t->at)))
        t->at++;
    return t->at - from >= 3 && (!quoted || skip(t, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool clock_time(struct text *t, int hours_max, int *ret_s)
{
    int sign = skip(t, '-') ? -1 : 1;
    if (sign > 0)
        (void)skip(t, '+');
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    if (!number(t, 0, hours_max, &hours))
        return false;
    if (skip(t, ':')) {
        if (!number(t, 0, 59, &minutes) || (skip(t, ':') && !number(t, 0, 59, &seconds)))
            return false;
    }
    *ret_s = sign * ((hours * 60 + minutes) * 60 + seconds);
    return true;
}

static bool rule_day(struct text *t, struct rule_day *ret)
{
    bool good;
    if (skip(t, 'J')) {
        ret->form = DAY_JULIAN;
        good = number(t, 1, 365, &ret->day);
    } else if (skip(t, 'M')) {
        ret->form = DAY_OF_WEEK;
        good = number(t, 1, 12, &ret->month) && skip(t, '.') && number(t, 1, 5, &ret->week) && skip(t, '.') &&
               number(t, 0, 6, &ret->day);
    } else {
        ret->form = DAY_OF_YEAR;
        good = number(t, 0, 365, &ret->day);
    }
    ret->time_s = RULE_TIME_DEFAULT_S;
    return good && (!skip(t, '/') || clock_time(t, RULE_HOURS_MAX, &ret->time_s));
}

static bool summer(struct text *t, struct rule *ret)
{
    ret->has_summer = true;
    ret->summer_s = ret->standard_s + 3600;
    if (!abbreviation(t))
        return false;
    if (t->at < t->end && *t->at != ',') {
        if (!clock_time(t, 24, &ret->summer_s))
            return false;
        ret->summer_s = -ret->summer_s;
    }
    return skip(t, ',') && rule_day(t, &ret->begin) && skip(t, ',') && rule_day(t, &ret->end);
}

static bool read_rule(const char *text, size_t len, struct rule *ret)
{
    struct text t = {text, text + len};
    if (!abbreviation(&t) || !clock_time(&t, 24, &ret->standard_s))
        return false;
    ret->standard_s = -ret->standard_s; /* POSIX counts westwards */
    return t.at == t.end || (summer(&t, ret) && t.at == t.end);
}

static int64_t day_in(const struct rule_day *rule, int year)
{
    int64_t first = civil_to_days(year, 1, 1);
    if (rule->form == DAY_OF_YEAR)
        return first + rule->day;
    if (rule->form == DAY_JULIAN)
        return first + rule->day - 1 + (civil_is_leap(year) && rule->day > 31 + 28);
    first = civil_to_days(year, rule->month, 1);
    int day = (rule->day - civil_weekday(first) + 7) % 7 + 7 * (rule->week - 1);
    return first + (day < civil_month_length(year, rule->month) ? day : day - 7);
}

/* The two changes of a year, in their order. */
static enum err_code add_year(const struct rule *rule, int year, struct zone_changes *into, struct err *err)
{
    struct zone_change begin = {
        day_in(&rule->begin, year) * CIVIL_DAY_S + rule->begin.time_s - rule->standard_s,
        rule->summer_s,
    };
    struct zone_change end = {
        day_in(&rule->end, year) * CIVIL_DAY_S + rule->end.time_s - rule->summer_s,
        rule->standard_s,
    };
    struct zone_change first = begin.at_s < end.at_s ? begin : end;
    struct zone_change second = begin.at_s < end.at_s ? end : begin;
    enum err_code rc = zone_changes_add(into, first.at_s, first.offset_s, err);
    return rc == ERR_OK ? zone_changes_add(into, second.at_s, second.offset_s, err) : rc;
}

enum err_code zone_read_rule(const char *text, size_t len, struct zone_changes *into, struct err *err)
{
    struct rule rule = {0};
    if (!read_rule(text, len, &rule))
        return err_set(err, ERR_INVALID, "'%.*s' is not a rule such as CET-1CEST,M3.5.0,M10.5.0/3",
                       (int)(len < 60 ? len : 60), text);
    if (into->n == 0) {
        enum err_code rc = zone_changes_add(into, CIVIL_INSTANT_MIN_S, rule.standard_s, err);
        if (rc != ERR_OK)
            return rc;
    }
    int64_t last_s = into->items[into->n - 1].at_s;
    int year = RULE_YEAR_MIN;
    if (last_s > civil_to_days(year, 1, 1) * CIVIL_DAY_S)
        year = civil_from_days(civil_day_of(last_s)).year;
    for (; rule.has_summer && year <= ZONE_YEAR_MAX; year++) {
        enum err_code rc = add_year(&rule, year, into, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}
