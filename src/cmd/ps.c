/* `hearth ps`: the applications that the server knows. */
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/show.h"
#include "cmd/table.h"

#include <inttypes.h>
#include <string.h>

static const struct usage usage = {
    .command = "ps",
    .synopsis = "[options]",
    .about = "Lists the applications that wait or run; with --all also those that have ended.\n"
             "AGE counts from the submission, TIME is how long the application has run.",
    .examples = "  hearth ps\n"
                "  hearth ps -a\n"
                "  hearth ps --json | jq '.sessions[].appId'\n",
};

static bool lives(const json_t *batch)
{
    const char *state = answer_text(batch, "state", "");
    return strcmp(state, "starting") == 0 || strcmp(state, "running") == 0;
}

static void time_cells(struct table *t, const json_t *batch)
{
    int64_t now = clock_wall_ms();
    int64_t created = show_parse_time(answer_text(batch, "createdAt", NULL));
    int64_t started = show_parse_time(answer_text(batch, "startedAt", NULL));
    int64_t ended = show_parse_time(answer_text(batch, "endedAt", NULL));
    char text[SHOW_MAX];
    show_duration(created >= 0 ? now - created : -1, text);
    table_cell(t, text);
    show_duration(started >= 0 ? (ended >= 0 ? ended : now) - started : -1, text);
    table_cell(t, text);
}

static int print_table(const json_t *batches)
{
    static const struct table_column columns[] = {
        {"ID", false},
        {"NAME", true},
        {"STATE", false},
        {"APPLICATION-ID", true},
        {"MASTER", true},
        {"AGE", false},
        {"TIME", false},
        {"REASON", true},
        {0},
    };
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    size_t i = 0;
    json_t *batch = NULL;
    json_array_foreach(batches, i, batch)
    {
        char id[24];
        (void)snprintf(id, sizeof id, "%" PRId64, answer_int(batch, "id", -1));
        table_cell(&t, id);
        table_cell(&t, answer_text(batch, "name", NULL));
        table_cell(&t, answer_text(batch, "state", NULL));
        table_cell(&t, answer_text(batch, "appId", NULL));
        table_cell(&t, answer_text(batch, "master", NULL));
        time_cells(&t, batch);
        table_cell(&t, answer_text(batch, "reason", NULL));
    }
    return table_print(&t);
}

int cmd_ps(int argc, char **argv)
{
    struct client_options options = {0};
    bool all = false;
    bool json = false;
    const struct arg rows[] = {
        {"all", 'a', ARG_FLAG, &all, NULL, "also those that have ended"},
        {"json", 0, ARG_FLAG, &json, NULL, "the server's JSON"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &options, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    json_t *batches = NULL;
    struct err err;
    if (client_fetch_all(c, "/batches", all ? NULL : lives, &batches, &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    exit_code = json ? answer_print_list(batches) : print_table(batches);
    json_decref(batches);
    return exit_code;
}
