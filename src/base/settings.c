#include "base/settings.h"

#define TEXT(key, field, initial, help)                                                                      \
    {                                                                                                        \
        key, OPTION_TEXT, offsetof(struct settings, field), initial, 0, 0, NULL, help                        \
    }
#define CHOICE(key, field, initial, choices, help)                                                           \
    {                                                                                                        \
        key, OPTION_CHOICE, offsetof(struct settings, field), initial, 0, 0, choices, help                   \
    }
#define LIST(key, field, initial, help)                                                                      \
    {                                                                                                        \
        key, OPTION_LIST, offsetof(struct settings, field), initial, 0, 0, NULL, help                        \
    }
#define FLAG(key, field, initial, help)                                                                      \
    {                                                                                                        \
        key, OPTION_BOOL, offsetof(struct settings, field), initial, 0, 0, NULL, help                        \
    }
#define COUNT(key, field, initial, min, max, help)                                                           \
    {                                                                                                        \
        key, OPTION_INT, offsetof(struct settings, field), initial, min, max, NULL, help                     \
    }
#define SIZE(key, field, initial, min, max, help)                                                            \
    {                                                                                                        \
        key, OPTION_SIZE, offsetof(struct settings, field), initial, min, max, NULL, help                    \
    }
#define TIME(key, field, initial, min, max, help)                                                            \
    {                                                                                                        \
        key, OPTION_DURATION, offsetof(struct settings, field), initial, min, max, NULL, help                \
    }

#define KIB (1LL << 10)
#define MIB (1LL << 20)
#define TIB (1LL << 40)
#define SECOND 1000LL
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

const struct option settings_options[] = {
    TEXT("server.listen", server.listen, "127.0.0.1:8998",
         "Address and port to listen on. An address other than loopback needs auth.type."),
    TEXT("server.state_dir", server.state_dir, "~/.local/state/hearth",
         "Folder for the database, the applications' folders and the class-data archives."),
    TEXT("server.base_path", server.base_path, "",
         "Prefix of every path, as in /hearth, when a proxy in front adds one."),
    COUNT("server.connections", server.connections, "1000", 10, 100000,
          "Open HTTP connections at the same time; more wait in the system's queue."),
    SIZE("server.body_limit", server.body_limit, "4m", KIB, 1024 * MIB, "Largest body of a request."),
    COUNT("server.depth_limit", server.depth_limit, "64", 4, 1000, "Deepest nesting of JSON in a request."),
    TIME("server.request_timeout", server.request_timeout_ms, "30s", 100, HOUR,
         "Time a client has to send a whole request."),
    TIME("server.idle_timeout", server.idle_timeout_ms, "60s", SECOND, DAY,
         "Silence after which a connection without a request is closed."),
    FLAG("server.security_headers", server.security_headers, "true",
         "Send X-Content-Type-Options, X-Frame-Options, X-XSS-Protection and "
         "Content-Security-Policy with every answer."),
    CHOICE("server.log_level", server.log_level, "info", "error warn info debug",
           "What hearth writes to its own log, on standard error."),

    CHOICE("auth.type", auth.type, "none", "none simple basic",
           "Who the users are: none (everybody may do everything), simple (the query parameter "
           "user.name is believed), basic (HTTP Basic against auth.users_file)."),
    TEXT("auth.users_file", auth.users_file, "",
         "For basic: a file of lines user:hash, hashes as crypt(3) makes them "
         "(`openssl passwd -6`)."),
    FLAG("auth.csrf", auth.csrf, "false",
         "Require the header X-Requested-By on every request that changes something."),
    FLAG("auth.access_control", auth.access_control, "false",
         "Let only owners and the users named below see logs and change applications."),
    FLAG("auth.impersonation", auth.impersonation, "false",
         "Run applications as the user that the request names (proxyUser, doAs)."),
    LIST("auth.superusers", auth.superusers, "", "Users who may do everything and act for others."),
    LIST("auth.allowed_users", auth.allowed_users, "*",
         "Users who may use hearth at all when access control is on; * is everybody."),
    LIST("auth.modify_users", auth.modify_users, "", "Users who may change every application."),
    LIST("auth.view_users", auth.view_users, "", "Users who may read every application's log."),

    TEXT("spark.home", spark.home, "",
         "Spark's folder. Empty: SPARK_HOME, else where spark-submit on the PATH belongs."),
    TEXT("spark.master", spark.master, "local[*]",
         "Master for applications that do not name one in the field master."),
    CHOICE("spark.deploy_mode", spark.deploy_mode, "client", "client cluster",
           "Deploy mode for applications that do not name one in the field deployMode."),
    FLAG("spark.class_data_archive", spark.class_data_archive, "true",
         "Make and use an archive of Spark's classes so that drivers start faster."),
    LIST("spark.denied_conf", spark.denied_conf,
         "spark.submit.deployMode,spark.submit.proxyUser.allowCustomClasspathInClusterMode,"
         "spark.yarn.jar,spark.yarn.jars,spark.yarn.archive,livy.rsc.server.idle-timeout",
         "Configuration keys that a request may not set."),
    LIST("spark.path_conf", spark.path_conf, "",
         "Further configuration keys that hold paths and are checked like spark.jars."),
    LIST("spark.local_dirs", spark.local_dirs, "",
         "Folders from which requests may name local files. Empty: everywhere while hearth listens "
         "on loopback only, nowhere otherwise."),

    SIZE("admission.memory", admission.memory, "0", 0, 1024 * TIB,
         "Memory for all drivers together. 0: the machine's, or its control group's, less the "
         "reserve."),
    SIZE("admission.reserve", admission.reserve, "1g", 0, 1024 * TIB,
         "Memory left to everything else when admission.memory is 0."),
    COUNT("admission.running", admission.running, "0", 0, 100000,
          "Drivers at the same time. 0: as many as memory allows."),
    COUNT("admission.queue", admission.queue, "10000", 1, 10000000,
          "Applications that may wait for room; beyond that a request is answered 503."),

    SIZE("driver.log_size", driver.log_size, "256m", 64 * KIB, TIB,
         "Driver output kept per application; the oldest goes first."),
    FLAG("driver.memory_limit", driver.memory_limit, "false",
         "Hold each driver to the memory it was admitted with, by a control group."),
    TIME("driver.stop_grace", driver.stop_grace_ms, "2s", 0, HOUR,
         "How long a driver that was asked to stop may take before SIGTERM."),
    TIME("driver.term_grace", driver.term_grace_ms, "5s", 0, HOUR,
         "How long it may take after SIGTERM before SIGKILL."),

    TEXT("sessions.listen", sessions.listen, "127.0.0.1:0",
         "Address and port on which the drivers of sessions reach hearth. Port 0: any free one, which "
         "running drivers find again after a restart."),
    LIST("sessions.warm", sessions.warm, "",
         "Drivers that stand ready for the next sessions, as KIND=COUNT or KIND=COUNT@MEMORY with KIND "
         "pyspark or spark: pyspark=2,spark=1@4g. They give way when something waits for memory."),
    TIME("sessions.idle_timeout", sessions.idle_timeout_ms, "1h", 0, 3650 * DAY,
         "A session that was idle for so long ends, unless its request says otherwise. 0: never."),
    TIME("sessions.ttl", sessions.ttl_ms, "0", 0, 3650 * DAY,
         "A session that is so old ends, unless its request says otherwise. 0: never."),
    TIME("sessions.start_timeout", sessions.start_timeout_ms, "5m", SECOND, DAY,
         "A driver that is not ready after so long is ended, and its session with it."),
    TIME("sessions.orphan_timeout", sessions.orphan_timeout_ms, "1h", SECOND, 365 * DAY,
         "A session's driver that finds no server for so long, and runs nothing, ends by itself."),
    TIME("sessions.cancel_timeout", sessions.cancel_timeout_ms, "30s", SECOND, HOUR,
         "How long a cancelled statement may take to end before it counts as stuck."),
    SIZE("sessions.output_limit", sessions.output_limit, "16m", 64 * KIB, 48 * MIB,
         "Largest output of one statement; longer text is cut with a word."),
    SIZE("sessions.upload_limit", sessions.upload_limit, "100m", KIB, TIB,
         "Largest upload to a session: the whole body of the request."),
    COUNT("sessions.sql_rows", sessions.sql_rows, "1000", 1, 1000000,
          "Rows of a query's result that a session of kind sql shows."),
    FLAG("sessions.idle_with_context", sessions.idle_with_context, "false",
         "Let a session be idle only when its SparkContext stands; otherwise it takes code earlier."),

    LIST("clusters.watch", clusters.watch, "",
         "Standalone clusters to watch, as NAME=MASTERS or NAME=MASTERS@PERIOD: "
         "main=spark://a:7077,b:7077, test=spark://c:7077@30s."),
    TIME("clusters.period", clusters.period_ms, "5s", 100, HOUR,
         "How often the state of a watched cluster is read when its entry does not say it."),
    TEXT("clusters.secrets_file", clusters.secrets_file, "",
         "A file of lines NAME:SECRET, the spark.authenticate.secret of watched clusters."),
    CHOICE("clusters.submission", clusters.submission, "rpc", "rpc rest",
           "How drivers in cluster deploy mode reach a standalone master: rpc (the REST submission server "
           "when RPC is refused), or rest only."),
    COUNT("clusters.rest_port", clusters.rest_port, "6066", 1, 65535,
          "Port of a master's REST submission server when the master does not tell it."),

    TEXT("provision.livy_url", provision.livy_url, "",
         "Base URL of the Livy server to which provisioned jobs are posted, as in http://livy:8998. Empty: "
         "hearth runs them itself."),
    COUNT("provision.threads", provision.threads, "10", 1, 10000,
          "Jobs that are posted to provision.livy_url at the same time; what is due meanwhile waits."),
    FLAG("provision.strict_compat", provision.strict_compat, "false",
         "Leave out conf and dependencies of a descriptor when its job runs, as the original provisioner "
         "does."),
    LIST("provision.namenodes", provision.namenodes, "",
         "WebHDFS addresses of one or two NameNodes, as in http://nn0:9870,http://nn1:9870, that are asked "
         "whether a provisioned job's hdfs:// file exists."),
    FLAG("provision.kerberos", provision.kerberos, "false",
         "Authenticate by Kerberos (SPNEGO) to provision.namenodes and provision.livy_url, with the "
         "credentials that KRB5CCNAME or KRB5_CLIENT_KTNAME name."),

    COUNT("schedule.history", schedule.history, "100", 1, 1000000,
          "How many fires of each schedule are kept; the oldest that have ended go first."),
    TIME("schedule.misfire_threshold", schedule.misfire_threshold_ms, "60s", 100, DAY,
         "How late a schedule may fire. What is later is a misfire, and the schedule's misfire instruction "
         "says "
         "what happens."),

    TIME("retain.age", retain.age_ms, "30d", SECOND, 3650 * DAY,
         "How long an ended application stays listed."),
    COUNT("retain.count", retain.count, "10000", 1, 10000000,
          "How many ended applications stay listed; the oldest go first."),
    {0},
};
