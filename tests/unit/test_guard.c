/* The guard: one driver, started once, nothing of it missed, nothing of it left behind. */
#include "guard_rig.h"

#include "guard/output.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* --- the driver as a process -------------------------------------------------------------------- */

static void output_and_exit_code_are_kept(void **state)
{
    (void)state;
    rig_start("echo out; echo err >&2; exit 9");
    rig_follow_to_end();
    assert_int_equal(rig.last.exit_code, 9);
    assert_int_equal(rig_wait_guard(), 0);
    rig_expect_file("stdout.log", "out\n");
    rig_expect_file("stderr.log", "err\n");
    assert_false(rig_has_file("guard.sock"));
}

static void the_driver_gets_its_environment_and_nothing_of_the_guard(void **state)
{
    (void)state;
    rig_start("cat; echo $MARK ${#_SPARK_LAUNCHER_SECRET}; test \"$_SPARK_LAUNCHER_PORT\" -gt 0 && echo port;"
              "ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Ign|Blk)' /proc/self/status;"
              "test $(cut -d' ' -f5 /proc/$$/stat) = $$ && echo leader");
    rig_follow_to_end();
    assert_int_equal(rig_wait_guard(), 0);
    rig_expect_file("stdout.log", "hearth 64\nport\n0 1 2 3 SigBlk:\t0000000000000000\n"
                                  "SigIgn:\t0000000000000000\nleader\n");
}

static void a_signal_that_ended_it_is_told(void **state)
{
    (void)state;
    rig_start("kill -SEGV $$");
    rig_follow_to_end();
    assert_int_equal(rig.last.exit_code, -1);
    assert_int_equal(rig.last.signal, SIGSEGV);
    assert_int_equal(rig_wait_guard(), 0);
}

static void a_program_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    struct guard_launch l = {.log_size = 1 << 20};
    assert_int_equal(strlist_add(&l.argv, "/no/such/java"), 0);
    assert_int_equal(guard_launch_write(&l, rig.dir, NULL), ERR_OK);
    guard_launch_clear(&l);
    rig_start_at(NULL);
    rig_follow(PATIENCE_MS);
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "REFUSED");
    assert_int_equal(rig_wait_guard(), 1);
    rig_start_at(NULL); /* and stays so */
    assert_int_equal(rig_wait_guard(), 3);
}

static void write_file(const char *name, const char *content, mode_t mode)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", rig.dir, name);
    assert_int_equal(io_replace_file(path, content, strlen(content), mode, NULL), ERR_OK);
}

static void a_program_that_the_kernel_refuses_is_refused_after_all(void **state)
{
    (void)state;
    struct guard_launch l = {.log_size = 1 << 20};
    write_file("program", "no program at all", 0700);
    assert_int_equal(strlist_add(&l.argv, "./program"), 0);
    assert_int_equal(guard_launch_write(&l, rig.dir, NULL), ERR_OK);
    guard_launch_clear(&l);
    rig_start_at(NULL);
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED REFUSED");
    assert_int_equal(rig_wait_guard(), 1);
}

static void a_launch_description_that_is_none_is_refused(void **state)
{
    (void)state;
    write_file("launch.json", "{\"argv\":[]}", 0600);
    rig_start_at(NULL);
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "REFUSED");
    assert_int_equal(rig_wait_guard(), 1);
}

static bool has_started(void)
{
    return rig.driver > 1;
}

static void a_second_guard_starts_nothing(void **state)
{
    (void)state;
    rig_start("echo x >>count; while [ ! -e go ]; do sleep 0.02; done");
    rig_follow(PATIENCE_MS);
    rig_until(has_started);
    pid_t first = rig.guard;
    rig_start_at(NULL);
    assert_int_equal(rig_wait_guard(), 3);
    write_file("go", "", 0600);
    rig_follow_to_end();
    rig.guard = first;
    assert_int_equal(rig_wait_guard(), 0);
    rig_start_at(NULL);
    assert_int_equal(rig_wait_guard(), 3);
    rig_expect_file("count", "x\n");
}

static void a_term_to_the_guard_is_meant_for_the_driver(void **state)
{
    (void)state;
    rig_start("trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.02; done");
    rig_follow(PATIENCE_MS);
    rig_until(has_started);
    while (!rig_has_file("stdout.log"))
        (void)sched_yield();
    cleanup(buf_clear) struct buf text = BUF(4096);
    while (text.len == 0)
        rig_read("stdout.log", &text);
    assert_true(rig.guard > 1);
    assert_int_equal(kill(rig.guard, SIGTERM), 0);
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED SIGNAL_SENT EXIT");
    assert_int_equal(rig.last.exit_code, 5);
    assert_int_equal(rig_wait_guard(), 0);
    rig_expect_file("stdout.log", "ready\ntold\n");
}

/* --- what it leaves behind ---------------------------------------------------------------------- */

static bool is_gone(const char *pid_file)
{
    cleanup(buf_clear) struct buf text = BUF(64);
    rig_read(pid_file, &text);
    pid_t pid = (pid_t)strtol(buf_cstr(&text), NULL, 10);
    assert_true(pid > 1);
    return kill(pid, 0) != 0 && errno == ESRCH;
}

static void grandchildren_are_ended_with_it(void **state)
{
    (void)state;
    rig_start("setsid sh -c 'echo $$ >a; (sh -c \"echo \\$\\$ >b; exec sleep 1000\") & exec sleep 1000' &"
              "while [ ! -s a ] || [ ! -s b ]; do sleep 0.02; done; exit 0");
    rig_follow_to_end();
    assert_int_equal(rig.last.exit_code, 0);
    assert_int_equal(rig_wait_guard(), 0);
    assert_true(is_gone("a"));
    assert_true(is_gone("b"));
}

static void one_that_ignores_term_is_killed(void **state)
{
    (void)state;
    rig_start("sh -c 'trap \"\" TERM; echo $$ >a; while :; do sleep 0.05; done' &"
              "while [ ! -s a ]; do sleep 0.02; done; exit 4");
    rig_follow_to_end();
    assert_int_equal(rig.last.exit_code, 4);
    assert_int_equal(rig_wait_guard(), 0);
    assert_true(is_gone("a"));
}

/* --- killed at any point ------------------------------------------------------------------------ */

static void start_at_point(const char *point)
{
#ifndef HEARTH_FAULT_POINTS
    (void)point;
    skip();
#else
    rig_launch("echo x >>count", 1 << 20, 0);
    rig_start_at(point);
    assert_int_equal(rig_wait_guard(), -SIGKILL);
#endif
}

/* A second guard finds the folder as the first left it. */
static void expect_second(int exit_code, const char *count)
{
    rig_start_at(NULL);
    int got = rig_wait_guard();
    for (int i = 0; i < 200 && got == 3 && exit_code == 0;
         i++) { /* the child of the first may hold the lock */
        rig_start_at(NULL);
        got = rig_wait_guard();
    }
    assert_int_equal(got, exit_code);
    if (count != NULL)
        rig_expect_file("count", count);
    else
        assert_false(rig_has_file("count"));
}

static void killed_before_the_fork_nothing_happened(void **state)
{
    (void)state;
    start_at_point("guard.before_fork=exit");
    expect_second(0, "x\n");
}

static void killed_between_fork_and_record_the_child_ends_and_the_next_guard_starts_it(void **state)
{
    (void)state;
    start_at_point("guard.before_started=exit");
    assert_false(rig_has_file("count"));
    expect_second(0, "x\n");
}

static void killed_after_the_record_it_is_never_started_again(void **state)
{
    (void)state;
    start_at_point("guard.after_started=exit");
    expect_second(3, NULL);
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED LOST");
}

static void killed_before_the_exit_record_the_driver_is_lost(void **state)
{
    (void)state;
    start_at_point("guard.before_exit=exit");
    expect_second(3, "x\n");
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED LOST");
}

static void killed_after_the_exit_record_nothing_is_missing(void **state)
{
    (void)state;
    start_at_point("guard.after_exit=exit");
    expect_second(3, "x\n");
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told), "STARTED EXIT");
}

/* --- the launcher link -------------------------------------------------------------------------- */

#define P "org.apache.spark.launcher.LauncherProtocol$"
#define TEXT_FIELD(name_length, name) "L\0" name_length name "t\0\x12Ljava/lang/String;x"

/* A driver that tells the test where to connect, and lives until it is told to go. */
#define TALKING                                                                                              \
    "echo $_SPARK_LAUNCHER_PORT $_SPARK_LAUNCHER_SECRET >link.new; mv link.new link;"                        \
    "while [ ! -e go ]; do sleep 0.02; done"

struct link_address {
    int port;
    char secret[65];
};

static bool is_link_there(void)
{
    return rig_has_file("link");
}

static struct link_address start_talking(void)
{
    struct link_address a;
    cleanup(buf_clear) struct buf text = BUF(200);
    rig_start(TALKING);
    rig_follow(PATIENCE_MS);
    rig_until(is_link_there);
    rig_read("link", &text);
    assert_int_equal(sscanf(buf_cstr(&text), "%d %64s", &a.port, a.secret), 2);
    return a;
}

static int connect_link(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t n)
{
    assert_int_equal(io_write_all(fd, bytes, n, NULL), ERR_OK);
}

#define SEND(fd, literal) send_all(fd, literal, sizeof(literal) - 1)

static void send_hello(int fd, const char *secret)
{
    SEND(fd, "\xac\xed\0\5sr\0\x30" P "Hello\x7F\x5A\xFA\xC8\x65\x17\xB0\xCD\2\0\2"
             "L\0\6secrett\0\x12Ljava/lang/String;L\0\x0CsparkVersionq\0\x7E\0\1x"
             "r\0\x32" P "Message\xBA\x91\x30\x69\x56\xCA\x88\x35\2\0\0xpt\0\x40");
    send_all(fd, secret, 64);
    SEND(fd, "t\0\0053.5.7");
}

static void send_app_id(int fd)
{
    SEND(fd, "sr\0\x33" P "SetAppId\x17\x86\xD3\xA1\x35\x82\x7E\x48\2\0\1"
             "L\0\5appIdq\0\x7E\0\1xq\0\x7E\0\2t\0\5app-1");
}

static void send_running(int fd)
{
    SEND(fd, "sr\0\x33" P "SetState\xEF\x75\x1F\xF3\x9F\xE4\xC9\x88\2\0\1"
             "L\0\5statet\0\x30Lorg/apache/spark/launcher/SparkAppHandle$State;xq\0\x7E\0\2"
             "~r\0\x2Eorg.apache.spark.launcher.SparkAppHandle$State\0\0\0\0\0\0\0\0\x12\0\0x"
             "r\0\x0Ejava.lang.Enum\0\0\0\0\0\0\0\0\x12\0\0xpt\0\7RUNNING");
}

static void send_finished(int fd)
{
    SEND(fd, "sq\0\x7E\0\x09~q\0\x7E\0\x0Ct\0\10FINISHED");
}

/* Reads until the peer closes or n bytes are there; returns how many. */
static size_t receive(int fd, char *into, size_t n)
{
    size_t have = 0;
    ssize_t k;
    while (have < n && (k = recv(fd, into + have, n - have, 0)) > 0)
        have += (size_t)k;
    return have;
}

/* As a JVM does: with everything read. A connection closed with unread bytes is reset, and what was sent
 * last may be lost. */
static void hang_up(int fd)
{
    char header[4];
    assert_int_equal(receive(fd, header, sizeof header), sizeof header);
    (void)close(fd);
}

static bool told(const char *words)
{
    return strstr(buf_cstr(&rig.told), words) != NULL;
}

static bool is_running(void)
{
    return told("STATE(RUNNING)");
}

static bool is_stopped(void)
{
    return told("STOP_SENT");
}

static bool is_closed(void)
{
    return told("CLOSED");
}

static void let_it_go(void)
{
    write_file("go", "", 0600);
    rig_follow_to_end();
    assert_int_equal(rig_wait_guard(), 0);
}

static void what_the_driver_says_is_told_in_order(void **state)
{
    (void)state;
    struct link_address a = start_talking();
    int fd = connect_link(a.port);
    send_hello(fd, a.secret);
    send_app_id(fd);
    send_running(fd);
    rig_until(is_running);
    send_finished(fd);
    hang_up(fd);
    write_file("go", "", 0600); /* the last state and the end at the same time: nothing is missed */
    rig_follow_to_end();
    assert_string_equal(buf_cstr(&rig.told),
                        "STARTED HELLO(3.5.7) APP_ID(app-1) STATE(RUNNING) STATE(FINISHED) "
                        "CLOSED EXIT");
    assert_int_equal(rig_wait_guard(), 0);
}

static void stop_is_sent_once_on_each_connection(void **state)
{
    (void)state;
    struct link_address a = start_talking();
    char bytes[400];
    int fd = connect_link(a.port);
    send_hello(fd, a.secret);
    send_running(fd);
    rig_until(is_running);
    follow_stop(rig.follower);
    follow_stop(rig.follower);
    rig_until(is_stopped);
    assert_int_equal(receive(fd, bytes, 4 + 125), 4 + 125);
    assert_memory_equal(bytes, "\xac\xed\0\5sr\0\x2F" P "Stop", 4 + 4 + 47);
    (void)close(fd);
    rig_until(is_closed);
    let_it_go();
}

static bool is_second_closed(void)
{
    const char *first = strstr(buf_cstr(&rig.told), "CLOSED");
    return first != NULL && strstr(first + 1, "CLOSED") != NULL;
}

static void several_contexts_may_follow_each_other(void **state)
{
    (void)state;
    struct link_address a = start_talking();
    for (int i = 0; i < 2; i++) {
        int fd = connect_link(a.port);
        send_hello(fd, a.secret);
        send_app_id(fd);
        hang_up(fd);
    }
    rig_until(is_second_closed);
    let_it_go();
}

static void strangers_are_cut_off(void **state)
{
    (void)state;
    struct link_address a = start_talking();
    char bytes[64];
    int fd = connect_link(a.port);
    send_hello(fd, "0000000000000000000000000000000000000000000000000000000000000000");
    assert_int_equal(receive(fd, bytes, sizeof bytes), 4); /* the header and the end */
    (void)close(fd);
    fd = connect_link(a.port);
    send_app_id(fd);
    (void)receive(fd, bytes, sizeof bytes);
    (void)close(fd);
    fd = connect_link(a.port);
    SEND(fd, "GET / HTTP/1.1\r\n\r\n");
    (void)receive(fd, bytes, sizeof bytes);
    (void)close(fd);
    let_it_go();
    assert_string_equal(buf_cstr(&rig.told), "STARTED EXIT");
}

static void many_silent_connections_do_not_keep_the_driver_out(void **state)
{
    (void)state;
    struct link_address a = start_talking();
    int silent[100];
    for (int i = 0; i < 100; i++)
        silent[i] = connect_link(a.port);
    int fd = connect_link(a.port);
    send_hello(fd, a.secret);
    send_running(fd);
    rig_until(is_running);
    for (int i = 0; i < 100; i++)
        (void)close(silent[i]);
    (void)close(fd);
    let_it_go();
}

/* --- followers ---------------------------------------------------------------------------------- */

static int connect_socket(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%.80s/guard.sock", rig.dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void the_socket_answers_and_is_for_its_user_only(void **state)
{
    (void)state;
    (void)start_talking();
    struct stat st;
    char path[300];
    char answer[200] = {0};
    (void)snprintf(path, sizeof path, "%s/guard.sock", rig.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    int fd = connect_socket();
    SEND(fd, "ping\nsing\n");
    rig_until(has_started);
    static const char expected[] =
        "{\"event\":\"pong\"}\n{\"event\":\"error\",\"error\":\"known are: follow FROM, "
        "stop, signal N, ping\"}\n";
    assert_int_equal(receive(fd, answer, sizeof expected - 1), sizeof expected - 1);
    assert_string_equal(answer, expected);
    (void)close(fd);
    let_it_go();
}

static void followers_that_never_read_do_not_hold_the_guard(void **state)
{
    (void)state;
    (void)start_talking();
    int fds[10];
    for (int i = 0; i < 10; i++) {
        fds[i] = connect_socket();
        SEND(fds[i], "follow 1\n");
    }
    let_it_go();
    for (int i = 0; i < 10; i++)
        (void)close(fds[i]);
}

static void a_client_that_sends_nonsense_without_end_is_dropped(void **state)
{
    (void)state;
    (void)start_talking();
    static char nonsense[4096];
    memset(nonsense, 'x', sizeof nonsense);
    int fd = connect_socket();
    send_all(fd, nonsense, sizeof nonsense);
    assert_int_equal(receive(fd, nonsense, sizeof nonsense), 0);
    (void)close(fd);
    let_it_go();
}

/* --- much output, little memory ----------------------------------------------------------------- */

static bool count_line(const struct output_line *line, void *arg)
{
    (void)line;
    ++*(uint64_t *)arg;
    return true;
}

static void a_flood_of_output_arrives_whole(void **state)
{
    (void)state;
    rig_launch("yes 0123456789 | head -n 2000000", 64 << 20, 0);
    rig_start_at(NULL);
    rig_follow_to_end();
    assert_int_equal(rig_wait_guard(), 0);
    uint64_t lines = 0;
    uint64_t total = 0;
    assert_int_equal(output_read(rig.dir, OUTPUT_MERGED, 0, UINT64_MAX, count_line, &lines, &total, NULL),
                     ERR_OK);
    assert_int_equal(total, 2000000);
    assert_int_equal(lines, 2000000);
}

static void a_driver_beyond_its_memory_limit_is_known_to_have_died_of_it(void **state)
{
    (void)state;
    rig_launch("head -c 300000000 /dev/zero | tail -c 299999999 | wc -c; exit 1", 1 << 20, 64 << 20);
    rig_start_at(NULL);
    rig_follow_to_end();
    assert_int_equal(rig_wait_guard(), 0);
    struct buf events = BUF(1 << 20);
    rig_read("events", &events);
    bool no_groups = strstr(buf_cstr(&events), "\"limit\"") != NULL;
    buf_clear(&events); /* skip() jumps out of here */
    if (no_groups)
        skip();
    assert_true(rig.last.oom_killed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(output_and_exit_code_are_kept),
        IN_RIG(the_driver_gets_its_environment_and_nothing_of_the_guard),
        IN_RIG(a_signal_that_ended_it_is_told),
        IN_RIG(a_program_that_does_not_exist_is_refused),
        IN_RIG(a_program_that_the_kernel_refuses_is_refused_after_all),
        IN_RIG(a_launch_description_that_is_none_is_refused),
        IN_RIG(a_second_guard_starts_nothing),
        IN_RIG(a_term_to_the_guard_is_meant_for_the_driver),
        IN_RIG(grandchildren_are_ended_with_it),
        IN_RIG(one_that_ignores_term_is_killed),
        IN_RIG(killed_before_the_fork_nothing_happened),
        IN_RIG(killed_between_fork_and_record_the_child_ends_and_the_next_guard_starts_it),
        IN_RIG(killed_after_the_record_it_is_never_started_again),
        IN_RIG(killed_before_the_exit_record_the_driver_is_lost),
        IN_RIG(killed_after_the_exit_record_nothing_is_missing),
        IN_RIG(what_the_driver_says_is_told_in_order),
        IN_RIG(stop_is_sent_once_on_each_connection),
        IN_RIG(several_contexts_may_follow_each_other),
        IN_RIG(strangers_are_cut_off),
        IN_RIG(many_silent_connections_do_not_keep_the_driver_out),
        IN_RIG(the_socket_answers_and_is_for_its_user_only),
        IN_RIG(followers_that_never_read_do_not_hold_the_guard),
        IN_RIG(a_client_that_sends_nonsense_without_end_is_dropped),
        IN_RIG(a_flood_of_output_arrives_whole),
        IN_RIG(a_driver_beyond_its_memory_limit_is_known_to_have_died_of_it),
    };
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* drivers without a guard come to the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
