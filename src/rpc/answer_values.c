/* Any value of a Java stream as JSON: what all kinds of values have in common. */
#include "base/buf.h"
#include "base/mem.h"
#include "rpc/answer_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_COST = 256, LEVEL_COST = 16 }; /* bytes, about; an empty JSON object takes 240 */

/* --- making JSON -------------------------------------------------------------------------------- */

json_t *walk_fail(struct walk *w, enum err_code code, const char *fmt, ...)
{
    if (w->failure != ERR_OK)
        return NULL;
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->failure = err_set(w->err, code, "%s", text);
    return NULL;
}

bool walk_pay(struct walk *w, size_t n)
{
    if (w->room < VALUE_COST || n > w->room - VALUE_COST) {
        (void)walk_fail(w, ERR_TOO_LARGE, "its values take more than %d bytes", ANSWER_VALUES_MAX);
        return false;
    }
    w->room -= VALUE_COST + n;
    return true;
}

bool walk_pay_search(struct walk *w, const struct jser_value *v)
{
    size_t n = 0;
    if (v->kind != JSER_OBJECT)
        return true;
    for (size_t i = 0; i < v->u.object.n_parts; i++)
        n += v->u.object.parts[i].class->n_fields + v->u.object.parts[i].annotation.n;
    return walk_pay(w, n + (size_t)v->class->level * LEVEL_COST);
}

json_t *walk_made(struct walk *w, json_t *value)
{
    return value != NULL ? value : walk_fail(w, ERR_NOMEM, "out of memory");
}

json_t *walk_text(struct walk *w, const char *s, size_t n)
{
    return walk_pay(w, n) ? walk_made(w, json_stringn_nocheck(s, n)) : NULL;
}

json_t *walk_null(struct walk *w)
{
    return walk_pay(w, 0) ? json_null() : NULL;
}

json_t *walk_boolean(struct walk *w, bool b)
{
    return walk_pay(w, 0) ? json_boolean(b) : NULL;
}

json_t *walk_integer(struct walk *w, int64_t n)
{
    return walk_pay(w, 0) ? walk_made(w, json_integer(n)) : NULL;
}

/* JSON has no word for what is no number. */
json_t *walk_real(struct walk *w, double d)
{
    if (isfinite(d))
        return walk_pay(w, 0) ? walk_made(w, json_real(d)) : NULL;
    const char *word = isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity";
    return walk_text(w, word, strlen(word));
}

json_t *walk_array(struct walk *w)
{
    return walk_pay(w, 0) ? walk_made(w, json_array()) : NULL;
}

json_t *walk_object(struct walk *w)
{
    return walk_pay(w, 0) ? walk_made(w, json_object()) : NULL;
}

void walk_append(struct walk *w, json_t *array, json_t *item)
{
    if (item != NULL && json_array_append_new(array, item) != 0)
        (void)walk_fail(w, ERR_NOMEM, "out of memory");
}

void walk_set_n(struct walk *w, json_t *object, const char *key, size_t n, json_t *value)
{
    if (value == NULL)
        return;
    if (!walk_pay(w, n))
        json_decref(value);
    else if (json_object_setn_new_nocheck(object, key, n, value) != 0)
        (void)walk_fail(w, ERR_NOMEM, "out of memory");
}

void walk_set(struct walk *w, json_t *object, const char *key, json_t *value)
{
    walk_set_n(w, object, key, strlen(key), value);
}

json_t *walk_finished(struct walk *w, json_t *container)
{
    if (w->failure == ERR_OK)
        return container;
    json_decref(container);
    return NULL;
}

/* --- looking at values -------------------------------------------------------------------------- */

const char *answer_last_name(const char *class)
{
    const char *dot = strrchr(class, '.');
    return dot != NULL && dot[1] != '\0' ? dot + 1 : class;
}

bool answer_is_object(const struct jser_value *v, const char *class)
{
    return v != NULL && v->kind == JSER_OBJECT && strcmp(v->class->name, class) == 0;
}

bool answer_is_a(const struct jser_value *v, const char *class)
{
    if (v->kind != JSER_OBJECT)
        return false;
    for (const struct jser_class *c = v->class; c != NULL; c = c->super)
        if (strcmp(c->name, class) == 0)
            return true;
    return false;
}

struct jser_items answer_annotation(const struct jser_value *v)
{
    size_t n = v->u.object.n_parts;
    return n > 0 ? v->u.object.parts[n - 1].annotation : (struct jser_items){0};
}

const struct jser_class *answer_module(const struct jser_value *v)
{
    if (!answer_is_object(v, "scala.runtime.ModuleSerializationProxy"))
        return NULL;
    const struct jser_value *class = jser_field(v, "moduleClass");
    return class != NULL && class->kind == JSER_CLASS ? class->class : NULL;
}

/* --- which is which ----------------------------------------------------------------------------- */

static const struct answer_row *find_row(const struct answer_rows *rows, const char *class, bool is_heir)
{
    for (size_t i = 0; i < rows->n; i++)
        if ((!is_heir || rows->at[i].with_heirs) && strcmp(rows->at[i].class, class) == 0)
            return &rows->at[i];
    return NULL;
}

static read_as *look_up(const struct jser_class *class)
{
    static const struct answer_rows *const tables[] = {&answer_java_rows, &answer_scala_rows,
                                                       &answer_spark_rows};
    for (const struct jser_class *c = class; c != NULL; c = c->super) {
        for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
            const struct answer_row *row = find_row(tables[i], c->name, c != class);
            if (row != NULL)
                return row->read;
        }
    }
    return answer_plain;
}

read_as *walk_how_to_read(struct walk *w, const struct jser_class *class)
{
    size_t i = ((uintptr_t) class >> 4) % WALK_KNOWN;
    if (w->known[i].class != class) {
        w->known[i].class = class;
        w->known[i].read = look_up(class);
    }
    return w->known[i].read;
}

/* --- any value ---------------------------------------------------------------------------------- */

static bool is_being_read(const struct walk *w, const struct jser_value *v)
{
    for (unsigned i = w->depth; i > 0; i--)
        if (w->path[i - 1] == v)
            return true;
    return false;
}

static json_t *read_cycle(struct walk *w, const struct jser_value *v)
{
    cleanup(buf_clear) struct buf name = BUF(1 << 17);
    buf_printf(&name, "<cycle %s>", answer_last_name(v->class->name));
    return walk_text(w, buf_cstr(&name), name.len);
}

/* What may have something inside. */
static json_t *read_compound(struct walk *w, const struct jser_value *v)
{
    if (is_being_read(w, v))
        return read_cycle(w, v);
    if (w->depth == ANSWER_LEVELS)
        return walk_fail(w, ERR_TOO_LARGE, "its values are nested deeper than %d levels", ANSWER_LEVELS);
    if (!walk_pay_search(w, v))
        return NULL;
    w->path[w->depth++] = v;
    json_t *value = v->kind == JSER_ARRAY ? answer_array(w, v) : walk_how_to_read(w, v->class)(w, v);
    w->depth--;
    return value;
}

json_t *walk_value(struct walk *w, const struct jser_value *v)
{
    if (w->failure != ERR_OK)
        return NULL;
    switch (v->kind) {
    case JSER_NULL: return walk_null(w);
    case JSER_STRING: return walk_text(w, v->u.string.text, v->u.string.len);
    case JSER_INTEGER: return walk_integer(w, v->u.integer);
    case JSER_REAL: return walk_real(w, v->u.real);
    case JSER_ENUM: return walk_text(w, v->u.constant, strlen(v->u.constant));
    case JSER_CLASS:
    case JSER_CLASS_DESC: return walk_text(w, v->class->name, strlen(v->class->name));
    case JSER_OBJECT:
    case JSER_ARRAY: return read_compound(w, v);
    case JSER_BLOCK: break;
    }
    return walk_fail(w, ERR_INVALID, "block data instead of a value");
}

json_t *walk_field(struct walk *w, const struct jser_value *v, const char *name)
{
    const struct jser_value *field = jser_field(v, name);
    return field != NULL ? walk_value(w, field) : walk_null(w);
}

json_t *answer_to_json(const struct jser_value *v, struct err *err)
{
    struct walk w = {.room = ANSWER_VALUES_MAX, .err = err};
    return walk_value(&w, v);
}
