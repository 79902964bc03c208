#include "guard/warmup.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/strs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LOOK_MS = 15,           /* how often the threads are looked for */
    LOOK_AT_MOST_MS = 3000, /* a process without them by then is no JVM, and has none */
    CHILDREN_MAX = 4096,    /* bytes of a list of children */
    WARM_MS = 10 * 1000,    /* time after which the compiler has its normal share again */
    LOWEST = 19,            /* nice value */
};

/* HotSpot's name for them, cut by the kernel to 15 characters. */
static const char COMPILER[] = "C2 CompilerThre";

static bool is_compiler(pid_t pid, const char *thread)
{
    char path[64];
    cleanup(buf_clear) struct buf name = BUF(64);
    (void)snprintf(path, sizeof path, "/proc/%d/task/%.20s/comm", (int)pid, thread);
    return io_read_file(path, &name, NULL) == ERR_OK && str_starts(buf_cstr(&name), COMPILER);
}

static unsigned set_priority(pid_t pid, int nice_value, bool with_children);

/* The JVM of a session is a child of its driver. A thread's children are told with the thread. */
static unsigned set_priority_of_children(pid_t pid, const char *thread, int nice_value)
{
    char path[64];
    unsigned found = 0;
    cleanup(buf_clear) struct buf children = BUF(CHILDREN_MAX);
    (void)snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, thread);
    if (io_read_file(path, &children, NULL) != ERR_OK)
        return 0;
    char *rest = NULL;
    for (char *word = children.len > 0 ? strtok_r(children.data, " ", &rest) : NULL; word != NULL;
         word = strtok_r(NULL, " ", &rest))
        found += set_priority((pid_t)strtol(word, NULL, 10), nice_value, false);
    return found;
}

static unsigned set_priority(pid_t pid, int nice_value, bool with_children)
{
    char path[40];
    unsigned found = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return 0;
    for (const struct dirent *e = readdir(threads); e != NULL; e = readdir(threads)) {
        if (e->d_name[0] == '.')
            continue;
        if (with_children)
            found += set_priority_of_children(pid, e->d_name, nice_value);
        if (!is_compiler(pid, e->d_name))
            continue;
        found++;
        (void)setpriority(PRIO_PROCESS, (id_t)strtol(e->d_name, NULL, 10), nice_value); /* gone: fine */
    }
    (void)closedir(threads);
    return found;
}

unsigned guard_warmup_set_priority(pid_t pid, int nice_value)
{
    return set_priority(pid, nice_value, true);
}

static bool can_be_undone(int normal)
{
    struct rlimit limit;
    return geteuid() == 0 ||
           (getrlimit(RLIMIT_NICE, &limit) == 0 && (int64_t)limit.rlim_cur >= 20 - (int64_t)normal);
}

static void on_timer(uv_timer_t *timer)
{
    struct guard_warmup *w = timer->data;
    int64_t age_ms = clock_mono_ms() - w->began_ms;
    if (w->lowered) {
        (void)guard_warmup_set_priority(w->pid, w->normal);
        guard_warmup_stop(w);
        return;
    }
    w->lowered = guard_warmup_set_priority(w->pid, LOWEST) > 0;
    if (w->lowered)
        (void)uv_timer_start(timer, on_timer, WARM_MS, 0); /* fails only without a callback */
    else if (age_ms > LOOK_AT_MOST_MS)
        guard_warmup_stop(w);
}

void guard_warmup_start(struct guard_warmup *w, uv_loop_t *loop, pid_t pid)
{
    (void)uv_timer_init(loop, &w->timer); /* cannot fail */
    w->timer.data = w;
    w->pid = pid;
    w->normal = getpriority(PRIO_PROCESS, 0);
    w->began_ms = clock_mono_ms();
    if (can_be_undone(w->normal))
        (void)uv_timer_start(&w->timer, on_timer, LOOK_MS, LOOK_MS);
}

void guard_warmup_stop(struct guard_warmup *w)
{
    (void)uv_timer_stop(&w->timer);
}
