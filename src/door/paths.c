/*
 * Which files a request may name. The words of the errors are Livy's: clients and people know them.
 */
#include "door/door_internal.h"

#include "base/io.h"
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

/* Escaped dots and slashes come back when Spark decodes the URI, behind the back of any check here. */
static bool hides_segments(const char *path)
{
    return strcasestr(path, "%2e") != NULL || strcasestr(path, "%2f") != NULL;
}

static enum err_code check_local(const struct door *d, const char *path, struct err *err)
{
    if (d->local_files_everywhere)
        return ERR_OK;
    cleanup(mem_freep) char *plain = normalise(path);
    if (plain == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    const struct strlist *dirs = &d->settings->spark.local_dirs;
    for (size_t i = 0; i < dirs->n && !hides_segments(plain); i++)
        if (lies_in(plain, dirs->items[i]))
            return ERR_OK;
    return err_set(err, ERR_INVALID,
                   "requirement failed: Local path %.300s cannot be added to user sessions.", plain);
}

/* What stands between <value> and </value> of the property with this name; NULL when it is not there. */
static char *xml_property(const char *text, const char *name)
{
    cleanup(mem_freep) char *tag = mem_printf("<name>%s</name>", name);
    const char *at = tag != NULL ? strstr(text, tag) : NULL;
    const char *value = at != NULL ? strstr(at, "<value>") : NULL;
    const char *end = value != NULL ? strstr(value, "</value>") : NULL;
    if (end == NULL)
        return NULL;
    value += strlen("<value>");
    while (end > value && (isspace((unsigned char)end[-1]) || end[-1] == '/'))
        end--;
    while (value < end && isspace((unsigned char)*value))
        value++;
    return mem_strndup(value, (size_t)(end - value));
}

char *path_default_fs(const char *hadoop_conf_dir)
{
    enum { CORE_SITE_MAX = 1 << 20 };
    struct err err = {0};
    cleanup(buf_clear) struct buf text = BUF(CORE_SITE_MAX);
    cleanup(mem_freep) char *file =
        mem_printf("%s/core-site.xml", hadoop_conf_dir != NULL ? hadoop_conf_dir : "");
    if (hadoop_conf_dir == NULL || file == NULL || io_read_file(file, &text, &err) != ERR_OK)
        return NULL;
    char *fs = xml_property(buf_cstr(&text), "fs.defaultFS");
    if (fs == NULL)
        fs = xml_property(buf_cstr(&text), "fs.default.name"); /* its name before Hadoop 2 */
    if (fs == NULL || !str_starts(fs, "file:"))
        return fs;
    mem_free(fs);
    return NULL;
}

static enum err_code check_uri(const char *path, struct err *err)
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
    return ERR_OK;
}

static enum err_code not_absolute(const char *path, struct err *err)
{
    return err_set(err, ERR_INVALID, "requirement failed: Path '%.300s' is not absolute.", path);
}

static enum err_code prefix_default_fs(const struct door *d, char **path, struct err *err)
{
    char *whole = mem_printf("%s%s", d->default_fs, *path);
    if (whole == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    mem_free(*path);
    *path = whole;
    return ERR_OK;
}

enum err_code door_accept_path(const struct door *d, char **path, struct err *err)
{
    if (check_uri(*path, err) != ERR_OK)
        return err->code;
    size_t scheme = scheme_length(*path);
    if (scheme == 0 && (*path)[0] != '/')
        return not_absolute(*path, err);
    if (scheme == 0)
        return d->default_fs != NULL ? prefix_default_fs(d, path, err) : check_local(d, *path, err);
    if (scheme != strlen("file") || strncasecmp(*path, "file", scheme) != 0)
        return ERR_OK; /* another file system checks for itself */
    const char *local = *path + scheme + 1;
    if (str_starts(local, "//"))
        local += 2 + strcspn(local + 2, "/"); /* file://host/path */
    return local[0] == '/' ? check_local(d, local, err) : not_absolute(*path, err);
}
