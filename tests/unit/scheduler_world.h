/*
 * What the tests of the scheduler share: a folder with a store and a stand-in for Spark, whose java is a
 * shell script that does what the program's arguments say; applications run under real guards, which are this
 * test program itself.
 *
 *     exit:N       ends with that code
 *     hold:FILE    waits until FILE exists
 */
#ifndef HEARTH_TESTS_SCHEDULER_WORLD_H
#define HEARTH_TESTS_SCHEDULER_WORLD_H

#include "fake_spark.h"

#include "base/clock.h"
#include "base/log.h"
#include "guard/guard.h"
#include "scheduler/scheduler.h"

#include <inttypes.h>
#include <signal.h>

enum { PATIENCE_MS = 60 * 1000, NAME_ROOM = 160 };

struct world {
    struct fake_spark fake;
    char state_dir[96];
    uv_loop_t loop;
    struct settings settings;
    struct spark *spark;
    bool without_spark;
    struct store *store;
    struct apps *apps;
    struct scheduler *scheduler;
    const struct schedule_door *doors[2];
};

static struct world *here;

static const char FAKE_JAVA[] = "#!/bin/sh\n"
                                "for a in \"$@\"; do\n"
                                "  case $a in\n"
                                "    hold:*) while [ ! -e \"${a#hold:}\" ]; do sleep 0.02; done ;;\n"
                                "    exit:*) exit \"${a#exit:}\" ;;\n"
                                "  esac\n"
                                "done\n"
                                "exit 0\n";

static inline const char *in_folder(const char *name)
{
    static char path[NAME_ROOM];
    (void)snprintf(path, sizeof path, "%s/%s", here->fake.folder, name);
    return path;
}

static inline void world_open(void)
{
    struct err err = {0};
    here->spark = here->without_spark ? NULL : fake_open(&here->fake, NULL);
    if (store_open(&here->loop, here->state_dir, &here->store, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    const struct apps_options apps = {
        .loop = &here->loop,
        .store = here->store,
        .spark = here->spark,
        .spark_missing = "no Spark here",
        .settings = &here->settings,
        .state_dir = here->state_dir,
    };
    if (apps_open(&apps, &here->apps, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    const struct scheduler_options options = {&here->loop, here->store, here->apps, &here->settings};
    if (scheduler_open(&options, &here->scheduler, &err) != ERR_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < 2 && here->doors[i] != NULL; i++)
        scheduler_add_door(here->scheduler, here->doors[i]);
    scheduler_start(here->scheduler);
}

static inline void world_close(void)
{
    store_close(here->store);
    scheduler_stop(here->scheduler);
    apps_stop(here->apps);
    assert_int_equal(uv_run(&here->loop, UV_RUN_DEFAULT), 0);
    scheduler_free(here->scheduler);
    apps_free(here->apps);
    spark_close(here->spark);
}

static inline void world_restart(void)
{
    world_close();
    world_open();
}

static inline int world_up(void **state)
{
    (void)state;
    static const struct world empty;
    static struct world one;
    one = empty;
    here = &one;
    log_set_level(LOG_ERROR);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* as the server does */
    fake_init(&here->fake, "3.5.7");
    fake_write(&here->fake, "java/bin/java", FAKE_JAVA, 0755);
    (void)snprintf(here->state_dir, sizeof here->state_dir, "%s/state", here->fake.folder);
    assert_int_equal(io_make_dirs(here->state_dir, 0700, NULL), ERR_OK);
    here->settings.admission.memory = 64LL << 30;
    here->settings.admission.queue = 1000;
    here->settings.driver.log_size = 1 << 20;
    here->settings.driver.stop_grace_ms = 1000;
    here->settings.driver.term_grace_ms = 1000;
    here->settings.retain.age_ms = 3600 * 1000;
    here->settings.retain.count = 10000;
    here->settings.schedule.history = 100;
    here->settings.schedule.misfire_threshold_ms = 60 * 1000;
    assert_int_equal(uv_loop_init(&here->loop), 0);
    world_open();
    return 0;
}

/* Guards are let go of by the server; the test waits for them. */
static inline void wait_for_process(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (handle->type == UV_PROCESS)
        uv_ref(handle);
}

static inline int world_down(void **state)
{
    (void)state;
    mem_fail_at(0);
    fake_write(&here->fake, "go", "", 0600); /* lets those go that hold */
    world_close();
    uv_walk(&here->loop, wait_for_process, NULL);
    assert_int_equal(uv_run(&here->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&here->loop), 0);
    fake_clear(&here->fake);
    zone_forget_all();
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- waiting ---- */

static inline void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

/* Turns the loop until a condition holds. */
static inline void await(bool (*holds)(void *arg), void *arg, const char *what)
{
    uv_timer_t wake;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    assert_int_equal(uv_timer_init(&here->loop, &wake), 0);
    assert_int_equal(uv_timer_start(&wake, on_wake, 10, 10), 0);
    while (!holds(arg)) {
        if (clock_mono_ms() > until_ms)
            fail_msg("waited in vain: %s", what);
        (void)uv_run(&here->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&wake, NULL);
    (void)uv_run(&here->loop, UV_RUN_NOWAIT);
}

static inline bool is_true(void *arg)
{
    return *(bool *)arg;
}

static inline bool is_past(void *arg)
{
    return clock_mono_ms() >= *(int64_t *)arg;
}

static inline void turn_for(int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    await(is_past, &until_ms, "time");
}

struct answer {
    bool came;
    struct err err;
    int64_t id;
};

static inline void on_answer(const struct err *err, int64_t id, void *arg)
{
    struct answer *a = arg;
    assert_false(a->came); /* once */
    *a = (struct answer){true, *err, id};
}

/* ---- schedules ---- */

/* Waits for FILE "go" when `hold`, then ends with `code`. */
static inline struct schedule_spec spec_of(const char *name, bool hold, int code)
{
    struct schedule_spec spec = {
        .group = mem_strdup("default"),
        .name = mem_strdup(name),
        .owner = mem_strdup("alice"),
        .priority = 5,
        .trigger = {.kind = TRIGGER_ONCE, .start_ms = clock_wall_ms() + 3600 * 1000, .end_ms = TRIGGER_NEVER},
    };
    spec.submission.file = mem_strdup("/a.py");
    spec.submission.master = mem_strdup("local[1]");
    if (hold)
        assert_int_equal(strlist_addf(&spec.submission.args, "hold:%s", in_folder("go")), 0);
    assert_int_equal(strlist_addf(&spec.submission.args, "exit:%d", code), 0);
    return spec;
}

static inline struct answer create(const struct schedule_spec *spec)
{
    struct answer a = {0};
    scheduler_create(here->scheduler, spec, false, on_answer, &a);
    await(is_true, &a.came, "creation");
    return a;
}

/* Creates and forgets the definition. */
static inline int64_t created(struct schedule_spec *spec)
{
    struct answer a = create(spec);
    if (a.err.code != ERR_OK)
        fail_msg("%s", a.err.msg);
    schedule_spec_clear(spec);
    return a.id;
}

static inline struct answer run_now(int64_t id, const char *token)
{
    struct answer a = {0};
    scheduler_run_now(here->scheduler, id, token, on_answer, &a);
    await(is_true, &a.came, "run now");
    return a;
}

typedef void change_fn(struct scheduler *s, int64_t id, scheduler_cb *done, void *arg);

static inline struct answer change(change_fn *fn, int64_t id)
{
    struct answer a = {0};
    fn(here->scheduler, id, on_answer, &a);
    await(is_true, &a.came, "a change");
    return a;
}

struct seen {
    bool came;
    struct err err;
    enum schedule_state state;
    int64_t id, version, fires, next_ms, previous_ms, repeat;
    char name[64];
};

static inline void on_seen(const struct err *err, const struct schedule_view *v, void *arg)
{
    struct seen *s = arg;
    *s = (struct seen){.came = true, .err = *err};
    if (v == NULL)
        return;
    s->state = v->state;
    s->id = v->id;
    s->version = v->version;
    s->fires = v->fires;
    s->next_ms = v->spec.trigger.next_ms;
    s->previous_ms = v->spec.trigger.previous_ms;
    s->repeat = v->spec.trigger.repeat;
    (void)snprintf(s->name, sizeof s->name, "%s", v->spec.name);
}

static inline struct seen see(int64_t id)
{
    struct seen s = {0};
    scheduler_get(here->scheduler, id, on_seen, &s);
    await(is_true, &s.came, "a look");
    return s;
}

/* ---- fires ---- */

enum { FIRES_ROOM = 64 };

struct history {
    bool came;
    size_t n;
    struct fire_view fires[FIRES_ROOM]; /* oldest first */
    char reasons[FIRES_ROOM][200];
    char tokens[FIRES_ROOM][40];
};

static inline void on_history(const struct err *err, const struct fire_view *fires, size_t n, void *arg)
{
    struct history *h = arg;
    assert_int_equal(err->code, ERR_OK);
    h->came = true;
    h->n = n;
    for (size_t i = 0; i < n; i++) {
        size_t at = n - 1 - i;
        h->fires[at] = fires[i];
        (void)snprintf(h->reasons[at], sizeof h->reasons[at], "%s",
                       fires[i].reason != NULL ? fires[i].reason : "");
        (void)snprintf(h->tokens[at], sizeof h->tokens[at], "%s",
                       fires[i].token != NULL ? fires[i].token : "");
    }
}

static inline const struct history *history(int64_t id)
{
    static struct history h;
    h = (struct history){0};
    scheduler_history(here->scheduler, id, 0, FIRES_ROOM, on_history, &h);
    await(is_true, &h.came, "history");
    return &h;
}

/* "running, skipped": the states of all fires, oldest first. */
static inline const char *states(int64_t id)
{
    static char text[1024];
    const struct history *h = history(id);
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < h->n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i > 0 ? ", " : "",
                               fire_state_name(h->fires[i].state));
    return text;
}

/* Until the states of all fires are these. */
static inline void await_states(int64_t id, const char *wanted)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (strcmp(states(id), wanted) != 0) {
        if (clock_mono_ms() > until_ms)
            fail_msg("'%s' instead of '%s'", states(id), wanted);
        turn_for(20);
    }
}

static inline void await_fires(int64_t id, size_t n)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (history(id)->n < n) {
        if (clock_mono_ms() > until_ms)
            fail_msg("%zu fires instead of %zu", history(id)->n, n);
        turn_for(20);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_up, world_down)

#endif
