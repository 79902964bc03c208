/*
 * The text in `result`: what a job is, as a document of the system that the original provisioner was made
 * for.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RESULT_MAX = 64 << 20, MD5_BYTES = 16 };

void java_date_text(int64_t instant_s, char ret[JAVA_DATE_MAX])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t instant = (time_t)instant_s;
    struct tm wall = {0};
    (void)localtime_r(&instant, &wall); /* fails for years that no date can have */
    (void)snprintf(ret, JAVA_DATE_MAX, "%.3s %.3s %02d %02d:%02d:%02d %.12s %d", days + 3 * wall.tm_wday,
                   months + 3 * wall.tm_mon, wall.tm_mday, wall.tm_hour, wall.tm_min, wall.tm_sec,
                   wall.tm_zone != NULL ? wall.tm_zone : "UTC", wall.tm_year + 1900);
}

/* "mainres-<MD5 of the job's name>" */
static void write_mounts(struct json_out *out, const char *job_name)
{
    static const char prefix[] = "mainres-";
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    char name[sizeof prefix + 2 * MD5_BYTES] = "mainres-";
    (void)EVP_Digest(job_name, strlen(job_name), digest, NULL, EVP_md5(),
                     NULL); /* fails without MD5: zeros */
    for (size_t i = 0; i < MD5_BYTES; i++)
        (void)snprintf(name + strlen(prefix) + 2 * i, 3, "%02x", digest[i]);
    json_out_array(out, "mounts");
    json_out_object(out, NULL);
    json_out_str(out, "resourceName", name);
    json_out_end_object(out);
    json_out_end_array(out);
}

/* The last segment of each path. */
static void write_jars(struct json_out *out, const struct strlist *dependencies)
{
    json_out_array(out, "jars");
    for (size_t i = 0; i < dependencies->n; i++) {
        const char *path = dependencies->items[i];
        size_t end = strlen(path);
        while (end > 0 && path[end - 1] == '/')
            end--;
        size_t begin = end;
        while (begin > 0 && path[begin - 1] != '/')
            begin--;
        json_out_text(out, NULL, path + begin, end - begin);
    }
    json_out_end_array(out);
}

static void write_spark(struct json_out *out, const struct component *c, const struct job_data *d)
{
    json_out_object(out, "spark");
    json_out_str(out, "file", d->jar_path);
    json_out_int(out, "driverCores", d->driver_cores);
    json_out_str(out, "driverMemory", d->driver_memory);
    json_out_int(out, "executorCores", d->executor_cores);
    json_out_str(out, "executorMemory", d->executor_memory);
    json_out_str(out, "logLevel", c->log_level != NULL ? c->log_level : "INFO");
    json_out_int(out, "numExecutors", d->num_executors);
    json_out_str(out, "className", d->class_name);
    if (c->has_args)
        json_out_list(out, "args", &c->args);
    else
        json_out_null(out, "args");
    json_out_map(out, "conf", &d->conf);
    if (c->has_dependencies)
        write_jars(out, &c->dependencies);
    else
        json_out_null(out, "jars");
    json_out_null(out, "proxyUser");
    json_out_null(out, "pythonEnvResourceName");
    json_out_null(out, "pyFiles");
    json_out_end_object(out);
}

/* Without a schedule all its texts are null. */
static void write_schedule(struct json_out *out, const struct component *c)
{
    json_out_object(out, "schedule");
    json_out_bool(out, "enabled", c->has_schedule);
    json_out_str(out, "user", c->has_schedule ? "" : NULL);
    json_out_null(out, "paused");
    json_out_null(out, "catchup");
    json_out_null(out, "dependsOnPast");
    json_out_null(out, "pausedUponCreation");
    json_out_str(out, "start", c->schedule.start);
    json_out_str(out, "end", c->schedule.end);
    json_out_str(out, "cronExpression", c->schedule.cron);
    json_out_null(out, "nextExecution");
    json_out_end_object(out);
}

static void write_times(struct json_out *out, int64_t first_ms)
{
    char date[JAVA_DATE_MAX];
    java_date_text(first_ms / 1000, date);
    json_out_str(out, "created", date);
    json_out_str(out, "modified", date);
    json_out_str(out, "lastUsed", date);
}

static void write_job(struct json_out *out, const char *key, const struct component *c,
                      const struct job_data *d, int64_t first_ms)
{
    bool created = first_ms != TRIGGER_NEVER;
    json_out_object(out, key);
    json_out_str(out, "name", c->job_name);
    json_out_str(out, "type", "spark");
    if (created)
        write_times(out, first_ms);
    write_mounts(out, c->job_name);
    json_out_str(out, "retentionPolicy", "keep_indefinitely");
    write_spark(out, c, d);
    if (!created)
        json_out_null(out, "airflow");
    write_schedule(out, c);
    json_out_end_object(out);
}

char *result_text(const struct component *c, const struct job_data *d, int64_t first_ms)
{
    cleanup(buf_clear) struct buf text = BUF(RESULT_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    if (first_ms != TRIGGER_NEVER) {
        write_job(&out, "createdJob", c, d, first_ms);
        json_out_null(&out, "destroyedJob");
    } else {
        json_out_null(&out, "createdJob");
        write_job(&out, "destroyedJob", c, d, first_ms);
    }
    json_out_end_object(&out);
    return buf_steal(&text);
}
