#include "cmd/session_access.h"

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/interrupt.h"
#include "cmd/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { POLL_FIRST_MS = 50, POLL_MAX_MS = 1000 };

enum err_code session_access_find(struct session_access *a, const char *id_or_name, json_t **ret,
                                  struct err *err)
{
    json_t *session = NULL;
    enum err_code rc = client_ask(a->client, "GET", "/sessions/{id}", id_or_name, &session, err);
    if (rc != ERR_OK)
        return rc;
    (void)snprintf(a->id, sizeof a->id, "%" PRId64, answer_int(session, "id", -1));
    *ret = session;
    return ERR_OK;
}

void session_access_print_name(FILE *to, const json_t *session)
{
    const char *name = answer_text(session, "name", NULL);
    (void)fprintf(to, "%" PRId64 "%s", answer_int(session, "id", -1), name != NULL ? " (" : "");
    table_print_text(to, name != NULL ? name : "");
    (void)fputs(name != NULL ? ")" : "", to);
}

/* ---- the end ------------------------------------------------------------------------------- */

static bool is_end(const char *state)
{
    static const char *const ends[] = {"shutting_down", "error", "dead", "killed", "success", NULL};
    for (const char *const *end = ends; *end != NULL; end++)
        if (strcmp(state, *end) == 0)
            return true;
    return false;
}

/* Tells how the session of this record ended, with its driver's last errors. */
static void tell_end(const struct session_access *a, const json_t *record)
{
    const json_t *diagnosis = answer_get(record, "diagnosis");
    const char *why = answer_text(diagnosis, "summary", answer_text(record, "reason", NULL));
    const char *state = answer_text(record, "state", "unknown");
    (void)fprintf(stderr, "hearth %s: session ", a->command);
    session_access_print_name(stderr, record);
    if (strcmp(state, "shutting_down") == 0)
        (void)fputs(" is being ended", stderr);
    else
        (void)fprintf(stderr, " ended as %s", state);
    (void)fputs(why != NULL ? ": " : "", stderr);
    table_print_text(stderr, why != NULL ? why : "");
    (void)fputc('\n', stderr);
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach(json_object_get(diagnosis, "lastErrors"), i, line)
    {
        (void)fputs("  ", stderr);
        table_print_text(stderr, json_string_value(line));
        (void)fputc('\n', stderr);
    }
}

int session_access_give_up(const struct session_access *a, const struct err *err)
{
    json_t *record = NULL;
    struct err unread;
    bool asked = client_outcome(a->client) == CLIENT_ANSWERED && err->code != ERR_NOT_FOUND &&
                 client_ask(a->client, "GET", "/hearth/sessions/{id}", a->id, &record, &unread) == ERR_OK;
    bool ended = asked && is_end(answer_text(record, "state", ""));
    if (ended)
        tell_end(a, record);
    json_decref(record);
    return ended ? CMD_FAILED : client_give_up(a->client, a->command, err);
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* Why it is not ready yet, once per reason. */
static void tell_waiting(struct session_access *a, const json_t *session)
{
    char words[sizeof a->told];
    const char *reason = answer_text(session, "reason", NULL);
    (void)snprintf(words, sizeof words, "%s%s", reason != NULL ? "waiting: " : "starting",
                   reason != NULL ? reason : "");
    if (strcmp(words, a->told) == 0)
        return;
    (void)snprintf(a->told, sizeof a->told, "%s", words);
    (void)fprintf(stderr, "hearth %s: session ", a->command);
    session_access_print_name(stderr, session);
    (void)fputs(reason != NULL ? ": " : " is ", stderr);
    table_print_text(stderr, words);
    (void)fputc('\n', stderr);
}

/* ARGS_GO: it is still starting. */
static int look(struct session_access *a)
{
    json_t *session = NULL;
    struct err err;
    if (client_ask_patiently(a->client, "GET", "/sessions/{id}", a->id, &session, &err) != ERR_OK)
        return session_access_give_up(a, &err);
    const char *state = answer_text(session, "state", "");
    int exit_code = CMD_OK;
    if (strcmp(state, "starting") == 0) {
        tell_waiting(a, session);
        exit_code = ARGS_GO;
    } else if (is_end(state)) {
        (void)err_set(&err, ERR_CONFLICT, "session %s is in state %s", a->id, state);
        exit_code = session_access_give_up(a, &err);
    }
    json_decref(session);
    return exit_code;
}

int session_access_wait(struct session_access *a)
{
    for (int pause_ms = POLL_FIRST_MS;; pause_ms = pause_ms * 2 < POLL_MAX_MS ? pause_ms * 2 : POLL_MAX_MS) {
        int exit_code = look(a);
        if (interrupt_asked)
            return CMD_INTERRUPTED;
        if (exit_code != ARGS_GO)
            return exit_code;
        const struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000L};
        (void)nanosleep(&pause, NULL); /* Ctrl-C ends it early */
    }
}
