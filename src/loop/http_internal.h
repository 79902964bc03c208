/*
 * What the parts of the HTTP server share.
 *
 *   http.c           the server: its place in the loop, connections and their deadlines
 *   http_request.c   requests, from the request line to the end of the answer
 *   http_answer.c    answers
 *   http_stream.c    answers that go on
 *   http_upload.c    bodies that go to disk
 *   http_listen.c    addresses to listen on
 *   router.c         paths, queries, routes
 */
#ifndef HEARTH_LOOP_HTTP_INTERNAL_H
#define HEARTH_LOOP_HTTP_INTERNAL_H

#include "base/strs.h"
#include "loop/http.h"

#include <microhttpd.h>

enum { HTTP_MOUNTS_MAX = 16, HTTP_PARAMS_MAX = 4 };

/* ---- routes (router.c) ---- */

struct mount {
    const struct http_route *routes;
    size_t n;
    void *arg;
};

/* The address of a request, taken apart. */
struct http_target {
    char *path;          /* without prefix, query and trailing slash; still encoded */
    char *query;         /* still encoded */
    struct strmap pairs; /* decoded query */
};

struct http_target_result {
    const struct http_route *route; /* NULL: none */
    void *arg;
    char *params[HTTP_PARAMS_MAX]; /* decoded; the caller frees them */
    char allow[64];                /* methods of the path when only the method is wrong */
};

/* ERR_INVALID for a bad escape or an encoded NUL, ERR_NOT_FOUND outside the prefix. */
enum err_code target_parse(const char *uri, const char *base_path, struct http_target *ret, struct err *err);
void target_clear(struct http_target *t);

/* ERR_NOMEM, or ERR_OK with result->route set, or NULL and `allow` filled ("" = no such path). */
enum err_code router_find(const struct mount *mounts, size_t n, const char *method, const char *path,
                          struct http_target_result *result);

/* ---- the server and what it holds ---- */

struct http_answer {
    int refs;
    int status;
    size_t size;
    struct MHD_Response *response;
};

struct http_connection {
    struct http_connection *prev, *next;
    int fd;
    int64_t deadline_ms; /* monotonic; 0: none, a request is being worked on */
};

/*
 *   HEADERS ──► BODY ──► WORKING ──► ANSWERED     the filter is asked in WORKING
 *      └─► FILTER ─► ADMITTED ─► BODY             an upload: the filter is asked before the body is read
 *
 * From each but ADMITTED an error or a filter may lead to ANSWERED.
 */
enum http_stage { STAGE_HEADERS, STAGE_FILTER, STAGE_ADMITTED, STAGE_BODY, STAGE_WORKING, STAGE_ANSWERED };

struct http_request {
    struct http_request *prev, *next; /* among those whose connection is open */
    struct http_server *server;
    struct MHD_Connection *connection; /* NULL once the connection has let go of it */
    struct http_connection *socket;
    int refs;
    enum http_stage stage;
    bool suspended;
    bool is_head;
    bool is_upload;
    bool head_over; /* libmicrohttpd has gone on from the headers to the body */
    char *method;   /* HEAD shows as GET */
    struct http_target target;
    struct err bad;       /* why the address is refused, when it is */
    enum err_code routed; /* of the search for the route */
    struct http_target_result found;
    struct buf body;
    struct upload *upload; /* NULL: none, or not begun */
    char *user;
    struct http_answer *answer;
    struct http_stream *stream; /* that the answer's body comes from */
};

struct http_server {
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t again; /* MHD has work that epoll does not show */
    uv_timer_t sweep;
    int open_handles;
    struct http_connection *connections;
    struct http_request *requests;
    struct http_stream *streams;
    struct mount mounts[HTTP_MOUNTS_MAX];
    size_t n_mounts;
    http_filter *filter;
    void *filter_arg;
    http_filter *on_not_found; /* or NULL */
    void *not_found_arg;
    size_t body_limit;
    int64_t request_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t stream_quiet_ms; /* silence after which a stream carries a comment */
    char *upload_dir;        /* NULL: uploads are not taken */
    int64_t upload_limit;    /* bytes */
    uint64_t n_uploads;      /* files made so far, which are named by it */
    bool security_headers;
    bool closing;
    char *base_path;
    char address[96];
};

/* Lets libmicrohttpd work in the next turn: for what epoll does not show. */
void server_run_soon(struct http_server *s);

/* ---- answers (http_answer.c) ---- */

/* Owns the response from here on, also on failure; NULL when memory is short (also with NULL in). */
struct http_answer *answer_wrap(int status, const char *content_type, size_t size,
                                struct MHD_Response *response);
/* {"msg": text}; NULL when memory is short. */
struct http_answer *answer_error(int status, const char *text);
void answer_add_security_headers(struct http_answer *a);

/* ---- requests (http_request.c): callbacks of libmicrohttpd ---- */

void *request_on_uri(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result request_on_access(void *server, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **context);
void request_on_completed(void *server, struct MHD_Connection *connection, void **context,
                          enum MHD_RequestTerminationCode why);
void request_suspend(struct http_request *r);
void request_resume(struct http_request *r); /* one that is not suspended is fine */

/* ---- streams (http_stream.c) ---- */

/* The stream is over: tells its owner and frees it. */
void stream_close(struct http_stream *s);
/* Looks after all streams of the server: clients that have gone, silence. */
void streams_sweep(struct http_server *s, int64_t now_ms);

/* ---- uploads (http_upload.c) ---- */

struct upload; /* one body on its way to disk */

/* Reads the headers; ERR_INVALID, ERR_TOO_LARGE, ERR_NOMEM. *ret is set in any case but ERR_NOMEM. */
enum err_code upload_begin(struct http_request *r, struct upload **ret, struct err *err);
/* Takes the next bytes of the body. After an error it drops them. False from the first error on. */
bool upload_take(struct upload *u, const char *data, size_t n);
/* The body is complete: what became of it. */
enum err_code upload_end(struct upload *u, struct err *err);
/* Removes the files that nobody has renamed; NULL is fine. */
void upload_free(struct upload *u);

/* ---- addresses (http_listen.c) ---- */

/* A listening socket, and its address with the real port as text. */
enum err_code listen_open(const char *listen_text, char address[96], int *ret_fd, struct err *err);

#endif
