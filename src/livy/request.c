/*
 * What the creation of batches and of sessions have in common: the fields, the checks in Livy's words,
 * Spark's configuration made of them, the request's key, and the answer.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void creation_clear(struct creation *c)
{
    spark_submission_clear(&c->submission);
    mem_free(c->proxy_user);
    strlist_clear(&c->jars);
    strlist_clear(&c->files);
    strlist_clear(&c->archives);
    mem_free(c->driver_memory);
    mem_free(c->executor_memory);
}

void creation_read(struct creation *c, struct json_in *in)
{
    json_in_str(in, "name", &c->submission.name);
    json_in_str(in, "proxyUser", &c->proxy_user);
    json_in_list(in, "jars", &c->jars);
    json_in_list(in, "files", &c->files);
    json_in_list(in, "archives", &c->archives);
    json_in_list(in, "pyFiles", &c->submission.py_files);
    json_in_str(in, "driverMemory", &c->driver_memory);
    json_in_str(in, "executorMemory", &c->executor_memory);
    json_in_int(in, "driverCores", 0, INT32_MAX, &c->driver_cores);
    json_in_int(in, "executorCores", 0, INT32_MAX, &c->executor_cores);
    json_in_int(in, "numExecutors", 0, INT32_MAX, &c->num_executors);
    json_in_str(in, "queue", &c->submission.queue);
    json_in_map(in, "conf", &c->submission.conf);
    json_in_str(in, "master", &c->submission.master);
    json_in_str(in, "deployMode", &c->submission.deploy_mode);
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

static enum err_code check_deploy_mode(const struct creation *c, struct err *err)
{
    const char *mode = c->submission.deploy_mode;
    if (c->kind == APP_SESSION && mode == NULL)
        mode = strmap_get(&c->submission.conf, "spark.submit.deployMode"); /* where it is not denied */
    if (mode == NULL || strcmp(mode, "client") == 0)
        return ERR_OK;
    if (c->kind == APP_SESSION)
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

static enum err_code check(const struct livy *l, struct creation *c, struct err *err)
{
    struct strlist *lists[] = {&c->jars, &c->files, &c->archives, &c->submission.py_files};
    if (c->kind == APP_BATCH && str_blank(c->submission.file))
        return err_set(err, ERR_INVALID, "requirement failed: File is required.");
    enum err_code rc = check_name(c->submission.name, err);
    if (rc == ERR_OK)
        rc = door_check_conf(l->door, &c->submission.conf, err);
    if (rc == ERR_OK)
        rc = check_deploy_mode(c, err);
    if (rc == ERR_OK && c->kind == APP_BATCH)
        rc = door_accept_path(l->door, &c->submission.file, err);
    for (size_t i = 0; i < sizeof lists / sizeof *lists && rc == ERR_OK; i++) {
        drop_empty(lists[i]);
        rc = door_accept_paths(l->door, lists[i], err);
    }
    return rc == ERR_OK ? door_accept_conf_paths(l->door, &c->submission.conf, err) : rc;
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
static int merge_py_files(struct creation *c)
{
    struct spark_submission *s = &c->submission;
    if (c->kind == APP_SESSION) {
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

static enum err_code complete(const struct livy *l, struct creation *c, const char *proxy_user,
                              struct err *err)
{
    struct spark_submission *s = &c->submission;
    clear_if_empty(&s->class_name);
    clear_if_empty(&s->queue);
    strmap_remove(&s->conf, "spark.master");
    drop_foreign_keys(&s->conf);
    int rc = mem_set_str(&s->proxy_user, proxy_user);
    default_text(&s->deploy_mode, strmap_get(&s->conf, "spark.submit.deployMode"), &rc);
    default_text(&s->master, l->settings->spark.master, &rc);
    default_text(&s->deploy_mode, c->kind == APP_SESSION ? "client" : l->settings->spark.deploy_mode, &rc);
    bool yarn = rc == 0 && str_starts(s->master, "yarn");
    if (rc != 0 || conf_prepend(&s->conf, "spark.jars", &c->jars) != 0 ||
        conf_prepend(&s->conf, "spark.files", &c->files) != 0 ||
        conf_prepend(&s->conf, yarn ? "spark.yarn.dist.archives" : "spark.archives", &c->archives) != 0 ||
        merge_py_files(c) != 0 || conf_text(&s->conf, "spark.driver.memory", c->driver_memory) != 0 ||
        conf_text(&s->conf, "spark.executor.memory", c->executor_memory) != 0 ||
        conf_number(&s->conf, "spark.driver.cores", c->driver_cores) != 0 ||
        conf_number(&s->conf, "spark.executor.cores", c->executor_cores) != 0 ||
        conf_number(&s->conf, "spark.executor.instances", c->num_executors) != 0)
        return no_memory(err);
    return ERR_OK;
}

/* ---- the request's key ---- */

bool request_key_read(struct http_request *r, struct request_key *key)
{
    const char *text = http_header(r, "Idempotency-Key");
    key->given = text != NULL;
    if (text == NULL)
        return true;
    if (text[0] == '\0' || strlen(text) > 255) {
        livy_reply_msg(r, 400, "Idempotency-Key has %zu characters; it must have 1 to 255", strlen(text));
        return false;
    }
    unsigned char hash[SHA256_DIGEST_LENGTH];
    const struct buf *body = http_body(r);
    (void)SHA256((const unsigned char *)buf_cstr(body), body->len, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        (void)snprintf(key->digest + 2 * i, 3, "%02x", hash[i]);
    key->key = (struct store_key){http_user(r) != NULL ? http_user(r) : "", text, key->digest};
    return true;
}

const struct store_key *request_key_of(const struct request_key *key)
{
    return key->given ? &key->key : NULL;
}

/* ---- handing over, and the answer ---- */

struct submitting {
    struct livy *livy;
    struct http_request *request;
    char *name;
};

static void on_submitted(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg)
{
    (void)replayed; /* the same answer as the first time */
    struct submitting s = *(struct submitting *)arg;
    mem_free(arg);
    if (err->code == ERR_CONFLICT)
        livy_reply_msg(s.request, 400,
                       "Rejected, Reason: Duplicate session name: Some(%.200s) for session %" PRId64,
                       s.name != NULL ? s.name : "", id);
    else if (err->code != ERR_OK)
        livy_reply_error(s.request, err);
    else if (app == NULL) /* made by the first request with this key, and deleted since */
        livy_reply_msg(s.request, 404, "Session '%" PRId64 "' not found.", id);
    else
        views_reply_created(s.livy, s.request, app);
    mem_free(s.name);
}

void creation_reply_rejected(struct http_request *r, const struct err *err)
{
    if (err->code == ERR_INVALID)
        livy_reply_msg(r, 400, "Rejected, Reason: %s", err->msg);
    else
        livy_reply_error(r, err);
}

static void submit(struct livy *l, struct http_request *r, const struct creation *c,
                   creation_hand_over *hand_over)
{
    struct request_key key;
    struct err err = {0};
    if (!request_key_read(r, &key))
        return;
    struct submitting *s = mem_calloc(1, sizeof *s);
    if (s == NULL || mem_set_str(&s->name, c->submission.name) != 0) {
        mem_free(s);
        http_reply(r, NULL);
        return;
    }
    s->livy = l;
    s->request = r;
    if (hand_over(l, c, http_user(r), request_key_of(&key), on_submitted, s, &err) == ERR_OK)
        return;
    mem_free(s->name);
    mem_free(s);
    creation_reply_rejected(r, &err);
}

void creation_run(struct livy *l, struct http_request *r, struct creation *c, creation_hand_over *hand_over)
{
    struct err err = {0};
    const char *proxy_user = NULL;
    if (door_proxy_user(l->door, r, c->proxy_user, &proxy_user, &err) != ERR_OK)
        livy_reply_error(r, &err);
    else if (check(l, c, &err) != ERR_OK || complete(l, c, proxy_user, &err) != ERR_OK)
        creation_reply_rejected(r, &err);
    else
        submit(l, r, c, hand_over);
}
