/*
 * DIGEST-MD5 (RFC 2831) as Spark nodes speak it: one realm, quality of protection "auth", and user and
 * password in base64. The message around each token: EA | i32 length, user | i32 length, token.
 */
#include "base/mem.h"
#include "rpc/auth_challenge.h"
#include "rpc/auth_internal.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define USER_BASE64 "c3BhcmtTYXNsVXNlcg==" /* AUTH_USER */
#define DIGEST_URI "null/default"          /* Spark names no protocol, and its server is called "default" */
#define COUNT "00000001"                   /* each nonce is used once */

enum { MD5_SIZE = 16, HEX_SIZE = 2 * MD5_SIZE, CNONCE_BYTES = 30, TOKEN_MAX = 8 * 1024 };

static char *base64(const void *bytes, size_t n)
{
    char *text = mem_alloc((n + 2) / 3 * 4 + 1);
    if (text != NULL)
        (void)EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
    return text;
}

static char *fresh_cnonce(void)
{
    uint8_t bytes[CNONCE_BYTES];
    return RAND_bytes(bytes, sizeof bytes) == 1 ? base64(bytes, sizeof bytes) : NULL;
}

int auth_sasl_begin(struct auth *a, const struct auth_random *random)
{
    a->sasl.password = base64(a->secret, strlen(a->secret));
    a->sasl.cnonce = random->cnonce != NULL ? mem_strdup(random->cnonce) : fresh_cnonce();
    return a->sasl.password != NULL && a->sasl.cnonce != NULL ? 0 : -1;
}

void auth_sasl_wipe(struct auth *a)
{
    auth_wipe_text(&a->sasl.password);
    auth_wipe_text(&a->sasl.cnonce);
    OPENSSL_cleanse(a->sasl.expected, sizeof a->sasl.expected);
}

static void add_field(struct buf *b, const char *bytes, size_t n)
{
    const uint8_t size[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    buf_add(b, size, sizeof size);
    buf_add(b, bytes, n);
}

static enum auth_step send_token(struct auth *a, const struct buf *token, struct buf *to, struct err *err)
{
    cleanup(buf_clear) struct buf message = BUF(TOKEN_MAX + 64);
    if (buf_check(token, err) != ERR_OK)
        return AUTH_FAILED;
    buf_char(&message, (char)0xEA);
    add_field(&message, AUTH_USER, AUTH_USER_SIZE);
    add_field(&message, buf_cstr(token), token->len);
    if (buf_check(&message, err) != ERR_OK)
        return AUTH_FAILED;
    return auth_send(a, message.data, message.len, to, err);
}

/* The digest of all parts with a colon between any two. */
static bool digest(const EVP_MD *md5, const struct auth_text *parts, size_t n, uint8_t out[MD5_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestInit_ex2(context, md5, NULL) == 1;
    for (size_t i = 0; good && i < n; i++)
        good = (i == 0 || EVP_DigestUpdate(context, ":", 1) == 1) &&
               EVP_DigestUpdate(context, parts[i].at, parts[i].n) == 1;
    good = good && EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context); /* wipes */
    return good;
}

static bool hex_digest(const EVP_MD *md5, const struct auth_text *parts, size_t n, char out[HEX_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t raw[MD5_SIZE];
    if (!digest(md5, parts, n, raw))
        return false;
    for (size_t i = 0; i < MD5_SIZE; i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[HEX_SIZE] = '\0';
    OPENSSL_cleanse(raw, sizeof raw);
    return true;
}

static struct auth_text text(const char *s)
{
    return (struct auth_text){s, strlen(s)};
}

/* MD5(user:realm:password), with the password in base64. */
static bool digest_password(const struct auth *a, const EVP_MD *md5, struct auth_text realm,
                            uint8_t out[MD5_SIZE])
{
    const struct auth_text parts[] = {text(USER_BASE64), realm, text(a->sasl.password)};
    return digest(md5, parts, 3, out);
}

/* What only those can say who know the secret; `direction` tells the two ends apart. */
static bool prove(const struct auth *a, const EVP_MD *md5, const struct auth_challenge *c,
                  const char *direction, char out[HEX_SIZE + 1])
{
    uint8_t password[MD5_SIZE];
    char session[HEX_SIZE + 1], end[HEX_SIZE + 1];
    const struct auth_text cnonce = text(a->sasl.cnonce);
    const struct auth_text a1[] = {{(const char *)password, sizeof password}, c->nonce, cnonce};
    const struct auth_text a2[] = {text(direction), text(DIGEST_URI)};
    const struct auth_text all[] = {{session, HEX_SIZE}, c->nonce,       text(COUNT), cnonce,
                                    text("auth"),        {end, HEX_SIZE}};
    bool good = digest_password(a, md5, c->realm, password) && hex_digest(md5, a1, 3, session) &&
                hex_digest(md5, a2, 2, end) && hex_digest(md5, all, 6, out);
    OPENSSL_cleanse(password, sizeof password);
    OPENSSL_cleanse(session, sizeof session);
    return good;
}

static bool prove_both(struct auth *a, const struct auth_challenge *c, char response[HEX_SIZE + 1])
{
    static const char prefix[] = "rspauth=";
    EVP_MD *md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    if (md5 == NULL)
        return false;
    memcpy(a->sasl.expected, prefix, sizeof prefix);
    bool good = prove(a, md5, c, "AUTHENTICATE", response) &&
                prove(a, md5, c, "", a->sasl.expected + sizeof prefix - 1);
    EVP_MD_free(md5);
    return good;
}

static enum auth_step answer_challenge(struct auth *a, const uint8_t *reply, size_t len, struct buf *to,
                                       struct err *err)
{
    cleanup(buf_clear) struct buf token = BUF(TOKEN_MAX);
    struct auth_challenge c;
    char response[HEX_SIZE + 1];
    if (auth_challenge_read((const char *)reply, len, &c, err) != ERR_OK)
        return AUTH_FAILED;
    if (!prove_both(a, &c, response))
        return auth_no_crypto("MD5 (SASL DIGEST-MD5)", err);
    buf_printf(&token, "charset=utf-8,username=\"" USER_BASE64 "\",realm=\"%.*s\",nonce=\"%.*s\",nc=" COUNT,
               (int)c.realm.n, c.realm.at, (int)c.nonce.n, c.nonce.at);
    buf_printf(&token, ",cnonce=\"%s\",digest-uri=\"" DIGEST_URI "\",maxbuf=65536,response=%s,qop=auth",
               a->sasl.cnonce, response);
    return send_token(a, &token, to, err);
}

/* The node has to know the secret, too. */
static enum auth_step check_node(const struct auth *a, const uint8_t *reply, size_t len, struct err *err)
{
    if (len == AUTH_RSPAUTH_SIZE && CRYPTO_memcmp(reply, a->sasl.expected, AUTH_RSPAUTH_SIZE) == 0)
        return AUTH_DONE;
    (void)err_set(err, ERR_DENIED, "the node did not prove that it knows the secret (rspauth is wrong)");
    return AUTH_FAILED;
}

enum auth_step auth_sasl_next(struct auth *a, const uint8_t *reply, size_t len, struct buf *to,
                              struct err *err)
{
    static const struct buf empty = BUF(0);
    if (a->round == 0)
        return send_token(a, &empty, to, err);
    if (a->round == 1)
        return answer_challenge(a, reply, len, to, err);
    return check_node(a, reply, len, err);
}
