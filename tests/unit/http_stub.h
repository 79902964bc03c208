/* A server in the test's own process that does what the test tells it; for clients that run on the loop. */
#ifndef HEARTH_TESTS_HTTP_STUB_H
#define HEARTH_TESTS_HTTP_STUB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { REQUESTS_MAX = 64 };

enum manner {
    ANSWERS, /* with `answer`, as often as it is asked */
    IS_SILENT,
    CLOSES, /* after a whole request, without a word */
    ENDS,   /* answers, then closes */
    FLOODS, /* sends `answer` again and again */
};

struct server {
    uv_tcp_t listener;
    char url[64];
    enum manner manner;
    const char *answer;
    char *requests[REQUESTS_MAX];
    unsigned n_requests, n_connections, n_open;
    struct connection *open;
};

struct connection {
    uv_tcp_t tcp;
    struct server *server;
    struct buf in;
    bool continued; /* it was told to send its body */
    struct connection *next;
};

static inline void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct connection **link = &c->server->open;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    c->server->n_open--;
    buf_clear(&c->in);
    free(c);
}

static inline void close_connection(struct connection *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

static inline void on_written(uv_write_t *write, int status);

static inline void send_answer(struct connection *c)
{
    uv_write_t *write = calloc(1, sizeof *write);
    uv_buf_t bytes = {.len = strlen(c->server->answer)};
    memcpy(&bytes.base, &c->server->answer, sizeof bytes.base); /* libuv does not write to it */
    write->data = c;
    assert_int_equal(uv_write(write, (uv_stream_t *)&c->tcp, &bytes, 1, on_written), 0);
}

static inline void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;
    free(write);
    if (status != 0 || c->server->manner == ENDS)
        close_connection(c);
    else if (c->server->manner == FLOODS)
        send_answer(c);
}

/* Bytes of the first request that has come whole; 0: none has. */
static inline size_t whole_request(const struct connection *c)
{
    const char *text = buf_cstr(&c->in);
    const char *blank = strstr(text, "\r\n\r\n");
    if (blank == NULL)
        return 0;
    const char *length = strstr(text, "Content-Length: ");
    size_t n = (size_t)(blank - text) + 4;
    if (length != NULL && length < blank)
        n += (size_t)atol(length + strlen("Content-Length: "));
    return c->in.len >= n ? n : 0;
}

static inline void take_request(struct connection *c, size_t n)
{
    struct server *s = c->server;
    assert_in_range(s->n_requests, 0, REQUESTS_MAX - 1);
    s->requests[s->n_requests++] = strndup(buf_cstr(&c->in), n);
    buf_drop(&c->in, n);
    switch (s->manner) {
    case ANSWERS:
    case ENDS:
    case FLOODS: send_answer(c); break;
    case CLOSES: close_connection(c); break;
    case IS_SILENT: break;
    }
}

static inline void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    static char bytes[4096];
    (void)handle;
    (void)suggested;
    *ret = uv_buf_init(bytes, sizeof bytes);
}

/* A client that asks whether its body is wanted is told so, once. */
static inline void tell_to_continue(struct connection *c)
{
    static char words[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t bytes = uv_buf_init(words, sizeof words - 1);
    if (c->continued || strstr(buf_cstr(&c->in), "Expect: 100-continue\r\n") == NULL)
        return;
    c->continued = true;
    assert_int_equal(uv_try_write((uv_stream_t *)&c->tcp, &bytes, 1), sizeof words - 1);
}

static inline void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct connection *c = stream->data;
    size_t whole;
    if (n < 0) {
        close_connection(c);
        return;
    }
    buf_add(&c->in, bytes->base, (size_t)n);
    tell_to_continue(c);
    while (!uv_is_closing((uv_handle_t *)stream) && (whole = whole_request(c)) > 0)
        take_request(c, whole);
}

static inline void on_connection(uv_stream_t *listener, int status)
{
    struct server *s = listener->data;
    struct connection *c = calloc(1, sizeof *c);
    assert_int_equal(status, 0);
    c->server = s;
    c->tcp.data = c;
    c->next = s->open;
    s->open = c;
    s->n_open++;
    s->n_connections++;
    buf_init(&c->in, 1 << 20);
    assert_int_equal(uv_tcp_init(listener->loop, &c->tcp), 0);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read), 0);
}

static inline void server_start(struct server *s, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int size = sizeof address;
    s->listener.data = s;
    assert_int_equal(uv_tcp_init(loop, &s->listener), 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    assert_int_equal(uv_tcp_bind(&s->listener, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 64, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/x", ntohs(address.sin_port));
}

static inline void server_stop(struct server *s)
{
    for (struct connection *c = s->open; c != NULL; c = c->next)
        close_connection(c);
    uv_close((uv_handle_t *)&s->listener, NULL);
}

static inline void loop_wakes(uv_timer_t *timer)
{
    (void)timer;
}

/* Lets everything work until *n_done is n, which takes limit_ms at most. */
static inline void loop_until(uv_loop_t *loop, const unsigned *n_done, unsigned n, int64_t limit_ms)
{
    uv_timer_t tick; /* so that the loop wakes up for a look at the clock */
    int64_t limit = clock_mono_ms() + limit_ms;
    assert_int_equal(uv_timer_init(loop, &tick), 0);
    assert_int_equal(uv_timer_start(&tick, loop_wakes, 50, 50), 0);
    while (*n_done < n && clock_mono_ms() < limit)
        (void)uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT);
    assert_int_equal(*n_done, n);
}

/* Once the loop has run empty. */
static inline void server_clear(struct server *s)
{
    for (unsigned i = 0; i < s->n_requests; i++)
        free(s->requests[i]);
}

#endif
