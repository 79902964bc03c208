#include "web/clusters.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/cluster_kill.h"
#include "web/web_internal.h"

#include <string.h>
#include <utlist.h>

enum { KILL_TIMEOUT_MS = 15000, ANSWER_MAX = 256 * 1024 * 1024 };

struct killing {
    struct cluster_door *door;
    struct cluster *cluster;
    struct http_request *request;
    struct cluster_kill *kill;
    struct killing *prev, *next;
};

struct cluster_door {
    struct cluster_door_options options;
    struct killing *killings;
};

/* ---- answers ---- */

/* Steals the value; NULL: out of memory. */
static void reply_json(struct http_request *r, json_t *value)
{
    cleanup(buf_clear) struct buf body = BUF(ANSWER_MAX);
    cleanup(mem_freep) char *text = value != NULL ? json_text(value) : NULL;
    json_decref(value);
    if (text != NULL)
        buf_str(&body, text);
    http_reply(r, text != NULL ? http_answer_new(200, HTTP_JSON, &body) : NULL);
}

/* NULL: it was answered. */
static struct cluster *find(const struct cluster_door *d, struct http_request *r)
{
    struct cluster *c = clusters_find(d->options.clusters, http_param(r, 0));
    if (c == NULL)
        web_reply_msg(r, 404, "No cluster '%.100s' is watched: see clusters.watch.", http_param(r, 0));
    return c;
}

static const struct app_info nobodys = {0}; /* drivers of clusters have no owner that hearth knows */

/* ---- reading ---- */

static void list(struct http_request *r, void *arg)
{
    const struct cluster_door *d = arg;
    json_t *all = json_array();
    for (size_t i = 0; i < clusters_count(d->options.clusters); i++)
        if (json_array_append_new(all, cluster_json(clusters_at(d->options.clusters, i), false)) != 0) {
            json_decref(all);
            all = NULL;
            break;
        }
    reply_json(r, json_pack("{s:o}", "clusters", all));
}

/* What a batch shows to its owner and those who may read logs only is no different on its cluster. */
static json_t *without_programs(json_t *object)
{
    static const char *const hidden[] = {"trouble", "file", "mainClass"};
    json_t *drivers = json_deep_copy(json_object_get(object, "drivers"));
    size_t i;
    json_t *driver;
    json_array_foreach(drivers, i, driver)
    {
        for (size_t k = 0; k < sizeof hidden / sizeof *hidden; k++)
            (void)json_object_set_new(driver, hidden[k], json_null()); /* replaces what is there */
    }
    if (drivers != NULL && json_object_set_new(object, "drivers", drivers) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static void get(struct http_request *r, void *arg)
{
    const struct cluster_door *d = arg;
    const struct cluster *c = find(d, r);
    const char *user = NULL;
    struct err err = {0};
    if (c == NULL)
        return;
    if (door_effective_user(d->options.door, r, &user, &err) != ERR_OK) {
        web_reply_msg(r, 403, "%s", err.msg);
        return;
    }
    json_t *object = cluster_json(c, true);
    if (object != NULL && json_is_array(json_object_get(object, "drivers")) &&
        !door_may_view(d->options.door, user, &nobodys))
        object = without_programs(object);
    reply_json(r, object);
}

/* ---- killing a driver ---- */

/* With access control only those may end drivers of clusters who may change every application. False: it was
 * answered. */
static bool may_kill(const struct door *door, struct http_request *r)
{
    const char *user = NULL;
    struct err err = {0};
    if (door_effective_user(door, r, &user, &err) != ERR_OK) {
        web_reply_msg(r, 403, "%s", err.msg);
        return false;
    }
    if (!door_may_modify(door, user, &nobodys)) {
        web_reply_msg(r, 403, "Only auth.superusers and auth.modify_users may kill drivers of clusters.");
        return false;
    }
    return true;
}

static int status_of(enum cluster_kill_outcome outcome)
{
    switch (outcome) {
    case CLUSTER_KILL_ORDERED:
    case CLUSTER_KILL_ENDED: return 200;
    case CLUSTER_KILL_UNKNOWN: return 404;
    case CLUSTER_KILL_FAILED: break;
    }
    return 503;
}

static void drop(struct killing *k)
{
    DL_DELETE(k->door->killings, k);
    mem_free(k);
}

static void on_killed(const struct cluster_kill_answer *answer, void *arg)
{
    struct killing *k = arg;
    if (answer->outcome == CLUSTER_KILL_FAILED)
        log_warn("a driver could not be killed", LOG_S("cluster", cluster_name(k->cluster)),
                 LOG_S("driver", http_param(k->request, 1)), LOG_S("why", answer->words));
    if (answer->outcome == CLUSTER_KILL_ORDERED || answer->outcome == CLUSTER_KILL_ENDED)
        cluster_expect_change(k->cluster);
    web_reply_msg(k->request, status_of(answer->outcome), "%s", answer->words);
    drop(k);
}

static void start_killing(struct cluster_door *d, struct cluster *c, struct http_request *r)
{
    const char *driver = http_param(r, 1);
    struct killing *k = mem_calloc(1, sizeof *k);
    if (k != NULL)
        k->kill = cluster_kill_start(cluster_masters(c), driver, KILL_TIMEOUT_MS, on_killed, k);
    if (k == NULL || k->kill == NULL) {
        mem_free(k);
        http_reply(r, NULL);
        return;
    }
    k->door = d;
    k->cluster = c;
    k->request = r;
    DL_APPEND(d->killings, k);
    log_info("killing a driver", LOG_S("cluster", cluster_name(c)), LOG_S("driver", driver),
             LOG_S("user", http_user(r)));
}

static void kill_driver(struct http_request *r, void *arg)
{
    struct cluster_door *d = arg;
    struct cluster *c = find(d, r);
    if (c == NULL || !may_kill(d->options.door, r))
        return;
    if (cluster_masters(c) == NULL)
        web_reply_msg(r, 503, "the server stops");
    else
        start_killing(d, c, r);
}

static const struct http_route routes[] = {
    {"GET", "/hearth/clusters", list, "The standalone clusters that are watched", false},
    {"GET", "/hearth/clusters/{name}", get, "One of them, with workers, applications and drivers", false},
    {"POST", "/hearth/clusters/{name}/drivers/{id}/kill", kill_driver, "Kill a driver of a cluster", false},
};

/* ---- life ---- */

struct cluster_door *cluster_door_open(const struct cluster_door_options *options)
{
    struct cluster_door *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->options = *options;
    http_mount(options->server, routes, sizeof routes / sizeof *routes, d);
    return d;
}

void cluster_door_stop(struct cluster_door *d)
{
    while (d != NULL && d->killings != NULL) {
        struct killing *k = d->killings;
        cluster_kill_free(k->kill);
        web_reply_msg(k->request, 503, "the server stops; the driver may or may not have been killed");
        drop(k);
    }
}

void cluster_door_close(struct cluster_door *d)
{
    mem_free(d);
}
