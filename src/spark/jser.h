/*
 * Java Object Serialization: reading and writing the streams of java.io.ObjectOutputStream.
 *
 * Reading    A jser_reader is fed with bytes in any pieces and gives one top-level item after the
 *            other as a tree of generic values: the stream describes its own classes, so unknown
 *            ones are no error. One handle table serves the whole stream. When an item is not
 *            complete yet, what was begun is forgotten and tried again after more bytes came.
 * Values     belong to the reader and live as long as it does. They may refer to each other in
 *            circles: whoever walks them needs a limit.
 * Limits     bytes of the stream, memory for values, nesting, handles; nothing is allocated for
 *            what a length merely announces.
 * Writing    A jser_writer appends to a struct buf. Class descriptors (by name) and strings (by text)
 *            are written once and afterwards by reference. Sticky, as buf is.
 *
 * Not read: objects that write themselves in the old form without block data (they cannot be skipped).
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_SPARK_JSER_H
#define HEARTH_SPARK_JSER_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jser_class_flags {
    JSER_WRITE_METHOD = 0x01, /* the class writes its own data: an annotation follows the fields */
    JSER_SERIALIZABLE = 0x02,
    JSER_EXTERNALIZABLE = 0x04,
    JSER_BLOCK_DATA = 0x08,
    JSER_IS_ENUM = 0x10,
};

struct jser_field_desc {
    char type; /* B C D F I J S Z, or L and [ */
    const char *name;
    const char *signature; /* of L and [: "Ljava/lang/String;"; else NULL */
};

/* A class descriptor; also what a writer is told to write (then only the first six count). */
struct jser_class {
    const char *name;
    int64_t uid;   /* serialVersionUID */
    uint8_t flags; /* enum jser_class_flags */
    uint16_t n_fields;
    const struct jser_field_desc *fields; /* primitives first, each group sorted by name */
    const struct jser_class *super;
    const char *const *interfaces; /* of a dynamic proxy class, whose name is "" */
    uint32_t n_interfaces;
    unsigned level; /* number of classes above it */
    bool complete;  /* read to its end */
};

enum jser_kind {
    JSER_NULL,
    JSER_STRING,
    JSER_OBJECT,
    JSER_ARRAY,
    JSER_ENUM,
    JSER_CLASS,      /* a java.lang.Class */
    JSER_CLASS_DESC, /* a java.io.ObjectStreamClass */
    JSER_INTEGER,    /* a field of type B C I J S Z */
    JSER_REAL,       /* a field of type D F */
    JSER_BLOCK,      /* block data */
};

struct jser_value;

struct jser_items {
    const struct jser_value **at;
    size_t n;
};

/* What one class of an object's ancestry wrote. */
struct jser_part {
    const struct jser_class *class;
    const struct jser_value *const *fields; /* class->n_fields */
    struct jser_items annotation;           /* values and block data that the class wrote itself */
};

struct jser_value {
    enum jser_kind kind;
    const struct jser_class *class; /* of objects, arrays, enums, classes and descriptors */
    union {
        struct {
            const char *text; /* UTF-8, NUL-terminated; may hold NULs; lone surrogates are U+FFFD */
            size_t len;
        } string;
        struct {
            struct jser_part *parts; /* the topmost ancestor first */
            size_t n_parts;
        } object;
        struct {
            struct jser_items items; /* element type L or [ */
            const uint8_t *raw;      /* else: `count` big-endian elements */
            uint32_t count;
        } array;
        struct {
            const uint8_t *bytes;
            size_t len;
        } block;
        const char *constant; /* of an enum: its name */
        int64_t integer;
        double real;
    } u;
};

struct jser_limits {
    size_t bytes;     /* of the whole stream */
    size_t memory;    /* for all its values */
    unsigned depth;   /* of values inside values, and of class hierarchies */
    unsigned handles; /* things that may be referred to */
};

enum jser_result {
    JSER_ITEM,   /* a value or block data came */
    JSER_MORE,   /* feed more bytes */
    JSER_BROKEN, /* not such a stream, or a limit is passed; it stays so */
};

struct jser_reader; /* opaque */

struct jser_reader *jser_reader_new(const struct jser_limits *limits); /* NULL when memory is short */
void jser_reader_free(struct jser_reader *r);
/* Takes a copy. ERR_TOO_LARGE (the bytes limit) or ERR_NOMEM. */
enum err_code jser_reader_feed(struct jser_reader *r, const void *bytes, size_t n, struct err *err);
/* The next top-level item, which may be null or block data. err is set with JSER_BROKEN only. */
enum jser_result jser_reader_next(struct jser_reader *r, const struct jser_value **ret, struct err *err);
/* True when every byte fed so far belongs to items already given. */
bool jser_reader_at_end(const struct jser_reader *r);

/* The field of that name, of the class itself before its ancestors; NULL when there is none. */
const struct jser_value *jser_field(const struct jser_value *object, const char *name);
/* The same for fields that must be strings; NULL when absent, null or something else. */
const char *jser_field_text(const struct jser_value *object, const char *name);
/* Element i (< count) of an array of B C I J S Z; and of D F. */
int64_t jser_array_integer(const struct jser_value *array, uint32_t i);
double jser_array_real(const struct jser_value *array, uint32_t i);

struct jser_written; /* opaque: one thing that later ones may refer to */

struct jser_writer {
    struct buf *to;
    struct jser_written *written;
    size_t n_written, cap_written;
    uint32_t *index; /* of strings and classes by their hashes: place in `written` + 1, 0: free */
    bool no_memory;
};

/* Starts a stream: its header goes to `to`. */
void jser_writer_init(struct jser_writer *w, struct buf *to);
void jser_writer_clear(struct jser_writer *w);
/* ERR_OK, or what went wrong on the way. */
enum err_code jser_writer_check(const struct jser_writer *w, struct err *err);

void jser_write_null(struct jser_writer *w);
void jser_write_string(struct jser_writer *w, const char *text, size_t len); /* UTF-8 */
/* Each of these three begins a value and returns its number for jser_write_reference(). The caller
 * then writes field values or elements; primitives raw with jser_write_integer() and _real(). */
uint32_t jser_write_object(struct jser_writer *w, const struct jser_class *class);
uint32_t jser_write_array(struct jser_writer *w, const struct jser_class *class, uint32_t count);
uint32_t jser_write_enum(struct jser_writer *w, const struct jser_class *class, const char *constant);
uint32_t jser_write_class(struct jser_writer *w, const struct jser_class *class);
void jser_write_reference(struct jser_writer *w, uint32_t number);
void jser_write_integer(struct jser_writer *w, char type, int64_t n);
void jser_write_real(struct jser_writer *w, char type, double d);
/* The annotation of a class with JSER_WRITE_METHOD: blocks and values, then the end. */
void jser_write_block(struct jser_writer *w, const void *bytes, size_t n);
void jser_write_end(struct jser_writer *w);

#endif
