/* What sessions were asked to run, in SQLite: items, their keys, and the agents that answer for them. */
#include "store/sqlite_internal.h"

#include "base/buf.h"
#include "base/mem.h"

#include <string.h>

enum { LOAD_SQL_MAX = 4096 };

/* Ids of statements count from 0, of jobs from 1; -1: no such type. */
static int64_t first_id(const char *type)
{
    if (strcmp(type, "statement") == 0)
        return 0;
    return strcmp(type, "job") == 0 ? 1 : -1;
}

/* The highest id of that session and type; the one before the first when there is none. */
static enum err_code last_id(struct db *d, int64_t session, const char *type, int64_t *ret, struct err *err)
{
    int64_t first = first_id(type);
    if (first < 0)
        return err_set(err, ERR_INVALID, "there are no items of type '%.40s'", type);
    sqlite3_stmt *st = db_statement(d, SQL_ITEM_LAST);
    db_bind_int(st, 1, session);
    db_bind_text(st, 2, type);
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    enum err_code code = ERR_OK;
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(st, 0);
    else if (rc == SQLITE_DONE)
        *ret = first - 1;
    else
        code = db_error(d, err, "counting items");
    (void)sqlite3_reset(st);
    return code;
}

/* Nothing is written for a session that was removed meanwhile: nobody would remove that again. */
static enum err_code check_session(struct db *d, int64_t session, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_SESSION);
    db_bind_int(st, 1, session);
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    enum err_code code = ERR_OK;
    if (rc == SQLITE_DONE)
        code = err_set(err, ERR_NOT_FOUND, "there is no session %lld", (long long)session);
    else if (rc != SQLITE_ROW)
        code = db_error(d, err, "looking up a session");
    (void)sqlite3_reset(st);
    return code;
}

/* ---- mutations ---- */

static sqlite3_stmt *bind_item(struct db *d, enum statement which, const struct store_item *item)
{
    sqlite3_stmt *st = db_statement(d, which);
    db_bind_int(st, 1, item->session);
    db_bind_text(st, 2, item->type);
    db_bind_int(st, 3, item->id);
    db_bind_text(st, 4, item->state);
    db_bind_int(st, 7, item->started_ms);
    db_bind_int(st, 8, item->completed_ms);
    db_bind_text(st, 10, item->output);
    return st;
}

static enum err_code find_key(struct db *d, const struct store_item *item, const struct store_key *key,
                              bool *found, int64_t *id, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_ITEM_KEY_GET);
    db_bind_int(st, 1, item->session);
    db_bind_text(st, 2, item->type);
    db_bind_text(st, 3, key->user);
    db_bind_text(st, 4, key->key);
    return db_check_key(d, st, key, found, id, err);
}

static enum err_code put_key(struct db *d, const struct store_item *item, int64_t id,
                             const struct store_key *key, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_ITEM_KEY_PUT);
    db_bind_int(st, 1, item->session);
    db_bind_text(st, 2, item->type);
    db_bind_text(st, 3, key->user);
    db_bind_text(st, 4, key->key);
    db_bind_int(st, 5, id);
    db_bind_text(st, 6, key->digest);
    return db_finish(d, st, err, "writing a key");
}

static enum err_code insert_rows(struct db *d, const struct store_item *item, const struct store_key *key,
                                 int64_t *ret_id, struct err *err)
{
    int64_t last = -1;
    enum err_code rc = check_session(d, item->session, err);
    if (rc == ERR_OK)
        rc = last_id(d, item->session, item->type, &last, err);
    if (rc != ERR_OK)
        return rc;
    struct store_item row = *item;
    row.id = last + 1;
    sqlite3_stmt *st = bind_item(d, SQL_ITEM_INSERT, &row);
    db_bind_text(st, 5, row.kind);
    db_bind_int(st, 6, row.created_ms);
    db_bind_text(st, 9, row.request);
    rc = db_finish(d, st, err, "writing an item");
    if (rc == ERR_OK && key != NULL)
        rc = put_key(d, item, row.id, key, err);
    if (rc == ERR_OK)
        *ret_id = row.id;
    return rc;
}

enum err_code db_insert_item(struct db *d, const struct store_item *item, const struct store_key *key,
                             int64_t *ret_id, bool *ret_replayed, struct err *err)
{
    *ret_replayed = false;
    *ret_id = -1;
    if (key != NULL) {
        enum err_code rc = find_key(d, item, key, ret_replayed, ret_id, err);
        if (rc != ERR_OK || *ret_replayed)
            return rc;
    }
    if (db_run(d, SQL_SAVE, err, "setting a savepoint") != ERR_OK)
        return err->code;
    return db_end_one(d, insert_rows(d, item, key, ret_id, err), err);
}

static enum err_code put_agent(struct db *d, const struct store_agent *agent, struct err *err)
{
    enum err_code rc = check_session(d, agent->session, err);
    if (rc != ERR_OK)
        return rc;
    sqlite3_stmt *st = db_statement(d, SQL_AGENT_PUT);
    db_bind_int(st, 1, agent->session);
    db_bind_text(st, 2, agent->boot);
    db_bind_int(st, 3, agent->last_seq);
    db_bind_text(st, 4, agent->facts);
    rc = db_finish(d, st, err, "writing an agent");
    if (rc == ERR_OK && sqlite3_changes(d->handle) == 0)
        rc = err_set(err, ERR_CONFLICT, "session %lld has another driver", (long long)agent->session);
    return rc;
}

static enum err_code update_item(struct db *d, const struct store_item *item, struct err *err)
{
    enum err_code rc = db_finish(d, bind_item(d, SQL_ITEM_UPDATE, item), err, "writing an item");
    if (rc == ERR_OK && sqlite3_changes(d->handle) == 0)
        rc = err_set(err, ERR_NOT_FOUND, "there is no %s %lld of session %lld", item->type,
                     (long long)item->id, (long long)item->session);
    return rc;
}

enum err_code db_update_agent(struct db *d, const struct store_agent *agent, const struct store_item *item,
                              struct err *err)
{
    enum err_code rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    if (rc != ERR_OK)
        return rc;
    if (agent != NULL)
        rc = put_agent(d, agent, err);
    if (rc == ERR_OK && item != NULL)
        rc = update_item(d, item, err);
    return db_end_one(d, rc, err);
}

enum err_code db_remove_items(struct db *d, int64_t session, struct err *err)
{
    static const enum statement removals[] = {SQL_ITEMS_REMOVE, SQL_ITEM_KEYS_REMOVE, SQL_AGENT_REMOVE};
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < sizeof removals / sizeof *removals && rc == ERR_OK; i++) {
        sqlite3_stmt *st = db_statement(d, removals[i]);
        db_bind_int(st, 1, session);
        rc = db_finish(d, st, err, "removing a session's items");
    }
    return rc;
}

/* ---- reads ---- */

enum err_code db_load_agents(struct db *d, bool (*on_agent)(const struct store_agent *agent, void *arg),
                             void *arg, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_AGENTS);
    enum err_code code = ERR_OK;
    int rc = SQLITE_ERROR;
    while (code == ERR_OK && st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_agent agent = {
            .session = sqlite3_column_int64(st, 0),
            .boot = db_column_text(st, 1),
            .last_seq = sqlite3_column_int64(st, 2),
            .facts = db_column_text(st, 3),
            .statements = sqlite3_column_int64(st, 4),
        };
        if (!on_agent(&agent, arg))
            code = err_set(err, ERR_NOMEM, "out of memory");
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = db_error(d, err, "reading agents");
    (void)sqlite3_reset(st);
    return code;
}

/* The row of an ITEM_SELECT. Long texts are put together from many pages, for which memory may be short. */
static enum err_code read_item(sqlite3_stmt *st, struct store_item *ret, struct err *err)
{
    bool has_output = sqlite3_column_type(st, 9) != SQLITE_NULL;
    *ret = (struct store_item){
        .session = sqlite3_column_int64(st, 0),
        .type = db_column_text(st, 1),
        .id = sqlite3_column_int64(st, 2),
        .state = db_column_text(st, 3),
        .kind = db_column_text(st, 4),
        .created_ms = sqlite3_column_int64(st, 5),
        .started_ms = sqlite3_column_int64(st, 6),
        .completed_ms = sqlite3_column_int64(st, 7),
        .request = db_column_text(st, 8),
        .output = db_column_text(st, 9),
    };
    bool whole = ret->type != NULL && ret->state != NULL && ret->kind != NULL && ret->request != NULL &&
                 (ret->output != NULL) == has_output;
    return whole ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

/* Gives every row of an ITEM_SELECT to on_item, as long as their texts have no more than text_limit bytes
 * together. Rows are reset by the caller. */
static enum err_code each_item(struct db *d, sqlite3_stmt *st, int64_t text_limit, db_item_cb *on_item,
                               void *arg, struct err *err)
{
    enum err_code code = ERR_OK;
    int64_t text = 0;
    int rc = SQLITE_ERROR;
    while (code == ERR_OK && st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_item item;
        text += sqlite3_column_bytes(st, 8) + sqlite3_column_bytes(st, 9);
        if (text > text_limit)
            code = err_set(err, ERR_TOO_LARGE, "these items have more than %lld bytes of text: ask for fewer",
                           (long long)text_limit);
        else
            code = read_item(st, &item, err);
        if (code == ERR_OK && !on_item(&item, arg))
            code = err_set(err, ERR_NOMEM, "out of memory");
    }
    return code == ERR_OK && rc != SQLITE_DONE ? db_error(d, err, "reading items") : code;
}

static enum err_code load_sql(const char *const *states, struct buf *text, struct err *err)
{
    buf_str(text, ITEM_SELECT("NULL") "WHERE state IN (");
    for (size_t i = 0; states[i] != NULL; i++)
        buf_str(text, i == 0 ? "?" : ",?");
    buf_str(text, ") ORDER BY session, type, id");
    return buf_check(text, err);
}

enum err_code db_load_items(struct db *d, const char *const *states, db_item_cb *on_item, void *arg,
                            struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(LOAD_SQL_MAX);
    enum err_code code = load_sql(states, &text, err);
    if (code != ERR_OK)
        return code;
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(d->handle, text.data, -1, &st, NULL) != SQLITE_OK)
        return db_error(d, err, "reading items");
    for (int i = 0; states[i] != NULL; i++)
        db_bind_text(st, i + 1, states[i]);
    code = each_item(d, st, INT64_MAX, on_item, arg, err);
    (void)sqlite3_finalize(st); /* repeats the last step's error */
    return code;
}

enum err_code db_read_items(struct db *d, const struct db_page *page, db_item_cb *on_item, void *arg,
                            int64_t *ret_total, struct err *err)
{
    int64_t last = -1;
    if (last_id(d, page->session, page->type, &last, err) != ERR_OK)
        return err->code;
    int64_t first = first_id(page->type);
    int64_t total = last - first + 1;
    *ret_total = total;
    if (page->from < 0 || page->from >= total || page->size == 0)
        return ERR_OK;
    /* Ids have no gaps: a place in the order is an id. */
    int64_t left = total - page->from;
    int64_t n = page->size < 0 || page->size > left ? left : page->size;
    int64_t low = page->descending ? last - page->from - n + 1 : first + page->from;
    sqlite3_stmt *st = db_statement(d, page->descending ? SQL_ITEMS_DOWN : SQL_ITEMS_UP);
    db_bind_int(st, 1, page->session);
    db_bind_text(st, 2, page->type);
    db_bind_int(st, 3, low);
    db_bind_int(st, 4, low + n - 1);
    enum err_code code = each_item(d, st, page->text_limit, on_item, arg, err);
    (void)sqlite3_reset(st);
    return code;
}
