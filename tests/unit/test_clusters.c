/* The configuration of watched clusters, and the object that is made of what a cluster tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "cluster/cluster_internal.h"
#include "cluster/secrets.h"
#include "rpc_vectors.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- clusters.watch ---- */

struct list {
    struct settings settings;
    struct watch *items;
    size_t n;
    struct err err;
    enum err_code code;
};

static void list_read(struct list *l, const char *text, const char *secrets_file)
{
    char *path = secrets_file != NULL ? mem_strdup(secrets_file) : NULL;
    *l = (struct list){0};
    assert_int_equal(strlist_split(&l->settings.clusters.watch, text, ", \n"), 0);
    l->settings.clusters.period_ms = 5000;
    l->settings.clusters.secrets_file = path;
    l->code = watch_list_read(&l->settings, &l->items, &l->n, &l->err);
    mem_free(path);
}

static void list_clear(struct list *l)
{
    strlist_clear(&l->settings.clusters.watch);
    watch_list_free(l->items, l->n);
}

static void is_entry(const struct watch *w, const char *name, const char *url, int64_t period_ms)
{
    assert_string_equal(w->name, name);
    assert_string_equal(w->url, url);
    assert_int_equal(w->period_ms, period_ms);
}

static void entries_are_names_with_masters_and_periods(void **state)
{
    (void)state;
    struct list l;
    list_read(&l, "main=spark://a:7077,b:7077, test=spark://c@30s x.Y_1-2=spark://[::1]:7078,d:1,e@100ms",
              NULL);
    assert_int_equal(l.code, ERR_OK);
    assert_int_equal(l.n, 3);
    is_entry(&l.items[0], "main", "spark://a:7077,b:7077", 5000);
    is_entry(&l.items[1], "test", "spark://c", 30000);
    is_entry(&l.items[2], "x.Y_1-2", "spark://[::1]:7078,d:1,e", 100);
    list_clear(&l);
}

static void nothing_is_watched_by_default(void **state)
{
    (void)state;
    struct list l;
    list_read(&l, "", NULL);
    assert_int_equal(l.code, ERR_OK);
    assert_int_equal(l.n, 0);
    list_clear(&l);
}

static void refuses(const char *text, const char *words)
{
    struct list l;
    list_read(&l, text, NULL);
    if (l.code != ERR_INVALID)
        fail_msg("%s: was accepted", text);
    if (strstr(l.err.msg, words) == NULL || strstr(l.err.msg, "clusters.watch") == NULL)
        fail_msg("%s: '%s' does not hold '%s'", text, l.err.msg, words);
    list_clear(&l);
}

static void other_entries_are_refused_with_their_names(void **state)
{
    (void)state;
    refuses("spark://a:7077", "'spark://a:7077' has no name");
    refuses("=spark://a:7077", "1 to 64 letters");
    refuses("a/b=spark://a:7077", "'a/b=spark://a:7077'");
    refuses("a=spark://a:7077,a=spark://b:7077", "'a' is there twice");
    refuses("a=http://a:7077", "a: ");
    refuses("a=", "a: ");
    refuses("a=spark://a:7077@", "a: ");
    refuses("a=spark://a:7077@often", "often");
    refuses("a=spark://a:7077@99ms", "100ms to 1h");
    refuses("a=spark://a:7077@61m", "100ms to 1h");
    refuses("a=spark://a:7077@5s,b:7077", "a: ");
    refuses("a23456789012345678901234567890123456789012345678901234567890123456=spark://a:1", "1 to 64");
}

static void a_list_survives_every_failing_allocation(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc != ERR_OK; n++) {
        struct list l = {0};
        assert_int_equal(strlist_split(&l.settings.clusters.watch, "a=spark://a:1,b:2@1s,c=spark://c", ","),
                         0);
        mem_fail_at(n);
        rc = watch_list_read(&l.settings, &l.items, &l.n, &l.err);
        mem_fail_at(0);
        assert_true(rc == ERR_OK || rc == ERR_NOMEM);
        list_clear(&l);
    }
}

/* ---- secrets ---- */

/* A file of its own with that text and mode. */
static void write_file(char path[64], const char *text, mode_t mode)
{
    (void)snprintf(path, 64, "/tmp/hearth-secrets-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void secrets_are_given_by_name(void **state)
{
    (void)state;
    char path[64];
    struct list l;
    write_file(path, "# of the clusters\n\nmain:p:ss word\r\ntest:two", 0640);
    list_read(&l, "main=spark://a,test=spark://b,open=spark://c", path);
    assert_int_equal(l.code, ERR_OK);
    assert_string_equal(l.items[0].secret, "p:ss word");
    assert_string_equal(l.items[1].secret, "two");
    assert_null(l.items[2].secret);
    list_clear(&l);
    (void)unlink(path);
}

static void refuses_secrets(const char *text, mode_t mode, enum err_code code, const char *words)
{
    char path[64];
    struct list l;
    write_file(path, text, mode);
    list_read(&l, "main=spark://a", path);
    assert_int_equal(l.code, code);
    if (strstr(l.err.msg, words) == NULL || strstr(l.err.msg, "clusters.secrets_file") == NULL)
        fail_msg("'%s' does not hold '%s'", l.err.msg, words);
    assert_null(strstr(l.err.msg, "hidden"));
    list_clear(&l);
    (void)unlink(path);
}

static void files_that_others_can_read_are_refused(void **state)
{
    (void)state;
    refuses_secrets("main:hidden\n", 0644, ERR_DENIED, "chmod 600");
    refuses_secrets("main:hidden\n", 0602, ERR_DENIED, "mode 602");
    refuses_secrets("main:hidden\n", 0660, ERR_DENIED, "mode 660");
    refuses_secrets("main:x\nhidden\n", 0600, ERR_INVALID, "line 2: expected NAME:SECRET");
    refuses_secrets(":hidden\n", 0600, ERR_INVALID, "line 1");
    refuses_secrets("main:\n", 0600, ERR_INVALID, "line 1");
    refuses_secrets("main:x\nmain:hidden\n", 0600, ERR_INVALID, "line 2: a second secret for 'main'");
    struct list l;
    list_read(&l, "main=spark://a", "/nowhere/at/all");
    assert_int_equal(l.code, ERR_NOT_FOUND);
    list_clear(&l);
}

static void a_file_of_one_secret_is_its_first_line(void **state)
{
    (void)state;
    char path[64];
    char *secret = NULL;
    struct err err;
    write_file(path, "a secret\nmore\n", 0600);
    assert_int_equal(secret_read(path, &secret, &err), ERR_OK);
    assert_string_equal(secret, "a secret");
    secret_free(secret);
    secret = NULL;
    (void)chmod(path, 0604);
    assert_int_equal(secret_read(path, &secret, &err), ERR_DENIED);
    assert_null(secret);
    (void)unlink(path);
    write_file(path, "\nsecond", 0600);
    assert_int_equal(secret_read(path, &secret, &err), ERR_INVALID);
    (void)unlink(path);
}

/* ---- the object ---- */

static json_t *load(const char *name)
{
    char path[512];
    json_error_t where;
    (void)snprintf(path, sizeof path, "%s/cluster/%s.json", getenv("HEARTH_VECTORS"), name);
    json_t *value = json_load_file(path, 0, &where);
    if (value == NULL)
        fail_msg("%s: %s", path, where.text);
    return value;
}

/* What a master of 3.5.7 told at one moment: one worker that a driver fills, a driver and an application that
 * wait, two drivers and an application that have ended. */
struct capture {
    json_t *state, *page, *drivers;
};

static struct capture capture_load(void)
{
    return (struct capture){load("3.5.7-busy.state"), load("3.5.7-busy.page"), load("3.5.7-busy.drivers")};
}

static void capture_clear(struct capture *c)
{
    json_decref(c->state);
    json_decref(c->page);
    json_decref(c->drivers);
}

static json_t *merge(const struct capture *c)
{
    const struct cluster_facts facts = {
        .leader = "127.0.0.1:42895",
        .state = c->state,
        .version = "3.4 or 3.5",
        .web_ui = "http://127.0.0.1:54365",
        .rest_port = 6066,
        .page = c->page,
        .drivers = c->drivers,
    };
    return cluster_json_state(&facts);
}

/* The value at a path such as "workers 0 state". */
static const json_t *at(const json_t *value, const char *path)
{
    while (value != NULL && *path != '\0') {
        char name[64];
        size_t len = strcspn(path, " ");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, path);
        value =
            json_is_array(value) ? json_array_get(value, (size_t)atoi(name)) : json_object_get(value, name);
        path += len + (path[len] == ' ');
    }
    if (value == NULL)
        fail_msg("nothing at %s", path);
    return value;
}

static void is_text(const json_t *value, const char *path, const char *text)
{
    const char *is = json_string_value(at(value, path));
    if (is == NULL)
        fail_msg("%s is no text", path);
    assert_string_equal(is, text);
}

static void is_number(const json_t *value, const char *path, int64_t number)
{
    if (!json_is_integer(at(value, path)) || json_integer_value(at(value, path)) != number)
        fail_msg("%s is %lld, not %lld", path, (long long)json_integer_value(at(value, path)),
                 (long long)number);
}

static void is_null(const json_t *value, const char *path)
{
    if (!json_is_null(at(value, path)))
        fail_msg("%s is not null", path);
}

static void rpc_and_page_are_merged(void **state)
{
    (void)state;
    struct capture c = capture_load();
    json_t *o = merge(&c);
    is_text(o, "leader", "127.0.0.1:42895");
    is_number(o, "restPort", 6066);
    is_text(o, "workers 0 id", "worker-20261121162743-127.0.0.1-37641");
    is_text(o, "workers 0 state", "ALIVE");
    is_number(o, "workers 0 coresUsed", 1);
    is_number(o, "workers 0 memoryUsed", 1 << 30);
    is_text(o, "workers 0 lastHeartbeat", "2026-11-21T16:45:45.314Z");
    is_text(o, "workers 0 webUi", "http://127.0.0.1:57023");
    is_text(o, "applications 0 state", "WAITING");
    is_text(o, "applications 0 name", "waits");
    is_number(o, "applications 0 memoryPerExecutor", 512 << 20);
    assert_true(json_is_true(at(o, "applications 0 active")));
    is_text(o, "applications 1 state", "FINISHED");
    assert_true(json_is_false(at(o, "applications 1 active")));
    is_text(o, "drivers 0 state", "RUNNING");
    is_text(o, "drivers 0 worker", "127.0.0.1:37641");
    is_text(o, "drivers 0 workerId", "worker-20261121162743-127.0.0.1-37641");
    is_text(o, "drivers 0 mainClass", "org.apache.spark.deploy.ExternalShuffleService");
    is_number(o, "drivers 0 memory", 1 << 30);
    is_text(o, "drivers 1 state", "SUBMITTED");
    is_null(o, "drivers 1 worker");
    is_text(o, "drivers 2 state", "FAILED");
    is_text(o, "drivers 3 state", "FINISHED");
    is_number(o, "totals workersAlive", 1);
    is_number(o, "totals cores", 1);
    is_number(o, "totals coresUsed", 1);
    is_number(o, "totals memory", 1 << 30);
    is_number(o, "totals applicationsRunning", 0);
    is_number(o, "totals applicationsWaiting", 1);
    is_number(o, "totals driversRunning", 1);
    json_decref(o);
    capture_clear(&c);
}

static void what_only_the_page_tells_is_null_without_it(void **state)
{
    (void)state;
    struct capture c = capture_load();
    json_t *page = c.page;
    c.page = NULL;
    json_t *o = merge(&c);
    is_null(o, "workers 0 state");
    is_null(o, "workers 0 coresUsed");
    is_null(o, "workers 0 lastHeartbeat");
    is_number(o, "workers 0 cores", 1);
    is_null(o, "applications 0 state");
    is_text(o, "drivers 0 state", "RUNNING");
    is_number(o, "totals workers", 1);
    is_null(o, "totals workersAlive");
    is_null(o, "totals cores");
    is_null(o, "totals applicationsWaiting");
    is_number(o, "totals driversRunning", 1);
    json_decref(o);
    c.page = page;
    capture_clear(&c);
}

static void the_page_tells_drivers_states_that_were_not_asked_for(void **state)
{
    (void)state;
    struct capture c = capture_load();
    json_object_clear(c.drivers);
    json_t *o = merge(&c);
    is_text(o, "drivers 0 state", "RUNNING");
    is_text(o, "drivers 0 worker", "127.0.0.1:37641");
    is_text(o, "drivers 1 state", "SUBMITTED");
    is_null(o, "drivers 1 worker");
    is_null(o, "drivers 1 workerId");
    json_decref(o);
    capture_clear(&c);
}

static void secrets_of_drivers_are_not_shown(void **state)
{
    (void)state;
    struct capture c = capture_load();
    json_t *o = merge(&c);
    cleanup(mem_freep) char *text = json_text(o);
    assert_null(strstr(text, "environment-secret"));
    assert_null(strstr(text, "option-secret"));
    assert_null(strstr(text, "url-secret"));
    is_text(o, "drivers 0 file", "https://files.example/driver.jar");
    json_decref(o);
    capture_clear(&c);
}

static void a_dead_worker_does_not_count(void **state)
{
    (void)state;
    struct capture c = capture_load();
    json_t *worker = json_array_get(json_object_get(c.page, "workers"), 0);
    (void)json_object_set_new(worker, "state", json_string("DEAD"));
    json_t *o = merge(&c);
    is_text(o, "workers 0 state", "DEAD");
    is_number(o, "totals workers", 1);
    is_number(o, "totals workersAlive", 0);
    is_number(o, "totals cores", 0);
    is_number(o, "totals memoryUsed", 0);
    json_decref(o);
    capture_clear(&c);
}

static void resources_show_what_is_used(void **state)
{
    (void)state;
    struct capture c = capture_load();
    json_t *worker = json_array_get(json_object_get(c.state, "workers"), 0);
    json_t *shown = json_array_get(json_object_get(c.page, "workers"), 0);
    (void)json_object_set_new(worker, "resources", json_pack("{s:{s:[s,s]}}", "gpu", "addresses", "0", "1"));
    (void)json_object_set_new(shown, "resourcesused", json_pack("{s:{s:[s]}}", "gpu", "addresses", "1"));
    json_t *o = merge(&c);
    is_text(o, "workers 0 resources gpu addresses 1", "1");
    is_text(o, "workers 0 resources gpu used 0", "1");
    json_decref(o);
    capture_clear(&c);
}

/* Every state that the vectors hold becomes an object with as many entries. */
static void vectors_of_a_version(const char *version)
{
    json_t *expected = vector_expected(version);
    const char *name = NULL;
    json_t *vector = NULL;
    int seen = 0;
    json_object_foreach(json_object_get(expected, "vectors"), name, vector)
    {
        const json_t *value = json_object_get(vector, "value");
        if (json_object_get(value, "activeDrivers") == NULL)
            continue;
        const struct cluster_facts facts = {.leader = "m:7077", .state = value};
        json_t *o = cluster_json_state(&facts);
        assert_non_null(o);
        assert_int_equal(json_array_size(at(o, "workers")), json_array_size(at(value, "workers")));
        assert_int_equal(json_array_size(at(o, "applications")),
                         json_array_size(at(value, "activeApps")) +
                             json_array_size(at(value, "completedApps")));
        assert_int_equal(json_array_size(at(o, "drivers")),
                         json_array_size(at(value, "activeDrivers")) +
                             json_array_size(at(value, "completedDrivers")));
        for (size_t i = 0; i < json_array_size(at(o, "applications")); i++)
            assert_true(json_is_integer(
                json_object_get(json_array_get(at(o, "applications"), i), "memoryPerExecutor")));
        json_decref(o);
        seen++;
    }
    assert_true(seen >= 5);
    json_decref(expected);
}

static void states_of_both_dialects_are_read(void **state)
{
    (void)state;
    vectors_of_a_version("3.5.7");
    vectors_of_a_version("4.0.1");
}

/* Puts another type into each place of a value, one after the other, and merges. */
static void twist(struct capture *c, json_t *value)
{
    static const char *const others[] = {"null",  "true", "-1", "9223372036854775807",
                                         "\"x\"", "[]",   "{}", "[[]]"};
    const char *key = NULL;
    void *next = NULL;
    json_t *member = NULL;
    json_object_foreach_safe(value, next, key, member)
    {
        json_incref(member);
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            (void)json_object_set_new(value, key, json_loads(others[i], JSON_DECODE_ANY, NULL));
            json_t *o = merge(c);
            assert_non_null(o);
            json_decref(o);
        }
        (void)json_object_set(value, key, member);
        twist(c, member);
        json_decref(member);
    }
    size_t index = 0;
    json_array_foreach(value, index, member) twist(c, member);
}

static void values_of_any_type_do_no_harm(void **state)
{
    (void)state;
    struct capture c = capture_load();
    json_t *command = json_object_get(
        json_object_get(json_array_get(json_object_get(c.state, "activeDrivers"), 0), "desc"), "command");
    (void)json_object_del(command, "javaOpts");
    twist(&c, c.state);
    twist(&c, c.page);
    twist(&c, c.drivers);
    capture_clear(&c);
}

/* ---- masters ---- */

static void trouble_names_each_master(void **state)
{
    (void)state;
    json_t *one = json_pack("[{s:s,s:s,s:s}]", "master", "a:7077", "error", "a:7077 hangs", "result", "late");
    json_t *two = json_pack("[{s:s,s:s,s:s},{s:s,s:s}]", "master", "a:7077", "error", "a:7077 hangs",
                            "result", "late", "master", "b:7077", "status", "STANDBY");
    char *words = cluster_json_trouble("spark://a:7077", one);
    assert_string_equal(words, "a:7077 hangs");
    mem_free(words);
    words = cluster_json_trouble("spark://a:7077,b:7077", two);
    assert_string_equal(words,
                        "no master of spark://a:7077,b:7077 is alive: a:7077 hangs, b:7077 is STANDBY");
    mem_free(words);
    assert_null(cluster_json_leader(two));
    json_t *masters = cluster_json_masters(two);
    is_text(masters, "0 result", "late");
    is_text(masters, "1 status", "STANDBY");
    is_null(masters, "1 trouble");
    json_decref(masters);
    json_decref(one);
    json_decref(two);
}

static void an_object_has_all_members_from_the_beginning(void **state)
{
    (void)state;
    struct capture c = capture_load();
    const struct cluster_frame unseen = {.name = "main", .url = "spark://a:7077"};
    const struct cluster_frame seen = {
        .name = "main", .url = "spark://a:7077", .checked_ms = 1000, .state_ms = 1000};
    const struct cluster_frame lost = {.name = "main",
                                       .url = "spark://a:7077",
                                       .trouble = "gone",
                                       .checked_ms = 9000,
                                       .state_ms = 1000,
                                       .age_ms = 8000};
    json_t *one = cluster_json_whole(&unseen, NULL, NULL);
    json_t *two = cluster_json_whole(&seen, json_array(), merge(&c));
    json_t *three = cluster_json_whole(&lost, json_array(), merge(&c));
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(two, key, value) assert_non_null(json_object_get(one, key));
    assert_int_equal(json_object_size(one), json_object_size(two));
    assert_true(json_is_false(at(one, "reachable")));
    assert_true(json_is_true(at(two, "reachable")));
    is_text(two, "stateAt", "1970-01-01T00:00:01.000Z");
    assert_true(json_is_false(at(three, "reachable")));
    is_text(three, "trouble", "gone");
    is_number(three, "ageMs", 8000);
    is_null(three, "leader");
    is_text(three, "workers 0 state", "ALIVE");
    json_decref(one);
    json_decref(two);
    json_decref(three);
    capture_clear(&c);
}

static void a_summary_leaves_the_lists_out(void **state)
{
    (void)state;
    struct capture c = capture_load();
    json_t *whole = merge(&c);
    json_t *summary = cluster_json_summary(whole);
    assert_null(json_object_get(summary, "workers"));
    assert_null(json_object_get(summary, "drivers"));
    assert_null(json_object_get(summary, "applications"));
    is_number(summary, "totals cores", 1);
    assert_non_null(json_object_get(whole, "workers"));
    json_decref(summary);
    json_decref(whole);
    capture_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(entries_are_names_with_masters_and_periods, nothing_is_left),
        cmocka_unit_test_teardown(nothing_is_watched_by_default, nothing_is_left),
        cmocka_unit_test_teardown(other_entries_are_refused_with_their_names, nothing_is_left),
        cmocka_unit_test_teardown(a_list_survives_every_failing_allocation, nothing_is_left),
        cmocka_unit_test_teardown(secrets_are_given_by_name, nothing_is_left),
        cmocka_unit_test_teardown(files_that_others_can_read_are_refused, nothing_is_left),
        cmocka_unit_test_teardown(a_file_of_one_secret_is_its_first_line, nothing_is_left),
        cmocka_unit_test_teardown(rpc_and_page_are_merged, nothing_is_left),
        cmocka_unit_test_teardown(what_only_the_page_tells_is_null_without_it, nothing_is_left),
        cmocka_unit_test_teardown(the_page_tells_drivers_states_that_were_not_asked_for, nothing_is_left),
        cmocka_unit_test_teardown(secrets_of_drivers_are_not_shown, nothing_is_left),
        cmocka_unit_test_teardown(a_dead_worker_does_not_count, nothing_is_left),
        cmocka_unit_test_teardown(resources_show_what_is_used, nothing_is_left),
        cmocka_unit_test_teardown(states_of_both_dialects_are_read, nothing_is_left),
        cmocka_unit_test_teardown(values_of_any_type_do_no_harm, nothing_is_left),
        cmocka_unit_test_teardown(trouble_names_each_master, nothing_is_left),
        cmocka_unit_test_teardown(an_object_has_all_members_from_the_beginning, nothing_is_left),
        cmocka_unit_test_teardown(a_summary_leaves_the_lists_out, nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
