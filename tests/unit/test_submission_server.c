/* The client of a REST submission server: every recorded answer, each cut at every byte, and calls. */
#include "http_stub.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strs.h"
#include "cluster/submission_server_internal.h"

#include <dirent.h>
#include <signal.h>

enum { PATIENCE_MS = 20000, SOON_MS = 150 };

static const char *const versions[] = {"3.5.7", "4.0.1"};

/* ---- transcripts ---- */

struct transcript {
    char name[300];
    json_t *whole;
    enum submission_server_action action;
    struct http_result result;
};

/* By the call's path: create, status/ID, kill/ID. False: a call that this client never makes. */
static bool find_action(const char *path, enum submission_server_action *ret)
{
    static const char *const begins[] = {"/v1/submissions/create", "/v1/submissions/status",
                                         "/v1/submissions/kill"};
    for (int i = 0; i < 3; i++)
        if (str_starts(path, begins[i]) && !str_starts(path, "/v1/submissions/killall")) {
            *ret = (enum submission_server_action)i;
            return true;
        }
    *ret = SUBMISSION_STATUS; /* its answer is one to a wrong question, whatever the question */
    return false;
}

static struct transcript open_transcript(const char *version, const char *file)
{
    struct transcript t = {0};
    char path[600];
    cleanup(buf_clear) struct buf text = BUF(1 << 20);
    struct err err;
    (void)snprintf(path, sizeof path, "%s/spark-rpc/%s/rest/%s", getenv("HEARTH_VECTORS"), version, file);
    (void)snprintf(t.name, sizeof t.name, "%s/%s", version, file);
    if (io_read_file(path, &text, &err) != ERR_OK ||
        json_parse(text.data, text.len, 32, &t.whole, &err) != ERR_OK)
        fail_msg("%s: %s", path, err.msg);
    const char *asked = NULL;
    const char *body = NULL;
    assert_int_equal(json_unpack(t.whole, "{s:{s:s}, s:{s:i, s:s}}", "request", "path", &asked, "response",
                                 "status", &t.result.status, "body", &body),
                     0);
    (void)find_action(asked, &t.action);
    t.result.sent = true;
    t.result.body = body;
    t.result.len = strlen(body);
    return t;
}

static void each_transcript(void (*check)(const struct transcript *t))
{
    unsigned n = 0;
    for (size_t v = 0; v < 2; v++) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/spark-rpc/%s/rest", getenv("HEARTH_VECTORS"), versions[v]);
        DIR *dir = opendir(path);
        assert_non_null(dir);
        for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
            if (!str_ends(e->d_name, ".json"))
                continue;
            struct transcript t = open_transcript(versions[v], e->d_name);
            check(&t);
            json_decref(t.whole);
            n++;
        }
        (void)closedir(dir);
    }
    assert_in_range(n, 80, 200);
}

/* What each recorded answer means. Calls that this client does not make are refused. */
struct meaning {
    const char *begins; /* of the transcript's name behind the version */
    enum err_code code;
    bool uncertain;
};

static const struct meaning meanings[] = {
    {"create-ok", ERR_OK, false},
    {"create-too-big", ERR_OK, false}, /* waits for a worker that is large enough, for ever */
    {"create-unknown-fields", ERR_OK, false},
    {"create-wrong-content-type", ERR_OK, false},
    {"create-unknown-action", ERR_IO, true}, /* 500 and a page: nobody knows how far it went */
    {"kill-running", ERR_OK, false},
    {"kill-waiting", ERR_OK, false},
    {"kill-unknown", ERR_NOT_FOUND, false},
    {"kill-finished", ERR_NOT_FOUND, false},
    {"status-unknown", ERR_NOT_FOUND, false},
    {"status-missing", ERR_INVALID, false},
    {"status-", ERR_OK, false},
};

static struct meaning meaning_of(const struct transcript *t)
{
    const char *name = strchr(t->name, '/') + 1;
    if (strcmp(t->name, "4.0.1/create-no-name.json") == 0)
        return (struct meaning){NULL, ERR_IO, true}; /* the same again */
    /* Versions from 4.0 do without. */
    if (strcmp(t->name, "4.0.1/create-no-args.json") == 0 || strcmp(t->name, "4.0.1/create-no-env.json") == 0)
        return (struct meaning){NULL, ERR_OK, false};
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (str_starts(name, meanings[i].begins))
            return meanings[i];
    return (struct meaning){NULL, ERR_INVALID, false};
}

static void check_meaning(const struct transcript *t)
{
    struct submission_server_reading r;
    struct meaning expected = meaning_of(t);
    submission_server_read(t->action, &t->result, &r);
    const struct submission_server_answer *a = &r.answer;
    bool is_other_call = strstr(t->name, "killall.") != NULL || strstr(t->name, "clear.") != NULL ||
                         strstr(t->name, "readyz.") != NULL;
    if (is_other_call && t->result.status == 200)
        expected.code = ERR_IO; /* an answer to another question */
    if (a->err.code != expected.code || a->uncertain != expected.uncertain)
        fail_msg("%s: %d '%s'%s", t->name, (int)a->err.code, a->err.msg, a->uncertain ? ", uncertain" : "");
    if (a->err.code != ERR_OK && (a->err.msg[0] == '\0' || strchr(a->err.msg, '\n') != NULL))
        fail_msg("%s: no sentence: '%s'", t->name, a->err.msg);
    assert_true((a->driver_id != NULL) == (a->err.code == ERR_OK && t->action == SUBMISSION_CREATE));
    assert_true((a->driver_state != NULL) == (a->err.code == ERR_OK && t->action == SUBMISSION_STATUS));
    submission_server_reading_clear(&r);
}

static void every_recorded_answer_is_understood(void **state)
{
    (void)state;
    each_transcript(check_meaning);
}

static void check_truncations(const struct transcript *t)
{
    for (size_t n = 0; n < t->result.len; n++) {
        struct submission_server_reading r;
        cleanup(mem_freep) char *part = mem_strndup(t->result.body, n);
        struct http_result cut = t->result;
        cut.body = part;
        cut.len = n;
        submission_server_read(t->action, &cut, &r);
        if (r.answer.err.code == ERR_OK)
            fail_msg("%s: taken although it ends at byte %zu", t->name, n);
        if (t->result.status == 200)
            assert_int_equal(r.answer.uncertain, t->action != SUBMISSION_STATUS);
        submission_server_reading_clear(&r);
    }
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    each_transcript(check_truncations);
}

static struct submission_server_reading read_transcript(const char *file)
{
    struct submission_server_reading r;
    struct transcript t = open_transcript("4.0.1", file);
    submission_server_read(t.action, &t.result, &r);
    json_decref(t.whole);
    return r;
}

static void what_an_answer_holds_is_told(void **state)
{
    (void)state;
    struct submission_server_reading r = read_transcript("create-ok.json");
    assert_string_equal(r.answer.driver_id, "driver-20261120230423-0001");
    assert_string_equal(r.answer.spark_version, "4.0.1");
    assert_string_equal(r.answer.message, "Driver successfully submitted as driver-20261120230423-0001");
    submission_server_reading_clear(&r);
    r = read_transcript("status-running.json");
    assert_string_equal(r.answer.driver_state, "RUNNING");
    assert_string_equal(r.answer.worker_id, "worker-20261120230043-127.0.0.1-37102");
    assert_string_equal(r.answer.worker_host_port, "127.0.0.1:37102");
    assert_null(r.answer.message);
    submission_server_reading_clear(&r);
    r = read_transcript("status-submitted.json");
    assert_string_equal(r.answer.driver_state, "SUBMITTED");
    assert_null(r.answer.worker_host_port);
    submission_server_reading_clear(&r);
    r = read_transcript("status-error.json");
    assert_string_equal(r.answer.driver_state, "ERROR");
    assert_string_equal(r.answer.message, "java.io.FileNotFoundException: http://127.0.0.1:18123/none.jar");
    submission_server_reading_clear(&r);
    r = read_transcript("create-no-name.json"); /* a page in HTML */
    assert_string_equal(r.answer.err.msg, "its answer is HTTP 500: Error 500 java.lang.NullPointerException: "
                                          "null value for spark.app.name");
    submission_server_reading_clear(&r);
}

/* ---- answers that were not recorded ---- */

struct unrecorded {
    enum submission_server_action action;
    int status;
    const char *body;
    enum err_code code;
    bool uncertain;
    const char *words;
};

#define CREATED "{\"action\":\"CreateSubmissionResponse\",\"success\":"
#define STATUS "{\"action\":\"SubmissionStatusResponse\",\"success\":"
#define NOT_ALIVE "Current state is not alive: STANDBY. Can only accept driver submissions in ALIVE state."

static const struct unrecorded unrecorded[] = {
    {SUBMISSION_CREATE, 200, CREATED "false,\"message\":\"" NOT_ALIVE "\"}", ERR_BUSY, false, "STANDBY"},
    {SUBMISSION_CREATE, 200, CREATED "false,\"message\":\"no\"}", ERR_INVALID, false, "no"},
    {SUBMISSION_CREATE, 200, CREATED "false}", ERR_INVALID, false, "no reason was given"},
    {SUBMISSION_CREATE, 200, CREATED "true}", ERR_IO, true, "no submissionId"},
    {SUBMISSION_CREATE, 200, CREATED "true,\"submissionId\":7}", ERR_IO, true, "no submissionId"},
    {SUBMISSION_CREATE, 200, CREATED "true,\"submissionId\":\"\"}", ERR_IO, true, "no submissionId"},
    {SUBMISSION_CREATE, 200, CREATED "\"true\",\"submissionId\":\"d\"}", ERR_IO, true, "is no Create"},
    {SUBMISSION_CREATE, 200, STATUS "true,\"driverState\":\"RUNNING\"}", ERR_IO, true, "is no Create"},
    {SUBMISSION_CREATE, 200, "[]", ERR_IO, true, "not whole JSON"},
    {SUBMISSION_CREATE, 200, "<html>proxy</html>", ERR_IO, true, "not whole JSON"},
    {SUBMISSION_CREATE, 502, "<html>bad gateway</html>", ERR_IO, true, "HTTP 502"},
    {SUBMISSION_CREATE, 503, "{\"action\":\"ErrorResponse\",\"message\":\"Master is not ready.\"}", ERR_BUSY,
     false, "Master is not ready."},
    {SUBMISSION_CREATE, 404, "", ERR_INVALID, false, "HTTP 404"},
    {SUBMISSION_CREATE, 302, "", ERR_INVALID, false, "HTTP 302"},
    {SUBMISSION_CREATE, 468,
     "{\"action\":\"ErrorResponse\",\"message\":\"x\",\"highestProtocolVersion\":\"v2\"}", ERR_INVALID, false,
     "protocol version v2"},
    {SUBMISSION_STATUS, 200,
     STATUS "false,\"message\":\"Exception from the cluster:\\njava.lang.Exception: " NOT_ALIVE
            "\\n\\tat x\"}",
     ERR_BUSY, false, "STANDBY"},
    {SUBMISSION_STATUS, 200, STATUS "true}", ERR_IO, false, "no driverState"},
    {SUBMISSION_STATUS, 500, "", ERR_IO, false, "HTTP 500"},
    {SUBMISSION_KILL, 500, "", ERR_IO, true, "HTTP 500"},
};

static void other_answers_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof unrecorded / sizeof *unrecorded; i++) {
        const struct unrecorded *u = &unrecorded[i];
        struct submission_server_reading r;
        struct http_result result = {
            .status = u->status, .sent = true, .body = u->body, .len = strlen(u->body)};
        submission_server_read(u->action, &result, &r);
        if (r.answer.err.code != u->code || r.answer.uncertain != u->uncertain ||
            strstr(r.answer.err.msg, u->words) == NULL)
            fail_msg("%d %s: %d '%s'", u->status, u->body, (int)r.answer.err.code, r.answer.err.msg);
        submission_server_reading_clear(&r);
    }
}

/* ---- calls ---- */

struct world {
    uv_loop_t loop;
    struct server server;
    struct http_client *http;
    char base[64];
    struct strlist args;
    struct strmap environment, properties;
    unsigned n_done;
    enum err_code code;
    bool uncertain;
    char driver[64], state[32];
};

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    server_start(&w->server, &w->loop);
    w->http = http_client_new(&w->loop);
    assert_non_null(w->http);
    (void)snprintf(w->base, sizeof w->base, "%.*s", (int)(strrchr(w->server.url, '/') - w->server.url),
                   w->server.url);
    assert_int_equal(strlist_add(&w->args, "2") | strlist_add(&w->args, "\"quoted\""), 0);
    assert_int_equal(strmap_set(&w->environment, "SPARK_SCALA_VERSION", "2.12"), 0);
    assert_int_equal(strmap_set(&w->properties, "spark.app.name", "demo"), 0);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    http_client_free(w->http);
    server_stop(&w->server);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    server_clear(&w->server);
    strlist_clear(&w->args);
    strmap_clear(&w->environment);
    strmap_clear(&w->properties);
    free(w);
    assert_int_equal(mem_live(), 0);
    return 0;
}

static void on_done(const struct submission_server_answer *answer, void *arg)
{
    struct world *w = arg;
    w->n_done++;
    w->code = answer->err.code;
    w->uncertain = answer->uncertain;
    (void)snprintf(w->driver, sizeof w->driver, "%s", answer->driver_id != NULL ? answer->driver_id : "-");
    (void)snprintf(w->state, sizeof w->state, "%s",
                   answer->driver_state != NULL ? answer->driver_state : "-");
}

static void until_done(struct world *w, unsigned n)
{
    while (w->n_done < n)
        assert_int_not_equal(uv_run(&w->loop, UV_RUN_ONCE), 0);
}

static struct submission_server_call *create(struct world *w, int64_t timeout_ms)
{
    struct submission_server_driver driver = {
        .app_resource = "http://files/demo.jar",
        .main_class = "demo.Main",
        .arguments = &w->args,
        .environment = &w->environment,
        .properties = &w->properties,
        .spark_version = "3.5.7",
    };
    return submission_server_create(w->http, w->base, &driver, timeout_ms, on_done, w);
}

/* The recorded answer, as HTTP; the caller frees it. */
static char *recorded(const char *file)
{
    struct transcript t = open_transcript("4.0.1", file);
    char *text = NULL;
    assert_true(asprintf(&text, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", t.result.status,
                         t.result.len, t.result.body) > 0);
    json_decref(t.whole);
    return text;
}

static void a_creation_is_sent_with_every_field(void **state)
{
    struct world *w = *state;
    char *answer = recorded("create-ok.json");
    w->server.answer = answer;
    assert_non_null(create(w, PATIENCE_MS));
    until_done(w, 1);
    assert_int_equal(w->code, ERR_OK);
    assert_string_equal(w->driver, "driver-20261120230423-0001");
    const char *request = w->server.requests[0];
    assert_true(str_starts(request, "POST /v1/submissions/create HTTP/1.1\r\n"));
    const char *body = strstr(request, "\r\n\r\n") + 4;
    json_t *expected =
        json_pack("{s:s, s:[s,s], s:s, s:s, s:{s:s}, s:s, s:{s:s}}", "action", "CreateSubmissionRequest",
                  "appArgs", "2", "\"quoted\"", "appResource", "http://files/demo.jar", "clientSparkVersion",
                  "3.5.7", "environmentVariables", "SPARK_SCALA_VERSION", "2.12", "mainClass", "demo.Main",
                  "sparkProperties", "spark.app.name", "demo");
    json_t *sent = json_loads(body, 0, NULL);
    assert_true(json_equal(sent, expected));
    json_decref(sent);
    json_decref(expected);
    free(answer);
}

static void a_status_and_a_kill_name_the_driver(void **state)
{
    struct world *w = *state;
    char *answer = recorded("status-running.json");
    w->server.answer = answer;
    assert_non_null(submission_server_status(w->http, w->base, "a/b", PATIENCE_MS, on_done, w));
    until_done(w, 1);
    assert_string_equal(w->state, "RUNNING");
    assert_true(str_starts(w->server.requests[0], "GET /v1/submissions/status/a%2Fb HTTP/1.1\r\n"));
    free(answer);
    w->server.answer = answer = recorded("kill-running.json");
    assert_non_null(submission_server_kill(w->http, w->base, "driver-1", PATIENCE_MS, on_done, w));
    until_done(w, 2);
    assert_int_equal(w->code, ERR_OK);
    assert_true(str_starts(w->server.requests[1], "POST /v1/submissions/kill/driver-1 HTTP/1.1\r\n"));
    free(answer);
}

static void a_creation_without_an_answer_is_uncertain(void **state)
{
    struct world *w = *state;
    w->server.manner = IS_SILENT;
    assert_non_null(create(w, SOON_MS));
    until_done(w, 1);
    assert_int_equal(w->code, ERR_TIMEOUT);
    assert_true(w->uncertain);
    w->server.manner = CLOSES;
    assert_non_null(create(w, PATIENCE_MS));
    until_done(w, 2);
    assert_int_equal(w->code, ERR_IO);
    assert_true(w->uncertain);
    assert_int_equal(w->server.n_requests, 2); /* never sent again */
}

static void a_creation_that_never_left_is_certain(void **state)
{
    struct world *w = *state;
    (void)snprintf(w->base, sizeof w->base, "http://127.0.0.1:1");
    assert_non_null(create(w, PATIENCE_MS));
    until_done(w, 1);
    assert_int_equal(w->code, ERR_IO);
    assert_false(w->uncertain);
}

static void a_cancelled_call_is_not_heard_of(void **state)
{
    struct world *w = *state;
    w->server.manner = IS_SILENT;
    struct submission_server_call *call = create(w, PATIENCE_MS);
    while (w->server.n_requests < 1)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    submission_server_cancel(call);
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->n_done, 0);
}

static void a_creation_survives_every_failing_allocation(void **state)
{
    struct world *w = *state;
    char *answer = recorded("create-ok.json");
    w->server.answer = answer;
    for (long n = 1; w->n_done == 0 || w->code != ERR_OK; n++) {
        unsigned done = w->n_done;
        assert_in_range(n, 1, 60);
        mem_fail_at(n);
        if (create(w, SOON_MS) != NULL)
            until_done(w, done + 1);
        mem_fail_at(0);
    }
    free(answer);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_answer_is_understood),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(what_an_answer_holds_is_told),
        cmocka_unit_test(other_answers_are_told_apart),
        T(a_creation_is_sent_with_every_field),
        T(a_status_and_a_kill_name_the_driver),
        T(a_creation_without_an_answer_is_uncertain),
        T(a_creation_that_never_left_is_certain),
        T(a_cancelled_call_is_not_heard_of),
        T(a_creation_survives_every_failing_allocation),
    };
#undef T
    (void)signal(SIGPIPE, SIG_IGN); /* the client hangs up on the test's server */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
