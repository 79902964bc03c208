#include "guard/journal.h"

#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH = 4 };

void guard_event_clear(struct guard_event *e)
{
    mem_free(e->word);
    mem_free(e->text);
    *e = (struct guard_event){0};
}

static void read_process(struct json_in *in, struct process_id *ret)
{
    int64_t pid = 0;
    int64_t start_time = 0;
    cleanup(mem_freep) char *boot_id = NULL;
    json_in_int(in, "pid", 0, INT32_MAX, &pid);
    json_in_int(in, "startTime", 0, INT64_MAX, &start_time);
    json_in_str(in, "bootId", &boot_id);
    ret->pid = (pid_t)pid;
    ret->start_time = (uint64_t)start_time;
    (void)snprintf(ret->boot_id, sizeof ret->boot_id, "%s", boot_id != NULL ? boot_id : "");
}

static enum err_code read_fields(struct guard_event *e, json_t *value, struct err *err)
{
    static const char *const texts[] = {"sparkVersion", "appId", "state", "lastState", "error"};
    int64_t seq = 0;
    struct json_in in;
    json_in_open(&in, value, err);
    json_in_str(&in, "event", &e->word);
    json_in_int(&in, "seq", 0, INT64_MAX, &seq);
    json_in_int(&in, "wall", INT64_MIN, INT64_MAX, &e->wall_ms);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        json_in_str(&in, texts[i], &e->text);
    read_process(&in, &e->process);
    e->exit_code = -1;
    json_in_int(&in, "code", 0, 255, &e->exit_code);
    json_in_int(&in, "signal", 0, 64, &e->signal);
    json_in_bool(&in, "oomKilled", &e->oom_killed);
    json_in_int(&in, "maxMemory", 0, INT64_MAX, &e->max_memory);
    json_in_int(&in, "lines", 0, INT64_MAX, &e->lines);
    json_in_int(&in, "bytes", 0, INT64_MAX, &e->bytes);
    e->seq = (uint64_t)seq;
    if (in.code == ERR_OK && e->word == NULL)
        return err_set(err, ERR_INVALID, "an event without a word");
    return in.code;
}

enum err_code guard_event_read(struct guard_event *e, const char *line, size_t n, struct err *err)
{
    cleanup(json_decrefp) json_t *value = NULL;
    enum err_code rc = json_parse(line, n, DEPTH, &value, err);
    if (rc != ERR_OK)
        return rc;
    *e = (struct guard_event){0};
    rc = read_fields(e, value, err);
    if (rc != ERR_OK)
        guard_event_clear(e);
    return rc;
}

enum err_code guard_journal_read(const char *dir, uint64_t from,
                                 bool (*on_event)(const struct guard_event *e, void *arg), void *arg,
                                 struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(GUARD_JOURNAL_MAX);
    cleanup(mem_freep) char *path = mem_printf("%s/%s", dir, GUARD_JOURNAL);
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    enum err_code rc = io_read_file(path, &text, err);
    if (rc != ERR_OK)
        return rc == ERR_NOT_FOUND ? ERR_OK : rc;
    const char *end = buf_cstr(&text) + text.len;
    const char *newline;
    bool more = true;
    for (const char *line = buf_cstr(&text);
         more && (newline = memchr(line, '\n', (size_t)(end - line))) != NULL; line = newline + 1) {
        struct guard_event e;
        rc = guard_event_read(&e, line, (size_t)(newline - line), err);
        if (rc == ERR_NOMEM)
            return rc;
        if (rc != ERR_OK)
            continue; /* damaged by a crash of the machine; what is behind it still counts */
        more = e.seq < from || on_event(&e, arg);
        guard_event_clear(&e);
    }
    return ERR_OK;
}

enum err_code guard_pid_write(const char *dir, const struct process_id *id, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(400);
    cleanup(mem_freep) char *path = mem_printf("%s/%s", dir, GUARD_PID);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_int(&out, "pid", id->pid);
    json_out_int(&out, "startTime", (int64_t)id->start_time);
    json_out_str(&out, "bootId", id->boot_id);
    json_out_end_object(&out);
    buf_char(&text, '\n');
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (buf_check(&text, err) != ERR_OK)
        return text.failed;
    return io_replace_file(path, text.data, text.len, 0600, err);
}

enum err_code guard_pid_read(const char *dir, struct process_id *ret, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(400);
    cleanup(mem_freep) char *path = mem_printf("%s/%s", dir, GUARD_PID);
    cleanup(json_decrefp) json_t *value = NULL;
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    enum err_code rc = io_read_file(path, &text, err);
    if (rc == ERR_OK)
        rc = json_parse(buf_cstr(&text), text.len, DEPTH, &value, err);
    if (rc != ERR_OK)
        return rc;
    struct json_in in;
    json_in_open(&in, value, err);
    read_process(&in, ret);
    return in.code;
}
