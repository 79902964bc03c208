/*
 * What the files of the tokens share.
 *
 *   tokens.c         their life: accepted, run in the background, kept, forgotten
 *   token_facts.c    what is kept of one, as JSON
 *   token_status.c   what is told of one
 */
#ifndef HEARTH_PROVISION_TOKENS_INTERNAL_H
#define HEARTH_PROVISION_TOKENS_INTERNAL_H

#include "provision/provision_internal.h"

#include <uthash.h>

enum {
    TOKEN_FACTS_MAX = 64 << 20, /* bytes */
    TOKEN_FACTS_DEPTH = 8,
};

struct token {
    UT_hash_handle hh; /* by text */
    struct tokens *all;
    char text[TOKEN_TEXT_MAX];
    enum operation operation;
    int64_t number; /* they were accepted in this order */
    int64_t changed_ms;
    bool ended;
    char *facts; /* JSON: while it has not ended what was asked, then the outcome */
    /* until it has ended */
    struct http_request *request; /* the call that waits for 202; NULL: answered */
    char *descriptor, *user, *proxy_user;
    bool knows_job; /* it was looked up, on a worker, for descriptors may be long */
    char *job;      /* "group/name" of the job that it changes, or NULL */
    bool resumed;   /* the server that accepted it has ended */
    bool running;
    struct token *prev, *next;
};

struct tokens {
    struct provision *provision;
    struct token *by_text;
    struct token *open; /* on disk and not ended, in order */
    size_t facts_size;
    int64_t last_number;
    unsigned n_running;
    uv_timer_t timer; /* the first turn of the loop; then the sweeping */
    bool stopped;
};

/* ---- token_facts.c ---- */

/* While it has not ended: what was asked. NULL: out of memory. */
char *token_request_facts(const struct token *token);
/* Then: the outcome. NULL: out of memory. */
char *token_outcome_facts(const struct token *token, const struct outcome *outcome);
/* Of one that was loaded: number, operation, and what was asked unless it has ended. ERR_INVALID: damaged. */
enum err_code token_read_facts(struct token *token, struct err *err);

#endif
