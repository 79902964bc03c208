/* `hearth session stop`: ends sessions. */
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/session_commands.h"

#include <stdio.h>

static const struct usage usage = {
    .command = "session stop",
    .synopsis = "[options] ID...",
    .about =
        "Ends sessions with their drivers. They stay listed as dead, and their statements are kept; with\n"
        "--delete they are taken off the list, which also frees their names.",
    .examples = "  hearth session stop 7\n"
                "  hearth session stop 7 8 etl\n"
                "  hearth session stop --delete etl\n",
    .operands_min = 1,
    .operands_max = -1,
};

/* Ends one; returns an exit code. */
static int stop_one(struct client *c, const char *id, bool delete)
{
    json_t *answer = NULL;
    struct err err;
    enum err_code rc = delete ? client_ask(c, "DELETE", "/sessions/{id}", id, &answer, &err)
                              : client_ask(c, "POST", "/sessions/{id}/stop", id, &answer, &err);
    json_decref(answer);
    if (rc != ERR_OK)
        return client_give_up(c, usage.command, &err);
    (void)printf("%s: %s\n", id, delete ? "deleted" : "stopped");
    return CMD_OK;
}

int cmd_session_stop(int argc, char **argv)
{
    struct client_options options = {0};
    bool delete = false;
    const struct arg rows[] = {
        {"delete", 0, ARG_FLAG, &delete, NULL, "take them off the list as well"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &options, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    exit_code = CMD_OK;
    for (int i = 1; i < argc; i++) { /* one that fails does not spare the others */
        int this_one = stop_one(c, argv[i], delete);
        if (this_one > exit_code)
            exit_code = this_one;
    }
    return exit_code;
}
