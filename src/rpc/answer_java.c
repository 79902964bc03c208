/* Java's own values as JSON. */
#include "base/mem.h"
#include "rpc/answer_internal.h"

#include <string.h>

/* A field or an element of a primitive type, or of none. */
static json_t *read_typed(struct walk *w, char type, const struct jser_value *v)
{
    if (v->kind == JSER_INTEGER && type == 'Z')
        return walk_boolean(w, v->u.integer != 0);
    return walk_value(w, v);
}

static json_t *read_hex(struct walk *w, const struct jser_value *v)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = v->u.array.count;
    if (!walk_pay(w, 2 * n))
        return NULL;
    char *hex = mem_alloc(2 * n + 1);
    if (hex == NULL)
        return walk_fail(w, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[v->u.array.raw[i] >> 4];
        hex[2 * i + 1] = digits[v->u.array.raw[i] & 0xf];
    }
    json_t *s = walk_made(w, json_stringn_nocheck(hex, 2 * n));
    mem_free(hex);
    return s;
}

static json_t *read_element(struct walk *w, const struct jser_value *v, uint32_t i)
{
    char type = v->class->name[1];
    if (v->u.array.items.at != NULL)
        return walk_value(w, v->u.array.items.at[i]);
    if (type == 'D' || type == 'F')
        return walk_real(w, jser_array_real(v, i));
    if (type == 'Z')
        return walk_boolean(w, jser_array_integer(v, i) != 0);
    return walk_integer(w, jser_array_integer(v, i));
}

json_t *answer_array(struct walk *w, const struct jser_value *v)
{
    if (v->class->name[1] == 'B')
        return read_hex(w, v);
    json_t *a = walk_array(w);
    for (uint32_t i = 0; i < v->u.array.count && w->failure == ERR_OK; i++)
        walk_append(w, a, read_element(w, v, i));
    return walk_finished(w, a);
}

json_t *answer_plain(struct walk *w, const struct jser_value *v)
{
    json_t *o = walk_object(w);
    for (size_t p = 0; p < v->u.object.n_parts; p++) {
        const struct jser_part *part = &v->u.object.parts[p];
        for (unsigned i = 0; part->fields != NULL && i < part->class->n_fields; i++) {
            const struct jser_field_desc *f = &part->class->fields[i];
            if (w->failure == ERR_OK && strcmp(f->name, "$outer") != 0)
                walk_set(w, o, f->name, read_typed(w, f->type, part->fields[i]));
        }
    }
    if (w->failure == ERR_OK) {
        const char *name = answer_last_name(v->class->name);
        walk_set(w, o, "class", walk_text(w, name, strlen(name)));
    }
    return walk_finished(w, o);
}

static json_t *read_boolean(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *value = jser_field(v, "value");
    return value != NULL ? read_typed(w, 'Z', value) : walk_null(w);
}

static json_t *read_boxed(struct walk *w, const struct jser_value *v)
{
    return walk_field(w, v, "value");
}

static json_t *read_uri(struct walk *w, const struct jser_value *v)
{
    return walk_field(w, v, "string");
}

static json_t *read_date(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = answer_annotation(v);
    if (items.n == 0 || items.at[0]->kind != JSER_BLOCK || items.at[0]->u.block.len < 8)
        return walk_fail(w, ERR_INVALID, "a date without its time");
    return walk_integer(w, (int64_t)answer_big_endian(items.at[0]->u.block.bytes, 8));
}

static json_t *read_throwable(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *cause = jser_field(v, "cause");
    json_t *o = walk_object(w);
    if (o == NULL)
        return NULL;
    walk_set(w, o, "exception", walk_text(w, v->class->name, strlen(v->class->name)));
    walk_set(w, o, "message", walk_field(w, v, "detailMessage"));
    /* One without a cause is its own. */
    walk_set(w, o, "cause", cause != NULL && cause != v ? walk_value(w, cause) : walk_null(w));
    return walk_finished(w, o);
}

/* --- which is which ----------------------------------------------------------------------------- */

static const struct answer_row rows[] = {
    {"java.lang.Boolean", read_boolean, false}, {"java.lang.Number", read_boxed, true},
    {"java.lang.Character", read_boxed, false}, {"java.util.Date", read_date, false},
    {"java.net.URI", read_uri, false},          {"java.lang.Throwable", read_throwable, true},
};

const struct answer_rows answer_java_rows = {rows, sizeof rows / sizeof rows[0]};
