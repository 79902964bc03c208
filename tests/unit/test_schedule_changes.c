/* What people want of schedules and ask about them, on a real store. */
#include "scheduler_world.h"

static void assert_invalid(struct schedule_spec *spec, const char *words)
{
    struct answer a = create(spec);
    assert_int_equal(a.err.code, ERR_INVALID);
    if (strstr(a.err.msg, words) == NULL)
        fail_msg("'%s' does not hold '%s'", a.err.msg, words);
}

static void a_definition_that_is_not_valid_is_refused_by_field(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("good", false, 0);
    spec.priority = 11;
    assert_invalid(&spec, "priority is 11; it must be 1 to 10");
    spec.priority = 5;
    spec.jitter_ms = -1;
    assert_invalid(&spec, "jitter");
    spec.jitter_ms = 0;
    spec.retry.limit = -1;
    assert_invalid(&spec, "retry limit");
    spec.retry = (struct retry_policy){.limit = 1, .delay_ms = 100, .max_delay_ms = 99};
    assert_invalid(&spec, "retry max delay");
    spec.retry.limit = 0;
    assert_int_equal(mem_set_str(&spec.name, ""), 0);
    assert_invalid(&spec, "name has 0 bytes");
    assert_int_equal(mem_set_str(&spec.name, "good"), 0);
    spec.trigger.misfire = MISFIRE_SKIP;
    assert_invalid(&spec, "do_nothing");
    spec.trigger.misfire = MISFIRE_SMART;
    spec.trigger.kind = TRIGGER_CRON;
    assert_invalid(&spec, "cron is missing");
    spec.cron = mem_strdup("0 0 25 * * ?");
    assert_invalid(&spec, "Hour");
    assert_int_equal(mem_set_str(&spec.cron, "0 0 1 * * ?"), 0);
    spec.zone = mem_strdup("Europe/Nowhere");
    assert_invalid(&spec, "Europe/Nowhere");
    assert_int_equal(mem_set_str(&spec.submission.file, NULL), 0);
    assert_invalid(&spec, "file is missing");
    schedule_spec_clear(&spec);
    assert_int_equal(scheduler_summary(here->scheduler).schedules, 0);
}

static void a_name_is_unique_in_its_group(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("twice", false, 0);
    assert_int_equal(create(&spec).err.code, ERR_OK);
    struct answer a = create(&spec);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, 0);
    assert_int_equal(mem_set_str(&spec.group, "other"), 0);
    assert_int_equal(create(&spec).id, 1);
    schedule_spec_clear(&spec);
}

static void a_paused_one_does_not_fire_until_it_is_resumed(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("pausing", false, 0);
    spec.trigger.start_ms = clock_wall_ms() + 600;
    int64_t id = created(&spec);
    for (int i = 0; i < 2; i++) /* twice is fine */
        assert_int_equal(change(scheduler_pause, id).err.code, ERR_OK);
    assert_int_equal(see(id).state, SCHEDULE_PAUSED);
    assert_int_equal(scheduler_summary(here->scheduler).active, 0);
    turn_for(1000);
    assert_string_equal(states(id), "");
    world_restart();
    turn_for(200);
    assert_string_equal(states(id), "");
    for (int i = 0; i < 2; i++)
        assert_int_equal(change(scheduler_resume, id).err.code, ERR_OK);
    await_states(id, "succeeded");
}

static void what_was_missed_while_paused_is_a_misfire(void **state)
{
    (void)state;
    here->settings.schedule.misfire_threshold_ms = 200;
    struct schedule_spec spec = spec_of("pausing", false, 0);
    spec.trigger.start_ms = clock_wall_ms() + 300;
    int64_t id = created(&spec);
    change(scheduler_pause, id);
    turn_for(800);
    change(scheduler_resume, id);
    await_states(id, "missed, succeeded");
}

static void a_replaced_one_has_another_definition_and_its_history(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("before", false, 0);
    int64_t id = created(&spec);
    run_now(id, NULL);
    await_states(id, "succeeded");
    int64_t version = see(id).version;
    spec = spec_of("after", false, 1);
    spec.trigger.start_ms = clock_wall_ms() + 100;
    struct answer a = {0};
    scheduler_replace(here->scheduler, id, version + 7, &spec, on_answer, &a);
    await(is_true, &a.came, "replacement");
    assert_int_equal(a.err.code, ERR_CONFLICT);
    a.came = false;
    scheduler_replace(here->scheduler, id, version, &spec, on_answer, &a);
    await(is_true, &a.came, "replacement");
    assert_int_equal(a.err.code, ERR_OK);
    schedule_spec_clear(&spec);
    await_states(id, "succeeded, failed");
    assert_string_equal(see(id).name, "after");
    assert_int_equal(see(id).fires, 2);
}

static void a_replacement_that_is_not_valid_changes_nothing(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("before", false, 0);
    int64_t id = created(&spec);
    struct seen before = see(id);
    spec = spec_of("after", false, 0);
    spec.trigger.end_ms = spec.trigger.start_ms - 1;
    struct answer a = {0};
    scheduler_replace(here->scheduler, id, 0, &spec, on_answer, &a);
    assert_int_equal(a.err.code, ERR_INVALID);
    assert_string_equal(see(id).name, "before");
    assert_int_equal(see(id).version, before.version);
    schedule_spec_clear(&spec);
}

static void a_removed_one_is_gone_and_its_application_lives_on(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("leaving", true, 0);
    int64_t id = created(&spec);
    run_now(id, NULL);
    assert_int_equal(change(scheduler_remove, id).err.code, ERR_OK);
    assert_int_equal(see(id).err.code, ERR_NOT_FOUND);
    assert_int_equal(change(scheduler_remove, id).err.code, ERR_NOT_FOUND);
    assert_int_equal(change(scheduler_pause, id).err.code, ERR_NOT_FOUND);
    assert_int_equal(run_now(id, NULL).err.code, ERR_NOT_FOUND);
    assert_int_equal(history(id)->n, 0);
    struct scheduler_summary s = scheduler_summary(here->scheduler);
    assert_int_equal(s.schedules, 0);
    assert_int_equal(s.active, 0);
    assert_int_equal(s.running, 0);
    assert_int_equal(s.next_ms, TRIGGER_NEVER);
    assert_false(app_state_is_end(app_info(apps_find(here->apps, APP_BATCH, 0))->state));
}

/* Many wishes at the same time are fulfilled in order, between fires. */
static void wishes_of_many_do_not_lose_races(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("busy", false, 0);
    spec.trigger.kind = TRIGGER_CRON;
    spec.trigger.start_ms = clock_wall_ms();
    spec.cron = mem_strdup("* * * * * ?");
    int64_t id = created(&spec);
    enum { MANY = 60 };
    struct answer answers[MANY] = {0};
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            scheduler_run_now(here->scheduler, id, NULL, on_answer, &answers[i]);
        else
            (i % 3 == 1 ? scheduler_pause : scheduler_resume)(here->scheduler, id, on_answer, &answers[i]);
        if (i % 7 == 0)
            turn_for(30);
    }
    for (int i = 0; i < MANY; i++) {
        await(is_true, &answers[i].came, "a wish");
        assert_int_equal(answers[i].err.code, ERR_OK);
    }
    assert_int_equal(change(scheduler_pause, id).err.code, ERR_OK);
    const struct history *h = history(id);
    int64_t last_planned_ms = 0;
    size_t manual = 0;
    for (size_t i = 0; i < h->n; i++) {
        assert_int_equal(h->fires[i].number, i + 1);
        manual += h->fires[i].cause == FIRE_MANUAL;
        if (h->fires[i].cause != FIRE_TRIGGER)
            continue;
        assert_true(h->fires[i].planned_ms > last_planned_ms);
        last_planned_ms = h->fires[i].planned_ms;
    }
    assert_int_equal(manual, MANY / 3);
}

static void only_so_many_fires_are_kept(void **state)
{
    (void)state;
    here->settings.schedule.history = 3;
    struct schedule_spec spec = spec_of("short", false, 0);
    int64_t id = created(&spec);
    for (int64_t i = 1; i <= 6; i++) {
        assert_int_equal(run_now(id, NULL).id, i);
        while (scheduler_summary(here->scheduler).running > 0)
            turn_for(5);
        turn_for(50);
    }
    const struct history *h = history(id);
    assert_int_equal(h->n, 3);
    assert_int_equal(h->fires[2].number, 6);
}

/* ---- looking ---- */

struct listed {
    bool came;
    int64_t total;
    char names[200];
};

static void on_listed(const struct err *err, const struct schedule_view *schedules, size_t n, int64_t total,
                      void *arg)
{
    struct listed *l = arg;
    size_t at = 0;
    assert_int_equal(err->code, ERR_OK);
    l->came = true;
    l->total = total;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(l->names + at, sizeof l->names - at, "%s%s", i > 0 ? " " : "",
                               schedules[i].spec.name);
}

static struct listed list(struct schedule_query query)
{
    struct listed l = {0};
    scheduler_list(here->scheduler, &query, on_listed, &l);
    await(is_true, &l.came, "a list");
    return l;
}

static void lists_are_pages_of_what_matches(void **state)
{
    (void)state;
    static const char *const names[] = {"c", "a", "b", "d"};
    for (size_t i = 0; i < 4; i++) {
        struct schedule_spec spec = spec_of(names[i], false, 0);
        if (i == 3)
            assert_int_equal(mem_set_str(&spec.group, "other"), 0);
        created(&spec);
    }
    struct listed l = list((struct schedule_query){.after_id = -1, .max = 2});
    assert_string_equal(l.names, "c a");
    assert_int_equal(l.total, 4);
    l = list((struct schedule_query){.after_id = 1, .max = 10});
    assert_string_equal(l.names, "b d");
    l = list((struct schedule_query){.after_id = -1, .max = 10, .by_name = true});
    assert_string_equal(l.names, "a b c d");
    l = list((struct schedule_query){.group = "default", .after_id = -1, .max = 10});
    assert_int_equal(l.total, 3);
    struct seen s = {0};
    scheduler_find(here->scheduler, "other", "d", on_seen, &s);
    await(is_true, &s.came, "a find");
    assert_int_equal(s.id, 3);
    s.came = false;
    scheduler_find(here->scheduler, "other", "a", on_seen, &s);
    await(is_true, &s.came, "a find");
    assert_int_equal(s.err.code, ERR_NOT_FOUND);
}

struct coming {
    bool came, is_complete;
    size_t n;
    int64_t schedules[20], times[20];
};

static void on_coming(const struct err *err, const struct upcoming *times, size_t n, bool complete, void *arg)
{
    struct coming *c = arg;
    assert_int_equal(err->code, ERR_OK);
    c->came = true;
    c->is_complete = complete;
    c->n = n;
    for (size_t i = 0; i < n && i < 20; i++) {
        c->schedules[i] = times[i].schedule;
        c->times[i] = times[i].at_ms;
        assert_non_null(times[i].name);
    }
}

static struct coming upcoming(int64_t id, int64_t from_ms, int64_t to_ms, size_t max)
{
    struct coming c = {0};
    scheduler_upcoming(here->scheduler, id, from_ms, to_ms, max, on_coming, &c);
    await(is_true, &c.came, "what is to come");
    return c;
}

static void what_is_to_come_is_told_in_order(void **state)
{
    (void)state;
    enum { HOUR_MS = 3600 * 1000 };
    int64_t base_ms = (clock_wall_ms() / HOUR_MS + 2) * HOUR_MS;
    struct schedule_spec spec = spec_of("hourly", false, 0);
    spec.trigger.kind = TRIGGER_CRON;
    spec.trigger.start_ms = base_ms;
    spec.cron = mem_strdup("0 0 * * * ?");
    spec.zone = mem_strdup("UTC");
    int64_t hourly = created(&spec);
    spec = spec_of("each half hour", false, 0);
    spec.trigger = (struct trigger){.kind = TRIGGER_INTERVAL,
                                    .interval_ms = HOUR_MS / 2,
                                    .repeat = 2,
                                    .start_ms = base_ms + 1,
                                    .end_ms = TRIGGER_NEVER};
    int64_t halves = created(&spec);
    struct coming c = upcoming(-1, base_ms, base_ms + 2 * HOUR_MS, 10);
    assert_int_equal(c.n, 5);
    assert_true(c.is_complete);
    const int64_t expected[] = {0, 1, HOUR_MS / 2 + 1, HOUR_MS, HOUR_MS + 1};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(c.times[i], base_ms + expected[i]);
    assert_int_equal(c.schedules[0], hourly);
    assert_int_equal(c.schedules[1], halves);
    c = upcoming(-1, base_ms + 1, base_ms + 1000LL * HOUR_MS, 3);
    assert_int_equal(c.n, 3);
    assert_false(c.is_complete);
    assert_int_equal(c.times[2], base_ms + HOUR_MS);
    c = upcoming(halves, base_ms, INT64_MAX, 20);
    assert_int_equal(c.n, 3);
    assert_true(c.is_complete);
    c = upcoming(-1, base_ms - HOUR_MS, base_ms, 20);
    assert_int_equal(c.n, 0);
    assert_true(c.is_complete);
    change(scheduler_pause, hourly);
    assert_int_equal(upcoming(hourly, base_ms, base_ms + HOUR_MS, 5).n, 0);
    assert_int_equal(upcoming(77, base_ms, base_ms + HOUR_MS, 5).n, 0);
}

/* ---- when things fail ---- */

static void what_is_under_way_when_the_server_stops_is_told(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("last", false, 0);
    int64_t id = created(&spec);
    struct answer answers[4] = {0};
    scheduler_pause(here->scheduler, id, on_answer, &answers[0]);
    scheduler_run_now(here->scheduler, id, "t", on_answer, &answers[1]);
    scheduler_replace(here->scheduler, id, 0, &(struct schedule_spec){0}, on_answer, &answers[2]);
    world_close();
    world_open();
    for (int i = 0; i < 3; i++)
        assert_true(answers[i].came);
    assert_int_equal(answers[2].err.code, ERR_INVALID);
    await_fires(id, answers[1].err.code == ERR_OK ? 1 : 0);
}

/* A second one on the same store, which is not started. */
/* Threads that are at work change what is allocated: the start of an application, say. */
static bool is_quiet(void *arg)
{
    static int64_t since_ms;
    long *live = arg;
    if (mem_live() != *live) {
        *live = mem_live();
        since_ms = clock_mono_ms();
    }
    return clock_mono_ms() - since_ms > 500;
}

static void opening_survives_every_failing_allocation(void **state)
{
    (void)state;
    const struct scheduler_options options = {&here->loop, here->store, here->apps, &here->settings};
    struct schedule_spec spec = spec_of("open", true, 0);
    spec.overlap = OVERLAP_QUEUE;
    int64_t id = created(&spec);
    run_now(id, NULL);
    run_now(id, NULL);
    long before = -1;
    await(is_quiet, &before, "nothing is under way");
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc != ERR_OK; n++) {
        struct scheduler *second = NULL;
        struct err err;
        long live = mem_live();
        mem_fail_at(n);
        rc = scheduler_open(&options, &second, &err);
        mem_fail_at(0);
        assert_true(rc == ERR_OK || rc == ERR_NOMEM);
        assert_true((rc == ERR_OK) == (second != NULL));
        if (second == NULL)
            assert_int_equal(mem_live(), live);
        scheduler_stop(second);
        if (second != NULL)
            turn_for(10); /* its timer closes */
        scheduler_free(second);
    }
}

/* Each allocation of a change and of a fire fails once: an error or a delay, and then it works. */
static void short_memory_is_survived(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("blocker", true, 0);
    here->settings.admission.running = 1; /* the others wait: launches are not what is tested here */
    run_now(created(&spec), NULL);
    turn_for(500);
    spec = spec_of("tight", false, 0);
    for (long n = 1; n < 120; n++) {
        struct answer a = {0};
        char name[32];
        (void)snprintf(name, sizeof name, "tight-%ld", n);
        assert_int_equal(mem_set_str(&spec.name, name), 0);
        mem_fail_at(n);
        scheduler_create(here->scheduler, &spec, false, on_answer, &a);
        await(is_true, &a.came, "creation");
        if (a.err.code == ERR_OK) {
            struct answer b = {0};
            scheduler_run_now(here->scheduler, a.id, "token", on_answer, &b);
            await(is_true, &b.came, "run now");
            assert_true(b.err.code == ERR_OK || b.err.code == ERR_NOMEM);
        }
        mem_fail_at(0);
        assert_true(a.err.code == ERR_OK || a.err.code == ERR_NOMEM);
    }
    schedule_spec_clear(&spec);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "guard") == 0)
        return guard_main(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(a_definition_that_is_not_valid_is_refused_by_field),
        TEST(a_name_is_unique_in_its_group),
        TEST(a_paused_one_does_not_fire_until_it_is_resumed),
        TEST(what_was_missed_while_paused_is_a_misfire),
        TEST(a_replaced_one_has_another_definition_and_its_history),
        TEST(a_replacement_that_is_not_valid_changes_nothing),
        TEST(a_removed_one_is_gone_and_its_application_lives_on),
        TEST(wishes_of_many_do_not_lose_races),
        TEST(only_so_many_fires_are_kept),
        TEST(lists_are_pages_of_what_matches),
        TEST(what_is_to_come_is_told_in_order),
        TEST(what_is_under_way_when_the_server_stops_is_told),
        TEST(opening_survives_every_failing_allocation),
        TEST(short_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
