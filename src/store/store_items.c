/* What sessions were asked to run, and the agents that answer for them. */
#include "store/store_internal.h"

#include "base/mem.h"
#include "base/strs.h"

#include <assert.h>

enum { ITEMS_TEXT_MAX = 256 * 1024 * 1024, ITEMS_FIRST = 16 };

static void texts_of_item(struct texts *texts, struct store_item *item)
{
    const char **const all[] = {&item->type, &item->state, &item->kind, &item->request, &item->output};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        texts_add(texts, all[i]);
}

/* ---- mutations ---- */

struct insertion_plan {
    struct store_item item;
    bool has_key;
    struct store_key key;
};

static void find_insertion_texts(void *plan, struct texts *texts)
{
    struct insertion_plan *p = plan;
    texts_of_item(texts, &p->item);
    texts_of_key(texts, &p->key);
}

static enum err_code apply_insertion(struct db *d, struct mutation *m)
{
    struct insertion_plan *p = m->plan;
    return db_insert_item(d, &p->item, p->has_key ? &p->key : NULL, &m->id, &m->replayed, &m->err);
}

static const struct mutation_kind insertion = {sizeof(struct insertion_plan), find_insertion_texts,
                                               apply_insertion};

void store_insert_item(struct store *s, const struct store_item *item, const struct store_key *key,
                       store_cb *done, void *arg)
{
    struct insertion_plan plan = {.item = *item, .has_key = key != NULL};
    if (key != NULL)
        plan.key = *key;
    mutation_queue(s, &insertion, &plan, -1, done, arg);
}

struct agent_plan {
    bool has_agent, has_item;
    struct store_agent agent;
    struct store_item item;
};

static void find_agent_texts(void *plan, struct texts *texts)
{
    struct agent_plan *p = plan;
    texts_add(texts, &p->agent.boot);
    texts_add(texts, &p->agent.facts);
    texts_of_item(texts, &p->item);
}

static enum err_code apply_agent(struct db *d, struct mutation *m)
{
    struct agent_plan *p = m->plan;
    return db_update_agent(d, p->has_agent ? &p->agent : NULL, p->has_item ? &p->item : NULL, &m->err);
}

static const struct mutation_kind agent_update = {sizeof(struct agent_plan), find_agent_texts, apply_agent};

void store_update_agent(struct store *s, const struct store_agent *agent, const struct store_item *item,
                        store_cb *done, void *arg)
{
    assert(agent != NULL || item != NULL);
    struct agent_plan plan = {.has_agent = agent != NULL, .has_item = item != NULL};
    if (agent != NULL)
        plan.agent = *agent;
    if (item != NULL) {
        plan.item = *item;
        plan.item.request = NULL; /* constant: not worth a copy */
    }
    mutation_queue(s, &agent_update, &plan, item != NULL ? item->id : agent->session, done, arg);
}

/* ---- reads ---- */

enum err_code store_load_agents(struct store *s, bool (*on_agent)(const struct store_agent *agent, void *arg),
                                void *arg, struct err *err)
{
    enum err_code rc = db_load_agents(reader_take(s), on_agent, arg, err);
    reader_give(s);
    return rc;
}

enum err_code store_load_items(struct store *s, const char *const *states,
                               bool (*on_item)(const struct store_item *item, void *arg), void *arg,
                               struct err *err)
{
    enum err_code rc = db_load_items(reader_take(s), states, on_item, arg, err);
    reader_give(s);
    return rc;
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
    (void)db_read_items(reader_take(r->store), &r->page, keep_item, r, &r->total,
                        &r->err); /* told by r->err */
    reader_give(r->store);
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
    if (r->err.code == ERR_OK)
        r->done(&r->err, r->items, r->n, r->total, r->arg);
    else
        r->done(&r->err, NULL, 0, 0, r->arg);
    read_end(r->store);
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
        if (read_start(s, items_read_run, items_read_done, r, &err) == ERR_OK)
            return;
    } else {
        err_set(&err, ERR_NOMEM, "out of memory");
    }
    items_read_free(r);
    done(&err, NULL, 0, 0, arg);
}
