#include "cluster/secrets.h"

#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { SECRETS_FILE_MAX = 1 << 20 };

void secret_free(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    mem_free(secret);
}

void secrets_clear(struct strmap *secrets)
{
    for (size_t i = 0; i < secrets->n; i++)
        explicit_bzero(secrets->items[i].value, strlen(secrets->items[i].value));
    strmap_clear(secrets);
}

static enum err_code check_mode(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s does not exist", path)
                               : err_sys(err, errno, "%s", path);
    if ((st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return err_set(err, ERR_DENIED, "%s has mode %03o, others can read or change it: `chmod 600 %s`",
                       path, (unsigned)(st.st_mode & 0777), path);
    return ERR_OK;
}

static enum err_code read_text(const char *path, struct buf *text, struct err *err)
{
    enum err_code rc = check_mode(path, err);
    return rc == ERR_OK ? io_read_file(path, text, err) : rc;
}

static void wipe(struct buf *text)
{
    if (text->data != NULL)
        explicit_bzero(text->data, text->cap);
    buf_clear(text);
}

static char *next_line(char **rest)
{
    char *line = strsep(rest, "\n");
    size_t len = line != NULL ? strlen(line) : 0;
    if (len > 0 && line[len - 1] == '\r')
        line[len - 1] = '\0';
    return line;
}

static enum err_code read_line(char *line, struct strmap *ret, struct err *err)
{
    char *colon = strchr(line, ':');
    if (line[0] == '\0' || line[0] == '#')
        return ERR_OK;
    if (colon == NULL || colon == line || colon[1] == '\0')
        return err_set(err, ERR_INVALID, "expected NAME:SECRET");
    *colon = '\0';
    if (strmap_get(ret, line) != NULL)
        return err_set(err, ERR_INVALID, "a second secret for '%.100s'", line);
    return strmap_set(ret, line, colon + 1) == 0 ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

enum err_code secrets_read(const char *path, struct strmap *ret, struct err *err)
{
    cleanup(wipe) struct buf text = BUF(SECRETS_FILE_MAX);
    enum err_code rc = read_text(path, &text, err);
    char *rest = text.data;
    int number = 0;
    for (char *line; rc == ERR_OK && (line = next_line(&rest)) != NULL;) {
        number++;
        rc = read_line(line, ret, err);
        if (rc != ERR_OK)
            (void)err_wrap(err, "%s line %d", path, number);
    }
    return rc;
}

enum err_code secret_read(const char *path, char **ret, struct err *err)
{
    cleanup(wipe) struct buf text = BUF(SECRETS_FILE_MAX);
    enum err_code rc = read_text(path, &text, err);
    if (rc != ERR_OK)
        return rc;
    char *rest = text.data;
    const char *line = next_line(&rest);
    if (line == NULL || line[0] == '\0')
        return err_set(err, ERR_INVALID, "%s: its first line is empty, it should be the secret", path);
    char *copy = mem_strdup(line);
    if (copy == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *ret = copy;
    return ERR_OK;
}
