/* What the files of the Livy door share. */
#ifndef HEARTH_LIVY_LIVY_INTERNAL_H
#define HEARTH_LIVY_LIVY_INTERNAL_H

#include "base/json.h"
#include "livy/livy.h"

#include <openssl/sha.h>
#include <uthash.h>

struct ready; /* ready.c */

struct livy {
    uv_loop_t *loop;
    struct http_server *server;
    struct apps *apps;
    struct sessions *sessions;
    const struct settings *settings;
    struct door *door;
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
/* A bare JSON string: what Livy answers to a body it cannot read, and to a few things it does not find. */
void livy_reply_text(struct http_request *r, int status, const char *text);
void livy_reply_unreadable(struct http_request *r, const struct err *err);
void livy_reply_empty(struct http_request *r, int status);
/* Takes the buffer's memory. */
void livy_reply_json(struct http_request *r, int status, struct buf *body);

/* The body as JSON, which the caller drops; NULL: it was answered (400). */
json_t *livy_read_body(const struct livy *l, struct http_request *r);
/* A 32-bit integer of the query, or of the nth {…} of the path. False: it was answered (400). */
bool livy_query_int(struct http_request *r, const char *name, int64_t *value);
bool livy_param_int(struct http_request *r, unsigned n, int64_t *value);

/* The user whose rights count (door_effective_user()). False: it was answered (403). */
bool livy_effective_user(const struct livy *l, struct http_request *r, const char **ret_user);

enum right { RIGHT_NONE, RIGHT_VIEW, RIGHT_MODIFY };

/* The application of the path's {id}, by number or name, when the right to it is there; NULL: it was
 * answered, or will be (404, 400, 403). */
struct app *livy_find(struct livy *l, struct http_request *r, enum app_kind kind, enum right right);
/* The same for a session; it counts as a request that names it. */
struct session *livy_find_session(struct livy *l, struct http_request *r, enum right right);
/* 404 for an application that is not listed (any more), telling when and why it went. */
void livy_reply_gone(struct livy *l, struct http_request *r, enum app_kind kind, int64_t id);

/* ---- request.c: what the creation of batches and of sessions have in common ---- */

/* Gives the completed request to the core, which calls done unless an error is returned. */
typedef enum err_code creation_hand_over(struct livy *l, const struct program_request *p, const char *owner,
                                         const struct store_key *key, apps_submit_cb *done, void *arg,
                                         struct err *err);
/* Checks what was read, makes Spark's configuration of it, hands it over and answers. */
void creation_run(struct livy *l, struct http_request *r, struct program_request *p,
                  creation_hand_over *hand_over);
/* 400 "Rejected, Reason: …", or the status of another error. */
void creation_reply_rejected(struct http_request *r, const struct err *err);

/* The request's Idempotency-Key, when it has one. */
struct request_key {
    bool given;
    struct store_key key; /* borrows from the request and from digest */
    char digest[2 * SHA256_DIGEST_LENGTH + 1];
};
/* False: it was answered. The struct must stay where it is. */
bool request_key_read(struct http_request *r, struct request_key *key);
const struct store_key *request_key_of(const struct request_key *key); /* NULL: none was given */

/* ---- ready.c: answers that are ready to be sent again ---- */

struct ready *ready_new(void);
void ready_free(struct ready *ready);
/* A new reference to the answer for key at this revision, or NULL. */
struct http_answer *ready_get(struct ready *ready, const char *key, uint64_t revision);
/* Keeps a reference; an answer of another revision, or another one in the same place, goes. */
void ready_put(struct ready *ready, const char *key, uint64_t revision, struct http_answer *answer);

/* ---- views.c: how applications look on the wire ---- */

/* How much is shown: what everybody may see; also the words of its output in `reason` and `diagnosis`;
 * also its last lines; all of that, but the log as it is in the first answer, two headings. */
enum view { VIEW_PUBLIC, VIEW_WORDS, VIEW_LOG, VIEW_NEW };
/* Which keys of a session: hearth's too, Livy's, those that every version of Livy's Java client knows. */
enum keys { KEYS_ALL, KEYS_LIVY, KEYS_OLDEST };

/* The keys of a batch or session, without the enclosing braces. */
void view_keys(struct livy *l, struct json_out *out, const struct app *app, enum view view, enum keys keys);
const char *view_state(struct livy *l, const struct app *app); /* Livy's word for the state */
const char *view_state_of_row(const struct store_app *row);
void view_time(struct json_out *out, const char *key, int64_t wall_ms); /* null when 0 */
/* NULL: whatever the view does not show. */
const char *view_reason(const struct app_info *info, enum view view);
void view_app_info(struct json_out *out, const struct app_info *info, enum view view);
/* The last lines of a log that consists of two parts; `lines_in_first`: in which of them its lines stand. */
void view_tail(struct json_out *out, const struct app_info *info, enum view view, bool lines_in_first);
/* The keys about its life that hearth adds. */
void view_life(struct json_out *out, const struct app *app, enum view view);

void views_reply_app(struct livy *l, struct http_request *r, struct app *app, enum view view, enum keys keys);
void views_reply_state(struct livy *l, struct http_request *r, const struct app *app);
void views_reply_list(struct livy *l, struct http_request *r, enum app_kind kind);
void views_reply_created(struct livy *l, struct http_request *r, const struct app *app);

/* ---- session_views.c ---- */

void view_session_keys(struct livy *l, struct json_out *out, const struct app *app, enum view view,
                       enum keys keys);
/* Which of Livy's keys the client of this request knows. */
enum keys view_keys_for(const struct http_request *r);
void view_statement(struct json_out *out, const struct item_view *item);

/* ---- values.c: values of requests in the forms that Livy's clients send (no state) ---- */

/* "30m": digits and a unit us, ms, s, m, min, h or d; none is ms. ERR_INVALID with Livy's words. */
enum err_code value_timeout(const char *text, int64_t *ret_ms, struct err *err);
/* The field `kind`, under any of a kind's names; absent or null leaves *ret as it was. */
void value_read_kind(struct json_in *in, const char **ret);
bool value_is_base64(const char *text); /* with padding, not empty */
/* The part of an uploaded file's name that is used: what stands behind the last slash. ERR_INVALID when that
 * is no name for a file. */
enum err_code value_file_name(const char *sent, const char **ret, struct err *err);
void value_unix_lines(char *text); /* CR LF becomes LF, in place */
/* The window of a list as Livy cuts it: what lies before 0 is left out. `size` is not looked at unless it was
 * given; afterwards negative means all. */
void value_window(int64_t *from, int64_t *size, bool size_given);
bool value_is_descending(const char *order); /* NULL is fine */

/* ---- logs.c, records.c ---- */

void logs_reply(struct livy *l, struct http_request *r, const struct app *app); /* a page in Livy's form */
void logs_reply_record(struct livy *l, struct http_request *r, enum app_kind kind);

/* Something below /hearth that is listed, or known by its row alone, with the right to view it. */
struct record {
    enum app_kind kind;
    int64_t id;
    const struct app *app;       /* NULL: not listed any more */
    const struct store_app *row; /* NULL: listed, and nobody needs it */
    const struct store_note *notes;
    unsigned n_notes;
};
typedef void record_cb(struct livy *l, struct http_request *r, const struct record *record);
/* Calls `found` once, perhaps at once, unless it answers itself (404, 403). */
void record_find(struct livy *l, struct http_request *r, enum app_kind kind, bool with_row, record_cb *found);
void record_reply(struct livy *l, struct http_request *r, enum app_kind kind);
/* Answers a kill: 200 once the wish is on disk. An app_done_cb. */
void record_killed(const struct err *err, void *request);

/* ---- what sessions are asked, by the rows at the foot of sessions.c ---- */

/* False: the session's driver is gone, and that was answered (400). */
bool session_require_active(struct http_request *r, const struct session *session);

void batches_create(struct http_request *r, void *arg);  /* batch_create.c */
void sessions_post(struct http_request *r, void *arg);   /* session_create.c */
void statements_post(struct http_request *r, void *arg); /* statements.c */
void statements_list(struct http_request *r, void *arg);
void statement_get(struct http_request *r, void *arg);
void statement_cancel(struct http_request *r, void *arg);
void statement_complete(struct http_request *r, void *arg);
void statements_list_record(struct http_request *r, void *arg);
void jobs_post(struct http_request *r, void *arg); /* jobs.c */
void job_get(struct http_request *r, void *arg);
void job_cancel(struct http_request *r, void *arg);
void files_add(struct http_request *r, void *arg); /* uploads.c */
void pyfiles_add(struct http_request *r, void *arg);
void jars_add(struct http_request *r, void *arg);
void files_upload(struct http_request *r, void *arg);
void pyfiles_upload(struct http_request *r, void *arg);
void jars_upload(struct http_request *r, void *arg);
void session_follow(struct http_request *r, void *arg); /* events.c */

#endif
