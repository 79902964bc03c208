/*
 * POST /v1/submissions/create: from the request to a batch that is on disk.
 */
#include "submissions/submissions_internal.h"

#include "base/mem.h"

const char submissions_mark[] = "{\"door\":\"submissions\"}";

struct creating {
    struct submissions *submissions;
    struct http_request *request;
    struct strlist unknown_fields;
};

static void creating_free(struct creating *c)
{
    strlist_clear(&c->unknown_fields);
    mem_free(c);
}

static void reply_created(const struct creating *c, const struct app *app)
{
    char id[SUBMISSION_ID_MAX];
    char message[SUBMISSION_ID_MAX + 64];
    submission_id_write(app_info(app), id);
    (void)snprintf(message, sizeof message, "Driver successfully submitted as %s", id);
    submissions_reply(c->submissions, c->request, 200,
                      &(struct submission_answer){
                          .action = "CreateSubmissionResponse",
                          .message = message,
                          .submission_id = id,
                          .success = SUBMISSION_SUCCESS,
                          .unknown_fields = &c->unknown_fields,
                      });
}

static void on_submitted(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg)
{
    struct creating *c = arg;
    (void)id;
    (void)replayed; /* there is no key */
    if (err->code == ERR_OK)
        reply_created(c, app);
    else
        submissions_reply_refused(c->submissions, c->request, err);
    creating_free(c);
}

/* ---- before ---- */

/* The rules of this server, and what it decides for all submissions. */
static enum err_code complete(const struct submissions *s, struct spark_submission *submission,
                              const char *proxy_user, struct err *err)
{
    const struct settings *settings = s->options.settings;
    enum err_code rc = door_check_conf(s->options.door, &submission->conf, err);
    if (rc == ERR_OK && (rc = door_accept_path(s->options.door, &submission->file, err)) != ERR_OK)
        (void)err_wrap(err, "appResource");
    if (rc == ERR_OK)
        rc = door_accept_conf_paths(s->options.door, &submission->conf, err);
    if (rc == ERR_OK && (mem_set_str(&submission->master, settings->spark.master) != 0 ||
                         mem_set_str(&submission->deploy_mode, settings->spark.deploy_mode) != 0 ||
                         mem_set_str(&submission->proxy_user, proxy_user) != 0))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    return rc;
}

/* Takes the unknown fields out of the request, to be told with the answer. */
static enum err_code submit(struct submissions *s, struct http_request *r, struct create_request *wanted,
                            struct err *err)
{
    struct creating *c = mem_calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *c = (struct creating){s, r, wanted->unknown_fields};
    wanted->unknown_fields = (struct strlist){0};
    struct app_request request = {
        .kind = APP_BATCH,
        .owner = http_user(r),
        .proxy_user = wanted->submission.proxy_user,
        .name = wanted->submission.name,
        .submission = &wanted->submission,
        .door = submissions_mark,
    };
    enum err_code rc = apps_submit(s->options.apps, &request, on_submitted, c, err);
    if (rc != ERR_OK)
        creating_free(c);
    return rc;
}

static enum err_code read_request(const struct submissions *s, const struct http_request *r,
                                  struct create_request *wanted, const char *proxy_user, struct err *err)
{
    cleanup(json_decrefp) json_t *body = NULL;
    const struct buf *text = http_body(r);
    enum err_code rc =
        json_parse(buf_cstr(text), text->len, (unsigned)s->options.settings->server.depth_limit, &body, err);
    if (rc == ERR_OK)
        rc = create_request_read(wanted, body, err);
    if (rc == ERR_OK)
        rc = complete(s, &wanted->submission, proxy_user, err);
    if (rc == ERR_INVALID)
        (void)err_wrap(err, "Malformed request");
    return rc;
}

void submissions_create(struct http_request *r, void *arg)
{
    struct submissions *s = arg;
    struct err err = {0};
    const char *proxy_user = NULL;
    cleanup(create_request_clear) struct create_request wanted = {0};
    if (door_proxy_user(s->options.door, r, NULL, &proxy_user, &err) != ERR_OK ||
        read_request(s, r, &wanted, proxy_user, &err) != ERR_OK || submit(s, r, &wanted, &err) != ERR_OK)
        submissions_reply_refused(s, r, &err);
}
