/*
 * The command line of `hearth session start` as the body of POST /sessions: Spark's options
 * (spark_options.h) and the session's own.
 *
 * Lifetime   session_options_init() .. session_options_clear(); texts point into argv.
 * Thread     whoever owns it.
 */
#ifndef HEARTH_CMD_SESSION_OPTIONS_H
#define HEARTH_CMD_SESSION_OPTIONS_H

#include "base/buf.h"
#include "cmd/spark_options.h"

enum { SESSION_ROWS = SPARK_ROWS + 3 };

struct session_options {
    struct spark_options spark;
    const char *kind; /* NULL: pyspark */
    const char *idle_timeout;
    const char *ttl;
};

/* Makes *o empty and fills `rows` with the options, which will write into it. */
void session_options_init(struct session_options *o, struct arg rows[SESSION_ROWS]);
void session_options_clear(struct session_options *o);

/* Appends the JSON body. ERR_INVALID says what is wrong with an option. */
enum err_code session_options_write(const struct session_options *o, struct buf *to, struct err *err);

#endif
