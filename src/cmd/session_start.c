/* `hearth session start`: a new session, ready for statements when the command returns. */
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/interrupt.h"
#include "cmd/session_access.h"
#include "cmd/session_commands.h"
#include "cmd/session_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX_BYTES = 16 << 20 };

static const struct usage usage = {
    .command = "session start",
    .synopsis = "[options]",
    .about = "Starts an interactive session, with spark-submit's own options for its driver, and prints its\n"
             "number when it can run statements. Until then standard error tells what it waits for. Ctrl-C\n"
             "gives the session up. The session lives on after this command, until it is stopped or expires.",
    .examples = "  hearth session start\n"
                "  hearth session start --kind spark --name etl --driver-memory 2g --idle-timeout 30m\n"
                "  id=$(hearth session start --no-wait) && hearth session attach $id\n",
    .exit_codes = "  130  interrupted by Ctrl-C\n",
};

struct start {
    struct session_options options;
    struct client_options server;
    bool no_wait;
    bool json;
};

/* After Ctrl-C: nobody is to be left with a session whose number was never printed. */
static int give_session_up(struct session_access *a)
{
    json_t *answer = NULL;
    struct err err;
    interrupt_reset();
    (void)fprintf(stderr, "hearth %s: giving session %s up\n", usage.command, a->id);
    if (client_ask(a->client, "DELETE", "/sessions/{id}", a->id, &answer, &err) != ERR_OK)
        (void)client_give_up(a->client, usage.command, &err);
    json_decref(answer);
    return CMD_INTERRUPTED;
}

static int print_started(struct session_access *a, bool json)
{
    if (!json)
        return printf("%s\n", a->id) > 0 ? CMD_OK : CMD_FAILED;
    json_t *session = NULL;
    struct err err;
    if (client_ask(a->client, "GET", "/sessions/{id}", a->id, &session, &err) != ERR_OK)
        return client_give_up(a->client, usage.command, &err);
    int exit_code = answer_print(session);
    json_decref(session);
    return exit_code;
}

static int run(const struct start *s, struct client *c)
{
    cleanup(buf_clear) struct buf body = BUF(BODY_MAX_BYTES);
    struct session_access a = {.client = c, .command = usage.command};
    json_t *session = NULL;
    struct err err;
    if (session_options_write(&s->options, &body, &err) != ERR_OK)
        return args_refuse(&usage, "%s", err.msg);
    interrupt_catch();
    client_stop_on(c, &interrupt_insisted); /* the first Ctrl-C needs the number, to end what was accepted */
    if (client_create(c, "/sessions", buf_cstr(&body), &interrupt_asked, &session, &err) != ERR_OK)
        return client_give_up(c, usage.command, &err);
    (void)snprintf(a.id, sizeof a.id, "%" PRId64, answer_int(session, "id", -1));
    json_decref(session);
    int exit_code = s->no_wait ? CMD_OK : session_access_wait(&a);
    if (interrupt_asked)
        return give_session_up(&a);
    return exit_code == CMD_OK ? print_started(&a, s->json) : exit_code;
}

static int parse_and_run(struct start *s, int argc, char **argv)
{
    enum { OWN_ROWS = 5 };
    struct arg rows[SESSION_ROWS + OWN_ROWS] = {0};
    session_options_init(&s->options, rows);
    const struct arg own[OWN_ROWS] = {
        {"no-wait", 0, ARG_FLAG, &s->no_wait, NULL, "print the number at once"},
        {"json", 0, ARG_FLAG, &s->json, NULL, "the server's JSON instead of the number"},
        CLIENT_ARGS(&s->server),
        {0},
    };
    memcpy(rows + SESSION_ROWS, own, sizeof own);
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &s->server, &c);
    return exit_code == ARGS_GO ? run(s, c) : exit_code;
}

int cmd_session_start(int argc, char **argv)
{
    struct start s = {0};
    int exit_code = parse_and_run(&s, argc, argv);
    session_options_clear(&s.options);
    return exit_code;
}
