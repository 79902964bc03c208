/* A thread that is named as HotSpot names its optimizing compiler, in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "guard/warmup.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *compiler_main(void *arg)
{
    const int *told = arg;
    pid_t self = (pid_t)syscall(SYS_gettid);
    (void)prctl(PR_SET_NAME, "C2 CompilerThread0");
    (void)!write(*told, &self, sizeof self);
    (void)pause(); /* until the process is killed */
    return NULL;
}

/* Starts the process; returns its pid and, in *thread, the compiler's. */
static pid_t start_jvm(pid_t *thread)
{
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        pthread_t compiler;
        (void)pthread_create(&compiler, NULL, compiler_main, &told[1]);
        (void)pthread_join(compiler, NULL);
        _exit(0);
    }
    assert_int_equal(read(told[0], thread, sizeof *thread), sizeof *thread);
    (void)close(told[0]);
    (void)close(told[1]);
    return pid;
}

static void end_jvm(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void only_the_compiler_gives_way_and_gets_its_share_back(void **state)
{
    (void)state;
    pid_t thread = 0;
    pid_t pid = start_jvm(&thread);
    int normal = getpriority(PRIO_PROCESS, (id_t)pid);
    assert_int_equal(guard_warmup_set_priority(pid, 19), 1);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)thread), 19);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pid), normal);
    if (geteuid() == 0) {
        assert_int_equal(guard_warmup_set_priority(pid, normal), 1);
        assert_int_equal(getpriority(PRIO_PROCESS, (id_t)thread), normal);
    }
    end_jvm(pid);
}

static void a_process_that_is_gone_or_no_jvm_has_no_compiler(void **state)
{
    (void)state;
    assert_int_equal(guard_warmup_set_priority(getpid(), 19), 0);
    assert_int_equal(guard_warmup_set_priority(999999999, 19), 0);
}

static void the_guard_lowers_it_as_soon_as_it_is_there(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct guard_warmup w = {0};
    pid_t thread = 0;
    pid_t pid = start_jvm(&thread);
    int normal = getpriority(PRIO_PROCESS, (id_t)thread);
    assert_int_equal(uv_loop_init(&loop), 0);
    guard_warmup_start(&w, &loop, pid);
    int64_t deadline = clock_mono_ms() + 20000;
    while (geteuid() == 0 && !w.lowered && clock_mono_ms() < deadline)
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)thread), geteuid() == 0 ? 19 : normal);
    guard_warmup_stop(&w);
    uv_close((uv_handle_t *)&w.timer, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    end_jvm(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_compiler_gives_way_and_gets_its_share_back),
        cmocka_unit_test(a_process_that_is_gone_or_no_jvm_has_no_compiler),
        cmocka_unit_test(the_guard_lowers_it_as_soon_as_it_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
