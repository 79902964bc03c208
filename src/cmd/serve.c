/*
 * hearth serve: the server, from its settings to a clean stop.
 */
#include "app/app.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/clusters.h"
#include "cluster/drivers.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "discovery/discovery.h"
#include "door/door.h"
#include "livy/livy.h"
#include "loop/http.h"
#include "provision/compat.h"
#include "provision/provision.h"
#include "schedule/zone.h"
#include "scheduler/scheduler.h"
#include "session/session.h"
#include "spark/spark.h"
#include "store/store.h"
#include "submissions/submissions.h"
#include "web/clusters.h"
#include "web/openapi.h"
#include "web/schedules.h"
#include "web/status.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

struct serve {
    uv_loop_t loop;
    uv_signal_t on_term, on_int;
    struct settings settings;
    struct config *config;
    int lock_fd;
    struct spark *spark;
    struct err spark_missing;
    struct store *store;
    struct clusters *clusters;
    struct drivers *drivers;
    struct apps *apps;
    struct scheduler *scheduler;
    struct sessions *sessions;
    struct http_server *http;
    struct door *door;
    struct livy *livy;
    struct discovery *discovery;
    struct submissions *submissions;
    struct provision *provision;
    struct status *status;
    struct cluster_door *cluster_door;
    struct openapi *openapi;
    struct schedules *schedules;
    char *archive_dir;
};

static const struct usage usage = {
    .command = "serve",
    .synopsis = "[--listen ADDRESS:PORT] [--state FOLDER] [--config FILE] [--set KEY=VALUE]...",
    .about = "Runs the server until SIGTERM or Ctrl-C. Drivers live on when it stops; the next\n"
             "server that is started with the same state folder follows them again.",
    .examples = "  hearth serve\n"
                "  hearth serve --listen 127.0.0.1:9000 --state /var/lib/hearth\n"
                "  hearth serve --set spark.master=spark://master:7077 --set admission.memory=16g\n",
};

/* ---- preparing ---- */

enum { LOCK_PATIENCE_MS = 2000, LOCK_RETRY_MS = 20 };

static enum err_code check_exposure(const struct settings *settings, struct err *err)
{
    char host[64];
    uint16_t port = 0;
    if (http_parse_listen(settings->server.listen, host, &port, err) != ERR_OK)
        return err_wrap(err, "server.listen");
    if (http_is_loopback(host) || strcmp(settings->auth.type, "none") != 0)
        return ERR_OK;
    return err_set(err, ERR_INVALID,
                   "server.listen is %s and auth.type is none: everybody who reaches that address could run "
                   "programs here. Listen on 127.0.0.1, or set auth.type and auth.users_file",
                   settings->server.listen);
}

static enum err_code take_state_dir(struct serve *s, struct err *err)
{
    const char *dir = s->settings.server.state_dir;
    if (io_make_dirs(dir, 0700, err) != ERR_OK)
        return err_wrap(err, "server.state_dir");
    cleanup(mem_freep) char *path = mem_printf("%s/server.lock", dir);
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    /* A child that a killed server was just starting holds the lock for a moment longer. */
    enum err_code rc = io_lock_file(path, &s->lock_fd, err);
    for (int waited_ms = 0; rc == ERR_CONFLICT && waited_ms < LOCK_PATIENCE_MS; waited_ms += LOCK_RETRY_MS) {
        (void)usleep(LOCK_RETRY_MS * 1000);
        rc = io_lock_file(path, &s->lock_fd, err);
    }
    if (rc == ERR_CONFLICT)
        return err_set(err, rc,
                       "another hearth runs with the state folder %s; stop it, or give another one (--state)",
                       dir);
    return rc;
}

/* Without Spark the server still shows what it knows; submissions are refused with the reason. */
static void find_spark(struct serve *s)
{
    const char *home = s->settings.spark.home;
    struct spark_options options = {
        .home = home,
        .archive_dir = s->settings.spark.class_data_archive ? s->archive_dir : NULL,
    };
    if (spark_open(&options, &s->spark, &s->spark_missing) == ERR_OK)
        log_info("Spark", LOG_S("home", spark_home(s->spark)), LOG_S("version", spark_version(s->spark)),
                 LOG_S("java", spark_java(s->spark)));
    else
        log_warn("no Spark: submissions are refused", LOG_S("why", s->spark_missing.msg));
}

static enum err_code take_uploads(struct serve *s, struct err *err)
{
    cleanup(mem_freep) char *dir = mem_printf("%s/uploads", s->settings.server.state_dir);
    if (dir == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct http_upload_options uploads = {.dir = dir, .limit = s->settings.sessions.upload_limit};
    return http_set_uploads(s->http, &uploads, err);
}

static enum err_code open_livy(struct serve *s, struct err *err)
{
    struct livy_options livy = {
        .loop = &s->loop,
        .server = s->http,
        .apps = s->apps,
        .sessions = s->sessions,
        .door = s->door,
        .settings = &s->settings,
    };
    return livy_open(&livy, &s->livy, err);
}

static enum err_code open_submissions(struct serve *s, struct err *err)
{
    struct submissions_options submissions = {
        .server = s->http,
        .apps = s->apps,
        .door = s->door,
        .spark = s->spark,
        .spark_missing = s->spark_missing.msg,
        .settings = &s->settings,
    };
    s->submissions = submissions_open(&submissions);
    return s->submissions != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static enum err_code open_provision(struct serve *s, struct err *err)
{
    struct provision_options provision = {
        .loop = &s->loop,
        .server = s->http,
        .scheduler = s->scheduler,
        .store = s->store,
        .apps = s->apps,
        .door = s->door,
        .settings = &s->settings,
    };
    return provision_open(&provision, &s->provision, err);
}

static enum err_code open_doors(struct serve *s, struct err *err)
{
    struct http_options http = {
        .listen = s->settings.server.listen,
        .base_path = s->settings.server.base_path,
        .connections = (unsigned)s->settings.server.connections,
        .body_limit = (size_t)s->settings.server.body_limit,
        .request_timeout_ms = s->settings.server.request_timeout_ms,
        .idle_timeout_ms = s->settings.server.idle_timeout_ms,
        .security_headers = s->settings.server.security_headers,
    };
    if (http_server_new(&s->loop, &http, &s->http, err) != ERR_OK || take_uploads(s, err) != ERR_OK ||
        door_open(&s->loop, &s->settings, &s->door, err) != ERR_OK || open_livy(s, err) != ERR_OK ||
        open_submissions(s, err) != ERR_OK || open_provision(s, err) != ERR_OK)
        return err->code;
    struct discovery_options discovery = {
        .loop = &s->loop,
        .server = s->http,
        .store = s->store,
        .clusters = s->clusters,
        .settings = &s->settings,
    };
    if (discovery_open(&discovery, &s->discovery, err) != ERR_OK)
        return err->code;
    struct status_options status = {
        .server = s->http,
        .apps = s->apps,
        .sessions = s->sessions,
        .scheduler = s->scheduler,
        .store = s->store,
        .spark = s->spark,
        .spark_missing = s->spark_missing.msg,
        .settings = &s->settings,
    };
    struct cluster_door_options clusters = {s->http, s->clusters, s->door};
    struct schedules_options schedules = {s->http, s->scheduler, s->door, &s->settings};
    s->status = status_open(&status);
    s->cluster_door = cluster_door_open(&clusters);
    s->openapi = openapi_open(s->http);
    s->schedules = schedules_open(&schedules);
    if (s->status == NULL || s->cluster_door == NULL || s->openapi == NULL || s->schedules == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

static enum err_code start(struct serve *s, struct err *err)
{
    enum err_code rc = check_exposure(&s->settings, err);
    if (rc == ERR_OK)
        rc = take_state_dir(s, err);
    if (rc == ERR_OK && (s->archive_dir = mem_printf("%s/archives", s->settings.server.state_dir)) == NULL)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != ERR_OK)
        return rc;
    find_spark(s);
    rc = store_open(&s->loop, s->settings.server.state_dir, &s->store, err);
    if (rc == ERR_OK)
        rc = clusters_open(&s->loop, &s->settings, &s->clusters, err);
    if (rc != ERR_OK)
        return rc;
    struct drivers_options drivers = {
        .loop = &s->loop,
        .clusters = s->clusters,
        .settings = &s->settings,
        .spark = s->spark,
    };
    s->drivers = drivers_open(&drivers);
    if (s->drivers == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct apps_options apps = {
        .loop = &s->loop,
        .drivers = s->drivers,
        .store = s->store,
        .spark = s->spark,
        .spark_missing = s->spark_missing.msg,
        .settings = &s->settings,
        .state_dir = s->settings.server.state_dir,
    };
    rc = apps_open(&apps, &s->apps, err);
    if (rc != ERR_OK)
        return rc;
    struct scheduler_options scheduler = {
        .loop = &s->loop,
        .store = s->store,
        .apps = s->apps,
        .settings = &s->settings,
    };
    rc = scheduler_open(&scheduler, &s->scheduler, err);
    if (rc != ERR_OK)
        return rc;
    struct sessions_options sessions = {
        .loop = &s->loop,
        .store = s->store,
        .apps = s->apps,
        .spark = s->spark,
        .settings = &s->settings,
        .state_dir = s->settings.server.state_dir,
    };
    rc = sessions_open(&sessions, &s->sessions, err);
    if (rc == ERR_OK)
        rc = open_doors(s, err);
    if (rc == ERR_OK)
        scheduler_start(s->scheduler); /* behind the doors that have schedules */
    return rc;
}

/* ---- running and stopping ---- */

/* Each part stops in the order in which they depend on each other; what is under way comes back while
 * the loop runs empty, and only then is memory freed. */
static void stop(struct serve *s)
{
    store_close(s->store);
    scheduler_stop(s->scheduler);
    sessions_stop(s->sessions);
    if (s->apps != NULL)
        apps_stop(s->apps);
    drivers_stop(s->drivers);
    clusters_stop(s->clusters);
    cluster_door_stop(s->cluster_door);
    discovery_stop(s->discovery);
    provision_stop(s->provision);
    http_server_close(s->http); /* sends what these have answered */
    if (s->spark != NULL)
        spark_stop_training(s->spark);
    uv_close((uv_handle_t *)&s->on_term, NULL);
    uv_close((uv_handle_t *)&s->on_int, NULL);
    (void)uv_run(&s->loop, UV_RUN_DEFAULT); /* until nothing is left */
    provision_free(s->provision);
    submissions_close(s->submissions);
    livy_close(s->livy);
    discovery_free(s->discovery);
    status_close(s->status);
    door_close(s->door);
    cluster_door_close(s->cluster_door);
    openapi_close(s->openapi);
    schedules_close(s->schedules);
    scheduler_free(s->scheduler);
    zone_forget_all();
    sessions_free(s->sessions);
    apps_free(s->apps);
    drivers_free(s->drivers);
    clusters_free(s->clusters);
    spark_close(s->spark);
    mem_free(s->archive_dir);
    io_closep(&s->lock_fd);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    log_info("stopping; drivers live on", LOG_S("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"));
    uv_stop(handle->loop);
}

static void prepare_process(void)
{
    struct rlimit files;
    (void)signal(SIGPIPE, SIG_IGN); /* a client that goes away is an error code, not an end */
    (void)mallopt(M_ARENA_MAX, 2);  /* a few threads, little memory */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* connections are limited by server.connections */
    }
}

static void set_log_level(const char *level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i <= LOG_DEBUG; i++)
        if (strcmp(level, names[i]) == 0)
            log_set_level((enum log_level)i);
}

static int run(struct serve *s)
{
    struct err err = {0};
    (void)uv_loop_init(&s->loop);
    (void)uv_signal_init(&s->loop, &s->on_term);
    (void)uv_signal_init(&s->loop, &s->on_int);
    enum err_code rc = start(s, &err);
    if (rc == ERR_OK) {
        (void)uv_signal_start(&s->on_term, on_stop_signal, SIGTERM);
        (void)uv_signal_start(&s->on_int, on_stop_signal, SIGINT);
        if (s->spark != NULL && s->settings.spark.class_data_archive)
            spark_train(s->spark, &s->loop, NULL, NULL);
        log_info("hearth listens", LOG_S("version", HEARTH_VERSION),
                 LOG_S("address", http_server_address(s->http)),
                 LOG_S("state", s->settings.server.state_dir));
        (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    } else {
        (void)fprintf(stderr, "hearth serve: %s\n", err.msg);
    }
    stop(s);
    (void)uv_loop_close(&s->loop);
    return rc == ERR_OK ? CMD_OK : CMD_FAILED;
}

int cmd_serve(int argc, char **argv)
{
    static struct serve s; /* zeroed; too large for comfort on the stack */
    s.lock_fd = -1;
    int rc = cmd_load_settings(&usage, NULL, argc, argv, &s.settings, &s.config);
    if (rc != ARGS_GO)
        return rc;
    prepare_process();
    set_log_level(s.settings.server.log_level);
    provision_log_environment(&s.settings);
    rc = run(&s);
    config_free(s.config);
    return rc;
}
