/*
 * What spark-submit would be told: one Spark program with its options.
 *
 * Everything that spark-submit has a configuration key for is in `conf` (memory, cores, jars, files,
 * packages, …); the other fields are what only its own options can say. This is what the store keeps
 * of an application, so its JSON form only ever grows.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_SPARK_SUBMISSION_H
#define HEARTH_SPARK_SUBMISSION_H

#include "base/err.h"
#include "base/json.h"
#include "base/strs.h"

struct spark_submission {
    char *file;              /* application jar, .py or .R: --> primary resource */
    char *class_name;        /* --class */
    struct strlist args;     /* the program's arguments */
    char *name;              /* --name */
    char *master;            /* --master */
    char *deploy_mode;       /* --deploy-mode: client, cluster; NULL = spark-submit's default */
    char *proxy_user;        /* --proxy-user */
    char *queue;             /* --queue */
    struct strlist py_files; /* --py-files */
    struct strmap conf;      /* --conf */
    struct strmap env;       /* environment variables of the driver, beside those that it has anyway */
};

void spark_submission_clear(struct spark_submission *s);
/* A copy with memory of its own. 0, or -1 when memory is short, with *to untouched; what it held is not
 * freed. */
int spark_submission_copy(struct spark_submission *to, const struct spark_submission *from);

/* The form in which the store keeps it. Reading refuses unknown fields. */
void spark_submission_write(const struct spark_submission *s, struct json_out *out, const char *key);
enum err_code spark_submission_read(struct spark_submission *s, json_t *value, struct err *err);

#endif
