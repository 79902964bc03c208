/*
 * hearth's own units: what it sees of each watched cluster is unit `self` of the offer of the cluster's name.
 *
 * After a start the unit stays as it was stored until the cluster was looked at for the first time: a restart
 * of hearth is no news about the cluster.
 */
#include "discovery/discovery_internal.h"

#include "base/log.h"
#include "base/mem.h"

#include <string.h>

enum { RETRY_MS = 1000 };

struct own {
    struct discovery *discovery;
    struct clusters *clusters;
    uv_timer_t again; /* runs when something could not be stored */
    bool stopped;
};

/* The address is the masters' URL as it is configured; Spark finds the leader among them by itself. */
static enum err_code describe(const struct cluster *c, struct offer_change *change)
{
    const char *leader = cluster_leader_host(c);
    change->given = OFFER_ALL_FIELDS;
    change->values.spark_started = cluster_reachable(c) ? OFFER_TRUE : OFFER_FALSE;
    change->values.rest_port = cluster_rest_port(c);
    if (mem_set_str(&change->values.connection_string, masters_url(cluster_masters(c))) != 0 ||
        mem_set_str(&change->values.master, leader) != 0)
        return ERR_NOMEM;
    return ERR_OK;
}

static void on_again(uv_timer_t *timer);

static void try_again(struct own *o)
{
    if (!o->stopped)
        (void)uv_timer_start(&o->again, on_again, RETRY_MS, 0);
}

static void on_done(const struct err *err, struct registry_view view, bool created, void *arg)
{
    (void)view;
    (void)created;
    if (err->code != ERR_OK && err->code != ERR_NOT_FOUND)
        try_again(arg);
}

/* Tells the registry how the cluster is; nothing happens when that is known. */
static void tell(struct own *o, const struct cluster *c)
{
    struct offer_change change = {.kind = OFFER_PUT, .unit = OFFER_OWN_UNIT, .own = true};
    struct err err;
    if (offer_check_name("an offer", cluster_name(c), &err) != ERR_OK) {
        log_warn("a cluster is not offered", LOG_S("why", err.msg));
        return;
    }
    if (describe(c, &change) == ERR_OK) {
        registry_change(o->discovery->registry, cluster_name(c), &change, on_done, o);
        return;
    }
    offer_change_clear(&change);
    try_again(o);
}

static bool is_offered(const struct own *o, const char *name)
{
    struct registry_view view;
    return registry_find(o->discovery->registry, name, &view) &&
           offer_unit(view.offer, OFFER_OWN_UNIT) != NULL;
}

/* Departs from an offer when no cluster of that name is watched (any more). */
static void depart(struct registry_view view, void *arg)
{
    struct own *o = arg;
    struct offer_change change = {.kind = OFFER_LEAVE, .unit = OFFER_OWN_UNIT};
    bool watched = o->clusters != NULL && clusters_find(o->clusters, view.offer->name) != NULL;
    if (offer_unit(view.offer, OFFER_OWN_UNIT) != NULL && !watched)
        registry_change(o->discovery->registry, view.offer->name, &change, on_done, o);
}

static void tell_all(struct own *o, bool only_new)
{
    registry_each(o->discovery->registry, depart, o);
    for (size_t i = 0; o->clusters != NULL && i < clusters_count(o->clusters); i++) {
        const struct cluster *c = clusters_at(o->clusters, i);
        bool news = !only_new && cluster_was_asked(c); /* until then the unit stays as it was */
        if (news || !is_offered(o, cluster_name(c)))
            tell(o, c);
    }
}

static void on_again(uv_timer_t *timer)
{
    tell_all(timer->data, false);
}

static void on_cluster(struct cluster *c, void *arg)
{
    tell(arg, c);
}

enum err_code own_open(struct discovery *d, struct clusters *clusters, struct err *err)
{
    struct own *o = mem_calloc(1, sizeof *o);
    if (o == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    o->discovery = d;
    o->clusters = clusters;
    (void)uv_timer_init(d->loop, &o->again);
    o->again.data = o;
    d->own = o;
    tell_all(o, true);
    if (clusters != NULL)
        clusters_on_change(clusters, on_cluster, o);
    return ERR_OK;
}

void own_stop(struct own *o)
{
    if (o == NULL || o->stopped)
        return;
    o->stopped = true;
    if (o->clusters != NULL)
        clusters_on_change(o->clusters, NULL, NULL);
    uv_close((uv_handle_t *)&o->again, NULL);
}

void own_free(struct own *o)
{
    mem_free(o);
}
