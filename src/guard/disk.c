#include "guard/disk.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "guard/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    QUEUE_MAX = 4 * 1024 * 1024, /* bytes of output that may wait */
    CHUNK_MIN = 512,
    EVENTS_MAX = 256 * 1024, /* bytes of journal lines that may wait */
    RESERVE = 16 * 1024,     /* of the disk, for the journal: a full disk must not hide how a driver ended */
    FULL_DISK_WAIT_MS = 500,
};

struct chunk {
    struct chunk *next;
    enum output_stream stream;
    size_t len, size;
    char bytes[];
};

struct missing {
    uint64_t bytes, lines;
};

struct guard_disk {
    int journal_fd;
    struct output_writer *output; /* the thread's while it runs */
    uv_async_t *progress;
    uv_thread_t thread;
    bool has_thread;

    uv_mutex_t lock; /* all below */
    uv_cond_t work;
    struct chunk *head, *tail;
    size_t queued;
    bool behind;
    struct missing missing[OUTPUT_STREAMS]; /* dropped from the front of the queue */
    struct buf events;
    struct buf last; /* the line that ends it all */
    bool finishing;
    struct guard_disk_progress done;
};

/* --- the journal -------------------------------------------------------------------------------- */

/* The size up to the last newline; what is behind it was never acted on. */
static enum err_code whole_lines(int fd, uint64_t *ret, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(GUARD_JOURNAL_MAX);
    enum err_code rc = io_read_file(GUARD_JOURNAL, &text, err);
    if (rc != ERR_OK)
        return rc;
    const char *newline = text.len > 0 ? memrchr(text.data, '\n', text.len) : NULL;
    *ret = newline != NULL ? (uint64_t)(newline - text.data) + 1 : 0;
    if (*ret < text.len && ftruncate(fd, (off_t)*ret) != 0)
        return err_sys(err, errno, "cutting the journal's torn last line");
    return ERR_OK;
}

/* Appends and flushes. On failure the journal is as before. */
static enum err_code append(struct guard_disk *d, const char *text, size_t n, struct err *err)
{
    enum err_code rc = io_write_all(d->journal_fd, text, n, err);
    if (rc == ERR_OK && fdatasync(d->journal_fd) != 0)
        rc = err_sys(err, errno, "flushing");
    if (rc != ERR_OK) {
        (void)!ftruncate(d->journal_fd, (off_t)d->done.journal_size); /* else readers pass half a line over */
        return err_wrap(err, "journal");
    }
    return ERR_OK;
}

enum err_code guard_disk_journal_now(struct guard_disk *d, const char *line, size_t n, struct err *err)
{
    enum err_code rc = append(d, line, n, err);
    if (rc == ERR_OK)
        d->done.journal_size += n;
    return rc;
}

int guard_disk_journal_fd(const struct guard_disk *d)
{
    return d->journal_fd;
}

/* --- the thread --------------------------------------------------------------------------------- */

/* Does not give up: as long as the disk is full the event did not happen for anybody else. */
static void append_patiently(struct guard_disk *d, const struct buf *lines)
{
    if (lines->len == 0)
        return;
    while (append(d, lines->data, lines->len, NULL) != ERR_OK)
        (void)usleep(FULL_DISK_WAIT_MS * 1000);
}

static void write_chunk(struct guard_disk *d, const struct missing missing[OUTPUT_STREAMS], struct chunk *c)
{
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        if (missing[s].bytes > 0)
            output_write_missing(d->output, s, missing[s].bytes, missing[s].lines);
    if (c != NULL)
        output_write(d->output, c->stream, c->bytes, c->len);
    mem_free(c);
}

static struct chunk *take_chunk(struct guard_disk *d)
{
    struct chunk *c = d->head;
    if (c == NULL)
        return NULL;
    d->head = c->next;
    if (d->head == NULL)
        d->tail = NULL;
    d->queued -= sizeof *c + c->size;
    if (d->queued < QUEUE_MAX / 2)
        d->behind = false;
    return c;
}

/* One turn: what waits is taken with the lock held and written without it. False at the end. */
static bool write_some(struct guard_disk *d)
{
    struct missing missing[OUTPUT_STREAMS];
    uv_mutex_lock(&d->lock);
    while (d->events.len == 0 && d->head == NULL && !d->finishing)
        uv_cond_wait(&d->work, &d->lock);
    cleanup(buf_clear) struct buf events = d->events;
    buf_init(&d->events, EVENTS_MAX);
    memcpy(missing, d->missing, sizeof missing);
    memset(d->missing, 0, sizeof d->missing);
    struct chunk *chunk = take_chunk(d);
    bool more = chunk != NULL || events.len > 0 || !d->finishing;
    uv_mutex_unlock(&d->lock);

    append_patiently(d, &events);
    write_chunk(d, missing, chunk);

    uv_mutex_lock(&d->lock);
    d->done.journal_size += events.len;
    output_writer_counts(d->output, &d->done.lines, &d->done.bytes);
    uv_mutex_unlock(&d->lock);
    (void)uv_async_send(d->progress); /* fails for a closed handle only, which outlives the thread */
    return more;
}

static void run(void *arg)
{
    struct guard_disk *d = arg;
    while (write_some(d))
        ;
    output_writer_close(d->output); /* a reader who is told of the end finds the whole log */
    d->output = NULL;
    append_patiently(d, &d->last);
    (void)!ftruncate(d->journal_fd, (off_t)(d->done.journal_size + d->last.len)); /* the reserve */
    uv_mutex_lock(&d->lock);
    d->done.journal_size += d->last.len;
    d->done.finished = true;
    uv_mutex_unlock(&d->lock);
    (void)uv_async_send(d->progress);
}

/* --- the loop's side ---------------------------------------------------------------------------- */

static void count_missing(struct guard_disk *d, enum output_stream stream, const char *bytes, size_t n)
{
    d->missing[stream].bytes += n;
    for (const char *p = bytes; (p = memchr(p, '\n', n - (size_t)(p - bytes))) != NULL; p++)
        d->missing[stream].lines++;
}

static void drop_oldest(struct guard_disk *d)
{
    struct chunk *c = take_chunk(d);
    count_missing(d, c->stream, c->bytes, c->len);
    mem_free(c);
}

static struct chunk *add_chunk(struct guard_disk *d, enum output_stream stream, size_t n)
{
    size_t size = n > CHUNK_MIN ? n : CHUNK_MIN;
    struct chunk *c = mem_alloc(sizeof *c + size);
    if (c == NULL)
        return NULL;
    *c = (struct chunk){.stream = stream, .size = size};
    if (d->tail != NULL)
        d->tail->next = c;
    else
        d->head = c;
    d->tail = c;
    d->queued += sizeof *c + size;
    return c;
}

void guard_disk_output(struct guard_disk *d, enum output_stream stream, const char *bytes, size_t n)
{
    uv_mutex_lock(&d->lock);
    struct chunk *c = d->tail;
    if (c == NULL || c->stream != stream || c->size - c->len < n)
        c = add_chunk(d, stream, n);
    if (c != NULL) {
        memcpy(c->bytes + c->len, bytes, n);
        c->len += n;
    } else {
        while (d->head != NULL) /* the marker stands in the right place only at the front */
            drop_oldest(d);
        count_missing(d, stream, bytes, n);
    }
    while (d->queued > QUEUE_MAX && d->head != d->tail)
        drop_oldest(d);
    if (d->queued > QUEUE_MAX / 4 * 3)
        d->behind = true;
    uv_cond_signal(&d->work);
    uv_mutex_unlock(&d->lock);
}

bool guard_disk_is_behind(struct guard_disk *d)
{
    uv_mutex_lock(&d->lock);
    bool behind = d->behind;
    uv_mutex_unlock(&d->lock);
    return behind;
}

void guard_disk_journal(struct guard_disk *d, const char *line, size_t n)
{
    uv_mutex_lock(&d->lock);
    buf_add(&d->events, line, n);
    d->events.failed = ERR_OK; /* a line that found no room is left out; those before it stay */
    uv_cond_signal(&d->work);
    uv_mutex_unlock(&d->lock);
}

void guard_disk_finish(struct guard_disk *d, const char *line, size_t n)
{
    uv_mutex_lock(&d->lock);
    buf_add(&d->last, line, n); /* room was made at the start */
    d->finishing = true;
    uv_cond_signal(&d->work);
    uv_mutex_unlock(&d->lock);
}

struct guard_disk_progress guard_disk_progress(struct guard_disk *d)
{
    uv_mutex_lock(&d->lock);
    struct guard_disk_progress done = d->done;
    uv_mutex_unlock(&d->lock);
    return done;
}

/* --- life --------------------------------------------------------------------------------------- */

static enum err_code open_journal(struct guard_disk *d, struct err *err)
{
    d->journal_fd = open(GUARD_JOURNAL, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (d->journal_fd < 0)
        return err_sys(err, errno, "opening the journal");
    (void)fallocate(d->journal_fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE); /* not every file system can */
    enum err_code rc = whole_lines(d->journal_fd, &d->done.journal_size, err);
    return rc == ERR_OK ? io_sync_dir(".", err) : rc;
}

enum err_code guard_disk_open(uint64_t log_size, struct guard_disk **ret, struct err *err)
{
    struct guard_disk *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    buf_init(&d->events, EVENTS_MAX);
    buf_init(&d->last, GUARD_LINE_MAX);
    (void)uv_mutex_init(&d->lock); /* these two fail only without memory, which abort() answers */
    (void)uv_cond_init(&d->work);
    enum err_code rc = open_journal(d, err);
    if (rc == ERR_OK)
        rc = output_writer_open(".", log_size, &d->output, err);
    if (rc == ERR_OK && buf_reserve(&d->last, GUARD_LINE_MAX - 1) == NULL)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != ERR_OK) {
        guard_disk_close(d);
        return rc;
    }
    *ret = d;
    return ERR_OK;
}

enum err_code guard_disk_start(struct guard_disk *d, uv_async_t *progress, struct err *err)
{
    d->progress = progress;
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = 256 * 1024};
    int rc = uv_thread_create_ex(&d->thread, &options, run, d);
    if (rc != 0)
        return err_set(err, ERR_BUSY, "starting a thread: %s", uv_strerror(rc));
    d->has_thread = true;
    return ERR_OK;
}

bool guard_disk_has_thread(const struct guard_disk *d)
{
    return d->has_thread;
}

void guard_disk_close(struct guard_disk *d)
{
    if (d == NULL)
        return;
    if (d->has_thread)
        (void)uv_thread_join(&d->thread); /* fails only for a thread that is none */
    output_writer_close(d->output);
    while (d->head != NULL)
        mem_free(take_chunk(d));
    buf_clear(&d->events);
    buf_clear(&d->last);
    uv_cond_destroy(&d->work);
    uv_mutex_destroy(&d->lock);
    io_closep(&d->journal_fd);
    mem_free(d);
}
