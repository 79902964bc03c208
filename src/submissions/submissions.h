/*
 * The submissions door: Spark's own REST submission protocol (/v1/submissions), so that
 * `spark-submit --deploy-mode cluster --master spark://HOST:PORT` and other clients of a standalone master's
 * port 6066 can submit to hearth. What comes in here is a batch like any other.
 *
 * As with a master, the cluster is the one that is asked: master and deploy mode are hearth's settings,
 * whatever the request says. docs/rest.md lists calls, answers and errors.
 *
 * Lifetime   submissions_open() .. submissions_close(), after the server was closed.
 * Thread     loop thread only.
 */
#ifndef HEARTH_SUBMISSIONS_SUBMISSIONS_H
#define HEARTH_SUBMISSIONS_SUBMISSIONS_H

#include "app/app.h"
#include "base/settings.h"
#include "door/door.h"
#include "loop/http.h"
#include "spark/spark.h"

struct submissions; /* opaque */

struct submissions_options {
    struct http_server *server;
    struct apps *apps;
    struct door *door;
    const struct spark *spark; /* NULL: none was found, and spark_missing tells why */
    const char *spark_missing;
    const struct settings *settings;
};

/* Mounts the routes. NULL: out of memory. */
struct submissions *submissions_open(const struct submissions_options *options);
void submissions_close(struct submissions *s); /* NULL is fine */

#endif
