/*
 * Applications that are not shown: warm ones, which stand ready for a request that has not come yet, and
 * those that were taken off the lists while their driver still ends.
 *
 * A warm application has its row, guard and driver like any other, and an id of its kind. The request
 * that gets it is written onto that row: from then on it is as if it had been made for it.
 */
#include "app/app_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <utlist.h>

/* ---- warm ---- */

void apps_set_pressure(struct apps *apps, void (*on_pressure)(void *arg), void *arg)
{
    apps->on_pressure = on_pressure;
    apps->pressure_arg = arg;
}

void apps_each_warm(struct apps *apps, void (*on_app)(struct app *app, void *arg), void *arg)
{
    for (size_t i = 0; i < apps->lists[APP_HIDDEN].n && !apps->closing; i++)
        if (apps->lists[APP_HIDDEN].items[i]->info.warm)
            on_app(apps->lists[APP_HIDDEN].items[i], arg);
}

/* A request on its way to a warm application's row. */
struct adoption {
    struct apps *apps;
    enum app_kind kind;
    int64_t id;
    struct app *asked; /* what the request makes of it; not in any list */
    char *submission;
    struct store_key key;
    char *user, *key_text, *digest;
    apps_submit_cb *done;
    void *arg;
};

static void adoption_free(struct adoption *a)
{
    if (a == NULL)
        return;
    app_free(a->asked);
    mem_free(a->submission);
    mem_free(a->user);
    mem_free(a->key_text);
    mem_free(a->digest);
    mem_free(a);
}

static void adoption_end(struct adoption *a, const struct err *err, struct app *app, int64_t id,
                         bool replayed)
{
    a->done(err, app, id, replayed, a->arg);
    adoption_free(a);
}

static void swap_texts(struct app_info *a, struct app_info *b)
{
    char **mine[] = {&a->name, &a->owner, &a->proxy_user, &a->file, &a->master, &a->deploy_mode, &a->door};
    char **theirs[] = {&b->name, &b->owner, &b->proxy_user, &b->file, &b->master, &b->deploy_mode, &b->door};
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) {
        char *text = *mine[i];
        *mine[i] = *theirs[i];
        *theirs[i] = text;
    }
}

static void on_adopted(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct adoption *a = arg;
    struct app *app = app_find_any(a->apps, a->kind, a->id);
    if (app == NULL) { /* the server stops */
        adoption_end(a, err, NULL, id, replayed);
        return;
    }
    app->adopting = app->writing = false;
    if (err->code == ERR_OK && !replayed) {
        app->version++;
        swap_texts(&app->info, &a->asked->info);
        app->info.created_ms = a->asked->info.created_ms;
        app->info.warm = false;
        mem_freep(&app->info.app_id); /* of the context that it warmed up with */
        mem_freep(&app->info.launcher_state);
        mem_freep(&app->info.ui_url);
        app->dirty = true;
        if (app_set_hidden(app, false) != 0)
            log_error("out of memory: a session is listed after the next start only", LOG_I("id", a->id));
        app_changed(app);
    }
    if (app->dirty)
        app_persist_again(app);
    struct app *first = replayed ? apps_find(a->apps, a->kind, id) : app;
    adoption_end(a, err, err->code == ERR_OK ? first : NULL, id, replayed);
}

static void write_adoption(struct adoption *a, struct app *app)
{
    struct err err;
    struct app_info *asked = &a->asked->info;
    app->adopting = app->writing = true; /* what changes meanwhile is written afterwards */
    cleanup(mem_freep) char *facts = NULL;
    swap_texts(&app->info, asked); /* facts as they will be */
    app->info.warm = false;
    facts = app_facts(app);
    app->info.warm = true;
    swap_texts(&app->info, asked);
    if (facts == NULL) {
        err_set(&err, ERR_NOMEM, "out of memory");
        on_adopted(&err, a->id, false, a);
        return;
    }
    struct store_app row = {
        .kind = app_kind_name(a->kind),
        .id = a->id,
        .version = app->version,
        .state = app_state_name(app->info.state),
        .name = asked->name,
        .owner = asked->owner,
        .proxy_user = asked->proxy_user,
        .submission = a->submission,
        .facts = facts,
        .created_ms = asked->created_ms,
    };
    struct store_note note = {asked->created_ms, row.state, "given to a request"};
    store_adopt_app(a->apps->options.store, &row, &note, a->key.key != NULL ? &a->key : NULL, on_adopted, a);
}

/* Called when no other write of this application is under way, or to see to it. */
static void adopt_when_quiet(const struct err *err, void *arg)
{
    struct adoption *a = arg;
    struct app *app = app_find_any(a->apps, a->kind, a->id);
    struct err gone;
    if (app != NULL)
        app->adopting = false;
    if (app == NULL || app_state_is_end(app->info.state) || app->stop_wanted) {
        err_set(&gone, ERR_BUSY, "the driver that stood ready has ended");
        adoption_end(a, &gone, NULL, 0, false);
    } else if (err->code != ERR_OK) {
        adoption_end(a, err, NULL, 0, false);
    } else if (app->writing || app->dirty) {
        app->adopting = true;
        app_persist(app, adopt_when_quiet, a);
    } else {
        write_adoption(a, app);
    }
}

static bool keep_key(struct adoption *a, const struct store_key *key)
{
    if (key == NULL)
        return true;
    if (mem_set_str(&a->user, key->user) != 0 || mem_set_str(&a->key_text, key->key) != 0 ||
        mem_set_str(&a->digest, key->digest) != 0)
        return false;
    a->key = (struct store_key){a->user, a->key_text, a->digest};
    return true;
}

void apps_adopt(struct app *app, const struct app_request *request, apps_submit_cb *done, void *arg)
{
    struct err err = {0};
    struct adoption *a = mem_calloc(1, sizeof *a);
    struct app *asked = app_new(app->apps);
    if (a == NULL || asked == NULL || !keep_key(a, request->key) ||
        (a->submission = app_submission(request->submission)) == NULL ||
        app_fill(asked, request, &err) != ERR_OK) {
        err_set(&err, ERR_NOMEM, "out of memory");
        app_free(asked);
        adoption_free(a);
        done(&err, NULL, 0, false, arg);
        return;
    }
    a->apps = app->apps;
    a->kind = app->info.kind;
    a->id = app->info.id;
    a->asked = asked;
    a->done = done;
    a->arg = arg;
    adopt_when_quiet(&err, a);
}

/* ---- leaving ---- */

struct dismissal {
    struct apps *apps;
    enum app_kind kind;
    int64_t id;
    app_done_cb *done;
    void *arg;
};

static void on_dismissed(const struct err *err, void *arg)
{
    struct dismissal d = *(struct dismissal *)arg;
    mem_free(arg);
    struct app *app = app_find_any(d.apps, d.kind, d.id);
    if (err->code != ERR_OK && app != NULL && app->hidden && app_set_hidden(app, false) == 0) {
        app->forgotten_ms = 0;
        app_changed(app);
    }
    d.done(err, d.arg);
}

void app_dismiss(struct app *app, const char *reason, app_done_cb *done, void *arg)
{
    struct dismissal *d = mem_calloc(1, sizeof *d);
    if (d == NULL || app_set_hidden(app, true) != 0) {
        struct err err;
        mem_free(d);
        err_set(&err, ERR_NOMEM, "out of memory");
        done(&err, arg);
        return;
    }
    *d = (struct dismissal){app->apps, app->info.kind, app->info.id, done, arg};
    if (app->forgotten_ms == 0)
        app->forgotten_ms = clock_wall_ms();
    app_note(app, reason);
    app_changed(app);
    if (app_state_is_end(app->info.state))
        app_persist(app, on_dismissed, d);
    else
        app_kill(app, reason, on_dismissed, d);
}

void apps_drop_gone(struct apps *apps)
{
    struct app_list *l = &apps->lists[APP_HIDDEN];
    for (size_t i = l->n; i-- > 0;) {
        struct app *app = l->items[i];
        if (!app_state_is_end(app->info.state) || app->writing || app->adopting)
            continue;
        if (app->forgotten_ms == 0) { /* a warm one that ended unused */
            app->forgotten_ms = clock_wall_ms();
            app_persist(app, NULL, NULL);
        } else if (!app->dirty &&
                   apps_add_forgotten(apps, app->info.kind, app->info.id, app->info.ended_ms) == 0) {
            app_list_remove(l, app);
            app_leave(app);
        }
    }
}
