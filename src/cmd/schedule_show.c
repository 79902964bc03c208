/* `hearth schedule show`: everything about one schedule. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/facts.h"
#include "cmd/schedule_access.h"
#include "cmd/schedule_commands.h"

#include <inttypes.h>
#include <string.h>

static const struct usage usage = {
    .command = "schedule show",
    .synopsis = "[options] NAME",
    .about = "Shows a schedule: when it fires, what it runs, what it does in trouble, and its last fire.",
    .examples = "  hearth schedule show nightly\n"
                "  hearth schedule show etl/hourly\n"
                "  hearth schedule show --json 7\n",
    .operands_min = 1,
    .operands_max = 1,
};

static void print_when(const json_t *s)
{
    fact_print_member("when", s, "description");
    fact_print_member("cron", s, "cron");
    fact_print_member("time zone", s, "timeZone");
    fact_print_member("next", s, "nextAt");
    fact_print_member("previous", s, "previousAt");
    fact_print_member("from", s, "start");
    fact_print_member("until", s, "end");
    fact_print_member("jitter", s, "jitter");
}

static void print_trouble(const json_t *s)
{
    const json_t *retry = answer_get(s, "retry");
    char text[160];
    fact_print_member("misfire", s, "misfire");
    fact_print_member("overlap", s, "overlap");
    fact_print_number("priority", s, "priority");
    (void)snprintf(text, sizeof text, "%" PRId64 " times, after %.40s, at most %.40s",
                   answer_int(retry, "limit", 0), answer_text(retry, "delay", "?"),
                   answer_text(retry, "maxDelay", "?"));
    fact_print("retries", answer_int(retry, "limit", 0) > 0 ? text : "none");
}

static void print_arguments(const json_t *args)
{
    size_t i = 0;
    json_t *arg = NULL;
    json_array_foreach(args, i, arg) fact_print(i == 0 ? "arguments" : "", json_string_value(arg));
}

static void print_batch(const json_t *b)
{
    const char *key = NULL;
    json_t *value = NULL;
    bool first = true;
    if (b == NULL)
        return;
    fact_print_member("program", b, "file");
    fact_print_member("class", b, "className");
    print_arguments(json_object_get(b, "args"));
    fact_print_member("master", b, "master");
    json_object_foreach(json_object_get(b, "conf"), key, value)
    {
        cleanup(mem_freep) char *text = mem_printf("%s=%s", key, json_string_value(value));
        fact_print(first ? "conf" : "", text);
        first = false;
    }
}

static void print_last_fire(const json_t *fire)
{
    if (fire == NULL)
        return;
    (void)printf("\n  last fire %" PRId64 ": %s\n", answer_int(fire, "number", 0),
                 answer_text(fire, "state", "?"));
    fact_print_member("planned", fire, "plannedAt");
    fact_print_member("began", fire, "actualAt");
    fact_print_member("ended", fire, "endedAt");
    fact_print_number("batch", fire, "batch");
    fact_print_member("reason", fire, "reason");
}

static int print_schedule(const json_t *s)
{
    (void)printf("schedule %" PRId64 " (", answer_int(s, "id", -1));
    schedule_print_name(stdout, s);
    (void)printf("): %s\n", answer_text(s, "state", "?"));
    print_when(s);
    print_trouble(s);
    fact_print_member("owner", s, "owner");
    fact_print_member("runs as", s, "proxyUser");
    fact_print_member("made by", s, "door");
    fact_print_member("created", s, "createdAt");
    fact_print_member("changed", s, "changedAt");
    fact_print_number("fires", s, "fires");
    print_batch(answer_get(s, "batch"));
    print_last_fire(answer_get(s, "lastFire"));
    return CMD_OK;
}

int cmd_schedule_show(int argc, char **argv)
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
    json_t *schedule = NULL;
    struct err err;
    if (schedule_ask(c, "GET", "/hearth/schedules/{id}", argv[1], &schedule, &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    exit_code = json ? answer_print(schedule) : print_schedule(schedule);
    json_decref(schedule);
    return exit_code;
}
