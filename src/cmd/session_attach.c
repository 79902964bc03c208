/* `hearth session attach`: statements typed at a prompt, or read from a pipe as from a script. */
#include "base/json.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/interrupt.h"
#include "cmd/language.h"
#include "cmd/line_editor.h"
#include "cmd/session_commands.h"
#include "cmd/statement_run.h"
#include "cmd/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STATEMENT_MAX_BYTES = 32 << 20,
    PROMPT_MAX = 32,
    COMPLETE_TIMEOUT_MS = 5000, /* somebody holds the Tab key */
};

static const struct usage usage = {
    .command = "session attach",
    .synopsis = "[options] ID",
    .about =
        "Types statements into a session: with editing, a history, and names completed by Tab. A statement\n"
        "goes on in the next line while a bracket is open, after a backslash, and in Python after a line\n"
        "that ends in a colon, until an empty line. Ctrl-C cancels the running statement or clears the\n"
        "line, Ctrl-D leaves; the session stays. When standard input is no terminal its statements are\n"
        "run one after the other, up to the first error.",
    .examples = "  hearth session attach etl\n"
                "  hearth session attach --kind sql 7\n"
                "  hearth session attach etl < statements.txt\n",
    .exit_codes = "  130  a statement from a pipe was cancelled by Ctrl-C\n",
    .operands_min = 1,
    .operands_max = 1,
};

static const char help[] =
    "  :kind KIND  change the language: spark, pyspark, sparkr, sql\n"
    "  :help       this\n"
    "  Tab         complete a name, or show which there are\n"
    "  Ctrl-C      cancel the running statement (again: leave it to the server); clear the line\n"
    "  Ctrl-R      search the history\n"
    "  Ctrl-D      leave; the session stays\n"
    "A statement goes on in the next line while a bracket is open, after a backslash, and in\n"
    "Python after a line that ends in a colon. An empty line ends it.\n";

struct prompt {
    struct session_access access;
    const struct language *language; /* NULL: none yet, the session is shared */
    struct line_editor *editor;      /* NULL: a script */
    struct buf statement;            /* its lines so far */
    struct buf line;
    int exit_code;
};

/* ---- completion ---------------------------------------------------------------------------- */

/* The request for the statement so far with the line that is being typed. */
static void write_question(const struct prompt *p, const char *line, size_t len, size_t cursor,
                           struct buf *body)
{
    cleanup(buf_clear) struct buf code = BUF(STATEMENT_MAX_BYTES);
    buf_add(&code, buf_cstr(&p->statement), p->statement.len);
    if (code.len > 0)
        buf_char(&code, '\n');
    size_t before = code.len;
    buf_add(&code, line, len);
    struct json_out out;
    json_out_open(&out, body);
    json_out_object(&out, NULL);
    json_out_str(&out, "code", buf_cstr(&code));
    json_out_str(&out, "kind", p->language->kind);
    json_out_int(&out, "cursor", (int64_t)language_characters(buf_cstr(&code), before + cursor));
    json_out_end_object(&out);
    if (code.failed != ERR_OK)
        body->failed = code.failed;
}

/* Names that could stand at the cursor. Where the driver cannot be asked there are none. */
static void complete(const char *line, size_t len, size_t cursor, struct strlist *candidates, void *arg)
{
    struct prompt *p = arg;
    if (p->language == NULL || line[0] == ':')
        return;
    cleanup(buf_clear) struct buf body = BUF(STATEMENT_MAX_BYTES);
    cleanup(mem_freep) char *path = mem_printf("/sessions/%s/completion", p->access.id);
    write_question(p, line, len, cursor, &body);
    if (path == NULL || body.failed != ERR_OK)
        return;
    const struct client_request request = {
        .method = "POST", .path = path, .body = body.data, .timeout_ms = COMPLETE_TIMEOUT_MS};
    json_t *answer = NULL;
    struct err unread;
    client_stop_on(p->access.client, &interrupt_asked);
    if (client_call(p->access.client, &request, &answer, &unread) == ERR_OK) {
        size_t i = 0;
        json_t *name = NULL;
        json_array_foreach(json_object_get(answer, "candidates"), i, name)
        {
            if (json_is_string(name))
                (void)strlist_add(candidates, json_string_value(name)); /* memory short: one name less */
        }
    }
    client_stop_on(p->access.client, &interrupt_insisted);
    json_decref(answer);
}

/* ---- lines --------------------------------------------------------------------------------- */

/* "pyspark> ", and under it "     ...> ". */
static void make_prompt(const struct prompt *p, char text[PROMPT_MAX])
{
    const char *kind = p->language != NULL ? p->language->kind : "session";
    if (p->statement.len == 0)
        (void)snprintf(text, PROMPT_MAX, "%s> ", kind);
    else
        (void)snprintf(text, PROMPT_MAX, "%*s> ", (int)strlen(kind), "...");
}

static enum line_result read_script_line(struct buf *to)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, stdin);
    if (n > 0) {
        buf_reset(to);
        buf_add(to, line, strcspn(line, "\r\n"));
    }
    free(line); /* NOLINT: getline's own memory */
    if (n > 0)
        return LINE_TYPED;
    return interrupt_asked ? LINE_INTERRUPTED : LINE_OVER;
}

static enum line_result read_line(struct prompt *p)
{
    char text[PROMPT_MAX];
    make_prompt(p, text);
    return p->editor != NULL ? line_editor_read(p->editor, text, &p->line) : read_script_line(&p->line);
}

/* ---- commands ------------------------------------------------------------------------------ */

static bool change_kind(struct prompt *p, const char *name)
{
    const struct language *l = language_find(name);
    if (l != NULL)
        p->language = l;
    else
        (void)fprintf(stderr, "hearth %s: :kind is one of %s\n", usage.command, language_names);
    return l != NULL;
}

/* ":help", ":kind sql"; false when it is none of them. */
static bool run_command(struct prompt *p, const char *line)
{
    char word[16] = "";
    char value[16] = "";
    int n = sscanf(line, ":%15s %15s", word, value);
    if (n == 2 && strcmp(word, "kind") == 0)
        return change_kind(p, value);
    if (n == 1 && strcmp(word, "help") == 0) {
        (void)fputs(help, stdout);
        return true;
    }
    (void)fprintf(stderr, "hearth %s: there are :kind KIND and :help\n", usage.command);
    return false;
}

/* ---- statements ---------------------------------------------------------------------------- */

/* True when the prompt is to go on. */
static bool run_statement(struct prompt *p)
{
    int exit_code = CMD_OK;
    enum statement_result result =
        statement_run(&p->access, p->language->kind, buf_cstr(&p->statement), false, &exit_code);
    buf_reset(&p->statement);
    if (result == STATEMENT_OK)
        return true;
    p->exit_code = exit_code;
    return p->editor != NULL && result != STATEMENT_LOST;
}

/* A line was read, or the input ended within a statement. True when the prompt is to go on. */
static bool take_line(struct prompt *p, bool over)
{
    bool more = false;
    if (!over) {
        const char *line = buf_cstr(&p->line);
        if (p->statement.len == 0 && str_blank(line))
            return true;
        if (p->statement.len == 0 && (line[0] == ':' || p->language == NULL)) {
            bool done = run_command(p, line);
            p->exit_code = done ? p->exit_code : CMD_USAGE;
            return done || p->editor != NULL;
        }
        more = language_add_line(p->language, &p->statement, line);
    }
    struct err err;
    if (buf_check(&p->statement, &err) != ERR_OK) {
        p->exit_code = client_give_up(NULL, usage.command, &err);
        buf_clear(&p->statement);
        return p->editor != NULL;
    }
    return more || p->statement.len == 0 || run_statement(p);
}

static int run(struct prompt *p)
{
    for (;;) {
        interrupt_reset();
        enum line_result result = read_line(p);
        if (result == LINE_INTERRUPTED && p->editor == NULL)
            return CMD_INTERRUPTED;
        if (result == LINE_INTERRUPTED) {
            buf_reset(&p->statement);
            continue;
        }
        bool over = result == LINE_OVER;
        if (over && p->editor != NULL)
            return CMD_OK;
        if (!take_line(p, over))
            return p->exit_code;
        if (over)
            return CMD_OK;
    }
}

/* ---- the command --------------------------------------------------------------------------- */

static void greet(const json_t *session)
{
    (void)printf("session ");
    session_access_print_name(stdout, session);
    const char *version = answer_text(session, "sparkVersion", NULL);
    (void)printf("%s", version != NULL ? ", Spark " : "");
    table_print_text(stdout, version != NULL ? version : "");
    (void)puts("; :help tells more, Ctrl-D leaves");
}

static int find_and_wait(struct prompt *p, const char *id, const char *kind)
{
    json_t *session = NULL;
    struct err err;
    if (session_access_find(&p->access, id, &session, &err) != ERR_OK)
        return client_give_up(p->access.client, usage.command, &err);
    interrupt_catch();
    client_stop_on(p->access.client, &interrupt_insisted);
    int exit_code = session_access_wait(&p->access);
    p->language = language_find(kind != NULL ? kind : answer_text(session, "kind", ""));
    if (exit_code == CMD_OK && p->editor != NULL)
        greet(session);
    if (exit_code == CMD_OK && p->language == NULL)
        (void)fprintf(stderr,
                      "hearth %s: this session has no language of its own; choose one: :kind pyspark\n",
                      usage.command);
    json_decref(session);
    return exit_code;
}

static int attach(struct client *c, const char *id, const char *kind)
{
    struct prompt p = {.access = {.client = c, .command = usage.command},
                       .statement = BUF(STATEMENT_MAX_BYTES),
                       .line = BUF(STATEMENT_MAX_BYTES)};
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        p.editor = line_editor_new(complete, &p);
        if (p.editor == NULL) {
            (void)fprintf(stderr, "hearth %s: this terminal cannot be used\n", usage.command);
            return CMD_FAILED;
        }
    }
    int exit_code = find_and_wait(&p, id, kind);
    if (exit_code == CMD_OK)
        exit_code = run(&p);
    line_editor_free(p.editor);
    buf_clear(&p.statement);
    buf_clear(&p.line);
    return exit_code;
}

int cmd_session_attach(int argc, char **argv)
{
    struct client_options options = {0};
    const char *kind = NULL;
    const struct arg rows[] = {
        {"kind", 0, ARG_TEXT, &kind, "KIND", "language to begin with (else the session's)"},
        CLIENT_ARGS(&options),
        {0},
    };
    cleanup(client_freep) struct client *c = NULL;
    int exit_code = client_open(&usage, rows, &argc, argv, &options, &c);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (kind != NULL && language_find(kind) == NULL)
        return args_refuse(&usage, "--kind %s: it is one of %s", kind, language_names);
    return attach(c, argv[1], kind);
}
