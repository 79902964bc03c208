/* `hearth status`: the server at a glance, or everything about one application. */
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/facts.h"
#include "cmd/show.h"
#include "cmd/table.h"

#include <inttypes.h>
#include <string.h>

static const struct usage usage = {
    .command = "status",
    .synopsis = "[options] [ID]",
    .about = "Without ID: the server, its Spark, how much room there is. With ID (number or name): why\n"
             "the application ended or waits, all facts about it, and its history.",
    .examples = "  hearth status\n"
                "  hearth status 7\n"
                "  hearth status --json etl\n",
    .operands_max = 1,
};

static void print_bytes(const char *label, const json_t *object, const char *name)
{
    char text[SHOW_MAX];
    int64_t bytes = answer_int(object, name, -1);
    if (bytes < 0)
        return;
    show_bytes(bytes, text);
    fact_print(label, text);
}

/* ---- one application ----------------------------------------------------------------------- */

static void print_diagnosis(const json_t *d)
{
    if (d == NULL)
        return;
    fact_print_member("diagnosis", d, "summary");
    fact_print_number("exit code", d, "exitCode");
    fact_print_member("signal", d, "signal");
    if (json_is_true(json_object_get(d, "killedForMemory")))
        fact_print("memory", "killed because it took more than it was given");
    print_bytes("peak memory", d, "maxMemory");
    fact_print_member("Spark said", d, "launcherState");
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach(json_object_get(d, "lastErrors"), i, line)
        fact_print(i == 0 ? "last errors" : "", json_string_value(line));
}

static void print_facts(const json_t *b)
{
    const json_t *info = answer_get(b, "appInfo");
    fact_print_member("reason", b, "reason");
    fact_print_number("place in queue", b, "queuePosition");
    fact_print_member("application id", b, "appId");
    fact_print_member("Spark's page", info, "sparkUiUrl");
    fact_print_member("master", b, "master");
    fact_print_member("file", b, "file");
    fact_print_member("owner", b, "owner");
    fact_print_member("runs as", b, "proxyUser");
    fact_print_number("process", b, "pid");
    print_bytes("memory", b, "memory");
    fact_print_member("folder", b, "folder");
    fact_print_member("submitted", b, "createdAt");
    fact_print_member("started", b, "startedAt");
    fact_print_member("ended", b, "endedAt");
}

/* "  08:44:05.123  +1.2s  running  because …": one line per change of state. */
static void print_history(const json_t *history)
{
    if (json_array_size(history) == 0)
        return;
    (void)printf("\n  history\n");
    int64_t before = -1;
    size_t i = 0;
    json_t *entry = NULL;
    json_array_foreach(history, i, entry)
    {
        const char *at = answer_text(entry, "at", "");
        int64_t now = show_parse_time(at);
        char since[SHOW_MAX] = "";
        if (before >= 0)
            show_duration(now - before, since);
        (void)printf("  %-26s %1s%-6s %-10s ", at, before >= 0 ? "+" : "", since,
                     answer_text(entry, "state", "?"));
        table_print_text(stdout, answer_text(entry, "reason", ""));
        (void)putchar('\n');
        before = now;
    }
}

static int print_application(const json_t *b)
{
    const char *name = answer_text(b, "name", NULL);
    (void)printf("application %" PRId64 "%s", answer_int(b, "id", -1), name != NULL ? " (" : "");
    table_print_text(stdout, name != NULL ? name : "");
    (void)printf("%s: %s\n", name != NULL ? ")" : "", answer_text(b, "state", "unknown"));
    print_diagnosis(answer_get(b, "diagnosis"));
    print_facts(b);
    print_history(json_object_get(b, "history"));
    return CMD_OK;
}

/* ---- the server ---------------------------------------------------------------------------- */

static void print_limit(const char *label, int64_t now, int64_t limit)
{
    char text[80];
    if (limit > 0)
        (void)snprintf(text, sizeof text, "%" PRId64 " of at most %" PRId64, now, limit);
    else
        (void)snprintf(text, sizeof text, "%" PRId64, now);
    fact_print(label, text);
}

static void print_room(const json_t *a)
{
    char used[SHOW_MAX];
    char all[SHOW_MAX];
    char text[2 * SHOW_MAX + 8];
    show_bytes(answer_int(a, "memoryUsed", 0), used);
    show_bytes(answer_int(a, "memory", 0), all);
    (void)snprintf(text, sizeof text, "%s of %s", used, all);
    fact_print("memory", text);
    print_limit("running", answer_int(a, "running", 0), answer_int(a, "runningLimit", 0));
    print_limit("waiting", answer_int(a, "waiting", 0), answer_int(a, "queueLimit", 0));
}

static void print_schedules(const json_t *s)
{
    char text[160];
    const char *next = answer_text(s, "nextAt", NULL);
    if (answer_int(s, "known", 0) == 0)
        return;
    (void)snprintf(text, sizeof text, "%" PRId64 ", %" PRId64 " of them active, %" PRId64 " running%s%s",
                   answer_int(s, "known", 0), answer_int(s, "active", 0), answer_int(s, "running", 0),
                   next != NULL ? "; next at " : "", next != NULL ? next : "");
    fact_print("schedules", text);
}

static int print_server(const json_t *s)
{
    const json_t *spark = answer_get(s, "spark");
    const json_t *store = answer_get(s, "store");
    bool writable = json_is_true(json_object_get(store, "writable"));
    (void)printf("hearth %s on %s\n", answer_text(s, "version", "?"), answer_text(s, "listen", "?"));
    if (!writable)
        fact_print("STORE", answer_text(store, "reason", "cannot be written: nothing new is accepted"));
    print_room(answer_get(s, "admission"));
    fact_print_number("known", s, "applications");
    print_schedules(answer_get(s, "schedules"));
    fact_print_member("Spark", spark, "version");
    fact_print_member("its folder", spark, "home");
    fact_print_member("java", spark, "java");
    fact_print_member("master", spark, "master");
    fact_print_member("class archive", spark, "archive");
    fact_print_member("state folder", s, "stateDir");
    fact_print_number("process", s, "pid");
    fact_print_member("since", s, "startedAt");
    return CMD_OK;
}

int cmd_status(int argc, char **argv)
{
    struct client_options options = {0};
    bool json = false;
    const struct arg rows[] = {
        {"json", 0, ARG_FLAG, &json, NULL, "the server's JSON"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &options, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    const char *id = argc > 1 ? argv[1] : NULL;
    json_t *answer = NULL;
    struct err err;
    if (client_ask(c, "GET", id != NULL ? "/hearth/batches/{id}" : "/hearth/status", id, &answer, &err) !=
        ERR_OK)
        return client_give_up(c, usage.command, &err);
    if (json)
        exit_code = answer_print(answer);
    else
        exit_code = id != NULL ? print_application(answer) : print_server(answer);
    json_decref(answer);
    return exit_code;
}
