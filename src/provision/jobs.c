/*
 * /v1/scheduler: the provisioned jobs, their triggers, and a run by hand.
 *
 * A job is a schedule of this door. Its one trigger is named <job>Trigger, and is gone when it has no fire
 * time any more; a run by hand has a trigger manual-<token>, which is used up at once.
 */
#include "provision/provision_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PAGE = 500, /* jobs that are held at a time */
    BODY_MAX = 128 << 20,
    FIRES_LOOKED_AT = 200, /* of a job, the newest: those that run, and the last submission, are among them */
    PRIORITY = 5,
};

static const char trigger_suffix[] = "Trigger";

/* ---- a job while its fires are read ---- */

struct job {
    int64_t id;
    enum schedule_state state;
    struct trigger trigger;
    char *group, *name, *task;
    char *cron, *zone; /* or NULL */
};

static void job_clear(struct job *job)
{
    mem_free(job->group);
    mem_free(job->name);
    mem_free(job->task);
    mem_free(job->cron);
    mem_free(job->zone);
}

/* False: out of memory. */
static bool job_copy(struct job *to, const struct schedule_view *from)
{
    const struct schedule_spec *spec = &from->spec;
    *to = (struct job){.id = from->id, .state = from->state, .trigger = spec->trigger};
    const char *zone = spec->zone;
    if (zone == NULL && spec->trigger.kind == TRIGGER_CRON)
        zone = zone_name(spec->trigger.zone);
    return mem_set_str(&to->group, spec->group) == 0 && mem_set_str(&to->name, spec->name) == 0 &&
           mem_set_str(&to->task, spec->task) == 0 && mem_set_str(&to->cron, spec->cron) == 0 &&
           mem_set_str(&to->zone, zone) == 0;
}

/* ---- as JSON ---- */

static int64_t final_fire_ms(const struct trigger *t)
{
    int64_t at_s = 0;
    if (t->kind != TRIGGER_CRON)
        return t->start_ms;
    bool found = cron_previous(&t->cron, t->zone, t->end_ms / 1000 + 1, &at_s);
    return found && at_s >= t->start_ms / 1000 ? at_s * 1000 : TRIGGER_NEVER;
}

struct trigger_words {
    const char *group, *job;
    const char *name;
    const char *type, *state;
    const char *cron, *zone;                                  /* or NULL */
    int64_t start_ms, end_ms, previous_ms, next_ms, final_ms; /* TRIGGER_NEVER, TRIGGER_NOT_YET: null */
};

static void write_trigger(struct json_out *out, const struct trigger_words *w)
{
    json_out_object(out, NULL);
    json_out_str(out, "name", w->name);
    json_out_str(out, "group", w->group);
    json_out_str(out, "jobName", w->job);
    json_out_str(out, "jobGroup", w->group);
    json_out_str(out, "type", w->type);
    json_out_str(out, "state", w->state);
    json_out_str(out, "cronExpression", w->cron);
    json_out_str(out, "timeZone", w->zone);
    write_instant(out, "startTime", w->start_ms);
    write_instant(out, "endTime", w->end_ms);
    write_instant(out, "previousFireTime", w->previous_ms);
    write_instant(out, "nextFireTime", w->next_ms);
    write_instant(out, "finalFireTime", w->final_ms);
    json_out_int(out, "misfireInstruction", 0);
    json_out_int(out, "priority", PRIORITY);
    json_out_end_object(out);
}

static void write_own_trigger(struct json_out *out, const struct job *job)
{
    char name[SCHEDULE_NAME_MAX + sizeof trigger_suffix];
    const struct trigger *t = &job->trigger;
    (void)snprintf(name, sizeof name, "%s%s", job->name, trigger_suffix);
    write_trigger(out, &(struct trigger_words){
                           .group = job->group,
                           .job = job->name,
                           .name = name,
                           .type = t->kind == TRIGGER_CRON ? "CRON" : "SIMPLE",
                           .state = job->state == SCHEDULE_PAUSED ? "PAUSED" : "NORMAL",
                           .cron = job->cron,
                           .zone = job->zone,
                           .start_ms = t->start_ms,
                           .end_ms = t->end_ms,
                           .previous_ms = t->previous_ms,
                           .next_ms = t->next_ms,
                           .final_ms = final_fire_ms(t),
                       });
}

static void write_execution(struct json_out *out, const struct job *job, const struct fire_view *fire)
{
    char text[SCHEDULE_NAME_MAX + 64];
    int64_t begun_ms = fire->actual_ms > 0 ? fire->actual_ms : fire->planned_ms;
    int64_t run_ms = clock_wall_ms() - begun_ms;
    json_out_object(out, NULL);
    (void)snprintf(text, sizeof text, "%" PRId64 "-%" PRId64, fire->schedule, fire->number);
    json_out_str(out, "fireInstanceId", text);
    if (fire->cause == FIRE_MANUAL && fire->token != NULL)
        (void)snprintf(text, sizeof text, "manual-%s", fire->token);
    else
        (void)snprintf(text, sizeof text, "%s%s", job->name, trigger_suffix);
    json_out_str(out, "triggerName", text);
    write_instant(out, "fireTime", begun_ms);
    json_out_int(out, "runTimeMs", run_ms > 0 ? run_ms : 0);
    if (fire->batch >= 0)
        json_out_int(out, "batchId", fire->batch);
    else
        json_out_null(out, "batchId");
    json_out_end_object(out);
}

/* Its application lives; with another Livy server, its post is on its way. */
static bool runs_now(const struct provision *p, const struct fire_view *fire)
{
    return fire->state == FIRE_RUNNING &&
           (p->livy_post == NULL || livy_post_is_under_way(p->livy_post, fire->schedule, fire->number));
}

static bool any_runs_now(const struct provision *p, const struct fire_view *fires, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (runs_now(p, &fires[i]))
            return true;
    return false;
}

static void write_executions(const struct provision *p, struct json_out *out, const struct job *job,
                             const struct fire_view *fires, size_t n)
{
    json_out_array(out, "executions");
    for (size_t i = 0; i < n; i++)
        if (runs_now(p, &fires[i]))
            write_execution(out, job, &fires[i]);
    json_out_end_array(out);
}

static void write_job(const struct provision *p, struct json_out *out, const struct job *job,
                      const struct fire_view *fires, size_t n)
{
    json_out_object(out, NULL);
    json_out_str(out, "name", job->name);
    json_out_str(out, "group", job->group);
    json_out_bool(out, "durable", true);
    json_out_bool(out, "running", any_runs_now(p, fires, n));
    write_executions(p, out, job, fires, n);
    json_out_raw(out, "data", job->task != NULL ? job->task : "{}");
    json_out_array(out, "triggers");
    if (job->state != SCHEDULE_COMPLETE)
        write_own_trigger(out, job);
    json_out_end_array(out);
    last_submission_write(fires, n, out);
    json_out_end_object(out);
}

/* ---- reading jobs, and then the fires of each ---- */

struct looking {
    const struct provision *provision;
    struct http_request *request;
    char *group, *name; /* of one; NULL: of a list */
    char *user;         /* whose rights count */
    bool only_running;
    struct job *jobs; /* of the present page */
    size_t n, at;
    int64_t read, total; /* of a list: jobs of the pages so far, and of all */
    struct buf body;
    struct json_out out;
};

static void forget_page(struct looking *l)
{
    for (size_t i = 0; i < l->n; i++)
        job_clear(&l->jobs[i]);
    mem_free(l->jobs);
    l->jobs = NULL;
    l->n = l->at = 0;
}

static void looking_free(struct looking *l)
{
    if (l == NULL)
        return;
    forget_page(l);
    mem_free(l->group);
    mem_free(l->name);
    mem_free(l->user);
    buf_clear(&l->body);
    mem_free(l);
}

static void refuse(struct looking *l, const struct err *err)
{
    reply_one_error(l->request, err_http_status(err->code), "%s", err->msg);
    looking_free(l);
}

static void no_memory(struct looking *l)
{
    http_reply(l->request, NULL);
    looking_free(l);
}

static void reply_looked(struct looking *l, int status)
{
    reply_json(l->request, status, &l->body);
    looking_free(l);
}

/* NULL: answered already. */
static struct looking *looking_new(const struct provision *p, struct http_request *r, const char *group,
                                   const char *name)
{
    struct err err = {0};
    const char *user = NULL;
    if (door_effective_user(p->options.door, r, &user, &err) != ERR_OK) {
        reply_one_error(r, err_http_status(err.code), "%s", err.msg);
        return NULL;
    }
    struct looking *l = mem_calloc(1, sizeof *l);
    if (l == NULL) {
        http_reply(r, NULL);
        return NULL;
    }
    l->provision = p;
    l->request = r;
    buf_init(&l->body, BODY_MAX);
    json_out_open(&l->out, &l->body);
    if (mem_set_str(&l->user, user) != 0 || mem_set_str(&l->group, group) != 0 ||
        mem_set_str(&l->name, name) != 0) {
        no_memory(l);
        return NULL;
    }
    return l;
}

static bool may_view(const struct looking *l, const struct schedule_view *schedule)
{
    return str_same(schedule->spec.door, provision_door_name) &&
           door_may_view_owned(l->provision->options.door, l->user, schedule->spec.owner,
                               schedule->spec.proxy_user);
}

static void not_found(struct looking *l, const char *what, const char *name)
{
    reply_one_error(l->request, 404, "%s %.300s.%.300s not found", what, l->group, name);
    looking_free(l);
}

/* ---- the list ---- */

static void read_next(struct looking *l);

static void on_fires(const struct err *err, const struct fire_view *fires, size_t n, void *arg)
{
    struct looking *l = arg;
    if (err->code != ERR_OK &&
        err->code != ERR_NOT_FOUND) { /* removed meanwhile: as if it had been earlier */
        refuse(l, err);
        return;
    }
    if (err->code == ERR_OK && (!l->only_running || any_runs_now(l->provision, fires, n)))
        write_job(l->provision, &l->out, &l->jobs[l->at], fires, n);
    l->at++;
    read_next(l);
}

static void read_page(struct looking *l);

/* True when it makes no sense to go on, and that is answered. */
static bool is_over(struct looking *l)
{
    struct err err = {0};
    if (l->provision->stopped)
        (void)err_set(&err, ERR_BUSY, "the server stops");
    else if (buf_check(&l->body, &err) == ERR_TOO_LARGE)
        (void)err_set(&err, ERR_BUSY, "too many jobs for one answer: ask for one group of them (?group=)");
    if (err.code != ERR_OK)
        refuse(l, &err);
    return err.code != ERR_OK;
}

static void read_next(struct looking *l)
{
    struct scheduler *scheduler = l->provision->options.scheduler;
    if (is_over(l))
        return;
    if (l->at < l->n) {
        scheduler_history(scheduler, l->jobs[l->at].id, 0, FIRES_LOOKED_AT, on_fires, l);
    } else if (l->read < l->total) {
        read_page(l);
    } else {
        json_out_end_array(&l->out);
        json_out_end_object(&l->out);
        reply_looked(l, 200);
    }
}

static void on_page(const struct err *err, const struct schedule_view *schedules, size_t n, int64_t total,
                    void *arg)
{
    struct looking *l = arg;
    if (err->code != ERR_OK) {
        refuse(l, err);
        return;
    }
    l->jobs = mem_calloc(n > 0 ? n : 1, sizeof *l->jobs);
    bool good = l->jobs != NULL;
    for (size_t i = 0; i < n && good; i++)
        if (may_view(l, &schedules[i]))
            good = job_copy(&l->jobs[l->n++], &schedules[i]);
    if (!good) {
        no_memory(l);
        return;
    }
    l->read += (int64_t)n;
    l->total = n > 0 ? total : l->read; /* removed meanwhile */
    read_next(l);
}

static void read_page(struct looking *l)
{
    struct schedule_query query = {
        .group = l->group,
        .door = provision_door_name,
        .after_id = -1,
        .max = PAGE,
        .by_name = true,
        .from = l->read,
    };
    forget_page(l);
    scheduler_list(l->provision->options.scheduler, &query, on_page, l);
}

void jobs_list(struct http_request *r, void *arg)
{
    struct provision *p = arg;
    const char *state = http_query(r, "state");
    if (state != NULL && strcmp(state, "running") != 0) {
        reply_one_error(r, 400, "state is '%.100s'; it must be running", state);
        return;
    }
    struct looking *l = looking_new(p, r, http_query(r, "group"), NULL);
    if (l == NULL)
        return;
    l->only_running = state != NULL;
    json_out_object(&l->out, NULL);
    json_out_array(&l->out, "jobs");
    read_page(l);
}

/* ---- one job ---- */

static void on_fires_of_one(const struct err *err, const struct fire_view *fires, size_t n, void *arg)
{
    struct looking *l = arg;
    if (err->code == ERR_NOT_FOUND) {
        not_found(l, "Job", l->name);
    } else if (err->code != ERR_OK) {
        refuse(l, err);
    } else {
        write_job(l->provision, &l->out, &l->jobs[0], fires, n);
        reply_looked(l, 200);
    }
}

/* Takes the one job; false: answered already. `what` and `name` are what was asked for. */
static bool take_one(struct looking *l, const struct err *err, const struct schedule_view *schedule,
                     const char *what, const char *name)
{
    if (err->code == ERR_NOT_FOUND || (err->code == ERR_OK && !may_view(l, schedule))) {
        not_found(l, what, name);
        return false;
    }
    if (err->code != ERR_OK) {
        refuse(l, err);
        return false;
    }
    l->jobs = mem_calloc(1, sizeof *l->jobs);
    l->n = l->jobs != NULL ? 1 : 0;
    if (l->jobs == NULL || !job_copy(&l->jobs[0], schedule)) {
        no_memory(l);
        return false;
    }
    return true;
}

static void on_job(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    struct looking *l = arg;
    if (take_one(l, err, schedule, "Job", l->name))
        scheduler_history(l->provision->options.scheduler, l->jobs[0].id, 0, FIRES_LOOKED_AT, on_fires_of_one,
                          l);
}

void jobs_get(struct http_request *r, void *arg)
{
    struct provision *p = arg;
    struct looking *l = looking_new(p, r, http_param(r, 0), http_param(r, 1));
    if (l != NULL)
        scheduler_find(p->options.scheduler, l->group, l->name, on_job, l);
}

/* ---- its trigger ---- */

static void on_job_of_trigger(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    struct looking *l = arg;
    const char *name = http_param(l->request, 1);
    if (!take_one(l, err, schedule, "Trigger", name))
        return;
    if (l->jobs[0].state == SCHEDULE_COMPLETE) {
        not_found(l, "Trigger", name);
        return;
    }
    write_own_trigger(&l->out, &l->jobs[0]);
    reply_looked(l, 200);
}

void triggers_get(struct http_request *r, void *arg)
{
    struct provision *p = arg;
    const char *name = http_param(r, 1);
    struct looking *l = looking_new(p, r, http_param(r, 0), name);
    if (l == NULL)
        return;
    if (!str_ends(name, trigger_suffix)) {
        not_found(l, "Trigger", name);
        return;
    }
    l->name[strlen(name) - strlen(trigger_suffix)] = '\0';
    scheduler_find(p->options.scheduler, l->group, l->name, on_job_of_trigger, l);
}

/* ---- a run by hand ---- */

struct manual {
    struct looking *looking;
    char token[TOKEN_TEXT_MAX];
};

static void reply_manual(struct looking *l, const char *token)
{
    char name[TOKEN_TEXT_MAX + sizeof "manual-"];
    int64_t now_ms = clock_wall_ms();
    (void)snprintf(name, sizeof name, "manual-%s", token);
    write_trigger(&l->out, &(struct trigger_words){
                               .group = l->group,
                               .job = l->name,
                               .name = name,
                               .type = "SIMPLE",
                               .state = "NORMAL",
                               .start_ms = now_ms,
                               .end_ms = TRIGGER_NEVER,
                               .previous_ms = TRIGGER_NOT_YET,
                               .next_ms = now_ms,
                               .final_ms = now_ms,
                           });
    reply_looked(l, 201);
}

static void on_run(const struct err *err, int64_t number, void *arg)
{
    struct manual m = *(struct manual *)arg;
    (void)number;
    mem_free(arg);
    if (err->code == ERR_NOT_FOUND)
        not_found(m.looking, "Job", m.looking->name);
    else if (err->code != ERR_OK)
        refuse(m.looking, err);
    else
        reply_manual(m.looking, m.token);
}

static void run_now(struct looking *l)
{
    struct err err = {0};
    struct manual *m = mem_calloc(1, sizeof *m);
    if (m == NULL) {
        no_memory(l);
        return;
    }
    m->looking = l;
    if (token_draw(m->token, &err) != ERR_OK) {
        mem_free(m);
        refuse(l, &err);
        return;
    }
    scheduler_run_now(l->provision->options.scheduler, l->jobs[0].id, m->token, on_run, m);
}

static void on_job_to_run(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    struct looking *l = arg;
    struct err why = {0};
    if (!take_one(l, err, schedule, "Job", l->name))
        return;
    if (!door_may_modify_owned(l->provision->options.door, l->user, schedule->spec.owner,
                               schedule->spec.proxy_user)) {
        (void)err_set(&why, ERR_DENIED, "job %.200s.%.200s belongs to another user", l->group, l->name);
        refuse(l, &why);
    } else if (l->jobs[0].state != SCHEDULE_COMPLETE) {
        (void)err_set(&why, ERR_CONFLICT, "Job %.200s.%.200s has a trigger already", l->group, l->name);
        refuse(l, &why);
    } else {
        run_now(l);
    }
}

void jobs_trigger(struct http_request *r, void *arg)
{
    struct provision *p = arg;
    cleanup(json_decrefp) json_t *body = NULL;
    const struct buf *text = http_body(r);
    if (!str_blank(buf_cstr(text)) &&
        (json_parse(buf_cstr(text), text->len, (unsigned)p->options.settings->server.depth_limit, &body,
                    NULL) != ERR_OK ||
         !json_is_object(body))) {
        reply_text(r, 400, "The request body was malformed.");
        return;
    }
    struct looking *l = looking_new(p, r, http_param(r, 0), http_param(r, 1));
    if (l != NULL)
        scheduler_find(p->options.scheduler, l->group, l->name, on_job_to_run, l);
}
