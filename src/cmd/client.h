/*
 * The commands' way to a server: hearth's REST API over HTTP, JSON in and out, one call at a time.
 *
 *     const struct arg rows[] = {CLIENT_ARGS(&options), {0}};
 *     …
 *     enum err_code rc = client_ask(client, "GET", "/batches/{id}", id, &answer, &err);
 *
 * Errors are sentences for the person at the terminal: the server's own words where it answered,
 * else what to do about a server that does not.
 *
 * Lifetime   client_new() .. client_free().
 * Thread     whoever owns it.
 */
#ifndef HEARTH_CMD_CLIENT_H
#define HEARTH_CMD_CLIENT_H

#include "base/err.h"
#include "cmd/args.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct client; /* opaque */

struct client_options {
    const char *server; /* NULL: HEARTH_URL, else http://127.0.0.1:8998 */
    const char *user;   /* NULL: HEARTH_USER, else nobody */
};

#define CLIENT_ARGS(options)                                                                                 \
    {"server", 0, ARG_TEXT, &(options)->server, "URL", "the server (HEARTH_URL, http://127.0.0.1:8998)"},    \
    {                                                                                                        \
        "user", 'u', ARG_TEXT, &(options)->user, "NAME[:PASSWORD]", "who is asking (HEARTH_USER)"            \
    }

/* How the last call ended. */
enum client_outcome {
    CLIENT_ANSWERED,    /* the server answered, with whatever status */
    CLIENT_UNREACHABLE, /* there was no connection: the server has seen nothing of it */
    CLIENT_BROKEN,      /* the connection broke: the server may or may not have acted */
    CLIENT_STOPPED,     /* *stop became true */
};

enum err_code client_new(const struct client_options *options, struct client **ret, struct err *err);
/* args_parse() with the rows of a command, CLIENT_ARGS(options) among them, and client_new(). ARGS_GO with
 * *ret filled; or the code with which the command should return, everything having been said. */
int client_open(const struct usage *usage, const struct arg *rows, int *argc, char **argv,
                const struct client_options *options, struct client **ret);
void client_free(struct client *c);
void client_freep(struct client **c); /* for cleanup() */

/* Calls give up within a second once *stop is true (a signal handler sets it), and further ones at once. */
void client_stop_on(struct client *c, const volatile sig_atomic_t *stop);

struct client_request {
    const char *method; /* "POST" */
    const char *path;   /* "/batches", already escaped */
    const char *body;   /* JSON; NULL: none */
    const char *key;    /* Idempotency-Key; NULL: none */
    int timeout_ms;     /* 0: two minutes, which is longer than any answer is held back on purpose */
};

/* *ret is the answer's JSON (the caller drops the reference), NULL when it has none; only set on a
 * status below 300. Other statuses become the error that hearth gives that status for. */
enum err_code client_call(struct client *c, const struct client_request *request, json_t **ret,
                          struct err *err);
/* A call without a body; {id} in `path` becomes the id or name, escaped. */
enum err_code client_ask(struct client *c, const char *method, const char *path, const char *id, json_t **ret,
                         struct err *err);

/* For a path or a query; the caller frees it with mem_free. NULL: out of memory. */
char *client_escape(const struct client *c, const char *text);

/* A call without a body that waits for a server which is being restarted, for five minutes at most, and says
 * so once on standard error. */
enum err_code client_ask_patiently(struct client *c, const char *method, const char *path, const char *id,
                                   json_t **ret, struct err *err);
/* POSTs a body so that the server takes it in once: when the connection breaks the call is repeated, for half
 * a minute at most, with the same Idempotency-Key. No further try once *stop is true. */
enum err_code client_create(struct client *c, const char *path, const char *body,
                            const volatile sig_atomic_t *stop, json_t **ret, struct err *err);
/* All pages of a list, /batches or /sessions; `keep` chooses among its elements (NULL: all). *ret is an
 * array. */
enum err_code client_fetch_all(struct client *c, const char *path, bool (*keep)(const json_t *element),
                               json_t **ret, struct err *err);

enum client_outcome client_outcome(const struct client *c);
/* Says "hearth <command>: <words>" on standard error and returns the exit code for it. */
int client_give_up(const struct client *c, const char *command, const struct err *err);

/* Members of an answer; fall-backs when they are absent, null or of another type. */
const char *answer_text(const json_t *object, const char *name, const char *otherwise);
int64_t answer_int(const json_t *object, const char *name, int64_t otherwise);
json_t *answer_get(const json_t *object, const char *name); /* borrowed; NULL when absent or null */
/* Prints an answer for programs, indented, with a newline behind. Returns an exit code. */
int answer_print(const json_t *answer);
/* The same for what client_fetch_all() gave, in the shape of the server's own list. */
int answer_print_list(json_t *elements);

#endif
