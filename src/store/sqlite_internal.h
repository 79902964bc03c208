/*
 * What the files of SQLite's side share: a connection, its prepared statements, and the steps that every
 * mutation takes. sqlite.c has all statements and groups, sqlite_open.c the opening, sqlite_apps.c
 * applications, sqlite_items.c what sessions were asked to run, sqlite_offers.c offers of Spark to clients,
 * sqlite_schedules.c schedules, sqlite_fires.c their fires, sqlite_tokens.c answers to operations in the
 * background.
 */
#ifndef HEARTH_STORE_SQLITE_INTERNAL_H
#define HEARTH_STORE_SQLITE_INTERNAL_H

#include "store/db.h"

#include <sqlite3.h>
#include <stdatomic.h>

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
    SQL_APP_ADOPT,
    SQL_APP_UPDATE,
    SQL_APP_REMOVE,
    SQL_NOTES_REMOVE,
    SQL_KEYS_REMOVE,
    SQL_NOTE_ADD,
    SQL_APPS,
    SQL_APP,
    SQL_NOTES,
    SQL_SESSION,
    SQL_ITEM_LAST,
    SQL_ITEM_INSERT,
    SQL_ITEM_UPDATE,
    SQL_ITEM_KEY_GET,
    SQL_ITEM_KEY_PUT,
    SQL_ITEMS_UP,
    SQL_ITEMS_DOWN,
    SQL_ITEMS_REMOVE,
    SQL_ITEM_KEYS_REMOVE,
    SQL_AGENT_PUT,
    SQL_AGENT_REMOVE,
    SQL_AGENTS,
    SQL_OFFER_PUT,
    SQL_OFFERS,
    SQL_READ_BEGIN,
    SQL_SCHEDULE_NAME_OWNER,
    SQL_SCHEDULE_VERSION,
    SQL_SCHEDULE_INSERT,
    SQL_SCHEDULE_UPDATE,
    SQL_SCHEDULE_STEP,
    SQL_SCHEDULE_NEXT_FIRE,
    SQL_SCHEDULE_REMOVE,
    SQL_SCHEDULES_DUE,
    SQL_SCHEDULE,
    SQL_FIRE_INSERT,
    SQL_FIRE_STATE,
    SQL_FIRE_UPDATE,
    SQL_FIRES_TRIM,
    SQL_FIRES_REMOVE,
    SQL_FIRES_OPEN,
    SQL_FIRES,
    SQL_TOKEN_PUT,
    SQL_TOKENS_REMOVE,
    SQL_TOKENS,
    STATEMENTS
};

/* The columns of an item as sqlite_items.c reads them; `output` is the column or NULL. */
#define ITEM_SELECT(output)                                                                                  \
    "SELECT session, type, id, state, kind, created_ms, started_ms, completed_ms, request, " output          \
    " FROM item "

/* The columns of a schedule as sqlite_schedules.c reads them, of a fire as sqlite_fires.c does. */
#define SCHEDULE_SELECT                                                                                      \
    "SELECT id, version, group_name, name, owner, proxy_user, door, state, priority, due_ms, fires, "        \
    "created_ms, changed_ms, progress, spec, steady FROM schedule "
#define FIRE_SELECT                                                                                          \
    "SELECT schedule, number, cause, state, attempt, planned_ms, actual_ms, ended_ms, due_ms, batch, "       \
    "missed, missed_until_ms, ended, reason, token FROM fire "

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENTS];
    int64_t fence;
    int log_pages; /* in the write-ahead log at the last commit */
    atomic_bool interrupted;
};

/* What SQLite says of the last call that failed, as ERR_IO. */
enum err_code db_error(struct db *d, struct err *err, const char *doing);

/* The statement, prepared at its first use. NULL when that fails, which all of the following take: the step
 * fails then. */
sqlite3_stmt *db_statement(struct db *d, enum statement which);
/* Texts must stay until the statement is reset; NULL is SQL's. Parameters count from 1, columns from 0. */
void db_bind_text(sqlite3_stmt *st, int at, const char *s);
void db_bind_int(sqlite3_stmt *st, int at, int64_t n);
const char *db_column_text(sqlite3_stmt *st, int at);
/* Steps a statement that gives no rows, and makes it ready for its next use. */
enum err_code db_finish(struct db *d, sqlite3_stmt *st, struct err *err, const char *doing);
/* The same for one without parameters. */
enum err_code db_run(struct db *d, enum statement which, struct err *err, const char *doing);

/* Ends one mutation, begun with SQL_SAVE, inside the group: kept when it went well, undone otherwise. */
enum err_code db_end_one(struct db *d, enum err_code rc, struct err *err);

/* Looks up a key with a bound statement that gives id and digest: ERR_OK with *found telling whether it is
 * known (then *id), or ERR_MISMATCH. */
enum err_code db_check_key(struct db *d, sqlite3_stmt *st, const struct store_key *key, bool *found,
                           int64_t *id, struct err *err);

/* Inside a mutation: the next id of a kind; an application's row and the first line of its history, which
 * gives the id of the name's owner with ERR_CONFLICT. */
enum err_code db_take_id(struct db *d, const char *kind, int64_t *id, struct err *err);
enum err_code db_add_app(struct db *d, const struct store_app *app, const struct store_note *note,
                         int64_t *ret_id, struct err *err);

/* Removes the items of a session, their keys, and its agent; inside a mutation. */
enum err_code db_remove_items(struct db *d, int64_t session, struct err *err);

#endif
