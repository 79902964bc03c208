/*
 * Ending an application: Stop through Spark's launcher link, SIGTERM to the driver's process group,
 * SIGKILL, with the configured times between; and forgetting one.
 */
#include "app/app_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <signal.h>
#include <utlist.h>

enum kill_step { KILL_STOP, KILL_TERM, KILL_KILL, KILL_DONE };

static void on_kill_timer(uv_timer_t *timer)
{
    app_kill_continue(timer->data);
}

static void wait_for_next_step(struct app *app, int64_t ms)
{
    if (app->kill_timer == NULL) {
        app->kill_timer = mem_calloc(1, sizeof *app->kill_timer);
        if (app->kill_timer == NULL) {
            log_warn("out of memory: no grace for a driver that is killed", LOG_I("id", app->info.id));
            app_kill_continue(app);
            return;
        }
        (void)uv_timer_init(app->apps->options.loop, app->kill_timer); /* cannot fail */
        app->kill_timer->data = app;
    }
    (void)uv_timer_start(app->kill_timer, on_kill_timer, (uint64_t)ms, 0);
}

void app_kill_continue(struct app *app)
{
    const struct settings *settings = app->apps->options.settings;
    app->stop_wanted = true;
    if (app->driver != NULL)
        driver_kill(app->driver);
    if (app->follower == NULL)
        return; /* its launch is on the way and looks at stop_wanted */
    switch ((enum kill_step)app->kill_step++) {
    case KILL_STOP:
        if (app->connected) {
            follow_stop(app->follower);
            wait_for_next_step(app, settings->driver.stop_grace_ms);
            return;
        }
        app->kill_step = KILL_KILL; /* nobody would hear Stop: straight on */
        __attribute__((fallthrough));
    case KILL_TERM:
        follow_signal(app->follower, SIGTERM);
        wait_for_next_step(app, settings->driver.term_grace_ms);
        return;
    case KILL_KILL: follow_signal(app->follower, SIGKILL); return;
    case KILL_DONE: app->kill_step = KILL_DONE; return;
    }
}

void app_kill(struct app *app, const char *reason, app_done_cb *done, void *arg)
{
    app->stop_wanted = true;
    if (app->info.state == APP_WAITING) {
        struct app_diagnosis d = {.summary = mem_strdup(reason), .exit_code = -1};
        app_end(app, APP_KILLED, &d);
    } else if (app->info.state == APP_LAUNCHING || app->info.state == APP_RUNNING) {
        (void)app_move(app, APP_STOPPING, reason); /* allowed by the table */
        app_kill_continue(app);
    }
    app_persist(app, done, arg);
}

/* ---- forgetting ---- */

/* The forgotten row is on disk: the application leaves memory. */
static void on_forgotten(const struct err *err, void *arg)
{
    struct app *app = arg;
    struct apps *apps = app->apps;
    struct app_after *list = app->forgetting;
    app->forgetting = NULL;
    if (err->code != ERR_OK) {
        app->forgotten_ms = 0;
        app_tell(list, err);
        return;
    }
    struct app_after *late = app->after_sent; /* they asked for something while it was being forgotten */
    DL_CONCAT(late, app->after);
    app->after = app->after_sent = NULL;
    app_list_remove(&apps->lists[app->info.kind], app);
    if (apps_add_forgotten(apps, app->info.kind, app->info.id, app->info.ended_ms) != 0)
        log_warn("out of memory: a forgotten application is retired after the next start only",
                 LOG_I("id", app->info.id));
    app_leave(app);
    app_tell(list, err);
    app_tell(late, err);
}

/* Called at each change until it has ended. */
static void on_forget_change(void *arg)
{
    struct app *app = arg;
    if (!app_state_is_end(app->info.state)) {
        app_wait(app, &app->forget_waiter);
        return;
    }
    app->forgotten_ms = clock_wall_ms();
    app_note(app, "deleted");
    app_persist(app, on_forgotten, app);
}

void app_forget(struct app *app, app_done_cb *done, void *arg)
{
    if (app->token != NULL && !app_state_is_end(app->info.state)) {
        app_dismiss(app, "deleted", done, arg); /* its cluster may not be there for days */
        return;
    }
    struct app_after *a = mem_calloc(1, sizeof *a);
    if (a == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        done(&err, arg);
        return;
    }
    *a = (struct app_after){.done = done, .arg = arg};
    bool first = app->forgetting == NULL;
    DL_APPEND(app->forgetting, a);
    if (!first)
        return;
    app->forget_waiter = (struct app_waiter){.on_change = on_forget_change, .arg = app};
    if (!app_state_is_end(app->info.state))
        app_kill(app, "deleted", NULL, NULL);
    on_forget_change(app);
}
