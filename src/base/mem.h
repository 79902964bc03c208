/*
 * All of hearth's allocations: counted, and able to fail on demand in tests.
 *
 * Thread   any.
 */
#ifndef HEARTH_BASE_MEM_H
#define HEARTH_BASE_MEM_H

#include <stddef.h>

/* Runs fn(&variable) when the variable goes out of scope. */
#define cleanup(fn) __attribute__((__cleanup__(fn)))

/* As their namesakes in stdlib.h; NULL when memory is short. */
void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *p, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *p);

/* For cleanup(): frees what a `char *` variable holds. */
void mem_freep(char **p);

/* Replaces *field by a copy of s (NULL clears it). Returns 0, or -1 with *field untouched. */
int mem_set_str(char **field, const char *s);

/* Tests: the nth allocation from now on fails (once); 0 switches that off. */
void mem_fail_at(long nth);
/* Tests: how many allocations are alive. */
long mem_live(void);

#endif
