/* Requests that are held until an offer changes: GET /v1/discovery/{name}?wait=…&since=… */
#include "discovery/discovery_internal.h"

#include "base/mem.h"

#include <utlist.h>

struct held {
    struct held *prev, *next;
    struct discovery *discovery;
    struct http_request *request;
    char name[OFFER_NAME_MAX + 1];
    int64_t since;
    struct registry_watcher watcher;
    uv_timer_t timer;
};

static void on_closed(uv_handle_t *timer)
{
    mem_free(timer->data);
}

static void answer(struct held *h)
{
    DL_DELETE(h->discovery->held, h);
    registry_unwatch(&h->watcher);
    discovery_reply_offer(h->discovery, h->request, h->name);
    uv_close((uv_handle_t *)&h->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    answer(timer->data);
}

static void on_change(struct registry_view view, const char *events, size_t n, void *arg)
{
    struct held *h = arg;
    (void)events;
    (void)n;
    if (view.offer->version > h->since)
        answer(h);
}

void held_add(struct discovery *d, struct http_request *r, const char *name, int64_t since, int64_t wait_ms)
{
    struct held *h = mem_calloc(1, sizeof *h);
    if (h == NULL || !registry_watch(d->registry, name, &h->watcher)) {
        mem_free(h);
        http_reply(r, NULL);
        return;
    }
    h->discovery = d;
    h->request = r;
    h->since = since;
    h->watcher.on_change = on_change;
    h->watcher.arg = h;
    (void)snprintf(h->name, sizeof h->name, "%s", name);
    (void)uv_timer_init(d->loop, &h->timer);
    h->timer.data = h;
    uv_update_time(d->loop); /* timers count from the loop's time */
    (void)uv_timer_start(&h->timer, on_timer, (uint64_t)wait_ms, 0);
    DL_APPEND(d->held, h);
}

void held_answer_all(struct discovery *d)
{
    while (d->held != NULL)
        answer(d->held);
}
