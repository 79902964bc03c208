/*
 * Interactive sessions: drivers that run pieces of code for as long as somebody asks.
 *
 * A session is an application of kind APP_SESSION (app/app.h), whose driver is hearth's agent (agent/), a
 * Python program that starts the JVM, hosts the interpreters and connects back over the link (link.h).
 * What it was asked to run are its items:
 *
 *   statement   code in one of the session's languages; one at a time, in the order of ids, from 0
 *   job         a serialized function of Livy's programmatic API; beside the statements, ids from 1
 *
 *               the agent began                  result
 *   waiting ───────────────────────► running ───────────────► available, failed (jobs)
 *      │ cancel                         │ cancel
 *      ▼                                ▼        result
 *   cancelled ◄───────────────────── cancelling ────────────► cancelled
 *
 * Invariants
 *   1  An item is answered after it is on disk, and sent to the agent only then.
 *   2  The agent keeps a result until it is on disk here; it runs an id once, however often it is sent. So
 *      every accepted item has exactly one result, whenever the server is killed.
 *   3  Only items that wait or run, and a few of the newest results, are in memory.
 *   4  A session with an item that waits or runs is busy, and busy is never idle.
 *
 * Lifetime   sessions_open() .. sessions_stop(), then sessions_free(); inside the life of its apps. A
 *            `struct session` is valid until control returns to the loop.
 * Thread     loop thread only.
 */
#ifndef HEARTH_SESSION_SESSION_H
#define HEARTH_SESSION_SESSION_H

#include "app/app.h"
#include "base/err.h"
#include "base/settings.h"
#include "base/strs.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum session_state {
    SESSION_STARTING,      /* waits for room, or the driver comes up */
    SESSION_IDLE,          /* ready, nothing to run */
    SESSION_BUSY,          /* an item waits or runs */
    SESSION_SHUTTING_DOWN, /* asked to end */
    SESSION_ERROR,         /* its interpreter process died by itself */
    SESSION_DEAD,          /* its driver ended, or never came up */
    SESSION_KILLED,        /* killed in the cluster */
    SESSION_STATES
};

const char *session_state_name(enum session_state state); /* Livy's words: "shutting_down", … */
bool session_state_is_end(enum session_state state);
/* The first spelling of a kind ("scala" is "spark"): spark, pyspark, sparkr, sql, shared; NULL: no kind. */
const char *session_kind_find(const char *word);

struct sessions; /* the collection; opaque */
struct session;  /* opaque */

struct sessions_options {
    uv_loop_t *loop;
    struct store *store;
    struct apps *apps;
    const struct spark *spark; /* NULL: none was found */
    const struct settings *settings;
    const char *state_dir;
};

/* Listens for agents and takes up the sessions that live. After apps_open(), before the loop runs. */
enum err_code sessions_open(const struct sessions_options *options, struct sessions **ret, struct err *err);
/* Tells everybody who waits that the server stops; to be called with apps_stop(). */
void sessions_stop(struct sessions *sessions); /* NULL is fine */
void sessions_free(struct sessions *sessions); /* once the loop has run empty; NULL is fine */

/* ---- sessions ---- */

struct session_request {
    const char *owner, *proxy_user; /* or NULL */
    const char *kind;               /* as session_kind_find() gives it */
    /* Spark's side of it; `file`, class and arguments are not looked at, its name is the session's. */
    const struct spark_submission *submission;
    const char *asked;           /* JSON object: what the door wants to show again; kept unchanged */
    int64_t idle_timeout_ms;     /* without activity; 0: the setting sessions.idle_timeout */
    int64_t ttl_ms;              /* since creation; 0: the setting sessions.ttl */
    int64_t heartbeat_ms;        /* without a request that names it; 0: none */
    const struct store_key *key; /* or NULL */
    bool warm;                   /* no session yet: a driver that stands ready (this module's own) */
    const char *profile;         /* which one; NULL for others */
};

/* As apps_submit(); also ERR_INVALID for a kind that cannot run here (sparkr without R or SparkR, with the
 * reason) and for the cluster deploy mode. A warm driver that fits is taken, if there is one. */
enum err_code sessions_create(struct sessions *sessions, const struct session_request *request,
                              apps_submit_cb *done, void *arg, struct err *err);

/* The session of an application of kind APP_SESSION; never NULL for one that is listed. */
struct session *session_of(struct sessions *sessions, const struct app *app);

struct session_info {
    const struct app_info *app;
    enum session_state state;
    const char *kind;
    const char *asked;                             /* JSON object, as it was given */
    int64_t idle_timeout_ms, ttl_ms, heartbeat_ms; /* in force; 0: none */
    int64_t last_activity_ms;                      /* wall time */
    const char *spark_version, *scala_version;     /* of its driver, or NULL until known */
    int64_t statements;                            /* accepted so far */
    bool warm_start;                               /* it was given a driver that stood ready */
};
/* Valid until control returns to the loop. */
struct session_info session_info(const struct session *session);
enum session_state session_state(const struct session *session);

/* Some request named it: puts off the end by heartbeat. */
void session_touch(struct session *session);
/* Somebody works with it: puts off the end by idleness, and touches it. */
void session_note_activity(struct session *session);

/* Ends the driver and keeps the session listed as dead. done: the wish is on disk. */
void session_stop(struct session *session, const char *reason, app_done_cb *done, void *arg);
/* Ends the driver and takes the session off the list at once; record, items and output stay until they are
 * retired. done: it is off the list, on disk; the driver ends in the background. */
void session_delete(struct session *session, const char *reason, app_done_cb *done, void *arg);

/* ---- items ---- */

enum item_type { ITEM_STATEMENT, ITEM_JOB, ITEM_TYPES };

enum item_state {
    ITEM_WAITING,
    ITEM_RUNNING,
    ITEM_CANCELLING,
    ITEM_AVAILABLE,
    ITEM_CANCELLED,
    ITEM_FAILED, /* a job that raised; statements tell of errors in their output */
    ITEM_STATES
};
const char *item_state_name(enum item_state state); /* "waiting", …, "available", "failed" */
bool item_state_is_end(enum item_state state);

struct item_view {
    int64_t id;
    enum item_state state;
    const char *kind;
    const char *request; /* the statement's code, the job's base64 */
    /* JSON object, NULL until there is one. A statement's: Livy's output. A job's: {"result":…,"error":…},
     * each text or null. */
    const char *output;
    double progress;                              /* 0 to 1; only grows */
    int64_t created_ms, started_ms, completed_ms; /* wall time; 0: not yet */
};

/* Everything in `item` is borrowed for the time of the call; NULL when err says why. */
typedef void session_item_cb(const struct err *err, const struct item_view *item, void *arg);
typedef void session_items_cb(const struct err *err, const struct item_view *items, size_t n, int64_t total,
                              void *arg);

/* Refuses at once (done is not called) with ERR_CONFLICT "Session is in state …" when the session cannot take
 * it: statements need idle or busy, jobs may come while it starts. done: it is on disk. The session's
 * activity. `kind` of a statement: one of spark, pyspark, sparkr, sql; of a job: its type as it was sent. */
enum err_code session_submit(struct session *session, enum item_type type, const char *kind,
                             const char *request, const struct store_key *key, session_item_cb *done,
                             void *arg, struct err *err);
/* done may be called at once. ERR_NOT_FOUND: no such item. */
void session_read_item(struct session *session, enum item_type type, int64_t id, session_item_cb *done,
                       void *arg);
/* Items from..from+size-1 in ascending or descending order of id (size < 0: all that follow). */
void session_read_items(struct session *session, enum item_type type, int64_t from, int64_t size,
                        bool descending, session_items_cb *done, void *arg);
/* The same from the store alone, for sessions that are not listed any more. */
void sessions_read_items(struct sessions *sessions, int64_t session, enum item_type type, int64_t from,
                         int64_t size, bool descending, session_items_cb *done, void *arg);
/* Nothing happens when it has ended or does not exist. Activity. */
void session_cancel(struct session *session, enum item_type type, int64_t id);
/* Cancels all statements that wait or run. Activity. */
void session_interrupt(struct session *session);

/* ---- questions to the driver: answered by it, lost when it or the server ends meanwhile ---- */

typedef void session_completion_cb(const struct err *err, const struct strlist *candidates, void *arg);
/* Refuses at once with ERR_CONFLICT "Session is in state …" unless it is idle or busy. Activity. */
enum err_code session_complete(struct session *session, const char *kind, const char *code, int64_t cursor,
                               session_completion_cb *done, void *arg, struct err *err);

/* `what`: "file", "pyfile" or "jar". done: the driver has it, or says why not (ERR_INVALID). While the
 * session starts it waits; ERR_CONFLICT when it has ended. Activity. */
enum err_code session_add(struct session *session, const char *what, const char *uri, app_done_cb *done,
                          void *arg, struct err *err);

/* ---- following ---- */

struct session_watcher {
    /* item: the statement that changed, NULL: the session's state did. On an end it is called once more with
     * `over`, after which the watcher is free. */
    void (*on_event)(struct session *session, const struct item_view *item, bool over, void *arg);
    void *arg;
    struct session_watcher *prev, *next;
    struct session *session; /* NULL: not watching */
};
void session_watch(struct session *session, struct session_watcher *watcher);
void session_unwatch(struct session_watcher *watcher); /* fine when it does not watch */

/* Where files are kept that were uploaded to it; made by whoever needs it, removed when its driver has ended.
 * The caller frees it; NULL: out of memory. */
char *session_upload_folder(const struct session *session);

/* ---- for the operator ---- */

struct sessions_summary {
    size_t starting, idle, busy, warm; /* warm: drivers that stand ready */
    size_t connected;                  /* agents on the link */
};
struct sessions_summary sessions_summary(const struct sessions *sessions);

#endif
