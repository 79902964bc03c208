/*
 * How a session's driver is started: the agent's files, which are part of this program, are written into a
 * folder of their own; session.json tells the agent who it is and how to start the JVM.
 *
 *     <state>/agent-<hash>/      the agent; the hash is of its text, so that drivers of an older hearth keep
 * theirs <state>/sessions.secret    32 bytes; with a session's id they make its token <folder>/session.json
 * read and removed by the agent
 */
#include "session/session_internal.h"

#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { PLAN_MAX = 64 << 20, HASH_SHOWN = 8, SPOOL_LIMIT = 256 << 20 };

/* Name and text of each file, in turn; made by the build from the folder agent/. */
extern const char *const session_agent_files[];

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- the agent's files ---- */

static bool hash_files(char text[2 * HASH_SHOWN + 1])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1;
    for (const char *const *text_of = session_agent_files; good && *text_of != NULL; text_of++)
        good = EVP_DigestUpdate(c, *text_of, strlen(*text_of) + 1) == 1;
    good = good && EVP_DigestFinal_ex(c, hash, NULL) == 1;
    for (int i = 0; good && i < HASH_SHOWN; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
    EVP_MD_CTX_free(c);
    return good;
}

static enum err_code write_files(const char *dir, struct err *err)
{
    enum err_code rc = io_make_dirs(dir, 0700, err);
    for (const char *const *file = session_agent_files; rc == ERR_OK && *file != NULL; file += 2) {
        cleanup(mem_freep) char *path = mem_printf("%s/%s", dir, file[0]);
        if (path == NULL)
            rc = no_memory(err);
        else if (!io_exists(path))
            rc = io_replace_file(path, file[1], strlen(file[1]), 0600, err);
    }
    return rc;
}

static enum err_code read_secret(struct sessions *s, struct err *err)
{
    cleanup(mem_freep) char *path = mem_printf("%s/sessions.secret", s->options.state_dir);
    cleanup(buf_clear) struct buf text = BUF(4096);
    if (path == NULL)
        return no_memory(err);
    if (!io_exists(path)) {
        unsigned char fresh[TOKEN_BYTES];
        if (getrandom(fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh)
            return err_sys(err, errno, "random numbers");
        if (io_replace_file(path, fresh, sizeof fresh, 0600, err) != ERR_OK)
            return err->code;
    }
    if (io_read_file(path, &text, err) != ERR_OK)
        return err->code;
    if (text.len != TOKEN_BYTES)
        return err_set(
            err, ERR_INVALID,
            "%s has %zu bytes and should have %d; remove it when no session lives, and a new one is made",
            path, text.len, TOKEN_BYTES);
    memcpy(s->secret, text.data, TOKEN_BYTES);
    return ERR_OK;
}

enum err_code launch_prepare(struct sessions *s, struct err *err)
{
    char hash[2 * HASH_SHOWN + 1];
    if (!hash_files(hash) || (s->agent_dir = mem_printf("%s/agent-%s", s->options.state_dir, hash)) == NULL)
        return no_memory(err);
    enum err_code rc = write_files(s->agent_dir, err);
    return rc == ERR_OK ? read_secret(s, err) : rc;
}

void launch_token(const struct sessions *s, int64_t id, unsigned char token[TOKEN_BYTES])
{
    char text[64];
    unsigned n = TOKEN_BYTES;
    int len = snprintf(text, sizeof text, "session %" PRId64, id);
    (void)HMAC(EVP_sha256(), s->secret, TOKEN_BYTES, (const unsigned char *)text, (size_t)len, token, &n);
}

/* ---- kinds ---- */

enum err_code sessions_check_kind(const struct sessions *s, const char *kind, struct err *err)
{
    const struct spark *spark = s->options.spark;
    if (strcmp(kind, "sparkr") != 0 || spark == NULL)
        return ERR_OK;
    cleanup(mem_freep) char *r = spark_find_program(spark, "Rscript");
    if (r == NULL)
        return err_set(err, ERR_INVALID,
                       "sparkr sessions cannot run here: there is no Rscript on the PATH (install R)");
    cleanup(mem_freep) char *library = mem_printf("%s/R/lib/SparkR", spark_home(spark));
    if (library != NULL && io_is_dir(library))
        return ERR_OK;
    return err_set(
        err, ERR_INVALID,
        "sparkr sessions cannot run here: %s/R/lib/SparkR does not exist (Spark's full distribution has it)",
        spark_home(spark));
}

/* ---- the command ---- */

static const char *env_value(const struct strlist *env, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < env->n; i++)
        if (strncmp(env->items[i], name, n) == 0 && env->items[i][n] == '=' && env->items[i][n + 1] != '\0')
            return env->items[i] + n + 1;
    return NULL;
}

/* The Python that pyspark's own shell would use; the caller frees it. */
static enum err_code find_python(const struct spark *spark, const struct app_launch *launch,
                                 const struct spark_command *command, char **ret, struct err *err)
{
    const char *const choices[] = {strmap_get(&launch->submission->conf, "spark.pyspark.driver.python"),
                                   strmap_get(&launch->submission->conf, "spark.pyspark.python"),
                                   env_value(&command->env, "PYSPARK_DRIVER_PYTHON"),
                                   env_value(&command->env, "PYSPARK_PYTHON"), "python3"};
    const char *name = NULL;
    for (size_t i = 0; name == NULL && i < sizeof choices / sizeof *choices; i++)
        name = choices[i] != NULL && choices[i][0] != '\0' ? choices[i] : NULL;
    *ret = strchr(name, '/') != NULL ? mem_strdup(name) : spark_find_program(spark, name);
    if (*ret != NULL && access(*ret, X_OK) == 0)
        return ERR_OK;
    return err_set(err, ERR_INVALID,
                   "a session needs Python, and %.200s is no program that can be run (PYSPARK_DRIVER_PYTHON, "
                   "PYSPARK_PYTHON, spark.pyspark.python)",
                   name);
}

/* The JVM's command line is spark-submit's, with what only sessions need: a JVM without memory ends and says
 * so instead of living on half dead; and a name. The user's own options stand behind ours and win. */
static void write_java(struct json_out *out, const struct app_launch *launch, const struct strlist *argv)
{
    const struct strmap *conf = &launch->submission->conf;
    char name[64];
    json_out_array(out, "java");
    json_out_str(out, NULL, argv->items[0]);
    json_out_str(out, NULL, "-XX:+ExitOnOutOfMemoryError");
    for (size_t i = 1; i + 1 < argv->n; i++)
        json_out_str(out, NULL, argv->items[i]);
    if (strmap_get(conf, "spark.ui.showConsoleProgress") == NULL) {
        json_out_str(out, NULL, "--conf");
        json_out_str(out, NULL, "spark.ui.showConsoleProgress=false"); /* bars of progress in the log */
    }
    if (launch->submission->name == NULL && strmap_get(conf, "spark.app.name") == NULL) {
        (void)snprintf(name, sizeof name, "spark.app.name=livy-session-%" PRId64, launch->id);
        json_out_str(out, NULL, "--conf");
        json_out_str(out, NULL, name);
    }
    json_out_str(out, NULL, argv->items[argv->n - 1]); /* pyspark-shell */
    json_out_end_array(out);
}

static void write_token(struct json_out *out, const struct sessions *s, int64_t id)
{
    unsigned char token[TOKEN_BYTES];
    char text[2 * TOKEN_BYTES + 1];
    launch_token(s, id, token);
    for (int i = 0; i < TOKEN_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", token[i]);
    json_out_str(out, "token", text);
}

static enum err_code write_plan(const struct sessions *s, const struct app_launch *launch,
                                const struct spark_command *command, const char *kind, const char *path,
                                struct err *err)
{
    const struct settings *settings = s->options.settings;
    cleanup(buf_clear) struct buf text = BUF(PLAN_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_int(&out, "session", launch->id);
    write_token(&out, s, launch->id);
    json_out_str(&out, "addressFile", s->address_file);
    json_out_str(&out, "sparkHome", spark_home(s->options.spark));
    json_out_str(&out, "kind", kind);
    write_java(&out, launch, &command->argv);
    json_out_str(&out, "warm", launch->warm ? kind : NULL);
    json_out_bool(&out, "idleWithContext", settings->sessions.idle_with_context);
    json_out_int(&out, "sqlRows", settings->sessions.sql_rows);
    json_out_int(&out, "outputLimit", settings->sessions.output_limit);
    json_out_int(&out, "spoolLimit", SPOOL_LIMIT);
    json_out_int(&out, "orphanTimeoutMs", settings->sessions.orphan_timeout_ms);
    json_out_end_object(&out);
    if (buf_check(&text, err) != ERR_OK)
        return err->code;
    return io_replace_file(path, text.data, text.len, 0600, err);
}

static char *kind_of_door(const char *door)
{
    char *kind = NULL;
    struct err err = {0};
    cleanup(json_decrefp) json_t *value = NULL;
    if (door != NULL && json_parse(door, strlen(door), 64, &value, &err) == ERR_OK)
        kind = mem_strdup(json_is_string(json_object_get(value, "kind"))
                              ? json_string_value(json_object_get(value, "kind"))
                              : "shared");
    return kind;
}

enum err_code launch_build(void *arg, const struct app_launch *launch, struct spark_command *command,
                           struct err *err)
{
    const struct sessions *s = arg;
    cleanup(mem_freep) char *path = mem_printf("%s/session.json", launch->folder);
    cleanup(mem_freep) char *kind = kind_of_door(launch->door);
    cleanup(mem_freep) char *python = NULL;
    struct strlist argv = {0};
    if (path == NULL || kind == NULL)
        return no_memory(err);
    enum err_code rc = find_python(s->options.spark, launch, command, &python, err);
    if (rc == ERR_OK)
        rc = write_plan(s, launch, command, kind, path, err);
    if (rc == ERR_OK && (strlist_add(&argv, python) != 0 || strlist_add(&argv, s->agent_dir) != 0 ||
                         strlist_add(&argv, path) != 0))
        rc = no_memory(err);
    if (rc != ERR_OK) {
        strlist_clear(&argv);
        return rc;
    }
    strlist_clear(&command->argv);
    command->argv = argv;
    return ERR_OK;
}
