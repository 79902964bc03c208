/* Values of requests in the forms that Livy's clients send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "livy/livy_internal.h"

#include <string.h>

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- durations ---- */

static void lasts(const char *text, int64_t ms)
{
    struct err err = {0};
    int64_t got = -1;
    if (value_timeout(text, &got, &err) != ERR_OK)
        fail_msg("'%s': %s", text, err.msg);
    if (got != ms)
        fail_msg("'%s' is %lld ms, not %lld", text, (long long)got, (long long)ms);
}

static void is_no_timeout(const char *text, const char *words)
{
    struct err err = {0};
    int64_t got = -1;
    if (value_timeout(text, &got, &err) != ERR_INVALID)
        fail_msg("'%s' was accepted", text);
    assert_string_equal(err.msg, words);
    assert_int_equal(got, -1);
}

static void timeouts_have_livys_units(void **state)
{
    (void)state;
    lasts("0", 0);
    lasts("1500", 1500);
    lasts("1500ms", 1500);
    lasts("2000us", 2);
    lasts("90s", 90000);
    lasts("30m", 1800000);
    lasts("30min", 1800000);
    lasts("8h", 28800000);
    lasts("2d", 172800000);
    lasts("  10M\t", 600000);
}

static void other_timeouts_are_refused_in_livys_words(void **state)
{
    (void)state;
    is_no_timeout("soon", "Invalid time string: soon");
    is_no_timeout("", "Invalid time string: ");
    is_no_timeout("-", "Invalid time string: -");
    is_no_timeout("1.5h", "Invalid time string: 1.5h");
    is_no_timeout("5 s", "Invalid time string: 5 s");
    is_no_timeout("+5s", "Invalid time string: +5s");
    is_no_timeout("5x", "Invalid suffix: \"x\"");
    is_no_timeout("5Hours", "Invalid suffix: \"hours\"");
    is_no_timeout("-5", "Invalid value: -5");
    is_no_timeout("-5s", "Invalid value: -5");
    is_no_timeout("99999999999999999999", "Invalid time string: 99999999999999999999");
    is_no_timeout("9223372036854775807d", "Invalid time string: 9223372036854775807d");
}

static void a_timeout_without_memory_is_an_error(void **state)
{
    (void)state;
    struct err err = {0};
    int64_t got = -1;
    mem_fail_at(1);
    assert_int_equal(value_timeout("5s", &got, &err), ERR_NOMEM);
    mem_fail_at(0);
}

/* ---- kinds ---- */

/* What a request with this kind asks for; NULL expects it to be refused with these words. */
static void asks_for(const char *body, const char *kind, const char *words)
{
    struct err err = {0};
    struct json_in in;
    cleanup(json_decrefp) json_t *value = NULL;
    const char *got = "unchanged";
    assert_int_equal(json_parse(body, strlen(body), 4, &value, &err), ERR_OK);
    json_in_open(&in, value, &err);
    value_read_kind(&in, &got);
    enum err_code rc = json_in_end(&in);
    if (kind != NULL) {
        assert_int_equal(rc, ERR_OK);
        assert_string_equal(got, kind);
    } else {
        assert_int_equal(rc, ERR_INVALID);
        assert_string_equal(err.msg, words);
    }
}

static void kinds_have_second_names(void **state)
{
    (void)state;
    asks_for("{\"kind\":\"spark\"}", "spark", NULL);
    asks_for("{\"kind\":\"scala\"}", "spark", NULL);
    asks_for("{\"kind\":\"pyspark\"}", "pyspark", NULL);
    asks_for("{\"kind\":\"python\"}", "pyspark", NULL);
    asks_for("{\"kind\":\"sparkr\"}", "sparkr", NULL);
    asks_for("{\"kind\":\"r\"}", "sparkr", NULL);
    asks_for("{\"kind\":\"sql\"}", "sql", NULL);
    asks_for("{\"kind\":\"shared\"}", "shared", NULL);
    asks_for("{\"kind\":null}", "unchanged", NULL);
    asks_for("{}", "unchanged", NULL);
}

static void other_kinds_are_refused_in_livys_words(void **state)
{
    (void)state;
    asks_for("{\"kind\":\"perl\"}", NULL, "Invalid kind: perl");
    asks_for("{\"kind\":\"PySpark\"}", NULL, "Invalid kind: PySpark");
    asks_for("{\"kind\":\"pyspark3\"}", NULL, "Invalid kind: pyspark3");
    asks_for("{\"kind\":\"\"}", NULL, "Invalid kind: ");
    asks_for("{\"kind\":5}", NULL, "Kind should be a string.");
    asks_for("{\"kind\":[\"spark\"]}", NULL, "Kind should be a string.");
}

/* ---- base64 ---- */

static void base64_is_whole_and_padded(void **state)
{
    (void)state;
    assert_true(value_is_base64("aGVsbG8="));
    assert_true(value_is_base64("aGVsbA=="));
    assert_true(value_is_base64("aGVs"));
    assert_true(value_is_base64("+/+/"));
    assert_false(value_is_base64(""));
    assert_false(value_is_base64("aGVsbG8"));
    assert_false(value_is_base64("aGV=bG8="));
    assert_false(value_is_base64("a==="));
    assert_false(value_is_base64("===="));
    assert_false(value_is_base64("aGVs\n"));
    assert_false(value_is_base64("a-_s"));
}

/* ---- names of uploaded files ---- */

static void is_kept_as(const char *sent, const char *kept)
{
    struct err err = {0};
    const char *name = NULL;
    if (value_file_name(sent, &name, &err) != ERR_OK)
        fail_msg("'%s': %s", sent, err.msg);
    assert_string_equal(name, kept);
}

static void is_no_name(const char *sent)
{
    struct err err = {0};
    const char *name = NULL;
    if (value_file_name(sent, &name, &err) != ERR_INVALID)
        fail_msg("'%s' was accepted as '%s'", sent, name);
    assert_null(name);
    assert_true(err.msg[0] != '\0');
}

static void only_the_last_segment_of_a_name_counts(void **state)
{
    (void)state;
    is_kept_as("util.py", "util.py");
    is_kept_as("../../etc/cron.d/x", "x");
    is_kept_as("/absolute/data.csv", "data.csv");
    is_kept_as("C:\\Users\\me\\data.csv", "data.csv");
    is_kept_as("..\\..\\x", "x");
    is_kept_as("...", "...");
    is_kept_as(".hidden", ".hidden");
    is_kept_as("two words ünd ümlaut.txt", "two words ünd ümlaut.txt");
}

static void names_that_lead_nowhere_good_are_refused(void **state)
{
    (void)state;
    char longest[257];
    memset(longest, 'n', sizeof longest);
    longest[256] = '\0';
    is_no_name("");
    is_no_name(".");
    is_no_name("..");
    is_no_name("folder/");
    is_no_name("../..");
    is_no_name("a\\..");
    is_no_name("line\nbreak");
    is_no_name("bell\a.txt");
    is_no_name("delete\x7f");
    is_no_name(longest);
    longest[255] = '\0';
    is_kept_as(longest, longest);
}

/* ---- code ---- */

static void becomes(const char *code, const char *wanted)
{
    char text[64];
    (void)strncpy(text, code, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    value_unix_lines(text);
    assert_string_equal(text, wanted);
}

static void line_ends_become_unix_ones(void **state)
{
    (void)state;
    becomes("", "");
    becomes("a\r\nb\r\n", "a\nb\n");
    becomes("a\nb", "a\nb");
    becomes("a\rb\r", "a\rb\r");
    becomes("a\r\r\nb", "a\r\nb");
}

/* ---- lists ---- */

static void shows(int64_t from, int64_t size, bool given, int64_t first, int64_t n)
{
    value_window(&from, &size, given);
    assert_int_equal(from, first);
    assert_int_equal(size, n);
}

static void a_window_is_cut_at_the_start(void **state)
{
    (void)state;
    shows(0, 0, false, 0, -1);
    shows(5, 0, false, 5, -1);
    shows(-3, 0, false, 0, -1);
    shows(2, 10, true, 2, 10);
    shows(0, 0, true, 0, 0);
    shows(-1, 5, true, 0, 4);
    shows(-5, 5, true, 0, 0);
    shows(3, -1, true, 3, 0);
    shows(INT32_MAX, INT32_MAX, true, INT32_MAX, INT32_MAX);
    shows(INT32_MIN, INT32_MIN, true, 0, 0);
}

static void only_desc_is_descending(void **state)
{
    (void)state;
    assert_true(value_is_descending("desc"));
    assert_true(value_is_descending(" DESC "));
    assert_false(value_is_descending("descending"));
    assert_false(value_is_descending("asc"));
    assert_false(value_is_descending(""));
    assert_false(value_is_descending(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(timeouts_have_livys_units, nothing_is_left),
        cmocka_unit_test_teardown(other_timeouts_are_refused_in_livys_words, nothing_is_left),
        cmocka_unit_test_teardown(a_timeout_without_memory_is_an_error, nothing_is_left),
        cmocka_unit_test_teardown(kinds_have_second_names, nothing_is_left),
        cmocka_unit_test_teardown(other_kinds_are_refused_in_livys_words, nothing_is_left),
        cmocka_unit_test(base64_is_whole_and_padded),
        cmocka_unit_test(only_the_last_segment_of_a_name_counts),
        cmocka_unit_test(names_that_lead_nowhere_good_are_refused),
        cmocka_unit_test(line_ends_become_unix_ones),
        cmocka_unit_test(a_window_is_cut_at_the_start),
        cmocka_unit_test_teardown(only_desc_is_descending, nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
