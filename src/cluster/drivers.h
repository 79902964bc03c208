/*
 * Drivers on standalone clusters (cluster deploy mode): submitted, followed and killed without a JVM, over
 * RPC, or over the REST submission server when RPC is refused or the configuration says so.
 *
 * A driver carries a token. A submission whose answer was lost is looked for by its token before it is sent
 * again, so a driver is started once; a master that relaunches a supervised driver after its worker was lost
 * gives it a new id, which is found by the token, too. By the same token (an environment variable of its
 * executors) its application is found.
 *
 * Over REST there is no way to look for a token: a submission whose answer was lost ends as DRIVER_REFUSED
 * with words that say so, rather than to run twice.
 *
 * Lifetime   drivers_open() .. drivers_stop(), before clusters_stop() .. drivers_free() once the loop has run
 *            empty. driver_new() .. driver_free(), which stops following and kills nothing.
 * Thread     loop thread only.
 */
#ifndef HEARTH_CLUSTER_DRIVERS_H
#define HEARTH_CLUSTER_DRIVERS_H

#include "base/err.h"
#include "base/settings.h"
#include "cluster/clusters.h"
#include "spark/spark.h"
#include "spark/submission.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct drivers; /* all of them; opaque */
struct driver;  /* opaque */

struct drivers_options {
    uv_loop_t *loop;
    struct clusters *clusters;
    const struct settings *settings;
    const struct spark *spark; /* whose conf/spark-defaults.conf counts; NULL: none */
};

struct drivers *drivers_open(const struct drivers_options *options); /* NULL: out of memory */
void drivers_stop(struct drivers *drivers);                          /* NULL is fine */
void drivers_free(struct drivers *drivers);                          /* NULL is fine */

enum driver_event_kind {
    DRIVER_ACCEPTED, /* a master has it: driver_id; also when a relaunched one has a new id */
    DRIVER_REFUSED,  /* it will never run: words */
    DRIVER_STATE,    /* state, worker, pages or application have changed */
    DRIVER_TROUBLE,  /* the cluster cannot be asked now: words; NULL: it can again */
    DRIVER_ENDED, /* state FINISHED, FAILED, KILLED, ERROR, or UNKNOWN when no master knows it any more; words
                   */
};

/* Texts are borrowed for the time of the callback and NULL when they are not known. */
struct driver_event {
    enum driver_event_kind kind;
    const char *driver_id;
    const char *state;     /* "SUBMITTED", "RUNNING", … */
    const char *worker;    /* "host:port" */
    const char *log_url;   /* page of its standard error on the worker */
    const char *app_id;    /* of its Spark application */
    const char *app_ui;    /* page of its Spark application */
    const char *words;     /* a sentence */
    const char *output[2]; /* at the end: the last part of its standard output and standard error */
    bool not_started;      /* at the end: its worker could not start it */
};

/* Called from the loop, never from inside driver_new(); driver_free() may be called there. */
typedef void driver_event_cb(const struct driver_event *event, void *arg);

struct driver_options {
    const struct spark_submission *submission; /* not needed after the call; its master is "spark://…" */
    const char *token;                         /* names the submission, for ever */
    const char *driver_id; /* of one that was submitted before; NULL: it is to be submitted */
    bool maybe_sent;       /* without driver_id: it may have been submitted before, its token is looked for */
};

/* Starts submitting or following. ERR_INVALID: such a submission cannot run on a standalone cluster, and why.
 */
enum err_code driver_new(struct drivers *drivers, const struct driver_options *options,
                         driver_event_cb *on_event, void *arg, struct driver **ret, struct err *err);
/* Asks the master to kill it, again and again until it has ended. One that was not sent yet is refused. */
void driver_kill(struct driver *d);
void driver_free(struct driver *d); /* no event comes any more. NULL is fine */

/* True for a submission that this module runs: deploy mode cluster (its field, or conf
 * spark.submit.deployMode) on spark://…. */
bool driver_wants(const struct spark_submission *submission);
/* What of driver_new() can be told when a request comes in. */
enum err_code driver_check(const struct spark_submission *submission, struct err *err);

#endif
