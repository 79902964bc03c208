/* The submissions door: its ids, and requests as Spark's own clients have sent them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "submissions/submissions_internal.h"

#include <dirent.h>
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

/* ---- ids ---- */

static void an_id_tells_time_and_number(void **state)
{
    (void)state;
    char id[SUBMISSION_ID_MAX];
    struct app_info info = {.id = 7, .created_ms = 1795277445999};
    submission_id_write(&info, id);
    assert_string_equal(id, "driver-20261121161045-0007");
    assert_int_equal(submission_id_number(id), 7);
    info.id = 123456;
    submission_id_write(&info, id);
    assert_string_equal(id, "driver-20261121161045-123456");
    assert_int_equal(submission_id_number(id), 123456);
}

static void what_is_no_id_is_told(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        "driver",
        "driver-",
        "driver-none",
        "driver-20261121161045",
        "driver-20261121161045-",
        "driver-20261121161045-007",
        "driver-2026112116104-0007",
        "driver-202611211610450-0007",
        "driver-20261121161045-00x7",
        "driver-20261121161045--0007",
        "driver-20261121161045-0007 ",
        "driver-20261121161045-99999999999999999999",
        "worker-20261121161045-0007",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(submission_id_number(others[i]), -1);
}

/* ---- requests ---- */

static enum err_code read_text(const char *text, struct create_request *c, struct err *err)
{
    cleanup(json_decrefp) json_t *body = NULL;
    enum err_code rc = json_parse(text, strlen(text), 64, &body, err);
    return rc == ERR_OK ? create_request_read(c, body, err) : rc;
}

struct recorded {
    const char *begins;
    const char *words; /* NULL: it is taken */
};

/* What becomes of each recorded request; 4.0 asks for less than 3.5. */
static const struct recorded recorded[] = {
    {"create-ok", NULL},
    {"create-too-big", NULL},
    {"create-unknown-fields", NULL},
    {"create-wrong-content-type", NULL},
    {"create-no-args", NULL},
    {"create-no-env", NULL},
    {"create-no-main", "mainClass is missing"},
    {"create-no-name", "spark.app.name of sparkProperties is missing"},
    {"create-no-props", "spark.app.name of sparkProperties is missing"},
    {"create-no-resource", "appResource is missing"},
    {"create-no-client-version", "clientSparkVersion is missing"},
    {"create-no-action", "action is missing; it must be CreateSubmissionRequest"},
    {"create-unknown-action", "action is 'NoSuchRequest'"},
    {"create-other-action", "action is 'ErrorResponse'; it must be CreateSubmissionRequest"},
    {"create-bad-cores", "spark.driver.cores of sparkProperties is '"},
    {"create-bad-memory", "spark.driver.memory of sparkProperties is '"},
    {"create-bad-supervise", "spark.driver.supervise of sparkProperties is '"},
    {"create-array", "object"},
    {"create-empty", "No content"},
    {"create-not-json", "Unexpected character"},
    {"create-by-get", "No content"},
    {"create-put", NULL},
};

static const struct recorded *find_recorded(const char *file)
{
    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++)
        if (str_starts(file, recorded[i].begins))
            return &recorded[i];
    fail_msg("nothing is said about %s", file);
    return NULL;
}

static char *read_recorded(const char *folder, const char *file)
{
    char path[900];
    struct err err;
    cleanup(buf_clear) struct buf text = BUF(1 << 20);
    cleanup(json_decrefp) json_t *whole = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, file);
    if (io_read_file(path, &text, &err) != ERR_OK ||
        json_parse(text.data, text.len, 64, &whole, &err) != ERR_OK)
        fail_msg("%s: %s", path, err.msg);
    const char *body = json_string_value(json_object_get(json_object_get(whole, "request"), "body"));
    return mem_strdup(body != NULL ? body : "");
}

static void check_recorded(const char *file, const char *body)
{
    struct err err = {0};
    cleanup(create_request_clear) struct create_request c = {0};
    const struct recorded *expected = find_recorded(file);
    enum err_code rc = read_text(body, &c, &err);
    if (expected->words == NULL && rc != ERR_OK && body[0] != '\0')
        fail_msg("%s: %s", file, err.msg);
    if (expected->words != NULL && (rc != ERR_INVALID || strstr(err.msg, expected->words) == NULL))
        fail_msg("%s: '%s' does not hold '%s'", file, err.msg, expected->words);
    for (size_t n = 0; n < strlen(body); n++) {
        cleanup(create_request_clear) struct create_request cut = {0};
        cleanup(mem_freep) char *part = mem_strndup(body, n);
        if (read_text(part, &cut, &err) == ERR_OK)
            fail_msg("%s: taken although it ends at byte %zu", file, n);
    }
}

static void recorded_requests_are_read(void **state)
{
    (void)state;
    static const char *const versions[] = {"3.5.7", "4.0.1"};
    unsigned checked = 0;
    for (size_t v = 0; v < 2; v++) {
        char folder[500];
        (void)snprintf(folder, sizeof folder, "%s/spark-rpc/%s/rest", getenv("HEARTH_VECTORS"), versions[v]);
        DIR *dir = opendir(folder);
        assert_non_null(dir);
        for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
            if (!str_starts(e->d_name, "create-"))
                continue;
            cleanup(mem_freep) char *body = read_recorded(folder, e->d_name);
            check_recorded(e->d_name, body);
            checked++;
        }
        (void)closedir(dir);
    }
    assert_in_range(checked, 40, 60);
}

#define NAMED "\"sparkProperties\":{\"spark.app.name\":\"n\""
#define BEGIN "{\"action\":\"CreateSubmissionRequest\",\"clientSparkVersion\":\"3.5.7\","

static void a_request_becomes_a_submission(void **state)
{
    (void)state;
    struct err err = {0};
    cleanup(create_request_clear) struct create_request c = {0};
    static const char body[] = BEGIN
        "\"appResource\":\"file:/app.jar\",\"mainClass\":\"a.Main\",\"appArgs\":[\"1\",\"\"],"
        "\"environmentVariables\":{\"SPARK_HOME\":\"/x\",\"_SPARK_LAUNCHER_PORT\":\"1\",\"MESOS_X\":\"1\","
        "\"HEARTH_X\":\"1\",\"TZ\":\"UTC\"},\"message\":\"hello\",\"odd\":1,\"even\":null," NAMED
        ",\"spark.master\":\"spark://there:7077\",\"spark.submit.deployMode\":\"cluster\","
        "\"spark.driver.cores\":2,\"spark.driver.memory\":\"600m\",\"spark.x\":null}}";
    if (read_text(body, &c, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    const struct spark_submission *s = &c.submission;
    assert_string_equal(s->file, "file:/app.jar");
    assert_string_equal(s->class_name, "a.Main");
    assert_null(s->name);
    assert_null(s->master);
    assert_int_equal(s->args.n, 2);
    assert_int_equal(s->conf.n, 3);
    assert_string_equal(strmap_get(&s->conf, "spark.driver.cores"), "2");
    assert_null(strmap_get(&s->conf, "spark.master"));
    assert_int_equal(s->env.n, 1);
    assert_string_equal(strmap_get(&s->env, "TZ"), "UTC");
    assert_int_equal(c.unknown_fields.n, 2);
    assert_true(strlist_has(&c.unknown_fields, "odd") && strlist_has(&c.unknown_fields, "even"));
}

static void a_python_program_needs_no_class(void **state)
{
    (void)state;
    static const char *const classes[] = {"", "\"mainClass\":null,", "\"mainClass\":\"\",",
                                          "\"mainClass\":\"org.apache.spark.deploy.PythonRunner\","};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        struct err err = {0};
        cleanup(create_request_clear) struct create_request c = {0};
        cleanup(mem_freep) char *body =
            mem_printf(BEGIN "%s\"appResource\":\"/a.py\"," NAMED "}}", classes[i]);
        if (read_text(body, &c, &err) != ERR_OK)
            fail_msg("%s: %s", body, err.msg);
        assert_null(c.submission.class_name);
    }
}

static void wrong_values_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *rest, *words;
    } wrong[] = {
        {"\"appResource\":7,\"mainClass\":[]," NAMED "}}", "mainClass"},
        {"\"appResource\":\"/a.jar\",\"mainClass\":\"M\",\"appArgs\":\"1\"," NAMED "}}", "appArgs"},
        {"\"appResource\":\"/a.jar\",\"mainClass\":\"M\",\"sparkProperties\":[]}", "sparkProperties"},
        {"\"appResource\":\"/a.jar\",\"mainClass\":\"M\"," NAMED ",\"spark.cores.max\":\"0\"}}",
         "spark.cores.max of sparkProperties is '0'; it must be a number from 1 on"},
        {"\"appResource\":\"/a.jar\",\"mainClass\":\"M\"," NAMED ",\"spark.executor.memory\":\"lots\"}}",
         "spark.executor.memory of sparkProperties is 'lots'; it must be a size such as 512m or 2g"},
        {"\"appResource\":\"/a.jar\",\"mainClass\":\"M\"," NAMED ",\"spark.driver.supervise\":\"maybe\"}}",
         "spark.driver.supervise of sparkProperties is 'maybe'; it must be true or false"},
        {"\"appResource\":\"/a.jar\",\"mainClass\":\"M\",\"environmentVariables\":{\"A=B\":\"1\"}," NAMED
         "}}",
         "environmentVariables holds 'A=B'"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err err = {0};
        cleanup(create_request_clear) struct create_request c = {0};
        cleanup(mem_freep) char *body = mem_printf(BEGIN "%s", wrong[i].rest);
        assert_int_equal(read_text(body, &c, &err), ERR_INVALID);
        if (strstr(err.msg, wrong[i].words) == NULL)
            fail_msg("'%s' does not hold '%s'", err.msg, wrong[i].words);
    }
}

static void a_request_survives_every_failing_allocation(void **state)
{
    (void)state;
    static const char body[] =
        BEGIN "\"appResource\":\"/app.jar\",\"mainClass\":\"a.Main\",\"appArgs\":[\"1\"],\"odd\":1,"
              "\"environmentVariables\":{\"TZ\":\"UTC\"}," NAMED "}}";
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc != ERR_OK; n++) {
        struct err err = {0};
        cleanup(create_request_clear) struct create_request c = {0};
        assert_in_range(n, 1, 200);
        mem_fail_at(n);
        rc = read_text(body, &c, &err);
        mem_fail_at(0);
        assert_true(rc == ERR_OK || rc == ERR_NOMEM);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, nothing_is_left)
    const struct CMUnitTest tests[] = {
        T(an_id_tells_time_and_number),
        T(what_is_no_id_is_told),
        T(recorded_requests_are_read),
        T(a_request_becomes_a_submission),
        T(a_python_program_needs_no_class),
        T(wrong_values_are_named),
        T(a_request_survives_every_failing_allocation),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
