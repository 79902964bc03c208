/*
 * Logs: Livy's page of lines, and hearth's own form with streams that can wait for more.
 *
 * In Livy's form a log has two sections, each with a heading. A batch's lines stand in the first, in order
 * of arrival; a session's stand by stream. Output is read on a worker thread; an answer holds at most
 * ANSWER_MAX bytes of it, so a longer page ends early.
 */
#include "livy/livy_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "guard/output.h"
#include "loop/work.h"

#include <string.h>

enum { ANSWER_MAX = 16 << 20, RECORD_LINES_MAX = 10000, WAIT_MS_MAX = 60000 };

enum form { FORM_LIVY, FORM_RECORD };

struct section {
    const char *heading;
    bool has_lines;
    enum output_select select;
};

enum { SECTIONS = 2 };

static const struct section sections[APP_KINDS][SECTIONS] = {
    [APP_BATCH] = {{"stdout: ", true, OUTPUT_MERGED}, {"\nstderr: ", false, OUTPUT_MERGED}},
    [APP_SESSION] = {{"stdout: ", true, OUTPUT_ONLY_STDOUT}, {"\nstderr: ", true, OUTPUT_ONLY_STDERR}},
};

struct log_request {
    struct livy *livy;
    struct http_request *request;
    enum form form;
    enum app_kind kind;
    int64_t id;
    char *folder;
    char *wait_note;           /* the whole log of an application that waits */
    enum output_select select; /* FORM_RECORD */
    const char *stream;        /* its name in the answer */
    int64_t from;              /* negative: the last `size` lines */
    int64_t size;              /* negative: all */
    const char *state;         /* a literal */
    bool ended;                /* known before the output is read, so that "ended" means complete */

    /* waiting for more (FORM_RECORD) */
    int64_t wait_ms;
    int64_t wait_until; /* monotonic; 0: it has not waited yet */
    uint64_t revision;  /* of the application when its state was looked at */
    struct app_waiter waiter;
    uv_timer_t *timer;

    /* of the worker */
    struct err err;
    struct buf body;
    struct json_out out;
    bool found; /* there were lines to show */
    bool full;  /* the answer ends before its page does */
};

static void log_free(struct log_request *q)
{
    buf_clear(&q->body);
    mem_free(q->folder);
    mem_free(q->wait_note);
    mem_free(q);
}

/* ---- on the worker ---- */

static bool add_livy_line(const struct output_line *line, void *arg)
{
    struct log_request *q = arg;
    json_out_text(&q->out, NULL, line->text, line->len);
    q->full = q->body.len >= ANSWER_MAX;
    return !q->full;
}

static bool add_record_line(const struct output_line *line, void *arg)
{
    struct log_request *q = arg;
    q->found = true;
    json_out_object(&q->out, NULL);
    json_out_int(&q->out, "n", (int64_t)line->number);
    json_out_str(&q->out, "stream", line->stream == OUTPUT_STDOUT ? "stdout" : "stderr");
    json_out_text(&q->out, "text", line->text, line->len);
    json_out_end_object(&q->out);
    return q->body.len < ANSWER_MAX;
}

static enum err_code read_lines(struct log_request *q, enum output_select select, uint64_t first,
                                uint64_t count, bool (*on_line)(const struct output_line *line, void *arg))
{
    uint64_t total = 0;
    if (count == 0)
        return ERR_OK;
    if (q->wait_note != NULL) {
        enum output_stream stream = app_note_on_stdout(q->kind) ? OUTPUT_STDOUT : OUTPUT_STDERR;
        struct output_line note = {0, stream, q->wait_note, strlen(q->wait_note), true};
        if (first == 0)
            (void)on_line(&note, q);
        return ERR_OK;
    }
    return output_read(q->folder, select, first, count, on_line, q, &total, &q->err);
}

static enum err_code count_lines(struct log_request *q, enum output_select select, uint64_t *total)
{
    if (q->wait_note == NULL)
        return output_read(q->folder, select, 0, 0, NULL, NULL, total, &q->err);
    *total = select == (app_note_on_stdout(q->kind) ? OUTPUT_ONLY_STDERR : OUTPUT_ONLY_STDOUT) ? 0 : 1;
    return ERR_OK;
}

/* The window [*first, *first + *count) of `total` lines that from and size ask for. */
static void window(int64_t from, int64_t size, uint64_t total, uint64_t *first, uint64_t *count)
{
    uint64_t wanted = size < 0 ? total : (uint64_t)size;
    *first = from >= 0 ? (uint64_t)from : wanted < total ? total - wanted : 0;
    uint64_t left = *first < total ? total - *first : 0;
    *count = wanted < left ? wanted : left;
}

/* The part of [first, end) that lies in a section whose heading is line `start` and that has n lines. */
static enum err_code write_section(struct log_request *q, const struct section *section, uint64_t start,
                                   uint64_t n, uint64_t first, uint64_t end)
{
    uint64_t lines = start + 1;
    if (first <= start && start < end)
        json_out_str(&q->out, NULL, section->heading);
    uint64_t from = first > lines ? first : lines;
    uint64_t to = end < lines + n ? end : lines + n;
    return from < to ? read_lines(q, section->select, from - lines, to - from, add_livy_line) : ERR_OK;
}

static enum err_code write_livy(struct log_request *q)
{
    uint64_t n[SECTIONS] = {0};
    uint64_t total = SECTIONS;
    uint64_t first = 0;
    uint64_t count = 0;
    uint64_t start = 0;
    enum err_code rc = ERR_OK;
    for (int i = 0; i < SECTIONS && rc == ERR_OK; i++) {
        if (sections[q->kind][i].has_lines)
            rc = count_lines(q, sections[q->kind][i].select, &n[i]);
        total += n[i];
    }
    window(q->from, q->size, total, &first, &count);
    json_out_int(&q->out, "from", (int64_t)first);
    json_out_int(&q->out, "total", (int64_t)total);
    json_out_array(&q->out, "log");
    for (int i = 0; i < SECTIONS && rc == ERR_OK && !q->full; i++) {
        rc = write_section(q, &sections[q->kind][i], start, n[i], first, first + count);
        start += 1 + n[i];
    }
    json_out_end_array(&q->out);
    return rc;
}

static enum err_code write_record(struct log_request *q)
{
    uint64_t total = 0;
    uint64_t first = 0;
    uint64_t count = 0;
    enum err_code rc = count_lines(q, q->select, &total);
    window(q->from, q->size, total, &first, &count);
    json_out_str(&q->out, "stream", q->stream);
    json_out_int(&q->out, "from", (int64_t)first);
    json_out_int(&q->out, "total", (int64_t)total);
    json_out_str(&q->out, "state", q->state);
    json_out_bool(&q->out, "ended", q->ended);
    json_out_array(&q->out, "lines");
    if (rc == ERR_OK)
        rc = read_lines(q, q->select, first, count, add_record_line);
    json_out_end_array(&q->out);
    q->from = (int64_t)first; /* a wait goes on from here */
    return rc;
}

static void log_run(void *arg)
{
    struct log_request *q = arg;
    q->found = q->full = false;
    buf_clear(&q->body);
    buf_init(&q->body, 6UL * ANSWER_MAX + (16 << 20)); /* escapes may make six bytes of one */
    json_out_open(&q->out, &q->body);
    json_out_object(&q->out, NULL);
    json_out_int(&q->out, "id", q->id);
    q->err.code = q->form == FORM_LIVY ? write_livy(q) : write_record(q);
    json_out_end_object(&q->out);
}

/* ---- on the loop ---- */

static void log_start(struct log_request *q);

static void on_timer_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

static void stop_waiting(struct log_request *q)
{
    app_unwait(&q->waiter);
    if (q->timer != NULL)
        uv_close((uv_handle_t *)q->timer, on_timer_closed);
    q->timer = NULL;
}

static void on_wait_change(void *arg)
{
    struct log_request *q = arg;
    stop_waiting(q);
    log_start(q);
}

static void on_wait_over(uv_timer_t *timer)
{
    on_wait_change(timer->data);
}

/* Waits for output or a change of state, or looks again at once when there was one while it was read. False:
 * the time is over, the answer goes out as it is. */
static bool wait_for_more(struct log_request *q, struct app *app)
{
    int64_t now = clock_mono_ms();
    if (q->wait_until == 0)
        q->wait_until = now + q->wait_ms;
    if (now >= q->wait_until)
        return false;
    if (app_revision(app) != q->revision) {
        log_start(q);
        return true;
    }
    q->timer = mem_calloc(1, sizeof *q->timer);
    if (q->timer == NULL)
        return false;
    (void)uv_timer_init(q->livy->loop, q->timer); /* cannot fail */
    q->timer->data = q;
    (void)uv_timer_start(q->timer, on_wait_over, (uint64_t)(q->wait_until - now), 0);
    q->waiter = (struct app_waiter){.on_change = on_wait_change, .arg = q};
    app_wait(app, &q->waiter);
    return true;
}

static void log_done(void *arg)
{
    struct log_request *q = arg;
    struct app *app = apps_find(q->livy->apps, q->kind, q->id);
    if (q->err.code != ERR_OK) {
        livy_reply_error(q->request, &q->err);
    } else if (q->wait_ms > 0 && !q->found && !q->ended && app != NULL && wait_for_more(q, app)) {
        return;
    } else {
        livy_reply_json(q->request, 200, &q->body);
    }
    log_free(q);
}

/* Looks at the application's state, then reads its output. */
static void log_start(struct log_request *q)
{
    const struct app *app = apps_find(q->livy->apps, q->kind, q->id);
    const struct app_info *info = app != NULL ? app_info(app) : NULL;
    if (info != NULL)
        q->state = view_state(q->livy, app);
    q->revision = app != NULL ? app_revision(app) : 0;
    q->ended = info == NULL || app_state_is_end(info->state);
    bool waiting = info != NULL && info->state == APP_WAITING;
    if (mem_set_str(&q->wait_note, waiting ? info->wait_note : NULL) != 0 ||
        work_run(q->livy->loop, log_run, log_done, q, &q->err) != ERR_OK) {
        http_reply(q->request, NULL);
        log_free(q);
    }
}

static struct log_request *log_new(struct livy *l, struct http_request *r, enum app_kind kind, int64_t id)
{
    struct log_request *q = mem_calloc(1, sizeof *q);
    if (q != NULL) {
        q->livy = l;
        q->request = r;
        q->kind = kind;
        q->id = id;
        q->from = -1;
        q->size = 100;
        q->folder = apps_folder(l->apps, kind, id);
    }
    if (q != NULL && q->folder != NULL)
        return q;
    if (q != NULL)
        log_free(q);
    http_reply(r, NULL);
    return NULL;
}

void logs_reply(struct livy *l, struct http_request *r, const struct app *app)
{
    int64_t from = -1;
    int64_t size = 100;
    if (!livy_query_int(r, "from", &from) || !livy_query_int(r, "size", &size))
        return;
    struct log_request *q = log_new(l, r, app_info(app)->kind, app_info(app)->id);
    if (q == NULL)
        return;
    q->form = FORM_LIVY;
    q->from = from;
    q->size = size;
    log_start(q);
}

static bool read_stream(struct http_request *r, enum output_select *select, const char **name)
{
    static const struct {
        const char *name;
        enum output_select select;
    } streams[] = {{"all", OUTPUT_MERGED}, {"stdout", OUTPUT_ONLY_STDOUT}, {"stderr", OUTPUT_ONLY_STDERR}};
    const char *asked = http_query(r, "stream");
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        if (strcmp(asked != NULL ? asked : "all", streams[i].name) == 0) {
            *select = streams[i].select;
            *name = streams[i].name;
            return true;
        }
    }
    livy_reply_msg(r, 400, "stream is '%.100s'; it must be all, stdout or stderr", asked);
    return false;
}

/* The parameters of a record's log. False: it was answered. */
static bool read_record_query(struct http_request *r, struct log_request *q)
{
    if (!livy_query_int(r, "from", &q->from) || !livy_query_int(r, "size", &q->size) ||
        !livy_query_int(r, "wait", &q->wait_ms) || !read_stream(r, &q->select, &q->stream))
        return false;
    if (q->size >= 1 && q->size <= RECORD_LINES_MAX && q->wait_ms >= 0 && q->wait_ms <= WAIT_MS_MAX)
        return true;
    livy_reply_msg(r, 400, "size must be 1 to %d and wait 0 to %d (milliseconds)", RECORD_LINES_MAX,
                   WAIT_MS_MAX);
    return false;
}

static void on_record(struct livy *l, struct http_request *r, const struct record *record)
{
    struct log_request *q = log_new(l, r, record->kind, record->id);
    if (q == NULL)
        return;
    q->form = FORM_RECORD;
    if (record->row != NULL)
        q->state = view_state_of_row(record->row); /* a listed one's is looked up with its output */
    if (read_record_query(r, q))
        log_start(q);
    else
        log_free(q);
}

void logs_reply_record(struct livy *l, struct http_request *r, enum app_kind kind)
{
    record_find(l, r, kind, false, on_record);
}
