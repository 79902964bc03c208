/*
 * Lines typed at a terminal: editing, a history that outlives the program, completion with Tab.
 *
 * The history is a plain file of lines in $XDG_STATE_HOME/hearth (else ~/.local/state/hearth), readable by
 * its owner alone. Each line is appended as it is entered, so that several prompts can share the file;
 * without a folder to write to there is a history for this run only.
 *
 * Ctrl-C is left to interrupt.h, whose handler must be set.
 *
 * Lifetime   line_editor_new() .. line_editor_free(). One at a time.
 * Thread     the program's first.
 */
#ifndef HEARTH_CMD_LINE_EDITOR_H
#define HEARTH_CMD_LINE_EDITOR_H

#include "base/buf.h"
#include "base/strs.h"

#include <stddef.h>

struct line_editor; /* opaque */

enum line_result {
    LINE_TYPED,
    LINE_INTERRUPTED, /* Ctrl-C: what was typed is to be forgotten */
    LINE_OVER,        /* Ctrl-D, or the terminal has gone */
};

/* Adds to `candidates` what the name before the cursor could become: the first `cursor` bytes of `line` (of
 * `len` bytes) stand before it. */
typedef void line_complete_cb(const char *line, size_t len, size_t cursor, struct strlist *candidates,
                              void *arg);

/* NULL when memory is short or the terminal cannot be used. */
struct line_editor *line_editor_new(line_complete_cb *complete, void *arg);
void line_editor_free(struct line_editor *e);
void line_editor_freep(struct line_editor **e); /* for cleanup() */

/* Replaces what is in `to` by the next line, without its end. */
enum line_result line_editor_read(struct line_editor *e, const char *prompt, struct buf *to);

#endif
