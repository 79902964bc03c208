/* A provider's side of `hearth relation`: what it writes, to every relation of that name. */
#include "base/mem.h"
#include "base/parse.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/juju.h"
#include "cmd/relation.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PORT_MAX = 65535 };

/* Writes the pairs; one relation that refuses them does not spare the others. */
static enum err_code write_pairs(const char *relation, const struct strlist *pairs, struct err *err)
{
    struct strlist ids = {0};
    enum err_code rc = juju_relation_ids(relation, &ids, err);
    for (size_t i = 0; i < ids.n; i++) {
        struct err this_one;
        if (juju_relation_set(ids.items[i], pairs, &this_one) != ERR_OK && rc == ERR_OK) {
            *err = this_one;
            rc = err_wrap(err, "%s", ids.items[i]);
        }
    }
    strlist_clear(&ids);
    return rc;
}

/* NULL removes the key. */
static bool add_pair(struct strlist *pairs, const char *key, const char *value)
{
    return strlist_addf(pairs, "%s=%s", key, value != NULL ? value : "") == 0;
}

static int finish(const struct usage *usage, const struct relation_options *options, struct strlist *pairs,
                  bool complete)
{
    struct err err;
    enum err_code rc =
        complete ? write_pairs(options->relation, pairs, &err) : err_set(&err, ERR_NOMEM, "out of memory");
    strlist_clear(pairs);
    return rc == ERR_OK ? CMD_OK : relation_fail(usage, &err);
}

/* ---- send-master, send-rest-port, set-started, clear-started ---- */

static const struct usage master_usage = {
    .command = "relation send-master",
    .synopsis = "[options] URL [IP]",
    .about = "Sends the master's URL (connection_string) and its address (master) to every relation of that\n"
             "name. Without IP it is this unit's own address. An empty text takes a value back.",
    .examples = "  hearth relation send-master --relation client spark://10.0.0.1:7077 10.0.0.1\n"
                "  hearth relation send-master --relation client yarn-client\n",
    .operands_min = 1,
    .operands_max = 2,
};

int cmd_relation_send_master(int argc, char **argv)
{
    struct relation_options options = {0};
    struct strlist pairs = {0};
    struct err err;
    const struct arg rows[] = {RELATION_ARGS(&options), {0}};
    int exit_code = relation_open(&master_usage, rows, &argc, argv, SIDE_PROVIDER, &options);
    if (exit_code != ARGS_GO)
        return exit_code;
    cleanup(mem_freep) char *own = NULL;
    if (argc < 3 && juju_own_address(options.relation, &own, &err) != ERR_OK)
        return relation_fail(&master_usage, &err);
    bool complete = add_pair(&pairs, "connection_string", argv[1]) &&
                    add_pair(&pairs, "master", argc < 3 ? own : argv[2]);
    return finish(&master_usage, &options, &pairs, complete);
}

static const struct usage port_usage = {
    .command = "relation send-rest-port",
    .synopsis = "[options] PORT",
    .about =
        "Sends the port of the standalone master's REST submission server to every relation of that name.",
    .examples = "  hearth relation send-rest-port --relation client 6066\n",
    .operands_min = 1,
    .operands_max = 1,
};

int cmd_relation_send_rest_port(int argc, char **argv)
{
    struct relation_options options = {0};
    struct strlist pairs = {0};
    struct err err;
    int64_t port = 0;
    const struct arg rows[] = {RELATION_ARGS(&options), {0}};
    int exit_code = relation_open(&port_usage, rows, &argc, argv, SIDE_PROVIDER, &options);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (parse_i64(argv[1], 1, PORT_MAX, &port, &err) != ERR_OK)
        return args_refuse(&port_usage, "PORT: %s", err.msg);
    bool complete = strlist_addf(&pairs, "rest_port=%" PRId64, port) == 0;
    return finish(&port_usage, &options, &pairs, complete);
}

static int send_started(const struct usage *usage, const char *value, int argc, char **argv)
{
    struct relation_options options = {0};
    struct strlist pairs = {0};
    const struct arg rows[] = {RELATION_ARGS(&options), {0}};
    int exit_code = relation_open(usage, rows, &argc, argv, SIDE_PROVIDER, &options);
    if (exit_code != ARGS_GO)
        return exit_code;
    return finish(usage, &options, &pairs, add_pair(&pairs, "spark_started", value));
}

int cmd_relation_set_started(int argc, char **argv)
{
    static const struct usage usage = {
        .command = "relation set-started",
        .synopsis = "[options]",
        .about = "Tells every client of that relation that it may submit work.",
        .examples = "  hearth relation set-started --relation client\n",
    };
    return send_started(&usage, "True", argc, argv);
}

int cmd_relation_clear_started(int argc, char **argv)
{
    static const struct usage usage = {
        .command = "relation clear-started",
        .synopsis = "[options]",
        .about = "Tells every client of that relation that it may not submit work (any more).",
        .examples = "  hearth relation clear-started --relation client\n",
    };
    return send_started(&usage, "False", argc, argv);
}

/* ---- publish ---- */

static const struct usage publish_usage = {
    .command = "relation publish",
    .synopsis = "[options] [OFFER]",
    .about =
        "Asks a hearth server for an offer (initially main) and sends what it says: master, REST port and\n"
        "that Spark has started when it is ready; else only that it has not. One line for a provider's\n"
        "hooks. When no server answers nothing is sent, and Juju tries the hook again.",
    .examples = "  hearth relation publish --relation client\n"
                "  hearth relation publish --relation client --server http://10.0.0.9:8998 west\n",
    .operands_max = 1,
};

static bool is_ready(const json_t *offer)
{
    return json_is_true(json_object_get(offer, "spark_started"));
}

static bool add_offer(struct strlist *pairs, const json_t *offer)
{
    char port[24] = "";
    if (!is_ready(offer))
        return add_pair(pairs, "spark_started", "False");
    if (answer_int(offer, "rest_port", 0) > 0)
        (void)snprintf(port, sizeof port, "%" PRId64, answer_int(offer, "rest_port", 0));
    return add_pair(pairs, "connection_string", answer_text(offer, "connection_string", NULL)) &&
           add_pair(pairs, "master", answer_text(offer, "master", NULL)) &&
           add_pair(pairs, "rest_port", port) && add_pair(pairs, "spark_started", "True");
}

/* An offer that nobody has joined is one that is not ready. */
static int fetch(struct client *c, const char *name, json_t **ret)
{
    struct err err;
    enum err_code rc = client_ask(c, "GET", "/v1/discovery/{id}", name, ret, &err);
    if (rc == ERR_OK)
        return ARGS_GO;
    int exit_code = client_give_up(c, publish_usage.command, &err);
    bool is_offers_server = strstr(err.msg, "is not known") != NULL; /* its words, not any other 404 */
    return rc == ERR_NOT_FOUND && is_offers_server ? ARGS_GO : exit_code;
}

int cmd_relation_publish(int argc, char **argv)
{
    struct relation_options options = {0};
    struct client_options server = {0};
    struct strlist pairs = {0};
    struct err err;
    const struct arg rows[] = {RELATION_ARGS(&options), CLIENT_ARGS(&server), {0}};
    int exit_code = relation_open(&publish_usage, rows, &argc, argv, SIDE_PROVIDER, &options);
    if (exit_code != ARGS_GO)
        return exit_code;
    cleanup(client_freep) struct client *c = NULL;
    if (client_new(&server, &c, &err) != ERR_OK)
        return relation_fail(&publish_usage, &err);
    json_t *offer = NULL;
    exit_code = fetch(c, argc > 1 ? argv[1] : "main", &offer);
    if (exit_code == ARGS_GO)
        exit_code = finish(&publish_usage, &options, &pairs, add_offer(&pairs, offer));
    json_decref(offer);
    return exit_code;
}
