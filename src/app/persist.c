/*
 * From memory to the store: one update at a time per application, what happens meanwhile goes into
 * the next one. A write that the disk refuses is repeated by the tick until it is taken.
 */
#include "app/app_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <utlist.h>

enum { NOTES_PER_UPDATE = 32 };

void app_note(struct app *app, const char *reason)
{
    struct app_note *note = mem_calloc(1, sizeof *note);
    if (note == NULL || mem_set_str(&note->reason, reason) != 0) {
        mem_free(note); /* a line of history is worth less than going on */
        log_warn("out of memory for history", LOG_I("id", app->info.id));
        return;
    }
    note->at_ms = clock_wall_ms();
    note->state = app->info.state;
    DL_APPEND(app->notes, note);
}

void app_tell(struct app_after *list, const struct err *err)
{
    struct app_after *a;
    struct app_after *next;
    DL_FOREACH_SAFE(list, a, next)
    {
        app_done_cb *done = a->done;
        void *arg = a->arg;
        mem_free(a);
        done(err, arg);
    }
}

static void drop_sent_notes(struct app *app)
{
    struct app_note *note;
    struct app_note *next;
    DL_FOREACH_SAFE(app->sent, note, next)
    {
        mem_free(note->reason);
        mem_free(note);
    }
    app->sent = NULL;
}

/* The callback of an update finds its application by id: it may be gone. */
struct update {
    struct apps *apps;
    enum app_kind kind;
    int64_t id;
};

static void on_updated(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct update u = *(struct update *)arg;
    (void)id;
    (void)replayed;
    mem_free(arg);
    struct app *app = app_find_any(u.apps, u.kind, u.id);
    if (app == NULL)
        return;
    app->writing = false;
    struct app_after *waiting = app->after_sent;
    app->after_sent = NULL;
    if (err->code == ERR_OK) {
        app->version++;
        drop_sent_notes(app);
    } else {
        DL_CONCAT(app->sent, app->notes); /* the history goes with the next try, oldest first */
        app->notes = app->sent;
        app->sent = NULL;
        app->dirty = err->code != ERR_CONFLICT; /* another node has it: not ours to write any more */
        if (!app->dirty)
            log_error("another node has changed this application", LOG_I("id", u.id), LOG_S("why", err->msg));
    }
    if (err->code == ERR_OK && app->dirty)
        app_persist_again(app);
    app_tell(waiting, err);
}

static unsigned collect_notes(struct app *app, struct store_note notes[NOTES_PER_UPDATE])
{
    unsigned n = 0;
    struct app_note *note;
    while (n < NOTES_PER_UPDATE && (note = app->notes) != NULL) {
        DL_DELETE(app->notes, note);
        DL_APPEND(app->sent, note);
        notes[n++] = (struct store_note){note->at_ms, app_state_name(note->state), note->reason};
    }
    return n;
}

void app_persist_again(struct app *app)
{
    cleanup(mem_freep) char *facts = app_facts(app);
    struct update *u = mem_calloc(1, sizeof *u);
    app->dirty = true;
    if (facts == NULL || u == NULL) {
        mem_free(u);
        return; /* the tick tries again */
    }
    *u = (struct update){app->apps, app->info.kind, app->info.id};
    struct store_note notes[NOTES_PER_UPDATE];
    unsigned n = collect_notes(app, notes);
    struct store_app row = {
        .kind = app_kind_name(app->info.kind),
        .id = app->info.id,
        .version = app->version,
        .state = app_state_name(app->info.state),
        .name = app->info.name,
        .owner = app->info.owner,
        .proxy_user = app->info.proxy_user,
        .app_id = app->info.app_id,
        .reason = app->info.reason,
        .facts = facts,
        .memory = (int64_t)app->info.memory,
        .pid = app->info.pid,
        .last_event = app->last_event,
        .created_ms = app->info.created_ms,
        .started_ms = app->info.started_ms,
        .ended_ms = app->info.ended_ms,
        .forgotten_ms = app->forgotten_ms,
    };
    app->dirty = app->notes != NULL;
    app->writing = true;
    app->after_sent = app->after;
    app->after = NULL;
    store_update_app(app->apps->options.store, &row, notes, n, on_updated, u);
}

void app_persist(struct app *app, app_done_cb *done, void *arg)
{
    struct app_after *a = done != NULL ? mem_calloc(1, sizeof *a) : NULL;
    if (a != NULL) {
        *a = (struct app_after){.done = done, .arg = arg};
        DL_APPEND(app->after, a);
    } else if (done != NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        done(&err, arg);
    }
    app->dirty = true;
    if (!app->writing)
        app_persist_again(app);
}
