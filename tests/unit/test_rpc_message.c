/* Messages to Spark nodes: the golden bytes of both dialects, learning from refusals, what is refused. */
#include "rpc/frame.h"
#include "rpc/message.h"

#include "rpc_vectors.h"

#include <string.h>

static const char *const folders[] = {[RPC_SCALA_212] = "3.5.7", [RPC_SCALA_213] = "4.0.1"};

static const char *const names[] = {
    [RPC_CHECK_EXISTENCE] = "check_existence",
    [RPC_BOUND_PORTS] = "bound_ports_request",
    [RPC_MASTER_STATE] = "request_master_state",
    [RPC_WORKER_STATE] = "request_worker_state",
    [RPC_SUBMIT_DRIVER] = "request_submit_driver",
    [RPC_KILL_DRIVER] = "request_kill_driver",
    [RPC_DRIVER_STATUS] = "request_driver_status",
    [RPC_KILL_ALL_DRIVERS] = "request_kill_all_drivers",
    [RPC_CLEAR] = "request_clear",
    [RPC_READYZ] = "request_readyz",
    [RPC_EXECUTORS] = "request_executors",
    [RPC_EXECUTORS_TOTAL] = "request_executors_total",
    [RPC_KILL_EXECUTORS] = "kill_executors",
    [RPC_DECOMMISSION] = "decommission_workers_on_hosts",
    [RPC_UNREGISTER] = "unregister_application",
    [RPC_WORKER_KILL_DRIVER] = "kill_driver",
    [RPC_SPARK_APP_CONFIG] = "retrieve_spark_app_config",
    [RPC_IS_EXECUTOR_ALIVE] = "is_executor_alive",
    [RPC_MEMORY_STATUS] = "get_memory_status",
};

/* --- building what a row of expected.json describes --------------------------------------------- */

struct built {
    struct rpc_message message;
    struct rpc_driver driver;
    struct strlist list, arguments, class_path, library_path, java_options;
    struct strmap environment;
    char receiver_host[64], sender_host[64];
    struct rpc_address receiver, sender;
};

static void clear_built(struct built *b)
{
    strlist_clear(&b->list);
    strlist_clear(&b->arguments);
    strlist_clear(&b->class_path);
    strlist_clear(&b->library_path);
    strlist_clear(&b->java_options);
    strmap_clear(&b->environment);
}

static void take_list(const json_t *list, struct strlist *ret)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) assert_int_equal(strlist_add(ret, json_string_value(item)), 0);
}

static const struct strlist *take_list_if_any(const json_t *list, struct strlist *ret)
{
    take_list(list, ret);
    return ret->n > 0 ? ret : NULL;
}

static void take_environment(json_t *environment, struct strmap *ret)
{
    /* in an order of their own: the writer sorts */
    for (size_t left = json_object_size(environment); left > 0; left--) {
        size_t i = 0;
        const char *key;
        json_t *value;
        json_object_foreach(environment, key, value)
        {
            if (++i == left)
                assert_int_equal(strmap_set(ret, key, json_string_value(value)), 0);
        }
    }
}

static void take_driver(const json_t *args, struct built *b)
{
    const json_t *command = json_object_get(args, "command");
    take_list(json_object_get(command, "arguments"), &b->arguments);
    take_environment(json_object_get(command, "environment"), &b->environment);
    b->driver = (struct rpc_driver){
        .jar_url = json_string_value(json_object_get(args, "jarUrl")),
        .memory_mib = json_integer_value(json_object_get(args, "mem")),
        .cores = json_integer_value(json_object_get(args, "cores")),
        .supervise = json_is_true(json_object_get(args, "supervise")),
        .main_class = json_string_value(json_object_get(command, "mainClass")),
        .arguments = &b->arguments,
        .environment = &b->environment,
        .class_path = take_list_if_any(json_object_get(command, "classPathEntries"), &b->class_path),
        .library_path = take_list_if_any(json_object_get(command, "libraryPathEntries"), &b->library_path),
        .java_options = take_list_if_any(json_object_get(command, "javaOpts"), &b->java_options),
    };
    b->message.driver = &b->driver;
}

static void take_args(const json_t *args, struct built *b)
{
    static const char *const texts[] = {"name", "driverId", "appId", "executorId"};
    for (size_t i = 0; i < 4; i++)
        if (json_object_get(args, texts[i]) != NULL)
            b->message.text = json_string_value(json_object_get(args, texts[i]));
    b->message.number = json_integer_value(json_object_get(args, "profileId"));
    b->message.total = json_integer_value(json_object_get(args, "total"));
    take_list(json_object_get(args, "ids"), &b->list);
    take_list(json_object_get(args, "hosts"), &b->list);
    b->message.list = &b->list;
    if (json_object_get(args, "command") != NULL)
        take_driver(args, b);
}

static void take_address(const json_t *address, char host[64], struct rpc_address *ret)
{
    const char *text = json_string_value(address);
    const char *colon = strrchr(text, ':');
    (void)snprintf(host, 64, "%.*s", (int)(colon - text), text);
    *ret = (struct rpc_address){host, (uint16_t)strtol(colon + 1, NULL, 10)};
}

/* False: not a message that hearth sends. */
static bool build(const json_t *row, struct built *b)
{
    const char *name = json_string_value(json_object_get(row, "message"));
    int kind = 0;
    while (kind < RPC_KINDS && (name == NULL || strcmp(names[kind], name) != 0))
        kind++;
    if (kind == RPC_KINDS)
        return false;
    b->message.kind = (enum rpc_kind)kind;
    take_args(json_object_get(row, "args"), b);
    take_address(json_object_get(row, "receiver"), b->receiver_host, &b->receiver);
    if (json_is_string(json_object_get(row, "sender")))
        take_address(json_object_get(row, "sender"), b->sender_host, &b->sender);
    return true;
}

static enum rpc_scala scala_of(const json_t *row)
{
    const char *dialect = json_string_value(json_object_get(row, "dialect"));
    return strcmp(dialect, "s212") == 0 ? RPC_SCALA_212 : RPC_SCALA_213;
}

/* --- golden bytes ------------------------------------------------------------------------------- */

static bool is_odd(const char *name)
{
    static const char *const odd[] = {"check-existence-uid-zero", "master-state-anonymous-class",
                                      "unknown-endpoint"};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(odd[i], name) == 0)
            return true;
    return false;
}

static void write_frame(const struct rpc_dialect *d, const struct built *b, int64_t id, struct buf *ret)
{
    struct err err = {0};
    cleanup(buf_clear) struct buf body = BUF(1 << 20);
    const struct rpc_address *sender = b->sender.host != NULL ? &b->sender : NULL;
    if (rpc_message_write(d, sender, &b->receiver, &b->message, &body, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    frame_write(ret, rpc_is_one_way(b->message.kind) ? FRAME_ONE_WAY : FRAME_REQUEST, id, body.data,
                body.len);
}

static void check_row(const char *folder, const char *name, const json_t *row)
{
    struct rpc_dialect d = {.scala = scala_of(row)};
    struct built b = {0};
    assert_true(build(row, &b));
    assert_string_equal(rpc_endpoint(b.message.kind), json_string_value(json_object_get(row, "endpoint")));
    cleanup(buf_clear) struct buf out = BUF(1 << 20);
    cleanup(buf_clear) struct buf golden = vector_bytes(folder, name, ".request.hex");
    write_frame(&d, &b, json_integer_value(json_object_get(row, "requestId")), &out);
    size_t same = 0;
    while (same < out.len && same < golden.len && out.data[same] == golden.data[same])
        same++;
    if (same < golden.len || same < out.len)
        fail_msg("%s/%s: %zu bytes instead of %zu, different from byte %zu on", folder, name, out.len,
                 golden.len, same);
    clear_built(&b);
}

static void every_golden_request_is_written_byte_by_byte(void **state)
{
    (void)state;
    unsigned checked = 0;
    unsigned kinds = 0;
    for (size_t i = 0; i < 2; i++) {
        json_t *expected = vector_expected(folders[i]);
        const char *name;
        json_t *row;
        json_object_foreach(json_object_get(expected, "vectors"), name, row)
        {
            struct built b = {0};
            bool is_ours = build(row, &b) && !is_odd(name);
            kinds |= is_ours ? 1U << b.message.kind : 0;
            clear_built(&b);
            if (!is_ours)
                continue;
            check_row(folders[i], name, row);
            checked++;
        }
        json_decref(expected);
    }
    assert_int_equal(checked, 95);
    assert_int_equal(kinds, (1U << RPC_KINDS) - 1);
}

/* --- learning ----------------------------------------------------------------------------------- */

static void learn_from(const char *folder, const char *name, struct rpc_dialect *d, enum rpc_lesson lesson)
{
    struct frame_reader r;
    struct frame f;
    cleanup(buf_clear) struct buf bytes = vector_bytes(folder, name, ".response.hex");
    frame_reader_init(&r, FRAME_MAX_DEFAULT);
    assert_int_equal(frame_reader_feed(&r, bytes.data, bytes.len, NULL), ERR_OK);
    assert_int_equal(frame_reader_next(&r, &f, NULL), FRAME_READY);
    char *text = mem_strndup((const char *)f.body, f.len);
    if (rpc_dialect_learn(d, text) != lesson)
        fail_msg("%s/%s: %s", folder, name, text);
    mem_free(text);
    frame_reader_clear(&r);
}

static void the_other_dialects_refusal_tells_the_dialect(void **state)
{
    (void)state;
    for (enum rpc_scala i = RPC_SCALA_212; i <= RPC_SCALA_213; i++) {
        struct rpc_dialect d = {.scala = !i};
        learn_from(folders[i], "check-existence-other-dialect", &d, RPC_LESSON);
        assert_int_equal(d.scala, i);
        learn_from(folders[i], "check-existence-other-dialect", &d, RPC_NO_LESSON);
        rpc_dialect_clear(&d);
    }
}

static void other_failures_teach_nothing(void **state)
{
    (void)state;
    static const char *const failures[] = {"unknown-class", "unknown-endpoint", "empty-content",
                                           "not-a-java-stream", "truncated-content"};
    for (enum rpc_scala i = RPC_SCALA_212; i <= RPC_SCALA_213; i++) {
        struct rpc_dialect d = {.scala = i};
        for (size_t j = 0; j < 5; j++)
            learn_from(folders[i], failures[j], &d, RPC_NO_LESSON);
        assert_int_equal(d.scala, i);
        assert_int_equal(d.n_learnt, 0);
    }
}

#define REFUSAL(class, uid)                                                                                  \
    "java.io.InvalidClassException: " class "; local class incompatible: stream classdesc serialVersionUID " \
                                            "= 1, local class serialVersionUID = " uid "\n\tat "             \
                                            "java.base/"                                                     \
                                            "java.io.ObjectStreamClass.initNonProxy(ObjectStreamClass.java:" \
                                            "597)\n"
#define PROFILE "org.apache.spark.resource.ResourceProfile"
#define EXISTENCE "org.apache.spark.rpc.netty.RpcEndpointVerifier$CheckExistence"
#define EXECUTORS "org.apache.spark.deploy.DeployMessages$RequestExecutors"

/* True when the message to that node has these bytes in it. */
static bool has_bytes(const struct rpc_dialect *d, const struct rpc_message *m, const char *bytes, size_t n)
{
    struct err err = {0};
    cleanup(buf_clear) struct buf body = BUF(1 << 20);
    const struct rpc_address to = {"localhost", 7077};
    if (rpc_message_write(d, NULL, &to, m, &body, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    return memmem(body.data, body.len, bytes, n) != NULL;
}

static void a_learnt_identity_is_used_from_then_on(void **state)
{
    (void)state;
    struct rpc_dialect d = {.scala = RPC_SCALA_212};
    const struct rpc_message m = {.kind = RPC_EXECUTORS_TOTAL, .text = "app-1", .total = 3};
    static const char as_learnt[] = PROFILE "\x61\xd2\x07\x2a\x6e\xf7\xcf\xaa\x02";
    assert_false(has_bytes(&d, &m, as_learnt, sizeof as_learnt - 1));
    assert_int_equal(rpc_dialect_learn(&d, REFUSAL(PROFILE, "7048704245620002730")), RPC_LESSON);
    assert_int_equal(d.scala, RPC_SCALA_212);
    assert_true(has_bytes(&d, &m, as_learnt, sizeof as_learnt - 1));
    assert_int_equal(rpc_dialect_learn(&d, REFUSAL(PROFILE, "7048704245620002730")), RPC_NO_LESSON);
    assert_int_equal(rpc_dialect_learn(&d, REFUSAL(PROFILE, "6817910790482746242")), RPC_LESSON);
    assert_int_equal(d.n_learnt, 1);
    assert_int_equal(rpc_dialect_learn(&d, REFUSAL(PROFILE, "-6369593179083993645")), RPC_LESSON);
    assert_int_equal(d.scala, RPC_SCALA_213);
    rpc_dialect_clear(&d);
    assert_int_equal(d.n_learnt, 0);
}

static void a_node_that_nobody_knows_is_taken_for_a_young_one(void **state)
{
    (void)state;
    struct rpc_dialect d = {.scala = RPC_SCALA_212};
    assert_int_equal(rpc_dialect_learn(&d, REFUSAL(EXISTENCE, "77")), RPC_LESSON);
    assert_int_equal(d.scala, RPC_SCALA_213);
    assert_int_equal(rpc_dialect_learn(&d, REFUSAL(EXISTENCE, "78")), RPC_LESSON);
    assert_int_equal(d.scala, RPC_SCALA_213);
    rpc_dialect_clear(&d);
}

static void a_missing_class_of_scala_tells_the_dialect(void **state)
{
    (void)state;
    struct rpc_dialect d = {.scala = RPC_SCALA_213};
    assert_int_equal(
        rpc_dialect_learn(&d, "java.lang.ClassNotFoundException: scala.runtime.ModuleSerializationProxy\n"),
        RPC_LESSON);
    assert_int_equal(d.scala, RPC_SCALA_212);
    assert_int_equal(
        rpc_dialect_learn(
            &d, "java.lang.ClassNotFoundException: scala.collection.immutable.List$SerializationProxy"),
        RPC_LESSON);
    assert_int_equal(d.scala, RPC_SCALA_213);
    assert_int_equal(rpc_dialect_learn(&d, "java.lang.ClassNotFoundException: scala.None$"), RPC_NO_LESSON);
    d.scala = RPC_SCALA_212;
    assert_int_equal(
        rpc_dialect_learn(
            &d,
            "java.lang.ClassNotFoundException: org.apache.spark.deploy.DeployMessages$RequestReadyz$\r\n"),
        RPC_NO_LESSON);
}

static void refusals_that_are_none_teach_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "java.io.InvalidClassException: ",
        "java.io.InvalidClassException: " EXISTENCE,
        "java.io.InvalidClassException: " EXISTENCE "; local class incompatible: x",
        "java.io.InvalidClassException: " EXISTENCE
        "\n; local class incompatible: local class serialVersionUID = 5",
        REFUSAL("com.example.Unknown", "5"),
        REFUSAL(EXISTENCE, ""),
        REFUSAL(EXISTENCE, "five"),
        REFUSAL(EXISTENCE, "92233720368547758070"),
        REFUSAL(EXISTENCE, "7789290765573734431"),
    };
    struct rpc_dialect d = {.scala = RPC_SCALA_212};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (rpc_dialect_learn(&d, texts[i]) != RPC_NO_LESSON)
            fail_msg("row %zu: %s", i, texts[i]);
    assert_int_equal(d.n_learnt, 0);
}

static void a_very_long_refusal_is_no_lesson(void **state)
{
    (void)state;
    struct rpc_dialect d = {.scala = RPC_SCALA_212};
    char text[4096];
    (void)snprintf(text, sizeof text, "InvalidClassException: %03000d", 7);
    assert_int_equal(rpc_dialect_learn(&d, text), RPC_NO_LESSON);
}

static void masters_before_spark_34_get_a_single_total(void **state)
{
    (void)state;
    static const char old[] =
        EXECUTORS "\xf4\xee\x55\xa2\xc1\xef\xe3\x71\2\0\2I\0\x0erequestedTotalL\0\5appIdt";
    struct rpc_dialect d = {.scala = RPC_SCALA_212};
    struct rpc_message m = {.kind = RPC_EXECUTORS_TOTAL, .text = "app-1", .total = 3};
    assert_int_equal(rpc_dialect_learn(&d, REFUSAL(EXECUTORS, "-797605926471212175")), RPC_LESSON);
    assert_int_equal(d.scala, RPC_SCALA_212);
    assert_true(has_bytes(&d, &m, old, sizeof old - 1));
    assert_true(has_bytes(&d, &m, "xp\0\0\0\3t\0\5app-1", 14));
    m.number = 1;
    struct err err = {0};
    cleanup(buf_clear) struct buf body = BUF(1 << 20);
    const struct rpc_address to = {"localhost", 7077};
    assert_int_equal(rpc_message_write(&d, NULL, &to, &m, &body, &err), ERR_INVALID);
    m = (struct rpc_message){.kind = RPC_EXECUTORS, .text = "app-1"};
    assert_int_equal(rpc_message_write(&d, NULL, &to, &m, &body, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "Spark 3.4"));
    rpc_dialect_clear(&d);
}

/* --- what is refused, and what is not ----------------------------------------------------------- */

static const struct rpc_driver sound = {
    .jar_url = "file:/a.jar", .memory_mib = 512, .cores = 1, .main_class = "a.B"};

static void refused(const struct rpc_message *m, const char *words)
{
    const struct rpc_dialect d = {.scala = RPC_SCALA_212};
    const struct rpc_address to = {"localhost", 7077};
    struct err err = {0};
    cleanup(buf_clear) struct buf body = BUF(1 << 20);
    buf_str(&body, "before");
    assert_int_equal(rpc_message_write(&d, NULL, &to, m, &body, &err), ERR_INVALID);
    assert_string_equal(body.data, "before");
    if (strstr(err.msg, words) == NULL)
        fail_msg("%s", err.msg);
}

static void refused_driver(struct rpc_driver d, const char *words)
{
    refused(&(struct rpc_message){.kind = RPC_SUBMIT_DRIVER, .driver = &d}, words);
}

static void incomplete_messages_are_refused_with_words(void **state)
{
    (void)state;
    struct rpc_driver d = sound;
    refused(&(struct rpc_message){.kind = RPC_KILL_DRIVER}, "text is required");
    refused(&(struct rpc_message){.kind = RPC_KILL_EXECUTORS, .text = "app"}, "list is required");
    refused(&(struct rpc_message){.kind = RPC_SUBMIT_DRIVER}, "driver is required");
    refused(&(struct rpc_message){.kind = RPC_EXECUTORS_TOTAL, .text = "app", .total = -1}, "total");
    refused(&(struct rpc_message){.kind = RPC_SPARK_APP_CONFIG, .number = 1L << 31}, "profile's id");
    d.jar_url = NULL;
    refused_driver(d, "jar's URL is required");
    d = sound;
    d.main_class = NULL;
    refused_driver(d, "main class is required");
    d = sound;
    d.memory_mib = 3000000000;
    refused_driver(d, "the driver's memory in MiB is 3000000000, it must be 0 to 2147483647");
    d = sound;
    d.cores = -1;
    refused_driver(d, "cores is -1");
    d = sound;
    d.resources = &(struct rpc_resource){.name = "gpu", .amount = 1, .parts = 0};
    d.n_resources = 1;
    refused_driver(d, "parts of a resource");
}

static void hosts_have_to_fit(void **state)
{
    (void)state;
    const struct rpc_dialect d = {.scala = RPC_SCALA_212};
    const struct rpc_message m = {.kind = RPC_MASTER_STATE};
    char *host = mem_calloc(1, 70001);
    memset(host, 'x', 70000);
    cleanup(buf_clear) struct buf body = BUF(1 << 20);
    struct err err = {0};
    const struct rpc_address longest = {host, 1};
    const struct rpc_address good = {"localhost", 1};
    const struct rpc_address foreign = {"m\xc3\xbcller", 1};
    assert_int_equal(rpc_message_write(&d, NULL, &longest, &m, &body, &err), ERR_INVALID);
    assert_int_equal(rpc_message_write(&d, &longest, &good, &m, &body, &err), ERR_INVALID);
    assert_int_equal(rpc_message_write(&d, NULL, &foreign, &m, &body, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "ASCII"));
    assert_int_equal(body.len, 0);
    mem_free(host);
}

static void resources_and_long_texts_are_written(void **state)
{
    (void)state;
    const struct rpc_dialect d = {.scala = RPC_SCALA_213};
    struct rpc_driver driver = sound;
    driver.resources = (const struct rpc_resource[]){{"gpu", 2, 1}, {"fpga", 1, 4}};
    driver.n_resources = 2;
    const struct rpc_message m = {.kind = RPC_SUBMIT_DRIVER, .driver = &driver};
    assert_true(has_bytes(&d, &m, "xp\0\0\0\2\0\0\0\1t\0\3gpu", 15));
    char *text = mem_calloc(1, 70001);
    memset(text, 'x', 70000);
    const struct rpc_message kill = {.kind = RPC_KILL_DRIVER, .text = text};
    assert_true(has_bytes(&d, &kill, "|\0\0\0\0\0\x01\x11pxxx", 12));
    mem_free(text);
}

static void a_body_above_the_buffers_limit_leaves_nothing(void **state)
{
    (void)state;
    const struct rpc_dialect d = {.scala = RPC_SCALA_212};
    const struct rpc_message m = {.kind = RPC_SUBMIT_DRIVER, .driver = &sound};
    const struct rpc_address to = {"localhost", 7077};
    cleanup(buf_clear) struct buf body = BUF(200);
    assert_int_equal(rpc_message_write(&d, NULL, &to, &m, &body, NULL), ERR_TOO_LARGE);
    assert_int_equal(body.len, 0);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    struct rpc_driver driver = sound;
    struct strmap environment = {0};
    assert_int_equal(strmap_set(&environment, "A", "1"), 0);
    driver.environment = &environment;
    const struct rpc_message m = {.kind = RPC_SUBMIT_DRIVER, .driver = &driver};
    const struct rpc_address to = {"localhost", 7077};
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        struct rpc_dialect d = {.scala = RPC_SCALA_212};
        struct buf body = BUF(1 << 20);
        struct err err = {0};
        mem_fail_at(n);
        enum rpc_lesson lesson = rpc_dialect_learn(&d, REFUSAL(PROFILE, "5"));
        rc = lesson == RPC_LESSON ? rpc_message_write(&d, NULL, &to, &m, &body, &err) : ERR_NOMEM;
        mem_fail_at(0);
        assert_int_equal(lesson == RPC_LESSON, n > 2);
        assert_true(rc == ERR_OK || body.len == 0);
        rpc_dialect_clear(&d);
        buf_clear(&body);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    strmap_clear(&environment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_request_is_written_byte_by_byte),
        cmocka_unit_test(the_other_dialects_refusal_tells_the_dialect),
        cmocka_unit_test(other_failures_teach_nothing),
        cmocka_unit_test(a_learnt_identity_is_used_from_then_on),
        cmocka_unit_test(a_node_that_nobody_knows_is_taken_for_a_young_one),
        cmocka_unit_test(a_missing_class_of_scala_tells_the_dialect),
        cmocka_unit_test(refusals_that_are_none_teach_nothing),
        cmocka_unit_test(a_very_long_refusal_is_no_lesson),
        cmocka_unit_test(masters_before_spark_34_get_a_single_total),
        cmocka_unit_test(incomplete_messages_are_refused_with_words),
        cmocka_unit_test(hosts_have_to_fit),
        cmocka_unit_test(resources_and_long_texts_are_written),
        cmocka_unit_test(a_body_above_the_buffers_limit_leaves_nothing),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
