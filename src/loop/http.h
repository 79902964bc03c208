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
 *   stream       an answer without an end, for server-sent events; see http_reply_stream()
 *   upload       a body that goes to disk instead of memory; see http_set_uploads()
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
struct http_stream;  /* opaque */

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

/* ---- streams ---- */

/*
 * Answers with a body that goes on: status 200, chunked, never kept by caches or proxies. It takes the
 * place of http_reply(): the request is gone for the caller, who holds the stream instead. A client that
 * asked with HEAD gets the headers alone.
 *
 * on_close is called exactly once, from the loop or from http_server_close(), never from one of these
 * functions: when the client has gone (noticed within a second when it hangs up), when the end that
 * http_stream_end() asked for has been sent, or when the server closes. The stream is invalid from that
 * call on. A stream without traffic carries a comment (": keep-alive\n\n") every 15 s.
 *
 * NULL: the client has gone meanwhile, or memory is short and it is answered 503; on_close is not called.
 */
struct http_stream *http_reply_stream(struct http_request *r, const char *content_type,
                                      void (*on_close)(void *arg), void *arg);
/* Appends n bytes, at most 128 MiB. False when the stream has been ended, when memory is short, or when
 * the client is too slow: more than 1 MiB waits for it, not counting the largest piece that waits. It is
 * cut off then, and on_close follows. */
bool http_stream_send(struct http_stream *s, const char *bytes, size_t n);
/* Sends what waits, then the end. Further calls do nothing. */
void http_stream_end(struct http_stream *s);
/* Drops what waits and cuts the client off; on_close follows. */
void http_stream_cut(struct http_stream *s);
/* How many bytes wait for the client, those on their way through the system aside. */
size_t http_stream_waiting(const struct http_stream *s);

/* ---- uploads ---- */

/* A part of a multipart/form-data body. */
struct http_upload {
    const char *part;      /* the field's name */
    const char *file_name; /* as sent, not to be trusted as a path; NULL when the client sent none */
    const char *path; /* the content: a file of mode 0600, removed with the request unless renamed away */
    int64_t size;     /* bytes */
};

/* The first part of that name, valid as long as the request; NULL: the body has none, or it was not
 * multipart/form-data. Of one body the first 8 parts are kept. */
const struct http_upload *http_upload_part(const struct http_request *r, const char *part);

/* ---- the server ---- */

typedef void http_handler(struct http_request *r, void *arg);

struct http_route {
    const char *method;
    const char *path; /* "/batches/{id}/log" */
    http_handler *handler;
    const char *summary; /* for documents */
    bool upload;         /* the body is an upload: http_upload_part() has it, http_body() is empty */
};

/* Called for every request before its handler; for an upload before its body is read, so that nobody
 * fills the disk who may not. True: the filter has taken it, and answers it by http_reply() or lets it
 * through by http_pass(), now or later. */
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
/* Called for a path that no route has, in place of the answer 404 without a body. True: it has answered, or
 * will; http_pass() is not for these. */
void http_set_not_found(struct http_server *s, http_filter *on_not_found, void *arg);

struct http_upload_options {
    const char *dir; /* where parts are kept meanwhile; the server's own */
    int64_t limit;   /* bytes of one body, instead of body_limit */
};

/* Makes the folder, and removes what an earlier server left in it. Needed before a route takes uploads.
 * An upload may take longer than request_timeout_ms as long as it never stands still for that time. */
enum err_code http_set_uploads(struct http_server *s, const struct http_upload_options *options,
                               struct err *err);
/* The address that is listened on, with the real port: "127.0.0.1:8998". */
const char *http_server_address(const struct http_server *s);
const char *http_server_base_path(const struct http_server *s);
/* Splits "host:port" or "[v6]:port"; ERR_INVALID tells what is allowed. */
enum err_code http_parse_listen(const char *listen, char host[64], uint16_t *ret_port, struct err *err);
/* True for 127.0.0.0/8 and ::1. */
bool http_is_loopback(const char *host);

/* Sends the answers that were given, stops listening and closes all connections; requests still being
 * worked on keep their memory until they are answered, into the void. Streams have ended, their on_close
 * called, when it returns. */
void http_server_close(struct http_server *s);

#endif
