/*
 * What the two handshakes share. A round is one message of ours and its answer.
 *
 * Each handshake has three functions: what to draw before the first round, the step after each answer, and
 * what to wipe. A step appends to `to` when it returns AUTH_SEND, in one piece or not at all.
 */
#ifndef HEARTH_RPC_AUTH_INTERNAL_H
#define HEARTH_RPC_AUTH_INTERNAL_H

#include "rpc/auth.h"

#include <openssl/evp.h>

#define AUTH_USER "sparkSaslUser" /* the only one that nodes know; application id in the AES handshake */

enum {
    AUTH_USER_SIZE = sizeof AUTH_USER - 1,
    AUTH_SECRET_MAX = 64 * 1024,
    AUTH_RSPAUTH_SIZE = 40, /* "rspauth=" and 32 digits */
    AUTH_KEY_SIZE = 32,     /* X25519, private and public */
    AUTH_SALT_SIZE = 16,
    AUTH_NONCE_SIZE = 12,
    AUTH_TAG_SIZE = 16,
    AUTH_SEALED_SIZE = AUTH_NONCE_SIZE + AUTH_KEY_SIZE + AUTH_TAG_SIZE,
    AUTH_MESSAGE_SIZE = 1 + 4 + AUTH_USER_SIZE + 4 + AUTH_SALT_SIZE + 4 + AUTH_SEALED_SIZE,
};

struct auth_sasl {
    char *password; /* the secret in base64 */
    char *cnonce;
    char expected[AUTH_RSPAUTH_SIZE + 1]; /* the node's last word, when it knows the secret */
};

struct auth_aes {
    uint8_t private_key[AUTH_KEY_SIZE];
    uint8_t salt[AUTH_SALT_SIZE];
    uint8_t nonce[AUTH_NONCE_SIZE];
    uint8_t sent[AUTH_MESSAGE_SIZE];
    EVP_CIPHER_CTX *out, *in; /* the streams; NULL before AUTH_DONE */
};

struct auth {
    enum auth_method method;
    int round; /* how many messages were given out */
    bool over; /* done or failed */
    bool done;
    char *secret; /* NULL once it is over */
    struct auth_sasl sasl;
    struct auth_aes aes;
};

int auth_sasl_begin(struct auth *a, const struct auth_random *random); /* 0, or -1: memory, randomness */
enum auth_step auth_sasl_next(struct auth *a, const uint8_t *reply, size_t len, struct buf *to,
                              struct err *err);
void auth_sasl_wipe(struct auth *a);

int auth_aes_begin(struct auth *a, const struct auth_random *random); /* as above */
enum auth_step auth_aes_next(struct auth *a, const uint8_t *reply, size_t len, struct buf *to,
                             struct err *err);
void auth_aes_wipe(struct auth *a); /* the streams stay */

void auth_wipe_text(char **text); /* wipes and frees it; NULL is fine */
/* libcrypto would not do `what`: ERR_NOMEM, or ERR_INTERNAL with words for who runs this machine. */
enum auth_step auth_no_crypto(const char *what, struct err *err);
/* Appends the whole message. */
enum auth_step auth_send(struct auth *a, const void *message, size_t len, struct buf *to, struct err *err);

#endif
