/*
 * Retention: ended applications go after a time and beyond a number, the oldest first, with their
 * rows and folders. A row goes before its folder; a folder that a dying server left is swept at start.
 */
#include "app/app_internal.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "loop/work.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>

enum { REMOVALS_PER_TICK = 200 };

int apps_add_forgotten(struct apps *apps, enum app_kind kind, int64_t id, int64_t ended_ms)
{
    if (apps->n_forgotten == apps->cap_forgotten) {
        size_t cap = apps->cap_forgotten == 0 ? 64 : apps->cap_forgotten * 2;
        struct forgotten *items = mem_realloc(apps->forgotten, cap * sizeof *items);
        if (items == NULL)
            return -1;
        apps->forgotten = items;
        apps->cap_forgotten = cap;
    }
    apps->forgotten[apps->n_forgotten++] = (struct forgotten){kind, id, ended_ms};
    return 0;
}

/* ---- folders ---- */

/* A guard looks after a driver there, whatever the database says: an older one may have been put back. */
static bool is_in_use(const char *folder)
{
    cleanup(mem_freep) char *lock = mem_printf("%s/guard.lock", folder);
    cleanup(io_closep) int fd = -1;
    return lock == NULL || (io_exists(lock) && io_lock_file(lock, &fd, NULL) == ERR_CONFLICT);
}

static void remove_run(void *arg)
{
    const struct strlist *folders = arg;
    for (size_t i = 0; i < folders->n; i++) {
        struct err err = {0};
        if (is_in_use(folders->items[i]))
            log_warn("a folder stays: a driver that is not in the database runs there",
                     LOG_S("folder", folders->items[i]));
        else if (io_remove_tree(folders->items[i], &err) != ERR_OK)
            log_warn("a folder stays", LOG_S("folder", folders->items[i]), LOG_S("why", err.msg));
    }
}

static void remove_done(void *arg)
{
    strlist_clear(arg);
    mem_free(arg);
}

/* Takes the names. What is not removed for want of memory is swept at the next start. */
static void remove_folders(struct apps *apps, struct strlist *folders)
{
    struct err err = {0};
    struct strlist *job = folders->n > 0 ? mem_calloc(1, sizeof *job) : NULL;
    if (job != NULL) {
        *job = *folders;
        *folders = (struct strlist){0};
        if (work_run(apps->options.loop, remove_run, remove_done, job, &err) != ERR_OK)
            remove_done(job);
    }
    strlist_clear(folders);
}

static bool is_known(const struct apps *apps, const char *name)
{
    for (int kind = 0; kind < APP_KINDS; kind++) {
        const char *word = app_kind_name((enum app_kind)kind);
        size_t n = strlen(word);
        int64_t id = 0;
        if (strncmp(name, word, n) != 0 || name[n] != '-' ||
            parse_i64(name + n + 1, 0, INT64_MAX, &id, NULL) != ERR_OK)
            continue;
        if (app_list_find(&apps->lists[kind], (enum app_kind)kind, id) != NULL ||
            app_list_find(&apps->lists[APP_HIDDEN], (enum app_kind)kind, id) != NULL)
            return true;
        for (size_t i = 0; i < apps->n_forgotten; i++)
            if ((int)apps->forgotten[i].kind == kind && apps->forgotten[i].id == id)
                return true;
    }
    return false;
}

void apps_sweep_folders(struct apps *apps)
{
    struct strlist orphans = {0};
    DIR *dir = opendir(apps->root);
    if (dir == NULL)
        return;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (entry->d_name[0] != '.' && !is_known(apps, entry->d_name))
            (void)strlist_addf(&orphans, "%s/%s", apps->root, entry->d_name); /* else at the next start */
    (void)closedir(dir);
    remove_folders(apps, &orphans);
}

/* ---- by age and count ---- */

struct retiring {
    struct apps *apps;
    char *folder;
};

/* The row is gone for good: now its folder may go. */
static void on_removed(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct retiring *r = arg;
    struct strlist folders = {0};
    (void)replayed;
    if (err->code != ERR_OK)
        log_warn("a retired application comes back at the next start", LOG_I("id", id),
                 LOG_S("why", err->msg));
    else if (strlist_add(&folders, r->folder) == 0)
        remove_folders(r->apps, &folders);
    mem_free(r->folder);
    mem_free(r);
}

/* False: out of memory, it stays for now. */
static bool retire(struct apps *apps, enum app_kind kind, int64_t id)
{
    struct retiring *r = mem_calloc(1, sizeof *r);
    if (r == NULL || (r->folder = apps_folder(apps, kind, id)) == NULL) {
        mem_free(r);
        return false;
    }
    r->apps = apps;
    store_remove_app(apps->options.store, app_kind_name(kind), id, on_removed, r);
    return true;
}

static bool is_retirable(const struct app *app)
{
    return app_state_is_end(app->info.state) && app->forgetting == NULL && !app->writing && !app->dirty;
}

/* How far retiring has come in one turn. */
struct retirement {
    int64_t oldest; /* what ended before it goes, whatever the count */
    size_t ended;   /* applications that are left */
    unsigned removed;
};

static bool is_due(const struct apps *apps, const struct retirement *t, int64_t ended_ms)
{
    return t->removed < REMOVALS_PER_TICK &&
           (ended_ms < t->oldest || (int64_t)t->ended > apps->options.settings->retain.count);
}

static size_t count_ended(const struct apps *apps)
{
    size_t ended = apps->n_forgotten;
    for (int kind = 0; kind < APP_KINDS; kind++)
        for (size_t i = 0; i < apps->lists[kind].n; i++)
            ended += app_state_is_end(apps->lists[kind].items[i]->info.state);
    return ended;
}

static void retire_forgotten(struct apps *apps, struct retirement *t)
{
    for (size_t i = 0; i < apps->n_forgotten;) {
        struct forgotten f = apps->forgotten[i];
        if (!is_due(apps, t, f.ended_ms) || !retire(apps, f.kind, f.id)) {
            i++;
            continue;
        }
        apps->forgotten[i] = apps->forgotten[--apps->n_forgotten];
        t->ended--;
        t->removed++;
    }
}

static void retire_listed(struct apps *apps, enum app_kind kind, struct retirement *t)
{
    struct app_list *l = &apps->lists[kind];
    for (size_t i = 0; i < l->n;) {
        struct app *app = l->items[i];
        if (!is_retirable(app) || !is_due(apps, t, app->info.ended_ms) || !retire(apps, kind, app->info.id)) {
            i++;
            continue;
        }
        app_list_remove(l, app);
        app_leave(app);
        t->ended--;
        t->removed++;
    }
}

void apps_retire(struct apps *apps)
{
    if (store_trouble(apps->options.store) != NULL)
        return; /* rows could not be removed now */
    struct retirement t = {
        .oldest = clock_wall_ms() - apps->options.settings->retain.age_ms,
        .ended = count_ended(apps),
    };
    retire_forgotten(apps, &t);
    for (int kind = 0; kind < APP_KINDS; kind++)
        retire_listed(apps, (enum app_kind)kind, &t);
}
