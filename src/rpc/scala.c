/* Scala's collections and case objects as both of its versions put them into a Java stream. */
#include "base/mem.h"
#include "rpc/message_internal.h"

#include <stdlib.h>
#include <string.h>

void scala_writer_init(struct scala_writer *w, const struct rpc_dialect *d, struct buf *to)
{
    *w = (struct scala_writer){.dialect = d};
    jser_writer_init(&w->jser, to);
}

static bool is_212(const struct scala_writer *w)
{
    return w->dialect->scala == RPC_SCALA_212;
}

uint32_t scala_object(struct scala_writer *w, enum class_id id)
{
    struct described d;
    dialect_describe(w->dialect, id, &d);
    return jser_write_object(&w->jser, &d.class);
}

/* Scala 2.13 sends the class in place of the object, which the receiver then looks up. */
uint32_t scala_module(struct scala_writer *w, enum class_id id)
{
    struct described d;
    if (is_212(w))
        return scala_object(w, id);
    uint32_t number = scala_object(w, CLASS_MODULE_PROXY);
    dialect_describe(w->dialect, id, &d);
    (void)jser_write_class(&w->jser, &d.class);
    return number;
}

void scala_text(struct scala_writer *w, const char *text)
{
    jser_write_string(&w->jser, text, strlen(text));
}

/* What is there once in a stream: written, or referred to. */
static void once(struct scala_writer *w, uint32_t *number, enum class_id id)
{
    if (*number == 0)
        *number = scala_module(w, id);
    else
        jser_write_reference(&w->jser, *number);
}

void scala_none(struct scala_writer *w)
{
    once(w, &w->none, CLASS_NONE);
}

void scala_boxed_int(struct scala_writer *w, int64_t n)
{
    (void)scala_object(w, CLASS_INTEGER);
    jser_write_integer(&w->jser, 'I', n);
}

static void write_count(struct scala_writer *w, size_t n)
{
    const uint8_t bytes[] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    jser_write_block(&w->jser, bytes, sizeof bytes);
}

/* 2.13: any collection is what builds it, a count and the elements. */
static void begin_collection(struct scala_writer *w, uint32_t *number, enum class_id factory,
                             enum class_id module, size_t n)
{
    (void)scala_object(w, CLASS_COLLECTION_PROXY);
    if (*number == 0) {
        *number = scala_object(w, factory);
        (void)scala_module(w, module);
    } else {
        jser_write_reference(&w->jser, *number);
    }
    write_count(w, n);
}

void scala_list(struct scala_writer *w, size_t n)
{
    if (is_212(w))
        (void)scala_object(w, CLASS_LIST_PROXY);
    else
        begin_collection(w, &w->list_factory, CLASS_LIST_FACTORY, CLASS_LIST_MODULE, n);
}

void scala_list_end(struct scala_writer *w)
{
    if (is_212(w))
        once(w, &w->list_end, CLASS_LIST_END);
    jser_write_end(&w->jser);
}

static void write_empty_map(struct scala_writer *w)
{
    if (!is_212(w) || w->empty_map != 0) {
        once(w, &w->empty_map, CLASS_EMPTY_MAP);
        return;
    }
    w->empty_map = scala_object(w, CLASS_HASH_MAP_PROXY);
    write_count(w, 0);
    jser_write_end(&w->jser);
}

void scala_map(struct scala_writer *w, size_t n)
{
    if (n == 0) {
        write_empty_map(w);
    } else if (is_212(w)) {
        (void)scala_object(w, CLASS_HASH_MAP_PROXY);
        write_count(w, n);
    } else {
        begin_collection(w, &w->map_factory, CLASS_MAP_FACTORY, CLASS_HASH_MAP_MODULE, n);
    }
}

void scala_pair(struct scala_writer *w)
{
    if (!is_212(w))
        (void)scala_object(w, CLASS_PAIR);
}

void scala_map_end(struct scala_writer *w, size_t n)
{
    if (n > 0)
        jser_write_end(&w->jser);
}

void scala_text_list(struct scala_writer *w, const struct strlist *l)
{
    size_t n = l != NULL ? l->n : 0;
    scala_list(w, n);
    for (size_t i = 0; i < n; i++)
        scala_text(w, l->items[i]);
    scala_list_end(w);
}

static int by_key(const void *a, const void *b)
{
    const struct strmap_entry *const *x = a;
    const struct strmap_entry *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

void scala_text_map(struct scala_writer *w, const struct strmap *m)
{
    size_t n = m != NULL ? m->n : 0;
    const struct strmap_entry **sorted = mem_alloc(n * sizeof *sorted + 1);
    if (sorted == NULL) {
        w->jser.no_memory = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        sorted[i] = &m->items[i];
    qsort(sorted, n, sizeof *sorted, by_key);
    scala_map(w, n);
    for (size_t i = 0; i < n; i++) {
        scala_pair(w);
        scala_text(w, sorted[i]->key);
        scala_text(w, sorted[i]->value);
    }
    scala_map_end(w, n);
    mem_free(sorted);
}
