#include "provision/compat.h"

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "spark/properties.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    NAMENODES_MAX = 2,
    PORT_MAX = 65535,
    SCHEDULER_FILE_MAX = 64 * 1024, /* a dozen lines are usual */
    IGNORED_TEXT_MAX = 4096,
};

static const char mode_variable[] = "CLOUDERA_MODE";
static const char scheduler_variable[] = "SCHEDULER_PROP";
static const char *const required[] = {
    "LIVY_URL",       "SCHEDULER_PROP", "LOGIN_CONTEXT",    "HDFS_NAMENODE0",
    "HDFS_NAMENODE1", "WEBHDFS_PORT",   "WEBHDFS_PROTOCOL", "USE_KERBEROS_AUTH",
};

/* What a Quartz properties file says that hearth obeys, or at least tells the log. */
static const struct quartz_key {
    const char *name;
    const char *setting; /* NULL: told, no more */
} quartz_keys[] = {
    {"org.quartz.scheduler.instanceName", NULL},
    {"org.quartz.scheduler.instanceId", NULL},
    {"org.quartz.jobStore.class", NULL},
    {"org.quartz.threadPool.threadCount", "provision.threads"},
    {"org.quartz.jobStore.misfireThreshold", "schedule.misfire_threshold"},
};

enum { QUARTZ_KEYS = sizeof quartz_keys / sizeof *quartz_keys };

/* ---- addresses ---- */

/* The part of a base URL behind its scheme; NULL: it has none of the two. */
static const char *behind_scheme(const char *url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++)
        if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
            return url + strlen(schemes[i]);
    return NULL;
}

/* host, host:port or [address]:port of n bytes. */
static bool is_authority(const char *s, size_t n)
{
    const char *colon = memrchr(s, ':', n);
    if (colon != NULL && memchr(colon, ']', n - (size_t)(colon - s)) != NULL)
        colon = NULL; /* one inside an IPv6 address */
    size_t host = colon != NULL ? (size_t)(colon - s) : n;
    if (host == 0)
        return false;
    if (colon == NULL)
        return true;
    cleanup(mem_freep) char *port = mem_strndup(colon + 1, n - host - 1);
    int64_t number = 0;
    return port != NULL && parse_i64(port, 1, PORT_MAX, &number, NULL) == ERR_OK;
}

static bool is_base_url(const char *url, bool may_have_path)
{
    const char *s = behind_scheme(url);
    if (s == NULL)
        return false;
    for (const char *p = s; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || *p == '?' || *p == '#' || *p == '\x7f')
            return false;
    size_t authority = strcspn(s, "/");
    return is_authority(s, authority) && (may_have_path || s[authority] == '\0');
}

enum err_code provision_check_settings(const struct settings *settings, struct err *err)
{
    const char *livy = settings->provision.livy_url;
    const struct strlist *nodes = &settings->provision.namenodes;
    if (livy[0] != '\0' && !is_base_url(livy, true))
        return err_set(err, ERR_INVALID, "provision.livy_url: '%.80s' is not of the form http://host:port",
                       livy);
    if (nodes->n > NAMENODES_MAX)
        return err_set(err, ERR_INVALID, "provision.namenodes: %zu addresses, at most %d are allowed",
                       nodes->n, NAMENODES_MAX);
    for (size_t i = 0; i < nodes->n; i++)
        if (!is_base_url(nodes->items[i], false))
            return err_set(err, ERR_INVALID,
                           "provision.namenodes: '%.80s' is not of the form http://host:port",
                           nodes->items[i]);
    return ERR_OK;
}

/* ---- the variables ---- */

/* What was given as hearth's own setting stays. */
static enum err_code take(struct config *c, const char *key, const char *value, const char *origin,
                          struct err *err)
{
    return config_is_given(c, key) ? ERR_OK : config_set(c, key, value, origin, err);
}

static enum err_code check_mode(const char *mode, struct err *err)
{
    if (strcmp(mode, "private") != 0)
        return err_set(err, ERR_INVALID,
                       "environment CLOUDERA_MODE: '%.80s' is not supported; the only mode is private", mode);
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (getenv(required[i]) == NULL)
            return err_set(
                err, ERR_INVALID,
                "environment: %s is not set, which CLOUDERA_MODE=private requires; it may be empty",
                required[i]);
    return ERR_OK;
}

/* One of those that are required, and so are set. */
static const char *value_of(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

static enum err_code take_livy(struct config *c, struct settings *settings, struct err *err)
{
    settings->provision.livy_required = !config_is_given(c, "provision.livy_url");
    return take(c, "provision.livy_url", value_of("LIVY_URL"), "environment LIVY_URL", err);
}

/* ":port" of WEBHDFS_PORT, or "". */
static enum err_code namenode_port(char **ret, struct err *err)
{
    const char *text = value_of("WEBHDFS_PORT");
    int64_t port = 0;
    if (text[0] != '\0' && parse_i64(text, 1, PORT_MAX, &port, err) != ERR_OK)
        return err_wrap(err, "environment WEBHDFS_PORT");
    *ret = text[0] != '\0' ? mem_printf(":%d", (int)port) : mem_strdup("");
    return *ret != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

static enum err_code namenode_protocol(const char **ret, struct err *err)
{
    *ret = value_of("WEBHDFS_PROTOCOL");
    if (*ret[0] != '\0' && strcasecmp(*ret, "http") != 0 && strcasecmp(*ret, "https") != 0)
        return err_set(err, ERR_INVALID, "environment WEBHDFS_PROTOCOL: '%.80s' is neither http nor https",
                       *ret);
    return ERR_OK;
}

/* Variables that are empty leave their part out: what they should have named is not there to be asked. */
static enum err_code take_namenodes(struct config *c, struct err *err)
{
    static const char *const hosts[NAMENODES_MAX] = {"HDFS_NAMENODE0", "HDFS_NAMENODE1"};
    cleanup(mem_freep) char *port = NULL;
    const char *protocol = NULL;
    if (namenode_port(&port, err) != ERR_OK || namenode_protocol(&protocol, err) != ERR_OK)
        return err->code;
    cleanup(buf_clear) struct buf nodes = BUF(SCHEDULER_FILE_MAX);
    for (size_t i = 0; i < NAMENODES_MAX && protocol[0] != '\0'; i++) {
        const char *host = value_of(hosts[i]);
        if (host[strcspn(host, ":/, \t")] != '\0')
            return err_set(err, ERR_INVALID, "environment %s: '%.80s' is not the name of a host", hosts[i],
                           host);
        if (host[0] != '\0')
            buf_printf(&nodes, "%s%s://%s%s", nodes.len > 0 ? "," : "", protocol, host, port);
    }
    if (buf_check(&nodes, err) != ERR_OK)
        return err_wrap(err, "environment HDFS_NAMENODE0");
    return take(c, "provision.namenodes", buf_cstr(&nodes), "environment HDFS_NAMENODE0, HDFS_NAMENODE1",
                err);
}

static enum err_code take_kerberos(struct config *c, struct err *err)
{
    bool wanted = strcmp(value_of("USE_KERBEROS_AUTH"), "true") == 0;
    return take(c, "provision.kerberos", wanted ? "true" : "false", "environment USE_KERBEROS_AUTH", err);
}

/* ---- the scheduler's file ---- */

static enum err_code read_quartz(const char *path, struct strmap *ret, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(SCHEDULER_FILE_MAX);
    enum err_code rc = io_read_file(path, &text, err);
    if (rc == ERR_OK)
        rc = properties_parse(buf_cstr(&text), text.len, ret, err);
    if (rc != ERR_OK)
        (void)err_wrap(err, "environment %s: %s", scheduler_variable, path);
    return rc;
}

static enum err_code take_quartz(struct config *c, const char *path, const struct strmap *file,
                                 struct err *err)
{
    enum err_code rc = ERR_OK;
    for (size_t i = 0; i < QUARTZ_KEYS && rc == ERR_OK; i++) {
        const char *value = strmap_get(file, quartz_keys[i].name);
        if (value == NULL || quartz_keys[i].setting == NULL)
            continue;
        cleanup(mem_freep) char *origin = mem_printf("%s in %s", quartz_keys[i].name, path);
        rc = origin != NULL ? take(c, quartz_keys[i].setting, value, origin, err)
                            : err_set(err, ERR_NOMEM, "out of memory");
    }
    return rc;
}

static enum err_code take_scheduler(struct config *c, struct err *err)
{
    const char *path = value_of(scheduler_variable);
    if (path[0] == '\0')
        return ERR_OK; /* Quartz's own defaults, which are hearth's too */
    struct strmap file = {0};
    enum err_code rc = read_quartz(path, &file, err);
    if (rc == ERR_OK)
        rc = take_quartz(c, path, &file, err);
    strmap_clear(&file);
    return rc;
}

enum err_code provision_read_environment(struct config *c, struct settings *settings, struct err *err)
{
    const char *mode = getenv(mode_variable);
    if (mode == NULL)
        return ERR_OK;
    enum err_code rc = check_mode(mode, err);
    if (rc == ERR_OK)
        rc = take_livy(c, settings, err);
    if (rc == ERR_OK)
        rc = take_namenodes(c, err);
    if (rc == ERR_OK)
        rc = take_kerberos(c, err);
    return rc == ERR_OK ? take_scheduler(c, err) : rc;
}

/* ---- the log ---- */

static bool is_obeyed(const char *key)
{
    for (size_t i = 0; i < QUARTZ_KEYS; i++)
        if (strcmp(quartz_keys[i].name, key) == 0)
            return true;
    return false;
}

static void log_quartz(const char *path)
{
    struct strmap file = {0};
    struct err err;
    cleanup(buf_clear) struct buf ignored = BUF(IGNORED_TEXT_MAX);
    if (read_quartz(path, &file, &err) == ERR_OK) {
        for (size_t i = 0; i < file.n; i++)
            if (!is_obeyed(file.items[i].key))
                buf_printf(&ignored, "%s%s", ignored.len > 0 ? " " : "", file.items[i].key);
        log_info("Quartz's properties", LOG_S("file", path),
                 LOG_S("instance", strmap_get(&file, "org.quartz.scheduler.instanceName")),
                 LOG_S("store", "hearth's own, durable"), LOG_S("ignored", buf_cstr(&ignored)));
    }
    strmap_clear(&file);
}

void provision_log_environment(const struct settings *settings)
{
    if (getenv(mode_variable) == NULL)
        return;
    const char *quartz = getenv(scheduler_variable);
    if (quartz != NULL && quartz[0] != '\0')
        log_quartz(quartz);
    log_info("LOGIN_CONTEXT names a JAAS entry, which hearth does not use; Kerberos credentials come from "
             "KRB5CCNAME or KRB5_CLIENT_KTNAME, the realm from KRB5_CONFIG",
             LOG_S("kerberos", settings->provision.kerberos ? "on" : "off"));
    if (settings->provision.livy_required && settings->provision.livy_url[0] == '\0')
        log_warn("LIVY_URL is empty: nothing can be provisioned. For jobs that hearth runs itself set "
                 "provision.livy_url explicitly to an empty text");
    if (settings->provision.namenodes.n == 0)
        log_warn("no NameNode is named: programs in HDFS count as missing");
}
