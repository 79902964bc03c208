/* Answers of Spark nodes as JSON: real ones of both dialects, cut and broken ones, and what words say. */
#include "rpc/answer.h"
#include "rpc/frame.h"
#include "spark/jser.h"
#include "base/strs.h"

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

#ifdef __SANITIZE_ADDRESS__
enum { LONG_STEP = 23 }; /* bytes; so that it does not take minutes */
#else
enum { LONG_STEP = 1 };
#endif

static void every_shorter_one_is_broken(const char *name, const struct buf *frame)
{
    size_t n = frame->len - CALL_HEAD;
    size_t step = n > 4000 ? LONG_STEP : 1;
    for (size_t cut = 0; cut < n; cut += step) {
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

/* --- objects made in the test ------------------------------------------------------------------- */

struct maker {
    struct jser_writer w;
    struct buf out;
};

static void start(struct maker *m)
{
    m->out = (struct buf)BUF(64 << 20);
    jser_writer_init(&m->w, &m->out);
}

/* What was made is this JSON. */
static void gives(struct maker *m, const char *json)
{
    assert_int_equal(jser_writer_check(&m->w, NULL), ERR_OK);
    is_value(m->out.data, m->out.len, json);
    jser_writer_clear(&m->w);
    buf_clear(&m->out);
}

static void is_refused(struct maker *m, const char *words)
{
    assert_int_equal(jser_writer_check(&m->w, NULL), ERR_OK);
    is_broken(m->out.data, m->out.len, words);
    jser_writer_clear(&m->w);
    buf_clear(&m->out);
}

enum { MADE_FIELDS_MAX = 4, SELF = JSER_WRITE_METHOD };

/* An object of a class with these fields, "Iport Lhost": their values come next. */
static uint32_t object(struct maker *m, const char *class, unsigned flags, const char *fields)
{
    struct strlist names = {0};
    struct jser_field_desc descs[MADE_FIELDS_MAX];
    assert_int_equal(strlist_split(&names, fields, " "), 0);
    for (size_t i = 0; i < names.n; i++) {
        char type = names.items[i][0];
        descs[i] = (struct jser_field_desc){type, names.items[i] + 1, type == 'L' ? "LX;" : NULL};
    }
    const struct jser_class c = {.name = class,
                                 .flags = (uint8_t)(JSER_SERIALIZABLE | flags),
                                 .n_fields = (uint16_t)names.n,
                                 .fields = descs};
    uint32_t number = jser_write_object(&m->w, &c);
    strlist_clear(&names);
    return number;
}

static void string(struct maker *m, const char *s)
{
    jser_write_string(&m->w, s, strlen(s));
}

static void boxed(struct maker *m, int64_t n)
{
    static const struct jser_field_desc value = {'J', "value", NULL};
    static const struct jser_class number = {.name = "java.lang.Number", .flags = JSER_SERIALIZABLE};
    static const struct jser_class class = {.name = "java.lang.Long",
                                            .flags = JSER_SERIALIZABLE,
                                            .n_fields = 1,
                                            .fields = &value,
                                            .super = &number};
    (void)jser_write_object(&m->w, &class);
    jser_write_integer(&m->w, 'J', n);
}

static void array_of(struct maker *m, uint32_t n)
{
    static const struct jser_class class = {.name = "[Ljava.lang.Object;", .flags = JSER_SERIALIZABLE};
    (void)jser_write_array(&m->w, &class, n);
}

static void module(struct maker *m, const char *class)
{
    (void)object(m, "scala.runtime.ModuleSerializationProxy", 0, "LmoduleClass");
    (void)jser_write_class(&m->w, &(struct jser_class){.name = class});
}

static void collection(struct maker *m, const char *factory, const char *of, const char *count)
{
    (void)object(m, "scala.collection.generic.DefaultSerializationProxy", SELF, "Lfactory");
    (void)object(m, factory, 0, "Lfactory");
    module(m, of);
    jser_write_block(&m->w, count, 4);
}

static void pair_of(struct maker *m, const char *first, int64_t second)
{
    (void)object(m, "scala.Tuple2", 0, "L_1 L_2");
    string(m, first);
    boxed(m, second);
}

#define IMMUTABLE "scala.collection.immutable."
#define MUTABLE "scala.collection.mutable."

static void case_objects_of_both_dialects(void **state)
{
    (void)state;
    static const struct {
        const char *class, *json;
    } cases[] = {
        {"scala.None$", "null"},
        {IMMUTABLE "Nil$", "[]"},
        {IMMUTABLE "Map$EmptyMap$", "{}"},
    };
    struct maker m;
    for (size_t i = 0; i < 3; i++) {
        start(&m);
        (void)object(&m, cases[i].class, 0, "");
        gives(&m, cases[i].json);
        start(&m);
        module(&m, cases[i].class);
        gives(&m, cases[i].json);
    }
    start(&m);
    module(&m, "a.b.C$");
    gives(&m, "\"<module a.b.C$>\"");
    start(&m);
    (void)object(&m, "a.b.C$", 0, "");
    gives(&m, "{\"class\":\"C$\"}");
    start(&m);
    (void)object(&m, "scala.runtime.ModuleSerializationProxy", 0, "LmoduleClass");
    jser_write_null(&m.w);
    gives(&m, "{\"class\":\"ModuleSerializationProxy\",\"moduleClass\":null}");
}

static void lists_of_both_dialects(void **state)
{
    (void)state;
    struct maker m;
    start(&m);
    (void)object(&m, IMMUTABLE "List$SerializationProxy", SELF, "");
    boxed(&m, 1);
    boxed(&m, -2);
    (void)object(&m, IMMUTABLE "ListSerializeEnd$", 0, "");
    jser_write_end(&m.w);
    gives(&m, "[1,-2]");
    start(&m);
    collection(&m, "scala.collection.IterableFactory$ToFactory", IMMUTABLE "List$", "\xff\xff\xff\xff");
    pair_of(&m, "a", 1);
    module(&m, "scala.collection.generic.SerializeEnd$");
    jser_write_end(&m.w);
    gives(&m, "[[\"a\",1]]");
    static const char *const arrays[][2] = {{MUTABLE "ArraySeq", "Ilength Larray"},
                                            {MUTABLE "WrappedArray$ofRef", "Larray"},
                                            {IMMUTABLE "ArraySeq$ofRef", "LunsafeArray"}};
    for (size_t i = 0; i < 3; i++) {
        start(&m);
        (void)object(&m, arrays[i][0], 0, arrays[i][1]);
        if (i == 0)
            jser_write_integer(&m.w, 'I', 2);
        array_of(&m, 2);
        boxed(&m, 7);
        jser_write_null(&m.w);
        gives(&m, "[7,null]");
    }
}

static void maps_of_both_dialects(void **state)
{
    (void)state;
    struct maker m;
    static const char *const old[][2] = {{IMMUTABLE "HashMap$SerializationProxy", "\0\0\0\2"},
                                         {MUTABLE "HashMap", "0123456789abc"}};
    for (size_t i = 0; i < 2; i++) {
        start(&m);
        (void)object(&m, old[i][0], SELF, "");
        jser_write_block(&m.w, old[i][1], i == 0 ? 4 : 13);
        string(&m, "a");
        boxed(&m, 1);
        boxed(&m, 2);
        string(&m, "b");
        jser_write_end(&m.w);
        gives(&m, "{\"2\":\"b\",\"a\":1}");
    }
    static const char *const young[][2] = {{"scala.collection.MapFactory$ToFactory", IMMUTABLE "HashMap$"},
                                           {MUTABLE "HashMap$DeserializationFactory", IMMUTABLE "List$"}};
    for (size_t i = 0; i < 2; i++) {
        start(&m);
        collection(&m, young[i][0], young[i][1], "\0\0\0\1");
        pair_of(&m, "a", 1);
        jser_write_end(&m.w);
        gives(&m, "{\"a\":1}");
    }
    start(&m);
    (void)object(&m, IMMUTABLE "Map$WithDefault", 0, "Ldefault Lunderlying");
    jser_write_null(&m.w);
    (void)object(&m, IMMUTABLE "Map$Map1", 0, "Lkey1 Lvalue1");
    string(&m, "k");
    string(&m, "v");
    gives(&m, "{\"k\":\"v\"}");
    start(&m);
    (void)object(&m, IMMUTABLE "Map$Map2", 0,
                 "Lscala$collection$immutable$Map$Map2$$key1 Lscala$collection$immutable$Map$Map2$$key2 "
                 "Lscala$collection$immutable$Map$Map2$$value1 Lscala$collection$immutable$Map$Map2$$value2");
    string(&m, "k1");
    string(&m, "k2");
    boxed(&m, 1);
    boxed(&m, 2);
    gives(&m, "{\"k1\":1,\"k2\":2}");
}

static void keys_that_are_no_strings(void **state)
{
    (void)state;
    struct maker m;
    start(&m);
    (void)object(&m, IMMUTABLE "Map$Map3", 0, "Lkey1 Lkey2 Lvalue1 Lvalue2");
    (void)object(&m, "a.K", 0, "Iz Ia");
    jser_write_integer(&m.w, 'I', 1);
    jser_write_integer(&m.w, 'I', 2);
    jser_write_null(&m.w);
    boxed(&m, 1);
    boxed(&m, 2);
    gives(&m, "{\"null\":2,\"{\\\"a\\\":2,\\\"class\\\":\\\"K\\\",\\\"z\\\":1}\":1}");
}

static void an_option_is_what_is_in_it(void **state)
{
    (void)state;
    struct maker m;
    start(&m);
    (void)object(&m, "scala.Some", 0, "Lvalue");
    (void)object(&m, "scala.Some", 0, "Lvalue");
    pair_of(&m, "a", 1);
    gives(&m, "[\"a\",1]");
}

static void enumerations_and_addresses(void **state)
{
    (void)state;
    struct maker m;
    static const struct {
        const char *class;
        int64_t i;
        const char *json;
    } states[] = {
        {"org.apache.spark.deploy.master.DriverState$", 7, "\"ERROR\""},
        {"org.apache.spark.deploy.master.DriverState$", 8, "\"#8\""},
        {"org.apache.spark.deploy.master.RecoveryState$", 3, "\"COMPLETING_RECOVERY\""},
        {"org.apache.spark.deploy.master.RecoveryState$", 4, "\"#4\""},
        {"org.apache.spark.deploy.master.RecoveryState$", -1, "\"#-1\""},
        {"a.b.Unknown$", 0, "\"#0\""},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        start(&m);
        (void)object(&m, "scala.Enumeration$Value", 0, "Ii L$outer Lname");
        jser_write_integer(&m.w, 'I', states[i].i);
        module(&m, states[i].class);
        jser_write_null(&m.w);
        gives(&m, states[i].json);
    }
    start(&m);
    (void)object(&m, "org.apache.spark.rpc.RpcEndpointRef", 0, "LendpointAddress");
    (void)object(&m, "org.apache.spark.rpc.RpcEndpointAddress", 0, "Lname LrpcAddress");
    string(&m, "Worker");
    jser_write_null(&m.w);
    gives(&m, "{\"address\":null,\"name\":\"Worker\"}");
    start(&m);
    (void)object(&m, "org.apache.spark.rpc.RpcAddress", 0, "Iport Lhost");
    jser_write_integer(&m.w, 'I', 7077);
    string(&m, "::1");
    gives(&m, "\"::1:7077\"");
}

static void what_lacks_its_parts_is_broken(void **state)
{
    (void)state;
    struct maker m;
    static const char *const bare[][2] = {
        {"scala.Tuple2", "a pair without"},
        {"java.util.Date", "a date without"},
        {"org.apache.spark.rpc.RpcAddress", "an address without"},
        {"org.apache.spark.rpc.RpcEndpointRef", "a reference to an endpoint without"},
        {"org.apache.spark.storage.BlockManagerId", "a BlockManagerId that cannot be read"},
        {"org.apache.spark.rpc.netty.RpcFailure", "a failure without an exception"},
    };
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        start(&m);
        (void)object(&m, bare[i][0], 0, "");
        is_refused(&m, bare[i][1]);
    }
    start(&m);
    (void)object(&m, IMMUTABLE "HashMap$SerializationProxy", SELF, "");
    string(&m, "key");
    jser_write_end(&m.w);
    is_refused(&m, "a key without a value");
    start(&m);
    collection(&m, "scala.collection.MapFactory$ToFactory", IMMUTABLE "HashMap$", "\0\0\0\1");
    string(&m, "key");
    jser_write_end(&m.w);
    is_refused(&m, "no pair");
    start(&m);
    (void)object(&m, IMMUTABLE "Map$Map1", 0, "Lkey1");
    string(&m, "key");
    is_refused(&m, "a key without a value");
}

/* --- circles, depth, repetition ----------------------------------------------------------------- */

static void circles_are_cut(void **state)
{
    (void)state;
    struct maker m;
    start(&m);
    uint32_t self = object(&m, "a.Node", 0, "Lnext");
    jser_write_reference(&m.w, self);
    gives(&m, "{\"class\":\"Node\",\"next\":\"<cycle Node>\"}");
    start(&m);
    self = object(&m, "java.lang.Throwable", 0, "Lcause LdetailMessage");
    jser_write_reference(&m.w, self);
    string(&m, "oops");
    gives(&m, "{\"cause\":null,\"exception\":\"java.lang.Throwable\",\"message\":\"oops\"}");
}

static void a_hundred_thousand_levels_are_an_error(void **state)
{
    (void)state;
    enum { LEVELS = 100000 };
    struct maker m;
    start(&m);
    for (int i = 0; i < LEVELS; i++)
        array_of(&m, 1);
    jser_write_null(&m.w);
    is_refused(&m, "nested deeper than 400 levels");
    cleanup(buf_clear) struct buf classes = BUF(64 << 20);
    buf_add(&classes, "\xac\xed\0\5s", 5);
    for (int i = 0; i < LEVELS; i++)
        buf_add(&classes, "r\0\1N\0\0\0\0\0\0\0\1\2\0\0x", 16);
    buf_char(&classes, 'p');
    is_broken(classes.data, classes.len, "nested deeper than 400 levels");
}

/* Each array refers to the one before it: flat in the stream, deep in what it means. */
static void depth_by_references_is_an_error(void **state)
{
    (void)state;
    enum { LEVELS = 1000 };
    struct maker m;
    start(&m);
    array_of(&m, LEVELS);
    array_of(&m, 0);
    for (uint32_t i = 1; i < LEVELS; i++) {
        array_of(&m, 1);
        jser_write_reference(&m.w, i + 1); /* 0 is the class, 1 the array around */
    }
    is_refused(&m, "nested deeper than 400 levels");
}

/* Forty arrays, each twice in the next: a few hundred bytes for 2^40 values. */
static void endless_repetition_is_an_error(void **state)
{
    (void)state;
    enum { DOUBLINGS = 40 };
    struct maker m;
    start(&m);
    array_of(&m, DOUBLINGS);
    array_of(&m, 0);
    for (uint32_t i = 1; i < DOUBLINGS; i++) {
        array_of(&m, 2);
        jser_write_reference(&m.w, i + 1);
        jser_write_reference(&m.w, i + 1);
    }
    is_refused(&m, "more than 134217728 bytes");
}

/* An object with many fields costs time each time that it is met, though it gives one small value. */
static void endless_searching_is_an_error(void **state)
{
    (void)state;
    enum { BLOCKS = 60000, TIMES = 200000 };
    struct maker m;
    start(&m);
    array_of(&m, TIMES);
    uint32_t list = object(&m, IMMUTABLE "List$SerializationProxy", SELF, "");
    for (int i = 0; i < BLOCKS; i++)
        jser_write_block(&m.w, "", 0);
    jser_write_end(&m.w);
    for (int i = 1; i < TIMES; i++)
        jser_write_reference(&m.w, list);
    is_refused(&m, "more than 134217728 bytes");
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    static const char *const names[] = {"app-memory-status", "worker-state-busy"};
    for (size_t i = 0; i < 2; i++) {
        cleanup(buf_clear) struct buf frame = vector_bytes("3.5.7", names[i], ".response.hex");
        enum answer_kind kind = ANSWER_BROKEN;
        for (long n = 1; kind == ANSWER_BROKEN; n++) {
            long live = mem_live();
            struct err err = {0};
            json_t *value = NULL;
            mem_fail_at(n);
            kind =
                rpc_answer_read((const uint8_t *)frame.data + CALL_HEAD, frame.len - CALL_HEAD, &value, &err);
            mem_fail_at(0);
            assert_true(kind != ANSWER_BROKEN || err.code == ERR_NOMEM);
            json_decref(value);
            assert_int_equal(mem_live(), live);
        }
    }
}

/* --- words -------------------------------------------------------------------------------------- */

static void the_last_name_of_a_class(void **state)
{
    (void)state;
    json_t *value = json_pack("{s:s}", "class", "DeployMessages$MasterStateResponse");
    assert_string_equal(rpc_answer_class(value), "MasterStateResponse");
    assert_int_equal(json_object_set_new(value, "class", json_string("WorkerInfo")), 0);
    assert_string_equal(rpc_answer_class(value), "WorkerInfo");
    assert_int_equal(json_object_set_new(value, "class", json_string("Messages$Done$")), 0);
    assert_string_equal(rpc_answer_class(value), "Done$");
    assert_int_equal(json_object_set_new(value, "class", json_true()), 0);
    assert_string_equal(rpc_answer_class(value), "");
    assert_string_equal(rpc_answer_class(json_null()), "");
    assert_string_equal(rpc_answer_class(NULL), "");
    json_decref(value);
}

static void an_exception_in_one_line(void **state)
{
    (void)state;
    json_t *cause = json_pack("{s:s,s:n,s:n}", "exception", "a.B", "message", "cause");
    json_t *e = json_pack("{s:s,s:s,s:o}", "exception", "java.io.IOException", "message", "one\n\ttwo\x7f",
                          "cause", cause);
    char *words = rpc_exception_words(e);
    assert_string_equal(words, "java.io.IOException: one  two , caused by a.B");
    mem_free(words);
    char *text = mem_calloc(1, 10001);
    memset(text, 'x', 10000);
    assert_int_equal(json_object_set_new(e, "message", json_string(text)), 0);
    words = rpc_exception_words(e);
    assert_int_equal(strlen(words), 4000);
    mem_free(words);
    mem_free(text);
    json_decref(e);
    words = rpc_exception_words(NULL);
    assert_string_equal(words, "");
    mem_free(words);
}

static void failure_is(const char *text, size_t n, const char *expected)
{
    char words[401];
    rpc_failure_words(text, n, words);
    assert_string_equal(words, expected);
}

static void the_first_line_of_a_failure(void **state)
{
    (void)state;
    failure_is("", 0, "");
    failure_is("one\ntwo", 7, "one");
    failure_is("one\r\ntwo", 8, "one");
    failure_is("a\0b\x1b[2Jc\xc2\x85"
               "d",
               11, "a b [2Jc d");
    failure_is("\xc3\xa4\xe2\x82", 4, "\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
    char text[500];
    char expected[401] = {0};
    memset(text, 'x', sizeof text);
    memset(expected, 'x', 399);
    memcpy(text + 399, "\xe2\x82\xac", 3); /* does not fit whole */
    failure_is(text, sizeof text, expected);
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
        cmocka_unit_test(case_objects_of_both_dialects),
        cmocka_unit_test(lists_of_both_dialects),
        cmocka_unit_test(maps_of_both_dialects),
        cmocka_unit_test(keys_that_are_no_strings),
        cmocka_unit_test(an_option_is_what_is_in_it),
        cmocka_unit_test(enumerations_and_addresses),
        cmocka_unit_test(what_lacks_its_parts_is_broken),
        cmocka_unit_test(circles_are_cut),
        cmocka_unit_test(a_hundred_thousand_levels_are_an_error),
        cmocka_unit_test(depth_by_references_is_an_error),
        cmocka_unit_test(endless_repetition_is_an_error),
        cmocka_unit_test(endless_searching_is_an_error),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(the_last_name_of_a_class),
        cmocka_unit_test(an_exception_in_one_line),
        cmocka_unit_test(the_first_line_of_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
