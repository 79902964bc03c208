/*
 * The life of a driver on a standalone cluster.
 *
 *   SEARCHING   its token is looked for in the state of the cluster: it may have been submitted before
 *   SUBMITTING  a master is asked to run it; when the answer is lost it is searched for
 *   FOLLOWING   its status is asked for, each second or so
 *   CONCLUDING  it has ended: its last output is fetched from its worker
 *   OVER        everything was told
 *
 * One tick serves all drivers; a driver asks one question at a time, and the next one when its time has come.
 * What goes wrong on the way is told as trouble and tried again, for as long as somebody wants the driver.
 */
#include "cluster/drivers_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/answer.h"

#include <inttypes.h>
#include <string.h>
#include <utlist.h>

enum {
    TICK_MS = 250,
    QUESTIONS_PER_TICK = 200,
    WAITING_MS = 500,  /* between two questions about a driver that has no worker yet */
    RUNNING_MS = 1000, /* … that runs */
    TROUBLE_MS = 1000, /* after a failure, for the first time; doubled up to TROUBLE_MAX_MS */
    TROUBLE_MAX_MS = 10000,
    KILL_AGAIN_MS = 2000,
    DETAILS_MS = 1000, /* between two looks for the application of a running driver; doubled up to … */
    DETAILS_MAX_MS = 30000,
    ANSWER_MS = 10000,
    SUBMIT_MS = 10000,
    SECOND_SEARCH_MS = 2000, /* a submission that was under way may come behind the first search */
    CONCLUDE_MS = 3000,      /* for what is still to be learnt about a driver that has ended */
    UNKNOWN_MAX = 3,         /* times in a row that the leader does not know a driver */
};

enum step { SEARCHING, SUBMITTING, FOLLOWING, CONCLUDING, OVER };

struct driver {
    struct driver *prev, *next;
    struct drivers *drivers;
    driver_event_cb *on_event;
    void *arg;
    bool freed; /* by its owner; the memory goes with the answer that is under way */

    char *master, *secret, *token;
    struct description description; /* until it is accepted */

    enum step step;
    bool asking;
    int64_t next_ms; /* monotonic; no question before */
    int64_t trouble_pause_ms;
    bool troubled; /* the owner was told */
    bool looked;   /* at the cluster, before the submission */
    int64_t search_since_ms;
    unsigned searches; /* that have found nothing */

    bool rest;       /* it is talked about over REST */
    char *rpc_words; /* why not over RPC; NULL: the setting */
    size_t rest_host;
    struct submission_server_call *rest_call;

    char *id, *state, *worker_id, *worker, *log_url, *worker_page, *app_id, *app_ui, *end_words;
    bool not_started;
    unsigned unknown;
    int64_t details_ms, details_pause_ms;
    int64_t conclude_by_ms;
    struct output_fetch *fetch;

    bool kill_wanted;
    int64_t killed_ms; /* when the master was asked last; 0: not yet */
};

/* ---- telling ---- */

static void tell(struct driver *d, enum driver_event_kind kind, const char *words,
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

static void in_trouble(struct driver *d, const char *words)
{
    d->next_ms = clock_mono_ms() + d->trouble_pause_ms;
    d->trouble_pause_ms = d->trouble_pause_ms * 2 < TROUBLE_MAX_MS ? d->trouble_pause_ms * 2 : TROUBLE_MAX_MS;
    d->troubled = true;
    tell(d, DRIVER_TROUBLE, words, NULL);
}

static void out_of_trouble(struct driver *d)
{
    d->trouble_pause_ms = TROUBLE_MS;
    if (!d->troubled)
        return;
    d->troubled = false;
    tell(d, DRIVER_TROUBLE, NULL, NULL);
}

static void refuse(struct driver *d, const char *words)
{
    d->step = OVER;
    tell(d, DRIVER_REFUSED, words, NULL);
}

static void set(char **field, const char *value)
{
    if (mem_set_str(field, value) != 0)
        log_warn("out of memory for what a master tells of a driver");
}

/* ---- asking ---- */

static struct masters *masters_of(struct driver *d)
{
    struct masters *masters = NULL;
    struct err err = {0};
    if (clusters_masters(d->drivers->options.clusters, d->master, d->secret, &masters, &err) != ERR_OK)
        in_trouble(d, err.msg);
    return masters;
}

static void ask(struct driver *d, const struct rpc_message *message, int64_t timeout_ms, rpc_answer_cb *done)
{
    struct masters *masters = masters_of(d);
    if (masters == NULL)
        return;
    d->asking = true;
    masters_ask(masters, message, timeout_ms, done, d);
}

static void destroy(struct driver *d)
{
    DL_DELETE(d->drivers->first, d);
    description_clear(&d->description);
    if (d->secret != NULL)
        explicit_bzero(d->secret, strlen(d->secret));
    char *texts[] = {d->master,  d->secret,      d->token,  d->id,     d->state,     d->worker_id, d->worker,
                     d->log_url, d->worker_page, d->app_id, d->app_ui, d->end_words, d->rpc_words};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mem_free(texts[i]);
    mem_free(d);
}

/* An answer is here. False: nobody wants it any more. */
static bool answered(struct driver *d)
{
    d->asking = false;
    return !d->freed;
}

static void stop_calls(struct driver *d)
{
    output_fetch_cancel(d->fetch);
    d->fetch = NULL;
    if (d->rest_call == NULL)
        return;
    submission_server_cancel(d->rest_call);
    d->rest_call = NULL;
    d->asking = false;
}

/* RPC is no way to this cluster, while its REST submission server may be one. Not where there is a secret: a
 * master with one has no such server, and the submission, which holds the secret, must not go to anybody
 * else. */
static bool is_no_way(const struct driver *d, enum rpc_result result)
{
    return d->secret == NULL && (result == RPC_UNREACHABLE || result == RPC_CLOSED ||
                                 result == RPC_NO_ENDPOINT || result == RPC_REFUSED || result == RPC_BROKEN);
}

/* ---- its ends ---- */

static bool is_final(const char *state)
{
    return strcmp(state, "FINISHED") == 0 || strcmp(state, "FAILED") == 0 || strcmp(state, "KILLED") == 0 ||
           strcmp(state, "ERROR") == 0 || strcmp(state, "UNKNOWN") == 0;
}

static void finish(struct driver *d, const char *const output[2])
{
    bool is_mute =
        strcmp(d->state, "FAILED") == 0 && (output == NULL || (output[0] == NULL && output[1] == NULL));
    cleanup(mem_freep) char *words =
        is_mute ? mem_printf("%s; its log on that worker could not be read", d->end_words) : NULL;
    d->step = OVER;
    tell(d, DRIVER_ENDED, words != NULL ? words : d->end_words, output);
}

static void on_output(const char *const texts[2], void *arg)
{
    struct driver *d = arg;
    d->fetch = NULL;
    finish(d, texts);
}

/* Its page and application are looked for once more, then its last output is fetched: see on_tick(). */
static void conclude(struct driver *d, const char *state, const char *words)
{
    int64_t now = clock_mono_ms();
    set(&d->state, state);
    set(&d->end_words, words);
    d->step = CONCLUDING;
    d->details_ms = d->next_ms = now;
    d->details_pause_ms = DETAILS_MS;
    d->conclude_by_ms = d->worker_id != NULL && !d->rest ? now + CONCLUDE_MS : now;
}

static void fetch_output(struct driver *d)
{
    bool enough = d->worker_page != NULL && d->app_id != NULL;
    if (d->fetch != NULL || (!enough && clock_mono_ms() < d->conclude_by_ms))
        return;
    if (d->worker_page != NULL && strcmp(d->state, "UNKNOWN") != 0)
        d->fetch = output_fetch_start(clusters_http(d->drivers->options.clusters), d->worker_page, d->id,
                                      on_output, d);
    if (d->fetch == NULL)
        finish(d, NULL);
}

/* ---- the state of the whole cluster ---- */

/* NULL: it comes with a later tick, or the trouble was told. */
static const json_t *look(struct driver *d, int64_t since_ms)
{
    const struct overview_options options = {d->drivers, d->master, d->secret};
    const char *trouble = NULL;
    const json_t *state = overview_get(&options, since_ms, &trouble);
    if (trouble != NULL)
        in_trouble(d, trouble);
    return state;
}

static void begin_search(struct driver *d)
{
    d->step = SEARCHING;
    d->searches = 0;
    d->search_since_ms = clock_mono_ms();
}

static void accept_id(struct driver *d, const char *id)
{
    if (mem_set_str(&d->id, id) != 0) {
        begin_search(d); /* by its token it is found again, when there is memory */
        in_trouble(d, "out of memory");
        return;
    }
    mem_freep(&d->state);
    mem_freep(&d->worker_id);
    mem_freep(&d->worker);
    mem_freep(&d->worker_page);
    mem_freep(&d->log_url);
    description_clear(&d->description);
    d->step = FOLLOWING;
    d->next_ms = 0;
    d->unknown = 0;
    d->killed_ms = 0;
    tell(d, DRIVER_ACCEPTED, NULL, NULL);
}

/* It may be there already: it was submitted and the answer was lost, or the master has relaunched it. */
static void search(struct driver *d)
{
    const json_t *state = look(d, d->search_since_ms);
    if (state == NULL)
        return;
    out_of_trouble(d);
    const json_t *entry = overview_find_driver(state, d->token);
    const char *id = json_string_value(json_object_get(entry, "id"));
    if (id != NULL && (d->id == NULL || strcmp(id, d->id) != 0)) {
        accept_id(d, id);
    } else if (++d->searches < 2) {
        d->next_ms = d->search_since_ms = clock_mono_ms() + SECOND_SEARCH_MS;
    } else if (d->id == NULL) {
        d->step = SUBMITTING;
    } else {
        bool relaunched = d->state != NULL && strcmp(d->state, "RELAUNCHING") == 0;
        conclude(
            d, "UNKNOWN",
            relaunched
                ? "its worker was lost, and the master has not started it again elsewhere"
                : "the master does not know its driver any more: it was started anew without its memory, "
                  "or has dropped an old driver from its list");
    }
}

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
    const json_t *app = overview_find_app(state, d->token);
    const char *page = overview_worker_page(state, d->worker_id);
    if (d->worker_page == NULL && page != NULL) {
        set(&d->worker_page, page);
        mem_free(d->log_url);
        d->log_url = mem_printf("%s/logPage/?driverId=%s&logType=stderr", page, d->id);
    } else if (app == NULL) {
        return;
    }
    set(&d->app_id, json_string_value(json_object_get(app, "id")));
    set(&d->app_ui, json_string_value(json_object_get(json_object_get(app, "desc"), "appUiUrl")));
    tell(d, DRIVER_STATE, NULL, NULL);
}

/* ---- over REST ---- */

/* The nth master's submission server; NULL: there are fewer masters (or memory is short). */
static char *rest_base(const struct driver *d, size_t n)
{
    const char *at = d->master + strlen("spark://");
    while (n-- > 0 && at != NULL)
        at = (at = strchr(at, ',')) != NULL ? at + 1 : NULL;
    if (at == NULL)
        return NULL;
    size_t len = strcspn(at, ",");
    const char *colon = memrchr(at, ':', len);
    if (colon != NULL && memchr(colon, ']', len - (size_t)(colon - at)) == NULL)
        len = (size_t)(colon - at);
    const struct cluster *watched = clusters_find_url(d->drivers->options.clusters, d->master);
    int64_t port = watched != NULL ? cluster_rest_port(watched) : 0;
    if (port == 0)
        port = d->drivers->options.settings->clusters.rest_port;
    return mem_printf("http://%.*s:%" PRId64, (int)len, at, port);
}

/* After a failure the next master is asked, and after the last one there is trouble. */
static void next_rest_host(struct driver *d, const char *words)
{
    cleanup(mem_freep) char *asked = rest_base(d, d->rest_host);
    cleanup(mem_freep) char *more = rest_base(d, ++d->rest_host);
    if (more != NULL)
        return;
    cleanup(mem_freep) char *all =
        mem_printf("%s%sREST submission server %s: %s", d->rpc_words != NULL ? d->rpc_words : "",
                   d->rpc_words != NULL ? "; and over the " : "", asked != NULL ? asked : "", words);
    d->rest_host = 0;
    d->rest = d->rpc_words == NULL;
    in_trouble(d, all != NULL ? all : words);
}

/* After a failure of RPC: the next question goes over REST. When that fails, too, RPC is tried again. */
static void turn_to_rest(struct driver *d, const char *words)
{
    set(&d->rpc_words, words);
    d->rest = true;
    d->rest_host = 0;
    d->next_ms = 0;
}

static void on_rest_created(const struct submission_server_answer *answer, void *arg)
{
    struct driver *d = arg;
    d->rest_call = NULL;
    if (!answered(d))
        return;
    if (answer->err.code == ERR_OK && answer->driver_id != NULL) {
        out_of_trouble(d);
        accept_id(d, answer->driver_id);
    } else if (answer->uncertain) {
        cleanup(mem_freep) char *words =
            mem_printf("the answer to its submission was lost (%s), and over REST there is no way to find "
                       "out whether the master "
                       "has taken it: look for it on the cluster before it is submitted again",
                       answer->err.msg);
        refuse(d, words != NULL ? words : answer->err.msg);
    } else if (answer->err.code == ERR_INVALID) {
        refuse(d, answer->err.msg);
    } else {
        next_rest_host(d, answer->err.msg);
    }
}

static void on_rest_status(const struct submission_server_answer *answer, void *arg);

static void on_rest_killed(const struct submission_server_answer *answer, void *arg)
{
    struct driver *d = arg;
    d->rest_call = NULL;
    if (answered(d) && answer->err.code != ERR_OK && answer->err.code != ERR_NOT_FOUND)
        next_rest_host(d, answer->err.msg); /* the status tells the rest */
}

static void submit_over_rest(struct driver *d)
{
    cleanup(mem_freep) char *base = rest_base(d, d->rest_host);
    cleanup(strmap_clear) struct strmap properties = {0};
    const struct submission_server_driver what = {
        .app_resource = d->description.jar_url,
        .main_class = d->description.main_class,
        .arguments = &d->description.user_arguments,
        .environment = &d->description.environment,
        .properties = &properties,
        .spark_version =
            d->drivers->options.spark != NULL ? spark_version(d->drivers->options.spark) : "3.5.0",
    };
    if (base != NULL && description_rest(&d->description, &properties) == 0)
        d->rest_call = submission_server_create(clusters_http(d->drivers->options.clusters), base, &what,
                                                SUBMIT_MS, on_rest_created, d);
    d->asking = d->rest_call != NULL;
    if (!d->asking)
        in_trouble(d, "out of memory");
}

static void follow_over_rest(struct driver *d, bool kill)
{
    cleanup(mem_freep) char *base = rest_base(d, d->rest_host);
    struct http_client *http = clusters_http(d->drivers->options.clusters);
    if (base != NULL)
        d->rest_call = kill ? submission_server_kill(http, base, d->id, ANSWER_MS, on_rest_killed, d)
                            : submission_server_status(http, base, d->id, ANSWER_MS, on_rest_status, d);
    d->asking = d->rest_call != NULL;
    if (!d->asking)
        in_trouble(d, "out of memory");
}

/* ---- submitting ---- */

static void on_submitted(const struct rpc_answer *answer, void *arg)
{
    struct driver *d = arg;
    if (!answered(d))
        return;
    const char *id = json_string_value(json_object_get(answer->value, "driverId"));
    const char *message = json_string_value(json_object_get(answer->value, "message"));
    if (answer->result == RPC_VALUE && id != NULL) {
        out_of_trouble(d);
        accept_id(d, id);
    } else if (answer->uncertain) {
        begin_search(d);
        in_trouble(d, answer->words);
    } else if (answer->result == RPC_VALUE && message != NULL &&
               !str_starts(message, "Current state is not alive")) {
        refuse(d, message);
    } else if (is_no_way(d, answer->result)) {
        turn_to_rest(d, answer->words);
    } else if (answer->result == RPC_UNAUTHORIZED) {
        refuse(d, answer->words);
    } else {
        in_trouble(d, message != NULL ? message : answer->words);
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

static void submit(struct driver *d)
{
    if (d->kill_wanted) {
        refuse(d, "killed before its driver was submitted");
        return;
    }
    if (d->rest) {
        submit_over_rest(d);
        return;
    }
    struct masters *masters = masters_of(d);
    if (masters == NULL)
        return;
    const char *scala = masters_scala(masters);
    if (scala == NULL && !d->looked) { /* it is known from any first answer */
        d->looked = look(d, d->search_since_ms) != NULL;
        if (!d->looked) {
            d->looked = d->troubled; /* the submission will tell more */
            return;
        }
        scala = masters_scala(masters);
    }
    if ((scala != NULL && strmap_set(&d->description.environment, "SPARK_SCALA_VERSION", scala) != 0) ||
        (masters_has_secret(masters) && demand_secret(d) != 0)) {
        in_trouble(d, "out of memory");
        return;
    }
    const struct rpc_driver what = description_rpc(&d->description);
    const struct rpc_message message = {.kind = RPC_SUBMIT_DRIVER, .driver = &what};
    ask(d, &message, SUBMIT_MS, on_submitted);
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
    conclude(d, state, words != NULL ? words : state);
}

static void take_state(struct driver *d, const char *state, const char *worker_id, const char *worker,
                       const char *exception)
{
    bool moved = worker_id != NULL && (d->worker_id == NULL || strcmp(d->worker_id, worker_id) != 0);
    bool changed = moved || d->state == NULL || strcmp(d->state, state) != 0;
    if (moved) {
        set(&d->worker_id, worker_id);
        mem_freep(&d->worker_page);
        mem_freep(&d->log_url);
        d->details_ms = clock_mono_ms();
        d->details_pause_ms = DETAILS_MS;
    }
    if (worker != NULL)
        set(&d->worker, worker);
    d->unknown = 0;
    d->next_ms = clock_mono_ms() + (strcmp(state, "SUBMITTED") == 0 ? WAITING_MS : RUNNING_MS);
    if (is_final(state)) {
        end_by_state(d, state, exception);
        return;
    }
    set(&d->state, state);
    bool relaunched = strcmp(state, "RELAUNCHING") == 0;
    if (relaunched && d->rest)
        conclude(d, "UNKNOWN",
                 "its worker was lost; the master starts it again under an id that REST does not tell");
    else if (relaunched)
        begin_search(d);
    else if (changed)
        tell(d, DRIVER_STATE, NULL, NULL);
}

/* The leader says that there is no such driver. One that has just taken over may learn of it yet. */
static void not_known(struct driver *d)
{
    if (++d->unknown < UNKNOWN_MAX) {
        d->next_ms = clock_mono_ms() + TROUBLE_MS;
        return;
    }
    if (d->rest) {
        conclude(d, "UNKNOWN", "the master does not know its driver any more");
        return;
    }
    begin_search(d); /* under another id, perhaps */
}

static void on_rest_status(const struct submission_server_answer *answer, void *arg)
{
    struct driver *d = arg;
    d->rest_call = NULL;
    if (!answered(d))
        return;
    if (answer->err.code == ERR_OK && answer->driver_state != NULL) {
        out_of_trouble(d);
        take_state(d, answer->driver_state, answer->worker_id, answer->worker_host_port, answer->message);
    } else if (answer->err.code == ERR_NOT_FOUND) {
        not_known(d);
    } else {
        next_rest_host(d, answer->err.msg);
    }
}

static void on_status(const struct rpc_answer *answer, void *arg)
{
    struct driver *d = arg;
    if (!answered(d))
        return;
    const json_t *v = answer->value;
    const char *state = json_string_value(json_object_get(v, "state"));
    if (answer->result == RPC_VALUE && state != NULL) {
        cleanup(mem_freep) char *exception = rpc_exception_words(json_object_get(v, "exception"));
        out_of_trouble(d);
        take_state(d, state, json_string_value(json_object_get(v, "workerId")),
                   json_string_value(json_object_get(v, "workerHostPort")), exception);
    } else if (answer->result == RPC_VALUE && json_is_null(json_object_get(v, "exception"))) {
        out_of_trouble(d);
        not_known(d);
    } else if (is_no_way(d, answer->result)) {
        turn_to_rest(d, answer->words);
    } else {
        in_trouble(d, answer->result == RPC_VALUE ? "no master of the cluster is alive" : answer->words);
    }
}

/* The order was passed on or not: the status tells what came of it. */
static void on_killed(const struct rpc_answer *answer, void *arg)
{
    struct driver *d = arg;
    if (answered(d) && answer->result != RPC_VALUE)
        in_trouble(d, answer->words);
}

static void follow(struct driver *d)
{
    int64_t now = clock_mono_ms();
    bool kill = d->kill_wanted && (d->killed_ms == 0 || now - d->killed_ms >= KILL_AGAIN_MS);
    if (kill) {
        d->killed_ms = now;
        d->next_ms = now; /* the next question is about what came of it */
    }
    if (d->rest) {
        follow_over_rest(d, kill);
        return;
    }
    const struct rpc_message message = {.kind = kill ? RPC_KILL_DRIVER : RPC_DRIVER_STATUS, .text = d->id};
    ask(d, &message, ANSWER_MS, kill ? on_killed : on_status);
}

static void step(struct driver *d)
{
    switch (d->step) {
    case SEARCHING: search(d); return;
    case SUBMITTING: submit(d); return;
    case FOLLOWING:
        find_details(d);
        follow(d);
        return;
    case CONCLUDING:
        find_details(d);
        fetch_output(d);
        return;
    case OVER: return;
    }
}

static bool is_due(const struct driver *d, int64_t now)
{
    return !d->freed && !d->asking && d->step != OVER && now >= d->next_ms;
}

/* Also the only place where drivers are freed: nothing vanishes under the feet of a callback. */
static void on_tick(uv_timer_t *timer)
{
    struct drivers *drivers = timer->data;
    int64_t now = clock_mono_ms();
    unsigned questions = 0;
    struct driver *d;
    struct driver *next;
    DL_FOREACH_SAFE(drivers->first, d, next)
    {
        if (d->freed && !d->asking) {
            destroy(d);
        } else if (is_due(d, now) && questions < QUESTIONS_PER_TICK) {
            step(d);
            questions++;
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
    stop_calls(d);
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

static enum err_code fill(struct driver *d, const struct driver_options *options, struct err *err)
{
    const struct spark_submission *s = options->submission;
    const char *master = s->master != NULL ? s->master : strmap_get(&s->conf, "spark.master");
    if (mem_set_str(&d->master, master) != 0 ||
        mem_set_str(&d->secret, strmap_get(&s->conf, "spark.authenticate.secret")) != 0 ||
        mem_set_str(&d->token, options->token) != 0 || mem_set_str(&d->id, options->driver_id) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (options->driver_id != NULL)
        return ERR_OK;
    return description_make(d->drivers->options.spark, s, options->token, &d->description, err);
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
    d->trouble_pause_ms = TROUBLE_MS;
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
        begin_search(d);
    drivers_soon(drivers);
    *ret = d;
    return ERR_OK;
}

void driver_kill(struct driver *d)
{
    d->kill_wanted = true;
    d->next_ms = 0;
    drivers_soon(d->drivers);
}

void driver_free(struct driver *d)
{
    if (d == NULL)
        return;
    d->freed = true;
    stop_calls(d);
}
