/*
 * The server: libmicrohttpd driven through its epoll descriptor, connections and their deadlines.
 */
#include "loop/http_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
    SWEEP_MS = 200, /* how exact the deadlines are */
    CONNECTION_MEMORY =
        144 * 1024, /* 128 KiB of request head and what stands beside it; zeroed per request */
    RUNS_PER_TURN = 16,
    STREAM_QUIET_MS = 15000,
};

/* ---- connections ---- */

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct http_connection *c = *socket_context;
        if (c != NULL)
            DL_DELETE(s->connections, c);
        mem_free(c);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_connection *c = info != NULL ? mem_calloc(1, sizeof *c) : NULL;
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
void server_run_soon(struct http_server *s)
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
    server_run_soon(s);
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
    struct http_connection *c;
    DL_FOREACH(s->connections, c)
    {
        if (c->deadline_ms != 0 && now > c->deadline_ms) {
            c->deadline_ms = 0;
            (void)shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd notices and closes it */
        }
    }
    streams_sweep(s, now);
    run(s); /* also serves its own inactivity time-outs */
}

/* ---- the server ---- */

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
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, request_on_access, s,
        MHD_OPTION_EXTERNAL_LOGGER, drop_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        options->connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(options->idle_timeout_ms / 1000 + 1),
        MHD_OPTION_URI_LOG_CALLBACK, request_on_uri, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, request_on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
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
    s->stream_quiet_ms = STREAM_QUIET_MS;
    s->security_headers = options->security_headers;
    int fd = -1;
    enum err_code rc = listen_open(options->listen, s->address, &fd, err);
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

void http_set_not_found(struct http_server *s, http_filter *on_not_found, void *arg)
{
    s->on_not_found = on_not_found;
    s->not_found_arg = arg;
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
    mem_free(s->upload_dir);
    mem_free(s->base_path);
    mem_free(s);
}

void http_server_close(struct http_server *s)
{
    if (s == NULL || s->closing)
        return;
    s->closing = true;
    wake_suspended(s);
    while (s->streams != NULL) /* their clients are too slow, or were gone before */
        stream_close(s->streams);
    uv_close((uv_handle_t *)&s->poll, on_handle_closed);
    uv_close((uv_handle_t *)&s->again, on_handle_closed);
    uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
}
