/*
 * Files and folders: whole reads, durable writes, trees.
 *
 * Thread   any; everything here may block on the disk, so the loop thread calls it at start only.
 */
#ifndef HEARTH_BASE_IO_H
#define HEARTH_BASE_IO_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* For cleanup(): closes a descriptor unless it is -1. */
void io_closep(int *fd);

/* Adds the file's content to `into`; ERR_NOT_FOUND, ERR_TOO_LARGE (its limit) or ERR_IO. */
enum err_code io_read_file(const char *path, struct buf *into, struct err *err);

/* Writes all n bytes, going on after short writes and signals. */
enum err_code io_write_all(int fd, const void *bytes, size_t n, struct err *err);

/* Replaces path by a file with this content, at once and durably: temporary file beside it, fsync,
 * rename, fsync of the folder. The mode is exactly this one. On failure the old file is as it was. */
enum err_code io_replace_file(const char *path, const void *bytes, size_t n, mode_t mode, struct err *err);

/* Makes the folder and those above it; existing ones are fine. */
enum err_code io_make_dirs(const char *path, mode_t mode, struct err *err);
/* Makes the names in a folder durable. */
enum err_code io_sync_dir(const char *path, struct err *err);
/* Removes a file or a whole tree, never following links; a path that does not exist is fine. */
enum err_code io_remove_tree(const char *path, struct err *err);

/* Opens (making it when needed) and locks a file exclusively for the life of the descriptor.
 * ERR_CONFLICT when another process holds it. */
enum err_code io_lock_file(const char *path, int *ret_fd, struct err *err);

bool io_exists(const char *path);
bool io_is_dir(const char *path);

/* Tests: the nth operation that touches the disk from now on fails with errnum; 0 switches it off. */
void io_fail_at(long nth, int errnum);

#endif
