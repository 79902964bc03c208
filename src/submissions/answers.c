/*
 * Answers in the protocol's form: an object with its fields in alphabetical order, without those that say
 * nothing.
 */
#include "submissions/submissions_internal.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { ANSWER_MAX = 64 << 20 }; /* a request's unknown fields come back */

static void write_text(struct json_out *out, const char *key, const char *text)
{
    if (text != NULL)
        json_out_str(out, key, text);
}

static void write_answer(const struct submissions *s, const struct submission_answer *a, struct json_out *out)
{
    const struct spark *spark = s->options.spark;
    json_out_object(out, NULL);
    json_out_str(out, "action", a->action);
    write_text(out, "driverState", a->driver_state);
    write_text(out, "highestProtocolVersion", a->highest_version);
    write_text(out, "message", a->message);
    /* Clients insist on a version, also where no Spark was found. */
    json_out_str(out, "serverSparkVersion", spark != NULL ? spark_version(spark) : "unknown");
    write_text(out, "submissionId", a->submission_id);
    if (a->success != SUBMISSION_UNSAID)
        json_out_bool(out, "success", a->success == SUBMISSION_SUCCESS);
    if (a->unknown_fields != NULL && a->unknown_fields->n > 0)
        json_out_list(out, "unknownFields", a->unknown_fields);
    write_text(out, "workerHostPort", a->worker);
    json_out_end_object(out);
}

void submissions_reply(const struct submissions *s, struct http_request *r, int status,
                       const struct submission_answer *answer)
{
    cleanup(buf_clear) struct buf body = BUF(ANSWER_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    write_answer(s, answer, &out);
    struct http_answer *a = http_answer_new(status, HTTP_JSON, &body);
    if (a != NULL && status == 503)
        (void)http_answer_header(a, "Retry-After", "5"); /* a hint; the answer does without */
    http_reply(r, a);
}

void submissions_reply_error(const struct submissions *s, struct http_request *r, int status, const char *fmt,
                             ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    submissions_reply(s, r, status, &(struct submission_answer){.action = "ErrorResponse", .message = text});
}

void submissions_reply_refused(const struct submissions *s, struct http_request *r, const struct err *err)
{
    submissions_reply_error(s, r, err_http_status(err->code), "%s", err->msg);
}
