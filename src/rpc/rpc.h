/*
 * A connection to one Spark node (master, worker, driver of an application), spoken natively.
 *
 * rpc_node_new() costs nothing; the first request connects. Many requests may be under way at once; answers
 * are matched by their ids. The connection is kept and made anew when it was lost. On a new node the dialect
 * is found first: a harmless question in Scala 2.12's dialect, and the node's refusal tells the rest.
 * Identities that a node corrects are learnt and the request is sent again, eight times at most.
 *
 * With a secret the node must prove that it knows it, too: the handshakes that encrypt are tried first, then
 * SASL. A node that asks for no secret gets no requests then.
 *
 * Every request ends with exactly one callback, in the given time, unless rpc_node_free() comes first. Broken
 * frames, a frame above the limit and unknown authentication close the connection and end what is under way
 * on it. A lost connection ends what is under way on it, too; but what may be repeated, or was not written
 * yet, is sent once more on a new one.
 *
 * Lifetime   rpc_node_new() .. rpc_node_free(), which may be called from inside a callback; the memory goes
 *            once the loop has run.
 * Thread     loop thread only.
 * Source     docs/spark-rpc.md.
 */
#ifndef HEARTH_RPC_RPC_H
#define HEARTH_RPC_RPC_H

#include "base/err.h"
#include "rpc/message.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum rpc_result {
    RPC_VALUE,        /* value */
    RPC_UNREACHABLE,  /* no connection: the node has seen nothing of the request, unless it is uncertain */
    RPC_CLOSED,       /* closed without an answer (TLS? another protocol?) */
    RPC_UNAUTHORIZED, /* the node wants a secret, or another one */
    RPC_NO_ENDPOINT,  /* not this kind of node: "Could not find Master." */
    RPC_REFUSED,      /* the node could not read the request: first line of its words */
    RPC_EXCEPTION,    /* the endpoint threw; value is the throwable */
    RPC_BROKEN,       /* the answer cannot be read, or is not one of Spark's */
    RPC_LATE,         /* no answer in time */
    RPC_NOT_SENT,     /* memory was short, or the message is no valid one */
};

enum { RPC_NODE_REQUESTS_MAX = 1000 }; /* under way at once; more end with RPC_NOT_SENT */

/* True for messages that may be sent again though they may have been acted upon: all that have an answer,
 * except RPC_SUBMIT_DRIVER. */
bool rpc_may_repeat(enum rpc_kind kind);

/* A word for programs: "unreachable", "closed", "unauthorized", … "value". */
const char *rpc_result_name(enum rpc_result result);

struct rpc_answer {
    enum rpc_result result;
    json_t *value;     /* borrowed for the time of the callback, only to be read; NULL without one */
    const char *words; /* a sentence for a person, with the node's address; "" with RPC_VALUE */
    bool uncertain;    /* it was sent and may have been acted upon, though there is no answer */
};

typedef void rpc_answer_cb(const struct rpc_answer *answer, void *arg);

struct rpc_node_options {
    uv_loop_t *loop;
    const char *host; /* name or address */
    uint16_t port;
    const char *secret; /* spark.authenticate.secret; NULL or "": none */
    int64_t connect_ms; /* 0: 3 s */
    size_t frame_max;   /* bytes; 0: FRAME_MAX_DEFAULT */
};

struct rpc_node; /* opaque */

struct rpc_node *rpc_node_new(const struct rpc_node_options *options); /* NULL: out of memory */
/* No callback comes any more. NULL is fine. */
void rpc_node_free(struct rpc_node *node);

const char *rpc_node_host(const struct rpc_node *node);
uint16_t rpc_node_port(const struct rpc_node *node);
/* "3.4 or 3.5" and the like, as far as its answers on this connection have told: those that name endpoints
 * do, such as a state with workers; NULL: nothing yet. */
const char *rpc_node_version(const struct rpc_node *node);
/* "2.12" or "2.13", the Scala that it was built with; NULL: it has not answered yet. */
const char *rpc_node_scala(const struct rpc_node *node);

/* timeout_ms counts from here on, connecting and authentication included. One-way messages are answered with
 * RPC_VALUE and a NULL value once they were handed to the system. The callback never comes before return. */
void rpc_ask(struct rpc_node *node, const struct rpc_message *message, int64_t timeout_ms,
             rpc_answer_cb *done, void *arg);

#endif
