/* Why drivers ended, in words: the ends of real output of Spark 3.5.7, and ends without any output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/app_internal.h"
#include "base/io.h"
#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* The lines of tests/vectors/diagnosis/NAME.txt. */
static struct strlist read_lines(const char *name)
{
    char path[512];
    const char *vectors = getenv("HEARTH_VECTORS");
    struct strlist lines = {0};
    struct buf text = BUF(1 << 20);
    (void)snprintf(path, sizeof path, "%s/diagnosis/%s.txt", vectors != NULL ? vectors : "tests/vectors",
                   name);
    struct err err;
    if (io_read_file(path, &text, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    char *rest = text.data;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && rest != NULL;)
        assert_int_equal(strlist_add(&lines, line), 0);
    buf_clear(&text);
    return lines;
}

static const struct {
    const char *name;
    int exit_code;
    bool connected; /* a SparkContext had been made */
    const char *summary;
    const char *error; /* is part of one of the lines shown; NULL: none are shown */
} endings[] = {
    {"exit3", 3, true, "exited with code 3", NULL},
    {"value_error", 1, true, "exited with code 1: ValueError: no number in 'abc'",
     "/jobs/value_error.py\", line 5"},
    {"missing_file", 2, false,
     "exited with code 2: a file was not found: /usr/bin/python3: can't open file '/jobs/not_there.py': "
     "[Errno 2] No "
     "such file or directory",
     "/jobs/not_there.py"},
    {"unknown_class", 101, false,
     "exited with code 101: the class was not found: Error: Failed to load class com.example.NoSuchClass.",
     "com.example.NoSuchClass"},
    {"bad_memory", 1, false,
     "exited with code 1: java refused the driver's memory size (driverMemory): Invalid maximum heap size: "
     "-Xmx1x",
     "-Xmx1x"},
    {"huge_memory", 1, false,
     "exited with code 1: java could not get that much memory; lower driverMemory: Could not reserve enough "
     "space "
     "for 419430400000KB object heap",
     "419430400000KB"},
    {"small_memory", 1, false, NULL, "System memory 209715200 must be at least"},
    {"heap", 1, true,
     "exited with code 1: ran out of Java memory; raise driverMemory: java.lang.OutOfMemoryError: Java heap "
     "space",
     "/jobs/heap.py\", line 5"},
    {"task_error", 1, true, "exited with code 1: ZeroDivisionError: integer division or modulo by zero",
     "/jobs/task_error.py\", line 3, in <lambda>"},
    {"no_input", 1, true,
     "exited with code 1: a path does not exist: pyspark.errors.exceptions.captured.AnalysisException: "
     "[PATH_NOT_FOUND] Path does not exist: file:/jobs/no/such/input.",
     "/jobs/no_input.py\", line 3"},
    {"no_table", 1, true, NULL, "The table or view `sales` cannot be found"},
    {"no_module", 1, false,
     "exited with code 1: a Python module was not found: ModuleNotFoundError: No module named 'numpyy'",
     "import numpyy"},
    {"syntax", 1, false, "exited with code 1: SyntaxError: invalid syntax", "/jobs/syntax.py\", line 1"},
    {"no_main", 1, false,
     "exited with code 1: the jar names no main class; give className: org.apache.spark.SparkException: No "
     "main "
     "class set in JAR; please specify one with --class.",
     "No main class set"},
    {"bad_master", 1, false,
     "exited with code 1: the master's address is not one that Spark knows: org.apache.spark.SparkException: "
     "Master "
     "must either be yarn or start with spark, mesos, k8s, or local",
     "Master must either be"},
};

static bool any_holds(const struct strlist *lines, const char *part)
{
    for (size_t i = 0; i < lines->n; i++)
        if (strstr(lines->items[i], part) != NULL)
            return true;
    return false;
}

static void ends_on_a_cluster_are_told_in_the_programs_words(void **state)
{
    static const struct {
        const char *name, *summary, *error;
    } ends[] = {
        {"cluster_python", "failed on w:1: ValueError: as asked", "/jobs/ok.py\", line 5"},
        {"cluster_jar", "failed on w:1: java.lang.IllegalStateException: no table for 'orders'",
         "Caused by: java.lang.IllegalStateException"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct app_diagnosis d = {0};
        struct strlist lines = read_lines(ends[i].name);
        const struct diagnosis_input in = {
            .exit_code = -1, .verdict = "failed on w:1", .connected = true, .lines = &lines};
        assert_int_equal(diagnosis_make(&in, &d), 0);
        assert_string_equal(d.summary, ends[i].summary);
        if (!any_holds(&d.errors, ends[i].error))
            fail_msg("%s: no line shows '%s'", ends[i].name, ends[i].error);
        diagnosis_clear(&d);
        strlist_clear(&lines);
    }
}

static void real_endings_are_told_so_that_a_person_understands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        struct app_diagnosis d = {0};
        struct strlist lines = read_lines(endings[i].name);
        struct diagnosis_input in = {
            .exit_code = endings[i].exit_code, .connected = endings[i].connected, .lines = &lines};
        assert_int_equal(diagnosis_make(&in, &d), 0);
        if (endings[i].summary != NULL)
            assert_string_equal(d.summary, endings[i].summary);
        assert_null(strchr(d.summary, '\n'));
        assert_int_equal(d.exit_code, endings[i].exit_code);
        if (endings[i].error == NULL)
            assert_int_equal(d.errors.n, 0);
        else if (!any_holds(&d.errors, endings[i].error))
            fail_msg("%s: no line shows '%s'", endings[i].name, endings[i].error);
        assert_false(any_holds(&d.errors, " INFO "));
        diagnosis_clear(&d);
        strlist_clear(&lines);
    }
}

/* The summary of an end without output. */
static void expect_words(struct diagnosis_input in, const char *words)
{
    static const struct strlist none;
    struct app_diagnosis d = {0};
    if (in.lines == NULL)
        in.lines = &none;
    assert_int_equal(diagnosis_make(&in, &d), 0);
    assert_string_equal(d.summary, words);
    diagnosis_clear(&d);
}

static void a_clean_end_is_finished(void **state)
{
    (void)state;
    expect_words((struct diagnosis_input){.exit_code = 0}, "finished");
    expect_words((struct diagnosis_input){.exit_code = 0, .launcher_state = "FINISHED"}, "finished");
    expect_words((struct diagnosis_input){.exit_code = 0, .launcher_state = "FAILED"},
                 "exited with code 0, but Spark said FAILED");
}

static void signals_have_their_names(void **state)
{
    (void)state;
    expect_words((struct diagnosis_input){.exit_code = -1, .signal = SIGSEGV}, "ended by SIGSEGV");
    expect_words((struct diagnosis_input){.exit_code = -1, .signal = SIGKILL},
                 "killed by SIGKILL, by somebody other than hearth");
    expect_words((struct diagnosis_input){.exit_code = 143}, "exited with code 143, as after SIGTERM");
    expect_words((struct diagnosis_input){.exit_code = 255}, "exited with code 255");
}

static void an_end_that_hearth_wanted_says_why_and_how(void **state)
{
    (void)state;
    expect_words((struct diagnosis_input){.exit_code = -1, .signal = SIGKILL, .stopped = "killed by request"},
                 "killed by request; the driver was ended by SIGKILL");
    expect_words((struct diagnosis_input){.exit_code = 0, .stopped = "deleted"},
                 "deleted; the driver exited with code 0");
}

static void a_kill_for_memory_says_what_to_raise(void **state)
{
    (void)state;
    expect_words(
        (struct diagnosis_input){
            .exit_code = -1, .signal = SIGKILL, .oom_killed = true, .max_memory = (2UL << 30) + 4096},
        "killed for memory: the kernel ended the driver at its memory limit, its peak was 2g; raise "
        "driverMemory or the memory of the machine");
}

static void a_lost_driver_tells_sparks_last_word(void **state)
{
    (void)state;
    expect_words((struct diagnosis_input){.exit_code = -1, .lost = "the machine was restarted"},
                 "lost: the machine was restarted; its exit code is not known");
    expect_words(
        (struct diagnosis_input){
            .exit_code = -1, .lost = "the machine was restarted", .launcher_state = "RUNNING"},
        "lost: the machine was restarted; its exit code is not known, Spark's last word was RUNNING");
}

static void trouble_that_was_overcome_is_not_the_reason(void **state)
{
    (void)state;
    struct strlist lines = {0};
    assert_int_equal(strlist_add(&lines, "could not read cache: Permission denied, going on"), 0);
    assert_int_equal(
        strlist_add(&lines, "26/11/21 10:05:46 WARN Utils: java.lang.OutOfMemoryError may follow"), 0);
    assert_int_equal(strlist_add(&lines, "all done"), 0);
    expect_words((struct diagnosis_input){.exit_code = 3, .lines = &lines}, "exited with code 3");
    strlist_clear(&lines);
}

static void the_lines_shown_are_few(void **state)
{
    (void)state;
    struct strlist lines = {0};
    struct app_diagnosis d = {0};
    assert_int_equal(strlist_add(&lines, "Traceback (most recent call last):"), 0);
    for (int i = 0; i < 300; i++)
        assert_int_equal(strlist_add(&lines, "  File \"x.py\", line 1, in f"), 0);
    assert_int_equal(strlist_add(&lines, "RecursionError: too deep"), 0);
    struct diagnosis_input in = {.exit_code = 1, .lines = &lines};
    assert_int_equal(diagnosis_make(&in, &d), 0);
    assert_string_equal(d.summary, "exited with code 1: RecursionError: too deep");
    assert_true(d.errors.n <= 20);
    diagnosis_clear(&d);
    strlist_clear(&lines);
}

static void every_failing_allocation_leaves_nothing(void **state)
{
    (void)state;
    struct strlist lines = read_lines("value_error");
    struct diagnosis_input in = {.exit_code = 1, .connected = true, .lines = &lines};
    int rc = -1;
    for (long n = 1; rc != 0; n++) {
        long live = mem_live();
        struct app_diagnosis d = {0};
        mem_fail_at(n);
        rc = diagnosis_make(&in, &d);
        mem_fail_at(0);
        assert_true((rc == 0) == (d.summary != NULL));
        diagnosis_clear(&d);
        assert_int_equal(mem_live(), live);
    }
    strlist_clear(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(ends_on_a_cluster_are_told_in_the_programs_words, nothing_is_left),
        cmocka_unit_test_teardown(real_endings_are_told_so_that_a_person_understands, nothing_is_left),
        cmocka_unit_test_teardown(a_clean_end_is_finished, nothing_is_left),
        cmocka_unit_test_teardown(signals_have_their_names, nothing_is_left),
        cmocka_unit_test_teardown(an_end_that_hearth_wanted_says_why_and_how, nothing_is_left),
        cmocka_unit_test_teardown(a_kill_for_memory_says_what_to_raise, nothing_is_left),
        cmocka_unit_test_teardown(a_lost_driver_tells_sparks_last_word, nothing_is_left),
        cmocka_unit_test_teardown(trouble_that_was_overcome_is_not_the_reason, nothing_is_left),
        cmocka_unit_test_teardown(the_lines_shown_are_few, nothing_is_left),
        cmocka_unit_test_teardown(every_failing_allocation_leaves_nothing, nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
