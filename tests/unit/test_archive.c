/* The class-data archive: when it is made, when it is used, what goes wrong with it. java is a script here;
 * tests/e2e/test_archive.py does it with the real one. */
#include "fake_spark.h"

#include "base/clock.h"
#include "spark/spark_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>

/* Does with the archive to be made what FOLDER/java/mode says. */
static const char FAKE_JAVA[] =
    "#!/bin/sh\n"
    "for word; do case $word in -XX:ArchiveClassesAtExit=*) to=${word#*=} ;; esac; done\n"
    "echo ran >>\"${0%/bin/java}/runs\"\n"
    "case $(cat \"${0%/bin/java}/mode\") in\n"
    "  good) printf 'an archive' >\"$to\" ;;\n"
    "  none) ;;\n"
    "  fail) echo 'first words'; echo 'the reason' >&2; exit 7 ;;\n"
    "  hang) echo $$ >\"${0%/bin/java}/pid\"; sleep 600 ;;\n"
    "esac\n";

static struct fake_spark fake;
static char archives[96];

static void set_mode(const char *mode)
{
    fake_write(&fake, "java/mode", mode, 0644);
}

static int setup(void **state)
{
    (void)state;
    fake_init(&fake, "3.5.7");
    fake_write(&fake, "java/bin/java", FAKE_JAVA, 0755);
    set_mode("good");
    (void)snprintf(archives, sizeof archives, "%s/archives", fake.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_clear(&fake);
    return 0;
}

static void on_done(void *arg)
{
    ++*(int *)arg;
}

/* Trains until the loop has nothing left to do. */
static void train(struct spark *s)
{
    uv_loop_t loop;
    int done = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    spark_train(s, &loop, on_done, &done);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(done, 1);
}

static struct spark *open_trained(void)
{
    struct spark *s = fake_open(&fake, archives);
    train(s);
    assert_string_equal(spark_archive_state(s), "ready");
    return s;
}

static unsigned count_runs(void)
{
    char path[128];
    cleanup(buf_clear) struct buf text = BUF(4096);
    (void)snprintf(path, sizeof path, "%s/java/runs", fake.folder);
    return io_read_file(path, &text, NULL) == ERR_OK ? (unsigned)(text.len / strlen("ran\n")) : 0;
}

/* The path of the only file in the archive folder with that end; the caller frees it. */
static char *only_file(const char *suffix)
{
    DIR *d = opendir(archives);
    assert_non_null(d);
    char *found = NULL;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (!str_ends(e->d_name, suffix))
            continue;
        assert_null(found);
        found = mem_printf("%s/%s", archives, e->d_name);
    }
    (void)closedir(d);
    assert_non_null(found);
    return found;
}

static struct spark_command build(struct spark *s, const char *key, const char *value)
{
    struct spark_submission submission = {.file = mem_strdup("/apps/app.py")};
    struct spark_command c = {0};
    struct err err = {0};
    assert_int_equal(key == NULL ? 0 : strmap_set(&submission.conf, key, value), 0);
    if (spark_build_command(s, &submission, &c, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    spark_submission_clear(&submission);
    return c;
}

static void assert_used(struct spark *s, const char *key, const char *value, bool used)
{
    struct spark_command c = build(s, key, value);
    assert_int_equal(strlist_has(&c.argv, "-Xshare:auto"), used);
    assert_int_equal(str_starts(c.argv.items[1], "-XX:SharedArchiveFile="), used);
    spark_command_clear(&c);
}

/* ---- making and using ---- */

static void an_archive_is_made_once_and_used_in_front_of_all_options(void **state)
{
    (void)state;
    fake_write(&fake, "conf/java-opts", "-Dfirst=1", 0644);
    char conf_dir[96];
    (void)snprintf(conf_dir, sizeof conf_dir, "%s/conf", fake.folder);
    assert_int_equal(setenv("SPARK_CONF_DIR", conf_dir, 1), 0);
    struct spark *s = fake_open(&fake, archives);
    assert_string_equal(spark_archive_state(s), "no");
    assert_used(s, NULL, NULL, false);
    train(s);
    assert_string_equal(spark_archive_state(s), "ready");
    struct spark_command c = build(s, NULL, NULL);
    cleanup(mem_freep) char *file = only_file(".jsa");
    cleanup(mem_freep) char *jar = only_file(".jar");
    cleanup(mem_freep) char *first = mem_printf("-XX:SharedArchiveFile=%s", file);
    cleanup(mem_freep) char *path = mem_printf("%s:%s/jars/*", jar, fake.home);
    const char *const expected[] = {first, "-Xshare:auto", "-Xlog:cds*=off", "-Dfirst=1", "-cp", path};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_string_equal(c.argv.items[1 + i], expected[i]);
    spark_command_clear(&c);
    spark_close(s);

    s = fake_open(&fake, archives);
    assert_string_equal(spark_archive_state(s), "ready");
    train(s);
    assert_int_equal(count_runs(), 1);
    spark_close(s);
}

static void without_a_folder_for_archives_none_is_made(void **state)
{
    (void)state;
    struct spark *s = fake_open(&fake, NULL);
    assert_string_equal(spark_archive_state(s), "no");
    train(s);
    assert_string_equal(spark_archive_state(s), "no");
    assert_int_equal(count_runs(), 0);
    spark_close(s);
}

static void training_leaves_only_the_archive_and_its_log(void **state)
{
    (void)state;
    struct spark *s = open_trained();
    DIR *d = opendir(archives);
    assert_non_null(d);
    unsigned others = 0;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (e->d_name[0] != '.' && !str_ends(e->d_name, ".jsa") && strcmp(e->d_name, "training.log") != 0)
            others++;
    (void)closedir(d);
    assert_int_equal(others, 0);
    spark_close(s);
}

static void a_folder_on_the_class_path_is_reached_through_a_jar(void **state)
{
    (void)state;
    fake_write(&fake, "spark/conf/spark-defaults.conf", "spark.x y\n", 0644);
    struct spark *s = open_trained();
    cleanup(mem_freep) char *jar = only_file(".jar");
    cleanup(buf_clear) struct buf text = BUF(4096);
    assert_int_equal(io_read_file(jar, &text, NULL), ERR_OK);
    cleanup(mem_freep) char *line = mem_printf("Class-Path: file://%s/conf/\r\n", fake.home);
    assert_memory_equal(text.data, "PK\3\4", 4);
    assert_non_null(memmem(text.data, text.len, line, strlen(line)));
    assert_used(s, NULL, NULL, true);
    assert_int_equal(unlink(jar), 0);
    assert_used(s, NULL, NULL, false); /* else it would run without its settings */
    spark_close(s);
}

static void a_long_folder_name_is_wrapped_and_encoded(void **state)
{
    (void)state;
    char folder[200], path[128];
    (void)snprintf(folder, sizeof folder, "%s/%s", fake.folder,
                   "a folder with 20% \xc3\xa4 and a name that is longer than a line of a manifest");
    (void)snprintf(path, sizeof path, "%s/x.jar", fake.folder);
    assert_int_equal(folder_jar_make(path, folder, NULL), ERR_OK);
    cleanup(buf_clear) struct buf text = BUF(4096);
    assert_int_equal(io_read_file(path, &text, NULL), ERR_OK);
    const char *at = memmem(text.data, text.len, "Class-Path: ", 12);
    assert_non_null(at);
    const char *end = strstr(at, "\r\n\r\n");
    assert_non_null(end);
    cleanup(buf_clear) struct buf url = BUF(4096);
    for (const char *line = at; line < end;) {
        const char *stop = strstr(line, "\r\n");
        assert_true(stop - line <= 70);
        if (line > at) {
            assert_int_equal(*line, ' ');
            line++;
        }
        buf_add(&url, line, (size_t)(stop - line));
        line = stop + 2;
    }
    assert_non_null(strstr(buf_cstr(&url), "/a%20folder%20with%2020%25%20%C3%A4%20and%20a%20name"));
    assert_true(str_ends(buf_cstr(&url), "manifest/"));
}

static void a_changed_jar_means_another_archive_and_the_end_of_the_old_one(void **state)
{
    (void)state;
    spark_close(open_trained());
    cleanup(mem_freep) char *old = only_file(".jsa");
    fake_write(&fake, "spark/jars/more.jar", "jar", 0644);
    struct spark *s = fake_open(&fake, archives);
    assert_string_equal(spark_archive_state(s), "no");
    train(s);
    cleanup(mem_freep) char *new = only_file(".jsa");
    assert_string_not_equal(old, new);
    spark_close(s);
}

static void a_change_of_java_means_another_archive(void **state)
{
    (void)state;
    spark_close(open_trained());
    fake_write(&fake, "java/release", "JAVA_VERSION=\"17.0.99\"", 0644);
    struct spark *s = fake_open(&fake, archives);
    assert_string_equal(spark_archive_state(s), "no");
    spark_close(s);
}

/* ---- when it is not used ---- */

static void a_damaged_archive_is_not_used_and_made_again(void **state)
{
    (void)state;
    struct spark *s = open_trained();
    assert_used(s, NULL, NULL, true);
    cleanup(mem_freep) char *file = only_file(".jsa");
    assert_int_equal(truncate(file, 3), 0);
    assert_used(s, NULL, NULL, false);
    spark_close(s);
    s = open_trained();
    assert_int_equal(count_runs(), 2);
    cleanup(mem_freep) char *again = only_file(".jsa");
    int fd = open(again, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, "AN", 2, 0) == 2 && close(fd) == 0);
    assert_used(s, NULL, NULL, false); /* the same size, another date */
    spark_close(s);
}

static void another_class_path_goes_without_the_archive(void **state)
{
    (void)state;
    struct spark *s = open_trained();
    assert_used(s, "spark.driver.extraClassPath", "/x.jar", false);
    assert_used(s, "spark.x", "y", true);
    spark_close(s);
}

static void an_extra_class_path_for_all_belongs_to_the_archive(void **state)
{
    (void)state;
    fake_write(&fake, "spark/conf/spark-defaults.conf", "spark.driver.extraClassPath /x.jar\n", 0644);
    struct spark *s = open_trained();
    assert_used(s, NULL, NULL, true);
    assert_used(s, "spark.driver.extraClassPath", "/y.jar", false);
    spark_close(s);
}

static void the_users_own_sharing_options_decide(void **state)
{
    (void)state;
    static const char *const options[] = {"-Xshare:off", "-XX:SharedArchiveFile=/x",
                                          "-Da=b -XX:ArchiveClassesAtExit=/x"};
    struct spark *s = open_trained();
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        assert_used(s, "spark.driver.extraJavaOptions", options[i], false);
    spark_close(s);
    assert_int_equal(setenv("JAVA_TOOL_OPTIONS", "-Xshare:off", 1), 0);
    s = open_trained();
    assert_used(s, NULL, NULL, false);
    spark_close(s);
}

/* ---- what goes wrong ---- */

static void assert_fails(const char *words)
{
    struct spark *s = fake_open(&fake, archives);
    train(s);
    assert_true(str_starts(spark_archive_state(s), "failed: "));
    if (strstr(spark_archive_state(s), words) == NULL)
        fail_msg("'%s' does not say '%s'", spark_archive_state(s), words);
    assert_used(s, NULL, NULL, false);
    spark_close(s);
}

static void a_failing_java_is_told_with_its_last_words(void **state)
{
    (void)state;
    set_mode("fail");
    assert_fails("exit code 7: the reason; see ");
}

static void a_java_that_makes_no_archive_is_told(void **state)
{
    (void)state;
    set_mode("none");
    assert_fails("makes no archive");
}

static void a_java_that_cannot_be_started_is_told(void **state)
{
    (void)state;
    fake_write(&fake, "java/bin/java", "#!/nowhere/interpreter\n", 0755);
    assert_fails("starting ");
}

static void a_folder_with_classes_in_it_is_told(void **state)
{
    (void)state;
    fake_write(&fake, "spark/conf/com/example/Main.class", "", 0644);
    assert_fails("holds classes");
    assert_int_equal(count_runs(), 0);
}

static void a_folder_that_cannot_be_made_is_told(void **state)
{
    (void)state;
    fake_write(&fake, "archives", "a file", 0644);
    assert_fails("archives");
}

static void stopping_ends_a_training_run(void **state)
{
    (void)state;
    set_mode("hang");
    uv_loop_t loop;
    int done = 0;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/java/pid", fake.folder);
    struct spark *s = fake_open(&fake, archives);
    assert_int_equal(uv_loop_init(&loop), 0);
    spark_train(s, &loop, on_done, &done);
    assert_string_equal(spark_archive_state(s), "training");
    assert_used(s, NULL, NULL, false);
    cleanup(buf_clear) struct buf pid = BUF(100);
    for (int64_t end = clock_mono_ms() + 60000;
         strchr(buf_cstr(&pid), '\n') == NULL && clock_mono_ms() < end;) {
        buf_reset(&pid);
        (void)io_read_file(path, &pid, NULL);
        (void)usleep(1000);
    }
    spark_stop_training(s);
    spark_stop_training(s);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(done, 0);
    assert_used(s, NULL, NULL, false);
    spark_close(s);
    pid_t java = (pid_t)strtol(buf_cstr(&pid), NULL, 10);
    assert_true(java > 1);
    assert_int_equal(kill(java, 0), -1);
}

static void opening_survives_every_failing_allocation(void **state)
{
    (void)state;
    fake_write(&fake, "spark/conf/x", "", 0644);
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc != ERR_OK && n < 1000; n++) {
        long live = mem_live();
        struct spark *s = NULL;
        struct spark_options options = {.home = fake.home, .archive_dir = archives};
        mem_fail_at(n);
        rc = spark_open(&options, &s, NULL);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (s != NULL));
        spark_close(s);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
}

static void training_survives_every_failing_allocation(void **state)
{
    (void)state;
    set_mode("fail");
    bool ran = false;
    for (long n = 1; !ran && n < 1000; n++) {
        long live = mem_live();
        struct spark *s = fake_open(&fake, archives);
        unsigned before = count_runs();
        mem_fail_at(n);
        train(s);
        mem_fail_at(0);
        ran = strstr(spark_archive_state(s), "the reason") != NULL && count_runs() > before;
        assert_true(str_starts(spark_archive_state(s), "failed: "));
        spark_close(s);
        assert_int_equal(mem_live(), live);
    }
    assert_true(ran);
}

static void building_survives_every_failing_allocation(void **state)
{
    (void)state;
    fake_write(&fake, "spark/conf/x", "", 0644);
    struct spark *s = open_trained();
    struct spark_submission submission = {.file = mem_strdup("/apps/app.py")};
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        struct spark_command c = {0};
        mem_fail_at(n);
        rc = spark_build_command(s, &submission, &c, NULL);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (c.argv.n > 0));
        spark_command_clear(&c);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    spark_submission_clear(&submission);
    spark_close(s);
}

#define FAKE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TEST(an_archive_is_made_once_and_used_in_front_of_all_options),
        FAKE_TEST(without_a_folder_for_archives_none_is_made),
        FAKE_TEST(training_leaves_only_the_archive_and_its_log),
        FAKE_TEST(a_folder_on_the_class_path_is_reached_through_a_jar),
        FAKE_TEST(a_long_folder_name_is_wrapped_and_encoded),
        FAKE_TEST(a_changed_jar_means_another_archive_and_the_end_of_the_old_one),
        FAKE_TEST(a_change_of_java_means_another_archive),
        FAKE_TEST(a_damaged_archive_is_not_used_and_made_again),
        FAKE_TEST(another_class_path_goes_without_the_archive),
        FAKE_TEST(an_extra_class_path_for_all_belongs_to_the_archive),
        FAKE_TEST(the_users_own_sharing_options_decide),
        FAKE_TEST(a_failing_java_is_told_with_its_last_words),
        FAKE_TEST(a_java_that_makes_no_archive_is_told),
        FAKE_TEST(a_java_that_cannot_be_started_is_told),
        FAKE_TEST(a_folder_with_classes_in_it_is_told),
        FAKE_TEST(a_folder_that_cannot_be_made_is_told),
        FAKE_TEST(stopping_ends_a_training_run),
        FAKE_TEST(opening_survives_every_failing_allocation),
        FAKE_TEST(training_survives_every_failing_allocation),
        FAKE_TEST(building_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
