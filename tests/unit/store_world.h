/* What the tests of the store share: a folder with a store of its own for every test, and calls that wait for
 * their answer. */
#ifndef HEARTH_TESTS_STORE_WORLD_H
#define HEARTH_TESTS_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "store/db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct world {
    char dir[64];
    uv_loop_t loop;
    struct store *store;
};

static inline char *in_world(const struct world *w, const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", w->dir, name);
    return path;
}

static inline void world_init(struct world *w)
{
    *w = (struct world){.dir = "/tmp/hearth-store-XXXXXX"};
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(uv_loop_init(&w->loop), 0);
}

static inline void open_store(struct world *w)
{
    struct err err;
    if (store_open(&w->loop, w->dir, &w->store, &err) != ERR_OK)
        fail_msg("%s", err.msg);
}

static inline void close_store(struct world *w)
{
    store_close(w->store);
    w->store = NULL;
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
}

extern const char *const store_schema[];

/* Leaves the database that a hearth with so many steps of the schema has written: `rows` and `more` are SQL.
 */
static inline void make_old_database(struct world *w, unsigned steps, const char *rows, const char *more)
{
    sqlite3 *db = NULL;
    char version[48];
    (void)snprintf(version, sizeof version, "PRAGMA user_version = %u", steps);
    close_store(w);
    assert_int_equal(io_remove_tree(in_world(w, "hearth.db"), NULL), ERR_OK);
    assert_int_equal(sqlite3_open(in_world(w, "hearth.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL), SQLITE_OK);
    for (unsigned i = 0; i < steps; i++)
        assert_int_equal(sqlite3_exec(db, store_schema[i], NULL, NULL, NULL), SQLITE_OK);
    const char *const texts[] = {version, rows, more};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(sqlite3_exec(db, texts[i], NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    world_init(w);
    open_store(w);
    *state = w;
    return 0;
}

static inline int end(void **state)
{
    struct world *w = *state;
    mem_fail_at(0);
    close_store(w);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(io_remove_tree(w->dir, NULL), ERR_OK);
    free(w);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* The first column of a query on a connection of our own; "" when no row comes. */
static inline char *ask(const struct world *w, const char *sql)
{
    static char text[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(in_world(w, "hearth.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    int rc = sqlite3_step(st);
    (void)snprintf(text, sizeof text, "%s", rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : "");
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return text;
}

/* ---- calls that wait for their answer ---- */

struct answer {
    bool came;
    struct err err;
    int64_t id;
    bool replayed;
};

static inline void on_answer(const struct err *err, int64_t id, bool replayed, void *arg)
{
    *(struct answer *)arg = (struct answer){.came = true, .err = *err, .id = id, .replayed = replayed};
}

static inline void await(struct world *w, const bool *came)
{
    while (!*came)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
}

static inline struct store_app waiting(const char *name)
{
    return (struct store_app){
        .kind = "batch",
        .state = "waiting",
        .name = name,
        .owner = "alice",
        .submission = "{\"file\":\"/a.py\"}",
        .facts = "{}",
        .memory = 1 << 30,
        .created_ms = 1000,
    };
}

static const struct store_note first_note = {1000, "waiting", NULL};

static inline struct answer insert(struct world *w, const struct store_app *app, const struct store_key *key)
{
    struct answer a = {0};
    store_insert_app(w->store, app, &first_note, key, on_answer, &a);
    await(w, &a.came);
    return a;
}

static inline struct answer remove_kind(struct world *w, const char *kind, int64_t id)
{
    struct answer a = {0};
    store_remove_app(w->store, kind, id, on_answer, &a);
    await(w, &a.came);
    return a;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
