/* One element of a field in the five-field form of Unix: *, 5, 1-5, each with a step, and names. */
#include "schedule/cron_parser.h"

#include <string.h>

static bool refuse(struct cron_parser *p)
{
    return cron_refuse(p, "Not a value, a range or a step of %s", p->forms[p->field].name);
}

/* Digits, three at most, or a name. */
static bool read_value(struct cron_parser *p, const char **at, int *ret)
{
    const struct cron_field_form *form = &p->forms[p->field];
    size_t n = strspn(*at, "0123456789");
    int value = 0;
    if (n == 0 && (p->field == CRON_MONTH || p->field == CRON_WEEKDAY) && strlen(*at) >= 3) {
        value = cron_name_value(p, *at);
        if (value < 0)
            return refuse(p);
        *at += 3;
    } else if (n < 1 || n > 3) {
        return refuse(p);
    }
    for (; n > 0; n--, (*at)++)
        value = value * 10 + (**at - '0');
    if (value < form->min || value > form->max)
        return cron_refuse(p, "%s", form->out_of_range);
    *ret = value;
    return true;
}

static bool read_step(struct cron_parser *p, const char **at, int *ret)
{
    size_t n = strspn(*at, "0123456789");
    int step = 0;
    if (n < 1 || n > 3)
        return refuse(p);
    for (; n > 0; n--, (*at)++)
        step = step * 10 + (**at - '0');
    if (step < 1 || step > p->forms[p->field].step_max)
        return cron_refuse(p, "A step must be between 1 and %d", p->forms[p->field].step_max);
    *ret = step;
    return true;
}

static bool skip(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* Sunday is 0 and 7 in the text, and 1 in a struct cron. */
static void add(struct cron_parser *p, int first, int last, int step)
{
    uint64_t *set = &p->values[p->field].set;
    for (int v = first; v <= last; v += step)
        *set |= UINT64_C(1) << (p->field == CRON_WEEKDAY ? v % 7 + 1 : v);
}

bool cron_read_unix_item(struct cron_parser *p)
{
    const struct cron_field_form *form = &p->forms[p->field];
    const char *at = p->item;
    int first = form->min;
    int last = p->field == CRON_WEEKDAY ? 6 : form->max;
    int step = 1;
    if (!skip(&at, '*')) {
        if (!read_value(p, &at, &first))
            return false;
        last = first;
        if (skip(&at, '-') && !read_value(p, &at, &last))
            return false;
        if (last < first)
            return cron_refuse(p, "The end of a range must not come before its start");
        if (last == first && *at == '/')
            return cron_refuse(p, "A step needs a range or *");
    }
    if (skip(&at, '/') && !read_step(p, &at, &step))
        return false;
    if (*at != '\0')
        return refuse(p);
    add(p, first, last, step);
    return true;
}
