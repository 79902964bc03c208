/*
 * A binary heap of values, and an index of open addressing with linear probing, at most half full.
 */
#include "scheduler/timing.h"

#include "base/mem.h"

#include <string.h>

enum { CAP_MIN = 64, CAP_MAX = 1U << 30 };

void timing_clear(struct timing *t)
{
    mem_free(t->heap);
    mem_free(t->slots);
    *t = (struct timing){0};
}

/* ---- the index ---- */

static uint32_t home_of(const struct timing *t, int64_t id)
{
    uint64_t hash = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 32) & (t->n_slots - 1);
}

/* The slot of that id, or the free one where it would go. */
static uint32_t slot_of(const struct timing *t, int64_t id)
{
    uint32_t slot = home_of(t, id);
    while (t->slots[slot] != 0 && t->heap[t->slots[slot] - 1].id != id)
        slot = (slot + 1) & (t->n_slots - 1);
    return slot;
}

/* Frees a slot, and moves up those behind it that it had kept from their place. */
static void free_slot(struct timing *t, uint32_t hole)
{
    uint32_t mask = t->n_slots - 1;
    for (uint32_t at = (hole + 1) & mask; t->slots[at] != 0; at = (at + 1) & mask) {
        struct timing_entry *entry = &t->heap[t->slots[at] - 1];
        if (((at - home_of(t, entry->id)) & mask) < ((at - hole) & mask))
            continue;
        t->slots[hole] = t->slots[at];
        entry->slot = hole;
        hole = at;
    }
    t->slots[hole] = 0;
}

static bool grow(struct timing *t)
{
    if (t->cap >= CAP_MAX)
        return false;
    uint32_t cap = t->cap > 0 ? 2 * t->cap : CAP_MIN;
    uint32_t *slots = mem_calloc(2 * (size_t)cap, sizeof *slots);
    struct timing_entry *heap = slots != NULL ? mem_realloc(t->heap, cap * sizeof *heap) : NULL;
    if (heap == NULL) {
        mem_free(slots);
        return false;
    }
    mem_free(t->slots);
    t->heap = heap;
    t->cap = cap;
    t->slots = slots;
    t->n_slots = 2 * cap;
    for (uint32_t i = 0; i < t->n; i++) {
        t->heap[i].slot = slot_of(t, t->heap[i].id);
        t->slots[t->heap[i].slot] = i + 1;
    }
    return true;
}

/* ---- the heap ---- */

static bool is_before(const struct timing_entry *a, const struct timing_entry *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    return a->priority != b->priority ? a->priority > b->priority : a->id < b->id;
}

static void set(struct timing *t, uint32_t at, struct timing_entry entry)
{
    t->heap[at] = entry;
    t->slots[entry.slot] = at + 1;
}

static void sift_up(struct timing *t, uint32_t at)
{
    struct timing_entry entry = t->heap[at];
    while (at > 0 && is_before(&entry, &t->heap[(at - 1) / 2])) {
        set(t, at, t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    set(t, at, entry);
}

static void sift_down(struct timing *t, uint32_t at)
{
    struct timing_entry entry = t->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < t->n && is_before(&t->heap[child + 1], &t->heap[child]))
            child++;
        if (child >= t->n || !is_before(&t->heap[child], &entry))
            break;
        set(t, at, t->heap[child]);
        at = child;
    }
    set(t, at, entry);
}

static void settle(struct timing *t, uint32_t at)
{
    sift_up(t, at);
    sift_down(t, at);
}

/* ---- entries ---- */

bool timing_put(struct timing *t, int64_t id, int64_t due_ms, int32_t priority)
{
    uint32_t slot = t->n_slots > 0 ? slot_of(t, id) : 0;
    bool is_new = t->n_slots == 0 || t->slots[slot] == 0;
    if (is_new && t->n == t->cap) {
        if (!grow(t))
            return false;
        slot = slot_of(t, id);
    }
    uint32_t at = is_new ? t->n++ : t->slots[slot] - 1;
    t->slots[slot] = at + 1;
    t->heap[at] = (struct timing_entry){id, due_ms, priority, slot};
    if (is_new)
        sift_up(t, at);
    else
        settle(t, at);
    return true;
}

bool timing_take(struct timing *t, int64_t id, struct timing_entry *ret)
{
    uint32_t slot = t->n_slots > 0 ? slot_of(t, id) : 0;
    if (t->n_slots == 0 || t->slots[slot] == 0)
        return false;
    uint32_t at = t->slots[slot] - 1;
    if (ret != NULL)
        *ret = t->heap[at];
    free_slot(t, slot);
    struct timing_entry last = t->heap[--t->n];
    if (at < t->n) {
        set(t, at, last);
        /* both ways: the last one stood in another branch */
        sift_down(t, at);
        sift_up(t, t->slots[last.slot] - 1);
    }
    return true;
}

const struct timing_entry *timing_first(const struct timing *t)
{
    return t->n > 0 ? &t->heap[0] : NULL;
}
