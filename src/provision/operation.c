/*
 * Validate, provision, unprovision: from a request to its outcome.
 *
 *     a worker: decode, rules ──► HDFS: rules 10, 11 ──┬── validate: done
 *                                                      ├── provision: look, who owns it ──► create or replace
 *                                                      └── unprovision: look, who owns it ──► remove
 *
 * Rule 10 and rule 11 each look for the active NameNode anew, as the contract of the API has it.
 *
 * A run that is under way is on the list of its provisioner, which ends those that wait for HDFS when it
 * stops.
 */
#include "base/log.h"
#include "base/mem.h"
#include "loop/work.h"
#include "provision/provision_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

struct operation_run {
    struct operation_run *prev, *next;
    struct provision *provision;
    enum operation operation;
    char *text;
    char *owner, *proxy_user;
    int64_t since_ms;
    outcome_cb *done;
    void *arg;
    /* what has become of it */
    struct descriptor descriptor;
    enum err_code code; /* of decoding */
    struct err err;
    bool failed[RULES_END];
    char *hdfs_path; /* NULL: HDFS has nothing to do with it */
    bool asking;     /* HDFS */
    struct job_data data;
    struct schedule_spec spec;
    int64_t first_ms; /* first fire time */
    int looks;        /* at what there is under the job's name */
};

enum { LOOKS_MAX = 100 }; /* each loses against another change, or a fire */

const char *operation_name(enum operation operation)
{
    static const char *const names[] = {
        [OPERATION_VALIDATE] = "validate",
        [OPERATION_PROVISION] = "provision",
        [OPERATION_UNPROVISION] = "unprovision",
    };
    return names[operation];
}

static void run_free(struct operation_run *run)
{
    if (run == NULL)
        return;
    descriptor_clear(&run->descriptor);
    job_data_clear(&run->data);
    schedule_spec_clear(&run->spec);
    mem_free(run->text);
    mem_free(run->owner);
    mem_free(run->proxy_user);
    mem_free(run->hdfs_path);
    mem_free(run);
}

/* ---- the end ---- */

static void finish(struct operation_run *run, const struct outcome *outcome)
{
    DL_DELETE(run->provision->runs, run);
    run->done(outcome, run->arg);
    run_free(run);
}

/* With messages; of validate that is an answer as good as any. */
static void finish_errors(struct operation_run *run, int status, const struct strlist *errors)
{
    finish(run, &(struct outcome){.status = run->operation == OPERATION_VALIDATE ? 200 : status,
                                  .errors = errors});
}

static void finish_no_memory(struct operation_run *run)
{
    finish(run, &(struct outcome){.status = 503, .error = "out of memory"});
}

static void finish_one_error(struct operation_run *run, int status, const char *message)
{
    struct strlist errors = {0};
    if (strlist_add(&errors, message) == 0)
        finish_errors(run, status, &errors);
    else
        finish_no_memory(run);
    strlist_clear(&errors);
}

/* A failure after validation; printf form. */
__attribute__((format(printf, 2, 3))) static void fail(struct operation_run *run, const char *fmt, ...)
{
    const char *name = operation_name(run->operation);
    cleanup(buf_clear) struct buf text = BUF(4096);
    va_list ap;
    buf_printf(&text, "Unable to execute %s service: Unable to complete %s. Component gateway error: ", name,
               name);
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    log_warn("operation failed", LOG_S("operation", name), LOG_S("job", run->descriptor.component.job_name),
             LOG_S("why", buf_cstr(&text)));
    finish(run, &(struct outcome){.status = 500, .error = buf_cstr(&text)});
}

static void finish_done(struct operation_run *run, int64_t first_ms)
{
    cleanup(mem_freep) char *result = result_text(&run->descriptor.component, &run->data, first_ms);
    if (result != NULL)
        finish(run, &(struct outcome){.status = 200, .result = result});
    else
        finish_no_memory(run);
}

/* ---- provision and unprovision ---- */

/* Somebody else's job stays as it is. Who is acted for is who counts. */
static bool may_change(const struct operation_run *run, const struct schedule_view *schedule)
{
    const char *user = run->proxy_user != NULL ? run->proxy_user : run->owner;
    return door_may_modify_owned(run->provision->options.door, user, schedule->spec.owner,
                                 schedule->spec.proxy_user);
}

static void refuse_other_owner(struct operation_run *run)
{
    char text[512];
    (void)snprintf(text, sizeof text, "job %.200s.%.200s belongs to another user", run->descriptor.group,
                   run->descriptor.component.job_name);
    finish_one_error(run, 403, text);
}

static void look_before_put(struct operation_run *run);

/* Somebody else was quicker since the look: what is there now is judged anew. */
static void on_put(const struct err *err, int64_t id, void *arg)
{
    struct operation_run *run = arg;
    bool is_other = err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND;
    (void)id;
    if (is_other && run->looks < LOOKS_MAX)
        look_before_put(run);
    else if (err->code != ERR_OK)
        fail(run, "Error while scheduling job: %s", err->msg);
    else
        finish_done(run, run->first_ms);
}

/* The server that was killed has made this very job, whose first run may be over. */
static bool is_made(const struct operation_run *run, const struct schedule_view *schedule)
{
    const struct schedule_spec *wanted = &run->spec;
    const struct schedule_spec *there = &schedule->spec;
    bool is_cron = wanted->trigger.kind == TRIGGER_CRON;
    return run->since_ms > 0 && schedule->changed_ms >= run->since_ms &&
           wanted->trigger.kind == there->trigger.kind && str_same(wanted->task, there->task) &&
           str_same(wanted->cron, there->cron) && str_same(wanted->proxy_user, there->proxy_user) &&
           (!is_cron || (wanted->trigger.start_ms == there->trigger.start_ms &&
                         wanted->trigger.end_ms == there->trigger.end_ms));
}

static void on_found_to_put(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    struct operation_run *run = arg;
    if (err->code == ERR_OK && !str_same(schedule->spec.door, provision_door_name))
        fail(run, "Error overwriting the previous job. Deletion failed."); /* it is not of this API */
    else if (err->code == ERR_OK && !may_change(run, schedule))
        refuse_other_owner(run);
    else if (err->code == ERR_OK && is_made(run, schedule))
        finish_done(run,
                    run->spec.trigger.kind == TRIGGER_CRON ? run->first_ms : schedule->spec.trigger.start_ms);
    else if (err->code == ERR_OK) /* this very version: no other owner's that came meanwhile */
        scheduler_replace(run->provision->options.scheduler, schedule->id, schedule->version, &run->spec,
                          on_put, run);
    else if (err->code == ERR_NOT_FOUND)
        scheduler_create(run->provision->options.scheduler, &run->spec, false, on_put, run);
    else
        fail(run, "Error while scheduling job: %s", err->msg);
}

static void look_before_put(struct operation_run *run)
{
    run->looks++;
    scheduler_find(run->provision->options.scheduler, run->spec.group, run->spec.name, on_found_to_put, run);
}

/* In the words of the scheduler that the original has. */
static void fail_schedule(struct operation_run *run, const struct err *err)
{
    const struct trigger *t = &run->spec.trigger;
    if (t->end_ms < t->start_ms)
        fail(
            run,
            "Error creating trigger: SchedulerError(Unexpected error while creating trigger. End time cannot "
            "be before start time)");
    else if (strstr(err->msg, "will never fire") != NULL)
        fail(run,
             "Error while scheduling job: org.quartz.SchedulerException: Based on configured schedule, the "
             "given "
             "trigger '%s.%sTrigger' will never fire.",
             run->spec.group, run->spec.name);
    else
        fail(run, "Error while scheduling job: %s", err->msg);
}

static enum err_code prepare(struct operation_run *run, struct err *err)
{
    const struct provision *p = run->provision;
    struct operation_request who = {.owner = run->owner, .proxy_user = run->proxy_user};
    bool strict = p->options.settings->provision.strict_compat;
    enum err_code rc = job_data_make(&run->descriptor.component, strict, &run->data, err);
    if (rc == ERR_OK && run->operation == OPERATION_PROVISION)
        rc = job_spec_make(p, &run->descriptor, &run->data, &who, &run->spec, err);
    return rc;
}

static void start_provision(struct operation_run *run)
{
    struct err err = {0};
    struct trigger trigger;
    const struct settings *settings = run->provision->options.settings;
    if (settings->provision.livy_required && settings->provision.livy_url[0] == '\0') {
        fail(run, "Livy URL not found in env vars");
        return;
    }
    enum err_code rc = prepare(run, &err);
    if (rc == ERR_INVALID) { /* what hearth itself does not run */
        finish_one_error(run, 400, err.msg);
    } else if (rc != ERR_OK) {
        finish_no_memory(run);
    } else if (scheduler_check(&run->spec, &trigger, &err) != ERR_OK) {
        fail_schedule(run, &err);
    } else {
        run->first_ms = trigger.next_ms;
        look_before_put(run);
    }
}

static void on_removed(const struct err *err, int64_t id, void *arg)
{
    struct operation_run *run = arg;
    (void)id;
    if (err->code == ERR_OK || err->code == ERR_NOT_FOUND)
        finish_done(run, TRIGGER_NEVER);
    else
        fail(run, "SchedulerException while deleting job: %s", err->msg);
}

static void on_found_to_remove(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    struct operation_run *run = arg;
    bool is_ours = err->code == ERR_OK && str_same(schedule->spec.door, provision_door_name);
    if (is_ours && !may_change(run, schedule))
        refuse_other_owner(run);
    else if (is_ours)
        scheduler_remove(run->provision->options.scheduler, schedule->id, on_removed, run);
    else if (err->code == ERR_OK || err->code == ERR_NOT_FOUND)
        finish_done(run, TRIGGER_NEVER); /* as if it had been there */
    else
        fail(run, "SchedulerException while deleting job: %s", err->msg);
}

static void start_unprovision(struct operation_run *run)
{
    struct err err = {0};
    if (prepare(run, &err) != ERR_OK)
        finish_no_memory(run);
    else
        scheduler_find(run->provision->options.scheduler, run->descriptor.group,
                       run->descriptor.component.job_name, on_found_to_remove, run);
}

/* ---- validation ---- */

static enum err_code list_failures(const struct operation_run *run, struct strlist *ret)
{
    for (int rule = RULE_COMPONENT; rule < RULES_END; rule++)
        if (run->failed[rule] && strlist_add(ret, rule_message((enum rule)rule)) != 0)
            return ERR_NOMEM;
    return ERR_OK;
}

static void on_validated(struct operation_run *run)
{
    struct strlist errors = {0};
    if (list_failures(run, &errors) != ERR_OK)
        finish_no_memory(run);
    else if (errors.n > 0 || run->operation == OPERATION_VALIDATE)
        finish_errors(run, 400, &errors);
    else if (run->operation == OPERATION_PROVISION)
        start_provision(run);
    else
        start_unprovision(run);
    strlist_clear(&errors);
}

static void on_file(enum hdfs_presence presence, void *arg)
{
    struct operation_run *run = arg;
    run->asking = false;
    run->failed[RULE_FILE] = presence != HDFS_PRESENT;
    on_validated(run);
}

static void on_namenode(enum hdfs_presence presence, void *arg)
{
    struct operation_run *run = arg;
    if (presence == HDFS_PRESENT) {
        hdfs_ask_presence(run->provision->hdfs, run->hdfs_path, on_file, run);
        return;
    }
    run->asking = false;
    run->failed[RULE_NAMENODE] = run->failed[RULE_FILE] = true;
    on_validated(run);
}

static void finish_stopped(struct operation_run *run)
{
    finish(run, &(struct outcome){.status = 503, .error = "the server stops"});
}

void operations_stop(struct provision *p)
{
    struct operation_run *run, *next;
    DL_FOREACH_SAFE(p->runs, run, next)
    {
        if (run->asking)
            finish_stopped(run);
    }
}

static void check(void *arg)
{
    struct operation_run *run = arg;
    run->code = descriptor_read(run->text, &run->descriptor, &run->err);
    if (run->code != ERR_OK)
        return;
    rules_check(&run->descriptor, run->failed);
    run->code = rules_check_file(&run->descriptor, run->failed, &run->hdfs_path, &run->err);
}

static void on_checked(void *arg)
{
    struct operation_run *run = arg;
    const struct provision *p = run->provision;
    if (p->stopped) {
        finish_stopped(run);
    } else if (run->code == ERR_INVALID) {
        log_info("descriptor not decoded", LOG_S("why", run->err.msg));
        finish_one_error(run, 400, descriptor_undecodable);
    } else if (run->code != ERR_OK) {
        finish_no_memory(run);
    } else if (run->hdfs_path == NULL) {
        on_validated(run);
    } else if (p->hdfs != NULL) {
        run->asking = true;
        hdfs_ask_active(p->hdfs, on_namenode, run);
    } else {
        on_namenode(HDFS_NO_ACTIVE_NODE, run);
    }
}

/* ---- the beginning ---- */

static struct operation_run *run_new(struct provision *p, const struct operation_request *request)
{
    struct operation_run *run = mem_calloc(1, sizeof *run);
    if (run == NULL || mem_set_str(&run->text, request->descriptor) != 0 ||
        mem_set_str(&run->owner, request->owner) != 0 ||
        mem_set_str(&run->proxy_user, request->proxy_user) != 0) {
        run_free(run);
        return NULL;
    }
    run->provision = p;
    run->operation = request->operation;
    run->since_ms = request->since_ms;
    return run;
}

void operation_run(struct provision *p, const struct operation_request *request, outcome_cb *done, void *arg)
{
    struct err err = {0};
    struct operation_run *run = run_new(p, request);
    if (run == NULL) {
        done(&(struct outcome){.status = 503, .error = "out of memory"}, arg);
        return;
    }
    run->done = done;
    run->arg = arg;
    DL_APPEND(p->runs, run);
    if (work_run(p->options.loop, check, on_checked, run, &err) != ERR_OK)
        finish(run, &(struct outcome){.status = err_http_status(err.code), .error = err.msg});
}
