/* Dates, URIs, bodies of requests, job data, and the result text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "provision/provision_internal.h"
#include "schedule/civil.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- dates ---- */

static void dates_roll_over(void **state)
{
    (void)state;
    static const struct {
        const char *text, *instant;
    } cases[] = {
        {"2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"},
        {"2029-02-31T00:00:00Z", "2029-03-03T00:00:00Z"},
        {"2029-02-01T24:00:00Z", "2029-02-02T00:00:00Z"},
        {"2029-12-31T24:00:00Z", "2030-01-01T00:00:00Z"},
        {"2028-02-29T23:59:59Z", "2028-02-29T23:59:59Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
        {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
        {"9999-12-31T24:00:00Z", "9999-12-31T23:59:59Z"},
        {"+10000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"},
        {"+00002030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"},
        {"+999999999-12-31T00:00:00Z", "9999-12-31T23:59:59Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CIVIL_INSTANT_TEXT];
        int64_t instant_s = 0;
        if (!date_read(cases[i].text, &instant_s))
            fail_msg("'%s' is refused", cases[i].text);
        civil_format_instant(instant_s, text);
        assert_string_equal(text, cases[i].instant);
    }
}

static void other_dates_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2030-01-01",
        "2030-01-01T00:00:00",
        "2030-01-01T00:00:00z",
        "2030-01-01t00:00:00Z",
        "2030-01-01 00:00:00Z",
        "2030-01-01T00:00:00.000Z",
        "2030-01-01T00:00:00+00:00",
        "2030-1-01T00:00:00Z",
        "2030-13-01T00:00:00Z",
        "2030-00-01T00:00:00Z",
        "2030-01-32T00:00:00Z",
        "2030-01-00T00:00:00Z",
        "2030-01-01T25:00:00Z",
        "2030-01-01T24:00:01Z",
        "2030-01-01T24:01:00Z",
        "2030-01-01T00:60:00Z",
        "2030-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "-2030-01-01T00:00:00Z",
        "+2030-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "+1000000000-01-01T00:00:00Z",
        "+00000000000000002030-01-01T00:00:00Z",
        " 2030-01-01T00:00:00Z",
        "2030-01-01T00:00:00Z ",
        "203",
    };
    int64_t ignored_s;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (date_read(texts[i], &ignored_s))
            fail_msg("'%s' is accepted", texts[i]);
}

/* ---- URIs ---- */

static void uris_have_scheme_and_path(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *path;
    } cases[] = {
        {"hdfs://ns1/apps/load.jar", "hdfs", "/apps/load.jar"},
        {"hdfs://user@ns1:8020/a", "hdfs", "/a"},
        {"hdfs://[::1]:8020/a", "hdfs", "/a"},
        {"hdfs:///a//b/../c", "hdfs", "/a//b/../c"},
        {"hdfs:/a", "hdfs", "/a"},
        {"hdfs://ns1", "hdfs", ""},
        {"hdfs://ns1?x=1", "hdfs", ""},
        {"hdfs://?x", "hdfs", ""},
        {"hdfs:a/b", "hdfs", ""},
        {"Hdfs+1.x-y://a/b", "Hdfs+1.x-y", "/b"},
        {"hdfs://ns1/a%20b%2Fc", "hdfs", "/a b/c"},
        {"hdfs://ns1/%C3%A9\xc3\xa9", "hdfs", "/\xc3\xa9\xc3\xa9"},
        {"hdfs://ns1/%ffx", "hdfs", "/\xef\xbf\xbdx"},
        {"/a/b.jar", NULL, "/a/b.jar"},
        {"b.jar#x", NULL, "b.jar"},
        {"a/b:c", NULL, "a/b:c"},
        {"//host/a", NULL, "/a"},
        {"", NULL, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(jar_clear) struct jar jar = {0};
        if (jar_read(cases[i].text, &jar, NULL) != ERR_OK)
            fail_msg("'%s' is refused", cases[i].text);
        assert_true(str_same(jar.scheme, cases[i].scheme));
        assert_string_equal(jar.path, cases[i].path);
    }
}

static void what_is_no_uri(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "hdfs://nn/a b.jar",
        "a b",
        "hdfs:",
        "hdfs:#x",
        "hdfs://",
        ":a",
        "1a:b",
        "h dfs:/a",
        "a%",
        "a%2",
        "a%zz",
        "a%00",
        "a\"b",
        "a<b>",
        "a\\b",
        "a^b",
        "a`b",
        "a{b}",
        "a|b",
        "hdfs:/a[1]",
        "a\tb",
        "a\nb",
        "a#b#c",
        "a?b c",
        "hdfs://n n/a",
        "hdfs://[::1/",
        "a\x7f",
        "a\xc2\x80",
        "a\xe2\x80\x83",
        "a\xffz",
        "hdfs://a[b]/",
        "a#{",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct jar jar = {0};
        if (jar_read(texts[i], &jar, NULL) != ERR_INVALID)
            fail_msg("'%s' is accepted", texts[i]);
    }
}

static void uris_survive_every_failing_allocation(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct jar jar = {0};
        mem_fail_at(n);
        rc = jar_read("hdfs://ns1/a%20b", &jar, NULL);
        mem_fail_at(0);
        jar_clear(&jar);
        assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(rc, ERR_OK);
}

/* ---- bodies ---- */

enum { DEPTH = 64 };

typedef bool check_body(const struct buf *body, struct message_problem *problem);

static bool check_provisioning(const struct buf *body, struct message_problem *problem)
{
    struct provisioning_request request = {0};
    bool good = provisioning_request_read(body, DEPTH, &request, problem);
    provisioning_request_clear(&request);
    return good;
}

static bool check_acl(const struct buf *body, struct message_problem *problem)
{
    return update_acl_check(body, DEPTH, problem);
}

static bool check_reverse(const struct buf *body, struct message_problem *problem)
{
    return reverse_provisioning_check(body, DEPTH, problem);
}

static const struct {
    check_body *check;
    const char *body;
    int status;        /* 0: it is fine */
    const char *field; /* that a 422 names */
} bodies[] = {
    {check_provisioning,
     "{\"descriptorKind\":\"COMPONENT_DESCRIPTOR\",\"removeData\":false,\"descriptor\":\"a: b\"}", 0, ""},
    {check_provisioning,
     "{\"descriptorKind\":\"DATAPRODUCT_DESCRIPTOR_WITH_RESULTS\",\"removeData\":true,\"descriptor\":\"\","
     "\"latestEnrichedDescriptor\":null,\"more\":[{}]}",
     0, ""},
    {check_provisioning, "", 400, ""},
    {check_provisioning, "  ", 400, ""},
    {check_provisioning, "{", 400, ""},
    {check_provisioning, "{} x", 400, ""},
    {check_provisioning, "[]", 422, "descriptorKind"},
    {check_provisioning, "null", 422, "descriptorKind"},
    {check_provisioning, "\"x\"", 422, "descriptorKind"},
    {check_provisioning, "{\"descriptorKind\":\"X\",\"removeData\":false,\"descriptor\":\"\"}", 422,
     "descriptorKind"},
    {check_provisioning, "{\"descriptorKind\":1,\"removeData\":false,\"descriptor\":\"\"}", 422,
     "descriptorKind"},
    {check_provisioning, "{\"descriptorKind\":\"COMPONENT_DESCRIPTOR\",\"removeData\":false}", 422,
     "descriptor"},
    {check_provisioning,
     "{\"descriptorKind\":\"COMPONENT_DESCRIPTOR\",\"removeData\":false,\"descriptor\":{}}", 422,
     "descriptor"},
    {check_provisioning, "{\"descriptorKind\":\"COMPONENT_DESCRIPTOR\",\"descriptor\":\"\"}", 422,
     "removeData"},
    {check_provisioning,
     "{\"descriptorKind\":\"COMPONENT_DESCRIPTOR\",\"descriptor\":\"\",\"removeData\":\"no\"}", 422,
     "removeData"},
    {check_provisioning,
     "{\"descriptorKind\":\"COMPONENT_DESCRIPTOR\",\"descriptor\":\"\",\"removeData\":false,"
     "\"latestEnrichedDescriptor\":1}",
     422, "latestEnrichedDescriptor"},
    {check_acl, "{\"refs\":[\"user:a\"],\"provisionInfo\":{\"request\":\"\",\"result\":\"\"}}", 0, ""},
    {check_acl, "{\"refs\":[],\"provisionInfo\":{\"request\":\"\",\"result\":\"\"}}", 0, ""},
    {check_acl, "x", 400, ""},
    {check_acl, "{\"provisionInfo\":{\"request\":\"\",\"result\":\"\"}}", 422, "refs"},
    {check_acl, "{\"refs\":[1],\"provisionInfo\":{\"request\":\"\",\"result\":\"\"}}", 422, "refs"},
    {check_acl, "{\"refs\":[]}", 422, "provisionInfo"},
    {check_acl, "{\"refs\":[],\"provisionInfo\":{\"request\":\"\"}}", 422, "result"},
    {check_reverse, "{\"useCaseTemplateId\":\"a\",\"environment\":\"b\"}", 0, ""},
    {check_reverse, "{\"useCaseTemplateId\":\"a\",\"environment\":\"b\",\"params\":{},\"catalogInfo\":null}",
     0, ""},
    {check_reverse, "{\"useCaseTemplateId\":\"a\"}", 422, "environment"},
    {check_reverse, "{\"environment\":\"b\"}", 422, "useCaseTemplateId"},
    {check_reverse, "{\"useCaseTemplateId\":\"a\",\"environment\":\"b\",\"params\":1}", 422, "params"},
};

static void bodies_are_read_or_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct message_problem problem = {0};
        struct buf body = BUF(4096);
        buf_str(&body, bodies[i].body);
        bool good = bodies[i].check(&body, &problem);
        buf_clear(&body);
        if (good != (bodies[i].status == 0) || problem.status != bodies[i].status)
            fail_msg("%s: %d", bodies[i].body, problem.status);
        if (problem.status == 400)
            assert_string_equal(problem.text, "The request body was malformed.");
        if (problem.status == 422 && (!str_starts(problem.text, "The request body was invalid. ") ||
                                      strstr(problem.text, bodies[i].field) == NULL))
            fail_msg("%s: %s", bodies[i].body, problem.text);
    }
}

static void a_missing_field_in_the_words_that_clients_know(void **state)
{
    (void)state;
    struct message_problem problem = {0};
    struct buf body = BUF(4096);
    buf_str(&body, "{\"descriptorKind\":\"COMPONENT_DESCRIPTOR\",\"descriptor\":\"\"}");
    assert_false(check_provisioning(&body, &problem));
    assert_string_equal(problem.text,
                        "The request body was invalid. Missing required field: DownField(removeData)");
    buf_reset(&body);
    buf_str(&body, "{\"descriptorKind\":\"X\",\"descriptor\":\"\"}");
    assert_false(check_provisioning(&body, &problem));
    assert_string_equal(problem.text, "The request body was invalid. X not a member of DescriptorKind: "
                                      "DownField(descriptorKind)");
    buf_clear(&body);
}

/* ---- job data ---- */

static void fill(struct component *c, bool whole)
{
    *c = (struct component){0};
    assert_int_equal(mem_set_str(&c->job_name, "sales-orders-0-nightly-load-dev"), 0);
    assert_int_equal(mem_set_str(&c->jar, "hdfs://ns1/apps/orders/load.jar"), 0);
    assert_int_equal(mem_set_str(&c->class_name, "org.example.Load"), 0);
    assert_int_equal(mem_set_str(&c->queue, whole ? "root.sales" : ""), 0);
    if (!whole)
        return;
    c->has_args = c->has_dependencies = c->has_schedule = true;
    assert_int_equal(strlist_add(&c->args, "--day"), 0);
    assert_int_equal(strlist_add(&c->args, "yesterday"), 0);
    assert_int_equal(strlist_add(&c->dependencies, "hdfs://ns1/apps/lib/util.jar"), 0);
    assert_int_equal(strlist_add(&c->dependencies, "plain.jar//"), 0);
    assert_int_equal(strmap_set(&c->conf, "spark.sql.shuffle.partitions", "64"), 0);
    c->driver_cores = (struct optional_count){true, 1};
    c->executor_cores = (struct optional_count){true, 2};
    c->num_executors = (struct optional_count){true, 3};
    assert_int_equal(mem_set_str(&c->driver_memory, "2g"), 0);
    assert_int_equal(mem_set_str(&c->executor_memory, "4g"), 0);
    assert_int_equal(mem_set_str(&c->schedule.cron, "0 30 2 * * ?"), 0);
    assert_int_equal(mem_set_str(&c->schedule.start, "2030-01-01T00:00:00Z"), 0);
    assert_int_equal(mem_set_str(&c->schedule.end, "2031-01-01T00:00:00Z"), 0);
}

static void clear(struct component *c)
{
    struct descriptor d = {.component = *c};
    descriptor_clear(&d);
}

static void expect_data(bool whole, bool strict, const char *json)
{
    struct component c;
    struct err err = {0};
    cleanup(job_data_clear) struct job_data d = {0};
    cleanup(job_data_clear) struct job_data again = {0};
    fill(&c, whole);
    assert_int_equal(job_data_make(&c, strict, &d, &err), ERR_OK);
    cleanup(mem_freep) char *text = job_data_text(&d);
    assert_string_equal(text, json);
    assert_int_equal(job_data_read(text, &again, &err), ERR_OK);
    cleanup(mem_freep) char *text_again = job_data_text(&again);
    assert_string_equal(text_again, json);
    clear(&c);
}

static void job_data_has_every_default(void **state)
{
    (void)state;
    expect_data(
        false, false,
        "{\"className\":\"org.example.Load\",\"jarPath\":\"hdfs://ns1/apps/orders/load.jar\",\"jobArgs\":[],"
        "\"driverMemory\":\"1g\",\"driverCores\":1,\"executorMemory\":\"1g\",\"executorCores\":1,"
        "\"numExecutors\":1,\"conf\":{\"dex.safariEnabled\":\"true\"},"
        "\"name\":\"sales-orders-0-nightly-load-dev\",\"queue\":\"\"}");
    expect_data(true, false,
                "{\"className\":\"org.example.Load\",\"jarPath\":\"hdfs://ns1/apps/orders/load.jar\","
                "\"jobArgs\":[\"--day\",\"yesterday\"],\"driverMemory\":\"2g\",\"driverCores\":1,"
                "\"executorMemory\":\"4g\",\"executorCores\":2,\"numExecutors\":3,"
                "\"conf\":{\"dex.safariEnabled\":\"true\",\"spark.sql.shuffle.partitions\":\"64\"},"
                "\"name\":\"sales-orders-0-nightly-load-dev\",\"queue\":\"root.sales\","
                "\"jars\":[\"hdfs://ns1/apps/lib/util.jar\",\"plain.jar//\"]}");
    expect_data(true, true,
                "{\"className\":\"org.example.Load\",\"jarPath\":\"hdfs://ns1/apps/orders/load.jar\","
                "\"jobArgs\":[\"--day\",\"yesterday\"],\"driverMemory\":\"2g\",\"driverCores\":1,"
                "\"executorMemory\":\"4g\",\"executorCores\":2,\"numExecutors\":3,"
                "\"conf\":{\"dex.safariEnabled\":\"true\"},"
                "\"name\":\"sales-orders-0-nightly-load-dev\",\"queue\":\"root.sales\"}");
}

static void a_run_is_named_by_a_clock_of_twelve_hours(void **state)
{
    (void)state;
    static const struct {
        int64_t instant_s;
        const char *name;
    } cases[] = {
        {1893465000, "load-dev-2030-01-01 02:30:00 AM"},
        {1893456000, "load-dev-2030-01-01 12:00:00 AM"},
        {1893499200, "load-dev-2030-01-01 12:00:00 PM"},
        {1893542399, "load-dev-2030-01-01 11:59:59 PM"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(mem_freep) char *name = job_run_name("load-dev", cases[i].instant_s * 1000 + 999);
        assert_string_equal(name, cases[i].name);
    }
}

/* ---- the result text ---- */

#define MOUNTS "\"mounts\":[{\"resourceName\":\"mainres-a5dc26652fa694ba7357e32f32d0b0bd\"}],"

static void expect_result(bool whole, int64_t first_ms, const char *json)
{
    struct component c;
    cleanup(job_data_clear) struct job_data d = {0};
    fill(&c, whole);
    assert_int_equal(job_data_make(&c, true, &d, NULL), ERR_OK);
    cleanup(mem_freep) char *text = result_text(&c, &d, first_ms);
    assert_string_equal(text, json);
    clear(&c);
}

static void a_created_job_with_a_schedule(void **state)
{
    (void)state;
    expect_result(
        true, INT64_C(1893465000000),
        "{\"createdJob\":{\"name\":\"sales-orders-0-nightly-load-dev\",\"type\":\"spark\","
        "\"created\":\"Tue Jan 01 02:30:00 UTC 2030\",\"modified\":\"Tue Jan 01 02:30:00 UTC 2030\","
        "\"lastUsed\":\"Tue Jan 01 02:30:00 UTC 2030\"," MOUNTS "\"retentionPolicy\":\"keep_indefinitely\","
        "\"spark\":{\"file\":\"hdfs://ns1/apps/orders/load.jar\",\"driverCores\":1,\"driverMemory\":\"2g\","
        "\"executorCores\":2,\"executorMemory\":\"4g\",\"logLevel\":\"INFO\",\"numExecutors\":3,"
        "\"className\":\"org.example.Load\",\"args\":[\"--day\",\"yesterday\"],"
        "\"conf\":{\"dex.safariEnabled\":\"true\"},\"jars\":[\"util.jar\",\"plain.jar\"],\"proxyUser\":null,"
        "\"pythonEnvResourceName\":null,\"pyFiles\":null},"
        "\"schedule\":{\"enabled\":true,\"user\":\"\",\"paused\":null,\"catchup\":null,\"dependsOnPast\":"
        "null,"
        "\"pausedUponCreation\":null,\"start\":\"2030-01-01T00:00:00Z\",\"end\":\"2031-01-01T00:00:00Z\","
        "\"cronExpression\":\"0 30 2 * * ?\",\"nextExecution\":null}},\"destroyedJob\":null}");
}

static void a_destroyed_job_without_a_schedule(void **state)
{
    (void)state;
    expect_result(
        false, TRIGGER_NEVER,
        "{\"createdJob\":null,\"destroyedJob\":{\"name\":\"sales-orders-0-nightly-load-dev\",\"type\":"
        "\"spark\"," MOUNTS
        "\"retentionPolicy\":\"keep_indefinitely\",\"spark\":{\"file\":\"hdfs://ns1/apps/orders/load.jar\","
        "\"driverCores\":1,\"driverMemory\":\"1g\",\"executorCores\":1,\"executorMemory\":\"1g\","
        "\"logLevel\":\"INFO\",\"numExecutors\":1,\"className\":\"org.example.Load\",\"args\":null,"
        "\"conf\":{\"dex.safariEnabled\":\"true\"},\"jars\":null,\"proxyUser\":null,"
        "\"pythonEnvResourceName\":null,"
        "\"pyFiles\":null},\"airflow\":null,\"schedule\":{\"enabled\":false,\"user\":null,\"paused\":null,"
        "\"catchup\":null,\"dependsOnPast\":null,\"pausedUponCreation\":null,\"start\":null,\"end\":null,"
        "\"cronExpression\":null,\"nextExecution\":null}}}");
}

static void dates_as_java_writes_them(void **state)
{
    (void)state;
    char text[JAVA_DATE_MAX];
    assert_int_equal(setenv("TZ", "Europe/Rome", 1), 0);
    tzset();
    java_date_text(1909096200, text);
    assert_string_equal(text, "Mon Jul 01 02:30:00 CEST 2030");
    java_date_text(1893465000, text);
    assert_string_equal(text, "Tue Jan 01 03:30:00 CET 2030");
    java_date_text(CIVIL_INSTANT_MAX_S, text);
    assert_string_equal(text, "Sat Jan 01 00:59:59 CET 10000");
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
}

static void texts_survive_every_failing_allocation(void **state)
{
    (void)state;
    bool done = false;
    for (long n = 1; !done; n++) {
        struct component c;
        struct job_data d = {0};
        fill(&c, true);
        mem_fail_at(n);
        char *result = NULL;
        char *data = NULL;
        if (job_data_make(&c, false, &d, NULL) == ERR_OK) {
            result = result_text(&c, &d, 0);
            data = job_data_text(&d);
        }
        mem_fail_at(0);
        done = result != NULL && data != NULL;
        mem_free(result);
        mem_free(data);
        job_data_clear(&d);
        clear(&c);
        assert_int_equal(mem_live(), 0);
    }
}

int main(void)
{
    (void)setenv("TZ", "UTC", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(dates_roll_over, nothing_is_left),
        cmocka_unit_test_teardown(other_dates_are_refused, nothing_is_left),
        cmocka_unit_test_teardown(uris_have_scheme_and_path, nothing_is_left),
        cmocka_unit_test_teardown(what_is_no_uri, nothing_is_left),
        cmocka_unit_test_teardown(uris_survive_every_failing_allocation, nothing_is_left),
        cmocka_unit_test_teardown(bodies_are_read_or_named, nothing_is_left),
        cmocka_unit_test_teardown(a_missing_field_in_the_words_that_clients_know, nothing_is_left),
        cmocka_unit_test_teardown(job_data_has_every_default, nothing_is_left),
        cmocka_unit_test_teardown(a_run_is_named_by_a_clock_of_twelve_hours, nothing_is_left),
        cmocka_unit_test_teardown(a_created_job_with_a_schedule, nothing_is_left),
        cmocka_unit_test_teardown(a_destroyed_job_without_a_schedule, nothing_is_left),
        cmocka_unit_test_teardown(dates_as_java_writes_them, nothing_is_left),
        cmocka_unit_test_teardown(texts_survive_every_failing_allocation, nothing_is_left),
    };
    return cmocka_run_group_tests_name("provision job", tests, NULL, NULL);
}
