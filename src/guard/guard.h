/*
 * The guard: one small process per driver, which outlives the server.
 *
 * `hearth guard DIR` starts the driver that DIR/launch.json describes, owns its output, listens to
 * Spark's launcher protocol, journals what happens and serves it on a Unix socket. The server may be
 * killed at any moment and finds everything again.
 *
 *   DIR/launch.json    argv, environment, working folder, limits; mode 0600; written by the server
 *   DIR/guard.lock     held exclusively by the guard for its whole life: never two guards
 *   DIR/guard.pid      {"pid":…,"startTime":…,"bootId":…}
 *   DIR/events         the journal: one JSON object per line, seq from 1, append only
 *   DIR/guard.sock     lines in: follow FROM | stop | signal N | ping
 *                      lines out: events in the journal's form, then live ones
 *   DIR/stdout.log …   the output (guard/output.h)
 *
 * Journal events, each {"seq":1,"wall":ms,"mono":ms,"event":"<word>",…}:
 *
 *   started      pid, startTime (field 22 of /proc/PID/stat), bootId            flushed to disk
 *   refused      error: the driver could not be started at all; an end          flushed to disk
 *                (behind `started` only when the kernel refused to execute the program)
 *   limit        error: the memory limit could not be set, and the driver runs without one
 *   hello        sparkVersion                         a SparkContext connected
 *   app_id       appId
 *   state        state: CONNECTED, SUBMITTED, RUNNING, FINISHED, FAILED, KILLED, LOST
 *   closed       the launcher connection ended; lastState
 *                (these four with `connection`, counted from 1: each SparkContext has its own)
 *   stop_sent    Stop went out on `connections` launcher connections
 *   signal_sent  signal
 *   exit         code or signal, oomKilled (bool), maxMemory (bytes), userMs, systemMs   flushed
 *
 * Not journaled, sent to followers at most every 100 ms while output comes:
 *
 *   {"event":"output","lines":N,"bytes":N}
 *
 * Answers to what is no `follow`: {"event":"pong"} and {"event":"error","error":"<words>"}.
 *
 * After the driver has ended the guard ends what it left behind (SIGTERM, then SIGKILL), completes the
 * log, flushes `exit`, tells its followers, and ends; the journal stays. SIGTERM to the guard itself
 * goes to the driver's process group. One driver is never started twice, whenever a guard is killed:
 * the child waits until `started` is on disk, and ends when its guard does before that.
 */
#ifndef HEARTH_GUARD_GUARD_H
#define HEARTH_GUARD_GUARD_H

#include "base/err.h"
#include "base/strs.h"

#include <stdint.h>

struct guard_launch {
    char *note;          /* first line of the output; NULL: none */
    bool note_on_stdout; /* where it stands: on standard output, else on standard error */
    struct strlist argv;
    struct strlist env;
    char *folder;          /* the driver's working folder; NULL: the application's own */
    uint64_t log_size;     /* bytes of output to keep */
    uint64_t memory_limit; /* bytes, enforced by a control group; 0: none */
};

void guard_launch_clear(struct guard_launch *l);
/* Writes DIR/launch.json durably, mode 0600. */
enum err_code guard_launch_write(const struct guard_launch *l, const char *dir, struct err *err);

/* The guard process itself: `hearth guard DIR`. Returns the exit code of the command: 0 when the
 * driver was looked after to its end, 3 when another guard has or had this folder, 1 otherwise with
 * words on standard error. */
int guard_main(const char *dir);

#endif
