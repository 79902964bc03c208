/* Schedules and their fires. */
#include "store/store_internal.h"

#include "base/mem.h"

#include <string.h>
#include <utlist.h>

static void texts_of_schedule(struct texts *texts, struct store_schedule *s)
{
    const char **const all[] = {&s->group, &s->name,  &s->owner, &s->proxy_user,
                                &s->door,  &s->state, &s->spec,  &s->progress};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        texts_add(texts, all[i]);
}

static void texts_of_fire(struct texts *texts, struct store_fire *fire)
{
    const char **const all[] = {&fire->cause, &fire->state, &fire->reason, &fire->token};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        texts_add(texts, all[i]);
}

/* ---- schedules ---- */

static void find_schedule_texts(void *plan, struct texts *texts)
{
    texts_of_schedule(texts, plan);
}

static enum err_code apply_insertion(struct db *d, struct mutation *m)
{
    return db_insert_schedule(d, m->plan, &m->id, &m->err);
}

static enum err_code apply_update(struct db *d, struct mutation *m)
{
    return db_update_schedule(d, m->plan, &m->id, &m->err);
}

void store_insert_schedule(struct store *s, const struct store_schedule *schedule, store_cb *done, void *arg)
{
    static const struct mutation_kind kind = {sizeof *schedule, find_schedule_texts, apply_insertion};
    struct store_schedule plan = *schedule;
    mutation_queue(s, &kind, &plan, -1, done, arg);
}

void store_update_schedule(struct store *s, const struct store_schedule *schedule, store_cb *done, void *arg)
{
    static const struct mutation_kind kind = {sizeof *schedule, find_schedule_texts, apply_update};
    struct store_schedule plan = *schedule;
    mutation_queue(s, &kind, &plan, schedule->id, done, arg);
}

static enum err_code apply_removal(struct db *d, struct mutation *m)
{
    return db_remove_schedule(d, m->id, &m->err);
}

void store_remove_schedule(struct store *s, int64_t id, store_cb *done, void *arg)
{
    static const struct mutation_kind kind = {0, NULL, apply_removal};
    mutation_queue(s, &kind, NULL, id, done, arg);
}

/* ---- fires ---- */

struct step_plan {
    struct store_step step;
    struct store_app app; /* of a fire that makes one */
    struct store_note note;
};

static void find_step_texts(void *plan, struct texts *texts)
{
    struct step_plan *p = plan;
    texts_add(texts, &p->step.schedule.state);
    texts_add(texts, &p->step.schedule.progress);
    texts_of_fire(texts, &p->step.fire);
    texts_of_app(texts, &p->app);
    texts_of_note(texts, &p->note);
}

static enum err_code apply_step(struct db *d, struct mutation *m)
{
    const struct step_plan *p = m->plan;
    return db_step(d, &p->step, &m->id, &m->err);
}

static enum err_code apply_fire(struct db *d, struct mutation *m)
{
    const struct step_plan *p = m->plan;
    return db_fire_app(d, &p->step, &p->app, &p->note, &m->id, &m->err);
}

void store_step(struct store *s, const struct store_step *step, store_cb *done, void *arg)
{
    static const struct mutation_kind kind = {sizeof(struct step_plan), find_step_texts, apply_step};
    struct step_plan plan = {.step = *step};
    mutation_queue(s, &kind, &plan, -1, done, arg);
}

void store_fire_app(struct store *s, const struct store_step *step, const struct store_app *app,
                    const struct store_note *note, store_cb *done, void *arg)
{
    static const struct mutation_kind kind = {sizeof(struct step_plan), find_step_texts, apply_fire};
    struct step_plan plan = {*step, *app, *note};
    mutation_queue(s, &kind, &plan, -1, done, arg);
}

struct launch_plan {
    struct store_fire fire;
    const char *from_state;
    struct store_app app;
    struct store_note note;
};

static void find_launch_texts(void *plan, struct texts *texts)
{
    struct launch_plan *p = plan;
    texts_of_fire(texts, &p->fire);
    texts_add(texts, &p->from_state);
    texts_of_app(texts, &p->app);
    texts_of_note(texts, &p->note);
}

static enum err_code apply_launch(struct db *d, struct mutation *m)
{
    const struct launch_plan *p = m->plan;
    return db_launch_fire(d, &p->fire, p->from_state, &p->app, &p->note, &m->id, &m->err);
}

void store_launch_fire(struct store *s, const struct store_fire *fire, const char *from_state,
                       const struct store_app *app, const struct store_note *note, store_cb *done, void *arg)
{
    static const struct mutation_kind kind = {sizeof(struct launch_plan), find_launch_texts, apply_launch};
    struct launch_plan plan = {*fire, from_state, *app, *note};
    mutation_queue(s, &kind, &plan, -1, done, arg);
}

struct update_plan {
    struct store_fire fire;
    bool has_next;
    struct store_fire next;
};

static void find_update_texts(void *plan, struct texts *texts)
{
    struct update_plan *p = plan;
    texts_of_fire(texts, &p->fire);
    texts_of_fire(texts, &p->next);
}

static enum err_code apply_fire_update(struct db *d, struct mutation *m)
{
    const struct update_plan *p = m->plan;
    return db_update_fire(d, &p->fire, p->has_next ? &p->next : NULL, &m->id, &m->err);
}

void store_update_fire(struct store *s, const struct store_fire *fire, const struct store_fire *next,
                       store_cb *done, void *arg)
{
    static const struct mutation_kind kind = {sizeof(struct update_plan), find_update_texts,
                                              apply_fire_update};
    struct update_plan plan = {.fire = *fire, .has_next = next != NULL};
    if (next != NULL)
        plan.next = *next;
    mutation_queue(s, &kind, &plan, fire->number, done, arg);
}

/* ---- reads for the start ---- */

enum err_code store_load_due(struct store *s, bool (*on_due)(const struct store_due *due, void *arg),
                             void *arg, struct err *err)
{
    enum err_code rc = db_load_due(reader_take(s), on_due, arg, err);
    reader_give(s);
    return rc;
}

static bool see_none(const struct store_schedule *schedule, void *arg)
{
    (void)schedule;
    (void)arg;
    return false;
}

enum err_code store_count_schedules(struct store *s, int64_t *ret, struct err *err)
{
    const struct store_schedules all = {.after_id = -1, .max = 0};
    enum err_code rc = db_read_schedules(reader_take(s), &all, see_none, NULL, ret, err);
    reader_give(s);
    return rc;
}

enum err_code store_load_fires(struct store *s, bool (*on_fire)(const struct store_fire *fire, void *arg),
                               void *arg, struct err *err)
{
    enum err_code rc = db_load_fires(reader_take(s), on_fire, arg, err);
    reader_give(s);
    return rc;
}

/* ---- reads on a worker ---- */

struct schedules_read {
    struct schedules_read *next; /* in lists */
    struct store *store;
    struct store_schedules which;
    store_schedule_visit *visit;
    void *visit_arg;
    store_visited_cb *done;
    void *arg;
    struct err err;
    int64_t total;
    _Alignas(int64_t) char memory[]; /* what `which` points to: ids, then texts */
};

static void tell(struct schedules_read *r)
{
    r->done(&r->err, r->total, r->arg);
    mem_free(r);
}

static void read_with(struct db *d, struct schedules_read *r)
{
    (void)db_read_schedules(d, &r->which, r->visit, r->visit_arg, &r->total, &r->err); /* told by r->err */
}

/* Those of given ids, for which what is due waits, and the one of a group and name: they are few. */
static void given_run(void *arg)
{
    struct schedules_read *r = arg;
    read_with(reader_take(r->store), r);
    reader_give(r->store);
}

static void given_done(void *arg)
{
    struct schedules_read *r = arg;
    struct store *s = r->store;
    tell(r);
    read_end(s); /* last: who is told may ask again */
}

/* Lists may be long, and what is due must not wait for them: they have a connection of their own, and only
 * one worker. */
static void list_run(void *arg)
{
    struct schedules_read *r = arg;
    read_with(r->store->lister, r);
}

static void start_list(struct store *s);

static void list_done(void *arg)
{
    struct schedules_read *r = arg;
    struct store *s = r->store;
    s->listing = false;
    start_list(s);
    tell(r);
    read_end(s);
}

static void start_list(struct store *s)
{
    while (s->lists != NULL && !s->listing) {
        struct schedules_read *r = s->lists;
        LL_DELETE(s->lists, r);
        s->listing = read_start(s, list_run, list_done, r, &r->err) == ERR_OK;
        if (!s->listing)
            tell(r);
    }
}

static struct texts texts_of_question(struct store_schedules *which)
{
    return (struct texts){.at = {&which->group, &which->name, &which->door}, .n = 3};
}

/* A copy with memory of its own for all that `which` points to; NULL when memory is short. */
static struct schedules_read *schedules_read_new(const struct store_schedules *which)
{
    struct store_schedules theirs = *which;
    struct texts texts = texts_of_question(&theirs);
    size_t ids_size = which->n_ids * sizeof *which->ids;
    struct schedules_read *r = mem_alloc(sizeof *r + ids_size + texts_size(&texts));
    if (r == NULL)
        return NULL;
    *r = (struct schedules_read){.which = theirs};
    if (which->ids != NULL)
        r->which.ids = memcpy(r->memory, which->ids, ids_size);
    texts = texts_of_question(&r->which);
    texts_pack(&texts, r->memory + ids_size);
    return r;
}

void store_read_schedules(struct store *s, const struct store_schedules *which, store_schedule_visit *visit,
                          void *visit_arg, store_visited_cb *done, void *arg)
{
    struct schedules_read *r = schedules_read_new(which);
    if (r == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        done(&err, 0, arg);
        return;
    }
    r->store = s;
    r->visit = visit;
    r->visit_arg = visit_arg;
    r->done = done;
    r->arg = arg;
    bool is_list = which->ids == NULL && (which->group == NULL || which->name == NULL);
    if (is_list) {
        LL_APPEND(s->lists, r);
        start_list(s);
    } else if (read_start(s, given_run, given_done, r, &r->err) != ERR_OK) {
        tell(r);
    }
}

struct fires_read {
    struct store *store;
    int64_t schedule, before, max;
    store_fire_visit *visit;
    void *visit_arg;
    store_visited_cb *done;
    void *arg;
    struct err err;
};

static void fires_read_run(void *arg)
{
    struct fires_read *r = arg;
    (void)db_read_fires(reader_take(r->store), r->schedule, r->before, r->max, r->visit, r->visit_arg,
                        &r->err); /* told by r->err */
    reader_give(r->store);
}

static void fires_read_done(void *arg)
{
    struct fires_read *r = arg;
    struct store *s = r->store;
    r->done(&r->err, 0, r->arg);
    mem_free(r);
    read_end(s); /* last: who is told may ask again */
}

void store_read_fires(struct store *s, int64_t schedule, int64_t before, int64_t max, store_fire_visit *visit,
                      void *visit_arg, store_visited_cb *done, void *arg)
{
    struct err err = {0};
    struct fires_read *r = mem_alloc(sizeof *r);
    if (r != NULL) {
        *r = (struct fires_read){s, schedule, before, max, visit, visit_arg, done, arg, {0}};
        if (read_start(s, fires_read_run, fires_read_done, r, &err) == ERR_OK)
            return;
    } else {
        err_set(&err, ERR_NOMEM, "out of memory");
    }
    mem_free(r);
    done(&err, 0, arg);
}
