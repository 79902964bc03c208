/*
 * Drivers on a standalone cluster (cluster deploy mode): submitted, followed and killed without a JVM, over
 * RPC, or over the REST submission server when RPC is refused or the configuration says so.
 *
 * A driver carries a token. A submission whose answer was lost is looked for by its token before it is sent
 * again, so a driver is started once; a master that relaunches a supervised driver after its worker was lost
 * gives it a new id, which is found by the token, too. By the same token (an environment variable of its
 * executors) its application is found.
 *
 * Lifetime   driver_submit() or driver_follow() .. driver_free(), which stops following and kills nothing.
 * Thread     loop thread only.
 */
#ifndef HEARTH_CLUSTER_DRIVERS_H
#define HEARTH_CLUSTER_DRIVERS_H

#include "base/err.h"
#include "cluster/clusters.h"
#include "spark/submission.h"

#include <stdbool.h>
#include <stdint.h>

struct driver; /* opaque */

enum driver_event_kind {
    DRIVER_ACCEPTED, /* the master has it: driver_id; also when a relaunched one has a new id */
    DRIVER_REFUSED,  /* it will never run: words */
    DRIVER_STATE,    /* state, worker, pages or application have changed */
    DRIVER_TROUBLE,  /* the cluster cannot be asked now: words; NULL: it can again */
    DRIVER_ENDED,    /* FINISHED, FAILED, KILLED, ERROR, or UNKNOWN when no master knows it any more: words */
};

struct driver_event {
    enum driver_event_kind kind;
    const char *driver_id; /* or NULL: not known yet */
    const char *state;     /* "SUBMITTED", "RUNNING", …; NULL: not known yet */
    const char *worker;    /* "host:port"; or NULL */
    const char *log_url;   /* page of its standard error on the worker; or NULL */
    const char *app_id;    /* of its Spark application; or NULL */
    const char *app_ui;    /* page of its Spark application; or NULL */
    const char *words;     /* a sentence; or NULL */
};

typedef void driver_event_cb(const struct driver_event *event, void *arg);

struct driver_options {
    uv_loop_t *loop;
    struct clusters *clusters;
    const struct spark_submission *submission; /* copied; its master is "spark://…" */
    const char *token;                         /* names the submission, for ever */
    const char *driver_id; /* of one that was submitted before; NULL: look for the token, then submit */
    bool maybe_sent; /* without driver_id: it may have been submitted before: look for the token first */
    bool rest_first; /* clusters.submission = rest */
};

/* Starts submitting or following; events come later, on the loop. ERR_INVALID: such a submission cannot run
 * on a standalone cluster, and why. */
enum err_code driver_new(const struct driver_options *options, driver_event_cb *on_event, void *arg,
                         struct driver **ret, struct err *err);
/* Asks the master to kill it, again and again until it has ended; before it was accepted: as soon as it is.
 */
void driver_kill(struct driver *d);
void driver_free(struct driver *d); /* no event comes any more. NULL is fine */

/* The check of driver_new() alone, for the moment a request comes in. */
enum err_code driver_check(const struct spark_submission *submission, struct err *err);
/* True for a submission that this module runs: deploy mode cluster (its field, or conf
 * spark.submit.deployMode) on spark://…. */
bool driver_wants(const struct spark_submission *submission, const char *default_master,
                  const char *default_deploy_mode);

#endif
