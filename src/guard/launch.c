#include "guard/guard.h"

#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "guard/launch.h"

enum { LAUNCH_MAX = 16 * 1024 * 1024, DEPTH = 4 };

void guard_launch_clear(struct guard_launch *l)
{
    strlist_clear(&l->argv);
    strlist_clear(&l->env);
    mem_free(l->folder);
    mem_free(l->note);
    *l = (struct guard_launch){0};
}

enum err_code guard_launch_write(const struct guard_launch *l, const char *dir, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(LAUNCH_MAX);
    cleanup(mem_freep) char *path = mem_printf("%s/%s", dir, GUARD_LAUNCH);
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    json_out_list(&out, "argv", &l->argv);
    json_out_list(&out, "env", &l->env);
    json_out_str(&out, "folder", l->folder);
    json_out_str(&out, "note", l->note);
    json_out_bool(&out, "noteOnStdout", l->note_on_stdout);
    json_out_int(&out, "logSize", (int64_t)l->log_size);
    json_out_int(&out, "memoryLimit", (int64_t)l->memory_limit);
    json_out_end_object(&out);
    if (buf_check(&text, err) != ERR_OK)
        return err_wrap(err, "%s", path);
    return io_replace_file(path, text.data, text.len, 0600, err);
}

static enum err_code read_fields(struct guard_launch *l, json_t *value, struct err *err)
{
    int64_t log_size = 0;
    int64_t memory_limit = 0;
    struct json_in in;
    json_in_open(&in, value, err);
    json_in_list(&in, "argv", &l->argv);
    json_in_list(&in, "env", &l->env);
    json_in_str(&in, "folder", &l->folder);
    json_in_str(&in, "note", &l->note);
    json_in_bool(&in, "noteOnStdout", &l->note_on_stdout);
    json_in_int(&in, "logSize", 1, INT64_MAX, &log_size);
    json_in_int(&in, "memoryLimit", 0, INT64_MAX, &memory_limit);
    l->log_size = (uint64_t)log_size;
    l->memory_limit = (uint64_t)memory_limit;
    enum err_code rc = json_in_end(&in);
    if (rc == ERR_OK && l->argv.n == 0)
        return err_set(err, ERR_INVALID, "argv is empty");
    return rc;
}

enum err_code guard_launch_read(struct guard_launch *l, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(LAUNCH_MAX);
    cleanup(json_decrefp) json_t *value = NULL;
    enum err_code rc = io_read_file(GUARD_LAUNCH, &text, err);
    if (rc == ERR_OK)
        rc = json_parse(buf_cstr(&text), text.len, DEPTH, &value, err);
    if (rc == ERR_OK)
        rc = read_fields(l, value, err);
    if (rc != ERR_OK)
        return err_wrap(err, "%s", GUARD_LAUNCH);
    return ERR_OK;
}
