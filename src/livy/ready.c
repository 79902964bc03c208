/*
 * A small store of answers that are ready to be sent again.
 *
 * An answer is good as long as the revision that it was made from is the present one, so nothing has to
 * be invalidated: a stale one is simply made anew.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { READY_SLOTS = 512, READY_BYTES_MAX = 8 << 20 };

struct ready_slot {
    char key[128];
    uint64_t revision;
    struct http_answer *answer;
};

struct ready {
    size_t bytes;
    struct ready_slot slots[READY_SLOTS];
};

struct ready *ready_new(void)
{
    return mem_calloc(1, sizeof(struct ready));
}

static void ready_drop(struct ready *ready, struct ready_slot *slot)
{
    if (slot->answer != NULL)
        ready->bytes -= http_answer_size(slot->answer);
    http_answer_unref(slot->answer);
    *slot = (struct ready_slot){0};
}

static void ready_empty(struct ready *ready)
{
    for (size_t i = 0; i < READY_SLOTS; i++)
        ready_drop(ready, &ready->slots[i]);
}

void ready_free(struct ready *ready)
{
    if (ready == NULL)
        return;
    ready_empty(ready);
    mem_free(ready);
}

static struct ready_slot *ready_slot_of(struct ready *ready, const char *key)
{
    unsigned hash;
    HASH_JEN(key, strlen(key), hash);
    return &ready->slots[hash % READY_SLOTS];
}

struct http_answer *ready_get(struct ready *ready, const char *key, uint64_t revision)
{
    struct ready_slot *slot = ready_slot_of(ready, key);
    if (slot->answer == NULL || slot->revision != revision || strcmp(slot->key, key) != 0)
        return NULL;
    return http_answer_ref(slot->answer);
}

void ready_put(struct ready *ready, const char *key, uint64_t revision, struct http_answer *answer)
{
    size_t size = http_answer_size(answer);
    if (strlen(key) >= sizeof ready->slots[0].key || size > READY_BYTES_MAX / 4)
        return;
    if (ready->bytes + size > READY_BYTES_MAX)
        ready_empty(ready);
    struct ready_slot *slot = ready_slot_of(ready, key);
    ready_drop(ready, slot);
    (void)snprintf(slot->key, sizeof slot->key, "%s", key);
    slot->revision = revision;
    slot->answer = http_answer_ref(answer);
    ready->bytes += size;
}
