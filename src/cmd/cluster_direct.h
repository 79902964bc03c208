/*
 * A command's own way to the masters of a cluster, without a hearth server.
 *
 *     struct direct d;
 *     int exit_code = direct_open(&d, &usage, "spark://a:7077", NULL);
 *     if (exit_code != ARGS_GO)
 *         return exit_code;
 *     …
 *     direct_close(&d);
 *
 * Thread   the program's first; waits by running a loop of its own.
 */
#ifndef HEARTH_CMD_CLUSTER_DIRECT_H
#define HEARTH_CMD_CLUSTER_DIRECT_H

#include "cluster/cluster_kill.h"
#include "cluster/masters.h"
#include "cmd/args.h"
#include "loop/http_client.h"

#include <jansson.h>
#include <uv.h>

struct direct {
    uv_loop_t loop;
    struct masters *masters;
    struct http_client *http;
};

/* ARGS_GO; or the exit code, everything having been said. `secret_file` is NULL for none. */
int direct_open(struct direct *d, const struct usage *usage, const char *url, const char *secret_file);
void direct_close(struct direct *d);

/* What docs/rest.md calls a cluster, asked now; the caller drops it. NULL: out of memory. */
json_t *direct_look(struct direct *d, int64_t timeout_ms);
/* Sleeps with open ears: a connection that breaks meanwhile is made anew by the next look. */
void direct_pause(struct direct *d, int64_t ms);

struct direct_kill {
    enum cluster_kill_outcome outcome;
    enum rpc_result result; /* with CLUSTER_KILL_FAILED */
    char state[64];         /* the driver's last known; "" for none */
    char words[1024];
    bool is_final;
};

/* Has the driver killed and waits until it has ended, or the time is over. */
void direct_kill(struct direct *d, const char *driver_id, int64_t timeout_ms, struct direct_kill *ret);

/* The exit code for a question that ended so: CMD_UNREACHABLE when nobody answered. */
int direct_exit_code(const char *result_name);

#endif
