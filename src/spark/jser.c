#include "spark/jser.h"

#include "base/mem.h"
#include "spark/jser_arena.h"
#include "spark/jser_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * One item is read by plain recursion over the bytes that have come. Where they end too early the
 * handle table and the arena go back to where they were before the item, and the item is read again
 * from its start once more bytes are there. A peer that sends single bytes could make that expensive:
 * `work` counts what was read again and has a limit, too.
 */
struct jser_reader {
    struct jser_limits limits;
    struct buf in;
    size_t pos;      /* in `in`; all before it is read */
    size_t received; /* bytes ever fed */
    size_t need;     /* `in` must hold so many before another try makes sense */
    size_t work;     /* bytes read, again and again ones included */
    unsigned depth;
    bool started; /* the stream's header was read */
    struct jser_arena arena;
    struct jser_value **handles;
    size_t n_handles, cap_handles;
    size_t first_handle;     /* the one with number 0 */
    enum jser_result result; /* of what is being read: JSER_ITEM as long as all is well */
    struct err why;          /* of JSER_BROKEN */
};

enum { WORK_FACTOR = 32 };

struct jser_reader *jser_reader_new(const struct jser_limits *limits)
{
    struct jser_reader *r = mem_calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->limits = *limits;
    r->arena.limit = limits->memory;
    buf_init(&r->in, limits->bytes);
    return r;
}

void jser_reader_free(struct jser_reader *r)
{
    if (r == NULL)
        return;
    buf_clear(&r->in);
    jser_arena_clear(&r->arena);
    mem_free(r->handles);
    mem_free(r);
}

enum err_code jser_reader_feed(struct jser_reader *r, const void *bytes, size_t n, struct err *err)
{
    if (n > r->limits.bytes - r->received)
        return err_set(err, ERR_TOO_LARGE, "the object stream is larger than %zu bytes", r->limits.bytes);
    buf_add(&r->in, bytes, n);
    if (r->in.failed != ERR_OK)
        return buf_check(&r->in, err);
    r->received += n;
    return ERR_OK;
}

bool jser_reader_at_end(const struct jser_reader *r)
{
    return r->pos == r->in.len;
}

/* --- what goes wrong ---------------------------------------------------------------------------- */

static bool is_well(const struct jser_reader *r)
{
    return r->result == JSER_ITEM;
}

static size_t stream_offset(const struct jser_reader *r)
{
    return r->received - r->in.len + r->pos;
}

__attribute__((format(printf, 3, 4))) static void fail(struct jser_reader *r, enum err_code code,
                                                       const char *fmt, ...)
{
    if (!is_well(r))
        return; /* what came first counts, too early an end included */
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->result = JSER_BROKEN;
    (void)err_set(&r->why, code, "object stream, byte %zu: %s", stream_offset(r), text);
}

/* True when n more bytes are there; else the item waits for them, or is refused when the limit says
 * that they will never come. */
static bool want(struct jser_reader *r, uint64_t n)
{
    if (!is_well(r))
        return false;
    if (n <= r->in.len - r->pos)
        return true;
    if (n > r->limits.bytes - stream_offset(r)) {
        fail(r, ERR_TOO_LARGE, "%" PRIu64 " bytes announced, the limit is %zu in all", n, r->limits.bytes);
    } else {
        r->result = JSER_MORE;
        r->need = r->pos + n;
    }
    return false;
}

static void *allocate(struct jser_reader *r, size_t n)
{
    if (!is_well(r))
        return NULL;
    void *p = jser_arena_alloc(&r->arena, n);
    if (p == NULL)
        fail(r, n > r->arena.limit - r->arena.used ? ERR_TOO_LARGE : ERR_NOMEM,
             "no memory for its values (limit %zu bytes)", r->limits.memory);
    return p;
}

static bool enter(struct jser_reader *r)
{
    if (r->depth >= r->limits.depth)
        fail(r, ERR_TOO_LARGE, "nested deeper than %u levels", r->limits.depth);
    else
        r->depth++;
    return is_well(r);
}

static void leave(struct jser_reader *r)
{
    r->depth--;
}

/* --- bytes, numbers, text ----------------------------------------------------------------------- */

/* The next n bytes, which want() must have seen. */
static const uint8_t *take(struct jser_reader *r, size_t n)
{
    const uint8_t *p = (const uint8_t *)buf_cstr(&r->in) + r->pos;
    r->pos += n;
    return p;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* An unsigned number of n bytes; 0 when it is not there. */
static uint64_t take_number(struct jser_reader *r, size_t n)
{
    return want(r, n) ? big_endian(take(r, n), n) : 0;
}

/* A count or length of four bytes, which may not be negative. */
static uint32_t take_count(struct jser_reader *r)
{
    uint32_t n = (uint32_t)take_number(r, 4);
    if (n > INT32_MAX) {
        fail(r, ERR_INVALID, "negative length");
        return 0;
    }
    return n;
}

/* Sign extension, boolean and char as Java has them. */
static int64_t integer_of(char type, const uint8_t *p)
{
    uint64_t v = big_endian(p, jser_primitive_size(type));
    switch (type) {
    case 'B': return (int8_t)v;
    case 'S': return (int16_t)v;
    case 'I': return (int32_t)v;
    default: return (int64_t)v;
    }
}

static double real_of(char type, const uint8_t *p)
{
    uint64_t v = big_endian(p, jser_primitive_size(type));
    double d;
    float f;
    uint32_t v32 = (uint32_t)v;
    if (type == 'D') {
        memcpy(&d, &v, sizeof d);
        return d;
    }
    memcpy(&f, &v32, sizeof f);
    return (double)f;
}

/* One UTF-16 unit in modified UTF-8: its length, 0 when it is none. */
static size_t utf16_unit(const uint8_t *s, size_t n, unsigned *ret)
{
    if (n >= 1 && s[0] < 0x80) {
        *ret = s[0];
        return 1;
    }
    if (n >= 2 && (s[0] & 0xe0) == 0xc0 && (s[1] & 0xc0) == 0x80) {
        *ret = (unsigned)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
        return 2;
    }
    if (n >= 3 && (s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
        *ret = (unsigned)(s[0] & 0x0f) << 12 | (unsigned)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
        return 3;
    }
    return 0;
}

static size_t put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Most text is nothing else, and as it is in both encodings. */
static size_t ascii_run(const uint8_t *s, size_t n)
{
    size_t i = 0;
    for (uint64_t eight = 0; n - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, s + i, sizeof eight);
        if (eight & 0x8080808080808080)
            break;
    }
    while (i < n && s[i] < 0x80)
        i++;
    return i;
}

/* Modified UTF-8 to UTF-8, which is never longer. False when it is malformed. */
static bool to_utf8(const uint8_t *s, size_t n, char *to, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < n;) {
        unsigned c = 0;
        unsigned low = 0;
        size_t plain = ascii_run(s + i, n - i);
        memcpy(to + len, s + i, plain);
        i += plain;
        len += plain;
        if (i == n)
            break;
        size_t used = utf16_unit(s + i, n - i, &c);
        if (used == 0)
            return false;
        i += used;
        if ((c & 0xfc00) == 0xd800 && utf16_unit(s + i, n - i, &low) == 3 && (low & 0xfc00) == 0xdc00) {
            c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
            i += 3;
        } else if ((c & 0xf800) == 0xd800) {
            c = 0xfffd; /* half a pair is no character */
        }
        len += put_utf8(to + len, c);
    }
    to[len] = '\0';
    *ret_len = len;
    return true;
}

/* Text of n bytes; NULL when it is not there or malformed. */
static const char *take_text(struct jser_reader *r, uint64_t n, size_t *ret_len)
{
    if (!want(r, n))
        return NULL;
    char *text = allocate(r, n + 1);
    if (text == NULL)
        return NULL;
    if (!to_utf8(take(r, n), n, text, ret_len)) {
        fail(r, ERR_INVALID, "malformed text");
        return NULL;
    }
    return text;
}

/* A name as descriptors have them: length and text, no handle. */
static const char *take_name(struct jser_reader *r)
{
    size_t len = 0;
    const char *name = take_text(r, take_number(r, 2), &len);
    if (name != NULL && strlen(name) != len)
        fail(r, ERR_INVALID, "a name with a NUL inside");
    return is_well(r) ? name : NULL;
}

/* --- handles ------------------------------------------------------------------------------------ */

static void add_handle(struct jser_reader *r, struct jser_value *v)
{
    if (!is_well(r))
        return;
    if (r->n_handles >= r->limits.handles) {
        fail(r, ERR_TOO_LARGE, "more than %u handles", r->limits.handles);
        return;
    }
    if (r->n_handles == r->cap_handles) {
        size_t cap = r->cap_handles == 0 ? 32 : r->cap_handles * 2;
        struct jser_value **handles = mem_realloc(r->handles, cap * sizeof(struct jser_value *));
        if (handles == NULL) {
            fail(r, ERR_NOMEM, "out of memory");
            return;
        }
        r->handles = handles;
        r->cap_handles = cap;
    }
    r->handles[r->n_handles++] = v;
}

static struct jser_value *take_reference(struct jser_reader *r)
{
    uint64_t handle = take_number(r, 4);
    if (!is_well(r))
        return NULL;
    if (handle < JSER_BASE_HANDLE || handle - JSER_BASE_HANDLE >= r->n_handles - r->first_handle) {
        fail(r, ERR_INVALID, "reference to handle %#" PRIx64 ", which does not exist", handle);
        return NULL;
    }
    return r->handles[r->first_handle + handle - JSER_BASE_HANDLE];
}

static struct jser_value *new_value(struct jser_reader *r, enum jser_kind kind,
                                    const struct jser_class *class)
{
    struct jser_value *v = allocate(r, sizeof *v);
    if (v == NULL)
        return NULL;
    v->kind = kind;
    v->class = class;
    return v;
}

/* The same, as something that may be referred to. */
static struct jser_value *new_handle(struct jser_reader *r, enum jser_kind kind,
                                     const struct jser_class *class)
{
    struct jser_value *v = new_value(r, kind, class);
    if (v != NULL)
        add_handle(r, v);
    return v;
}

/* --- strings ------------------------------------------------------------------------------------ */

static struct jser_value *read_string(struct jser_reader *r, size_t length_size)
{
    struct jser_value *v = new_handle(r, JSER_STRING, NULL);
    uint64_t n = take_number(r, length_size);
    if (!is_well(r))
        return NULL;
    v->u.string.text = take_text(r, n, &v->u.string.len);
    return is_well(r) ? v : NULL;
}

/* Where only a string, or a reference to one, may stand. */
static const struct jser_value *read_only_string(struct jser_reader *r)
{
    struct jser_value *v = NULL;
    uint64_t code = take_number(r, 1);
    if (!is_well(r))
        return NULL;
    if (code == TC_STRING || code == TC_LONGSTRING)
        return read_string(r, code == TC_STRING ? 2 : 8);
    if (code == TC_REFERENCE)
        v = take_reference(r);
    if (is_well(r) && (v == NULL || v->kind != JSER_STRING)) {
        fail(r, ERR_INVALID, "a string was expected");
        return NULL;
    }
    return v;
}

/* --- class descriptors -------------------------------------------------------------------------- */

static struct jser_value *read_value(struct jser_reader *r);
static void read_annotation(struct jser_reader *r, struct jser_items *items);
static const struct jser_class *read_class(struct jser_reader *r);

static void read_field_desc(struct jser_reader *r, struct jser_field_desc *f)
{
    f->type = (char)take_number(r, 1);
    f->name = take_name(r);
    if (!is_well(r))
        return;
    if (f->type == 'L' || f->type == '[') {
        const struct jser_value *signature = read_only_string(r);
        f->signature = signature != NULL ? signature->u.string.text : NULL;
    } else if (jser_primitive_size(f->type) == 0) {
        fail(r, ERR_INVALID, "field %.80s has the unknown type %#x", f->name, (unsigned)f->type & 0xff);
    }
}

/* What ends every descriptor: an annotation, which nobody needs, and the super class. */
static void finish_class(struct jser_reader *r, struct jser_class *c)
{
    struct jser_items ignored = {0};
    read_annotation(r, &ignored);
    c->super = read_class(r);
    if (!is_well(r))
        return;
    c->level = c->super != NULL ? c->super->level + 1 : 0;
    if (c->level >= r->limits.depth)
        fail(r, ERR_TOO_LARGE, "class %.80s has more than %u ancestors", c->name, r->limits.depth);
    c->complete = true;
}

static struct jser_class *new_class(struct jser_reader *r)
{
    struct jser_class *c = allocate(r, sizeof *c);
    struct jser_value *v = new_handle(r, JSER_CLASS_DESC, c);
    return v != NULL && is_well(r) ? c : NULL;
}

static const struct jser_class *read_plain_class(struct jser_reader *r)
{
    const char *name = take_name(r);
    int64_t uid = (int64_t)take_number(r, 8);
    struct jser_class *c = is_well(r) ? new_class(r) : NULL;
    if (c == NULL)
        return NULL;
    c->name = name;
    c->uid = uid;
    c->flags = (uint8_t)take_number(r, 1);
    c->n_fields = (uint16_t)take_number(r, 2);
    if (!want(r, (uint64_t)c->n_fields * 3)) /* type and length of the name: at least */
        return NULL;
    struct jser_field_desc *fields = allocate(r, c->n_fields * sizeof *fields);
    c->fields = fields;
    for (unsigned i = 0; i < c->n_fields && is_well(r); i++)
        read_field_desc(r, &fields[i]);
    if (is_well(r))
        finish_class(r, c);
    return is_well(r) ? c : NULL;
}

static const struct jser_class *read_proxy_class(struct jser_reader *r)
{
    struct jser_class *c = new_class(r);
    uint32_t n = take_count(r);
    if (c == NULL || !want(r, (uint64_t)n * 2)) /* a length for each name: at least */
        return NULL;
    const char **interfaces = allocate(r, n * sizeof(const char *));
    for (uint32_t i = 0; i < n && is_well(r); i++)
        interfaces[i] = take_name(r);
    c->name = "";
    c->flags = JSER_SERIALIZABLE;
    c->interfaces = interfaces;
    c->n_interfaces = n;
    if (is_well(r))
        finish_class(r, c);
    return is_well(r) ? c : NULL;
}

static const struct jser_class *referred_class(struct jser_reader *r)
{
    const struct jser_value *v = take_reference(r);
    if (v == NULL)
        return NULL;
    if (v->kind != JSER_CLASS_DESC) {
        fail(r, ERR_INVALID, "a class descriptor was expected");
    } else if (!v->class->complete) {
        fail(r, ERR_INVALID, "class %.80s is used inside its own descriptor", v->class->name);
    }
    return is_well(r) ? v->class : NULL;
}

/* A descriptor in any of its forms, NULL for null (and when it is not there). */
static const struct jser_class *read_class(struct jser_reader *r)
{
    uint64_t code = take_number(r, 1);
    if (!is_well(r) || code == TC_NULL)
        return NULL;
    if (code == TC_REFERENCE)
        return referred_class(r);
    if (code != TC_CLASSDESC && code != TC_PROXYCLASSDESC) {
        fail(r, ERR_INVALID, "a class descriptor was expected, not code %#" PRIx64, code);
        return NULL;
    }
    if (!enter(r))
        return NULL;
    const struct jser_class *c = code == TC_CLASSDESC ? read_plain_class(r) : read_proxy_class(r);
    leave(r);
    return c;
}

/* The same where null may not stand. */
static const struct jser_class *read_some_class(struct jser_reader *r)
{
    const struct jser_class *c = read_class(r);
    if (c == NULL)
        fail(r, ERR_INVALID, "a class descriptor was expected, not null");
    return c;
}

/* --- objects and the rest ----------------------------------------------------------------------- */

static const struct jser_value *read_field(struct jser_reader *r, char type)
{
    size_t size = jser_primitive_size(type);
    if (size == 0)
        return read_value(r);
    struct jser_value *v = new_value(r, JSER_INTEGER, NULL);
    if (v == NULL || !want(r, size))
        return NULL;
    const uint8_t *p = take(r, size);
    if (type == 'D' || type == 'F') {
        v->kind = JSER_REAL;
        v->u.real = real_of(type, p);
    } else {
        v->u.integer = integer_of(type, p);
    }
    return v;
}

static void read_fields(struct jser_reader *r, struct jser_part *part)
{
    const struct jser_class *c = part->class;
    if (!want(r, c->n_fields)) /* a byte for each: at least */
        return;
    const struct jser_value **fields = allocate(r, c->n_fields * sizeof(struct jser_value *));
    for (unsigned i = 0; i < c->n_fields && is_well(r); i++)
        fields[i] = read_field(r, c->fields[i].type);
    part->fields = fields;
}

static void read_part(struct jser_reader *r, struct jser_part *part)
{
    uint8_t flags = part->class->flags;
    if ((flags & JSER_SERIALIZABLE) && (flags & JSER_EXTERNALIZABLE)) {
        fail(r, ERR_INVALID, "class %.80s is both serializable and externalizable", part->class->name);
    } else if (flags & JSER_SERIALIZABLE) {
        read_fields(r, part);
        if (flags & JSER_WRITE_METHOD)
            read_annotation(r, &part->annotation);
    } else if (flags & JSER_BLOCK_DATA) {
        read_annotation(r, &part->annotation);
    } else {
        fail(r, ERR_INVALID, "class %.80s wrote itself without block data", part->class->name);
    }
}

static bool has_part(const struct jser_class *c)
{
    return (c->flags & (JSER_SERIALIZABLE | JSER_EXTERNALIZABLE)) != 0;
}

static struct jser_value *read_object(struct jser_reader *r)
{
    const struct jser_class *class = read_some_class(r);
    struct jser_value *v = new_handle(r, JSER_OBJECT, class);
    if (v == NULL)
        return NULL;
    size_t n = 0;
    for (const struct jser_class *c = class; c != NULL; c = c->super)
        n += has_part(c);
    struct jser_part *parts = allocate(r, n * sizeof *parts);
    if (parts == NULL)
        return NULL;
    v->u.object.parts = parts;
    v->u.object.n_parts = n;
    for (const struct jser_class *c = class; c != NULL; c = c->super)
        if (has_part(c))
            parts[--n].class = c;
    for (size_t i = 0; i < v->u.object.n_parts && is_well(r); i++)
        read_part(r, &parts[i]);
    return is_well(r) ? v : NULL;
}

static void read_elements(struct jser_reader *r, struct jser_value *v)
{
    uint32_t n = v->u.array.count;
    if (!want(r, n)) /* a byte for each: at least */
        return;
    struct jser_items *items = &v->u.array.items;
    items->at = allocate(r, n * sizeof(struct jser_value *));
    if (items->at == NULL)
        return;
    items->n = n;
    for (uint32_t i = 0; i < n && is_well(r); i++)
        items->at[i] = read_value(r);
}

static struct jser_value *read_array(struct jser_reader *r)
{
    const struct jser_class *class = read_some_class(r);
    struct jser_value *v = new_handle(r, JSER_ARRAY, class);
    uint32_t count = take_count(r);
    if (!is_well(r))
        return NULL;
    char type = '\0';
    if (class->name[0] == '[')
        type = class->name[1];
    size_t size = jser_primitive_size(type);
    v->u.array.count = count;
    if (type == 'L' || type == '[') {
        read_elements(r, v);
    } else if (size == 0) {
        fail(r, ERR_INVALID, "%.80s is no class of arrays", class->name);
    } else if (want(r, (uint64_t)count * size)) {
        uint8_t *raw = allocate(r, count * size);
        if (raw != NULL)
            memcpy(raw, take(r, count * size), count * size);
        v->u.array.raw = raw;
    }
    return is_well(r) ? v : NULL;
}

static struct jser_value *read_enum(struct jser_reader *r)
{
    const struct jser_class *class = read_some_class(r);
    struct jser_value *v = new_handle(r, JSER_ENUM, class);
    const struct jser_value *constant = read_only_string(r);
    if (constant == NULL || v == NULL)
        return NULL;
    v->u.constant = constant->u.string.text;
    return v;
}

static struct jser_value *read_block(struct jser_reader *r, uint32_t n)
{
    struct jser_value *v = new_value(r, JSER_BLOCK, NULL);
    if (v == NULL || !want(r, n))
        return NULL;
    uint8_t *bytes = allocate(r, n);
    if (bytes == NULL)
        return NULL;
    memcpy(bytes, take(r, n), n);
    v->u.block.bytes = bytes;
    v->u.block.len = n;
    return v;
}

static struct jser_value *class_value(struct jser_reader *r, enum jser_code code)
{
    if (code == TC_CLASS)
        return new_handle(r, JSER_CLASS, read_some_class(r));
    const struct jser_class *c = code == TC_CLASSDESC ? read_plain_class(r) : read_proxy_class(r);
    return new_value(r, JSER_CLASS_DESC, c);
}

/* The peer's writer failed in the middle: what follows is the exception that stopped it, numbered
 * anew. The table keeps what was before, for the next try when the exception is not complete yet. */
static void read_exception(struct jser_reader *r)
{
    r->first_handle = r->n_handles;
    const struct jser_value *v = read_value(r);
    if (v == NULL || v->class == NULL) {
        fail(r, ERR_INVALID, "the peer's writer failed, with something that is no exception");
        return;
    }
    const char *message = jser_field_text(v, "detailMessage");
    fail(r, ERR_INVALID, "the peer's writer failed: %.120s: %.120s", v->class->name,
         message != NULL ? message : "no message");
}

static struct jser_value *read_coded(struct jser_reader *r, unsigned code)
{
    switch (code) {
    case TC_NULL: return new_value(r, JSER_NULL, NULL);
    case TC_REFERENCE: return take_reference(r);
    case TC_CLASS:
    case TC_CLASSDESC:
    case TC_PROXYCLASSDESC: return class_value(r, code);
    case TC_OBJECT: return read_object(r);
    case TC_STRING: return read_string(r, 2);
    case TC_LONGSTRING: return read_string(r, 8);
    case TC_ARRAY: return read_array(r);
    case TC_ENUM: return read_enum(r);
    case TC_EXCEPTION: read_exception(r); return NULL;
    default: fail(r, ERR_INVALID, "a value was expected, not code %#x", code); return NULL;
    }
}

static struct jser_value *read_value(struct jser_reader *r)
{
    unsigned code = (unsigned)take_number(r, 1);
    if (!is_well(r) || !enter(r))
        return NULL;
    struct jser_value *v = read_coded(r, code);
    leave(r);
    return is_well(r) ? v : NULL;
}

/* A value or block data: what annotations and the stream itself consist of. */
static struct jser_value *read_item(struct jser_reader *r)
{
    if (!want(r, 1))
        return NULL;
    uint8_t code = *take(r, 1);
    if (code == TC_BLOCKDATA || code == TC_BLOCKDATALONG) {
        uint32_t n = code == TC_BLOCKDATA ? (uint32_t)take_number(r, 1) : take_count(r);
        return read_block(r, n);
    }
    r->pos--;
    return read_value(r);
}

static bool add_item(struct jser_reader *r, struct jser_items *items, size_t *cap, const struct jser_value *v)
{
    if (items->n == *cap) { /* what is outgrown stays in the arena: at most as much again */
        *cap = *cap == 0 ? 4 : *cap * 2;
        const struct jser_value **at = allocate(r, *cap * sizeof(struct jser_value *));
        if (at == NULL)
            return false;
        if (items->n > 0)
            memcpy(at, items->at, items->n * sizeof(struct jser_value *));
        items->at = at;
    }
    items->at[items->n++] = v;
    return true;
}

static void read_annotation(struct jser_reader *r, struct jser_items *items)
{
    size_t cap = 0;
    while (want(r, 1)) {
        if ((uint8_t)r->in.data[r->pos] == TC_ENDBLOCKDATA) {
            r->pos++;
            return;
        }
        const struct jser_value *v = read_item(r);
        if (v == NULL || !add_item(r, items, &cap, v))
            return;
    }
}

/* --- the stream --------------------------------------------------------------------------------- */

static void read_header(struct jser_reader *r)
{
    uint64_t header = take_number(r, 4);
    if (!is_well(r))
        return;
    if (header != (((uint64_t)JSER_MAGIC << 16) | JSER_VERSION))
        fail(r, ERR_INVALID, "no Java object stream (it starts with %08" PRIx64 ")", header);
    r->started = true;
}

/* The header and resets, which have an effect of their own and are no items. */
static void read_preamble(struct jser_reader *r)
{
    if (!r->started)
        read_header(r);
    while (is_well(r) && r->pos < r->in.len && (uint8_t)r->in.data[r->pos] == TC_RESET) {
        r->n_handles = 0;
        r->pos++;
    }
}

static const struct jser_value *try_item(struct jser_reader *r)
{
    read_preamble(r);
    buf_drop(&r->in, r->pos);
    r->pos = 0;
    size_t n_handles = r->n_handles;
    struct jser_arena_mark mark = jser_arena_mark(&r->arena);
    const struct jser_value *v = read_item(r);
    r->work += r->pos;
    if (r->result == JSER_MORE) {
        r->pos = 0;
        r->n_handles = n_handles;
        r->first_handle = 0;
        jser_arena_release(&r->arena, mark);
        if (r->work / WORK_FACTOR > r->limits.bytes) {
            r->result = JSER_ITEM;
            fail(r, ERR_TOO_LARGE, "it comes in too many small pieces");
        }
    }
    return v;
}

enum jser_result jser_reader_next(struct jser_reader *r, const struct jser_value **ret, struct err *err)
{
    if (r->result == JSER_MORE && r->in.len >= r->need)
        r->result = JSER_ITEM;
    const struct jser_value *v = is_well(r) ? try_item(r) : NULL;
    if (r->result == JSER_BROKEN)
        (void)err_set(err, r->why.code, "%s", r->why.msg);
    else if (r->result == JSER_ITEM)
        *ret = v;
    return r->result;
}

/* --- looking at values -------------------------------------------------------------------------- */

static const struct jser_value *part_field(const struct jser_part *part, const char *name)
{
    for (unsigned i = 0; part->fields != NULL && i < part->class->n_fields; i++)
        if (strcmp(part->class->fields[i].name, name) == 0)
            return part->fields[i];
    return NULL;
}

const struct jser_value *jser_field(const struct jser_value *object, const char *name)
{
    if (object->kind != JSER_OBJECT)
        return NULL;
    for (size_t i = object->u.object.n_parts; i > 0; i--) {
        const struct jser_value *v = part_field(&object->u.object.parts[i - 1], name);
        if (v != NULL)
            return v;
    }
    return NULL;
}

const char *jser_field_text(const struct jser_value *object, const char *name)
{
    const struct jser_value *v = jser_field(object, name);
    return v != NULL && v->kind == JSER_STRING ? v->u.string.text : NULL;
}

int64_t jser_array_integer(const struct jser_value *array, uint32_t i)
{
    char type = array->class->name[1];
    return integer_of(type, array->u.array.raw + i * jser_primitive_size(type));
}

double jser_array_real(const struct jser_value *array, uint32_t i)
{
    char type = array->class->name[1];
    return real_of(type, array->u.array.raw + i * jser_primitive_size(type));
}
