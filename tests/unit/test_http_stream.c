/* Answers that go on: pieces, ends, clients that leave or sleep, and a server that closes. */
#include "http_world.h"

enum { STREAMS_MAX = 96 };

/* The streams that the handler of /stream has begun, in order. */
struct streams {
    struct http_stream *open[STREAMS_MAX]; /* NULL once it is over */
    unsigned n;
};

static void on_close(void *arg)
{
    struct http_stream **entry = arg;
    assert_non_null(*entry); /* once */
    *entry = NULL;
}

static void begin_stream(struct http_request *r, void *arg)
{
    struct world *w = arg;
    struct streams *all = w->own;
    assert_in_range(all->n, 0, STREAMS_MAX - 1);
    struct http_stream **entry = &all->open[all->n];
    *entry = http_reply_stream(r, "text/event-stream", on_close, entry);
    all->n++;
}

/* With a first piece before it has returned. */
static void begin_greeting(struct http_request *r, void *arg)
{
    struct world *w = arg;
    struct streams *all = w->own;
    begin_stream(r, arg);
    assert_true(http_stream_send(all->open[all->n - 1], "hi", 2));
}

static void begin_without_memory(struct http_request *r, void *arg)
{
    struct world *w = arg;
    mem_fail_at(1);
    assert_null(http_reply_stream(r, "text/event-stream", on_close, NULL));
    mem_fail_at(0);
    w->n_called++;
}

static void hello(struct http_request *r, void *arg)
{
    (void)arg;
    reply_text(r, 200, "hello");
}

static const struct http_route served[] = {
    {"GET", "/stream", begin_stream, "", false},
    {"GET", "/greeting", begin_greeting, "", false},
    {"GET", "/nomem", begin_without_memory, "", false},
    {"GET", "/hold", hold, "", false},
    {"GET", "/hello", hello, "", false},
};

static int begin(void **state)
{
    struct world *w = world_new(served, sizeof served / sizeof *served);
    w->own = calloc(1, sizeof(struct streams));
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    struct streams *all = w->own;
    int rc = world_end(state);
    for (unsigned i = 0; i < all->n; i++)
        assert_null(all->open[i]); /* each has been told that it is over */
    free(all);
    return rc;
}

static struct http_stream **until_begun(struct world *w, unsigned n)
{
    struct streams *all = w->own;
    int64_t limit = limit_from_now();
    while (all->n < n && clock_mono_ms() < limit)
        turn(w);
    assert_int_equal(all->n, n);
    return &all->open[n - 1];
}

static void until_over(struct world *w, struct http_stream **entry)
{
    int64_t limit = limit_from_now();
    while (*entry != NULL && clock_mono_ms() < limit)
        turn(w);
    assert_null(*entry);
}

/* Takes exactly this text off what the client has received. */
static void expect_text(struct world *w, struct client *c, const char *text)
{
    size_t n = strlen(text);
    int64_t limit = limit_from_now();
    while (c->len < n && !c->closed && clock_mono_ms() < limit) {
        turn(w);
        listen_once(c);
    }
    if (strncmp(c->in, text, n) != 0)
        fail_msg("'%s' instead of '%s'", c->in, text);
    memmove(c->in, c->in + n, c->len - n + 1);
    c->len -= n;
}

/* A client whose stream has begun, its headers read. */
static struct client *follow(struct world *w, struct http_stream ***ret)
{
    struct streams *all = w->own;
    struct client *c = connect_to(w);
    say(c, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    *ret = until_begun(w, all->n + 1);
    assert_non_null(**ret);
    assert_int_equal(read_reply(w, c, false).status, 200);
    return c;
}

static bool send_text(struct http_stream *s, const char *text)
{
    return http_stream_send(s, text, strlen(text));
}

static void pieces_arrive_as_they_are_sent(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    struct http_stream **s = until_begun(w, 1);
    struct reply r = read_reply(w, c, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(header(&r, "Content-Type"), "text/event-stream");
    assert_string_equal(header(&r, "Transfer-Encoding"), "chunked");
    assert_string_equal(header(&r, "Cache-Control"), "no-store");
    assert_string_equal(header(&r, "X-Accel-Buffering"), "no");
    assert_string_equal(header(&r, "X-Content-Type-Options"), "nosniff");
    assert_null(header(&r, "Content-Length"));
    for (int i = 0; i < 3; i++) {
        assert_true(send_text(*s, "data: 1\n\n"));
        expect_text(w, c, "9\r\ndata: 1\n\n\r\n");
    }
    assert_true(send_text(*s, "two "));
    assert_true(send_text(*s, "at once"));
    expect_text(w, c, "B\r\ntwo at once\r\n");
    hang_up(c);
}

static void an_end_comes_after_all_that_waits_and_the_connection_stays(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    struct client *c = follow(w, &s);
    assert_true(send_text(*s, "last words"));
    http_stream_end(*s);
    http_stream_end(*s);
    assert_false(send_text(*s, "too late"));
    assert_non_null(*s); /* on_close comes from the loop */
    expect_text(w, c, "A\r\nlast words\r\n0\r\n\r\n");
    until_over(w, s);
    say(c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(read_reply(w, c, true).body, "hello");
    hang_up(c);
}

static void a_stream_may_end_before_it_has_begun(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    until_held(w, 1);
    struct http_stream *s = NULL;
    s = http_reply_stream(w->held, "text/plain", on_close, &s);
    assert_true(send_text(s, "all"));
    http_stream_end(s);
    assert_int_equal(read_reply(w, c, false).status, 200);
    expect_text(w, c, "3\r\nall\r\n0\r\n\r\n");
    until_over(w, &s);
    hang_up(c);
}

static void a_stream_outlives_every_time_out(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    struct client *c = follow(w, &s);
    int64_t until = clock_mono_ms() + IDLE_TIMEOUT_MS * 2 + 1500;
    while (clock_mono_ms() < until)
        turn(w);
    assert_non_null(*s);
    assert_true(send_text(*s, "still there"));
    expect_text(w, c, "B\r\nstill there\r\n");
    hang_up(c);
}

static void silence_carries_comments(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    w->server->stream_quiet_ms = 50;
    struct client *c = follow(w, &s);
    expect_text(w, c, "E\r\n: keep-alive\n\n\r\n");
    expect_text(w, c, "E\r\n: keep-alive\n\n\r\n");
    hang_up(c);
}

static void a_client_that_hangs_up_is_noticed(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 2; i++) {
        struct http_stream **s;
        struct client *c = follow(w, &s);
        struct linger at_once = {.l_onoff = i}; /* the second time with a reset */
        assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        int64_t began = clock_mono_ms();
        hang_up(c);
        until_over(w, s);
        assert_in_range(clock_mono_ms() - began, 0, 5000); /* far below the comments' 15 s */
    }
}

static void a_client_that_hung_up_may_still_be_sent_to(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    hang_up(follow(w, &s));
    for (int i = 0; i < 20; i++) {
        (void)send_text(*s, "into the void"); /* true or false: it may not be known yet */
        if (i == 10)
            http_stream_end(*s);
    }
    until_over(w, s);
}

static void a_client_that_left_before_its_stream_began_is_noticed(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    until_held(w, 1);
    hang_up(c);
    struct http_stream *s = NULL;
    s = http_reply_stream(w->held, "text/plain", on_close, &s);
    assert_non_null(s);
    until_over(w, &s);
}

/* n times the same byte. */
static struct buf many(char c, size_t n)
{
    struct buf b = BUF(n);
    memset(buf_reserve(&b, n), c, n);
    b.len = n;
    return b;
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    struct client *c = follow(w, &s);
    cleanup(buf_clear) struct buf piece = many('x', 64 * 1024);
    size_t sent = 0;
    while (http_stream_send(*s, piece.data, piece.len)) {
        sent += piece.len;
        assert_in_range(sent, 0, 256 << 20);
        turn(w);
    }
    assert_in_range(sent, 1 << 20, 256 << 20);
    assert_false(send_text(*s, "more"));
    assert_non_null(*s); /* on_close comes from the loop */
    until_over(w, s);
    bool has_end = false;
    int64_t limit = limit_from_now();
    while (!c->closed && clock_mono_ms() < limit) {
        c->len = 0;
        turn(w);
        listen_once(c);
        has_end = has_end || (c->len >= 5 && strcmp(c->in + c->len - 5, "0\r\n\r\n") == 0);
    }
    assert_true(c->closed);
    assert_false(has_end); /* it can tell that something is missing */
    hang_up(c);
}

static void a_client_that_falls_asleep_is_cut_off_in_time(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    struct client *c = follow(w, &s);
    cleanup(buf_clear) struct buf piece = many('x', 32 << 20);
    assert_true(http_stream_send(*s, piece.data, piece.len)); /* more than the sockets hold */
    int64_t began = clock_mono_ms();
    until_over(w, s);
    assert_in_range(clock_mono_ms() - began, IDLE_TIMEOUT_MS / 2, IDLE_TIMEOUT_MS + 8000);
    hang_up(c);
}

static void a_client_without_chunks_reads_until_the_connection_closes(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "GET /stream HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
    struct http_stream **s = until_begun(w, 1);
    cleanup(buf_clear) struct buf piece = many('y', 5 << 20); /* one piece, for a client that keeps up */
    assert_true(http_stream_send(*s, piece.data, piece.len));
    http_stream_end(*s);
    struct reply r = read_reply(w, c, false);
    assert_null(header(&r, "Transfer-Encoding"));
    size_t total = 0;
    int64_t limit = limit_from_now();
    while (clock_mono_ms() < limit) {
        for (size_t i = 0; i < c->len; i++)
            assert_true(c->in[i] == 'y');
        total += c->len;
        c->len = 0;
        if (c->closed)
            break;
        turn(w);
        listen_once(c);
    }
    assert_true(c->closed);
    assert_int_equal(total, piece.len);
    until_over(w, s);
    hang_up(c);
}

static void a_large_piece_may_be_followed_at_once(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    struct client *c = follow(w, &s);
    cleanup(buf_clear) struct buf piece = many('z', 8 << 20);
    assert_true(http_stream_send(*s, piece.data, piece.len)); /* a result… */
    assert_true(send_text(*s, "idle"));                       /* …and the state after it */
    http_stream_end(*s);
    char last[32] = "";
    int64_t limit = limit_from_now();
    while (strcmp(last, "idle\r\n0\r\n\r\n") != 0 && clock_mono_ms() < limit) {
        turn(w);
        listen_once(c);
        if (c->len < 11)
            continue;
        (void)snprintf(last, sizeof last, "%s", c->in + c->len - 11);
        memmove(c->in, c->in + c->len - 11, 12); /* the end may come in two parts */
        c->len = 11;
    }
    assert_string_equal(last, "idle\r\n0\r\n\r\n");
    until_over(w, s);
    hang_up(c);
}

static void bytes_keep_their_order_when_a_client_lags(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    struct client *c = follow(w, &s);
    char expected[32];
    for (int i = 0; i < 2000; i++) { /* libmicrohttpd takes some of it now and then */
        char text[32];
        (void)snprintf(text, sizeof text, "%d\n", i);
        assert_true(send_text(*s, text));
        if (i % 37 == 0)
            (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    http_stream_end(*s);
    until_over(w, s);
    int64_t limit = limit_from_now();
    while (strstr(c->in, "\r\n0\r\n\r\n") == NULL && clock_mono_ms() < limit)
        listen_once(c);
    size_t left = 0; /* of the chunk */
    const char *at = c->in;
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(expected, sizeof expected, "%d\n", i);
        for (const char *e = expected; *e != '\0'; e++, at++, left--) {
            if (left == 0) {
                at += at != c->in ? 2 : 0;
                left = strtoul(at, NULL, 16);
                at = strstr(at, "\r\n") + 2;
            }
            assert_true(*at == *e);
        }
    }
    assert_string_equal(at, "\r\n0\r\n\r\n");
    hang_up(c);
}

static void many_streams_do_not_mix(void **state)
{
    struct world *w = *state;
    struct streams *all = w->own;
    enum { N = 90 };
    struct client *clients[N];
    struct http_stream **entries[N];
    for (int i = 0; i < N; i++)
        clients[i] = follow(w, &entries[i]);
    for (int i = 0; i < N; i += 3) {
        hang_up(clients[i]);
        clients[i] = NULL;
    }
    for (int i = 0; i < N; i += 3)
        until_over(w, entries[i]);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            char text[16];
            (void)snprintf(text, sizeof text, "%03d", i);
            if (clients[i] != NULL)
                assert_true(send_text(*entries[i], text));
        }
        for (int i = 0; i < N; i++) {
            char text[32];
            (void)snprintf(text, sizeof text, "3\r\n%03d\r\n", i);
            if (clients[i] != NULL)
                expect_text(w, clients[i], text);
        }
    }
    assert_int_equal(all->n, N);
    for (int i = 0; i < N; i++) {
        if (clients[i] != NULL)
            hang_up(clients[i]);
    }
}

static void a_head_gets_the_headers_alone(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "HEAD /greeting HTTP/1.1\r\n" HOST "\r\n");
    struct http_stream **s = until_begun(w, 1);
    struct reply r = read_reply(w, c, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(header(&r, "Content-Type"), "text/event-stream");
    assert_null(header(&r, "Content-Length")); /* which nobody knows */
    until_over(w, s);
    until_closed(w, c);
    assert_int_equal(c->len, 0);
    hang_up(c);
}

static void without_memory_there_is_no_stream_but_an_answer(void **state)
{
    struct world *w = *state;
    assert_int_equal(ask(w, "GET /nomem HTTP/1.1\r\n" HOST "\r\n").status, 503);
    assert_int_equal(w->n_called, 1);
}

static void without_memory_for_a_piece_the_stream_is_cut_off(void **state)
{
    struct world *w = *state;
    struct http_stream **s;
    struct client *c = follow(w, &s);
    mem_fail_at(1);
    assert_false(send_text(*s, "lost"));
    mem_fail_at(0);
    until_over(w, s);
    until_closed(w, c);
    assert_int_equal(c->len, 0);
    hang_up(c);
}

static void a_server_that_closes_ends_its_streams(void **state)
{
    struct world *w = *state;
    struct http_stream **quiet;
    struct http_stream **busy;
    struct http_stream **slow;
    struct client *first = follow(w, &quiet);
    struct client *second = follow(w, &busy);
    struct client *third = follow(w, &slow);
    cleanup(buf_clear) struct buf piece = many('x', 32 << 20);
    assert_true(http_stream_send(*slow, piece.data, piece.len));
    assert_true(send_text(*busy, "bye"));
    http_server_close(w->server);
    assert_true(*quiet == NULL && *busy == NULL && *slow == NULL); /* before it returns */
    world_stop(w);
    expect_text(w, first, "0\r\n\r\n");
    expect_text(w, second, "3\r\nbye\r\n0\r\n\r\n");
    hang_up(first);
    hang_up(second);
    hang_up(third);
}

static void a_server_that_has_closed_begins_no_stream(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    until_held(w, 1);
    world_stop(w);
    assert_null(http_reply_stream(w->held, "text/plain", on_close, NULL));
    hang_up(c);
}

#define STREAMED(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAMED(pieces_arrive_as_they_are_sent),
        STREAMED(an_end_comes_after_all_that_waits_and_the_connection_stays),
        STREAMED(a_stream_may_end_before_it_has_begun),
        STREAMED(a_stream_outlives_every_time_out),
        STREAMED(silence_carries_comments),
        STREAMED(a_client_that_hangs_up_is_noticed),
        STREAMED(a_client_that_hung_up_may_still_be_sent_to),
        STREAMED(a_client_that_left_before_its_stream_began_is_noticed),
        STREAMED(a_client_that_does_not_read_is_cut_off),
        STREAMED(a_client_that_falls_asleep_is_cut_off_in_time),
        STREAMED(a_client_without_chunks_reads_until_the_connection_closes),
        STREAMED(a_large_piece_may_be_followed_at_once),
        STREAMED(bytes_keep_their_order_when_a_client_lags),
        STREAMED(many_streams_do_not_mix),
        STREAMED(a_head_gets_the_headers_alone),
        STREAMED(without_memory_there_is_no_stream_but_an_answer),
        STREAMED(without_memory_for_a_piece_the_stream_is_cut_off),
        STREAMED(a_server_that_closes_ends_its_streams),
        STREAMED(a_server_that_has_closed_begins_no_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
