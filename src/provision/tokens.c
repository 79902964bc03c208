/*
 * Calls that are answered at once with a token, and go on in the background.
 *
 *     accepted: on disk ──► 202 and the token ──► waiting ──► running ──► ended: on disk ──► kept for a day
 *
 * What was asked is kept with the token until it has ended; what has not ended when the server does is run
 * again by the next one, which finds out whether it was done already. Changes of one job happen in the order
 * in which they were accepted, all else a few at a time.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/work.h"
#include "provision/tokens_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <uthash.h>
#include <utlist.h>

#define MINUTE_MS (60 * 1000LL)

enum {
    TOKENS_MAX = 10000,
    BYTES_MAX = 64 << 20, /* of what is kept of all */
    RUNNING_MAX = 16,
    KEEP_MINUTES = 24 * 60,
    KEEP_AT_LEAST_MINUTES = 60, /* also when there are too many */
    SWEEP_MINUTES = 10,
};

/* ---- a token ---- */

static void token_free(struct token *token)
{
    if (token == NULL)
        return;
    mem_free(token->facts);
    mem_free(token->descriptor);
    mem_free(token->user);
    mem_free(token->proxy_user);
    mem_free(token->job);
    mem_free(token);
}

/* Bytes: of what was asked, or of the outcome. */
static size_t size_of(const struct token *token)
{
    return (token->facts != NULL ? strlen(token->facts) : 0) +
           (token->descriptor != NULL ? strlen(token->descriptor) : 0);
}

static void add(struct tokens *t, struct token *token)
{
    token->all = t;
    t->bytes += size_of(token);
    HASH_ADD_STR(t->by_text, text, token);
}

static void forget(struct token *token)
{
    struct tokens *t = token->all;
    t->bytes -= size_of(token);
    HASH_DEL(t->by_text, token);
    token_free(token);
}

enum err_code token_draw(char ret[TOKEN_TEXT_MAX], struct err *err)
{
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_sys(err, errno, "no random bytes for a token");
    for (size_t i = 0; i < sizeof bytes; i++) {
        static const char digits[] = "0123456789abcdef";
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 0xF];
    }
    ret[TOKEN_TEXT_MAX - 1] = '\0';
    return ERR_OK;
}

/* ---- on disk ---- */

static void store_token(struct token *token, bool ended, const char *facts, store_cb *done)
{
    struct store_token row = {
        .token = token->text,
        .door = provision_door_name,
        .facts = facts,
        .changed_ms = clock_wall_ms(),
        .ended = ended,
    };
    token->changed_ms = row.changed_ms;
    store_put_token(token->all->provision->options.store, &row, done, token);
}

/* ---- one after the other ---- */

/* Its job is that of all which are accepted earlier, too, or none of theirs. */
static void queue(struct tokens *t, struct token *token)
{
    struct token *last = NULL;
    HASH_FIND(by_job, t->last_of_job, token->job, strlen(token->job), last);
    if (last != NULL) {
        last->behind_it = token;
        HASH_DELETE(by_job, t->last_of_job, last);
    } else {
        DL_APPEND(t->ready, token);
    }
    HASH_ADD_KEYPTR(by_job, t->last_of_job, token->job, strlen(token->job), token);
}

static void unqueue(struct tokens *t, struct token *token)
{
    if (token->job == NULL)
        return;
    if (token->behind_it != NULL)
        DL_APPEND(t->ready, token->behind_it);
    else
        HASH_DELETE(by_job, t->last_of_job, token);
    token->behind_it = NULL;
}

/* That many may have waited for the one whose job is known now. */
static void arrive(struct tokens *t, struct token *token)
{
    if (token->job == NULL) {
        DL_DELETE(t->arriving, token);
        DL_APPEND(t->ready, token);
    }
    for (struct token *first; (first = t->arriving) != NULL && first->knows_job;) {
        DL_DELETE(t->arriving, first);
        queue(t, first);
    }
}

/* ---- running ---- */

static void pump(struct tokens *t);

/* What was asked is not needed any more. */
static void drop_request(struct token *token)
{
    token->all->bytes -= strlen(token->descriptor);
    mem_set_str(&token->descriptor, NULL);
    mem_set_str(&token->job, NULL);
}

static void on_end_stored(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct token *token = arg;
    struct tokens *t = token->all;
    (void)id;
    (void)replayed;
    if (err->code != ERR_OK)
        log_warn("the end of an operation was not stored: after a restart it is done again",
                 LOG_S("operation", operation_name(token->operation)), LOG_S("why", err->msg));
    FAULT_POINT("provision.after_end");
    token->ended = true;
    t->n_running--;
    unqueue(t, token);
    drop_request(token);
    pump(t);
}

static void on_outcome(const struct outcome *outcome, void *arg)
{
    struct token *token = arg;
    if (token->all->stopped)
        return; /* the next server does it again */
    FAULT_POINT("provision.before_end");
    token->facts = token_outcome_facts(token, outcome);
    if (token->facts == NULL) {
        static const struct outcome no_memory = {.status = 503, .error = "out of memory"};
        token->facts = token_outcome_facts(token, &no_memory);
    }
    if (token->facts == NULL)
        return; /* stays running until the server is started again */
    token->all->bytes += strlen(token->facts);
    store_token(token, true, token->facts, on_end_stored);
}

/* On a worker. What cannot be decoded changes no job. */
static void find_job(void *arg)
{
    struct token *token = arg;
    struct descriptor d = {0};
    struct err err;
    if (descriptor_read(token->descriptor, &d, &err) == ERR_OK && d.has_component)
        token->job = mem_printf("%s/%s", d.group, d.component.job_name);
    descriptor_clear(&d);
}

static void on_job_found(void *arg)
{
    struct token *token = arg;
    token->knows_job = true;
    arrive(token->all, token);
    pump(token->all);
}

/* So that changes of one job happen in order; without memory for it they may not. */
static void look_up_job(struct token *token)
{
    uv_loop_t *loop = token->all->provision->options.loop;
    if (token->operation == OPERATION_VALIDATE ||
        work_run(loop, find_job, on_job_found, token, NULL) != ERR_OK)
        on_job_found(token);
}

static void pump(struct tokens *t)
{
    while (!t->stopped && t->n_running < RUNNING_MAX && t->ready != NULL) {
        struct token *token = t->ready;
        struct operation_request request = {
            .operation = token->operation,
            .descriptor = token->descriptor,
            .owner = token->user,
            .proxy_user = token->proxy_user,
            .since_ms = token->resumed ? token->changed_ms : 0,
        };
        DL_DELETE(t->ready, token);
        t->n_running++;
        operation_run(t->provision, &request, on_outcome, token);
    }
}

/* ---- accepting ---- */

static void answer_accepted(struct http_request *r, const char *token)
{
    cleanup(buf_clear) struct buf body = BUF(TOKEN_TEXT_MAX + 2);
    buf_printf(&body, "\"%s\"", token);
    reply_json(r, 202, &body);
}

static void on_accepted(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct token *token = arg;
    struct tokens *t = token->all;
    struct http_request *r = token->request;
    (void)id;
    (void)replayed;
    token->request = NULL;
    if (err->code != ERR_OK) {
        reply_system_error(r, err_http_status(err->code), err->msg);
        forget(token);
        return;
    }
    FAULT_POINT("provision.before_accepted");
    answer_accepted(r, token->text);
    FAULT_POINT("provision.after_accepted");
    DL_APPEND(t->arriving, token);
    look_up_job(token);
}

static struct token *token_new(struct tokens *t, const struct operation_request *request, struct err *err)
{
    struct token *token = mem_calloc(1, sizeof *token);
    if (token == NULL || mem_set_str(&token->descriptor, request->descriptor) != 0 ||
        mem_set_str(&token->user, request->owner) != 0 ||
        mem_set_str(&token->proxy_user, request->proxy_user) != 0) {
        (void)err_set(err, ERR_NOMEM, "out of memory");
    } else if (token_draw(token->text, err) == ERR_OK) {
        token->operation = request->operation;
        token->number = ++t->last_number;
        return token;
    }
    token_free(token);
    return NULL;
}

/* Forgets those that ended before that time, here; the store does it by itself. */
static void forget_before(struct tokens *t, int64_t wall_ms)
{
    struct token *token, *next;
    HASH_ITER(hh, t->by_text, token, next)
    {
        if (token->ended && token->changed_ms < wall_ms)
            forget(token);
    }
}

static void on_removed(const struct err *err, int64_t id, bool replayed, void *arg)
{
    (void)id;
    (void)replayed;
    (void)arg;
    if (err->code != ERR_OK)
        log_warn("old tokens were not removed", LOG_S("why", err->msg));
}

static void sweep(struct tokens *t, int64_t keep_minutes)
{
    int64_t before_ms = clock_wall_ms() - keep_minutes * MINUTE_MS;
    forget_before(t, before_ms);
    store_remove_tokens(t->provision->options.store, provision_door_name, before_ms, on_removed, NULL);
}

static bool is_full(const struct tokens *t, size_t further)
{
    return HASH_COUNT(t->by_text) >= TOKENS_MAX || t->bytes + further > BYTES_MAX;
}

/* Not for each of many that are refused: it is a walk through all, and a transaction. */
static void make_room(struct tokens *t)
{
    int64_t now_ms = clock_mono_ms();
    if (t->room_made_ms != 0 && now_ms - t->room_made_ms < MINUTE_MS)
        return;
    t->room_made_ms = now_ms;
    sweep(t, KEEP_AT_LEAST_MINUTES);
}

void tokens_begin(struct provision *p, struct http_request *r, const struct operation_request *request)
{
    struct tokens *t = p->tokens;
    struct err err = {0};
    size_t further = strlen(request->descriptor);
    if (is_full(t, further))
        make_room(t);
    if (is_full(t, further)) {
        reply_system_error(r, 503, "too many operations are kept, try again later");
        return;
    }
    struct token *token = token_new(t, request, &err);
    cleanup(mem_freep) char *facts = token != NULL ? token_request_facts(token) : NULL;
    if (token != NULL && facts == NULL)
        (void)err_set(&err, ERR_NOMEM, "out of memory");
    if (facts == NULL) {
        token_free(token);
        reply_system_error(r, err_http_status(err.code), err.msg);
        return;
    }
    token->request = r;
    add(t, token);
    store_token(token, false, facts, on_accepted);
}

/* ---- opening and closing ---- */

static void on_timer(uv_timer_t *timer)
{
    sweep(timer->data, KEEP_MINUTES);
}

/* What the last server has left goes on now that all that it needs is open. */
static void on_first_turn(uv_timer_t *timer)
{
    struct tokens *t = timer->data;
    struct token *token, *next;
    (void)uv_timer_start(timer, on_timer, SWEEP_MINUTES * MINUTE_MS, SWEEP_MINUTES * MINUTE_MS);
    sweep(t, KEEP_MINUTES);
    DL_FOREACH_SAFE(t->arriving, token, next) /* one whose job is not yet known stays */
    {
        look_up_job(token);
    }
}

static void on_given_up(const struct err *err, int64_t id, bool replayed, void *arg)
{
    (void)id;
    (void)replayed;
    (void)arg;
    if (err->code != ERR_OK)
        log_warn("a stored operation that cannot be read stays", LOG_S("why", err->msg));
}

/* Nobody will ever do it: it goes with those that have ended. */
static void give_up(struct tokens *t, const struct store_token *row, const struct err *why)
{
    struct store_token ended = *row;
    log_error("a stored operation cannot be read", LOG_S("why", why->msg));
    if (row->ended)
        return;
    ended.ended = true;
    ended.changed_ms = clock_wall_ms();
    store_put_token(t->provision->options.store, &ended, on_given_up, NULL);
}

static bool on_token(const struct store_token *row, void *arg)
{
    struct tokens *t = arg;
    struct err err = {0};
    struct token *token = mem_calloc(1, sizeof *token);
    if (token == NULL)
        return false;
    (void)snprintf(token->text, sizeof token->text, "%s", row->token);
    token->ended = row->ended;
    token->resumed = !row->ended;
    token->changed_ms = row->changed_ms;
    enum err_code rc = token_read_facts(token, row->facts, &err);
    if (rc != ERR_OK) {
        token_free(token);
        if (rc != ERR_NOMEM)
            give_up(t, row, &err);
        return rc != ERR_NOMEM;
    }
    add(t, token);
    if (token->number > t->last_number)
        t->last_number = token->number;
    if (!token->ended)
        DL_APPEND(t->arriving, token);
    return true;
}

static int by_number(const struct token *a, const struct token *b)
{
    return (a->number > b->number) - (a->number < b->number);
}

enum err_code tokens_open(struct provision *p, struct tokens **ret, struct err *err)
{
    struct tokens *t = mem_calloc(1, sizeof *t);
    if (t == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    t->provision = p;
    enum err_code rc = store_load_tokens(p->options.store, provision_door_name, on_token, t, err);
    if (rc != ERR_OK) {
        t->stopped = true; /* it has no timer */
        tokens_free(t);
        return rc;
    }
    DL_SORT(t->arriving, by_number);
    t->timer.data = t;
    (void)uv_timer_init(p->options.loop, &t->timer);
    (void)uv_timer_start(&t->timer, on_first_turn, 0, 0);
    *ret = t;
    return ERR_OK;
}

void tokens_stop(struct tokens *t)
{
    if (t == NULL || t->stopped)
        return;
    t->stopped = true;
    uv_close((uv_handle_t *)&t->timer, NULL);
}

void tokens_free(struct tokens *t)
{
    if (t == NULL)
        return;
    struct token *token, *next;
    HASH_CLEAR(by_job, t->last_of_job);
    HASH_ITER(hh, t->by_text, token, next)
    {
        forget(token);
    }
    mem_free(t);
}
