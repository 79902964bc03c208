/* `hearth schedule`: the table of its commands. */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/schedule_commands.h"

#include <stddef.h>

static const struct subcommand commands[] = {
    {"create", cmd_schedule_create},     {"list", cmd_schedule_list},
    {"show", cmd_schedule_show},         {"pause", cmd_schedule_pause},
    {"resume", cmd_schedule_resume},     {"delete", cmd_schedule_delete},
    {"run", cmd_schedule_run},           {"history", cmd_schedule_history},
    {"upcoming", cmd_schedule_upcoming}, {0},
};

static const struct usage usage = {
    .command = "schedule",
    .synopsis = "COMMAND [options]",
    .about = "Programs that run when they should: by a cron expression, once, or at an interval.\n"
             "A schedule is named by its name, by GROUP/NAME, or by its number.\n\n"
             "commands:\n"
             "  create     make a schedule, or replace one\n"
             "  list       list schedules\n"
             "  show       everything about one\n"
             "  pause      let schedules rest\n"
             "  resume     let them go on\n"
             "  delete     forget schedules and their history\n"
             "  run        fire now\n"
             "  history    what fired, what did not, and why\n"
             "  upcoming   what will fire\n\n"
             "`hearth schedule COMMAND --help` tells more.",
    .examples = "  hearth schedule create nightly --cron '0 0 2 * * ?' --tz Europe/Rome etl.py\n"
                "  hearth schedule upcoming nightly -n 3\n"
                "  hearth schedule run nightly\n"
                "  hearth schedule history nightly\n"
                "  hearth schedule pause nightly\n",
    .operands_min = 1,
    .operands_max = -1,
    .stop_at_operand = true,
};

int cmd_schedule(int argc, char **argv)
{
    return args_run_subcommand(&usage, commands, argc, argv);
}
