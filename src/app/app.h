/*
 * Applications: every Spark program that hearth looks after, from the accepted request to its end.
 *
 *              admission              guard: started       exit 0
 *   waiting ──────────────► launching ─────────────► running ────────► success
 *      │                        │                       │  └─────────► dead
 *      │ kill                   │ kill                  │ kill
 *      ▼                        ▼                       ▼
 *   killed ◄──────────────── stopping ◄─────────────────┘
 *
 * A door turns its request into an app_request and hands it to apps_submit(); it shows what app_info
 * holds, and changes things only through the functions below.
 *
 * Invariants
 *   1  A submission is answered after its row is on disk.
 *   2  "launching" is on disk before a guard is started; a guard never starts a second driver in a
 *      folder. So a driver is started at most once, and an accepted one is never forgotten.
 *   3  What the guard's journal tells may be in memory before it is in the store: it can be replayed.
 *   4  Waiting applications start in the order of their ids.
 *
 * Lifetime   apps_open() .. apps_stop(), then apps_free(). A `struct app` is valid until control returns
 *            to the loop.
 * Thread     loop thread only.
 */
#ifndef HEARTH_APP_APP_H
#define HEARTH_APP_APP_H

#include "base/err.h"
#include "base/settings.h"
#include "base/strs.h"
#include "cluster/drivers.h"
#include "spark/spark.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum app_kind { APP_BATCH, APP_SESSION, APP_KINDS }; /* ids count per kind, from 0 */

enum app_state {
    APP_WAITING,
    APP_LAUNCHING,
    APP_RUNNING,
    APP_STOPPING,
    APP_SUCCESS,
    APP_DEAD,
    APP_KILLED,
    APP_STATES
};

const char *app_state_name(enum app_state state); /* "waiting", … */
bool app_state_is_end(enum app_state state);
/* In which stream of its log the reason why it waited stands: with sessions it is standard output, which
 * their clients show first; a batch's standard output is its program's alone. */
bool app_note_on_stdout(enum app_kind kind);
const char *app_kind_name(enum app_kind kind); /* "batch", "session" */

/* Why and how it ended; everything that can be known without guessing. */
struct app_diagnosis {
    char *summary; /* one sentence for a person */
    int exit_code; /* -1: none (a signal, never started, unknown) */
    int signal;    /* 0: none */
    bool killed_for_memory;
    uint64_t max_memory;   /* bytes; 0: unknown */
    struct strlist errors; /* the lines of its output that tell why, oldest first */
};

/* What is known of one application. Read-only for everybody outside this module. */
struct app_info {
    enum app_kind kind;
    int64_t id;
    enum app_state state;
    char *name, *owner, *proxy_user; /* or NULL */
    char *app_id;                    /* Spark's, NULL until known */
    char *reason;                    /* why it waits or how it ended, one sentence; or NULL */
    char *file, *master, *deploy_mode;
    char *door;           /* what the door keeps with it: a JSON object, or NULL */
    char *ui_url;         /* Spark's page while it runs, or NULL */
    char *launcher_state; /* last word of Spark's launcher protocol, or NULL */
    char *driver_id;      /* of a driver that a standalone cluster runs, or NULL */
    char *worker;         /* where that runs, "host:port", or NULL */
    char *log_url;        /* page of that driver's log on its worker, or NULL */
    char *wait_note;      /* first line of its log when it had to wait, or NULL; see app_note_on_stdout() */
    bool warm;            /* stands ready for a request that has not come yet, and is not listed */
    bool gone;            /* off all lists: those who wait are woken for the last time */
    uint64_t memory;      /* bytes that admission counts */
    int64_t pid;          /* of the driver; 0: not started */
    int64_t created_ms, started_ms, ended_ms;
    struct app_diagnosis diagnosis; /* meaningful once it has ended */
    struct strlist tail;            /* last lines of its output, oldest first */
    bool tail_known;                /* false: apps_load_tails() first */
};

struct apps; /* the collection; opaque */
struct app;  /* opaque */

enum { APP_TAIL_LINES = 10 };

struct apps_options {
    uv_loop_t *loop;
    struct store *store;
    struct spark *spark; /* NULL: none was found; submissions are refused with spark_missing */
    const char *spark_missing;
    struct drivers *drivers; /* for those in cluster deploy mode on a standalone cluster */
    const struct settings *settings;
    const char *state_dir;
};

/* Reads all applications from the store and takes up those that live. */
enum err_code apps_open(const struct apps_options *options, struct apps **ret, struct err *err);
/* Lets go of every driver (they live on) and of everybody who waits. From here on nothing is found, and
 * nothing new begins; to be called after store_close(), whose last callbacks still come here. */
void apps_stop(struct apps *apps);
/* Frees everything, once the loop has run empty. NULL is fine. */
void apps_free(struct apps *apps);

/* ---- submitting ---- */

struct app_request {
    enum app_kind kind;
    const char *owner, *proxy_user; /* or NULL */
    const char *name;               /* what the application is called: unique, or NULL */
    const struct spark_submission *submission;
    const char *door;            /* JSON object to keep with it, or NULL */
    const struct store_key *key; /* or NULL */
    bool warm;                   /* a driver ahead of its request: see apps_adopt() */
    /* Written in the same transaction; at most one, and without a key: */
    const struct store_step *step;     /* the fire of a schedule that makes it, or NULL */
    const struct store_fire *launched; /* a fire that waited in state launched_from, or NULL */
    const char *launched_from;
};

/* `app` is NULL when err says why; `replayed` when the key had made it before. With ERR_CONFLICT for a
 * name `id` is the owner of that name, for a schedule or fire it is -1. */
typedef void apps_submit_cb(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg);

/* Refuses at once (returning the error; done is not called) what can never run: more memory than the
 * budget (ERR_INVALID), a full queue (ERR_BUSY), no Spark. Otherwise done is called once it is on disk
 * or could not be written. Nothing of `request` is needed after the call. */
enum err_code apps_submit(struct apps *apps, const struct app_request *request, apps_submit_cb *done,
                          void *arg, struct err *err);

/* ---- drivers of another kind of program, and drivers that stand ready ---- */

/* What a driver is started with; the builder may replace argv and env of `command`, which holds what
 * spark-submit would execute, and write files into `folder`. */
struct app_launch {
    enum app_kind kind;
    int64_t id;
    const char *folder; /* the application's; exists */
    const char *door;   /* or NULL */
    bool warm;
    const struct spark_submission *submission;
};
/* Called on worker threads. */
typedef enum err_code app_build_fn(void *arg, const struct app_launch *launch, struct spark_command *command,
                                   struct err *err);
/* For all applications of that kind; before the loop runs. */
void apps_set_builder(struct apps *apps, enum app_kind kind, app_build_fn *build, void *arg);

/* Called whenever an application has to wait for room: drivers that stand ready should make place. */
void apps_set_pressure(struct apps *apps, void (*on_pressure)(void *arg), void *arg);
/* True when a driver that needs so many bytes could start now, and nobody waits. */
bool apps_has_room(const struct apps *apps, uint64_t memory);
/* What admission would count for it, bytes. ERR_BUSY: there is no Spark. */
enum err_code apps_estimate(const struct apps *apps, const struct spark_submission *submission,
                            uint64_t *ret_memory, struct err *err);

/* Gives a warm application to the request that it was made for, which then counts as created now and is
 * listed. done as for apps_submit(); after an error, or for a key that was known, it stays warm. */
void apps_adopt(struct app *app, const struct app_request *request, apps_submit_cb *done, void *arg);

/* Calls on_app for each warm application; it may not change the collection. */
void apps_each_warm(struct apps *apps, void (*on_app)(struct app *app, void *arg), void *arg);

/* ---- looking ---- */

/* The warm ones and those that leave are not found, not counted and not listed here. */
struct app *apps_find(struct apps *apps, enum app_kind kind, int64_t id);            /* or NULL */
struct app *apps_find_name(struct apps *apps, enum app_kind kind, const char *name); /* or NULL */
size_t apps_count(const struct apps *apps, enum app_kind kind);
struct app *apps_at(struct apps *apps, enum app_kind kind, size_t index); /* ascending by id */

const struct app_info *app_info(const struct app *app);
/* What others show of it has changed: a new revision, and those who wait are woken. */
void app_changed(struct app *app);
/* 1 = next to start; 0: it does not wait. */
size_t app_queue_position(const struct app *app);
/* Numbers that grow whenever what is shown of one, or of any application of the kind, changes. */
uint64_t app_revision(const struct app *app);
uint64_t apps_revision(const struct apps *apps);
/* Its folder, with output and journal; the caller frees it. Works for forgotten ones, too. */
char *apps_folder(const struct apps *apps, enum app_kind kind, int64_t id);

/* The stored row with submission and history, of a forgotten application, too. */
void apps_read_row(struct apps *apps, enum app_kind kind, int64_t id, store_read_cb *done, void *arg);

struct apps_summary {
    uint64_t memory_budget, memory_used; /* bytes */
    size_t running, waiting, known;
};
struct apps_summary apps_summary(const struct apps *apps);
/* The memory that all drivers together may take under these settings on this machine, bytes. */
uint64_t admission_budget(const struct settings *settings);

/* Reads the tails of those applications whose tail_known is false, then calls done (once, perhaps at
 * once; an application may be gone by then, so look it up again). Tails of ended applications are
 * dropped again when they take too much memory. */
void apps_load_tails(struct apps *apps, struct app *const *list, size_t n, void (*done)(void *arg),
                     void *arg);

/* ---- waiting for a change ---- */

struct app_waiter {
    void (*on_change)(void *arg); /* called once, then the waiter is free again */
    void *arg;
    struct app_waiter *prev, *next;
    struct app *app; /* NULL: not waiting */
};

void app_wait(struct app *app, struct app_waiter *waiter);
void app_unwait(struct app_waiter *waiter); /* fine when it does not wait */

/* ---- changing ---- */

typedef void app_done_cb(const struct err *err, void *arg);

/* Ends the application and keeps it listed. done: the wish is on disk (or could not be written; the kill is
 * under way all the same). One that has ended stays as it is. */
void app_kill(struct app *app, const char *reason, app_done_cb *done, void *arg);

/* Takes it off the lists at once, and ends it in the background when it lives; its record and output stay
 * until they are retired. done: it is off the lists on disk (or could not be written, and is listed again;
 * the kill is under way all the same). */
void app_dismiss(struct app *app, const char *reason, app_done_cb *done, void *arg);

/* What its driver told of itself by another way than Spark's launcher protocol; NULL: not told. */
void app_set_spark(struct app *app, const char *app_id, const char *ui_url);
/* What is wrong while it runs, as the reason that is shown, and in its history; NULL: nothing any more. */
void app_set_trouble(struct app *app, const char *words);

/* Kills it when it lives, waits for its end, and takes it off the lists; its record and output stay
 * until they are retired. done: that is on disk. A second caller waits for the same. A driver on a cluster is
 * not waited for: app_dismiss(). */
void app_forget(struct app *app, app_done_cb *done, void *arg);

#endif
