/*
 * Printing an application's log, to its end or for as long as it lives.
 *
 * What the program wrote to its standard output goes to standard output, its errors to standard
 * error. While following, a server that is being restarted is waited for: the application lives on
 * without it, and lines keep their numbers, so nothing is lost or printed twice.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_CMD_TAIL_H
#define HEARTH_CMD_TAIL_H

#include "cmd/client.h"

struct tail {
    struct client *client;
    const char *id;     /* id or name */
    const char *stream; /* "all", "stdout", "stderr" */
    bool follow;
    bool json;         /* one JSON object per line, all on standard output */
    bool tell_waiting; /* say on standard error why the application has not started yet */
    int64_t next;      /* the line to print next */
    char told[512];    /* the reason told last */
};

/* Leaves only the last n lines to print. */
enum err_code tail_skip_to_last(struct tail *t, int64_t n, struct err *err);
/* Prints from t->next on. ERR_OK at the end of the log, or, without `follow`, of what there is now.
 * After CLIENT_STOPPED it may be called again and goes on where it was. */
enum err_code tail_run(struct tail *t, struct err *err);

#endif
