/* Descriptors as text: YAML 1.1 as JSON, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "provision/provision_internal.h"

#include <stdio.h>
#include <string.h>

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* The text as compact JSON; "error: …" when it is refused. The caller frees it. */
static char *as_json(const char *text)
{
    struct err err = {0};
    cleanup(json_decrefp) json_t *value = NULL;
    if (yaml_to_json(text, strlen(text), &value, &err) != ERR_OK)
        return mem_printf("error: %s", err.msg);
    return json_text(value);
}

static void expect(const char *text, const char *json)
{
    cleanup(mem_freep) char *got = as_json(text);
    assert_string_equal(got, json);
}

static void expect_refused(const char *text, const char *words)
{
    cleanup(mem_freep) char *got = as_json(text);
    if (!str_starts(got, "error: ") || strstr(got, words) == NULL)
        fail_msg("'%.80s' gives '%s', not an error with '%s'", text, got, words);
}

static void scalars_keep_their_type(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"0.25", "0.25"},
        {"'0.1'", "\"0.1\""},
        {"\"0.1\"", "\"0.1\""},
        {"0.1.0", "\"0.1.0\""},
        {"true", "true"},
        {"Yes", "true"},
        {"off", "false"},
        {"tRue", "\"tRue\""},
        {"y", "\"y\""},
        {"~", "null"},
        {"null", "null"},
        {"NULL", "null"},
        {"nil", "\"nil\""},
        {"0", "0"},
        {"-7", "-7"},
        {"+12", "12"},
        {"1_000", "1000"},
        {"0b101", "5"},
        {"017", "15"},
        {"08", "\"08\""},
        {"0x1F", "31"},
        {"0xg", "\"0xg\""},
        {"1:30", "90"},
        {"1:30:05", "5405"},
        {"1:60", "\"1:60\""},
        {"0:30", "\"0:30\""},
        {"1:30.5", "90.5"},
        {"9223372036854775807", "9223372036854775807"},
        {"1e3", "1000.0"},
        {"1.5E+2", "150.0"},
        {".5", "0.5"},
        {"1.", "1.0"},
        {".", "\".\""},
        {"-", "[null]"},
        {"+", "\"+\""},
        {"1e", "\"1e\""},
        {"_1", "\"_1\""},
        {"2030-01-01T00:00:00Z", "\"2030-01-01T00:00:00Z\""},
        {"2030-01-01", "\"2030-01-01\""},
        {"0 30 2 * * ?", "\"0 30 2 * * ?\""},
        {"2g", "\"2g\""},
        {"!!str 12", "\"12\""},
        {"!!int '12'", "12"},
        {"! 12", "\"12\""},
        {"!mine 12", "\"12\""},
        {"|\n a\n b\n", "\"a\\nb\\n\""},
        {">\n a\n b\n", "\"a b\\n\""},
        {"\"\\u00e9\"", "\"\xc3\xa9\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].text, cases[i].json);
}

static void numbers_that_json_has_not_are_numbers_still(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        ".inf", "-.INF", ".nan", "1e999", "99999999999999999999", "-9999999999999999999999"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        cleanup(json_decrefp) json_t *value = yaml_plain_scalar(numbers[i], strlen(numbers[i]));
        assert_true(json_is_real(value));
    }
}

static void lists_and_maps(void **state)
{
    (void)state;
    expect("a: {b: [1, x, null], 'c': ~}\nd:\n- e: f\n- []\n",
           "{\"a\":{\"b\":[1,\"x\",null],\"c\":null},\"d\":[{\"e\":\"f\"},[]]}");
    expect("{\"a\": [\"--day\", true, -1.5e3]}", "{\"a\":[\"--day\",true,-1500.0]}");
    expect("1: a\ntrue: b\n~: c\n2.50: d", "{\"1\":\"a\",\"true\":\"b\",\"~\":\"c\",\"2.50\":\"d\"}");
    expect("a: 1\na: 2\n", "{\"a\":2}");
    expect("{}", "{}");
    expect("a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}");
    expect("%YAML 1.1\n---\na: b\n...\n", "{\"a\":\"b\"}");
}

static void anchors_and_merges(void **state)
{
    (void)state;
    expect("a: &x [1, 2]\nb: *x\nc: *x\n", "{\"a\":[1,2],\"b\":[1,2],\"c\":[1,2]}");
    expect("a: &x one\nb: *x\nc: &x two\nd: *x\n",
           "{\"a\":\"one\",\"b\":\"one\",\"c\":\"two\",\"d\":\"two\"}");
    expect("- &k key\n- {*k : 1}\n", "[\"key\",{\"key\":1}]");
    expect("base: &b {x: 1, y: 2}\nown: {y: 3, <<: *b}\n",
           "{\"base\":{\"x\":1,\"y\":2},\"own\":{\"y\":3,\"x\":1}}");
    expect("- &a {x: 1}\n- &b {x: 2, y: 2}\n- <<: [*a, *b]\n  z: 3\n",
           "[{\"x\":1},{\"x\":2,\"y\":2},{\"z\":3,\"x\":1,\"y\":2}]");
    expect("{'<<': 1}", "{\"<<\":1}");
}

static void what_is_refused(void **state)
{
    (void)state;
    expect_refused("", "no document");
    expect_refused("# only a comment\n", "no document");
    expect_refused("a: b\n---\nc: d\n", "second document");
    expect_refused("a: [1\n", "line");
    expect_refused("a: b: c\n", "line 1");
    expect_refused("a: *x\n", "alias");
    expect_refused("a: &x [*x]\n", "alias");
    expect_refused("? [a]\n: b\n", "key");
    expect_refused("- &a [b]\n- {*a : 1}\n", "key");
    expect_refused("<<: 1\n", "<<");
    expect_refused("<<: [{}, 1]\n", "<<");
    expect_refused("\"a\\0\": 1\n", "NUL");
    expect_refused("a: \xff\n", "line");
    expect_refused("a:\n\t- b\n", "line 2");
}

static void a_bomb_is_small(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf text = BUF(1 << 16);
    cleanup(json_decrefp) json_t *value = NULL;
    buf_str(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 40; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "%s*a%d", k > 0 ? "," : "", i - 1);
        buf_str(&text, "]\n");
    }
    /* 10^40 texts, of which each is there once: whoever looks for one component never sees the others. */
    assert_int_equal(yaml_to_json(text.data, text.len, &value, NULL), ERR_OK);
    assert_int_equal(json_object_size(value), 40);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    char deep[2 * YAML_DEPTH_MAX + 3];
    size_t n = YAML_DEPTH_MAX;
    memset(deep, '[', n);
    memset(deep + n, ']', n);
    deep[2 * n] = '\0';
    cleanup(mem_freep) char *fine = as_json(deep);
    assert_string_equal(fine, deep);
    memset(deep, '[', n + 1);
    memset(deep + n + 1, ']', n + 1);
    deep[2 * n + 2] = '\0';
    expect_refused(deep, "deeply");
}

static void nesting_by_aliases_has_the_same_limit(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf text = BUF(1 << 20);
    buf_str(&text, "- &a0 [x]\n");
    for (int i = 1; i < 20000; i++)
        buf_printf(&text, "- &a%d [*a%d]\n", i, i - 1);
    expect_refused(buf_cstr(&text), "deeply");
}

static void anchors_have_a_limit(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf text = BUF(1 << 20);
    for (int i = 0; i <= YAML_ANCHORS_MAX; i++)
        buf_printf(&text, "- &a%d x\n", i);
    expect_refused(buf_cstr(&text), "anchors");
}

static void merging_counts(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf text = BUF(1 << 20);
    buf_str(&text, "- &a {");
    for (int i = 0; i < 2000; i++)
        buf_printf(&text, "k%d: 1, ", i);
    buf_str(&text, "}\n- <<: [");
    for (int i = 0; i < 2000; i++)
        buf_str(&text, "*a,");
    buf_str(&text, "]\n");
    expect_refused(buf_cstr(&text), "more values");
}

static void repeated_texts_count(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf text = BUF(4 << 20);
    cleanup(mem_freep) char *word = mem_alloc((1 << 20) + 1);
    memset(word, 'x', 1 << 20);
    word[1 << 20] = '\0';
    buf_printf(&text, "- &a %s\n", word);
    for (int i = 0; i < 17; i++)
        buf_str(&text, "- *a\n");
    expect_refused(buf_cstr(&text), "more text");
    buf_reset(&text);
    buf_printf(&text, "- &a {k: %s}\n", word);
    for (int i = 0; i < 17; i++)
        buf_str(&text, "- {<<: *a}\n");
    expect_refused(buf_cstr(&text), "more text");
}

static void reading_survives_every_failing_allocation(void **state)
{
    (void)state;
    static const char text[] = "a: &x {b: 1.5, c: [d, *y]}\n"
                               "e: {<<: [*x], f: 1:30.5}\n"
                               "g: &x h\n";
    static const char whole[] = "y: &y 1\na: &x {b: 1.5, c: [d, *y]}\ne: {<<: [*x], f: 1}\ng: &x h\n";
    enum err_code rc = ERR_NOMEM;
    assert_int_equal(yaml_to_json(text, strlen(text), &(json_t *){NULL}, NULL), ERR_INVALID);
    for (long n = 1; rc == ERR_NOMEM; n++) {
        json_t *value = NULL;
        mem_fail_at(n);
        rc = yaml_to_json(whole, strlen(whole), &value, NULL);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (value != NULL));
        json_decref(value);
        assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(scalars_keep_their_type, nothing_is_left),
        cmocka_unit_test_teardown(numbers_that_json_has_not_are_numbers_still, nothing_is_left),
        cmocka_unit_test_teardown(lists_and_maps, nothing_is_left),
        cmocka_unit_test_teardown(anchors_and_merges, nothing_is_left),
        cmocka_unit_test_teardown(what_is_refused, nothing_is_left),
        cmocka_unit_test_teardown(a_bomb_is_small, nothing_is_left),
        cmocka_unit_test_teardown(nesting_has_a_limit, nothing_is_left),
        cmocka_unit_test_teardown(nesting_by_aliases_has_the_same_limit, nothing_is_left),
        cmocka_unit_test_teardown(anchors_have_a_limit, nothing_is_left),
        cmocka_unit_test_teardown(merging_counts, nothing_is_left),
        cmocka_unit_test_teardown(repeated_texts_count, nothing_is_left),
        cmocka_unit_test_teardown(reading_survives_every_failing_allocation, nothing_is_left),
    };
    return cmocka_run_group_tests_name("provision yaml", tests, NULL, NULL);
}
