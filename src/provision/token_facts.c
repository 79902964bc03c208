/*
 * What is kept of a token, as JSON: {"operation":…,"number":n,"owner":…,"proxyUser":…,"descriptor":…} until
 * it has ended, then {"operation":…,"number":n,"status":n,"errors":[…],"result":…,"error":…}.
 */
#include "base/mem.h"
#include "provision/tokens_internal.h"

#include <string.h>

char *token_request_facts(const struct token *token)
{
    cleanup(buf_clear) struct buf text = BUF(TOKEN_FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_str(&out, "operation", operation_name(token->operation));
    json_out_int(&out, "number", token->number);
    json_out_str(&out, "owner", token->user);
    json_out_str(&out, "proxyUser", token->proxy_user);
    json_out_str(&out, "descriptor", token->descriptor);
    json_out_end_object(&out);
    return buf_steal(&text);
}

char *token_outcome_facts(const struct token *token, const struct outcome *outcome)
{
    static const struct strlist none = {0};
    cleanup(buf_clear) struct buf text = BUF(TOKEN_FACTS_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_str(&out, "operation", operation_name(token->operation));
    json_out_int(&out, "number", token->number);
    json_out_int(&out, "status", outcome->status);
    json_out_list(&out, "errors", outcome->errors != NULL ? outcome->errors : &none);
    json_out_str(&out, "result", outcome->result);
    json_out_str(&out, "error", outcome->error);
    json_out_end_object(&out);
    return buf_steal(&text);
}

static bool operation_find(const char *name, enum operation *ret)
{
    static const enum operation all[] = {OPERATION_VALIDATE, OPERATION_PROVISION, OPERATION_UNPROVISION};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (str_same(name, operation_name(all[i]))) {
            *ret = all[i];
            return true;
        }
    return false;
}

/* Copies a text of the facts; false: out of memory. */
static bool copy_fact(const json_t *facts, const char *name, char **ret)
{
    return mem_set_str(ret, json_string_value(json_object_get(facts, name))) == 0;
}

enum err_code token_read_facts(struct token *token, const char *text, struct err *err)
{
    json_t *facts = NULL;
    enum err_code rc = json_parse(text, strlen(text), TOKEN_FACTS_DEPTH, &facts, err);
    if (rc != ERR_OK)
        return rc;
    token->number = json_integer_value(json_object_get(facts, "number"));
    if (!operation_find(json_string_value(json_object_get(facts, "operation")), &token->operation))
        rc = err_set(err, ERR_INVALID, "no operation of that name");
    else if (token->ended)
        rc = mem_set_str(&token->facts, text) == 0 ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
    else if (!copy_fact(facts, "descriptor", &token->descriptor) ||
             !copy_fact(facts, "owner", &token->user) || !copy_fact(facts, "proxyUser", &token->proxy_user))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    else if (token->descriptor == NULL)
        rc = err_set(err, ERR_INVALID, "it has no descriptor");
    json_decref(facts);
    return rc;
}
