#include "cmd/juju.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 4 << 20, DEPTH_MAX = 16 };

extern char **environ;

/* ---- running a tool ---- */

/* Returns 0 or an errno. SIGPIPE and the like are as the tool expects them: this process changes none. */
static int spawn(const struct strlist *words, int out, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int e = posix_spawn_file_actions_init(&actions);
    if (e != 0)
        return e;
    e = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (e == 0)
        e = posix_spawnp(ret, words->items[0], &actions, NULL, words->items, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return e;
}

static void read_all(int fd, struct buf *into)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n > 0)
            buf_add(into, chunk, (size_t)n); /* over the limit: read on, so that the tool can end */
        else if (n == 0 || errno != EINTR)
            return;
    }
}

static enum err_code wait_for(pid_t pid, const char *tool, struct err *err)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(err, errno, "waiting for %s", tool);
    if (WIFSIGNALED(status))
        return err_set(err, ERR_INTERNAL, "%s was ended by signal %d", tool, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(err, ERR_INTERNAL, "%s ended with exit code %d", tool, WEXITSTATUS(status));
    return ERR_OK;
}

static enum err_code run(const struct strlist *words, struct buf *output, struct err *err)
{
    int ends[2] = {-1, -1};
    pid_t pid = -1;
    const char *tool = words->items[0];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_sys(err, errno, "starting %s", tool);
    int e = spawn(words, ends[1], &pid);
    io_closep(&ends[1]);
    if (e == 0)
        read_all(ends[0], output);
    io_closep(&ends[0]);
    if (e == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s is not on PATH: this works inside a hook of a Juju charm",
                       tool);
    if (e != 0)
        return err_sys(err, e, "starting %s", tool);
    if (wait_for(pid, tool, err) != ERR_OK)
        return err->code;
    return buf_check(output, err) == ERR_OK ? ERR_OK : err_wrap(err, "the output of %s", tool);
}

/* Adds words up to a NULL. */
static enum err_code add_words(struct strlist *to, const char *const *words, struct err *err)
{
    for (; *words != NULL; words++)
        if (strlist_add(to, *words) != 0)
            return err_set(err, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

/* Runs a tool that answers in JSON; no output is null. */
static enum err_code run_json(const char *const *words, json_t **ret, struct err *err)
{
    struct strlist line = {0};
    cleanup(buf_clear) struct buf output = BUF(OUTPUT_MAX);
    enum err_code rc = add_words(&line, words, err);
    if (rc == ERR_OK)
        rc = run(&line, &output, err);
    strlist_clear(&line);
    if (rc != ERR_OK)
        return rc;
    if (str_blank(buf_cstr(&output))) {
        *ret = json_null();
        return ERR_OK;
    }
    return json_parse(output.data, output.len, DEPTH_MAX, ret, err) == ERR_OK
               ? ERR_OK
               : err_wrap(err, "the output of %s", words[0]);
}

/* ---- the tools ---- */

static enum err_code take_list(const char *const *words, struct strlist *to, struct err *err)
{
    json_t *list = NULL;
    enum err_code rc = run_json(words, &list, err);
    if (rc != ERR_OK)
        return rc;
    size_t i = 0;
    json_t *item = NULL;
    if (!json_is_array(list) && !json_is_null(list))
        rc = err_set(err, ERR_INTERNAL, "%s did not answer with a list", words[0]);
    json_array_foreach(list, i, item)
    {
        if (rc == ERR_OK && !json_is_string(item))
            rc = err_set(err, ERR_INTERNAL, "%s did not answer with a list of texts", words[0]);
        if (rc == ERR_OK && strlist_add(to, json_string_value(item)) != 0)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    }
    json_decref(list);
    return rc;
}

enum err_code juju_relation_ids(const char *relation, struct strlist *ids, struct err *err)
{
    return take_list((const char *const[]){"relation-ids", "--format=json", relation, NULL}, ids, err);
}

enum err_code juju_relation_units(const char *id, struct strlist *units, struct err *err)
{
    return take_list((const char *const[]){"relation-list", "--format=json", "-r", id, NULL}, units, err);
}

enum err_code juju_relation_get(const char *id, const char *unit, json_t **ret, struct err *err)
{
    return run_json((const char *const[]){"relation-get", "--format=json", "-r", id, "-", unit, NULL}, ret,
                    err);
}

enum err_code juju_relation_set(const char *id, const struct strlist *pairs, struct err *err)
{
    struct strlist line = {0};
    cleanup(buf_clear) struct buf output = BUF(OUTPUT_MAX);
    enum err_code rc = add_words(&line, (const char *const[]){"relation-set", "-r", id, NULL}, err);
    for (size_t i = 0; i < pairs->n && rc == ERR_OK; i++)
        rc = add_words(&line, (const char *const[]){pairs->items[i], NULL}, err);
    if (rc == ERR_OK)
        rc = run(&line, &output, err);
    strlist_clear(&line);
    return rc;
}

/* network-get knows which of several networks the relation uses; Juju before 2.3 has unit-get alone. */
enum err_code juju_own_address(const char *relation, char **ret, struct err *err)
{
    json_t *address = NULL;
    enum err_code rc = run_json(
        (const char *const[]){"network-get", "--format=json", "--ingress-address=true", relation, NULL},
        &address, err);
    if (rc != ERR_OK)
        rc = run_json((const char *const[]){"unit-get", "--format=json", "private-address", NULL}, &address,
                      err);
    if (rc != ERR_OK)
        return rc;
    if (json_is_string(address))
        rc = (*ret = mem_strdup(json_string_value(address))) != NULL
                 ? ERR_OK
                 : err_set(err, ERR_NOMEM, "out of memory");
    else
        rc = err_set(err, ERR_INTERNAL, "Juju does not tell this unit's address");
    json_decref(address);
    return rc;
}
