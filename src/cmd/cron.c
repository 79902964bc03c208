/* `hearth cron`: is an expression valid, what does it mean, when does it fire? No server is asked. */
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/parse.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "schedule/civil.h"
#include "schedule/cron.h"

#include <stdio.h>
#include <string.h>

enum {
    COUNT_DEFAULT = 5,
    COUNT_MAX = 10000,
    LINE_MAX_BYTES = 64 << 10, /* of a request in a batch */
    REQUEST_DEPTH = 4,
    ANSWER_MAX = 1 << 20,
};

static const struct usage usage = {
    .command = "cron",
    .synopsis = "[options] EXPR | --batch",
    .about = "Says what a cron expression means and when it fires next. Expressions are Quartz's, with\n"
             "six or seven fields: seconds minutes hours day-of-month month day-of-week [year]. The\n"
             "five fields of Unix are written behind the word unix: as in 'unix: 15 10 * * 1-5'.\n"
             "With --batch each line of standard input is one question, a JSON object of cron, tz, from\n"
             "and count, and each gets one line: valid, error, description, next.",
    .examples = "  hearth cron '0 15 10 ? * MON-FRI'\n"
                "  hearth cron '0 0 6 L * ?' --tz Europe/Rome --from 2027-01-01T00:00:00Z --count 12\n"
                "  hearth cron --json 'unix: 30 2 * * *'\n"
                "  echo '{\"cron\":\"0 0 12 * * ?\",\"tz\":\"UTC\",\"count\":2}' | hearth cron --batch\n",
    .operands_max = 1,
    .exit_codes = "  0    it is valid; with --batch: every line was a question\n"
                  "  1    it is not valid; with --batch: a line was no question, its answer says so\n",
};

struct question {
    const char *text;
    const struct zone *zone;
    int64_t from_ms;
    int64_t count;
};

static enum err_code read_question(const char *text, const char *tz, const char *from, struct question *ret,
                                   struct err *err)
{
    ret->text = text;
    ret->from_ms = clock_wall_ms();
    if (from != NULL && civil_parse_instant(from, &ret->from_ms, err) != ERR_OK) {
        (void)err_wrap(err, "from");
        return err->code;
    }
    return tz != NULL ? zone_find(tz, &ret->zone, err) : zone_local(&ret->zone, err);
}

/* Milliseconds do not count: the first fire is later than the second that has begun. */
static int64_t begin_s(const struct question *q)
{
    return (q->from_ms >= 0 ? q->from_ms : q->from_ms - 999) / 1000;
}

/* ---- for programs ---- */

static void write_moments(const struct question *q, const struct cron *cron, struct json_out *out)
{
    char text[CIVIL_INSTANT_TEXT];
    int64_t at_s = begin_s(q);
    for (int64_t i = 0; i < q->count && cron_next(cron, q->zone, at_s, &at_s); i++) {
        civil_format_instant(at_s, text);
        json_out_str(out, NULL, text);
    }
}

static void write_valid(const struct question *q, const struct cron *cron, struct json_out *out)
{
    cleanup(buf_clear) struct buf words = BUF(CRON_TEXT_MAX * 8);
    cron_describe(cron, q->zone, &words);
    json_out_object(out, NULL);
    json_out_bool(out, "valid", true);
    json_out_null(out, "error");
    json_out_str(out, "description", buf_cstr(&words));
    json_out_array(out, "next");
    write_moments(q, cron, out);
    json_out_end_array(out);
    json_out_end_object(out);
}

/* `problem` is NULL where it is not the expression that is wrong. */
static void write_invalid(const char *error, const struct cron_problem *problem, struct json_out *out)
{
    json_out_object(out, NULL);
    json_out_bool(out, "valid", false);
    json_out_text(out, "error", error, strlen(error));
    json_out_null(out, "description");
    json_out_array(out, "next");
    json_out_end_array(out);
    if (problem != NULL && problem->field != NULL) {
        json_out_str(out, "field", problem->field);
        json_out_text(out, "value", problem->value, strlen(problem->value));
        json_out_str(out, "allowed", problem->allowed);
    }
    json_out_end_object(out);
}

static int print(struct buf *line)
{
    struct err err;
    buf_char(line, '\n');
    if (buf_check(line, &err) != ERR_OK) {
        (void)fprintf(stderr, "hearth cron: the answer: %s\n", err.msg);
        return CMD_FAILED;
    }
    (void)fwrite(line->data, 1, line->len, stdout);
    return CMD_OK;
}

/* CMD_OK when the expression is valid. */
static int answer_in_json(const struct question *q)
{
    cleanup(buf_clear) struct buf line = BUF(ANSWER_MAX);
    struct json_out out;
    struct cron cron;
    struct cron_problem problem = {0};
    json_out_open(&out, &line);
    bool is_valid = cron_parse(q->text, &cron, &problem, NULL) == ERR_OK;
    if (is_valid)
        write_valid(q, &cron, &out);
    else
        write_invalid(problem.reason, &problem, &out);
    int exit_code = print(&line);
    return is_valid ? exit_code : CMD_FAILED;
}

/* ---- many questions ---- */

struct request {
    char *cron, *tz, *from;
    int64_t count;
};

static void request_clear(struct request *r)
{
    mem_free(r->cron);
    mem_free(r->tz);
    mem_free(r->from);
}

/* Members of other names are the asker's own business. */
static enum err_code read_request(const char *line, size_t len, struct request *ret, struct err *err)
{
    json_t *object = NULL;
    struct json_in in;
    if (json_parse(line, len, REQUEST_DEPTH, &object, err) != ERR_OK)
        return err->code;
    json_in_open(&in, object, err);
    json_in_str(&in, "cron", &ret->cron);
    json_in_str(&in, "tz", &ret->tz);
    json_in_str(&in, "from", &ret->from);
    json_in_int(&in, "count", 0, COUNT_MAX, &ret->count);
    enum err_code rc = in.code;
    if (rc == ERR_OK && ret->cron == NULL)
        rc = err_set(err, ERR_INVALID, "cron is required");
    json_decref(object);
    return rc;
}

static int refuse_line(const char *why)
{
    cleanup(buf_clear) struct buf line = BUF(ANSWER_MAX);
    struct json_out out;
    json_out_open(&out, &line);
    write_invalid(why, NULL, &out);
    (void)print(&line);
    return CMD_FAILED;
}

/* An expression that is not valid is answered like any other: only lines that ask nothing are failures. */
static int answer_line(const char *line, size_t len)
{
    cleanup(request_clear) struct request request = {.count = COUNT_DEFAULT};
    struct question question = {0};
    struct err err;
    if (read_request(line, len, &request, &err) != ERR_OK ||
        read_question(request.cron, request.tz, request.from, &question, &err) != ERR_OK)
        return refuse_line(err.msg);
    question.count = request.count;
    (void)answer_in_json(&question);
    return CMD_OK;
}

/* Passes over the rest of a line that does not fit. */
static void skip_line(void)
{
    int c = getchar();
    while (c != '\n' && c != EOF)
        c = getchar();
}

static int answer_batch(void)
{
    static char line[LINE_MAX_BYTES];
    int exit_code = CMD_OK;
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t len = strlen(line);
        int code;
        if (len == sizeof line - 1 && line[len - 1] != '\n') {
            skip_line();
            code = refuse_line("the line is longer than 65534 bytes");
        } else {
            code = answer_line(line, len);
        }
        if (code != CMD_OK)
            exit_code = code;
        (void)fflush(stdout); /* whoever asks line by line waits for each answer */
    }
    return ferror(stdin) != 0 || ferror(stdout) != 0 ? CMD_FAILED : exit_code;
}

/* ---- for people ---- */

static void print_moment(const struct zone *zone, int64_t at_s)
{
    char wall[CIVIL_INSTANT_TEXT];
    char instant[CIVIL_INSTANT_TEXT];
    int offset_s = zone_span_at(zone, at_s).offset_s;
    int minutes = (offset_s >= 0 ? offset_s : -offset_s) / 60;
    civil_format_wall(at_s + offset_s, wall);
    civil_format_instant(at_s, instant);
    (void)printf("  %s %c%02d:%02d   %s\n", wall, offset_s >= 0 ? '+' : '-', minutes / 60, minutes % 60,
                 instant);
}

static int answer_in_words(const struct question *q)
{
    cleanup(buf_clear) struct buf words = BUF(CRON_TEXT_MAX * 8);
    struct cron cron;
    struct err err;
    if (cron_parse(q->text, &cron, NULL, &err) != ERR_OK) {
        (void)fputs("hearth cron: ", stderr);
        table_print_text(stderr, err.msg);
        (void)fputc('\n', stderr);
        return CMD_FAILED;
    }
    cron_describe(&cron, q->zone, &words);
    (void)printf("%s\n", buf_cstr(&words));
    int64_t at_s = begin_s(q);
    int64_t told = 0;
    for (; told < q->count && cron_next(&cron, q->zone, at_s, &at_s); told++)
        print_moment(q->zone, at_s);
    if (told < q->count)
        (void)printf("  %s\n", told == 0 ? "never" : "and never again");
    return CMD_OK;
}

static int ask_one(const char *text, const char *tz, const char *from, const char *count, bool json)
{
    struct question question = {.count = COUNT_DEFAULT};
    struct err err;
    if (count != NULL && parse_i64(count, 0, COUNT_MAX, &question.count, &err) != ERR_OK)
        return args_refuse(&usage, "--count: %s", err.msg);
    if (read_question(text, tz, from, &question, &err) != ERR_OK)
        return args_refuse(&usage, "%s", err.msg);
    return json ? answer_in_json(&question) : answer_in_words(&question);
}

int cmd_cron(int argc, char **argv)
{
    const char *tz = NULL;
    const char *from = NULL;
    const char *count = NULL;
    bool json = false;
    bool batch = false;
    const struct arg rows[] = {
        {"tz", 0, ARG_TEXT, &tz, "ZONE", "time zone, as Europe/Rome; else TZ, else this machine's"},
        {"from", 0, ARG_TEXT, &from, "INSTANT",
         "tell what comes after it, as 2027-01-01T00:00:00Z; else now"},
        {"count", 'n', ARG_TEXT, &count, "N", "tell the next N times (5)"},
        {"json", 0, ARG_FLAG, &json, NULL, "one JSON object"},
        {"batch", 0, ARG_FLAG, &batch, NULL, "answer JSON lines from standard input"},
        {0},
    };
    int exit_code = args_parse(&usage, rows, &argc, argv);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (batch && (argc > 1 || tz != NULL || from != NULL || count != NULL))
        return args_refuse(&usage, "--batch takes everything from its lines");
    if (!batch && argc < 2)
        return args_refuse(&usage, "which expression? Give EXPR, or --batch");
    exit_code = batch ? answer_batch() : ask_one(argv[1], tz, from, count, json);
    zone_forget_all();
    return exit_code;
}
