/* Offers of Spark to clients. */
#include "store/store_internal.h"

static void find_texts(void *plan, struct texts *texts)
{
    struct store_offer *offer = plan;
    texts_add(texts, &offer->name);
    texts_add(texts, &offer->units);
}

static enum err_code apply(struct db *d, struct mutation *m)
{
    return db_put_offer(d, m->plan, &m->err);
}

static const struct mutation_kind put = {sizeof(struct store_offer), find_texts, apply};

void store_put_offer(struct store *s, const struct store_offer *offer, store_cb *done, void *arg)
{
    struct store_offer plan = *offer;
    mutation_queue(s, &put, &plan, 0, done, arg);
}

enum err_code store_load_offers(struct store *s, bool (*on_offer)(const struct store_offer *offer, void *arg),
                                void *arg, struct err *err)
{
    enum err_code rc = db_load_offers(reader_take(s), on_offer, arg, err);
    reader_give(s);
    return rc;
}
