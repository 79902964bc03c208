/*
 * The provisioner: data products are deployed from descriptors, by the API of the Witboost specific
 * provisioner for Spark jobs (/v1/validate, /v1/provision, …). A component of a descriptor becomes a schedule
 * that runs its program.
 *
 * docs/provisioner.md tells calls, rules and differences.
 *
 * Lifetime   provision_open(), after scheduler_open() and before scheduler_start() .. provision_stop(),
 *            before the HTTP server is closed .. provision_free() once the loop has run empty.
 * Thread     loop thread only.
 */
#ifndef HEARTH_PROVISION_PROVISION_H
#define HEARTH_PROVISION_PROVISION_H

#include "app/app.h"
#include "base/settings.h"
#include "door/door.h"
#include "loop/http.h"
#include "scheduler/scheduler.h"
#include "store/store.h"

#include <uv.h>

struct provision; /* opaque */

struct provision_options {
    uv_loop_t *loop;
    struct http_server *server;
    struct scheduler *scheduler;
    struct store *store;
    struct apps *apps;
    struct door *door;
    const struct settings *settings;
};

/* Adds its door to the scheduler and mounts the routes. ERR_INVALID: a setting that cannot be obeyed. */
enum err_code provision_open(const struct provision_options *options, struct provision **ret,
                             struct err *err);
/* Lets go of other servers: no callback comes any more. NULL is fine. */
void provision_stop(struct provision *p);
void provision_free(struct provision *p); /* NULL is fine */

#endif
