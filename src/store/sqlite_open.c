/*
 * Opening a database of SQLite: WAL, synchronous=FULL, numbered schema steps, the next fencing number.
 *
 * The file is DIR/hearth.db. PRAGMA user_version holds the number of the last schema step taken.
 */
#include "store/sqlite_internal.h"

#include "base/io.h"
#include "base/mem.h"

#include <fcntl.h>
#include <string.h>

extern const char *const store_schema[]; /* schema/NNN.sql in order, NULL at the end */

/* Looking for damage reads all of the database: a gigabyte takes some seconds, from a slow disk minutes. */
enum { BUSY_WAIT_MS = 10000, CHECK_AT_OPEN_MAX = 128 * 1024 * 1024 };

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

/* ---- damage ---- */

enum err_code db_check(struct db *d, struct err *err)
{
    sqlite3_stmt *st = NULL;
    enum err_code rc = ERR_OK;
    if (atomic_load(&d->interrupted))
        return err_set(err, ERR_BUSY, "the server stops");
    if (sqlite3_prepare_v2(d->handle, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW)
        rc = db_error(d, err, "checking the database");
    else if (strcmp(db_column_text(st, 0), "ok") != 0)
        rc = err_set(err, ERR_IO, "the database is damaged: %.200s", db_column_text(st, 0));
    (void)sqlite3_finalize(st);
    if (rc != ERR_OK && atomic_load(&d->interrupted))
        rc = err_set(err, ERR_BUSY, "the server stops");
    return rc;
}

void db_interrupt(struct db *d)
{
    atomic_store(&d->interrupted, true);
    sqlite3_interrupt(d->handle);
}

/* Looks through all of a database that is small enough for the time of a start. */
static enum err_code check_small(struct db *d, bool *ret_unchecked, struct err *err)
{
    int64_t bytes = query_number(d, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    *ret_unchecked = bytes > CHECK_AT_OPEN_MAX;
    return *ret_unchecked ? ERR_OK : db_check(d, err);
}

/* ---- schema ---- */

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

/* ---- connections ---- */

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

/* Counts what a commit has put into the write-ahead log. */
static int on_logged(void *arg, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    ((struct db *)arg)->log_pages = pages;
    return SQLITE_OK;
}

/* Settings that only a writer needs, once there is a schema. */
static enum err_code set_writing(struct db *d, struct err *err)
{
    (void)sqlite3_wal_hook(d->handle, on_logged, d); /* in place of checkpoints inside commits: db_tidy() */
    /* Each mutation of a group can be undone: what that takes would be written to a file, page by page. */
    return exec(d, "PRAGMA temp_store = MEMORY", err, "preparing the database");
}

static enum err_code prepare_for_writing(struct db *d, bool *ret_unchecked, struct err *err)
{
    enum err_code rc = check_small(d, ret_unchecked, err);
    if (rc == ERR_OK && sqlite3_db_readonly(d->handle, "main") == 1)
        rc = err_set(err, ERR_IO, "the database cannot be written");
    if (rc == ERR_OK)
        /* secure_delete: removing a session with a gigabyte of output must not write that gigabyte once more,
         * as some builds of SQLite do by themselves. */
        rc = exec(d,
                  "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
                  "PRAGMA secure_delete = FAST",
                  err, "preparing the database");
    if (rc == ERR_OK)
        rc = migrate(d, err);
    if (rc == ERR_OK)
        rc = set_writing(d, err);
    return rc == ERR_OK ? take_fence(d, err) : rc;
}

enum err_code db_open(const char *dir, struct db **ret, bool *ret_unchecked, struct err *err)
{
    struct db *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    enum err_code rc = open_handle(d, dir, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (rc == ERR_OK)
        rc = prepare_for_writing(d, ret_unchecked, err);
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
