/* "spark://a:7077,[::1]:7077" in parts. */
#include "cluster/masters_internal.h"

#include "base/parse.h"
#include "base/strs.h"

#include <ctype.h>
#include <string.h>

#define SCHEME "spark://"
#define ALLOWED "allowed is spark://HOST[:PORT][,HOST[:PORT]...], with brackets around IPv6 addresses"

static enum err_code refuse(const char *url, const char *why, struct err *err)
{
    return err_set(err, ERR_INVALID, "masters' URL '%.200s': %s; " ALLOWED, url, why);
}

static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && strchr(".-_", s[i]) == NULL)
            return false;
    return n > 0;
}

static bool is_ipv6(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && strchr(":.%", s[i]) == NULL)
            return false;
    return memchr(s, ':', n) != NULL;
}

/* One "host:port", of n characters; what follows the host goes to *rest. */
static bool take_host(const char *s, size_t n, struct master_place *place, const char **rest)
{
    bool has_brackets = n > 0 && *s == '[';
    const char *end = memchr(s, has_brackets ? ']' : ':', n);
    if (has_brackets && end == NULL)
        return false;
    size_t len = end != NULL ? (size_t)(end - s) : n;
    *rest = s + len + has_brackets;
    s += has_brackets;
    len -= has_brackets;
    if (len >= sizeof place->host || !(has_brackets ? is_ipv6(s, len) : is_name(s, len)))
        return false;
    memcpy(place->host, s, len);
    place->host[len] = '\0';
    return true;
}

static bool take_port(const char *s, size_t n, struct master_place *place)
{
    char digits[8];
    int64_t port = MASTERS_PORT;
    if (n > 0) {
        if (*s != ':' || n - 1 >= sizeof digits)
            return false;
        memcpy(digits, s + 1, n - 1);
        digits[n - 1] = '\0';
        if (parse_i64(digits, 1, UINT16_MAX, &port, NULL) != ERR_OK)
            return false;
    }
    place->port = (uint16_t)port;
    return true;
}

static enum err_code take_place(const char *url, const char *s, size_t n, struct master_place *place,
                                struct err *err)
{
    const char *rest = s;
    if (!take_host(s, n, place, &rest))
        return err_set(err, ERR_INVALID, "masters' URL '%.200s': '%.*s' is no host; " ALLOWED, url,
                       n < 100 ? (int)n : 100, s);
    if (!take_port(rest, (size_t)(s + n - rest), place))
        return err_set(err, ERR_INVALID,
                       "masters' URL '%.200s': the port of '%.*s' is not from 1 to 65535; " ALLOWED, url,
                       n < 100 ? (int)n : 100, s);
    return ERR_OK;
}

enum err_code masters_parse_url(const char *url, struct master_place places[MASTERS_MAX], size_t *n,
                                struct err *err)
{
    if (url == NULL || !str_starts(url, SCHEME))
        return refuse(url == NULL ? "" : url, "it does not begin with " SCHEME, err);
    const char *s = url + strlen(SCHEME);
    for (*n = 0;; s++) {
        size_t len = strcspn(s, ",");
        if (*n == MASTERS_MAX)
            return refuse(url, "it names more than 16 masters", err);
        enum err_code rc = take_place(url, s, len, &places[*n], err);
        if (rc != ERR_OK)
            return rc;
        ++*n;
        s += len;
        if (*s == '\0')
            return ERR_OK;
    }
}

enum err_code masters_check_url(const char *url, struct err *err)
{
    size_t n;
    struct master_place places[MASTERS_MAX];
    return masters_parse_url(url, places, &n, err);
}
