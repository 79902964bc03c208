/*
 * What the parts of the HTTP client share.
 *
 *   http_client.c         the client: libcurl on the loop
 *   http_client_thread.c  calls that may block, each on a thread
 */
#ifndef HEARTH_LOOP_HTTP_CLIENT_INTERNAL_H
#define HEARTH_LOOP_HTTP_CLIENT_INTERNAL_H

#include "base/buf.h"
#include "loop/http_client.h"

#include <curl/curl.h>
#include <stdatomic.h>

struct http_client {
    CURLM *multi; /* NULL: freed */
    uv_loop_t *loop;
    uv_timer_t timer;
    struct poll *polls;
    struct http_call *calls;   /* under way, on the loop or on threads */
    struct http_call *waiting; /* for a thread */
    unsigned n_threads;
    size_t open_handles; /* the timer, the polls and those of threads, until they are closed */
};

enum thread_state { NO_THREAD, WAITS_FOR_THREAD, HAS_THREAD };

/* While a thread runs, all from `easy` to `words` is the thread's. */
struct http_call {
    struct http_client *client;
    struct http_call *prev, *next;
    http_call_cb *done;
    void *arg;
    int64_t timeout_ms, connect_ms;
    CURL *easy;
    struct curl_slist *headers;
    size_t head_bytes;
    struct buf answer;
    char *file; /* to send; NULL: none */
    int file_fd;
    int64_t file_size;       /* bytes that are announced; it may grow while it is sent */
    int64_t file_left;       /* bytes that will still be read */
    struct err file_trouble; /* ERR_OK: none */
    CURLcode thread_result;
    char words[CURL_ERROR_SIZE];
    enum thread_state thread_state;
    bool thread_runs; /* it was made, and is not joined */
    uv_thread_t thread;
    uv_async_t thread_over;
    atomic_bool is_cancelled;
};

/* Puts it into the client's lists and, when its turn has come, to work. */
void http_thread_start(struct http_call *call);
void http_thread_cancel(struct http_call *call);

/* What became of it, `result` being what libcurl said; borrows from the call. */
void http_call_result(const struct http_call *call, CURLcode result, struct http_result *ret);
void http_call_free(struct http_call *call);
/* A handle of the client's is closed. */
void http_client_release(struct http_client *c);

#endif
