/*
 * One session's agent: what it tells, what of that is written down, and what it is told after each
 * connection.
 *
 * A message that changes something is acknowledged when its effect is on disk. When the disk refuses, the
 * connection is dropped: the agent comes back and tells everything again from the last acknowledged one.
 */
#include "session/session_internal.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

enum { FACTS_MAX = 64 << 10 };

/* ---- facts ---- */

void agent_facts_clear(struct agent_facts *facts)
{
    mem_free(facts->spark_version);
    mem_free(facts->scala_version);
    *facts = (struct agent_facts){0};
}

bool agent_facts_read(struct agent_facts *facts, const char *text)
{
    struct err err = {0};
    struct json_in in;
    cleanup(json_decrefp) json_t *value = NULL;
    if (json_parse(text, strlen(text), 8, &value, &err) == ERR_OK) {
        json_in_open(&in, value, &err);
        json_in_bool(&in, "warm", &facts->warm);
        json_in_bool(&in, "ready", &facts->ready);
        json_in_bool(&in, "jvmGone", &facts->jvm_gone);
        json_in_str(&in, "spark", &facts->spark_version);
        json_in_str(&in, "scala", &facts->scala_version);
        (void)json_in_end(&in); /* a newer hearth may have kept more */
    }
    return err.code != ERR_NOMEM;
}

/* NULL: out of memory. */
static char *facts_text(const struct agent_facts *facts)
{
    cleanup(buf_clear) struct buf text = BUF(FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_bool(&out, "warm", facts->warm);
    json_out_bool(&out, "ready", facts->ready);
    json_out_bool(&out, "jvmGone", facts->jvm_gone);
    json_out_str(&out, "spark", facts->spark_version);
    json_out_str(&out, "scala", facts->scala_version);
    json_out_end_object(&out);
    return buf_steal(&text);
}

/* ---- writing down ---- */

struct record {
    struct sessions *sessions;
    int64_t session, seq;
    enum item_type type;
    int64_t item; /* -1: none */
    void (*written)(struct session *session, enum item_type type, int64_t id);
};

static void on_recorded(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct record r = *(struct record *)arg;
    (void)id;
    (void)replayed;
    mem_free(arg);
    struct session *session = r.sessions->closing ? NULL : sessions_find(r.sessions, r.session);
    if (session == NULL)
        return;
    if (err->code != ERR_OK) {
        log_error("what a driver told could not be written; it will tell it again",
                  LOG_I("session", r.session), LOG_S("why", err->msg));
        if (session->link != NULL)
            link_drop(session->link);
        return;
    }
    if (r.seq > session->last_seq)
        session->last_seq = r.seq;
    if (session->link != NULL)
        link_ack(session->link, r.seq);
    if (r.written != NULL)
        r.written(session, r.type, r.item);
}

void agent_record(struct session *session, int64_t seq, const struct store_item *item,
                  void (*written)(struct session *session, enum item_type type, int64_t id))
{
    struct record *r = mem_calloc(1, sizeof *r);
    cleanup(mem_freep) char *facts = facts_text(&session->agent);
    if (r == NULL || facts == NULL) {
        mem_free(r);
        link_drop(session->link); /* it tells it again, perhaps when there is memory */
        return;
    }
    bool job = item != NULL && strcmp(item->type, "job") == 0;
    *r = (struct record){session->sessions,
                         session->id,
                         seq,
                         job ? ITEM_JOB : ITEM_STATEMENT,
                         item != NULL ? item->id : -1,
                         item != NULL ? written : NULL};
    struct store_agent row = {.session = session->id, .boot = session->boot, .last_seq = seq, .facts = facts};
    store_update_agent(session->sessions->options.store, &row, item, on_recorded, r);
}

/* ---- after a connection ---- */

struct adoption {
    struct sessions *sessions;
    int64_t session;
};

/* All of Spark's configuration that spark-submit would have made of the submission. */
static int adopted_conf(const struct session *session, const struct spark_submission *submission,
                        struct strmap *conf)
{
    char name[64];
    (void)snprintf(name, sizeof name, "livy-session-%lld", (long long)session->id);
    if (strmap_copy(conf, &submission->conf) != 0 ||
        (submission->master != NULL && strmap_set(conf, "spark.master", submission->master) != 0))
        return -1;
    if (submission->name != NULL)
        return strmap_set(conf, "spark.app.name", submission->name);
    return strmap_get(conf, "spark.app.name") != NULL ? 0 : strmap_set(conf, "spark.app.name", name);
}

static enum err_code send_adopt(struct session *session, const char *submission_text, struct err *err)
{
    struct spark_submission submission = {0};
    struct strmap conf = {0};
    struct buf line = BUF(MESSAGE_LINE_MAX);
    cleanup(json_decrefp) json_t *value = NULL;
    enum err_code rc = json_parse(submission_text, strlen(submission_text), 16, &value, err);
    if (rc == ERR_OK)
        rc = spark_submission_read(&submission, value, err);
    if (rc == ERR_OK && adopted_conf(session, &submission, &conf) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) {
        message_adopt(&line, session->kind, &conf);
        if (session->link != NULL)
            link_send(session->link, &line);
    }
    buf_clear(&line);
    strmap_clear(&conf);
    spark_submission_clear(&submission);
    return rc;
}

static void on_adopt_row(const struct err *err, const struct store_app *row, const struct store_note *notes,
                         unsigned n_notes, void *arg)
{
    struct adoption a = *(struct adoption *)arg;
    struct err problem = *err;
    (void)notes;
    (void)n_notes;
    mem_free(arg);
    struct session *session = a.sessions->closing ? NULL : sessions_find(a.sessions, a.session);
    if (session == NULL)
        return;
    session->adopt_loading = false;
    if (row != NULL && send_adopt(session, row->submission, &problem) == ERR_OK)
        return;
    log_error("a driver that stood ready cannot be told whose it is", LOG_I("session", a.session),
              LOG_S("why", problem.msg));
    if (session->link != NULL)
        link_drop(session->link); /* tried again with the next connection */
}

void agent_adopt(struct session *session)
{
    bool due = session->profile != NULL && !app_info(session->app)->warm && !session->agent.ready;
    struct adoption *a = due && !session->adopt_loading ? mem_calloc(1, sizeof *a) : NULL;
    if (a == NULL)
        return;
    *a = (struct adoption){session->sessions, session->id};
    session->adopt_loading = true;
    apps_read_row(session->sessions->options.apps, APP_SESSION, session->id, on_adopt_row, a);
}

void agent_cancel(struct session *session, enum item_type type, int64_t id)
{
    struct buf line = BUF(4096);
    if (session->link == NULL)
        return;
    if (type == ITEM_STATEMENT)
        message_cancel(&line, id, session->sessions->options.settings->sessions.cancel_timeout_ms);
    else
        message_job_cancel(&line, id);
    link_send(session->link, &line);
    buf_clear(&line);
}

void agent_shutdown(struct session *session)
{
    struct buf line = BUF(256);
    if (session->link == NULL)
        return;
    message_shutdown(&line);
    link_send(session->link, &line);
    buf_clear(&line);
}

static void on_welcomed(struct session *session)
{
    link_welcome(session->link);
    agent_adopt(session);
    items_resend(session);
    if (session->agent.ready)
        questions_resend(session);
}

/* ---- what the link tells ---- */

static void on_boot_written(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct record r = *(struct record *)arg;
    (void)id;
    (void)replayed;
    mem_free(arg);
    struct session *session = r.sessions->closing ? NULL : sessions_find(r.sessions, r.session);
    if (session == NULL || session->link == NULL)
        return;
    if (err->code == ERR_OK) {
        on_welcomed(session);
        return;
    }
    mem_freep(&session->boot);
    link_refuse(session->link, err->code == ERR_CONFLICT, err->msg);
}

static void on_hello(void *arg, const char *boot, int64_t pid, int64_t last_seq)
{
    struct session *session = arg;
    (void)pid;
    (void)last_seq;
    if (session->boot != NULL) {
        if (strcmp(session->boot, boot) == 0)
            on_welcomed(session);
        else
            link_refuse(session->link, true, "this session has another driver already");
        return;
    }
    struct record *r = mem_calloc(1, sizeof *r);
    if (r == NULL || mem_set_str(&session->boot, boot) != 0) {
        mem_free(r);
        link_refuse(session->link, false, "out of memory");
        return;
    }
    *r = (struct record){.sessions = session->sessions, .session = session->id};
    struct store_agent row = {.session = session->id, .boot = boot};
    store_update_agent(session->sessions->options.store, &row, NULL, on_boot_written, r);
}

static void on_context(struct session *session, const struct agent_message *m)
{
    if (mem_set_str(&session->agent.spark_version, m->version) != 0 ||
        mem_set_str(&session->agent.scala_version, m->scala) != 0)
        log_warn("out of memory for what a driver tells", LOG_I("session", session->id));
    app_set_spark(session->app, m->app_id, m->ui);
}

static void on_jvm_exit(struct session *session, const struct agent_message *m)
{
    session->agent.jvm_gone = true;
    log_info("the JVM of a session has ended", LOG_I("session", session->id), LOG_I("exit", m->exit_code),
             LOG_I("signal", m->signal));
}

static void on_context_failed(struct session *session, const char *error)
{
    cleanup(mem_freep) char *why = mem_printf("no SparkContext: %.2000s", error);
    agent_shutdown(session);
    app_kill(session->app, why != NULL ? why : "no SparkContext", NULL, NULL);
}

static void on_result(struct session *session, struct agent_message *m)
{
    char *output = m->output;
    m->output = NULL; /* the item's now */
    items_on_result(session, ITEM_STATEMENT, m->id, m->cancelled ? ITEM_CANCELLED : ITEM_AVAILABLE, output,
                    m->at_ms, m->seq);
}

static void on_job_result(struct session *session, const struct agent_message *m)
{
    cleanup(buf_clear) struct buf text = BUF(2 * MESSAGE_LINE_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_str(&out, "result", m->job_result);
    json_out_str(&out, "error", m->error);
    json_out_end_object(&out);
    char *output = buf_steal(&text);
    if (output == NULL)
        link_drop(session->link); /* it tells it again, perhaps when there is memory */
    else
        items_on_result(session, ITEM_JOB, m->id,
                        m->cancelled ? ITEM_CANCELLED
                        : m->ok      ? ITEM_AVAILABLE
                                     : ITEM_FAILED,
                        output, m->at_ms, m->seq);
}

static void on_message(void *arg, struct agent_message *m)
{
    struct session *session = arg;
    switch (m->type) {
    case AGENT_PROGRESS: items_on_progress(session, m->id, m->progress); return;
    case AGENT_COMPLETIONS: questions_on_candidates(session, m->id, &m->candidates); return;
    case AGENT_ADDED: questions_on_added(session, m->id, m->ok, m->error); return;
    case AGENT_PONG:
    case AGENT_BYE: return;
    case AGENT_STARTED: items_on_started(session, ITEM_STATEMENT, m->id, m->at_ms, m->seq); return;
    case AGENT_JOB_STARTED: items_on_started(session, ITEM_JOB, m->id, m->at_ms, m->seq); return;
    case AGENT_RESULT: on_result(session, m); return;
    case AGENT_JOB_RESULT: on_job_result(session, m); return;
    case AGENT_STATE:
        session->agent.ready = true;
        agent_record(session, m->seq, NULL, NULL);
        questions_resend(session);
        items_pump(session);
        session_refresh(session);
        return;
    case AGENT_WARM:
        session->agent.warm = true;
        agent_record(session, m->seq, NULL, NULL);
        return;
    case AGENT_CONTEXT:
        on_context(session, m);
        agent_record(session, m->seq, NULL, NULL);
        return;
    case AGENT_CONTEXT_FAILED:
        agent_record(session, m->seq, NULL, NULL);
        on_context_failed(session, m->error);
        return;
    case AGENT_JVM_EXIT:
        on_jvm_exit(session, m);
        agent_record(session, m->seq, NULL, NULL);
        return;
    case AGENT_TROUBLE:
        app_set_trouble(session->app, m->error);
        agent_record(session, m->seq, NULL, NULL);
        return;
    case AGENT_STUCK:
        log_warn("a cancelled statement does not end", LOG_I("session", session->id), LOG_I("id", m->id));
        agent_record(session, m->seq, NULL, NULL);
        return;
    }
}

void agent_open(struct session *session)
{
    static const struct link_events events = {.on_hello = on_hello, .on_message = on_message};
    unsigned char token[TOKEN_BYTES];
    if (session->link != NULL || session->sessions->closing)
        return;
    launch_token(session->sessions, session->id, token);
    session->link =
        link_session_new(session->sessions->link, session->id, token, session->last_seq, &events, session);
    if (session->link == NULL)
        log_error("out of memory: a driver is not heard now; trying again", LOG_I("session", session->id));
}
