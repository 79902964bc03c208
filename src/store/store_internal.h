/*
 * What the files of the store's face share: the queue of mutations, and reads on worker threads. store.c has
 * the writer's thread and the store's life; store_apps.c, store_items.c, store_offers.c, store_schedules.c
 * and store_tokens.c have what is asked of it, each on top of the sqlite_*.c of the same name.
 */
#ifndef HEARTH_STORE_STORE_INTERNAL_H
#define HEARTH_STORE_STORE_INTERNAL_H

#include "store/db.h"

#include <stddef.h>

struct mutation;
struct schedules_read;

struct store {
    uv_loop_t *loop;
    struct db *writer;
    struct db *reader; /* between reader_take() and reader_give() */
    uv_mutex_t reader_lock;
    struct db *lister; /* used by one list at a time */
    uv_thread_t thread;
    uv_mutex_t lock; /* of the three below */
    uv_cond_t wake;
    struct mutation *waiting;
    struct mutation *finished;
    bool stopping;
    uv_async_t async;
    uv_timer_t probe;             /* runs while writing fails */
    unsigned handles;             /* open */
    struct err trouble;           /* of the last group; loop thread only, like the rest */
    unsigned reads;               /* under way */
    bool closed;                  /* no mutations any more */
    struct schedules_read *lists; /* those that wait */
    bool listing;                 /* one is under way */
    struct db *checker;           /* looks for damage on a worker; NULL: that is over */
    struct err check_err;
};

/* ---- texts ---- */

/* Where the texts are that a struct points to, so that a copy of it can have them in its own memory. */
enum { TEXTS_MAX = 32 };
struct texts {
    const char **at[TEXTS_MAX];
    size_t n;
    const struct store_note **notes; /* an array of those, with texts of their own; or NULL */
    unsigned n_notes;
};
void texts_add(struct texts *texts, const char **text);
/* Moves them all to memory of texts_size() bytes that is aligned for the notes, if there are any. */
size_t texts_size(const struct texts *texts);
void texts_pack(struct texts *texts, void *memory);
void texts_of_app(struct texts *texts, struct store_app *app);
void texts_of_note(struct texts *texts, struct store_note *note);
void texts_of_key(struct texts *texts, struct store_key *key);

/* ---- mutations ---- */

/* A kind of mutation. What one of them is to do, its plan, is a struct that only the kind knows. */
struct mutation_kind {
    size_t size;                                         /* of the plan */
    void (*find_texts)(void *plan, struct texts *texts); /* NULL: it points to nothing */
    /* Called on the writer's thread: does it, and fills m->err, m->id and m->replayed. */
    enum err_code (*apply)(struct db *d, struct mutation *m);
};

struct mutation {
    struct mutation *prev, *next;
    const struct mutation_kind *kind;
    store_cb *done;
    void *arg;
    struct err err;
    int64_t id;
    bool replayed;
    void *plan;                     /* in `memory` */
    _Alignas(void *) char memory[]; /* plan, notes, texts */
};

/* A mutation with a copy of the plan and of all that it points to; NULL when memory is short. */
struct mutation *mutation_new(const struct mutation_kind *kind, void *plan);
/* Queues a copy of the plan; `id` is told unless apply finds another. */
void mutation_queue(struct store *s, const struct mutation_kind *kind, void *plan, int64_t id, store_cb *done,
                    void *arg);

/* ---- reads ---- */

/* The connection for reads, for this thread alone until reader_give(): workers read while the loop thread
 * loads, for a driver that is taken up at the start needs its row. No other read may be begun meanwhile. */
struct db *reader_take(struct store *s);
void reader_give(struct store *s);

/* Starts a read on a worker; read_end() is due when it has come back and was told: whoever
 * is told may ask again, also of a store that is being closed, which read_end() may free. */
enum err_code read_start(struct store *s, void (*run)(void *arg), void (*done)(void *arg), void *arg,
                         struct err *err);
void read_end(struct store *s);

#endif
