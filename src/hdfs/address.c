#include "hdfs/hdfs_internal.h"

#include "base/json.h"
#include "base/strs.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

enum { PATH_MAX_BYTES = 8000 }; /* HDFS's own limit, in characters */

/* ---- paths ---- */

static bool is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t left = strlen(text);
    while (left > 0) {
        size_t n = *at < 0x80 ? 1 : json_utf8_length(at, left);
        if (n == 0)
            return false;
        at += n;
        left -= n;
    }
    return true;
}

/* A server on the way would take "/a/../b" for "/b", which nobody asked for. */
static bool has_dots(const char *path)
{
    for (const char *at = strstr(path, "/."); at != NULL; at = strstr(at + 1, "/.")) {
        size_t n = strcspn(at + 1, "/");
        if (n == 1 || (n == 2 && at[2] == '.'))
            return true;
    }
    return false;
}

enum err_code hdfs_check_path(const char *path, struct err *err)
{
    if (path[0] != '/')
        return err_set(err, ERR_INVALID, "a path in HDFS begins with '/', unlike \"%.200s\"", path);
    if (strlen(path) > PATH_MAX_BYTES)
        return err_set(err, ERR_INVALID, "a path of more than %d bytes: %.100s…", PATH_MAX_BYTES, path);
    if (!is_utf8(path))
        return err_set(err, ERR_INVALID, "a path that is not UTF-8");
    if (has_dots(path))
        return err_set(err, ERR_INVALID, "a path in HDFS has no \".\" or \"..\" in it, unlike \"%.200s\"",
                       path);
    return ERR_OK;
}

static void add_encoded(struct buf *url, const char *text, const char *also_plain)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const char *c = text; *c != '\0'; c++)
        if (strchr(plain, *c) != NULL || strchr(also_plain, *c) != NULL)
            buf_char(url, *c);
        else
            buf_printf(url, "%%%02X", (unsigned)(unsigned char)*c);
}

void hdfs_add_path(struct buf *url, const char *path)
{
    add_encoded(url, path, "/");
}

void hdfs_add_value(struct buf *url, const char *text)
{
    add_encoded(url, text, "");
}

/* ---- redirects ---- */

struct place {
    char *scheme, *host, *port, *user, *password;
};

static char *part(CURLU *url, CURLUPart which)
{
    char *text = NULL;
    unsigned flags = which == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0;
    return curl_url_get(url, which, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool take_apart(const char *text, struct place *ret)
{
    CURLU *url = curl_url();
    *ret = (struct place){0};
    if (url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK)
        *ret =
            (struct place){part(url, CURLUPART_SCHEME), part(url, CURLUPART_HOST), part(url, CURLUPART_PORT),
                           part(url, CURLUPART_USER), part(url, CURLUPART_PASSWORD)};
    curl_url_cleanup(url);
    return ret->scheme != NULL;
}

static void forget(struct place *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
    curl_free(p->user);
    curl_free(p->password);
}

static const char *objection(const struct place *from, const struct place *to)
{
    if (strcmp(to->scheme, "http") != 0 && strcmp(to->scheme, "https") != 0)
        return "it leads to neither http nor https";
    if (strcmp(from->scheme, "https") == 0 && strcmp(to->scheme, "https") != 0)
        return "it leads from https to http";
    if (to->user != NULL || to->password != NULL)
        return "it names a user or a password";
    if (from->host == NULL || from->port == NULL || to->host == NULL || to->port == NULL)
        return "it leads to no host";
    return strlen(to->host) < HDFS_HOST_MAX ? NULL : "its host has too long a name";
}

static bool is_same_server(const struct place *a, const struct place *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}

enum err_code hdfs_check_redirect(const char *from, const char *to, struct hdfs_redirect *ret,
                                  struct err *err)
{
    struct place here;
    struct place there;
    bool ok = take_apart(from, &here);
    ok = take_apart(to, &there) && ok;
    const char *why = "it leads to no URL";
    if (strlen(to) >= HDFS_URL_MAX)
        why = "its URL is too long";
    else if (ok)
        why = objection(&here, &there);
    if (why == NULL) {
        (void)snprintf(ret->host, sizeof ret->host, "%s", there.host);
        ret->same_server = is_same_server(&here, &there);
    }
    forget(&here);
    forget(&there);
    return why == NULL ? ERR_OK : err_set(err, ERR_IO, "a redirect that is not followed: %s", why);
}
