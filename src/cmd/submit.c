/*
 * `hearth submit`: spark-submit through hearth.
 *
 * The application is the server's from the moment the request is answered: it lives on when this
 * command goes away. While the command stays it prints the log and ends as the application ended.
 */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/submit_options.h"
#include "cmd/table.h"
#include "cmd/tail.h"

#include <inttypes.h>
#include <string.h>

enum { BODY_MAX_BYTES = 16 << 20 };

static const struct usage usage = {
    .command = "submit",
    .synopsis = "[options] <app jar | python file | R file> [application arguments]",
    .about = "Runs a Spark application on the server, with spark-submit's own options, and prints its\n"
             "output until it ends. Ctrl-C ends the application and waits for that; a second Ctrl-C\n"
             "leaves at once. With --detach the command prints the application's number and returns.\n"
             "spark-defaults.conf is read by the server; --properties-file adds to it.",
    .examples = "  hearth submit pi.py 100\n"
                "  hearth submit --class org.apache.spark.examples.SparkPi examples.jar 100\n"
                "  hearth submit --master spark://master:7077 --driver-memory 2g etl.py 2026-11-21\n"
                "  id=$(hearth submit --detach etl.py) && hearth logs -f $id\n",
    .exit_codes = "  N  the application's own exit code, when it had one\n"
                  "  130  interrupted by Ctrl-C\n",
    .operands_min = 0, /* --version and the hints of --kill and --status need none */
    .operands_max = -1,
    .stop_at_operand = true,
};

struct submit {
    struct submit_options options;
    struct client_options server;
    bool detach;
    bool json;
    bool verbose;
    bool version;
    const char *kill;   /* spark-submit's --kill and --status, which are */
    const char *status; /* commands of their own here */
};

/* ---- Ctrl-C -------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signum)
{
    (void)signum;
    interrupted = 1;
}

/* The first Ctrl-C sets the flag; the handler is gone then, so a second one ends this command. */
static void catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* ---- the request --------------------------------------------------------------------------- */

/* Spark allows any number of applications of one name, hearth's entries need one each: when the name
 * is taken the application still gets it, and the entry has only its number. */
static enum err_code post_unnamed(const struct submit *s, struct client *c, char *const *operands, size_t n,
                                  json_t **ret, struct err *err)
{
    cleanup(buf_clear) struct buf body = BUF(BODY_MAX_BYTES);
    enum err_code rc = submit_options_write(&s->options, operands, n, false, &body, err);
    if (rc == ERR_OK)
        rc = client_create(c, "/batches", buf_cstr(&body), &interrupted, ret, err);
    if (rc == ERR_OK)
        (void)fprintf(stderr,
                      "hearth submit: the name '%s' is taken or only digits; for hearth's commands use the "
                      "number\n",
                      s->options.spark.name);
    return rc;
}

static enum err_code create(const struct submit *s, struct client *c, char *const *operands, size_t n,
                            const char *body, json_t **ret, struct err *err)
{
    if (s->verbose)
        (void)fprintf(stderr, "hearth submit: %s\n", body);
    enum err_code rc = client_create(c, "/batches", body, &interrupted, ret, err);
    bool name_refused =
        rc == ERR_INVALID && s->options.spark.name != NULL && strstr(err->msg, "session name") != NULL;
    return name_refused ? post_unnamed(s, c, operands, n, ret, err) : rc;
}

/* ---- the end ------------------------------------------------------------------------------- */

/* Says how the application ended and turns that into this command's exit code. */
static int report(const json_t *record)
{
    const char *state = answer_text(record, "state", "unknown");
    if (strcmp(state, "success") == 0)
        return CMD_OK;
    const json_t *diagnosis = answer_get(record, "diagnosis");
    const char *why = answer_text(diagnosis, "summary", answer_text(record, "reason", NULL));
    (void)fprintf(stderr, "hearth submit: application %" PRId64 " ended as %s%s",
                  answer_int(record, "id", -1), state, why != NULL ? ": " : "");
    table_print_text(stderr, why != NULL ? why : "");
    (void)fputc('\n', stderr);
    int64_t code = answer_int(diagnosis, "exitCode", CMD_FAILED);
    return code > 0 && code < 256 ? (int)code : CMD_FAILED;
}

static int give_up_following(const struct client *c, const char *id, const struct err *err)
{
    int exit_code = client_give_up(c, usage.command, err);
    (void)fprintf(stderr, "hearth submit: to look again: hearth logs -f %s; hearth status %s\n", id, id);
    return exit_code;
}

/* After Ctrl-C: asks for the end. True when the server has understood. */
static bool ask_to_end(struct client *c, const char *id)
{
    (void)fprintf(stderr, "hearth submit: ending application %s; Ctrl-C again leaves it to the server\n", id);
    interrupted = 0;
    json_t *answer = NULL;
    struct err err;
    enum err_code rc = client_ask(c, "POST", "/hearth/batches/{id}/kill", id, &answer, &err);
    json_decref(answer);
    if (rc != ERR_OK && rc != ERR_CONFLICT) /* conflict: it has ended by itself meanwhile */
        (void)client_give_up(c, usage.command, &err);
    return rc == ERR_OK || rc == ERR_CONFLICT;
}

static int follow(struct client *c, const char *id)
{
    struct tail tail = {.client = c, .id = id, .stream = "all", .follow = true, .tell_waiting = true};
    bool killed = false;
    struct err err;
    while (tail_run(&tail, &err) != ERR_OK) {
        if (client_outcome(c) != CLIENT_STOPPED)
            return give_up_following(c, id, &err);
        if (!ask_to_end(c, id))
            return CMD_INTERRUPTED;
        killed = true;
    }
    json_t *record = NULL;
    if (client_ask(c, "GET", "/hearth/batches/{id}", id, &record, &err) != ERR_OK)
        return give_up_following(c, id, &err);
    int exit_code = report(record);
    json_decref(record);
    return killed ? CMD_INTERRUPTED : exit_code;
}

/* ---- the command --------------------------------------------------------------------------- */

static int run(const struct submit *s, struct client *c, char *const *operands, size_t n)
{
    cleanup(buf_clear) struct buf body = BUF(BODY_MAX_BYTES);
    struct err err;
    if (submit_options_write(&s->options, operands, n, true, &body, &err) != ERR_OK)
        return args_refuse(&usage, "%s", err.msg);
    catch_interrupt();
    json_t *batch = NULL;
    if (create(s, c, operands, n, buf_cstr(&body), &batch, &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    client_stop_on(c, &interrupted); /* not before: the number is needed to end what was accepted */
    char id[24];
    (void)snprintf(id, sizeof id, "%" PRId64, answer_int(batch, "id", -1));
    int exit_code = CMD_OK;
    if (s->detach && s->json)
        exit_code = answer_print(batch);
    else if (s->detach)
        (void)puts(id);
    json_decref(batch);
    if (s->detach)
        return exit_code;
    (void)fprintf(stderr, "hearth submit: this is application %s\n", id);
    return follow(c, id);
}

/* What spark-submit does with options of its own and hearth with commands. ARGS_GO: nothing. */
static int elsewhere(const struct submit *s)
{
    if (s->version) {
        char name[] = "version";
        return cmd_version(1, (char *[]){name, NULL});
    }
    if (s->kill != NULL)
        return args_refuse(&usage, "--kill is a command here: hearth kill ID");
    if (s->status != NULL)
        return args_refuse(&usage, "--status is a command here: hearth status ID");
    return ARGS_GO;
}

static int parse_and_run(struct submit *s, int argc, char **argv)
{
    enum { OWN_ROWS = 9 };
    struct arg rows[SUBMIT_ROWS + OWN_ROWS] = {0};
    submit_options_init(&s->options, rows);
    const struct arg own[OWN_ROWS] = {
        {"detach", 'd', ARG_FLAG, &s->detach, NULL, "do not wait; print the application's number"},
        {"json", 0, ARG_FLAG, &s->json, NULL, "with --detach: the server's answer"},
        {"verbose", 'v', ARG_FLAG, &s->verbose, NULL, "show the request"},
        {"version", 0, ARG_FLAG, &s->version, NULL, "show versions"},
        {"kill", 0, ARG_TEXT, &s->kill, "ID", "see hearth kill"},
        {"status", 0, ARG_TEXT, &s->status, "ID", "see hearth status"},
        CLIENT_ARGS(&s->server),
        {0},
    };
    memcpy(rows + SUBMIT_ROWS, own, sizeof own);
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &s->server, &c);
    if (exit_code == ARGS_GO)
        exit_code = elsewhere(s);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (argc < 2)
        return args_refuse(&usage, "which application? hearth submit %s", usage.synopsis);
    return run(s, c, argv + 1, (size_t)argc - 1);
}

int cmd_submit(int argc, char **argv)
{
    struct submit s = {0};
    int exit_code = parse_and_run(&s, argc, argv);
    submit_options_clear(&s.options);
    return exit_code;
}
