#include "hdfs/hdfs_internal.h"

#include "base/mem.h"
#include "base/strs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Whatever is read is over, well or not; what is not an answer may be one at the other node. */
static enum hdfs_verdict verdict_of(enum err_code code)
{
    return code == ERR_IO ? HDFS_BROKEN : HDFS_OVER;
}

static void tell_done(const struct operation *o, const struct err *err)
{
    o->cb.done(err, o->arg);
}

/* ---- status ---- */

static void add_status(const struct operation *o, struct buf *url)
{
    (void)o;
    buf_str(url, "GETFILESTATUS");
}

static enum hdfs_verdict take_status(struct operation *o, const struct http_result *result, struct err *err)
{
    return verdict_of(hdfs_read_status(result->body, result->len, &o->files, err));
}

static void tell_status(const struct operation *o, const struct err *err)
{
    o->cb.file(err, err->code == ERR_OK ? &o->files.items[0] : NULL, o->arg);
}

void hdfs_status(struct hdfs *h, const char *path, hdfs_file_cb *done, void *arg)
{
    static const struct operation_kind kind = {.verb = "looking at",
                                               .method = "GET",
                                               .add_query = add_status,
                                               .take = take_status,
                                               .tell = tell_status};
    (void)hdfs_start(h, &kind, path, (union hdfs_cb){.file = done}, arg);
}

/* ---- listing, part by part ---- */

static void add_list(const struct operation *o, struct buf *url)
{
    buf_str(url, "LISTSTATUS_BATCH");
    if (o->files.n == 0)
        return;
    buf_str(url, "&startAfter=");
    hdfs_add_value(url, o->files.items[o->files.n - 1].name);
}

static int by_name(const void *a, const void *b)
{
    const struct hdfs_file *left = a;
    const struct hdfs_file *right = b;
    return strcmp(left->name, right->name);
}

/* Each part is as long as HDFS likes; so a folder without an end is noticed at `max`. */
static enum hdfs_verdict take_list(struct operation *o, const struct http_result *result, struct err *err)
{
    bool more = false;
    size_t before = o->files.n;
    enum err_code code = hdfs_read_listing(result->body, result->len, &o->files, &more, err);
    if (code == ERR_OK && o->files.n > o->max)
        code = err_set(err, ERR_TOO_LARGE, "more than %zu entries", o->max);
    if (code != ERR_OK) {
        hdfs_files_drop(&o->files, before);
        return verdict_of(code);
    }
    if (more)
        return HDFS_GO_ON;
    if (o->files.n > 0)
        qsort(o->files.items, o->files.n, sizeof o->files.items[0], by_name);
    return HDFS_OVER;
}

static void tell_list(const struct operation *o, const struct err *err)
{
    bool ok = err->code == ERR_OK;
    o->cb.list(err, ok ? o->files.items : NULL, ok ? o->files.n : 0, o->arg);
}

void hdfs_list(struct hdfs *h, const char *path, size_t max, hdfs_list_cb *done, void *arg)
{
    static const struct operation_kind kind = {
        .verb = "listing", .method = "GET", .add_query = add_list, .take = take_list, .tell = tell_list};
    struct operation *o = hdfs_start(h, &kind, path, (union hdfs_cb){.list = done}, arg);
    if (o != NULL)
        o->max = max;
}

/* ---- reading ---- */

/* How many bytes are asked for: one more than wanted tells whether there are more. */
static size_t wanted(const struct operation *o)
{
    return o->flag && o->max < SIZE_MAX / 2 ? o->max + 1 : o->max;
}

static void add_read(const struct operation *o, struct buf *url)
{
    buf_printf(url, "OPEN&offset=%" PRId64 "&length=%zu", o->offset, wanted(o));
}

static enum hdfs_verdict take_read(struct operation *o, const struct http_result *result, struct err *err)
{
    if (result->len > wanted(o)) {
        (void)err_set(err, ERR_IO, "%zu bytes, and %zu were asked for", result->len, wanted(o));
        return HDFS_BROKEN;
    }
    if (result->len > o->max)
        (void)err_set(err, ERR_TOO_LARGE, "more than %zu bytes", o->max);
    o->data = result->body;
    o->len = result->len;
    return HDFS_OVER;
}

/* There is nothing at the end of a file, which HDFS calls an error. */
static enum hdfs_verdict on_read_refused(struct operation *o, struct err *err)
{
    (void)o;
    if (str_starts(err->msg, "Offset=") && strstr(err->msg, " out of the range ") != NULL)
        *err = (struct err){0};
    return HDFS_OVER;
}

static void tell_read(const struct operation *o, const struct err *err)
{
    bool ok = err->code == ERR_OK;
    o->cb.data(err, ok ? o->data : NULL, ok ? o->len : 0, o->arg);
}

void hdfs_read(struct hdfs *h, const char *path, int64_t offset, size_t max, bool whole, hdfs_data_cb *done,
               void *arg)
{
    static const struct operation_kind kind = {.verb = "reading",
                                               .method = "GET",
                                               .add_query = add_read,
                                               .take = take_read,
                                               .on_refusal = on_read_refused,
                                               .tell = tell_read};
    assert(offset >= 0);
    struct operation *o = hdfs_start(h, &kind, path, (union hdfs_cb){.data = done}, arg);
    if (o == NULL)
        return;
    o->offset = offset;
    o->max = max;
    o->flag = whole;
    if (wanted(o) > o->answer_max)
        o->answer_max = wanted(o);
}

/* ---- writing ---- */

static void add_create(const struct operation *o, struct buf *url)
{
    buf_printf(url, "CREATE&overwrite=%s", o->flag ? "true" : "false");
}

/* The node itself takes no data: it names a DataNode that does. */
static enum hdfs_verdict take_create(struct operation *o, const struct http_result *result, struct err *err)
{
    if (o->place != NULL)
        return HDFS_OVER;
    (void)err_set(err, ERR_IO, "HTTP %d, instead of a DataNode that takes the data", result->status);
    return HDFS_BROKEN;
}

static const struct operation_kind create_kind = {.verb = "writing",
                                                  .method = "PUT",
                                                  .sends_file = true,
                                                  .add_query = add_create,
                                                  .take = take_create,
                                                  .tell = tell_done};

static enum hdfs_verdict take_is_there(struct operation *o, const struct http_result *result, struct err *err)
{
    enum err_code code = hdfs_read_status(result->body, result->len, &o->files, err);
    if (code == ERR_OK)
        (void)err_set(err, ERR_CONFLICT, "it is there already");
    return verdict_of(code);
}

static enum hdfs_verdict on_look_refused(struct operation *o, struct err *err)
{
    if (err->code != ERR_NOT_FOUND)
        return HDFS_OVER;
    *err = (struct err){0};
    o->kind = &create_kind;
    return HDFS_GO_ON;
}

/* Before a file is made that must not be there. A DataNode takes all data before it says that the file is
 * there or that its NameNode is standby, and a standby NameNode redirects to it without a word. After that
 * nobody knows whether there is half a file now; so it is asked beforehand. */
static const struct operation_kind look_kind = {.verb = "writing",
                                                .method = "GET",
                                                .add_query = add_status,
                                                .take = take_is_there,
                                                .on_refusal = on_look_refused,
                                                .tell = tell_done};

void hdfs_create(struct hdfs *h, const char *path, const char *local_file, bool overwrite, hdfs_done_cb *done,
                 void *arg)
{
    struct operation *o =
        hdfs_start(h, overwrite ? &create_kind : &look_kind, path, (union hdfs_cb){.done = done}, arg);
    if (o == NULL)
        return;
    o->flag = overwrite;
    o->local_file = mem_strdup(local_file);
    o->no_memory = o->local_file == NULL;
}

/* ---- folders, and removing ---- */

static void add_make(const struct operation *o, struct buf *url)
{
    (void)o;
    buf_str(url, "MKDIRS");
}

static enum hdfs_verdict take_make(struct operation *o, const struct http_result *result, struct err *err)
{
    bool made = false;
    (void)o;
    if (hdfs_read_boolean(result->body, result->len, &made, err) != ERR_OK)
        return HDFS_BROKEN;
    if (!made)
        (void)err_set(err, ERR_CONFLICT, "it was not made");
    return HDFS_OVER;
}

void hdfs_make_folder(struct hdfs *h, const char *path, hdfs_done_cb *done, void *arg)
{
    static const struct operation_kind kind = {
        .verb = "making", .method = "PUT", .add_query = add_make, .take = take_make, .tell = tell_done};
    (void)hdfs_start(h, &kind, path, (union hdfs_cb){.done = done}, arg);
}

static void add_remove(const struct operation *o, struct buf *url)
{
    buf_printf(url, "DELETE&recursive=%s", o->flag ? "true" : "false");
}

/* After a request whose answer was lost there may be nothing left, and it is this operation's doing. */
static enum hdfs_verdict take_remove(struct operation *o, const struct http_result *result, struct err *err)
{
    bool removed = false;
    if (hdfs_read_boolean(result->body, result->len, &removed, err) != ERR_OK)
        return HDFS_BROKEN;
    if (!removed && !o->uncertain)
        (void)err_set(err, ERR_NOT_FOUND, "no such file or folder");
    return HDFS_OVER;
}

void hdfs_remove(struct hdfs *h, const char *path, bool recursive, hdfs_done_cb *done, void *arg)
{
    static const struct operation_kind kind = {.verb = "removing",
                                               .method = "DELETE",
                                               .add_query = add_remove,
                                               .take = take_remove,
                                               .tell = tell_done};
    struct operation *o = hdfs_start(h, &kind, path, (union hdfs_cb){.done = done}, arg);
    if (o != NULL)
        o->flag = recursive;
}
