/*
 * /sessions: list, get, state, log, connect, stop, interrupt, delete, and hearth's records of them. The
 * table of all routes of sessions is at the foot.
 */
#include "livy/livy_internal.h"

bool session_require_active(struct http_request *r, const struct session *session)
{
    enum session_state state = session_state(session);
    if (state != SESSION_SHUTTING_DOWN && state != SESSION_DEAD && state != SESSION_KILLED)
        return true;
    livy_reply_msg(r, 400, "requirement failed: Session isn't active.");
    return false;
}

/* For what is shown of its application. */
static struct app *find_app(struct livy *l, struct http_request *r, enum right right)
{
    struct app *app = livy_find(l, r, APP_SESSION, right);
    if (app != NULL)
        session_touch(session_of(l->sessions, app));
    return app;
}

static void sessions_list(struct http_request *r, void *arg)
{
    views_reply_list(arg, r, APP_SESSION);
}

static void session_get(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    const char *user = NULL;
    struct app *app = find_app(l, r, RIGHT_NONE);
    if (app == NULL || !livy_effective_user(l, r, &user))
        return;
    bool viewable = door_may_view(l->door, user, app_info(app));
    views_reply_app(l, r, app, viewable ? VIEW_LOG : VIEW_PUBLIC, KEYS_ALL);
}

static void session_get_state(struct http_request *r, void *arg)
{
    const struct app *app = find_app(arg, r, RIGHT_NONE);
    if (app != NULL)
        views_reply_state(arg, r, app);
}

static void session_get_log(struct http_request *r, void *arg)
{
    const struct app *app = find_app(arg, r, RIGHT_VIEW);
    if (app != NULL)
        logs_reply(arg, r, app);
}

/* Somebody takes up a session that is there already. The body is not looked at. */
static void session_connect(struct http_request *r, void *arg)
{
    struct livy *l = arg;
    struct app *app = livy_find(l, r, APP_SESSION, RIGHT_MODIFY);
    if (app == NULL)
        return;
    session_note_activity(session_of(l->sessions, app));
    views_reply_app(l, r, app, VIEW_LOG, view_keys_for(r));
}

static void on_stopped(const struct err *err, void *arg)
{
    if (err->code == ERR_OK)
        livy_reply_empty(arg, 204);
    else
        livy_reply_error(arg, err);
}

static void session_post_stop(struct http_request *r, void *arg)
{
    struct session *session = livy_find_session(arg, r, RIGHT_MODIFY);
    if (session != NULL)
        session_stop(session, "stopped by request", on_stopped, r);
}

static void session_post_interrupt(struct http_request *r, void *arg)
{
    struct session *session = livy_find_session(arg, r, RIGHT_MODIFY);
    if (session == NULL)
        return;
    session_interrupt(session);
    livy_reply_msg(r, 200, "interrupted");
}

static void on_deleted(const struct err *err, void *arg)
{
    if (err->code == ERR_OK)
        livy_reply_msg(arg, 200, "deleted");
    else
        livy_reply_error(arg, err);
}

static void session_remove(struct http_request *r, void *arg)
{
    struct session *session = livy_find_session(arg, r, RIGHT_MODIFY);
    if (session != NULL)
        session_delete(session, "deleted by request", on_deleted, r);
}

static void session_record(struct http_request *r, void *arg)
{
    record_reply(arg, r, APP_SESSION);
}

static void session_record_log(struct http_request *r, void *arg)
{
    logs_reply_record(arg, r, APP_SESSION);
}

static void session_kill(struct http_request *r, void *arg)
{
    struct session *session = livy_find_session(arg, r, RIGHT_MODIFY);
    if (session != NULL)
        session_stop(session, "killed by request", record_killed, r);
}

#define SESSION "/sessions/{id}"

const struct http_route livy_session_routes[] = {
    {"GET", "/sessions", sessions_list, "List sessions, oldest first", false},
    {"POST", "/sessions", sessions_post, "Start a session", false},
    {"GET", SESSION, session_get, "One session", false},
    {"DELETE", SESSION, session_remove, "End its driver, and take it off the list", false},
    {"GET", SESSION "/state", session_get_state, "Its state alone", false},
    {"GET", SESSION "/log", session_get_log, "Lines of its driver's output", false},
    {"GET", SESSION "/events", session_follow, "Its changes as they come (server-sent events)", false},
    {"POST", SESSION "/connect", session_connect, "Take up a session that is there already", false},
    {"POST", SESSION "/stop", session_post_stop, "End its driver and keep it listed", false},
    {"POST", SESSION "/interrupt", session_post_interrupt, "Cancel all its statements", false},
    {"GET", SESSION "/statements", statements_list, "Its statements", false},
    {"POST", SESSION "/statements", statements_post, "Run code", false},
    {"GET", SESSION "/statements/{n}", statement_get, "One statement", false},
    {"POST", SESSION "/statements/{n}/cancel", statement_cancel, "Cancel a statement", false},
    {"POST", SESSION "/completion", statement_complete, "What could follow at a place in code", false},
    {"POST", SESSION "/submit-job", jobs_post, "Run a serialized function", false},
    {"POST", SESSION "/run-job", jobs_post, "Run a serialized function", false},
    {"GET", SESSION "/jobs/{n}", job_get, "One job", false},
    {"POST", SESSION "/jobs/{n}/cancel", job_cancel, "Cancel a job", false},
    {"POST", SESSION "/add-file", files_add, "Give it a file", false},
    {"POST", SESSION "/add-pyfile", pyfiles_add, "Give it Python code", false},
    {"POST", SESSION "/add-jar", jars_add, "Give it a jar", false},
    {"POST", SESSION "/upload-file", files_upload, "Give it a file from the client", true},
    {"POST", SESSION "/upload-pyfile", pyfiles_upload, "Give it Python code from the client", true},
    {"POST", SESSION "/upload-jar", jars_upload, "Give it a jar from the client", true},
    {"GET", "/hearth/sessions/{id}", session_record, "All that is known, of deleted ones too", false},
    {"GET", "/hearth/sessions/{id}/log", session_record_log, "Output by stream; can wait for more", false},
    {"GET", "/hearth/sessions/{id}/statements", statements_list_record, "Of deleted ones, too", false},
    {"POST", "/hearth/sessions/{id}/kill", session_kill, "End it and keep it listed", false},
};
const size_t livy_session_routes_count = sizeof livy_session_routes / sizeof *livy_session_routes;
