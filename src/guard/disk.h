/*
 * All of the guard's writing: the journal and the driver's output, on a thread of its own, so that
 * the loop drains the driver's pipes and answers its followers however slow the disk is.
 *
 * Journal lines go first. Output waits in a queue of bounded size; when that is full the loop stops
 * reading for a moment, and if the disk does not catch up within it the oldest output is dropped and
 * marked. A journal line counts (guard_disk_progress) once it is in the file, and a durable one once
 * it is flushed.
 *
 * Thread   the loop calls; the thread behind it is nobody else's business.
 */
#ifndef HEARTH_GUARD_DISK_H
#define HEARTH_GUARD_DISK_H

#include "base/err.h"
#include "guard/output.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct guard_disk; /* opaque */

/* Opens journal and log in the present folder. A torn last line of an earlier guard is cut off. */
enum err_code guard_disk_open(uint64_t log_size, struct guard_disk **ret, struct err *err);
void guard_disk_close(struct guard_disk *d); /* after the thread has finished, or before it started */

/* Appends and flushes at once; only before guard_disk_start(). */
enum err_code guard_disk_journal_now(struct guard_disk *d, const char *line, size_t n, struct err *err);

/* Starts the thread; `progress` is woken whenever something was written. */
enum err_code guard_disk_start(struct guard_disk *d, uv_async_t *progress, struct err *err);
bool guard_disk_has_thread(const struct guard_disk *d);
void guard_disk_journal(struct guard_disk *d, const char *line, size_t n);
void guard_disk_output(struct guard_disk *d, enum output_stream stream, const char *bytes, size_t n);
/* True while the queue holds so much that the loop should stop reading; false again at half of that. */
bool guard_disk_is_behind(struct guard_disk *d);
/* Writes all that waits, closes the log, then appends and flushes this last line. */
void guard_disk_finish(struct guard_disk *d, const char *line, size_t n);

struct guard_disk_progress {
    uint64_t journal_size; /* bytes of the journal that may be told */
    uint64_t lines, bytes; /* of output, as output_writer_counts() */
    bool finished;
};

struct guard_disk_progress guard_disk_progress(struct guard_disk *d);
/* The journal for reading: file descriptor, to be used with pread. */
int guard_disk_journal_fd(const struct guard_disk *d);

#endif
