/* How zones are made: inside schedule/zone*.c only. */
#ifndef HEARTH_SCHEDULE_ZONE_INTERNAL_H
#define HEARTH_SCHEDULE_ZONE_INTERNAL_H

#include "schedule/zone.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    ZONE_FILE_MAX = 64 << 10,    /* the largest of tzdata has 4 KiB */
    ZONE_TRANSITIONS_MAX = 4000, /* in a file; the most in tzdata are some 250 */
    ZONE_OFFSET_MAX_S = 26 * 3600,
};

struct zone_change {
    int64_t at_s;     /* the instant from which */
    int32_t offset_s; /* this offset counts */
};

struct zone {
    struct zone *next;
    char name[ZONE_NAME_MAX + 1];
    size_t n;                     /* at least 1 */
    struct zone_change changes[]; /* ascending; the first begins before all instants */
};

/* Changes while they are collected. A change to the offset that counts already is left out. */
struct zone_changes {
    struct zone_change *items;
    size_t n, cap;
};
enum err_code zone_changes_add(struct zone_changes *changes, int64_t at_s, int32_t offset_s, struct err *err);
void zone_changes_clear(struct zone_changes *changes);

/* The content of a TZif file. */
enum err_code zone_read_file(const unsigned char *bytes, size_t n, struct zone_changes *into,
                             struct err *err);
/* A POSIX rule ("CET-1CEST,M3.5.0,M10.5.0/3"): the changes behind those that are there already. */
enum err_code zone_read_rule(const char *text, size_t len, struct zone_changes *into, struct err *err);

#endif
