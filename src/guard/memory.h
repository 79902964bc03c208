/*
 * A driver's memory: holding it to a limit, and telling whether the kernel ended it for memory.
 *
 * A limit needs a control group of its own (version 1 or 2) below the guard's. Where that cannot be
 * made the driver runs without a limit and somebody is told why.
 *
 * Thread   one.
 */
#ifndef HEARTH_GUARD_MEMORY_H
#define HEARTH_GUARD_MEMORY_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct guard_memory {
    char *group;             /* the control group's folder; NULL: none */
    const char *events;      /* the file in it that counts */
    uint64_t machine_before; /* the whole machine's count at the start */
};

/* Notes where the machine's counter stands. */
void guard_memory_init(struct guard_memory *m);
/* Makes a group with this limit and puts the process into it. On failure there is no group. */
enum err_code guard_memory_limit(struct guard_memory *m, uint64_t limit_bytes, pid_t pid, struct err *err);
/* True when the out-of-memory killer struck in the group; without a group, when it struck somewhere
 * on this machine and the driver was `killed` by a SIGKILL that was not ours. */
bool guard_memory_was_short(const struct guard_memory *m, bool killed);
/* Removes the group, which no process may be in any more. */
void guard_memory_clear(struct guard_memory *m);

#endif
