/* `hearth guard`: looks after one driver; the server starts it. */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "guard/guard.h"

static const struct usage usage = {
    .command = "guard",
    .synopsis = "DIR",
    .about = "Starts the driver that DIR/launch.json describes and looks after it to its end: keeps its\n"
             "output, journals what happens in DIR/events and tells it on DIR/guard.sock. `hearth serve`\n"
             "starts one guard for each driver; there is seldom a reason to start one by hand.",
    .examples = "  hearth guard /var/lib/hearth/apps/7\n",
    .operands_min = 1,
    .operands_max = 1,
    .exit_codes = "  3  another guard has or had this folder; nothing was started\n",
};

int cmd_guard(int argc, char **argv)
{
    const struct arg rows[] = {{0}};
    int exit_code = args_parse(&usage, rows, &argc, argv);
    return exit_code == ARGS_GO ? guard_main(argv[1]) : exit_code;
}
