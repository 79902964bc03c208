/*
 * The handshakes of spark.authenticate: a shared secret, before the first request of a connection.
 *
 *   SASL     DIGEST-MD5 in two round trips (org.apache.spark.network.sasl): authenticates, then plain frames.
 *            Works with every authenticating node unless spark.network.crypto.saslFallback is false.
 *   AES      spark.network.crypto.enabled: X25519, HKDF and AES-GCM in one round trip, then both directions
 * are AES-CTR streams (org.apache.spark.network.crypto, versions 1 and 2 of the protocol).
 *
 * Each step gives the body of the next request frame, or says that the handshake is done. No sockets here.
 *
 * Secrets    copies are wiped when they are cleared; they never get into an error.
 * Thread     whoever owns it.
 */
#ifndef HEARTH_RPC_AUTH_H
#define HEARTH_RPC_AUTH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum auth_method {
    AUTH_SASL,
    AUTH_AES_1, /* spark.network.crypto.authEngineVersion 1, the default of all versions so far */
    AUTH_AES_2,
};

enum auth_step {
    AUTH_SEND,   /* *ret holds the body of a request frame: send it, and give its answer to auth_next() */
    AUTH_DONE,   /* authenticated */
    AUTH_FAILED, /* err tells: ERR_DENIED when the node does not know the secret, ERR_INTERNAL when this
                    system's OpenSSL refuses (MD5 under a FIPS policy), others for broken answers */
};

/* What a test fixes to get golden bytes; NULL, for all or for each: fresh random bytes. */
struct auth_random {
    const char *cnonce;          /* SASL */
    const uint8_t *private_key;  /* 32 bytes, AES */
    const uint8_t *salt, *nonce; /* 16 and 12 bytes, AES */
};

struct auth; /* opaque */

/* `secret` is copied. NULL: out of memory, no random bytes, or a secret above 64 KiB. */
struct auth *auth_new(enum auth_method method, const char *secret, const struct auth_random *random);
void auth_free(struct auth *a); /* NULL is fine */

/* First with reply NULL, then with the body of each answer (any bytes, any length). `to` is appended to with
 * AUTH_SEND only. Once it is done or failed, every further call fails. */
enum auth_step auth_next(struct auth *a, const uint8_t *reply, size_t len, struct buf *to, struct err *err);

/* After AUTH_DONE: true when every further byte has to go through the two functions below, in order. Bytes
 * that came behind the last reply are from before that, and from anybody: with any of them, close the
 * connection. */
bool auth_encrypts(const struct auth *a);
void auth_encrypt(struct auth *a, uint8_t *bytes, size_t n); /* in place */
void auth_decrypt(struct auth *a, uint8_t *bytes, size_t n);

/* What the text of a failure frame says about authentication. AUTH_UNKNOWN_HERE means something only as the
 * answer to a handshake: open nodes see a request there that ends too early, and say just that. */
enum auth_demand {
    AUTH_NOT_THE_POINT, /* the failure is about something else */
    AUTH_NEEDED,        /* the node wants a handshake and got none, or not the one that it wants */
    AUTH_REJECTED,      /* the secret is wrong */
    AUTH_UNKNOWN_HERE,  /* the node knows no handshake: it is open */
};
enum auth_demand auth_read_failure(const char *text, size_t len);

#endif
