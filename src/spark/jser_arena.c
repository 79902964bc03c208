#include "spark/jser_arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <string.h>

struct jser_arena_block {
    struct jser_arena_block *older;
    size_t used;
    size_t size;
    alignas(max_align_t) char bytes[];
};

enum { BLOCK_SIZE = 4000, BLOCK_MAX = 64 * 1024 };

static struct jser_arena_block *add_block(struct jser_arena *a, size_t n)
{
    size_t size = a->used; /* each as large as all before it together, within limits */
    if (size < BLOCK_SIZE)
        size = BLOCK_SIZE;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < n)
        size = n;
    struct jser_arena_block *b = mem_alloc(sizeof *b + size);
    if (b == NULL)
        return NULL;
    b->older = a->blocks;
    b->used = 0;
    b->size = size;
    a->blocks = b;
    return b;
}

void *jser_arena_alloc(struct jser_arena *a, size_t n)
{
    size_t room = a->limit - a->used;
    if (n > room || n > room - room % alignof(max_align_t))
        return NULL;
    n = (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct jser_arena_block *b = a->blocks;
    if (b == NULL || b->size - b->used < n)
        b = add_block(a, n);
    if (b == NULL)
        return NULL;
    void *p = b->bytes + b->used;
    b->used += n;
    a->used += n;
    return memset(p, 0, n);
}

struct jser_arena_mark jser_arena_mark(const struct jser_arena *a)
{
    size_t in_block = a->blocks != NULL ? a->blocks->used : 0;
    return (struct jser_arena_mark){a->blocks, in_block, a->used};
}

void jser_arena_release(struct jser_arena *a, struct jser_arena_mark mark)
{
    while (a->blocks != mark.block) {
        struct jser_arena_block *b = a->blocks;
        a->blocks = b->older;
        mem_free(b);
    }
    if (a->blocks != NULL)
        a->blocks->used = mark.in_block;
    a->used = mark.used;
}

void jser_arena_clear(struct jser_arena *a)
{
    jser_arena_release(a, (struct jser_arena_mark){0});
}
