/*
 * The forms of answers. What is absent is written as null.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"
#include "schedule/civil.h"

#include <stdarg.h>
#include <stdio.h>

enum { ANSWER_MAX = 256 << 20 };

void reply_text(struct http_request *r, int status, const char *text)
{
    cleanup(buf_clear) struct buf body = BUF(4096);
    buf_str(&body, text);
    http_reply(r, http_answer_new(status, "text/plain; charset=UTF-8", &body));
}

void reply_json(struct http_request *r, int status, struct buf *body)
{
    http_reply(r, http_answer_new(status, PROVISION_JSON, body));
}

/* The four fields that all errors have, and the end of the object. */
static void write_error_rest(struct json_out *out)
{
    json_out_null(out, "userMessage");
    json_out_null(out, "input");
    json_out_null(out, "inputErrorField");
    json_out_null(out, "moreInfo");
    json_out_end_object(out);
}

void reply_not_implemented(struct http_request *r, void *arg)
{
    cleanup(buf_clear) struct buf body = BUF(4096);
    (void)arg;
    buf_str(&body, "{\"error\":\"Endpoint not implemented\","
                   "\"userMessage\":\"The requested feature hasn't been implemented\","
                   "\"input\":null,\"inputErrorField\":null,"
                   "\"moreInfo\":{\"problems\":[\"Endpoint not implemented\"],\"solutions\":[]}}");
    reply_json(r, 500, &body);
}

void reply_errors(struct http_request *r, int status, const struct strlist *errors)
{
    cleanup(buf_clear) struct buf body = BUF(ANSWER_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_list(&out, "errors", errors);
    write_error_rest(&out);
    reply_json(r, status, &body);
}

void reply_one_error(struct http_request *r, int status, const char *fmt, ...)
{
    char text[1024];
    struct strlist errors = {0};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (strlist_add(&errors, text) == 0)
        reply_errors(r, status, &errors);
    else
        http_reply(r, NULL);
    strlist_clear(&errors);
}

void reply_system_error(struct http_request *r, int status, const char *error)
{
    cleanup(buf_clear) struct buf body = BUF(ANSWER_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "error", error);
    write_error_rest(&out);
    reply_json(r, status, &body);
}

void write_validation_result(struct json_out *out, const char *key, const struct strlist *errors)
{
    json_out_object(out, key);
    json_out_bool(out, "valid", errors->n == 0);
    if (errors->n == 0) {
        json_out_null(out, "error");
    } else {
        json_out_object(out, "error");
        json_out_list(out, "errors", errors);
        json_out_end_object(out);
    }
    json_out_end_object(out);
}

void write_instant(struct json_out *out, const char *key, int64_t wall_ms)
{
    char text[CIVIL_INSTANT_TEXT];
    int64_t instant_s = wall_ms / 1000;
    if (instant_s < CIVIL_INSTANT_MIN_S || instant_s > CIVIL_INSTANT_MAX_S) {
        json_out_null(out, key);
        return;
    }
    civil_format_instant(instant_s, text);
    json_out_str(out, key, text);
}

/* ---- of an operation ---- */

static void reply_validation(struct http_request *r, const struct strlist *errors)
{
    cleanup(buf_clear) struct buf body = BUF(ANSWER_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    write_validation_result(&out, NULL, errors);
    reply_json(r, 200, &body);
}

static void reply_completed(struct http_request *r, const char *result)
{
    cleanup(buf_clear) struct buf body = BUF(ANSWER_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "status", "COMPLETED");
    json_out_str(&out, "result", result);
    json_out_null(&out, "info");
    json_out_null(&out, "logs");
    json_out_end_object(&out);
    reply_json(r, 200, &body);
}

void reply_outcome(struct http_request *r, enum operation operation, const struct outcome *outcome)
{
    if (outcome->status == 200 && operation == OPERATION_VALIDATE)
        reply_validation(r, outcome->errors);
    else if (outcome->status == 200)
        reply_completed(r, outcome->result);
    else if (outcome->status < 500)
        reply_errors(r, outcome->status, outcome->errors);
    else
        reply_system_error(r, outcome->status, outcome->error);
}
