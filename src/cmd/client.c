#include "cmd/client.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/strs.h"
#include "cmd/cmd.h"
#include "cmd/table.h"
#include "loop/http_client.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MAX_BYTES = 64 << 20,
    CONNECT_TIMEOUT_MS = 10000,
    CALL_TIMEOUT_MS = 120000,
};

static const char default_server[] = "http://127.0.0.1:8998";

struct client {
    CURL *curl;
    char *base; /* URL without a slash at its end */
    char *user; /* NAME or NAME:PASSWORD; NULL: nobody */
    enum client_outcome outcome;
    const volatile sig_atomic_t *stop; /* NULL: nothing stops a call */
    struct buf answer;
    char words[CURL_ERROR_SIZE];
};

/* ---- life ---------------------------------------------------------------------------------- */

static const char *first_of(const char *option, const char *variable, const char *otherwise)
{
    if (option != NULL)
        return option;
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

static size_t on_answer(char *bytes, size_t size, size_t n, void *arg)
{
    struct client *c = arg;
    buf_add(&c->answer, bytes, size * n);
    return c->answer.failed == ERR_OK ? size * n : 0; /* 0 ends the transfer */
}

static int on_progress(void *arg, curl_off_t down, curl_off_t down_now, curl_off_t up, curl_off_t up_now)
{
    (void)down;
    (void)down_now;
    (void)up;
    (void)up_now;
    const struct client *c = arg;
    return c->stop != NULL && *c->stop; /* true ends the transfer */
}

static void set_identity(struct client *c)
{
    char *colon = c->user != NULL ? strchr(c->user, ':') : NULL;
    if (colon == NULL)
        return; /* a name alone travels as user.name */
    *colon = '\0';
    curl_easy_setopt(c->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(c->curl, CURLOPT_USERNAME, c->user);
    curl_easy_setopt(c->curl, CURLOPT_PASSWORD, colon + 1);
    mem_free(c->user);
    c->user = NULL;
}

static void set_options(struct client *c)
{
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->words);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, c);
    if (http_url_is_loopback(c->base))
        curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
    set_identity(c);
}

enum err_code client_new(const struct client_options *options, struct client **ret, struct err *err)
{
    cleanup(client_freep) struct client *c = mem_calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    buf_init(&c->answer, ANSWER_MAX_BYTES);
    c->base = mem_strdup(first_of(options->server, "HEARTH_URL", default_server));
    c->curl = curl_easy_init();
    const char *user = first_of(options->user, "HEARTH_USER", NULL);
    if (c->base == NULL || c->curl == NULL || mem_set_str(&c->user, user) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t n = strlen(c->base); n > 0 && c->base[n - 1] == '/'; n--)
        c->base[n - 1] = '\0';
    set_options(c);
    *ret = c;
    c = NULL; /* the caller's now */
    return ERR_OK;
}

int client_open(const struct usage *usage, const struct arg *rows, int *argc, char **argv,
                const struct client_options *options, struct client **ret)
{
    struct err err;
    int exit_code = args_parse(usage, rows, argc, argv);
    if (exit_code == ARGS_GO && client_new(options, ret, &err) != ERR_OK)
        exit_code = client_give_up(NULL, usage->command, &err);
    return exit_code;
}

void client_free(struct client *c)
{
    if (c == NULL)
        return;
    curl_easy_cleanup(c->curl);
    mem_free(c->base);
    mem_free(c->user);
    buf_clear(&c->answer);
    mem_free(c);
}

void client_freep(struct client **c)
{
    client_free(*c);
    *c = NULL;
}

void client_stop_on(struct client *c, const volatile sig_atomic_t *stop)
{
    c->stop = stop;
}

enum client_outcome client_outcome(const struct client *c)
{
    return c->outcome;
}

/* ---- one call ------------------------------------------------------------------------------ */

static char *url_of(struct client *c, const char *path)
{
    if (c->user == NULL)
        return mem_printf("%s%s", c->base, path);
    char *name = curl_easy_escape(c->curl, c->user, 0);
    char *url = name == NULL ? NULL
                             : mem_printf("%s%s%cuser.name=%s", c->base, path,
                                          strchr(path, '?') != NULL ? '&' : '?', name);
    curl_free(name);
    return url;
}

static enum err_code add_header(struct curl_slist **list, const char *header, struct err *err)
{
    struct curl_slist *longer = header != NULL ? curl_slist_append(*list, header) : NULL;
    if (longer == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *list = longer;
    return ERR_OK;
}

static enum err_code make_headers(const struct client_request *request, struct curl_slist **ret,
                                  struct err *err)
{
    enum err_code rc = add_header(ret, "X-Requested-By: hearth", err); /* where CSRF protection is on */
    if (rc == ERR_OK && request->body != NULL)
        rc = add_header(ret, "Content-Type: application/json", err);
    if (rc == ERR_OK && request->key != NULL) {
        cleanup(mem_freep) char *key = mem_printf("Idempotency-Key: %s", request->key);
        rc = add_header(ret, key, err);
    }
    return rc;
}

/* True when not even a connection came about. */
static bool never_connected(struct client *c, CURLcode result)
{
    curl_off_t connect_us = 0;
    (void)curl_easy_getinfo(c->curl, CURLINFO_CONNECT_TIME_T, &connect_us);
    return result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST ||
           result == CURLE_COULDNT_RESOLVE_PROXY || (result == CURLE_OPERATION_TIMEDOUT && connect_us == 0);
}

static enum err_code unreachable(struct client *c, CURLcode result, struct err *err)
{
    long errnum = 0;
    (void)curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &errnum);
    c->outcome = CLIENT_UNREACHABLE;
    return err_set(err, ERR_IO, "no hearth answers at %s (%s): start one with `hearth serve`", c->base,
                   result == CURLE_COULDNT_CONNECT && errnum != 0 ? strerror((int)errnum)
                                                                  : curl_easy_strerror(result));
}

static enum err_code interrupted(struct client *c, struct err *err)
{
    c->outcome = CLIENT_STOPPED;
    return err_set(err, ERR_IO, "interrupted");
}

/* The sentence for a call that got no answer. */
static enum err_code no_answer(struct client *c, CURLcode result, struct err *err)
{
    if (never_connected(c, result))
        return unreachable(c, result, err);
    if (result == CURLE_ABORTED_BY_CALLBACK)
        return interrupted(c, err);
    c->outcome = CLIENT_ANSWERED;
    if (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(err, ERR_INVALID, "'%s' is not a server's URL, such as %s", c->base, default_server);
    if (result == CURLE_WRITE_ERROR)
        return err_set(err, ERR_TOO_LARGE, "the answer of %s is larger than %d MiB", c->base,
                       ANSWER_MAX_BYTES >> 20);
    c->outcome = CLIENT_BROKEN;
    return err_set(err, ERR_IO, "%s: %s", c->base,
                   c->words[0] != '\0' ? c->words : curl_easy_strerror(result));
}

static enum err_code code_of(long status)
{
    switch (status) {
    case 400: return ERR_INVALID;
    case 401:
    case 403: return ERR_DENIED;
    case 404: return ERR_NOT_FOUND;
    case 409: return ERR_CONFLICT;
    case 413: return ERR_TOO_LARGE;
    case 422: return ERR_MISMATCH;
    case 503: return ERR_BUSY;
    default: return ERR_INTERNAL;
    }
}

/* What the last answer's header says, or NULL. */
static const char *header_of(struct client *c, const char *name)
{
    struct curl_header *header = NULL;
    return curl_easy_header(c->curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

/* Words about something that is gone; when the server remembers it, also since when and why. */
static enum err_code gone(struct client *c, const char *words, struct err *err)
{
    const char *ended_at = header_of(c, "Hearth-Ended-At");
    const char *reason = header_of(c, "Hearth-Reason");
    if (ended_at == NULL)
        return err_set(err, ERR_NOT_FOUND, "%s", words);
    return err_set(err, ERR_NOT_FOUND, "%s It ended at %s%s%s", words, ended_at, reason != NULL ? ": " : "",
                   reason != NULL ? reason : "");
}

/* The server's words: {"msg": "…"}, {"error": "…"}, a bare JSON string, or nothing better than the status. */
static enum err_code refused(struct client *c, long status, const json_t *body, struct err *err)
{
    const char *words = json_is_string(body) ? json_string_value(body)
                                             : answer_text(body, "msg", answer_text(body, "error", NULL));
    if (words == NULL && status == 401)
        words = "the server wants to know who is asking: --user NAME[:PASSWORD] or HEARTH_USER";
    if (words == NULL && status == 403)
        words = "you are not allowed to do that";
    if (words != NULL && status == 404)
        return gone(c, words, err);
    if (words != NULL)
        return err_set(err, code_of(status), "%s", words);
    return err_set(err, code_of(status), "%s answered HTTP status %ld: is it a hearth?", c->base, status);
}

static enum err_code take_answer(struct client *c, json_t **ret, struct err *err)
{
    long status = 0;
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    c->outcome = CLIENT_ANSWERED;
    json_error_t where;
    json_t *body = json_loadb(buf_cstr(&c->answer), c->answer.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                              &where); /* a log line may hold a NUL */
    if (status < 200 || status >= 300) {
        enum err_code rc = refused(c, status, body, err);
        json_decref(body);
        return rc;
    }
    if (body == NULL && c->answer.len > 0)
        return err_set(err, ERR_INTERNAL, "%s answered something that is not JSON: is it a hearth?", c->base);
    *ret = body;
    return ERR_OK;
}

static void set_request(struct client *c, const struct client_request *request, const char *url,
                        struct curl_slist *headers)
{
    buf_reset(&c->answer);
    c->words[0] = '\0';
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS,
                     (long)(request->timeout_ms > 0 ? request->timeout_ms : CALL_TIMEOUT_MS));
    curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L); /* forgets the body of the call before */
    if (request->body != NULL || strcmp(request->method, "POST") == 0) {
        const char *body = request->body != NULL ? request->body : "";
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body); /* not copied: it outlives the call */
    }
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, request->method);
}

enum err_code client_call(struct client *c, const struct client_request *request, json_t **ret,
                          struct err *err)
{
    if (c->stop != NULL && *c->stop)
        return interrupted(c, err);
    cleanup(mem_freep) char *url = url_of(c, request->path);
    if (url == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct curl_slist *headers = NULL;
    enum err_code rc = make_headers(request, &headers, err);
    if (rc == ERR_OK) {
        set_request(c, request, url, headers);
        CURLcode result = curl_easy_perform(c->curl);
        rc = result == CURLE_OK ? take_answer(c, ret, err) : no_answer(c, result, err);
    }
    curl_slist_free_all(headers);
    return rc;
}

char *client_escape(const struct client *c, const char *text)
{
    char *escaped = curl_easy_escape(c->curl, text, 0);
    char *copy = escaped != NULL ? mem_strdup(escaped) : NULL;
    curl_free(escaped);
    return copy;
}

enum err_code client_ask(struct client *c, const char *method, const char *path, const char *id, json_t **ret,
                         struct err *err)
{
    const char *place = strstr(path, "{id}");
    cleanup(mem_freep) char *escaped = place != NULL ? client_escape(c, id) : NULL;
    cleanup(mem_freep) char *whole =
        escaped != NULL ? mem_printf("%.*s%s%s", (int)(place - path), path, escaped, place + strlen("{id}"))
                        : mem_strdup(path);
    if (whole == NULL || (place != NULL && escaped == NULL))
        return err_set(err, ERR_NOMEM, "out of memory");
    return client_call(c, &(struct client_request){.method = method, .path = whole}, ret, err);
}

int client_give_up(const struct client *c, const char *command, const struct err *err)
{
    (void)fprintf(stderr, "hearth %s: ", command);
    table_print_text(stderr, err->msg); /* may be words from a stranger's server */
    (void)fputc('\n', stderr);
    if (c == NULL)
        return CMD_FAILED;
    if (c->outcome == CLIENT_STOPPED)
        return CMD_INTERRUPTED;
    return c->outcome == CLIENT_ANSWERED ? CMD_FAILED : CMD_UNREACHABLE;
}
