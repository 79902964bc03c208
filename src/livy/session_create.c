/*
 * POST /sessions: the fields that only sessions have, and the way to the core.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

struct session_creation {
    struct program_request common; /* first, so that creation_run() can hand it back */
    const char *kind;
    char *ttl, *idle_timeout;
    int64_t ttl_ms, idle_timeout_ms; /* 0: the server's setting */
    int64_t heartbeat_s;             /* 0: none */
    struct buf asked;                /* the fields as they came, for answers */
};

static void session_creation_clear(struct session_creation *s)
{
    program_request_clear(&s->common);
    mem_free(s->ttl);
    mem_free(s->idle_timeout);
    buf_clear(&s->asked);
}

static enum err_code read_fields(struct session_creation *s, json_t *body, struct err *err)
{
    struct json_in in;
    s->kind = "shared";
    json_in_open(&in, body, err);
    value_read_kind(&in, &s->kind);
    json_in_int(&in, "heartbeatTimeoutInSecond", 0, INT32_MAX, &s->heartbeat_s);
    json_in_str(&in, "ttl", &s->ttl);
    json_in_str(&in, "idleTimeout", &s->idle_timeout);
    program_request_read(&s->common, &in);
    return json_in_end(&in);
}

/* As answers show them, in the order of Livy's object. */
static enum err_code write_asked(struct session_creation *s, struct err *err)
{
    const struct program_request *p = &s->common;
    struct json_out out;
    json_out_open(&out, &s->asked);
    json_out_object(&out, NULL);
    json_out_str(&out, "ttl", s->ttl);
    json_out_str(&out, "idleTimeout", s->idle_timeout);
    json_out_str(&out, "driverMemory", p->driver_memory);
    json_out_int(&out, "driverCores", p->driver_cores);
    json_out_str(&out, "executorMemory", p->executor_memory);
    json_out_int(&out, "executorCores", p->executor_cores);
    json_out_map(&out, "conf", &p->submission.conf);
    json_out_list(&out, "archives", &p->archives);
    json_out_list(&out, "files", &p->files);
    json_out_int(&out, "heartbeatTimeoutInSecond", s->heartbeat_s);
    json_out_list(&out, "jars", &p->jars);
    json_out_int(&out, "numExecutors", p->num_executors);
    json_out_list(&out, "pyFiles", &p->submission.py_files);
    json_out_str(&out, "queue", p->submission.queue);
    json_out_end_object(&out);
    return buf_check(&s->asked, err);
}

static enum err_code read_timeouts(struct session_creation *s, struct err *err)
{
    enum err_code rc = s->ttl != NULL ? value_timeout(s->ttl, &s->ttl_ms, err) : ERR_OK;
    if (rc == ERR_OK && s->idle_timeout != NULL)
        rc = value_timeout(s->idle_timeout, &s->idle_timeout_ms, err);
    return rc;
}

static enum err_code hand_over(struct livy *l, const struct program_request *p, const char *owner,
                               const struct store_key *key, apps_submit_cb *done, void *arg, struct err *err)
{
    const struct session_creation *s = (const struct session_creation *)p;
    struct session_request request = {
        .owner = owner,
        .proxy_user = p->submission.proxy_user,
        .kind = s->kind,
        .submission = &p->submission,
        .asked = buf_cstr(&s->asked),
        .idle_timeout_ms = s->idle_timeout_ms,
        .ttl_ms = s->ttl_ms,
        .heartbeat_ms = s->heartbeat_s * 1000,
        .key = key,
    };
    return sessions_create(l->sessions, &request, done, arg, err);
}

void sessions_post(struct http_request *r, void *arg)
{
    enum { ASKED_MAX = 64 << 20 }; /* the body's limit is smaller, in all but strange settings */
    struct livy *l = arg;
    struct err err = {0};
    cleanup(session_creation_clear) struct session_creation s = {
        .common = {.kind = APP_SESSION},
        .asked = BUF(ASKED_MAX),
    };
    cleanup(json_decrefp) json_t *body = livy_read_body(l, r);
    if (body == NULL)
        return;
    if (read_fields(&s, body, &err) != ERR_OK)
        livy_reply_unreadable(r, &err);
    else if (read_timeouts(&s, &err) != ERR_OK || write_asked(&s, &err) != ERR_OK)
        creation_reply_rejected(r, &err);
    else
        creation_run(l, r, &s.common, hand_over);
}
