/*
 * The states of an application, and what its guard tells.
 *
 * Every event goes through on_event(), live ones and replayed ones alike; app_move() asks the table,
 * so that a late or double event is harmless.
 */
#include "app/app_internal.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "guard/output.h"

#include <string.h>
#include <utlist.h>

enum { LIVE_PATIENCE_MS = 15000, DIAGNOSIS_LINES = 400, LAUNCHES_MAX = 3 };

#define TO(state) FSM_TO(APP_##state)

const struct fsm_state app_states[APP_STATES] = {
    [APP_WAITING] = {"waiting", TO(LAUNCHING) | TO(DEAD) | TO(KILLED)},
    [APP_LAUNCHING] = {"launching", TO(RUNNING) | TO(STOPPING) | TO(SUCCESS) | TO(DEAD) | TO(KILLED)},
    [APP_RUNNING] = {"running", TO(STOPPING) | TO(SUCCESS) | TO(DEAD) | TO(KILLED)},
    [APP_STOPPING] = {"stopping", TO(SUCCESS) | TO(DEAD) | TO(KILLED)},
    [APP_SUCCESS] = {"success", 0},
    [APP_DEAD] = {"dead", 0},
    [APP_KILLED] = {"killed", 0},
};

const char *app_state_name(enum app_state state)
{
    return app_states[state].name;
}

bool app_state_is_end(enum app_state state)
{
    return fsm_is_end(app_states, state);
}

bool app_move(struct app *app, enum app_state to, const char *reason)
{
    if (!fsm_may(app_states, app->info.state, to)) {
        log_debug("refused a change of state", LOG_I("id", app->info.id),
                  LOG_S("from", app_state_name(app->info.state)), LOG_S("to", app_state_name(to)));
        return false;
    }
    log_info("state", LOG_S("kind", app_kind_name(app->info.kind)), LOG_I("id", app->info.id),
             LOG_S("from", app_state_name(app->info.state)), LOG_S("to", app_state_name(to)),
             LOG_S("why", reason));
    if (app->info.state == APP_WAITING)
        admission_leave(app);
    app->info.state = to;
    if (mem_set_str(&app->info.reason, reason) != 0)
        log_warn("out of memory for a reason", LOG_I("id", app->info.id));
    app_note(app, reason);
    app_changed(app);
    return true;
}

static void on_timer_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

void app_close_driver(struct app *app)
{
    follow_close(app->follower);
    app->follower = NULL;
    driver_free(app->driver);
    app->driver = NULL;
    if (app->kill_timer != NULL) {
        uv_close((uv_handle_t *)app->kill_timer, on_timer_closed);
        app->kill_timer = NULL;
    }
}

/* ---- ends ---- */

void app_end(struct app *app, enum app_state state, struct app_diagnosis *diagnosis)
{
    app_close_driver(app);
    diagnosis_clear(&app->info.diagnosis);
    app->info.diagnosis = *diagnosis;
    *diagnosis = (struct app_diagnosis){0};
    if (app->info.ended_ms == 0)
        app->info.ended_ms = clock_wall_ms();
    mem_freep(&app->info.ui_url);
    struct apps *apps = app->apps;
    admission_release(app);
    if (app_move(app, state, app->info.diagnosis.summary))
        app_persist(app, NULL, NULL);
    admission_run(apps);
}

void app_refuse(struct app *app, const char *why)
{
    struct app_diagnosis d = {.summary = mem_strdup(why), .exit_code = -1};
    app_end(app, app->stop_wanted ? APP_KILLED : APP_DEAD, &d);
}

/* What a worker finds out about an end. */
struct ending {
    char *folder;
    struct diagnosis_input facts;
    char *lost;
    char *launcher_state;
    char *stopped;
    char *verdict;
    char *output[OUTPUT_STREAMS]; /* of a driver on a cluster, to be written into the folder */
    struct strlist *lines;
    struct app_diagnosis diagnosis;
};

static void ending_free(struct ending *e)
{
    if (e == NULL)
        return;
    if (e->lines != NULL)
        strlist_clear(e->lines);
    mem_free(e->lines);
    mem_free(e->folder);
    mem_free(e->lost);
    mem_free(e->launcher_state);
    mem_free(e->stopped);
    mem_free(e->verdict);
    for (size_t i = 0; i < OUTPUT_STREAMS; i++)
        mem_free(e->output[i]);
    diagnosis_clear(&e->diagnosis);
    mem_free(e);
}

/* What a worker's page gave of a driver's output becomes its log here. */
static void write_output(const struct ending *e)
{
    struct output_writer *w = NULL;
    struct err err = {0};
    if (io_make_dirs(e->folder, 0700, &err) != ERR_OK ||
        output_writer_open(e->folder, UINT64_MAX, &w, &err) != ERR_OK) {
        log_warn("a driver's output is not kept", LOG_S("folder", e->folder), LOG_S("why", err.msg));
        return;
    }
    for (int i = 0; i < OUTPUT_STREAMS; i++)
        if (e->output[i] != NULL)
            output_write(w, (enum output_stream)i, e->output[i], strlen(e->output[i]));
    output_writer_close(w);
}

static void ending_run(void *arg)
{
    struct ending *e = arg;
    if (e->output[OUTPUT_STDOUT] != NULL || e->output[OUTPUT_STDERR] != NULL)
        write_output(e);
    e->lines = app_output_end(e->folder, DIAGNOSIS_LINES); /* NULL: told without its last words */
    static const struct strlist none;
    e->facts.lines = e->lines != NULL ? e->lines : &none;
    if (diagnosis_make(&e->facts, &e->diagnosis) != 0)
        e->diagnosis.exit_code = e->facts.exit_code;
}

static bool launcher_said(const struct app *app, const char *word)
{
    return app->info.launcher_state != NULL && strcmp(app->info.launcher_state, word) == 0;
}

/* The process decides; in a cluster its verdict is needed as well. */
static enum app_state verdict(const struct app *app, const struct ending *e)
{
    bool clean = e->facts.exit_code == 0 && e->facts.lost == NULL;
    if (e->stopped != NULL)
        return APP_KILLED;
    if (clean && !launcher_said(app, "FAILED") && !launcher_said(app, "KILLED"))
        return APP_SUCCESS;
    return app->remote && launcher_said(app, "KILLED") ? APP_KILLED : APP_DEAD;
}

static void ending_done(struct app *app, void *arg)
{
    struct ending *e = arg;
    if (app != NULL) {
        if (e->lines != NULL) {
            while (e->lines->n > APP_TAIL_LINES) { /* only the last ones are shown */
                mem_free(e->lines->items[0]);
                memmove(e->lines->items, e->lines->items + 1, e->lines->n-- * sizeof *e->lines->items);
            }
            app_set_tail(app, e->lines);
        }
        app_end(app, verdict(app, e), &e->diagnosis);
    }
    ending_free(e);
}

static struct ending *ending_new(const struct app *app)
{
    struct ending *e = mem_calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->folder = apps_folder(app->apps, app->info.kind, app->info.id);
    e->launcher_state = app->info.launcher_state != NULL ? mem_strdup(app->info.launcher_state) : NULL;
    /* A wish that comes after the end does not change what that was. */
    e->stopped = app->stop_wanted ? mem_strdup(app->info.reason != NULL ? app->info.reason : "killed") : NULL;
    e->facts = (struct diagnosis_input){
        .launcher_state = e->launcher_state,
        .stopped = e->stopped,
        .connected = app->info.app_id != NULL,
    };
    return e;
}

/* The driver's process is over: its last words are read first, then the state changes. */
static void ending_start(struct app *app, struct ending *e)
{
    struct err err = {0};
    if (e != NULL && e->folder != NULL && app_work(app, ending_run, ending_done, e, &err) == ERR_OK)
        return;
    ending_free(e);
    app_refuse(app, "the driver has ended; out of memory while finding out why");
}

static void conclude(struct app *app, const struct follow_event *event)
{
    app->info.ended_ms = event->wall_ms != 0 ? event->wall_ms : clock_wall_ms();
    struct ending *e = ending_new(app);
    if (e != NULL) {
        e->facts.lost = e->lost = event->kind == FOLLOW_LOST ? mem_strdup(event->text) : NULL;
        e->facts.exit_code = event->kind == FOLLOW_EXIT ? event->exit_code : -1;
        e->facts.signal = event->signal;
        e->facts.oom_killed = event->oom_killed;
        e->facts.max_memory = event->max_memory;
    }
    ending_start(app, e);
}

void app_conclude_on_cluster(struct app *app, int exit_code, const char *verdict, const char *const output[2])
{
    app->info.ended_ms = clock_wall_ms();
    struct ending *e = ending_new(app);
    if (e != NULL) {
        e->facts.exit_code = exit_code;
        e->facts.verdict = e->verdict = mem_strdup(verdict);
        for (size_t i = 0; i < OUTPUT_STREAMS; i++)
            e->output[i] = output[i] != NULL ? mem_strdup(output[i]) : NULL;
    }
    if (e != NULL && e->verdict == NULL) {
        ending_free(e);
        e = NULL;
    }
    ending_start(app, e);
}

/* ---- events ---- */

static void on_started(struct app *app, const struct follow_event *event)
{
    app->info.pid = event->pid;
    app->info.started_ms = event->wall_ms;
    if (app->info.state == APP_LAUNCHING && !app->remote)
        (void)app_move(app, APP_RUNNING, NULL); /* allowed by the table */
}

void app_set_spark(struct app *app, const char *app_id, const char *ui_url)
{
    if ((app_id != NULL && mem_set_str(&app->info.app_id, app_id) != 0) ||
        (ui_url != NULL && mem_set_str(&app->info.ui_url, ui_url) != 0))
        log_warn("out of memory for what a driver tells", LOG_I("id", app->info.id));
    app_changed(app);
    app_persist(app, NULL, NULL);
}

void app_set_trouble(struct app *app, const char *words)
{
    if (app->info.state != APP_RUNNING)
        return;
    if (mem_set_str(&app->info.reason, words) != 0)
        log_warn("out of memory for a reason", LOG_I("id", app->info.id));
    log_info("trouble", LOG_S("kind", app_kind_name(app->info.kind)), LOG_I("id", app->info.id),
             LOG_S("why", words));
    app_note(app, words != NULL ? words : "no trouble any more");
    app_changed(app);
    app_persist(app, NULL, NULL);
}

static void on_launcher_state(struct app *app, const char *state)
{
    if (mem_set_str(&app->info.launcher_state, state) != 0)
        log_warn("out of memory for a launcher state", LOG_I("id", app->info.id));
    if (strcmp(state, "RUNNING") == 0 && app->info.state == APP_LAUNCHING)
        (void)app_move(app, APP_RUNNING, NULL); /* allowed by the table */
}

/* There is no guard and no journal: the driver was never started. */
static void on_absent(struct app *app)
{
    follow_close(app->follower);
    app->follower = NULL;
    if (app->stop_wanted)
        app_refuse(app, "killed before its driver was started");
    else if (app->launches >= LAUNCHES_MAX)
        app_refuse(app, "its guard process could not be started; see guard.log in the application's folder");
    else if (app->info.state == APP_LAUNCHING)
        app_launch(app);
    else
        app_refuse(app, "its folder was lost: there is neither a guard nor a journal of its driver");
}

/* True when the event changed something that the store should know. */
static bool apply(struct app *app, const struct follow_event *event)
{
    switch (event->kind) {
    case FOLLOW_STARTED: on_started(app, event); return true;
    case FOLLOW_HELLO: app->connected = true; return false;
    case FOLLOW_APP_ID:
        if (mem_set_str(&app->info.app_id, event->text) != 0)
            log_warn("out of memory for an application id", LOG_I("id", app->info.id));
        return true;
    case FOLLOW_STATE: on_launcher_state(app, event->text); return true;
    case FOLLOW_CLOSED: app->connected = false; return false;
    case FOLLOW_STOP_SENT:
    case FOLLOW_SIGNAL_SENT: return false;
    case FOLLOW_OUTPUT:
        app->lines = event->lines;
        app_refresh_tail(app);
        return false;
    case FOLLOW_REFUSED:
    case FOLLOW_EXIT:
    case FOLLOW_LOST:
    case FOLLOW_ABSENT: break; /* ends: on_event */
    }
    return false;
}

static void on_event(const struct follow_event *event, void *arg)
{
    struct app *app = arg;
    if (app_state_is_end(app->info.state))
        return;
    switch ((unsigned)event->kind) {
    case FOLLOW_EXIT:
    case FOLLOW_LOST: conclude(app, event); return;
    case FOLLOW_REFUSED: app_refuse(app, event->text); return;
    case FOLLOW_ABSENT: on_absent(app); return;
    default: break;
    }
    if (event->seq > 0)
        app->last_event = (int64_t)event->seq; /* not of an end: it is replayed until its state is stored */
    if (apply(app, event)) {
        app_changed(app);
        app_persist(app, NULL, NULL);
    }
}

void app_follow(struct app *app, int64_t patience_ms)
{
    cleanup(mem_freep) char *folder = apps_folder(app->apps, app->info.kind, app->info.id);
    if (folder != NULL)
        app->follower = follow_new(app->apps->options.loop, folder, (uint64_t)app->last_event + 1,
                                   patience_ms > 0 ? patience_ms : LIVE_PATIENCE_MS, on_event, app);
    if (app->follower == NULL)
        log_error("out of memory: a driver is not followed now; trying again", LOG_I("id", app->info.id));
}
