/*
 * The two clocks: wall time for records and people, monotonic time for durations.
 *
 * Thread   any.
 */
#ifndef HEARTH_BASE_CLOCK_H
#define HEARTH_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); /* milliseconds since 1970-01-01T00:00:00Z */
int64_t clock_mono_ms(void); /* milliseconds since some fixed moment; never goes back */

/* "2026-11-21T08:44:05.123Z" (RFC 3339). */
#define CLOCK_TEXT_MAX 32
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);

#endif
