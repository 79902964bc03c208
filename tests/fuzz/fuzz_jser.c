/* Java object streams from strangers: read in pieces, with small limits. */
#include "spark/jser.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jser_limits limits = {.bytes = 65536, .memory = 1 << 20, .depth = 64, .handles = 2000};

/* Everything that a value says is there must be there. */
static uint64_t touch(const struct jser_value *v, int depth)
{
    uint64_t sum = v->kind;
    if (v->kind == JSER_STRING)
        sum += v->u.string.len > 0 ? (uint8_t)v->u.string.text[v->u.string.len - 1] : 0;
    if (v->kind == JSER_BLOCK && v->u.block.len > 0)
        sum += v->u.block.bytes[v->u.block.len - 1];
    if (v->kind == JSER_ARRAY && v->u.array.raw != NULL && v->u.array.count > 0)
        sum += (uint64_t)jser_array_integer(v, v->u.array.count - 1);
    for (size_t i = 0; depth > 0 && v->kind == JSER_ARRAY && i < v->u.array.items.n; i++)
        sum += touch(v->u.array.items.at[i], depth - 1);
    for (size_t p = 0; depth > 0 && v->kind == JSER_OBJECT && p < v->u.object.n_parts; p++) {
        const struct jser_part *part = &v->u.object.parts[p];
        for (unsigned i = 0; part->fields != NULL && i < part->class->n_fields; i++)
            sum += touch(part->fields[i], depth - 1);
        for (size_t i = 0; i < part->annotation.n; i++)
            sum += touch(part->annotation.at[i], depth - 1);
    }
    return sum;
}

/* The number of items, or -1 when it is broken. */
static int read_items(const uint8_t *data, size_t size, size_t piece)
{
    struct err err;
    struct jser_reader *r = jser_reader_new(&limits);
    enum jser_result result = JSER_MORE;
    int items = 0;
    for (size_t at = 0; r != NULL && at < size && result != JSER_BROKEN; at += piece) {
        const struct jser_value *v = NULL;
        size_t n = size - at < piece ? size - at : piece;
        if (jser_reader_feed(r, data + at, n, &err) != ERR_OK)
            break;
        while ((result = jser_reader_next(r, &v, &err)) == JSER_ITEM) {
            (void)touch(v, 3);
            items++;
        }
    }
    jser_reader_free(r);
    return result == JSER_BROKEN ? -1 : items;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    int whole = read_items(data, size, size);
    if (whole >= 0 && read_items(data, size, 7) != whole) /* pieces may not change what is read */
        abort();
    return 0;
}
