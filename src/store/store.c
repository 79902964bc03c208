/*
 * The writer's thread and its queue; reads go through the worker threads.
 *
 *   loop thread:   store_insert_app … -> queue ->             <- uv_async <- results
 *   writer thread:                        takes all that waits, one group, commit
 */
#include "store/store_internal.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/work.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

enum { PROBE_MS = 1000 };

/* ---- the writer thread ---- */

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
        m->err.code = m->kind->apply(d, m);
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
        uv_mutex_unlock(&s->lock);
        db_tidy(s->writer);
        uv_mutex_lock(&s->lock);
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

/* ---- mutations ---- */

void texts_add(struct texts *texts, const char **text)
{
    assert(texts->n < TEXTS_MAX);
    texts->at[texts->n++] = text;
}

static size_t text_size(const char *s)
{
    return s != NULL ? strlen(s) + 1 : 0;
}

size_t texts_size(const struct texts *texts)
{
    size_t size = texts->n_notes * sizeof **texts->notes;
    for (unsigned i = 0; i < texts->n_notes; i++)
        size += text_size((*texts->notes)[i].state) + text_size((*texts->notes)[i].reason);
    for (size_t i = 0; i < texts->n; i++)
        size += text_size(*texts->at[i]);
    return size;
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

void texts_pack(struct texts *texts, void *memory)
{
    char *at = memory;
    if (texts->notes != NULL) {
        struct store_note *notes = memory;
        at += texts->n_notes * sizeof *notes;
        for (unsigned i = 0; i < texts->n_notes; i++) {
            const struct store_note *from = &(*texts->notes)[i];
            notes[i] = (struct store_note){from->at_ms, pack(&at, from->state), pack(&at, from->reason)};
        }
        *texts->notes = notes;
    }
    for (size_t i = 0; i < texts->n; i++)
        *texts->at[i] = pack(&at, *texts->at[i]);
}

static struct texts find_texts(const struct mutation_kind *kind, void *plan)
{
    struct texts texts = {0};
    if (kind->find_texts != NULL)
        kind->find_texts(plan, &texts);
    return texts;
}

struct mutation *mutation_new(const struct mutation_kind *kind, void *plan)
{
    struct texts texts = find_texts(kind, plan);
    struct mutation *m = mem_alloc(sizeof *m + kind->size + texts_size(&texts));
    if (m == NULL)
        return NULL;
    *m = (struct mutation){.kind = kind, .plan = m->memory};
    if (kind->size > 0)
        memcpy(m->plan, plan, kind->size);
    texts = find_texts(kind, m->plan);
    texts_pack(&texts, m->memory + kind->size);
    return m;
}

void mutation_queue(struct store *s, const struct mutation_kind *kind, void *plan, int64_t id, store_cb *done,
                    void *arg)
{
    struct mutation *m = s->closed ? NULL : mutation_new(kind, plan);
    if (m == NULL) {
        struct err err;
        err_set(&err, s->closed ? ERR_BUSY : ERR_NOMEM, s->closed ? "the server stops" : "out of memory");
        done(&err, -1, false, arg);
        return;
    }
    m->id = id;
    m->done = done;
    m->arg = arg;
    uv_mutex_lock(&s->lock);
    DL_APPEND(s->waiting, m);
    uv_cond_signal(&s->wake);
    uv_mutex_unlock(&s->lock);
}

static void on_probed(const struct err *err, int64_t id, bool replayed, void *arg)
{
    (void)err; /* note_trouble has seen it */
    (void)id;
    (void)replayed;
    (void)arg;
}

static enum err_code apply_probe(struct db *d, struct mutation *m)
{
    return db_probe(d, &m->err);
}

static void on_probe(uv_timer_t *timer)
{
    static const struct mutation_kind probe = {0, NULL, apply_probe};
    mutation_queue(timer->data, &probe, NULL, 0, on_probed, NULL);
}

const char *store_trouble(const struct store *s)
{
    return s->trouble.code == ERR_IO ? s->trouble.msg : NULL;
}

/* ---- reads ---- */

static void release(struct store *s);

struct db *reader_take(struct store *s)
{
    uv_mutex_lock(&s->reader_lock);
    return s->reader;
}

void reader_give(struct store *s)
{
    uv_mutex_unlock(&s->reader_lock);
}

enum err_code read_start(struct store *s, void (*run)(void *arg), void (*done)(void *arg), void *arg,
                         struct err *err)
{
    enum err_code rc = work_run(s->loop, run, done, arg, err);
    if (rc == ERR_OK)
        s->reads++;
    return rc;
}

void read_end(struct store *s)
{
    s->reads--;
    release(s);
}

/* ---- damage ---- */

static void check_run(void *arg)
{
    struct store *s = arg;
    (void)db_check(s->checker, &s->check_err); /* told by check_err */
}

static void check_done(void *arg)
{
    struct store *s = arg;
    db_close(s->checker);
    s->checker = NULL;
    if (s->check_err.code == ERR_OK)
        log_info("the database was checked: no damage");
    else if (s->check_err.code != ERR_BUSY)
        log_error("the database is damaged: stop the server and restore a backup",
                  LOG_S("why", s->check_err.msg));
    read_end(s);
}

/* Looks for damage beside the work of the server, on a connection of its own: it takes long. */
static enum err_code start_check(struct store *s, const char *dir, struct err *err)
{
    if (db_open_reader(dir, &s->checker, err) == ERR_OK &&
        read_start(s, check_run, check_done, s, err) == ERR_OK)
        return ERR_OK;
    db_close(s->checker);
    s->checker = NULL;
    return err->code;
}

/* ---- life ---- */

static enum err_code open_connections(struct store *s, const char *dir, bool *ret_unchecked, struct err *err)
{
    enum err_code rc = db_open(dir, &s->writer, ret_unchecked, err);
    if (rc == ERR_OK)
        rc = db_open_reader(dir, &s->reader, err);
    return rc == ERR_OK ? db_open_reader(dir, &s->lister, err) : rc;
}

static enum err_code start_threads(struct store *s, const char *dir, bool unchecked, struct err *err)
{
    if (uv_thread_create(&s->thread, writer_main, s) != 0)
        return err_set(err, ERR_INTERNAL, "starting the store's thread failed");
    s->closed = false;
    return unchecked ? start_check(s, dir, err) : ERR_OK;
}

enum err_code store_open(uv_loop_t *loop, const char *dir, struct store **ret, struct err *err)
{
    struct store *s = mem_calloc(1, sizeof *s);
    bool unchecked = false;
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->loop = loop;
    s->closed = true; /* until there is a writer */
    enum err_code rc = open_connections(s, dir, &unchecked, err);
    if (rc != ERR_OK) {
        db_close(s->reader);
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
    rc = start_threads(s, dir, unchecked, err);
    if (rc == ERR_OK)
        *ret = s;
    else
        store_close(s);
    return rc;
}

/* Frees the store once it is closed and the last read has come back. */
static void release(struct store *s)
{
    if (s->handles > 0 || s->reads > 0)
        return;
    db_close(s->lister);
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
    if (s->checker != NULL)
        db_interrupt(s->checker);
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
