/* `hearth schedule create`: makes a schedule, or replaces one. */
#include "base/mem.h"
#include "base/parse.h"
#include "cmd/cmd.h"
#include "cmd/schedule_access.h"
#include "cmd/schedule_commands.h"
#include "cmd/submit_options.h"

#include <inttypes.h>
#include <string.h>

enum { BODY_MAX_BYTES = 16 << 20 };

static const struct usage usage = {
    .command = "schedule create",
    .synopsis = "NAME [options] <jar | python file | R file> [arguments]",
    .about = "Runs a Spark application when it should: with --cron at the times of a cron expression\n"
             "(`hearth cron` explains those), with --at once, with --every at an interval. What runs is\n"
             "said as to `hearth submit`, with spark-submit's own options. NAME may be GROUP/NAME.",
    .examples = "  hearth schedule create nightly --cron '0 0 2 * * ?' --tz Europe/Rome etl.py\n"
                "  hearth schedule create tick --every 10min --overlap skip --driver-memory 2g tick.py 7\n"
                "  hearth schedule create once --at 2027-01-01T00:00:00Z --retry 3 report.py\n"
                "  hearth schedule create --replace nightly --cron '0 30 2 * * ?' etl.py\n",
    .operands_min = 0,
    .operands_max = -1,
    .stop_at_operand = true,
};

struct create {
    struct submit_options program;
    struct client_options server;
    const char *group, *name;
    const char *cron, *zone, *at, *every, *repeat, *start, *end;
    const char *priority, *misfire, *overlap, *jitter;
    const char *retry, *retry_delay, *retry_max_delay;
    bool paused, replace, json;
};

/* ---- the request ---- */

/* A number of the command line as one of JSON; left out when it is not given. */
static enum err_code write_number(struct json_out *out, const char *key, const char *option, const char *text,
                                  struct err *err)
{
    int64_t n = 0;
    if (text == NULL)
        return ERR_OK;
    if (parse_i64(text, 0, INT32_MAX, &n, err) != ERR_OK)
        return err_wrap(err, "--%s", option);
    json_out_int(out, key, n);
    return ERR_OK;
}

static void write_when(const struct create *o, struct json_out *out)
{
    spark_options_write_text(out, "cron", o->cron);
    spark_options_write_text(out, "timeZone", o->zone);
    spark_options_write_text(out, "at", o->at);
    spark_options_write_text(out, "every", o->every);
    spark_options_write_text(out, "start", o->start);
    spark_options_write_text(out, "end", o->end);
}

static enum err_code write_trouble(const struct create *o, struct json_out *out, struct err *err)
{
    spark_options_write_text(out, "misfire", o->misfire);
    spark_options_write_text(out, "overlap", o->overlap);
    spark_options_write_text(out, "jitter", o->jitter);
    enum err_code rc = write_number(out, "priority", "priority", o->priority, err);
    if (rc != ERR_OK || o->retry == NULL)
        return rc;
    json_out_object(out, "retry");
    rc = write_number(out, "limit", "retry", o->retry, err);
    spark_options_write_text(out, "delay", o->retry_delay);
    spark_options_write_text(out, "maxDelay", o->retry_max_delay);
    json_out_end_object(out);
    return rc;
}

/* `is_new`: with what only a new schedule takes. */
static enum err_code write_body(const struct create *o, const char *program, bool is_new, struct buf *to,
                                struct err *err)
{
    struct json_out out;
    json_out_open(&out, to);
    json_out_object(&out, NULL);
    json_out_str(&out, "name", o->name);
    spark_options_write_text(&out, "group", o->group);
    write_when(o, &out);
    enum err_code rc = write_number(&out, "repeat", "repeat", o->repeat, err);
    if (rc == ERR_OK)
        rc = write_trouble(o, &out, err);
    if (is_new && o->paused)
        json_out_bool(&out, "paused", true);
    json_out_raw(&out, "batch", program);
    json_out_end_object(&out);
    return rc == ERR_OK ? buf_check(to, err) : rc;
}

/* ---- making, replacing ---- */

static enum err_code rest(struct client *c, const char *id, json_t **ret, struct err *err)
{
    json_decref(*ret);
    *ret = NULL;
    return client_ask(c, "POST", "/hearth/schedules/{id}/pause", id, ret, err);
}

/* With --paused it rests already when it gets the new definition, which so never fires. */
static enum err_code put(const struct create *o, struct client *c, const char *program, json_t **ret,
                         struct err *err)
{
    char id[SCHEDULE_ID_MAX];
    char path[80];
    cleanup(buf_clear) struct buf body = BUF(2 * BODY_MAX_BYTES);
    enum err_code rc = schedule_find_named(c, o->group != NULL ? o->group : "default", o->name, id, err);
    if (rc == ERR_OK)
        rc = write_body(o, program, false, &body, err);
    if (rc == ERR_OK && o->paused)
        rc = rest(c, id, ret, err);
    if (rc != ERR_OK)
        return rc;
    json_decref(*ret);
    *ret = NULL;
    (void)snprintf(path, sizeof path, "/hearth/schedules/%s", id);
    const struct client_request request = {.method = "PUT", .path = path, .body = buf_cstr(&body)};
    rc = client_call(c, &request, ret, err);
    if (rc != ERR_OK || !o->paused || str_same(answer_text(*ret, "state", ""), "paused"))
        return rc;
    rc = rest(c, id, ret, err); /* it was complete */
    return rc == ERR_OK ? rc : err_wrap(err, "it has the new definition, and is not paused");
}

/* With --replace the one that has the name, if there is one, is given the new definition. */
static enum err_code create(const struct create *o, struct client *c, const char *program, const char *body,
                            json_t **ret, struct err *err)
{
    const struct client_request request = {.method = "POST", .path = "/hearth/schedules", .body = body};
    enum err_code rc = client_call(c, &request, ret, err);
    if (rc != ERR_CONFLICT)
        return rc;
    if (o->replace)
        return put(o, c, program, ret, err);
    return err_set(err, rc, "%s%s%s exists already; --replace gives it this definition",
                   o->group != NULL ? o->group : "", o->group != NULL ? "/" : "", o->name);
}

static int tell(const struct create *o, const json_t *schedule)
{
    if (o->json)
        return answer_print(schedule);
    (void)printf("%" PRId64 "\n", answer_int(schedule, "id", -1));
    (void)fprintf(stderr, "hearth schedule create: ");
    schedule_print_name(stderr, schedule);
    (void)fputs(": ", stderr);
    table_print_text(stderr, answer_text(schedule, "description", "?"));
    (void)fprintf(stderr, "; %s %s\n", answer_get(schedule, "nextAt") != NULL ? "fires next at" : "it is",
                  answer_text(schedule, "nextAt", answer_text(schedule, "state", "?")));
    return CMD_OK;
}

/* ---- the command line ---- */

/* GROUP/NAME, unless --group says that the whole is the name. */
static int split_name(struct create *o, char *text)
{
    char *slash = o->group == NULL ? strchr(text, '/') : NULL;
    o->name = text;
    if (slash != NULL) {
        *slash = '\0';
        o->group = text;
        o->name = slash + 1;
    }
    if (o->name[0] == '\0' || (o->group != NULL && o->group[0] == '\0'))
        return args_refuse(&usage, "NAME is empty; it is a name, or GROUP/NAME");
    return ARGS_GO;
}

static int check_when(const struct create *o)
{
    int given = (o->cron != NULL) + (o->at != NULL) + (o->every != NULL);
    if (given != 1)
        return args_refuse(&usage, "when? Give one of --cron, --at and --every");
    if (o->retry == NULL && (o->retry_delay != NULL || o->retry_max_delay != NULL))
        return args_refuse(&usage, "--retry-delay and --retry-max-delay go with --retry");
    return ARGS_GO;
}

static int run(const struct create *o, struct client *c, char *const *operands, size_t n)
{
    cleanup(buf_clear) struct buf program = BUF(BODY_MAX_BYTES);
    cleanup(buf_clear) struct buf body = BUF(2 * BODY_MAX_BYTES);
    struct err err;
    if (submit_options_write(&o->program, operands, n, true, &program, &err) != ERR_OK ||
        write_body(o, buf_cstr(&program), true, &body, &err) != ERR_OK)
        return args_refuse(&usage, "%s", err.msg);
    json_t *schedule = NULL;
    if (create(o, c, buf_cstr(&program), buf_cstr(&body), &schedule, &err) != ERR_OK) {
        json_decref(schedule);
        return client_give_up(c, usage.command, &err);
    }
    int exit_code = tell(o, schedule);
    json_decref(schedule);
    return exit_code;
}

/* Options may stand before NAME and between NAME and the program; what follows that is the program's. */
static int parse_and_run(struct create *o, const struct arg *rows, int argc, char **argv)
{
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = args_parse(&usage, rows, &argc, argv);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (argc < 2)
        return args_refuse(&usage, "what is it called? hearth schedule create %s", usage.synopsis);
    char *name = argv[1];
    argc--;
    argv++;
    exit_code = client_open(&usage, rows, &argc, argv, &o->server, &c);
    if (exit_code == ARGS_GO && argc < 2)
        exit_code = args_refuse(&usage, "which application? hearth schedule create %s", usage.synopsis);
    if (exit_code == ARGS_GO)
        exit_code = split_name(o, name);
    if (exit_code == ARGS_GO)
        exit_code = check_when(o);
    return exit_code == ARGS_GO ? run(o, c, argv + 1, (size_t)argc - 1) : exit_code;
}

int cmd_schedule_create(int argc, char **argv)
{
    enum { OWN_ROWS = 21 };
    struct create o = {0};
    struct arg rows[SUBMIT_ROWS + OWN_ROWS] = {0};
    submit_options_init(&o.program, rows);
    o.program.spark.command = usage.command;
    const struct arg own[OWN_ROWS] = {
        {"cron", 0, ARG_TEXT, &o.cron, "EXPR", "at the times of a cron expression"},
        {"tz", 0, ARG_TEXT, &o.zone, "ZONE", "its time zone, as Europe/Rome; else the server's"},
        {"at", 0, ARG_TEXT, &o.at, "INSTANT", "once, as 2027-01-01T06:30:00Z"},
        {"every", 0, ARG_TEXT, &o.every, "TIME", "at an interval: 30s, 10min, 1d"},
        {"repeat", 0, ARG_TEXT, &o.repeat, "N", "with --every: N times after the first, else for ever"},
        {"start", 0, ARG_TEXT, &o.start, "INSTANT", "not before then; --every counts from then"},
        {"end", 0, ARG_TEXT, &o.end, "INSTANT", "not after then"},
        {"group", 0, ARG_TEXT, &o.group, "GROUP", "the group of NAME (default)"},
        {"priority", 0, ARG_TEXT, &o.priority, "N", "1 to 10: who fires first at the same time (5)"},
        {"misfire", 0, ARG_TEXT, &o.misfire, "WORD", "what becomes of missed times (smart)"},
        {"overlap", 0, ARG_TEXT, &o.overlap, "WORD",
         "while the last one runs: allow (default), skip, queue, replace"},
        {"jitter", 0, ARG_TEXT, &o.jitter, "TIME", "late by a part of this, always the same"},
        {"retry", 0, ARG_TEXT, &o.retry, "N", "when it fails: up to N further attempts"},
        {"retry-delay", 0, ARG_TEXT, &o.retry_delay, "TIME", "before the first (30s); each next is twice"},
        {"retry-max-delay", 0, ARG_TEXT, &o.retry_max_delay, "TIME", "as long as that at most (10min)"},
        {"paused", 0, ARG_FLAG, &o.paused, NULL, "it rests until it is resumed"},
        {"replace", 0, ARG_FLAG, &o.replace, NULL, "when it exists, give it this definition"},
        {"json", 0, ARG_FLAG, &o.json, NULL, "the server's answer"},
        CLIENT_ARGS(&o.server),
        {0},
    };
    memcpy(rows + SUBMIT_ROWS, own, sizeof own);
    int exit_code = parse_and_run(&o, rows, argc, argv);
    submit_options_clear(&o.program);
    return exit_code;
}
