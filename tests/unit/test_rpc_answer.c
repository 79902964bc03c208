/* Answers of Spark nodes as JSON: real ones of both dialects, cut and broken ones, and what words say. */
#include "rpc/answer.h"
#include "rpc/frame.h"

#include "rpc_vectors.h"

#include <string.h>

static const char *const folders[] = {"3.5.7", "4.0.1"};

enum { CALL_HEAD = 21 }; /* of a response or failure frame: what stands before its body */

/* --- golden answers ----------------------------------------------------------------------------- */

static void same(const char *name, json_t *value, json_t *expected)
{
    if (json_equal(value, expected))
        return;
    char *got = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    char *wanted = json_dumps(expected, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    print_message("%s: got\n%s\nwanted\n%s\n", name, got, wanted);
    free(got);
    free(wanted);
    fail();
}

static void check_body(const char *name, const char *bytes, size_t n, enum answer_kind kind, json_t *expected)
{
    struct err err = {0};
    json_t *value = NULL;
    enum answer_kind found = rpc_answer_read((const uint8_t *)bytes, n, &value, &err);
    if (found != kind)
        fail_msg("%s: kind %d: %s", name, (int)found, err.msg);
    same(name, value, expected);
    json_decref(value);
}

static void check_failure(const char *name, const struct buf *frame, const json_t *row)
{
    char words[401];
    rpc_failure_words(frame->data + CALL_HEAD, frame->len - CALL_HEAD, words);
    const char *first = json_string_value(json_object_get(json_object_get(row, "error"), "firstLine"));
    if (strncmp(words, first, 400) != 0)
        fail_msg("%s: %s", name, words);
}

static void check_row(const char *folder, const char *name, const json_t *row)
{
    const char *outcome = json_string_value(json_object_get(row, "outcome"));
    if (strcmp(outcome, "none") == 0)
        return;
    cleanup(buf_clear) struct buf frame = vector_bytes(folder, name, ".response.hex");
    if (strcmp(outcome, "failure-frame") == 0) {
        check_failure(name, &frame, row);
        return;
    }
    bool is_value = strcmp(outcome, "value") == 0;
    check_body(name, frame.data + CALL_HEAD, frame.len - CALL_HEAD,
               is_value ? ANSWER_VALUE : ANSWER_EXCEPTION, json_object_get(row, "value"));
}

static void every_golden_answer_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        json_t *expected = vector_expected(folders[i]);
        const char *name;
        json_t *row;
        json_object_foreach(json_object_get(expected, "vectors"), name, row) check_row(folders[i], name, row);
        json_decref(expected);
    }
}

/* What Spark's own client wrote: the same reader, other forms of collections. */
static void requests_of_spark_itself_are_read(void **state)
{
    (void)state;
    unsigned checked = 0;
    for (size_t i = 0; i < 2; i++) {
        json_t *expected = vector_expected(folders[i]);
        const char *name;
        json_t *row;
        json_object_foreach(json_object_get(expected, "vectors"), name, row)
        {
            json_t *content = json_object_get(row, "requestContent");
            if (content == NULL)
                continue;
            cleanup(buf_clear) struct buf frame = vector_bytes(folders[i], name, ".request.hex");
            const char *stream = memmem(frame.data, frame.len, "\xac\xed\0\5", 4);
            check_body(name, stream, (size_t)(frame.data + frame.len - stream), ANSWER_VALUE, content);
            checked++;
        }
        json_decref(expected);
    }
    assert_int_equal(checked, 8);
}

/* --- damaged ones ------------------------------------------------------------------------------- */

static void every_shorter_one_is_broken(const char *name, const struct buf *frame)
{
    size_t n = frame->len - CALL_HEAD;
    for (size_t cut = 0; cut<n; cut += n> 4000 ? 61 : 1) {
        struct err err = {0};
        json_t *value = NULL;
        if (rpc_answer_read((const uint8_t *)frame->data + CALL_HEAD, cut, &value, &err) != ANSWER_BROKEN)
            fail_msg("%s cut at %zu is read", name, cut);
        assert_null(value);
        assert_true(err.msg[0] != '\0');
    }
}

static void a_cut_answer_is_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        json_t *expected = vector_expected(folders[i]);
        const char *name;
        json_t *row;
        json_object_foreach(json_object_get(expected, "vectors"), name, row)
        {
            const char *outcome = json_string_value(json_object_get(row, "outcome"));
            if (strcmp(outcome, "value") != 0 && strcmp(outcome, "remote-exception") != 0)
                continue;
            cleanup(buf_clear) struct buf frame = vector_bytes(folders[i], name, ".response.hex");
            every_shorter_one_is_broken(name, &frame);
        }
        json_decref(expected);
    }
}

/* What the client has to make of the frame: the words of broken/expected.json. */
static const char *react(const struct buf *bytes, int64_t waiting_for, json_t **value)
{
    struct frame_reader r;
    struct frame f;
    struct err err;
    const char *reaction = "incomplete";
    frame_reader_init(&r, FRAME_MAX_DEFAULT);
    assert_int_equal(frame_reader_feed(&r, bytes->data, bytes->len, &err), ERR_OK);
    enum frame_result result = frame_reader_next(&r, &f, &err);
    while (result == FRAME_READY && f.id != waiting_for)
        result = frame_reader_next(&r, &f, &err);
    if (result == FRAME_BROKEN)
        reaction = "close";
    else if (result == FRAME_READY && f.type == FRAME_FAILURE)
        reaction = "call-error";
    else if (result == FRAME_READY)
        reaction = rpc_answer_read(f.body, f.len, value, &err) == ANSWER_VALUE ? "value" : "call-error";
    frame_reader_clear(&r);
    return reaction;
}

static void damaged_frames_get_the_reaction_they_must_get(void **state)
{
    (void)state;
    json_t *expected = vector_expected("broken");
    const char *name;
    json_t *row;
    json_object_foreach(json_object_get(expected, "frames"), name, row)
    {
        json_t *value = NULL;
        cleanup(buf_clear) struct buf bytes = vector_bytes("broken", name, ".hex");
        const char *wanted = json_string_value(json_object_get(row, "reaction"));
        bool is_surprise = strcmp(wanted, "unexpected-type") == 0; /* only who asked can tell */
        const char *reaction = react(&bytes, json_integer_value(json_object_get(row, "waitingFor")), &value);
        if (strcmp(reaction, is_surprise ? "value" : wanted) != 0)
            fail_msg("%s: %s", name, reaction);
        if (strcmp(reaction, "value") == 0)
            same(name, value, json_object_get(row, "value"));
        if (is_surprise)
            assert_string_equal(rpc_answer_class(value), "");
        json_decref(value);
    }
    json_decref(expected);
}

static void flipped_bits_never_crash_the_reader(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf frame = vector_bytes("4.0.1", "driver-status-running", ".response.hex");
    for (size_t i = CALL_HEAD; i < frame.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct err err;
            json_t *value = NULL;
            frame.data[i] ^= (char)(1 << bit);
            (void)rpc_answer_read((const uint8_t *)frame.data + CALL_HEAD, frame.len - CALL_HEAD, &value,
                                  &err);
            frame.data[i] ^= (char)(1 << bit);
            json_decref(value);
        }
    }
}

/* --- streams written out in the test ------------------------------------------------------------ */

#define STREAM(bytes) "\xac\xed\0\5" bytes, sizeof bytes - 1 + 4
/* A descriptor of a class with `n` fields, and of one that writes itself. */
#define CLASS_DESC(length, name, fields) "r\0" length name "\0\0\0\0\0\0\0\1\2\0" fields "xp"
#define SELF_DESC(length, name) "r\0" length name "\0\0\0\0\0\0\0\1\3\0\0xp"

static json_t *value_of(const char *bytes, size_t n)
{
    struct err err = {0};
    json_t *value = NULL;
    if (rpc_answer_read((const uint8_t *)bytes, n, &value, &err) != ANSWER_VALUE)
        fail_msg("%s", err.msg);
    return value;
}

static void is_value(const char *bytes, size_t n, const char *json)
{
    json_t *value = value_of(bytes, n);
    char *got = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_COMPACT);
    assert_string_equal(got, json);
    free(got);
    json_decref(value);
}

static void is_broken(const char *bytes, size_t n, const char *words)
{
    struct err err = {0};
    json_t *value = NULL;
    assert_int_equal(rpc_answer_read((const uint8_t *)bytes, n, &value, &err), ANSWER_BROKEN);
    if (strstr(err.msg, words) == NULL)
        fail_msg("%s", err.msg);
}

static void plain_values_of_java(void **state)
{
    (void)state;
    is_value(STREAM("p"), "null");
    is_value(STREAM("t\0\2hi"), "\"hi\"");
    is_value(STREAM("vr\0\3a.C\0\0\0\0\0\0\0\1\2\0\0xp"), "\"a.C\"");
    is_value(STREAM("ur\0\2[B\0\0\0\0\0\0\0\0\2\0\0xp\0\0\0\2\x0f\xa0"), "\"0fa0\"");
    is_value(STREAM("ur\0\2[Z\0\0\0\0\0\0\0\0\2\0\0xp\0\0\0\2\0\1"), "[false,true]");
    is_value(STREAM("ur\0\2[S\0\0\0\0\0\0\0\0\2\0\0xp\0\0\0\2\0\1\xff\xff"), "[1,-1]");
    is_value(STREAM("ur\0\2[D\0\0\0\0\0\0\0\0\2\0\0xp\0\0\0\2\x7f\xf8\0\0\0\0\0\0\xff\xf0\0\0\0\0\0\0"),
             "[\"NaN\",\"-Infinity\"]");
    is_value(STREAM("~r\0\3a.E\0\0\0\0\0\0\0\0\x12\0\0xpt\0\2ON"), "\"ON\"");
    is_value(STREAM("s" CLASS_DESC("\x0c", "java.net.URI", "\1L\0\6stringt\0\1S") "t\0\3a:b"), "\"a:b\"");
    is_value(STREAM("s" SELF_DESC("\x0e", "java.util.Date") "w\x08\0\0\1\x80\0\0\0\0x"), "1649267441664");
    is_value(STREAM("s" CLASS_DESC("\x11", "java.lang.Boolean", "\1Z\0\5value") "\1"), "true");
    is_value(STREAM("s" CLASS_DESC("\7", "a.b.C$D", "\1Z\0\1z") "\1"), "{\"class\":\"C$D\",\"z\":true}");
    is_broken(STREAM("s" SELF_DESC("\x0e", "java.util.Date") "w\x07\0\0\1\x80\0\0\0x"), "date");
    is_broken(STREAM("w\1a"), "block data");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_answer_is_read),
        cmocka_unit_test(requests_of_spark_itself_are_read),
        cmocka_unit_test(a_cut_answer_is_broken),
        cmocka_unit_test(damaged_frames_get_the_reaction_they_must_get),
        cmocka_unit_test(flipped_bits_never_crash_the_reader),
        cmocka_unit_test(plain_values_of_java),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
