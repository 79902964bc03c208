/*
 * The guard's journal, DIR/events: its lines as values, read by followers and by the next guard.
 *
 * The words and fields of the events are described in guard/guard.h.
 *
 * Thread   any; blocks on the disk.
 */
#ifndef HEARTH_GUARD_JOURNAL_H
#define HEARTH_GUARD_JOURNAL_H

#include "base/buf.h"
#include "base/err.h"
#include "guard/process_id.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define GUARD_JOURNAL "events"
#define GUARD_SOCKET "guard.sock"
#define GUARD_PID "guard.pid"

enum {
    GUARD_JOURNAL_MAX = 4 * 1024 * 1024, /* bytes; the guard stops recording details long before */
    GUARD_LINE_MAX = 16 * 1024,
};

struct guard_event {
    char *word;
    uint64_t seq; /* 0: not journaled */
    int64_t wall_ms;
    char *text; /* sparkVersion, appId, state, lastState or error; NULL: none */
    struct process_id process;
    int64_t exit_code; /* -1: ended by `signal` */
    int64_t signal;
    bool oom_killed;
    int64_t max_memory;
    int64_t lines, bytes;
};

void guard_event_clear(struct guard_event *e);
/* One line without its newline. Fields it does not know are ignored: a newer guard may write them. */
enum err_code guard_event_read(struct guard_event *e, const char *line, size_t n, struct err *err);

/* Calls on_event for each whole line of DIR/events from sequence number `from` on, until it returns
 * false. A last line without newline is passed over; no journal is no error. */
enum err_code guard_journal_read(const char *dir, uint64_t from,
                                 bool (*on_event)(const struct guard_event *e, void *arg), void *arg,
                                 struct err *err);

/* DIR/guard.pid: which process the guard is. ERR_NOT_FOUND when there is none. */
enum err_code guard_pid_write(const char *dir, const struct process_id *id, struct err *err);
enum err_code guard_pid_read(const char *dir, struct process_id *ret, struct err *err);

#endif
