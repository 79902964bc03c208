/* Frames of Spark's RPC: cut in every way, several at once, broken ones, limits, writing. */
#include "rpc/frame.h"

#include "rpc_vectors.h"

#include <string.h>

static const char *const folders[] = {"3.5.7", "4.0.1"};

/* One frame in a buffer with the frame reader's own memory. */
static enum frame_result read_bytes(struct frame_reader *r, const void *bytes, size_t n, struct frame *f,
                                    struct err *err)
{
    assert_int_equal(frame_reader_feed(r, bytes, n, err), ERR_OK);
    return frame_reader_next(r, f, err);
}

static void written_again(const struct frame *f, const struct buf *whole, const char *name)
{
    cleanup(buf_clear) struct buf out = BUF(4 << 20);
    frame_write(&out, f->type, f->id, f->body, f->len);
    if (out.len != whole->len || memcmp(out.data, whole->data, out.len) != 0)
        fail_msg("%s: the frame is not the same when it is written again", name);
}

static void check_request(const char *name, const json_t *row, const struct buf *bytes)
{
    struct frame_reader r;
    struct frame f = {0};
    struct err err = {0};
    frame_reader_init(&r, FRAME_MAX_DEFAULT);
    if (read_bytes(&r, bytes->data, bytes->len, &f, &err) != FRAME_READY)
        fail_msg("%s: %s", name, err.msg);
    assert_int_equal(f.type, json_is_true(json_object_get(row, "oneWay")) ? FRAME_ONE_WAY : FRAME_REQUEST);
    if (f.type == FRAME_REQUEST)
        assert_int_equal(f.id, json_integer_value(json_object_get(row, "requestId")));
    written_again(&f, bytes, name);
    assert_int_equal(frame_reader_next(&r, &f, &err), FRAME_MORE);
    frame_reader_clear(&r);
}

static void check_response(const char *name, const json_t *row, const struct buf *bytes)
{
    struct frame_reader r;
    struct frame f = {0};
    struct err err = {0};
    const char *outcome = json_string_value(json_object_get(row, "outcome"));
    frame_reader_init(&r, FRAME_MAX_DEFAULT);
    if (read_bytes(&r, bytes->data, bytes->len, &f, &err) != FRAME_READY)
        fail_msg("%s: %s", name, err.msg);
    assert_int_equal(f.type, strcmp(outcome, "failure-frame") == 0 ? FRAME_FAILURE : FRAME_RESPONSE);
    assert_int_equal(f.id, json_integer_value(json_object_get(row, "requestId")));
    written_again(&f, bytes, name);
    frame_reader_clear(&r);
}

/* Fed byte by byte, it is there with the last one and not before. */
static void check_bytes_one_by_one(const char *name, const struct buf *bytes)
{
    struct frame_reader r;
    struct frame f = {0};
    struct err err = {0};
    frame_reader_init(&r, FRAME_MAX_DEFAULT);
    for (size_t i = 0; i < bytes->len; i++)
        if (read_bytes(&r, bytes->data + i, 1, &f, &err) != (i + 1 < bytes->len ? FRAME_MORE : FRAME_READY))
            fail_msg("%s: byte %zu: %s", name, i, err.msg);
    frame_reader_clear(&r);
}

static void every_golden_frame_is_read_and_written_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        json_t *expected = vector_expected(folders[i]);
        const char *name;
        json_t *row;
        json_object_foreach(json_object_get(expected, "vectors"), name, row)
        {
            cleanup(buf_clear) struct buf request = vector_bytes(folders[i], name, ".request.hex");
            check_request(name, row, &request);
            check_bytes_one_by_one(name, &request);
            if (strcmp(json_string_value(json_object_get(row, "outcome")), "none") == 0)
                continue;
            cleanup(buf_clear) struct buf response = vector_bytes(folders[i], name, ".response.hex");
            check_response(name, row, &response);
            check_bytes_one_by_one(name, &response);
        }
        json_decref(expected);
    }
}

static void a_frame_cut_anywhere_waits_for_more(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf whole = vector_bytes("broken", "good", ".hex");
    for (size_t cut = 0; cut < whole.len; cut++) {
        struct frame_reader r;
        struct frame f = {0};
        frame_reader_init(&r, FRAME_MAX_DEFAULT);
        assert_int_equal(read_bytes(&r, whole.data, cut, &f, NULL), FRAME_MORE);
        assert_int_equal(read_bytes(&r, whole.data + cut, whole.len - cut, &f, NULL), FRAME_READY);
        assert_int_equal(f.id, 4119);
        assert_int_equal(f.len, whole.len - 21);
        frame_reader_clear(&r);
    }
}

static void many_frames_may_come_in_one_piece(void **state)
{
    (void)state;
    enum { N = 1000 };
    cleanup(buf_clear) struct buf all = BUF(1 << 20);
    struct frame_reader r;
    struct frame f = {0};
    for (int64_t i = 0; i < N; i++)
        frame_write(&all, i % 2 ? FRAME_ONE_WAY : FRAME_FAILURE, -i, "text", (size_t)i % 5);
    frame_reader_init(&r, 100);
    assert_int_equal(frame_reader_feed(&r, all.data, all.len, NULL), ERR_OK);
    for (int64_t i = 0; i < N; i++) {
        assert_int_equal(frame_reader_next(&r, &f, NULL), FRAME_READY);
        assert_int_equal(f.id, i % 2 ? 0 : -i);
        assert_int_equal(f.len, i % 5);
        assert_memory_equal(f.body, "text", f.len);
    }
    assert_int_equal(frame_reader_next(&r, &f, NULL), FRAME_MORE);
    frame_reader_clear(&r);
}

static const struct {
    const char *bytes;
    size_t n;
    const char *words;
} refused[] = {
#define ROW(bytes, words) bytes, sizeof bytes - 1, words
    {ROW("\0\0\0\0\0\0\0\0", "a frame of 0 bytes")},
    {ROW("\0\0\0\0\0\0\0\x08", "a frame of 8 bytes")},
    {ROW("\xff\xff\xff\xff\xff\xff\xff\xff", "a frame of -1 bytes")},
    {ROW("\x40\0\0\0\0\0\0\0", "the limit is 67108864")},
    {ROW("\0\0\0\0\x04\0\0\x01\x04", "the limit is 67108864")},
    {ROW("HTTP/1.1 400 Bad Request", "the limit is 67108864")},
    {ROW("\0\0\0\0\0\0\0\x20\x4d", "type 77")},
    {ROW("\0\0\0\0\0\0\0\x20\x07", "type 7,")},
    {ROW("\0\0\0\0\0\0\0\x14\x04", "type 4 with 20 bytes")},
    {ROW("\0\0\0\0\0\0\0\x14\x03", "type 3 with 20 bytes")},
    {ROW("\0\0\0\0\0\0\0\x0c\x09", "type 9 with 12 bytes")},
#undef ROW
};

static void what_is_no_frame_is_refused_at_once_and_for_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct frame_reader r;
        struct frame f = {0};
        struct err err = {0};
        frame_reader_init(&r, FRAME_MAX_DEFAULT);
        if (read_bytes(&r, refused[i].bytes, refused[i].n, &f, &err) != FRAME_BROKEN)
            fail_msg("row %zu was accepted", i);
        if (strstr(err.msg, refused[i].words) == NULL)
            fail_msg("row %zu: %s", i, err.msg);
        assert_int_equal(read_bytes(&r, "more bytes", 10, &f, &err), FRAME_BROKEN);
        assert_null(f.body);
        frame_reader_clear(&r);
    }
}

static void an_announced_length_costs_nothing(void **state)
{
    (void)state;
    struct frame_reader r;
    struct frame f;
    frame_reader_init(&r, FRAME_MAX_DEFAULT);
    assert_int_equal(read_bytes(&r, "\0\0\0\0\x04\0\0\0\x04", 9, &f, NULL), FRAME_MORE);
    assert_true(r.in.cap < 1000);
    frame_reader_clear(&r);
}

static void the_memory_of_a_large_frame_is_given_back(void **state)
{
    (void)state;
    enum { LARGE = 1 << 20 };
    struct frame_reader r;
    struct frame f;
    char *body = mem_calloc(1, LARGE);
    cleanup(buf_clear) struct buf out = BUF(2 << 20);
    frame_write(&out, FRAME_RESPONSE, 7, body, LARGE);
    frame_reader_init(&r, FRAME_MAX_DEFAULT);
    assert_int_equal(read_bytes(&r, out.data, out.len, &f, NULL), FRAME_READY);
    assert_int_equal(f.len, LARGE);
    assert_int_equal(frame_reader_next(&r, &f, NULL), FRAME_MORE);
    assert_int_equal(r.in.cap, 0);
    frame_reader_clear(&r);
    mem_free(body);
}

static void half_a_frame_is_never_written(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf out = BUF(40);
    frame_write(&out, FRAME_REQUEST, 1, "0123456789", 10);
    assert_int_equal(out.len, 31);
    frame_write(&out, FRAME_REQUEST, 2, "", 0);
    assert_int_equal(out.len, 31);
    assert_int_equal(buf_check(&out, NULL), ERR_TOO_LARGE);
}

static void memory_may_be_short(void **state)
{
    (void)state;
    struct frame_reader r;
    struct frame f;
    struct err err = {0};
    frame_reader_init(&r, FRAME_MAX_DEFAULT);
    mem_fail_at(1);
    assert_int_equal(frame_reader_feed(&r, "abc", 3, &err), ERR_NOMEM);
    mem_fail_at(0);
    assert_int_equal(frame_reader_next(&r, &f, &err), FRAME_MORE);
    frame_reader_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_frame_is_read_and_written_again),
        cmocka_unit_test(a_frame_cut_anywhere_waits_for_more),
        cmocka_unit_test(many_frames_may_come_in_one_piece),
        cmocka_unit_test(what_is_no_frame_is_refused_at_once_and_for_good),
        cmocka_unit_test(an_announced_length_costs_nothing),
        cmocka_unit_test(the_memory_of_a_large_frame_is_given_back),
        cmocka_unit_test(half_a_frame_is_never_written),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
