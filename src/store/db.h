/*
 * One connection to a database: what store.c needs of SQLite, or of another database later.
 *
 * All calls block. A connection is used by one thread at a time. After a failure inside a group the
 * mutation that failed has left no trace in it; the others go on.
 */
#ifndef HEARTH_STORE_DB_H
#define HEARTH_STORE_DB_H

#include "store/store.h"

struct db; /* opaque */

/* Opens DIR's database for writing: makes it, looks for damage, brings it to the newest schema, and takes the
 * next fencing number of this node. *ret_unchecked: it is too large to be looked through now, db_check() is
 * due.
 */
enum err_code db_open(const char *dir, struct db **ret, bool *ret_unchecked, struct err *err);
/* A further connection that only reads. */
enum err_code db_open_reader(const char *dir, struct db **ret, struct err *err);
void db_close(struct db *d); /* NULL is fine */

/* Looks through all of the database for damage. ERR_IO: there is some. ERR_BUSY: it was interrupted. */
enum err_code db_check(struct db *d, struct err *err);
void db_interrupt(struct db *d); /* from any thread */

/* A group of mutations: all are durable when db_commit returns ERR_OK, none otherwise. */
enum err_code db_begin(struct db *d, struct err *err); /* also refuses when this node was fenced off */
enum err_code db_commit(struct db *d, struct err *err);
void db_rollback(struct db *d);
/* After groups, when nobody waits: moves what was committed to its place, so that the log does not grow. */
void db_tidy(struct db *d);

enum err_code db_insert_app(struct db *d, const struct store_app *app, const struct store_note *note,
                            const struct store_key *key, int64_t *ret_id, bool *ret_replayed,
                            struct err *err);
enum err_code db_adopt_app(struct db *d, const struct store_app *app, const struct store_note *note,
                           const struct store_key *key, int64_t *ret_id, bool *ret_replayed, struct err *err);
enum err_code db_update_app(struct db *d, const struct store_app *app, const struct store_note *notes,
                            unsigned n_notes, struct err *err);
enum err_code db_remove_app(struct db *d, const char *kind, int64_t id, struct err *err);

enum err_code db_insert_item(struct db *d, const struct store_item *item, const struct store_key *key,
                             int64_t *ret_id, bool *ret_replayed, struct err *err);
/* Either may be NULL. */
enum err_code db_update_agent(struct db *d, const struct store_agent *agent, const struct store_item *item,
                              struct err *err);

enum err_code db_put_offer(struct db *d, const struct store_offer *offer, struct err *err);

/* Of these, `ret_id` is what done is given: the schedule's, the fire's number or the application's id. */
enum err_code db_insert_schedule(struct db *d, const struct store_schedule *schedule, int64_t *ret_id,
                                 struct err *err);
enum err_code db_update_schedule(struct db *d, const struct store_schedule *schedule, int64_t *ret_id,
                                 struct err *err);
enum err_code db_remove_schedule(struct db *d, int64_t id, struct err *err);
enum err_code db_step(struct db *d, const struct store_step *step, int64_t *ret_id, struct err *err);
enum err_code db_fire_app(struct db *d, const struct store_step *step, const struct store_app *app,
                          const struct store_note *note, int64_t *ret_id, struct err *err);
enum err_code db_launch_fire(struct db *d, const struct store_fire *fire, const char *from_state,
                             const struct store_app *app, const struct store_note *note, int64_t *ret_id,
                             struct err *err);
/* `next` may be NULL. */
enum err_code db_update_fire(struct db *d, const struct store_fire *fire, const struct store_fire *next,
                             int64_t *ret_id, struct err *err);

enum err_code db_put_token(struct db *d, const struct store_token *token, struct err *err);
enum err_code db_remove_tokens(struct db *d, const char *door, int64_t before_ms, struct err *err);

/* Writes something that changes nothing, to see whether writing works. */
enum err_code db_probe(struct db *d, struct err *err);

enum err_code db_load_apps(struct db *d, bool (*on_app)(const struct store_app *app, void *arg), void *arg,
                           struct err *err);
/* ERR_NOT_FOUND when there is none. The callback comes once, before this returns. */
enum err_code db_read_app(struct db *d, const char *kind, int64_t id,
                          void (*on_app)(const struct store_app *app, const struct store_note *notes,
                                         unsigned n_notes, void *arg),
                          void *arg, struct err *err);

/* Returns false to stop (ERR_NOMEM then). */
typedef bool db_item_cb(const struct store_item *item, void *arg);

enum err_code db_load_agents(struct db *d, bool (*on_agent)(const struct store_agent *agent, void *arg),
                             void *arg, struct err *err);
enum err_code db_load_items(struct db *d, const char *const *states, db_item_cb *on_item, void *arg,
                            struct err *err);

/* on_offer returns false to stop (ERR_NOMEM then). */
enum err_code db_load_offers(struct db *d, bool (*on_offer)(const struct store_offer *offer, void *arg),
                             void *arg, struct err *err);

/* Which items to read; as in store_read_items(). */
struct db_page {
    const char *type;
    int64_t session;
    int64_t from, size;
    bool descending;
    int64_t text_limit; /* bytes of all requests and outputs together; more is ERR_TOO_LARGE */
};
enum err_code db_read_items(struct db *d, const struct db_page *page, db_item_cb *on_item, void *arg,
                            int64_t *ret_total, struct err *err);

/* The callbacks return false to stop (ERR_NOMEM then). */
enum err_code db_load_due(struct db *d, bool (*on_due)(const struct store_due *due, void *arg), void *arg,
                          struct err *err);
enum err_code db_load_fires(struct db *d, bool (*on_fire)(const struct store_fire *fire, void *arg),
                            void *arg, struct err *err);
enum err_code db_load_tokens(struct db *d, const char *door,
                             bool (*on_token)(const struct store_token *token, void *arg), void *arg,
                             struct err *err);

/* As store_read_schedules() and store_read_fires(): a visitor that returns false only stops. */
enum err_code db_read_schedules(struct db *d, const struct store_schedules *which,
                                store_schedule_visit *visit, void *arg, int64_t *ret_total, struct err *err);
enum err_code db_read_fires(struct db *d, int64_t schedule, int64_t before, int64_t max,
                            store_fire_visit *visit, void *arg, struct err *err);

#endif
