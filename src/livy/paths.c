/*
 * Which files a request may name. The words of the errors are Livy's: clients and people know them.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Index of the first character that no URI may hold, or -1 (RFC 2396 as java.net.URI reads it). */
static int illegal_at(const char *s)
{
    for (int i = 0; s[i] != '\0'; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c == 0x7f || strchr("\"<>\\^`{|}", c) != NULL)
            return i;
    }
    return -1;
}

static int malformed_escape_at(const char *s)
{
    for (int i = 0; s[i] != '\0'; i++)
        if (s[i] == '%' && !(isxdigit((unsigned char)s[i + 1]) && isxdigit((unsigned char)s[i + 2])))
            return i;
    return -1;
}

/* Length of "scheme" in "scheme:rest", 0 when there is none. */
static size_t scheme_length(const char *s)
{
    if (!isalpha((unsigned char)s[0]))
        return 0;
    size_t n = 1;
    while (isalnum((unsigned char)s[n]) || s[n] == '+' || s[n] == '-' || s[n] == '.')
        n++;
    return s[n] == ':' ? n : 0;
}

/* The absolute path without empty, "." and ".." segments and without fragment; NULL: no memory. */
static char *normalise(const char *path)
{
    struct strlist parts = {0};
    cleanup(mem_freep) char *plain = mem_strndup(path, strcspn(path, "#?"));
    char *rest = plain;
    int rc = plain != NULL ? 0 : -1;
    for (char *part; rc == 0 && (part = strsep(&rest, "/")) != NULL;) {
        if (part[0] == '\0' || strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") != 0) {
            rc = strlist_add(&parts, part);
        } else if (parts.n > 0) {
            mem_free(parts.items[--parts.n]);
            parts.items[parts.n] = NULL;
        }
    }
    char *joined = rc == 0 ? strlist_join(&parts, "/") : NULL;
    char *result = joined != NULL ? mem_printf("/%s", joined) : NULL;
    mem_free(joined);
    strlist_clear(&parts);
    return result;
}

static bool lies_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0' || n == 1);
}

static enum err_code check_local(const struct livy *l, const char *path, struct err *err)
{
    if (l->local_files_everywhere)
        return ERR_OK;
    cleanup(mem_freep) char *plain = normalise(path);
    if (plain == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    const struct strlist *dirs = &l->settings->spark.local_dirs;
    for (size_t i = 0; i < dirs->n; i++)
        if (lies_in(plain, dirs->items[i]))
            return ERR_OK;
    return err_set(err, ERR_INVALID,
                   "requirement failed: Local path %.300s cannot be added to user sessions.", plain);
}

enum err_code path_check(const struct livy *l, const char *path, struct err *err)
{
    int bad = illegal_at(path);
    if (bad >= 0)
        return err_set(err, ERR_INVALID,
                       "java.net.URISyntaxException: Illegal character in path at index %d: %.300s", bad,
                       path);
    bad = malformed_escape_at(path);
    if (bad >= 0)
        return err_set(err, ERR_INVALID,
                       "java.net.URISyntaxException: Malformed escape pair at index %d: %.300s", bad, path);
    size_t scheme = scheme_length(path);
    if (scheme == 0 && path[0] != '/')
        return err_set(err, ERR_INVALID, "requirement failed: Path '%.300s' is not absolute.", path);
    if (scheme == 0)
        return check_local(l, path, err);
    if (scheme != strlen("file") || strncasecmp(path, "file", scheme) != 0)
        return ERR_OK; /* another file system checks for itself */
    const char *local = path + scheme + 1;
    if (str_starts(local, "//"))
        local += 2 + strcspn(local + 2, "/"); /* file://host/path */
    if (local[0] != '/')
        return err_set(err, ERR_INVALID, "requirement failed: Path '%.300s' is not absolute.", path);
    return check_local(l, local, err);
}
