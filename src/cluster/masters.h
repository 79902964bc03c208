/*
 * The masters of one standalone cluster: "spark://a:7077,b:7077".
 *
 * One of them is the leader (ALIVE), the others stand by. The group finds the leader by asking all for their
 * state, remembers it, and looks for it again when its connection breaks, it does not answer in time, or says
 * that it is not alive; with pauses of 0.5, 1, 2, … 5 s, for as long as a request's time allows. A standby
 * refuses a request without acting on it, so the next master can be asked without doing anything twice; a
 * request that broke off in the middle is only repeated when that is harmless (masters_ask() says which are).
 *
 * Lifetime   masters_new() .. masters_free(), also from inside a callback.
 * Thread     loop thread only.
 */
#ifndef HEARTH_CLUSTER_MASTERS_H
#define HEARTH_CLUSTER_MASTERS_H

#include "base/err.h"
#include "rpc/rpc.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { MASTERS_MAX = 16, MASTERS_PORT = 7077 };

struct masters; /* opaque */

struct masters_options {
    uv_loop_t *loop;
    const char *url;    /* "spark://host[:port][,host[:port]…]"; IPv6 addresses in brackets */
    const char *secret; /* or NULL */
};

/* ERR_INVALID names what is wrong with the URL and what is allowed. */
enum err_code masters_new(const struct masters_options *options, struct masters **ret, struct err *err);
/* The check alone. */
enum err_code masters_check_url(const char *url, struct err *err);
/* No callback comes any more. NULL is fine. */
void masters_free(struct masters *m);

const char *masters_url(const struct masters *m);
/* The leader that answered last: "host:port"; NULL: none is known. */
const char *masters_leader(const struct masters *m);
/* Its host alone; NULL: none is known. */
const char *masters_leader_host(const struct masters *m);
/* See rpc_node_version(), of the leader. */
const char *masters_version(const struct masters *m);
/* See rpc_node_scala(), of the leader. */
const char *masters_scala(const struct masters *m);
/* True when it was made with a secret. */
bool masters_has_secret(const struct masters *m);

/* Asks the leader; the callback comes once, within timeout_ms. When no leader was found the answer is the one
 * that tells most, and its words name each master with its trouble: "no master of spark://… is alive: a:7077
 * cannot be reached (connection refused), b:7077 is STANDBY". RPC_SUBMIT_DRIVER and one-way messages are not
 * repeated once they may have been acted upon (answer->uncertain); all others are. */
void masters_ask(struct masters *m, const struct rpc_message *message, int64_t timeout_ms,
                 rpc_answer_cb *done, void *arg);

/* The state of each master, one callback with an array in the order of the URL:
 * [{"master":"a:7077","status":"ALIVE","state":{MasterStateResponse}},
 * {"master":"b:7077","error":"…","result":"unreachable"}]. The array is borrowed for the time of the
 * callback; never NULL unless memory is short. Also finds the leader. */
void masters_survey(struct masters *m, int64_t timeout_ms, void (*done)(json_t *array, void *arg), void *arg);

#endif
