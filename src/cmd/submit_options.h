/*
 * spark-submit's options as the body of POST /batches.
 *
 * Names and meaning are spark-submit's own: an option that has a configuration key becomes that key;
 * options win over --conf, which wins over --properties-file. Relative paths on this machine are made
 * absolute, because the driver does not run in this folder.
 *
 * Lifetime   submit_options_init() .. submit_options_clear(); texts point into argv.
 * Thread     whoever owns it.
 */
#ifndef HEARTH_CMD_SUBMIT_OPTIONS_H
#define HEARTH_CMD_SUBMIT_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strs.h"
#include "cmd/args.h"

enum {
    SUBMIT_KEY_OPTIONS = 19,              /* options that stand for a configuration key */
    SUBMIT_ROWS = SUBMIT_KEY_OPTIONS + 8, /* and those that do not */
};

struct submit_options {
    const char *master;
    const char *deploy_mode;
    const char *class_name;
    const char *name;
    const char *proxy_user;
    const char *properties_file;
    struct strlist conf; /* KEY=VALUE */
    bool supervise;
    const char *of_key[SUBMIT_KEY_OPTIONS];
};

/* Makes *o empty and fills `rows` with spark-submit's options, which will write into it. */
void submit_options_init(struct submit_options *o, struct arg rows[SUBMIT_ROWS]);
void submit_options_clear(struct submit_options *o);

/* Appends the JSON body for the program operands[0] with the arguments behind it. Without
 * `as_entry_name` the name is given to Spark only. ERR_INVALID says what spark-submit would refuse. */
enum err_code submit_options_write(const struct submit_options *o, char *const *operands, size_t n_operands,
                                   bool as_entry_name, struct buf *to, struct err *err);

#endif
