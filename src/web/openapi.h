/*
 * GET /openapi.json: the description of the API, which the build merges from docs/openapi/.
 *
 * Lifetime   openapi_open() .. openapi_close(), after the server was closed.
 * Thread     loop thread only.
 */
#ifndef HEARTH_WEB_OPENAPI_H
#define HEARTH_WEB_OPENAPI_H

#include "loop/http.h"

struct openapi; /* opaque */

struct openapi *openapi_open(struct http_server *server); /* NULL: out of memory */
void openapi_close(struct openapi *o);                    /* NULL is fine */

#endif
