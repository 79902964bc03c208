/*
 * The output of statements, as people read it.
 *
 * Text goes to standard output as it is; rows, of SQL and of %table, as a table; other JSON indented; an
 * image is only mentioned. Errors go to standard error, with their traceback.
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_STATEMENT_PRINT_H
#define HEARTH_CMD_STATEMENT_PRINT_H

#include "base/buf.h"

#include <jansson.h>

/* Prints a statement's `output`, which may be NULL or null: there is nothing. Returns an exit code:
 * CMD_FAILED for an error, and when something could not be printed. */
int statement_print(const json_t *output);

/* Appends an error's name, words and traceback as the language itself would have shown them. */
void statement_print_error(const json_t *output, struct buf *to);

#endif
