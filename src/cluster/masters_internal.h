/*
 * What the files of a group of masters share.
 *
 *   masters.c         life, leader, requests
 *   masters_survey.c  the state of each
 *   masters_url.c     who they are
 */
#ifndef HEARTH_CLUSTER_MASTERS_INTERNAL_H
#define HEARTH_CLUSTER_MASTERS_INTERNAL_H

#include "cluster/masters.h"

#include "rpc/answer.h"
#include "rpc/message_copy.h"

enum { UNSAID_MAX = 64 }; /* callbacks that wait because there was no memory, in one turn of the loop */

struct master_place {
    char host[256];
    uint16_t port;
};

enum err_code masters_parse_url(const char *url, struct master_place places[MASTERS_MAX], size_t *n,
                                struct err *err);

struct member {
    struct masters *masters;
    struct rpc_node *node;
    char *name;             /* "a:7077" */
    char *trouble;          /* "a:7077 is STANDBY"; NULL: none, or not asked yet */
    enum rpc_result result; /* of that trouble */
    bool is_hunted;         /* asked whether it is the leader, and has not answered yet */
};

typedef void masters_surveyed_cb(json_t *array, void *arg);

struct masters {
    uv_loop_t *loop;
    char *url;
    bool has_secret;
    struct member members[MASTERS_MAX];
    size_t n;
    struct member *leader; /* NULL: none is known */
    unsigned n_fruitless;  /* looks for a leader since a request was answered */
    int64_t hunt_due_ms;   /* the next look for one; 0: none is due */
    struct ask *asked;     /* by their node, each in its time */
    struct ask *waiting;   /* for a leader */
    struct survey *surveys;
    struct {
        rpc_answer_cb *done;
        masters_surveyed_cb *surveyed; /* NULL: the other one */
        void *arg;
    } unsaid[UNSAID_MAX];
    unsigned n_unsaid;
    uv_timer_t timer;
    bool is_freed;
};

/* What the answer to RPC_MASTER_STATE says about its sender: the leader, or what its trouble is. */
void masters_note(struct member *member, const struct rpc_answer *answer);
bool masters_is_state(const json_t *value);
/* There was no memory for a request: one of the two is called later, and told so. */
void masters_cannot(struct masters *m, rpc_answer_cb *done, masters_surveyed_cb *surveyed, void *arg);
void masters_free_surveys(struct masters *m);

#endif
