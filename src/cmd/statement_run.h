/*
 * Running one statement in a session and printing what came out.
 *
 * Ctrl-C cancels the statement; a second one leaves it to the server (interrupt.h, whose handler must be
 * set). While it runs Spark jobs a terminal shows how far they are. A server that is being restarted is
 * waited for.
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_STATEMENT_RUN_H
#define HEARTH_CMD_STATEMENT_RUN_H

#include "cmd/session_access.h"

#include <stdbool.h>

enum statement_result {
    STATEMENT_OK,
    STATEMENT_FAILED,    /* it raised an error, which was printed */
    STATEMENT_CANCELLED, /* by Ctrl-C, or by somebody else */
    STATEMENT_LEFT,      /* the second Ctrl-C: it may still run */
    STATEMENT_REFUSED,   /* the server did not take it, and goes on taking others */
    STATEMENT_LOST,      /* session or server cannot be asked any more */
};

/* `kind` NULL: the session's own. With `json` the server's statement is printed as it is. Everything has been
 * said; *exit_code is for a command that ends here. */
enum statement_result statement_run(struct session_access *a, const char *kind, const char *code, bool json,
                                    int *exit_code);

#endif
