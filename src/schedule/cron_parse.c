/* From text to sets: fields, their elements, and what only the whole can tell. */
#include "base/strs.h"
#include "schedule/cron_internal.h"
#include "schedule/cron_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define UNIX_WORD "UNIX:"
#define FORMS                                                                                                \
    "allowed: seconds minutes hours day-of-month month day-of-week [year], or unix: and its five fields"
#define LIST_AND_STEPS " and , - * /"

enum { EVERY_WEEKDAY = 0xfe };
#define EVERY_DAY UINT64_C(0xfffffffe)

static const struct cron_field_form quartz_forms[CRON_FIELDS] = {
    [CRON_SECOND] = {"seconds", "0-59" LIST_AND_STEPS, "Minute and Second values must be between 0 and 59", 0,
                     59, 60, 59, 60},
    [CRON_MINUTE] = {"minutes", "0-59" LIST_AND_STEPS, "Minute and Second values must be between 0 and 59", 0,
                     59, 60, 59, 60},
    [CRON_HOUR] = {"hours", "0-23" LIST_AND_STEPS, "Hour values must be between 0 and 23", 0, 23, 24, 23, 24},
    [CRON_DAY] = {"day of month", "1-31" LIST_AND_STEPS " ? L W",
                  "Day of month values must be between 1 and 31", 1, 31, 31, 31, 31},
    [CRON_MONTH] = {"month", "1-12 or JAN-DEC" LIST_AND_STEPS, "Month values must be between 1 and 12", 1, 12,
                    12, 12, 12},
    [CRON_WEEKDAY] = {"day of week", "1-7 (1 is Sunday) or SUN-SAT" LIST_AND_STEPS " ? L #",
                      "Day-of-Week values must be between 1 and 7", 1, 7, 7, 7, 7},
    [CRON_YEAR] = {"year", "1970-2199" LIST_AND_STEPS, "Year values must be between 1970 and 2199",
                   CRON_YEAR_MIN, CRON_YEAR_MAX, 0, 0, 0},
};

static const struct cron_field_form unix_forms[CRON_FIELDS] = {
    [CRON_MINUTE] = {"minutes", "0-59" LIST_AND_STEPS, "Minute values must be between 0 and 59", 0, 59, 0, 59,
                     0},
    [CRON_HOUR] = {"hours", "0-23" LIST_AND_STEPS, "Hour values must be between 0 and 23", 0, 23, 0, 23, 0},
    [CRON_DAY] = {"day of month", "1-31" LIST_AND_STEPS, "Day of month values must be between 1 and 31", 1,
                  31, 0, 31, 0},
    [CRON_MONTH] = {"month", "1-12 or JAN-DEC" LIST_AND_STEPS, "Month values must be between 1 and 12", 1, 12,
                    0, 12, 0},
    [CRON_WEEKDAY] = {"day of week", "0-7 (0 and 7 are Sunday) or SUN-SAT" LIST_AND_STEPS,
                      "Day-of-Week values must be between 0 and 7", 0, 7, 0, 7, 0},
};

/* ---- refusing ---- */

static void explain(struct cron_parser *p, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void explain(struct cron_parser *p, const char *fmt, va_list ap)
{
    (void)vsnprintf(p->problem.reason, sizeof p->problem.reason, fmt, ap);
}

static void name_field(struct cron_parser *p)
{
    p->problem.field = p->forms[p->field].name;
    p->problem.allowed = p->forms[p->field].allowed;
}

bool cron_refuse_field(struct cron_parser *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    explain(p, fmt, ap);
    va_end(ap);
    name_field(p);
    return false;
}

bool cron_refuse(struct cron_parser *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    explain(p, fmt, ap);
    va_end(ap);
    name_field(p);
    (void)snprintf(p->problem.value, sizeof p->problem.value, "%s", p->item);
    return false;
}

static bool refuse_whole(struct cron_parser *p, const char *reason)
{
    (void)snprintf(p->problem.reason, sizeof p->problem.reason, "%s", reason);
    return false;
}

/* ---- values ---- */

void cron_add_range(struct cron_parser *p, int64_t first, int64_t last, int64_t step)
{
    int cycle = p->forms[p->field].cycle;
    int min = p->forms[p->field].min;
    if (p->field == CRON_YEAR) {
        for (int64_t y = CRON_YEAR_MIN; y <= CRON_YEAR_MAX; y++)
            if (y >= first && y <= last && (y - first) % step == 0)
                p->years[(y - CRON_YEAR_MIN) / 64] |= UINT64_C(1) << (y - CRON_YEAR_MIN) % 64;
        return;
    }
    for (int64_t v = first; v <= last; v += step)
        p->values[p->field].set |= UINT64_C(1) << (v < min + cycle || cycle == 0 ? v : v - cycle);
}

int cron_name_value(const struct cron_parser *p, const char *three_letters)
{
    static const char *const months = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC";
    static const char *const weekdays = "SUN MON TUE WED THU FRI SAT";
    const char *names = p->field == CRON_MONTH ? months : weekdays;
    for (int i = 0;; i++, names += 4) {
        if (strncmp(names, three_letters, 3) == 0)
            return p->forms[p->field].min + i;
        if (names[3] == '\0')
            return -1;
    }
}

/* ---- fields ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts the next field off; NULL when there is none. Control characters at its ends do not count. */
static char *cut_field(char **rest)
{
    char *from = *rest;
    while (is_blank(*from))
        from++;
    if (*from == '\0')
        return NULL;
    char *end = from;
    while (*end != '\0' && !is_blank(*end))
        end++;
    *rest = *end != '\0' ? end + 1 : end;
    while (end > from && (unsigned char)end[-1] <= ' ')
        end--;
    *end = '\0';
    while (*from != '\0' && (unsigned char)*from <= ' ')
        from++;
    return from;
}

/* What Quartz looks for before it reads a list. */
static bool check_list(struct cron_parser *p, const char *text)
{
    bool is_last_in_list = strchr(text, 'L') != NULL && strchr(text, ',') != NULL;
    p->item = text;
    if (p->field == CRON_DAY && is_last_in_list)
        return cron_refuse(
            p, "Support for specifying 'L' and 'LW' with other days of the month is not implemented");
    if (p->field != CRON_WEEKDAY)
        return true;
    if (is_last_in_list)
        return cron_refuse(p, "Support for specifying 'L' with other days of the week is not implemented");
    const char *nth = strchr(text, '#');
    if (nth != NULL && strchr(nth + 1, '#') != NULL)
        return cron_refuse(p, "Support for specifying multiple \"nth\" days is not implemented.");
    return true;
}

static bool read_list(struct cron_parser *p, char *text, bool (*read_item)(struct cron_parser *))
{
    for (char *item = text, *next; item != NULL; item = next) {
        next = strchr(item, ',');
        if (next != NULL)
            *next++ = '\0';
        p->item = item;
        if (*item != '\0' && !read_item(p))
            return false;
    }
    return true;
}

static bool has_values(const struct cron_parser *p, enum cron_field field)
{
    return p->values[field].set != 0 || p->values[field].is_open;
}

/* Lists of commas only: Quartz reads them, and then has nothing to choose from. */
static bool check_not_empty(struct cron_parser *p)
{
    for (p->field = CRON_SECOND; p->field <= CRON_WEEKDAY; p->field++) {
        bool is_last = p->field == CRON_DAY && p->is_last_day;
        if (!has_values(p, p->field) && !is_last)
            return cron_refuse_field(p, "Illegal cron expression format (no value)");
    }
    return true;
}

static bool check_days(struct cron_parser *p)
{
    bool by_day = !p->values[CRON_DAY].is_open;
    bool by_weekday = !p->values[CRON_WEEKDAY].is_open;
    p->field = CRON_WEEKDAY;
    if (by_day == by_weekday)
        return cron_refuse_field(
            p, "Support for specifying both a day-of-week AND a day-of-month parameter is not implemented.");
    return true;
}

static bool read_quartz(struct cron_parser *p, char *text)
{
    p->forms = quartz_forms;
    for (p->field = CRON_SECOND; p->field <= CRON_YEAR; p->field++) {
        char *field = cut_field(&text);
        if (field == NULL)
            break;
        if (!check_list(p, field) || !read_list(p, field, cron_read_item))
            return false;
    }
    if (p->field <= CRON_WEEKDAY)
        return refuse_whole(p, "Unexpected end of expression.");
    if (p->field == CRON_YEAR)
        cron_add_range(p, CRON_YEAR_MIN, CRON_YEAR_MAX, 1);
    return check_days(p) && check_not_empty(p);
}

static bool read_unix(struct cron_parser *p, char *text)
{
    p->forms = unix_forms;
    for (p->field = CRON_MINUTE; p->field <= CRON_WEEKDAY; p->field++) {
        char *field = cut_field(&text);
        if (field == NULL)
            return refuse_whole(p, "Unexpected end of expression.");
        p->values[p->field].is_every = field[0] == '*'; /* also of * / n, as cron has always done */
        p->item = field;
        if (field[0] == '\0' || field[0] == ',' || strstr(field, ",,") != NULL || str_ends(field, ","))
            return cron_refuse(p, "An element of the list is empty");
        if (!read_list(p, field, cron_read_unix_item))
            return false;
    }
    if (cut_field(&text) != NULL)
        return refuse_whole(p, "More than five fields");
    p->values[CRON_SECOND].set = 1;
    p->field = CRON_YEAR;
    p->forms = quartz_forms;
    cron_add_range(p, CRON_YEAR_MIN, CRON_YEAR_MAX, 1);
    return true;
}

/* ---- the result ---- */

static enum cron_day_rule quartz_rule(const struct cron_parser *p)
{
    if (p->values[CRON_WEEKDAY].is_open) {
        if (p->is_last_day)
            return p->is_nearest_workday ? CRON_LAST_WORKDAY : CRON_LAST_DAY;
        return p->is_nearest_workday ? CRON_NEAREST_WORKDAY : CRON_DAYS;
    }
    if (p->is_last_weekday)
        return CRON_LAST_WEEKDAY;
    return p->nth != 0 ? CRON_NTH_WEEKDAY : CRON_WEEKDAYS;
}

/* In cron a day must match both fields when one of them begins with *, and otherwise either. */
static enum cron_day_rule unix_rule(const struct cron_parser *p)
{
    const struct cron_values *days = &p->values[CRON_DAY];
    const struct cron_values *weekdays = &p->values[CRON_WEEKDAY];
    if (!days->is_every && !weekdays->is_every)
        return CRON_EITHER;
    if (weekdays->set == EVERY_WEEKDAY)
        return CRON_DAYS;
    return days->set == EVERY_DAY ? CRON_WEEKDAYS : CRON_BOTH;
}

static void fill(const struct cron_parser *p, enum cron_day_rule rule, struct cron *ret)
{
    struct cron c = {
        .seconds = p->values[CRON_SECOND].set,
        .minutes = p->values[CRON_MINUTE].set,
        .hours = (uint32_t)p->values[CRON_HOUR].set,
        .months = (uint16_t)p->values[CRON_MONTH].set,
        .day_rule = (uint8_t)rule,
    };
    memcpy(c.years, p->years, sizeof c.years);
    if (rule == CRON_DAYS || rule == CRON_EITHER || rule == CRON_BOTH)
        c.days = (uint32_t)p->values[CRON_DAY].set;
    if (rule == CRON_WEEKDAYS || rule == CRON_EITHER || rule == CRON_BOTH)
        c.weekdays = (uint8_t)p->values[CRON_WEEKDAY].set;
    if (rule == CRON_LAST_DAY || rule == CRON_LAST_WORKDAY)
        c.day = (uint8_t)p->before_last;
    if (rule == CRON_NEAREST_WORKDAY)
        c.day = (uint8_t)cron_lowest(p->values[CRON_DAY].set);
    if (rule == CRON_LAST_WEEKDAY || rule == CRON_NTH_WEEKDAY) {
        c.weekday = (uint8_t)cron_lowest(p->values[CRON_WEEKDAY].set);
        c.nth = rule == CRON_NTH_WEEKDAY ? (uint8_t)p->nth : 0;
    }
    *ret = c;
}

static void copy_in_capitals(const char *text, char *to)
{
    size_t n = strlen(text);
    memcpy(to, text, n + 1);
    for (size_t i = 0; i < n; i++)
        if (to[i] >= 'a' && to[i] <= 'z')
            to[i] ^= 'a' ^ 'A';
}

static enum err_code report(const struct cron_problem *problem, struct err *err)
{
    if (problem->field == NULL)
        return err_set(err, ERR_INVALID, "%s (" FORMS ")", problem->reason);
    if (problem->value[0] == '\0')
        return err_set(err, ERR_INVALID, "%s: %s (allowed: %s)", problem->field, problem->reason,
                       problem->allowed);
    return err_set(err, ERR_INVALID, "%s '%s': %s (allowed: %s)", problem->field, problem->value,
                   problem->reason, problem->allowed);
}

bool cron_is_unix(const char *text)
{
    return strncasecmp(text + strspn(text, " \t"), UNIX_WORD, strlen(UNIX_WORD)) == 0;
}

enum err_code cron_parse(const char *text, struct cron *ret, struct cron_problem *problem, struct err *err)
{
    struct cron_parser p = {0};
    enum err_code rc = ERR_OK;
    bool is_unix = cron_is_unix(text);
    if (strnlen(text, CRON_TEXT_MAX + 1) > CRON_TEXT_MAX) {
        (void)refuse_whole(&p, "Longer than 1024 bytes");
        rc = err_set(err, ERR_TOO_LARGE, "%s", p.problem.reason);
    } else {
        copy_in_capitals(text, p.text);
        char *start = p.text + strspn(p.text, " \t");
        if (!(is_unix ? read_unix(&p, start + strlen(UNIX_WORD)) : read_quartz(&p, start)))
            rc = report(&p.problem, err);
    }
    if (rc == ERR_OK)
        fill(&p, is_unix ? unix_rule(&p) : quartz_rule(&p), ret);
    else if (problem != NULL)
        *problem = p.problem;
    return rc;
}
