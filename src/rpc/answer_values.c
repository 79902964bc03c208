/* Values of a Java stream as JSON: Java's own and those of both Scala versions. */
#include "base/buf.h"
#include "base/mem.h"
#include "rpc/answer_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define IMMUTABLE "scala.collection.immutable."
#define MUTABLE "scala.collection.mutable."

struct walk;
typedef json_t *read_as(struct walk *w, const struct jser_value *v);

enum { KNOWN = 64, VALUE_COST = 64 /* bytes, about */ };

/* Values may refer to each other in circles and be shared many times over: what a few bytes describe may be
 * endless. `path` finds circles, `room` ends the rest. */
struct walk {
    const struct jser_value *path[ANSWER_LEVELS]; /* what is being read, the outermost first */
    unsigned depth;
    size_t room;           /* bytes of JSON that may still be made */
    enum err_code failure; /* of the first one; the rest is skipped then */
    struct err *err;
    struct {
        const struct jser_class *class;
        read_as *read;
    } known[KNOWN]; /* how classes are read, by their addresses: looking them up takes longer */
};

static json_t *read_value(struct walk *w, const struct jser_value *v);
static json_t *read_plain(struct walk *w, const struct jser_value *v);
static read_as *how_to_read(struct walk *w, const struct jser_class *class);

/* --- making JSON -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static json_t *fail(struct walk *w, enum err_code code, const char *fmt,
                                                          ...)
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

/* True when a value with n bytes of text may be made. */
static bool pay(struct walk *w, size_t n)
{
    if (w->room < VALUE_COST || n > w->room - VALUE_COST) {
        (void)fail(w, ERR_TOO_LARGE, "its values take more than %d bytes", ANSWER_VALUES_MAX);
        return false;
    }
    w->room -= VALUE_COST + n;
    return true;
}

/* What jansson gave, or NULL and a failure. */
static json_t *made(struct walk *w, json_t *value)
{
    return value != NULL ? value : fail(w, ERR_NOMEM, "out of memory");
}

/* UTF-8, as the reader of streams makes it. */
static json_t *text(struct walk *w, const char *s, size_t n)
{
    return pay(w, n) ? made(w, json_stringn_nocheck(s, n)) : NULL;
}

static json_t *integer(struct walk *w, int64_t n)
{
    return pay(w, 0) ? made(w, json_integer(n)) : NULL;
}

/* JSON has no word for what is no number. */
static json_t *real(struct walk *w, double d)
{
    if (isfinite(d))
        return pay(w, 0) ? made(w, json_real(d)) : NULL;
    const char *word = isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity";
    return text(w, word, strlen(word));
}

static json_t *new_array(struct walk *w)
{
    return pay(w, 0) ? made(w, json_array()) : NULL;
}

static json_t *new_object(struct walk *w)
{
    return pay(w, 0) ? made(w, json_object()) : NULL;
}

/* Takes the item, which may be NULL after a failure. */
static void append(struct walk *w, json_t *array, json_t *item)
{
    if (item != NULL && json_array_append_new(array, item) != 0)
        (void)fail(w, ERR_NOMEM, "out of memory");
}

static void set_n(struct walk *w, json_t *object, const char *key, size_t n, json_t *value)
{
    if (value == NULL)
        return;
    if (!pay(w, n))
        json_decref(value);
    else if (json_object_setn_new_nocheck(object, key, n, value) != 0)
        (void)fail(w, ERR_NOMEM, "out of memory");
}

static void set(struct walk *w, json_t *object, const char *key, json_t *value)
{
    set_n(w, object, key, strlen(key), value);
}

/* The container, unless something went wrong on the way. */
static json_t *finished(struct walk *w, json_t *container)
{
    if (w->failure == ERR_OK)
        return container;
    json_decref(container);
    return NULL;
}

/* --- looking at values -------------------------------------------------------------------------- */

static const char *last_name(const char *class)
{
    const char *dot = strrchr(class, '.');
    return dot != NULL && dot[1] != '\0' ? dot + 1 : class;
}

static bool is_object(const struct jser_value *v, const char *class)
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

/* What the class itself, not an ancestor, wrote in its own way. */
static struct jser_items annotation_of(const struct jser_value *v)
{
    size_t n = v->u.object.n_parts;
    return n > 0 ? v->u.object.parts[n - 1].annotation : (struct jser_items){0};
}

/* The class that a module proxy of Scala 2.13 stands for, or NULL. */
static const struct jser_class *module_of(const struct jser_value *v)
{
    if (!is_object(v, "scala.runtime.ModuleSerializationProxy"))
        return NULL;
    const struct jser_value *class = jser_field(v, "moduleClass");
    return class != NULL && class->kind == JSER_CLASS ? class->class : NULL;
}

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

/* --- Java's own --------------------------------------------------------------------------------- */

/* A field or an element of a primitive type, or of none. */
static json_t *read_typed(struct walk *w, char type, const struct jser_value *v)
{
    if (v->kind == JSER_INTEGER && type == 'Z')
        return pay(w, 0) ? json_boolean(v->u.integer != 0) : NULL;
    return read_value(w, v);
}

static json_t *read_hex(struct walk *w, const struct jser_value *v)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = v->u.array.count;
    if (!pay(w, 2 * n))
        return NULL;
    char *hex = mem_alloc(2 * n + 1);
    if (hex == NULL)
        return fail(w, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[v->u.array.raw[i] >> 4];
        hex[2 * i + 1] = digits[v->u.array.raw[i] & 0xf];
    }
    json_t *s = made(w, json_stringn_nocheck(hex, 2 * n));
    mem_free(hex);
    return s;
}

static json_t *read_element(struct walk *w, const struct jser_value *v, uint32_t i)
{
    char type = v->class->name[1];
    if (v->u.array.items.at != NULL)
        return read_value(w, v->u.array.items.at[i]);
    if (type == 'D' || type == 'F')
        return real(w, jser_array_real(v, i));
    if (type == 'Z')
        return pay(w, 0) ? json_boolean(jser_array_integer(v, i) != 0) : NULL;
    return integer(w, jser_array_integer(v, i));
}

static json_t *read_array(struct walk *w, const struct jser_value *v)
{
    if (v->class->name[1] == 'B')
        return read_hex(w, v);
    json_t *a = new_array(w);
    for (uint32_t i = 0; i < v->u.array.count && w->failure == ERR_OK; i++)
        append(w, a, read_element(w, v, i));
    return finished(w, a);
}

static json_t *read_plain(struct walk *w, const struct jser_value *v)
{
    json_t *o = new_object(w);
    for (size_t p = 0; p < v->u.object.n_parts; p++) {
        const struct jser_part *part = &v->u.object.parts[p];
        for (unsigned i = 0; part->fields != NULL && i < part->class->n_fields; i++) {
            const struct jser_field_desc *f = &part->class->fields[i];
            if (w->failure == ERR_OK && strcmp(f->name, "$outer") != 0)
                set(w, o, f->name, read_typed(w, f->type, part->fields[i]));
        }
    }
    if (w->failure == ERR_OK) {
        const char *name = last_name(v->class->name);
        set(w, o, "class", text(w, name, strlen(name)));
    }
    return finished(w, o);
}

/* The value of the object's only field of interest; null when it has none. */
static json_t *read_field(struct walk *w, const struct jser_value *v, const char *name)
{
    const struct jser_value *field = jser_field(v, name);
    return field != NULL ? read_value(w, field) : json_null();
}

static json_t *read_boolean(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *value = jser_field(v, "value");
    return value != NULL ? read_typed(w, 'Z', value) : json_null();
}

static json_t *read_boxed(struct walk *w, const struct jser_value *v)
{
    return read_field(w, v, "value"); /* Some(x) looks the same */
}

static json_t *read_uri(struct walk *w, const struct jser_value *v)
{
    return read_field(w, v, "string");
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static json_t *read_date(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = annotation_of(v);
    if (items.n == 0 || items.at[0]->kind != JSER_BLOCK || items.at[0]->u.block.len < 8)
        return fail(w, ERR_INVALID, "a date without its time");
    return integer(w, (int64_t)big_endian(items.at[0]->u.block.bytes, 8));
}

static json_t *read_throwable(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *cause = jser_field(v, "cause");
    json_t *o = new_object(w);
    if (o == NULL)
        return NULL;
    set(w, o, "exception", text(w, v->class->name, strlen(v->class->name)));
    set(w, o, "message", read_field(w, v, "detailMessage"));
    /* One without a cause is its own. */
    set(w, o, "cause", cause != NULL && cause != v ? read_value(w, cause) : json_null());
    return finished(w, o);
}

/* --- Scala's ------------------------------------------------------------------------------------ */

static json_t *read_null(struct walk *w, const struct jser_value *v)
{
    (void)v;
    return pay(w, 0) ? json_null() : NULL;
}

static json_t *read_empty_list(struct walk *w, const struct jser_value *v)
{
    (void)v;
    return new_array(w);
}

static json_t *read_empty_map(struct walk *w, const struct jser_value *v)
{
    (void)v;
    return new_object(w);
}

/* The end of a collection of unknown length. */
static bool is_end(const struct jser_value *v)
{
    const struct jser_class *module = module_of(v);
    return is_object(v, IMMUTABLE "ListSerializeEnd$") ||
           (module != NULL && strcmp(module->name, "scala.collection.generic.SerializeEnd$") == 0);
}

/* The elements among what a collection wrote itself. Counts stand there, too, and are not needed. */
static json_t *read_list(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = annotation_of(v);
    json_t *a = new_array(w);
    for (size_t i = 0; i < items.n && w->failure == ERR_OK && !is_end(items.at[i]); i++)
        if (items.at[i]->kind != JSER_BLOCK)
            append(w, a, read_value(w, items.at[i]));
    return finished(w, a);
}

static json_t *read_array_field(struct walk *w, const struct jser_value *v)
{
    return read_field(w, v, "array");
}

static json_t *read_unsafe_array(struct walk *w, const struct jser_value *v)
{
    return read_field(w, v, "unsafeArray");
}

static json_t *read_underlying(struct walk *w, const struct jser_value *v)
{
    return read_field(w, v, "underlying");
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
        (void)fail(w, code, "a key of a map: %s", err_text(code));
        return;
    }
    set_n(w, object, buf_cstr(&name), name.len, value);
}

static void set_pair(struct walk *w, json_t *object, const struct jser_value *key,
                     const struct jser_value *value)
{
    json_t *k = key != NULL ? read_value(w, key) : fail(w, ERR_INVALID, "a pair without a key");
    json_t *v = NULL;
    if (k != NULL)
        v = value != NULL ? read_value(w, value) : fail(w, ERR_INVALID, "a key without a value");
    if (v != NULL && json_is_string(k))
        set_n(w, object, json_string_value(k), json_string_length(k), v);
    else if (v != NULL)
        set_by_text(w, object, k, v);
    json_decref(k);
}

/* Scala 2.12: key, value, key, value … */
static json_t *read_map(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = annotation_of(v);
    const struct jser_value *key = NULL;
    json_t *o = new_object(w);
    for (size_t i = 0; i < items.n && w->failure == ERR_OK; i++) {
        if (items.at[i]->kind == JSER_BLOCK)
            continue;
        if (key != NULL)
            set_pair(w, o, key, items.at[i]);
        key = key == NULL ? items.at[i] : NULL;
    }
    if (key != NULL && w->failure == ERR_OK)
        (void)fail(w, ERR_INVALID, "a key without a value");
    return finished(w, o);
}

static json_t *read_map_of_pairs(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = annotation_of(v);
    json_t *o = new_object(w);
    for (size_t i = 0; i < items.n && w->failure == ERR_OK && !is_end(items.at[i]); i++) {
        const struct jser_value *pair = items.at[i];
        if (pair->kind == JSER_BLOCK)
            continue;
        if (pair->kind == JSER_OBJECT)
            set_pair(w, o, field_like(pair, "_1", false), field_like(pair, "_2", false));
        else
            (void)fail(w, ERR_INVALID, "something in a map that is no pair");
    }
    return finished(w, o);
}

/* Scala 2.13: what builds the collection tells what it is. */
static json_t *read_collection(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *factory = jser_field(v, "factory");
    const struct jser_class *module = module_of(factory);
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
    json_t *o = new_object(w);
    for (int i = 1; i <= 4 && w->failure == ERR_OK; i++) {
        const char key[] = {'k', 'e', 'y', (char)('0' + i), '\0'};
        const char value[] = {'v', 'a', 'l', 'u', 'e', (char)('0' + i), '\0'};
        if (field_like(v, key, true) != NULL)
            set_pair(w, o, field_like(v, key, true), field_like(v, value, true));
    }
    return finished(w, o);
}

static json_t *read_pair(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *first = field_like(v, "_1", false);
    const struct jser_value *second = field_like(v, "_2", false);
    if (first == NULL || second == NULL)
        return fail(w, ERR_INVALID, "a pair without its two values");
    json_t *a = new_array(w);
    if (a == NULL)
        return NULL;
    append(w, a, read_value(w, first));
    append(w, a, read_value(w, second));
    return finished(w, a);
}

/* A case object: only some of them stand for something that JSON has. */
static json_t *read_module(struct walk *w, const struct jser_value *v)
{
    const struct jser_class *module = module_of(v);
    if (module == NULL)
        return read_plain(w, v);
    read_as *read = how_to_read(w, module);
    if (read == read_null || read == read_empty_list || read == read_empty_map)
        return read(w, v);
    cleanup(buf_clear) struct buf name = BUF(1 << 17);
    buf_printf(&name, "<module %s>", module->name);
    return text(w, buf_cstr(&name), name.len);
}

/* --- Spark's ------------------------------------------------------------------------------------ */

/* Scala 2.13 sends a number and a class only. */
static const struct enumeration {
    const char *class;
    const char *names[8];
} enumerations[] = {
    {"org.apache.spark.deploy.master.DriverState$",
     {"SUBMITTED", "RUNNING", "FINISHED", "RELAUNCHING", "UNKNOWN", "KILLED", "FAILED", "ERROR"}},
    {"org.apache.spark.deploy.master.RecoveryState$",
     {"STANDBY", "ALIVE", "RECOVERING", "COMPLETING_RECOVERY"}},
};

static const char *name_by_number(const char *class, int64_t n)
{
    for (size_t e = 0; e < sizeof enumerations / sizeof enumerations[0]; e++)
        if (strcmp(enumerations[e].class, class) == 0 && n >= 0 && n < 8)
            return enumerations[e].names[n];
    return NULL;
}

/* Scala 2.12 sends the whole enumeration, which has a field for each of its values. */
static const char *name_by_field(const struct jser_value *enumeration, const struct jser_value *v)
{
    for (size_t p = 0; p < enumeration->u.object.n_parts; p++) {
        const struct jser_part *part = &enumeration->u.object.parts[p];
        for (unsigned i = 0; part->fields != NULL && i < part->class->n_fields; i++)
            if (part->fields[i] == v)
                return part->class->fields[i].name;
    }
    return NULL;
}

static json_t *read_enumeration(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *outer = jser_field(v, "$outer");
    const struct jser_value *number = jser_field(v, "i");
    const struct jser_class *module = module_of(outer);
    int64_t n = number != NULL && number->kind == JSER_INTEGER ? number->u.integer : -1;
    const char *name = jser_field_text(v, "name");
    if (name == NULL && module != NULL)
        name = name_by_number(module->name, n);
    else if (name == NULL && outer != NULL && outer->kind == JSER_OBJECT)
        name = name_by_field(outer, v);
    char unknown[32];
    (void)snprintf(unknown, sizeof unknown, "#%" PRId64, n);
    if (name == NULL)
        name = unknown;
    return text(w, name, strlen(name));
}

static json_t *read_endpoint_ref(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *where = jser_field(v, "endpointAddress");
    if (where == NULL || where->kind != JSER_OBJECT)
        return fail(w, ERR_INVALID, "a reference to an endpoint without an address");
    json_t *o = new_object(w);
    if (o == NULL)
        return NULL;
    set(w, o, "name", read_field(w, where, "name"));
    set(w, o, "address", read_field(w, where, "rpcAddress"));
    return finished(w, o);
}

static json_t *read_address(struct walk *w, const struct jser_value *v)
{
    const char *host = jser_field_text(v, "host");
    const struct jser_value *port = jser_field(v, "port");
    if (host == NULL || port == NULL || port->kind != JSER_INTEGER)
        return fail(w, ERR_INVALID, "an address without a host or port");
    char *both = mem_printf("%s:%" PRId64, host, port->u.integer);
    if (both == NULL)
        return fail(w, ERR_NOMEM, "out of memory");
    json_t *s = text(w, both, strlen(both));
    mem_free(both);
    return s;
}

/* Bytes that a class wrote itself. Sticky: with less than is asked for, all is gone. */
struct bytes {
    const uint8_t *at;
    size_t left;
    bool is_short;
};

static const uint8_t *take(struct bytes *b, size_t n)
{
    if (b->is_short || n > b->left) {
        b->is_short = true;
        return NULL;
    }
    b->at += n;
    b->left -= n;
    return b->at - n;
}

static uint64_t take_number(struct bytes *b, size_t n)
{
    const uint8_t *p = take(b, n);
    return p != NULL ? big_endian(p, n) : 0;
}

static void set_text(struct walk *w, json_t *object, const char *key, struct bytes *b)
{
    size_t n = take_number(b, 2);
    const char *s = (const char *)take(b, n);
    json_t *value = s != NULL && pay(w, n) ? json_stringn(s, n) : NULL;
    if (value == NULL) /* or it is no UTF-8: names of hosts are ASCII */
        b->is_short = true;
    set(w, object, key, value);
}

static json_t *read_block_manager(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = annotation_of(v);
    struct bytes b = {0};
    if (items.n > 0 && items.at[0]->kind == JSER_BLOCK)
        b = (struct bytes){items.at[0]->u.block.bytes, items.at[0]->u.block.len, false};
    json_t *o = new_object(w);
    if (o == NULL)
        return NULL;
    set_text(w, o, "executorId", &b);
    set_text(w, o, "host", &b);
    set(w, o, "port", integer(w, (int32_t)take_number(&b, 4)));
    if (take_number(&b, 1) != 0)
        set_text(w, o, "topologyInfo", &b);
    else
        set(w, o, "topologyInfo", json_null());
    set(w, o, "class", text(w, "BlockManagerId", strlen("BlockManagerId")));
    if (b.is_short)
        (void)fail(w, ERR_INVALID, "a BlockManagerId that cannot be read");
    return finished(w, o);
}

/* --- which is which ----------------------------------------------------------------------------- */

static const struct {
    const char *class;
    read_as *read;
    bool with_heirs; /* also classes below it */
} rows[] = {
    {"java.lang.Boolean", read_boolean, false},
    {"java.lang.Number", read_boxed, true},
    {"java.lang.Character", read_boxed, false},
    {"java.util.Date", read_date, false},
    {"java.net.URI", read_uri, false},
    {"java.lang.Throwable", read_throwable, true},
    {"scala.None$", read_null, false},
    {"scala.Some", read_boxed, false},
    {"scala.Tuple2", read_pair, true},
    {"scala.Enumeration$Value", read_enumeration, true},
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
    {"org.apache.spark.rpc.RpcEndpointRef", read_endpoint_ref, true},
    {"org.apache.spark.rpc.RpcAddress", read_address, false},
    {"org.apache.spark.storage.BlockManagerId", read_block_manager, false},
};

static read_as *look_up(const struct jser_class *class)
{
    for (const struct jser_class *c = class; c != NULL; c = c->super)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if ((c == class || rows[i].with_heirs) && strcmp(rows[i].class, c->name) == 0)
                return rows[i].read;
    return read_plain;
}

static read_as *how_to_read(struct walk *w, const struct jser_class *class)
{
    size_t i = ((uintptr_t) class >> 4) % KNOWN;
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
    buf_printf(&name, "<cycle %s>", last_name(v->class->name));
    return text(w, buf_cstr(&name), name.len);
}

/* What may have something inside. */
static json_t *read_compound(struct walk *w, const struct jser_value *v)
{
    if (is_being_read(w, v))
        return read_cycle(w, v);
    if (w->depth == ANSWER_LEVELS)
        return fail(w, ERR_TOO_LARGE, "its values are nested deeper than %d levels", ANSWER_LEVELS);
    w->path[w->depth++] = v;
    json_t *value = v->kind == JSER_ARRAY ? read_array(w, v) : how_to_read(w, v->class)(w, v);
    w->depth--;
    return value;
}

static json_t *read_value(struct walk *w, const struct jser_value *v)
{
    if (w->failure != ERR_OK)
        return NULL;
    switch (v->kind) {
    case JSER_NULL: return read_null(w, v);
    case JSER_STRING: return text(w, v->u.string.text, v->u.string.len);
    case JSER_INTEGER: return integer(w, v->u.integer);
    case JSER_REAL: return real(w, v->u.real);
    case JSER_ENUM: return text(w, v->u.constant, strlen(v->u.constant));
    case JSER_CLASS:
    case JSER_CLASS_DESC: return text(w, v->class->name, strlen(v->class->name));
    case JSER_OBJECT:
    case JSER_ARRAY: return read_compound(w, v);
    case JSER_BLOCK: break;
    }
    return fail(w, ERR_INVALID, "block data instead of a value");
}

json_t *answer_to_json(const struct jser_value *v, struct err *err)
{
    struct walk w = {.room = ANSWER_VALUES_MAX, .err = err};
    return read_value(&w, v);
}
