/* The scheduler on a real store, with real guards, and a stand-in for Spark. */
#include "scheduler_world.h"

/* ---- firing ---- */

static void a_one_shot_fires_once_and_is_complete(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("once", false, 0);
    int64_t at_ms = spec.trigger.start_ms = clock_wall_ms() + 300;
    int64_t id = created(&spec);
    await_states(id, "succeeded");
    const struct fire_view fire = history(id)->fires[0];
    assert_int_equal(fire.planned_ms, at_ms);
    assert_in_range(fire.actual_ms, at_ms, at_ms + 5000);
    assert_int_equal(fire.cause, FIRE_TRIGGER);
    assert_int_equal(fire.batch, 0);
    assert_int_equal(fire.attempt, 1);
    assert_true(fire.ended_ms >= fire.actual_ms);
    struct seen s = see(id);
    assert_int_equal(s.state, SCHEDULE_COMPLETE);
    assert_int_equal(s.next_ms, TRIGGER_NEVER);
    assert_int_equal(s.fires, 1);
    struct app *app = apps_find(here->apps, APP_BATCH, 0);
    assert_string_equal(app_info(app)->name, "once-1");
    assert_string_equal(app_info(app)->owner, "alice");
}

static void make_cron(struct schedule_spec *spec, const char *cron)
{
    spec->trigger.kind = TRIGGER_CRON;
    spec->trigger.start_ms = clock_wall_ms();
    spec->cron = mem_strdup(cron);
    spec->zone = mem_strdup("Europe/Rome");
}

static void assert_seconds_without_gaps(const struct history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        assert_int_equal(h->fires[i].number, i + 1);
        assert_int_equal(h->fires[i].planned_ms, h->fires[0].planned_ms + (int64_t)i * 1000);
        assert_int_equal(h->fires[i].batch, i);
        assert_in_range(h->fires[i].actual_ms, h->fires[i].planned_ms, h->fires[i].planned_ms + 10000);
    }
}

static void cron_fires_each_time_once_also_over_restarts(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("each-second", false, 0);
    make_cron(&spec, "* * * * * ?");
    int64_t id = created(&spec);
    await_fires(id, 3);
    world_restart();
    await_fires(id, 5);
    world_close();
    (void)usleep(1500 * 1000); /* fire times pass without a server */
    world_open();
    await_fires(id, 8);
    assert_seconds_without_gaps(history(id));
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "guard") == 0)
        return guard_main(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(a_one_shot_fires_once_and_is_complete),
        TEST(cron_fires_each_time_once_also_over_restarts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
