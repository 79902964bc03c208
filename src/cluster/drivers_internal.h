/*
 * What the files of drivers share.
 *
 *   drivers.c             the life of a driver: submitted, followed, killed
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
/* The application whose executors carry this token; NULL: there is none. */
const json_t *overview_find_app(const json_t *state, const char *token);
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

/* ---- all drivers ---- */

struct drivers {
    struct drivers_options options;
    uv_timer_t tick;
    struct driver *first;       /* utlist */
    struct overview *overviews; /* utlist */
    bool stopped;
};

/* The next tick comes at once: something has happened that drivers wait for. */
void drivers_soon(struct drivers *drivers);

#endif
