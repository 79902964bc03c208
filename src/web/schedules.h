/*
 * The door to the scheduler: /hearth/schedules….
 *
 * Everybody whom auth lets in sees the schedules; what they run, and why a fire ended as it did, is told to
 * those who may read the logs of their batches. Changing them takes the right to change their batches.
 *
 * Lifetime   schedules_open() .. schedules_close(), after the loop has run empty.
 * Thread     loop thread only.
 */
#ifndef HEARTH_WEB_SCHEDULES_H
#define HEARTH_WEB_SCHEDULES_H

#include "base/settings.h"
#include "door/door.h"
#include "loop/http.h"
#include "scheduler/scheduler.h"

struct schedules; /* opaque */

struct schedules_options {
    struct http_server *server;
    struct scheduler *scheduler;
    const struct door *door;
    const struct settings *settings;
};

struct schedules *schedules_open(const struct schedules_options *options); /* NULL: out of memory */
void schedules_close(struct schedules *s);                                 /* NULL is fine */

#endif
