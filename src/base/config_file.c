/*
 * Configuration from YAML, event by event: libyaml builds no tree, so a file cannot blow up memory.
 *
 * Everything is read and checked into `staged` first and moved to its place only when the whole file
 * is good. Nested mappings and dotted keys may be mixed: both become one dotted path.
 */
#include "base/config.h"

#include "base/config_internal.h"
#include "base/io.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum {
    FILE_MAX_BYTES = 1 << 20,
    LEVELS_MAX = 8,
    PATH_MAX_BYTES = 256,
};

struct staged {
    size_t row;
    struct config_value value;
    char *origin;
    size_t line;
};

struct reader {
    struct config *config;
    const char *name; /* of the file, as errors call it */
    struct err *err;  /* never NULL */
    yaml_parser_t yaml;
    unsigned levels;       /* mappings that are open */
    struct staged *staged; /* room for every row: none is taken twice */
    size_t n_staged;
};

static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static enum err_code refuse(struct reader *r, const yaml_event_t *event, const char *words)
{
    return err_set(r->err, ERR_INVALID, "%s line %zu: %s", r->name, line_of(event), words);
}

/* Puts the place in front of what r->err says. */
static enum err_code wrap(struct reader *r, const yaml_event_t *event)
{
    return err_wrap(r->err, "%s line %zu", r->name, line_of(event));
}

static enum err_code no_memory(struct reader *r)
{
    return err_set(r->err, ERR_NOMEM, "out of memory");
}

static enum err_code refuse_syntax(struct reader *r)
{
    const yaml_parser_t *y = &r->yaml;
    if (y->error == YAML_MEMORY_ERROR)
        return no_memory(r);
    size_t line = y->error == YAML_READER_ERROR ? y->mark.line : y->problem_mark.line;
    return err_set(r->err, ERR_INVALID, "%s line %zu: this is not YAML: %s", r->name, line + 1,
                   y->problem != NULL ? y->problem : "unreadable");
}

/* The next event; the caller deletes it, also after a failure. */
static enum err_code next(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->yaml, event) == 0)
        return refuse_syntax(r);
    if (event->type == YAML_ALIAS_EVENT)
        return refuse(r, event, "an alias (*name) is not allowed here; write the value out");
    if (event->type == YAML_SCALAR_EVENT &&
        strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return refuse(r, event, "a NUL character is not allowed");
    return ERR_OK;
}

/* The text of a scalar, NULL for everything else. */
static const char *text_of(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT ? (const char *)event->data.scalar.value : NULL;
}

/* What YAML calls null: nothing, ~ or null, without quotes. */
static bool is_null(const yaml_event_t *event)
{
    const char *text = text_of(event);
    return text != NULL && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static enum err_code read_items(struct reader *r, const char *key, struct strlist *ret)
{
    for (;;) {
        cleanup(yaml_event_delete) yaml_event_t event = {0};
        enum err_code rc = next(r, &event);
        if (rc != ERR_OK || event.type == YAML_SEQUENCE_END_EVENT)
            return rc;
        if (text_of(&event) == NULL) {
            (void)err_set(r->err, ERR_INVALID, "%s: an item must be a single value", key);
            return wrap(r, &event);
        }
        if (strlist_add(ret, text_of(&event)) != 0)
            return no_memory(r);
    }
}

static enum err_code read_value(struct reader *r, const struct option *o, const yaml_event_t *event,
                                struct config_value *v)
{
    enum err_code rc = ERR_INVALID;
    if (event->type == YAML_SEQUENCE_START_EVENT && o->type == OPTION_LIST)
        return read_items(r, o->name, &v->list);
    if (is_null(event))
        (void)err_set(r->err, rc, "%s has no value; write \"\" where nothing is meant", o->name);
    else if (text_of(event) == NULL)
        (void)err_set(r->err, rc, "%s must be a single value", o->name);
    else
        rc = config_value_parse(o, text_of(event), v, r->err);
    return rc == ERR_OK ? ERR_OK : wrap(r, event);
}

static enum err_code read_option(struct reader *r, size_t row, const yaml_event_t *event)
{
    const struct option *o = &r->config->options[row];
    for (size_t i = 0; i < r->n_staged; i++) {
        if (r->staged[i].row != row)
            continue;
        (void)err_set(r->err, ERR_INVALID, "%s was already set in line %zu", o->name, r->staged[i].line);
        return wrap(r, event);
    }
    struct config_value v = {0};
    enum err_code rc = read_value(r, o, event, &v);
    char *origin = rc == ERR_OK ? mem_printf("file %s line %zu", r->name, line_of(event)) : NULL;
    if (rc == ERR_OK && origin == NULL)
        rc = no_memory(r);
    if (rc != ERR_OK)
        config_value_clear(&v);
    else
        r->staged[r->n_staged++] = (struct staged){row, v, origin, line_of(event)};
    return rc;
}

static enum err_code read_mapping(struct reader *r, const yaml_event_t *start, const char *path);

/* What stands behind `key`, whose whole path is `path`. */
static enum err_code read_entry(struct reader *r, const yaml_event_t *key, const char *path)
{
    cleanup(yaml_event_delete) yaml_event_t event = {0};
    enum err_code rc = next(r, &event);
    if (rc != ERR_OK)
        return rc;
    size_t row = config_find(r->config, path);
    if (row < r->config->n)
        return read_option(r, row, &event);
    if (event.type == YAML_MAPPING_START_EVENT) {
        rc = read_mapping(r, &event, path);
        if (rc != ERR_OK)
            return rc;
    }
    if (!config_is_group(r->config, path)) {
        (void)config_unknown(r->config, path, r->err);
        return wrap(r, key);
    }
    if (event.type == YAML_MAPPING_START_EVENT || is_null(&event))
        return ERR_OK; /* a group all of whose settings are commented out is null */
    (void)err_set(r->err, ERR_INVALID, "%s is a group of settings and has no value of its own", path);
    return wrap(r, &event);
}

/* The entries of a mapping that has just begun; `path` is "" at the top. */
static enum err_code read_mapping(struct reader *r, const yaml_event_t *start, const char *path)
{
    if (r->levels == LEVELS_MAX)
        return refuse(r, start, "nested deeper than 8 levels");
    r->levels++;
    for (;;) {
        cleanup(yaml_event_delete) yaml_event_t key = {0};
        enum err_code rc = next(r, &key);
        if (rc != ERR_OK)
            return rc;
        if (key.type == YAML_MAPPING_END_EVENT)
            break;
        if (text_of(&key) == NULL)
            return refuse(r, &key, "a key must be a single word");
        char below[PATH_MAX_BYTES];
        int n = snprintf(below, sizeof below, "%s%s%s", path, path[0] != '\0' ? "." : "", text_of(&key));
        if (n < 0 || (size_t)n >= sizeof below)
            return refuse(r, &key, "a key longer than any known one");
        rc = read_entry(r, &key, below);
        if (rc != ERR_OK)
            return rc;
    }
    r->levels--;
    return ERR_OK;
}

/* The whole stream: nothing at all, or one document that is a mapping (or null). */
static enum err_code read_stream(struct reader *r)
{
    bool had_document = false;
    for (;;) {
        cleanup(yaml_event_delete) yaml_event_t event = {0};
        enum err_code rc = next(r, &event);
        if (rc != ERR_OK || event.type == YAML_STREAM_END_EVENT)
            return rc;
        if (event.type == YAML_DOCUMENT_START_EVENT && had_document)
            return refuse(r, &event, "a second document begins; a configuration is one document");
        had_document = had_document || event.type == YAML_DOCUMENT_START_EVENT;
        if (event.type == YAML_MAPPING_START_EVENT)
            rc = read_mapping(r, &event, "");
        else if (event.type == YAML_SEQUENCE_START_EVENT || (text_of(&event) != NULL && !is_null(&event)))
            rc = refuse(r, &event, "a configuration must be a mapping, as in `server: {listen: …}`");
        if (rc != ERR_OK)
            return rc;
    }
}

/* Moves what was staged to its place, or throws it away. */
static void settle(struct reader *r, bool good)
{
    for (size_t i = 0; i < r->n_staged; i++) {
        struct staged *s = &r->staged[i];
        if (good) {
            config_put(r->config, s->row, &s->value, s->origin);
        } else {
            config_value_clear(&s->value);
            mem_free(s->origin);
        }
    }
    mem_free(r->staged);
}

enum err_code config_read_text(struct config *c, const char *name, const char *text, size_t len,
                               struct err *err)
{
    struct err unread;
    struct reader r = {.config = c, .name = name, .err = err != NULL ? err : &unread};
    if (len > FILE_MAX_BYTES)
        return err_set(r.err, ERR_TOO_LARGE, "%s is larger than 1 MiB", name);
    r.staged = mem_calloc(c->n, sizeof *r.staged);
    if (r.staged == NULL)
        return no_memory(&r);
    enum err_code rc = ERR_OK;
    if (yaml_parser_initialize(&r.yaml) == 0) {
        rc = no_memory(&r);
    } else {
        yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
        rc = read_stream(&r);
        yaml_parser_delete(&r.yaml);
    }
    settle(&r, rc == ERR_OK);
    return rc;
}

enum err_code config_read_file(struct config *c, const char *path, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(FILE_MAX_BYTES);
    enum err_code rc = io_read_file(path, &text, err);
    return rc != ERR_OK ? rc : config_read_text(c, path, buf_cstr(&text), text.len, err);
}
