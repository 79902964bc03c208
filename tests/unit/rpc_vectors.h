/*
 * Golden bytes of Spark's RPC for unit tests: tests/vectors/spark-rpc.
 *
 * Everything fails the test when it cannot be had.
 */
#ifndef HEARTH_TESTS_RPC_VECTORS_H
#define HEARTH_TESTS_RPC_VECTORS_H

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* tests/vectors/spark-rpc/<folder>/<name><ending> as it is. The caller clears the buffer. */
static inline struct buf vector_text(const char *folder, const char *name, const char *ending)
{
    char path[512];
    struct err err;
    struct buf text = BUF(4 << 20);
    (void)snprintf(path, sizeof path, "%s/spark-rpc/%s/%s%s", getenv("HEARTH_VECTORS"), folder, name, ending);
    if (io_read_file(path, &text, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    return text;
}

static inline int vector_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The bytes of a .hex file. The caller clears the buffer. */
static inline struct buf vector_bytes(const char *folder, const char *name, const char *ending)
{
    cleanup(buf_clear) struct buf text = vector_text(folder, name, ending);
    struct buf bytes = BUF(4 << 20);
    int high = -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n')
            continue;
        if (high >= 0)
            buf_char(&bytes, (char)(high << 4 | vector_digit(text.data[i])));
        high = high >= 0 ? -1 : vector_digit(text.data[i]);
    }
    assert_int_equal(bytes.failed, ERR_OK);
    return bytes;
}

/* <folder>/expected.json. The caller drops the reference. */
static inline json_t *vector_expected(const char *folder)
{
    cleanup(buf_clear) struct buf text = vector_text(folder, "expected", ".json");
    json_error_t error;
    json_t *expected = json_loadb(text.data, text.len, 0, &error);
    if (expected == NULL)
        fail_msg("%s/expected.json: %s", folder, error.text);
    return expected;
}

#endif
