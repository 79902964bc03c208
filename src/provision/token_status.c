/*
 * GET /v2/validate/{token}/status and GET /v1/provision/{token}/status.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "provision/tokens_internal.h"

#include <string.h>

/* NULL: there is none, and it is answered. */
static struct token *asked_for(struct http_request *r, const struct provision *p, bool validation)
{
    struct token *token = NULL;
    const char *text = http_param(r, 0);
    HASH_FIND_STR(p->tokens->by_text, text, token);
    if (token != NULL && token->request == NULL && (token->operation == OPERATION_VALIDATE) == validation)
        return token;
    reply_one_error(r, 400, "Provision state with id: %s not found.", text);
    return NULL;
}

struct ended {
    json_t *facts;
    int64_t status;
    struct strlist messages; /* errors, or the one error */
    const char *result;      /* or NULL */
};

static void ended_clear(struct ended *e)
{
    strlist_clear(&e->messages);
    json_decref(e->facts);
}

static bool ended_read(const struct token *token, struct ended *ret)
{
    size_t i;
    json_t *item;
    *ret = (struct ended){0};
    if (json_parse(token->facts, strlen(token->facts), TOKEN_FACTS_DEPTH, &ret->facts, NULL) != ERR_OK)
        return false;
    ret->status = json_integer_value(json_object_get(ret->facts, "status"));
    ret->result = json_string_value(json_object_get(ret->facts, "result"));
    json_array_foreach(json_object_get(ret->facts, "errors"), i, item)
    {
        if (json_is_string(item) && strlist_add(&ret->messages, json_string_value(item)) != 0)
            return false;
    }
    const char *error = json_string_value(json_object_get(ret->facts, "error"));
    return error == NULL || strlist_add(&ret->messages, error) == 0;
}

static void write_validation(struct json_out *out, const struct ended *e)
{
    json_out_str(out, "status", e->status == 200 ? "COMPLETED" : "FAILED");
    if (e->status != 200) {
        json_out_null(out, "info");
        return;
    }
    json_out_object(out, "info");
    write_validation_result(out, "publicInfo", &e->messages);
    json_out_end_object(out);
}

static void write_logs(struct json_out *out, const struct strlist *messages, int64_t wall_ms)
{
    char when[CLOCK_TEXT_MAX];
    clock_format(wall_ms, when);
    json_out_array(out, "logs");
    for (size_t i = 0; i < messages->n; i++) {
        json_out_object(out, NULL);
        json_out_str(out, "timestamp", when);
        json_out_str(out, "level", "ERROR");
        json_out_str(out, "message", messages->items[i]);
        json_out_null(out, "phase");
        json_out_end_object(out);
    }
    json_out_end_array(out);
}

static void write_provisioning(struct json_out *out, const struct ended *e, int64_t wall_ms)
{
    bool completed = e->status == 200;
    cleanup(mem_freep) char *messages = strlist_join(&e->messages, "\n");
    json_out_str(out, "status", completed ? "COMPLETED" : "FAILED");
    json_out_str(out, "result", completed ? e->result : messages != NULL ? messages : "");
    json_out_null(out, "info");
    if (completed)
        json_out_null(out, "logs");
    else
        write_logs(out, &e->messages, wall_ms);
}

static void write_running(struct json_out *out, bool validation)
{
    json_out_str(out, "status", "RUNNING");
    if (!validation)
        json_out_str(out, "result", "");
    json_out_null(out, "info");
    if (!validation)
        json_out_null(out, "logs");
}

static void answer_status(struct http_request *r, const struct provision *p, bool validation)
{
    struct ended ended = {0};
    struct token *token = asked_for(r, p, validation);
    if (token == NULL)
        return;
    if (token->ended && !ended_read(token, &ended)) {
        ended_clear(&ended);
        http_reply(r, NULL);
        return;
    }
    cleanup(buf_clear) struct buf body = BUF(2 * TOKEN_FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    if (!token->ended)
        write_running(&out, validation);
    else if (validation)
        write_validation(&out, &ended);
    else
        write_provisioning(&out, &ended, token->changed_ms);
    json_out_end_object(&out);
    ended_clear(&ended);
    reply_json(r, 200, &body);
}

void validate_status(struct http_request *r, void *arg)
{
    answer_status(r, arg, true);
}

void provision_status(struct http_request *r, void *arg)
{
    answer_status(r, arg, false);
}
