/*
 * What Spark nodes answer, as plain JSON.
 *
 * An answer is a Java object that describes its own classes, so it can be read whatever the version of the
 * node is: Scala's options, collections, pairs and enumerations of both dialects become their JSON
 * counterparts, other objects become objects of their fields by name, with "class" for the class's last name:
 *
 *     null, None → null · Some(x) → x · lists, arrays → arrays · byte arrays → hex text · maps → objects
 *     pairs → [a, b] · dates → ms · URIs → text · enumeration values → their names (unknown: "#7")
 *     endpoint references → {"name","address"} · addresses → "host:port"
 *     throwables → {"exception","message","cause"} · an object inside itself → "<cycle Class>"
 *
 * Limits     64 MiB of bytes, 128 MiB of values, 400 levels.
 * Thread     any; nothing is shared.
 */
#ifndef HEARTH_RPC_ANSWER_H
#define HEARTH_RPC_ANSWER_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer_kind {
    ANSWER_VALUE,     /* *ret is the value; JSON null is one, too */
    ANSWER_EXCEPTION, /* the endpoint threw: *ret is the throwable, {"exception","message","cause"} */
    ANSWER_BROKEN,    /* err tells; *ret is untouched */
};

/* The body of a response frame. The caller drops the reference. */
enum answer_kind rpc_answer_read(const uint8_t *body, size_t len, json_t **ret, struct err *err);

/* The class of the value that an answer holds: its last name, "MasterStateResponse"; "" for anything else. */
const char *rpc_answer_class(const json_t *value);

/* A throwable with its causes in one line for a person: "java.io.IOException: x, caused by …". The caller
 * frees it; NULL when memory is short. */
char *rpc_exception_words(const json_t *throwable);
/* The first line of a failure frame's text, at most 400 bytes, whole characters, no control characters. */
void rpc_failure_words(const char *text, size_t len, char out[401]);

#endif
