/*
 * Configuration from rows: one table says what can be set, everything else follows from it.
 *
 * Sources, later ones win: the row's initial value, a YAML file, HEARTH_… environment variables
 * (server.state_dir is HEARTH_SERVER_STATE_DIR), the command line. The origin of each value is kept.
 *
 * Errors name the source, the line in a file, the key, the value and what is allowed; an unknown key
 * also the nearest known one.
 *
 * Thread   the one that starts the program.
 */
#ifndef HEARTH_BASE_CONFIG_H
#define HEARTH_BASE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_TEXT,     /* char *; a leading ~/ becomes the home folder */
    OPTION_CHOICE,   /* char *; one of the words in `choices` */
    OPTION_LIST,     /* struct strlist; a YAML sequence, or text split at commas and blanks */
    OPTION_BOOL,     /* bool: true, false */
    OPTION_INT,      /* int64_t, min..max */
    OPTION_SIZE,     /* int64_t bytes, min..max */
    OPTION_DURATION, /* int64_t milliseconds, min..max */
};

struct option {
    const char *name; /* "group.name"; NULL ends the table */
    enum option_type type;
    size_t offset;       /* of the field in the struct of values */
    const char *initial; /* as a person would write it */
    int64_t min, max;
    const char *choices; /* words with a blank between them */
    const char *help;    /* one or two sentences */
};

struct config; /* opaque: the rows, where the values go, where each came from */

/* Fills *values (the struct that the offsets speak of, zeroed by the caller) with the initial
 * values. NULL when memory is short. config_free() also frees the strings inside the values. */
struct config *config_new(const struct option *options, void *values);
void config_free(struct config *c);

/* A YAML file: nested mappings (server: {listen: …}) or dotted keys (server.listen: …), at most
 * 1 MiB, 8 levels. Nothing is changed when it is refused. */
enum err_code config_read_file(struct config *c, const char *path, struct err *err);
/* The same from memory; `name` is what errors call it. (The fuzzer's way in.) */
enum err_code config_read_text(struct config *c, const char *name, const char *text, size_t len,
                               struct err *err);
/* Every HEARTH_… variable in `environment` ("NAME=value", NULL-terminated). Unknown names are refused,
 * except those in `also_known` (NULL-terminated, NULL for none), which belong to somebody else; one
 * that ends in * stands for every name that begins so. */
enum err_code config_read_environment(struct config *c, char *const *environment,
                                      const char *const *also_known, struct err *err);
/* One value; `origin` is a literal such as "--set". */
enum err_code config_set(struct config *c, const char *key, const char *value, const char *origin,
                         struct err *err);
/* "key=value" as --set takes it. */
enum err_code config_set_pair(struct config *c, const char *pair, const char *origin, struct err *err);

/* The value of row i as a person would write it, appended; and where it came from:
 * "default", "file hearth.yaml line 3", "environment HEARTH_…", "--set". */
void config_write_value(const struct config *c, size_t i, struct buf *to);
const char *config_origin(const struct config *c, size_t i);
/* True when some source gave that key a value, be it the initial one again. */
bool config_is_given(const struct config *c, const char *key);

/* Documents made from the rows alone. */
void config_write_markdown(const struct option *options, struct buf *to); /* docs/configuration.md */
void config_write_example(const struct option *options, struct buf *to);  /* a commented YAML file */

#endif
