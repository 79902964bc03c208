/* What http.c (connections) and router.c (paths, queries, routes) share. */
#ifndef HEARTH_LOOP_HTTP_INTERNAL_H
#define HEARTH_LOOP_HTTP_INTERNAL_H

#include "base/strs.h"
#include "loop/http.h"

#include <microhttpd.h>

enum { HTTP_MOUNTS_MAX = 16, HTTP_PARAMS_MAX = 4 };

struct mount {
    const struct http_route *routes;
    size_t n;
    void *arg;
};

/* The address of a request, taken apart. */
struct http_target {
    char *path;          /* without prefix, query and trailing slash; still encoded */
    char *query;         /* still encoded */
    struct strmap pairs; /* decoded query */
};

struct http_target_result {
    const struct http_route *route; /* NULL: none */
    void *arg;
    char *params[HTTP_PARAMS_MAX]; /* decoded; the caller frees them */
    char allow[64];                /* methods of the path when only the method is wrong */
};

/* ERR_INVALID for a bad escape or an encoded NUL, ERR_NOT_FOUND outside the prefix. */
enum err_code target_parse(const char *uri, const char *base_path, struct http_target *ret, struct err *err);
void target_clear(struct http_target *t);

/* ERR_NOMEM, or ERR_OK with result->route set, or NULL and `allow` filled ("" = no such path). */
enum err_code router_find(const struct mount *mounts, size_t n, const char *method, const char *path,
                          struct http_target_result *result);

#endif
