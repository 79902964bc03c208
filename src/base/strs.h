/*
 * Lists of strings and ordered maps of strings: arguments, environments, Spark configurations.
 *
 * Both own copies of what they hold. Additions return 0, or -1 when memory is short (and then
 * nothing changed). `items` of a list is NULL-terminated once it is not empty, so that it can be
 * handed to execve.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_BASE_STRS_H
#define HEARTH_BASE_STRS_H

#include <stdbool.h>
#include <stddef.h>

struct strlist {
    char **items;
    size_t n;
    size_t cap;
};

void strlist_clear(struct strlist *l);
int strlist_add(struct strlist *l, const char *s);
int strlist_addf(struct strlist *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int strlist_copy(struct strlist *to, const struct strlist *from); /* replaces what `to` held */
bool strlist_has(const struct strlist *l, const char *s);
/* The items with sep between them; the caller frees it. NULL when memory is short. */
char *strlist_join(const struct strlist *l, const char *sep);
/* Appends the parts of text between any of the characters in seps; empty parts are left out. */
int strlist_split(struct strlist *l, const char *text, const char *seps);

struct strmap_entry {
    char *key;
    char *value;
};

struct strmap {
    struct strmap_entry *items; /* in order of first insertion */
    size_t n;
    size_t cap;
};

void strmap_clear(struct strmap *m);
int strmap_set(struct strmap *m, const char *key, const char *value); /* adds or replaces */
/* The same for a key that is known not to be there: it is not looked for. */
int strmap_add(struct strmap *m, const char *key, const char *value);
const char *strmap_get(const struct strmap *m, const char *key); /* NULL when absent */
void strmap_remove(struct strmap *m, const char *key);
int strmap_copy(struct strmap *to, const struct strmap *from); /* replaces what `to` held */

/* Plain string questions that C lacks. */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_same(const char *a, const char *b); /* equal, or both NULL */
bool str_blank(const char *s);               /* NULL, empty or white space only */

#endif
