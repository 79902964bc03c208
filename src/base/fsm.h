/*
 * State machines as tables: states with their names and the ways out of each.
 *
 * Thread   any; a table is constant.
 */
#ifndef HEARTH_BASE_FSM_H
#define HEARTH_BASE_FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct fsm_state {
    const char *name;
    unsigned to; /* bit set of states that may follow; 0: an end */
};

#define FSM_TO(state) (1U << (state))

static inline bool fsm_may(const struct fsm_state *table, unsigned from, unsigned to)
{
    return (table[from].to & FSM_TO(to)) != 0;
}

static inline bool fsm_is_end(const struct fsm_state *table, unsigned state)
{
    return table[state].to == 0;
}

/* The state of that name, or -1. */
static inline int fsm_find(const struct fsm_state *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0)
            return (int)i;
    return -1;
}

#endif
