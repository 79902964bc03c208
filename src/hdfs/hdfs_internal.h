/*
 * What the parts of the HDFS client share.
 *
 *   hdfs.c        the client; an operation's life: tries, nodes, redirects, the end
 *   operations.c  what each operation asks, and what it takes from the answer
 *   presence.c    the question of the provisioner
 *   address.c     paths and URLs
 *   answer.c      reading answers
 */
#ifndef HEARTH_HDFS_HDFS_INTERNAL_H
#define HEARTH_HDFS_HDFS_INTERNAL_H

#include "base/buf.h"
#include "hdfs/hdfs.h"
#include "loop/http_client.h"

/* ---- addresses (address.c) ---- */

enum { HDFS_URL_MAX = 32 * 1024, HDFS_HOST_MAX = 256 };

/* ERR_INVALID: not absolute, not UTF-8, with "." or ".." in it, or longer than HDFS allows. */
enum err_code hdfs_check_path(const char *path, struct err *err);
/* Percent-encoded: all but letters, digits, "-._~", and of a path its slashes. */
void hdfs_add_path(struct buf *url, const char *path);
void hdfs_add_value(struct buf *url, const char *text);

struct hdfs_redirect {
    char host[HDFS_HOST_MAX];
    bool same_server; /* the one that redirects */
};

/* Whether a redirect may be followed: ERR_IO unless it leads to http or https, not from https to http, and
 * names no user or password. The words do not show it: it may hold a token. */
enum err_code hdfs_check_redirect(const char *from, const char *to, struct hdfs_redirect *ret,
                                  struct err *err);

/* ---- answers (answer.c) ---- */

/* Files with texts of their own. */
struct hdfs_files {
    struct hdfs_file *items;
    size_t n, cap;
};

void hdfs_files_drop(struct hdfs_files *files, size_t from); /* those from that index on */
void hdfs_files_clear(struct hdfs_files *files);

/* Each: ERR_IO when it is no such answer, ERR_NOMEM. */
enum err_code hdfs_read_status(const char *text, size_t len, struct hdfs_files *into, struct err *err);
/* One part of a folder; *ret_more: others follow behind the last of its names. */
enum err_code hdfs_read_listing(const char *text, size_t len, struct hdfs_files *into, bool *ret_more,
                                struct err *err);
enum err_code hdfs_read_boolean(const char *text, size_t len, bool *ret, struct err *err);
/* Contract of the provisioner, 5.2. */
bool hdfs_says_active(const char *text, size_t len);
bool hdfs_has_file_id(const char *text, size_t len);

/* What comes of an answer. */
enum hdfs_verdict {
    HDFS_OVER,      /* the operation is: err tells how */
    HDFS_GO_ON,     /* with the next request, to the same node or where it redirects to */
    HDFS_ELSEWHERE, /* this node cannot, now: the other one, or later */
    HDFS_BROKEN,    /* that is no WebHDFS, which waiting will not change: the other one, once */
};

/* A status of 400 and more. */
enum hdfs_verdict hdfs_read_refusal(int status, const char *text, size_t len, struct err *err);

/* ---- operations (hdfs.c) ---- */

struct operation;

struct operation_kind {
    const char *verb; /* for people: "reading" */
    const char *method;
    bool sends_file;                                               /* to where a node redirects */
    void (*add_query)(const struct operation *o, struct buf *url); /* "OPEN&offset=0" */
    enum hdfs_verdict (*take)(struct operation *o, const struct http_result *result, struct err *err);
    /* Of what a node has refused for good; NULL: that is it. */
    enum hdfs_verdict (*on_refusal)(struct operation *o, struct err *err);
    void (*tell)(const struct operation *o, const struct err *err);
    /* Of one that goes a way of its own; NULL: tries and nodes as hdfs.c does it. */
    void (*begin)(struct operation *o);
    void (*on_answer)(struct operation *o, const struct http_result *result);
};

union hdfs_cb {
    hdfs_done_cb *done;
    hdfs_file_cb *file;
    hdfs_list_cb *list;
    hdfs_data_cb *data;
    hdfs_presence_cb *presence;
};

struct operation {
    struct hdfs *hdfs;
    struct operation *prev, *next;
    const struct operation_kind *kind;
    union hdfs_cb cb;
    void *arg;
    uv_timer_t timer;    /* to begin, to begin again, to give up */
    int64_t deadline_ms; /* monotonic */
    /* what is asked */
    char *path;
    char *local_file; /* to send; NULL: none */
    int64_t offset;
    size_t max;
    bool flag;         /* whole, overwrite, recursive */
    size_t answer_max; /* bytes */
    /* the request under way */
    struct http_call *call; /* NULL: none */
    int64_t call_ms;        /* its time */
    bool no_memory;
    unsigned node;
    char *place; /* where a redirect led; NULL: the node itself */
    struct hdfs_redirect redirect;
    unsigned n_redirects;
    /* the tries so far */
    unsigned n_tries;
    bool is_broken[HDFS_NODES];     /* its last answer was: HDFS_BROKEN */
    bool uncertain;                 /* a request without an answer may have done it */
    char excluded[HDFS_HOST_MAX];   /* a DataNode that failed; "": none */
    struct err trouble[HDFS_NODES]; /* of each node, the last */
    /* the answer */
    struct hdfs_files files;
    const char *data; /* borrowed while it is told */
    size_t len;
    enum hdfs_presence presence;
};

/* An operation for this path; NULL when memory is short, and the callback will tell. It begins in the next
 * turn of the loop. */
struct operation *hdfs_start(struct hdfs *h, const struct operation_kind *kind, const char *path,
                             union hdfs_cb cb, void *arg);
/* Tells the callback, and ends it. */
void hdfs_finish(struct operation *o, const struct err *err);
int64_t hdfs_left_ms(const struct operation *o); /* at least 1 */
/* "http://node:9870/webhdfs/v1/path?op=", without the query's values. */
void hdfs_add_url(const struct operation *o, struct buf *url);
void hdfs_add_user(const struct operation *o, struct buf *url);
/* A request to the node; its answer goes to on_answer. `url` may have failed. */
void hdfs_ask(struct operation *o, const char *method, const struct buf *url, int64_t timeout_ms,
              size_t answer_max);
unsigned hdfs_n_nodes(const struct operation *o);
const char *hdfs_node_url(const struct operation *o); /* of the one that is asked */

#endif
