#include "base/io.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long fail_in;
static atomic_int fail_errno;

/* True when a test asked for this operation to fail; errno is set then. */
static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_in, memory_order_relaxed) <= 0 || atomic_fetch_sub(&fail_in, 1) != 1)
        return false;
    errno = atomic_load(&fail_errno);
    return true;
}

void io_fail_at(long nth, int errnum)
{
    atomic_store(&fail_errno, errnum);
    atomic_store(&fail_in, nth);
}

void io_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* readers have nothing to lose; writers sync before */
    *fd = -1;
}

enum err_code io_read_file(const char *path, struct buf *into, struct err *err)
{
    cleanup(io_closep) int fd = must_fail() ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s does not exist", path)
                               : err_sys(err, errno, "opening %s", path);
    for (;;) {
        char chunk[16384];
        ssize_t n = must_fail() ? -1 : read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "reading %s", path);
        if (n == 0)
            break;
        buf_add(into, chunk, (size_t)n);
        enum err_code rc = buf_check(into, err);
        if (rc != ERR_OK) {
            (void)err_wrap(err, "reading %s", path);
            return rc;
        }
    }
    return ERR_OK;
}

enum err_code io_write_all(int fd, const void *bytes, size_t n, struct err *err)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t done = must_fail() ? -1 : write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_sys(err, errno, "writing");
        p += done;
        n -= (size_t)done;
    }
    return ERR_OK;
}

enum err_code io_sync_dir(const char *path, struct err *err)
{
    cleanup(io_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || must_fail() || fsync(fd) != 0)
        return err_sys(err, errno, "syncing folder %s", path);
    return ERR_OK;
}

enum err_code io_replace_file(const char *path, const void *bytes, size_t n, mode_t mode, struct err *err)
{
    cleanup(mem_freep) char *temp = mem_printf("%s.new", path);
    cleanup(mem_freep) char *folder = mem_strdup(path);
    if (temp == NULL || folder == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    cleanup(io_closep) int fd = must_fail() ? -1 : open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return err_sys(err, errno, "creating %s", temp);
    enum err_code rc = io_write_all(fd, bytes, n, err);
    if (rc == ERR_OK && fchmod(fd, mode) != 0) /* the umask has taken its part */
        rc = err_sys(err, errno, "setting rights");
    if (rc == ERR_OK && (must_fail() || fsync(fd) != 0))
        rc = err_sys(err, errno, "syncing");
    if (rc == ERR_OK && (must_fail() || rename(temp, path) != 0))
        rc = err_sys(err, errno, "renaming");
    if (rc != ERR_OK) {
        (void)unlink(temp); /* the first error is the one to tell */
        (void)err_wrap(err, "%s", path);
        return rc;
    }
    return io_sync_dir(dirname(folder), err);
}

enum err_code io_make_dirs(const char *path, mode_t mode, struct err *err)
{
    if (path[0] == '\0')
        return err_set(err, ERR_INVALID, "a folder without a name");
    cleanup(mem_freep) char *part = mem_strdup(path);
    if (part == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (char *slash = part;;) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        if (must_fail() || (mkdir(part, mode) != 0 && errno != EEXIST))
            return err_sys(err, errno, "making folder %s", part);
        if (slash == NULL)
            break;
        *slash = '/';
    }
    return io_is_dir(path) ? ERR_OK : err_set(err, ERR_IO, "%s is not a folder", path);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

enum err_code io_remove_tree(const char *path, struct err *err)
{
    if (must_fail() || (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT))
        return err_sys(err, errno, "removing %s", path);
    return ERR_OK;
}

enum err_code io_lock_file(const char *path, int *ret_fd, struct err *err)
{
    cleanup(io_closep) int fd = must_fail() ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "opening %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? err_set(err, ERR_CONFLICT, "%s is locked by another process", path)
                                    : err_sys(err, errno, "locking %s", path);
    *ret_fd = fd;
    fd = -1; /* the caller's now */
    return ERR_OK;
}

bool io_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool io_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}
