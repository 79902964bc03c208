/* Finding Spark and java, and the command lines of drivers. Each rule of Spark's launcher is also compared
 * with the launcher itself, in tests/e2e/test_command_oracle.py. */
#include "fake_spark.h"

#include "base/clock.h"
#include "spark/spark_internal.h"

#include <errno.h>
#include <signal.h>

static struct fake_spark fake;
static const uint64_t MIB = 1024 * 1024;

static int setup(void **state)
{
    (void)state;
    fake_init(&fake, "3.5.7");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_clear(&fake);
    return 0;
}

static struct spark_submission simple(void)
{
    struct spark_submission s = {.file = mem_strdup("/apps/app.py")};
    assert_non_null(s.file);
    return s;
}

static struct spark_submission with_conf(const char *key, const char *value)
{
    struct spark_submission s = simple();
    assert_int_equal(strmap_set(&s.conf, key, value), 0);
    return s;
}

/* Builds, and clears the submission. */
static struct spark_command build(struct spark *s, struct spark_submission *submission)
{
    struct spark_command c = {0};
    struct err err = {0};
    if (spark_build_command(s, submission, &c, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    spark_submission_clear(submission);
    return c;
}

static void assert_refused(struct spark *s, struct spark_submission *submission, const char *words)
{
    struct spark_command c = {0};
    struct err err = {0};
    assert_int_equal(spark_build_command(s, submission, &c, &err), ERR_INVALID);
    if (strstr(err.msg, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.msg, words);
    spark_submission_clear(submission);
}

/* The item behind `option`; NULL when there is none. */
static const char *behind(const struct strlist *argv, const char *option)
{
    for (size_t i = 0; i + 1 < argv->n; i++)
        if (strcmp(argv->items[i], option) == 0)
            return argv->items[i + 1];
    return NULL;
}

/* ---- finding Spark ---- */

static void the_home_is_the_options_then_the_environments(void **state)
{
    (void)state;
    struct spark *s = fake_open(&fake, NULL);
    assert_string_equal(spark_home(s), fake.home);
    spark_close(s);
    assert_int_equal(setenv("SPARK_HOME", fake.home, 1), 0);
    struct spark_options options = {.home = ""};
    assert_int_equal(spark_open(&options, &s, NULL), ERR_OK);
    assert_string_equal(spark_home(s), fake.home);
    spark_close(s);
    assert_int_equal(setenv("SPARK_HOME", "/nowhere", 1), 0);
    struct err err = {0};
    assert_int_equal(spark_open(&options, &s, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "/nowhere/jars"));
}

/* Puts FOLDER/NAME in front of PATH; *old is what to give back. */
static void enter_path(const char *name, char **old)
{
    *old = mem_strdup(getenv("PATH"));
    cleanup(mem_freep) char *path = mem_printf("%s/%s:%s", fake.folder, name, *old);
    assert_int_equal(setenv("PATH", path, 1), 0);
}

static void leave_path(char *old)
{
    assert_int_equal(setenv("PATH", old, 1), 0);
    mem_free(old);
}

static void the_home_is_where_a_linked_spark_submit_leads(void **state)
{
    (void)state;
    char *old = NULL;
    char link[160], target[160];
    fake_write(&fake, "spark/bin/spark-submit", "#!/bin/sh\n", 0755);
    fake_write(&fake, "bin/other", "", 0644);
    (void)snprintf(link, sizeof link, "%s/bin/spark-submit", fake.folder);
    (void)snprintf(target, sizeof target, "%s/bin/spark-submit", fake.home);
    assert_int_equal(symlink(target, link), 0);
    enter_path("bin", &old);
    struct spark *s = NULL;
    struct spark_options options = {0};
    assert_int_equal(spark_open(&options, &s, NULL), ERR_OK);
    assert_string_equal(spark_home(s), fake.home);
    spark_close(s);
    leave_path(old);
}

static void the_home_is_what_pips_program_says(void **state)
{
    (void)state;
    char *old = NULL;
    fake_write(&fake, "venv/bin/spark-submit", "#!/bin/sh\n", 0755);
    fake_write(&fake, "venv/bin/find_spark_home.py", "#\n", 0644);
    char python[160];
    (void)snprintf(python, sizeof python, "#!/bin/sh\necho %s\n", fake.home);
    fake_write(&fake, "venv/bin/python3", python, 0755);
    enter_path("venv/bin", &old);
    struct spark *s = NULL;
    struct spark_options options = {0};
    assert_int_equal(spark_open(&options, &s, NULL), ERR_OK);
    assert_string_equal(spark_home(s), fake.home);
    spark_close(s);
    leave_path(old);
}

static void without_spark_the_message_says_how_to_mend_it(void **state)
{
    (void)state;
    char *old = mem_strdup(getenv("PATH"));
    assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
    struct err err = {0};
    struct spark *s = NULL;
    struct spark_options options = {0};
    assert_int_equal(spark_open(&options, &s, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "SPARK_HOME"));
    assert_non_null(strstr(err.msg, "pip install pyspark"));
    assert_null(s);
    leave_path(old);
}

static void the_version_is_that_of_release_then_of_the_jar(void **state)
{
    (void)state;
    struct spark *s = fake_open(&fake, NULL);
    assert_string_equal(spark_version(s), "3.5.7");
    spark_close(s);
    fake_write(&fake, "spark/RELEASE", "Spark 4.1.4 (git revision 0) built for Hadoop 3.4.2\nflags\n", 0644);
    s = fake_open(&fake, NULL);
    assert_string_equal(spark_version(s), "4.1.4");
    spark_close(s);
}

static void spark_before_3_3_is_refused(void **state)
{
    (void)state;
    fake_write(&fake, "spark/RELEASE", "Spark 3.2.4 built for Hadoop 3.3.1\n", 0644);
    struct err err = {0};
    struct spark *s = NULL;
    struct spark_options options = {.home = fake.home};
    assert_int_equal(spark_open(&options, &s, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "3.2.4"));
}

static void java_is_spark_envs_then_the_one_on_path_without_links(void **state)
{
    (void)state;
    char *old = NULL;
    char text[160], real[160];
    fake_write(&fake, "jdk/bin/java", "#!/bin/sh\n", 0755);
    (void)snprintf(text, sizeof text, "JAVA_HOME=%s/jdk\n", fake.folder);
    fake_write(&fake, "spark/conf/spark-env.sh", text, 0644);
    (void)snprintf(real, sizeof real, "%s/jdk/bin/java", fake.folder);
    struct spark *s = fake_open(&fake, NULL);
    assert_string_equal(spark_java(s), real);
    spark_close(s);

    fake_write(&fake, "spark/conf/spark-env.sh", "unset JAVA_HOME\n", 0644);
    fake_write(&fake, "bin/other", "", 0644);
    (void)snprintf(text, sizeof text, "%s/bin/java", fake.folder);
    assert_int_equal(symlink(real, text), 0);
    enter_path("bin", &old);
    s = fake_open(&fake, NULL);
    assert_string_equal(spark_java(s), real);
    spark_close(s);
    leave_path(old);
}

static void a_java_home_without_java_is_told(void **state)
{
    (void)state;
    fake_write(&fake, "spark/conf/spark-env.sh", "JAVA_HOME=/nowhere\n", 0644);
    struct err err = {0};
    struct spark *s = NULL;
    struct spark_options options = {.home = fake.home};
    assert_int_equal(spark_open(&options, &s, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "/nowhere/bin/java"));
}

/* ---- programs run for their output ---- */

static void a_failing_spark_env_is_told_with_its_last_words(void **state)
{
    (void)state;
    fake_write(&fake, "spark/conf/spark-env.sh", "echo first >&2; echo the reason >&2; exit 3\n", 0644);
    struct err err = {0};
    struct spark *s = NULL;
    struct spark_options options = {.home = fake.home};
    assert_int_equal(spark_open(&options, &s, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "exit code 3: the reason"));
}

static void a_hanging_program_is_killed_with_its_children(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf out = BUF(1000);
    struct err err = {0};
    const char *const argv[] = {"sh", "-c", "sleep 600 & echo $!; wait", NULL};
    assert_int_equal(run_for_output(argv, NULL, 300, &out, &err), ERR_TIMEOUT);
    pid_t child = (pid_t)strtol(buf_cstr(&out), NULL, 10);
    assert_true(child > 1);
    int64_t deadline = clock_mono_ms() + 10000; /* for init, which reaps it */
    while (kill(child, 0) == 0 && clock_mono_ms() < deadline)
        (void)usleep(1000);
    char stat_path[64];
    (void)snprintf(stat_path, sizeof stat_path, "/proc/%d/stat", (int)child);
    cleanup(buf_clear) struct buf stat = BUF(4096);
    bool gone = io_read_file(stat_path, &stat, NULL) != ERR_OK || strstr(buf_cstr(&stat), ") Z ") != NULL;
    assert_true(gone);
}

static void a_program_left_behind_with_the_pipes_is_not_waited_for(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf out = BUF(1000);
    struct err err = {0};
    const char *const argv[] = {"sh", "-c", "echo out; sleep 600 & echo $!", NULL};
    assert_int_equal(run_for_output(argv, NULL, 60000, &out, &err), ERR_OK);
    assert_true(str_starts(buf_cstr(&out), "out\n"));
    (void)kill((pid_t)strtol(buf_cstr(&out) + 4, NULL, 10), SIGKILL);
}

static void too_much_output_is_an_error(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf out = BUF(1000);
    struct err err = {0};
    const char *const argv[] = {"sh", "-c", "yes | head -c 300000", NULL};
    assert_int_equal(run_for_output(argv, NULL, 60000, &out, &err), ERR_TOO_LARGE);
    const char *const unknown[] = {"/nowhere/program", NULL};
    assert_int_equal(run_for_output(unknown, NULL, 60000, &out, &err), ERR_IO);
}

/* ---- commands ---- */

static void a_command_has_javas_options_then_spark_submits(void **state)
{
    (void)state;
    fake_write(&fake, "spark/conf/spark-defaults.conf", "spark.driver.memory 2g\n", 0644);
    struct spark *s = fake_open(&fake, NULL);
    struct spark_submission submission = with_conf("spark.x", "y z");
    assert_int_equal(strlist_add(&submission.args, "$a 'b'"), 0);
    assert_int_equal(mem_set_str(&submission.master, "local[2]"), 0);
    assert_int_equal(mem_set_str(&submission.name, "n"), 0);
    struct spark_command c = build(s, &submission);
    cleanup(mem_freep) char *joined = strlist_join(&c.argv, "|");
    cleanup(mem_freep) char *head =
        mem_printf("%s/java/bin/java|-cp|%s/conf/:%s/jars/*|-Xmx2g|-XX:+IgnoreUnrecognizedVMOptions|",
                   fake.folder, fake.home, fake.home);
    assert_true(str_starts(joined, head));
    assert_true(str_ends(joined, "|org.apache.spark.deploy.SparkSubmit|--master|local[2]|--conf|spark.x=y z|"
                                 "--name|n|/apps/app.py|$a 'b'"));
    assert_true(strlist_has(&c.env, "PYTHONHASHSEED=0"));
    assert_true(strlist_has(&c.env, "SPARK_ENV_LOADED=1"));
    assert_int_equal(c.memory_bytes, 2048 * MIB + 384 * MIB);
    assert_false(c.remote);
    spark_command_clear(&c);
    spark_close(s);
}

static void variables_of_a_submission_are_set_and_kept(void **state)
{
    (void)state;
    struct spark *s = fake_open(&fake, NULL);
    struct spark_submission submission = simple();
    assert_int_equal(strmap_set(&submission.env, "TZ", "UTC"), 0);
    assert_int_equal(strmap_set(&submission.env, "PYTHONHASHSEED", "7"), 0);
    cleanup(buf_clear) struct buf text = BUF(4096);
    struct json_out out;
    json_out_open(&out, &text);
    spark_submission_write(&submission, &out, NULL);
    spark_submission_clear(&submission);
    json_t *kept = json_loads(buf_cstr(&text), 0, NULL);
    assert_int_equal(spark_submission_read(&submission, kept, NULL), ERR_OK);
    json_decref(kept);
    struct spark_command c = build(s, &submission);
    assert_true(strlist_has(&c.env, "TZ=UTC"));
    assert_true(strlist_has(&c.env, "PYTHONHASHSEED=7"));
    assert_false(strlist_has(&c.env, "PYTHONHASHSEED=0"));
    spark_command_clear(&c);
    spark_close(s);
}

static void what_spark_submit_refuses_is_refused_by_name(void **state)
{
    (void)state;
    struct spark *s = fake_open(&fake, NULL);
    struct spark_submission submission = with_conf("spark.driver.extraJavaOptions", "-Da=b -Xmx2g");
    assert_refused(s, &submission, "spark.driver.extraJavaOptions");
    submission = with_conf("spark.driver.defaultJavaOptions", "'secret");
    assert_refused(s, &submission, "spark.driver.defaultJavaOptions");
    submission = (struct spark_submission){0};
    assert_refused(s, &submission, "file is required");
    submission = (struct spark_submission){.file = mem_strdup("--kill")};
    assert_refused(s, &submission, "must not begin with '-'");
    fake_write(&fake, "spark/conf/spark-defaults.conf", "a 1\nb \\u00\n", 0644);
    submission = simple();
    assert_refused(s, &submission, "spark-defaults.conf: line 2");
    spark_close(s);
}

static void a_changed_defaults_file_counts_for_the_next_command(void **state)
{
    (void)state;
    struct spark *s = fake_open(&fake, NULL);
    struct spark_submission submission = simple();
    struct spark_command c = build(s, &submission);
    assert_true(strlist_has(&c.argv, "-Xmx1g"));
    spark_command_clear(&c);
    fake_write(&fake, "spark/conf/spark-defaults.conf", "spark.driver.memory 3g\n", 0644);
    submission = simple();
    c = build(s, &submission);
    assert_true(strlist_has(&c.argv, "-Xmx3g"));
    spark_command_clear(&c);
    spark_close(s);
}

static void each_version_of_spark_has_its_own_options(void **state)
{
    (void)state;
    static const struct {
        const char *release;
        const char *has;
        const char *has_not;
    } rows[] = {
        {"Spark 3.3.4", "-XX:+IgnoreUnrecognizedVMOptions", "-Djdk.reflect.useDirectMethodHandle=false"},
        {"Spark 3.4.4", "-Djdk.reflect.useDirectMethodHandle=false", "--add-modules=jdk.incubator.vector"},
        {"Spark 4.0.1", "--add-modules=jdk.incubator.vector", "-Dio.netty.allocator.type=pooled"},
        {"Spark 4.1.4", "-Dio.netty.allocator.type=pooled", "--sun-misc-unsafe-memory-access=allow"},
        {"Spark 4.2.1", "--sun-misc-unsafe-memory-access=allow", "-Djdk.reflect.useDirectMethodHandle=false"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fake_write(&fake, "spark/RELEASE", rows[i].release, 0644);
        struct spark *s = fake_open(&fake, NULL);
        struct spark_submission submission = simple();
        struct spark_command c = build(s, &submission);
        assert_true(strlist_has(&c.argv, rows[i].has));
        assert_false(strlist_has(&c.argv, rows[i].has_not));
        bool hive_jackson = strstr(behind(&c.argv, "-cp"), "hive-jackson/*") != NULL;
        assert_int_equal(hive_jackson, strcmp(rows[i].release, "Spark 4.0.1") == 0);
        spark_command_clear(&c);
        spark_close(s);
    }
}

static void with_spark_connect_some_jars_stay_outside(void **state)
{
    (void)state;
    fake_write(&fake, "spark/RELEASE", "Spark 4.1.4", 0644);
    fake_write(&fake, "spark/jars/spark-sql_2.13-4.1.4.jar", "", 0644);
    fake_write(&fake, "spark/jars/connect-repl/a.jar", "", 0644);
    struct spark *s = fake_open(&fake, NULL);
    struct spark_submission submission = with_conf("spark.remote", "sc://host");
    struct spark_command c = build(s, &submission);
    const char *path = behind(&c.argv, "-cp");
    assert_non_null(strstr(path, "jars/spark-core_2.12-3.5.7.jar"));
    assert_non_null(strstr(path, "jars/connect-repl/*"));
    assert_null(strstr(path, "spark-sql_"));
    assert_null(strstr(path, "jars/*"));
    spark_command_clear(&c);
    spark_close(s);
}

/* ---- estimates ---- */

struct estimate_row {
    const char *master, *mode, *conf[4];
    uint64_t mib;
    bool remote;
};

static void assert_estimate(struct spark *s, const struct estimate_row *row)
{
    struct spark_submission submission = simple();
    uint64_t bytes = 0;
    bool remote = !row->remote;
    assert_int_equal(mem_set_str(&submission.master, row->master), 0);
    assert_int_equal(mem_set_str(&submission.deploy_mode, row->mode), 0);
    for (size_t i = 0; i < 4 && row->conf[i] != NULL; i += 2)
        assert_int_equal(strmap_set(&submission.conf, row->conf[i], row->conf[i + 1]), 0);
    assert_int_equal(spark_estimate(s, &submission, &bytes, &remote, NULL), ERR_OK);
    assert_int_equal(bytes, row->mib * MIB);
    assert_int_equal(remote, row->remote);
    spark_submission_clear(&submission);
}

static void memory_is_the_heap_and_what_a_jvm_needs_beside_it(void **state)
{
    (void)state;
    static const struct estimate_row rows[] = {
        {NULL, NULL, {NULL}, 1024 + 384, false},
        {"local[4]", NULL, {"spark.driver.memory", "512m"}, 512 + 384, false},
        {"local", "client", {"spark.driver.memory", "10g"}, 10240 + 1024, false},
        {NULL, NULL, {"spark.driver.memory", "banana"}, 1024 + 384, false},
        {NULL, NULL, {"spark.driver.memory", "999999999999g"}, 1024 + 384, false},
        {NULL, NULL, {"spark.driver.memory", "2g", "spark.driver.memoryOverhead", "1g"}, 3072, false},
        {NULL, NULL, {"spark.driver.memory", "2g", "spark.driver.memoryOverhead", "100"}, 2148, false},
        {NULL, NULL, {"spark.driver.memory", "2g", "spark.driver.memoryOverheadFactor", "0.5"}, 3072, false},
        {NULL, NULL, {"spark.driver.memory", "2g", "spark.driver.memoryOverheadFactor", "much"}, 2432, false},
        {"yarn", NULL, {"spark.driver.memory", "2g"}, 2432, true},
        {"yarn", "cluster", {"spark.driver.memory", "20g"}, 512, true},
        {"k8s://https://h", "cluster", {NULL}, 512, true},
        {"spark://h:7077", NULL, {NULL}, 1408, false},
        {"spark://h:7077", NULL, {"spark.submit.deployMode", "cluster"}, 512, true},
        {NULL, NULL, {"spark.master", "yarn"}, 1408, true},
    };
    struct spark *s = fake_open(&fake, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_estimate(s, &rows[i]);
    spark_close(s);
}

/* ---- memory ---- */

static void building_survives_every_failing_allocation(void **state)
{
    (void)state;
    fake_write(&fake, "spark/RELEASE", "Spark 4.1.4", 0644);
    fake_write(&fake, "spark/jars/slf4j-api-2.jar", "", 0644);
    fake_write(&fake, "spark/conf/java-opts", "-Da=b\n-Dc=d", 0644);
    fake_write(&fake, "spark/conf/spark-defaults.conf", "spark.driver.extraLibraryPath /l\n", 0644);
    struct spark *s = fake_open(&fake, NULL);
    struct spark_submission submission = with_conf("spark.driver.extraJavaOptions", "-De=f '-Dg=h i'");
    assert_int_equal(strlist_add(&submission.args, "x"), 0);
    assert_int_equal(strlist_add(&submission.py_files, "y.py"), 0);
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        struct spark_command c = {0};
        struct err err = {0};
        mem_fail_at(n);
        rc = spark_build_command(s, &submission, &c, &err);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (c.argv.n > 0));
        spark_command_clear(&c);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    spark_submission_clear(&submission);
    spark_close(s);
}

static void opening_survives_every_failing_allocation(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc != ERR_OK && n < 1000; n++) {
        long live = mem_live();
        struct spark *s = NULL;
        struct spark_options options = {.home = fake.home};
        mem_fail_at(n);
        rc = spark_open(&options, &s, NULL);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (s != NULL));
        spark_close(s);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
}

#define FAKE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TEST(the_home_is_the_options_then_the_environments),
        FAKE_TEST(the_home_is_where_a_linked_spark_submit_leads),
        FAKE_TEST(the_home_is_what_pips_program_says),
        FAKE_TEST(without_spark_the_message_says_how_to_mend_it),
        FAKE_TEST(the_version_is_that_of_release_then_of_the_jar),
        FAKE_TEST(spark_before_3_3_is_refused),
        FAKE_TEST(java_is_spark_envs_then_the_one_on_path_without_links),
        FAKE_TEST(a_java_home_without_java_is_told),
        FAKE_TEST(a_failing_spark_env_is_told_with_its_last_words),
        FAKE_TEST(a_hanging_program_is_killed_with_its_children),
        FAKE_TEST(a_program_left_behind_with_the_pipes_is_not_waited_for),
        FAKE_TEST(too_much_output_is_an_error),
        FAKE_TEST(a_command_has_javas_options_then_spark_submits),
        FAKE_TEST(variables_of_a_submission_are_set_and_kept),
        FAKE_TEST(what_spark_submit_refuses_is_refused_by_name),
        FAKE_TEST(a_changed_defaults_file_counts_for_the_next_command),
        FAKE_TEST(each_version_of_spark_has_its_own_options),
        FAKE_TEST(with_spark_connect_some_jars_stay_outside),
        FAKE_TEST(memory_is_the_heap_and_what_a_jvm_needs_beside_it),
        FAKE_TEST(building_survives_every_failing_allocation),
        FAKE_TEST(opening_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
