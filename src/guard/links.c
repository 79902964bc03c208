#include "guard/guard_internal.h"

#include "base/mem.h"
#include "spark/launcher.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A connection is half-open until its Hello brought the right secret, and has HELLO_MS for that. Any
 * local user can connect: when too many are half-open the oldest of them goes, so that the driver,
 * whose Hello takes some milliseconds, always gets through.
 */
enum {
    HELLO_MS = 10 * 1000,
    HALF_OPEN_MAX = 32,
    LINKS_MAX = 256,            /* SparkContexts connected at the same time, and half-open ones */
    HALF_OPEN_BYTES = 8 * 1024, /* a Hello takes some 300 */
    TEXT_MAX = 256,             /* application ids and versions are shorter */
};

struct link {
    struct guard_links *links;
    struct link *next; /* the newest first */
    unsigned number;
    uv_tcp_t tcp;
    uv_timer_t deadline;
    int open_handles;
    bool is_closing;
    bool said_hello;
    bool was_stopped;
    size_t received;
    struct launcher_decoder *decoder;
    char state[TEXT_MAX]; /* the last one told */
};

struct guard_links {
    struct guard *guard;
    uv_loop_t *loop;
    uv_tcp_t listener;
    int port;
    char secret[GUARD_SECRET_MAX];
    struct link *first;
    unsigned last_number;
};

/* --- closing ------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *h)
{
    struct link *l = h->data;
    if (--l->open_handles > 0)
        return;
    launcher_decoder_free(l->decoder);
    mem_free(l);
}

static void unlist(struct link *l)
{
    for (struct link **at = &l->links->first; *at != NULL; at = &(*at)->next) {
        if (*at == l) {
            *at = l->next;
            return;
        }
    }
}

static void link_close(struct link *l)
{
    if (l->is_closing)
        return;
    l->is_closing = true;
    unlist(l);
    if (l->said_hello) {
        struct guard_record r;
        guard_record_open(l->links->guard, &r, "closed");
        json_out_int(&r.out, "connection", l->number);
        json_out_str(&r.out, "lastState", l->state[0] != '\0' ? l->state : NULL);
        guard_record_close(l->links->guard, &r);
    }
    uv_close((uv_handle_t *)&l->tcp, on_closed);
    uv_close((uv_handle_t *)&l->deadline, on_closed);
}

/* --- messages ----------------------------------------------------------------------------------- */

/* The time it takes tells nothing about the secret. */
static bool is_secret(const struct guard_links *links, const char *text)
{
    size_t n = strlen(links->secret);
    unsigned char differs = strlen(text) != n;
    for (size_t i = 0; i < n && text[i] != '\0'; i++)
        differs |= (unsigned char)(text[i] ^ links->secret[i]);
    return differs == 0;
}

static void record(struct link *l, const char *word, const char *field, const char *text)
{
    struct guard_record r;
    guard_record_open(l->links->guard, &r, word);
    json_out_int(&r.out, "connection", l->number);
    if (text != NULL)
        json_out_text(&r.out, field, text, strnlen(text, TEXT_MAX - 1));
    guard_record_close(l->links->guard, &r);
}

/* False when the connection has to go. */
static bool take_message(struct link *l, const struct launcher_message *m)
{
    if (l->said_hello != (m->kind != LAUNCHER_HELLO))
        return false; /* nothing comes before Hello, and no second one behind it */
    switch (m->kind) {
    case LAUNCHER_HELLO:
        if (!is_secret(l->links, m->text))
            return false;
        l->said_hello = true;
        (void)uv_timer_stop(&l->deadline); /* cannot fail */
        record(l, "hello", "sparkVersion", m->spark_version);
        break;
    case LAUNCHER_SET_APP_ID: record(l, "app_id", "appId", m->text); break;
    case LAUNCHER_SET_STATE:
        (void)snprintf(l->state, sizeof l->state, "%s", m->text);
        record(l, "state", "state", l->state);
        break;
    }
    return true;
}

static bool take_bytes(struct link *l, const char *bytes, size_t n)
{
    l->received += n;
    if ((!l->said_hello && l->received > HALF_OPEN_BYTES) ||
        launcher_decoder_feed(l->decoder, bytes, n, NULL) != ERR_OK)
        return false;
    for (;;) {
        struct launcher_message m;
        switch (launcher_decoder_next(l->decoder, &m, NULL)) {
        case LAUNCHER_MORE: return true;
        case LAUNCHER_BROKEN: return false;
        case LAUNCHER_MESSAGE:
            if (!take_message(l, &m))
                return false;
        }
    }
}

/* --- connections -------------------------------------------------------------------------------- */

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct link *l = stream->data;
    if (n < 0 || (n > 0 && !take_bytes(l, bytes->base, (size_t)n)))
        link_close(l);
}

static void on_deadline(uv_timer_t *timer)
{
    link_close(timer->data);
}

/* A few bytes into an empty socket buffer: all or nothing. */
static bool send_bytes(struct link *l, void (*write)(struct buf *to))
{
    cleanup(buf_clear) struct buf out = BUF(4096);
    write(&out);
    if (out.failed != ERR_OK)
        return false;
    uv_buf_t b = uv_buf_init(out.data, (unsigned)out.len);
    return uv_try_write((uv_stream_t *)&l->tcp, &b, 1) == (int)out.len;
}

static void make_room(struct guard_links *links)
{
    unsigned half_open = 0;
    unsigned all = 0;
    struct link *oldest = NULL;
    for (struct link *l = links->first; l != NULL; l = l->next) {
        all++;
        if (l->said_hello)
            continue;
        half_open++;
        oldest = l;
    }
    if (oldest != NULL && (half_open >= HALF_OPEN_MAX || all >= LINKS_MAX))
        link_close(oldest);
}

static struct link *new_link(struct guard_links *links)
{
    struct link *l = mem_calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->decoder = launcher_decoder_new();
    if (l->decoder == NULL || uv_tcp_init(links->loop, &l->tcp) != 0) {
        launcher_decoder_free(l->decoder);
        mem_free(l);
        return NULL;
    }
    (void)uv_timer_init(links->loop, &l->deadline); /* cannot fail */
    l->tcp.data = l->deadline.data = l;
    l->open_handles = 2;
    l->links = links;
    l->number = ++links->last_number;
    l->next = links->first;
    links->first = l;
    return l;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct guard_links *links = listener->data;
    if (status != 0)
        return; /* the next one may do better */
    make_room(links);
    struct link *l = new_link(links);
    if (l == NULL)
        return;
    if (uv_accept(listener, (uv_stream_t *)&l->tcp) != 0 || !send_bytes(l, launcher_write_header) ||
        uv_timer_start(&l->deadline, on_deadline, HELLO_MS, 0) != 0 ||
        uv_read_start((uv_stream_t *)&l->tcp, guard_on_alloc, on_read) != 0)
        link_close(l);
}

/* --- the whole ---------------------------------------------------------------------------------- */

static enum err_code make_secret(char secret[GUARD_SECRET_MAX], struct err *err)
{
    uint8_t bytes[(GUARD_SECRET_MAX - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_sys(err, errno, "making a secret");
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    return ERR_OK;
}

static int listen_on_loopback(struct guard_links *links)
{
    struct sockaddr_in address;
    int size = sizeof address;
    int rc = uv_ip4_addr("127.0.0.1", 0, &address);
    if (rc == 0)
        rc = uv_tcp_bind(&links->listener, (const struct sockaddr *)&address, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&links->listener, 64, on_connection);
    if (rc == 0)
        rc = uv_tcp_getsockname(&links->listener, (struct sockaddr *)&address, &size);
    links->port = ntohs(address.sin_port);
    return rc;
}

enum err_code guard_links_open(struct guard *g, uv_loop_t *loop, struct guard_links **ret, struct err *err)
{
    struct guard_links *links = mem_calloc(1, sizeof *links);
    if (links == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    links->guard = g;
    links->loop = loop;
    enum err_code rc = make_secret(links->secret, err);
    if (rc != ERR_OK || uv_tcp_init(loop, &links->listener) != 0) {
        mem_free(links);
        return rc != ERR_OK ? rc : err_set(err, ERR_NOMEM, "out of memory");
    }
    links->listener.data = links;
    *ret = links; /* from here on it is closed like a working one */
    int failed = listen_on_loopback(links);
    if (failed != 0)
        return err_set(err, ERR_IO, "listening on 127.0.0.1: %s", uv_strerror(failed));
    return ERR_OK;
}

int guard_links_port(const struct guard_links *l)
{
    return l->port;
}

const char *guard_links_secret(const struct guard_links *l)
{
    return l->secret;
}

unsigned guard_links_stop(struct guard_links *links)
{
    unsigned n = 0;
    for (struct link *l = links->first; l != NULL; l = l->next) {
        if (!l->said_hello || l->was_stopped || !send_bytes(l, launcher_write_stop))
            continue;
        l->was_stopped = true;
        n++;
    }
    return n;
}

static void read_rest(struct link *l)
{
    int fd = -1;
    uv_buf_t b;
    ssize_t n;
    guard_on_alloc(NULL, 0, &b);
    if (l->is_closing || uv_fileno((uv_handle_t *)&l->tcp, &fd) != 0)
        return;
    while ((n = read(fd, b.base, b.len)) > 0 && take_bytes(l, b.base, (size_t)n))
        ;
}

void guard_links_finish(struct guard_links *links)
{
    while (links->first != NULL) {
        struct link *l = links->first;
        read_rest(l);
        link_close(l);
    }
    if (!uv_is_closing((uv_handle_t *)&links->listener))
        uv_close((uv_handle_t *)&links->listener, NULL);
}

void guard_links_free(struct guard_links *links)
{
    mem_free(links);
}
