/* A list of name=value pairs, some of them quoted. */
#include "rpc/auth_challenge.h"

#include <stdbool.h>
#include <string.h>

struct cursor {
    const char *at, *end;
};

static bool is(struct auth_text t, const char *word)
{
    return t.n == strlen(word) && memcmp(t.at, word, t.n) == 0;
}

/* A backslash would make two spellings of one text: one to hash and one to send. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~' || text[i] == '\\')
            return false;
    return true;
}

/* Everything up to one of the stops, which stays. */
static struct auth_text take_until(struct cursor *c, const char *stops)
{
    const char *start = c->at;
    while (c->at < c->end && strchr(stops, *c->at) == NULL)
        c->at++;
    return (struct auth_text){start, (size_t)(c->at - start)};
}

static bool take(struct cursor *c, char expected)
{
    if (c->at == c->end || *c->at != expected)
        return false;
    c->at++;
    return true;
}

static bool take_value(struct cursor *c, struct auth_text *ret)
{
    bool quoted = take(c, '"');
    *ret = take_until(c, quoted ? "\"" : "\", =");
    return quoted ? take(c, '"') : ret->n > 0;
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && *c->at == ' ')
        c->at++;
}

static bool take_pair(struct cursor *c, struct auth_text *name, struct auth_text *value)
{
    skip_blanks(c);
    *name = take_until(c, "\", =");
    if (name->n == 0 || !take(c, '=') || !take_value(c, value))
        return false;
    skip_blanks(c);
    return c->at == c->end || (take(c, ',') && c->at < c->end);
}

static struct auth_text *place_of(struct auth_challenge *c, struct auth_text name)
{
    return is(name, "realm")       ? &c->realm
           : is(name, "nonce")     ? &c->nonce
           : is(name, "qop")       ? &c->qop
           : is(name, "charset")   ? &c->charset
           : is(name, "algorithm") ? &c->algorithm
                                   : NULL;
}

static enum err_code read_pairs(struct cursor *from, struct auth_challenge *c, struct err *err)
{
    do {
        struct auth_text name, value;
        if (!take_pair(from, &name, &value))
            return err_set(err, ERR_INVALID, "the node's challenge is no list of name=value");
        struct auth_text *place = place_of(c, name);
        if (place != NULL && place->at != NULL)
            return err_set(err, ERR_INVALID, "the node's challenge names %.*s twice", (int)name.n, name.at);
        if (place != NULL)
            *place = value;
    } while (from->at < from->end);
    return ERR_OK;
}

/* Without a list, "auth" is what is meant. */
static bool offers_auth(struct auth_text qop)
{
    struct cursor c = {qop.at, qop.at == NULL ? NULL : qop.at + qop.n};
    while (c.at < c.end) {
        if (is(take_until(&c, ", "), "auth"))
            return true;
        c.at += c.at < c.end;
    }
    return qop.at == NULL;
}

static enum err_code check(const struct auth_challenge *c, struct err *err)
{
    if (c->nonce.n == 0)
        return err_set(err, ERR_INVALID, "the node's challenge has no nonce");
    if (c->realm.at == NULL)
        return err_set(err, ERR_INVALID, "the node's challenge has no realm");
    if (c->algorithm.at == NULL || !is(c->algorithm, "md5-sess"))
        return err_set(err, ERR_INVALID, "the node's challenge has algorithm \"%.*s\", must be md5-sess",
                       c->algorithm.n < 40 ? (int)c->algorithm.n : 40,
                       c->algorithm.at == NULL ? "" : c->algorithm.at);
    if (c->charset.at != NULL && !is(c->charset, "utf-8"))
        return err_set(err, ERR_INVALID, "the node's challenge has a charset that is not utf-8");
    if (!offers_auth(c->qop))
        return err_set(err, ERR_INVALID,
                       "the node wants SASL's own encryption (spark.network.sasl.serverAlwaysEncrypt), which "
                       "hearth does not have; spark.network.crypto.enabled encrypts, too");
    return ERR_OK;
}

enum err_code auth_challenge_read(const char *text, size_t len, struct auth_challenge *ret, struct err *err)
{
    struct auth_challenge c = {0};
    if (len > AUTH_CHALLENGE_MAX)
        return err_set(err, ERR_TOO_LARGE, "the node's challenge has %zu bytes, at most %d are allowed", len,
                       AUTH_CHALLENGE_MAX);
    if (!is_plain(text, len))
        return err_set(err, ERR_INVALID, "the node's challenge is not plain text");
    struct cursor from = {text, len > 0 ? text + len : text};
    enum err_code code = read_pairs(&from, &c, err);
    if (code == ERR_OK)
        code = check(&c, err);
    if (code == ERR_OK)
        *ret = c;
    return code;
}
