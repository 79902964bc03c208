/*
 * What writing messages consists of: the classes that nodes know, their identities, and Scala's own way of
 * putting collections and case objects into a Java stream.
 *
 * Thread   whoever owns the values.
 */
#ifndef HEARTH_RPC_MESSAGE_INTERNAL_H
#define HEARTH_RPC_MESSAGE_INTERNAL_H

#include "rpc/message.h"
#include "spark/jser.h"

enum class_id {
    CLASS_CHECK_EXISTENCE,
    CLASS_BOUND_PORTS,
    CLASS_MASTER_STATE,
    CLASS_WORKER_STATE,
    CLASS_SUBMIT_DRIVER,
    CLASS_DRIVER_DESCRIPTION,
    CLASS_COMMAND,
    CLASS_RESOURCE_REQUIREMENT,
    CLASS_KILL_DRIVER,
    CLASS_DRIVER_STATUS,
    CLASS_KILL_ALL_DRIVERS,
    CLASS_CLEAR,
    CLASS_READYZ,
    CLASS_EXECUTORS,
    CLASS_EXECUTORS_33, /* the same class before Spark 3.4 */
    CLASS_RESOURCE_PROFILE,
    CLASS_KILL_EXECUTORS,
    CLASS_DECOMMISSION,
    CLASS_UNREGISTER,
    CLASS_WORKER_KILL_DRIVER,
    CLASS_SPARK_APP_CONFIG,
    CLASS_IS_EXECUTOR_ALIVE,
    CLASS_MEMORY_STATUS,
    CLASS_NONE,
    CLASS_OPTION,
    CLASS_INTEGER,
    CLASS_NUMBER,
    CLASS_LIST_PROXY,
    CLASS_LIST_END,
    CLASS_HASH_MAP_PROXY,
    CLASS_MODULE_PROXY,
    CLASS_COLLECTION_PROXY,
    CLASS_LIST_FACTORY,
    CLASS_LIST_MODULE,
    CLASS_MAP_FACTORY,
    CLASS_HASH_MAP_MODULE,
    CLASS_EMPTY_MAP,
    CLASS_PAIR,
    CLASSES
};

enum { CLASS_FIELDS_MAX = 7 };

/* A descriptor for jser_write_object(), with the memory that it refers to. */
struct described {
    struct jser_class class, super;
    struct jser_field_desc fields[CLASS_FIELDS_MAX];
};
/* As the node wants it. */
void dialect_describe(const struct rpc_dialect *d, enum class_id id, struct described *ret);
/* True when the node is known to have the class as it was before Spark 3.4. */
bool dialect_has_old_executors(const struct rpc_dialect *d);

struct scala_writer {
    struct jser_writer jser;
    const struct rpc_dialect *dialect;
    /* Numbers of what is there once in a stream; 0 is the first descriptor's: not written yet. */
    uint32_t list_factory, list_end, map_factory, empty_map, none;
};

void scala_writer_init(struct scala_writer *w, const struct rpc_dialect *d, struct buf *to);
/* An object of the class; its fields are written next. */
uint32_t scala_object(struct scala_writer *w, enum class_id id);
/* A case object (its class ends in `$`). */
uint32_t scala_module(struct scala_writer *w, enum class_id id);
void scala_text(struct scala_writer *w, const char *text);
void scala_none(struct scala_writer *w);
void scala_boxed_int(struct scala_writer *w, int64_t n);
/* n elements are written between the two. */
void scala_list(struct scala_writer *w, size_t n);
void scala_list_end(struct scala_writer *w);
/* n times scala_pair(), the key, the value are written between the two. */
void scala_map(struct scala_writer *w, size_t n);
void scala_pair(struct scala_writer *w);
void scala_map_end(struct scala_writer *w, size_t n);
void scala_text_list(struct scala_writer *w, const struct strlist *l); /* NULL: empty */
void scala_text_map(struct scala_writer *w, const struct strmap *m);   /* NULL: empty; sorted by key */

#endif
