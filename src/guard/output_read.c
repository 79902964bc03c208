#include "guard/output.h"

#include "base/io.h"
#include "base/mem.h"
#include "guard/output_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A reader takes a snapshot: it opens the files of both parts, looks at the sizes of the data and
 * then at the index. What the writer adds afterwards is not part of it.
 *
 * A part is a sequence of runs. All but the last record's are known from two neighbouring records;
 * the last one goes on to the end of its data, and behind it come lines of the other stream that are
 * not in the index yet (`ends`).
 */

#define NUMBER_MAX (UINT64_C(1) << 60) /* no log ever had so many lines or bytes */

enum {
    WINDOW = 256,        /* records read at once */
    SOURCE_SIZE = 32768, /* data read at once */
    NAME_SIZE = 32,
    ENDS_MAX = 2,
    ATTEMPTS = 20, /* to open files between two rotations */
    LINE_MAX_READ = 1024 * 1024,
};

struct run {
    enum output_stream stream;
    uint64_t lines[OUTPUT_STREAMS]; /* of the part, before this run */
    uint64_t offset;
    uint64_t count;
    uint64_t end; /* data beyond it is not part of the snapshot */
};

struct part {
    int index_fd;
    bool is_damaged; /* the index; then all of stdout comes before all of stderr */
    int fd[OUTPUT_STREAMS];
    uint64_t before[OUTPUT_STREAMS];
    uint64_t bytes_before[OUTPUT_STREAMS];
    uint64_t size[OUTPUT_STREAMS];
    uint64_t lines[OUTPUT_STREAMS];
    uint64_t n_records;
    struct run ends[ENDS_MAX];
    unsigned n_ends;
    struct output_record window[WINDOW];
    uint64_t window_first, window_n;
};

/* The lines of one data file, one after the other. */
struct source {
    int fd;
    uint64_t offset; /* of at */
    size_t at, len;  /* in bytes */
    char bytes[SOURCE_SIZE];
};

struct reader {
    struct part parts[2]; /* the older one first; index_fd -1: absent */
    struct source sources[OUTPUT_STREAMS];
    struct buf line; /* a line that is in no single piece of a source */
    enum output_select select;
    bool (*on_line)(const struct output_line *line, void *arg);
    void *arg;
    bool stopped;
};

/* The number by which the selected lines are counted. */
static uint64_t selected(enum output_select select, const uint64_t lines[OUTPUT_STREAMS])
{
    switch (select) {
    case OUTPUT_ONLY_STDOUT: return lines[OUTPUT_STDOUT];
    case OUTPUT_ONLY_STDERR: return lines[OUTPUT_STDERR];
    case OUTPUT_MERGED: break;
    }
    return lines[0] + lines[1];
}

static bool is_selected(enum output_select select, enum output_stream stream)
{
    return select == OUTPUT_MERGED || (select == OUTPUT_ONLY_STDOUT) == (stream == OUTPUT_STDOUT);
}

/* --- data --------------------------------------------------------------------------------------- */

static void source_seek(struct source *s, int fd, uint64_t offset)
{
    if (s->fd == fd && offset >= s->offset && offset - s->offset <= s->len - s->at) {
        s->at += (size_t)(offset - s->offset);
    } else {
        s->fd = fd;
        s->at = s->len = 0;
    }
    s->offset = offset;
}

/* Bytes ready to be looked at, up to `end`; 0 at the end of the data. */
static size_t source_fill(struct source *s, uint64_t end)
{
    if (s->at == s->len) {
        ssize_t n = pread(s->fd, s->bytes, sizeof s->bytes, (off_t)s->offset);
        s->at = 0;
        s->len = n > 0 ? (size_t)n : 0; /* a disk that fails here looks like one that ends here */
    }
    uint64_t room = end > s->offset ? end - s->offset : 0;
    size_t n = s->len - s->at;
    return n < room ? n : (size_t)room;
}

static void source_skip(struct source *s, size_t n)
{
    s->at += n;
    s->offset += n;
}

struct piece {
    const char *text;
    size_t len;
    bool complete;
};

static void add_cut(struct buf *line, const char *text, size_t n)
{
    size_t room = line->limit - line->len;
    buf_add(line, text, n < room ? n : room);
}

/* The next line; false when there is none. `line` NULL: its text is not needed. */
static bool source_line(struct source *s, uint64_t end, struct buf *line, struct piece *ret)
{
    bool any = false;
    size_t n;
    if (line != NULL)
        buf_reset(line);
    while ((n = source_fill(s, end)) > 0) {
        const char *from = s->bytes + s->at;
        const char *newline = memchr(from, '\n', n);
        size_t len = newline != NULL ? (size_t)(newline - from) : n;
        source_skip(s, newline != NULL ? len + 1 : len);
        if (newline != NULL && !any) {
            *ret = (struct piece){from, len, true};
            return true;
        }
        any = true;
        if (line != NULL)
            add_cut(line, from, len);
        if (newline != NULL)
            break;
    }
    if (line != NULL)
        *ret = (struct piece){buf_cstr(line), line->len, n > 0};
    return any;
}

static uint64_t skip_lines(struct source *s, uint64_t count, uint64_t end)
{
    struct piece ignored;
    uint64_t n = 0;
    while (n < count && source_line(s, end, NULL, &ignored))
        n++;
    return n;
}

/* --- runs --------------------------------------------------------------------------------------- */

static bool load_window(struct part *p, uint64_t i)
{
    if (i >= p->window_first && i - p->window_first < p->window_n)
        return true;
    off_t at = (off_t)(sizeof(struct output_index_header) + i * sizeof(struct output_record));
    ssize_t n = pread(p->index_fd, p->window, sizeof p->window, at);
    p->window_first = i;
    p->window_n = n > 0 ? (uint64_t)n / sizeof(struct output_record) : 0;
    return p->window_n > 0;
}

/* Record i as the beginning of a run; its count is not known from it alone. */
static struct run record_at(struct part *p, uint64_t i)
{
    if (!load_window(p, i))
        return (struct run){0};
    struct output_record r = p->window[i - p->window_first];
    uint64_t where = le64toh(r.where);
    return (struct run){
        .stream = (where & OUTPUT_WHERE_STDERR) != 0 ? OUTPUT_STDERR : OUTPUT_STDOUT,
        .lines = {le32toh(r.lines[0]), le32toh(r.lines[1])},
        .offset = where & ~OUTPUT_WHERE_STDERR,
        .end = UINT64_MAX,
    };
}

static uint64_t n_runs(const struct part *p)
{
    return (p->n_records > 0 ? p->n_records - 1 : 0) + p->n_ends;
}

static struct run run_at(struct part *p, uint64_t i)
{
    if (i + 1 >= p->n_records)
        return p->ends[p->n_records > 0 ? i + 1 - p->n_records : i];
    struct run run = record_at(p, i);
    struct run next = record_at(p, i + 1);
    uint64_t from = run.lines[run.stream];
    uint64_t to = next.lines[run.stream];
    run.count = to > from ? to - from : 0;
    if (run.count > OUTPUT_RUN_MAX) /* a damaged index does not make a reader go on for ever */
        run.count = OUTPUT_RUN_MAX;
    return run;
}

/* The last run that begins at or before selected line n of the part. Lines of the other stream do
 * not count, so that it is the run that holds the line, if any does. */
static uint64_t find_run(struct part *p, enum output_select select, uint64_t n)
{
    uint64_t low = 0;
    uint64_t high = n_runs(p);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        struct run run = run_at(p, middle);
        if (selected(select, run.lines) <= n)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* --- a part ------------------------------------------------------------------------------------- */

static void add_end(struct reader *r, struct part *p, enum output_stream stream, uint64_t offset)
{
    struct run run = {.stream = stream, .offset = offset, .end = p->size[stream]};
    run.lines[0] = p->lines[0];
    run.lines[1] = p->lines[1];
    source_seek(&r->sources[stream], p->fd[stream], offset);
    run.count = skip_lines(&r->sources[stream], UINT64_MAX, run.end);
    if (run.count == 0)
        return;
    p->lines[stream] += run.count;
    p->ends[p->n_ends++] = run;
}

/* Where the data of a stream ends that the index knows. */
static uint64_t indexed_end(struct reader *r, struct part *p, enum output_stream stream)
{
    if (p->lines[stream] == 0)
        return 0;
    enum output_select select = stream == OUTPUT_STDOUT ? OUTPUT_ONLY_STDOUT : OUTPUT_ONLY_STDERR;
    struct run run = run_at(p, find_run(p, select, p->lines[stream] - 1));
    struct source *s = &r->sources[stream];
    source_seek(s, p->fd[stream], run.offset);
    (void)skip_lines(s, run.count, UINT64_MAX);
    return s->offset;
}

/* Finds the ends of a part, and with them the number of its lines. */
static void measure_part(struct reader *r, struct part *p)
{
    struct run last = {0};
    for (; p->n_records > 0; p->n_records--) {
        last = record_at(p, p->n_records - 1);
        if (last.offset < p->size[last.stream])
            break; /* others are newer than the snapshot */
    }
    if (p->n_records == 0) {
        add_end(r, p, OUTPUT_STDOUT, 0);
        add_end(r, p, OUTPUT_STDERR, 0);
        return;
    }
    p->lines[0] = last.lines[0];
    p->lines[1] = last.lines[1];
    enum output_stream other = last.stream == OUTPUT_STDOUT ? OUTPUT_STDERR : OUTPUT_STDOUT;
    add_end(r, p, last.stream, last.offset);
    add_end(r, p, other, indexed_end(r, p, other));
}

static uint64_t size_of(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int open_in(int dir_fd, const char *name, const char *suffix)
{
    char whole[NAME_SIZE];
    (void)snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return openat(dir_fd, whole, O_RDONLY | O_CLOEXEC);
}

static void close_part(struct part *p)
{
    io_closep(&p->index_fd);
    for (int s = 0; s < OUTPUT_STREAMS; s++)
        io_closep(&p->fd[s]);
    *p = (struct part){.index_fd = -1, .fd = {-1, -1}};
}

/* To be called when the sizes of the data are known: the writer writes the header first, so where there is
 * data and no header it is lost, not late. */
static void read_header(struct part *p)
{
    struct output_index_header h;
    if (p->index_fd < 0)
        return;
    p->is_damaged = pread(p->index_fd, &h, sizeof h, 0) != sizeof h ||
                    memcmp(h.magic, OUTPUT_INDEX_MAGIC, sizeof h.magic) != 0;
    if (p->is_damaged)
        return;
    for (int s = 0; s < OUTPUT_STREAMS; s++) {
        p->before[s] = le64toh(h.lines_before[s]);
        p->bytes_before[s] = le64toh(h.bytes_before[s]);
        p->is_damaged |= p->before[s] > NUMBER_MAX || p->bytes_before[s] > NUMBER_MAX;
    }
    if (p->is_damaged)
        p->before[0] = p->before[1] = p->bytes_before[0] = p->bytes_before[1] = 0;
}

/* True while the name belongs to the file that was opened, or to none when none was there. */
static bool is_still(int dir_fd, const char *name, const char *suffix, int fd)
{
    struct stat opened;
    struct stat named;
    char whole[NAME_SIZE];
    (void)snprintf(whole, sizeof whole, "%s%s", name, suffix);
    bool is_there = fstatat(dir_fd, whole, &named, 0) == 0;
    if (fd < 0 || !is_there)
        return fd < 0 && !is_there;
    return fstat(fd, &opened) == 0 && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

/* False when a rotation came in between. */
static bool open_parts(struct reader *r, int dir_fd)
{
    struct part *older = &r->parts[0];
    struct part *now = &r->parts[1];
    close_part(older);
    close_part(now);
    now->index_fd = open_in(dir_fd, OUTPUT_INDEX_NAME, "");
    older->index_fd = open_in(dir_fd, OUTPUT_INDEX_NAME, OUTPUT_OLDER);
    bool still = true;
    for (int s = 0; s < OUTPUT_STREAMS; s++) {
        now->fd[s] = open_in(dir_fd, output_log_names[s], "");
        older->fd[s] = open_in(dir_fd, output_log_names[s], OUTPUT_OLDER);
        still = still && is_still(dir_fd, output_log_names[s], "", now->fd[s]) &&
                is_still(dir_fd, output_log_names[s], OUTPUT_OLDER, older->fd[s]);
        if (now->fd[s] < 0 && older->index_fd < 0) { /* killed in a rotation */
            now->fd[s] = older->fd[s];
            older->fd[s] = -1;
        }
    }
    return still && is_still(dir_fd, OUTPUT_INDEX_NAME, "", now->index_fd) &&
           is_still(dir_fd, OUTPUT_INDEX_NAME, OUTPUT_OLDER, older->index_fd);
}

/* The new part goes on where the older one ends: where the header of the new one is lost, that gives
 * its numbers; where the two disagree the newer one is right. */
static void join_parts(struct reader *r)
{
    struct part *older = &r->parts[0];
    struct part *now = &r->parts[1];
    for (int s = 0; now->index_fd >= 0 && older->index_fd >= 0 && s < OUTPUT_STREAMS; s++) {
        if (now->is_damaged)
            now->before[s] = older->before[s] + older->lines[s];
        if (older->before[s] > now->before[s])
            close_part(older);
        else if (older->lines[s] > now->before[s] - older->before[s])
            older->lines[s] = now->before[s] - older->before[s];
    }
}

static void measure_parts(struct reader *r)
{
    for (int i = 0; i < 2; i++)
        for (int s = 0; s < OUTPUT_STREAMS; s++)
            r->parts[i].size[s] = size_of(r->parts[i].fd[s]);
    for (int i = 0; i < 2; i++) {
        struct part *p = &r->parts[i];
        read_header(p);
        uint64_t size = size_of(p->index_fd);
        uint64_t header = sizeof(struct output_index_header);
        p->n_records = size > header && !p->is_damaged ? (size - header) / sizeof(struct output_record) : 0;
        if (p->index_fd >= 0)
            measure_part(r, p);
    }
    join_parts(r);
}

/* --- reading ------------------------------------------------------------------------------------ */

static void reader_free(struct reader *r)
{
    close_part(&r->parts[0]);
    close_part(&r->parts[1]);
    buf_clear(&r->line);
    mem_free(r);
}

static void reader_freep(struct reader **r)
{
    if (*r != NULL)
        reader_free(*r);
}

/* *ret stays NULL when there is no folder. */
static enum err_code reader_open(const char *dir, struct reader **ret, struct err *err)
{
    cleanup(io_closep) int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 && errno == ENOENT)
        return ERR_OK; /* an application that has not begun has no output yet */
    if (dir_fd < 0)
        return err_sys(err, errno, "opening folder %s", dir);
    struct reader *r = mem_calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    buf_init(&r->line, LINE_MAX_READ);
    r->parts[0] = r->parts[1] = (struct part){.index_fd = -1, .fd = {-1, -1}};
    r->sources[0].fd = r->sources[1].fd = -1;
    for (int i = 0; i < ATTEMPTS && !open_parts(r, dir_fd); i++)
        ; /* after that many, what is there is read */
    measure_parts(r);
    *ret = r;
    return ERR_OK;
}

static void tell(struct reader *r, uint64_t number, enum output_stream stream, struct piece text)
{
    struct output_line line = {number, stream, text.text, text.len, text.complete};
    r->stopped = !r->on_line(&line, r->arg);
}

/* Tells lines from..to of the run, counted from its beginning; `number` is that of the first. */
static enum err_code tell_run(struct reader *r, struct part *p, const struct run *run, uint64_t from,
                              uint64_t to, uint64_t number, struct err *err)
{
    struct source *s = &r->sources[run->stream];
    source_seek(s, p->fd[run->stream], run->offset);
    (void)skip_lines(s, from, run->end);
    for (uint64_t i = from; i < to && !r->stopped; i++) {
        struct piece text;
        if (!source_line(s, run->end, &r->line, &text))
            text = (struct piece){"", 0, false}; /* the index survived a crash that the data did not */
        if (r->line.failed != ERR_OK)
            return buf_check(&r->line, err);
        tell(r, number++, run->stream, text);
    }
    return ERR_OK;
}

/* Tells the selected lines from..to of a part, counted from its beginning. */
static enum err_code tell_part(struct reader *r, struct part *p, uint64_t from, uint64_t to, struct err *err)
{
    uint64_t before = selected(r->select, p->before);
    uint64_t n = n_runs(p);
    for (uint64_t i = find_run(p, r->select, from); i < n && from < to && !r->stopped; i++) {
        struct run run = run_at(p, i);
        uint64_t first = selected(r->select, run.lines);
        if (!is_selected(r->select, run.stream) || from < first || from - first >= run.count)
            continue;
        uint64_t end = to - first < run.count ? to - first : run.count;
        enum err_code rc = tell_run(r, p, &run, from - first, end, before + from, err);
        if (rc != ERR_OK)
            return rc;
        from = first + end;
    }
    return ERR_OK;
}

/* In the place of lines that were dropped to stay within the size cap. */
static void tell_dropped(struct reader *r, const struct part *oldest)
{
    char text[200];
    uint64_t lines = selected(r->select, oldest->before);
    uint64_t bytes = selected(r->select, oldest->bytes_before);
    int n = snprintf(text, sizeof text,
                     "[hearth: the first %llu lines (%llu bytes) were dropped; a larger driver.log_size "
                     "would keep them]",
                     (unsigned long long)lines, (unsigned long long)bytes);
    enum output_stream stream = r->select == OUTPUT_ONLY_STDOUT ? OUTPUT_STDOUT : OUTPUT_STDERR;
    tell(r, lines - 1, stream, (struct piece){text, (size_t)n, true});
}

static enum err_code tell_range(struct reader *r, uint64_t first, uint64_t end, struct err *err)
{
    bool is_oldest = true;
    enum err_code rc = ERR_OK;
    for (int i = 0; i < 2 && rc == ERR_OK && !r->stopped; i++) {
        struct part *p = &r->parts[i];
        if (p->index_fd < 0)
            continue;
        uint64_t before = selected(r->select, p->before);
        uint64_t n = selected(r->select, p->lines);
        if (is_oldest && first < before && first < end)
            tell_dropped(r, p);
        is_oldest = false;
        uint64_t from = first > before ? first - before : 0;
        uint64_t to = end > before ? end - before : 0;
        if (!r->stopped && from < n)
            rc = tell_part(r, p, from, to < n ? to : n, err);
    }
    return rc;
}

static uint64_t total_lines(const struct reader *r)
{
    const struct part *last = &r->parts[r->parts[1].index_fd >= 0 ? 1 : 0];
    return selected(r->select, last->before) + selected(r->select, last->lines);
}

/* A reader of the selected lines that knows their number; *ret stays NULL when there is no folder. */
static enum err_code select_lines(const char *dir, enum output_select select,
                                  bool (*on_line)(const struct output_line *line, void *arg), void *arg,
                                  struct reader **ret, uint64_t *ret_total, struct err *err)
{
    enum err_code rc = reader_open(dir, ret, err);
    struct reader *r = *ret;
    *ret_total = 0;
    if (rc != ERR_OK || r == NULL)
        return rc;
    r->select = select;
    r->on_line = on_line;
    r->arg = arg;
    *ret_total = total_lines(r);
    return ERR_OK;
}

enum err_code output_read(const char *dir, enum output_select select, uint64_t first, uint64_t count,
                          bool (*on_line)(const struct output_line *line, void *arg), void *arg,
                          uint64_t *ret_total, struct err *err)
{
    cleanup(reader_freep) struct reader *r = NULL;
    enum err_code rc = select_lines(dir, select, on_line, arg, &r, ret_total, err);
    if (rc != ERR_OK || r == NULL)
        return rc;
    return tell_range(r, first, count > UINT64_MAX - first ? UINT64_MAX : first + count, err);
}

enum err_code output_read_tail(const char *dir, enum output_select select, uint64_t count,
                               bool (*on_line)(const struct output_line *line, void *arg), void *arg,
                               uint64_t *ret_total, struct err *err)
{
    cleanup(reader_freep) struct reader *r = NULL;
    enum err_code rc = select_lines(dir, select, on_line, arg, &r, ret_total, err);
    if (rc != ERR_OK || r == NULL)
        return rc;
    return tell_range(r, *ret_total > count ? *ret_total - count : 0, UINT64_MAX, err);
}
