/* What the answers on an open connection mean. */
#include "rpc/rpc_internal.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>
#include <utlist.h>

enum { STATE_KEPT_MAX = 256 * 1024 }; /* bytes */

/* ---- which version of Spark ---- */

/* The identity of a class that is in most answers of masters. */
#define TELLTALE "org.apache.spark.rpc.RpcEndpointRef"

static const struct {
    uint64_t uid;
    const char *version;
} versions[] = {
    {(uint64_t)-3992716321891270988, "3.3"},
    {(uint64_t)-2184441956866814275, "3.4 or 3.5"},
    {(uint64_t)7061521101402579207, "3.5 (Scala 2.13)"},
    {(uint64_t)3898290494905438830, "4.0"},
    {(uint64_t)-6062078299962416402, "4.1 or later"},
};

/* Looks for the class's descriptor: its code, the name with its length, the identity. */
static void learn_version(struct rpc_node *n, const uint8_t *body, size_t len)
{
    static const char descriptor[] = "\x72\0\x23" TELLTALE;
    const size_t n_name = sizeof descriptor - 1;
    const uint8_t *at = memmem(body, len, descriptor, n_name);
    if (at == NULL || (size_t)(body + len - at) < n_name + 8)
        return;
    uint64_t uid = 0;
    for (size_t i = 0; i < 8; i++)
        uid = uid << 8 | at[n_name + i];
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (versions[i].uid == uid)
            n->version = versions[i].version;
}

/* ---- lessons ---- */

static bool is_about_classes(const char *text)
{
    return strstr(text, "local class incompatible") != NULL || strstr(text, "ClassNotFoundException") != NULL;
}

bool answer_teaches(struct connection *c, unsigned generation, const struct frame *failure)
{
    size_t len = failure->len < FAILURE_TEXT_MAX ? failure->len : FAILURE_TEXT_MAX;
    cleanup(mem_freep) char *text = mem_strndup((const char *)failure->body, len);
    if (text == NULL)
        return false;
    if (rpc_dialect_learn(&c->dialect, text) == RPC_LESSON) {
        c->generation++;
        return true;
    }
    return generation != c->generation && is_about_classes(text); /* another request has learnt it */
}

/* ---- answers ---- */

static struct request *find(const struct connection *c, int64_t id)
{
    struct request *r;
    DL_FOREACH(c->node->under_way, r)
    if (r->connection == c && r->id == id && !rpc_is_one_way(r->copy.message.kind))
        return r;
    return NULL;
}

static void end_with_exception(struct request *r, struct rpc_node *n)
{
    cleanup(mem_freep) char *words = rpc_exception_words(r->value);
    request_end(r, n, RPC_EXCEPTION, "failed: %.1500s", words != NULL ? words : "out of memory");
}

/* A quiet master says the same whenever it is asked for its state: the same bytes are not read again. */
static bool take_same_state(const struct rpc_node *n, struct request *r, const struct frame *frame)
{
    if (r->copy.message.kind != RPC_MASTER_STATE || n->state.value == NULL || n->state.len != frame->len ||
        memcmp(n->state.body, frame->body, frame->len) != 0)
        return false;
    r->value = json_incref(n->state.value);
    return true;
}

void answer_forget(struct rpc_node *n)
{
    mem_free(n->state.body);
    json_decref(n->state.value);
    n->state.body = NULL;
    n->state.value = NULL;
}

static void keep_state(struct rpc_node *n, const struct request *r, const struct frame *frame)
{
    if (r->copy.message.kind != RPC_MASTER_STATE)
        return;
    answer_forget(n);
    uint8_t *body = frame->len <= STATE_KEPT_MAX ? mem_alloc(frame->len) : NULL;
    if (body == NULL)
        return;
    memcpy(body, frame->body, frame->len);
    n->state.body = body;
    n->state.len = frame->len;
    n->state.value = json_incref(r->value);
}

static void take_response(struct connection *c, struct request *r, const struct frame *frame)
{
    struct err err;
    if (take_same_state(c->node, r, frame)) {
        request_end(r, c->node, RPC_VALUE, "%s", "");
        return;
    }
    switch (rpc_answer_read(frame->body, frame->len, &r->value, &err)) {
    case ANSWER_VALUE:
        learn_version(c->node, frame->body, frame->len);
        keep_state(c->node, r, frame);
        request_end(r, c->node, RPC_VALUE, "%s", "");
        break;
    case ANSWER_EXCEPTION: end_with_exception(r, c->node); break;
    case ANSWER_BROKEN:
        request_end(r, c->node, RPC_BROKEN, "gave an answer that cannot be read: %s", err.msg);
        break;
    }
}

static void refuse(struct connection *c, struct request *r, const struct frame *frame)
{
    char line[401];
    const char *text = (const char *)frame->body;
    rpc_failure_words(text, frame->len, line);
    if (auth_read_failure(text, frame->len) == AUTH_NEEDED)
        request_end(r, c->node, RPC_UNAUTHORIZED, "wants a secret (spark.authenticate)");
    else if (strstr(line, "SparkException: Could not find ") != NULL)
        request_end(r, c->node, RPC_NO_ENDPOINT, "has no endpoint '%s'", rpc_endpoint(r->copy.message.kind));
    else
        request_end(r, c->node, RPC_REFUSED, "refused the request: %s", line);
}

void answer_take(struct connection *c, const struct frame *frame)
{
    struct request *r = find(c, frame->id);
    if (r == NULL)
        return;
    c->node->heard++;
    c->unasked = 0;
    if (frame->type == FRAME_RESPONSE) {
        take_response(c, r, frame);
    } else if (r->n_lessons < LESSONS_MAX && answer_teaches(c, r->generation, frame)) {
        r->n_lessons++;
        request_wait_again(r, c->node);
        r->was_written = false; /* it could not be read, so nobody acted upon it */
    } else {
        refuse(c, r, frame);
    }
}
