#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Reads digits with an optional sign; returns where they end, or NULL when there are none or too many. */
static const char *read_i64(const char *s, int64_t *ret)
{
    const char *digits = *s == '-' || *s == '+' ? s + 1 : s;
    if (!isdigit((unsigned char)*digits))
        return NULL;
    char *end = NULL;
    errno = 0;
    int64_t n = strtoll(s, &end, 10);
    if (errno != 0)
        return NULL;
    *ret = n;
    return end;
}

enum err_code parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
    int64_t n = 0;
    const char *end = read_i64(s, &n);
    if (end == NULL || *end != '\0' || n < min || n > max)
        return err_set(err, ERR_INVALID, "'%.80s' is not a whole number from %" PRId64 " to %" PRId64, s, min,
                       max);
    *ret = n;
    return ERR_OK;
}

enum err_code parse_size(const char *s, uint64_t unit, uint64_t *ret_bytes, struct err *err)
{
    static const char units[] = "bkmgtp";
    int64_t n = 0;
    const char *end = read_i64(s, &n);
    if (end != NULL && n >= 0 && *end != '\0') {
        const char *u = strchr(units, tolower((unsigned char)*end));
        if (u != NULL) {
            unit = (uint64_t)1 << (10 * (u - units));
            end++;
            if (unit > 1 && (*end == 'b' || *end == 'B'))
                end++;
        }
    }
    uint64_t bytes = 0;
    if (end == NULL || n < 0 || *end != '\0' || __builtin_mul_overflow((uint64_t)n, unit, &bytes) ||
        bytes > INT64_MAX)
        return err_set(err, ERR_INVALID,
                       "'%.80s' is not a size: a whole number with k, m, g or t, as in 512m or 2g", s);
    *ret_bytes = bytes;
    return ERR_OK;
}

enum err_code parse_duration(const char *s, int64_t *ret_ms, struct err *err)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {
        {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000},
    };
    int64_t n = 0;
    const char *end = read_i64(s, &n);
    if (end != NULL && n >= 0) {
        if (strcasecmp(end, "us") == 0) {
            *ret_ms = n / 1000;
            return ERR_OK;
        }
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            int64_t ms = 0;
            if (strcasecmp(end, units[i].name) == 0 && !__builtin_mul_overflow(n, units[i].ms, &ms)) {
                *ret_ms = ms;
                return ERR_OK;
            }
        }
    }
    return err_set(err, ERR_INVALID,
                   "'%.80s' is not a duration: a whole number with ms, s, min, h or d, as in 90s", s);
}

void parse_format_size(uint64_t bytes, char out[PARSE_TEXT_MAX])
{
    static const char units[] = "\0kmgtp";
    unsigned u = 0;
    while (bytes != 0 && bytes % 1024 == 0 && u < 5) {
        bytes /= 1024;
        u++;
    }
    char unit[2] = {units[u], '\0'};
    (void)snprintf(out, PARSE_TEXT_MAX, "%" PRIu64 "%s", bytes, unit);
}

void parse_format_duration(int64_t ms, char out[PARSE_TEXT_MAX])
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    size_t u = 0;
    while (ms % units[u].ms != 0 || (ms == 0 && units[u].ms != 1000))
        u++;
    (void)snprintf(out, PARSE_TEXT_MAX, "%" PRId64 "%s", ms / units[u].ms, units[u].name);
}
