/* What the files of the submissions door share. */
#ifndef HEARTH_SUBMISSIONS_SUBMISSIONS_INTERNAL_H
#define HEARTH_SUBMISSIONS_SUBMISSIONS_INTERNAL_H

#include "base/json.h"
#include "spark/submission.h"
#include "submissions/submissions.h"

struct submissions {
    struct submissions_options options;
};

/* ---- submission_id.c: driver-<yyyymmddhhmmss>-<id of the batch, at least 4 digits> ---- */

enum { SUBMISSION_ID_MAX = 64 };

void submission_id_write(const struct app_info *info, char ret[SUBMISSION_ID_MAX]);
/* The number of the batch that such an id could belong to; -1: it is no such id. */
int64_t submission_id_number(const char *id);

/* ---- create_request.c: the body of /create (no state) ---- */

struct create_request {
    struct spark_submission submission; /* without master, deploy mode and proxy user */
    struct strlist unknown_fields;
};

void create_request_clear(struct create_request *c);
/* ERR_INVALID names the field, its value, and what is allowed. */
enum err_code create_request_read(struct create_request *c, json_t *body, struct err *err);

/* ---- create.c ---- */

void submissions_create(struct http_request *r, void *arg);

/* What door keeps with a batch that came in here. */
extern const char submissions_mark[];

/* ---- answers.c ---- */

struct submission_answer {
    const char *action;
    const char *driver_state;
    const char *highest_version;
    const char *message;
    const char *submission_id;
    int success; /* SUBMISSION_… */
    const struct strlist *unknown_fields;
    const char *worker; /* "host:port" */
};

enum { SUBMISSION_UNSAID, SUBMISSION_FAILURE, SUBMISSION_SUCCESS };

/* What is NULL is left out. */
void submissions_reply(const struct submissions *s, struct http_request *r, int status,
                       const struct submission_answer *answer);
/* An ErrorResponse; printf form. */
void submissions_reply_error(const struct submissions *s, struct http_request *r, int status, const char *fmt,
                             ...) __attribute__((format(printf, 4, 5)));
/* The same for what the core refused. */
void submissions_reply_refused(const struct submissions *s, struct http_request *r, const struct err *err);

#endif
