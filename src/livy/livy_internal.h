/* What the files of the Livy door share. */
#ifndef HEARTH_LIVY_LIVY_INTERNAL_H
#define HEARTH_LIVY_LIVY_INTERNAL_H

#include "base/json.h"
#include "livy/livy.h"

#include <uthash.h>

struct access; /* access.c */
struct ready;  /* views.c: answers that are ready to be sent again */

struct livy {
    uv_loop_t *loop;
    struct http_server *server;
    struct apps *apps;
    const struct settings *settings;
    char *default_fs;            /* "hdfs://namenode:8020"; NULL: the local file system */
    bool local_files_everywhere; /* no spark.local_dirs and nobody but this machine can ask */
    struct access *access;
    struct ready *ready;
};

/* ---- livy.c: answers that all share ---- */

/* {"msg": text} with the status of the code. */
void livy_reply_error(struct http_request *r, const struct err *err);
/* {"msg": text}; printf form. */
void livy_reply_msg(struct http_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* 403 with {}: no right, as Livy says it. */
void livy_reply_forbidden(struct http_request *r);
/* A bare JSON string: what Livy answers to a body it cannot read. */
void livy_reply_unreadable(struct http_request *r, const struct err *err);
/* Takes the buffer's memory. */
void livy_reply_json(struct http_request *r, int status, struct buf *body);
/* The application of the path's {id}, by number or name; NULL: it was answered (404, 400). */
struct app *livy_find(struct livy *l, struct http_request *r);
/* The same, with the right to see its log, or to change it; NULL: it was answered (also 403). */
struct app *livy_find_viewable(struct livy *l, struct http_request *r);
struct app *livy_find_modifiable(struct livy *l, struct http_request *r);
/* A 32-bit integer of the query. False: it was answered (400). */
bool livy_query_int(struct http_request *r, const char *name, int64_t *value);

/* ---- access.c: who may what ---- */

enum err_code access_new(uv_loop_t *loop, const struct settings *settings, struct access **ret,
                         struct err *err);
void access_free(struct access *a);
bool access_filter(struct http_request *r, void *access);
/* The user whose rights count for this request (doAs or the remote user; NULL: may do everything).
 * False: it was answered (403). */
bool access_effective_user(const struct access *a, struct http_request *r, const char **ret_user);
bool access_may_view(const struct access *a, const char *user, const struct app_info *info);
bool access_may_view_row(const struct access *a, const char *user, const struct store_app *row);
bool access_may_modify(const struct access *a, const char *user, const struct app_info *info);
/* As whom a new application runs: NULL without impersonation. False: it was answered (403). */
bool access_proxy_user(const struct access *a, struct http_request *r, const char *asked,
                       const char **ret_user);

/* ---- views.c ---- */

struct ready *ready_new(void);
void ready_free(struct ready *ready);
/* How much of a batch is shown: what everybody may see; also the words of its output in `reason` and
 * `diagnosis`; also its last lines. */
enum view { VIEW_PUBLIC, VIEW_WORDS, VIEW_LOG };
/* The keys of a batch, without the enclosing braces. */
void view_batch_keys(struct json_out *out, const struct app *app, enum view view);
const char *view_state(const struct app_info *info); /* Livy's word for the state */
const char *view_state_of_row(const struct store_app *row);
void view_time(struct json_out *out, const char *key, int64_t wall_ms); /* null when 0 */
void views_reply_batch(struct livy *l, struct http_request *r, struct app *app, enum view view);
void views_reply_list(struct livy *l, struct http_request *r, int64_t from, int64_t size, const char *user);

/* ---- paths.c: which files a request may name (no state) ---- */

/* Checks one path or URI, and puts the default file system in front of a path that names none. Replaces
 * *path by a new text then. ERR_INVALID with Livy's words. */
enum err_code path_accept(const struct livy *l, char **path, struct err *err);
/* fs.defaultFS of HADOOP_CONF_DIR's core-site.xml without a slash at the end; NULL: the local one. */
char *path_default_fs(const char *hadoop_conf_dir);

/* ---- handlers ---- */

void batches_create(struct http_request *r, void *arg); /* create.c */
void batch_log(struct http_request *r, void *arg);      /* logs.c */
void record_log(struct http_request *r, void *arg);
void record_get(struct http_request *r, void *arg); /* records.c */
void record_kill(struct http_request *r, void *arg);

#endif
