#include "cluster/submission_server_internal.h"

#include "base/json.h"
#include "base/mem.h"

enum { ANSWER_MAX = 1 << 20, REQUEST_MAX = 64 << 20 };

struct submission_server_call {
    enum submission_server_action action;
    struct http_call *call;
    submission_server_cb *done;
    void *arg;
};

static void on_answer(const struct http_result *result, void *arg)
{
    struct submission_server_call call = *(struct submission_server_call *)arg;
    struct submission_server_reading reading;
    mem_free(arg);
    submission_server_read(call.action, result, &reading);
    call.done(&reading.answer, call.arg);
    submission_server_reading_clear(&reading);
}

/* `call` says what is wanted and who is told. */
static struct submission_server_call *start(struct http_client *c,
                                            const struct submission_server_call *wanted,
                                            const struct http_call_options *options)
{
    struct submission_server_call *call = mem_alloc(sizeof *call);
    if (call == NULL)
        return NULL;
    *call = *wanted;
    call->call = http_call_start(c, options, on_answer, call);
    if (call->call != NULL)
        return call;
    mem_free(call);
    return NULL;
}

static void write_driver(const struct submission_server_driver *driver, struct buf *to)
{
    struct json_out out;
    json_out_open(&out, to);
    json_out_object(&out, NULL);
    json_out_str(&out, "action", "CreateSubmissionRequest");
    json_out_list(&out, "appArgs", driver->arguments);
    json_out_str(&out, "appResource", driver->app_resource);
    json_out_str(&out, "clientSparkVersion", driver->spark_version);
    json_out_map(&out, "environmentVariables", driver->environment);
    json_out_str(&out, "mainClass", driver->main_class);
    json_out_map(&out, "sparkProperties", driver->properties);
    json_out_end_object(&out);
}

struct submission_server_call *submission_server_create(struct http_client *c, const char *base,
                                                        const struct submission_server_driver *driver,
                                                        int64_t timeout_ms, submission_server_cb *done,
                                                        void *arg)
{
    static const char *const json[] = {"Content-Type: application/json;charset=UTF-8", NULL};
    cleanup(mem_freep) char *url = mem_printf("%s/v1/submissions/create", base);
    cleanup(buf_clear) struct buf body = BUF(REQUEST_MAX);
    write_driver(driver, &body);
    if (url == NULL || buf_check(&body, NULL) != ERR_OK)
        return NULL;
    struct submission_server_call wanted = {.action = SUBMISSION_CREATE, .done = done, .arg = arg};
    struct http_call_options options = {
        .method = "POST",
        .url = url,
        .headers = json,
        .body = body.data,
        .body_len = body.len,
        .timeout_ms = timeout_ms,
        .answer_max = ANSWER_MAX,
    };
    return start(c, &wanted, &options);
}

/* A call that only names a driver; ids are the cluster's own and may hold anything. */
static struct submission_server_call *start_named(struct http_client *c, const char *base,
                                                  const char *driver_id, int64_t timeout_ms,
                                                  const struct submission_server_call *wanted)
{
    bool is_kill = wanted->action == SUBMISSION_KILL;
    cleanup(mem_freep) char *id = http_url_escape(driver_id);
    cleanup(mem_freep) char *url =
        id != NULL ? mem_printf("%s/v1/submissions/%s/%s", base, is_kill ? "kill" : "status", id) : NULL;
    if (url == NULL)
        return NULL;
    struct http_call_options options = {
        .method = is_kill ? "POST" : "GET",
        .url = url,
        .timeout_ms = timeout_ms,
        .answer_max = ANSWER_MAX,
    };
    return start(c, wanted, &options);
}

struct submission_server_call *submission_server_status(struct http_client *c, const char *base,
                                                        const char *driver_id, int64_t timeout_ms,
                                                        submission_server_cb *done, void *arg)
{
    struct submission_server_call wanted = {.action = SUBMISSION_STATUS, .done = done, .arg = arg};
    return start_named(c, base, driver_id, timeout_ms, &wanted);
}

struct submission_server_call *submission_server_kill(struct http_client *c, const char *base,
                                                      const char *driver_id, int64_t timeout_ms,
                                                      submission_server_cb *done, void *arg)
{
    struct submission_server_call wanted = {.action = SUBMISSION_KILL, .done = done, .arg = arg};
    return start_named(c, base, driver_id, timeout_ms, &wanted);
}

void submission_server_cancel(struct submission_server_call *call)
{
    http_call_cancel(call->call);
    mem_free(call);
}
