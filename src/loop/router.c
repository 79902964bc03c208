/*
 * Paths, queries and the search in the tables of routes.
 */
#include "loop/http_internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes n bytes in a new string; ERR_INVALID for a bad escape or a NUL. */
static enum err_code decode(const char *s, size_t n, bool plus_is_blank, char **ret, struct err *err)
{
    char *text = mem_alloc(n + 1);
    if (text == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int high = n - i > 2 ? hex_digit(s[i + 1]) : -1;
            int low = n - i > 2 ? hex_digit(s[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0) {
                mem_free(text);
                return err_set(err, ERR_INVALID,
                               "the address holds a bad escape: %%XX with two hex digits, not %%00");
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        text[len++] = c;
    }
    text[len] = '\0';
    *ret = text;
    return ERR_OK;
}

/* Adds "name=value" (n bytes) to the pairs unless the name is there already. */
static enum err_code add_pair(struct strmap *pairs, const char *s, size_t n, struct err *err)
{
    const char *eq = memchr(s, '=', n);
    size_t name_len = eq != NULL ? (size_t)(eq - s) : n;
    const char *value_at = eq != NULL ? eq + 1 : s + n;
    cleanup(mem_freep) char *name = NULL;
    cleanup(mem_freep) char *value = NULL;
    enum err_code rc = decode(s, name_len, true, &name, err);
    if (rc == ERR_OK)
        rc = decode(value_at, (size_t)(s + n - value_at), true, &value, err);
    if (rc != ERR_OK || name[0] == '\0' || strmap_get(pairs, name) != NULL)
        return rc;
    return strmap_set(pairs, name, value) == 0 ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static enum err_code parse_query(struct strmap *pairs, const char *query, struct err *err)
{
    enum { PAIRS_MAX = 64 };
    while (*query != '\0' && pairs->n < PAIRS_MAX) {
        size_t n = strcspn(query, "&");
        enum err_code rc = n > 0 ? add_pair(pairs, query, n, err) : ERR_OK;
        if (rc != ERR_OK)
            return rc;
        query += n + (query[n] == '&');
    }
    return ERR_OK;
}

enum err_code target_parse(const char *uri, const char *base_path, struct http_target *ret, struct err *err)
{
    const char *scheme_end = uri[0] != '/' ? strstr(uri, "://") : NULL; /* a proxy's absolute form */
    if (scheme_end != NULL)
        uri = scheme_end + 3 + strcspn(scheme_end + 3, "/");
    size_t path_len = strcspn(uri, "?#");
    const char *query = uri[path_len] == '?' ? uri + path_len + 1 : "";
    size_t prefix = strlen(base_path);
    bool inside = strncmp(uri, base_path, prefix) == 0 && (uri[prefix] == '/' || prefix == path_len);
    if (path_len < prefix || !inside)
        return err_set(err, ERR_NOT_FOUND, "the address is outside %s", base_path);
    const char *path = uri + prefix;
    path_len -= prefix;
    if (path_len > 1 && path[path_len - 1] == '/')
        path_len--;
    ret->path = path_len == 0 ? mem_strdup("/") : mem_strndup(path, path_len);
    ret->query = mem_strndup(query, strcspn(query, "#"));
    if (ret->path == NULL || ret->query == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return parse_query(&ret->pairs, ret->query, err);
}

void target_clear(struct http_target *t)
{
    mem_free(t->path);
    mem_free(t->query);
    strmap_clear(&t->pairs);
    *t = (struct http_target){0};
}

static void clear_params(struct http_target_result *result)
{
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
        mem_freep(&result->params[i]);
}

/* True when the path has the pattern's form; what stands for each {…} goes to `at` and `len`. */
static bool matches(const char *pattern, const char *path, const char *at[HTTP_PARAMS_MAX],
                    size_t len[HTTP_PARAMS_MAX], size_t *n)
{
    *n = 0;
    while (*pattern != '\0') {
        if (*pattern == '{' && *n < HTTP_PARAMS_MAX) {
            size_t length = strcspn(path, "/");
            if (length == 0)
                return false;
            at[*n] = path;
            len[(*n)++] = length;
            path += length;
            pattern += strcspn(pattern, "}") + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

static void allow_method(char allow[64], const char *method)
{
    size_t used = strlen(allow);
    if (strstr(allow, method) == NULL)
        (void)snprintf(allow + used, 64 - used, "%s%s", used > 0 ? ", " : "", method);
}

enum err_code router_find(const struct mount *mounts, size_t n, const char *method, const char *path,
                          struct http_target_result *result)
{
    bool has_get = false;
    bool is_exact = false; /* a row has this path as it stands: no {…} means it */
    *result = (struct http_target_result){0};
    for (size_t m = 0; m < n; m++) {
        for (size_t i = 0; i < mounts[m].n; i++) {
            const struct http_route *route = &mounts[m].routes[i];
            const char *at[HTTP_PARAMS_MAX];
            size_t len[HTTP_PARAMS_MAX];
            size_t params = 0;
            if (!matches(route->path, path, at, len, &params) || (is_exact && params > 0))
                continue;
            is_exact = params == 0;
            if (strcmp(route->method, method) != 0) {
                allow_method(result->allow, route->method);
                has_get = has_get || strcmp(route->method, "GET") == 0;
                continue;
            }
            result->route = route;
            result->arg = mounts[m].arg;
            for (size_t p = 0; p < params; p++) {
                struct err err = {0};
                enum err_code rc = decode(at[p], len[p], false, &result->params[p], &err);
                if (rc != ERR_OK) {
                    clear_params(result);
                    result->route = NULL;
                    return rc;
                }
            }
            return ERR_OK;
        }
    }
    if (has_get)
        allow_method(result->allow, "HEAD");
    return ERR_OK;
}
