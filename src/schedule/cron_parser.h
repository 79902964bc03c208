/* The parts of the parser: inside schedule/cron_*.c only. */
#ifndef HEARTH_SCHEDULE_CRON_PARSER_H
#define HEARTH_SCHEDULE_CRON_PARSER_H

#include "schedule/cron.h"

enum cron_field {
    CRON_SECOND,
    CRON_MINUTE,
    CRON_HOUR,
    CRON_DAY,
    CRON_MONTH,
    CRON_WEEKDAY,
    CRON_YEAR,
    CRON_FIELDS,
};

struct cron_field_form {
    const char *name;
    const char *allowed;
    const char *out_of_range; /* Quartz's words */
    int min, max;
    int cycle;     /* added to the end of a range that wraps around; 0: it must not */
    int step_max;  /* 0: any */
    int step_told; /* the limit that Quartz tells */
};

/* A field as it was read. */
struct cron_values {
    uint64_t set;
    bool is_every; /* it holds a plain * */
    bool is_open;  /* it holds a ? */
};

/* Reading goes on until something was refused; then everything returns false. */
struct cron_parser {
    const struct cron_field_form *forms; /* of the language that is read */
    char text[CRON_TEXT_MAX + 1];        /* in capitals; item points into it */
    enum cron_field field;
    const char *item;                       /* one element of the list that is read, terminated */
    struct cron_values values[CRON_FIELDS]; /* the years are in `years` */
    uint64_t years[CRON_YEAR_WORDS];
    bool is_last_day, is_nearest_workday, is_last_weekday;
    int before_last; /* of L-n */
    int nth;         /* of #n; 0: none */
    struct cron_problem problem;
};

/* Both return false. The second says it of the field as a whole. */
bool cron_refuse(struct cron_parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool cron_refuse_field(struct cron_parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One element of a Quartz field, p->item. */
bool cron_read_item(struct cron_parser *p);
/* One element of a Unix field. */
bool cron_read_unix_item(struct cron_parser *p);

/* The values first .. last in steps, from a range that is known to be good. */
void cron_add_range(struct cron_parser *p, int64_t first, int64_t last, int64_t step);

/* The number of a three-letter name in the present field, its smallest value being that of the first name; -1
 * when it is none. */
int cron_name_value(const struct cron_parser *p, const char *three_letters);

#endif
