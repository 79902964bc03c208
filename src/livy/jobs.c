/*
 * Jobs of Livy's programmatic API: serialized functions that run beside the statements. What they hold is
 * carried, not looked at.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <inttypes.h>

enum { JOB_BYTES_MAX = 512 << 20 };

/* Livy's word; a poll never says SENT, which its Python client takes for an error. */
static const char *state_word(enum item_state state)
{
    switch (state) {
    case ITEM_WAITING: return "QUEUED";
    case ITEM_RUNNING:
    case ITEM_CANCELLING: return "STARTED";
    case ITEM_AVAILABLE: return "SUCCEEDED";
    case ITEM_CANCELLED: return "CANCELLED";
    case ITEM_FAILED:
    case ITEM_STATES: break;
    }
    return "FAILED";
}

/* Exactly these four keys: Livy's Java client refuses others. `output` has the last two, or is NULL. */
static void reply_job(struct http_request *r, int status, int64_t id, const char *state, const char *output)
{
    cleanup(buf_clear) struct buf body = BUF(JOB_BYTES_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_int(&out, "id", id);
    json_out_str(&out, "state", state);
    json_out_members(&out, output != NULL ? output : "{\"result\":null,\"error\":null}");
    json_out_end_object(&out);
    livy_reply_json(r, status, &body);
}

/* ---- submitting ---- */

struct job_request {
    char *job;  /* base64 */
    char *type; /* as sent */
};

static void job_request_clear(struct job_request *j)
{
    mem_free(j->job);
    mem_free(j->type);
}

/* False: it was answered. */
static bool read_job(struct livy *l, struct http_request *r, struct job_request *j)
{
    struct err err = {0};
    struct json_in in;
    cleanup(json_decrefp) json_t *body = livy_read_body(l, r);
    if (body == NULL)
        return false;
    json_in_open(&in, body, &err);
    json_in_str(&in, "job", &j->job);
    json_in_str(&in, "jobType", &j->type);
    if (json_in_end(&in) != ERR_OK) {
        livy_reply_unreadable(r, &err);
        return false;
    }
    return true;
}

/* A type that is no kind goes on as it is: the job fails in the driver, with the reason. */
static const char *job_kind(const struct job_request *j)
{
    if (j->type == NULL)
        return "spark";
    const char *kind = session_kind_find(j->type);
    return kind != NULL ? kind : j->type;
}

static void on_submitted(const struct err *err, const struct item_view *item, void *arg)
{
    if (item != NULL)
        reply_job(arg, 201, item->id, "SENT", NULL);
    else
        livy_reply_error(arg, err);
}

void jobs_post(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    struct request_key key;
    struct err err = {0};
    cleanup(job_request_clear) struct job_request j = {0};
    if (!read_job(l, r, &j))
        return;
    struct session *session = livy_find_session(l, r, RIGHT_MODIFY);
    if (session == NULL)
        return;
    if (j.job == NULL || j.job[0] == '\0')
        livy_reply_msg(r, 400, "requirement failed: no job provided.");
    else if (!value_is_base64(j.job))
        livy_reply_msg(r, 400, "requirement failed: job is not base64.");
    else if (session_require_active(r, session) && request_key_read(r, &key) &&
             session_submit(session, ITEM_JOB, job_kind(&j), j.job, request_key_of(&key), on_submitted, r,
                            &err) != ERR_OK)
        livy_reply_error(r, &err);
}

/* ---- looking ---- */

static void on_job(const struct err *err, const struct item_view *item, void *arg)
{
    struct http_request *r = arg;
    if (item != NULL)
        reply_job(r, 200, item->id, state_word(item->state), item->output);
    else if (err->code == ERR_NOT_FOUND)
        livy_reply_msg(r, 404, "Job '%.100s' not found.", http_param(r, 1));
    else
        livy_reply_error(r, err);
}

void job_get(struct http_request *r, void *arg)
{
    int64_t id = 0;
    struct session *session = livy_find_session(arg, r, RIGHT_VIEW);
    if (session != NULL && livy_param_int(r, 1, &id) && session_require_active(r, session))
        session_read_item(session, ITEM_JOB, id, on_job, r);
}

void job_cancel(struct http_request *r, void *arg)
{
    int64_t id = 0;
    struct session *session = livy_find_session(arg, r, RIGHT_MODIFY);
    if (session == NULL || !livy_param_int(r, 1, &id) || !session_require_active(r, session))
        return;
    session_cancel(session, ITEM_JOB, id);
    livy_reply_empty(r, 200);
}
