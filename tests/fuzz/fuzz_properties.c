/* Any bytes as a Java properties file, and as Spark's option strings. What is taken must be text that is
 * taken again as the same. */
#include "base/buf.h"
#include "base/mem.h"
#include "spark/properties.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SIZE_MAX_BYTES = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each byte with a backslash in front of it where it would mean something. */
static void write_escaped(struct buf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\n': buf_str(to, "\\n"); break;
        case '\r': buf_str(to, "\\r"); break;
        case '\t': buf_str(to, "\\t"); break;
        case '\f': buf_str(to, "\\f"); break;
        default: buf_printf(to, strchr(" \\=:#!", *text) != NULL ? "\\%c" : "%c", *text);
        }
    }
}

static void assert_reads_the_same(const struct strmap *m)
{
    cleanup(buf_clear) struct buf text = BUF(8 * SIZE_MAX_BYTES);
    for (size_t i = 0; i < m->n; i++) {
        write_escaped(&text, m->items[i].key);
        buf_char(&text, '=');
        write_escaped(&text, m->items[i].value);
        buf_char(&text, '\n');
    }
    struct strmap again = {0};
    assert(buf_check(&text, NULL) == ERR_OK);
    assert(properties_parse(buf_cstr(&text), text.len, &again, NULL) == ERR_OK);
    assert(again.n == m->n);
    for (size_t i = 0; i < m->n; i++)
        assert(str_same(strmap_get(&again, m->items[i].key), m->items[i].value));
    strmap_clear(&again);
}

static void try_options(const uint8_t *data, size_t size)
{
    struct strlist options = {0};
    struct err err = {0};
    char *text = mem_strndup((const char *)data, size);
    assert(text != NULL);
    if (options_split(text, &options, &err) != ERR_OK)
        assert(err.code == ERR_INVALID && err.msg[0] != '\0');
    strlist_clear(&options);
    mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_MAX_BYTES)
        return 0;
    struct strmap m = {0};
    struct err err = {0};
    if (properties_parse((const char *)data, size, &m, &err) == ERR_OK)
        assert_reads_the_same(&m);
    else
        assert(err.code == ERR_INVALID && err.msg[0] != '\0');
    strmap_clear(&m);
    try_options(data, size);
    assert(mem_live() == 0);
    return 0;
}
