/* Which files a request may name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "door/door_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* What becomes of a path; NULL expects it to be refused with these words in the message. */
static void expect(const struct door *d, const char *path, const char *accepted, const char *words)
{
    struct err err = {0};
    char *text = mem_strdup(path);
    enum err_code rc = door_accept_path(d, &text, &err);
    if ((rc == ERR_OK) != (accepted != NULL))
        fail_msg("%s: %s", path, rc == ERR_OK ? "was accepted" : err.msg);
    if (accepted != NULL)
        assert_string_equal(text, accepted);
    else if (strstr(err.msg, words) == NULL)
        fail_msg("%s: '%s' does not hold '%s'", path, err.msg, words);
    mem_free(text);
}

static void accepts(const struct door *d, const char *path)
{
    expect(d, path, path, NULL);
}

static void refuses(const struct door *d, const char *path, const char *words)
{
    expect(d, path, NULL, words);
}

static void local_paths_are_absolute(void **state)
{
    (void)state;
    const struct door d = {.local_files_everywhere = true};
    accepts(&d, "/jobs/pi.py");
    accepts(&d, "/");
    accepts(&d, "file:/jobs/pi.py");
    accepts(&d, "file:///jobs/pi.py");
    accepts(&d, "FILE://host/jobs/pi.py");
    refuses(&d, "pi.py", "requirement failed: Path 'pi.py' is not absolute.");
    refuses(&d, "./pi.py", "is not absolute");
    refuses(&d, "", "is not absolute");
    refuses(&d, "file:pi.py", "is not absolute");
    refuses(&d, "1a:/x", "is not absolute"); /* a scheme begins with a letter */
}

static void other_file_systems_are_left_to_themselves(void **state)
{
    (void)state;
    const struct door d = {.local_files_everywhere = true};
    accepts(&d, "hdfs://namenode:8020/jobs/pi.py");
    accepts(&d, "s3a://bucket/a%20b.jar");
    accepts(&d, "local:/opt/pi.jar");
}

static void what_is_no_uri_is_refused_with_the_place(void **state)
{
    (void)state;
    const struct door d = {.local_files_everywhere = true};
    refuses(&d, "/a b.py", "Illegal character in path at index 2: /a b.py");
    refuses(&d, "/a\nb", "Illegal character in path at index 2");
    refuses(&d, "/a|b", "Illegal character in path at index 2");
    refuses(&d, "/a%zz", "Malformed escape pair at index 2: /a%zz");
    refuses(&d, "/a%2", "Malformed escape pair at index 2");
    accepts(&d, "/a%20b.py");
    accepts(&d, "/b\xc3\xa4r.py");
}

static void only_folders_that_are_named_are_open(void **state)
{
    (void)state;
    char *dirs[] = {(char[]){"/jobs"}, (char[]){"/data/shared/"}, NULL};
    const struct settings settings = {.spark.local_dirs = {dirs, 2, 3}};
    const struct door d = {.settings = &settings};
    accepts(&d, "/jobs/pi.py");
    accepts(&d, "/jobs");
    accepts(&d, "file:///data/shared/x.jar");
    accepts(&d, "/tmp/../jobs//./pi.py");
    accepts(&d, "/jobs/x.zip#lib");
    refuses(&d, "/jobs2/pi.py",
            "requirement failed: Local path /jobs2/pi.py cannot be added to user sessions.");
    refuses(&d, "/jobs/../etc/passwd", "Local path /etc/passwd cannot be added");
    refuses(&d, "/../../etc/passwd", "Local path /etc/passwd cannot be added");
    refuses(&d, "file://host/etc/passwd", "Local path /etc/passwd cannot be added");
    refuses(&d, "/data/sharedx", "cannot be added");
    accepts(&d, "hdfs:///anything");
}

static void escapes_do_not_hide_a_way_out_of_a_folder(void **state)
{
    (void)state;
    char *dirs[] = {(char[]){"/jobs"}, NULL};
    const struct settings settings = {.spark.local_dirs = {dirs, 1, 2}};
    const struct door d = {.settings = &settings};
    refuses(&d, "file:///jobs/%2e%2e/etc/passwd", "cannot be added");
    refuses(&d, "file:///jobs/.%2E/etc/passwd", "cannot be added");
    refuses(&d, "file:///jobs/..%2fetc/passwd", "cannot be added");
    accepts(&d, "file:///jobs/a%20b.py");
}

static void the_root_opens_everything(void **state)
{
    (void)state;
    char *dirs[] = {(char[]){"/"}, NULL};
    const struct settings settings = {.spark.local_dirs = {dirs, 1, 2}};
    const struct door d = {.settings = &settings};
    accepts(&d, "/etc/passwd");
}

static void no_folder_at_all_is_nothing_for_strangers(void **state)
{
    (void)state;
    const struct settings settings = {0};
    const struct door d = {.settings = &settings};
    refuses(&d, "/jobs/pi.py", "cannot be added");
}

static void a_default_file_system_stands_in_front_of_plain_paths(void **state)
{
    (void)state;
    static char fs[] = "hdfs://namenode:8020";
    const struct door d = {.local_files_everywhere = true, .default_fs = fs};
    expect(&d, "/jobs/pi.py", "hdfs://namenode:8020/jobs/pi.py", NULL);
    accepts(&d, "file:/jobs/pi.py");
    accepts(&d, "s3a://bucket/x");
    refuses(&d, "pi.py", "is not absolute");
}

static void expect_default_fs(const char *core_site, const char *expected)
{
    char dir[] = "/tmp/hearth-paths-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/core-site.xml", dir);
    assert_int_equal(io_replace_file(path, core_site, strlen(core_site), 0600, NULL), ERR_OK);
    char *fs = path_default_fs(dir);
    if (expected == NULL)
        assert_null(fs);
    else
        assert_string_equal(fs, expected);
    mem_free(fs);
    assert_int_equal(io_remove_tree(dir, NULL), ERR_OK);
}

static void the_default_file_system_comes_from_hadoops_configuration(void **state)
{
    (void)state;
    expect_default_fs("<configuration><property><name>fs.defaultFS</name>\n <value> hdfs://nn:8020/ </value>"
                      "</property></configuration>",
                      "hdfs://nn:8020");
    expect_default_fs("<property><name>fs.default.name</name><value>hdfs://old:9000</value></property>",
                      "hdfs://old:9000");
    expect_default_fs("<property><name>fs.defaultFS</name><value>file:///</value></property>", NULL);
    expect_default_fs("<configuration/>", NULL);
    expect_default_fs("<name>fs.defaultFS</name><value>never closed", NULL);
    assert_null(path_default_fs(NULL));
    assert_null(path_default_fs("/no/such/folder"));
}

static void every_failing_allocation_leaves_nothing(void **state)
{
    (void)state;
    char *dirs[] = {(char[]){"/jobs"}, NULL};
    const struct settings settings = {.spark.local_dirs = {dirs, 1, 2}};
    const struct door d = {.settings = &settings};
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct err err;
        char *path = mem_strdup("/jobs/a/../b/c");
        mem_fail_at(n);
        rc = door_accept_path(&d, &path, &err);
        mem_fail_at(0);
        mem_free(path);
        assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(local_paths_are_absolute, nothing_is_left),
        cmocka_unit_test_teardown(other_file_systems_are_left_to_themselves, nothing_is_left),
        cmocka_unit_test_teardown(what_is_no_uri_is_refused_with_the_place, nothing_is_left),
        cmocka_unit_test_teardown(only_folders_that_are_named_are_open, nothing_is_left),
        cmocka_unit_test_teardown(escapes_do_not_hide_a_way_out_of_a_folder, nothing_is_left),
        cmocka_unit_test_teardown(the_root_opens_everything, nothing_is_left),
        cmocka_unit_test_teardown(no_folder_at_all_is_nothing_for_strangers, nothing_is_left),
        cmocka_unit_test_teardown(a_default_file_system_stands_in_front_of_plain_paths, nothing_is_left),
        cmocka_unit_test_teardown(the_default_file_system_comes_from_hadoops_configuration, nothing_is_left),
        cmocka_unit_test_teardown(every_failing_allocation_leaves_nothing, nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
