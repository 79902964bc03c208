/*
 * Memory for the values of one stream: many small pieces, freed together or back to a mark.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_SPARK_JSER_ARENA_H
#define HEARTH_SPARK_JSER_ARENA_H

#include <stddef.h>

struct jser_arena_block; /* opaque */

struct jser_arena {
    struct jser_arena_block *blocks; /* the newest first */
    size_t used;                     /* bytes handed out */
    size_t limit;                    /* the most that may be handed out */
};

/* A place to come back to: everything handed out later is freed by jser_arena_release(). */
struct jser_arena_mark {
    struct jser_arena_block *block;
    size_t in_block;
    size_t used;
};

/* Zeroed memory, aligned for anything. NULL when the limit would be passed or memory is short. */
void *jser_arena_alloc(struct jser_arena *a, size_t n);
struct jser_arena_mark jser_arena_mark(const struct jser_arena *a);
void jser_arena_release(struct jser_arena *a, struct jser_arena_mark mark);
void jser_arena_clear(struct jser_arena *a);

#endif
