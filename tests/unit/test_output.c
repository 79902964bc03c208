/* A driver's output: every line keeps its number and its place, whatever happens to writer and disk. */
#include "guard/output.h"

#include "base/io.h"
#include "base/mem.h"
#include "guard/output_index.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_CAP (UINT64_C(1) << 40)

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/hearth-output-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return io_remove_tree(dir, NULL) == ERR_OK ? 0 : -1;
}

static struct output_writer *open_writer(uint64_t cap)
{
    struct output_writer *w = NULL;
    struct err err;
    if (output_writer_open(dir, cap, &w, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    return w;
}

static void out(struct output_writer *w, const char *text)
{
    output_write(w, OUTPUT_STDOUT, text, strlen(text));
}

static void error(struct output_writer *w, const char *text)
{
    output_write(w, OUTPUT_STDERR, text, strlen(text));
}

/* Lines as "number:stream:text", an incomplete one with "~" behind it, joined by blanks. */
static bool add_line(const struct output_line *line, void *arg)
{
    buf_printf(arg, "%s%llu:%s:%.*s%s", ((struct buf *)arg)->len > 0 ? " " : "",
               (unsigned long long)line->number, line->stream == OUTPUT_STDOUT ? "o" : "e", (int)line->len,
               line->text, line->complete ? "" : "~");
    return true;
}

static void expect_range(enum output_select select, uint64_t first, uint64_t count, const char *lines,
                         uint64_t total)
{
    cleanup(buf_clear) struct buf got = BUF(1 << 20);
    struct err err;
    uint64_t n = UINT64_MAX;
    if (output_read(dir, select, first, count, add_line, &got, &n, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_cstr(&got), lines);
    assert_int_equal(n, total);
}

static void expect_tail(enum output_select select, uint64_t count, const char *lines)
{
    cleanup(buf_clear) struct buf got = BUF(1 << 20);
    uint64_t n = 0;
    assert_int_equal(output_read_tail(dir, select, count, add_line, &got, &n, NULL), ERR_OK);
    assert_string_equal(buf_cstr(&got), lines);
}

/* --- order and numbers -------------------------------------------------------------------------- */

static void lines_come_in_the_order_in_which_they_began(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(NO_CAP);
    out(w, "a\nb\n");
    error(w, "c\n");
    out(w, "par");
    error(w, "d\n");
    out(w, "tial\ne\n");
    expect_range(OUTPUT_MERGED, 0, UINT64_MAX, "0:o:a 1:o:b 2:e:c 3:o:partial 4:e:d 5:o:e", 6);
    expect_range(OUTPUT_ONLY_STDOUT, 0, UINT64_MAX, "0:o:a 1:o:b 2:o:partial 3:o:e", 4);
    expect_range(OUTPUT_ONLY_STDERR, 0, UINT64_MAX, "0:e:c 1:e:d", 2);
    expect_range(OUTPUT_MERGED, 2, 2, "2:e:c 3:o:partial", 6);
    expect_range(OUTPUT_ONLY_STDOUT, 3, 9, "3:o:e", 4);
    expect_range(OUTPUT_MERGED, 6, 5, "", 6);
    expect_tail(OUTPUT_MERGED, 2, "4:e:d 5:o:e");
    expect_tail(OUTPUT_ONLY_STDERR, 100, "0:e:c 1:e:d");
    output_writer_close(w);
}

static void an_open_line_is_readable_at_once(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(NO_CAP);
    out(w, "done\n");
    error(w, "[Stage 0:>  ]\r[Stage 0:=> ]");
    expect_range(OUTPUT_MERGED, 0, 9, "0:o:done 1:e:[Stage 0:>  ]\r[Stage 0:=> ]~", 2);
    out(w, "more");
    expect_range(OUTPUT_MERGED, 1, 9, "1:e:[Stage 0:>  ]\r[Stage 0:=> ]~ 2:o:more~", 3);
    error(w, "\n\nx");
    expect_range(OUTPUT_MERGED, 1, 9, "1:e:[Stage 0:>  ]\r[Stage 0:=> ] 2:o:more~ 3:e: 4:e:x~", 5);
    output_writer_close(w);
}

static void no_output_is_no_lines(void **state)
{
    (void)state;
    expect_range(OUTPUT_MERGED, 0, 10, "", 0);
    struct output_writer *w = open_writer(NO_CAP);
    expect_range(OUTPUT_ONLY_STDERR, 0, 10, "", 0);
    output_writer_close(w);
    uint64_t total = 1;
    assert_int_equal(output_read("/nowhere/at/all", OUTPUT_MERGED, 0, 1, add_line, NULL, &total, NULL),
                     ERR_OK);
    assert_int_equal(total, 0);
}

static bool stop_at_two(const struct output_line *line, void *arg)
{
    (void)line;
    return ++*(int *)arg < 2;
}

static void a_reader_may_stop(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(NO_CAP);
    out(w, "a\nb\nc\nd\n");
    output_writer_close(w);
    int n = 0;
    uint64_t total = 0;
    assert_int_equal(output_read(dir, OUTPUT_MERGED, 0, 10, stop_at_two, &n, &total, NULL), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(total, 4);
}

static bool check_cut(const struct output_line *line, void *arg)
{
    (void)arg;
    assert_int_equal(line->len, line->number == 0 ? 1024 * 1024 : 1);
    assert_true(line->complete);
    return true;
}

static void a_line_beyond_a_mebibyte_arrives_cut(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(NO_CAP);
    static char piece[100 * 1024];
    memset(piece, 'x', sizeof piece);
    for (int i = 0; i < 20; i++)
        output_write(w, OUTPUT_STDOUT, piece, sizeof piece);
    out(w, "\ny\n");
    uint64_t total = 0;
    assert_int_equal(output_read(dir, OUTPUT_MERGED, 0, 10, check_cut, NULL, &total, NULL), ERR_OK);
    assert_int_equal(total, 2);
    output_writer_close(w);
}

static void counts_are_of_lines_begun_and_bytes_received(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(NO_CAP);
    uint64_t lines;
    uint64_t bytes;
    out(w, "a\nb");
    error(w, "c");
    output_writer_counts(w, &lines, &bytes);
    assert_int_equal(lines, 3);
    assert_int_equal(bytes, 4);
    output_writer_close(w);
}

/* --- a model: lines that say their own number --------------------------------------------------- */

/* Each line's text is "<merged number> <number in its stream>", padded now and then. */
struct author {
    struct output_writer *w;
    unsigned random;
    uint64_t merged;
    uint64_t each[OUTPUT_STREAMS];
    char open[OUTPUT_STREAMS][200]; /* what is left of an open line */
};

static unsigned next_random(struct author *a)
{
    a->random = a->random * 1103515245 + 12345;
    return a->random >> 16;
}

static void write_something(struct author *a)
{
    int s = next_random(a) % 5 == 0;
    char *rest = a->open[s];
    if (rest[0] == '\0') {
        static const char padding[] =
            "........................................................................";
        int n = next_random(a) % 7 == 0 ? (int)(next_random(a) % 70) : 0;
        (void)snprintf(rest, sizeof a->open[s], "%llu %llu %.*s\n", (unsigned long long)a->merged++,
                       (unsigned long long)a->each[s]++, n, padding);
    }
    size_t len = strlen(rest);
    size_t n = next_random(a) % 8 == 0 ? 1 + next_random(a) % len : len;
    output_write(a->w, s, rest, n);
    memmove(rest, rest + n, len - n + 1);
}

struct check {
    enum output_select select;
    uint64_t next; /* number expected; UINT64_MAX: any */
    uint64_t seen;
    bool saw_marker;
};

static bool check_line(const struct output_line *line, void *arg)
{
    struct check *c = arg;
    unsigned long long merged = 0;
    unsigned long long each = 0;
    if (strncmp(line->text, "[hearth: the first", 18) == 0) {
        assert_int_equal(c->seen, 0);
        c->saw_marker = true;
        c->next = line->number;
    } else if (line->complete) {
        char text[300];
        (void)snprintf(text, sizeof text, "%.*s", (int)line->len, line->text);
        assert_int_equal(sscanf(text, "%llu %llu", &merged, &each), 2);
        assert_int_equal(line->number, c->select == OUTPUT_MERGED ? merged : each);
    }
    if (c->next != UINT64_MAX)
        assert_int_equal(line->number, c->next);
    c->next = line->number + 1;
    c->seen++;
    return true;
}

/* Reads a range and checks that each line says its number; returns the total. */
static uint64_t check_range(enum output_select select, uint64_t first, uint64_t count)
{
    struct check c = {.select = select, .next = UINT64_MAX};
    uint64_t total = 0;
    assert_int_equal(output_read(dir, select, first, count, check_line, &c, &total, NULL), ERR_OK);
    if (!c.saw_marker && first < total)
        assert_int_equal(c.seen, count < total - first ? count : total - first);
    return total;
}

static uint64_t size_in_dir(const char *name)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t size_of_log(void)
{
    return size_in_dir("stdout.log") + size_in_dir("stderr.log") + size_in_dir("lines.idx") +
           size_in_dir("stdout.log.1") + size_in_dir("stderr.log.1") + size_in_dir("lines.idx.1");
}

static void every_line_keeps_its_number(void **state)
{
    (void)state;
    struct author a = {.w = open_writer(NO_CAP), .random = 1};
    for (int i = 0; i < 20000; i++) {
        write_something(&a);
        if (i % 200 == 0)
            assert_int_equal(check_range(OUTPUT_MERGED, next_random(&a) % (a.merged + 1), 50), a.merged);
    }
    for (uint64_t first = 0; first < a.merged; first += 61) {
        (void)check_range(OUTPUT_MERGED, first, 61);
        (void)check_range(OUTPUT_ONLY_STDOUT, first, 61);
        (void)check_range(OUTPUT_ONLY_STDERR, first, 61);
    }
    assert_int_equal(check_range(OUTPUT_MERGED, 0, UINT64_MAX), a.merged);
    assert_int_equal(check_range(OUTPUT_ONLY_STDOUT, 0, UINT64_MAX), a.each[0]);
    assert_int_equal(check_range(OUTPUT_ONLY_STDERR, 0, UINT64_MAX), a.each[1]);
    output_writer_close(a.w);
}

static void the_cap_drops_the_oldest_lines_and_numbers_stay(void **state)
{
    (void)state;
    enum { CAP = 64 * 1024 };
    struct author a = {.w = open_writer(CAP), .random = 7};
    for (int i = 0; i < 60000; i++) {
        write_something(&a);
        if (i % 500 != 0)
            continue;
        assert_true(size_of_log() <= CAP + 1024);
        assert_int_equal(check_range(OUTPUT_MERGED, 0, UINT64_MAX), a.merged);
        (void)check_range(OUTPUT_ONLY_STDERR, 0, UINT64_MAX);
        (void)check_range(OUTPUT_MERGED, a.merged - a.merged / 50, 100);
    }
    assert_true(size_of_log() > CAP / 3);
    output_writer_close(a.w);
}

static void a_long_run_of_one_stream_is_found_quickly(void **state)
{
    (void)state;
    struct author a = {.w = open_writer(NO_CAP), .random = 3};
    for (int i = 0; i < 3000; i++) {
        char line[40];
        int n = snprintf(line, sizeof line, "%d %d\n", i, i);
        output_write(a.w, OUTPUT_STDOUT, line, (size_t)n);
    }
    assert_int_equal(size_in_dir("lines.idx"), sizeof(struct output_index_header) + 12 * 16);
    assert_int_equal(check_range(OUTPUT_MERGED, 2999, 1), 3000);
    assert_int_equal(check_range(OUTPUT_ONLY_STDOUT, 255, 3), 3000);
    output_writer_close(a.w);
}

static void the_marker_names_what_was_dropped_and_the_setting(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(1000); /* two parts of 500 bytes */
    for (int i = 0; i < 100; i++)
        out(w, "0123456789012345678\n");
    cleanup(buf_clear) struct buf got = BUF(4096);
    uint64_t total;
    assert_int_equal(output_read(dir, OUTPUT_MERGED, 0, 10, add_line, &got, &total, NULL), ERR_OK);
    assert_int_equal(total, 100);
    unsigned long long number = 0;
    unsigned long long lines = 0;
    unsigned long long bytes = 0;
    assert_int_equal(
        sscanf(buf_cstr(&got), "%llu:e:[hearth: the first %llu lines (%llu bytes)", &number, &lines, &bytes),
        3);
    assert_int_equal(number, lines - 1);
    assert_int_equal(bytes, lines * 20);
    assert_non_null(strstr(got.data, "driver.log_size"));
    expect_range(OUTPUT_MERGED, 99, 1, "99:o:0123456789012345678", 100);
    output_writer_close(w);
}

static void a_line_open_during_rotation_is_finished_where_it_began(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(4000);
    error(w, "progress");
    for (int i = 0; i < 110; i++)
        out(w, "0123456789012345678\n");
    assert_true(size_in_dir("stderr.log.1") == 8);
    error(w, " done\nnext\n");
    assert_true(size_in_dir("stderr.log.1") == 14);
    expect_range(OUTPUT_ONLY_STDERR, 0, 9, "0:e:progress done 1:e:next", 2);
    expect_range(OUTPUT_MERGED, 0, 1, "0:e:progress done", 112);
    expect_tail(OUTPUT_MERGED, 1, "111:e:next");
    output_writer_close(w);
}

static void a_line_without_end_does_not_break_the_cap(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(40 * 1024);
    static char piece[1000];
    memset(piece, '=', sizeof piece);
    for (int i = 0; i < 1000; i++)
        output_write(w, OUTPUT_STDERR, piece, sizeof piece);
    assert_true(size_of_log() <= 60 * 1024);
    error(w, "\n");
    expect_tail(OUTPUT_ONLY_STDOUT, 1, "");
    output_writer_close(w);
}

/* --- disks that refuse -------------------------------------------------------------------------- */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit l;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void bytes_that_the_disk_refused_are_marked(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    struct output_writer *w = open_writer(NO_CAP);
    out(w, "before\n");
    limit_file_size(70); /* the header of the index fits, and a bit of output */
    for (int i = 0; i < 10; i++)
        out(w, "0123456789\n");
    limit_file_size(RLIM_INFINITY);
    out(w, "after\n");
    output_writer_close(w);
    cleanup(buf_clear) struct buf got = BUF(1 << 20);
    uint64_t total;
    assert_int_equal(output_read(dir, OUTPUT_MERGED, 0, 99, add_line, &got, &total, NULL), ERR_OK);
    assert_non_null(strstr(got.data, "0:o:before 1:o:0123456789 "));
    unsigned long long bytes = 0;
    unsigned long long lines = 0;
    const char *marker = strstr(got.data, "[hearth: ");
    assert_non_null(marker);
    assert_int_equal(
        sscanf(marker, "[hearth: %llu bytes (%llu lines) of standard output are missing", &bytes, &lines), 2);
    assert_int_equal(bytes, 110 - (70 - 7));
    assert_int_equal(lines, 10 - (70 - 7) / 11);
    assert_non_null(strstr(got.data, ":o:after"));
}

static void an_index_that_could_not_be_written_keeps_the_order(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    struct output_writer *w = open_writer(NO_CAP);
    out(w, "a\n");
    limit_file_size(size_in_dir("lines.idx") + 10); /* half a record */
    error(w, "b\n");
    out(w, "lost\n");
    error(w, "lost\n");
    expect_range(OUTPUT_MERGED, 0, 9, "0:o:a 1:e:b", 2);
    limit_file_size(RLIM_INFINITY);
    out(w, "c\n");
    error(w, "d\n");
    expect_range(OUTPUT_MERGED, 0, 2, "0:o:a 1:e:b", 6);
    expect_tail(OUTPUT_MERGED, 2, "4:o:c 5:e:d");
    output_writer_close(w);
}

static void output_that_never_reached_the_disk_is_marked(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(NO_CAP);
    out(w, "half a li");
    output_write_missing(w, OUTPUT_STDOUT, 5000, 40);
    out(w, "go on\n");
    expect_range(OUTPUT_MERGED, 0, 9,
                 "0:o:half a li 1:o:[hearth: 5000 bytes (40 lines) of standard output are missing here: the "
                 "disk was too slow for the driver's output] 2:o:go on",
                 3);
    output_writer_close(w);
}

/* --- damage ------------------------------------------------------------------------------------- */

static void truncate_in_dir(const char *name, uint64_t size)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(truncate(path, (off_t)size), 0);
}

static void an_index_cut_anywhere_loses_no_line(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(NO_CAP);
    for (int i = 0; i < 5; i++) {
        out(w, "o\n");
        error(w, "e\n");
    }
    output_writer_close(w);
    for (uint64_t size = size_in_dir("lines.idx"); size-- > sizeof(struct output_index_header);) {
        cleanup(buf_clear) struct buf got = BUF(1 << 20);
        uint64_t total;
        truncate_in_dir("lines.idx", size);
        assert_int_equal(output_read(dir, OUTPUT_MERGED, 0, 99, add_line, &got, &total, NULL), ERR_OK);
        assert_int_equal(total, 10);
    }
}

static void a_damaged_index_still_shows_the_output(void **state)
{
    (void)state;
    struct output_writer *w = open_writer(NO_CAP);
    out(w, "a\n");
    error(w, "b\n");
    out(w, "c\n");
    output_writer_close(w);
    truncate_in_dir("lines.idx", 5);
    expect_range(OUTPUT_MERGED, 0, 9, "0:o:a 1:o:c 2:e:b", 3);
}

static void data_cut_anywhere_is_read_without_it(void **state)
{
    (void)state;
    struct author a = {.w = open_writer(NO_CAP), .random = 5};
    for (int i = 0; i < 100; i++)
        write_something(&a);
    output_writer_close(a.w);
    for (uint64_t size = size_in_dir("stdout.log"); size-- > 0;) {
        struct check c = {.select = OUTPUT_MERGED, .next = 0};
        uint64_t total;
        truncate_in_dir("stdout.log", size);
        assert_int_equal(output_read(dir, OUTPUT_MERGED, 0, UINT64_MAX, check_line, &c, &total, NULL),
                         ERR_OK);
        assert_int_equal(c.seen, total);
    }
}

static void a_copied_folder_reads_the_same(void **state)
{
    (void)state;
    struct author a = {.w = open_writer(64 * 1024), .random = 11};
    for (int i = 0; i < 5000; i++)
        write_something(&a);
    output_writer_close(a.w);
    char command[256];
    (void)snprintf(command, sizeof command, "cd %s && for f in *; do cp $f x && mv x $f; done", dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(check_range(OUTPUT_MERGED, 0, UINT64_MAX), a.merged);
}

/* --- writer and readers at the same time -------------------------------------------------------- */

static void write_until_killed(unsigned random)
{
    struct author a = {.random = random};
    if (output_writer_open(dir, 20000, &a.w, NULL) != ERR_OK)
        _exit(1);
    for (;;)
        write_something(&a);
}

static void a_writer_killed_at_any_moment_leaves_a_whole_log(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            write_until_killed(i);
        while (size_of_log() < 100 + i * 600 % 15000)
            (void)sched_yield();
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        uint64_t total = check_range(OUTPUT_MERGED, 0, UINT64_MAX);
        assert_int_equal(check_range(OUTPUT_ONLY_STDOUT, 0, UINT64_MAX) +
                             check_range(OUTPUT_ONLY_STDERR, 0, UINT64_MAX),
                         total);
    }
}

static atomic_bool writer_is_done;

static void *write_much(void *arg)
{
    struct author *a = arg;
    for (int i = 0; i < 150000; i++)
        write_something(a);
    atomic_store(&writer_is_done, true);
    return NULL;
}

static void readers_beside_a_writer_see_every_number_once(void **state)
{
    (void)state;
    struct author a = {.w = open_writer(100 * 1024), .random = 13};
    pthread_t thread;
    atomic_store(&writer_is_done, false);
    assert_int_equal(pthread_create(&thread, NULL, write_much, &a), 0);
    uint64_t last = 0;
    while (!atomic_load(&writer_is_done)) {
        uint64_t total = check_range(OUTPUT_MERGED, last, UINT64_MAX);
        assert_true(total >= last);
        last = total;
        struct check c = {.select = OUTPUT_ONLY_STDERR, .next = UINT64_MAX};
        assert_int_equal(output_read_tail(dir, OUTPUT_ONLY_STDERR, 20, check_line, &c, &total, NULL), ERR_OK);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(check_range(OUTPUT_MERGED, last, UINT64_MAX), a.merged);
    output_writer_close(a.w);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        struct output_writer *w = NULL;
        uint64_t total;
        struct buf got = BUF(4096);
        mem_fail_at(n);
        rc = output_writer_open(dir, NO_CAP, &w, NULL);
        if (rc == ERR_OK) {
            out(w, "a\nb\n");
            rc = output_read(dir, OUTPUT_MERGED, 0, 9, add_line, &got, &total, NULL);
        }
        mem_fail_at(0);
        output_writer_close(w);
        buf_clear(&got);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(lines_come_in_the_order_in_which_they_began),
        IN_DIR(an_open_line_is_readable_at_once),
        IN_DIR(no_output_is_no_lines),
        IN_DIR(a_reader_may_stop),
        IN_DIR(a_line_beyond_a_mebibyte_arrives_cut),
        IN_DIR(counts_are_of_lines_begun_and_bytes_received),
        IN_DIR(every_line_keeps_its_number),
        IN_DIR(the_cap_drops_the_oldest_lines_and_numbers_stay),
        IN_DIR(a_long_run_of_one_stream_is_found_quickly),
        IN_DIR(the_marker_names_what_was_dropped_and_the_setting),
        IN_DIR(a_line_open_during_rotation_is_finished_where_it_began),
        IN_DIR(a_line_without_end_does_not_break_the_cap),
        IN_DIR(bytes_that_the_disk_refused_are_marked),
        IN_DIR(an_index_that_could_not_be_written_keeps_the_order),
        IN_DIR(output_that_never_reached_the_disk_is_marked),
        IN_DIR(an_index_cut_anywhere_loses_no_line),
        IN_DIR(a_damaged_index_still_shows_the_output),
        IN_DIR(data_cut_anywhere_is_read_without_it),
        IN_DIR(a_copied_folder_reads_the_same),
        IN_DIR(a_writer_killed_at_any_moment_leaves_a_whole_log),
        IN_DIR(readers_beside_a_writer_see_every_number_once),
        IN_DIR(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
