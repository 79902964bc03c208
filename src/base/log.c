#include "base/log.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static atomic_int threshold = LOG_INFO;
static const char *const level_names[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

static void put(struct line *l, const char *s, size_t n)
{
    size_t room = sizeof l->text - 1 - l->len; /* one byte is kept for the newline */
    if (n > room)
        n = room;
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

/* Values with blanks or control characters are quoted, so that a line stays one line of fields. */
static void put_value(struct line *l, const char *s)
{
    bool plain = *s != '\0';
    for (const char *p = s; *p != '\0' && plain; p++)
        plain = (unsigned char)*p > ' ' && *p != '"' && *p != '=' && *p != 0x7f;
    if (plain) {
        put(l, s, strlen(s));
        return;
    }
    put(l, "\"", 1);
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        char escaped[8];
        if (c == '"' || c == '\\')
            put(l, (char[]){'\\', (char)c}, 2);
        else if (c < ' ' || c == 0x7f)
            put(l, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\x%02x", c));
        else
            put(l, s, 1);
    }
    put(l, "\"", 1);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    struct line l = {.len = 0};
    char time[CLOCK_TEXT_MAX];
    clock_format(clock_wall_ms(), time);
    put(&l, time, strlen(time));
    put(&l, " ", 1);
    put(&l, level_names[level], 5);
    put(&l, " ", 1);
    put(&l, event, strlen(event));
    for (; fields->name != NULL; fields++) {
        put(&l, " ", 1);
        put(&l, fields->name, strlen(fields->name));
        put(&l, "=", 1);
        char number[24];
        if (fields->text == NULL)
            put(&l, number, (size_t)snprintf(number, sizeof number, "%" PRId64, fields->number));
        else
            put_value(&l, fields->text);
    }
    l.text[l.len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, l.text, l.len);
    (void)ignored; /* there is nowhere left to complain */
}
