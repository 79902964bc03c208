/*
 * The state of a cluster, asked for once and used by all drivers on it: where a token is, which application
 * belongs to it, where the pages of workers are.
 */
#include "cluster/drivers_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>
#include <utlist.h>

enum { ANSWER_MS = 10000, UNUSED_MS = 60000 };

struct overview {
    struct overview *prev, *next;
    struct drivers *drivers;
    char *url, *secret; /* who has another secret gets another answer */
    json_t *state;      /* NULL: none yet */
    int64_t state_ms;   /* when it was asked for; all times are monotonic */
    char *trouble;      /* of the last try; NULL: it went well */
    int64_t trouble_ms;
    bool asking;
    int64_t asking_ms; /* since when */
    int64_t used_ms;
};

static void overview_free(struct overview *o)
{
    json_decref(o->state);
    if (o->secret != NULL)
        explicit_bzero(o->secret, strlen(o->secret));
    mem_free(o->secret);
    mem_free(o->url);
    mem_free(o->trouble);
    mem_free(o);
}

void overviews_drop(struct drivers *drivers, bool all)
{
    int64_t now = clock_mono_ms();
    struct overview *o;
    struct overview *next;
    DL_FOREACH_SAFE(drivers->overviews, o, next)
    {
        if (!all && (o->asking || now - o->used_ms < UNUSED_MS))
            continue;
        DL_DELETE(drivers->overviews, o);
        overview_free(o);
    }
}

static struct overview *find(struct drivers *drivers, const char *url, const char *secret)
{
    struct overview *o;
    DL_FOREACH(drivers->overviews, o)
    if (strcmp(o->url, url) == 0 && str_same(o->secret, secret))
        return o;
    o = mem_calloc(1, sizeof *o);
    if (o == NULL || mem_set_str(&o->url, url) != 0 || mem_set_str(&o->secret, secret) != 0) {
        if (o != NULL)
            mem_free(o->url);
        mem_free(o);
        return NULL;
    }
    o->drivers = drivers;
    o->state_ms = o->trouble_ms = -1;
    DL_APPEND(drivers->overviews, o);
    return o;
}

static void on_state(const struct rpc_answer *answer, void *arg)
{
    struct overview *o = arg;
    o->asking = false;
    drivers_soon(o->drivers);
    mem_freep(&o->trouble);
    if (answer->result == RPC_VALUE) {
        json_decref(o->state);
        o->state = json_incref(answer->value);
        o->state_ms = o->asking_ms;
        return;
    }
    o->trouble = mem_strdup(answer->words);
    o->trouble_ms = o->asking_ms;
}

static void ask(struct overview *o)
{
    const struct rpc_message message = {.kind = RPC_MASTER_STATE};
    struct masters *masters = NULL;
    struct err err = {0};
    int64_t now = clock_mono_ms();
    if (clusters_masters(o->drivers->options.clusters, o->url, o->secret, &masters, &err) != ERR_OK) {
        (void)mem_set_str(&o->trouble, err.msg); /* without words it is tried again */
        o->trouble_ms = now;
        return;
    }
    o->asking = true;
    o->asking_ms = now;
    masters_ask(masters, &message, ANSWER_MS, on_state, o);
}

const json_t *overview_get(const struct overview_options *options, int64_t since_ms, const char **ret_trouble)
{
    struct overview *o = find(options->drivers, options->url, options->secret);
    *ret_trouble = NULL;
    if (o == NULL)
        return NULL; /* memory is short: the next tick asks again */
    o->used_ms = clock_mono_ms();
    if (o->state != NULL && o->state_ms >= since_ms)
        return o->state;
    if (o->trouble != NULL && o->trouble_ms >= since_ms && !o->asking)
        *ret_trouble = o->trouble;
    else if (!o->asking)
        ask(o);
    return NULL;
}

/* ---- looking into a state ---- */

static const char *token_of(const json_t *entry)
{
    const json_t *command = json_object_get(json_object_get(entry, "desc"), "command");
    return json_string_value(json_object_get(json_object_get(command, "environment"), DRIVER_TOKEN_VARIABLE));
}

/* The one with this token that was submitted last, in one of the state's lists. */
static const json_t *newest(const json_t *state, const char *list, const char *token)
{
    const json_t *found = NULL;
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(state, list), i, entry)
    {
        const char *other = token_of(entry);
        if (other != NULL && strcmp(other, token) == 0 &&
            (found == NULL || json_integer_value(json_object_get(entry, "startTime")) >=
                                  json_integer_value(json_object_get(found, "startTime"))))
            found = entry;
    }
    return found;
}

const json_t *overview_find_driver(const json_t *state, const char *token)
{
    const json_t *active = newest(state, "activeDrivers", token);
    return active != NULL ? active : newest(state, "completedDrivers", token);
}

static int64_t start_of(const json_t *state, const char *list, const char *id)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(state, list), i, entry)
    {
        const char *other = json_string_value(json_object_get(entry, "id"));
        if (other != NULL && strcmp(other, id) == 0)
            return json_integer_value(json_object_get(entry, "startTime"));
    }
    return 0;
}

const json_t *overview_find_app(const json_t *state, const char *token, const char *driver_id)
{
    int64_t start = start_of(state, "activeDrivers", driver_id);
    if (start == 0)
        start = start_of(state, "completedDrivers", driver_id);
    const json_t *app = newest(state, "activeApps", token);
    if (app == NULL)
        app = newest(state, "completedApps", token);
    return json_integer_value(json_object_get(app, "startTime")) >= start ? app : NULL;
}

const char *overview_worker_page(const json_t *state, const char *worker_id)
{
    size_t i;
    const json_t *worker;
    json_array_foreach(json_object_get(state, "workers"), i, worker)
    {
        const char *id = json_string_value(json_object_get(worker, "id"));
        if (id != NULL && strcmp(id, worker_id) == 0)
            return json_string_value(json_object_get(worker, "webUiAddress"));
    }
    return NULL;
}
