/* Bodies that go to disk: what is kept, what is refused, and that nothing stays behind. */
#include "http_world.h"

#include "base/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { UPLOAD_LIMIT = 4 << 20, BODY_MAX = UPLOAD_LIMIT + 64 * 1024, CONTENT_MAX = 128 };

/* What the handler and the filter of this file have seen. */
struct seen {
    char dir[64];
    char parts[2048];    /* "name|file name|size|mode|content;" of each that was asked for */
    struct buf content;  /* of the part "file", up to UPLOAD_LIMIT */
    const char *keep_as; /* when set, the part "file" is renamed to it */
    enum { OPEN, CLOSED, ASK } door;
    struct http_request *asking;
    unsigned n_asked;
};

static const char *in_dir(const struct seen *seen, const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", seen->dir, name);
    return path;
}

static void note_part(struct seen *seen, const struct http_request *r, const char *name)
{
    const struct http_upload *part = http_upload_part(r, name);
    if (part == NULL)
        return;
    struct stat st;
    cleanup(buf_clear) struct buf content = BUF(UPLOAD_LIMIT);
    assert_int_equal(stat(part->path, &st), 0);
    assert_int_equal(st.st_size, part->size);
    assert_int_equal(io_read_file(part->path, &content, NULL), ERR_OK);
    size_t used = strlen(seen->parts);
    (void)snprintf(seen->parts + used, sizeof seen->parts - used, "%s|%s|%ld|%03o|%.*s;", part->part,
                   part->file_name != NULL ? part->file_name : "-", (long)part->size,
                   (unsigned)st.st_mode & 0777, CONTENT_MAX, buf_cstr(&content));
    if (strcmp(name, "file") != 0)
        return;
    buf_reset(&seen->content);
    buf_add(&seen->content, content.data, content.len);
    if (seen->keep_as != NULL)
        assert_int_equal(rename(part->path, seen->keep_as), 0);
}

static void take_upload(struct http_request *r, void *arg)
{
    struct world *w = arg;
    struct seen *seen = w->own;
    static const char *const names[] = {"file", "jar", "note", "p0", "p1", "p2", "p3",
                                        "p4",   "p5",  "p6",   "p7", "p8", "p9"};
    mem_fail_at(0); /* it is the way here that is tested */
    w->n_called++;
    seen->parts[0] = '\0';
    assert_int_equal(http_body(r)->len, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        note_part(seen, r, names[i]);
    reply_text(r, 200, "taken");
}

static void hello(struct http_request *r, void *arg)
{
    (void)arg;
    assert_null(http_upload_part(r, "file"));
    reply_text(r, 200, "hello");
}

static const struct http_route served[] = {
    {"POST", "/upload", take_upload, "", true},
    {"POST", "/hold", hold, "", true},
    {"POST", "/hello", hello, "", false},
};

static bool filter(struct http_request *r, void *arg)
{
    struct seen *seen = arg;
    seen->n_asked++;
    seen->asking = r;
    if (seen->door == CLOSED)
        reply_text(r, 401, "who are you?");
    return seen->door != OPEN;
}

static void set_uploads(struct world *w)
{
    struct seen *seen = w->own;
    struct err err;
    struct http_upload_options options = {.dir = in_dir(seen, "uploads"), .limit = UPLOAD_LIMIT};
    if (http_set_uploads(w->server, &options, &err) != ERR_OK)
        fail_msg("%s", err.msg);
}

static int begin(void **state)
{
    struct world *w = world_new(served, sizeof served / sizeof *served);
    struct seen *seen = calloc(1, sizeof *seen);
    *seen = (struct seen){.dir = "/tmp/hearth-upload-XXXXXX", .content = BUF(UPLOAD_LIMIT)};
    assert_non_null(mkdtemp(seen->dir));
    w->own = seen;
    set_uploads(w);
    http_set_filter(w->server, filter, seen);
    *state = w;
    return 0;
}

static unsigned count_files(const struct seen *seen)
{
    unsigned n = 0;
    DIR *dir = opendir(in_dir(seen, "uploads"));
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    (void)closedir(dir);
    return n;
}

/* Whatever a test did, no temporary file and no memory is left. */
static int end(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    buf_clear(&seen->content);
    int rc = world_end(state);
    assert_int_equal(count_files(seen), 0);
    assert_int_equal(io_remove_tree(seen->dir, NULL), ERR_OK);
    free(seen);
    return rc;
}

static void until_files(struct world *w, unsigned n)
{
    int64_t limit = limit_from_now();
    while (count_files(w->own) != n && clock_mono_ms() < limit)
        turn(w);
    assert_int_equal(count_files(w->own), n);
}

/* ---- requests ---- */

#define PART(name, headers) "--limit\r\nContent-Disposition: form-data; name=\"" name "\"" headers "\r\n\r\n"
#define FILE_PART(file_name)                                                                                 \
    PART("file", "; filename=\"" file_name "\"\r\nContent-Type: application/octet-stream\r\n"                \
                 "Content-Transfer-Encoding: binary")
#define LAST "\r\n--limit--\r\n"
#define MULTIPART "Content-Type: multipart/form-data; boundary=limit\r\n"

/* A whole request; the caller clears it. */
static struct buf request(const char *path, const char *headers, const void *body, size_t n)
{
    struct buf text = BUF(BODY_MAX + 4096);
    buf_printf(&text, "POST %s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n", path, headers, n);
    buf_add(&text, body, n);
    assert_int_equal(text.failed, ERR_OK);
    return text;
}

/* Sends as the server reads, in pieces of at most `step` bytes. */
static void send_slowly(struct world *w, struct client *c, const char *bytes, size_t n, size_t step)
{
    int64_t limit = limit_from_now();
    for (size_t at = 0; at < n && clock_mono_ms() < limit;) {
        size_t piece = n - at < step ? n - at : step;
        ssize_t sent = send(c->fd, bytes + at, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        at += sent > 0 ? (size_t)sent : 0;
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
        limit = at < n ? limit : 0;
    }
    assert_int_equal(limit, 0);
}

static struct reply upload(struct world *w, const char *headers, const void *body, size_t n, size_t step)
{
    cleanup(buf_clear) struct buf text = request("/upload", headers, body, n);
    struct client *c = connect_to(w);
    send_slowly(w, c, text.data, text.len, step);
    struct reply r = read_reply(w, c, true);
    hang_up(c);
    return r;
}

static struct reply upload_text(struct world *w, const char *headers, const char *body)
{
    return upload(w, headers, body, strlen(body), SIZE_MAX);
}

static const char *parts_of(struct world *w)
{
    return ((struct seen *)w->own)->parts;
}

/* ---- what is kept ---- */

static void a_part_becomes_a_private_file(void **state)
{
    struct world *w = *state;
    struct reply r = upload_text(w, MULTIPART, FILE_PART("a b.py") "print(1)\r\n" LAST);
    assert_int_equal(r.status, 200);
    assert_string_equal(parts_of(w), "file|a b.py|10|600|print(1)\r\n;");
    until_files(w, 0);
}

static void parts_are_found_by_name(void **state)
{
    struct world *w = *state;
    (void)upload_text(w, MULTIPART,
                      PART("note", "") "hi\r\n" PART("jar", "; filename=\"x.jar\"") "PK\r\n" FILE_PART(
                          "../../etc/passwd") "1\r\n" FILE_PART("second") "22" LAST);
    assert_string_equal(parts_of(w), "file|../../etc/passwd|1|600|1;jar|x.jar|2|600|PK;note|-|2|600|hi;");
}

static void empty_parts_are_parts(void **state)
{
    struct world *w = *state;
    (void)upload_text(w, MULTIPART, FILE_PART("empty") "\r\n" PART("note", "") LAST);
    assert_string_equal(parts_of(w), "file|empty|0|600|;note|-|0|600|;");
}

static void a_body_may_come_byte_by_byte(void **state)
{
    struct world *w = *state;
    static const char body[] =
        "preamble\r\n" FILE_PART("f") "\r\n--limi\r\n-\r\r\n--\r\n" PART("note", "") "x" LAST;
    for (size_t step = 1; step < 20; step++) {
        assert_int_equal(upload(w, MULTIPART, body, sizeof body - 1, step).status, 200);
        assert_string_equal(parts_of(w), "file|f|16|600|\r\n--limi\r\n-\r\r\n--;note|-|1|600|x;");
    }
}

static void eight_parts_are_kept(void **state)
{
    struct world *w = *state;
    (void)upload_text(
        w, MULTIPART,
        PART("p0", "") "0\r\n" PART("p1", "") "1\r\n" PART("p2", "") "2\r\n" PART("p3", "") "3\r\n" PART(
            "p4",
            "") "4\r\n" PART("p5",
                             "") "5\r\n" PART("p6",
                                              "") "6\r\n" PART("p7",
                                                               "") "7\r\n" PART("p8",
                                                                                "") "8\r\n" PART("p9",
                                                                                                 "") "9" LAST);
    assert_non_null(strstr(parts_of(w), "p7|-|1|600|7;"));
    assert_null(strstr(parts_of(w), "p8"));
    assert_null(strstr(parts_of(w), "p9"));
}

static void large_files_arrive_unchanged(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    enum { SIZE = 3 << 20 };
    cleanup(buf_clear) struct buf body = BUF(BODY_MAX);
    buf_str(&body, FILE_PART("large.bin"));
    size_t at = body.len;
    char *bytes = buf_reserve(&body, SIZE);
    uint32_t random = 1;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; i + 16 < SIZE; i += 4099)
        memcpy(bytes + i, "\r\n--limi.", 9); /* almost a boundary */
    body.len += SIZE;
    buf_str(&body, LAST);
    struct reply r = upload(w, MULTIPART, body.data, body.len, 100 * 1000 + 7);
    if (r.status != 200)
        fail_msg("%d %s", r.status, r.body);
    assert_int_equal(seen->content.len, SIZE);
    assert_memory_equal(seen->content.data, body.data + at, SIZE);
}

static void chunked_bodies_are_taken_too(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    char head[512];
    (void)snprintf(head, sizeof head,
                   "POST /upload HTTP/1.1\r\n" HOST MULTIPART
                   "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n",
                   strlen(FILE_PART("f")), FILE_PART("f"));
    say(c, head);
    say(c, "3\r\nabc\r\nd\r\n" LAST "\r\n0\r\n\r\n");
    assert_int_equal(read_reply(w, c, true).status, 200);
    assert_string_equal(parts_of(w), "file|f|3|600|abc;");
    hang_up(c);
}

static void a_file_that_was_renamed_away_stays(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    cleanup(mem_freep) char *kept = mem_strdup(in_dir(seen, "kept"));
    seen->keep_as = kept;
    (void)upload_text(w, MULTIPART, FILE_PART("f") "mine" LAST);
    until_files(w, 0);
    cleanup(buf_clear) struct buf content = BUF(100);
    assert_int_equal(io_read_file(kept, &content, NULL), ERR_OK);
    assert_string_equal(buf_cstr(&content), "mine");
}

static void the_file_lives_as_long_as_the_request(void **state)
{
    struct world *w = *state;
    static const char body[] = FILE_PART("f") "x" LAST;
    cleanup(buf_clear) struct buf text = request("/hold", MULTIPART, body, sizeof body - 1);
    struct client *c = connect_to(w);
    say(c, text.data);
    until_held(w, 1);
    hang_up(c);
    for (int i = 0; i < 20; i++)
        turn(w);
    assert_int_equal(count_files(w->own), 1);
    reply_text(w->held, 200, "into the void");
    until_files(w, 0);
}

static void other_bodies_have_no_parts(void **state)
{
    struct world *w = *state;
    static const char *const types[] = {"", "Content-Type: application/json\r\n",
                                        "Content-Type: application/x-www-form-urlencoded\r\n", MULTIPART};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        assert_int_equal(upload_text(w, types[i], "file=abc").status, 200);
        assert_string_equal(parts_of(w), "");
    }
    assert_int_equal(upload_text(w, MULTIPART, "").status, 200);
    assert_int_equal(w->n_called, 5);
}

static void other_routes_know_no_uploads(void **state)
{
    struct world *w = *state;
    static const char body[] = FILE_PART("f") "x" LAST;
    cleanup(buf_clear) struct buf text = request("/hello", MULTIPART, body, sizeof body - 1);
    assert_string_equal(ask(w, text.data).body, "hello");
}

/* ---- what is refused ---- */

static void what_is_no_multipart_is_told(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *headers, *body, *says;
    } bad[] = {
        {"Content-Type: multipart/form-data\r\n", FILE_PART("f") "x" LAST, "boundary"},
        {"Content-Type: multipart/form-data; boundary=\r\n", FILE_PART("f") "x" LAST, "boundary"},
        {"Content-Type: multipart/form-data; boundary=limit; charset=x\r\n", FILE_PART("f") "x" LAST,
         "boundary"},
        {MULTIPART, FILE_PART("f") "x", "ends too early"},
        {MULTIPART, FILE_PART("f") "x\r\n--limit", "ends too early"},
        {MULTIPART, "--limit\r\nContent-Disposition: form-data; na", "ends too early"},
        {MULTIPART, "--limit and so on\r\n\r\nx" LAST, "not valid multipart"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reply r = upload_text(w, bad[i].headers, bad[i].body);
        if (r.status != 400 || strstr(r.body, bad[i].says) == NULL)
            fail_msg("%zu: %d %s", i, r.status, r.body);
    }
    assert_int_equal(w->n_called, 0);
}

static void an_upload_above_the_limit_is_refused_cleanly(void **state)
{
    struct world *w = *state;
    cleanup(buf_clear) struct buf body = BUF(BODY_MAX);
    buf_str(&body, FILE_PART("f"));
    memset(buf_reserve(&body, UPLOAD_LIMIT), 'x', UPLOAD_LIMIT);
    size_t fits = UPLOAD_LIMIT - body.len - strlen(LAST);
    body.len += fits;
    buf_str(&body, LAST);
    assert_int_equal(body.len, UPLOAD_LIMIT);
    assert_int_equal(upload(w, MULTIPART, body.data, body.len, SIZE_MAX).status, 200);
    buf_str(&body, "\n");
    cleanup(buf_clear) struct buf text = request("/upload", MULTIPART, body.data, body.len);
    struct client *c = connect_to(w);
    send_slowly(w, c, text.data, text.len, SIZE_MAX); /* it takes all of it */
    struct reply r = read_reply(w, c, true);
    assert_int_equal(r.status, 413);
    assert_string_equal(r.body,
                        "{\"msg\":\"the upload is larger than sessions.upload_limit, 4194304 bytes\"}");
    assert_int_equal(w->n_called, 1);
    say(c, "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"); /* and goes on */
    assert_int_equal(read_reply(w, c, true).status, 200);
    hang_up(c);
}

static void a_chunked_upload_above_the_limit_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    char head[512];
    char chunk[64 * 1024 + 16];
    (void)snprintf(head, sizeof head,
                   "POST /upload HTTP/1.1\r\n" HOST MULTIPART
                   "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n",
                   strlen(FILE_PART("f")), FILE_PART("f"));
    int n = snprintf(chunk, sizeof chunk, "10000\r\n%0*d\r\n", 0x10000, 0);
    say(c, head);
    send_slowly(w, c, chunk, (size_t)n, SIZE_MAX);
    until_files(w, 1);
    for (int i = 0; i < UPLOAD_LIMIT / 0x10000; i++)
        send_slowly(w, c, chunk, (size_t)n, SIZE_MAX);
    until_files(w, 0); /* at once, not when the client has finished */
    say(c, "0\r\n\r\n");
    assert_int_equal(read_reply(w, c, true).status, 413);
    assert_int_equal(w->n_called, 0);
    hang_up(c);
}

static void a_client_that_waits_is_told_to_go_on(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    static const char body[] = FILE_PART("f") "x" LAST;
    cleanup(buf_clear) struct buf text =
        request("/upload", MULTIPART "Expect: 100-continue\r\n", body, sizeof body - 1);
    say(c, (text.data[text.len - (sizeof body - 1)] = '\0', text.data));
    struct reply r = read_reply(w, c, false);
    assert_int_equal(r.status, 100);
    say(c, body);
    assert_int_equal(read_reply(w, c, true).status, 200);
    assert_string_equal(parts_of(w), "file|f|1|600|x;");
    hang_up(c);
}

static void a_client_that_waits_is_refused_at_once(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "POST /upload HTTP/1.1\r\n" HOST MULTIPART
           "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    assert_int_equal(read_reply(w, c, true).status, 413);
    hang_up(c);
    assert_int_equal(w->n_called, 0);
}

static void a_full_disk_is_told(void **state)
{
    struct world *w = *state;
    io_fail_at(1, ENOSPC);
    struct reply r = upload_text(w, MULTIPART, FILE_PART("f") "x" LAST);
    io_fail_at(0, 0);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "keeping the upload"));
    assert_non_null(strstr(r.body, "No space left on device"));
    assert_int_equal(w->n_called, 0);
    assert_int_equal(count_files(w->own), 0);
    assert_int_equal(upload_text(w, MULTIPART, FILE_PART("f") "x" LAST).status, 200);
}

static void a_folder_that_is_gone_is_told(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    assert_int_equal(rmdir(in_dir(seen, "uploads")), 0);
    struct reply r = upload_text(w, MULTIPART, FILE_PART("f") "x" LAST);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body, "No such file or directory"));
    set_uploads(w);
}

static void a_server_without_a_folder_takes_nothing(void **state)
{
    struct world *w = *state;
    world_stop(w);
    world_start(w, "");
    assert_int_equal(upload_text(w, MULTIPART, FILE_PART("f") "x" LAST).status, 500);
    assert_int_equal(w->n_called, 0);
}

/* ---- who may ---- */

static void the_filter_decides_before_the_body_is_read(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    seen->door = ASK;
    static const char body[] = FILE_PART("f") "x" LAST;
    cleanup(buf_clear) struct buf text = request("/upload", MULTIPART, body, sizeof body - 1);
    struct client *c = connect_to(w);
    say(c, text.data);
    int64_t limit = limit_from_now();
    while (seen->n_asked == 0 && clock_mono_ms() < limit)
        turn(w);
    int64_t until = clock_mono_ms() + REQUEST_TIMEOUT_MS * 2; /* it may take its time */
    while (clock_mono_ms() < until)
        turn(w);
    assert_int_equal(count_files(seen), 0);
    http_pass(seen->asking);
    assert_int_equal(read_reply(w, c, true).status, 200);
    assert_string_equal(parts_of(w), "file|f|1|600|x;");
    assert_int_equal(seen->n_asked, 1);
    hang_up(c);
}

static void who_may_not_fills_no_disk(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    seen->door = CLOSED;
    cleanup(buf_clear) struct buf body = BUF(BODY_MAX);
    buf_str(&body, FILE_PART("f"));
    memset(buf_reserve(&body, 1 << 20), 'x', 1 << 20);
    body.len += 1 << 20;
    buf_str(&body, LAST);
    struct reply r = upload(w, MULTIPART, body.data, body.len, SIZE_MAX); /* sees its answer all the same */
    assert_int_equal(r.status, 401);
    assert_string_equal(r.body, "who are you?");
    seen->door = ASK;
    struct client *c = connect_to(w);
    say(c, "POST /upload HTTP/1.1\r\n" HOST MULTIPART "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
    int64_t limit = limit_from_now();
    while (seen->n_asked < 2 && clock_mono_ms() < limit)
        turn(w);
    reply_text(seen->asking, 403, "no");
    assert_int_equal(read_reply(w, c, true).status, 403); /* without its body */
    hang_up(c);
    assert_int_equal(w->n_called, 0);
    assert_int_equal(w->server->n_uploads, 0);
}

static void a_server_may_close_while_the_filter_decides(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    seen->door = ASK;
    struct client *c = connect_to(w);
    say(c, "POST /upload HTTP/1.1\r\n" HOST MULTIPART "Content-Length: 1000\r\n\r\n");
    int64_t limit = limit_from_now();
    while (seen->n_asked == 0 && clock_mono_ms() < limit)
        turn(w);
    world_stop(w);
    http_pass(seen->asking);
    hang_up(c);
    assert_int_equal(w->n_called, 0);
}

/* ---- time, and clients that leave ---- */

static void a_long_upload_that_makes_progress_is_let_go_on(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    static const char body[] = FILE_PART("f") "0123456789012345678901234" LAST;
    cleanup(buf_clear) struct buf text = request("/upload", MULTIPART, body, sizeof body - 1);
    size_t last = text.len - strlen(LAST) - 25;
    int64_t began = clock_mono_ms();
    assert_int_equal(send(c->fd, text.data, last, MSG_NOSIGNAL), last);
    for (int64_t next = began; last < text.len; next += REQUEST_TIMEOUT_MS / 6) {
        while (clock_mono_ms() < next)
            turn(w);
        assert_int_equal(send(c->fd, text.data + last, 1, MSG_NOSIGNAL), 1);
        last++;
    }
    assert_int_equal(read_reply(w, c, true).status, 200);
    assert_true(clock_mono_ms() - began > 3 * REQUEST_TIMEOUT_MS);
    hang_up(c);
}

static void an_upload_that_stands_still_is_cut_off(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "POST /upload HTTP/1.1\r\n" HOST MULTIPART "Content-Length: 1000\r\n\r\n" FILE_PART("f") "x");
    until_files(w, 1);
    int64_t began = clock_mono_ms();
    until_closed(w, c);
    assert_in_range(clock_mono_ms() - began, REQUEST_TIMEOUT_MS / 2, REQUEST_TIMEOUT_MS + 3000);
    until_files(w, 0);
    assert_int_equal(c->len, 0);
    hang_up(c);
}

static void what_is_refused_may_not_trickle_for_ever(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "POST /upload HTTP/1.1\r\n" HOST MULTIPART "Content-Length: 99999999\r\n\r\n");
    int64_t began = clock_mono_ms();
    while (!c->closed && clock_mono_ms() - began < PATIENCE_MS) {
        (void)send(c->fd, "x", 1, MSG_NOSIGNAL);
        for (int i = 0; i < 10; i++)
            turn(w);
        listen_once(c);
    }
    assert_true(c->closed);
    assert_in_range(clock_mono_ms() - began, REQUEST_TIMEOUT_MS / 2, REQUEST_TIMEOUT_MS + 3000);
    hang_up(c);
}

static void a_client_that_leaves_leaves_no_file(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "POST /upload HTTP/1.1\r\n" HOST MULTIPART
           "Content-Length: 1000\r\n\r\n" PART("note", "") "x\r\n" FILE_PART("f") "x");
    until_files(w, 2);
    hang_up(c);
    until_files(w, 0);
    assert_int_equal(w->n_called, 0);
}

static void a_server_that_closes_leaves_no_file(void **state)
{
    struct world *w = *state;
    struct client *c = connect_to(w);
    say(c, "POST /upload HTTP/1.1\r\n" HOST MULTIPART "Content-Length: 1000\r\n\r\n" FILE_PART("f") "x");
    until_files(w, 1);
    world_stop(w);
    assert_int_equal(count_files(w->own), 0);
    hang_up(c);
}

static void what_a_killed_server_left_is_removed(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    int fd = open(in_dir(seen, "uploads/1"), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    set_uploads(w);
    assert_int_equal(count_files(seen), 0);
    assert_int_equal(upload_text(w, MULTIPART, FILE_PART("f") "x" LAST).status, 200);
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
    struct world *w = *state;
    struct seen *seen = w->own;
    struct err err;
    int fd = open(in_dir(seen, "file"), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    struct http_upload_options options = {.dir = in_dir(seen, "file/uploads"), .limit = 1};
    assert_int_equal(http_set_uploads(w->server, &options, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "the folder for uploads"));
}

static void uploads_survive_every_failing_allocation(void **state)
{
    struct world *w = *state;
    static const char body[] = PART("note", "") "x\r\n" FILE_PART("f") "x" LAST;
    cleanup(buf_clear) struct buf text = request("/upload", MULTIPART, body, sizeof body - 1);
    unsigned refused = 0;
    for (long n = 2; w->n_called == 0; n++) { /* the first is that of the deadline, which may be missing */
        assert_in_range(n, 1, 100);
        struct client *c = connect_to(w);
        struct reply r = {0};
        say(c, text.data);
        mem_fail_at(n);
        int64_t limit = limit_from_now();
        while (!take_reply(c, true, &r) && !c->closed && clock_mono_ms() < limit) {
            turn(w);
            listen_once(c);
        }
        mem_fail_at(0);
        refused += r.status == 503;
        assert_true(r.status == 503 || r.status == 200 || c->closed);
        hang_up(c);
        until_files(w, 0);
    }
    assert_true(refused > 5);
}

#define UPLOADED(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPLOADED(a_part_becomes_a_private_file),
        UPLOADED(parts_are_found_by_name),
        UPLOADED(empty_parts_are_parts),
        UPLOADED(a_body_may_come_byte_by_byte),
        UPLOADED(eight_parts_are_kept),
        UPLOADED(large_files_arrive_unchanged),
        UPLOADED(chunked_bodies_are_taken_too),
        UPLOADED(a_file_that_was_renamed_away_stays),
        UPLOADED(the_file_lives_as_long_as_the_request),
        UPLOADED(other_bodies_have_no_parts),
        UPLOADED(other_routes_know_no_uploads),
        UPLOADED(what_is_no_multipart_is_told),
        UPLOADED(an_upload_above_the_limit_is_refused_cleanly),
        UPLOADED(a_chunked_upload_above_the_limit_leaves_nothing),
        UPLOADED(a_client_that_waits_is_told_to_go_on),
        UPLOADED(a_client_that_waits_is_refused_at_once),
        UPLOADED(a_full_disk_is_told),
        UPLOADED(a_folder_that_is_gone_is_told),
        UPLOADED(a_server_without_a_folder_takes_nothing),
        UPLOADED(the_filter_decides_before_the_body_is_read),
        UPLOADED(who_may_not_fills_no_disk),
        UPLOADED(a_server_may_close_while_the_filter_decides),
        UPLOADED(a_long_upload_that_makes_progress_is_let_go_on),
        UPLOADED(an_upload_that_stands_still_is_cut_off),
        UPLOADED(what_is_refused_may_not_trickle_for_ever),
        UPLOADED(a_client_that_leaves_leaves_no_file),
        UPLOADED(a_server_that_closes_leaves_no_file),
        UPLOADED(what_a_killed_server_left_is_removed),
        UPLOADED(a_folder_that_cannot_be_made_is_an_error),
        UPLOADED(uploads_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
