/* Scala's options, pairs and collections as JSON, of both dialects. */
#include "base/buf.h"
#include "base/mem.h"
#include "rpc/answer_internal.h"

#include <string.h>

#define IMMUTABLE "scala.collection.immutable."
#define MUTABLE "scala.collection.mutable."

/* Of classes that are compiled several times over the fields' names vary in front ("…$Map$Map2$$key1"), and
 * behind ("_1$mcJ$sp"). */
static const struct jser_value *field_like(const struct jser_value *v, const char *name, bool in_front)
{
    size_t n = strlen(name);
    for (size_t p = v->u.object.n_parts; p > 0; p--) {
        const struct jser_part *part = &v->u.object.parts[p - 1];
        for (unsigned i = 0; part->fields != NULL && i < part->class->n_fields; i++) {
            const char *field = part->class->fields[i].name;
            size_t len = strlen(field);
            if (len < n)
                continue;
            if (in_front ? memcmp(field + len - n, name, n) == 0
                         : memcmp(field, name, n) == 0 && (len == n || field[n] == '$'))
                return part->fields[i];
        }
    }
    return NULL;
}

static json_t *read_null(struct walk *w, const struct jser_value *v)
{
    (void)v;
    return walk_null(w);
}

static json_t *read_empty_list(struct walk *w, const struct jser_value *v)
{
    (void)v;
    return walk_array(w);
}

static json_t *read_empty_map(struct walk *w, const struct jser_value *v)
{
    (void)v;
    return walk_object(w);
}

/* The end of a collection of unknown length. */
static bool is_end(const struct jser_value *v)
{
    const struct jser_class *module = answer_module(v);
    return answer_is_object(v, IMMUTABLE "ListSerializeEnd$") ||
           (module != NULL && strcmp(module->name, "scala.collection.generic.SerializeEnd$") == 0);
}

/* The elements among what a collection wrote itself. Counts stand there, too, and are not needed. */
static json_t *read_list(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = answer_annotation(v);
    json_t *a = walk_array(w);
    for (size_t i = 0; i < items.n && w->failure == ERR_OK && !is_end(items.at[i]); i++)
        if (items.at[i]->kind != JSER_BLOCK)
            walk_append(w, a, walk_value(w, items.at[i]));
    return walk_finished(w, a);
}

/* The value stands in the option's only field. */
static json_t *read_some(struct walk *w, const struct jser_value *v)
{
    return walk_field(w, v, "value");
}

static json_t *read_array_field(struct walk *w, const struct jser_value *v)
{
    return walk_field(w, v, "array");
}

static json_t *read_unsafe_array(struct walk *w, const struct jser_value *v)
{
    return walk_field(w, v, "unsafeArray");
}

static json_t *read_underlying(struct walk *w, const struct jser_value *v)
{
    return walk_field(w, v, "underlying");
}

static int add_to_buf(const char *bytes, size_t n, void *arg)
{
    struct buf *to = arg;
    buf_add(to, bytes, n);
    return to->failed == ERR_OK ? 0 : -1;
}

/* A key that is no string is its own JSON text. */
static void set_by_text(struct walk *w, json_t *object, const json_t *key, json_t *value)
{
    cleanup(buf_clear) struct buf name = BUF(ANSWER_VALUES_MAX);
    if (json_dump_callback(key, add_to_buf, &name, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) != 0) {
        json_decref(value);
        enum err_code code = name.failed == ERR_TOO_LARGE ? ERR_TOO_LARGE : ERR_NOMEM;
        (void)walk_fail(w, code, "a key of a map: %s", err_text(code));
        return;
    }
    walk_set_n(w, object, buf_cstr(&name), name.len, value);
}

static void set_pair(struct walk *w, json_t *object, const struct jser_value *key,
                     const struct jser_value *value)
{
    json_t *k = key != NULL ? walk_value(w, key) : walk_fail(w, ERR_INVALID, "a pair without a key");
    json_t *v = NULL;
    if (k != NULL)
        v = value != NULL ? walk_value(w, value) : walk_fail(w, ERR_INVALID, "a key without a value");
    if (v != NULL && json_is_string(k))
        walk_set_n(w, object, json_string_value(k), json_string_length(k), v);
    else if (v != NULL)
        set_by_text(w, object, k, v);
    json_decref(k);
}

/* Scala 2.12: key, value, key, value … */
static json_t *read_map(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = answer_annotation(v);
    const struct jser_value *key = NULL;
    json_t *o = walk_object(w);
    for (size_t i = 0; i < items.n && w->failure == ERR_OK; i++) {
        if (items.at[i]->kind == JSER_BLOCK)
            continue;
        if (key != NULL)
            set_pair(w, o, key, items.at[i]);
        key = key == NULL ? items.at[i] : NULL;
    }
    if (key != NULL && w->failure == ERR_OK)
        (void)walk_fail(w, ERR_INVALID, "a key without a value");
    return walk_finished(w, o);
}

static json_t *read_map_of_pairs(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = answer_annotation(v);
    json_t *o = walk_object(w);
    for (size_t i = 0; i < items.n && w->failure == ERR_OK && !is_end(items.at[i]); i++) {
        const struct jser_value *pair = items.at[i];
        if (pair->kind == JSER_BLOCK)
            continue;
        if (pair->kind == JSER_OBJECT)
            set_pair(w, o, field_like(pair, "_1", false), field_like(pair, "_2", false));
        else
            (void)walk_fail(w, ERR_INVALID, "something in a map that is no pair");
    }
    return walk_finished(w, o);
}

/* Scala 2.13: what builds the collection tells what it is. */
static json_t *read_collection(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *factory = jser_field(v, "factory");
    const struct jser_class *module = answer_module(factory);
    const char *name = "";
    if (module != NULL)
        name = module->name;
    else if (factory != NULL && factory->class != NULL)
        name = factory->class->name;
    return strstr(name, "Map") != NULL ? read_map_of_pairs(w, v) : read_list(w, v);
}

/* Maps of one to four entries have fields for them. */
static json_t *read_small_map(struct walk *w, const struct jser_value *v)
{
    json_t *o = walk_object(w);
    for (int i = 1; i <= 4 && w->failure == ERR_OK; i++) {
        const char key[] = {'k', 'e', 'y', (char)('0' + i), '\0'};
        const char value[] = {'v', 'a', 'l', 'u', 'e', (char)('0' + i), '\0'};
        if (field_like(v, key, true) != NULL)
            set_pair(w, o, field_like(v, key, true), field_like(v, value, true));
    }
    return walk_finished(w, o);
}

static json_t *read_pair(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *first = field_like(v, "_1", false);
    const struct jser_value *second = field_like(v, "_2", false);
    if (first == NULL || second == NULL)
        return walk_fail(w, ERR_INVALID, "a pair without its two values");
    json_t *a = walk_array(w);
    if (a == NULL)
        return NULL;
    walk_append(w, a, walk_value(w, first));
    walk_append(w, a, walk_value(w, second));
    return walk_finished(w, a);
}

/* A case object: only some of them stand for something that JSON has. */
static json_t *read_module(struct walk *w, const struct jser_value *v)
{
    const struct jser_class *module = answer_module(v);
    if (module == NULL)
        return answer_plain(w, v);
    read_as *read = walk_how_to_read(w, module);
    if (read == read_null || read == read_empty_list || read == read_empty_map)
        return read(w, v);
    cleanup(buf_clear) struct buf name = BUF(1 << 17);
    buf_printf(&name, "<module %s>", module->name);
    return walk_text(w, buf_cstr(&name), name.len);
}

/* --- which is which ----------------------------------------------------------------------------- */

static const struct answer_row rows[] = {
    {"scala.None$", read_null, false},
    {"scala.Some", read_some, false},
    {"scala.Tuple2", read_pair, true},
    {"scala.runtime.ModuleSerializationProxy", read_module, false},
    {"scala.collection.generic.DefaultSerializationProxy", read_collection, false},
    {IMMUTABLE "Nil$", read_empty_list, false},
    {IMMUTABLE "List$SerializationProxy", read_list, false},
    {IMMUTABLE "ArraySeq$ofRef", read_unsafe_array, false},
    {MUTABLE "ArraySeq", read_array_field, false},
    {MUTABLE "WrappedArray$ofRef", read_array_field, false},
    {IMMUTABLE "Map$EmptyMap$", read_empty_map, false},
    {IMMUTABLE "Map$Map1", read_small_map, false},
    {IMMUTABLE "Map$Map2", read_small_map, false},
    {IMMUTABLE "Map$Map3", read_small_map, false},
    {IMMUTABLE "Map$Map4", read_small_map, false},
    {IMMUTABLE "Map$WithDefault", read_underlying, false},
    {IMMUTABLE "HashMap$SerializationProxy", read_map, false},
    {MUTABLE "HashMap", read_map, false},
};

const struct answer_rows answer_scala_rows = {rows, sizeof rows / sizeof rows[0]};
