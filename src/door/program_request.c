/*
 * What to run, as the bodies of POST /batches and POST /sessions say it: the fields, the checks in Livy's
 * words, and Spark's configuration made of them.
 */
#include "door/door_internal.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void program_request_clear(struct program_request *p)
{
    spark_submission_clear(&p->submission);
    mem_free(p->proxy_user);
    strlist_clear(&p->jars);
    strlist_clear(&p->files);
    strlist_clear(&p->archives);
    mem_free(p->driver_memory);
    mem_free(p->executor_memory);
}

void program_request_read(struct program_request *p, struct json_in *in)
{
    if (p->kind == APP_BATCH) {
        json_in_str(in, "file", &p->submission.file);
        json_in_str(in, "className", &p->submission.class_name);
        json_in_list(in, "args", &p->submission.args);
    }
    json_in_str(in, "name", &p->submission.name);
    json_in_str(in, "proxyUser", &p->proxy_user);
    json_in_list(in, "jars", &p->jars);
    json_in_list(in, "files", &p->files);
    json_in_list(in, "archives", &p->archives);
    json_in_list(in, "pyFiles", &p->submission.py_files);
    json_in_str(in, "driverMemory", &p->driver_memory);
    json_in_str(in, "executorMemory", &p->executor_memory);
    json_in_int(in, "driverCores", 0, INT32_MAX, &p->driver_cores);
    json_in_int(in, "executorCores", 0, INT32_MAX, &p->executor_cores);
    json_in_int(in, "numExecutors", 0, INT32_MAX, &p->num_executors);
    json_in_str(in, "queue", &p->submission.queue);
    json_in_map(in, "conf", &p->submission.conf);
    json_in_str(in, "master", &p->submission.master);
    json_in_str(in, "deployMode", &p->submission.deploy_mode);
}

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- checks, with Livy's words ---- */

static enum err_code check_name(const char *name, struct err *err)
{
    if (name != NULL && strspn(name, "0123456789") == strlen(name))
        return err_set(err, ERR_INVALID, "Invalid session name: %.200s", name);
    return ERR_OK;
}

static enum err_code check_deploy_mode(const struct program_request *p, struct err *err)
{
    const char *mode = p->submission.deploy_mode;
    if (p->kind == APP_SESSION && mode == NULL)
        mode = strmap_get(&p->submission.conf, "spark.submit.deployMode"); /* where it is not denied */
    if (mode == NULL || strcmp(mode, "client") == 0)
        return ERR_OK;
    if (p->kind == APP_SESSION)
        return err_set(err, ERR_INVALID,
                       "deployMode is '%.100s'; a session's driver runs beside the server, in client mode",
                       mode);
    if (strcmp(mode, "cluster") == 0)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "deployMode is '%.100s'; it must be client or cluster", mode);
}

static void drop_empty(struct strlist *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (l->items[i][0] != '\0')
            l->items[kept++] = l->items[i];
        else
            mem_free(l->items[i]);
    }
    l->n = kept;
    if (l->items != NULL)
        l->items[kept] = NULL;
}

static enum err_code check(const struct door *d, struct program_request *p, struct err *err)
{
    struct strlist *lists[] = {&p->jars, &p->files, &p->archives, &p->submission.py_files};
    if (p->kind == APP_BATCH && str_blank(p->submission.file))
        return err_set(err, ERR_INVALID, "requirement failed: File is required.");
    enum err_code rc = check_name(p->submission.name, err);
    if (rc == ERR_OK)
        rc = door_check_conf(d, &p->submission.conf, err);
    if (rc == ERR_OK)
        rc = check_deploy_mode(p, err);
    if (rc == ERR_OK && p->kind == APP_BATCH)
        rc = door_accept_path(d, &p->submission.file, err);
    for (size_t i = 0; i < sizeof lists / sizeof *lists && rc == ERR_OK; i++) {
        drop_empty(lists[i]);
        rc = door_accept_paths(d, lists[i], err);
    }
    return rc == ERR_OK ? door_accept_conf_paths(d, &p->submission.conf, err) : rc;
}

/* ---- fields to configuration ---- */

/* Puts the items before those that conf has under the key already. */
static int conf_prepend(struct strmap *conf, const char *key, const struct strlist *items)
{
    if (items->n == 0)
        return 0;
    const char *old = strmap_get(conf, key);
    struct strlist all = {0};
    int rc = strlist_copy(&all, items);
    if (rc == 0 && old != NULL)
        rc = strlist_split(&all, old, ", \t\r\n");
    char *value = rc == 0 ? strlist_join(&all, ",") : NULL;
    rc = value != NULL ? strmap_set(conf, key, value) : -1;
    mem_free(value);
    strlist_clear(&all);
    return rc;
}

static int conf_number(struct strmap *conf, const char *key, int64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, n);
    return n == 0 ? 0 : strmap_set(conf, key, text);
}

static int conf_text(struct strmap *conf, const char *key, const char *value)
{
    return value == NULL || value[0] == '\0' ? 0 : strmap_set(conf, key, value);
}

/* A session's all go into conf, the one thing that a driver that stands ready takes over. A batch's go into
 * --py-files, which wins over spark.submit.pyFiles, so that the entries of both go there. */
static int merge_py_files(struct program_request *p)
{
    struct spark_submission *s = &p->submission;
    if (p->kind == APP_SESSION) {
        int rc = conf_prepend(&s->conf, "spark.submit.pyFiles", &s->py_files);
        strlist_clear(&s->py_files);
        return rc;
    }
    const char *old = strmap_get(&s->conf, "spark.submit.pyFiles");
    if (old == NULL || s->py_files.n == 0)
        return 0;
    if (strlist_split(&s->py_files, old, ", \t\r\n") != 0)
        return -1;
    strmap_remove(&s->conf, "spark.submit.pyFiles");
    return 0;
}

/* Settings of Livy and its clients are not Spark's: they are accepted and go no further. */
static void drop_foreign_keys(struct strmap *conf)
{
    for (size_t i = 0; i < conf->n;) {
        if (str_starts(conf->items[i].key, "livy."))
            strmap_remove(conf, conf->items[i].key);
        else
            i++;
    }
}

static void default_text(char **field, const char *value, int *rc)
{
    if (*rc == 0 && (*field == NULL || (*field)[0] == '\0') && value != NULL)
        *rc = mem_set_str(field, value);
}

static void clear_if_empty(char **field)
{
    if (*field != NULL && (*field)[0] == '\0')
        mem_freep(field);
}

static enum err_code complete(const struct door *d, struct program_request *p, const char *proxy_user,
                              struct err *err)
{
    struct spark_submission *s = &p->submission;
    clear_if_empty(&s->class_name);
    clear_if_empty(&s->queue);
    strmap_remove(&s->conf, "spark.master");
    drop_foreign_keys(&s->conf);
    int rc = mem_set_str(&s->proxy_user, proxy_user);
    default_text(&s->deploy_mode, strmap_get(&s->conf, "spark.submit.deployMode"), &rc);
    default_text(&s->master, d->settings->spark.master, &rc);
    default_text(&s->deploy_mode, p->kind == APP_SESSION ? "client" : d->settings->spark.deploy_mode, &rc);
    bool yarn = rc == 0 && str_starts(s->master, "yarn");
    if (rc != 0 || conf_prepend(&s->conf, "spark.jars", &p->jars) != 0 ||
        conf_prepend(&s->conf, "spark.files", &p->files) != 0 ||
        conf_prepend(&s->conf, yarn ? "spark.yarn.dist.archives" : "spark.archives", &p->archives) != 0 ||
        merge_py_files(p) != 0 || conf_text(&s->conf, "spark.driver.memory", p->driver_memory) != 0 ||
        conf_text(&s->conf, "spark.executor.memory", p->executor_memory) != 0 ||
        conf_number(&s->conf, "spark.driver.cores", p->driver_cores) != 0 ||
        conf_number(&s->conf, "spark.executor.cores", p->executor_cores) != 0 ||
        conf_number(&s->conf, "spark.executor.instances", p->num_executors) != 0)
        return no_memory(err);
    return ERR_OK;
}

enum err_code door_accept_program(const struct door *d, struct program_request *p, const char *proxy_user,
                                  struct err *err)
{
    enum err_code rc = check(d, p, err);
    return rc == ERR_OK ? complete(d, p, proxy_user, err) : rc;
}
