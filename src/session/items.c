/*
 * Items: statements and jobs, from the request to the result on disk.
 *
 * What waits beyond a few is kept in the store alone and comes back when its turn nears, so that a long
 * queue of long programs costs no memory; the same holds for results that nobody asks for any more.
 */
#include "session/session_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <utlist.h>

enum {
    UNFINISHED_MAX = 20000, /* of one session */
    SENT_MAX = 8,           /* statements, and jobs, that the agent has at a time */
    ENDED_KEPT = 8,         /* results in memory, of each type */
    REQUEST_KEPT = 4 << 10, /* bytes */
    OUTPUT_KEPT = 64 << 10, /* bytes */
    OUTPUT_MAX = 64 << 20,  /* bytes */
};

static const char *const type_names[ITEM_TYPES] = {[ITEM_STATEMENT] = "statement", [ITEM_JOB] = "job"};

static const int64_t FIRST_ID[ITEM_TYPES] = {[ITEM_STATEMENT] = 0, [ITEM_JOB] = 1};

static const char *const state_names[ITEM_STATES] = {
    [ITEM_WAITING] = "waiting",     [ITEM_RUNNING] = "running",     [ITEM_CANCELLING] = "cancelling",
    [ITEM_AVAILABLE] = "available", [ITEM_CANCELLED] = "cancelled", [ITEM_FAILED] = "failed",
};

const char *item_state_name(enum item_state state)
{
    return state_names[state];
}

bool item_state_is_end(enum item_state state)
{
    return state == ITEM_AVAILABLE || state == ITEM_CANCELLED || state == ITEM_FAILED;
}

/* The value of a word among the names; n when there is none. */
static int find_word(const char *const *names, int n, const char *word)
{
    int i = 0;
    while (i < n && strcmp(names[i], word) != 0)
        i++;
    return i;
}

struct item_view item_view_of(const struct item *item)
{
    return (struct item_view){
        .id = item->id,
        .state = item->state,
        .kind = item->kind,
        .request = item->request,
        .output = item->output,
        .progress = item_state_is_end(item->state) ? 1.0 : item->progress,
        .created_ms = item->created_ms,
        .started_ms = item->started_ms,
        .completed_ms = item->completed_ms,
    };
}

/* ---- one item ---- */

static void item_free(struct item *item)
{
    if (item == NULL)
        return;
    mem_free(item->kind);
    mem_free(item->request);
    mem_free(item->output);
    mem_free(item);
}

static struct item *item_new(enum item_type type, const char *kind, const char *request)
{
    struct item *item = mem_calloc(1, sizeof *item);
    if (item == NULL)
        return NULL;
    item->type = type;
    item->created_ms = clock_wall_ms();
    if (mem_set_str(&item->kind, kind) == 0 && mem_set_str(&item->request, request) == 0)
        return item;
    item_free(item);
    return NULL;
}

static struct item *find(const struct session *session, enum item_type type, int64_t id)
{
    struct item *item;
    for (item = session->items[type] != NULL ? session->items[type]->prev : NULL;
         item != NULL; /* newest first */
         item = item == session->items[type] ? NULL : item->prev)
        if (item->id <= id)
            return item->id == id ? item : NULL;
    return NULL;
}

void items_free(struct session *session)
{
    for (int type = 0; type < ITEM_TYPES; type++) {
        struct item *item;
        struct item *next;
        DL_FOREACH_SAFE(session->items[type], item, next)
        {
            item_free(item);
        }
        session->items[type] = NULL;
    }
}

static struct store_item row_of(const struct session *session, const struct item *item)
{
    return (struct store_item){
        .type = type_names[item->type],
        .session = session->id,
        .id = item->id,
        .state = state_names[item->state],
        .kind = item->kind,
        .request = item->request,
        .output = item->output,
        .created_ms = item->created_ms,
        .started_ms = item->started_ms,
        .completed_ms = item->completed_ms,
    };
}

bool items_restore(struct session *session, const struct store_item *row)
{
    int type = find_word(type_names, ITEM_TYPES, row->type);
    int state = find_word(state_names, ITEM_STATES, row->state);
    if (type == ITEM_TYPES || state == ITEM_STATES || item_state_is_end((enum item_state)state))
        return true; /* of a newer hearth */
    bool small = strlen(row->request) <= REQUEST_KEPT;
    struct item *item = item_new((enum item_type)type, row->kind, small ? row->request : NULL);
    if (item == NULL)
        return false;
    item->id = row->id;
    item->state = (enum item_state)state;
    item->created_ms = row->created_ms;
    item->started_ms = row->started_ms;
    DL_APPEND(session->items[type], item);
    session->unfinished++;
    if (row->created_ms > session->active_wall_ms)
        session->active_wall_ms = row->created_ms;
    return true;
}

/* ---- results leave memory ---- */

/* Only the newest results that are on disk stay, and of them only what is small. */
static void evict(struct session *session, enum item_type type)
{
    unsigned kept = 0;
    struct item *item = session->items[type] != NULL ? session->items[type]->prev : NULL;
    while (item != NULL) {
        struct item *older = item == session->items[type] ? NULL : item->prev;
        if (item->ended_on_disk &&
            (++kept > ENDED_KEPT || (item->output != NULL && strlen(item->output) > OUTPUT_KEPT))) {
            DL_DELETE(session->items[type], item); /* NOLINT: the last one's next alone is NULL */
            item_free(item);
        }
        item = older;
    }
}

static void on_end_written(struct session *session, enum item_type type, int64_t id)
{
    struct item *item = find(session, type, id);
    if (item != NULL && item_state_is_end(item->state))
        item->ended_on_disk = true;
    evict(session, type);
}

/* ---- changes of state ---- */

/* The item has ended in memory; its row is written by the caller. */
static void finish(struct session *session, struct item *item, enum item_state state, int64_t at_ms)
{
    item->state = state;
    item->completed_ms = at_ms;
    session->unfinished--;
    session_note_activity(session);
    session_tell_item(session, item);
}

/* A write that no message of the agent asks for. */
struct own_write {
    struct sessions *sessions;
    int64_t session, id;
    enum item_type type;
    bool ends; /* it writes the item's end */
};

static void on_own_write(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct own_write w = *(struct own_write *)arg;
    (void)id;
    (void)replayed;
    mem_free(arg);
    struct session *session = w.sessions->closing ? NULL : sessions_find(w.sessions, w.session);
    if (err->code != ERR_OK) /* found again, and ended again, at the next start */
        log_error("the state of an item could not be written", LOG_I("session", w.session), LOG_I("id", w.id),
                  LOG_S("why", err->msg));
    else if (session != NULL && w.ends)
        on_end_written(session, w.type, w.id);
}

static void write_item(struct session *session, const struct item *item)
{
    struct own_write *w = mem_calloc(1, sizeof *w);
    if (w == NULL) {
        log_error("out of memory: the state of an item is not written", LOG_I("session", session->id));
        return;
    }
    *w = (struct own_write){session->sessions, session->id, item->id, item->type,
                            item_state_is_end(item->state)};
    struct store_item row = row_of(session, item);
    store_update_agent(session->sessions->options.store, NULL, &row, on_own_write, w);
}

/* What a statement or job shows whose driver ended while it ran; NULL: out of memory. */
static char *death_output(const struct item *item, const char *why)
{
    cleanup(mem_freep) char *words = mem_printf("Interpreter died: %s", why);
    cleanup(buf_clear) struct buf text = BUF(OUTPUT_MAX);
    struct json_out out;
    if (words == NULL)
        return NULL;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    if (item->type == ITEM_STATEMENT) {
        json_out_str(&out, "status", "error");
        json_out_int(&out, "execution_count", item->id);
        json_out_str(&out, "ename", "Error");
        json_out_str(&out, "evalue", words);
        json_out_array(&out, "traceback");
        json_out_end_array(&out);
    } else {
        json_out_null(&out, "result");
        json_out_str(&out, "error", words);
    }
    json_out_end_object(&out);
    return buf_steal(&text);
}

void items_end(struct session *session, const char *why)
{
    int64_t now = clock_wall_ms();
    for (int type = 0; type < ITEM_TYPES; type++) {
        struct item *item;
        DL_FOREACH(session->items[type], item)
        {
            if (item_state_is_end(item->state))
                continue;
            bool began = item->state != ITEM_WAITING;
            if (began)
                item->output = death_output(item, why);
            finish(session, item,
                   !began                   ? ITEM_CANCELLED
                   : type == ITEM_STATEMENT ? ITEM_AVAILABLE
                                            : ITEM_FAILED,
                   now);
            write_item(session, item);
        }
    }
}

/* ---- to the agent ---- */

static void send_item(struct session *session, struct item *item)
{
    struct buf line = BUF(MESSAGE_LINE_MAX);
    if (item->type == ITEM_STATEMENT)
        message_execute(&line, item->id, item->kind, item->request);
    else
        message_job(&line, item->id, item->kind, item->request);
    link_send(session->link, &line);
    item->sent = true;
    if (item->state == ITEM_CANCELLING)
        agent_cancel(session, item->type, item->id);
    if (strlen(item->request) > REQUEST_KEPT)
        mem_freep(&item->request);
}

struct reload {
    struct sessions *sessions;
    int64_t session, id;
    enum item_type type;
};

static void on_reloaded(const struct err *err, const struct store_item *rows, size_t n, int64_t total,
                        void *arg)
{
    struct reload r = *(struct reload *)arg;
    (void)total;
    mem_free(arg);
    struct session *session = r.sessions->closing ? NULL : sessions_find(r.sessions, r.session);
    struct item *item = session != NULL ? find(session, r.type, r.id) : NULL;
    if (item == NULL)
        return;
    item->loading = false;
    if (err->code != ERR_OK || n != 1 || mem_set_str(&item->request, rows[0].request) != 0)
        log_error("an item cannot be read now; trying again", LOG_I("session", r.session), LOG_I("id", r.id),
                  LOG_S("why", err->msg)); /* by the tick */
    else
        items_pump(session);
}

static void reload(struct session *session, struct item *item)
{
    struct reload *r = item->loading ? NULL : mem_calloc(1, sizeof *r);
    if (r == NULL)
        return;
    *r = (struct reload){session->sessions, session->id, item->id, item->type};
    item->loading = true;
    store_read_items(session->sessions->options.store, type_names[item->type], session->id,
                     item->id - FIRST_ID[item->type], 1, false, on_reloaded, r);
}

static void pump(struct session *session, enum item_type type)
{
    unsigned sent = 0;
    struct item *item;
    DL_FOREACH(session->items[type], item)
    {
        if (item_state_is_end(item->state))
            continue;
        if (sent++ == SENT_MAX)
            return;
        if (!item->sent && item->request == NULL) {
            reload(session, item);
            return; /* the order counts */
        }
        if (!item->sent)
            send_item(session, item);
    }
}

void items_pump(struct session *session)
{
    if (!session->agent.ready || session->link == NULL || !link_is_connected(session->link))
        return;
    pump(session, ITEM_STATEMENT);
    pump(session, ITEM_JOB);
}

void items_resend(struct session *session)
{
    for (int type = 0; type < ITEM_TYPES; type++) {
        struct item *item;
        DL_FOREACH(session->items[type], item)
        {
            item->sent = false;
        }
    }
    items_pump(session);
}

/* ---- from the agent ---- */

void items_on_started(struct session *session, enum item_type type, int64_t id, int64_t at_ms, int64_t seq)
{
    struct item *item = find(session, type, id);
    if (item == NULL || item_state_is_end(item->state)) {
        agent_record(session, seq, NULL, NULL);
        return;
    }
    if (item->state == ITEM_WAITING)
        item->state = ITEM_RUNNING;
    item->started_ms = at_ms;
    struct store_item row = row_of(session, item);
    agent_record(session, seq, &row, NULL);
    session_tell_item(session, item);
}

void items_on_result(struct session *session, enum item_type type, int64_t id, enum item_state state,
                     char *output, int64_t at_ms, int64_t seq)
{
    struct item *item = find(session, type, id);
    if (item == NULL || item->ended_on_disk) { /* known already */
        mem_free(output);
        agent_record(session, seq, NULL, NULL);
        return;
    }
    mem_free(item->output);
    item->output = output;
    if (!item_state_is_end(item->state))
        finish(session, item, state, at_ms);
    struct store_item row = row_of(session, item);
    agent_record(session, seq, &row, on_end_written);
    items_pump(session);
    session_refresh(session);
}

void items_on_progress(struct session *session, int64_t id, double progress)
{
    struct item *item = find(session, ITEM_STATEMENT, id);
    if (item == NULL || item_state_is_end(item->state) || progress <= item->progress)
        return;
    item->progress = progress < 1.0 ? progress : 1.0;
    session_tell_item(session, item);
}

/* ---- asking ---- */

static bool is_alive(enum session_state state)
{
    return state == SESSION_STARTING || state == SESSION_IDLE || state == SESSION_BUSY;
}

struct submission {
    struct sessions *sessions;
    int64_t session;
    struct item *item;
    session_item_cb *done;
    void *arg;
};

/* On disk: from here on it is in the queue. */
static void enqueue(struct session *session, struct item *item)
{
    DL_APPEND(session->items[item->type], item);
    session->unfinished++;
    if (item->type == ITEM_STATEMENT)
        session->statements = item->id + 1;
    session_refresh(session);
    session_tell_item(session, item);
    if (!is_alive(session_state(session))) { /* it ended in this very moment */
        finish(session, item, ITEM_CANCELLED, clock_wall_ms());
        write_item(session, item);
        return;
    }
    items_pump(session);
    if (!item->sent && item->request != NULL && strlen(item->request) > REQUEST_KEPT)
        mem_freep(&item->request);
}

static void on_inserted(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct submission sub = *(struct submission *)arg;
    mem_free(arg);
    struct session *session = sub.sessions->closing ? NULL : sessions_find(sub.sessions, sub.session);
    if (err->code != ERR_OK || session == NULL) {
        struct err gone;
        err_set(&gone, ERR_BUSY, "the server stops");
        sub.done(err->code != ERR_OK ? err : &gone, NULL, sub.arg);
        item_free(sub.item);
        return;
    }
    if (replayed) {
        session_read_item(session, sub.item->type, id, sub.done, sub.arg);
        item_free(sub.item);
        return;
    }
    sub.item->id = id;
    struct item_view view = item_view_of(sub.item);
    sub.done(err, &view, sub.arg); /* first: what follows may change or free it */
    enqueue(session, sub.item);
}

enum err_code session_submit(struct session *session, enum item_type type, const char *kind,
                             const char *request, const struct store_key *key, session_item_cb *done,
                             void *arg, struct err *err)
{
    enum session_state state = session_state(session);
    if (!is_alive(state) || (state == SESSION_STARTING && type == ITEM_STATEMENT))
        return err_set(err, ERR_CONFLICT, "Session is in state %s", session_state_name(state));
    if (session->unfinished >= UNFINISHED_MAX)
        return err_set(err, ERR_BUSY, "%zu statements and jobs wait in this session already, the limit is %d",
                       session->unfinished, UNFINISHED_MAX);
    struct submission *sub = mem_calloc(1, sizeof *sub);
    struct item *item = item_new(type, kind, request);
    if (sub == NULL || item == NULL) {
        mem_free(sub);
        item_free(item);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *sub = (struct submission){session->sessions, session->id, item, done, arg};
    session_note_activity(session);
    struct store_item row = row_of(session, item);
    store_insert_item(session->sessions->options.store, &row, key, on_inserted, sub);
    return ERR_OK;
}

static void cancel(struct session *session, struct item *item)
{
    if (item_state_is_end(item->state) || item->state == ITEM_CANCELLING)
        return;
    if (!item->sent && item->state == ITEM_WAITING) {
        finish(session, item, ITEM_CANCELLED, clock_wall_ms());
        write_item(session, item);
        return;
    }
    item->state = ITEM_CANCELLING;
    write_item(session, item);
    session_tell_item(session, item);
    agent_cancel(session, item->type, item->id);
}

void session_cancel(struct session *session, enum item_type type, int64_t id)
{
    struct item *item = find(session, type, id);
    session_note_activity(session);
    if (item != NULL)
        cancel(session, item);
    session_refresh(session);
}

void session_interrupt(struct session *session)
{
    session_note_activity(session);
    struct item *item = session->items[ITEM_STATEMENT] != NULL ? session->items[ITEM_STATEMENT]->prev : NULL;
    while (item != NULL) { /* the newest first, so that none that waits begins */
        struct item *older = item == session->items[ITEM_STATEMENT] ? NULL : item->prev;
        cancel(session, item);
        item = older;
    }
    session_refresh(session);
}

/* ---- reading ---- */

struct reading {
    struct sessions *sessions;
    int64_t session;
    enum item_type type;
    session_items_cb *on_items; /* one of these two */
    session_item_cb *on_item;
    void *arg;
};

/* A row as it is now: memory is ahead of the store. */
static struct item_view view_of_row(const struct session *session, enum item_type type,
                                    const struct store_item *row)
{
    int state = find_word(state_names, ITEM_STATES, row->state);
    struct item_view view = {
        .id = row->id,
        .state = state < ITEM_STATES ? (enum item_state)state : ITEM_AVAILABLE,
        .kind = row->kind,
        .request = row->request,
        .output = row->output,
        .created_ms = row->created_ms,
        .started_ms = row->started_ms,
        .completed_ms = row->completed_ms,
    };
    const struct item *item = session != NULL ? find(session, type, row->id) : NULL;
    if (item != NULL) {
        view.state = item->state;
        view.progress = item->progress;
        view.started_ms = item->started_ms;
        view.completed_ms = item->completed_ms;
        if (item->output != NULL)
            view.output = item->output;
    }
    if (item_state_is_end(view.state))
        view.progress = 1.0;
    return view;
}

static void on_read(const struct err *err, const struct store_item *rows, size_t n, int64_t total, void *arg)
{
    struct reading r = *(struct reading *)arg;
    mem_free(arg);
    const struct session *session = r.sessions->closing ? NULL : sessions_find(r.sessions, r.session);
    struct err problem = *err;
    struct item_view *views = err->code == ERR_OK ? mem_calloc(n > 0 ? n : 1, sizeof *views) : NULL;
    for (size_t i = 0; views != NULL && i < n; i++)
        views[i] = view_of_row(session, r.type, &rows[i]);
    if (views == NULL && problem.code == ERR_OK)
        err_set(&problem, ERR_NOMEM, "out of memory");
    if (r.on_item != NULL && problem.code == ERR_OK && n == 0)
        err_set(&problem, ERR_NOT_FOUND, "no such %s", type_names[r.type]);
    if (r.on_item != NULL)
        r.on_item(&problem, problem.code == ERR_OK ? &views[0] : NULL, r.arg);
    else
        r.on_items(&problem, views, views != NULL ? n : 0, total, r.arg);
    mem_free(views);
}

static void read_rows(struct sessions *s, const struct reading *wanted, int64_t from, int64_t size,
                      bool descending)
{
    assert(wanted->on_item != NULL || wanted->on_items != NULL);
    struct reading *r = mem_calloc(1, sizeof *r);
    if (r == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        if (wanted->on_item != NULL)
            wanted->on_item(&err, NULL, wanted->arg);
        else
            wanted->on_items(&err, NULL, 0, 0, wanted->arg);
        return;
    }
    *r = *wanted;
    store_read_items(s->options.store, type_names[wanted->type], wanted->session, from, size, descending,
                     on_read, r);
}

void session_read_item(struct session *session, enum item_type type, int64_t id, session_item_cb *done,
                       void *arg)
{
    const struct item *item = find(session, type, id);
    if (item != NULL && item->request != NULL &&
        (item->output != NULL || !item_state_is_end(item->state) || item->state == ITEM_CANCELLED)) {
        struct err ok = {0};
        struct item_view view = item_view_of(item);
        done(&ok, &view, arg);
        return;
    }
    const struct reading r = {session->sessions, session->id, type, NULL, done, arg};
    read_rows(session->sessions, &r, id - FIRST_ID[type], 1, false); /* its place; none before the first */
}

void session_read_items(struct session *session, enum item_type type, int64_t from, int64_t size,
                        bool descending, session_items_cb *done, void *arg)
{
    sessions_read_items(session->sessions, session->id, type, from, size, descending, done, arg);
}

void sessions_read_items(struct sessions *s, int64_t session, enum item_type type, int64_t from, int64_t size,
                         bool descending, session_items_cb *done, void *arg)
{
    const struct reading r = {s, session, type, done, NULL, arg};
    read_rows(s, &r, from, size, descending);
}
