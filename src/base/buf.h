/*
 * Text or bytes that grow, up to a limit that is part of the declaration.
 *
 *     cleanup(buf_clear) struct buf b = BUF(1024 * 1024);
 *
 * Sticky: once an addition failed (limit or memory), further ones do nothing, and buf_check() at the
 * end tells. After any failure what was added before is untouched. data is always NUL-terminated
 * when it is not NULL.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_BASE_BUF_H
#define HEARTH_BASE_BUF_H

#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t limit;         /* largest len, bytes */
    enum err_code failed; /* ERR_OK, ERR_TOO_LARGE or ERR_NOMEM */
};

#define BUF(limit_bytes)                                                                                     \
    {                                                                                                        \
        NULL, 0, 0, (limit_bytes), ERR_OK                                                                    \
    }

void buf_init(struct buf *b, size_t limit_bytes);
void buf_clear(struct buf *b); /* frees; the limit stays, so that it can be used again */
void buf_reset(struct buf *b); /* len = 0, the memory is kept */

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Makes room for n more bytes and returns where they go (then add to len), or NULL (and fails). */
char *buf_reserve(struct buf *b, size_t n);
/* Drops the first n bytes. */
void buf_drop(struct buf *b, size_t n);

/* The text, never NULL ("" when empty). */
const char *buf_cstr(const struct buf *b);
/* Takes the memory out; the caller frees it with mem_free. NULL when an addition had failed. */
char *buf_steal(struct buf *b);
/* ERR_OK, or what went wrong: "larger than 1048576 bytes", "out of memory". */
enum err_code buf_check(const struct buf *b, struct err *err);

#endif
