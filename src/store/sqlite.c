/*
 * SQLite behind db.h: WAL, synchronous=FULL, numbered schema steps, prepared statements.
 *
 * The file is DIR/hearth.db. PRAGMA user_version holds the number of the last schema step taken.
 */
#include "store/db.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/strs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

extern const char *const store_schema[]; /* schema/NNN.sql in order, NULL at the end */

enum { BUSY_WAIT_MS = 10000, NOTES_MAX = 1000 };

enum statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVE,
    SQL_RELEASE,
    SQL_UNDO,
    SQL_FENCE_GET,
    SQL_FENCE_TOUCH,
    SQL_NEXT_ID,
    SQL_NAME_OWNER,
    SQL_KEY_GET,
    SQL_KEY_PUT,
    SQL_APP_INSERT,
    SQL_APP_UPDATE,
    SQL_APP_REMOVE,
    SQL_NOTES_REMOVE,
    SQL_KEYS_REMOVE,
    SQL_NOTE_ADD,
    SQL_APPS,
    SQL_APP,
    SQL_NOTES,
    STATEMENTS
};

#define APP_SELECT(submission)                                                                               \
    "SELECT kind, id, version, state, name, owner, proxy_user, app_id, reason, facts, memory, pid, "         \
    "last_event, created_ms, started_ms, ended_ms, forgotten_ms, " submission " FROM application "

static const char *const sql[STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVE] = "SAVEPOINT one",
    [SQL_RELEASE] = "RELEASE one",
    [SQL_UNDO] = "ROLLBACK TO one",
    [SQL_FENCE_GET] = "SELECT fence FROM node WHERE name = 'main'",
    [SQL_FENCE_TOUCH] = "UPDATE node SET fence = fence WHERE name = 'main'",
    [SQL_NEXT_ID] = "INSERT INTO counter (kind, next) VALUES (?1, 1) "
                    "ON CONFLICT (kind) DO UPDATE SET next = next + 1 RETURNING next - 1",
    [SQL_NAME_OWNER] = "SELECT id FROM application WHERE kind = ?1 AND name = ?2 AND forgotten_ms = 0",
    [SQL_KEY_GET] = "SELECT id, digest FROM request_key WHERE user = ?1 AND kind = ?2 AND key = ?3",
    [SQL_KEY_PUT] = "INSERT INTO request_key (user, kind, key, id, digest) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_APP_INSERT] =
        "INSERT INTO application (kind, id, version, state, name, owner, proxy_user, app_id, reason, facts, "
        "memory, pid, last_event, created_ms, started_ms, ended_ms, forgotten_ms, submission, node) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, 'main')",
    [SQL_APP_UPDATE] =
        "UPDATE application SET version = version + 1, state = ?4, name = ?5, owner = ?6, proxy_user = ?7, "
        "app_id = ?8, reason = ?9, facts = ?10, memory = ?11, pid = ?12, last_event = ?13, started_ms = ?15, "
        "ended_ms = ?16, forgotten_ms = ?17 WHERE kind = ?1 AND id = ?2 AND version = ?3",
    [SQL_APP_REMOVE] = "DELETE FROM application WHERE kind = ?1 AND id = ?2",
    [SQL_NOTES_REMOVE] = "DELETE FROM note WHERE kind = ?1 AND id = ?2",
    [SQL_KEYS_REMOVE] = "DELETE FROM request_key WHERE kind = ?1 AND id = ?2",
    [SQL_NOTE_ADD] = "INSERT INTO note (kind, id, seq, at_ms, state, reason) VALUES (?1, ?2, "
                     "(SELECT coalesce(max(seq), 0) + 1 FROM note WHERE kind = ?1 AND id = ?2), ?3, ?4, ?5)",
    [SQL_APPS] = APP_SELECT("CASE WHEN ended_ms = 0 THEN submission END") "ORDER BY kind, id",
    [SQL_APP] = APP_SELECT("submission") "WHERE kind = ?1 AND id = ?2",
    [SQL_NOTES] = "SELECT at_ms, state, reason FROM note WHERE kind = ?1 AND id = ?2 ORDER BY seq LIMIT ?3",
};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENTS];
    int64_t fence;
};

static enum err_code db_error(struct db *d, struct err *err, const char *doing)
{
    int code = sqlite3_errcode(d->handle);
    bool disk = code == SQLITE_FULL || code == SQLITE_IOERR;
    return err_set(err, ERR_IO, "%s: %s%s", doing, sqlite3_errmsg(d->handle),
                   disk ? " (is there space on the disk of server.state_dir?)" : "");
}

static sqlite3_stmt *prepare(struct db *d, enum statement which)
{
    if (d->statements[which] == NULL)
        (void)sqlite3_prepare_v3(d->handle, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &d->statements[which],
                                 NULL); /* NULL stays: the caller's step fails */
    return d->statements[which];
}

/* Steps a statement that gives no rows, and makes it ready for its next use. */
static enum err_code finish(struct db *d, sqlite3_stmt *st, struct err *err, const char *doing)
{
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    enum err_code code = rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : db_error(d, err, doing);
    (void)sqlite3_reset(st); /* repeats the error of the step */
    (void)sqlite3_clear_bindings(st);
    return code;
}

static enum err_code run(struct db *d, enum statement which, struct err *err, const char *doing)
{
    return finish(d, prepare(d, which), err, doing);
}

static void bind_text(sqlite3_stmt *st, int at, const char *s)
{
    (void)sqlite3_bind_text(st, at, s, -1, SQLITE_STATIC); /* too large: the step fails */
}

static void bind_int(sqlite3_stmt *st, int at, int64_t n)
{
    (void)sqlite3_bind_int64(st, at, n);
}

static const char *column_text(sqlite3_stmt *st, int at)
{
    return (const char *)sqlite3_column_text(st, at);
}

/* ---- opening ---- */

static enum err_code exec(struct db *d, const char *text, struct err *err, const char *doing)
{
    return sqlite3_exec(d->handle, text, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : db_error(d, err, doing);
}

/* The first column of the first row of a query as a number; -1 when there is none. */
static int64_t query_number(struct db *d, const char *text)
{
    sqlite3_stmt *st = NULL;
    int64_t n = -1;
    if (sqlite3_prepare_v2(d->handle, text, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    return n;
}

static enum err_code check_damage(struct db *d, struct err *err)
{
    sqlite3_stmt *st = NULL;
    enum err_code rc = ERR_OK;
    if (sqlite3_prepare_v2(d->handle, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW)
        rc = db_error(d, err, "checking the database");
    else if (strcmp(column_text(st, 0), "ok") != 0)
        rc = err_set(err, ERR_IO, "the database is damaged: %.200s", column_text(st, 0));
    (void)sqlite3_finalize(st);
    return rc;
}

static enum err_code migrate_step(struct db *d, int number, struct err *err)
{
    char *version = sqlite3_mprintf("PRAGMA user_version = %d", number);
    if (version == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    enum err_code rc = exec(d, "BEGIN IMMEDIATE", err, "upgrading the database");
    if (rc == ERR_OK) {
        rc = exec(d, store_schema[number - 1], err, "upgrading the database");
        if (rc == ERR_OK)
            rc = exec(d, version, err, "upgrading the database");
        if (rc == ERR_OK)
            rc = exec(d, "COMMIT", err, "upgrading the database");
        if (rc != ERR_OK)
            (void)sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL); /* the first error is told */
    }
    sqlite3_free(version);
    return rc;
}

static enum err_code migrate(struct db *d, struct err *err)
{
    int newest = 0;
    while (store_schema[newest] != NULL)
        newest++;
    int64_t version = query_number(d, "PRAGMA user_version");
    if (version < 0)
        return db_error(d, err, "reading the database");
    if (version > newest)
        return err_set(err, ERR_CONFLICT,
                       "the database has schema %d and this hearth knows up to %d: it was written by a newer "
                       "hearth; start that one, or give another server.state_dir",
                       (int)version, newest);
    for (int number = (int)version + 1; number <= newest; number++)
        if (migrate_step(d, number, err) != ERR_OK)
            return err->code;
    return ERR_OK;
}

static enum err_code take_fence(struct db *d, struct err *err)
{
    d->fence = query_number(d, "INSERT INTO node (name, fence) VALUES ('main', 1) "
                               "ON CONFLICT (name) DO UPDATE SET fence = fence + 1 RETURNING fence");
    return d->fence > 0 ? ERR_OK : db_error(d, err, "registering this node");
}

/* Makes a new database readable for us alone: submissions may hold secrets. SQLite gives the files beside
 * it the same rights. */
static void make_private(const char *path)
{
    cleanup(io_closep) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    (void)fd; /* it exists; or it cannot be made, which SQLite then tells */
}

static enum err_code open_handle(struct db *d, const char *dir, int flags, struct err *err)
{
    cleanup(mem_freep) char *path = mem_printf("%s/hearth.db", dir);
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if ((flags & SQLITE_OPEN_CREATE) != 0)
        make_private(path);
    if (sqlite3_open_v2(path, &d->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return d->handle != NULL ? db_error(d, err, path) : err_set(err, ERR_NOMEM, "out of memory");
    (void)sqlite3_extended_result_codes(d->handle, 0);
    (void)sqlite3_busy_timeout(d->handle, BUSY_WAIT_MS);
    if (exec(d, "PRAGMA cache_size = -1024", err, path) != ERR_OK)
        return err->code;
    return ERR_OK;
}

static enum err_code prepare_for_writing(struct db *d, struct err *err)
{
    enum err_code rc = check_damage(d, err);
    if (rc == ERR_OK && sqlite3_db_readonly(d->handle, "main") == 1)
        rc = err_set(err, ERR_IO, "the database cannot be written");
    if (rc == ERR_OK)
        rc = exec(d, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON", err,
                  "preparing the database");
    if (rc == ERR_OK)
        rc = migrate(d, err);
    return rc == ERR_OK ? take_fence(d, err) : rc;
}

enum err_code db_open(const char *dir, struct db **ret, struct err *err)
{
    struct db *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    enum err_code rc = open_handle(d, dir, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (rc == ERR_OK)
        rc = prepare_for_writing(d, err);
    if (rc != ERR_OK) {
        db_close(d);
        return err_wrap(err, "%s/hearth.db", dir);
    }
    *ret = d;
    return ERR_OK;
}

enum err_code db_open_reader(const char *dir, struct db **ret, struct err *err)
{
    struct db *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (open_handle(d, dir, SQLITE_OPEN_READWRITE, err) != ERR_OK ||
        exec(d, "PRAGMA query_only = ON", err, dir) != ERR_OK) {
        db_close(d);
        return err_wrap(err, "%s/hearth.db", dir);
    }
    *ret = d;
    return ERR_OK;
}

void db_close(struct db *d)
{
    if (d == NULL)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(d->statements[i]); /* repeats the last step's error */
    (void)sqlite3_close(d->handle);
    mem_free(d);
}

/* ---- groups ---- */

enum err_code db_begin(struct db *d, struct err *err)
{
    if (run(d, SQL_BEGIN, err, "starting a transaction") != ERR_OK)
        return err->code;
    sqlite3_stmt *st = prepare(d, SQL_FENCE_GET);
    bool mine = st != NULL && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int64(st, 0) == d->fence;
    (void)sqlite3_reset(st);
    if (mine)
        return ERR_OK;
    db_rollback(d);
    return err_set(err, ERR_IO, "another hearth has taken over this database; this one writes no more");
}

enum err_code db_commit(struct db *d, struct err *err)
{
    enum err_code rc = run(d, SQL_COMMIT, err, "committing");
    if (rc != ERR_OK)
        db_rollback(d);
    return rc;
}

void db_rollback(struct db *d)
{
    if (sqlite3_get_autocommit(d->handle) == 0)
        (void)run(d, SQL_ROLLBACK, NULL, "rolling back"); /* fails only when SQLite did it already */
}

/* Ends one mutation inside the group: kept when it went well, undone otherwise. */
static enum err_code end_one(struct db *d, enum err_code rc, struct err *err)
{
    if (rc == ERR_OK)
        return run(d, SQL_RELEASE, err, "releasing a savepoint");
    if (sqlite3_get_autocommit(d->handle) == 0) {
        (void)run(d, SQL_UNDO, NULL, "undoing"); /* a disk that is full may have ended the group already */
        (void)run(d, SQL_RELEASE, NULL, "releasing");
    }
    return rc;
}

/* ---- mutations ---- */

static sqlite3_stmt *bind_app(struct db *d, enum statement which, const struct store_app *a)
{
    sqlite3_stmt *st = prepare(d, which);
    bind_text(st, 1, a->kind);
    bind_int(st, 2, a->id);
    bind_int(st, 3, a->version);
    bind_text(st, 4, a->state);
    bind_text(st, 5, a->name);
    bind_text(st, 6, a->owner);
    bind_text(st, 7, a->proxy_user);
    bind_text(st, 8, a->app_id);
    bind_text(st, 9, a->reason);
    bind_text(st, 10, a->facts);
    bind_int(st, 11, a->memory);
    bind_int(st, 12, a->pid);
    bind_int(st, 13, a->last_event);
    bind_int(st, 14, a->created_ms);
    bind_int(st, 15, a->started_ms);
    bind_int(st, 16, a->ended_ms);
    bind_int(st, 17, a->forgotten_ms);
    return st;
}

static enum err_code add_note(struct db *d, const char *kind, int64_t id, const struct store_note *note,
                              struct err *err)
{
    sqlite3_stmt *st = prepare(d, SQL_NOTE_ADD);
    bind_text(st, 1, kind);
    bind_int(st, 2, id);
    bind_int(st, 3, note->at_ms);
    bind_text(st, 4, note->state);
    bind_text(st, 5, note->reason);
    return finish(d, st, err, "writing history");
}

/* ERR_OK with *found telling whether the key is known (then *id), or ERR_MISMATCH. */
static enum err_code find_key(struct db *d, const char *kind, const struct store_key *key, bool *found,
                              int64_t *id, struct err *err)
{
    sqlite3_stmt *st = prepare(d, SQL_KEY_GET);
    bind_text(st, 1, key->user);
    bind_text(st, 2, kind);
    bind_text(st, 3, key->key);
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    enum err_code code = ERR_OK;
    *found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        if (strcmp(column_text(st, 1), key->digest) != 0)
            code = err_set(err, ERR_MISMATCH,
                           "Idempotency-Key '%.60s' was used for another request (its id is %lld)", key->key,
                           (long long)*id);
    } else if (rc != SQLITE_DONE) {
        code = db_error(d, err, "looking up a key");
    }
    (void)sqlite3_reset(st);
    return code;
}

static enum err_code put_key(struct db *d, const char *kind, int64_t id, const struct store_key *key,
                             struct err *err)
{
    sqlite3_stmt *st = prepare(d, SQL_KEY_PUT);
    bind_text(st, 1, key->user);
    bind_text(st, 2, kind);
    bind_text(st, 3, key->key);
    bind_int(st, 4, id);
    bind_text(st, 5, key->digest);
    return finish(d, st, err, "writing a key");
}

static enum err_code check_name(struct db *d, const struct store_app *app, int64_t *id, struct err *err)
{
    if (app->name == NULL)
        return ERR_OK;
    sqlite3_stmt *st = prepare(d, SQL_NAME_OWNER);
    bind_text(st, 1, app->kind);
    bind_text(st, 2, app->name);
    enum err_code rc = ERR_OK;
    if (st != NULL && sqlite3_step(st) == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        rc = err_set(err, ERR_CONFLICT, "the name '%.100s' belongs to %s %lld", app->name, app->kind,
                     (long long)*id);
    }
    (void)sqlite3_reset(st); /* an error shows again at the insertion */
    return rc;
}

static enum err_code take_id(struct db *d, const char *kind, int64_t *id, struct err *err)
{
    sqlite3_stmt *st = prepare(d, SQL_NEXT_ID);
    bind_text(st, 1, kind);
    enum err_code rc = ERR_OK;
    if (st != NULL && sqlite3_step(st) == SQLITE_ROW)
        *id = sqlite3_column_int64(st, 0);
    else
        rc = db_error(d, err, "taking an id");
    (void)sqlite3_reset(st);
    return rc;
}

static enum err_code insert_rows(struct db *d, const struct store_app *app, const struct store_note *note,
                                 const struct store_key *key, int64_t *ret_id, struct err *err)
{
    enum err_code rc = check_name(d, app, ret_id, err);
    if (rc == ERR_OK)
        rc = take_id(d, app->kind, ret_id, err);
    if (rc != ERR_OK)
        return rc;
    struct store_app row = *app;
    row.id = *ret_id;
    row.version = 1;
    sqlite3_stmt *st = bind_app(d, SQL_APP_INSERT, &row);
    bind_text(st, 18, row.submission);
    rc = finish(d, st, err, "writing an application");
    if (rc == ERR_OK)
        rc = add_note(d, row.kind, row.id, note, err);
    if (rc == ERR_OK && key != NULL)
        rc = put_key(d, row.kind, row.id, key, err);
    return rc;
}

enum err_code db_insert_app(struct db *d, const struct store_app *app, const struct store_note *note,
                            const struct store_key *key, int64_t *ret_id, bool *ret_replayed, struct err *err)
{
    *ret_replayed = false;
    *ret_id = -1;
    if (key != NULL) {
        enum err_code rc = find_key(d, app->kind, key, ret_replayed, ret_id, err);
        if (rc != ERR_OK || *ret_replayed)
            return rc;
    }
    if (run(d, SQL_SAVE, err, "setting a savepoint") != ERR_OK)
        return err->code;
    return end_one(d, insert_rows(d, app, note, key, ret_id, err), err);
}

static enum err_code update_rows(struct db *d, const struct store_app *app, const struct store_note *notes,
                                 unsigned n_notes, struct err *err)
{
    enum err_code rc = finish(d, bind_app(d, SQL_APP_UPDATE, app), err, "writing an application");
    if (rc == ERR_OK && sqlite3_changes(d->handle) == 0)
        rc =
            err_set(err, ERR_CONFLICT, "%s %lld was changed by somebody else", app->kind, (long long)app->id);
    for (unsigned i = 0; i < n_notes && rc == ERR_OK; i++)
        rc = add_note(d, app->kind, app->id, &notes[i], err);
    return rc;
}

enum err_code db_update_app(struct db *d, const struct store_app *app, const struct store_note *notes,
                            unsigned n_notes, struct err *err)
{
    if (run(d, SQL_SAVE, err, "setting a savepoint") != ERR_OK)
        return err->code;
    return end_one(d, update_rows(d, app, notes, n_notes, err), err);
}

enum err_code db_remove_app(struct db *d, const char *kind, int64_t id, struct err *err)
{
    static const enum statement removals[] = {SQL_APP_REMOVE, SQL_NOTES_REMOVE, SQL_KEYS_REMOVE};
    enum err_code rc = run(d, SQL_SAVE, err, "setting a savepoint");
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < sizeof removals / sizeof *removals && rc == ERR_OK; i++) {
        sqlite3_stmt *st = prepare(d, removals[i]);
        bind_text(st, 1, kind);
        bind_int(st, 2, id);
        rc = finish(d, st, err, "removing an application");
    }
    return end_one(d, rc, err);
}

enum err_code db_probe(struct db *d, struct err *err)
{
    return run(d, SQL_FENCE_TOUCH, err, "trying to write");
}

/* ---- reads ---- */

static struct store_app read_row(sqlite3_stmt *st)
{
    return (struct store_app){
        .kind = column_text(st, 0),
        .id = sqlite3_column_int64(st, 1),
        .version = sqlite3_column_int64(st, 2),
        .state = column_text(st, 3),
        .name = column_text(st, 4),
        .owner = column_text(st, 5),
        .proxy_user = column_text(st, 6),
        .app_id = column_text(st, 7),
        .reason = column_text(st, 8),
        .facts = column_text(st, 9),
        .memory = sqlite3_column_int64(st, 10),
        .pid = sqlite3_column_int64(st, 11),
        .last_event = sqlite3_column_int64(st, 12),
        .created_ms = sqlite3_column_int64(st, 13),
        .started_ms = sqlite3_column_int64(st, 14),
        .ended_ms = sqlite3_column_int64(st, 15),
        .forgotten_ms = sqlite3_column_int64(st, 16),
        .submission = column_text(st, 17),
    };
}

enum err_code db_load_apps(struct db *d, bool (*on_app)(const struct store_app *app, void *arg), void *arg,
                           struct err *err)
{
    sqlite3_stmt *st = prepare(d, SQL_APPS);
    enum err_code code = ERR_OK;
    int rc = SQLITE_ERROR;
    while (code == ERR_OK && st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_app app = read_row(st);
        if (!on_app(&app, arg))
            code = err_set(err, ERR_NOMEM, "out of memory");
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = db_error(d, err, "reading applications");
    (void)sqlite3_reset(st);
    return code;
}

struct notes {
    struct store_note *items;
    struct strlist texts; /* what the items point to */
    unsigned n;
};

/* The notes of an application with copies of their texts; -1 when memory is short. */
static int read_notes(struct db *d, const char *kind, int64_t id, struct notes *notes)
{
    notes->items = mem_calloc(NOTES_MAX, sizeof *notes->items);
    sqlite3_stmt *st = prepare(d, SQL_NOTES);
    int rc = notes->items != NULL && st != NULL ? 0 : -1;
    bind_text(st, 1, kind);
    bind_int(st, 2, id);
    bind_int(st, 3, NOTES_MAX);
    while (rc == 0 && sqlite3_step(st) == SQLITE_ROW && notes->n < NOTES_MAX) {
        const char *reason = column_text(st, 2);
        struct store_note *note = &notes->items[notes->n++];
        if (strlist_add(&notes->texts, column_text(st, 1)) != 0 ||
            strlist_add(&notes->texts, reason != NULL ? reason : "") != 0)
            rc = -1;
        else
            *note = (struct store_note){sqlite3_column_int64(st, 0), notes->texts.items[notes->texts.n - 2],
                                        reason != NULL ? notes->texts.items[notes->texts.n - 1] : NULL};
    }
    (void)sqlite3_reset(st);
    return rc;
}

enum err_code db_read_app(struct db *d, const char *kind, int64_t id,
                          void (*on_app)(const struct store_app *app, const struct store_note *notes,
                                         unsigned n_notes, void *arg),
                          void *arg, struct err *err)
{
    struct notes notes = {0};
    enum err_code code = ERR_OK;
    sqlite3_stmt *st = prepare(d, SQL_APP);
    bind_text(st, 1, kind);
    bind_int(st, 2, id);
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    if (rc == SQLITE_DONE) {
        code = err_set(err, ERR_NOT_FOUND, "there is no %s %lld", kind, (long long)id);
    } else if (rc != SQLITE_ROW) {
        code = db_error(d, err, "reading an application");
    } else if (read_notes(d, kind, id, &notes) != 0) {
        code = err_set(err, ERR_NOMEM, "out of memory");
    } else {
        struct store_app app = read_row(st);
        on_app(&app, notes.items, notes.n, arg);
    }
    (void)sqlite3_reset(st);
    mem_free(notes.items);
    strlist_clear(&notes.texts);
    return code;
}
