/*
 * Drivers that stand ready: as many of each profile as sessions.warm says, started when there is room, given
 * to the next session that fits, and ended when something else waits for room.
 *
 * A session fits when all that belongs to the process is as in the profile: memory, java options, class path,
 * user. Everything else is set when the driver is given away.
 */
#include "session/session_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"

#include <string.h>

enum {
    PROFILES_MAX = 16,
    COUNT_MAX = 100,
    RETRY_FIRST_MS = 1000,
    RETRY_MAX_MS = 5 * 60 * 1000,
    QUIET_MS = 5000
};

struct profile {
    char *text; /* as it stands in the setting, without the count: "pyspark", "spark@4g" */
    char *kind;
    char *memory; /* or NULL: Spark's default */
    int64_t count;
    size_t alive;     /* counted anew at each tick */
    size_t submitted; /* on their way to disk */
    int64_t retry_ms; /* after a failure: how long to wait; 0: none */
    int64_t retry_at_ms;
};

struct warm {
    struct sessions *sessions;
    struct profile profiles[PROFILES_MAX];
    size_t n;
    size_t ready;
    int64_t quiet_until_ms; /* monotonic; somebody has just been given a driver and works with it */
};

/* ---- the setting ---- */

static void profile_clear(struct profile *p)
{
    mem_free(p->text);
    mem_free(p->kind);
    mem_free(p->memory);
}

/* KIND=COUNT[@MEMORY] */
static enum err_code read_profile(struct profile *p, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    const char *at = equals != NULL ? strchr(equals, '@') : NULL;
    uint64_t bytes = 0;
    struct err ignored = {0};
    cleanup(mem_freep) char *count = equals == NULL ? NULL
                                     : at != NULL   ? mem_strndup(equals + 1, (size_t)(at - equals - 1))
                                                    : mem_strdup(equals + 1);
    p->kind = equals != NULL ? mem_strndup(text, (size_t)(equals - text)) : NULL;
    p->memory = at != NULL ? mem_strdup(at + 1) : NULL;
    if (p->kind == NULL || count == NULL ||
        (strcmp(p->kind, "pyspark") != 0 && strcmp(p->kind, "spark") != 0) ||
        parse_i64(count, 0, COUNT_MAX, &p->count, &ignored) != ERR_OK ||
        (p->memory != NULL && parse_size(p->memory, 1 << 20, &bytes, &ignored) != ERR_OK))
        return err_set(
            err, ERR_INVALID,
            "sessions.warm has '%.100s'; each entry is KIND=COUNT or KIND=COUNT@MEMORY, KIND pyspark or "
            "spark, COUNT 0 to %d, MEMORY as in 2g",
            text, COUNT_MAX);
    p->text = p->memory != NULL ? mem_printf("%s@%s", p->kind, p->memory) : mem_strdup(p->kind);
    return p->text != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

enum err_code warm_new(struct sessions *s, struct warm **ret, struct err *err)
{
    const struct strlist *entries = &s->options.settings->sessions.warm;
    struct warm *w = mem_calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    w->sessions = s;
    enum err_code rc = entries->n <= PROFILES_MAX
                           ? ERR_OK
                           : err_set(err, ERR_INVALID, "sessions.warm has %zu entries, the limit is %d",
                                     entries->n, PROFILES_MAX);
    for (size_t i = 0; rc == ERR_OK && i < entries->n; i++)
        rc = read_profile(&w->profiles[w->n++], entries->items[i], err);
    if (rc != ERR_OK) {
        warm_free(w);
        return rc;
    }
    *ret = w;
    return ERR_OK;
}

void warm_free(struct warm *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->n; i++)
        profile_clear(&w->profiles[i]);
    mem_free(w);
}

static struct profile *find_profile(struct warm *w, const char *text)
{
    for (size_t i = 0; i < w->n; i++)
        if (text != NULL && strcmp(w->profiles[i].text, text) == 0)
            return &w->profiles[i];
    return NULL;
}

static struct session *member_of(const struct warm *w, const struct app *app)
{
    return sessions_find(w->sessions, app_info(app)->id);
}

/* ---- giving away ---- */

/* What a driver is started with and cannot be changed afterwards. */
static bool fits_process(const struct spark_submission *s)
{
    static const char *const of_the_process[] = {
        "spark.driver.extraJavaOptions", "spark.driver.defaultJavaOptions",
        "spark.driver.extraClassPath",   "spark.driver.extraLibraryPath",
        "spark.driver.memoryOverhead",   "spark.driver.memoryOverheadFactor",
        "spark.pyspark.python",          "spark.pyspark.driver.python",
        "spark.jars.packages",           "spark.jars.repositories",
        "spark.jars.excludes",           "spark.jars.ivy",
        "spark.jars.ivySettings",        "spark.driver.userClassPathFirst",
        "spark.kerberos.principal",      "spark.kerberos.keytab",
    };
    for (size_t i = 0; i < sizeof of_the_process / sizeof *of_the_process; i++)
        if (strmap_get(&s->conf, of_the_process[i]) != NULL)
            return false;
    return s->proxy_user == NULL && s->queue == NULL && s->py_files.n == 0 && s->master != NULL &&
           (str_starts(s->master, "local") || str_starts(s->master, "spark://"));
}

/* Files of other file systems are fetched by spark-submit before the driver starts. */
static bool fits_files(const struct strmap *conf)
{
    static const char *const keys[] = {"spark.jars", "spark.submit.pyFiles"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = strmap_get(conf, keys[i]);
        struct strlist files = {0};
        bool local = value == NULL || strlist_split(&files, value, ", ") == 0;
        for (size_t k = 0; local && k < files.n; k++)
            local = files.items[k][0] == '/' || str_starts(files.items[k], "file:");
        strlist_clear(&files);
        if (!local)
            return false;
    }
    return true;
}

static bool same_memory(const char *a, const char *b)
{
    uint64_t a_bytes = 1;
    uint64_t b_bytes = 2;
    if (a == NULL || b == NULL)
        return a == b;
    return parse_size(a, 1 << 20, &a_bytes, NULL) == ERR_OK &&
           parse_size(b, 1 << 20, &b_bytes, NULL) == ERR_OK && a_bytes == b_bytes;
}

struct choice {
    struct warm *warm;
    const struct session_request *request;
    struct app *best;
    bool best_kind;
};

static void consider(struct app *app, void *arg)
{
    struct choice *c = arg;
    const struct session *member = member_of(c->warm, app);
    const struct profile *p = member != NULL ? find_profile(c->warm, member->profile) : NULL;
    const char *memory = strmap_get(&c->request->submission->conf, "spark.driver.memory");
    if (p == NULL || !member->agent.warm || member->given || app_info(app)->state != APP_RUNNING ||
        member->link == NULL || !link_is_connected(member->link) || !same_memory(p->memory, memory))
        return;
    bool right_kind = (strcmp(p->kind, "spark") == 0) == (strcmp(c->request->kind, "spark") == 0);
    if (c->best == NULL || (right_kind && !c->best_kind)) {
        c->best = app;
        c->best_kind = right_kind;
    }
}

struct app *warm_take(struct warm *w, const struct session_request *request)
{
    struct choice c = {.warm = w, .request = request};
    if (w->n > 0 && fits_process(request->submission) && fits_files(&request->submission->conf))
        apps_each_warm(w->sessions->options.apps, consider, &c);
    if (c.best != NULL) {
        member_of(w, c.best)->given = true;
        w->ready -= w->ready > 0;
        w->quiet_until_ms = clock_mono_ms() + QUIET_MS;
    }
    return c.best;
}

/* ---- keeping the number ---- */

static void on_submitted(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg)
{
    struct profile *p = arg;
    (void)app;
    (void)id;
    (void)replayed;
    p->submitted--;
    if (err->code != ERR_OK)
        log_warn("no driver that stands ready", LOG_S("why", err->msg)); /* the next tick tries again */
}

static bool make_submission(const struct warm *w, const struct profile *p, struct spark_submission *s)
{
    return mem_set_str(&s->master, w->sessions->options.settings->spark.master) == 0 &&
           mem_set_str(&s->deploy_mode, "client") == 0 &&
           (p->memory == NULL || strmap_set(&s->conf, "spark.driver.memory", p->memory) == 0);
}

static void start_member(struct warm *w, struct profile *p)
{
    struct err err = {0};
    uint64_t memory = 0;
    struct spark_submission submission = {0};
    const struct session_request request = {
        .kind = p->kind, .submission = &submission, .asked = "{}", .warm = true, .profile = p->text};
    bool made = make_submission(w, p, &submission);
    if (made && apps_estimate(w->sessions->options.apps, &submission, &memory, &err) == ERR_OK &&
        apps_has_room(w->sessions->options.apps, memory)) {
        p->submitted++;
        if (sessions_create(w->sessions, &request, on_submitted, p, &err) != ERR_OK)
            on_submitted(&err, NULL, 0, false, p);
    }
    spark_submission_clear(&submission);
}

struct census {
    struct warm *warm;
    size_t ready;
    struct app *surplus; /* of a profile that is not wanted any more, or too many */
};

static void count(struct app *app, void *arg)
{
    struct census *c = arg;
    const struct session *member = member_of(c->warm, app);
    struct profile *p = member != NULL ? find_profile(c->warm, member->profile) : NULL;
    const struct app_info *info = app_info(app);
    if (info->state == APP_STOPPING || (member != NULL && member->given))
        return;
    if (app_state_is_end(info->state)) {
        if (p != NULL && member != NULL && !member->agent.warm && p->retry_at_ms < clock_mono_ms()) {
            p->retry_ms = p->retry_ms == 0                 ? RETRY_FIRST_MS
                          : p->retry_ms * 2 < RETRY_MAX_MS ? p->retry_ms * 2
                                                           : RETRY_MAX_MS;
            p->retry_at_ms = clock_mono_ms() + p->retry_ms;
            log_warn("a driver that was to stand ready has ended", LOG_I("session", info->id),
                     LOG_S("why", info->reason));
        }
        return;
    }
    if (p == NULL || (int64_t)++p->alive > p->count) {
        c->surplus = app;
        return;
    }
    if (member->agent.warm) {
        c->ready++;
        p->retry_ms = 0;
    }
}

void warm_tick(struct warm *w)
{
    struct census c = {.warm = w};
    for (size_t i = 0; i < w->n; i++)
        w->profiles[i].alive = w->profiles[i].submitted;
    apps_each_warm(w->sessions->options.apps, count, &c);
    w->ready = c.ready;
    if (c.surplus != NULL)
        app_kill(c.surplus, "not wanted any more (sessions.warm)", NULL, NULL);
    /* A start takes the processors for seconds: not while the first query of a session runs. */
    for (size_t i = 0; i < w->n && clock_mono_ms() >= w->quiet_until_ms; i++) {
        struct profile *p = &w->profiles[i];
        if ((int64_t)p->alive < p->count && clock_mono_ms() >= p->retry_at_ms) {
            start_member(w, p);
            return; /* one at a time */
        }
    }
}

size_t warm_ready(const struct warm *w)
{
    return w->ready;
}

/* ---- making place ---- */

struct victim {
    struct warm *warm;
    struct app *app;
    bool stopping; /* one makes place already */
};

static void find_victim(struct app *app, void *arg)
{
    struct victim *v = arg;
    const struct session *member = member_of(v->warm, app);
    enum app_state state = app_info(app)->state;
    if (state == APP_STOPPING)
        v->stopping = true;
    else if (!app_state_is_end(state) && (member == NULL || !member->given))
        v->app = app; /* the youngest */
}

void warm_give_way(void *arg)
{
    struct victim v = {.warm = arg};
    apps_each_warm(v.warm->sessions->options.apps, find_victim, &v);
    if (!v.stopping && v.app != NULL)
        app_kill(v.app, "it made place for an application that waited", NULL, NULL);
}
