/*
 * Jobs that another Livy server runs: each fire is one POST <provision.livy_url>/batches, never repeated.
 *
 *     livy_post_run ──► waiting, in order ──► posted, at most provision.threads ──► scheduler_end_fire
 *
 * While so many are posted the scheduler holds back what is due, so that only those wait here that were
 * begun in the same moment, or by hand.
 *
 * What became of it is told by the fire's state, batch and reason, which begins with "HTTP <status>" when
 * there was an answer; lastSubmission is read back from there, so that it outlives the server. A server that
 * ends while a fire waits or is posted leaves it to the next one, which calls it lost.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/http_client.h"
#include "provision/provision_internal.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum {
    POST_TIMEOUT_MS = 5 * 60 * 1000, /* Livy answers when it has begun to start the driver */
    ANSWER_MAX = 1 << 20,
    ANSWER_DEPTH_MAX = 32,
    BODY_MAX = 64 << 20,
    WAITING_MAX = 256 << 20, /* bytes of all tasks that wait */
    WORDS_MAX = 200,         /* bytes of a refusal that are kept */
    REASON_MAX = 512,
    CREATED = 201,
};

static const char status_prefix[] = "HTTP ";

struct post {
    struct livy_post *owner;
    int64_t schedule, number;
    char *job;  /* "group/name", for the log */
    char *task; /* as job_data_text() made it */
    struct post *prev, *next;
};

struct livy_post {
    struct provision *provision;
    struct http_client *client; /* NULL: stopped */
    char *url;                  /* <provision.livy_url>/batches */
    struct post *waiting, *posted;
    size_t waiting_size;
    int64_t n_posted;
};

static void post_free(struct post *post)
{
    if (post == NULL)
        return;
    mem_free(post->job);
    mem_free(post->task);
    mem_free(post);
}

static struct post *post_new(struct livy_post *l, const struct schedule_view *schedule,
                             const struct fire_view *fire)
{
    struct post *post = mem_calloc(1, sizeof *post);
    if (post == NULL)
        return NULL;
    post->owner = l;
    post->schedule = fire->schedule;
    post->number = fire->number;
    post->job = mem_printf("%s/%s", schedule->spec.group, schedule->spec.name);
    post->task = mem_strdup(schedule->spec.task != NULL ? schedule->spec.task : "");
    if (post->job != NULL && post->task != NULL)
        return post;
    post_free(post);
    return NULL;
}

/* ---- the request ---- */

/* The original's keys in the original's order; jars, which it does not send, behind them. */
static void write_body(struct buf *to, const struct job_data *d, const char *run_name)
{
    struct json_out out;
    json_out_open(&out, to);
    json_out_object(&out, NULL);
    json_out_str(&out, "file", d->jar_path);
    json_out_str(&out, "className", d->class_name);
    json_out_list(&out, "args", &d->args);
    json_out_str(&out, "driverMemory", d->driver_memory);
    json_out_int(&out, "driverCores", d->driver_cores);
    json_out_str(&out, "executorMemory", d->executor_memory);
    json_out_int(&out, "executorCores", d->executor_cores);
    json_out_int(&out, "numExecutors", d->num_executors);
    json_out_map(&out, "conf", &d->conf);
    json_out_str(&out, "name", run_name);
    if (!str_blank(d->queue))
        json_out_str(&out, "queue", d->queue);
    if (d->jars.n > 0)
        json_out_list(&out, "jars", &d->jars);
    json_out_end_object(&out);
}

static enum err_code make_body(const char *task, struct buf *to, struct err *err)
{
    struct job_data data = {0};
    enum err_code rc = job_data_read(task, &data, err);
    if (rc != ERR_OK)
        return rc;
    cleanup(mem_freep) char *run_name = job_run_name(data.name, clock_wall_ms());
    if (run_name == NULL)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    else
        write_body(to, &data, run_name);
    job_data_clear(&data);
    return rc == ERR_OK ? buf_check(to, err) : rc;
}

/* ---- the answer ---- */

/* The answer as JSON, or NULL: it is an error page, say. */
static json_t *answer_json(const struct http_result *result)
{
    json_t *json = NULL;
    return json_parse(result->body, result->len, ANSWER_DEPTH_MAX, &json, NULL) == ERR_OK ? json : NULL;
}

static int64_t batch_of(const struct http_result *result)
{
    json_t *json = answer_json(result);
    const json_t *id = json_object_get(json, "id");
    int64_t batch = json_is_integer(id) && json_integer_value(id) >= 0 ? json_integer_value(id) : -1;
    json_decref(json);
    return batch;
}

/* The first words on one line; what is no UTF-8 or no text becomes '?'. */
static void add_words(struct buf *to, const char *text)
{
    for (size_t i = 0, n = strnlen(text, WORDS_MAX); i < n;) {
        size_t whole = json_utf8_length((const unsigned char *)text + i, n - i);
        unsigned char c = (unsigned char)text[i];
        if (whole == 0 && c >= 0xC0 && n == WORDS_MAX && n - i < 4)
            return; /* a character that the limit cuts */
        if (c == '\n' || c == '\r' || c == '\t')
            buf_char(to, ' ');
        else if (whole == 0 || c < ' ' || c == 0x7F)
            buf_char(to, '?');
        else
            buf_add(to, text + i, whole);
        i += whole > 0 ? whole : 1;
    }
}

/* "HTTP 400: requirement failed: …"; Livy puts its words into the field msg. */
static void write_refusal(struct buf *to, const struct http_result *result)
{
    json_t *json = answer_json(result);
    const char *msg = json_string_value(json_object_get(json, "msg"));
    const char *words = msg != NULL ? msg : result->body;
    buf_printf(to, "%s%d", status_prefix, result->status);
    if (!str_blank(words)) {
        buf_str(to, ": ");
        add_words(to, words + strspn(words, " \t\r\n"));
    }
    json_decref(json);
}

static void end_post(struct post *post, enum fire_state state, int64_t batch, const char *reason)
{
    struct scheduler *scheduler = post->owner->provision->options.scheduler;
    if (state == FIRE_SUCCEEDED)
        log_info("job posted to Livy", LOG_S("job", post->job), LOG_I("fire", post->number),
                 LOG_I("batch", batch));
    else
        log_warn("job not posted to Livy", LOG_S("job", post->job), LOG_I("fire", post->number),
                 LOG_S("why", reason));
    scheduler_end_fire(scheduler, post->schedule, post->number, state, batch, reason);
    post_free(post);
}

static void judge(struct post *post, const struct http_result *result)
{
    cleanup(buf_clear) struct buf reason = BUF(REASON_MAX);
    if (result->status == 0) {
        buf_str(&reason, "no answer from Livy: ");
        add_words(&reason, result->err.msg);
        end_post(post, FIRE_FAILED, -1, buf_cstr(&reason));
    } else if (result->status >= 200 && result->status < 300) {
        buf_printf(&reason, "%s%d", status_prefix, result->status);
        end_post(post, FIRE_SUCCEEDED, batch_of(result), buf_cstr(&reason));
    } else {
        write_refusal(&reason, result);
        end_post(post, FIRE_FAILED, -1, buf_cstr(&reason));
    }
}

/* ---- posting ---- */

static void pump(struct livy_post *l);

static void on_answer(const struct http_result *result, void *arg)
{
    struct post *post = arg;
    struct livy_post *l = post->owner;
    DL_DELETE(l->posted, post);
    l->n_posted--;
    judge(post, result);
    pump(l);
}

static enum err_code send_post(struct post *post, struct err *err)
{
    static const char *const headers[] = {"Content-Type: application/json; charset=UTF-8",
                                          "X-Requested-By: provisioner", NULL};
    struct livy_post *l = post->owner;
    cleanup(buf_clear) struct buf body = BUF(BODY_MAX);
    enum err_code rc = make_body(post->task, &body, err);
    if (rc != ERR_OK)
        return rc;
    struct http_call_options options = {
        .method = "POST",
        .url = l->url,
        .headers = headers,
        .body = buf_cstr(&body),
        .body_len = body.len,
        .negotiate = l->provision->options.settings->provision.kerberos,
        .timeout_ms = POST_TIMEOUT_MS,
        .answer_max = ANSWER_MAX,
    };
    return http_call_start(l->client, &options, on_answer, post) != NULL
               ? ERR_OK
               : err_set(err, ERR_NOMEM, "out of memory");
}

/* Posts what waits, as far as there is room. */
static void pump(struct livy_post *l)
{
    while (l->client != NULL && l->waiting != NULL &&
           l->n_posted < l->provision->options.settings->provision.threads) {
        struct post *post = l->waiting;
        struct err err = {0};
        DL_DELETE(l->waiting, post);
        l->waiting_size -= strlen(post->task);
        if (send_post(post, &err) != ERR_OK) {
            end_post(post, FIRE_FAILED, -1, err.msg);
            continue;
        }
        DL_APPEND(l->posted, post);
        l->n_posted++;
    }
}

void livy_post_run(void *arg, const struct schedule_view *schedule, const struct fire_view *fire)
{
    struct provision *p = arg;
    struct livy_post *l = p->livy_post;
    bool has_room = l->waiting_size < WAITING_MAX;
    struct post *post = has_room ? post_new(l, schedule, fire) : NULL;
    if (post == NULL) {
        const char *why = has_room ? "out of memory" : "too many jobs wait to be posted to Livy";
        log_warn("job not posted to Livy", LOG_S("job", schedule->spec.name), LOG_S("why", why));
        scheduler_end_fire(p->options.scheduler, fire->schedule, fire->number, FIRE_FAILED, -1, why);
        return;
    }
    DL_APPEND(l->waiting, post);
    l->waiting_size += strlen(post->task);
    pump(l);
}

size_t livy_post_room(void *arg)
{
    const struct provision *p = arg;
    int64_t room = p->options.settings->provision.threads - p->livy_post->n_posted;
    return room > 0 ? (size_t)room : 0;
}

bool livy_post_is_under_way(const struct livy_post *l, int64_t schedule, int64_t number)
{
    const struct post *post;
    DL_FOREACH(l->posted, post)
    {
        if (post->schedule == schedule && post->number == number)
            return true;
    }
    return false;
}

/* ---- lastSubmission ---- */

/* Whether that fire was handed to a Livy server, or to hearth's own core, or should have been. */
static bool was_submitted(const struct fire_view *fire)
{
    switch (fire->state) {
    case FIRE_RUNNING: return fire->batch >= 0; /* without a batch the post is on its way */
    case FIRE_SUCCEEDED:
    case FIRE_FAILED:
    case FIRE_KILLED:
    case FIRE_REFUSED:
    case FIRE_LOST: return true;
    case FIRE_WAITING:
    case FIRE_SKIPPED:
    case FIRE_MISSED:
    case FIRE_STATES: break;
    }
    return false;
}

/* With a batch, the reason of one that did not succeed has the words of a program of hearth's own core. */
static int status_of(const struct fire_view *fire)
{
    int status = 0;
    bool is_livys = fire->batch < 0 || fire->state == FIRE_SUCCEEDED;
    if (is_livys && fire->reason != NULL && str_starts(fire->reason, status_prefix) &&
        sscanf(fire->reason + strlen(status_prefix), "%3d", &status) == 1)
        return status;
    return fire->batch >= 0 ? CREATED : 0; /* of hearth's own core */
}

static void write_submission(const struct fire_view *fire, struct json_out *out)
{
    json_out_object(out, "lastSubmission");
    write_instant(out, "time", fire->actual_ms > 0 ? fire->actual_ms : fire->planned_ms);
    json_out_int(out, "status", status_of(fire));
    if (fire->batch >= 0)
        json_out_int(out, "batchId", fire->batch);
    else
        json_out_null(out, "batchId");
    json_out_str(out, "message", fire->state == FIRE_SUCCEEDED ? NULL : fire->reason);
    json_out_end_object(out);
}

void last_submission_write(const struct fire_view *fires, size_t n, struct json_out *out)
{
    for (size_t i = 0; i < n; i++)
        if (was_submitted(&fires[i])) {
            write_submission(&fires[i], out);
            return;
        }
    json_out_null(out, "lastSubmission");
}

/* ---- opening and closing ---- */

static char *batches_url(const char *base)
{
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    return mem_printf("%.*s/batches", (int)n, base);
}

enum err_code livy_post_open(struct provision *p, struct livy_post **ret, struct err *err)
{
    struct livy_post *l = mem_calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->provision = p;
    l->url = batches_url(p->options.settings->provision.livy_url);
    l->client = l->url != NULL ? http_client_new(p->options.loop) : NULL;
    if (l->client == NULL) {
        livy_post_free(l);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *ret = l;
    return ERR_OK;
}

static void drop(struct post **list)
{
    struct post *post, *next;
    DL_FOREACH_SAFE(*list, post, next)
    {
        DL_DELETE(*list, post);
        post_free(post);
    }
}

void livy_post_stop(struct livy_post *l)
{
    if (l == NULL)
        return;
    http_client_free(l->client);
    l->client = NULL;
    drop(&l->waiting);
    drop(&l->posted);
}

void livy_post_free(struct livy_post *l)
{
    if (l == NULL)
        return;
    livy_post_stop(l);
    mem_free(l->url);
    mem_free(l);
}
