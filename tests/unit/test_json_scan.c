/* Looking into JSON text: what is accepted, what is found, what becomes of texts. */
#include "base/json_scan.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The value of member "a" of an object, as it stands; NULL: not JSON, "": absent. */
static const char *member_a(const char *text)
{
    static char found[512];
    static const char *const names[] = {"b", "a"};
    struct json_slice values[2];
    struct err err = {0};
    char *exact = malloc(strlen(text) + 1); /* a byte too far is seen by the sanitizer */
    size_t len = strlen(text);
    memcpy(exact, text, len);
    exact = realloc(exact, len > 0 ? len : 1);
    enum err_code rc = json_scan_object(exact, len, 4, names, values, 2, &err);
    if (rc == ERR_OK && values[1].at != NULL)
        (void)snprintf(found, sizeof found, "%.*s", (int)values[1].len, values[1].at);
    else
        found[0] = '\0';
    free(exact);
    assert_true((rc == ERR_OK) == (err.msg[0] == '\0'));
    return rc == ERR_OK ? found : NULL;
}

static void members_are_found_as_they_stand(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"a\":1}", "1"},
        {" { \"a\" : 1 } ", "1"},
        {"{\"x\":{\"a\":2},\"a\":1,\"b\":[]}", "1"},
        {"{\"a\":1,\"a\":2}", "2"},
        {"{}", ""},
        {"{\"aa\":1}", ""},
        {"{\"\\u0061\":1}", ""},
        {"{\"a\":null}", "null"},
        {"{\"a\":true}", "true"},
        {"{\"a\":false}", "false"},
        {"{\"a\":-0.5E+10}", "-0.5E+10"},
        {"{\"a\":123456789012345678901234567890}", "123456789012345678901234567890"},
        {"{\"a\":1e999}", "1e999"},
        {"{\"a\":0.1}", "0.1"},
        {"{\"a\":\"x\\\"y\"}", "\"x\\\"y\""},
        {"{\"a\":\"\\u0000\\ud800\"}", "\"\\u0000\\ud800\""},
        {"{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5\"}", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5\""},
        {"{\"a\":[ 1, [2], {} ]}", "[ 1, [2], {} ]"},
        {"{\"a\":[]}", "[]"},
        {"{\"a\":[[[]]]}", "[[[]]]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = member_a(cases[i][0]);
        if (found == NULL || strcmp(found, cases[i][1]) != 0)
            fail_msg("%s: %s", cases[i][0], found != NULL ? found : "refused");
    }
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "1",
        "\"a\"",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1}}",
        "{\"a\":1} x",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":0x10}",
        "{\"a\":NaN}",
        "{\"a\":-Infinity}",
        "{\"a\":tru}",
        "{\"a\":truex}",
        "{\"a\":nul",
        "{\"a\":\"x}",
        "{\"a\":\"\\",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":\"\xc0\x80\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"\xf0\x9f\x94",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":[}",
        "{\"a\":[1",
        "{\"a\":[[[[]]]]}",
        "{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (member_a(cases[i]) != NULL)
            fail_msg("accepted: %s", cases[i]);
    struct json_slice none[1];
    assert_int_equal(json_scan_object("{\"a\":1}\0", 8, 4, NULL, none, 0, NULL), ERR_INVALID);
}

static void errors_tell_what_and_where(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(json_scan_object("{\"a\":x}", 7, 4, NULL, NULL, 0, &err), ERR_INVALID);
    assert_string_equal(err.msg, "not a JSON object: not a value (byte 5)");
    assert_int_equal(json_scan_object("{\"a\":[", 6, 4, NULL, NULL, 0, &err), ERR_INVALID);
    assert_string_equal(err.msg, "not a JSON object: it ends too early (byte 6)");
}

static bool on_item(struct json_slice item, void *arg)
{
    char *seen = arg;
    (void)snprintf(seen + strlen(seen), 64, "%.*s;", (int)item.len, item.at);
    return item.len < 5;
}

static void lists_are_walked(void **state)
{
    (void)state;
    static const struct {
        const char *list, *seen;
        bool whole;
    } cases[] = {
        {"[]", "", true},
        {"[ 1 , \"a\",[2]]", "1;\"a\";[2];", true},
        {"[1,\"long enough\",2]", "1;\"long enough\";", false},
        {"{}", "", false},
        {"1", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char seen[512] = "";
        struct json_slice list = {cases[i].list, strlen(cases[i].list)};
        assert_int_equal(json_scan_list(list, on_item, seen), cases[i].whole);
        assert_string_equal(seen, cases[i].seen);
    }
}

static void texts_are_unescaped(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\ud83d\\udd25\"", "\xf0\x9f\x94\xa5"},
        {"\"\xf0\x9f\x94\xa5\"", "\xf0\x9f\x94\xa5"},
        {"\"a\\u0000b\"", "a\xef\xbf\xbd"
                          "b"},
        {"\"\\ud83d\"", "\xef\xbf\xbd"},
        {"\"\\ud83dx\"", "\xef\xbf\xbdx"},
        {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"\\ud83d\\ud83d\\udd25\"", "\xef\xbf\xbd\xf0\x9f\x94\xa5"},
        {"\"\\udd25\"", "\xef\xbf\xbd"},
        {"\"\\ud83d\\n\"", "\xef\xbf\xbd\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(mem_freep) char *text = json_scan_text((struct json_slice){cases[i][0], strlen(cases[i][0])});
        assert_non_null(text);
        assert_string_equal(text, cases[i][1]);
    }
    mem_fail_at(1);
    assert_null(json_scan_text((struct json_slice){"\"x\"", 3}));
    mem_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_as_they_stand),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(errors_tell_what_and_where),
        cmocka_unit_test(lists_are_walked),
        cmocka_unit_test(texts_are_unescaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
