/* Schedules in SQLite. */
#include "store/sqlite_internal.h"

#include "base/buf.h"
#include "base/mem.h"

enum { SELECT_MAX = 2048 };

/* ---- mutations ---- */

static sqlite3_stmt *bind_schedule(struct db *d, enum statement which, const struct store_schedule *s)
{
    sqlite3_stmt *st = db_statement(d, which);
    db_bind_int(st, 1, s->id);
    db_bind_int(st, 2, s->version);
    db_bind_text(st, 3, s->group);
    db_bind_text(st, 4, s->name);
    db_bind_text(st, 5, s->owner);
    db_bind_text(st, 6, s->proxy_user);
    db_bind_text(st, 7, s->door);
    db_bind_text(st, 8, s->state);
    db_bind_int(st, 9, s->priority);
    db_bind_int(st, 10, s->due_ms);
    db_bind_text(st, 11, s->progress);
    db_bind_text(st, 12, s->spec);
    db_bind_int(st, 13, s->changed_ms);
    db_bind_int(st, 14, s->steady);
    return st;
}

/* Group and name must not belong to another one than `self`; *id tells to whom they do. */
static enum err_code check_name(struct db *d, const struct store_schedule *s, int64_t self, int64_t *id,
                                struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_SCHEDULE_NAME_OWNER);
    db_bind_text(st, 1, s->group);
    db_bind_text(st, 2, s->name);
    db_bind_int(st, 3, self);
    enum err_code rc = ERR_OK;
    if (st != NULL && sqlite3_step(st) == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        rc = err_set(err, ERR_CONFLICT, "the name '%.100s' in the group '%.60s' belongs to schedule %lld",
                     s->name, s->group, (long long)*id);
    }
    (void)sqlite3_reset(st); /* an error shows again at the writing */
    return rc;
}

/* The schedule must be there, with that version. */
static enum err_code check_version(struct db *d, const struct store_schedule *s, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_SCHEDULE_VERSION);
    db_bind_int(st, 1, s->id);
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    enum err_code code = ERR_OK;
    if (rc == SQLITE_DONE)
        code = err_set(err, ERR_NOT_FOUND, "there is no schedule %lld", (long long)s->id);
    else if (rc != SQLITE_ROW)
        code = db_error(d, err, "looking up a schedule");
    else if (sqlite3_column_int64(st, 0) != s->version)
        code = err_set(err, ERR_CONFLICT, "schedule %lld has version %lld by now, not %lld", (long long)s->id,
                       (long long)sqlite3_column_int64(st, 0), (long long)s->version);
    (void)sqlite3_reset(st);
    return code;
}

static enum err_code insert_row(struct db *d, const struct store_schedule *schedule, int64_t *ret_id,
                                struct err *err)
{
    enum err_code rc = check_name(d, schedule, -1, ret_id, err);
    if (rc == ERR_OK)
        rc = db_take_id(d, "schedule", ret_id, err);
    if (rc != ERR_OK)
        return rc;
    struct store_schedule row = *schedule;
    row.id = *ret_id;
    sqlite3_stmt *st = bind_schedule(d, SQL_SCHEDULE_INSERT, &row);
    db_bind_int(st, 15, row.created_ms);
    db_bind_int(st, 16, row.fires);
    return db_finish(d, st, err, "writing a schedule");
}

enum err_code db_insert_schedule(struct db *d, const struct store_schedule *schedule, int64_t *ret_id,
                                 struct err *err)
{
    *ret_id = -1;
    enum err_code rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    return rc == ERR_OK ? db_end_one(d, insert_row(d, schedule, ret_id, err), err) : rc;
}

/* One statement writes: it needs no savepoint. */
enum err_code db_update_schedule(struct db *d, const struct store_schedule *schedule, int64_t *ret_id,
                                 struct err *err)
{
    *ret_id = schedule->id;
    enum err_code rc = check_version(d, schedule, err);
    if (rc == ERR_OK)
        rc = check_name(d, schedule, schedule->id, ret_id, err);
    return rc == ERR_OK
               ? db_finish(d, bind_schedule(d, SQL_SCHEDULE_UPDATE, schedule), err, "writing a schedule")
               : rc;
}

enum err_code db_remove_schedule(struct db *d, int64_t id, struct err *err)
{
    enum err_code rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    if (rc != ERR_OK)
        return rc;
    sqlite3_stmt *st = db_statement(d, SQL_FIRES_REMOVE);
    db_bind_int(st, 1, id);
    rc = db_finish(d, st, err, "removing fires");
    if (rc == ERR_OK) {
        st = db_statement(d, SQL_SCHEDULE_REMOVE);
        db_bind_int(st, 1, id);
        rc = db_finish(d, st, err, "removing a schedule");
    }
    if (rc == ERR_OK && sqlite3_changes(d->handle) == 0)
        rc = err_set(err, ERR_NOT_FOUND, "there is no schedule %lld", (long long)id);
    return db_end_one(d, rc, err);
}

/* ---- reads ---- */

enum err_code db_load_due(struct db *d, bool (*on_due)(const struct store_due *due, void *arg), void *arg,
                          struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_SCHEDULES_DUE);
    enum err_code code = ERR_OK;
    int rc = SQLITE_ERROR;
    while (code == ERR_OK && st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_due due = {sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1),
                                sqlite3_column_int64(st, 2), sqlite3_column_int64(st, 3) != 0};
        if (!on_due(&due, arg))
            code = err_set(err, ERR_NOMEM, "out of memory");
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = db_error(d, err, "reading schedules");
    (void)sqlite3_reset(st);
    return code;
}

static enum err_code read_schedule(sqlite3_stmt *st, struct store_schedule *ret, struct err *err)
{
    *ret = (struct store_schedule){
        .id = sqlite3_column_int64(st, 0),
        .version = sqlite3_column_int64(st, 1),
        .group = db_column_text(st, 2),
        .name = db_column_text(st, 3),
        .owner = db_column_text(st, 4),
        .proxy_user = db_column_text(st, 5),
        .door = db_column_text(st, 6),
        .state = db_column_text(st, 7),
        .priority = sqlite3_column_int64(st, 8),
        .due_ms = sqlite3_column_int64(st, 9),
        .fires = sqlite3_column_int64(st, 10),
        .created_ms = sqlite3_column_int64(st, 11),
        .changed_ms = sqlite3_column_int64(st, 12),
        .progress = db_column_text(st, 13),
        .spec = db_column_text(st, 14),
        .steady = sqlite3_column_int64(st, 15) != 0,
    };
    bool whole = ret->group != NULL && ret->name != NULL && ret->state != NULL && ret->progress != NULL &&
                 ret->spec != NULL;
    return whole ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

struct visit {
    store_schedule_visit *visit;
    void *arg;
    int64_t rows;
    bool stopped; /* the visitor has enough */
};

static enum err_code visit_rows(struct db *d, sqlite3_stmt *st, struct visit *v, struct err *err)
{
    enum err_code code = ERR_OK;
    int rc = SQLITE_ERROR;
    while (code == ERR_OK && !v->stopped && st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_schedule schedule;
        code = read_schedule(st, &schedule, err);
        if (code == ERR_OK) {
            v->rows++;
            v->stopped = !v->visit(&schedule, v->arg);
        }
    }
    return code == ERR_OK && !v->stopped && rc != SQLITE_DONE ? db_error(d, err, "reading schedules") : code;
}

static enum err_code visit_ids(struct db *d, const struct store_schedules *which, struct visit *v,
                               struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < which->n_ids && rc == ERR_OK && !v->stopped; i++) {
        sqlite3_stmt *st = db_statement(d, SQL_SCHEDULE);
        db_bind_int(st, 1, which->ids[i]);
        rc = visit_rows(d, st, v, err);
        (void)sqlite3_reset(st);
    }
    return rc;
}

static void add_filters(const struct store_schedules *which, struct buf *text)
{
    buf_str(text, which->due_before_ms > 0 ? "WHERE due_ms > 0 AND due_ms < ?4" : "WHERE 1");
    if (which->due_before_ms > 0 && which->behind.due_ms > 0)
        buf_str(text, " AND due_ms >= ?8 AND (due_ms > ?8 OR priority < ?9 OR (priority = ?9 AND id > ?10))");
    if (which->group != NULL)
        buf_str(text, " AND group_name = ?1");
    if (which->name != NULL)
        buf_str(text, " AND name = ?2");
    if (which->door != NULL)
        buf_str(text, " AND door = ?3");
}

static bool is_by_id(const struct store_schedules *which)
{
    return !which->by_name && which->due_before_ms == 0;
}

static const char *order_of(const struct store_schedules *which)
{
    if (which->due_before_ms > 0)
        return " ORDER BY due_ms, priority DESC, id";
    if (which->by_name)
        return " ORDER BY group_name, name";
    return which->newest_first ? " ORDER BY id DESC" : " ORDER BY id";
}

/* The index that SQLite would not take by itself; "" when it knows best. */
static const char *index_of(const struct store_schedules *which)
{
    if (which->due_before_ms > 0)
        return "INDEXED BY schedule_due ";
    bool any = which->group == NULL && which->name == NULL && which->door == NULL;
    return which->from > 0 && any && is_by_id(which) ? "INDEXED BY schedule_id " : "";
}

/* What follows "SELECT … FROM schedule ". */
static void add_page(const struct store_schedules *which, struct buf *text)
{
    buf_str(text, index_of(which));
    add_filters(which, text);
    if (is_by_id(which) && !which->newest_first)
        buf_str(text, " AND id > ?5");
    buf_str(text, order_of(which));
    buf_str(text, " LIMIT ?6 OFFSET ?7");
}

/* Rows that are passed over are only counted in an index. */
static void add_page_behind(const struct store_schedules *which, struct buf *text)
{
    buf_str(text, "WHERE id IN (SELECT id FROM schedule ");
    add_page(which, text);
    buf_str(text, ")");
    buf_str(text, order_of(which));
}

/* Prepares the text and gives its parameters their values; those that it does not name are refused by SQLite,
 * which does no harm. The caller finalizes. */
static enum err_code prepare(struct db *d, const struct store_schedules *which, const struct buf *text,
                             sqlite3_stmt **ret, struct err *err)
{
    if (buf_check(text, err) != ERR_OK)
        return err->code;
    if (sqlite3_prepare_v2(d->handle, text->data, -1, ret, NULL) != SQLITE_OK)
        return db_error(d, err, "reading schedules");
    db_bind_text(*ret, 1, which->group);
    db_bind_text(*ret, 2, which->name);
    db_bind_text(*ret, 3, which->door);
    db_bind_int(*ret, 4, which->due_before_ms);
    db_bind_int(*ret, 5, which->after_id);
    db_bind_int(*ret, 6, which->max);
    db_bind_int(*ret, 7, which->from);
    db_bind_int(*ret, 8, which->behind.due_ms);
    db_bind_int(*ret, 9, which->behind.priority);
    db_bind_int(*ret, 10, which->behind.id);
    return ERR_OK;
}

static enum err_code visit_matching(struct db *d, const struct store_schedules *which, struct visit *v,
                                    struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(SELECT_MAX);
    buf_str(&text, SCHEDULE_SELECT);
    if (which->from > 0)
        add_page_behind(which, &text);
    else
        add_page(which, &text);
    sqlite3_stmt *st = NULL;
    enum err_code rc = prepare(d, which, &text, &st, err);
    if (rc == ERR_OK)
        rc = visit_rows(d, st, v, err);
    (void)sqlite3_finalize(st);
    return rc;
}

/* From indexes alone for all schedules, those of a group, and those of a door. */
static enum err_code count_matching(struct db *d, const struct store_schedules *which, int64_t *ret,
                                    struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(SELECT_MAX);
    buf_str(&text, "SELECT count(*) FROM schedule ");
    add_filters(which, &text);
    sqlite3_stmt *st = NULL;
    enum err_code rc = prepare(d, which, &text, &st, err);
    if (rc == ERR_OK && sqlite3_step(st) != SQLITE_ROW)
        rc = db_error(d, err, "counting schedules");
    if (rc == ERR_OK)
        *ret = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    return rc;
}

/* Whether the rows that came are all that are counted. */
static bool saw_all(const struct store_schedules *which, const struct visit *v)
{
    if (which->ids != NULL || which->due_before_ms > 0)
        return true;
    bool from_start = which->from == 0 && (which->after_id < 0 || which->newest_first || !is_by_id(which));
    return from_start && !v->stopped && (which->max < 0 || v->rows < which->max);
}

static enum err_code read_schedules(struct db *d, const struct store_schedules *which, struct visit *v,
                                    int64_t *ret_total, struct err *err)
{
    enum err_code rc = which->ids != NULL ? visit_ids(d, which, v, err) : visit_matching(d, which, v, err);
    if (rc != ERR_OK)
        return rc;
    *ret_total = v->rows;
    return saw_all(which, v) ? ERR_OK : count_matching(d, which, ret_total, err);
}

/* In a transaction: rows and total are of one moment. */
enum err_code db_read_schedules(struct db *d, const struct store_schedules *which,
                                store_schedule_visit *visit, void *arg, int64_t *ret_total, struct err *err)
{
    struct visit v = {.visit = visit, .arg = arg};
    enum err_code rc = db_run(d, SQL_READ_BEGIN, err, "reading schedules");
    if (rc != ERR_OK)
        return rc;
    rc = read_schedules(d, which, &v, ret_total, err);
    db_rollback(d); /* it wrote nothing */
    return rc;
}
