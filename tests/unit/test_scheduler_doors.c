/* A door that does the tasks of its fires itself, and says when it has its hands full. */
#include "scheduler_world.h"

static struct {
    bool is_full;
    unsigned n_run;
    unsigned most, n_under_way; /* the door takes so many at a time; 0: any number */
    int64_t schedule, number;
    char task[32];
} tasks;

static void run_task(void *arg, const struct schedule_view *schedule, const struct fire_view *fire)
{
    (void)arg;
    tasks.n_run++;
    tasks.n_under_way++;
    tasks.schedule = fire->schedule;
    tasks.number = fire->number;
    assert_int_equal(fire->state, FIRE_RUNNING);
    (void)snprintf(tasks.task, sizeof tasks.task, "%s", schedule->spec.task);
}

static size_t room(void *arg)
{
    (void)arg;
    if (tasks.most > 0)
        return tasks.most - tasks.n_under_way;
    return tasks.is_full ? 0 : SIZE_MAX;
}

static const struct schedule_door door = {.name = "tasks", .run = run_task, .room = room};

static int up(void **state)
{
    memset(&tasks, 0, sizeof tasks);
    int rc = world_up(state);
    here->doors[0] = &door;
    scheduler_add_door(here->scheduler, &door);
    return rc;
}

static bool has_run(void *arg)
{
    return tasks.n_run >= *(unsigned *)arg;
}

static void await_runs(unsigned n)
{
    await(has_run, &n, "a task");
    assert_int_equal(tasks.n_run, n);
}

static int64_t task_due_at(int64_t at_ms)
{
    struct schedule_spec spec = spec_of("task", false, 0);
    spec.door = mem_strdup("tasks");
    spec.task = mem_strdup("{\"what\":1}");
    spec.trigger.start_ms = at_ms;
    return created(&spec);
}

static void a_task_is_run_and_its_end_is_kept(void **state)
{
    (void)state;
    int64_t id = task_due_at(clock_wall_ms());
    await_runs(1);
    assert_int_equal(tasks.schedule, id);
    assert_string_equal(tasks.task, "{\"what\":1}");
    assert_string_equal(states(id), "running");
    scheduler_end_fire(here->scheduler, id, tasks.number, FIRE_SUCCEEDED, 4711, "HTTP 201");
    await_states(id, "succeeded");
    assert_int_equal(history(id)->fires[0].batch, 4711);
    assert_string_equal(history(id)->reasons[0], "HTTP 201");
    assert_null(apps_find(here->apps, APP_BATCH, 0));
}

static void an_end_that_is_told_twice_or_of_nothing_is_harmless(void **state)
{
    (void)state;
    int64_t id = task_due_at(clock_wall_ms());
    await_runs(1);
    scheduler_end_fire(here->scheduler, id, 99, FIRE_SUCCEEDED, 1, NULL);
    scheduler_end_fire(here->scheduler, id + 99, 1, FIRE_SUCCEEDED, 1, NULL);
    scheduler_end_fire(here->scheduler, id, 1, FIRE_FAILED, -1, "no");
    scheduler_end_fire(here->scheduler, id, 1, FIRE_SUCCEEDED, 1, NULL);
    await_states(id, "failed");
}

static void a_task_under_way_is_lost_with_the_server(void **state)
{
    (void)state;
    int64_t id = task_due_at(clock_wall_ms());
    await_runs(1);
    world_restart();
    await_states(id, "lost");
    assert_int_equal(tasks.n_run, 1);
}

static void what_is_due_waits_while_the_door_is_full(void **state)
{
    (void)state;
    tasks.is_full = true;
    int64_t at_ms = clock_wall_ms();
    int64_t id = task_due_at(at_ms);
    turn_for(300);
    assert_int_equal(history(id)->n, 0);
    tasks.is_full = false;
    await_runs(1);
    assert_string_equal(states(id), "running");
    assert_int_equal(history(id)->fires[0].planned_ms, at_ms);
}

static void what_waits_too_long_is_missed(void **state)
{
    (void)state;
    here->settings.schedule.misfire_threshold_ms = 500;
    tasks.is_full = true;
    int64_t id = task_due_at(clock_wall_ms());
    await_fires(id, 1);
    assert_int_equal(history(id)->fires[0].state, FIRE_MISSED);
    assert_int_equal(tasks.n_run, 0);
    tasks.is_full = false;
    await_runs(1);
}

static void an_end_makes_room_at_once(void **state)
{
    (void)state;
    int64_t first = task_due_at(clock_wall_ms());
    await_runs(1);
    tasks.is_full = true;
    struct schedule_spec spec = spec_of("second", false, 0);
    spec.door = mem_strdup("tasks");
    spec.task = mem_strdup("{}");
    spec.trigger.start_ms = clock_wall_ms();
    int64_t second = created(&spec);
    turn_for(100);
    tasks.is_full = false;
    scheduler_end_fire(here->scheduler, first, 1, FIRE_SUCCEEDED, 1, NULL);
    await_runs(2);
    assert_int_equal(tasks.schedule, second);
}

static void by_hand_it_runs_all_the_same(void **state)
{
    (void)state;
    tasks.is_full = true;
    int64_t id = task_due_at(clock_wall_ms() + 3600 * 1000);
    assert_int_equal(run_now(id, "t").err.code, ERR_OK);
    await_runs(1);
    assert_string_equal(history(id)->tokens[0], "t");
}

enum { BURST = 40 };

static void a_burst_is_no_more_at_a_time_than_the_door_takes(void **state)
{
    (void)state;
    tasks.most = 2;
    int64_t ids[BURST];
    int64_t at_ms = clock_wall_ms() + 1000;
    for (int i = 0; i < BURST; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "task-%d", i);
        struct schedule_spec spec = spec_of(name, false, 0);
        spec.door = mem_strdup("tasks");
        spec.task = mem_strdup("{}");
        spec.trigger.start_ms = at_ms;
        ids[i] = created(&spec);
    }
    await_runs(2);
    turn_for(1500);
    for (unsigned n = 2; n < BURST; n++) {
        assert_int_equal(tasks.n_run, n);
        tasks.n_under_way--;
        scheduler_end_fire(here->scheduler, tasks.schedule, tasks.number, FIRE_SUCCEEDED, 1, NULL);
        await_runs(n + 1);
    }
    turn_for(100);
    assert_int_equal(tasks.n_run, BURST);
    for (int i = 0; i < BURST; i++)
        assert_int_equal(history(ids[i])->n, 1);
}

static int64_t task_with(enum overlap overlap, int64_t retries)
{
    struct schedule_spec spec = spec_of("task", false, 0);
    spec.door = mem_strdup("tasks");
    spec.task = mem_strdup("{}");
    spec.overlap = overlap;
    spec.retry = (struct retry_policy){.limit = retries, .delay_ms = 10, .max_delay_ms = 10};
    return created(&spec);
}

static void a_further_attempt_waits_while_the_door_is_full(void **state)
{
    (void)state;
    int64_t id = task_with(OVERLAP_ALLOW, 1);
    run_now(id, NULL);
    tasks.is_full = true;
    scheduler_end_fire(here->scheduler, id, 1, FIRE_FAILED, -1, "no");
    await_states(id, "failed, waiting");
    turn_for(1200);
    assert_int_equal(tasks.n_run, 1);
    assert_string_equal(states(id), "failed, waiting");
    tasks.is_full = false;
    await_runs(2);
    assert_string_equal(states(id), "failed, running");
}

static void what_was_asked_for_by_hand_and_waited_runs_all_the_same(void **state)
{
    (void)state;
    int64_t id = task_with(OVERLAP_QUEUE, 0);
    run_now(id, NULL);
    run_now(id, NULL);
    tasks.is_full = true;
    scheduler_end_fire(here->scheduler, id, 1, FIRE_SUCCEEDED, 1, NULL);
    await_runs(2);
    assert_string_equal(states(id), "succeeded, running");
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "guard") == 0)
        return guard_main(argv[2]);
#define DOOR_TEST(name) cmocka_unit_test_setup_teardown(name, up, world_down)
    const struct CMUnitTest tests[] = {
        DOOR_TEST(a_task_is_run_and_its_end_is_kept),
        DOOR_TEST(an_end_that_is_told_twice_or_of_nothing_is_harmless),
        DOOR_TEST(a_task_under_way_is_lost_with_the_server),
        DOOR_TEST(what_is_due_waits_while_the_door_is_full),
        DOOR_TEST(what_waits_too_long_is_missed),
        DOOR_TEST(an_end_makes_room_at_once),
        DOOR_TEST(by_hand_it_runs_all_the_same),
        DOOR_TEST(a_burst_is_no_more_at_a_time_than_the_door_takes),
        DOOR_TEST(a_further_attempt_waits_while_the_door_is_full),
        DOOR_TEST(what_was_asked_for_by_hand_and_waited_runs_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
