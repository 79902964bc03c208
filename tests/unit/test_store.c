/* The store: what it promises of rows, names, keys, groups, versions, and of databases it must not touch. */
#include "store_world.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static int64_t insert_named(struct world *w, const char *name)
{
    struct store_app app = waiting(name);
    struct answer a = insert(w, &app, NULL);
    if (a.err.code != ERR_OK)
        fail_msg("%s", a.err.msg);
    return a.id;
}

static struct answer update(struct world *w, const struct store_app *app)
{
    struct answer a = {0};
    struct store_note note = {2000, app->state, "because"};
    store_update_app(w->store, app, &note, 1, on_answer, &a);
    await(w, &a.came);
    return a;
}

static struct answer remove_app(struct world *w, int64_t id)
{
    return remove_kind(w, "batch", id);
}

/* What a read brought, copied out of the callback. */
struct found {
    bool came;
    enum err_code code;
    bool exists;
    int64_t version;
    char state[32], name[32], submission[64], facts[64];
    unsigned n_notes;
    char last_state[32], last_reason[32];
};

static void keep(char to[32], const char *text)
{
    (void)snprintf(to, 32, "%s", text != NULL ? text : "(null)");
}

static void on_found(const struct err *err, const struct store_app *app, const struct store_note *notes,
                     unsigned n_notes, void *arg)
{
    struct found *f = arg;
    *f = (struct found){.came = true, .code = err->code, .exists = app != NULL, .n_notes = n_notes};
    if (app == NULL)
        return;
    f->version = app->version;
    keep(f->state, app->state);
    keep(f->name, app->name);
    (void)snprintf(f->submission, sizeof f->submission, "%s", app->submission);
    (void)snprintf(f->facts, sizeof f->facts, "%s", app->facts);
    if (n_notes > 0) {
        keep(f->last_state, notes[n_notes - 1].state);
        keep(f->last_reason, notes[n_notes - 1].reason);
    }
}

static struct found read_app(struct world *w, int64_t id)
{
    struct found f = {0};
    store_read_app(w->store, "batch", id, on_found, &f);
    await(w, &f.came);
    return f;
}

/* ---- rows ---- */

static void ids_count_from_0_and_are_never_used_twice(void **state)
{
    struct world *w = *state;
    assert_int_equal(insert_named(w, NULL), 0);
    assert_int_equal(insert_named(w, NULL), 1);
    assert_int_equal(remove_app(w, 1).err.code, ERR_OK);
    assert_int_equal(insert_named(w, NULL), 2);
    close_store(w);
    open_store(w);
    assert_int_equal(insert_named(w, NULL), 3);
    struct store_app session = waiting(NULL);
    session.kind = "session";
    assert_int_equal(insert(w, &session, NULL).id, 0);
}

static void a_row_is_read_as_it_was_written(void **state)
{
    struct world *w = *state;
    int64_t id = insert_named(w, "etl");
    struct found f = read_app(w, id);
    assert_true(f.exists);
    assert_int_equal(f.version, 1);
    assert_string_equal(f.state, "waiting");
    assert_string_equal(f.name, "etl");
    assert_string_equal(f.submission, "{\"file\":\"/a.py\"}");
    assert_int_equal(f.n_notes, 1);
    assert_string_equal(f.last_reason, "(null)");
}

static void an_update_leaves_the_submission_and_adds_to_the_history(void **state)
{
    struct world *w = *state;
    struct store_app app = waiting("etl");
    app.id = insert(w, &app, NULL).id;
    app.version = 1;
    app.state = "running";
    app.facts = "{\"uiUrl\":\"x\"}";
    app.submission = NULL;
    assert_int_equal(update(w, &app).err.code, ERR_OK);
    struct found f = read_app(w, app.id);
    assert_int_equal(f.version, 2);
    assert_string_equal(f.state, "running");
    assert_string_equal(f.facts, "{\"uiUrl\":\"x\"}");
    assert_string_equal(f.submission, "{\"file\":\"/a.py\"}");
    assert_int_equal(f.n_notes, 2);
    assert_string_equal(f.last_reason, "because");
}

static void a_lost_race_is_told_and_changes_nothing(void **state)
{
    struct world *w = *state;
    struct store_app app = waiting("etl");
    app.id = insert(w, &app, NULL).id;
    app.version = 7;
    app.state = "dead";
    assert_int_equal(update(w, &app).err.code, ERR_CONFLICT);
    struct found f = read_app(w, app.id);
    assert_string_equal(f.state, "waiting");
    assert_int_equal(f.n_notes, 1);
    assert_null(store_trouble(w->store));
}

static void what_is_removed_is_gone(void **state)
{
    struct world *w = *state;
    int64_t id = insert_named(w, "etl");
    assert_int_equal(remove_app(w, id).err.code, ERR_OK);
    struct found f = read_app(w, id);
    assert_false(f.exists);
    assert_int_equal(f.code, ERR_NOT_FOUND);
    assert_int_equal(remove_app(w, id).err.code, ERR_OK); /* twice is no harm */
    (void)insert_named(w, "etl");
}

static void a_name_belongs_to_one_until_that_is_forgotten(void **state)
{
    struct world *w = *state;
    struct store_app app = waiting("etl");
    app.id = insert(w, &app, NULL).id;
    struct answer second = insert(w, &app, NULL);
    assert_int_equal(second.err.code, ERR_CONFLICT);
    assert_int_equal(second.id, app.id);
    struct store_app other = waiting("etl");
    other.kind = "session"; /* has names of its own */
    assert_int_equal(insert(w, &other, NULL).err.code, ERR_OK);
    app.version = 1;
    app.forgotten_ms = 3000;
    assert_int_equal(update(w, &app).err.code, ERR_OK);
    struct store_app third = waiting("etl");
    assert_int_equal(insert(w, &third, NULL).err.code, ERR_OK);
    assert_int_equal(insert_named(w, NULL), 2); /* the refused one took no id */
}

/* ---- keys ---- */

static void the_same_key_finds_the_first_application_again(void **state)
{
    struct world *w = *state;
    struct store_app app = waiting("etl");
    struct store_key key = {"alice", "k1", "digest"};
    struct answer first = insert(w, &app, &key);
    struct answer again = insert(w, &app, &key);
    assert_false(first.replayed);
    assert_int_equal(again.err.code, ERR_OK);
    assert_true(again.replayed);
    assert_int_equal(again.id, first.id);
    close_store(w);
    open_store(w);
    assert_true(insert(w, &app, &key).replayed);
}

static void the_same_key_with_another_request_is_a_mismatch(void **state)
{
    struct world *w = *state;
    struct store_app app = waiting(NULL);
    struct answer first = insert(w, &app, &(struct store_key){"alice", "k1", "digest"});
    struct answer other = insert(w, &app, &(struct store_key){"alice", "k1", "another"});
    assert_int_equal(other.err.code, ERR_MISMATCH);
    assert_int_equal(insert(w, &app, &(struct store_key){"bob", "k1", "another"}).err.code, ERR_OK);
    assert_int_equal(remove_app(w, first.id).err.code, ERR_OK);
    assert_int_equal(insert(w, &app, &(struct store_key){"alice", "k1", "another"}).err.code, ERR_OK);
}

/* ---- rows that were inserted ahead of their request ---- */

static struct answer adopt(struct world *w, const struct store_app *app, const struct store_key *key)
{
    struct answer a = {0};
    struct store_note note = {4000, "running", "given to a request"};
    store_adopt_app(w->store, app, &note, key, on_answer, &a);
    await(w, &a.came);
    return a;
}

/* A row that stands ready, and what a request would make of it. */
static struct store_app stand_ready(struct world *w)
{
    struct store_app app = waiting(NULL);
    app.id = insert(w, &app, NULL).id;
    app.version = 1;
    app.state = "ignored";
    app.name = "notebook";
    app.owner = "bob";
    app.proxy_user = "carol";
    app.submission = "{\"file\":\"/b.py\"}";
    app.facts = "{\"asked\":1}";
    app.memory = 7;
    app.created_ms = 4000;
    return app;
}

static void a_row_that_stood_ready_becomes_the_requests(void **state)
{
    struct world *w = *state;
    struct store_app app = stand_ready(w);
    struct answer a = adopt(w, &app, &(struct store_key){"bob", "k1", "digest"});
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, app.id);
    assert_false(a.replayed);
    struct found f = read_app(w, app.id);
    assert_int_equal(f.version, 2);
    assert_string_equal(f.state, "waiting");
    assert_string_equal(f.name, "notebook");
    assert_string_equal(f.submission, "{\"file\":\"/b.py\"}");
    assert_string_equal(f.facts, "{\"asked\":1}");
    assert_int_equal(f.n_notes, 2);
    assert_string_equal(f.last_state, "running");
    assert_string_equal(f.last_reason, "given to a request");
    assert_string_equal(ask(w, "SELECT owner || ' ' || proxy_user || ' ' || created_ms || ' ' || memory "
                               "FROM application"),
                        "bob carol 4000 1073741824");
    assert_int_equal(insert_named(w, NULL), app.id + 1); /* it took no id */
}

static void a_row_is_adopted_once_for_a_key(void **state)
{
    struct world *w = *state;
    struct store_app first = stand_ready(w);
    struct store_app second = stand_ready(w);
    second.name = NULL;
    struct store_key key = {"bob", "k1", "digest"};
    assert_int_equal(adopt(w, &first, &key).err.code, ERR_OK);
    struct answer again = adopt(w, &second, &key);
    assert_int_equal(again.err.code, ERR_OK);
    assert_true(again.replayed);
    assert_int_equal(again.id, first.id);
    struct answer other = adopt(w, &second, &(struct store_key){"bob", "k1", "another"});
    assert_int_equal(other.err.code, ERR_MISMATCH);
    assert_int_equal(read_app(w, second.id).version, 1);
    struct answer inserted = insert(w, &second, &key); /* both ways of taking a request know its key */
    assert_true(inserted.replayed);
    assert_int_equal(inserted.id, first.id);
}

static void a_row_cannot_be_adopted_with_a_name_that_is_taken(void **state)
{
    struct world *w = *state;
    int64_t owner = insert_named(w, "notebook");
    struct store_app app = stand_ready(w);
    struct store_key key = {"bob", "k1", "digest"};
    struct answer a = adopt(w, &app, &key);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, owner);
    struct found f = read_app(w, app.id);
    assert_int_equal(f.version, 1);
    assert_string_equal(f.name, "(null)");
    assert_int_equal(f.n_notes, 1);
    app.name = "another";
    assert_false(adopt(w, &app, &key).replayed); /* the refused one left no key */
    app.version = 2;
    assert_int_equal(adopt(w, &app, NULL).err.code, ERR_OK); /* its own name is not in its way */
}

static void a_row_that_was_changed_meanwhile_is_not_adopted(void **state)
{
    struct world *w = *state;
    struct store_app app = stand_ready(w);
    struct store_key key = {"bob", "k1", "digest"};
    app.version = 9;
    struct answer a = adopt(w, &app, &key);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, app.id);
    struct found f = read_app(w, app.id);
    assert_string_equal(f.submission, "{\"file\":\"/a.py\"}");
    assert_int_equal(f.n_notes, 1);
    assert_false(insert(w, &app, &key).replayed);
}

/* ---- groups ---- */

enum { MANY = 2000 };

struct crowd {
    unsigned good, refused;
    int64_t last_id;
    bool in_order, came;
};

static void on_one_of_many(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct crowd *c = arg;
    (void)replayed;
    c->good += err->code == ERR_OK;
    c->refused += err->code == ERR_CONFLICT;
    if (err->code == ERR_OK) {
        c->in_order = c->in_order && id > c->last_id;
        c->last_id = id;
    }
    c->came = c->good + c->refused == MANY;
}

static void a_crowd_is_answered_in_order_and_a_refused_one_fails_alone(void **state)
{
    struct world *w = *state;
    struct crowd c = {.last_id = -1, .in_order = true};
    struct store_app plain = waiting(NULL);
    struct store_app named = waiting("the only one");
    for (int i = 0; i < MANY; i++)
        store_insert_app(w->store, i % 100 == 50 ? &named : &plain, &first_note, NULL, on_one_of_many, &c);
    await(w, &c.came);
    assert_int_equal(c.refused, MANY / 100 - 1);
    assert_true(c.in_order);
    assert_int_equal(c.last_id, c.good - 1); /* no id was lost to the refused ones */
}

static void closing_waits_for_all_that_was_asked(void **state)
{
    struct world *w = *state;
    struct crowd c = {.last_id = -1, .in_order = true};
    struct store_app plain = waiting(NULL);
    for (int i = 0; i < MANY; i++)
        store_insert_app(w->store, &plain, &first_note, NULL, on_one_of_many, &c);
    close_store(w);
    assert_int_equal(c.good, MANY);
    open_store(w);
    assert_int_equal(insert_named(w, NULL), MANY);
}

static void a_closed_store_answers_that_it_is_closed(void **state)
{
    struct world *w = *state;
    struct answer a = {0};
    struct found f = {0};
    struct store_app app = waiting(NULL);
    int64_t id = insert_named(w, "etl");
    store_read_app(w->store, "batch", id, on_found, &f); /* under way while it closes */
    store_close(w->store);
    store_insert_app(w->store, &app, &first_note, NULL, on_answer, &a);
    assert_true(a.came);
    assert_int_equal(a.err.code, ERR_BUSY);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    assert_true(f.exists);
    open_store(w);
}

/* ---- loading ---- */

struct loaded {
    unsigned n;
    unsigned with_submission;
    int64_t last_id;
    unsigned stop_at; /* 0: never */
};

static bool on_loaded(const struct store_app *app, void *arg)
{
    struct loaded *l = arg;
    assert_true(app->id > l->last_id);
    l->last_id = app->id;
    l->with_submission += app->submission != NULL;
    return ++l->n != l->stop_at;
}

static void all_rows_are_there_after_opening_again(void **state)
{
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < 20; i++)
        (void)insert_named(w, NULL);
    struct store_app ended = waiting(NULL);
    ended.id = 3;
    ended.version = 1;
    ended.state = "dead";
    ended.ended_ms = 5000;
    assert_int_equal(update(w, &ended).err.code, ERR_OK);
    close_store(w);
    open_store(w);
    struct loaded l = {.last_id = -1};
    assert_int_equal(store_load_apps(w->store, on_loaded, &l, &err), ERR_OK);
    assert_int_equal(l.n, 20);
    assert_int_equal(l.with_submission, 19); /* not of the ended one */
    struct loaded stopped = {.last_id = -1, .stop_at = 5};
    assert_int_equal(store_load_apps(w->store, on_loaded, &stopped, &err), ERR_NOMEM);
    assert_int_equal(stopped.n, 5);
}

/* As at the start of a server that has drivers to take up: their rows are read while the rest is loaded. */
static void rows_are_read_on_workers_while_others_are_loaded(void **state)
{
    enum { READS = 500, LOADS = 200 };
    struct world *w = *state;
    struct err err;
    for (int i = 0; i < 20; i++)
        (void)insert_named(w, NULL);
    close_store(w);
    open_store(w);
    static struct found found[READS];
    memset(found, 0, sizeof found);
    for (int i = 0; i < READS; i++)
        store_read_app(w->store, "batch", i % 20, on_found, &found[i]);
    for (int i = 0; i < LOADS; i++) {
        struct loaded l = {.last_id = -1};
        assert_int_equal(store_load_apps(w->store, on_loaded, &l, &err), ERR_OK);
        assert_int_equal(l.n, 20);
    }
    for (int i = 0; i < READS; i++) {
        await(w, &found[i].came);
        assert_int_equal(found[i].code, ERR_OK);
    }
}

/* ---- the database itself ---- */

static void the_database_is_a_write_ahead_log_for_us_alone(void **state)
{
    struct world *w = *state;
    struct stat st;
    (void)insert_named(w, NULL);
    assert_string_equal(ask(w, "PRAGMA journal_mode"), "wal");
    static const char *const names[] = {"hearth.db", "hearth.db-wal", "hearth.db-shm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(stat(in_world(w, names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

/* What the writer asked its connection for cannot be seen from another one: its own is watched. */
static int remember_pragma(unsigned kind, void *arg, void *statement, void *unused)
{
    char *settings = arg;
    (void)kind;
    (void)unused;
    const char *sql = sqlite3_sql(statement);
    if (sql != NULL && strncmp(sql, "PRAGMA synchronous", 18) == 0)
        (void)snprintf(settings, 64, "%.40s", sql);
    return 0;
}

static char settings_seen[64];

static int watch_connection(sqlite3 *db, const char **error, const void *api)
{
    (void)error;
    (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, remember_pragma, settings_seen);
}

static void every_commit_is_flushed(void **state)
{
    struct world *w = *state;
    close_store(w);
    /* SQLite takes the entry point as a function without arguments and calls it with three. */
    union {
        int (*real)(sqlite3 *, const char **, const void *);
        void (*given)(void);
    } entry = {.real = watch_connection};
    assert_int_equal(sqlite3_auto_extension(entry.given), SQLITE_OK);
    open_store(w);
    assert_int_equal(sqlite3_cancel_auto_extension(entry.given), 1);
    assert_non_null(strstr(settings_seen, "synchronous = FULL"));
}

static void a_second_opener_fences_the_first_one_off(void **state)
{
    struct world *w = *state;
    struct store *first = w->store;
    struct answer late = {0};
    struct store_app app = waiting(NULL);
    open_store(w);
    store_insert_app(first, &app, &first_note, NULL, on_answer, &late);
    await(w, &late.came);
    assert_int_not_equal(late.err.code, ERR_OK);
    assert_non_null(strstr(late.err.msg, "another hearth has taken over"));
    assert_int_equal(insert_named(w, NULL), 0); /* the second one works, and nothing of the first is there */
    store_close(first);
}

/* The whole file. */
static struct buf content(const struct world *w)
{
    struct buf b = BUF(16 << 20);
    assert_int_equal(io_read_file(in_world(w, "hearth.db"), &b, NULL), ERR_OK);
    return b;
}

/* Opening is refused with these words, and the file stays as it was. */
static void expect_refused(struct world *w, enum err_code code, const char *words)
{
    struct err err = {0};
    struct buf before = content(w);
    struct store *s = NULL;
    assert_int_equal(store_open(&w->loop, w->dir, &s, &err), code);
    assert_null(s);
    if (strstr(err.msg, words) == NULL)
        fail_msg("'%s' does not hold '%s'", err.msg, words);
    assert_non_null(strstr(err.msg, w->dir));
    struct buf after = content(w);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.data, before.data, before.len);
    buf_clear(&before);
    buf_clear(&after);
}

static void overwrite(const struct world *w, off_t at, const char *text)
{
    cleanup(io_closep) int fd = open(in_world(w, "hearth.db"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
}

static void restore(struct world *w, const struct buf *good)
{
    assert_int_equal(io_replace_file(in_world(w, "hearth.db"), good->data, good->len, 0600, NULL), ERR_OK);
    open_store(w);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    struct world *w = *state;
    close_store(w);
    struct buf good = content(w);
    assert_string_equal(ask(w, "PRAGMA user_version = 9999"), "");
    expect_refused(w, ERR_CONFLICT, "written by a newer hearth");
    restore(w, &good);
    buf_clear(&good);
}

static void a_file_that_is_no_database_is_refused_and_left_alone(void **state)
{
    struct world *w = *state;
    close_store(w);
    struct buf good = content(w);
    overwrite(w, 0, "this is not the header of a database");
    expect_refused(w, ERR_IO, "not a database");
    restore(w, &good);
    buf_clear(&good);
}

static void a_damaged_database_is_refused_and_left_alone(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 200; i++)
        (void)insert_named(w, NULL);
    close_store(w);
    struct buf good = content(w);
    for (off_t page = 1; (size_t)page * 4096 < good.len; page++) /* all but the first: header and schema */
        overwrite(w, page * 4096, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    expect_refused(w, ERR_IO, "");
    restore(w, &good);
    buf_clear(&good);
}

/* A database that is too large to be looked through while the server starts. */
static void make_large(struct world *w)
{
    close_store(w);
    assert_string_equal(ask(w, "PRAGMA journal_mode = OFF"), "off");
    assert_string_equal(ask(w, "CREATE TABLE ballast (bytes BLOB)"), "");
    assert_string_equal(ask(w,
                            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130) "
                            "INSERT INTO ballast SELECT zeroblob(1 << 20) FROM n"),
                        "");
}

/* Opens the store with its log going to a file until that holds the words. */
static void open_until_logged(struct world *w, const char *words)
{
    int standard_error = dup(STDERR_FILENO);
    int fd = open(in_world(w, "log"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(standard_error >= 0 && fd >= 0);
    (void)dup2(fd, STDERR_FILENO);
    struct err err;
    enum err_code rc = store_open(&w->loop, w->dir, &w->store, &err);
    bool logged = false;
    while (rc == ERR_OK && !logged && uv_loop_alive(&w->loop)) {
        struct buf text = BUF(1 << 16);
        (void)uv_run(&w->loop, UV_RUN_ONCE); /* the end of the check wakes it */
        logged =
            io_read_file(in_world(w, "log"), &text, NULL) == ERR_OK && strstr(buf_cstr(&text), words) != NULL;
        buf_clear(&text);
    }
    (void)dup2(standard_error, STDERR_FILENO);
    (void)close(standard_error);
    (void)close(fd);
    assert_int_equal(rc, ERR_OK);
    assert_true(logged);
}

static void a_large_database_is_checked_while_the_server_runs(void **state)
{
    struct world *w = *state;
    make_large(w);
    open_until_logged(w, "the database was checked: no damage");
    assert_int_equal(insert_named(w, "n"), 0);
    close_store(w);
    overwrite(w, 64L << 20, "\xff\xff\xff\xff"); /* a page says where the next one is */
    open_until_logged(w, "the database is damaged: stop the server and restore a backup");
    assert_int_equal(insert_named(w, "m"), 1); /* what is whole goes on */
}

static void closing_interrupts_a_check(void **state)
{
    struct world *w = *state;
    make_large(w);
    for (int i = 0; i < 3; i++) {
        open_store(w);
        close_store(w);
    }
    open_store(w);
}

static void what_cannot_be_written_is_refused(void **state)
{
    struct world *w = *state;
    if (geteuid() != 0)
        skip(); /* the other user is one that only root can become */
    close_store(w);
    assert_int_equal(chmod(w->dir, 0555), 0);
    assert_int_equal(chmod(in_world(w, "hearth.db"), 0444), 0);
    pid_t child = fork();
    if (child == 0) {
        struct err err = {0};
        struct store *s = NULL;
        if (setresuid(NOBODY, NOBODY, NOBODY) != 0)
            _exit(2);
        enum err_code rc = store_open(&w->loop, w->dir, &s, &err);
        _exit(rc == ERR_IO && strstr(err.msg, w->dir) != NULL ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(w->dir, 0700), 0);
    assert_int_equal(chmod(in_world(w, "hearth.db"), 0600), 0);
    open_store(w);
}

static void a_folder_that_does_not_exist_is_refused(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct store *s = NULL;
    assert_int_equal(store_open(&w->loop, "/no/such/folder", &s, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "/no/such/folder"));
}

/* ---- memory ---- */

static void opening_survives_every_failing_allocation(void **state)
{
    struct world *w = *state;
    close_store(w);
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct err err;
        mem_fail_at(n);
        rc = store_open(&w->loop, w->dir, &w->store, &err);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (w->store != NULL));
        if (rc != ERR_OK)
            assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(rc, ERR_OK);
}

static void mutations_and_reads_survive_every_failing_allocation(void **state)
{
    struct world *w = *state;
    struct store_app app = waiting(NULL);
    long live = mem_live();
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        struct answer a = insert(w, &app, NULL);
        mem_fail_at(0);
        rc = a.err.code;
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        struct found f = read_app(w, 0);
        mem_fail_at(0);
        rc = f.code;
        assert_true(f.exists == (rc == ERR_OK));
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_count_from_0_and_are_never_used_twice),
        TEST(a_row_is_read_as_it_was_written),
        TEST(an_update_leaves_the_submission_and_adds_to_the_history),
        TEST(a_lost_race_is_told_and_changes_nothing),
        TEST(what_is_removed_is_gone),
        TEST(a_name_belongs_to_one_until_that_is_forgotten),
        TEST(the_same_key_finds_the_first_application_again),
        TEST(the_same_key_with_another_request_is_a_mismatch),
        TEST(a_row_that_stood_ready_becomes_the_requests),
        TEST(a_row_is_adopted_once_for_a_key),
        TEST(a_row_cannot_be_adopted_with_a_name_that_is_taken),
        TEST(a_row_that_was_changed_meanwhile_is_not_adopted),
        TEST(a_crowd_is_answered_in_order_and_a_refused_one_fails_alone),
        TEST(closing_waits_for_all_that_was_asked),
        TEST(a_closed_store_answers_that_it_is_closed),
        TEST(all_rows_are_there_after_opening_again),
        TEST(rows_are_read_on_workers_while_others_are_loaded),
        TEST(the_database_is_a_write_ahead_log_for_us_alone),
        TEST(every_commit_is_flushed),
        TEST(a_second_opener_fences_the_first_one_off),
        TEST(a_newer_schema_is_refused_and_left_alone),
        TEST(a_file_that_is_no_database_is_refused_and_left_alone),
        TEST(a_damaged_database_is_refused_and_left_alone),
        TEST(a_large_database_is_checked_while_the_server_runs),
        TEST(closing_interrupts_a_check),
        TEST(what_cannot_be_written_is_refused),
        TEST(a_folder_that_does_not_exist_is_refused),
        TEST(opening_survives_every_failing_allocation),
        TEST(mutations_and_reads_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
