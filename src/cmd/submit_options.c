#include "cmd/submit_options.h"

#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

void submit_options_init(struct submit_options *o, struct arg rows[SUBMIT_ROWS])
{
    const struct arg own[] = {
        {"deploy-mode", 0, ARG_TEXT, &o->deploy_mode, "MODE", "client or cluster"},
        {"class", 0, ARG_TEXT, &o->class_name, "NAME", "main class of a jar"},
        {"supervise", 0, ARG_FLAG, &o->supervise, NULL, "restart the driver (cluster mode only)"},
    };
    static_assert(sizeof own / sizeof *own + SPARK_ROWS == SUBMIT_ROWS, "rows has room for all");
    *o = (struct submit_options){0};
    spark_options_init(&o->spark, "submit", rows);
    memcpy(rows + SPARK_ROWS, own, sizeof own);
}

void submit_options_clear(struct submit_options *o)
{
    spark_options_clear(&o->spark);
}

/* The program itself. A relative path can only mean a file here, so a missing one is refused. */
static enum err_code program_path(const char *file, struct buf *to, struct err *err)
{
    if (spark_options_add_path(to, file, err) != ERR_OK)
        return err->code;
    if (spark_options_is_relative(file) && !io_exists(file)) {
        size_t folder = to->len - strlen(file) - 1;
        return err_set(err, ERR_INVALID, "%s: there is no such file in %.*s", file, (int)folder, to->data);
    }
    return ERR_OK;
}

static enum err_code check_deploy_mode(const struct submit_options *o, const struct spark_request *r,
                                       struct err *err)
{
    if (r->deploy_mode != NULL && !r->cluster && strcmp(r->deploy_mode, "client") != 0)
        return err_set(err, ERR_INVALID, "--deploy-mode %s: it is client or cluster", r->deploy_mode);
    if (o->supervise && !r->cluster)
        return err_set(err, ERR_INVALID,
                       "--supervise needs --deploy-mode cluster: only a cluster's master can start a driver "
                       "again");
    return ERR_OK;
}

/* Configuration from all its sources, the later ones winning. */
static enum err_code collect(const struct submit_options *o, bool as_entry_name, struct spark_request *r,
                             struct err *err)
{
    enum err_code rc = spark_options_collect(&o->spark, o->deploy_mode, r, err);
    if (rc == ERR_OK)
        rc = check_deploy_mode(o, r, err);
    if (rc != ERR_OK)
        return rc;
    bool name_spark_only = !as_entry_name && o->spark.name != NULL;
    if ((o->supervise && strmap_set(&r->conf, "spark.driver.supervise", "true") != 0) ||
        (name_spark_only && strmap_set(&r->conf, "spark.app.name", o->spark.name) != 0))
        return err_set(err, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

enum err_code submit_options_write(const struct submit_options *o, char *const *operands, size_t n_operands,
                                   bool as_entry_name, struct buf *to, struct err *err)
{
    cleanup(spark_request_clear) struct spark_request r = {0};
    cleanup(buf_clear) struct buf file = BUF(2 * PATH_MAX);
    enum err_code rc = collect(o, as_entry_name, &r, err);
    if (rc == ERR_OK)
        rc = program_path(operands[0], &file, err);
    if (rc != ERR_OK)
        return rc;
    struct json_out out;
    json_out_open(&out, to);
    json_out_object(&out, NULL);
    json_out_str(&out, "file", buf_cstr(&file));
    spark_options_write_text(&out, "className", o->class_name);
    spark_options_write_text(&out, "name", as_entry_name ? o->spark.name : NULL);
    spark_options_write_text(&out, "master", r.master);
    spark_options_write_text(&out, "deployMode", r.deploy_mode);
    spark_options_write_text(&out, "proxyUser", o->spark.proxy_user);
    json_out_array(&out, "args");
    for (size_t i = 1; i < n_operands; i++)
        json_out_str(&out, NULL, operands[i]);
    json_out_end_array(&out);
    json_out_map(&out, "conf", &r.conf);
    json_out_end_object(&out);
    return buf_check(to, err);
}
