/* `hearth session exec`: one statement, and what comes out of it. */
#include "base/io.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/interrupt.h"
#include "cmd/language.h"
#include "cmd/session_commands.h"
#include "cmd/statement_run.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { CODE_MAX_BYTES = 32 << 20, READ_BYTES = 64 << 10 };

static const struct usage usage = {
    .command = "session exec",
    .synopsis = "[options] ID (CODE | -f FILE | -)",
    .about =
        "Runs one statement in a session and prints what comes out: text as it is, rows as a table, other\n"
        "JSON indented. Errors go to standard error, with their traceback, and are exit code 1. ID is the\n"
        "session's number or its name; - reads the code from standard input. A session that is starting\n"
        "is waited for. Ctrl-C cancels the statement; a second Ctrl-C leaves it to the server.",
    .examples = "  hearth session exec etl 'spark.range(10).count()'\n"
                "  hearth session exec 7 --kind sql 'SELECT * FROM events LIMIT 5'\n"
                "  hearth session exec 7 -f report.py\n"
                "  echo 'sc.version' | hearth session exec 7 -\n",
    .exit_codes = "  130  cancelled by Ctrl-C\n",
    .operands_min = 1,
    .operands_max = 2,
};

struct exec {
    struct client_options server;
    const char *kind;
    const char *file;
    bool json;
};

static enum err_code read_stdin(struct buf *to, struct err *err)
{
    ssize_t n = 0;
    do {
        char *room = buf_reserve(to, READ_BYTES);
        if (room == NULL)
            return buf_check(to, err);
        n = read(STDIN_FILENO, room, READ_BYTES);
        if (n < 0)
            return err_sys(err, errno, "reading standard input");
        to->len += (size_t)n;
    } while (n > 0);
    return buf_check(to, err);
}

/* The statement from the place that the command line names: an operand, a file, standard input. */
static enum err_code read_code(const struct exec *x, const char *operand, struct buf *to, struct err *err)
{
    if (x->file != NULL)
        return io_read_file(x->file, to, err);
    if (strcmp(operand, "-") == 0)
        return read_stdin(to, err);
    buf_str(to, operand);
    return buf_check(to, err);
}

static int run(const struct exec *x, struct client *c, const char *id, const char *code)
{
    struct session_access a = {.client = c, .command = usage.command};
    json_t *session = NULL;
    struct err err;
    if (session_access_find(&a, id, &session, &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    json_decref(session);
    interrupt_catch();
    client_stop_on(c, &interrupt_insisted);
    int exit_code = session_access_wait(&a);
    if (exit_code == CMD_OK)
        (void)statement_run(&a, x->kind, code, x->json, &exit_code);
    return exit_code;
}

int cmd_session_exec(int argc, char **argv)
{
    struct exec x = {0};
    const struct arg rows[] = {
        {"kind", 0, ARG_TEXT, &x.kind, "KIND", "language of the code (else the session's)"},
        {"file", 'f', ARG_TEXT, &x.file, "FILE", "run the code in this file"},
        {"json", 0, ARG_FLAG, &x.json, NULL, "the server's JSON"},
        CLIENT_ARGS(&x.server),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &x.server, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    if ((argc == 3) == (x.file != NULL))
        return args_refuse(&usage, "the code is wanted once: hearth session exec %s", usage.synopsis);
    if (x.kind != NULL && language_find(x.kind) == NULL)
        return args_refuse(&usage, "--kind %s: it is one of %s", x.kind, language_names);
    cleanup(buf_clear) struct buf code = BUF(CODE_MAX_BYTES);
    struct err err;
    if (read_code(&x, argc == 3 ? argv[2] : NULL, &code, &err) != ERR_OK)
        return args_refuse(&usage, "%s", err.msg);
    return run(&x, c, argv[1], buf_cstr(&code));
}
