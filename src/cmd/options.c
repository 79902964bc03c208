#include "cmd/options.h"

#include "base/io.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "provision/compat.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usual_file[] = "/etc/hearth/hearth.yaml";

/* HEARTH_… variables that are no settings: what the client commands read, what tests use, and what
 * Kubernetes puts into every pod beside a service called "hearth". */
static const char *const other_variables[] = {
    "HEARTH_CONFIG", "HEARTH_URL",   "HEARTH_USER",      "HEARTH_POINT",
    "HEARTH_TEST_*", "HEARTH_PORT*", "HEARTH_SERVICE_*", NULL,
};

struct sources {
    const char *file;
    const char *listen;
    const char *state;
    struct strlist pairs;
};

enum { OWN_ROWS = 4, ROWS_MAX = 16 };

static void own_rows(struct sources *s, struct arg rows[OWN_ROWS])
{
    rows[0] = (struct arg){"config", 'c', ARG_TEXT, &s->file, "FILE", "settings in YAML"};
    rows[1] = (struct arg){"set", 's', ARG_MANY, &s->pairs, "KEY=VALUE", "one setting; may be repeated"};
    rows[2] =
        (struct arg){"listen", 'l', ARG_TEXT, &s->listen, "ADDR:PORT", "short for --set server.listen="};
    rows[3] = (struct arg){"state", 0, ARG_TEXT, &s->state, "FOLDER", "short for --set server.state_dir="};
}

static enum err_code load_file(struct config *c, const char *asked_for, struct err *err)
{
    const char *file = asked_for;
    if (file == NULL) {
        const char *named = getenv("HEARTH_CONFIG");
        if (named != NULL && named[0] != '\0')
            file = named;
        else if (io_exists(usual_file))
            file = usual_file;
    }
    return file != NULL ? config_read_file(c, file, err) : ERR_OK;
}

static enum err_code load(struct config *c, const struct sources *s, struct settings *settings,
                          struct err *err)
{
    enum err_code rc = load_file(c, s->file, err);
    if (rc == ERR_OK)
        rc = config_read_environment(c, environ, other_variables, err);
    for (size_t i = 0; rc == ERR_OK && i < s->pairs.n; i++)
        rc = config_set_pair(c, s->pairs.items[i], "--set", err);
    if (rc == ERR_OK && s->listen != NULL)
        rc = config_set(c, "server.listen", s->listen, "--listen", err);
    if (rc == ERR_OK && s->state != NULL)
        rc = config_set(c, "server.state_dir", s->state, "--state", err);
    if (rc == ERR_OK)
        rc = provision_read_environment(c, settings, err);
    return rc == ERR_OK ? provision_check_settings(settings, err) : rc;
}

static int load_settings(const struct usage *usage, const struct sources *s, struct settings *ret,
                         struct config **ret_config)
{
    *ret = (struct settings){0};
    struct config *c = config_new(settings_options, ret);
    if (c == NULL)
        return args_refuse(usage, "out of memory");
    struct err err;
    if (load(c, s, ret, &err) != ERR_OK) {
        config_free(c);
        (void)fprintf(stderr, "hearth %s: %s\n", usage->command, err.msg);
        return CMD_USAGE;
    }
    *ret_config = c;
    return ARGS_GO;
}

int cmd_load_settings(const struct usage *usage, const struct arg *more, int argc, char **argv,
                      struct settings *ret, struct config **ret_config)
{
    struct sources sources = {0};
    struct arg rows[ROWS_MAX] = {0};
    own_rows(&sources, rows);
    for (size_t n = OWN_ROWS; more != NULL && more->name != NULL; more++) {
        assert(n + 1 < ROWS_MAX);
        rows[n++] = *more;
    }
    int rc = args_parse(usage, rows, &argc, argv);
    if (rc == ARGS_GO)
        rc = load_settings(usage, &sources, ret, ret_config);
    strlist_clear(&sources.pairs);
    return rc;
}
