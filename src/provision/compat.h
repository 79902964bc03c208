/*
 * The environment of the provisioner that hearth stands in for, so that a deployment is switched over by
 * changing its image: CLOUDERA_MODE=private and the variables beside it become hearth's settings.
 *
 *   LIVY_URL                                  provision.livy_url
 *   HDFS_NAMENODE0, HDFS_NAMENODE1,
 *   WEBHDFS_PORT, WEBHDFS_PROTOCOL            provision.namenodes
 *   USE_KERBEROS_AUTH                         provision.kerberos
 *   SCHEDULER_PROP: a Quartz properties file  provision.threads, schedule.misfire_threshold
 *   LOGIN_CONTEXT                             nothing: a JAAS entry is for Java
 *
 * Without CLOUDERA_MODE none of them is looked at. A setting that was given as hearth's own (file, HEARTH_…,
 * --set) wins over what the variable says; so an empty provision.livy_url, given explicitly, runs the jobs
 * in hearth itself, whatever LIVY_URL is.
 *
 * Thread   the one that starts the program.
 */
#ifndef HEARTH_PROVISION_COMPAT_H
#define HEARTH_PROVISION_COMPAT_H

#include "base/config.h"
#include "base/err.h"
#include "base/settings.h"

/* After all other sources were read; `settings` are the values of `c`. ERR_INVALID: another mode, a variable
 * that is missing, a value that cannot be, a properties file that cannot be read. */
enum err_code provision_read_environment(struct config *c, struct settings *settings, struct err *err);

/* ERR_INVALID: addresses that are none, too many NameNodes. */
enum err_code provision_check_settings(const struct settings *settings, struct err *err);

/* Tells the log what was taken from that environment, and what was not. Names only, never a value that may be
 * secret. */
void provision_log_environment(const struct settings *settings);

#endif
