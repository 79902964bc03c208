/*
 * The collection of sessions: opening it, creating and ending sessions, and what state each is in.
 *
 * A session's state is not stored: it follows from its application's state, from what its agent told, and
 * from whether an item waits or runs.
 */
#include "session/session_internal.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/work.h"

#include <string.h>
#include <utlist.h>

enum { TICK_MS = 1000, DOOR_MAX = 64 << 20, DOOR_DEPTH = 32 };

static const char *const state_names[SESSION_STATES] = {
    [SESSION_STARTING] = "starting", [SESSION_IDLE] = "idle",
    [SESSION_BUSY] = "busy",         [SESSION_SHUTTING_DOWN] = "shutting_down",
    [SESSION_ERROR] = "error",       [SESSION_DEAD] = "dead",
    [SESSION_KILLED] = "killed",
};

const char *session_state_name(enum session_state state)
{
    return state_names[state];
}

bool session_state_is_end(enum session_state state)
{
    return state == SESSION_ERROR || state == SESSION_DEAD || state == SESSION_KILLED;
}

const char *session_kind_find(const char *word)
{
    static const char *const words[][2] = {
        {"spark", "spark"}, {"scala", "spark"},   {"pyspark", "pyspark"}, {"python", "pyspark"},
        {"r", "sparkr"},    {"sparkr", "sparkr"}, {"sql", "sql"},         {"shared", "shared"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], word) == 0)
            return words[i][1];
    return NULL;
}

/* ---- what the application keeps for its session ---- */

char *session_door(const char *kind, const char *asked, int64_t idle_timeout_ms, int64_t ttl_ms,
                   int64_t heartbeat_ms, const char *profile)
{
    cleanup(buf_clear) struct buf text = BUF(DOOR_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_str(&out, "kind", kind);
    json_out_int(&out, "idleMs", idle_timeout_ms);
    json_out_int(&out, "ttlMs", ttl_ms);
    json_out_int(&out, "heartbeatMs", heartbeat_ms);
    json_out_str(&out, "profile", profile);
    json_out_raw(&out, "asked", asked);
    json_out_end_object(&out);
    return buf_steal(&text);
}

static enum err_code read_door(struct session *session, const char *door, struct err *err)
{
    cleanup(json_decrefp) json_t *value = NULL;
    struct json_in in;
    if (json_parse(door, strlen(door), DOOR_DEPTH, &value, err) != ERR_OK)
        return err->code;
    json_in_open(&in, value, err);
    json_in_str(&in, "kind", &session->kind);
    json_in_int(&in, "idleMs", 0, INT64_MAX, &session->idle_timeout_ms);
    json_in_int(&in, "ttlMs", 0, INT64_MAX, &session->ttl_ms);
    json_in_int(&in, "heartbeatMs", 0, INT64_MAX, &session->heartbeat_ms);
    json_in_str(&in, "profile", &session->profile);
    json_t *asked = json_in_value(&in, "asked");
    if (json_in_end(&in) != ERR_OK)
        return err->code;
    mem_free(session->asked);
    session->asked = asked != NULL ? json_text(asked) : NULL;
    return session->asked != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- one session ---- */

struct session *sessions_find(struct sessions *s, int64_t id)
{
    struct session *session = NULL;
    HASH_FIND(hh, s->by_id, &id, sizeof id, session);
    return session;
}

struct session *session_of(struct sessions *s, const struct app *app)
{
    return sessions_find(s, app_info(app)->id);
}

static void fail_questions(struct session *session)
{
    struct err err;
    err_set(&err, ERR_CONFLICT, "the session has ended");
    questions_fail(session, &err);
}

/* Nothing more will happen to it. */
static void release_watchers(struct session *session)
{
    struct session_watcher *watcher;
    while ((watcher = session->watchers) != NULL) {
        session_unwatch(watcher);
        watcher->on_event(session, NULL, true, watcher->arg);
    }
}

static void session_free(struct session *session)
{
    if (session == NULL)
        return;
    release_watchers(session);
    fail_questions(session);
    link_session_free(session->link);
    if (session->app != NULL) {
        app_unwait(&session->app_waiter);
        HASH_DEL(session->sessions->by_id, session);
    }
    items_free(session);
    agent_facts_clear(&session->agent);
    mem_free(session->boot);
    mem_free(session->kind);
    mem_free(session->asked);
    mem_free(session->profile);
    mem_free(session);
}

static bool has_ended(const struct session *session)
{
    return app_state_is_end(app_info(session->app)->state);
}

/* Why a driver that had been ready is not there any more. */
static enum session_state end_state(const struct session *session)
{
    const struct app_info *info = app_info(session->app);
    bool by_cluster = info->launcher_state != NULL && strcmp(info->launcher_state, "KILLED") == 0;
    bool by_itself = info->state == APP_DEAD && info->diagnosis.signal == 0 && info->diagnosis.exit_code >= 0;
    if (by_cluster)
        return SESSION_KILLED;
    return by_itself && session->agent.ready && !session->agent.jvm_gone ? SESSION_ERROR : SESSION_DEAD;
}

enum session_state session_state(const struct session *session)
{
    switch (app_info(session->app)->state) {
    case APP_WAITING: return SESSION_STARTING;
    case APP_LAUNCHING:
    case APP_RUNNING:
        if (!session->agent.ready)
            return SESSION_STARTING;
        return session->unfinished > 0 ? SESSION_BUSY : SESSION_IDLE;
    case APP_STOPPING: return SESSION_SHUTTING_DOWN;
    case APP_SUCCESS:
    case APP_DEAD:
    case APP_KILLED:
    case APP_STATES: break;
    }
    return end_state(session);
}

struct session_info session_info(const struct session *session)
{
    return (struct session_info){
        .app = app_info(session->app),
        .state = session_state(session),
        .kind = session->kind,
        .asked = session->asked,
        .idle_timeout_ms = session->idle_timeout_ms,
        .ttl_ms = session->ttl_ms,
        .heartbeat_ms = session->heartbeat_ms,
        .last_activity_ms = session->active_wall_ms,
        .spark_version = session->agent.spark_version,
        .scala_version = session->agent.scala_version,
        .statements = session->statements,
        .warm_start = session->profile != NULL,
    };
}

void session_touch(struct session *session)
{
    session->touched_ms = clock_mono_ms();
}

void session_note_activity(struct session *session)
{
    session_touch(session);
    session->active_ms = session->touched_ms;
    session->active_wall_ms = clock_wall_ms();
}

/* ---- changes ---- */

/* Calls on_event of everybody who watches now; they may stop watching meanwhile. */
static void tell(struct session *session, const struct item_view *item)
{
    int n = 0;
    struct session_watcher *w;
    DL_COUNT(session->watchers, w, n);
    while (n-- > 0 && (w = session->watchers) != NULL) {
        session_unwatch(w); /* to the end of the list, so that each is called once */
        session_watch(session, w);
        w->on_event(session, item, false, w->arg);
    }
}

void session_tell_item(struct session *session, const struct item *item)
{
    struct item_view view = item_view_of(item);
    if (item->type == ITEM_STATEMENT && session->watchers != NULL)
        tell(session, &view);
}

void session_watch(struct session *session, struct session_watcher *watcher)
{
    watcher->session = session;
    DL_APPEND(session->watchers, watcher);
}

void session_unwatch(struct session_watcher *watcher)
{
    if (watcher->session == NULL)
        return;
    DL_DELETE(watcher->session->watchers, watcher);
    watcher->session = NULL;
}

/* The cluster has given up on the application: its driver is of no use any more. */
static void check_cluster(struct session *session)
{
    const struct app_info *info = app_info(session->app);
    static const char *const ends[] = {"KILLED", "FAILED", "LOST"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends && info->state == APP_RUNNING; i++) {
        if (info->launcher_state == NULL || strcmp(info->launcher_state, ends[i]) != 0)
            continue;
        cleanup(mem_freep) char *why = mem_printf("Spark's master ended the application (%s)", ends[i]);
        app_kill(session->app, why != NULL ? why : "Spark's master ended the application", NULL, NULL);
    }
}

char *session_upload_folder(const struct session *session)
{
    cleanup(mem_freep) char *folder = apps_folder(session->sessions->options.apps, APP_SESSION, session->id);
    return folder != NULL ? mem_printf("%s/uploads", folder) : NULL;
}

static void remove_run(void *folder)
{
    (void)io_remove_tree(folder, NULL); /* what stays goes with the application's folder */
}

static void remove_uploads(const struct session *session)
{
    struct err err = {0};
    char *folder = session_upload_folder(session);
    if (folder != NULL && (!io_exists(folder) || work_run(session->sessions->options.loop, remove_run,
                                                          mem_free, folder, &err) != ERR_OK))
        mem_free(folder);
}

static void on_driver_end(struct session *session)
{
    const char *summary = app_info(session->app)->diagnosis.summary;
    link_session_free(session->link);
    session->link = NULL;
    remove_uploads(session);
    fail_questions(session);
    items_end(session, summary != NULL ? summary : "the driver has ended");
}

void session_refresh(struct session *session)
{
    const struct app_info *info = app_info(session->app);
    if (session->running_since_ms == 0 && info->state == APP_RUNNING)
        session->running_since_ms = clock_mono_ms();
    check_cluster(session);
    if (has_ended(session) && (session->link != NULL || session->unfinished > 0))
        on_driver_end(session);
    enum session_state state = session_state(session);
    if (state == session->told)
        return;
    log_info("session", LOG_I("id", session->id), LOG_S("from", state_names[session->told]),
             LOG_S("to", state_names[state]));
    session->told = state;
    if (state == SESSION_IDLE || state == SESSION_BUSY)
        session_note_activity(session); /* the end of work, or of the start */
    app_changed(session->app);
    tell(session, NULL);
    if (session_state_is_end(state))
        release_watchers(session);
}

static void on_app_change(void *arg)
{
    struct session *session = arg;
    if (app_info(session->app)->gone) {
        session_free(session);
        return;
    }
    app_wait(session->app, &session->app_waiter);
    if (!session->sessions->closing)
        session_refresh(session);
}

/* ---- creating ---- */

/* Binds a session to its application; nothing can fail any more. */
static void attach(struct session *session, struct app *app)
{
    session->id = app_info(app)->id;
    session->app = app;
    session->told = SESSION_STARTING;
    HASH_ADD(hh, session->sessions->by_id, id, sizeof session->id, session);
    session->app_waiter = (struct app_waiter){.on_change = on_app_change, .arg = session};
    app_wait(app, &session->app_waiter);
    session_note_activity(session);
    if (app_info(app)->state == APP_WAITING) /* nobody could work with it yet, also before a restart */
        session->active_wall_ms = app_info(app)->created_ms;
}

static struct session *session_new(struct sessions *s, const char *door, struct err *err)
{
    struct session *session = mem_calloc(1, sizeof *session);
    if (session == NULL) {
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    session->sessions = s;
    if (read_door(session, door, err) == ERR_OK)
        return session;
    session_free(session);
    return NULL;
}

struct creation {
    struct sessions *sessions;
    struct session *session; /* made before the application, so that afterwards nothing can fail */
    apps_submit_cb *done;
    void *arg;
};

static void on_submitted(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg)
{
    struct creation c = *(struct creation *)arg;
    mem_free(arg);
    if (err->code == ERR_OK && app != NULL && !replayed && !c.sessions->closing) {
        attach(c.session, app);
        agent_open(c.session);
    } else {
        session_free(c.session);
    }
    if (c.done != NULL)
        c.done(err, app, id, replayed, c.arg);
}

static enum err_code submit(struct sessions *s, const struct app_request *request, apps_submit_cb *done,
                            void *arg, struct err *err)
{
    struct creation *c = mem_calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *c = (struct creation){s, session_new(s, request->door, err), done, arg};
    enum err_code rc =
        c->session != NULL ? apps_submit(s->options.apps, request, on_submitted, c, err) : err->code;
    if (rc != ERR_OK) {
        session_free(c->session);
        mem_free(c);
    }
    return rc;
}

static enum err_code check_submission(const struct session_request *request, struct err *err)
{
    const struct spark_submission *s = request->submission;
    const char *mode =
        s->deploy_mode != NULL ? s->deploy_mode : strmap_get(&s->conf, "spark.submit.deployMode");
    if (mode == NULL || strcmp(mode, "client") == 0)
        return ERR_OK;
    return err_set(
        err, ERR_INVALID,
        "deployMode is '%.100s'; the driver of a session runs where hearth runs: it must be client", mode);
}

/* An application's request for a session; false: out of memory. */
static bool make_app_request(const struct sessions *s, const struct session_request *request,
                             struct app_request *ret, char **ret_door)
{
    const struct settings *settings = s->options.settings;
    int64_t idle =
        request->idle_timeout_ms != 0 ? request->idle_timeout_ms : settings->sessions.idle_timeout_ms;
    int64_t ttl = request->ttl_ms != 0 ? request->ttl_ms : settings->sessions.ttl_ms;
    *ret_door =
        session_door(request->kind, request->asked, idle, ttl, request->heartbeat_ms, request->profile);
    *ret = (struct app_request){
        .kind = APP_SESSION,
        .owner = request->owner,
        .proxy_user = request->proxy_user,
        .name = request->submission->name,
        .submission = request->submission,
        .door = *ret_door,
        .key = request->key,
        .warm = request->warm,
    };
    return *ret_door != NULL;
}

struct handover {
    struct sessions *sessions;
    struct session *member; /* stays while it is given away, whatever becomes of its driver */
    apps_submit_cb *done;
    void *arg;
};

static void on_handed_over(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg)
{
    struct handover h = *(struct handover *)arg;
    mem_free(arg);
    h.member->given = false;
    if (err->code == ERR_OK && app != NULL && !replayed && !h.sessions->closing)
        session_adopted(h.member);
    h.done(err, app, id, replayed, h.arg);
}

void session_adopted(struct session *session)
{
    struct err err = {0};
    if (read_door(session, app_info(session->app)->door, &err) != ERR_OK)
        log_error("the door's object of a session is not readable", LOG_I("id", session->id),
                  LOG_S("why", err.msg));
    session->running_since_ms = clock_mono_ms();
    session_note_activity(session);
    agent_adopt(session);
    session_refresh(session);
}

enum err_code sessions_create(struct sessions *s, const struct session_request *request, apps_submit_cb *done,
                              void *arg, struct err *err)
{
    struct app_request app_request;
    struct session_request wanted = *request;
    cleanup(mem_freep) char *door = NULL;
    struct spark_submission submission = *request->submission; /* a shallow copy, never cleared */
    submission.file = (char[]){"pyspark-shell"}; /* what SparkSubmit calls a driver that Python controls */
    submission.class_name = NULL;
    submission.args = (struct strlist){0};
    wanted.submission = &submission;
    if (check_submission(request, err) != ERR_OK || sessions_check_kind(s, request->kind, err) != ERR_OK)
        return err->code;
    struct handover *h = mem_calloc(1, sizeof *h);
    if (h == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct app *ready = request->warm ? NULL : warm_take(s->warm, request);
    wanted.profile = ready != NULL ? sessions_find(s, app_info(ready)->id)->profile : request->profile;
    bool made = make_app_request(s, &wanted, &app_request, &door);
    if (!made || ready == NULL) {
        mem_free(h);
        if (ready != NULL)
            sessions_find(s, app_info(ready)->id)->given = false;
        return made ? submit(s, &app_request, done, arg, err) : err_set(err, ERR_NOMEM, "out of memory");
    }
    *h = (struct handover){s, sessions_find(s, app_info(ready)->id), done, arg};
    apps_adopt(ready, &app_request, on_handed_over, h);
    return ERR_OK;
}

/* ---- ending ---- */

void session_stop(struct session *session, const char *reason, app_done_cb *done, void *arg)
{
    agent_shutdown(session);
    app_kill(session->app, reason, done, arg);
}

void session_delete(struct session *session, const char *reason, app_done_cb *done, void *arg)
{
    agent_shutdown(session);
    app_dismiss(session->app, reason, done, arg);
}

/* ---- opening ---- */

struct loading {
    struct sessions *sessions;
    struct err *err;
};

/* False: out of memory. A door object that cannot be read is of a hand that is not ours. */
static void take_up(struct app *app, void *arg)
{
    struct loading *l = arg;
    struct err err = {0};
    const char *door = app_info(app)->door;
    struct session *session = door != NULL ? session_new(l->sessions, door, &err) : NULL;
    if (session == NULL && err.code != ERR_NOMEM)
        session = session_new(l->sessions, "{\"kind\":\"shared\",\"asked\":{}}", &err);
    if (session == NULL)
        *l->err = err;
    else
        attach(session, app);
}

static bool on_agent(const struct store_agent *row, void *arg)
{
    struct session *session = sessions_find(arg, row->session);
    if (session == NULL)
        return true;
    session->statements = row->statements;
    session->last_seq = row->last_seq;
    return mem_set_str(&session->boot, row->boot) == 0 &&
           (row->facts == NULL || agent_facts_read(&session->agent, row->facts));
}

static bool on_item(const struct store_item *row, void *arg)
{
    struct session *session = sessions_find(arg, row->session);
    return session == NULL || items_restore(session, row);
}

static enum err_code load(struct sessions *s, struct err *err)
{
    static const char *const unfinished[] = {"waiting", "running", "cancelling", NULL};
    struct loading l = {s, err};
    /* It will tell what take_up() meets; something earlier may have failed and then succeeded. */
    *err = (struct err){0};
    for (size_t i = 0; i < apps_count(s->options.apps, APP_SESSION); i++)
        take_up(apps_at(s->options.apps, APP_SESSION, i), &l);
    apps_each_warm(s->options.apps, take_up, &l);
    if (err->code != ERR_OK)
        return err->code;
    enum err_code rc = store_load_agents(s->options.store, on_agent, s, err);
    if (rc == ERR_OK)
        rc = store_load_items(s->options.store, unfinished, on_item, s, err);
    struct session *session;
    struct session *next;
    HASH_ITER(hh, s->by_id, session, next)
    {
        if (rc == ERR_OK && !has_ended(session))
            agent_open(session);
        if (rc == ERR_OK)
            session_refresh(session);
    }
    return rc;
}

static void on_tick(uv_timer_t *timer)
{
    struct sessions *s = timer->data;
    struct session *session;
    struct session *next;
    HASH_ITER(hh, s->by_id, session, next)
    {
        if (has_ended(session))
            continue;
        agent_open(session); /* had there been no memory for it */
        questions_check_deadlines(session);
        items_pump(session);
        expiry_check(session);
    }
    warm_tick(s->warm);
}

enum err_code sessions_open(const struct sessions_options *options, struct sessions **ret, struct err *err)
{
    struct sessions *s = mem_calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->options = *options;
    s->address_file = mem_printf("%s/sessions.address", options->state_dir);
    const struct link_options link = {options->loop, options->settings->sessions.listen, s->address_file};
    enum err_code rc = s->address_file != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK)
        rc = launch_prepare(s, err);
    if (rc == ERR_OK)
        rc = warm_new(s, &s->warm, err);
    if (rc == ERR_OK)
        rc = link_open(&link, &s->link, err);
    if (rc == ERR_OK)
        rc = load(s, err);
    if (rc != ERR_OK) {
        link_close(s->link);
        sessions_free(s);
        return rc;
    }
    apps_set_builder(options->apps, APP_SESSION, launch_build, s);
    apps_set_pressure(options->apps, warm_give_way, s->warm);
    (void)uv_timer_init(options->loop, &s->tick); /* cannot fail */
    s->tick.data = s;
    (void)uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    *ret = s;
    return ERR_OK;
}

void sessions_stop(struct sessions *s)
{
    if (s == NULL)
        return;
    struct err stopping;
    err_set(&stopping, ERR_BUSY, "the server stops");
    s->closing = true;
    struct session *session;
    struct session *next;
    HASH_ITER(hh, s->by_id, session, next)
    {
        questions_fail(session, &stopping);
        release_watchers(session);
        link_session_free(session->link);
        session->link = NULL;
    }
    link_close(s->link);
    s->link = NULL;
    uv_close((uv_handle_t *)&s->tick, NULL);
}

void sessions_free(struct sessions *s)
{
    if (s == NULL)
        return;
    struct session *session;
    struct session *next;
    HASH_ITER(hh, s->by_id, session, next)
    {
        session_free(session);
    }
    warm_free(s->warm);
    mem_free(s->address_file);
    mem_free(s->agent_dir);
    mem_free(s);
}

struct sessions_summary sessions_summary(const struct sessions *s)
{
    struct sessions_summary sum = {.warm = warm_ready(s->warm)};
    for (const struct session *session = s->by_id; session != NULL; session = session->hh.next) {
        sum.connected += session->link != NULL && link_is_connected(session->link);
        if (app_info(session->app)->warm)
            continue;
        enum session_state state = session_state(session);
        sum.starting += state == SESSION_STARTING;
        sum.idle += state == SESSION_IDLE;
        sum.busy += state == SESSION_BUSY;
    }
    return sum;
}
