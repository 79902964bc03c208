/*
 * Plain scalars of YAML 1.1: null, booleans, whole numbers (also 0b101, 017, 0x1f, 1_000 and 1:30, which is
 * 90), fractions, and all else, which is text. Timestamps are text here.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct slice {
    const char *at;
    size_t len;
};

static bool is_word(struct slice s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(words[i]) == s.len && memcmp(words[i], s.at, s.len) == 0)
            return true;
    return false;
}

#define IS_WORD(s, ...)                                                                                      \
    is_word(s, (const char *const[]){__VA_ARGS__},                                                           \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static bool take(struct slice *s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s->len < n || memcmp(s->at, prefix, n) != 0)
        return false;
    s->at += n;
    s->len -= n;
    return true;
}

/* A sign, if there is one: -1 or 1. */
static int take_sign(struct slice *s)
{
    if (take(s, "-"))
        return -1;
    (void)take(s, "+");
    return 1;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : 99;
}

/* A number that may be too large for an integer: JSON has only one kind, and so has this. */
struct number {
    double real;
    int64_t whole;
    bool too_large;
};

static void shift_in(struct number *n, int base, int digit)
{
    n->real = n->real * base + digit;
    n->too_large = n->too_large || __builtin_mul_overflow(n->whole, (int64_t)base, &n->whole) ||
                   __builtin_add_overflow(n->whole, (int64_t)digit, &n->whole);
}

/* JSON knows neither infinity nor NaN: the largest number stands for them. */
static json_t *real_json(double value)
{
    if (!(value <= DBL_MAX))
        value = DBL_MAX;
    return json_real(value < -DBL_MAX ? -DBL_MAX : value);
}

static json_t *number_json(const struct number *n, int sign)
{
    return n->too_large ? real_json(sign * n->real) : json_integer(sign * n->whole);
}

/* Digits of a base with underscores between and behind; `leading`: also before the first. */
static bool read_digits(struct slice s, int base, bool leading, struct number *n)
{
    bool any = false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '_' && (any || leading))
            continue;
        int digit = digit_value(s.at[i]);
        if (digit >= base)
            return false;
        shift_in(n, base, digit);
        any = true;
    }
    return any;
}

/* "[0-5]?[0-9]" of a number to the base 60. */
static bool read_sixtieth(struct slice s, struct number *n)
{
    if (s.len < 1 || s.len > 2 || digit_value(s.at[0]) > (s.len == 2 ? 5 : 9) ||
        digit_value(s.at[s.len - 1]) > 9)
        return false;
    shift_in(n, 60, s.len == 2 ? digit_value(s.at[0]) * 10 + digit_value(s.at[1]) : digit_value(s.at[0]));
    return true;
}

/* "1:30:00" with at least one colon. */
static bool read_sexagesimal(struct slice s, struct number *n)
{
    const char *colon = memchr(s.at, ':', s.len);
    if (colon == NULL || !read_digits((struct slice){s.at, (size_t)(colon - s.at)}, 10, false, n))
        return false;
    while (colon != NULL) {
        s.len -= (size_t)(colon + 1 - s.at);
        s.at = colon + 1;
        colon = memchr(s.at, ':', s.len);
        if (!read_sixtieth((struct slice){s.at, colon != NULL ? (size_t)(colon - s.at) : s.len}, n))
            return false;
    }
    return true;
}

static json_t *whole_number(struct slice s)
{
    struct number n = {0};
    int sign = take_sign(&s);
    bool good;
    if (s.len == 0)
        return NULL;
    if (take(&s, "0b"))
        good = read_digits(s, 2, true, &n);
    else if (take(&s, "0x"))
        good = read_digits(s, 16, true, &n);
    else if (s.at[0] == '0' && s.len > 1)
        good = read_digits(s, 8, false, &n);
    else if (memchr(s.at, ':', s.len) != NULL)
        good = s.at[0] != '0' && read_sexagesimal(s, &n);
    else
        good = read_digits(s, 10, false, &n);
    return good ? number_json(&n, sign) : NULL;
}

/* ---- fractions ---- */

static void skip_digits(struct slice *s, bool underscores)
{
    while (s->len > 0 && (isdigit((unsigned char)s->at[0]) || (underscores && s->at[0] == '_'))) {
        s->at++;
        s->len--;
    }
}

static bool skip_number(struct slice *s)
{
    if (s->len == 0 || !isdigit((unsigned char)s->at[0]))
        return false;
    skip_digits(s, true);
    return true;
}

static bool skip_exponent(struct slice *s)
{
    if (!take(s, "e") && !take(s, "E"))
        return false;
    (void)take_sign(s);
    bool any = s->len > 0;
    skip_digits(s, false);
    return any && s->len == 0;
}

static bool is_decimal(struct slice s)
{
    if (take(&s, "."))
        return skip_number(&s) && (s.len == 0 || skip_exponent(&s));
    (void)take_sign(&s);
    if (!skip_number(&s))
        return false;
    if (!take(&s, "."))
        return skip_exponent(&s);
    skip_digits(&s, true);
    return s.len == 0 || skip_exponent(&s);
}

static json_t *decimal(struct slice s)
{
    cleanup(mem_freep) char *text = mem_alloc(s.len + 1);
    size_t n = 0;
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] != '_')
            text[n++] = s.at[i];
    text[n] = '\0';
    return real_json(strtod(text, NULL));
}

/* "1:30.5" */
static bool read_sexagesimal_fraction(struct slice s, double *ret)
{
    struct number n = {0};
    int sign = take_sign(&s);
    const char *point = memchr(s.at, '.', s.len);
    if (point == NULL || !read_sexagesimal((struct slice){s.at, (size_t)(point - s.at)}, &n))
        return false;
    double unit = 1;
    double fraction = 0;
    for (const char *c = point + 1; c < s.at + s.len; c++) {
        if (!isdigit((unsigned char)*c) && *c != '_')
            return false;
        if (*c != '_')
            fraction += (unit /= 10) * digit_value(*c);
    }
    *ret = sign * (n.real + fraction);
    return true;
}

static bool is_not_finite(struct slice s, int *sign)
{
    *sign = 1;
    if (IS_WORD(s, ".nan", ".NaN", ".NAN"))
        return true;
    *sign = take_sign(&s);
    return IS_WORD(s, ".inf", ".Inf", ".INF");
}

/* ---- all of them ---- */

json_t *yaml_plain_scalar(const char *text, size_t len)
{
    struct slice s = {text, len};
    double value = 0;
    int sign = 1;
    if (len == 0 || IS_WORD(s, "~", "null", "Null", "NULL"))
        return json_null();
    if (IS_WORD(s, "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
        return json_true();
    if (IS_WORD(s, "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
        return json_false();
    if (strchr("+-.0123456789", text[0]) == NULL)
        return json_stringn(text, len);
    json_t *whole = whole_number(s);
    if (whole != NULL)
        return whole;
    if (is_decimal(s))
        return decimal(s);
    if (is_not_finite(s, &sign))
        return real_json(sign * (double)INFINITY);
    return read_sexagesimal_fraction(s, &value) ? real_json(value) : json_stringn(text, len);
}
