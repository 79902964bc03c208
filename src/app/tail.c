/*
 * The last lines of applications' output, kept in memory for lists, and what Spark says about itself
 * in its output (the address of its page).
 */
#include "app/app_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "guard/output.h"
#include "loop/work.h"

#include <stdio.h>
#include <string.h>

enum {
    LINE_SHOWN_MAX = 4096, /* bytes of a line in a list; the log itself has all of it */
    TAILS_MAX = 6 << 20,   /* bytes for ended applications; beyond that they are read again */
    UI_LINES_MAX = 5000,   /* Spark names its page early, or not at all */
};

static bool keep_line(const struct output_line *line, void *arg)
{
    struct strlist *list = arg;
    size_t n = line->len < LINE_SHOWN_MAX ? line->len : LINE_SHOWN_MAX;
    return strlist_addf(list, "%.*s", (int)n, line->text) == 0;
}

struct strlist *app_output_end(const char *folder, size_t lines)
{
    struct err err = {0};
    uint64_t total = 0;
    struct strlist *list = mem_calloc(1, sizeof *list);
    if (list == NULL)
        return NULL;
    if (output_read_tail(folder, OUTPUT_MERGED, lines, keep_line, list, &total, &err) != ERR_OK) {
        log_warn("output cannot be read", LOG_S("folder", folder), LOG_S("why", err.msg));
        strlist_clear(list);
    }
    return list;
}

/* ---- one application's, while it runs ---- */

struct refresh {
    char *folder;
    uint64_t from; /* line from which on the page's address is looked for */
    uint64_t to;
    bool find_ui;
    char *ui_url;
    struct strlist *lines;
};

static void refresh_free(struct refresh *r)
{
    if (r->lines != NULL)
        strlist_clear(r->lines);
    mem_free(r->lines);
    mem_free(r->folder);
    mem_free(r->ui_url);
    mem_free(r);
}

/* "… Successfully started service 'SparkUI' on port 4040." */
static bool find_ui(const struct output_line *line, void *arg)
{
    static const char words[] = "started service 'SparkUI' on port ";
    struct refresh *r = arg;
    r->from = line->number + 1;
    const char *at = memmem(line->text, line->len, words, strlen(words));
    if (at == NULL)
        return true;
    at += strlen(words);
    char port[8] = "";
    size_t n = strspn(at, "0123456789");
    if (n > 0 && n < sizeof port) {
        memcpy(port, at, n);
        r->ui_url = mem_printf("http://localhost:%s", port); /* NULL: found again at the next refresh */
    }
    return false;
}

static void refresh_run(void *arg)
{
    struct refresh *r = arg;
    struct err err = {0};
    uint64_t total = 0;
    r->lines = app_output_end(r->folder, APP_TAIL_LINES);
    if (r->find_ui)
        (void)output_read(r->folder, OUTPUT_MERGED, r->from, UI_LINES_MAX, find_ui, r, &total,
                          &err); /* a page without a link is no reason to fail */
}

static void refresh_done(struct app *app, void *arg)
{
    struct refresh *r = arg;
    if (app != NULL) {
        app->tail_loading = false;
        app->lines_read = r->from;
        if (!app_state_is_end(app->info.state)) {
            if (r->ui_url != NULL) {
                mem_free(app->info.ui_url);
                app->info.ui_url = r->ui_url;
                r->ui_url = NULL;
            }
            if (r->lines != NULL)
                app_set_tail(app, r->lines);
            app_changed(app);
            if (app->tail_stale)
                app_refresh_tail(app);
        }
    }
    refresh_free(r);
}

void app_refresh_tail(struct app *app)
{
    struct err err = {0};
    if (app->tail_loading) {
        app->tail_stale = true;
        return;
    }
    struct refresh *r = mem_calloc(1, sizeof *r);
    if (r == NULL)
        return; /* the next output brings it */
    r->folder = apps_folder(app->apps, app->info.kind, app->info.id);
    r->from = app->lines_read;
    r->find_ui = app->info.ui_url == NULL && app->lines_read < UI_LINES_MAX;
    if (r->folder == NULL || app_work(app, refresh_run, refresh_done, r, &err) != ERR_OK) {
        refresh_free(r);
        return;
    }
    app->tail_loading = true;
    app->tail_stale = false;
}

/* ---- the collection's ---- */

static size_t tail_size(const struct app *app)
{
    size_t size = 0;
    for (size_t i = 0; i < app->info.tail.n; i++)
        size += strlen(app->info.tail.items[i]) + 32; /* and what an allocation costs */
    return size;
}

void app_set_tail(struct app *app, struct strlist *lines)
{
    strlist_clear(&app->info.tail);
    app->info.tail = *lines;
    *lines = (struct strlist){0};
    app->info.tail_known = true;
}

void app_drop_tails(struct apps *apps)
{
    size_t total = 0;
    for (int kind = 0; kind < APP_KINDS; kind++)
        for (size_t i = 0; i < apps->lists[kind].n; i++)
            total += tail_size(apps->lists[kind].items[i]);
    for (int kind = 0; kind < APP_KINDS && total > TAILS_MAX; kind++) {
        for (size_t i = 0; i < apps->lists[kind].n && total > TAILS_MAX; i++) {
            struct app *app = apps->lists[kind].items[i]; /* the oldest first */
            if (!app_state_is_end(app->info.state) || !app->info.tail_known)
                continue;
            total -= tail_size(app);
            strlist_clear(&app->info.tail);
            app->info.tail_known = false;
        }
    }
}

struct tail {
    enum app_kind kind;
    int64_t id;
    char *folder;
    struct strlist *lines;
};

struct tails {
    struct apps *apps;
    struct tail *items;
    size_t n;
    void (*done)(void *arg);
    void *arg;
};

static void tails_free(struct tails *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->items[i].lines != NULL)
            strlist_clear(t->items[i].lines);
        mem_free(t->items[i].lines);
        mem_free(t->items[i].folder);
    }
    mem_free(t->items);
    mem_free(t);
}

static void tails_run(void *arg)
{
    struct tails *t = arg;
    for (size_t i = 0; i < t->n; i++)
        t->items[i].lines = app_output_end(t->items[i].folder, APP_TAIL_LINES);
}

static void tails_done(struct app *ignored, void *arg)
{
    (void)ignored; /* the job hangs on one of many */
    struct tails *t = arg;
    app_drop_tails(t->apps); /* before these come, so that they stay */
    for (size_t i = 0; i < t->n; i++) {
        struct app *app = apps_find(t->apps, t->items[i].kind, t->items[i].id);
        if (app != NULL && !app->info.tail_known && t->items[i].lines != NULL)
            app_set_tail(app, t->items[i].lines);
    }
    t->done(t->arg);
    tails_free(t);
}

void apps_load_tails(struct apps *apps, struct app *const *list, size_t n, void (*done)(void *arg), void *arg)
{
    struct err err = {0};
    struct app *first = NULL;
    struct tails *t = mem_calloc(1, sizeof *t);
    struct tail *items = mem_calloc(n, sizeof *items);
    if (t != NULL && items != NULL) {
        *t = (struct tails){.apps = apps, .items = items, .done = done, .arg = arg};
        for (size_t i = 0; i < n; i++) {
            struct app *app = list[i];
            char *folder = app->info.tail_known ? NULL : apps_folder(apps, app->info.kind, app->info.id);
            if (folder == NULL)
                continue; /* known; or shown without its last lines */
            items[t->n++] = (struct tail){app->info.kind, app->info.id, folder, NULL};
            first = app;
        }
        if (first != NULL && app_work(first, tails_run, tails_done, t, &err) == ERR_OK)
            return;
        tails_free(t);
    } else {
        mem_free(items);
        mem_free(t);
    }
    done(arg);
}
