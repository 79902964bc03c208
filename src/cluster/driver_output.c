/*
 * The last part of a driver's output, from the page of the worker that ran it.
 *
 * A worker gives the text of a log at /log/ behind one line of its own, "==== Bytes 0-99 of 99 of … ====".
 */
#include "cluster/drivers_internal.h"

#include "base/mem.h"

#include <string.h>

enum { PART_BYTES = 1 << 20, ANSWER_BYTES = 2 << 20, ANSWER_MS = 3000 };

struct stream {
    struct output_fetch *fetch;
    struct http_call *call;
    char *text;
};

struct output_fetch {
    struct stream streams[2];
    unsigned under_way;
    void (*done)(const char *const texts[2], void *arg);
    void *arg;
};

static void fetch_free(struct output_fetch *f)
{
    for (size_t i = 0; i < 2; i++) {
        if (f->streams[i].call != NULL)
            http_call_cancel(f->streams[i].call);
        mem_free(f->streams[i].text);
    }
    mem_free(f);
}

void output_fetch_cancel(struct output_fetch *fetch)
{
    if (fetch != NULL)
        fetch_free(fetch);
}

/* The text behind the worker's own line. */
static const char *behind_heading(const char *body)
{
    if (strncmp(body, "==== ", 5) != 0)
        return body;
    const char *end = strchr(body, '\n');
    return end != NULL ? end + 1 : "";
}

static void on_part(const struct http_result *result, void *arg)
{
    struct stream *s = arg;
    struct output_fetch *f = s->fetch;
    s->call = NULL;
    if (result->status == 200)
        s->text = mem_strdup(behind_heading(result->body)); /* NULL: told without it */
    if (--f->under_way > 0)
        return;
    const char *const texts[2] = {f->streams[0].text, f->streams[1].text};
    f->done(texts, f->arg);
    fetch_free(f);
}

static void start_part(struct stream *s, struct http_client *http, const char *page, const char *driver_id,
                       const char *type)
{
    cleanup(mem_freep) char *url =
        mem_printf("%s/log/?driverId=%s&logType=%s&byteLength=%d", page, driver_id, type, PART_BYTES);
    const struct http_call_options options = {
        .method = "GET", .url = url, .timeout_ms = ANSWER_MS, .answer_max = ANSWER_BYTES};
    s->call = url != NULL ? http_call_start(http, &options, on_part, s) : NULL;
    if (s->call != NULL)
        s->fetch->under_way++;
}

struct output_fetch *output_fetch_start(struct http_client *http, const char *worker_page,
                                        const char *driver_id,
                                        void (*done)(const char *const texts[2], void *arg), void *arg)
{
    struct output_fetch *f = mem_calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->done = done;
    f->arg = arg;
    static const char *const types[2] = {"stdout", "stderr"};
    for (size_t i = 0; i < 2; i++) {
        f->streams[i].fetch = f;
        start_part(&f->streams[i], http, worker_page, driver_id, types[i]);
    }
    if (f->under_way > 0)
        return f;
    fetch_free(f);
    return NULL;
}
