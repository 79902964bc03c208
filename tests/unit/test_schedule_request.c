/* Bodies of schedules: what is taken, what is refused and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "schedule/zone.h"
#include "web/schedule_request.h"

#include <stdio.h>
#include <string.h>

#define BATCH "\"batch\":{\"file\":\"/jobs/etl.py\"}"
#define NOW_MS INT64_C(1795277445000) /* 2026-11-21T16:10:45Z */

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    zone_forget_all();
    assert_int_equal(mem_live(), 0);
    return 0;
}

static enum err_code read_text(const char *text, struct schedule_request *r, struct err *err)
{
    cleanup(json_decrefp) json_t *body = NULL;
    enum err_code rc = json_parse(text, strlen(text), 64, &body, err);
    return rc == ERR_OK ? schedule_request_read(r, body, true, NOW_MS, err) : rc;
}

static struct schedule_request take(const char *text)
{
    struct schedule_request r = {0};
    struct err err = {0};
    if (read_text(text, &r, &err) != ERR_OK)
        fail_msg("%s: %s", text, err.msg);
    return r;
}

static void refuses(const char *text, const char *words)
{
    struct schedule_request r = {0};
    struct err err = {0};
    if (read_text(text, &r, &err) != ERR_INVALID)
        fail_msg("%s: was accepted", text);
    if (strstr(err.msg, words) == NULL)
        fail_msg("%s: '%s' does not hold '%s'", text, err.msg, words);
    schedule_request_clear(&r);
}

/* The same with a name, a batch and an interval around it. */
static void refuses_field(const char *field, const char *words)
{
    char text[4096];
    (void)snprintf(text, sizeof text, "{\"name\":\"n\",\"every\":\"10m\"," BATCH ",%s}", field);
    refuses(text, words);
}

/* ---- what is taken ---- */

static void the_smallest_body_gets_defaults(void **state)
{
    (void)state;
    struct schedule_request r = take("{\"name\":\"nightly\",\"cron\":\"0 0 2 * * ?\"," BATCH "}");
    assert_string_equal(r.spec.group, "default");
    assert_string_equal(r.spec.name, "nightly");
    assert_string_equal(r.spec.cron, "0 0 2 * * ?");
    assert_non_null(r.spec.zone);
    assert_int_equal(r.spec.trigger.kind, TRIGGER_CRON);
    assert_int_equal(r.spec.trigger.start_ms, NOW_MS);
    assert_true(r.spec.trigger.end_ms == TRIGGER_NEVER);
    assert_int_equal(r.spec.trigger.misfire, MISFIRE_SMART);
    assert_int_equal(r.spec.priority, 5);
    assert_int_equal(r.spec.overlap, OVERLAP_ALLOW);
    assert_int_equal(r.spec.jitter_ms, 0);
    assert_int_equal(r.spec.retry.limit, 0);
    assert_string_equal(r.program.submission.file, "/jobs/etl.py");
    assert_false(r.paused);
    schedule_request_clear(&r);
}

static void every_field_is_read(void **state)
{
    (void)state;
    struct schedule_request r =
        take("{\"name\":\"tick\",\"group\":\"Ä/ö\",\"every\":\"10min\",\"repeat\":5,"
             "\"start\":\"2027-01-01T00:00:00+02:00\",\"end\":\"2027-02-01T00:00:00.500Z\",\"priority\":9,"
             "\"misfire\":\"next_with_existing_count\",\"overlap\":\"queue\",\"jitter\":\"90s\","
             "\"retry\":{\"limit\":3,\"delay\":\"1m\",\"maxDelay\":\"1h\"},\"paused\":true," BATCH "}");
    const struct trigger *t = &r.spec.trigger;
    assert_string_equal(r.spec.group, "Ä/ö");
    assert_int_equal(t->kind, TRIGGER_INTERVAL);
    assert_int_equal(t->interval_ms, 600000);
    assert_int_equal(t->repeat, 5);
    assert_true(t->start_ms == INT64_C(1798754400000));
    assert_true(t->end_ms == INT64_C(1801440000500));
    assert_int_equal(t->misfire, MISFIRE_NEXT_EXISTING);
    assert_int_equal(r.spec.priority, 9);
    assert_int_equal(r.spec.overlap, OVERLAP_QUEUE);
    assert_int_equal(r.spec.jitter_ms, 90000);
    assert_int_equal(r.spec.retry.limit, 3);
    assert_int_equal(r.spec.retry.delay_ms, 60000);
    assert_int_equal(r.spec.retry.max_delay_ms, 3600000);
    assert_true(r.paused);
    assert_null(r.spec.cron);
    schedule_request_clear(&r);
}

static void once_may_lie_in_the_past(void **state)
{
    (void)state;
    struct schedule_request r = take("{\"name\":\"o\",\"at\":\"2020-01-01T00:00:00Z\"," BATCH "}");
    assert_int_equal(r.spec.trigger.kind, TRIGGER_ONCE);
    assert_true(r.spec.trigger.start_ms == INT64_C(1577836800000));
    schedule_request_clear(&r);
}

static void what_an_expression_would_have_said_before_now_is_not_missed(void **state)
{
    (void)state;
    struct schedule_request r =
        take("{\"name\":\"o\",\"cron\":\"0 0 2 * * ?\",\"start\":\"2020-01-01T00:00:00Z\"," BATCH "}");
    assert_true(r.spec.trigger.start_ms == NOW_MS);
    schedule_request_clear(&r);
}

static void null_means_not_given(void **state)
{
    (void)state;
    struct schedule_request r =
        take("{\"name\":\"o\",\"cron\":null,\"at\":null,\"every\":\"1d\",\"repeat\":null,"
             "\"timeZone\":null,\"retry\":null,\"group\":null," BATCH "}");
    assert_int_equal(r.spec.trigger.kind, TRIGGER_INTERVAL);
    assert_true(r.spec.trigger.repeat == TRIGGER_REPEAT_FOREVER);
    schedule_request_clear(&r);
}

static void long_delays_raise_the_longest(void **state)
{
    (void)state;
    struct schedule_request r =
        take("{\"name\":\"o\",\"every\":\"1d\",\"retry\":{\"limit\":1,\"delay\":\"2h\"}," BATCH "}");
    assert_int_equal(r.spec.retry.max_delay_ms, 7200000);
    schedule_request_clear(&r);
}

/* ---- what is refused ---- */

static void what_is_missing_is_named(void **state)
{
    (void)state;
    refuses("[]", "the body must be a JSON object");
    refuses("{\"every\":\"1m\"," BATCH "}", "name is missing");
    refuses("{\"name\":\"n\",\"every\":\"1m\"}", "batch is missing");
    refuses("{\"name\":\"n\"," BATCH "}", "none of cron, at and every is given");
    refuses("{\"name\":\"n\",\"every\":\"1m\",\"cron\":\"* * * * * ?\"," BATCH "}",
            "more than one of cron, at");
}

static void unknown_fields_are_refused_with_the_nearest(void **state)
{
    (void)state;
    refuses("{\"name\":\"n\",\"crn\":\"* * * * * ?\"," BATCH "}",
            "crn is no field of it; did you mean cron?");
    refuses("{\"name\":\"n\",\"timezone\":\"UTC\"," BATCH "}", "did you mean timeZone?");
    refuses("{\"name\":\"n\",\"every\":\"1m\",\"batch\":{\"fil\":\"/x\"}}",
            "batch: fil is no field of it; did you mean file?");
    refuses_field("\"retry\":{\"limt\":1}", "retry: limt is no field of it; did you mean limit?");
    refuses_field("\"colour\":\"red\"", "colour is no field of it; it may have name, group");
}

static void values_are_refused_with_what_is_allowed(void **state)
{
    (void)state;
    refuses_field("\"priority\":11", "priority is 11; it must be a whole number from 1 to 10");
    refuses_field("\"priority\":\"5\"", "priority is \"5\"; it must be a whole number");
    refuses_field("\"overlap\":\"skp\"",
                  "overlap is \"skp\"; it must be allow, skip, queue or replace (did you");
    refuses_field("\"overlap\":7", "overlap is 7; it must be allow, skip, queue or replace");
    refuses_field("\"misfire\":\"do_nothing\"", "misfire: ");
    refuses_field("\"jitter\":\"25h\"", "jitter is '25h'; it must be from 0s to 1d");
    refuses_field("\"jitter\":90", "jitter is 90; it must be a duration in quotes");
    refuses_field("\"repeat\":-1", "repeat is -1; it must be a whole number from 0");
    refuses_field("\"timeZone\":\"UTC\"", "timeZone is given with every; it goes with cron only");
    refuses_field("\"paused\":\"yes\"", "paused is \"yes\"; it must be true or false");
    refuses_field("\"start\":\"2027-01-01\"", "start is '2027-01-01'; it must be an instant");
    refuses_field("\"start\":\"1969-01-01T00:00:00Z\"", "it must be an instant after 1970");
    refuses_field("\"start\":\"2027-01-01T00:00:00\"", "start: ");
    refuses_field("\"end\":\"2026-01-01T00:00:00Z\"", "end is before start");
    refuses_field("\"retry\":3", "retry is 3; it must be an object of limit, delay and maxDelay");
    refuses_field("\"retry\":{}", "retry: limit is missing");
    refuses_field("\"retry\":{\"limit\":101}",
                  "retry: limit is 101; it must be a whole number from 0 to 100");
    refuses_field("\"retry\":{\"limit\":1,\"delay\":\"1h\",\"maxDelay\":\"1m\"}",
                  "retry: maxDelay is '1m'; it must be from 1h to 1d");
    refuses_field("\"group\":\"\"", "group is \"\"; it must be a text of 1 to 255 bytes");
    refuses_field("\"group\":\"a\\nb\"", "without control characters");
}

static void times_are_refused_with_what_is_allowed(void **state)
{
    (void)state;
    refuses("{\"name\":\"n\",\"every\":\"10\"," BATCH "}", "every is '10'; it must be from 1s to 36500d");
    refuses("{\"name\":\"n\",\"every\":\"ten\"," BATCH "}", "every: 'ten' is not a duration");
    refuses("{\"name\":\"n\",\"cron\":\"0 0 25 * * ?\"," BATCH "}",
            "cron: hours '25': Hour values must be between 0 and 23 (allowed: 0-23 and , - * /)");
    refuses("{\"name\":\"n\",\"cron\":5," BATCH "}", "cron is 5; it must be a cron expression in quotes");
    refuses("{\"name\":\"n\",\"cron\":\"0 0 2 * * ?\",\"timeZone\":\"Europe/Room\"," BATCH "}", "timeZone: ");
    refuses("{\"name\":\"n\",\"cron\":\"0 0 2 * * ?\",\"timeZone\":\"../etc/passwd\"," BATCH "}",
            "timeZone: ");
    refuses("{\"name\":\"n\",\"cron\":\"0 0 2 * * ?\",\"repeat\":2," BATCH "}", "it goes with every only");
    refuses("{\"name\":\"n\",\"at\":\"noon\"," BATCH "}", "at is 'noon'; it must be an instant");
    refuses("{\"name\":\"n\",\"at\":\"2027-01-01T00:00:00Z\",\"end\":\"2028-01-01T00:00:00Z\"," BATCH "}",
            "end is given with at");
}

static void what_runs_is_not_told(void **state)
{
    (void)state;
    struct schedule_request r = {0};
    struct err err = {0};
    assert_int_equal(read_text("{\"name\":\"n\",\"every\":\"1m\",\"batch\":\"geheim\"}", &r, &err),
                     ERR_INVALID);
    assert_null(strstr(err.msg, "geheim"));
    schedule_request_clear(&r);
    refuses("{\"name\":\"n\",\"every\":\"1m\",\"batch\":{\"file\":[]}}", "batch: ");
}

static void names_have_255_bytes(void **state)
{
    (void)state;
    char name[400];
    char text[512];
    memset(name, 'x', sizeof name);
    name[255] = '\0';
    (void)snprintf(text, sizeof text, "{\"name\":\"%s\",\"every\":\"1m\"," BATCH "}", name);
    struct schedule_request r = take(text);
    schedule_request_clear(&r);
    name[255] = 'x';
    name[256] = '\0';
    (void)snprintf(text, sizeof text, "{\"name\":\"%s\",\"every\":\"1m\"," BATCH "}", name);
    refuses(text, "xxx…; it must be a text of 1 to 255 bytes");
}

static void only_a_new_one_may_be_paused(void **state)
{
    (void)state;
    static const char text[] = "{\"name\":\"n\",\"every\":\"1m\",\"paused\":true," BATCH "}";
    struct schedule_request r = {0};
    struct err err = {0};
    cleanup(json_decrefp) json_t *body = NULL;
    assert_int_equal(json_parse(text, strlen(text), 64, &body, &err), ERR_OK);
    assert_int_equal(schedule_request_read(&r, body, false, NOW_MS, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "paused is no field of it"));
    schedule_request_clear(&r);
}

static void failing_memory_is_told(void **state)
{
    (void)state;
    static const char text[] = "{\"name\":\"n\",\"group\":\"g\",\"cron\":\"0 0 2 * * "
                               "?\",\"timeZone\":\"Europe/Rome\",\"priority\":7,"
                               "\"overlap\":\"skip\",\"misfire\":\"ignore\",\"retry\":{\"limit\":2},"
                               "\"batch\":{\"file\":\"/a.py\",\"args\":"
                               "[\"1\"],\"conf\":{\"a\":\"b\"}}}";
    enum err_code rc = ERR_NOMEM;
    struct schedule_request first = take(text); /* the zone stays in memory */
    schedule_request_clear(&first);
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct schedule_request r = {0};
        struct err err = {0};
        cleanup(json_decrefp) json_t *body = NULL;
        assert_int_equal(json_parse(text, strlen(text), 64, &body, &err), ERR_OK);
        long live = mem_live();
        mem_fail_at(n);
        rc = schedule_request_read(&r, body, true, NOW_MS, &err);
        mem_fail_at(0);
        schedule_request_clear(&r);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_smallest_body_gets_defaults, nothing_is_left),
        cmocka_unit_test_teardown(every_field_is_read, nothing_is_left),
        cmocka_unit_test_teardown(once_may_lie_in_the_past, nothing_is_left),
        cmocka_unit_test_teardown(what_an_expression_would_have_said_before_now_is_not_missed,
                                  nothing_is_left),
        cmocka_unit_test_teardown(null_means_not_given, nothing_is_left),
        cmocka_unit_test_teardown(long_delays_raise_the_longest, nothing_is_left),
        cmocka_unit_test_teardown(what_is_missing_is_named, nothing_is_left),
        cmocka_unit_test_teardown(unknown_fields_are_refused_with_the_nearest, nothing_is_left),
        cmocka_unit_test_teardown(values_are_refused_with_what_is_allowed, nothing_is_left),
        cmocka_unit_test_teardown(times_are_refused_with_what_is_allowed, nothing_is_left),
        cmocka_unit_test_teardown(what_runs_is_not_told, nothing_is_left),
        cmocka_unit_test_teardown(names_have_255_bytes, nothing_is_left),
        cmocka_unit_test_teardown(only_a_new_one_may_be_paused, nothing_is_left),
        cmocka_unit_test_teardown(failing_memory_is_told, nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
