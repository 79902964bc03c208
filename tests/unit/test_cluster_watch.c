/*
 * Watching clusters, and killing their drivers, with masters and a page that are played by the test: it sees
 * each question and chooses the answer, or that there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/cluster_internal.h"
#include "cluster/cluster_kill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the played parts ---- */

static int64_t skipped_ms; /* by which the test is ahead of time */

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return read_ms(CLOCK_MONOTONIC) + skipped_ms;
}

int64_t clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
    (void)snprintf(out, CLOCK_TEXT_MAX, "%lld", (long long)wall_ms);
}

enum { PAGE_AGES_MS = 3000 };

enum { QUESTIONS_MAX = 32, PATIENCE_MS = 20000 };

struct masters {
    char *url;
};

struct http_call { /* the only one at a time */
    bool open, cancelled;
    char url[200];
    http_call_cb *done;
    void *arg;
};

static struct question {
    const struct masters *masters;
    enum rpc_kind kind; /* RPC_MASTER_STATE: a survey */
    char text[100];
    int64_t at_ms, timeout_ms;
    void (*surveyed)(json_t *array, void *arg);
    rpc_answer_cb *done;
    void *arg;
} questions[QUESTIONS_MAX];
static size_t n_questions; /* open ones */
static size_t n_surveys;   /* ever */
static struct http_call call;

enum err_code masters_new(const struct masters_options *options, struct masters **ret, struct err *err)
{
    struct masters *m = mem_calloc(1, sizeof *m);
    if (m == NULL || (m->url = mem_strdup(options->url)) == NULL) {
        mem_free(m);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *ret = m;
    return ERR_OK;
}

void masters_free(struct masters *m)
{
    if (m == NULL)
        return;
    mem_free(m->url);
    mem_free(m);
}

const char *masters_url(const struct masters *m)
{
    return m->url;
}

bool masters_has_secret(const struct masters *m)
{
    (void)m;
    return false;
}

const char *masters_leader_host(const struct masters *m)
{
    (void)m;
    return "a";
}

const char *masters_version(const struct masters *m)
{
    (void)m;
    return "3.5";
}

static struct question *ask(const struct masters *m, enum rpc_kind kind, int64_t timeout_ms, void *arg)
{
    assert_true(n_questions < QUESTIONS_MAX);
    struct question *q = &questions[n_questions++];
    *q = (struct question){
        .masters = m, .kind = kind, .at_ms = clock_mono_ms(), .timeout_ms = timeout_ms, .arg = arg};
    return q;
}

void masters_survey(struct masters *m, int64_t timeout_ms, void (*done)(json_t *array, void *arg), void *arg)
{
    n_surveys++;
    ask(m, RPC_MASTER_STATE, timeout_ms, arg)->surveyed = done;
}

void masters_ask(struct masters *m, const struct rpc_message *message, int64_t timeout_ms,
                 rpc_answer_cb *done, void *arg)
{
    struct question *q = ask(m, message->kind, timeout_ms, arg);
    q->done = done;
    (void)snprintf(q->text, sizeof q->text, "%s", message->text != NULL ? message->text : "");
}

struct http_client *http_client_new(uv_loop_t *loop)
{
    return (struct http_client *)loop;
}

void http_client_free(struct http_client *c)
{
    (void)c;
}

struct http_call *http_call_start(struct http_client *c, const struct http_call_options *options,
                                  http_call_cb *done, void *arg)
{
    (void)c;
    assert_false(call.open);
    call = (struct http_call){.open = true, .done = done, .arg = arg};
    (void)snprintf(call.url, sizeof call.url, "%s", options->url);
    return &call;
}

void http_call_cancel(struct http_call *c)
{
    assert_true(c->open);
    c->open = false;
    c->cancelled = true;
}

/* ---- answers ---- */

static struct question take(enum rpc_kind kind, const char *text)
{
    for (size_t i = 0; i < n_questions; i++) {
        struct question q = questions[i];
        if (q.kind != kind || (text != NULL && strcmp(q.text, text) != 0))
            continue;
        questions[i] = questions[--n_questions];
        return q;
    }
    fail_msg("nobody asked that (%d %s)", (int)kind, text != NULL ? text : "");
    return questions[0];
}

/* Steals the array. */
static void answer_survey(json_t *array)
{
    struct question q = take(RPC_MASTER_STATE, NULL);
    q.surveyed(array, q.arg);
    json_decref(array);
}

/* Steals the value. */
static void answer_value(enum rpc_kind kind, const char *text, json_t *value)
{
    struct question q = take(kind, text);
    q.done(&(struct rpc_answer){.result = RPC_VALUE, .value = value, .words = ""}, q.arg);
    json_decref(value);
}

static void answer_failure(enum rpc_kind kind, enum rpc_result result, const char *words)
{
    struct question q = take(kind, NULL);
    q.done(&(struct rpc_answer){.result = result, .words = words}, q.arg);
}

static void answer_page(int status, const char *body)
{
    assert_true(call.open);
    call.open = false;
    call.done(&(struct http_result){.status = status, .body = body, .len = strlen(body)}, call.arg);
}

static json_t *driver(const char *id)
{
    return json_pack("{s:s,s:{s:i}}", "id", id, "desc", "mem", 512);
}

/* A leader with a worker, a driver that lives and one that has ended. */
static json_t *good_survey(void)
{
    return json_pack("[{s:s,s:s,s:{s:i,s:[{s:s,s:i,s:i}],s:[o],s:[o]}}]", "master", "a:7077", "status",
                     "ALIVE", "state", "restPort", 6066, "workers", "id", "w1", "cores", 4, "memory", 1024,
                     "activeDrivers", driver("d1"), "completedDrivers", driver("d0"));
}

static json_t *bad_survey(void)
{
    return json_pack("[{s:s,s:s,s:s}]", "master", "a:7077", "error", "a:7077 cannot be reached", "result",
                     "unreachable");
}

static json_t *ports(void)
{
    return json_pack("{s:i}", "webUIPort", 8080);
}

static json_t *status(const char *state)
{
    return json_pack("{s:b,s:s}", "found", 1, "state", state);
}

static const char page[] = "{\"workers\":[{\"id\":\"w1\",\"state\":\"ALIVE\",\"coresused\":1,\"memoryused\":"
                           "512}],\"activeapps\":[]}";

/* ---- a world to watch ---- */

struct world {
    uv_loop_t loop;
    uv_timer_t give_up, tick; /* the tick lets the loop turn when nothing else is due */
    struct settings settings;
    struct clusters *clusters;
    struct cluster *changed; /* the last one that the listener heard of */
    int n_changes;
};

static void on_change(struct cluster *cluster, void *arg)
{
    struct world *w = arg;
    w->changed = cluster;
    w->n_changes++;
}

static void on_give_up(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("what was waited for does not come");
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void world_open(struct world *w, const char *watch, int64_t period_ms)
{
    struct err err;
    *w = (struct world){0};
    n_questions = n_surveys = 0;
    call = (struct http_call){0};
    log_set_level(LOG_ERROR);
    (void)uv_loop_init(&w->loop);
    (void)uv_timer_init(&w->loop, &w->give_up);
    (void)uv_timer_start(&w->give_up, on_give_up, PATIENCE_MS, 0);
    (void)uv_timer_init(&w->loop, &w->tick);
    (void)uv_timer_start(&w->tick, on_tick, 5, 5);
    assert_int_equal(strlist_split(&w->settings.clusters.watch, watch, " "), 0);
    w->settings.clusters.period_ms = period_ms;
    if (clusters_open(&w->loop, &w->settings, &w->clusters, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    clusters_on_change(w->clusters, on_change, w);
}

static void world_close(struct world *w)
{
    clusters_stop(w->clusters);
    uv_close((uv_handle_t *)&w->give_up, NULL);
    uv_close((uv_handle_t *)&w->tick, NULL);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    clusters_free(w->clusters);
    strlist_clear(&w->settings.clusters.watch);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(mem_live(), 0);
}

static void wait_surveys(struct world *w, size_t n)
{
    while (n_surveys < n)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    skipped_ms += PAGE_AGES_MS; /* what the last look has read is old */
}

/* Answers all of a first look. */
static void answer_whole_look(void)
{
    answer_survey(good_survey());
    answer_value(RPC_BOUND_PORTS, NULL, ports());
    answer_value(RPC_DRIVER_STATUS, "d1", status("RUNNING"));
    answer_value(RPC_DRIVER_STATUS, "d0", status("FAILED"));
    answer_page(200, page);
    assert_int_equal(n_questions, 0);
}

static const char *text_of(json_t *object, const char *list, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(object, list), i), key));
}

static void a_look_asks_for_all_and_keeps_it(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "main=spark://a:7077", 100);
    struct cluster *c = clusters_at(w.clusters, 0);
    assert_false(cluster_reachable(c));
    wait_surveys(&w, 1);
    assert_int_equal(questions[0].timeout_ms, 1000);
    answer_whole_look();
    assert_string_equal(call.url, "http://a:8080/json/");
    assert_true(cluster_reachable(c));
    assert_string_equal(cluster_leader_host(c), "a");
    assert_int_equal(cluster_rest_port(c), 6066);
    assert_ptr_equal(w.changed, c);
    json_t *o = cluster_json(c, true);
    assert_string_equal(text_of(o, "drivers", 0, "state"), "RUNNING");
    assert_string_equal(text_of(o, "drivers", 1, "state"), "FAILED");
    assert_string_equal(text_of(o, "workers", 0, "state"), "ALIVE");
    assert_string_equal(json_string_value(json_object_get(o, "name")), "main");
    json_decref(o);
    world_close(&w);
}

static void the_next_look_asks_only_for_what_may_have_changed(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "main=spark://a:7077", 100);
    wait_surveys(&w, 1);
    answer_whole_look();
    wait_surveys(&w, 2);
    answer_survey(good_survey());
    assert_int_equal(n_questions, 1); /* neither the ports nor d0 */
    answer_value(RPC_DRIVER_STATUS, "d1", status("FINISHED"));
    answer_page(200, page);
    assert_int_equal(w.n_changes, 1);
    json_t *o = cluster_json(clusters_at(w.clusters, 0), true);
    assert_string_equal(text_of(o, "drivers", 0, "state"), "FINISHED");
    assert_string_equal(text_of(o, "drivers", 1, "state"), "FAILED");
    json_decref(o);
    wait_surveys(&w, 3);
    answer_survey(good_survey());
    assert_int_equal(n_questions, 0);
    answer_page(200, page);
    world_close(&w);
}

static void a_look_that_follows_closely_does_without_a_page(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "main=spark://a:7077", 100);
    wait_surveys(&w, 1);
    answer_whole_look();
    wait_surveys(&w, 2);
    skipped_ms -= PAGE_AGES_MS;
    answer_survey(good_survey());
    assert_false(call.open);
    answer_value(RPC_DRIVER_STATUS, "d1", status("RUNNING"));
    json_t *o = cluster_json(clusters_at(w.clusters, 0), true);
    assert_string_equal(text_of(o, "workers", 0, "state"), "ALIVE");
    json_decref(o);
    world_close(&w);
}

static void a_page_that_is_none_is_looked_for_again(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "main=spark://a:7077", 100);
    wait_surveys(&w, 1);
    answer_whole_look();
    wait_surveys(&w, 2);
    answer_survey(good_survey());
    answer_value(RPC_DRIVER_STATUS, "d1", status("RUNNING"));
    answer_page(200, "{\"some\":\"thing\"}");
    json_t *o = cluster_json(clusters_at(w.clusters, 0), true);
    assert_null(text_of(o, "workers", 0, "state"));
    assert_string_equal(json_string_value(json_object_get(o, "webUiTrouble")),
                        "http://a:8080/json/: not the JSON of a master's page");
    json_decref(o);
    wait_surveys(&w, 3);
    answer_survey(good_survey());
    answer_value(RPC_BOUND_PORTS, NULL, json_pack("{s:i}", "webUIPort", 8081));
    assert_string_equal(call.url, "http://a:8081/json/");
    answer_value(RPC_DRIVER_STATUS, "d1", status("RUNNING"));
    answer_page(404, "");
    o = cluster_json(clusters_at(w.clusters, 0), true);
    assert_string_equal(json_string_value(json_object_get(o, "webUiTrouble")),
                        "http://a:8081/json/: HTTP status 404");
    json_decref(o);
    world_close(&w);
}

static void what_cannot_be_reached_keeps_its_last_state(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "main=spark://a:7077", 100);
    struct cluster *c = clusters_at(w.clusters, 0);
    wait_surveys(&w, 1);
    answer_whole_look();
    wait_surveys(&w, 2);
    answer_survey(bad_survey());
    assert_false(cluster_reachable(c));
    assert_null(cluster_leader_host(c));
    assert_int_equal(cluster_rest_port(c), 0);
    assert_int_equal(w.n_changes, 2);
    json_t *o = cluster_json(c, true);
    assert_string_equal(json_string_value(json_object_get(o, "trouble")), "a:7077 cannot be reached");
    assert_string_equal(text_of(o, "workers", 0, "state"), "ALIVE");
    assert_string_equal(text_of(o, "masters", 0, "result"), "unreachable");
    json_decref(o);
    wait_surveys(&w, 3);
    answer_survey(bad_survey());
    assert_int_equal(w.n_changes, 2);
    wait_surveys(&w, 4);
    answer_survey(good_survey());
    answer_value(RPC_DRIVER_STATUS, "d1", status("RUNNING"));
    answer_page(200, page);
    assert_true(cluster_reachable(c));
    assert_int_equal(w.n_changes, 3);
    world_close(&w);
}

static void on_later(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void there_is_one_look_at_a_time(void **state)
{
    (void)state;
    struct world w;
    bool later = false;
    uv_timer_t timer;
    world_open(&w, "main=spark://a:7077 other=spark://b:7077", 100);
    wait_surveys(&w, 2);
    (void)uv_timer_init(&w.loop, &timer);
    timer.data = &later;
    (void)uv_timer_start(&timer, on_later, 400, 0);
    while (!later)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(n_surveys, 2);
    answer_survey(bad_survey()); /* one of the two goes on, at once; the other hangs and disturbs nobody */
    wait_surveys(&w, 3);
    uv_close((uv_handle_t *)&timer, NULL);
    world_close(&w);
}

static void first_looks_are_spread(void **state)
{
    (void)state;
    struct world w;
    world_open(
        &w, "a=spark://a b=spark://b c=spark://c d=spark://d e=spark://e f=spark://f g=spark://g h=spark://h",
        800);
    wait_surveys(&w, 8);
    for (size_t i = 1; i < 8; i++)
        assert_true(questions[i].at_ms >= questions[i - 1].at_ms);
    assert_true(questions[7].at_ms - questions[0].at_ms >= 600);
    world_close(&w);
}

/* The times allowed follow the period, within a second and ten. */
static void a_long_period_has_looks_of_ten_seconds(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "a=spark://a@1h b=spark://b@3s", 100);
    wait_surveys(&w, 1);
    assert_int_equal(questions[0].timeout_ms, 10000);
    wait_surveys(&w, 2);
    assert_int_equal(questions[1].timeout_ms, 3000);
    world_close(&w);
}

static void what_is_expected_is_looked_for_at_once(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "main=spark://a:7077@1h", 100);
    struct cluster *c = clusters_at(w.clusters, 0);
    wait_surveys(&w, 1);
    cluster_expect_change(c); /* a look under way is not disturbed */
    answer_survey(bad_survey());
    wait_surveys(&w, 2);
    answer_survey(bad_survey());
    wait_surveys(&w, 3);
    world_close(&w);
}

static void stopping_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, "main=spark://a:7077", 100);
    wait_surveys(&w, 1);
    answer_survey(good_survey());
    answer_value(RPC_BOUND_PORTS, NULL, ports());
    world_close(&w);
    assert_true(call.cancelled);
    world_open(&w, "main=spark://a:7077", 100);
    wait_surveys(&w, 1);
    world_close(&w);
}

/* Answers the question that was asked first, or the page. */
static void answer_next(void)
{
    if (call.open) {
        answer_page(200, page);
        return;
    }
    switch ((int)questions[0].kind) {
    case RPC_MASTER_STATE: answer_survey(good_survey()); break;
    case RPC_BOUND_PORTS: answer_value(RPC_BOUND_PORTS, NULL, ports()); break;
    default: answer_value(RPC_DRIVER_STATUS, NULL, status("RUNNING"));
    }
}

static void a_failing_allocation_spoils_one_look_at_most(void **state)
{
    (void)state;
    for (long n = 1; n <= 40; n++) {
        struct world w;
        world_open(&w, "main=spark://a:7077", 100);
        mem_fail_at(n);
        while (!cluster_reachable(clusters_at(w.clusters, 0))) {
            if (n_questions > 0 || call.open)
                answer_next();
            else
                (void)uv_run(&w.loop, UV_RUN_ONCE);
        }
        mem_fail_at(0);
        world_close(&w);
    }
}

static void opening_survives_every_failing_allocation(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    uv_loop_t loop;
    (void)uv_loop_init(&loop);
    for (long n = 1; rc != ERR_OK; n++) {
        struct settings settings = {.clusters.period_ms = 1000};
        struct clusters *c = NULL;
        struct err err;
        assert_int_equal(strlist_split(&settings.clusters.watch, "a=spark://a b=spark://b,c", " "), 0);
        mem_fail_at(n);
        rc = clusters_open(&loop, &settings, &c, &err);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (c != NULL));
        clusters_stop(c);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        clusters_free(c);
        strlist_clear(&settings.clusters.watch);
        assert_int_equal(mem_live(), 0);
    }
    (void)uv_loop_close(&loop);
}

static void masters_are_shared(void **state)
{
    (void)state;
    struct world w;
    struct masters *watched = NULL;
    struct masters *one = NULL;
    struct masters *same = NULL;
    struct masters *other = NULL;
    struct err err;
    world_open(&w, "main=spark://a,b:1", 60000);
    assert_int_equal(clusters_masters(w.clusters, "spark://a:7077,b:1", NULL, &watched, &err), ERR_OK);
    assert_ptr_equal(watched, cluster_masters(clusters_at(w.clusters, 0)));
    /* it is watched without a secret: whoever has one needs a connection of its own */
    assert_int_equal(clusters_masters(w.clusters, "spark://a:7077,b:1", "x", &other, &err), ERR_OK);
    assert_ptr_not_equal(other, watched);
    assert_int_equal(clusters_masters(w.clusters, "spark://b:1,a", NULL, &one, &err), ERR_OK);
    assert_ptr_not_equal(one, watched);
    assert_int_equal(clusters_masters(w.clusters, "spark://b:1,a:7077", NULL, &same, &err), ERR_OK);
    assert_ptr_equal(one, same);
    assert_int_equal(clusters_masters(w.clusters, "spark://b:1,a", "x", &other, &err), ERR_OK);
    assert_ptr_not_equal(one, other);
    assert_null(clusters_find(w.clusters, "nix"));
    assert_null(clusters_find_url(w.clusters, "spark://a"));
    assert_non_null(clusters_find_url(w.clusters, "spark://a:7077,b:1"));
    world_close(&w);
}

/* ---- killing ---- */

static struct cluster_kill_answer killed;
static char killed_words[600], killed_state[40];

static void on_killed(const struct cluster_kill_answer *answer, void *arg)
{
    (void)arg;
    killed = *answer;
    (void)snprintf(killed_words, sizeof killed_words, "%s", answer->words);
    (void)snprintf(killed_state, sizeof killed_state, "%s", answer->state != NULL ? answer->state : "");
}

static void start_kill(struct masters *m)
{
    n_questions = 0;
    assert_non_null(cluster_kill_start(m, "d1", 5000, on_killed, NULL));
}

static void a_kill_is_passed_on_or_told_why_not(void **state)
{
    (void)state;
    char url[] = "spark://a:7077";
    struct masters m = {url};
    start_kill(&m);
    answer_value(RPC_KILL_DRIVER, "d1", json_pack("{s:b}", "success", 1));
    assert_int_equal(killed.outcome, CLUSTER_KILL_ORDERED);
    start_kill(&m);
    answer_value(RPC_KILL_DRIVER, "d1", json_pack("{s:b}", "success", 0));
    answer_value(RPC_DRIVER_STATUS, "d1", status("FINISHED"));
    assert_int_equal(killed.outcome, CLUSTER_KILL_ENDED);
    assert_string_equal(killed_state, "FINISHED");
    assert_string_equal(killed_words, "driver d1 is already FINISHED");
    start_kill(&m);
    answer_value(RPC_KILL_DRIVER, "d1", json_pack("{s:b}", "success", 0));
    answer_value(RPC_DRIVER_STATUS, "d1", json_pack("{s:b,s:n}", "found", 0, "state"));
    assert_int_equal(killed.outcome, CLUSTER_KILL_UNKNOWN);
    assert_string_equal(killed_words, "spark://a:7077 knows no driver 'd1'");
    start_kill(&m);
    answer_value(RPC_KILL_DRIVER, "d1", json_pack("[]"));
    answer_value(RPC_DRIVER_STATUS, "d1", status("RUNNING"));
    assert_int_equal(killed.outcome, CLUSTER_KILL_FAILED);
    start_kill(&m);
    answer_failure(RPC_KILL_DRIVER, RPC_UNREACHABLE, "nobody is there");
    assert_int_equal(killed.outcome, CLUSTER_KILL_FAILED);
    assert_int_equal(killed.result, RPC_UNREACHABLE);
    assert_string_equal(killed_words, "nobody is there");
    start_kill(&m);
    answer_value(RPC_KILL_DRIVER, "d1", json_pack("{s:b}", "success", 0));
    answer_failure(RPC_DRIVER_STATUS, RPC_LATE, "too late");
    assert_int_equal(killed.result, RPC_LATE);
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_asks_for_all_and_keeps_it),
        cmocka_unit_test(the_next_look_asks_only_for_what_may_have_changed),
        cmocka_unit_test(a_look_that_follows_closely_does_without_a_page),
        cmocka_unit_test(a_page_that_is_none_is_looked_for_again),
        cmocka_unit_test(what_cannot_be_reached_keeps_its_last_state),
        cmocka_unit_test(there_is_one_look_at_a_time),
        cmocka_unit_test(first_looks_are_spread),
        cmocka_unit_test(a_long_period_has_looks_of_ten_seconds),
        cmocka_unit_test(what_is_expected_is_looked_for_at_once),
        cmocka_unit_test(stopping_in_the_middle_leaves_nothing),
        cmocka_unit_test(a_failing_allocation_spoils_one_look_at_most),
        cmocka_unit_test(opening_survives_every_failing_allocation),
        cmocka_unit_test(masters_are_shared),
        cmocka_unit_test(a_kill_is_passed_on_or_told_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
