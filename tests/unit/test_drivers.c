/*
 * The life of drivers on a standalone cluster, with a master that is played by the test: it sees each
 * question and chooses the answer, or that there is none. Time is the test's, too.
 */
#include "cluster/drivers_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

/* ---- the played parts ---- */

static int64_t now_ms;

int64_t clock_mono_ms(void)
{
    return now_ms;
}

int64_t clock_wall_ms(void)
{
    return now_ms;
}

void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
    (void)wall_ms;
    out[0] = '\0';
}

/* Of a driver, and about the whole cluster: the two may be open at the same time. */
static struct question {
    bool open;
    enum rpc_kind kind;
    char text[100];
    rpc_answer_cb *done;
    void *arg;
} questions[2];

static struct question *question_of(enum rpc_kind kind)
{
    return &questions[kind == RPC_MASTER_STATE];
}

enum err_code clusters_masters(struct clusters *c, const char *url, const char *secret, struct masters **ret,
                               struct err *err)
{
    (void)c;
    (void)url;
    (void)secret;
    (void)err;
    *ret = (struct masters *)questions;
    return ERR_OK;
}

void masters_ask(struct masters *m, const struct rpc_message *message, int64_t timeout_ms,
                 rpc_answer_cb *done, void *arg)
{
    (void)m;
    (void)timeout_ms;
    struct question *q = question_of(message->kind);
    assert_false(q->open);
    *q = (struct question){.open = true, .kind = message->kind, .done = done, .arg = arg};
    (void)snprintf(q->text, sizeof q->text, "%s", message->text != NULL ? message->text : "");
}

static const char *scala;

const char *masters_scala(const struct masters *m)
{
    (void)m;
    return scala;
}

bool masters_has_secret(const struct masters *m)
{
    (void)m;
    return false;
}

struct http_client *clusters_http(struct clusters *c)
{
    (void)c;
    return (struct http_client *)questions;
}

struct cluster *clusters_find_url(struct clusters *c, const char *url)
{
    (void)c;
    (void)url;
    return NULL;
}

int64_t cluster_rest_port(const struct cluster *c)
{
    (void)c;
    return 0;
}

static struct {
    char what[20], base[100];
    submission_server_cb *done;
    void *arg;
} rest;

static struct submission_server_call *rest_asked(const char *what, const char *base,
                                                 submission_server_cb *done, void *arg)
{
    (void)snprintf(rest.what, sizeof rest.what, "%s", what);
    (void)snprintf(rest.base, sizeof rest.base, "%s", base);
    rest.done = done;
    rest.arg = arg;
    return (struct submission_server_call *)&rest;
}

struct submission_server_call *submission_server_create(struct http_client *c, const char *base,
                                                        const struct submission_server_driver *driver,
                                                        int64_t timeout_ms, submission_server_cb *done,
                                                        void *arg)
{
    (void)c;
    (void)timeout_ms;
    assert_string_equal(driver->main_class, "demo.Main");
    return rest_asked("create", base, done, arg);
}

struct submission_server_call *submission_server_status(struct http_client *c, const char *base,
                                                        const char *driver_id, int64_t timeout_ms,
                                                        submission_server_cb *done, void *arg)
{
    (void)c;
    (void)driver_id;
    (void)timeout_ms;
    return rest_asked("status", base, done, arg);
}

struct submission_server_call *submission_server_kill(struct http_client *c, const char *base,
                                                      const char *driver_id, int64_t timeout_ms,
                                                      submission_server_cb *done, void *arg)
{
    (void)c;
    (void)driver_id;
    (void)timeout_ms;
    return rest_asked("kill", base, done, arg);
}

void submission_server_cancel(struct submission_server_call *call)
{
    (void)call;
    rest.what[0] = '\0';
}

static struct {
    http_call_cb *done;
    void *arg;
} fetches[2];
static size_t n_fetches;

struct http_call *http_call_start(struct http_client *c, const struct http_call_options *options,
                                  http_call_cb *done, void *arg)
{
    (void)c;
    assert_true(str_starts(options->url, "http://w:8081/log/?driverId=d-1&logType=std"));
    assert_true(n_fetches < 2);
    fetches[n_fetches].done = done;
    fetches[n_fetches++].arg = arg;
    return (struct http_call *)&fetches[n_fetches - 1];
}

static void give_output(void)
{
    static const char body[] = "==== Bytes 0-5 of 5 of /x ====\nhello";
    const struct http_result yes = {.status = 200, .body = body, .len = sizeof body - 1};
    const struct http_result no = {.status = 404, .body = ""};
    assert_int_equal(n_fetches, 2);
    fetches[0].done(&yes, fetches[0].arg);
    fetches[1].done(&no, fetches[1].arg);
}

void http_call_cancel(struct http_call *call)
{
    (void)call;
}

/* ---- the world ---- */

struct world {
    uv_loop_t loop;
    struct settings settings;
    struct drivers *drivers;
    struct driver *driver;
    struct spark_submission submission;
    char log[4000];   /* events, one line each */
    char output[100]; /* what it said on standard output */
};

static void on_event(const struct driver_event *event, void *arg)
{
    struct world *w = arg;
    static const char *const names[] = {"accepted", "refused", "state", "trouble", "ended"};
    size_t n = strlen(w->log);
    if (event->output[0] != NULL)
        (void)snprintf(w->output, sizeof w->output, "%s", event->output[0]);
    (void)snprintf(w->log + n, sizeof w->log - n, "%s id=%s state=%s worker=%s app=%s: %s\n",
                   names[event->kind], event->driver_id != NULL ? event->driver_id : "-",
                   event->state != NULL ? event->state : "-", event->worker != NULL ? event->worker : "-",
                   event->app_id != NULL ? event->app_id : "-", event->words != NULL ? event->words : "-");
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    memset(questions, 0, sizeof questions);
    memset(&rest, 0, sizeof rest);
    now_ms = 1000000;
    scala = "2.12";
    n_fetches = 0;
    static char rpc[] = "rpc";
    w->settings.clusters.submission = rpc;
    w->settings.clusters.rest_port = 6066;
    struct drivers_options options = {.loop = &w->loop, .settings = &w->settings};
    w->drivers = drivers_open(&options);
    assert_non_null(w->drivers);
    assert_int_equal(mem_set_str(&w->submission.file, "/j.jar"), 0);
    assert_int_equal(mem_set_str(&w->submission.class_name, "demo.Main"), 0);
    assert_int_equal(mem_set_str(&w->submission.master, "spark://a:7077,b"), 0);
    assert_int_equal(mem_set_str(&w->submission.deploy_mode, "cluster"), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    driver_free(w->driver);
    drivers_stop(w->drivers);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    drivers_free(w->drivers);
    spark_submission_clear(&w->submission);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w);
    return 0;
}

/* One tick, so much later. */
static void later(struct world *w, int64_t ms)
{
    now_ms += ms;
    drivers_soon(w->drivers);
    (void)uv_run(&w->loop, UV_RUN_ONCE);
}

static void begin(struct world *w, const char *id, bool maybe_sent)
{
    struct err err = {0};
    const struct driver_options options = {
        .submission = &w->submission, .token = "t0ken", .driver_id = id, .maybe_sent = maybe_sent};
    if (driver_new(w->drivers, &options, on_event, w, &w->driver, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    later(w, 1);
}

static void give(enum rpc_kind kind, enum rpc_result result, bool uncertain, const char *json)
{
    struct question *q = question_of(kind);
    json_t *value = json != NULL ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(json == NULL || value != NULL);
    const struct rpc_answer a = {.result = result,
                                 .value = value,
                                 .words = result == RPC_VALUE ? "" : "a:7077 is in trouble",
                                 .uncertain = uncertain};
    assert_true(q->open);
    assert_int_equal(q->kind, kind);
    q->open = false;
    q->done(&a, q->arg);
    json_decref(value);
}

static const char *text_of(enum rpc_kind kind)
{
    assert_true(question_of(kind)->open);
    assert_int_equal(question_of(kind)->kind, kind);
    return question_of(kind)->text;
}

static void nothing_is_asked(void)
{
    assert_false(questions[0].open);
    assert_false(questions[1].open);
}

static void told(struct world *w, const char *line)
{
    if (strstr(w->log, line) == NULL)
        fail_msg("'%s' was not told, but: %s", line, w->log);
}

#define VALUE(kind, json) give(kind, RPC_VALUE, false, json)
#define ACCEPTED "{\"success\":true,\"driverId\":\"d-1\",\"message\":\"ok\"}"
#define STATUS(state, worker)                                                                                \
    "{\"found\":true,\"state\":\"" state "\",\"workerId\":" worker ",\"workerHostPort\":" worker             \
    ",\"exception\":null}"
#define EMPTY                                                                                                \
    "{\"activeDrivers\":[],\"completedDrivers\":[],\"activeApps\":[],\"completedApps\":[],\"workers\":[]}"
#define ENTRY(id, start)                                                                                     \
    "{\"id\":\"" id "\",\"startTime\":" start                                                                \
    ",\"desc\":{\"appUiUrl\":\"http://ui\",\"command\":{\"environment\":"                                    \
    "{\"HEARTH_SUBMISSION\":\"t0ken\"}}}}"
#define WITH_DRIVERS(list)                                                                                   \
    "{\"activeDrivers\":[" list "],\"completedDrivers\":[],\"activeApps\":[],\"workers\":[]}"
#define RUNNING_STATE                                                                                        \
    "{\"activeDrivers\":[" ENTRY("d-1", "1") "],\"activeApps\":[" ENTRY(                                     \
        "app-1", "2") "],\"workers\":[{\"id\":\"w:1\",\"webUiAddress\":\"http://w:8081\"}]}"

/* ---- tests ---- */

static void submitted_followed_finished(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    VALUE(RPC_SUBMIT_DRIVER, ACCEPTED);
    told(w, "accepted id=d-1");
    later(w, 250);
    assert_string_equal(text_of(RPC_DRIVER_STATUS), "d-1");
    VALUE(RPC_DRIVER_STATUS, STATUS("SUBMITTED", "null"));
    told(w, "state id=d-1 state=SUBMITTED");
    later(w, 600);
    VALUE(RPC_DRIVER_STATUS, STATUS("RUNNING", "\"w:1\""));
    told(w, "state id=d-1 state=RUNNING worker=w:1");
    later(w, 1100); /* where its page and application are is a question of its own */
    VALUE(RPC_MASTER_STATE, RUNNING_STATE);
    VALUE(RPC_DRIVER_STATUS, STATUS("RUNNING", "\"w:1\""));
    later(w, 1100);
    told(w, "worker=w:1 app=app-1");
    VALUE(RPC_DRIVER_STATUS, STATUS("FINISHED", "\"w:1\""));
    later(w, 1);
    give_output();
    told(w, "ended id=d-1 state=FINISHED worker=w:1 app=app-1: finished on w:1");
    assert_string_equal(w->output, "hello");
    later(w, 60000);
    nothing_is_asked();
}

static void a_lost_answer_is_looked_for_twice_and_then_sent_again(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    (void)text_of(RPC_SUBMIT_DRIVER);
    give(RPC_SUBMIT_DRIVER, RPC_CLOSED, true, NULL);
    told(w, "trouble");
    later(w, 1100);
    (void)text_of(RPC_MASTER_STATE);
    VALUE(RPC_MASTER_STATE, EMPTY);
    later(w, 1);
    nothing_is_asked(); /* a submission that is still on its way has two seconds */
    later(w, 2500);
    (void)text_of(RPC_MASTER_STATE);
    VALUE(RPC_MASTER_STATE, EMPTY);
    later(w, 1);
    later(w, 1);
    (void)text_of(RPC_SUBMIT_DRIVER);
    VALUE(RPC_SUBMIT_DRIVER, ACCEPTED);
    told(w, "accepted id=d-1");
}

static void a_lost_answer_is_found_and_nothing_is_sent_again(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    give(RPC_SUBMIT_DRIVER, RPC_LATE, true, NULL);
    later(w, 1100);
    (void)text_of(RPC_MASTER_STATE);
    VALUE(RPC_MASTER_STATE, WITH_DRIVERS(ENTRY("d-7", "1")));
    later(w, 1);
    told(w, "accepted id=d-7");
    later(w, 250);
    (void)text_of(RPC_DRIVER_STATUS);
    assert_string_equal(text_of(RPC_DRIVER_STATUS), "d-7");
}

static void after_a_restart_the_token_is_looked_for_first(void **state)
{
    struct world *w = *state;
    begin(w, NULL, true);
    (void)text_of(RPC_MASTER_STATE);
    VALUE(RPC_MASTER_STATE, WITH_DRIVERS(ENTRY("d-3", "1")));
    later(w, 1);
    told(w, "accepted id=d-3");
}

static void a_known_one_is_followed_at_once(void **state)
{
    struct world *w = *state;
    begin(w, "d-5", true);
    (void)text_of(RPC_DRIVER_STATUS);
    assert_string_equal(text_of(RPC_DRIVER_STATUS), "d-5");
}

static void a_relaunched_driver_is_followed_under_its_new_id(void **state)
{
    struct world *w = *state;
    begin(w, "d-1", true);
    VALUE(RPC_DRIVER_STATUS, STATUS("RELAUNCHING", "\"w:1\""));
    later(w, 1100);
    (void)text_of(RPC_MASTER_STATE);
    VALUE(RPC_MASTER_STATE, WITH_DRIVERS(ENTRY("d-1", "1") "," ENTRY("d-2", "2")));
    later(w, 1);
    told(w, "accepted id=d-2");
    later(w, 250);
    (void)text_of(RPC_DRIVER_STATUS);
    assert_string_equal(text_of(RPC_DRIVER_STATUS), "d-2");
}

static void a_forgotten_driver_ends_with_the_reason(void **state)
{
    struct world *w = *state;
    static const char unknown[] = "{\"found\":false,\"state\":null,\"exception\":null}";
    begin(w, "d-1", true);
    for (int i = 0; i < 3; i++) {
        (void)text_of(RPC_DRIVER_STATUS);
        VALUE(RPC_DRIVER_STATUS, unknown);
        later(w, 1100);
    }
    (void)text_of(RPC_MASTER_STATE);
    VALUE(RPC_MASTER_STATE, EMPTY);
    later(w, 1);
    later(w, 2500);
    (void)text_of(RPC_MASTER_STATE);
    VALUE(RPC_MASTER_STATE, EMPTY);
    later(w, 1);
    later(w, 1);
    told(w, "ended id=d-1 state=UNKNOWN");
    told(w, "does not know its driver any more");
}

static void a_lost_worker_is_told_from_a_driver_that_could_not_start(void **state)
{
    struct world *w = *state;
    begin(w, "d-1", true);
    (void)text_of(RPC_DRIVER_STATUS);
    VALUE(RPC_DRIVER_STATUS, STATUS("ERROR", "null"));
    later(w, 1);
    told(w, "ended id=d-1 state=ERROR worker=- app=-: was lost with its worker");
    driver_free(w->driver);
    begin(w, "d-2", true);
    (void)text_of(RPC_DRIVER_STATUS);
    VALUE(RPC_DRIVER_STATUS, "{\"found\":true,\"state\":\"ERROR\",\"workerId\":null,\"workerHostPort\":null,"
                             "\"exception\":{\"exception\":\"E\",\"message\":\"no jar\",\"cause\":null}}");
    later(w, 1);
    told(w, "ended id=d-2 state=ERROR worker=- app=-: could not be started on an unknown worker: E: no jar");
}

static void a_search_goes_on_after_trouble(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    give(RPC_SUBMIT_DRIVER, RPC_CLOSED, true, NULL);
    later(w, 1100);
    give(RPC_MASTER_STATE, RPC_UNREACHABLE, false, NULL);
    later(w, 1);
    later(w, 20000);
    VALUE(RPC_MASTER_STATE, WITH_DRIVERS(ENTRY("d-7", "1")));
    later(w, 1);
    told(w, "accepted id=d-7");
}

static void a_master_that_throws_may_have_acted(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    give(RPC_SUBMIT_DRIVER, RPC_EXCEPTION, false, "{}");
    later(w, 1100);
    (void)text_of(RPC_MASTER_STATE);
}

static void its_status_is_asked_for_between_two_orders_to_kill(void **state)
{
    struct world *w = *state;
    begin(w, "d-1", true);
    VALUE(RPC_DRIVER_STATUS, STATUS("RUNNING", "null"));
    driver_kill(w->driver);
    later(w, 1);
    give(RPC_KILL_DRIVER, RPC_LATE, false, NULL);
    later(w, 60000);
    VALUE(RPC_DRIVER_STATUS, STATUS("FINISHED", "null"));
    later(w, 1);
    told(w, "ended id=d-1 state=FINISHED");
}

static void trouble_is_told_once_over_and_tried_again(void **state)
{
    struct world *w = *state;
    begin(w, "d-1", true);
    give(RPC_DRIVER_STATUS, RPC_LATE, false, NULL);
    told(w, "trouble id=d-1 state=- worker=- app=-: a:7077 is in trouble");
    later(w, 500);
    nothing_is_asked();
    later(w, 600);
    (void)text_of(RPC_DRIVER_STATUS);
    VALUE(RPC_DRIVER_STATUS, STATUS("RUNNING", "null"));
    told(w, "trouble id=d-1 state=- worker=- app=-: -");
    told(w, "state id=d-1 state=RUNNING");
}

static void a_refusal_is_final(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    VALUE(RPC_SUBMIT_DRIVER, "{\"success\":false,\"driverId\":null,\"message\":\"no such thing\"}");
    told(w, "refused id=- state=- worker=- app=-: no such thing");
    later(w, 60000);
    nothing_is_asked();
}

static void a_standby_is_no_refusal(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    VALUE(RPC_SUBMIT_DRIVER,
          "{\"success\":false,\"driverId\":null,\"message\":\"Current state is not alive: STANDBY. x\"}");
    told(w, "trouble");
    later(w, 1100);
    (void)text_of(RPC_SUBMIT_DRIVER);
}

static void killing(void **state)
{
    struct world *w = *state;
    begin(w, "d-1", true);
    VALUE(RPC_DRIVER_STATUS, STATUS("RUNNING", "null"));
    driver_kill(w->driver);
    later(w, 1);
    (void)text_of(RPC_KILL_DRIVER);
    assert_string_equal(text_of(RPC_KILL_DRIVER), "d-1");
    VALUE(RPC_KILL_DRIVER, "{\"success\":true}");
    later(w, 1);
    (void)text_of(RPC_DRIVER_STATUS);
    VALUE(RPC_DRIVER_STATUS, STATUS("RUNNING", "null"));
    later(w, 2100);
    (void)text_of(RPC_KILL_DRIVER); /* again: the order may have been lost */
    VALUE(RPC_KILL_DRIVER, "{\"success\":true}");
    later(w, 1);
    VALUE(RPC_DRIVER_STATUS, STATUS("KILLED", "null"));
    later(w, 1);
    told(w, "ended id=d-1 state=KILLED");
}

static void killed_before_it_was_sent(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    const struct driver_options options = {.submission = &w->submission, .token = "t0ken"};
    assert_int_equal(driver_new(w->drivers, &options, on_event, w, &w->driver, &err), ERR_OK);
    driver_kill(w->driver);
    later(w, 1);
    nothing_is_asked();
    told(w, "refused id=- state=- worker=- app=-: killed before its driver was submitted");
}

static void freed_while_it_asks(void **state)
{
    struct world *w = *state;
    begin(w, "d-1", true);
    (void)text_of(RPC_DRIVER_STATUS);
    driver_free(w->driver);
    w->driver = NULL;
    VALUE(RPC_DRIVER_STATUS, STATUS("RUNNING", "null"));
    later(w, 1);
    assert_string_equal(w->log, "");
}

static void rest_when_rpc_is_refused(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    give(RPC_SUBMIT_DRIVER, RPC_UNREACHABLE, false, NULL);
    later(w, 250);
    assert_string_equal(rest.what, "create");
    assert_string_equal(rest.base, "http://a:6066");
    struct submission_server_answer busy = {.err = {ERR_BUSY, "standby"}};
    rest.done(&busy, rest.arg);
    later(w, 250);
    assert_string_equal(rest.base, "http://b:6066");
    struct submission_server_answer ok = {.driver_id = "d-9"};
    rest.done(&ok, rest.arg);
    told(w, "accepted id=d-9");
    later(w, 250);
    assert_string_equal(rest.what, "status");
    struct submission_server_answer done = {
        .driver_state = "FINISHED", .worker_id = "w:1", .worker_host_port = "w:1"};
    rest.done(&done, rest.arg);
    later(w, 1);
    told(w, "ended id=d-9 state=FINISHED worker=w:1");
}

static void neither_way(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    give(RPC_SUBMIT_DRIVER, RPC_UNREACHABLE, false, NULL);
    struct submission_server_answer gone = {.err = {ERR_IO, "no connection"}};
    for (int i = 0; i < 2; i++) {
        later(w, 250);
        rest.done(&gone, rest.arg);
    }
    told(w, "a:7077 is in trouble; and over the REST submission server http://b:6066: no connection");
    later(w, 1100);
    (void)text_of(RPC_SUBMIT_DRIVER); /* RPC again */
}

static void a_lost_answer_over_rest_is_never_sent_again(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    give(RPC_SUBMIT_DRIVER, RPC_UNREACHABLE, false, NULL);
    later(w, 250);
    struct submission_server_answer lost = {.err = {ERR_TIMEOUT, "no answer in 30s"}, .uncertain = true};
    rest.done(&lost, rest.arg);
    told(w, "refused");
    told(w, "look for it on the cluster");
}

static void a_wrong_secret_is_final(void **state)
{
    struct world *w = *state;
    begin(w, NULL, false);
    give(RPC_SUBMIT_DRIVER, RPC_UNAUTHORIZED, false, NULL);
    told(w, "refused id=- state=- worker=- app=-: a:7077 is in trouble");
}

static void the_dialect_is_learnt_before_the_submission(void **state)
{
    struct world *w = *state;
    scala = NULL;
    begin(w, NULL, false);
    (void)text_of(RPC_MASTER_STATE);
    scala = "2.13";
    VALUE(RPC_MASTER_STATE, EMPTY);
    later(w, 1);
    (void)text_of(RPC_SUBMIT_DRIVER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(submitted_followed_finished),
        TEST(a_lost_answer_is_looked_for_twice_and_then_sent_again),
        TEST(a_lost_answer_is_found_and_nothing_is_sent_again),
        TEST(after_a_restart_the_token_is_looked_for_first),
        TEST(a_known_one_is_followed_at_once),
        TEST(a_relaunched_driver_is_followed_under_its_new_id),
        TEST(a_forgotten_driver_ends_with_the_reason),
        TEST(a_lost_worker_is_told_from_a_driver_that_could_not_start),
        TEST(a_search_goes_on_after_trouble),
        TEST(a_master_that_throws_may_have_acted),
        TEST(its_status_is_asked_for_between_two_orders_to_kill),
        TEST(trouble_is_told_once_over_and_tried_again),
        TEST(a_refusal_is_final),
        TEST(a_standby_is_no_refusal),
        TEST(killing),
        TEST(killed_before_it_was_sent),
        TEST(freed_while_it_asks),
        TEST(rest_when_rpc_is_refused),
        TEST(neither_way),
        TEST(a_lost_answer_over_rest_is_never_sent_again),
        TEST(a_wrong_secret_is_final),
        TEST(the_dialect_is_learnt_before_the_submission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
