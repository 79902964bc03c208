/* `hearth relation`: the table of its commands, and the options that they share. */
#include "cmd/relation.h"

#include "cmd/cmd.h"
#include "cmd/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct subcommand commands[] = {
    {"hook", cmd_relation_hook},
    {"states", cmd_relation_states},
    {"get", cmd_relation_get},
    {"publish", cmd_relation_publish},
    {"send-master", cmd_relation_send_master},
    {"send-rest-port", cmd_relation_send_rest_port},
    {"set-started", cmd_relation_set_started},
    {"clear-started", cmd_relation_clear_started},
    {0},
};

static const struct usage usage = {
    .command = "relation",
    .synopsis = "COMMAND [options]",
    .about =
        "Hands a Spark over between Juju charms (interface spark), with Juju's own tools: works inside a\n"
        "charm's hook.\n\n"
        "both sides:\n"
        "  hook             once per hook: brings the states up to date, prints what changed\n"
        "  states           print the states\n"
        "provider:\n"
        "  publish          send what a hearth server knows of an offer\n"
        "  send-master      send the master's URL and address\n"
        "  send-rest-port   send the port of the REST submission server\n"
        "  set-started      clients may submit work\n"
        "  clear-started    clients may not\n"
        "client:\n"
        "  get              print what the provider has sent\n\n"
        "`hearth relation COMMAND --help` tells more.",
    .examples = "  hearth relation hook --relation spark --side client\n"
                "  hearth relation get --relation spark --json\n"
                "  hearth relation publish --relation client main\n",
    .operands_min = 1,
    .operands_max = -1,
    .stop_at_operand = true,
};

int cmd_relation(int argc, char **argv)
{
    return args_run_subcommand(&usage, commands, argc, argv);
}

static int take_side(const struct usage *command, enum relation_side side, struct relation_options *options)
{
    const char *text = options->side_text;
    if (text == NULL)
        options->side = side;
    else if (strcmp(text, "provider") == 0)
        options->side = SIDE_PROVIDER;
    else if (strcmp(text, "client") == 0)
        options->side = SIDE_CLIENT;
    else
        return args_refuse(command, "--side: '%s' is neither provider nor client", text);
    if (side != SIDE_UNKNOWN && options->side != side)
        return args_refuse(command, "this is for the side of the %s alone",
                           side == SIDE_PROVIDER ? "provider" : "client");
    return ARGS_GO;
}

int relation_open(const struct usage *command, const struct arg *rows, int *argc, char **argv,
                  enum relation_side side, struct relation_options *options)
{
    int exit_code = args_parse(command, rows, argc, argv);
    if (exit_code == ARGS_GO)
        exit_code = take_side(command, side, options);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (options->relation == NULL)
        options->relation = getenv("JUJU_RELATION");
    if (options->relation == NULL || options->relation[0] == '\0')
        return args_refuse(command, "which relation? --relation NAME; JUJU_RELATION is not set");
    if (options->relation[0] == '-')
        return args_refuse(command, "--relation: '%s' is not the name of a relation", options->relation);
    return ARGS_GO;
}

int relation_fail(const struct usage *command, const struct err *err)
{
    (void)fprintf(stderr, "hearth %s: ", command->command);
    table_print_text(stderr, err->msg); /* may be words from the other side */
    (void)fputc('\n', stderr);
    return CMD_FAILED;
}
