/* Answers in words. */
#include "base/json.h"
#include "base/mem.h"
#include "rpc/answer.h"

#include <string.h>

enum { FAILURE_WORDS_MAX = 400, EXCEPTION_WORDS_MAX = 4000 };

const char *rpc_answer_class(const json_t *value)
{
    const char *class = json_string_value(json_object_get(value, "class"));
    if (class == NULL)
        return "";
    const char *last = class;
    for (const char *p = class; *p != '\0'; p++)
        if ((*p == '$' || *p == '.') && p[1] != '\0')
            last = p + 1;
    return last;
}

/* Text that grows in memory of a fixed size; what does not fit is left out. */
struct line {
    char *to;
    size_t len, max;
};

/* The character at s, of n bytes, as a line may show it. Returns the bytes that it takes in s. */
static size_t put_character(struct line *l, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t len = json_utf8_length(p, n);
    bool is_control = *p < 0x20 || *p == 0x7f || (len == 2 && p[0] == 0xc2 && p[1] < 0xa0);
    const char *shown = len == 0 ? "\xef\xbf\xbd" : is_control ? " " : s;
    size_t shown_len = len == 0 ? 3 : is_control ? 1 : len;
    if (shown_len > l->max - l->len) {
        l->max = l->len; /* nothing shorter may follow what was left out */
        return n;
    }
    memcpy(l->to + l->len, shown, shown_len);
    l->len += shown_len;
    return len == 0 ? 1 : len;
}

static void put_text(struct line *l, const char *s, size_t n)
{
    for (size_t i = 0; i < n && l->len < l->max;)
        i += put_character(l, s + i, n - i);
}

static void put_string(struct line *l, const json_t *s)
{
    if (json_is_string(s))
        put_text(l, json_string_value(s), json_string_length(s));
}

char *rpc_exception_words(const json_t *throwable)
{
    char text[EXCEPTION_WORDS_MAX];
    struct line l = {.to = text, .max = sizeof text};
    for (const json_t *t = throwable; json_is_object(t); t = json_object_get(t, "cause")) {
        const json_t *message = json_object_get(t, "message");
        if (t != throwable)
            put_text(&l, ", caused by ", strlen(", caused by "));
        put_string(&l, json_object_get(t, "exception"));
        if (json_string_length(message) > 0)
            put_text(&l, ": ", strlen(": "));
        put_string(&l, message);
    }
    return mem_strndup(text, l.len);
}

void rpc_failure_words(const char *text, size_t len, char out[401])
{
    size_t n = 0;
    while (n < len && text[n] != '\n' && text[n] != '\r')
        n++;
    struct line l = {.to = out, .max = FAILURE_WORDS_MAX};
    put_text(&l, text, n);
    out[l.len] = '\0';
}
