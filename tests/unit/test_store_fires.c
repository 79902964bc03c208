/* The store: fires of schedules, the steps and applications that go with them, and their history. */
#include "schedule_rows.h"

static struct answer update_fire(struct world *w, const struct store_fire *fire,
                                 const struct store_fire *next)
{
    struct answer a = {0};
    store_update_fire(w->store, fire, next, on_answer, &a);
    await(w, &a.came);
    return a;
}

static struct answer launch_fire(struct world *w, const struct store_fire *fire, const char *from_state,
                                 const struct store_app *app)
{
    struct answer a = {0};
    store_launch_fire(w->store, fire, from_state, app, &first_note, on_answer, &a);
    await(w, &a.came);
    return a;
}

/* A schedule with one fire that waits; its id. */
static int64_t begin_waiting(struct world *w)
{
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    struct store_step step = running_step(id, 1, 1);
    step.fire.state = "waiting";
    step.fire.due_ms = 90000;
    assert_int_equal(take_step(w, &step).id, 1);
    return id;
}

static const struct store_fire launched = {
    .schedule = 0, .number = 1, .state = "running", .actual_ms = 90001, .batch = -1};

/* ---- steps ---- */

static bool compare_fire(const struct store_fire *f, void *arg)
{
    const struct store_fire *e = arg;
    assert_int_equal(f->schedule, e->schedule);
    assert_int_equal(f->number, e->number);
    assert_string_equal(f->cause, e->cause);
    assert_string_equal(f->state, e->state);
    assert_int_equal(f->attempt, e->attempt);
    assert_int_equal(f->planned_ms, e->planned_ms);
    assert_int_equal(f->actual_ms, e->actual_ms);
    assert_int_equal(f->ended_ms, e->ended_ms);
    assert_int_equal(f->due_ms, e->due_ms);
    assert_int_equal(f->batch, e->batch);
    assert_int_equal(f->missed, e->missed);
    assert_int_equal(f->missed_until_ms, e->missed_until_ms);
    assert_int_equal(f->ended, e->ended);
    assert_true(e->reason != NULL ? strcmp(f->reason, e->reason) == 0 : f->reason == NULL);
    assert_true(e->token != NULL ? strcmp(f->token, e->token) == 0 : f->token == NULL);
    return true;
}

static void expect_fire(struct world *w, struct store_fire expected)
{
    struct visited v = {0};
    store_read_fires(w->store, expected.schedule, expected.number + 1, 1, compare_fire, &expected, on_visited,
                     &v);
    await(w, &v.answer.came);
    assert_int_equal(v.answer.err.code, ERR_OK);
}

static void a_step_writes_the_schedule_and_its_fire(void **state)
{
    struct world *w = *state;
    (void)insert_due(w, "a", "other", 0, 5);
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    struct store_step step = step_row(id, 1, 1);
    step.fire = (struct store_fire){.cause = "manual",
                                    .state = "missed",
                                    .attempt = 3,
                                    .planned_ms = 11,
                                    .actual_ms = 12,
                                    .ended_ms = 13,
                                    .due_ms = 14,
                                    .batch = 15,
                                    .missed = 16,
                                    .missed_until_ms = 17,
                                    .reason = "why",
                                    .token = "t",
                                    .ended = true};
    step.schedule.state = "complete";
    struct answer a = take_step(w, &step);
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, 1);
    struct store_fire expected = step.fire;
    expected.schedule = id;
    expected.number = 1;
    expect_fire(w, expected);
    assert_string_equal(ask(w, "SELECT version || state || progress || due_ms || '/' || fires || name FROM "
                               "schedule WHERE id = 1"),
                        "2complete{\"fired\":1}120000/1x");
}

static void a_step_on_another_version_leaves_no_trace(void **state)
{
    struct world *w = *state;
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    const struct store_step steps[] = {step_row(id, 2, 1), step_row(id, 1, 2), step_row(id + 1, 1, 1)};
    for (size_t i = 0; i < 3; i++) {
        struct answer a = take_step(w, &steps[i]);
        assert_int_equal(a.err.code, ERR_CONFLICT);
        assert_int_equal(a.id, -1);
        const struct store_app app = waiting("n");
        a = fire_app(w, &steps[i], &app);
        assert_int_equal(a.err.code, ERR_CONFLICT);
        assert_int_equal(a.id, -1);
    }
    assert_string_equal(ask(w, "SELECT count(*) FROM fire"), "0");
    assert_string_equal(ask(w, "SELECT count(*) FROM application"), "0");
    assert_string_equal(ask(w, "SELECT version || due_ms FROM schedule"), "160000");
}

static void two_that_wait_together_take_one_step(void **state)
{
    struct world *w = *state;
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    const struct store_step step = running_step(id, 1, 1);
    const struct store_app app = waiting(NULL);
    struct answer a[3] = {0};
    store_fire_app(w->store, &step, &app, &first_note, on_answer, &a[0]);
    store_fire_app(w->store, &step, &app, &first_note, on_answer, &a[1]);
    store_insert_app(w->store, &app, &first_note, NULL, on_answer, &a[2]);
    await(w, &a[2].came);
    assert_int_equal(a[0].id, 0);
    assert_int_equal(a[1].err.code, ERR_CONFLICT);
    assert_int_equal(a[2].id, 1); /* no id was used up */
    expect_fires(w, id, "1:trigger:running:1:0 ");
}

static void a_fire_carries_the_number_of_the_start_that_wrote_it(void **state)
{
    struct world *w = *state;
    (void)begin_waiting(w);
    assert_string_equal(ask(w, "SELECT fence = (SELECT fence FROM node) FROM fire"), "1");
    close_store(w);
    open_store(w);
    assert_string_equal(ask(w, "SELECT fence = (SELECT fence FROM node) - 1 FROM fire"), "1");
    assert_int_equal(update_fire(w, &launched, NULL).err.code, ERR_OK);
    assert_string_equal(ask(w, "SELECT fence = (SELECT fence FROM node) FROM fire"), "1");
}

static void history_is_trimmed_to_what_is_kept(void **state)
{
    struct world *w = *state;
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    struct store_step step = running_step(id, 1, 1); /* goes on all the time */
    (void)take_step(w, &step);
    for (int64_t number = 2; number <= 6; number++) {
        step = step_row(id, number, number);
        step.keep = 3;
        assert_int_equal(take_step(w, &step).id, number);
    }
    expect_fires(w, id,
                 "6:trigger:skipped:1:-1 5:trigger:skipped:1:-1 4:trigger:skipped:1:-1 "
                 "1:trigger:running:1:-1 ");
    assert_int_equal(
        update_fire(w, &(struct store_fire){.number = 1, .state = "failed", .ended = true}, NULL).err.code,
        ERR_OK);
    step = step_row(id, 7, 7);
    step.keep = 1;
    assert_int_equal(take_step(w, &step).id, 7);
    expect_fires(w, id, "7:trigger:skipped:1:-1 ");
}

/* ---- fires with applications ---- */

static void a_fire_and_its_application_are_written_together(void **state)
{
    struct world *w = *state;
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    struct store_app app = waiting("report");
    (void)insert(w, &(struct store_app){.kind = "batch", .state = "dead", .submission = "{}", .facts = "{}"},
                 NULL);
    const struct store_step step = running_step(id, 1, 1);
    struct answer a = fire_app(w, &step, &app);
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, 1);
    assert_false(a.replayed);
    expect_fires(w, id, "1:trigger:running:1:1 ");
    assert_string_equal(ask(w, "SELECT name || state FROM application WHERE id = 1"), "reportwaiting");
    assert_string_equal(ask(w, "SELECT state FROM note WHERE id = 1"), "waiting");
}

static void a_name_that_is_taken_fires_nothing(void **state)
{
    struct world *w = *state;
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    const struct store_app app = waiting("report");
    (void)insert(w, &app, NULL);
    const struct store_step step = running_step(id, 1, 1);
    struct answer a = fire_app(w, &step, &app);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, 0);
    assert_non_null(strstr(a.err.msg, "belongs to batch 0"));
    expect_fires(w, id, "");
    assert_string_equal(ask(w, "SELECT version || '/' || fires FROM schedule"), "1/0");
}

static void a_fire_that_waited_gets_its_application(void **state)
{
    struct world *w = *state;
    int64_t id = begin_waiting(w);
    const struct store_app app = waiting("report");
    struct answer a = launch_fire(w, &launched, "waiting", &app);
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, 0);
    expect_fire(w, (struct store_fire){.schedule = id,
                                       .number = 1,
                                       .cause = "trigger",
                                       .state = "running",
                                       .attempt = 1,
                                       .planned_ms = 60000,
                                       .actual_ms = 90001,
                                       .batch = 0});
    a = launch_fire(w, &launched, "waiting", &(struct store_app){.kind = "batch"}); /* it runs by now */
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, -1);
    assert_string_equal(a.err.msg, "fire 1 of schedule 0 is running, not waiting");
    assert_string_equal(ask(w, "SELECT count(*) FROM application"), "1");
}

static void a_fire_that_waited_goes_on_waiting_when_the_name_is_taken(void **state)
{
    struct world *w = *state;
    int64_t id = begin_waiting(w);
    const struct store_app app = waiting("report");
    (void)insert(w, &app, NULL);
    struct answer a = launch_fire(w, &launched, "waiting", &app);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, 0);
    expect_fires(w, id, "1:trigger:waiting:1:-1 ");
    assert_int_equal(remove_schedule(w, id).err.code, ERR_OK);
    a = launch_fire(w, &launched, "waiting", &app);
    assert_int_equal(a.err.code, ERR_NOT_FOUND);
    assert_string_equal(a.err.msg, "there is no fire 1 of schedule 0");
}

static void a_further_attempt_gets_the_next_number(void **state)
{
    struct world *w = *state;
    int64_t id = begin_waiting(w);
    const struct store_fire dead = {.schedule = id,
                                    .number = 1,
                                    .state = "failed",
                                    .actual_ms = 5,
                                    .ended_ms = 6,
                                    .batch = 3,
                                    .reason = "exit code 1",
                                    .ended = true};
    const struct store_fire retry = {
        .cause = "retry", .state = "waiting", .attempt = 2, .planned_ms = 60000, .due_ms = 99, .batch = -1};
    struct answer a = update_fire(w, &dead, &retry);
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, 2);
    expect_fires(w, id, "2:retry:waiting:2:-1 1:trigger:failed:1:3 ");
    assert_string_equal(ask(w, "SELECT reason || ended_ms || ended FROM fire WHERE number = 1"),
                        "exit code 161");
    assert_string_equal(ask(w, "SELECT version || '/' || fires || '/' || due_ms FROM schedule"),
                        "3/2/120000");
    const struct store_step late = step_row(id, 2, 2); /* read before: it would take the same number */
    assert_int_equal(take_step(w, &late).err.code, ERR_CONFLICT);
    assert_int_equal(update_fire(w, &dead, NULL).id, 1);
    assert_string_equal(ask(w, "SELECT version FROM schedule"), "3");
}

static void what_is_gone_is_not_found(void **state)
{
    struct world *w = *state;
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    const struct store_fire fire = {.schedule = id, .number = 1, .state = "failed"};
    struct answer a = update_fire(w, &fire, &fire);
    assert_int_equal(a.err.code, ERR_NOT_FOUND);
    assert_string_equal(ask(w, "SELECT version || '/' || fires FROM schedule"), "1/0");
    a = update_fire(w, &(struct store_fire){.schedule = 9, .number = 1, .state = "failed"}, NULL);
    assert_int_equal(a.err.code, ERR_NOT_FOUND);
}

static void an_application_that_is_removed_stays_in_the_history(void **state)
{
    struct world *w = *state;
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    const struct store_app app = waiting(NULL);
    const struct store_step step = running_step(id, 1, 1);
    (void)fire_app(w, &step, &app);
    assert_int_equal(remove_kind(w, "batch", 0).err.code, ERR_OK);
    expect_fires(w, id, "1:trigger:running:1:0 ");
}

static void a_schedule_goes_with_its_fires_and_without_its_applications(void **state)
{
    struct world *w = *state;
    int64_t other = insert_due(w, "a", "other", 0, 5);
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    const struct store_app app = waiting(NULL);
    struct store_step step = running_step(id, 1, 1);
    (void)fire_app(w, &step, &app);
    step = step_row(id, 2, 2);
    (void)take_step(w, &step);
    step = step_row(other, 1, 1);
    (void)take_step(w, &step);
    assert_int_equal(remove_schedule(w, id).err.code, ERR_OK);
    expect_fires(w, id, "");
    expect_fires(w, other, "1:trigger:skipped:1:-1 ");
    assert_string_equal(ask(w, "SELECT count(*) FROM application"), "1");
}

/* ---- reading ---- */

static void fires_come_newest_first_in_pages(void **state)
{
    struct world *w = *state;
    int64_t id = insert_due(w, "a", "x", 60000, 5);
    for (int64_t number = 1; number <= 4; number++) {
        const struct store_step step = step_row(id, number, number);
        (void)take_step(w, &step);
    }
    assert_string_equal(read_fires(w, id, 0, 2).text, "4:trigger:skipped:1:-1 3:trigger:skipped:1:-1 ");
    assert_string_equal(read_fires(w, id, 3, 9).text, "2:trigger:skipped:1:-1 1:trigger:skipped:1:-1 ");
    assert_string_equal(read_fires(w, id, 1, 9).text, "");
    assert_string_equal(read_fires(w, id + 1, 0, 9).text, "");
    struct visited v = {.stop_after = 1};
    store_read_fires(w->store, id, 0, -1, see_fire, &v, on_visited, &v);
    await(w, &v.answer.came);
    assert_int_equal(v.answer.err.code, ERR_OK);
    assert_string_equal(v.text, "4:trigger:skipped:1:-1 ");
}

static bool see_open(const struct store_fire *f, void *arg)
{
    struct visited *v = arg;
    see(v, "%d.%d:%s ", (int)f->schedule, (int)f->number, f->state);
    return v->n != v->stop_after;
}

static void the_start_takes_up_what_has_not_ended(void **state)
{
    struct world *w = *state;
    const char *const names[] = {"x", "y", "z"};
    struct err err;
    for (int64_t id = 0; id < 3; id++) {
        (void)insert_due(w, "a", names[id], 60000, 5);
        struct store_step step = running_step(id, 1, 1);
        (void)take_step(w, &step);
        step = step_row(id, 2, 2);
        (void)take_step(w, &step);
        step = running_step(id, 3, 3);
        (void)take_step(w, &step);
    }
    const struct store_fire over = {.schedule = 1, .number = 1, .state = "succeeded", .ended = true};
    assert_int_equal(update_fire(w, &over, NULL).err.code, ERR_OK);
    struct visited all = {0};
    assert_int_equal(store_load_fires(w->store, see_open, &all, &err), ERR_OK);
    assert_string_equal(all.text, "0.1:running 0.3:running 1.3:running 2.1:running 2.3:running ");
    struct visited some = {.stop_after = 1};
    assert_int_equal(store_load_fires(w->store, see_open, &some, &err), ERR_NOMEM);
    assert_string_equal(some.text, "0.1:running ");
}

/* ---- trouble ---- */

static void a_disk_that_refuses_fails_the_whole_group(void **state)
{
    struct world *w = *state;
    (void)insert_due(w, "a", "x", 60000, 5);
    (void)insert_due(w, "a", "y", 60000, 5);
    /* a trigger of the database stands in for a disk that refuses: it ends the group in the same way */
    assert_string_equal(ask(w, "CREATE TRIGGER full BEFORE INSERT ON fire WHEN new.schedule = 1 "
                               "BEGIN SELECT raise(ROLLBACK, 'full'); END"),
                        "");
    const struct store_app app = waiting(NULL);
    struct answer a[2] = {0};
    for (int64_t id = 0; id < 2; id++) {
        const struct store_step step = running_step(id, 1, 1);
        store_fire_app(w->store, &step, &app, &first_note, on_answer, &a[id]);
    }
    await(w, &a[1].came);
    assert_int_equal(a[1].err.code, ERR_IO);
    assert_string_equal(ask(w, "DROP TRIGGER full"), "");
    /* the first one may have had a group of its own; what was told is what is stored */
    assert_true(a[0].err.code == ERR_OK || a[0].err.code == ERR_IO);
    const char *written = a[0].err.code == ERR_OK ? "1" : "0";
    assert_string_equal(ask(w, "SELECT count(*) FROM application"), written);
    assert_string_equal(ask(w, "SELECT count(*) FROM fire"), written);
    assert_string_equal(ask(w, "SELECT version FROM schedule WHERE id = 1"), "1");
    assert_int_equal(take_step(w, &(struct store_step){.schedule = {.id = 9}}).err.code, ERR_CONFLICT);
    assert_null(store_trouble(w->store)); /* it writes again */
}

#ifdef HEARTH_FAULT_POINTS
#include <sys/wait.h>

/* A process of its own takes a step with an application, and is killed at that point. */
static void die_firing(struct world *w, const char *point)
{
    const struct store_app app = waiting(NULL);
    const struct store_step step = running_step(0, 1, 1);
    close_store(w);
    pid_t pid = fork();
    if (pid == 0) {
        open_store(w);
        (void)setenv("HEARTH_POINT", point, 1);
        (void)fire_app(w, &step, &app);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    open_store(w);
}

static void a_kill_leaves_fire_and_application_or_neither(void **state)
{
    struct world *w = *state;
    (void)insert_due(w, "a", "x", 60000, 5);
    die_firing(w, "store.before_commit=exit");
    expect_fires(w, 0, "");
    assert_string_equal(ask(w, "SELECT count(*) FROM application"), "0");
    assert_string_equal(ask(w, "SELECT version || '/' || due_ms FROM schedule"), "1/60000");
    die_firing(w, "store.after_commit=exit");
    expect_fires(w, 0, "1:trigger:running:1:0 ");
    assert_string_equal(ask(w, "SELECT count(*) FROM application"), "1");
    assert_string_equal(ask(w, "SELECT version || '/' || due_ms FROM schedule"), "2/120000");
}
#endif

static void fires_survive_failing_allocations(void **state)
{
    struct world *w = *state;
    (void)insert_due(w, "a", "x", 60000, 5);
    const struct store_app app = waiting(NULL);
    const struct store_step step = running_step(0, 1, 1);
    const struct store_fire dead = {.number = 1, .state = "failed", .ended = true};
    const struct store_fire retry = {.cause = "retry", .state = "waiting", .attempt = 2, .batch = -1};
    const struct store_fire second = {.number = 2, .state = "running", .batch = -1};
    for (int turn = 0; turn < 4; turn++) {
        enum err_code rc = ERR_NOMEM;
        for (long n = 1; rc == ERR_NOMEM; n++) {
            mem_fail_at(n);
            rc = turn == 0   ? fire_app(w, &step, &app).err.code
                 : turn == 1 ? update_fire(w, &dead, &retry).err.code
                 : turn == 2 ? launch_fire(w, &second, "waiting", &app).err.code
                             : read_fires(w, 0, 0, -1).answer.err.code;
            mem_fail_at(0);
        }
        assert_int_equal(rc, ERR_OK);
    }
    expect_fires(w, 0, "2:retry:running:2:1 1:trigger:failed:1:0 ");
}

/* ---- closing ---- */

struct chain {
    struct store *store;
    unsigned told;
};

static bool pass_fire(const struct store_fire *fire, void *arg)
{
    (void)fire;
    (void)arg;
    return true;
}

static bool pass_schedule(const struct store_schedule *schedule, void *arg)
{
    (void)schedule;
    (void)arg;
    return true;
}

static void ask_next(struct chain *c);

static void on_told(const struct err *err, int64_t total, void *arg)
{
    (void)err;
    (void)total;
    ask_next(arg);
}

static void on_app_told(const struct err *err, const struct store_app *app, const struct store_note *notes,
                        unsigned n_notes, void *arg)
{
    (void)err;
    (void)app;
    (void)notes;
    (void)n_notes;
    ask_next(arg);
}

static void on_items_told(const struct err *err, const struct store_item *items, size_t n, int64_t total,
                          void *arg)
{
    (void)err;
    (void)items;
    (void)n;
    (void)total;
    ask_next(arg);
}

static void ask_next(struct chain *c)
{
    static const int64_t id = 1;
    switch (c->told++) {
    case 0: store_read_fires(c->store, 1, 0, 9, pass_fire, NULL, on_told, c); break;
    case 1: store_read_app(c->store, "batch", 1, on_app_told, c); break;
    case 2: store_read_items(c->store, "statement", 1, 0, 9, false, on_items_told, c); break;
    case 3:
        store_read_schedules(c->store, &(struct store_schedules){.ids = &id, .n_ids = 1}, pass_schedule, NULL,
                             on_told, c);
        break;
    case 4:
        store_read_schedules(c->store, &(struct store_schedules){.after_id = -1, .max = 9}, pass_schedule,
                             NULL, on_told, c);
        break;
    case 5: store_read_fires(c->store, 1, 0, 9, pass_fire, NULL, on_told, c); break;
    default: break;
    }
}

static void who_is_told_while_the_store_closes_may_ask_again(void **state)
{
    struct world *w = *state;
    struct chain c = {.store = w->store};
    ask_next(&c);
    close_store(w);
    assert_int_equal(c.told, 7);
    open_store(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_step_writes_the_schedule_and_its_fire),
        TEST(a_step_on_another_version_leaves_no_trace),
        TEST(two_that_wait_together_take_one_step),
        TEST(a_fire_carries_the_number_of_the_start_that_wrote_it),
        TEST(history_is_trimmed_to_what_is_kept),
        TEST(a_fire_and_its_application_are_written_together),
        TEST(a_name_that_is_taken_fires_nothing),
        TEST(a_fire_that_waited_gets_its_application),
        TEST(a_fire_that_waited_goes_on_waiting_when_the_name_is_taken),
        TEST(a_further_attempt_gets_the_next_number),
        TEST(what_is_gone_is_not_found),
        TEST(an_application_that_is_removed_stays_in_the_history),
        TEST(a_schedule_goes_with_its_fires_and_without_its_applications),
        TEST(fires_come_newest_first_in_pages),
        TEST(the_start_takes_up_what_has_not_ended),
        TEST(a_disk_that_refuses_fails_the_whole_group),
#ifdef HEARTH_FAULT_POINTS
        TEST(a_kill_leaves_fire_and_application_or_neither),
#endif
        TEST(who_is_told_while_the_store_closes_may_ask_again),
        TEST(fires_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
