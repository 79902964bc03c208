/* `hearth session list`: the sessions that the server knows. */
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/facts.h"
#include "cmd/session_commands.h"
#include "cmd/show.h"
#include "cmd/table.h"

#include <inttypes.h>
#include <string.h>

static const struct usage usage = {
    .command = "session list",
    .synopsis = "[options]",
    .about = "Lists the sessions that start or can run statements; with --all also those that have ended.\n"
             "AGE counts from the start, REASON tells why one waits or why it ended.",
    .examples = "  hearth session list\n"
                "  hearth session list -a\n"
                "  hearth session list --json | jq '.sessions[].appId'\n",
};

static bool lives(const json_t *session)
{
    static const char *const states[] = {"starting", "idle", "busy", "shutting_down", NULL};
    for (const char *const *state = states; *state != NULL; state++)
        if (strcmp(answer_text(session, "state", ""), *state) == 0)
            return true;
    return false;
}

static void age_cell(struct table *t, const json_t *session)
{
    char text[SHOW_MAX];
    int64_t created = show_parse_time(answer_text(session, "createdAt", NULL));
    show_duration(created >= 0 ? clock_wall_ms() - created : -1, text);
    table_cell(t, text);
}

static int print_table(const json_t *sessions)
{
    static const struct table_column columns[] = {
        {"ID", false},         {"NAME", true},   {"KIND", false},
        {"STATE", false},      {"OWNER", true},  {"AGE", false},
        {"STATEMENTS", false}, {"REASON", true}, {0},
    };
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    size_t i = 0;
    json_t *session = NULL;
    json_array_foreach(sessions, i, session)
    {
        fact_number_cell(&t, session, "id");
        table_cell(&t, answer_text(session, "name", NULL));
        table_cell(&t, answer_text(session, "kind", NULL));
        table_cell(&t, answer_text(session, "state", NULL));
        table_cell(&t, answer_text(session, "owner", NULL));
        age_cell(&t, session);
        fact_number_cell(&t, session, "statements");
        table_cell(&t, answer_text(session, "reason", NULL));
    }
    return table_print(&t);
}

int cmd_session_list(int argc, char **argv)
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
    json_t *sessions = NULL;
    struct err err;
    if (client_fetch_all(c, "/sessions", all ? NULL : lives, &sessions, &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    exit_code = json ? answer_print_list(sessions) : print_table(sessions);
    json_decref(sessions);
    return exit_code;
}
