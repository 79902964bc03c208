/*
 * The settings of the server, as `hearth serve`, `hearth config` and `hearth doctor` take them.
 *
 * Later ones win: initial values; the YAML file (--config FILE, else HEARTH_CONFIG, else
 * /etc/hearth/hearth.yaml when it exists); HEARTH_… variables; --set, --listen, --state. Below all of these,
 * when CLOUDERA_MODE is set, stands the environment of the provisioner (provision/compat.h).
 *
 *     struct settings settings;
 *     struct config *config = NULL;
 *     int rc = cmd_load_settings(&usage, NULL, argc, argv, &settings, &config);
 *     if (rc != ARGS_GO)
 *         return rc;
 *     …
 *     config_free(config);
 *
 * Thread   any.
 */
#ifndef HEARTH_CMD_OPTIONS_H
#define HEARTH_CMD_OPTIONS_H

#include "base/settings.h"
#include "cmd/args.h"

/* Parses the command line (the options above and those in `more`, which may be NULL) and loads the
 * settings. ARGS_GO with *ret and *ret_config filled: config_free(*ret_config) frees both. Or the
 * code with which the command should return, everything having been said. */
int cmd_load_settings(const struct usage *usage, const struct arg *more, int argc, char **argv,
                      struct settings *ret, struct config **ret_config);

#endif
