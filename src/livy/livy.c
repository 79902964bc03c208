/*
 * The door itself: opening it, and the small answers that all its handlers share.
 */
#include "livy/livy_internal.h"

#include "base/clock.h"
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

void livy_reply_msg(struct http_request *r, int status, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    http_reply(r, door_msg_answer(status, text));
}

void livy_reply_error(struct http_request *r, const struct err *err)
{
    http_reply(r, door_msg_answer(err_http_status(err->code), err->msg));
}

void livy_reply_forbidden(struct http_request *r)
{
    struct buf body = BUF(16);
    buf_str(&body, "{}");
    livy_reply_json(r, 403, &body);
}

void livy_reply_text(struct http_request *r, int status, const char *text)
{
    struct buf body = BUF(8192);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_str(&out, NULL, text);
    livy_reply_json(r, status, &body);
}

void livy_reply_unreadable(struct http_request *r, const struct err *err)
{
    if (err->code == ERR_INVALID)
        livy_reply_text(r, 400, err->msg);
    else
        livy_reply_error(r, err);
}

void livy_reply_empty(struct http_request *r, int status)
{
    http_reply(r, http_answer_empty(status, HTTP_JSON));
}

/* ---- reading requests ---- */

json_t *livy_read_body(const struct livy *l, struct http_request *r)
{
    struct err err = {0};
    json_t *body = NULL;
    const struct buf *text = http_body(r);
    if (json_parse(buf_cstr(text), text->len, (unsigned)l->settings->server.depth_limit, &body, &err) !=
        ERR_OK)
        livy_reply_unreadable(r, &err);
    return body;
}

static bool read_int(struct http_request *r, const char *text, int64_t *value)
{
    if (parse_i64(text, INT32_MIN, INT32_MAX, value, NULL) == ERR_OK)
        return true;
    livy_reply_msg(r, 400, "For input string: \"%.100s\"", text);
    return false;
}

bool livy_query_int(struct http_request *r, const char *name, int64_t *value)
{
    const char *text = http_query(r, name);
    return text == NULL || read_int(r, text, value);
}

bool livy_param_int(struct http_request *r, unsigned n, int64_t *value)
{
    return read_int(r, http_param(r, n), value);
}

/* ---- who asks ---- */

bool livy_effective_user(const struct livy *l, struct http_request *r, const char **ret_user)
{
    struct err err;
    if (door_effective_user(l->door, r, ret_user, &err) == ERR_OK)
        return true;
    livy_reply_error(r, &err);
    return false;
}

/* ---- finding ---- */

struct gone_request {
    struct livy *livy;
    struct http_request *request;
};

/* What may be told of one that has left; without headers when there is nothing to tell. */
static void add_end(struct http_answer *a, const struct store_app *row)
{
    char at[CLOCK_TEXT_MAX];
    clock_format(row->ended_ms != 0 ? row->ended_ms : row->forgotten_ms, at);
    cleanup(mem_freep) char *reason = row->reason != NULL ? mem_strdup(row->reason) : NULL;
    for (char *c = reason; c != NULL && *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    (void)http_answer_header(a, "Hearth-Ended-At", at); /* the answer does without */
    if (reason != NULL)
        (void)http_answer_header(a, "Hearth-Reason", reason);
}

static void reply_not_found(struct livy *l, struct http_request *r, const struct store_app *row)
{
    char text[1100];
    const char *user = NULL;
    if (!livy_effective_user(l, r, &user))
        return;
    (void)snprintf(text, sizeof text, "Session '%.1000s' not found.", http_param(r, 0));
    struct http_answer *a = door_msg_answer(404, text);
    if (a != NULL && row != NULL && row->forgotten_ms != 0 && door_may_view_row(l->door, user, row))
        add_end(a, row);
    http_reply(r, a);
}

static void on_gone_row(const struct err *err, const struct store_app *row, const struct store_note *notes,
                        unsigned n_notes, void *arg)
{
    (void)err; /* it is not listed, that much is known */
    (void)notes;
    (void)n_notes;
    struct gone_request q = *(struct gone_request *)arg;
    mem_free(arg);
    reply_not_found(q.livy, q.request, row);
}

void livy_reply_gone(struct livy *l, struct http_request *r, enum app_kind kind, int64_t id)
{
    struct gone_request *q = mem_calloc(1, sizeof *q);
    if (q == NULL) {
        http_reply(r, NULL);
        return;
    }
    *q = (struct gone_request){l, r};
    apps_read_row(l->apps, kind, id, on_gone_row, q);
}

static struct app *find(struct livy *l, struct http_request *r, enum app_kind kind)
{
    const char *text = http_param(r, 0);
    int64_t id = 0;
    if (strspn(text, "0123456789") != strlen(text)) {
        struct app *named = apps_find_name(l->apps, kind, text);
        if (named == NULL)
            reply_not_found(l, r, NULL);
        return named;
    }
    if (!livy_param_int(r, 0, &id))
        return NULL;
    struct app *app = apps_find(l->apps, kind, id);
    if (app == NULL)
        livy_reply_gone(l, r, kind, id);
    return app;
}

static bool has_right(const struct livy *l, const char *user, const struct app *app, enum right right)
{
    switch (right) {
    case RIGHT_VIEW: return door_may_view(l->door, user, app_info(app));
    case RIGHT_MODIFY: return door_may_modify(l->door, user, app_info(app));
    case RIGHT_NONE: break;
    }
    return true;
}

struct app *livy_find(struct livy *l, struct http_request *r, enum app_kind kind, enum right right)
{
    const char *user = NULL;
    struct app *app = find(l, r, kind);
    if (app == NULL || right == RIGHT_NONE)
        return app;
    if (!livy_effective_user(l, r, &user))
        return NULL;
    if (has_right(l, user, app, right))
        return app;
    livy_reply_forbidden(r);
    return NULL;
}

struct session *livy_find_session(struct livy *l, struct http_request *r, enum right right)
{
    const struct app *app = livy_find(l, r, APP_SESSION, right);
    if (app == NULL)
        return NULL;
    struct session *session = session_of(l->sessions, app);
    session_touch(session);
    return session;
}

/* ---- before all routes ---- */

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
    return door_filter(r, l->door) || refuse_version(r);
}

extern const struct http_route livy_batch_routes[]; /* at the foot of batches.c */
extern const size_t livy_batch_routes_count;
extern const struct http_route livy_session_routes[]; /* at the foot of sessions.c */
extern const size_t livy_session_routes_count;

enum err_code livy_open(const struct livy_options *options, struct livy **ret, struct err *err)
{
    struct livy *l = mem_calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->loop = options->loop;
    l->server = options->server;
    l->apps = options->apps;
    l->sessions = options->sessions;
    l->door = options->door;
    l->settings = options->settings;
    l->ready = ready_new();
    if (l->ready == NULL) {
        livy_close(l);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    http_set_filter(l->server, filter, l);
    http_mount(l->server, livy_batch_routes, livy_batch_routes_count, l);
    http_mount(l->server, livy_session_routes, livy_session_routes_count, l);
    *ret = l;
    return ERR_OK;
}

void livy_close(struct livy *l)
{
    if (l == NULL)
        return;
    ready_free(l->ready);
    mem_free(l);
}
