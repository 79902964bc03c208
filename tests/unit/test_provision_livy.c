/* Jobs that are posted to another Livy server: against a server in this process, and a scheduler of the
 * test's own that only notes how a fire has ended. */
#include "http_stub.h"

#include "base/clock.h"
#include "base/mem.h"
#include "provision/provision_internal.h"

#include <string.h>

enum { PATIENCE_MS = 20000, FIRES_MAX = 64 };

struct fire_end {
    int64_t schedule, number, batch;
    enum fire_state state;
    char reason[512];
};

struct world {
    uv_loop_t loop;
    struct server server;
    struct settings settings;
    struct provision provision;
    char answer[4096];
    unsigned n_ended;
    struct fire_end ended[FIRES_MAX];
};

/* Stands in for the scheduler's. */
void scheduler_end_fire(struct scheduler *s, int64_t schedule, int64_t number, enum fire_state state,
                        int64_t batch, const char *reason)
{
    struct world *w = (struct world *)(void *)s;
    assert_in_range(w->n_ended, 0, FIRES_MAX - 1);
    struct fire_end *end = &w->ended[w->n_ended++];
    *end = (struct fire_end){.schedule = schedule, .number = number, .batch = batch, .state = state};
    (void)snprintf(end->reason, sizeof end->reason, "%s", reason != NULL ? reason : "-");
}

/* ---- the world ---- */

static void open_posts(struct world *w, const char *livy_url)
{
    struct err err = {0};
    livy_post_free(w->provision.livy_post);
    assert_int_equal(mem_set_str(&w->settings.provision.livy_url, livy_url), 0);
    w->provision.livy_post = NULL;
    assert_int_equal(livy_post_open(&w->provision, &w->provision.livy_post, &err), ERR_OK);
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    server_start(&w->server, &w->loop);
    w->settings.provision.threads = 10;
    w->provision.options = (struct provision_options){
        .loop = &w->loop,
        .scheduler = (struct scheduler *)(void *)w,
        .settings = &w->settings,
    };
    open_posts(w, w->server.url);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    livy_post_stop(w->provision.livy_post);
    server_stop(&w->server);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    livy_post_free(w->provision.livy_post);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    server_clear(&w->server);
    mem_free(w->settings.provision.livy_url);
    free(w);
    assert_int_equal(mem_live(), 0);
    return 0;
}

static char usual_task[] = "{\"className\":\"org.example.Load\",\"jarPath\":\"hdfs://ns1/load.jar\","
                           "\"jobArgs\":[\"--day\",\"yesterday\"],\"driverMemory\":\"2g\",\"driverCores\":1,"
                           "\"executorMemory\":\"4g\",\"executorCores\":2,\"numExecutors\":3,"
                           "\"conf\":{\"dex.safariEnabled\":\"true\"},\"name\":\"load-dev\","
                           "\"queue\":\"root.sales\"}";

static void fire(struct world *w, char *task, int64_t number)
{
    struct schedule_view schedule = {.id = 7,
                                     .spec = {.group = (char[]){"orders"}, .name = (char[]){"load-dev"}}};
    struct fire_view view = {.schedule = 7, .number = number, .state = FIRE_RUNNING, .batch = -1};
    schedule.spec.task = task;
    livy_post_run(&w->provision, &schedule, &view);
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Lets everything work until the counter has reached n. */
static void until(struct world *w, const unsigned *counter, unsigned n)
{
    uv_timer_t tick; /* so that the loop wakes up for a look at the clock */
    int64_t limit = clock_mono_ms() + PATIENCE_MS;
    assert_int_equal(uv_timer_init(&w->loop, &tick), 0);
    assert_int_equal(uv_timer_start(&tick, on_tick, 50, 50), 0);
    while (*counter < n && clock_mono_ms() < limit)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(*counter, n);
}

static const struct fire_end *post_one(struct world *w, char *task)
{
    unsigned n = w->n_ended;
    fire(w, task, n + 1);
    until(w, &w->n_ended, n + 1);
    assert_int_equal(w->ended[n].schedule, 7);
    assert_int_equal(w->ended[n].number, n + 1);
    return &w->ended[n];
}

static void assert_ended(const struct fire_end *end, enum fire_state state, int64_t batch, const char *reason)
{
    assert_int_equal(end->state, state);
    assert_int_equal(end->batch, batch);
    assert_string_equal(end->reason, reason);
}

static void answer_with(struct world *w, const char *status, const char *body)
{
    (void)snprintf(w->answer, sizeof w->answer, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
                   strlen(body), body);
    w->server.answer = w->answer;
}

static void answer_with_batch_7(struct world *w)
{
    answer_with(w, "201 Created", "{\"id\":7,\"state\":\"starting\"}");
}

/* ---- the request ---- */

static void the_body_is_the_originals_key_by_key(void **state)
{
    struct world *w = *state;
    answer_with_batch_7(w);
    assert_ended(post_one(w, usual_task), FIRE_SUCCEEDED, 7, "HTTP 201");
    const char *request = w->server.requests[0];
    const char *body = strstr(request, "\r\n\r\n") + 4;
    const char *name = strstr(body, "\"name\":\"load-dev-");
    assert_non_null(name);
    static const char before[] =
        "{\"file\":\"hdfs://ns1/"
        "load.jar\",\"className\":\"org.example.Load\",\"args\":[\"--day\",\"yesterday\"],"
        "\"driverMemory\":\"2g\",\"driverCores\":1,\"executorMemory\":\"4g\",\"executorCores\":2,"
        "\"numExecutors\":3,\"conf\":{\"dex.safariEnabled\":\"true\"},";
    assert_int_equal(name - body, strlen(before));
    assert_memory_equal(body, before, strlen(before));
    const char *end_of_name = name + strlen("\"name\":\"load-dev-2030-01-01 02:30:00 AM");
    assert_string_equal(end_of_name, "\",\"queue\":\"root.sales\"}");
    assert_true(end_of_name[-1] == 'M' && (end_of_name[-2] == 'A' || end_of_name[-2] == 'P'));
}

static void the_headers_let_a_livy_with_csrf_protection_agree(void **state)
{
    struct world *w = *state;
    answer_with_batch_7(w);
    (void)post_one(w, usual_task);
    const char *request = w->server.requests[0];
    assert_non_null(strstr(request, "POST /x/batches HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "Content-Type: application/json; charset=UTF-8\r\n"));
    assert_non_null(strstr(request, "X-Requested-By: provisioner\r\n"));
}

static void a_slash_behind_the_url_is_not_doubled(void **state)
{
    struct world *w = *state;
    char url[80];
    (void)snprintf(url, sizeof url, "%s//", w->server.url);
    open_posts(w, url);
    answer_with_batch_7(w);
    (void)post_one(w, usual_task);
    assert_non_null(strstr(w->server.requests[0], "POST /x/batches HTTP/1.1\r\n"));
}

static void an_empty_queue_is_left_out_and_jars_come_last(void **state)
{
    struct world *w = *state;
    static char task[] = "{\"className\":\"\",\"jarPath\":\"a.jar\",\"jobArgs\":[],\"driverMemory\":\"1g\","
                         "\"driverCores\":1,\"executorMemory\":\"1g\",\"executorCores\":1,\"numExecutors\":1,"
                         "\"conf\":{},\"name\":\"n\",\"queue\":\"\",\"jars\":[\"hdfs://ns1/u.jar\"]}";
    answer_with_batch_7(w);
    (void)post_one(w, task);
    assert_null(strstr(w->server.requests[0], "queue"));
    assert_non_null(strstr(w->server.requests[0], "\"args\":[],"));
    assert_non_null(strstr(w->server.requests[0], "M\",\"jars\":[\"hdfs://ns1/u.jar\"]}"));
}

/* ---- answers ---- */

static void a_refusal_is_told_in_livys_words(void **state)
{
    struct world *w = *state;
    answer_with(w, "400 Bad Request", "{\"msg\":\"requirement\\nfailed\"}");
    assert_ended(post_one(w, usual_task), FIRE_FAILED, -1, "HTTP 400: requirement failed");
}

static void an_error_page_is_cut_to_clean_words(void **state)
{
    struct world *w = *state;
    answer_with(w, "502 Bad Gateway",
                "<h1>\x01"
                "bad\xff\tgate</h1>");
    assert_ended(post_one(w, usual_task), FIRE_FAILED, -1, "HTTP 502: <h1>?bad? gate</h1>");
    answer_with(w, "500 Error", "");
    assert_ended(post_one(w, usual_task), FIRE_FAILED, -1, "HTTP 500");
    answer_with(w, "302 Found", "  ");
    assert_ended(post_one(w, usual_task), FIRE_FAILED, -1, "HTTP 302");
}

static void long_words_are_cut_between_characters(void **state)
{
    struct world *w = *state;
    char words[301] = "x";
    for (size_t i = 1; i + 1 < sizeof words; i += 2)
        memcpy(words + i, "\xc3\xa9", 2);
    words[299] = '\0';
    answer_with(w, "400 Bad", words);
    const struct fire_end *end = post_one(w, usual_task);
    assert_int_equal(strlen(end->reason), strlen("HTTP 400: ") + 199);
    assert_memory_equal(end->reason + strlen(end->reason) - 2, "\xc3\xa9", 2);
}

static void an_answer_without_a_batch_is_one_all_the_same(void **state)
{
    struct world *w = *state;
    answer_with(w, "200 OK", "[1,2]");
    assert_ended(post_one(w, usual_task), FIRE_SUCCEEDED, -1, "HTTP 200");
    answer_with(w, "201 Created", "{\"id\":\"7\"}");
    assert_ended(post_one(w, usual_task), FIRE_SUCCEEDED, -1, "HTTP 201");
    answer_with(w, "201 Created", "{\"id\":-7}");
    assert_ended(post_one(w, usual_task), FIRE_SUCCEEDED, -1, "HTTP 201");
    answer_with(w, "201 Created", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    assert_ended(post_one(w, usual_task), FIRE_SUCCEEDED, -1, "HTTP 201");
}

static void an_endless_answer_is_cut(void **state)
{
    struct world *w = *state;
    char answer[4096];
    int head = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\n\r\n");
    memset(answer + head, 'a', sizeof answer - (size_t)head - 1);
    answer[sizeof answer - 1] = '\0';
    w->server.answer = answer;
    w->server.manner = FLOODS;
    const struct fire_end *end = post_one(w, usual_task);
    assert_int_equal(end->state, FIRE_FAILED);
    assert_non_null(strstr(end->reason, "no answer from Livy: the answer is larger than"));
}

static void a_connection_that_breaks_is_told_and_never_tried_again(void **state)
{
    struct world *w = *state;
    w->server.manner = CLOSES;
    const struct fire_end *end = post_one(w, usual_task);
    assert_int_equal(end->state, FIRE_FAILED);
    assert_true(str_starts(end->reason, "no answer from Livy: "));
    assert_int_equal(w->server.n_requests, 1);
    open_posts(w, "http://127.0.0.1:1");
    end = post_one(w, usual_task);
    assert_int_equal(end->state, FIRE_FAILED);
    assert_true(str_starts(end->reason, "no answer from Livy: "));
}

static void a_task_that_cannot_be_read_fails(void **state)
{
    struct world *w = *state;
    static char nonsense[] = "nonsense";
    assert_int_equal(post_one(w, nonsense)->state, FIRE_FAILED);
    assert_int_equal(post_one(w, NULL)->state, FIRE_FAILED);
    assert_int_equal(w->server.n_requests, 0);
}

/* ---- many ---- */

static void so_many_at_a_time_and_the_others_in_order(void **state)
{
    struct world *w = *state;
    w->settings.provision.threads = 1;
    answer_with_batch_7(w);
    for (int64_t i = 1; i <= 20; i++)
        fire(w, usual_task, i);
    until(w, &w->n_ended, 20);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(w->ended[i].number, i + 1);
}

static void a_silent_server_gets_no_more_than_its_share(void **state)
{
    struct world *w = *state;
    w->server.manner = IS_SILENT;
    for (int64_t i = 1; i <= 30; i++)
        fire(w, usual_task, i);
    until(w, &w->server.n_requests, 10);
    assert_true(livy_post_is_under_way(w->provision.livy_post, 7, 10));
    assert_false(livy_post_is_under_way(w->provision.livy_post, 7, 11));
    assert_int_equal(w->n_ended, 0); /* and the teardown finds nothing left */
}

static void posting_survives_every_failing_allocation(void **state)
{
    struct world *w = *state;
    answer_with_batch_7(w);
    enum fire_state ended = FIRE_FAILED;
    for (long n = 1; ended != FIRE_SUCCEEDED; n++) {
        w->n_ended = 0;
        while (w->server.n_requests > 0)
            free(w->server.requests[--w->server.n_requests]);
        mem_fail_at(n);
        fire(w, usual_task, 1);
        mem_fail_at(0);
        until(w, &w->n_ended, 1);
        ended = w->ended[0].state;
        assert_true(n < 1000);
    }
}

/* ---- lastSubmission ---- */

static void assert_last(const struct fire_view *fires, size_t n, const char *wanted)
{
    cleanup(buf_clear) struct buf text = BUF(4096);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    last_submission_write(fires, n, &out);
    json_out_end_object(&out);
    assert_string_equal(buf_cstr(&text), wanted);
}

static void the_last_submission_is_read_from_the_history(void **state)
{
    (void)state;
    enum { AT = 1000 * 1000 };
    const struct fire_view running = {.state = FIRE_RUNNING, .batch = -1, .actual_ms = 2 * AT};
    const struct fire_view missed = {.state = FIRE_MISSED, .batch = -1, .planned_ms = AT};
    const struct fire_view good = {
        .state = FIRE_SUCCEEDED, .batch = 7, .actual_ms = AT, .reason = "HTTP 201"};
    const struct fire_view bad = {
        .state = FIRE_FAILED, .batch = -1, .actual_ms = AT, .reason = "HTTP 400: no"};
    const struct fire_view none = {
        .state = FIRE_FAILED, .batch = -1, .actual_ms = AT, .reason = "no answer from Livy: refused"};
    const struct fire_view own = {.state = FIRE_RUNNING, .batch = 3, .actual_ms = AT};
    const struct fire_view own_words = {
        .state = FIRE_FAILED, .batch = 3, .actual_ms = AT, .reason = "HTTP 403 Forbidden"};
    const struct fire_view refused = {
        .state = FIRE_REFUSED, .batch = -1, .planned_ms = AT, .reason = "no Spark"};
#define TIME "\"time\":\"1970-01-01T00:16:40Z\""
    assert_last(NULL, 0, "{\"lastSubmission\":null}");
    assert_last((struct fire_view[]){running, missed}, 2, "{\"lastSubmission\":null}");
    assert_last((struct fire_view[]){running, missed, good, bad}, 4,
                "{\"lastSubmission\":{" TIME ",\"status\":201,\"batchId\":7,\"message\":null}}");
    assert_last(&bad, 1,
                "{\"lastSubmission\":{" TIME ",\"status\":400,\"batchId\":null,"
                "\"message\":\"HTTP 400: no\"}}");
    assert_last(&none, 1,
                "{\"lastSubmission\":{" TIME ",\"status\":0,\"batchId\":null,"
                "\"message\":\"no answer from Livy: refused\"}}");
    assert_last(&own, 1, "{\"lastSubmission\":{" TIME ",\"status\":201,\"batchId\":3,\"message\":null}}");
    assert_last(&own_words, 1,
                "{\"lastSubmission\":{" TIME ",\"status\":201,\"batchId\":3,"
                "\"message\":\"HTTP 403 Forbidden\"}}");
    assert_last(&refused, 1,
                "{\"lastSubmission\":{" TIME ",\"status\":0,\"batchId\":null,\"message\":\"no Spark\"}}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(the_body_is_the_originals_key_by_key),
        TEST(the_headers_let_a_livy_with_csrf_protection_agree),
        TEST(a_slash_behind_the_url_is_not_doubled),
        TEST(an_empty_queue_is_left_out_and_jars_come_last),
        TEST(a_refusal_is_told_in_livys_words),
        TEST(an_error_page_is_cut_to_clean_words),
        TEST(long_words_are_cut_between_characters),
        TEST(an_answer_without_a_batch_is_one_all_the_same),
        TEST(an_endless_answer_is_cut),
        TEST(a_connection_that_breaks_is_told_and_never_tried_again),
        TEST(a_task_that_cannot_be_read_fails),
        TEST(so_many_at_a_time_and_the_others_in_order),
        TEST(a_silent_server_gets_no_more_than_its_share),
        TEST(posting_survives_every_failing_allocation),
        TEST(the_last_submission_is_read_from_the_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
