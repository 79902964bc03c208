/*
 * What all doors have in common: who asks and what that user may do, and which files and settings a request
 * for a program may name.
 *
 * Nothing here answers a request but the filter; the doors say a refusal in the form that their clients know.
 * The words about files and settings are Livy's, whose clients match them.
 *
 * Lifetime   door_open() .. door_close(), after the server was closed.
 * Thread     loop thread only.
 */
#ifndef HEARTH_DOOR_DOOR_H
#define HEARTH_DOOR_DOOR_H

#include "app/app.h"
#include "base/json.h"
#include "base/settings.h"
#include "loop/http.h"
#include "spark/submission.h"

#include <stdbool.h>
#include <uv.h>

struct door; /* opaque */

/* ERR_INVALID: a setting that cannot be obeyed (a users file that is not readable, …). */
enum err_code door_open(uv_loop_t *loop, const struct settings *settings, struct door **ret, struct err *err);
void door_close(struct door *d); /* NULL is fine */

/* {"msg": text}, as Livy says what is wrong; with Retry-After when the status is 503. NULL: out of memory. */
struct http_answer *door_msg_answer(int status, const char *text);

/* ---- who asks ---- */

/* Authentication, CSRF protection, the list of allowed users; for http_set_filter(). */
bool door_filter(struct http_request *r, void *door);

/* The user whose rights count for this request (doAs or the remote user; NULL: may do everything).
 * ERR_DENIED: the remote user may not act for that one. */
enum err_code door_effective_user(const struct door *d, struct http_request *r, const char **ret_user,
                                  struct err *err);
/* As whom a new application runs; NULL: as the server. ERR_DENIED as above. */
enum err_code door_proxy_user(const struct door *d, struct http_request *r, const char *asked,
                              const char **ret_user, struct err *err);

bool door_may_view(const struct door *d, const char *user, const struct app_info *info);
bool door_may_view_row(const struct door *d, const char *user, const struct store_app *row);
bool door_may_modify(const struct door *d, const char *user, const struct app_info *info);
/* The same for what is no application: who made it, and as whom it runs (either may be NULL). */
bool door_may_view_owned(const struct door *d, const char *user, const char *owner, const char *proxy_user);
bool door_may_modify_owned(const struct door *d, const char *user, const char *owner, const char *proxy_user);

/* ---- which programs ---- */

/* Checks one path or URI, and puts the default file system in front of a path that names none. Replaces
 * *path by a new text then. ERR_INVALID. */
enum err_code door_accept_path(const struct door *d, char **path, struct err *err);
enum err_code door_accept_paths(const struct door *d, struct strlist *paths, struct err *err);
/* The same for each path in a value such as that of spark.jars, for all keys that hold paths. */
enum err_code door_accept_conf_paths(const struct door *d, struct strmap *conf, struct err *err);
/* ERR_INVALID names the keys that spark.denied_conf denies. */
enum err_code door_check_conf(const struct door *d, const struct strmap *conf, struct err *err);

/* What to run, as the bodies of POST /batches and POST /sessions say it. Starts as {.kind = …}. */
struct program_request {
    enum app_kind kind;
    struct spark_submission submission;
    char *proxy_user; /* as asked */
    struct strlist jars, files, archives;
    char *driver_memory, *executor_memory;
    int64_t driver_cores, executor_cores, num_executors; /* 0: not given */
};

void program_request_clear(struct program_request *p);
/* Takes the fields that say what to run, and leaves others to the caller. */
void program_request_read(struct program_request *p, struct json_in *in);
/* Checks what was read, and makes p->submission what spark-submit would be told; it runs as proxy_user (NULL:
 * as the server). ERR_INVALID. */
enum err_code door_accept_program(const struct door *d, struct program_request *p, const char *proxy_user,
                                  struct err *err);

#endif
