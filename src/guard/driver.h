/*
 * The driver as a process: started exactly once, and nothing of it left behind.
 *
 * Starting has two steps, so that a guard killed at any moment never leads to two drivers: fork()
 * makes a child that waits; only after its existence is on disk guard_driver_go() lets it become the
 * driver. When the guard dies in between, the child's end of the pipe closes and it ends.
 *
 * Thread   one.
 */
#ifndef HEARTH_GUARD_DRIVER_H
#define HEARTH_GUARD_DRIVER_H

#include "guard/guard.h"
#include "guard/process_id.h"

struct guard_driver {
    struct process_id id;
    int output[2]; /* the reading ends of its standard output and standard error */
    int go;        /* a byte here makes the child go on */
    int failed;    /* the error number comes from here when it could not become the driver */
};

/* Tells without starting anything whether the driver could be started at all. */
enum err_code guard_driver_check(const struct guard_launch *l, struct err *err);
/* Makes the waiting child in a process group of its own. */
enum err_code guard_driver_fork(const struct guard_launch *l, struct guard_driver *ret, struct err *err);
/* Lets it go on; an error when the kernel refused to execute the program. The child ends then. */
enum err_code guard_driver_go(struct guard_driver *d, struct err *err);
/* Closes the descriptors that are open. */
void guard_driver_clear(struct guard_driver *d);

/* Sends a signal to every descendant of this process and returns how many there are. */
unsigned guard_signal_descendants(int signal);

#endif
