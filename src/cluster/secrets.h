/*
 * Files with secrets of clusters (spark.authenticate.secret). A file that others than its owner and its group
 * can read, or that its group can write, is refused (ERR_DENIED). No error ever shows what a line holds.
 *
 * Thread   any; reads a file.
 */
#ifndef HEARTH_CLUSTER_SECRETS_H
#define HEARTH_CLUSTER_SECRETS_H

#include "base/err.h"
#include "base/strs.h"

/* Lines NAME:SECRET; empty lines and those that begin with # do not count. ERR_INVALID: a line is something
 * else, or a name is there twice. */
enum err_code secrets_read(const char *path, struct strmap *ret, struct err *err);
void secrets_clear(struct strmap *secrets); /* wipes them */

/* A file that holds one secret, its first line. The caller drops it with secret_free(). */
enum err_code secret_read(const char *path, char **ret, struct err *err);
void secret_free(char *secret); /* wipes it. NULL is fine */

#endif
