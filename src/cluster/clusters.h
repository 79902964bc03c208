/*
 * The standalone clusters that hearth knows: those of the configuration, each watched with its own period,
 * and those that applications name by their master's URL, which are only connected to.
 *
 * A watched cluster keeps its last good state with its age; when it cannot be reached the state stays, with
 * the trouble beside it. What a master's RPC does not tell (states of workers, used cores) is read from its
 * page's /json/ at the same time, when the page can be reached; without it those fields are null.
 *
 * Lifetime   clusters_open() .. clusters_stop() .. clusters_free() once the loop has run empty.
 * Thread     loop thread only.
 */
#ifndef HEARTH_CLUSTER_CLUSTERS_H
#define HEARTH_CLUSTER_CLUSTERS_H

#include "base/err.h"
#include "base/settings.h"
#include "cluster/masters.h"
#include "loop/http_client.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct clusters; /* opaque */
struct cluster;  /* one watched cluster; valid until clusters_free() */

/* Settings: clusters.watch (NAME=spark://host:port[,host:port][@PERIOD], …), clusters.secrets_file,
 * clusters.period. ERR_INVALID names the entry and what is allowed. */
enum err_code clusters_open(uv_loop_t *loop, const struct settings *settings, struct clusters **ret,
                            struct err *err);
void clusters_stop(struct clusters *c); /* NULL is fine; no callback comes any more */
void clusters_free(struct clusters *c); /* NULL is fine */

/* The connections to a cluster that is named by its URL; a watched one with the same URL shares its own, with
 * its secret. The first use of another URL makes a group, which is dropped when nobody used it for ten
 * minutes; so the result is valid until control returns to the loop. ERR_INVALID: not a URL of masters.
 * `secret` (NULL: none) counts for a URL that is not watched, or is watched without one. */
enum err_code clusters_masters(struct clusters *c, const char *url, const char *secret, struct masters **ret,
                               struct err *err);
struct http_client *clusters_http(struct clusters *c);

size_t clusters_count(const struct clusters *c);
struct cluster *clusters_at(struct clusters *c, size_t index); /* in the order of the configuration */
struct cluster *clusters_find(struct clusters *c, const char *name);
struct cluster *clusters_find_url(struct clusters *c, const char *url); /* a watched one; or NULL */

const char *cluster_name(const struct cluster *c);
struct masters *cluster_masters(const struct cluster *c); /* NULL after clusters_stop() */
/* What is known, as the JSON object of docs/rest.md "Clusters" (new reference, the caller's; NULL: no
 * memory). */
json_t *cluster_json(const struct cluster *c, bool with_details);
/* Something was ordered that will show soon: it is looked at twice a second for half a minute. */
void cluster_expect_change(struct cluster *c);
/* True once it has been looked at, whatever that showed. */
bool cluster_was_asked(const struct cluster *c);
/* True when its leader answered last time it was asked. */
bool cluster_reachable(const struct cluster *c);
const char *cluster_leader_host(const struct cluster *c); /* NULL: none known */
int64_t cluster_rest_port(const struct cluster *c);       /* 0: none known */
/* Called on the loop when reachability, leader or REST port of a watched cluster change, and after the first
 * look at it, whatever that showed; one listener (NULL: none). */
void clusters_on_change(struct clusters *c, void (*on_change)(struct cluster *cluster, void *arg), void *arg);

/* The same object for any group of masters, asked now: what `hearth cluster URL` prints. The object is
 * borrowed for the time of the callback and always there (NULL: no memory); "reachable" false when nobody
 * answered. Without `http` the page is not read. */
void cluster_look(struct masters *m, struct http_client *http, bool with_details, int64_t timeout_ms,
                  void (*done)(json_t *object, void *arg), void *arg);

#endif
