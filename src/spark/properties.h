/*
 * Java properties files, as java.util.Properties and Spark read them.
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

#endif
