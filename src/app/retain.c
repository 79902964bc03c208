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

static void remove_run(void *arg)
{
    const struct strlist *folders = arg;
    for (size_t i = 0; i < folders->n; i++) {
        struct err err = {0};
        if (io_remove_tree(folders->items[i], &err) != ERR_OK)
            log_warn("a folder stays", LOG_S("folder", folders->items[i]), LOG_S("why", err.msg));
    }
}

static void remove_done(void *arg)
{
    strlist_clear(arg);
    mem_free(arg);
}

static void remove_folders(struct apps *apps, struct strlist *folders)
{
    struct err err = {0};
    struct strlist *job = folders->n > 0 ? mem_calloc(1, sizeof *job) : NULL;
    if (job != NULL) {
        *job = *folders;
        *folders = (struct strlist){0};
        if (work_run(apps->options.loop, remove_run, remove_done, job, &err) != ERR_OK)
            remove_done(job); /* swept at the next start */
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
        const struct app_list *l = &apps->kinds[kind];
        for (size_t low = 0, high = l->n; low < high;) {
            size_t middle = low + (high - low) / 2;
            if (l->items[middle]->info.id == id)
                return true;
            if (l->items[middle]->info.id < id)
                low = middle + 1;
            else
                high = middle;
        }
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

static void on_removed(const struct err *err, int64_t id, bool replayed, void *arg)
{
    (void)replayed;
    (void)arg;
    if (err->code != ERR_OK)
        log_warn("a retired application comes back at the next start", LOG_I("id", id),
                 LOG_S("why", err->msg));
}

static void retire(struct apps *apps, enum app_kind kind, int64_t id, struct strlist *folders)
{
    cleanup(mem_freep) char *folder = apps_folder(apps, kind, id);
    if (folder == NULL || strlist_add(folders, folder) != 0)
        return;
    store_remove_app(apps->options.store, app_kind_name(kind), id, on_removed, NULL);
}

static bool is_retirable(const struct app *app)
{
    return app_state_is_end(app->info.state) && app->forgetting == NULL && !app->writing && !app->dirty;
}

void apps_retire(struct apps *apps)
{
    const struct settings *settings = apps->options.settings;
    int64_t oldest = clock_wall_ms() - settings->retain.age_ms;
    struct strlist folders = {0};
    if (store_trouble(apps->options.store) != NULL)
        return; /* rows could not be removed now */
    size_t ended = apps->n_forgotten;
    for (int kind = 0; kind < APP_KINDS; kind++)
        for (size_t i = 0; i < apps->kinds[kind].n; i++)
            ended += app_state_is_end(apps->kinds[kind].items[i]->info.state);
    for (size_t i = 0; i < apps->n_forgotten && folders.n < REMOVALS_PER_TICK;) {
        struct forgotten f = apps->forgotten[i];
        if (f.ended_ms >= oldest && (int64_t)ended <= settings->retain.count) {
            i++;
            continue;
        }
        retire(apps, f.kind, f.id, &folders);
        apps->forgotten[i] = apps->forgotten[--apps->n_forgotten];
        ended--;
    }
    for (int kind = 0; kind < APP_KINDS; kind++) {
        for (size_t i = 0; i < apps->kinds[kind].n && folders.n < REMOVALS_PER_TICK;) {
            struct app *app = apps->kinds[kind].items[i];
            if (!is_retirable(app) ||
                (app->info.ended_ms >= oldest && (int64_t)ended <= settings->retain.count)) {
                i++;
                continue;
            }
            retire(apps, app->info.kind, app->info.id, &folders);
            app_list_remove(&apps->kinds[kind], app);
            app_changed(app);
            app_free(app);
            ended--;
        }
    }
    remove_folders(apps, &folders);
}
