/*
 * What a job runs, with every default filled in, and the JSON in which its schedule keeps it.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"
#include "schedule/civil.h"

#include <string.h>

enum { JOB_DATA_MAX = 64 << 20, JOB_DATA_DEPTH = 4 };

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

void job_data_clear(struct job_data *d)
{
    mem_free(d->class_name);
    mem_free(d->jar_path);
    mem_free(d->driver_memory);
    mem_free(d->executor_memory);
    mem_free(d->name);
    mem_free(d->queue);
    strlist_clear(&d->args);
    strlist_clear(&d->jars);
    strmap_clear(&d->conf);
    *d = (struct job_data){0};
}

/* ---- of a component ---- */

/* The one default entry, and what the component says. */
static int make_conf(const struct component *c, bool strict, struct strmap *ret)
{
    int rc = strmap_set(ret, "dex.safariEnabled", "true");
    for (size_t i = 0; i < c->conf.n && rc == 0 && !strict; i++)
        rc = strmap_set(ret, c->conf.items[i].key, c->conf.items[i].value);
    return rc;
}

static int32_t count_or_one(const struct optional_count *count)
{
    return count->given ? count->value : 1;
}

static const char *memory_or_default(const char *memory)
{
    return memory != NULL ? memory : "1g";
}

enum err_code job_data_make(const struct component *c, bool strict, struct job_data *ret, struct err *err)
{
    cleanup(job_data_clear) struct job_data d = {
        .driver_cores = count_or_one(&c->driver_cores),
        .executor_cores = count_or_one(&c->executor_cores),
        .num_executors = count_or_one(&c->num_executors),
    };
    if (mem_set_str(&d.class_name, c->class_name) != 0 || mem_set_str(&d.jar_path, c->jar) != 0 ||
        mem_set_str(&d.driver_memory, memory_or_default(c->driver_memory)) != 0 ||
        mem_set_str(&d.executor_memory, memory_or_default(c->executor_memory)) != 0 ||
        mem_set_str(&d.name, c->job_name) != 0 || mem_set_str(&d.queue, c->queue) != 0 ||
        strlist_copy(&d.args, &c->args) != 0 || (!strict && strlist_copy(&d.jars, &c->dependencies) != 0) ||
        make_conf(c, strict, &d.conf) != 0)
        return no_memory(err);
    *ret = d;
    d = (struct job_data){0};
    return ERR_OK;
}

/* ---- as JSON ---- */

char *job_data_text(const struct job_data *d)
{
    cleanup(buf_clear) struct buf text = BUF(JOB_DATA_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_str(&out, "className", d->class_name);
    json_out_str(&out, "jarPath", d->jar_path);
    json_out_list(&out, "jobArgs", &d->args);
    json_out_str(&out, "driverMemory", d->driver_memory);
    json_out_int(&out, "driverCores", d->driver_cores);
    json_out_str(&out, "executorMemory", d->executor_memory);
    json_out_int(&out, "executorCores", d->executor_cores);
    json_out_int(&out, "numExecutors", d->num_executors);
    json_out_map(&out, "conf", &d->conf);
    json_out_str(&out, "name", d->name);
    json_out_str(&out, "queue", d->queue);
    if (d->jars.n > 0)
        json_out_list(&out, "jars", &d->jars);
    json_out_end_object(&out);
    return buf_steal(&text);
}

static enum err_code read_fields(struct job_data *d, json_t *object, struct err *err)
{
    struct json_in in;
    json_in_open(&in, object, err);
    json_in_str(&in, "className", &d->class_name);
    json_in_str(&in, "jarPath", &d->jar_path);
    json_in_list(&in, "jobArgs", &d->args);
    json_in_str(&in, "driverMemory", &d->driver_memory);
    json_in_int(&in, "driverCores", INT32_MIN, INT32_MAX, &d->driver_cores);
    json_in_str(&in, "executorMemory", &d->executor_memory);
    json_in_int(&in, "executorCores", INT32_MIN, INT32_MAX, &d->executor_cores);
    json_in_int(&in, "numExecutors", INT32_MIN, INT32_MAX, &d->num_executors);
    json_in_map(&in, "conf", &d->conf);
    json_in_str(&in, "name", &d->name);
    json_in_str(&in, "queue", &d->queue);
    json_in_list(&in, "jars", &d->jars);
    return json_in_end(&in);
}

enum err_code job_data_read(const char *text, struct job_data *ret, struct err *err)
{
    cleanup(json_decrefp) json_t *object = NULL;
    cleanup(job_data_clear) struct job_data d = {0};
    enum err_code rc = json_parse(text, strlen(text), JOB_DATA_DEPTH, &object, err);
    if (rc == ERR_OK)
        rc = read_fields(&d, object, err);
    if (rc != ERR_OK)
        return rc;
    *ret = d;
    d = (struct job_data){0};
    return ERR_OK;
}

/* ---- the name of one run ---- */

char *job_run_name(const char *job_name, int64_t wall_ms)
{
    int64_t now_s = wall_ms / 1000;
    int64_t days = civil_day_of(now_s);
    struct civil date = civil_from_days(days);
    int second = (int)(now_s - days * CIVIL_DAY_S);
    int hour = second / 3600;
    return mem_printf("%s-%04d-%02d-%02d %02d:%02d:%02d %s", job_name, date.year, date.month, date.day,
                      hour % 12 == 0 ? 12 : hour % 12, second / 60 % 60, second % 60,
                      hour < 12 ? "AM" : "PM");
}
