/*
 * The first word of a node in DIGEST-MD5:
 *
 *     realm="default",nonce="…",qop="auth-conf,auth",charset=utf-8,cipher="…",algorithm=md5-sess
 *
 * Limits     2,048 bytes (RFC 2831), printable ASCII without backslashes, which is all that nodes send.
 * Thread     any.
 */
#ifndef HEARTH_RPC_AUTH_CHALLENGE_H
#define HEARTH_RPC_AUTH_CHALLENGE_H

#include "base/err.h"

#include <stddef.h>

enum { AUTH_CHALLENGE_MAX = 2048 }; /* bytes */

struct auth_text {  /* borrowed, no NUL at its end */
    const char *at; /* NULL: absent */
    size_t n;
};

struct auth_challenge {
    struct auth_text realm, nonce, qop, charset, algorithm;
};

/* *ret borrows from text. ERR_INVALID: not like that, something is missing or said twice, or it asks for what
 * hearth cannot do; ERR_TOO_LARGE. */
enum err_code auth_challenge_read(const char *text, size_t len, struct auth_challenge *ret, struct err *err);

#endif
