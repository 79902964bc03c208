/* Answers to operations that go on in the background. */
#include "store/store_internal.h"

static void find_put_texts(void *plan, struct texts *texts)
{
    struct store_token *token = plan;
    texts_add(texts, &token->token);
    texts_add(texts, &token->door);
    texts_add(texts, &token->facts);
}

static enum err_code apply_put(struct db *d, struct mutation *m)
{
    return db_put_token(d, m->plan, &m->err);
}

static const struct mutation_kind put = {sizeof(struct store_token), find_put_texts, apply_put};

void store_put_token(struct store *s, const struct store_token *token, store_cb *done, void *arg)
{
    struct store_token plan = *token;
    mutation_queue(s, &put, &plan, 0, done, arg);
}

struct removal_plan {
    const char *door;
    int64_t before_ms;
};

static void find_removal_texts(void *plan, struct texts *texts)
{
    texts_add(texts, &((struct removal_plan *)plan)->door);
}

static enum err_code apply_removal(struct db *d, struct mutation *m)
{
    const struct removal_plan *p = m->plan;
    return db_remove_tokens(d, p->door, p->before_ms, &m->err);
}

static const struct mutation_kind removal = {sizeof(struct removal_plan), find_removal_texts, apply_removal};

void store_remove_tokens(struct store *s, const char *door, int64_t before_ms, store_cb *done, void *arg)
{
    mutation_queue(s, &removal, &(struct removal_plan){door, before_ms}, 0, done, arg);
}

enum err_code store_load_tokens(struct store *s, const char *door,
                                bool (*on_token)(const struct store_token *token, void *arg), void *arg,
                                struct err *err)
{
    enum err_code rc = db_load_tokens(reader_take(s), door, on_token, arg, err);
    reader_give(s);
    return rc;
}
