/*
 * What a master's RPC and its page told, merged into one object.
 *
 * The RPC has what describes things (addresses, owners, programs), the page has what changes (states, used
 * cores, heartbeats). Both come from outside: a member of another type than expected counts as absent.
 * Environments and Java options never get here, they may hold secrets.
 */
#include "cluster/cluster_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/answer.h"

#include <stdlib.h>
#include <string.h>

#define MIB_MAX (1LL << 40)
#define TIME_MAX_MS 253402300799999LL /* the year 9999 */

/* ---- members of what came; NULL when absent or of another type ---- */

static json_t *text(const json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    return json_is_string(v) ? v : NULL;
}

static const char *words(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static json_t *whole(const json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? v : NULL;
}

static json_t *array(const json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    return json_is_array(v) ? v : NULL;
}

static json_t *flag(const json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    return json_is_boolean(v) ? v : NULL;
}

/* MiB as bytes. A new reference, as with all that follow. */
static json_t *bytes(const json_t *object, const char *key)
{
    const json_t *v = whole(object, key);
    json_int_t mib = json_integer_value(v);
    return v != NULL && mib >= 0 && mib <= MIB_MAX ? json_integer(mib * (1 << 20)) : NULL;
}

static json_t *time_text(int64_t ms)
{
    char at[CLOCK_TEXT_MAX];
    if (ms <= 0 || ms > TIME_MAX_MS)
        return NULL;
    clock_format(ms, at);
    return json_string(at);
}

static json_t *time_of(const json_t *object, const char *key)
{
    return time_text(json_integer_value(whole(object, key)));
}

/* The objects of one or two lists by their ids. */
static json_t *index_by_id(const json_t *page, const char *one, const char *two)
{
    const json_t *const lists[] = {array(page, one), array(page, two)};
    json_t *index = json_object();
    for (size_t l = 0; l < 2; l++) {
        size_t i = 0;
        json_t *item = NULL;
        json_array_foreach(lists[l], i, item)
        {
            const char *id = words(item, "id");
            if (id != NULL)
                (void)json_object_set(index, id, item); /* one that is missing counts as not told */
        }
    }
    return index;
}

/* ---- workers ---- */

/* {"gpu": {"addresses": ["0","1"], "used": ["1"]}} */
static json_t *resources(const json_t *worker, const json_t *shown)
{
    const json_t *used = json_object_get(shown, "resourcesused");
    json_t *all = json_object();
    const char *name = NULL;
    json_t *resource = NULL;
    json_object_foreach(json_object_get(worker, "resources"), name, resource)
    {
        json_t *one = json_pack("{s:O?, s:O?}", "addresses", array(resource, "addresses"), "used",
                                array(json_object_get(used, name), "addresses"));
        if (json_object_set_new(all, name, one) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static json_t *worker_of(const json_t *worker, const json_t *shown)
{
    return json_pack("{s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:o?, s:o?, s:O?, s:o?, s:o}", "id",
                     text(worker, "id"), "host", text(worker, "host"), "port", whole(worker, "port"), "state",
                     text(shown, "state"), "cores", whole(worker, "cores"), "coresUsed",
                     whole(shown, "coresused"), "memory", bytes(worker, "memory"), "memoryUsed",
                     bytes(shown, "memoryused"), "webUi", text(worker, "webUiAddress"), "lastHeartbeat",
                     time_of(shown, "lastheartbeat"), "resources", resources(worker, shown));
}

static int compare_ids(const void *a, const void *b)
{
    const char *one = words(*(json_t *const *)a, "id");
    const char *two = words(*(json_t *const *)b, "id");
    return strcmp(one != NULL ? one : "", two != NULL ? two : "");
}

/* A master tells its workers in no order; this one stays the same from look to look. */
static json_t *sorted_by_id(json_t *list)
{
    size_t n = json_array_size(list);
    json_t **items = mem_calloc(n + 1, sizeof *items);
    json_t *sorted = items != NULL ? json_array() : NULL;
    for (size_t i = 0; sorted != NULL && i < n; i++)
        items[i] = json_array_get(list, i);
    if (sorted != NULL)
        qsort(items, n, sizeof(json_t *), compare_ids);
    for (size_t i = 0; sorted != NULL && i < n; i++)
        if (json_array_append(sorted, items[i]) != 0) {
            json_decref(sorted);
            sorted = NULL;
        }
    mem_free(items);
    json_decref(list);
    return sorted;
}

static json_t *workers_of(const struct cluster_facts *f)
{
    json_t *shown = index_by_id(f->page, "workers", "");
    json_t *list = json_array();
    size_t i = 0;
    json_t *worker = NULL;
    json_array_foreach(array(f->state, "workers"), i, worker)
    {
        const char *id = words(worker, "id");
        if (json_array_append_new(list, worker_of(worker, id != NULL ? json_object_get(shown, id) : NULL)) !=
            0) {
            json_decref(list);
            list = NULL;
            break;
        }
    }
    json_decref(shown);
    return list != NULL ? sorted_by_id(list) : NULL;
}

/* ---- applications ---- */

/* Where an application's executors say their memory: by profile since 3.4, in a field of its own before. */
static json_t *executor_memory(const json_t *description)
{
    const json_t *requests =
        json_object_get(json_object_get(description, "defaultProfile"), "executorResources");
    json_t *new = bytes(json_object_get(requests, "memory"), "amount");
    return new != NULL ? new : bytes(description, "memoryPerExecutorMB");
}

static json_t *application_of(const json_t *app, bool active, const json_t *shown)
{
    const json_t *description = json_object_get(app, "desc");
    return json_pack("{s:O?, s:O?, s:O?, s:b, s:O?, s:O?, s:o?, s:o?, s:o?, s:O?, s:O?}", "id",
                     text(app, "id"), "name", text(description, "name"), "user", text(description, "user"),
                     "active", active, "state", text(shown, "state"), "cores", whole(shown, "cores"),
                     "memoryPerExecutor", executor_memory(description), "submittedAt",
                     time_of(app, "submitDate"), "startedAt", time_of(app, "startTime"), "driver",
                     text(json_object_get(app, "driver"), "address"), "ui", text(description, "appUiUrl"));
}

static int add_applications(json_t *list, const json_t *apps, bool active, const json_t *shown)
{
    size_t i = 0;
    json_t *app = NULL;
    json_array_foreach(apps, i, app)
    {
        const char *id = words(app, "id");
        json_t *one = application_of(app, active, id != NULL ? json_object_get(shown, id) : NULL);
        if (json_array_append_new(list, one) != 0)
            return -1;
    }
    return 0;
}

static json_t *applications_of(const struct cluster_facts *f)
{
    json_t *shown = index_by_id(f->page, "activeapps", "completedapps");
    json_t *list = json_array();
    if (list != NULL && (add_applications(list, array(f->state, "activeApps"), true, shown) != 0 ||
                         add_applications(list, array(f->state, "completedApps"), false, shown) != 0)) {
        json_decref(list);
        list = NULL;
    }
    json_decref(shown);
    return list;
}

/* ---- drivers ---- */

struct driver_sources {
    const json_t *asked;   /* DriverStatusResponse by id */
    const json_t *shown;   /* on the page, by id */
    const json_t *workers; /* of the state, by id */
};

/* What the program's main class is: DriverWrapper runs the one behind its two placeholders. */
static json_t *main_class(const json_t *command)
{
    const char *class = words(command, "mainClass");
    if (class == NULL || strcmp(class, "org.apache.spark.deploy.worker.DriverWrapper") != 0)
        return text(command, "mainClass");
    json_t *wrapped = json_array_get(array(command, "arguments"), 2);
    return json_is_string(wrapped) ? wrapped : NULL;
}

/* A URL without what may be secret in it: user, password, and a query with a signature. */
static json_t *public_url(const char *url)
{
    if (url == NULL)
        return NULL;
    const char *host = strstr(url, "://");
    host = host != NULL ? host + strlen("://") : url;
    size_t authority = strcspn(host, "/?#");
    const char *at = host != url ? memrchr(host, '@', authority) : NULL;
    const char *rest = at != NULL ? at + 1 : host;
    return json_sprintf("%.*s%.*s", (int)(host - url), url, (int)strcspn(rest, "?#"), rest);
}

/* "host:port" of a driver's worker. */
static json_t *driver_worker(const json_t *asked, const char *worker_id, const json_t *workers)
{
    json_t *told = text(asked, "workerHostPort");
    const json_t *worker = worker_id != NULL ? json_object_get(workers, worker_id) : NULL;
    const char *host = words(worker, "host");
    const json_t *port = whole(worker, "port");
    if (told != NULL || host == NULL || port == NULL)
        return json_incref(told);
    return json_sprintf("%s:%d", host, (int)json_integer_value(port));
}

/* Why it is in state ERROR. */
static json_t *driver_trouble(const json_t *asked)
{
    const json_t *exception = json_object_get(asked, "exception");
    if (!json_is_object(exception))
        return NULL;
    cleanup(mem_freep) char *sentence = rpc_exception_words(exception);
    return sentence != NULL ? json_string(sentence) : NULL;
}

static json_t *driver_of(const json_t *driver, const struct driver_sources *from)
{
    const char *id = words(driver, "id");
    const json_t *description = json_object_get(driver, "desc");
    const json_t *asked = id != NULL ? json_object_get(from->asked, id) : NULL;
    const json_t *shown = id != NULL ? json_object_get(from->shown, id) : NULL;
    json_t *state = text(asked, "state") != NULL ? text(asked, "state") : text(shown, "state");
    json_t *worker_id = text(asked, "workerId") != NULL ? text(asked, "workerId") : text(shown, "worker");
    const char *at = json_string_value(worker_id);
    if (at != NULL && strcmp(at, "None") == 0) /* the page's word for one that waits */
        worker_id = NULL;
    return json_pack("{s:O?, s:O?, s:o?, s:O?, s:o?, s:o?, s:O?, s:o?, s:O?, s:o?, s:O?}", "id",
                     text(driver, "id"), "state", state, "worker", driver_worker(asked, at, from->workers),
                     "workerId", worker_id, "submittedAt", time_of(driver, "submitDate"), "file",
                     public_url(words(description, "jarUrl")), "mainClass",
                     main_class(json_object_get(description, "command")), "memory", bytes(description, "mem"),
                     "cores", whole(description, "cores"), "trouble", driver_trouble(asked), "supervise",
                     flag(description, "supervise"));
}

static int add_drivers(json_t *list, const json_t *drivers, const struct driver_sources *from)
{
    size_t i = 0;
    json_t *driver = NULL;
    json_array_foreach(drivers, i, driver)
    {
        if (json_array_append_new(list, driver_of(driver, from)) != 0)
            return -1;
    }
    return 0;
}

static json_t *drivers_of(const struct cluster_facts *f)
{
    json_t *shown = index_by_id(f->page, "activedrivers", "completeddrivers");
    json_t *workers = index_by_id(f->state, "workers", "");
    json_t *list = json_array();
    struct driver_sources from = {f->drivers, shown, workers};
    if (list != NULL && (add_drivers(list, array(f->state, "activeDrivers"), &from) != 0 ||
                         add_drivers(list, array(f->state, "completedDrivers"), &from) != 0)) {
        json_decref(list);
        list = NULL;
    }
    json_decref(shown);
    json_decref(workers);
    return list;
}

/* ---- totals ---- */

static bool has_state(const json_t *object, const char *state)
{
    const char *is = words(object, "state");
    return is != NULL && strcmp(is, state) == 0;
}

static int64_t count(const json_t *list, const char *state)
{
    int64_t n = 0;
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach(list, i, item) n += has_state(item, state);
    return n;
}

/* The sum over the workers that live. */
static int64_t sum(const json_t *workers, const char *key)
{
    int64_t total = 0;
    size_t i = 0;
    json_t *worker = NULL;
    json_array_foreach(workers, i, worker)
    {
        int64_t longer = 0;
        if (has_state(worker, "ALIVE") &&
            !__builtin_add_overflow(total, json_integer_value(whole(worker, key)), &longer))
            total = longer;
    }
    return total;
}

/* Which workers live, and so what there is, only the page tells. */
static json_t *totals_of(bool with_page, const json_t *workers, const json_t *applications,
                         const json_t *drivers)
{
    json_t *totals = json_pack("{s:I, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:I}", "workers",
                               (json_int_t)json_array_size(workers), "workersAlive", "cores", "coresUsed",
                               "memory", "memoryUsed", "applicationsRunning", "applicationsWaiting",
                               "driversRunning", (json_int_t)count(drivers, "RUNNING"));
    if (!with_page)
        return totals;
    int failed = json_object_set_new(totals, "workersAlive", json_integer(count(workers, "ALIVE")));
    static const char *const sums[] = {"cores", "coresUsed", "memory", "memoryUsed"};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        failed |= json_object_set_new(totals, sums[i], json_integer(sum(workers, sums[i])));
    failed |=
        json_object_set_new(totals, "applicationsRunning", json_integer(count(applications, "RUNNING")));
    failed |=
        json_object_set_new(totals, "applicationsWaiting", json_integer(count(applications, "WAITING")));
    if (failed == 0)
        return totals;
    json_decref(totals);
    return NULL;
}

/* ---- the whole ---- */

json_t *cluster_json_state(const struct cluster_facts *f)
{
    json_t *workers = workers_of(f);
    json_t *applications = applications_of(f);
    json_t *drivers = drivers_of(f);
    json_t *totals = totals_of(f->page != NULL, workers, applications, drivers);
    json_t *rest_port = f->rest_port > 0 ? json_integer(f->rest_port) : NULL;
    return json_pack("{s:s, s:s?, s:o?, s:s?, s:s?, s:o, s:o, s:o, s:o}", "leader", f->leader, "sparkVersion",
                     f->version, "restPort", rest_port, "webUi", f->web_ui, "webUiTrouble", f->page_trouble,
                     "totals", totals, "workers", workers, "applications", applications, "drivers", drivers);
}

json_t *cluster_json_summary(const json_t *state)
{
    json_t *summary = json_copy((json_t *)(uintptr_t)state); /* it is only read */
    (void)json_object_del(summary, "workers");               /* one that is not there is fine */
    (void)json_object_del(summary, "applications");
    (void)json_object_del(summary, "drivers");
    return summary;
}

static bool is_alive(const json_t *answer)
{
    const char *status = words(answer, "status");
    return status != NULL && strcmp(status, "ALIVE") == 0 &&
           json_is_object(json_object_get(answer, "state")) && words(answer, "master") != NULL;
}

const json_t *cluster_json_leader(const json_t *survey)
{
    size_t i = 0;
    json_t *answer = NULL;
    json_array_foreach(survey, i, answer)
    {
        if (is_alive(answer))
            return answer;
    }
    return NULL;
}

json_t *cluster_json_masters(const json_t *survey)
{
    json_t *masters = json_array();
    size_t i = 0;
    json_t *answer = NULL;
    json_array_foreach(survey, i, answer)
    {
        json_t *one = json_pack("{s:O?, s:O?, s:O?, s:O?}", "address", text(answer, "master"), "status",
                                text(answer, "status"), "trouble", text(answer, "error"), "result",
                                text(answer, "result"));
        if (json_array_append_new(masters, one) != 0) {
            json_decref(masters);
            return NULL;
        }
    }
    return masters;
}

char *cluster_json_trouble(const char *url, const json_t *survey)
{
    if (json_array_size(survey) == 1 && words(json_array_get(survey, 0), "error") != NULL)
        return mem_strdup(words(json_array_get(survey, 0), "error"));
    cleanup(buf_clear) struct buf sentence = BUF(65536);
    buf_printf(&sentence, "no master of %s is alive", url);
    size_t i = 0;
    json_t *answer = NULL;
    json_array_foreach(survey, i, answer)
    {
        const char *error = words(answer, "error");
        const char *status = words(answer, "status");
        buf_str(&sentence, i == 0 ? ": " : ", ");
        if (error != NULL)
            buf_str(&sentence, error);
        else
            buf_printf(&sentence, "%s is %s", words(answer, "master"), status != NULL ? status : "silent");
    }
    return buf_steal(&sentence);
}

/* What has not been seen yet: every member is there, and null. */
static json_t *unknown_state(void)
{
    return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n}", "leader", "sparkVersion", "restPort",
                     "webUi", "webUiTrouble", "totals", "workers", "applications", "drivers");
}

json_t *cluster_json_whole(const struct cluster_frame *frame, json_t *masters, json_t *state)
{
    bool reachable = frame->checked_ms != 0 && frame->trouble == NULL;
    json_t *age = frame->state_ms != 0 ? json_integer(frame->age_ms) : NULL;
    json_t *whole_object = json_pack("{s:s?, s:s, s:b, s:s?, s:o?, s:o?, s:o?, s:o?}", "name", frame->name,
                                     "url", frame->url, "reachable", reachable, "trouble", frame->trouble,
                                     "checkedAt", time_text(frame->checked_ms), "stateAt",
                                     time_text(frame->state_ms), "ageMs", age, "masters", masters);
    json_t *rest = state != NULL ? state : unknown_state();
    int failed = json_object_update(whole_object, rest);
    if (!reachable)
        failed |= json_object_set_new(whole_object, "leader", json_null());
    json_decref(rest);
    if (failed == 0)
        return whole_object;
    json_decref(whole_object);
    return NULL;
}
