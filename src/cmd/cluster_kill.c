/* `hearth cluster kill`: ends a driver on a standalone cluster and waits until it is gone. */
#include "cmd/cluster_kill.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "cmd/client.h"
#include "cmd/cluster_direct.h"
#include "cmd/cmd.h"
#include "cmd/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_S = 30, SECONDS_MAX = 3600, POLL_US = 200 * 1000 };

static const struct usage usage = {
    .command = "cluster kill",
    .synopsis = "[options] DRIVER",
    .about = "Asks the cluster's leader to kill a driver (an application in cluster deploy mode), and waits\n"
             "until it has ended. The leader is asked by this command (--master), or by the server that\n"
             "watches the cluster (--cluster).",
    .examples = "  hearth cluster kill driver-20261121162752-0000 --master spark://master:7077\n"
                "  hearth cluster kill driver-20261121162752-0000 --cluster main\n",
    .operands_min = 1,
    .operands_max = 1,
    .exit_codes = "     (also: no master answers)\n",
};

struct options {
    struct client_options client;
    const char *master, *cluster, *secret_file, *timeout, *driver;
    int64_t timeout_s;
};

static int say(FILE *to, int exit_code, const char *words)
{
    if (to == stderr)
        (void)fprintf(to, "hearth %s: ", usage.command);
    table_print_text(to, words);
    (void)fputc('\n', to);
    return exit_code;
}

/* What became of it after the order was taken; `state` is "" when it was not told. */
static int tell_end(const struct options *o, const char *state, bool is_final)
{
    char words[512];
    if (is_final) {
        (void)snprintf(words, sizeof words, "driver %.200s: %s", o->driver, state);
        return say(stdout, CMD_OK, words);
    }
    (void)snprintf(words, sizeof words,
                   "driver %.200s is to be killed, but after %" PRId64 " s it is still %s", o->driver,
                   o->timeout_s, state[0] != '\0' ? state : "in an unknown state");
    return say(stderr, CMD_FAILED, words);
}

/* ---- by this command ---- */

static int kill_direct(const struct options *o)
{
    struct direct d;
    struct direct_kill k;
    int exit_code = direct_open(&d, &usage, o->master, o->secret_file);
    if (exit_code != ARGS_GO)
        return exit_code;
    direct_kill(&d, o->driver, o->timeout_s * 1000, &k);
    direct_close(&d);
    switch (k.outcome) {
    case CLUSTER_KILL_ORDERED: return tell_end(o, k.state, k.is_final);
    case CLUSTER_KILL_ENDED: return say(stdout, CMD_OK, k.words);
    case CLUSTER_KILL_UNKNOWN: return say(stderr, CMD_FAILED, k.words);
    case CLUSTER_KILL_FAILED: break;
    }
    return say(stderr, direct_exit_code(rpc_result_name(k.result)), k.words);
}

/* ---- by the server ---- */

static const json_t *find_driver(const json_t *cluster, const char *id)
{
    size_t i = 0;
    json_t *driver = NULL;
    json_array_foreach(json_object_get(cluster, "drivers"), i, driver)
    {
        if (strcmp(answer_text(driver, "id", ""), id) == 0)
            return driver;
    }
    return NULL;
}

/* The server sees the end when it looks at the cluster the next time. */
static int wait_watched(const struct options *o, struct client *c)
{
    int64_t deadline_ms = clock_mono_ms() + o->timeout_s * 1000;
    char state[64] = "";
    bool is_final = false;
    while (!is_final && clock_mono_ms() < deadline_ms) {
        json_t *cluster = NULL;
        struct err err;
        if (state[0] != '\0')
            (void)usleep(POLL_US);
        if (client_ask(c, "GET", "/hearth/clusters/{id}", o->cluster, &cluster, &err) != ERR_OK)
            return client_give_up(c, usage.command, &err);
        (void)snprintf(state, sizeof state, "%s",
                       answer_text(find_driver(cluster, o->driver), "state", "in an unknown state"));
        is_final = cluster_driver_is_final(state);
        json_decref(cluster);
    }
    return tell_end(o, state, is_final);
}

static int order(const struct options *o, struct client *c)
{
    json_t *answer = NULL;
    struct err err;
    cleanup(mem_freep) char *path = mem_printf("/hearth/clusters/%s/drivers/{id}/kill", o->cluster);
    if (path == NULL)
        return say(stderr, CMD_FAILED, "out of memory");
    if (client_ask(c, "POST", path, o->driver, &answer, &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    json_decref(answer);
    return ARGS_GO;
}

static int kill_watched(const struct options *o)
{
    cleanup(client_freep) struct client *c = NULL;
    struct err err;
    if (client_new(&o->client, &c, &err) != ERR_OK)
        return client_give_up(NULL, usage.command, &err);
    int exit_code = order(o, c);
    return exit_code == ARGS_GO ? wait_watched(o, c) : exit_code;
}

/* ---- the command line ---- */

static int check_options(struct options *o)
{
    struct err err = {0};
    if ((o->master == NULL) == (o->cluster == NULL))
        return args_refuse(&usage, "which cluster? Give either --master spark://HOST:PORT or --cluster NAME");
    if (o->cluster != NULL && o->secret_file != NULL)
        return args_refuse(&usage, "--secret-file goes with --master; the server has its own secrets");
    if (o->cluster != NULL && strpbrk(o->cluster, "/?#%") != NULL)
        return args_refuse(&usage, "--cluster: '%s' is no name of a cluster", o->cluster);
    o->timeout_s = TIMEOUT_S;
    if (o->timeout != NULL && parse_i64(o->timeout, 1, SECONDS_MAX, &o->timeout_s, &err) != ERR_OK)
        return args_refuse(&usage, "--timeout: %s", err.msg);
    return ARGS_GO;
}

int cmd_cluster_kill(int argc, char **argv)
{
    struct options o = {0};
    const struct arg rows[] = {
        {"master", 0, ARG_TEXT, &o.master, "URL", "the cluster's masters, spark://HOST:PORT[,HOST:PORT]"},
        {"cluster", 0, ARG_TEXT, &o.cluster, "NAME", "a cluster that the server watches"},
        {"secret-file", 0, ARG_TEXT, &o.secret_file, "FILE", "its first line is the cluster's secret"},
        {"timeout", 0, ARG_TEXT, &o.timeout, "SECONDS", "how long to wait for its end (30 s)"},
        CLIENT_ARGS(&o.client),
        {0},
    };
    int exit_code = args_parse(&usage, rows, &argc, argv);
    o.driver = argc > 1 ? argv[1] : NULL;
    if (exit_code == ARGS_GO)
        exit_code = check_options(&o);
    if (exit_code != ARGS_GO)
        return exit_code;
    return o.master != NULL ? kill_direct(&o) : kill_watched(&o);
}
