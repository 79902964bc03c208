/*
 * What the answers of a REST submission server mean. It says "no" in three ways: HTTP 200 with success false,
 * an ErrorResponse with another status, and pages in HTML.
 */
#include "cluster/submission_server_internal.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

enum { DEPTH_MAX = 32, WORDS_MAX = 300 };

static const char *text_of(const json_t *body, const char *name)
{
    const char *text = json_string_value(json_object_get(body, name));
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* What was to be changed may have been changed, whatever went wrong afterwards. */
static void doubt(struct submission_server_reading *r, enum submission_server_action action)
{
    r->answer.uncertain = action != SUBMISSION_STATUS;
}

/* ---- words ---- */

/* Only the first line of a Java exception is for people; what the cluster threw stands behind a heading. */
static const char *skip_heading(const char *words)
{
    static const char heading[] = "Exception from the cluster:\n";
    return strncmp(words, heading, strlen(heading)) == 0 ? words + strlen(heading) : words;
}

static bool keep_message(struct submission_server_reading *r)
{
    const char *words = text_of(r->body, "message");
    if (words == NULL)
        return true;
    words = skip_heading(words);
    words += strspn(words, " \t\r\n");
    if (*words == '\0')
        return true; /* no words are no message */
    r->message = mem_strndup(words, strcspn(words, "\r\n"));
    r->answer.message = r->message;
    return r->message != NULL;
}

/* The title of an error page of its web server; its first bytes when there is none. */
static enum err_code page(const struct http_result *result, struct err *err)
{
    const char *title = strstr(result->body, "<title>");
    title = title != NULL ? title + strlen("<title>") : NULL;
    if (title == NULL)
        return err_set(err, ERR_IO, "its answer is HTTP %d without words", result->status);
    size_t n = strcspn(title, "<\r\n");
    return err_set(err, ERR_IO, "its answer is HTTP %d: %.*s", result->status,
                   (int)(n < WORDS_MAX ? n : WORDS_MAX), title);
}

/* ---- HTTP 200 ---- */

static enum err_code unexpected(const char *what, struct err *err)
{
    return err_set(err, ERR_IO, "its answer has no %s", what);
}

static enum err_code refused(const struct submission_server_reading *r, enum submission_server_action action,
                             struct err *err)
{
    const char *words = r->message != NULL ? r->message : "it knows no such driver";
    if (r->message != NULL && strstr(r->message, "Current state is not alive") != NULL)
        return err_set(err, ERR_BUSY, "%s", words);
    if (action == SUBMISSION_CREATE)
        return err_set(err, ERR_INVALID, "the driver was refused: %s",
                       r->message != NULL ? words : "no reason was given");
    return err_set(err, ERR_NOT_FOUND, "%s", words);
}

static enum err_code take_created(struct submission_server_reading *r, struct err *err)
{
    r->answer.driver_id = text_of(r->body, "submissionId");
    return r->answer.driver_id != NULL ? ERR_OK : unexpected("submissionId", err);
}

static enum err_code take_status(struct submission_server_reading *r, struct err *err)
{
    r->answer.driver_state = text_of(r->body, "driverState");
    r->answer.worker_id = text_of(r->body, "workerId");
    r->answer.worker_host_port = text_of(r->body, "workerHostPort");
    return r->answer.driver_state != NULL ? ERR_OK : unexpected("driverState", err);
}

static const char *action_name(enum submission_server_action action)
{
    static const char *const names[] = {
        [SUBMISSION_CREATE] = "CreateSubmissionResponse",
        [SUBMISSION_STATUS] = "SubmissionStatusResponse",
        [SUBMISSION_KILL] = "KillSubmissionResponse",
    };
    return names[action];
}

static enum err_code take_success(struct submission_server_reading *r, enum submission_server_action action,
                                  struct err *err)
{
    switch (action) {
    case SUBMISSION_CREATE: return take_created(r, err);
    case SUBMISSION_STATUS: return take_status(r, err);
    case SUBMISSION_KILL: break;
    }
    return ERR_OK;
}

static enum err_code take_response(struct submission_server_reading *r, enum submission_server_action action,
                                   struct err *err)
{
    const char *name = text_of(r->body, "action");
    const json_t *success = json_object_get(r->body, "success");
    if (name == NULL || strcmp(name, action_name(action)) != 0 || !json_is_boolean(success)) {
        doubt(r, action);
        return err_set(err, ERR_IO, "its answer is no %s: is it a REST submission server?",
                       action_name(action));
    }
    if (!json_is_true(success))
        return refused(r, action, err);
    if (take_success(r, action, err) != ERR_OK)
        doubt(r, action);
    return err->code;
}

/* ---- other statuses ---- */

static enum err_code take_error(struct submission_server_reading *r, enum submission_server_action action,
                                const struct http_result *result, struct err *err)
{
    const char *version = text_of(r->body, "highestProtocolVersion");
    if (result->status >= 500 && r->message == NULL) {
        doubt(r, action); /* also when it waited in vain for its master, which may be busy doing it */
        return page(result, err);
    }
    if (version != NULL)
        return err_set(err, ERR_INVALID, "it speaks protocol version %.20s, and not v1", version);
    if (result->status == 503)
        return err_set(err, ERR_BUSY, "%s", r->message);
    if (r->message == NULL)
        (void)page(result, err);
    else
        (void)err_set(err, ERR_INVALID, "%s", r->message);
    return err->code = ERR_INVALID;
}

/* ---- all ---- */

/* NULL for what is no JSON object. */
static json_t *parse(const struct http_result *result)
{
    json_t *body = NULL;
    if (json_parse(result->body, result->len, DEPTH_MAX, &body, NULL) == ERR_OK && json_is_object(body))
        return body;
    json_decref(body);
    return NULL;
}

static enum err_code take(struct submission_server_reading *r, enum submission_server_action action,
                          const struct http_result *result, struct err *err)
{
    r->body = parse(result);
    r->answer.spark_version = text_of(r->body, "serverSparkVersion");
    if (!keep_message(r)) {
        doubt(r, action);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    if (result->status != 200)
        return take_error(r, action, result, err);
    if (r->body != NULL)
        return take_response(r, action, err);
    doubt(r, action);
    return err_set(err, ERR_IO, "its answer is not whole JSON: is it a REST submission server?");
}

void submission_server_read(enum submission_server_action action, const struct http_result *result,
                            struct submission_server_reading *ret)
{
    *ret = (struct submission_server_reading){0};
    if (result->status != 0) {
        (void)take(ret, action, result, &ret->answer.err);
        return;
    }
    ret->answer.err = result->err;
    if (result->sent)
        doubt(ret, action);
}

void submission_server_reading_clear(struct submission_server_reading *reading)
{
    json_decref(reading->body);
    mem_free(reading->message);
}
