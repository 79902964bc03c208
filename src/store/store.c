/*
 * The writer's thread and its queue; reads go through the worker threads.
 *
 *   loop thread:   store_insert_app … -> queue ->             <- uv_async <- results
 *   writer thread:                        takes all that waits, one group, commit
 */
#include "store/db.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strs.h"
#include "loop/work.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

enum { PROBE_MS = 1000, ITEMS_TEXT_MAX = 256 * 1024 * 1024, ITEMS_FIRST = 16 };

enum mutation_kind {
    MUTATION_INSERT,
    MUTATION_ADOPT,
    MUTATION_UPDATE,
    MUTATION_REMOVE,
    MUTATION_INSERT_ITEM,
    MUTATION_UPDATE_AGENT,
    MUTATION_PUT_OFFER,
    MUTATION_PROBE
};

struct mutation {
    struct mutation *prev, *next;
    enum mutation_kind kind;
    struct store_app app;
    struct store_item item;
    struct store_agent agent;
    struct store_offer offer;
    struct store_key key;
    bool has_item, has_agent, has_key;
    const struct store_note *notes; /* in the same memory as the texts */
    unsigned n_notes;
    store_cb *done;
    void *arg;
    struct err err;
    int64_t id;
    bool replayed;
    _Alignas(8) char memory[]; /* notes, then texts */
};

struct store {
    uv_loop_t *loop;
    struct db *writer;
    struct db *reader;
    uv_mutex_t reader_lock;
    uv_thread_t thread;
    uv_mutex_t lock; /* of the three below */
    uv_cond_t wake;
    struct mutation *waiting;
    struct mutation *finished;
    bool stopping;
    uv_async_t async;
    uv_timer_t probe;   /* runs while writing fails */
    unsigned handles;   /* open */
    struct err trouble; /* of the last group; loop thread only, like the rest */
    unsigned reads;     /* under way */
    bool closed;        /* no mutations any more */
};

/* ---- the writer thread ---- */

static void apply(struct db *d, struct mutation *m)
{
    const struct store_key *key = m->has_key ? &m->key : NULL;
    switch (m->kind) {
    case MUTATION_INSERT:
        m->err.code = db_insert_app(d, &m->app, &m->notes[0], key, &m->id, &m->replayed, &m->err);
        break;
    case MUTATION_ADOPT:
        m->err.code = db_adopt_app(d, &m->app, &m->notes[0], key, &m->id, &m->replayed, &m->err);
        break;
    case MUTATION_UPDATE: m->err.code = db_update_app(d, &m->app, m->notes, m->n_notes, &m->err); break;
    case MUTATION_REMOVE: m->err.code = db_remove_app(d, m->app.kind, m->app.id, &m->err); break;
    case MUTATION_INSERT_ITEM:
        m->err.code = db_insert_item(d, &m->item, key, &m->id, &m->replayed, &m->err);
        break;
    case MUTATION_UPDATE_AGENT:
        m->err.code =
            db_update_agent(d, m->has_agent ? &m->agent : NULL, m->has_item ? &m->item : NULL, &m->err);
        break;
    case MUTATION_PUT_OFFER: m->err.code = db_put_offer(d, &m->offer, &m->err); break;
    case MUTATION_PROBE: m->err.code = db_probe(d, &m->err); break;
    }
}

/* Gives every mutation of the group its failure: also a refusal may have come from one that is undone. */
static void fail_group(struct mutation *group, const struct err *err)
{
    struct mutation *m;
    DL_FOREACH(group, m)
    {
        m->err = *err;
    }
}

static void write_group(struct db *d, struct mutation *group)
{
    struct err err = {0};
    struct mutation *m;
    if (db_begin(d, &err) != ERR_OK) {
        fail_group(group, &err);
        return;
    }
    DL_FOREACH(group, m)
    {
        apply(d, m);
        if (m->err.code == ERR_IO) { /* the disk refuses: nothing of this group can be promised */
            err = m->err;
            db_rollback(d);
            fail_group(group, &err);
            return;
        }
    }
    FAULT_POINT("store.before_commit");
    if (db_commit(d, &err) != ERR_OK)
        fail_group(group, &err);
    FAULT_POINT("store.after_commit");
}

static void writer_main(void *arg)
{
    struct store *s = arg;
    uv_mutex_lock(&s->lock);
    for (;;) {
        while (s->waiting == NULL && !s->stopping)
            uv_cond_wait(&s->wake, &s->lock);
        struct mutation *group = s->waiting;
        s->waiting = NULL;
        if (group == NULL)
            break;
        uv_mutex_unlock(&s->lock);
        write_group(s->writer, group);
        uv_mutex_lock(&s->lock);
        DL_CONCAT(s->finished, group);
        (void)uv_async_send(&s->async); /* cannot fail on an open handle */
    }
    uv_mutex_unlock(&s->lock);
}

/* ---- the loop thread ---- */

static void on_probe(uv_timer_t *timer);

static void note_trouble(struct store *s, const struct err *err)
{
    bool was = s->trouble.code == ERR_IO;
    bool is = err->code == ERR_IO;
    s->trouble = *err;
    if (is && !was) {
        log_error("the store cannot write", LOG_S("why", err->msg));
        (void)uv_timer_start(&s->probe, on_probe, PROBE_MS, PROBE_MS);
    } else if (was && !is) {
        log_info("the store writes again");
        (void)uv_timer_stop(&s->probe);
    }
}

static void deliver(struct store *s)
{
    uv_mutex_lock(&s->lock);
    struct mutation *finished = s->finished;
    s->finished = NULL;
    uv_mutex_unlock(&s->lock);
    struct mutation *m;
    struct mutation *next;
    DL_FOREACH_SAFE(finished, m, next)
    {
        note_trouble(s, &m->err);
        m->done(&m->err, m->id, m->replayed, m->arg);
        mem_free(m);
    }
}

static void on_async(uv_async_t *async)
{
    deliver(async->data);
}

static size_t text_size(const char *s)
{
    return s != NULL ? strlen(s) + 1 : 0;
}

static const char *pack(char **at, const char *s)
{
    if (s == NULL)
        return NULL;
    size_t n = strlen(s) + 1;
    char *copy = memcpy(*at, s, n);
    *at += n;
    return copy;
}

/* Where a mutation's texts are, those of its notes aside. */
enum { TEXTS = 21 };
static void list_texts(struct mutation *m, const char **texts[TEXTS])
{
    struct store_app *a = &m->app;
    struct store_item *i = &m->item;
    const char **all[TEXTS] = {
        &a->kind,       &a->state,      &a->name,        &a->owner,       &a->proxy_user, &a->app_id,
        &a->reason,     &a->submission, &a->facts,       &i->type,        &i->state,      &i->kind,
        &i->request,    &i->output,     &m->agent.boot,  &m->agent.facts, &m->key.user,   &m->key.key,
        &m->key.digest, &m->offer.name, &m->offer.units,
    };
    memcpy(texts, all, sizeof all);
}

static size_t memory_size(const struct mutation *plan)
{
    struct mutation m = *plan;
    const char **texts[TEXTS];
    list_texts(&m, texts);
    size_t size = m.n_notes * sizeof *m.notes;
    for (size_t i = 0; i < TEXTS; i++)
        size += text_size(*texts[i]);
    for (unsigned i = 0; i < m.n_notes; i++)
        size += text_size(m.notes[i].state) + text_size(m.notes[i].reason);
    return size;
}

/* A copy of a mutation with memory of its own for all that it points to; NULL when memory is short. */
static struct mutation *copy_mutation(const struct mutation *plan)
{
    struct mutation *m = mem_calloc(1, sizeof *m + memory_size(plan));
    if (m == NULL)
        return NULL;
    *m = *plan;
    const char **texts[TEXTS];
    list_texts(m, texts);
    struct store_note *notes = (struct store_note *)m->memory;
    char *at = m->memory + m->n_notes * sizeof *notes;
    for (size_t i = 0; i < TEXTS; i++)
        *texts[i] = pack(&at, *texts[i]);
    for (unsigned i = 0; i < m->n_notes; i++)
        notes[i] = (struct store_note){
            .at_ms = plan->notes[i].at_ms,
            .state = pack(&at, plan->notes[i].state),
            .reason = pack(&at, plan->notes[i].reason),
        };
    m->notes = notes;
    return m;
}

/* Queues a copy of the plan. */
static void enqueue(struct store *s, const struct mutation *plan, store_cb *done, void *arg)
{
    struct mutation *m = s->closed ? NULL : copy_mutation(plan);
    if (m == NULL) {
        struct err err;
        err_set(&err, s->closed ? ERR_BUSY : ERR_NOMEM, s->closed ? "the server stops" : "out of memory");
        done(&err, -1, false, arg);
        return;
    }
    m->done = done;
    m->arg = arg;
    uv_mutex_lock(&s->lock);
    DL_APPEND(s->waiting, m);
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->lock);
}

/* An application's row for a request, which may have a key. */
static void enqueue_request(struct store *s, enum mutation_kind kind, const struct store_app *app,
                            const struct store_note *note, const struct store_key *key, store_cb *done,
                            void *arg)
{
    struct mutation plan = {.kind = kind, .app = *app, .notes = note, .n_notes = 1, .id = -1};
    if (key != NULL) {
        plan.key = *key;
        plan.has_key = true;
    }
    enqueue(s, &plan, done, arg);
}

void store_insert_app(struct store *s, const struct store_app *app, const struct store_note *note,
                      const struct store_key *key, store_cb *done, void *arg)
{
    enqueue_request(s, MUTATION_INSERT, app, note, key, done, arg);
}

void store_adopt_app(struct store *s, const struct store_app *app, const struct store_note *note,
                     const struct store_key *key, store_cb *done, void *arg)
{
    enqueue_request(s, MUTATION_ADOPT, app, note, key, done, arg);
}

void store_update_app(struct store *s, const struct store_app *app, const struct store_note *notes,
                      unsigned n_notes, store_cb *done, void *arg)
{
    struct mutation plan = {
        .kind = MUTATION_UPDATE, .app = *app, .notes = notes, .n_notes = n_notes, .id = app->id};
    enqueue(s, &plan, done, arg);
}

void store_remove_app(struct store *s, const char *kind, int64_t id, store_cb *done, void *arg)
{
    struct mutation plan = {.kind = MUTATION_REMOVE, .app = {.kind = kind, .id = id}, .id = id};
    enqueue(s, &plan, done, arg);
}

void store_insert_item(struct store *s, const struct store_item *item, const struct store_key *key,
                       store_cb *done, void *arg)
{
    struct mutation plan = {.kind = MUTATION_INSERT_ITEM, .item = *item, .id = -1};
    if (key != NULL) {
        plan.key = *key;
        plan.has_key = true;
    }
    enqueue(s, &plan, done, arg);
}

void store_update_agent(struct store *s, const struct store_agent *agent, const struct store_item *item,
                        store_cb *done, void *arg)
{
    assert(agent != NULL || item != NULL);
    struct mutation plan = {.kind = MUTATION_UPDATE_AGENT, .id = item != NULL ? item->id : agent->session};
    if (agent != NULL) {
        plan.agent = *agent;
        plan.has_agent = true;
    }
    if (item != NULL) {
        plan.item = *item;
        plan.has_item = true;
        plan.item.request = NULL; /* constant: not worth a copy */
    }
    enqueue(s, &plan, done, arg);
}

void store_put_offer(struct store *s, const struct store_offer *offer, store_cb *done, void *arg)
{
    enqueue(s, &(struct mutation){.kind = MUTATION_PUT_OFFER, .offer = *offer}, done, arg);
}

static void on_probed(const struct err *err, int64_t id, bool replayed, void *arg)
{
    (void)err; /* note_trouble has seen it */
    (void)id;
    (void)replayed;
    (void)arg;
}

static void on_probe(uv_timer_t *timer)
{
    enqueue(timer->data, &(struct mutation){.kind = MUTATION_PROBE}, on_probed, NULL);
}

const char *store_trouble(const struct store *s)
{
    return s->trouble.code == ERR_IO ? s->trouble.msg : NULL;
}

/* ---- reads ---- */

enum err_code store_load_apps(struct store *s, bool (*on_app)(const struct store_app *app, void *arg),
                              void *arg, struct err *err)
{
    return db_load_apps(s->reader, on_app, arg, err);
}

enum err_code store_load_agents(struct store *s, bool (*on_agent)(const struct store_agent *agent, void *arg),
                                void *arg, struct err *err)
{
    return db_load_agents(s->reader, on_agent, arg, err);
}

enum err_code store_load_items(struct store *s, const char *const *states,
                               bool (*on_item)(const struct store_item *item, void *arg), void *arg,
                               struct err *err)
{
    return db_load_items(s->reader, states, on_item, arg, err);
}

enum err_code store_load_offers(struct store *s, bool (*on_offer)(const struct store_offer *offer, void *arg),
                                void *arg, struct err *err)
{
    return db_load_offers(s->reader, on_offer, arg, err);
}

static void release(struct store *s);

/* Starts a read on a worker; end_read() is due when it comes back. */
static enum err_code start_read(struct store *s, void (*run)(void *arg), void (*done)(void *arg), void *arg,
                                struct err *err)
{
    enum err_code rc = work_run(s->loop, run, done, arg, err);
    if (rc == ERR_OK)
        s->reads++;
    return rc;
}

static void end_read(struct store *s)
{
    s->reads--;
    release(s);
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
    r->copy = copy_mutation(&(struct mutation){.app = *app, .notes = notes, .n_notes = n_notes});
    if (r->copy == NULL)
        err_set(&r->err, ERR_NOMEM, "out of memory");
}

static void read_run(void *arg)
{
    struct read *r = arg;
    uv_mutex_lock(&r->store->reader_lock);
    (void)db_read_app(r->store->reader, r->kind, r->id, keep_copy, r, &r->err); /* told by r->err */
    uv_mutex_unlock(&r->store->reader_lock);
}

static void read_done(void *arg)
{
    struct read *r = arg;
    end_read(r->store);
    if (r->copy != NULL)
        r->done(&r->err, &r->copy->app, r->copy->notes, r->copy->n_notes, r->arg);
    else
        r->done(&r->err, NULL, NULL, 0, r->arg);
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
        if (start_read(s, read_run, read_done, r, &err) == ERR_OK)
            return;
    } else {
        err_set(&err, ERR_NOMEM, "out of memory");
    }
    mem_free(copy);
    mem_free(r);
    done(&err, NULL, NULL, 0, arg);
}

struct items_read {
    struct store *store;
    char *type;
    struct db_page page;
    store_items_cb *done;
    void *arg;
    struct err err;
    struct store_item *items;
    size_t n, cap;
    struct strlist texts; /* what the items point to */
    int64_t total;
};

/* Replaces a text by a copy in the list; NULL stays. */
static bool keep_text(struct strlist *texts, const char **text)
{
    if (*text == NULL)
        return true;
    if (strlist_add(texts, *text) != 0)
        return false;
    *text = texts->items[texts->n - 1];
    return true;
}

static bool keep_item(const struct store_item *item, void *arg)
{
    struct items_read *r = arg;
    if (r->n == r->cap) {
        size_t cap = r->cap > 0 ? 2 * r->cap : ITEMS_FIRST;
        struct store_item *items = mem_realloc(r->items, cap * sizeof *items);
        if (items == NULL)
            return false;
        r->items = items;
        r->cap = cap;
    }
    struct store_item *copy = &r->items[r->n];
    *copy = *item;
    copy->type = r->type;
    if (!keep_text(&r->texts, &copy->state) || !keep_text(&r->texts, &copy->kind) ||
        !keep_text(&r->texts, &copy->request) || !keep_text(&r->texts, &copy->output))
        return false;
    r->n++;
    return true;
}

static void items_read_run(void *arg)
{
    struct items_read *r = arg;
    uv_mutex_lock(&r->store->reader_lock);
    (void)db_read_items(r->store->reader, &r->page, keep_item, r, &r->total, &r->err); /* told by r->err */
    uv_mutex_unlock(&r->store->reader_lock);
}

static void items_read_free(struct items_read *r)
{
    if (r == NULL)
        return;
    strlist_clear(&r->texts);
    mem_free(r->items);
    mem_free(r->type);
    mem_free(r);
}

static void items_read_done(void *arg)
{
    struct items_read *r = arg;
    end_read(r->store);
    if (r->err.code == ERR_OK)
        r->done(&r->err, r->items, r->n, r->total, r->arg);
    else
        r->done(&r->err, NULL, 0, 0, r->arg);
    items_read_free(r);
}

void store_read_items(struct store *s, const char *type, int64_t session, int64_t from, int64_t size,
                      bool descending, store_items_cb *done, void *arg)
{
    struct err err = {0};
    struct items_read *r = mem_calloc(1, sizeof *r);
    if (r != NULL && (r->type = mem_strdup(type)) != NULL) {
        r->store = s;
        r->page = (struct db_page){
            .type = r->type,
            .session = session,
            .from = from,
            .size = size,
            .descending = descending,
            .text_limit = ITEMS_TEXT_MAX,
        };
        r->done = done;
        r->arg = arg;
        if (start_read(s, items_read_run, items_read_done, r, &err) == ERR_OK)
            return;
    } else {
        err_set(&err, ERR_NOMEM, "out of memory");
    }
    items_read_free(r);
    done(&err, NULL, 0, 0, arg);
}

/* ---- life ---- */

enum err_code store_open(uv_loop_t *loop, const char *dir, struct store **ret, struct err *err)
{
    struct store *s = mem_calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->loop = loop;
    enum err_code rc = db_open(dir, &s->writer, err);
    if (rc == ERR_OK)
        rc = db_open_reader(dir, &s->reader, err);
    if (rc != ERR_OK) {
        db_close(s->writer);
        mem_free(s);
        return rc;
    }
    (void)uv_mutex_init(&s->lock); /* these fail only when the system is out of everything */
    (void)uv_mutex_init(&s->reader_lock);
    (void)uv_cond_init(&s->wake);
    (void)uv_async_init(loop, &s->async, on_async);
    (void)uv_timer_init(loop, &s->probe);
    s->async.data = s->probe.data = s;
    s->handles = 2;
    if (uv_thread_create(&s->thread, writer_main, s) != 0) {
        s->closed = true;
        store_close(s);
        return err_set(err, ERR_INTERNAL, "starting the store's thread failed");
    }
    *ret = s;
    return ERR_OK;
}

/* Frees the store once it is closed and the last read has come back. */
static void release(struct store *s)
{
    if (s->handles > 0 || s->reads > 0)
        return;
    db_close(s->reader);
    uv_mutex_destroy(&s->lock);
    uv_mutex_destroy(&s->reader_lock);
    uv_cond_destroy(&s->wake);
    mem_free(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct store *s = handle->data;
    s->handles--;
    release(s);
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    if (!s->closed) {
        s->closed = true;
        uv_mutex_lock(&s->lock);
        s->stopping = true;
        uv_cond_signal(&s->wake);
        uv_mutex_unlock(&s->lock);
        (void)uv_thread_join(&s->thread);
        deliver(s);
    }
    db_close(s->writer);
    uv_close((uv_handle_t *)&s->async, on_closed);
    uv_close((uv_handle_t *)&s->probe, on_closed);
}
