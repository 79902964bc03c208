/*
 * Warming up: while a driver starts, its optimizing compiler gives way to the program.
 *
 * In its first seconds a JVM spends as much processor time on compiling as on running, and on a machine
 * with few cores the two compete. The guard lowers the scheduling priority of HotSpot's C2 threads as soon
 * as they exist and restores it some seconds later; what is compiled, and every setting of java, stays as
 * it is. Measured on two cores: a tenth less time to a SparkContext (docs/performance.md).
 *
 * Done only where it can be undone: raising a priority again takes root or RLIMIT_NICE.
 *
 * Lifetime   guard_warmup_start() .. guard_warmup_stop(); the timer is closed with its loop's handles.
 * Thread     the guard's loop.
 */
#ifndef HEARTH_GUARD_WARMUP_H
#define HEARTH_GUARD_WARMUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct guard_warmup {
    uv_timer_t timer;
    pid_t pid;  /* of the driver */
    int normal; /* nice value before */
    bool lowered;
    int64_t began_ms;
};

void guard_warmup_start(struct guard_warmup *w, uv_loop_t *loop, pid_t pid);
void guard_warmup_stop(struct guard_warmup *w); /* the driver has ended */

/* Sets the nice value of the C2 threads of the process and of its children; returns how many there were. */
unsigned guard_warmup_set_priority(pid_t pid, int nice_value);

#endif
