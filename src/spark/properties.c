/*
 * The two text forms in which Spark keeps settings: properties files and option strings.
 *
 * spark-defaults.conf is read by java.util.Properties:load. One pass over the bytes: a line's key
 * ends at the first unescaped '=', ':' or blank; a line that ends with an unescaped backslash goes on in
 * the next one, without that one's leading blanks.
 */
#include "spark/properties.h"

#include "base/io.h"
#include "base/mem.h"
#include "spark/spark_internal.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILE_MAX = 4 * 1024 * 1024,
    CODE_UNIT_DIGITS = 4, /* of \uXXXX */
};

struct reader {
    const char *at;
    const char *end;
    unsigned line;
    struct err *err;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool at_line_end(const struct reader *r)
{
    return r->at == r->end || *r->at == '\n' || *r->at == '\r';
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && is_blank(*r->at))
        r->at++;
}

/* Over one "\n", "\r" or "\r\n". */
static void skip_line_end(struct reader *r)
{
    if (r->at == r->end)
        return;
    bool carriage_return = *r->at++ == '\r';
    if (carriage_return && r->at < r->end && *r->at == '\n')
        r->at++;
    r->line++;
}

static void skip_line(struct reader *r)
{
    while (!at_line_end(r))
        r->at++;
    skip_line_end(r);
}

/* Over a backslash with the line end and the blanks behind it; false when there is none. */
static bool skip_continuation(struct reader *r)
{
    if (r->at == r->end || *r->at != '\\')
        return false;
    if (r->at + 1 < r->end && r->at[1] != '\n' && r->at[1] != '\r')
        return false;
    r->at++;
    skip_line_end(r);
    skip_blanks(r);
    return true;
}

static enum err_code read_code_unit(struct reader *r, uint32_t *ret)
{
    uint32_t unit = 0;
    if (r->end - r->at < CODE_UNIT_DIGITS)
        return err_set(r->err, ERR_INVALID, "line %u: \\u needs four hexadecimal digits", r->line);
    for (int i = 0; i < CODE_UNIT_DIGITS; i++) {
        unsigned char c = (unsigned char)*r->at++;
        if (!isxdigit(c))
            return err_set(r->err, ERR_INVALID, "line %u: \\u needs four hexadecimal digits", r->line);
        unit = unit * 16 + (uint32_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
    }
    *ret = unit;
    return ERR_OK;
}

static void add_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_char(b, (char)c);
    } else if (c < 0x800) {
        buf_char(b, (char)(0xC0 | c >> 6));
        buf_char(b, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_char(b, (char)(0xE0 | c >> 12));
        buf_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_char(b, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_char(b, (char)(0xF0 | c >> 18));
        buf_char(b, (char)(0x80 | (c >> 12 & 0x3F)));
        buf_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_char(b, (char)(0x80 | (c & 0x3F)));
    }
}

/* What stands behind "\u". Characters above U+FFFF are two of them, as Java writes its strings. */
static enum err_code read_unicode(struct reader *r, struct buf *to)
{
    uint32_t unit = 0;
    if (read_code_unit(r, &unit) != ERR_OK)
        return ERR_INVALID;
    bool high = unit >= 0xD800 && unit < 0xDC00;
    if (high && r->end - r->at >= 2 && r->at[0] == '\\' && r->at[1] == 'u') {
        uint32_t low = 0;
        r->at += 2;
        if (read_code_unit(r, &low) != ERR_OK)
            return ERR_INVALID;
        if (low >= 0xDC00 && low < 0xE000) {
            add_utf8(to, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
            return ERR_OK;
        }
        add_utf8(to, '?'); /* as Java encodes half a character */
        unit = low;
    }
    add_utf8(to, unit >= 0xD800 && unit < 0xE000 ? '?' : unit);
    return ERR_OK;
}

/* One character of a key or value, which is not at a line end. */
static enum err_code read_char(struct reader *r, struct buf *to)
{
    char c = *r->at++;
    if (c != '\\') {
        buf_char(to, c);
        return ERR_OK;
    }
    c = *r->at++;
    switch (c) {
    case 'u': return read_unicode(r, to);
    case 't': buf_char(to, '\t'); return ERR_OK;
    case 'n': buf_char(to, '\n'); return ERR_OK;
    case 'r': buf_char(to, '\r'); return ERR_OK;
    case 'f': buf_char(to, '\f'); return ERR_OK;
    default: buf_char(to, c); return ERR_OK;
    }
}

static enum err_code read_key(struct reader *r, struct buf *key)
{
    for (;;) {
        if (skip_continuation(r))
            continue;
        if (at_line_end(r) || *r->at == '=' || *r->at == ':' || is_blank(*r->at))
            return ERR_OK;
        if (read_char(r, key) != ERR_OK)
            return ERR_INVALID;
    }
}

/* Blanks, at most one '=' or ':', blanks; any of them may be cut by a continuation. */
static void skip_separator(struct reader *r)
{
    bool seen = false;
    for (;;) {
        skip_blanks(r);
        if (skip_continuation(r))
            continue;
        if (seen || at_line_end(r) || (*r->at != '=' && *r->at != ':'))
            return;
        seen = true;
        r->at++;
    }
}

static enum err_code read_value(struct reader *r, struct buf *value)
{
    for (;;) {
        if (skip_continuation(r))
            continue;
        if (at_line_end(r))
            break;
        if (read_char(r, value) != ERR_OK)
            return ERR_INVALID;
    }
    skip_line_end(r);
    return ERR_OK;
}

/* As java.lang.String:trim, for which everything up to the blank is white. */
static char *trimmed(const struct buf *b)
{
    const char *from = buf_cstr(b);
    const char *to = from + b->len;
    while (from < to && (unsigned char)*from <= ' ')
        from++;
    while (to > from && (unsigned char)to[-1] <= ' ')
        to--;
    return mem_strndup(from, (size_t)(to - from));
}

static enum err_code read_entry(struct reader *r, struct strmap *into)
{
    cleanup(buf_clear) struct buf key = BUF(FILE_MAX);
    cleanup(buf_clear) struct buf value = BUF(FILE_MAX);
    unsigned line = r->line;
    if (read_key(r, &key) != ERR_OK)
        return ERR_INVALID;
    skip_separator(r);
    if (read_value(r, &value) != ERR_OK)
        return ERR_INVALID;
    if (strlen(buf_cstr(&key)) != key.len || strlen(buf_cstr(&value)) != value.len)
        return err_set(r->err, ERR_INVALID, "line %u: a NUL character", line);
    cleanup(mem_freep) char *text = trimmed(&value);
    if (buf_check(&key, r->err) != ERR_OK || buf_check(&value, r->err) != ERR_OK || text == NULL ||
        strmap_set(into, buf_cstr(&key), text) != 0)
        return err_set(r->err, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

enum err_code properties_parse(const char *text, size_t len, struct strmap *into, struct err *err)
{
    struct reader r = {.at = text, .end = text + len, .line = 1, .err = err};
    while (r.at < r.end) {
        skip_blanks(&r);
        if (at_line_end(&r)) {
            skip_line_end(&r);
        } else if (*r.at == '#' || *r.at == '!') {
            skip_line(&r);
        } else {
            enum err_code rc = read_entry(&r, into);
            if (rc != ERR_OK)
                return rc;
        }
    }
    return ERR_OK;
}

enum err_code read_setting_file(const char *path, struct buf *into, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return ERR_OK;
    if (io_read_file(path, into, err) == ERR_OK)
        return ERR_OK;
    return into->failed == ERR_NOMEM ? err_set(err, ERR_NOMEM, "out of memory")
                                     : err_set(err, ERR_INVALID, "%s cannot be read", path);
}

enum err_code properties_read_file(const char *path, struct strmap *into, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(FILE_MAX);
    enum err_code rc = read_setting_file(path, &text, err);
    if (rc != ERR_OK)
        return rc;
    rc = properties_parse(buf_cstr(&text), text.len, into, err);
    if (rc != ERR_OK)
        (void)err_wrap(err, "%s", path);
    return rc;
}

/* White space as java.lang.Character:isWhitespace sees it, as far as it is one byte long. */
static bool is_space(char c)
{
    return isspace((unsigned char)c) || (c >= 0x1C && c <= 0x1F);
}

/* One option from *at on, which is no white space; *at is behind it then. False: a quote or a backslash is
 * left without its end. */
static bool take_option(const char **at, struct buf *option)
{
    char quote = '\0';
    for (; **at != '\0' && (quote != '\0' || !is_space(**at)); (*at)++) {
        char c = **at;
        if (c == '\\' && quote != '\'') {
            (*at)++;
            if (**at == '\0')
                return false;
            buf_char(option, **at);
        } else if (c == quote) {
            quote = '\0';
        } else if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else {
            buf_char(option, c);
        }
    }
    return quote == '\0';
}

enum err_code options_split(const char *text, struct strlist *into, struct err *err)
{
    const char *at = text;
    for (;;) {
        while (is_space(*at))
            at++;
        if (*at == '\0')
            return ERR_OK;
        cleanup(buf_clear) struct buf option = BUF(FILE_MAX);
        if (!take_option(&at, &option))
            return err_set(err, ERR_INVALID, "a quote or a backslash is left open");
        if (buf_check(&option, NULL) != ERR_OK || strlist_add(into, buf_cstr(&option)) != 0)
            return err_set(err, ERR_NOMEM, "out of memory");
    }
}
