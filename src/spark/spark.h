/*
 * A Spark installation, and the java command lines of its drivers.
 *
 * hearth starts drivers without bin/spark-submit: it builds natively the command line that
 * spark-submit's own launcher (org.apache.spark.launcher.Main) would print, which saves a JVM start,
 * and adds an archive of Spark's classes (JEP 350) that halves the time to a SparkContext.
 *
 * Lifetime   spark_open() .. spark_close().
 * Thread     spark_open, spark_train and spark_close: the loop thread. spark_build_command: any
 *            thread, several at once (it reads small files and never waits for a process).
 */
#ifndef HEARTH_SPARK_SPARK_H
#define HEARTH_SPARK_SPARK_H

#include "base/err.h"
#include "base/strs.h"
#include "spark/submission.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct spark; /* opaque */

struct spark_options {
    const char *home;        /* "" or NULL: SPARK_HOME, else where spark-submit on PATH belongs */
    const char *archive_dir; /* folder for class-data archives, made when needed; NULL: none are used */
};

/* Finds Spark, its version, java, and evaluates conf/spark-env.sh once through bash (blocking, some
 * tens of ms; for the start of the program). ERR_NOT_FOUND tells what was looked for and where, and
 * how to mend it. */
enum err_code spark_open(const struct spark_options *options, struct spark **ret, struct err *err);
void spark_close(struct spark *s); /* also ends a training run; NULL is fine */

const char *spark_home(const struct spark *s);
const char *spark_version(const struct spark *s); /* "3.5.7" */
const char *spark_java(const struct spark *s);    /* path of the java program */
/* "no" (switched off), "training", "ready", or "failed: <why>"; for people. */
const char *spark_archive_state(const struct spark *s);

/* Makes the class-data archive in the background when there is none that fits this Spark, java and
 * class path; `on_done` (may be NULL) is called on the loop thread once it is ready or has failed. */
void spark_train(struct spark *s, uv_loop_t *loop, void (*on_done)(void *arg), void *arg);

struct spark_command {
    struct strlist argv; /* argv[0] is java's path */
    struct strlist env;  /* the driver's whole environment, "NAME=value" */
    /* What the process that hearth starts needs: heap and what a JVM needs beside it, bytes. In
     * cluster mode that is the submitting JVM, not the driver. */
    uint64_t memory_bytes;
    /* True when the end of the process is not the end of the application (cluster deploy mode), or
     * when the application may wait in a cluster's queue first (YARN, Kubernetes). */
    bool remote;
};

/* The command for one submission. ERR_INVALID names what spark-submit would refuse before it starts
 * java (an unreadable spark-defaults.conf, -Xmx in driver java options, a bad memory size). */
enum err_code spark_build_command(const struct spark *s, const struct spark_submission *submission,
                                  struct spark_command *ret, struct err *err);
/* The same memory_bytes and `remote` without building the rest; used when a request comes in. */
enum err_code spark_estimate(const struct spark *s, const struct spark_submission *submission,
                             uint64_t *ret_memory_bytes, bool *ret_remote, struct err *err);
void spark_command_clear(struct spark_command *c);

#endif
