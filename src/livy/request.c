/*
 * What the creation of batches and of sessions have in common: the request's key, the way to the core, and
 * the answer.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the request's key ---- */

bool request_key_read(struct http_request *r, struct request_key *key)
{
    const char *text = http_header(r, "Idempotency-Key");
    key->given = text != NULL;
    if (text == NULL)
        return true;
    if (text[0] == '\0' || strlen(text) > 255) {
        livy_reply_msg(r, 400, "Idempotency-Key has %zu characters; it must have 1 to 255", strlen(text));
        return false;
    }
    unsigned char hash[SHA256_DIGEST_LENGTH];
    const struct buf *body = http_body(r);
    (void)SHA256((const unsigned char *)buf_cstr(body), body->len, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        (void)snprintf(key->digest + 2 * i, 3, "%02x", hash[i]);
    key->key = (struct store_key){http_user(r) != NULL ? http_user(r) : "", text, key->digest};
    return true;
}

const struct store_key *request_key_of(const struct request_key *key)
{
    return key->given ? &key->key : NULL;
}

/* ---- handing over, and the answer ---- */

struct submitting {
    struct livy *livy;
    struct http_request *request;
    char *name;
};

static void on_submitted(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg)
{
    (void)replayed; /* the same answer as the first time */
    struct submitting s = *(struct submitting *)arg;
    mem_free(arg);
    if (err->code == ERR_CONFLICT)
        livy_reply_msg(s.request, 400,
                       "Rejected, Reason: Duplicate session name: Some(%.200s) for session %" PRId64,
                       s.name != NULL ? s.name : "", id);
    else if (err->code != ERR_OK)
        livy_reply_error(s.request, err);
    else if (app == NULL) /* made by the first request with this key, and deleted since */
        livy_reply_msg(s.request, 404, "Session '%" PRId64 "' not found.", id);
    else
        views_reply_created(s.livy, s.request, app);
    mem_free(s.name);
}

void creation_reply_rejected(struct http_request *r, const struct err *err)
{
    if (err->code == ERR_INVALID)
        livy_reply_msg(r, 400, "Rejected, Reason: %s", err->msg);
    else
        livy_reply_error(r, err);
}

static void submit(struct livy *l, struct http_request *r, const struct program_request *p,
                   creation_hand_over *hand_over)
{
    struct request_key key;
    struct err err = {0};
    if (!request_key_read(r, &key))
        return;
    struct submitting *s = mem_calloc(1, sizeof *s);
    if (s == NULL || mem_set_str(&s->name, p->submission.name) != 0) {
        mem_free(s);
        http_reply(r, NULL);
        return;
    }
    s->livy = l;
    s->request = r;
    if (hand_over(l, p, http_user(r), request_key_of(&key), on_submitted, s, &err) == ERR_OK)
        return;
    mem_free(s->name);
    mem_free(s);
    creation_reply_rejected(r, &err);
}

void creation_run(struct livy *l, struct http_request *r, struct program_request *p,
                  creation_hand_over *hand_over)
{
    struct err err = {0};
    const char *proxy_user = NULL;
    if (door_proxy_user(l->door, r, p->proxy_user, &proxy_user, &err) != ERR_OK)
        livy_reply_error(r, &err);
    else if (door_accept_program(l->door, p, proxy_user, &err) != ERR_OK)
        creation_reply_rejected(r, &err);
    else
        submit(l, r, p, hand_over);
}
