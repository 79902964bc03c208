/*
 * The schedule that a component becomes.
 */
#include "provision/provision_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "schedule/zone.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { PRIORITY = 5, ONE_SHOT_DAYS = 20 * 365 + 5 }; /* 20 years */

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* What schedules can be called is narrower than what descriptors can hold. */
static enum err_code check_name(const char *what, const char *text, struct err *err)
{
    size_t n = strlen(text);
    if (n >= 1 && n <= SCHEDULE_NAME_MAX)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "%s has %zu bytes; it must have 1 to %d", what, n, SCHEDULE_NAME_MAX);
}

/* ---- when ---- */

/* A rule in TZ has no name to be found by again: without one it is the zone of the process at any time. */
static enum err_code name_zone(struct schedule_spec *spec, struct err *err)
{
    struct err ignored;
    const struct zone *again = NULL;
    enum err_code rc = zone_local(&spec->trigger.zone, err);
    if (rc != ERR_OK)
        return rc;
    const char *name = zone_name(spec->trigger.zone);
    if (zone_find(name, &again, &ignored) != ERR_OK)
        return ERR_OK;
    return mem_set_str(&spec->zone, name) == 0 ? ERR_OK : no_memory(err);
}

static enum err_code by_cron(struct schedule_spec *spec, const struct job_schedule *schedule, struct err *err)
{
    struct trigger *t = &spec->trigger;
    int64_t start_s = 0;
    int64_t end_s = 0;
    if (!date_read(schedule->start, &start_s) || !date_read(schedule->end, &end_s))
        return err_set(err, ERR_INVALID, "%s", rule_message(RULE_DATES));
    t->kind = TRIGGER_CRON;
    t->start_ms = start_s * 1000;
    t->end_ms = end_s * 1000;
    enum err_code rc = cron_parse(schedule->cron, &t->cron, NULL, err);
    if (rc == ERR_OK && mem_set_str(&spec->cron, schedule->cron) != 0)
        rc = no_memory(err);
    return rc == ERR_OK ? name_zone(spec, err) : rc;
}

static void now_once(struct trigger *t)
{
    int64_t now_ms = clock_wall_ms();
    t->kind = TRIGGER_ONCE;
    t->start_ms = now_ms - now_ms % 1000;
    t->end_ms = t->start_ms + (int64_t)ONE_SHOT_DAYS * 24 * 3600 * 1000;
}

/* ---- what ---- */

static enum err_code take_program(struct program_request *program, const struct job_data *d, struct err *err)
{
    struct spark_submission *s = &program->submission;
    program->driver_cores = d->driver_cores;
    program->executor_cores = d->executor_cores;
    program->num_executors = d->num_executors;
    if (mem_set_str(&s->file, d->jar_path) != 0 || mem_set_str(&s->class_name, d->class_name) != 0 ||
        mem_set_str(&s->queue, d->queue) != 0 || mem_set_str(&s->name, d->name) != 0 ||
        mem_set_str(&program->driver_memory, d->driver_memory) != 0 ||
        mem_set_str(&program->executor_memory, d->executor_memory) != 0 ||
        strlist_copy(&s->args, &d->args) != 0 || strlist_copy(&program->jars, &d->jars) != 0 ||
        strmap_copy(&s->conf, &d->conf) != 0)
        return no_memory(err);
    return ERR_OK;
}

/* A path of this machine that is relative counts from where the server runs, as for the rule that looks for
 * it. */
static enum err_code make_absolute(char **path, struct err *err)
{
    char here[PATH_MAX];
    cleanup(jar_clear) struct jar jar = {0};
    enum err_code rc = jar_read(*path, &jar, err);
    if (rc != ERR_OK || jar.scheme != NULL || (*path)[0] == '/')
        return rc;
    if (getcwd(here, sizeof here) == NULL)
        return err_sys(err, errno, "the server's working folder");
    char *absolute = mem_printf("%s/%s", here, *path);
    if (absolute == NULL)
        return no_memory(err);
    mem_free(*path);
    *path = absolute;
    return ERR_OK;
}

/* What hearth's own core runs, by the rules of this server. Another Livy server has rules of its own. */
static enum err_code make_submission(const struct provision *p, struct spark_submission *ret,
                                     const struct job_data *d, const char *proxy_user, struct err *err)
{
    cleanup(program_request_clear) struct program_request program = {.kind = APP_BATCH};
    enum err_code rc = take_program(&program, d, err);
    if (rc == ERR_OK && p->livy_post == NULL)
        rc = make_absolute(&program.submission.file, err);
    if (rc == ERR_OK && p->livy_post == NULL)
        rc = door_accept_program(p->options.door, &program, proxy_user, err);
    if (rc == ERR_OK) {
        *ret = program.submission;
        program.submission = (struct spark_submission){0};
    }
    return rc;
}

enum err_code job_submission_make(const struct provision *p, const struct schedule_spec *spec,
                                  struct spark_submission *ret, struct err *err)
{
    cleanup(job_data_clear) struct job_data data = {0};
    enum err_code rc = job_data_read(spec->task != NULL ? spec->task : "", &data, err);
    return rc == ERR_OK ? make_submission(p, ret, &data, spec->proxy_user, err) : rc;
}

enum err_code job_spec_make(const struct provision *p, const struct descriptor *d,
                            const struct job_data *data, const struct operation_request *who,
                            struct schedule_spec *ret, struct err *err)
{
    cleanup(schedule_spec_clear) struct schedule_spec spec = {
        .priority = PRIORITY,
        .overlap = OVERLAP_ALLOW,
        .trigger = {.misfire = MISFIRE_SMART, .end_ms = TRIGGER_NEVER},
    };
    enum err_code rc = check_name("dataProduct.name", d->group, err);
    if (rc == ERR_OK)
        rc = check_name("jobName", data->name, err);
    if (rc != ERR_OK)
        return rc;
    spec.task = job_data_text(data);
    if (spec.task == NULL || mem_set_str(&spec.group, d->group) != 0 ||
        mem_set_str(&spec.name, data->name) != 0 || mem_set_str(&spec.owner, who->owner) != 0 ||
        mem_set_str(&spec.proxy_user, who->proxy_user) != 0 ||
        mem_set_str(&spec.door, provision_door_name) != 0)
        return no_memory(err);
    if (d->component.has_schedule)
        rc = by_cron(&spec, &d->component.schedule, err);
    else
        now_once(&spec.trigger);
    if (rc == ERR_OK)
        rc = make_submission(p, &spec.submission, data, who->proxy_user, err);
    if (rc == ERR_OK) {
        *ret = spec;
        spec = (struct schedule_spec){0};
    }
    return rc;
}
