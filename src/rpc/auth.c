/* Either handshake, step by step, and the streams after it. */
#include "rpc/auth.h"

#include "base/mem.h"
#include "rpc/auth_internal.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

static char *copy_secret(const char *secret)
{
    return strlen(secret) > AUTH_SECRET_MAX ? NULL : mem_strdup(secret);
}

static int begin(struct auth *a, const struct auth_random *random)
{
    return a->method == AUTH_SASL ? auth_sasl_begin(a, random) : auth_aes_begin(a, random);
}

struct auth *auth_new(enum auth_method method, const char *secret, const struct auth_random *random)
{
    static const struct auth_random fresh;
    struct auth *a = mem_calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->method = method;
    a->secret = copy_secret(secret);
    if (a->secret == NULL || begin(a, random != NULL ? random : &fresh) != 0) {
        auth_free(a);
        return NULL;
    }
    return a;
}

void auth_wipe_text(char **text)
{
    if (*text != NULL)
        OPENSSL_cleanse(*text, strlen(*text));
    mem_free(*text);
    *text = NULL;
}

/* After the handshake only the streams are needed. */
static void wipe(struct auth *a)
{
    auth_wipe_text(&a->secret);
    auth_sasl_wipe(a);
    auth_aes_wipe(a);
}

void auth_free(struct auth *a)
{
    if (a == NULL)
        return;
    wipe(a);
    EVP_CIPHER_CTX_free(a->aes.out);
    EVP_CIPHER_CTX_free(a->aes.in);
    mem_free(a);
}

enum auth_step auth_no_crypto(const char *what, struct err *err)
{
    if (ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
        (void)err_set(err, ERR_NOMEM, "authentication: out of memory in %s", what);
    else
        (void)err_set(err, ERR_INTERNAL,
                      "authentication needs %s, which this system's OpenSSL refuses "
                      "(a FIPS policy? see `openssl list -providers`)",
                      what);
    return AUTH_FAILED;
}

enum auth_step auth_send(struct auth *a, const void *message, size_t len, struct buf *to, struct err *err)
{
    buf_add(to, message, len);
    if (buf_check(to, err) != ERR_OK)
        return AUTH_FAILED;
    a->round++;
    return AUTH_SEND;
}

static enum auth_step step(struct auth *a, const uint8_t *reply, size_t len, struct buf *to, struct err *err)
{
    if (a->over) {
        (void)err_set(err, ERR_CONFLICT, "the handshake is over");
        return AUTH_FAILED;
    }
    return a->method == AUTH_SASL ? auth_sasl_next(a, reply, len, to, err)
                                  : auth_aes_next(a, reply, len, to, err);
}

enum auth_step auth_next(struct auth *a, const uint8_t *reply, size_t len, struct buf *to, struct err *err)
{
    /* What fails here must not stay in libcrypto's queue, where the next TLS connection would find it. */
    (void)ERR_set_mark();
    enum auth_step result = step(a, reply, len, to, err);
    (void)ERR_pop_to_mark();
    if (result == AUTH_SEND)
        return result;
    a->done = a->done || result == AUTH_DONE;
    a->over = true;
    wipe(a);
    return result;
}

bool auth_encrypts(const struct auth *a)
{
    return a->done && a->method != AUTH_SASL;
}

/* In counter mode both directions are the same operation, and any cut of the bytes gives the same stream. */
static void run_stream(EVP_CIPHER_CTX *stream, uint8_t *bytes, size_t n)
{
    enum { AT_ONCE = 1 << 30 }; /* libcrypto counts in int */
    while (n > 0) {
        int some = n < AT_ONCE ? (int)n : AT_ONCE;
        int written = 0;
        if (EVP_CipherUpdate(stream, bytes, &written, bytes, some) != 1 || written != some)
            OPENSSL_cleanse(bytes, (size_t)some); /* nonsense for the node, but never clear text */
        bytes += some;
        n -= (size_t)some;
    }
}

void auth_encrypt(struct auth *a, uint8_t *bytes, size_t n)
{
    assert(auth_encrypts(a));
    run_stream(a->aes.out, bytes, n);
}

void auth_decrypt(struct auth *a, uint8_t *bytes, size_t n)
{
    assert(auth_encrypts(a));
    run_stream(a->aes.in, bytes, n);
}

/* The first lines of what nodes say; the part that all versions have in common. */
static const struct {
    const char *words;
    enum auth_demand means;
} failures[] = {
    {"java.lang.IllegalStateException: Expected SaslMessage", AUTH_NEEDED},
    {"java.lang.IllegalArgumentException: Unknown challenge message", AUTH_NEEDED},
    {"java.lang.IllegalArgumentException: Authentication failed", AUTH_REJECTED},
    {"javax.security.sasl.SaslException", AUTH_REJECTED},
    {"java.io.EOFException", AUTH_UNKNOWN_HERE},
};

enum auth_demand auth_read_failure(const char *text, size_t len)
{
    const char *end = len > 0 ? memchr(text, '\n', len) : NULL;
    size_t line = end != NULL ? (size_t)(end - text) : len;
    for (size_t i = 0; line > 0 && i < sizeof failures / sizeof *failures; i++)
        if (memmem(text, line, failures[i].words, strlen(failures[i].words)) != NULL)
            return failures[i].means;
    return AUTH_NOT_THE_POINT;
}
