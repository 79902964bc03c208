/*
 * The part of a descriptor that counts: the data product's own fields, and the one component that is wanted.
 * Others are not looked into.
 */
#include "provision/provision_internal.h"

#include "base/mem.h"

#include <string.h>

const char descriptor_undecodable[] =
    "Unable to decode the workload. Please check that all required fields have been provided";

enum {
    MAP_MAX = 1000,   /* entries: each is looked for among the others */
    LIST_MAX = 10000, /* more do not fit on a command line */
};

void descriptor_clear(struct descriptor *d)
{
    struct component *c = &d->component;
    char *texts[] = {
        d->group,         d->environment,     c->id,          c->job_name,      c->jar,
        c->class_name,    c->queue,           c->log_level,   c->schedule.cron, c->schedule.start,
        c->driver_memory, c->executor_memory, c->schedule.end};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mem_free(texts[i]);
    strlist_clear(&c->args);
    strlist_clear(&c->dependencies);
    strmap_clear(&c->conf);
    *d = (struct descriptor){0};
}

/* ---- fields of one object ---- */

/* Sticky: the first bad field is remembered, the rest are no-ops. */
struct fields {
    const json_t *object;
    const char *where; /* "specific" */
    enum err_code code;
    struct err *err;
};

static void fail(struct fields *f, const char *name, const char *allowed)
{
    f->code = err_set(f->err, ERR_INVALID, "%s of %s must be %s", name, f->where, allowed);
}

static void fail_memory(struct fields *f)
{
    f->code = err_set(f->err, ERR_NOMEM, "out of memory");
}

/* NULL when absent or null. */
static json_t *field(const struct fields *f, const char *name)
{
    json_t *value = f->code == ERR_OK ? json_object_get(f->object, name) : NULL;
    return json_is_null(value) ? NULL : value;
}

static json_t *required(struct fields *f, const char *name, json_type type, const char *allowed)
{
    json_t *value = field(f, name);
    if (f->code == ERR_OK && (value == NULL || json_typeof(value) != type)) {
        fail(f, name, allowed);
        return NULL;
    }
    return value;
}

/* NULL when it is no text, or none that a C string can hold. */
static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);
    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

static void keep_text(struct fields *f, const char *name, const json_t *value, char **ret)
{
    const char *text = text_of(value);
    if (text == NULL)
        fail(f, name, "a text");
    else if (ret != NULL && mem_set_str(ret, text) != 0)
        fail_memory(f);
}

/* `ret` may be NULL: it only has to be there. */
static void read_text(struct fields *f, const char *name, char **ret)
{
    const json_t *value = required(f, name, JSON_STRING, "a text");
    if (value != NULL)
        keep_text(f, name, value, ret);
}

static void read_optional_text(struct fields *f, const char *name, char **ret)
{
    const json_t *value = field(f, name);
    if (value != NULL)
        keep_text(f, name, value, ret);
}

static void read_texts(struct fields *f, const char *name, bool *ret_given, struct strlist *ret)
{
    size_t i;
    const json_t *item;
    const json_t *list = field(f, name);
    *ret_given = list != NULL;
    if (list != NULL && (!json_is_array(list) || json_array_size(list) > LIST_MAX)) {
        fail(f, name, "a list of texts, of at most 10000");
        return;
    }
    json_array_foreach(list, i, item)
    {
        const char *text = text_of(item);
        if (text == NULL) {
            fail(f, name, "a list of texts");
            return;
        }
        if (strlist_add(ret, text) != 0) {
            fail_memory(f);
            return;
        }
    }
}

static void read_map(struct fields *f, const char *name, struct strmap *ret)
{
    const char *key;
    json_t *item;
    json_t *map = field(f, name);
    if (map != NULL && (!json_is_object(map) || json_object_size(map) > MAP_MAX)) {
        fail(f, name, "a map of texts, of at most 1000 entries");
        return;
    }
    json_object_foreach(map, key, item)
    {
        const char *text = text_of(item);
        if (text == NULL) {
            fail(f, name, "a map of texts");
            return;
        }
        if (strmap_set(ret, key, text) != 0) {
            fail_memory(f);
            return;
        }
    }
}

/* A whole number of 32 bits, also written as 2.0. */
static bool read_whole(const json_t *value, int32_t *ret)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= INT32_MIN && number <= INT32_MAX))
        return false;
    *ret = (int32_t)number;
    return !((double)*ret < number) && !((double)*ret > number);
}

/* A number of JSON in quotes. */
static bool read_quoted(const char *text, int32_t *ret)
{
    size_t n = strlen(text);
    if (n == 0 || strchr("-0123456789", text[0]) == NULL || strchr("0123456789", text[n - 1]) == NULL)
        return false; /* the parser would pass over white space */
    cleanup(json_decrefp) json_t *value = json_loadb(text, n, JSON_DECODE_ANY, NULL);
    return value != NULL && read_whole(value, ret);
}

static void read_count(struct fields *f, const char *name, struct optional_count *ret)
{
    const json_t *value = field(f, name);
    const char *text = text_of(value);
    if (value == NULL)
        return;
    ret->given = text != NULL ? read_quoted(text, &ret->value) : read_whole(value, &ret->value);
    if (!ret->given)
        fail(f, name, "a whole number of 32 bits");
}

static struct fields open_fields(const json_t *object, const char *where, struct err *err)
{
    return (struct fields){.object = object, .where = where, .code = ERR_OK, .err = err};
}

/* ---- the component ---- */

static enum err_code read_schedule(struct component *c, const json_t *object, struct err *err)
{
    struct fields f = open_fields(object, "schedule", err);
    c->has_schedule = true;
    read_text(&f, "cronExpression", &c->schedule.cron);
    read_text(&f, "startDate", &c->schedule.start);
    read_text(&f, "endDate", &c->schedule.end);
    return f.code;
}

static enum err_code read_job_config(struct component *c, const json_t *object, struct err *err)
{
    struct fields f = open_fields(object, "jobConfig", err);
    read_texts(&f, "args", &c->has_args, &c->args);
    read_texts(&f, "dependencies", &c->has_dependencies, &c->dependencies);
    read_count(&f, "driverCores", &c->driver_cores);
    read_optional_text(&f, "driverMemory", &c->driver_memory);
    read_count(&f, "executorCores", &c->executor_cores);
    read_optional_text(&f, "executorMemory", &c->executor_memory);
    read_count(&f, "numExecutors", &c->num_executors);
    read_optional_text(&f, "logLevel", &c->log_level);
    read_map(&f, "conf", &c->conf);
    const json_t *schedule = field(&f, "schedule");
    if (schedule != NULL && !json_is_object(schedule))
        fail(&f, "schedule", "a map");
    return f.code == ERR_OK && schedule != NULL ? read_schedule(c, schedule, err) : f.code;
}

static enum err_code read_specific(struct component *c, const json_t *object, struct err *err)
{
    struct fields f = open_fields(object, "specific", err);
    read_text(&f, "jobName", &c->job_name);
    read_text(&f, "jar", &c->jar);
    read_text(&f, "className", &c->class_name);
    read_text(&f, "queue", &c->queue);
    const json_t *config = field(&f, "jobConfig");
    if (config != NULL && !json_is_object(config))
        fail(&f, "jobConfig", "a map");
    return f.code == ERR_OK && config != NULL ? read_job_config(c, config, err) : f.code;
}

static enum err_code read_component(struct component *c, const json_t *object, struct err *err)
{
    cleanup(mem_freep) char *kind = NULL;
    struct fields f = open_fields(object, "the component", err);
    read_text(&f, "kind", &kind);
    read_text(&f, "id", &c->id);
    read_text(&f, "name", NULL);
    read_text(&f, "description", NULL);
    read_text(&f, "version", NULL);
    const json_t *specific = required(&f, "specific", JSON_OBJECT, "a map");
    if (f.code == ERR_OK && !str_same(kind, "workload"))
        fail(&f, "kind", "workload");
    return f.code == ERR_OK ? read_specific(c, specific, err) : f.code;
}

/* ---- the whole ---- */

/* The first with that id; NULL: none has it. */
static const json_t *find_component(const json_t *components, const char *id)
{
    size_t i;
    const json_t *item;
    json_array_foreach(components, i, item)
    {
        const char *its_id = text_of(json_object_get(item, "id"));
        if (its_id != NULL && strcmp(its_id, id) == 0)
            return item;
    }
    return NULL;
}

static enum err_code read_product(struct descriptor *d, const json_t *object, const json_t **ret_components,
                                  struct err *err)
{
    static const char *const present[] = {"id",       "domain",     "version", "dataProductOwner",
                                          "devGroup", "ownerGroup", NULL};
    struct fields f = open_fields(object, "dataProduct", err);
    read_text(&f, "name", &d->group);
    read_text(&f, "environment", &d->environment);
    for (size_t i = 0; present[i] != NULL; i++)
        read_text(&f, present[i], NULL);
    (void)required(&f, "specific", JSON_OBJECT, "a map");
    *ret_components = required(&f, "components", JSON_ARRAY, "a list");
    return f.code;
}

static enum err_code read_root(struct descriptor *d, const json_t *root, struct err *err)
{
    cleanup(mem_freep) char *wanted = NULL;
    const json_t *components = NULL;
    struct fields f = open_fields(root, "the descriptor", err);
    const json_t *product = required(&f, "dataProduct", JSON_OBJECT, "a map");
    read_optional_text(&f, "componentIdToProvision", &wanted);
    if (f.code != ERR_OK)
        return f.code;
    enum err_code rc = read_product(d, product, &components, err);
    const json_t *component = rc == ERR_OK && wanted != NULL ? find_component(components, wanted) : NULL;
    d->has_component = component != NULL;
    return component != NULL ? read_component(&d->component, component, err) : rc;
}

/* JSON is YAML, but for characters that are written as two escapes (surrogates): it is read as what it is. */
static enum err_code parse(const char *text, json_t **ret, struct err *err)
{
    size_t len = strlen(text);
    if (text[0] == '{' && json_parse(text, len, YAML_DEPTH_MAX, ret, err) == ERR_OK)
        return ERR_OK;
    return yaml_to_json(text, len, ret, err);
}

enum err_code descriptor_read(const char *text, struct descriptor *ret, struct err *err)
{
    cleanup(json_decrefp) json_t *root = NULL;
    cleanup(descriptor_clear) struct descriptor d = {0};
    enum err_code rc = parse(text, &root, err);
    if (rc == ERR_OK)
        rc = read_root(&d, root, err);
    if (rc == ERR_OK) {
        *ret = d;
        d = (struct descriptor){0};
    }
    return rc;
}
