#include "cmd/session_options.h"

#include "base/mem.h"
#include "base/parse.h"
#include "cmd/language.h"

#include <assert.h>
#include <string.h>

static const char any_language[] = "shared"; /* every statement says which */

void session_options_init(struct session_options *o, struct arg rows[SESSION_ROWS])
{
    const struct arg own[] = {
        {"kind", 0, ARG_TEXT, &o->kind, "KIND",
         "its language: pyspark (default), spark, sparkr, sql, shared"},
        {"idle-timeout", 0, ARG_TEXT, &o->idle_timeout, "TIME",
         "end it when nobody used it so long: 30m, 8h"},
        {"ttl", 0, ARG_TEXT, &o->ttl, "TIME", "end it so long after its start"},
    };
    static_assert(sizeof own / sizeof *own + SPARK_ROWS == SESSION_ROWS, "rows has room for all");
    *o = (struct session_options){0};
    spark_options_init(&o->spark, "session start", rows);
    memcpy(rows + SPARK_ROWS, own, sizeof own);
}

void session_options_clear(struct session_options *o)
{
    spark_options_clear(&o->spark);
}

static enum err_code check_kind(const char *kind, struct err *err)
{
    if (kind == NULL || strcmp(kind, any_language) == 0 || language_find(kind) != NULL)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "--kind %s: it is one of %s, %s", kind, language_names, any_language);
}

static enum err_code check_duration(const char *option, const char *text, struct err *err)
{
    int64_t unused_ms = 0;
    enum err_code rc = text != NULL ? parse_duration(text, &unused_ms, err) : ERR_OK;
    return rc == ERR_OK ? ERR_OK : err_wrap(err, "--%s", option);
}

static enum err_code check_deploy_mode(const struct spark_request *r, struct err *err)
{
    if (r->deploy_mode == NULL || strcmp(r->deploy_mode, "client") == 0)
        return ERR_OK;
    return err_set(err, ERR_INVALID,
                   "spark.submit.deployMode is %s: the driver of a session runs beside the server (client)",
                   r->deploy_mode);
}

enum err_code session_options_write(const struct session_options *o, struct buf *to, struct err *err)
{
    cleanup(spark_request_clear) struct spark_request r = {0};
    enum err_code rc = check_kind(o->kind, err);
    if (rc == ERR_OK)
        rc = check_duration("idle-timeout", o->idle_timeout, err);
    if (rc == ERR_OK)
        rc = check_duration("ttl", o->ttl, err);
    if (rc == ERR_OK)
        rc = spark_options_collect(&o->spark, NULL, &r, err);
    if (rc == ERR_OK)
        rc = check_deploy_mode(&r, err);
    if (rc != ERR_OK)
        return rc;
    struct json_out out;
    json_out_open(&out, to);
    json_out_object(&out, NULL);
    json_out_str(&out, "kind", o->kind != NULL ? o->kind : "pyspark");
    spark_options_write_text(&out, "name", o->spark.name);
    spark_options_write_text(&out, "master", r.master);
    spark_options_write_text(&out, "proxyUser", o->spark.proxy_user);
    spark_options_write_text(&out, "idleTimeout", o->idle_timeout);
    spark_options_write_text(&out, "ttl", o->ttl);
    json_out_map(&out, "conf", &r.conf);
    json_out_end_object(&out);
    return buf_check(to, err);
}
