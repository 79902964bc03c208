/*
 * A driver's output on disk: two streams, one order of arrival, stable line numbers.
 *
 * Written by the guard, read by the server (and by anyone with a pager: the files are plain).
 *
 *   stdout.log  stderr.log     the newest part, bytes as the driver wrote them
 *   lines.idx                  the order in which lines of the two arrived (guard/output_index.h)
 *   *.1                        the part before, same three files
 *
 * Line n of the merged log stays line n for ever. A line stands where it began; it may be finished
 * later, behind lines of the other stream. When both parts together would pass the size cap the
 * older one is dropped, and a reader gets one line that says so in its place, numbered as the last
 * one dropped; the end is never lost. Bytes that the disk refused are replaced by such a line as well.
 *
 * Thread   a writer belongs to one thread; readers are free functions for any thread and block on
 *          the disk.
 */
#ifndef HEARTH_GUARD_OUTPUT_H
#define HEARTH_GUARD_OUTPUT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum output_stream { OUTPUT_STDOUT, OUTPUT_STDERR, OUTPUT_STREAMS };

struct output_writer; /* opaque */

/* Starts an empty log; what an earlier one left in the folder is removed. */
enum err_code output_writer_open(const char *dir, uint64_t size_cap, struct output_writer **ret,
                                 struct err *err);
/* Never fails to its caller: what cannot be written is counted and marked when writing works again. */
void output_write(struct output_writer *w, enum output_stream stream, const char *bytes, size_t n);
/* Bytes that were given up before they came here, because the disk was too slow: marked in place. */
void output_write_missing(struct output_writer *w, enum output_stream stream, uint64_t bytes, uint64_t lines);
void output_writer_close(struct output_writer *w);
/* Lines begun and bytes received so far, of both streams. */
void output_writer_counts(const struct output_writer *w, uint64_t *ret_lines, uint64_t *ret_bytes);

/* Which lines a reader wants. */
enum output_select { OUTPUT_MERGED, OUTPUT_ONLY_STDOUT, OUTPUT_ONLY_STDERR };

struct output_line {
    uint64_t number; /* among the selected lines */
    enum output_stream stream;
    const char *text; /* without its newline; not NUL-terminated */
    size_t len;
    bool complete; /* its newline was there */
};

/* Calls on_line for the selected lines first .. first+count-1 (count UINT64_MAX: to the end), until
 * it returns false; *ret_total is the number of selected lines. A line longer than 1 MiB arrives
 * cut. No output yet is no error: total 0. */
enum err_code output_read(const char *dir, enum output_select select, uint64_t first, uint64_t count,
                          bool (*on_line)(const struct output_line *line, void *arg), void *arg,
                          uint64_t *ret_total, struct err *err);
/* The last `count` selected lines. */
enum err_code output_read_tail(const char *dir, enum output_select select, uint64_t count,
                               bool (*on_line)(const struct output_line *line, void *arg), void *arg,
                               uint64_t *ret_total, struct err *err);

#endif
