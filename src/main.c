/* hearth: the table of its commands. Each is one file in src/cmd/. */
#include "base/nearest.h"
#include "cmd/cmd.h"

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary; /* NULL: for hearth's own use, not shown */
} commands[] = {
    {"serve", cmd_serve, "run the server"},
    {"submit", cmd_submit, "run a Spark application, with spark-submit's own options"},
    {"ps", cmd_ps, "list applications"},
    {"logs", cmd_logs, "show what an application printed"},
    {"kill", cmd_kill, "end applications"},
    {"session", cmd_session, "interactive sessions: start, list, stop, exec, attach"},
    {"schedule", cmd_schedule, "programs that run when they should: create, list, history, upcoming, …"},
    {"status", cmd_status, "show the server, or everything about one application"},
    {"cluster", cmd_cluster, "a standalone cluster at a glance; kill its drivers"},
    {"relation", cmd_relation, "hand a Spark over between Juju charms, inside a hook"},
    {"cron", cmd_cron, "say what a cron expression means and when it fires"},
    {"config", cmd_config, "show the settings in effect and where each came from"},
    {"doctor", cmd_doctor, "check this machine: Java, Spark, memory, disk, port"},
    {"version", cmd_version, "show versions"},
    {"guard", cmd_guard, NULL},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(void)
{
    (void)printf("hearth keeps Spark jobs burning: a server that runs, follows and remembers Spark\n"
                 "applications, and the commands to talk to it.\n\n"
                 "usage: hearth COMMAND [options]\n\ncommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary != NULL)
            (void)printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    (void)printf("\nexamples:\n"
                 "  hearth doctor                     is everything there?\n"
                 "  hearth serve                      start the server on 127.0.0.1:8998\n"
                 "  hearth submit --name pi pi.py 100\n"
                 "  hearth ps\n"
                 "  hearth logs -f 0\n\n"
                 "`hearth COMMAND --help` tells more. Where a server is asked, HEARTH_URL says which\n"
                 "(default http://127.0.0.1:8998) and HEARTH_USER who is asking.\n\n"
                 "exit codes:\n"
                 "  0    it worked\n"
                 "  1    it failed, or the application did\n"
                 "  2    the command line or the configuration is wrong\n"
                 "  3    no server answers\n"
                 "  130  interrupted by Ctrl-C\n"
                 "`hearth submit` passes the application's own exit code on.\n");
}

static int unknown(const char *name)
{
    struct nearest near = {.word = name};
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary != NULL)
            nearest_offer(&near, commands[i].name);
    if (near.best != NULL)
        (void)fprintf(stderr, "hearth: unknown command '%s'; did you mean '%s'?\n", name, near.best);
    else
        (void)fprintf(stderr, "hearth: unknown command '%s'; `hearth help` lists them\n", name);
    return CMD_USAGE;
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* words[0] is "help", which makes room for an option behind the others. */
static int help_for(int n, char **words)
{
    const struct command *command = find(words[1]);
    char option[] = "--help";
    if (command == NULL)
        return unknown(words[1]);
    memmove(words, words + 1, (size_t)(n - 1) * sizeof *words);
    words[n - 1] = option;
    return command->run(n, words);
}

int main(int argc, char **argv)
{
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* for the widths of characters in tables only */
    if (argc < 2 || (argc == 2 && is_help(argv[1]))) {
        print_help();
        return argc < 2 ? CMD_USAGE : CMD_OK;
    }
    if (is_help(argv[1]))
        return help_for(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = argv[1] + 2;
    const struct command *command = find(argv[1]);
    return command != NULL ? command->run(argc - 1, argv + 1) : unknown(argv[1]);
}
