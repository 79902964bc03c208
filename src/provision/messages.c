/*
 * Bodies of requests. What is not JSON is a 400, JSON of another form a 422 that names the first field that
 * is wrong; fields that are not known are passed over.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

void provisioning_request_clear(struct provisioning_request *request)
{
    mem_freep(&request->descriptor);
}

static bool malformed(struct message_problem *problem)
{
    problem->status = 400;
    (void)snprintf(problem->text, sizeof problem->text, "The request body was malformed.");
    return false;
}

static bool no_memory(struct message_problem *problem)
{
    problem->status = 503;
    (void)snprintf(problem->text, sizeof problem->text, "out of memory");
    return false;
}

__attribute__((format(printf, 3, 4))) static bool invalid(struct message_problem *problem, const char *path,
                                                          const char *fmt, ...)
{
    char what[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    problem->status = 422;
    (void)snprintf(problem->text, sizeof problem->text, "The request body was invalid. %s: DownField(%s)",
                   what, path);
    return false;
}

/* NULL: the answer is in `problem`. */
static json_t *read_body(const struct buf *body, unsigned max_depth, struct message_problem *problem)
{
    json_t *value = NULL;
    if (json_parse(buf_cstr(body), body->len, max_depth, &value, NULL) != ERR_OK)
        (void)malformed(problem);
    return value;
}

/* ---- fields ---- */

static const char *type_words(json_type type)
{
    static const char *const words[] = {
        [JSON_OBJECT] = "object",  [JSON_ARRAY] = "array", [JSON_STRING] = "string",
        [JSON_INTEGER] = "number", [JSON_REAL] = "number", [JSON_TRUE] = "boolean",
        [JSON_FALSE] = "boolean",  [JSON_NULL] = "null",
    };
    return words[type];
}

/* JSON_TRUE stands for both booleans. */
static bool is_type(const json_t *value, json_type type)
{
    return json_typeof(value) == type || (type == JSON_TRUE && json_is_false(value));
}

static bool check_type(const json_t *value, const char *name, json_type type, struct message_problem *problem)
{
    return is_type(value, type) ||
           invalid(problem, name, "Got a value of type %s with wrong type, expecting %s",
                   type_words(json_typeof(value)), type_words(type));
}

static bool require(const json_t *object, const char *name, json_type type, struct message_problem *problem)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL)
        return invalid(problem, name, "Missing required field");
    return check_type(value, name, type, problem);
}

static bool allow(const json_t *object, const char *name, json_type type, struct message_problem *problem)
{
    const json_t *value = json_object_get(object, name);
    return value == NULL || json_is_null(value) || check_type(value, name, type, problem);
}

/* ---- the messages ---- */

static bool check_kind(const json_t *object, struct message_problem *problem)
{
    static const char name[] = "descriptorKind";
    static const char *const kinds[] = {"DATAPRODUCT_DESCRIPTOR", "COMPONENT_DESCRIPTOR",
                                        "DATAPRODUCT_DESCRIPTOR_WITH_RESULTS"};
    if (!require(object, name, JSON_STRING, problem))
        return false;
    const char *kind = json_string_value(json_object_get(object, name));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return invalid(problem, name, "%.200s not a member of DescriptorKind", kind);
}

bool provisioning_request_read(const struct buf *body, unsigned max_depth, struct provisioning_request *ret,
                               struct message_problem *problem)
{
    cleanup(json_decrefp) json_t *object = read_body(body, max_depth, problem);
    if (object == NULL || !check_kind(object, problem) ||
        !require(object, "descriptor", JSON_STRING, problem) ||
        !allow(object, "latestEnrichedDescriptor", JSON_STRING, problem) ||
        !require(object, "removeData", JSON_TRUE, problem))
        return false;
    ret->descriptor = mem_strdup(json_string_value(json_object_get(object, "descriptor")));
    return ret->descriptor != NULL || no_memory(problem);
}

bool update_acl_check(const struct buf *body, unsigned max_depth, struct message_problem *problem)
{
    size_t i;
    const json_t *ref;
    cleanup(json_decrefp) json_t *object = read_body(body, max_depth, problem);
    if (object == NULL || !require(object, "refs", JSON_ARRAY, problem))
        return false;
    json_array_foreach(json_object_get(object, "refs"), i, ref)
    {
        if (!check_type(ref, "refs", JSON_STRING, problem))
            return false;
    }
    const json_t *info = json_object_get(object, "provisionInfo");
    return require(object, "provisionInfo", JSON_OBJECT, problem) &&
           require(info, "request", JSON_STRING, problem) && require(info, "result", JSON_STRING, problem);
}

bool reverse_provisioning_check(const struct buf *body, unsigned max_depth, struct message_problem *problem)
{
    cleanup(json_decrefp) json_t *object = read_body(body, max_depth, problem);
    return object != NULL && require(object, "useCaseTemplateId", JSON_STRING, problem) &&
           require(object, "environment", JSON_STRING, problem) &&
           allow(object, "params", JSON_OBJECT, problem) &&
           allow(object, "catalogInfo", JSON_OBJECT, problem);
}
