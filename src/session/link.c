#include "session/link.h"

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/http.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <uthash.h>
#include <utlist.h>

/*
 * Seconds are counted in ticks of one timer for all connections, not read from a clock: a server that was
 * stopped for a while must not take its own silence for that of its peers.
 */
enum {
    SECOND_MS = 1000,
    HANDSHAKE_SECONDS = 10,
    PING_SECONDS = 10,
    SILENCE_SECONDS = 30,
    STRANGERS_MAX = 64,
    BACKLOG = 1024, /* after a restart of the server all agents come at once */
    HANDSHAKE_LINE_MAX = 4 << 10,
    UNSTORED_MAX = 64 << 20,
    UNREAD_MAX = 128 << 20,
    /* libuv reads up to 32 times before it turns to others: a quarter of a megabyte, then. */
    READ_SIZE = 8 << 10,
};

enum phase {
    PHASE_HELLO,  /* it said nothing yet */
    PHASE_AUTH,   /* it was challenged */
    PHASE_PROVED, /* it knows the token; on_hello was told */
    PHASE_OPEN,   /* welcomed */
    PHASE_CLOSING,
};

struct handshake {
    struct agent_hello hello;
    char nonce[MESSAGE_NONCE_TEXT]; /* hearth's */
};

struct connection {
    struct connection *prev, *next; /* in one of the link's lists, until it is closing */
    struct link *link;
    struct link_session *session; /* from PROVED on */
    struct handshake *handshake;  /* in AUTH */
    uv_tcp_t tcp;
    enum phase phase;
    unsigned age, silence; /* seconds */
    bool is_paused;        /* not read from */
    struct buf in;         /* a line that has not ended yet */
};

struct link_session {
    UT_hash_handle hh; /* by id */
    struct link *link;
    int64_t id;
    unsigned char token[LINK_TOKEN_BYTES];
    const struct link_events *events;
    void *arg;
    int64_t seen, acked;       /* last durable message told, and stored */
    size_t unstored;           /* bytes of those since `acked` was last equal to `seen` */
    struct connection *proved; /* waits for an answer to on_hello */
    struct connection *open;   /* welcomed */
};

struct link {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uv_timer_t second; /* runs while there are connections */
    unsigned second_ms;
    int open_handles;
    bool is_closing;
    bool is_accept_due; /* memory was short */
    char address[96];
    unsigned char strangers_token[LINK_TOKEN_BYTES]; /* for sessions that do not exist */
    struct connection *strangers, *peers;            /* oldest first */
    unsigned n_strangers;
    unsigned n_welcomed;
    uint64_t complained_ms; /* loop time */
    struct link_session *sessions;
    char read_buffer[READ_SIZE]; /* shared: what is read is used at once */
};

/* ---- endings ---- */

static void release_link(struct link *link)
{
    if (link->is_closing && link->open_handles == 0 && link->sessions == NULL)
        mem_free(link);
}

static void on_link_handle_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    link->open_handles--;
    release_link(link);
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct link *link = c->link;
    mem_free(c);
    link->open_handles--;
    release_link(link);
}

static void unlist(struct connection *c)
{
    if (c->phase < PHASE_PROVED) {
        DL_DELETE(c->link->strangers, c);
        c->link->n_strangers--;
    } else {
        DL_DELETE(c->link->peers, c);
    }
}

/* May be called twice. */
static void lose(struct connection *c, const char *why)
{
    if (c->phase == PHASE_CLOSING)
        return;
    if (c->phase == PHASE_OPEN)
        log_debug("agent disconnected", LOG_I("session", c->session->id), LOG_S("why", why));
    unlist(c);
    c->phase = PHASE_CLOSING;
    if (c->session != NULL && c->session->proved == c)
        c->session->proved = NULL;
    if (c->session != NULL && c->session->open == c)
        c->session->open = NULL;
    c->session = NULL;
    mem_free(c->handshake);
    c->handshake = NULL;
    buf_clear(&c->in);
    uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

/* At most one line per second: anybody can make them. */
static void complain(struct connection *c, const char *why)
{
    struct link *link = c->link;
    uint64_t now = uv_now(link->loop);
    if (link->complained_ms != 0 && now - link->complained_ms < SECOND_MS)
        return;
    link->complained_ms = now;
    if (c->session != NULL)
        log_warn("agent cut off", LOG_I("session", c->session->id), LOG_S("why", why));
    else
        log_warn("connection to the agents' address refused", LOG_S("why", why));
}

static void reject(struct connection *c, const char *why)
{
    complain(c, why);
    lose(c, why);
}

/* ---- sending ---- */

struct outgoing {
    uv_write_t write;
    char *bytes;
};

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->handle->data;
    struct outgoing *o = write->data;
    mem_free(o->bytes);
    mem_free(o);
    if (status != 0)
        lose(c, uv_strerror(status));
}

/* Keeps what follows the first `done` bytes until the peer reads. */
static void queue_rest(struct connection *c, struct buf *line, size_t done)
{
    size_t left = line->len - done;
    if (uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) + left > UNREAD_MAX) {
        reject(c, "it does not read what it is sent");
        return;
    }
    struct outgoing *o = mem_calloc(1, sizeof *o);
    if (o == NULL) {
        lose(c, "out of memory");
        return;
    }
    uv_buf_t rest = uv_buf_init(line->data + done, (unsigned)left);
    o->bytes = buf_steal(line);
    o->write.data = o;
    int rc = uv_write(&o->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written);
    if (rc != 0) {
        mem_free(o->bytes);
        mem_free(o);
        lose(c, uv_strerror(rc));
    }
}

/* Takes the bytes. */
static void send_line(struct connection *c, struct buf *line)
{
    if (line->failed != ERR_OK) {
        lose(c, "out of memory");
    } else {
        uv_buf_t all = uv_buf_init(line->data, (unsigned)line->len);
        int n = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
        if (n < 0 && n != UV_EAGAIN)
            lose(c, uv_strerror(n));
        else if (n < (int)line->len)
            queue_rest(c, line, n < 0 ? 0 : (size_t)n);
    }
    buf_clear(line);
}

static void refuse(struct connection *c, bool fatal, const char *reason)
{
    struct buf line = BUF(HANDSHAKE_LINE_MAX);
    message_refused(&line, fatal, reason);
    send_line(c, &line);
    lose(c, reason);
}

/* ---- the handshake ---- */

static struct link_session *find_session(struct link *link, int64_t id)
{
    struct link_session *session = NULL;
    HASH_FIND(hh, link->sessions, &id, sizeof id, session);
    return session;
}

/* What `who` proves that it knows the session's token with. False: memory is short. */
static bool make_proof(const struct connection *c, const char *who, const char *first, const char *second,
                       unsigned char proof[MESSAGE_PROOF_BYTES])
{
    const struct agent_hello *hello = &c->handshake->hello;
    const struct link_session *session = find_session(c->link, hello->session);
    const unsigned char *token = session != NULL ? session->token : c->link->strangers_token;
    char text[160];
    int n = snprintf(text, sizeof text, "%s|%" PRId64 "|%s|%s", who, hello->session, first, second);
    unsigned size = 0;
    return HMAC(EVP_sha256(), token, LINK_TOKEN_BYTES, (const unsigned char *)text, (size_t)n, proof,
                &size) != NULL &&
           size == MESSAGE_PROOF_BYTES;
}

static bool make_nonce(char nonce[MESSAGE_NONCE_TEXT])
{
    unsigned char bytes[(MESSAGE_NONCE_TEXT - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static void take_hello(struct connection *c, const char *bytes, size_t len)
{
    struct err err;
    unsigned char proof[MESSAGE_PROOF_BYTES];
    struct handshake *h = c->handshake = mem_calloc(1, sizeof *h);
    if (h == NULL) {
        lose(c, "out of memory");
    } else if (agent_hello_read(&h->hello, bytes, len, &err) != ERR_OK) {
        reject(c, err.msg);
    } else if (!make_nonce(h->nonce) || !make_proof(c, "gw", h->hello.nonce, h->nonce, proof)) {
        lose(c, "no proof could be made");
    } else {
        struct buf line = BUF(HANDSHAKE_LINE_MAX);
        message_challenge(&line, h->nonce, proof);
        c->phase = PHASE_AUTH;
        send_line(c, &line);
    }
}

static void on_proved(struct connection *c, struct link_session *session, const struct agent_auth *auth)
{
    struct handshake *h = c->handshake; /* the link is done with it, the callee is not */
    c->handshake = NULL;
    unlist(c);
    c->phase = PHASE_PROVED;
    DL_APPEND(c->link->peers, c);
    if (session->proved != NULL)
        lose(session->proved, "it came again");
    c->session = session;
    session->proved = c;
    session->events->on_hello(session->arg, h->hello.boot, auth->pid, auth->last_seq);
    mem_free(h);
}

/* A wrong proof and a session that does not exist are answered alike: strangers shall not learn which exist.
 */
static void take_auth(struct connection *c, const char *bytes, size_t len)
{
    struct err err;
    struct agent_auth auth;
    unsigned char proof[MESSAGE_PROOF_BYTES];
    const struct handshake *h = c->handshake;
    struct link_session *session = find_session(c->link, h->hello.session);
    if (agent_auth_read(&auth, bytes, len, &err) != ERR_OK) {
        reject(c, err.msg);
    } else if (!make_proof(c, "agent", h->nonce, h->hello.nonce, proof)) {
        lose(c, "no proof could be made");
    } else if (CRYPTO_memcmp(proof, auth.proof, sizeof proof) != 0 || session == NULL) {
        complain(c, "it does not know the token of the session that it asks for");
        refuse(c, false, "unknown session");
    } else {
        on_proved(c, session, &auth);
    }
}

/* ---- messages ---- */

static enum err_code check_seq(const struct link_session *session, int64_t seq, struct err *err)
{
    if (seq > session->seen + 1)
        return err_set(err, ERR_INVALID, "message %" PRId64 " came after message %" PRId64, seq,
                       session->seen);
    return ERR_OK;
}

/* More waits for the store than should: the agent keeps the rest meanwhile. */
static void pause_when_behind(struct connection *c)
{
    if (c->session->unstored <= UNSTORED_MAX || c->is_paused)
        return;
    c->is_paused = true;
    (void)uv_read_stop((uv_stream_t *)&c->tcp); /* cannot fail */
}

static void take_message(struct connection *c, const char *bytes, size_t len)
{
    struct err err;
    struct agent_message m;
    struct link_session *session = c->session;
    enum err_code rc = agent_message_read(&m, bytes, len, &err);
    if (rc == ERR_OK && (rc = check_seq(session, m.seq, &err)) != ERR_OK)
        agent_message_clear(&m);
    if (rc != ERR_OK) {
        reject(c, err.msg);
        return;
    }
    bool is_repeated = m.seq != 0 && m.seq <= session->seen;
    if (m.seq != 0 && !is_repeated) {
        session->seen = m.seq;
        session->unstored += len;
    }
    if (!is_repeated && m.type != AGENT_PONG)
        session->events->on_message(session->arg, &m);
    agent_message_clear(&m);
    if (c->phase == PHASE_OPEN)
        pause_when_behind(c);
}

static void take_line(struct connection *c, const char *bytes, size_t len)
{
    switch (c->phase) {
    case PHASE_HELLO: take_hello(c, bytes, len); break;
    case PHASE_AUTH: take_auth(c, bytes, len); break;
    case PHASE_PROVED: reject(c, "it spoke before it was welcomed"); break;
    case PHASE_OPEN: take_message(c, bytes, len); break;
    case PHASE_CLOSING: break;
    }
}

/* Adds to the line that has not ended yet; false when the connection had to go. */
static bool keep_part(struct connection *c, const char *bytes, size_t n)
{
    struct err err;
    buf_add(&c->in, bytes, n);
    if (buf_check(&c->in, &err) == ERR_OK)
        return true;
    (void)err_wrap(&err, "a line");
    reject(c, err.msg);
    return false;
}

/* A line that came in one piece is used where it is. */
static void take_bytes(struct connection *c, const char *bytes, size_t n)
{
    const char *end = bytes + n;
    const char *newline;
    while (c->phase != PHASE_CLOSING && (newline = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        size_t len = (size_t)(newline - bytes);
        if (c->in.len == 0 && len <= c->in.limit) {
            take_line(c, bytes, len);
        } else if (keep_part(c, bytes, len)) {
            struct buf line = c->in;
            buf_init(&c->in, line.limit);
            take_line(c, line.data, line.len);
            buf_clear(&line);
        }
        bytes = newline + 1;
    }
    if (c->phase != PHASE_CLOSING && bytes < end)
        (void)keep_part(c, bytes, (size_t)(end - bytes));
}

/* ---- connections ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    const struct connection *c = handle->data;
    (void)suggested;
    *ret = uv_buf_init(c->link->read_buffer, sizeof c->link->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct connection *c = stream->data;
    if (n < 0) {
        lose(c, n == UV_EOF ? "it hung up" : uv_strerror((int)n));
    } else if (n > 0) {
        c->silence = 0;
        take_bytes(c, bytes->base, (size_t)n);
    }
}

static struct connection *new_connection(struct link *link)
{
    struct connection *c = mem_calloc(1, sizeof *c);
    if (c == NULL || uv_tcp_init(link->loop, &c->tcp) != 0) {
        mem_free(c);
        return NULL;
    }
    c->tcp.data = c;
    c->link = link;
    buf_init(&c->in, HANDSHAKE_LINE_MAX);
    DL_APPEND(link->strangers, c);
    link->n_strangers++;
    link->open_handles++;
    return c;
}

static void accept_connection(struct link *link)
{
    struct connection *c = new_connection(link);
    link->is_accept_due = c == NULL; /* libuv offers it only once */
    if (c == NULL)
        return;
    if (link->n_strangers > STRANGERS_MAX)
        lose(link->strangers, "too many connections that proved nothing");
    if (uv_accept((uv_stream_t *)&link->listener, (uv_stream_t *)&c->tcp) != 0 ||
        uv_tcp_nodelay(&c->tcp, 1) != 0 || uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        lose(c, "it could not be accepted");
}

static void pass_a_second(struct connection *c)
{
    c->age++;
    if (c->phase != PHASE_OPEN) {
        if (c->age >= HANDSHAKE_SECONDS)
            lose(c, "the handshake took too long");
        return;
    }
    c->silence += !c->is_paused;
    if (c->silence >= SILENCE_SECONDS) {
        lose(c, "it was silent for too long");
    } else if (c->age % PING_SECONDS == 0) {
        struct buf line = BUF(HANDSHAKE_LINE_MAX);
        message_ping(&line, c->age);
        send_line(c, &line);
    }
}

static void on_second(uv_timer_t *timer)
{
    struct link *link = timer->data;
    struct connection *c;
    struct connection *next;
    if (link->is_accept_due)
        accept_connection(link);
    DL_FOREACH_SAFE(link->strangers, c, next)
    pass_a_second(c);
    DL_FOREACH_SAFE(link->peers, c, next)
    pass_a_second(c);
    if (link->strangers == NULL && link->peers == NULL && !link->is_accept_due)
        (void)uv_timer_stop(timer); /* cannot fail */
}

static void start_seconds(struct link *link)
{
    (void)uv_timer_start(&link->second, on_second, link->second_ms, link->second_ms); /* cannot fail */
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct link *link = listener->data;
    if (status != 0)
        return; /* the next one may do better */
    if (!uv_is_active((const uv_handle_t *)&link->second))
        start_seconds(link);
    accept_connection(link);
}

/* ---- the link ---- */

static int listen_on(struct link *link, const char *host, uint16_t port)
{
    struct sockaddr_storage where;
    int size = sizeof where;
    bool is_v6 = strchr(host, ':') != NULL;
    int rc = is_v6 ? uv_ip6_addr(host, port, (struct sockaddr_in6 *)&where)
                   : uv_ip4_addr(host, port, (struct sockaddr_in *)&where);
    if (rc == 0)
        rc = uv_tcp_bind(&link->listener, (const struct sockaddr *)&where, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&link->listener, BACKLOG, on_connection);
    if (rc == 0)
        rc = uv_tcp_getsockname(&link->listener, (struct sockaddr *)&where, &size);
    if (rc == 0) {
        port = ntohs(is_v6 ? ((struct sockaddr_in6 *)&where)->sin6_port
                           : ((struct sockaddr_in *)&where)->sin_port);
        (void)snprintf(link->address, sizeof link->address, is_v6 ? "[%s]:%u" : "%s:%u", host, port);
    }
    return rc;
}

static enum err_code new_link(const struct link_options *options, struct link **ret, struct err *err)
{
    struct link *link = mem_calloc(1, sizeof *link);
    if (link == NULL || uv_tcp_init(options->loop, &link->listener) != 0) {
        mem_free(link);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    (void)uv_timer_init(options->loop, &link->second); /* cannot fail */
    link->listener.data = link->second.data = link;
    link->open_handles = 2;
    link->loop = options->loop;
    link->second_ms = SECOND_MS;
    *ret = link;
    return ERR_OK;
}

static enum err_code start_link(struct link *link, const struct link_options *options, const char *host,
                                uint16_t port, struct err *err)
{
    if (getrandom(link->strangers_token, sizeof link->strangers_token, 0) != LINK_TOKEN_BYTES)
        return err_sys(err, errno, "random numbers");
    int failed = listen_on(link, host, port);
    if (failed != 0)
        return err_set(err, ERR_IO, "listening on %s: %s", options->listen, uv_strerror(failed));
    char line[sizeof link->address + 1];
    int n = snprintf(line, sizeof line, "%s\n", link->address);
    return io_replace_file(options->address_file, line, (size_t)n, 0600, err);
}

enum err_code link_open(const struct link_options *options, struct link **ret, struct err *err)
{
    char host[64];
    uint16_t port = 0;
    enum err_code rc = http_parse_listen(options->listen, host, &port, err);
    if (rc == ERR_OK && !http_is_loopback(host))
        rc = err_set(err, ERR_INVALID,
                     "%s is no loopback address: what agents are sent and send is not encrypted",
                     options->listen);
    struct link *link = NULL;
    if (rc == ERR_OK)
        rc = new_link(options, &link, err);
    if (rc == ERR_OK)
        rc = start_link(link, options, host, port, err);
    if (rc == ERR_OK)
        *ret = link;
    else
        link_close(link);
    return rc;
}

void link_close(struct link *link)
{
    struct connection *c;
    struct connection *next;
    if (link == NULL || link->is_closing)
        return;
    link->is_closing = true;
    DL_FOREACH_SAFE(link->strangers, c, next)
    lose(c, "the server stops");
    DL_FOREACH_SAFE(link->peers, c, next)
    lose(c, "the server stops");
    uv_close((uv_handle_t *)&link->listener, on_link_handle_closed);
    uv_close((uv_handle_t *)&link->second, on_link_handle_closed);
}

const char *link_address(const struct link *link)
{
    return link->address;
}

void link_set_second(struct link *link, unsigned ms)
{
    link->second_ms = ms;
    if (uv_is_active((const uv_handle_t *)&link->second))
        start_seconds(link);
}

/* ---- sessions ---- */

struct link_session *link_session_new(struct link *link, int64_t session,
                                      const uint8_t token[LINK_TOKEN_BYTES], int64_t acked,
                                      const struct link_events *events, void *arg)
{
    assert(find_session(link, session) == NULL);
    struct link_session *s = mem_calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->link = link;
    s->id = session;
    memcpy(s->token, token, sizeof s->token);
    s->seen = s->acked = acked;
    s->events = events;
    s->arg = arg;
    HASH_ADD(hh, link->sessions, id, sizeof s->id, s);
    return s;
}

void link_session_free(struct link_session *session)
{
    if (session == NULL)
        return;
    struct link *link = session->link;
    if (session->proved != NULL)
        lose(session->proved, "its session has ended");
    if (session->open != NULL)
        lose(session->open, "its session has ended");
    HASH_DEL(link->sessions, session);
    OPENSSL_cleanse(session->token, sizeof session->token);
    mem_free(session);
    release_link(link);
}

void link_welcome(struct link_session *session)
{
    struct connection *c = session->proved;
    if (c == NULL)
        return;
    if (session->open != NULL)
        lose(session->open, "it came again");
    session->proved = NULL;
    session->open = c;
    c->phase = PHASE_OPEN;
    c->in.limit = MESSAGE_LINE_MAX;
    c->age = c->link->n_welcomed++ % PING_SECONDS; /* so that not all are pinged at once */
    log_debug("agent connected", LOG_I("session", session->id));
    struct buf line = BUF(HANDSHAKE_LINE_MAX);
    message_welcome(&line, session->acked);
    send_line(c, &line);
}

void link_refuse(struct link_session *session, bool fatal, const char *reason)
{
    if (session->proved != NULL)
        refuse(session->proved, fatal, reason);
}

void link_send(struct link_session *session, struct buf *line)
{
    if (line->failed == ERR_TOO_LARGE || line->len > MESSAGE_LINE_MAX) {
        log_error("message to an agent dropped: larger than a line may be", LOG_I("session", session->id));
        buf_clear(line);
    } else if (session->open != NULL) {
        send_line(session->open, line);
    } else {
        buf_clear(line);
    }
}

void link_ack(struct link_session *session, int64_t seq)
{
    if (seq > session->acked)
        session->acked = seq;
    if (seq > session->seen)
        session->seen = seq; /* link_drop() came while it was being written */
    if (session->acked == session->seen)
        session->unstored = 0;
    struct connection *c = session->open;
    if (c == NULL)
        return;
    if (c->is_paused && session->unstored == 0) {
        c->is_paused = false;
        (void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read); /* it was read from before */
    }
    struct buf line = BUF(HANDSHAKE_LINE_MAX);
    message_ack(&line, session->acked);
    send_line(c, &line);
}

void link_drop(struct link_session *session)
{
    session->seen = session->acked;
    session->unstored = 0;
    if (session->open != NULL)
        lose(session->open, "what it told could not be kept");
}

bool link_is_connected(const struct link_session *session)
{
    return session->open != NULL;
}
