/*
 * `hearth cluster`: a standalone cluster at a glance, asked by this command itself (spark://…) or by the
 * server that watches it (its name).
 */
#include "base/mem.h"
#include "base/parse.h"
#include "base/strs.h"
#include "cmd/client.h"
#include "cmd/cluster_direct.h"
#include "cmd/cluster_kill.h"
#include "cmd/cluster_print.h"
#include "cmd/cmd.h"
#include "cmd/table.h"

#include <string.h>
#include <unistd.h>

enum { TIMEOUT_S = 10, WATCH_S = 2, SECONDS_MAX = 3600 };

static const struct usage usage = {
    .command = "cluster",
    .synopsis = "[options] [URL|NAME]\n       hearth cluster kill [options] DRIVER",
    .about =
        "Shows a standalone cluster: its masters, workers, cores, memory, applications and drivers. With\n"
        "spark://HOST:PORT[,HOST:PORT] the masters are asked by this command, no server is needed; with\n"
        "a name the server is asked, which watches it (clusters.watch); without either the server lists\n"
        "what it watches.",
    .examples = "  hearth cluster spark://master:7077\n"
                "  hearth cluster spark://a:7077,b:7077 --json | jq .totals\n"
                "  hearth cluster --watch=5 main\n"
                "  hearth cluster kill driver-20261121162752-0000 --master spark://master:7077\n",
    .operands_max = 1,
    .exit_codes = "     (also: no master answers)\n",
};

struct options {
    struct client_options client;
    bool json;
    const char *watch, *secret_file, *timeout;
    int64_t watch_s; /* 0: once */
    int64_t timeout_ms;
};

static int read_seconds(const char *option, const char *text, int64_t *ret)
{
    struct err err = {0};
    if (text == NULL || parse_i64(text, 1, SECONDS_MAX, ret, &err) == ERR_OK)
        return ARGS_GO;
    return args_refuse(&usage, "--%s: %s", option, err.msg);
}

static int check_options(struct options *o, const char *operand)
{
    int64_t timeout_s = TIMEOUT_S;
    if (o->watch != NULL)
        o->watch_s = WATCH_S;
    int exit_code =
        read_seconds("watch", o->watch != NULL && o->watch[0] != '\0' ? o->watch : NULL, &o->watch_s);
    if (exit_code == ARGS_GO)
        exit_code = read_seconds("timeout", o->timeout, &timeout_s);
    o->timeout_ms = timeout_s * 1000;
    bool direct = operand != NULL && strstr(operand, "://") != NULL;
    if (exit_code == ARGS_GO && !direct && (o->secret_file != NULL || o->timeout != NULL))
        exit_code =
            args_refuse(&usage, "--secret-file and --timeout need a cluster's URL, spark://HOST:PORT");
    return exit_code;
}

/* ---- showing ---- */

/* Between two pictures: a new screen, or an empty line where there is none. */
static void begin_picture(bool first)
{
    if (table_may_style())
        (void)fputs("\033[H\033[2J", stdout);
    else if (!first)
        (void)putchar('\n');
}

/* One object per line while watching, so that a program can read them as they come. */
static int print_json(const json_t *object, bool watching)
{
    if (!watching)
        return answer_print(object);
    if (json_dumpf(object, stdout, JSON_COMPACT) != 0 || fputc('\n', stdout) == EOF)
        return CMD_FAILED;
    return CMD_OK;
}

static int show(const struct options *o, const json_t *object, int (*print)(const json_t *), bool first)
{
    int exit_code = CMD_OK;
    if (o->json) {
        exit_code = print_json(object, o->watch_s > 0);
    } else {
        if (o->watch_s > 0)
            begin_picture(first);
        exit_code = print(object);
    }
    return fflush(stdout) == 0 ? exit_code : CMD_FAILED;
}

/* ---- by this command ---- */

/* The exit code for masters of whom none leads: silent ones count as no answer. */
static int exit_code_of(const json_t *cluster)
{
    int exit_code = CMD_UNREACHABLE;
    size_t i = 0;
    json_t *master = NULL;
    json_array_foreach(json_object_get(cluster, "masters"), i, master)
    {
        if (direct_exit_code(answer_text(master, "result", NULL)) != CMD_UNREACHABLE)
            exit_code = CMD_FAILED;
    }
    return exit_code;
}

static int tell_trouble(const json_t *cluster)
{
    (void)fprintf(stderr, "hearth cluster: ");
    table_print_text(stderr, answer_text(cluster, "trouble", "out of memory"));
    (void)fputc('\n', stderr);
    return exit_code_of(cluster);
}

static int look_once(const struct options *o, struct direct *d, bool first)
{
    json_t *cluster = direct_look(d, o->timeout_ms);
    bool reachable = json_is_true(json_object_get(cluster, "reachable"));
    int exit_code = CMD_OK;
    if (reachable || o->json)
        exit_code = show(o, cluster, cluster_print, first);
    if (!reachable)
        exit_code = tell_trouble(cluster);
    json_decref(cluster);
    return exit_code;
}

static int show_direct(const struct options *o, const char *url)
{
    struct direct d;
    int exit_code = direct_open(&d, &usage, url, o->secret_file);
    if (exit_code != ARGS_GO)
        return exit_code;
    exit_code = look_once(o, &d, true);
    while (o->watch_s > 0 && ferror(stdout) == 0) { /* until Ctrl-C; a master that is away comes back */
        direct_pause(&d, o->watch_s * 1000);
        exit_code = look_once(o, &d, false);
    }
    direct_close(&d);
    return exit_code;
}

/* ---- by the server ---- */

static int print_clusters(const json_t *answer)
{
    return cluster_print_list(json_object_get(answer, "clusters"));
}

static int ask_once(const struct options *o, struct client *c, const char *name, bool first)
{
    json_t *answer = NULL;
    struct err err;
    if (client_ask(c, "GET", name != NULL ? "/hearth/clusters/{id}" : "/hearth/clusters", name, &answer,
                   &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    int exit_code = show(o, answer, name != NULL ? cluster_print : print_clusters, first);
    if (exit_code == CMD_OK && name != NULL && !json_is_true(json_object_get(answer, "reachable")))
        exit_code = CMD_FAILED;
    json_decref(answer);
    return exit_code;
}

static int show_watched(const struct options *o, const char *name)
{
    cleanup(client_freep) struct client *c = NULL;
    struct err err;
    if (client_new(&o->client, &c, &err) != ERR_OK)
        return client_give_up(NULL, usage.command, &err);
    int exit_code = ask_once(o, c, name, true);
    while (o->watch_s > 0 && ferror(stdout) == 0) {
        (void)sleep((unsigned)o->watch_s);
        exit_code = ask_once(o, c, name, false);
    }
    return exit_code;
}

int cmd_cluster(int argc, char **argv)
{
    struct options o = {0};
    const struct arg rows[] = {
        {"json", 0, ARG_FLAG, &o.json, NULL, "the same facts as JSON"},
        {"watch", 0, ARG_MAYBE, &o.watch, "SECONDS", "again and again (2 s)"},
        {"secret-file", 0, ARG_TEXT, &o.secret_file, "FILE", "its first line is the cluster's secret"},
        {"timeout", 0, ARG_TEXT, &o.timeout, "SECONDS", "how long masters may take (10 s)"},
        CLIENT_ARGS(&o.client),
        {0},
    };
    if (argc > 1 && strcmp(argv[1], "kill") == 0)
        return cmd_cluster_kill(argc - 1, argv + 1);
    int exit_code = args_parse(&usage, rows, &argc, argv);
    const char *operand = argc > 1 ? argv[1] : NULL;
    if (exit_code == ARGS_GO)
        exit_code = check_options(&o, operand);
    if (exit_code != ARGS_GO)
        return exit_code;
    return operand != NULL && strstr(operand, "://") != NULL ? show_direct(&o, operand)
                                                             : show_watched(&o, operand);
}
