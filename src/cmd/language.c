#include "cmd/language.h"

#include <ctype.h>
#include <string.h>

const char language_names[] = "spark, pyspark, sparkr, sql";

static const struct language languages[] = {
    {.kind = "spark",
     .other = "scala",
     .comment = "//",
     .quotes = "\"'",
     .triple = true,
     .char_apostrophe = true},
    {.kind = "pyspark", .other = "python", .comment = "#", .quotes = "\"'", .triple = true, .blocks = true},
    {.kind = "sparkr", .other = "r", .comment = "#", .quotes = "\"'`", .long_texts = true},
    {.kind = "sql", .comment = "--", .quotes = "\"'`", .long_texts = true},
};

const struct language *language_find(const char *name)
{
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++) {
        const struct language *l = &languages[i];
        if (strcmp(name, l->kind) == 0 || (l->other != NULL && strcmp(name, l->other) == 0))
            return l;
    }
    return NULL;
}

/* ---- does it want more? -------------------------------------------------------------------- */

/* A walk over a statement. */
struct scan {
    const struct language *l;
    size_t depth; /* open brackets */
    char quote;   /* of the text that is open; 0: none */
    bool triple;  /* it began with three */
    bool block;   /* a block was opened */
    char first;   /* of this line, outside brackets: its first and */
    char last;    /* last character that is no blank */
};

static void end_line(struct scan *s)
{
    if (s->quote != 0 && !s->triple && !s->l->long_texts)
        s->quote = 0; /* never closed: whoever runs it will say so */
    if (s->depth > 0 || s->quote != 0)
        return;
    if (s->l->blocks && (s->last == ':' || s->first == '@'))
        s->block = true;
    s->first = s->last = '\0';
}

static bool is_three(const char *p)
{
    return p[1] == p[0] && p[2] == p[0];
}

/* A step inside a text; returns how far. */
static size_t step_in_text(struct scan *s, const char *p)
{
    if (*p == '\\' && p[1] != '\0')
        return 2; /* also over the end of a line, which goes on in the next */
    if (*p != s->quote)
        return 1;
    if (s->triple && !is_three(p))
        return 1;
    s->quote = 0;
    return s->triple ? 3 : 1;
}

/* At an apostrophe or quotation mark that begins a text. */
static size_t open_text(struct scan *s, const char *p)
{
    if (*p == '\'' && s->l->char_apostrophe) {
        const char *end = p[1] == '\\' && p[2] != '\0' ? p + 3 : p + 2;
        return p[1] != '\0' && *end == '\'' ? (size_t)(end - p) + 1 : 1;
    }
    s->quote = *p;
    s->triple = s->l->triple && is_three(p);
    return s->triple ? 3 : 1;
}

/* A step outside of texts and comments. */
static size_t step_in_code(struct scan *s, const char *p)
{
    if (isspace((unsigned char)*p))
        return 1;
    if (s->first == '\0')
        s->first = *p;
    s->last = *p;
    if (strchr(s->l->quotes, *p) != NULL)
        return open_text(s, p);
    if (strchr("([{", *p) != NULL)
        s->depth++;
    else if (strchr(")]}", *p) != NULL && s->depth > 0)
        s->depth--;
    return 1;
}

/* Walks over the whole statement; returns whether it ends inside a comment. */
static bool scan_all(struct scan *s, const char *text)
{
    bool comment = false;
    for (const char *p = text; *p != '\0';) {
        if (*p == '\n') {
            comment = false;
            end_line(s);
            p++;
        } else if (comment) {
            p++;
        } else if (s->quote != 0) {
            p += step_in_text(s, p);
        } else if (str_starts(p, s->l->comment)) {
            comment = true;
        } else {
            p += step_in_code(s, p);
        }
    }
    return comment;
}

bool language_add_line(const struct language *l, struct buf *statement, const char *line)
{
    bool more_lines = statement->len > 0;
    size_t end = statement->len;
    if (more_lines && !l->blocks && statement->data[end - 1] == '\\')
        statement->data[--statement->len] = '\0'; /* only asked for this line */
    if (more_lines)
        buf_char(statement, '\n');
    buf_str(statement, line);
    struct scan s = {.l = l};
    bool comment = scan_all(&s, buf_cstr(statement));
    if (s.quote != 0 && s.triple)
        return true;
    if (more_lines && str_blank(line))
        return false;
    bool continued = !comment && str_ends(line, "\\");
    end_line(&s);
    return continued || s.depth > 0 || s.quote != 0 || s.block;
}

/* ---- names --------------------------------------------------------------------------------- */

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

size_t language_word(const char *line, size_t len)
{
    size_t n = 0;
    while (n < len && is_name_byte(line[len - n - 1]))
        n++;
    return n;
}

static bool is_inside_character(char c)
{
    return ((unsigned char)c & 0xC0U) == 0x80U;
}

size_t language_common(const struct strlist *candidates, const char *word, struct buf *to)
{
    const char *first = NULL;
    size_t common = 0;
    size_t n = 0;
    size_t word_len = strlen(word);
    for (size_t i = 0; i < candidates->n; i++) {
        const char *candidate = candidates->items[i];
        if (!str_starts(candidate, word))
            continue;
        size_t same = 0;
        while (n > 0 && same < common && candidate[same] == first[same])
            same++;
        first = n == 0 ? candidate : first;
        common = n == 0 ? strlen(candidate) : same;
        n++;
    }
    while (n > 0 && common > word_len && is_inside_character(first[common]))
        common--;
    if (n > 0)
        buf_add(to, first + word_len, common - word_len);
    return n;
}

size_t language_characters(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        if (!is_inside_character(text[i]))
            n++;
    return n;
}
