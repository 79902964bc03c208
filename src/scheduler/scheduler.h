/*
 * The scheduler: programs that run when they should, each fire time exactly once, and the reason on record
 * when one did not.
 *
 * A schedule is a trigger, the program it runs, and what to do in trouble. Each time it fires, a fire is
 * recorded, and in the same transaction the application that it makes and the fire time that comes next. So a
 * server that is killed anywhere fires neither twice nor never:
 *
 *     due ──► read it ──► overlap? ──► one transaction: fire + application + next time ──► launch
 *
 *   in memory     one small entry for each schedule that is active: when it is due. All else is read from the
 *                 store when it is due, or when somebody asks.
 *   late          by at most schedule.misfire_threshold: each missed time fires, in order. Later than that:
 *                 the misfire instruction (schedule/trigger.h).
 *   refused       what cannot be accepted now (the queue is full, the disk is full, there is no Spark) stays
 *                 due and is tried again: each second some hundreds of those that were tried longest ago, and
 *                 one when there may be room for it. So until it counts as a misfire.
 *   clocks        cron and one-shot triggers follow the wall clock, however it jumps; intervals and
 *                 back-offs are durations on the monotonic clock. Jitter is added to the fire time on the
 *                 clock that this one has. Nothing fires twice for one fire time.
 *   overlap       what happens when the last application of the schedule still lives: both run, the new
 *                 one is skipped, one waits (a second is skipped), or the old one is killed first.
 *   retry         an application that ended dead is made again after a back-off, as a further attempt of
 *                 the same fire time; one that was killed is not.
 *
 * Fires of one schedule happen one after the other, of all schedules in the order of due time, then priority
 * (higher first), then id.
 *
 * Lifetime   scheduler_open(), after apps_open() .. scheduler_stop(), after store_close() .. scheduler_free()
 *            once the loop has run empty.
 * Thread     loop thread only. Callbacks may come before return, when the error is known at once.
 */
#ifndef HEARTH_SCHEDULER_SCHEDULER_H
#define HEARTH_SCHEDULER_SCHEDULER_H

#include "app/app.h"
#include "base/err.h"
#include "base/settings.h"
#include "base/strs.h"
#include "schedule/trigger.h"
#include "spark/submission.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct scheduler; /* opaque */

struct scheduler_options {
    uv_loop_t *loop;
    struct store *store;
    struct apps *apps;
    const struct settings *settings;
};

/* Reads when each schedule is due, and takes up the fires that were under way. Firing begins with
 * scheduler_start(), when the doors that have schedules are open. */
enum err_code scheduler_open(const struct scheduler_options *options, struct scheduler **ret,
                             struct err *err);
void scheduler_start(struct scheduler *s);
void scheduler_stop(struct scheduler *s); /* NULL is fine */
void scheduler_free(struct scheduler *s); /* NULL is fine */

/* ---- a schedule ---- */

enum overlap { OVERLAP_ALLOW, OVERLAP_SKIP, OVERLAP_QUEUE, OVERLAP_REPLACE, OVERLAPS };
const char *overlap_name(enum overlap overlap); /* "allow", "skip", "queue", "replace" */

struct retry_policy {
    int64_t limit;        /* further attempts; 0: none */
    int64_t delay_ms;     /* before the first of them */
    int64_t max_delay_ms; /* each delay is twice the one before, up to this */
};

enum schedule_state {
    SCHEDULE_ACTIVE,
    SCHEDULE_PAUSED,
    SCHEDULE_COMPLETE, /* has no fire time any more; stays until it is deleted */
    SCHEDULE_STATES
};
const char *schedule_state_name(enum schedule_state state); /* "active", "paused", "complete" */

enum { SCHEDULE_NAME_MAX = 255, SCHEDULE_JITTER_MAX_MS = 24 * 3600 * 1000 };

/* What somebody wants. `trigger` carries its definition; cron and zone also as they were written. */
struct schedule_spec {
    char *group;              /* "default" unless said otherwise; 1 to SCHEDULE_NAME_MAX bytes */
    char *name;               /* unique in its group; 1 to SCHEDULE_NAME_MAX bytes */
    char *owner, *proxy_user; /* or NULL */
    struct trigger trigger;
    char *cron;       /* text of the expression; NULL: another kind */
    char *zone;       /* its time zone; NULL: another kind */
    int64_t priority; /* 1 to 10, 5 is the middle */
    enum overlap overlap;
    int64_t jitter_ms; /* a fire is late by a part of this, the same for the same fire time */
    struct retry_policy retry;
    /* what it runs: the application, or a task of the door's own */
    struct spark_submission submission;
    char *door; /* name of the schedule_door; NULL: none is asked */
    char *task; /* JSON that the door keeps with it, or NULL */
};
void schedule_spec_clear(struct schedule_spec *spec);

/* One that is stored. Read-only; borrowed for the time of the callback. */
struct schedule_view {
    int64_t id;
    int64_t version; /* grows with every change and every fire */
    enum schedule_state state;
    struct schedule_spec spec; /* its trigger tells next and previous fire time */
    int64_t created_ms;        /* wall time */
    int64_t changed_ms;        /* wall time; grows with every change, and not by fires */
    int64_t fires;             /* recorded so far: the number of the last one */
};

enum fire_cause { FIRE_TRIGGER, FIRE_MANUAL, FIRE_RETRY, FIRE_CAUSES };
const char *fire_cause_name(enum fire_cause cause); /* "trigger", "manual", "retry" */

enum fire_state {
    FIRE_WAITING, /* behind the application that runs (overlap queue, replace), or for its back-off */
    FIRE_RUNNING, /* its application lives; or the door does its task */
    FIRE_SUCCEEDED,
    FIRE_FAILED, /* dead; a retry, if any, is a fire of its own */
    FIRE_KILLED,
    FIRE_SKIPPED, /* overlap */
    FIRE_MISSED,  /* misfire; one record tells of all times that were missed together */
    FIRE_REFUSED, /* it could not be made: reason */
    FIRE_LOST, /* how it ended is not known: the server ended while the door did its task, or its application
                  is gone */
    FIRE_STATES
};
const char *fire_state_name(enum fire_state state); /* "waiting", "running", "succeeded", … */
bool fire_state_is_end(enum fire_state state);

struct fire_view {
    int64_t schedule, number; /* numbers count per schedule from 1 */
    enum fire_cause cause;
    enum fire_state state;
    int64_t attempt;         /* 1, 2, … */
    int64_t planned_ms;      /* fire time; of a manual one when it was asked for */
    int64_t actual_ms;       /* when the application was made; 0: not (yet) */
    int64_t ended_ms;        /* 0: not yet */
    int64_t batch;           /* id of the application, also with another server; -1: none */
    int64_t missed;          /* how many fire times a missed one stands for; 0 otherwise */
    int64_t missed_until_ms; /* the last of them */
    const char *reason;      /* or NULL */
    const char *token;       /* of a manual one: what its caller was given; or NULL */
};

/* ---- changing; each is on disk when done, which is not NULL, is called ---- */

/* A stored schedule that is not readable can be replaced and removed; the others give ERR_INTERNAL. */

typedef void scheduler_cb(const struct err *err, int64_t id, void *arg);

/* Reads a definition again from its text and finds the first fire time. ERR_INVALID names the field. */
enum err_code scheduler_check(const struct schedule_spec *spec, struct trigger *ret, struct err *err);

/* ERR_INVALID; ERR_CONFLICT: the name is taken, `id` tells by which. The spec is copied. */
void scheduler_create(struct scheduler *s, const struct schedule_spec *spec, bool paused, scheduler_cb *done,
                      void *arg);
/* Gives a schedule another definition; its history, and what runs, stays. `version`: only when it is still
 * that one (else ERR_CONFLICT); 0: whatever it is. A failure leaves the old one untouched. */
void scheduler_replace(struct scheduler *s, int64_t id, int64_t version, const struct schedule_spec *spec,
                       scheduler_cb *done, void *arg);
void scheduler_pause(struct scheduler *s, int64_t id, scheduler_cb *done, void *arg); /* twice is fine */
/* What was missed meanwhile is treated as a misfire. */
void scheduler_resume(struct scheduler *s, int64_t id, scheduler_cb *done, void *arg); /* twice is fine */
/* Removes it with its history. Applications live on. ERR_NOT_FOUND. */
void scheduler_remove(struct scheduler *s, int64_t id, scheduler_cb *done, void *arg);
/* Fires now, whatever its trigger or state; overlap and retries count. `token` (or NULL) is kept with the
 * fire. done's id is the number of the fire. */
void scheduler_run_now(struct scheduler *s, int64_t id, const char *token, scheduler_cb *done, void *arg);

/* ---- looking; callbacks come later, once ---- */

/* `schedule` is NULL when there is an error, but for ERR_INTERNAL of scheduler_get(): a stored one that is
 * not readable has its id, version, state, instants and fires, owner, proxy_user and door. */
typedef void schedule_cb(const struct err *err, const struct schedule_view *schedule, void *arg);
void scheduler_get(struct scheduler *s, int64_t id, schedule_cb *done, void *arg);
void scheduler_find(struct scheduler *s, const char *group, const char *name, schedule_cb *done, void *arg);

struct schedule_query {
    const char *group, *door; /* NULL: any */
    int64_t after_id;         /* those with higher ids; -1 from the start */
    size_t max;
    bool by_name;      /* ascending by group and name instead of id; after_id is not looked at */
    bool newest_first; /* descending by id; after_id is not looked at */
    int64_t from;      /* so many of them are passed over */
};
/* `total` counts all that match. */
typedef void schedules_cb(const struct err *err, const struct schedule_view *schedules, size_t n,
                          int64_t total, void *arg);
void scheduler_list(struct scheduler *s, const struct schedule_query *query, schedules_cb *done, void *arg);

/* Newest first; numbers below `before` (0: all). */
typedef void fires_cb(const struct err *err, const struct fire_view *fires, size_t n, void *arg);
void scheduler_history(struct scheduler *s, int64_t id, int64_t before, size_t max, fires_cb *done,
                       void *arg);

/* Fire times of one schedule (id >= 0) or of all active ones (-1) in [from, to), ascending, at most max;
 * `complete` is false when there are more. When there may be more since so many schedules, those whose next
 * fire time comes first, were looked at, some may be missing in between, too. */
enum { SCHEDULER_UPCOMING_ROWS = 50000 };
struct upcoming {
    int64_t schedule;
    int64_t at_ms;
    const char *group, *name;
};
typedef void upcoming_cb(const struct err *err, const struct upcoming *times, size_t n, bool complete,
                         void *arg);
void scheduler_upcoming(struct scheduler *s, int64_t id, int64_t from_ms, int64_t to_ms, size_t max,
                        upcoming_cb *done, void *arg);

struct scheduler_summary {
    int64_t schedules, active, running; /* running: fires whose application lives */
    int64_t next_ms;                    /* the next that is due, or TRIGGER_NEVER */
};
struct scheduler_summary scheduler_summary(const struct scheduler *s);

/* ---- doors with schedules of their own ---- */

struct schedule_door {
    const char *name;
    /* Makes the submission of a fire ready: a name with the time in it, say, by which the application is then
     * listed, too. NULL: as it is stored. */
    enum err_code (*prepare)(void *arg, const struct schedule_view *schedule, const struct fire_view *fire,
                             struct spark_submission *submission, struct err *err);
    /* Does the task of a fire that is on disk already, in place of an application, and ends it by
     * scheduler_end_fire(). NULL: applications are made. */
    void (*run)(void *arg, const struct schedule_view *schedule, const struct fire_view *fire);
    /* How many further tasks may begin now: what is due beyond that waits until it counts as a misfire,
     * further attempts wait longer; what is asked for by hand does not. NULL: any number. */
    size_t (*room)(void *arg);
    void *arg;
};
/* Before scheduler_start(). A fire under way of a door that runs tasks itself becomes lost at the start. */
void scheduler_add_door(struct scheduler *s, const struct schedule_door *door);
/* `batch` -1: none. */
void scheduler_end_fire(struct scheduler *s, int64_t schedule, int64_t number, enum fire_state state,
                        int64_t batch, const char *reason);

#endif
