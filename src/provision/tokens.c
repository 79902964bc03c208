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
#include "provision/provision_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <uthash.h>
#include <utlist.h>

#define MINUTE_MS (60 * 1000LL)

enum {
    TOKEN_BYTES = 16, /* random ones; nobody guesses them */
    TOKEN_TEXT_MAX = 2 * TOKEN_BYTES + 1,
    TOKENS_MAX = 10000,
    FACTS_MAX = 64 << 20,  /* of one token */
    TOTAL_MAX = 256 << 20, /* bytes of all facts */
    RUNNING_MAX = 16,
    FACTS_DEPTH_MAX = 8,
    KEEP_MINUTES = 24 * 60,
    KEEP_AT_LEAST_MINUTES = 60, /* also when there are too many */
    SWEEP_MINUTES = 10,
};

struct token {
    UT_hash_handle hh; /* by text */
    struct tokens *all;
    char text[TOKEN_TEXT_MAX];
    enum operation operation;
    int64_t number; /* they were accepted in this order */
    int64_t changed_ms;
    bool ended;
    char *facts; /* JSON: while it has not ended what was asked, then the outcome */
    /* until it has ended */
    struct http_request *request; /* the call that waits for 202; NULL: answered */
    char *descriptor, *user, *proxy_user;
    bool knows_job; /* it was looked up, on a worker, for descriptors may be long */
    char *job;      /* "group/name" of the job that it changes, or NULL */
    bool resumed;   /* the server that accepted it has ended */
    bool running;
    struct token *prev, *next;
};

struct tokens {
    struct provision *provision;
    struct token *by_text;
    struct token *open; /* on disk and not ended, in order */
    size_t facts_size;
    int64_t last_number;
    unsigned n_running;
    uv_timer_t timer; /* the first turn of the loop; then the sweeping */
    bool stopped;
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

static void add(struct tokens *t, struct token *token)
{
    token->all = t;
    t->facts_size += strlen(token->facts);
    HASH_ADD_STR(t->by_text, text, token);
}

static void forget(struct token *token)
{
    struct tokens *t = token->all;
    t->facts_size -= strlen(token->facts);
    HASH_DEL(t->by_text, token);
    token_free(token);
}

static void replace_facts(struct token *token, char *facts)
{
    token->all->facts_size += strlen(facts) - strlen(token->facts);
    mem_free(token->facts);
    token->facts = facts;
}

static enum err_code draw_text(char ret[TOKEN_TEXT_MAX], struct err *err)
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

/* ---- facts ---- */

static char *request_facts(const struct token *token)
{
    cleanup(buf_clear) struct buf text = BUF(FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_str(&out, "operation", operation_name(token->operation));
    json_out_int(&out, "number", token->number);
    json_out_str(&out, "owner", token->user);
    json_out_str(&out, "proxyUser", token->proxy_user);
    json_out_str(&out, "descriptor", token->descriptor);
    json_out_end_object(&out);
    return buf_steal(&text);
}

static char *outcome_facts(const struct token *token, const struct outcome *outcome)
{
    static const struct strlist none = {0};
    cleanup(buf_clear) struct buf text = BUF(FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_str(&out, "operation", operation_name(token->operation));
    json_out_int(&out, "number", token->number);
    json_out_int(&out, "status", outcome->status);
    json_out_list(&out, "errors", outcome->errors != NULL ? outcome->errors : &none);
    json_out_str(&out, "result", outcome->result);
    json_out_str(&out, "error", outcome->error);
    json_out_end_object(&out);
    return buf_steal(&text);
}

static bool operation_find(const char *name, enum operation *ret)
{
    static const enum operation all[] = {OPERATION_VALIDATE, OPERATION_PROVISION, OPERATION_UNPROVISION};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (str_same(name, operation_name(all[i]))) {
            *ret = all[i];
            return true;
        }
    return false;
}

/* Copies a text of the facts; false: out of memory. */
static bool copy_fact(const json_t *facts, const char *name, char **ret)
{
    return mem_set_str(ret, json_string_value(json_object_get(facts, name))) == 0;
}

static enum err_code read_facts(struct token *token, struct err *err)
{
    json_t *facts = NULL;
    enum err_code rc = json_parse(token->facts, strlen(token->facts), FACTS_DEPTH_MAX, &facts, err);
    if (rc != ERR_OK)
        return rc;
    token->number = json_integer_value(json_object_get(facts, "number"));
    if (!operation_find(json_string_value(json_object_get(facts, "operation")), &token->operation))
        rc = err_set(err, ERR_INVALID, "no operation of that name");
    else if (token->ended)
        rc = ERR_OK;
    else if (!copy_fact(facts, "descriptor", &token->descriptor) ||
             !copy_fact(facts, "owner", &token->user) || !copy_fact(facts, "proxyUser", &token->proxy_user))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    else if (token->descriptor == NULL)
        rc = err_set(err, ERR_INVALID, "it has no descriptor");
    json_decref(facts);
    return rc;
}

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

/* ---- running ---- */

static void pump(struct tokens *t);

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
    DL_DELETE(t->open, token);
    t->n_running--;
    mem_set_str(&token->descriptor, NULL);
    mem_set_str(&token->job, NULL);
    pump(t);
}

static void on_outcome(const struct outcome *outcome, void *arg)
{
    struct token *token = arg;
    if (token->all->stopped)
        return; /* the next server does it again */
    FAULT_POINT("provision.before_end");
    char *facts = outcome_facts(token, outcome);
    if (facts == NULL) {
        static const struct outcome no_memory = {.status = 503, .error = "out of memory"};
        facts = outcome_facts(token, &no_memory);
    }
    if (facts == NULL)
        return; /* stays running until the server is started again */
    replace_facts(token, facts);
    store_token(token, true, facts, on_end_stored);
}

/* True when an operation that was accepted earlier changes the same job, or may do so. */
static bool is_behind_another(const struct tokens *t, const struct token *token)
{
    for (const struct token *other = t->open; other != token; other = other->next)
        if (token->job != NULL && (!other->knows_job || str_same(other->job, token->job)))
            return true;
    return false;
}

static struct token *next_to_run(const struct tokens *t)
{
    for (struct token *token = t->open; token != NULL; token = token->next)
        if (token->knows_job && !token->running && !is_behind_another(t, token))
            return token;
    return NULL;
}

/* On a worker. What cannot be decoded changes no job. */
static void find_job(void *arg)
{
    struct token *token = arg;
    struct descriptor d = {0};
    if (descriptor_read(token->descriptor, &d, NULL) == ERR_OK && d.has_component)
        token->job = mem_printf("%s/%s", d.group, d.component.job_name);
    descriptor_clear(&d);
}

static void on_job_found(void *arg)
{
    struct token *token = arg;
    token->knows_job = true;
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
    struct token *token;
    while (!t->stopped && t->n_running < RUNNING_MAX && (token = next_to_run(t)) != NULL) {
        struct operation_request request = {
            .operation = token->operation,
            .descriptor = token->descriptor,
            .owner = token->user,
            .proxy_user = token->proxy_user,
            .since_ms = token->resumed ? token->changed_ms : 0,
        };
        token->running = true;
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
    DL_APPEND(t->open, token);
    look_up_job(token);
}

static struct token *token_new(struct tokens *t, const struct operation_request *request, struct err *err)
{
    struct token *token = mem_calloc(1, sizeof *token);
    if (token == NULL || mem_set_str(&token->descriptor, request->descriptor) != 0 ||
        mem_set_str(&token->user, request->owner) != 0 ||
        mem_set_str(&token->proxy_user, request->proxy_user) != 0) {
        (void)err_set(err, ERR_NOMEM, "out of memory");
    } else if (draw_text(token->text, err) == ERR_OK) {
        token->operation = request->operation;
        token->number = ++t->last_number;
        token->facts = request_facts(token);
        if (token->facts != NULL)
            return token;
        (void)err_set(err, ERR_NOMEM, "out of memory");
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
    return HASH_COUNT(t->by_text) >= TOKENS_MAX || t->facts_size + further > TOTAL_MAX;
}

void tokens_begin(struct provision *p, struct http_request *r, const struct operation_request *request)
{
    struct tokens *t = p->tokens;
    struct err err = {0};
    size_t further = strlen(request->descriptor);
    if (is_full(t, further))
        sweep(t, KEEP_AT_LEAST_MINUTES);
    if (is_full(t, further)) {
        reply_system_error(r, 503, "too many operations are kept, try again later");
        return;
    }
    struct token *token = token_new(t, request, &err);
    if (token == NULL) {
        reply_system_error(r, err_http_status(err.code), err.msg);
        return;
    }
    token->request = r;
    add(t, token);
    store_token(token, false, token->facts, on_accepted);
}

/* ---- status ---- */

/* NULL: there is none, and it is answered. */
static struct token *asked_for(struct http_request *r, const struct provision *p, bool validation)
{
    struct token *token = NULL;
    const char *text = http_param(r, 0);
    HASH_FIND_STR(p->tokens->by_text, text, token);
    if (token != NULL && token->request == NULL && (token->operation == OPERATION_VALIDATE) == validation)
        return token;
    reply_one_error(r, 400, "Provision state with id: %s not found.", text);
    return NULL;
}

struct ended {
    json_t *facts;
    int64_t status;
    struct strlist messages; /* errors, or the one error */
    const char *result;      /* or NULL */
};

static void ended_clear(struct ended *e)
{
    strlist_clear(&e->messages);
    json_decref(e->facts);
}

static bool ended_read(const struct token *token, struct ended *ret)
{
    size_t i;
    json_t *item;
    *ret = (struct ended){0};
    if (json_parse(token->facts, strlen(token->facts), FACTS_DEPTH_MAX, &ret->facts, NULL) != ERR_OK)
        return false;
    ret->status = json_integer_value(json_object_get(ret->facts, "status"));
    ret->result = json_string_value(json_object_get(ret->facts, "result"));
    json_array_foreach(json_object_get(ret->facts, "errors"), i, item)
    {
        if (json_is_string(item) && strlist_add(&ret->messages, json_string_value(item)) != 0)
            return false;
    }
    const char *error = json_string_value(json_object_get(ret->facts, "error"));
    return error == NULL || strlist_add(&ret->messages, error) == 0;
}

static void write_validation(struct json_out *out, const struct ended *e)
{
    json_out_str(out, "status", e->status == 200 ? "COMPLETED" : "FAILED");
    if (e->status != 200) {
        json_out_null(out, "info");
        return;
    }
    json_out_object(out, "info");
    write_validation_result(out, "publicInfo", &e->messages);
    json_out_end_object(out);
}

static void write_logs(struct json_out *out, const struct strlist *messages, int64_t wall_ms)
{
    char when[CLOCK_TEXT_MAX];
    clock_format(wall_ms, when);
    json_out_array(out, "logs");
    for (size_t i = 0; i < messages->n; i++) {
        json_out_object(out, NULL);
        json_out_str(out, "timestamp", when);
        json_out_str(out, "level", "ERROR");
        json_out_str(out, "message", messages->items[i]);
        json_out_null(out, "phase");
        json_out_end_object(out);
    }
    json_out_end_array(out);
}

static void write_provisioning(struct json_out *out, const struct ended *e, int64_t wall_ms)
{
    bool completed = e->status == 200;
    cleanup(mem_freep) char *messages = strlist_join(&e->messages, "\n");
    json_out_str(out, "status", completed ? "COMPLETED" : "FAILED");
    json_out_str(out, "result", completed ? e->result : messages != NULL ? messages : "");
    json_out_null(out, "info");
    if (completed)
        json_out_null(out, "logs");
    else
        write_logs(out, &e->messages, wall_ms);
}

static void write_running(struct json_out *out, bool validation)
{
    json_out_str(out, "status", "RUNNING");
    if (!validation)
        json_out_str(out, "result", "");
    json_out_null(out, "info");
    if (!validation)
        json_out_null(out, "logs");
}

static void answer_status(struct http_request *r, const struct provision *p, bool validation)
{
    struct ended ended = {0};
    struct token *token = asked_for(r, p, validation);
    if (token == NULL)
        return;
    if (token->ended && !ended_read(token, &ended)) {
        ended_clear(&ended);
        http_reply(r, NULL);
        return;
    }
    cleanup(buf_clear) struct buf body = BUF(2 * FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    if (!token->ended)
        write_running(&out, validation);
    else if (validation)
        write_validation(&out, &ended);
    else
        write_provisioning(&out, &ended, token->changed_ms);
    json_out_end_object(&out);
    ended_clear(&ended);
    reply_json(r, 200, &body);
}

void validate_status(struct http_request *r, void *arg)
{
    answer_status(r, arg, true);
}

void provision_status(struct http_request *r, void *arg)
{
    answer_status(r, arg, false);
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
    struct token *token;
    (void)uv_timer_start(timer, on_timer, SWEEP_MINUTES * MINUTE_MS, SWEEP_MINUTES * MINUTE_MS);
    sweep(t, KEEP_MINUTES);
    DL_FOREACH(t->open, token)
    {
        look_up_job(token);
    }
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
    token->facts = mem_strdup(row->facts);
    enum err_code rc = token->facts != NULL ? read_facts(token, &err) : ERR_NOMEM;
    if (rc != ERR_OK) {
        token_free(token);
        if (rc != ERR_NOMEM)
            log_error("a stored operation cannot be read", LOG_S("why", err.msg));
        return rc != ERR_NOMEM;
    }
    add(t, token);
    if (token->number > t->last_number)
        t->last_number = token->number;
    if (!token->ended)
        DL_APPEND(t->open, token);
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
    DL_SORT(t->open, by_number);
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
    HASH_ITER(hh, t->by_text, token, next)
    {
        forget(token);
    }
    mem_free(t);
}
