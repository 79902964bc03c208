/*
 * The body of /v1/submissions/create, and the submission that it stands for.
 */
#include "submissions/submissions_internal.h"

#include "base/mem.h"
#include "base/parse.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The fields as they came. */
struct fields {
    char *action, *client_version, *app_resource, *main_class;
    struct strlist arguments;
    struct strmap environment, properties;
};

static void fields_clear(struct fields *f)
{
    mem_free(f->action);
    mem_free(f->client_version);
    mem_free(f->app_resource);
    mem_free(f->main_class);
    strlist_clear(&f->arguments);
    strmap_clear(&f->environment);
    strmap_clear(&f->properties);
}

void create_request_clear(struct create_request *c)
{
    spark_submission_clear(&c->submission);
    strlist_clear(&c->unknown_fields);
}

static enum err_code no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- reading ---- */

static bool was_asked(const struct json_in *in, const char *name)
{
    for (unsigned i = 0; i < in->n_asked; i++)
        if (strcmp(in->asked[i], name) == 0)
            return true;
    return false;
}

/* The protocol tells of fields that it does not know and goes on. */
static enum err_code note_unknown(struct create_request *c, const struct json_in *in, struct err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(in->object, name, value)
    {
        if (!was_asked(in, name) && strlist_add(&c->unknown_fields, name) != 0)
            return no_memory(err);
    }
    return ERR_OK;
}

static enum err_code read_fields(struct create_request *c, struct fields *f, json_t *body, struct err *err)
{
    struct json_in in;
    json_in_open(&in, body, err);
    (void)json_in_value(&in, "message"); /* every message of the protocol may have one */
    json_in_str(&in, "action", &f->action);
    json_in_str(&in, "clientSparkVersion", &f->client_version);
    json_in_str(&in, "appResource", &f->app_resource);
    json_in_str(&in, "mainClass", &f->main_class);
    json_in_list(&in, "appArgs", &f->arguments);
    json_in_map(&in, "environmentVariables", &f->environment);
    json_in_map(&in, "sparkProperties", &f->properties);
    return in.code != ERR_OK ? in.code : note_unknown(c, &in, err);
}

/* ---- checks ---- */

static enum err_code missing(const char *field, const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s is missing; it must be %s", field, what);
}

static bool is_program_text(const char *resource)
{
    return str_ends(resource, ".py") || str_ends(resource, ".R") || str_ends(resource, ".r");
}

static enum err_code check_required(const struct fields *f, struct err *err)
{
    if (str_blank(f->client_version))
        return missing("clientSparkVersion", "the version of Spark that the client has", err);
    if (str_blank(f->app_resource))
        return missing("appResource", "the path or URL of a jar, .py or .R", err);
    if (str_blank(strmap_get(&f->properties, "spark.app.name")))
        return missing("spark.app.name of sparkProperties", "the application's name", err);
    if (str_blank(f->main_class) && !is_program_text(f->app_resource))
        return missing("mainClass", "the name of a class in the jar", err);
    return ERR_OK;
}

enum property_type { PROPERTY_SIZE, PROPERTY_COUNT, PROPERTY_FLAG };

static bool is_valid(enum property_type type, const char *value)
{
    uint64_t bytes;
    int64_t n;
    switch (type) {
    case PROPERTY_SIZE: return parse_size(value, 1 << 20, &bytes, NULL) == ERR_OK;
    case PROPERTY_COUNT: return parse_i64(value, 1, INT32_MAX, &n, NULL) == ERR_OK;
    case PROPERTY_FLAG: break;
    }
    return strcasecmp(value, "true") == 0 || strcasecmp(value, "false") == 0;
}

/* The properties that a master looks at before it takes a driver. */
static enum err_code check_properties(const struct strmap *properties, struct err *err)
{
    static const char *const allowed[] = {
        [PROPERTY_SIZE] = "a size such as 512m or 2g",
        [PROPERTY_COUNT] = "a number from 1 on",
        [PROPERTY_FLAG] = "true or false",
    };
    static const struct {
        const char *name;
        enum property_type type;
    } checked[] = {
        {"spark.driver.memory", PROPERTY_SIZE},    {"spark.executor.memory", PROPERTY_SIZE},
        {"spark.driver.cores", PROPERTY_COUNT},    {"spark.cores.max", PROPERTY_COUNT},
        {"spark.driver.supervise", PROPERTY_FLAG},
    };
    for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
        const char *value = strmap_get(properties, checked[i].name);
        if (value != NULL && !is_valid(checked[i].type, value))
            return err_set(err, ERR_INVALID, "%s of sparkProperties is '%.100s'; it must be %s",
                           checked[i].name, value, allowed[checked[i].type]);
    }
    return ERR_OK;
}

static bool is_variable_name(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    return true;
}

/* ---- the submission ---- */

/* What spark-submit sends of its own environment speaks of the client's machine; and what java and the loader
 * read would go round the rules for conf and files. */
static bool is_not_the_clients(const char *name)
{
    static const char *const prefixes[] = {"SPARK_", "_SPARK_", "MESOS_", "HEARTH_", "LD_"};
    static const char *const names[] = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (str_starts(name, prefixes[i]))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum err_code take_environment(struct spark_submission *s, const struct strmap *environment,
                                      struct err *err)
{
    for (size_t i = 0; i < environment->n; i++) {
        const struct strmap_entry *e = &environment->items[i];
        if (!is_variable_name(e->key))
            return err_set(err, ERR_INVALID,
                           "environmentVariables holds '%.100s'; a name has letters, digits and _ only",
                           e->key);
        if (!is_not_the_clients(e->key) && strmap_set(&s->env, e->key, e->value) != 0)
            return no_memory(err);
    }
    return ERR_OK;
}

static void move_text(char **to, char **from)
{
    *to = *from;
    *from = NULL;
}

static enum err_code make_submission(struct spark_submission *s, struct fields *f, struct err *err)
{
    if (!is_program_text(f->app_resource))
        move_text(&s->class_name, &f->main_class);
    move_text(&s->file, &f->app_resource);
    s->args = f->arguments;
    f->arguments = (struct strlist){0};
    s->conf = f->properties;
    f->properties = (struct strmap){0};
    /* The cluster is the one that is asked. */
    strmap_remove(&s->conf, "spark.master");
    strmap_remove(&s->conf, "spark.submit.deployMode");
    return take_environment(s, &f->environment, err);
}

static enum err_code check_action(const char *action, struct err *err)
{
    static const char expected[] = "CreateSubmissionRequest";
    if (str_blank(action))
        return missing("action", expected, err);
    if (strcmp(action, expected) != 0)
        return err_set(err, ERR_INVALID, "action is '%.100s'; it must be %s", action, expected);
    return ERR_OK;
}

enum err_code create_request_read(struct create_request *c, json_t *body, struct err *err)
{
    cleanup(fields_clear) struct fields f = {0};
    enum err_code rc = read_fields(c, &f, body, err);
    if (rc == ERR_OK)
        rc = check_action(f.action, err);
    if (rc == ERR_OK)
        rc = check_required(&f, err);
    if (rc == ERR_OK)
        rc = check_properties(&f.properties, err);
    return rc == ERR_OK ? make_submission(&c->submission, &f, err) : rc;
}
