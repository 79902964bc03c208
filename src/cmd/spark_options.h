/*
 * The options that spark-submit has for every application, as the body of a request to the server.
 *
 * Names and meaning are spark-submit's own: an option that has a configuration key becomes that key;
 * options win over --conf, which wins over --properties-file. Relative paths on this machine are made
 * absolute, because the driver does not run in this folder.
 *
 * Lifetime   spark_options_init() .. spark_options_clear(); texts point into argv.
 * Thread     whoever owns it.
 */
#ifndef HEARTH_CMD_SPARK_OPTIONS_H
#define HEARTH_CMD_SPARK_OPTIONS_H

#include "base/err.h"
#include "base/json.h"
#include "base/strs.h"
#include "cmd/args.h"

#include <stdbool.h>

enum {
    SPARK_KEY_OPTIONS = 19,             /* options that stand for a configuration key */
    SPARK_ROWS = SPARK_KEY_OPTIONS + 5, /* and those that do not */
};

struct spark_options {
    const char *command; /* "submit", for words on standard error */
    const char *master;
    const char *name;
    const char *proxy_user;
    const char *properties_file;
    struct strlist conf; /* KEY=VALUE */
    const char *of_key[SPARK_KEY_OPTIONS];
};

/* Makes *o empty and fills `rows` with the options, which will write into it. */
void spark_options_init(struct spark_options *o, const char *command, struct arg rows[SPARK_ROWS]);
void spark_options_clear(struct spark_options *o);

/* The configuration from all its sources, with what has a field of its own in a request taken out. */
struct spark_request {
    struct strmap conf;
    char *master;      /* or NULL */
    char *deploy_mode; /* or NULL */
    bool cluster;      /* that is deploy mode cluster */
};

void spark_request_clear(struct spark_request *r);
/* Fills an empty *r, to be cleared also after a failure. `deploy_mode` is that option's value, or NULL. */
enum err_code spark_options_collect(const struct spark_options *o, const char *deploy_mode,
                                    struct spark_request *r, struct err *err);

/* Writes a member that is left out when there is nothing to say. */
void spark_options_write_text(struct json_out *out, const char *key, const char *value);

/* Appends a path, made absolute with this process's folder if it is relative. */
enum err_code spark_options_add_path(struct buf *to, const char *path, struct err *err);
/* True for a path on this machine that counts from this folder: no scheme, no leading slash. */
bool spark_options_is_relative(const char *path);

#endif
