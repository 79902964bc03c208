/*
 * Numbers, sizes and durations as people write them, and back.
 *
 * Each parser reads the whole text or fails with ERR_INVALID and words that name what is allowed;
 * the caller puts the field's name in front with err_wrap(). On failure *ret is untouched.
 *
 * Thread   any.
 */
#ifndef HEARTH_BASE_PARSE_H
#define HEARTH_BASE_PARSE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Decimal digits with an optional sign. */
enum err_code parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err);

/* Bytes: a whole number with an optional unit b, k, m, g, t, p (powers of 1024), any case, with an
 * optional "b" behind ("512m", "2GB"). Without a unit the number counts `unit` bytes: Spark reads
 * "1024" as MiB where memory of a driver is meant (JavaUtils.byteStringAsMb), hearth's own settings
 * are in bytes. */
enum err_code parse_size(const char *s, uint64_t unit, uint64_t *ret_bytes, struct err *err);

/* Milliseconds: a whole number with a unit us, ms, s, m or min, h, d; without one it is ms. */
enum err_code parse_duration(const char *s, int64_t *ret_ms, struct err *err);

/* The shortest text that the parsers read back as the same value: "2g", "90s". */
#define PARSE_TEXT_MAX 32
void parse_format_size(uint64_t bytes, char out[PARSE_TEXT_MAX]);
void parse_format_duration(int64_t ms, char out[PARSE_TEXT_MAX]);

#endif
