#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/config.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/settings.h"
#include "base/strs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct values {
    char *listen;
    char *folder;
    char *level;
    struct strlist users;
    bool on;
    int64_t count;
    int64_t size;
    int64_t wait_ms;
};

static const struct option options[] = {
    {"server.listen", OPTION_TEXT, offsetof(struct values, listen), "127.0.0.1:8998", 0, 0, NULL, "Where."},
    {"server.folder", OPTION_TEXT, offsetof(struct values, folder), "~/state", 0, 0, NULL, "Folder."},
    {"server.log_level", OPTION_CHOICE, offsetof(struct values, level), "info", 0, 0, "error info", "Log."},
    {"auth.users", OPTION_LIST, offsetof(struct values, users), "*", 0, 0, NULL, "Who | whom."},
    {"auth.on", OPTION_BOOL, offsetof(struct values, on), "false", 0, 0, NULL, "Whether."},
    {"driver.count", OPTION_INT, offsetof(struct values, count), "10", 1, 100, NULL, "How many."},
    {"driver.log_size", OPTION_SIZE, offsetof(struct values, size), "256m", 1024, 1 << 30, NULL, "How much."},
    {"driver.wait", OPTION_DURATION, offsetof(struct values, wait_ms), "2s", 0, 3600000, NULL, "How long."},
    {0},
};

/* Environments are char *const *, and literals are const. */
#define VARIABLE(text) ((char[]){text})

enum { LISTEN, FOLDER, LEVEL, USERS, ON, COUNT, SIZE, WAIT };

struct fixture {
    struct values values;
    struct config *config;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_int_equal(setenv("HOME", "/home/ada", 1), 0);
    f->config = config_new(options, &f->values);
    assert_non_null(f->config);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    config_free(f->config);
    free(f);
    assert_int_equal(mem_live(), 0);
    return 0;
}

static enum err_code read_yaml(struct fixture *f, const char *yaml)
{
    return config_read_text(f->config, "h.yaml", yaml, strlen(yaml), &f->err);
}

static void assert_refused(struct fixture *f, const char *yaml, const char *words)
{
    assert_int_equal(read_yaml(f, yaml), ERR_INVALID);
    assert_string_equal(f->err.msg, words);
    for (size_t i = 0; i <= WAIT; i++)
        assert_string_equal(config_origin(f->config, i), "default");
}

static void assert_value(const struct fixture *f, size_t row, const char *text, const char *origin)
{
    cleanup(buf_clear) struct buf b = BUF(1000);
    config_write_value(f->config, row, &b);
    assert_string_equal(buf_cstr(&b), text);
    assert_string_equal(config_origin(f->config, row), origin);
}

static void initial_values_are_the_rows(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(f->values.listen, "127.0.0.1:8998");
    assert_string_equal(f->values.folder, "/home/ada/state");
    assert_int_equal(f->values.users.n, 1);
    assert_false(f->values.on);
    assert_int_equal(f->values.count, 10);
    assert_int_equal(f->values.size, 256 << 20);
    assert_int_equal(f->values.wait_ms, 2000);
    assert_value(f, SIZE, "256m", "default");
}

static void a_file_sets_nested_and_dotted_keys(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_yaml(f, "# comment\n"
                                  "server:\n"
                                  "  listen: 0.0.0.0:80\n"
                                  "  log_level: error\n"
                                  "auth:\n"
                                  "  users: [ada, bob]\n"
                                  "  on: true\n"
                                  "driver.count: 7\n"
                                  "driver: {log_size: 1g, wait: 90s}\n"),
                     ERR_OK);
    assert_value(f, LISTEN, "0.0.0.0:80", "file h.yaml line 3");
    assert_value(f, LEVEL, "error", "file h.yaml line 4");
    assert_value(f, USERS, "ada,bob", "file h.yaml line 6");
    assert_value(f, ON, "true", "file h.yaml line 7");
    assert_value(f, COUNT, "7", "file h.yaml line 8");
    assert_value(f, SIZE, "1g", "file h.yaml line 9");
    assert_value(f, WAIT, "90s", "file h.yaml line 9");
    assert_value(f, FOLDER, "/home/ada/state", "default");
}

static void files_with_nothing_in_them_are_fine(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"", "# only a comment\n", "---\n", "{}", "server:\n", "server: {}\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(read_yaml(f, texts[i]), ERR_OK);
}

static void a_list_may_be_text_or_a_sequence(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_yaml(f, "auth.users: ada, bob  eve\n"), ERR_OK);
    assert_value(f, USERS, "ada,bob,eve", "file h.yaml line 1");
    assert_int_equal(read_yaml(f, "auth.users: []\n"), ERR_OK);
    assert_value(f, USERS, "", "file h.yaml line 1");
}

static void an_unknown_key_is_refused_with_the_nearest_one(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "auth:\n  on: true\nserver.lissten: x\n",
                   "h.yaml line 3: unknown key 'server.lissten'; did you mean 'server.listen'?");
    assert_refused(f, "serve:\n  listen: x\n",
                   "h.yaml line 2: unknown key 'serve.listen'; did you mean 'server.listen'?");
    assert_refused(f, "listen: x\n", "h.yaml line 1: unknown key 'listen'; did you mean 'server.listen'?");
    assert_refused(f, "color: blue\n",
                   "h.yaml line 1: unknown key 'color'; `hearth config` lists the known ones");
    assert_refused(f, "nothing: {}\n",
                   "h.yaml line 1: unknown key 'nothing'; `hearth config` lists the known ones");
}

static void a_bad_value_is_refused_with_what_is_allowed(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "driver:\n  log_size: 12 parsecs\n",
                   "h.yaml line 2: driver.log_size: '12 parsecs' is not a size: a whole number with k, m, g "
                   "or t, as in 512m or 2g");
    assert_refused(f, "driver.log_size: 1\n", "h.yaml line 1: driver.log_size: '1' is not between 1k and 1g");
    assert_refused(f, "driver.wait: 2h\n", "h.yaml line 1: driver.wait: '2h' is not between 0s and 1h");
    assert_refused(f, "driver.count: 101\n",
                   "h.yaml line 1: driver.count: '101' is not a whole number from 1 to 100");
    assert_refused(f, "auth.on: yes\n", "h.yaml line 1: auth.on: 'yes' is neither true nor false");
    assert_refused(f, "server.log_level: loud\n",
                   "h.yaml line 1: server.log_level: 'loud' is not one of: error info");
}

static void a_refused_file_changes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "server.listen: changed\ndriver.count: 0\n",
                   "h.yaml line 2: driver.count: '0' is not a whole number from 1 to 100");
    assert_string_equal(f->values.listen, "127.0.0.1:8998");
}

static void a_key_given_twice_is_refused_with_both_lines(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "server:\n  listen: a\n\nserver.listen: b\n",
                   "h.yaml line 4: server.listen was already set in line 2");
}

static void what_is_no_configuration_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_refused(f, "a: &x 1\nb: *x\n",
                   "h.yaml line 1: unknown key 'a'; `hearth config` lists the known ones");
    assert_refused(f, "server.listen: &x y\nserver.folder: *x\n",
                   "h.yaml line 2: an alias (*name) is not allowed here; write the value out");
    assert_refused(f, "- a\n- b\n",
                   "h.yaml line 1: a configuration must be a mapping, as in `server: {listen: …}`");
    assert_refused(f, "just words\n",
                   "h.yaml line 1: a configuration must be a mapping, as in `server: {listen: …}`");
    assert_refused(f, "server: {listen: a}\n---\nserver: {}\n",
                   "h.yaml line 2: a second document begins; a configuration is one document");
    assert_refused(f, "server: 5\n",
                   "h.yaml line 1: server is a group of settings and has no value of its own");
    assert_refused(f, "server.listen:\n  a: b\n", "h.yaml line 2: server.listen must be a single value");
    assert_refused(f, "server.listen: [a]\n", "h.yaml line 1: server.listen must be a single value");
    assert_refused(f, "server.listen:\n",
                   "h.yaml line 1: server.listen has no value; write \"\" where nothing is meant");
    assert_refused(f, "auth.users: [[a]]\n", "h.yaml line 1: auth.users: an item must be a single value");
    assert_refused(f, "[a]: b\n", "h.yaml line 1: a key must be a single word");
    assert_refused(f, "server.listen: \"a\\0b\"\n", "h.yaml line 1: a NUL character is not allowed");
    assert_refused(f, "a: {a: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}}\n",
                   "h.yaml line 1: nested deeper than 8 levels");
}

static void what_is_no_yaml_is_refused_with_its_line(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_yaml(f, "auth.on: true\nserver: {listen: a\n"), ERR_INVALID);
    assert_non_null(strstr(f->err.msg, "h.yaml line 3: this is not YAML: "));
    assert_int_equal(read_yaml(f, "\xff\xfe\xff"), ERR_INVALID);
    assert_non_null(strstr(f->err.msg, "this is not YAML: "));
}

static void a_file_that_is_too_large_or_missing_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t len = (1 << 20) + 1;
    char *text = malloc(len);
    memset(text, '#', len);
    assert_int_equal(config_read_text(f->config, "h.yaml", text, len, &f->err), ERR_TOO_LARGE);
    free(text);
    assert_int_equal(config_read_file(f->config, "/nowhere/h.yaml", &f->err), ERR_NOT_FOUND);
    assert_string_equal(f->err.msg, "/nowhere/h.yaml does not exist");
}

static void a_file_is_read_from_disk(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/hearth-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(io_write_all(fd, "driver.count: 3\n", 16, &f->err), ERR_OK);
    assert_int_equal(close(fd), 0);
    assert_int_equal(config_read_file(f->config, path, &f->err), ERR_OK);
    assert_int_equal(f->values.count, 3);
    assert_int_equal(unlink(path), 0);
}

static void the_environment_sets_values(void **state)
{
    struct fixture *f = *state;
    char *const environment[] = {VARIABLE("PATH=/bin"),
                                 VARIABLE("HEARTH_SERVER_LOG_LEVEL=error"),
                                 VARIABLE("HEARTH_URL=http://x"),
                                 VARIABLE("HEARTH_PORT_80_TCP=y"),
                                 VARIABLE("HEARTH_DRIVER_WAIT=1min"),
                                 NULL};
    static const char *const known[] = {"HEARTH_URL", "HEARTH_PORT_*", NULL};
    assert_int_equal(config_read_environment(f->config, environment, known, &f->err), ERR_OK);
    assert_value(f, LEVEL, "error", "environment HEARTH_SERVER_LOG_LEVEL");
    assert_value(f, WAIT, "1min", "environment HEARTH_DRIVER_WAIT");
}

static void mistakes_in_the_environment_are_named(void **state)
{
    struct fixture *f = *state;
    char *const unknown[] = {VARIABLE("HEARTH_SERVER_LISTN=x"), NULL};
    assert_int_equal(config_read_environment(f->config, unknown, NULL, &f->err), ERR_INVALID);
    assert_string_equal(f->err.msg, "environment: HEARTH_SERVER_LISTN is no setting; did you mean "
                                    "HEARTH_SERVER_LISTEN?");
    char *const bad[] = {VARIABLE("HEARTH_AUTH_ON=1"), NULL};
    assert_int_equal(config_read_environment(f->config, bad, NULL, &f->err), ERR_INVALID);
    assert_string_equal(f->err.msg, "environment HEARTH_AUTH_ON: auth.on: '1' is neither true nor false");
    char *const prefix_only[] = {VARIABLE("HEARTH_URLS=1"), NULL};
    static const char *const known[] = {"HEARTH_URL", NULL};
    assert_int_equal(config_read_environment(f->config, prefix_only, known, &f->err), ERR_INVALID);
}

static void pairs_from_the_command_line_set_values(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(config_set_pair(f->config, "server.listen=a=b", "--set", &f->err), ERR_OK);
    assert_value(f, LISTEN, "a=b", "--set");
    assert_int_equal(config_set_pair(f->config, "server.folder=", "--set", &f->err), ERR_OK);
    assert_value(f, FOLDER, "", "--set");
    assert_int_equal(config_set_pair(f->config, "server.listen", "--set", &f->err), ERR_INVALID);
    assert_string_equal(f->err.msg, "--set: 'server.listen' is not of the form key=value");
    assert_int_equal(config_set(f->config, "driver.cuont", "1", "--set", &f->err), ERR_INVALID);
    assert_string_equal(f->err.msg, "--set: unknown key 'driver.cuont'; did you mean 'driver.count'?");
}

static void reading_survives_every_failing_allocation(void **state)
{
    struct fixture *f = *state;
    static const char yaml[] = "server: {listen: a, folder: ~/b}\nauth.users: [ada, bob]\nauth.on: true\n";
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        mem_fail_at(n);
        rc = read_yaml(f, yaml);
        mem_fail_at(0);
        if (rc == ERR_NOMEM)
            assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    assert_string_equal(f->values.listen, "a");
}

static void making_one_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct config *c = NULL;
    for (long n = 1; c == NULL; n++) {
        struct values values = {0};
        long live = mem_live();
        mem_fail_at(n);
        c = config_new(options, &values);
        mem_fail_at(0);
        config_free(c);
        assert_int_equal(mem_live(), live);
    }
}

static void the_environment_survives_every_failing_allocation(void **state)
{
    struct fixture *f = *state;
    char *const environment[] = {VARIABLE("HEARTH_SERVER_LISTEN=x"), VARIABLE("HEARTH_AUTH_USERS=a,b"), NULL};
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        rc = config_read_environment(f->config, environment, NULL, &f->err);
        mem_fail_at(0);
    }
    assert_int_equal(rc, ERR_OK);
}

/* ---- the real rows ---- */

/* The example with the # of every setting taken away: "  #key: value" becomes "  key: value". */
static void uncomment(struct buf *b)
{
    for (char *p = strstr(b->data, "\n  #"); p != NULL; p = strstr(p + 1, "\n  #"))
        if (p[4] != ' ')
            p[3] = ' ';
}

static void the_example_file_reads_back_as_the_defaults(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf example = BUF(1 << 20);
    cleanup(buf_clear) struct buf before = BUF(1 << 20);
    cleanup(buf_clear) struct buf after = BUF(1 << 20);
    struct settings settings = {0};
    struct err err;
    struct config *c = config_new(settings_options, &settings);
    config_write_example(settings_options, &example);
    assert_int_equal(config_read_text(c, "example", example.data, example.len, &err), ERR_OK);
    for (size_t i = 0; settings_options[i].name != NULL; i++)
        assert_string_equal(config_origin(c, i), "default"); /* everything is commented out */
    for (size_t i = 0; settings_options[i].name != NULL; i++)
        config_write_value(c, i, &before);
    uncomment(&example);
    if (config_read_text(c, "example", example.data, example.len, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; settings_options[i].name != NULL; i++) {
        assert_int_equal(strncmp(config_origin(c, i), "file example line ", 18), 0);
        config_write_value(c, i, &after);
    }
    assert_string_equal(buf_cstr(&before), buf_cstr(&after));
    config_free(c);
}

static void the_reference_page_has_every_row(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf page = BUF(1 << 20);
    config_write_markdown(settings_options, &page);
    for (size_t i = 0; settings_options[i].name != NULL; i++) {
        char row[80];
        (void)snprintf(row, sizeof row, "\n| `%s` | ", settings_options[i].name);
        assert_non_null(strstr(page.data, row));
    }
    cleanup(buf_clear) struct buf escaped = BUF(1 << 20);
    config_write_markdown(options, &escaped);
    assert_non_null(strstr(escaped.data, "Who \\| whom."));
}

static void the_page_in_the_tree_is_up_to_date(void **state)
{
    (void)state;
    const char *root = getenv("HEARTH_SOURCE");
    if (root == NULL)
        skip();
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/docs/configuration.md", root);
    cleanup(buf_clear) struct buf page = BUF(1 << 20);
    cleanup(buf_clear) struct buf file = BUF(1 << 20);
    struct err err;
    config_write_markdown(settings_options, &page);
    assert_int_equal(io_read_file(path, &file, &err), ERR_OK);
    if (strcmp(page.data, file.data) != 0)
        fail_msg("docs/configuration.md is old: hearth config --markdown > docs/configuration.md");
}

#define WITH_CONFIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONFIG(initial_values_are_the_rows),
        WITH_CONFIG(a_file_sets_nested_and_dotted_keys),
        WITH_CONFIG(files_with_nothing_in_them_are_fine),
        WITH_CONFIG(a_list_may_be_text_or_a_sequence),
        WITH_CONFIG(an_unknown_key_is_refused_with_the_nearest_one),
        WITH_CONFIG(a_bad_value_is_refused_with_what_is_allowed),
        WITH_CONFIG(a_refused_file_changes_nothing),
        WITH_CONFIG(a_key_given_twice_is_refused_with_both_lines),
        WITH_CONFIG(what_is_no_configuration_is_refused),
        WITH_CONFIG(what_is_no_yaml_is_refused_with_its_line),
        WITH_CONFIG(a_file_that_is_too_large_or_missing_is_refused),
        WITH_CONFIG(a_file_is_read_from_disk),
        WITH_CONFIG(the_environment_sets_values),
        WITH_CONFIG(mistakes_in_the_environment_are_named),
        WITH_CONFIG(pairs_from_the_command_line_set_values),
        WITH_CONFIG(reading_survives_every_failing_allocation),
        cmocka_unit_test(making_one_survives_every_failing_allocation),
        WITH_CONFIG(the_environment_survives_every_failing_allocation),
        cmocka_unit_test(the_example_file_reads_back_as_the_defaults),
        cmocka_unit_test(the_reference_page_has_every_row),
        cmocka_unit_test(the_page_in_the_tree_is_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
