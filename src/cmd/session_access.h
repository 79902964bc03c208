/*
 * What the commands about sessions share: finding one, waiting until it can run statements, telling why it
 * cannot any more.
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_SESSION_ACCESS_H
#define HEARTH_CMD_SESSION_ACCESS_H

#include "cmd/client.h"

struct session_access {
    struct client *client;
    const char *command; /* "session exec", for words on standard error */
    char id[24];         /* its number */
    char told[512];      /* what standard error was told last about its state */
};

/* Fills a->id and *ret, the server's view of the session, for a number or a name. */
enum err_code session_access_find(struct session_access *a, const char *id_or_name, json_t **ret,
                                  struct err *err);

/* Waits until the session takes statements, and tells on standard error why it takes long. CMD_OK; or the
 * exit code, everything having been said: CMD_FAILED when the session ended, CMD_INTERRUPTED after Ctrl-C. */
int session_access_wait(struct session_access *a);

/* For a call about the session that failed: tells how the session ended if that is why, else the error.
 * Returns an exit code. */
int session_access_give_up(const struct session_access *a, const struct err *err);

/* "7", or "7 (etl)": as words about a session name it. */
void session_access_print_name(FILE *to, const json_t *session);

#endif
