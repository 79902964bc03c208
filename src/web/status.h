/*
 * The door for operations: /healthz, /readyz, /metrics/ping, /hearth/status.
 *
 * Lifetime   status_open() .. status_close(), after the server was closed.
 * Thread     loop thread only.
 */
#ifndef HEARTH_WEB_STATUS_H
#define HEARTH_WEB_STATUS_H

#include "app/app.h"
#include "base/settings.h"
#include "loop/http.h"
#include "scheduler/scheduler.h"
#include "session/session.h"
#include "spark/spark.h"
#include "store/store.h"

struct status; /* opaque */

struct status_options {
    struct http_server *server;
    struct apps *apps;
    struct sessions *sessions;
    const struct scheduler *scheduler;
    struct store *store;
    const struct spark *spark; /* NULL: none was found */
    const char *spark_missing; /* why */
    const struct settings *settings;
};

struct status *status_open(const struct status_options *options); /* NULL: out of memory */
void status_close(struct status *s);

#endif
