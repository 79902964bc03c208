/*
 * The messages that hearth sends to Spark nodes: what is in them, and how each kind of node wants them
 * serialized.
 *
 * A node reads Java objects whose classes carry its own identities (serialVersionUID), and Scala's
 * collections look different on nodes built with Scala 2.12 and 2.13. An rpc_dialect holds both: which of the
 * two it is, and what was learnt from a node's refusals. Nothing here knows a Spark version.
 *
 * Source     the table of messages was found by talking to Spark 3.0.3 to 4.3.0 (docs/spark-rpc.md).
 * Thread     whoever owns the values.
 */
#ifndef HEARTH_RPC_MESSAGE_H
#define HEARTH_RPC_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strs.h"

#include <stdbool.h>
#include <stdint.h>

enum rpc_scala { RPC_SCALA_212, RPC_SCALA_213 };

struct rpc_learnt { /* the identity of a class on this node */
    char *class;
    int64_t uid;
};

struct rpc_dialect {
    enum rpc_scala scala;
    struct rpc_learnt *learnt;
    size_t n_learnt;
};

void rpc_dialect_clear(struct rpc_dialect *d);

enum rpc_lesson {
    RPC_NO_LESSON, /* the text is no complaint about an identity, or there is nothing new in it */
    RPC_LESSON,    /* the dialect has changed: send the request again */
};
/* Reads the text of a failure frame ("InvalidClassException: …; local class incompatible: …") and adapts the
 * dialect to what the node says its own identity is. ERR_NOMEM counts as no lesson. */
enum rpc_lesson rpc_dialect_learn(struct rpc_dialect *d, const char *failure);

/* The name in the comment is the one of tests/vectors/spark-rpc (expected.json, "message"). */
enum rpc_kind {
    RPC_CHECK_EXISTENCE,    /* check_existence: text = endpoint's name */
    RPC_BOUND_PORTS,        /* bound_ports_request */
    RPC_MASTER_STATE,       /* request_master_state */
    RPC_WORKER_STATE,       /* request_worker_state */
    RPC_SUBMIT_DRIVER,      /* request_submit_driver: driver */
    RPC_KILL_DRIVER,        /* request_kill_driver: text = driver id */
    RPC_DRIVER_STATUS,      /* request_driver_status: text = driver id */
    RPC_KILL_ALL_DRIVERS,   /* request_kill_all_drivers */
    RPC_CLEAR,              /* request_clear */
    RPC_READYZ,             /* request_readyz */
    RPC_EXECUTORS,          /* request_executors: text = application id, an empty map */
    RPC_EXECUTORS_TOTAL,    /* request_executors_total: text = application id, number = profile id, total */
    RPC_KILL_EXECUTORS,     /* kill_executors: text = application id, list = executor ids */
    RPC_DECOMMISSION,       /* decommission_workers_on_hosts: list = hosts */
    RPC_UNREGISTER,         /* unregister_application: text = application id; one-way */
    RPC_WORKER_KILL_DRIVER, /* kill_driver: text = driver id; one-way, to a worker */
    RPC_SPARK_APP_CONFIG,   /* retrieve_spark_app_config: number = profile id */
    RPC_IS_EXECUTOR_ALIVE,  /* is_executor_alive: text = executor id */
    RPC_MEMORY_STATUS,      /* get_memory_status */
    RPC_KINDS
};

struct rpc_resource {
    const char *name;
    int64_t amount, parts;
};

/* org.apache.spark.deploy.DriverDescription with its Command. Everything is borrowed. */
struct rpc_driver {
    const char *jar_url;
    int64_t memory_mib;
    int64_t cores;
    bool supervise;
    const char *main_class;
    const struct strlist *arguments;
    const struct strmap *environment;
    const struct strlist *class_path, *library_path, *java_options;
    /* each of these five may be NULL: empty */
    const struct rpc_resource *resources;
    size_t n_resources;
};

struct rpc_message {
    enum rpc_kind kind;
    const char *text;
    int64_t number, total;
    const struct strlist *list;
    const struct rpc_driver *driver;
};

/* The endpoint that takes messages of that kind: "Master", "Worker", "endpoint-verifier", … */
const char *rpc_endpoint(enum rpc_kind kind);
bool rpc_is_one_way(enum rpc_kind kind);

/* A node's host and port, as a request names it. */
struct rpc_address {
    const char *host;
    uint16_t port;
};

/* Appends the body of a request frame: addresses, endpoint and the message as a Java stream, canonical, so
 * that the same message always has the same bytes. `sender` is NULL for a client that does not listen.
 * ERR_INVALID: a part of the message is missing, a number does not fit (they are Java's int), a host is no
 * ASCII or longer than 65,535 bytes, or this node cannot take such a message. `to` is as it was then, and
 * with ERR_NOMEM and ERR_TOO_LARGE (its limit), too. */
enum err_code rpc_message_write(const struct rpc_dialect *dialect, const struct rpc_address *sender,
                                const struct rpc_address *receiver, const struct rpc_message *message,
                                struct buf *to, struct err *err);

#endif
