/*
 * Where Spark and java are, and which versions.
 */
#include "spark/spark_internal.h"

#include "base/io.h"
#include "base/mem.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RELEASE_MAX = 64 * 1024,
    FIND_HOME_TIMEOUT_MS = 30 * 1000,
};

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

const char *spark_env(const struct spark *s, const char *name)
{
    return not_empty(strmap_get(&s->env, name));
}

/* ---- Spark's home ---- */

char *find_program(const char *folders, const char *name)
{
    struct strlist list = {0};
    char *found = NULL;
    if (folders != NULL && strlist_split(&list, folders, ":") == 0) {
        for (size_t i = 0; i < list.n && found == NULL; i++) {
            found = mem_printf("%s/%s", list.items[i], name);
            if (found != NULL && (access(found, X_OK) != 0 || io_is_dir(found)))
                mem_freep(&found);
        }
    }
    strlist_clear(&list);
    return found;
}

/* The path without links, and the last `levels` names cut off. NULL when there is no such path. */
static char *resolve_above(const char *path, unsigned levels)
{
    char real[PATH_MAX];
    if (realpath(path, real) == NULL)
        return NULL;
    for (; levels > 0; levels--) {
        char *slash = strrchr(real, '/');
        if (slash == NULL || slash == real)
            return NULL;
        *slash = '\0';
    }
    return mem_strdup(real);
}

/* pip puts spark-submit into the environment's bin folder, far from Spark, with a program beside it that
 * knows the way (bin/find-spark-home asks it too). */
static enum err_code ask_pip_layout(const char *bin, char **ret, struct err *err)
{
    cleanup(mem_freep) char *script = mem_printf("%s/find_spark_home.py", bin);
    if (script == NULL)
        return no_memory(err);
    if (!io_exists(script))
        return ERR_OK;
    const char *python = not_empty(getenv("PYSPARK_DRIVER_PYTHON"));
    if (python == NULL)
        python = not_empty(getenv("PYSPARK_PYTHON"));
    const char *argv[] = {python != NULL ? python : "python3", script, NULL};
    cleanup(buf_clear) struct buf line = BUF(PATH_MAX);
    enum err_code rc = run_for_output(argv, NULL, FIND_HOME_TIMEOUT_MS, &line, err);
    if (rc != ERR_OK)
        return rc;
    *ret = mem_strndup(buf_cstr(&line), strcspn(buf_cstr(&line), "\r\n"));
    return *ret == NULL ? no_memory(err) : ERR_OK;
}

/* The home that `spark-submit` on PATH belongs to. */
static enum err_code find_by_path(char **ret, struct err *err)
{
    cleanup(mem_freep) char *submit = find_program(getenv("PATH"), "spark-submit");
    cleanup(mem_freep) char *bin = submit == NULL ? NULL : resolve_above(submit, 1);
    if (bin == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "no Spark found: neither the setting spark.home nor SPARK_HOME is set, and there "
                       "is no spark-submit on PATH. Set SPARK_HOME to the folder that holds Spark's bin "
                       "and jars, or install one with: pip install pyspark");
    enum err_code rc = ask_pip_layout(bin, ret, err);
    if (rc == ERR_OK && *ret == NULL) {
        *ret = resolve_above(submit, 2);
        if (*ret == NULL)
            rc = no_memory(err);
    }
    return rc;
}

static enum err_code find_home(const char *wanted, char **ret, struct err *err)
{
    const char *home = not_empty(wanted) != NULL ? wanted : not_empty(getenv("SPARK_HOME"));
    if (home == NULL)
        return find_by_path(ret, err);
    /* Drivers work in other folders: a relative home would mean another place there. */
    *ret = home[0] == '/' ? mem_strdup(home) : resolve_above(home, 0);
    if (*ret == NULL && home[0] != '/')
        return err_set(err, ERR_NOT_FOUND, "SPARK_HOME (or spark.home) is %s, which does not exist", home);
    return *ret == NULL ? no_memory(err) : ERR_OK;
}

static enum err_code find_jars(struct spark *s, struct err *err)
{
    s->jars_dir = mem_printf("%s/jars", s->home);
    if (s->jars_dir == NULL)
        return no_memory(err);
    if (io_is_dir(s->jars_dir))
        return ERR_OK;
    return err_set(err, ERR_NOT_FOUND,
                   "%s holds no Spark: there is no folder %s. Set SPARK_HOME (or spark.home) to the "
                   "folder that holds Spark's bin and jars",
                   s->home, s->jars_dir);
}

/* ---- versions ---- */

/* From the first line of RELEASE: "Spark 3.5.7 (git revision …) built for …". */
static char *version_from_release(const char *home)
{
    cleanup(mem_freep) char *path = mem_printf("%s/RELEASE", home);
    cleanup(buf_clear) struct buf text = BUF(RELEASE_MAX);
    if (path == NULL || io_read_file(path, &text, NULL) != ERR_OK || !str_starts(buf_cstr(&text), "Spark "))
        return NULL;
    const char *version = buf_cstr(&text) + strlen("Spark ");
    return mem_strndup(version, strcspn(version, " \r\n"));
}

/* From a name like spark-core_2.12-3.5.7.jar. */
static char *version_from_jar(const char *name)
{
    static const char prefix[] = "spark-core_";
    if (!str_starts(name, prefix) || !str_ends(name, ".jar"))
        return NULL;
    const char *dash = strchr(name + strlen(prefix), '-');
    return dash == NULL ? NULL : mem_strndup(dash + 1, strlen(dash + 1) - strlen(".jar"));
}

static char *version_from_jars(const char *dir)
{
    DIR *d = opendir(dir);
    char *version = NULL;
    if (d == NULL)
        return NULL;
    for (struct dirent *e = readdir(d); e != NULL && version == NULL; e = readdir(d))
        version = version_from_jar(e->d_name);
    (void)closedir(d); /* it was only read */
    return version;
}

static enum err_code find_version(struct spark *s, struct err *err)
{
    unsigned major = 0;
    unsigned minor = 0;
    s->version = version_from_release(s->home);
    if (s->version == NULL)
        s->version = version_from_jars(s->jars_dir);
    if (s->version == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "the version of Spark in %s is not to be found: there is neither a RELEASE file nor "
                       "a jars/spark-core_….jar",
                       s->home);
    if (sscanf(s->version, "%u.%u", &major, &minor) != 2 || major > 99 || minor > 99)
        return err_set(err, ERR_INVALID, "'%.80s' in %s is no version of Spark", s->version, s->home);
    s->version_number = major * 100 + minor;
    if (s->version_number < OLDEST_SPARK)
        return err_set(err, ERR_INVALID, "%s holds Spark %s; 3.3 or later is needed", s->home, s->version);
    return ERR_OK;
}

/* ---- java ---- */

/* JAVA_HOME, which spark-env.sh may set, else the one on PATH without links: Spark's launcher runs
 * drivers with the java that runs the launcher. */
static enum err_code find_java(struct spark *s, struct err *err)
{
    const char *java_home = spark_env(s, "JAVA_HOME");
    if (java_home != NULL) {
        s->java = mem_printf("%s/bin/java", java_home);
    } else {
        cleanup(mem_freep) char *on_path = find_program(spark_env(s, "PATH"), "java");
        s->java = on_path == NULL ? NULL : resolve_above(on_path, 0);
        if (s->java == NULL)
            return err_set(err, ERR_NOT_FOUND,
                           "no java found: JAVA_HOME is not set and there is no java on PATH. Set "
                           "JAVA_HOME, or install a JRE, version 17");
    }
    if (s->java == NULL)
        return no_memory(err);
    if (access(s->java, X_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "JAVA_HOME is %s, but there is no program %s", java_home, s->java);
    return ERR_OK;
}

/* ---- opening ---- */

static enum err_code find_conf_dir(struct spark *s, struct err *err)
{
    const char *dir = spark_env(s, "SPARK_CONF_DIR");
    s->conf_dir = dir != NULL ? mem_strdup(dir) : mem_printf("%s/conf", s->home);
    return s->conf_dir == NULL ? no_memory(err) : ERR_OK;
}

enum err_code spark_open(const struct spark_options *options, struct spark **ret, struct err *err)
{
    struct spark *s = mem_calloc(1, sizeof *s);
    if (s == NULL)
        return no_memory(err);
    enum err_code rc = find_home(options->home, &s->home, err);
    if (rc == ERR_OK)
        rc = find_jars(s, err);
    if (rc == ERR_OK)
        rc = find_version(s, err);
    if (rc == ERR_OK)
        rc = load_spark_environment(s->home, &s->env, err);
    if (rc == ERR_OK)
        rc = find_conf_dir(s, err);
    if (rc == ERR_OK)
        rc = find_java(s, err);
    if (rc == ERR_OK && options->archive_dir != NULL)
        rc = archive_new(s, options->archive_dir, &s->archive, err);
    if (rc != ERR_OK) {
        spark_close(s);
        return rc;
    }
    *ret = s;
    return ERR_OK;
}

void spark_close(struct spark *s)
{
    if (s == NULL)
        return;
    archive_free(s->archive);
    mem_free(s->home);
    mem_free(s->jars_dir);
    mem_free(s->version);
    mem_free(s->java);
    mem_free(s->conf_dir);
    strmap_clear(&s->env);
    mem_free(s);
}

const char *spark_home(const struct spark *s)
{
    return s->home;
}

const char *spark_version(const struct spark *s)
{
    return s->version;
}

const char *spark_java(const struct spark *s)
{
    return s->java;
}

char *spark_find_program(const struct spark *s, const char *name)
{
    return find_program(spark_env(s, "PATH"), name);
}
