/*
 * Applications whose driver a standalone cluster runs (cluster deploy mode on spark://…): no process here, so
 * no guard either; the cluster's master is asked instead.
 *
 * The record "launching", with the token of the submission, is on disk before the driver is submitted. If the
 * server dies behind that, the next one looks for the token on the cluster before it would submit again.
 */
#include "app/app_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>
#include <uv.h>

enum { TOKEN_BYTES = 16 };

/* ---- placing ---- */

static char *new_token(void)
{
    uint8_t bytes[TOKEN_BYTES];
    if (uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL) != 0)
        return NULL;
    char *token = mem_calloc(1, 2 * sizeof bytes + 1);
    for (size_t i = 0; token != NULL && i < sizeof bytes; i++) {
        static const char digits[] = "0123456789abcdef";
        token[2 * i] = digits[bytes[i] >> 4];
        token[2 * i + 1] = digits[bytes[i] & 15];
    }
    return token;
}

enum err_code app_place(struct app *app, const struct spark_submission *submission, struct err *err)
{
    const struct apps_options *options = &app->apps->options;
    if (options->drivers != NULL && driver_wants(submission)) {
        app->remote = true;
        app->token = new_token();
        return app->token != NULL ? driver_check(submission, err) : err_set(err, ERR_NOMEM, "out of memory");
    }
    if (options->spark == NULL)
        return err_set(err, ERR_BUSY, "%s", options->spark_missing);
    return spark_estimate(options->spark, submission, &app->info.memory, &app->remote, err);
}

/* ---- what is told of the driver ---- */

static void set(char **field, const char *value)
{
    if (mem_set_str(field, value) != 0)
        log_warn("out of memory for what a master tells of a driver");
}

/* True when that is something new. */
static bool explain(struct app *app, const char *words)
{
    if (app->info.reason == words ||
        (app->info.reason != NULL && words != NULL && strcmp(app->info.reason, words) == 0))
        return false;
    set(&app->info.reason, words);
    return true;
}

static void explain_waiting(struct app *app)
{
    static const char words[] = "waits on the cluster for a worker with enough free cores and memory";
    if (app->info.state == APP_LAUNCHING && explain(app, words))
        app_note(app, words);
}

static void on_state(struct app *app, const struct driver_event *event)
{
    set(&app->info.worker, event->worker);
    set(&app->info.log_url, event->log_url);
    set(&app->info.launcher_state, event->state);
    if (event->app_id != NULL)
        set(&app->info.app_id, event->app_id);
    if (event->app_ui != NULL)
        set(&app->info.ui_url, event->app_ui);
    bool runs = event->state != NULL && strcmp(event->state, "RUNNING") == 0;
    if (runs && app->info.state == APP_LAUNCHING) {
        app->info.started_ms = clock_wall_ms();
        (void)app_move(app, APP_RUNNING, NULL); /* allowed by the table */
    } else if (event->state != NULL && strcmp(event->state, "SUBMITTED") == 0) {
        explain_waiting(app);
    }
}

static void on_end(struct app *app, const struct driver_event *event)
{
    on_state(app, event);
    if (app->info.started_ms == 0 && event->worker != NULL)
        app->info.started_ms = clock_wall_ms(); /* it was quicker than the questions about it */
    bool finished = strcmp(event->state, "FINISHED") == 0;
    cleanup(mem_freep) char *words = /* most often the worker could not get the file */
        event->not_started ? mem_printf("%s (file %s)", event->words, app->info.file) : NULL;
    app_conclude_on_cluster(app, finished ? 0 : -1, words != NULL ? words : event->words, event->output);
}

static void on_accepted(struct app *app, const struct driver_event *event)
{
    set(&app->info.driver_id, event->driver_id);
    set(&app->info.app_id, NULL); /* a driver that was started again has another one */
    set(&app->info.ui_url, NULL);
    set(&app->info.worker, NULL);
    set(&app->info.log_url, NULL);
    cleanup(mem_freep) char *words = mem_printf("the cluster has it as %s", event->driver_id);
    log_info("submitted", LOG_S("kind", app_kind_name(app->info.kind)), LOG_I("id", app->info.id),
             LOG_S("driver", event->driver_id));
    if (words != NULL)
        app_note(app, words);
}

/* The history has the beginning of a trouble, not each of its words. Who wants it stopped reads that as the
 * reason. */
static bool on_trouble(struct app *app, const struct driver_event *event)
{
    bool begins = event->words != NULL && !app->in_trouble;
    app->in_trouble = event->words != NULL;
    if (begins) {
        log_warn("a cluster cannot be asked", LOG_I("id", app->info.id), LOG_S("why", event->words));
        app_note(app, event->words);
    }
    if (app->info.state != APP_LAUNCHING && app->info.state != APP_RUNNING)
        return begins;
    bool changed = explain(app, event->words);
    if (event->words == NULL && event->driver_id != NULL)
        explain_waiting(app);
    return changed || begins;
}

static void on_event(const struct driver_event *event, void *arg)
{
    struct app *app = arg;
    switch (event->kind) {
    case DRIVER_REFUSED: app_refuse(app, event->words); return;
    case DRIVER_ENDED: on_end(app, event); return;
    case DRIVER_ACCEPTED: on_accepted(app, event); break;
    case DRIVER_STATE: on_state(app, event); break;
    case DRIVER_TROUBLE:
        if (!on_trouble(app, event))
            return;
        break;
    }
    app_changed(app);
    app_persist(app, NULL, NULL);
}

/* ---- submitting and following ---- */

struct drive {
    struct apps *apps;
    enum app_kind kind;
    int64_t id;
    bool again;
};

static enum err_code drive(struct app *app, const struct store_app *row, bool again, struct err *err)
{
    struct spark_submission submission = {0};
    enum err_code rc = app_read_submission(row->submission, &submission, err);
    if (rc == ERR_OK) {
        const struct driver_options options = {
            .submission = &submission,
            .token = app->token,
            .driver_id = app->info.driver_id,
            .maybe_sent = again,
        };
        rc = driver_new(app->apps->options.drivers, &options, on_event, app, &app->driver, err);
    }
    spark_submission_clear(&submission);
    return rc;
}

static void on_submission(const struct err *err, const struct store_app *row, const struct store_note *notes,
                          unsigned n_notes, void *arg)
{
    struct drive d = *(struct drive *)arg;
    struct err why = *err;
    (void)notes;
    (void)n_notes;
    mem_free(arg);
    struct app *app = app_find_any(d.apps, d.kind, d.id);
    if (app == NULL)
        return;
    app->launch_under_way = false;
    if (app->stop_wanted && !d.again) {
        app_refuse(app, "killed before its driver was submitted");
        return;
    }
    enum err_code rc = row != NULL ? drive(app, row, d.again, &why) : why.code;
    if (rc == ERR_INVALID || rc == ERR_NOT_FOUND)
        app_refuse(app, why.msg);
    else if (rc == ERR_OK && app->stop_wanted)
        driver_kill(app->driver);
    else if (rc != ERR_OK && explain(app, why.msg)) /* and it is tried again by the tick */
        app_changed(app);
}

void app_drive(struct app *app, bool again)
{
    struct drive *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return; /* the tick tries again */
    *d = (struct drive){app->apps, app->info.kind, app->info.id, again};
    app->launch_under_way = true;
    store_read_app(app->apps->options.store, app_kind_name(d->kind), d->id, on_submission, d);
}
