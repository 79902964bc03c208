#include "cmd/statement_run.h"

#include "base/json.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/interrupt.h"
#include "cmd/statement_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BODY_MAX_BYTES = 64 << 20,
    POLL_FIRST_MS = 5,
    POLL_MAX_MS = 400,
    BAR_COLUMNS = 40,
};

/* One statement on its way. */
struct run {
    struct session_access *a;
    char *path; /* of the statement */
    bool cancelled;
    bool bar; /* the line of the progress bar is in use */
};

static void run_clear(struct run *r)
{
    mem_free(r->path);
}

/* ---- how far it is ------------------------------------------------------------------------- */

static void hide_progress(struct run *r)
{
    if (r->bar)
        (void)fputs("\r\033[K", stderr);
    r->bar = false;
}

static void show_progress(struct run *r, double progress)
{
    if (progress <= 0 || progress >= 1 || !isatty(STDERR_FILENO))
        return;
    int done = (int)(progress * BAR_COLUMNS);
    (void)fprintf(stderr, "\r[%.*s%*s] %3d%%", done,
                  "========================================", BAR_COLUMNS - done, "", (int)(progress * 100));
    (void)fflush(stderr);
    r->bar = true;
}

/* ---- the calls ----------------------------------------------------------------------------- */

static enum err_code create(struct run *r, const char *kind, const char *code, struct err *err)
{
    cleanup(buf_clear) struct buf body = BUF(BODY_MAX_BYTES);
    cleanup(mem_freep) char *path = mem_printf("/sessions/%s/statements", r->a->id);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "code", code);
    if (kind != NULL)
        json_out_str(&out, "kind", kind);
    json_out_end_object(&out);
    if (path == NULL || buf_check(&body, err) != ERR_OK)
        return path == NULL ? err_set(err, ERR_NOMEM, "out of memory") : err->code;
    json_t *statement = NULL;
    enum err_code rc =
        client_create(r->a->client, path, buf_cstr(&body), &interrupt_insisted, &statement, err);
    if (rc != ERR_OK)
        return rc;
    r->path = mem_printf("%s/%" PRId64, path, answer_int(statement, "id", -1));
    json_decref(statement);
    return r->path != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

/* After Ctrl-C. A cancellation that does not arrive is told; the statement goes on then. */
static void cancel(struct run *r)
{
    cleanup(mem_freep) char *path = mem_printf("%s/cancel", r->path);
    json_t *answer = NULL;
    struct err err;
    r->cancelled = true;
    hide_progress(r);
    (void)fprintf(stderr, "hearth %s: cancelling; Ctrl-C again leaves the statement to the server\n",
                  r->a->command);
    if (path == NULL || client_ask(r->a->client, "POST", path, NULL, &answer, &err) != ERR_OK)
        (void)client_give_up(r->a->client, r->a->command, &err);
    json_decref(answer);
}

static bool is_final(const char *state)
{
    return strcmp(state, "available") == 0 || strcmp(state, "cancelled") == 0 || strcmp(state, "error") == 0;
}

/* Follows the statement to its end; *ret is the caller's. ERR_IO with CLIENT_STOPPED: left. */
static enum err_code follow(struct run *r, json_t **ret, struct err *err)
{
    for (int pause_ms = POLL_FIRST_MS;; pause_ms = pause_ms * 2 < POLL_MAX_MS ? pause_ms * 2 : POLL_MAX_MS) {
        json_t *statement = NULL;
        if (interrupt_asked && !r->cancelled)
            cancel(r);
        enum err_code rc = client_ask_patiently(r->a->client, "GET", r->path, NULL, &statement, err);
        if (rc != ERR_OK)
            return rc;
        if (is_final(answer_text(statement, "state", ""))) {
            *ret = statement;
            return ERR_OK;
        }
        show_progress(r, json_number_value(json_object_get(statement, "progress")));
        json_decref(statement);
        const struct timespec pause = {.tv_nsec = pause_ms * 1000000L};
        (void)nanosleep(&pause, NULL); /* Ctrl-C ends it early */
    }
}

/* ---- the end ------------------------------------------------------------------------------- */

static enum statement_result lost(const struct run *r, const struct err *err, int *exit_code)
{
    if (client_outcome(r->a->client) != CLIENT_STOPPED) {
        *exit_code = session_access_give_up(r->a, err);
        return STATEMENT_LOST;
    }
    *exit_code = CMD_INTERRUPTED;
    return STATEMENT_LEFT;
}

static enum statement_result finish(const struct run *r, const json_t *statement, bool json, int *exit_code)
{
    const json_t *output = json_object_get(statement, "output");
    bool failed = strcmp(answer_text(output, "status", ""), "error") == 0;
    *exit_code = json ? answer_print(statement) : statement_print(output);
    if (failed)
        *exit_code = CMD_FAILED;
    if (strcmp(answer_text(statement, "state", ""), "cancelled") != 0)
        return *exit_code == CMD_OK ? STATEMENT_OK : STATEMENT_FAILED;
    if (!r->cancelled)
        (void)fprintf(stderr, "hearth %s: somebody else has cancelled the statement\n", r->a->command);
    *exit_code = r->cancelled ? CMD_INTERRUPTED : CMD_FAILED;
    return STATEMENT_CANCELLED;
}

enum statement_result statement_run(struct session_access *a, const char *kind, const char *code, bool json,
                                    int *exit_code)
{
    cleanup(run_clear) struct run r = {.a = a};
    json_t *statement = NULL;
    struct err err;
    if (create(&r, kind, code, &err) != ERR_OK) {
        bool only_this = client_outcome(a->client) == CLIENT_ANSWERED &&
                         (err.code == ERR_INVALID || err.code == ERR_TOO_LARGE || err.code == ERR_BUSY);
        enum statement_result result = lost(&r, &err, exit_code);
        return only_this && result == STATEMENT_LOST ? STATEMENT_REFUSED : result;
    }
    enum err_code rc = follow(&r, &statement, &err);
    hide_progress(&r);
    if (rc != ERR_OK)
        return lost(&r, &err, exit_code);
    enum statement_result result = finish(&r, statement, json, exit_code);
    json_decref(statement);
    return result;
}
