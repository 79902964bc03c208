/*
 * Starting a driver: its submission from the store, its command line and folder on a worker, then a
 * guard, which is followed.
 *
 * The record "launching" is on disk before this begins. If the server dies anywhere in here, the next
 * one comes here again; a guard that was started already is found by the follower, or keeps the second
 * one out by its lock.
 */
#include "app/app_internal.h"

#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "guard/guard.h"
#include "spark/spark.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct launch {
    struct apps *apps;
    enum app_kind kind;
    int64_t id;
    char *folder;
    char *wait_note;
    char *submission;
    char *door; /* or NULL */
    bool warm;
    struct err err;
};

static void launch_free(struct launch *l)
{
    if (l == NULL)
        return;
    mem_free(l->folder);
    mem_free(l->wait_note);
    mem_free(l->submission);
    mem_free(l->door);
    mem_free(l);
}

enum err_code app_read_submission(const char *text, struct spark_submission *ret, struct err *err)
{
    cleanup(json_decrefp) json_t *json = NULL;
    enum err_code rc = json_parse(text, strlen(text), 16, &json, err);
    return rc == ERR_OK ? spark_submission_read(ret, json, err) : rc;
}

static enum err_code build_command(const struct launch *l, struct spark_command *command, struct err *err)
{
    const struct apps *apps = l->apps;
    struct spark_submission submission = {0};
    enum err_code rc = app_read_submission(l->submission, &submission, err);
    if (rc == ERR_OK)
        rc = spark_build_command(apps->options.spark, &submission, command, err);
    if (rc == ERR_OK && apps->builders[l->kind].build != NULL) {
        const struct app_launch launch = {l->kind, l->id, l->folder, l->door, l->warm, &submission};
        rc = apps->builders[l->kind].build(apps->builders[l->kind].arg, &launch, command, err);
    }
    spark_submission_clear(&submission);
    return rc;
}

static enum err_code build(const struct launch *l, struct guard_launch *plan, struct err *err)
{
    const struct settings *settings = l->apps->options.settings;
    struct spark_command command = {0};
    enum err_code rc = build_command(l, &command, err);
    if (rc != ERR_OK) {
        spark_command_clear(&command);
        return rc;
    }
    plan->argv = command.argv;
    plan->env = command.env;
    command.argv = command.env = (struct strlist){0}; /* the plan's now */
    plan->log_size = (uint64_t)settings->driver.log_size;
    plan->memory_limit = settings->driver.memory_limit ? command.memory_bytes : 0;
    spark_command_clear(&command);
    plan->folder = mem_printf("%s/work", l->folder);
    /* The reason why it waited becomes the first line of its log, where readers have seen it already. */
    bool noted = mem_set_str(&plan->note, l->wait_note) == 0;
    plan->note_on_stdout = app_note_on_stdout(l->kind);
    return plan->folder != NULL && noted ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static void prepare(void *arg)
{
    struct launch *l = arg;
    struct guard_launch plan = {0};
    enum err_code rc = io_make_dirs(l->folder, 0700, &l->err);
    if (rc == ERR_OK)
        rc = build(l, &plan, &l->err);
    if (rc == ERR_OK)
        rc = io_make_dirs(plan.folder, 0700, &l->err);
    if (rc == ERR_OK)
        rc = guard_launch_write(&plan, l->folder, &l->err);
    if (rc == ERR_OK)
        rc = io_sync_dir(l->apps->root, &l->err);
    guard_launch_clear(&plan);
    l->err.code = rc;
}

/* ---- the guard's process ---- */

static void on_process_closed(uv_handle_t *handle)
{
    mem_free(handle);
}

static void on_guard_exit(uv_process_t *process, int64_t status, int signal)
{
    if (status != 0 || signal != 0)
        log_debug("a guard has ended", LOG_I("status", status), LOG_I("signal", signal));
    uv_close((uv_handle_t *)process, on_process_closed);
}

static enum err_code spawn_guard(const struct launch *l, struct err *err)
{
    cleanup(mem_freep) char *log_path = mem_printf("%s/guard.log", l->folder);
    uv_process_t *process = mem_calloc(1, sizeof *process);
    if (log_path == NULL || process == NULL) {
        mem_free(process);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    cleanup(io_closep) int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char *argv[] = {(char[]){"hearth"}, (char[]){"guard"}, l->folder, NULL};
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = log_fd >= 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = log_fd},
    };
    uv_process_options_t options = {
        .file = "/proc/self/exe", /* this very program, even when its file was replaced meanwhile */
        .args = argv,
        .flags = UV_PROCESS_DETACHED,
        .stdio = stdio,
        .stdio_count = 3,
        .exit_cb = on_guard_exit,
    };
    int rc = uv_spawn(l->apps->options.loop, process, &options);
    if (rc == 0) {
        uv_unref((uv_handle_t *)process); /* guards outlive the server */
        return ERR_OK;
    }
    uv_close((uv_handle_t *)process, on_process_closed);
    return err_set(err, ERR_IO, "starting a guard: %s", uv_strerror(rc));
}

/* What can mend itself (disk, memory, processes) is tried again by the tick; the rest ends it. */
static void fail(struct app *app, const struct err *err)
{
    if (app->stop_wanted || (err->code != ERR_IO && err->code != ERR_NOMEM)) {
        app_refuse(app, app->stop_wanted ? "killed before its driver was started" : err->msg);
        return;
    }
    if (app->info.reason == NULL || strcmp(app->info.reason, err->msg) != 0) {
        log_error("a driver cannot be started now; trying again", LOG_I("id", app->info.id),
                  LOG_S("why", err->msg));
        (void)mem_set_str(&app->info.reason, err->msg); /* the log line has it, too */
        app_changed(app);
    }
}

static void follow_guard(struct app *app)
{
    app->launches++;
    app_follow(app, 0);
}

static void prepared(struct app *app, void *arg)
{
    struct launch *l = arg;
    if (app != NULL) {
        app->launch_under_way = false;
        FAULT_POINT("launch.before_guard");
        if (app->stop_wanted)
            app_refuse(app, "killed before its driver was started");
        else if (l->err.code != ERR_OK || spawn_guard(l, &l->err) != ERR_OK)
            fail(app, &l->err);
        else
            follow_guard(app);
        FAULT_POINT("launch.after_guard");
    }
    launch_free(l);
}

static void on_submission(const struct err *err, const struct store_app *row, const struct store_note *notes,
                          unsigned n_notes, void *arg)
{
    (void)notes;
    (void)n_notes;
    struct launch *l = arg;
    struct app *app = app_find_any(l->apps, l->kind, l->id);
    if (app == NULL) {
        launch_free(l);
        return;
    }
    l->err = *err;
    if (row != NULL && (l->submission = mem_strdup(row->submission)) != NULL &&
        app_work(app, prepare, prepared, l, &l->err) == ERR_OK)
        return;
    if (l->err.code == ERR_OK)
        err_set(&l->err, ERR_NOMEM, "out of memory");
    app->launch_under_way = false;
    fail(app, &l->err);
    launch_free(l);
}

void app_launch(struct app *app)
{
    if (app->stop_wanted) {
        app_refuse(app, "killed before its driver was started");
        return;
    }
    if (app->token != NULL) {
        app_drive(app, app->launches++ > 0);
        return;
    }
    struct launch *l = mem_calloc(1, sizeof *l);
    if (l == NULL)
        return; /* the tick tries again */
    l->apps = app->apps;
    l->kind = app->info.kind;
    l->id = app->info.id;
    l->folder = apps_folder(app->apps, app->info.kind, app->info.id);
    l->warm = app->info.warm;
    if (l->folder == NULL || mem_set_str(&l->wait_note, app->info.wait_note) != 0 ||
        mem_set_str(&l->door, app->info.door) != 0) {
        launch_free(l);
        return;
    }
    app->launch_under_way = true;
    store_read_app(app->apps->options.store, app_kind_name(l->kind), l->id, on_submission, l);
}
