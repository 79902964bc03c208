/*
 * The Livy door: Livy's REST API for batches and sessions, and hearth's own additions to it below
 * /hearth/batches and /hearth/sessions.
 *
 * Wire behaviour follows Apache Livy 0.9; docs/livy-compatibility.md lists where hearth differs.
 *
 * Lifetime   livy_open() .. livy_close(), after the server was closed.
 * Thread     loop thread only.
 */
#ifndef HEARTH_LIVY_LIVY_H
#define HEARTH_LIVY_LIVY_H

#include "app/app.h"
#include "base/settings.h"
#include "door/door.h"
#include "loop/http.h"
#include "session/session.h"

struct livy; /* opaque */

struct livy_options {
    uv_loop_t *loop;
    struct http_server *server;
    struct apps *apps;
    struct sessions *sessions;
    struct door *door;
    const struct settings *settings;
};

/* Mounts the routes, and the access rules as the server's filter. */
enum err_code livy_open(const struct livy_options *options, struct livy **ret, struct err *err);
void livy_close(struct livy *l);

#endif
