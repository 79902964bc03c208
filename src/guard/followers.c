#include "guard/guard_internal.h"

#include "base/mem.h"
#include "guard/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A follower costs the same however slow it is: what it has yet to be told is read from the journal
 * when its socket has room. Each write is of whole lines, so that answers may stand between them.
 */
enum {
    FOLLOWERS_MAX = 64,
    COMMAND_MAX = 256,
    ANSWERS_MAX = 4096,
    CHUNK = 2 * GUARD_LINE_MAX,
    OUTPUT_PAUSE_MS = 100, /* between two reports of output */
};

struct follower {
    struct guard_followers *all;
    struct follower *next;
    uv_pipe_t pipe;
    uv_write_t write;
    bool is_writing;
    bool is_following;
    uint64_t from;         /* sequence number asked for */
    uint64_t at;           /* offset in the journal: told up to here */
    uint64_t lines, bytes; /* of output told */
    struct buf command;    /* an incomplete one */
    struct buf answers;
    struct buf out; /* being written */
};

struct guard_followers {
    struct guard *guard;
    uv_loop_t *loop;
    uv_pipe_t listener;
    uv_timer_t output_pause;
    uint64_t lines, bytes; /* of output that may be told now */
    struct follower *first;
    unsigned n;
    bool is_finishing;
};

static void on_closed(uv_handle_t *h)
{
    struct follower *f = h->data;
    buf_clear(&f->command);
    buf_clear(&f->answers);
    buf_clear(&f->out);
    mem_free(f);
}

static void drop(struct follower *f)
{
    for (struct follower **at = &f->all->first; *at != NULL; at = &(*at)->next) {
        if (*at != f)
            continue;
        *at = f->next;
        f->all->n--;
        uv_close((uv_handle_t *)&f->pipe, on_closed);
        return;
    }
}

/* --- telling ------------------------------------------------------------------------------------ */

static uint64_t line_seq(const char *line)
{
    unsigned long long seq = 0;
    return sscanf(line, "{\"seq\":%llu", &seq) == 1 ? seq : 0;
}

/* Adds the next lines of the journal that the follower asked for. */
static void add_events(struct follower *f, uint64_t size)
{
    char chunk[GUARD_LINE_MAX + 1];
    while (f->at < size && f->out.len < CHUNK - GUARD_LINE_MAX) {
        uint64_t left = size - f->at;
        ssize_t n = pread(guard_journal_fd(f->all->guard), chunk,
                          left < GUARD_LINE_MAX ? (size_t)left : GUARD_LINE_MAX, (off_t)f->at);
        if (n <= 0)
            return; /* the disk fails: what cannot be read cannot be told */
        chunk[n] = '\0';
        const char *newline;
        const char *line = chunk;
        for (; (newline = strchr(line, '\n')) != NULL; line = newline + 1)
            if (line_seq(line) >= f->from)
                buf_add(&f->out, line, (size_t)(newline + 1 - line));
        if (line == chunk)
            return;
        f->at += (uint64_t)(line - chunk);
    }
}

static void add_output_report(struct follower *f)
{
    struct json_out out;
    f->lines = f->all->lines;
    f->bytes = f->all->bytes;
    json_out_open(&out, &f->out);
    json_out_object(&out, NULL);
    json_out_str(&out, "event", "output");
    json_out_int(&out, "lines", (int64_t)f->lines);
    json_out_int(&out, "bytes", (int64_t)f->bytes);
    json_out_end_object(&out);
    buf_char(&f->out, '\n');
}

static void tell(struct follower *f);

static void on_written(uv_write_t *write, int status)
{
    struct follower *f = write->data;
    f->is_writing = false;
    if (status == 0)
        tell(f);
    else if (!uv_is_closing((uv_handle_t *)&f->pipe))
        drop(f);
}

/* Writes what there is for this follower, or lets it go when that was all for ever. */
static void tell(struct follower *f)
{
    if (f->is_writing)
        return;
    uint64_t size = guard_told(f->all->guard).journal_size;
    buf_reset(&f->out);
    buf_add(&f->out, buf_cstr(&f->answers), f->answers.len);
    buf_reset(&f->answers);
    if (f->is_following)
        add_events(f, size);
    if (f->is_following && f->at >= size && (f->lines != f->all->lines || f->bytes != f->all->bytes))
        add_output_report(f);
    uv_buf_t b = uv_buf_init(f->out.data, (unsigned)f->out.len);
    if (f->out.failed != ERR_OK || (f->out.len == 0 && f->all->is_finishing)) {
        drop(f);
    } else if (f->out.len > 0) {
        f->is_writing = uv_write(&f->write, (uv_stream_t *)&f->pipe, &b, 1, on_written) == 0;
        if (!f->is_writing)
            drop(f);
    }
}

static void tell_all(struct guard_followers *all)
{
    struct follower *next;
    for (struct follower *f = all->first; f != NULL; f = next) {
        next = f->next; /* it may be dropped */
        tell(f);
    }
}

static void on_output_pause_over(uv_timer_t *timer)
{
    guard_followers_tell(timer->data);
}

void guard_followers_tell(struct guard_followers *all)
{
    struct guard_disk_progress told = guard_told(all->guard);
    bool has_grown = told.lines != all->lines || told.bytes != all->bytes;
    if (has_grown && !uv_is_active((uv_handle_t *)&all->output_pause)) {
        all->lines = told.lines;
        all->bytes = told.bytes;
        (void)uv_timer_start(&all->output_pause, on_output_pause_over, OUTPUT_PAUSE_MS, 0); /* cannot fail */
    }
    tell_all(all);
}

/* --- commands ----------------------------------------------------------------------------------- */

static void answer(struct follower *f, const char *event, const char *error)
{
    struct json_out out;
    json_out_open(&out, &f->answers);
    json_out_object(&out, NULL);
    json_out_str(&out, "event", event);
    if (error != NULL)
        json_out_str(&out, "error", error);
    json_out_end_object(&out);
    buf_char(&f->answers, '\n');
}

static void obey(struct follower *f, const char *line)
{
    unsigned long long n = 0;
    int signal = 0;
    char rest;
    if (sscanf(line, "follow %llu%c", &n, &rest) == 1) {
        f->is_following = true;
        f->from = n;
        f->at = 0;
    } else if (sscanf(line, "signal %d%c", &signal, &rest) == 1 && signal > 0 && signal <= 64) {
        if (!guard_ask_signal(f->all->guard, signal))
            answer(f, "error", "the driver has ended");
    } else if (strcmp(line, "stop") == 0) {
        guard_ask_stop(f->all->guard);
    } else if (strcmp(line, "ping") == 0) {
        answer(f, "pong", NULL);
    } else {
        answer(f, "error", "known are: follow FROM, stop, signal N, ping");
    }
}

/* False when the follower sends nonsense without end. */
static bool take_commands(struct follower *f)
{
    char *newline;
    while (f->command.len > 0 && (newline = memchr(f->command.data, '\n', f->command.len)) != NULL) {
        *newline = '\0';
        obey(f, f->command.data);
        buf_drop(&f->command, (size_t)(newline - f->command.data) + 1);
    }
    return f->command.len < COMMAND_MAX;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct follower *f = stream->data;
    if (n > 0)
        buf_add(&f->command, bytes->base, (size_t)n);
    if (n < 0 || f->command.failed != ERR_OK || !take_commands(f))
        drop(f);
    else
        tell(f);
}

/* --- connections -------------------------------------------------------------------------------- */

static bool is_same_user(uv_pipe_t *pipe)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    int fd = -1;
    return uv_fileno((uv_handle_t *)pipe, &fd) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct guard_followers *all = listener->data;
    struct follower *f = status == 0 ? mem_calloc(1, sizeof *f) : NULL;
    if (f == NULL || uv_pipe_init(all->loop, &f->pipe, 0) != 0) {
        mem_free(f);
        return; /* whoever it was tries again */
    }
    f->all = all;
    f->pipe.data = f->write.data = f;
    buf_init(&f->command, COMMAND_MAX + 65536);
    buf_init(&f->answers, ANSWERS_MAX);
    buf_init(&f->out, CHUNK + ANSWERS_MAX);
    f->next = all->first;
    all->first = f;
    all->n++;
    if (uv_accept(listener, (uv_stream_t *)&f->pipe) != 0 || all->n > FOLLOWERS_MAX ||
        !is_same_user(&f->pipe) || uv_read_start((uv_stream_t *)&f->pipe, guard_on_alloc, on_read) != 0)
        drop(f);
}

/* --- the whole ---------------------------------------------------------------------------------- */

static int listen_on_socket(struct guard_followers *all)
{
    (void)unlink(GUARD_SOCKET); /* of a guard that was killed; ours is the lock */
    mode_t before = umask(0177);
    int rc = uv_pipe_bind(&all->listener, GUARD_SOCKET);
    (void)umask(before);
    return rc != 0 ? rc : uv_listen((uv_stream_t *)&all->listener, 64, on_connection);
}

enum err_code guard_followers_open(struct guard *g, uv_loop_t *loop, struct guard_followers **ret,
                                   struct err *err)
{
    struct guard_followers *all = mem_calloc(1, sizeof *all);
    if (all == NULL || uv_pipe_init(loop, &all->listener, 0) != 0) {
        mem_free(all);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    (void)uv_timer_init(loop, &all->output_pause); /* cannot fail */
    all->guard = g;
    all->loop = loop;
    all->listener.data = all->output_pause.data = all;
    *ret = all; /* from here on it is closed like a working one */
    int rc = listen_on_socket(all);
    if (rc != 0)
        return err_set(err, ERR_IO, "listening on %s: %s", GUARD_SOCKET, uv_strerror(rc));
    return ERR_OK;
}

bool guard_followers_finish(struct guard_followers *all)
{
    all->is_finishing = true;
    if (!uv_is_closing((uv_handle_t *)&all->listener))
        uv_close((uv_handle_t *)&all->listener, NULL); /* removes the socket's name, too */
    tell_all(all);
    return all->n == 0;
}

void guard_followers_close(struct guard_followers *all)
{
    while (all->first != NULL)
        drop(all->first);
    if (!uv_is_closing((uv_handle_t *)&all->listener))
        uv_close((uv_handle_t *)&all->listener, NULL);
    uv_close((uv_handle_t *)&all->output_pause, NULL);
}

void guard_followers_free(struct guard_followers *all)
{
    mem_free(all);
}
