/*
 * Watching: each cluster has a timer and at most one look under way.
 *
 * The first looks are spread over a period, and as every cluster keeps its own pace they stay apart. A look
 * that takes longer than the period is followed by the next one at once.
 */
#include "cluster/clusters.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/cluster_internal.h"
#include "cluster/masters_internal.h"
#include "cluster/secrets.h"

#include <string.h>
#include <utlist.h>

enum {
    LOOK_MAX_MS = 10000,
    LOOK_MIN_MS = 1000,
    FIRST_LOOKS_MS = 5000, /* the longest time over which they are spread */
    EXPECT_MS = 30000,
    EXPECT_PERIOD_MS = 500,
    GROUP_IDLE_MS = 10 * 60 * 1000,
    GROUPS_MAX = 1000,
};

/* The masters of a URL that is not watched. */
struct group {
    struct clusters *clusters;
    struct masters *masters;
    char *secret; /* NULL: none */
    uv_timer_t idle;
    struct group *prev, *next;
};

struct cluster {
    struct clusters *clusters;
    struct watch *watch;
    struct masters *masters;
    uv_timer_t timer;
    int64_t began_ms;        /* the last look; monotonic, as the loop counts */
    int64_t expect_until_ms; /* by the same clock */
    struct look *look;
    struct look_memory memory;
    json_t *masters_seen;
    json_t *state; /* the last good one */
    char *trouble; /* NULL: reachable, or not asked yet */
    char *leader;
    char *leader_host;
    int64_t rest_port;
    int64_t checked_ms, state_ms; /* wall clock */
    int64_t state_mono_ms;
};

struct clusters {
    uv_loop_t *loop;
    struct watch *watches;
    struct cluster *list;
    size_t n;
    struct group *groups;
    size_t n_groups;
    struct http_client *http;
    void (*on_change)(struct cluster *cluster, void *arg);
    void *on_change_arg;
};

/* ---- what is known ---- */

bool cluster_was_asked(const struct cluster *c)
{
    return c->checked_ms != 0;
}

bool cluster_reachable(const struct cluster *c)
{
    return c->checked_ms != 0 && c->trouble == NULL;
}

const char *cluster_name(const struct cluster *c)
{
    return c->watch->name;
}

struct masters *cluster_masters(const struct cluster *c)
{
    return c->masters;
}

const char *cluster_leader_host(const struct cluster *c)
{
    return cluster_reachable(c) ? c->leader_host : NULL;
}

int64_t cluster_rest_port(const struct cluster *c)
{
    return cluster_reachable(c) ? c->rest_port : 0;
}

json_t *cluster_json(const struct cluster *c, bool with_details)
{
    struct cluster_frame frame = {
        .name = c->watch->name,
        .url = c->watch->url,
        .trouble = c->trouble,
        .checked_ms = c->checked_ms,
        .state_ms = c->state_ms,
        .age_ms = clock_mono_ms() - c->state_mono_ms,
    };
    json_t *state = with_details || c->state == NULL ? json_incref(c->state) : cluster_json_summary(c->state);
    return cluster_json_whole(&frame, json_incref(c->masters_seen), state);
}

/* ---- looking ---- */

/* True when that is news to a listener. */
static bool keep_state(struct cluster *c, const struct look_result *result)
{
    bool same =
        c->leader != NULL && strcmp(c->leader, result->leader) == 0 && c->rest_port == result->rest_port;
    json_decref(c->state);
    c->state = json_incref(result->state);
    c->state_ms = clock_wall_ms();
    c->state_mono_ms = clock_mono_ms();
    c->rest_port = result->rest_port;
    if (same)
        return false;
    if (mem_set_str(&c->leader_host, masters_leader_host(c->masters)) != 0 ||
        mem_set_str(&c->leader, result->leader) != 0) /* without it the next look is news again */
        log_warn("out of memory", LOG_S("cluster", c->watch->name));
    return true;
}

/* What was known stays, with its age. */
static bool keep_trouble(struct cluster *c, const char *trouble)
{
    bool was_reachable = cluster_reachable(c);
    bool first = c->checked_ms == 0;
    char *copy = mem_strdup(trouble);
    if (copy != NULL) {
        mem_free(c->trouble);
        c->trouble = copy;
    }
    if (was_reachable || first)
        log_warn("a cluster cannot be reached", LOG_S("cluster", c->watch->name), LOG_S("why", trouble));
    return was_reachable || first;
}

static void schedule(struct cluster *c);

static void on_look(const struct look_result *result, void *arg)
{
    struct cluster *c = arg;
    bool was_reachable = cluster_reachable(c);
    bool news = false;
    c->look = NULL;
    json_decref(c->masters_seen);
    c->masters_seen = json_deep_copy(result->masters);
    if (result->state == NULL) {
        news = keep_trouble(c, result->trouble);
    } else {
        news = keep_state(c, result) || !was_reachable;
        mem_free(c->trouble);
        c->trouble = NULL;
        if (!was_reachable)
            log_info("a cluster is reached", LOG_S("cluster", c->watch->name),
                     LOG_S("leader", result->leader));
    }
    c->checked_ms = clock_wall_ms();
    schedule(c);
    if (news && c->clusters->on_change != NULL)
        c->clusters->on_change(c, c->clusters->on_change_arg);
}

static int64_t look_timeout(int64_t period_ms)
{
    if (period_ms > LOOK_MAX_MS)
        return LOOK_MAX_MS;
    return period_ms < LOOK_MIN_MS ? LOOK_MIN_MS : period_ms;
}

static void on_time(uv_timer_t *timer)
{
    struct cluster *c = timer->data;
    const struct look_options options = {
        .masters = c->masters,
        .http = clusters_http(c->clusters),
        .timeout_ms = look_timeout(c->watch->period_ms),
        .memory = &c->memory,
        .done = on_look,
        .arg = c,
    };
    c->began_ms = (int64_t)uv_now(c->clusters->loop);
    c->look = look_start(&options);
    if (c->look == NULL)
        schedule(c); /* memory is short: the next time */
}

static int64_t period_of(const struct cluster *c, int64_t now_ms)
{
    bool hurries = now_ms < c->expect_until_ms && c->watch->period_ms > EXPECT_PERIOD_MS;
    return hurries ? EXPECT_PERIOD_MS : c->watch->period_ms;
}

static void schedule(struct cluster *c)
{
    int64_t now_ms = (int64_t)uv_now(c->clusters->loop);
    int64_t due_ms = c->began_ms + period_of(c, now_ms) - now_ms;
    (void)uv_timer_start(&c->timer, on_time, (uint64_t)(due_ms > 0 ? due_ms : 0), 0);
}

void cluster_expect_change(struct cluster *c)
{
    c->expect_until_ms = (int64_t)uv_now(c->clusters->loop) + EXPECT_MS;
    if (c->look == NULL)
        schedule(c);
}

static void start_watching(struct clusters *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct cluster *cluster = &c->list[i];
        int64_t period_ms = cluster->watch->period_ms;
        int64_t spread_ms = period_ms < FIRST_LOOKS_MS ? period_ms : FIRST_LOOKS_MS;
        (void)uv_timer_init(c->loop, &cluster->timer);
        cluster->timer.data = cluster;
        (void)uv_timer_start(&cluster->timer, on_time, (uint64_t)(spread_ms * (int64_t)i / (int64_t)c->n), 0);
    }
}

/* ---- groups ---- */

static void on_group_closed(uv_handle_t *handle)
{
    struct group *g = handle->data;
    secret_free(g->secret);
    mem_free(g);
}

static void drop_group(struct group *g)
{
    DL_DELETE(g->clusters->groups, g);
    g->clusters->n_groups--;
    masters_free(g->masters);
    uv_close((uv_handle_t *)&g->idle, on_group_closed);
}

static void on_group_idle(uv_timer_t *timer)
{
    drop_group(timer->data);
}

/* The same masters in the same order, however their URLs write it. */
static bool same_masters(const char *a, const char *b)
{
    struct master_place of_a[MASTERS_MAX];
    struct master_place of_b[MASTERS_MAX];
    size_t n_a = 0;
    size_t n_b = 0;
    if (masters_parse_url(a, of_a, &n_a, NULL) != ERR_OK ||
        masters_parse_url(b, of_b, &n_b, NULL) != ERR_OK || n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (of_a[i].port != of_b[i].port || strcmp(of_a[i].host, of_b[i].host) != 0)
            return false;
    return true;
}

static struct group *find_group(struct clusters *c, const char *url, const char *secret)
{
    struct group *g = NULL;
    DL_FOREACH(c->groups, g)
    {
        if (same_masters(masters_url(g->masters), url) && str_same(g->secret, secret))
            return g;
    }
    return NULL;
}

static enum err_code add_group(struct clusters *c, const char *url, const char *secret, struct group **ret,
                               struct err *err)
{
    const struct masters_options options = {.loop = c->loop, .url = url, .secret = secret};
    struct group *g = c->n_groups < GROUPS_MAX ? mem_calloc(1, sizeof *g) : NULL;
    if (g == NULL)
        return err_set(err, ERR_BUSY, "too many clusters at once, or out of memory");
    enum err_code rc = masters_new(&options, &g->masters, err);
    if (rc == ERR_OK && mem_set_str(&g->secret, secret) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != ERR_OK) {
        masters_free(g->masters);
        mem_free(g);
        return rc;
    }
    g->clusters = c;
    (void)uv_timer_init(c->loop, &g->idle);
    g->idle.data = g;
    uv_unref((uv_handle_t *)&g->idle);
    DL_APPEND(c->groups, g);
    c->n_groups++;
    *ret = g;
    return ERR_OK;
}

enum err_code clusters_masters(struct clusters *c, const char *url, const char *secret, struct masters **ret,
                               struct err *err)
{
    struct cluster *watched = clusters_find_url(c, url);
    if (watched != NULL && (secret == NULL || masters_has_secret(watched->masters))) {
        *ret = watched->masters;
        return ERR_OK;
    }
    struct group *g = find_group(c, url, secret);
    enum err_code rc = g == NULL ? add_group(c, url, secret, &g, err) : ERR_OK;
    if (rc != ERR_OK)
        return rc;
    (void)uv_timer_start(&g->idle, on_group_idle, GROUP_IDLE_MS, 0); /* anew with each use */
    *ret = g->masters;
    return ERR_OK;
}

/* ---- life ---- */

/* Made when it is first needed: a server that watches nothing does without. */
struct http_client *clusters_http(struct clusters *c)
{
    if (c->http == NULL)
        c->http = http_client_new(c->loop);
    return c->http;
}

static enum err_code open_masters(struct clusters *c, struct cluster *cluster, struct watch *watch,
                                  struct err *err)
{
    cluster->clusters = c;
    cluster->watch = watch;
    const struct masters_options options = {.loop = c->loop, .url = watch->url, .secret = watch->secret};
    return masters_new(&options, &cluster->masters, err);
}

static enum err_code open_all(struct clusters *c, const struct settings *settings, struct err *err)
{
    enum err_code rc = watch_list_read(settings, &c->watches, &c->n, err);
    if (rc != ERR_OK)
        return rc;
    c->list = mem_calloc(c->n + 1, sizeof *c->list);
    if (c->list == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == ERR_OK && i < c->n; i++)
        rc = open_masters(c, &c->list[i], &c->watches[i], err);
    return rc;
}

enum err_code clusters_open(uv_loop_t *loop, const struct settings *settings, struct clusters **ret,
                            struct err *err)
{
    struct clusters *c = mem_calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    c->loop = loop;
    enum err_code rc = open_all(c, settings, err);
    if (rc == ERR_OK) {
        start_watching(c);
        *ret = c;
        return ERR_OK;
    }
    for (size_t i = 0; c->list != NULL && i < c->n; i++)
        masters_free(c->list[i].masters);
    clusters_free(c);
    return rc;
}

void clusters_stop(struct clusters *c)
{
    if (c == NULL)
        return;
    c->on_change = NULL;
    for (size_t i = 0; i < c->n; i++) {
        struct cluster *cluster = &c->list[i];
        masters_free(cluster->masters);
        cluster->masters = NULL;
        look_free(cluster->look);
        cluster->look = NULL;
        uv_close((uv_handle_t *)&cluster->timer, NULL);
    }
    while (c->groups != NULL)
        drop_group(c->groups);
    http_client_free(c->http);
    c->http = NULL;
}

static void clear_cluster(struct cluster *c)
{
    look_memory_clear(&c->memory);
    json_decref(c->masters_seen);
    json_decref(c->state);
    mem_free(c->trouble);
    mem_free(c->leader);
    mem_free(c->leader_host);
}

void clusters_free(struct clusters *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; c->list != NULL && i < c->n; i++)
        clear_cluster(&c->list[i]);
    mem_free(c->list);
    watch_list_free(c->watches, c->n);
    mem_free(c);
}

/* ---- finding ---- */

size_t clusters_count(const struct clusters *c)
{
    return c->n;
}

struct cluster *clusters_at(struct clusters *c, size_t index)
{
    return &c->list[index];
}

struct cluster *clusters_find(struct clusters *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i].watch->name, name) == 0)
            return &c->list[i];
    return NULL;
}

struct cluster *clusters_find_url(struct clusters *c, const char *url)
{
    for (size_t i = 0; i < c->n; i++)
        if (same_masters(c->list[i].watch->url, url))
            return &c->list[i];
    return NULL;
}

void clusters_on_change(struct clusters *c, void (*on_change)(struct cluster *cluster, void *arg), void *arg)
{
    c->on_change = on_change;
    c->on_change_arg = arg;
}
