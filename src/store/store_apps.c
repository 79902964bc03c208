/* Applications: their rows, history, and the keys of requests that may come twice. */
#include "store/store_internal.h"

#include "base/mem.h"

void texts_of_app(struct texts *texts, struct store_app *app)
{
    const char **const all[] = {&app->kind,   &app->state,  &app->name,       &app->owner, &app->proxy_user,
                                &app->app_id, &app->reason, &app->submission, &app->facts};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        texts_add(texts, all[i]);
}

void texts_of_note(struct texts *texts, struct store_note *note)
{
    texts_add(texts, &note->state);
    texts_add(texts, &note->reason);
}

void texts_of_key(struct texts *texts, struct store_key *key)
{
    texts_add(texts, &key->user);
    texts_add(texts, &key->key);
    texts_add(texts, &key->digest);
}

/* ---- a row for a request, which may have a key ---- */

struct request_plan {
    struct store_app app;
    struct store_note note;
    bool has_key;
    struct store_key key;
};

static void find_request_texts(void *plan, struct texts *texts)
{
    struct request_plan *p = plan;
    texts_of_app(texts, &p->app);
    texts_of_note(texts, &p->note);
    texts_of_key(texts, &p->key);
}

static enum err_code apply_insert(struct db *d, struct mutation *m)
{
    struct request_plan *p = m->plan;
    return db_insert_app(d, &p->app, &p->note, p->has_key ? &p->key : NULL, &m->id, &m->replayed, &m->err);
}

static enum err_code apply_adopt(struct db *d, struct mutation *m)
{
    struct request_plan *p = m->plan;
    return db_adopt_app(d, &p->app, &p->note, p->has_key ? &p->key : NULL, &m->id, &m->replayed, &m->err);
}

static const struct mutation_kind insertion = {sizeof(struct request_plan), find_request_texts, apply_insert};
static const struct mutation_kind adoption = {sizeof(struct request_plan), find_request_texts, apply_adopt};

static void queue_request(struct store *s, const struct mutation_kind *kind, const struct store_app *app,
                          const struct store_note *note, const struct store_key *key, store_cb *done,
                          void *arg)
{
    struct request_plan plan = {.app = *app, .note = *note, .has_key = key != NULL};
    if (key != NULL)
        plan.key = *key;
    mutation_queue(s, kind, &plan, -1, done, arg);
}

void store_insert_app(struct store *s, const struct store_app *app, const struct store_note *note,
                      const struct store_key *key, store_cb *done, void *arg)
{
    queue_request(s, &insertion, app, note, key, done, arg);
}

void store_adopt_app(struct store *s, const struct store_app *app, const struct store_note *note,
                     const struct store_key *key, store_cb *done, void *arg)
{
    queue_request(s, &adoption, app, note, key, done, arg);
}

/* ---- changing and removing ---- */

struct update_plan {
    struct store_app app;
    const struct store_note *notes;
    unsigned n_notes;
};

static void find_update_texts(void *plan, struct texts *texts)
{
    struct update_plan *p = plan;
    texts_of_app(texts, &p->app);
    texts->notes = &p->notes;
    texts->n_notes = p->n_notes;
}

static enum err_code apply_update(struct db *d, struct mutation *m)
{
    struct update_plan *p = m->plan;
    return db_update_app(d, &p->app, p->notes, p->n_notes, &m->err);
}

static const struct mutation_kind update = {sizeof(struct update_plan), find_update_texts, apply_update};

void store_update_app(struct store *s, const struct store_app *app, const struct store_note *notes,
                      unsigned n_notes, store_cb *done, void *arg)
{
    struct update_plan plan = {*app, notes, n_notes};
    mutation_queue(s, &update, &plan, app->id, done, arg);
}

struct removal_plan {
    const char *kind;
    int64_t id;
};

static void find_removal_texts(void *plan, struct texts *texts)
{
    texts_add(texts, &((struct removal_plan *)plan)->kind);
}

static enum err_code apply_removal(struct db *d, struct mutation *m)
{
    struct removal_plan *p = m->plan;
    return db_remove_app(d, p->kind, p->id, &m->err);
}

static const struct mutation_kind removal = {sizeof(struct removal_plan), find_removal_texts, apply_removal};

void store_remove_app(struct store *s, const char *kind, int64_t id, store_cb *done, void *arg)
{
    mutation_queue(s, &removal, &(struct removal_plan){kind, id}, id, done, arg);
}

/* ---- reads ---- */

enum err_code store_load_apps(struct store *s, bool (*on_app)(const struct store_app *app, void *arg),
                              void *arg, struct err *err)
{
    enum err_code rc = db_load_apps(reader_take(s), on_app, arg, err);
    reader_give(s);
    return rc;
}

struct read {
    struct store *store;
    char *kind;
    int64_t id;
    store_read_cb *done;
    void *arg;
    struct err err;
    struct mutation *copy; /* the row in memory of its own; a mutation that is never queued */
};

/* Keeps a copy of the row: the database's own memory ends with the read. */
static void keep_copy(const struct store_app *app, const struct store_note *notes, unsigned n_notes,
                      void *arg)
{
    struct read *r = arg;
    struct update_plan row = {*app, notes, n_notes};
    r->copy = mutation_new(&update, &row);
    if (r->copy == NULL)
        err_set(&r->err, ERR_NOMEM, "out of memory");
}

static void read_run(void *arg)
{
    struct read *r = arg;
    (void)db_read_app(reader_take(r->store), r->kind, r->id, keep_copy, r, &r->err); /* told by r->err */
    reader_give(r->store);
}

static void read_done(void *arg)
{
    struct read *r = arg;
    const struct update_plan *row = r->copy != NULL ? r->copy->plan : NULL;
    if (row != NULL)
        r->done(&r->err, &row->app, row->notes, row->n_notes, r->arg);
    else
        r->done(&r->err, NULL, NULL, 0, r->arg);
    read_end(r->store);
    mem_free(r->copy);
    mem_free(r->kind);
    mem_free(r);
}

void store_read_app(struct store *s, const char *kind, int64_t id, store_read_cb *done, void *arg)
{
    struct err err = {0};
    struct read *r = mem_calloc(1, sizeof *r);
    char *copy = r != NULL ? mem_strdup(kind) : NULL;
    if (copy != NULL) {
        *r = (struct read){.store = s, .kind = copy, .id = id, .done = done, .arg = arg};
        if (read_start(s, read_run, read_done, r, &err) == ERR_OK)
            return;
    } else {
        err_set(&err, ERR_NOMEM, "out of memory");
    }
    mem_free(copy);
    mem_free(r);
    done(&err, NULL, NULL, 0, arg);
}
