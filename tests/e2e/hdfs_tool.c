/*
 * For test_hdfs.py: does what its command line says in HDFS, one operation after the other, through src/hdfs,
 * and prints a line of JSON for each.
 *
 *     hdfs_tool NODE[,NODE] USER|-|kerberos TIMEOUT_MS OPERATION ARGUMENTS [+ OPERATION ARGUMENTS]...
 *
 *     status PATH    list PATH MAX    read PATH OFFSET MAX whole|part    create PATH LOCAL new|over
 *     mkdir PATH     remove PATH all|one    presence PATH
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "hdfs/hdfs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tool {
    struct hdfs *hdfs;
    char **words; /* what is left */
    int n;
    int64_t begun_ms;
};

static void next(struct tool *t);

static const char *code_name(enum err_code code)
{
    static const char *const names[] = {
#define NAME(name, status, text) [ERR_##name] = #name,
        ERR_MAP(NAME)
#undef NAME
    };
    return names[code];
}

static const char *take(struct tool *t)
{
    if (t->n == 0) {
        fprintf(stderr, "hdfs_tool: a word is missing\n");
        exit(2);
    }
    t->n--;
    return *t->words++;
}

/* ---- answers ---- */

/* The most memory that this process ever had; getrusage() would also count the one that started it. */
static int64_t peak_kb(void)
{
    char text[256];
    long kb = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(text, sizeof text, status) != NULL)
        if (strncmp(text, "VmHWM:", 6) == 0)
            kb = strtol(text + 6, NULL, 10);
    if (status != NULL)
        (void)fclose(status);
    return kb;
}

struct line {
    struct buf text;
    struct json_out out;
};

static void begin_line(struct line *line, const struct tool *t, const struct err *err)
{
    buf_init(&line->text, 256 << 20);
    json_out_open(&line->out, &line->text);
    json_out_object(&line->out, NULL);
    json_out_str(&line->out, "code", code_name(err->code));
    json_out_str(&line->out, "message", err->code != ERR_OK ? err->msg : "");
    json_out_int(&line->out, "ms", clock_mono_ms() - t->begun_ms);
    json_out_int(&line->out, "peak_kb", peak_kb());
}

static void end_line(struct line *line, struct tool *t)
{
    json_out_end_object(&line->out);
    puts(buf_cstr(&line->text));
    (void)fflush(stdout);
    buf_clear(&line->text);
    next(t);
}

static void add_file(struct json_out *out, const char *key, const struct hdfs_file *f)
{
    json_out_object(out, key);
    json_out_str(out, "name", f->name);
    json_out_bool(out, "is_folder", f->is_folder);
    json_out_int(out, "size", f->size);
    json_out_int(out, "modified_ms", f->modified_ms);
    json_out_str(out, "owner", f->owner);
    json_out_str(out, "group", f->group);
    json_out_str(out, "permission", f->permission);
    json_out_end_object(out);
}

static void on_done(const struct err *err, void *arg)
{
    struct line line;
    begin_line(&line, arg, err);
    end_line(&line, arg);
}

static void on_file(const struct err *err, const struct hdfs_file *file, void *arg)
{
    struct line line;
    begin_line(&line, arg, err);
    if (file != NULL)
        add_file(&line.out, "file", file);
    end_line(&line, arg);
}

static void on_list(const struct err *err, const struct hdfs_file *files, size_t n, void *arg)
{
    struct line line;
    begin_line(&line, arg, err);
    json_out_array(&line.out, "files");
    for (size_t i = 0; i < n; i++)
        add_file(&line.out, NULL, &files[i]);
    json_out_end_array(&line.out);
    end_line(&line, arg);
}

static void on_data(const struct err *err, const char *data, size_t n, void *arg)
{
    struct line line;
    begin_line(&line, arg, err);
    json_out_int(&line.out, "bytes", (int64_t)n);
    json_out_text(&line.out, "data", data != NULL ? data : "", n < 4096 ? n : 4096);
    end_line(&line, arg);
}

static void on_presence(enum hdfs_presence presence, void *arg)
{
    static const char *const names[] = {"no active node", "missing", "present"};
    struct err none = {0};
    struct line line;
    begin_line(&line, arg, &none);
    json_out_str(&line.out, "presence", names[presence]);
    end_line(&line, arg);
}

/* ---- operations ---- */

static void do_status(struct tool *t)
{
    hdfs_status(t->hdfs, take(t), on_file, t);
}

static void do_list(struct tool *t)
{
    const char *path = take(t);
    hdfs_list(t->hdfs, path, strtoul(take(t), NULL, 10), on_list, t);
}

static void do_read(struct tool *t)
{
    const char *path = take(t);
    int64_t offset = atoll(take(t));
    size_t max = strtoul(take(t), NULL, 10);
    hdfs_read(t->hdfs, path, offset, max, strcmp(take(t), "whole") == 0, on_data, t);
}

static void do_create(struct tool *t)
{
    const char *path = take(t);
    const char *local = take(t);
    hdfs_create(t->hdfs, path, local, strcmp(take(t), "over") == 0, on_done, t);
}

static void do_mkdir(struct tool *t)
{
    hdfs_make_folder(t->hdfs, take(t), on_done, t);
}

static void do_remove(struct tool *t)
{
    const char *path = take(t);
    hdfs_remove(t->hdfs, path, strcmp(take(t), "all") == 0, on_done, t);
}

static void do_presence(struct tool *t)
{
    hdfs_ask_presence(t->hdfs, take(t), on_presence, t);
}

static void next(struct tool *t)
{
    static const struct {
        const char *name;
        void (*run)(struct tool *t);
    } operations[] = {{"status", do_status},    {"list", do_list},   {"read", do_read},
                      {"create", do_create},    {"mkdir", do_mkdir}, {"remove", do_remove},
                      {"presence", do_presence}};
    if (t->n > 0 && strcmp(t->words[0], "+") == 0)
        (void)take(t);
    if (t->n == 0) {
        hdfs_free(t->hdfs);
        return;
    }
    const char *name = take(t);
    t->begun_ms = clock_mono_ms();
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(name, operations[i].name) == 0) {
            operations[i].run(t);
            return;
        }
    fprintf(stderr, "hdfs_tool: what is %s?\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    struct tool t = {.words = argv + 1, .n = argc - 1};
    struct hdfs_options options = {.loop = uv_default_loop()};
    (void)signal(SIGPIPE, SIG_IGN);
    char *nodes = strdup(take(&t));
    options.nodes[0] = strtok(nodes, ",");
    options.nodes[1] = strtok(NULL, ",");
    const char *user = take(&t);
    options.kerberos = strcmp(user, "kerberos") == 0;
    options.user = options.kerberos || strcmp(user, "-") == 0 ? NULL : user;
    options.timeout_ms = atoll(take(&t));
    t.hdfs = hdfs_open(&options);
    free(nodes);
    next(&t);
    (void)uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    int rc = uv_loop_close(uv_default_loop());
    if (rc != 0 || mem_live() != 0)
        fprintf(stderr, "hdfs_tool: %ld allocations and %s are left\n", mem_live(),
                rc != 0 ? "handles" : "no handles");
    return rc != 0 || mem_live() != 0;
}
