#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int http_status;
    const char *text;
} codes[] = {
#define ERR_ROW(name, status, text) [ERR_##name] = {status, text},
    ERR_MAP(ERR_ROW)
#undef ERR_ROW
};

enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap); /* a cut message is still a message */
    va_end(ap);
    err->code = code;
    return code;
}

enum err_code err_sys(struct err *err, int errnum, const char *fmt, ...)
{
    if (err == NULL)
        return ERR_IO;
    char head[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    return err_set(err, ERR_IO, "%s: %s", head, strerror(errnum));
}

enum err_code err_wrap(struct err *err, const char *fmt, ...)
{
    if (err == NULL)
        return ERR_INTERNAL;
    char inner[sizeof err->msg];
    memcpy(inner, err->msg, sizeof inner);
    char head[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    return err_set(err, err->code, "%s: %s", head, inner);
}

int err_http_status(enum err_code code)
{
    return codes[code].http_status;
}

const char *err_text(enum err_code code)
{
    return codes[code].text;
}
