#include "cmd/doctor.h"

#include "app/app.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "cmd/client.h"
#include "cmd/show.h"
#include "loop/http.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

static void found(struct finding *f, enum verdict verdict, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void mend(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void found(struct finding *f, enum verdict verdict, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    f->verdict = verdict;
    (void)vsnprintf(f->text, sizeof f->text, fmt, ap);
    va_end(ap);
}

static void mend(struct finding *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(f->mend, sizeof f->mend, fmt, ap);
    va_end(ap);
}

/* ---- Spark and java ------------------------------------------------------------------------ */

static void check_spark(const struct patient *p, struct finding *f)
{
    if (p->spark == NULL) {
        found(f, DOCTOR_FAIL, "%s", p->why_not.msg);
        mend(f, "unpack Spark somewhere and set SPARK_HOME, or the setting spark.home, to that folder");
        return;
    }
    found(f, DOCTOR_OK, "Spark %s in %s", spark_version(p->spark), spark_home(p->spark));
}

/* The version that java's own folder names in the file "release": JAVA_VERSION="17.0.9". */
static int java_version(const char *java, char *text, size_t size)
{
    char real[PATH_MAX];
    cleanup(buf_clear) struct buf release = BUF(65536);
    char *bin = realpath(java, real) != NULL ? strstr(real, "/bin/java") : NULL;
    if (bin == NULL)
        return -1;
    *bin = '\0';
    cleanup(mem_freep) char *path = mem_printf("%s/release", real);
    if (path == NULL || io_read_file(path, &release, NULL) != ERR_OK)
        return -1;
    static const char label[] = "JAVA_VERSION=\"";
    const char *version = strstr(buf_cstr(&release), label);
    if (version == NULL)
        return -1;
    version += strlen(label);
    (void)snprintf(text, size, "%.*s", (int)strcspn(version, "\""), version);
    return (int)strtol(str_starts(text, "1.") ? text + 2 : text, NULL, 10); /* "1.8.0_392" is Java 8 */
}

static void check_java(const struct patient *p, struct finding *f)
{
    if (p->spark == NULL) {
        found(f, DOCTOR_WARN, "not looked for, because Spark was not found");
        return;
    }
    char text[64] = "";
    const char *java = spark_java(p->spark);
    int version = java_version(java, text, sizeof text);
    bool is_spark_4 = strtol(spark_version(p->spark), NULL, 10) >= 4;
    int least = is_spark_4 ? 17 : 8;
    if (version < 0) {
        found(f, DOCTOR_WARN, "%s, of unknown version", java);
    } else if (version < least) {
        found(f, DOCTOR_FAIL, "Java %s (%s) is too old for Spark %s", text, java, spark_version(p->spark));
        mend(f, "install Java %d or newer and set JAVA_HOME", least);
    } else {
        found(f, DOCTOR_OK, "Java %s (%s)", text, java);
    }
}

/* The first program of that name on the PATH; NULL when there is none. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    struct strlist folders = {0};
    char *program = NULL;
    if (strchr(name, '/') != NULL)
        return access(name, X_OK) == 0 ? mem_strdup(name) : NULL;
    if (path == NULL || strlist_split(&folders, path, ":") != 0)
        return NULL;
    for (size_t i = 0; i < folders.n && program == NULL; i++) {
        program = mem_printf("%s/%s", folders.items[i], name);
        if (program != NULL && access(program, X_OK) != 0)
            mem_freep(&program);
    }
    strlist_clear(&folders);
    return program;
}

static void check_python(const struct patient *p, struct finding *f)
{
    (void)p;
    const char *wanted = getenv("PYSPARK_PYTHON");
    const char *name = wanted != NULL && wanted[0] != '\0' ? wanted : "python3";
    cleanup(mem_freep) char *program = find_program(name);
    if (program != NULL) {
        found(f, DOCTOR_OK, "%s", program);
    } else {
        found(f, DOCTOR_WARN, "%s is not there: sessions and Python applications cannot run", name);
        mend(f, "install Python 3, or set PYSPARK_PYTHON to where it is");
    }
}

/* ---- the machine --------------------------------------------------------------------------- */

static void check_memory(const struct patient *p, struct finding *f)
{
    const uint64_t usual_driver = (uint64_t)1408 << 20; /* 1g of heap and what a JVM needs beside it */
    uint64_t budget = admission_budget(p->settings);
    char text[SHOW_MAX];
    show_bytes((int64_t)budget, text);
    if (budget >= usual_driver) {
        found(f, DOCTOR_OK, "%s for all drivers together: room for %" PRIu64 " of the usual size", text,
              budget / usual_driver);
    } else {
        found(f, DOCTOR_WARN, "%s for all drivers together: not even one of the usual size (1g) fits", text);
        mend(f, "add memory, lower admission.reserve, set admission.memory, or submit with --driver-memory");
    }
}

/* The folder itself, or the nearest one above it that exists; cut out of `path`. */
static void nearest_folder(char *path)
{
    while (!io_exists(path)) {
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            path[0] = '.'; /* a relative path: it has room for one letter */
            path[1] = '\0';
            return;
        }
        slash[slash == path ? 1 : 0] = '\0';
    }
}

static void check_disk(const struct patient *p, struct finding *f)
{
    const char *wanted = p->settings->server.state_dir;
    cleanup(mem_freep) char *folder = mem_strdup(wanted);
    struct statvfs fs;
    if (folder == NULL || wanted[0] == '\0') {
        found(f, DOCTOR_FAIL, "server.state_dir is empty");
        return;
    }
    nearest_folder(folder);
    if (!io_is_dir(folder) || access(folder, W_OK | X_OK) != 0) {
        found(f, DOCTOR_FAIL, "%s cannot be written: %s", folder,
              io_is_dir(folder) ? strerror(errno) : "no folder");
        mend(f, "change its owner or rights, or choose another folder with --state");
        return;
    }
    if (statvfs(folder, &fs) != 0) {
        found(f, DOCTOR_WARN, "%s: %s", folder, strerror(errno));
        return;
    }
    int64_t bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    char text[SHOW_MAX];
    show_bytes(bytes, text);
    bool enough = bytes >= 4 * p->settings->driver.log_size;
    found(f, enough ? DOCTOR_OK : DOCTOR_WARN, "%s free for %s", text, wanted);
    if (!enough)
        mend(f, "make room, or lower driver.log_size: each application may fill that much with its output");
}

static void check_files(const struct patient *p, struct finding *f)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        found(f, DOCTOR_WARN, "the limit of open files is unknown: %s", strerror(errno));
        return;
    }
    int64_t need = p->settings->server.connections + 256; /* the store, logs, guards */
    bool enough = limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= (rlim_t)need;
    found(f, enough ? DOCTOR_OK : DOCTOR_WARN,
          "%ju open files are allowed, server.connections needs about %" PRId64, (uintmax_t)limit.rlim_max,
          need);
    if (!enough)
        mend(f, "raise the limit (ulimit -Hn, LimitNOFILE=) or lower server.connections");
}

/* True when the words in a control group's file name the memory controller. */
static bool names_memory(const char *path)
{
    cleanup(buf_clear) struct buf text = BUF(4096);
    return io_read_file(path, &text, NULL) == ERR_OK && strstr(buf_cstr(&text), "memory") != NULL;
}

static void check_cgroup(const struct patient *p, struct finding *f)
{
    bool wanted = p->settings->driver.memory_limit;
    const char *note = wanted ? "" : " (not used: driver.memory_limit is false)";
    if (!names_memory("/sys/fs/cgroup/cgroup.controllers"))
        found(f, wanted ? DOCTOR_FAIL : DOCTOR_OK, "no memory control groups (version 2) here%s", note);
    else if (access("/sys/fs/cgroup/cgroup.procs", W_OK) != 0)
        found(f, wanted ? DOCTOR_WARN : DOCTOR_OK,
              "memory control groups exist; whether this user may use them shows when a driver starts%s",
              note);
    else
        found(f, DOCTOR_OK, "memory control groups are available%s", note);
    if (f->verdict != DOCTOR_OK)
        mend(f, "run hearth as a systemd service with Delegate=memory, or set driver.memory_limit to false");
}

static void check_clock(const struct patient *p, struct finding *f)
{
    (void)p;
    struct timex t = {0};
    char now[CLOCK_TEXT_MAX];
    clock_format(clock_wall_ms(), now);
    bool synchronised = ntp_adjtime(&t) != TIME_ERROR;
    found(f, synchronised ? DOCTOR_OK : DOCTOR_WARN, "%s, %s", now,
          synchronised ? "kept in time" : "and nothing seems to keep it in time");
    if (!synchronised)
        mend(f, "start a time service (chrony, systemd-timesyncd), on the host if this is a container");
}

/* ---- the port ------------------------------------------------------------------------------ */

/* What getaddrinfo makes of server.listen; the caller frees it. NULL with *err set otherwise. */
static struct addrinfo *resolve(const char *listen, struct err *err)
{
    char host[64];
    char service[8];
    uint16_t port = 0;
    if (http_parse_listen(listen, host, &port, err) != ERR_OK)
        return NULL;
    (void)snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int rc = getaddrinfo(host, service, &hints, &addresses);
    if (rc != 0)
        (void)err_set(err, ERR_INVALID, "server.listen '%s': %s", listen, gai_strerror(rc));
    return rc == 0 ? addresses : NULL;
}

/* 0 when the address can be listened on, else the errno. */
static int try_to_bind(const struct addrinfo *a)
{
    cleanup(io_closep) int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, a->ai_addr, a->ai_addrlen) != 0)
        return errno;
    return 0;
}

static bool is_wildcard(const char *listen)
{
    return str_starts(listen, "0.0.0.0:") || str_starts(listen, "[::]:");
}

/* Who has the port: the version of the hearth that answers there, or NULL. The caller frees it. */
static char *hearth_at(const char *listen)
{
    cleanup(mem_freep) char *url = mem_printf("http://%s%s", is_wildcard(listen) ? "127.0.0.1" : "",
                                              is_wildcard(listen) ? strrchr(listen, ':') : listen);
    cleanup(client_freep) struct client *c = NULL;
    json_t *status = NULL;
    char *version = NULL;
    if (url != NULL && client_new(&(struct client_options){.server = url}, &c, NULL) == ERR_OK &&
        client_ask(c, "GET", "/hearth/status", NULL, &status, NULL) == ERR_OK)
        version = mem_strdup(answer_text(status, "version", "of unknown version"));
    json_decref(status);
    return version;
}

static void check_port(const struct patient *p, struct finding *f)
{
    const char *listen = p->settings->server.listen;
    struct err err;
    struct addrinfo *address = resolve(listen, &err);
    if (address == NULL) {
        found(f, DOCTOR_FAIL, "%s", err.msg);
        mend(f, "write it as in 127.0.0.1:8998");
        return;
    }
    int errnum = try_to_bind(address);
    freeaddrinfo(address);
    cleanup(mem_freep) char *version = errnum == EADDRINUSE ? hearth_at(listen) : NULL;
    if (errnum == 0) {
        found(f, DOCTOR_OK, "%s is free", listen);
    } else if (version != NULL) {
        found(f, DOCTOR_OK, "a hearth (%s) answers on %s", version, listen);
    } else {
        found(f, DOCTOR_FAIL, "%s cannot be listened on: %s", listen, strerror(errnum));
        mend(f, "choose another port with --listen, or end what has this one (ss -ltnp shows it)");
    }
}

/* ---- all of them --------------------------------------------------------------------------- */

const struct doctor_check doctor_checks[DOCTOR_CHECKS] = {
    {"spark", check_spark},   {"java", check_java},     {"python", check_python},
    {"memory", check_memory}, {"disk", check_disk},     {"port", check_port},
    {"files", check_files},   {"cgroup", check_cgroup}, {"clock", check_clock},
};
