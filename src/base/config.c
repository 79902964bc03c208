/* The rows and their values: setting one from text, from HEARTH_… variables, from key=value pairs.
 * YAML is read in config_file.c, documents are written in config_docs.c. */
#include "base/config.h"

#include "base/config_internal.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/parse.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char env_prefix[] = "HEARTH_";
static const char initial_origin[] = "default";

void config_value_clear(struct config_value *v)
{
    mem_free(v->text);
    strlist_clear(&v->list);
    *v = (struct config_value){0};
}

static const char *home_folder(void)
{
    const char *home = getenv("HOME");
    if (home != NULL && home[0] == '/')
        return home;
    const struct passwd *me = getpwuid(getuid()); /* services often run without HOME */
    return me != NULL ? me->pw_dir : "";
}

static enum err_code parse_text(const char *text, char **ret, struct err *err)
{
    bool in_home = str_starts(text, "~/");
    char *copy = in_home ? mem_printf("%s%s", home_folder(), text + 1) : mem_strdup(text);
    if (copy == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *ret = copy;
    return ERR_OK;
}

static enum err_code parse_choice(const char *text, const char *choices, char **ret, struct err *err)
{
    struct strlist words = {0};
    enum err_code rc = ERR_OK;
    if (strlist_split(&words, choices, " ") != 0 || mem_set_str(ret, text) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    else if (!strlist_has(&words, text))
        rc = err_set(err, ERR_INVALID, "'%.80s' is not one of: %s", text, choices);
    strlist_clear(&words);
    return rc;
}

static enum err_code parse_bool(const char *text, bool *ret, struct err *err)
{
    *ret = strcmp(text, "true") == 0;
    if (!*ret && strcmp(text, "false") != 0)
        return err_set(err, ERR_INVALID, "'%.80s' is neither true nor false", text);
    return ERR_OK;
}

static enum err_code check_range(const struct option *o, const char *text, int64_t n, struct err *err)
{
    if (n >= o->min && n <= o->max)
        return ERR_OK;
    char least[PARSE_TEXT_MAX];
    char most[PARSE_TEXT_MAX];
    if (o->type == OPTION_SIZE) {
        parse_format_size((uint64_t)o->min, least);
        parse_format_size((uint64_t)o->max, most);
    } else {
        parse_format_duration(o->min, least);
        parse_format_duration(o->max, most);
    }
    return err_set(err, ERR_INVALID, "'%.80s' is not between %s and %s", text, least, most);
}

static enum err_code parse_size_option(const struct option *o, const char *text, int64_t *ret,
                                       struct err *err)
{
    uint64_t bytes = 0;
    enum err_code rc = parse_size(text, 1, &bytes, err);
    *ret = (int64_t)bytes; /* parse_size stays below INT64_MAX */
    return rc != ERR_OK ? rc : check_range(o, text, *ret, err);
}

static enum err_code parse_duration_option(const struct option *o, const char *text, int64_t *ret,
                                           struct err *err)
{
    enum err_code rc = parse_duration(text, ret, err);
    return rc != ERR_OK ? rc : check_range(o, text, *ret, err);
}

static enum err_code parse_list(const char *text, struct strlist *ret, struct err *err)
{
    return strlist_split(ret, text, ", \t") == 0 ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static enum err_code parse_as(const struct option *o, const char *text, struct config_value *v,
                              struct err *err)
{
    switch (o->type) {
    case OPTION_TEXT: return parse_text(text, &v->text, err);
    case OPTION_CHOICE: return parse_choice(text, o->choices, &v->text, err);
    case OPTION_LIST: return parse_list(text, &v->list, err);
    case OPTION_BOOL: return parse_bool(text, &v->flag, err);
    case OPTION_INT: return parse_i64(text, o->min, o->max, &v->number, err);
    case OPTION_SIZE: return parse_size_option(o, text, &v->number, err);
    case OPTION_DURATION: return parse_duration_option(o, text, &v->number, err);
    }
    return err_set(err, ERR_INTERNAL, "an option without a type");
}

enum err_code config_value_parse(const struct option *o, const char *text, struct config_value *ret,
                                 struct err *err)
{
    struct config_value v = {0};
    enum err_code rc = parse_as(o, text, &v, err);
    if (rc != ERR_OK) {
        config_value_clear(&v);
        (void)err_wrap(err, "%s", o->name);
        return rc;
    }
    *ret = v;
    return ERR_OK;
}

void config_put(struct config *c, size_t i, struct config_value *v, char *origin)
{
    const struct option *o = &c->options[i];
    void *field = (char *)c->values + o->offset;
    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_CHOICE:
        mem_free(*(char **)field);
        *(char **)field = v->text;
        break;
    case OPTION_LIST:
        strlist_clear(field);
        *(struct strlist *)field = v->list;
        break;
    case OPTION_BOOL: *(bool *)field = v->flag; break;
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION: *(int64_t *)field = v->number; break;
    }
    *v = (struct config_value){0};
    mem_free(c->origins[i]);
    c->origins[i] = origin;
}

static enum err_code set_row(struct config *c, size_t i, const char *text, const char *origin,
                             struct err *err)
{
    struct config_value v = {0};
    enum err_code rc = config_value_parse(&c->options[i], text, &v, err);
    if (rc != ERR_OK)
        return rc;
    char *own_origin = mem_strdup(origin);
    if (own_origin == NULL) {
        config_value_clear(&v);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    config_put(c, i, &v, own_origin);
    return ERR_OK;
}

struct config *config_new(const struct option *options, void *values)
{
    struct config *c = mem_calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->options = options;
    c->values = values;
    while (options[c->n].name != NULL)
        c->n++;
    c->origins = mem_calloc(c->n, sizeof *c->origins);
    if (c->origins == NULL) {
        mem_free(c);
        return NULL;
    }
    for (size_t i = 0; i < c->n; i++) {
        struct err err;
        if (set_row(c, i, options[i].initial, initial_origin, &err) != ERR_OK) {
            assert(err.code == ERR_NOMEM && "a row's initial value must suit its type");
            config_free(c);
            return NULL;
        }
    }
    return c;
}

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n; i++)
        config_put(c, i, &(struct config_value){0}, NULL);
    mem_free(c->origins);
    mem_free(c);
}

size_t config_find(const struct config *c, const char *key)
{
    size_t i = 0;
    while (i < c->n && strcmp(c->options[i].name, key) != 0)
        i++;
    return i;
}

bool config_is_group(const struct config *c, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < c->n; i++)
        if (str_starts(c->options[i].name, name) && c->options[i].name[len] == '.')
            return true;
    return false;
}

enum err_code config_unknown(const struct config *c, const char *key, struct err *err)
{
    struct nearest near = {.word = key};
    size_t len = strlen(key);
    for (size_t i = 0; i < c->n; i++) {
        const char *name = c->options[i].name;
        nearest_offer(&near, name);
        const char *dot = strrchr(name, '.');
        if (near.best == NULL && len > 0 && dot != NULL && strcmp(dot + 1, key) == 0) {
            near.best = name; /* only the group was left out */
            near.distance = (unsigned)(dot + 1 - name);
        }
    }
    if (near.best == NULL)
        return err_set(err, ERR_INVALID, "unknown key '%.80s'; `hearth config` lists the known ones", key);
    return err_set(err, ERR_INVALID, "unknown key '%.80s'; did you mean '%s'?", key, near.best);
}

enum err_code config_set(struct config *c, const char *key, const char *value, const char *origin,
                         struct err *err)
{
    size_t i = config_find(c, key);
    enum err_code rc = i < c->n ? set_row(c, i, value, origin, err) : config_unknown(c, key, err);
    if (rc != ERR_OK)
        (void)err_wrap(err, "%s", origin);
    return rc;
}

enum err_code config_set_pair(struct config *c, const char *pair, const char *origin, struct err *err)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL)
        return err_set(err, ERR_INVALID, "%s: '%.80s' is not of the form key=value", origin, pair);
    cleanup(mem_freep) char *key = mem_strndup(pair, (size_t)(equals - pair));
    if (key == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return config_set(c, key, equals + 1, origin, err);
}

/* True when `name` is what HEARTH_… calls the key: server.state_dir is SERVER_STATE_DIR. */
static bool is_variable_of(const char *name, size_t len, const char *key)
{
    if (strlen(key) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] != (key[i] == '.' ? '_' : toupper((unsigned char)key[i])))
            return false;
    return true;
}

/* Entries that end in * stand for every name that begins so. */
static bool is_listed(const char *name, size_t len, const char *const *names)
{
    for (; names != NULL && *names != NULL; names++) {
        size_t n = strlen(*names);
        bool open = n > 0 && (*names)[n - 1] == '*';
        if (open ? len >= n - 1 && strncmp(name, *names, n - 1) == 0
                 : len == n && strncmp(name, *names, n) == 0)
            return true;
    }
    return false;
}

/* The key a mistyped variable may have meant, looked up in the keys' own spelling. */
static enum err_code unknown_variable(const struct config *c, const char *name, struct err *err)
{
    struct nearest near = {.word = name};
    struct strlist variables = {0};
    for (size_t i = 0; i < c->n; i++) {
        if (strlist_addf(&variables, "%s%s", env_prefix, c->options[i].name) != 0)
            break; /* a suggestion less */
        char *variable = variables.items[variables.n - 1];
        for (char *p = variable; *p != '\0'; p++)
            *p = (char)(*p == '.' ? '_' : toupper((unsigned char)*p));
        nearest_offer(&near, variable);
    }
    enum err_code rc =
        near.best == NULL
            ? err_set(err, ERR_INVALID, "environment: %.80s is no setting; `hearth config` lists them", name)
            : err_set(err, ERR_INVALID, "environment: %.80s is no setting; did you mean %s?", name,
                      near.best);
    strlist_clear(&variables);
    return rc;
}

static enum err_code set_variable(struct config *c, const char *name, const char *value, struct err *err)
{
    const char *rest = name + strlen(env_prefix);
    for (size_t i = 0; i < c->n; i++) {
        if (!is_variable_of(rest, strlen(rest), c->options[i].name))
            continue;
        cleanup(mem_freep) char *origin = mem_printf("environment %s", name);
        if (origin == NULL)
            return err_set(err, ERR_NOMEM, "out of memory");
        enum err_code rc = set_row(c, i, value, origin, err);
        if (rc != ERR_OK)
            (void)err_wrap(err, "%s", origin);
        return rc;
    }
    return unknown_variable(c, name, err);
}

enum err_code config_read_environment(struct config *c, char *const *environment,
                                      const char *const *also_known, struct err *err)
{
    for (; *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        if (equals == NULL || !str_starts(*environment, env_prefix) ||
            is_listed(*environment, (size_t)(equals - *environment), also_known))
            continue;
        cleanup(mem_freep) char *name = mem_strndup(*environment, (size_t)(equals - *environment));
        if (name == NULL)
            return err_set(err, ERR_NOMEM, "out of memory");
        enum err_code rc = set_variable(c, name, equals + 1, err);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

const char *config_origin(const struct config *c, size_t i)
{
    return c->origins[i];
}

bool config_is_given(const struct config *c, const char *key)
{
    size_t i = config_find(c, key);
    return i < c->n && strcmp(c->origins[i], initial_origin) != 0;
}
