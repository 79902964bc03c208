/* Offers of Spark to clients, in SQLite. */
#include "store/sqlite_internal.h"

enum err_code db_put_offer(struct db *d, const struct store_offer *offer, struct err *err)
{
    enum err_code rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    if (rc != ERR_OK)
        return rc;
    sqlite3_stmt *st = db_statement(d, SQL_OFFER_PUT);
    db_bind_text(st, 1, offer->name);
    db_bind_int(st, 2, offer->version);
    db_bind_int(st, 3, offer->updated_ms);
    db_bind_text(st, 4, offer->units);
    rc = db_finish(d, st, err, "writing an offer");
    if (rc == ERR_OK && sqlite3_changes(d->handle) == 0)
        rc = err_set(err, ERR_CONFLICT, "offer '%s' is stored with a version above %lld", offer->name,
                     (long long)offer->version);
    return db_end_one(d, rc, err);
}

enum err_code db_load_offers(struct db *d, bool (*on_offer)(const struct store_offer *offer, void *arg),
                             void *arg, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_OFFERS);
    enum err_code code = ERR_OK;
    int rc = SQLITE_ERROR;
    while (code == ERR_OK && st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_offer offer = {
            .name = db_column_text(st, 0),
            .version = sqlite3_column_int64(st, 1),
            .updated_ms = sqlite3_column_int64(st, 2),
            .units = db_column_text(st, 3),
        };
        if (offer.name == NULL || offer.units == NULL || !on_offer(&offer, arg))
            code = err_set(err, ERR_NOMEM, "out of memory");
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = db_error(d, err, "reading offers");
    (void)sqlite3_reset(st);
    return code;
}
