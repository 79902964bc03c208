/*
 * POST /batches: reading the request, checking it as Livy does, and handing it to the core.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

/* The fields of the request, as they came. */
struct creation {
    struct spark_submission submission;
    char *proxy_user;
    struct strlist jars, files, archives;
    char *driver_memory, *executor_memory;
    int64_t driver_cores, executor_cores, num_executors; /* 0: not given */
};

static void creation_clear(struct creation *c)
{
    spark_submission_clear(&c->submission);
    mem_free(c->proxy_user);
    strlist_clear(&c->jars);
    strlist_clear(&c->files);
    strlist_clear(&c->archives);
    mem_free(c->driver_memory);
    mem_free(c->executor_memory);
}

static enum err_code read_fields(struct creation *c, json_t *body, struct err *err)
{
    struct json_in in;
    json_in_open(&in, body, err);
    json_in_str(&in, "file", &c->submission.file);
    json_in_str(&in, "className", &c->submission.class_name);
    json_in_list(&in, "args", &c->submission.args);
    json_in_str(&in, "proxyUser", &c->proxy_user);
    json_in_list(&in, "jars", &c->jars);
    json_in_list(&in, "files", &c->files);
    json_in_list(&in, "archives", &c->archives);
    json_in_list(&in, "pyFiles", &c->submission.py_files);
    json_in_str(&in, "driverMemory", &c->driver_memory);
    json_in_str(&in, "executorMemory", &c->executor_memory);
    json_in_int(&in, "driverCores", 0, INT32_MAX, &c->driver_cores);
    json_in_int(&in, "executorCores", 0, INT32_MAX, &c->executor_cores);
    json_in_int(&in, "numExecutors", 0, INT32_MAX, &c->num_executors);
    json_in_str(&in, "queue", &c->submission.queue);
    json_in_str(&in, "name", &c->submission.name);
    json_in_map(&in, "conf", &c->submission.conf);
    json_in_str(&in, "master", &c->submission.master);
    json_in_str(&in, "deployMode", &c->submission.deploy_mode);
    return json_in_end(&in);
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

static enum err_code check_denied(const struct livy *l, const struct strmap *conf, struct err *err)
{
    cleanup(buf_clear) struct buf keys = BUF(400);
    for (size_t i = 0; i < conf->n; i++)
        if (strlist_has(&l->settings->spark.denied_conf, conf->items[i].key))
            buf_printf(&keys, "%s%s", keys.len > 0 ? ", " : "", conf->items[i].key);
    if (keys.len == 0)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "Blacklisted configuration values in session config: %s",
                   buf_cstr(&keys));
}

static enum err_code accept_list(const struct livy *l, struct strlist *paths, struct err *err)
{
    for (size_t i = 0; i < paths->n; i++)
        if (path_accept(l, &paths->items[i], err) != ERR_OK)
            return err->code;
    return ERR_OK;
}

/* A value that holds paths, each accepted by itself. */
static enum err_code accept_value(const struct livy *l, struct strmap_entry *entry, struct err *err)
{
    struct strlist paths = {0};
    enum err_code rc =
        strlist_split(&paths, entry->value, ", \t\r\n") == 0 ? accept_list(l, &paths, err) : no_memory(err);
    char *joined = rc == ERR_OK ? strlist_join(&paths, ",") : NULL;
    strlist_clear(&paths);
    if (rc == ERR_OK && joined == NULL)
        return no_memory(err);
    if (joined != NULL) {
        mem_free(entry->value);
        entry->value = joined;
    }
    return rc;
}

static enum err_code accept_conf_paths(const struct livy *l, struct strmap *conf, struct err *err)
{
    static const char *const keys[] = {
        "spark.jars",
        "spark.files",
        "spark.archives",
        "spark.submit.pyFiles",
        "spark.yarn.dist.archives",
        "spark.yarn.dist.files",
        "spark.yarn.dist.jars",
        "spark.yarn.archive",
        "spark.yarn.jar",
        "spark.yarn.jars",
    };
    for (size_t i = 0; i < conf->n; i++) {
        bool holds_paths = strlist_has(&l->settings->spark.path_conf, conf->items[i].key);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            holds_paths = holds_paths || strcmp(keys[k], conf->items[i].key) == 0;
        if (!holds_paths)
            continue;
        if (accept_value(l, &conf->items[i], err) != ERR_OK)
            return err->code;
    }
    return ERR_OK;
}

static enum err_code check_deploy_mode(const struct creation *c, struct err *err)
{
    const char *mode = c->submission.deploy_mode;
    if (mode == NULL || strcmp(mode, "client") == 0 || strcmp(mode, "cluster") == 0)
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
    if (str_blank(c->submission.file))
        return err_set(err, ERR_INVALID, "requirement failed: File is required.");
    enum err_code rc = check_name(c->submission.name, err);
    if (rc == ERR_OK)
        rc = check_denied(l, &c->submission.conf, err);
    if (rc == ERR_OK)
        rc = check_deploy_mode(c, err);
    if (rc == ERR_OK)
        rc = path_accept(l, &c->submission.file, err);
    for (size_t i = 0; i < sizeof lists / sizeof *lists && rc == ERR_OK; i++) {
        drop_empty(lists[i]);
        rc = accept_list(l, lists[i], err);
    }
    return rc == ERR_OK ? accept_conf_paths(l, &c->submission.conf, err) : rc;
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

/* --py-files wins over spark.submit.pyFiles, so that the entries of both go into the option. */
static int merge_py_files(struct spark_submission *s)
{
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
    default_text(&s->master, l->settings->spark.master, &rc);
    default_text(&s->deploy_mode, l->settings->spark.deploy_mode, &rc);
    bool yarn = rc == 0 && str_starts(s->master, "yarn");
    if (rc != 0 || conf_prepend(&s->conf, "spark.jars", &c->jars) != 0 ||
        conf_prepend(&s->conf, "spark.files", &c->files) != 0 ||
        conf_prepend(&s->conf, yarn ? "spark.yarn.dist.archives" : "spark.archives", &c->archives) != 0 ||
        merge_py_files(s) != 0 || conf_text(&s->conf, "spark.driver.memory", c->driver_memory) != 0 ||
        conf_text(&s->conf, "spark.executor.memory", c->executor_memory) != 0 ||
        conf_number(&s->conf, "spark.driver.cores", c->driver_cores) != 0 ||
        conf_number(&s->conf, "spark.executor.cores", c->executor_cores) != 0 ||
        conf_number(&s->conf, "spark.executor.instances", c->num_executors) != 0)
        return no_memory(err);
    return ERR_OK;
}

/* ---- the request ---- */

struct submitting {
    struct livy *livy;
    struct http_request *request;
    char *name;
};

static void reply_created(struct livy *l, struct http_request *r, const struct app *app)
{
    char location[256];
    cleanup(buf_clear) struct buf body = BUF(4 << 20);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    view_batch_keys(&out, app, VIEW_LOG);
    json_out_end_object(&out);
    struct http_answer *answer = http_answer_new(201, HTTP_JSON, &body);
    (void)snprintf(location, sizeof location, "%s/batches/%" PRId64, http_server_base_path(l->server),
                   app_info(app)->id);
    if (answer != NULL)
        (void)http_answer_header(answer, "Location", location); /* the body has the id, too */
    http_reply(r, answer);
}

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
    else if (app == NULL)
        livy_reply_msg(s.request, 404, "Session '%" PRId64 "' not found.", id);
    else
        reply_created(s.livy, s.request, app);
    mem_free(s.name);
}

/* The request's Idempotency-Key, when it has one. False: it was answered. */
static bool read_key(struct http_request *r, struct store_key *key, char digest[2 * SHA256_DIGEST_LENGTH + 1],
                     bool *has_key)
{
    const char *text = http_header(r, "Idempotency-Key");
    *has_key = text != NULL;
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
        (void)snprintf(digest + 2 * i, 3, "%02x", hash[i]);
    *key = (struct store_key){http_user(r) != NULL ? http_user(r) : "", text, digest};
    return true;
}

static void reply_rejected(struct http_request *r, const struct err *err)
{
    if (err->code == ERR_INVALID)
        livy_reply_msg(r, 400, "Rejected, Reason: %s", err->msg);
    else
        livy_reply_error(r, err);
}

static void submit(struct livy *l, struct http_request *r, const struct creation *c, const char *proxy_user)
{
    char digest[2 * SHA256_DIGEST_LENGTH + 1];
    struct store_key key;
    bool has_key = false;
    struct err err = {0};
    if (!read_key(r, &key, digest, &has_key))
        return;
    struct submitting *s = mem_calloc(1, sizeof *s);
    if (s == NULL || mem_set_str(&s->name, c->submission.name) != 0) {
        mem_free(s);
        http_reply(r, NULL);
        return;
    }
    s->livy = l;
    s->request = r;
    struct app_request request = {
        .kind = APP_BATCH,
        .owner = http_user(r),
        .proxy_user = proxy_user,
        .submission = &c->submission,
        .key = has_key ? &key : NULL,
    };
    if (apps_submit(l->apps, &request, on_submitted, s, &err) == ERR_OK)
        return;
    mem_free(s->name);
    mem_free(s);
    reply_rejected(r, &err);
}

void batches_create(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    struct err err = {0};
    cleanup(json_decrefp) json_t *body = NULL;
    cleanup(creation_clear) struct creation c = {0};
    const struct buf *text = http_body(r);
    const char *proxy_user = NULL;
    if (json_parse(buf_cstr(text), text->len, (unsigned)l->settings->server.depth_limit, &body, &err) !=
            ERR_OK ||
        read_fields(&c, body, &err) != ERR_OK) {
        livy_reply_unreadable(r, &err);
        return;
    }
    if (!access_proxy_user(l->access, r, c.proxy_user, &proxy_user))
        return;
    if (check(l, &c, &err) != ERR_OK || complete(l, &c, proxy_user, &err) != ERR_OK) {
        reply_rejected(r, &err);
        return;
    }
    submit(l, r, &c, proxy_user);
}
