/*
 * Which process is meant: pids are used again, so the start time and the boot are part of the name.
 *
 * Thread   any.
 */
#ifndef HEARTH_GUARD_PROCESS_ID_H
#define HEARTH_GUARD_PROCESS_ID_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_BOOT_ID_MAX = 64 };

struct process_id {
    pid_t pid;
    uint64_t start_time; /* field 22 of /proc/PID/stat, clock ticks after boot */
    char boot_id[PROCESS_BOOT_ID_MAX];
};

/* The name of a process of now. ERR_NOT_FOUND when there is none with this pid. */
enum err_code process_id_of(pid_t pid, struct process_id *ret, struct err *err);
/* True when that very process runs (one that has ended and waits to be reaped does not). */
bool process_is_alive(const struct process_id *id);
/* Sends a signal to the process group of this leader. kill(2) takes the negated 0 and 1 for "my own
 * group" and "everybody": a pid that can be no leader of ours is refused. 0, or -1 with errno. */
int process_signal_group(pid_t leader, int signal);
/* True when the machine has not been restarted since. */
bool process_is_of_this_boot(const struct process_id *id);

#endif
