/*
 * Asking a standalone cluster's leader to kill a driver. That it said yes means only that the order was
 * passed on; the end comes later.
 *
 * Lifetime   cluster_kill_start() .. its callback, or cluster_kill_free() once its masters have been freed.
 * Thread     loop thread only.
 */
#ifndef HEARTH_CLUSTER_CLUSTER_KILL_H
#define HEARTH_CLUSTER_CLUSTER_KILL_H

#include "cluster/masters.h"

#include <stdbool.h>

struct cluster_kill; /* opaque */

enum cluster_kill_outcome {
    CLUSTER_KILL_ORDERED,
    CLUSTER_KILL_ENDED,   /* it had ended before; state tells how */
    CLUSTER_KILL_UNKNOWN, /* the master knows no such driver */
    CLUSTER_KILL_FAILED,  /* nobody took the order; words tell why */
};

struct cluster_kill_answer {
    enum cluster_kill_outcome outcome;
    enum rpc_result result; /* with CLUSTER_KILL_FAILED */
    const char *state;      /* "FINISHED"; NULL: not told */
    const char *words;      /* never NULL */
};

typedef void cluster_kill_cb(const struct cluster_kill_answer *answer, void *arg);

/* The callback comes once, within timeout_ms, never before return; the kill is gone then. NULL: out of
 * memory, it does not come. */
struct cluster_kill *cluster_kill_start(struct masters *m, const char *driver_id, int64_t timeout_ms,
                                        cluster_kill_cb *done, void *arg);
void cluster_kill_free(struct cluster_kill *k); /* NULL is fine */

/* True for a state of a driver that will not change any more; NULL is none. */
bool cluster_driver_is_final(const char *state);

#endif
