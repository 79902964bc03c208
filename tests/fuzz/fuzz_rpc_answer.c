/* What a Spark node answers: objects, the texts of failures, and what is learnt from them. */
#include "base/mem.h"
#include "rpc/answer.h"
#include "rpc/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_object(const uint8_t *data, size_t size)
{
    struct err err;
    json_t *value = NULL;
    enum answer_kind kind = rpc_answer_read(data, size, &value, &err);
    if ((kind == ANSWER_BROKEN) != (value == NULL) || strlen(rpc_answer_class(value)) > size)
        abort();
    if (kind == ANSWER_EXCEPTION && !json_is_string(json_object_get(value, "exception")))
        abort();
    char *words = rpc_exception_words(value);
    if (words == NULL || strlen(words) > 4000)
        abort();
    mem_free(words);
    json_decref(value);
}

static void read_failure(const uint8_t *data, size_t size)
{
    char words[401];
    rpc_failure_words((const char *)data, size, words);
    if (strlen(words) > 400)
        abort();
    struct rpc_dialect d = {.scala = RPC_SCALA_212};
    char *text = mem_strndup((const char *)data, size);
    (void)rpc_dialect_learn(&d, text);
    if (rpc_dialect_learn(&d, text) == RPC_LESSON)
        abort(); /* the same text may not teach twice */
    mem_free(text);
    rpc_dialect_clear(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    read_object(data, size);
    read_failure(data, size);
    return 0;
}
