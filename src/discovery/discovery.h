/*
 * Discovery: who needs a Spark learns where it is. Providers register themselves as units of an offer;
 * clients ask, wait, or follow, over HTTP (/v1/discovery), by server-sent events, or from files that are
 * replaced atomically. docs/discovery.md is the contract.
 *
 * hearth itself is unit `self` of an offer for each cluster that it watches.
 *
 * Lifetime   discovery_open() .. discovery_stop(), before the HTTP server is closed .. discovery_free() once
 *            the loop has run empty.
 * Thread     loop thread only.
 */
#ifndef HEARTH_DISCOVERY_DISCOVERY_H
#define HEARTH_DISCOVERY_DISCOVERY_H

#include "base/settings.h"
#include "cluster/clusters.h"
#include "loop/http.h"
#include "store/store.h"

#include <uv.h>

struct discovery; /* opaque */

struct discovery_options {
    uv_loop_t *loop;
    struct http_server *server;
    struct store *store;
    struct clusters *clusters; /* NULL: none are watched */
    const struct settings *settings;
};

/* Reads what is stored, mounts the routes, and listens to the clusters. ERR_IO: the folder for the files
 * cannot be made, or the stored offers cannot be read. */
enum err_code discovery_open(const struct discovery_options *options, struct discovery **ret,
                             struct err *err);
/* Answers the requests that are held. NULL is fine. */
void discovery_stop(struct discovery *d);
void discovery_free(struct discovery *d); /* NULL is fine */

#endif
