/* `hearth schedule pause`, `resume`, `delete` and `run`: one call for each schedule. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/schedule_access.h"
#include "cmd/schedule_commands.h"

#include <inttypes.h>
#include <string.h>

struct action {
    struct usage usage;
    const char *method, *path;
    const char *done; /* "paused" */
};

static const struct action pause_action = {
    .usage =
        {
            .command = "schedule pause",
            .synopsis = "[options] NAME...",
            .about = "Lets schedules rest: they do not fire until they are resumed. What runs goes on.",
            .examples = "  hearth schedule pause nightly\n"
                        "  hearth schedule pause etl/hourly 7\n",
            .operands_min = 1,
            .operands_max = -1,
        },
    .method = "POST",
    .path = "/hearth/schedules/{id}/pause",
    .done = "paused",
};

static const struct action resume_action = {
    .usage =
        {
            .command = "schedule resume",
            .synopsis = "[options] NAME...",
            .about = "Lets schedules go on that were paused. What they have missed meanwhile is treated by\n"
                     "their misfire instruction.",
            .examples = "  hearth schedule resume nightly\n",
            .operands_min = 1,
            .operands_max = -1,
        },
    .method = "POST",
    .path = "/hearth/schedules/{id}/resume",
    .done = "resumed",
};

static const struct action delete_action = {
    .usage =
        {
            .command = "schedule delete",
            .synopsis = "[options] NAME...",
            .about = "Forgets schedules and their history. What runs goes on.",
            .examples = "  hearth schedule delete nightly\n",
            .operands_min = 1,
            .operands_max = -1,
        },
    .method = "DELETE",
    .path = "/hearth/schedules/{id}",
    .done = "deleted",
};

static const struct action run_action = {
    .usage =
        {
            .command = "schedule run",
            .synopsis = "[options] NAME...",
            .about = "Fires schedules now, also paused ones, beside their fire times. Prints the number of\n"
                     "each fire; `hearth schedule history NAME` tells what becomes of it.",
            .examples = "  hearth schedule run nightly\n",
            .operands_min = 1,
            .operands_max = -1,
        },
    .method = "POST",
    .path = "/hearth/schedules/{id}/run",
    .done = NULL, /* it has a number to tell */
};

static int tell(const struct action *action, const char *called, const json_t *answer)
{
    table_print_text(stdout, called);
    if (action->done != NULL)
        (void)printf(": %s\n", action->done);
    else
        (void)printf(": fire %" PRId64 "\n", answer_int(answer, "fire", -1));
    return CMD_OK;
}

/* Returns an exit code. */
static int do_one(const struct action *action, struct client *c, const char *called, bool json)
{
    json_t *answer = NULL;
    struct err err;
    if (schedule_ask(c, action->method, action->path, called, &answer, &err) != ERR_OK)
        return client_give_up(c, action->usage.command, &err);
    int exit_code = json && answer != NULL ? answer_print(answer) : CMD_OK;
    if (!json)
        exit_code = tell(action, called, answer);
    json_decref(answer);
    return exit_code;
}

static int act(const struct action *action, int argc, char **argv)
{
    struct client_options options = {0};
    bool json = false;
    const struct arg rows[] = {
        {"json", 0, ARG_FLAG, &json, NULL, "the server's JSON"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&action->usage, rows, &argc, argv, &options, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    exit_code = CMD_OK;
    for (int i = 1; i < argc; i++) { /* one that fails does not spare the others */
        int this_one = do_one(action, c, argv[i], json);
        if (this_one > exit_code)
            exit_code = this_one;
    }
    return exit_code;
}

int cmd_schedule_pause(int argc, char **argv)
{
    return act(&pause_action, argc, argv);
}

int cmd_schedule_resume(int argc, char **argv)
{
    return act(&resume_action, argc, argv);
}

int cmd_schedule_delete(int argc, char **argv)
{
    return act(&delete_action, argc, argv);
}

int cmd_schedule_run(int argc, char **argv)
{
    return act(&run_action, argc, argv);
}
