/*
 * When things are due: a heap of small entries, the earliest first, that also finds an entry by its id.
 *
 * Of entries due at the same time the one of higher priority comes first, then the one of lower id. An entry
 * takes 24 bytes and 4 to 16 bytes of the index; a million of them are taken in, ascending, in a moment.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_SCHEDULER_TIMING_H
#define HEARTH_SCHEDULER_TIMING_H

#include <stdbool.h>
#include <stdint.h>

struct timing_entry {
    int64_t id;
    int64_t due_ms; /* on whatever clock its owner means */
    int32_t priority;
    uint32_t slot; /* of the index; not for others */
};

struct timing { /* zeroed: empty */
    struct timing_entry *heap;
    uint32_t n, cap;
    uint32_t *slots; /* position in the heap + 1; 0: free */
    uint32_t n_slots;
};

void timing_clear(struct timing *t);
/* Adds an entry, or moves the one of that id. False: out of memory, or too many; nothing changed. */
bool timing_put(struct timing *t, int64_t id, int64_t due_ms, int32_t priority);
/* Removes the entry of that id; false when there is none. `ret` may be NULL. */
bool timing_take(struct timing *t, int64_t id, struct timing_entry *ret);
/* The one that is due first, borrowed until the next change; NULL: none. */
const struct timing_entry *timing_first(const struct timing *t);

#endif
