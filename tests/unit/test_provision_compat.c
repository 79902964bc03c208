/* The environment of the provisioner that hearth stands in for, and what hearth's own settings make of it. */
#include "base/mem.h"
#include "provision/compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    struct settings settings;
    struct config *config;
    struct err err;
    char quartz[32];
};

static const char *const variables[] = {
    "CLOUDERA_MODE",  "LIVY_URL",     "SCHEDULER_PROP",   "LOGIN_CONTEXT",     "HDFS_NAMENODE0",
    "HDFS_NAMENODE1", "WEBHDFS_PORT", "WEBHDFS_PROTOCOL", "USE_KERBEROS_AUTH",
};

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->config = config_new(settings_options, &w->settings);
    *state = w;
    set("CLOUDERA_MODE", "private");
    set("LIVY_URL", "http://livy:8998");
    set("SCHEDULER_PROP", "");
    set("LOGIN_CONTEXT", "client");
    set("HDFS_NAMENODE0", "nn0.example.org");
    set("HDFS_NAMENODE1", "nn1.example.org");
    set("WEBHDFS_PORT", "9870");
    set("WEBHDFS_PROTOCOL", "https");
    set("USE_KERBEROS_AUTH", "true");
    return w->config == NULL;
}

static int end(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    if (w->quartz[0] != '\0')
        unlink(w->quartz);
    config_free(w->config);
    free(w);
    return mem_live() != 0;
}

static enum err_code read_environment(struct world *w)
{
    enum err_code rc = provision_read_environment(w->config, &w->settings, &w->err);
    return rc == ERR_OK ? provision_check_settings(&w->settings, &w->err) : rc;
}

static void assert_refused(struct world *w, const char *words)
{
    assert_int_equal(read_environment(w), ERR_INVALID);
    if (strstr(w->err.msg, words) == NULL)
        fail_msg("'%s' is not in: %s", words, w->err.msg);
}

static void write_quartz(struct world *w, const char *text)
{
    (void)snprintf(w->quartz, sizeof w->quartz, "/tmp/hearth-quartz-XXXXXX");
    int fd = mkstemp(w->quartz);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    set("SCHEDULER_PROP", w->quartz);
}

static const char *origin_of(const struct world *w, const char *key)
{
    size_t i = 0;
    while (strcmp(settings_options[i].name, key) != 0)
        i++;
    return config_origin(w->config, i);
}

static void the_variables_become_settings(void **state)
{
    struct world *w = *state;
    assert_int_equal(read_environment(w), ERR_OK);
    assert_string_equal(w->settings.provision.livy_url, "http://livy:8998");
    assert_string_equal(origin_of(w, "provision.livy_url"), "environment LIVY_URL");
    assert_int_equal(w->settings.provision.namenodes.n, 2);
    assert_string_equal(w->settings.provision.namenodes.items[0], "https://nn0.example.org:9870");
    assert_string_equal(w->settings.provision.namenodes.items[1], "https://nn1.example.org:9870");
    assert_true(w->settings.provision.kerberos);
    assert_true(w->settings.provision.livy_required);
    assert_int_equal(w->settings.provision.threads, 10);
}

static void without_a_mode_nothing_is_looked_at(void **state)
{
    struct world *w = *state;
    unsetenv("CLOUDERA_MODE");
    set("WEBHDFS_PORT", "no port");
    assert_int_equal(read_environment(w), ERR_OK);
    assert_string_equal(w->settings.provision.livy_url, "");
    assert_int_equal(w->settings.provision.namenodes.n, 0);
    assert_false(w->settings.provision.livy_required);
}

static void another_mode_is_refused(void **state)
{
    struct world *w = *state;
    set("CLOUDERA_MODE", "public");
    assert_refused(w, "CLOUDERA_MODE: 'public' is not supported");
    set("CLOUDERA_MODE", "");
    assert_refused(w, "CLOUDERA_MODE: '' is not supported");
}

static void each_missing_variable_is_named(void **state)
{
    struct world *w = *state;
    for (size_t i = 1; i < sizeof variables / sizeof *variables; i++) {
        char *before = strdup(getenv(variables[i]));
        unsetenv(variables[i]);
        char words[64];
        (void)snprintf(words, sizeof words, "%s is not set", variables[i]);
        assert_refused(w, words);
        set(variables[i], before);
        free(before);
    }
}

static void empty_variables_are_fine(void **state)
{
    struct world *w = *state;
    for (size_t i = 1; i < sizeof variables / sizeof *variables; i++)
        set(variables[i], "");
    assert_int_equal(read_environment(w), ERR_OK);
    assert_string_equal(w->settings.provision.livy_url, "");
    assert_true(w->settings.provision.livy_required);
    assert_int_equal(w->settings.provision.namenodes.n, 0);
    assert_false(w->settings.provision.kerberos);
}

static void kerberos_is_on_for_the_word_true_alone(void **state)
{
    struct world *w = *state;
    set("USE_KERBEROS_AUTH", "True");
    assert_int_equal(read_environment(w), ERR_OK);
    assert_false(w->settings.provision.kerberos);
}

static void an_empty_name_leaves_that_node_out(void **state)
{
    struct world *w = *state;
    set("HDFS_NAMENODE0", "");
    set("WEBHDFS_PORT", "");
    assert_int_equal(read_environment(w), ERR_OK);
    assert_int_equal(w->settings.provision.namenodes.n, 1);
    assert_string_equal(w->settings.provision.namenodes.items[0], "https://nn1.example.org");
}

static void settings_of_hearth_win(void **state)
{
    struct world *w = *state;
    assert_int_equal(config_set(w->config, "provision.livy_url", "", "--set", &w->err), ERR_OK);
    assert_int_equal(config_set(w->config, "provision.namenodes", "http://one:50070", "--set", &w->err),
                     ERR_OK);
    assert_int_equal(config_set(w->config, "provision.kerberos", "false", "--set", &w->err), ERR_OK);
    assert_int_equal(config_set(w->config, "provision.threads", "3", "--set", &w->err), ERR_OK);
    write_quartz(w, "org.quartz.threadPool.threadCount=25");
    assert_int_equal(read_environment(w), ERR_OK);
    assert_string_equal(w->settings.provision.livy_url, "");
    assert_false(w->settings.provision.livy_required); /* jobs run in hearth */
    assert_int_equal(w->settings.provision.namenodes.n, 1);
    assert_false(w->settings.provision.kerberos);
    assert_int_equal(w->settings.provision.threads, 3);
}

static void the_scheduler_file_is_understood(void **state)
{
    struct world *w = *state;
    write_quartz(w,
                 "! comment\n# another\n"
                 "org.quartz.scheduler.instanceName = Provisioner\n"
                 "org.quartz.scheduler.instanceId: AUTO\n"
                 "org.quartz.threadPool.\\\n   threadCount 2\\u0035\n"
                 "org.quartz.jobStore.misfireThreshold=120000\n"
                 "org.quartz.jobStore.class=org.quartz.impl.jdbcjobstore.JobStoreTX\n"
                 "org.quartz.jobStore.driverDelegateClass=org.quartz.impl.jdbcjobstore.PostgreSQLDelegate\n"
                 "org.quartz.dataSource.ds.URL=jdbc:postgresql://db/quartz\n"
                 "org.quartz.dataSource.ds.password=secret\n"
                 "something.else=1\n");
    assert_int_equal(read_environment(w), ERR_OK);
    assert_int_equal(w->settings.provision.threads, 25);
    assert_non_null(strstr(origin_of(w, "provision.threads"), "org.quartz.threadPool.threadCount in /tmp/"));
    assert_int_equal(w->settings.schedule.misfire_threshold_ms, 120000);
}

static void the_log_never_tells_a_password(void **state)
{
    struct world *w = *state;
    write_quartz(w,
                 "org.quartz.dataSource.ds.password=hidden-word\norg.quartz.scheduler.instanceName=Mine\n");
    assert_int_equal(read_environment(w), ERR_OK);
    FILE *log = tmpfile();
    int standard_error = dup(STDERR_FILENO);
    assert_true(dup2(fileno(log), STDERR_FILENO) >= 0);
    provision_log_environment(&w->settings);
    assert_true(dup2(standard_error, STDERR_FILENO) >= 0);
    (void)close(standard_error);
    char text[4096] = "";
    rewind(log);
    assert_true(fread(text, 1, sizeof text - 1, log) > 0);
    (void)fclose(log);
    assert_non_null(strstr(text, "org.quartz.dataSource.ds.password"));
    assert_non_null(strstr(text, "Mine"));
    assert_non_null(strstr(text, "KRB5_CLIENT_KTNAME"));
    assert_null(strstr(text, "hidden-word"));
}

static void a_scheduler_file_that_cannot_be_obeyed_is_refused(void **state)
{
    struct world *w = *state;
    write_quartz(w, "org.quartz.threadPool.threadCount=many");
    assert_refused(w, "org.quartz.threadPool.threadCount in /tmp/");
    assert_int_equal(truncate(w->quartz, 0), 0);
    assert_int_equal(truncate(w->quartz, 128 * 1024), 0);
    assert_int_not_equal(read_environment(w), ERR_OK);
    assert_non_null(strstr(w->err.msg, "SCHEDULER_PROP"));
    set("SCHEDULER_PROP", "/does/not/exist.properties");
    assert_int_not_equal(read_environment(w), ERR_OK);
    assert_non_null(strstr(w->err.msg, "SCHEDULER_PROP: /does/not/exist.properties"));
}

static void impossible_addresses_are_refused(void **state)
{
    struct world *w = *state;
    set("WEBHDFS_PORT", "70000");
    assert_refused(w, "WEBHDFS_PORT");
    set("WEBHDFS_PORT", "9870");
    set("WEBHDFS_PROTOCOL", "ftp");
    assert_refused(w, "WEBHDFS_PROTOCOL: 'ftp'");
    set("WEBHDFS_PROTOCOL", "http");
    set("HDFS_NAMENODE1", "http://nn1");
    assert_refused(w, "HDFS_NAMENODE1: 'http://nn1'");
}

static void an_impossible_livy_url_is_refused(void **state)
{
    struct world *w = *state;
    set("LIVY_URL", "livy:8998");
    assert_refused(w, "provision.livy_url: 'livy:8998'");
}

static void check_setting(struct world *w, const char *key, const char *value, bool good)
{
    assert_int_equal(config_set(w->config, key, value, "--set", &w->err), ERR_OK);
    bool found_good = provision_check_settings(&w->settings, &w->err) == ERR_OK;
    if (found_good != good)
        fail_msg("%s=%s", key, value);
    if (!good)
        assert_non_null(strstr(w->err.msg, key));
}

static void settings_are_checked(void **state)
{
    struct world *w = *state;
    static const char *const good[] = {"", "http://livy", "HTTPS://livy:8998/", "http://[::1]:8998/gate/way"};
    static const char *const bad[] = {
        "livy",       "ftp://livy",        "http://",    "http://:80",      "http://livy:",
        "http://l:0", "http://livy:99999", "http://l i", "http://livy?x=1", "http://livy/#a"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        check_setting(w, "provision.livy_url", good[i], true);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_setting(w, "provision.livy_url", bad[i], false);
    check_setting(w, "provision.livy_url", "", true);
    check_setting(w, "provision.namenodes", "http://a:1, http://b:2", true);
    check_setting(w, "provision.namenodes", "http://a:1 http://b:2 http://c:3", false);
    check_setting(w, "provision.namenodes", "http://a:1/path", false);
    check_setting(w, "provision.namenodes", "a:1", false);
}

static void reading_survives_every_failing_allocation(void **state)
{
    struct world *w = *state;
    write_quartz(w, "org.quartz.threadPool.threadCount=25\nother=1\n");
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc != ERR_OK; n++) {
        long live = mem_live();
        struct settings settings = {0};
        struct config *c = config_new(settings_options, &settings);
        assert_non_null(c);
        mem_fail_at(n);
        rc = provision_read_environment(c, &settings, &w->err);
        mem_fail_at(0);
        config_free(c);
        assert_int_equal(mem_live(), live);
        assert_true(n < 1000);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(the_variables_become_settings),
        TEST(without_a_mode_nothing_is_looked_at),
        TEST(another_mode_is_refused),
        TEST(each_missing_variable_is_named),
        TEST(empty_variables_are_fine),
        TEST(kerberos_is_on_for_the_word_true_alone),
        TEST(an_empty_name_leaves_that_node_out),
        TEST(settings_of_hearth_win),
        TEST(the_scheduler_file_is_understood),
        TEST(the_log_never_tells_a_password),
        TEST(a_scheduler_file_that_cannot_be_obeyed_is_refused),
        TEST(impossible_addresses_are_refused),
        TEST(an_impossible_livy_url_is_refused),
        TEST(settings_are_checked),
        TEST(reading_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
