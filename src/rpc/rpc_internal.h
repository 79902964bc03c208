/*
 * What the files of a node share.
 *
 *   node.c             life, requests, time limits, callbacks
 *   node_connection.c  names, sockets, bytes
 *   node_handshake.c   authentication and dialect of a fresh connection
 *   node_answer.c      what the frames of an open connection mean
 *
 * A request is in exactly one list of its node:
 *
 *     rpc_ask() -> waiting -> under_way -> ended -> its callback
 *                     ^           |
 *                     +-----------+  once more after a lost connection, and after each lesson
 *
 * Nothing but node_settle(), the last call of each of the loop's callbacks, runs callbacks of users, so that
 * everything else may rely on what it has just seen.
 *
 * A dialect belongs to its connection: behind a new one may be another version of Spark.
 */
#ifndef HEARTH_RPC_RPC_INTERNAL_H
#define HEARTH_RPC_RPC_INTERNAL_H

#include "rpc/answer.h"
#include "rpc/auth.h"
#include "rpc/frame.h"
#include "rpc/message_copy.h"
#include "rpc/rpc.h"

enum {
    ADDRESSES_MAX = 8,           /* of one name; more are not tried */
    LESSONS_MAX = 8,             /* identities that a request may learn */
    UNSENT_MAX = 64,             /* requests that found no memory, in one turn of the loop */
    UNASKED_MAX = 1 << 20,       /* bytes that a node may send unasked */
    FAILURE_TEXT_MAX = 16 << 10, /* bytes of a failure's text that are read */
    STEP_MAX = 64 << 10,         /* bytes of a handshake's message */
};

struct request {
    struct request *prev, *next;
    struct message_copy copy;
    rpc_answer_cb *done;
    void *arg;
    int64_t timeout_ms, due_ms;
    uint64_t heard; /* node's when it was asked, or sent */
    bool is_repeated, was_written;
    unsigned n_lessons;

    struct connection *connection; /* while it is under way */
    int64_t id;
    uint64_t begin, end; /* where it stands in all that the connection has sent */
    unsigned generation; /* connection's when it was written */

    enum rpc_result result; /* once it has ended */
    json_t *value;
    char *words; /* NULL: none, or memory was short */
    bool uncertain;
};

/* In the order in which they are tried: those that encrypt first, since nodes that know them mostly take
 * SASL, too, and all that follows would be sent in the clear. */
enum method { METHOD_AES_1, METHOD_AES_2, METHOD_SASL, METHODS };

enum phase { PHASE_CONNECTING, PHASE_AUTHENTICATING, PHASE_DISCOVERING, PHASE_OPEN, PHASE_CLOSING };

struct connection {
    struct rpc_node *node;
    uv_tcp_t tcp;
    uv_connect_t connect;
    enum phase phase;
    int64_t due_ms; /* of connecting */
    struct frame_reader in;
    struct auth *auth; /* NULL: nothing to encrypt */
    int64_t step_id;   /* request of the handshake that waits for its answer */
    unsigned n_discovered;
    struct rpc_dialect dialect;
    unsigned generation; /* of the dialect: grows with each lesson */
    uint64_t n_accepted; /* bytes given to libuv */
    unsigned n_under_way;
    size_t unasked; /* bytes that came since the last answer that was waited for */
    bool is_reset;  /* when it is closed, what the system has not sent yet is thrown away */
};

struct lookup {
    uv_getaddrinfo_t request;
    struct rpc_node *node; /* NULL: nobody waits for it any more */
};

struct rpc_node {
    uv_loop_t *loop;
    char *host, *secret, *address; /* "host:port", brackets around IPv6 */
    uint16_t port;
    int64_t connect_ms;
    size_t frame_max;

    uv_timer_t timer; /* for all time limits */
    int64_t timer_ms; /* when it fires; INT64_MAX: it does not */
    unsigned open_handles;
    bool is_freed;

    struct request *waiting, *under_way, *ended, *delivering;
    unsigned n_requests; /* waiting and under way */
    struct {
        rpc_answer_cb *done;
        void *arg;
    } unsent[UNSENT_MAX];
    unsigned n_unsent;
    int64_t last_id;
    uint64_t heard; /* answers that were waited for */

    struct lookup *lookup;
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    unsigned n_addresses, at;
    int64_t dial_due_ms;           /* of looking up and connecting; 0: not under way */
    struct connection *connection; /* takes new requests once it is open */
    struct connection *retired;    /* its requests may still be answered */
    enum method method;            /* to be tried next */
    bool is_method_proven;         /* it was the right one, last time */
    unsigned n_refused;            /* methods, since the node was connected to anew */
    const char *version, *scala;
    struct { /* the answer to RPC_MASTER_STATE that came last, unless it was large */
        uint8_t *body;
        size_t len;
        json_t *value;
    } state;
};

/* node.c */
void node_settle(struct rpc_node *n);
void node_release(struct rpc_node *n);
/* `words` continue the node's address: "10.0.0.1:7077 cannot be reached". */
void request_end(struct request *r, struct rpc_node *n, enum rpc_result result, const char *words, ...)
    __attribute__((format(printf, 4, 5)));
void request_wait_again(struct request *r, struct rpc_node *n);

/* node_connection.c */
void node_connect(struct rpc_node *n);
void node_connect_is_late(struct rpc_node *n, int64_t now_ms);
/* When the name must be known, or the connection made; INT64_MAX: nothing of that is under way. */
int64_t node_connect_due(const struct rpc_node *n);
/* Nothing was heard on it for too long: what is asked from now on goes elsewhere. */
void connection_retire(struct connection *c);
/* A request on it was given up that must not be repeated: nothing of it may be sent later. It is closed when
 * the others on it have been answered, and takes no new ones. */
void connection_abandon(struct connection *c);
/* May be called twice. */
void connection_close(struct connection *c);
/* It does not come to be open: ends all that wait for it. */
void connection_fail(struct connection *c, enum rpc_result result, const char *words);
/* Anew, to the same address. */
void connection_redial(struct connection *c);
/* Takes the bytes of `bytes`. A connection that is broken is lost. */
void connection_send(struct connection *c, struct buf *bytes);
void connection_send_request(struct connection *c, struct request *r);
/* How many bytes the system has taken. */
uint64_t connection_written(const struct connection *c);

/* node_handshake.c */
void handshake_start(struct connection *c);
void handshake_take(struct connection *c, const struct frame *frame);
/* The connection ended, or gave nonsense, before it was open; true: another one is tried. */
bool handshake_try_other(struct connection *c);

/* node_answer.c */
void answer_take(struct connection *c, const struct frame *frame);
/* Teaches the connection's dialect; true: the message of that generation can be sent again. */
bool answer_teaches(struct connection *c, unsigned generation, const struct frame *failure);
void answer_forget(struct rpc_node *n); /* what was kept of answers */

#endif
