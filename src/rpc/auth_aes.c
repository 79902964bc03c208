/*
 * Spark's own handshake (AuthEngine): each end sends the same kind of message,
 *
 *     FB | i32 length, application id | i32 length, salt | i32 length, sealed key
 *     sealed key = nonce of 12 bytes | X25519 public key, encrypted | tag of 16 bytes
 *
 * The key that seals comes from the secret and the salt; the node's seal also covers our whole message, so
 * that nobody can play back an older one.
 */
#include "rpc/auth_internal.h"

#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>

enum {
    SALT_AT = 1 + 4 + AUTH_USER_SIZE + 4,
    SEALED_SIZE_AT = SALT_AT + AUTH_SALT_SIZE,
    SEALED_AT = SEALED_SIZE_AT + 4,
    SEAL_KEY_SIZE = 16,
    SESSION_KEY_SIZE_2 = 16, /* version 1 uses the whole shared secret */
    IV_SIZE = 16,
    TRANSCRIPT_SIZE = 2 * AUTH_MESSAGE_SIZE,
};

/* What every message has in front of its salt, and in front of its sealed key. */
static const uint8_t head[SALT_AT + 1] = "\xFB\0\0\0\x0D" AUTH_USER "\0\0\0\x10";
static const uint8_t sealed_size[4] = {0, 0, 0, AUTH_SEALED_SIZE};

struct bytes {
    const uint8_t *at;
    size_t n;
};

static int draw(uint8_t *to, const uint8_t *given, size_t n)
{
    if (given == NULL)
        return RAND_priv_bytes(to, (int)n) == 1 ? 0 : -1;
    memcpy(to, given, n);
    return 0;
}

int auth_aes_begin(struct auth *a, const struct auth_random *random)
{
    if (draw(a->aes.private_key, random->private_key, AUTH_KEY_SIZE) != 0 ||
        draw(a->aes.salt, random->salt, AUTH_SALT_SIZE) != 0)
        return -1;
    return draw(a->aes.nonce, random->nonce, AUTH_NONCE_SIZE);
}

void auth_aes_wipe(struct auth *a)
{
    OPENSSL_cleanse(a->aes.private_key, sizeof a->aes.private_key);
}

static bool hkdf(struct bytes key, struct bytes salt, struct bytes info, uint8_t *out, size_t n)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    size_t written = n;
    bool good = context != NULL && EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) == 1 &&
                EVP_PKEY_CTX_set1_hkdf_salt(context, salt.at, (int)salt.n) == 1 &&
                EVP_PKEY_CTX_set1_hkdf_key(context, key.at, (int)key.n) == 1 &&
                EVP_PKEY_CTX_add1_hkdf_info(context, info.at, (int)info.n) == 1 &&
                EVP_PKEY_derive(context, out, &written) == 1 && written == n;
    EVP_PKEY_CTX_free(context); /* wipes */
    return good;
}

/* What the seal covers besides the key: application id, salt, and for the node's seal our message. */
struct sealed_with {
    uint8_t bytes[AUTH_USER_SIZE + AUTH_SALT_SIZE + AUTH_MESSAGE_SIZE];
    size_t n;
    uint8_t key[SEAL_KEY_SIZE];
};

static bool sealing(const struct auth *a, const uint8_t *salt, struct bytes answered, struct sealed_with *ret)
{
    memcpy(ret->bytes, AUTH_USER, AUTH_USER_SIZE);
    memcpy(ret->bytes + AUTH_USER_SIZE, salt, AUTH_SALT_SIZE);
    memcpy(ret->bytes + AUTH_USER_SIZE + AUTH_SALT_SIZE, answered.at, answered.n);
    ret->n = AUTH_USER_SIZE + AUTH_SALT_SIZE + answered.n;
    const struct bytes secret = {(const uint8_t *)a->secret, strlen(a->secret)};
    return hkdf(secret, (struct bytes){salt, AUTH_SALT_SIZE}, (struct bytes){ret->bytes, ret->n}, ret->key,
                SEAL_KEY_SIZE);
}

/* to[] holds the nonce already. */
static bool seal(const struct sealed_with *with, const uint8_t key[AUTH_KEY_SIZE],
                 uint8_t to[AUTH_SEALED_SIZE])
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t *encrypted = to + AUTH_NONCE_SIZE;
    int n;
    bool good =
        context != NULL && EVP_EncryptInit_ex2(context, EVP_aes_128_gcm(), with->key, to, NULL) == 1 &&
        EVP_EncryptUpdate(context, NULL, &n, with->bytes, (int)with->n) == 1 &&
        EVP_EncryptUpdate(context, encrypted, &n, key, AUTH_KEY_SIZE) == 1 && n == AUTH_KEY_SIZE &&
        EVP_EncryptFinal_ex(context, encrypted + n, &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, AUTH_TAG_SIZE, encrypted + AUTH_KEY_SIZE) == 1;
    EVP_CIPHER_CTX_free(context);
    return good;
}

enum opened { OPENED, NOT_OURS, NO_CIPHER };

static enum opened unseal(const struct sealed_with *with, const uint8_t from[AUTH_SEALED_SIZE],
                          uint8_t key[AUTH_KEY_SIZE])
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t tag[AUTH_TAG_SIZE];
    int n;
    memcpy(tag, from + AUTH_NONCE_SIZE + AUTH_KEY_SIZE, sizeof tag);
    bool good = context != NULL &&
                EVP_DecryptInit_ex2(context, EVP_aes_128_gcm(), with->key, from, NULL) == 1 &&
                EVP_DecryptUpdate(context, NULL, &n, with->bytes, (int)with->n) == 1 &&
                EVP_DecryptUpdate(context, key, &n, from + AUTH_NONCE_SIZE, AUTH_KEY_SIZE) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, AUTH_TAG_SIZE, tag) == 1;
    bool whole = good && EVP_DecryptFinal_ex(context, key + n, &n) == 1;
    EVP_CIPHER_CTX_free(context);
    return whole ? OPENED : good ? NOT_OURS : NO_CIPHER;
}

static bool public_of(const uint8_t private_key[AUTH_KEY_SIZE], uint8_t out[AUTH_KEY_SIZE])
{
    size_t n = AUTH_KEY_SIZE;
    EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, AUTH_KEY_SIZE);
    bool good = pair != NULL && EVP_PKEY_get_raw_public_key(pair, out, &n) == 1 && n == AUTH_KEY_SIZE;
    EVP_PKEY_free(pair);
    return good;
}

static bool write_message(struct auth *a)
{
    uint8_t key[AUTH_KEY_SIZE];
    struct sealed_with with;
    uint8_t *m = a->aes.sent;
    memcpy(m, head, SALT_AT);
    memcpy(m + SALT_AT, a->aes.salt, AUTH_SALT_SIZE);
    memcpy(m + SEALED_SIZE_AT, sealed_size, sizeof sealed_size);
    memcpy(m + SEALED_AT, a->aes.nonce, AUTH_NONCE_SIZE);
    bool good = public_of(a->aes.private_key, key) && sealing(a, a->aes.salt, (struct bytes){m, 0}, &with) &&
                seal(&with, key, m + SEALED_AT);
    OPENSSL_cleanse(&with, sizeof with);
    return good;
}

static enum err_code check_form(const uint8_t *m, size_t len, struct err *err)
{
    if (len != AUTH_MESSAGE_SIZE)
        return err_set(err, ERR_INVALID, "the node's handshake message has %zu bytes, must be %d", len,
                       AUTH_MESSAGE_SIZE);
    if (memcmp(m, head, SALT_AT) != 0 || memcmp(m + SEALED_SIZE_AT, sealed_size, sizeof sealed_size) != 0)
        return err_set(err, ERR_INVALID,
                       "the node's handshake message is none of Spark's (FB, " AUTH_USER
                       ", 16 bytes of salt, 60 of key)");
    return ERR_OK;
}

/* The node's public key. */
static bool open_message(const struct auth *a, const uint8_t *m, uint8_t key[AUTH_KEY_SIZE], struct err *err)
{
    struct sealed_with with;
    enum opened opened = NO_CIPHER;
    if (sealing(a, m + SALT_AT, (struct bytes){a->aes.sent, AUTH_MESSAGE_SIZE}, &with))
        opened = unseal(&with, m + SEALED_AT, key);
    OPENSSL_cleanse(&with, sizeof with);
    if (opened == NO_CIPHER)
        (void)auth_no_crypto("HKDF with SHA-256 and AES-128-GCM", err);
    if (opened == NOT_OURS)
        (void)err_set(err, ERR_DENIED,
                      "the node did not prove that it knows the secret (its key is sealed "
                      "with another one)");
    return opened == OPENED;
}

/* False also for public keys that leave nothing secret, such as zero: libcrypto looks at the result. */
static bool agree(const uint8_t private_key[AUTH_KEY_SIZE], const uint8_t theirs[AUTH_KEY_SIZE],
                  uint8_t shared[AUTH_KEY_SIZE])
{
    size_t n = AUTH_KEY_SIZE;
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, AUTH_KEY_SIZE);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs, AUTH_KEY_SIZE);
    EVP_PKEY_CTX *context = own != NULL ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    bool good = context != NULL && peer != NULL && EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer(context, peer) == 1 && EVP_PKEY_derive(context, shared, &n) == 1 &&
                n == AUTH_KEY_SIZE;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return good;
}

static bool derive(struct bytes shared, const uint8_t transcript[TRANSCRIPT_SIZE], const char *what,
                   uint8_t *out, size_t n)
{
    return hkdf(shared, (struct bytes){transcript, TRANSCRIPT_SIZE},
                (struct bytes){(const uint8_t *)what, strlen(what)}, out, n);
}

static EVP_CIPHER_CTX *new_stream(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t iv[IV_SIZE])
{
    EVP_CIPHER_CTX *stream = EVP_CIPHER_CTX_new();
    if (stream != NULL && EVP_EncryptInit_ex2(stream, cipher, key, iv, NULL) == 1)
        return stream;
    EVP_CIPHER_CTX_free(stream);
    return NULL;
}

struct session {
    uint8_t shared[AUTH_KEY_SIZE], key[AUTH_KEY_SIZE], in[IV_SIZE], out[IV_SIZE];
};

static bool open_streams(struct auth *a, struct session *s, const uint8_t *m)
{
    const struct bytes shared = {s->shared, sizeof s->shared};
    uint8_t transcript[TRANSCRIPT_SIZE];
    memcpy(transcript, a->aes.sent, AUTH_MESSAGE_SIZE);
    memcpy(transcript + AUTH_MESSAGE_SIZE, m, AUTH_MESSAGE_SIZE);
    memcpy(s->key, s->shared, sizeof s->key);
    bool first = a->method == AUTH_AES_1;
    if (!first && !derive(shared, transcript, "derivedKey", s->key, SESSION_KEY_SIZE_2))
        return false;
    if (!derive(shared, transcript, "inputIv", s->in, IV_SIZE) ||
        !derive(shared, transcript, "outputIv", s->out, IV_SIZE))
        return false;
    const EVP_CIPHER *cipher = first ? EVP_aes_256_ctr() : EVP_aes_128_ctr();
    a->aes.in = new_stream(cipher, s->key, s->in);
    a->aes.out = new_stream(cipher, s->key, s->out);
    return a->aes.in != NULL && a->aes.out != NULL;
}

static enum auth_step finish(struct auth *a, const uint8_t *reply, struct err *err)
{
    uint8_t theirs[AUTH_KEY_SIZE];
    struct session s;
    enum auth_step step = AUTH_DONE;
    if (!open_message(a, reply, theirs, err)) {
        step = AUTH_FAILED;
    } else if (!agree(a->aes.private_key, theirs, s.shared)) {
        (void)err_set(err, ERR_INVALID, "the node's public key is not one to agree upon a secret with");
        step = AUTH_FAILED;
    } else if (!open_streams(a, &s, reply)) {
        step = auth_no_crypto("HKDF with SHA-256 and AES-CTR", err);
    }
    OPENSSL_cleanse(&s, sizeof s);
    return step;
}

enum auth_step auth_aes_next(struct auth *a, const uint8_t *reply, size_t len, struct buf *to,
                             struct err *err)
{
    if (a->round == 0)
        return write_message(a) ? auth_send(a, a->aes.sent, AUTH_MESSAGE_SIZE, to, err)
                                : auth_no_crypto("X25519, HKDF with SHA-256 and AES-128-GCM", err);
    return check_form(reply, len, err) == ERR_OK ? finish(a, reply, err) : AUTH_FAILED;
}
