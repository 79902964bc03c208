/*
 * What an answer of the server says, as lines "label   text" and as cells of tables. What it does not say
 * gives no line, and "-" in a cell.
 *
 * Thread   any.
 */
#ifndef HEARTH_CMD_FACTS_H
#define HEARTH_CMD_FACTS_H

#include "cmd/table.h"

#include <jansson.h>

void fact_print(const char *label, const char *text);
/* A text of an object. */
void fact_print_member(const char *label, const json_t *object, const char *name);
/* A whole number of an object. */
void fact_print_number(const char *label, const json_t *object, const char *name);
/* The same as a cell; a number below zero is none. */
void fact_number_cell(struct table *t, const json_t *object, const char *name);

#endif
