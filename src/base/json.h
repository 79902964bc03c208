/*
 * JSON: reading objects field by field, writing straight into a buffer.
 *
 * Reading    json_parse() checks size and depth before jansson sees the text. A json_in then takes
 *            the fields of one object; it is sticky: the first bad field is remembered, the rest are
 *            no-ops, and json_in_end() tells, also when the object holds a field nobody asked for.
 * Writing    a json_out appends to a struct buf, which is sticky itself: check the buffer at the end.
 *
 * Thread     whoever owns the values.
 */
#ifndef HEARTH_BASE_JSON_H
#define HEARTH_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strs.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* One JSON value and nothing behind it but white space. Of a repeated key the last wins. Nesting
 * deeper than max_depth is refused before parsing. ERR_INVALID with the line and column. The
 * caller drops the reference (cleanup(json_decrefp)). */
enum err_code json_parse(const char *text, size_t len, unsigned max_depth, json_t **ret, struct err *err);

/* A value as compact text, which the caller frees with mem_free; NULL when memory is short. */
char *json_text(const json_t *value);

/* Length of the well-formed UTF-8 sequence at s (n bytes left, at least one), 0 when it is none. */
size_t json_utf8_length(const unsigned char *s, size_t n);

enum { JSON_IN_FIELDS_MAX = 48 };

struct json_in {
    json_t *object;
    struct err *err;
    enum err_code code; /* of the first bad field */
    const char *asked[JSON_IN_FIELDS_MAX];
    unsigned n_asked;
};

/* `value` must be an object, or the first error is that it is none. */
void json_in_open(struct json_in *in, json_t *value, struct err *err);

/* Each leaves *ret as it was when the field is absent or null. *ret strings are replaced by copies
 * that the caller frees. Names must be literals (they are kept). */
void json_in_str(struct json_in *in, const char *name, char **ret); /* numbers and booleans as text */
void json_in_int(struct json_in *in, const char *name, int64_t min, int64_t max,
                 int64_t *ret); /* also digits in quotes */
void json_in_bool(struct json_in *in, const char *name, bool *ret);
void json_in_list(struct json_in *in, const char *name, struct strlist *ret);
enum { JSON_MAP_MAX = 10000 };                                              /* entries */
void json_in_map(struct json_in *in, const char *name, struct strmap *ret); /* null values left out */
/* The raw value, borrowed from the object; NULL when absent or null. */
json_t *json_in_value(struct json_in *in, const char *name);

/* The first error, or ERR_INVALID `Unrecognized field "x" (known: a, b, c)`. */
enum err_code json_in_end(struct json_in *in);

struct json_out {
    struct buf *to;
    bool comma; /* something stands before the next value */
};

void json_out_open(struct json_out *out, struct buf *to);
/* `key` is NULL inside arrays and at the top. A NULL string is written as null. */
void json_out_object(struct json_out *out, const char *key);
void json_out_end_object(struct json_out *out);
void json_out_array(struct json_out *out, const char *key);
void json_out_end_array(struct json_out *out);
void json_out_str(struct json_out *out, const char *key, const char *s);
/* n bytes of text; bytes that are no UTF-8 become U+FFFD. */
void json_out_text(struct json_out *out, const char *key, const char *s, size_t n);
void json_out_int(struct json_out *out, const char *key, int64_t n);
void json_out_bool(struct json_out *out, const char *key, bool b);
void json_out_null(struct json_out *out, const char *key);
void json_out_raw(struct json_out *out, const char *key, const char *json); /* already JSON */
/* The members of an object that is JSON already ("{…}"), as members of the present one. */
void json_out_members(struct json_out *out, const char *object);
void json_out_list(struct json_out *out, const char *key, const struct strlist *l);
void json_out_map(struct json_out *out, const char *key, const struct strmap *m);

#endif
