/*
 * A driver over the REST submission server of a master: submitted, followed, killed. There are no tokens
 * here.
 */
#include "cluster/drivers_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum { SUBMIT_MS = 10000, ANSWER_MS = 10000 };

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
    driver_in_trouble(d, all != NULL ? all : words);
}

/* After a failure of RPC: the next question goes over REST. When that fails, too, RPC is tried again. */
void driver_turn_to_rest(struct driver *d, const char *words)
{
    driver_set(&d->rpc_words, words);
    d->rest = true;
    d->rest_host = 0;
    d->next_ms = 0;
}

void driver_refuse_lost(struct driver *d, const char *how)
{
    cleanup(mem_freep) char *words = mem_printf(
        "%s, and over REST there is no way to find out whether the master has taken it: look for it on "
        "the cluster before it is submitted again",
        how);
    driver_refuse(d, words != NULL ? words : how);
}

static void on_rest_created(const struct submission_server_answer *answer, void *arg)
{
    struct driver *d = arg;
    d->rest_call = NULL;
    if (!driver_answered(d))
        return;
    if (answer->err.code == ERR_OK && answer->driver_id != NULL) {
        driver_out_of_trouble(d);
        driver_accept(d, answer->driver_id);
    } else if (answer->uncertain) {
        cleanup(mem_freep) char *how =
            mem_printf("the answer to its submission was lost (%s)", answer->err.msg);
        driver_refuse_lost(d, how != NULL ? how : answer->err.msg);
    } else if (answer->err.code == ERR_INVALID) {
        driver_refuse(d, answer->err.msg);
    } else {
        next_rest_host(d, answer->err.msg);
    }
}

static void on_rest_killed(const struct submission_server_answer *answer, void *arg)
{
    struct driver *d = arg;
    d->rest_call = NULL;
    if (!driver_answered(d))
        return;
    d->killed_ms = clock_mono_ms();
    if (answer->err.code != ERR_OK && answer->err.code != ERR_NOT_FOUND)
        next_rest_host(d, answer->err.msg); /* the status tells the rest */
}

void driver_submit_over_rest(struct driver *d)
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
    struct http_client *http = clusters_http(d->drivers->options.clusters);
    if (http != NULL && base != NULL && description_rest(&d->description, &properties) == 0)
        d->rest_call = submission_server_create(http, base, &what, SUBMIT_MS, on_rest_created, d);
    d->asking = d->rest_call != NULL;
    if (!d->asking)
        driver_in_trouble(d, "out of memory");
}

static void on_rest_status(const struct submission_server_answer *answer, void *arg)
{
    struct driver *d = arg;
    d->rest_call = NULL;
    if (!driver_answered(d))
        return;
    if (answer->err.code == ERR_OK && answer->driver_state != NULL) {
        driver_out_of_trouble(d);
        driver_take_state(d, answer->driver_state, answer->worker_id, answer->worker_host_port,
                          answer->message);
    } else if (answer->err.code == ERR_NOT_FOUND) {
        driver_not_known(d);
    } else {
        next_rest_host(d, answer->err.msg);
    }
}

void driver_follow_over_rest(struct driver *d, bool kill)
{
    cleanup(mem_freep) char *base = rest_base(d, d->rest_host);
    struct http_client *http = clusters_http(d->drivers->options.clusters);
    if (http != NULL && base != NULL)
        d->rest_call = kill ? submission_server_kill(http, base, d->id, ANSWER_MS, on_rest_killed, d)
                            : submission_server_status(http, base, d->id, ANSWER_MS, on_rest_status, d);
    d->asking = d->rest_call != NULL;
    if (!d->asking)
        driver_in_trouble(d, "out of memory");
}
