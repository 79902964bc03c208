/*
 * An application as it is stored: the columns of its row, and the rest as JSON facts.
 */
#include "app/app_internal.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

enum { FACTS_MAX = 64 << 20, FACTS_DEPTH = 8 }; /* a file's name is as long as a request may be */

static void write_diagnosis(struct json_out *out, const struct app_diagnosis *d)
{
    json_out_object(out, "diagnosis");
    json_out_str(out, "summary", d->summary);
    json_out_int(out, "exitCode", d->exit_code);
    json_out_int(out, "signal", d->signal);
    json_out_bool(out, "killedForMemory", d->killed_for_memory);
    json_out_int(out, "maxMemory", (int64_t)d->max_memory);
    json_out_list(out, "errors", &d->errors);
    json_out_end_object(out);
}

char *app_facts(const struct app *app)
{
    const struct app_info *info = &app->info;
    cleanup(buf_clear) struct buf text = BUF(FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_str(&out, "file", info->file);
    json_out_str(&out, "master", info->master);
    json_out_str(&out, "deployMode", info->deploy_mode);
    json_out_bool(&out, "remote", app->remote);
    if (info->door != NULL)
        json_out_raw(&out, "door", info->door);
    if (info->warm)
        json_out_bool(&out, "warm", true);
    json_out_str(&out, "uiUrl", info->ui_url);
    json_out_str(&out, "launcherState", info->launcher_state);
    json_out_str(&out, "waitNote", info->wait_note);
    if (app->token != NULL) {
        json_out_str(&out, "token", app->token);
        json_out_str(&out, "driverId", info->driver_id);
        json_out_str(&out, "worker", info->worker);
        json_out_str(&out, "logUrl", info->log_url);
    }
    if (app_state_is_end(info->state))
        write_diagnosis(&out, &info->diagnosis);
    json_out_end_object(&out);
    return buf_steal(&text);
}

char *app_submission(const struct spark_submission *submission)
{
    cleanup(buf_clear) struct buf text = BUF(FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    spark_submission_write(submission, &out, NULL);
    return buf_steal(&text);
}

static enum err_code read_diagnosis(struct app_diagnosis *d, json_t *value, struct err *err)
{
    struct json_in in;
    int64_t exit_code = -1;
    int64_t signal = 0;
    int64_t max_memory = 0;
    json_in_open(&in, value, err);
    json_in_str(&in, "summary", &d->summary);
    json_in_int(&in, "exitCode", -1, 255, &exit_code);
    json_in_int(&in, "signal", 0, 255, &signal);
    json_in_bool(&in, "killedForMemory", &d->killed_for_memory);
    json_in_int(&in, "maxMemory", 0, INT64_MAX, &max_memory);
    json_in_list(&in, "errors", &d->errors);
    d->exit_code = (int)exit_code;
    d->signal = (int)signal;
    d->max_memory = (uint64_t)max_memory;
    return json_in_end(&in);
}

static enum err_code read_facts(struct app *app, const char *text, struct err *err)
{
    cleanup(json_decrefp) json_t *facts = NULL;
    if (json_parse(text, strlen(text), FACTS_DEPTH, &facts, err) != ERR_OK)
        return err->code;
    struct json_in in;
    json_in_open(&in, facts, err);
    json_in_str(&in, "file", &app->info.file);
    json_in_str(&in, "master", &app->info.master);
    json_in_str(&in, "deployMode", &app->info.deploy_mode);
    json_in_bool(&in, "remote", &app->remote);
    json_in_str(&in, "uiUrl", &app->info.ui_url);
    json_in_str(&in, "launcherState", &app->info.launcher_state);
    json_in_str(&in, "waitNote", &app->info.wait_note);
    json_in_bool(&in, "warm", &app->info.warm);
    json_in_str(&in, "token", &app->token);
    json_in_str(&in, "driverId", &app->info.driver_id);
    json_in_str(&in, "worker", &app->info.worker);
    json_in_str(&in, "logUrl", &app->info.log_url);
    json_t *door = json_in_value(&in, "door");
    json_t *diagnosis = json_in_value(&in, "diagnosis");
    enum err_code rc = json_in_end(&in);
    if (rc == ERR_OK && door != NULL && (app->info.door = json_text(door)) == NULL)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK && diagnosis != NULL)
        rc = read_diagnosis(&app->info.diagnosis, diagnosis, err);
    return rc;
}

struct app *app_from_row(struct apps *apps, const struct store_app *row)
{
    struct app *app = app_new(apps);
    if (app == NULL)
        return NULL;
    struct app_info *info = &app->info;
    struct err err = {0};
    int state = fsm_find(app_states, APP_STATES, row->state);
    enum err_code rc = read_facts(app, row->facts, &err);
    if (rc == ERR_NOMEM || mem_set_str(&info->name, row->name) != 0 ||
        mem_set_str(&info->owner, row->owner) != 0 || mem_set_str(&info->proxy_user, row->proxy_user) != 0 ||
        mem_set_str(&info->app_id, row->app_id) != 0 || mem_set_str(&info->reason, row->reason) != 0) {
        app_free(app);
        return NULL;
    }
    if (rc != ERR_OK || state < 0) /* a row by a hand that is not ours: shown as far as it goes */
        log_error("a stored application is not readable", LOG_S("kind", row->kind), LOG_I("id", row->id),
                  LOG_S("why", state < 0 ? row->state : err.msg));
    info->state = state < 0 ? APP_DEAD : (enum app_state)state;
    info->id = row->id;
    info->memory = (uint64_t)row->memory;
    info->pid = row->pid;
    info->created_ms = row->created_ms;
    info->started_ms = row->started_ms;
    info->ended_ms = row->ended_ms;
    app->version = row->version;
    app->last_event = row->last_event;
    app->forgotten_ms = row->forgotten_ms;
    return app;
}
