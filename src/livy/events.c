/*
 * GET /sessions/{id}/events: a session's changes as they come, as server-sent events.
 *
 *   event: state       {"state": …}: at first, and whenever it changes; the last one before the end
 *   event: statement   a statement, whenever its state or its progress changes
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <inttypes.h>

enum { EVENT_BYTES_MAX = 512 << 20 };

struct following {
    struct session_watcher watcher;
    struct http_stream *stream;
    uint64_t events;         /* sent so far; each carries its number */
    enum session_state told; /* the last state that was sent */
};

static void begin(struct following *f, struct buf *text, const char *event, struct json_out *out)
{
    buf_printf(text, "id: %" PRIu64 "\nevent: %s\ndata: ", ++f->events, event);
    json_out_open(out, text);
}

/* False: the client is lost; on_closed() follows. */
static bool finish(struct following *f, struct buf *text)
{
    buf_str(text, "\n\n");
    if (text->failed == ERR_OK && http_stream_send(f->stream, text->data, text->len))
        return true;
    session_unwatch(&f->watcher);
    http_stream_end(f->stream);
    return false;
}

static bool send_state(struct following *f, enum session_state state)
{
    cleanup(buf_clear) struct buf text = BUF(EVENT_BYTES_MAX);
    struct json_out out;
    f->told = state;
    begin(f, &text, "state", &out);
    json_out_object(&out, NULL);
    json_out_str(&out, "state", session_state_name(state));
    json_out_end_object(&out);
    return finish(f, &text);
}

static void send_statement(struct following *f, const struct item_view *item)
{
    cleanup(buf_clear) struct buf text = BUF(EVENT_BYTES_MAX);
    struct json_out out;
    begin(f, &text, "statement", &out);
    view_statement(&out, item);
    (void)finish(f, &text); /* it has seen to it */
}

static void on_event(struct session *session, const struct item_view *item, bool over, void *arg)
{
    struct following *f = arg;
    enum session_state state = session_state(session);
    if (item != NULL)
        send_statement(f, item);
    else if (state != f->told && !send_state(f, state))
        return;
    if (over)
        http_stream_end(f->stream);
}

static void on_closed(void *arg)
{
    struct following *f = arg;
    session_unwatch(&f->watcher);
    mem_free(f);
}

void session_follow(struct http_request *r, void *arg)
{
    struct session *session = livy_find_session(arg, r, RIGHT_VIEW);
    if (session == NULL)
        return;
    struct following *f = mem_calloc(1, sizeof *f);
    if (f == NULL) {
        http_reply(r, NULL);
        return;
    }
    f->watcher.on_event = on_event;
    f->watcher.arg = f;
    f->stream = http_reply_stream(r, "text/event-stream;charset=utf-8", on_closed, f);
    if (f->stream == NULL) { /* answered */
        mem_free(f);
        return;
    }
    enum session_state state = session_state(session);
    if (!send_state(f, state))
        return;
    if (session_state_is_end(state))
        http_stream_end(f->stream);
    else
        session_watch(session, &f->watcher);
}
