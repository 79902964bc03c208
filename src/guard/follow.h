/*
 * Following one driver through its guard: the server's end of DIR/guard.sock.
 *
 * A follower replays DIR's journal from a sequence number on and then reports live, through one
 * callback, so that a restart of the server and a running one go through the same code. Where the
 * guard is gone it reads the journal to its end; if that holds no end it watches the driver by pid,
 * start time and boot id (pidfd) and reports FOLLOW_LOST when that process is gone.
 *
 * Lifetime   follow_new() .. follow_close(); after follow_close() no callback comes any more.
 * Thread     loop thread only.
 */
#ifndef HEARTH_GUARD_FOLLOW_H
#define HEARTH_GUARD_FOLLOW_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum follow_kind {
    FOLLOW_STARTED, /* pid */
    FOLLOW_REFUSED, /* text: why the driver could not be started; the end */
    FOLLOW_HELLO,   /* text: Spark's version */
    FOLLOW_APP_ID,  /* text */
    FOLLOW_STATE,   /* text: the launcher's state word */
    FOLLOW_CLOSED,  /* the launcher connection ended */
    FOLLOW_STOP_SENT,
    FOLLOW_SIGNAL_SENT, /* signal */
    FOLLOW_EXIT,        /* exit_code or signal, oom_killed, max_memory; the end */
    FOLLOW_OUTPUT,      /* lines, bytes: output has grown (no sequence number) */
    FOLLOW_ABSENT,      /* no guard and no journal came within the time: never launched; the end */
    FOLLOW_LOST,        /* guard and driver are gone without an exit record; text says why; the end */
};

struct follow_event {
    enum follow_kind kind;
    uint64_t seq; /* 0 for those that are not journaled */
    int64_t wall_ms;
    const char *text; /* valid during the callback */
    int64_t pid;
    int exit_code; /* -1 when killed by a signal */
    int signal;    /* 0 when it exited */
    bool oom_killed;
    uint64_t max_memory; /* bytes, peak of the driver */
    uint64_t lines, bytes;
};

typedef void follow_cb(const struct follow_event *event, void *arg);

struct follower; /* opaque */

/* Follows DIR from sequence number `from` on (1: everything). The guard may not have made its socket
 * yet: that is retried for `patience_ms` as long as no journal exists, then FOLLOW_ABSENT. NULL when
 * memory is short. */
struct follower *follow_new(uv_loop_t *loop, const char *dir, uint64_t from, int64_t patience_ms,
                            follow_cb *on_event, void *arg);
void follow_close(struct follower *f); /* NULL is fine; may be called inside the callback */

/* Asks the guard to send Stop to the driver's SparkContext, or a signal to its process group. When
 * the guard is gone the signal goes to the driver's group directly (if it still is that process) and
 * Stop is not possible. Requests made before the connection stands are kept and sent then. */
void follow_stop(struct follower *f);
void follow_signal(struct follower *f, int signal);

#endif
