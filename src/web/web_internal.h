/* What the files of this module share. */
#ifndef HEARTH_WEB_WEB_INTERNAL_H
#define HEARTH_WEB_WEB_INTERNAL_H

#include "base/err.h"
#include "base/json.h"
#include "loop/http.h"
#include "scheduler/scheduler.h"
#include "web/schedules.h"

/* ---- answers.c ---- */

/* {"msg": text}; printf form. */
void web_reply_msg(struct http_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the status and the words of an error. */
void web_reply_error(struct http_request *r, const struct err *err);
/* An instant as RFC 3339; null for the values that stand for none. */
void web_write_time(struct json_out *out, const char *key, int64_t wall_ms);
/* Parameters of the query; what is not given stays. False: it was answered (400). */
bool web_query_int(struct http_request *r, const char *name, int64_t min, int64_t max, int64_t *value);
bool web_query_instant(struct http_request *r, const char *name, int64_t *ret_ms);

/* ---- schedule_views.c: how schedules and fires look on the wire ---- */

/* The members of a schedule, without the enclosing braces. `viewable`: also what it runs. */
void view_schedule(struct json_out *out, const struct schedule_view *schedule, bool viewable);
/* `viewable`: also the reason, which may have words of the program's output. */
void view_fire(struct json_out *out, const char *key, const struct fire_view *fire, bool viewable);

/* ---- schedules.c ---- */

struct schedules {
    struct schedules_options options;
};

struct asking;
typedef void asking_found(struct asking *a, const struct schedule_view *schedule);

/* A request about schedules, from its arrival to its answer. */
struct asking {
    struct schedules *door;
    struct http_request *request;
    const char *user;    /* whose rights count; borrowed from the request */
    bool to_modify;      /* the right that is needed; without it everybody may ask */
    bool unreadable_too; /* a stored schedule that is not readable will do */
    /* Called with the schedule of the path; takes over the asking. */
    asking_found *found;
    int64_t id;
    bool viewable;                        /* this user may see what it runs */
    int status;                           /* of an answer that shows the schedule */
    int64_t changed_ms;                   /* of what it shows: its ETag */
    int64_t if_match;                     /* the changed_ms that a change demands, or 0 */
    int looks;                            /* at what is there, before it is replaced */
    int64_t before, from_ms, to_ms, size; /* what the query said */
    struct buf body;
    struct json_out out;
};

/* NULL: it was answered. */
struct asking *asking_new(struct schedules *d, struct http_request *r);
void asking_free(struct asking *a);
/* Answers with an error, and frees. */
void asking_fail(struct asking *a, const struct err *err);
/* Answers with what is in the body, and frees. */
void asking_answer(struct asking *a, int status);
/* Reads the path's {id} and goes on with `found`, or answers (400, 403, 404). */
void asking_find(struct asking *a);
/* Answers with the schedule a->id as it is now, and frees. */
void asking_show(struct asking *a, int status);

/* ---- schedule_changes.c ---- */

void schedule_create(struct http_request *r, void *door);
void schedule_replace(struct http_request *r, void *door);
void schedule_delete(struct http_request *r, void *door);
void schedule_pause(struct http_request *r, void *door);
void schedule_resume(struct http_request *r, void *door);
void schedule_run(struct http_request *r, void *door);

#endif
