/*
 * Tables for people: columns as wide as their content, cut to the width of the terminal.
 *
 *     static const struct table_column columns[] = {{"ID", false}, {"REASON", true}, {0}};
 *     cleanup(table_clear) struct table t;
 *     table_init(&t, columns);
 *     table_cell(&t, "7");
 *     table_cell(&t, "waits for memory");
 *     return table_print(&t);
 *
 * Cells are UTF-8 from anywhere: control characters and broken bytes are printed as ?, so that a
 * name cannot move the cursor. Where the output is no terminal nothing is cut and nothing is bold.
 *
 * Thread   whoever owns it; printing needs LC_CTYPE to be a UTF-8 locale (main.c sees to that).
 */
#ifndef HEARTH_CMD_TABLE_H
#define HEARTH_CMD_TABLE_H

#include "base/strs.h"

#include <stdbool.h>
#include <stdio.h>

struct table_column {
    const char *title; /* NULL ends the columns */
    bool may_shrink;   /* cells may be cut, with … at the end */
};

struct table {
    const struct table_column *columns; /* borrowed */
    size_t n_columns;
    struct strlist cells; /* row by row */
    bool out_of_memory;
};

void table_init(struct table *t, const struct table_column *columns);
void table_clear(struct table *t);
void table_cell(struct table *t, const char *text); /* the next one; NULL is shown as - */
/* Prints to standard output; CMD_OK or, everything having been said, CMD_FAILED. */
int table_print(const struct table *t);

/* Prints text with what could harm a terminal replaced by ?. */
void table_print_text(FILE *to, const char *text);
/* The terminal's columns; without bounds when standard output is none. */
size_t table_columns(void);
/* True when standard output is a terminal that may be sent colours (NO_COLOR is honoured). */
bool table_may_style(void);

#endif
