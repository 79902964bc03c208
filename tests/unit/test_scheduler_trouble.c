/* The scheduler when something is wrong: a disk that does not take an end, a stop in the middle, rows that
 * are not readable, clocks, limits. */
#include "scheduler_world.h"

#include "store/store_internal.h"

#include <sqlite3.h>

/* Changes the stored data behind the server's back. */
static void sql(const char *text)
{
    char path[NAME_ROOM];
    char *why = NULL;
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/hearth.db", here->state_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, 10000), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static struct answer replaced(int64_t id, struct schedule_spec *spec)
{
    struct answer a = {0};
    scheduler_replace(here->scheduler, id, 0, spec, on_answer, &a);
    await(is_true, &a.came, "another definition");
    schedule_spec_clear(spec);
    return a;
}

static void let_go(void)
{
    fake_write(&here->fake, "go", "", 0600);
}

static void make_each_second(struct schedule_spec *spec)
{
    spec->trigger.kind = TRIGGER_CRON;
    spec->trigger.start_ms = clock_wall_ms();
    spec->cron = mem_strdup("* * * * * ?");
    spec->zone = mem_strdup("Europe/Rome");
}

static int64_t held_by_a_file(const char *name, enum overlap overlap)
{
    struct schedule_spec spec = spec_of(name, true, 0);
    spec.overlap = overlap;
    return created(&spec);
}

/* ---- the disk ---- */

static bool is_in_trouble(void *arg)
{
    (void)arg;
    return store_trouble(here->store) != NULL;
}

static void a_wish_is_told_while_an_end_cannot_be_written(void **state)
{
    (void)state;
    int64_t id = held_by_a_file("full", OVERLAP_ALLOW);
    run_now(id, NULL);
    sql("CREATE TRIGGER full BEFORE UPDATE ON fire BEGIN SELECT raise(ROLLBACK, 'full'); END");
    let_go();
    await(is_in_trouble, NULL, "an end that is not written");
    assert_int_not_equal(change(scheduler_pause, id).err.code, ERR_OK);
    sql("DROP TRIGGER full");
    await_states(id, "succeeded");
}

/* ---- the stop ---- */

static void on_fires(const struct err *err, const struct fire_view *fires, size_t n, void *arg)
{
    (void)err; /* either way */
    (void)fires;
    assert_int_equal(n, 0);
    *(bool *)arg = true;
}

static void ask_for_history(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    assert_int_equal(err->code, ERR_OK);
    scheduler_history(here->scheduler, schedule->id, 0, 1, on_fires, arg);
}

static void ask_for_another(const struct err *err, const struct fire_view *fires, size_t n, void *arg)
{
    bool came = false;
    on_fires(err, fires, n, &came);
    struct schedule_spec spec = spec_of("behind the stop", false, 0);
    scheduler_create(here->scheduler, &spec, false, on_answer, arg);
    schedule_spec_clear(&spec);
}

/* Stops while reads wait for `store`, whose handles are closed before the reads come back. */
static void stop_before_reads_end(struct store *store)
{
    store_close(here->store);
    scheduler_stop(here->scheduler);
    apps_stop(here->apps);
    while (store->handles > 0) {
        (void)uv_run(&here->loop, UV_RUN_NOWAIT);
        (void)usleep(1000);
    }
    uv_mutex_unlock(&store->reader_lock);
    assert_int_equal(uv_run(&here->loop, UV_RUN_DEFAULT), 0);
    scheduler_free(here->scheduler);
    apps_free(here->apps);
    spark_close(here->spark);
}

static void a_look_told_after_the_stop_may_ask_for_more(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("looked at", false, 0);
    int64_t id = created(&spec);
    bool came = false;
    uv_mutex_lock(&here->store->reader_lock); /* reads wait */
    scheduler_get(here->scheduler, id, ask_for_history, &came);
    stop_before_reads_end(here->store);
    assert_true(came);
    world_open();
}

static void what_is_made_after_the_stop_is_refused(void **state)
{
    (void)state;
    struct answer answer = {0};
    uv_mutex_lock(&here->store->reader_lock); /* reads wait */
    scheduler_history(here->scheduler, 1, 0, 1, ask_for_another, &answer);
    stop_before_reads_end(here->store);
    assert_true(answer.came);
    assert_int_not_equal(answer.err.code, ERR_OK);
    world_open();
}

/* ---- time ---- */

static void jitter_is_cut_before_the_next_fire_time(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("jitter", false, 0);
    make_each_second(&spec);
    spec.jitter_ms = 24 * 3600 * 1000;
    int64_t id = created(&spec);
    await_fires(id, 4);
    const struct history *h = history(id);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(h->fires[i].missed, 0);
        assert_int_equal(h->fires[i].planned_ms, h->fires[0].planned_ms + i * 1000);
        assert_true(h->fires[i].actual_ms >= h->fires[i].planned_ms);
    }
}

static void a_back_off_is_no_longer_than_the_longest_after_a_restart(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("failing", false, 3);
    spec.retry = (struct retry_policy){.limit = 1, .delay_ms = 1000, .max_delay_ms = 1000};
    int64_t id = created(&spec);
    run_now(id, NULL);
    await_states(id, "failed, waiting");
    world_close();
    sql("UPDATE fire SET due_ms = due_ms + 86400000 WHERE state = 'waiting'"); /* the clock was put back */
    world_open();
    await_states(id, "failed, failed");
}

/* ---- words ---- */

static void a_waiting_fire_that_is_refused_was_never_made(void **state)
{
    (void)state;
    int64_t id = held_by_a_file("queueing", OVERLAP_QUEUE);
    run_now(id, NULL);
    run_now(id, NULL);
    assert_string_equal(states(id), "running, waiting");
    struct schedule_spec spec = spec_of("queueing", false, 0);
    spec.overlap = OVERLAP_QUEUE;
    assert_int_equal(strmap_set(&spec.submission.conf, "spark.driver.memory", "900g"), 0);
    assert_int_equal(replaced(id, &spec).err.code, ERR_OK);
    let_go();
    await_states(id, "succeeded, refused");
    assert_int_equal(history(id)->fires[1].actual_ms, 0);
    assert_int_equal(history(id)->fires[1].batch, -1);
}

static void without_spark(void)
{
    world_close();
    here->without_spark = true;
    world_open();
    log_set_level(LOG_ERROR);
}

static void with_spark_again(void)
{
    world_close();
    here->without_spark = false;
    world_open();
}

static void the_refusal_of_an_old_definition_is_forgotten(void **state)
{
    (void)state;
    without_spark();
    struct schedule_spec spec = spec_of("held", false, 0);
    spec.trigger.start_ms = clock_wall_ms();
    int64_t id = created(&spec);
    turn_for(500);
    assert_string_equal(states(id), "");
    spec = spec_of("held", false, 0);
    make_each_second(&spec);
    spec.trigger.start_ms -= 600 * 1000;
    spec.trigger.misfire = MISFIRE_SKIP;
    assert_int_equal(replaced(id, &spec).err.code, ERR_OK);
    await_fires(id, 1);
    assert_int_equal(history(id)->fires[0].state, FIRE_MISSED);
    assert_non_null(strstr(history(id)->reasons[0], "(misfire: do_nothing)"));
    assert_null(strstr(history(id)->reasons[0], "refused"));
    with_spark_again();
}

/* ---- rows that are not readable ---- */

struct known {
    bool came;
    enum err_code code;
    char owner[32];
};

static void on_known(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    struct known *k = arg;
    assert_non_null(schedule);
    k->came = true;
    k->code = err->code;
    (void)snprintf(k->owner, sizeof k->owner, "%s", schedule->spec.owner);
}

static void an_unreadable_schedule_gets_its_ends_written_and_a_new_definition(void **state)
{
    (void)state;
    int64_t id = held_by_a_file("spoilt", OVERLAP_QUEUE);
    run_now(id, NULL);
    run_now(id, NULL);
    sql("UPDATE schedule SET spec = '{\"nonsense\":1}'");
    let_go();
    await_states(id, "succeeded, waiting");
    struct answer a = change(scheduler_pause, id);
    assert_int_equal(a.err.code, ERR_INTERNAL);
    assert_non_null(strstr(a.err.msg, "is not readable: "));
    assert_int_equal(run_now(id, NULL).err.code, ERR_INTERNAL);
    struct known known = {0};
    scheduler_get(here->scheduler, id, on_known, &known);
    await(is_true, &known.came, "a look");
    assert_int_equal(known.code, ERR_INTERNAL);
    assert_string_equal(known.owner, "alice");
    struct schedule_spec spec = spec_of("mended", false, 0);
    assert_int_equal(replaced(id, &spec).err.code, ERR_OK);
    await_states(id, "succeeded, succeeded");
    assert_string_equal(see(id).name, "mended");
    assert_int_equal(scheduler_summary(here->scheduler).active, 1);
}

static void an_unreadable_schedule_can_be_removed(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("spoilt", false, 0);
    int64_t id = created(&spec);
    sql("UPDATE schedule SET progress = 'x', state = 'odd'");
    world_restart();
    assert_int_equal(change(scheduler_remove, id).err.code, ERR_OK);
    assert_int_equal(scheduler_summary(here->scheduler).schedules, 0);
    spec = spec_of("spoilt", false, 0); /* its name is free again */
    (void)created(&spec);
}

/* ---- those that are held ---- */

static struct {
    bool is_full;
    unsigned n_run;
} tasks;

static void run_task(void *arg, const struct schedule_view *schedule, const struct fire_view *fire)
{
    (void)arg;
    tasks.n_run++;
    scheduler_end_fire(here->scheduler, schedule->id, fire->number, FIRE_SUCCEEDED, -1, NULL);
}

static size_t room(void *arg)
{
    (void)arg;
    return tasks.is_full ? 0 : SIZE_MAX;
}

static const struct schedule_door task_door = {.name = "tasks", .run = run_task, .room = room};

static void open_task_door(bool full)
{
    tasks.is_full = full;
    tasks.n_run = 0;
    here->doors[0] = &task_door;
    scheduler_add_door(here->scheduler, &task_door);
}

static bool has_run(void *arg)
{
    return tasks.n_run >= *(unsigned *)arg;
}

static int64_t task_each_second(void)
{
    struct schedule_spec spec = spec_of("task", false, 0);
    make_each_second(&spec);
    spec.door = mem_strdup("tasks");
    return created(&spec);
}

static void held_ones_are_tried_again_however_busy_the_server_is(void **state)
{
    (void)state;
    open_task_door(true);
    struct schedule_spec spec = spec_of("other", false, 0);
    int64_t other = created(&spec);
    spec = spec_of("held", false, 0);
    spec.door = mem_strdup("tasks");
    spec.trigger.start_ms = clock_wall_ms();
    (void)created(&spec);
    turn_for(100);
    tasks.is_full = false;
    for (int i = 0; i < 50 && tasks.n_run == 0; i++) {
        assert_int_equal(change(i % 2 == 0 ? scheduler_pause : scheduler_resume, other).err.code, ERR_OK);
        turn_for(200);
    }
    assert_int_equal(tasks.n_run, 1);
}

enum { CROWD = 16500 }; /* more than may have their turn at the same time */

static void on_one_of_many(const struct err *err, int64_t id, void *arg)
{
    (void)id;
    assert_int_equal(err->code, ERR_OK);
    ++*(unsigned *)arg;
}

static bool is_crowd(void *arg)
{
    return *(unsigned *)arg == CROWD;
}

static void create_crowd(int64_t at_ms)
{
    unsigned n = 0;
    for (int i = 0; i < CROWD; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "one-%d", i);
        struct schedule_spec spec = spec_of(name, false, 0);
        spec.trigger.start_ms = at_ms;
        scheduler_create(here->scheduler, &spec, false, on_one_of_many, &n);
        schedule_spec_clear(&spec);
    }
    await(is_crowd, &n, "many schedules");
}

static void held_ones_do_not_keep_others_from_their_turn(void **state)
{
    (void)state;
    without_spark();
    here->settings.schedule.misfire_threshold_ms = 3600 * 1000;
    open_task_door(false);
    create_crowd(clock_wall_ms());
    turn_for(2000);
    (void)task_each_second();
    unsigned n = tasks.n_run + 3;
    await(has_run, &n, "a task beside those that are held");
    with_spark_again();
}

/* Counts a word of what the log gets while `act` runs. */
static unsigned logged(const char *word, void (*act)(void))
{
    char path[NAME_ROOM];
    char text[64 * 1024];
    (void)snprintf(path, sizeof path, "%s", in_folder("log"));
    FILE *file = fopen(path, "w+");
    assert_non_null(file);
    int was = dup(STDERR_FILENO);
    assert_true(was >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    act();
    assert_true(dup2(was, STDERR_FILENO) >= 0 && close(was) == 0);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
        n++;
    return n;
}

static void hold_some(void)
{
    log_set_level(LOG_WARN);
    for (int i = 0; i < 5; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "held-%d", i);
        struct schedule_spec spec = spec_of(name, false, 0);
        spec.trigger.start_ms = clock_wall_ms();
        await_fires(created(&spec), 2); /* records of misses */
    }
    log_set_level(LOG_ERROR);
}

static void the_log_tells_once_a_minute_of_those_that_are_held(void **state)
{
    (void)state;
    without_spark();
    here->settings.schedule.misfire_threshold_ms = 100;
    assert_int_equal(logged("cannot go on now", hold_some), 1);
    with_spark_again();
}

/* ---- long looks ---- */

/* Copies the schedule `id`, behind the server's back, until there are so many; all are due at one time. */
static void multiply(int64_t id, int n)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) "
                   "INSERT INTO schedule SELECT %" PRId64 " + i, version, group_name, name || '-' || i, "
                   "owner, proxy_user, door, state, 1 + (i %% 3), due_ms, steady, fires, created_ms, "
                   "changed_ms, progress, spec FROM c, schedule WHERE id = %" PRId64,
                   n - 1, id, id);
    sql(text);
}

struct look {
    bool came, complete;
    size_t n;
    bool *other; /* another answer, and whether it was there before */
    bool was_other_first;
};

static void on_coming(const struct err *err, const struct upcoming *times, size_t n, bool complete, void *arg)
{
    struct look *l = arg;
    assert_int_equal(err->code, ERR_OK);
    for (size_t i = 1; i < n; i++)
        assert_true(times[i].schedule > times[i - 1].schedule); /* each once */
    l->came = true;
    l->n = n;
    l->complete = complete;
    l->was_other_first = l->other != NULL && *l->other;
}

static void fire_times_to_come_are_read_in_slices_of_all_schedules(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("one of many", false, 0);
    int64_t at_ms = spec.trigger.start_ms;
    multiply(created(&spec), 1700);
    struct look l = {0};
    scheduler_upcoming(here->scheduler, -1, at_ms, at_ms + 1, 5000, on_coming, &l);
    await(is_true, &l.came, "fire times to come");
    assert_int_equal(l.n, 1700);
    assert_true(l.complete);
    l = (struct look){0};
    scheduler_upcoming(here->scheduler, -1, at_ms, at_ms + 1, 1100, on_coming, &l);
    await(is_true, &l.came, "fire times to come");
    assert_int_equal(l.n, 1100);
    assert_false(l.complete);
}

static void a_long_look_has_an_end_and_lets_others_have_their_turn(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("one of many", false, 0);
    int64_t at_ms = spec.trigger.start_ms;
    multiply(created(&spec), SCHEDULER_UPCOMING_ROWS + 1000);
    struct seen other = {0};
    struct look l = {.other = &other.came};
    scheduler_upcoming(here->scheduler, -1, at_ms + 1, at_ms + 1000, 10, on_coming, &l);
    scheduler_find(here->scheduler, "default", "one of many", on_seen, &other);
    await(is_true, &l.came, "fire times to come");
    assert_true(l.was_other_first);
    assert_int_equal(l.n, 0);
    assert_false(l.complete);
}

static void on_stopped(const struct err *err, const struct upcoming *times, size_t n, bool complete,
                       void *arg)
{
    (void)times;
    assert_int_equal(n, 0);
    assert_false(complete);
    *(enum err_code *)arg = err->code;
}

static void a_stop_ends_a_long_look(void **state)
{
    (void)state;
    struct schedule_spec spec = spec_of("one of many", false, 0);
    int64_t at_ms = spec.trigger.start_ms;
    multiply(created(&spec), 5000);
    enum err_code code = ERR_OK;
    scheduler_upcoming(here->scheduler, -1, at_ms + 1, at_ms + 1000, 10, on_stopped, &code);
    world_restart();
    assert_int_equal(code, ERR_BUSY);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "guard") == 0)
        return guard_main(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(a_wish_is_told_while_an_end_cannot_be_written),
        TEST(a_look_told_after_the_stop_may_ask_for_more),
        TEST(what_is_made_after_the_stop_is_refused),
        TEST(jitter_is_cut_before_the_next_fire_time),
        TEST(a_back_off_is_no_longer_than_the_longest_after_a_restart),
        TEST(a_waiting_fire_that_is_refused_was_never_made),
        TEST(the_refusal_of_an_old_definition_is_forgotten),
        TEST(an_unreadable_schedule_gets_its_ends_written_and_a_new_definition),
        TEST(an_unreadable_schedule_can_be_removed),
        TEST(held_ones_are_tried_again_however_busy_the_server_is),
        TEST(held_ones_do_not_keep_others_from_their_turn),
        TEST(the_log_tells_once_a_minute_of_those_that_are_held),
        TEST(fire_times_to_come_are_read_in_slices_of_all_schedules),
        TEST(a_long_look_has_an_end_and_lets_others_have_their_turn),
        TEST(a_stop_ends_a_long_look),
    };
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
