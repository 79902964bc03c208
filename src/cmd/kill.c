/* `hearth kill`: ends applications. */
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/cmd.h"

#include <stdio.h>

static const struct usage usage = {
    .command = "kill",
    .synopsis = "[options] ID...",
    .about = "Asks the server to end applications. Their entries and logs stay; with --forget the entry\n"
             "goes too, and the command returns when the application's processes are gone.",
    .examples = "  hearth kill 7\n"
                "  hearth kill 7 8 etl\n"
                "  hearth kill --forget 7\n",
    .operands_min = 1,
    .operands_max = -1,
};

/* Ends one; prints the server's answer or says what went wrong. Returns an exit code. */
static int kill_one(struct client *c, const char *id, bool forget, bool json)
{
    json_t *answer = NULL;
    struct err err;
    enum err_code rc = forget ? client_ask(c, "DELETE", "/batches/{id}", id, &answer, &err)
                              : client_ask(c, "POST", "/hearth/batches/{id}/kill", id, &answer, &err);
    if (rc != ERR_OK)
        return client_give_up(c, usage.command, &err);
    int exit_code = CMD_OK;
    if (json)
        exit_code = answer_print(answer);
    else
        (void)printf("%s: %s\n", id, answer_text(answer, "msg", "done"));
    json_decref(answer);
    return exit_code;
}

int cmd_kill(int argc, char **argv)
{
    struct client_options options = {0};
    bool forget = false;
    bool json = false;
    const struct arg rows[] = {
        {"forget", 0, ARG_FLAG, &forget, NULL, "remove the entry as well"},
        {"json", 0, ARG_FLAG, &json, NULL, "the server's JSON"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &options, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    exit_code = CMD_OK;
    for (int i = 1; i < argc; i++) { /* one that fails does not spare the others */
        int this_one = kill_one(c, argv[i], forget, json);
        if (this_one > exit_code)
            exit_code = this_one;
    }
    return exit_code;
}
