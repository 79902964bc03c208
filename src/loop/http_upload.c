/*
 * Bodies that go to disk: multipart/form-data is taken apart by libmicrohttpd as it comes, and each part
 * is written to a file of its own.
 *
 * Once something is wrong the files are removed, and the rest of the body is read and dropped: a client
 * that is still sending would not see the answer. It has request_timeout_ms for that, not longer.
 */
#include "loop/http_internal.h"

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    PARTS_MAX = 8,
    PARSER_MEMORY = 64 * 1024, /* also the largest piece that is written at once */
};

struct part {
    struct http_upload shown; /* points to the three below */
    char *name;
    char *file_name;
    char *path;
};

struct upload {
    struct http_server *server;
    struct MHD_PostProcessor *parser; /* NULL: the body is not multipart/form-data */
    int64_t received;                 /* bytes of the body */
    struct err err;
    struct part parts[PARTS_MAX];
    size_t n;
    int fd; /* of the last part while it is being received; -1: what comes is dropped */
};

static void close_part(struct upload *u)
{
    io_closep(&u->fd);
    u->fd = -1;
}

static void remove_parts(struct upload *u)
{
    close_part(u);
    for (size_t i = 0; i < u->n; i++) {
        struct part *p = &u->parts[i];
        (void)unlink(p->path); /* renamed: it is not there any more */
        mem_free(p->name);
        mem_free(p->file_name);
        mem_free(p->path);
    }
    u->n = 0;
}

static enum err_code open_part(struct upload *u, const char *name, const char *file_name)
{
    struct http_server *s = u->server;
    struct part p = {.name = mem_strdup(name),
                     .file_name = file_name != NULL ? mem_strdup(file_name) : NULL,
                     .path = mem_printf("%s/%" PRIu64, s->upload_dir, ++s->n_uploads)};
    p.shown = (struct http_upload){.part = p.name, .file_name = p.file_name, .path = p.path};
    if (p.name == NULL || p.path == NULL || (file_name != NULL && p.file_name == NULL))
        err_set(&u->err, ERR_NOMEM, "out of memory");
    else if ((u->fd = open(p.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        err_sys(&u->err, errno, "creating %s", p.path);
    if (u->err.code != ERR_OK) {
        mem_free(p.name);
        mem_free(p.file_name);
        mem_free(p.path);
        return u->err.code;
    }
    u->parts[u->n++] = p;
    return ERR_OK;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* libmicrohttpd may report the begin of a part twice, first without bytes. */
static bool begins_again(const struct upload *u, const char *name, const char *file_name)
{
    const struct part *last = u->n > 0 ? &u->parts[u->n - 1] : NULL;
    return last != NULL && u->fd >= 0 && last->shown.size == 0 && same(last->name, name) &&
           same(last->file_name, file_name);
}

static enum MHD_Result on_data(void *arg, enum MHD_ValueKind kind, const char *name, const char *file_name,
                               const char *content_type, const char *encoding, const char *data,
                               uint64_t offset, size_t n)
{
    (void)kind;
    (void)content_type;
    (void)encoding;
    struct upload *u = arg;
    if (offset == 0 && !begins_again(u, name, file_name)) {
        close_part(u);
        if (name != NULL && u->n < PARTS_MAX && open_part(u, name, file_name) != ERR_OK)
            return MHD_NO;
    }
    if (u->fd < 0)
        return MHD_YES;
    if (io_write_all(u->fd, data, n, &u->err) != ERR_OK)
        return MHD_NO;
    u->parts[u->n - 1].shown.size += (int64_t)n;
    return MHD_YES;
}

/* What went wrong is in u->err: nothing of the upload is kept. */
static void give_up(struct upload *u)
{
    if (u->err.code == ERR_IO) {
        (void)err_wrap(&u->err, "keeping the upload");
        log_warn("an upload was refused", LOG_S("why", u->err.msg));
    }
    remove_parts(u);
}

static enum err_code too_large(struct upload *u)
{
    return err_set(&u->err, ERR_TOO_LARGE,
                   "the upload is larger than sessions.upload_limit, %" PRId64 " bytes",
                   u->server->upload_limit);
}

static enum err_code make_parser(struct upload *u, struct http_request *r)
{
    static const char multipart[] = "multipart/form-data";
    const char *type = http_header(r, "Content-Type");
    if (type == NULL || strncasecmp(type, multipart, sizeof multipart - 1) != 0)
        return ERR_OK;
    const char *boundary = strstr(type, "boundary="); /* libmicrohttpd takes all that follows */
    if (boundary == NULL || strlen(boundary) > 256 || strchr(boundary, ';') != NULL)
        return err_set(&u->err, ERR_INVALID, "Content-Type: %s must end with a boundary", multipart);
    u->parser = MHD_create_post_processor(r->connection, PARSER_MEMORY, on_data, u);
    return u->parser != NULL
               ? ERR_OK
               : err_set(&u->err, ERR_INVALID, "Content-Type: %s has a bad boundary", multipart);
}

enum err_code upload_begin(struct http_request *r, struct upload **ret, struct err *err)
{
    struct upload *u = mem_calloc(1, sizeof *u);
    if (u == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    u->server = r->server;
    u->fd = -1;
    const char *announced = http_header(r, "Content-Length");
    int64_t length = 0;
    if (u->server->upload_dir == NULL)
        err_set(&u->err, ERR_INTERNAL, "this server has no folder for uploads");
    else if (announced != NULL && (parse_i64(announced, 0, INT64_MAX, &length, NULL) != ERR_OK ||
                                   length > u->server->upload_limit))
        too_large(u);
    else
        make_parser(u, r);
    *ret = u;
    *err = u->err;
    return u->err.code;
}

bool upload_take(struct upload *u, const char *data, size_t n)
{
    if (u->err.code != ERR_OK)
        return false;
    u->received += (int64_t)n;
    if (u->received > u->server->upload_limit)
        too_large(u);
    else if (u->parser != NULL && MHD_post_process(u->parser, data, n) != MHD_YES && u->err.code == ERR_OK)
        err_set(&u->err, ERR_INVALID, "the body is not valid multipart/form-data");
    if (u->err.code == ERR_OK)
        return true;
    give_up(u);
    return false;
}

enum err_code upload_end(struct upload *u, struct err *err)
{
    close_part(u);
    if (u->parser != NULL && MHD_destroy_post_processor(u->parser) != MHD_YES && u->err.code == ERR_OK) {
        err_set(&u->err, ERR_INVALID, "the multipart/form-data body ends too early");
        remove_parts(u);
    }
    u->parser = NULL;
    *err = u->err;
    return u->err.code;
}

void upload_free(struct upload *u)
{
    if (u == NULL)
        return;
    remove_parts(u);
    if (u->parser != NULL)
        (void)MHD_destroy_post_processor(u->parser); /* not read to its end, which is known */
    mem_free(u);
}

const struct http_upload *http_upload_part(const struct http_request *r, const char *part)
{
    for (size_t i = 0; r->upload != NULL && i < r->upload->n; i++) {
        if (strcmp(r->upload->parts[i].name, part) == 0)
            return &r->upload->parts[i].shown;
    }
    return NULL;
}

enum err_code http_set_uploads(struct http_server *s, const struct http_upload_options *options,
                               struct err *err)
{
    if (io_remove_tree(options->dir, err) != ERR_OK || io_make_dirs(options->dir, 0700, err) != ERR_OK)
        return err_wrap(err, "the folder for uploads");
    s->upload_limit = options->limit;
    return mem_set_str(&s->upload_dir, options->dir) == 0 ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}
