/*
 * Sorted lists of applications. Those of a kind, and the one of those that are not shown, go by kind and
 * id; the queue goes by creation, since a driver that stood ready is older than its request.
 */
#include "app/app_internal.h"

#include "base/mem.h"

#include <string.h>

static int compare_ids(enum app_kind a_kind, int64_t a_id, enum app_kind b_kind, int64_t b_id)
{
    if (a_kind != b_kind)
        return a_kind < b_kind ? -1 : 1;
    return (a_id > b_id) - (a_id < b_id);
}

static int compare(const struct app_list *l, const struct app *a, const struct app *b)
{
    if (l->by_creation && a->info.created_ms != b->info.created_ms)
        return a->info.created_ms < b->info.created_ms ? -1 : 1;
    return compare_ids(a->info.kind, a->info.id, b->info.kind, b->info.id);
}

/* Where app stands or would stand. */
static size_t position(const struct app_list *l, const struct app *app)
{
    size_t low = 0;
    size_t high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(l, l->items[middle], app) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t app_list_index(const struct app_list *l, const struct app *app)
{
    size_t at = position(l, app);
    return at < l->n && l->items[at] == app ? at : l->n;
}

struct app *app_list_find(const struct app_list *l, enum app_kind kind, int64_t id)
{
    size_t low = 0;
    size_t high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct app_info *info = &l->items[middle]->info;
        if (compare_ids(info->kind, info->id, kind, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->n && l->items[low]->info.kind == kind && l->items[low]->info.id == id ? l->items[low]
                                                                                          : NULL;
}

int app_list_insert(struct app_list *l, struct app *app)
{
    if (l->n == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct app **items = mem_realloc(l->items, cap * sizeof(struct app *));
        if (items == NULL)
            return -1;
        l->items = items;
        l->cap = cap;
    }
    size_t at = position(l, app);
    memmove(l->items + at + 1, l->items + at, (l->n - at) * sizeof(struct app *));
    l->items[at] = app;
    l->n++;
    return 0;
}

void app_list_remove(struct app_list *l, struct app *app)
{
    size_t at = app_list_index(l, app);
    if (at == l->n)
        return;
    l->n--;
    memmove(l->items + at, l->items + at + 1, (l->n - at) * sizeof(struct app *));
}

struct app *app_find_any(struct apps *apps, enum app_kind kind, int64_t id)
{
    struct app *app = apps_find(apps, kind, id);
    return app != NULL || apps->closing ? app : app_list_find(&apps->lists[APP_HIDDEN], kind, id);
}

int app_set_hidden(struct app *app, bool hidden)
{
    struct app_list *shown = &app->apps->lists[app->info.kind];
    struct app_list *others = &app->apps->lists[APP_HIDDEN];
    if (app->hidden == hidden)
        return 0;
    if (app_list_insert(hidden ? others : shown, app) != 0)
        return -1;
    app_list_remove(hidden ? shown : others, app);
    app->hidden = hidden;
    return 0;
}
