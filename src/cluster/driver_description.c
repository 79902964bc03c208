/*
 * From a submission to what a standalone master is told to run.
 *
 * A worker starts org.apache.spark.deploy.worker.DriverWrapper, which runs the user's class beside a watch
 * over the worker. A Python program goes through Spark's own runner of such programs, with the file in the
 * place of the jar: the worker fetches it like one. Spark's settings travel as java options.
 */
#include "cluster/drivers_internal.h"

#include "base/mem.h"
#include "base/parse.h"
#include "spark/properties.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char WRAPPER[] = "org.apache.spark.deploy.worker.DriverWrapper";
static const char PYTHON_RUNNER[] = "org.apache.spark.deploy.PythonRunner";

enum { MEMORY_DEFAULT_MIB = 1024, CORES_MAX = 1 << 20 };

void description_clear(struct description *d)
{
    strmap_clear(&d->conf);
    mem_free(d->jar_url);
    mem_free(d->main_class);
    strlist_clear(&d->user_arguments);
    strlist_clear(&d->arguments);
    strlist_clear(&d->class_path);
    strlist_clear(&d->library_path);
    strlist_clear(&d->java_options);
    strmap_clear(&d->environment);
    *d = (struct description){0};
}

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static bool is_python(const struct spark_submission *s)
{
    return str_ends(s->file, ".py");
}

/* The URL by which a worker fetches a file. What is local is local to the worker. */
static char *worker_url(const char *file)
{
    static const char safe[] = "/-._~!$&'()*+,;=:@";
    if (str_starts(file, "local:"))
        return mem_printf("file:%s", file + strlen("local:"));
    if (*file != '/')
        return mem_strdup(file);
    char *url = mem_alloc(3 * strlen(file) + sizeof "file://");
    if (url == NULL)
        return NULL;
    size_t n = (size_t)sprintf(url, "file://");
    for (const char *c = file; *c != '\0'; c++) {
        bool plain = isalnum((unsigned char)*c) || strchr(safe, *c) != NULL;
        n += (size_t)sprintf(url + n, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    return url;
}

/* The path behind a file on the worker's own disk; NULL for anything else. */
static const char *local_path(const char *file)
{
    if (*file == '/')
        return file;
    const char *path = str_starts(file, "file:") ? file + 5 : str_starts(file, "local:") ? file + 6 : NULL;
    if (path != NULL && str_starts(path, "//"))
        path = strchr(path + 2, '/');
    return path;
}

/* ---- settings ---- */

static int append_to_list(struct strmap *conf, const char *key, const char *value)
{
    const char *present = strmap_get(conf, key);
    if (present == NULL || *present == '\0')
        return strmap_set(conf, key, value);
    cleanup(mem_freep) char *both = mem_printf("%s,%s", present, value);
    return both == NULL ? -1 : strmap_set(conf, key, both);
}

static const char *program_name(const struct description *d, const struct spark_submission *s)
{
    const char *name = s->name != NULL ? s->name : strmap_get(&d->conf, "spark.app.name");
    if (name != NULL && *name != '\0')
        return name;
    if (s->class_name != NULL)
        return s->class_name;
    const char *slash = strrchr(s->file, '/');
    return slash != NULL ? slash + 1 : s->file;
}

/* Python modules reach driver and executors as files; a Python context finds them there by their names. */
static int add_python_files(struct description *d, const struct spark_submission *s)
{
    for (size_t i = 0; i < s->py_files.n; i++)
        if (append_to_list(&d->conf, "spark.submit.pyFiles", s->py_files.items[i]) != 0)
            return -1;
    const char *all = strmap_get(&d->conf, "spark.submit.pyFiles");
    return all == NULL || *all == '\0' ? 0 : append_to_list(&d->conf, "spark.files", all);
}

static enum err_code complete_conf(struct description *d, const struct spark_submission *s, const char *token,
                                   struct err *err)
{
    if (strmap_set(&d->conf, "spark.app.name", program_name(d, s)) != 0 ||
        (s->master != NULL && strmap_set(&d->conf, "spark.master", s->master) != 0) ||
        strmap_set(&d->conf, "spark.submit.deployMode", "cluster") != 0 ||
        strmap_set(&d->conf, "spark.executorEnv." DRIVER_TOKEN_VARIABLE, token) != 0 ||
        (is_python(s) ? add_python_files(d, s) : append_to_list(&d->conf, "spark.jars", d->jar_url)) != 0)
        return no_memory(err);
    return ERR_OK;
}

static enum err_code read_memory(struct description *d, struct err *err)
{
    const uint64_t MIB = 1 << 20;
    const char *text = strmap_get(&d->conf, "spark.driver.memory");
    uint64_t bytes = MEMORY_DEFAULT_MIB * MIB;
    if (text != NULL && parse_size(text, MIB, &bytes, err) != ERR_OK)
        return err_wrap(err, "spark.driver.memory");
    if (bytes < MIB || bytes / MIB > INT32_MAX)
        return err_set(err, ERR_INVALID, "spark.driver.memory is '%.100s'; allowed is 1m to %dm", text,
                       INT32_MAX);
    d->memory_mib = (int64_t)(bytes / MIB);
    return ERR_OK;
}

static enum err_code read_resources(struct description *d, struct err *err)
{
    const char *cores = strmap_get(&d->conf, "spark.driver.cores");
    const char *supervise = strmap_get(&d->conf, "spark.driver.supervise");
    d->cores = 1;
    if (cores != NULL && parse_i64(cores, 1, CORES_MAX, &d->cores, err) != ERR_OK)
        return err_wrap(err, "spark.driver.cores");
    d->supervise = supervise != NULL && strcmp(supervise, "true") == 0;
    if (supervise != NULL && !d->supervise && strcmp(supervise, "false") != 0)
        return err_set(err, ERR_INVALID, "spark.driver.supervise is '%.100s'; allowed are true and false",
                       supervise);
    return read_memory(d, err);
}

/* ---- the program ---- */

/* Paths of the Python modules that the worker itself has; the others come with the context. */
static char *local_python_path(const struct description *d)
{
    struct strlist files = {0};
    struct strlist paths = {0};
    const char *all = strmap_get(&d->conf, "spark.submit.pyFiles");
    int failed = all != NULL ? strlist_split(&files, all, ",") : 0;
    for (size_t i = 0; failed == 0 && i < files.n; i++) {
        const char *path = local_path(files.items[i]);
        failed = path != NULL ? strlist_add(&paths, path) : 0;
    }
    char *joined = failed != 0 ? NULL : paths.n == 0 ? mem_strdup("") : strlist_join(&paths, ",");
    strlist_clear(&files);
    strlist_clear(&paths);
    return joined;
}

static enum err_code make_program(struct description *d, const struct spark_submission *s, struct err *err)
{
    bool python = is_python(s);
    cleanup(mem_freep) char *modules = python ? local_python_path(d) : NULL;
    if (!python && (s->class_name == NULL || *s->class_name == '\0'))
        return err_set(err, ERR_INVALID,
                       "className is required: in cluster deploy mode nobody here looks into the jar for it");
    d->main_class = mem_strdup(python ? PYTHON_RUNNER : s->class_name);
    if (d->main_class == NULL ||
        (python && (modules == NULL || strlist_add(&d->user_arguments, "{{USER_JAR}}") != 0 ||
                    strlist_add(&d->user_arguments, modules) != 0)))
        return no_memory(err);
    for (size_t i = 0; i < s->args.n; i++)
        if (strlist_add(&d->user_arguments, s->args.items[i]) != 0)
            return no_memory(err);
    return ERR_OK;
}

/* ---- the command line ---- */

static enum err_code add_options_of(struct description *d, const char *key, struct err *err)
{
    const char *text = strmap_get(&d->conf, key);
    if (text == NULL || options_split(text, &d->java_options, err) == ERR_OK)
        return ERR_OK;
    return err_wrap(err, "%s", key);
}

static enum err_code add_java_options(struct description *d, struct err *err)
{
    if (spark_add_module_options(&d->java_options) != 0)
        return no_memory(err);
    for (size_t i = 0; i < d->conf.n; i++) {
        const struct strmap_entry *e = &d->conf.items[i];
        if (strcmp(e->key, "spark.authenticate.secret") == 0)
            continue; /* a worker would take it out again; and the master shows options to whoever asks */
        if (str_starts(e->key, "spark.") && strlist_addf(&d->java_options, "-D%s=%s", e->key, e->value) != 0)
            return no_memory(err);
    }
    enum err_code rc = add_options_of(d, "spark.driver.defaultJavaOptions", err);
    return rc == ERR_OK ? add_options_of(d, "spark.driver.extraJavaOptions", err) : rc;
}

static int add_paths(struct description *d)
{
    const char *classes = strmap_get(&d->conf, "spark.driver.extraClassPath");
    const char *libraries = strmap_get(&d->conf, "spark.driver.extraLibraryPath");
    return (classes != NULL && strlist_split(&d->class_path, classes, ":") != 0) ||
                   (libraries != NULL && strlist_split(&d->library_path, libraries, ":") != 0)
               ? -1
               : 0;
}

static enum err_code make_command(struct description *d, const char *token, struct err *err)
{
    if (strlist_add(&d->arguments, "{{WORKER_URL}}") != 0 ||
        strlist_add(&d->arguments, "{{USER_JAR}}") != 0 || strlist_add(&d->arguments, d->main_class) != 0 ||
        add_paths(d) != 0 || strmap_set(&d->environment, DRIVER_TOKEN_VARIABLE, token) != 0)
        return no_memory(err);
    for (size_t i = 0; i < d->user_arguments.n; i++)
        if (strlist_add(&d->arguments, d->user_arguments.items[i]) != 0)
            return no_memory(err);
    return add_java_options(d, err);
}

static enum err_code check_program(const struct spark_submission *submission, struct err *err)
{
    const char *file = submission->file;
    if (file == NULL || *file == '\0')
        return err_set(err, ERR_INVALID, "file is required");
    if (str_ends(file, ".R") || str_ends(file, ".r"))
        return err_set(
            err, ERR_INVALID,
            "file '%.200s': R programs cannot run in cluster deploy mode on a standalone cluster; use "
            "deployMode client",
            file);
    if (submission->proxy_user != NULL)
        return err_set(
            err, ERR_INVALID,
            "proxyUser '%.100s': a standalone cluster in cluster deploy mode cannot run a driver as "
            "another user; use deployMode client",
            submission->proxy_user);
    return ERR_OK;
}

enum err_code description_make(const struct spark *spark, const struct spark_submission *submission,
                               const char *token, struct description *ret, struct err *err)
{
    cleanup(description_clear) struct description d = {0};
    enum err_code rc = check_program(submission, err);
    if (rc == ERR_OK)
        rc = spark_complete_conf(spark, submission, &d.conf, err);
    if (rc == ERR_OK && ((d.jar_url = worker_url(submission->file)) == NULL ||
                         strmap_copy(&d.environment, &submission->env) != 0))
        rc = no_memory(err);
    if (rc == ERR_OK)
        rc = complete_conf(&d, submission, token, err);
    if (rc == ERR_OK)
        rc = read_resources(&d, err);
    if (rc == ERR_OK)
        rc = make_program(&d, submission, err);
    if (rc == ERR_OK)
        rc = make_command(&d, token, err);
    if (rc != ERR_OK)
        return rc;
    *ret = d;
    d = (struct description){0}; /* the caller's now */
    return ERR_OK;
}

enum err_code description_check(const struct spark_submission *submission, struct err *err)
{
    cleanup(description_clear) struct description d = {0};
    return description_make(NULL, submission, "", &d, err);
}

struct rpc_driver description_rpc(const struct description *d)
{
    return (struct rpc_driver){
        .jar_url = d->jar_url,
        .memory_mib = d->memory_mib,
        .cores = d->cores,
        .supervise = d->supervise,
        .main_class = WRAPPER,
        .arguments = &d->arguments,
        .environment = &d->environment,
        .class_path = &d->class_path,
        .library_path = &d->library_path,
        .java_options = &d->java_options,
    };
}

int description_rest(const struct description *d, struct strmap *ret)
{
    static const char key[] = "spark.driver.defaultJavaOptions"; /* they stand before extraJavaOptions */
    const char *defaults = strmap_get(&d->conf, key);
    struct strlist options = {0};
    cleanup(mem_freep) char *modules =
        spark_add_module_options(&options) == 0 ? strlist_join(&options, " ") : NULL;
    cleanup(mem_freep) char *all =
        modules != NULL ? mem_printf("%s %s", modules, defaults != NULL ? defaults : "") : NULL;
    strlist_clear(&options);
    if (all == NULL || strmap_copy(ret, &d->conf) != 0)
        return -1;
    strmap_remove(ret, "spark.authenticate.secret"); /* not in the clear; its worker has it */
    return strmap_set(ret, key, all);
}
