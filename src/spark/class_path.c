/*
 * The class path of a driver:
 *
 *     spark.driver.extraClassPath   SPARK_CONF_DIR   Spark's jars   HADOOP_CONF_DIR   YARN_CONF_DIR
 *     SPARK_DIST_CLASSPATH
 */
#include "spark/spark_internal.h"

#include "base/io.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* Adds the parts of a list separated by ':', folders with a slash behind them, nothing twice. */
static int add_to_class_path(struct strlist *to, const char *entries)
{
    struct strlist parts = {0};
    int failed = entries == NULL ? 0 : strlist_split(&parts, entries, ":");
    for (size_t i = 0; failed == 0 && i < parts.n; i++) {
        const char *part = parts.items[i];
        const char *slash = io_is_dir(part) && !str_ends(part, "/") ? "/" : "";
        cleanup(mem_freep) char *entry = mem_printf("%s%s", part, slash);
        if (entry == NULL)
            failed = -1;
        else if (!strlist_has(to, entry))
            failed = strlist_add(to, entry);
    }
    strlist_clear(&parts);
    return failed;
}

static bool is_slf4j(const char *name)
{
    return str_starts(name, "slf4j-api-");
}

/* With Spark Connect the client's jars, in their own folder, stand in for these. */
static bool is_for_connect(const char *name)
{
    return !str_starts(name, "spark-sql_") && !str_starts(name, "spark-connect_") &&
           !str_starts(name, "spark-sql-api_") && !str_starts(name, "spark-connect-common_");
}

/* The jars that are wanted one by one, in the folder's own order, which is the one that Spark takes. */
static enum err_code add_jars(const char *dir, bool (*wanted)(const char *name), struct strlist *to,
                              struct err *err)
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return err_sys(err, errno, "reading folder %s", dir);
    int failed = 0;
    for (struct dirent *e = readdir(d); e != NULL && failed == 0; e = readdir(d)) {
        if (e->d_name[0] == '.' || !wanted(e->d_name))
            continue;
        const char *all = strcmp(e->d_name, "connect-repl") == 0 ? "/*" : "";
        cleanup(mem_freep) char *path = mem_printf("%s/%s%s", dir, e->d_name, all);
        failed = path == NULL ? -1 : add_to_class_path(to, path);
    }
    (void)closedir(d); /* it was only read */
    return failed != 0 ? no_memory(err) : ERR_OK;
}

static enum err_code add_spark_jars(const struct spark *s, bool connect, struct strlist *to, struct err *err)
{
    cleanup(mem_freep) char *all = mem_printf("%s/*", s->jars_dir);
    if (all == NULL)
        return no_memory(err);
    enum err_code rc = ERR_OK;
    if (s->version_number >= SPARK_4_0)
        rc = add_jars(s->jars_dir, is_slf4j, to, err);
    if (rc == ERR_OK && connect)
        return add_jars(s->jars_dir, is_for_connect, to, err);
    if (rc == ERR_OK && add_to_class_path(to, all) != 0)
        rc = no_memory(err);
    return rc;
}

/* `extra` comes first; `connect` leaves out the jars that Spark Connect's client replaces. */
static enum err_code add_class_path(const struct spark *s, const char *extra, bool connect,
                                    struct strlist *ret, struct err *err)
{
    if (add_to_class_path(ret, extra) != 0 || add_to_class_path(ret, s->conf_dir) != 0)
        return no_memory(err);
    enum err_code rc = add_spark_jars(s, connect, ret, err);
    if (rc == ERR_OK && (add_to_class_path(ret, spark_env(s, "HADOOP_CONF_DIR")) != 0 ||
                         add_to_class_path(ret, spark_env(s, "YARN_CONF_DIR")) != 0 ||
                         add_to_class_path(ret, spark_env(s, "SPARK_DIST_CLASSPATH")) != 0))
        rc = no_memory(err);
    return rc;
}

/* What stands in front of Spark's own class path. The caller frees it; NULL when memory is short. */
static char *extra_class_path(const struct spark *s, const struct strmap *conf, bool client)
{
    const char *extra = client ? not_empty(strmap_get(conf, "spark.driver.extraClassPath")) : NULL;
    if (s->version_number < SPARK_4_0)
        return mem_strdup(extra != NULL ? extra : "");
    const char *standard = strmap_get(conf, "spark.driver.defaultExtraClassPath");
    if (standard == NULL)
        standard = s->version_number < SPARK_4_1 ? "hive-jackson/*" : "";
    if (str_blank(extra))
        return mem_strdup(standard);
    return mem_printf("%s:%s", extra, standard);
}

/* The application is a Spark Connect client of another server (Spark 4). */
static bool is_connect(const struct spark *s, const struct strmap *conf)
{
    if (s->version_number < SPARK_4_0)
        return false;
    const char *mode = strmap_get(conf, "spark.api.mode");
    if (mode != NULL && strcasecmp(mode, "connect") == 0)
        return true;
    const char *by_default = spark_env(s, "SPARK_CONNECT_MODE");
    return strmap_get(conf, "spark.remote") != NULL ||
           (mode == NULL && by_default != NULL && strcmp(by_default, "1") == 0);
}

enum err_code make_class_path(const struct spark *s, const struct strmap *conf, bool client, char **ret,
                              struct err *err)
{
    struct strlist path = {0};
    cleanup(mem_freep) char *extra = extra_class_path(s, conf, client);
    enum err_code rc =
        extra == NULL ? no_memory(err) : add_class_path(s, extra, is_connect(s, conf), &path, err);
    if (rc == ERR_OK) {
        *ret = strlist_join(&path, ":");
        if (*ret == NULL)
            rc = no_memory(err);
    }
    strlist_clear(&path);
    return rc;
}
