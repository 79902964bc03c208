/*
 * Admission: first come, first served, within a budget of memory and of drivers.
 *
 * What does not fit waits, with the reason in its record and as the first line of its log. The order
 * is strict: a small application behind a large one waits too, or the large one might wait for ever.
 */
#include "app/app_internal.h"

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The number in a file such as memory.max; UINT64_MAX when there is none ("max", no such file). */
static uint64_t read_limit(const char *path)
{
    cleanup(buf_clear) struct buf text = BUF(256);
    struct err err = {0};
    int64_t n = 0;
    if (io_read_file(path, &text, &err) != ERR_OK || text.len == 0)
        return UINT64_MAX;
    text.data[strcspn(text.data, "\n")] = '\0';
    return parse_i64(text.data, 0, INT64_MAX, &n, &err) == ERR_OK ? (uint64_t)n : UINT64_MAX;
}

/* The smallest limit in a file of this name in the group or one above it; in a container the group's own
 * path may mean nothing, and what is mounted is the container's. */
static uint64_t tightest_limit(const char *mount, char *group, const char *name)
{
    uint64_t limit = UINT64_MAX;
    for (;;) {
        char path[4352];
        (void)snprintf(path, sizeof path, "%s%s/%s", mount, group, name);
        uint64_t here = read_limit(path);
        limit = here < limit ? here : limit;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return limit;
        *slash = '\0';
    }
}

/* The memory limit of our own control group, version 2 or 1. */
static uint64_t group_limit(void)
{
    cleanup(buf_clear) struct buf groups = BUF(65536);
    struct err err = {0};
    uint64_t limit = UINT64_MAX;
    if (io_read_file("/proc/self/cgroup", &groups, &err) != ERR_OK)
        return limit;
    char *rest = groups.data;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        const char *second = strchr(line, ':');
        char *where = second != NULL ? strchr(second + 1, ':') : NULL;
        uint64_t here = UINT64_MAX;
        if (where != NULL && str_starts(second, "::"))
            here = tightest_limit("/sys/fs/cgroup", where + 1, "memory.max");
        else if (where != NULL && str_starts(second, ":memory:"))
            here = tightest_limit("/sys/fs/cgroup/memory", where + 1, "memory.limit_in_bytes");
        limit = here < limit ? here : limit;
    }
    return limit;
}

uint64_t admission_budget(const struct settings *settings)
{
    if (settings->admission.memory > 0)
        return (uint64_t)settings->admission.memory;
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = group_limit();
    uint64_t total = group < machine ? group : machine;
    uint64_t reserve = (uint64_t)settings->admission.reserve;
    return total > 2 * reserve ? total - reserve : total / 2; /* a small machine still does something */
}

static void on_launch_recorded(const struct err *err, void *arg)
{
    if (err->code == ERR_OK)
        app_launch(arg); /* otherwise the tick writes again, and launches then */
}

static bool start(struct app *app)
{
    if (!app_move(app, APP_LAUNCHING, NULL))
        return false;
    admission_occupy(app);
    app_persist(app, on_launch_recorded, app);
    return true;
}

void admission_enter(struct app *app)
{
    if (app->token != NULL) { /* its driver takes nothing here, so it waits for nobody */
        start(app);
        return;
    }
    if (app_list_insert(&app->apps->waiting, app) != 0)
        log_error("out of memory: an application waits for the next start of the server",
                  LOG_I("id", app->info.id));
    if (app->info.wait_note != NULL && app->info.tail.n == 0)
        (void)strlist_add(&app->info.tail, app->info.wait_note); /* shown without it when memory is short */
    app->info.tail_known = true;                                 /* nothing else was written yet */
}

void admission_leave(struct app *app)
{
    app_list_remove(&app->apps->waiting, app);
    app->apps->queue_revision = ++app->apps->revision; /* everybody behind it moves up */
}

void admission_occupy(struct app *app)
{
    if (app->occupies || app->token != NULL)
        return;
    app->occupies = true;
    app->apps->memory_used += app->info.memory;
    app->apps->running++;
}

void admission_release(struct app *app)
{
    if (!app->occupies)
        return;
    app->occupies = false;
    app->apps->memory_used -= app->info.memory;
    app->apps->running--;
}

static bool memory_fits(const struct apps *apps, const struct app *app)
{
    return apps->memory_used + app->info.memory <= apps->memory_budget;
}

static bool count_fits(const struct apps *apps)
{
    int64_t limit = apps->options.settings->admission.running;
    return limit == 0 || (int64_t)apps->running < limit;
}

static char *waiting_words(const struct apps *apps, const struct app *app)
{
    char need[PARSE_TEXT_MAX];
    char used[PARSE_TEXT_MAX];
    char budget[PARSE_TEXT_MAX];
    parse_format_size(app->info.memory >> 20 << 20, need);
    parse_format_size(apps->memory_used >> 20 << 20, used);
    parse_format_size(apps->memory_budget >> 20 << 20, budget);
    if (!count_fits(apps))
        return mem_printf("waiting for room: %zu drivers run, the limit is %" PRId64 " (admission.running)",
                          apps->running, apps->options.settings->admission.running);
    if (!memory_fits(apps, app))
        return mem_printf("waiting for memory: this driver needs %s, and %s of %s are taken by %zu others "
                          "(admission.memory)",
                          need, used, budget, apps->running);
    return mem_printf("waiting for its turn: applications that came before it wait for memory");
}

bool apps_has_room(const struct apps *apps, uint64_t memory)
{
    return apps->waiting.n == 0 && apps->memory_used + memory <= apps->memory_budget && count_fits(apps);
}

/* Gives its reason to an application that could not start at once. */
static void explain(struct apps *apps, struct app *app)
{
    cleanup(mem_freep) char *words = waiting_words(apps, app);
    struct strlist line = {0};
    if (words == NULL || mem_set_str(&app->info.reason, words) != 0 ||
        (app->info.wait_note = mem_printf("hearth: %s", words)) == NULL ||
        strlist_add(&line, app->info.wait_note) != 0) {
        log_warn("out of memory for a reason", LOG_I("id", app->info.id));
        return;
    }
    app_set_tail(app, &line);
    app_note(app, words);
    app_changed(app);
    app_persist(app, NULL, NULL);
}

void admission_run(struct apps *apps)
{
    if (apps->admitting)
        return; /* an application that is refused below brings us here again */
    apps->admitting = true;
    while (apps->waiting.n > 0 && !apps->closing) {
        struct app *app = apps->waiting.items[0];
        if (app->info.memory > apps->memory_budget) {
            app_refuse(app, "it needs more memory than all drivers together may have now (admission.memory)");
            continue;
        }
        if (!memory_fits(apps, app) || !count_fits(apps))
            break;
        if (!start(app))
            break;
    }
    if (apps->waiting.n > 0 && apps->on_pressure != NULL && !apps->closing)
        apps->on_pressure(apps->pressure_arg);
    for (size_t i = apps->waiting.n; i > 0 && apps->waiting.items[i - 1]->info.wait_note == NULL; i--)
        explain(apps, apps->waiting.items[i - 1]);
    apps->admitting = false;
}
