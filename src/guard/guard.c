#include "guard/guard.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/mem.h"
#include "guard/guard_internal.h"
#include "guard/journal.h"
#include "guard/launch.h"
#include "guard/warmup.h"
#include "spark/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The order of things, which is what makes it exact:
 *
 *   lock the folder; look into the journal: a driver that was started once is never started again
 *   fork a child that waits; flush `started`; let it go
 *   RUNNING    drain its pipes, listen to its launcher connections, serve followers
 *   CLEANING   it was reaped; what it left behind is ended: SIGTERM, then SIGKILL
 *   SETTLING   one turn of the loop for what it said last
 *   FLUSHING   pipes and connections are read to their end; log closed; `exit` is being flushed
 *   TELLING    followers hear of it; then the guard ends
 */
enum phase { RUNNING, CLEANING, SETTLING, FLUSHING, TELLING };

enum {
    EXIT_NOT_MINE = 3,
    CLEAN_TICK_MS = 100,
    CLEAN_TERM_MS = 5 * 1000,     /* from SIGTERM to SIGKILL */
    CLEAN_GIVE_UP_MS = 20 * 1000, /* a process that the kernel cannot end does not hold the guard */
    SETTLE_MS = 1,
    TELL_TICK_MS = 20,
    TELL_GIVE_UP_MS = 2 * 1000,
    PAUSE_MS = 250,               /* longest time for which the driver waits for a slow disk */
    DETAILS_MAX = 1024 * 1024,    /* bytes of the journal; beyond, only its end is recorded */
    REFUSED_LOG_SIZE = 64 * 1024, /* where launch.json could not say one */
    READ_SIZE = 64 * 1024,
    PIPE_REST_MAX = 4 * 1024 * 1024, /* a stranger may hold a pipe open and go on writing */
};

struct guard {
    int lock_fd;
    uint64_t next_seq;
    uint64_t journaled; /* bytes */
    enum phase phase;
    int64_t phase_began_ms;

    struct guard_launch launch;
    struct guard_driver driver;
    struct guard_memory memory;
    bool has_ended; /* the driver: reaped, with: */
    int status;
    struct rusage usage;
    long max_rss_kb; /* the largest of its processes */
    bool we_killed;  /* SIGKILL was ours */

    struct guard_disk *disk;
    struct guard_links *links;
    struct guard_followers *followers;

    uv_loop_t loop;
    bool has_loop;
    uv_async_t progress; /* of the disk */
    uv_signal_t child, term;
    uv_timer_t step;  /* of the phases after RUNNING */
    uv_timer_t pause; /* of reading the driver's output */
    struct guard_warmup warmup;
    bool may_pause;
    struct output_pipe {
        uv_pipe_t pipe;
        enum output_stream stream;
        struct guard *guard;
    } output[OUTPUT_STREAMS];
};

static char read_buffer[READ_SIZE];

void guard_on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    (void)h;
    (void)suggested;
    *ret = uv_buf_init(read_buffer, sizeof read_buffer);
}

/* --- the journal -------------------------------------------------------------------------------- */

void guard_record_open(struct guard *g, struct guard_record *r, const char *word)
{
    buf_init(&r->line, GUARD_LINE_MAX - 1);
    json_out_open(&r->out, &r->line);
    json_out_object(&r->out, NULL);
    json_out_int(&r->out, "seq", (int64_t)g->next_seq);
    json_out_int(&r->out, "wall", clock_wall_ms());
    json_out_int(&r->out, "mono", clock_mono_ms());
    json_out_str(&r->out, "event", word);
}

/* True when the line is whole and the journal has room for it; takes the sequence number then. */
static bool finish_line(struct guard *g, struct guard_record *r, uint64_t room)
{
    json_out_end_object(&r->out);
    buf_char(&r->line, '\n');
    if (r->line.failed != ERR_OK || r->line.len > room)
        return false;
    g->next_seq++;
    g->journaled += r->line.len;
    return true;
}

void guard_record_close(struct guard *g, struct guard_record *r)
{
    uint64_t room = g->journaled < DETAILS_MAX ? DETAILS_MAX - g->journaled : 0;
    if (finish_line(g, r, room))
        guard_disk_journal(g->disk, r->line.data, r->line.len);
    buf_clear(&r->line);
}

/* The same, flushed before it returns; before the disk's thread runs. */
static enum err_code record_now(struct guard *g, struct guard_record *r, struct err *err)
{
    enum err_code rc = finish_line(g, r, UINT64_MAX)
                           ? guard_disk_journal_now(g->disk, r->line.data, r->line.len, err)
                           : err_set(err, ERR_NOMEM, "out of memory");
    buf_clear(&r->line);
    return rc;
}

/* The same, as the last line of all. */
static void record_last(struct guard *g, struct guard_record *r)
{
    (void)finish_line(g, r, UINT64_MAX);
    guard_disk_finish(g->disk, buf_cstr(&r->line), r->line.len);
    buf_clear(&r->line);
}

struct guard_disk_progress guard_told(struct guard *g)
{
    return guard_disk_progress(g->disk);
}

int guard_journal_fd(const struct guard *g)
{
    return guard_disk_journal_fd(g->disk);
}

/* --- the end ------------------------------------------------------------------------------------ */

static void move_to(struct guard *g, enum phase phase)
{
    g->phase = phase;
    g->phase_began_ms = clock_mono_ms();
}

static int64_t time_in_phase(const struct guard *g)
{
    return clock_mono_ms() - g->phase_began_ms;
}

static int64_t milliseconds(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000 + t.tv_usec / 1000;
}

static void record_exit(struct guard *g)
{
    bool was_killed = WIFSIGNALED(g->status) && WTERMSIG(g->status) == SIGKILL && !g->we_killed;
    bool has_succeeded = WIFEXITED(g->status) && WEXITSTATUS(g->status) == 0;
    struct guard_record r;
    guard_record_open(g, &r, "exit");
    if (WIFSIGNALED(g->status))
        json_out_int(&r.out, "signal", WTERMSIG(g->status));
    else
        json_out_int(&r.out, "code", WEXITSTATUS(g->status));
    json_out_bool(&r.out, "oomKilled", !has_succeeded && guard_memory_was_short(&g->memory, was_killed));
    json_out_int(&r.out, "maxMemory", (int64_t)g->max_rss_kb * 1024);
    json_out_int(&r.out, "userMs", milliseconds(g->usage.ru_utime));
    json_out_int(&r.out, "systemMs", milliseconds(g->usage.ru_stime));
    record_last(g, &r);
}

static void close_output(struct output_pipe *p)
{
    if (!uv_is_closing((uv_handle_t *)&p->pipe))
        uv_close((uv_handle_t *)&p->pipe, NULL);
}

/* What is left in a pipe whose writers are gone, or are none of the driver's. */
static void read_rest(struct guard *g, struct output_pipe *p)
{
    int fd = -1;
    ssize_t n;
    if (uv_is_closing((uv_handle_t *)&p->pipe) || uv_fileno((uv_handle_t *)&p->pipe, &fd) != 0)
        return;
    for (size_t all = 0; all < PIPE_REST_MAX && (n = read(fd, read_buffer, READ_SIZE)) > 0; all += (size_t)n)
        guard_disk_output(g->disk, p->stream, read_buffer, (size_t)n);
    close_output(p);
}

static void on_step(uv_timer_t *timer);

/* Another look in a moment. */
static void step_later(struct guard *g, uint64_t ms)
{
    (void)uv_timer_start(&g->step, on_step, ms, 0); /* fails only without a callback */
}

static void flush(struct guard *g)
{
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        read_rest(g, &g->output[s]);
    guard_links_finish(g->links);
    FAULT_POINT("guard.before_exit");
    move_to(g, FLUSHING);
    record_exit(g);
}

static void settle(struct guard *g)
{
    move_to(g, SETTLING);
    step_later(g, SETTLE_MS);
}

/* Ends what the driver left behind; those without a parent were given to this process. */
static void clean(struct guard *g)
{
    bool is_patient = time_in_phase(g) < CLEAN_TERM_MS;
    unsigned n = guard_signal_descendants(is_patient ? 0 : SIGKILL);
    if (n == 0 || time_in_phase(g) >= CLEAN_GIVE_UP_MS)
        settle(g);
    else
        step_later(g, CLEAN_TICK_MS);
}

static void tell(struct guard *g)
{
    if (guard_followers_finish(g->followers) || time_in_phase(g) >= TELL_GIVE_UP_MS)
        uv_stop(&g->loop);
    else
        step_later(g, TELL_TICK_MS);
}

static void on_step(uv_timer_t *timer)
{
    struct guard *g = timer->data;
    switch (g->phase) {
    case RUNNING: break;
    case CLEANING: clean(g); break;
    case SETTLING: flush(g); break;
    case FLUSHING: break; /* the disk says when */
    case TELLING: tell(g); break;
    }
}

static void driver_ended(struct guard *g, int status, const struct rusage *usage)
{
    g->has_ended = true;
    guard_warmup_stop(&g->warmup);
    g->status = status;
    g->usage = *usage;
    move_to(g, CLEANING);
    if (guard_signal_descendants(SIGTERM) == 0)
        settle(g);
    else
        step_later(g, CLEAN_TICK_MS);
}

static void on_child(uv_signal_t *handle, int signal)
{
    struct guard *g = handle->data;
    int status;
    struct rusage usage;
    pid_t pid;
    (void)signal;
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        if (usage.ru_maxrss > g->max_rss_kb)
            g->max_rss_kb = usage.ru_maxrss;
        if (pid == g->driver.id.pid)
            driver_ended(g, status, &usage);
    }
}

/* --- while it runs ------------------------------------------------------------------------------ */

void guard_ask_stop(struct guard *g)
{
    struct guard_record r;
    unsigned n = guard_links_stop(g->links);
    guard_record_open(g, &r, "stop_sent");
    json_out_int(&r.out, "connections", n);
    guard_record_close(g, &r);
}

bool guard_ask_signal(struct guard *g, int signal)
{
    if (g->has_ended || process_signal_group(g->driver.id.pid, signal) != 0)
        return false;
    g->we_killed = g->we_killed || signal == SIGKILL;
    struct guard_record r;
    guard_record_open(g, &r, "signal_sent");
    json_out_int(&r.out, "signal", signal);
    guard_record_close(g, &r);
    return true;
}

/* Whoever asks the guard to end means the driver; the guard stays to tell how that went. */
static void on_term(uv_signal_t *handle, int signal)
{
    (void)guard_ask_signal(handle->data, signal); /* has ended: then so will the guard */
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes);

static void read_outputs(struct guard *g, bool on)
{
    for (int s = 0; s < OUTPUT_STREAMS; s++) {
        uv_stream_t *stream = (uv_stream_t *)&g->output[s].pipe;
        if (uv_is_closing((uv_handle_t *)stream))
            continue;
        if (on)
            (void)uv_read_start(stream, guard_on_alloc, on_output); /* fails only for one that is closing */
        else
            (void)uv_read_stop(stream);
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    struct guard *g = timer->data;
    g->may_pause = false; /* until the disk has caught up: rather lose output than stop the driver */
    read_outputs(g, true);
}

/* A disk that works is given a moment before anything is dropped. */
static void pause_reading(struct guard *g)
{
    if (!g->may_pause || uv_is_active((uv_handle_t *)&g->pause))
        return;
    read_outputs(g, false);
    (void)uv_timer_start(&g->pause, on_pause_over, PAUSE_MS, 0); /* fails only without a callback */
}

static void resume_reading(struct guard *g)
{
    g->may_pause = true;
    if (!uv_is_active((uv_handle_t *)&g->pause))
        return;
    (void)uv_timer_stop(&g->pause);
    read_outputs(g, true);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct output_pipe *p = stream->data;
    if (n < 0) {
        close_output(p);
    } else if (n > 0) {
        guard_disk_output(p->guard->disk, p->stream, bytes->base, (size_t)n);
        if (guard_disk_is_behind(p->guard->disk))
            pause_reading(p->guard);
    }
}

static void on_progress(uv_async_t *async)
{
    struct guard *g = async->data;
    if (!guard_disk_is_behind(g->disk))
        resume_reading(g);
    guard_followers_tell(g->followers);
    if (g->phase != FLUSHING || !guard_told(g).finished)
        return;
    FAULT_POINT("guard.after_exit");
    move_to(g, TELLING);
    step_later(g, 0);
}

/* --- the start ---------------------------------------------------------------------------------- */

struct history {
    bool was_started;
    uint64_t last_seq;
};

static bool note_history(const struct guard_event *e, void *arg)
{
    struct history *h = arg;
    h->was_started |= strcmp(e->word, "started") == 0 || strcmp(e->word, "refused") == 0;
    h->last_seq = e->seq;
    return true;
}

/* ERR_CONFLICT when another guard has or had this folder. */
static enum err_code claim_folder(struct guard *g, const char *dir, struct err *err)
{
    struct history h = {0};
    if (chdir(dir) != 0)
        return err_sys(err, errno, "%s", dir);
    enum err_code rc = io_lock_file("guard.lock", &g->lock_fd, err);
    if (rc == ERR_OK)
        rc = guard_journal_read(".", 0, note_history, &h, err);
    if (rc == ERR_OK && h.was_started)
        rc = err_set(err, ERR_CONFLICT, "the driver of this folder was started before");
    g->next_seq = h.last_seq + 1;
    return rc;
}

static enum err_code open_loop(struct guard *g, struct err *err)
{
    if (uv_loop_init(&g->loop) != 0)
        return err_set(err, ERR_IO, "the event loop could not be made");
    g->has_loop = true;
    int rc = uv_async_init(&g->loop, &g->progress, on_progress);
    if (rc == 0)
        rc = uv_signal_init(&g->loop, &g->child);
    if (rc == 0)
        rc = uv_signal_init(&g->loop, &g->term);
    (void)uv_timer_init(&g->loop, &g->step); /* these two cannot fail */
    (void)uv_timer_init(&g->loop, &g->pause);
    g->progress.data = g->child.data = g->term.data = g->step.data = g->pause.data = g;
    g->may_pause = true;
    return rc == 0 ? ERR_OK : err_set(err, ERR_IO, "the event loop: %s", uv_strerror(rc));
}

/* What must stand before a driver may exist. */
static enum err_code prepare(struct guard *g, struct err *err)
{
    struct process_id self;
    struct err launch_err;
    enum err_code launch_rc = guard_launch_read(&g->launch, &launch_err);
    uint64_t log_size = launch_rc == ERR_OK ? g->launch.log_size : REFUSED_LOG_SIZE;
    enum err_code rc = guard_disk_open(log_size, &g->disk, err);
    if (rc != ERR_OK)
        return rc;
    if (launch_rc != ERR_OK)
        return err_set(err, launch_rc, "%s", launch_err.msg);
    rc = open_loop(g, err);
    if (rc == ERR_OK)
        rc = process_id_of(getpid(), &self, err);
    if (rc == ERR_OK)
        rc = guard_pid_write(".", &self, err);
    if (rc == ERR_OK)
        rc = guard_links_open(g, &g->loop, &g->links, err);
    if (rc == ERR_OK)
        rc = guard_followers_open(g, &g->loop, &g->followers, err);
    return rc;
}

/* The launcher's two variables replace whatever the environment had by these names. */
static enum err_code complete_environment(struct guard *g, struct err *err)
{
    struct strlist env = {0};
    int failed = 0;
    for (size_t i = 0; i < g->launch.env.n && failed == 0; i++) {
        const char *s = g->launch.env.items[i];
        if (!str_starts(s, LAUNCHER_ENV_PORT "=") && !str_starts(s, LAUNCHER_ENV_SECRET "="))
            failed = strlist_add(&env, s);
    }
    if (failed == 0)
        failed = strlist_addf(&env, LAUNCHER_ENV_PORT "=%d", guard_links_port(g->links));
    if (failed == 0)
        failed = strlist_addf(&env, LAUNCHER_ENV_SECRET "=%s", guard_links_secret(g->links));
    strlist_clear(&g->launch.env);
    g->launch.env = env;
    return failed == 0 ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static enum err_code watch_driver(struct guard *g, struct err *err)
{
    int rc = uv_signal_start(&g->child, on_child, SIGCHLD);
    if (rc == 0)
        rc = uv_signal_start(&g->term, on_term, SIGTERM);
    for (int s = 0; s < OUTPUT_STREAMS && rc == 0; s++) {
        struct output_pipe *p = &g->output[s];
        p->stream = s;
        p->guard = g;
        p->pipe.data = p;
        rc = uv_pipe_init(&g->loop, &p->pipe, 0);
        if (rc == 0)
            rc = uv_pipe_open(&p->pipe, g->driver.output[s]);
        if (rc == 0) {
            g->driver.output[s] = -1; /* the handle's now */
            rc = uv_read_start((uv_stream_t *)&p->pipe, guard_on_alloc, on_output);
        }
    }
    return rc == 0 ? ERR_OK : err_set(err, ERR_IO, "watching the driver: %s", uv_strerror(rc));
}

static enum err_code record_started(struct guard *g, struct err *err)
{
    struct guard_record r;
    guard_record_open(g, &r, "started");
    json_out_int(&r.out, "pid", g->driver.id.pid);
    json_out_int(&r.out, "startTime", (int64_t)g->driver.id.start_time);
    json_out_str(&r.out, "bootId", g->driver.id.boot_id);
    return record_now(g, &r, err);
}

/* A limit that cannot be set is no reason not to run; it is said in the journal and in the log. */
static void record_no_limit(struct guard *g, const struct err *why)
{
    char text[sizeof why->msg + 80];
    struct guard_record r;
    guard_record_open(g, &r, "limit");
    json_out_str(&r.out, "error", why->msg);
    guard_record_close(g, &r);
    int n = snprintf(text, sizeof text, "[hearth: the driver runs without a memory limit: %s]\n", why->msg);
    guard_disk_output(g->disk, OUTPUT_STDERR, text, (size_t)n);
}

static void write_note(struct guard *g)
{
    enum output_stream stream = g->launch.note_on_stdout ? OUTPUT_STDOUT : OUTPUT_STDERR;
    guard_disk_output(g->disk, stream, g->launch.note, strlen(g->launch.note));
    guard_disk_output(g->disk, stream, "\n", 1);
}

static enum err_code start_driver(struct guard *g, struct err *err)
{
    struct err limit_err;
    enum err_code rc = guard_driver_check(&g->launch, err);
    if (rc == ERR_OK)
        rc = complete_environment(g, err);
    FAULT_POINT("guard.before_fork");
    if (rc == ERR_OK)
        rc = guard_driver_fork(&g->launch, &g->driver, err);
    if (rc != ERR_OK)
        return rc;
    enum err_code limit = g->launch.memory_limit == 0 ? ERR_OK
                                                      : guard_memory_limit(&g->memory, g->launch.memory_limit,
                                                                           g->driver.id.pid, &limit_err);
    rc = watch_driver(g, err);
    FAULT_POINT("guard.before_started");
    if (rc == ERR_OK)
        rc = record_started(g, err);
    FAULT_POINT("guard.after_started");
    if (rc == ERR_OK)
        rc = guard_disk_start(g->disk, &g->progress, err);
    if (rc == ERR_OK && g->launch.note != NULL)
        write_note(g);
    if (rc == ERR_OK && limit != ERR_OK)
        record_no_limit(g, &limit_err);
    if (rc == ERR_OK)
        rc = guard_driver_go(&g->driver, err);
    if (rc == ERR_OK)
        guard_warmup_start(&g->warmup, &g->loop, g->driver.id.pid);
    return rc;
}

/* Says for ever that this driver will not be. */
static void refuse(struct guard *g, const struct err *why)
{
    struct guard_record r;
    guard_record_open(g, &r, "refused");
    json_out_str(&r.out, "error", why->msg);
    if (guard_disk_has_thread(g->disk))
        record_last(g, &r);
    else
        (void)record_now(g, &r, NULL); /* else the folder looks as if nobody had been here: true enough */
}

/* --- the process -------------------------------------------------------------------------------- */

static void on_walk(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

static void close_all(struct guard *g)
{
    guard_driver_clear(&g->driver);
    if (g->links != NULL)
        guard_links_finish(g->links);
    if (g->followers != NULL)
        guard_followers_close(g->followers);
    guard_disk_close(g->disk); /* its thread wakes the loop */
    if (g->has_loop) {
        uv_walk(&g->loop, on_walk, NULL); /* all others were closed with callbacks of their own */
        (void)uv_run(&g->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&g->loop);
    }
    guard_links_free(g->links);
    guard_followers_free(g->followers);
    guard_memory_clear(&g->memory);
    guard_launch_clear(&g->launch);
    io_closep(&g->lock_fd);
}

/* Nothing of whoever started the guard stays attached to it. */
static void detach(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        (void)dup2(null, fd);
    io_closep(&null);
}

static void look_after(struct guard *g)
{
    detach();
    guard_launch_clear(&g->launch); /* argv and environment are the driver's now */
    (void)malloc_trim(0);
    (void)uv_run(&g->loop, UV_RUN_DEFAULT);
}

static void become_guard(void)
{
    while (open("/dev/null", O_RDWR) <= 2) /* or pipes and locks would take the standard numbers */
        ;
    (void)setsid(); /* fails for one that leads a group already: then it is detached */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)mallopt(M_ARENA_MAX, 1); /* the disk's thread needs none of its own */
}

int guard_main(const char *dir)
{
    struct err err;
    struct guard g = {.lock_fd = -1, .driver = {.output = {-1, -1}, .go = -1, .failed = -1}};
    become_guard();
    guard_memory_init(&g.memory);
    enum err_code claimed = claim_folder(&g, dir, &err);
    enum err_code rc = claimed == ERR_OK ? prepare(&g, &err) : claimed;
    if (rc == ERR_OK)
        rc = start_driver(&g, &err);
    if (rc == ERR_OK) {
        look_after(&g);
    } else {
        (void)fprintf(stderr, "hearth guard: %s: %s\n", dir, err.msg);
        if (g.disk != NULL)
            refuse(&g, &err);
    }
    close_all(&g);
    if (rc == ERR_OK)
        return 0;
    return claimed == ERR_CONFLICT ? EXIT_NOT_MINE : 1;
}
