/*
 * Every setting of hearth, once: the values as a struct, the rows that describe them in settings.c.
 *
 * The YAML file, the HEARTH_… environment variables, the command line, `hearth config` and
 * docs/configuration.md are all made from those rows (base/config.h).
 *
 * Lifetime   filled at start, constant afterwards.
 */
#ifndef HEARTH_BASE_SETTINGS_H
#define HEARTH_BASE_SETTINGS_H

#include "base/config.h"
#include "base/strs.h"

#include <stdbool.h>
#include <stdint.h>

struct settings {
    struct {
        char *listen; /* address:port */
        char *state_dir;
        char *base_path; /* "" or "/prefix" */
        int64_t connections;
        int64_t body_limit; /* bytes */
        int64_t depth_limit;
        int64_t request_timeout_ms;
        int64_t idle_timeout_ms;
        bool security_headers;
        char *log_level;
    } server;
    struct {
        char *type; /* none, simple, basic */
        char *users_file;
        bool csrf;
        bool access_control;
        bool impersonation;
        struct strlist superusers;
        struct strlist allowed_users;
        struct strlist modify_users;
        struct strlist view_users;
    } auth;
    struct {
        char *home; /* "" = SPARK_HOME, then the usual places */
        char *master;
        char *deploy_mode; /* client, cluster */
        bool class_data_archive;
        struct strlist denied_conf;
        struct strlist path_conf; /* further conf keys that hold paths */
        struct strlist local_dirs;
    } spark;
    struct {
        int64_t memory;  /* bytes; 0 = the machine's less the reserve */
        int64_t reserve; /* bytes */
        int64_t running; /* applications; 0 = no limit */
        int64_t queue;
    } admission;
    struct {
        int64_t log_size; /* bytes per application */
        bool memory_limit;
        int64_t stop_grace_ms;
        int64_t term_grace_ms;
    } driver;
    struct {
        char *listen; /* address:port for agents */
        struct strlist warm;
        int64_t idle_timeout_ms; /* 0: none */
        int64_t ttl_ms;          /* 0: none */
        int64_t start_timeout_ms;
        int64_t orphan_timeout_ms;
        int64_t cancel_timeout_ms;
        int64_t output_limit; /* bytes */
        int64_t upload_limit; /* bytes */
        int64_t sql_rows;
        bool idle_with_context;
    } sessions;
    struct {
        struct strlist watch;
        int64_t period_ms;
        char *secrets_file;
        char *submission; /* rpc, rest */
        int64_t rest_port;
    } clusters;
    struct {
        char *livy_url;     /* "" = hearth's own core */
        bool livy_required; /* no row of its own: an empty livy_url is an error of each request
                               (provision/compat.h) */
        bool strict_compat;
        struct strlist namenodes; /* at most two base URLs */
        bool kerberos;
        int64_t threads; /* posts at the same time */
    } provision;
    struct {
        int64_t history; /* fires kept per schedule */
        int64_t misfire_threshold_ms;
    } schedule;
    struct {
        int64_t age_ms;
        int64_t count;
    } retain;
};

/* The rows, in the order in which documents show them; ended by a row without a name. */
extern const struct option settings_options[];

#endif
