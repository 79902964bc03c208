/*
 * One element of a field in Quartz's language. Quartz reads such an element from the left and, once it has a
 * value, mostly ignores what is left; where it trips over the end of the text or over something that is no
 * number it says "Illegal cron expression format". Both are kept.
 */
#include "base/json.h"
#include "schedule/cron_parser.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { NAME_LEN = 3, NO_END = -1, LAST_BEFORE_MAX = 30, NTH_MAX = 5 };

/* Quartz keeps these two among the values, for * and for ?. Written as numbers they are out of range here. */
enum { MEANS_OPEN = 98, MEANS_EVERY = 99 };

static bool refuse_form(struct cron_parser *p, const char *why)
{
    return cron_refuse(p, "Illegal cron expression format (%s)", why);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits from *at on, which there must be. */
static bool read_digits(struct cron_parser *p, const char **at, int64_t *ret)
{
    int64_t value = 0;
    if (!is_digit(**at))
        return refuse_form(p, **at == '\0' ? "a number is missing at the end" : "a number is missing");
    for (; is_digit(**at); (*at)++) {
        value = value * 10 + (**at - '0');
        if (value > INT_MAX)
            return refuse_form(p, "a number is too large");
    }
    *ret = value;
    return true;
}

/* All of the text as one number, with or without a sign. */
static bool is_whole_number(const char *text, int64_t *ret)
{
    int64_t value = 0;
    int sign = *text == '-' ? -1 : 1;
    if (*text == '-' || *text == '+')
        text++;
    if (!is_digit(*text))
        return false;
    for (; is_digit(*text); text++) {
        value = value * 10 + (*text - '0');
        if (value > INT_MAX)
            return false;
    }
    *ret = sign * value;
    return *text == '\0';
}

/* The bytes of the character at `at`. */
static int character(const char *at)
{
    size_t n = json_utf8_length((const unsigned char *)at, strlen(at));
    return n > 0 ? (int)n : 1;
}

/* ---- values ---- */

static bool out_of_range(struct cron_parser *p)
{
    return cron_refuse(p, "%s", p->forms[p->field].out_of_range);
}

/* Of a range only the upper bound of its end is looked at. Years may be anything. */
static bool check_range(struct cron_parser *p, int64_t value, int64_t end)
{
    const struct cron_field_form *form = &p->forms[p->field];
    if (value == MEANS_EVERY)
        return out_of_range(p);
    if (p->field == CRON_YEAR)
        return true;
    if (value < form->min || value > form->max || end > form->max)
        return out_of_range(p);
    return true;
}

/* Where the end comes before the start the range goes once around. */
static bool add_values(struct cron_parser *p, int64_t value, int64_t end, int64_t step)
{
    const struct cron_field_form *form = &p->forms[p->field];
    if (!check_range(p, value, end))
        return false;
    if (step == 0) {
        cron_add_range(p, value, value, 1);
        return true;
    }
    int64_t last = end == NO_END ? form->max : end;
    if (last < value) {
        if (form->cycle == 0)
            return refuse_form(p, "Start year must be less than stop year");
        last += form->cycle;
    }
    cron_add_range(p, value, last, step);
    return true;
}

static bool check_step(struct cron_parser *p, int64_t step)
{
    const struct cron_field_form *form = &p->forms[p->field];
    if (form->step_max != 0 && step > form->step_max)
        return cron_refuse(p, "Increment > %d : %lld", form->step_told, (long long)step);
    return true;
}

static bool read_nth(struct cron_parser *p, const char *text)
{
    int64_t n = 0;
    if (!is_whole_number(text, &n) || n < 1 || n > NTH_MAX)
        return cron_refuse(p, "A numeric value between 1 and 5 must follow the '#' option");
    p->nth = (int)n;
    return true;
}

/* ---- names ---- */

static bool read_name(struct cron_parser *p, const char *at, int *ret)
{
    if (strlen(at) < NAME_LEN)
        return refuse_form(p, "a name needs three letters");
    if (p->field != CRON_MONTH && p->field != CRON_WEEKDAY)
        return cron_refuse(p, "Illegal characters for this position: '%.*s'", NAME_LEN, at);
    *ret = cron_name_value(p, at);
    if (*ret < 0)
        return cron_refuse(p, "Invalid %s value: '%.*s'", p->field == CRON_MONTH ? "Month" : "Day-of-Week",
                           NAME_LEN, at);
    return true;
}

/* FRI, MON-FRI, FRIL, FRI#3. */
static bool read_named(struct cron_parser *p)
{
    int from = 0;
    int to = NO_END;
    if (!read_name(p, p->item, &from))
        return false;
    const char *behind = p->item + NAME_LEN;
    if (*behind == '-' && !read_name(p, behind + 1, &to))
        return false;
    if (p->field == CRON_WEEKDAY && *behind == '#' && !read_nth(p, behind + 1))
        return false;
    if (p->field == CRON_WEEKDAY && *behind == 'L')
        p->is_last_weekday = true;
    return add_values(p, from, to, to == NO_END ? 0 : 1);
}

/* ---- signs ---- */

static bool read_open(struct cron_parser *p)
{
    const struct cron_values *days = &p->values[CRON_DAY];
    const char *behind = p->item + 1;
    if (behind[0] != '\0' && behind[1] != '\0' && behind[1] != '\t')
        return cron_refuse(p, "Illegal character after '?': %.*s", character(behind), behind);
    if (p->field != CRON_DAY && p->field != CRON_WEEKDAY)
        return cron_refuse(p, "'?' can only be specified for Day-of-Month or Day-of-Week.");
    if (p->field == CRON_WEEKDAY && !p->is_last_day) {
        if (days->set == 0 && !days->is_open)
            return refuse_form(p, "day of month has no value");
        if (days->is_open && !days->is_every)
            return cron_refuse(p, "'?' can only be specified for Day-of-Month -OR- Day-of-Week.");
    }
    p->values[p->field].is_open = true;
    return true;
}

/* "*", "*" with a step, or a step alone. */
static bool read_every(struct cron_parser *p)
{
    const struct cron_field_form *form = &p->forms[p->field];
    const char *at = p->item;
    int64_t step = 1;
    if (at[0] == '/' && at[1] == '\0')
        return cron_refuse(p, "'/' must be followed by an integer.");
    if (at[0] == '*' && at[1] == '\0')
        p->values[p->field].is_every = true;
    if (at[0] == '*')
        at++;
    if (at[0] == '/') {
        if (at[1] == '\0')
            return cron_refuse(p, "Unexpected end of string.");
        if (!is_whole_number(at + 1, &step))
            return refuse_form(p, "a number must follow '/'");
        if (!check_step(p, step))
            return false;
    }
    if (step <= 0)
        p->values[p->field].is_every = true;
    cron_add_range(p, form->min, form->max, step > 0 ? step : 1);
    return true;
}

/* L, LW, L-3, L-3W. In day of week only the L counts. */
static bool read_last(struct cron_parser *p)
{
    if (p->field == CRON_WEEKDAY)
        return add_values(p, 7, NO_END, 0);
    if (p->field != CRON_DAY)
        return cron_refuse(p, "Illegal characters for this position: '%s'", p->item);
    const char *at = p->item + 1;
    p->is_last_day = true;
    if (*at == '-') {
        int64_t n = 0;
        at++;
        if (*at == '\0' || (is_digit(*at) && !read_digits(p, &at, &n)))
            return refuse_form(p, "a number must follow 'L-'");
        if (n > LAST_BEFORE_MAX)
            return cron_refuse(p, "Offset from last day must be <= 30");
        p->before_last = (int)n;
    }
    p->is_nearest_workday = p->is_nearest_workday || *at == 'W';
    return true;
}

/* ---- numbers ---- */

/* The sign of a number that chooses among weeks or days stands behind it. */
static bool refuse_option(struct cron_parser *p, const char *at)
{
    return cron_refuse(p, "'%c' option is not valid here. (pos=%d)", *at, (int)(at - p->item));
}

static bool read_weekday_option(struct cron_parser *p, int64_t value, const char *at)
{
    if (p->field != CRON_WEEKDAY)
        return refuse_option(p, at);
    if (*at == '#' && !read_nth(p, at + 1))
        return false;
    p->is_last_weekday = p->is_last_weekday || *at == 'L';
    return add_values(p, value, NO_END, 0);
}

static bool read_workday(struct cron_parser *p, int64_t value, const char *at)
{
    if (p->field != CRON_DAY)
        return refuse_option(p, at);
    if (value > 31)
        return cron_refuse(
            p,
            "The 'W' option does not make sense with values larger than 31 (max number of days in a month)");
    p->is_nearest_workday = true;
    return add_values(p, value, NO_END, 0);
}

/* "-10", "-10/2" behind the first number. The step of a range has no limit. */
static bool read_range(struct cron_parser *p, int64_t value, const char *at)
{
    int64_t end = 0;
    int64_t step = 1;
    at++;
    if (!read_digits(p, &at, &end))
        return false;
    if (*at == '/') {
        at++;
        if (!read_digits(p, &at, &step))
            return false;
    }
    return add_values(p, value, end, step);
}

static bool read_step(struct cron_parser *p, int64_t value, const char *at)
{
    int64_t step = 0;
    if (at[1] == '\0')
        return cron_refuse(p, "'/' must be followed by an integer.");
    const char *from = ++at;
    if (!read_digits(p, &at, &step))
        return false;
    if (at - from == 1 && *at != '\0') /* behind two digits it is not looked at */
        return cron_refuse(p, "Unexpected character '%.*s' after '/'", character(at), at);
    return check_step(p, step) && add_values(p, value, NO_END, step);
}

static bool read_number(struct cron_parser *p)
{
    const char *at = p->item;
    int64_t value = 0;
    if (!read_digits(p, &at, &value))
        return false;
    switch (*at) {
    case 'L':
    case '#': return read_weekday_option(p, value, at);
    case 'W': return read_workday(p, value, at);
    case '-': return read_range(p, value, at);
    case '/': return read_step(p, value, at);
    default: return add_values(p, value, NO_END, 0);
    }
}

/* ---- elements ---- */

/* L, LW, L-3, L-3W and nothing else. */
static bool is_last(const char *item)
{
    if (item[0] != 'L')
        return false;
    const char *at = item + 1;
    if (*at == '-')
        at += 1 + strspn(at + 1, "0123456789");
    return at[*at == 'W'] == '\0';
}

bool cron_read_item(struct cron_parser *p)
{
    char first = p->item[0];
    if (is_last(p->item))
        return read_last(p);
    if (first >= 'A' && first <= 'Z')
        return read_named(p);
    if (first == '?')
        return read_open(p);
    if (first == '*' || first == '/')
        return read_every(p);
    if (is_digit(first))
        return read_number(p);
    return cron_refuse(p, "Unexpected character: %.*s", character(p->item), p->item);
}
