/*
 * Answers that go on: what their owner appends waits here until libmicrohttpd asks for it.
 *
 * A stream with nothing to send is suspended, and libmicrohttpd does not watch suspended connections.
 * So the sweep asks each socket whether its client has hung up. A client that vanished without a word
 * shows when the system gives up repeating the comments that nobody acknowledges.
 */
#include "loop/http_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

enum {
    WAITING_MAX = 1024 * 1024, /* bytes beside the largest piece; a client for whom more waits is too slow */
    PIECE_MAX = 128 * 1024 * 1024, /* bytes in one call */
    BLOCK = 4096,                  /* for clients without chunked encoding */
};

static const char keep_alive[] = ": keep-alive\n\n";

struct http_stream {
    struct http_stream *prev, *next;
    struct http_server *server;
    struct http_request *request; /* whose connection is open */
    struct buf waiting;
    size_t taken;      /* bytes of `waiting` that libmicrohttpd has already */
    size_t largest;    /* piece since nothing was waiting, bytes */
    int64_t active_ms; /* monotonic; when something was last appended */
    bool ended;        /* nothing more will be appended */
    bool broken;       /* cut off: nothing more goes out */
    void (*on_close)(void *arg);
    void *arg;
};

/* libmicrohttpd asks for more of the body. */
static ssize_t on_read(void *request, uint64_t position, char *into, size_t max)
{
    (void)position;
    struct http_request *r = request;
    struct http_stream *s = r->stream;
    if (s == NULL || s->broken)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = s->waiting.len - s->taken;
    if (n > 0) {
        n = n < max ? n : max;
        memcpy(into, s->waiting.data + s->taken, n);
        s->taken += n;
        if (s->taken == s->waiting.len) {
            buf_clear(&s->waiting); /* a quiet stream holds no memory */
            s->taken = s->largest = 0;
        }
        return (ssize_t)n;
    }
    if (s->ended || s->server->closing)
        return MHD_CONTENT_READER_END_OF_STREAM;
    request_suspend(r);
    return 0;
}

static struct http_answer *make_answer(struct http_request *r, const char *content_type)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_read, r, NULL);
    struct http_answer *a = answer_wrap(200, content_type, 0, response);
    /* Without chunks: libmicrohttpd would send the last chunk of a body that a HEAD has not asked for. */
    if (a != NULL && r->is_head)
        (void)MHD_set_response_options(response, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
    if (a == NULL || (http_answer_header(a, "Cache-Control", "no-store") &&
                      http_answer_header(a, "X-Accel-Buffering", "no"))) /* a proxy must not collect it */
        return a;
    http_answer_unref(a);
    return NULL;
}

struct http_stream *http_reply_stream(struct http_request *r, const char *content_type,
                                      void (*on_close)(void *arg), void *arg)
{
    bool gone = r->connection == NULL; /* and the server perhaps too */
    struct http_stream *s = !gone ? mem_calloc(1, sizeof *s) : NULL;
    struct http_answer *a = s != NULL ? make_answer(r, content_type) : NULL;
    if (a == NULL) {
        mem_free(s);
        http_reply(r, NULL);
        return NULL;
    }
    *s = (struct http_stream){.server = r->server,
                              .request = r,
                              .waiting = BUF(WAITING_MAX + 2 * PIECE_MAX),
                              .active_ms = clock_mono_ms(),
                              .on_close = on_close,
                              .arg = arg};
    DL_APPEND(r->server->streams, s);
    r->stream = s;
    http_reply(r, a);
    return s;
}

static void cut_off(struct http_stream *s)
{
    s->broken = true;
    buf_clear(&s->waiting);
    s->taken = 0;
    if (s->request->socket != NULL)
        (void)shutdown(s->request->socket->fd, SHUT_RDWR); /* libmicrohttpd may be waiting to write */
    request_resume(s->request);
}

bool http_stream_send(struct http_stream *s, const char *bytes, size_t n)
{
    if (s->ended || s->broken)
        return false;
    if (s->taken > s->waiting.len / 2) {
        buf_drop(&s->waiting, s->taken); /* seldom, as it moves what is left */
        s->taken = 0;
    }
    bool too_much = n > PIECE_MAX || s->waiting.len - s->taken > s->largest + WAITING_MAX;
    if (!too_much)
        buf_add(&s->waiting, bytes, n);
    if (too_much || s->waiting.failed != ERR_OK) {
        cut_off(s);
        return false;
    }
    s->largest = n > s->largest ? n : s->largest;
    s->active_ms = clock_mono_ms();
    request_resume(s->request);
    return true;
}

void http_stream_end(struct http_stream *s)
{
    s->ended = true;
    request_resume(s->request);
}

void http_stream_cut(struct http_stream *s)
{
    if (!s->broken)
        cut_off(s);
}

size_t http_stream_waiting(const struct http_stream *s)
{
    return s->waiting.len - s->taken;
}

void stream_close(struct http_stream *s)
{
    void (*on_close)(void *) = s->on_close;
    void *arg = s->arg;
    DL_DELETE(s->server->streams, s);
    s->request->stream = NULL;
    buf_clear(&s->waiting);
    mem_free(s);
    on_close(arg);
}

/* Also when it has only closed its sending side: there is nobody who would do that and still read. */
static bool client_has_gone(const struct http_stream *s)
{
    if (s->request->socket == NULL)
        return false; /* memory was short when it connected; writing will tell */
    struct pollfd fd = {.fd = s->request->socket->fd, .events = POLLRDHUP};
    return poll(&fd, 1, 0) > 0;
}

void streams_sweep(struct http_server *server, int64_t now_ms)
{
    struct http_stream *s;
    DL_FOREACH(server->streams, s) /* none is closed here: libmicrohttpd has to let go of it first */
    {
        if (!s->broken && client_has_gone(s))
            cut_off(s);
        else if (now_ms - s->active_ms >= server->stream_quiet_ms)
            (void)http_stream_send(s, keep_alive,
                                   sizeof keep_alive - 1); /* false: it is on its way out already */
    }
}
