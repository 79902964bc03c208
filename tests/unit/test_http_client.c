/* The HTTP client against a server in this process that behaves as each test wants it. */
#include "http_stub.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/strs.h"
#include "loop/http_client.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, SOON_MS = 150, ANSWER_MAX = 4096 };

struct world {
    uv_loop_t loop;
    struct server server;
    struct http_client *client;
    /* of the last call */
    unsigned n_done;
    int status;
    bool sent, file_sent;
    struct err err;
    char location[128];
    char type[64], body[ANSWER_MAX + 1];
    size_t len;
    /* what a callback does besides */
    struct http_call *to_cancel;
    bool frees_client, starts_another;
};

/* ---- the world ---- */

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    server_start(&w->server, &w->loop);
    w->client = http_client_new(&w->loop);
    assert_non_null(w->client);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    http_client_free(w->client);
    server_stop(&w->server);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0); /* nothing of the client's is left */
    assert_int_equal(uv_loop_close(&w->loop), 0);
    server_clear(&w->server);
    free(w);
    assert_int_equal(mem_live(), 0);
    return 0;
}

static void on_done(const struct http_result *result, void *arg);

static struct http_call *start(struct world *w, const char *method, const char *url, const char *body)
{
    static const char *const json[] = {"Content-Type: application/json", "X-Mark: 7", NULL};
    struct http_call_options options = {
        .method = method,
        .url = url,
        .headers = json,
        .body = body,
        .body_len = body != NULL ? strlen(body) : 0,
        .timeout_ms = w->server.manner == IS_SILENT ? SOON_MS : PATIENCE_MS,
        .answer_max = ANSWER_MAX,
    };
    return http_call_start(w->client, &options, on_done, w);
}

static void on_done(const struct http_result *result, void *arg)
{
    struct world *w = arg;
    w->n_done++;
    w->status = result->status;
    w->sent = result->sent;
    w->file_sent = result->file_sent;
    (void)snprintf(w->location, sizeof w->location, "%s", result->location != NULL ? result->location : "-");
    w->err = result->err;
    w->len = result->len;
    assert_non_null(result->body);
    assert_in_range(result->len, 0, ANSWER_MAX);
    assert_int_equal(result->body[result->len], '\0');
    assert_int_equal(result->status == 0, result->err.code != ERR_OK);
    memcpy(w->body, result->body, result->len + 1);
    (void)snprintf(w->type, sizeof w->type, "%s", result->content_type != NULL ? result->content_type : "-");
    if (w->to_cancel != NULL)
        http_call_cancel(w->to_cancel);
    w->to_cancel = NULL;
    if (w->starts_another)
        assert_non_null(start(w, "GET", w->server.url, NULL));
    w->starts_another = false;
    if (w->frees_client) {
        http_client_free(w->client);
        w->client = NULL;
    }
}

static void until_done(struct world *w, unsigned n)
{
    loop_until(&w->loop, &w->n_done, n, 2 * PATIENCE_MS);
}

static void call(struct world *w, const char *method, const char *body)
{
    unsigned n = w->n_done;
    assert_non_null(start(w, method, w->server.url, body));
    assert_int_equal(w->n_done, n); /* never before return */
    until_done(w, n + 1);
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n"
#define HELLO HEAD "Content-Length: 5\r\n\r\nhello"

/* ---- answers ---- */

static void an_answer_is_told(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    call(w, "GET", NULL);
    assert_int_equal(w->status, 200);
    assert_true(w->sent);
    assert_string_equal(w->body, "hello");
    assert_string_equal(w->type, "text/x");
    assert_non_null(strstr(w->server.requests[0], "GET /x HTTP/1.1\r\n"));
    assert_non_null(strstr(w->server.requests[0], "X-Mark: 7\r\n"));
}

static void a_body_goes_out_as_it_was_given(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    call(w, "POST", "{\"a\":1}");
    const char *request = w->server.requests[0];
    assert_true(str_starts(request, "POST /x "));
    assert_true(str_ends(request, "\r\n\r\n{\"a\":1}"));
    assert_non_null(strstr(request, "Content-Type: application/json\r\n"));
    assert_null(strstr(request, "urlencoded"));
    call(w, "PUT", "put");
    assert_true(str_starts(w->server.requests[1], "PUT /x "));
    assert_true(str_ends(w->server.requests[1], "\r\n\r\nput"));
}

static void a_request_without_a_body_has_none(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    call(w, "POST", NULL);
    assert_non_null(strstr(w->server.requests[0], "Content-Length: 0\r\n"));
    call(w, "DELETE", NULL);
    assert_true(str_starts(w->server.requests[1], "DELETE /x "));
    assert_null(strstr(w->server.requests[1], "Content-Length"));
}

static void an_error_status_is_an_answer(void **state)
{
    struct world *w = *state;
    w->server.answer = "HTTP/1.1 500 Server Error\r\nContent-Length: 4\r\n\r\n<h1>";
    call(w, "GET", NULL);
    assert_int_equal(w->status, 500);
    assert_string_equal(w->body, "<h1>");
    assert_string_equal(w->type, "-");
    w->server.answer = "HTTP/1.1 468 \r\nContent-Length: 0\r\n\r\n";
    call(w, "GET", NULL);
    assert_int_equal(w->status, 468);
    assert_string_equal(w->body, "");
}

static void a_redirect_is_not_followed(void **state)
{
    struct world *w = *state;
    w->server.answer = "HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n";
    call(w, "GET", NULL);
    assert_int_equal(w->status, 302);
    assert_int_equal(w->server.n_requests, 1);
    char whole[128]; /* whatever the server wrote */
    (void)snprintf(whole, sizeof whole, "%.*sy", (int)strlen(w->server.url) - 1, w->server.url);
    assert_string_equal(w->location, whole);
    w->server.answer = HELLO;
    call(w, "GET", NULL);
    assert_string_equal(w->location, "-");
}

static void a_connection_is_kept_for_the_next_question(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    for (unsigned i = 0; i < 10; i++)
        call(w, "GET", NULL);
    assert_int_equal(w->server.n_connections, 1);
}

static void a_kept_connection_that_the_server_closed_is_replaced(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    w->server.manner = ENDS;
    for (unsigned i = 0; i < 5; i++) {
        call(w, "GET", NULL);
        assert_int_equal(w->status, 200);
    }
}

static void many_calls_run_at_the_same_time(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    for (unsigned i = 0; i < 50; i++)
        assert_non_null(start(w, "GET", w->server.url, NULL));
    until_done(w, 50);
    assert_int_equal(w->server.n_requests, 50);
}

/* ---- files ---- */

static struct http_call *start_file(struct world *w, const char *file, bool negotiate, int64_t timeout_ms)
{
    struct http_call_options options = {.method = "PUT",
                                        .url = w->server.url,
                                        .file = file,
                                        .negotiate = negotiate,
                                        .timeout_ms = timeout_ms,
                                        .answer_max = ANSWER_MAX};
    return http_call_start(w->client, &options, on_done, w);
}

static void send_file(struct world *w, const char *file)
{
    unsigned n = w->n_done;
    assert_non_null(start_file(w, file, false, PATIENCE_MS));
    assert_int_equal(w->n_done, n);
    until_done(w, n + 1);
}

/* A file of that many bytes, each 'x'; the caller removes it. */
static void make_file(char path[32], size_t size)
{
    static char bytes[4096];
    (void)strcpy(path, "/tmp/hearth-test-XXXXXX");
    int fd = mkstemp(path);
    memset(bytes, 'x', sizeof bytes);
    for (size_t n; size > 0; size -= n) {
        n = size < sizeof bytes ? size : sizeof bytes;
        assert_int_equal(write(fd, bytes, n), n);
    }
    assert_int_equal(close(fd), 0);
}

static void a_file_is_sent_once_it_is_wanted(void **state)
{
    struct world *w = *state;
    static const size_t sizes[] = {0, 1, 300000};
    char path[32];
    w->server.answer = HELLO;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char length[64];
        make_file(path, sizes[i]);
        send_file(w, path);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(w->status, 200);
        assert_int_equal(w->file_sent, sizes[i] > 0);
        const char *request = w->server.requests[i];
        (void)snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", sizes[i]);
        assert_non_null(strstr(request, length));
        assert_non_null(strstr(request, "\r\nExpect: 100-continue\r\n"));
        assert_int_equal(strlen(strstr(request, "\r\n\r\n") + 4), sizes[i]);
    }
}

static void a_file_that_cannot_be_read_is_not_sent(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    static const char *const bad[] = {"/nowhere/at/all", "/tmp", "/dev/null"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        send_file(w, bad[i]);
        assert_int_equal(w->err.code, ERR_INVALID);
        assert_non_null(strstr(w->err.msg, bad[i]));
        assert_false(w->sent);
    }
    assert_int_equal(w->server.n_connections, 0);
}

static void a_file_that_a_silent_server_does_not_take(void **state)
{
    struct world *w = *state;
    w->server.manner = IS_SILENT;
    assert_non_null(start_file(w, "/etc/passwd", false, SOON_MS));
    until_done(w, 1);
    assert_int_equal(w->err.code, ERR_TIMEOUT);
    assert_true(w->sent);
}

static void more_files_than_threads_have_their_turns(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    for (unsigned i = 0; i < 30; i++)
        assert_non_null(start_file(w, "/etc/passwd", false, PATIENCE_MS));
    until_done(w, 30);
    assert_int_equal(w->server.n_requests, 30);
}

static void transfers_can_be_cancelled_at_any_time(void **state)
{
    struct world *w = *state;
    struct http_call *calls[20]; /* of which some wait for a thread */
    w->server.manner = IS_SILENT;
    for (unsigned i = 0; i < 20; i++)
        calls[i] = start_file(w, "/etc/passwd", false, PATIENCE_MS);
    for (unsigned i = 0; i < 200 && w->server.n_requests < 4; i++)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < 15; i++)
        http_call_cancel(calls[19 - i]);
    http_client_free(w->client); /* with the rest under way */
    w->client = NULL;
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->n_done, 0);
}

static void without_a_ticket_the_request_goes_as_it_is(void **state)
{
    struct world *w = *state;
    setenv("KRB5CCNAME", "FILE:/nowhere/tickets", 1);
    setenv("KRB5_CLIENT_KTNAME", "/nowhere/keytab", 1);
    w->server.answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n";
    assert_non_null(start_file(w, NULL, true, PATIENCE_MS));
    until_done(w, 1);
    assert_int_equal(w->status, 401);
    assert_null(strstr(w->server.requests[0], "Authorization"));
}

/* ---- trouble ---- */

static void expect_failure(struct world *w, enum err_code code, bool sent, const char *words)
{
    assert_int_equal(w->status, 0);
    assert_int_equal(w->len, 0);
    if (w->err.code != code || strstr(w->err.msg, words) == NULL)
        fail_msg("%d: %s", (int)w->err.code, w->err.msg);
    assert_int_equal(w->sent, sent);
}

static void a_server_that_is_not_there(void **state)
{
    struct world *w = *state;
    assert_non_null(start(w, "GET", "http://127.0.0.1:1/", NULL));
    until_done(w, 1);
    expect_failure(w, ERR_IO, false, "Connection refused");
}

static void a_silent_server_is_left_in_time(void **state)
{
    struct world *w = *state;
    w->server.manner = IS_SILENT;
    int64_t begun = clock_mono_ms();
    call(w, "GET", NULL);
    assert_in_range(clock_mono_ms() - begun, SOON_MS, PATIENCE_MS);
    expect_failure(w, ERR_TIMEOUT, true, "no whole answer within 150 ms");
}

static void an_answer_without_end_is_cut(void **state)
{
    struct world *w = *state;
    char chunk[1024];
    memset(chunk, 'x', sizeof chunk - 1);
    chunk[sizeof chunk - 1] = '\0';
    char answer[2048];
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\n\r\n%s", chunk);
    w->server.answer = answer;
    w->server.manner = FLOODS;
    call(w, "GET", NULL);
    expect_failure(w, ERR_TOO_LARGE, true, "larger than 4096 bytes");
}

static void a_head_without_end_is_cut(void **state)
{
    struct world *w = *state;
    w->server.answer = "HTTP/1.1 100 Continue\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n";
    w->server.manner = FLOODS;
    call(w, "GET", NULL);
    expect_failure(w, ERR_TOO_LARGE, true, "the head of the answer");
}

static void a_server_that_closes_without_a_word(void **state)
{
    struct world *w = *state;
    w->server.manner = CLOSES;
    call(w, "GET", NULL);
    expect_failure(w, ERR_IO, true, "");
}

static void an_answer_that_breaks_off(void **state)
{
    struct world *w = *state;
    static const char *const broken[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        "\1\2\3\4 garbage \xff\xfe\r\n\r\n",
        "\r\n\r\n",
    };
    w->server.manner = ENDS;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        w->server.answer = broken[i];
        call(w, "GET", NULL);
        expect_failure(w, ERR_IO, true, "");
    }
}

/* What must not be done twice is not sent on a connection that may have died: libcurl would repeat it. */
static void a_post_is_sent_once(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    call(w, "GET", NULL);
    w->server.manner = CLOSES;
    call(w, "POST", "once");
    expect_failure(w, ERR_IO, true, "");
    assert_int_equal(w->server.n_requests, 2);
}

static void a_url_that_is_none(void **state)
{
    struct world *w = *state;
    static const char *const urls[] = {
        "", "http://", "ftp://127.0.0.1/", "file:///etc/passwd", "http://[::1/", "http://a b/"};
    for (unsigned i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_non_null(start(w, "GET", urls[i], NULL));
        until_done(w, i + 1);
        expect_failure(w, ERR_INVALID, false, "no URL of an HTTP server");
    }
}

/* ---- proxies ---- */

static void a_proxy_is_used_for_the_world_outside_only(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    (void)setenv("http_proxy", w->server.url, 1);
    (void)unsetenv("no_proxy");
    (void)unsetenv("NO_PROXY");
    assert_non_null(start(w, "GET", "http://master.invalid:8080/y", NULL));
    until_done(w, 1);
    assert_true(str_starts(w->server.requests[0], "GET http://master.invalid:8080/y HTTP/1.1\r\n"));
    call(w, "GET", NULL);
    assert_true(str_starts(w->server.requests[1], "GET /x "));
    (void)unsetenv("http_proxy");
}

static void loopback_is_known(void **state)
{
    (void)state;
    assert_true(http_url_is_loopback("http://127.0.0.1:8998"));
    assert_true(http_url_is_loopback("https://127.1.2.3/x"));
    assert_true(http_url_is_loopback("http://[::1]:8998/x"));
    assert_true(http_url_is_loopback("http://localhost"));
    assert_true(http_url_is_loopback("127.0.0.1:8998"));
    assert_false(http_url_is_loopback("http://10.0.0.1/"));
    assert_false(http_url_is_loopback("http://127.0.0.1@outside/"));
    assert_false(http_url_is_loopback("http://localhost.example/"));
    assert_false(http_url_is_loopback(""));
}

static void a_segment_of_a_path_is_escaped(void **state)
{
    (void)state;
    cleanup(mem_freep) char *plain = http_url_escape("driver-2026_1.a~");
    assert_string_equal(plain, "driver-2026_1.a~");
    cleanup(mem_freep) char *odd = http_url_escape("a/b?c%\xc3\xa9 \n");
    assert_string_equal(odd, "a%2Fb%3Fc%25%C3%A9%20%0A");
    cleanup(mem_freep) char *empty = http_url_escape("");
    assert_string_equal(empty, "");
}

/* ---- callers that change their mind ---- */

static void a_cancelled_call_is_not_heard_of(void **state)
{
    struct world *w = *state;
    w->server.manner = IS_SILENT;
    struct http_call *first = start(w, "GET", w->server.url, NULL);
    http_call_cancel(first); /* before the loop has run */
    assert_non_null(start(w, "GET", w->server.url, NULL));
    struct http_call *later = start(w, "POST", w->server.url, "x");
    while (w->server.n_requests < 2)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    http_call_cancel(later); /* when it was sent */
    until_done(w, 1);
}

static void a_callback_may_cancel_another_call(void **state)
{
    struct world *w = *state;
    w->server.manner = IS_SILENT;
    w->to_cancel = start(w, "GET", w->server.url, NULL);
    while (w->server.n_requests < 1)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    w->server.manner = ANSWERS;
    w->server.answer = HELLO;
    call(w, "GET", NULL);
    assert_null(w->to_cancel);
    call(w, "GET", NULL);
}

static void a_callback_may_start_another_call(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    w->starts_another = true;
    assert_non_null(start(w, "GET", w->server.url, NULL));
    until_done(w, 2);
}

static void a_callback_may_free_the_client_with_calls_under_way(void **state)
{
    struct world *w = *state;
    w->server.answer = HELLO;
    w->frees_client = true;
    for (unsigned i = 0; i < 20; i++)
        assert_non_null(start(w, "GET", w->server.url, NULL));
    until_done(w, 1);
    w->frees_client = false;
}

static void a_client_may_be_freed_at_any_moment(void **state)
{
    struct world *w = *state;
    w->server.manner = IS_SILENT;
    for (unsigned turns = 0; turns < 12; turns++) {
        for (unsigned i = 0; i < 3; i++)
            assert_non_null(start(w, "GET", w->server.url, NULL));
        for (unsigned i = 0; i < turns; i++)
            (void)uv_run(&w->loop, UV_RUN_NOWAIT);
        http_client_free(w->client);
        w->client = http_client_new(&w->loop);
    }
    assert_int_equal(w->n_done, 0);
}

/* ---- memory ---- */

static void a_client_survives_a_failing_allocation(void **state)
{
    struct world *w = *state;
    mem_fail_at(1);
    assert_null(http_client_new(&w->loop));
    mem_fail_at(0);
}

static void a_call_survives_every_failing_allocation(void **state)
{
    struct world *w = *state;
    w->server.manner = ANSWERS;
    w->server.answer = HELLO;
    bool is_whole = false;
    for (long n = 1; !is_whole; n++) {
        struct http_client *kept = w->client;
        w->client = http_client_new(&w->loop); /* without connections */
        struct http_call_options options = {
            .method = "GET", .url = w->server.url, .timeout_ms = SOON_MS, .answer_max = ANSWER_MAX};
        unsigned done = w->n_done;
        mem_fail_at(n);
        struct http_call *c = http_call_start(w->client, &options, on_done, w);
        if (c != NULL)
            until_done(w, done + 1);
        mem_fail_at(0);
        is_whole = c != NULL && w->err.code == ERR_OK;
        http_client_free(w->client);
        w->client = kept;
        assert_in_range(n, 1, 20);
    }
    assert_string_equal(w->body, "hello");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(an_answer_is_told),
        T(a_body_goes_out_as_it_was_given),
        T(a_request_without_a_body_has_none),
        T(an_error_status_is_an_answer),
        T(a_redirect_is_not_followed),
        T(a_connection_is_kept_for_the_next_question),
        T(a_kept_connection_that_the_server_closed_is_replaced),
        T(many_calls_run_at_the_same_time),
        T(a_file_is_sent_once_it_is_wanted),
        T(a_file_that_cannot_be_read_is_not_sent),
        T(a_file_that_a_silent_server_does_not_take),
        T(more_files_than_threads_have_their_turns),
        T(transfers_can_be_cancelled_at_any_time),
        T(without_a_ticket_the_request_goes_as_it_is),
        T(a_server_that_is_not_there),
        T(a_silent_server_is_left_in_time),
        T(an_answer_without_end_is_cut),
        T(a_head_without_end_is_cut),
        T(a_server_that_closes_without_a_word),
        T(an_answer_that_breaks_off),
        T(a_post_is_sent_once),
        T(a_url_that_is_none),
        T(a_proxy_is_used_for_the_world_outside_only),
        T(loopback_is_known),
        T(a_segment_of_a_path_is_escaped),
        T(a_cancelled_call_is_not_heard_of),
        T(a_callback_may_cancel_another_call),
        T(a_callback_may_start_another_call),
        T(a_callback_may_free_the_client_with_calls_under_way),
        T(a_client_may_be_freed_at_any_moment),
        T(a_client_survives_a_failing_allocation),
        T(a_call_survives_every_failing_allocation),
    };
#undef T
    (void)signal(SIGPIPE, SIG_IGN); /* the client hangs up on the test's server */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
