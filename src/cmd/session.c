/* `hearth session`: the table of its commands. */
#include "base/nearest.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/session_commands.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"start", cmd_session_start}, {"list", cmd_session_list},     {"stop", cmd_session_stop},
    {"exec", cmd_session_exec},   {"attach", cmd_session_attach},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static const struct usage usage = {
    .command = "session",
    .synopsis = "COMMAND [options]",
    .about = "Interactive sessions: Spark drivers that run pieces of code for as long as somebody asks.\n\n"
             "commands:\n"
             "  start    start a session and print its number\n"
             "  list     list sessions\n"
             "  stop     end sessions\n"
             "  exec     run one statement and print what comes out\n"
             "  attach   type statements at a prompt\n\n"
             "`hearth session COMMAND --help` tells more.",
    .examples = "  hearth session start --kind pyspark --name etl --driver-memory 2g\n"
                "  hearth session exec etl 'spark.range(10).count()'\n"
                "  hearth session exec etl --kind sql 'SHOW TABLES'\n"
                "  hearth session attach etl\n"
                "  hearth session stop etl\n",
    .operands_min = 1,
    .operands_max = -1,
    .stop_at_operand = true,
};

int cmd_session(int argc, char **argv)
{
    int exit_code = args_parse(&usage, (const struct arg[]){{0}}, &argc, argv);
    if (exit_code != ARGS_GO)
        return exit_code;
    struct nearest near = {.word = argv[1]};
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
        nearest_offer(&near, commands[i].name);
    }
    if (near.best != NULL)
        return args_refuse(&usage, "unknown command '%s'; did you mean '%s'?", argv[1], near.best);
    return args_refuse(&usage, "unknown command '%s'", argv[1]);
}
