/*
 * Requests, from the request line to the end of the answer.
 *
 * request_on_uri (request line) -> request_on_access (headers, then body, then dispatch) -> http_reply ->
 * request_on_completed. While a filter or a handler is working the connection is suspended. Two
 * references keep a request: the connection's, and that of the filter or handler.
 */
#include "loop/http_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"

#include <string.h>
#include <strings.h>
#include <utlist.h>
#include <zlib.h>

static void request_unref(struct http_request *r)
{
    if (--r->refs > 0)
        return;
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        mem_free(r->found.params[i]);
    target_clear(&r->target);
    buf_clear(&r->body);
    upload_free(r->upload);
    mem_free(r->user);
    mem_free(r->method);
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

void request_suspend(struct http_request *r)
{
    r->suspended = true;
    MHD_suspend_connection(r->connection);
}

void request_resume(struct http_request *r)
{
    if (!r->suspended)
        return;
    r->suspended = false;
    MHD_resume_connection(r->connection);
    server_run_soon(r->server);
}

void http_reply(struct http_request *r, struct http_answer *answer)
{
    if (r->connection == NULL) {
        http_answer_unref(answer); /* the client has gone */
    } else {
        r->answer = answer != NULL ? answer : answer_error(503, "out of memory");
        r->stage = STAGE_ANSWERED;
        request_resume(r);
    }
    request_unref(r);
}

/* ---- from the first byte to the handler ---- */

static void begin_deadline(struct http_request *r)
{
    if (r->socket != NULL)
        r->socket->deadline_ms = clock_mono_ms() + r->server->request_timeout_ms;
}

/* While others work on the request, or libmicrohttpd's own time-out watches a reader that stands still. */
static void stop_deadline(struct http_request *r)
{
    if (r->socket != NULL)
        r->socket->deadline_ms = 0;
}

void *request_on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *s = arg;
    struct http_request *r = mem_calloc(1, sizeof *r);
    if (r == NULL)
        return NULL; /* request_on_access refuses */
    r->server = s;
    r->connection = connection;
    r->refs = 1;
    DL_APPEND(s->requests, r);
    buf_init(&r->body, s->body_limit);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    r->socket = info != NULL ? info->socket_context : NULL;
    begin_deadline(r);
    (void)target_parse(uri, s->base_path, &r->target, &r->bad); /* told when the request is complete */
    return r;
}

static enum MHD_Result send_answer(struct http_request *r)
{
    stop_deadline(r);
    if (r->server->security_headers)
        answer_add_security_headers(r->answer);
    return MHD_queue_response(r->connection, (unsigned)r->answer->status, r->answer->response);
}

static enum MHD_Result send_error(struct http_request *r, int status, const char *text)
{
    http_answer_unref(r->answer);
    r->answer = answer_error(status, text);
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

static void answer_no_route(struct http_request *r)
{
    struct http_server *s = r->server;
    struct http_answer *a;
    bool is_nowhere = r->routed == ERR_OK && r->found.allow[0] == '\0';
    if (is_nowhere && s->on_not_found != NULL && s->on_not_found(r, s->not_found_arg))
        return;
    if (r->routed == ERR_INVALID) {
        a = answer_error(400, "the address holds a bad escape: %XX with two hex digits, not %00");
    } else if (r->routed != ERR_OK) {
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
    if (r->connection == NULL) { /* the client has gone meanwhile */
        http_reply(r, NULL);
    } else if (r->stage == STAGE_FILTER) {
        r->stage = STAGE_ADMITTED;
        request_resume(r);
        request_unref(r);
    } else if (r->found.route == NULL) {
        answer_no_route(r);
    } else {
        r->found.route->handler(r, r->found.arg);
    }
}

/* Hands the request to the filter, and without one on. The reference for them is taken here. */
static void ask_filter(struct http_request *r, enum http_stage stage)
{
    struct http_server *s = r->server;
    r->refs++;
    r->stage = stage;
    stop_deadline(r);
    if (s->filter == NULL || !s->filter(r, s->filter_arg))
        http_pass(r);
}

/* What is wrong with a complete request before anybody has looked at what it means. */
static enum err_code check(struct http_request *r, struct err *err)
{
    if (r->upload != NULL)
        return upload_end(r->upload, err);
    *err = r->bad;
    const char *encoding = http_header(r, "Content-Encoding");
    if (err->code == ERR_OK && r->body.failed == ERR_OK && encoding != NULL &&
        strcasecmp(encoding, "gzip") == 0 && r->body.len > 0)
        (void)gunzip(&r->body, err);
    if (err->code == ERR_OK)
        (void)buf_check(&r->body, err);
    if (err->code == ERR_TOO_LARGE)
        (void)too_large(r->server, err);
    return err->code;
}

/* The request is complete: filter, handler. The filter has seen an upload before. */
static void dispatch(struct http_request *r)
{
    struct err err;
    enum err_code rc = check(r, &err);
    if (rc == ERR_OK && !r->is_upload) {
        ask_filter(r, STAGE_WORKING);
        return;
    }
    r->refs++;
    r->stage = STAGE_WORKING;
    stop_deadline(r);
    if (rc == ERR_OK)
        http_pass(r);
    else if (rc == ERR_NOT_FOUND)
        http_reply(r, http_answer_empty(404, HTTP_JSON));
    else
        http_reply(r, answer_error(err_http_status(rc), err.msg));
}

/* The client holds its body back until it is told to go on, so that it sees an answer at once. */
static bool awaits_continue(const struct http_request *r)
{
    const char *expect = http_header(r, "Expect");
    return expect != NULL && strcasecmp(expect, "100-continue") == 0;
}

/* libmicrohttpd stays at the headers of an upload until the filter has decided. What is refused then is
 * answered at once only when the client waits for that; else the body is read and dropped before. */
static enum MHD_Result go_on_to_upload(struct http_request *r)
{
    if (r->stage == STAGE_FILTER) {
        request_suspend(r);
        return MHD_YES;
    }
    begin_deadline(r);
    r->head_over = true;
    if (r->stage == STAGE_ANSWERED)
        return awaits_continue(r) ? send_answer(r) : MHD_YES;
    struct err err;
    r->stage = STAGE_BODY;
    enum err_code rc = upload_begin(r, &r->upload, &err);
    if (r->upload == NULL || (rc != ERR_OK && awaits_continue(r)))
        return send_error(r, err_http_status(rc), err.msg);
    return MHD_YES;
}

static enum MHD_Result begin_request(struct http_request *r, const char *method)
{
    struct http_server *s = r->server;
    const char *override = strcmp(method, "POST") == 0 ? http_header(r, "X-HTTP-Method-Override") : NULL;
    r->is_head = strcmp(method, "HEAD") == 0;
    r->method = mem_strdup(r->is_head ? "GET" : override != NULL ? override : method);
    if (r->method == NULL)
        return send_error(r, 503, "out of memory");
    if (r->bad.code == ERR_OK)
        r->routed = router_find(s->mounts, s->n_mounts, r->method, r->target.path, &r->found);
    r->is_upload = r->found.route != NULL && r->found.route->upload;
    if (r->is_upload) {
        ask_filter(r, STAGE_FILTER);
        return go_on_to_upload(r);
    }
    r->stage = STAGE_BODY;
    const char *announced = http_header(r, "Content-Length");
    int64_t length = 0;
    if (announced != NULL &&
        (parse_i64(announced, 0, INT64_MAX, &length, NULL) != ERR_OK || (uint64_t)length > s->body_limit)) {
        struct err err;
        return send_error(r, err_http_status(too_large(s, &err)), err.msg);
    }
    return MHD_YES;
}

static void take_body(struct http_request *r, const char *data, size_t n)
{
    if (r->is_upload) {
        if (r->upload != NULL && upload_take(r->upload, data, n))
            begin_deadline(r); /* it makes progress */
        return;
    }
    buf_add(&r->body, data, n); /* once too large it stays so; the rest is read and dropped */
    if (r->body.failed != ERR_OK) {
        enum err_code failed = r->body.failed;
        buf_clear(&r->body);
        r->body.failed = failed;
    }
}

enum MHD_Result request_on_access(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **context)
{
    (void)arg;
    (void)connection;
    (void)url;
    (void)version;
    struct http_request *r = *context;
    if (r == NULL || (r->server->closing && r->stage != STAGE_ANSWERED))
        return MHD_NO; /* no memory for the request itself; or nobody is there to work on it any more */
    if (r->stage == STAGE_HEADERS)
        return begin_request(r, method);
    if (r->is_upload && !r->head_over)
        return go_on_to_upload(r);
    if (*size > 0) {
        take_body(r, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (r->stage == STAGE_BODY)
        dispatch(r);
    if (r->stage == STAGE_ANSWERED)
        return send_answer(r);
    request_suspend(r);
    return MHD_YES;
}

void request_on_completed(void *arg, struct MHD_Connection *connection, void **context,
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
    if (r->stream != NULL)
        stream_close(r->stream);
    DL_DELETE(s->requests, r);
    r->connection = NULL;
    r->socket = NULL;
    request_unref(r);
    *context = NULL;
}
