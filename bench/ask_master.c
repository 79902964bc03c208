/*
 * How long a master takes to tell its state over one open connection, for standalone.py.
 *
 *     ask_master HOST PORT TIMES [SECRET]
 *
 * One request after the other; prints the microseconds of each, of the first with connecting and finding the
 * dialect, as one line each. Exit code 1 and a sentence on standard error when an answer is none.
 */
#include "base/parse.h"
#include "rpc/rpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct asking {
    uv_loop_t loop;
    struct rpc_node *node;
    int64_t left;
    uint64_t asked_at; /* ns */
    int exit_code;
};

static void ask(struct asking *a);

static void on_answer(const struct rpc_answer *answer, void *arg)
{
    struct asking *a = arg;
    uint64_t ns = uv_hrtime() - a->asked_at;
    if (answer->result != RPC_VALUE) {
        (void)fprintf(stderr, "%s: %s\n", rpc_result_name(answer->result), answer->words);
        a->exit_code = 1;
        a->left = 0;
    } else {
        printf("%" PRIu64 "\n", ns / 1000);
        a->left--;
    }
    if (a->left > 0)
        ask(a);
    else
        rpc_node_free(a->node);
}

static void ask(struct asking *a)
{
    a->asked_at = uv_hrtime();
    rpc_ask(a->node, &(struct rpc_message){.kind = RPC_MASTER_STATE}, 10000, on_answer, a);
}

int main(int argc, char **argv)
{
    struct asking a = {0};
    int64_t port = 0;
    struct err err;
    if (argc < 4 || parse_i64(argv[2], 1, UINT16_MAX, &port, &err) != ERR_OK ||
        parse_i64(argv[3], 1, 1000000, &a.left, &err) != ERR_OK) {
        (void)fprintf(stderr, "usage: ask_master HOST PORT TIMES [SECRET]\n");
        return 2;
    }
    (void)uv_loop_init(&a.loop);
    a.node = rpc_node_new(&(struct rpc_node_options){
        .loop = &a.loop, .host = argv[1], .port = (uint16_t)port, .secret = argc > 4 ? argv[4] : NULL});
    if (a.node == NULL)
        return 1;
    ask(&a);
    (void)uv_run(&a.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&a.loop) == 0 ? a.exit_code : 1;
}
