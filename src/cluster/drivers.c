/*
 * Drivers on standalone clusters: all of them, and the tick that serves them.
 *
 *   SEARCHING   its token is looked for in the state of the cluster: it may have been submitted before
 *   SUBMITTING  a master is asked to run it; when the answer is lost it is searched for
 *   FOLLOWING   its status is asked for, each second or so
 *   CONCLUDING  it has ended: its last output is fetched from its worker
 *   OVER        everything was told
 *
 * A driver asks one question at a time, and the next one when its time has come. What goes wrong on the way
 * is told as trouble and tried again, for as long as somebody wants the driver.
 */
#include "cluster/drivers_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>
#include <utlist.h>

enum { TICK_MS = 250, QUESTIONS_PER_TICK = 500 };

static void destroy(struct driver *d)
{
    DL_DELETE(d->drivers->first, d);
    driver_stop_calls(d);
    description_clear(&d->description);
    if (d->secret != NULL)
        explicit_bzero(d->secret, strlen(d->secret));
    char *texts[] = {d->master,  d->secret,      d->token,  d->id,     d->state,     d->worker_id, d->worker,
                     d->log_url, d->worker_page, d->app_id, d->app_ui, d->end_words, d->rpc_words, d->unfit};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mem_free(texts[i]);
    mem_free(d);
}

static void step(struct driver *d)
{
    switch (d->step) {
    case SEARCHING: driver_search(d); return;
    case SUBMITTING: driver_submit(d); return;
    case FOLLOWING: driver_follow(d); return;
    case CONCLUDING: driver_finish(d); return;
    case OVER: return;
    }
}

static bool is_due(const struct driver *d, int64_t now)
{
    return !d->freed && !d->asking && d->step != OVER && now >= d->next_ms;
}

/* Serves those that are due, each tick beginning where the last one ended. Also the only place where drivers
 * are freed: nothing vanishes under the feet of a callback. */
static void on_tick(uv_timer_t *timer)
{
    struct drivers *drivers = timer->data;
    int64_t now = clock_mono_ms();
    unsigned n = 0;
    unsigned questions = 0;
    struct driver *d;
    DL_COUNT(drivers->first, d, n);
    for (; n > 0 && questions < QUESTIONS_PER_TICK; n--) {
        d = drivers->first;
        DL_DELETE(drivers->first, d);
        DL_APPEND(drivers->first, d);
        if (d->freed && !d->asking) {
            destroy(d);
        } else if (is_due(d, now)) {
            step(d);
            questions += d->asking; /* one that waits for what others have asked costs nothing */
        }
    }
    overviews_drop(drivers, false);
}

void drivers_soon(struct drivers *drivers)
{
    if (!drivers->stopped)
        (void)uv_timer_start(&drivers->tick, on_tick, 0, TICK_MS);
}

/* ---- the public functions ---- */

struct drivers *drivers_open(const struct drivers_options *options)
{
    struct drivers *drivers = mem_calloc(1, sizeof *drivers);
    if (drivers == NULL)
        return NULL;
    drivers->options = *options;
    (void)uv_timer_init(options->loop, &drivers->tick); /* cannot fail */
    drivers->tick.data = drivers;
    (void)uv_timer_start(&drivers->tick, on_tick, TICK_MS, TICK_MS);
    return drivers;
}

void drivers_stop(struct drivers *drivers)
{
    if (drivers == NULL || drivers->stopped)
        return;
    drivers->stopped = true;
    uv_close((uv_handle_t *)&drivers->tick, NULL);
    struct driver *d;
    DL_FOREACH(drivers->first, d)
    driver_stop_calls(d);
}

void drivers_free(struct drivers *drivers)
{
    if (drivers == NULL)
        return;
    while (drivers->first != NULL)
        destroy(drivers->first);
    overviews_drop(drivers, true);
    mem_free(drivers);
}

/* One that may have been submitted is looked for, whatever is wrong with it by now. */
static enum err_code describe(struct driver *d, const struct driver_options *options, struct err *err)
{
    enum err_code rc = description_make(d->drivers->options.spark, options->submission, options->token,
                                        &d->description, err);
    if (rc != ERR_INVALID || !options->maybe_sent)
        return rc;
    return mem_set_str(&d->unfit, err->msg) == 0 ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static enum err_code fill(struct driver *d, const struct driver_options *options, struct err *err)
{
    const struct spark_submission *s = options->submission;
    cleanup(strmap_clear) struct strmap conf = {0};
    enum err_code rc = spark_complete_conf(d->drivers->options.spark, s, &conf, err);
    if (rc != ERR_OK)
        return rc;
    const char *master = s->master != NULL ? s->master : strmap_get(&conf, "spark.master");
    if (mem_set_str(&d->master, master) != 0 ||
        mem_set_str(&d->secret, strmap_get(&conf, "spark.authenticate.secret")) != 0 ||
        mem_set_str(&d->token, options->token) != 0 || mem_set_str(&d->id, options->driver_id) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    return options->driver_id != NULL ? ERR_OK : describe(d, options, err);
}

enum err_code driver_new(struct drivers *drivers, const struct driver_options *options,
                         driver_event_cb *on_event, void *arg, struct driver **ret, struct err *err)
{
    struct driver *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    d->drivers = drivers;
    d->on_event = on_event;
    d->arg = arg;
    d->trouble_pause_ms = DRIVER_TROUBLE_MS;
    d->search_since_ms = clock_mono_ms();
    d->rest = strcmp(drivers->options.settings->clusters.submission, "rest") == 0;
    DL_APPEND(drivers->first, d);
    enum err_code rc = fill(d, options, err);
    if (rc != ERR_OK) {
        destroy(d);
        return rc;
    }
    d->step = options->driver_id != NULL ? FOLLOWING : SUBMITTING;
    if (options->driver_id == NULL && options->maybe_sent)
        driver_begin_search(d);
    drivers_soon(drivers);
    *ret = d;
    return ERR_OK;
}

void driver_kill(struct driver *d)
{
    d->kill_wanted = true;
    if (d->step != SEARCHING) /* that waits for a reason */
        d->next_ms = 0;
    drivers_soon(d->drivers);
}

void driver_free(struct driver *d)
{
    if (d == NULL)
        return;
    d->freed = true;
    driver_stop_calls(d);
}
