/* The store: offers of Spark to clients, and databases that did not know of them. */
#include "store_world.h"

#include <string.h>

static struct answer put(struct world *w, const char *name, int64_t version, const char *units)
{
    struct answer a = {0};
    const struct store_offer offer = {
        .name = name, .version = version, .updated_ms = version * 1000, .units = units};
    store_put_offer(w->store, &offer, on_answer, &a);
    await(w, &a.came);
    return a;
}

struct seen {
    char text[256];
    int stop_after; /* 0: never */
    int n;
};

static bool on_offer(const struct store_offer *offer, void *arg)
{
    struct seen *seen = arg;
    size_t used = strlen(seen->text);
    (void)snprintf(seen->text + used, sizeof seen->text - used, "%s:%d:%d:%s ", offer->name,
                   (int)offer->version, (int)offer->updated_ms, offer->units);
    return ++seen->n != seen->stop_after;
}

static void expect_offers(struct world *w, const char *expected)
{
    struct seen seen = {0};
    struct err err;
    assert_int_equal(store_load_offers(w->store, on_offer, &seen, &err), ERR_OK);
    assert_string_equal(seen.text, expected);
}

static void offers_are_kept_by_name(void **state)
{
    struct world *w = *state;
    expect_offers(w, "");
    assert_int_equal(put(w, "west", 1, "[1]").err.code, ERR_OK);
    assert_int_equal(put(w, "east", 1, "[2]").err.code, ERR_OK);
    assert_int_equal(put(w, "west", 2, "[]").err.code, ERR_OK);
    assert_int_equal(put(w, "west", 2, "[3]").err.code, ERR_OK); /* a lease: the version stays */
    close_store(w);
    open_store(w);
    expect_offers(w, "east:1:1000:[2] west:2:2000:[3] ");
}

static void a_version_never_falls(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "main", 7, "[]").err.code, ERR_OK);
    struct answer older = put(w, "main", 6, "[6]");
    assert_int_equal(older.err.code, ERR_CONFLICT);
    assert_non_null(strstr(older.err.msg, "offer 'main' is stored with a version above 6"));
    expect_offers(w, "main:7:7000:[] ");
}

static void a_reader_may_stop(void **state)
{
    struct world *w = *state;
    struct seen seen = {.stop_after = 1};
    struct err err;
    (void)put(w, "a", 1, "[]");
    (void)put(w, "b", 1, "[]");
    assert_int_equal(store_load_offers(w->store, on_offer, &seen, &err), ERR_NOMEM);
    assert_string_equal(seen.text, "a:1:1000:[] ");
    expect_offers(w, "a:1:1000:[] b:1:1000:[] ");
}

static void a_closed_store_refuses_offers(void **state)
{
    struct world *w = *state;
    struct answer a = {0};
    const struct store_offer offer = {.name = "main", .version = 1, .units = "[]"};
    struct store *closing = w->store;
    store_close(closing);
    store_put_offer(closing, &offer, on_answer, &a); /* it is freed when the loop has run empty */
    assert_true(a.came);
    assert_int_equal(a.err.code, ERR_BUSY);
    w->store = NULL;
}

/* ---- databases of an older hearth ---- */

/* Leaves a database as the second schema had it, with a session and a statement of it. */
static void make_second_schema(struct world *w, const char *more)
{
    make_old_database(
        w, 2,
        "INSERT INTO node VALUES ('main', 9);"
        "INSERT INTO counter VALUES ('session', 3);"
        "INSERT INTO application VALUES ('session', 2, 1, 'main', 'waiting', NULL, NULL, NULL, NULL, NULL, "
        "'{}', "
        "'{}', 0, 0, 0, 4, 0, 0, 0);"
        "INSERT INTO item VALUES (1, 2, 'statement', 0, 'waiting', 'sql', 5, 0, 0, 'SELECT 1', NULL)",
        more);
}

static void a_database_of_the_second_schema_is_upgraded_in_place(void **state)
{
    struct world *w = *state;
    make_second_schema(w, "");
    open_store(w);
    assert_string_equal(ask(w, "PRAGMA user_version"), "4");
    assert_string_equal(ask(w, "SELECT fence FROM node"), "10");
    assert_string_equal(ask(w, "SELECT request FROM item"), "SELECT 1");
    assert_int_equal(put(w, "main", 1, "[]").err.code, ERR_OK);
    close_store(w);
    open_store(w); /* is not upgraded twice */
    expect_offers(w, "main:1:1000:[] ");
}

static void an_upgrade_that_fails_leaves_the_second_schema(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    make_second_schema(w, "CREATE TABLE offer (mine INTEGER)");
    assert_int_equal(store_open(&w->loop, w->dir, &w->store, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "upgrading the database"));
    assert_string_equal(ask(w, "PRAGMA user_version"), "2");
    assert_string_equal(ask(w, "SELECT count(*) FROM item"), "1");
    assert_string_equal(ask(w, "DROP TABLE offer"), "");
    open_store(w);
    assert_string_equal(ask(w, "PRAGMA user_version"), "4");
}

/* ---- memory ---- */

static void puts_survive_failing_allocations(void **state)
{
    struct world *w = *state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        rc = put(w, "main", 1, "[]").err.code;
        mem_fail_at(0);
        expect_offers(w, rc == ERR_OK ? "main:1:1000:[] " : "");
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(offers_are_kept_by_name),
        TEST(a_version_never_falls),
        TEST(a_reader_may_stop),
        TEST(a_closed_store_refuses_offers),
        TEST(a_database_of_the_second_schema_is_upgraded_in_place),
        TEST(an_upgrade_that_fails_leaves_the_second_schema),
        TEST(puts_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
