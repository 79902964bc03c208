/* What a client reads of a relation, and `hearth relation get`. */
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/juju.h"
#include "cmd/relation.h"
#include "cmd/table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void relation_values_clear(struct relation_values *v)
{
    mem_free(v->connection_string);
    mem_free(v->master);
    mem_free(v->rest_port);
    mem_free(v->private_address);
    *v = (struct relation_values){0};
}

/* Keeps the first text of a key that is not empty. False: out of memory. */
static bool offer_text(char **first, const json_t *written, const char *key)
{
    const char *text = answer_text(written, key, "");
    return *first != NULL || text[0] == '\0' || mem_set_str(first, text) == 0;
}

static enum err_code read_unit(const char *id, const char *unit, struct relation_values *v, char **started,
                               struct err *err)
{
    json_t *written = NULL;
    enum err_code rc = juju_relation_get(id, unit, &written, err);
    if (rc == ERR_OK &&
        (!offer_text(&v->connection_string, written, "connection_string") ||
         !offer_text(&v->master, written, "master") || !offer_text(&v->rest_port, written, "rest_port") ||
         !offer_text(&v->private_address, written, "private-address") ||
         !offer_text(started, written, "spark_started")))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    json_decref(written);
    return rc;
}

static enum err_code read_relation(const char *id, struct relation_values *v, char **started, struct err *err)
{
    struct strlist units = {0};
    enum err_code rc = juju_relation_units(id, &units, err);
    for (size_t i = 0; i < units.n && rc == ERR_OK; i++)
        rc = read_unit(id, units.items[i], v, started, err);
    strlist_clear(&units);
    return rc;
}

enum err_code relation_values_read(const char *relation, struct relation_values *ret, struct err *err)
{
    struct strlist ids = {0};
    struct relation_values v = {0};
    cleanup(mem_freep) char *started = NULL;
    enum err_code rc = juju_relation_ids(relation, &ids, err);
    for (size_t i = 0; i < ids.n && rc == ERR_OK; i++)
        rc = read_relation(ids.items[i], &v, &started, err);
    strlist_clear(&ids);
    if (rc != ERR_OK) {
        relation_values_clear(&v);
        return rc;
    }
    v.spark_started = started != NULL && strcasecmp(started, "true") == 0;
    *ret = v;
    return ERR_OK;
}

/* ---- hearth relation get ---- */

static const struct usage usage = {
    .command = "relation get",
    .synopsis = "[options]",
    .about =
        "Prints what the providers of a relation have sent: of each value the first that is not empty, in\n"
        "the order of their units. A client's side. What is not known is - (in JSON null).",
    .examples = "  hearth relation get --relation spark\n"
                "  hearth relation get --relation spark --json | jq -r .connection_string\n",
};

static int print_json(const struct relation_values *v)
{
    json_t *object = json_pack("{s:b, s:s?, s:s?, s:s?, s:s?}", "spark_started", v->spark_started,
                               "connection_string", v->connection_string, "master", v->master, "rest_port",
                               v->rest_port, "private_address", v->private_address);
    int exit_code = object != NULL ? answer_print(object) : CMD_FAILED;
    json_decref(object);
    return exit_code;
}

static void print_line(const char *name, const char *value)
{
    (void)printf("%-18s ", name);
    table_print_text(stdout, value != NULL ? value : "-");
    (void)putchar('\n');
}

static int print_lines(const struct relation_values *v)
{
    print_line("spark_started", v->spark_started ? "true" : "false");
    print_line("connection_string", v->connection_string);
    print_line("master", v->master);
    print_line("rest_port", v->rest_port);
    print_line("private_address", v->private_address);
    return CMD_OK;
}

int cmd_relation_get(int argc, char **argv)
{
    struct relation_options options = {0};
    struct relation_values v = {0};
    struct err err;
    bool json = false;
    const struct arg rows[] = {
        RELATION_ARGS(&options),
        {"json", 0, ARG_FLAG, &json, NULL, "as JSON"},
        {0},
    };
    int exit_code = relation_open(&usage, rows, &argc, argv, SIDE_CLIENT, &options);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (relation_values_read(options.relation, &v, &err) != ERR_OK)
        return relation_fail(&usage, &err);
    exit_code = json ? print_json(&v) : print_lines(&v);
    relation_values_clear(&v);
    return exit_code;
}
