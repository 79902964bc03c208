/* Properties files and option strings, against what java.util.Properties and Spark's launcher make of them.
 */
#include "base/mem.h"
#include "spark/spark_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Parses the first string and compares with the "key" "value" pairs behind it, NULL-terminated. */
static void assert_properties(const char *const *strings)
{
    const char *text = strings[0];
    const char *const *pairs = strings + 1;
    struct strmap m = {0};
    struct err err = {0};
    assert_int_equal(properties_parse(text, strlen(text), &m, &err), ERR_OK);
    size_t n = 0;
    for (; pairs[2 * n] != NULL; n++) {
        const char *value = strmap_get(&m, pairs[2 * n]);
        if (value == NULL)
            fail_msg("no key '%s' in: %s", pairs[2 * n], text);
        assert_string_equal(value, pairs[2 * n + 1]);
    }
    assert_int_equal(m.n, n);
    strmap_clear(&m);
}

#define PROPERTIES(...) assert_properties((const char *const[]){__VA_ARGS__, NULL})

static void a_key_ends_at_equals_colon_or_blank(void **state)
{
    (void)state;
    PROPERTIES("a=1\nb:2\nc 3\nd\t4\ne\f5", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5");
    PROPERTIES("  a  =  1\n\tb : 2", "a", "1", "b", "2");
    PROPERTIES("a = = 1\nb :=2\nc  :3", "a", "= 1", "b", "=2", "c", "3");
    PROPERTIES("spark.master k8s://https://h:443", "spark.master", "k8s://https://h:443");
    PROPERTIES("a\\ b\\=c\\:d e", "a b=c:d", "e");
}

static void a_key_may_stand_alone(void **state)
{
    (void)state;
    PROPERTIES("a\nb=\nc :  ", "a", "", "b", "", "c", "");
    PROPERTIES("=v", "", "v");
    PROPERTIES("");
    PROPERTIES("\n \n\t\r\n");
}

static void comments_are_whole_lines(void **state)
{
    (void)state;
    PROPERTIES("# a=1\n  ! b=2\nc=3 # no comment\n#d=4\\\ne=5", "c", "3 # no comment", "e", "5");
    PROPERTIES("a=1\\\n# not a comment", "a", "1# not a comment");
}

static void every_kind_of_line_end_counts(void **state)
{
    (void)state;
    PROPERTIES("a=1\r\nb=2\rc=3\n", "a", "1", "b", "2", "c", "3");
}

static void a_line_goes_on_behind_an_odd_number_of_backslashes(void **state)
{
    (void)state;
    PROPERTIES("a=1\\\n   2\\\r\n\t3\nb=4", "a", "123", "b", "4");
    PROPERTIES("a=1\\\\\nb=2", "a", "1\\", "b", "2");
    PROPERTIES("a=1\\\\\\\nb=2", "a", "1\\b=2");
    PROPERTIES("k\\\n  ey\\\n = \\\n v", "key", "v");
    PROPERTIES("a=1\\\n\nb=2", "a", "1", "b", "2");
    PROPERTIES("a=1\\", "a", "1");
}

static void escapes_are_read(void **state)
{
    (void)state;
    PROPERTIES("a=x\\ty\\nz\\q\\\\", "a", "x\ty\nzq\\");
    PROPERTIES("a=\\u0041\\u00e4\\u706b\\uD83D\\uDD25!", "a", "A\xc3\xa4\xe7\x81\xab\xf0\x9f\x94\xa5!");
    PROPERTIES("a=\\uD83Dx\\uDD25", "a", "?x?");
    PROPERTIES("a=\\uD83D\\u0041", "a", "?A");
}

static void values_are_trimmed_and_the_last_one_wins(void **state)
{
    (void)state;
    PROPERTIES("a=  1 \t \nb=x \\u0020\\t", "a", "1", "b", "x");
    PROPERTIES("a=1\na=2", "a", "2");
}

static void what_cannot_be_is_refused_with_its_line(void **state)
{
    (void)state;
    static const char *const bad[] = {"a=1\n\nb=\\u12g4",     "a=1\n\nb=\\u12",    "a=1\n\n\\u=1",
                                      "a=1\n\nb=\\uD83D\\u1", "a=1\n\nb\\u0000=1", "a=1\n\nb=x\\u0000\ny"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct strmap m = {0};
        struct err err = {0};
        assert_int_equal(properties_parse(bad[i], strlen(bad[i]), &m, &err), ERR_INVALID);
        assert_non_null(strstr(err.msg, "line 3"));
        strmap_clear(&m);
    }
}

static void bytes_beyond_the_length_are_not_read(void **state)
{
    (void)state;
    static const char text[] = "a=1\\u0041";
    for (size_t n = 1; n < sizeof text; n++) {
        struct strmap m = {0};
        char *copy = mem_alloc(n); /* the address sanitizer finds what is read behind it */
        assert_non_null(copy);
        memcpy(copy, text, n);
        (void)properties_parse(copy, n, &m, NULL);
        strmap_clear(&m);
        mem_free(copy);
    }
}

/* Splits the first string and compares with the words behind it, NULL-terminated. */
static void assert_options(const char *const *strings)
{
    const char *text = strings[0];
    const char *const *words = strings + 1;
    struct strlist l = {0};
    assert_int_equal(options_split(text, &l, NULL), ERR_OK);
    size_t n = 0;
    for (; words[n] != NULL; n++) {
        assert_true(n < l.n);
        assert_string_equal(l.items[n], words[n]);
    }
    assert_int_equal(l.n, n);
    strlist_clear(&l);
}

#define OPTIONS(...) assert_options((const char *const[]){__VA_ARGS__, NULL})

static void options_are_split_as_a_shell_would(void **state)
{
    (void)state;
    OPTIONS("");
    OPTIONS(" \t\n");
    OPTIONS(" -Da=b  -Dc=d\n", "-Da=b", "-Dc=d");
    OPTIONS("'a b' \"c d\" e\\ f", "a b", "c d", "e f");
    OPTIONS("a'b c'd\"e f\"g", "ab cde fg");
    OPTIONS("'' \"\" x", "", "", "x");
    OPTIONS("'a\"b' \"c'd\"", "a\"b", "c'd");
    OPTIONS("'a\\b' \"c\\\"d\" \\\\e \\'f", "a\\b", "c\"d", "\\e", "'f");
}

static void options_left_open_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"'a", "\"a", "a\\", "'a\\'b'", "a'b\" c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct strlist l = {0};
        struct err err = {0};
        assert_int_equal(options_split(bad[i], &l, &err), ERR_INVALID);
        assert_null(strstr(err.msg, bad[i])); /* options may hold passwords */
        strlist_clear(&l);
    }
}

static void parsing_survives_every_failing_allocation(void **state)
{
    (void)state;
    static const char text[] = "a=1\nlonger.key = a value that \\\n goes on\nc \\u706b";
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        struct strmap m = {0};
        struct strlist l = {0};
        mem_fail_at(n);
        rc = properties_parse(text, strlen(text), &m, NULL);
        if (rc == ERR_OK)
            rc = options_split("a 'b c' d", &l, NULL);
        mem_fail_at(0);
        strmap_clear(&m);
        strlist_clear(&l);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_ends_at_equals_colon_or_blank),
        cmocka_unit_test(a_key_may_stand_alone),
        cmocka_unit_test(comments_are_whole_lines),
        cmocka_unit_test(every_kind_of_line_end_counts),
        cmocka_unit_test(a_line_goes_on_behind_an_odd_number_of_backslashes),
        cmocka_unit_test(escapes_are_read),
        cmocka_unit_test(values_are_trimmed_and_the_last_one_wins),
        cmocka_unit_test(what_cannot_be_is_refused_with_its_line),
        cmocka_unit_test(bytes_beyond_the_length_are_not_read),
        cmocka_unit_test(options_are_split_as_a_shell_would),
        cmocka_unit_test(options_left_open_are_refused),
        cmocka_unit_test(parsing_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
