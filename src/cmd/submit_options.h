/*
 * The command line of `hearth submit` as the body of POST /batches: spark-submit's options
 * (spark_options.h) and the program with its arguments.
 *
 * Lifetime   submit_options_init() .. submit_options_clear(); texts point into argv.
 * Thread     whoever owns it.
 */
#ifndef HEARTH_CMD_SUBMIT_OPTIONS_H
#define HEARTH_CMD_SUBMIT_OPTIONS_H

#include "base/buf.h"
#include "cmd/spark_options.h"

enum { SUBMIT_ROWS = SPARK_ROWS + 3 };

struct submit_options {
    struct spark_options spark;
    const char *deploy_mode;
    const char *class_name;
    bool supervise;
};

/* Makes *o empty and fills `rows` with spark-submit's options, which will write into it. */
void submit_options_init(struct submit_options *o, struct arg rows[SUBMIT_ROWS]);
void submit_options_clear(struct submit_options *o);

/* Appends the JSON body for the program operands[0] with the arguments behind it. Without
 * `as_entry_name` the name is given to Spark only. ERR_INVALID says what spark-submit would refuse. */
enum err_code submit_options_write(const struct submit_options *o, char *const *operands, size_t n_operands,
                                   bool as_entry_name, struct buf *to, struct err *err);

#endif
