/* err, buf, strs, parse, clock, io, fsm, nearest: the small parts that everything stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fsm.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/parse.h"
#include "base/strs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    io_fail_at(0, 0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- err ---- */

static void an_error_reads_from_the_outside_in(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, ERR_NOT_FOUND, "no row %d", 7), ERR_NOT_FOUND);
    assert_int_equal(err_wrap(&err, "loading %s", "etl"), ERR_NOT_FOUND);
    assert_string_equal(err.msg, "loading etl: no row 7");
    assert_int_equal(err_sys(&err, ENOSPC, "writing %s", "x"), ERR_IO);
    assert_string_equal(err.msg, "writing x: No space left on device");
}

static void an_error_nobody_reads_still_has_its_code(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_BUSY, "x"), ERR_BUSY);
    assert_int_equal(err_sys(NULL, EPERM, "x"), ERR_IO);
}

static void a_long_message_is_cut_and_ended(void **state)
{
    (void)state;
    struct err err;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)err_set(&err, ERR_INVALID, "%s", text);
    (void)err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
}

static void codes_have_a_status_and_words(void **state)
{
    (void)state;
    assert_int_equal(err_http_status(ERR_OK), 200);
    assert_int_equal(err_http_status(ERR_MISMATCH), 422);
    assert_string_equal(err_text(ERR_NOMEM), "out of memory");
}

/* ---- buf ---- */

static void a_buffer_grows_to_its_limit_and_no_further(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf b = BUF(100);
    struct err err;
    assert_string_equal(buf_cstr(&b), "");
    for (int i = 0; i < 100; i++)
        buf_char(&b, 'x');
    assert_int_equal(buf_check(&b, &err), ERR_OK);
    buf_char(&b, 'y');
    assert_int_equal(buf_check(&b, &err), ERR_TOO_LARGE);
    assert_string_equal(err.msg, "larger than 100 bytes");
    assert_int_equal(b.len, 100);
    assert_null(buf_steal(&b));
}

static void a_failed_buffer_stays_failed_until_it_is_reset(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf b = BUF(4);
    buf_str(&b, "12345");
    buf_str(&b, "1");
    assert_int_equal(b.len, 0);
    assert_int_equal(buf_check(&b, NULL), ERR_TOO_LARGE);
    buf_reset(&b);
    buf_printf(&b, "%d", 1234);
    assert_int_equal(buf_check(&b, NULL), ERR_OK);
    assert_string_equal(buf_cstr(&b), "1234");
    buf_drop(&b, 3);
    assert_string_equal(buf_cstr(&b), "4");
    buf_drop(&b, 30);
    assert_string_equal(buf_cstr(&b), "");
}

static void a_stolen_text_belongs_to_the_thief(void **state)
{
    (void)state;
    struct buf b = BUF(100);
    buf_str(&b, "text");
    cleanup(mem_freep) char *text = buf_steal(&b);
    assert_string_equal(text, "text");
    assert_int_equal(b.len, 0);
    cleanup(mem_freep) char *nothing = buf_steal(&b);
    assert_string_equal(nothing, "");
}

static void a_buffer_survives_a_failing_allocation(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf b = BUF(10000);
    buf_str(&b, "kept");
    mem_fail_at(1);
    for (int i = 0; i < 100; i++)
        buf_str(&b, "0123456789");
    assert_int_equal(buf_check(&b, NULL), ERR_NOMEM);
    assert_int_equal(strncmp(b.data, "kept", 4), 0);
}

/* ---- strs ---- */

static void a_list_splits_and_joins(void **state)
{
    (void)state;
    struct strlist l = {0};
    struct strlist copy = {0};
    assert_int_equal(strlist_split(&l, ", a,b ,,c,", ", "), 0);
    assert_int_equal(l.n, 3);
    assert_null(l.items[3]);
    assert_true(strlist_has(&l, "b"));
    assert_false(strlist_has(&l, "d"));
    assert_int_equal(strlist_copy(&copy, &l), 0);
    assert_int_equal(strlist_addf(&copy, "%s%d", "d", 4), 0);
    cleanup(mem_freep) char *joined = strlist_join(&copy, "+");
    assert_string_equal(joined, "a+b+c+d4");
    strlist_clear(&l);
    strlist_clear(&copy);
}

static void a_map_keeps_the_order_of_first_insertion(void **state)
{
    (void)state;
    struct strmap m = {0};
    struct strmap copy = {0};
    assert_int_equal(strmap_set(&m, "b", "1"), 0);
    assert_int_equal(strmap_set(&m, "a", "2"), 0);
    assert_int_equal(strmap_set(&m, "b", "3"), 0);
    assert_int_equal(m.n, 2);
    assert_string_equal(m.items[0].key, "b");
    assert_string_equal(strmap_get(&m, "b"), "3");
    assert_null(strmap_get(&m, "c"));
    assert_int_equal(strmap_copy(&copy, &m), 0);
    strmap_remove(&m, "b");
    strmap_remove(&m, "nobody");
    assert_int_equal(m.n, 1);
    assert_string_equal(m.items[0].key, "a");
    assert_string_equal(strmap_get(&copy, "b"), "3");
    strmap_clear(&m);
    strmap_clear(&copy);
}

static int fill(struct strlist *l, struct strmap *m)
{
    for (int i = 0; i < 20; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        if (strlist_add(l, key) != 0 || strmap_set(m, key, key) != 0 || strmap_set(m, "same", key) != 0)
            return -1;
    }
    struct strlist list_copy = {0};
    struct strmap map_copy = {0};
    int rc = strlist_copy(&list_copy, l) == 0 && strmap_copy(&map_copy, m) == 0 ? 0 : -1;
    strlist_clear(&list_copy);
    strmap_clear(&map_copy);
    return rc;
}

static void lists_and_maps_survive_every_failing_allocation(void **state)
{
    (void)state;
    int rc = -1;
    for (long n = 1; rc != 0; n++) {
        struct strlist l = {0};
        struct strmap m = {0};
        mem_fail_at(n);
        rc = fill(&l, &m);
        mem_fail_at(0);
        strlist_clear(&l);
        strmap_clear(&m);
        assert_int_equal(mem_live(), 0);
    }
}

static void strings_answer_plain_questions(void **state)
{
    (void)state;
    assert_true(str_starts("spark.master", "spark."));
    assert_false(str_starts("sp", "spark."));
    assert_true(str_ends("app.py", ".py"));
    assert_false(str_ends("py", ".py"));
    assert_true(str_blank(NULL));
    assert_true(str_blank(" \t\n"));
    assert_false(str_blank(" x"));
}

/* ---- parse ---- */

static void whole_numbers_are_read_within_their_range(void **state)
{
    (void)state;
    int64_t n = 5;
    struct err err;
    assert_int_equal(parse_i64("-12", -100, 100, &n, &err), ERR_OK);
    assert_int_equal(n, -12);
    static const char *const bad[] = {"", " 1", "1 ", "1.5", "0x1", "-", "101", "99999999999999999999", "x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_i64(bad[i], -100, 100, &n, &err), ERR_INVALID);
    assert_int_equal(n, -12);
    assert_string_equal(err.msg, "'x' is not a whole number from -100 to 100");
}

static void sizes_are_read_as_spark_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t unit, bytes;
    } good[] = {
        {"0", 1, 0},
        {"512", 1, 512},
        {"512", 1 << 20, 512ULL << 20},
        {"1k", 1, 1024},
        {"2g", 1, 2ULL << 30},
        {"2GB", 1, 2ULL << 30},
        {"3Mb", 1, 3 << 20},
        {"10b", 1 << 20, 10},
        {"1T", 1, 1ULL << 40},
        {"1pb", 1, 1ULL << 50},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t bytes = 1;
        assert_int_equal(parse_size(good[i].text, good[i].unit, &bytes, NULL), ERR_OK);
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {
        "", "g", "1.5g", "-1g", "1gg", "1bb", "1 g", "1gx", "12 parsecs", "9000000p", "9223372036854775808"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t bytes = 77;
        assert_int_equal(parse_size(bad[i], 1, &bytes, NULL), ERR_INVALID);
        assert_int_equal(bytes, 77);
    }
}

static void durations_are_read_with_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},       {"15", 15},       {"15ms", 15},    {"1500us", 1},    {"2s", 2000},
                {"3m", 180000}, {"3MIN", 180000}, {"1h", 3600000}, {"2d", 172800000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = -1;
        assert_int_equal(parse_duration(good[i].text, &ms, NULL), ERR_OK);
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = {"", "s", "1.5s", "-1s", "1 s", "1w", "soon", "999999999999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 77;
        assert_int_equal(parse_duration(bad[i], &ms, NULL), ERR_INVALID);
        assert_int_equal(ms, 77);
    }
}

static void what_is_formatted_reads_back_the_same(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0,     1,       999,  1000,     1024,     60000,
                                      90000, 3600000, 1536, 86400000, INT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[PARSE_TEXT_MAX];
        uint64_t bytes = 1;
        int64_t ms = 1;
        parse_format_size((uint64_t)numbers[i], text);
        assert_int_equal(parse_size(text, 1, &bytes, NULL), ERR_OK);
        assert_int_equal(bytes, numbers[i]);
        parse_format_duration(numbers[i], text);
        assert_int_equal(parse_duration(text, &ms, NULL), ERR_OK);
        assert_int_equal(ms, numbers[i]);
    }
    char text[PARSE_TEXT_MAX];
    parse_format_size(2ULL << 30, text);
    assert_string_equal(text, "2g");
    parse_format_duration(90000, text);
    assert_string_equal(text, "90s");
}

/* ---- clock ---- */

static void moments_are_written_as_rfc_3339(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_MAX];
    clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_format(1795250645123, text);
    assert_string_equal(text, "2026-11-21T08:44:05.123Z");
    clock_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    clock_format(INT64_MAX, text);
    assert_int_equal(text[strlen(text) - 1], 'Z');
    assert_true(clock_mono_ms() <= clock_mono_ms());
}

/* ---- io ---- */

static int enter_folder(void **state)
{
    char *folder = strdup("/tmp/hearth-base-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    *state = folder;
    return 0;
}

static int leave_folder(void **state)
{
    io_fail_at(0, 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(io_remove_tree(*state, NULL), ERR_OK);
    assert_false(io_exists(*state));
    free(*state);
    return nothing_is_left(state);
}

static void assert_content(const char *path, const char *content)
{
    cleanup(buf_clear) struct buf b = BUF(100000);
    assert_int_equal(io_read_file(path, &b, NULL), ERR_OK);
    assert_string_equal(buf_cstr(&b), content);
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    struct err err;
    char big[40000];
    memset(big, 'x', sizeof big);
    assert_int_equal(io_replace_file("big", big, sizeof big, 0600, &err), ERR_OK);
    cleanup(buf_clear) struct buf b = BUF(sizeof big);
    assert_int_equal(io_read_file("big", &b, &err), ERR_OK);
    assert_int_equal(b.len, sizeof big);
    cleanup(buf_clear) struct buf small = BUF(sizeof big - 1);
    assert_int_equal(io_read_file("big", &small, &err), ERR_TOO_LARGE);
    assert_string_equal(err.msg, "reading big: larger than 39999 bytes");
    assert_int_equal(io_read_file("nobody", &b, &err), ERR_NOT_FOUND);
    assert_int_equal(io_read_file(".", &b, &err), ERR_IO);
}

static void a_replaced_file_is_the_old_or_the_new_one_when_the_disk_fails(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(io_replace_file("f", "old", 3, 0600, NULL), ERR_OK);
    enum err_code rc = ERR_IO;
    bool renamed = false; /* only the sync of the folder comes after that */
    for (long n = 1; rc == ERR_IO; n++) {
        io_fail_at(n, ENOSPC);
        rc = io_replace_file("f", "new", 3, 0600, NULL);
        io_fail_at(0, 0);
        assert_false(io_exists("f.new"));
        cleanup(buf_clear) struct buf b = BUF(100);
        assert_int_equal(io_read_file("f", &b, NULL), ERR_OK);
        assert_false(renamed && strcmp(buf_cstr(&b), "old") == 0);
        renamed = strcmp(buf_cstr(&b), "new") == 0;
    }
    assert_int_equal(rc, ERR_OK);
    assert_content("f", "new");
    assert_int_equal(stat("f", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_replaced_file_survives_every_failing_allocation(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        rc = io_replace_file("f", "x", 1, 0600, NULL);
        mem_fail_at(0);
        assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(rc, ERR_OK);
}

static void folders_are_made_with_those_above_them(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(io_make_dirs("a/b/c", 0700, &err), ERR_OK);
    assert_int_equal(io_make_dirs("a/b/c/", 0700, &err), ERR_OK);
    assert_true(io_is_dir("a/b/c"));
    assert_int_equal(io_make_dirs("", 0700, &err), ERR_INVALID);
    assert_int_equal(io_replace_file("file", "", 0, 0600, &err), ERR_OK);
    assert_int_equal(io_make_dirs("file", 0700, &err), ERR_IO);
    assert_int_equal(io_make_dirs("file/below", 0700, &err), ERR_IO);
    assert_false(io_is_dir("file"));
    for (long n = 1; n <= 3; n++) {
        io_fail_at(n, EROFS);
        assert_int_equal(io_make_dirs("x/y/z", 0700, &err), ERR_IO);
        io_fail_at(0, 0);
    }
    assert_non_null(strstr(err.msg, "x/y/z: Read-only file system"));
}

static void a_tree_is_removed_without_following_links(void **state)
{
    (void)state;
    assert_int_equal(io_make_dirs("keep", 0700, NULL), ERR_OK);
    assert_int_equal(io_replace_file("keep/file", "x", 1, 0600, NULL), ERR_OK);
    assert_int_equal(io_make_dirs("tree/below", 0700, NULL), ERR_OK);
    assert_int_equal(symlink("../keep", "tree/link"), 0);
    assert_int_equal(io_remove_tree("tree", NULL), ERR_OK);
    assert_false(io_exists("tree"));
    assert_content("keep/file", "x");
    assert_int_equal(io_remove_tree("tree", NULL), ERR_OK);
    io_fail_at(1, EIO);
    assert_int_equal(io_remove_tree("keep", NULL), ERR_IO);
}

static void a_lock_is_held_by_one(void **state)
{
    (void)state;
    struct err err;
    cleanup(io_closep) int fd = -1;
    int second = -1;
    assert_int_equal(io_lock_file("lock", &fd, &err), ERR_OK);
    assert_int_equal(io_lock_file("lock", &second, &err), ERR_CONFLICT);
    assert_string_equal(err.msg, "lock is locked by another process");
    assert_int_equal(second, -1);
    io_closep(&fd);
    assert_int_equal(io_lock_file("lock", &second, &err), ERR_OK);
    io_closep(&second);
    assert_int_equal(second, -1);
    io_fail_at(1, EMFILE);
    assert_int_equal(io_lock_file("lock", &second, &err), ERR_IO);
}

static void a_folder_is_synced_or_the_reason_told(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(io_sync_dir(".", &err), ERR_OK);
    assert_int_equal(io_sync_dir("nobody", &err), ERR_IO);
    assert_string_equal(err.msg, "syncing folder nobody: No such file or directory");
}

/* ---- fsm ---- */

enum { NEW, RUNNING, OVER, N_STATES };

static const struct fsm_state machine[N_STATES] = {
    [NEW] = {"new", FSM_TO(RUNNING) | FSM_TO(OVER)},
    [RUNNING] = {"running", FSM_TO(OVER)},
    [OVER] = {"over", 0},
};

static void a_machine_moves_only_along_its_table(void **state)
{
    (void)state;
    assert_true(fsm_may(machine, NEW, OVER));
    assert_false(fsm_may(machine, RUNNING, NEW));
    assert_true(fsm_is_end(machine, OVER));
    assert_false(fsm_is_end(machine, NEW));
    assert_int_equal(fsm_find(machine, N_STATES, "running"), RUNNING);
    assert_int_equal(fsm_find(machine, N_STATES, "nowhere"), -1);
}

/* ---- nearest ---- */

static const char *nearest_command(const char *word)
{
    static const char *const commands[] = {"serve", "submit", "ps", "logs", "kill"};
    struct nearest near = {.word = word};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        nearest_offer(&near, commands[i]);
    return near.best;
}

static void a_mistyped_word_finds_its_neighbour(void **state)
{
    (void)state;
    assert_string_equal(nearest_command("sumbit"), "submit");
    assert_string_equal(nearest_command("subbmit"), "submit");
    assert_string_equal(nearest_command("lgos"), "logs");
    assert_string_equal(nearest_command("pss"), "ps");
    assert_string_equal(nearest_command("server"), "serve");
    assert_null(nearest_command("provision"));
    assert_null(nearest_command(""));
    char endless[200];
    memset(endless, 's', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(nearest_command(endless));
}

#define PLAIN(test) cmocka_unit_test_teardown(test, nothing_is_left)
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(an_error_reads_from_the_outside_in),
        PLAIN(an_error_nobody_reads_still_has_its_code),
        PLAIN(a_long_message_is_cut_and_ended),
        PLAIN(codes_have_a_status_and_words),
        PLAIN(a_buffer_grows_to_its_limit_and_no_further),
        PLAIN(a_failed_buffer_stays_failed_until_it_is_reset),
        PLAIN(a_stolen_text_belongs_to_the_thief),
        PLAIN(a_buffer_survives_a_failing_allocation),
        PLAIN(a_list_splits_and_joins),
        PLAIN(a_map_keeps_the_order_of_first_insertion),
        PLAIN(lists_and_maps_survive_every_failing_allocation),
        PLAIN(strings_answer_plain_questions),
        PLAIN(whole_numbers_are_read_within_their_range),
        PLAIN(sizes_are_read_as_spark_reads_them),
        PLAIN(durations_are_read_with_their_units),
        PLAIN(what_is_formatted_reads_back_the_same),
        PLAIN(moments_are_written_as_rfc_3339),
        IN_FOLDER(a_file_is_read_whole_or_not_at_all),
        IN_FOLDER(a_replaced_file_is_the_old_or_the_new_one_when_the_disk_fails),
        IN_FOLDER(a_replaced_file_survives_every_failing_allocation),
        IN_FOLDER(folders_are_made_with_those_above_them),
        IN_FOLDER(a_tree_is_removed_without_following_links),
        IN_FOLDER(a_lock_is_held_by_one),
        IN_FOLDER(a_folder_is_synced_or_the_reason_told),
        PLAIN(a_machine_moves_only_along_its_table),
        PLAIN(a_mistyped_word_finds_its_neighbour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
