/*
 * Looking into JSON text without building a tree: for large texts of which a few values matter, and for
 * values that have to stay the bytes they are (a number may be larger or finer than any C type).
 *
 * A scan checks the whole text (RFC 8259, UTF-8, depth) and hands out values as slices of it. In one pass,
 * with no memory of its own.
 *
 * Thread   any.
 */
#ifndef HEARTH_BASE_JSON_SCAN_H
#define HEARTH_BASE_JSON_SCAN_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct json_slice {
    const char
        *at; /* NULL: absent. Never NUL-terminated. Its first byte tells what it is: { [ " t f n - 0..9 */
    size_t len;
};

/* Looks for the members of an object by name: values[i] becomes the one of names[i], the last of repeated
 * ones. Names that the text writes with escapes are not found. Brackets count as depth. ERR_INVALID. */
enum err_code json_scan_object(const char *text, size_t len, unsigned max_depth, const char *const *names,
                               struct json_slice *values, size_t n, struct err *err);

/* Calls on_item for each item of a list; on_item returns false to stop. False: it is no list, or was
 * stopped. The text must have been scanned as part of another. */
bool json_scan_list(struct json_slice list, bool (*on_item)(struct json_slice item, void *arg), void *arg);

/* The text of a string value that was scanned, in UTF-8; the caller frees it with mem_free. What a C string
 * or UTF-8 cannot hold (NUL, half a surrogate pair) becomes U+FFFD. NULL when memory is short. */
char *json_scan_text(struct json_slice string);

#endif
