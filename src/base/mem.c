#include "base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long live;
static atomic_long fail_in; /* 0: never; otherwise the number of allocations until one fails */

static int must_fail(void)
{
    return atomic_load_explicit(&fail_in, memory_order_relaxed) > 0 && atomic_fetch_sub(&fail_in, 1) == 1;
}

static void *counted(void *p)
{
    if (p != NULL)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return p;
}

void *mem_alloc(size_t size)
{
    return must_fail() ? NULL : counted(malloc(size > 0 ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : counted(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
    if (p == NULL)
        return mem_alloc(size);
    return must_fail() ? NULL : realloc(p, size > 0 ? size : 1);
}

char *mem_strndup(const char *s, size_t n)
{
    char *copy = mem_alloc(n + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : mem_alloc((size_t)n + 1);
    if (s == NULL)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

void mem_free(void *p)
{
    if (p == NULL)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(p);
}

void mem_freep(char **p)
{
    mem_free(*p);
    *p = NULL;
}

int mem_set_str(char **field, const char *s)
{
    char *copy = NULL;
    if (s != NULL && (copy = mem_strdup(s)) == NULL)
        return -1;
    mem_free(*field);
    *field = copy;
    return 0;
}

void mem_fail_at(long nth)
{
    atomic_store(&fail_in, nth);
}

long mem_live(void)
{
    return atomic_load(&live);
}
