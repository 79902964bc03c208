/* Following a driver: live, late, after the guard's death, after a restart of everything. */
#include "guard_rig.h"

#include "guard/journal.h"

static void a_driver_is_followed_from_start_to_exit(void **state)
{
    (void)state;
    rig_follow(PATIENCE_MS); /* before there is a guard at all */
    rig_start("exit 7");
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED EXIT");
    assert_int_equal(rig.last.exit_code, 7);
    assert_int_equal(rig.last.signal, 0);
    assert_true(rig.last.max_memory > 0);
    assert_int_equal(rig_wait_guard(), 0);
}

static void an_ended_driver_is_replayed_from_the_journal(void **state)
{
    (void)state;
    rig_start("exit 0");
    assert_int_equal(rig_wait_guard(), 0);
    assert_false(rig_has_file("guard.sock"));
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED EXIT");
    buf_reset(&rig.told);
    rig.from = rig.next = 2;
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "EXIT");
}

static void a_torn_last_line_is_passed_over(void **state)
{
    (void)state;
    rig_start("exit 0");
    assert_int_equal(rig_wait_guard(), 0);
    char command[400];
    (void)snprintf(command, sizeof command, "printf '{\"seq\":3,\"event\":\"sta' >>%s/events", rig.dir);
    assert_int_equal(system(command), 0);
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED EXIT");
}

static void without_guard_and_journal_it_was_never_launched(void **state)
{
    (void)state;
    rig_follow(100);
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "ABSENT");
    assert_non_null(rig.last.text);
}

static bool has_started(void)
{
    return rig.driver > 0;
}

static void when_the_guard_is_killed_the_driver_is_watched_to_its_end(void **state)
{
    (void)state;
    rig_start("while [ ! -e go ]; do sleep 0.02; done");
    rig_follow(PATIENCE_MS);
    rig_until(has_started);
    rig_kill_guard();
    assert_int_equal(kill((pid_t)rig.driver, 0), 0); /* it lives on */
    char path[300];
    (void)snprintf(path, sizeof path, "%s/go", rig.dir);
    FILE *go = fopen(path, "w");
    assert_non_null(go);
    (void)fclose(go);
    rig_until(rig_is_over);
    assert_string_equal(buf_cstr(&rig.told), "STARTED LOST");
    assert_int_equal(rig.last.pid, rig.driver);
    rig.driver = 0;
}

static void a_signal_reaches_a_driver_without_a_guard(void **state)
{
    (void)state;
    rig_start("sleep 1000 & wait");
    rig_follow(PATIENCE_MS);
    rig_until(has_started);
    rig_unfollow();
    rig_kill_guard();
    rig_follow(PATIENCE_MS);
    follow_stop(rig.follower);
    follow_signal(rig.follower, SIGTERM); /* kept until it is known who answers */
    rig.next = 1;
    rig_until(rig_is_over);
    assert_string_equal(buf_cstr(&rig.told), "STARTED STARTED LOST");
    rig.driver = 0;
}

static void a_driver_of_another_boot_is_lost_at_once(void **state)
{
    (void)state;
    char command[600];
    (void)snprintf(
        command, sizeof command,
        "printf '{\"seq\":1,\"wall\":1,\"mono\":1,\"event\":\"started\",\"pid\":2147483000,\"startTime\":1,"
        "\"bootId\":\"x\"}\\n' >%s/events",
        rig.dir);
    assert_int_equal(system(command), 0);
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED LOST");
    assert_int_equal(rig.last.kind, FOLLOW_LOST);
}

static bool has_output(void)
{
    return rig.last.kind == FOLLOW_OUTPUT && rig.last.lines >= 2;
}

static void growing_output_is_reported(void **state)
{
    (void)state;
    rig_start("echo a; echo b; sleep 1000");
    rig_follow(PATIENCE_MS);
    rig_until(has_output);
    assert_int_equal(rig.last.bytes, 4);
    follow_signal(rig.follower, SIGKILL);
    rig_until(rig_is_over);
    assert_string_equal(buf_cstr(&rig.told), "STARTED SIGNAL_SENT EXIT");
    assert_int_equal(rig.last.exit_code, -1);
    assert_int_equal(rig.last.signal, SIGKILL);
    assert_false(rig.last.oom_killed);
    assert_int_equal(rig_wait_guard(), 0);
}

static void close_at_once(struct rig *r, const struct follow_event *e)
{
    (void)e;
    r->has_ended = true;
    follow_close(r->follower);
    r->follower = NULL;
}

static void it_may_be_closed_inside_its_callback(void **state)
{
    (void)state;
    rig_start("exit 0");
    assert_int_equal(rig_wait_guard(), 0);
    rig.react = close_at_once;
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED");
}

static void a_folder_with_a_very_long_name_works(void **state)
{
    (void)state;
    static const char part[] = "/0123456789012345678901234567890123456789";
    char deep[200];
    (void)snprintf(deep, sizeof deep, "%.40s%s%s%s", rig.dir, part, part, part);
    struct err err;
    char top[256];
    (void)snprintf(top, sizeof top, "%s", rig.dir);
    assert_int_equal(io_make_dirs(deep, 0700, &err), ERR_OK);
    (void)snprintf(rig.dir, sizeof rig.dir, "%s", deep);
    rig_start("echo a; echo b; sleep 1000");
    rig_follow(PATIENCE_MS);
    rig_until(has_output); /* only the socket tells of output */
    follow_signal(rig.follower, SIGKILL);
    rig_until(rig_is_over);
    (void)rig_wait_guard();
    (void)snprintf(rig.dir, sizeof rig.dir, "%s", top);
}

static void the_failure_of_any_allocation_loses_no_event(void **state)
{
    (void)state;
    rig_start("exit 3");
    assert_int_equal(rig_wait_guard(), 0);
    for (long n = 1; n < 60; n++) {
        long live = mem_live();
        rig.from = rig.next = 1;
        rig.has_ended = false;
        mem_fail_at(n);
        rig.follower = follow_new(&rig.loop, rig.dir, 1, 10, rig_on_event, NULL);
        if (rig.follower != NULL)
            rig_until(rig_is_over);
        mem_fail_at(0);
        if (rig.follower != NULL)
            assert_int_equal(rig.last.kind, FOLLOW_EXIT);
        rig_unfollow();
        buf_clear(&rig.told);
        assert_int_equal(mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(a_driver_is_followed_from_start_to_exit),
        IN_RIG(an_ended_driver_is_replayed_from_the_journal),
        IN_RIG(a_torn_last_line_is_passed_over),
        IN_RIG(without_guard_and_journal_it_was_never_launched),
        IN_RIG(when_the_guard_is_killed_the_driver_is_watched_to_its_end),
        IN_RIG(a_signal_reaches_a_driver_without_a_guard),
        IN_RIG(a_driver_of_another_boot_is_lost_at_once),
        IN_RIG(growing_output_is_reported),
        IN_RIG(it_may_be_closed_inside_its_callback),
        IN_RIG(a_folder_with_a_very_long_name_works),
        IN_RIG(the_failure_of_any_allocation_loses_no_event),
    };
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* drivers without a guard come to the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
