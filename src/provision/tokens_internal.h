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
    char *facts; /* JSON: the outcome; NULL: it has not come */
    /* until it has ended */
    struct http_request *request; /* the call that waits for 202; NULL: answered */
    char *descriptor, *user, *proxy_user;
    bool knows_job;            /* it was looked up, on a worker, for descriptors may be long */
    char *job;                 /* "group/name" of the job that it changes, or NULL */
    bool resumed;              /* the server that accepted it has ended */
    struct token *prev, *next; /* of the list that it is on, if any */
    UT_hash_handle by_job;     /* of tokens.last_of_job */
    struct token *behind_it;   /* the next one that changes the same job, which waits for its end */
};

/* On disk and not ended:
 *
 *     arriving ──► behind another that changes the same job ──► ready ──► running
 *
 * What changes no job goes straight from arriving to ready. Of the others none leaves before all that were
 * accepted earlier have told their job. */
struct tokens {
    struct provision *provision;
    struct token *by_text;
    struct token *arriving;    /* in order */
    struct token *last_of_job; /* of each job that one behind "arriving" changes: the last of those */
    struct token *ready;       /* in order */
    size_t bytes;              /* of what is kept of all */
    int64_t last_number;
    unsigned n_running;
    int64_t room_made_ms; /* monotonic: when old ones were forgotten early; 0: never */
    uv_timer_t timer;     /* the first turn of the loop; then the sweeping */
    bool stopped;
};

/* ---- token_facts.c ---- */

/* While it has not ended: what was asked. NULL: out of memory. */
char *token_request_facts(const struct token *token);
/* Then: the outcome. NULL: out of memory. */
char *token_outcome_facts(const struct token *token, const struct outcome *outcome);
/* Of one that was loaded: number, operation, and what was asked, or when it has ended the outcome.
 * ERR_INVALID: damaged. */
enum err_code token_read_facts(struct token *token, const char *facts, struct err *err);

#endif
