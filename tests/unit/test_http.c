/* The HTTP server and its router: addresses, limits, answers that wait, and clients that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strs.h"
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
#include <zlib.h>

enum { PATIENCE_MS = 20000, BODY_LIMIT = 4096, REQUEST_TIMEOUT_MS = 600, IDLE_TIMEOUT_MS = 1000 };

/* ---- the router alone ---- */

static void nothing(struct http_request *r, void *arg)
{
    (void)r;
    (void)arg;
}

static const struct http_route table[] = {
    {"GET", "/batches", nothing, ""},          {"POST", "/batches", nothing, ""},
    {"GET", "/batches/{id}", nothing, ""},     {"DELETE", "/batches/{id}", nothing, ""},
    {"GET", "/batches/{id}/log", nothing, ""}, {"POST", "/only/post", nothing, ""},
    {"GET", "/a/{x}/b/{y}", nothing, ""},
};

static struct http_target_result find(const char *method, const char *path, enum err_code expected)
{
    struct http_target_result found;
    const struct mount mounts[] = {{table, 3, NULL}, {table + 3, sizeof table / sizeof *table - 3, NULL}};
    assert_int_equal(router_find(mounts, 2, method, path, &found), expected);
    return found;
}

static void clear(struct http_target_result *found)
{
    for (int i = 0; i < HTTP_PARAMS_MAX; i++)
        mem_freep(&found->params[i]);
}

/* The route that is found, and its first two parameters (NULL: none). */
static void expect_route(const char *method, const char *path, const char *pattern, const char *first,
                         const char *second)
{
    struct http_target_result found = find(method, path, ERR_OK);
    assert_non_null(found.route);
    assert_string_equal(found.route->path, pattern);
    assert_string_equal(found.route->method, method);
    const char *expected[] = {first, second};
    for (int i = 0; i < 2; i++) {
        if (expected[i] == NULL)
            assert_null(found.params[i]);
        else
            assert_string_equal(found.params[i], expected[i]);
    }
    clear(&found);
}

static void routes_are_found_with_their_parameters_decoded(void **state)
{
    (void)state;
    expect_route("GET", "/batches", "/batches", NULL, NULL);
    expect_route("GET", "/batches/7", "/batches/{id}", "7", NULL);
    expect_route("DELETE", "/batches/7", "/batches/{id}", "7", NULL);
    expect_route("GET", "/batches/7/log", "/batches/{id}/log", "7", NULL);
    expect_route("GET", "/batches/a%20b%2Fc", "/batches/{id}", "a b/c", NULL);
    expect_route("GET", "/batches/a+b", "/batches/{id}", "a+b", NULL); /* a plus is a plus in a path */
    expect_route("GET", "/a/1/b/2", "/a/{x}/b/{y}", "1", "2");
}

static void paths_that_no_row_has_are_not_found(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/",     "/batche", "/batchesx", "/batches/", "/batches//log", "/batches/7/logs", "/batches/7/log/x",
        "/only", "/a/1/b",  ""};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct http_target_result found = find("GET", paths[i], ERR_OK);
        assert_null(found.route);
        assert_string_equal(found.allow, "");
    }
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    assert_string_equal(find("PUT", "/batches", ERR_OK).allow, "GET, POST, HEAD");
    assert_string_equal(find("PATCH", "/batches/7", ERR_OK).allow, "GET, DELETE, HEAD"); /* of two mounts */
    assert_string_equal(find("GET", "/only/post", ERR_OK).allow, "POST");
}

static void bad_escapes_in_a_parameter_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"/batches/%00", "/batches/%", "/batches/%4", "/batches/%zz",
                                        "/a/1/b/%0g"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct http_target_result found = find("GET", paths[i], ERR_INVALID);
        assert_null(found.route);
        assert_null(found.params[0]);
    }
}

static void expect_target(const char *uri, const char *base_path, const char *path, const char *query)
{
    struct http_target t = {0};
    struct err err = {0};
    if (target_parse(uri, base_path, &t, &err) != ERR_OK)
        fail_msg("%s: %s", uri, err.msg);
    assert_string_equal(t.path, path);
    assert_string_equal(t.query, query);
    target_clear(&t);
}

static void expect_bad_target(const char *uri, const char *base_path, enum err_code code)
{
    struct http_target t = {0};
    struct err err = {0};
    assert_int_equal(target_parse(uri, base_path, &t, &err), code);
    target_clear(&t);
}

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    expect_target("/batches?from=1&size=2", "", "/batches", "from=1&size=2");
    expect_target("/batches/", "", "/batches", "");
    expect_target("/", "", "/", "");
    expect_target("/batches#part", "", "/batches", "");
    expect_target("/batches?a=b#part", "", "/batches", "a=b");
    expect_target("http://proxy:80/batches/7?x", "", "/batches/7", "x");
    expect_target("http://proxy:80", "", "/", "");
    expect_target("/a%2Fb/", "", "/a%2Fb", "");
    expect_bad_target("*", "", ERR_NOT_FOUND);
    expect_bad_target("/x?a=%zz", "", ERR_INVALID);
    expect_bad_target("/x?a=%00", "", ERR_INVALID);
}

static void a_base_path_is_taken_off_and_nothing_else_gets_in(void **state)
{
    (void)state;
    expect_target("/hearth/batches", "/hearth", "/batches", "");
    expect_target("/hearth", "/hearth", "/", "");
    expect_target("/hearth/?a", "/hearth", "/", "a");
    expect_target("http://x/hearth/batches", "/hearth", "/batches", "");
    expect_bad_target("/batches", "/hearth", ERR_NOT_FOUND);
    expect_bad_target("/hearthx/batches", "/hearth", ERR_NOT_FOUND);
    expect_bad_target("/hear", "/hearth", ERR_NOT_FOUND);
}

static void query_parameters_are_decoded_and_the_first_counts(void **state)
{
    (void)state;
    struct http_target t = {0};
    struct err err = {0};
    assert_int_equal(target_parse("/x?a=1&b=%41+%2b&a=2&c&=d&&e=f=g", "", &t, &err), ERR_OK);
    assert_string_equal(strmap_get(&t.pairs, "a"), "1");
    assert_string_equal(strmap_get(&t.pairs, "b"), "A +");
    assert_string_equal(strmap_get(&t.pairs, "c"), "");
    assert_string_equal(strmap_get(&t.pairs, "e"), "f=g");
    assert_int_equal(t.pairs.n, 4);
    target_clear(&t);
}

static void the_router_survives_every_failing_allocation(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct http_target t = {0};
        struct err err;
        mem_fail_at(n);
        rc = target_parse("/a/1/b/2?x=1&y=2", "", &t, &err);
        mem_fail_at(0);
        target_clear(&t);
        assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(rc, ERR_OK);
    const struct mount all = {table, sizeof table / sizeof *table, NULL};
    rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct http_target_result found;
        mem_fail_at(n);
        rc = router_find(&all, 1, "GET", "/a/1/b/2", &found);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (found.route != NULL));
        clear(&found);
        assert_int_equal(mem_live(), 0);
    }
}

static void listening_addresses_are_numbers(void **state)
{
    (void)state;
    char host[64];
    uint16_t port = 0;
    struct err err;
    assert_int_equal(http_parse_listen("127.0.0.1:8998", host, &port, &err), ERR_OK);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 8998);
    assert_int_equal(http_parse_listen("[::1]:0", host, &port, &err), ERR_OK);
    assert_string_equal(host, "::1");
    assert_int_equal(http_parse_listen("localhost:1", host, &port, &err), ERR_OK);
    assert_true(http_is_loopback(host));
    assert_true(http_is_loopback("127.9.9.9") && http_is_loopback("::1"));
    assert_false(http_is_loopback("0.0.0.0") || http_is_loopback("::") || http_is_loopback("10.0.0.1"));
    static const char *const bad[] = {"8998", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "node:8998",
                                      ":80",  ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(http_parse_listen(bad[i], host, &port, &err), ERR_INVALID);
}

/* ---- a server in this process ---- */

struct world {
    uv_loop_t loop;
    struct http_server *server;
    struct http_request *held; /* by the handler of /hold */
    unsigned n_held, n_called;
};

static void reply_text(struct http_request *r, int status, const char *text)
{
    struct buf body = BUF(64 * 1024);
    buf_str(&body, text);
    http_reply(r, http_answer_new(status, "text/plain", &body));
    buf_clear(&body);
}

static const char *or_none(const char *text)
{
    return text != NULL ? text : "-";
}

/* What the handler sees, as the answer. */
static void echo(struct http_request *r, void *arg)
{
    struct world *w = arg;
    char text[BODY_LIMIT + 512];
    w->n_called++;
    (void)snprintf(text, sizeof text, "%s %s id=%s q=%s body=%s", http_method(r), http_path(r),
                   or_none(http_param(r, 0)), or_none(http_query(r, "q")), buf_cstr(http_body(r)));
    reply_text(r, 200, text);
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(timer);
}

static void on_later(uv_timer_t *timer)
{
    reply_text(timer->data, 200, "later");
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

static void later(struct http_request *r, void *arg)
{
    struct world *w = arg;
    uv_timer_t *timer = malloc(sizeof *timer);
    assert_int_equal(uv_timer_init(&w->loop, timer), 0);
    timer->data = r;
    assert_int_equal(uv_timer_start(timer, on_later, 50, 0), 0);
}

static void hold(struct http_request *r, void *arg)
{
    struct world *w = arg;
    w->held = r;
    w->n_held++;
}

static void out_of_memory(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, NULL);
}

static const struct http_route served[] = {
    {"GET", "/echo", echo, ""},   {"POST", "/echo", echo, ""}, {"DELETE", "/echo/{id}", echo, ""},
    {"GET", "/later", later, ""}, {"GET", "/hold", hold, ""},  {"GET", "/nomem", out_of_memory, ""},
};

static void start(struct world *w, const char *base_path)
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
    http_mount(w->server, served, sizeof served / sizeof *served, w);
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    start(w, "");
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    http_server_close(w->server);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
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

static int64_t limit_from_now(void)
{
    return clock_mono_ms() + PATIENCE_MS;
}

/* Lets the server work for a moment. */
static void turn(struct world *w)
{
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    (void)poll(NULL, 0, 1);
}

static struct client *connect_to(struct world *w)
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

static void hang_up(struct client *c)
{
    (void)close(c->fd);
    free(c);
}

static void say(struct client *c, const char *text)
{
    assert_int_equal(send(c->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void listen_once(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - 1 - c->len, MSG_DONTWAIT);
    if (n > 0)
        c->len += (size_t)n;
    else if (n == 0 || errno == ECONNRESET)
        c->closed = true;
    c->in[c->len] = '\0';
}

/* The value of a header in a reply's head, NULL when it is not there. */
static const char *header(const struct reply *r, const char *name)
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
static bool take_reply(struct client *c, bool with_body, struct reply *r)
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
    assert_int_equal(sscanf(r->head, "HTTP/1.1 %d", &r->status), 1);
    memmove(c->in, c->in + head + body, c->len - head - body + 1);
    c->len -= head + body;
    return true;
}

static struct reply read_reply(struct world *w, struct client *c, bool with_body)
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

static struct reply ask(struct world *w, const char *text)
{
    struct client *c = connect_to(w);
    say(c, text);
    struct reply r = read_reply(w, c, strncmp(text, "HEAD", 4) != 0);
    hang_up(c);
    return r;
}

static void until_closed(struct world *w, struct client *c)
{
    int64_t limit = limit_from_now();
    while (!c->closed && clock_mono_ms() < limit) {
        turn(w);
        listen_once(c);
    }
    assert_true(c->closed);
}

static void until_held(struct world *w, unsigned n)
{
    int64_t limit = limit_from_now();
    while (w->n_held < n && clock_mono_ms() < limit)
        turn(w);
    assert_int_equal(w->n_held, n);
}

#define HOST "Host: x\r\n"

static void a_request_reaches_its_handler_with_everything(void **state)
{
    struct reply r = ask(*state, "POST /echo?q=a%20b HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "POST /echo id=- q=a b body=hello");
    assert_string_equal(header(&r, "Content-Type"), "text/plain");
    assert_string_equal(header(&r, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(header(&r, "X-Frame-Options"), "SAMEORIGIN");
    r = ask(*state, "DELETE /echo/a%2Fb/ HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(r.body, "DELETE /echo/a%2Fb id=a/b q=- body=");
    r = ask(*state, "GET http://proxy/echo HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(r.body, "GET /echo id=- q=- body=");
}

static void chunked_bodies_are_put_together(void **state)
{
    struct reply r = ask(*state, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                                 "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    assert_string_equal(r.body, "POST /echo id=- q=- body=hello");
}

static void a_head_is_a_get_without_the_body(void **state)
{
    struct reply r = ask(*state, "HEAD /echo HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 200);
    assert_string_equal(header(&r, "Content-Type"), "text/plain");
    assert_string_equal(header(&r, "Content-Length"), "24"); /* of the body that a GET would get */
}

static void wrong_addresses_and_methods_have_their_answers(void **state)
{
    struct reply r = ask(*state, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 404);
    assert_string_equal(r.body, "");
    r = ask(*state, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    assert_int_equal(r.status, 405);
    assert_string_equal(header(&r, "Allow"), "GET, POST, HEAD");
    assert_int_equal(ask(*state, "OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n").status, 405);
    assert_int_equal(ask(*state, "DELETE /echo/%00 HTTP/1.1\r\n" HOST "\r\n").status, 400);
    assert_int_equal(ask(*state, "GET /echo?q=%0 HTTP/1.1\r\n" HOST "\r\n").status, 400);
    assert_int_equal(ask(*state, "GET /nomem HTTP/1.1\r\n" HOST "\r\n").status, 503);
}

static void a_post_may_name_another_method(void **state)
{
    struct reply r = ask(*state, "POST /echo/7 HTTP/1.1\r\n" HOST "X-HTTP-Method-Override: DELETE\r\n"
                                 "Content-Length: 0\r\n\r\n");
    assert_string_equal(r.body, "DELETE /echo/7 id=7 q=- body=");
    r = ask(*state, "GET /echo HTTP/1.1\r\n" HOST "X-HTTP-Method-Override: POST\r\n\r\n");
    assert_string_equal(r.body, "GET /echo id=- q=- body=");
}

static void a_base_path_stands_in_front_of_everything(void **state)
{
    struct world *w = *state;
    http_server_close(w->server);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    start(w, "/hearth");
    assert_int_equal(ask(w, "GET /hearth/echo HTTP/1.1\r\n" HOST "\r\n").status, 200);
    assert_int_equal(ask(w, "GET /echo HTTP/1.1\r\n" HOST "\r\n").status, 404);
}

static void a_base_path_that_could_never_match_is_refused(void **state)
{
    struct world *w = *state;
    static const char *const bad[] = {"hearth", "/hearth/", "/"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err;
        struct http_server *s = NULL;
        struct http_options options = {.listen = "127.0.0.1:0", .base_path = bad[i], .connections = 10};
        assert_int_equal(http_server_new(&w->loop, &options, &s, &err), ERR_INVALID);
        assert_non_null(strstr(err.msg, "server.base_path"));
    }
}

static void a_port_in_use_is_named(void **state)
{
    struct world *w = *state;
    struct err err;
    struct http_server *s = NULL;
    struct http_options options = {
        .listen = http_server_address(w->server), .base_path = "", .connections = 10};
    assert_int_equal(http_server_new(&w->loop, &options, &s, &err), ERR_IO);
    assert_non_null(strstr(err.msg, http_server_address(w->server)));
}

/* ---- limits ---- */

/* A POST of n bytes. */
static char *post(size_t n, const char *headers)
{
    char *text = malloc(n + 256);
    int head =
        snprintf(text, 256, "POST /echo HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n", headers, n);
    memset(text + head, 'x', n);
    text[(size_t)head + n] = '\0';
    return text;
}

static void a_body_may_be_as_large_as_the_limit_and_not_larger(void **state)
{
    struct world *w = *state;
    char *fits = post(BODY_LIMIT, "");
    char *too_large = post(BODY_LIMIT + 1, "");
    assert_int_equal(ask(w, fits).status, 200);
    struct reply r = ask(w, too_large);
    assert_int_equal(r.status, 413);
    assert_non_null(strstr(r.body, "server.body_limit, 4096 bytes"));
    assert_int_equal(w->n_called, 1);
    free(fits);
    free(too_large);
}

static void a_chunked_body_above_the_limit_is_refused_too(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    char chunk[1100];
    (void)snprintf(chunk, sizeof chunk, "400\r\n%01024d\r\n", 0);
    say(c, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 8; i++)
        say(c, chunk);
    say(c, "0\r\n\r\n");
    assert_int_equal(read_reply(w, c, true).status, 413);
    assert_int_equal(w->n_called, 0);
    hang_up(c);
}

/* A POST with `n` times 'x', gzipped. */
static struct client *send_gzip(struct world *w, size_t n, size_t keep)
{
    struct client *c = connect_to(w);
    z_stream z = {0};
    char *plain = malloc(n);
    unsigned char *packed = malloc(n + 1024);
    memset(plain, 'x', n);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)plain;
    z.avail_in = (uInt)n;
    z.next_out = packed;
    z.avail_out = (uInt)n + 1024;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t len = keep < z.total_out ? keep : z.total_out;
    char head[128];
    (void)snprintf(head, sizeof head,
                   "POST /echo HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                   len);
    say(c, head);
    assert_int_equal(send(c->fd, packed, len, MSG_NOSIGNAL), len);
    assert_int_equal(deflateEnd(&z), Z_OK);
    free(plain);
    free(packed);
    return c;
}

static struct reply ask_gzip(struct world *w, size_t n, size_t keep)
{
    struct client *c = send_gzip(w, n, keep);
    struct reply r = read_reply(w, c, true);
    hang_up(c);
    return r;
}

static void gzip_is_undone(void **state)
{
    struct reply r = ask_gzip(*state, 5, SIZE_MAX);
    assert_string_equal(r.body, "POST /echo id=- q=- body=xxxxx");
}

static void a_gzip_bomb_meets_the_same_limit(void **state)
{
    struct world *w = *state;
    struct reply r = ask_gzip(w, 1 << 20, SIZE_MAX); /* one KiB on the wire */
    assert_int_equal(r.status, 413);
    assert_non_null(strstr(r.body, "server.body_limit"));
    assert_int_equal(w->n_called, 0);
    assert_int_equal(ask_gzip(w, BODY_LIMIT, SIZE_MAX).status, 200);
}

static void gzip_that_is_cut_off_is_refused(void **state)
{
    struct reply r = ask_gzip(*state, 1000, 20);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body, "not valid gzip"));
}

static void other_encodings_are_ignored(void **state)
{
    struct reply r = ask(*state, "POST /echo HTTP/1.1\r\n" HOST "Content-Encoding: UTF-8\r\n"
                                 "Content-Length: 2\r\n\r\nhi");
    assert_string_equal(r.body, "POST /echo id=- q=- body=hi");
}

/* ---- connections ---- */

static void a_connection_serves_many_requests(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    for (int i = 0; i < 5; i++) {
        say(c, i % 2 == 0 ? "GET /echo HTTP/1.1\r\n" HOST "\r\n" : "GET /nowhere HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(read_reply(w, c, true).status, i % 2 == 0 ? 200 : 404);
    }
    say(c, "GET /echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_int_equal(read_reply(w, c, true).status, 200);
    until_closed(w, c);
    hang_up(c);
}

static void requests_sent_at_once_are_answered_in_order(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "GET /echo?q=1 HTTP/1.1\r\n" HOST "\r\nGET /later HTTP/1.1\r\n" HOST "\r\n"
           "POST /echo?q=3 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhiGET /echo?q=4 HTTP/1.1\r\n" HOST
           "\r\n");
    assert_string_equal(read_reply(w, c, true).body, "GET /echo id=- q=1 body=");
    assert_string_equal(read_reply(w, c, true).body, "later");
    assert_string_equal(read_reply(w, c, true).body, "POST /echo id=- q=3 body=hi");
    assert_string_equal(read_reply(w, c, true).body, "GET /echo id=- q=4 body=");
    hang_up(c);
}

static void an_answer_may_come_later_and_others_need_not_wait(void **state)
{
    struct world *w = *state;
    struct client *patient = connect_to(w);
    say(patient, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    until_held(w, 1);
    assert_int_equal(ask(w, "GET /echo HTTP/1.1\r\n" HOST "\r\n").status, 200);
    reply_text(w->held, 200, "at last");
    assert_string_equal(read_reply(w, patient, true).body, "at last");
    say(patient, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(read_reply(w, patient, true).status, 200);
    hang_up(patient);
}

static void a_client_that_went_away_harms_nobody(void **state)
{
    struct world *w = *state;
    for (unsigned i = 1; i <= 3; i++) {
        struct client *c = connect_to(w);
        say(c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
        until_held(w, i);
        hang_up(c);
        for (int turns = 0; turns < 20; turns++)
            turn(w);
        reply_text(w->held, 200, "into the void");
    }
    assert_int_equal(ask(w, "GET /echo HTTP/1.1\r\n" HOST "\r\n").status, 200);
}

static void a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nonly this");
    for (int turns = 0; turns < 20; turns++)
        turn(w);
    hang_up(c);
    assert_int_equal(ask(w, "GET /echo HTTP/1.1\r\n" HOST "\r\n").status, 200);
    assert_int_equal(w->n_called, 1);
}

/* Sends a byte every now and then until it is cut off; the milliseconds that took. */
static int64_t trickle(struct world *w, const char *text)
{
    struct client *c = connect_to(w);
    int64_t began = clock_mono_ms();
    int64_t next = began;
    for (size_t at = 0; !c->closed && clock_mono_ms() - began < PATIENCE_MS;) {
        if (clock_mono_ms() >= next && text[at] != '\0') {
            (void)send(c->fd, text + at++, 1, MSG_NOSIGNAL); /* refused: it is cut off, as is seen below */
            next += 20;
        }
        turn(w);
        listen_once(c);
    }
    assert_true(c->closed);
    assert_int_equal(c->len, 0);
    hang_up(c);
    return clock_mono_ms() - began;
}

static void a_slow_client_is_cut_off_however_busily_it_sends(void **state)
{
    struct world *w = *state;
    char head[2048];
    (void)snprintf(head, sizeof head, "GET /echo HTTP/1.1\r\nX-Long: %01500d", 0);
    int64_t ms = trickle(w, head);
    assert_in_range(ms, REQUEST_TIMEOUT_MS, 3 * REQUEST_TIMEOUT_MS + 1000);
    char *body = post(2000, "");
    struct client *c = connect_to(w); /* the head at once, the body slowly */
    char *blank = strstr(body, "\r\n\r\n") + 4;
    char saved = *blank;
    *blank = '\0';
    say(c, body);
    *blank = saved;
    int64_t began = clock_mono_ms();
    while (!c->closed && clock_mono_ms() - began < PATIENCE_MS) {
        (void)send(c->fd, "x", 1, MSG_NOSIGNAL);
        for (int i = 0; i < 10; i++)
            turn(w);
        listen_once(c);
    }
    assert_true(c->closed);
    assert_in_range(clock_mono_ms() - began, REQUEST_TIMEOUT_MS / 2, 2 * REQUEST_TIMEOUT_MS + 1000);
    assert_int_equal(w->n_called, 0);
    hang_up(c);
    free(body);
}

static void a_silent_connection_is_closed_in_time(void **state)
{
    struct world *w = *state;
    struct client *fresh = connect_to(w);
    int64_t began = clock_mono_ms();
    until_closed(w, fresh);
    assert_in_range(clock_mono_ms() - began, REQUEST_TIMEOUT_MS / 2, REQUEST_TIMEOUT_MS + 1500);
    hang_up(fresh);
    struct client *used = connect_to(w);
    say(used, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    (void)read_reply(w, used, true);
    began = clock_mono_ms();
    until_closed(w, used);
    assert_in_range(clock_mono_ms() - began, IDLE_TIMEOUT_MS / 2, IDLE_TIMEOUT_MS + 2500);
    hang_up(used);
}

static void a_handler_may_take_longer_than_any_time_out(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    until_held(w, 1);
    int64_t until = clock_mono_ms() + IDLE_TIMEOUT_MS * 2 + 1500;
    while (clock_mono_ms() < until)
        turn(w);
    reply_text(w->held, 200, "slow but sure");
    assert_string_equal(read_reply(w, c, true).body, "slow but sure");
    hang_up(c);
}

/* ---- closing ---- */

static void closing_sends_what_was_answered_and_drops_the_rest(void **state)
{
    struct world *w = *state;
    struct client *lucky = connect_to(w);
    say(lucky, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    until_held(w, 1);
    struct http_request *first = w->held;
    struct client *unlucky = connect_to(w);
    say(unlucky, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    until_held(w, 2);
    struct client *late = connect_to(w);
    say(late, "GET /echo HTTP/1.1\r\n" HOST "\r\n"); /* not seen before it closes */
    reply_text(first, 200, "in time");
    http_server_close(w->server);
    w->server = NULL;
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    reply_text(w->held, 200, "too late"); /* into the void */
    assert_string_equal(read_reply(w, lucky, true).body, "in time");
    until_closed(w, unlucky);
    until_closed(w, late);
    assert_int_equal(unlucky->len + late->len, 0);
    assert_int_equal(w->n_called, 0);
    hang_up(lucky);
    hang_up(unlucky);
    hang_up(late);
}

#define SERVED(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_found_with_their_parameters_decoded),
        cmocka_unit_test(paths_that_no_row_has_are_not_found),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(bad_escapes_in_a_parameter_are_refused),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(a_base_path_is_taken_off_and_nothing_else_gets_in),
        cmocka_unit_test(query_parameters_are_decoded_and_the_first_counts),
        cmocka_unit_test(the_router_survives_every_failing_allocation),
        cmocka_unit_test(listening_addresses_are_numbers),
        SERVED(a_request_reaches_its_handler_with_everything),
        SERVED(chunked_bodies_are_put_together),
        SERVED(a_head_is_a_get_without_the_body),
        SERVED(wrong_addresses_and_methods_have_their_answers),
        SERVED(a_post_may_name_another_method),
        SERVED(a_base_path_stands_in_front_of_everything),
        SERVED(a_base_path_that_could_never_match_is_refused),
        SERVED(a_port_in_use_is_named),
        SERVED(a_body_may_be_as_large_as_the_limit_and_not_larger),
        SERVED(a_chunked_body_above_the_limit_is_refused_too),
        SERVED(gzip_is_undone),
        SERVED(a_gzip_bomb_meets_the_same_limit),
        SERVED(gzip_that_is_cut_off_is_refused),
        SERVED(other_encodings_are_ignored),
        SERVED(a_connection_serves_many_requests),
        SERVED(requests_sent_at_once_are_answered_in_order),
        SERVED(an_answer_may_come_later_and_others_need_not_wait),
        SERVED(a_client_that_went_away_harms_nobody),
        SERVED(a_client_that_leaves_in_the_middle_of_its_body_harms_nobody),
        SERVED(a_slow_client_is_cut_off_however_busily_it_sends),
        SERVED(a_silent_connection_is_closed_in_time),
        SERVED(a_handler_may_take_longer_than_any_time_out),
        SERVED(closing_sends_what_was_answered_and_drops_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
