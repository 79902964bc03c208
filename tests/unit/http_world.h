/* What the tests of the HTTP server share: a server in this process, and clients that see every byte. */
#ifndef HEARTH_TESTS_HTTP_WORLD_H
#define HEARTH_TESTS_HTTP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, BODY_LIMIT = 4096, REQUEST_TIMEOUT_MS = 600, IDLE_TIMEOUT_MS = 1000 };

#define HOST "Host: x\r\n"

/* ---- a server ---- */

struct world {
    uv_loop_t loop;
    struct http_server *server;
    const struct http_route *routes;
    size_t n_routes;
    struct http_request *held; /* by the handler of /hold */
    unsigned n_held, n_called;
    void *own; /* of the test file */
};

static inline void reply_text(struct http_request *r, int status, const char *text)
{
    struct buf body = BUF(64 * 1024);
    buf_str(&body, text);
    http_reply(r, http_answer_new(status, "text/plain", &body));
    buf_clear(&body);
}

static inline void hold(struct http_request *r, void *arg)
{
    struct world *w = arg;
    w->held = r;
    w->n_held++;
}

static inline void world_start(struct world *w, const char *base_path)
{
    struct err err;
    struct http_options options = {
        .listen = "127.0.0.1:0",
        .base_path = base_path,
        .connections = 100,
        .body_limit = BODY_LIMIT,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .security_headers = true,
    };
    if (http_server_new(&w->loop, &options, &w->server, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    http_mount(w->server, w->routes, w->n_routes, w);
}

static inline struct world *world_new(const struct http_route *routes, size_t n)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->routes = routes;
    w->n_routes = n;
    world_start(w, "");
    return w;
}

static inline void world_stop(struct world *w)
{
    http_server_close(w->server);
    w->server = NULL;
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
}

/* The teardown of every test. */
static inline int world_end(void **state)
{
    struct world *w = *state;
    world_stop(w);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- clients ---- */

struct client {
    int fd;
    bool closed; /* by the server */
    size_t len;
    char in[64 * 1024];
};

struct reply {
    int status;
    char head[8192];
    char body[16384];
};

static inline int64_t limit_from_now(void)
{
    return clock_mono_ms() + PATIENCE_MS;
}

/* Lets the server work for a moment. */
static inline void turn(struct world *w)
{
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    (void)poll(NULL, 0, 1);
}

static inline struct client *connect_to(struct world *w)
{
    struct client *c = calloc(1, sizeof *c);
    const char *address = http_server_address(w->server);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
    return c;
}

static inline void hang_up(struct client *c)
{
    (void)close(c->fd);
    free(c);
}

static inline void say(struct client *c, const char *text)
{
    assert_int_equal(send(c->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline void listen_once(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - 1 - c->len, MSG_DONTWAIT);
    if (n > 0)
        c->len += (size_t)n;
    else if (n == 0 || errno == ECONNRESET)
        c->closed = true;
    c->in[c->len] = '\0';
}

/* The value of a header in a reply's head, NULL when it is not there. */
static inline const char *header(const struct reply *r, const char *name)
{
    static char value[512];
    size_t n = strlen(name);
    for (const char *line = r->head; line != NULL; line = strstr(line, "\r\n")) {
        line += line[0] == '\r' ? 2 : 0;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(line + n + 2, "\r"), line + n + 2);
        return value;
    }
    return NULL;
}

/* Takes one whole reply out of what has come; false when more is needed. */
static inline bool take_reply(struct client *c, bool with_body, struct reply *r)
{
    char *blank = strstr(c->in, "\r\n\r\n");
    if (blank == NULL)
        return false;
    size_t head = (size_t)(blank - c->in) + 4;
    (void)snprintf(r->head, sizeof r->head, "%.*s", (int)head, c->in);
    const char *length = header(r, "Content-Length");
    size_t body = with_body && length != NULL ? (size_t)atol(length) : 0;
    if (c->len < head + body)
        return false;
    (void)snprintf(r->body, sizeof r->body, "%.*s", (int)body, c->in + head);
    if (sscanf(r->head, "HTTP/1.1 %d", &r->status) != 1)
        fail_msg("no reply: '%s'", c->in);
    memmove(c->in, c->in + head + body, c->len - head - body + 1);
    c->len -= head + body;
    return true;
}

static inline struct reply read_reply(struct world *w, struct client *c, bool with_body)
{
    static struct reply r;
    int64_t limit = limit_from_now();
    while (!take_reply(c, with_body, &r)) {
        if (c->closed || clock_mono_ms() > limit)
            fail_msg("no whole reply, but '%s'%s", c->in, c->closed ? " and a closed connection" : "");
        turn(w);
        listen_once(c);
    }
    return r;
}

static inline struct reply ask(struct world *w, const char *text)
{
    struct client *c = connect_to(w);
    say(c, text);
    struct reply r = read_reply(w, c, strncmp(text, "HEAD", 4) != 0);
    hang_up(c);
    return r;
}

static inline void until_closed(struct world *w, struct client *c)
{
    int64_t limit = limit_from_now();
    while (!c->closed && clock_mono_ms() < limit) {
        turn(w);
        listen_once(c);
    }
    assert_true(c->closed);
}

static inline void until_held(struct world *w, unsigned n)
{
    int64_t limit = limit_from_now();
    while (w->n_held < n && clock_mono_ms() < limit)
        turn(w);
    assert_int_equal(w->n_held, n);
}

#endif
