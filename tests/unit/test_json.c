#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"

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

static json_t *parsed(const char *text)
{
    json_t *value = NULL;
    struct err err;
    if (json_parse(text, strlen(text), 16, &value, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    return value;
}

static void assert_unreadable(const char *text, const char *words)
{
    json_t *value = NULL;
    struct err err;
    assert_int_equal(json_parse(text, strlen(text), 3, &value, &err), ERR_INVALID);
    assert_null(value);
    assert_non_null(strstr(err.msg, words));
}

/* ---- reading ---- */

static void what_is_no_json_is_refused_in_known_words(void **state)
{
    (void)state;
    assert_unreadable("", "No content to map due to end-of-input");
    assert_unreadable(" \n\t", "No content to map due to end-of-input");
    assert_unreadable("{\"a\":", "Unexpected end-of-input");
    assert_unreadable("{a:1}", "Unexpected character");
    assert_unreadable("{} {}", "Unexpected character");
    assert_unreadable("[[[[1]]]]", "JSON is nested deeper than 3 levels");
    assert_unreadable("\"\xff\"", "Unexpected character");
    assert_unreadable("{\"a\":\n  x}", "line 2, column");
}

static void text_needs_no_end_mark(void **state)
{
    (void)state;
    char *text = malloc(3); /* the sanitizer watches the bytes behind */
    assert_non_null(text);
    memcpy(text, "   ", 3);
    json_t *value = NULL;
    assert_int_equal(json_parse(text, 3, 3, &value, NULL), ERR_INVALID);
    memcpy(text, "[1]", 3);
    assert_int_equal(json_parse(text, 3, 3, &value, NULL), ERR_OK);
    json_decref(value);
    free(text);
}

static void brackets_in_strings_do_not_count_as_nesting(void **state)
{
    (void)state;
    json_t *value = NULL;
    static const char text[] = "[\"[[[[{{{{\\\"[[[[\"]";
    assert_int_equal(json_parse(text, strlen(text), 1, &value, NULL), ERR_OK);
    json_decref(value);
}

static void of_a_repeated_key_the_last_wins(void **state)
{
    (void)state;
    json_t *v = parsed("{\"a\":1,\"a\":2}");
    int64_t n = 0;
    struct json_in in;
    json_in_open(&in, v, NULL);
    json_in_int(&in, "a", 0, 10, &n);
    assert_int_equal(json_in_end(&in), ERR_OK);
    assert_int_equal(n, 2);
    json_decref(v);
}

struct request {
    char *file;
    int64_t cores;
    bool flag;
    struct strlist args;
    struct strmap conf;
};

static void request_clear(struct request *r)
{
    mem_free(r->file);
    strlist_clear(&r->args);
    strmap_clear(&r->conf);
}

static enum err_code read_request(struct request *r, json_t *v, struct err *err)
{
    struct json_in in;
    json_in_open(&in, v, err);
    json_in_str(&in, "file", &r->file);
    json_in_int(&in, "cores", 1, 64, &r->cores);
    json_in_bool(&in, "flag", &r->flag);
    json_in_list(&in, "args", &r->args);
    json_in_map(&in, "conf", &r->conf);
    (void)json_in_value(&in, "extra");
    return json_in_end(&in);
}

static void fields_are_read_into_their_places(void **state)
{
    (void)state;
    struct request r = {0};
    json_t *v = parsed("{\"file\":\"/a.py\",\"cores\":\"2\",\"flag\":true,\"args\":[\"a b\",5,true,1.5],"
                       "\"conf\":{\"spark.x\":1,\"spark.y\":null,\"spark.z\":\"\\u00e9\"},\"extra\":{}}");
    struct err err;
    assert_int_equal(read_request(&r, v, &err), ERR_OK);
    assert_string_equal(r.file, "/a.py");
    assert_int_equal(r.cores, 2);
    assert_true(r.flag);
    assert_int_equal(r.args.n, 4);
    assert_string_equal(r.args.items[0], "a b");
    assert_string_equal(r.args.items[1], "5");
    assert_string_equal(r.args.items[2], "true");
    assert_string_equal(r.args.items[3], "1.5");
    assert_int_equal(r.conf.n, 2);
    assert_string_equal(strmap_get(&r.conf, "spark.x"), "1");
    assert_string_equal(strmap_get(&r.conf, "spark.z"), "\xc3\xa9");
    json_decref(v);
    request_clear(&r);
}

static json_t *with_conf_of(int n)
{
    json_t *v = json_pack("{s:s,s:{}}", "file", "/a.py", "conf");
    for (int i = 0; i < n; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "spark.%d", i);
        (void)json_object_set_new(json_object_get(v, "conf"), key, json_integer(i));
    }
    return v;
}

/* Whoever works with a map looks for its keys one after the other. */
static void a_map_has_a_limit(void **state)
{
    (void)state;
    struct err err;
    struct request fine = {0};
    struct request over = {0};
    json_t *v = with_conf_of(JSON_MAP_MAX);
    assert_int_equal(read_request(&fine, v, &err), ERR_OK);
    assert_int_equal(fine.conf.n, JSON_MAP_MAX);
    assert_string_equal(strmap_get(&fine.conf, "spark.9999"), "9999");
    json_decref(v);
    v = with_conf_of(JSON_MAP_MAX + 1);
    assert_int_equal(read_request(&over, v, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "\"conf\" must be an object of at most 10000 strings"));
    json_decref(v);
    request_clear(&fine);
    request_clear(&over);
}

static void absent_and_null_fields_leave_things_as_they_were(void **state)
{
    (void)state;
    struct request r = {.cores = 7};
    json_t *v = parsed("{\"file\":null,\"cores\":null,\"args\":null,\"conf\":null}");
    assert_int_equal(read_request(&r, v, NULL), ERR_OK);
    assert_null(r.file);
    assert_int_equal(r.cores, 7);
    assert_int_equal(r.args.n, 0);
    json_decref(v);
}

static void a_field_of_the_wrong_kind_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"[]", "type a list: the body must be a JSON object"},
        {"null", "type null: the body must be a JSON object"},
        {"{\"file\":{}}", "field \"file\" must be a string"},
        {"{\"cores\":0}", "field \"cores\" must be a whole number from 1 to 64"},
        {"{\"cores\":1.5}", "field \"cores\" must be a whole number from 1 to 64"},
        {"{\"cores\":\"+2\"}", "field \"cores\" must be a whole number"},
        {"{\"cores\":\"\"}", "field \"cores\" must be a whole number"},
        {"{\"cores\":true}", "field \"cores\" must be a whole number"},
        {"{\"flag\":\"true\"}", "field \"flag\" must be true or false"},
        {"{\"args\":\"x\"}", "field \"args\" must be a list of strings"},
        {"{\"args\":[\"a\",null]}", "field \"args[1]\" must be a string"},
        {"{\"conf\":[1]}", "field \"conf\" must be an object of strings"},
        {"{\"conf\":{\"a\":[]}}", "field \"conf.a\" must be a string"},
        {"{\"File\":\"x\"}", "Unrecognized field \"File\" (known: file, cores, flag, args, conf, extra)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct request r = {0};
        struct err err = {0};
        json_t *v = parsed(bad[i].text);
        assert_int_equal(read_request(&r, v, &err), ERR_INVALID);
        if (strstr(err.msg, bad[i].words) == NULL)
            fail_msg("%s: %s", bad[i].text, err.msg);
        json_decref(v);
        request_clear(&r);
    }
}

static void the_first_bad_field_is_the_one_told(void **state)
{
    (void)state;
    struct request r = {0};
    struct err err;
    json_t *v = parsed("{\"conf\":5,\"cores\":[],\"unknown\":1}");
    assert_int_equal(read_request(&r, v, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "\"cores\""));
    json_decref(v);
}

static void numbers_keep_their_shortest_text(void **state)
{
    (void)state;
    static const char *const same[] = {"0.1", "1.0", "1e300", "-2.5", "123456789.125"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct request r = {0};
        char text[64];
        (void)snprintf(text, sizeof text, "{\"file\":%s}", same[i]);
        json_t *v = parsed(text);
        assert_int_equal(read_request(&r, v, NULL), ERR_OK);
        assert_true(strtod(r.file, NULL) == strtod(same[i], NULL));
        assert_true(strlen(r.file) <= strlen(same[i]) + 1); /* 1e300 reads 1e+300 */
        json_decref(v);
        request_clear(&r);
    }
}

static void reading_survives_every_failing_allocation(void **state)
{
    (void)state;
    json_t *v = parsed("{\"file\":\"x\",\"args\":[\"a\",\"b\"],\"conf\":{\"c\":\"d\",\"e\":1}}");
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct request r = {0};
        mem_fail_at(n);
        rc = read_request(&r, v, NULL);
        mem_fail_at(0);
        request_clear(&r);
        assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(rc, ERR_OK);
    json_decref(v);
}

/* ---- writing ---- */

static void everything_is_written_compactly(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf b = BUF(1000);
    struct strlist l = {0};
    struct strmap m = {0};
    assert_int_equal(strlist_split(&l, "a b", " "), 0);
    assert_int_equal(strmap_set(&m, "k", "v"), 0);
    struct json_out out;
    json_out_open(&out, &b);
    json_out_object(&out, NULL);
    json_out_str(&out, "s", "x");
    json_out_str(&out, "null", NULL);
    json_out_int(&out, "min", INT64_MIN);
    json_out_bool(&out, "yes", true);
    json_out_null(&out, "n");
    json_out_raw(&out, "raw", "[1]");
    json_out_list(&out, "l", &l);
    json_out_map(&out, "m", &m);
    json_out_array(&out, "a");
    json_out_object(&out, NULL);
    json_out_end_object(&out);
    json_out_int(&out, NULL, 0);
    json_out_end_array(&out);
    json_out_end_object(&out);
    assert_string_equal(buf_cstr(&b), "{\"s\":\"x\",\"null\":null,\"min\":-9223372036854775808,\"yes\":true,"
                                      "\"n\":null,\"raw\":[1],\"l\":[\"a\",\"b\"],\"m\":{\"k\":\"v\"},"
                                      "\"a\":[{},0]}");
    strlist_clear(&l);
    strmap_clear(&m);
}

static void assert_written(const char *bytes, size_t n, const char *json)
{
    cleanup(buf_clear) struct buf b = BUF(1000);
    struct json_out out;
    json_out_open(&out, &b);
    json_out_text(&out, NULL, bytes, n);
    assert_string_equal(buf_cstr(&b), json);
}

static void text_is_escaped(void **state)
{
    (void)state;
    assert_written("a\"b\\c\n\t\r\x01\x7f/", 11, "\"a\\\"b\\\\c\\n\\t\\r\\u0001\\u007f/\"");
    assert_written("a\0b", 3, "\"a\\u0000b\"");
    assert_written("\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5\"");
}

static void bytes_that_are_no_utf_8_are_replaced(void **state)
{
    (void)state;
#define BAD "\xef\xbf\xbd"
    assert_written("\xff", 1, "\"" BAD "\"");
    assert_written("\xc3", 1, "\"" BAD "\"");
    assert_written("\xc0\x80", 2, "\"" BAD BAD "\"");
    assert_written("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");
    assert_written("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\"");
    assert_written("a\xe2\x82z", 4, "\"a" BAD BAD "z\"");
#undef BAD
}

static void members_of_ready_objects_take_their_place(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf b = BUF(1024);
    struct json_out out;
    json_out_open(&out, &b);
    json_out_object(&out, NULL);
    json_out_members(&out, "{}");
    json_out_members(&out, "{\"a\":1,\"b\":{\"c\":[]}}");
    json_out_members(&out, " { } ");
    json_out_int(&out, "d", 2);
    json_out_members(&out, "{\"e\":null}");
    json_out_end_object(&out);
    assert_string_equal(buf_cstr(&b), "{\"a\":1,\"b\":{\"c\":[]},\"d\":2,\"e\":null}");
}

#define TEST(name) cmocka_unit_test_teardown(name, nothing_is_left)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_json_is_refused_in_known_words),
        TEST(text_needs_no_end_mark),
        TEST(brackets_in_strings_do_not_count_as_nesting),
        TEST(of_a_repeated_key_the_last_wins),
        TEST(fields_are_read_into_their_places),
        TEST(a_map_has_a_limit),
        TEST(absent_and_null_fields_leave_things_as_they_were),
        TEST(a_field_of_the_wrong_kind_is_named),
        TEST(the_first_bad_field_is_the_one_told),
        TEST(numbers_keep_their_shortest_text),
        TEST(reading_survives_every_failing_allocation),
        TEST(everything_is_written_compactly),
        TEST(members_of_ready_objects_take_their_place),
        TEST(text_is_escaped),
        TEST(bytes_that_are_no_utf_8_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
