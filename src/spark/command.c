/*
 * The java command line of a submission: what bin/spark-submit would execute for the same options.
 *
 * The rules are those of Spark's own launcher (org.apache.spark.launcher, Spark 3.3 to 4.3):
 *
 *   java  <conf/java-opts>  -cp <class path>  <SPARK_SUBMIT_OPTS>  -Xmx<driver memory>
 *         <spark.driver.defaultJavaOptions>  <spark.driver.extraJavaOptions>  <fixed options>
 *         org.apache.spark.deploy.SparkSubmit  <spark-submit's options>  <file>  <arguments>
 *
 * A setting is looked for in the submission, then in conf/spark-defaults.conf, then in the environment.
 * -Xmx, driver java options and the driver's extra class path are only for a driver that runs in this
 * process (client mode).
 *
 * Not done: SPARK_PREPEND_CLASSES and SPARK_TESTING, which serve the developers of Spark itself.
 */
#include "spark/spark_internal.h"

#include "base/mem.h"
#include "base/parse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    JAVA_OPTS_MAX = 1024 * 1024, /* bytes of conf/java-opts */
};

static const uint64_t MIB = 1024 * 1024;

static const char DEFAULT_MEMORY[] = "1g";

/* One submission with all that its command depends on. */
struct build {
    const struct spark *s;
    const struct spark_submission *submission;
    struct strmap conf; /* the submission's, then spark-defaults.conf */
    bool client;        /* the driver runs in the process that is started */
};

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static void build_clear(struct build *b)
{
    strmap_clear(&b->conf);
}

/* NULL when it is absent or empty, which are the same to Spark's launcher. */
static const char *conf_value(const struct build *b, const char *key)
{
    return not_empty(strmap_get(&b->conf, key));
}

static const char *master_of(const struct build *b)
{
    const char *master = not_empty(b->submission->master);
    return master != NULL ? master : conf_value(b, "spark.master");
}

static const char *deploy_mode_of(const struct build *b)
{
    const char *mode = not_empty(b->submission->deploy_mode);
    return mode != NULL ? mode : conf_value(b, "spark.submit.deployMode");
}

static bool runs_driver_here(const struct build *b)
{
    const char *mode = deploy_mode_of(b);
    return master_of(b) == NULL || mode == NULL || strcmp(mode, "client") == 0;
}

static enum err_code add_defaults(struct build *b, struct err *err)
{
    struct strmap defaults = {0};
    cleanup(mem_freep) char *path = mem_printf("%s/spark-defaults.conf", b->s->conf_dir);
    enum err_code rc = path == NULL ? no_memory(err) : properties_read_file(path, &defaults, err);
    for (size_t i = 0; rc == ERR_OK && i < defaults.n; i++) {
        const struct strmap_entry *e = &defaults.items[i];
        if (strmap_get(&b->conf, e->key) == NULL && strmap_set(&b->conf, e->key, e->value) != 0)
            rc = no_memory(err);
    }
    strmap_clear(&defaults);
    return rc;
}

static enum err_code build_open(struct build *b, const struct spark *s,
                                const struct spark_submission *submission, struct err *err)
{
    *b = (struct build){.s = s, .submission = submission};
    if (strmap_copy(&b->conf, &submission->conf) != 0)
        return no_memory(err);
    enum err_code rc = add_defaults(b, err);
    if (rc == ERR_OK)
        b->client = runs_driver_here(b);
    return rc;
}

enum err_code spark_complete_conf(const struct spark *s, const struct spark_submission *submission,
                                  struct strmap *ret, struct err *err)
{
    if (s == NULL)
        return strmap_copy(ret, &submission->conf) == 0 ? ERR_OK : no_memory(err);
    cleanup(build_clear) struct build b = {0};
    enum err_code rc = build_open(&b, s, submission, err);
    if (rc != ERR_OK)
        return rc;
    strmap_clear(ret);
    *ret = b.conf;
    b.conf = (struct strmap){0}; /* the caller's now */
    return ERR_OK;
}

enum err_code usual_class_path(const struct spark *s, char **ret, struct err *err)
{
    static const struct spark_submission usual = {0};
    cleanup(build_clear) struct build b = {0};
    enum err_code rc = build_open(&b, s, &usual, err);
    return rc == ERR_OK ? make_class_path(s, &b.conf, b.client, ret, err) : rc;
}

/* ---- java options ---- */

/* The options that Spark gives every JVM, most of them for the module system of Java 9 and later, and
 * the versions that have them: from `since` on, before `until` (305 is 3.5). */
static const struct {
    unsigned since, until;
    const char *option;
} fixed_options[] = {
    {303, UINT32_MAX, "-XX:+IgnoreUnrecognizedVMOptions"},
    {400, UINT32_MAX, "--add-modules=jdk.incubator.vector"},
    {303, UINT32_MAX, "--add-opens=java.base/java.lang=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/java.lang.invoke=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/java.io=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/java.net=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/java.nio=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/java.util=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/sun.nio.cs=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/sun.security.action=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.base/sun.util.calendar=ALL-UNNAMED"},
    {303, UINT32_MAX, "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED"},
    {304, 402, "-Djdk.reflect.useDirectMethodHandle=false"},
    {400, UINT32_MAX, "-Dio.netty.tryReflectionSetAccessible=true"},
    {401, UINT32_MAX, "-Dio.netty.allocator.type=pooled"},
    {401, UINT32_MAX, "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE"},
    {401, UINT32_MAX, "--enable-native-access=ALL-UNNAMED"},
    {402, UINT32_MAX, "--sun-misc-unsafe-memory-access=allow"},
    {400, UINT32_MAX, "-Dderby.connection.requireAuthentication=false"},
};

static int add_options_of_version(unsigned version, struct strlist *argv)
{
    for (size_t i = 0; i < sizeof fixed_options / sizeof *fixed_options; i++)
        if (version >= fixed_options[i].since && version < fixed_options[i].until &&
            strlist_add(argv, fixed_options[i].option) != 0)
            return -1;
    return 0;
}

int add_fixed_options(const struct spark *s, struct strlist *argv)
{
    return add_options_of_version(s->version_number, argv);
}

int spark_add_module_options(struct strlist *to)
{
    return add_options_of_version(SPARK_3_5, to); /* harmless to the others */
}

/* Adds the options in `text` (NULL: none); errors say where they come from. */
static enum err_code add_options(struct strlist *to, const char *origin, const char *text, struct err *err)
{
    enum err_code rc = text == NULL ? ERR_OK : options_split(text, to, err);
    if (rc != ERR_OK)
        (void)err_wrap(err, "%s", origin);
    return rc;
}

static enum err_code add_options_from_env(const struct build *b, struct strlist *to, const char *name,
                                          struct err *err)
{
    return add_options(to, name, spark_env(b->s, name), err);
}

/* The lines of conf/java-opts, when there is such a file. */
static enum err_code add_options_from_file(const struct build *b, struct strlist *to, struct err *err)
{
    cleanup(mem_freep) char *path = mem_printf("%s/java-opts", b->s->conf_dir);
    if (path == NULL)
        return no_memory(err);
    cleanup(buf_clear) struct buf text = BUF(JAVA_OPTS_MAX);
    enum err_code rc = read_setting_file(path, &text, err);
    if (rc != ERR_OK)
        return rc;
    struct strlist lines = {0};
    if (strlist_split(&lines, buf_cstr(&text), "\r\n") != 0)
        rc = no_memory(err);
    for (size_t i = 0; rc == ERR_OK && i < lines.n; i++)
        rc = add_options(to, path, lines.items[i], err);
    strlist_clear(&lines);
    return rc;
}

/* Spark 3 looks for the letters anywhere, Spark 4 at the start of each option. */
static bool sets_heap(const struct build *b, const struct strlist *options, const char *text)
{
    if (b->s->version_number < SPARK_4_0)
        return strstr(text, "Xmx") != NULL;
    for (size_t i = 0; i < options->n; i++)
        if (str_starts(options->items[i], "-Xmx"))
            return true;
    return false;
}

/* The driver's java options of one key; they are checked in cluster mode too. */
static enum err_code add_driver_options(const struct build *b, struct strlist *to, const char *key,
                                        struct err *err)
{
    const char *text = conf_value(b, key);
    if (text == NULL)
        return ERR_OK;
    struct strlist options = {0};
    enum err_code rc = add_options(&options, key, text, err);
    if (rc == ERR_OK && sets_heap(b, &options, text))
        rc = err_set(err, ERR_INVALID, "%s must not set the heap (-Xmx): use spark.driver.memory", key);
    for (size_t i = 0; rc == ERR_OK && b->client && i < options.n; i++)
        if (strlist_add(to, options.items[i]) != 0)
            rc = no_memory(err);
    strlist_clear(&options);
    return rc;
}

/* Long-running servers that are started like an application. */
static bool is_daemon(const struct build *b)
{
    const char *name = b->submission->class_name;
    return name != NULL && (strcmp(name, "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2") == 0 ||
                            strcmp(name, "org.apache.spark.sql.connect.service.SparkConnectServer") == 0);
}

/* As it stands in the first place that says something; java judges it, not hearth. */
static const char *driver_memory(const struct build *b)
{
    const char *memory = is_daemon(b) ? spark_env(b->s, "SPARK_DAEMON_MEMORY") : NULL;
    if (memory == NULL)
        memory = conf_value(b, "spark.driver.memory");
    if (memory == NULL)
        memory = spark_env(b->s, "SPARK_DRIVER_MEMORY");
    if (memory == NULL)
        memory = spark_env(b->s, "SPARK_MEM");
    return memory != NULL ? memory : DEFAULT_MEMORY;
}

/* All options between the class path and the main class. */
static enum err_code add_java_options(const struct build *b, struct strlist *to, struct err *err)
{
    enum err_code rc = is_daemon(b) ? add_options_from_env(b, to, "SPARK_DAEMON_JAVA_OPTS", err) : ERR_OK;
    if (rc == ERR_OK)
        rc = add_options_from_env(b, to, "SPARK_SUBMIT_OPTS", err);
    if (rc == ERR_OK && b->client && strlist_addf(to, "-Xmx%s", driver_memory(b)) != 0)
        rc = no_memory(err);
    if (rc == ERR_OK)
        rc = add_driver_options(b, to, "spark.driver.defaultJavaOptions", err);
    if (rc == ERR_OK)
        rc = add_driver_options(b, to, "spark.driver.extraJavaOptions", err);
    if (rc == ERR_OK && add_fixed_options(b->s, to) != 0)
        rc = no_memory(err);
    return rc;
}

/* ---- spark-submit's own options ---- */

static int add_pair(struct strlist *argv, const char *option, const char *value)
{
    if (value == NULL)
        return 0;
    return strlist_add(argv, option) != 0 || strlist_add(argv, value) != 0 ? -1 : 0;
}

static int add_conf(struct strlist *argv, const struct strmap *conf)
{
    for (size_t i = 0; i < conf->n; i++)
        if (strlist_add(argv, "--conf") != 0 ||
            strlist_addf(argv, "%s=%s", conf->items[i].key, conf->items[i].value) != 0)
            return -1;
    return 0;
}

static int add_py_files(struct strlist *argv, const struct strlist *files)
{
    if (files->n == 0)
        return 0;
    cleanup(mem_freep) char *joined = strlist_join(files, ",");
    return joined == NULL ? -1 : add_pair(argv, "--py-files", joined);
}

/* For some classes spark-submit puts a resource name of its own in the file's place; the file, which
 * may be absent, is the first argument then. */
static const char *resource_of_class(const char *class_name)
{
    static const char *const resources[][2] = {
        {"org.apache.spark.repl.Main", "spark-shell"},
        {"org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver", "spark-internal"},
        {"org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal"},
        {"org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"},
    };
    for (size_t i = 0; class_name != NULL && i < sizeof resources / sizeof *resources; i++)
        if (strcmp(resources[i][0], class_name) == 0)
            return resources[i][1];
    return NULL;
}

static enum err_code check_file(const struct spark_submission *submission, struct err *err)
{
    if (resource_of_class(submission->class_name) != NULL)
        return ERR_OK;
    if (not_empty(submission->file) == NULL)
        return err_set(err, ERR_INVALID, "file is required: an application jar, .py or .R");
    if (submission->file[0] == '-')
        return err_set(err, ERR_INVALID,
                       "file must not begin with '-', which spark-submit takes for an option");
    return ERR_OK;
}

static int add_file_and_args(struct strlist *argv, const struct spark_submission *submission)
{
    const char *resource = resource_of_class(submission->class_name);
    if ((resource != NULL && strlist_add(argv, resource) != 0) ||
        (submission->file != NULL && strlist_add(argv, submission->file) != 0))
        return -1;
    for (size_t i = 0; i < submission->args.n; i++)
        if (strlist_add(argv, submission->args.items[i]) != 0)
            return -1;
    return 0;
}

static int add_submit_options(struct strlist *argv, const struct spark_submission *submission)
{
    return strlist_add(argv, "org.apache.spark.deploy.SparkSubmit") != 0 ||
                   add_pair(argv, "--master", submission->master) != 0 ||
                   add_pair(argv, "--deploy-mode", submission->deploy_mode) != 0 ||
                   add_conf(argv, &submission->conf) != 0 ||
                   add_pair(argv, "--class", submission->class_name) != 0 ||
                   add_pair(argv, "--name", submission->name) != 0 ||
                   add_pair(argv, "--proxy-user", submission->proxy_user) != 0 ||
                   add_pair(argv, "--queue", submission->queue) != 0 ||
                   add_py_files(argv, &submission->py_files) != 0 || add_file_and_args(argv, submission) != 0
               ? -1
               : 0;
}

/* ---- what it needs ---- */

/* What a driver needs beside its heap: spark.driver.memoryOverhead, else a share of the heap, but not
 * less than what the smallest JVM with Spark in it takes. */
static uint64_t overhead(const struct build *b, uint64_t heap)
{
    static const double DEFAULT_FACTOR = 0.1;
    uint64_t bytes = 0;
    const char *fixed = conf_value(b, "spark.driver.memoryOverhead");
    if (fixed != NULL && parse_size(fixed, MIB, &bytes, NULL) == ERR_OK)
        return bytes;
    const char *text = conf_value(b, "spark.driver.memoryOverheadFactor");
    double factor = text != NULL ? strtod(text, NULL) : DEFAULT_FACTOR;
    if (!(factor > 0 && factor < 100)) /* java will refuse it in Spark's own words */
        factor = DEFAULT_FACTOR;
    bytes = (uint64_t)((double)heap * factor);
    return bytes > 384 * MIB ? bytes : 384 * MIB;
}

/* Sizes that java will refuse count as the default: the driver ends at once and says why. */
static uint64_t memory_needed(const struct build *b)
{
    /* Without -Xmx java may use a quarter of the machine, but a JVM that only hands an application to a
     * cluster and waits stays well below this. */
    const uint64_t SUBMITTER = 512 * MIB;
    const uint64_t MOST = 1ULL << 50;
    if (!b->client)
        return SUBMITTER;
    uint64_t heap = 0;
    if (parse_size(driver_memory(b), 1, &heap, NULL) != ERR_OK || heap > MOST)
        heap = 1024 * MIB;
    uint64_t beside = overhead(b, heap);
    return heap + (beside < MOST ? beside : MOST);
}

static bool is_remote(const struct build *b)
{
    const char *master = master_of(b);
    const char *mode = deploy_mode_of(b);
    if (mode == NULL)
        mode = spark_env(b->s, "DEPLOY_MODE");
    if (master == NULL)
        master = spark_env(b->s, "MASTER");
    return (mode != NULL && strcmp(mode, "cluster") == 0) ||
           (master != NULL && (str_starts(master, "yarn") || str_starts(master, "k8s://")));
}

enum err_code spark_estimate(const struct spark *s, const struct spark_submission *submission,
                             uint64_t *ret_memory_bytes, bool *ret_remote, struct err *err)
{
    cleanup(build_clear) struct build b = {0};
    enum err_code rc = build_open(&b, s, submission, err);
    if (rc != ERR_OK)
        return rc;
    *ret_memory_bytes = memory_needed(&b);
    *ret_remote = is_remote(&b);
    return ERR_OK;
}

/* ---- the command ---- */

static enum err_code add_environment(const struct build *b, struct strlist *env, struct err *err)
{
    struct strmap all = {0};
    const char *extra = b->client ? conf_value(b, "spark.driver.extraLibraryPath") : NULL;
    const char *current = spark_env(b->s, "LD_LIBRARY_PATH");
    cleanup(mem_freep) char *libraries = extra == NULL     ? NULL
                                         : current == NULL ? mem_strdup(extra)
                                                           : mem_printf("%s:%s", current, extra);
    int failed = extra != NULL && libraries == NULL ? -1 : strmap_copy(&all, &b->s->env);
    if (failed == 0)
        failed = strmap_set(&all, "PYTHONHASHSEED", "0"); /* as bin/spark-submit does */
    if (failed == 0 && libraries != NULL)
        failed = strmap_set(&all, "LD_LIBRARY_PATH", libraries);
    const struct strmap *own = &b->submission->env;
    for (size_t i = 0; failed == 0 && i < own->n; i++)
        failed = strmap_set(&all, own->items[i].key, own->items[i].value);
    for (size_t i = 0; failed == 0 && i < all.n; i++)
        failed = strlist_addf(env, "%s=%s", all.items[i].key, all.items[i].value);
    strmap_clear(&all);
    return failed != 0 ? no_memory(err) : ERR_OK;
}

/* The user's options decide alone about the sharing of classes when they speak of it. */
static bool speaks_of_sharing(const char *options)
{
    return options != NULL &&
           (strstr(options, "SharedArchiveFile") != NULL || strstr(options, "-Xshare") != NULL ||
            strstr(options, "ArchiveClassesAtExit") != NULL);
}

static bool any_speaks_of_sharing(const struct strlist *options)
{
    for (size_t i = 0; i < options->n; i++)
        if (speaks_of_sharing(options->items[i]))
            return true;
    return false;
}

static bool may_use_archive(const struct build *b, const struct strlist *before, const struct strlist *behind)
{
    return b->s->archive != NULL && !any_speaks_of_sharing(before) && !any_speaks_of_sharing(behind) &&
           !speaks_of_sharing(spark_env(b->s, "JAVA_TOOL_OPTIONS")) &&
           !speaks_of_sharing(spark_env(b->s, "JDK_JAVA_OPTIONS"));
}

static int add_all(struct strlist *to, const struct strlist *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (strlist_add(to, from->items[i]) != 0)
            return -1;
    return 0;
}

/* The options in front of the class path (conf/java-opts) and those behind it. */
static enum err_code add_java(const struct build *b, const struct strlist *before,
                              const struct strlist *behind, struct strlist *argv, struct err *err)
{
    cleanup(mem_freep) char *class_path = NULL;
    enum err_code rc = make_class_path(b->s, &b->conf, b->client, &class_path, err);
    if (rc != ERR_OK)
        return rc;
    if (strlist_add(argv, b->s->java) != 0 ||
        (may_use_archive(b, before, behind) && archive_apply(b->s->archive, argv, &class_path) != 0) ||
        add_all(argv, before) != 0 || add_pair(argv, "-cp", class_path) != 0 || add_all(argv, behind) != 0)
        return no_memory(err);
    return ERR_OK;
}

static enum err_code add_argv(const struct build *b, struct strlist *argv, struct err *err)
{
    struct strlist before = {0};
    struct strlist behind = {0};
    enum err_code rc = check_file(b->submission, err);
    if (rc == ERR_OK)
        rc = add_options_from_file(b, &before, err);
    if (rc == ERR_OK)
        rc = add_java_options(b, &behind, err);
    if (rc == ERR_OK)
        rc = add_java(b, &before, &behind, argv, err);
    if (rc == ERR_OK && add_submit_options(argv, b->submission) != 0)
        rc = no_memory(err);
    strlist_clear(&before);
    strlist_clear(&behind);
    return rc;
}

enum err_code spark_build_command(const struct spark *s, const struct spark_submission *submission,
                                  struct spark_command *ret, struct err *err)
{
    cleanup(build_clear) struct build b = {0};
    cleanup(spark_command_clear) struct spark_command c = {0};
    enum err_code rc = build_open(&b, s, submission, err);
    if (rc == ERR_OK)
        rc = add_argv(&b, &c.argv, err);
    if (rc == ERR_OK)
        rc = add_environment(&b, &c.env, err);
    if (rc != ERR_OK)
        return rc;
    c.memory_bytes = memory_needed(&b);
    c.remote = is_remote(&b);
    *ret = c;
    c = (struct spark_command){0}; /* the caller's now */
    return ERR_OK;
}

void spark_command_clear(struct spark_command *c)
{
    strlist_clear(&c->argv);
    strlist_clear(&c->env);
    *c = (struct spark_command){0};
}
