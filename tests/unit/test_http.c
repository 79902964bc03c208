/* The HTTP server and its router: addresses, limits, answers that wait, and clients that misbehave. */
#include "http_world.h"

#include <zlib.h>

/* ---- the router alone ---- */

static void nothing(struct http_request *r, void *arg)
{
    (void)r;
    (void)arg;
}

static const struct http_route table[] = {
    {"GET", "/batches", nothing, "", false},          {"POST", "/batches", nothing, "", false},
    {"GET", "/batches/{id}", nothing, "", false},     {"DELETE", "/batches/{id}", nothing, "", false},
    {"GET", "/batches/{id}/log", nothing, "", false}, {"POST", "/only/post", nothing, "", false},
    {"GET", "/a/{x}/b/{y}", nothing, "", false},
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

/* ---- the server ---- */

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

static void out_of_memory(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, NULL);
}

static const struct http_route served[] = {
    {"GET", "/echo", echo, "", false},         {"POST", "/echo", echo, "", false},
    {"DELETE", "/echo/{id}", echo, "", false}, {"GET", "/later", later, "", false},
    {"GET", "/hold", hold, "", false},         {"GET", "/nomem", out_of_memory, "", false},
};

static int begin(void **state)
{
    *state = world_new(served, sizeof served / sizeof *served);
    return 0;
}

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
    world_stop(w);
    world_start(w, "/hearth");
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
    world_stop(w);
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

#define SERVED(name) cmocka_unit_test_setup_teardown(name, begin, world_end)

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
