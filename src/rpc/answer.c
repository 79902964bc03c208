#include "rpc/answer.h"

#include "rpc/answer_internal.h"

static const struct jser_limits limits = {
    .bytes = 64 << 20, .memory = ANSWER_VALUES_MAX, .depth = ANSWER_LEVELS, .handles = 1000000};

/* The one value of the body; what may follow it counts for nothing, as it does for nodes. */
static const struct jser_value *read_object(struct jser_reader *r, const uint8_t *body, size_t len,
                                            struct err *err)
{
    const struct jser_value *v = NULL;
    if (jser_reader_feed(r, body, len, err) != ERR_OK)
        return NULL;
    enum jser_result result = jser_reader_next(r, &v, err);
    if (result == JSER_MORE)
        (void)err_set(err, ERR_INVALID, "the object stream ends too early, after %zu bytes", len);
    if (result != JSER_ITEM)
        return NULL;
    if (v->kind == JSER_BLOCK) {
        (void)err_set(err, ERR_INVALID, "block data instead of a value");
        return NULL;
    }
    return v;
}

static enum answer_kind read_failure(const struct jser_value *v, json_t **ret, struct err *err)
{
    const struct jser_value *e = jser_field(v, "e");
    if (e == NULL || !answer_is_a(e, "java.lang.Throwable")) {
        (void)err_set(err, ERR_INVALID, "a failure without an exception");
        return ANSWER_BROKEN;
    }
    json_t *throwable = answer_to_json(e, err);
    if (throwable == NULL)
        return ANSWER_BROKEN;
    *ret = throwable;
    return ANSWER_EXCEPTION;
}

static enum answer_kind read_value(const struct jser_value *v, json_t **ret, struct err *err)
{
    json_t *value = answer_to_json(v, err);
    if (value == NULL)
        return ANSWER_BROKEN;
    *ret = value;
    return ANSWER_VALUE;
}

enum answer_kind rpc_answer_read(const uint8_t *body, size_t len, json_t **ret, struct err *err)
{
    enum answer_kind kind = ANSWER_BROKEN;
    struct jser_reader *r = jser_reader_new(&limits);
    if (r == NULL) {
        (void)err_set(err, ERR_NOMEM, "out of memory");
        return ANSWER_BROKEN;
    }
    const struct jser_value *v = read_object(r, body, len, err);
    if (v != NULL)
        kind = answer_is_a(v, "org.apache.spark.rpc.netty.RpcFailure") ? read_failure(v, ret, err)
                                                                       : read_value(v, ret, err);
    jser_reader_free(r);
    return kind;
}
