/* Shared by schedule/trigger.c and schedule/misfire.c only. */
#ifndef HEARTH_SCHEDULE_TRIGGER_INTERNAL_H
#define HEARTH_SCHEDULE_TRIGGER_INTERNAL_H

#include "schedule/trigger.h"

/* The fire time that comes next after an instant: trigger_after(), unless all repeats are used up. */
int64_t trigger_following(const struct trigger *t, int64_t after_ms);

/* a <= b, and a step of at least 1: how many whole steps lie between them. */
static inline uint64_t trigger_steps(int64_t a, int64_t b, int64_t step)
{
    return ((uint64_t)b - (uint64_t)a) / (uint64_t)step;
}

/* Both at least 0; stops at the largest number. */
static inline int64_t trigger_sum(int64_t a, uint64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Rounds down. */
static inline int64_t trigger_seconds(int64_t ms)
{
    return ms / 1000 - (ms % 1000 < 0);
}

#endif
