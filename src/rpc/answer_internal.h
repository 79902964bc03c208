/*
 * What reading answers consists of: values of a Java stream, and their JSON counterparts.
 *
 * Values may refer to each other in circles and be shared many times over: what a few bytes describe may be
 * endless. A walk finds circles by the path that it has come, and the room that it has left ends the rest.
 *
 * Sticky: after the first failure nothing more is made, NULL is passed on, and the containers are dropped.
 */
#ifndef HEARTH_RPC_ANSWER_INTERNAL_H
#define HEARTH_RPC_ANSWER_INTERNAL_H

#include "rpc/answer.h"
#include "spark/jser.h"

enum { ANSWER_LEVELS = 400, ANSWER_VALUES_MAX = 128 << 20 /* bytes */, WALK_KNOWN = 64 };

struct walk;
/* NULL after a failure, as in all functions here that return JSON. */
typedef json_t *read_as(struct walk *w, const struct jser_value *v);

struct walk {
    const struct jser_value *path[ANSWER_LEVELS]; /* what is being read, the outermost first */
    unsigned depth;
    size_t room;           /* bytes of JSON that may still be made */
    enum err_code failure; /* the first one */
    struct err *err;
    struct {
        const struct jser_class *class;
        read_as *read;
    } known[WALK_KNOWN]; /* how classes are read, by their addresses: looking them up takes longer */
};

/* NULL and err: ERR_INVALID, ERR_TOO_LARGE (levels, values) or ERR_NOMEM. */
json_t *answer_to_json(const struct jser_value *v, struct err *err);

/* Any value, and that of an object's field; null when there is no such field. */
json_t *walk_value(struct walk *w, const struct jser_value *v);
json_t *walk_field(struct walk *w, const struct jser_value *v, const char *name);
read_as *walk_how_to_read(struct walk *w, const struct jser_class *class);

/* Returns NULL, for `return walk_fail(...)`. */
json_t *walk_fail(struct walk *w, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* True when there is room for a value with n bytes of text. */
bool walk_pay(struct walk *w, size_t n);
/* Searching an object for fields takes time, which a reference to it costs nothing: it is paid for, too, each
 * time, or a few bytes could keep the loop busy for minutes. */
bool walk_pay_search(struct walk *w, const struct jser_value *v);
/* What jansson gave, or NULL and a failure. */
json_t *walk_made(struct walk *w, json_t *value);
json_t *walk_null(struct walk *w);
json_t *walk_boolean(struct walk *w, bool b);
json_t *walk_text(struct walk *w, const char *s, size_t n); /* UTF-8, as the reader of streams makes it */
json_t *walk_integer(struct walk *w, int64_t n);
json_t *walk_real(struct walk *w, double d);
json_t *walk_array(struct walk *w);
json_t *walk_object(struct walk *w);
/* Both take the item, which may be NULL after a failure. */
void walk_append(struct walk *w, json_t *array, json_t *item);
void walk_set(struct walk *w, json_t *object, const char *key, json_t *value);
void walk_set_n(struct walk *w, json_t *object, const char *key, size_t n, json_t *value);
/* The container, unless something went wrong on the way. */
json_t *walk_finished(struct walk *w, json_t *container);

/* True when one of its ancestors, or the class itself, has that name. */
bool answer_is_a(const struct jser_value *v, const char *class);
bool answer_is_object(const struct jser_value *v, const char *class); /* of exactly that class; not of NULL */
const char *answer_last_name(const char *class);
/* What the class itself, not an ancestor, wrote in its own way. */
struct jser_items answer_annotation(const struct jser_value *v);
/* The class that a module proxy of Scala 2.13 stands for, or NULL. */
const struct jser_class *answer_module(const struct jser_value *v);

static inline uint64_t answer_big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

struct answer_row {
    const char *class;
    read_as *read;
    bool with_heirs; /* also classes below it */
};

struct answer_rows {
    const struct answer_row *at;
    size_t n;
};

extern const struct answer_rows answer_java_rows, answer_scala_rows, answer_spark_rows;
read_as answer_plain; /* objects of all other classes */
read_as answer_array;

#endif
