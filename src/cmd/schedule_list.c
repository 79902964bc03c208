/* `hearth schedule list`: the schedules that the server knows. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/facts.h"
#include "cmd/schedule_access.h"
#include "cmd/schedule_commands.h"

#include <string.h>

enum { PAGE = 1000 };

static const struct usage usage = {
    .command = "schedule list",
    .synopsis = "[options]",
    .about =
        "Lists schedules by group and name. NEXT is when one fires next; FIRES counts what has fired, and\n"
        "what should have.",
    .examples = "  hearth schedule list\n"
                "  hearth schedule list --group etl\n"
                "  hearth schedule list --json | jq '.schedules[].nextAt'\n",
};

/* The page behind those that `all` has; adds its schedules to them. */
static enum err_code fetch_page(struct client *c, const char *group, json_t *all, size_t *ret_n,
                                struct err *err)
{
    cleanup(mem_freep) char *escaped = group != NULL ? client_escape(c, group) : NULL;
    cleanup(mem_freep) char *path =
        mem_printf("/hearth/schedules?order=name&size=%d&from=%zu%s%s", PAGE, json_array_size(all),
                   escaped != NULL ? "&group=" : "", escaped != NULL ? escaped : "");
    if (path == NULL || (group != NULL && escaped == NULL))
        return err_set(err, ERR_NOMEM, "out of memory");
    json_t *answer = NULL;
    enum err_code rc = client_call(c, &(struct client_request){.method = "GET", .path = path}, &answer, err);
    json_t *page = json_object_get(answer, "schedules");
    *ret_n = json_array_size(page);
    if (rc == ERR_OK && *ret_n > 0 && json_array_extend(all, page) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    json_decref(answer);
    return rc;
}

static enum err_code fetch(struct client *c, const char *group, json_t *all, struct err *err)
{
    size_t n = PAGE;
    while (n == PAGE) {
        enum err_code rc = fetch_page(c, group, all, &n, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static int print_table(const json_t *schedules)
{
    static const struct table_column columns[] = {
        {"ID", false},    {"GROUP", true}, {"NAME", true},
        {"STATE", false}, {"NEXT", false}, {"FIRES", false},
        {"OWNER", true},  {"WHEN", true},  {0},
    };
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    size_t i = 0;
    json_t *schedule = NULL;
    json_array_foreach(schedules, i, schedule)
    {
        fact_number_cell(&t, schedule, "id");
        table_cell(&t, answer_text(schedule, "group", NULL));
        table_cell(&t, answer_text(schedule, "name", NULL));
        table_cell(&t, answer_text(schedule, "state", NULL));
        schedule_time_cell(&t, schedule, "nextAt");
        fact_number_cell(&t, schedule, "fires");
        table_cell(&t, answer_text(schedule, "owner", NULL));
        table_cell(&t, answer_text(schedule, "description", NULL));
    }
    return table_print(&t);
}

static int print_json(json_t *schedules)
{
    json_t *answer =
        json_pack("{s:I,s:O}", "total", (json_int_t)json_array_size(schedules), "schedules", schedules);
    int exit_code = answer != NULL ? answer_print(answer) : CMD_FAILED;
    json_decref(answer);
    return exit_code;
}

int cmd_schedule_list(int argc, char **argv)
{
    struct client_options options = {0};
    const char *group = NULL;
    bool json = false;
    const struct arg rows[] = {
        {"group", 0, ARG_TEXT, &group, "GROUP", "only those of this group"},
        {"json", 0, ARG_FLAG, &json, NULL, "the server's JSON"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &options, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    json_t *all = json_array();
    struct err err;
    if (fetch(c, group, all, &err) != ERR_OK)
        exit_code = client_give_up(c, usage.command, &err);
    else
        exit_code = json ? print_json(all) : print_table(all);
    json_decref(all);
    return exit_code;
}
