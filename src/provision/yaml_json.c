/*
 * YAML 1.1 text of one document as JSON, event by event: lists and maps that are open are frames on a stack,
 * and each value that is complete goes into the frame below.
 *
 * What outsiders could blow up has a limit: nesting (also nesting by aliases, for whoever walks through the
 * value, or frees it), the number of values, and with them what aliases and merged maps stand for.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"

#include <string.h>
#include <uthash.h>
#include <yaml.h>

struct anchor {
    char *name;
    json_t *value;
    size_t height;
    UT_hash_handle hh;
};

/* A list or map that is open. */
struct frame {
    json_t *value;
    size_t height;  /* levels below it so far */
    char *anchor;   /* or NULL */
    char *key;      /* of a map: whose value comes next; NULL: a key comes next */
    bool merges;    /* the value that comes next is merged in (<<) */
    json_t *merged; /* list of the maps to merge, or NULL */
};

struct builder {
    yaml_parser_t parser;
    struct frame frames[YAML_DEPTH_MAX];
    size_t depth;
    struct anchor *anchors;
    size_t values;
    size_t repeated; /* bytes of texts that aliases stand for */
    json_t *root;
    size_t line; /* of the present event, from 1 */
    struct err *err;
};

static enum err_code no_memory(struct builder *b)
{
    return err_set(b->err, ERR_NOMEM, "out of memory");
}

static enum err_code invalid(struct builder *b, const char *what)
{
    return err_set(b->err, ERR_INVALID, "line %zu: %s", b->line, what);
}

static enum err_code count_values(struct builder *b, size_t n)
{
    b->values += n;
    return b->values <= YAML_VALUES_MAX ? ERR_OK : invalid(b, "more values than can be taken");
}

/* Texts that stand in the document once, and by aliases in several places: who takes them copies each. */
static enum err_code count_repeated(struct builder *b, size_t bytes)
{
    b->repeated += bytes;
    return b->repeated <= YAML_REPEATED_MAX ? ERR_OK
                                            : invalid(b, "aliases stand for more text than can be taken");
}

/* ---- anchors ---- */

static void anchor_free(struct anchor *a)
{
    mem_free(a->name);
    json_decref(a->value);
    mem_free(a);
}

static void forget_anchor(struct builder *b, struct anchor *a)
{
    HASH_DEL(b->anchors, a);
    anchor_free(a);
}

/* Remembers a complete value under a name; a name that is used again means the newer value. */
static enum err_code set_anchor(struct builder *b, const char *name, json_t *value, size_t height)
{
    struct anchor *old = NULL;
    if (HASH_COUNT(b->anchors) >= YAML_ANCHORS_MAX) /* names that were chosen to collide are slow to find */
        return invalid(b, "too many anchors");
    struct anchor *a = mem_calloc(1, sizeof *a);
    if (a == NULL || (a->name = mem_strdup(name)) == NULL) {
        mem_free(a);
        return no_memory(b);
    }
    a->value = json_incref(value);
    a->height = height;
    HASH_FIND_STR(b->anchors, name, old);
    if (old != NULL)
        forget_anchor(b, old);
    HASH_ADD_KEYPTR(hh, b->anchors, a->name, strlen(a->name), a);
    return ERR_OK;
}

/* ---- values into frames ---- */

/* The value of "<<": a map, or a list of maps, in which earlier ones win. */
static enum err_code remember_merge(struct builder *b, struct frame *f, json_t *value)
{
    size_t i;
    json_t *item;
    if (f->merged == NULL && (f->merged = json_array()) == NULL)
        return no_memory(b);
    if (json_is_object(value))
        return json_array_append(f->merged, value) == 0 ? ERR_OK : no_memory(b);
    if (!json_is_array(value))
        return invalid(b, "<< must be a map or a list of maps");
    json_array_foreach(value, i, item)
    {
        if (!json_is_object(item))
            return invalid(b, "<< must be a map or a list of maps");
        if (count_values(b, 1) != ERR_OK)
            return b->err->code;
        if (json_array_append(f->merged, item) != 0)
            return no_memory(b);
    }
    return ERR_OK;
}

static enum err_code count_members(struct builder *b, json_t *map)
{
    const char *key;
    json_t *value;
    enum err_code rc = ERR_OK;
    json_object_foreach(map, key, value)
    {
        if (rc == ERR_OK)
            rc = count_repeated(b, strlen(key) + json_string_length(value));
    }
    return rc;
}

/* The map is complete: its own keys win over those that are merged in. */
static enum err_code merge(struct builder *b, struct frame *f)
{
    size_t i;
    json_t *item;
    json_array_foreach(f->merged, i, item)
    {
        if (count_values(b, json_object_size(item)) != ERR_OK || count_members(b, item) != ERR_OK)
            return b->err->code;
        if (json_object_update_missing(f->value, item) != 0)
            return no_memory(b);
    }
    return ERR_OK;
}

static enum err_code take_key(struct builder *b, struct frame *f, const json_t *key)
{
    const char *text = json_string_value(key);
    if (text == NULL)
        return invalid(b, "a key must be a text");
    if (strlen(text) != json_string_length(key))
        return invalid(b, "a key holds a NUL");
    f->key = mem_strdup(text);
    return f->key != NULL ? ERR_OK : no_memory(b);
}

static enum err_code take_map_value(struct builder *b, struct frame *f, json_t *value)
{
    if (f->merges) {
        f->merges = false;
        return remember_merge(b, f, value);
    }
    int rc = json_object_set(f->value, f->key, value);
    mem_freep(&f->key);
    return rc == 0 ? ERR_OK : no_memory(b);
}

/* A value is complete. The reference stays the caller's. */
static enum err_code take_value(struct builder *b, json_t *value, size_t height)
{
    if (b->depth + height > YAML_DEPTH_MAX)
        return invalid(b, "nested too deeply");
    if (b->depth == 0) {
        b->root = json_incref(value);
        return ERR_OK;
    }
    struct frame *f = &b->frames[b->depth - 1];
    if (height + 1 > f->height)
        f->height = height + 1;
    if (json_is_array(f->value))
        return json_array_append(f->value, value) == 0 ? ERR_OK : no_memory(b);
    return f->key == NULL && !f->merges ? take_key(b, f, value) : take_map_value(b, f, value);
}

/* A key comes next. */
static bool at_key(const struct builder *b)
{
    const struct frame *f = b->depth > 0 ? &b->frames[b->depth - 1] : NULL;
    return f != NULL && json_is_object(f->value) && f->key == NULL && !f->merges;
}

/* ---- events ---- */

/* A tag such as !!str decides; one that is not known says nothing about a scalar that is text anyway. */
static json_t *tagged_scalar(const char *tag, const char *text, size_t len)
{
    static const char known[] = "tag:yaml.org,2002:";
    const char *name = str_starts(tag, known) ? tag + strlen(known) : "";
    bool typed = strcmp(name, "int") == 0 || strcmp(name, "float") == 0 || strcmp(name, "bool") == 0 ||
                 strcmp(name, "null") == 0;
    return typed ? yaml_plain_scalar(text, len) : json_stringn(text, len);
}

static enum err_code on_scalar(struct builder *b, const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    const char *anchor = (const char *)e->data.scalar.anchor;
    size_t len = e->data.scalar.length;
    bool is_plain = e->data.scalar.plain_implicit && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    cleanup(json_decrefp) json_t *value = NULL;
    if (at_key(b) && is_plain && strcmp(text, "<<") == 0) {
        b->frames[b->depth - 1].merges = true;
        return ERR_OK;
    }
    if (at_key(b))
        value = json_stringn(text, len); /* whatever its type: JSON has no other keys */
    else if (e->data.scalar.tag != NULL)
        value = tagged_scalar((const char *)e->data.scalar.tag, text, len);
    else
        value = is_plain ? yaml_plain_scalar(text, len) : json_stringn(text, len);
    if (value == NULL)
        return no_memory(b);
    enum err_code rc = anchor != NULL ? set_anchor(b, anchor, value, 0) : ERR_OK;
    return rc == ERR_OK ? take_value(b, value, 0) : rc;
}

static enum err_code on_alias(struct builder *b, const yaml_event_t *e)
{
    struct anchor *a = NULL;
    HASH_FIND_STR(b->anchors, (const char *)e->data.alias.anchor, a);
    if (a == NULL)
        return invalid(b, "an alias without its anchor, or inside of it");
    if (count_repeated(b, json_string_length(a->value)) != ERR_OK) /* 0 when it is no text */
        return b->err->code;
    return take_value(b, a->value, a->height);
}

static enum err_code on_begin(struct builder *b, json_t *value, const yaml_char_t *anchor)
{
    if (value == NULL)
        return no_memory(b);
    if (b->depth == YAML_DEPTH_MAX || at_key(b)) {
        json_decref(value);
        return invalid(b, b->depth == YAML_DEPTH_MAX ? "nested too deeply" : "a key must be a text");
    }
    struct frame *f = &b->frames[b->depth++];
    *f = (struct frame){.value = value, .height = 1};
    if (anchor != NULL && (f->anchor = mem_strdup((const char *)anchor)) == NULL)
        return no_memory(b);
    return ERR_OK;
}

static void frame_clear(struct frame *f)
{
    json_decref(f->value);
    json_decref(f->merged);
    mem_free(f->anchor);
    mem_free(f->key);
}

static enum err_code on_end(struct builder *b)
{
    struct frame *f = &b->frames[b->depth - 1];
    enum err_code rc = merge(b, f);
    b->depth--; /* it is a value of the frame below now */
    if (rc == ERR_OK && f->anchor != NULL)
        rc = set_anchor(b, f->anchor, f->value, f->height);
    if (rc == ERR_OK)
        rc = take_value(b, f->value, f->height);
    frame_clear(f);
    return rc;
}

static enum err_code on_event(struct builder *b, const yaml_event_t *e)
{
    enum err_code rc = count_values(b, 1);
    if (rc != ERR_OK)
        return rc;
    switch (e->type) {
    case YAML_SCALAR_EVENT: return on_scalar(b, e);
    case YAML_ALIAS_EVENT: return on_alias(b, e);
    case YAML_SEQUENCE_START_EVENT: return on_begin(b, json_array(), e->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT: return on_begin(b, json_object(), e->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return on_end(b);
    case YAML_DOCUMENT_START_EVENT: return b->root == NULL ? ERR_OK : invalid(b, "a second document");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT: break;
    }
    return ERR_OK;
}

/* ---- the whole text ---- */

static enum err_code refuse(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(b);
    b->line = p->problem_mark.line + 1;
    return invalid(b, p->problem != NULL ? p->problem : "no YAML");
}

static enum err_code build(struct builder *b)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event))
            return refuse(b);
        b->line = event.start_mark.line + 1;
        enum err_code rc = on_event(b, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (rc != ERR_OK)
            return rc;
    }
    return b->root != NULL ? ERR_OK : invalid(b, "there is no document");
}

static void builder_free(struct builder *b)
{
    struct anchor *a, *next;
    while (b->depth > 0)
        frame_clear(&b->frames[--b->depth]);
    HASH_ITER(hh, b->anchors, a, next)
    {
        forget_anchor(b, a);
    }
    json_decref(b->root);
    yaml_parser_delete(&b->parser);
    mem_free(b);
}

enum err_code yaml_to_json(const char *text, size_t len, json_t **ret, struct err *err)
{
    struct builder *b = mem_calloc(1, sizeof *b);
    if (b == NULL || !yaml_parser_initialize(&b->parser)) {
        mem_free(b);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    b->err = err;
    yaml_parser_set_encoding(&b->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b->parser, (const unsigned char *)text, len);
    enum err_code rc = build(b);
    if (rc == ERR_OK)
        *ret = json_incref(b->root);
    builder_free(b);
    return rc;
}
