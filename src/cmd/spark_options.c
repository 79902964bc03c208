#include "cmd/spark_options.h"

#include "base/io.h"
#include "base/mem.h"
#include "spark/properties.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROPERTIES_MAX_BYTES = 1 << 20 };

enum holds { TEXT, FILES, CLASS_PATH }; /* FILES: with commas; CLASS_PATH: with colons */

static const struct {
    const char *option;
    const char *value;
    const char *key;
    enum holds holds;
    const char *help;
} key_options[] = {
    {"jars", "FILES", "spark.jars", FILES, "jars for the driver and the executors"},
    {"packages", "COORDINATES", "spark.jars.packages", TEXT, "Maven packages, group:artifact:version"},
    {"exclude-packages", "NAMES", "spark.jars.excludes", TEXT, "group:artifact to leave out"},
    {"repositories", "URLS", "spark.jars.repositories", TEXT, "further places to look for packages"},
    {"py-files", "FILES", "spark.submit.pyFiles", FILES, ".py, .zip, .egg for Python's path"},
    {"files", "FILES", "spark.files", FILES, "files for each executor's folder"},
    {"archives", "FILES", "spark.archives", FILES, "archives to unpack there"},
    {"driver-memory", "SIZE", "spark.driver.memory", TEXT, "memory of the driver, such as 2g"},
    {"driver-java-options", "TEXT", "spark.driver.extraJavaOptions", TEXT, "java options for the driver"},
    {"driver-library-path", "PATH", "spark.driver.extraLibraryPath", CLASS_PATH, "native libraries"},
    {"driver-class-path", "PATH", "spark.driver.extraClassPath", CLASS_PATH, "class path of the driver"},
    {"executor-memory", "SIZE", "spark.executor.memory", TEXT, "memory of each executor"},
    {"driver-cores", "N", "spark.driver.cores", TEXT, "cores of the driver (cluster mode)"},
    {"executor-cores", "N", "spark.executor.cores", TEXT, "cores of each executor"},
    {"total-executor-cores", "N", "spark.cores.max", TEXT, "cores of all executors (standalone)"},
    {"num-executors", "N", "spark.executor.instances", TEXT, "how many executors"},
    {"queue", "NAME", "spark.yarn.queue", TEXT, "queue (YARN)"},
    {"principal", "NAME", "spark.kerberos.principal", TEXT, "Kerberos principal"},
    {"keytab", "FILE", "spark.kerberos.keytab", FILES, "its keytab"},
};

static_assert(sizeof key_options / sizeof *key_options == SPARK_KEY_OPTIONS, "of_key has room for each");

void spark_options_init(struct spark_options *o, const char *command, struct arg rows[SPARK_ROWS])
{
    const struct arg first[] = {
        {"master", 0, ARG_TEXT, &o->master, "URL", "local[*], spark://…, yarn, k8s://… (else the server's)"},
        {"name", 0, ARG_TEXT, &o->name, "NAME", "name of the application, also for hearth's commands"},
        {"conf", 'c', ARG_MANY, &o->conf, "KEY=VALUE", "one Spark setting; may be repeated"},
        {"properties-file", 0, ARG_TEXT, &o->properties_file, "FILE", "Spark settings, read here"},
        {"proxy-user", 0, ARG_TEXT, &o->proxy_user, "NAME", "user to run as"},
    };
    *o = (struct spark_options){.command = command};
    static_assert(sizeof first / sizeof *first + SPARK_KEY_OPTIONS == SPARK_ROWS, "rows has room for all");
    memcpy(rows, first, sizeof first);
    struct arg *row = rows + sizeof first / sizeof *first;
    for (size_t i = 0; i < SPARK_KEY_OPTIONS; i++)
        *row++ = (struct arg){.name = key_options[i].option,
                              .kind = ARG_TEXT,
                              .to = &o->of_key[i],
                              .value = key_options[i].value,
                              .help = key_options[i].help};
}

void spark_options_clear(struct spark_options *o)
{
    strlist_clear(&o->conf);
}

/* ---- paths --------------------------------------------------------------------------------- */

/* "hdfs://…", "file:…": a letter, then letters, digits, + . -, then a colon. */
static bool has_scheme(const char *path, size_t len)
{
    size_t n = 0;
    while (n < len && (isalnum((unsigned char)path[n]) || strchr("+.-", path[n]) != NULL))
        n++;
    return n > 1 && n < len && path[n] == ':' && isalpha((unsigned char)path[0]);
}

/* Appends a path, an absolute one if it is relative; `len` bytes at `path`. */
static void add_absolute(struct buf *to, const char *folder, const char *path, size_t len)
{
    if (path[0] != '/' && !has_scheme(path, len))
        buf_printf(to, "%s/", folder);
    buf_add(to, path, len);
}

static enum err_code current_folder(char folder[PATH_MAX], struct err *err)
{
    return getcwd(folder, PATH_MAX) != NULL ? ERR_OK : err_sys(err, errno, "looking up the current folder");
}

bool spark_options_is_relative(const char *path)
{
    return path[0] != '/' && !has_scheme(path, strlen(path));
}

enum err_code spark_options_add_path(struct buf *to, const char *path, struct err *err)
{
    char folder[PATH_MAX];
    if (current_folder(folder, err) != ERR_OK)
        return ERR_IO;
    add_absolute(to, folder, path, strlen(path));
    return buf_check(to, err);
}

/* Appends a list of paths with each made absolute. Empty parts are left out, as Spark does. */
static enum err_code add_paths(struct buf *to, const char *list, char separator, struct err *err)
{
    char folder[PATH_MAX];
    if (current_folder(folder, err) != ERR_OK)
        return ERR_IO;
    const char blanks[] = {separator, ' ', '\t', '\0'};
    bool first = true;
    for (const char *p = list + strspn(list, blanks); *p != '\0'; p += strspn(p, blanks)) {
        size_t len = strcspn(p, (char[]){separator, '\0'});
        size_t bare = len;
        while (bare > 0 && (p[bare - 1] == ' ' || p[bare - 1] == '\t'))
            bare--;
        if (!first)
            buf_char(to, separator);
        add_absolute(to, folder, p, bare);
        first = false;
        p += len;
    }
    return buf_check(to, err);
}

/* ---- the configuration --------------------------------------------------------------------- */

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static enum err_code add_properties_file(const char *path, struct strmap *conf, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(PROPERTIES_MAX_BYTES);
    enum err_code rc = io_read_file(path, &text, err);
    if (rc != ERR_OK)
        return rc;
    rc = properties_parse(buf_cstr(&text), text.len, conf, err);
    return rc == ERR_OK ? ERR_OK : err_wrap(err, "%s", path);
}

static enum err_code add_pairs(const struct strlist *pairs, struct strmap *conf, struct err *err)
{
    for (size_t i = 0; i < pairs->n; i++) {
        const char *equals = strchr(pairs->items[i], '=');
        if (equals == NULL)
            return err_set(err, ERR_INVALID, "--conf %s: KEY=VALUE is wanted", pairs->items[i]);
        cleanup(mem_freep) char *key = mem_strndup(pairs->items[i], (size_t)(equals - pairs->items[i]));
        if (key == NULL || strmap_set(conf, key, equals + 1) != 0)
            return no_memory(err);
    }
    return ERR_OK;
}

/* Spark takes no notice of other keys either, and says so. */
static void drop_foreign_keys(const char *command, struct strmap *conf)
{
    for (size_t i = conf->n; i-- > 0;) {
        if (str_starts(conf->items[i].key, "spark."))
            continue;
        (void)fprintf(stderr, "hearth %s: %s is ignored: Spark's settings begin with \"spark.\"\n", command,
                      conf->items[i].key);
        strmap_remove(conf, conf->items[i].key);
    }
}

static enum err_code add_key_option(const char *text, size_t i, bool cluster, struct strmap *conf,
                                    struct err *err)
{
    cleanup(buf_clear) struct buf value = BUF(1 << 20);
    enum holds holds = key_options[i].holds;
    enum err_code rc = ERR_OK;
    if (holds == FILES)
        rc = add_paths(&value, text, ',', err);
    else if (holds == CLASS_PATH && !cluster) /* in a cluster a relative path is the driver's own */
        rc = add_paths(&value, text, ':', err);
    else
        buf_str(&value, text);
    if (rc != ERR_OK)
        return rc;
    if (buf_check(&value, err) != ERR_OK)
        return err_wrap(err, "--%s", key_options[i].option);
    return strmap_set(conf, key_options[i].key, buf_cstr(&value)) == 0 ? ERR_OK : no_memory(err);
}

/* The value that an option or else its key in conf has, taken out of conf; *ret is the caller's. */
static enum err_code take_out(const char *option, const char *key, struct strmap *conf, char **ret,
                              struct err *err)
{
    const char *value = option != NULL ? option : strmap_get(conf, key);
    if (mem_set_str(ret, value) != 0)
        return no_memory(err);
    strmap_remove(conf, key);
    return ERR_OK;
}

void spark_request_clear(struct spark_request *r)
{
    strmap_clear(&r->conf);
    mem_free(r->master);
    mem_free(r->deploy_mode);
}

enum err_code spark_options_collect(const struct spark_options *o, const char *deploy_mode,
                                    struct spark_request *r, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (o->properties_file != NULL)
        rc = add_properties_file(o->properties_file, &r->conf, err);
    if (rc == ERR_OK)
        rc = add_pairs(&o->conf, &r->conf, err);
    if (rc == ERR_OK)
        rc = take_out(o->master, "spark.master", &r->conf, &r->master, err);
    if (rc == ERR_OK)
        rc = take_out(deploy_mode, "spark.submit.deployMode", &r->conf, &r->deploy_mode, err);
    if (rc != ERR_OK)
        return rc;
    drop_foreign_keys(o->command, &r->conf);
    r->cluster = r->deploy_mode != NULL && strcmp(r->deploy_mode, "cluster") == 0;
    for (size_t i = 0; rc == ERR_OK && i < SPARK_KEY_OPTIONS; i++)
        if (o->of_key[i] != NULL)
            rc = add_key_option(o->of_key[i], i, r->cluster, &r->conf, err);
    return rc;
}

void spark_options_write_text(struct json_out *out, const char *key, const char *value)
{
    if (value != NULL)
        json_out_str(out, key, value);
}
