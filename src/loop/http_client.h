/*
 * An HTTP client on the loop: libcurl's multi interface, many requests at once, connections kept.
 *
 * Lifetime   http_client_new() .. http_client_free().
 * Thread     loop thread only.
 */
#ifndef HEARTH_LOOP_HTTP_CLIENT_H
#define HEARTH_LOOP_HTTP_CLIENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_client; /* opaque */
struct http_call;   /* opaque */

struct http_client *http_client_new(uv_loop_t *loop); /* NULL: out of memory */
/* Ends what is under way without callbacks. The memory goes once the loop has run. NULL is fine. */
void http_client_free(struct http_client *c);

struct http_call_options {
    const char *method;         /* "GET", "POST", "PUT", "DELETE" */
    const char *url;            /* http or https */
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    const char *body;           /* NULL: none */
    size_t body_len;
    const char *file;   /* instead of body: a file of this machine, which is read while it is sent */
    bool negotiate;     /* SPNEGO, with the Kerberos credentials of this process */
    int64_t timeout_ms; /* for the whole call */
    int64_t connect_ms; /* of these, for the connection; 0: all */
    size_t answer_max;  /* bytes of the answer's body */
};

struct http_result {
    int status;               /* 0: no answer, err tells */
    bool sent;                /* it was sent, or a part of it: without an answer it may still be acted upon */
    bool file_sent;           /* a byte of the file went out */
    const char *content_type; /* or NULL */
    const char *location;     /* of a redirect, as a whole URL; or NULL */
    const char *body;         /* NUL-terminated, never NULL */
    size_t len;
    struct err err; /* ERR_IO no connection or it broke, or the file cannot be read; ERR_TIMEOUT,
                       ERR_TOO_LARGE, ERR_INVALID a URL; the words do not name the URL */
};

typedef void http_call_cb(const struct http_result *result, void *arg);

/* The callback comes exactly once, never before return, unless the call is cancelled; it may start and cancel
 * other calls, and free the client. The options are copied. A request goes out at most once, unless its
 * method is GET. Proxies of the environment (http_proxy, no_proxy) are honoured except for loopback
 * addresses. Redirects are not followed.
 *
 * What may block, a file that is read and Kerberos that asks its server, happens on a thread of the call's
 * own: some of these at a time, the others wait, and their time begins when they do. One that is cancelled
 * keeps the loop alive until its thread has noticed, a second or so later. NULL: out of memory. */
struct http_call *http_call_start(struct http_client *c, const struct http_call_options *options,
                                  http_call_cb *done, void *arg);
/* The callback does not come any more. Not after it came. */
void http_call_cancel(struct http_call *call);

/* True when the host of the URL is this machine: proxies of the environment are meant for the world outside.
 */
bool http_url_is_loopback(const char *url);
/* Text as a segment of a URL's path, percent-encoded; the caller frees it with mem_free. NULL: out of memory.
 */
char *http_url_escape(const char *text);

#endif
