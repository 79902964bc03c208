/* Configuration shown to people: single values, a commented YAML file, the reference page. */
#include "base/config.h"

#include "base/config_internal.h"
#include "base/parse.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { EXAMPLE_WIDTH = 100 };

void config_write_value(const struct config *c, size_t i, struct buf *to)
{
    const struct option *o = &c->options[i];
    const void *field = (const char *)c->values + o->offset;
    char text[PARSE_TEXT_MAX];
    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_CHOICE: buf_str(to, *(char *const *)field); break;
    case OPTION_LIST: {
        const struct strlist *l = field;
        for (size_t item = 0; item < l->n; item++)
            buf_printf(to, "%s%s", item > 0 ? "," : "", l->items[item]);
        break;
    }
    case OPTION_BOOL: buf_str(to, *(const bool *)field ? "true" : "false"); break;
    case OPTION_INT: buf_printf(to, "%" PRId64, *(const int64_t *)field); break;
    case OPTION_SIZE:
        parse_format_size((uint64_t) * (const int64_t *)field, text);
        buf_str(to, text);
        break;
    case OPTION_DURATION:
        parse_format_duration(*(const int64_t *)field, text);
        buf_str(to, text);
        break;
    }
}

/* Which values a row takes: "size, 64k to 1t". */
static void write_kind(const struct option *o, struct buf *to)
{
    char least[PARSE_TEXT_MAX];
    char most[PARSE_TEXT_MAX];
    switch (o->type) {
    case OPTION_TEXT: buf_str(to, "text"); break;
    case OPTION_CHOICE: buf_printf(to, "one of %s", o->choices); break;
    case OPTION_LIST: buf_str(to, "list"); break;
    case OPTION_BOOL: buf_str(to, "true or false"); break;
    case OPTION_INT: buf_printf(to, "number, %" PRId64 " to %" PRId64, o->min, o->max); break;
    case OPTION_SIZE:
        parse_format_size((uint64_t)o->min, least);
        parse_format_size((uint64_t)o->max, most);
        buf_printf(to, "size, %s to %s", least, most);
        break;
    case OPTION_DURATION:
        parse_format_duration(o->min, least);
        parse_format_duration(o->max, most);
        buf_printf(to, "time, %s to %s", least, most);
        break;
    }
}

/* Length of the group in "group.name"; 0 for a row without one. */
static size_t group_length(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot != NULL ? (size_t)(dot - name) : 0;
}

/* True when row o begins a group: the row before it is of another one. */
static bool begins_group(const struct option *options, const struct option *o)
{
    size_t n = group_length(o->name);
    return o == options || group_length(o[-1].name) != n || strncmp(o[-1].name, o->name, n) != 0;
}

/* Text for a table cell, where | would end it. */
static void write_cell(struct buf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            buf_char(to, '\\');
        buf_char(to, *text);
    }
}

/* A list's initial value gets a blank behind each comma, so that a page can break the line. */
static void write_initial(const struct option *o, struct buf *to)
{
    buf_char(to, '`');
    for (const char *p = o->initial; *p != '\0'; p++) {
        buf_char(to, *p);
        if (*p == ',' && o->type == OPTION_LIST)
            buf_str(to, "` `");
    }
    buf_char(to, '`');
}

static void write_markdown_row(const struct option *o, struct buf *to)
{
    buf_printf(to, "| `%s` | ", o->name);
    write_kind(o, to);
    buf_str(to, " | ");
    if (o->initial[0] == '\0')
        buf_str(to, "(empty)");
    else
        write_initial(o, to);
    buf_str(to, " | ");
    write_cell(to, o->help);
    buf_str(to, " |\n");
}

void config_write_markdown(const struct option *options, struct buf *to)
{
    buf_str(to, "# Configuration\n\n"
                "This page is made by `hearth config --markdown`; `hearth config` shows the values in\n"
                "effect and where each came from, `hearth config --example` a YAML file to start from.\n\n"
                "A setting can be given in four places; later ones win:\n\n"
                "1. its default;\n"
                "2. a YAML file: `--config FILE`, else the file that `HEARTH_CONFIG` names, else\n"
                "   `/etc/hearth/hearth.yaml` when it exists. Groups are mappings\n"
                "   (`server:` with `listen:` below it) or dotted keys (`server.listen:`);\n"
                "3. an environment variable: `HEARTH_`, then the key in capitals with `_` for each dot\n"
                "   (`HEARTH_SERVER_STATE_DIR`);\n"
                "4. the command line: `--set server.state_dir=/var/lib/hearth`, also `--listen` and\n"
                "   `--state`.\n\n"
                "A mistake anywhere stops the start with the place, the value and what is allowed.\n\n"
                "Sizes are whole numbers with `k`, `m`, `g` or `t` (powers of 1024), without one they\n"
                "are bytes. Times are whole numbers with `ms`, `s`, `min`, `h` or `d`, without one they\n"
                "are milliseconds. A list is a YAML sequence, or text with commas.\n");
    for (const struct option *o = options; o->name != NULL; o++) {
        if (begins_group(options, o))
            buf_printf(to, "\n## %.*s\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n",
                       (int)group_length(o->name), o->name);
        write_markdown_row(o, to);
    }
}

/* Quotes what YAML could take for something else. */
static void write_yaml(const char *text, struct buf *to)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_-+:[*]";
    bool quote = !isalnum((unsigned char)text[0]) || text[strspn(text, plain)] != '\0';
    buf_printf(to, quote ? "\"%s\"" : "%s", text);
}

/* Help text as comment lines. */
static void write_comment(const char *text, struct buf *to)
{
    while (*text != '\0') {
        size_t n = strlen(text);
        if (n > EXAMPLE_WIDTH) {
            n = EXAMPLE_WIDTH;
            while (n > 0 && text[n] != ' ')
                n--;
            if (n == 0)
                n = strcspn(text, " ");
        }
        buf_printf(to, "  # %.*s\n", (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
}

void config_write_example(const struct option *options, struct buf *to)
{
    buf_str(to, "# hearth's settings with their defaults. Take the # away in front of what you change.\n");
    for (const struct option *o = options; o->name != NULL; o++) {
        size_t group = group_length(o->name);
        if (begins_group(options, o))
            buf_printf(to, "\n%.*s:\n", (int)group, o->name);
        write_comment(o->help, to);
        buf_printf(to, "  #%s: ", o->name + group + 1);
        write_yaml(o->initial, to);
        buf_char(to, '\n');
    }
}
