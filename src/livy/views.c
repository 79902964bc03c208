/*
 * How applications look on the wire: what batches and sessions have in common, one of them, a list.
 */
#include "livy/livy_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    LIST_BYTES_MAX = 256 << 20, /* a list without a limit of its own, as Livy has it */
    ONE_BYTES_MAX = 64 << 20,
};

/* ---- parts ---- */

static const char *const batch_words[APP_STATES] = {
    [APP_WAITING] = "starting", [APP_LAUNCHING] = "starting", [APP_RUNNING] = "running",
    [APP_STOPPING] = "running", [APP_SUCCESS] = "success",    [APP_DEAD] = "dead",
    [APP_KILLED] = "killed",
};

/* Of sessions that are not listed any more: what the session module could tell of the others is gone. */
static const char *const session_words[APP_STATES] = {
    [APP_WAITING] = "starting",      [APP_LAUNCHING] = "starting",
    [APP_RUNNING] = "shutting_down", [APP_STOPPING] = "shutting_down",
    [APP_SUCCESS] = "dead",          [APP_DEAD] = "dead",
    [APP_KILLED] = "dead",
};

const char *view_state(struct livy *l, const struct app *app)
{
    if (app_info(app)->kind == APP_SESSION)
        return session_state_name(session_state(session_of(l->sessions, app)));
    return batch_words[app_info(app)->state];
}

const char *view_state_of_row(const struct store_app *row)
{
    bool session = strcmp(row->kind, app_kind_name(APP_SESSION)) == 0;
    const char *const *words = session ? session_words : batch_words;
    for (int state = 0; state < APP_STATES; state++)
        if (strcmp(app_state_name((enum app_state)state), row->state) == 0)
            return words[state];
    return words[APP_DEAD];
}

const char *view_reason(const struct app_info *info, enum view view)
{
    return view != VIEW_PUBLIC || !app_state_is_end(info->state) ? info->reason : NULL;
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

void view_app_info(struct json_out *out, const struct app_info *info, enum view view)
{
    char exit_code[16];
    const char *reason = view_reason(info, view);
    (void)snprintf(exit_code, sizeof exit_code, "%d", info->diagnosis.exit_code);
    bool exited = app_state_is_end(info->state) && info->diagnosis.exit_code >= 0;
    json_out_object(out, "appInfo");
    json_out_str(out, "driverLogUrl", view != VIEW_PUBLIC ? info->log_url : NULL);
    json_out_str(out, "sparkUiUrl", info->ui_url);
    json_out_null(out, "executorLogUrls");
    if (reason != NULL)
        json_out_str(out, "reason", reason);
    if (exited)
        json_out_str(out, "exitCode", exit_code);
    json_out_end_object(out);
}

void view_tail(struct json_out *out, const struct app_info *info, enum view view, bool lines_in_first)
{
    enum { SHOWN = APP_TAIL_LINES };
    size_t n = view == VIEW_LOG ? info->tail.n : 0;
    size_t last_headings = lines_in_first ? 1 : 0; /* behind the lines */
    size_t room = SHOWN - last_headings;
    json_out_array(out, "log");
    if (view != VIEW_LOG && view != VIEW_NEW) {
        json_out_end_array(out);
        return;
    }
    if (n + 2 <= SHOWN)
        json_out_str(out, NULL, "stdout: ");
    if (!lines_in_first && n + 1 <= SHOWN)
        json_out_str(out, NULL, "\nstderr: ");
    for (size_t i = n > room ? n - room : 0; i < n; i++)
        json_out_str(out, NULL, info->tail.items[i]);
    if (lines_in_first)
        json_out_str(out, NULL, "\nstderr: ");
    json_out_end_array(out);
}

void view_life(struct json_out *out, const struct app *app, enum view view)
{
    const struct app_info *info = app_info(app);
    size_t place = app_queue_position(app);
    view_time(out, "createdAt", info->created_ms);
    view_time(out, "startedAt", info->started_ms);
    view_time(out, "endedAt", info->ended_ms);
    json_out_str(out, "reason", view_reason(info, view));
    if (place > 0)
        json_out_int(out, "queuePosition", (int64_t)place);
    else
        json_out_null(out, "queuePosition");
    view_diagnosis(out, info, view);
}

static void view_batch_keys(struct json_out *out, const struct app *app, enum view view)
{
    const struct app_info *info = app_info(app);
    json_out_int(out, "id", info->id);
    json_out_str(out, "name", info->name);
    json_out_str(out, "owner", info->owner);
    json_out_str(out, "proxyUser", info->proxy_user);
    json_out_str(out, "state", batch_words[info->state]);
    json_out_str(out, "appId", info->app_id);
    view_app_info(out, info, view);
    view_tail(out, info, view, true);
    json_out_str(out, "master", info->master);
    json_out_str(out, "file", info->file);
    view_life(out, app, view);
}

void view_keys(struct livy *l, struct json_out *out, const struct app *app, enum view view, enum keys keys)
{
    if (app_info(app)->kind == APP_SESSION)
        view_session_keys(l, out, app, view, keys);
    else
        view_batch_keys(out, app, view);
}

static void view_app(struct livy *l, struct json_out *out, const struct app *app, enum view view,
                     enum keys keys)
{
    json_out_object(out, NULL);
    view_keys(l, out, app, view, keys);
    json_out_end_object(out);
}

/* ---- one ---- */

struct waiting_app {
    struct livy *livy;
    struct http_request *request;
    enum app_kind kind;
    int64_t id;
    enum view view;
    enum keys keys;
};

static struct http_answer *make_app(struct livy *l, int status, const struct app *app, enum view view,
                                    enum keys keys)
{
    cleanup(buf_clear) struct buf body = BUF(ONE_BYTES_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    view_app(l, &out, app, view, keys);
    return http_answer_new(status, HTTP_JSON, &body);
}

static void reply_batch(struct livy *l, struct http_request *r, const struct app *app, enum view view)
{
    char key[128];
    (void)snprintf(key, sizeof key, "batch %" PRId64 " %d", app_info(app)->id, (int)view);
    uint64_t revision = app_revision(app);
    struct http_answer *answer = ready_get(l->ready, key, revision);
    if (answer == NULL) {
        answer = make_app(l, 200, app, view, KEYS_ALL);
        if (answer != NULL)
            ready_put(l->ready, key, revision, answer);
    }
    http_reply(r, answer);
}

static void reply_app_now(const struct waiting_app *w, const struct app *app)
{
    if (w->kind == APP_BATCH)
        reply_batch(w->livy, w->request, app, w->view);
    else /* changes with each statement: seldom the same twice */
        http_reply(w->request, make_app(w->livy, 200, app, w->view, w->keys));
}

static void on_app_tail(void *arg)
{
    struct waiting_app w = *(struct waiting_app *)arg;
    mem_free(arg);
    const struct app *app = apps_find(w.livy->apps, w.kind, w.id);
    if (app == NULL)
        livy_reply_gone(w.livy, w.request, w.kind, w.id);
    else
        reply_app_now(&w, app);
}

void views_reply_app(struct livy *l, struct http_request *r, struct app *app, enum view view, enum keys keys)
{
    const struct app_info *info = app_info(app);
    struct waiting_app now = {l, r, info->kind, info->id, view, keys};
    if (info->tail_known || view != VIEW_LOG) {
        reply_app_now(&now, app);
        return;
    }
    struct waiting_app *w = mem_calloc(1, sizeof *w);
    if (w == NULL) {
        http_reply(r, NULL);
        return;
    }
    *w = now;
    apps_load_tails(l->apps, &app, 1, on_app_tail, w);
}

void views_reply_state(struct livy *l, struct http_request *r, const struct app *app)
{
    struct buf body = BUF(256);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_int(&out, "id", app_info(app)->id);
    json_out_str(&out, "state", view_state(l, app));
    json_out_end_object(&out);
    livy_reply_json(r, 200, &body);
}

void views_reply_created(struct livy *l, struct http_request *r, const struct app *app)
{
    char location[256];
    const struct app_info *info = app_info(app);
    bool session = info->kind == APP_SESSION;
    (void)snprintf(location, sizeof location, "%s/%s/%" PRId64, http_server_base_path(l->server),
                   session ? "sessions" : "batches", info->id);
    struct http_answer *answer =
        make_app(l, 201, app, session ? VIEW_NEW : VIEW_LOG, session ? view_keys_for(r) : KEYS_ALL);
    if (answer != NULL)
        (void)http_answer_header(answer, "Location", location); /* the body has the id, too */
    http_reply(r, answer);
}

/* ---- the list ---- */

/* A page of a collection, for a user. */
struct page {
    enum app_kind kind;
    int64_t from, size;
    const char *user; /* or NULL */
};

/* What the page shows: [*first, *first + *count). */
static void page_range(struct livy *l, const struct page *p, size_t *first, size_t *count)
{
    size_t total = apps_count(l->apps, p->kind);
    bool empty = p->from < 0 || p->size <= 0 || (uint64_t)p->from >= total;
    *first = empty ? 0 : (size_t)p->from;
    *count = empty ? 0 : (uint64_t)p->size < total - *first ? (size_t)p->size : total - *first;
}

static struct http_answer *make_list(struct livy *l, const struct page *p)
{
    size_t first = 0;
    size_t count = 0;
    page_range(l, p, &first, &count);
    cleanup(buf_clear) struct buf body = BUF(LIST_BYTES_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_int(&out, "from", p->from);
    json_out_int(&out, "total", (int64_t)apps_count(l->apps, p->kind));
    json_out_array(&out, "sessions");
    for (size_t i = first; i < first + count; i++) {
        const struct app *app = apps_at(l->apps, p->kind, i);
        bool viewable = door_may_view(l->door, p->user, app_info(app));
        view_app(l, &out, app, viewable ? VIEW_LOG : VIEW_PUBLIC, KEYS_ALL);
    }
    json_out_end_array(&out);
    json_out_end_object(&out);
    return http_answer_new(200, HTTP_JSON, &body);
}

static struct http_answer *list_of_batches(struct livy *l, const struct page *p)
{
    char key[256];
    (void)snprintf(key, sizeof key, "list %" PRId64 " %" PRId64 " %s", p->from, p->size,
                   p->user != NULL ? p->user : "");
    uint64_t revision = apps_revision(l->apps);
    struct http_answer *answer = ready_get(l->ready, key, revision);
    if (answer == NULL) {
        answer = make_list(l, p);
        if (answer != NULL)
            ready_put(l->ready, key, revision, answer);
    }
    return answer;
}

static void reply_list_now(struct livy *l, struct http_request *r, const struct page *p)
{
    http_reply(r, p->kind == APP_BATCH ? list_of_batches(l, p) : make_list(l, p));
}

struct waiting_list {
    struct livy *livy;
    struct http_request *request;
    struct page page;
    char *user; /* as in page, which borrows it */
};

static void on_list_tails(void *arg)
{
    struct waiting_list *w = arg;
    reply_list_now(w->livy, w->request, &w->page);
    mem_free(w->user);
    mem_free(w);
}

/* Reads the tails that are not in memory, then answers. */
static void reply_list_later(struct livy *l, struct http_request *r, const struct page *p, size_t missing)
{
    size_t first = 0;
    size_t count = 0;
    struct waiting_list *w = mem_calloc(1, sizeof *w);
    struct app **list = mem_calloc(missing, sizeof(struct app *));
    if (w == NULL || list == NULL || mem_set_str(&w->user, p->user) != 0) {
        mem_free(w);
        mem_free(list);
        http_reply(r, NULL);
        return;
    }
    w->livy = l;
    w->request = r;
    w->page = *p;
    w->page.user = w->user;
    page_range(l, p, &first, &count);
    for (size_t i = first, n = 0; i < first + count; i++) {
        struct app *app = apps_at(l->apps, p->kind, i);
        if (!app_info(app)->tail_known)
            list[n++] = app;
    }
    apps_load_tails(l->apps, list, missing, on_list_tails, w);
    mem_free(list);
}

void views_reply_list(struct livy *l, struct http_request *r, enum app_kind kind)
{
    struct page p = {.kind = kind, .from = 0, .size = 100};
    size_t first = 0;
    size_t count = 0;
    size_t missing = 0;
    if (!livy_query_int(r, "from", &p.from) || !livy_query_int(r, "size", &p.size) ||
        !livy_effective_user(l, r, &p.user))
        return;
    page_range(l, &p, &first, &count);
    for (size_t i = first; i < first + count; i++)
        missing += !app_info(apps_at(l->apps, kind, i))->tail_known;
    if (missing == 0)
        reply_list_now(l, r, &p);
    else
        reply_list_later(l, r, &p, missing);
}
