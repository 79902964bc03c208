/* The states of relations in a file, and `hearth relation states`. */
#include "base/buf.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/relation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 4 << 20, DEPTH_MAX = 4, FILE_MODE = 0600 };

/* {"NAME":{"side":"client","units":["spark:3 p/0"],"states":["joined"]}} */

static const char *side_name(enum relation_side side)
{
    return side == SIDE_PROVIDER ? "provider" : "client";
}

void relation_state_clear(struct relation_state *s)
{
    strlist_clear(&s->units);
    *s = (struct relation_state){0};
}

/* ---- the file ---- */

static char *path_of(const struct relation_options *options)
{
    const char *folder = getenv("JUJU_CHARM_DIR");
    if (options->state_file != NULL)
        return mem_strdup(options->state_file);
    if (folder == NULL || folder[0] == '\0')
        folder = getenv("CHARM_DIR");
    return mem_printf("%s/.hearth-relation.json", folder != NULL && folder[0] != '\0' ? folder : ".");
}

static bool has_word(const json_t *list, const char *word)
{
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach(list, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), word) == 0)
            return true;
    }
    return false;
}

static enum err_code read_file(const char *path, json_t **ret, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(FILE_MAX);
    enum err_code rc = io_read_file(path, &text, err);
    if (rc == ERR_NOT_FOUND)
        return (*ret = json_object()) != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
    if (rc != ERR_OK)
        return rc;
    rc = json_parse(buf_cstr(&text), text.len, DEPTH_MAX, ret, err);
    if (rc == ERR_OK && !json_is_object(*ret)) {
        json_decref(*ret);
        rc = err_set(err, ERR_INVALID, "not an object");
    }
    if (rc != ERR_OK)
        (void)err_wrap(err, "%s is damaged", path);
    return rc;
}

/* The states of all relations, and the file that they are in; the caller's both. */
static enum err_code read_all(const struct relation_options *options, char **ret_path, json_t **ret,
                              struct err *err)
{
    *ret_path = path_of(options);
    return *ret_path != NULL ? read_file(*ret_path, ret, err) : err_set(err, ERR_NOMEM, "out of memory");
}

enum err_code relation_state_load(const struct relation_options *options, struct relation_state *ret,
                                  struct err *err)
{
    cleanup(mem_freep) char *path = NULL;
    json_t *all = NULL;
    enum err_code rc = read_all(options, &path, &all, err);
    if (rc != ERR_OK)
        return rc;
    const json_t *known = json_object_get(all, options->relation);
    const json_t *states = json_object_get(known, "states");
    struct relation_state s = {
        .side = strcmp(answer_text(known, "side", ""), "provider") == 0 ? SIDE_PROVIDER : SIDE_CLIENT,
        .joined = has_word(states, "joined"),
        .master = has_word(states, "master"),
        .ready = has_word(states, "ready"),
    };
    size_t i = 0;
    json_t *unit = NULL;
    json_array_foreach(json_object_get(known, "units"), i, unit)
    {
        if (rc == ERR_OK && json_is_string(unit) && strlist_add(&s.units, json_string_value(unit)) != 0)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    }
    json_decref(all);
    if (rc == ERR_OK)
        *ret = s;
    else
        relation_state_clear(&s);
    return rc;
}

static json_t *states_json(const struct relation_state *s, const char *prefix)
{
    const struct {
        bool set;
        const char *name;
    } all[] = {{s->joined, "joined"}, {s->master, "master"}, {s->ready, "ready"}};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].set)
            (void)json_array_append_new(list,
                                        json_sprintf("%s%s", prefix, all[i].name)); /* short: noticed below */
    return list;
}

static json_t *units_json(const struct relation_state *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->units.n; i++)
        (void)json_array_append_new(list, json_string(s->units.items[i]));
    return list;
}

/* NULL: out of memory. */
static json_t *state_json(const struct relation_state *s, const char *prefix)
{
    size_t n_states = (size_t)s->joined + (size_t)s->master + (size_t)s->ready;
    json_t *object = json_pack("{s:s, s:o, s:o}", "side", side_name(s->side), "states",
                               states_json(s, prefix), "units", units_json(s));
    bool whole = json_array_size(json_object_get(object, "states")) == n_states &&
                 json_array_size(json_object_get(object, "units")) == s->units.n;
    if (object != NULL && !whole) {
        json_decref(object);
        return NULL;
    }
    return object;
}

enum err_code relation_state_save(const struct relation_options *options, const struct relation_state *s,
                                  struct err *err)
{
    cleanup(mem_freep) char *path = NULL;
    json_t *all = NULL;
    enum err_code rc = read_all(options, &path, &all, err);
    if (rc != ERR_OK)
        return rc;
    json_t *known = state_json(s, "");
    cleanup(mem_freep) char *text = NULL;
    if (known != NULL && json_object_set_new(all, options->relation, known) == 0)
        text = json_text(all);
    json_decref(all);
    if (text == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return io_replace_file(path, text, strlen(text), FILE_MODE, err);
}

/* ---- hearth relation states ---- */

static const struct usage usage = {
    .command = "relation states",
    .synopsis = "[options]",
    .about =
        "Prints the states that `hearth relation hook` has kept of a relation, one per line: NAME.joined,\n"
        "and on a client's side NAME.master and NAME.ready.",
    .examples = "  hearth relation states --relation spark\n"
                "  hearth relation states --relation spark | grep -qx spark.ready && start-working\n",
};

static int print_json(const struct relation_options *options, const struct relation_state *s)
{
    cleanup(mem_freep) char *prefix = mem_printf("%s.", options->relation);
    json_t *object = prefix != NULL ? state_json(s, prefix) : NULL;
    int exit_code = object != NULL ? answer_print(object) : CMD_FAILED;
    json_decref(object);
    return exit_code;
}

static int print_lines(const char *relation, const struct relation_state *s)
{
    if (s->joined)
        (void)printf("%s.joined\n", relation);
    if (s->master)
        (void)printf("%s.master\n", relation);
    if (s->ready)
        (void)printf("%s.ready\n", relation);
    return CMD_OK;
}

int cmd_relation_states(int argc, char **argv)
{
    struct relation_options options = {0};
    struct relation_state s = {0};
    struct err err;
    bool json = false;
    const struct arg rows[] = {
        RELATION_ARGS(&options),
        RELATION_STATE_ARG(&options),
        {"json", 0, ARG_FLAG, &json, NULL, "as JSON, with the units that have joined"},
        {0},
    };
    int exit_code = relation_open(&usage, rows, &argc, argv, SIDE_UNKNOWN, &options);
    if (exit_code != ARGS_GO)
        return exit_code;
    if (relation_state_load(&options, &s, &err) != ERR_OK)
        return relation_fail(&usage, &err);
    if (options.side != SIDE_UNKNOWN)
        s.side = options.side; /* nothing may be known yet */
    exit_code = json ? print_json(&options, &s) : print_lines(options.relation, &s);
    relation_state_clear(&s);
    return exit_code;
}
