/*
 * Status, kill, the calls for all submissions, and what is answered to any other address below a protocol
 * version. The table of routes is at the foot.
 */
#include "submissions/submissions_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define HINT "Please submit requests through http://[host]:[port]/v1/submissions/..."

/* ---- one submission ---- */

/* NULL: the id is no batch's. */
static struct app *find(const struct submissions *s, const char *id)
{
    char exact[SUBMISSION_ID_MAX];
    int64_t number = submission_id_number(id);
    struct app *app = number >= 0 ? apps_find(s->options.apps, APP_BATCH, number) : NULL;
    if (app == NULL)
        return NULL;
    submission_id_write(app_info(app), exact);
    return strcmp(exact, id) == 0 ? app : NULL;
}

static const char *state_word(enum app_state state)
{
    static const char *const words[APP_STATES] = {
        [APP_WAITING] = "SUBMITTED", [APP_LAUNCHING] = "SUBMITTED", [APP_RUNNING] = "RUNNING",
        [APP_STOPPING] = "RUNNING",  [APP_SUCCESS] = "FINISHED",    [APP_DEAD] = "FAILED",
        [APP_KILLED] = "KILLED",
    };
    return words[state];
}

static void status(struct http_request *r, void *arg)
{
    const struct submissions *s = arg;
    struct err err;
    const char *user = NULL;
    const struct app *app = find(s, http_param(r, 0));
    struct submission_answer answer = {
        .action = "SubmissionStatusResponse",
        .submission_id = http_param(r, 0),
        .success = app != NULL ? SUBMISSION_SUCCESS : SUBMISSION_FAILURE,
    };
    if (door_effective_user(s->options.door, r, &user, &err) != ERR_OK) {
        submissions_reply_refused(s, r, &err);
        return;
    }
    if (app != NULL) {
        const struct app_info *info = app_info(app);
        answer.driver_state = state_word(info->state);
        answer.worker = info->worker;
        /* Clients show a message as an error. */
        if (info->state != APP_SUCCESS && door_may_view(s->options.door, user, info))
            answer.message = info->reason;
    }
    submissions_reply(s, r, 200, &answer);
}

struct killing {
    const struct submissions *submissions;
    struct http_request *request;
    char id[SUBMISSION_ID_MAX];
};

static void reply_kill(const struct submissions *s, struct http_request *r, const char *id, int success)
{
    char message[512];
    (void)snprintf(message, sizeof message,
                   success == SUBMISSION_SUCCESS ? "Kill request for %.300s submitted"
                                                 : "Driver %.300s has already finished or does not exist",
                   id);
    submissions_reply(s, r, 200,
                      &(struct submission_answer){
                          .action = "KillSubmissionResponse",
                          .message = message,
                          .submission_id = id,
                          .success = success,
                      });
}

static void on_killed(const struct err *err, void *arg)
{
    struct killing k = *(struct killing *)arg;
    mem_free(arg);
    if (err->code == ERR_OK)
        reply_kill(k.submissions, k.request, k.id, SUBMISSION_SUCCESS);
    else
        submissions_reply_refused(k.submissions, k.request, err);
}

static void start_kill(struct submissions *s, struct http_request *r, struct app *app)
{
    struct killing *k = mem_calloc(1, sizeof *k);
    if (k == NULL) {
        http_reply(r, NULL);
        return;
    }
    k->submissions = s;
    k->request = r;
    submission_id_write(app_info(app), k->id);
    app_kill(app, "killed by request", on_killed, k);
}

static void kill_one(struct http_request *r, void *arg)
{
    struct submissions *s = arg;
    struct err err;
    const char *user = NULL;
    struct app *app = find(s, http_param(r, 0));
    if (door_effective_user(s->options.door, r, &user, &err) != ERR_OK)
        submissions_reply_refused(s, r, &err);
    else if (app == NULL || app_state_is_end(app_info(app)->state))
        reply_kill(s, r, http_param(r, 0), SUBMISSION_FAILURE);
    else if (!door_may_modify(s->options.door, user, app_info(app)))
        submissions_reply_error(s, r, 403, "%s belongs to another user", http_param(r, 0));
    else
        start_kill(s, r, app);
}

/* ---- all submissions ---- */

/* A call that is answered once all that it has begun is on disk. */
struct sweep {
    const struct submissions *submissions;
    struct http_request *request;
    const char *action, *message;
    size_t pending;
    struct err err; /* the first one */
};

static void on_swept(const struct err *err, void *arg)
{
    struct sweep *w = arg;
    if (err->code != ERR_OK && w->err.code == ERR_OK)
        w->err = *err;
    if (--w->pending > 0)
        return;
    if (w->err.code == ERR_OK)
        submissions_reply(w->submissions, w->request, 200,
                          &(struct submission_answer){
                              .action = w->action, .message = w->message, .success = SUBMISSION_SUCCESS});
    else
        submissions_reply_refused(w->submissions, w->request, &w->err);
    mem_free(w);
}

/* Of the batches that came in by this door and that the user may change: kills those that live, or takes off
 * the lists those that have ended. */
static void sweep(struct submissions *s, struct http_request *r, bool living, const struct sweep *words)
{
    struct err err = {0};
    const char *user = NULL;
    if (door_effective_user(s->options.door, r, &user, &err) != ERR_OK) {
        submissions_reply_refused(s, r, &err);
        return;
    }
    struct sweep *w = mem_alloc(sizeof *w);
    if (w == NULL) {
        http_reply(r, NULL);
        return;
    }
    *w = *words;
    w->submissions = s;
    w->request = r;
    w->pending = 1; /* until all have begun */
    /* The newest first: so nobody who waits takes the place of one that was just killed, and none is passed
     * over when one leaves the list. */
    for (size_t i = apps_count(s->options.apps, APP_BATCH); i-- > 0;) {
        struct app *app = apps_at(s->options.apps, APP_BATCH, i);
        const struct app_info *info = app_info(app);
        if (info->door == NULL || strcmp(info->door, submissions_mark) != 0 ||
            app_state_is_end(info->state) == living || !door_may_modify(s->options.door, user, info))
            continue;
        w->pending++;
        if (living)
            app_kill(app, "killed by request", on_swept, w);
        else
            app_dismiss(app, "cleared by request", on_swept, w);
    }
    on_swept(&err, w);
}

static void kill_all(struct http_request *r, void *arg)
{
    sweep(arg, r, true,
          &(struct sweep){.action = "KillAllSubmissionResponse",
                          .message = "Kill request for all drivers submitted"});
}

static void clear(struct http_request *r, void *arg)
{
    sweep(arg, r, false, &(struct sweep){.action = "ClearResponse", .message = ""});
}

static void readyz(struct http_request *r, void *arg)
{
    const struct submissions *s = arg;
    if (s->options.spark == NULL)
        submissions_reply_error(s, r, 503, "%s", s->options.spark_missing);
    else
        submissions_reply(s, r, 200,
                          &(struct submission_answer){
                              .action = "ReadyzResponse", .message = "", .success = SUBMISSION_SUCCESS});
}

/* ---- other addresses ---- */

static void status_without_id(struct http_request *r, void *arg)
{
    submissions_reply_error(arg, r, 400, "Submission ID is missing in status request.");
}

static void kill_without_id(struct http_request *r, void *arg)
{
    submissions_reply_error(arg, r, 400, "Submission ID is missing in kill request.");
}

static void no_submissions(struct http_request *r, void *arg)
{
    submissions_reply_error(arg, r, 400, "Missing the /submissions prefix. " HINT);
}

static void no_action(struct http_request *r, void *arg)
{
    submissions_reply_error(arg, r, 400,
                            "Missing an action: please specify one of /create, /kill, /killall, /clear, "
                            "/status, or /readyz. " HINT);
}

/* The method of an action, NULL when there is no such action. */
static const char *method_of(const char *action)
{
    static const char *const by_post[] = {"create", "kill", "killall", "clear"};
    for (size_t i = 0; i < sizeof by_post / sizeof *by_post; i++)
        if (strcmp(action, by_post[i]) == 0)
            return "POST";
    return strcmp(action, "status") == 0 || strcmp(action, "readyz") == 0 ? "GET" : NULL;
}

/* A known action that comes here was asked by another method than its own, or has too many parts. */
static void other_action(struct http_request *r, void *arg)
{
    const char *method = method_of(http_param(r, 0));
    if (method == NULL || strcmp(method, http_method(r)) == 0) {
        no_action(r, arg);
        return;
    }
    struct http_answer *a = http_answer_empty(405, HTTP_JSON);
    if (a != NULL)
        (void)http_answer_header(a, "Allow", strcmp(method, "GET") == 0 ? "GET, HEAD" : method);
    http_reply(r, a);
}

static void other_version(struct http_request *r, void *arg)
{
    enum { UNKNOWN_PROTOCOL_VERSION = 468 };
    const char *version = http_param(r, 0);
    char message[512];
    if (version[0] != 'v' || version[1 + strspn(version + 1, "0123456789")] != '\0') {
        http_reply(r, http_answer_empty(404, HTTP_JSON));
        return;
    }
    (void)snprintf(message, sizeof message, "Unknown protocol version '%.100s'. " HINT, version);
    submissions_reply(
        arg, r, UNKNOWN_PROTOCOL_VERSION,
        &(struct submission_answer){.action = "ErrorResponse", .highest_version = "v1", .message = message});
}

/* Where rows of one path follow each other the first that fits is taken. */
static const struct http_route routes[] = {
    {"POST", "/v1/submissions/create", submissions_create,
     "Submit an application, as Spark's REST clients do", false},
    {"GET", "/v1/submissions/status/{id}", status, "The state of a submission", false},
    {"POST", "/v1/submissions/kill/{id}", kill_one, "End a submission", false},
    {"POST", "/v1/submissions/killall", kill_all, "End all submissions", false},
    {"POST", "/v1/submissions/clear", clear, "Take the ended submissions off the list", false},
    {"GET", "/v1/submissions/readyz", readyz, "Submissions can be taken", false},
    {"GET", "/v1/submissions/status", status_without_id, "400: an id is missing", false},
    {"POST", "/v1/submissions/kill", kill_without_id, "400: an id is missing", false},
    {"GET", "/v1", no_submissions, "400: how the address goes on", false},
    {"GET", "/v1/submissions", no_action, "400: how the address goes on", false},
    {"POST", "/v1/submissions", no_action, "400: how the address goes on", false},
    {"GET", "/v1/submissions/{action}", other_action, "405, or 400: which actions there are", false},
    {"POST", "/v1/submissions/{action}", other_action, "405, or 400: which actions there are", false},
    {"PUT", "/v1/submissions/{action}", other_action, "405, or 400: which actions there are", false},
    {"DELETE", "/v1/submissions/{action}", other_action, "405, or 400: which actions there are", false},
    {"GET", "/v1/submissions/{action}/{id}", other_action, "405, or 400: which actions there are", false},
    {"POST", "/v1/submissions/{action}/{id}", other_action, "405, or 400: which actions there are", false},
    {"PUT", "/v1/submissions/{action}/{id}", other_action, "405, or 400: which actions there are", false},
    {"DELETE", "/v1/submissions/{action}/{id}", other_action, "405, or 400: which actions there are", false},
    {"GET", "/{version}/submissions", other_version, "468: which version there is", false},
    {"GET", "/{version}/submissions/{action}", other_version, "468: which version there is", false},
    {"POST", "/{version}/submissions/{action}", other_version, "468: which version there is", false},
    {"GET", "/{version}/submissions/{action}/{id}", other_version, "468: which version there is", false},
    {"POST", "/{version}/submissions/{action}/{id}", other_version, "468: which version there is", false},
};

struct submissions *submissions_open(const struct submissions_options *options)
{
    struct submissions *s = mem_calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->options = *options;
    http_mount(options->server, routes, sizeof routes / sizeof *routes, s);
    return s;
}

void submissions_close(struct submissions *s)
{
    mem_free(s);
}
