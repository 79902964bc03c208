/* The store: schedules, and databases that did not know of them. */
#include "schedule_rows.h"

/* ---- rows ---- */

static void ids_count_from_0_and_are_never_used_twice(void **state)
{
    struct world *w = *state;
    assert_int_equal(insert_due(w, "a", "x", 0, 5), 0);
    assert_int_equal(insert_due(w, "a", "y", 0, 5), 1);
    assert_int_equal(remove_schedule(w, 1).err.code, ERR_OK);
    close_store(w);
    open_store(w);
    assert_int_equal(insert_due(w, "a", "y", 0, 5), 2);
}

static bool compare_row(const struct store_schedule *s, void *arg)
{
    const struct store_schedule *e = arg;
    assert_int_equal(s->id, e->id);
    assert_int_equal(s->version, e->version);
    assert_string_equal(s->group, e->group);
    assert_string_equal(s->name, e->name);
    assert_string_equal(s->owner, e->owner);
    assert_string_equal(s->proxy_user, e->proxy_user);
    assert_string_equal(s->door, e->door);
    assert_string_equal(s->state, e->state);
    assert_string_equal(s->spec, e->spec);
    assert_string_equal(s->progress, e->progress);
    assert_int_equal(s->priority, e->priority);
    assert_int_equal(s->due_ms, e->due_ms);
    assert_int_equal(s->fires, e->fires);
    assert_int_equal(s->created_ms, e->created_ms);
    assert_int_equal(s->changed_ms, e->changed_ms);
    return true;
}

static void expect_row(struct world *w, struct store_schedule expected)
{
    struct visited v = {0};
    const struct store_schedules which = {.ids = &expected.id, .n_ids = 1, .max = -1};
    store_read_schedules(w->store, &which, compare_row, &expected, on_visited, &v);
    await(w, &v.answer.came);
    assert_int_equal(v.answer.err.code, ERR_OK);
    assert_int_equal(v.answer.id, 1);
}

static void a_row_is_read_as_it_was_written(void **state)
{
    struct world *w = *state;
    struct store_schedule row = {
        .group = "reports",
        .name = "nightly",
        .owner = "alice",
        .proxy_user = "bob",
        .door = "provisioner",
        .state = "active",
        .spec = "{\"cron\":\"x\"}",
        .progress = "{\"next\":1}",
        .priority = 7,
        .due_ms = 11,
        .fires = 0,
        .created_ms = 12,
        .changed_ms = 13,
    };
    assert_int_equal(insert_schedule(w, &row).err.code, ERR_OK);
    row.version = 1;
    expect_row(w, row);

    struct store_schedule changed = {
        .version = 1,
        .group = "other",
        .name = "daily",
        .owner = "carol",
        .proxy_user = "dan",
        .door = "rest",
        .state = "paused",
        .spec = "{}",
        .progress = "{\"next\":2}",
        .priority = 1,
        .due_ms = 21,
        .fires = 99,
        .created_ms = 22,
        .changed_ms = 23,
    };
    struct answer a = update_schedule(w, &changed);
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, 0);
    changed.version = 2;
    changed.fires = 0; /* not written */
    changed.created_ms = 12;
    close_store(w);
    open_store(w);
    expect_row(w, changed);
}

static void a_name_is_unique_in_its_group(void **state)
{
    struct world *w = *state;
    (void)insert_due(w, "a", "x", 0, 5);
    (void)insert_due(w, "b", "x", 0, 5);
    const struct store_schedule twin = schedule_row("b", "x");
    struct answer a = insert_schedule(w, &twin);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, 1);
    assert_string_equal(a.err.msg, "the name 'x' in the group 'b' belongs to schedule 1");
    struct store_schedule moved = schedule_row("b", "x");
    moved.version = 1; /* of schedule 0 */
    a = update_schedule(w, &moved);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, 1);
    assert_int_equal(remove_schedule(w, 1).err.code, ERR_OK);
    assert_int_equal(update_schedule(w, &moved).err.code, ERR_OK);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1}, "0:b/x ", 1);
}

static void a_lost_race_is_told_and_changes_nothing(void **state)
{
    struct world *w = *state;
    (void)insert_due(w, "a", "x", 0, 5);
    struct store_schedule row = schedule_row("a", "y");
    row.version = 7;
    struct answer a = update_schedule(w, &row);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    assert_int_equal(a.id, 0);
    assert_string_equal(a.err.msg, "schedule 0 has version 1 by now, not 7");
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1}, "0:a/x ", 1);
}

static void what_is_gone_cannot_be_changed_or_removed(void **state)
{
    struct world *w = *state;
    struct store_schedule row = schedule_row("a", "x");
    row.version = 1;
    struct answer a = update_schedule(w, &row);
    assert_int_equal(a.err.code, ERR_NOT_FOUND);
    assert_string_equal(a.err.msg, "there is no schedule 0");
    a = remove_schedule(w, 3);
    assert_int_equal(a.err.code, ERR_NOT_FOUND);
    assert_string_equal(a.err.msg, "there is no schedule 3");
}

static void a_refused_one_leaves_no_trace_among_the_others(void **state)
{
    struct world *w = *state;
    struct answer a[3] = {0};
    const char *const names[] = {"x", "x", "y"};
    for (size_t i = 0; i < 3; i++) { /* all wait together */
        const struct store_schedule row = schedule_row("a", names[i]);
        store_insert_schedule(w->store, &row, on_answer, &a[i]);
    }
    await(w, &a[2].came);
    assert_int_equal(a[0].id, 0);
    assert_int_equal(a[1].err.code, ERR_CONFLICT);
    assert_int_equal(a[2].id, 1); /* no id was used up */
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1}, "0:a/x 1:a/y ", 2);
}

/* ---- reading ---- */

static void fill(struct world *w)
{
    (void)insert_due(w, "b", "late", 900, 5); /* 0 */
    (void)insert_due(w, "a", "soon", 100, 1); /* 1 */
    (void)insert_due(w, "a", "also", 100, 9); /* 2 */
    (void)insert_due(w, "a", "not", 0, 5);    /* 3 */
    struct store_schedule row = schedule_row("b", "mine");
    row.door = "provisioner";
    row.due_ms = 100;
    row.priority = 9;
    assert_int_equal(insert_schedule(w, &row).id, 4);
}

static void lists_come_by_id_in_pages(void **state)
{
    struct world *w = *state;
    fill(w);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1},
                     "0:b/late 1:a/soon 2:a/also 3:a/not 4:b/mine ", 5);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = 2}, "0:b/late 1:a/soon ", 5);
    expect_schedules(w, (struct store_schedules){.after_id = 1, .max = 2}, "2:a/also 3:a/not ", 5);
    expect_schedules(w, (struct store_schedules){.after_id = 3, .max = 2}, "4:b/mine ", 5);
    expect_schedules(w, (struct store_schedules){.after_id = 4, .max = 2}, "", 5);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = 0}, "", 5);
}

static void lists_come_by_name(void **state)
{
    struct world *w = *state;
    fill(w);
    expect_schedules(w, (struct store_schedules){.after_id = 99, .max = -1, .by_name = true},
                     "2:a/also 3:a/not 1:a/soon 0:b/late 4:b/mine ", 5);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = 1, .by_name = true, .group = "b"},
                     "0:b/late ", 2);
    expect_schedules(w, (struct store_schedules){.max = 2, .from = 1, .by_name = true}, "3:a/not 1:a/soon ",
                     5);
}

static void lists_come_newest_first(void **state)
{
    struct world *w = *state;
    fill(w);
    expect_schedules(w, (struct store_schedules){.after_id = 99, .max = 2, .newest_first = true},
                     "4:b/mine 3:a/not ", 5);
    expect_schedules(w, (struct store_schedules){.max = -1, .from = 3, .newest_first = true},
                     "1:a/soon 0:b/late ", 5);
    expect_schedules(w, (struct store_schedules){.max = 9, .from = 1, .newest_first = true, .group = "a"},
                     "2:a/also 1:a/soon ", 3);
    expect_schedules(w, (struct store_schedules){.max = 9, .from = 5, .newest_first = true}, "", 5);
}

static void lists_are_narrowed_by_group_name_and_door(void **state)
{
    struct world *w = *state;
    fill(w);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1, .group = "a"},
                     "1:a/soon 2:a/also 3:a/not ", 3);
    expect_schedules(w, (struct store_schedules){.after_id = 1, .max = 1, .group = "a"}, "2:a/also ", 3);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1, .group = "a", .name = "soon"},
                     "1:a/soon ", 1);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = 1, .name = "late"}, "0:b/late ", 1);
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1, .door = "provisioner"},
                     "4:b/mine ", 1);
    expect_schedules(w,
                     (struct store_schedules){
                         .after_id = -1, .max = -1, .group = "a", .door = "provisioner", .by_name = true},
                     "", 0);
}

static void given_ids_come_in_their_order_without_those_that_are_gone(void **state)
{
    struct world *w = *state;
    fill(w);
    int64_t ids[] = {4, 77, 0, -1, 2};
    struct visited v = {0};
    struct store_schedules which = {.ids = ids, .n_ids = 5};
    store_read_schedules(w->store, &which, see_name, &v, on_visited, &v);
    memset(ids, 0, sizeof ids); /* it has a copy */
    await(w, &v.answer.came);
    assert_string_equal(v.text, "4:b/mine 0:b/late 2:a/also ");
    assert_int_equal(v.answer.id, 3);
    which.n_ids = 0;
    expect_schedules(w, which, "", 0);
}

static void those_due_soon_come_in_the_order_of_firing(void **state)
{
    struct world *w = *state;
    fill(w);
    expect_schedules(w, (struct store_schedules){.after_id = 99, .max = -1, .due_before_ms = 900},
                     "2:a/also 4:b/mine 1:a/soon ", 3);
    expect_schedules(w, (struct store_schedules){.max = 1, .due_before_ms = 901, .group = "b"}, "4:b/mine ",
                     1);
    expect_schedules(w, (struct store_schedules){.max = -1, .due_before_ms = 100}, "", 0);
}

static void those_due_soon_go_on_behind_any_of_them(void **state)
{
    struct world *w = *state;
    fill(w);
    struct store_schedules which = {.max = 2, .due_before_ms = 901, .behind = {100, 9, 2}};
    expect_schedules(w, which, "4:b/mine 1:a/soon ", 2);
    which.behind = (struct store_place){100, 9, 4};
    expect_schedules(w, which, "1:a/soon 0:b/late ", 2);
    which.behind = (struct store_place){100, 1, 1};
    expect_schedules(w, which, "0:b/late ", 1);
    which.behind = (struct store_place){900, 5, 0};
    expect_schedules(w, which, "", 0);
}

static void a_visitor_that_has_enough_stops_the_read(void **state)
{
    struct world *w = *state;
    fill(w);
    struct visited v = read_schedules(w, &(struct store_schedules){.after_id = -1, .max = -1}, 2);
    assert_int_equal(v.answer.err.code, ERR_OK);
    assert_string_equal(v.text, "0:b/late 1:a/soon ");
    assert_int_equal(v.answer.id, 5);
}

struct dues {
    char text[256];
    int stop_after, n;
};

static bool on_due(const struct store_due *due, void *arg)
{
    struct dues *dues = arg;
    size_t used = strlen(dues->text);
    (void)snprintf(dues->text + used, sizeof dues->text - used, "%d@%d/%d ", (int)due->id, (int)due->due_ms,
                   (int)due->priority);
    return ++dues->n != dues->stop_after;
}

static void the_start_learns_what_is_due(void **state)
{
    struct world *w = *state;
    struct err err;
    fill(w);
    struct dues all = {0};
    int64_t count = -1;
    assert_int_equal(store_count_schedules(w->store, &count, &err), ERR_OK);
    assert_int_equal(count, 5);
    assert_int_equal(store_load_due(w->store, on_due, &all, &err), ERR_OK);
    assert_string_equal(all.text, "2@100/9 4@100/9 1@100/1 0@900/5 ");
    struct dues some = {.stop_after = 2};
    assert_int_equal(store_load_due(w->store, on_due, &some, &err), ERR_NOMEM);
    assert_string_equal(some.text, "2@100/9 4@100/9 ");
}

/* SQLite's plan for a query, as one text. */
static char *plan_of(const struct world *w, const char *sql)
{
    static char text[512];
    char *explained = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    text[0] = '\0';
    assert_int_equal(sqlite3_open(in_world(w, "hearth.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, explained, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s; ",
                       (const char *)sqlite3_column_text(st, 3));
    sqlite3_free(explained);
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return text;
}

/* A million of them: nothing may be sorted, and counting must not read the long rows. */
static void long_lists_need_indexes_alone(void **state)
{
    struct world *w = *state;
    assert_non_null(
        strstr(plan_of(w, "SELECT id, due_ms, priority, steady FROM schedule INDEXED BY schedule_due "
                          "WHERE due_ms > 0 ORDER BY due_ms, priority DESC, id"),
               "USING COVERING INDEX schedule_due (due_ms>?); "));
    assert_string_equal(plan_of(w, "SELECT spec FROM schedule INDEXED BY schedule_due "
                                   "WHERE due_ms > 0 AND due_ms < ?4 ORDER BY due_ms, priority DESC, id"),
                        "SEARCH schedule USING INDEX schedule_due (due_ms>? AND due_ms<?); ");
    assert_string_equal(
        plan_of(w, "SELECT spec FROM schedule WHERE 1 AND group_name = ?1 AND id > ?5 ORDER BY id"),
        "SEARCH schedule USING INDEX schedule_group (group_name=? AND rowid>?); ");
    assert_string_equal(plan_of(w, "SELECT spec FROM schedule WHERE 1 AND door = ?3 AND id > ?5 ORDER BY id"),
                        "SEARCH schedule USING INDEX schedule_door (door=? AND rowid>?); ");
    assert_string_equal(plan_of(w, "SELECT spec FROM schedule WHERE 1 ORDER BY group_name, name"),
                        "SCAN schedule USING INDEX schedule_name; ");
    assert_non_null(
        strstr(plan_of(w, "SELECT spec FROM schedule WHERE id IN (SELECT id FROM schedule INDEXED BY "
                          "schedule_id WHERE 1 ORDER BY id DESC LIMIT 9 OFFSET 99) ORDER BY id DESC"),
               "SCAN schedule USING COVERING INDEX schedule_id; "));
    assert_non_null(
        strstr(plan_of(w, "SELECT spec FROM schedule WHERE id IN (SELECT id FROM schedule WHERE 1 "
                          "ORDER BY group_name, name LIMIT 9 OFFSET 99) ORDER BY group_name, name"),
               "SCAN schedule USING COVERING INDEX schedule_name; "));
    assert_non_null(strstr(plan_of(w, "SELECT count(*) FROM schedule WHERE 1 AND door = ?3"), "COVERING"));
    assert_non_null(
        strstr(plan_of(w, "SELECT count(*) FROM schedule WHERE 1 AND group_name = ?1"), "COVERING"));
    assert_non_null(strstr(plan_of(w, "SELECT count(*) FROM schedule WHERE 1"), "COVERING"));
}

/* ---- several at once ---- */

enum { CROWD = 200 };

static void readers_and_writers_do_not_wait_for_each_other(void **state)
{
    struct world *w = *state;
    static struct answer written[CROWD];
    static struct visited seen[CROWD];
    memset(written, 0, sizeof written);
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < CROWD; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        const struct store_schedule row = schedule_row("crowd", name);
        store_insert_schedule(w->store, &row, on_answer, &written[i]);
        store_read_schedules(w->store, &(struct store_schedules){.after_id = -1, .max = 3}, see_name,
                             &seen[i], on_visited, &seen[i]);
    }
    for (int i = 0; i < CROWD; i++) {
        await(w, &written[i].came);
        await(w, &seen[i].answer.came);
        assert_int_equal(written[i].id, i);
        assert_int_equal(seen[i].answer.err.code, ERR_OK);
        assert_int_equal(seen[i].n, seen[i].answer.id < 3 ? seen[i].answer.id : 3); /* of one moment */
    }
}

struct slow {
    uv_sem_t go_on, began;
    bool first;
};

static bool wait_at_the_first(const struct store_schedule *s, void *arg)
{
    struct slow *slow = arg;
    (void)s;
    if (slow->first) {
        slow->first = false;
        uv_sem_post(&slow->began);
        uv_sem_wait(&slow->go_on);
    }
    return true;
}

static void what_is_due_does_not_wait_for_lists(void **state)
{
    struct world *w = *state;
    struct slow slow = {.first = true};
    enum { LISTS = 10 }; /* more than there are workers */
    static struct visited lists[LISTS];
    memset(lists, 0, sizeof lists);
    fill(w);
    assert_int_equal(uv_sem_init(&slow.go_on, 0), 0);
    assert_int_equal(uv_sem_init(&slow.began, 0), 0);
    for (int i = 0; i < LISTS; i++)
        store_read_schedules(w->store, &(struct store_schedules){.after_id = -1, .max = -1},
                             wait_at_the_first, &slow, on_visited, &lists[i]);
    uv_sem_wait(&slow.began);
    const int64_t id = 1;
    expect_schedules(w, (struct store_schedules){.ids = &id, .n_ids = 1}, "1:a/soon ", 1);
    assert_false(lists[0].answer.came);
    uv_sem_post(&slow.go_on);
    for (int i = 0; i < LISTS; i++) {
        await(w, &lists[i].answer.came);
        assert_int_equal(lists[i].answer.id, 5);
    }
    uv_sem_destroy(&slow.go_on);
    uv_sem_destroy(&slow.began);
}

static void closing_lets_reads_come_back(void **state)
{
    struct world *w = *state;
    struct visited v[3] = {0};
    fill(w);
    for (int i = 0; i < 3; i++)
        store_read_schedules(w->store, &(struct store_schedules){.after_id = -1, .max = -1}, see_name, &v[i],
                             on_visited, &v[i]);
    close_store(w);
    for (int i = 0; i < 3; i++) {
        assert_true(v[i].answer.came);
        assert_int_equal(v[i].n, 5);
    }
    open_store(w);
}

/* ---- databases of an older hearth ---- */

/* Leaves a database as the third schema had it, with an application. */
static void make_third_schema(struct world *w, const char *more)
{
    make_old_database(
        w, 3,
        "INSERT INTO node VALUES ('main', 4);"
        "INSERT INTO counter VALUES ('batch', 8);"
        "INSERT INTO application VALUES ('batch', 7, 1, 'main', 'success', 'n', NULL, NULL, NULL, NULL, "
        "'{}', "
        "'{}', 0, 0, 0, 4, 0, 5, 0)",
        more);
}

static void a_database_of_the_third_schema_is_upgraded_in_place(void **state)
{
    struct world *w = *state;
    make_third_schema(w, "");
    open_store(w);
    assert_string_equal(ask(w, "PRAGMA user_version"), "4");
    assert_string_equal(ask(w, "SELECT fence FROM node"), "5");
    assert_string_equal(ask(w, "SELECT name FROM application WHERE id = 7"), "n");
    assert_int_equal(insert_due(w, "a", "x", 0, 5), 0);
    const struct store_app app = waiting("m");
    assert_int_equal(insert(w, &app, NULL).id, 8);
    close_store(w);
    open_store(w); /* is not upgraded twice */
    expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1}, "0:a/x ", 1);
}

static void an_upgrade_that_fails_leaves_the_third_schema(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    make_third_schema(w, "CREATE TABLE token (mine INTEGER)"); /* the last table of the step */
    assert_int_equal(store_open(&w->loop, w->dir, &w->store, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "upgrading the database"));
    assert_string_equal(ask(w, "PRAGMA user_version"), "3");
    assert_string_equal(ask(w, "SELECT count(*) FROM sqlite_schema WHERE name = 'schedule'"), "0");
    assert_string_equal(ask(w, "DROP TABLE token"), "");
    open_store(w);
    assert_string_equal(ask(w, "PRAGMA user_version"), "4");
}

/* ---- memory ---- */

static void schedules_survive_failing_allocations(void **state)
{
    struct world *w = *state;
    const struct store_schedule row = schedule_row("a", "x");
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        rc = insert_schedule(w, &row).err.code;
        mem_fail_at(0);
        expect_schedules(w, (struct store_schedules){.after_id = -1, .max = -1}, rc == ERR_OK ? "0:a/x " : "",
                         rc == ERR_OK);
    }
    assert_int_equal(rc, ERR_OK);
    rc = ERR_NOMEM;
    const int64_t ids[] = {0};
    const struct store_schedules pages[] = {{.after_id = -1, .max = 1, .group = "a"},
                                            {.ids = ids, .n_ids = 1}};
    for (size_t i = 0; i < 2; i++) {
        rc = ERR_NOMEM;
        for (long n = 1; rc == ERR_NOMEM; n++) {
            mem_fail_at(n);
            struct visited v = read_schedules(w, &pages[i], 0);
            mem_fail_at(0);
            rc = v.answer.err.code;
            assert_string_equal(v.text, rc == ERR_OK || v.n > 0 ? "0:a/x " : "");
        }
        assert_int_equal(rc, ERR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_count_from_0_and_are_never_used_twice),
        TEST(a_row_is_read_as_it_was_written),
        TEST(a_name_is_unique_in_its_group),
        TEST(a_lost_race_is_told_and_changes_nothing),
        TEST(what_is_gone_cannot_be_changed_or_removed),
        TEST(a_refused_one_leaves_no_trace_among_the_others),
        TEST(lists_come_by_id_in_pages),
        TEST(lists_come_by_name),
        TEST(lists_come_newest_first),
        TEST(lists_are_narrowed_by_group_name_and_door),
        TEST(given_ids_come_in_their_order_without_those_that_are_gone),
        TEST(those_due_soon_come_in_the_order_of_firing),
        TEST(those_due_soon_go_on_behind_any_of_them),
        TEST(a_visitor_that_has_enough_stops_the_read),
        TEST(the_start_learns_what_is_due),
        TEST(long_lists_need_indexes_alone),
        TEST(readers_and_writers_do_not_wait_for_each_other),
        TEST(what_is_due_does_not_wait_for_lists),
        TEST(closing_lets_reads_come_back),
        TEST(a_database_of_the_third_schema_is_upgraded_in_place),
        TEST(an_upgrade_that_fails_leaves_the_third_schema),
        TEST(schedules_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
