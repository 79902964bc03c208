/*
 * hearth's own log: events with fields, one line each, on standard error.
 *
 *     log_info("batch accepted", LOG_I("id", 7), LOG_S("owner", owner));
 *     2026-11-21T08:44:05.123Z INFO  batch accepted id=7 owner=alice
 *
 * Whoever gives up on something logs it, once; functions below return their failure instead. Never
 * log a token, a password or the value of a secret configuration key.
 *
 * Thread   any; a line is written with one write call.
 */
#ifndef HEARTH_BASE_LOG_H
#define HEARTH_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *name; /* NULL ends the list */
    const char *text; /* NULL: the number counts (and a NULL string prints as "-") */
    int64_t number;
};

#define LOG_S(name, text) ((struct log_field){(name), (text) != NULL ? (text) : "-", 0})
#define LOG_I(name, number) ((struct log_field){(name), NULL, (int64_t)(number)})

/* Levels above `level` print nothing. Default: LOG_INFO. */
void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_error(event, ...) log_write(LOG_ERROR, event, LOG_FIELDS(__VA_ARGS__))
#define log_warn(event, ...) log_write(LOG_WARN, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...) log_write(LOG_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_debug(event, ...) log_write(LOG_DEBUG, event, LOG_FIELDS(__VA_ARGS__))

#endif
