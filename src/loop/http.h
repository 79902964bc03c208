/*
 * The HTTP server: libmicrohttpd on the libuv loop, with tables of routes.
 *
 * A door mounts its table; the server finds the row, reads the body up to the limit, and calls the
 * handler with a request. The handler answers by http_reply(), at once or from a later callback: a
 * request that waits is suspended and costs no thread.
 *
 *   connection   one absolute deadline at a time: for the first request line, for the rest of a
 *                request, for the silence between two; a client that is late is cut off, however
 *                busily it trickles bytes
 *   HEAD         as GET without the body
 *   405          with Allow, from the rows of that path; OPTIONS too; 404 has no body
 *
 * Lifetime   a request lives until it was answered, also when its client has gone away meanwhile.
 * Thread     loop thread only.
 */
#ifndef HEARTH_LOOP_HTTP_H
#define HEARTH_LOOP_HTTP_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_server;  /* opaque */
struct http_request; /* opaque */
struct http_answer;  /* opaque, reference counted; may be sent many times */

/* ---- answers ---- */

#define HTTP_JSON "application/json;charset=utf-8"

/* Takes the memory out of `body`. NULL when memory is short or the buffer had failed. */
struct http_answer *http_answer_new(int status, const char *content_type, struct buf *body);
/* An answer without a body. */
struct http_answer *http_answer_empty(int status, const char *content_type);
/* Adds a header; false when memory is short or the value holds a line break. */
bool http_answer_header(struct http_answer *a, const char *name, const char *value);
size_t http_answer_size(const struct http_answer *a); /* bytes of the body */
struct http_answer *http_answer_ref(struct http_answer *a);
void http_answer_unref(struct http_answer *a); /* NULL is fine */

/* ---- requests ---- */

const char *http_method(const struct http_request *r); /* HEAD shows as GET */
/* The path without query, prefix and trailing slash, as the client wrote it (still encoded). */
const char *http_path(const struct http_request *r);
/* The query as the client wrote it, "" when there is none. */
const char *http_query_text(const struct http_request *r);
/* What stood for the nth {…} of the route, percent-decoded. */
const char *http_param(const struct http_request *r, unsigned n);
/* A query parameter, decoded, or NULL; of a repeated one the first. */
const char *http_query(const struct http_request *r, const char *name);
const char *http_header(const struct http_request *r, const char *name); /* NULL when absent */
const struct buf *http_body(const struct http_request *r);               /* gzip is undone already */
/* Basic credentials (the caller frees both with mem_free), or false. */
bool http_basic_auth(struct http_request *r, char **ret_user, char **ret_password);

/* Who asks; set by the filter, NULL without authentication. */
const char *http_user(const struct http_request *r);
bool http_set_user(struct http_request *r, const char *user); /* false: out of memory */

/* Sends the answer and drops the caller's reference to it; exactly once per request. NULL means that
 * memory was short: 503. The request is gone for the caller afterwards. */
void http_reply(struct http_request *r, struct http_answer *answer);

/* ---- the server ---- */

typedef void http_handler(struct http_request *r, void *arg);

struct http_route {
    const char *method;
    const char *path; /* "/batches/{id}/log" */
    http_handler *handler;
    const char *summary; /* for documents */
};

/* Called for every request before its route is looked up. True: the filter has taken it, and answers it
 * by http_reply() or lets it through by http_pass(), now or later. */
typedef bool http_filter(struct http_request *r, void *arg);
void http_pass(struct http_request *r);

struct http_options {
    const char *listen;    /* "127.0.0.1:8998", "[::1]:8998"; port 0: any free one */
    const char *base_path; /* "" or "/prefix" */
    unsigned connections;
    size_t body_limit; /* bytes, also after gzip */
    int64_t request_timeout_ms;
    int64_t idle_timeout_ms;
    bool security_headers;
};

enum err_code http_server_new(uv_loop_t *loop, const struct http_options *options, struct http_server **ret,
                              struct err *err);
/* Rows and arg must stay valid as long as the server. */
void http_mount(struct http_server *s, const struct http_route *routes, size_t n, void *arg);
void http_set_filter(struct http_server *s, http_filter *filter, void *arg);
/* The address that is listened on, with the real port: "127.0.0.1:8998". */
const char *http_server_address(const struct http_server *s);
const char *http_server_base_path(const struct http_server *s);
/* Splits "host:port" or "[v6]:port"; ERR_INVALID tells what is allowed. */
enum err_code http_parse_listen(const char *listen, char host[64], uint16_t *ret_port, struct err *err);
/* True for 127.0.0.0/8 and ::1. */
bool http_is_loopback(const char *host);

/* Sends the answers that were given, stops listening and closes all connections; requests still being
 * worked on keep their memory until they are answered, into the void. */
void http_server_close(struct http_server *s);

#endif
