/* What the commands about sessions know without a server: languages, completion, errors, request bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cmd/language.h"
#include "cmd/session_options.h"
#include "cmd/statement_print.h"

#include <string.h>

/* Adds the lines of text, which must want more after each but the last; returns whether that one does. */
static bool wants_more(const char *kind, const char *text)
{
    cleanup(buf_clear) struct buf statement = BUF(10000);
    cleanup(mem_freep) char *lines = mem_strdup(text);
    const struct language *l = language_find(kind);
    bool more = true;
    for (char *line = lines, *end = NULL; line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (!more)
            fail_msg("%s: complete before the line: %s", kind, line);
        more = language_add_line(l, &statement, line);
    }
    return more;
}

static void assert_complete(const char *kind, const char *text)
{
    if (wants_more(kind, text))
        fail_msg("%s wants more: %s", kind, text);
}

static void assert_open(const char *kind, const char *text)
{
    if (!wants_more(kind, text))
        fail_msg("%s is complete: %s", kind, text);
}

static void languages_have_two_names(void **state)
{
    (void)state;
    assert_string_equal(language_find("scala")->kind, "spark");
    assert_string_equal(language_find("python")->kind, "pyspark");
    assert_string_equal(language_find("r")->kind, "sparkr");
    assert_string_equal(language_find("sql")->kind, "sql");
    assert_null(language_find("shared"));
    assert_null(language_find("Python"));
    assert_null(language_find(""));
}

static void a_plain_line_is_a_statement(void **state)
{
    (void)state;
    static const char *const kinds[] = {"spark", "pyspark", "sparkr", "sql"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_complete(kinds[i], "");
        assert_complete(kinds[i], "a + 1");
        assert_complete(kinds[i], "f(a)[0]");
        assert_complete(kinds[i], ")"); /* wrong, but not for us to say */
        assert_complete(kinds[i], "f(\")\")");
    }
}

static void a_python_block_goes_on_until_an_empty_line(void **state)
{
    (void)state;
    assert_open("pyspark", "def f(x):");
    assert_open("pyspark", "def f(x):\n    return x");
    assert_open("pyspark", "if a:  # why not\n    b\nelse:\n    c");
    assert_complete("pyspark", "def f(x):\n    return x\n");
    assert_complete("pyspark", "def f(x):\n    return x\n   ");
    assert_open("pyspark", "@udf\ndef f(x): return x");
    assert_complete("pyspark", "if a: b = 1");
    assert_complete("pyspark", "a = {1: 2}");
    assert_complete("pyspark", "'a:'");
    assert_complete("pyspark", "a  # not a block:");
    assert_complete("sql", "SELECT a:b AS c:");
}

static void an_open_bracket_goes_on_until_it_is_closed(void **state)
{
    (void)state;
    static const char *const kinds[] = {"spark", "pyspark", "sparkr", "sql"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_open(kinds[i], "f([1,");
        assert_complete(kinds[i], "f([1,\n2])");
        assert_complete(kinds[i], "f([1,\n");
    }
    assert_open("spark", "class A {\n  def f = '{'\n  def g = '\\''");
    assert_complete("spark", "class A {\n  def f = '{'\n  // }\n}");
    assert_complete("pyspark", "{'a': 1,\n 'b': 2}");
    assert_complete("pyspark", "f(1, # (\n)");
    assert_complete("sql", "SELECT count(*) -- (");
    assert_complete("sparkr", "f <- function(x) { # (\n x }");
}

static void texts_may_span_lines(void **state)
{
    (void)state;
    assert_open("pyspark", "a = \"\"\"(");
    assert_open("pyspark", "a = '''it's\n\nb");
    assert_complete("pyspark", "a = \"\"\"b\n\nc\\\"\"\" \"\"\"");
    assert_complete("spark", "val a = \"\"\"b\n\n\"c\" \"\"\"");
    assert_complete("pyspark", "a = 'not closed");
    assert_complete("spark", "val a = \"not closed");
    assert_open("sql", "SELECT 'a");
    assert_complete("sql", "SELECT 'a\nb'");
    assert_complete("sql", "SELECT 'it''s'");
    assert_open("sparkr", "a <- \"b");
    assert_complete("pyspark", "r'\\\\'");
}

static void a_backslash_goes_on_in_the_next_line(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *whole;
    } kinds[] = {
        {"pyspark", "a \\\n + 1"}, {"sql", "a \n + 1"}, {"spark", "a \n + 1"}, {"sparkr", "a \n + 1"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        cleanup(buf_clear) struct buf statement = BUF(100);
        const struct language *l = language_find(kinds[i].kind);
        assert_true(language_add_line(l, &statement, "a \\"));
        assert_false(language_add_line(l, &statement, " + 1"));
        assert_string_equal(buf_cstr(&statement), kinds[i].whole);
    }
    assert_complete("pyspark", "a # \\");
    assert_complete("pyspark", "a = 'b\\\nc:'");
}

static void the_name_before_the_cursor_is_found(void **state)
{
    (void)state;
    assert_int_equal(language_word("spark.ra", 8), 2);
    assert_int_equal(language_word("spark.ra", 5), 5);
    assert_int_equal(language_word("spark.", 6), 0);
    assert_int_equal(language_word("f(größe", strlen("f(größe")), strlen("größe"));
    assert_int_equal(language_word("", 0), 0);
    assert_int_equal(language_characters("größe", strlen("größe")), 5);
}

static void candidates_have_a_beginning_in_common(void **state)
{
    (void)state;
    static const struct {
        const char *candidates, *word, *common;
        size_t n;
    } cases[] = {
        {"range", "ra", "nge", 1},
        {"range rangeBy read", "ra", "nge", 2},
        {"read range", "r", "", 2},
        {"count", "x", "", 0},
        {"", "x", "", 0},
        {"range range", "range", "", 2},
        {"gr\xC3\xB6\xC3\x9F"
         "e gr\xC3\xBC\xC3\x9F"
         "e",
         "g", "r", 2}, /* ö and ü begin with the same byte */
        {"read", "", "read", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(strlist_clear) struct strlist candidates = {0};
        cleanup(buf_clear) struct buf common = BUF(100);
        assert_int_equal(strlist_split(&candidates, cases[i].candidates, " "), 0);
        assert_int_equal(language_common(&candidates, cases[i].word, &common), cases[i].n);
        assert_string_equal(buf_cstr(&common), cases[i].common);
    }
}

static void errors_look_as_their_language_shows_them(void **state)
{
    (void)state;
    static const struct {
        const char *output, *text;
    } cases[] = {
        {"{\"ename\":\"ZeroDivisionError\",\"evalue\":\"division by zero\",\"traceback\":["
         "\"Traceback (most recent call last):\\n\",\"ZeroDivisionError: division by zero\\n\"]}",
         "Traceback (most recent call last):\nZeroDivisionError: division by zero\n"},
        {"{\"ename\":\"AnalysisException\",\"evalue\":\"no\",\"traceback\":["
         "\"Traceback (most recent call last):\\n\",\"pyspark.errors.AnalysisException: no\\n\"]}",
         "Traceback (most recent call last):\npyspark.errors.AnalysisException: no\n"},
        {"{\"ename\":\"SyntaxError\",\"evalue\":\"invalid syntax (<stdin>, line 1)\",\"traceback\":["
         "\"  1 +\\n\",\"SyntaxError: invalid syntax\\n\"]}",
         "  1 +\nSyntaxError: invalid syntax\n"},
        {"{\"ename\":\"Error\",\"evalue\":\"<console>:22: error: type mismatch;\",\"traceback\":["
         "\" found   : String\\n\"]}",
         "<console>:22: error: type mismatch;\n found   : String\n"},
        {"{\"ename\":\"Error\",\"evalue\":\"[PARSE_SYNTAX_ERROR] "
         "no\",\"traceback\":[\"a.b(C.java:1)\",\"d\"]}",
         "[PARSE_SYNTAX_ERROR] no\na.b(C.java:1)\nd\n"},
        {"{\"ename\":\"UnknownMagic\",\"evalue\":\"unknown magic command 'bogus'\",\"traceback\":[]}",
         "UnknownMagic: unknown magic command 'bogus'\n"},
        {"{}", "Error\n"},
        {"{\"ename\":\"ValueError\",\"evalue\":\"\",\"traceback\":[]}", "ValueError\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(buf_clear) struct buf text = BUF(1000);
        json_t *output = json_loads(cases[i].output, 0, NULL);
        assert_non_null(output);
        statement_print_error(output, &text);
        json_decref(output);
        assert_string_equal(buf_cstr(&text), cases[i].text);
    }
}

/* The body for an empty command line with these options. */
static enum err_code write_body(const char *kind, const char *idle_timeout, const char *conf,
                                struct buf *body, struct err *err)
{
    struct session_options o;
    struct arg rows[SESSION_ROWS];
    session_options_init(&o, rows);
    o.kind = kind;
    o.idle_timeout = idle_timeout;
    if (conf != NULL)
        assert_int_equal(strlist_add(&o.spark.conf, conf), 0);
    enum err_code rc = session_options_write(&o, body, err);
    session_options_clear(&o);
    return rc;
}

static void options_become_the_fields_of_a_session(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf body = BUF(10000);
    struct err err;
    assert_int_equal(write_body(NULL, NULL, NULL, &body, &err), ERR_OK);
    assert_string_equal(buf_cstr(&body), "{\"kind\":\"pyspark\",\"conf\":{}}");
    buf_reset(&body);
    assert_int_equal(write_body("shared", "30m", "spark.master=yarn", &body, &err), ERR_OK);
    assert_string_equal(buf_cstr(&body),
                        "{\"kind\":\"shared\",\"master\":\"yarn\",\"idleTimeout\":\"30m\",\"conf\":{}}");
    buf_reset(&body);
    assert_int_equal(write_body("scala", NULL, "spark.submit.deployMode=client", &body, &err), ERR_OK);
    assert_string_equal(buf_cstr(&body), "{\"kind\":\"scala\",\"conf\":{}}");
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *idle_timeout, *conf, *words;
    } bad[] = {
        {"perl", NULL, NULL, "--kind perl: it is one of spark, pyspark, sparkr, sql, shared"},
        {NULL, "soon", NULL, "--idle-timeout: 'soon' is not"},
        {NULL, NULL, "spark.submit.deployMode=cluster",
         "spark.submit.deployMode is cluster: the driver of a"},
        {NULL, NULL, "spark.x", "KEY=VALUE is wanted"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cleanup(buf_clear) struct buf body = BUF(10000);
        struct err err = {0};
        assert_int_equal(write_body(bad[i].kind, bad[i].idle_timeout, bad[i].conf, &body, &err), ERR_INVALID);
        if (strstr(err.msg, bad[i].words) == NULL)
            fail_msg("%s", err.msg);
    }
}

static void the_body_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct session_options o;
    struct arg rows[SESSION_ROWS];
    session_options_init(&o, rows);
    o.spark.name = "etl";
    o.spark.of_key[0] = "a.jar,b.jar";
    assert_int_equal(strlist_add(&o.spark.conf, "spark.x=y"), 0);
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct buf body = BUF(10000);
        struct err err;
        long live = mem_live();
        mem_fail_at(n);
        rc = session_options_write(&o, &body, &err);
        mem_fail_at(0);
        buf_clear(&body);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    session_options_clear(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages_have_two_names),
        cmocka_unit_test(a_plain_line_is_a_statement),
        cmocka_unit_test(a_python_block_goes_on_until_an_empty_line),
        cmocka_unit_test(an_open_bracket_goes_on_until_it_is_closed),
        cmocka_unit_test(texts_may_span_lines),
        cmocka_unit_test(a_backslash_goes_on_in_the_next_line),
        cmocka_unit_test(the_name_before_the_cursor_is_found),
        cmocka_unit_test(candidates_have_a_beginning_in_common),
        cmocka_unit_test(errors_look_as_their_language_shows_them),
        cmocka_unit_test(options_become_the_fields_of_a_session),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(the_body_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
