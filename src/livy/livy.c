/*
 * The door itself: opening it, and the small answers that all its handlers share.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"
#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void livy_reply_json(struct http_request *r, int status, struct buf *body)
{
    http_reply(r, http_answer_new(status, HTTP_JSON, body));
    buf_clear(body);
}

static void reply_msg(struct http_request *r, int status, const char *text)
{
    struct buf body = BUF(8192);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "msg", text);
    json_out_end_object(&out);
    struct http_answer *a = http_answer_new(status, HTTP_JSON, &body);
    if (a != NULL && status == 503)
        (void)http_answer_header(a, "Retry-After", "5"); /* a hint; the answer does without */
    http_reply(r, a);
    buf_clear(&body);
}

void livy_reply_msg(struct http_request *r, int status, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    reply_msg(r, status, text);
}

void livy_reply_error(struct http_request *r, const struct err *err)
{
    reply_msg(r, err_http_status(err->code), err->msg);
}

void livy_reply_forbidden(struct http_request *r)
{
    struct buf body = BUF(16);
    buf_str(&body, "{}");
    livy_reply_json(r, 403, &body);
}

void livy_reply_unreadable(struct http_request *r, const struct err *err)
{
    if (err->code != ERR_INVALID) {
        livy_reply_error(r, err);
        return;
    }
    struct buf body = BUF(8192);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_str(&out, NULL, err->msg);
    livy_reply_json(r, 400, &body);
}

bool livy_query_int(struct http_request *r, const char *name, int64_t *value)
{
    const char *text = http_query(r, name);
    if (text == NULL || parse_i64(text, INT32_MIN, INT32_MAX, value, NULL) == ERR_OK)
        return true;
    livy_reply_msg(r, 400, "For input string: \"%.100s\"", text);
    return false;
}

struct app *livy_find(struct livy *l, struct http_request *r)
{
    const char *text = http_param(r, 0);
    struct app *app = NULL;
    if (strspn(text, "0123456789") == strlen(text)) {
        int64_t id = 0;
        if (parse_i64(text, 0, INT32_MAX, &id, NULL) != ERR_OK) {
            livy_reply_msg(r, 400, "For input string: \"%.100s\"", text);
            return NULL;
        }
        app = apps_find(l->apps, APP_BATCH, id);
    } else {
        app = apps_find_name(l->apps, APP_BATCH, text);
    }
    if (app == NULL)
        livy_reply_msg(r, 404, "Session '%.1000s' not found.", text);
    return app;
}

static struct app *find_with_right(struct livy *l, struct http_request *r,
                                   bool (*may)(const struct access *a, const char *user,
                                               const struct app_info *info))
{
    const char *user = NULL;
    struct app *app = livy_find(l, r);
    if (app == NULL || !access_effective_user(l->access, r, &user))
        return NULL;
    if (may(l->access, user, app_info(app)))
        return app;
    livy_reply_forbidden(r);
    return NULL;
}

struct app *livy_find_viewable(struct livy *l, struct http_request *r)
{
    return find_with_right(l, r, access_may_view);
}

struct app *livy_find_modifiable(struct livy *l, struct http_request *r)
{
    return find_with_right(l, r, access_may_modify);
}

/* The one thing that Accept decides: application/vnd.livy.v<X>+json names a version of the API. */
static bool refuse_version(struct http_request *r)
{
    static const char prefix[] = "application/vnd.livy.v";
    const char *accept = http_header(r, "Accept");
    const char *version = accept != NULL ? strstr(accept, prefix) : NULL;
    if (version == NULL)
        return false;
    version += strlen(prefix);
    size_t n = strcspn(version, "+;, ");
    if (n == strlen("0.1") && strncmp(version, "0.1", n) == 0)
        return false;
    livy_reply_msg(r, 406, "No value found for '%.*s'", (int)(n < 100 ? n : 100), version);
    return true;
}

static bool filter(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    return access_filter(r, l->access) || refuse_version(r);
}

extern const struct http_route livy_batch_routes[]; /* at the foot of batches.c */
extern const size_t livy_batch_routes_count;

enum err_code livy_open(uv_loop_t *loop, struct http_server *server, struct apps *apps,
                        const struct settings *settings, struct livy **ret, struct err *err)
{
    char host[64];
    uint16_t port = 0;
    struct livy *l = mem_calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->loop = loop;
    l->server = server;
    l->apps = apps;
    l->settings = settings;
    l->ready = ready_new();
    enum err_code rc = l->ready != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK)
        rc = http_parse_listen(settings->server.listen, host, &port, err);
    if (rc == ERR_OK)
        rc = access_new(loop, settings, &l->access, err);
    if (rc != ERR_OK) {
        livy_close(l);
        return rc;
    }
    l->default_fs = path_default_fs(getenv("HADOOP_CONF_DIR"));
    l->local_files_everywhere = settings->spark.local_dirs.n == 0 && http_is_loopback(host);
    http_set_filter(server, filter, l);
    http_mount(server, livy_batch_routes, livy_batch_routes_count, l);
    *ret = l;
    return ERR_OK;
}

void livy_close(struct livy *l)
{
    if (l == NULL)
        return;
    ready_free(l->ready);
    mem_free(l->default_fs);
    access_free(l->access);
    mem_free(l);
}
