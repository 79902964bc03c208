/*
 * What the commands about schedules share: finding one by what a person calls it, and showing times.
 *
 * Thread   the program's first.
 */
#ifndef HEARTH_CMD_SCHEDULE_ACCESS_H
#define HEARTH_CMD_SCHEDULE_ACCESS_H

#include "cmd/client.h"
#include "cmd/table.h"

enum { SCHEDULE_ID_MAX = 24 };

/* The number of the schedule that is called NAME (in the group "default"), GROUP/NAME, or by its number; also
 * a name of digits, and a name with a slash in it, when nothing else is called so. ERR_NOT_FOUND. */
enum err_code schedule_find(struct client *c, const char *called, char id[SCHEDULE_ID_MAX], struct err *err);
/* The same for a group and a name. */
enum err_code schedule_find_named(struct client *c, const char *group, const char *name,
                                  char id[SCHEDULE_ID_MAX], struct err *err);

/* A call about the schedule that is called so; {id} in the path becomes its number. */
enum err_code schedule_ask(struct client *c, const char *method, const char *path, const char *called,
                           json_t **ret, struct err *err);

/* "nightly", or "etl/nightly" where the group is another than "default". */
void schedule_print_name(FILE *to, const json_t *schedule);
/* An instant of an answer, without milliseconds that are zero; NULL when it has none. */
void schedule_time_cell(struct table *t, const json_t *object, const char *member);

#endif
