/*
 * An operation's life:
 *
 *                     ┌── other node, or a pause ◄── standby, safe mode, out of reach
 *                     ▼                                     │
 *     start ─► (timer) ask_node ─► on_answer ─► judge ──────┤
 *                                   ▲             │         └─► over: told, timer closed, freed
 *                                   └── follow ◄──┘ a redirect
 *
 * Invariants: it either waits for its timer or has a call, whose time the timer watches, too (Kerberos may
 * hold up a call beyond the time it was given). It is in the client's list until it is over.
 */
#include "hdfs/hdfs_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    TIMEOUT_MS = 30000,
    REDIRECTS_MAX = 3,
    CONNECT_MIN_MS = 2000,
    GRACE_MS = 500, /* the call itself knows more about why it is late */
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 2000,
    ANSWER_MAX = 4 * 1024 * 1024, /* bytes; a listing comes in parts of a thousand */
    UNSAID_MAX = 64,
};

/* An operation for which there was no memory. */
struct unsaid {
    const struct operation_kind *kind;
    union hdfs_cb cb;
    void *arg;
};

struct hdfs {
    uv_loop_t *loop;
    struct http_client *http;
    char *nodes[HDFS_NODES];
    unsigned n_nodes;
    char *user;
    bool kerberos;
    int64_t timeout_ms;
    unsigned active; /* the node that answered last */
    struct operation *operations;
    uv_timer_t timer; /* for what is unsaid */
    struct unsaid unsaid[UNSAID_MAX];
    unsigned n_unsaid;
    size_t open_handles; /* the timers of the client and of operations, until they are closed */
    bool is_freed;
};

static void on_timer(uv_timer_t *timer);

unsigned hdfs_n_nodes(const struct operation *o)
{
    return o->hdfs->n_nodes;
}

const char *hdfs_node_url(const struct operation *o)
{
    return o->hdfs->nodes[o->node];
}

/* ---- the end of operations ---- */

static void release(struct hdfs *h)
{
    if (--h->open_handles > 0)
        return;
    for (unsigned i = 0; i < HDFS_NODES; i++)
        mem_free(h->nodes[i]);
    mem_free(h->user);
    mem_free(h);
}

static void on_operation_closed(uv_handle_t *handle)
{
    struct operation *o = handle->data;
    struct hdfs *h = o->hdfs;
    hdfs_files_clear(&o->files);
    mem_free(o->path);
    mem_free(o->local_file);
    mem_free(o->place);
    mem_free(o);
    release(h);
}

static void close_operation(struct operation *o)
{
    DL_DELETE(o->hdfs->operations, o);
    if (o->call != NULL)
        http_call_cancel(o->call);
    o->call = NULL;
    uv_close((uv_handle_t *)&o->timer, on_operation_closed);
}

void hdfs_finish(struct operation *o, const struct err *err)
{
    close_operation(o); /* which leaves it alone until the loop turns */
    o->kind->tell(o, err);
}

/* ---- words ---- */

/* Paths may be long: the words behind them must not be lost. */
static void set_head(const struct operation *o, char head[256])
{
    bool is_long = strlen(o->path) > 160;
    (void)snprintf(head, 256, "HDFS, %s %.160s%s", o->kind->verb, o->path, is_long ? "…" : "");
}

/* "http://nn0:9870: words" */
static void set_place(const struct operation *o, struct err *err)
{
    if (o->place != NULL)
        (void)err_wrap(err, "host %.80s, where it redirects to", o->redirect.host);
    (void)err_wrap(err, "%.100s", hdfs_node_url(o));
}

static void finish_with(struct operation *o, struct err *err)
{
    char head[256];
    set_head(o, head);
    (void)err_wrap(err, "%s", head);
    hdfs_finish(o, err);
}

/* What is worth most to know: a NameNode that is there and not ready, one that is slow, one that is not
 * there. */
static enum err_code worst_code(const struct operation *o)
{
    static const enum err_code order[] = {ERR_BUSY, ERR_TIMEOUT, ERR_TOO_LARGE, ERR_IO};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        for (unsigned node = 0; node < HDFS_NODES; node++)
            if (o->trouble[node].code == order[i])
                return order[i];
    return ERR_IO;
}

/* "http://nn0:9870: words; http://nn1:9870: words" */
static void give_up(struct operation *o)
{
    struct err err;
    const char *first = o->trouble[0].code != ERR_OK ? o->trouble[0].msg : "";
    const char *second = o->trouble[1].code != ERR_OK ? o->trouble[1].msg : "";
    bool both = first[0] != '\0' && second[0] != '\0';
    int each = both ? 160 : 320;
    (void)err_set(&err, worst_code(o), "%.*s%s%.*s", each, first, both ? "; " : "", each, second);
    finish_with(o, &err);
}

/* ---- asking ---- */

int64_t hdfs_left_ms(const struct operation *o)
{
    int64_t left = o->deadline_ms - clock_mono_ms();
    return left > 1 ? left : 1;
}

static void set_timer(struct operation *o, int64_t ms)
{
    (void)uv_timer_start(&o->timer, on_timer, (uint64_t)ms, 0); /* cannot fail */
}

static void on_answer(const struct http_result *result, void *arg);

/* A machine that is switched off says nothing; there must be time left for another one. */
static int64_t connect_patience_ms(int64_t timeout_ms)
{
    int64_t quarter = timeout_ms / 4;
    if (quarter < CONNECT_MIN_MS)
        quarter = CONNECT_MIN_MS;
    return quarter < timeout_ms ? quarter : timeout_ms;
}

/* `file`: to send, or NULL. */
static void ask(struct operation *o, const char *url, const char *file, struct http_call_options *call)
{
    static const char *const bytes[] = {"Content-Type: application/octet-stream", NULL};
    call->url = url;
    call->file = file;
    call->connect_ms = connect_patience_ms(call->timeout_ms);
    call->headers = file != NULL ? bytes : NULL;
    call->negotiate = o->hdfs->kerberos && (o->place == NULL || o->redirect.same_server);
    o->call_ms = call->timeout_ms;
    o->call = url != NULL ? http_call_start(o->hdfs->http, call, on_answer, o) : NULL;
    o->no_memory = o->call == NULL;
    set_timer(o, o->no_memory ? 0 : o->call_ms + GRACE_MS);
}

void hdfs_ask(struct operation *o, const char *method, const struct buf *url, int64_t timeout_ms,
              size_t answer_max)
{
    struct http_call_options call = {.method = method, .timeout_ms = timeout_ms, .answer_max = answer_max};
    ask(o, buf_check(url, NULL) == ERR_OK ? url->data : NULL, NULL, &call);
}

void hdfs_add_url(const struct operation *o, struct buf *url)
{
    buf_str(url, hdfs_node_url(o));
    buf_str(url, "/webhdfs/v1");
    hdfs_add_path(url, o->path);
    buf_str(url, "?op=");
}

/* With Kerberos the ticket names the user. */
void hdfs_add_user(const struct operation *o, struct buf *url)
{
    if (o->hdfs->user == NULL || o->hdfs->kerberos)
        return;
    buf_str(url, "&user.name=");
    hdfs_add_value(url, o->hdfs->user);
}

/* A node that is silent must leave time for the other one. */
static int64_t node_patience_ms(const struct operation *o)
{
    bool is_first = o->n_tries % o->hdfs->n_nodes + 1 < o->hdfs->n_nodes;
    int64_t left = hdfs_left_ms(o);
    return is_first && left > 1 ? left / 2 : left;
}

static void ask_node(struct operation *o)
{
    cleanup(buf_clear) struct buf url = BUF(HDFS_URL_MAX);
    mem_free(o->place);
    o->place = NULL;
    o->n_redirects = 0;
    hdfs_add_url(o, &url);
    o->kind->add_query(o, &url);
    hdfs_add_user(o, &url);
    if (o->excluded[0] != '\0') {
        buf_str(&url, "&excludedatanodes=");
        hdfs_add_value(&url, o->excluded);
    }
    hdfs_ask(o, o->kind->method, &url, node_patience_ms(o), o->answer_max);
}

/* To where a node has redirected, with the data if there are any. */
static void ask_place(struct operation *o)
{
    struct http_call_options call = {
        .method = o->kind->method, .timeout_ms = hdfs_left_ms(o), .answer_max = o->answer_max};
    ask(o, o->place, o->kind->sends_file ? o->local_file : NULL, &call);
}

/* ---- trying again ---- */

static int64_t pause_ms(const struct operation *o)
{
    unsigned round = o->n_tries / o->hdfs->n_nodes;
    int64_t pause = PAUSE_MIN_MS;
    while (round-- > 1 && pause < PAUSE_MAX_MS)
        pause *= 2;
    return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

/* 0: it is not worth another try. */
static int64_t pause_within(const struct operation *o, int64_t left)
{
    int64_t pause = pause_ms(o) < left / 2 ? pause_ms(o) : left / 2;
    return pause >= PAUSE_MIN_MS ? pause : 0;
}

/* A DataNode that is out of reach is not the node's trouble, which is asked for another. But one that says
 * "standby" has it from the node: redirecting is what that does without asking itself. */
static void try_again(struct operation *o, bool is_place_trouble)
{
    int64_t left = o->deadline_ms - clock_mono_ms();
    bool is_round_over = is_place_trouble || (o->n_tries + 1) % o->hdfs->n_nodes == 0;
    if (!is_place_trouble)
        o->node = (o->node + 1) % o->hdfs->n_nodes;
    o->n_tries++;
    int64_t pause = is_round_over ? pause_within(o, left) : 0;
    if (left <= 0 || (is_round_over && pause == 0))
        give_up(o);
    else
        set_timer(o, pause);
}

/* Without leave to overwrite a second try would find what the first one has left, and call that a conflict. A
 * DataNode that refuses before it takes data has made no file. */
static bool may_try_again(const struct operation *o, const struct http_result *result)
{
    bool may_have_made = result->status == 0 ? result->sent : result->file_sent;
    return !o->kind->sends_file || o->place == NULL || o->flag || !may_have_made;
}

static bool are_all_broken(const struct operation *o)
{
    for (unsigned i = 0; i < o->hdfs->n_nodes; i++)
        if (!o->is_broken[i])
            return false;
    return true;
}

static void on_trouble(struct operation *o, struct err *err, enum hdfs_verdict verdict,
                       const struct http_result *result)
{
    set_place(o, err);
    o->trouble[o->node] = *err;
    o->is_broken[o->node] = verdict == HDFS_BROKEN;
    if (!may_try_again(o, result))
        finish_with(o, err);
    else if (are_all_broken(o))
        give_up(o);
    else
        try_again(o, o->place != NULL && result->status == 0);
}

/* ---- answers ---- */

static bool is_redirect(const struct http_result *result)
{
    return result->status >= 300 && result->status < 400 && result->location != NULL;
}

static enum hdfs_verdict follow(struct operation *o, const char *location, struct err *err)
{
    const char *from = o->place != NULL ? o->place : hdfs_node_url(o);
    if (o->n_redirects++ == REDIRECTS_MAX) {
        (void)err_set(err, ERR_IO, "it redirects more than %d times", REDIRECTS_MAX);
        return HDFS_BROKEN;
    }
    if (hdfs_check_redirect(from, location, &o->redirect, err) != ERR_OK)
        return HDFS_BROKEN;
    if (mem_set_str(&o->place, location) != 0) {
        (void)err_set(err, ERR_NOMEM, "out of memory");
        return HDFS_OVER;
    }
    return HDFS_GO_ON;
}

static enum hdfs_verdict read_no_answer(struct operation *o, const struct http_result *result,
                                        struct err *err)
{
    *err = result->err;
    o->uncertain = o->uncertain || result->sent;
    if (o->place != NULL)
        (void)snprintf(o->excluded, sizeof o->excluded, "%s", o->redirect.host);
    if (err->code == ERR_INVALID || err->code == ERR_NOMEM)
        return HDFS_OVER;
    return err->code == ERR_TOO_LARGE ? HDFS_BROKEN : HDFS_ELSEWHERE;
}

static enum hdfs_verdict read_refusal(struct operation *o, const struct http_result *result, struct err *err)
{
    enum hdfs_verdict verdict = hdfs_read_refusal(result->status, result->body, result->len, err);
    o->uncertain = o->uncertain || result->status >= 500;
    if (verdict == HDFS_OVER && o->kind->on_refusal != NULL)
        verdict = o->kind->on_refusal(o, err);
    if (o->excluded[0] == '\0' || verdict != HDFS_OVER || err->code != ERR_IO)
        return verdict;
    o->excluded[0] = '\0'; /* perhaps there is no other DataNode than the one that failed */
    return HDFS_ELSEWHERE;
}

static enum hdfs_verdict judge(struct operation *o, const struct http_result *result, struct err *err)
{
    if (result->status == 0)
        return read_no_answer(o, result, err);
    if (result->status >= 400)
        return read_refusal(o, result, err);
    if (is_redirect(result))
        return follow(o, result->location, err);
    if (result->status >= 200 && result->status < 300)
        return o->kind->take(o, result, err);
    (void)err_set(err, ERR_IO, "HTTP %d, and not in the words of WebHDFS", result->status);
    return HDFS_BROKEN;
}

static void end(struct operation *o, struct err *err)
{
    if (err->code == ERR_OK) {
        hdfs_finish(o, err);
        return;
    }
    set_place(o, err);
    finish_with(o, err);
}

static void take_answer(struct operation *o, const struct http_result *result)
{
    struct err err = {0};
    enum hdfs_verdict verdict = judge(o, result, &err);
    if (verdict == HDFS_ELSEWHERE || verdict == HDFS_BROKEN) {
        on_trouble(o, &err, verdict, result);
        return;
    }
    if (result->status != 0)
        o->hdfs->active = o->node;
    if (verdict == HDFS_OVER)
        end(o, &err);
    else if (is_redirect(result))
        ask_place(o);
    else
        ask_node(o);
}

static void answered(struct operation *o, const struct http_result *result)
{
    o->call = NULL;
    (void)uv_timer_stop(&o->timer);
    if (o->kind->on_answer != NULL)
        o->kind->on_answer(o, result);
    else
        take_answer(o, result);
}

static void on_answer(const struct http_result *result, void *arg)
{
    answered(arg, result);
}

static void on_late(struct operation *o)
{
    struct http_result result = {.sent = true, .body = ""};
    (void)err_set(&result.err, ERR_TIMEOUT, "no whole answer within %" PRId64 " ms", o->call_ms);
    http_call_cancel(o->call);
    answered(o, &result);
}

static void on_timer(uv_timer_t *timer)
{
    struct operation *o = timer->data;
    struct err err = {0};
    if (o->call != NULL) {
        on_late(o);
    } else if (o->no_memory) {
        (void)err_set(&err, ERR_NOMEM, "out of memory");
        finish_with(o, &err);
    } else if (o->kind->begin != NULL) {
        o->kind->begin(o);
    } else if (hdfs_check_path(o->path, &err) != ERR_OK) {
        hdfs_finish(o, &err);
    } else {
        ask_node(o);
    }
}

/* ---- beginnings ---- */

static void say_unsaid(uv_timer_t *timer)
{
    struct hdfs *h = timer->data;
    struct err err;
    (void)err_set(&err, ERR_NOMEM, "out of memory");
    for (unsigned left = h->n_unsaid; left > 0 && !h->is_freed; left--) {
        struct operation o = {.kind = h->unsaid[0].kind, .cb = h->unsaid[0].cb, .arg = h->unsaid[0].arg};
        h->n_unsaid--;
        memmove(&h->unsaid[0], &h->unsaid[1], h->n_unsaid * sizeof h->unsaid[0]);
        o.kind->tell(&o, &err);
    }
    if (h->n_unsaid > 0 && !h->is_freed)
        (void)uv_timer_start(&h->timer, say_unsaid, 0, 0); /* cannot fail */
}

static void say_later(struct hdfs *h, const struct operation_kind *kind, union hdfs_cb cb, void *arg)
{
    if (h->n_unsaid == UNSAID_MAX) {
        log_error("out of memory", LOG_S("for", "requests to HDFS"));
        abort();
    }
    h->unsaid[h->n_unsaid++] = (struct unsaid){kind, cb, arg};
    (void)uv_timer_start(&h->timer, say_unsaid, 0, 0); /* cannot fail */
}

struct operation *hdfs_start(struct hdfs *h, const struct operation_kind *kind, const char *path,
                             union hdfs_cb cb, void *arg)
{
    struct operation *o = mem_calloc(1, sizeof *o);
    if (o == NULL || (o->path = mem_strdup(path)) == NULL) {
        mem_free(o);
        say_later(h, kind, cb, arg);
        return NULL;
    }
    o->hdfs = h;
    o->kind = kind;
    o->cb = cb;
    o->arg = arg;
    o->node = h->active;
    o->answer_max = ANSWER_MAX;
    o->deadline_ms = clock_mono_ms() + h->timeout_ms;
    (void)uv_timer_init(h->loop, &o->timer); /* cannot fail */
    o->timer.data = o;
    h->open_handles++;
    DL_APPEND(h->operations, o);
    set_timer(o, 0);
    return o;
}

/* ---- the client ---- */

static bool set_up(struct hdfs *h, const struct hdfs_options *options)
{
    for (unsigned i = 0; i < HDFS_NODES && options->nodes[i] != NULL; i++, h->n_nodes++)
        if ((h->nodes[i] = mem_strdup(options->nodes[i])) == NULL)
            return false;
    assert(h->n_nodes > 0);
    return mem_set_str(&h->user, options->user) == 0 && (h->http = http_client_new(options->loop)) != NULL;
}

struct hdfs *hdfs_open(const struct hdfs_options *options)
{
    struct hdfs *h = mem_calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->open_handles = 1;
    if (!set_up(h, options)) {
        release(h);
        return NULL;
    }
    h->loop = options->loop;
    h->kerberos = options->kerberos;
    h->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    (void)uv_timer_init(h->loop, &h->timer); /* cannot fail */
    h->timer.data = h;
    return h;
}

static void on_client_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void hdfs_free(struct hdfs *h)
{
    if (h == NULL)
        return;
    h->is_freed = true;
    while (h->operations != NULL)
        close_operation(h->operations);
    http_client_free(h->http);
    uv_close((uv_handle_t *)&h->timer, on_client_closed);
}
