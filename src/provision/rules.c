/*
 * The rules that a component must keep, in the order in which their messages are told.
 */
#include "provision/provision_internal.h"

#include "base/io.h"
#include "base/mem.h"
#include "schedule/cron.h"

#include <ctype.h>
#include <string.h>

const char *rule_message(enum rule rule)
{
    static const char *const messages[RULES_END] = {
        [RULE_COMPONENT] = "The provided component is not accepted by this provisioner",
        [RULE_JOB_NAME] = "Job name not valid",
        [RULE_DRIVER_CORES] = "If specified, driver cores must be a positive integer",
        [RULE_DRIVER_MEMORY] =
            "If specified, driver memory must be a positive integer followed by 'g' (e.g. 2g)",
        [RULE_EXECUTOR_CORES] = "If specified, executor cores must be a positive integer",
        [RULE_EXECUTOR_MEMORY] =
            "If specified, executor memory must be a positive integer followed by 'g' (e.g. 2g)",
        [RULE_NUM_EXECUTORS] = "If specified, num executors must be a positive integer",
        [RULE_CRON] = "Invalid cron expression",
        [RULE_DATES] = "startDate, endDate have to match the following pattern: \"yyyy-MM-ddTHH:mm:ssZ\"",
        [RULE_NAMENODE] = "Errors when connecting to hdfs NameNode",
        [RULE_FILE] = "Job Source application file not found",
    };
    return messages[rule];
}

/* ---- the name ---- */

/* Goes on in `name` by what `text` becomes there: each character (UTF-16 unit) but letters and digits of
 * ASCII is a "-". NULL: the name goes on otherwise. */
static const char *skip_as_name(const char *name, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c & 0xc0) == 0x80)
            continue; /* of the character before */
        int units = c >= 0xf0 ? 2 : 1;
        for (int i = 0; i < units; i++)
            if (*name++ != (isalnum(c) ? (char)c : '-')) /* ends at the NUL at the latest */
                return NULL;
    }
    return name;
}

static bool is_job_name(const struct descriptor *d)
{
    static const char prefix[] = "urn:dmb:cmp:";
    if (!str_starts(d->component.id, prefix))
        return false;
    const char *rest = skip_as_name(d->component.job_name, d->component.id + strlen(prefix));
    rest = rest != NULL ? skip_as_name(rest, "-") : NULL;
    rest = rest != NULL ? skip_as_name(rest, d->environment) : NULL;
    return rest != NULL && *rest == '\0';
}

/* ---- the others ---- */

static bool is_positive(const struct optional_count *count)
{
    return !count->given || count->value > 0;
}

/* "[0-9]+g" */
static bool is_memory(const char *text)
{
    size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
    return text == NULL || (digits > 0 && strcmp(text + digits, "g") == 0);
}

/* The five-field form is hearth's own. */
static bool is_cron(const struct component *c)
{
    struct cron cron;
    return !c->has_schedule ||
           (!cron_is_unix(c->schedule.cron) && cron_parse(c->schedule.cron, &cron, NULL, NULL) == ERR_OK);
}

static bool are_dates(const struct component *c)
{
    int64_t ignored_s;
    return !c->has_schedule ||
           (date_read(c->schedule.start, &ignored_s) && date_read(c->schedule.end, &ignored_s));
}

void rules_check(const struct descriptor *d, bool failed[RULES_END])
{
    const struct component *c = &d->component;
    if (!d->has_component) {
        for (int rule = RULE_COMPONENT; rule < RULES_END; rule++)
            failed[rule] = true;
        return;
    }
    failed[RULE_JOB_NAME] = !is_job_name(d);
    failed[RULE_DRIVER_CORES] = !is_positive(&c->driver_cores);
    failed[RULE_DRIVER_MEMORY] = !is_memory(c->driver_memory);
    failed[RULE_EXECUTOR_CORES] = !is_positive(&c->executor_cores);
    failed[RULE_EXECUTOR_MEMORY] = !is_memory(c->executor_memory);
    failed[RULE_NUM_EXECUTORS] = !is_positive(&c->num_executors);
    failed[RULE_CRON] = !is_cron(c);
    failed[RULE_DATES] = !are_dates(c);
}

enum err_code rules_check_file(const struct descriptor *d, bool failed[RULES_END], char **ret_path,
                               struct err *err)
{
    cleanup(jar_clear) struct jar jar = {0};
    if (!d->has_component)
        return ERR_OK;
    enum err_code rc = jar_read(d->component.jar, &jar, err);
    if (rc == ERR_INVALID) {
        failed[RULE_FILE] = true;
        return ERR_OK;
    }
    if (rc != ERR_OK)
        return rc;
    if (jar.scheme == NULL) {
        failed[RULE_FILE] = !io_exists(d->component.jar);
    } else if (strcmp(jar.scheme, "hdfs") == 0) {
        *ret_path = jar.path;
        jar.path = NULL;
    }
    return ERR_OK;
}
