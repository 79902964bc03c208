/* Lines and cells of what an answer says. */
#include "cmd/facts.h"

#include "cmd/client.h"

#include <inttypes.h>
#include <stdio.h>

void fact_print(const char *label, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    (void)printf("  %-14s ", label);
    table_print_text(stdout, text);
    (void)putchar('\n');
}

void fact_print_member(const char *label, const json_t *object, const char *name)
{
    fact_print(label, answer_text(object, name, NULL));
}

void fact_print_number(const char *label, const json_t *object, const char *name)
{
    char text[24];
    if (!json_is_integer(answer_get(object, name)))
        return;
    (void)snprintf(text, sizeof text, "%" PRId64, answer_int(object, name, 0));
    fact_print(label, text);
}

void fact_number_cell(struct table *t, const json_t *object, const char *name)
{
    char text[24];
    int64_t n = answer_int(object, name, -1);
    (void)snprintf(text, sizeof text, "%" PRId64, n);
    table_cell(t, n >= 0 ? text : NULL);
}
