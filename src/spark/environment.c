/*
 * Running a short program for its output, and with it the environment that conf/spark-env.sh makes.
 *
 * bin/spark-submit sources bin/load-spark-env.sh, which sources conf/spark-env.sh: any bash program, so
 * bash evaluates it here too, once, and hands back the environment it ends with.
 */
#include "spark/spark_internal.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OUTPUT_MAX = 4 * 1024 * 1024,
    TICK_MS = 50, /* between looks at a program whose output somebody else keeps open */
    SPARK_ENV_TIMEOUT_MS = 30 * 1000,
};

struct run {
    pid_t pid;
    int out;
    int err;
    int status; /* of waitpid, once it has ended */
    bool ended;
    int64_t deadline_ms;
    struct buf *output;
    struct buf words; /* what it said on standard error */
};

static int set_actions(posix_spawn_file_actions_t *a, int out, int err)
{
    int e = posix_spawn_file_actions_addopen(a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(a, out, STDOUT_FILENO);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(a, err, STDERR_FILENO);
    return e;
}

/* A group of its own, so that it can be ended with all that it started; no signal blocked or ignored. */
static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int e = posix_spawnattr_setflags(attr,
                                     POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (e == 0)
        e = posix_spawnattr_setpgroup(attr, 0);
    if (e == 0)
        e = posix_spawnattr_setsigmask(attr, &none);
    if (e == 0)
        e = posix_spawnattr_setsigdefault(attr, &all);
    return e;
}

/* Returns 0 or an errno. */
static int spawn(struct run *r, const char *const *argv, char *const *environment, int out, int err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int e = posix_spawn_file_actions_init(&actions);
    if (e != 0)
        return e;
    e = posix_spawnattr_init(&attr);
    if (e == 0) {
        e = set_actions(&actions, out, err);
        if (e == 0)
            e = set_attributes(&attr);
        if (e == 0) /* the prototype lacks a const that POSIX promises to keep */
            e = posix_spawnp(&r->pid, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv,
                             environment != NULL ? environment : environ);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    return e;
}

static enum err_code start(struct run *r, const char *const *argv, char *const *environment, struct err *err)
{
    int out[2] = {-1, -1};
    int words[2] = {-1, -1};
    int e = 0;
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(words, O_CLOEXEC) != 0)
        e = errno;
    if (e == 0)
        e = spawn(r, argv, environment, out[1], words[1]);
    r->out = out[0];
    r->err = words[0];
    io_closep(&out[1]);
    io_closep(&words[1]);
    return e == 0 ? ERR_OK : err_sys(err, e, "starting %s", argv[0]);
}

/* Reads once; closes *fd at its end. Bytes over the limit are dropped by the buffer, which remembers. */
static void take_some(int *fd, struct buf *to)
{
    char chunk[16384];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n > 0)
        buf_add(to, chunk, (size_t)n);
    else if (n == 0 || errno != EINTR)
        io_closep(fd);
}

/* Waits up to a tick for output. True while there may be more of it. */
static bool read_output(struct run *r)
{
    struct pollfd fds[2] = {{.fd = r->out, .events = POLLIN}, {.fd = r->err, .events = POLLIN}};
    int ready = poll(fds, 2, TICK_MS);
    if (ready > 0 && fds[0].revents != 0)
        take_some(&r->out, r->output);
    if (ready > 0 && fds[1].revents != 0)
        take_some(&r->err, &r->words);
    return (r->out >= 0 || r->err >= 0) && !(ready == 0 && r->ended);
}

static void look_for_end(struct run *r, int flags)
{
    if (!r->ended && waitpid(r->pid, &r->status, flags) == r->pid)
        r->ended = true;
}

/* Until it has ended and its output was read. A process that it left behind with our pipes is not waited for.
 */
static enum err_code wait_for_end(struct run *r, const char *name, struct err *err)
{
    bool more = true;
    while (more || !r->ended) {
        look_for_end(r, WNOHANG);
        if (clock_mono_ms() > r->deadline_ms) {
            (void)kill(-r->pid, SIGKILL); /* it may be gone by now */
            look_for_end(r, 0);
            return err_set(err, ERR_TIMEOUT, "%s did not end in time and was killed", name);
        }
        if (more)
            more = read_output(r);
        else
            (void)poll(NULL, 0, r->ended ? 0 : 1);
    }
    return ERR_OK;
}

static const char *last_line(struct buf *words)
{
    while (words->len > 0 && words->data[words->len - 1] == '\n')
        words->data[--words->len] = '\0';
    const char *newline = words->len > 0 ? strrchr(words->data, '\n') : NULL;
    return newline != NULL ? newline + 1 : buf_cstr(words);
}

static enum err_code judge_end(struct run *r, const char *name, struct err *err)
{
    if (WIFSIGNALED(r->status))
        return err_set(err, ERR_IO, "%s was ended by signal %d", name, WTERMSIG(r->status));
    if (WEXITSTATUS(r->status) != 0)
        return err_set(err, ERR_IO, "%s ended with exit code %d: %s", name, WEXITSTATUS(r->status),
                       last_line(&r->words));
    return buf_check(r->output, err);
}

enum err_code run_for_output(const char *const *argv, char *const *environment, int timeout_ms,
                             struct buf *output, struct err *err)
{
    struct run r = {.out = -1, .err = -1, .deadline_ms = clock_mono_ms() + timeout_ms, .output = output};
    buf_init(&r.words, OUTPUT_MAX);
    enum err_code rc = start(&r, argv, environment, err);
    if (rc == ERR_OK)
        rc = wait_for_end(&r, argv[0], err);
    if (rc == ERR_OK)
        rc = judge_end(&r, argv[0], err);
    io_closep(&r.out);
    io_closep(&r.err);
    buf_clear(&r.words);
    return rc;
}

/* Reads the NUL-separated "NAME=value" of `env -0`. */
static enum err_code read_variables(const struct buf *text, struct strmap *ret, struct err *err)
{
    for (const char *at = buf_cstr(text); at < text->data + text->len; at += strlen(at) + 1) {
        const char *equals = strchr(at, '=');
        if (equals == NULL)
            continue;
        cleanup(mem_freep) char *name = mem_strndup(at, (size_t)(equals - at));
        if (name == NULL || strmap_set(ret, name, equals + 1) != 0)
            return err_set(err, ERR_NOMEM, "out of memory");
    }
    strmap_remove(ret, "_"); /* bash's note of the last command, here env */
    return ERR_OK;
}

enum err_code load_spark_environment(const char *home, struct strmap *ret, struct err *err)
{
    /* What the scripts print goes to standard error, out of the way of the variables. */
    static const char script[] = "exec 3>&1 1>&2; export SPARK_HOME=\"$1\"; "
                                 ". \"$1/bin/load-spark-env.sh\"; exec env -0 >&3";
    const char *argv[] = {"bash", "-c", script, "spark-env.sh", home, NULL};
    cleanup(buf_clear) struct buf text = BUF(OUTPUT_MAX);
    enum err_code rc = run_for_output(argv, NULL, SPARK_ENV_TIMEOUT_MS, &text, err);
    if (rc == ERR_OK)
        rc = read_variables(&text, ret, err);
    if (rc != ERR_OK)
        (void)err_wrap(err, "evaluating spark-env.sh of %s", home);
    return rc;
}
