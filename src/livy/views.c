/*
 * How batches look on the wire, and a small store of answers that are ready to be sent again.
 *
 * An answer is good as long as the revision that it was made from is the present one, so nothing has to
 * be invalidated: a stale one is simply made anew.
 */
#include "livy/livy_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    READY_SLOTS = 512,
    READY_BYTES_MAX = 8 << 20,
    LIST_BYTES_MAX = 256 << 20, /* a list without a limit of its own, as Livy has it */
    BATCH_BYTES_MAX = 4 << 20,
};

/* ---- ready answers ---- */

struct ready_slot {
    char key[128];
    uint64_t revision;
    struct http_answer *answer;
};

struct ready {
    size_t bytes;
    struct ready_slot slots[READY_SLOTS];
};

struct ready *ready_new(void)
{
    return mem_calloc(1, sizeof(struct ready));
}

static void ready_drop(struct ready *ready, struct ready_slot *slot)
{
    if (slot->answer != NULL)
        ready->bytes -= http_answer_size(slot->answer);
    http_answer_unref(slot->answer);
    *slot = (struct ready_slot){0};
}

static void ready_empty(struct ready *ready)
{
    for (size_t i = 0; i < READY_SLOTS; i++)
        ready_drop(ready, &ready->slots[i]);
}

void ready_free(struct ready *ready)
{
    if (ready == NULL)
        return;
    ready_empty(ready);
    mem_free(ready);
}

static struct ready_slot *ready_slot_of(struct ready *ready, const char *key)
{
    unsigned hash;
    HASH_JEN(key, strlen(key), hash);
    return &ready->slots[hash % READY_SLOTS];
}

/* A new reference to the answer for key at this revision, or NULL. */
static struct http_answer *ready_get(struct ready *ready, const char *key, uint64_t revision)
{
    struct ready_slot *slot = ready_slot_of(ready, key);
    if (slot->answer == NULL || slot->revision != revision || strcmp(slot->key, key) != 0)
        return NULL;
    return http_answer_ref(slot->answer);
}

static void ready_put(struct ready *ready, const char *key, uint64_t revision, struct http_answer *answer)
{
    size_t size = http_answer_size(answer);
    if (strlen(key) >= sizeof ready->slots[0].key || size > READY_BYTES_MAX / 4)
        return;
    if (ready->bytes + size > READY_BYTES_MAX)
        ready_empty(ready);
    struct ready_slot *slot = ready_slot_of(ready, key);
    ready_drop(ready, slot);
    (void)snprintf(slot->key, sizeof slot->key, "%s", key);
    slot->revision = revision;
    slot->answer = http_answer_ref(answer);
    ready->bytes += size;
}

/* ---- batches ---- */

static const char *const livy_words[APP_STATES] = {
    [APP_WAITING] = "starting", [APP_LAUNCHING] = "starting", [APP_RUNNING] = "running",
    [APP_STOPPING] = "running", [APP_SUCCESS] = "success",    [APP_DEAD] = "dead",
    [APP_KILLED] = "killed",
};

const char *view_state(const struct app_info *info)
{
    return livy_words[info->state];
}

const char *view_state_of_row(const struct store_app *row)
{
    for (int state = 0; state < APP_STATES; state++)
        if (strcmp(app_state_name((enum app_state)state), row->state) == 0)
            return livy_words[state];
    return livy_words[APP_DEAD];
}

void view_time(struct json_out *out, const char *key, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    json_out_str(out, key, wall_ms != 0 ? text : NULL);
}

static void view_diagnosis(struct json_out *out, const struct app_info *info, enum view view)
{
    const struct app_diagnosis *d = &info->diagnosis;
    if (!app_state_is_end(info->state) || view == VIEW_PUBLIC) {
        json_out_null(out, "diagnosis");
        return;
    }
    char name[24] = "";
    const char *abbreviation = d->signal != 0 ? sigabbrev_np(d->signal) : NULL;
    if (d->signal != 0)
        (void)snprintf(name, sizeof name, "SIG%s", abbreviation != NULL ? abbreviation : "UNKNOWN");
    json_out_object(out, "diagnosis");
    json_out_str(out, "summary", d->summary);
    if (d->exit_code >= 0)
        json_out_int(out, "exitCode", d->exit_code);
    else
        json_out_null(out, "exitCode");
    json_out_str(out, "signal", d->signal != 0 ? name : NULL);
    json_out_bool(out, "killedForMemory", d->killed_for_memory);
    json_out_str(out, "launcherState", info->launcher_state);
    if (d->max_memory > 0)
        json_out_int(out, "maxMemory", (int64_t)d->max_memory);
    else
        json_out_null(out, "maxMemory");
    json_out_list(out, "lastErrors", &d->errors);
    json_out_end_object(out);
}

static void view_app_info(struct json_out *out, const struct app_info *info, const char *reason)
{
    char exit_code[16];
    (void)snprintf(exit_code, sizeof exit_code, "%d", info->diagnosis.exit_code);
    bool exited = app_state_is_end(info->state) && info->diagnosis.exit_code >= 0;
    json_out_object(out, "appInfo");
    json_out_null(out, "driverLogUrl");
    json_out_str(out, "sparkUiUrl", info->ui_url);
    json_out_null(out, "executorLogUrls");
    if (reason != NULL)
        json_out_str(out, "reason", reason);
    if (exited)
        json_out_str(out, "exitCode", exit_code);
    json_out_end_object(out);
}

static void view_tail(struct json_out *out, const struct app_info *info, enum view view)
{
    enum { SHOWN = APP_TAIL_LINES };
    json_out_array(out, "log");
    if (view == VIEW_LOG) {
        /* Of "stdout: ", the lines, "\nstderr: " the last ten. */
        size_t n = info->tail.n;
        size_t skip = n + 1 > SHOWN ? n + 1 - SHOWN : 0;
        if (n + 2 <= SHOWN)
            json_out_str(out, NULL, "stdout: ");
        for (size_t i = skip; i < n; i++)
            json_out_str(out, NULL, info->tail.items[i]);
        json_out_str(out, NULL, "\nstderr: ");
    }
    json_out_end_array(out);
}

void view_batch_keys(struct json_out *out, const struct app *app, enum view view)
{
    const struct app_info *info = app_info(app);
    size_t place = app_queue_position(app);
    const char *reason = view != VIEW_PUBLIC || !app_state_is_end(info->state) ? info->reason : NULL;
    json_out_int(out, "id", info->id);
    json_out_str(out, "name", info->name);
    json_out_str(out, "owner", info->owner);
    json_out_str(out, "proxyUser", info->proxy_user);
    json_out_str(out, "state", view_state(info));
    json_out_str(out, "appId", info->app_id);
    view_app_info(out, info, reason);
    view_tail(out, info, view);
    json_out_str(out, "master", info->master);
    json_out_str(out, "file", info->file);
    view_time(out, "createdAt", info->created_ms);
    view_time(out, "startedAt", info->started_ms);
    view_time(out, "endedAt", info->ended_ms);
    json_out_str(out, "reason", reason);
    if (place > 0)
        json_out_int(out, "queuePosition", (int64_t)place);
    else
        json_out_null(out, "queuePosition");
    view_diagnosis(out, info, view);
}

static void view_batch(struct json_out *out, const struct app *app, enum view view)
{
    json_out_object(out, NULL);
    view_batch_keys(out, app, view);
    json_out_end_object(out);
}

/* ---- one batch ---- */

struct waiting_batch {
    struct livy *livy;
    struct http_request *request;
    int64_t id;
    enum view view;
};

static void reply_batch_now(struct livy *l, struct http_request *r, const struct app *app, enum view view)
{
    char key[128];
    (void)snprintf(key, sizeof key, "batch %" PRId64 " %d", app_info(app)->id, (int)view);
    uint64_t revision = app_revision(app);
    struct http_answer *answer = ready_get(l->ready, key, revision);
    if (answer == NULL) {
        cleanup(buf_clear) struct buf body = BUF(BATCH_BYTES_MAX);
        struct json_out out;
        json_out_open(&out, &body);
        view_batch(&out, app, view);
        answer = http_answer_new(200, HTTP_JSON, &body);
        if (answer != NULL)
            ready_put(l->ready, key, revision, answer);
    }
    http_reply(r, answer);
}

static void on_batch_tail(void *arg)
{
    struct waiting_batch w = *(struct waiting_batch *)arg;
    mem_free(arg);
    const struct app *app = apps_find(w.livy->apps, APP_BATCH, w.id);
    if (app == NULL)
        livy_reply_msg(w.request, 404, "Session '%" PRId64 "' not found.", w.id);
    else
        reply_batch_now(w.livy, w.request, app, w.view);
}

void views_reply_batch(struct livy *l, struct http_request *r, struct app *app, enum view view)
{
    if (app_info(app)->tail_known || view != VIEW_LOG) {
        reply_batch_now(l, r, app, view);
        return;
    }
    struct waiting_batch *w = mem_calloc(1, sizeof *w);
    if (w == NULL) {
        http_reply(r, NULL);
        return;
    }
    *w = (struct waiting_batch){l, r, app_info(app)->id, view};
    apps_load_tails(l->apps, &app, 1, on_batch_tail, w);
}

/* ---- the list ---- */

struct waiting_list {
    struct livy *livy;
    struct http_request *request;
    int64_t from, size;
    char *user;
};

/* The part of the collection that a page shows: [*first, *first + *count). */
static void page(struct livy *l, int64_t from, int64_t size, size_t *first, size_t *count)
{
    size_t total = apps_count(l->apps, APP_BATCH);
    bool empty = from < 0 || size <= 0 || (uint64_t)from >= total;
    *first = empty ? 0 : (size_t)from;
    *count = empty ? 0 : (uint64_t)size < total - *first ? (size_t)size : total - *first;
}

static struct http_answer *make_list(struct livy *l, int64_t from, int64_t size, const char *user)
{
    size_t first = 0;
    size_t count = 0;
    page(l, from, size, &first, &count);
    cleanup(buf_clear) struct buf body = BUF(LIST_BYTES_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_int(&out, "from", from);
    json_out_int(&out, "total", (int64_t)apps_count(l->apps, APP_BATCH));
    json_out_array(&out, "sessions");
    for (size_t i = first; i < first + count; i++) {
        const struct app *app = apps_at(l->apps, APP_BATCH, i);
        view_batch(&out, app, access_may_view(l->access, user, app_info(app)) ? VIEW_LOG : VIEW_PUBLIC);
    }
    json_out_end_array(&out);
    json_out_end_object(&out);
    return http_answer_new(200, HTTP_JSON, &body);
}

static void reply_list_now(struct livy *l, struct http_request *r, int64_t from, int64_t size,
                           const char *user)
{
    char key[256];
    (void)snprintf(key, sizeof key, "list %" PRId64 " %" PRId64 " %s", from, size, user != NULL ? user : "");
    uint64_t revision = apps_revision(l->apps);
    struct http_answer *answer = ready_get(l->ready, key, revision);
    if (answer == NULL) {
        answer = make_list(l, from, size, user);
        if (answer != NULL)
            ready_put(l->ready, key, revision, answer);
    }
    http_reply(r, answer);
}

static void on_list_tails(void *arg)
{
    struct waiting_list *w = arg;
    reply_list_now(w->livy, w->request, w->from, w->size, w->user);
    mem_free(w->user);
    mem_free(w);
}

void views_reply_list(struct livy *l, struct http_request *r, int64_t from, int64_t size, const char *user)
{
    size_t first = 0;
    size_t count = 0;
    size_t missing = 0;
    page(l, from, size, &first, &count);
    for (size_t i = first; i < first + count; i++)
        missing += !app_info(apps_at(l->apps, APP_BATCH, i))->tail_known;
    if (missing == 0) {
        reply_list_now(l, r, from, size, user);
        return;
    }
    struct waiting_list *w = mem_calloc(1, sizeof *w);
    struct app **list = mem_calloc(missing, sizeof(struct app *));
    if (w == NULL || list == NULL || mem_set_str(&w->user, user) != 0) {
        mem_free(w);
        mem_free(list);
        http_reply(r, NULL);
        return;
    }
    w->livy = l;
    w->request = r;
    w->from = from;
    w->size = size;
    for (size_t i = first, n = 0; i < first + count; i++) {
        struct app *app = apps_at(l->apps, APP_BATCH, i);
        if (!app_info(app)->tail_known)
            list[n++] = app;
    }
    apps_load_tails(l->apps, list, missing, on_list_tails, w);
    mem_free(list);
}
