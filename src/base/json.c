#include "base/json.h"

#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Depth of the deepest bracket outside strings; what is malformed is left to the parser. */
static unsigned depth_of(const char *text, size_t len)
{
    unsigned depth = 0;
    unsigned deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > deepest)
                deepest = depth;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

static bool is_blank(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL && text[len - 1] != '\0')
        len--;
    return len == 0;
}

enum err_code json_parse(const char *text, size_t len, unsigned max_depth, json_t **ret, struct err *err)
{
    if (is_blank(text, len))
        return err_set(err, ERR_INVALID, "No content to map due to end-of-input");
    if (depth_of(text, len) > max_depth)
        return err_set(err, ERR_INVALID, "JSON is nested deeper than %u levels", max_depth);
    json_error_t where;
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY, &where);
    if (value == NULL) {
        const char *what = json_error_code(&where) == json_error_premature_end_of_input
                               ? "Unexpected end-of-input"
                               : "Unexpected character";
        return err_set(err, ERR_INVALID, "%s: %s (line %d, column %d)", what, where.text, where.line,
                       where.column);
    }
    *ret = value;
    return ERR_OK;
}

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "something unknown";
}

static void fail(struct json_in *in, const char *name, const char *allowed, const json_t *got)
{
    if (in->code == ERR_OK)
        in->code =
            err_set(in->err, ERR_INVALID, "Cannot deserialize value of type %s: field \"%s\" must be %s",
                    type_name(got), name, allowed);
}

static void fail_memory(struct json_in *in)
{
    if (in->code == ERR_OK)
        in->code = err_set(in->err, ERR_NOMEM, "out of memory");
}

static int append_text(const char *bytes, size_t n, void *arg)
{
    struct buf *text = arg;
    buf_add(text, bytes, n);
    return text->failed == ERR_OK ? 0 : -1;
}

char *json_text(const json_t *value)
{
    cleanup(buf_clear) struct buf text = BUF(SIZE_MAX / 2);
    if (json_dump_callback(value, append_text, &text, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        return NULL;
    return buf_steal(&text);
}

void json_in_open(struct json_in *in, json_t *value, struct err *err)
{
    *in = (struct json_in){.object = value, .err = err, .code = ERR_OK};
    if (!json_is_object(value))
        in->code =
            err_set(err, ERR_INVALID, "Cannot deserialize value of type %s: the body must be a JSON object",
                    type_name(value));
}

json_t *json_in_value(struct json_in *in, const char *name)
{
    if (in->code != ERR_OK)
        return NULL;
    if (in->n_asked < JSON_IN_FIELDS_MAX)
        in->asked[in->n_asked++] = name;
    json_t *v = json_object_get(in->object, name);
    return json_is_null(v) ? NULL : v;
}

/* The text of a scalar as a new string; NULL with *is_scalar telling whether it was one. */
static char *scalar_text(const json_t *v, bool *is_scalar)
{
    *is_scalar = true;
    switch (json_typeof(v)) {
    case JSON_STRING: return mem_strdup(json_string_value(v));
    case JSON_TRUE: return mem_strdup("true");
    case JSON_FALSE: return mem_strdup("false");
    case JSON_INTEGER: return mem_printf("%" PRId64, (int64_t)json_integer_value(v));
    case JSON_REAL: {
        char text[32];
        double d = json_real_value(v);
        for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back the same */
            (void)snprintf(text, sizeof text, "%.*g", digits, d);
            double again = 0;
            if (sscanf(text, "%lf", &again) == 1 && !(again < d) && !(again > d))
                break;
        }
        return mem_printf("%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
    }
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NULL: break;
    }
    *is_scalar = false;
    return NULL;
}

void json_in_str(struct json_in *in, const char *name, char **ret)
{
    json_t *v = json_in_value(in, name);
    if (v == NULL)
        return;
    bool is_scalar = false;
    char *text = scalar_text(v, &is_scalar);
    if (!is_scalar) {
        fail(in, name, "a string", v);
    } else if (text == NULL) {
        fail_memory(in);
    } else {
        mem_free(*ret);
        *ret = text;
    }
}

void json_in_int(struct json_in *in, const char *name, int64_t min, int64_t max, int64_t *ret)
{
    json_t *v = json_in_value(in, name);
    if (v == NULL)
        return;
    int64_t n = 0;
    struct err why;
    bool good = false;
    if (json_is_integer(v)) {
        n = json_integer_value(v);
        good = n >= min && n <= max;
    } else if (json_is_string(v)) {
        const char *s = json_string_value(v);
        good = s[0] >= '0' && s[0] <= '9' && parse_i64(s, min, max, &n, &why) == ERR_OK;
    }
    if (good) {
        *ret = n;
        return;
    }
    char allowed[80];
    (void)snprintf(allowed, sizeof allowed, "a whole number from %" PRId64 " to %" PRId64, min, max);
    fail(in, name, allowed, v);
}

void json_in_bool(struct json_in *in, const char *name, bool *ret)
{
    json_t *v = json_in_value(in, name);
    if (v == NULL)
        return;
    if (json_is_boolean(v))
        *ret = json_is_true(v);
    else
        fail(in, name, "true or false", v);
}

void json_in_list(struct json_in *in, const char *name, struct strlist *ret)
{
    json_t *v = json_in_value(in, name);
    if (v == NULL)
        return;
    if (!json_is_array(v)) {
        fail(in, name, "a list of strings", v);
        return;
    }
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item)
    {
        bool is_scalar = false;
        cleanup(mem_freep) char *text = scalar_text(item, &is_scalar);
        if (!is_scalar) {
            char element[96];
            (void)snprintf(element, sizeof element, "%.60s[%zu]", name, i);
            fail(in, element, "a string", item);
            return;
        }
        if (text == NULL || strlist_add(ret, text) != 0) {
            fail_memory(in);
            return;
        }
    }
}

void json_in_map(struct json_in *in, const char *name, struct strmap *ret)
{
    json_t *v = json_in_value(in, name);
    if (v == NULL)
        return;
    if (!json_is_object(v)) {
        fail(in, name, "an object of strings", v);
        return;
    }
    if (json_object_size(v) > JSON_MAP_MAX) {
        fail(in, name, "an object of at most 10000 strings", v);
        return;
    }
    const char *key;
    json_t *item;
    bool was_empty = ret->n == 0; /* then none comes twice */
    json_object_foreach(v, key, item)
    {
        if (json_is_null(item))
            continue;
        bool is_scalar = false;
        cleanup(mem_freep) char *text = scalar_text(item, &is_scalar);
        if (!is_scalar) {
            char element[200];
            (void)snprintf(element, sizeof element, "%.60s.%.120s", name, key);
            fail(in, element, "a string", item);
            return;
        }
        if (text == NULL || (was_empty ? strmap_add : strmap_set)(ret, key, text) != 0) {
            fail_memory(in);
            return;
        }
    }
}

enum err_code json_in_end(struct json_in *in)
{
    if (in->code != ERR_OK)
        return in->code;
    const char *key;
    json_t *ignored;
    json_object_foreach(in->object, key, ignored)
    {
        bool known = false;
        for (unsigned i = 0; i < in->n_asked && !known; i++)
            known = strcmp(in->asked[i], key) == 0;
        if (known)
            continue;
        cleanup(buf_clear) struct buf names = BUF(400);
        for (unsigned i = 0; i < in->n_asked; i++)
            buf_printf(&names, "%s%s", i > 0 ? ", " : "", in->asked[i]);
        return in->code = err_set(in->err, ERR_INVALID, "Unrecognized field \"%.80s\" (known: %s)", key,
                                  buf_cstr(&names));
    }
    return ERR_OK;
}

void json_out_open(struct json_out *out, struct buf *to)
{
    *out = (struct json_out){.to = to, .comma = false};
}

size_t json_utf8_length(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80)
        return 1;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool too_far = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || too_far ? 0 : len;
}

static void write_text(struct buf *to, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    buf_char(to, '"');
    size_t start = 0; /* of the run that needs no change */
    for (size_t i = 0; i < n;) {
        unsigned char c = s[i];
        size_t len = json_utf8_length(s + i, n - i);
        if (len > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += len;
            continue;
        }
        buf_add(to, text + start, i - start);
        if (len == 0)
            buf_str(to, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\')
            buf_add(to, (char[]){'\\', (char)c}, 2);
        else if (c == '\n')
            buf_str(to, "\\n");
        else if (c == '\t')
            buf_str(to, "\\t");
        else if (c == '\r')
            buf_str(to, "\\r");
        else
            buf_printf(to, "\\u%04x", c);
        start = ++i;
    }
    buf_add(to, text + start, n - start);
    buf_char(to, '"');
}

/* What stands before a value: a comma when something came before, and the key. */
static void lead(struct json_out *out, const char *key)
{
    if (out->comma)
        buf_char(out->to, ',');
    out->comma = true;
    if (key != NULL) {
        write_text(out->to, key, strlen(key));
        buf_char(out->to, ':');
    }
}

static void open_bracket(struct json_out *out, const char *key, char bracket)
{
    lead(out, key);
    buf_char(out->to, bracket);
    out->comma = false;
}

static void close_bracket(struct json_out *out, char bracket)
{
    buf_char(out->to, bracket);
    out->comma = true;
}

void json_out_object(struct json_out *out, const char *key)
{
    open_bracket(out, key, '{');
}

void json_out_end_object(struct json_out *out)
{
    close_bracket(out, '}');
}

void json_out_array(struct json_out *out, const char *key)
{
    open_bracket(out, key, '[');
}

void json_out_end_array(struct json_out *out)
{
    close_bracket(out, ']');
}

void json_out_text(struct json_out *out, const char *key, const char *s, size_t n)
{
    lead(out, key);
    write_text(out->to, s, n);
}

void json_out_str(struct json_out *out, const char *key, const char *s)
{
    if (s == NULL)
        json_out_null(out, key);
    else
        json_out_text(out, key, s, strlen(s));
}

void json_out_int(struct json_out *out, const char *key, int64_t n)
{
    lead(out, key);
    buf_printf(out->to, "%" PRId64, n);
}

void json_out_bool(struct json_out *out, const char *key, bool b)
{
    json_out_raw(out, key, b ? "true" : "false");
}

void json_out_null(struct json_out *out, const char *key)
{
    json_out_raw(out, key, "null");
}

void json_out_raw(struct json_out *out, const char *key, const char *json)
{
    lead(out, key);
    buf_str(out->to, json);
}

void json_out_members(struct json_out *out, const char *object)
{
    const char *start = strchr(object, '{');
    const char *end = strrchr(object, '}');
    if (start == NULL || end == NULL || is_blank(start + 1, (size_t)(end - start - 1)))
        return;
    lead(out, NULL);
    buf_add(out->to, start + 1, (size_t)(end - start - 1));
}

void json_out_list(struct json_out *out, const char *key, const struct strlist *l)
{
    json_out_array(out, key);
    for (size_t i = 0; i < l->n; i++)
        json_out_str(out, NULL, l->items[i]);
    json_out_end_array(out);
}

void json_out_map(struct json_out *out, const char *key, const struct strmap *m)
{
    json_out_object(out, key);
    for (size_t i = 0; i < m->n; i++)
        json_out_str(out, m->items[i].key, m->items[i].value);
    json_out_end_object(out);
}
