/* The scheduler on a real store, with real guards, and a stand-in for Spark. */
#include "scheduler_world.h"

static void on_dismissed(const struct err *err, void *arg)
{
    assert_int_equal(err->code, ERR_OK);
    *(bool *)arg = true;
}

static void on_submitted(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg)
{
    (void)app;
    (void)id;
    (void)replayed;
    assert_int_equal(err->code, ERR_OK);
    *(bool *)arg = true;
}

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

/* ---- overlap ---- */

static int64_t overlapping(const char *name, enum overlap overlap)
{
    struct schedule_spec spec = spec_of(name, true, 0);
    spec.overlap = overlap;
    return created(&spec);
}

static void let_go(void)
{
    fake_write(&here->fake, "go", "", 0600);
}

static void allowed_overlap_runs_both(void **state)
{
    (void)state;
    int64_t id = overlapping("both", OVERLAP_ALLOW);
    assert_int_equal(run_now(id, NULL).id, 1);
    assert_int_equal(run_now(id, NULL).id, 2);
    assert_string_equal(states(id), "running, running");
    assert_int_equal(scheduler_summary(here->scheduler).running, 2);
    let_go();
    await_states(id, "succeeded, succeeded");
    assert_int_equal(scheduler_summary(here->scheduler).running, 0);
}

static void skip_leaves_out_a_fire_and_names_what_lives(void **state)
{
    (void)state;
    int64_t id = overlapping("skipping", OVERLAP_SKIP);
    assert_int_equal(run_now(id, "first").id, 1);
    assert_int_equal(run_now(id, "second").id, 2);
    assert_string_equal(states(id), "running, skipped");
    assert_string_equal(history(id)->reasons[1], "batch 0 of fire 1 still lives (overlap: skip)");
    assert_string_equal(history(id)->tokens[1], "second");
    let_go();
    await_states(id, "succeeded, skipped");
    run_now(id, NULL);
    await_states(id, "succeeded, skipped, succeeded");
}

static void one_waits_in_the_queue_and_a_second_is_skipped(void **state)
{
    (void)state;
    int64_t id = overlapping("queueing", OVERLAP_QUEUE);
    for (int64_t i = 1; i <= 3; i++)
        assert_int_equal(run_now(id, NULL).id, i);
    assert_string_equal(states(id), "running, waiting, skipped");
    assert_string_equal(history(id)->reasons[2], "fire 2 waits already (overlap: queue)");
    world_restart(); /* the queue is on disk */
    assert_string_equal(states(id), "running, waiting, skipped");
    let_go();
    await_states(id, "succeeded, succeeded, skipped");
    assert_int_equal(history(id)->fires[1].batch, 1);
    assert_true(history(id)->fires[1].actual_ms >= history(id)->fires[0].ended_ms);
}

static bool is_running(void *arg)
{
    const struct app *app = apps_find(here->apps, APP_BATCH, *(int64_t *)arg);
    return app != NULL && app_info(app)->state == APP_RUNNING;
}

static void replace_ends_the_old_one_first(void **state)
{
    (void)state;
    int64_t batch = 0;
    int64_t id = overlapping("replacing", OVERLAP_REPLACE);
    run_now(id, NULL);
    await(is_running, &batch, "the first one runs");
    run_now(id, NULL);
    await_states(id, "killed, running");
    assert_non_null(strstr(history(id)->reasons[0], "replaced by the next run"));
    let_go();
    await_states(id, "killed, succeeded");
}

/* ---- further attempts ---- */

static void a_dead_one_is_made_again_up_to_the_limit(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("failing", false, 3);
    spec.retry = (struct retry_policy){.limit = 2, .delay_ms = 50, .max_delay_ms = 1000};
    int64_t id = created(&spec);
    run_now(id, NULL);
    await_states(id, "failed, failed, failed");
    turn_for(300);
    assert_string_equal(states(id), "failed, failed, failed");
    const struct history *h = history(id);
    assert_int_equal(h->fires[1].cause, FIRE_RETRY);
    assert_int_equal(h->fires[2].attempt, 3);
    assert_int_equal(h->fires[2].planned_ms, h->fires[0].planned_ms);
    assert_true(h->fires[1].actual_ms >= h->fires[0].ended_ms + 50);
    assert_true(h->fires[2].actual_ms >= h->fires[1].ended_ms + 100);
    assert_non_null(strstr(h->reasons[0], "exit"));
    assert_int_equal(apps_count(here->apps, APP_BATCH), 3);
}

static void a_killed_one_is_not_made_again(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("killed", true, 3);
    spec.retry = (struct retry_policy){.limit = 2, .delay_ms = 10, .max_delay_ms = 10};
    int64_t id = created(&spec);
    run_now(id, NULL);
    app_kill(apps_find(here->apps, APP_BATCH, 0), "by hand", NULL, NULL);
    await_states(id, "killed");
    turn_for(100);
    assert_string_equal(states(id), "killed");
}

static void a_back_off_goes_on_after_a_restart(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("failing", false, 3);
    spec.retry = (struct retry_policy){.limit = 1, .delay_ms = 1500, .max_delay_ms = 1500};
    int64_t id = created(&spec);
    run_now(id, NULL);
    await_states(id, "failed, waiting");
    int64_t ended_ms = history(id)->fires[0].ended_ms;
    world_restart();
    assert_string_equal(states(id), "failed, waiting");
    await_states(id, "failed, failed");
    assert_true(history(id)->fires[1].actual_ms >= ended_ms + 1500);
}

static void an_end_is_found_out_after_a_restart(void **state)
{
    (void)state;
    int64_t id = overlapping("late-news", OVERLAP_ALLOW);
    run_now(id, NULL);
    world_close();
    let_go();
    world_open();
    await_states(id, "succeeded");
}

static void a_deleted_application_ends_its_fire(void **state)
{
    (void)state;
    int64_t id = overlapping("deleted", OVERLAP_ALLOW);
    run_now(id, NULL);
    bool is_gone = false;
    struct app *app = apps_find(here->apps, APP_BATCH, 0);
    app_dismiss(app, "deleted", on_dismissed, &is_gone);
    await(is_true, &is_gone, "dismissal");
    await_states(id, "killed");
}

/* ---- refusals and misfires ---- */

static void what_can_never_run_is_refused_with_the_reason(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("huge", false, 0);
    spec.trigger.start_ms = clock_wall_ms();
    assert_int_equal(strmap_set(&spec.submission.conf, "spark.driver.memory", "900g"), 0);
    int64_t id = created(&spec);
    await_states(id, "refused");
    assert_non_null(strstr(history(id)->reasons[0], "admission.memory"));
    assert_int_equal(see(id).state, SCHEDULE_COMPLETE);
    struct answer a = run_now(id, NULL);
    assert_int_equal(a.err.code, ERR_INVALID);
}

static void what_is_refused_now_stays_due(void **state)
{
    (void)state;
    here->settings.admission.queue = 1;
    here->settings.admission.running = 1;
    int64_t blocker = overlapping("blocker", OVERLAP_ALLOW);
    run_now(blocker, NULL);
    run_now(blocker, NULL); /* waits for room: the queue is full */
    assert_int_equal(run_now(blocker, NULL).err.code, ERR_BUSY);
    struct schedule_spec spec = spec_of("patient", false, 0);
    int64_t at_ms = spec.trigger.start_ms = clock_wall_ms();
    int64_t id = created(&spec);
    turn_for(1500);
    assert_string_equal(states(id), "");
    assert_int_equal(see(id).state, SCHEDULE_ACTIVE);
    let_go();
    await_states(id, "succeeded");
    assert_int_equal(history(id)->fires[0].planned_ms, at_ms);
}

static int64_t late(const char *name, enum misfire misfire, int64_t late_ms)
{
    struct schedule_spec spec = spec_of(name, false, 0);
    make_cron(&spec, "0 0 * * * ?");
    spec.trigger.start_ms = clock_wall_ms() - late_ms;
    spec.trigger.misfire = misfire;
    return created(&spec);
}

static void a_misfire_is_on_record_and_fires_once(void **state)
{
    (void)state;
    int64_t before_ms = clock_wall_ms();
    int64_t id = late("late", MISFIRE_SMART, 5 * 3600 * 1000 + 120 * 1000);
    await_states(id, "missed, succeeded");
    const struct history *h = history(id);
    assert_in_range(h->fires[0].missed, 5, 6);
    assert_int_equal(h->fires[0].batch, -1);
    assert_int_equal(h->fires[0].actual_ms, 0);
    assert_int_equal(h->fires[0].missed_until_ms,
                     h->fires[0].planned_ms + (h->fires[0].missed - 1) * 3600 * 1000);
    assert_non_null(strstr(h->reasons[0], "fire times from 2"));
    assert_non_null(strstr(h->reasons[0], "(misfire: smart)"));
    assert_true(h->fires[1].planned_ms >= before_ms);
    struct seen s = see(id);
    assert_int_equal(s.state, SCHEDULE_ACTIVE);
    assert_true(s.next_ms > before_ms);
}

static void do_nothing_goes_on_with_the_next_time(void **state)
{
    (void)state;
    int64_t id = late("late", MISFIRE_SKIP, 2 * 3600 * 1000);
    await_states(id, "missed");
    assert_true(see(id).next_ms > clock_wall_ms() - 1000);
    turn_for(100);
    assert_string_equal(states(id), "missed");
}

static void ignore_fires_each_missed_time(void **state)
{
    (void)state;
    int64_t id = late("late", MISFIRE_IGNORE, 3 * 3600 * 1000);
    await_states(id, "succeeded, succeeded, succeeded");
    assert_true(see(id).next_ms > clock_wall_ms() - 1000);
}

static void an_interval_goes_on_by_its_length(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("interval", false, 0);
    int64_t start_ms = clock_wall_ms() + 200;
    spec.trigger = (struct trigger){.kind = TRIGGER_INTERVAL,
                                    .interval_ms = 1000,
                                    .repeat = 2,
                                    .start_ms = start_ms,
                                    .end_ms = TRIGGER_NEVER};
    int64_t id = created(&spec);
    await_states(id, "succeeded, succeeded, succeeded");
    for (int i = 0; i < 3; i++) {
        const struct fire_view fire = history(id)->fires[i];
        assert_int_equal(fire.planned_ms, start_ms + i * 1000);
        assert_true(fire.actual_ms >= fire.planned_ms);
    }
    assert_int_equal(see(id).state, SCHEDULE_COMPLETE);
}

static void jitter_delays_by_a_part_that_stays_the_same(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("jitter", false, 0);
    spec.trigger.start_ms = clock_wall_ms() + 100;
    spec.jitter_ms = 1500;
    int64_t at_ms = spec.trigger.start_ms;
    int64_t id = created(&spec);
    int64_t due_ms = scheduler_summary(here->scheduler).next_ms;
    while (due_ms == TRIGGER_NEVER) {
        turn_for(10);
        due_ms = scheduler_summary(here->scheduler).next_ms;
    }
    assert_in_range(due_ms, at_ms, at_ms + 1500);
    world_restart();
    await_fires(id, 1);
    assert_int_equal(history(id)->fires[0].planned_ms, at_ms);
    assert_true(history(id)->fires[0].actual_ms >= due_ms);
}

static void the_name_of_another_application_is_not_taken(void **state)
{
    (void)state;
    struct spark_submission other = {.file = (char[]){"/b.py"}, .master = (char[]){"local[1]"}};
    struct app_request request = {.kind = APP_BATCH, .name = "job-1", .submission = &other};
    bool came = false;
    assert_int_equal(apps_submit(here->apps, &request, on_submitted, &came, NULL), ERR_OK);
    await(is_true, &came, "submission");
    struct schedule_spec spec = spec_of("job", false, 0);
    int64_t id = created(&spec);
    run_now(id, NULL);
    await_states(id, "succeeded");
    assert_null(app_info(apps_find(here->apps, APP_BATCH, 1))->name);
}

/* ---- doors ---- */

static struct {
    int64_t schedule, number;
    char task[40];
    int runs;
} told;

static void on_run(void *arg, const struct schedule_view *schedule, const struct fire_view *fire)
{
    (void)arg;
    told.schedule = schedule->id;
    told.number = fire->number;
    told.runs++;
    (void)snprintf(told.task, sizeof told.task, "%s", schedule->spec.task);
}

static enum err_code on_prepare(void *arg, const struct schedule_view *schedule, const struct fire_view *fire,
                                struct spark_submission *submission, struct err *err)
{
    (void)arg;
    if (schedule->spec.priority == 9)
        return err_set(err, ERR_INVALID, "not with me");
    char name[40];
    (void)snprintf(name, sizeof name, "prepared-%" PRId64, fire->number);
    return mem_set_str(&submission->name, name) == 0 ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static const struct schedule_door task_door = {.name = "tasks", .run = on_run};
static const struct schedule_door prepare_door = {.name = "names", .prepare = on_prepare};

static int64_t for_door(const char *name, const char *door, int64_t priority)
{
    struct schedule_spec spec = spec_of(name, false, 0);
    spec.door = mem_strdup(door);
    spec.task = mem_strdup("{\"x\":1}");
    spec.priority = priority;
    return created(&spec);
}

static void open_doors(void)
{
    here->doors[0] = &task_door;
    here->doors[1] = &prepare_door;
    world_restart();
    told.runs = 0;
}

static void a_door_does_its_task_and_ends_the_fire(void **state)
{
    (void)state;
    open_doors();
    int64_t id = for_door("posting", "tasks", 5);
    assert_int_equal(run_now(id, NULL).id, 1);
    assert_int_equal(told.runs, 1);
    assert_int_equal(told.schedule, id);
    assert_string_equal(told.task, "{\"x\":1}");
    assert_string_equal(states(id), "running");
    scheduler_end_fire(here->scheduler, id, told.number, FIRE_SUCCEEDED, 77, "posted");
    await_states(id, "succeeded");
    assert_int_equal(history(id)->fires[0].batch, 77);
    assert_string_equal(history(id)->reasons[0], "posted");
    assert_int_equal(apps_count(here->apps, APP_BATCH), 0);
}

static void a_task_under_way_is_lost_with_the_server(void **state)
{
    (void)state;
    open_doors();
    int64_t id = for_door("posting", "tasks", 5);
    run_now(id, NULL);
    world_restart();
    await_states(id, "lost");
    assert_int_equal(told.runs, 1);
    assert_non_null(strstr(history(id)->reasons[0], "not known"));
}

static void a_door_prepares_what_runs_or_refuses(void **state)
{
    (void)state;
    open_doors();
    int64_t id = for_door("named", "names", 5);
    run_now(id, NULL);
    await_states(id, "succeeded");
    int64_t refused = for_door("refused", "names", 9);
    assert_string_equal(run_now(refused, NULL).err.msg, "not with me");
    int64_t closed = for_door("closed", "nobody", 5);
    assert_string_equal(run_now(closed, NULL).err.msg, "its door 'nobody' is not open in this server");
    assert_string_equal(states(closed), "");
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "guard") == 0)
        return guard_main(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(a_one_shot_fires_once_and_is_complete),
        TEST(cron_fires_each_time_once_also_over_restarts),
        TEST(allowed_overlap_runs_both),
        TEST(skip_leaves_out_a_fire_and_names_what_lives),
        TEST(one_waits_in_the_queue_and_a_second_is_skipped),
        TEST(replace_ends_the_old_one_first),
        TEST(a_dead_one_is_made_again_up_to_the_limit),
        TEST(a_killed_one_is_not_made_again),
        TEST(a_back_off_goes_on_after_a_restart),
        TEST(an_end_is_found_out_after_a_restart),
        TEST(a_deleted_application_ends_its_fire),
        TEST(what_can_never_run_is_refused_with_the_reason),
        TEST(what_is_refused_now_stays_due),
        TEST(a_misfire_is_on_record_and_fires_once),
        TEST(do_nothing_goes_on_with_the_next_time),
        TEST(ignore_fires_each_missed_time),
        TEST(an_interval_goes_on_by_its_length),
        TEST(jitter_delays_by_a_part_that_stays_the_same),
        TEST(the_name_of_another_application_is_not_taken),
        TEST(a_door_does_its_task_and_ends_the_fire),
        TEST(a_task_under_way_is_lost_with_the_server),
        TEST(a_door_prepares_what_runs_or_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
