/*
 * Statements and completion: running code in a session, and looking at what came of it.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    STATEMENT_BYTES_MAX = 512 << 20, /* code with escapes; the limits of body and output are smaller */
    LIST_BYTES_MAX = 1 << 30,        /* the store refuses to collect more than a part of that */
};

/* ---- running code ---- */

struct code_request {
    char *code;
    const char *kind; /* NULL: the session's */
    int64_t cursor;
};

static void code_clear(struct code_request *c)
{
    mem_free(c->code);
}

/* False: it was answered. */
static bool read_code(struct livy *l, struct http_request *r, bool with_cursor, struct code_request *c)
{
    struct err err = {0};
    struct json_in in;
    cleanup(json_decrefp) json_t *body = livy_read_body(l, r);
    if (body == NULL)
        return false;
    json_in_open(&in, body, &err);
    json_in_str(&in, "code", &c->code);
    value_read_kind(&in, &c->kind);
    if (with_cursor)
        json_in_int(&in, "cursor", 0, INT32_MAX, &c->cursor);
    enum err_code rc = json_in_end(&in);
    if (rc == ERR_OK && c->code == NULL)
        rc = err_set(&err, ERR_INVALID, "field \"code\" is required");
    if (rc != ERR_OK)
        livy_reply_unreadable(r, &err);
    return rc == ERR_OK;
}

/* The language to run, or NULL: it was answered. */
static const char *require_language(struct http_request *r, const char *kind)
{
    if (strcmp(kind, "shared") != 0)
        return kind;
    livy_reply_msg(r, 400, "Code type should be specified if session kind is shared");
    return NULL;
}

struct submission {
    struct livy *livy;
    struct http_request *request;
    int64_t session;
};

static void on_submitted(const struct err *err, const struct item_view *item, void *arg)
{
    struct submission s = *(struct submission *)arg;
    char location[256];
    mem_free(arg);
    if (item == NULL) {
        livy_reply_error(s.request, err);
        return;
    }
    cleanup(buf_clear) struct buf body = BUF(STATEMENT_BYTES_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    view_statement(&out, item);
    struct http_answer *answer = http_answer_new(201, HTTP_JSON, &body);
    (void)snprintf(location, sizeof location, "%s/sessions/%" PRId64 "/statements/%" PRId64,
                   http_server_base_path(s.livy->server), s.session, item->id);
    if (answer != NULL)
        (void)http_answer_header(answer, "Location", location); /* the body has the id, too */
    http_reply(s.request, answer);
}

static void submit(struct livy *l, struct http_request *r, struct session *session, const char *kind,
                   const char *code)
{
    struct request_key key;
    struct err err = {0};
    if (!request_key_read(r, &key))
        return;
    struct submission *s = mem_calloc(1, sizeof *s);
    if (s == NULL) {
        http_reply(r, NULL);
        return;
    }
    *s = (struct submission){l, r, session_info(session).app->id};
    if (session_submit(session, ITEM_STATEMENT, kind, code, request_key_of(&key), on_submitted, s, &err) ==
        ERR_OK)
        return;
    mem_free(s);
    livy_reply_error(r, &err);
}

void statements_post(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    cleanup(code_clear) struct code_request c = {0};
    if (!read_code(l, r, false, &c))
        return;
    struct session *session = livy_find_session(l, r, RIGHT_MODIFY);
    if (session == NULL)
        return;
    const char *kind = require_language(r, c.kind != NULL ? c.kind : session_info(session).kind);
    if (kind == NULL)
        return;
    value_unix_lines(c.code);
    submit(l, r, session, kind, c.code);
}

/* ---- looking ---- */

struct look {
    struct livy *livy;
    struct http_request *request;
    int64_t session, id;
};

/* The key of an answer that is ready to be sent again, once the statement has ended. */
static void ready_key(char key[128], int64_t session, int64_t id)
{
    (void)snprintf(key, 128, "statement %" PRId64 " %" PRId64, session, id);
}

enum { READY_REVISION = 1 }; /* what has ended does not change any more */

static void on_statement(const struct err *err, const struct item_view *item, void *arg)
{
    struct look look = *(struct look *)arg;
    char key[128];
    mem_free(arg);
    if (item == NULL && err->code == ERR_NOT_FOUND) {
        livy_reply_text(look.request, 404, "Statement not found");
        return;
    }
    if (item == NULL) {
        livy_reply_error(look.request, err);
        return;
    }
    cleanup(buf_clear) struct buf body = BUF(STATEMENT_BYTES_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    view_statement(&out, item);
    struct http_answer *answer = http_answer_new(200, HTTP_JSON, &body);
    ready_key(key, look.session, look.id);
    if (answer != NULL && item_state_is_end(item->state))
        ready_put(look.livy->ready, key, READY_REVISION, answer);
    http_reply(look.request, answer);
}

void statement_get(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    char key[128];
    int64_t id = 0;
    struct session *session = livy_find_session(l, r, RIGHT_VIEW);
    if (session == NULL || !livy_param_int(r, 1, &id) || !session_require_active(r, session))
        return;
    int64_t session_id = session_info(session).app->id;
    ready_key(key, session_id, id);
    struct http_answer *answer = ready_get(l->ready, key, READY_REVISION);
    if (answer != NULL) {
        http_reply(r, answer);
        return;
    }
    struct look *look = mem_calloc(1, sizeof *look);
    if (look == NULL) {
        http_reply(r, NULL);
        return;
    }
    *look = (struct look){l, r, session_id, id};
    session_read_item(session, ITEM_STATEMENT, id, on_statement, look);
}

/* ---- the list ---- */

struct window {
    int64_t from, size; /* size negative: all */
    bool descending;
};

/* False: it was answered. */
static bool read_window(struct http_request *r, struct window *w)
{
    *w = (struct window){.descending = value_is_descending(http_query(r, "order"))};
    if (!livy_query_int(r, "from", &w->from) || !livy_query_int(r, "size", &w->size))
        return false;
    value_window(&w->from, &w->size, http_query(r, "size") != NULL);
    return true;
}

static void on_statements(const struct err *err, const struct item_view *items, size_t n, int64_t total,
                          void *arg)
{
    struct http_request *r = arg;
    if (err->code != ERR_OK) {
        livy_reply_error(r, err);
        return;
    }
    cleanup(buf_clear) struct buf body = BUF(LIST_BYTES_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_int(&out, "total_statements", total);
    json_out_array(&out, "statements");
    for (size_t i = 0; i < n; i++)
        view_statement(&out, &items[i]);
    json_out_end_array(&out);
    json_out_end_object(&out);
    livy_reply_json(r, 200, &body);
}

void statements_list(struct http_request *r, void *arg)
{
    struct window w;
    struct session *session = livy_find_session(arg, r, RIGHT_VIEW);
    if (session != NULL && read_window(r, &w) && session_require_active(r, session))
        session_read_items(session, ITEM_STATEMENT, w.from, w.size, w.descending, on_statements, r);
}

static void on_record(struct livy *l, struct http_request *r, const struct record *record)
{
    struct window w;
    if (!read_window(r, &w))
        return;
    if (record->app != NULL)
        session_read_items(session_of(l->sessions, record->app), ITEM_STATEMENT, w.from, w.size, w.descending,
                           on_statements, r);
    else
        sessions_read_items(l->sessions, record->id, ITEM_STATEMENT, w.from, w.size, w.descending,
                            on_statements, r);
}

void statements_list_record(struct http_request *r, void *arg)
{
    record_find(arg, r, APP_SESSION, false, on_record);
}

/* ---- cancelling ---- */

void statement_cancel(struct http_request *r, void *arg)
{
    int64_t id = 0;
    struct session *session = livy_find_session(arg, r, RIGHT_MODIFY);
    if (session == NULL || !livy_param_int(r, 1, &id))
        return;
    enum session_state state = session_state(session);
    if (state != SESSION_STARTING && state != SESSION_IDLE && state != SESSION_BUSY) {
        livy_reply_msg(r, 409, "Session is in state %s", session_state_name(state));
        return;
    }
    session_cancel(session, ITEM_STATEMENT, id);
    livy_reply_msg(r, 200, "canceled");
}

/* ---- completion ---- */

static void on_candidates(const struct err *err, const struct strlist *candidates, void *arg)
{
    enum { CANDIDATES_BYTES_MAX = 64 << 20 };
    if (err->code != ERR_OK) {
        livy_reply_error(arg, err);
        return;
    }
    struct buf body = BUF(CANDIDATES_BYTES_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_list(&out, "candidates", candidates);
    json_out_end_object(&out);
    livy_reply_json(arg, 200, &body);
}

void statement_complete(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    struct err err = {0};
    cleanup(code_clear) struct code_request c = {0};
    if (!read_code(l, r, true, &c))
        return;
    if (c.kind == NULL) {
        livy_reply_text(r, 400, "Invalid kind: ");
        return;
    }
    struct session *session = livy_find_session(l, r, RIGHT_MODIFY);
    const char *kind = session != NULL ? require_language(r, c.kind) : NULL;
    if (kind != NULL && session_complete(session, kind, c.code, c.cursor, on_candidates, r, &err) != ERR_OK)
        livy_reply_error(r, &err);
}
