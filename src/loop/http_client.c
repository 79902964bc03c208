/*
 * libcurl tells by callbacks which sockets it waits for and until when; libuv waits, and tells libcurl when
 * something has happened:
 *
 *     libuv timer, poll  ->  curl_multi_socket_action  ->  on_curl_timer, on_curl_socket  ->  libuv
 *                        ->  take_finished  ->  the callers' callbacks
 *
 * Callers' code only runs from take_finished(), never below a function of libcurl; so it may start, cancel
 * and free whatever it likes.
 */
#include "loop/http_client_internal.h"

#include "base/mem.h"
#include "loop/http.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <utlist.h>

enum {
    HEAD_MAX_BYTES = 64 * 1024, /* of an answer */
    KEPT_CONNECTIONS_MAX = 128,
    EXPECT_MS = 5000, /* how long a server may think about whether it wants a file */
};

/* A socket that libcurl waits for. */
struct poll {
    uv_poll_t handle;
    struct http_client *client;
    curl_socket_t socket;
    struct poll *prev, *next;
};

/* ---- URLs ---------------------------------------------------------------------------------- */

static bool is_loopback(char *host)
{
    size_t n = strlen(host);
    if (host[0] != '[')
        return http_is_loopback(host);
    if (n > 1 && host[n - 1] == ']')
        host[n - 1] = '\0';
    return http_is_loopback(host + 1);
}

bool http_url_is_loopback(const char *url)
{
    char *host = NULL;
    CURLU *parts = curl_url();
    bool is = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, CURLU_GUESS_SCHEME) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && is_loopback(host);
    curl_free(host);
    curl_url_cleanup(parts);
    return is;
}

char *http_url_escape(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    cleanup(buf_clear) struct buf escaped = BUF(3 * strlen(text) + 1);
    for (const char *c = text; *c != '\0'; c++)
        if (strchr(plain, *c) != NULL)
            buf_char(&escaped, *c);
        else
            buf_printf(&escaped, "%%%02X", (unsigned)(unsigned char)*c);
    return buf_steal(&escaped);
}

/* ---- results ------------------------------------------------------------------------------- */

static bool was_sent(const struct http_call *call)
{
    long bytes = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes > 0;
}

static enum err_code too_late(const struct http_call *call, struct err *err)
{
    bool sent = was_sent(call);
    return err_set(err, ERR_TIMEOUT, "no %s within %" PRId64 " ms", sent ? "whole answer" : "connection",
                   sent ? call->timeout_ms : call->connect_ms);
}

/* libcurl was told to stop by on_head() or on_body(). */
static enum err_code too_large(const struct http_call *call, struct err *err)
{
    if (call->answer.failed == ERR_NOMEM)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (call->answer.failed == ERR_OK)
        return err_set(err, ERR_TOO_LARGE, "the head of the answer is larger than %d bytes", HEAD_MAX_BYTES);
    return err_set(err, ERR_TOO_LARGE, "the answer is larger than %zu bytes", call->answer.limit);
}

static enum err_code broken(const struct http_call *call, CURLcode result, struct err *err)
{
    long errnum = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &errnum);
    if (result == CURLE_COULDNT_CONNECT && errnum != 0)
        return err_sys(err, (int)errnum, "no connection");
    const char *words = call->words[0] != '\0' ? call->words : curl_easy_strerror(result);
    return err_set(err, ERR_IO, "%s", words);
}

static enum err_code failure(const struct http_call *call, CURLcode result, struct err *err)
{
    if (call->file_trouble.code != ERR_OK) {
        *err = call->file_trouble;
        return err->code;
    }
    if (result == CURLE_OPERATION_TIMEDOUT)
        return too_late(call, err);
    if (result == CURLE_WRITE_ERROR)
        return too_large(call, err);
    if (result == CURLE_OUT_OF_MEMORY)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (result == CURLE_URL_MALFORMAT || (result == CURLE_UNSUPPORTED_PROTOCOL && !was_sent(call)))
        return err_set(err, ERR_INVALID, "that is no URL of an HTTP server, such as http://host:port/path");
    return broken(call, result, err);
}

void http_call_result(const struct http_call *call, CURLcode result, struct http_result *ret)
{
    curl_off_t uploaded = 0;
    (void)curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    *ret = (struct http_result){.sent = was_sent(call), .file_sent = uploaded > 0, .body = ""};
    if (result != CURLE_OK) {
        (void)failure(call, result, &ret->err);
        return;
    }
    long status = 0;
    char *content_type = NULL;
    char *location = NULL;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &content_type);
    (void)curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &location);
    ret->status = (int)status;
    ret->content_type = content_type;
    ret->location = location;
    ret->body = buf_cstr(&call->answer);
    ret->len = call->answer.len;
}

/* ---- the end of calls ---------------------------------------------------------------------- */

void http_call_free(struct http_call *call)
{
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    mem_free(call->file);
    buf_clear(&call->answer);
    mem_free(call);
}

/* Takes it away from libcurl; its connection is kept when its answer was whole, and closed otherwise. */
static void detach(struct http_call *call)
{
    struct http_client *c = call->client;
    (void)curl_multi_remove_handle(c->multi, call->easy); /* fails only for one that is not there */
    DL_DELETE(c->calls, call);
}

static struct http_call *call_of(CURL *easy)
{
    void *call = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
    return call;
}

static void finish(struct http_call *call, CURLcode code)
{
    struct http_result result;
    detach(call);
    http_call_result(call, code, &result);
    call->done(&result, call->arg);
    http_call_free(call);
}

/* A callback may free the client: what it points to stays until the loop has run. */
static void take_finished(struct http_client *c)
{
    int left;
    const CURLMsg *message;
    while (c->multi != NULL && (message = curl_multi_info_read(c->multi, &left)) != NULL)
        finish(call_of(message->easy_handle), message->data.result);
}

/* ---- libuv and libcurl --------------------------------------------------------------------- */

void http_client_release(struct http_client *c)
{
    if (--c->open_handles == 0)
        mem_free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
    http_client_release(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct poll *p = handle->data;
    struct http_client *c = p->client;
    mem_free(p);
    http_client_release(c);
}

static void act(struct http_client *c, curl_socket_t socket, int events)
{
    int running;
    (void)curl_multi_socket_action(c->multi, socket, events, &running); /* calls tell their own trouble */
    take_finished(c);
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket_event(uv_poll_t *handle, int status, int events)
{
    const struct poll *p = handle->data;
    int what = status < 0 ? CURL_CSELECT_ERR : 0;
    what |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    what |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    act(p->client, p->socket, what);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_client *c = arg;
    (void)multi;
    if (timeout_ms < 0)
        (void)uv_timer_stop(&c->timer); /* cannot fail */
    else
        (void)uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0); /* cannot fail */
    return 0;
}

static struct poll *new_poll(struct http_client *c, curl_socket_t socket)
{
    struct poll *p = mem_calloc(1, sizeof *p);
    if (p == NULL || uv_poll_init_socket(c->loop, &p->handle, socket) != 0) {
        mem_free(p);
        return NULL;
    }
    p->handle.data = p;
    p->client = c;
    p->socket = socket;
    DL_APPEND(c->polls, p);
    c->open_handles++;
    (void)curl_multi_assign(c->multi, socket, p); /* fails only for a socket that is not in use */
    return p;
}

static void close_poll(struct poll *p)
{
    DL_DELETE(p->client->polls, p);
    uv_close((uv_handle_t *)&p->handle, on_poll_closed);
}

/* A socket that cannot be waited for (memory is short) is left alone: its call ends when its time is over.
 * An error returned here would take all other calls along. */
static int on_curl_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *poll_of_socket)
{
    struct poll *p = poll_of_socket;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (p != NULL)
            close_poll(p);
        return 0;
    }
    if (p == NULL && (p = new_poll(arg, socket)) == NULL)
        return 0;
    int events = (what & CURL_POLL_IN) != 0 ? UV_READABLE : 0;
    events |= (what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0;
    (void)uv_poll_start(&p->handle, events, on_socket_event);
    return 0;
}

/* ---- what a call does ---------------------------------------------------------------------- */

static size_t on_head(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;
    (void)bytes;
    call->head_bytes += size * n;
    return call->head_bytes <= HEAD_MAX_BYTES ? size * n : 0; /* 0 ends the transfer */
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;
    buf_add(&call->answer, bytes, size * n);
    return call->answer.failed == ERR_OK ? size * n : 0; /* 0 ends the transfer */
}

/* As libcurl's own, but not inherited by the programs that the server starts. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)arg;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool add_header(struct http_call *call, const char *header)
{
    struct curl_slist *longer = curl_slist_append(call->headers, header);
    if (longer == NULL)
        return false;
    call->headers = longer;
    return true;
}

/* A header without a value takes one away that libcurl would add. A file is only sent to a server that wants
 * it: one that refuses in the midst of it breaks the connection, and its reason is lost. */
static bool set_headers(struct http_call *call, const char *const *headers)
{
    bool ok = add_header(call, call->file != NULL ? "Expect: 100-continue" : "Expect:") &&
              add_header(call, "Content-Type:");
    for (size_t i = 0; ok && headers != NULL && headers[i] != NULL; i++)
        ok = add_header(call, headers[i]);
    return ok && curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK;
}

/* On a kept connection that the server has closed meanwhile libcurl sends a request once more, not knowing
 * whether the first one was acted upon. What may not be done twice therefore gets a new connection,
 * which nobody uses after it. */
static bool set_request(struct http_call *call, const struct http_call_options *o)
{
    CURL *easy = call->easy;
    bool is_get = strcmp(o->method, "GET") == 0;
    bool ok = curl_easy_setopt(easy, CURLOPT_URL, o->url) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, is_get ? 0L : 1L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, is_get ? 0L : 1L) == CURLE_OK;
    if (ok && o->file == NULL && (o->body != NULL || strcmp(o->method, "POST") == 0))
        ok = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                              (curl_off_t)(o->body != NULL ? o->body_len : 0)) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, o->body != NULL ? o->body : "") == CURLE_OK;
    if (ok && o->negotiate)
        ok = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_NEGOTIATE) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_USERPWD, ":") == CURLE_OK; /* whoever the credentials name */
    if (ok)
        ok = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, o->method) == CURLE_OK;
    return ok && set_headers(call, o->headers);
}

static void set_limits(struct http_call *call, const char *url)
{
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* ends without waiting for a name server */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* "/a/../b" is for the server to understand */
    curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, (long)EXPECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_ms);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->words);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    if (http_url_is_loopback(url))
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
}

static struct http_call *new_call(struct http_client *c, const struct http_call_options *o)
{
    struct http_call *call = mem_calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->client = c;
    call->timeout_ms = o->timeout_ms;
    call->connect_ms = o->connect_ms > 0 ? o->connect_ms : o->timeout_ms;
    buf_init(&call->answer, o->answer_max);
    call->easy = curl_easy_init();
    if (call->easy == NULL || mem_set_str(&call->file, o->file) != 0 || !set_request(call, o) ||
        curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK) {
        http_call_free(call);
        return NULL;
    }
    set_limits(call, o->url);
    return call;
}

struct http_call *http_call_start(struct http_client *c, const struct http_call_options *options,
                                  http_call_cb *done, void *arg)
{
    assert(c->multi != NULL && options->timeout_ms > 0);
    struct http_call *call = new_call(c, options);
    if (call == NULL)
        return NULL;
    call->done = done;
    call->arg = arg;
    if (options->file != NULL || options->negotiate) {
        http_thread_start(call);
        return call;
    }
    if (curl_multi_add_handle(c->multi, call->easy) != CURLM_OK) {
        http_call_free(call);
        return NULL;
    }
    DL_APPEND(c->calls, call);
    return call;
}

void http_call_cancel(struct http_call *call)
{
    if (call->thread_state != NO_THREAD) {
        http_thread_cancel(call);
        return;
    }
    detach(call);
    http_call_free(call);
}

/* ---- the client ---------------------------------------------------------------------------- */

struct http_client *http_client_new(uv_loop_t *loop)
{
    struct http_client *c = mem_calloc(1, sizeof *c);
    if (c == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (c->multi = curl_multi_init()) == NULL) {
        mem_free(c);
        return NULL;
    }
    c->loop = loop;
    (void)uv_timer_init(loop, &c->timer); /* cannot fail */
    c->timer.data = c;
    c->open_handles = 1;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS_MAX);
    return c;
}

void http_client_free(struct http_client *c)
{
    struct http_call *call;
    struct http_call *next_call;
    struct poll *p;
    struct poll *next_poll;
    if (c == NULL)
        return;
    DL_FOREACH_SAFE(c->calls, call, next_call)
    http_call_cancel(call);
    DL_FOREACH_SAFE(c->waiting, call, next_call)
    http_call_cancel(call);
    (void)curl_multi_cleanup(c->multi);
    c->multi = NULL;
    DL_FOREACH_SAFE(c->polls, p, next_poll)
    close_poll(p);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
