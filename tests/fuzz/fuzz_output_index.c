/* The log's index after any damage: a reader comes to an end and stays within what it announced. */
#include "base/io.h"
#include "guard/output.h"
#include "guard/output_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static void remove_dir(void)
{
    (void)io_remove_tree(dir, NULL);
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (f == NULL || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
        abort();
}

static void make_dir(void)
{
    static const char out[] = "one\ntwo\nthree\n\nfive\nsix";
    static const char err[] = "first\nsecond\nthird\n";
    (void)snprintf(dir, sizeof dir, "/tmp/hearth-fuzz-XXXXXX");
    if (mkdtemp(dir) == NULL)
        abort();
    (void)atexit(remove_dir);
    write_file("stdout.log", out, sizeof out - 1);
    write_file("stderr.log", err, sizeof err - 1);
    write_file("stdout.log.1", out, sizeof out - 1);
    write_file("stderr.log.1", err, sizeof err - 1);
}

static bool on_line(const struct output_line *line, void *arg)
{
    uint64_t *n = arg;
    if (line->len > 1024 * 1024)
        abort();
    return ++*n < 100000;
}

/* The first byte shares the rest between the two parts' indexes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (dir[0] == '\0')
        make_dir();
    if (size < 2)
        return 0;
    size_t split = 1 + data[0] * (size - 1) / 255;
    write_file("lines.idx", data + 1, split - 1);
    write_file("lines.idx.1", data + split, size - split);
    for (int select = OUTPUT_MERGED; select <= OUTPUT_ONLY_STDERR; select++) {
        uint64_t n = 0;
        uint64_t total = 0;
        if (output_read(dir, select, 0, UINT64_MAX, on_line, &n, &total, NULL) != ERR_OK)
            abort();
        n = 0;
        if (output_read_tail(dir, select, 5, on_line, &n, &total, NULL) != ERR_OK || n > 5)
            abort();
    }
    return 0;
}
