/*
 * What the parts of discovery share.
 *
 *   offer.c, offer_text.c   an offer: its rules, and as text
 *   registry.c              all offers: one change after the other, stored, in files, told
 *   discovery.c             the whole
 *   routes.c                the routes
 *   held.c                  requests that wait for a change
 *   follow.c                server-sent events
 *   own.c                   hearth's own units: the clusters that it watches
 */
#ifndef HEARTH_DISCOVERY_DISCOVERY_INTERNAL_H
#define HEARTH_DISCOVERY_DISCOVERY_INTERNAL_H

#include "discovery/discovery.h"
#include "discovery/registry.h"

struct held;
struct own;

struct discovery {
    uv_loop_t *loop;
    const struct settings *settings;
    struct registry *registry;
    struct held *held; /* those that are not answered yet */
    struct own *own;   /* NULL: no clusters */
};

/* ---- routes.c ---- */

void discovery_mount(struct discovery *d, struct http_server *server);
/* {"error": text} with the status of the code. */
void discovery_reply_error(struct http_request *r, const struct err *err);
/* The offer with its ETag; 304 when the client has it already; 404 when nobody ever joined it. */
void discovery_reply_offer(struct discovery *d, struct http_request *r, const char *name);
void discovery_follow(struct http_request *r, void *discovery); /* follow.c */

/* ---- held.c ---- */

/* Answers with discovery_reply_offer() as soon as the version is above `since`, at the latest after wait_ms.
 */
void held_add(struct discovery *d, struct http_request *r, const char *name, int64_t since, int64_t wait_ms);
void held_answer_all(struct discovery *d);

/* ---- own.c ---- */

/* Makes `self` of each watched cluster's offer follow that cluster, and takes it from the offers of clusters
 * that are not watched any more. */
enum err_code own_open(struct discovery *d, struct clusters *clusters, struct err *err);
void own_stop(struct own *own); /* NULL is fine */
void own_free(struct own *own); /* NULL is fine */

#endif
