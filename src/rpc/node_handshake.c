/*
 * A fresh connection becomes open: authentication, then the node's dialect.
 *
 * With a secret the method that worked last is tried first, then the others, each on a connection of its own:
 * a node's refusal of one says little about which it wants.
 */
#include "rpc/rpc_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static void send_step(struct connection *c, const struct buf *body)
{
    struct buf bytes = BUF(2 * STEP_MAX);
    c->step_id = ++c->node->last_id;
    frame_write(&bytes, FRAME_REQUEST, c->step_id, body->data, body->len);
    if (body->failed != ERR_OK)
        bytes.failed = body->failed;
    connection_send(c, &bytes);
}

/* ---- the dialect ---- */

/* Harmless, and known to every kind of node. */
static void discover(struct connection *c)
{
    struct err err;
    struct rpc_address to = {c->node->host, c->node->port};
    struct rpc_message question = {.kind = RPC_CHECK_EXISTENCE, .text = "Master"};
    cleanup(buf_clear) struct buf body = BUF(STEP_MAX);
    c->phase = PHASE_DISCOVERING;
    if (rpc_message_write(&c->dialect, NULL, &to, &question, &body, &err) != ERR_OK)
        connection_fail(c, RPC_NOT_SENT, err.msg);
    else
        send_step(c, &body);
}

static void become_open(struct connection *c)
{
    c->phase = PHASE_OPEN;
    c->node->is_method_proven = true;
    c->node->version = NULL; /* it may have been replaced */
    c->node->scala = c->dialect.scala == RPC_SCALA_213 ? "2.13" : "2.12";
}

static void take_discovery(struct connection *c, const struct frame *frame)
{
    struct err err;
    json_t *value = NULL;
    bool is_told =
        rpc_answer_read(frame->body, frame->len, &value, &err) == ANSWER_VALUE && json_is_boolean(value);
    json_decref(value);
    if (is_told)
        become_open(c);
    else if (!handshake_try_other(c))
        connection_fail(c, RPC_BROKEN,
                        "gave an answer to the question for its dialect that is none of Spark's");
}

/* ---- authentication ---- */

static void try_next(struct connection *c, const char *words)
{
    struct rpc_node *n = c->node;
    n->is_method_proven = false;
    if (n->secret != NULL)
        n->method = (enum method)((n->method + 1) % METHODS);
    if (n->secret != NULL && ++n->n_refused < METHODS)
        connection_redial(c);
    else
        connection_fail(c, RPC_UNAUTHORIZED, words);
}

static void authenticate(struct connection *c, const uint8_t *reply, size_t len)
{
    struct err err;
    char words[600];
    cleanup(buf_clear) struct buf body = BUF(STEP_MAX);
    switch (auth_next(c->auth, reply, len, &body, &err)) {
    case AUTH_SEND: send_step(c, &body); break;
    case AUTH_DONE:
        /* Bytes from before the keys were agreed upon must not pass for what the node says with them. */
        if (auth_encrypts(c->auth) && c->in.in.len > c->in.taken)
            connection_fail(c, RPC_BROKEN, "sent more than its part of the handshake");
        else
            discover(c);
        break;
    case AUTH_FAILED:
        (void)snprintf(words, sizeof words, "cannot be authenticated with: %s", err.msg);
        if (err.code == ERR_DENIED)
            connection_fail(c, RPC_UNAUTHORIZED, words);
        else
            try_next(c, words); /* what this one lacks (MD5 under a FIPS policy), another may have */
        break;
    }
}

void handshake_start(struct connection *c)
{
    static const enum auth_method methods[] = {
        [METHOD_SASL] = AUTH_SASL, [METHOD_AES_1] = AUTH_AES_1, [METHOD_AES_2] = AUTH_AES_2};
    struct rpc_node *n = c->node;
    if (n->secret == NULL) {
        discover(c);
        return;
    }
    c->phase = PHASE_AUTHENTICATING;
    c->auth = auth_new(methods[n->method], n->secret, NULL);
    if (c->auth == NULL)
        connection_fail(c, RPC_NOT_SENT, "cannot be authenticated with: out of memory, or no random bytes");
    else
        authenticate(c, NULL, 0);
}

/* ---- other methods ---- */

/* The two versions of the AES handshake look alike; with the wrong one, all that follows is nonsense. A node
 * that was understood before has rather been lost. */
bool handshake_try_other(struct connection *c)
{
    struct rpc_node *n = c->node;
    bool was_proven = n->is_method_proven;
    if (c->phase != PHASE_DISCOVERING || c->auth == NULL || !auth_encrypts(c->auth))
        return false;
    n->is_method_proven = false;
    if (was_proven || n->method != METHOD_AES_1)
        return false;
    n->method = METHOD_AES_2;
    connection_redial(c);
    return true;
}

static void take_refusal(struct connection *c, const struct frame *frame)
{
    char line[401], words[600];
    const char *text = (const char *)frame->body;
    rpc_failure_words(text, frame->len, line);
    (void)snprintf(words, sizeof words, "refused: %s", line);
    switch (auth_read_failure(text, frame->len)) {
    case AUTH_NEEDED:
        try_next(c, c->node->secret == NULL
                        ? "wants a secret (spark.authenticate), and none is configured"
                        : "wants a secret (spark.authenticate) in a way that hearth does not know");
        break;
    case AUTH_UNKNOWN_HERE:
        /* Whoever listens there need not know the secret: it gets no requests. */
        if (c->phase == PHASE_AUTHENTICATING)
            connection_fail(
                c, RPC_UNAUTHORIZED,
                "does not ask for the secret that is configured: spark.authenticate is off there");
        else
            connection_fail(c, RPC_REFUSED, words);
        break;
    case AUTH_REJECTED: connection_fail(c, RPC_UNAUTHORIZED, "does not accept the secret"); break;
    case AUTH_NOT_THE_POINT:
        connection_fail(c, c->phase == PHASE_AUTHENTICATING ? RPC_UNAUTHORIZED : RPC_REFUSED, words);
        break;
    }
}

void handshake_take(struct connection *c, const struct frame *frame)
{
    c->node->heard++;
    if (frame->type == FRAME_RESPONSE && c->phase == PHASE_AUTHENTICATING)
        authenticate(c, frame->body, frame->len);
    else if (frame->type == FRAME_RESPONSE)
        take_discovery(c, frame);
    else if (c->phase == PHASE_DISCOVERING && c->n_discovered++ < LESSONS_MAX &&
             answer_teaches(c, c->generation, frame))
        discover(c);
    else
        take_refusal(c, frame);
}
