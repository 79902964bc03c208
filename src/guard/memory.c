#include "guard/memory.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROC_FILE_MAX = 1024 * 1024 };

/* The number behind a word that stands at the start of a line; 0 when it is not there. */
static uint64_t read_count(const char *path, const char *word)
{
    cleanup(buf_clear) struct buf text = BUF(PROC_FILE_MAX);
    if (io_read_file(path, &text, NULL) != ERR_OK)
        return 0;
    size_t n = strlen(word);
    for (const char *line = buf_cstr(&text); line != NULL;) {
        if (strncmp(line, word, n) == 0 && line[n] == ' ')
            return strtoull(line + n, NULL, 10);
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return 0;
}

void guard_memory_init(struct guard_memory *m)
{
    *m = (struct guard_memory){.machine_before = read_count("/proc/vmstat", "oom_kill")};
}

/* --- where control groups are ------------------------------------------------------------------- */

struct hierarchy {
    bool v2;
    char mount[512]; /* where its files are */
    char root[512];  /* what of the hierarchy is mounted there */
};

static bool has_option(const char *options, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = options; (p = strstr(p, name)) != NULL; p += n)
        if ((p == options || p[-1] == ',') && (p[n] == ',' || p[n] == '\n' || p[n] == '\0'))
            return true;
    return false;
}

/* One line of mountinfo: true when it is the hierarchy that limits memory. */
static bool is_memory_mount(const char *line, struct hierarchy *h)
{
    char type[64];
    char options[512];
    const char *behind = strstr(line, " - ");
    if (behind == NULL || sscanf(line, "%*s %*s %*s %511s %511s", h->root, h->mount) != 2 ||
        sscanf(behind, " - %63s %*s %511[^\n]", type, options) != 2)
        return false;
    h->v2 = strcmp(type, "cgroup2") == 0;
    if (h->v2) {
        char controllers[600];
        cleanup(buf_clear) struct buf text = BUF(4096);
        (void)snprintf(controllers, sizeof controllers, "%s/cgroup.controllers", h->mount);
        return io_read_file(controllers, &text, NULL) == ERR_OK && strstr(buf_cstr(&text), "memory") != NULL;
    }
    return strcmp(type, "cgroup") == 0 && has_option(options, "memory");
}

static bool find_hierarchy(struct hierarchy *ret)
{
    cleanup(buf_clear) struct buf text = BUF(PROC_FILE_MAX);
    if (io_read_file("/proc/self/mountinfo", &text, NULL) != ERR_OK)
        return false;
    for (const char *line = buf_cstr(&text); line != NULL && *line != '\0';) {
        if (is_memory_mount(line, ret))
            return true;
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return false;
}

/* This process's group in it: "0::/path" or "4:memory:/path" in /proc/self/cgroup. */
static char *own_group(const struct hierarchy *h)
{
    cleanup(buf_clear) struct buf text = BUF(65536);
    if (io_read_file("/proc/self/cgroup", &text, NULL) != ERR_OK)
        return NULL;
    char *rest = NULL;
    for (char *line = strtok_r(text.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *names = strchr(line, ':');
        char *path = names != NULL ? strchr(names + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        if (h->v2 ? strcmp(names, ":") != 0 : !has_option(names + 1, "memory"))
            continue;
        size_t n = strcmp(h->root, "/") != 0 ? strlen(h->root) : 0;
        char *group = mem_printf("%s%s", h->mount, strncmp(path, h->root, n) == 0 ? path + n : path);
        if (group == NULL || io_is_dir(group))
            return group;
        mem_free(group); /* mounted from another name space: the mount is all there is of it */
        return mem_strdup(h->mount);
    }
    return NULL;
}

/* --- a group of its own ------------------------------------------------------------------------- */

static enum err_code write_number(const char *group, const char *file, uint64_t n, struct err *err)
{
    char text[32];
    cleanup(mem_freep) char *path = mem_printf("%s/%s", group, file);
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    cleanup(io_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)len) != len)
        return err_sys(err, errno, "writing %s", path);
    return ERR_OK;
}

/* In version 2 a group's children have a memory limit only where the group says so, which the kernel
 * refuses as long as processes are in it: then hearth's service must be set up for it. */
static void enable_for_children(const char *group)
{
    cleanup(mem_freep) char *path = mem_printf("%s/cgroup.subtree_control", group);
    cleanup(io_closep) int fd = path != NULL ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0)
        (void)!write(fd, "+memory", 7); /* the limit itself tells whether it worked */
}

static enum err_code set_limit(const char *group, bool v2, uint64_t limit, pid_t pid, struct err *err)
{
    enum err_code rc = write_number(group, v2 ? "memory.max" : "memory.limit_in_bytes", limit, err);
    if (rc == ERR_OK) /* no way out into swap space, where the kernel counts it */
        (void)write_number(group, v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes", v2 ? 0 : limit,
                           NULL);
    return rc == ERR_OK ? write_number(group, "cgroup.procs", (uint64_t)pid, err) : rc;
}

enum err_code guard_memory_limit(struct guard_memory *m, uint64_t limit_bytes, pid_t pid, struct err *err)
{
    struct hierarchy h;
    if (!find_hierarchy(&h))
        return err_set(err, ERR_NOT_FOUND, "this system has no control groups that limit memory");
    cleanup(mem_freep) char *own = own_group(&h);
    cleanup(mem_freep) char *group = own != NULL ? mem_printf("%s/hearth-driver-%d", own, (int)pid) : NULL;
    if (group == NULL)
        return err_set(err, ERR_NOT_FOUND, "hearth's own control group could not be found");
    if (h.v2)
        enable_for_children(own);
    if (mkdir(group, 0755) != 0 && errno != EEXIST)
        return err_sys(err, errno, "making the control group %s", group);
    enum err_code rc = set_limit(group, h.v2, limit_bytes, pid, err);
    if (rc != ERR_OK) {
        (void)rmdir(group); /* empty */
        return rc;
    }
    m->group = group;
    m->events = h.v2 ? "memory.events" : "memory.oom_control";
    group = NULL; /* the caller's now */
    return ERR_OK;
}

bool guard_memory_was_short(const struct guard_memory *m, bool killed)
{
    if (m->group == NULL)
        return killed && read_count("/proc/vmstat", "oom_kill") > m->machine_before;
    cleanup(mem_freep) char *path = mem_printf("%s/%s", m->group, m->events);
    return path != NULL && read_count(path, "oom_kill") > 0;
}

void guard_memory_clear(struct guard_memory *m)
{
    if (m->group != NULL)
        (void)rmdir(m->group); /* fails only when a process could not be ended: then it stays */
    mem_free(m->group);
    m->group = NULL;
}
