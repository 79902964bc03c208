/*
 * URIs as java.net.URI reads them: which texts are one, their scheme, and their decoded path.
 *
 *     [scheme:][//authority][path][?query][#fragment]        scheme:opaque[#fragment]
 *
 * Characters outside of ASCII may stand everywhere but in the scheme, white space and control characters
 * nowhere.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <string.h>

#define MARKS "_-!.~'()*"
static const char path_marks[] = MARKS ":@&=+$,;/";
static const char other_marks[] = MARKS ";/?:@&=+$,[]"; /* authority, query, fragment, opaque part */
static const char scheme_marks[] = "+-.";

static int hex(char c)
{
    if (!isxdigit((unsigned char)c))
        return -1;
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static bool is_escape(const char *s, size_t n)
{
    return n >= 3 && s[0] == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0 && (s[1] != '0' || s[2] != '0');
}

/* Length of a character outside of ASCII that may stand in a URI; 0: it may not. */
static size_t other_length(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t len = json_utf8_length(u, n);
    bool control = len == 2 && u[0] == 0xc2 && u[1] < 0xa1;                      /* U+0080 to U+00A0 */
    bool ogham_blank = len == 3 && u[0] == 0xe1 && u[1] == 0x9a && u[2] == 0x80; /* U+1680 */
    bool blank = len == 3 && u[0] == 0xe2 && u[1] == 0x80 &&                     /* U+2000 to U+200A, and */
                 (u[2] <= 0x8a || u[2] == 0xa8 || u[2] == 0xa9 || u[2] == 0xaf); /* lines, narrow ones */
    bool wide_blank = len == 3 && ((u[0] == 0xe2 && u[1] == 0x81 && u[2] == 0x9f) || /* U+205F */
                                   (u[0] == 0xe3 && u[1] == 0x80 && u[2] == 0x80));  /* U+3000 */
    return control || ogham_blank || blank || wide_blank ? 0 : len;
}

static bool check(const char *s, size_t n, const char *marks)
{
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        size_t len = 1;
        if (c >= 0x80)
            len = other_length(s + i, n - i);
        else if (c == '%')
            len = is_escape(s + i, n - i) ? 3 : 0;
        else if (!isalnum(c) && strchr(marks, c) == NULL)
            len = 0;
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

static bool check_scheme(const char *s, size_t n)
{
    if (n == 0 || !isalpha((unsigned char)s[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && strchr(scheme_marks, s[i]) == NULL)
            return false;
    return true;
}

/* Brackets are for addresses of IPv6 alone, which stand in them whole. */
static bool check_authority(const char *s, size_t n)
{
    const char *open = memchr(s, '[', n);
    const char *close = memchr(s, ']', n);
    if (open == NULL && close == NULL)
        return check(s, n, other_marks);
    const char *at = memchr(s, '@', n);
    const char *host = at != NULL ? at + 1 : s;
    return open == host && close != NULL && close > open &&
           strspn(open + 1, "0123456789abcdefABCDEF:.") == (size_t)(close - open - 1) &&
           strspn(close + 1, ":0123456789") == (size_t)(s + n - close - 1) &&
           check(s, (size_t)(open - s), other_marks);
}

/* Percent escapes become bytes; what is no UTF-8 then becomes U+FFFD. */
static enum err_code decode(const char *s, size_t n, char **ret, struct err *err)
{
    cleanup(buf_clear) struct buf bytes = BUF(n);
    cleanup(buf_clear) struct buf text = BUF(n * 3);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%')
            buf_char(&bytes, (char)(hex(s[i + 1]) * 16 + hex(s[i + 2])));
        else
            buf_char(&bytes, s[i]);
        i += s[i] == '%' ? 2 : 0;
    }
    for (size_t i = 0; i < bytes.len && bytes.failed == ERR_OK;) {
        size_t len = json_utf8_length((const unsigned char *)bytes.data + i, bytes.len - i);
        buf_add(&text, len > 0 ? bytes.data + i : "\xef\xbf\xbd", len > 0 ? len : 3);
        i += len > 0 ? len : 1;
    }
    if (bytes.failed == ERR_OK)
        *ret = text.len > 0 ? buf_steal(&text) : mem_strdup("");
    return *ret != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

/* [//authority][path][?query], n characters. */
static bool split_path(const char *s, size_t n, const char **ret_path, size_t *ret_len)
{
    size_t authority = n >= 2 && s[0] == '/' && s[1] == '/' ? 2 : 0;
    if (authority > 0) {
        authority += strcspn(s + 2, "/?#");
        if (authority == 2 && n == 2)
            return false; /* nothing behind "//" */
        if (!check_authority(s + 2, authority - 2))
            return false;
    }
    const char *query = memchr(s + authority, '?', n - authority);
    *ret_path = s + authority;
    *ret_len = query != NULL ? (size_t)(query - *ret_path) : n - authority;
    return check(*ret_path, *ret_len, path_marks) &&
           (query == NULL || check(query + 1, (size_t)(s + n - query - 1), other_marks));
}

static enum err_code invalid(const char *text, struct err *err)
{
    return err_set(err, ERR_INVALID, "'%.200s' is no URI", text);
}

enum err_code jar_read(const char *text, struct jar *ret, struct err *err)
{
    size_t n = strcspn(text, "#");
    size_t scheme = strcspn(text, ":/?#");
    bool has_scheme = text[scheme] == ':';
    size_t begin = has_scheme ? scheme + 1 : 0;
    bool is_opaque = has_scheme && text[begin] != '/';
    const char *path = "";
    size_t path_len = 0;
    if (text[n] == '#' && !check(text + n + 1, strlen(text + n + 1), other_marks))
        return invalid(text, err);
    if (has_scheme && !check_scheme(text, scheme))
        return invalid(text, err);
    if (is_opaque ? n == begin || !check(text + begin, n - begin, other_marks)
                  : !split_path(text + begin, n - begin, &path, &path_len))
        return invalid(text, err);
    cleanup(jar_clear) struct jar jar = {0};
    if (has_scheme && (jar.scheme = mem_strndup(text, scheme)) == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (decode(path, path_len, &jar.path, err) != ERR_OK)
        return ERR_NOMEM;
    *ret = jar;
    jar = (struct jar){0};
    return ERR_OK;
}

void jar_clear(struct jar *j)
{
    mem_free(j->scheme);
    mem_free(j->path);
    *j = (struct jar){0};
}
