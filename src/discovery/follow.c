/* GET /v1/discovery/{name}/events: an offer's changes as they come, as server-sent events. */
#include "discovery/discovery_internal.h"

#include "base/mem.h"
#include "base/parse.h"

#include <string.h>

enum { EVENTS_BEHIND_MAX = 1000 };

struct follower {
    struct registry_watcher watcher;
    struct http_stream *stream;
    /* The sizes of those events that may not have gone out yet, the oldest at `first`. */
    uint32_t sizes[EVENTS_BEHIND_MAX];
    size_t first, n;
    size_t bytes; /* of all these */
};

/* Forgets the events that have gone out: what waits is the end of what was sent. */
static void forget_gone(struct follower *f)
{
    size_t waiting = http_stream_waiting(f->stream);
    while (f->n > 0 && f->bytes - f->sizes[f->first] >= waiting) {
        f->bytes -= f->sizes[f->first];
        f->first = (f->first + 1) % EVENTS_BEHIND_MAX;
        f->n--;
    }
}

static void cut(struct follower *f)
{
    registry_unwatch(&f->watcher);
    http_stream_cut(f->stream);
}

/* A change is one piece, whatever number of events tell of it. */
static void send_piece(struct follower *f, const char *events, size_t size)
{
    forget_gone(f);
    if (events == NULL || f->n == EVENTS_BEHIND_MAX || !http_stream_send(f->stream, events, size)) {
        cut(f); /* it connects again and gets the present state alone */
        return;
    }
    f->sizes[(f->first + f->n) % EVENTS_BEHIND_MAX] = (uint32_t)size;
    f->n++;
    f->bytes += size;
}

static void on_change(struct registry_view view, const char *events, size_t n, void *arg)
{
    (void)view;
    send_piece(arg, events, n);
}

static void on_closed(void *arg)
{
    struct follower *f = arg;
    registry_unwatch(&f->watcher);
    mem_free(f);
}

/* What the client has seen: its Last-Event-ID; -1 when it gives none that could be. */
static int64_t last_seen(const struct http_request *r)
{
    const char *text = http_header(r, "Last-Event-ID");
    int64_t version = -1;
    if (text != NULL && parse_i64(text, 0, INT64_MAX, &version, NULL) != ERR_OK)
        return -1;
    return version;
}

/* An offer that is empty is only told to one who may think that it is not. */
static bool must_be_told(const struct offer *o, int64_t seen)
{
    return seen >= 0 ? seen != o->version : o->n > 0;
}

static void send_present(struct follower *f, const struct offer *o)
{
    cleanup(buf_clear) struct buf event = BUF(2 * OFFER_JSON_MAX);
    offer_write_present(&event, o);
    send_piece(f, event.failed == ERR_OK ? event.data : NULL, event.len);
}

void discovery_follow(struct http_request *r, void *arg)
{
    struct discovery *d = arg;
    struct registry_view view = {0};
    struct err err;
    char name[OFFER_NAME_MAX + 1];
    if (offer_check_name("an offer", http_param(r, 0), &err) != ERR_OK) {
        discovery_reply_error(r, &err);
        return;
    }
    (void)snprintf(name, sizeof name, "%s", http_param(r, 0));
    int64_t seen = last_seen(r);
    struct follower *f = mem_calloc(1, sizeof *f);
    if (f == NULL || !registry_watch(d->registry, name, &f->watcher)) {
        mem_free(f);
        http_reply(r, NULL);
        return;
    }
    f->watcher.on_change = on_change;
    f->watcher.arg = f;
    f->stream = http_reply_stream(r, "text/event-stream;charset=utf-8", on_closed, f);
    if (f->stream == NULL) { /* answered */
        registry_unwatch(&f->watcher);
        mem_free(f);
        return;
    }
    if (registry_find(d->registry, name, &view) && must_be_told(view.offer, seen))
        send_present(f, view.offer);
}
