/*
 * Times and amounts as people read them.
 *
 * Thread   any.
 */
#ifndef HEARTH_CMD_SHOW_H
#define HEARTH_CMD_SHOW_H

#include <stdint.h>

enum { SHOW_MAX = 32 };

/* "2026-11-21T08:44:05.123Z" as milliseconds since 1970; -1 when it is NULL or no such text. */
int64_t show_parse_time(const char *rfc3339);
/* "850ms", "12s", "3min", "5h", "2d": the largest unit, cut; "-" below zero. */
void show_duration(int64_t ms, char out[SHOW_MAX]);
/* "512 B", "1.5 GiB". */
void show_bytes(int64_t bytes, char out[SHOW_MAX]);

#endif
