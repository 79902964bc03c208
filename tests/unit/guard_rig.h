/*
 * A guard in a process of its own, for the tests of guard and follower: a folder, a driver that is a
 * shell script, and a follower that notes what it is told.
 */
#ifndef HEARTH_TESTS_GUARD_RIG_H
#define HEARTH_TESTS_GUARD_RIG_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "guard/follow.h"
#include "guard/guard.h"
#include "guard/process_id.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60 * 1000 };

struct rig {
    char dir[256];
    pid_t guard;
    bool ran_guard;
    uv_loop_t loop;
    struct follower *follower;
    uint64_t from;
    struct buf told; /* "STARTED HELLO(3.5.7) …" */
    bool has_ended;
    struct follow_event last;
    int64_t driver;
    uint64_t next;
    void (*react)(struct rig *rig, const struct follow_event *event);
};

static struct rig rig;

static inline int rig_up(void **state)
{
    (void)state;
    rig = (struct rig){.from = 1, .told = BUF(1 << 20)};
    (void)snprintf(rig.dir, sizeof rig.dir, "/tmp/hearth-guard-XXXXXX");
    return mkdtemp(rig.dir) != NULL && uv_loop_init(&rig.loop) == 0 ? 0 : -1;
}

static inline void rig_unfollow(void)
{
    follow_close(rig.follower);
    rig.follower = NULL;
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
}

static inline int rig_down(void **state)
{
    (void)state;
    rig_unfollow();
    if (rig.guard > 1) {
        (void)kill(rig.guard, SIGKILL);
        (void)waitpid(rig.guard, NULL, 0);
    }
    if (rig.ran_guard && !rig.has_ended)
        (void)process_signal_group((pid_t)rig.driver, SIGKILL); /* never a pid that a test made up */
    buf_clear(&rig.told);
    return uv_loop_close(&rig.loop) == 0 && io_remove_tree(rig.dir, NULL) == ERR_OK ? 0 : -1;
}

/* Writes launch.json for `/bin/sh -c script`. */
static inline void rig_launch(const char *script, uint64_t log_size, uint64_t memory_limit)
{
    struct guard_launch l = {.log_size = log_size, .memory_limit = memory_limit};
    struct err err;
    assert_int_equal(strlist_add(&l.argv, "/bin/sh") | strlist_add(&l.argv, "-c"), 0);
    assert_int_equal(strlist_add(&l.argv, script), 0);
    assert_int_equal(strlist_add(&l.env, "PATH=/usr/bin:/bin") | strlist_add(&l.env, "MARK=hearth"), 0);
    if (guard_launch_write(&l, rig.dir, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    guard_launch_clear(&l);
}

/* `point`: what HEARTH_POINT is to be, or NULL. */
static inline void rig_start_at(const char *point)
{
    rig.guard = fork();
    rig.ran_guard = true;
    assert_true(rig.guard >= 0);
    if (rig.guard == 0) {
        if (point != NULL)
            (void)setenv("HEARTH_POINT", point, 1);
        _exit(guard_main(rig.dir));
    }
}

static inline void rig_start(const char *script)
{
    rig_launch(script, 1 << 20, 0);
    rig_start_at(NULL);
}

/* Its exit code, or minus the signal. */
static inline int rig_wait_guard(void)
{
    int status;
    assert_int_equal(waitpid(rig.guard, &status, 0), rig.guard);
    rig.guard = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void rig_kill_guard(void)
{
    assert_true(rig.guard > 1);
    assert_int_equal(kill(rig.guard, SIGKILL), 0);
    assert_int_equal(rig_wait_guard(), -SIGKILL);
}

static const char *const rig_words[] = {
    [FOLLOW_STARTED] = "STARTED",     [FOLLOW_REFUSED] = "REFUSED",
    [FOLLOW_HELLO] = "HELLO",         [FOLLOW_APP_ID] = "APP_ID",
    [FOLLOW_STATE] = "STATE",         [FOLLOW_CLOSED] = "CLOSED",
    [FOLLOW_STOP_SENT] = "STOP_SENT", [FOLLOW_SIGNAL_SENT] = "SIGNAL_SENT",
    [FOLLOW_EXIT] = "EXIT",           [FOLLOW_OUTPUT] = "OUTPUT",
    [FOLLOW_ABSENT] = "ABSENT",       [FOLLOW_LOST] = "LOST",
};

static inline void rig_note(const struct follow_event *e)
{
    buf_printf(&rig.told, "%s%s", rig.told.len > 0 ? " " : "", rig_words[e->kind]);
    if (e->kind == FOLLOW_STATE || e->kind == FOLLOW_APP_ID || e->kind == FOLLOW_HELLO)
        buf_printf(&rig.told, "(%s)", e->text);
}

static inline void rig_on_event(const struct follow_event *e, void *arg)
{
    (void)arg;
    assert_false(rig.has_ended); /* nothing comes after an end */
    if (e->seq != 0) {
        assert_true(e->seq >= rig.from);
        assert_true(e->seq >= rig.next);
        rig.next = e->seq + 1;
    }
    if (e->kind == FOLLOW_STARTED)
        rig.driver = e->pid;
    if (e->kind != FOLLOW_OUTPUT)
        rig_note(e);
    rig.has_ended = e->kind == FOLLOW_EXIT || e->kind == FOLLOW_REFUSED || e->kind == FOLLOW_ABSENT ||
                    e->kind == FOLLOW_LOST;
    rig.last = *e;
    if (rig.react != NULL)
        rig.react(&rig, e);
}

static inline void rig_follow(int64_t patience_ms)
{
    rig.has_ended = false;
    rig.follower = follow_new(&rig.loop, rig.dir, rig.from, patience_ms, rig_on_event, NULL);
    assert_non_null(rig.follower);
}

static inline void rig_on_tick(uv_timer_t *timer)
{
    (void)timer; /* it is there to wake the loop */
}

/* Runs the loop until the condition holds. */
static inline void rig_until(bool (*holds)(void))
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    uv_timer_t tick;
    (void)uv_timer_init(&rig.loop, &tick);
    (void)uv_timer_start(&tick, rig_on_tick, 5, 5);
    while (!holds() && clock_mono_ms() < deadline)
        (void)uv_run(&rig.loop, UV_RUN_ONCE);
    bool did = holds();
    uv_close((uv_handle_t *)&tick, NULL);
    (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    if (!did)
        fail_msg("it did not come to that; told so far: %s", buf_cstr(&rig.told));
}

static inline bool rig_is_over(void)
{
    return rig.has_ended;
}

/* Follows to the end; the guard must end as it should. */
static inline void rig_follow_to_end(void)
{
    if (rig.follower == NULL)
        rig_follow(PATIENCE_MS);
    rig_until(rig_is_over);
    rig_unfollow();
}

static inline bool rig_has_file(const char *name)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", rig.dir, name);
    return io_exists(path);
}

static inline void rig_read(const char *name, struct buf *into)
{
    char path[300];
    struct err err;
    (void)snprintf(path, sizeof path, "%s/%s", rig.dir, name);
    if (io_read_file(path, into, &err) != ERR_OK)
        fail_msg("%s", err.msg);
}

static inline void rig_expect_file(const char *name, const char *content)
{
    cleanup(buf_clear) struct buf text = BUF(1 << 20);
    rig_read(name, &text);
    assert_string_equal(buf_cstr(&text), content);
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)

#endif
