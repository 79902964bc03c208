#include "cmd/tail.h"

#include "base/mem.h"
#include "cmd/table.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum {
    LINES_AT_ONCE = 2000,
    WAIT_RUNNING_MS = 20000,
    WAIT_STARTING_MS = 2000, /* to notice soon why it waits */
    QUIET_MS = 100,          /* between two answers without a line, should something not hold them */
};

static enum err_code fetch(struct tail *t, int64_t from, int lines, int wait_ms, json_t **ret,
                           struct err *err)
{
    cleanup(mem_freep) char *path =
        mem_printf("/hearth/batches/{id}/log?stream=%s&from=%" PRId64 "&size=%d&wait=%d", t->stream, from,
                   lines, t->follow ? wait_ms : 0);
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return t->follow ? client_ask_patiently(t->client, "GET", path, t->id, ret, err)
                     : client_ask(t->client, "GET", path, t->id, ret, err);
}

enum err_code tail_skip_to_last(struct tail *t, int64_t n, struct err *err)
{
    json_t *answer = NULL;
    enum err_code rc = fetch(t, 0, 1, 0, &answer, err);
    if (rc != ERR_OK)
        return rc;
    int64_t total = answer_int(answer, "total", 0);
    t->next = total > n ? total - n : 0;
    json_decref(answer);
    return ERR_OK;
}

static void print_line(const struct tail *t, const json_t *line)
{
    FILE *to = stdout;
    if (t->json) {
        (void)json_dumpf(line, to, JSON_COMPACT);
    } else {
        if (strcmp(answer_text(line, "stream", ""), "stderr") == 0)
            to = stderr;
        const json_t *text = json_object_get(line, "text");
        (void)fwrite(json_string_value(text), 1, json_string_length(text), to);
    }
    (void)fputc('\n', to);
}

static enum err_code print_lines(struct tail *t, const json_t *answer, struct err *err)
{
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach(json_object_get(answer, "lines"), i, line)
    {
        if (!json_is_string(json_object_get(line, "text")))
            continue;
        print_line(t, line);
        t->next = answer_int(line, "n", t->next) + 1;
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return err_set(err, ERR_IO, "the output cannot be written");
    return ERR_OK;
}

/* Why the application waits, once per reason. Nothing depends on it, so failures are passed over. */
static void tell_waiting(struct tail *t)
{
    json_t *batch = NULL;
    struct err unread;
    if (client_ask(t->client, "GET", "/batches/{id}", t->id, &batch, &unread) != ERR_OK)
        return;
    const char *reason = answer_text(batch, "reason", NULL);
    if (reason != NULL && strncmp(reason, t->told, sizeof t->told - 1) != 0) {
        (void)snprintf(t->told, sizeof t->told, "%s", reason);
        (void)fputs("hearth: waiting: ", stderr);
        table_print_text(stderr, reason);
        (void)fputc('\n', stderr);
    }
    json_decref(batch);
}

static void pause_for(int ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    (void)nanosleep(&pause, NULL); /* a signal ends it early, and the next call sees the stop */
}

enum err_code tail_run(struct tail *t, struct err *err)
{
    int wait_ms = WAIT_STARTING_MS;
    for (;;) {
        json_t *answer = NULL;
        enum err_code rc = fetch(t, t->next, LINES_AT_ONCE, wait_ms, &answer, err);
        if (rc != ERR_OK)
            return rc;
        int64_t before = t->next;
        rc = print_lines(t, answer, err);
        bool starting = strcmp(answer_text(answer, "state", ""), "starting") == 0;
        bool at_end = t->next >= answer_int(answer, "total", 0) || t->next == before;
        bool over = at_end && (!t->follow || json_is_true(json_object_get(answer, "ended")));
        json_decref(answer);
        if (rc != ERR_OK || over)
            return rc;
        wait_ms = starting ? WAIT_STARTING_MS : WAIT_RUNNING_MS;
        if (starting && t->tell_waiting)
            tell_waiting(t);
        if (t->next == before)
            pause_for(QUIET_MS);
    }
}
