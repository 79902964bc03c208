/* Descriptors, and the rules that their component must keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "provision/provision_internal.h"

#include <stdio.h>
#include <string.h>

#define ID "urn:dmb:cmp:sales.orders.0.nightly-load"

/* The descriptor of the guide: a head, the component, and which one is wanted. */
#define HEAD                                                                                                 \
    "dataProduct:\n"                                                                                         \
    "  id: urn:dmb:dp:sales.orders.0\n"                                                                      \
    "  name: orders\n"                                                                                       \
    "  domain: sales\n"                                                                                      \
    "  environment: dev\n"                                                                                   \
    "  version: 0.1.0\n"                                                                                     \
    "  dataProductOwner: user:carla_example.org\n"                                                           \
    "  devGroup: group:dev\n"                                                                                \
    "  ownerGroup: group:owners\n"                                                                           \
    "  specific: {}\n"                                                                                       \
    "  components:\n"                                                                                        \
    "  - 17\n"                                                                                               \
    "  - id: 5\n"                                                                                            \
    "  - [{id: " ID "}]\n"
#define COMPONENT                                                                                            \
    "  - kind: workload\n"                                                                                   \
    "    id: " ID "\n"                                                                                       \
    "    name: nightly load\n"                                                                               \
    "    description: loads the night's orders\n"                                                            \
    "    version: 0.1.0\n"                                                                                   \
    "    specific:\n"                                                                                        \
    "      jobName: sales-orders-0-nightly-load-dev\n"                                                       \
    "      jar: hdfs://ns1/apps/orders/load.jar\n"                                                           \
    "      className: org.example.Load\n"                                                                    \
    "      queue: root.sales\n"
#define CONFIG                                                                                               \
    "      jobConfig:\n"                                                                                     \
    "        args: [--day, yesterday]\n"                                                                     \
    "        dependencies: [hdfs://ns1/apps/lib/util.jar]\n"                                                 \
    "        driverCores: 1\n"                                                                               \
    "        driverMemory: 2g\n"                                                                             \
    "        executorCores: 2\n"                                                                             \
    "        executorMemory: 4g\n"                                                                           \
    "        numExecutors: 3\n"                                                                              \
    "        logLevel: INFO\n"                                                                               \
    "        conf: {spark.sql.shuffle.partitions: \"64\"}\n"                                                 \
    "        schedule:\n"                                                                                    \
    "          cronExpression: 0 30 2 * * ?\n"                                                               \
    "          startDate: 2030-01-01T00:00:00Z\n"                                                            \
    "          endDate: 2031-01-01T00:00:00Z\n"
#define WANTED "componentIdToProvision: " ID "\n"

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* `text` with each `from` replaced. The caller frees it. */
static char *with(const char *text, const char *from, const char *to)
{
    cleanup(buf_clear) struct buf out = BUF(1 << 20);
    const char *at = strstr(text, from);
    if (at == NULL)
        fail_msg("'%s' is not in the descriptor", from);
    for (; at != NULL; text = at + strlen(from), at = strstr(text, from)) {
        buf_add(&out, text, (size_t)(at - text));
        buf_str(&out, to);
    }
    buf_str(&out, text);
    return buf_steal(&out);
}

static void expect_undecodable(const char *text)
{
    struct descriptor d = {0};
    struct err err = {0};
    if (descriptor_read(text, &d, &err) != ERR_INVALID)
        fail_msg("decoded: %s", text);
    assert_true(err.msg[0] != '\0');
}

static void the_descriptor_of_the_guide(void **state)
{
    (void)state;
    struct err err = {0};
    cleanup(descriptor_clear) struct descriptor d = {0};
    assert_int_equal(descriptor_read(HEAD COMPONENT CONFIG WANTED, &d, &err), ERR_OK);
    const struct component *c = &d.component;
    assert_string_equal(d.group, "orders");
    assert_string_equal(d.environment, "dev");
    assert_true(d.has_component);
    assert_string_equal(c->id, ID);
    assert_string_equal(c->job_name, "sales-orders-0-nightly-load-dev");
    assert_string_equal(c->jar, "hdfs://ns1/apps/orders/load.jar");
    assert_string_equal(c->class_name, "org.example.Load");
    assert_string_equal(c->queue, "root.sales");
    assert_true(c->has_args && c->args.n == 2);
    assert_string_equal(c->args.items[1], "yesterday");
    assert_true(c->has_dependencies && c->dependencies.n == 1);
    assert_int_equal(c->driver_cores.value, 1);
    assert_int_equal(c->executor_cores.value, 2);
    assert_int_equal(c->num_executors.value, 3);
    assert_string_equal(c->driver_memory, "2g");
    assert_string_equal(strmap_get(&c->conf, "spark.sql.shuffle.partitions"), "64");
    assert_true(c->has_schedule);
    assert_string_equal(c->schedule.start, "2030-01-01T00:00:00Z");
}

/* Also with null in place of what may be absent. */
static void most_of_the_job_may_be_absent(void **state)
{
    (void)state;
    static const char nulls[] = "      jobConfig: {args: ~, dependencies: null, driverCores: ~, "
                                "driverMemory: ~, conf: ~, schedule: ~}\n";
    static const char *const configs[] = {"", "      jobConfig:\n", "      jobConfig: {}\n", nulls};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        cleanup(mem_freep) char *text = mem_printf("%s%s%s", HEAD COMPONENT, configs[i], WANTED);
        cleanup(descriptor_clear) struct descriptor d = {0};
        assert_int_equal(descriptor_read(text, &d, NULL), ERR_OK);
        assert_true(d.has_component && !d.component.has_args && !d.component.has_schedule);
        assert_false(d.component.driver_cores.given);
        assert_null(d.component.driver_memory);
    }
}

static void a_component_that_is_not_there_is_no_error(void **state)
{
    (void)state;
    static const char *const wanted[] = {"", "componentIdToProvision: ~\n", "componentIdToProvision: other\n",
                                         "componentIdToProvision: '5'\n"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cleanup(mem_freep) char *text = mem_printf("%s%s", HEAD COMPONENT, wanted[i]);
        cleanup(descriptor_clear) struct descriptor d = {0};
        bool failed[RULES_END] = {0};
        assert_int_equal(descriptor_read(text, &d, NULL), ERR_OK);
        assert_false(d.has_component);
        rules_check(&d, failed);
        for (int rule = RULE_COMPONENT; rule < RULES_END; rule++)
            assert_true(failed[rule]);
    }
}

static void what_cannot_be_decoded(void **state)
{
    (void)state;
    static const char *const lines[] = {"  id: urn:dmb:dp",
                                        "  name: orders",
                                        "  domain:",
                                        "  environment:",
                                        "  version: 0.1.0\n  data",
                                        "  dataProductOwner:",
                                        "  devGroup:",
                                        "  ownerGroup:",
                                        "  specific: {}",
                                        "  components:",
                                        "kind:",
                                        "    name: n",
                                        "description:",
                                        "    version:",
                                        "    specific:",
                                        "jobName:",
                                        "jar:",
                                        "className:",
                                        "queue:",
                                        "cronExpression:",
                                        "startDate:",
                                        "endDate:"};
    static const struct {
        const char *from, *to;
    } wrong[] = {
        {"  version: 0.1.0", "  version: 0.1"},
        {"kind: workload", "kind: outputport"},
        {"  specific: {}", "  specific: []"},
        {"jobName: sales", "jobName: 12 #"},
        {"className: org.example.Load", "className: ~"},
        {"driverCores: 1", "driverCores: 1.5"},
        {"driverCores: 1", "driverCores: one"},
        {"driverCores: 1", "driverCores: '1.5'"},
        {"driverCores: 1", "driverCores: ' 1'"},
        {"driverCores: 1", "driverCores: ''"},
        {"driverCores: 1", "driverCores: 2147483648"},
        {"driverCores: 1", "driverCores: true"},
        {"driverCores: 1", "driverCores: .inf"},
        {"driverCores: 1", "driverCores: [1]"},
        {"driverMemory: 2g", "driverMemory: 2"},
        {"args: [--day, yesterday]", "args: [--day, 7]"},
        {"args: [--day, yesterday]", "args: --day"},
        {"\"64\"", "64"},
        {"\"64\"", "\"6\\0004\""},
        {"conf: {", "conf: [{"},
        {"0 30 2 * * ?", "~"},
        {WANTED, "componentIdToProvision: 5\n"},
        {"dataProduct:", "other:"},
        {WANTED, WANTED "---\n"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cleanup(mem_freep) char *other =
            mem_printf("%.*s%s", (int)strspn(lines[i], " "), "        ", "gone: x #");
        cleanup(mem_freep) char *text = with(HEAD COMPONENT CONFIG WANTED, lines[i], other);
        expect_undecodable(text);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cleanup(mem_freep) char *text = with(HEAD COMPONENT CONFIG WANTED, wrong[i].from, wrong[i].to);
        expect_undecodable(text);
    }
    expect_undecodable("");
    expect_undecodable("[]");
    expect_undecodable("text");
    expect_undecodable("{\"dataProduct\":");
}

static void a_conf_has_a_limit(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf conf = BUF(1 << 20);
    buf_str(&conf, "conf: {");
    for (int i = 0; i < 999; i++)
        buf_printf(&conf, "k%d: v, ", i);
    cleanup(mem_freep) char *fine = with(HEAD COMPONENT CONFIG WANTED, "conf: {", buf_cstr(&conf));
    cleanup(descriptor_clear) struct descriptor d = {0};
    assert_int_equal(descriptor_read(fine, &d, NULL), ERR_OK);
    assert_int_equal(d.component.conf.n, 1000);
    buf_str(&conf, "one: more, ");
    cleanup(mem_freep) char *large = with(HEAD COMPONENT CONFIG WANTED, "conf: {", buf_cstr(&conf));
    expect_undecodable(large);
}

static void counts_may_stand_in_quotes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t value;
    } cases[] = {{"\"2\"", 2}, {"'-3'", -3}, {"0", 0}, {"2.0", 2}, {"2147483647", INT32_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(mem_freep) char *line = mem_printf("driverCores: %s", cases[i].text);
        cleanup(mem_freep) char *text = with(HEAD COMPONENT CONFIG WANTED, "driverCores: 1", line);
        cleanup(descriptor_clear) struct descriptor d = {0};
        assert_int_equal(descriptor_read(text, &d, NULL), ERR_OK);
        assert_true(d.component.driver_cores.given);
        assert_int_equal(d.component.driver_cores.value, cases[i].value);
    }
}

static void json_is_accepted(void **state)
{
    (void)state;
    cleanup(json_decrefp) json_t *value = NULL;
    cleanup(descriptor_clear) struct descriptor d = {0};
    assert_int_equal(
        yaml_to_json(HEAD COMPONENT CONFIG WANTED, strlen(HEAD COMPONENT CONFIG WANTED), &value, NULL),
        ERR_OK);
    cleanup(mem_freep) char *text = json_text(value);
    cleanup(mem_freep) char *smile = with(text, "yesterday", "\\ud83d\\ude00");
    assert_int_equal(descriptor_read(smile, &d, NULL), ERR_OK);
    assert_string_equal(d.component.args.items[1], "\xf0\x9f\x98\x80");
}

static void reading_survives_every_failing_allocation(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct descriptor d = {0};
        mem_fail_at(n);
        rc = descriptor_read(HEAD COMPONENT CONFIG WANTED, &d, NULL);
        mem_fail_at(0);
        descriptor_clear(&d);
        assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(rc, ERR_OK);
}

/* ---- rules ---- */

/* The numbers of the rules that fail when `from` is replaced, as "2,6". */
static void expect_failures(const char *from, const char *to, const char *numbers)
{
    cleanup(mem_freep) char *text = with(HEAD COMPONENT CONFIG WANTED, from, to);
    cleanup(descriptor_clear) struct descriptor d = {0};
    bool failed[RULES_END] = {0};
    char got[64] = "";
    assert_int_equal(descriptor_read(text, &d, NULL), ERR_OK);
    rules_check(&d, failed);
    for (int rule = RULE_COMPONENT; rule < RULES_END; rule++)
        if (failed[rule])
            (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", got[0] != '\0' ? "," : "",
                           rule);
    if (strcmp(got, numbers) != 0)
        fail_msg("'%s' for '%s' fails '%s', not '%s'", to, from, got, numbers);
}

static void each_rule_has_its_failures(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *numbers;
    } cases[] = {
        {"orders", "orders", ""},
        {"jobName: sales-orders-0-nightly-load-dev", "jobName: nightly", "2"},
        {"jobName: sales-orders-0-nightly-load-dev", "jobName: sales-orders-0-nightly-load-devX", "2"},
        {"jobName: sales-orders-0-nightly-load-dev", "jobName: ''", "2"},
        {"environment: dev", "environment: prod", "2"},
        {"sales.orders.0.nightly-load", "sales/orders+0?nightly-load", ""},
        {ID, "urn:dmb:dp:sales.orders.0.nightly-load", "2"},
        {"driverCores: 1", "driverCores: 0", "3"},
        {"driverMemory: 2g", "driverMemory: 2G", "4"},
        {"driverMemory: 2g", "driverMemory: 0g", ""},
        {"driverMemory: 2g", "driverMemory: 007g", ""},
        {"driverMemory: 2g", "driverMemory: g", "4"},
        {"driverMemory: 2g", "driverMemory: 2gb", "4"},
        {"driverMemory: 2g", "driverMemory: \"2g\\n\"", "4"},
        {"driverMemory: 2g", "driverMemory: ''", "4"},
        {"executorCores: 2", "executorCores: -1", "5"},
        {"executorMemory: 4g", "executorMemory: 4096m", "6"},
        {"numExecutors: 3", "numExecutors: '0'", "7"},
        {"0 30 2 * * ?", "30 2 * * *", "8"},
        {"0 30 2 * * ?", "'unix: 30 2 * * *'", "8"},
        {"0 30 2 * * ?", "'UNIX:30 2 * * *'", "8"},
        {"0 30 2 * * ?", "\" \\tUnix: 30 2 * * *\"", "8"},
        {"0 30 2 * * ?", "99 0 0 1 * ?", "8"},
        {"0 30 2 * * ?", "''", "8"},
        {"startDate: 2030-01-01T00:00:00Z", "startDate: tomorrow", "9"},
        {"endDate: 2031-01-01T00:00:00Z", "endDate: 2031-02-31T24:00:00Z", ""},
        {"endDate: 2031-01-01T00:00:00Z", "endDate: 2029-01-01T00:00:00Z", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_failures(cases[i].from, cases[i].to, cases[i].numbers);
    expect_failures(CONFIG, "      jobConfig: {driverCores: 0, executorMemory: x, numExecutors: 0}\n",
                    "3,6,7");
}

/* Each UTF-16 unit of a character becomes one dash. */
static void names_with_other_characters(void **state)
{
    (void)state;
    struct descriptor d = {.has_component = true};
    struct component *c = &d.component;
    bool failed[RULES_END] = {0};
    d.environment = mem_strdup("\xc3\xa9-1");
    c->id = mem_strdup("urn:dmb:cmp:a\xe2\x82\xac"
                       "b\xf0\x9f\x98\x80");
    c->job_name = mem_strdup("a-b------1");
    rules_check(&d, failed);
    assert_true(failed[RULE_JOB_NAME]);
    assert_int_equal(mem_set_str(&c->job_name, "a-b-----1"), 0);
    rules_check(&d, failed);
    assert_false(failed[RULE_JOB_NAME]);
    descriptor_clear(&d);
}

static void files_without_a_scheme_are_local(void **state)
{
    (void)state;
    static const struct {
        const char *jar;
        bool missing;
        const char *path; /* that HDFS is asked for */
    } cases[] = {
        {"/bin/sh", false, NULL},
        {"/bin/no-such-shell", true, NULL},
        {".", false, NULL},
        {"", true, NULL},
        {"s3a://bucket/a.jar", false, NULL},
        {"HDFS://ns1/a.jar", false, NULL},
        {"local:/a.jar", false, NULL},
        {"hdfs://ns1/a%2Fb.jar?x#y", false, "/a/b.jar"},
        {"hdfs://ns1", false, ""},
        {"hdfs://nn/a b.jar", true, NULL},
        {"hdfs:", true, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct descriptor d = {.has_component = true, .component.jar = mem_strdup(cases[i].jar)};
        bool failed[RULES_END] = {0};
        cleanup(mem_freep) char *path = NULL;
        assert_int_equal(rules_check_file(&d, failed, &path, NULL), ERR_OK);
        if (failed[RULE_FILE] != cases[i].missing || !str_same(path, cases[i].path))
            fail_msg("'%s': missing %d, path '%s'", cases[i].jar, failed[RULE_FILE],
                     path != NULL ? path : "(none)");
        assert_false(failed[RULE_NAMENODE]);
        descriptor_clear(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_descriptor_of_the_guide, nothing_is_left),
        cmocka_unit_test_teardown(most_of_the_job_may_be_absent, nothing_is_left),
        cmocka_unit_test_teardown(a_component_that_is_not_there_is_no_error, nothing_is_left),
        cmocka_unit_test_teardown(what_cannot_be_decoded, nothing_is_left),
        cmocka_unit_test_teardown(a_conf_has_a_limit, nothing_is_left),
        cmocka_unit_test_teardown(counts_may_stand_in_quotes, nothing_is_left),
        cmocka_unit_test_teardown(json_is_accepted, nothing_is_left),
        cmocka_unit_test_teardown(reading_survives_every_failing_allocation, nothing_is_left),
        cmocka_unit_test_teardown(each_rule_has_its_failures, nothing_is_left),
        cmocka_unit_test_teardown(names_with_other_characters, nothing_is_left),
        cmocka_unit_test_teardown(files_without_a_scheme_are_local, nothing_is_left),
    };
    return cmocka_run_group_tests_name("provision descriptor", tests, NULL, NULL);
}
