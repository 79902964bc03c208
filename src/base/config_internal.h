/* What the parts of config share: values, and where they go. Private to src/base. */
#ifndef HEARTH_BASE_CONFIG_INTERNAL_H
#define HEARTH_BASE_CONFIG_INTERNAL_H

#include "base/config.h"
#include "base/strs.h"

#include <stdbool.h>

struct config {
    const struct option *options;
    size_t n;       /* rows */
    void *values;   /* the caller's struct */
    char **origins; /* one per row, owned */
};

/* A value on its way to its field; the row's type tells which member counts. */
struct config_value {
    char *text;
    struct strlist list;
    int64_t number;
    bool flag;
};

void config_value_clear(struct config_value *v);
/* Reads text as the row's type. The message begins with the row's name. */
enum err_code config_value_parse(const struct option *o, const char *text, struct config_value *ret,
                                 struct err *err);
/* Moves *v into the field of row i, and takes ownership of origin. Cannot fail. */
void config_put(struct config *c, size_t i, struct config_value *v, char *origin);

/* The row of that name, or c->n. */
size_t config_find(const struct config *c, const char *key);
/* True when rows of that group exist: "server" for "server.listen". */
bool config_is_group(const struct config *c, const char *name);
/* ERR_INVALID "unknown key 'x'; did you mean 'y'?" */
enum err_code config_unknown(const struct config *c, const char *key, struct err *err);

#endif
