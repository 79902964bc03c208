#include "guard/process_id.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static enum err_code read_boot_id(char ret[PROCESS_BOOT_ID_MAX], struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(PROCESS_BOOT_ID_MAX - 1);
    enum err_code rc = io_read_file("/proc/sys/kernel/random/boot_id", &text, err);
    if (rc != ERR_OK)
        return rc;
    (void)snprintf(ret, PROCESS_BOOT_ID_MAX, "%.*s", (int)strcspn(buf_cstr(&text), "\n"), buf_cstr(&text));
    return ERR_OK;
}

/* The state letter and start time. The name in the second field may hold blanks and brackets. */
static enum err_code read_stat(pid_t pid, char *ret_state, uint64_t *ret_start, struct err *err)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup(buf_clear) struct buf text = BUF(4096);
    if (io_read_file(path, &text, NULL) != ERR_OK)
        return err_set(err, ERR_NOT_FOUND, "there is no process %d", (int)pid);
    const char *behind_name = strrchr(buf_cstr(&text), ')');
    unsigned long long start = 0;
    if (behind_name == NULL ||
        sscanf(behind_name,
               ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", ret_state,
               &start) != 2)
        return err_set(err, ERR_INTERNAL, "%s has an unknown form", path);
    *ret_start = start;
    return ERR_OK;
}

enum err_code process_id_of(pid_t pid, struct process_id *ret, struct err *err)
{
    struct process_id id = {.pid = pid};
    char state = '\0';
    enum err_code rc = read_stat(pid, &state, &id.start_time, err);
    if (rc == ERR_OK)
        rc = read_boot_id(id.boot_id, err);
    if (rc == ERR_OK)
        *ret = id;
    return rc;
}

bool process_is_of_this_boot(const struct process_id *id)
{
    char boot_id[PROCESS_BOOT_ID_MAX];
    return read_boot_id(boot_id, NULL) == ERR_OK && strcmp(boot_id, id->boot_id) == 0;
}

bool process_is_alive(const struct process_id *id)
{
    char state = '\0';
    uint64_t start = 0;
    return id->pid > 0 && process_is_of_this_boot(id) && read_stat(id->pid, &state, &start, NULL) == ERR_OK &&
           start == id->start_time && state != 'Z' && state != 'X';
}

int process_signal_group(pid_t leader, int signal)
{
    if (leader <= 1) {
        errno = EINVAL;
        return -1;
    }
    return kill(-leader, signal);
}
