/*
 * Connections, requests and answers: libmicrohttpd driven through its epoll descriptor.
 *
 * Life of a request: on_uri (request line) -> on_access (headers, then body, then dispatch) ->
 * http_reply -> on_completed. While the handler is working the connection is suspended. Two
 * references keep a request: the connection's and the handler's.
 */
#include "loop/http_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>
#include <zlib.h>

enum {
    SWEEP_MS = 200, /* how exact the deadlines are */
    CONNECTION_MEMORY =
        144 * 1024, /* 128 KiB of request head and what stands beside it; zeroed per request */
    RUNS_PER_TURN = 16,
};

struct http_answer {
    int refs;
    int status;
    size_t size;
    struct MHD_Response *response;
};

struct connection {
    struct connection *prev, *next;
    int fd;
    int64_t deadline_ms; /* monotonic; 0: none, a request is being worked on */
};

enum stage { STAGE_HEADERS, STAGE_BODY, STAGE_WORKING, STAGE_ANSWERED };

struct http_request {
    struct http_request *prev, *next; /* among those whose connection is open */
    struct http_server *server;
    struct MHD_Connection *connection; /* NULL once the connection has let go of it */
    struct connection *socket;
    int refs;
    enum stage stage;
    bool suspended;
    bool is_head;
    const char *method; /* a literal of the route table or MHD's own string */
    char *method_text;
    struct http_target target;
    struct err bad; /* why the address is refused, when it is */
    struct http_target_result found;
    struct buf body;
    char *user;
    struct http_answer *answer;
};

struct http_server {
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t again; /* MHD has work that epoll does not show */
    uv_timer_t sweep;
    int open_handles;
    struct connection *connections;
    struct http_request *requests;
    struct mount mounts[HTTP_MOUNTS_MAX];
    size_t n_mounts;
    http_filter *filter;
    void *filter_arg;
    size_t body_limit;
    int64_t request_timeout_ms;
    int64_t idle_timeout_ms;
    bool security_headers;
    bool closing;
    char *base_path;
    char address[96];
};

/* ---- answers ---- */

static struct http_answer *answer_make(int status, const char *content_type, char *data, size_t size)
{
    struct http_answer *a = mem_calloc(1, sizeof *a);
    struct MHD_Response *response =
        data == NULL ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
                     : MHD_create_response_from_buffer_with_free_callback(size, data, mem_free);
    if (a == NULL || response == NULL) {
        if (response != NULL)
            MHD_destroy_response(response);
        else
            mem_free(data);
        mem_free(a);
        return NULL;
    }
    *a = (struct http_answer){.refs = 1, .status = status, .size = size, .response = response};
    if (content_type != NULL && !http_answer_header(a, "Content-Type", content_type)) {
        http_answer_unref(a);
        return NULL;
    }
    return a;
}

struct http_answer *http_answer_new(int status, const char *content_type, struct buf *body)
{
    size_t size = body->len;
    char *data = buf_steal(body);
    return data == NULL ? NULL : answer_make(status, content_type, data, size);
}

struct http_answer *http_answer_empty(int status, const char *content_type)
{
    return answer_make(status, content_type, NULL, 0);
}

bool http_answer_header(struct http_answer *a, const char *name, const char *value)
{
    return MHD_add_response_header(a->response, name, value) == MHD_YES;
}

size_t http_answer_size(const struct http_answer *a)
{
    return a->size;
}

struct http_answer *http_answer_ref(struct http_answer *a)
{
    a->refs++;
    return a;
}

void http_answer_unref(struct http_answer *a)
{
    if (a == NULL || --a->refs > 0)
        return;
    MHD_destroy_response(a->response);
    mem_free(a);
}

/* The security headers go onto an answer once, when it is first sent. */
static void add_security_headers(struct http_answer *a)
{
    if (MHD_get_response_header(a->response, "X-Content-Type-Options") != NULL)
        return;
    (void)http_answer_header(a, "X-Content-Type-Options", "nosniff"); /* missing: memory is short */
    (void)http_answer_header(a, "X-Frame-Options", "SAMEORIGIN");
    (void)http_answer_header(a, "X-XSS-Protection", "1; mode=block");
    (void)http_answer_header(a, "Content-Security-Policy",
                             "default-src 'self'; script-src 'self' 'unsafe-inline'; img-src 'self'; "
                             "frame-src 'self';");
}

static struct http_answer *error_answer(int status, const char *text)
{
    struct buf body = BUF(4096);
    buf_str(&body, "{\"msg\":\"");
    for (; *text != '\0'; text++) /* our own sentences: quotes are all there is to escape */
        buf_add(&body, *text == '"' || *text == '\\' ? (char[]){'\\', *text} : text,
                *text == '"' || *text == '\\' ? 2 : 1);
    buf_str(&body, "\"}");
    struct http_answer *a = http_answer_new(status, HTTP_JSON, &body);
    buf_clear(&body);
    return a;
}

/* ---- requests ---- */

static void run_soon(struct http_server *s);

static void request_unref(struct http_request *r)
{
    if (--r->refs > 0)
        return;
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        mem_free(r->found.params[i]);
    target_clear(&r->target);
    buf_clear(&r->body);
    mem_free(r->user);
    mem_free(r->method_text);
    http_answer_unref(r->answer);
    mem_free(r);
}

const char *http_method(const struct http_request *r)
{
    return r->method;
}

const char *http_path(const struct http_request *r)
{
    return r->target.path;
}

const char *http_query_text(const struct http_request *r)
{
    return r->target.query;
}

const char *http_param(const struct http_request *r, unsigned n)
{
    return n < HTTP_PARAMS_MAX ? r->found.params[n] : NULL;
}

const char *http_query(const struct http_request *r, const char *name)
{
    return strmap_get(&r->target.pairs, name);
}

const char *http_header(const struct http_request *r, const char *name)
{
    return r->connection == NULL ? NULL : MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const struct buf *http_body(const struct http_request *r)
{
    return &r->body;
}

bool http_basic_auth(struct http_request *r, char **ret_user, char **ret_password)
{
    if (r->connection == NULL)
        return false;
    char *password = NULL;
    char *user = MHD_basic_auth_get_username_password(r->connection, &password);
    *ret_user = user != NULL ? mem_strdup(user) : NULL;
    *ret_password = password != NULL ? mem_strdup(password) : NULL;
    if (user != NULL)
        MHD_free(user);
    if (password != NULL)
        MHD_free(password);
    if (*ret_user != NULL && *ret_password != NULL)
        return true;
    mem_freep(ret_user);
    mem_freep(ret_password);
    return false;
}

const char *http_user(const struct http_request *r)
{
    return r->user;
}

bool http_set_user(struct http_request *r, const char *user)
{
    return mem_set_str(&r->user, user) == 0;
}

void http_reply(struct http_request *r, struct http_answer *answer)
{
    if (r->connection == NULL) {
        http_answer_unref(answer); /* the client has gone */
    } else {
        r->answer = answer != NULL ? answer : error_answer(503, "out of memory");
        r->stage = STAGE_ANSWERED;
        if (r->suspended) {
            r->suspended = false;
            MHD_resume_connection(r->connection);
            run_soon(r->server);
        }
    }
    request_unref(r);
}

/* ---- from the first byte to the handler ---- */

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *s = arg;
    struct http_request *r = mem_calloc(1, sizeof *r);
    if (r == NULL)
        return NULL; /* on_access refuses */
    r->server = s;
    r->connection = connection;
    r->refs = 1;
    DL_APPEND(s->requests, r);
    buf_init(&r->body, s->body_limit);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    r->socket = info != NULL ? info->socket_context : NULL;
    if (r->socket != NULL)
        r->socket->deadline_ms = clock_mono_ms() + s->request_timeout_ms;
    (void)target_parse(uri, s->base_path, &r->target, &r->bad); /* told when the request is complete */
    return r;
}

static enum MHD_Result send_answer(struct http_request *r)
{
    if (r->socket != NULL)
        r->socket->deadline_ms = 0; /* libmicrohttpd's own time-out watches a reader that stands still */
    if (r->server->security_headers)
        add_security_headers(r->answer);
    return MHD_queue_response(r->connection, (unsigned)r->answer->status, r->answer->response);
}

static enum MHD_Result send_error(struct http_request *r, int status, const char *text)
{
    http_answer_unref(r->answer);
    r->answer = error_answer(status, text);
    r->stage = STAGE_ANSWERED;
    return r->answer != NULL ? send_answer(r) : MHD_NO;
}

static enum err_code too_large(const struct http_server *s, struct err *err)
{
    return err_set(err, ERR_TOO_LARGE, "the body is larger than server.body_limit, %zu bytes", s->body_limit);
}

/* Replaces a gzip body by what it holds, within the same limit. */
static enum err_code gunzip(struct buf *body, struct err *err)
{
    struct buf plain = BUF(body->limit);
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return err_set(err, ERR_NOMEM, "out of memory");
    z.next_in = (Bytef *)body->data;
    z.avail_in = (uInt)body->len;
    int rc = Z_OK;
    while (rc == Z_OK && plain.failed == ERR_OK) {
        unsigned char chunk[16384];
        z.next_out = chunk;
        z.avail_out = sizeof chunk;
        rc = inflate(&z, Z_NO_FLUSH);
        buf_add(&plain, chunk, sizeof chunk - z.avail_out);
    }
    (void)inflateEnd(&z);
    enum err_code code = buf_check(&plain, err);
    if (code == ERR_OK && rc != Z_STREAM_END)
        code = err_set(err, ERR_INVALID, "the body is not valid gzip");
    if (code != ERR_OK) {
        buf_clear(&plain);
        return code;
    }
    buf_clear(body);
    *body = plain;
    return ERR_OK;
}

static void answer_no_route(struct http_request *r, enum err_code rc)
{
    struct http_answer *a;
    if (rc == ERR_INVALID) {
        a = error_answer(400, "the address holds a bad escape: %XX with two hex digits, not %00");
    } else if (rc != ERR_OK) {
        a = NULL;
    } else if (r->found.allow[0] != '\0') {
        a = http_answer_empty(405, HTTP_JSON);
        if (a != NULL)
            (void)http_answer_header(a, "Allow", r->found.allow);
    } else {
        a = http_answer_empty(404, HTTP_JSON);
    }
    http_reply(r, a);
}

void http_pass(struct http_request *r)
{
    struct http_server *s = r->server;
    if (r->connection == NULL) { /* the client has gone meanwhile */
        http_reply(r, NULL);
        return;
    }
    enum err_code rc = router_find(s->mounts, s->n_mounts, r->method, r->target.path, &r->found);
    if (rc != ERR_OK || r->found.route == NULL)
        answer_no_route(r, rc);
    else
        r->found.route->handler(r, r->found.arg);
}

/* The request is complete: filter, route, handler. The handler's reference is taken here. */
static void dispatch(struct http_request *r)
{
    struct http_server *s = r->server;
    r->refs++;
    r->stage = STAGE_WORKING;
    if (r->socket != NULL)
        r->socket->deadline_ms = 0;
    struct err err = r->bad;
    const char *encoding = http_header(r, "Content-Encoding");
    if (err.code == ERR_OK && r->body.failed == ERR_OK && encoding != NULL &&
        strcasecmp(encoding, "gzip") == 0 && r->body.len > 0)
        (void)gunzip(&r->body, &err);
    if (err.code == ERR_OK)
        (void)buf_check(&r->body, &err);
    if (err.code == ERR_TOO_LARGE)
        (void)too_large(s, &err);
    if (err.code == ERR_NOT_FOUND) {
        http_reply(r, http_answer_empty(404, HTTP_JSON));
        return;
    }
    if (err.code != ERR_OK) {
        http_reply(r, error_answer(err_http_status(err.code), err.msg));
        return;
    }
    if (s->filter == NULL || !s->filter(r, s->filter_arg))
        http_pass(r);
}

static enum MHD_Result begin_request(struct http_request *r, const char *method)
{
    const char *override = strcmp(method, "POST") == 0 ? http_header(r, "X-HTTP-Method-Override") : NULL;
    r->is_head = strcmp(method, "HEAD") == 0;
    r->method_text = mem_strdup(r->is_head ? "GET" : override != NULL ? override : method);
    if (r->method_text == NULL)
        return send_error(r, 503, "out of memory");
    r->method = r->method_text;
    r->stage = STAGE_BODY;
    const char *announced = http_header(r, "Content-Length");
    int64_t length = 0;
    if (announced != NULL && (parse_i64(announced, 0, INT64_MAX, &length, NULL) != ERR_OK ||
                              (uint64_t)length > r->server->body_limit)) {
        struct err err;
        return send_error(r, err_http_status(too_large(r->server, &err)), err.msg);
    }
    return MHD_YES;
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data, size_t *size,
                                 void **context)
{
    (void)arg;
    (void)url;
    (void)version;
    struct http_request *r = *context;
    if (r == NULL || (r->server->closing && r->stage != STAGE_ANSWERED))
        return MHD_NO; /* no memory for the request itself; or nobody is there to work on it any more */
    if (r->stage == STAGE_HEADERS)
        return begin_request(r, method);
    if (r->stage == STAGE_BODY && *size > 0) {
        buf_add(&r->body, data, *size); /* once too large it stays so; the rest is read and dropped */
        if (r->body.failed != ERR_OK) {
            enum err_code failed = r->body.failed;
            buf_clear(&r->body);
            r->body.failed = failed;
        }
        *size = 0;
        return MHD_YES;
    }
    if (r->stage == STAGE_BODY)
        dispatch(r);
    if (r->stage == STAGE_ANSWERED)
        return send_answer(r);
    r->suspended = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why)
{
    (void)connection;
    (void)why;
    struct http_server *s = arg;
    struct http_request *r = *context;
    if (r == NULL)
        return;
    if (r->socket != NULL)
        r->socket->deadline_ms = clock_mono_ms() + s->idle_timeout_ms;
    DL_DELETE(s->requests, r);
    r->connection = NULL;
    r->socket = NULL;
    request_unref(r);
    *context = NULL;
}

/* ---- connections ---- */

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct connection *c = *socket_context;
        if (c != NULL)
            DL_DELETE(s->connections, c);
        mem_free(c);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = info != NULL ? mem_calloc(1, sizeof *c) : NULL;
    if (c != NULL) {
        c->fd = info->connect_fd;
        c->deadline_ms = clock_mono_ms() + s->request_timeout_ms;
        DL_APPEND(s->connections, c);
    }
    *socket_context = c; /* NULL: a connection without our deadline, but with libmicrohttpd's */
}

static void run(struct http_server *s);

static void on_again(uv_timer_t *timer)
{
    run(timer->data);
}

/* For work that epoll does not show: resumed connections, and whatever libmicrohttpd has buffered. */
static void run_soon(struct http_server *s)
{
    if (!s->closing)
        (void)uv_timer_start(&s->again, on_again, 0, 0);
}

/* Lets libmicrohttpd do what is ready, and comes back soon when it says that there is more. */
static void run(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 1;
    for (int i = 0; i < RUNS_PER_TURN; i++) {
        (void)MHD_run(s->daemon);
        if (MHD_get_timeout(s->daemon, &wait_ms) != MHD_YES || wait_ms > 0)
            return;
    }
    run_soon(s);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    int64_t now = clock_mono_ms();
    struct connection *c;
    DL_FOREACH(s->connections, c)
    {
        if (c->deadline_ms != 0 && now > c->deadline_ms) {
            c->deadline_ms = 0;
            (void)shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd notices and closes it */
        }
    }
    run(s); /* also serves its own inactivity time-outs */
}

/* ---- the server ---- */

bool http_is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

enum err_code http_parse_listen(const char *listen, char host[64], uint16_t *ret_port, struct err *err)
{
    const char *colon = strrchr(listen, ':');
    int64_t port = -1;
    if (colon == NULL || parse_i64(colon + 1, 0, 65535, &port, NULL) != ERR_OK)
        return err_set(err, ERR_INVALID, "'%.100s' is not address:port, as in 127.0.0.1:8998 or [::1]:8998",
                       listen);
    const char *start = listen;
    size_t n = (size_t)(colon - listen);
    if (n >= 2 && listen[0] == '[' && colon[-1] == ']') {
        start++;
        n -= 2;
    }
    char text[64];
    struct in6_addr address;
    if (n >= sizeof text)
        n = 0;
    memcpy(text, start, n);
    text[n] = '\0';
    if (strcmp(text, "localhost") == 0)
        (void)snprintf(text, sizeof text, "127.0.0.1");
    if (inet_pton(AF_INET, text, &address) != 1 && inet_pton(AF_INET6, text, &address) != 1)
        return err_set(err, ERR_INVALID,
                       "'%.100s' is not address:port: the address must be numeric, as in "
                       "127.0.0.1:8998, 0.0.0.0:8998 or [::1]:8998",
                       listen);
    memcpy(host, text, sizeof text);
    *ret_port = (uint16_t)port;
    return ERR_OK;
}

static socklen_t make_address(const char *host, uint16_t port, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    (void)inet_pton(AF_INET6, host, &v6->sin6_addr); /* checked by http_parse_listen */
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
}

/* A listening socket, and its address with the real port as text. */
static enum err_code open_listener(const char *listen_text, char address[96], int *ret_fd, struct err *err)
{
    char host[64];
    uint16_t port = 0;
    if (http_parse_listen(listen_text, host, &port, err) != ERR_OK)
        return err->code;
    struct sockaddr_storage where;
    socklen_t size = make_address(host, port, &where);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, errno, "making a socket");
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a restart must not wait */
    if (bind(fd, (struct sockaddr *)&where, size) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&where, &size) != 0) {
        err_sys(err, errno, "listening on %s", listen_text);
        (void)close(fd);
        return err->code;
    }
    bool v6 = where.ss_family == AF_INET6;
    port = ntohs(v6 ? ((struct sockaddr_in6 *)&where)->sin6_port : ((struct sockaddr_in *)&where)->sin_port);
    (void)snprintf(address, 96, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", port);
    *ret_fd = fd;
    return ERR_OK;
}

/* Addresses are decoded by the router, which sees them whole; libmicrohttpd must not touch them. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

__attribute__((format(printf, 2, 0))) static void drop_log(void *arg, const char *fmt, va_list ap)
{
    (void)arg;
    char text[256];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd", LOG_S("says", text));
}

static enum err_code start_daemon(struct http_server *s, const struct http_options *options, int fd,
                                  struct err *err)
{
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_access, s,
        MHD_OPTION_EXTERNAL_LOGGER, drop_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        options->connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(options->idle_timeout_ms / 1000 + 1),
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (s->daemon == NULL) {
        (void)close(fd);
        return err_set(err, ERR_INTERNAL, "libmicrohttpd does not start");
    }
    return ERR_OK;
}

static void start_handles(struct http_server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    (void)uv_poll_init(s->loop, &s->poll, info->epoll_fd); /* these four fail only on bad arguments */
    (void)uv_timer_init(s->loop, &s->again);
    (void)uv_timer_init(s->loop, &s->sweep);
    s->poll.data = s->again.data = s->sweep.data = s;
    s->open_handles = 3;
    (void)uv_poll_start(&s->poll, UV_READABLE, on_ready);
    (void)uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

static enum err_code check_base_path(const char *path, struct err *err)
{
    size_t n = strlen(path);
    if (n == 0 || (path[0] == '/' && path[n - 1] != '/'))
        return ERR_OK;
    return err_set(err, ERR_INVALID,
                   "server.base_path is '%.100s'; it must begin with / and not end with it, as in /hearth",
                   path);
}

enum err_code http_server_new(uv_loop_t *loop, const struct http_options *options, struct http_server **ret,
                              struct err *err)
{
    if (check_base_path(options->base_path, err) != ERR_OK)
        return err->code;
    struct http_server *s = mem_calloc(1, sizeof *s);
    if (s == NULL || (s->base_path = mem_strdup(options->base_path)) == NULL) {
        mem_free(s);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    s->loop = loop;
    s->body_limit = options->body_limit;
    s->request_timeout_ms = options->request_timeout_ms;
    s->idle_timeout_ms = options->idle_timeout_ms;
    s->security_headers = options->security_headers;
    int fd = -1;
    enum err_code rc = open_listener(options->listen, s->address, &fd, err);
    if (rc == ERR_OK)
        rc = start_daemon(s, options, fd, err);
    if (rc != ERR_OK) {
        mem_free(s->base_path);
        mem_free(s);
        return rc;
    }
    start_handles(s);
    *ret = s;
    return ERR_OK;
}

void http_mount(struct http_server *s, const struct http_route *routes, size_t n, void *arg)
{
    if (s->n_mounts < HTTP_MOUNTS_MAX)
        s->mounts[s->n_mounts++] = (struct mount){routes, n, arg};
}

void http_set_filter(struct http_server *s, http_filter *filter, void *arg)
{
    s->filter = filter;
    s->filter_arg = arg;
}

const char *http_server_address(const struct http_server *s)
{
    return s->address;
}

const char *http_server_base_path(const struct http_server *s)
{
    return s->base_path;
}

/* libmicrohttpd does not stop while connections are suspended: they are woken to find it closing. What
 * was answered before goes out. */
static void wake_suspended(struct http_server *s)
{
    struct http_request *r;
    DL_FOREACH(s->requests, r)
    {
        if (r->suspended)
            MHD_resume_connection(r->connection);
        r->suspended = false;
    }
    for (int i = 0; i < RUNS_PER_TURN; i++)
        (void)MHD_run(s->daemon);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    if (--s->open_handles > 0)
        return;
    MHD_stop_daemon(s->daemon);
    mem_free(s->base_path);
    mem_free(s);
}

void http_server_close(struct http_server *s)
{
    if (s == NULL || s->closing)
        return;
    s->closing = true;
    wake_suspended(s);
    uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    uv_close((uv_handle_t *)&s->again, on_handle_closed);
    uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
}
