/*
 * Random expressions against an oracle that knows nothing of how hearth reads or searches them: it is built
 * together with the text, one truth value for each value of a field, and walks days, hours, minutes and
 * seconds one after the other, asking the C library what the clocks in that zone say.
 *
 * HEARTH_CRON_RANDOM is the number of expressions, HEARTH_CRON_SEED where they begin.
 */
#include "base/mem.h"
#include "schedule/civil.h"
#include "schedule/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { EXPRESSIONS = 20000, FIRES = 4, TEXT = 512, DAY = 86400, YEAR_FIRST = 2010, YEAR_LAST = 2060 };

enum kind { PLAIN, LAST, LAST_WORKING, NEAREST, LAST_OF, NTH_OF };

struct oracle {
    char text[TEXT];
    bool second[60], minute[60], hour[24], day[32], month[13], weekday[8]; /* weekday 1 = Sunday */
    bool year[YEAR_LAST + 1];
    bool by_weekday;
    enum kind kind;
    int n, m; /* of L-n, nW, nL, n#m */
};

/* Zones whose clocks change by whole hours. */
static const char *const zones[] = {
    "UTC",
    "Europe/Rome",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Auckland",
    "America/Havana",
    "America/Santiago",
    "Asia/Kathmandu",
};

/* ---- chance ---- */

static uint64_t chance;

static int draw(int from, int to)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return from + (int)(chance % (uint64_t)(to - from + 1));
}

static void say(struct oracle *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct oracle *o, const char *fmt, ...)
{
    va_list ap;
    size_t used = strlen(o->text);
    va_start(ap, fmt);
    (void)vsnprintf(o->text + used, sizeof o->text - used, fmt, ap);
    va_end(ap);
}

/* ---- fields: text and truth at once ---- */

static void say_value(struct oracle *o, int value, const char *names)
{
    if (names != NULL)
        say(o, "%.3s", names + 4 * (value - 1));
    else
        say(o, draw(0, 9) == 0 ? "%02d" : "%d", value);
}

static void mark(bool *truth, int from, int to, int step)
{
    for (int v = from; v <= to; v += step)
        truth[v] = true;
}

/* One element. min .. max are the values, step_max the largest step. */
static void make_item(struct oracle *o, bool *truth, int min, int max, int step_max, const char *names)
{
    int a = draw(min, max);
    int b = draw(min, max);
    int step = draw(1, step_max);
    const char *used = draw(0, 3) == 0 ? names : NULL;
    switch (draw(0, 5)) {
    case 0:
    case 1:
        say_value(o, a, used);
        mark(truth, a, a, 1);
        return;
    case 2: /* b below a: to the end of the field and on from its start */
        say_value(o, a, used);
        say(o, "-");
        say_value(o, b, used);
        for (int v = a;; v = v == max ? min : v + 1) {
            truth[v] = true;
            if (v == b)
                return;
        }
    case 3:
        say(o, "%d/%d", a, step);
        mark(truth, a, max, step);
        return;
    case 4:
        say(o, draw(0, 1) == 0 ? "*/%d" : "/%d", step);
        mark(truth, min, max, step);
        return;
    default:
        say(o, "%d-%d/%d", a < b ? a : b, a < b ? b : a, step);
        mark(truth, a < b ? a : b, a < b ? b : a, step);
        return;
    }
}

static void make_field(struct oracle *o, bool *truth, int min, int max, int step_max, const char *names)
{
    if (draw(0, 3) == 0) {
        say(o, "*");
        mark(truth, min, max, 1);
        return;
    }
    int items = draw(0, 2) == 0 ? draw(2, 4) : 1;
    for (int i = 0; i < items; i++) {
        say(o, i > 0 ? "," : "");
        make_item(o, truth, min, max, step_max, names);
    }
}

static void make_seconds(struct oracle *o)
{
    if (draw(0, 1) == 0)
        make_field(o, o->second, 0, 59, 59, NULL);
    else
        say(o, "0");
    bool any = false;
    for (int i = 0; i < 60; i++)
        any = any || o->second[i];
    o->second[0] = o->second[0] || !any;
}

static void make_day(struct oracle *o)
{
    o->n = draw(0, 26);
    switch (draw(0, 7)) {
    case 0:
        o->kind = LAST;
        say(o, o->n == 0 ? "L" : "L-%d", o->n);
        return;
    case 1:
        o->kind = LAST_WORKING;
        say(o, o->n == 0 ? "LW" : "L-%dW", o->n);
        return;
    case 2:
        o->kind = NEAREST;
        o->n = draw(1, 28);
        say(o, "%dW", o->n);
        return;
    default: make_field(o, o->day, 1, 31, 31, NULL); return;
    }
}

static void make_weekday(struct oracle *o)
{
    static const char *const names = "SUN MON TUE WED THU FRI SAT";
    o->by_weekday = true;
    o->n = draw(1, 7);
    o->m = draw(1, 5);
    const char *used = draw(0, 1) == 0 ? names : NULL;
    switch (draw(0, 5)) {
    case 0:
        o->kind = LAST_OF;
        say_value(o, o->n, used);
        say(o, "L");
        return;
    case 1:
        o->kind = NTH_OF;
        say_value(o, o->n, used);
        say(o, "#%d", o->m);
        return;
    default: make_field(o, o->weekday, 1, 7, 7, names); return;
    }
}

static void make_year(struct oracle *o)
{
    int from = draw(YEAR_FIRST, YEAR_LAST);
    int to = draw(from, YEAR_LAST);
    if (draw(0, 3) != 0) {
        mark(o->year, YEAR_FIRST, YEAR_LAST, 1);
        say(o, draw(0, 1) == 0 ? "" : " *");
    } else {
        int step = draw(1, 4);
        say(o, " %d-%d/%d", from, to, step);
        mark(o->year, from, to, step);
    }
}

/* Hours around those at which clocks change, on every day. */
static void make_every_day(struct oracle *o)
{
    int from = draw(0, 3);
    int to = draw(from, 5);
    if (draw(0, 3) == 0) {
        from = 0;
        to = 23;
    }
    say(o, " %d-%d * * ?", from, to);
    mark(o->hour, from, to, 1);
    mark(o->day, 1, 31, 1);
    mark(o->month, 1, 12, 1);
    mark(o->year, YEAR_FIRST, YEAR_LAST, 1);
}

static void make_any_day(struct oracle *o)
{
    static const char *const months = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC";
    say(o, " ");
    make_field(o, o->hour, 0, 23, 23, NULL);
    bool by_weekday = draw(0, 1) == 0;
    say(o, by_weekday ? " ?" : " ");
    if (!by_weekday)
        make_day(o);
    say(o, " ");
    make_field(o, o->month, 1, 12, 12, months);
    say(o, by_weekday ? " " : " ?");
    if (by_weekday)
        make_weekday(o);
    make_year(o);
}

static void make(struct oracle *o, bool at_change)
{
    *o = (struct oracle){0};
    make_seconds(o);
    say(o, " ");
    make_field(o, o->minute, 0, 59, 59, NULL);
    if (at_change)
        make_every_day(o);
    else
        make_any_day(o);
    for (char *c = o->text; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z' && draw(0, 3) == 0)
            *c = (char)(*c + 32);
}

/* ---- the calendar, from the C library ---- */

static struct tm date_of(int64_t day)
{
    time_t noon = (time_t)(day * DAY + DAY / 2);
    struct tm tm;
    (void)gmtime_r(&noon, &tm);
    return tm;
}

static bool is_working(int64_t day)
{
    int w = date_of(day).tm_wday;
    return w >= 1 && w <= 5;
}

static bool same_month(int64_t a, int64_t b)
{
    return date_of(a).tm_mon == date_of(b).tm_mon;
}

/* The working day of the month that is nearest to a day; of two the one that is not in another month is left.
 */
static int64_t nearest_working(int64_t day)
{
    for (int distance = 0;; distance++) {
        if (is_working(day - distance) && same_month(day, day - distance))
            return day - distance;
        if (is_working(day + distance) && same_month(day, day + distance))
            return day + distance;
    }
}

static int64_t last_of_month(int64_t day)
{
    while (same_month(day, day + 1))
        day++;
    return day;
}

static int64_t first_of_month(int64_t day)
{
    return day - date_of(day).tm_mday + 1;
}

/* ---- does it fire? ---- */

static bool fires_on(const struct oracle *o, int64_t day)
{
    struct tm date = date_of(day);
    int64_t last;
    if (date.tm_year + 1900 > YEAR_LAST || !o->year[date.tm_year + 1900] || !o->month[date.tm_mon + 1])
        return false;
    bool is_named_weekday = date.tm_wday + 1 == o->n;
    switch (o->kind) {
    case PLAIN: return o->by_weekday ? o->weekday[date.tm_wday + 1] : o->day[date.tm_mday];
    case LAST: return !same_month(day + o->n, day + o->n + 1) && same_month(day, day + o->n);
    case LAST_WORKING:
        last = last_of_month(day) - o->n;
        return same_month(day, last) && nearest_working(last) == day;
    case NEAREST: return nearest_working(first_of_month(day) + o->n - 1) == day;
    case LAST_OF: return is_named_weekday && !same_month(day, day + 7);
    case NTH_OF: return is_named_weekday && (date.tm_mday - 1) / 7 + 1 == o->m;
    }
    return false;
}

static int64_t wall_at(int64_t instant_s)
{
    time_t t = (time_t)instant_s;
    struct tm tm;
    (void)localtime_r(&t, &tm);
    return instant_s + tm.tm_gmtoff;
}

/* The last instant at which clocks show this wall time; false when they never do. */
static bool shown_at(int64_t wall_s, int64_t *ret_s)
{
    bool found = false;
    for (int side = -1; side <= 1; side += 2) {
        int64_t near_s = wall_s + side * (int64_t)DAY;
        int64_t candidate_s = wall_s - (wall_at(near_s) - near_s);
        if (wall_at(candidate_s) == wall_s && (!found || candidate_s > *ret_s)) {
            *ret_s = candidate_s;
            found = true;
        }
    }
    return found;
}

/* The first fire whose wall time is not below this one, on this day. */
static bool fire_in_day(const struct oracle *o, int64_t day, int64_t from_wall_s, int64_t *ret_s)
{
    for (int h = 0; h < 24; h++)
        for (int m = 0; o->hour[h] && m < 60; m++)
            for (int s = 0; o->minute[m] && s < 60; s++) {
                int64_t wall_s = day * DAY + h * 3600 + m * 60 + s;
                if (o->second[s] && wall_s >= from_wall_s && shown_at(wall_s, ret_s))
                    return true;
            }
    return false;
}

static bool oracle_next(const struct oracle *o, int64_t after_s, int64_t *ret_s)
{
    int64_t from_wall_s = wall_at(after_s + 1);
    for (int64_t day = from_wall_s / DAY; date_of(day).tm_year + 1900 <= YEAR_LAST; day++)
        if (fires_on(o, day) && fire_in_day(o, day, from_wall_s, ret_s))
            return true;
    return false;
}

/* ---- the comparison ---- */

/* A moment some hours before clocks change in a year; that of any day where they do not. */
static int64_t before_change(void)
{
    int64_t at_s = civil_to_days(draw(YEAR_FIRST, YEAR_LAST - 1), draw(1, 12), 1) * DAY;
    int64_t shift_s = wall_at(at_s) - at_s;
    for (int hour = 0; hour < 366 * 24 && wall_at(at_s) - at_s == shift_s; hour++)
        at_s += 3600;
    return at_s - draw(0, 6 * 3600);
}

static int64_t random_start(bool at_change)
{
    static const char *const near[] = {"2024-02-28", "2025-12-31", "2018-02-28", "2024-07-31", "2024-12-30"};
    int64_t ms = 0;
    if (at_change)
        return before_change();
    if (draw(0, 3) == 0) {
        assert_int_equal(civil_parse_instant(near[draw(0, 4)], &ms, NULL), ERR_OK);
        return ms / 1000 + draw(-DAY, DAY);
    }
    return civil_to_days(YEAR_FIRST, 1, 1) * DAY + draw(0, 40 * 365) * (int64_t)DAY + draw(0, DAY - 1);
}

static void compare(const struct oracle *o, const struct cron *c, const struct zone *z, int64_t at_s)
{
    for (int i = 0; i < FIRES; i++) {
        int64_t expected_s = 0;
        int64_t found_s = 0;
        int64_t back_s = 0;
        bool expected = oracle_next(o, at_s, &expected_s);
        bool found = cron_next(c, z, at_s, &found_s);
        if (found && date_of((found_s + wall_at(found_s) - found_s) / DAY).tm_year + 1900 > YEAR_LAST)
            found = false; /* the oracle ends earlier */
        if (found != expected || found_s * found != expected_s * expected)
            fail_msg("\"%s\" in %s after %lld: %lld instead of %lld", o->text, zone_name(z), (long long)at_s,
                     found ? (long long)found_s : -1, expected ? (long long)expected_s : -1);
        if (!found)
            return;
        assert_true(cron_previous(c, z, found_s + 1, &back_s) && back_s == found_s);
        if (cron_previous(c, z, found_s, &back_s))
            assert_true(i == 0 ? back_s < found_s : back_s == at_s);
        at_s = found_s;
    }
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void random_expressions_fire_when_a_naive_search_says(void **state)
{
    (void)state;
    static struct oracle o;
    uint64_t n = from_environment("HEARTH_CRON_RANDOM", EXPRESSIONS);
    chance = from_environment("HEARTH_CRON_SEED", 20261121) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (uint64_t i = 0; i < n; i++) {
        const struct zone *z = NULL;
        struct cron c;
        struct err err = {0};
        const char *name =
            zones[(i / 64) % (sizeof zones / sizeof *zones)]; /* changing it costs the C library */
        bool at_change = draw(0, 3) == 0;
        make(&o, at_change);
        if (i % 64 == 0) {
            assert_int_equal(setenv("TZ", name, 1), 0);
            tzset();
        }
        assert_int_equal(zone_find(name, &z, NULL), ERR_OK);
        if (cron_parse(o.text, &c, NULL, &err) != ERR_OK)
            fail_msg("\"%s\": %s", o.text, err.msg);
        compare(&o, &c, z, random_start(at_change));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_expressions_fire_when_a_naive_search_says),
    };
    int failed = cmocka_run_group_tests_name("random cron expressions", tests, NULL, NULL);
    zone_forget_all();
    return failed;
}
