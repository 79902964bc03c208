/* A node's life, its requests and their time limits. */
#include "rpc/rpc_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { CONNECT_MS = 3000 };

/* ---- requests ---- */

static void request_free(struct request *r)
{
    message_copy_clear(&r->copy);
    json_decref(r->value);
    mem_free(r->words);
    mem_free(r);
}

static void free_all(struct request **list)
{
    struct request *r, *next;
    DL_FOREACH_SAFE(*list, r, next)
    request_free(r);
    *list = NULL;
}

/* Takes it off the list of those that are under way. */
static void leave_connection(struct request *r, struct rpc_node *n)
{
    struct connection *c = r->connection;
    r->was_written |= r->begin < connection_written(c);
    r->connection = NULL;
    DL_DELETE(n->under_way, r);
    c->n_under_way--;
    if (c == n->retired && c->n_under_way == 0)
        connection_close(c);
}

static void unlist(struct request *r, struct rpc_node *n)
{
    if (r->connection != NULL)
        leave_connection(r, n);
    else
        DL_DELETE(n->waiting, r);
}

void request_wait_again(struct request *r, struct rpc_node *n)
{
    unlist(r, n);
    DL_APPEND(n->waiting, r);
}

void request_end(struct request *r, struct rpc_node *n, enum rpc_result result, const char *words, ...)
{
    unlist(r, n);
    n->n_requests--;
    r->result = result;
    r->uncertain = r->was_written && r->value == NULL && result != RPC_VALUE && result != RPC_REFUSED &&
                   result != RPC_NO_ENDPOINT && result != RPC_UNAUTHORIZED;
    if (result != RPC_VALUE) {
        struct buf text = BUF(2048);
        va_list ap;
        va_start(ap, words);
        buf_printf(&text, "%s ", n->address);
        buf_vprintf(&text, words, ap);
        va_end(ap);
        r->words = buf_steal(&text);
        buf_clear(&text);
    }
    DL_APPEND(n->ended, r);
}

/* ---- callbacks ---- */

static void tell(const struct request *r)
{
    struct rpc_answer answer = {.result = r->result, .value = r->value, .uncertain = r->uncertain};
    answer.words = r->words != NULL ? r->words : r->result == RPC_VALUE ? "" : rpc_result_name(r->result);
    r->done(&answer, r->arg);
}

static void deliver_unsent(struct rpc_node *n)
{
    static const struct rpc_answer answer = {.result = RPC_NOT_SENT, .words = "out of memory"};
    for (unsigned left = n->n_unsent; left > 0 && !n->is_freed; left--) {
        rpc_answer_cb *done = n->unsent[0].done;
        void *arg = n->unsent[0].arg;
        n->n_unsent--;
        memmove(&n->unsent[0], &n->unsent[1], n->n_unsent * sizeof n->unsent[0]);
        done(&answer, arg);
    }
}

/* What ends meanwhile has its turn later, or a user that asks again at once would never let go. */
static void deliver(struct rpc_node *n)
{
    struct request *r;
    n->delivering = n->ended;
    n->ended = NULL;
    while ((r = n->delivering) != NULL) {
        DL_DELETE(n->delivering, r);
        tell(r);
        request_free(r); /* rpc_node_free() left this one alone */
    }
    deliver_unsent(n);
}

/* ---- time limits ---- */

static void on_timer(uv_timer_t *timer);

static void set_timer(struct rpc_node *n, int64_t due_ms)
{
    n->timer_ms = due_ms;
    if (due_ms == INT64_MAX) {
        (void)uv_timer_stop(&n->timer); /* cannot fail */
        return;
    }
    int64_t wait_ms = due_ms - clock_mono_ms();
    (void)uv_timer_start(&n->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0); /* nor can this */
}

static void renew_timer(struct rpc_node *n)
{
    struct request *r;
    int64_t due_ms = node_connect_due(n);
    DL_FOREACH(n->waiting, r)
    due_ms = r->due_ms < due_ms ? r->due_ms : due_ms;
    DL_FOREACH(n->under_way, r)
    due_ms = r->due_ms < due_ms ? r->due_ms : due_ms;
    if (n->ended != NULL || n->n_unsent > 0)
        due_ms = clock_mono_ms();
    set_timer(n, due_ms);
}

/* Nothing at all was heard while it waited: the connection is of no use. */
static void doubt_connection(const struct request *r, struct rpc_node *n)
{
    struct connection *c = r->connection != NULL ? r->connection : n->connection;
    if (c != NULL && c == n->connection && c->phase != PHASE_CONNECTING && r->heard == n->heard)
        connection_retire(c);
}

static void give_up(struct request *r, struct rpc_node *n)
{
    char limit[PARSE_TEXT_MAX];
    parse_format_duration(r->timeout_ms, limit);
    bool is_connected =
        r->connection != NULL || (n->connection != NULL && n->connection->phase != PHASE_CONNECTING);
    doubt_connection(r, n);
    if (r->connection != NULL && !rpc_may_repeat(r->copy.message.kind))
        connection_abandon(r->connection); /* or it may arrive when nobody reckons with it any more */
    if (is_connected)
        request_end(r, n, RPC_LATE, "did not answer within %s", limit);
    else
        request_end(r, n, RPC_UNREACHABLE, "cannot be reached (no connection within %s)", limit);
}

static struct request *first_expired(struct request *list, int64_t now_ms)
{
    struct request *r;
    DL_FOREACH(list, r)
    if (r->due_ms <= now_ms)
        return r;
    return NULL;
}

/* Giving one up may move others, so that each search begins anew. */
static void expire(struct rpc_node *n, int64_t now_ms)
{
    struct request *r;
    node_connect_is_late(n, now_ms);
    while ((r = first_expired(n->under_way, now_ms)) != NULL ||
           (r = first_expired(n->waiting, now_ms)) != NULL)
        give_up(r, n);
}

static void on_timer(uv_timer_t *timer)
{
    struct rpc_node *n = timer->data;
    expire(n, clock_mono_ms());
    node_settle(n);
}

/* ---- the node ---- */

static void pump(struct rpc_node *n)
{
    while (n->waiting != NULL) {
        if (n->connection == NULL) {
            node_connect(n);
            return;
        }
        if (n->connection->phase != PHASE_OPEN)
            return;
        connection_send_request(n->connection, n->waiting);
    }
}

void node_settle(struct rpc_node *n)
{
    if (n->is_freed)
        return;
    pump(n);
    deliver(n);
    if (!n->is_freed)
        renew_timer(n);
}

void node_release(struct rpc_node *n)
{
    if (--n->open_handles > 0)
        return;
    if (n->secret != NULL)
        OPENSSL_cleanse(n->secret, strlen(n->secret));
    answer_forget(n);
    mem_free(n->secret);
    mem_free(n->host);
    mem_free(n->address);
    mem_free(n);
}

static void on_timer_closed(uv_handle_t *handle)
{
    node_release(handle->data);
}

static bool take_options(struct rpc_node *n, const struct rpc_node_options *options)
{
    bool is_bare_v6 = strchr(options->host, ':') != NULL;
    n->loop = options->loop;
    n->port = options->port;
    n->connect_ms = options->connect_ms > 0 ? options->connect_ms : CONNECT_MS;
    n->frame_max = options->frame_max > 0 ? options->frame_max : FRAME_MAX_DEFAULT;
    n->host = mem_strdup(options->host);
    n->address = mem_printf(is_bare_v6 ? "[%s]:%u" : "%s:%u", options->host, (unsigned)options->port);
    bool has_secret = options->secret != NULL && *options->secret != '\0';
    n->secret = has_secret ? mem_strdup(options->secret) : NULL;
    return n->host != NULL && n->address != NULL && (n->secret != NULL || !has_secret);
}

struct rpc_node *rpc_node_new(const struct rpc_node_options *options)
{
    struct rpc_node *n = mem_calloc(1, sizeof *n);
    if (n == NULL)
        return NULL;
    n->open_handles = 1;
    if (!take_options(n, options) || uv_timer_init(n->loop, &n->timer) != 0) {
        node_release(n);
        return NULL;
    }
    n->timer.data = n;
    n->timer_ms = INT64_MAX;
    return n;
}

void rpc_node_free(struct rpc_node *n)
{
    if (n == NULL)
        return;
    assert(!n->is_freed);
    n->is_freed = true;
    if (n->connection != NULL)
        connection_close(n->connection);
    if (n->retired != NULL)
        connection_close(n->retired);
    if (n->lookup != NULL) {
        n->lookup->node = NULL;
        (void)uv_cancel((uv_req_t *)&n->lookup->request); /* or it ends by itself */
    }
    free_all(&n->waiting);
    free_all(&n->under_way);
    free_all(&n->ended);
    free_all(&n->delivering);
    n->n_unsent = 0;
    uv_close((uv_handle_t *)&n->timer, on_timer_closed);
}

const char *rpc_node_host(const struct rpc_node *n)
{
    return n->host;
}

uint16_t rpc_node_port(const struct rpc_node *n)
{
    return n->port;
}

const char *rpc_node_version(const struct rpc_node *n)
{
    return n->version;
}

const char *rpc_node_scala(const struct rpc_node *n)
{
    return n->scala;
}

/* Even the news that there is no memory needs a place to wait in. */
static void cannot_ask(struct rpc_node *n, rpc_answer_cb *done, void *arg)
{
    if (n->n_unsent == UNSENT_MAX) {
        log_error("out of memory", LOG_S("for", "requests to Spark nodes"));
        abort();
    }
    n->unsent[n->n_unsent].done = done;
    n->unsent[n->n_unsent++].arg = arg;
    set_timer(n, clock_mono_ms());
}

void rpc_ask(struct rpc_node *n, const struct rpc_message *message, int64_t timeout_ms, rpc_answer_cb *done,
             void *arg)
{
    struct request *r = mem_calloc(1, sizeof *r);
    if (r == NULL || message_copy(&r->copy, message) != 0) {
        mem_free(r);
        cannot_ask(n, done, arg);
        return;
    }
    r->done = done;
    r->arg = arg;
    r->heard = n->heard;
    r->timeout_ms = timeout_ms;
    r->due_ms = clock_mono_ms() + timeout_ms;
    DL_APPEND(n->waiting, r);
    if (++n->n_requests > RPC_NODE_REQUESTS_MAX)
        request_end(r, n, RPC_NOT_SENT, "was asked too much: more than %d requests are under way",
                    RPC_NODE_REQUESTS_MAX);
    else
        pump(n);
    int64_t due_ms = node_connect_due(n);
    due_ms = n->ended != NULL ? clock_mono_ms() : r->due_ms < due_ms ? r->due_ms : due_ms;
    if (due_ms < n->timer_ms)
        set_timer(n, due_ms);
}
