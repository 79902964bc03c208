/*
 * The collection of applications: opening, submitting, finding, waiting for changes.
 */
#include "app/app_internal.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "loop/work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { TICK_MS = 1000, RECOVERY_PATIENCE_MS = 2000 };

static const char *const kind_names[APP_KINDS] = {[APP_BATCH] = "batch", [APP_SESSION] = "session"};

const char *app_kind_name(enum app_kind kind)
{
    return kind_names[kind];
}

bool app_note_on_stdout(enum app_kind kind)
{
    return kind == APP_SESSION;
}

/* ---- one application ---- */

struct app *app_new(struct apps *apps)
{
    struct app *app = mem_calloc(1, sizeof *app);
    if (app != NULL)
        app->apps = apps;
    return app;
}

/* Those who wait again during their call come behind the ones counted here. */
static void wake(struct app *app)
{
    int n = 0;
    struct app_waiter *w;
    DL_COUNT(app->waiters, w, n);
    while (n-- > 0 && (w = app->waiters) != NULL) {
        app_unwait(w);
        w->on_change(w->arg);
    }
}

void app_free(struct app *app)
{
    if (app == NULL)
        return;
    app_close_driver(app);
    struct app_note *note;
    struct app_note *next;
    DL_CONCAT(app->sent, app->notes);
    DL_FOREACH_SAFE(app->sent, note, next)
    {
        mem_free(note->reason);
        mem_free(note);
    }
    mem_free(app->info.name);
    mem_free(app->info.owner);
    mem_free(app->info.proxy_user);
    mem_free(app->info.app_id);
    mem_free(app->info.reason);
    mem_free(app->info.file);
    mem_free(app->info.master);
    mem_free(app->info.deploy_mode);
    mem_free(app->info.door);
    mem_free(app->info.ui_url);
    mem_free(app->info.launcher_state);
    mem_free(app->info.wait_note);
    mem_free(app->info.driver_id);
    mem_free(app->info.worker);
    mem_free(app->info.log_url);
    mem_free(app->token);
    diagnosis_clear(&app->info.diagnosis);
    strlist_clear(&app->info.tail);
    mem_free(app);
}

const struct app_info *app_info(const struct app *app)
{
    return &app->info;
}

void app_changed(struct app *app)
{
    app->revision = ++app->apps->revision;
    wake(app);
}

void app_leave(struct app *app)
{
    app->info.gone = true;
    app_changed(app);
    app_free(app);
}

uint64_t app_revision(const struct app *app)
{
    uint64_t queue = app->info.state == APP_WAITING ? app->apps->queue_revision : 0;
    return queue > app->revision ? queue : app->revision;
}

size_t app_queue_position(const struct app *app)
{
    if (app->info.state != APP_WAITING)
        return 0;
    size_t index = app_list_index(&app->apps->waiting, app);
    return index < app->apps->waiting.n ? index + 1 : 0;
}

void app_wait(struct app *app, struct app_waiter *waiter)
{
    waiter->app = app;
    DL_APPEND(app->waiters, waiter);
}

void app_unwait(struct app_waiter *waiter)
{
    if (waiter->app == NULL)
        return;
    DL_DELETE(waiter->app->waiters, waiter);
    waiter->app = NULL;
}

/* ---- looking ---- */

struct app *apps_find(struct apps *apps, enum app_kind kind, int64_t id)
{
    return apps->closing ? NULL : app_list_find(&apps->lists[kind], kind, id);
}

struct app *apps_find_name(struct apps *apps, enum app_kind kind, const char *name)
{
    const struct app_list *l = &apps->lists[kind];
    for (size_t i = 0; i < l->n && !apps->closing; i++)
        if (l->items[i]->info.name != NULL && strcmp(l->items[i]->info.name, name) == 0)
            return l->items[i];
    return NULL;
}

size_t apps_count(const struct apps *apps, enum app_kind kind)
{
    return apps->lists[kind].n;
}

struct app *apps_at(struct apps *apps, enum app_kind kind, size_t index)
{
    return index < apps->lists[kind].n ? apps->lists[kind].items[index] : NULL;
}

uint64_t apps_revision(const struct apps *apps)
{
    return apps->revision;
}

char *apps_folder(const struct apps *apps, enum app_kind kind, int64_t id)
{
    return mem_printf("%s/%s-%" PRId64, apps->root, kind_names[kind], id);
}

struct row_read {
    struct apps *apps;
    enum app_kind kind;
    int64_t id;
    store_read_cb *done;
    void *arg;
};

static void on_row_written(const struct err *err, void *arg)
{
    struct row_read r = *(struct row_read *)arg;
    (void)err; /* what the store has is better than nothing */
    mem_free(arg);
    store_read_app(r.apps->options.store, kind_names[r.kind], r.id, r.done, r.arg);
}

/* What is shown from memory may be ahead of the store, whose row is read here: that is written first. */
void apps_read_row(struct apps *apps, enum app_kind kind, int64_t id, store_read_cb *done, void *arg)
{
    struct app *app = app_find_any(apps, kind, id);
    bool ahead = app != NULL && (app->dirty || app->writing) && store_trouble(apps->options.store) == NULL;
    struct row_read *r = ahead ? mem_calloc(1, sizeof *r) : NULL;
    if (r == NULL) {
        store_read_app(apps->options.store, kind_names[kind], id, done, arg);
        return;
    }
    *r = (struct row_read){apps, kind, id, done, arg};
    app_persist(app, on_row_written, r);
}

struct apps_summary apps_summary(const struct apps *apps)
{
    struct apps_summary s = {.memory_budget = apps->memory_budget,
                             .memory_used = apps->memory_used,
                             .running = apps->running,
                             .waiting = apps->waiting.n};
    for (int kind = 0; kind < APP_KINDS; kind++)
        s.known += apps->lists[kind].n;
    return s;
}

/* ---- submitting ---- */

struct insertion {
    struct app *app;
    apps_submit_cb *done;
    void *arg;
};

static void insertion_end(struct insertion *in, const struct err *err, struct app *app, int64_t id,
                          bool replayed)
{
    apps_submit_cb *done = in->done;
    void *arg = in->arg;
    mem_free(in);
    done(err, app, id, replayed, arg);
}

static void on_inserted(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct insertion *in = arg;
    struct app *app = in->app;
    struct apps *apps = app->apps;
    apps->inserting--;
    if (err->code != ERR_OK || replayed) {
        struct app *first = err->code == ERR_OK ? apps_find(apps, app->info.kind, id) : NULL;
        app_free(app);
        insertion_end(in, err, first, id, replayed);
        return;
    }
    app->info.id = id;
    app->version = 1;
    app->hidden = app->info.warm;
    if (app_list_insert(&apps->lists[app->hidden ? APP_HIDDEN : app->info.kind], app) != 0) {
        /* It is on disk and starts with the next start of the server; nobody may be told it is not. */
        log_error("out of memory for an accepted application", LOG_I("id", id));
        app_free(app);
        insertion_end(in, err, NULL, id, false);
        return;
    }
    log_info("accepted", LOG_S("kind", kind_names[app->info.kind]), LOG_I("id", id),
             LOG_S("name", app->info.name), LOG_S("file", app->info.file), LOG_S("owner", app->info.owner));
    app_changed(app);
    admission_enter(app);
    insertion_end(in, err, app, id, false);
    admission_run(apps);
}

static enum err_code check_room(struct apps *apps, uint64_t memory, struct err *err)
{
    char need[PARSE_TEXT_MAX];
    char budget[PARSE_TEXT_MAX];
    parse_format_size(memory >> 20 << 20, need); /* in whole MiB, for people */
    parse_format_size(apps->memory_budget >> 20 << 20, budget);
    if (memory > apps->memory_budget)
        return err_set(err, ERR_INVALID,
                       "the driver needs %s of memory (driverMemory and what a JVM needs beside it), and all "
                       "drivers together may have %s (admission.memory)",
                       need, budget);
    int64_t limit = apps->options.settings->admission.queue;
    if ((int64_t)(apps->waiting.n + apps->inserting) >= limit)
        return err_set(err, ERR_BUSY,
                       "%zu applications wait for room already, the limit is %" PRId64 " (admission.queue)",
                       apps->waiting.n + apps->inserting, limit);
    return ERR_OK;
}

enum err_code app_fill(struct app *app, const struct app_request *request, struct err *err)
{
    const struct spark_submission *s = request->submission;
    if (mem_set_str(&app->info.name, request->name) != 0 ||
        mem_set_str(&app->info.owner, request->owner) != 0 ||
        mem_set_str(&app->info.proxy_user, request->proxy_user) != 0 ||
        mem_set_str(&app->info.file, s->file) != 0 || mem_set_str(&app->info.master, s->master) != 0 ||
        mem_set_str(&app->info.deploy_mode, s->deploy_mode) != 0 ||
        mem_set_str(&app->info.door, request->door) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    app->info.warm = request->warm;
    int64_t now = clock_wall_ms();
    if (now < app->apps->last_created_ms)
        now = app->apps->last_created_ms;
    app->info.created_ms = app->apps->last_created_ms = now;
    return ERR_OK;
}

static enum err_code insert(struct app *app, const struct app_request *request, struct insertion *in,
                            struct err *err)
{
    cleanup(mem_freep) char *submission = app_submission(request->submission);
    cleanup(mem_freep) char *facts = app_facts(app);
    if (submission == NULL || facts == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct store_app row = {
        .kind = kind_names[app->info.kind],
        .state = app_state_name(APP_WAITING),
        .name = app->info.name,
        .owner = app->info.owner,
        .proxy_user = app->info.proxy_user,
        .submission = submission,
        .facts = facts,
        .memory = (int64_t)app->info.memory,
        .created_ms = app->info.created_ms,
    };
    struct store_note note = {app->info.created_ms, row.state, NULL};
    app->apps->inserting++;
    struct store *store = app->apps->options.store;
    if (request->step != NULL)
        store_fire_app(store, request->step, &row, &note, on_inserted, in);
    else if (request->launched != NULL)
        store_launch_fire(store, request->launched, request->launched_from, &row, &note, on_inserted, in);
    else
        store_insert_app(store, &row, &note, request->key, on_inserted, in);
    return ERR_OK;
}

enum err_code apps_submit(struct apps *apps, const struct app_request *request, apps_submit_cb *done,
                          void *arg, struct err *err)
{
    struct app *app = app_new(apps);
    struct insertion *in = mem_calloc(1, sizeof *in);
    if (app == NULL || in == NULL) {
        app_free(app);
        mem_free(in);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    enum err_code rc = app_place(app, request->submission, err);
    if (rc == ERR_OK)
        rc = app->token != NULL ? ERR_OK : check_room(apps, app->info.memory, err);
    if (rc == ERR_OK)
        rc = app_fill(app, request, err);
    if (rc == ERR_OK) {
        app->info.kind = request->kind;
        app->info.state = APP_WAITING;
        *in = (struct insertion){app, done, arg};
        rc = insert(app, request, in, err);
    }
    if (rc != ERR_OK) {
        app_free(app);
        mem_free(in);
    }
    return rc;
}

void apps_set_builder(struct apps *apps, enum app_kind kind, app_build_fn *build, void *arg)
{
    apps->builders[kind].build = build;
    apps->builders[kind].arg = arg;
}

enum err_code apps_estimate(const struct apps *apps, const struct spark_submission *submission,
                            uint64_t *ret_memory, struct err *err)
{
    bool remote = false;
    if (apps->options.spark == NULL)
        return err_set(err, ERR_BUSY, "%s", apps->options.spark_missing);
    return spark_estimate(apps->options.spark, submission, ret_memory, &remote, err);
}

/* ---- work off the loop ---- */

struct job {
    struct apps *apps;
    enum app_kind kind;
    int64_t id;
    void (*run)(void *arg);
    void (*done)(struct app *app, void *arg);
    void *arg;
};

static void job_run(void *arg)
{
    const struct job *j = arg;
    j->run(j->arg);
}

static void job_done(void *arg)
{
    struct job j = *(struct job *)arg;
    mem_free(arg);
    j.done(app_find_any(j.apps, j.kind, j.id), j.arg);
}

enum err_code app_work(struct app *app, void (*run)(void *arg), void (*done)(struct app *app, void *arg),
                       void *arg, struct err *err)
{
    struct job *j = mem_calloc(1, sizeof *j);
    if (j == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *j = (struct job){app->apps, app->info.kind, app->info.id, run, done, arg};
    enum err_code rc = work_run(app->apps->options.loop, job_run, job_done, j, err);
    if (rc != ERR_OK)
        mem_free(j);
    return rc;
}

/* ---- opening and closing ---- */

static bool on_row(const struct store_app *row, void *arg)
{
    struct apps *apps = arg;
    int kind = 0;
    while (kind < APP_KINDS && strcmp(kind_names[kind], row->kind) != 0)
        kind++;
    if (kind == APP_KINDS)
        return true; /* of a part of hearth that this one does not have */
    struct app *app = app_from_row(apps, row);
    if (app == NULL)
        return false;
    app->info.kind = (enum app_kind)kind;
    if (row->forgotten_ms != 0 && app_state_is_end(app->info.state)) {
        app_free(app);
        return apps_add_forgotten(apps, (enum app_kind)kind, row->id, row->ended_ms) == 0;
    }
    app->hidden = app->info.warm || row->forgotten_ms != 0;
    if (row->created_ms > apps->last_created_ms)
        apps->last_created_ms = row->created_ms;
    if (app_list_insert(&apps->lists[app->hidden ? APP_HIDDEN : kind], app) != 0) {
        app_free(app);
        return false;
    }
    app->revision = ++apps->revision;
    return true;
}

/* Takes up what lived when the last server ended. */
static void recover(struct app *app)
{
    switch (app->info.state) {
    case APP_WAITING: admission_enter(app); break;
    case APP_LAUNCHING:
    case APP_RUNNING:
    case APP_STOPPING:
        admission_occupy(app);
        app->connected = app->info.launcher_state != NULL; /* if not any more, Stop does no harm */
        if (app->token != NULL)
            app_drive(app, true);
        else
            app_follow(app, RECOVERY_PATIENCE_MS);
        if (app->info.state == APP_STOPPING)
            app_kill_continue(app);
        break;
    case APP_SUCCESS:
    case APP_DEAD:
    case APP_KILLED:
    case APP_STATES: break;
    }
}

/* A driver that could not be started, followed or ended for want of disk or memory. */
static void try_again(struct app *app)
{
    if (app_state_is_end(app->info.state) || app->info.state == APP_WAITING || app->follower != NULL ||
        app->driver != NULL || app->launch_under_way || app->writing)
        return;
    if (app->token != NULL) {
        app_drive(app, true);
        return;
    }
    if (app->info.state == APP_LAUNCHING) {
        app_launch(app);
        return;
    }
    app_follow(app, RECOVERY_PATIENCE_MS); /* if there is no guard, it tells */
    if (app->info.state == APP_STOPPING)
        app_kill_continue(app);
}

/* What failed for want of disk or memory is tried again here. */
static void on_tick(uv_timer_t *timer)
{
    struct apps *apps = timer->data;
    for (int l = 0; l < APP_LISTS; l++) {
        for (size_t i = 0; i < apps->lists[l].n; i++) {
            struct app *app = apps->lists[l].items[i];
            if (app->dirty && !app->writing)
                app_persist_again(app);
            else
                try_again(app);
        }
    }
    apps_drop_gone(apps);
    apps_retire(apps);
    admission_run(apps);
}

enum err_code apps_open(const struct apps_options *options, struct apps **ret, struct err *err)
{
    struct apps *apps = mem_calloc(1, sizeof *apps);
    if (apps == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    apps->options = *options;
    apps->waiting.by_creation = true;
    apps->memory_budget = admission_budget(options->settings);
    apps->root = mem_printf("%s/applications", options->state_dir);
    enum err_code rc =
        apps->root != NULL ? io_make_dirs(apps->root, 0700, err) : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK)
        rc = store_load_apps(options->store, on_row, apps, err);
    if (rc != ERR_OK) {
        apps_free(apps);
        return rc;
    }
    for (int l = 0; l < APP_LISTS; l++)
        for (size_t i = 0; i < apps->lists[l].n; i++)
            recover(apps->lists[l].items[i]);
    apps_sweep_folders(apps);
    (void)uv_timer_init(options->loop, &apps->tick); /* cannot fail */
    apps->tick.data = apps;
    (void)uv_timer_start(&apps->tick, on_tick, 0, TICK_MS);
    *ret = apps;
    return ERR_OK;
}

/* Nobody may keep waiting for something that does not happen any more. */
static void let_go(struct app *app)
{
    struct err err;
    err_set(&err, ERR_BUSY, "the server stops");
    struct app_after *lists[] = {app->forgetting, app->after, app->after_sent};
    app->forgetting = app->after = app->after_sent = NULL;
    app_close_driver(app);
    wake(app);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        app_tell(lists[i], &err);
}

void apps_stop(struct apps *apps)
{
    apps->closing = true;
    for (int l = 0; l < APP_LISTS; l++)
        for (size_t i = 0; i < apps->lists[l].n; i++)
            let_go(apps->lists[l].items[i]);
    uv_close((uv_handle_t *)&apps->tick, NULL);
}

void apps_free(struct apps *apps)
{
    if (apps == NULL)
        return;
    for (int l = 0; l < APP_LISTS; l++) {
        for (size_t i = 0; i < apps->lists[l].n; i++)
            app_free(apps->lists[l].items[i]);
        mem_free(apps->lists[l].items);
    }
    mem_free(apps->waiting.items);
    mem_free(apps->forgotten);
    mem_free(apps->root);
    mem_free(apps);
}
