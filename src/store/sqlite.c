/* SQLite behind db.h: all statements, prepared once, and the groups that mutations are written in. */
#include "store/sqlite_internal.h"

#include "base/mem.h"

#include <string.h>

/* So much of the write-ahead log, in pages, waits for its way into the database. */
enum { LOG_PAGES = 1000 };

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
    [SQL_NAME_OWNER] =
        "SELECT id FROM application WHERE kind = ?1 AND name = ?2 AND forgotten_ms = 0 AND id <> ?3",
    [SQL_KEY_GET] = "SELECT id, digest FROM request_key WHERE user = ?1 AND kind = ?2 AND key = ?3",
    [SQL_KEY_PUT] = "INSERT INTO request_key (user, kind, key, id, digest) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_APP_INSERT] =
        "INSERT INTO application (kind, id, version, state, name, owner, proxy_user, app_id, reason, facts, "
        "memory, pid, last_event, created_ms, started_ms, ended_ms, forgotten_ms, submission, node) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, 'main')",
    [SQL_APP_ADOPT] =
        "UPDATE application SET version = version + 1, name = ?5, owner = ?6, proxy_user = ?7, facts = ?10, "
        "created_ms = ?14, submission = ?18 WHERE kind = ?1 AND id = ?2 AND version = ?3",
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
    [SQL_SESSION] = "SELECT 1 FROM application WHERE kind = 'session' AND id = ?1",
    [SQL_ITEM_LAST] = "SELECT id FROM item WHERE session = ?1 AND type = ?2 ORDER BY id DESC LIMIT 1",
    [SQL_ITEM_INSERT] =
        "INSERT INTO item (session, type, id, state, kind, created_ms, started_ms, completed_ms, request, "
        "output) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SQL_ITEM_UPDATE] = "UPDATE item SET state = ?4, started_ms = ?7, completed_ms = ?8, output = ?10 "
                        "WHERE session = ?1 AND type = ?2 AND id = ?3",
    [SQL_ITEM_KEY_GET] =
        "SELECT id, digest FROM item_key WHERE session = ?1 AND type = ?2 AND user = ?3 AND key = ?4",
    [SQL_ITEM_KEY_PUT] =
        "INSERT INTO item_key (session, type, user, key, id, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_ITEMS_UP] = ITEM_SELECT("output") "WHERE session = ?1 AND type = ?2 AND id BETWEEN ?3 AND ?4 "
                                           "ORDER BY id",
    [SQL_ITEMS_DOWN] = ITEM_SELECT("output") "WHERE session = ?1 AND type = ?2 AND id BETWEEN ?3 AND ?4 "
                                             "ORDER BY id DESC",
    [SQL_ITEMS_REMOVE] = "DELETE FROM item WHERE session = ?1",
    [SQL_ITEM_KEYS_REMOVE] = "DELETE FROM item_key WHERE session = ?1",
    [SQL_AGENT_PUT] = "INSERT INTO agent (session, boot, last_seq, facts) VALUES (?1, ?2, ?3, ?4) "
                      "ON CONFLICT (session) DO UPDATE SET last_seq = max(last_seq, excluded.last_seq), "
                      "facts = coalesce(excluded.facts, facts) WHERE boot = excluded.boot "
                      "AND excluded.last_seq <= last_seq + 1",
    [SQL_AGENT_REMOVE] = "DELETE FROM agent WHERE session = ?1",
    [SQL_AGENTS] =
        "SELECT session, boot, last_seq, facts, (SELECT count(*) FROM item WHERE item.session = agent.session"
        " AND type = 'statement') FROM agent ORDER BY session",
    [SQL_OFFER_PUT] = "INSERT INTO offer (name, version, updated_ms, units) VALUES (?1, ?2, ?3, ?4) "
                      "ON CONFLICT (name) DO UPDATE SET version = excluded.version, "
                      "updated_ms = excluded.updated_ms, units = excluded.units "
                      "WHERE version <= excluded.version",
    [SQL_OFFERS] = "SELECT name, version, updated_ms, units FROM offer ORDER BY name",
    [SQL_READ_BEGIN] = "BEGIN",
    [SQL_SCHEDULE_NAME_OWNER] = "SELECT id FROM schedule WHERE group_name = ?1 AND name = ?2 AND id <> ?3",
    [SQL_SCHEDULE_VERSION] = "SELECT version FROM schedule WHERE id = ?1",
    [SQL_SCHEDULE_INSERT] =
        "INSERT INTO schedule (id, version, group_name, name, owner, proxy_user, door, state, priority, "
        "due_ms, progress, spec, changed_ms, steady, created_ms, fires) "
        "VALUES (?1, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    [SQL_SCHEDULE_UPDATE] =
        "UPDATE schedule SET version = version + 1, group_name = ?3, name = ?4, owner = ?5, proxy_user = ?6, "
        "door = ?7, state = ?8, priority = ?9, due_ms = ?10, progress = ?11, spec = ?12, changed_ms = ?13, "
        "steady = ?14 "
        "WHERE id = ?1 AND version = ?2",
    [SQL_SCHEDULE_STEP] =
        "UPDATE schedule SET version = version + 1, state = ?3, progress = ?4, due_ms = ?5, "
        "fires = ?6, steady = ?7 WHERE id = ?1 AND version = ?2 AND fires = ?6 - 1",
    [SQL_SCHEDULE_NEXT_FIRE] = "UPDATE schedule SET version = version + 1, fires = fires + 1 WHERE id = ?1 "
                               "RETURNING fires",
    [SQL_SCHEDULE_REMOVE] = "DELETE FROM schedule WHERE id = ?1",
    [SQL_SCHEDULES_DUE] = "SELECT id, due_ms, priority, steady FROM schedule INDEXED BY schedule_due "
                          "WHERE due_ms > 0 ORDER BY due_ms, priority DESC, id",
    [SQL_SCHEDULE] = SCHEDULE_SELECT "WHERE id = ?1",
    [SQL_FIRE_INSERT] = "INSERT INTO fire (schedule, number, fence, state, actual_ms, ended_ms, due_ms, "
                        "batch, reason, ended, "
                        "cause, attempt, planned_ms, missed, missed_until_ms, token) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    [SQL_FIRE_STATE] = "SELECT state FROM fire WHERE schedule = ?1 AND number = ?2",
    [SQL_FIRE_UPDATE] = "UPDATE fire SET fence = ?3, state = ?4, actual_ms = ?5, ended_ms = ?6, due_ms = ?7, "
                        "batch = ?8, reason = ?9, ended = ?10 WHERE schedule = ?1 AND number = ?2",
    [SQL_FIRES_TRIM] = "DELETE FROM fire WHERE schedule = ?1 AND number <= ?2 AND ended <> 0",
    [SQL_FIRES_REMOVE] = "DELETE FROM fire WHERE schedule = ?1",
    [SQL_FIRES_OPEN] = FIRE_SELECT "INDEXED BY fire_open WHERE ended = 0 ORDER BY schedule, number",
    [SQL_FIRES] = FIRE_SELECT "WHERE schedule = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
    [SQL_TOKEN_PUT] = "INSERT INTO token (token, door, facts, changed_ms, ended) VALUES (?1, ?2, ?3, ?4, ?5) "
                      "ON CONFLICT (token) DO UPDATE SET door = excluded.door, facts = excluded.facts, "
                      "changed_ms = excluded.changed_ms, ended = excluded.ended",
    [SQL_TOKENS_REMOVE] = "DELETE FROM token WHERE door = ?1 AND changed_ms < ?2 AND ended <> 0",
    [SQL_TOKENS] = "SELECT token, door, facts, changed_ms, ended FROM token WHERE door = ?1 "
                   "ORDER BY changed_ms, token",
};

enum err_code db_error(struct db *d, struct err *err, const char *doing)
{
    int code = sqlite3_errcode(d->handle);
    bool disk = code == SQLITE_FULL || code == SQLITE_IOERR;
    return err_set(err, ERR_IO, "%s: %s%s", doing, sqlite3_errmsg(d->handle),
                   disk ? " (is there space on the disk of server.state_dir?)" : "");
}

sqlite3_stmt *db_statement(struct db *d, enum statement which)
{
    if (d->statements[which] == NULL)
        (void)sqlite3_prepare_v3(d->handle, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &d->statements[which],
                                 NULL); /* NULL stays: the caller's step fails */
    return d->statements[which];
}

enum err_code db_finish(struct db *d, sqlite3_stmt *st, struct err *err, const char *doing)
{
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    enum err_code code = rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : db_error(d, err, doing);
    (void)sqlite3_reset(st); /* repeats the error of the step */
    (void)sqlite3_clear_bindings(st);
    return code;
}

enum err_code db_run(struct db *d, enum statement which, struct err *err, const char *doing)
{
    return db_finish(d, db_statement(d, which), err, doing);
}

void db_bind_text(sqlite3_stmt *st, int at, const char *s)
{
    (void)sqlite3_bind_text(st, at, s, -1, SQLITE_STATIC); /* too large: the step fails */
}

void db_bind_int(sqlite3_stmt *st, int at, int64_t n)
{
    (void)sqlite3_bind_int64(st, at, n);
}

const char *db_column_text(sqlite3_stmt *st, int at)
{
    return (const char *)sqlite3_column_text(st, at);
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
    if (db_run(d, SQL_BEGIN, err, "starting a transaction") != ERR_OK)
        return err->code;
    sqlite3_stmt *st = db_statement(d, SQL_FENCE_GET);
    bool mine = st != NULL && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int64(st, 0) == d->fence;
    (void)sqlite3_reset(st);
    if (mine)
        return ERR_OK;
    db_rollback(d);
    return err_set(err, ERR_IO, "another hearth has taken over this database; this one writes no more");
}

enum err_code db_commit(struct db *d, struct err *err)
{
    enum err_code rc = db_run(d, SQL_COMMIT, err, "committing");
    if (rc != ERR_OK)
        db_rollback(d);
    return rc;
}

/* A reader may be in the way, or the disk may be full: then the log goes on growing, and the next one tries.
 */
void db_tidy(struct db *d)
{
    if (d->log_pages < LOG_PAGES)
        return;
    (void)sqlite3_wal_checkpoint_v2(d->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    d->log_pages = 0;
}

void db_rollback(struct db *d)
{
    if (sqlite3_get_autocommit(d->handle) == 0)
        (void)db_run(d, SQL_ROLLBACK, NULL, "rolling back"); /* fails only when SQLite did it already */
}

enum err_code db_end_one(struct db *d, enum err_code rc, struct err *err)
{
    if (rc == ERR_OK)
        return db_run(d, SQL_RELEASE, err, "releasing a savepoint");
    if (sqlite3_get_autocommit(d->handle) == 0) {
        (void)db_run(d, SQL_UNDO, NULL, "undoing"); /* a disk that is full may have ended the group already */
        (void)db_run(d, SQL_RELEASE, NULL, "releasing");
    }
    return rc;
}

enum err_code db_check_key(struct db *d, sqlite3_stmt *st, const struct store_key *key, bool *found,
                           int64_t *id, struct err *err)
{
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    enum err_code code = ERR_OK;
    *found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        if (strcmp(db_column_text(st, 1), key->digest) != 0)
            code = err_set(err, ERR_MISMATCH,
                           "Idempotency-Key '%.60s' was used for another request (its id is %lld)", key->key,
                           (long long)*id);
    } else if (rc != SQLITE_DONE) {
        code = db_error(d, err, "looking up a key");
    }
    (void)sqlite3_reset(st);
    return code;
}

enum err_code db_probe(struct db *d, struct err *err)
{
    return db_run(d, SQL_FENCE_TOUCH, err, "trying to write");
}
