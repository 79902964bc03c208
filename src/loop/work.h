/*
 * Blocking work off the loop: runs on a worker thread and comes back as a callback.
 *
 * Thread   work_run() and `done`: the loop thread. `run`: a worker; it may touch only what `arg`
 *          gives it.
 */
#ifndef HEARTH_LOOP_WORK_H
#define HEARTH_LOOP_WORK_H

#include "base/err.h"

#include <uv.h>

/* `done` is called exactly once unless an error is returned; arg stays the caller's. */
enum err_code work_run(uv_loop_t *loop, void (*run)(void *arg), void (*done)(void *arg), void *arg,
                       struct err *err);

#endif
