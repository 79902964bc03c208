/*
 * `hearth relation`: what its commands share. The hand-over of a Spark between Juju charms (interface
 * `spark`), told in docs/discovery.md: a provider writes five texts, a client reads them and keeps three
 * states.
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_RELATION_H
#define HEARTH_CMD_RELATION_H

#include "base/err.h"
#include "base/strs.h"
#include "cmd/args.h"

#include <stdbool.h>

enum relation_side { SIDE_UNKNOWN, SIDE_PROVIDER, SIDE_CLIENT };

struct relation_options {
    const char *relation; /* as given; relation_open() fills it in */
    const char *side_text;
    const char *state_file;
    enum relation_side side;
};

#define RELATION_ARGS(options)                                                                               \
    {"relation", 'r', ARG_TEXT, &(options)->relation, "NAME", "this side's name of it (JUJU_RELATION)"},     \
    {                                                                                                        \
        "side", 0, ARG_TEXT, &(options)->side_text, "SIDE", "provider or client"                             \
    }
#define RELATION_STATE_ARG(options)                                                                          \
    {                                                                                                        \
        "state", 0, ARG_TEXT, &(options)->state_file, "FILE",                                                \
            "where states are kept (.hearth-relation.json in the charm's folder)"                            \
    }

/* args_parse() and the check of both; `side`: the only one that the command is for, or SIDE_UNKNOWN. ARGS_GO,
 * or the code with which the command should return. */
int relation_open(const struct usage *usage, const struct arg *rows, int *argc, char **argv,
                  enum relation_side side, struct relation_options *options);
/* Says "hearth <command>: <words>" and returns CMD_FAILED. */
int relation_fail(const struct usage *usage, const struct err *err);

/* ---- values (relation_values.c) ---- */

/* What a client reads; NULL: nothing. */
struct relation_values {
    char *connection_string, *master, *rest_port, *private_address;
    bool spark_started;
};
void relation_values_clear(struct relation_values *v);
/* Per key the first text that is not empty, in the order of relations and units. */
enum err_code relation_values_read(const char *relation, struct relation_values *ret, struct err *err);

/* ---- states (relation_state.c) ---- */

/* What one relation's hooks have come to; kept in a file with those of other relations. */
struct relation_state {
    enum relation_side side;
    struct strlist units; /* those that have joined and not departed */
    bool joined, master, ready;
};
void relation_state_clear(struct relation_state *s);
/* Nothing is known of a relation when there is no file. The file is --state, or in the charm's folder, or in
 * this one. */
enum err_code relation_state_load(const struct relation_options *options, struct relation_state *ret,
                                  struct err *err);
enum err_code relation_state_save(const struct relation_options *options, const struct relation_state *s,
                                  struct err *err);

/* ---- the commands, as those of cmd.h ---- */

int cmd_relation_send_master(int argc, char **argv);
int cmd_relation_send_rest_port(int argc, char **argv);
int cmd_relation_set_started(int argc, char **argv);
int cmd_relation_clear_started(int argc, char **argv);
int cmd_relation_publish(int argc, char **argv);
int cmd_relation_get(int argc, char **argv);
int cmd_relation_states(int argc, char **argv);
int cmd_relation_hook(int argc, char **argv);

#endif
