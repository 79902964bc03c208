/*
 * A folder with what spark_open() looks for, without Spark and without java: for tests of what hearth
 * itself does. FOLDER/spark is the home, FOLDER/java the java, which is a shell script.
 */
#ifndef HEARTH_TESTS_FAKE_SPARK_H
#define HEARTH_TESTS_FAKE_SPARK_H

#include "base/io.h"
#include "base/mem.h"
#include "spark/spark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct fake_spark {
    char folder[64];
    char home[80];
};

static inline void fake_write(const struct fake_spark *f, const char *name, const char *text, mode_t mode)
{
    char path[512];
    assert_true(snprintf(path, sizeof path, "%s/%s", f->folder, name) < (int)sizeof path);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(io_make_dirs(path, 0700, NULL), ERR_OK);
    *slash = '/';
    assert_int_equal(io_replace_file(path, text, strlen(text), mode, NULL), ERR_OK);
}

/* What matters of Spark's own script. */
static const char FAKE_LOAD_SPARK_ENV[] =
    "if [ -z \"$SPARK_ENV_LOADED\" ]; then\n"
    "  export SPARK_ENV_LOADED=1 SPARK_CONF_DIR=\"${SPARK_CONF_DIR:-$SPARK_HOME/conf}\"\n"
    "  if [ -f \"$SPARK_CONF_DIR/spark-env.sh\" ]; then set -a; . \"$SPARK_CONF_DIR/spark-env.sh\"; set +a; "
    "fi\n"
    "fi\n";

static inline void fake_init(struct fake_spark *f, const char *version)
{
    char jar[80];
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/hearth-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->home, sizeof f->home, "%s/spark", f->folder);
    (void)snprintf(jar, sizeof jar, "spark/jars/spark-core_2.12-%s.jar", version);
    fake_write(f, jar, "jar", 0644);
    fake_write(f, "spark/bin/load-spark-env.sh", FAKE_LOAD_SPARK_ENV, 0644);
    fake_write(f, "java/bin/java", "#!/bin/sh\nexit 0\n", 0755);
    char java_home[80];
    (void)snprintf(java_home, sizeof java_home, "%s/java", f->folder);
    assert_int_equal(setenv("JAVA_HOME", java_home, 1), 0);
    static const char *const unwanted[] = {"SPARK_HOME",
                                           "SPARK_CONF_DIR",
                                           "SPARK_ENV_LOADED",
                                           "SPARK_DRIVER_MEMORY",
                                           "SPARK_MEM",
                                           "SPARK_SUBMIT_OPTS",
                                           "HADOOP_CONF_DIR",
                                           "YARN_CONF_DIR",
                                           "SPARK_DIST_CLASSPATH",
                                           "LD_LIBRARY_PATH",
                                           "JAVA_TOOL_OPTIONS",
                                           "JDK_JAVA_OPTIONS",
                                           "MASTER",
                                           "DEPLOY_MODE",
                                           "PYSPARK_PYTHON"};
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
        assert_int_equal(unsetenv(unwanted[i]), 0);
}

static inline void fake_clear(const struct fake_spark *f)
{
    assert_int_equal(io_remove_tree(f->folder, NULL), ERR_OK);
}

static inline struct spark *fake_open(const struct fake_spark *f, const char *archive_dir)
{
    struct spark *s = NULL;
    struct err err = {0};
    const struct spark_options options = {.home = f->home, .archive_dir = archive_dir};
    if (spark_open(&options, &s, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    return s;
}

#endif
