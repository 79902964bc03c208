#include "base/json_scan.h"

#include "base/json.h"
#include "base/mem.h"

#include <ctype.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

/* Each function that scans something returns false with `problem` set, and `at` where it is. */
struct scan {
    const char *at, *end;
    unsigned depth_left;
    const char *problem;
};

static bool fail(struct scan *s, const char *problem)
{
    s->problem = s->at == s->end ? "it ends too early" : problem;
    return false;
}

static bool scan_value(struct scan *s);

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool scan_char(struct scan *s, char c, const char *problem)
{
    skip_blanks(s);
    if (s->at == s->end || *s->at != c)
        return fail(s, problem);
    s->at++;
    return true;
}

static bool is_next(struct scan *s, char c)
{
    skip_blanks(s);
    return s->at < s->end && *s->at == c;
}

static bool scan_escape(struct scan *s)
{
    s->at++;
    if (s->at == s->end || *s->at == '\0' || strchr("\"\\/bfnrtu", *s->at) == NULL)
        return fail(s, "an unknown escape");
    if (*s->at++ != 'u')
        return true;
    for (int i = 0; i < 4; i++, s->at++)
        if (s->at == s->end || !isxdigit((unsigned char)*s->at))
            return fail(s, "\\u without four hex digits");
    return true;
}

static bool scan_string(struct scan *s)
{
    s->at++;
    while (s->at < s->end && *s->at != '"') {
        unsigned char c = (unsigned char)*s->at;
        if (c == '\\') {
            if (!scan_escape(s))
                return false;
            continue;
        }
        if (c < 0x20)
            return fail(s, "a control character in a string");
        size_t n = c < 0x80 ? 1 : json_utf8_length((const unsigned char *)s->at, (size_t)(s->end - s->at));
        if (n == 0)
            return fail(s, "bytes that are not UTF-8");
        s->at += n;
    }
    return scan_char(s, '"', "a string without an end");
}

static bool scan_digits(struct scan *s)
{
    const char *start = s->at;
    while (s->at < s->end && isdigit((unsigned char)*s->at))
        s->at++;
    return s->at > start || fail(s, "a number without digits");
}

static bool scan_number(struct scan *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0')
        s->at++;
    else if (!scan_digits(s))
        return false;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!scan_digits(s))
            return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    for (; *word != '\0'; word++, s->at++)
        if (s->at == s->end || *s->at != *word)
            return fail(s, "not a value");
    return true;
}

/* The next member's name without its quotes, and its value. */
static bool scan_member(struct scan *s, struct json_slice *name, struct json_slice *value)
{
    if (!is_next(s, '"'))
        return fail(s, "a member without a name");
    name->at = s->at + 1;
    if (!scan_string(s))
        return false;
    name->len = (size_t)(s->at - 1 - name->at);
    if (!scan_char(s, ':', "a name without a colon"))
        return false;
    skip_blanks(s);
    value->at = s->at;
    if (!scan_value(s))
        return false;
    value->len = (size_t)(s->at - value->at);
    return true;
}

static void keep(struct json_slice name, struct json_slice value, const char *const *names,
                 struct json_slice *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(names[i]) == name.len && memcmp(names[i], name.at, name.len) == 0) {
            values[i] = value;
            return;
        }
    }
}

static bool scan_object(struct scan *s, const char *const *names, struct json_slice *values, size_t n)
{
    if (s->depth_left-- == 0)
        return fail(s, "it is nested too deep");
    s->at++;
    bool more = !is_next(s, '}');
    while (more) {
        struct json_slice name;
        struct json_slice value;
        if (!scan_member(s, &name, &value))
            return false;
        keep(name, value, names, values, n);
        more = is_next(s, ',');
        s->at += more;
    }
    s->depth_left++;
    return scan_char(s, '}', "an object without an end");
}

static bool scan_list(struct scan *s, bool (*on_item)(struct json_slice item, void *arg), void *arg)
{
    if (s->depth_left-- == 0)
        return fail(s, "it is nested too deep");
    s->at++;
    bool more = !is_next(s, ']');
    while (more) {
        skip_blanks(s);
        struct json_slice item = {.at = s->at};
        if (!scan_value(s))
            return false;
        item.len = (size_t)(s->at - item.at);
        if (on_item != NULL && !on_item(item, arg))
            return fail(s, "stopped");
        more = is_next(s, ',');
        s->at += more;
    }
    s->depth_left++;
    return scan_char(s, ']', "a list without an end");
}

static bool scan_value(struct scan *s)
{
    skip_blanks(s);
    if (s->at == s->end)
        return fail(s, NULL);
    switch (*s->at) {
    case '{': return scan_object(s, NULL, NULL, 0);
    case '[': return scan_list(s, NULL, NULL);
    case '"': return scan_string(s);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    default:
        if (*s->at != '-' && !isdigit((unsigned char)*s->at))
            return fail(s, "not a value");
        return scan_number(s);
    }
}

enum err_code json_scan_object(const char *text, size_t len, unsigned max_depth, const char *const *names,
                               struct json_slice *values, size_t n, struct err *err)
{
    struct scan s = {.at = text, .end = text + len, .depth_left = max_depth};
    for (size_t i = 0; i < n; i++)
        values[i] = (struct json_slice){0};
    bool good = is_next(&s, '{') ? scan_object(&s, names, values, n) : fail(&s, "it is no object");
    skip_blanks(&s);
    if (good && s.at < s.end)
        good = fail(&s, "something behind the object");
    if (!good)
        return err_set(err, ERR_INVALID, "not a JSON object: %s (byte %zu)", s.problem,
                       (size_t)(s.at - text));
    return ERR_OK;
}

bool json_scan_list(struct json_slice list, bool (*on_item)(struct json_slice item, void *arg), void *arg)
{
    struct scan s = {.at = list.at, .end = list.at + list.len, .depth_left = UINT_MAX};
    return is_next(&s, '[') && scan_list(&s, on_item, arg);
}

/* ---- texts ---- */

static unsigned hex4(const char *digits)
{
    unsigned n = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        n = n * 16 + (unsigned)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return n;
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* Reads \uXXXX, or two that are a surrogate pair; *at stands behind it afterwards. */
static unsigned read_code_point(const char **at, const char *end)
{
    unsigned c = hex4(*at + 2);
    *at += 6;
    if (c >= 0xd800 && c < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        unsigned low = hex4(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return c == 0 || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c;
}

char *json_scan_text(struct json_slice string)
{
    static const char escapes[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    char *text = mem_alloc(string.len); /* what an escape means is never longer than itself */
    if (text == NULL)
        return NULL;
    char *to = text;
    const char *end = string.at + string.len - 1;
    for (const char *at = string.at + 1; at < end;) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] == 'u') {
            to = put_utf8(to, read_code_point(&at, end));
        } else {
            const char *known = strchr(escapes, at[1]);
            *to++ = (char)(known != NULL ? meanings[known - escapes] : at[1]);
            at += 2;
        }
    }
    *to = '\0';
    return text;
}
