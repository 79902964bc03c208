/*
 * A Spark node in the test's own process and loop: it answers with golden bytes, or does what the test tells
 * it.
 *
 * Nothing of it allocates through base/mem.h, so that tests may let the Nth allocation of the tested part
 * fail.
 */
#ifndef HEARTH_TESTS_FAKE_NODE_H
#define HEARTH_TESTS_FAKE_NODE_H

#include "rpc_vectors.h"

#include "base/clock.h"
#include "rpc/frame.h"

#include <arpa/inet.h>
#include <string.h>
#include <utlist.h>
#include <uv.h>

enum { FAKE_PATIENCE_MS = 60 * 1000, FAKE_IN_MAX = 1 << 20, FAKE_VECTORS_MAX = 64 };

struct fake_peer;
/* What it does with a frame that came; `frame` lives as long as the call. */
typedef void fake_act(struct fake_peer *peer, const struct frame *frame);

struct fake_node {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uint16_t port;
    const char *version; /* folder of vectors */
    fake_act *act;       /* with each frame but the question for the dialect; NULL: fake_answer */
    fake_act *discover;  /* with that one; NULL: fake_discover */
    const char *state;   /* vector of the answer to RPC_MASTER_STATE */
    const char *answer;  /* vector of the answer to everything else */
    struct fake_peer *peers;
    unsigned n_connections, n_open, n_asked; /* the latter without questions for the dialect */
    bool is_up, is_ipv6;
    bool is_deaf; /* stops reading once it is asked for the dialect */
};

struct fake_peer {
    struct fake_peer *prev, *next;
    uv_tcp_t tcp;
    struct fake_node *node;
    bool is_closing;
    size_t len;
    uint8_t in[FAKE_IN_MAX];
};

/* ---- bytes out ---- */

static inline void fake_on_sent(uv_write_t *write, int status)
{
    (void)status;
    free(write->data);
    free(write);
}

static inline void fake_send(struct fake_peer *peer, const void *bytes, size_t n)
{
    uv_write_t *write = calloc(1, sizeof *write);
    write->data = malloc(n);
    memcpy(write->data, bytes, n);
    uv_buf_t all = uv_buf_init(write->data, (unsigned)n);
    if (peer->is_closing || uv_write(write, (uv_stream_t *)&peer->tcp, &all, 1, fake_on_sent) != 0)
        fake_on_sent(write, 0);
}

static inline void fake_put_number(uint8_t *to, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
}

/* A frame of type 4 or 5. */
static inline void fake_reply(struct fake_peer *peer, enum frame_type type, int64_t id, const void *body,
                              size_t n)
{
    uint8_t *bytes = malloc(21 + n);
    fake_put_number(bytes, 21 + n, 8);
    bytes[8] = (uint8_t)type;
    fake_put_number(bytes + 9, (uint64_t)id, 8);
    fake_put_number(bytes + 17, n, 4);
    memcpy(bytes + 21, body, n);
    fake_send(peer, bytes, 21 + n);
    free(bytes);
}

static inline void fake_fail(struct fake_peer *peer, int64_t id, const char *text)
{
    fake_reply(peer, FRAME_FAILURE, id, text, strlen(text));
}

/* Vectors are read once, and not while allocations fail. */
struct fake_vector {
    char name[128];
    size_t len;
    uint8_t *bytes;
};

static inline const struct fake_vector *fake_vector(const char *folder, const char *name)
{
    static struct fake_vector known[FAKE_VECTORS_MAX];
    static size_t n;
    char full[128];
    (void)snprintf(full, sizeof full, "%s/%s", folder, name);
    for (size_t i = 0; i < n; i++)
        if (strcmp(known[i].name, full) == 0)
            return &known[i];
    assert_true(n < FAKE_VECTORS_MAX);
    struct buf bytes = vector_bytes(folder, name, ".hex");
    struct fake_vector *v = &known[n++];
    memcpy(v->name, full, sizeof full);
    v->len = bytes.len;
    v->bytes = malloc(bytes.len);
    memcpy(v->bytes, bytes.data, bytes.len);
    buf_clear(&bytes);
    return v;
}

/* The bytes of an answer, under the id of the request that is answered. */
static inline void fake_send_vector(struct fake_peer *peer, const char *folder, const char *name, int64_t id)
{
    const struct fake_vector *v = fake_vector(folder, name);
    uint8_t *bytes = malloc(v->len);
    memcpy(bytes, v->bytes, v->len);
    fake_put_number(bytes + 9, (uint64_t)id, 8);
    fake_send(peer, bytes, v->len);
    free(bytes);
}

/* ---- what it does by itself ---- */

static inline bool fake_mentions(const struct frame *frame, const char *text)
{
    return memmem(frame->body, frame->len, text, strlen(text)) != NULL;
}

static inline bool fake_has_identity(const struct frame *frame, int64_t uid)
{
    uint8_t bytes[8];
    fake_put_number(bytes, (uint64_t)uid, 8);
    return memmem(frame->body, frame->len, bytes, 8) != NULL;
}

static inline void fake_discover(struct fake_peer *peer, const struct frame *frame)
{
    bool is_213 = strcmp(peer->node->version, "4.0.1") == 0;
    bool is_right = fake_has_identity(frame, is_213 ? 5378738997755484868 : 7789290765573734431);
    fake_send_vector(peer, peer->node->version,
                     is_right ? "check-existence-master.response" : "check-existence-other-dialect.response",
                     frame->id);
}

static inline void fake_answer(struct fake_peer *peer, const struct frame *frame)
{
    struct fake_node *n = peer->node;
    if (frame->type == FRAME_REQUEST)
        fake_send_vector(peer, n->version, fake_mentions(frame, "RequestMasterState$") ? n->state : n->answer,
                         frame->id);
}

/* ---- connections ---- */

static inline void fake_on_peer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static inline void fake_close(struct fake_peer *peer)
{
    if (peer->is_closing)
        return;
    peer->is_closing = true;
    DL_DELETE(peer->node->peers, peer);
    peer->node->n_open--;
    uv_close((uv_handle_t *)&peer->tcp, fake_on_peer_closed);
}

static inline void fake_take(struct fake_peer *peer, const uint8_t *bytes, size_t n)
{
    struct fake_node *node = peer->node;
    size_t head = bytes[8] == FRAME_ONE_WAY ? 13 : 21;
    struct frame frame = {.type = bytes[8], .body = bytes + head, .len = n - head};
    for (size_t i = 0; i < 8 && head == 21; i++)
        frame.id = (int64_t)((uint64_t)frame.id << 8 | bytes[9 + i]);
    if (fake_mentions(&frame, "CheckExistence")) {
        if (node->is_deaf)
            (void)uv_read_stop((uv_stream_t *)&peer->tcp);
        (node->discover != NULL ? node->discover : fake_discover)(peer, &frame);
        return;
    }
    node->n_asked++;
    (node->act != NULL ? node->act : fake_answer)(peer, &frame);
}

static inline void fake_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct fake_peer *peer = handle->data;
    (void)suggested;
    *ret = uv_buf_init((char *)peer->in + peer->len, (unsigned)(sizeof peer->in - peer->len));
}

static inline void fake_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct fake_peer *peer = stream->data;
    (void)bytes;
    if (n < 0) {
        fake_close(peer);
        return;
    }
    peer->len += (size_t)n;
    while (peer->len >= 8 && !peer->is_closing) {
        size_t len = 0;
        for (size_t i = 0; i < 8; i++)
            len = len << 8 | peer->in[i];
        assert_true(len >= 13 && len <= sizeof peer->in);
        if (peer->len < len)
            return;
        fake_take(peer, peer->in, len);
        peer->len -= len;
        memmove(peer->in, peer->in + len, peer->len);
    }
}

static inline void fake_on_connection(uv_stream_t *listener, int status)
{
    struct fake_node *n = listener->data;
    struct fake_peer *peer = calloc(1, sizeof *peer);
    assert_int_equal(status, 0);
    peer->node = n;
    peer->tcp.data = peer;
    assert_int_equal(uv_tcp_init(n->loop, &peer->tcp), 0);
    DL_APPEND(n->peers, peer);
    n->n_connections++;
    n->n_open++;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&peer->tcp), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&peer->tcp, fake_on_alloc, fake_on_read), 0);
}

/* It reads again. */
static inline void fake_node_listen(struct fake_node *n)
{
    n->is_deaf = false;
    for (struct fake_peer *p = n->peers; p != NULL; p = p->next)
        assert_int_equal(uv_read_start((uv_stream_t *)&p->tcp, fake_on_alloc, fake_on_read), 0);
}

/* On 127.0.0.1 or ::1, at its port, or at a free one. False: this machine has no such address. */
static inline bool fake_node_try_up(struct fake_node *n)
{
    struct sockaddr_storage at;
    int len = sizeof at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
    assert_int_equal(n->is_ipv6 ? uv_ip6_addr("::1", n->port, v6) : uv_ip4_addr("127.0.0.1", n->port, v4), 0);
    n->listener.data = n;
    assert_int_equal(uv_tcp_init(n->loop, &n->listener), 0);
    n->is_up = true;
    if (uv_tcp_bind(&n->listener, (struct sockaddr *)&at, 0) != 0 ||
        uv_listen((uv_stream_t *)&n->listener, 64, fake_on_connection) != 0)
        return false;
    assert_int_equal(uv_tcp_getsockname(&n->listener, (struct sockaddr *)&at, &len), 0);
    n->port = ntohs(n->is_ipv6 ? v6->sin6_port : v4->sin_port);
    return true;
}

static inline void fake_node_up(struct fake_node *n)
{
    assert_true(fake_node_try_up(n));
}

static inline void fake_node_init(struct fake_node *n, uv_loop_t *loop, const char *version)
{
    *n = (struct fake_node){.loop = loop,
                            .version = version,
                            .state = "master-state-idle.response",
                            .answer = "driver-status-running.response"};
    fake_node_up(n);
}

static inline void fake_node_hang_up(struct fake_node *n)
{
    while (n->peers != NULL)
        fake_close(n->peers);
}

/* Nobody listens any more; it may go up again at the same port once the loop has run. */
static inline void fake_node_down(struct fake_node *n)
{
    fake_node_hang_up(n);
    if (n->is_up)
        uv_close((uv_handle_t *)&n->listener, NULL);
    n->is_up = false;
}

/* Runs the loop until the condition holds. */
#define FAKE_UNTIL(run_loop, condition)                                                                      \
    do {                                                                                                     \
        int64_t until_ms = clock_mono_ms() + FAKE_PATIENCE_MS;                                               \
        while (!(condition)) {                                                                               \
            (void)uv_run(run_loop, UV_RUN_NOWAIT);                                                           \
            (void)usleep(200);                                                                               \
            assert_true(clock_mono_ms() < until_ms);                                                         \
        }                                                                                                    \
    } while (0)

#endif
