#include "web/status.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "web/web_internal.h"

#include <unistd.h>

struct status {
    struct status_options options;
    int64_t started_ms;
};

static void reply(struct http_request *r, int code, struct buf *body)
{
    http_reply(r, http_answer_new(code, HTTP_JSON, body));
    buf_clear(body);
}

static void healthz(struct http_request *r, void *arg)
{
    (void)arg;
    struct buf body = BUF(64);
    buf_str(&body, "{\"status\":\"ok\"}");
    reply(r, 200, &body);
}

static void ping(struct http_request *r, void *arg)
{
    (void)arg;
    struct buf body = BUF(64);
    buf_str(&body, "pong\n");
    http_reply(r, http_answer_new(200, "text/plain", &body));
    buf_clear(&body);
}

/* Why hearth could not take a submission now, or NULL. */
static const char *trouble(const struct status *s)
{
    if (s->options.spark == NULL)
        return s->options.spark_missing;
    return store_trouble(s->options.store);
}

static void readyz(struct http_request *r, void *arg)
{
    const struct status *s = arg;
    const char *reason = trouble(s);
    struct buf body = BUF(2048);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "status", reason == NULL ? "ready" : "not ready");
    if (reason != NULL)
        json_out_str(&out, "reason", reason);
    json_out_end_object(&out);
    reply(r, reason == NULL ? 200 : 503, &body);
}

static void write_spark(struct json_out *out, const struct status *s)
{
    const struct spark *spark = s->options.spark;
    json_out_object(out, "spark");
    json_out_str(out, "home", spark != NULL ? spark_home(spark) : NULL);
    json_out_str(out, "version", spark != NULL ? spark_version(spark) : NULL);
    json_out_str(out, "java", spark != NULL ? spark_java(spark) : NULL);
    json_out_str(out, "master", s->options.settings->spark.master);
    json_out_str(out, "archive", spark != NULL ? spark_archive_state(spark) : s->options.spark_missing);
    json_out_end_object(out);
}

static void write_admission(struct json_out *out, const struct status *s, const struct apps_summary *summary)
{
    const struct settings *settings = s->options.settings;
    json_out_object(out, "admission");
    json_out_int(out, "memory", (int64_t)summary->memory_budget);
    json_out_int(out, "memoryUsed", (int64_t)summary->memory_used);
    json_out_int(out, "running", (int64_t)summary->running);
    json_out_int(out, "runningLimit", settings->admission.running);
    json_out_int(out, "waiting", (int64_t)summary->waiting);
    json_out_int(out, "queueLimit", settings->admission.queue);
    json_out_end_object(out);
}

static void write_sessions(struct json_out *out, const struct sessions *sessions)
{
    struct sessions_summary summary = sessions_summary(sessions);
    json_out_object(out, "sessions");
    json_out_int(out, "starting", (int64_t)summary.starting);
    json_out_int(out, "idle", (int64_t)summary.idle);
    json_out_int(out, "busy", (int64_t)summary.busy);
    json_out_int(out, "warm", (int64_t)summary.warm);
    json_out_int(out, "connected", (int64_t)summary.connected);
    json_out_end_object(out);
}

static void write_schedules(struct json_out *out, const struct scheduler *scheduler)
{
    struct scheduler_summary summary = scheduler_summary(scheduler);
    json_out_object(out, "schedules");
    json_out_int(out, "known", summary.schedules);
    json_out_int(out, "active", summary.active);
    json_out_int(out, "running", summary.running);
    web_write_time(out, "nextAt", summary.next_ms);
    json_out_end_object(out);
}

static void server_status(struct http_request *r, void *arg)
{
    const struct status *s = arg;
    struct apps_summary summary = apps_summary(s->options.apps);
    const char *store = store_trouble(s->options.store);
    char started[CLOCK_TEXT_MAX];
    clock_format(s->started_ms, started);
    struct buf body = BUF(65536);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "version", HEARTH_VERSION);
    json_out_int(&out, "pid", getpid());
    json_out_str(&out, "startedAt", started);
    json_out_str(&out, "listen", http_server_address(s->options.server));
    json_out_str(&out, "stateDir", s->options.settings->server.state_dir);
    write_spark(&out, s);
    write_admission(&out, s, &summary);
    write_sessions(&out, s->options.sessions);
    write_schedules(&out, s->options.scheduler);
    json_out_int(&out, "applications", (int64_t)summary.known);
    json_out_object(&out, "store");
    json_out_bool(&out, "writable", store == NULL);
    json_out_str(&out, "reason", store);
    json_out_end_object(&out);
    json_out_end_object(&out);
    reply(r, 200, &body);
}

static const struct http_route routes[] = {
    {"GET", "/healthz", healthz, "The process answers", false},
    {"GET", "/readyz", readyz, "It can take submissions", false},
    {"GET", "/metrics/ping", ping, "The same, as Livy's monitors ask it", false},
    {"GET", "/hearth/status", server_status, "The server: Spark, admission, sessions, schedules, store",
     false},
};

struct status *status_open(const struct status_options *options)
{
    struct status *s = mem_calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->options = *options;
    s->started_ms = clock_wall_ms();
    http_mount(options->server, routes, sizeof routes / sizeof *routes, s);
    return s;
}

void status_close(struct status *s)
{
    mem_free(s);
}
