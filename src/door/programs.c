/*
 * What the request for a program may name: files, and settings of Spark.
 */
#include "door/door_internal.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/strs.h"

#include <string.h>

enum err_code door_check_conf(const struct door *d, const struct strmap *conf, struct err *err)
{
    cleanup(buf_clear) struct buf keys = BUF(400);
    for (size_t i = 0; i < conf->n; i++)
        if (strlist_has(&d->settings->spark.denied_conf, conf->items[i].key))
            buf_printf(&keys, "%s%s", keys.len > 0 ? ", " : "", conf->items[i].key);
    if (keys.len == 0)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "Blacklisted configuration values in session config: %s",
                   buf_cstr(&keys));
}

enum err_code door_accept_paths(const struct door *d, struct strlist *paths, struct err *err)
{
    for (size_t i = 0; i < paths->n; i++)
        if (door_accept_path(d, &paths->items[i], err) != ERR_OK)
            return err->code;
    return ERR_OK;
}

/* A value that holds paths, each accepted by itself. */
static enum err_code accept_value(const struct door *d, struct strmap_entry *entry, struct err *err)
{
    struct strlist paths = {0};
    enum err_code rc = strlist_split(&paths, entry->value, ", \t\r\n") == 0
                           ? door_accept_paths(d, &paths, err)
                           : err_set(err, ERR_NOMEM, "out of memory");
    char *joined = rc == ERR_OK ? strlist_join(&paths, ",") : NULL;
    strlist_clear(&paths);
    if (rc == ERR_OK && joined == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (joined != NULL) {
        mem_free(entry->value);
        entry->value = joined;
    }
    return rc;
}

enum err_code door_accept_conf_paths(const struct door *d, struct strmap *conf, struct err *err)
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
        bool holds_paths = strlist_has(&d->settings->spark.path_conf, conf->items[i].key);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            holds_paths = holds_paths || strcmp(keys[k], conf->items[i].key) == 0;
        if (!holds_paths)
            continue;
        if (accept_value(d, &conf->items[i], err) != ERR_OK)
            return err->code;
    }
    return ERR_OK;
}
