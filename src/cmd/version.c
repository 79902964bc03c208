/* `hearth version`: this program's version, and the server's when one answers. */
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/cmd.h"

#include <stdio.h>

static const struct usage usage = {
    .command = "version",
    .synopsis = "[options]",
    .about = "Shows this program's version, and that of the server and its Spark when one answers.",
    .examples = "  hearth version\n"
                "  hearth version --json\n",
};

static int print_json(const json_t *status)
{
    json_t *spark = answer_get(status, "spark");
    json_t *all =
        json_pack("{s:s, s:s?, s:s?}", "hearth", HEARTH_VERSION, "server",
                  answer_text(status, "version", NULL), "spark", answer_text(spark, "version", NULL));
    int exit_code = all != NULL ? answer_print(all) : CMD_FAILED;
    json_decref(all);
    return exit_code;
}

static void print_text(const json_t *status)
{
    (void)printf("hearth %s\n", HEARTH_VERSION);
    if (status == NULL)
        return; /* no server is no failure here */
    const json_t *spark = answer_get(status, "spark");
    (void)printf("server %s, Spark %s\n", answer_text(status, "version", "unknown"),
                 answer_text(spark, "version", "unknown"));
}

int cmd_version(int argc, char **argv)
{
    struct client_options options = {0};
    bool json = false;
    const struct arg rows[] = {
        {"json", 0, ARG_FLAG, &json, NULL, "as JSON; null where no server answers"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &options, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    json_t *status = NULL;
    struct err unread;
    (void)client_ask(c, "GET", "/hearth/status", NULL, &status, &unread);
    exit_code = CMD_OK;
    if (json)
        exit_code = print_json(status);
    else
        print_text(status);
    json_decref(status);
    return exit_code;
}
