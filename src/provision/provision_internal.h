/*
 * What the files of the provisioner share.
 *
 *     request body ──► message ──► descriptor ──► rules ──► job (a schedule) ──► result text
 *                      messages.c  yaml_*.c        rules.c   job_spec.c           result.c
 *                                  descriptor.c    dates.c
 *                                                  jar.c
 *                      └──────────────── operation.c runs all of it ───────────────┘
 *
 *   operation.c    validate, provision, unprovision: from a request to an outcome, whoever asked for it
 *   routes.c       calls that wait for their outcome
 *   tokens.c       calls that get a token instead (tokens_internal.h)
 *   livy_post.c    jobs that run on another Livy server
 *   jobs.c         what /v1/scheduler shows
 *   answers.c      the forms of answers
 */
#ifndef HEARTH_PROVISION_PROVISION_INTERNAL_H
#define HEARTH_PROVISION_PROVISION_INTERNAL_H

#include "base/json.h"
#include "base/strs.h"
#include "hdfs/hdfs.h"
#include "provision/provision.h"
#include "schedule/trigger.h"
#include "spark/submission.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const char provision_door_name[]; /* "provision": the door of its schedules */

struct tokens;
struct livy_post;
struct operation_run;

struct provision {
    struct provision_options options;
    struct hdfs *hdfs; /* NULL: no NameNodes are set */
    struct tokens *tokens;
    struct livy_post *livy_post; /* NULL: jobs run here */
    struct operation_run *runs;  /* operations under way */
    bool stopped;
};

/* ---- yaml_json.c, yaml_scalar.c: YAML 1.1 text of one document as JSON (no state) ---- */

enum {
    YAML_DEPTH_MAX = 100,      /* of nested lists and maps */
    YAML_VALUES_MAX = 1000000, /* scalars, lists, maps and aliases together */
    YAML_ANCHORS_MAX = 1000,
    YAML_REPEATED_MAX = 16 << 20, /* bytes of texts that aliases and merged maps stand for */
};

/* Scalars keep their type: plain 0.1 is a number, a plain timestamp and what is quoted are texts. An alias
 * stands for the very value of its anchor, which is never copied. ERR_INVALID with line and words; or
 * ERR_NOMEM. */
enum err_code yaml_to_json(const char *text, size_t len, json_t **ret, struct err *err);

/* What a plain scalar without a tag is. NULL: out of memory, or it is no UTF-8. */
json_t *yaml_plain_scalar(const char *text, size_t len);

/* ---- descriptor.c: the part of a descriptor that counts (no state) ---- */

struct optional_count {
    bool given;
    int32_t value;
};

struct job_schedule {
    char *cron, *start, *end; /* as they were written; all three, or none */
};

struct component {
    char *id;
    char *job_name, *jar, *class_name;
    char *queue;                     /* "" when there is none */
    bool has_args, has_dependencies; /* given, perhaps as empty lists */
    struct strlist args;
    struct strlist dependencies;
    struct strmap conf;
    struct optional_count driver_cores, executor_cores, num_executors;
    char *driver_memory, *executor_memory, *log_level; /* NULL: not given */
    bool has_schedule;
    struct job_schedule schedule;
};

struct descriptor {
    char *group;       /* name of the data product */
    char *environment; /* of the data product */
    bool has_component;
    struct component component;
};

/* ERR_INVALID when it cannot be decoded (the words are for logs; clients get descriptor_undecodable). A
 * descriptor without the wanted component is fine. ERR_NOMEM. */
enum err_code descriptor_read(const char *text, struct descriptor *ret, struct err *err);
void descriptor_clear(struct descriptor *d);
extern const char descriptor_undecodable[]; /* the one message for all of them */

/* ---- dates.c: YYYY-MM-DDTHH:MM:SSZ (no state) ---- */

/* An overflowing day or hour rolls over. False when it does not match. */
bool date_read(const char *text, int64_t *ret_s);

/* ---- jar.c: java.net.URI as far as it is needed (no state) ---- */

struct jar {
    char *scheme; /* NULL: none, it is a path of this machine */
    char *path;   /* decoded; "" when there is none */
};

/* ERR_INVALID: it is no URI; ERR_NOMEM. */
enum err_code jar_read(const char *text, struct jar *ret, struct err *err);
void jar_clear(struct jar *j);

/* ---- rules.c ---- */

enum rule {
    RULE_COMPONENT = 1,
    RULE_JOB_NAME,
    RULE_DRIVER_CORES,
    RULE_DRIVER_MEMORY,
    RULE_EXECUTOR_CORES,
    RULE_EXECUTOR_MEMORY,
    RULE_NUM_EXECUTORS,
    RULE_CRON,
    RULE_DATES,
    RULE_NAMENODE,
    RULE_FILE,
    RULES_END
};
const char *rule_message(enum rule rule);

/* The rules up to RULE_DATES. failed[rule] becomes true for those that are broken. */
void rules_check(const struct descriptor *d, bool failed[RULES_END]);

/* RULE_NAMENODE and RULE_FILE as far as no other server is asked; may block on the disk. *ret_path is set
 * when HDFS has to be asked (the caller frees it with mem_free). */
enum err_code rules_check_file(const struct descriptor *d, bool failed[RULES_END], char **ret_path,
                               struct err *err);

/* ---- job_data.c: what a job runs (no state) ---- */

struct job_data {
    char *class_name, *jar_path, *driver_memory, *executor_memory, *name, *queue;
    struct strlist args;
    struct strlist jars; /* the dependencies as full URIs */
    struct strmap conf;
    int64_t driver_cores, executor_cores, num_executors;
};
void job_data_clear(struct job_data *d);

/* Of a component, with every default filled in. `strict`: without its conf and dependencies. ERR_NOMEM. */
enum err_code job_data_make(const struct component *c, bool strict, struct job_data *ret, struct err *err);

/* As JSON, which the schedule keeps as its task:
 *   {"className":…,"jarPath":…,"jobArgs":[…],"driverMemory":…,"driverCores":n,"executorMemory":…,
 *    "executorCores":n,"numExecutors":n,"conf":{…},"name":…,"queue":…}
 * and "jars":[…] behind it when there are any. NULL: out of memory; the caller frees it with mem_free. */
char *job_data_text(const struct job_data *d);
enum err_code job_data_read(const char *text, struct job_data *ret, struct err *err);

/* "<job name>-<instant in UTC as yyyy-MM-dd hh:mm:ss AM>"; NULL: out of memory. */
char *job_run_name(const char *job_name, int64_t wall_ms);

/* ---- result.c: the text in `result` (no state) ---- */

/* `first_ms`: the first fire time; TRIGGER_NEVER: the job is destroyed, not created. NULL: out of memory; the
 * caller frees it with mem_free. */
char *result_text(const struct component *c, const struct job_data *d, int64_t first_ms);
/* Date.toString() of an instant in the zone of the process: "Tue Jan 01 02:30:00 UTC 2030". */
enum { JAVA_DATE_MAX = 64 };
void java_date_text(int64_t instant_s, char ret[JAVA_DATE_MAX]);

/* ---- operation.c ---- */

enum operation { OPERATION_VALIDATE, OPERATION_PROVISION, OPERATION_UNPROVISION };
const char *operation_name(enum operation operation); /* "validate", "provision", "unprovision" */

/* What became of one: what the call that waits answers with. */
struct outcome {
    int status;                   /* HTTP: 200; 400 and others below 500; 500 and above */
    const struct strlist *errors; /* messages; of validate with 200 (none: it is valid), and below 500 */
    const char *result;           /* of the others with 200 */
    const char *error;            /* the SystemError's text, with 500 and above */
};
/* The outcome is borrowed for the time of the call. */
typedef void outcome_cb(const struct outcome *outcome, void *arg);

struct operation_request {
    enum operation operation;
    const char *descriptor; /* YAML text */
    const char *owner;      /* who asks; NULL: may do everything */
    const char *proxy_user; /* as whom the job runs, whose rights count then; or NULL */
    int64_t since_ms; /* it was begun then by a server that has ended, and what that has done is not done
                         again; 0: it is new */
};
/* Called back once, perhaps at once. Nothing of the request is needed after the call. */
void operation_run(struct provision *p, const struct operation_request *request, outcome_cb *done, void *arg);
/* Ends those that wait for HDFS, which has been let go of. */
void operations_stop(struct provision *p);

/* ---- job_spec.c ---- */

/* The schedule that a component becomes. ERR_INVALID: hearth's own core would not run it; ERR_NOMEM. */
enum err_code job_spec_make(const struct provision *p, const struct descriptor *d,
                            const struct job_data *data, const struct operation_request *who,
                            struct schedule_spec *ret, struct err *err);

/* What hearth's own core runs for such a schedule, by the rules of this server as they are now: it may have
 * been provisioned when its jobs ran elsewhere. Errors as above. */
enum err_code job_submission_make(const struct provision *p, const struct schedule_spec *spec,
                                  struct spark_submission *ret, struct err *err);

/* ---- messages.c: bodies of requests (no state) ---- */

struct provisioning_request {
    char *descriptor;
};
struct message_problem {
    int status;     /* 400, 422; 503: out of memory */
    char text[512]; /* the body of the answer */
};

/* False: what to answer is in `problem`. */
bool provisioning_request_read(const struct buf *body, unsigned max_depth, struct provisioning_request *ret,
                               struct message_problem *problem);
void provisioning_request_clear(struct provisioning_request *request);
bool update_acl_check(const struct buf *body, unsigned max_depth, struct message_problem *problem);
bool reverse_provisioning_check(const struct buf *body, unsigned max_depth, struct message_problem *problem);

/* ---- answers.c ---- */

#define PROVISION_JSON "application/json"

void reply_text(struct http_request *r, int status, const char *text); /* text/plain */
/* Takes the body's memory. */
void reply_json(struct http_request *r, int status, struct buf *body);
void reply_not_implemented(struct http_request *r, void *arg);
/* RequestValidationError. */
void reply_errors(struct http_request *r, int status, const struct strlist *errors);
void reply_one_error(struct http_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* SystemError. */
void reply_system_error(struct http_request *r, int status, const char *error);
/* A ValidationResult, as a member `key` or at the top. */
void write_validation_result(struct json_out *out, const char *key, const struct strlist *errors);
/* YYYY-MM-DDTHH:MM:SSZ; null for TRIGGER_NEVER, TRIGGER_NOT_YET, and what has no such form. */
void write_instant(struct json_out *out, const char *key, int64_t wall_ms);
/* ValidationResult, ProvisioningStatus, RequestValidationError or SystemError: the answer of a call that
 * waited. */
void reply_outcome(struct http_request *r, enum operation operation, const struct outcome *outcome);

enum {
    TOKEN_BYTES = 16, /* random ones; nobody guesses them */
    TOKEN_TEXT_MAX = 2 * TOKEN_BYTES + 1,
};
/* ERR_IO: the system has no random bytes. */
enum err_code token_draw(char ret[TOKEN_TEXT_MAX], struct err *err);

/* ---- tokens.c: calls that get a token (provision_open/stop/free call these) ---- */

/* What had not ended when the last server did begins again with the first turn of the loop. */
enum err_code tokens_open(struct provision *p, struct tokens **ret, struct err *err);
void tokens_stop(struct tokens *t); /* NULL is fine */
void tokens_free(struct tokens *t); /* NULL is fine */
/* Begins the operation in the background, and answers with 202 and its token. Nothing of the request is
 * needed after the call. */
void tokens_begin(struct provision *p, struct http_request *r, const struct operation_request *request);
/* GET /v2/validate/{token}/status, GET /v1/provision/{token}/status; arg is the struct provision. */
void validate_status(struct http_request *r, void *arg);
void provision_status(struct http_request *r, void *arg);

/* ---- livy_post.c: jobs that another Livy server runs ---- */

/* Only when provision.livy_url is set. */
enum err_code livy_post_open(struct provision *p, struct livy_post **ret, struct err *err);
void livy_post_stop(struct livy_post *l); /* NULL is fine */
void livy_post_free(struct livy_post *l); /* NULL is fine */
/* schedule_door.run; arg is the struct provision. */
void livy_post_run(void *arg, const struct schedule_view *schedule, const struct fire_view *fire);
/* schedule_door.room; arg is the struct provision. */
size_t livy_post_room(void *arg);
/* True while the post of that fire is on its way; not while it waits for others. */
bool livy_post_is_under_way(const struct livy_post *l, int64_t schedule, int64_t number);
/* Member `lastSubmission` of a Job, from its fires, newest first. */
void last_submission_write(const struct fire_view *fires, size_t n, struct json_out *out);

/* ---- routes.c, jobs.c ---- */

void provision_mount(struct provision *p);
/* GET /v1/scheduler/jobs, …/jobs/{group}/{name}, …/triggers/{group}/{name}, POST
 * …/jobs/{group}/{name}/triggers; arg is the struct provision. */
void jobs_list(struct http_request *r, void *arg);
void jobs_get(struct http_request *r, void *arg);
void jobs_trigger(struct http_request *r, void *arg);
void triggers_get(struct http_request *r, void *arg);

#endif
