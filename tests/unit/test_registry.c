/* The registry of offers: one change after the other, stored, in files, told; and what failures leave. */
#include "store_world.h"

#include "base/clock.h"
#include "discovery/registry.h"

#include <errno.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

struct rig {
    struct world world;
    struct registry *registry;
};

static void open_registry(struct rig *r)
{
    struct err err;
    if (registry_open(&r->world.loop, r->world.store, in_world(&r->world, "discovery"), &r->registry, &err) !=
        ERR_OK)
        fail_msg("%s", err.msg);
}

/* Lets what is under way end. */
static void close_registry(struct rig *r)
{
    registry_stop(r->registry);
    close_store(&r->world); /* runs the loop empty */
    registry_free(r->registry);
    r->registry = NULL;
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    world_init(&r->world);
    open_store(&r->world);
    open_registry(r);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    mem_fail_at(0);
    io_fail_at(0, 0);
    if (r->registry != NULL)
        close_registry(r);
    assert_int_equal(uv_loop_close(&r->world.loop), 0);
    assert_int_equal(io_remove_tree(r->world.dir, NULL), ERR_OK);
    free(r);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- changes that are waited for ---- */

struct reply {
    bool came;
    enum err_code code;
    int64_t version;
    bool created;
    char words[512];
};

static void on_reply(const struct err *err, struct registry_view view, bool created, void *arg)
{
    struct reply *a = arg;
    assert_false(a->came);
    a->came = true;
    a->code = err->code;
    a->created = created;
    a->version = err->code == ERR_OK ? view.offer->version : -1;
    (void)snprintf(a->words, sizeof a->words, "%s", err->code == ERR_OK ? "" : err->msg);
}

static void ask_change(struct rig *r, const char *offer, enum offer_change_kind kind, const char *unit,
                       const char *master, struct reply *reply)
{
    struct offer_change change = {.kind = kind};
    (void)snprintf(change.unit, sizeof change.unit, "%s", unit);
    if (master != NULL) {
        change.given = OFFER_MASTER;
        change.values.master = mem_strdup(master); /* NULL when memory is to fail here */
    }
    *reply = (struct reply){0};
    registry_change(r->registry, offer, &change, on_reply, reply);
}

static struct reply change(struct rig *r, const char *offer, enum offer_change_kind kind, const char *unit,
                           const char *master)
{
    struct reply reply;
    ask_change(r, offer, kind, unit, master, &reply);
    await(&r->world, &reply.came);
    return reply;
}

static int64_t version_of(const struct rig *r, const char *offer)
{
    struct registry_view view;
    return registry_find(r->registry, offer, &view) ? view.offer->version : 0;
}

static const char *file(struct rig *r, const char *name)
{
    static char text[TEXT_MAX];
    char path[64];
    cleanup(buf_clear) struct buf b = BUF(sizeof text - 1);
    (void)snprintf(path, sizeof path, "discovery/%s", name);
    (void)io_read_file(in_world(&r->world, path), &b, NULL); /* no file: no text */
    (void)snprintf(text, sizeof text, "%s", buf_cstr(&b));
    return text;
}

/* ---- the usual ---- */

static void a_change_is_stored_then_in_the_file_then_told(void **state)
{
    struct rig *r = *state;
    struct reply first = change(r, "main", OFFER_PUT, "p0", "a");
    assert_int_equal(first.code, ERR_OK);
    assert_true(first.created);
    assert_int_equal(first.version, 1);
    assert_string_equal(ask(&r->world, "SELECT version FROM offer WHERE name = 'main'"), "1");
    assert_non_null(strstr(file(r, "main.json"), "\"version\":1"));
    assert_string_equal(file(r, "main.env"), "SPARK_MASTER_IP=a\nSPARK_DISCOVERY_VERSION=1\n");
    assert_int_equal(change(r, "main", OFFER_LEAVE, "p0", NULL).version, 2);
    assert_int_equal(change(r, "main", OFFER_RENEW, "p0", NULL).code, ERR_NOT_FOUND);
    assert_int_equal(change(r, "other", OFFER_LEAVE, "p0", NULL).code, ERR_NOT_FOUND);
    assert_int_equal(version_of(r, "other"), 0);
}

static void many_at_once_take_their_turns(void **state)
{
    struct rig *r = *state;
    struct reply replies[40];
    char unit[16];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(unit, sizeof unit, "p%d", i % 4);
        ask_change(r, i % 2 == 0 ? "even" : "odd", OFFER_PUT, unit, i % 3 == 0 ? "a" : "b", &replies[i]);
        assert_false(replies[i].came);
    }
    for (int i = 0; i < 40; i++) {
        await(&r->world, &replies[i].came);
        assert_int_equal(replies[i].code, ERR_OK);
        assert_true(i < 2 || replies[i].version >= replies[i - 2].version);
    }
    assert_int_equal(version_of(r, "even"), replies[38].version);
}

/* Counts what it is told. */
struct listener {
    struct registry_watcher watcher;
    int n;
    int64_t last;
    bool leave;
    bool short_of_memory; /* it may be told without the events */
};

static void on_change(struct registry_view view, const char *events, size_t n, void *arg)
{
    struct listener *l = arg;
    assert_true(l->short_of_memory || (events != NULL && n > 0));
    assert_true(view.offer->version > l->last);
    l->last = view.offer->version;
    l->n++;
    if (l->leave)
        registry_unwatch(&l->watcher);
}

static void listen_to(struct rig *r, const char *offer, struct listener *l)
{
    *l = (struct listener){.watcher = {.on_change = on_change, .arg = l}};
    assert_true(registry_watch(r->registry, offer, &l->watcher));
}

static void watchers_hear_of_offers_that_nobody_has_joined(void **state)
{
    struct rig *r = *state;
    struct listener stays, leaves, other;
    listen_to(r, "main", &stays);
    listen_to(r, "main", &leaves);
    listen_to(r, "other", &other);
    leaves.leave = true;
    assert_int_equal(version_of(r, "main"), 0);
    assert_int_equal(change(r, "main", OFFER_LEAVE, "p0", NULL).code, ERR_NOT_FOUND); /* the entry stays */
    (void)change(r, "main", OFFER_PUT, "p0", "a");
    (void)change(r, "main", OFFER_PUT, "p0", "a"); /* no news */
    (void)change(r, "main", OFFER_PUT, "p0", "b");
    assert_int_equal(stays.n, 2);
    assert_int_equal(leaves.n, 1);
    assert_int_equal(other.n, 0);
    registry_unwatch(&stays.watcher);
    registry_unwatch(&leaves.watcher);
    registry_unwatch(&other.watcher);
}

/* ---- restarts and leases ---- */

static void put_row(struct rig *r, const char *name, int64_t version, const char *units)
{
    struct answer a = {0};
    const struct store_offer row = {.name = name, .version = version, .updated_ms = 1000, .units = units};
    store_put_offer(r->world.store, &row, on_answer, &a);
    await(&r->world, &a.came);
    assert_int_equal(a.err.code, ERR_OK);
}

static void reopen(struct rig *r)
{
    close_registry(r);
    open_store(&r->world);
    open_registry(r);
}

static void leases_that_ran_out_meanwhile_end_before_anybody_asks(void **state)
{
    struct rig *r = *state;
    char units[400];
    (void)snprintf(
        units, sizeof units,
        "[{\"name\":\"a\",\"ttl\":5,\"expires\":2000},{\"name\":\"b\",\"ttl\":60,\"expires\":%lld},"
        "{\"name\":\"c\",\"ttl\":5,\"expires\":1000},{\"name\":\"self\",\"ttl\":0,\"expires\":0}]",
        (long long)clock_wall_ms() + 60000);
    put_row(r, "main", 7, units);
    for (int i = 0; i < 2; i++) { /* the second time as it was stored by then, or once more */
        reopen(r);
        struct registry_view view;
        assert_true(registry_find(r->registry, "main", &view));
        assert_int_equal(view.offer->version, 9);
        assert_int_equal(view.offer->n, 2);
        assert_string_equal(view.offer->units[0].name, "b");
        assert_string_equal(view.offer->units[1].name, "self");
    }
    while (strcmp(file(r, "main.env"), "SPARK_DISCOVERY_VERSION=9\n") != 0)
        (void)uv_run(&r->world.loop, UV_RUN_ONCE);
    assert_string_equal(ask(&r->world, "SELECT version FROM offer"), "9");
}

static void a_lease_ends_by_itself(void **state)
{
    struct rig *r = *state;
    struct listener l;
    char units[200];
    (void)snprintf(units, sizeof units, "[{\"name\":\"a\",\"ttl\":5,\"expires\":%lld}]",
                   (long long)clock_wall_ms() + 300);
    put_row(r, "main", 1, units);
    reopen(r);
    listen_to(r, "main", &l);
    while (l.n == 0)
        (void)uv_run(&r->world.loop, UV_RUN_ONCE);
    assert_int_equal(l.last, 2);
    registry_unwatch(&l.watcher);
}

static void damaged_rows_are_told(void **state)
{
    struct rig *r = *state;
    struct err err = {0};
    put_row(r, "main", 1, "[{\"name\":\"a b\"}]");
    close_registry(r);
    open_store(&r->world);
    assert_int_equal(
        registry_open(&r->world.loop, r->world.store, in_world(&r->world, "discovery"), &r->registry, &err),
        ERR_INVALID);
    assert_non_null(strstr(err.msg, "reading offer 'main'"));
    assert_null(r->registry);
    close_store(&r->world);
}

/* ---- failures ---- */

static void files_that_cannot_be_written_hold_nothing_up(void **state)
{
    struct rig *r = *state;
    (void)change(r, "main", OFFER_PUT, "p0", "a");
    for (long nth = 1; nth <= 8; nth++) {
        io_fail_at(nth, ENOSPC);
        struct reply reply = change(r, "main", OFFER_PUT, "p0", nth % 2 == 0 ? "a" : "b");
        io_fail_at(0, 0);
        assert_int_equal(reply.code, ERR_OK);
        assert_int_equal(reply.version, nth + 1);
    }
    char expected[80];
    (void)snprintf(expected, sizeof expected, "SPARK_MASTER_IP=a\nSPARK_DISCOVERY_VERSION=9\n");
    while (strcmp(file(r, "main.env"), expected) != 0) /* tried again within a second */
        (void)uv_run(&r->world.loop, UV_RUN_ONCE);
}

static void a_store_that_refuses_changes_nothing(void **state)
{
    struct rig *r = *state;
    struct listener l;
    (void)change(r, "main", OFFER_PUT, "p0", "a");
    listen_to(r, "main", &l);
    put_row(r, "main", 50, "[]"); /* as if another hearth had written it */
    assert_int_equal(change(r, "main", OFFER_PUT, "p0", "b").code, ERR_CONFLICT);
    assert_int_equal(version_of(r, "main"), 1);
    assert_int_equal(l.n, 0);
    assert_non_null(strstr(file(r, "main.json"), "\"version\":1"));
    registry_unwatch(&l.watcher);
}

static void a_registry_that_stops_refuses_changes(void **state)
{
    struct rig *r = *state;
    struct reply under_way, waits, late;
    ask_change(r, "main", OFFER_PUT, "p0", "a", &under_way);
    ask_change(r, "main", OFFER_PUT, "p0", "b", &waits);
    registry_stop(r->registry);
    ask_change(r, "new", OFFER_PUT, "p0", "a", &late);
    close_registry(r);
    assert_int_equal(under_way.code, ERR_OK);
    assert_int_equal(waits.code, ERR_BUSY);
    assert_int_equal(late.code, ERR_BUSY);
}

static void changes_survive_failing_allocations(void **state)
{
    struct rig *r = *state;
    char offer[24];
    for (long n = 1; n <= 40; n++) { /* a change takes some twenty */
        struct listener l;
        (void)snprintf(offer, sizeof offer, "main%ld", n);
        listen_to(r, offer, &l);
        l.short_of_memory = true;
        mem_fail_at(n);
        struct reply reply = change(r, offer, OFFER_PUT, "p0", "a");
        mem_fail_at(0);
        assert_true(reply.code == ERR_OK || reply.code == ERR_NOMEM || reply.code == ERR_IO);
        assert_int_equal(version_of(r, offer), reply.code == ERR_OK ? 1 : 0);
        assert_int_equal(l.n, reply.code == ERR_OK ? 1 : 0);
        assert_true(reply.code == ERR_OK || n < 40);
        if (reply.code != ERR_OK)
            assert_int_equal(change(r, offer, OFFER_PUT, "p0", "a").version, 1);
        registry_unwatch(&l.watcher);
    }
}

static void opening_survives_failing_allocations(void **state)
{
    struct rig *r = *state;
    struct err err = {0};
    put_row(r, "main", 3, "[{\"name\":\"a\",\"ttl\":5,\"expires\":2000,\"master\":\"m\"}]");
    close_registry(r);
    open_store(&r->world);
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc != ERR_OK; n++) {
        long live = mem_live();
        mem_fail_at(n);
        rc = registry_open(&r->world.loop, r->world.store, in_world(&r->world, "discovery"), &r->registry,
                           &err);
        mem_fail_at(0);
        assert_true(rc == ERR_OK || mem_live() == live);
        if (n > 500)
            fail_msg("it never works: %s", err.msg);
    }
    assert_int_equal(version_of(r, "main"), 4);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_stored_then_in_the_file_then_told),
        TEST(many_at_once_take_their_turns),
        TEST(watchers_hear_of_offers_that_nobody_has_joined),
        TEST(leases_that_ran_out_meanwhile_end_before_anybody_asks),
        TEST(a_lease_ends_by_itself),
        TEST(damaged_rows_are_told),
        TEST(files_that_cannot_be_written_hold_nothing_up),
        TEST(a_store_that_refuses_changes_nothing),
        TEST(a_registry_that_stops_refuses_changes),
        TEST(changes_survive_failing_allocations),
        TEST(opening_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
