#include "spark/jser.h"

#include "base/mem.h"
#include "spark/jser_internal.h"

#include <assert.h>
#include <string.h>

/* Something with a handle. Its number is its place in the table. */
struct jser_written {
    enum { WRITTEN_CLASS, WRITTEN_STRING, WRITTEN_OTHER } kind;
    const char *name; /* of a class: its own, which outlives the writer */
    char *text;       /* of a string: a copy */
    size_t len;
    uint32_t hash; /* spares most comparisons */
};

void jser_writer_init(struct jser_writer *w, struct buf *to)
{
    *w = (struct jser_writer){.to = to};
    buf_add(to, (const uint8_t[]){JSER_MAGIC >> 8, JSER_MAGIC & 0xff, 0, JSER_VERSION}, 4);
}

void jser_writer_clear(struct jser_writer *w)
{
    for (size_t i = 0; i < w->n_written; i++)
        mem_free(w->written[i].text);
    mem_free(w->written);
    mem_free(w->index);
    *w = (struct jser_writer){0};
}

enum err_code jser_writer_check(const struct jser_writer *w, struct err *err)
{
    if (w->no_memory)
        return err_set(err, ERR_NOMEM, "out of memory");
    return buf_check(w->to, err);
}

static void put(struct jser_writer *w, uint64_t n, size_t bytes)
{
    uint8_t out[8];
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(n >> 8 * (bytes - 1 - i));
    buf_add(w->to, out, bytes);
}

/* --- handles ------------------------------------------------------------------------------------ */

static uint32_t hash_of(const char *s, size_t n)
{
    uint32_t h = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 16777619U;
    return h;
}

/* Twice as many places as there may be things: some are always free. */
static size_t index_size(const struct jser_writer *w)
{
    return 2 * w->cap_written;
}

static void add_to_index(struct jser_writer *w, size_t number)
{
    if (w->written[number].kind == WRITTEN_OTHER)
        return;
    size_t i = w->written[number].hash % index_size(w);
    while (w->index[i] != 0)
        i = (i + 1) % index_size(w);
    w->index[i] = (uint32_t)number + 1;
}

static bool grow(struct jser_writer *w)
{
    size_t cap = w->cap_written == 0 ? 16 : w->cap_written * 2;
    struct jser_written *written = mem_realloc(w->written, cap * sizeof *written);
    if (written == NULL)
        return false;
    w->written = written;
    uint32_t *index = mem_calloc(2 * cap, sizeof *index);
    if (index == NULL)
        return false;
    mem_free(w->index);
    w->index = index;
    w->cap_written = cap;
    for (size_t i = 0; i < w->n_written; i++)
        add_to_index(w, i);
    return true;
}

static uint32_t remember(struct jser_writer *w, struct jser_written what)
{
    if (w->n_written == w->cap_written && !grow(w)) {
        w->no_memory = true;
        mem_free(what.text);
        return 0;
    }
    w->written[w->n_written] = what;
    add_to_index(w, w->n_written);
    return (uint32_t)w->n_written++;
}

static uint32_t remember_other(struct jser_writer *w)
{
    return remember(w, (struct jser_written){.kind = WRITTEN_OTHER});
}

static bool is_same(const struct jser_written *a, int kind, const char *text, size_t len)
{
    if ((int)a->kind != kind)
        return false;
    const char *have = kind == WRITTEN_CLASS ? a->name : a->text;
    return a->len == len && memcmp(have, text, len) == 0;
}

static bool find(const struct jser_writer *w, int kind, const char *text, size_t len, uint32_t *ret)
{
    if (w->index == NULL)
        return false;
    uint32_t hash = hash_of(text, len);
    for (size_t i = hash % index_size(w); w->index[i] != 0; i = (i + 1) % index_size(w)) {
        const struct jser_written *a = &w->written[w->index[i] - 1];
        if (a->hash != hash || !is_same(a, kind, text, len))
            continue;
        *ret = w->index[i] - 1;
        return true;
    }
    return false;
}

void jser_write_reference(struct jser_writer *w, uint32_t number)
{
    put(w, TC_REFERENCE, 1);
    put(w, JSER_BASE_HANDLE + number, 4);
}

/* --- text --------------------------------------------------------------------------------------- */

/* The character at s and its length; what is not UTF-8 counts as U+FFFD, byte by byte. */
static size_t utf8_char(const uint8_t *s, size_t n, uint32_t *ret)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    *ret = 0xfffd;
    if (s[0] >= 0xf8 || (s[0] & 0xc0) == 0x80 || len > n)
        return 1;
    uint32_t c = len == 1 ? s[0] : s[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 1;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < lowest[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 1;
    *ret = c;
    return len;
}

/* One UTF-16 unit in modified UTF-8, where NUL takes two bytes. */
static void put_unit(struct buf *to, uint32_t u)
{
    if (u != 0 && u < 0x80)
        buf_char(to, (char)u);
    else if (u < 0x800)
        buf_add(to, (const uint8_t[]){(uint8_t)(0xc0 | u >> 6), (uint8_t)(0x80 | (u & 0x3f))}, 2);
    else
        buf_add(to,
                (const uint8_t[]){(uint8_t)(0xe0 | u >> 12), (uint8_t)(0x80 | (u >> 6 & 0x3f)),
                                  (uint8_t)(0x80 | (u & 0x3f))},
                3);
}

static void put_text(struct buf *to, const char *text, size_t len)
{
    const uint8_t *s = (const uint8_t *)text;
    for (size_t i = 0; i < len;) {
        uint32_t c = 0;
        i += utf8_char(s + i, len - i, &c);
        if (c >= 0x10000) {
            put_unit(to, 0xd800 + ((c - 0x10000) >> 10));
            put_unit(to, 0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            put_unit(to, c);
        }
    }
}

/* Length and text; the length is filled in once it is known. Names are ours and never that long. */
static void put_name(struct jser_writer *w, const char *name)
{
    size_t at = w->to->len;
    put(w, 0, 2);
    put_text(w->to, name, strlen(name));
    if (w->to->failed != ERR_OK)
        return;
    size_t n = w->to->len - at - 2;
    assert(n <= UINT16_MAX);
    w->to->data[at] = (char)(n >> 8);
    w->to->data[at + 1] = (char)n;
}

void jser_write_string(struct jser_writer *w, const char *text, size_t len)
{
    uint32_t number = 0;
    if (find(w, WRITTEN_STRING, text, len, &number)) {
        jser_write_reference(w, number);
        return;
    }
    cleanup(buf_clear) struct buf out = BUF(w->to->limit);
    put_text(&out, text, len);
    char *copy = mem_strndup(text, len);
    if (copy == NULL || out.failed == ERR_NOMEM)
        w->no_memory = true;
    bool is_long = out.len > UINT16_MAX;
    put(w, is_long ? TC_LONGSTRING : TC_STRING, 1);
    put(w, out.len, is_long ? 8 : 2);
    buf_add(w->to, buf_cstr(&out), out.len);
    if (out.failed != ERR_OK)
        w->to->failed = out.failed;
    if (copy != NULL)
        (void)remember(w, (struct jser_written){
                              .kind = WRITTEN_STRING, .text = copy, .len = len, .hash = hash_of(copy, len)});
}

/* --- descriptors and values --------------------------------------------------------------------- */

static void write_class_desc(struct jser_writer *w, const struct jser_class *c)
{
    uint32_t number = 0;
    if (c == NULL) {
        jser_write_null(w);
        return;
    }
    if (find(w, WRITTEN_CLASS, c->name, strlen(c->name), &number)) {
        jser_write_reference(w, number);
        return;
    }
    put(w, TC_CLASSDESC, 1);
    put_name(w, c->name);
    put(w, (uint64_t)c->uid, 8);
    size_t len = strlen(c->name);
    (void)remember(w, (struct jser_written){
                          .kind = WRITTEN_CLASS, .name = c->name, .len = len, .hash = hash_of(c->name, len)});
    put(w, c->flags, 1);
    put(w, c->n_fields, 2);
    for (unsigned i = 0; i < c->n_fields; i++) {
        const struct jser_field_desc *f = &c->fields[i];
        put(w, (uint8_t)f->type, 1);
        put_name(w, f->name);
        if (f->signature != NULL)
            jser_write_string(w, f->signature, strlen(f->signature));
    }
    jser_write_end(w); /* no annotation */
    write_class_desc(w, c->super);
}

void jser_write_null(struct jser_writer *w)
{
    put(w, TC_NULL, 1);
}

uint32_t jser_write_object(struct jser_writer *w, const struct jser_class *class)
{
    put(w, TC_OBJECT, 1);
    write_class_desc(w, class);
    return remember_other(w);
}

uint32_t jser_write_array(struct jser_writer *w, const struct jser_class *class, uint32_t count)
{
    put(w, TC_ARRAY, 1);
    write_class_desc(w, class);
    uint32_t number = remember_other(w);
    put(w, count, 4);
    return number;
}

uint32_t jser_write_enum(struct jser_writer *w, const struct jser_class *class, const char *constant)
{
    put(w, TC_ENUM, 1);
    write_class_desc(w, class);
    uint32_t number = remember_other(w);
    jser_write_string(w, constant, strlen(constant));
    return number;
}

uint32_t jser_write_class(struct jser_writer *w, const struct jser_class *class)
{
    put(w, TC_CLASS, 1);
    write_class_desc(w, class);
    return remember_other(w);
}

void jser_write_integer(struct jser_writer *w, char type, int64_t n)
{
    put(w, (uint64_t)n, jser_primitive_size(type));
}

void jser_write_real(struct jser_writer *w, char type, double d)
{
    uint64_t bits = 0;
    if (type == 'D') {
        memcpy(&bits, &d, sizeof bits);
    } else {
        float f = (float)d;
        uint32_t bits32;
        memcpy(&bits32, &f, sizeof bits32);
        bits = bits32;
    }
    put(w, bits, jser_primitive_size(type));
}

void jser_write_block(struct jser_writer *w, const void *bytes, size_t n)
{
    bool is_long = n > UINT8_MAX;
    put(w, is_long ? TC_BLOCKDATALONG : TC_BLOCKDATA, 1);
    put(w, n, is_long ? 4 : 1);
    buf_add(w->to, bytes, n);
}

void jser_write_end(struct jser_writer *w)
{
    put(w, TC_ENDBLOCKDATA, 1);
}
