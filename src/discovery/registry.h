/*
 * The registry: all offers, each changed by one request after the other.
 *
 *   change ──► waits its turn ──► applied to a copy ──► stored ──► files written ──► shown, told
 *
 * What is shown (registry_find, answers, events, files) has been stored before: after a kill -9 no version
 * goes back. A change that cannot be stored leaves no trace. Files that cannot be written do not hold a
 * change up: it is logged, and they are tried again every second.
 *
 * Leases   end by themselves, those too that ran out while no server ran: before anything is shown.
 * Lifetime registry_open() .. registry_stop() .. registry_free() once the loop has run empty.
 * Thread   loop thread only; files are written on a worker thread.
 */
#ifndef HEARTH_DISCOVERY_REGISTRY_H
#define HEARTH_DISCOVERY_REGISTRY_H

#include "discovery/offer.h"
#include "store/store.h"

#include <uv.h>

enum { REGISTRY_OFFERS_MAX = 256 }; /* known at a time, those without units too */

struct registry; /* opaque */

/* Reads what is stored; `dir` is made, and gets NAME.json and NAME.env of each offer. */
enum err_code registry_open(uv_loop_t *loop, struct store *store, const char *dir, struct registry **ret,
                            struct err *err);
/* Changes that wait, and later ones, fail with ERR_BUSY. NULL is fine. */
void registry_stop(struct registry *r);
void registry_free(struct registry *r); /* NULL is fine */

/* An offer as it is shown. Borrowed until control returns to the loop. */
struct registry_view {
    const struct offer *offer;
    const char *json;
};

/* False: nobody has ever joined an offer of that name. */
bool registry_find(const struct registry *r, const char *name, struct registry_view *ret);
/* All of them, by name. */
void registry_each(struct registry *r, void (*on_offer)(struct registry_view view, void *arg), void *arg);

/* `created`: the change brought a new unit. */
typedef void registry_done(const struct err *err, struct registry_view view, bool created, void *arg);
/* Takes what the change points to. `done` comes once, perhaps before this returns; err->code tells, the view
 * is empty when it is not ERR_OK. ERR_NOT_FOUND: no such offer or unit. ERR_BUSY: a limit is reached. */
void registry_change(struct registry *r, const char *name, struct offer_change *change, registry_done *done,
                     void *arg);

/* Somebody who wants to know of an offer's changes, also of one that nobody has joined yet. */
struct registry_watcher {
    struct registry_watcher *prev, *next;
    struct registry_entry *entry; /* NULL: not watching */
    /* `events` are n bytes of server-sent events, NULL when memory is short. The watcher may leave inside. */
    void (*on_change)(struct registry_view view, const char *events, size_t n, void *arg);
    void *arg;
};
bool registry_watch(struct registry *r, const char *name, struct registry_watcher *w); /* false: no memory */
void registry_unwatch(struct registry_watcher *w); /* one that does not watch is fine */

#endif
