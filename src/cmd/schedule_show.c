/* `hearth schedule show`: everything about one schedule. */
#include "base/mem.h"
#include "cmd/cmd.h"
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

static void print_fact(const char *label, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    (void)printf("  %-14s ", label);
    table_print_text(stdout, text);
    (void)putchar('\n');
}

static void print_member(const char *label, const json_t *object, const char *name)
{
    print_fact(label, answer_text(object, name, NULL));
}

static void print_number(const char *label, const json_t *object, const char *name)
{
    char text[24];
    if (!json_is_integer(json_object_get(object, name)))
        return;
    (void)snprintf(text, sizeof text, "%" PRId64, answer_int(object, name, 0));
    print_fact(label, text);
}

static void print_when(const json_t *s)
{
    print_member("when", s, "description");
    print_member("cron", s, "cron");
    print_member("time zone", s, "timeZone");
    print_member("next", s, "nextAt");
    print_member("previous", s, "previousAt");
    print_member("from", s, "start");
    print_member("until", s, "end");
    print_member("jitter", s, "jitter");
}

static void print_trouble(const json_t *s)
{
    const json_t *retry = answer_get(s, "retry");
    char text[160];
    print_member("misfire", s, "misfire");
    print_member("overlap", s, "overlap");
    print_number("priority", s, "priority");
    (void)snprintf(text, sizeof text, "%" PRId64 " times, after %.40s, at most %.40s",
                   answer_int(retry, "limit", 0), answer_text(retry, "delay", "?"),
                   answer_text(retry, "maxDelay", "?"));
    print_fact("retries", answer_int(retry, "limit", 0) > 0 ? text : "none");
}

static void print_arguments(const json_t *args)
{
    size_t i = 0;
    json_t *arg = NULL;
    json_array_foreach(args, i, arg) print_fact(i == 0 ? "arguments" : "", json_string_value(arg));
}

static void print_batch(const json_t *b)
{
    const char *key = NULL;
    json_t *value = NULL;
    bool first = true;
    if (b == NULL)
        return;
    print_member("program", b, "file");
    print_member("class", b, "className");
    print_arguments(json_object_get(b, "args"));
    print_member("master", b, "master");
    json_object_foreach(json_object_get(b, "conf"), key, value)
    {
        cleanup(mem_freep) char *text = mem_printf("%s=%s", key, json_string_value(value));
        print_fact(first ? "conf" : "", text);
        first = false;
    }
}

static void print_last_fire(const json_t *fire)
{
    if (fire == NULL)
        return;
    (void)printf("\n  last fire %" PRId64 ": %s\n", answer_int(fire, "number", 0),
                 answer_text(fire, "state", "?"));
    print_member("planned", fire, "plannedAt");
    print_member("began", fire, "actualAt");
    print_member("ended", fire, "endedAt");
    print_number("batch", fire, "batch");
    print_member("reason", fire, "reason");
}

static int print_schedule(const json_t *s)
{
    (void)printf("schedule %" PRId64 " (", answer_int(s, "id", -1));
    schedule_print_name(stdout, s);
    (void)printf("): %s\n", answer_text(s, "state", "?"));
    print_when(s);
    print_trouble(s);
    print_member("owner", s, "owner");
    print_member("runs as", s, "proxyUser");
    print_member("made by", s, "door");
    print_member("created", s, "createdAt");
    print_member("changed", s, "changedAt");
    print_number("fires", s, "fires");
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
