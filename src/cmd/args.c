#include "cmd/args.h"

#include "base/nearest.h"
#include "base/strs.h"
#include "cmd/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One walk over a command line. */
struct walk {
    const struct usage *usage;
    const struct arg *rows;
    int argc;
    char **argv;
    int at; /* the word being looked at */
};

int args_refuse(const struct usage *usage, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fprintf(stderr, "hearth %s: ", usage->command);
    (void)vfprintf(stderr, fmt, ap);
    (void)fprintf(stderr, "\nTry `hearth %s --help`.\n", usage->command);
    va_end(ap);
    return CMD_USAGE;
}

static void print_row(const struct arg *row)
{
    char left[64];
    char letter[8] = "    ";
    if (row->letter != 0)
        (void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
    if (row->kind == ARG_MAYBE)
        (void)snprintf(left, sizeof left, "%s--%s[=%s]", letter, row->name, row->value);
    else
        (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name, row->value != NULL ? " " : "",
                       row->value != NULL ? row->value : "");
    if (strlen(left) > 30)
        (void)printf("  %s\n%34s%s\n", left, "", row->help);
    else
        (void)printf("  %-30s  %s\n", left, row->help);
}

static int print_help(const struct walk *w)
{
    const struct usage *u = w->usage;
    (void)printf("usage: hearth %s %s\n\n%s\n\noptions:\n", u->command, u->synopsis, u->about);
    for (const struct arg *row = w->rows; row->name != NULL; row++)
        print_row(row);
    print_row(&(struct arg){.name = "help", .letter = 'h', .help = "show this"});
    (void)printf("\nexamples:\n%s\nexit codes:\n  0  it worked\n  1  it failed\n"
                 "  2  the command line or the configuration is wrong\n"
                 "  3  no server answers\n%s",
                 u->examples, u->exit_codes != NULL ? u->exit_codes : "");
    return CMD_OK;
}

static int unknown_option(const struct walk *w, const char *name)
{
    struct nearest near = {.word = name};
    for (const struct arg *row = w->rows; row->name != NULL; row++)
        nearest_offer(&near, row->name);
    if (near.best != NULL)
        return args_refuse(w->usage, "unknown option --%s; did you mean --%s?", name, near.best);
    return args_refuse(w->usage, "unknown option --%s", name);
}

static int take_value(const struct walk *w, const struct arg *row, char *value)
{
    if (row->kind == ARG_TEXT)
        *(const char **)row->to = value;
    else if (strlist_add(row->to, value) != 0)
        return args_refuse(w->usage, "out of memory");
    return ARGS_GO;
}

/* The value is `inline_value`, or else the next word. */
static int take(struct walk *w, const struct arg *row, char *inline_value)
{
    if (row->kind == ARG_FLAG) {
        if (inline_value != NULL)
            return args_refuse(w->usage, "--%s takes no value", row->name);
        *(bool *)row->to = true;
        return ARGS_GO;
    }
    if (row->kind == ARG_MAYBE) {
        *(const char **)row->to = inline_value != NULL ? inline_value : "";
        return ARGS_GO;
    }
    if (inline_value == NULL && w->at + 1 >= w->argc)
        return args_refuse(w->usage, "--%s needs a value (%s)", row->name, row->value);
    return take_value(w, row, inline_value != NULL ? inline_value : w->argv[++w->at]);
}

/* --name, --name=VALUE, --name VALUE */
static int take_long(struct walk *w, char *word)
{
    char *name = word + 2;
    char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    if (strcmp(name, "help") == 0)
        return print_help(w);
    for (const struct arg *row = w->rows; row->name != NULL; row++)
        if (strlen(row->name) == len && strncmp(row->name, name, len) == 0)
            return take(w, row, equals != NULL ? equals + 1 : NULL);
    char unknown[64];
    (void)snprintf(unknown, sizeof unknown, "%.*s", (int)(len < sizeof unknown ? len : sizeof unknown - 1),
                   name);
    return unknown_option(w, unknown);
}

/* -a, -fa, -n 5, -n5 */
static int take_letters(struct walk *w, char *word)
{
    for (char *p = word + 1; *p != '\0'; p++) {
        const struct arg *row = w->rows;
        while (row->name != NULL && row->letter != *p)
            row++;
        if (row->name == NULL)
            return *p == 'h' ? print_help(w) : args_refuse(w->usage, "unknown option -%c", *p);
        bool with_rest = row->kind != ARG_FLAG && row->kind != ARG_MAYBE && p[1] != '\0';
        int rc = take(w, row, with_rest ? p + 1 : NULL);
        if (rc != ARGS_GO || with_rest)
            return rc;
    }
    return ARGS_GO;
}

static int check_operands(const struct usage *u, int n)
{
    if (n < u->operands_min)
        return args_refuse(u, "something is missing: hearth %s %s", u->command, u->synopsis);
    if (u->operands_max >= 0 && n > u->operands_max)
        return args_refuse(u, "too many words: hearth %s %s", u->command, u->synopsis);
    return ARGS_GO;
}

int args_parse(const struct usage *usage, const struct arg *rows, int *argc, char **argv)
{
    struct walk w = {.usage = usage, .rows = rows, .argc = *argc, .argv = argv};
    int kept = 1; /* operands move to the front, over words already read */
    bool options_over = false;
    for (w.at = 1; w.at < w.argc; w.at++) {
        char *word = argv[w.at];
        int rc = ARGS_GO;
        if (options_over || word[0] != '-' || word[1] == '\0') {
            argv[kept++] = word;
            options_over = options_over || usage->stop_at_operand;
        } else if (strcmp(word, "--") == 0) {
            options_over = true;
        } else {
            rc = word[1] == '-' ? take_long(&w, word) : take_letters(&w, word);
        }
        if (rc != ARGS_GO)
            return rc;
    }
    *argc = kept;
    return check_operands(usage, kept - 1);
}

int args_run_subcommand(const struct usage *usage, const struct subcommand *rows, int argc, char **argv)
{
    int exit_code = args_parse(usage, (const struct arg[]){{0}}, &argc, argv);
    if (exit_code != ARGS_GO)
        return exit_code;
    struct nearest near = {.word = argv[1]};
    for (; rows->name != NULL; rows++) {
        if (strcmp(rows->name, argv[1]) == 0)
            return rows->run(argc - 1, argv + 1);
        nearest_offer(&near, rows->name);
    }
    if (near.best != NULL)
        return args_refuse(usage, "unknown command '%s'; did you mean '%s'?", argv[1], near.best);
    return args_refuse(usage, "unknown command '%s'", argv[1]);
}
