/* A node's connections: names and addresses, sockets, bytes in and out. */
#include "rpc/rpc_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { KEEPALIVE_SECONDS = 30, READ_SIZE = 64 << 10 };

/* What is read is used at once, by the one thread that runs nodes. */
static char read_buffer[READ_SIZE];

/* ---- endings ---- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct rpc_node *n = c->node;
    frame_reader_clear(&c->in);
    auth_free(c->auth);
    rpc_dialect_clear(&c->dialect);
    mem_free(c);
    node_release(n);
}

void connection_close(struct connection *c)
{
    if (c->phase == PHASE_CLOSING)
        return;
    c->phase = PHASE_CLOSING;
    if (c->node->connection == c)
        c->node->connection = NULL;
    if (c->node->retired == c)
        c->node->retired = NULL;
    if (!c->is_reset || uv_tcp_close_reset(&c->tcp, on_closed) != 0)
        uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void fail_waiting(struct rpc_node *n, enum rpc_result result, const char *words)
{
    while (n->waiting != NULL)
        request_end(n->waiting, n, result, "%s", words);
}

void connection_fail(struct connection *c, enum rpc_result result, const char *words)
{
    struct rpc_node *n = c->node;
    connection_close(c);
    fail_waiting(n, result, words);
}

static bool may_be_sent_again(const struct request *r)
{
    bool is_new_to_the_node = !r->was_written && r->begin >= connection_written(r->connection);
    return !r->is_repeated && (is_new_to_the_node || rpc_may_repeat(r->copy.message.kind));
}

/* What may be repeated waits for the next connection. */
static void lose_request(struct request *r, struct rpc_node *n, enum rpc_result result, const char *words)
{
    if (result == RPC_CLOSED && may_be_sent_again(r)) {
        r->is_repeated = true;
        request_wait_again(r, n);
    } else {
        request_end(r, n, result, "%s", words);
    }
}

static void lose_requests(struct connection *c, enum rpc_result result, const char *words)
{
    struct request *r, *next;
    DL_FOREACH_SAFE(c->node->under_way, r, next)
    if (r->connection == c)
        lose_request(r, c->node, result, words);
}

static void lose(struct connection *c, enum rpc_result result, const char *words)
{
    if (c->phase == PHASE_CLOSING)
        return;
    if (c->phase == PHASE_OPEN) {
        lose_requests(c, result, words);
        connection_close(c);
    } else if (!handshake_try_other(c)) {
        connection_fail(c, result, words);
    }
}

static void hang_up(struct connection *c, int error)
{
    char words[256];
    if (c->phase == PHASE_OPEN)
        (void)snprintf(words, sizeof words, "closed the connection before it answered (%s)",
                       uv_strerror(error));
    else
        (void)snprintf(
            words, sizeof words,
            "closed the connection without an answer (%s; does it speak TLS, or another protocol?)",
            uv_strerror(error));
    lose(c, RPC_CLOSED, words);
}

void connection_retire(struct connection *c)
{
    struct rpc_node *n = c->node;
    if (c->n_under_way == 0) {
        connection_close(c);
        return;
    }
    if (n->retired != NULL)
        lose(n->retired, RPC_CLOSED, "was silent for too long");
    n->retired = c;
    n->connection = NULL;
}

void connection_abandon(struct connection *c)
{
    c->is_reset = true;
    if (c == c->node->connection)
        connection_retire(c);
}

/* ---- bytes out ---- */

struct outgoing {
    uv_write_t write;
    char *bytes;
};

uint64_t connection_written(const struct connection *c)
{
    return c->n_accepted - uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);
}

static void end_written_one_ways(struct connection *c)
{
    struct request *r, *next;
    DL_FOREACH_SAFE(c->node->under_way, r, next)
    if (r->connection == c && rpc_is_one_way(r->copy.message.kind) && r->end <= connection_written(c))
        request_end(r, c->node, RPC_VALUE, "%s", "");
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->handle->data;
    struct outgoing *o = write->data;
    mem_free(o->bytes);
    mem_free(o);
    if (c->phase == PHASE_CLOSING)
        return;
    if (status != 0)
        hang_up(c, status);
    else
        end_written_one_ways(c);
    node_settle(c->node);
}

/* Keeps what follows the first `done` bytes until the node reads. */
static int queue_rest(struct connection *c, struct buf *bytes, size_t done)
{
    struct outgoing *o = mem_calloc(1, sizeof *o);
    if (o == NULL)
        return UV_ENOMEM;
    uv_buf_t rest = uv_buf_init(bytes->data + done, (unsigned)(bytes->len - done));
    int rc = uv_write(&o->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written);
    if (rc != 0) {
        mem_free(o);
        return rc;
    }
    c->n_accepted += rest.len;
    o->write.data = o;
    o->bytes = buf_steal(bytes);
    return 0;
}

static int send_bytes(struct connection *c, struct buf *bytes)
{
    if (bytes->failed != ERR_OK)
        return UV_ENOMEM;
    if (c->auth != NULL && auth_encrypts(c->auth) && c->phase >= PHASE_DISCOVERING)
        auth_encrypt(c->auth, (uint8_t *)bytes->data, bytes->len);
    uv_buf_t all = uv_buf_init(bytes->data, (unsigned)bytes->len);
    int n = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
    if (n < 0 && n != UV_EAGAIN)
        return n;
    size_t done = n > 0 ? (size_t)n : 0;
    c->n_accepted += done;
    return done < bytes->len ? queue_rest(c, bytes, done) : 0;
}

void connection_send(struct connection *c, struct buf *bytes)
{
    if (c->n_under_way <= 1)
        c->unasked = 0;
    int rc = send_bytes(c, bytes);
    buf_clear(bytes);
    if (rc != 0)
        hang_up(c, rc);
}

static void put_under_way(struct connection *c, struct request *r, size_t len)
{
    struct rpc_node *n = c->node;
    DL_DELETE(n->waiting, r);
    DL_APPEND(n->under_way, r);
    r->connection = c;
    r->heard = n->heard;
    r->generation = c->generation;
    r->begin = c->n_accepted;
    r->end = r->begin + len;
    c->n_under_way++;
}

void connection_send_request(struct connection *c, struct request *r)
{
    struct err err;
    struct rpc_node *n = c->node;
    struct rpc_address to = {n->host, n->port};
    const struct rpc_message *message = &r->copy.message;
    cleanup(buf_clear) struct buf body = BUF(n->frame_max), bytes = BUF(n->frame_max);
    enum err_code rc = rpc_message_write(&c->dialect, NULL, &to, message, &body, &err);
    enum frame_type type = rpc_is_one_way(message->kind) ? FRAME_ONE_WAY : FRAME_REQUEST;
    r->id = ++n->last_id;
    if (rc == ERR_OK)
        frame_write(&bytes, type, r->id, body.data, body.len);
    if (rc == ERR_OK)
        rc = buf_check(&bytes, &err);
    if (rc != ERR_OK) {
        request_end(r, n, RPC_NOT_SENT, "was not asked: %s", err.msg);
        return;
    }
    put_under_way(c, r, bytes.len);
    connection_send(c, &bytes);
    if (type == FRAME_ONE_WAY && c->phase != PHASE_CLOSING)
        end_written_one_ways(c);
}

/* ---- bytes in ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)handle;
    (void)suggested;
    *ret = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void break_off(struct connection *c, const struct err *err)
{
    char words[600];
    bool is_http = c->in.in.len >= 5 && memcmp(c->in.in.data, "HTTP/", 5) == 0;
    (void)snprintf(words, sizeof words, "answered what is not Spark's RPC (%s)",
                   is_http ? "but HTTP" : err->msg);
    lose(c, RPC_BROKEN, words);
}

static void take_frame(struct connection *c, const struct frame *frame)
{
    if (frame->type != FRAME_RESPONSE && frame->type != FRAME_FAILURE)
        return; /* nodes may tell and ask what they like */
    if (c->phase == PHASE_OPEN)
        answer_take(c, frame);
    else if (frame->id == c->step_id)
        handshake_take(c, frame);
}

static void take_bytes(struct connection *c, char *bytes, size_t n)
{
    struct err err;
    struct frame frame;
    enum frame_result result = FRAME_READY;
    if (c->auth != NULL && auth_encrypts(c->auth) && c->phase >= PHASE_DISCOVERING)
        auth_decrypt(c->auth, (uint8_t *)bytes, n);
    if (frame_reader_feed(&c->in, bytes, n, &err) != ERR_OK)
        result = FRAME_BROKEN;
    while (c->phase != PHASE_CLOSING && result == FRAME_READY) {
        result = frame_reader_next(&c->in, &frame, &err);
        if (result == FRAME_READY)
            take_frame(c, &frame);
    }
    if (c->phase != PHASE_CLOSING && result == FRAME_BROKEN)
        break_off(c, &err);
}

/* A node that talks and talks shall neither fill the memory nor keep the loop busy. */
static bool talks_too_much(struct connection *c, size_t n)
{
    bool is_asked = c->n_under_way > 0 || (c->phase != PHASE_OPEN && c->node->waiting != NULL);
    c->unasked += n;
    return c->unasked > UNASKED_MAX + (is_asked ? c->node->frame_max : 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct connection *c = stream->data;
    if (n < 0)
        hang_up(c, (int)n);
    else if (talks_too_much(c, (size_t)n))
        lose(c, RPC_BROKEN, "talks on and on, and answers nothing");
    else
        take_bytes(c, bytes->base, (size_t)n);
    node_settle(c->node);
}

/* ---- connecting ---- */

static void dial(struct rpc_node *n);

static void cannot_connect(struct rpc_node *n, int error)
{
    char words[256];
    n->dial_due_ms = 0;
    (void)snprintf(words, sizeof words, "cannot be reached (%s)", uv_strerror(error));
    fail_waiting(n, RPC_UNREACHABLE, words);
}

/* The next address, if there is one. */
static void dial_failed(struct connection *c, int error)
{
    struct rpc_node *n = c->node;
    connection_close(c);
    if (++n->at < n->n_addresses)
        dial(n);
    else
        cannot_connect(n, error);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct connection *c = request->handle->data;
    if (c->phase == PHASE_CLOSING)
        return;
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    if (status == 0) {
        c->node->dial_due_ms = 0;
        (void)uv_tcp_nodelay(&c->tcp, 1);                      /* slower without */
        (void)uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_SECONDS); /* a lost one is noticed later without */
        handshake_start(c);
    } else {
        dial_failed(c, status);
    }
    node_settle(c->node);
}

static struct connection *connection_new(struct rpc_node *n)
{
    struct connection *c = mem_calloc(1, sizeof *c);
    if (c == NULL || uv_tcp_init(n->loop, &c->tcp) != 0) {
        mem_free(c);
        return NULL;
    }
    c->node = n;
    c->tcp.data = c;
    frame_reader_init(&c->in, n->frame_max);
    n->open_handles++;
    n->connection = c;
    return c;
}

/* Addresses that are left share the time that is left. */
static void dial(struct rpc_node *n)
{
    struct connection *c = connection_new(n);
    if (c == NULL) {
        cannot_connect(n, UV_ENOMEM);
        return;
    }
    int64_t now_ms = clock_mono_ms();
    c->due_ms = now_ms + (n->dial_due_ms - now_ms) / (n->n_addresses - n->at);
    int rc = uv_tcp_connect(&c->connect, &c->tcp, (struct sockaddr *)&n->addresses[n->at], on_connected);
    if (rc != 0)
        dial_failed(c, rc);
}

void connection_redial(struct connection *c)
{
    struct rpc_node *n = c->node;
    connection_close(c);
    n->dial_due_ms = clock_mono_ms() + n->connect_ms;
    dial(n);
}

static void take_addresses(struct rpc_node *n, const struct addrinfo *found)
{
    n->n_addresses = n->at = 0;
    for (; found != NULL && n->n_addresses < ADDRESSES_MAX; found = found->ai_next)
        if (found->ai_addrlen <= sizeof n->addresses[0])
            memcpy(&n->addresses[n->n_addresses++], found->ai_addr, found->ai_addrlen);
}

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct lookup *l = request->data;
    struct rpc_node *n = l->node;
    if (n != NULL) {
        n->lookup = NULL;
        take_addresses(n, status == 0 ? found : NULL);
        if (n->dial_due_ms != 0 && n->n_addresses > 0)
            dial(n);
        else if (n->dial_due_ms != 0)
            cannot_connect(n, status != 0 ? status : UV_EAI_NODATA);
        node_settle(n);
    }
    uv_freeaddrinfo(found);
    mem_free(l);
}

static void look_up(struct rpc_node *n)
{
    char port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    (void)snprintf(port, sizeof port, "%u", (unsigned)n->port);
    struct lookup *l = mem_calloc(1, sizeof *l);
    int rc =
        l == NULL ? UV_ENOMEM : uv_getaddrinfo(n->loop, &l->request, on_looked_up, n->host, port, &hints);
    if (rc != 0) {
        mem_free(l);
        cannot_connect(n, rc);
        return;
    }
    l->request.data = l;
    l->node = n;
    n->lookup = l;
}

static bool is_literal(struct rpc_node *n)
{
    n->at = 0;
    n->n_addresses = 1;
    return uv_ip4_addr(n->host, n->port, (struct sockaddr_in *)&n->addresses[0]) == 0 ||
           uv_ip6_addr(n->host, n->port, (struct sockaddr_in6 *)&n->addresses[0]) == 0;
}

void node_connect(struct rpc_node *n)
{
    assert(n->connection == NULL);
    n->n_refused = 0;
    if (!n->is_method_proven)
        n->method = METHOD_AES_1;
    if (n->dial_due_ms == 0)
        n->dial_due_ms = clock_mono_ms() + n->connect_ms;
    if (n->lookup != NULL)
        return; /* it takes long; there is no use in a second one */
    if (is_literal(n))
        dial(n);
    else
        look_up(n);
}

void node_connect_is_late(struct rpc_node *n, int64_t now_ms)
{
    struct connection *c = n->connection;
    if (n->dial_due_ms == 0)
        return;
    if (c != NULL && c->phase == PHASE_CONNECTING && c->due_ms <= now_ms)
        dial_failed(c, UV_ETIMEDOUT);
    else if (c == NULL && n->dial_due_ms <= now_ms)
        cannot_connect(n, UV_ETIMEDOUT);
}

int64_t node_connect_due(const struct rpc_node *n)
{
    const struct connection *c = n->connection;
    if (n->dial_due_ms == 0)
        return INT64_MAX;
    return c != NULL && c->phase == PHASE_CONNECTING ? c->due_ms : n->dial_due_ms;
}
