/* The handshakes of spark.authenticate: bytes of real nodes, a node of our own, and what hostile ones say. */
#include "rpc/auth.h"

#include "base/mem.h"
#include "rpc_vectors.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define USER "sparkSaslUser"
#define CNONCE "Zm9yLXRlc3RzLW9ubHktbm90LXJhbmRvbQ=="

enum { FRAME_HEAD = 21, AES_MESSAGE = 102, SALT_AT = 22, SEALED_AT = 42, RSPAUTH = 40 };

/* ---- vectors ---- */

static struct buf vector(const char *name)
{
    return vector_bytes("auth", name, "");
}

/* The body of a frame. */
static struct buf body(const char *name)
{
    struct buf b = vector(name);
    assert_true(b.len >= FRAME_HEAD);
    buf_drop(&b, FRAME_HEAD);
    return b;
}

static const uint8_t *bytes_of(const struct buf *b)
{
    return (const uint8_t *)b->data;
}

static void assert_same(const struct buf *b, const struct buf *wanted)
{
    assert_int_equal(b->len, wanted->len);
    assert_memory_equal(b->data, wanted->data, wanted->len);
}

static uint8_t counted[3][32]; /* private key, salt and nonce of the vectors */
static const struct auth_random fixed = {CNONCE, counted[0], counted[1], counted[2]};

static int fill_counted(void **state)
{
    static const uint8_t first[3] = {0x07, 0x15, 0x23};
    (void)state;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 32; i++)
            counted[k][i] = (uint8_t)(first[k] + i);
    return 0;
}

static enum auth_step next(struct auth *a, const struct buf *reply, struct buf *to, struct err *err)
{
    return auth_next(a, reply == NULL ? NULL : bytes_of(reply), reply == NULL ? 0 : reply->len, to, err);
}

/* As far as the node's reply number `round` (1 or 2) is wanted. */
static struct auth *begun(enum auth_method method, const char *secret, int round)
{
    struct auth *a = auth_new(method, secret, &fixed);
    cleanup(buf_clear) struct buf to = BUF(4096);
    cleanup(buf_clear) struct buf challenge = body("sasl-digest-md5/sasl-1.response.hex");
    assert_non_null(a);
    assert_int_equal(next(a, NULL, &to, NULL), AUTH_SEND);
    if (round == 2)
        assert_int_equal(next(a, &challenge, &to, NULL), AUTH_SEND);
    return a;
}

/* The reply has to fail with words and nothing to send. */
static void refuse(enum auth_method method, int round, const void *reply, size_t len, const char *words)
{
    struct auth *a = begun(method, "topsecret", round);
    struct buf to = BUF(4096);
    struct err err = {0};
    if (auth_next(a, reply, len, &to, &err) != AUTH_FAILED)
        fail_msg("%zu bytes are no failure", len);
    assert_int_equal(to.len, 0);
    assert_null(strstr(err.msg, "topsecret"));
    if (strstr(err.msg, words) == NULL || err.msg[0] == '\0')
        fail_msg("\"%s\" instead of \"%s\"", err.msg, words);
    assert_false(auth_encrypts(a));
    assert_int_equal(auth_next(a, reply, len, &to, &err), AUTH_FAILED);
    auth_free(a);
}

/* ---- SASL ---- */

static void sasl_speaks_like_the_captured_client(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf to = BUF(4096);
    struct auth *a = auth_new(AUTH_SASL, "topsecret", &fixed);
    struct buf one = body("sasl-digest-md5/sasl-1.request.hex");
    struct buf challenge = body("sasl-digest-md5/sasl-1.response.hex");
    struct buf two = body("sasl-digest-md5/sasl-2.request.hex");
    struct buf last = body("sasl-digest-md5/sasl-2.response.hex");
    assert_int_equal(next(a, NULL, &to, NULL), AUTH_SEND);
    assert_same(&to, &one);
    buf_reset(&to);
    assert_int_equal(next(a, &challenge, &to, NULL), AUTH_SEND);
    assert_same(&to, &two);
    assert_int_equal(next(a, &last, &to, NULL), AUTH_DONE);
    assert_same(&to, &two);
    assert_false(auth_encrypts(a));
    assert_int_equal(next(a, &last, &to, NULL), AUTH_FAILED);
    auth_free(a);
    buf_clear(&one);
    buf_clear(&challenge);
    buf_clear(&two);
    buf_clear(&last);
}

static void sasl_with_a_wrong_secret_says_what_the_node_refused(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf to = BUF(4096);
    cleanup(buf_clear) struct buf challenge = body("sasl-wrong-secret/sasl-1.response.hex");
    cleanup(buf_clear) struct buf two = body("sasl-wrong-secret/sasl-2.request.hex");
    cleanup(buf_clear) struct buf failure = body("sasl-wrong-secret/sasl-2.response.hex");
    struct auth *a = begun(AUTH_SASL, "wrong", 1);
    assert_int_equal(next(a, &challenge, &to, NULL), AUTH_SEND);
    assert_same(&to, &two);
    assert_int_equal(auth_read_failure(failure.data, failure.len), AUTH_REJECTED);
    auth_free(a);
}

static void cut_replies_of_sasl_fail(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf challenge = body("sasl-digest-md5/sasl-1.response.hex");
    cleanup(buf_clear) struct buf last = body("sasl-digest-md5/sasl-2.response.hex");
    for (size_t n = 0; n < challenge.len; n++)
        refuse(AUTH_SASL, 1, challenge.data, n, "challenge");
    for (size_t n = 0; n < last.len; n++)
        refuse(AUTH_SASL, 2, last.data, n, "rspauth is wrong");
    refuse(AUTH_SASL, 1, NULL, 0, "challenge");
    refuse(AUTH_SASL, 2, NULL, 0, "rspauth is wrong");
    buf_char(&last, 'x');
    refuse(AUTH_SASL, 2, last.data, last.len, "rspauth is wrong");
}

static void any_other_rspauth_fails(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf last = body("sasl-digest-md5/sasl-2.response.hex");
    for (size_t i = 0; i < last.len; i++) {
        last.data[i] ^= 1;
        refuse(AUTH_SASL, 2, last.data, last.len, "did not prove that it knows the secret");
        last.data[i] ^= 1;
    }
    /* our own proof, played back */
    refuse(AUTH_SASL, 2, "rspauth=cc8ec94234809cc886f6b17f6e83d4d5", RSPAUTH, "did not prove");
}

static void odd_challenges_fail(void **state)
{
    static const struct {
        const char *challenge, *words;
    } cases[] = {
        {"realm=\"default\",algorithm=md5-sess", "no nonce"},
        {"realm=\"default\",nonce=\"\",algorithm=md5-sess", "no nonce"},
        {"realm=\"r\",nonce=\"a\",nonce=\"b\",algorithm=md5-sess", "names nonce twice"},
        {"realm=\"r\",nonce=\"a\",nonce=\"a\",algorithm=md5-sess", "names nonce twice"},
        {"realm=\"a\",realm=\"b\",nonce=\"n\",algorithm=md5-sess", "names realm twice"},
        {"nonce=\"n\",algorithm=md5-sess", "no realm"},
        {"realm=\"r\",nonce=\"n\"", "algorithm \"\", must be md5-sess"},
        {"realm=\"r\",nonce=\"n\",algorithm=sha-256", "algorithm \"sha-256\", must be md5-sess"},
        {"realm=\"r\",nonce=\"n\",algorithm=md5-sess,charset=latin1", "charset"},
        {"realm=\"r\",nonce=\"n\",algorithm=md5-sess,qop=\"auth-conf\"", "serverAlwaysEncrypt"},
        {"realm=\"r\",nonce=\"n\",algorithm=md5-sess,qop=\"\"", "serverAlwaysEncrypt"},
        {"realm=\"r\",nonce=\"n\\\"\",algorithm=md5-sess", "not plain text"},
        {"realm=\"r\",nonce=\"n\n\",algorithm=md5-sess", "not plain text"},
        {"realm=\"r\",nonce=\"\xc3\xa4\",algorithm=md5-sess", "not plain text"},
        {"realm=\"r\",nonce=\"n,algorithm=md5-sess", "no list"},
        {"realm=\"r\"nonce=\"n\",algorithm=md5-sess", "no list"},
        {"realm=\"r\",,nonce=\"n\",algorithm=md5-sess", "no list"},
        {"realm=\"r\",nonce=\"n\",algorithm=md5-sess,", "no list"},
        {"realm=\"r\",nonce=,algorithm=md5-sess", "no list"},
        {"=\"r\",nonce=\"n\",algorithm=md5-sess", "no list"},
        {"realm=\"r\",nonce=a b,algorithm=md5-sess", "no list"},
        {"realm", "no list"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(AUTH_SASL, 1, cases[i].challenge, strlen(cases[i].challenge), cases[i].words);
    refuse(AUTH_SASL, 1, "realm=\"r\0\"", 10, "not plain text");
}

static void plain_challenges_of_other_shapes_are_answered(void **state)
{
    static const char *const challenges[] = {
        "realm=\"default\",nonce=\"n\",algorithm=md5-sess",
        "algorithm=md5-sess, nonce=n , realm=default,qop=auth",
        "nonce=\"n\",realm=\"\",algorithm=md5-sess,qop=\"auth-int, auth\",stale=true,unknown=\"a=b, c\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof challenges / sizeof *challenges; i++) {
        cleanup(buf_clear) struct buf to = BUF(4096);
        struct auth *a = begun(AUTH_SASL, "topsecret", 1);
        assert_int_equal(auth_next(a, (const uint8_t *)challenges[i], strlen(challenges[i]), &to, NULL),
                         AUTH_SEND);
        assert_non_null(strstr(to.data + 26, ",nonce=\"n\",nc=00000001,cnonce=\"" CNONCE "\""));
        auth_free(a);
    }
}

static void huge_replies_are_refused_by_their_length(void **state)
{
    enum { HUGE_REPLY = 100 * 1024 * 1024 };
    (void)state;
    char *huge = mem_alloc(HUGE_REPLY);
    assert_non_null(huge);
    memset(huge, 'a', HUGE_REPLY);
    refuse(AUTH_SASL, 1, huge, HUGE_REPLY, "has 104857600 bytes, at most 2048 are allowed");
    refuse(AUTH_SASL, 1, huge, 2049, "at most 2048");
    refuse(AUTH_SASL, 2, huge, HUGE_REPLY, "rspauth is wrong");
    refuse(AUTH_AES_1, 1, huge, HUGE_REPLY, "has 104857600 bytes, must be 102");
    mem_free(huge);
}

static void the_longest_challenge_is_answered(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf to = BUF(8192);
    cleanup(buf_clear) struct buf challenge = BUF(2048);
    buf_str(&challenge, "realm=\"default\",algorithm=md5-sess,nonce=");
    while (challenge.len < 2048)
        buf_char(&challenge, 'n');
    struct auth *a = begun(AUTH_SASL, "topsecret", 1);
    assert_int_equal(next(a, &challenge, &to, NULL), AUTH_SEND);
    auth_free(a);
}

/* ---- AES: the captured node ---- */

/* A file of that version's folder. */
static struct buf aes_vector(enum auth_method method, const char *name)
{
    return vector_bytes(method == AUTH_AES_1 ? "auth/spark-auth-v1" : "auth/spark-auth-v2", name, ".hex");
}

static struct auth *aes_done(enum auth_method method)
{
    cleanup(buf_clear) struct buf to = BUF(4096);
    cleanup(buf_clear) struct buf one = aes_vector(method, "auth.request");
    cleanup(buf_clear) struct buf reply = aes_vector(method, "auth.response");
    struct auth *a = auth_new(method, "topsecret", &fixed);
    buf_drop(&one, FRAME_HEAD);
    buf_drop(&reply, FRAME_HEAD);
    assert_false(auth_encrypts(a));
    assert_int_equal(next(a, NULL, &to, NULL), AUTH_SEND);
    assert_same(&to, &one);
    assert_int_equal(next(a, &reply, &to, NULL), AUTH_DONE);
    assert_same(&to, &one);
    assert_true(auth_encrypts(a));
    return a;
}

/* Both streams, cut into pieces of at most `step` bytes. */
static void run_streams(enum auth_method method, size_t step)
{
    struct buf out = aes_vector(method, "bound-ports.request.plain");
    struct buf out_wanted = aes_vector(method, "bound-ports.request.encrypted");
    struct buf in = aes_vector(method, "bound-ports.response.encrypted");
    struct buf in_wanted = aes_vector(method, "bound-ports.response.plain");
    struct auth *a = aes_done(method);
    for (size_t i = 0; i < out.len; i += step)
        auth_encrypt(a, (uint8_t *)out.data + i, out.len - i < step ? out.len - i : step);
    for (size_t i = 0; i < in.len; i += step)
        auth_decrypt(a, (uint8_t *)in.data + i, in.len - i < step ? in.len - i : step);
    auth_encrypt(a, NULL, 0);
    assert_same(&out, &out_wanted);
    assert_same(&in, &in_wanted);
    auth_free(a);
    buf_clear(&out);
    buf_clear(&out_wanted);
    buf_clear(&in);
    buf_clear(&in_wanted);
}

static void aes_speaks_like_the_captured_client(void **state)
{
    (void)state;
    for (int method = AUTH_AES_1; method <= AUTH_AES_2; method++) {
        run_streams((enum auth_method)method, SIZE_MAX);
        run_streams((enum auth_method)method, 1);
        run_streams((enum auth_method)method, 7);
        run_streams((enum auth_method)method, 16);
    }
}

static void replies_of_other_lengths_fail(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf reply = body("spark-auth-v1/auth.response.hex");
    for (size_t n = 0; n < reply.len; n++)
        refuse(AUTH_AES_1, 1, reply.data, n, "must be 102");
    refuse(AUTH_AES_1, 1, NULL, 0, "must be 102");
    buf_char(&reply, '\0');
    refuse(AUTH_AES_1, 1, reply.data, reply.len, "must be 102");
}

static void replies_with_any_bit_turned_fail(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf reply = body("spark-auth-v1/auth.response.hex");
    for (size_t i = 0; i < reply.len; i++) {
        bool is_form = i < SALT_AT || (i >= SEALED_AT - 4 && i < SEALED_AT);
        reply.data[i] ^= 0x10;
        refuse(i % 2 == 0 ? AUTH_AES_1 : AUTH_AES_2, 1, reply.data, reply.len,
               is_form ? "none of Spark's" : "did not prove that it knows the secret");
        reply.data[i] ^= 0x10;
    }
}

static void our_own_message_is_no_answer(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf own = body("spark-auth-v1/auth.request.hex");
    refuse(AUTH_AES_1, 1, own.data, own.len, "did not prove that it knows the secret");
}

/* ---- AES: a stub of a node, which follows the protocol from the other end ---- */

/* One block of HKDF with SHA-256 is all that the protocol needs. */
static void stub_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const void *info,
                      size_t info_len, uint8_t out[32])
{
    uint8_t prk[32], block[256];
    unsigned n = sizeof prk;
    assert_true(info_len < sizeof block);
    assert_non_null(HMAC(EVP_sha256(), salt, (int)salt_len, key, key_len, prk, &n));
    memcpy(block, info, info_len);
    block[info_len] = 1;
    assert_non_null(HMAC(EVP_sha256(), prk, (int)n, block, info_len + 1, out, &n));
}

struct stub_node {
    const char *secret;
    const uint8_t *public_key; /* to send */
    uint8_t answer[AES_MESSAGE];
};

static void stub_answer(struct stub_node *node, const uint8_t *message)
{
    static const uint8_t nonce[12] = "node's nonce";
    uint8_t aad[13 + 16 + AES_MESSAGE], kek[32];
    uint8_t *m = node->answer, *sealed = m + SEALED_AT;
    int n;
    memcpy(m, message, AES_MESSAGE);
    memcpy(m + SALT_AT, "the node's salt.", 16);
    memcpy(sealed, nonce, sizeof nonce);
    memcpy(aad, USER, 13);
    memcpy(aad + 13, m + SALT_AT, 16);
    memcpy(aad + 29, message, AES_MESSAGE);
    stub_hkdf(node->secret, strlen(node->secret), m + SALT_AT, 16, aad, sizeof aad, kek);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex2(c, EVP_aes_128_gcm(), kek, nonce, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(c, NULL, &n, aad, sizeof aad), 1);
    assert_int_equal(EVP_EncryptUpdate(c, sealed + 12, &n, node->public_key, 32), 1);
    assert_int_equal(EVP_EncryptFinal_ex(c, sealed + 44, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, sealed + 44), 1);
    EVP_CIPHER_CTX_free(c);
}

static enum auth_step meet(struct stub_node *node, struct auth *a, struct err *err)
{
    cleanup(buf_clear) struct buf to = BUF(4096);
    assert_int_equal(next(a, NULL, &to, err), AUTH_SEND);
    assert_int_equal(to.len, AES_MESSAGE);
    stub_answer(node, bytes_of(&to));
    return auth_next(a, node->answer, AES_MESSAGE, &to, err);
}

static void public_keys_that_share_nothing_fail(void **state)
{
    /* zero, one and p - 1, p, p + 1: whatever our key is, the product is zero */
    static uint8_t keys[5][32] = {{0}, {1}};
    (void)state;
    for (int k = 2; k < 5; k++) {
        memset(keys[k], 0xff, 32);
        keys[k][0] = (uint8_t)(0xec + k - 2);
        keys[k][31] = 0x7f;
    }
    for (int k = 0; k < 5; k++) {
        struct stub_node node = {"topsecret", keys[k], {0}};
        struct auth *a = auth_new(AUTH_AES_1, "topsecret", NULL);
        struct err err = {0};
        assert_int_equal(meet(&node, a, &err), AUTH_FAILED);
        assert_non_null(strstr(err.msg, "public key is not one to agree upon"));
        auth_free(a);
    }
}

static void a_node_with_another_secret_fails(void **state)
{
    static const uint8_t key[32] = {9};
    (void)state;
    struct stub_node node = {"another", key, {0}};
    struct auth *a = auth_new(AUTH_AES_2, "topsecret", NULL);
    struct err err = {0};
    assert_int_equal(meet(&node, a, &err), AUTH_FAILED);
    assert_int_equal(err.code, ERR_DENIED);
    auth_free(a);
}

/* What the node's end makes of a message, with its own means. */
static void stub_stream(const uint8_t *shared, const uint8_t *transcript, bool second, const char *iv_name,
                        uint8_t *bytes, int n)
{
    uint8_t iv[32], key[32];
    int written;
    stub_hkdf(shared, 32, transcript, 2 * AES_MESSAGE, iv_name, strlen(iv_name), iv);
    memcpy(key, shared, 32);
    if (second)
        stub_hkdf(shared, 32, transcript, 2 * AES_MESSAGE, "derivedKey", 10, key);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = second ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
    assert_int_equal(EVP_DecryptInit_ex2(c, cipher, key, iv, NULL), 1);
    assert_int_equal(EVP_DecryptUpdate(c, bytes, &written, bytes, n), 1);
    EVP_CIPHER_CTX_free(c);
}

static void both_versions_talk_with_a_node(void **state)
{
    /* Base point as the node's public key, so that the shared secret is our own public key. */
    static const uint8_t base_point[32] = {9};
    (void)state;
    for (int second = 0; second < 2; second++) {
        struct stub_node node = {"topsecret", base_point, {0}};
        struct auth *a = auth_new(second ? AUTH_AES_2 : AUTH_AES_1, "topsecret", &fixed);
        cleanup(buf_clear) struct buf one = body("spark-auth-v1/auth.request.hex");
        uint8_t transcript[2 * AES_MESSAGE], shared[32], text[40] = "a text of more than one block of AES";
        size_t n = sizeof shared;
        assert_int_equal(meet(&node, a, NULL), AUTH_DONE);
        memcpy(transcript, one.data, AES_MESSAGE);
        memcpy(transcript + AES_MESSAGE, node.answer, AES_MESSAGE);
        EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, counted[0], 32);
        assert_int_equal(EVP_PKEY_get_raw_public_key(own, shared, &n), 1);
        EVP_PKEY_free(own);
        auth_encrypt(a, text, sizeof text);
        stub_stream(shared, transcript, second, "outputIv", text, sizeof text);
        assert_string_equal((const char *)text, "a text of more than one block of AES");
        stub_stream(shared, transcript, second, "inputIv", text, sizeof text);
        auth_decrypt(a, text, sizeof text);
        assert_string_equal((const char *)text, "a text of more than one block of AES");
        auth_free(a);
    }
}

/* ---- what nodes say when it goes wrong ---- */

static void refusals_of_nodes_are_understood(void **state)
{
    static const struct {
        const char *name;
        enum auth_demand means;
    } cases[] = {
        {"plain-request-to-crypto-server", AUTH_NEEDED},  {"plain-request-to-sasl-server", AUTH_NEEDED},
        {"sasl-to-open-server", AUTH_UNKNOWN_HERE},       {"spark-auth-bad-key", AUTH_REJECTED},
        {"spark-auth-to-open-server", AUTH_UNKNOWN_HERE}, {"spark-auth-to-sasl-server", AUTH_NEEDED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "detect/%s.response.hex", cases[i].name);
        cleanup(buf_clear) struct buf text = body(name);
        if (auth_read_failure(text.data, text.len) != cases[i].means)
            fail_msg("%s is not understood", cases[i].name);
    }
}

static enum auth_demand read_text(const char *text)
{
    return auth_read_failure(text, strlen(text));
}

static void only_the_first_line_of_a_failure_counts(void **state)
{
    (void)state;
    assert_int_equal(read_text("java.lang.IllegalArgumentException: Unknown challenge message."),
                     AUTH_NEEDED);
    assert_int_equal(read_text("org.apache.spark.SparkException: Could not find Master.\n\tat x"),
                     AUTH_NOT_THE_POINT);
    assert_int_equal(read_text("java.lang.X: y\nCaused by: java.io.EOFException"), AUTH_NOT_THE_POINT);
    assert_int_equal(read_text("java.lang.IllegalArgumentException: Authentication faile"),
                     AUTH_NOT_THE_POINT);
    assert_int_equal(read_text(""), AUTH_NOT_THE_POINT);
    assert_int_equal(read_text("\n"), AUTH_NOT_THE_POINT);
    assert_int_equal(auth_read_failure(NULL, 0), AUTH_NOT_THE_POINT);
}

/* The vector of an unknown user holds an ordinary challenge. */
static void the_challenge_for_an_unknown_user_is_like_any(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf to = BUF(4096);
    cleanup(buf_clear) struct buf challenge = body("detect/sasl-unknown-user.response.hex");
    struct auth *a = begun(AUTH_SASL, "topsecret", 1);
    json_t *all = vector_expected("auth/detect");
    const char *line =
        json_string_value(json_object_get(json_object_get(all, "sasl-unknown-user"), "firstLine"));
    assert_int_equal(strlen(line), challenge.len);
    assert_memory_equal(line, challenge.data, challenge.len);
    assert_int_equal(next(a, &challenge, &to, NULL), AUTH_SEND);
    json_decref(all);
    auth_free(a);
}

/* ---- means that fail ---- */

static void every_handshake_has_its_own_randomness(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf challenge = body("sasl-digest-md5/sasl-1.response.hex");
    for (int method = AUTH_SASL; method <= AUTH_AES_2; method++) {
        struct buf to[2] = {BUF(4096), BUF(4096)};
        for (int i = 0; i < 2; i++) {
            struct auth *a = auth_new((enum auth_method)method, "topsecret", NULL);
            assert_int_equal(next(a, NULL, &to[i], NULL), AUTH_SEND);
            if (method == AUTH_SASL)
                assert_int_equal(next(a, &challenge, &to[i], NULL), AUTH_SEND);
            auth_free(a);
        }
        assert_int_equal(to[0].len, to[1].len);
        assert_true(memcmp(to[0].data, to[1].data, to[0].len) != 0);
        buf_clear(&to[0]);
        buf_clear(&to[1]);
    }
}

static void secrets_have_a_limit(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf secret = BUF(100000);
    cleanup(buf_clear) struct buf to = BUF(100000);
    cleanup(buf_clear) struct buf challenge = body("sasl-digest-md5/sasl-1.response.hex");
    while (secret.len < 65536)
        buf_char(&secret, 's');
    struct auth *a = auth_new(AUTH_SASL, secret.data, NULL);
    assert_int_equal(next(a, NULL, &to, NULL), AUTH_SEND);
    assert_int_equal(next(a, &challenge, &to, NULL), AUTH_SEND);
    auth_free(a);
    a = auth_new(AUTH_AES_1, secret.data, NULL);
    assert_int_equal(next(a, NULL, &to, NULL), AUTH_SEND);
    auth_free(a);
    buf_char(&secret, 's');
    assert_null(auth_new(AUTH_SASL, secret.data, NULL));
    auth_free(NULL);
}

static void a_buffer_that_is_too_small_fails(void **state)
{
    (void)state;
    for (int method = AUTH_SASL; method <= AUTH_AES_2; method++) {
        struct buf small = BUF(20);
        struct err err = {0};
        struct auth *a = auth_new((enum auth_method)method, "topsecret", NULL);
        assert_int_equal(next(a, NULL, &small, &err), AUTH_FAILED);
        assert_int_equal(err.code, ERR_TOO_LARGE);
        assert_int_equal(small.len, 0);
        auth_free(a);
    }
}

/* The whole handshake as the vectors have it. */
static enum auth_step whole(enum auth_method method, const struct buf *first, const struct buf *second,
                            struct err *err)
{
    struct auth *a = auth_new(method, "topsecret", &fixed);
    if (a == NULL) {
        (void)err_set(err, ERR_NOMEM, "new");
        return AUTH_FAILED;
    }
    struct buf to = BUF(4096);
    enum auth_step step = next(a, NULL, &to, err);
    if (step == AUTH_SEND)
        step = next(a, first, &to, err);
    if (step == AUTH_SEND)
        step = next(a, second, &to, err);
    buf_clear(&to);
    auth_free(a);
    return step;
}

static void whole_of(enum auth_method method, void (*fail_at)(long), bool any_code)
{
    cleanup(buf_clear) struct buf first =
        body(method == AUTH_SASL ? "sasl-digest-md5/sasl-1.response.hex" : "spark-auth-v1/auth.response.hex");
    cleanup(buf_clear) struct buf second = body("sasl-digest-md5/sasl-2.response.hex");
    enum auth_step step = AUTH_FAILED;
    assert_int_equal(whole(method, &first, &second, NULL), AUTH_DONE);
    for (long n = 1; step == AUTH_FAILED; n++) {
        struct err err = {0};
        long live = mem_live();
        assert_true(n < 2000);
        fail_at(n);
        step = whole(method, &first, &second, &err);
        fail_at(0);
        assert_true(step == AUTH_DONE || (step == AUTH_FAILED && err.msg[0] != '\0'));
        assert_true(step == AUTH_DONE || any_code || err.code == ERR_NOMEM);
        assert_int_equal(mem_live(), live);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void handshakes_survive_every_failing_allocation(void **state)
{
    (void)state;
    whole_of(AUTH_SASL, mem_fail_at, false);
    whole_of(AUTH_AES_1, mem_fail_at, false);
    whole_of(AUTH_AES_2, mem_fail_at, false);
}

/* libcrypto allocates for itself. */
static long crypto_countdown;

static void crypto_fail_at(long nth)
{
    crypto_countdown = nth;
}

static bool crypto_fails(void)
{
    return crypto_countdown > 0 && --crypto_countdown == 0;
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return crypto_fails() ? NULL : malloc(size);
}

static void *crypto_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return crypto_fails() ? NULL : realloc(p, size);
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static void handshakes_survive_a_libcrypto_without_memory(void **state)
{
    (void)state;
    whole_of(AUTH_SASL, crypto_fail_at, true);
    whole_of(AUTH_AES_1, crypto_fail_at, true);
    whole_of(AUTH_AES_2, crypto_fail_at, true);
}

static void a_system_that_forbids_md5_is_named(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf challenge = body("sasl-digest-md5/sasl-1.response.hex");
    assert_int_equal(EVP_default_properties_enable_fips(NULL, 1), 1);
    refuse(AUTH_SASL, 1, challenge.data, challenge.len,
           "needs MD5 (SASL DIGEST-MD5), which this system's OpenSSL refuses");
    assert_int_equal(EVP_default_properties_enable_fips(NULL, 0), 1);
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sasl_speaks_like_the_captured_client),
        cmocka_unit_test(sasl_with_a_wrong_secret_says_what_the_node_refused),
        cmocka_unit_test(cut_replies_of_sasl_fail),
        cmocka_unit_test(any_other_rspauth_fails),
        cmocka_unit_test(odd_challenges_fail),
        cmocka_unit_test(plain_challenges_of_other_shapes_are_answered),
        cmocka_unit_test(huge_replies_are_refused_by_their_length),
        cmocka_unit_test(the_longest_challenge_is_answered),
        cmocka_unit_test(aes_speaks_like_the_captured_client),
        cmocka_unit_test(replies_of_other_lengths_fail),
        cmocka_unit_test(replies_with_any_bit_turned_fail),
        cmocka_unit_test(our_own_message_is_no_answer),
        cmocka_unit_test(public_keys_that_share_nothing_fail),
        cmocka_unit_test(a_node_with_another_secret_fails),
        cmocka_unit_test(both_versions_talk_with_a_node),
        cmocka_unit_test(refusals_of_nodes_are_understood),
        cmocka_unit_test(only_the_first_line_of_a_failure_counts),
        cmocka_unit_test(the_challenge_for_an_unknown_user_is_like_any),
        cmocka_unit_test(every_handshake_has_its_own_randomness),
        cmocka_unit_test(secrets_have_a_limit),
        cmocka_unit_test(a_buffer_that_is_too_small_fails),
        cmocka_unit_test(handshakes_survive_every_failing_allocation),
        cmocka_unit_test(handshakes_survive_a_libcrypto_without_memory),
        cmocka_unit_test(a_system_that_forbids_md5_is_named),
    };
    /* before libcrypto's first allocation */
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, fill_counted, NULL);
}
