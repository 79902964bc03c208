/*
 * The provisioner: opening and closing, and its place in the scheduler.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "provision/provision_internal.h"

#include <string.h>

const char provision_door_name[] = "provision";

/* A run of a job is named after the moment in which it begins. A second one in the same second has its
 * number, for no two applications may have one name. */
static enum err_code prepare(void *arg, const struct schedule_view *schedule, const struct fire_view *fire,
                             struct spark_submission *submission, struct err *err)
{
    const struct provision *p = arg;
    struct spark_submission made = {0};
    enum err_code rc = job_submission_make(p, &schedule->spec, &made, err);
    if (rc != ERR_OK)
        return rc;
    spark_submission_clear(submission);
    *submission = made;
    char *name = job_run_name(schedule->spec.name, clock_wall_ms());
    if (name != NULL && apps_find_name(p->options.apps, APP_BATCH, name) != NULL) {
        char *numbered = mem_printf("%s %lld", name, (long long)fire->number);
        mem_free(name);
        name = numbered;
    }
    if (name == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    mem_free(submission->name);
    submission->name = name;
    return ERR_OK;
}

static void add_door(struct provision *p)
{
    struct schedule_door door = {
        .name = provision_door_name,
        .prepare = prepare,
        .run = p->livy_post != NULL ? livy_post_run : NULL,
        .room = livy_post_room,
        .arg = p,
    };
    scheduler_add_door(p->options.scheduler, &door);
}

enum { HDFS_TIMEOUT_MS = 20000 }; /* of the questions that a rule asks */

static enum err_code open_hdfs(struct provision *p, struct err *err)
{
    const struct settings *settings = p->options.settings;
    const struct strlist *nodes = &settings->provision.namenodes;
    struct hdfs_options options = {
        .loop = p->options.loop,
        .kerberos = settings->provision.kerberos,
        .timeout_ms = HDFS_TIMEOUT_MS,
    };
    if (nodes->n == 0)
        return ERR_OK;
    for (size_t i = 0; i < nodes->n && i < HDFS_NODES; i++)
        options.nodes[i] = nodes->items[i];
    p->hdfs = hdfs_open(&options);
    return p->hdfs != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

enum err_code provision_open(const struct provision_options *options, struct provision **ret, struct err *err)
{
    struct provision *p = mem_calloc(1, sizeof *p);
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    p->options = *options;
    enum err_code rc = open_hdfs(p, err);
    if (rc == ERR_OK && options->settings->provision.livy_url[0] != '\0')
        rc = livy_post_open(p, &p->livy_post, err);
    if (rc == ERR_OK)
        rc = tokens_open(p, &p->tokens, err);
    if (rc != ERR_OK) {
        provision_stop(p);
        provision_free(p);
        return rc;
    }
    add_door(p);
    provision_mount(p);
    *ret = p;
    return ERR_OK;
}

void provision_stop(struct provision *p)
{
    if (p == NULL)
        return;
    p->stopped = true;
    tokens_stop(p->tokens);
    livy_post_stop(p->livy_post);
    hdfs_free(p->hdfs);
    p->hdfs = NULL;
    operations_stop(p);
}

void provision_free(struct provision *p)
{
    if (p == NULL)
        return;
    tokens_free(p->tokens);
    livy_post_free(p->livy_post);
    mem_free(p);
}
