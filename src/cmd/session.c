/* `hearth session`: the table of its commands. */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/session_commands.h"

#include <stdio.h>
#include <string.h>

static const struct subcommand commands[] = {
    {"start", cmd_session_start}, {"list", cmd_session_list},     {"stop", cmd_session_stop},
    {"exec", cmd_session_exec},   {"attach", cmd_session_attach}, {0},
};

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
    return args_run_subcommand(&usage, commands, argc, argv);
}
