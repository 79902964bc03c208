/* Cron expressions: Quartz's own answers (tests/vectors/quartz-cron.jsonl), refusals, meanings, clock
 * changes. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strs.h"
#include "schedule/civil.h"
#include "schedule/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NEXT_MAX = 8, VECTORS = 513 };

static const struct zone *zone(const char *name)
{
    const struct zone *z = NULL;
    struct err err = {0};
    if (zone_find(name, &z, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    return z;
}

static struct cron parsed(const char *text)
{
    struct cron c;
    struct err err = {0};
    if (cron_parse(text, &c, NULL, &err) != ERR_OK)
        fail_msg("%s: %s", text, err.msg);
    return c;
}

static int64_t instant_ms(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(civil_parse_instant(text, &ms, NULL), ERR_OK);
    return ms;
}

static int64_t instant(const char *text)
{
    int64_t ms = instant_ms(text);
    return (ms >= 0 ? ms : ms - 999) / 1000;
}

/* ---- Quartz's own answers ---- */

/* Where the contract asks for a refusal although Quartz accepts. */
static bool is_refused_on_purpose(const char *cron)
{
    static const char *const texts[] = {"0 0 L * * ?", "0 0 0 99 * ?", "0 0 0 ? * 0#1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(cron, texts[i]) == 0)
            return true;
    return false;
}

static void check_reason(const char *id, const char *ours, const char *quartz)
{
    const char *bracket = "Illegal cron expression format (";
    bool same = str_starts(quartz, bracket) ? str_starts(ours, bracket) : strcmp(ours, quartz) == 0;
    if (!same)
        fail_msg("%s: \"%s\" instead of \"%s\"", id, ours, quartz);
}

static void check_moments(const char *id, const struct cron *c, const struct zone *z, const json_t *vector)
{
    const json_t *moments = json_object_get(vector, "next");
    int64_t at_s = instant(json_string_value(json_object_get(vector, "start")));
    for (size_t i = 0; i < NEXT_MAX; i++) {
        char text[CIVIL_INSTANT_TEXT] = "";
        int64_t before_s = at_s;
        if (cron_next(c, z, at_s, &at_s))
            civil_format_instant(at_s, text);
        const char *expected = json_string_value(json_array_get(moments, i));
        if (strcmp(text, expected != NULL ? expected : "") != 0)
            fail_msg("%s: moment %zu is \"%s\" instead of \"%s\"", id, i, text, expected);
        int64_t back_s = 0;
        if (expected == NULL)
            return;
        assert_true(cron_previous(c, z, at_s + 1, &back_s));
        assert_int_equal(back_s, at_s);
        if (i > 0 && cron_previous(c, z, at_s, &back_s))
            assert_in_range(back_s - before_s, 0, at_s - before_s); /* a gap may have been jumped over */
    }
}

static void check_vector(const json_t *vector)
{
    const char *id = json_string_value(json_object_get(vector, "id"));
    const char *text = json_string_value(json_object_get(vector, "cron"));
    bool valid = json_is_true(json_object_get(vector, "valid")) && !is_refused_on_purpose(text);
    struct cron c;
    struct cron_problem problem = {0};
    struct err err = {0};
    enum err_code rc = cron_parse(text, &c, &problem, &err);
    if ((rc == ERR_OK) != valid)
        fail_msg("%s: %s: %s", id, text, rc == ERR_OK ? "accepted" : err.msg);
    const char *reason = json_string_value(json_object_get(vector, "error"));
    if (valid)
        check_moments(id, &c, zone(json_string_value(json_object_get(vector, "tz"))), vector);
    else if (reason != NULL)
        check_reason(id, problem.reason, reason);
}

static void all_that_quartz_answers_is_answered_the_same(void **state)
{
    (void)state;
    char path[512];
    int n = 0;
    (void)snprintf(path, sizeof path, "%s/quartz-cron.jsonl", getenv("HEARTH_VECTORS"));
    cleanup(buf_clear) struct buf file = BUF(4 << 20);
    assert_int_equal(io_read_file(path, &file, NULL), ERR_OK);
    for (const char *line = file.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, n++) {
        json_t *vector = NULL;
        assert_int_equal(json_parse(line, (size_t)(end - line), 8, &vector, NULL), ERR_OK);
        check_vector(vector);
        json_decref(vector);
    }
    assert_int_equal(n, VECTORS);
}

/* ---- refusals ---- */

static void a_refusal_names_the_field_the_value_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field, *value, *message;
    } cases[] = {
        {"0 0 24 * * ?", "hours", "24",
         "hours '24': Hour values must be between 0 and 23 (allowed: 0-23 and , - * /)"},
        {"0 0 1,2,30 * * ?", "hours", "30",
         "hours '30': Hour values must be between 0 and 23 (allowed: 0-23 and , - * /)"},
        {"0 0/75 * * * ?", "minutes", "0/75",
         "minutes '0/75': Increment > 60 : 75 (allowed: 0-59 and , - * /)"},
        {"0 0 0 1 foo ?", "month", "FOO",
         "month 'FOO': Invalid Month value: 'FOO' (allowed: 1-12 or JAN-DEC and , - * /)"},
        {"0 0 0 ? * 9", "day of week", "9",
         "day of week '9': Day-of-Week values must be between 1 and 7 (allowed: 1-7 (1 is Sunday) or SUN-SAT "
         "and , - * / ? L #)"},
        {"0 0 0 1 * ? 2030-2020", "year", "2030-2020",
         "year '2030-2020': Illegal cron expression format (Start year must be less than stop year) "
         "(allowed: "
         "1970-2199 and , - * /)"},
        {"0 , * * * ?", "minutes", "",
         "minutes: Illegal cron expression format (no value) (allowed: 0-59 and , - * /)"},
        {"0 0 12 * * *", "day of week", "",
         "day of week: Support for specifying both a day-of-week AND a day-of-month parameter is not "
         "implemented. (allowed: 1-7 (1 is Sunday) or SUN-SAT and , - * / ? L #)"},
        {"15 10 * * *", NULL, "",
         "Unexpected end of expression. (allowed: seconds minutes hours day-of-month month day-of-week "
         "[year], "
         "or unix: and its five fields)"},
        {"unix: 15 10 * *", NULL, "",
         "Unexpected end of expression. (allowed: seconds minutes hours day-of-month month day-of-week "
         "[year], "
         "or unix: and its five fields)"},
        {"unix: 15 24 * * *", "hours", "24",
         "hours '24': Hour values must be between 0 and 23 (allowed: 0-23 and , - * /)"},
        {"0 0 12 \xc3\xa9 * ?", "day of month", "\xc3\xa9",
         "day of month '\xc3\xa9': Unexpected character: \xc3\xa9 (allowed: 1-31 and , - * / ? L W)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cron c;
        struct cron_problem problem = {0};
        struct err err = {0};
        assert_int_equal(cron_parse(cases[i].text, &c, &problem, &err), ERR_INVALID);
        assert_string_equal(err.msg, cases[i].message);
        assert_true((problem.field == NULL) == (cases[i].field == NULL));
        if (problem.field != NULL)
            assert_string_equal(problem.field, cases[i].field);
        assert_string_equal(problem.value, cases[i].value);
    }
}

/* Quartz accepts these and then fails, never ends, or means something nobody wrote. */
static void traps_of_quartz_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "99 0 0 1 * ?",
        "0 0 99 * * ?",
        "0 0 0 98 * ?",
        "0 0 0 ? * 98",
        "0 0 0 ? * 99",
        "0 0 0 0W * ?",
        "0 0 0 ? * 0#1",
        "0 0 0 ? * 8#1",
        "L 0 0 * * ?",
        "0 L 0 * * ?",
        "0 0 0 1 L ?",
        "0 0 0 1 1 ? L",
        ", 0 0 * * ?",
        "0 0 0 1 , ?",
        "0 0 0 ? * ,",
        "",
        "   ",
        "0 0 0 1 1 ? 99",
        "unix: * * * * * *",
        "unix:",
        "unix: * * \n * *",
        "unix: 5-1 * * * *",
        "unix: 1,,2 * * * *",
        "unix: */0 * * * *",
        "unix: 5/2 * * * *",
        "unix: * * ? * *",
        "unix: * * L * *",
        "unix: * * * * 8",
        "unix: * * 0 * *",
        "unix: * * * * 1#2",
        "unix: 1, * * * *",
        "unix: 1000 * * * *",
        "unix: * * * fo *",
        "unix: * * * * monx",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cron c;
        struct err err = {0};
        if (cron_parse(texts[i], &c, NULL, &err) != ERR_INVALID || err.msg[0] == '\0')
            fail_msg("\"%s\" is accepted", texts[i]);
    }
}

static void a_text_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[CRON_TEXT_MAX + 2];
    struct cron c;
    struct cron_problem problem = {0};
    (void)snprintf(text, sizeof text, "0 0 12 * * ? *");
    memset(text + strlen(text), ' ', sizeof text - strlen(text));
    text[CRON_TEXT_MAX] = '\0';
    assert_int_equal(cron_parse(text, &c, &problem, NULL), ERR_OK);
    text[CRON_TEXT_MAX] = ' ';
    text[CRON_TEXT_MAX + 1] = '\0';
    assert_int_equal(cron_parse(text, &c, &problem, NULL), ERR_TOO_LARGE);
    assert_string_equal(problem.reason, "Longer than 1024 bytes");
}

/* ---- the Unix form ---- */

static void check_next(const char *cron, const char *zone_name, const char *after, const char *expected)
{
    struct cron c = parsed(cron);
    char text[CIVIL_INSTANT_TEXT] = "never";
    int64_t at_s = 0;
    if (cron_next(&c, zone(zone_name), instant(after), &at_s))
        civil_format_instant(at_s, text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s in %s after %s: %s instead of %s", cron, zone_name, after, text, expected);
}

static void check_previous(const char *cron, const char *zone_name, const char *before, const char *expected)
{
    struct cron c = parsed(cron);
    char text[CIVIL_INSTANT_TEXT] = "never";
    int64_t at_s = 0;
    if (cron_previous(&c, zone(zone_name), instant(before), &at_s))
        civil_format_instant(at_s, text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s in %s before %s: %s instead of %s", cron, zone_name, before, text, expected);
}

static void the_unix_form_is_read_as_cron_reads_it(void **state)
{
    (void)state;
    check_next("unix: 15 10 * * 1-5", "UTC", "2026-11-21T00:00:00Z", "2026-11-23T10:15:00Z");
    check_next("UNIX:*/20 * * * *", "UTC", "2026-11-21T00:20:00Z", "2026-11-21T00:40:00Z");
    check_next("unix: 0 0 * * sun", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
    check_next("unix: 0 0 * * 0", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
    check_next("unix: 0 0 * * 7", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
    check_next("unix: 0 0 * * 5-7", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
    check_next("unix: 0 0 1-31/10 mar-apr *", "UTC", "2026-11-21T00:00:00Z", "2027-03-01T00:00:00Z");
    /* both days restricted: either */
    check_next("unix: 0 0 13 * fri", "UTC", "2026-11-21T00:00:00Z", "2026-11-27T00:00:00Z");
    check_next("unix: 0 0 13 * fri", "UTC", "2026-12-12T00:00:00Z", "2026-12-13T00:00:00Z");
    /* one begins with a star: both */
    check_next("unix: 0 0 */2 * mon", "UTC", "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z");
    check_next("unix: 0 0 */2 * mon", "UTC", "2026-11-23T00:00:00Z", "2026-12-07T00:00:00Z");
    check_previous("unix: 0 0 13 * fri", "UTC", "2026-11-21T00:00:00Z", "2026-11-20T00:00:00Z");
}

/* ---- clock changes ---- */

static void hours_that_are_left_out_do_not_fire(void **state)
{
    (void)state;
    /* Rome goes from 02:00 to 03:00 on 2026-03-29 at 01:00Z, New York on 2026-03-08 at 07:00Z */
    check_next("0 30 2 * * ?", "Europe/Rome", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z");
    check_next("0 0 2 * * ?", "Europe/Rome", "2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z");
    check_next("0 0/30 * * * ?", "Europe/Rome", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z");
    check_next("59 59 1 * * ?", "Europe/Rome", "2026-03-28T12:00:00Z", "2026-03-29T00:59:59Z");
    check_next("0 0 3 * * ?", "Europe/Rome", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z");
    check_next("0 30 2 * * ?", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T06:30:00Z");
    check_next("0 0 3 * * ?", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z");
    check_previous("0 30 2 * * ?", "Europe/Rome", "2026-03-29T12:00:00Z", "2026-03-28T01:30:00Z");
    check_previous("0 0/30 * * * ?", "Europe/Rome", "2026-03-29T01:00:00Z", "2026-03-29T00:30:00Z");
    check_previous("0 30 2 * * ?", "America/New_York", "2026-03-09T00:00:00Z", "2026-03-07T07:30:00Z");
}

static void hours_that_come_twice_fire_the_second_time(void **state)
{
    (void)state;
    /* Rome goes from 03:00 back to 02:00 on 2026-10-25 at 01:00Z, New York on 2026-11-01 at 06:00Z */
    check_next("0 30 2 * * ?", "Europe/Rome", "2026-10-24T12:00:00Z", "2026-10-25T01:30:00Z");
    check_next("0 0/30 * * * ?", "Europe/Rome", "2026-10-24T23:30:00Z", "2026-10-25T01:00:00Z");
    check_next("0 30 1 * * ?", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T06:30:00Z");
    /* a search from within the first pass goes on in the second */
    check_next("0 0/30 * * * ?", "America/New_York", "2026-11-01T05:31:00Z", "2026-11-01T07:00:00Z");
    check_previous("0 30 2 * * ?", "Europe/Rome", "2026-10-25T01:00:00Z", "2026-10-24T00:30:00Z");
    check_previous("0 30 2 * * ?", "Europe/Rome", "2026-10-25T02:00:00Z", "2026-10-25T01:30:00Z");
    check_previous("0 0/30 * * * ?", "Europe/Rome", "2026-10-25T01:00:00Z", "2026-10-24T23:30:00Z");
    check_previous("0 0/30 * * * ?", "Europe/Rome", "2026-10-25T00:45:00Z", "2026-10-24T23:30:00Z");
    check_previous("0 0/30 * * * ?", "America/New_York", "2026-11-01T05:31:00Z", "2026-11-01T04:30:00Z");
}

static void the_rules_hold_far_in_the_future(void **state)
{
    (void)state;
    check_next("0 30 2 * * ? 2150", "Europe/Rome", "2150-03-28T12:00:00Z", "2150-03-30T00:30:00Z");
    check_next("0 30 2 25 10 ? 2150", "Europe/Rome", "2150-01-01T00:00:00Z", "2150-10-25T01:30:00Z");
}

/* ---- the calendar ---- */

static void leap_days_are_found(void **state)
{
    (void)state;
    check_next("0 0 0 29 2 ?", "UTC", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z");
    check_next("0 0 0 29 2 ?", "UTC", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z");
    check_previous("0 0 0 29 2 ?", "UTC", "2104-02-29T00:00:00Z", "2096-02-29T00:00:00Z");
    check_next("0 0 0 L 2 ?", "UTC", "2023-03-01T00:00:00Z", "2024-02-29T00:00:00Z");
    check_next("0 0 0 ? 2 7#5", "UTC", "2026-01-01T00:00:00Z", "2048-02-29T00:00:00Z");
    check_next("0 0 0 L-30 * ?", "UTC", "2026-01-31T00:00:00Z", "2026-03-01T00:00:00Z");
    check_next("0 0 0 L-30W * ?", "UTC", "2026-01-31T00:00:00Z", "2026-03-02T00:00:00Z");
}

/* The day before such a Saturday is a fire whatever the search comes from. */
static void days_behind_the_end_of_a_month_fire_before_a_saturday(void **state)
{
    (void)state;
    check_next("0 0 9 31W * ?", "UTC", "2027-03-31T09:00:00Z", "2027-04-30T09:00:00Z");
    check_next("0 0 9 31W * ?", "UTC", "2026-03-31T09:00:00Z", "2026-05-29T09:00:00Z");
    check_next("0 0 9 29W * ?", "UTC", "2025-02-10T00:00:00Z", "2025-02-28T09:00:00Z");
    check_next("0 0 9 29W * ?", "UTC", "2025-01-29T09:00:00Z", "2025-02-28T09:00:00Z");
    check_next("0 0 9 29W * ?", "UTC", "2026-01-29T09:00:00Z", "2026-03-30T09:00:00Z");
    check_previous("0 0 9 29W * ?", "UTC", "2025-03-28T09:00:00Z", "2025-02-28T09:00:00Z");
}

static void the_years_end(void **state)
{
    (void)state;
    check_next("0 0 0 1 1 ?", "UTC", "2198-06-01T00:00:00Z", "2199-01-01T00:00:00Z");
    check_next("0 0 0 1 1 ?", "UTC", "2199-01-01T00:00:00Z", "never");
    check_next("59 59 23 31 12 ?", "Europe/Rome", "2199-06-01T00:00:00Z", "2199-12-31T22:59:59Z");
    check_next("* * * * * ?", "America/New_York", "2200-01-01T04:59:59Z", "never");
    check_next("* * * * * ?", "UTC", "9999-12-31T23:59:59Z", "never");
    check_next("* * * * * ?", "UTC", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
    check_next("* * * * * ?", "Asia/Tokyo", "1960-01-01T00:00:00Z", "1969-12-31T15:00:00Z");
    check_previous("* * * * * ?", "UTC", "1970-01-01T00:00:00Z", "never");
    check_previous("* * * * * ?", "Asia/Tokyo", "1969-12-31T15:00:01Z", "1969-12-31T15:00:00Z");
    check_previous("* * * * * ?", "UTC", "9999-01-01T00:00:00Z", "2199-12-31T23:59:59Z");
    check_next("0 0 0 1 1 ? 2500", "UTC", "2026-01-01T00:00:00Z", "never");
    check_next("0 0 0 1 1 ? ,", "UTC", "2026-01-01T00:00:00Z", "never");
    struct cron c = parsed("* * * * * ?");
    int64_t at_s = 7;
    assert_false(cron_next(&c, zone("UTC"), INT64_MAX, &at_s));
    assert_true(cron_next(&c, zone("Europe/Rome"), INT64_MIN, &at_s));
    assert_false(cron_previous(&c, zone("Europe/Rome"), INT64_MIN, &at_s));
    assert_true(cron_previous(&c, zone("Europe/Rome"), INT64_MAX, &at_s));
}

static void what_never_fires_is_known_quickly(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0 0 0 30 2 ?",        "0 0 0 31 2,4,6,9,11 ?",   "0 0 0 L-29 2 ? 2100",
        "0 0 0 31W 2 ?",       "0 0 0 ? 2 1#5 2101-2103", "0 0 0 1 1 ? 1971",
        "0 0 0 30,31 2 ? */4", "0 30 2 ? 3 1L 2026,2027",
    };
    int64_t start = clock_mono_ms();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cron c = parsed(texts[i]);
        int64_t at_s = 0;
        for (int n = 0; n < 100; n++)
            if (cron_next(&c, zone("Europe/Rome"), instant("2026-01-01T00:00:00Z"), &at_s))
                fail_msg("%s fires", texts[i]);
    }
    assert_true(clock_mono_ms() - start < 2000);
}

/* ---- meanings ---- */

static void the_meaning_is_told_in_english(void **state)
{
    (void)state;
    static const struct {
        const char *text, *meaning;
    } cases[] = {
        {"0 15 10 ? * MON-FRI", "At 10:15 every weekday in Europe/Rome"},
        {"0 0 12 * * ?", "At 12:00 every day in Europe/Rome"},
        {"30 0 12 ? * *", "At 12:00:30 every day in Europe/Rome"},
        {"0 10,44 14 ? 3 WED", "At 14:10 and 14:44 every Wednesday in March in Europe/Rome"},
        {"* * * * * ?", "Every second in Europe/Rome"},
        {"0/15 * * * * ?", "Every 15 seconds in Europe/Rome"},
        {"0/15 0/5 * * * ?", "Every 15 seconds of every 5th minute in Europe/Rome"},
        {"0/10 * 8-9 * * ?", "Every 10 seconds from 08:00 to 09:59 in Europe/Rome"},
        {"0 * 14 * * ?", "Every minute from 14:00 to 14:59 in Europe/Rome"},
        {"0 0/5 14,18 * * ?", "Every 5 minutes from 14:00 to 14:59 and from 18:00 to 18:59 in Europe/Rome"},
        {"0 0/5 0/2 * * ?", "Every 5 minutes of every 2nd hour in Europe/Rome"},
        {"0 0 * * * ?", "Every hour in Europe/Rome"},
        {"0 0 0/4 * * ?", "At 00:00, 04:00, 08:00, 12:00, 16:00 and 20:00 every day in Europe/Rome"},
        {"0 0 0/2 ? * MON", "Every 2 hours every Monday in Europe/Rome"},
        {"0 0 8-18 ? * SAT,SUN", "Every hour from 08:00 to 18:00 every Sunday and Saturday in Europe/Rome"},
        {"0 30 * * * ?", "At minute 30 of every hour every day in Europe/Rome"},
        {"0 30 9-17 * * ?", "At minute 30 of every hour from 09:00 to 17:59 every day in Europe/Rome"},
        {"0 1,2,3,4,9 1,5,9,20 * * ?",
         "At minutes 1 to 4 and 9 of the hours 1, 5, 9 and 20 every day in Europe/Rome"},
        {"5,6 * * * * ?", "At seconds 5 and 6 of every minute every day in Europe/Rome"},
        {"7 0 * * * ?", "At second 7 of minute 0 of every hour every day in Europe/Rome"},
        {"0 0 6 L * ?", "At 06:00 on the last day of the month in Europe/Rome"},
        {"0 0 6 L-3 * ?", "At 06:00 on the 3rd day before the last day of the month in Europe/Rome"},
        {"0 0 6 LW 1,7 ?", "At 06:00 on the last weekday of January and July in Europe/Rome"},
        {"0 0 6 L-2W * ?",
         "At 06:00 on the weekday nearest to the 2nd day before the last day of the month in Europe/Rome"},
        {"0 0 6 15W * ?", "At 06:00 on the weekday nearest to the 15th of the month in Europe/Rome"},
        {"0 0 6 ? * 6L", "At 06:00 on the last Friday of the month in Europe/Rome"},
        {"0 0 6 ? * 6#3", "At 06:00 on the third Friday of the month in Europe/Rome"},
        {"0 0 6 1,2,3,11,22,31 * ?",
         "At 06:00 on the 1st to 3rd, 11th, 22nd and 31st of the month in Europe/Rome"},
        {"0 0 6 29 2 ? 2028", "At 06:00 on the 29th of February in 2028 in Europe/Rome"},
        {"0 0 6 * 11-2 ? 2026,2028-2030", "At 06:00 every day in January, February, November and December in "
                                          "2026 and 2028 to 2030 in Europe/Rome"},
        {"0 0 6 * * ? 2030/1", "At 06:00 every day in 2030 and later in Europe/Rome"},
        {"0 0 6 * * ? 2030/7", "At 06:00 every day in every 7th year from 2030 in Europe/Rome"},
        {"0 0 6 * * ? 2030-2040/3", "At 06:00 every day in every 3rd year from 2030 to 2039 in Europe/Rome"},
        {"0 0 6 * * ? 2030,2033,2034,2040",
         "At 06:00 every day in 2030, 2033 to 2034 and 2040 in Europe/Rome"},
        {"0 0 6 * * ? 2030,2033,2036", "At 06:00 every day in 2030, 2033 and 2036 in Europe/Rome"},
        {"0 0 6 * * ? ,", "At 06:00 every day in no year to come in Europe/Rome"},
        {"unix: 0 6 13 * 5", "At 06:00 on the 13th of the month and every Friday in Europe/Rome"},
        {"unix: 0 6 */15 * 5",
         "At 06:00 on the 1st, 16th and 31st of the month if that is a Friday in Europe/Rome"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(buf_clear) struct buf words = BUF(4096);
        struct cron c = parsed(cases[i].text);
        cron_describe(&c, zone("Europe/Rome"), &words);
        assert_string_equal(buf_cstr(&words), cases[i].meaning);
    }
}

static void a_meaning_without_a_zone_names_none(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf words = BUF(4096);
    struct cron c = parsed("0 15 10 * * ?");
    cron_describe(&c, NULL, &words);
    assert_string_equal(buf_cstr(&words), "At 10:15 every day");
}

/* ---- instants ---- */

static void instants_are_read_in_all_their_forms(void **state)
{
    (void)state;
    assert_int_equal(instant_ms("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(instant_ms("1970-01-01"), 0);
    assert_int_equal(instant_ms("1970-01-02t00:00:00.5z"), 86400500);
    assert_int_equal(instant_ms("2024-02-29T01:00:00.1239+01:00"), INT64_C(1709164800123));
    assert_int_equal(instant_ms("2024-02-28 19:00:00-05:00"), INT64_C(1709164800000));
    static const char *const bad[] = {
        "",
        "now",
        "2024-02-30T00:00:00Z",
        "2023-02-29",
        "2024-13-01",
        "0000-01-01",
        "2024-1-1",
        "2024-01-01T",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.Z",
        "2024-01-01x",
        "2024-01-01T00:00:00+1:00",
        "2024-01-01T00:00:00Z ",
        "0001-01-01T00:00:00+01:00",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 0;
        struct err err = {0};
        assert_int_equal(civil_parse_instant(bad[i], &ms, &err), ERR_INVALID);
        assert_non_null(strstr(err.msg, "is not an instant such as"));
    }
}

static void days_and_dates_agree(void **state)
{
    (void)state;
    int64_t expected = civil_to_days(1, 1, 1);
    int weekday = 1; /* a Monday */
    for (int year = 1; year <= 2400; year++)
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= civil_month_length(year, month); day++, expected++) {
                struct civil back = civil_from_days(expected);
                assert_true(civil_to_days(year, month, day) == expected);
                assert_true(back.year == year && back.month == month && back.day == day);
                assert_true(civil_weekday(expected) == weekday);
                weekday = (weekday + 1) % 7;
            }
}

static int forget_zones(void **state)
{
    (void)state;
    zone_forget_all();
    return mem_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_quartz_answers_is_answered_the_same),
        cmocka_unit_test(a_refusal_names_the_field_the_value_and_what_is_allowed),
        cmocka_unit_test(traps_of_quartz_are_refused),
        cmocka_unit_test(a_text_that_is_too_long_is_refused),
        cmocka_unit_test(the_unix_form_is_read_as_cron_reads_it),
        cmocka_unit_test(hours_that_are_left_out_do_not_fire),
        cmocka_unit_test(hours_that_come_twice_fire_the_second_time),
        cmocka_unit_test(the_rules_hold_far_in_the_future),
        cmocka_unit_test(leap_days_are_found),
        cmocka_unit_test(days_behind_the_end_of_a_month_fire_before_a_saturday),
        cmocka_unit_test(the_years_end),
        cmocka_unit_test(what_never_fires_is_known_quickly),
        cmocka_unit_test(the_meaning_is_told_in_english),
        cmocka_unit_test(a_meaning_without_a_zone_names_none),
        cmocka_unit_test(instants_are_read_in_all_their_forms),
        cmocka_unit_test(days_and_dates_agree),
    };
    return cmocka_run_group_tests_name("cron", tests, NULL, forget_zones);
}
