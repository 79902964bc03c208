/* The HDFS client: addresses, answers, and how it goes on when nodes misbehave (servers in this process). */
#include "http_stub.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/strs.h"
#include "hdfs/hdfs_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, SHORT_MS = 600 };

/* ---- paths ---- */

static void paths_are_encoded_byte_by_byte(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"/", "/"},
        {"/apps/load-1.2_x~.jar", "/apps/load-1.2_x~.jar"},
        {"/a b", "/a%20b"},
        {"/100%", "/100%25"},
        {"/a?b#c", "/a%3Fb%23c"},
        {"/a+b;c=d&e", "/a%2Bb%3Bc%3Dd%26e"},
        {"/gr\xc3\xbc\xc3\x9f", "/gr%C3%BC%C3%9F"},
        {"/%2F\\\"\n:@", "/%252F%5C%22%0A%3A%40"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        cleanup(buf_clear) struct buf url = BUF(1000);
        hdfs_add_path(&url, pairs[i][0]);
        assert_string_equal(buf_cstr(&url), pairs[i][1]);
    }
    cleanup(buf_clear) struct buf value = BUF(1000);
    hdfs_add_value(&value, "a/b&c");
    assert_string_equal(buf_cstr(&value), "a%2Fb%26c");
}

static void paths_that_mislead_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "a",       "a/b",      "/.",        "/..",    "/a/../b",
                                      "/a/..", "/../jmx", "/a/./b",   "/\xff",     "/a\xc3", "/\xed\xa0\x80",
                                      "/./",   "//..",    "/a/b/../", "/\xc0\xaf/"};
    static const char *const good[] = {"/", "/.a", "/..a", "/a..", "/a.", "/...", "/a/.hidden/..x", "//"};
    struct err err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(hdfs_check_path(bad[i], &err), ERR_INVALID);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(hdfs_check_path(good[i], &err), ERR_OK);
    char *long_path = calloc(1, 8002);
    memset(long_path, '/', 8001);
    assert_int_equal(hdfs_check_path(long_path, &err), ERR_INVALID);
    long_path[8000] = '\0';
    assert_int_equal(hdfs_check_path(long_path, &err), ERR_OK);
    free(long_path);
}

/* ---- redirects ---- */

static void redirects_lead_to_web_servers_only(void **state)
{
    (void)state;
    struct hdfs_redirect r = {.same_server = true};
    struct err err;
    static const char *const bad[] = {
        "file:///etc/passwd", "ftp://h/x",        "gopher://h:70/x",
        "hdfs://h/x",         "http://u:p@h/x",   "http://u@h/x",
        "http://:p@h/x",      "http://",          "",
        "/webhdfs/v1/x",      "http://h:99999/x", "http://a b/c",
        "dict://h:1/x",       "http:///x y",      "\r\nhttp://h/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(hdfs_check_redirect("http://nn:9870", bad[i], &r, &err), ERR_IO);
    assert_int_equal(hdfs_check_redirect("https://nn:9871", "http://dn:9864/x", &r, &err), ERR_IO);
    assert_int_equal(hdfs_check_redirect("http://nn:9870", "http://dn:9864/x?delegation=s3cret", &r, &err),
                     ERR_OK);
    assert_string_equal(r.host, "dn");
    assert_false(r.same_server);
    assert_int_equal(hdfs_check_redirect("http://nn", "http://nn:80/x", &r, &err), ERR_OK);
    assert_true(r.same_server);
    assert_int_equal(hdfs_check_redirect("http://nn:9870", "https://nn:9870/x", &r, &err), ERR_OK);
    assert_false(r.same_server);
    (void)hdfs_check_redirect("https://nn", "http://dn:9864/x?delegation=s3cret", &r, &err);
    assert_null(strstr(err.msg, "s3cret"));
}

/* ---- answers ---- */

#define FILE_STATUS(name, type)                                                                              \
    "{\"accessTime\":0,\"blockSize\":0,\"childrenNum\":0,\"fileId\":16385,\"group\":\"g\",\"length\":7,"     \
    "\"modificationTime\":5,\"owner\":\"o\",\"pathSuffix\":\"" name                                          \
    "\",\"permission\":\"755\",\"type\":\"" type "\"}"
#define LISTING(entries, left)                                                                               \
    "{\"DirectoryListing\":{\"partialListing\":{\"FileStatuses\":{\"FileStatus\":[" entries                  \
    "]}},\"remainingEntries\":" left "}}"

static enum err_code status_of(const char *text, struct hdfs_files *files)
{
    struct err err;
    return hdfs_read_status(text, strlen(text), files, &err);
}

static void a_status_is_read(void **state)
{
    (void)state;
    struct hdfs_files files = {0};
    assert_int_equal(status_of("{\"FileStatus\":" FILE_STATUS("", "FILE") "}", &files), ERR_OK);
    assert_int_equal(status_of("{\"FileStatus\":" FILE_STATUS("", "DIRECTORY") "}", &files), ERR_OK);
    assert_int_equal(files.n, 2);
    assert_int_equal(files.items[0].size, 7);
    assert_int_equal(files.items[0].modified_ms, 5);
    assert_string_equal(files.items[0].owner, "o");
    assert_string_equal(files.items[0].permission, "755");
    assert_true(files.items[1].is_folder);
    assert_int_equal(files.items[1].size, 0);
    hdfs_files_clear(&files);
}

static void what_is_no_status_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "7",
        "{\"FileStatus\":null}",
        "{\"FileStatus\":[]}",
        "{\"FileStatus\":{}}",
        "<html>",
        "{\"FileStatus\":{\"type\":\"FILE\",\"length\":-1,\"modificationTime\":0}}",
        "{\"FileStatus\":{\"type\":\"FILE\",\"length\":\"1\",\"modificationTime\":0}}",
        "{\"FileStatus\":{\"type\":\"FILE\",\"length\":1.5,\"modificationTime\":0}}",
        "{\"FileStatus\":{\"type\":\"FILE\",\"length\":99999999999999999999,\"modificationTime\":0}}",
        "{\"FileStatus\":{\"type\":7,\"length\":1,\"modificationTime\":0}}",
        "{\"FileStatus\":" FILE_STATUS("../x", "FILE") "}",
        "{\"FileStatus\":" FILE_STATUS("..", "FILE") "}",
        "{\"FileStatus\":" FILE_STATUS("a/b", "FILE") "}",
        "{\"FileStatus\":" FILE_STATUS("\\u0000", "FILE") "}",
        "{\"FileStatus\":" FILE_STATUS("", "FILE"),
        "{\"FileStatus\":" FILE_STATUS("\xff", "FILE") "}",
    };
    struct hdfs_files files = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(status_of(bad[i], &files), ERR_IO);
    assert_int_equal(files.n, 0);
    hdfs_files_clear(&files);
}

static enum err_code listing_of(const char *text, struct hdfs_files *files, bool *more)
{
    struct err err;
    return hdfs_read_listing(text, strlen(text), files, more, &err);
}

static void a_listing_is_read_in_parts(void **state)
{
    (void)state;
    struct hdfs_files files = {0};
    bool more = false;
    assert_int_equal(
        listing_of(LISTING(FILE_STATUS("a", "FILE") "," FILE_STATUS("b", "DIRECTORY"), "3"), &files, &more),
        ERR_OK);
    assert_true(more);
    assert_int_equal(listing_of(LISTING(FILE_STATUS("c", "FILE"), "0"), &files, &more), ERR_OK);
    assert_false(more);
    assert_int_equal(listing_of(LISTING("", "0"), &files, &more), ERR_OK);
    assert_int_equal(files.n, 3);
    assert_string_equal(files.items[2].name, "c");
    /* one that would never end, and ones that are none */
    assert_int_equal(listing_of(LISTING("", "1"), &files, &more), ERR_IO);
    assert_int_equal(listing_of(LISTING("7", "0"), &files, &more), ERR_IO);
    assert_int_equal(listing_of(LISTING("", "-1"), &files, &more), ERR_IO);
    assert_int_equal(listing_of(LISTING("", "null"), &files, &more), ERR_IO);
    assert_int_equal(
        listing_of("{\"DirectoryListing\":{\"partialListing\":{\"FileStatuses\":7}}}", &files, &more),
        ERR_IO);
    hdfs_files_clear(&files);
}

static void too_many_values_and_too_much_depth_are_refused(void **state)
{
    (void)state;
    struct hdfs_files files = {0};
    bool more = false;
    char *many = calloc(1, 500100);
    (void)strcpy(many, "{\"FileStatus\":[");
    while (strlen(many) < 450000)
        (void)memcpy(many + strlen(many),
                     "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],", 73);
    assert_int_equal(listing_of(many, &files, &more), ERR_IO);
    memset(many, '[', 500000);
    assert_int_equal(listing_of(many, &files, &more), ERR_IO);
    assert_false(hdfs_says_active(many, 500000));
    free(many);
    hdfs_files_clear(&files);
}

static enum hdfs_verdict refusal_of(int status, const char *exception, const char *message, struct err *err)
{
    char text[1000];
    (void)snprintf(text, sizeof text, "{\"RemoteException\":{\"exception\":\"%s\",\"message\":\"%s\"}}",
                   exception, message);
    return hdfs_read_refusal(status, text, strlen(text), err);
}

static void hadoops_exceptions_have_codes(void **state)
{
    (void)state;
    static const struct {
        const char *exception;
        enum err_code code;
    } rows[] = {
        {"StandbyException", ERR_BUSY},
        {"SafeModeException", ERR_BUSY},
        {"RetriableException", ERR_BUSY},
        {"FileNotFoundException", ERR_NOT_FOUND},
        {"AccessControlException", ERR_DENIED},
        {"SecurityException", ERR_DENIED},
        {"FileAlreadyExistsException", ERR_CONFLICT},
        {"PathIsNotEmptyDirectoryException", ERR_CONFLICT},
        {"IllegalArgumentException", ERR_INVALID},
        {"InvalidPathException", ERR_INVALID},
        {"IOException", ERR_IO},
        {"", ERR_IO},
    };
    struct err err;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum hdfs_verdict verdict = refusal_of(403, rows[i].exception, "words", &err);
        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(verdict, rows[i].code == ERR_BUSY ? HDFS_ELSEWHERE : HDFS_OVER);
        assert_non_null(strstr(err.msg, "words"));
    }
    assert_int_equal(refusal_of(403, "SecurityException", "Failed to obtain user: StandbyException", &err),
                     HDFS_ELSEWHERE);
    (void)refusal_of(404, "FileNotFoundException", "one\\ntwo\\u001b[31m", &err);
    assert_null(strpbrk(err.msg, "\n\x1b"));
    assert_null(strstr(err.msg, "two"));
}

static void other_refusals_go_by_their_status(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum hdfs_verdict verdict;
        enum err_code code;
    } rows[] = {
        {401, "", HDFS_OVER, ERR_DENIED},
        {403, "<html>GSSException", HDFS_OVER, ERR_DENIED},
        {404, "<html>Not Found", HDFS_BROKEN, ERR_IO},
        {404, "{\"RemoteException\":7}", HDFS_BROKEN, ERR_IO},
        {400, "{\"RemoteException\":{\"exception\":7,\"message\":\"x\"}}", HDFS_BROKEN, ERR_IO},
        {500, "{", HDFS_ELSEWHERE, ERR_IO},
        {503, "", HDFS_ELSEWHERE, ERR_IO},
    };
    struct err err;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(hdfs_read_refusal(rows[i].status, rows[i].body, strlen(rows[i].body), &err),
                         rows[i].verdict);
        assert_int_equal(err.code, rows[i].code);
    }
}

static void the_contracts_two_questions_are_read_to_the_letter(void **state)
{
    (void)state;
    static const char *const active[] = {
        "{\"beans\":[{\"State\":\"active\"}]}",
        "{\"beans\":[7,null,{\"State\":\"standby\"},{\"State\":\"active\",\"x\":1}]}"};
    static const char *const not_active[] = {"",
                                             "<html>",
                                             "[]",
                                             "{}",
                                             "{\"beans\":{}}",
                                             "{\"beans\":{\"State\":\"active\"}}",
                                             "{\"beans\":[]}",
                                             "{\"beans\":[{\"State\":\"standby\"}]}",
                                             "{\"beans\":[{\"State\":\"Active\"}]}",
                                             "{\"State\":\"active\"}",
                                             "{\"beans\":[{\"state\":\"active\"}]}",
                                             "{\"beans\":[{\"State\":[\"active\"]}]}",
                                             "{\"beans\":[\"active\"]}",
                                             "{\"beans\":[{\"State\":\"active\"}]} x"};
    static const char *const there[] = {"{\"FileStatus\":{\"fileId\":1}}",
                                        "{\"FileStatus\":{\"fileId\":null}}",
                                        "{\"FileStatus\":{\"fileId\":\"x\",\"type\":\"DIRECTORY\"}}"};
    static const char *const missing[] = {
        "", "{}", "{\"FileStatus\":{}}", "{\"fileId\":1}", "{\"FileStatus\":[1]}", "{\"RemoteException\":{}}",
        "x"};
    for (size_t i = 0; i < sizeof active / sizeof active[0]; i++)
        assert_true(hdfs_says_active(active[i], strlen(active[i])));
    for (size_t i = 0; i < sizeof not_active / sizeof not_active[0]; i++)
        assert_false(hdfs_says_active(not_active[i], strlen(not_active[i])));
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        assert_true(hdfs_has_file_id(there[i], strlen(there[i])));
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        assert_false(hdfs_has_file_id(missing[i], strlen(missing[i])));
}

/* ---- nodes that misbehave ---- */

struct world {
    uv_loop_t loop;
    struct server nodes[2];
    struct hdfs *hdfs;
    unsigned n_done;
    enum err_code code;
    struct err err;
    enum hdfs_presence presence;
    size_t n;   /* entries, bytes */
    bool frees; /* the client, in the callback */
};

static struct hdfs *open_client(struct world *w, unsigned n_nodes, int64_t timeout_ms)
{
    struct hdfs_options options = {.loop = &w->loop, .user = "etl", .timeout_ms = timeout_ms};
    for (unsigned i = 0; i < 2; i++) {
        char *slash = strrchr(w->nodes[i].url, '/'); /* the stub's URLs end in "/x" */
        if (str_ends(w->nodes[i].url, "/x"))
            *slash = '\0';
        options.nodes[i] = i < n_nodes ? w->nodes[i].url : NULL;
    }
    return hdfs_open(&options);
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    server_start(&w->nodes[0], &w->loop);
    server_start(&w->nodes[1], &w->loop);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    hdfs_free(w->hdfs);
    server_stop(&w->nodes[0]);
    server_stop(&w->nodes[1]);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0); /* nothing of the client's is left */
    assert_int_equal(uv_loop_close(&w->loop), 0);
    server_clear(&w->nodes[0]);
    server_clear(&w->nodes[1]);
    free(w);
    assert_int_equal(mem_live(), 0);
    return 0;
}

static void on_done(const struct err *err, void *arg)
{
    struct world *w = arg;
    w->n_done++;
    w->err = *err;
    if (w->frees) {
        hdfs_free(w->hdfs);
        w->hdfs = NULL;
    }
}

static void on_file(const struct err *err, const struct hdfs_file *file, void *arg)
{
    assert_int_equal(err->code == ERR_OK, file != NULL);
    on_done(err, arg);
}

static void on_list(const struct err *err, const struct hdfs_file *files, size_t n, void *arg)
{
    struct world *w = arg;
    assert_true(err->code == ERR_OK || (files == NULL && n == 0));
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(files[i - 1].name, files[i].name) <= 0);
    w->n = n;
    on_done(err, arg);
}

static void on_data(const struct err *err, const char *data, size_t n, void *arg)
{
    struct world *w = arg;
    assert_int_equal(err->code == ERR_OK, data != NULL);
    w->n = n;
    on_done(err, arg);
}

static void on_presence(enum hdfs_presence presence, void *arg)
{
    struct world *w = arg;
    w->n_done++;
    w->presence = presence;
}

static void until_done(struct world *w, unsigned n)
{
    loop_until(&w->loop, &w->n_done, n, 2 * PATIENCE_MS);
}

#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body
#define IS_STANDBY                                                                                           \
    ANSWER("403 Forbidden",                                                                                  \
           "{\"RemoteException\":{\"exception\":\"StandbyException\",\"message\":\"standby\"}}")
#define IS_FILE ANSWER("200 OK", "{\"FileStatus\":" FILE_STATUS("", "FILE") "}")

static void answers(struct server *s, const char *answer)
{
    s->manner = ENDS;
    s->answer = answer;
}

static void status(struct world *w)
{
    unsigned n = w->n_done;
    hdfs_status(w->hdfs, "/a b", on_file, w);
    assert_int_equal(w->n_done, n); /* never before return */
    until_done(w, n + 1);
}

static void the_node_that_answered_is_asked_first(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 2, PATIENCE_MS);
    answers(&w->nodes[0], IS_STANDBY);
    answers(&w->nodes[1], IS_FILE);
    status(w);
    assert_int_equal(w->err.code, ERR_OK);
    status(w);
    assert_int_equal(w->nodes[0].n_requests, 1);
    assert_int_equal(w->nodes[1].n_requests, 2);
    assert_true(
        str_starts(w->nodes[1].requests[1], "GET /webhdfs/v1/a%20b?op=GETFILESTATUS&user.name=etl HTTP/1.1"));
}

static void a_silent_node_leaves_time_for_the_other(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 2, 3000);
    w->nodes[0].manner = IS_SILENT;
    answers(&w->nodes[1], IS_FILE);
    status(w);
    assert_int_equal(w->err.code, ERR_OK);
}

static void when_no_node_can_the_error_names_both(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 2, SHORT_MS);
    answers(&w->nodes[0], IS_STANDBY);
    w->nodes[1].manner = CLOSES;
    status(w);
    assert_int_equal(w->err.code, ERR_BUSY);
    assert_non_null(strstr(w->err.msg, w->nodes[0].url));
    assert_non_null(strstr(w->err.msg, w->nodes[1].url));
    assert_true(w->nodes[0].n_requests > 1);
}

static void a_server_that_is_no_hdfs_is_told_at_once(void **state)
{
    struct world *w = *state;
    int64_t begun = clock_mono_ms();
    w->hdfs = open_client(w, 2, 2 * PATIENCE_MS);
    answers(&w->nodes[0], ANSWER("404 Not Found", "<html>"));
    answers(&w->nodes[1], ANSWER("200 OK", "hello"));
    status(w);
    assert_int_equal(w->err.code, ERR_IO);
    assert_true(clock_mono_ms() - begun < PATIENCE_MS);
}

static void a_node_that_is_no_hdfs_does_not_end_the_wait_for_the_other(void **state)
{
    struct world *w = *state;
    int64_t begun = clock_mono_ms();
    w->hdfs = open_client(w, 2, 1500);
    answers(&w->nodes[0], ANSWER("404 Not Found", "<html>"));
    answers(&w->nodes[1], IS_STANDBY);
    status(w);
    assert_int_equal(w->err.code, ERR_BUSY);
    assert_true(clock_mono_ms() - begun > 1000);
}

static void silence_ends_with_the_time(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 1, SHORT_MS);
    w->nodes[0].manner = IS_SILENT;
    status(w);
    assert_int_equal(w->err.code, ERR_TIMEOUT);
}

static void redirects_without_end_are_left(void **state)
{
    struct world *w = *state;
    char answer[200];
    w->hdfs = open_client(w, 1, PATIENCE_MS);
    (void)snprintf(answer, sizeof answer,
                   "HTTP/1.1 307 X\r\nLocation: %s/again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                   w->nodes[0].url);
    answers(&w->nodes[0], answer);
    status(w);
    assert_int_equal(w->err.code, ERR_IO);
    assert_int_equal(w->nodes[0].n_requests, 4);
    assert_non_null(strstr(w->err.msg, "redirects more than 3 times"));
}

static void a_redirect_to_a_file_is_not_followed(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 1, PATIENCE_MS);
    answers(&w->nodes[0], "HTTP/1.1 307 X\r\nLocation: file:///etc/passwd\r\nConnection: close\r\n\r\n");
    hdfs_read(w->hdfs, "/x", 0, 1000, true, on_data, w);
    until_done(w, 1);
    assert_int_equal(w->err.code, ERR_IO);
    assert_non_null(strstr(w->err.msg, "neither http nor https"));
}

static void a_flood_is_cut(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 1, PATIENCE_MS);
    w->nodes[0].manner = FLOODS;
    w->nodes[0].answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
    hdfs_read(w->hdfs, "/x", 0, 1000, false, on_data, w);
    until_done(w, 1);
    assert_int_equal(w->err.code, ERR_TOO_LARGE);
}

static void more_bytes_than_asked_for_are_refused(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 1, PATIENCE_MS);
    answers(&w->nodes[0], ANSWER("200 OK", "0123456789"));
    hdfs_read(w->hdfs, "/x", 0, 9, false, on_data, w);
    until_done(w, 1);
    assert_int_equal(w->err.code, ERR_IO);
    hdfs_read(w->hdfs, "/x", 0, 9, true, on_data, w);
    until_done(w, 2);
    assert_int_equal(w->err.code, ERR_TOO_LARGE);
    hdfs_read(w->hdfs, "/x", 0, 10, true, on_data, w);
    until_done(w, 3);
    assert_int_equal(w->err.code, ERR_OK);
    assert_int_equal(w->n, 10);
}

static void a_folder_without_an_end_is_left_at_the_limit(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 1, PATIENCE_MS);
    answers(&w->nodes[0],
            ANSWER("200 OK", LISTING(FILE_STATUS("b", "FILE") "," FILE_STATUS("a", "FILE"), "9")));
    hdfs_list(w->hdfs, "/x", 7, on_list, w);
    until_done(w, 1);
    assert_int_equal(w->err.code, ERR_TOO_LARGE);
    assert_int_equal(w->nodes[0].n_requests, 4);
    assert_non_null(strstr(w->nodes[0].requests[1], "op=LISTSTATUS_BATCH&startAfter=a&"));
}

static void a_removal_whose_answer_was_lost_counts(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 2, PATIENCE_MS);
    w->nodes[0].manner = CLOSES;
    answers(&w->nodes[1], ANSWER("200 OK", "{\"boolean\":false}"));
    hdfs_remove(w->hdfs, "/x", false, on_done, w);
    until_done(w, 1);
    assert_int_equal(w->err.code, ERR_OK);
    hdfs_remove(w->hdfs, "/x", false, on_done, w);
    until_done(w, 2);
    assert_int_equal(w->err.code, ERR_NOT_FOUND);
}

/* The node redirects to the second server, which breaks off every transfer. */
static void a_broken_transfer_is_begun_again_where_that_does_no_harm(void **state)
{
    struct world *w = *state;
    char answer[200];
    w->hdfs = open_client(w, 1, SHORT_MS);
    (void)snprintf(answer, sizeof answer,
                   "HTTP/1.1 307 X\r\nLocation: %s/data\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                   w->nodes[1].url);
    answers(&w->nodes[0], answer);
    w->nodes[1].manner = CLOSES;
    hdfs_create(w->hdfs, "/x", "/etc/passwd", true, on_done, w);
    until_done(w, 1);
    assert_int_equal(w->err.code, ERR_IO);
    assert_true(str_starts(w->nodes[1].requests[0], "PUT /data HTTP/1.1"));
    assert_non_null(strstr(w->nodes[0].requests[w->nodes[0].n_requests - 1], "op=CREATE&overwrite=true&"));
    assert_true(w->nodes[1].n_requests > 1);
}

static void a_file_that_is_there_is_not_sent(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 2, PATIENCE_MS);
    answers(&w->nodes[0], IS_STANDBY);
    answers(&w->nodes[1], IS_FILE);
    hdfs_create(w->hdfs, "/x", "/etc/passwd", false, on_done, w);
    until_done(w, 1);
    assert_int_equal(w->err.code, ERR_CONFLICT);
    assert_int_equal(w->nodes[1].n_requests, 1);
}

static void a_callback_may_free_the_client(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 1, PATIENCE_MS);
    w->frees = true;
    answers(&w->nodes[0], IS_FILE);
    hdfs_status(w->hdfs, "/a", on_file, w);
    hdfs_status(w->hdfs, "bad", on_file, w);
    hdfs_list(w->hdfs, "/a", 1, on_list, w);
    until_done(w, 1);
}

static void freed_with_a_transfer_under_way(void **state)
{
    struct world *w = *state;
    char answer[200];
    w->hdfs = open_client(w, 1, PATIENCE_MS);
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 307 X\r\nLocation: %s/d\r\nContent-Length: 0\r\n\r\n",
                   w->nodes[1].url);
    w->nodes[0].manner = ANSWERS;
    w->nodes[0].answer = answer;
    w->nodes[1].manner = IS_SILENT;
    for (int i = 0; i < 12; i++) /* more than there are threads */
        hdfs_create(w->hdfs, "/x", "/etc/passwd", true, on_done, w);
    for (int i = 0; i < 1000 && w->nodes[1].n_requests < 8; i++)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(w->nodes[1].n_requests, 8);
    assert_int_equal(w->n_done, 0); /* end() finds that nothing is left, and no callback comes */
}

static void presence_asks_as_the_contract_says(void **state)
{
    struct world *w = *state;
    w->hdfs = open_client(w, 2, PATIENCE_MS);
    answers(&w->nodes[0], ANSWER("500 X", "{\"beans\":[{\"State\":\"standby\"}]}"));
    answers(&w->nodes[1],
            ANSWER("500 X", "{\"beans\":[{\"State\":\"active\"}],\"FileStatus\":{\"fileId\":null}}"));
    hdfs_ask_presence(w->hdfs, "", on_presence, w);
    until_done(w, 1);
    assert_int_equal(w->presence, HDFS_PRESENT);
    assert_int_equal(w->nodes[0].n_requests, 1);
    assert_int_equal(w->nodes[1].n_requests, 2);
    assert_true(str_starts(w->nodes[0].requests[0],
                           "GET /jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus HTTP/1.1\r\n"));
    assert_true(str_starts(w->nodes[1].requests[1], "GET /webhdfs/v1/?op=GETFILESTATUS&"));
    answers(&w->nodes[1], ANSWER("200 OK", "{\"beans\":[{\"State\":\"active\"}]}"));
    hdfs_ask_presence(w->hdfs, "/x", on_presence, w);
    until_done(w, 2);
    assert_int_equal(w->presence, HDFS_MISSING);
    char *endless = calloc(1, 40000);
    memset(endless, '/', 39999);
    hdfs_ask_presence(w->hdfs, endless, on_presence, w);
    free(endless);
    until_done(w, 3);
    assert_int_equal(w->presence, HDFS_MISSING);
    w->nodes[0].manner = w->nodes[1].manner = CLOSES;
    hdfs_ask_presence(w->hdfs, "/x", on_presence, w);
    until_done(w, 4);
    assert_int_equal(w->presence, HDFS_NO_ACTIVE_NODE);
}

/* ---- memory ---- */

static void start_everything(struct world *w)
{
    hdfs_status(w->hdfs, "/a", on_file, w);
    hdfs_list(w->hdfs, "/a", 10, on_list, w);
    hdfs_read(w->hdfs, "/a", 0, 10, false, on_data, w);
    hdfs_create(w->hdfs, "/a", "/etc/passwd", true, on_done, w);
    hdfs_remove(w->hdfs, "/a", false, on_done, w);
    hdfs_ask_presence(w->hdfs, "/a", on_presence, w);
}

static void every_failing_allocation_is_told(void **state)
{
    struct world *w = *state;
    answers(&w->nodes[0], IS_FILE);
    for (long n = 1; n < 120; n++) {
        unsigned before = w->n_done;
        mem_fail_at(n);
        w->hdfs = open_client(w, 1, 200);
        if (w->hdfs != NULL) {
            server_clear(&w->nodes[0]); /* which keeps only some requests */
            w->nodes[0].n_requests = 0;
            start_everything(w);
            until_done(w, before + 6);
        }
        mem_fail_at(0);
        hdfs_free(w->hdfs);
        w->hdfs = NULL;
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
}

#define ON_NODES(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_encoded_byte_by_byte),
        cmocka_unit_test(paths_that_mislead_are_refused),
        cmocka_unit_test(redirects_lead_to_web_servers_only),
        cmocka_unit_test(a_status_is_read),
        cmocka_unit_test(what_is_no_status_is_refused),
        cmocka_unit_test(a_listing_is_read_in_parts),
        cmocka_unit_test(too_many_values_and_too_much_depth_are_refused),
        cmocka_unit_test(hadoops_exceptions_have_codes),
        cmocka_unit_test(other_refusals_go_by_their_status),
        cmocka_unit_test(the_contracts_two_questions_are_read_to_the_letter),
        ON_NODES(the_node_that_answered_is_asked_first),
        ON_NODES(a_silent_node_leaves_time_for_the_other),
        ON_NODES(when_no_node_can_the_error_names_both),
        ON_NODES(a_server_that_is_no_hdfs_is_told_at_once),
        ON_NODES(a_node_that_is_no_hdfs_does_not_end_the_wait_for_the_other),
        ON_NODES(silence_ends_with_the_time),
        ON_NODES(redirects_without_end_are_left),
        ON_NODES(a_redirect_to_a_file_is_not_followed),
        ON_NODES(a_flood_is_cut),
        ON_NODES(more_bytes_than_asked_for_are_refused),
        ON_NODES(a_folder_without_an_end_is_left_at_the_limit),
        ON_NODES(a_removal_whose_answer_was_lost_counts),
        ON_NODES(a_broken_transfer_is_begun_again_where_that_does_no_harm),
        ON_NODES(a_file_that_is_there_is_not_sent),
        ON_NODES(a_callback_may_free_the_client),
        ON_NODES(freed_with_a_transfer_under_way),
        ON_NODES(presence_asks_as_the_contract_says),
        ON_NODES(every_failing_allocation_is_told),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
