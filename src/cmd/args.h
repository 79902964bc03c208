/*
 * Command lines from rows: a command's options are a table, which also writes its --help.
 *
 *     const struct arg rows[] = {
 *         {"follow", 'f', ARG_FLAG, &follow, NULL, "wait for more"},
 *         {"lines", 'n', ARG_TEXT, &lines, "N", "only the last N"},
 *         {0},
 *     };
 *     int rc = args_parse(&usage, rows, &argc, argv);
 *     if (rc != ARGS_GO)
 *         return rc;
 *
 * Accepted: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -fa, and -- as the end of the options.
 * Names are never abbreviated. Every command also has --help.
 *
 * Thread   any.
 */
#ifndef HEARTH_CMD_ARGS_H
#define HEARTH_CMD_ARGS_H

#include <stdbool.h>

enum { ARGS_GO = -1 };

enum arg_kind {
    ARG_FLAG,  /* bool *: becomes true */
    ARG_TEXT,  /* const char **: the value, which lives as long as argv; the last one wins */
    ARG_MANY,  /* struct strlist *: each value is added */
    ARG_MAYBE, /* const char **: as ARG_TEXT, but only in the form --name=VALUE; "" without a value */
};

struct arg {
    const char *name; /* without its dashes; NULL ends the table */
    char letter;      /* or 0 */
    enum arg_kind kind;
    void *to;
    const char *value; /* what stands for the value in --help; NULL for flags */
    const char *help;
};

struct usage {
    const char *command;  /* "logs" */
    const char *synopsis; /* "[options] ID" */
    const char *about;    /* a sentence or two, lines of at most 80 columns */
    const char *examples; /* whole lines, each indented by two */
    int operands_min;
    int operands_max;       /* -1: any number */
    bool stop_at_operand;   /* what follows the first operand belongs to somebody else */
    const char *exit_codes; /* further lines about exit codes, or NULL */
};

/* ARGS_GO with the operands moved to argv[1] .. argv[*argc - 1]; or the code with which the command
 * should return, everything having been said: CMD_OK after --help, CMD_USAGE after a mistake. */
int args_parse(const struct usage *usage, const struct arg *rows, int *argc, char **argv);

/* Says "hearth <command>: <words>" and how to get help, on standard error; returns CMD_USAGE. */
int args_refuse(const struct usage *usage, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A command with commands of its own. */
struct subcommand {
    const char *name; /* NULL ends the table */
    int (*run)(int argc, char **argv);
};

/* Parses what stands before the first operand, which names a row, and runs that; returns its exit code, or
 * that of a refusal. `usage` stops at its first operand. */
int args_run_subcommand(const struct usage *usage, const struct subcommand *rows, int argc, char **argv);

#endif
