/* Triggers and their misfires: Quartz's own answers (tests/vectors/quartz-trigger.jsonl,
 * quartz-misfire.json), each instruction for each kind, the edges of windows, clock changes, extremes. */
#include "base/buf.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strs.h"
#include "schedule/civil.h"
#include "schedule/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIRES = 8, WINDOWS = 73, SCENARIOS = 13, THRESHOLD = 60000 };

/* A whole second, and a whole day. */
#define T0 INT64_C(1800057600000)

static const struct zone *zone(const char *name)
{
    const struct zone *z = NULL;
    struct err err = {0};
    if (zone_find(name, &z, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    return z;
}

static int64_t instant(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(civil_parse_instant(text, &ms, NULL), ERR_OK);
    return ms;
}

static struct trigger cron_trigger(const char *text, const char *zone_name, int64_t start_ms, int64_t end_ms)
{
    struct trigger t = {.kind = TRIGGER_CRON, .start_ms = start_ms, .end_ms = end_ms};
    struct err err = {0};
    t.zone = zone(zone_name);
    if (cron_parse(text, &t.cron, NULL, &err) != ERR_OK)
        fail_msg("%s: %s", text, err.msg);
    return t;
}

static void begin(struct trigger *t)
{
    struct err err = {0};
    if (trigger_begin(t, &err) != ERR_OK)
        fail_msg("%s", err.msg);
}

static struct trigger each_second(int64_t start_ms, int64_t end_ms, enum misfire misfire)
{
    struct trigger t = cron_trigger("* * * * * ?", "UTC", start_ms, end_ms);
    t.misfire = misfire;
    begin(&t);
    return t;
}

static struct trigger once(int64_t start_ms, int64_t end_ms, enum misfire misfire)
{
    struct trigger t = {.kind = TRIGGER_ONCE, .start_ms = start_ms, .end_ms = end_ms, .misfire = misfire};
    begin(&t);
    return t;
}

/* Every 10 seconds. */
static struct trigger interval(int64_t start_ms, int64_t end_ms, int64_t repeat, enum misfire misfire)
{
    struct trigger t = {.kind = TRIGGER_INTERVAL,
                        .start_ms = start_ms,
                        .end_ms = end_ms,
                        .repeat = repeat,
                        .interval_ms = 10000,
                        .misfire = misfire};
    begin(&t);
    return t;
}

/* ---- Quartz's fire times ---- */

static void refused(const char *id, const struct trigger *t, const char *why)
{
    struct trigger copy = *t;
    struct err err = {0};
    assert_int_equal(trigger_begin(&copy, &err), ERR_INVALID);
    const char *words = strcmp(why, "never fires") == 0 ? "will never fire" : strstr(why, ": ") + 2;
    if (strstr(err.msg, words) == NULL)
        fail_msg("%s: \"%s\" instead of \"%s\"", id, err.msg, why);
}

static void check_fires(const char *id, struct trigger *t, const json_t *fires)
{
    begin(t);
    for (size_t i = 0; i < FIRES; i++) {
        const char *text = json_string_value(json_array_get(fires, i));
        int64_t expected_ms = text != NULL ? instant(text) : TRIGGER_NEVER;
        if (t->next_ms != expected_ms)
            fail_msg("%s: fire %zu is %lld instead of %s", id, i, (long long)t->next_ms,
                     text != NULL ? text : "never");
        if (text == NULL)
            return;
        assert_int_equal(trigger_after(t, t->next_ms - 1), t->next_ms);
        trigger_fired(t);
        assert_int_equal(t->previous_ms, expected_ms);
        assert_int_equal(t->fired, i + 1);
    }
}

static bool read_definition(const json_t *vector, struct trigger *t)
{
    const char *cron = json_string_value(json_object_get(vector, "cron"));
    const char *end = json_string_value(json_object_get(vector, "endTime"));
    const char *tz = json_string_value(json_object_get(vector, "tz"));
    *t = (struct trigger){.kind = cron != NULL ? TRIGGER_CRON : TRIGGER_ONCE,
                          .start_ms = instant(json_string_value(json_object_get(vector, "startTime"))),
                          .end_ms = end != NULL ? instant(end) : TRIGGER_NEVER};
    return cron == NULL ||
           (cron_parse(cron, &t->cron, NULL, NULL) == ERR_OK && zone_find(tz, &t->zone, NULL) == ERR_OK);
}

static void check_window(const json_t *vector)
{
    const char *id = json_string_value(json_object_get(vector, "id"));
    const char *error = json_string_value(json_object_get(vector, "error"));
    struct trigger t;
    if (!read_definition(vector, &t)) /* an expression that Quartz refuses, too; a zone that is Java's own */
        assert_true(error != NULL ||
                    strcmp(json_string_value(json_object_get(vector, "tz")), "GMT+02:00") == 0);
    else if (error != NULL)
        refused(id, &t, error);
    else
        check_fires(id, &t, json_object_get(vector, "fires"));
}

static void read_vectors(const char *name, struct buf *into)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", getenv("HEARTH_VECTORS"), name);
    assert_int_equal(io_read_file(path, into, NULL), ERR_OK);
}

static void windows_hold_the_fire_times_that_quartz_finds_in_them(void **state)
{
    (void)state;
    int n = 0;
    cleanup(buf_clear) struct buf file = BUF(1 << 20);
    read_vectors("quartz-trigger.jsonl", &file);
    for (const char *line = file.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, n++) {
        json_t *vector = NULL;
        assert_int_equal(json_parse(line, (size_t)(end - line), 8, &vector, NULL), ERR_OK);
        check_window(vector);
        json_decref(vector);
    }
    assert_int_equal(n, WINDOWS);
}

/* ---- Quartz's behaviour when late, on a clock of our own ---- */

enum { OBSERVED_LATE_MS = 500, OBSERVED_NEAR_MS = 300, WORKERS = 8 };

struct scene {
    const char *name;
    const json_t *vector;
    int64_t threshold_ms, down_from_ms, down_to_ms, until_ms; /* instants */
    int64_t job_ms, workers;                                  /* 0: as many as are needed */
    int64_t free_ms[WORKERS];                                 /* when a worker can fire next */
    size_t seen;                                              /* fires that were compared */
};

static int64_t number(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static void see_fire(struct scene *s, int64_t actual_ms, int64_t planned_ms)
{
    const json_t *fires = json_object_get(s->vector, "fires");
    int64_t listed_from_ms = T0 + json_integer_value(json_array_get(json_array_get(fires, 0), 0));
    if (actual_ms < s->down_from_ms && s->down_to_ms <= listed_from_ms)
        return; /* only those behind the stop are listed */
    const json_t *pair = json_array_get(fires, s->seen++);
    if (pair == NULL)
        fail_msg("%s: fires again at %lld", s->name, (long long)(actual_ms - T0));
    int64_t late_ms = T0 + json_integer_value(json_array_get(pair, 0)) - actual_ms;
    int64_t expected_ms = json_integer_value(json_array_get(pair, 1));
    int64_t off_ms = T0 + expected_ms - planned_ms;
    int64_t allowed_ms = expected_ms % 1000 == 0 ? 0 : OBSERVED_NEAR_MS;
    if (late_ms < 0 || late_ms > OBSERVED_LATE_MS || off_ms < -allowed_ms || off_ms > allowed_ms)
        fail_msg("%s: fire %zu is planned for %lld, at %lld", s->name, s->seen, (long long)(planned_ms - T0),
                 (long long)(actual_ms - T0));
}

/* When it can fire: somebody must be there, and have a hand free. */
static int64_t earliest(const struct scene *s, int64_t at_ms, size_t *ret_worker)
{
    if (at_ms >= s->down_from_ms && at_ms < s->down_to_ms)
        at_ms = s->down_to_ms;
    for (size_t i = 0; i < (size_t)s->workers; i++)
        if (s->free_ms[i] < s->free_ms[*ret_worker])
            *ret_worker = i;
    return s->workers > 0 && s->free_ms[*ret_worker] > at_ms ? s->free_ms[*ret_worker] : at_ms;
}

static void play(struct scene *s, struct trigger *t, int64_t now_ms)
{
    while (t->next_ms != TRIGGER_NEVER) {
        struct missed missed;
        size_t worker = 0;
        now_ms = earliest(s, t->next_ms > now_ms ? t->next_ms : now_ms, &worker);
        if (now_ms > s->until_ms)
            return;
        if (trigger_apply_misfire(t, now_ms, s->threshold_ms, &missed) && t->next_ms != now_ms)
            continue;
        see_fire(s, now_ms, t->next_ms);
        s->free_ms[worker] = now_ms + s->job_ms;
        trigger_fired(t);
    }
}

static void play_scenario(const json_t *vector)
{
    const json_t *down = json_object_get(vector, "down");
    struct scene s = {.name = json_string_value(json_object_get(vector, "name")), .vector = vector};
    s.threshold_ms = number(vector, "threshold", 0);
    s.until_ms = T0 + number(vector, "watched_until", 10000);
    s.job_ms = number(vector, "job_ms", 0);
    s.workers = number(vector, "workers", 0);
    if (down != NULL) {
        s.down_from_ms = T0 + json_integer_value(json_array_get(down, 0));
        s.down_to_ms = T0 + json_integer_value(json_array_get(down, 1));
    }
    const char *cron = json_string_value(json_object_get(vector, "cron"));
    int64_t end_ms = number(vector, "end", TRIGGER_NEVER);
    for (int64_t i = number(vector, "copies", 1); i > 0; i--) {
        struct trigger t = {.kind = TRIGGER_ONCE};
        if (cron != NULL)
            t = cron_trigger(cron, "UTC", 0, 0);
        t.start_ms = T0 + number(vector, "start", 0);
        t.end_ms = end_ms == TRIGGER_NEVER ? end_ms : T0 + end_ms;
        begin(&t);
        if (json_object_get(vector, "first") != NULL)
            assert_int_equal(t.next_ms, T0 + number(vector, "first", 0));
        play(&s, &t, T0 + number(vector, "schedule_at", 0));
    }
    assert_int_equal(s.seen, json_array_size(json_object_get(vector, "fires")));
}

static void late_triggers_fire_as_they_were_seen_to_fire_in_quartz(void **state)
{
    (void)state;
    json_t *document = NULL;
    cleanup(buf_clear) struct buf file = BUF(1 << 20);
    read_vectors("quartz-misfire.json", &file);
    assert_int_equal(json_parse(file.data, file.len, 8, &document, NULL), ERR_OK);
    const json_t *scenarios = json_object_get(document, "scenarios");
    assert_int_equal(json_array_size(scenarios), SCENARIOS);
    for (size_t i = 0; i < SCENARIOS; i++)
        play_scenario(json_array_get(scenarios, i));
    json_decref(document);
}

/* ---- names ---- */

static void names_are_found_again_for_the_kinds_that_know_them(void **state)
{
    (void)state;
    static const unsigned known[TRIGGER_KINDS] = {
        [TRIGGER_CRON] = 1 << MISFIRE_SMART | 1 << MISFIRE_IGNORE | 1 << MISFIRE_ONCE_NOW | 1 << MISFIRE_SKIP,
        [TRIGGER_ONCE] = 1 << MISFIRE_SMART | 1 << MISFIRE_IGNORE | 1 << MISFIRE_ONCE_NOW,
        [TRIGGER_INTERVAL] = ((1 << MISFIRES) - 1) & ~(1 << MISFIRE_SKIP),
    };
    for (enum trigger_kind kind = TRIGGER_CRON; kind < TRIGGER_KINDS; kind++) {
        for (enum misfire m = MISFIRE_SMART; m < MISFIRES; m++) {
            enum misfire found = MISFIRES;
            bool is_known = (known[kind] & 1U << m) != 0;
            enum err_code rc = misfire_find(misfire_name(m), kind, &found, NULL);
            assert_int_equal(rc, is_known ? ERR_OK : ERR_INVALID);
            assert_int_equal(found, is_known ? m : MISFIRES);
        }
    }
    assert_string_equal(trigger_kind_name(TRIGGER_CRON), "cron");
    assert_string_equal(trigger_kind_name(TRIGGER_ONCE), "once");
    assert_string_equal(trigger_kind_name(TRIGGER_INTERVAL), "interval");
}

static void a_misfire_instruction_that_is_unknown_tells_what_is_allowed(void **state)
{
    (void)state;
    enum misfire found;
    struct err err = {0};
    assert_int_equal(misfire_find("Smart", TRIGGER_CRON, &found, &err), ERR_INVALID);
    assert_string_equal(err.msg, "'Smart' is not known for the kind cron (allowed: smart, ignore, fire_now, "
                                 "do_nothing)");
    assert_int_equal(misfire_find("do_nothing", TRIGGER_INTERVAL, &found, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "next_with_existing_count)"));
}

/* ---- windows ---- */

static void expect_refusal(struct trigger t, const char *words)
{
    struct err err = {0};
    struct trigger before = t;
    assert_int_equal(trigger_begin(&t, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, words));
    assert_memory_equal(&t, &before, sizeof t);
}

static void what_cannot_fire_is_refused(void **state)
{
    (void)state;
    struct trigger t = interval(T0, T0, 0, MISFIRE_SMART);
    t.end_ms = T0 - 1;
    expect_refusal(t, "End time cannot be before start time");
    t.kind = TRIGGER_ONCE;
    expect_refusal(t, "End time cannot be before start time");
    expect_refusal(cron_trigger("0 0 0 1 1 ? 2020", "UTC", T0, TRIGGER_NEVER), "will never fire");
    expect_refusal(cron_trigger("0 0 12 * * ?", "UTC", T0, T0 + 43199999), "will never fire");
    expect_refusal(cron_trigger("* * * * * ?", "UTC", INT64_MAX, INT64_MAX), "will never fire");
    t = interval(T0, T0, 0, MISFIRE_SMART);
    t.interval_ms = 999;
    expect_refusal(t, "interval '999': milliseconds, at least 1000");
    t.interval_ms = 1000;
    t.repeat = -2;
    expect_refusal(t, "repeat '-2'");
}

static void the_end_is_included_for_every_kind(void **state)
{
    (void)state;
    struct trigger t = cron_trigger("0 0 12 * * ?", "UTC", T0, T0 + 43200000);
    begin(&t);
    assert_int_equal(t.next_ms, T0 + 43200000);
    trigger_fired(&t);
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
    t = interval(T0, T0 + 20000, TRIGGER_REPEAT_FOREVER, MISFIRE_SMART);
    assert_int_equal(trigger_after(&t, T0 + 10000), T0 + 20000);
    assert_int_equal(trigger_after(&t, T0 + 20000), TRIGGER_NEVER);
    t.end_ms--;
    assert_int_equal(trigger_after(&t, T0 + 10000), TRIGGER_NEVER);
    t = once(T0, T0, MISFIRE_SMART);
    assert_int_equal(t.next_ms, T0);
    trigger_fired(&t);
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
}

static void the_start_of_cron_is_cut_to_whole_seconds_and_others_are_not(void **state)
{
    (void)state;
    struct trigger t = each_second(T0 + 999, TRIGGER_NEVER, MISFIRE_SMART);
    assert_int_equal(t.next_ms, T0);
    assert_int_equal(trigger_after(&t, T0), T0 + 1000);
    assert_int_equal(trigger_after(&t, T0 + 1), T0 + 1000);
    assert_int_equal(trigger_after(&t, T0 - 1), T0);
    t = each_second(-1, TRIGGER_NEVER, MISFIRE_SMART); /* down, also before 1970, when cron begins */
    assert_int_equal(t.next_ms, 0);
    t = interval(T0 + 999, TRIGGER_NEVER, 1, MISFIRE_SMART);
    assert_int_equal(t.next_ms, T0 + 999);
}

static void an_interval_fires_once_and_as_often_again_as_it_repeats(void **state)
{
    (void)state;
    struct trigger t = interval(T0, TRIGGER_NEVER, 2, MISFIRE_SMART);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.next_ms, T0 + i * 10000);
        trigger_fired(&t);
        assert_int_equal(t.previous_ms, T0 + i * 10000);
    }
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
    assert_int_equal(t.fired, 3);
    assert_int_equal(trigger_after(&t, T0), T0 + 10000); /* what its definition gives does not change */
}

static void what_is_to_come_can_be_asked_from_any_moment(void **state)
{
    (void)state;
    struct trigger t = interval(T0, TRIGGER_NEVER, 3, MISFIRE_SMART);
    static const struct {
        int64_t after, at;
    } cases[] = {{INT64_MIN, 0}, {-1, 0},        {0, 10000},  {9999, 10000},
                 {10000, 20000}, {29999, 30000}, {30000, -1}, {INT64_MAX - T0, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t after_ms = cases[i].after == INT64_MIN ? INT64_MIN : T0 + cases[i].after;
        assert_int_equal(trigger_after(&t, after_ms), cases[i].at < 0 ? TRIGGER_NEVER : T0 + cases[i].at);
    }
    t = once(T0, TRIGGER_NEVER, MISFIRE_SMART);
    assert_int_equal(trigger_after(&t, INT64_MIN), T0);
    assert_int_equal(trigger_after(&t, T0 - 1), T0);
    assert_int_equal(trigger_after(&t, T0), TRIGGER_NEVER);
}

/* ---- misfires ---- */

/* Late by `late_ms`; what it has missed must be what is said. */
static void misfire(struct trigger *t, int64_t late_ms, int64_t first_ms, int64_t last_ms, int64_t count)
{
    struct missed missed = {0};
    assert_true(trigger_apply_misfire(t, t->next_ms + late_ms, THRESHOLD, &missed));
    assert_int_equal(missed.first_ms, first_ms);
    assert_int_equal(missed.last_ms, last_ms);
    assert_int_equal(missed.count, count);
}

static void late_is_more_than_the_threshold(void **state)
{
    (void)state;
    struct missed missed;
    struct trigger t = each_second(T0, TRIGGER_NEVER, MISFIRE_SMART);
    struct trigger before = t;
    assert_false(trigger_apply_misfire(&t, T0 - 1, THRESHOLD, &missed));
    assert_false(trigger_apply_misfire(&t, T0 + THRESHOLD, THRESHOLD, &missed));
    assert_memory_equal(&t, &before, sizeof t);
    assert_true(trigger_apply_misfire(&t, T0 + THRESHOLD + 1, THRESHOLD, &missed));
    assert_int_equal(t.next_ms, T0 + THRESHOLD + 1);
    assert_int_equal(missed.count, 61); /* the one at the end of the minute, too */
    t = once(T0, TRIGGER_NEVER, MISFIRE_SMART);
    trigger_fired(&t);
    assert_false(trigger_apply_misfire(&t, INT64_MAX, THRESHOLD, &missed)); /* it has nothing to miss */
}

static void ignoring_lets_each_missed_time_fire(void **state)
{
    (void)state;
    struct missed missed;
    struct trigger t = each_second(T0, TRIGGER_NEVER, MISFIRE_IGNORE);
    assert_false(trigger_apply_misfire(&t, T0 + 3600000, THRESHOLD, &missed));
    assert_int_equal(t.next_ms, T0);
    trigger_fired(&t);
    assert_int_equal(t.next_ms, T0 + 1000);
    t = interval(T0, TRIGGER_NEVER, 5, MISFIRE_IGNORE);
    assert_false(trigger_apply_misfire(&t, T0 + 3600000, THRESHOLD, &missed));
    t = once(T0, TRIGGER_NEVER, MISFIRE_IGNORE);
    assert_false(trigger_apply_misfire(&t, T0 + 3600000, THRESHOLD, &missed));
    assert_int_equal(t.next_ms, T0);
}

static void cron_fires_once_now_even_behind_its_end(void **state)
{
    (void)state;
    static const enum misfire same[] = {MISFIRE_SMART, MISFIRE_ONCE_NOW};
    for (size_t i = 0; i < 2; i++) {
        struct trigger t = each_second(T0 + 500, TRIGGER_NEVER, same[i]);
        misfire(&t, 100500, T0, T0 + 100000, 101);
        assert_int_equal(t.next_ms, T0 + 100500);
        assert_int_equal(t.previous_ms, TRIGGER_NOT_YET);
        trigger_fired(&t);
        assert_int_equal(t.previous_ms, T0 + 100500);
        assert_int_equal(t.next_ms, T0 + 101000);
        assert_int_equal(t.fired, 1);

        t = each_second(T0, T0 + 5999, same[i]);
        misfire(&t, 100000, T0, T0 + 5000, 6);
        assert_int_equal(t.next_ms, T0 + 100000);
        trigger_fired(&t);
        assert_int_equal(t.next_ms, TRIGGER_NEVER);
    }
}

static void cron_that_does_nothing_goes_on_with_the_next_time_or_never(void **state)
{
    (void)state;
    struct trigger t = each_second(T0, TRIGGER_NEVER, MISFIRE_SKIP);
    misfire(&t, 100000, T0, T0 + 100000, 101); /* the one that is due this moment is skipped, too */
    assert_int_equal(t.next_ms, T0 + 101000);
    assert_int_equal(t.fired, 0);
    t = each_second(T0, T0 + 100000, MISFIRE_SKIP);
    misfire(&t, 99999, T0, T0 + 99000, 100);
    assert_int_equal(t.next_ms, T0 + 100000);
    t = each_second(T0, T0 + 100000, MISFIRE_SKIP);
    misfire(&t, 100000, T0, T0 + 100000, 101);
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
}

static void a_fire_time_that_is_due_this_moment_is_not_missed_by_firing_now(void **state)
{
    (void)state;
    struct trigger t = each_second(T0, TRIGGER_NEVER, MISFIRE_SMART);
    misfire(&t, 100000, T0, T0 + 99000, 100);
    trigger_fired(&t);
    assert_int_equal(t.next_ms, T0 + 101000);
}

static void a_single_fire_happens_now_whatever_its_end(void **state)
{
    (void)state;
    static const enum misfire same[] = {MISFIRE_SMART, MISFIRE_ONCE_NOW};
    for (size_t i = 0; i < 2; i++) {
        struct trigger t = once(T0, T0 + 1, same[i]);
        misfire(&t, 70000, T0, T0, 1);
        assert_int_equal(t.next_ms, T0 + 70000);
        trigger_fired(&t);
        assert_int_equal(t.previous_ms, T0 + 70000);
        assert_int_equal(t.next_ms, TRIGGER_NEVER);
        t = interval(T0, T0 + 1, 0, same[i]);
        misfire(&t, 70000, T0, T0, 1);
        assert_int_equal(t.next_ms, T0 + 70000);
        assert_int_equal(t.start_ms, T0);
        trigger_fired(&t);
        assert_int_equal(t.next_ms, TRIGGER_NEVER);
    }
}

/* Fired at 0 and 10 s, and then late for the one at 20 s. */
static struct trigger fired_twice(int64_t end_ms, int64_t repeat, enum misfire how)
{
    struct trigger t = interval(T0, end_ms, repeat, how);
    trigger_fired(&t);
    trigger_fired(&t);
    return t;
}

static void expect(const struct trigger *t, int64_t start_ms, int64_t next_ms, int64_t repeat, int64_t fired)
{
    assert_int_equal(t->start_ms, start_ms);
    assert_int_equal(t->next_ms, next_ms);
    assert_int_equal(t->repeat, repeat);
    assert_int_equal(t->fired, fired);
    assert_int_equal(t->previous_ms, T0 + 10000);
}

static void an_interval_begins_again_with_the_repeats_that_were_left(void **state)
{
    (void)state;
    static const enum misfire same[] = {MISFIRE_SMART, MISFIRE_NOW_EXISTING};
    int64_t now_ms = T0 + 95000;
    for (size_t i = 0; i < 2; i++) {
        struct trigger t = fired_twice(TRIGGER_NEVER, 20, same[i]);
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        expect(&t, now_ms, now_ms, 18, 0);
        trigger_fired(&t);
        assert_int_equal(t.next_ms, now_ms + 10000);

        t = fired_twice(now_ms, 20, same[i]); /* the end itself is not past */
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        expect(&t, now_ms, now_ms, 18, 0);
        trigger_fired(&t);
        assert_int_equal(t.next_ms, TRIGGER_NEVER);

        t = fired_twice(now_ms - 1, 20, same[i]);
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        expect(&t, T0, TRIGGER_NEVER, 18, 0);

        t = fired_twice(TRIGGER_NEVER, 3, same[i]); /* all its times are past */
        misfire(&t, 75000, T0 + 20000, T0 + 30000, 2);
        expect(&t, now_ms, now_ms, 1, 0);
    }
    struct trigger t = fired_twice(TRIGGER_NEVER, TRIGGER_REPEAT_FOREVER, MISFIRE_NOW_EXISTING);
    misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
    expect(&t, now_ms, now_ms, TRIGGER_REPEAT_FOREVER, 2);
}

static void an_interval_begins_again_less_the_repeats_that_were_missed(void **state)
{
    (void)state;
    static const enum misfire same[] = {MISFIRE_ONCE_NOW, MISFIRE_NOW_REMAINING};
    int64_t now_ms = T0 + 95000;
    for (size_t i = 0; i < 2; i++) {
        struct trigger t = fired_twice(TRIGGER_NEVER, 20, same[i]);
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        expect(&t, now_ms, now_ms, 11, 0); /* of the 8 one fires now */

        t = fired_twice(TRIGGER_NEVER, 5, same[i]);
        misfire(&t, 75000, T0 + 20000, T0 + 50000, 4);
        expect(&t, now_ms, now_ms, 0, 0);
        trigger_fired(&t);
        assert_int_equal(t.next_ms, TRIGGER_NEVER);

        t = fired_twice(now_ms - 1, 20, same[i]);
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        expect(&t, T0, TRIGGER_NEVER, 11, 0);

        t = fired_twice(TRIGGER_NEVER, TRIGGER_REPEAT_FOREVER, same[i]);
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        expect(&t, now_ms, now_ms, TRIGGER_REPEAT_FOREVER, 2);
    }
}

static void an_interval_goes_on_in_step_and_counts_what_it_missed_or_not(void **state)
{
    (void)state;
    static const struct {
        enum misfire misfire;
        int64_t repeat, fired;
    } cases[] = {{MISFIRE_SMART, TRIGGER_REPEAT_FOREVER, 10},
                 {MISFIRE_NEXT_REMAINING, TRIGGER_REPEAT_FOREVER, 10},
                 {MISFIRE_NEXT_REMAINING, 20, 10},
                 {MISFIRE_NEXT_EXISTING, 20, 2},
                 {MISFIRE_NEXT_EXISTING, TRIGGER_REPEAT_FOREVER, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trigger t = fired_twice(TRIGGER_NEVER, cases[i].repeat, cases[i].misfire);
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        expect(&t, T0, T0 + 100000, cases[i].repeat, cases[i].fired);

        t = fired_twice(TRIGGER_NEVER, cases[i].repeat, cases[i].misfire);
        misfire(&t, 70000, T0 + 20000, T0 + 90000, 8); /* due this moment: skipped, too */
        assert_int_equal(t.next_ms, T0 + 100000);

        t = fired_twice(T0 + 99999, cases[i].repeat, cases[i].misfire);
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        expect(&t, T0, TRIGGER_NEVER, cases[i].repeat, 2);

        t = fired_twice(T0 + 100000, cases[i].repeat, cases[i].misfire);
        misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
        assert_int_equal(t.next_ms, T0 + 100000);
    }
    struct trigger t = fired_twice(TRIGGER_NEVER, 9, MISFIRE_NEXT_EXISTING); /* the last one was at 90 s */
    misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
    t = fired_twice(TRIGGER_NEVER, 10, MISFIRE_NEXT_REMAINING);
    misfire(&t, 75000, T0 + 20000, T0 + 90000, 8);
    trigger_fired(&t);
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
}

static void what_was_put_to_now_and_is_late_again_is_one_missed_time(void **state)
{
    (void)state;
    struct trigger t = each_second(T0, T0 + 1000, MISFIRE_SMART);
    misfire(&t, 100000, T0, T0 + 1000, 2);
    misfire(&t, 200000, T0 + 100000, T0 + 100000, 1); /* its end is long past */
    assert_int_equal(t.next_ms, T0 + 300000);
    t = interval(T0, T0 + 1000, 0, MISFIRE_SMART);
    misfire(&t, 100000, T0, T0, 1);
    misfire(&t, 200000, T0 + 100000, T0 + 100000, 1);
    t = each_second(T0 + 500, TRIGGER_NEVER, MISFIRE_SMART);
    misfire(&t, 100100, T0, T0 + 100000, 101);
    misfire(&t, 61000, T0 + 100100, T0 + 161000, 62); /* 100.1 s, and 101 to 161 */
}

static void counting_ends_at_its_limit_and_still_knows_the_last_one(void **state)
{
    (void)state;
    int64_t day_ms = CIVIL_DAY_S * INT64_C(1000);
    struct trigger t = each_second(T0, TRIGGER_NEVER, MISFIRE_SMART);
    misfire(&t, day_ms + 500, T0, T0 + day_ms, MISSED_MAX);
    t = each_second(T0, T0 + day_ms - 500, MISFIRE_SKIP);
    misfire(&t, 2 * day_ms, T0, T0 + day_ms - 1000, MISSED_MAX);
    t = interval(T0, TRIGGER_NEVER, TRIGGER_REPEAT_FOREVER, MISFIRE_SMART);
    misfire(&t, 10000 * day_ms + 1, T0, T0 + 10000 * day_ms, MISSED_MAX);
    t = interval(T0, TRIGGER_NEVER, MISSED_MAX - 1, MISFIRE_SMART);
    misfire(&t, 10000 * day_ms, T0, T0 + (MISSED_MAX - 1) * INT64_C(10000), MISSED_MAX);
}

/* ---- clocks that change ---- */

static void clock_changes_leave_times_out_and_let_them_come_once(void **state)
{
    (void)state;
    struct trigger t =
        cron_trigger("0 30 2 * * ?", "Europe/Rome", instant("2027-03-27T00:00:00Z"), TRIGGER_NEVER);
    begin(&t);
    assert_int_equal(t.next_ms, instant("2027-03-27T02:30:00+01:00"));
    trigger_fired(&t);
    assert_int_equal(t.next_ms, instant("2027-03-29T02:30:00+02:00")); /* none on the 28th */
    t = cron_trigger("0 30 1 * * ?", "America/New_York", instant("2027-11-06T12:00:00Z"), TRIGGER_NEVER);
    begin(&t);
    assert_int_equal(t.next_ms, instant("2027-11-07T01:30:00-05:00")); /* the second of the two */
    trigger_fired(&t);
    assert_int_equal(t.next_ms, instant("2027-11-08T01:30:00-05:00"));
}

static void misfires_at_clock_changes_count_only_times_that_exist(void **state)
{
    (void)state;
    struct trigger t =
        cron_trigger("0 30 2 * * ?", "Europe/Rome", instant("2027-03-26T00:00:00Z"), TRIGGER_NEVER);
    begin(&t);
    int64_t now_ms = instant("2027-03-29T12:00:00Z");
    misfire(&t, now_ms - t.next_ms, instant("2027-03-26T01:30:00Z"), instant("2027-03-29T00:30:00Z"), 3);
    t = cron_trigger("0 0/30 * * * ?", "Europe/Rome", instant("2027-10-30T23:00:00Z"), TRIGGER_NEVER);
    t.misfire = MISFIRE_SKIP;
    begin(&t);
    assert_int_equal(t.next_ms, instant("2027-10-31T01:00:00+02:00"));
    now_ms = instant("2027-10-31T02:10:00+02:00"); /* in the first of the two hours */
    misfire(&t, now_ms - t.next_ms, t.next_ms, instant("2027-10-31T01:30:00+02:00"), 2);
    assert_int_equal(t.next_ms, instant("2027-10-31T02:30:00+01:00"));
}

static void an_interval_does_not_look_at_clocks_on_the_wall(void **state)
{
    (void)state;
    struct trigger t = interval(instant("2027-03-27T00:00:00Z"), TRIGGER_NEVER, 1, MISFIRE_SMART);
    t.interval_ms = CIVIL_DAY_S * INT64_C(1000);
    trigger_fired(&t);
    assert_int_equal(t.next_ms, instant("2027-03-28T00:00:00Z"));
}

static void an_interval_that_has_begun_moves_with_the_clock_up_to_its_end(void **state)
{
    (void)state;
    static const int64_t hour_ms = 3600000;
    struct trigger t = fired_twice(T0 + hour_ms + 30000, 20, MISFIRE_SMART);
    trigger_shift(&t, hour_ms);
    assert_int_equal(t.start_ms, T0 + hour_ms);
    assert_int_equal(t.previous_ms, T0 + hour_ms + 10000);
    assert_int_equal(t.next_ms, T0 + hour_ms + 20000);
    assert_int_equal(t.end_ms, T0 + hour_ms + 30000);
    trigger_fired(&t);
    trigger_fired(&t);
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
    t = fired_twice(T0 + hour_ms, 20, MISFIRE_SMART);
    trigger_shift(&t, hour_ms);
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
    trigger_shift(&t, -hour_ms);
    assert_int_equal(t.next_ms, TRIGGER_NEVER);
    t = fired_twice(TRIGGER_NEVER, 20, MISFIRE_SMART);
    trigger_shift(&t, -hour_ms);
    assert_int_equal(t.next_ms, T0 - hour_ms + 20000);
    assert_int_equal(t.end_ms, TRIGGER_NEVER);
}

static void what_was_promised_as_an_instant_stays_when_the_clock_is_set(void **state)
{
    (void)state;
    struct trigger kinds[] = {each_second(T0, TRIGGER_NEVER, MISFIRE_SMART), once(T0, T0 + 1, MISFIRE_SMART),
                              interval(T0, TRIGGER_NEVER, 5, MISFIRE_SMART)};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct trigger t = kinds[i];
        trigger_shift(&t, 3600000);
        assert_memory_equal(&t, &kinds[i], sizeof t);
    }
    struct trigger begun = interval(T0, TRIGGER_NEVER, TRIGGER_REPEAT_FOREVER, MISFIRE_SMART);
    misfire(&begun, 75000, T0, T0 + 70000, 8); /* has begun, although it has not fired */
    trigger_shift(&begun, 500);
    assert_int_equal(begun.next_ms, T0 + 80500);
    assert_int_equal(begun.previous_ms, TRIGGER_NOT_YET);
}

/* ---- extremes: nothing overflows, which the sanitizer would tell ---- */

static void everything_bears_extreme_numbers(void **state)
{
    (void)state;
    static const int64_t extremes[] = {INT64_MIN, INT64_MIN + 1, -999,     -1, 0, 1, 1000,
                                       T0,        INT64_MAX - 1, INT64_MAX};
    enum { N = sizeof extremes / sizeof *extremes };
    for (size_t i = 0; i < (size_t)TRIGGER_KINDS * MISFIRES * N * N * N; i++) {
        size_t rest = i;
        struct trigger t = cron_trigger("* * * * * ?", "Europe/Rome", 0, TRIGGER_NEVER);
        t.kind = (enum trigger_kind)(rest % TRIGGER_KINDS);
        t.misfire = (enum misfire)((rest /= TRIGGER_KINDS) % MISFIRES);
        t.start_ms = extremes[(rest /= MISFIRES) % N];
        t.interval_ms = extremes[(rest /= N) % N];
        t.repeat = extremes[(rest / N) % N];
        if (misfire_find(misfire_name(t.misfire), t.kind, &t.misfire, NULL) != ERR_OK ||
            trigger_begin(&t, NULL) != ERR_OK)
            continue;
        for (size_t k = 0; k < N; k++) {
            struct trigger late = t;
            struct missed missed;
            int64_t after_ms = trigger_after(&t, extremes[k]);
            assert_true(after_ms > extremes[k] || after_ms == TRIGGER_NEVER);
            if (trigger_apply_misfire(&late, extremes[k], THRESHOLD, &missed)) {
                assert_in_range(missed.count, 1, MISSED_MAX);
                assert_true(missed.first_ms <= missed.last_ms && missed.last_ms <= extremes[k]);
                assert_true(late.next_ms >= extremes[k]);
            }
            trigger_shift(&late, extremes[k]);
            if (late.next_ms != TRIGGER_NEVER)
                trigger_fired(&late);
            trigger_shift(&late, extremes[k]);
            (void)trigger_apply_misfire(&late, INT64_MAX, extremes[k], &missed);
        }
    }
}

static int forget_zones(void **state)
{
    (void)state;
    zone_forget_all();
    assert_int_equal(mem_live(), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_hold_the_fire_times_that_quartz_finds_in_them),
        cmocka_unit_test(late_triggers_fire_as_they_were_seen_to_fire_in_quartz),
        cmocka_unit_test(names_are_found_again_for_the_kinds_that_know_them),
        cmocka_unit_test(a_misfire_instruction_that_is_unknown_tells_what_is_allowed),
        cmocka_unit_test(what_cannot_fire_is_refused),
        cmocka_unit_test(the_end_is_included_for_every_kind),
        cmocka_unit_test(the_start_of_cron_is_cut_to_whole_seconds_and_others_are_not),
        cmocka_unit_test(an_interval_fires_once_and_as_often_again_as_it_repeats),
        cmocka_unit_test(what_is_to_come_can_be_asked_from_any_moment),
        cmocka_unit_test(late_is_more_than_the_threshold),
        cmocka_unit_test(ignoring_lets_each_missed_time_fire),
        cmocka_unit_test(cron_fires_once_now_even_behind_its_end),
        cmocka_unit_test(cron_that_does_nothing_goes_on_with_the_next_time_or_never),
        cmocka_unit_test(a_fire_time_that_is_due_this_moment_is_not_missed_by_firing_now),
        cmocka_unit_test(a_single_fire_happens_now_whatever_its_end),
        cmocka_unit_test(an_interval_begins_again_with_the_repeats_that_were_left),
        cmocka_unit_test(an_interval_begins_again_less_the_repeats_that_were_missed),
        cmocka_unit_test(an_interval_goes_on_in_step_and_counts_what_it_missed_or_not),
        cmocka_unit_test(what_was_put_to_now_and_is_late_again_is_one_missed_time),
        cmocka_unit_test(counting_ends_at_its_limit_and_still_knows_the_last_one),
        cmocka_unit_test(clock_changes_leave_times_out_and_let_them_come_once),
        cmocka_unit_test(misfires_at_clock_changes_count_only_times_that_exist),
        cmocka_unit_test(an_interval_does_not_look_at_clocks_on_the_wall),
        cmocka_unit_test(an_interval_that_has_begun_moves_with_the_clock_up_to_its_end),
        cmocka_unit_test(what_was_promised_as_an_instant_stays_when_the_clock_is_set),
        cmocka_unit_test(everything_bears_extreme_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, forget_zones);
}
