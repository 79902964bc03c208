/*
 * The two text forms in which Spark keeps settings: Java properties files and option strings.
 *
 * Thread   any.
 */
#ifndef HEARTH_SPARK_PROPERTIES_H
#define HEARTH_SPARK_PROPERTIES_H

#include "base/err.h"
#include "base/strs.h"

#include <stddef.h>

/* Adds what java.util.Properties reads from the text; values trimmed, as Spark does. */
enum err_code properties_parse(const char *text, size_t len, struct strmap *into, struct err *err);
/* Appends the options in text, split at white space with the quotes and backslashes of a shell. ERR_INVALID:
 * a quote is left open. */
enum err_code options_split(const char *text, struct strlist *into, struct err *err);

#endif
