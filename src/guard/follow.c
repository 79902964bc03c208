#include "guard/follow.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "guard/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

/*
 * Where a follower is, and what moves it:
 *
 *   SEEKING --connected--> CONNECTED --connection ended--> SEEKING
 *      |                       '--exit or refused came--> ENDED
 *      |--guard gone, journal without an end--> WATCHING --driver gone--> ENDED
 *      '--guard gone, journal with an end, or nothing for too long--> ENDED
 *
 * Every way through the journal or the socket hands each sequence number on once.
 */
enum state { SEEKING, CONNECTED, WATCHING, ENDED };

enum {
    RETRY_MS = 5,
    RECHECK_MS = 1000, /* where the kernel has no pidfd to spare */
    KEPT_MAX = 16,
    STOP = 0, /* among kept requests; the others are signals */
};

struct link {
    uv_pipe_t pipe;
    uv_connect_t connect;
    struct follower *follower;
};

struct watch {
    uv_poll_t poll;
    int pidfd;
    struct follower *follower;
};

struct follower {
    uv_loop_t *loop;
    char *dir;
    uint64_t next; /* sequence number */
    int64_t give_up_ms;
    follow_cb *on_event;
    void *arg;

    enum state state;
    bool closed; /* by its owner */
    unsigned open_handles;
    uv_timer_t timer;
    struct link *link;
    struct watch *watch;
    struct buf in;
    struct process_id driver; /* pid 0: not started as far as is known */
    int kept[KEPT_MAX];
    unsigned n_kept;
};

static void seek(struct follower *f);
static void resolve(struct follower *f);

static bool is_over(const struct follower *f)
{
    return f->closed || f->state == ENDED;
}

/* --- handles ------------------------------------------------------------------------------------ */

static void handle_gone(struct follower *f)
{
    if (--f->open_handles > 0)
        return;
    buf_clear(&f->in);
    mem_free(f->dir);
    mem_free(f);
}

static void on_timer_closed(uv_handle_t *h)
{
    handle_gone(h->data);
}

static void on_link_closed(uv_handle_t *h)
{
    struct link *l = h->data;
    struct follower *f = l->follower;
    mem_free(l);
    handle_gone(f);
}

static void on_watch_closed(uv_handle_t *h)
{
    struct watch *w = h->data;
    struct follower *f = w->follower;
    io_closep(&w->pidfd);
    mem_free(w);
    handle_gone(f);
}

static void drop_link(struct follower *f)
{
    if (f->link != NULL)
        uv_close((uv_handle_t *)&f->link->pipe, on_link_closed);
    f->link = NULL;
    buf_clear(&f->in);
}

static void drop_watch(struct follower *f)
{
    if (f->watch != NULL)
        uv_close((uv_handle_t *)&f->watch->poll, on_watch_closed);
    f->watch = NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct follower *f = timer->data;
    if (f->state == WATCHING)
        resolve(f);
    else
        seek(f);
}

static void try_later(struct follower *f, uint64_t ms)
{
    (void)uv_timer_start(&f->timer, on_timer, ms, 0); /* fails only without a callback */
}

/* --- events ------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    enum follow_kind kind;
} words[] = {
    {"started", FOLLOW_STARTED},     {"refused", FOLLOW_REFUSED},
    {"hello", FOLLOW_HELLO},         {"app_id", FOLLOW_APP_ID},
    {"state", FOLLOW_STATE},         {"closed", FOLLOW_CLOSED},
    {"stop_sent", FOLLOW_STOP_SENT}, {"signal_sent", FOLLOW_SIGNAL_SENT},
    {"exit", FOLLOW_EXIT},           {"output", FOLLOW_OUTPUT},
};

static void tell(struct follower *f, const struct follow_event *event)
{
    bool is_end = event->kind == FOLLOW_REFUSED || event->kind == FOLLOW_EXIT ||
                  event->kind == FOLLOW_ABSENT || event->kind == FOLLOW_LOST;
    if (is_end) {
        f->state = ENDED;
        drop_link(f);
        drop_watch(f);
        (void)uv_timer_stop(&f->timer);
    }
    f->on_event(event, f->arg);
}

static void tell_journaled(struct follower *f, enum follow_kind kind, const struct guard_event *e)
{
    struct follow_event event = {
        .kind = kind,
        .seq = e->seq,
        .wall_ms = e->wall_ms,
        .text = e->text,
        .pid = e->process.pid,
        .exit_code = (int)e->exit_code,
        .signal = (int)e->signal,
        .oom_killed = e->oom_killed,
        .max_memory = (uint64_t)e->max_memory,
        .lines = (uint64_t)e->lines,
        .bytes = (uint64_t)e->bytes,
    };
    tell(f, &event);
}

/* One event of the journal or the socket; true when more may come. */
static bool on_guard_event(const struct guard_event *e, void *arg)
{
    struct follower *f = arg;
    if (strcmp(e->word, "started") == 0)
        f->driver = e->process;
    if (e->seq != 0 && e->seq < f->next)
        return true;
    if (e->seq != 0)
        f->next = e->seq + 1;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].word, e->word) == 0)
            tell_journaled(f, words[i].kind, e);
    return !is_over(f);
}

static void tell_own(struct follower *f, enum follow_kind kind, const char *text)
{
    struct follow_event event = {
        .kind = kind,
        .wall_ms = clock_wall_ms(),
        .text = text,
        .pid = f->driver.pid,
        .exit_code = -1,
    };
    tell(f, &event);
}

static void tell_lost(struct follower *f)
{
    tell_own(f, FOLLOW_LOST,
             process_is_of_this_boot(&f->driver)
                 ? "the driver has ended, but how is not known: its guard had been killed before"
                 : "the machine was restarted while the driver ran");
}

/* --- requests ----------------------------------------------------------------------------------- */

static void signal_driver(const struct follower *f, int signal)
{
    if (process_is_alive(&f->driver))
        (void)process_signal_group(f->driver.pid,
                                   signal); /* gone in this moment: its end is noticed anyway */
}

/* False when the connection does not take it. */
static bool send_request(struct follower *f, int what)
{
    char line[32];
    int n = what == STOP ? snprintf(line, sizeof line, "stop\n")
                         : snprintf(line, sizeof line, "signal %d\n", what);
    uv_buf_t b = uv_buf_init(line, (unsigned)n);
    return uv_try_write((uv_stream_t *)&f->link->pipe, &b, 1) == n;
}

static void request(struct follower *f, int what)
{
    if (is_over(f))
        return;
    if (f->state == WATCHING && what != STOP)
        signal_driver(f, what);
    else if (f->state == CONNECTED && send_request(f, what))
        return;
    else if (f->state != WATCHING && f->n_kept < KEPT_MAX)
        f->kept[f->n_kept++] = what;
}

void follow_stop(struct follower *f)
{
    request(f, STOP);
}

void follow_signal(struct follower *f, int signal)
{
    request(f, signal);
}

static void send_kept(struct follower *f)
{
    unsigned n = f->n_kept;
    f->n_kept = 0;
    for (unsigned i = 0; i < n; i++)
        request(f, f->kept[i]);
}

/* --- without a guard ---------------------------------------------------------------------------- */

static void on_driver_gone(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    (void)status; /* whatever was reported: the process table decides */
    (void)events;
    drop_watch(w->follower);
    resolve(w->follower);
}

/* Waits for the end of a driver that nobody else waits for. */
static void watch_driver(struct follower *f)
{
    int pidfd = pidfd_open(f->driver.pid, 0);
    struct watch *w = pidfd >= 0 ? mem_calloc(1, sizeof *w) : NULL;
    f->state = WATCHING;
    if (w == NULL || uv_poll_init(f->loop, &w->poll, pidfd) != 0) {
        io_closep(&pidfd);
        mem_free(w);
        try_later(f, RECHECK_MS);
    } else {
        w->pidfd = pidfd;
        w->follower = f;
        w->poll.data = w;
        f->watch = w;
        f->open_handles++;
        (void)uv_poll_start(&w->poll, UV_READABLE, on_driver_gone); /* fails only for a bad mask */
        if (!process_is_alive(&f->driver)) { /* it may have gone before the pidfd was there */
            drop_watch(f);
            tell_lost(f);
            return;
        }
    }
    send_kept(f);
}

/* No guard answers: says what is known without one, or waits for one to come. */
static void resolve(struct follower *f)
{
    struct process_id guard;
    if (guard_pid_read(f->dir, &guard, NULL) == ERR_OK && process_is_alive(&guard)) {
        f->state = SEEKING; /* it is about to open its socket, or about to end */
        try_later(f, RETRY_MS);
        return;
    }
    enum err_code rc = guard_journal_read(f->dir, 1, on_guard_event, f, NULL);
    if (is_over(f))
        return;
    bool is_unknown = rc != ERR_OK || f->driver.pid == 0;
    if (is_unknown && clock_mono_ms() < f->give_up_ms)
        try_later(f, RETRY_MS);
    else if (is_unknown && rc != ERR_OK)
        try_later(f, RECHECK_MS); /* there is a journal, and some day it can be read */
    else if (is_unknown)
        tell_own(f, FOLLOW_ABSENT, "no guard came for this driver, and it was never started");
    else if (process_is_alive(&f->driver))
        watch_driver(f);
    else
        tell_lost(f);
}

/* --- with a guard ------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
    static char shared[65536]; /* emptied in the read callback that follows at once */
    (void)h;
    (void)suggested;
    *ret = uv_buf_init(shared, sizeof shared);
}

static void take_lines(struct follower *f)
{
    size_t at = 0;
    char *newline;
    while (!is_over(f) && f->link != NULL && at < f->in.len &&
           (newline = memchr(f->in.data + at, '\n', f->in.len - at)) != NULL) {
        struct guard_event e;
        size_t n = (size_t)(newline - f->in.data) - at;
        enum err_code rc = guard_event_read(&e, f->in.data + at, n, NULL);
        at += n + 1;
        if (rc != ERR_OK)
            continue; /* an answer that is no event */
        (void)on_guard_event(&e, f);
        guard_event_clear(&e);
    }
    buf_drop(&f->in, at);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct link *l = stream->data;
    struct follower *f = l->follower;
    if (f->link != l || n == 0)
        return;
    if (n > 0) {
        buf_add(&f->in, bytes->base, (size_t)n);
        take_lines(f);
    }
    if (is_over(f) || (n > 0 && f->in.failed == ERR_OK))
        return;
    drop_link(f);
    f->state = SEEKING;
    resolve(f);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct link *l = connect->data;
    struct follower *f = l->follower;
    if (f->link != l)
        return; /* closed meanwhile */
    char line[48];
    int n = snprintf(line, sizeof line, "follow %llu\n", (unsigned long long)f->next);
    uv_buf_t b = uv_buf_init(line, (unsigned)n);
    if (status != 0 || uv_try_write((uv_stream_t *)&l->pipe, &b, 1) != n ||
        uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read) != 0) {
        drop_link(f);
        resolve(f);
        return;
    }
    f->state = CONNECTED;
    send_kept(f);
}

static void seek(struct follower *f)
{
    struct link *l = mem_calloc(1, sizeof *l);
    if (l == NULL || uv_pipe_init(f->loop, &l->pipe, 0) != 0) {
        mem_free(l);
        try_later(f, RECHECK_MS);
        return;
    }
    l->follower = f;
    l->pipe.data = l->connect.data = l;
    f->link = l;
    f->open_handles++;
    char path[64]; /* the folder's own path may be longer than a socket address takes */
    cleanup(io_closep) int dir_fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir_fd, GUARD_SOCKET);
    uv_pipe_connect(&l->connect, &l->pipe, path, on_connected);
}

/* --- life --------------------------------------------------------------------------------------- */

static struct follower *new_follower(const char *dir)
{
    struct follower *f = mem_calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->dir = mem_strdup(dir);
    if (f->dir == NULL) {
        mem_free(f);
        return NULL;
    }
    buf_init(&f->in, GUARD_LINE_MAX + 65536);
    return f;
}

struct follower *follow_new(uv_loop_t *loop, const char *dir, uint64_t from, int64_t patience_ms,
                            follow_cb *on_event, void *arg)
{
    struct follower *f = new_follower(dir);
    if (f == NULL)
        return NULL;
    f->loop = loop;
    f->next = from;
    f->give_up_ms = clock_mono_ms() + patience_ms;
    f->on_event = on_event;
    f->arg = arg;
    (void)uv_timer_init(loop, &f->timer); /* cannot fail */
    f->timer.data = f;
    f->open_handles = 1;
    try_later(f, 0);
    return f;
}

void follow_close(struct follower *f)
{
    if (f == NULL || f->closed)
        return;
    f->closed = true;
    drop_link(f);
    drop_watch(f);
    uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}
