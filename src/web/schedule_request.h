/*
 * The body of a schedule, as POST and PUT of /hearth/schedules take it: what runs, when, and what to do in
 * trouble.
 *
 *     {"name": "nightly", "cron": "0 0 2 * * ?", "batch": {"file": "/jobs/etl.py"}}
 *
 * Every error names the field, its value, and what is allowed. What this server in particular allows a
 * program (paths, configuration) is checked afterwards by door_accept_program().
 *
 * Lifetime   {0} .. schedule_request_clear(), also after a failure.
 * Thread     whoever owns it.
 */
#ifndef HEARTH_WEB_SCHEDULE_REQUEST_H
#define HEARTH_WEB_SCHEDULE_REQUEST_H

#include "door/door.h"
#include "scheduler/scheduler.h"

enum {
    SCHEDULE_RETRY_MAX = 100, /* further attempts */
    SCHEDULE_RETRY_DELAY_MIN_MS = 1000,
    SCHEDULE_RETRY_DELAY_MAX_MS = 24 * 3600 * 1000,
    SCHEDULE_REPEAT_MAX = INT32_MAX,
    SCHEDULE_EVERY_MAX_DAYS = 36500,
};

struct schedule_request {
    struct schedule_spec spec; /* all but owner, proxy user and submission; its trigger has not begun */
    struct program_request program;
    bool paused;
};

void schedule_request_clear(struct schedule_request *r);

/* Fills an empty *r. `is_new`: paused may be given. ERR_INVALID. */
enum err_code schedule_request_read(struct schedule_request *r, json_t *body, bool is_new, int64_t now_ms,
                                    struct err *err);

#endif
