/*
 * Files for a session's driver: named by a path or URI, or sent along. What was sent is kept in the
 * session's folder and goes with it.
 */
#include "livy/livy_internal.h"

#include "base/io.h"
#include "base/mem.h"
#include "loop/work.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static void on_added(const struct err *err, void *arg)
{
    if (err->code == ERR_OK)
        livy_reply_empty(arg, 200);
    else
        livy_reply_error(arg, err);
}

static void add(struct http_request *r, struct session *session, const char *what, const char *uri)
{
    struct err err = {0};
    if (session_add(session, what, uri, on_added, r, &err) != ERR_OK)
        livy_reply_error(r, &err);
}

/* ---- by name ---- */

/* The body's uri, or NULL: it was answered. */
static char *read_uri(struct livy *l, struct http_request *r)
{
    struct err err = {0};
    struct json_in in;
    char *uri = NULL;
    cleanup(json_decrefp) json_t *body = livy_read_body(l, r);
    if (body == NULL)
        return NULL;
    json_in_open(&in, body, &err);
    json_in_str(&in, "uri", &uri);
    enum err_code rc = json_in_end(&in);
    if (rc == ERR_OK && str_blank(uri))
        rc = err_set(&err, ERR_INVALID, "field \"uri\" is required");
    if (rc == ERR_OK)
        return uri;
    mem_free(uri);
    livy_reply_unreadable(r, &err);
    return NULL;
}

static void add_named(struct http_request *r, struct livy *l, const char *what)
{
    struct err err = {0};
    cleanup(mem_freep) char *uri = read_uri(l, r);
    struct session *session = uri != NULL ? livy_find_session(l, r, RIGHT_MODIFY) : NULL;
    if (session == NULL || !session_require_active(r, session))
        return;
    if (door_accept_path(l->door, &uri, &err) == ERR_OK)
        add(r, session, what, uri);
    else
        livy_reply_error(r, &err);
}

void files_add(struct http_request *r, void *arg)
{
    add_named(r, arg, "file");
}

void pyfiles_add(struct http_request *r, void *arg)
{
    add_named(r, arg, "pyfile");
}

void jars_add(struct http_request *r, void *arg)
{
    add_named(r, arg, "jar");
}

/* ---- sent along ---- */

struct upload {
    struct livy *livy;
    struct http_request *request;
    int64_t session;
    const char *what;
    const char *from; /* the temporary file; valid as long as the request */
    const char *name; /* likewise */
    char *folder;     /* the session's, for uploads */
    char *to;         /* made by the worker */
    struct err err;
};

static void upload_free(struct upload *u)
{
    mem_free(u->folder);
    mem_free(u->to);
    mem_free(u);
}

/* Makes a new folder in `parent`, named by the first free number: names of files may repeat. */
static char *make_numbered(const char *parent, struct err *err)
{
    for (unsigned n = 1;; n++) {
        cleanup(mem_freep) char *path = mem_printf("%s/%u", parent, n);
        if (path == NULL) {
            err_set(err, ERR_NOMEM, "out of memory");
            return NULL;
        }
        if (mkdir(path, 0700) == 0) {
            char *made = path;
            path = NULL; /* ownership goes to the caller */
            return made;
        }
        if (errno != EEXIST) {
            err_sys(err, errno, "making %s", path);
            return NULL;
        }
    }
}

static void upload_run(void *arg)
{
    struct upload *u = arg;
    if (io_make_dirs(u->folder, 0700, &u->err) != ERR_OK)
        return;
    cleanup(mem_freep) char *dir = make_numbered(u->folder, &u->err);
    if (dir == NULL)
        return;
    u->to = mem_printf("%s/%s", dir, u->name);
    if (u->to == NULL)
        err_set(&u->err, ERR_NOMEM, "out of memory");
    else if (rename(u->from, u->to) != 0)
        err_sys(&u->err, errno, "keeping the upload as %s", u->to);
}

static void upload_done(void *arg)
{
    struct upload *u = arg;
    const struct app *app = apps_find(u->livy->apps, APP_SESSION, u->session);
    if (u->err.code != ERR_OK)
        livy_reply_error(u->request, &u->err);
    else if (app == NULL)
        livy_reply_gone(u->livy, u->request, APP_SESSION, u->session);
    else
        add(u->request, session_of(u->livy->sessions, app), u->what, u->to);
    upload_free(u);
}

static void keep_upload(struct http_request *r, struct livy *l, struct session *session, const char *what,
                        const struct http_upload *part, const char *name)
{
    struct upload *u = mem_calloc(1, sizeof *u);
    if (u == NULL) {
        http_reply(r, NULL);
        return;
    }
    u->livy = l;
    u->request = r;
    u->session = session_info(session).app->id;
    u->what = what;
    u->from = part->path;
    u->name = name;
    u->folder = session_upload_folder(session);
    if (u->folder == NULL || work_run(l->loop, upload_run, upload_done, u, &u->err) != ERR_OK) {
        upload_free(u);
        http_reply(r, NULL);
    }
}

static void add_sent(struct http_request *r, struct livy *l, const char *part_name, const char *what)
{
    struct err err = {0};
    const char *name = NULL;
    char missing[32];
    struct session *session = livy_find_session(l, r, RIGHT_MODIFY);
    if (session == NULL || !session_require_active(r, session))
        return;
    const struct http_upload *part = http_upload_part(r, part_name);
    (void)snprintf(missing, sizeof missing, "No %s sent!", part_name);
    if (part == NULL)
        livy_reply_text(r, 400, missing);
    else if (value_file_name(part->file_name != NULL ? part->file_name : part_name, &name, &err) != ERR_OK)
        livy_reply_error(r, &err);
    else
        keep_upload(r, l, session, what, part, name);
}

void files_upload(struct http_request *r, void *arg)
{
    add_sent(r, arg, "file", "file");
}

void pyfiles_upload(struct http_request *r, void *arg)
{
    add_sent(r, arg, "file", "pyfile");
}

void jars_upload(struct http_request *r, void *arg)
{
    add_sent(r, arg, "jar", "jar");
}
