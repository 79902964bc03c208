/*
 * The store: what hearth has promised, on disk.
 *
 * One interface, one database behind it (SQLite). All writing happens on one thread: every mutation
 * that waits when that thread gets to work goes into one transaction, flushed to disk once, and only
 * then are the callbacks called. A mutation that fails (a name taken, a lost race) fails alone; when
 * the disk refuses, all of that transaction fail with ERR_IO and the words of the system, and the
 * next ones are tried anew, so that the store mends itself when space returns.
 *
 * Several hearth nodes may share a database that allows it: rows carry a version, an update names the
 * version that it changes and loses with ERR_CONFLICT when that is gone; each start of a node takes
 * the next fencing number, and a node whose number is no longer the newest writes nothing any more.
 *
 * Lifetime   store_open() .. store_close(), which waits for what is under way.
 * Thread     loop thread; callbacks come on the loop thread.
 */
#ifndef HEARTH_STORE_STORE_H
#define HEARTH_STORE_STORE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct store; /* opaque */

/* One application as it is stored. Texts are borrowed for the time of the call or callback. */
struct store_app {
    const char *kind; /* "batch"; ids count per kind from 0 and are never used twice */
    int64_t id;
    int64_t version;
    const char *state;
    const char *name;
    const char *owner;
    const char *proxy_user;
    const char *app_id; /* Spark's */
    const char *reason;
    const char *submission; /* JSON; constant after the insertion */
    const char *facts;      /* JSON: whatever else is known of it */
    int64_t memory;         /* bytes that admission counts */
    int64_t pid;
    int64_t last_event; /* sequence number of the guard's journal that is in this row */
    int64_t created_ms, started_ms, ended_ms, forgotten_ms; /* wall time; 0: not yet */
};

/* A line of an application's history; written together with the row that it explains. */
struct store_note {
    int64_t at_ms;
    const char *state;
    const char *reason; /* or NULL */
};

/* A statement or a job that a session was asked to run. Texts are borrowed for the time of the call or
 * callback. */
struct store_item {
    const char *type; /* "statement": ids from 0; "job": ids from 1; per session, without gaps */
    int64_t session;  /* id of an application of kind "session" */
    int64_t id;
    const char *state;   /* a word of the session module */
    const char *kind;    /* language */
    const char *request; /* code, or the job's base64; constant after the insertion */
    const char *output;  /* JSON, or NULL */
    int64_t created_ms, started_ms, completed_ms; /* wall time; 0: not yet */
};

/* What is known of the driver-side process of a session. */
struct store_agent {
    int64_t session;
    const char *boot;   /* names the process */
    int64_t last_seq;   /* of the last durable message of it that is in the store */
    const char *facts;  /* JSON: what it told of itself; NULL: nothing yet */
    int64_t statements; /* how many its session has; only read */
};

/* An offer of Spark to clients. Texts are borrowed for the time of the call or callback. */
struct store_offer {
    const char *name;
    int64_t version;
    int64_t updated_ms; /* wall time */
    const char *units;  /* JSON */
};

/* A schedule. Texts are borrowed for the time of the call or callback. */
struct store_schedule {
    int64_t id; /* ids count from 0 and are never used twice */
    int64_t version;
    const char *group, *name; /* unique together */
    const char *owner, *proxy_user, *door;
    const char *state;    /* a word of the scheduler module */
    const char *spec;     /* JSON: what it is; constant between changes */
    const char *progress; /* JSON: how far its trigger has come */
    int64_t priority;
    int64_t due_ms; /* wall time at which it fires next; 0: it does not */
    bool steady;    /* due_ms is the end of a duration, which a clock that is set does not change */
    int64_t fires;  /* recorded so far: the number of the last one */
    int64_t created_ms, changed_ms;
};

/* One fire of a schedule. Texts are borrowed for the time of the call or callback. */
struct store_fire {
    int64_t schedule;
    int64_t number;            /* per schedule, from 1, without gaps */
    const char *cause, *state; /* words of the scheduler module */
    int64_t attempt;
    int64_t planned_ms, actual_ms, ended_ms;
    int64_t due_ms; /* of one that waits for its time: wall time; 0: it does not */
    int64_t batch;  /* id of its application; -1: none */
    int64_t missed, missed_until_ms;
    const char *reason, *token; /* or NULL */
    bool ended;
};

/*
 * A step of a schedule: a fire that begins, and what the schedule is afterwards, written together.
 * Nothing of it is written with ERR_CONFLICT: the schedule has another version by now, or is gone.
 */
struct store_step {
    /* id and version as read, fires one more; state, progress, due_ms, steady and fires are written */
    struct store_schedule schedule;
    struct store_fire fire; /* its number is schedule.fires; .schedule is not looked at */
    int64_t keep;           /* so many fires are kept; older ones that have ended go */
};

/* The folder must exist. ERR_CONFLICT: a database of a newer hearth. ERR_IO: unreadable, damaged, not
 * writable. The message tells what to do; nothing was changed. */
enum err_code store_open(uv_loop_t *loop, const char *dir, struct store **ret, struct err *err);
/* Blocks until the last mutation is on disk and told; later ones fail with ERR_BUSY. Reads under way still
 * come back. */
void store_close(struct store *s);

/* Why the last write failed, or NULL when it went well. While writing fails the store tries again every
 * second by itself. */
const char *store_trouble(const struct store *s);

/* ---- mutations; each copies what it needs ---- */

typedef void store_cb(const struct err *err, int64_t id, bool replayed, void *arg);

/* A request's key: the same user's same key finds the first application again. */
struct store_key {
    const char *user; /* "" without authentication */
    const char *key;
    const char *digest; /* of the request; another digest under the same key is ERR_MISMATCH */
};

/* Inserts with the next id of its kind and version 1; `key` may be NULL. ERR_CONFLICT: the name belongs to
 * another one of that kind that is not forgotten; `id` tells which. `replayed`: the key was known, `id`
 * is the first one's. */
void store_insert_app(struct store *s, const struct store_app *app, const struct store_note *note,
                      const struct store_key *key, store_cb *done, void *arg);

/* Gives an application that was inserted ahead of its request to that request: as store_insert_app(), but on
 * the row app->id where its version is app->version. Replaces name, owner, proxy_user, submission, facts and
 * created_ms, and makes it version + 1; the note is appended to the history. ERR_CONFLICT: the name belongs
 * to another one, `id` tells which; or, with `id` its own, the version is another. */
void store_adopt_app(struct store *s, const struct store_app *app, const struct store_note *note,
                     const struct store_key *key, store_cb *done, void *arg);

/* Writes all but kind, id, submission and created_ms, where version is app->version, and makes it
 * version + 1. Notes are appended to the history. ERR_CONFLICT when the version is another. */
void store_update_app(struct store *s, const struct store_app *app, const struct store_note *notes,
                      unsigned n_notes, store_cb *done, void *arg);

/* Removes an application, its history and its keys for good; with a session go its items, their keys, and its
 * agent. */
void store_remove_app(struct store *s, const char *kind, int64_t id, store_cb *done, void *arg);

/* Inserts with the next id of its session and type, which done is given; item->id is ignored. `key` may be
 * NULL; it counts per user, session and type, and is answered as in store_insert_app(). ERR_NOT_FOUND: there
 * is no such session. */
void store_insert_item(struct store *s, const struct store_item *item, const struct store_key *key,
                       store_cb *done, void *arg);

/* Writes in one step the row of an agent, and state, output, started_ms and completed_ms of an item; one of
 * the two may be NULL. The agent's row is made when there is none; its last_seq never falls, and its facts
 * stay when the new ones are NULL. Nothing is changed with ERR_CONFLICT: the stored agent has another boot,
 * or a message between its last one and this one is missing; and with ERR_NOT_FOUND: there is no such session
 * or item. `id` is the item's, without one the session's. */
void store_update_agent(struct store *s, const struct store_agent *agent, const struct store_item *item,
                        store_cb *done, void *arg);

/* Inserts an offer or replaces what is stored under its name; `id` is 0. ERR_CONFLICT: the stored one has a
 * higher version. */
void store_put_offer(struct store *s, const struct store_offer *offer, store_cb *done, void *arg);

/* ---- schedules and their fires ---- */

/* Inserts with the next id and version 1. ERR_CONFLICT: group and name belong to another one, `id` tells
 * which.
 */
void store_insert_schedule(struct store *s, const struct store_schedule *schedule, store_cb *done, void *arg);
/* Writes all but id, fires and created_ms where version is schedule->version, and makes it version + 1.
 * ERR_NOT_FOUND; ERR_CONFLICT: the version is another (`id` its own), or the name is taken (`id` by which).
 */
void store_update_schedule(struct store *s, const struct store_schedule *schedule, store_cb *done, void *arg);
/* Removes it with its fires. ERR_NOT_FOUND. */
void store_remove_schedule(struct store *s, int64_t id, store_cb *done, void *arg);

/* A fire that makes no application (yet). The schedule's version grows by 1. `id` is the fire's number; -1
 * after a failure. */
void store_step(struct store *s, const struct store_step *step, store_cb *done, void *arg);
/* A fire with the application that it makes: as store_insert_app() without a key, in one transaction with the
 * step. The fire is given the application's id as its batch. `id` is the application's; with ERR_CONFLICT for
 * a name it is the owner of that name, with ERR_CONFLICT for the schedule -1. */
void store_fire_app(struct store *s, const struct store_step *step, const struct store_app *app,
                    const struct store_note *note, store_cb *done, void *arg);
/* The application of a fire that waited: the fire's row is rewritten (as store_update_fire(), from state
 * `from_state` only, else ERR_CONFLICT with `id` -1; its batch is the application) in one transaction with
 * the insertion. `id` and a name that is taken: as in store_fire_app(). ERR_NOT_FOUND. */
void store_launch_fire(struct store *s, const struct store_fire *fire, const char *from_state,
                       const struct store_app *app, const struct store_note *note, store_cb *done, void *arg);
/* Rewrites state, times but planned_ms, batch, reason and ended of a fire, and, when `next` is not NULL,
 * appends that fire (a further attempt) with the schedule's next number, which `id` tells then; the
 * schedule's version grows by 1, for a step read before would take the same number. ERR_NOT_FOUND: schedule
 * or fire are gone. */
void store_update_fire(struct store *s, const struct store_fire *fire, const struct store_fire *next,
                       store_cb *done, void *arg);

/* What the start of the server needs to know of a schedule that is due some time. */
struct store_due {
    int64_t id, due_ms, priority;
    bool steady;
};
/* Ascending by due_ms; blocking, for the start of the server. on_due returns false to stop (ERR_NOMEM then).
 */
enum err_code store_load_due(struct store *s, bool (*on_due)(const struct store_due *due, void *arg),
                             void *arg, struct err *err);
/* How many there are, due or not; blocking, as above. */
enum err_code store_count_schedules(struct store *s, int64_t *ret, struct err *err);
/* All fires that have not ended, ascending by schedule and number; blocking, as above. */
enum err_code store_load_fires(struct store *s, bool (*on_fire)(const struct store_fire *fire, void *arg),
                               void *arg, struct err *err);

/* Reading rows of schedules and fires from a worker thread. The visitor runs on that worker, row by row, and
 * may touch only what its arg gives it; false stops, which is no error. done comes on the loop, once. */
typedef bool store_schedule_visit(const struct store_schedule *schedule, void *arg);
typedef bool store_fire_visit(const struct store_fire *fire, void *arg);
typedef void store_visited_cb(const struct err *err, int64_t total, void *arg);

/* Which schedules to read. */
struct store_schedules {
    const int64_t *ids; /* these, in this order, those that are gone left out; NULL: as the others say */
    size_t n_ids;
    const char *group, *name, *door; /* NULL: any */
    int64_t after_id;                /* -1: from the start */
    int64_t max;                     /* -1: all */
    bool by_name;                    /* by group and name instead of id; after_id is not looked at */
    bool newest_first;               /* by id, descending; after_id is not looked at */
    int64_t from;                    /* so many of them are passed over */
    /* Only those due before, ascending by due_ms, then priority, higher first, then id; after_id and by_name
     * are not looked at. 0: all. */
    int64_t due_before_ms;
    struct store_place { /* and only those behind this place in that order; due_ms 0: from the start */
        int64_t due_ms, priority, id;
    } behind;
};
/* `total` counts those that match, whatever after_id, from and max, also when the visitor stopped; with
 * due_before_ms those that came. */
void store_read_schedules(struct store *s, const struct store_schedules *which, store_schedule_visit *visit,
                          void *visit_arg, store_visited_cb *done, void *arg);
/* Newest first, numbers below `before` (0: all); `total` is not told (0). */
void store_read_fires(struct store *s, int64_t schedule, int64_t before, int64_t max, store_fire_visit *visit,
                      void *visit_arg, store_visited_cb *done, void *arg);

/* ---- tokens: answers to operations that go on in the background ---- */

/* What is kept of such an operation. */
struct store_token {
    const char *token;  /* unique */
    const char *door;   /* whose it is */
    const char *facts;  /* JSON */
    int64_t changed_ms; /* wall time */
    bool ended;
};
/* Inserts or replaces; `id` is 0. */
void store_put_token(struct store *s, const struct store_token *token, store_cb *done, void *arg);
/* Removes those that ended before `before_ms`; `id` is 0. */
void store_remove_tokens(struct store *s, const char *door, int64_t before_ms, store_cb *done, void *arg);
/* All of a door; blocking, for the start of the server. */
enum err_code store_load_tokens(struct store *s, const char *door,
                                bool (*on_token)(const struct store_token *token, void *arg), void *arg,
                                struct err *err);

/* ---- reads ---- */

/* Calls on_app for every application, ascending by kind and id, without `submission` for those that
 * have ended; blocking, for the start of the server. on_app returns false to stop (ERR_NOMEM then). */
enum err_code store_load_apps(struct store *s, bool (*on_app)(const struct store_app *app, void *arg),
                              void *arg, struct err *err);

/* Calls on_agent for every agent, ascending by session; blocking, for the start of the server. on_agent
 * returns false to stop (ERR_NOMEM then). */
enum err_code store_load_agents(struct store *s, bool (*on_agent)(const struct store_agent *agent, void *arg),
                                void *arg, struct err *err);

/* Calls on_item for every item in one of these states (NULL at the end), ascending by session, type and id,
 * with request and without output; blocking and stopped in the same way. */
enum err_code store_load_items(struct store *s, const char *const *states,
                               bool (*on_item)(const struct store_item *item, void *arg), void *arg,
                               struct err *err);

/* Calls on_offer for every offer, ascending by name; blocking, for the start of the server. on_offer returns
 * false to stop (ERR_NOMEM then). */
enum err_code store_load_offers(struct store *s, bool (*on_offer)(const struct store_offer *offer, void *arg),
                                void *arg, struct err *err);

/* One application with its submission and history, oldest note first, from a worker thread; app is
 * NULL (and err tells why) when there is none. */
typedef void store_read_cb(const struct err *err, const struct store_app *app, const struct store_note *notes,
                           unsigned n_notes, void *arg);
void store_read_app(struct store *s, const char *kind, int64_t id, store_read_cb *done, void *arg);

/* Items of a session and type, from a worker thread: those at the places from .. from+size-1 of the ascending
 * or descending order, where place 0 is the first item of the one and the last of the other (ascending,
 * statement N is at place N, job N at N - 1); all that follow when size < 0, none when from < 0. `total`
 * counts all of them. ERR_TOO_LARGE: together they have more than 256 MiB of text. Items and their texts are
 * borrowed for the time of the callback; after an error there are none and total is 0. */
typedef void store_items_cb(const struct err *err, const struct store_item *items, size_t n, int64_t total,
                            void *arg);
void store_read_items(struct store *s, const char *type, int64_t session, int64_t from, int64_t size,
                      bool descending, store_items_cb *done, void *arg);

#endif
