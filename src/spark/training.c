/*
 * The run that makes a class-data archive: a small Spark program whose JVM writes down, at its end, the
 * classes that it loaded.
 *
 * It runs in a folder of its own, <dir>/training-XXXXXX, which is removed afterwards with all that
 * Spark left there; nothing of the user's settings takes part but the class path and the environment. The
 * archive gets its name once it is complete.
 */
#include "spark/spark_internal.h"

#include "base/io.h"
#include "base/mem.h"
#include "loop/work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TIME_LIMIT_MS = 10 * 60 * 1000,
    NICE = 15,
    LOG_MAX = 16 * 1024 * 1024,
};

struct training {
    uv_process_t process;
    uv_timer_t limit;
    int open_handles;
    bool over; /* java has ended */
    bool timed_out;
    int64_t exit_status;
    int signal;
    enum err_code result;
    struct err why;
    char *folder; /* its working folder */
    char *log;
    char *made;                                 /* the archive in its folder */
    char *prefix;                               /* of the archive's name once it is good */
    void (*on_end)(void *arg, const char *why); /* NULL: abandoned */
    void *arg;
};

/* What most programs do first: RDDs with a shuffle, SQL with a join and an aggregation, files; and what the
 * sessions do: Scala's interpreter. Without the latter the archive is still worth having. */
static const char PYTHON_PROGRAM[] =
    "import os\n"
    "from pyspark.sql import SparkSession, functions as f\n"
    "classes = os.getcwd() + '/classes'\n"
    "os.mkdir(classes)\n"
    "spark = SparkSession.builder.config('spark.repl.class.outputDir', classes).getOrCreate()\n"
    "pairs = spark.sparkContext.parallelize(range(100), 2).map(lambda n: (n % 7, n))\n"
    "assert pairs.reduceByKey(lambda a, b: a + b).count() == 7\n"
    "jvm = spark._jsparkSession.range(0, 100, 1, 2).javaRDD()\n"
    "assert jvm.count() == 100 and jvm.glom().collect().size() == 2\n"
    "assert jvm.distinct(2).cache().union(jvm).coalesce(1).count() == 200\n"
    "left = spark.range(100).withColumn('k', f.col('id') % 7)\n"
    "right = spark.createDataFrame([(n, str(n)) for n in range(7)], 'k long, name string')\n"
    "left.join(right, 'k').createOrReplaceTempView('t')\n"
    "spark.sql('select name, count(*) c, sum(id) s from t group by name order by name').show()\n"
    "for kind in 'parquet', 'json', 'csv':\n"
    "    right.write.format(kind).save(os.getcwd() + '/' + kind)\n"
    "    assert spark.read.format(kind).load(os.getcwd() + '/' + kind).count() == 7\n"
    "try:\n"
    "    nsc = spark._jvm.scala.tools.nsc\n"
    "    settings = nsc.Settings()\n"
    "    settings.processArgumentString('-Yrepl-class-based -usejavacp -Yrepl-outdir ' + classes)\n"
    "    out = spark._jvm.java.io.PrintWriter(spark._jvm.java.io.StringWriter())\n"
    "    if spark._jvm.scala.util.Properties.versionNumberString().startswith('2.12'):\n"
    "        main = nsc.interpreter.IMain(settings, out)\n"
    "        main.initializeSynchronous()\n"
    "        completer = nsc.interpreter.PresentationCompilerCompleter(main)\n"
    "    else:\n"
    "        main = nsc.interpreter.IMain(settings, nsc.interpreter.shell.ReplReporterImpl(settings, out))\n"
    "        main.initializeCompiler()\n"
    "        completer = nsc.interpreter.shell.ReplCompletion(main, nsc.interpreter.shell.Accumulator())\n"
    "    for code in ('@transient lazy val spark = org.apache.spark.sql.SparkSession.active; import "
    "spark.implicits._; '\n"
    "                 'import org.apache.spark.sql.functions._', '1 + 1', 'case class P(a: Int, b: "
    "String)',\n"
    "                 'spark.sparkContext.parallelize(1 to 4, 2).map(_ + 1).collect()',\n"
    "                 'Seq(P(1, \"a\")).toDS.map(_.a + 1).show()', 'undefined'):\n"
    "        main.interpret(code)\n"
    "    completer.complete('spark.ra', 8)\n"
    "except Exception as problem:\n"
    "    print('the interpreter of Scala is not in the archive:', problem)\n"
    "spark.stop()\n";

/* The same for a machine without Python, in Spark's shell. */
static const char SCALA_PROGRAM[] =
    "val pairs = sc.parallelize(0 until 100, 2).map(n => (n % 7, n))\n"
    "assert(pairs.reduceByKey(_ + _).count() == 7)\n"
    "val left = spark.range(100).selectExpr(\"id\", \"id % 7 as k\")\n"
    "val right = spark.range(7).selectExpr(\"id as k\", \"string(id) as name\")\n"
    "left.join(right, \"k\").groupBy(\"name\").sum(\"id\").orderBy(\"name\").show()\n"
    "right.write.parquet(System.getProperty(\"user.dir\") + \"/parquet\")\n"
    "spark.read.parquet(System.getProperty(\"user.dir\") + \"/parquet\").count()\n"
    "spark.stop()\n"
    "sys.exit(0)\n";

/* Spark's settings in training, in place of spark-defaults.conf: all on this machine, no port that others
 * reach, all files in the training's own folder. */
static const char SETTINGS[] = "spark.master local[2]\n"
                               "spark.driver.host 127.0.0.1\n"
                               "spark.driver.bindAddress 127.0.0.1\n"
                               "spark.ui.port 0\n"
                               "spark.hadoop.fs.defaultFS file:///\n"
                               "spark.sql.shuffle.partitions 2\n";

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static void remove_folder(struct training *t)
{
    if (t->folder != NULL)
        (void)io_remove_tree(t->folder, NULL); /* the next training removes what is left */
    mem_freep(&t->folder);
}

static void training_free(struct training *t)
{
    remove_folder(t);
    mem_free(t->log);
    mem_free(t->made);
    mem_free(t->prefix);
    mem_free(t);
}

/* ---- the end ---- */

static const char *last_log_line(const struct training *t, struct buf *log)
{
    if (io_read_file(t->log, log, NULL) != ERR_OK || log->len == 0)
        return "no output";
    while (log->len > 0 && (log->data[log->len - 1] == '\n' || log->data[log->len - 1] == ' '))
        log->data[--log->len] = '\0';
    const char *newline = strrchr(log->data, '\n');
    return newline != NULL ? newline + 1 : log->data;
}

/* Gives the archive its name, once it is on the disk: after a loss of power it is whole or not there. */
static enum err_code keep_archive(const struct training *t, struct err *err)
{
    struct stat st;
    cleanup(io_closep) int fd = open(t->made, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO,
                       "this java makes no archive of an application's classes (13 and later do); see %s",
                       t->log);
    if (fsync(fd) != 0 || fstat(fd, &st) != 0)
        return err_sys(err, errno, "writing the archive %s", t->made);
    cleanup(mem_freep) char *name = archive_file_name(t->prefix, &st);
    if (name == NULL)
        return no_memory(err);
    return rename(t->made, name) == 0 ? ERR_OK : err_sys(err, errno, "renaming the archive to %s", name);
}

static enum err_code judge(const struct training *t, struct err *err)
{
    cleanup(buf_clear) struct buf log = BUF(LOG_MAX);
    if (t->timed_out)
        return err_set(err, ERR_TIMEOUT, "the training run took more than %d minutes; see %s",
                       TIME_LIMIT_MS / 60000, t->log);
    if (t->signal != 0)
        return err_set(err, ERR_IO, "the training run was ended by signal %d; see %s", t->signal, t->log);
    if (t->exit_status != 0)
        return err_set(err, ERR_IO, "the training run ended with exit code %d: %.200s; see %s",
                       (int)t->exit_status, last_log_line(t, &log), t->log);
    return keep_archive(t, err);
}

/* On a worker thread: the archive is large, and the folder full of files. */
static void finish(void *arg)
{
    struct training *t = arg;
    t->result = judge(t, &t->why);
    remove_folder(t);
}

static void on_closed(uv_handle_t *handle)
{
    struct training *t = handle->data;
    if (--t->open_handles == 0)
        training_free(t);
}

static void on_finished(void *arg)
{
    struct training *t = arg;
    if (t->on_end != NULL)
        t->on_end(t->arg, t->result == ERR_OK ? NULL : t->why.msg);
    uv_close((uv_handle_t *)&t->process, on_closed);
    uv_close((uv_handle_t *)&t->limit, on_closed);
}

static void on_exit_of_java(uv_process_t *process, int64_t exit_status, int signal)
{
    struct training *t = process->data;
    t->over = true;
    t->exit_status = exit_status;
    t->signal = signal;
    (void)uv_timer_stop(&t->limit); /* cannot fail */
    t->result = work_run(process->loop, finish, on_finished, t, &t->why);
    if (t->result != ERR_OK)
        on_finished(t);
}

static void on_limit(uv_timer_t *timer)
{
    struct training *t = timer->data;
    t->timed_out = true;
    (void)kill(-t->process.pid, SIGKILL); /* the exit is reported all the same */
}

void training_abandon(struct training *t)
{
    t->on_end = NULL;
    if (!t->over)
        (void)kill(-t->process.pid, SIGKILL); /* the exit is reported all the same */
}

/* ---- the start ---- */

static enum err_code make_folder(struct training *t, const char *dir, struct err *err)
{
    t->folder = mem_printf("%s/training-XXXXXX", dir);
    if (t->folder == NULL)
        return no_memory(err);
    if (mkdtemp(t->folder) == NULL) {
        enum err_code rc = err_sys(err, errno, "making a folder in %s", dir);
        mem_freep(&t->folder);
        return rc;
    }
    return ERR_OK;
}

static enum err_code write_file(const struct training *t, const char *name, const char *text, struct err *err)
{
    cleanup(mem_freep) char *path = mem_printf("%s/%s", t->folder, name);
    if (path == NULL)
        return no_memory(err);
    return io_replace_file(path, text, strlen(text), 0600, err);
}

static enum err_code name_files(struct training *t, const struct training_options *o, struct err *err)
{
    t->log = mem_printf("%s/training.log", o->dir);
    t->made = mem_printf("%s/spark.jsa", t->folder);
    t->prefix = mem_strdup(o->prefix);
    if (t->log == NULL || t->made == NULL || t->prefix == NULL)
        return no_memory(err);
    enum err_code rc = write_file(t, "spark.conf", SETTINGS, err);
    if (rc == ERR_OK)
        rc = write_file(t, "train.py", PYTHON_PROGRAM, err);
    if (rc == ERR_OK)
        rc = write_file(t, "train.scala", SCALA_PROGRAM, err);
    return rc;
}

static int add_list(struct strlist *to, const char *const *items)
{
    for (; *items != NULL; items++)
        if (strlist_add(to, *items) != 0)
            return -1;
    return 0;
}

static bool has_python(const struct spark *s)
{
    if (spark_env(s, "PYSPARK_DRIVER_PYTHON") != NULL || spark_env(s, "PYSPARK_PYTHON") != NULL)
        return true;
    cleanup(mem_freep) char *python = find_program(spark_env(s, "PATH"), "python3");
    return python != NULL;
}

/* Files are named relative to the training's folder, where java runs. */
static int add_argv(const struct training *t, const struct training_options *o, struct strlist *argv)
{
    static const char *const submit[] = {"org.apache.spark.deploy.SparkSubmit", "--properties-file",
                                         "spark.conf", NULL};
    static const char *const python[] = {"train.py", NULL};
    static const char *const shell[] = {
        "--class", "org.apache.spark.repl.Main", "spark-shell", "-I", "train.scala", NULL};
    return strlist_add(argv, o->s->java) != 0 ||
                   strlist_addf(argv, "-XX:ArchiveClassesAtExit=%s", t->made) != 0 ||
                   strlist_addf(argv, "-Djava.io.tmpdir=%s", t->folder) != 0 ||
                   strlist_add(argv, "-Dscala.usejavacp=true") != 0 || strlist_add(argv, "-Xmx1g") != 0 ||
                   strlist_add(argv, "-cp") != 0 || strlist_add(argv, o->class_path) != 0 ||
                   add_fixed_options(o->s, argv) != 0 || add_list(argv, submit) != 0 ||
                   add_list(argv, has_python(o->s) ? python : shell) != 0
               ? -1
               : 0;
}

/* The drivers' environment, without what would change java's options or where Spark works. */
static int add_env(const struct training *t, const struct spark *s, struct strlist *env)
{
    static const char *const left_out[] = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "SPARK_LOCAL_DIRS",
                                           "SPARK_LOCAL_IP",    "LOCAL_DIRS",       NULL};
    for (size_t i = 0; i < s->env.n; i++) {
        bool out = false;
        for (const char *const *name = left_out; *name != NULL; name++)
            out = out || strcmp(s->env.items[i].key, *name) == 0;
        if (!out && strlist_addf(env, "%s=%s", s->env.items[i].key, s->env.items[i].value) != 0)
            return -1;
    }
    return strlist_add(env, "SPARK_LOCAL_IP=127.0.0.1") != 0 || strlist_add(env, "PYTHONHASHSEED=0") != 0 ||
                   strlist_addf(env, "SPARK_LOCAL_DIRS=%s", t->folder) != 0
               ? -1
               : 0;
}

/* From here on t belongs to its handles, whether java was started or not. */
static enum err_code run(struct training *t, uv_loop_t *loop, int log, const struct strlist *argv,
                         const struct strlist *env, struct err *err)
{
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_INHERIT_FD, .data.fd = log},
                                    {.flags = UV_INHERIT_FD, .data.fd = log}};
    uv_process_options_t options = {.file = argv->items[0],
                                    .args = argv->items,
                                    .env = env->items,
                                    .cwd = t->folder,
                                    .flags = UV_PROCESS_DETACHED, /* a group of its own, to be killed whole */
                                    .stdio = stdio,
                                    .stdio_count = 3,
                                    .exit_cb = on_exit_of_java};
    t->process.data = t;
    t->limit.data = t;
    t->open_handles = 2;
    (void)uv_timer_init(loop, &t->limit);                        /* cannot fail */
    (void)uv_timer_start(&t->limit, on_limit, TIME_LIMIT_MS, 0); /* not with a callback */
    int e = uv_spawn(loop, &t->process, &options);
    if (e != 0) {
        uv_close((uv_handle_t *)&t->process, on_closed);
        uv_close((uv_handle_t *)&t->limit, on_closed);
        return err_set(err, ERR_IO, "starting %s: %s", argv->items[0], uv_strerror(e));
    }
    (void)setpriority(PRIO_PGRP, (id_t)t->process.pid, NICE); /* politeness only */
    return ERR_OK;
}

/* Makes the folder with all files; *ret_log is where java is to print. */
static enum err_code prepare(struct training *t, const struct training_options *o, struct strlist *argv,
                             struct strlist *env, int *ret_log, struct err *err)
{
    enum err_code rc = make_folder(t, o->dir, err);
    if (rc == ERR_OK)
        rc = name_files(t, o, err);
    if (rc == ERR_OK && (add_argv(t, o, argv) != 0 || add_env(t, o->s, env) != 0))
        rc = no_memory(err);
    if (rc != ERR_OK)
        return rc;
    *ret_log = open(t->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return *ret_log < 0 ? err_sys(err, errno, "opening %s", t->log) : ERR_OK;
}

enum err_code training_start(const struct training_options *options, uv_loop_t *loop,
                             void (*on_end)(void *arg, const char *why), void *arg, struct training **ret,
                             struct err *err)
{
    struct strlist argv = {0};
    struct strlist env = {0};
    cleanup(io_closep) int log = -1;
    struct training *t = mem_calloc(1, sizeof *t);
    if (t == NULL)
        return no_memory(err);
    enum err_code rc = prepare(t, options, &argv, &env, &log, err);
    if (rc != ERR_OK) {
        training_free(t);
    } else {
        rc = run(t, loop, log, &argv, &env, err);
    }
    if (rc == ERR_OK) {
        t->on_end = on_end;
        t->arg = arg;
        *ret = t;
    }
    strlist_clear(&argv);
    strlist_clear(&env);
    return rc;
}
