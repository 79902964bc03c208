/*
 * The entries of clusters.watch: NAME=spark://host:port[,host:port][@PERIOD].
 *
 * The list was split at its commas, so that an item without '=' goes on with the masters of the one before.
 */
#include "cluster/cluster_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "cluster/secrets.h"

#include <string.h>

enum { PERIOD_MIN_MS = 100, PERIOD_MAX_MS = 3600 * 1000 };

static void watch_clear(struct watch *w)
{
    mem_free(w->name);
    mem_free(w->url);
    secret_free(w->secret);
}

void watch_list_free(struct watch *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        watch_clear(&list[i]);
    mem_free(list);
}

static bool is_name(const char *text, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return len > 0 && len <= WATCH_NAME_MAX && strspn(text, allowed) >= len;
}

static const struct watch *find(const struct watch *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

static enum err_code start_entry(struct watch *list, size_t n, const char *item, struct err *err)
{
    const char *equals = strchr(item, '=');
    size_t len = (size_t)(equals - item);
    struct watch *w = &list[n];
    if (!is_name(item, len))
        return err_set(err, ERR_INVALID,
                       "'%.200s': a name is 1 to %d letters, digits, '.', '_' or '-', as in "
                       "main=spark://host:7077",
                       item, WATCH_NAME_MAX);
    w->name = mem_strndup(item, len);
    w->url = mem_strdup(equals + 1);
    if (w->name == NULL || w->url == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (find(list, n, w->name) != NULL)
        return err_set(err, ERR_INVALID, "'%s' is there twice; each cluster has a name of its own", w->name);
    return ERR_OK;
}

static enum err_code continue_entry(struct watch *w, const char *item, struct err *err)
{
    char *longer = mem_printf("%s,%s", w->url, item);
    if (longer == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    mem_free(w->url);
    w->url = longer;
    return ERR_OK;
}

/* Takes @PERIOD off the URL. */
static enum err_code take_period(struct watch *w, int64_t otherwise_ms, struct err *err)
{
    w->period_ms = otherwise_ms;
    char *at = strchr(w->url, '@');
    if (at == NULL)
        return ERR_OK;
    *at = '\0';
    if (parse_duration(at + 1, &w->period_ms, err) != ERR_OK)
        return err_wrap(err, "the period behind @, which ends an entry");
    if (w->period_ms < PERIOD_MIN_MS || w->period_ms > PERIOD_MAX_MS)
        return err_set(err, ERR_INVALID, "the period '%s': 100ms to 1h are allowed", at + 1);
    return ERR_OK;
}

static enum err_code read_entries(const struct strlist *items, struct watch *list, size_t *n, struct err *err)
{
    for (size_t i = 0; i < items->n; i++) {
        const char *item = items->items[i];
        enum err_code rc = ERR_OK;
        if (strchr(item, '=') != NULL) {
            rc = start_entry(list, (*n)++, item, err);
        } else if (*n > 0) {
            rc = continue_entry(&list[*n - 1], item, err);
        } else {
            rc = err_set(err, ERR_INVALID, "'%.200s' has no name; write NAME=spark://host:7077", item);
        }
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static enum err_code finish_entries(struct watch *list, size_t n, int64_t period_ms, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (take_period(&list[i], period_ms, err) != ERR_OK || masters_check_url(list[i].url, err) != ERR_OK)
            return err_wrap(err, "%s", list[i].name);
    return ERR_OK;
}

static enum err_code give_secrets(const char *path, struct watch *list, size_t n, struct err *err)
{
    struct strmap secrets = {0};
    enum err_code rc = secrets_read(path, &secrets, err);
    if (rc != ERR_OK)
        (void)err_wrap(err, "clusters.secrets_file");
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        if (mem_set_str(&list[i].secret, strmap_get(&secrets, list[i].name)) != 0)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == ERR_OK && i < secrets.n; i++)
        if (find(list, n, secrets.items[i].key) == NULL)
            log_warn("a secret for a cluster that is not watched", LOG_S("name", secrets.items[i].key));
    secrets_clear(&secrets);
    return rc;
}

enum err_code watch_list_read(const struct settings *settings, struct watch **ret, size_t *ret_n,
                              struct err *err)
{
    const struct strlist *items = &settings->clusters.watch;
    const char *path = settings->clusters.secrets_file;
    size_t n = 0;
    if (items->n > WATCH_MAX)
        return err_set(err, ERR_INVALID, "clusters.watch: more than %d masters", WATCH_MAX);
    struct watch *list = mem_calloc(items->n + 1, sizeof *list);
    if (list == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    enum err_code rc = read_entries(items, list, &n, err);
    if (rc == ERR_OK)
        rc = finish_entries(list, n, settings->clusters.period_ms, err);
    if (rc != ERR_OK)
        (void)err_wrap(err, "clusters.watch");
    if (rc == ERR_OK && path != NULL && *path != '\0')
        rc = give_secrets(path, list, n, err);
    if (rc != ERR_OK) {
        watch_list_free(list, n);
        return rc;
    }
    *ret = list;
    *ret_n = n;
    return ERR_OK;
}
