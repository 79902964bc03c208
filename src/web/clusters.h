/*
 * The door to the standalone clusters that hearth watches: /hearth/clusters….
 *
 * Lifetime   cluster_door_open() .. cluster_door_stop(), after clusters_stop() and before the server is
 * closed
 *            .. cluster_door_close(), after the server was closed.
 * Thread     loop thread only.
 */
#ifndef HEARTH_WEB_CLUSTERS_H
#define HEARTH_WEB_CLUSTERS_H

#include "cluster/clusters.h"
#include "door/door.h"
#include "loop/http.h"

struct cluster_door; /* opaque */

struct cluster_door_options {
    struct http_server *server;
    struct clusters *clusters;
    const struct door *door;
};

struct cluster_door *cluster_door_open(const struct cluster_door_options *options); /* NULL: out of memory */
void cluster_door_stop(struct cluster_door *d);  /* answers what is under way. NULL is fine */
void cluster_door_close(struct cluster_door *d); /* NULL is fine */

#endif
