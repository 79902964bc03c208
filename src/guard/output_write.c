#include "guard/output.h"

#include "base/io.h"
#include "base/mem.h"
#include "guard/output_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_MAX = 16 * 1024,             /* bytes written at once */
    RECORDS_MAX = PIECE_MAX / 256 + 2, /* that a piece can need: one in RUN_MAX lines, and the first */
    LINE_MAX_IN_PART = 1024 * 1024,
};

/* Bytes that are in no file, to be told about in the stream's next line. */
struct missing {
    uint64_t bytes;
    uint64_t lines;
    const char *why;
};

struct stream {
    int fd;
    uint64_t size; /* of the file */
    uint64_t bytes_before;
    uint64_t lines_before;
    /* The open line, the one without a newline yet. When its part was rotated away meanwhile it is
     * finished there, through old_fd. */
    bool mid_line;
    uint64_t line_len;
    int old_fd;
    struct missing missing;
};

struct output_writer {
    int dir_fd;
    uint64_t part_max;
    struct stream streams[OUTPUT_STREAMS];
    int index_fd; /* -1: the part could not be made yet */
    uint64_t index_size;
    uint32_t lines[OUTPUT_STREAMS]; /* begun in this part */
    enum output_stream last;        /* of the last record */
    unsigned run;                   /* lines since it; 0: there is none */
    struct output_record pending[RECORDS_MAX];
    size_t n_pending;
    uint64_t bytes_received;
};

/* --- parts -------------------------------------------------------------------------------------- */

static uint64_t part_size(const struct output_writer *w)
{
    return w->streams[0].size + w->streams[1].size + w->index_size;
}

static int create(const struct output_writer *w, const char *name)
{
    return openat(w->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void close_part(struct output_writer *w)
{
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        io_closep(&w->streams[s].fd);
    io_closep(&w->index_fd);
}

static enum err_code write_header(struct output_writer *w, struct err *err)
{
    struct output_index_header h = {.magic = OUTPUT_INDEX_MAGIC};
    for (int s = 0; s < OUTPUT_STREAMS; s++) {
        h.lines_before[s] = htole64(w->streams[s].lines_before);
        h.bytes_before[s] = htole64(w->streams[s].bytes_before);
    }
    return io_write_all(w->index_fd, &h, sizeof h, err);
}

/* Under its name the index is never without its header: readers may come at any moment. */
static enum err_code create_index(struct output_writer *w, struct err *err)
{
    w->index_size = sizeof(struct output_index_header);
    w->index_fd = create(w, OUTPUT_INDEX_NAME ".new");
    if (w->index_fd < 0)
        return err_sys(err, errno, "creating %s", OUTPUT_INDEX_NAME);
    enum err_code rc = write_header(w, err);
    if (rc == ERR_OK && renameat(w->dir_fd, OUTPUT_INDEX_NAME ".new", w->dir_fd, OUTPUT_INDEX_NAME) != 0)
        rc = err_sys(err, errno, "naming %s", OUTPUT_INDEX_NAME);
    return rc;
}

/* The three files of a new, empty part; on failure there is none of it. */
static enum err_code create_part(struct output_writer *w, struct err *err)
{
    enum err_code rc = ERR_OK;
    for (int s = 0; s < OUTPUT_STREAMS; s++) {
        w->streams[s].fd = create(w, output_log_names[s]);
        w->streams[s].size = 0;
        w->lines[s] = 0;
        if (w->streams[s].fd < 0)
            rc = err_sys(err, errno, "creating %s", output_log_names[s]);
    }
    w->run = 0;
    if (rc == ERR_OK)
        rc = create_index(w, err);
    if (rc != ERR_OK)
        close_part(w);
    return rc;
}

/* True when the file is out of the way (it may have gone in an attempt before). */
static bool make_older(struct output_writer *w, const char *name, const char *older)
{
    return renameat(w->dir_fd, name, w->dir_fd, older) == 0 || errno == ENOENT;
}

/* The open line of a stream is finished in the part that is rotated now, unless it began in the one
 * before, which is removed: then its rest becomes a line of its own. */
static void leave_part(struct stream *s, uint32_t lines)
{
    s->bytes_before += s->size;
    s->lines_before += lines;
    if (s->old_fd >= 0) {
        io_closep(&s->old_fd);
        s->mid_line = false;
    } else if (s->mid_line) {
        s->old_fd = s->fd;
        s->fd = -1;
    }
}

static bool flush_records(struct output_writer *w)
{
    const char *from = (const char *)w->pending;
    size_t n = w->n_pending * sizeof w->pending[0];
    size_t done = 0;
    while (done < n) {
        ssize_t k = pwrite(w->index_fd, from + done, n - done, (off_t)(w->index_size + done));
        if (k <= 0 && errno != EINTR)
            return false; /* all of them again next time: the same bytes in the same place */
        if (k > 0)
            done += (size_t)k;
    }
    w->index_size += n;
    w->n_pending = 0;
    return true;
}

/* False when the disk refuses it: then the present part goes on. */
static bool rotate(struct output_writer *w)
{
    if (!flush_records(w))
        return false;
    (void)unlinkat(w->dir_fd, OUTPUT_INDEX_NAME OUTPUT_OLDER, 0); /* the renames replace its data */
    if (!make_older(w, "stdout.log", "stdout.log" OUTPUT_OLDER) ||
        !make_older(w, "stderr.log", "stderr.log" OUTPUT_OLDER) ||
        !make_older(w, OUTPUT_INDEX_NAME, OUTPUT_INDEX_NAME OUTPUT_OLDER))
        return false;
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        leave_part(&w->streams[s], w->lines[s]);
    close_part(w);
    (void)create_part(w, NULL); /* tried again with the next output */
    return true;
}

/* --- the index ---------------------------------------------------------------------------------- */

static void begin_line(struct output_writer *w, enum output_stream stream, uint64_t offset)
{
    if (w->run == 0 || w->last != stream || w->run >= OUTPUT_RUN_MAX) {
        w->pending[w->n_pending++] = output_record_pack(w->lines, stream, offset);
        w->last = stream;
        w->run = 0;
    }
    w->run++;
    w->lines[stream]++;
    w->streams[stream].line_len = 0;
}

/* Notes the lines in bytes that were just written at `offset`. */
static void note_lines(struct output_writer *w, enum output_stream stream, const char *bytes, size_t n,
                       uint64_t offset)
{
    struct stream *s = &w->streams[stream];
    for (size_t at = 0; at < n;) {
        if (!s->mid_line)
            begin_line(w, stream, offset + at);
        const char *newline = memchr(bytes + at, '\n', n - at);
        size_t end = newline != NULL ? (size_t)(newline - bytes) + 1 : n;
        s->line_len += end - at;
        s->mid_line = newline == NULL;
        at = end;
    }
}

/* --- writing ------------------------------------------------------------------------------------ */

/* How many of the bytes are written; fewer than n when the disk refuses them, with errno. */
static size_t write_bytes(int fd, const char *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t k = write(fd, bytes + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            break;
        done += (size_t)k;
    }
    return done;
}

static bool is_line_too_long(const struct output_writer *w, const struct stream *s)
{
    uint64_t most = w->part_max / 4;
    return s->line_len >= (most < LINE_MAX_IN_PART ? most : LINE_MAX_IN_PART);
}

/* Finishes the open line in the older part; returns the bytes used, *refused those the disk did not
 * take. */
static size_t write_old(struct output_writer *w, struct stream *s, const char *bytes, size_t n,
                        size_t *refused)
{
    const char *newline = memchr(bytes, '\n', n);
    size_t use = newline != NULL ? (size_t)(newline - bytes) + 1 : n;
    size_t done = write_bytes(s->old_fd, bytes, use);
    *refused = use - done;
    s->line_len += use;
    if (newline != NULL || is_line_too_long(w, s)) {
        io_closep(&s->old_fd);
        s->mid_line = false;
    }
    return use;
}

/* How many bytes may go into this part: up to the end of the line that crosses its limit. */
static size_t piece_length(const struct output_writer *w, const char *bytes, size_t n)
{
    if (n > PIECE_MAX)
        n = PIECE_MAX;
    uint64_t size = part_size(w);
    uint64_t room = w->part_max > size ? w->part_max - size : 0;
    if (n <= room)
        return n;
    size_t from = room > 0 ? (size_t)room - 1 : 0;
    const char *newline = memchr(bytes + from, '\n', n - from);
    return newline != NULL ? (size_t)(newline - bytes) + 1 : n;
}

static bool is_rotation_due(const struct output_writer *w, const struct stream *s)
{
    bool is_full = part_size(w) >= w->part_max || w->lines[0] > UINT32_MAX - PIECE_MAX ||
                   w->lines[1] > UINT32_MAX - PIECE_MAX;
    return is_full && w->run > 0 && (!s->mid_line || is_line_too_long(w, s));
}

/* Returns the bytes used, *refused those among them that the disk did not take. */
static size_t write_new(struct output_writer *w, enum output_stream stream, const char *bytes, size_t n,
                        size_t *refused)
{
    struct stream *s = &w->streams[stream];
    if (is_rotation_due(w, s)) {
        bool was_mid_line = s->mid_line;
        s->mid_line = false; /* a line too long is cut here */
        if (!rotate(w))
            s->mid_line = was_mid_line;
    }
    *refused = n;
    if ((w->index_fd < 0 && create_part(w, NULL) != ERR_OK) || !flush_records(w))
        return n;
    size_t use = piece_length(w, bytes, n);
    size_t done = write_bytes(s->fd, bytes, use);
    *refused = use - done;
    note_lines(w, stream, bytes, done, s->size);
    s->size += done;
    (void)flush_records(w); /* tried again before the next bytes */
    return use;
}

static uint64_t count_newlines(const char *bytes, size_t n)
{
    uint64_t lines = 0;
    for (const char *p = bytes; (p = memchr(p, '\n', n - (size_t)(p - bytes))) != NULL; p++)
        lines++;
    return lines;
}

static void add_missing(struct stream *s, uint64_t bytes, uint64_t lines, const char *why)
{
    s->missing.bytes += bytes;
    s->missing.lines += lines;
    s->missing.why = why;
}

/* Writes as much as the disk takes; from the first refusal on all is missing. */
static void put(struct output_writer *w, enum output_stream stream, const char *bytes, size_t n)
{
    struct stream *s = &w->streams[stream];
    while (n > 0) {
        size_t refused = 0;
        errno = 0;
        size_t used =
            s->old_fd >= 0 ? write_old(w, s, bytes, n, &refused) : write_new(w, stream, bytes, n, &refused);
        if (refused > 0) {
            refused += n - used;
            add_missing(s, refused, count_newlines(bytes + n - refused, refused), strerrordesc_np(errno));
            return;
        }
        bytes += used;
        n -= used;
    }
}

/* True when nothing is missing any more: a line in the stream's place tells what was. */
static bool put_marker(struct output_writer *w, enum output_stream stream)
{
    struct stream *s = &w->streams[stream];
    struct missing m = s->missing;
    if (m.bytes == 0)
        return true;
    char text[300];
    int n = snprintf(text, sizeof text, "%s[hearth: %llu bytes (%llu lines) of %s are missing here: %s]\n",
                     s->mid_line ? "\n" : "", (unsigned long long)m.bytes, (unsigned long long)m.lines,
                     stream == OUTPUT_STDOUT ? "standard output" : "standard error",
                     m.why != NULL ? m.why : "the disk refused them");
    s->missing = (struct missing){0};
    put(w, stream, text, (size_t)n);
    if (s->missing.bytes == 0)
        return true;
    s->missing = m; /* the marker is no output: it does not count as missing itself */
    return false;
}

void output_write(struct output_writer *w, enum output_stream stream, const char *bytes, size_t n)
{
    w->bytes_received += n;
    if (!put_marker(w, OUTPUT_STDOUT) || !put_marker(w, OUTPUT_STDERR))
        add_missing(&w->streams[stream], n, count_newlines(bytes, n), w->streams[stream].missing.why);
    else
        put(w, stream, bytes, n);
}

void output_write_missing(struct output_writer *w, enum output_stream stream, uint64_t bytes, uint64_t lines)
{
    w->bytes_received += bytes;
    add_missing(&w->streams[stream], bytes, lines, "the disk was too slow for the driver's output");
    (void)put_marker(w, stream); /* tried again with the next output */
}

/* --- life --------------------------------------------------------------------------------------- */

static void remove_older(struct output_writer *w)
{
    (void)unlinkat(w->dir_fd, OUTPUT_INDEX_NAME OUTPUT_OLDER, 0); /* most often there is none */
    (void)unlinkat(w->dir_fd, "stdout.log" OUTPUT_OLDER, 0);
    (void)unlinkat(w->dir_fd, "stderr.log" OUTPUT_OLDER, 0);
}

enum err_code output_writer_open(const char *dir, uint64_t size_cap, struct output_writer **ret,
                                 struct err *err)
{
    struct output_writer *w = mem_calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    w->part_max = size_cap / 2;
    w->index_fd = -1;
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        w->streams[s].fd = w->streams[s].old_fd = -1;
    w->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    enum err_code rc = w->dir_fd < 0 ? err_sys(err, errno, "opening folder %s", dir) : ERR_OK;
    if (rc == ERR_OK) {
        remove_older(w);
        rc = create_part(w, err);
    }
    if (rc != ERR_OK) {
        output_writer_close(w);
        return rc;
    }
    *ret = w;
    return ERR_OK;
}

void output_writer_close(struct output_writer *w)
{
    if (w == NULL)
        return;
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        (void)put_marker(w, s); /* the last chance to tell */
    if (w->index_fd >= 0)
        (void)flush_records(w);
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        io_closep(&w->streams[s].old_fd);
    close_part(w);
    io_closep(&w->dir_fd);
    mem_free(w);
}

void output_writer_counts(const struct output_writer *w, uint64_t *ret_lines, uint64_t *ret_bytes)
{
    *ret_lines = 0;
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        *ret_lines += w->streams[s].lines_before + w->lines[s];
    *ret_bytes = w->bytes_received;
}
