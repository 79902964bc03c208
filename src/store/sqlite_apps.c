/* Applications in SQLite: rows, history, names, keys of requests. */
#include "store/sqlite_internal.h"

#include "base/mem.h"
#include "base/strs.h"

#include <string.h>

enum { NOTES_MAX = 1000 };

/* ---- mutations ---- */

static sqlite3_stmt *bind_app(struct db *d, enum statement which, const struct store_app *a)
{
    sqlite3_stmt *st = db_statement(d, which);
    db_bind_text(st, 1, a->kind);
    db_bind_int(st, 2, a->id);
    db_bind_int(st, 3, a->version);
    db_bind_text(st, 4, a->state);
    db_bind_text(st, 5, a->name);
    db_bind_text(st, 6, a->owner);
    db_bind_text(st, 7, a->proxy_user);
    db_bind_text(st, 8, a->app_id);
    db_bind_text(st, 9, a->reason);
    db_bind_text(st, 10, a->facts);
    db_bind_int(st, 11, a->memory);
    db_bind_int(st, 12, a->pid);
    db_bind_int(st, 13, a->last_event);
    db_bind_int(st, 14, a->created_ms);
    db_bind_int(st, 15, a->started_ms);
    db_bind_int(st, 16, a->ended_ms);
    db_bind_int(st, 17, a->forgotten_ms);
    return st;
}

static enum err_code add_note(struct db *d, const char *kind, int64_t id, const struct store_note *note,
                              struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_NOTE_ADD);
    db_bind_text(st, 1, kind);
    db_bind_int(st, 2, id);
    db_bind_int(st, 3, note->at_ms);
    db_bind_text(st, 4, note->state);
    db_bind_text(st, 5, note->reason);
    return db_finish(d, st, err, "writing history");
}

static enum err_code find_key(struct db *d, const char *kind, const struct store_key *key, bool *found,
                              int64_t *id, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_KEY_GET);
    db_bind_text(st, 1, key->user);
    db_bind_text(st, 2, kind);
    db_bind_text(st, 3, key->key);
    return db_check_key(d, st, key, found, id, err);
}

static enum err_code put_key(struct db *d, const char *kind, int64_t id, const struct store_key *key,
                             struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_KEY_PUT);
    db_bind_text(st, 1, key->user);
    db_bind_text(st, 2, kind);
    db_bind_text(st, 3, key->key);
    db_bind_int(st, 4, id);
    db_bind_text(st, 5, key->digest);
    return db_finish(d, st, err, "writing a key");
}

/* The name must not belong to another one than `self`; *id tells to whom it does. */
static enum err_code check_name(struct db *d, const struct store_app *app, int64_t self, int64_t *id,
                                struct err *err)
{
    if (app->name == NULL)
        return ERR_OK;
    sqlite3_stmt *st = db_statement(d, SQL_NAME_OWNER);
    db_bind_text(st, 1, app->kind);
    db_bind_text(st, 2, app->name);
    db_bind_int(st, 3, self);
    enum err_code rc = ERR_OK;
    if (st != NULL && sqlite3_step(st) == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        rc = err_set(err, ERR_CONFLICT, "the name '%.100s' belongs to %s %lld", app->name, app->kind,
                     (long long)*id);
    }
    (void)sqlite3_reset(st); /* an error shows again at the insertion */
    return rc;
}

enum err_code db_take_id(struct db *d, const char *kind, int64_t *id, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_NEXT_ID);
    db_bind_text(st, 1, kind);
    enum err_code rc = ERR_OK;
    if (st != NULL && sqlite3_step(st) == SQLITE_ROW)
        *id = sqlite3_column_int64(st, 0);
    else
        rc = db_error(d, err, "taking an id");
    (void)sqlite3_reset(st);
    return rc;
}

static enum err_code insert_row(struct db *d, const struct store_app *app, int64_t *ret_id, struct err *err)
{
    enum err_code rc = check_name(d, app, -1, ret_id, err);
    if (rc == ERR_OK)
        rc = db_take_id(d, app->kind, ret_id, err);
    if (rc != ERR_OK)
        return rc;
    struct store_app row = *app;
    row.id = *ret_id;
    row.version = 1;
    sqlite3_stmt *st = bind_app(d, SQL_APP_INSERT, &row);
    db_bind_text(st, 18, row.submission);
    return db_finish(d, st, err, "writing an application");
}

enum err_code db_add_app(struct db *d, const struct store_app *app, const struct store_note *note,
                         int64_t *ret_id, struct err *err)
{
    enum err_code rc = insert_row(d, app, ret_id, err);
    return rc == ERR_OK ? add_note(d, app->kind, *ret_id, note, err) : rc;
}

static enum err_code lost_race(const struct store_app *app, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "%s %lld was changed by somebody else", app->kind, (long long)app->id);
}

static enum err_code adopt_row(struct db *d, const struct store_app *app, int64_t *ret_id, struct err *err)
{
    enum err_code rc = check_name(d, app, app->id, ret_id, err);
    if (rc != ERR_OK)
        return rc;
    *ret_id = app->id;
    sqlite3_stmt *st = bind_app(d, SQL_APP_ADOPT, app);
    db_bind_text(st, 18, app->submission);
    rc = db_finish(d, st, err, "writing an application");
    return rc == ERR_OK && sqlite3_changes(d->handle) == 0 ? lost_race(app, err) : rc;
}

/* Writes the row of a request: one of its own, or one that was inserted ahead of it. */
typedef enum err_code write_row(struct db *d, const struct store_app *app, int64_t *ret_id, struct err *err);

static enum err_code take_request(struct db *d, write_row *write, const struct store_app *app,
                                  const struct store_note *note, const struct store_key *key, int64_t *ret_id,
                                  bool *ret_replayed, struct err *err)
{
    *ret_replayed = false;
    *ret_id = -1;
    if (key != NULL) {
        enum err_code rc = find_key(d, app->kind, key, ret_replayed, ret_id, err);
        if (rc != ERR_OK || *ret_replayed)
            return rc;
    }
    if (db_run(d, SQL_SAVE, err, "setting a savepoint") != ERR_OK)
        return err->code;
    enum err_code rc = write(d, app, ret_id, err);
    if (rc == ERR_OK)
        rc = add_note(d, app->kind, *ret_id, note, err);
    if (rc == ERR_OK && key != NULL)
        rc = put_key(d, app->kind, *ret_id, key, err);
    return db_end_one(d, rc, err);
}

enum err_code db_insert_app(struct db *d, const struct store_app *app, const struct store_note *note,
                            const struct store_key *key, int64_t *ret_id, bool *ret_replayed, struct err *err)
{
    return take_request(d, insert_row, app, note, key, ret_id, ret_replayed, err);
}

enum err_code db_adopt_app(struct db *d, const struct store_app *app, const struct store_note *note,
                           const struct store_key *key, int64_t *ret_id, bool *ret_replayed, struct err *err)
{
    return take_request(d, adopt_row, app, note, key, ret_id, ret_replayed, err);
}

static enum err_code update_rows(struct db *d, const struct store_app *app, const struct store_note *notes,
                                 unsigned n_notes, struct err *err)
{
    enum err_code rc = db_finish(d, bind_app(d, SQL_APP_UPDATE, app), err, "writing an application");
    if (rc == ERR_OK && sqlite3_changes(d->handle) == 0)
        rc = lost_race(app, err);
    for (unsigned i = 0; i < n_notes && rc == ERR_OK; i++)
        rc = add_note(d, app->kind, app->id, &notes[i], err);
    return rc;
}

enum err_code db_update_app(struct db *d, const struct store_app *app, const struct store_note *notes,
                            unsigned n_notes, struct err *err)
{
    if (db_run(d, SQL_SAVE, err, "setting a savepoint") != ERR_OK)
        return err->code;
    return db_end_one(d, update_rows(d, app, notes, n_notes, err), err);
}

enum err_code db_remove_app(struct db *d, const char *kind, int64_t id, struct err *err)
{
    static const enum statement removals[] = {SQL_APP_REMOVE, SQL_NOTES_REMOVE, SQL_KEYS_REMOVE};
    enum err_code rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < sizeof removals / sizeof *removals && rc == ERR_OK; i++) {
        sqlite3_stmt *st = db_statement(d, removals[i]);
        db_bind_text(st, 1, kind);
        db_bind_int(st, 2, id);
        rc = db_finish(d, st, err, "removing an application");
    }
    if (rc == ERR_OK && strcmp(kind, "session") == 0)
        rc = db_remove_items(d, id, err);
    return db_end_one(d, rc, err);
}

/* ---- reads ---- */

static struct store_app read_row(sqlite3_stmt *st)
{
    return (struct store_app){
        .kind = db_column_text(st, 0),
        .id = sqlite3_column_int64(st, 1),
        .version = sqlite3_column_int64(st, 2),
        .state = db_column_text(st, 3),
        .name = db_column_text(st, 4),
        .owner = db_column_text(st, 5),
        .proxy_user = db_column_text(st, 6),
        .app_id = db_column_text(st, 7),
        .reason = db_column_text(st, 8),
        .facts = db_column_text(st, 9),
        .memory = sqlite3_column_int64(st, 10),
        .pid = sqlite3_column_int64(st, 11),
        .last_event = sqlite3_column_int64(st, 12),
        .created_ms = sqlite3_column_int64(st, 13),
        .started_ms = sqlite3_column_int64(st, 14),
        .ended_ms = sqlite3_column_int64(st, 15),
        .forgotten_ms = sqlite3_column_int64(st, 16),
        .submission = db_column_text(st, 17),
    };
}

enum err_code db_load_apps(struct db *d, bool (*on_app)(const struct store_app *app, void *arg), void *arg,
                           struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_APPS);
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
    sqlite3_stmt *st = db_statement(d, SQL_NOTES);
    int rc = notes->items != NULL && st != NULL ? 0 : -1;
    db_bind_text(st, 1, kind);
    db_bind_int(st, 2, id);
    db_bind_int(st, 3, NOTES_MAX);
    while (rc == 0 && sqlite3_step(st) == SQLITE_ROW && notes->n < NOTES_MAX) {
        const char *reason = db_column_text(st, 2);
        struct store_note *note = &notes->items[notes->n++];
        if (strlist_add(&notes->texts, db_column_text(st, 1)) != 0 ||
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
    sqlite3_stmt *st = db_statement(d, SQL_APP);
    db_bind_text(st, 1, kind);
    db_bind_int(st, 2, id);
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
