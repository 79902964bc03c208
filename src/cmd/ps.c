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

enum { PAGE = 500 };

/* Adds the elements of a page to `all`, the ended ones only when they are wanted. */
static int add_page(json_t *all, const json_t *page, bool ended_too)
{
    size_t i = 0;
    json_t *batch = NULL;
    json_array_foreach(page, i, batch)
    {
        const char *state = answer_text(batch, "state", "");
        bool lives = strcmp(state, "starting") == 0 || strcmp(state, "running") == 0;
        if ((lives || ended_too) && json_array_append(all, batch) != 0)
            return -1;
    }
    return 0;
}

/* All pages of GET /batches; *ret is the caller's. */
static enum err_code fetch_all(struct client *c, bool ended_too, json_t **ret, struct err *err)
{
    json_t *all = json_array();
    enum err_code rc = all != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
    int64_t from = 0;
    int64_t total = 1;
    while (rc == ERR_OK && from < total) {
        json_t *answer = NULL;
        cleanup(mem_freep) char *path = mem_printf("/batches?from=%" PRId64 "&size=%d", from, PAGE);
        rc = path != NULL ? client_ask(c, "GET", path, NULL, &answer, err)
                          : err_set(err, ERR_NOMEM, "out of memory");
        if (rc == ERR_OK && add_page(all, json_object_get(answer, "sessions"), ended_too) != 0)
            rc = err_set(err, ERR_NOMEM, "out of memory");
        total = answer_int(answer, "total", 0);
        from += PAGE;
        json_decref(answer);
    }
    if (rc == ERR_OK)
        *ret = all;
    else
        json_decref(all);
    return rc;
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

/* In the shape of the server's own list. */
static int print_json(json_t *batches)
{
    json_t *list = json_pack("{s:i, s:I, s:O}", "from", 0, "total", (json_int_t)json_array_size(batches),
                             "sessions", batches);
    int exit_code = list != NULL ? answer_print(list) : CMD_FAILED;
    json_decref(list);
    return exit_code;
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
    int exit_code = args_parse(&usage, rows, &argc, argv);
    if (exit_code != ARGS_GO)
        return exit_code;
    cleanup(client_freep) struct client *c = NULL;
    json_t *batches = NULL;
    struct err err;
    if (client_new(&options, &c, &err) != ERR_OK || fetch_all(c, all, &batches, &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    exit_code = json ? print_json(batches) : print_table(batches);
    json_decref(batches);
    return exit_code;
}
