/*
 * A driver that a master has: its status, its pages and application, its end.
 */
#include "cluster/drivers_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/answer.h"

#include <string.h>

enum {
    WAITING_MS = 500,  /* between two questions about a driver that has no worker yet */
    RUNNING_MS = 1000, /* … that runs */
    KILL_AGAIN_MS = 2000,
    DETAILS_MS = 1000, /* between two looks for the application of a running driver; doubled up to … */
    DETAILS_MAX_MS = 30000,
    ANSWER_MS = 10000,
    CONCLUDE_MS = 3000, /* for what is still to be learnt about a driver that has ended */
    FETCHES_MAX = 16,   /* outputs that are fetched at the same time */
    UNKNOWN_MAX = 3,    /* times in a row that the leader does not know a driver */
};

/* ---- its pages and application ---- */

/* Pages and application of a running driver; a look each time the pause, which grows, is over. */
static void find_details(struct driver *d)
{
    int64_t now = clock_mono_ms();
    if (d->rest || d->worker_id == NULL || (d->worker_page != NULL && d->app_id != NULL) ||
        now < d->details_ms)
        return;
    const struct overview_options options = {d->drivers, d->master, d->secret};
    const char *trouble = NULL;
    const json_t *state = overview_get(&options, d->details_ms, &trouble);
    if (state == NULL && trouble == NULL)
        return;
    d->details_ms = now + d->details_pause_ms;
    d->details_pause_ms = d->details_pause_ms * 2 < DETAILS_MAX_MS ? d->details_pause_ms * 2 : DETAILS_MAX_MS;
    const json_t *app = overview_find_app(state, d->token, d->id);
    const char *page = overview_worker_page(state, d->worker_id);
    if (d->worker_page == NULL && page != NULL) {
        driver_set(&d->worker_page, page);
        mem_free(d->log_url);
        d->log_url = mem_printf("%s/logPage/?driverId=%s&logType=stderr", page, d->id);
    } else if (app == NULL) {
        return;
    }
    driver_set(&d->app_id, json_string_value(json_object_get(app, "id")));
    driver_set(&d->app_ui, json_string_value(json_object_get(json_object_get(app, "desc"), "appUiUrl")));
    driver_tell(d, DRIVER_STATE, NULL, NULL);
}

/* ---- its ends ---- */

static bool is_final(const char *state)
{
    return strcmp(state, "FINISHED") == 0 || strcmp(state, "FAILED") == 0 || strcmp(state, "KILLED") == 0 ||
           strcmp(state, "ERROR") == 0; /* a master's UNKNOWN passes: it is recovering */
}

static void end(struct driver *d, const char *const output[2])
{
    bool is_mute =
        strcmp(d->state, "FAILED") == 0 && (output == NULL || (output[0] == NULL && output[1] == NULL));
    cleanup(mem_freep) char *words =
        is_mute ? mem_printf("%s; its log on that worker could not be read", d->end_words) : NULL;
    d->step = OVER;
    driver_tell(d, DRIVER_ENDED, words != NULL ? words : d->end_words, output);
}

static void on_output(const char *const texts[2], void *arg)
{
    struct driver *d = arg;
    d->fetch = NULL;
    d->drivers->fetching--;
    end(d, texts);
}

/* Its page and application are looked for once more, then its last output is fetched: see on_tick(). */
void driver_conclude(struct driver *d, const char *state, const char *words)
{
    int64_t now = clock_mono_ms();
    if (mem_set_str(&d->state, state) != 0 || mem_set_str(&d->end_words, words) != 0) {
        driver_in_trouble(d, "out of memory"); /* what brought us here is asked again */
        return;
    }
    d->step = CONCLUDING;
    d->details_ms = d->next_ms = now;
    d->details_pause_ms = DETAILS_MS;
    d->conclude_by_ms = d->worker_id != NULL && !d->rest ? now + CONCLUDE_MS : now;
}

void driver_finish(struct driver *d)
{
    struct http_client *http = clusters_http(d->drivers->options.clusters);
    find_details(d);
    bool enough = d->worker_page != NULL && d->app_id != NULL;
    if (d->freed || d->fetch != NULL || (!enough && clock_mono_ms() < d->conclude_by_ms))
        return;
    if (d->worker_page != NULL && strcmp(d->state, "UNKNOWN") != 0 && http != NULL) {
        if (d->drivers->fetching == FETCHES_MAX)
            return; /* its turn comes */
        d->fetch = output_fetch_start(http, d->worker_page, d->id, on_output, d);
    }
    if (d->fetch != NULL)
        d->drivers->fetching++;
    else
        end(d, NULL);
}

/* ---- following ---- */

static void end_by_state(struct driver *d, const char *state, const char *exception)
{
    const char *where = d->worker != NULL ? d->worker : "an unknown worker";
    bool thrown = exception != NULL && exception[0] != '\0'; /* a master that loses a worker throws nothing */
    cleanup(mem_freep) char *words = NULL;
    d->not_started = strcmp(state, "ERROR") == 0 && thrown;
    if (strcmp(state, "FINISHED") == 0)
        words = mem_printf("finished on %s", where);
    else if (strcmp(state, "FAILED") == 0)
        words = mem_printf("failed on %s", where);
    else if (strcmp(state, "KILLED") == 0)
        words = mem_printf("was killed on the cluster");
    else if (d->not_started)
        words = mem_printf("could not be started on %s: %s", where, exception);
    else
        words = mem_printf("was lost with its worker, %s (with spark.driver.supervise the master starts a "
                           "driver again elsewhere)",
                           where);
    driver_conclude(d, state, words != NULL ? words : state);
}

void driver_take_state(struct driver *d, const char *state, const char *worker_id, const char *worker,
                       const char *exception)
{
    bool moved = worker_id != NULL && (d->worker_id == NULL || strcmp(d->worker_id, worker_id) != 0);
    bool changed = moved || d->state == NULL || strcmp(d->state, state) != 0;
    if (moved) {
        driver_set(&d->worker_id, worker_id);
        mem_freep(&d->worker_page);
        mem_freep(&d->log_url);
        d->details_ms = clock_mono_ms();
        d->details_pause_ms = DETAILS_MS;
    }
    if (worker != NULL)
        driver_set(&d->worker, worker);
    d->unknown = 0;
    d->next_ms = clock_mono_ms() + (strcmp(state, "SUBMITTED") == 0 ? WAITING_MS : RUNNING_MS);
    if (is_final(state)) {
        end_by_state(d, state, exception);
        return;
    }
    driver_set(&d->state, state);
    bool relaunched = strcmp(state, "RELAUNCHING") == 0;
    if (relaunched && d->rest)
        driver_conclude(
            d, "UNKNOWN",
            "its worker was lost; the master starts it again under an id that REST does not tell");
    else if (relaunched)
        driver_begin_search(d);
    else if (changed)
        driver_tell(d, DRIVER_STATE, NULL, NULL);
}

/* The leader says that there is no such driver. One that has just taken over may learn of it yet. */
void driver_not_known(struct driver *d)
{
    if (++d->unknown < UNKNOWN_MAX) {
        d->next_ms = clock_mono_ms() + DRIVER_TROUBLE_MS;
        return;
    }
    if (d->rest) {
        driver_conclude(d, "UNKNOWN", "the master does not know its driver any more");
        return;
    }
    driver_begin_search(d); /* under another id, perhaps */
}

static void on_status(const struct rpc_answer *answer, void *arg)
{
    struct driver *d = arg;
    if (!driver_answered(d))
        return;
    const json_t *v = answer->value;
    const char *state = json_string_value(json_object_get(v, "state"));
    if (answer->result == RPC_VALUE && state != NULL) {
        cleanup(mem_freep) char *exception = rpc_exception_words(json_object_get(v, "exception"));
        driver_out_of_trouble(d);
        driver_take_state(d, state, json_string_value(json_object_get(v, "workerId")),
                          json_string_value(json_object_get(v, "workerHostPort")), exception);
    } else if (answer->result == RPC_VALUE && json_is_null(json_object_get(v, "exception"))) {
        driver_out_of_trouble(d);
        driver_not_known(d);
    } else if (driver_may_turn_to_rest(d, answer->result)) {
        driver_turn_to_rest(d, answer->words);
    } else {
        driver_in_trouble(d,
                          answer->result == RPC_VALUE ? "no master of the cluster is alive" : answer->words);
    }
}

/* The order was passed on or not: the status tells what came of it. */
static void on_killed(const struct rpc_answer *answer, void *arg)
{
    struct driver *d = arg;
    if (!driver_answered(d))
        return;
    d->killed_ms = clock_mono_ms();
    if (driver_may_turn_to_rest(d, answer->result))
        driver_turn_to_rest(d, answer->words);
    else if (answer->result != RPC_VALUE)
        driver_in_trouble(d, answer->words);
}

void driver_follow(struct driver *d)
{
    int64_t now = clock_mono_ms();
    find_details(d);
    if (d->freed)
        return;
    /* Between two orders its status is always asked for: it may have ended. */
    bool kill =
        d->kill_wanted && !d->kill_was_last && (d->killed_ms == 0 || now - d->killed_ms >= KILL_AGAIN_MS);
    d->kill_was_last = kill;
    if (kill)
        d->next_ms = now; /* the next question is about what came of it */
    if (d->rest) {
        driver_follow_over_rest(d, kill);
        return;
    }
    const struct rpc_message message = {.kind = kill ? RPC_KILL_DRIVER : RPC_DRIVER_STATUS, .text = d->id};
    driver_ask(d, &message, ANSWER_MS, kill ? on_killed : on_status);
}
