/*
 * Questions to the driver that are answered at once or not at all: completion, files to add. They are not
 * on disk: whoever asked sees the server go.
 */
#include "session/session_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>
#include <utlist.h>

enum { COMPLETION_LIMIT_MS = 30 * 1000 };

/* Takes it off the list and tells whoever asked. */
static void answer(struct session *session, struct question *q, const struct err *err,
                   const struct strlist *candidates)
{
    DL_DELETE(session->questions, q);
    if (q->on_candidates != NULL)
        q->on_candidates(err, err->code == ERR_OK ? candidates : NULL, q->arg);
    else
        q->on_added(err, q->arg);
    mem_free(q->line);
    mem_free(q);
}

static struct question *find(const struct session *session, int64_t id)
{
    struct question *q;
    DL_SEARCH_SCALAR(session->questions, q, id, id);
    return q;
}

static void send_line(struct session *session, const struct question *q)
{
    struct buf line = BUF(MESSAGE_LINE_MAX);
    buf_str(&line, q->line);
    if (session->link != NULL)
        link_send(session->link, &line);
    buf_clear(&line);
}

/* Takes the line's memory. NULL: out of memory. */
static struct question *ask(struct session *session, struct buf *line, void *arg)
{
    struct question *q = mem_calloc(1, sizeof *q);
    if (q == NULL || (q->line = buf_steal(line)) == NULL) {
        mem_free(q);
        buf_clear(line);
        return NULL;
    }
    q->id = session->sessions->next_question - 1; /* the line has it */
    q->arg = arg;
    DL_APPEND(session->questions, q);
    session_note_activity(session);
    return q;
}

enum err_code session_complete(struct session *session, const char *kind, const char *code, int64_t cursor,
                               session_completion_cb *done, void *arg, struct err *err)
{
    enum session_state state = session_state(session);
    if (state != SESSION_IDLE && state != SESSION_BUSY)
        return err_set(err, ERR_CONFLICT, "Session is in state %s", session_state_name(state));
    struct buf line = BUF(MESSAGE_LINE_MAX);
    message_complete(&line, session->sessions->next_question++, kind, code, cursor);
    struct question *q = ask(session, &line, arg);
    if (q == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    q->on_candidates = done;
    q->deadline_ms = clock_mono_ms() + COMPLETION_LIMIT_MS;
    send_line(session, q);
    return ERR_OK;
}

enum err_code session_add(struct session *session, const char *what, const char *uri, app_done_cb *done,
                          void *arg, struct err *err)
{
    enum session_state state = session_state(session);
    if (state == SESSION_SHUTTING_DOWN || session_state_is_end(state))
        return err_set(err, ERR_CONFLICT, "Session is in state %s", session_state_name(state));
    struct buf line = BUF(MESSAGE_LINE_MAX);
    message_add(&line, session->sessions->next_question++, what, uri);
    struct question *q = ask(session, &line, arg);
    if (q == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    q->on_added = done;
    if (session->agent.ready)
        send_line(session, q);
    return ERR_OK;
}

void questions_resend(struct session *session)
{
    struct question *q;
    DL_FOREACH(session->questions, q)
    {
        send_line(session, q);
    }
}

void questions_fail(struct session *session, const struct err *err)
{
    while (session->questions != NULL)
        answer(session, session->questions, err, NULL);
}

void questions_check_deadlines(struct session *session)
{
    int64_t now = clock_mono_ms();
    struct question *q;
    struct question *next;
    DL_FOREACH_SAFE(session->questions, q, next)
    {
        struct err err;
        if (q->deadline_ms == 0 || now < q->deadline_ms)
            continue;
        err_set(&err, ERR_TIMEOUT, "the driver did not answer within %d s", COMPLETION_LIMIT_MS / 1000);
        answer(session, q, &err, NULL);
    }
}

void questions_on_candidates(struct session *session, int64_t id, const struct strlist *candidates)
{
    struct err ok = {0};
    struct question *q = find(session, id);
    if (q != NULL && q->on_candidates != NULL)
        answer(session, q, &ok, candidates);
}

void questions_on_added(struct session *session, int64_t id, bool ok, const char *error)
{
    struct err err = {0};
    struct question *q = find(session, id);
    if (!ok)
        err_set(&err, ERR_INVALID, "%s", error != NULL ? error : "the driver could not add it");
    if (q != NULL && q->on_added != NULL)
        answer(session, q, &err, NULL);
}
