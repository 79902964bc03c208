/*
 * The calls of the provisioner's API that wait for their outcome, those that are not implemented, and what is
 * answered to addresses that are none.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"

#include <string.h>

/* ---- validate, provision, unprovision ---- */

struct call {
    struct http_request *request;
    enum operation operation;
};

static void on_outcome(const struct outcome *outcome, void *arg)
{
    struct call call = *(struct call *)arg;
    mem_free(arg);
    reply_outcome(call.request, call.operation, outcome);
}

static unsigned depth_limit(const struct provision *p)
{
    return (unsigned)p->options.settings->server.depth_limit;
}

/* Answers now when the body cannot be read. */
static bool read_request(const struct provision *p, struct http_request *r, struct provisioning_request *ret)
{
    struct message_problem problem = {0};
    if (provisioning_request_read(http_body(r), depth_limit(p), ret, &problem))
        return true;
    reply_text(r, problem.status, problem.text);
    return false;
}

static void begin(struct provision *p, struct http_request *r, const struct operation_request *request)
{
    struct call *call = mem_calloc(1, sizeof *call);
    if (call == NULL) {
        http_reply(r, NULL);
        return;
    }
    *call = (struct call){r, request->operation};
    operation_run(p, request, on_outcome, call);
}

/* "Prefer: respond-async", perhaps among others. */
static bool wants_token(const struct http_request *r)
{
    static const char wanted[] = "respond-async";
    const char *at = http_header(r, "Prefer");
    for (; at != NULL && *at != '\0'; at += *at == ',') {
        at += strspn(at, " \t");
        size_t n = strcspn(at, ",");
        if (strncasecmp(at, wanted, strlen(wanted)) == 0 && strspn(at + strlen(wanted), " \t;,") > 0)
            return true;
        if (n == strlen(wanted) && strncasecmp(at, wanted, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static void handle(struct provision *p, struct http_request *r, enum operation operation, bool by_token)
{
    struct err err = {0};
    struct operation_request request = {.operation = operation, .owner = http_user(r)};
    struct provisioning_request body = {0};
    if (door_proxy_user(p->options.door, r, NULL, &request.proxy_user, &err) != ERR_OK) {
        reply_one_error(r, err_http_status(err.code), "%s", err.msg);
        return;
    }
    if (!read_request(p, r, &body))
        return;
    request.descriptor = body.descriptor;
    if (by_token)
        tokens_begin(p, r, &request);
    else
        begin(p, r, &request);
    provisioning_request_clear(&body);
}

static void validate(struct http_request *r, void *arg)
{
    handle(arg, r, OPERATION_VALIDATE, false);
}

static void validate_by_token(struct http_request *r, void *arg)
{
    handle(arg, r, OPERATION_VALIDATE, true);
}

static void provision(struct http_request *r, void *arg)
{
    handle(arg, r, OPERATION_PROVISION, wants_token(r));
}

static void unprovision(struct http_request *r, void *arg)
{
    handle(arg, r, OPERATION_UNPROVISION, wants_token(r));
}

/* ---- not implemented, but the body is looked at ---- */

static void update_acl(struct http_request *r, void *arg)
{
    struct message_problem problem = {0};
    if (update_acl_check(http_body(r), depth_limit(arg), &problem))
        reply_not_implemented(r, arg);
    else
        reply_text(r, problem.status, problem.text);
}

static void reverse_provisioning(struct http_request *r, void *arg)
{
    struct message_problem problem = {0};
    if (reverse_provisioning_check(http_body(r), depth_limit(arg), &problem))
        reply_not_implemented(r, arg);
    else
        reply_text(r, problem.status, problem.text);
}

/* ---- others ---- */

static void health(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, http_answer_empty(200, NULL));
}

/* Addresses that look like this API's. */
static bool not_found(struct http_request *r, void *arg)
{
    static const char *const begins[] = {"/v1/", "/v2"};
    (void)arg;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (str_starts(http_path(r), begins[i])) {
            reply_text(r, 404, "Not found");
            return true;
        }
    return false;
}

static const struct http_route routes[] = {
    {"GET", "/health", health, "The server answers", false},
    {"POST", "/v1/validate", validate, "Validate a component of a descriptor", false},
    {"POST", "/v1/provision", provision, "Schedule the job of a component, or replace it", false},
    {"GET", "/v1/provision/{token}/status", provision_status, "What became of provisioning", false},
    {"POST", "/v1/unprovision", unprovision, "Delete the job of a component", false},
    {"POST", "/v1/updateacl", update_acl, "500: not implemented", false},
    {"POST", "/v2/validate", validate_by_token, "Validate in the background", false},
    {"GET", "/v2/validate/{token}/status", validate_status, "What became of validation", false},
    {"POST", "/v1/reverse-provisioning", reverse_provisioning, "500: not implemented", false},
    {"GET", "/v1/reverse-provisioning/{token}/status", reply_not_implemented, "500: not implemented", false},
    {"GET", "/v1/scheduler/jobs", jobs_list, "The provisioned jobs", false},
    {"GET", "/v1/scheduler/jobs/{group}/{name}", jobs_get, "One of them", false},
    {"POST", "/v1/scheduler/jobs/{group}/{name}/triggers", jobs_trigger, "Run one now", false},
    {"GET", "/v1/scheduler/triggers/{group}/{name}", triggers_get, "The trigger of a job", false},
};

void provision_mount(struct provision *p)
{
    http_mount(p->options.server, routes, sizeof routes / sizeof *routes, p);
    http_set_not_found(p->options.server, not_found, p);
}
