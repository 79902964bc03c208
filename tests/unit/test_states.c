/* The table of an application's states: its shape, and its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/app_internal.h"

#include <string.h>

static void every_state_can_be_reached(void **state)
{
    (void)state;
    unsigned reached = FSM_TO(APP_WAITING);
    for (int round = 0; round < APP_STATES; round++)
        for (unsigned s = 0; s < APP_STATES; s++)
            if ((reached & FSM_TO(s)) != 0)
                reached |= app_states[s].to;
    assert_int_equal(reached, FSM_TO(APP_STATES) - 1);
}

static void an_end_has_no_way_out_and_everything_else_has_one_to_an_end(void **state)
{
    (void)state;
    static const enum app_state ends[] = {APP_SUCCESS, APP_DEAD, APP_KILLED};
    unsigned all_ends = 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        assert_true(app_state_is_end(ends[i]));
        all_ends |= FSM_TO(ends[i]);
    }
    for (unsigned s = 0; s < APP_STATES; s++) {
        if ((all_ends & FSM_TO(s)) != 0)
            continue;
        assert_false(app_state_is_end(s));
        assert_true(fsm_may(app_states, s, APP_DEAD));
        assert_true(fsm_may(app_states, s, APP_KILLED));
    }
}

static void nothing_goes_back(void **state)
{
    (void)state;
    for (unsigned from = 0; from < APP_STATES; from++)
        for (unsigned to = 0; to <= from; to++)
            assert_false(fsm_may(app_states, from, to));
}

static void what_waits_has_no_driver_that_could_stop_or_succeed(void **state)
{
    (void)state;
    assert_false(fsm_may(app_states, APP_WAITING, APP_STOPPING));
    assert_false(fsm_may(app_states, APP_WAITING, APP_RUNNING));
    assert_false(fsm_may(app_states, APP_WAITING, APP_SUCCESS));
}

static void the_names_are_those_of_the_history_and_the_store(void **state)
{
    (void)state;
    static const char *const names[APP_STATES] = {"waiting", "launching", "running", "stopping",
                                                  "success", "dead",      "killed"};
    for (unsigned s = 0; s < APP_STATES; s++) {
        assert_string_equal(app_state_name(s), names[s]);
        assert_int_equal(fsm_find(app_states, APP_STATES, names[s]), s);
    }
    assert_int_equal(fsm_find(app_states, APP_STATES, "starting"), -1);
    assert_string_equal(app_kind_name(APP_BATCH), "batch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_can_be_reached),
        cmocka_unit_test(an_end_has_no_way_out_and_everything_else_has_one_to_an_end),
        cmocka_unit_test(nothing_goes_back),
        cmocka_unit_test(what_waits_has_no_driver_that_could_stop_or_succeed),
        cmocka_unit_test(the_names_are_those_of_the_history_and_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
