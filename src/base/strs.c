#include "base/strs.h"

#include "base/buf.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

void strlist_clear(struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        mem_free(l->items[i]);
    mem_free(l->items);
    *l = (struct strlist){0};
}

/* Takes ownership of s, also when it fails; NULL counts as "memory is short". */
static int list_take(struct strlist *l, char *s)
{
    if (s == NULL)
        return -1;
    if (l->n + 2 > l->cap) {
        size_t cap = l->cap == 0 ? 8 : l->cap * 2;
        char **items = mem_realloc(l->items, cap * sizeof *items);
        if (items == NULL) {
            mem_free(s);
            return -1;
        }
        l->items = items;
        l->cap = cap;
    }
    l->items[l->n++] = s;
    l->items[l->n] = NULL;
    return 0;
}

int strlist_add(struct strlist *l, const char *s)
{
    return list_take(l, mem_strdup(s));
}

int strlist_addf(struct strlist *l, const char *fmt, ...)
{
    cleanup(buf_clear) struct buf b = BUF(SIZE_MAX / 4);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    return list_take(l, buf_steal(&b));
}

int strlist_copy(struct strlist *to, const struct strlist *from)
{
    struct strlist copy = {0};
    for (size_t i = 0; i < from->n; i++) {
        if (strlist_add(&copy, from->items[i]) != 0) {
            strlist_clear(&copy);
            return -1;
        }
    }
    strlist_clear(to);
    *to = copy;
    return 0;
}

bool strlist_has(const struct strlist *l, const char *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i], s) == 0)
            return true;
    return false;
}

char *strlist_join(const struct strlist *l, const char *sep)
{
    cleanup(buf_clear) struct buf b = BUF(SIZE_MAX / 4);
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0)
            buf_str(&b, sep);
        buf_str(&b, l->items[i]);
    }
    return buf_steal(&b);
}

int strlist_split(struct strlist *l, const char *text, const char *seps)
{
    for (const char *p = text + strspn(text, seps); *p != '\0'; p += strspn(p, seps)) {
        size_t n = strcspn(p, seps);
        if (list_take(l, mem_strndup(p, n)) != 0)
            return -1;
        p += n;
    }
    return 0;
}

void strmap_clear(struct strmap *m)
{
    for (size_t i = 0; i < m->n; i++) {
        mem_free(m->items[i].key);
        mem_free(m->items[i].value);
    }
    mem_free(m->items);
    *m = (struct strmap){0};
}

static struct strmap_entry *map_find(const struct strmap *m, const char *key)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->items[i].key, key) == 0)
            return &m->items[i];
    return NULL;
}

int strmap_add(struct strmap *m, const char *key, const char *value)
{
    if (m->n == m->cap) {
        size_t cap = m->cap == 0 ? 8 : m->cap * 2;
        struct strmap_entry *items = mem_realloc(m->items, cap * sizeof *items);
        if (items == NULL)
            return -1;
        m->items = items;
        m->cap = cap;
    }
    struct strmap_entry e = {mem_strdup(key), mem_strdup(value)};
    if (e.key == NULL || e.value == NULL) {
        mem_free(e.key);
        mem_free(e.value);
        return -1;
    }
    m->items[m->n++] = e;
    return 0;
}

int strmap_set(struct strmap *m, const char *key, const char *value)
{
    struct strmap_entry *old = map_find(m, key);
    return old != NULL ? mem_set_str(&old->value, value) : strmap_add(m, key, value);
}

const char *strmap_get(const struct strmap *m, const char *key)
{
    const struct strmap_entry *e = map_find(m, key);
    return e != NULL ? e->value : NULL;
}

void strmap_remove(struct strmap *m, const char *key)
{
    struct strmap_entry *e = map_find(m, key);
    if (e == NULL)
        return;
    mem_free(e->key);
    mem_free(e->value);
    size_t behind = (size_t)(m->items + m->n - (e + 1));
    memmove(e, e + 1, behind * sizeof *e);
    m->n--;
}

int strmap_copy(struct strmap *to, const struct strmap *from)
{
    struct strmap copy = {0};
    for (size_t i = 0; i < from->n; i++) {
        if (strmap_add(&copy, from->items[i].key, from->items[i].value) != 0) {
            strmap_clear(&copy);
            return -1;
        }
    }
    strmap_clear(to);
    *to = copy;
    return 0;
}

bool str_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s);
    size_t m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_blank(const char *s)
{
    if (s == NULL)
        return true;
    while (isspace((unsigned char)*s))
        s++;
    return *s == '\0';
}
