/*
 * The REST submission server of a standalone master (port 6066, spark.master.rest.enabled), as a client.
 *
 * Its answers may be HTML or 200 with success false; here each call ends with what it means.
 *
 * Thread     loop thread only.
 * Source     docs/spark-rpc.md, "REST".
 */
#ifndef HEARTH_CLUSTER_SUBMISSION_SERVER_H
#define HEARTH_CLUSTER_SUBMISSION_SERVER_H

#include "base/err.h"
#include "base/strs.h"
#include "loop/http_client.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { SUBMISSION_SERVER_PORT = 6066 };

/* A driver as POST /v1/submissions/create takes it. Everything is borrowed. */
struct submission_server_driver {
    const char *app_resource; /* URL of a jar or a .py, reachable by workers */
    const char *main_class;
    const struct strlist *arguments;
    const struct strmap *environment;
    const struct strmap *properties; /* spark.app.name and spark.master among them */
    const char *spark_version;       /* clientSparkVersion */
};

struct submission_server_answer {
    /* ERR_OK: the server did or told what was asked. ERR_NOT_FOUND: it does not know that driver. ERR_BUSY:
     * it is no leader, nothing was done. ERR_INVALID: it refused. ERR_IO, ERR_TIMEOUT: no or a broken answer.
     */
    struct err err;
    bool uncertain;                           /* it may have been acted upon, though there is no answer */
    const char *driver_id;                    /* of a creation; NULL otherwise */
    const char *driver_state;                 /* of a status: "RUNNING"; NULL otherwise */
    const char *worker_id, *worker_host_port; /* of a status; NULL: not placed */
    const char *message;                      /* the server's words, first line; or NULL */
    const char *spark_version;                /* serverSparkVersion; or NULL */
};

typedef void submission_server_cb(const struct submission_server_answer *answer, void *arg);

struct submission_server_call; /* opaque; invalid once the callback came */

/* `base` is "http://host:6066". NULL: out of memory, the callback does not come. */
struct submission_server_call *submission_server_create(struct http_client *c, const char *base,
                                                        const struct submission_server_driver *driver,
                                                        int64_t timeout_ms, submission_server_cb *done,
                                                        void *arg);
struct submission_server_call *submission_server_status(struct http_client *c, const char *base,
                                                        const char *driver_id, int64_t timeout_ms,
                                                        submission_server_cb *done, void *arg);
struct submission_server_call *submission_server_kill(struct http_client *c, const char *base,
                                                      const char *driver_id, int64_t timeout_ms,
                                                      submission_server_cb *done, void *arg);
void submission_server_cancel(struct submission_server_call *call); /* the callback does not come any more */

#endif
