/*
 * Time zones, from the system's tz database.
 *
 * A zone is a list of spans in each of which the clocks on the wall are a constant offset ahead of UTC. The
 * files (TZif, version 2 or later) are read from TZDIR, else /usr/share/zoneinfo; what their closing rule
 * says about the future is written out up to ZONE_YEAR_MAX. A zone is read once: a newer tz database counts
 * after a restart.
 *
 *     const struct zone *rome;
 *     if (zone_find("Europe/Rome", &rome, err) != ERR_OK)
 *         return err->code;
 *     struct zone_span span = zone_span_at(rome, instant_s);
 *
 * Where clocks are put back, a wall time that comes twice means the second; where they are put forward, one
 * that is left out counts on from the moment of the change, so that 02:30 is 03:30. That is how Java, and so
 * Quartz, reads wall times.
 *
 * Lifetime   Zones are shared and live until zone_forget_all(); there are at most ZONES_MAX.
 * Thread     any; zones never change.
 */
#ifndef HEARTH_SCHEDULE_ZONE_H
#define HEARTH_SCHEDULE_ZONE_H

#include "base/err.h"

#include <stdint.h>

enum {
    ZONE_NAME_MAX = 64,
    ZONES_MAX = 1000,
    ZONE_YEAR_MAX = 2201, /* behind it the last offset stays */
};

struct zone; /* opaque */

/* A zone by its IANA name: letters, digits, + - _ and / between parts, so that no name leads out of the
 * database. UTC is there without a database. ERR_INVALID: no such name, or a file that is no time zone;
 * ERR_BUSY: more than ZONES_MAX; ERR_IO, ERR_NOMEM. */
enum err_code zone_find(const char *name, const struct zone **ret, struct err *err);

/* The zone of this process: TZ (a name, or a rule such as CET-1CEST,M3.5.0,M10.5.0/3), else /etc/localtime,
 * else UTC. ERR_INVALID when TZ is set and is neither. */
enum err_code zone_local(const struct zone **ret, struct err *err);

const char *zone_name(const struct zone *zone);

struct zone_span {
    int64_t from_s; /* instants of [from, to) */
    int64_t to_s;
    /* Wall times of [from, to) mean instants of this span, the rules above applied. */
    int64_t wall_from_s;
    int64_t wall_to_s;
    int32_t offset_s; /* wall - instant */
};

struct zone_span zone_span_at(const struct zone *zone, int64_t instant_s);
/* The span by whose offset a wall time is read. A wall time that was left out lies behind its wall_to_s. */
struct zone_span zone_span_of_wall(const struct zone *zone, int64_t wall_s);

/* Frees all zones. For the end of the program, and for tests. */
void zone_forget_all(void);

#endif
