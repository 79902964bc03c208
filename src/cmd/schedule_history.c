/* `hearth schedule history` and `upcoming`: what has fired, and what will. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/parse.h"
#include "cmd/cmd.h"
#include "cmd/facts.h"
#include "cmd/schedule_access.h"
#include "cmd/schedule_commands.h"
#include "cmd/show.h"

#include <inttypes.h>
#include <string.h>

enum { LINES_MAX = 1000 };

static int read_count(const struct usage *usage, const char *text, int64_t *ret)
{
    struct err err;
    if (text == NULL || parse_i64(text, 1, LINES_MAX, ret, &err) == ERR_OK)
        return ARGS_GO;
    return args_refuse(usage, "-n: %s", err.msg);
}

/* ---- history ---- */

static const struct usage history_usage = {
    .command = "schedule history",
    .synopsis = "[options] NAME",
    .about = "The fires of a schedule, newest first: planned for when, how late they began, the number of\n"
             "the batch, and why one did not run. One line tells of all times that were missed together.",
    .examples = "  hearth schedule history nightly\n"
                "  hearth schedule history nightly -n 100\n"
                "  hearth schedule history --json nightly | jq '.fires[].state'\n",
    .operands_min = 1,
    .operands_max = 1,
};

static void span_cell(struct table *t, const json_t *fire, const char *from, const char *to)
{
    char text[SHOW_MAX];
    int64_t from_ms = show_parse_time(answer_text(fire, from, NULL));
    int64_t to_ms = show_parse_time(answer_text(fire, to, NULL));
    show_duration(from_ms >= 0 && to_ms >= from_ms ? to_ms - from_ms : -1, text);
    table_cell(t, text);
}

/* The reason; of times that were missed also how many. */
static void reason_cell(struct table *t, const json_t *fire)
{
    const json_t *missed = answer_get(fire, "missed");
    const char *reason = answer_text(fire, "reason", NULL);
    if (missed == NULL) {
        table_cell(t, reason);
        return;
    }
    cleanup(mem_freep) char *text = mem_printf("%" PRId64 " until %s%s%s", answer_int(missed, "count", 0),
                                               answer_text(missed, "until", "?"), reason != NULL ? ": " : "",
                                               reason != NULL ? reason : "");
    table_cell(t, text);
}

static int print_history(const json_t *answer)
{
    static const struct table_column columns[] = {
        {"FIRE", false},    {"CAUSE", false}, {"STATE", false},
        {"PLANNED", false}, {"LATE", false},  {"TOOK", false},
        {"BATCH", false},   {"REASON", true}, {0},
    };
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    size_t i = 0;
    json_t *fire = NULL;
    json_array_foreach(json_object_get(answer, "fires"), i, fire)
    {
        fact_number_cell(&t, fire, "number");
        table_cell(&t, answer_text(fire, "cause", NULL));
        table_cell(&t, answer_text(fire, "state", NULL));
        schedule_time_cell(&t, fire, "plannedAt");
        span_cell(&t, fire, "plannedAt", "actualAt");
        span_cell(&t, fire, "actualAt", "endedAt");
        fact_number_cell(&t, fire, "batch");
        reason_cell(&t, fire);
    }
    return table_print(&t);
}

int cmd_schedule_history(int argc, char **argv)
{
    struct client_options options = {0};
    const char *lines = NULL;
    bool json = false;
    int64_t size = 20;
    const struct arg rows[] = {
        {"lines", 'n', ARG_TEXT, &lines, "N", "the last N fires (20)"},
        {"json", 0, ARG_FLAG, &json, NULL, "the server's JSON"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&history_usage, rows, &argc, argv, &options, &c);
    if (exit_code == ARGS_GO)
        exit_code = read_count(&history_usage, lines, &size);
    if (exit_code != ARGS_GO)
        return exit_code;
    char path[80];
    (void)snprintf(path, sizeof path, "/hearth/schedules/{id}/history?size=%" PRId64, size);
    json_t *answer = NULL;
    struct err err;
    if (schedule_ask(c, "GET", path, argv[1], &answer, &err) != ERR_OK)
        return client_give_up(c, history_usage.command, &err);
    exit_code = json ? answer_print(answer) : print_history(answer);
    json_decref(answer);
    return exit_code;
}

/* ---- upcoming ---- */

static const struct usage upcoming_usage = {
    .command = "schedule upcoming",
    .synopsis = "[options] [NAME]",
    .about = "The fire times to come: of one schedule, or without NAME of all that are active within the\n"
             "next day.",
    .examples = "  hearth schedule upcoming\n"
                "  hearth schedule upcoming nightly -n 3\n"
                "  hearth schedule upcoming --from 2027-01-01T00:00:00Z --to 2027-01-02T00:00:00Z\n",
    .operands_max = 1,
};

struct upcoming {
    struct client_options server;
    const char *from, *to, *lines;
    int64_t size;
    bool json;
};

static void add_parameter(struct client *c, struct buf *path, const char *name, const char *value)
{
    cleanup(mem_freep) char *escaped = value != NULL ? client_escape(c, value) : NULL;
    if (escaped != NULL)
        buf_printf(path, "&%s=%s", name, escaped);
}

static int print_upcoming(const json_t *answer)
{
    static const struct table_column columns[] = {
        {"AT", false}, {"ID", false}, {"GROUP", true}, {"NAME", true}, {0}};
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    size_t i = 0;
    json_t *time = NULL;
    json_array_foreach(json_object_get(answer, "times"), i, time)
    {
        schedule_time_cell(&t, time, "at");
        fact_number_cell(&t, time, "schedule");
        table_cell(&t, answer_text(time, "group", NULL));
        table_cell(&t, answer_text(time, "name", NULL));
    }
    int exit_code = table_print(&t);
    if (!json_is_true(json_object_get(answer, "complete")))
        (void)fprintf(stderr, "hearth schedule upcoming: there are more; -n shows up to %d\n", LINES_MAX);
    return exit_code;
}

static int show_upcoming(const struct upcoming *u, struct client *c, const char *called)
{
    enum { PATH_MAX_BYTES = 4096 };
    cleanup(buf_clear) struct buf path = BUF(PATH_MAX_BYTES);
    buf_printf(&path, "/hearth/schedules%s/upcoming?size=%" PRId64, called != NULL ? "/{id}" : "", u->size);
    add_parameter(c, &path, "from", u->from);
    add_parameter(c, &path, "to", u->to);
    json_t *answer = NULL;
    struct err err;
    enum err_code rc = called != NULL ? schedule_ask(c, "GET", buf_cstr(&path), called, &answer, &err)
                                      : client_ask(c, "GET", buf_cstr(&path), NULL, &answer, &err);
    if (rc != ERR_OK)
        return client_give_up(c, upcoming_usage.command, &err);
    int exit_code = u->json ? answer_print(answer) : print_upcoming(answer);
    json_decref(answer);
    return exit_code;
}

int cmd_schedule_upcoming(int argc, char **argv)
{
    struct upcoming u = {.size = 20};
    const struct arg rows[] = {
        {"from", 0, ARG_TEXT, &u.from, "INSTANT", "from then on, as 2027-01-01T00:00:00Z; else now"},
        {"to", 0, ARG_TEXT, &u.to, "INSTANT", "before then; else for a day, of one schedule for a year"},
        {"lines", 'n', ARG_TEXT, &u.lines, "N", "the next N (20)"},
        {"json", 0, ARG_FLAG, &u.json, NULL, "the server's JSON"},
        CLIENT_ARGS(&u.server),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&upcoming_usage, rows, &argc, argv, &u.server, &c);
    if (exit_code == ARGS_GO)
        exit_code = read_count(&upcoming_usage, u.lines, &u.size);
    if (exit_code != ARGS_GO)
        return exit_code;
    return show_upcoming(&u, c, argc > 1 ? argv[1] : NULL);
}
