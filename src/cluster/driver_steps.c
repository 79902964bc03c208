/*
 * What the steps of a driver share: what it tells its owner, how it asks, and its look at the cluster.
 */
#include "cluster/drivers_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

enum { TROUBLE_MAX_MS = 10000 };

/* ---- telling ---- */

void driver_tell(struct driver *d, enum driver_event_kind kind, const char *words,
                 const char *const output[2])
{
    struct driver_event event = {
        .kind = kind,
        .driver_id = d->id,
        .state = d->state,
        .worker = d->worker,
        .log_url = d->log_url,
        .app_id = d->app_id,
        .app_ui = d->app_ui,
        .words = words,
        .output = {output != NULL ? output[0] : NULL, output != NULL ? output[1] : NULL},
        .not_started = d->not_started,
    };
    if (!d->freed)
        d->on_event(&event, d->arg);
}

void driver_in_trouble(struct driver *d, const char *words)
{
    d->next_ms = clock_mono_ms() + d->trouble_pause_ms;
    d->trouble_pause_ms = d->trouble_pause_ms * 2 < TROUBLE_MAX_MS ? d->trouble_pause_ms * 2 : TROUBLE_MAX_MS;
    d->troubled = true;
    driver_tell(d, DRIVER_TROUBLE, words, NULL);
}

void driver_out_of_trouble(struct driver *d)
{
    d->trouble_pause_ms = DRIVER_TROUBLE_MS;
    if (!d->troubled)
        return;
    d->troubled = false;
    driver_tell(d, DRIVER_TROUBLE, NULL, NULL);
}

void driver_refuse(struct driver *d, const char *words)
{
    d->step = OVER;
    driver_tell(d, DRIVER_REFUSED, words, NULL);
}

void driver_set(char **field, const char *value)
{
    if (mem_set_str(field, value) != 0)
        log_warn("out of memory for what a master tells of a driver");
}

/* ---- asking ---- */

struct masters *driver_masters(struct driver *d)
{
    struct masters *masters = NULL;
    struct err err = {0};
    if (clusters_masters(d->drivers->options.clusters, d->master, d->secret, &masters, &err) != ERR_OK)
        driver_in_trouble(d, err.msg);
    return masters;
}

void driver_ask(struct driver *d, const struct rpc_message *message, int64_t timeout_ms, rpc_answer_cb *done)
{
    struct masters *masters = driver_masters(d);
    if (masters == NULL)
        return;
    d->asking = true;
    masters_ask(masters, message, timeout_ms, done, d);
}

bool driver_answered(struct driver *d)
{
    d->asking = false;
    return !d->freed;
}

void driver_stop_calls(struct driver *d)
{
    if (d->fetch != NULL)
        d->drivers->fetching--;
    output_fetch_cancel(d->fetch);
    d->fetch = NULL;
    if (d->rest_call == NULL)
        return;
    submission_server_cancel(d->rest_call);
    d->rest_call = NULL;
    d->asking = false;
}

/* Not where there is a secret: a master with one has no such server, and the submission must not go to
 * anybody else. */
bool driver_may_turn_to_rest(struct driver *d, enum rpc_result result)
{
    bool is_no_way = result == RPC_UNREACHABLE || result == RPC_CLOSED || result == RPC_NO_ENDPOINT ||
                     result == RPC_REFUSED || result == RPC_BROKEN;
    if (!is_no_way || d->secret != NULL)
        return false;
    const struct masters *masters = driver_masters(d);
    return masters != NULL && !masters_has_secret(masters);
}

/* ---- the state of the whole cluster ---- */

const json_t *driver_look(struct driver *d, int64_t since_ms)
{
    const struct overview_options options = {d->drivers, d->master, d->secret};
    const char *trouble = NULL;
    const json_t *state = overview_get(&options, since_ms, &trouble);
    if (trouble != NULL) {
        driver_in_trouble(d, trouble);
        d->search_since_ms = clock_mono_ms() + 1; /* the next look asks anew */
    }
    return state;
}
