#include "guard/driver.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- starting ----------------------------------------------------------------------------------- */

static int open_folder(const struct guard_launch *l)
{
    return open(l->folder != NULL ? l->folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

enum err_code guard_driver_check(const struct guard_launch *l, struct err *err)
{
    cleanup(io_closep) int folder = open_folder(l);
    if (folder < 0)
        return err_sys(err, errno, "the driver's working folder %s", l->folder != NULL ? l->folder : ".");
    if (faccessat(folder, l->argv.items[0], X_OK, 0) != 0)
        return err_sys(err, errno, "the program %s cannot be executed", l->argv.items[0]);
    return ERR_OK;
}

/* All that the driver must not inherit from the guard. Descriptors are closed by execve. */
static void reset_process(void)
{
    /* By the system call: the C library keeps two signals for itself, which posix_spawn leaves ignored in
     * every descendant. All zero is SIG_DFL without flags. */
    const unsigned long standard[4] = {0};
    for (int s = 1; s < NSIG; s++)
        (void)syscall(SYS_rt_sigaction, s, standard, NULL, (size_t)NSIG / 8); /* two cannot be set */
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) /* kernels before 5.11 */
        for (int fd = 3; fd < (int)sysconf(_SC_OPEN_MAX); fd++)
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* The child's life until execve; everything it needs was prepared before fork(). */
static _Noreturn void become_driver(const struct guard_launch *l, int folder, const int output[2], int go,
                                    int failed)
{
    char byte;
    (void)setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY);
    bool ready = null >= 0 && dup2(null, 0) >= 0 && dup2(output[0], 1) >= 0 && dup2(output[1], 2) >= 0 &&
                 fchdir(folder) == 0;
    int error = ready ? 0 : errno;
    if (read(go, &byte, 1) != 1)
        _exit(127); /* the guard is gone: nobody knows of this driver */
    if (error == 0) {
        reset_process();
        (void)execve(l->argv.items[0], l->argv.items, l->env.items != NULL ? l->env.items : (char *[]){NULL});
        error = errno;
    }
    (void)!write(failed, &error, sizeof error);
    _exit(127);
}

enum { PIPE_OUT, PIPE_ERR, PIPE_GO, PIPE_FAILED, PIPES };

static void close_pipes(int pipes[PIPES][2])
{
    for (int i = 0; i < PIPES; i++) {
        io_closep(&pipes[i][0]);
        io_closep(&pipes[i][1]);
    }
}

static enum err_code open_pipes(int pipes[PIPES][2], struct err *err)
{
    for (int i = 0; i < PIPES; i++)
        pipes[i][0] = pipes[i][1] = -1;
    for (int i = 0; i < PIPES; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) != 0) {
            enum err_code rc = err_sys(err, errno, "making a pipe");
            close_pipes(pipes);
            return rc;
        }
    }
    return ERR_OK;
}

static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

enum err_code guard_driver_fork(const struct guard_launch *l, struct guard_driver *ret, struct err *err)
{
    int pipes[PIPES][2];
    cleanup(io_closep) int folder = open_folder(l);
    if (folder < 0)
        return err_sys(err, errno, "the driver's working folder");
    enum err_code rc = open_pipes(pipes, err);
    if (rc != ERR_OK)
        return rc;
    pid_t pid = fork();
    if (pid == 0) {
        io_closep(&pipes[PIPE_GO][1]); /* or the guard's death would not be seen */
        become_driver(l, folder, (const int[]){pipes[PIPE_OUT][1], pipes[PIPE_ERR][1]}, pipes[PIPE_GO][0],
                      pipes[PIPE_FAILED][1]);
    }
    rc = pid < 0 ? err_sys(err, errno, "starting a process") : process_id_of(pid, &ret->id, err);
    if (pid > 0)
        (void)setpgid(pid, pid); /* the child does it too: whoever comes first */
    if (rc == ERR_OK) {
        ret->output[0] = take(&pipes[PIPE_OUT][0]);
        ret->output[1] = take(&pipes[PIPE_ERR][0]);
        ret->go = take(&pipes[PIPE_GO][1]);
        ret->failed = take(&pipes[PIPE_FAILED][0]);
    }
    close_pipes(pipes); /* a child that nobody takes ends by that */
    return rc;
}

enum err_code guard_driver_go(struct guard_driver *d, struct err *err)
{
    int error = 0;
    ssize_t n = write(d->go, "", 1);
    if (n != 1)
        return err_sys(err, errno, "the driver's process has vanished");
    io_closep(&d->go);
    while ((n = read(d->failed, &error, sizeof error)) < 0 && errno == EINTR)
        ;
    io_closep(&d->failed);
    if (n > 0)
        return err_sys(err, error, "the driver's program could not be executed");
    return ERR_OK;
}

void guard_driver_clear(struct guard_driver *d)
{
    io_closep(&d->output[0]);
    io_closep(&d->output[1]);
    io_closep(&d->go);
    io_closep(&d->failed);
}

/* --- what it leaves behind ---------------------------------------------------------------------- */

struct process {
    pid_t pid;
    pid_t parent;
    bool ours;
};

struct processes {
    struct process *at;
    size_t n, cap;
};

static bool read_parent(pid_t pid, pid_t *ret)
{
    char path[40];
    char state = '\0';
    int parent = 0;
    cleanup(buf_clear) struct buf text = BUF(4096);
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (io_read_file(path, &text, NULL) != ERR_OK)
        return false;
    const char *behind_name = strrchr(buf_cstr(&text), ')');
    if (behind_name == NULL || sscanf(behind_name, ") %c %d", &state, &parent) != 2 || state == 'Z')
        return false;
    *ret = parent;
    return true;
}

static void add_process(struct processes *all, pid_t pid)
{
    pid_t parent = 0;
    if (!read_parent(pid, &parent))
        return;
    if (all->n == all->cap) {
        size_t cap = all->cap == 0 ? 256 : all->cap * 2;
        struct process *at = mem_realloc(all->at, cap * sizeof *at);
        if (at == NULL)
            return; /* found at the next look */
        all->at = at;
        all->cap = cap;
    }
    all->at[all->n++] = (struct process){pid, parent, parent == getpid()};
}

static void list_processes(struct processes *all)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return;
    for (struct dirent *e; (e = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid > 0)
            add_process(all, pid);
    }
    (void)closedir(proc);
}

static bool is_parent_ours(const struct processes *all, pid_t parent)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->at[i].pid == parent)
            return all->at[i].ours;
    return false;
}

static void mark_descendants(struct processes *all)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < all->n; i++) {
            struct process *p = &all->at[i];
            if (!p->ours && is_parent_ours(all, p->parent))
                changed = p->ours = true;
        }
    }
}

unsigned guard_signal_descendants(int signal)
{
    struct processes all = {0};
    unsigned n = 0;
    list_processes(&all);
    mark_descendants(&all);
    for (size_t i = 0; i < all.n; i++) {
        if (!all.at[i].ours)
            continue;
        (void)kill(all.at[i].pid, signal); /* gone meanwhile: good */
        n++;
    }
    mem_free(all.at);
    return n;
}
