/*
 * A Spark installation, and the java command lines of its drivers.
 *
 * hearth starts drivers without bin/spark-submit: it builds natively the command line that
 * spark-submit's own launcher (org.apache.spark.launcher.Main) would print, which saves a JVM start,
 * and adds an archive of Spark's classes (JEP 350), which takes some 40 % off the time to a SparkContext.
 *
 * What hearth's environment and conf/spark-env.sh say is taken once, in spark_open(). conf/java-opts and
 * conf/spark-defaults.conf are read for each command, as spark-submit does.
 *
 * Lifetime   spark_open() .. spark_close().
 * Thread     spark_open, spark_train, spark_stop_training and spark_close: the loop thread.
 *            spark_build_command, spark_estimate and the functions that ask for a property: any
 *            thread, several at once, while the loop thread trains. They read small files and never
 *            wait for a process.
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

/* Finds Spark (3.3 or later), its version and java, and evaluates conf/spark-env.sh once through bash
 * (blocking, some tens of ms, at most 30 s; for the start of the program). ERR_NOT_FOUND tells what was
 * looked for and where, and how to mend it; ERR_TIMEOUT and ERR_IO are spark-env.sh's. Trouble with the
 * archive is no error here: see spark_archive_state(). */
enum err_code spark_open(const struct spark_options *options, struct spark **ret, struct err *err);
/* Also ends a training run. No command may be under way in another thread. NULL is fine. */
void spark_close(struct spark *s);

const char *spark_home(const struct spark *s);
const char *spark_version(const struct spark *s); /* "3.5.7" */
const char *spark_java(const struct spark *s);    /* path of the java program */
/* Where the drivers' PATH has a program; the caller frees it. NULL: nowhere (or out of memory). */
char *spark_find_program(const struct spark *s, const char *name);
/* "no" (switched off, or none was made yet), "training", "ready", or "failed: <why>"; for people. */
const char *spark_archive_state(const struct spark *s);

/* Makes the class-data archive in the background when there is none that fits this Spark, java and
 * class path: half a minute of a process at low priority. `on_done` (may be NULL) is called on the loop
 * thread once it is ready or has failed; before spark_train returns when there is nothing to do. */
void spark_train(struct spark *s, uv_loop_t *loop, void (*on_done)(void *arg), void *arg);
/* Kills a training run; on_done is not called then. The loop must run once more to see its end. */
void spark_stop_training(struct spark *s);

struct spark_command {
    struct strlist argv; /* argv[0] is java's path */
    struct strlist env;  /* the driver's whole environment, "NAME=value" */
    /* What the process that hearth starts needs: heap and what a JVM needs beside it, bytes. In
     * cluster mode that is the submitting JVM, not the driver. A size that java will refuse counts as
     * the default, 1g: the driver ends at once and says why. */
    uint64_t memory_bytes;
    /* True when the end of the process is not the end of the application (cluster deploy mode), or
     * when the application may wait in a cluster's queue first (YARN, Kubernetes). */
    bool remote;
};

/* The command for one submission: argv and environment are those that bin/spark-submit would execute,
 * with --conf in the submission's order. ERR_INVALID names what spark-submit would refuse before it starts
 * java: no file, a spark-defaults.conf or java-opts that cannot be read, -Xmx in driver java options, a
 * quote left open there. */
enum err_code spark_build_command(const struct spark *s, const struct spark_submission *submission,
                                  struct spark_command *ret, struct err *err);
/* The same memory_bytes and `remote` without building the rest; used when a request comes in. It refuses
 * less: only a spark-defaults.conf that cannot be read. */
enum err_code spark_estimate(const struct spark *s, const struct spark_submission *submission,
                             uint64_t *ret_memory_bytes, bool *ret_remote, struct err *err);
void spark_command_clear(struct spark_command *c);

/* For drivers that a cluster starts: the submission's conf completed by conf/spark-defaults.conf, replacing
 * *ret. `s` may be NULL: nothing is added then. */
enum err_code spark_complete_conf(const struct spark *s, const struct spark_submission *submission,
                                  struct strmap *ret, struct err *err);
/* Appends the options that every JVM of Spark needs on Java 17, whatever its version. -1: out of memory. */
int spark_add_module_options(struct strlist *to);

#endif
