#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, size_t limit_bytes)
{
    *b = (struct buf)BUF(limit_bytes);
}

void buf_clear(struct buf *b)
{
    mem_free(b->data);
    buf_init(b, b->limit);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = ERR_OK;
    if (b->data != NULL)
        b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->failed != ERR_OK)
        return NULL;
    if (n > b->limit || b->len > b->limit - n) {
        b->failed = ERR_TOO_LARGE;
        return NULL;
    }
    size_t need = b->len + n + 1;
    if (need > b->cap) {
        size_t cap = b->cap < 64 ? 64 : b->cap;
        while (cap < need)
            cap += cap / 2;
        char *data = mem_realloc(b->data, cap);
        if (data == NULL) {
            b->failed = ERR_NOMEM;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    char *at = buf_reserve(b, n);
    if (at == NULL)
        return;
    if (n > 0)
        memcpy(at, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *at = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (at != NULL) {
        (void)vsnprintf(at, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
    } else {
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
    }
    if (b->data != NULL)
        b->data[b->len] = '\0';
}

const char *buf_cstr(const struct buf *b)
{
    return b->data != NULL ? b->data : "";
}

char *buf_steal(struct buf *b)
{
    if (b->failed != ERR_OK)
        return NULL;
    char *data = b->data != NULL ? b->data : mem_strdup("");
    b->data = NULL;
    buf_clear(b);
    return data;
}

enum err_code buf_check(const struct buf *b, struct err *err)
{
    if (b->failed == ERR_TOO_LARGE)
        return err_set(err, ERR_TOO_LARGE, "larger than %zu bytes", b->limit);
    if (b->failed == ERR_NOMEM)
        return err_set(err, ERR_NOMEM, "out of memory");
    return ERR_OK;
}
