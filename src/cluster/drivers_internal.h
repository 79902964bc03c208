/*
 * What the files of drivers share.
 *
 *   drivers.c             all drivers, and the tick that serves them
 *   driver_steps.c        what a driver tells, asks and looks for: the ground of the two below
 *   driver_submit.c       searched for and submitted
 *   driver_follow.c       followed, killed, ended
 *   driver_rest.c         the same over the REST submission server
 *   driver_description.c  what a master is told to run
 *   driver_overview.c     the state of a whole cluster, shared by all drivers on it
 *   driver_output.c       the last part of a driver's output, from its worker's page
 *   driver_check.c        which submissions can run
 */
#ifndef HEARTH_CLUSTER_DRIVERS_INTERNAL_H
#define HEARTH_CLUSTER_DRIVERS_INTERNAL_H

#include "cluster/drivers.h"
#include "cluster/submission_server.h"
#include "loop/http_client.h"
#include "rpc/message.h"

/* ---- what a master is told ---- */

/* The variable that holds the token, in the environment of the driver and of its executors. */
#define DRIVER_TOKEN_VARIABLE "HEARTH_SUBMISSION"

struct description {
    struct strmap conf; /* of the application: the submission's, the defaults', and what cluster mode needs */
    char *jar_url;      /* the program, for the worker to fetch */
    char *main_class;   /* the user's, or Spark's runner of Python programs */
    int64_t memory_mib, cores;
    bool supervise;
    struct strlist user_arguments; /* of main_class */
    /* for RPC, where the command line is the client's business */
    struct strlist arguments, class_path, library_path, java_options;
    struct strmap environment;
};

/* ERR_INVALID names the field, the value and what is allowed. */
enum err_code description_make(const struct spark *spark, const struct spark_submission *submission,
                               const char *token, struct description *ret, struct err *err);
void description_clear(struct description *d);
/* The RPC form; borrows everything from d. */
struct rpc_driver description_rpc(const struct description *d);
/* What can be told of a submission without Spark's defaults. */
enum err_code description_check(const struct spark_submission *submission, struct err *err);
/* The properties of the REST form: there the master writes the command line, and of java options it knows
 * only these. The caller clears *ret. -1: out of memory. */
int description_rest(const struct description *d, struct strmap *ret);

/* ---- the state of a cluster ---- */

struct overview; /* of one cluster, kept while somebody uses it */

struct overview_options {
    struct drivers *drivers;
    const char *url;
    const char *secret; /* or NULL */
};

/* The state that a master told after `since_ms` (monotonic), borrowed until control returns to the loop.
 * NULL: it is asked for now, unless that went wrong after `since_ms`: then *ret_trouble has the words. */
const json_t *overview_get(const struct overview_options *options, int64_t since_ms,
                           const char **ret_trouble);
void overviews_drop(struct drivers *drivers, bool all); /* the unused ones, or all */

/* Of a driver with this token the one submitted last; NULL: there is none. */
const json_t *overview_find_driver(const json_t *state, const char *token);
/* The application whose executors carry this token, of this attempt of the driver: not older than that. NULL:
 * there is none. */
const json_t *overview_find_app(const json_t *state, const char *token, const char *driver_id);
/* The address of a worker's page; NULL: not known. */
const char *overview_worker_page(const json_t *state, const char *worker_id);

/* ---- output ---- */

struct output_fetch; /* opaque */

/* Fetches the last part of both streams from the worker's page. done comes once, within a few seconds; texts
 * are borrowed, NULL when they could not be had. NULL: out of memory, done does not come. */
struct output_fetch *output_fetch_start(struct http_client *http, const char *worker_page,
                                        const char *driver_id,
                                        void (*done)(const char *const texts[2], void *arg), void *arg);
void output_fetch_cancel(struct output_fetch *fetch); /* done does not come any more. NULL is fine */

/* ---- one driver ---- */

enum { DRIVER_TROUBLE_MS = 1000 }; /* after a failure, for the first time; doubled up to ten seconds */

enum step { SEARCHING, SUBMITTING, FOLLOWING, CONCLUDING, OVER };

struct driver {
    struct driver *prev, *next;
    struct drivers *drivers;
    driver_event_cb *on_event;
    void *arg;
    bool freed; /* by its owner; the memory goes with the answer that is under way */

    char *master, *secret, *token;
    struct description description; /* until it is accepted */
    char *unfit; /* why there is none, of a driver that was perhaps submitted all the same; or NULL */

    enum step step;
    bool asking;
    int64_t next_ms; /* monotonic; no question before */
    int64_t trouble_pause_ms;
    bool troubled; /* the owner was told */
    bool looked;   /* at the cluster, before the submission */
    int64_t search_since_ms;
    unsigned searches; /* that have found nothing */

    bool rest;       /* it is talked about over REST */
    char *rpc_words; /* why not over RPC; NULL: the setting */
    size_t rest_host;
    struct submission_server_call *rest_call;

    char *id, *state, *worker_id, *worker, *log_url, *worker_page, *app_id, *app_ui, *end_words;
    bool not_started;
    unsigned unknown;
    int64_t details_ms, details_pause_ms;
    int64_t conclude_by_ms;
    struct output_fetch *fetch;

    bool kill_wanted;
    bool kill_was_last; /* of the questions: now its status is asked for */
    int64_t killed_ms;  /* when a master has answered last; 0: not yet */
};

/* driver_steps.c */

void driver_tell(struct driver *d, enum driver_event_kind kind, const char *words,
                 const char *const output[2]);
/* Told, and the next question comes after a pause that grows. */
void driver_in_trouble(struct driver *d, const char *words);
void driver_out_of_trouble(struct driver *d);
/* Ends it: it will never run. */
void driver_refuse(struct driver *d, const char *words);
void driver_set(char **field, const char *value); /* what a master tells; short memory is logged */
/* NULL: the trouble was told. */
struct masters *driver_masters(struct driver *d);
void driver_ask(struct driver *d, const struct rpc_message *message, int64_t timeout_ms, rpc_answer_cb *done);
/* An answer is here. False: nobody wants it any more. */
bool driver_answered(struct driver *d);
void driver_stop_calls(struct driver *d);
/* RPC is no way to this cluster, while its REST submission server may be one. */
bool driver_may_turn_to_rest(struct driver *d, enum rpc_result result);
/* The state of its cluster, of after `since_ms`. NULL: it comes with a later tick, or the trouble was told.
 */
const json_t *driver_look(struct driver *d, int64_t since_ms);

/* driver_submit.c */
void driver_begin_search(struct driver *d);
void driver_search(struct driver *d);
void driver_submit(struct driver *d);
void driver_accept(struct driver *d, const char *id); /* a master has it */

/* driver_follow.c */
void driver_follow(struct driver *d);
void driver_conclude(struct driver *d, const char *state, const char *words); /* it has ended so */
void driver_finish(struct driver *d);                                         /* the next step of its end */
void driver_take_state(struct driver *d, const char *state, const char *worker_id, const char *worker,
                       const char *exception);
void driver_not_known(struct driver *d);

/* driver_rest.c */
void driver_turn_to_rest(struct driver *d, const char *words);
/* Ends one that may have been submitted: `how` that went, and that nobody can find out. */
void driver_refuse_lost(struct driver *d, const char *how);
void driver_submit_over_rest(struct driver *d);
void driver_follow_over_rest(struct driver *d, bool kill);

/* ---- all drivers ---- */

struct drivers {
    struct drivers_options options;
    uv_timer_t tick;
    struct driver *first;       /* utlist */
    struct overview *overviews; /* utlist */
    unsigned fetching;          /* outputs of ended drivers, from their workers' pages */
    bool stopped;
};

/* The next tick comes at once: something has happened that drivers wait for. */
void drivers_soon(struct drivers *drivers);

#endif
