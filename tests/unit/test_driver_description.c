/* What a standalone master is told to run for a submission. */
#include "cluster/drivers_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

struct fixture {
    struct spark_submission submission;
    struct description d;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(mem_set_str(&f->submission.file, "/jobs/a b.jar"), 0);
    assert_int_equal(mem_set_str(&f->submission.class_name, "demo.Main"), 0);
    assert_int_equal(mem_set_str(&f->submission.master, "spark://a:7077,b:7077"), 0);
    assert_int_equal(mem_set_str(&f->submission.deploy_mode, "cluster"), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    description_clear(&f->d);
    spark_submission_clear(&f->submission);
    free(f);
    return 0;
}

static void conf(struct fixture *f, const char *key, const char *value)
{
    assert_int_equal(strmap_set(&f->submission.conf, key, value), 0);
}

static void make(struct fixture *f)
{
    if (description_make(NULL, &f->submission, "t0ken", &f->d, &f->err) != ERR_OK)
        fail_msg("%s", f->err.msg);
}

static void refused(struct fixture *f, const char *words)
{
    assert_int_equal(description_make(NULL, &f->submission, "t0ken", &f->d, &f->err), ERR_INVALID);
    if (strstr(f->err.msg, words) == NULL)
        fail_msg("'%s' is not in: %s", words, f->err.msg);
}

static void a_jar(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(strlist_add(&f->submission.args, "x y"), 0);
    conf(f, "spark.jars", "http://h/lib.jar");
    make(f);
    assert_string_equal(f->d.jar_url, "file:///jobs/a%20b.jar");
    struct rpc_driver r = description_rpc(&f->d);
    assert_string_equal(r.main_class, "org.apache.spark.deploy.worker.DriverWrapper");
    const char *const arguments[] = {"{{WORKER_URL}}", "{{USER_JAR}}", "demo.Main", "x y"};
    assert_int_equal(r.arguments->n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(r.arguments->items[i], arguments[i]);
    assert_true(strlist_has(r.java_options, "-Dspark.master=spark://a:7077,b:7077"));
    assert_true(strlist_has(r.java_options, "-Dspark.submit.deployMode=cluster"));
    assert_true(strlist_has(r.java_options, "-Dspark.app.name=demo.Main"));
    assert_true(strlist_has(r.java_options, "-Dspark.jars=http://h/lib.jar,file:///jobs/a%20b.jar"));
    assert_true(strlist_has(r.java_options, "--add-opens=java.base/java.lang=ALL-UNNAMED"));
    assert_string_equal(r.java_options->items[0], "-XX:+IgnoreUnrecognizedVMOptions");
    assert_int_equal(r.memory_mib, 1024);
    assert_int_equal(r.cores, 1);
    assert_false(r.supervise);
}

static void the_token_is_in_driver_and_executors(void **state)
{
    struct fixture *f = *state;
    make(f);
    assert_string_equal(strmap_get(&f->d.environment, "HEARTH_SUBMISSION"), "t0ken");
    assert_string_equal(strmap_get(&f->d.conf, "spark.executorEnv.HEARTH_SUBMISSION"), "t0ken");
    assert_int_equal(f->d.environment.n, 1); /* nothing of hearth's own environment */
}

static void variables_of_its_own_are_in_the_driver(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(strmap_set(&f->submission.env, "TZ", "UTC"), 0);
    assert_int_equal(strmap_set(&f->submission.env, "HEARTH_SUBMISSION", "forged"), 0);
    make(f);
    assert_string_equal(strmap_get(&f->d.environment, "TZ"), "UTC");
    assert_string_equal(strmap_get(&f->d.environment, "HEARTH_SUBMISSION"), "t0ken");
}

static void a_python_program(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mem_set_str(&f->submission.file, "local:/jobs/p.py"), 0);
    assert_int_equal(mem_set_str(&f->submission.class_name, NULL), 0);
    assert_int_equal(strlist_add(&f->submission.py_files, "file:///jobs/m.py"), 0);
    assert_int_equal(strlist_add(&f->submission.py_files, "http://h/n.zip"), 0);
    assert_int_equal(strlist_add(&f->submission.args, "7"), 0);
    make(f);
    assert_string_equal(f->d.jar_url, "file:/jobs/p.py");
    const char *const arguments[] = {"{{WORKER_URL}}", "{{USER_JAR}}", "org.apache.spark.deploy.PythonRunner",
                                     "{{USER_JAR}}",   "/jobs/m.py",   "7"};
    assert_int_equal(f->d.arguments.n, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(f->d.arguments.items[i], arguments[i]);
    assert_string_equal(strmap_get(&f->d.conf, "spark.submit.pyFiles"), "file:///jobs/m.py,http://h/n.zip");
    assert_string_equal(strmap_get(&f->d.conf, "spark.files"), "file:///jobs/m.py,http://h/n.zip");
    assert_string_equal(strmap_get(&f->d.conf, "spark.app.name"), "p.py");
    assert_null(strmap_get(&f->d.conf, "spark.jars"));
}

static void settings_of_the_driver(void **state)
{
    struct fixture *f = *state;
    conf(f, "spark.driver.memory", "2g");
    conf(f, "spark.driver.cores", "3");
    conf(f, "spark.driver.supervise", "true");
    conf(f, "spark.driver.extraJavaOptions", "-Da='b c' -Xss4m");
    conf(f, "spark.driver.extraClassPath", "/x/*:/y");
    conf(f, "spark.driver.extraLibraryPath", "/l");
    conf(f, "other.key", "stays here");
    conf(f, "spark.authenticate.secret", "stays here, too");
    make(f);
    struct rpc_driver r = description_rpc(&f->d);
    assert_int_equal(r.memory_mib, 2048);
    assert_int_equal(r.cores, 3);
    assert_true(r.supervise);
    assert_true(strlist_has(r.java_options, "-Da=b c"));
    assert_true(strlist_has(r.java_options, "-Xss4m"));
    assert_int_equal(r.class_path->n, 2);
    assert_int_equal(r.library_path->n, 1);
    assert_false(strlist_has(r.java_options, "-Dother.key=stays here"));
    assert_false(strlist_has(r.java_options, "-Dspark.authenticate.secret=stays here, too"));
}

static void what_cannot_run(void **state)
{
    struct fixture *f = *state;
    conf(f, "spark.driver.memory", "lots");
    refused(f, "spark.driver.memory");
    conf(f, "spark.driver.memory", "512m");
    conf(f, "spark.driver.cores", "0");
    refused(f, "spark.driver.cores");
    conf(f, "spark.driver.cores", "1");
    conf(f, "spark.driver.supervise", "perhaps");
    refused(f, "spark.driver.supervise is 'perhaps'");
    conf(f, "spark.driver.supervise", "false");
    conf(f, "spark.driver.extraJavaOptions", "-Da='b");
    refused(f, "spark.driver.extraJavaOptions");
    strmap_remove(&f->submission.conf, "spark.driver.extraJavaOptions");
    assert_int_equal(mem_set_str(&f->submission.class_name, NULL), 0);
    refused(f, "className");
    assert_int_equal(mem_set_str(&f->submission.file, "/x.R"), 0);
    refused(f, "R programs");
    assert_int_equal(mem_set_str(&f->submission.file, "/x.py"), 0);
    assert_int_equal(mem_set_str(&f->submission.proxy_user, "bob"), 0);
    refused(f, "proxyUser 'bob'");
}

static void who_wants_it(void **state)
{
    struct fixture *f = *state;
    assert_true(driver_wants(&f->submission));
    assert_int_equal(mem_set_str(&f->submission.deploy_mode, "client"), 0);
    assert_false(driver_wants(&f->submission));
    assert_int_equal(mem_set_str(&f->submission.deploy_mode, NULL), 0);
    assert_false(driver_wants(&f->submission));
    conf(f, "spark.submit.deployMode", "cluster");
    assert_true(driver_wants(&f->submission));
    assert_int_equal(mem_set_str(&f->submission.master, "yarn"), 0);
    assert_false(driver_wants(&f->submission));
}

static void over_rest_java_options_are_properties(void **state)
{
    struct fixture *f = *state;
    cleanup(strmap_clear) struct strmap properties = {0};
    conf(f, "spark.driver.defaultJavaOptions", "-Dmine=1");
    assert_int_equal(description_make(NULL, &f->submission, "t0ken", &f->d, &f->err), ERR_OK);
    assert_int_equal(description_rest(&f->d, &properties), 0);
    const char *options = strmap_get(&properties, "spark.driver.defaultJavaOptions");
    assert_true(str_starts(options, "-XX:+IgnoreUnrecognizedVMOptions --add-opens="));
    assert_true(str_ends(options, " -Dmine=1"));
    assert_string_equal(strmap_get(&properties, "spark.submit.deployMode"), "cluster");
}

static void short_memory_is_an_error_and_no_leak(void **state)
{
    struct fixture *f = *state;
    conf(f, "spark.driver.extraJavaOptions", "-Da=b");
    assert_int_equal(strlist_add(&f->submission.args, "1"), 0);
    long before = mem_live();
    enum err_code rc = ERR_NOMEM;
    for (long nth = 1; rc != ERR_OK; nth++) {
        mem_fail_at(nth);
        rc = description_make(NULL, &f->submission, "t0ken", &f->d, &f->err);
        assert_true(rc == ERR_OK || rc == ERR_NOMEM);
        assert_true(rc == ERR_OK || mem_live() == before);
        assert_true(nth < 10000);
    }
    mem_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_jar, setup, teardown),
        cmocka_unit_test_setup_teardown(the_token_is_in_driver_and_executors, setup, teardown),
        cmocka_unit_test_setup_teardown(variables_of_its_own_are_in_the_driver, setup, teardown),
        cmocka_unit_test_setup_teardown(a_python_program, setup, teardown),
        cmocka_unit_test_setup_teardown(settings_of_the_driver, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_run, setup, teardown),
        cmocka_unit_test_setup_teardown(who_wants_it, setup, teardown),
        cmocka_unit_test_setup_teardown(over_rest_java_options_are_properties, setup, teardown),
        cmocka_unit_test_setup_teardown(short_memory_is_an_error_and_no_leak, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
