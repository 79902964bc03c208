/*
 * `hearth relation hook`: a charm calls it once in each of its hooks. What happened is read from Juju's
 * environment, the states follow the table of docs/discovery.md, with its stale values: they are what charms
 * of this interface know.
 */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/relation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct usage usage = {
    .command = "relation hook",
    .synopsis = "--side SIDE [options]",
    .about =
        "Brings the states of a relation up to date after what just happened, and prints what changed:\n"
        "`set NAME.ready`, `removed NAME.joined`. Hooks of other relations, and of none, change nothing.\n"
        "What happened is told by JUJU_HOOK_NAME or JUJU_DISPATCH_PATH, JUJU_RELATION, JUJU_RELATION_ID and\n"
        "JUJU_REMOTE_UNIT, which Juju sets.",
    .examples =
        "  hearth relation hook --relation spark --side client\n"
        "  hearth relation hook --relation client --side provider --state /var/lib/charm/states.json\n",
};

enum event { EVENT_OTHER, EVENT_JOINED, EVENT_CHANGED, EVENT_DEPARTED };

/* The hook's name: "spark-relation-changed". */
static const char *hook_name(void)
{
    const char *name = getenv("JUJU_HOOK_NAME");
    if (name != NULL && name[0] != '\0')
        return name;
    const char *path = getenv("JUJU_DISPATCH_PATH"); /* "hooks/spark-relation-changed" */
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    return slash != NULL ? slash + 1 : path;
}

static enum event event_of(const char *hook, const char *relation)
{
    static const struct {
        const char *ending;
        enum event event;
    } endings[] = {
        {"-relation-joined", EVENT_JOINED},
        {"-relation-changed", EVENT_CHANGED},
        {"-relation-departed", EVENT_DEPARTED},
    };
    size_t n = strlen(relation);
    if (strncmp(hook, relation, n) != 0)
        return EVENT_OTHER;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcmp(hook + n, endings[i].ending) == 0)
            return endings[i].event;
    return EVENT_OTHER;
}

/* "spark:3 p/0": the same unit may be related more than once. NULL: out of memory. */
static char *unit_key(void)
{
    const char *id = getenv("JUJU_RELATION_ID");
    const char *unit = getenv("JUJU_REMOTE_UNIT");
    return mem_printf("%s %s", id != NULL ? id : "", unit != NULL ? unit : "");
}

/* An application's own data changes without a unit. */
static bool has_unit(void)
{
    const char *unit = getenv("JUJU_REMOTE_UNIT");
    return unit != NULL && unit[0] != '\0';
}

static enum err_code join(struct relation_state *s, struct err *err)
{
    cleanup(mem_freep) char *key = unit_key();
    if (!has_unit())
        return ERR_OK;
    if (key == NULL || (!strlist_has(&s->units, key) && strlist_add(&s->units, key) != 0))
        return err_set(err, ERR_NOMEM, "out of memory");
    s->joined = true;
    return ERR_OK;
}

/* Also one that was missed when it joined has joined: the states may have been lost. */
static enum err_code change(const struct relation_options *options, struct relation_state *s, struct err *err)
{
    struct relation_values v = {0};
    enum err_code rc = join(s, err);
    if (rc != ERR_OK || options->side == SIDE_PROVIDER)
        return rc;
    rc = relation_values_read(options->relation, &v, err);
    if (rc != ERR_OK)
        return rc;
    s->master = v.connection_string != NULL && v.master != NULL;
    s->ready = v.spark_started;
    relation_values_clear(&v);
    return ERR_OK;
}

static enum err_code remove_unit(struct strlist *units, const char *key, struct err *err)
{
    struct strlist left = {0};
    for (size_t i = 0; i < units->n; i++)
        if (strcmp(units->items[i], key) != 0 && strlist_add(&left, units->items[i]) != 0) {
            strlist_clear(&left);
            return err_set(err, ERR_NOMEM, "out of memory");
        }
    strlist_clear(units);
    *units = left;
    return ERR_OK;
}

/* `master` stays, and while other units are there everything does: until the next change. */
static enum err_code depart(struct relation_state *s, struct err *err)
{
    cleanup(mem_freep) char *key = unit_key();
    if (key == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (remove_unit(&s->units, key, err) != ERR_OK)
        return err->code;
    if (s->units.n == 0)
        s->joined = s->ready = false;
    return ERR_OK;
}

static enum err_code apply(const struct relation_options *options, enum event event, struct relation_state *s,
                           struct err *err)
{
    switch (event) {
    case EVENT_JOINED: return join(s, err);
    case EVENT_CHANGED: return change(options, s, err);
    case EVENT_DEPARTED: return depart(s, err);
    case EVENT_OTHER: break; /* the end of a relation, too: the departure of each unit came before it */
    }
    return ERR_OK;
}

static void print_change(const char *relation, const char *state, bool before, bool now)
{
    if (before != now)
        (void)printf("%s %s.%s\n", now ? "set" : "removed", relation, state);
}

int cmd_relation_hook(int argc, char **argv)
{
    struct relation_options options = {0};
    struct relation_state s = {0};
    struct err err;
    const struct arg rows[] = {RELATION_ARGS(&options), RELATION_STATE_ARG(&options), {0}};
    int exit_code = relation_open(&usage, rows, &argc, argv, SIDE_UNKNOWN, &options);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (options.side == SIDE_UNKNOWN)
        return args_refuse(&usage, "which side? --side provider or --side client");
    const char *hook = hook_name();
    if (hook == NULL)
        return args_refuse(&usage,
                           "neither JUJU_HOOK_NAME nor JUJU_DISPATCH_PATH is set: this works inside a "
                           "hook of a Juju charm");
    enum event event = event_of(hook, options.relation);
    if (event == EVENT_OTHER)
        return CMD_OK;
    if (relation_state_load(&options, &s, &err) != ERR_OK)
        return relation_fail(&usage, &err);
    bool joined = s.joined;
    bool master = s.master;
    bool ready = s.ready;
    s.side = options.side;
    enum err_code rc = apply(&options, event, &s, &err);
    if (rc == ERR_OK)
        rc = relation_state_save(&options, &s, &err);
    if (rc == ERR_OK) {
        print_change(options.relation, "joined", joined, s.joined);
        print_change(options.relation, "master", master, s.master);
        print_change(options.relation, "ready", ready, s.ready);
    }
    relation_state_clear(&s);
    return rc == ERR_OK ? CMD_OK : relation_fail(&usage, &err);
}
