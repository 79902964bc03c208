#include "cmd/table.h"

#include "base/mem.h"
#include "cmd/cmd.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { GAP = 2, NARROWEST = 8 };

void table_init(struct table *t, const struct table_column *columns)
{
    *t = (struct table){.columns = columns};
    while (columns[t->n_columns].title != NULL)
        t->n_columns++;
}

void table_clear(struct table *t)
{
    strlist_clear(&t->cells);
}

void table_cell(struct table *t, const char *text)
{
    if (strlist_add(&t->cells, text != NULL ? text : "-") != 0)
        t->out_of_memory = true;
}

/* The character at s: its bytes and its width in columns. Width -1: not fit to be printed. */
static size_t next_character(const char *s, int *ret_width)
{
    wchar_t c = 0;
    mbstate_t state = {0};
    size_t n = mbrtowc(&c, s, strlen(s), &state);
    if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
        *ret_width = -1;
        return 1;
    }
    *ret_width = wcwidth(c);
    return n;
}

static size_t width_of(const char *s)
{
    size_t width = 0;
    while (*s != '\0') {
        int w = 0;
        s += next_character(s, &w);
        width += w < 0 ? 1 : (size_t)w;
    }
    return width;
}

/* Prints at most `room` columns of s; returns how many it took. */
static size_t print_some(FILE *to, const char *s, size_t room)
{
    size_t used = 0;
    while (*s != '\0') {
        int w = 0;
        size_t n = next_character(s, &w);
        size_t width = w < 0 ? 1 : (size_t)w;
        if (used + width > room)
            break;
        if (w < 0)
            (void)fputc('?', to);
        else
            (void)fwrite(s, 1, n, to);
        used += width;
        s += n;
    }
    return used;
}

void table_print_text(FILE *to, const char *text)
{
    (void)print_some(to, text, SIZE_MAX / 2);
}

size_t table_columns(void)
{
    struct winsize size;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return SIZE_MAX / 2;
}

bool table_may_style(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

static void measure(const struct table *t, size_t *widths)
{
    for (size_t i = 0; i < t->n_columns; i++)
        widths[i] = width_of(t->columns[i].title);
    for (size_t i = 0; i < t->cells.n; i++) {
        size_t w = width_of(t->cells.items[i]);
        if (w > widths[i % t->n_columns])
            widths[i % t->n_columns] = w;
    }
}

/* Takes columns away from the widest that may shrink until the row fits, or nothing can give more. */
static void shrink(const struct table *t, size_t *widths)
{
    size_t total = GAP * (t->n_columns - 1);
    for (size_t i = 0; i < t->n_columns; i++)
        total += widths[i];
    for (size_t room = table_columns(); total > room; total--) {
        size_t widest = t->n_columns;
        for (size_t i = 0; i < t->n_columns; i++)
            if (t->columns[i].may_shrink && widths[i] > NARROWEST &&
                (widest == t->n_columns || widths[i] > widths[widest]))
                widest = i;
        if (widest == t->n_columns)
            return;
        widths[widest]--;
    }
}

static void print_cell(const char *text, size_t width, bool is_last)
{
    size_t used = 0;
    if (width_of(text) <= width) {
        used = print_some(stdout, text, width);
    } else {
        used = print_some(stdout, text, width - 1) + 1;
        (void)fputs("…", stdout);
    }
    if (!is_last)
        (void)printf("%*s", (int)(width - used + GAP), "");
}

int table_print(const struct table *t)
{
    const size_t n_columns = t->n_columns;
    assert(n_columns > 0);
    size_t *widths = t->out_of_memory ? NULL : mem_calloc(n_columns, sizeof *widths);
    if (widths == NULL) {
        (void)fprintf(stderr, "hearth: out of memory\n");
        return CMD_FAILED;
    }
    measure(t, widths);
    shrink(t, widths);
    bool bold = table_may_style();
    (void)fputs(bold ? "\033[1m" : "", stdout);
    for (size_t i = 0; i < n_columns; i++)
        print_cell(t->columns[i].title, widths[i], i + 1 == n_columns);
    (void)fputs(bold ? "\033[0m\n" : "\n", stdout);
    for (size_t i = 0; i < t->cells.n; i++) {
        bool is_last = (i + 1) % n_columns == 0;
        print_cell(t->cells.items[i], widths[i % n_columns], is_last);
        if (is_last)
            (void)fputc('\n', stdout);
    }
    mem_free(widths);
    return CMD_OK;
}
