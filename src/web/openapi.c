#include "web/openapi.h"

#include "base/json.h"
#include "base/mem.h"

enum { DOCUMENT_MAX = 4 << 20 };

extern const char *const web_openapi[]; /* made by the build */

struct openapi {
    struct http_server *server;
    struct http_answer *answer; /* NULL: nobody has asked yet */
};

/* Where the endpoints are, as this server was told, in front of what the build knows. */
static struct http_answer *make_answer(const struct openapi *o)
{
    cleanup(buf_clear) struct buf body = BUF(DOCUMENT_MAX);
    const char *base_path = http_server_base_path(o->server);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_array(&out, "servers");
    json_out_object(&out, NULL);
    json_out_str(&out, "url", base_path[0] != '\0' ? base_path : "/");
    json_out_end_object(&out);
    json_out_end_array(&out);
    json_out_members(&out, web_openapi[0]);
    json_out_end_object(&out);
    return http_answer_new(200, HTTP_JSON, &body);
}

static void get(struct http_request *r, void *arg)
{
    struct openapi *o = arg;
    if (o->answer == NULL)
        o->answer = make_answer(o);
    http_reply(r, o->answer != NULL ? http_answer_ref(o->answer) : NULL);
}

static const struct http_route routes[] = {
    {"GET", "/openapi.json", get, "The description of this API", false},
};

struct openapi *openapi_open(struct http_server *server)
{
    struct openapi *o = mem_calloc(1, sizeof *o);
    if (o == NULL)
        return NULL;
    o->server = server;
    http_mount(server, routes, sizeof routes / sizeof *routes, o);
    return o;
}

void openapi_close(struct openapi *o)
{
    if (o == NULL)
        return;
    http_answer_unref(o->answer);
    mem_free(o);
}
