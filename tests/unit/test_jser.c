/* Java Object Serialization: real streams, broken ones, every way of cutting them, and writing. */
#include "spark/jser.h"

#include "base/io.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct jser_limits wide = {
    .bytes = 64 * 1024 * 1024, .memory = 256 * 1024 * 1024, .depth = 400, .handles = 1000000};

/* --- vectors ------------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void load(const char *name, struct buf *ret)
{
    char path[512];
    struct err err;
    cleanup(buf_clear) struct buf text = BUF(1 << 20);
    (void)snprintf(path, sizeof path, "%s/jser/%s.hex", getenv("HEARTH_VECTORS"), name);
    if (io_read_file(path, &text, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    int high = -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n')
            continue;
        if (high >= 0)
            buf_char(ret, (char)(high << 4 | hex_digit(text.data[i])));
        high = high >= 0 ? -1 : hex_digit(text.data[i]);
    }
    assert_int_equal(ret->failed, ERR_OK);
}

static enum jser_result read_all(struct jser_reader *r, const char *bytes, size_t n,
                                 const struct jser_value **v, struct err *err)
{
    if (jser_reader_feed(r, bytes, n, err) != ERR_OK)
        return JSER_BROKEN;
    return jser_reader_next(r, v, err);
}

static const char *const good[] = {
    "good",
    "java-deep-300",
    "java-extern-block",
    "java-reset",
    "java-utf-surrogates",
    "wrong-answer-type",
    "spark-3.5.7-app-config.response",
    "spark-3.5.7-app-memory-status.response",
    "spark-3.5.7-bound-ports.response",
    "spark-3.5.7-driver-status-error.response",
    "spark-3.5.7-jvm-submit-driver.request",
    "spark-3.5.7-kill-executors-known-app.request",
    "spark-3.5.7-master-state-busy.response",
    "spark-3.5.7-request-executors-total-1.request",
    "spark-3.5.7-submit-driver.request",
    "spark-3.5.7-submit-driver-pi.request",
    "spark-3.5.7-worker-state-busy.response",
    "spark-4.0.1-app-config.response",
    "spark-4.0.1-app-memory-status.response",
    "spark-4.0.1-bound-ports.response",
    "spark-4.0.1-driver-status-error.response",
    "spark-4.0.1-jvm-submit-driver.request",
    "spark-4.0.1-kill-executors-known-app.request",
    "spark-4.0.1-master-state-busy.response",
    "spark-4.0.1-request-executors-total-1.request",
    "spark-4.0.1-submit-driver.request",
    "spark-4.0.1-submit-driver-pi.request",
    "spark-4.0.1-worker-state-busy.response",
};

static const struct {
    const char *name;
    const char *words; /* of the error */
} broken[] = {
    {"java-array-huge", "announced"},
    {"java-deep-classes", "nested deeper than 400"},
    {"java-handle-far", "does not exist"},
    {"java-super-cycle", "used inside its own descriptor"},
};

enum { N_GOOD = sizeof good / sizeof good[0], N_BROKEN = sizeof broken / sizeof broken[0] };

static void real_streams_are_read_to_their_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_GOOD; i++) {
        struct err err = {0};
        const struct jser_value *v = NULL;
        cleanup(buf_clear) struct buf in = BUF(1 << 20);
        load(good[i], &in);
        struct jser_reader *r = jser_reader_new(&wide);
        if (read_all(r, in.data, in.len, &v, &err) != JSER_ITEM)
            fail_msg("%s: %s", good[i], err.msg);
        assert_non_null(v);
        assert_true(jser_reader_at_end(r));
        assert_int_equal(jser_reader_next(r, &v, &err), JSER_MORE);
        jser_reader_free(r);
    }
}

static void broken_streams_are_refused_with_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BROKEN; i++) {
        struct err err = {0};
        const struct jser_value *v = NULL;
        cleanup(buf_clear) struct buf in = BUF(1 << 20);
        load(broken[i].name, &in);
        struct jser_reader *r = jser_reader_new(&wide);
        assert_int_equal(read_all(r, in.data, in.len, &v, &err), JSER_BROKEN);
        if (strstr(err.msg, broken[i].words) == NULL)
            fail_msg("%s: %s", broken[i].name, err.msg);
        assert_int_equal(jser_reader_next(r, &v, &err), JSER_BROKEN); /* it stays so */
        jser_reader_free(r);
    }
}

static void a_stream_cut_anywhere_waits_for_more_and_then_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_GOOD; i++) {
        cleanup(buf_clear) struct buf in = BUF(1 << 20);
        load(good[i], &in);
        for (size_t cut = 0; cut<in.len; cut += in.len> 4000 ? 13 : 1) {
            struct err err = {0};
            const struct jser_value *v = NULL;
            struct jser_reader *r = jser_reader_new(&wide);
            if (read_all(r, in.data, cut, &v, &err) != JSER_MORE)
                fail_msg("%s cut at %zu: %s", good[i], cut, err.msg);
            assert_int_equal(read_all(r, in.data + cut, in.len - cut, &v, &err), JSER_ITEM);
            jser_reader_free(r);
        }
    }
}

static void a_broken_stream_cut_anywhere_gives_no_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BROKEN; i++) {
        cleanup(buf_clear) struct buf in = BUF(1 << 20);
        load(broken[i].name, &in);
        for (size_t cut = 0; cut<in.len; cut += in.len> 4000 ? 97 : 1) {
            struct err err = {0};
            const struct jser_value *v = NULL;
            struct jser_reader *r = jser_reader_new(&wide);
            assert_int_not_equal(read_all(r, in.data, cut, &v, &err), JSER_ITEM);
            assert_null(v);
            jser_reader_free(r);
        }
    }
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf in = BUF(1 << 20);
    load("spark-4.0.1-driver-status-error.response", &in);
    struct jser_reader *r = jser_reader_new(&wide);
    for (size_t i = 0; i < in.len; i++) {
        const struct jser_value *v = NULL;
        struct err err;
        enum jser_result result = read_all(r, in.data + i, 1, &v, &err);
        assert_int_equal(result, i + 1 < in.len ? JSER_MORE : JSER_ITEM);
    }
    jser_reader_free(r);
}

static void flipped_bits_never_crash_the_reader(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf in = BUF(1 << 20);
    load("good", &in);
    for (size_t i = 0; i < in.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct err err;
            const struct jser_value *v = NULL;
            struct jser_reader *r = jser_reader_new(&wide);
            in.data[i] ^= (char)(1 << bit);
            (void)read_all(r, in.data, in.len, &v, &err);
            in.data[i] ^= (char)(1 << bit);
            jser_reader_free(r);
        }
    }
}

/* --- values ------------------------------------------------------------------------------------- */

static struct jser_reader *open_vector(const char *name, const struct jser_value **v)
{
    struct err err = {0};
    cleanup(buf_clear) struct buf in = BUF(1 << 20);
    load(name, &in);
    struct jser_reader *r = jser_reader_new(&wide);
    if (read_all(r, in.data, in.len, v, &err) != JSER_ITEM)
        fail_msg("%s: %s", name, err.msg);
    return r;
}

static void fields_are_found_by_name(void **state)
{
    (void)state;
    const struct jser_value *v = NULL;
    struct jser_reader *r = open_vector("good", &v);
    assert_int_equal(v->kind, JSER_OBJECT);
    assert_string_equal(v->class->name, "org.apache.spark.deploy.DeployMessages$DriverStatusResponse");
    const struct jser_value *found = jser_field(v, "found");
    assert_int_equal(found->kind, JSER_INTEGER);
    assert_int_equal(found->u.integer, 1);
    const struct jser_value *worker = jser_field(v, "workerId");
    assert_string_equal(jser_field_text(worker, "value"), "worker-20261120230631-127.0.0.1-27101");
    assert_null(jser_field(v, "nonsense"));
    assert_null(jser_field_text(v, "found"));
    jser_reader_free(r);
}

static void surrogate_pairs_become_one_character(void **state)
{
    (void)state;
    const struct jser_value *v = NULL;
    struct jser_reader *r = open_vector("java-utf-surrogates", &v);
    assert_string_equal(v->u.string.text, "\xf0\x9d\x84\x9e");
    jser_reader_free(r);
}

static void what_a_class_wrote_itself_is_its_annotation(void **state)
{
    (void)state;
    const struct jser_value *v = NULL;
    struct jser_reader *r = open_vector("java-extern-block", &v);
    assert_int_equal(v->u.object.n_parts, 1);
    const struct jser_items *items = &v->u.object.parts[0].annotation;
    assert_int_equal(items->n, 2);
    assert_int_equal(items->at[0]->kind, JSER_BLOCK);
    assert_int_equal(items->at[0]->u.block.len, 3);
    assert_memory_equal(items->at[0]->u.block.bytes, "abc", 3);
    assert_string_equal(items->at[1]->u.string.text, "z");
    jser_reader_free(r);
}

/* A stream written out in the test: header and these bytes. */
#define STREAM(bytes) "\xac\xed\x00\x05" bytes, sizeof bytes - 1 + 4

static struct jser_reader *open_bytes(const char *bytes, size_t n, const struct jser_value **v)
{
    struct err err = {0};
    struct jser_reader *r = jser_reader_new(&wide);
    if (read_all(r, bytes, n, v, &err) != JSER_ITEM)
        fail_msg("%s", err.msg);
    return r;
}

static void arrays_of_numbers_keep_sign_and_size(void **state)
{
    (void)state;
    const struct jser_value *v = NULL;
    struct jser_reader *r =
        open_bytes(STREAM("ur\0\2[S\0\0\0\0\0\0\0\0\2\0\0xp\0\0\0\3\x00\x01\xff\xfe\x80\x00"), &v);
    assert_int_equal(v->u.array.count, 3);
    assert_int_equal(jser_array_integer(v, 0), 1);
    assert_int_equal(jser_array_integer(v, 1), -2);
    assert_int_equal(jser_array_integer(v, 2), -32768);
    jser_reader_free(r);
    r = open_bytes(STREAM("ur\0\2[D\0\0\0\0\0\0\0\0\2\0\0xp\0\0\0\1\x3f\xf8\0\0\0\0\0\0"), &v);
    assert_true(jser_array_real(v, 0) == 1.5);
    jser_reader_free(r);
}

static void proxies_classes_and_block_data_are_read(void **state)
{
    (void)state;
    const struct jser_value *v = NULL;
    struct jser_reader *r = open_bytes(STREAM("s}\0\0\0\1\0\3a.Bxp"), &v);
    assert_int_equal(v->class->n_interfaces, 1);
    assert_string_equal(v->class->interfaces[0], "a.B");
    jser_reader_free(r);
    r = open_bytes(STREAM("vr\0\3a.C\0\0\0\0\0\0\0\1\2\0\0xp"), &v);
    assert_int_equal(v->kind, JSER_CLASS);
    assert_string_equal(v->class->name, "a.C");
    jser_reader_free(r);
    r = open_bytes(STREAM("z\0\0\0\2hi"), &v);
    assert_int_equal(v->kind, JSER_BLOCK);
    assert_int_equal(v->u.block.len, 2);
    jser_reader_free(r);
}

static void an_object_may_refer_to_itself(void **state)
{
    (void)state;
    const struct jser_value *v = NULL;
    struct jser_reader *r =
        open_bytes(STREAM("sr\0\1N\0\0\0\0\0\0\0\1\2\0\1L\0\1nt\0\3LN;xpq\0\x7e\0\2"), &v);
    assert_ptr_equal(jser_field(v, "n"), v);
    jser_reader_free(r);
}

static void handles_live_as_long_as_the_stream_unless_it_is_reset(void **state)
{
    (void)state;
    const struct jser_value *first = NULL;
    const struct jser_value *v = NULL;
    struct err err;
    struct jser_reader *r = open_bytes(STREAM("t\0\2hi"), &first);
    assert_int_equal(read_all(r, "q\0\x7e\0\0", 5, &v, &err), JSER_ITEM);
    assert_ptr_equal(v, first);
    assert_int_equal(read_all(r, "yq\0\x7e\0\0", 6, &v, &err), JSER_BROKEN);
    jser_reader_free(r);
}

static void the_exception_of_a_peers_writer_is_told(void **state)
{
    (void)state;
    static const char bytes[] = "\xac\xed\0\5{sr\0\3a.X\0\0\0\0\0\0\0\1\2\0\1L\0\rdetailMessage"
                                "t\0\3LS;xpt\0\4oops";
    struct err err = {0};
    const struct jser_value *v = NULL;
    for (size_t cut = 4; cut < sizeof bytes; cut++) {
        struct jser_reader *r = jser_reader_new(&wide);
        (void)read_all(r, bytes, cut, &v, &err);
        assert_int_equal(read_all(r, bytes + cut, sizeof bytes - 1 - cut, &v, &err), JSER_BROKEN);
        assert_non_null(strstr(err.msg, "a.X: oops"));
        jser_reader_free(r);
    }
}

static void malformed_text_headers_and_codes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"GET / HTTP", 10},
        {"\xac\xed\0\6p", 5},
        {STREAM("t\0\1\xff")},
        {STREAM("t\0\2\xc3"
                "A")},
        {STREAM("t\0\4\xf0\x9d\x84\x9e")},
        {STREAM("x")},
        {STREAM("\x01")},
        {STREAM("sp")},
        {STREAM("q\0\0\0\0")},
        {STREAM("st\0\1a")},
        {STREAM("z\xff\xff\xff\xff")},
        {STREAM("sr\0\1N\0\0\0\0\0\0\0\1\2\0\1Q\0\1nxp")},
        {STREAM("sr\0\1N\0\0\0\0\0\0\0\1\6\0\0xp")},
        {STREAM("sr\0\1N\0\0\0\0\0\0\0\1\4\0\0xp")},
        {STREAM("ur\0\1N\0\0\0\0\0\0\0\1\2\0\0xp\0\0\0\0")},
        {STREAM("|\xff\xff\xff\xff\xff\xff\xff\xff")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err;
        const struct jser_value *v = NULL;
        struct jser_reader *r = jser_reader_new(&wide);
        if (read_all(r, rows[i].bytes, rows[i].n, &v, &err) != JSER_BROKEN)
            fail_msg("row %zu was accepted", i);
        jser_reader_free(r);
    }
}

/* --- limits ------------------------------------------------------------------------------------- */

static enum jser_result read_with(const struct jser_limits *limits, const char *vector, struct err *err)
{
    const struct jser_value *v = NULL;
    cleanup(buf_clear) struct buf in = BUF(1 << 20);
    load(vector, &in);
    struct jser_reader *r = jser_reader_new(limits);
    enum jser_result result = read_all(r, in.data, in.len, &v, err);
    jser_reader_free(r);
    return result;
}

static void each_limit_holds(void **state)
{
    (void)state;
    struct err err;
    struct jser_limits l = wide;
    l.bytes = 1000;
    assert_int_equal(read_with(&l, "good", &err), JSER_BROKEN);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    l = wide;
    l.memory = 1000;
    assert_int_equal(read_with(&l, "good", &err), JSER_BROKEN);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    l = wide;
    l.handles = 10;
    assert_int_equal(read_with(&l, "good", &err), JSER_BROKEN);
    assert_non_null(strstr(err.msg, "10 handles"));
    l = wide;
    l.depth = 299;
    assert_int_equal(read_with(&l, "java-deep-300", &err), JSER_BROKEN);
    assert_non_null(strstr(err.msg, "299 levels"));
}

static void a_peer_that_drips_bytes_is_cut_off(void **state)
{
    (void)state;
    struct jser_limits l = wide;
    l.bytes = 20000;
    struct jser_reader *r = jser_reader_new(&l);
    const struct jser_value *v = NULL;
    struct err err = {0};
    static const char head[] = "\xac\xed\0\5ur\0\3[LO\0\0\0\0\0\0\0\0\2\0\0xp\0\0\x40\0";
    enum jser_result result = read_all(r, head, sizeof head - 1, &v, &err);
    while (result == JSER_MORE && read_all(r, "", 0, &v, &err) == JSER_MORE)
        result = read_all(r, "t\0\0", 3, &v, &err); /* an array of many empty strings */
    assert_int_equal(result, JSER_BROKEN);
    jser_reader_free(r);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf in = BUF(1 << 20);
    load("spark-3.5.7-bound-ports.response", &in);
    enum jser_result result = JSER_BROKEN;
    for (long n = 1; result != JSER_ITEM; n++) {
        long live = mem_live();
        const struct jser_value *v = NULL;
        struct err err = {0};
        mem_fail_at(n);
        struct jser_reader *r = jser_reader_new(&wide);
        if (r != NULL) {
            result = read_all(r, in.data, in.len, &v, &err);
            assert_true(result == JSER_ITEM || err.code == ERR_NOMEM);
        }
        mem_fail_at(0);
        jser_reader_free(r);
        assert_int_equal(mem_live(), live);
    }
}

/* --- writing ------------------------------------------------------------------------------------ */

/* Objects written so far, so that shared ones are shared again. */
struct copy {
    struct jser_writer w;
    const struct jser_value *done[4096];
    uint32_t number[4096];
    size_t n;
};

static void copy_value(struct copy *c, const struct jser_value *v);

static void note(struct copy *c, const struct jser_value *v, uint32_t number)
{
    assert_true(c->n < 4096);
    c->done[c->n] = v;
    c->number[c->n++] = number;
}

static void copy_part(struct copy *c, const struct jser_part *part)
{
    for (unsigned i = 0; i < part->class->n_fields; i++) {
        const struct jser_value *v = part->fields[i];
        char type = part->class->fields[i].type;
        if (v->kind == JSER_INTEGER)
            jser_write_integer(&c->w, type, v->u.integer);
        else if (v->kind == JSER_REAL)
            jser_write_real(&c->w, type, v->u.real);
        else
            copy_value(c, v);
    }
    if ((part->class->flags & (JSER_WRITE_METHOD | JSER_BLOCK_DATA)) == 0)
        return;
    for (size_t i = 0; i < part->annotation.n; i++)
        copy_value(c, part->annotation.at[i]);
    jser_write_end(&c->w);
}

static void copy_array(struct copy *c, const struct jser_value *v)
{
    char type = v->class->name[1];
    note(c, v, jser_write_array(&c->w, v->class, v->u.array.count));
    for (uint32_t i = 0; i < v->u.array.count; i++) {
        if (v->u.array.items.at != NULL)
            copy_value(c, v->u.array.items.at[i]);
        else if (type == 'D' || type == 'F')
            jser_write_real(&c->w, type, jser_array_real(v, i));
        else
            jser_write_integer(&c->w, type, jser_array_integer(v, i));
    }
}

static void copy_value(struct copy *c, const struct jser_value *v)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->done[i] == v) {
            jser_write_reference(&c->w, c->number[i]);
            return;
        }
    }
    switch (v->kind) {
    case JSER_NULL: jser_write_null(&c->w); break;
    case JSER_STRING: jser_write_string(&c->w, v->u.string.text, v->u.string.len); break;
    case JSER_OBJECT:
        note(c, v, jser_write_object(&c->w, v->class));
        for (size_t i = 0; i < v->u.object.n_parts; i++)
            copy_part(c, &v->u.object.parts[i]);
        break;
    case JSER_ARRAY: copy_array(c, v); break;
    case JSER_ENUM: note(c, v, jser_write_enum(&c->w, v->class, v->u.constant)); break;
    case JSER_CLASS: note(c, v, jser_write_class(&c->w, v->class)); break;
    case JSER_BLOCK: jser_write_block(&c->w, v->u.block.bytes, v->u.block.len); break;
    case JSER_CLASS_DESC:
    case JSER_INTEGER:
    case JSER_REAL: fail_msg("kind %d is no value of its own", (int)v->kind);
    }
}

static void what_was_read_is_written_back_byte_by_byte(void **state)
{
    (void)state;
    static const char *const names[] = {
        "good",
        "java-deep-300",
        "java-extern-block",
        "java-utf-surrogates",
        "spark-3.5.7-bound-ports.response",
        "spark-3.5.7-kill-executors-known-app.request",
        "spark-3.5.7-request-executors-total-1.request",
        "spark-3.5.7-submit-driver.request",
        "spark-3.5.7-submit-driver-pi.request",
        "spark-4.0.1-kill-executors-known-app.request",
        "spark-4.0.1-request-executors-total-1.request",
        "spark-4.0.1-submit-driver.request",
        "spark-4.0.1-submit-driver-pi.request",
    };
    static struct copy c;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct jser_value *v = NULL;
        cleanup(buf_clear) struct buf in = BUF(1 << 20);
        cleanup(buf_clear) struct buf out = BUF(1 << 20);
        load(names[i], &in);
        struct jser_reader *r = open_bytes(in.data, in.len, &v);
        c.n = 0;
        jser_writer_init(&c.w, &out);
        copy_value(&c, v);
        assert_int_equal(jser_writer_check(&c.w, NULL), ERR_OK);
        if (out.len != in.len || memcmp(out.data, in.data, in.len) != 0)
            fail_msg("%s: %zu bytes became %zu", names[i], in.len, out.len);
        jser_writer_clear(&c.w);
        jser_reader_free(r);
    }
}

static void any_text_survives_writing_and_reading(void **state)
{
    (void)state;
    static const char text[] = "plain \0 gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9d\x84\x9e";
    cleanup(buf_clear) struct buf out = BUF(1 << 20);
    struct jser_writer w;
    jser_writer_init(&w, &out);
    jser_write_string(&w, text, sizeof text - 1);
    const struct jser_value *v = NULL;
    struct jser_reader *r = open_bytes(out.data, out.len, &v);
    assert_int_equal(v->u.string.len, sizeof text - 1);
    assert_memory_equal(v->u.string.text, text, sizeof text);
    jser_writer_clear(&w);
    jser_reader_free(r);
}

static void bytes_that_are_no_text_are_replaced_when_written(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf out = BUF(1 << 20);
    struct jser_writer w;
    jser_writer_init(&w, &out);
    jser_write_string(&w, "a\xff\xc3", 3);
    const struct jser_value *v = NULL;
    struct jser_reader *r = open_bytes(out.data, out.len, &v);
    assert_string_equal(v->u.string.text, "a\xef\xbf\xbd\xef\xbf\xbd");
    jser_writer_clear(&w);
    jser_reader_free(r);
}

static void long_text_takes_the_long_form(void **state)
{
    (void)state;
    enum { N = 70000 };
    char *text = mem_alloc(N);
    memset(text, 'x', N);
    cleanup(buf_clear) struct buf out = BUF(1 << 20);
    struct jser_writer w;
    jser_writer_init(&w, &out);
    jser_write_string(&w, text, N);
    const struct jser_value *v = NULL;
    struct jser_reader *r = open_bytes(out.data, out.len, &v);
    assert_int_equal(v->u.string.len, N);
    jser_writer_clear(&w);
    jser_reader_free(r);
    mem_free(text);
}

static void each_of_many_texts_is_written_once(void **state)
{
    (void)state;
    enum { TEXTS = 50000, REFERENCE = 5 };
    cleanup(buf_clear) struct buf out = BUF(4 << 20);
    struct jser_writer w;
    size_t once = 0;
    jser_writer_init(&w, &out);
    for (int i = 0; i < 2 * TEXTS; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "%d", i % TEXTS);
        jser_write_string(&w, text, (size_t)n);
        once = i + 1 == TEXTS ? out.len : once;
    }
    assert_int_equal(jser_writer_check(&w, NULL), ERR_OK);
    assert_int_equal(out.len, once + TEXTS * REFERENCE);
    assert_memory_equal(out.data + out.len - REFERENCE, "q\0\x7e\xc3\x4f", REFERENCE);
    jser_writer_clear(&w);
}

static void writing_survives_every_failing_allocation(void **state)
{
    (void)state;
    static const struct jser_class class = {.name = "a.B", .uid = 1, .flags = JSER_SERIALIZABLE};
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        struct buf out = BUF(1 << 20);
        struct jser_writer w;
        mem_fail_at(n);
        jser_writer_init(&w, &out);
        for (char c = 'a'; c <= 'z'; c++)
            jser_write_string(&w, &c, 1);
        (void)jser_write_object(&w, &class);
        mem_fail_at(0);
        rc = jser_writer_check(&w, NULL);
        jser_writer_clear(&w);
        buf_clear(&out);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_streams_are_read_to_their_end),
        cmocka_unit_test(broken_streams_are_refused_with_words),
        cmocka_unit_test(a_stream_cut_anywhere_waits_for_more_and_then_goes_on),
        cmocka_unit_test(a_broken_stream_cut_anywhere_gives_no_value),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(flipped_bits_never_crash_the_reader),
        cmocka_unit_test(fields_are_found_by_name),
        cmocka_unit_test(surrogate_pairs_become_one_character),
        cmocka_unit_test(what_a_class_wrote_itself_is_its_annotation),
        cmocka_unit_test(arrays_of_numbers_keep_sign_and_size),
        cmocka_unit_test(proxies_classes_and_block_data_are_read),
        cmocka_unit_test(an_object_may_refer_to_itself),
        cmocka_unit_test(handles_live_as_long_as_the_stream_unless_it_is_reset),
        cmocka_unit_test(the_exception_of_a_peers_writer_is_told),
        cmocka_unit_test(malformed_text_headers_and_codes_are_refused),
        cmocka_unit_test(each_limit_holds),
        cmocka_unit_test(a_peer_that_drips_bytes_is_cut_off),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(what_was_read_is_written_back_byte_by_byte),
        cmocka_unit_test(any_text_survives_writing_and_reading),
        cmocka_unit_test(bytes_that_are_no_text_are_replaced_when_written),
        cmocka_unit_test(long_text_takes_the_long_form),
        cmocka_unit_test(each_of_many_texts_is_written_once),
        cmocka_unit_test(writing_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
