/* Shared by schedule/cron_*.c only. */
#ifndef HEARTH_SCHEDULE_CRON_INTERNAL_H
#define HEARTH_SCHEDULE_CRON_INTERNAL_H

#include "schedule/cron.h"

/* A month of the calendar and the days of it on which an expression fires. */
struct cron_month {
    int64_t first; /* day of its 1st, since 1970-01-01 */
    int year, month, length;
    uint32_t days; /* bit n: day n */
};

/* Years before CRON_YEAR_MIN and behind CRON_YEAR_MAX have no days. */
void cron_month_fill(const struct cron *cron, int year, int month, struct cron_month *ret);
bool cron_has_year(const struct cron *cron, int year);

/* Counting trailing zeros: the smallest value of a set that is not empty. */
static inline int cron_lowest(uint64_t set)
{
    return __builtin_ctzll(set);
}

static inline int cron_highest(uint64_t set)
{
    return 63 - __builtin_clzll(set);
}

/* The values of a set that are n or larger, n below 64. */
static inline uint64_t cron_from(uint64_t set, int n)
{
    return set & (~UINT64_C(0) << n);
}

/* The values that are n or smaller, n below 63. */
static inline uint64_t cron_up_to(uint64_t set, int n)
{
    return set & ((UINT64_C(2) << n) - 1);
}

#endif
