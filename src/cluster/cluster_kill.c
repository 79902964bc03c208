#include "cluster/cluster_kill.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct cluster_kill {
    struct masters *masters;
    char *driver_id;
    int64_t deadline_ms; /* monotonic */
    cluster_kill_cb *done;
    void *arg;
};

bool cluster_driver_is_final(const char *state)
{
    static const char *const final[] = {"FINISHED", "KILLED", "FAILED", "ERROR", "RELAUNCHING"};
    for (size_t i = 0; state != NULL && i < sizeof final / sizeof *final; i++)
        if (strcmp(state, final[i]) == 0)
            return true;
    return false;
}

void cluster_kill_free(struct cluster_kill *k)
{
    if (k == NULL)
        return;
    mem_free(k->driver_id);
    mem_free(k);
}

static void finish(struct cluster_kill *k, const struct cluster_kill_answer *answer)
{
    k->done(answer, k->arg);
    cluster_kill_free(k);
}

static void fail(struct cluster_kill *k, const struct rpc_answer *answer)
{
    finish(k, &(struct cluster_kill_answer){CLUSTER_KILL_FAILED, answer->result, NULL, answer->words});
}

static const char *text(const struct rpc_answer *answer, const char *key)
{
    return json_string_value(json_object_get(answer->value, key));
}

/* The master refused the order with words that do not tell an unknown driver from one that has ended. */
static void on_status(const struct rpc_answer *answer, void *arg)
{
    struct cluster_kill *k = arg;
    char words[512];
    if (answer->result != RPC_VALUE) {
        fail(k, answer);
        return;
    }
    struct cluster_kill_answer a = {.state = text(answer, "state"), .words = words};
    if (!json_is_true(json_object_get(answer->value, "found"))) {
        a.outcome = CLUSTER_KILL_UNKNOWN;
        (void)snprintf(words, sizeof words, "%s knows no driver '%.200s'", masters_url(k->masters),
                       k->driver_id);
    } else if (cluster_driver_is_final(a.state)) {
        a.outcome = CLUSTER_KILL_ENDED;
        (void)snprintf(words, sizeof words, "driver %.200s is already %s", k->driver_id, a.state);
    } else {
        a = (struct cluster_kill_answer){CLUSTER_KILL_FAILED, RPC_REFUSED, NULL, words};
        (void)snprintf(words, sizeof words, "%s refused to kill driver %.200s", masters_url(k->masters),
                       k->driver_id);
    }
    finish(k, &a);
}

static void on_kill(const struct rpc_answer *answer, void *arg)
{
    struct cluster_kill *k = arg;
    if (answer->result != RPC_VALUE) {
        fail(k, answer);
        return;
    }
    if (json_is_true(json_object_get(answer->value, "success"))) {
        finish(k, &(struct cluster_kill_answer){CLUSTER_KILL_ORDERED, RPC_VALUE, NULL, "killing"});
        return;
    }
    int64_t left_ms = k->deadline_ms - clock_mono_ms();
    const struct rpc_message message = {.kind = RPC_DRIVER_STATUS, .text = k->driver_id};
    masters_ask(k->masters, &message, left_ms > 0 ? left_ms : 1, on_status, k);
}

struct cluster_kill *cluster_kill_start(struct masters *m, const char *driver_id, int64_t timeout_ms,
                                        cluster_kill_cb *done, void *arg)
{
    struct cluster_kill *k = mem_calloc(1, sizeof *k);
    if (k == NULL || (k->driver_id = mem_strdup(driver_id)) == NULL) {
        cluster_kill_free(k);
        return NULL;
    }
    k->masters = m;
    k->deadline_ms = clock_mono_ms() + timeout_ms;
    k->done = done;
    k->arg = arg;
    const struct rpc_message message = {.kind = RPC_KILL_DRIVER, .text = k->driver_id};
    masters_ask(m, &message, timeout_ms, on_kill, k);
    return k;
}
