/*
 * What the files of this module share: the opened Spark, and the steps from a submission to a command.
 *
 *   home.c         where Spark and java are; spark_open and spark_close
 *   environment.c  conf/spark-env.sh, evaluated by bash; running a program for its output
 *   properties.c   spark-defaults.conf and option strings, as Spark reads them
 *   class_path.c   the class path
 *   command.c      the java command line of a submission, and what it needs
 *   archive.c      the class-data archive: which one fits, and what a command line gains from it
 *   training.c     the run that makes an archive
 *   folder_jar.c   folders on the class path, in the form that archives can bear
 */
#ifndef HEARTH_SPARK_SPARK_INTERNAL_H
#define HEARTH_SPARK_SPARK_INTERNAL_H

#include "base/buf.h"
#include "spark/properties.h"
#include "spark/spark.h"

#include <sys/stat.h>

/* Versions as in version_number. */
enum { OLDEST_SPARK = 303, SPARK_3_5 = 305, SPARK_4_0 = 400, SPARK_4_1 = 401 };

struct archive;
struct training;

struct spark {
    char *home;
    char *version;
    unsigned version_number; /* major * 100 + minor: 305 for 3.5.7 */
    char *java;
    char *jars_dir;
    char *conf_dir;          /* what spark-env.sh left in SPARK_CONF_DIR */
    struct strmap env;       /* of every driver, after spark-env.sh */
    struct archive *archive; /* NULL: none is wanted */
};

/* To Spark an empty setting is one that is not there. */
static inline const char *not_empty(const char *text)
{
    return text != NULL && *text != '\0' ? text : NULL;
}

/* A variable of the drivers' environment; NULL when it is not set or empty. */
const char *spark_env(const struct spark *s, const char *name);

/* home.c */

/* The first program of that name in a list of folders (NULL: none); the caller frees it. NULL: there is
 * none, or memory is short. */
char *find_program(const char *folders, const char *name);

/* environment.c */

/* Runs a program to its end with `environment` (NULL: hearth's own) and takes its standard output. Standard
 * error only serves the message of a failure. ERR_TIMEOUT kills it with all that it started. */
enum err_code run_for_output(const char *const *argv, char *const *environment, int timeout_ms,
                             struct buf *output, struct err *err);
/* The environment that bin/load-spark-env.sh makes of hearth's own. */
enum err_code load_spark_environment(const char *home, struct strmap *ret, struct err *err);

/* properties.c */

/* The text of a file of Spark's configuration; one that is not there (or no plain file) adds nothing. */
enum err_code read_setting_file(const char *path, struct buf *into, struct err *err);
/* properties_parse() of such a file. */
enum err_code properties_read_file(const char *path, struct strmap *into, struct err *err);

/* class_path.c */

/* The class path of a driver (or, unless `client`, of a submitting java) with this configuration. The
 * caller frees it. */
enum err_code make_class_path(const struct spark *s, const struct strmap *conf, bool client, char **ret,
                              struct err *err);

/* command.c */

/* The class path of a driver whose submission says nothing about it. The caller frees it. */
enum err_code usual_class_path(const struct spark *s, char **ret, struct err *err);
/* Appends the options that Spark gives every JVM. */
int add_fixed_options(const struct spark *s, struct strlist *argv);

/* archive.c */

enum err_code archive_new(const struct spark *s, const char *dir, struct archive **ret, struct err *err);
void archive_free(struct archive *a); /* also ends a training run; NULL is fine */
/* When an archive is ready and fits *class_path, appends the options that use it and replaces *class_path
 * by the one that it was made with. Any thread. */
int archive_apply(struct archive *a, struct strlist *argv, char **class_path);

/* The name that an archive with this size and date must have. The caller frees it; NULL when memory is
 * short. */
char *archive_file_name(const char *prefix, const struct stat *st);

/* training.c */

struct training_options {
    const struct spark *s;
    const char *dir;        /* where it works and leaves training.log */
    const char *class_path; /* to make the archive with */
    const char *prefix;     /* of the archive's name: archive_file_name() */
};

/* Starts the run that makes an archive. Once it was started `on_end` is called on the loop thread, with
 * NULL when the archive is there, else with why it is not. */
enum err_code training_start(const struct training_options *options, uv_loop_t *loop,
                             void (*on_end)(void *arg, const char *why), void *arg, struct training **ret,
                             struct err *err);
/* Kills it; on_end is not called any more. It frees itself when the loop has seen its end. */
void training_abandon(struct training *t);

/* folder_jar.c */

/* Makes, unless it exists, the jar `path` that stands for `folder` on a class path. */
enum err_code folder_jar_make(const char *path, const char *folder, struct err *err);
bool folder_holds_classes(const char *folder);

#endif
