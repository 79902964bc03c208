#include "discovery/registry.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/work.h"

#include <assert.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { RETRY_MS = 1000, FILE_MODE = 0644, DIR_MODE = 0755, ENV_MAX = 16384 };

/* A change that waits, or is under way. */
struct turn {
    struct turn *prev, *next;
    struct offer_change change;
    registry_done *done;
    void *arg;
};

/* What a turn makes, until it is shown. */
struct result {
    struct offer *offer;
    struct offer_outcome outcome;
    struct buf json, env, stored;
};

struct registry_entry {
    UT_hash_handle hh;
    struct registry *registry;
    char name[OFFER_NAME_MAX + 1];
    struct offer *offer; /* as shown; version 0: nobody has joined yet */
    struct buf json;
    struct turn *turns;    /* those that wait */
    struct turn *at_work;  /* NULL: none */
    struct result result;  /* of that one */
    struct err file_error; /* of the worker */
    bool pumping;
    bool expiry_waits;     /* a turn for it is among those that wait or at work */
    bool to_save;          /* what is shown is not yet in the store and the files */
    bool in_trouble;       /* the files cannot be written; that was logged */
    int64_t not_before_ms; /* monotonic; nothing is tried again earlier */
    struct registry_watcher *watchers;
};

struct registry {
    uv_loop_t *loop;
    struct store *store;
    char *dir;
    struct registry_entry *entries;
    uv_timer_t timer;
    bool stopped;
};

static struct offer_moment now(void)
{
    return (struct offer_moment){.wall_ms = clock_wall_ms(), .mono_ms = clock_mono_ms()};
}

/* ---- results ---- */

static void result_clear(struct result *r)
{
    offer_free(r->offer);
    buf_clear(&r->json);
    buf_clear(&r->env);
    buf_clear(&r->stored);
    *r = (struct result){.json = BUF(OFFER_JSON_MAX), .env = BUF(ENV_MAX), .stored = BUF(OFFER_JSON_MAX)};
}

static enum err_code write_texts(struct result *r, struct err *err)
{
    offer_write_json(&r->json, r->offer, NULL);
    offer_write_env(&r->env, r->offer);
    offer_write_units(&r->stored, r->offer);
    enum err_code rc = buf_check(&r->json, err);
    if (rc == ERR_OK)
        rc = buf_check(&r->env, err);
    return rc == ERR_OK ? buf_check(&r->stored, err) : rc;
}

/* ---- entries ---- */

static struct registry_entry *find_entry(const struct registry *r, const char *name)
{
    struct registry_entry *e = NULL;
    HASH_FIND_STR(r->entries, name, e);
    return e;
}

static struct registry_entry *need_entry(struct registry *r, const char *name)
{
    struct registry_entry *e = find_entry(r, name);
    if (e != NULL)
        return e;
    e = mem_calloc(1, sizeof *e);
    if (e == NULL || (e->offer = offer_new(name)) == NULL) {
        mem_free(e);
        return NULL;
    }
    e->registry = r;
    (void)snprintf(e->name, sizeof e->name, "%s", name);
    result_clear(&e->result);
    HASH_ADD_STR(r->entries, name, e);
    return e;
}

static void free_entry(struct registry *r, struct registry_entry *e)
{
    HASH_DEL(r->entries, e);
    offer_free(e->offer);
    buf_clear(&e->json);
    result_clear(&e->result);
    mem_free(e);
}

/* Drops an entry that nobody has joined once nobody waits for it any more. */
static void drop_unused(struct registry_entry *e)
{
    if (e->offer->version == 0 && e->turns == NULL && e->at_work == NULL && e->watchers == NULL &&
        !e->pumping)
        free_entry(e->registry, e);
}

static struct registry_view view_of(const struct registry_entry *e)
{
    return (struct registry_view){.offer = e->offer, .json = buf_cstr(&e->json)};
}

/* ---- leases and repairs ---- */

static void on_timer(uv_timer_t *timer);

/* When the entry next wants something, monotonic. */
static int64_t wanted_ms(const struct registry_entry *e)
{
    int64_t due = e->expiry_waits ? INT64_MAX : offer_due_ms(e->offer);
    if (e->to_save && e->at_work == NULL)
        due = e->not_before_ms;
    return due > e->not_before_ms ? due : e->not_before_ms;
}

static void arm(struct registry *r)
{
    int64_t first = INT64_MAX;
    if (r->stopped)
        return;
    for (const struct registry_entry *e = r->entries; e != NULL; e = e->hh.next) {
        int64_t wanted = wanted_ms(e);
        first = wanted < first ? wanted : first;
    }
    if (first == INT64_MAX) {
        (void)uv_timer_stop(&r->timer);
        return;
    }
    int64_t wait_ms = first - clock_mono_ms();
    uv_update_time(r->loop); /* timers count from the loop's time */
    (void)uv_timer_start(&r->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

/* ---- a turn ---- */

static void pump(struct registry_entry *e);

static void turn_free(struct turn *t)
{
    offer_change_clear(&t->change);
    mem_free(t);
}

/* Ends the turn that is at work: err->code tells how. */
static void end_turn(struct registry_entry *e, const struct err *err)
{
    struct turn *t = e->at_work;
    bool created = e->result.outcome.created;
    e->at_work = NULL;
    result_clear(&e->result);
    if (t->change.kind == OFFER_EXPIRE)
        e->expiry_waits = false;
    if (err->code != ERR_OK && t->done == NULL) /* hearth's own wish */
        e->not_before_ms = clock_mono_ms() + RETRY_MS;
    struct registry_view view = err->code == ERR_OK ? view_of(e) : (struct registry_view){0};
    if (t->done != NULL) {
        bool was_pumping = e->pumping;
        e->pumping = true; /* the entry stays, whatever is called inside */
        t->done(err, view, created, t->arg);
        e->pumping = was_pumping;
    }
    turn_free(t);
    arm(e->registry);
    pump(e);
}

/* Shows what the turn has made, and tells of it. */
static void show(struct registry_entry *e)
{
    struct result *made = &e->result;
    cleanup(buf_clear) struct buf events = BUF(2 * OFFER_JSON_MAX);
    offer_free(e->offer);
    buf_clear(&e->json);
    e->offer = made->offer;
    e->json = made->json;
    made->offer = NULL;
    buf_init(&made->json, OFFER_JSON_MAX);
    offer_write_events(&events, e->offer, &made->outcome);
    if (made->outcome.effect == OFFER_DEPARTED && made->outcome.expired)
        log_warn("a unit's lease ran out", LOG_S("offer", e->name), LOG_S("unit", made->outcome.unit));
    if (events.len == 0 && events.failed == ERR_OK)
        return;
    struct registry_watcher *w;
    struct registry_watcher *next;
    DL_FOREACH_SAFE(e->watchers, w, next)
    w->on_change(view_of(e), events.failed == ERR_OK ? events.data : NULL, events.len, w->arg);
}

static enum err_code write_file(const struct registry_entry *e, const char *ending, const struct buf *text,
                                struct err *err)
{
    cleanup(mem_freep) char *path = mem_printf("%s/%s.%s", e->registry->dir, e->name, ending);
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return io_replace_file(path, text->data, text->len, FILE_MODE, err);
}

/* On a worker thread, while the loop leaves the result alone. */
static void write_files(void *arg)
{
    struct registry_entry *e = arg;
    cleanup(buf_clear) struct buf json = BUF(OFFER_JSON_MAX + 1);
    buf_add(&json, e->result.json.data, e->result.json.len);
    buf_char(&json, '\n');
    e->file_error = (struct err){0};
    if (buf_check(&json, &e->file_error) == ERR_OK && write_file(e, "json", &json, &e->file_error) == ERR_OK)
        (void)write_file(e, "env", &e->result.env, &e->file_error); /* told by file_error */
}

static void note_files(struct registry_entry *e)
{
    bool failed = e->file_error.code != ERR_OK;
    if (failed && !e->in_trouble)
        log_error("files of an offer cannot be written", LOG_S("offer", e->name),
                  LOG_S("why", e->file_error.msg));
    if (!failed && e->in_trouble)
        log_info("files of an offer are written again", LOG_S("offer", e->name));
    e->to_save = e->in_trouble = failed;
    if (failed)
        e->not_before_ms = clock_mono_ms() + RETRY_MS;
}

static void on_files(void *arg)
{
    struct registry_entry *e = arg;
    const struct err none = {0};
    note_files(e);
    show(e);
    end_turn(e, &none);
}

static void on_stored(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct registry_entry *e = arg;
    (void)id;
    (void)replayed;
    if (err->code != ERR_OK) {
        end_turn(e, err);
        return;
    }
    FAULT_POINT("discovery.stored");
    if (work_run(e->registry->loop, write_files, on_files, e, &e->file_error) != ERR_OK)
        on_files(e);
}

static void store(struct registry_entry *e)
{
    const struct store_offer row = {
        .name = e->name,
        .version = e->result.offer->version,
        .updated_ms = e->result.offer->updated_ms,
        .units = buf_cstr(&e->result.stored),
    };
    store_put_offer(e->registry->store, &row, on_stored, e);
}

/* Offers that somebody has joined, or is just joining. */
static unsigned count_offers(const struct registry *r)
{
    unsigned n = 0;
    for (const struct registry_entry *e = r->entries; e != NULL; e = e->hh.next)
        n += e->offer->version > 0 || e->at_work != NULL;
    return n;
}

static enum err_code check(const struct registry_entry *e, const struct offer_change *change, struct err *err)
{
    if (e->registry->stopped)
        return err_set(err, ERR_BUSY, "the server stops");
    if (e->offer->version > 0 || change->own)
        return ERR_OK;
    if (change->kind != OFFER_PUT)
        return err_set(err, ERR_NOT_FOUND, "offer '%s' is not known", e->name);
    if (count_offers(e->registry) > REGISTRY_OFFERS_MAX)
        return err_set(err, ERR_BUSY, "%d offers are known already, which is the limit", REGISTRY_OFFERS_MAX);
    return ERR_OK;
}

static void begin_turn(struct registry_entry *e, struct turn *t)
{
    struct err err = {0};
    struct result *made = &e->result;
    e->at_work = t;
    enum err_code rc = check(e, &t->change, &err);
    if (rc == ERR_OK)
        rc = offer_apply(e->offer, &t->change, now(), &made->offer, &made->outcome, &err);
    bool nothing = made->outcome.effect == OFFER_SAME && t->change.kind != OFFER_KEEP;
    if (rc == ERR_OK && !nothing)
        rc = write_texts(made, &err);
    if (rc != ERR_OK || nothing)
        end_turn(e, &err);
    else
        store(e);
}

/* Begins the next turn; those that end at once are gone through here, not one inside the other. */
static void pump(struct registry_entry *e)
{
    if (e->pumping)
        return;
    e->pumping = true;
    while (e->at_work == NULL && e->turns != NULL) {
        struct turn *t = e->turns;
        DL_DELETE(e->turns, t);
        begin_turn(e, t);
    }
    e->pumping = false;
    drop_unused(e);
}

static bool add_turn(struct registry_entry *e, struct offer_change *change, registry_done *done, void *arg)
{
    struct turn *t = mem_calloc(1, sizeof *t);
    if (t == NULL)
        return false;
    *t = (struct turn){.change = *change, .done = done, .arg = arg};
    change->values = (struct offer_values){0};
    DL_APPEND(e->turns, t);
    return true;
}

/* A change that hearth itself wants. Without memory it is wanted again later. */
static void add_own_turn(struct registry_entry *e, enum offer_change_kind kind)
{
    struct offer_change change = {.kind = kind};
    if (!add_turn(e, &change, NULL, NULL)) {
        e->not_before_ms = clock_mono_ms() + RETRY_MS;
        return;
    }
    e->expiry_waits = e->expiry_waits || kind == OFFER_EXPIRE;
    pump(e);
}

static void on_timer(uv_timer_t *timer)
{
    struct registry *r = timer->data;
    int64_t mono_ms = clock_mono_ms();
    struct registry_entry *e;
    struct registry_entry *next;
    HASH_ITER(hh, r->entries, e, next)
    {
        if (wanted_ms(e) <= mono_ms)
            add_own_turn(e, e->to_save && e->at_work == NULL ? OFFER_KEEP : OFFER_EXPIRE);
    }
    arm(r);
}

/* ---- opening ---- */

/* Leases that ran out while no server ran end before anybody asks. That is not stored yet; should the server
 * be killed until then, the next one does the very same. */
static enum err_code expire_overdue(struct registry_entry *e, struct offer_moment at, struct err *err)
{
    const struct offer_change expiry = {.kind = OFFER_EXPIRE};
    while (offer_due_ms(e->offer) <= at.mono_ms) {
        struct offer *next = NULL;
        struct offer_outcome outcome;
        if (offer_apply(e->offer, &expiry, at, &next, &outcome, err) != ERR_OK)
            return err->code;
        log_warn("a unit's lease ran out while no server ran", LOG_S("offer", e->name),
                 LOG_S("unit", outcome.unit));
        offer_free(e->offer);
        e->offer = next;
    }
    return ERR_OK;
}

struct loading {
    struct registry *registry;
    struct offer_moment at;
    struct err err;
};

static enum err_code load(struct registry_entry *e, const struct store_offer *row, struct offer_moment at,
                          struct err *err)
{
    e->offer->version = row->version;
    e->offer->updated_ms = row->updated_ms;
    e->to_save = true;
    enum err_code rc = offer_read_units(e->offer, row->units, at, err);
    if (rc == ERR_OK)
        rc = expire_overdue(e, at, err);
    if (rc != ERR_OK)
        return rc;
    buf_init(&e->json, OFFER_JSON_MAX);
    offer_write_json(&e->json, e->offer, NULL);
    return buf_check(&e->json, err);
}

static bool on_offer(const struct store_offer *row, void *arg)
{
    struct loading *l = arg;
    enum err_code rc = offer_check_name("an offer", row->name, &l->err);
    if (rc == ERR_OK) {
        struct registry_entry *e = need_entry(l->registry, row->name);
        rc = e != NULL ? load(e, row, l->at, &l->err) : err_set(&l->err, ERR_NOMEM, "out of memory");
    }
    if (rc != ERR_OK)
        (void)err_wrap(&l->err, "reading offer '%.64s'", row->name);
    return rc == ERR_OK;
}

enum err_code registry_open(uv_loop_t *loop, struct store *store, const char *dir, struct registry **ret,
                            struct err *err)
{
    struct registry *r = mem_calloc(1, sizeof *r);
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct loading loading = {.registry = r, .at = now()};
    r->loop = loop;
    r->store = store;
    r->stopped = true; /* no timer yet */
    r->dir = mem_strdup(dir);
    enum err_code rc = r->dir != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK)
        rc = io_make_dirs(dir, DIR_MODE, err);
    if (rc == ERR_OK)
        rc = store_load_offers(store, on_offer, &loading, err);
    if (rc != ERR_OK) {
        if (loading.err.code != ERR_OK && err != NULL)
            *err = loading.err;
        registry_free(r);
        return loading.err.code != ERR_OK ? loading.err.code : rc;
    }
    (void)uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    r->stopped = false;
    arm(r);
    *ret = r;
    return ERR_OK;
}

void registry_stop(struct registry *r)
{
    if (r == NULL || r->stopped)
        return;
    r->stopped = true;
    uv_close((uv_handle_t *)&r->timer, NULL);
}

void registry_free(struct registry *r)
{
    struct registry_entry *e;
    struct registry_entry *next;
    if (r == NULL)
        return;
    HASH_ITER(hh, r->entries, e, next)
    {
        assert(e->at_work == NULL && e->turns == NULL && e->watchers == NULL);
        free_entry(r, e);
    }
    mem_free(r->dir);
    mem_free(r);
}

/* ---- for the doors ---- */

bool registry_find(const struct registry *r, const char *name, struct registry_view *ret)
{
    const struct registry_entry *e = find_entry(r, name);
    if (e == NULL || e->offer->version == 0)
        return false;
    *ret = view_of(e);
    return true;
}

static int by_name(const struct registry_entry *a, const struct registry_entry *b)
{
    return strcmp(a->name, b->name);
}

void registry_each(struct registry *r, void (*on_view)(struct registry_view view, void *arg), void *arg)
{
    HASH_SORT(r->entries, by_name);
    for (const struct registry_entry *e = r->entries; e != NULL; e = e->hh.next)
        if (e->offer->version > 0)
            on_view(view_of(e), arg);
}

void registry_change(struct registry *r, const char *name, struct offer_change *change, registry_done *done,
                     void *arg)
{
    struct registry_entry *e = need_entry(r, name);
    if (e != NULL && add_turn(e, change, done, arg)) {
        pump(e);
        return;
    }
    struct err err;
    (void)err_set(&err, ERR_NOMEM, "out of memory");
    offer_change_clear(change);
    if (e != NULL)
        drop_unused(e);
    done(&err, (struct registry_view){0}, false, arg);
}

bool registry_watch(struct registry *r, const char *name, struct registry_watcher *w)
{
    struct registry_entry *e = need_entry(r, name);
    if (e == NULL)
        return false;
    w->entry = e;
    DL_APPEND(e->watchers, w);
    return true;
}

void registry_unwatch(struct registry_watcher *w)
{
    struct registry_entry *e = w->entry;
    if (e == NULL)
        return;
    DL_DELETE(e->watchers, w);
    w->entry = NULL;
    drop_unused(e);
}
