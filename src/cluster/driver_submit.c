/*
 * A driver before a master has it: looked for by its token where it may have been submitted before, else
 * submitted.
 */
#include "cluster/drivers_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

enum {
    SUBMIT_MS = 10000,
    SECOND_SEARCH_MS = 2000, /* a submission that was under way may come behind the first search */
};

static bool is_rest_only(const struct driver *d)
{
    return strcmp(d->drivers->options.settings->clusters.submission, "rest") == 0;
}

void driver_begin_search(struct driver *d)
{
    d->step = SEARCHING;
    d->searches = 0;
    d->search_since_ms = clock_mono_ms();
}

void driver_accept(struct driver *d, const char *id)
{
    if (mem_set_str(&d->id, id) != 0) {
        driver_begin_search(d); /* by its token it is found again, when there is memory */
        driver_in_trouble(d, "out of memory");
        return;
    }
    mem_freep(&d->state);
    mem_freep(&d->worker_id);
    mem_freep(&d->worker);
    mem_freep(&d->worker_page);
    mem_freep(&d->log_url);
    mem_freep(&d->app_id);
    mem_freep(&d->app_ui);
    description_clear(&d->description);
    d->step = FOLLOWING;
    d->next_ms = 0;
    d->unknown = 0;
    d->killed_ms = 0;
    driver_tell(d, DRIVER_ACCEPTED, NULL, NULL);
}

/* It may be there already: it was submitted and the answer was lost, or the master has relaunched it. */
void driver_search(struct driver *d)
{
    if (d->id == NULL && is_rest_only(d)) {
        driver_refuse_lost(d, "the server ended while it was being submitted");
        return;
    }
    const json_t *state = driver_look(d, d->search_since_ms);
    if (state == NULL)
        return;
    driver_out_of_trouble(d);
    const json_t *entry = overview_find_driver(state, d->token);
    const char *id = json_string_value(json_object_get(entry, "id"));
    if (id != NULL && (d->id == NULL || strcmp(id, d->id) != 0)) {
        driver_accept(d, id);
    } else if (++d->searches < 2) {
        d->next_ms = d->search_since_ms = clock_mono_ms() + SECOND_SEARCH_MS;
    } else if (d->id == NULL) {
        d->step = SUBMITTING;
        d->next_ms = 0;
    } else {
        bool relaunched = d->state != NULL && strcmp(d->state, "RELAUNCHING") == 0;
        driver_conclude(
            d, "UNKNOWN",
            relaunched
                ? "its worker was lost, and the master has not started it again elsewhere"
                : "the master does not know its driver any more: it was started anew without its memory, "
                  "or has dropped an old driver from its list");
    }
}

/* ---- submitting ---- */

static void on_submitted(const struct rpc_answer *answer, void *arg)
{
    struct driver *d = arg;
    if (!driver_answered(d))
        return;
    const char *id = json_string_value(json_object_get(answer->value, "driverId"));
    const char *message = json_string_value(json_object_get(answer->value, "message"));
    if (answer->result == RPC_VALUE && id != NULL) {
        driver_out_of_trouble(d);
        driver_accept(d, id);
    } else if (answer->uncertain || answer->result == RPC_EXCEPTION ||
               (answer->result == RPC_VALUE && message == NULL)) {
        driver_begin_search(d); /* the master may have acted */
        driver_in_trouble(d, *answer->words != '\0' ? answer->words
                                                    : "the master gave an answer without a word");
    } else if (answer->result == RPC_VALUE && message != NULL &&
               !str_starts(message, "Current state is not alive")) {
        driver_refuse(d, message);
    } else if (driver_may_turn_to_rest(d, answer->result)) {
        driver_turn_to_rest(d, answer->words);
    } else if (answer->result == RPC_UNAUTHORIZED) {
        driver_refuse(d, answer->words);
    } else {
        d->looked = false;
        driver_in_trouble(d, message != NULL ? message : answer->words);
    }
}

/* A driver must know that its cluster wants a secret. The secret itself its worker gives it. */
static int demand_secret(struct driver *d)
{
    static const char key[] = "spark.authenticate";
    if (strmap_get(&d->description.conf, key) != NULL)
        return 0;
    return strlist_addf(&d->description.java_options, "-D%s=true", key) != 0
               ? -1
               : strmap_set(&d->description.conf, key, "true");
}

/* What belongs to the kind of cluster it is. False: it comes with a later tick, or the trouble was told. */
static bool fit_description(struct driver *d)
{
    struct masters *masters = driver_masters(d);
    if (masters == NULL)
        return false;
    const char *scala = masters_scala(masters);
    if (scala == NULL && !d->looked) { /* it is known from any first answer */
        d->looked = driver_look(d, d->search_since_ms) != NULL;
        if (!d->looked) {
            d->looked = d->troubled; /* the submission will tell more */
            return false;
        }
        scala = masters_scala(masters);
    }
    if ((scala != NULL && strmap_set(&d->description.environment, "SPARK_SCALA_VERSION", scala) != 0) ||
        (masters_has_secret(masters) && demand_secret(d) != 0)) {
        driver_in_trouble(d, "out of memory");
        return false;
    }
    return true;
}

void driver_submit(struct driver *d)
{
    if (d->kill_wanted) {
        driver_refuse(d, "killed before its driver was submitted");
        return;
    }
    if (d->unfit != NULL) {
        driver_refuse(d, d->unfit);
        return;
    }
    if (d->rest) {
        driver_submit_over_rest(d);
        return;
    }
    if (!fit_description(d))
        return;
    const struct rpc_driver what = description_rpc(&d->description);
    const struct rpc_message message = {.kind = RPC_SUBMIT_DRIVER, .driver = &what};
    driver_ask(d, &message, SUBMIT_MS, on_submitted);
}
