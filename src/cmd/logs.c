/* `hearth logs`: what an application printed. */
#include "base/mem.h"
#include "base/parse.h"
#include "cmd/cmd.h"
#include "cmd/tail.h"

static const struct usage usage = {
    .command = "logs",
    .synopsis = "[options] ID",
    .about = "Shows what an application printed: its standard output on standard output, its errors on\n"
             "standard error. ID is its number or its name.",
    .examples = "  hearth logs 7              everything so far\n"
                "  hearth logs -f 7           and what comes, until it ends\n"
                "  hearth logs -n 20 etl      the last 20 lines\n"
                "  hearth logs --stdout 7 > result.txt\n",
    .operands_min = 1,
    .operands_max = 1,
};

static enum err_code run(struct tail *t, int64_t last, struct err *err)
{
    enum err_code rc = last >= 0 ? tail_skip_to_last(t, last, err) : ERR_OK;
    return rc == ERR_OK ? tail_run(t, err) : rc;
}

int cmd_logs(int argc, char **argv)
{
    struct client_options options = {0};
    struct tail tail = {.stream = "all"};
    bool only_stdout = false;
    bool only_stderr = false;
    const char *lines = NULL;
    const struct arg rows[] = {
        {"follow", 'f', ARG_FLAG, &tail.follow, NULL, "wait for more until the application ends"},
        {"stdout", 0, ARG_FLAG, &only_stdout, NULL, "only the standard output"},
        {"stderr", 0, ARG_FLAG, &only_stderr, NULL, "only the errors"},
        {"lines", 'n', ARG_TEXT, &lines, "N", "begin with the last N lines"},
        {"json", 0, ARG_FLAG, &tail.json, NULL, "one JSON object per line"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *client = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &options, &client);
    if (exit_code != ARGS_GO)
        return exit_code;
    struct err err;
    int64_t last = -1;
    if (lines != NULL && parse_i64(lines, 0, INT64_MAX, &last, &err) != ERR_OK)
        return args_refuse(&usage, "--lines: %s", err.msg);
    if (only_stdout != only_stderr)
        tail.stream = only_stdout ? "stdout" : "stderr";
    tail.client = client;
    tail.id = argv[1];
    return run(&tail, last, &err) == ERR_OK ? CMD_OK : client_give_up(client, usage.command, &err);
}
