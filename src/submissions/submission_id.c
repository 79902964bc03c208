/*
 * Ids of submissions look like those of a standalone master, and are made of what a batch keeps for ever, its
 * number and when it was created, in UTC so that they stay the same on a server with another time zone.
 */
#include "submissions/submissions_internal.h"

#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char prefix[] = "driver-";

enum { TIME_DIGITS = 14, NUMBER_DIGITS_MIN = 4 };

void submission_id_write(const struct app_info *info, char ret[SUBMISSION_ID_MAX])
{
    time_t seconds = (time_t)(info->created_ms / 1000);
    struct tm at;
    char text[TIME_DIGITS + 8];
    (void)gmtime_r(&seconds, &at);
    (void)strftime(text, sizeof text, "%Y%m%d%H%M%S", &at);
    (void)snprintf(ret, SUBMISSION_ID_MAX, "%s%s-%0*" PRId64, prefix, text, NUMBER_DIGITS_MIN, info->id);
}

int64_t submission_id_number(const char *id)
{
    static const char digits[] = "0123456789";
    int64_t number = -1;
    if (!str_starts(id, prefix))
        return -1;
    const char *time = id + strlen(prefix);
    if (strspn(time, digits) != TIME_DIGITS || time[TIME_DIGITS] != '-')
        return -1;
    const char *text = time + TIME_DIGITS + 1;
    if (strlen(text) < NUMBER_DIGITS_MIN || strspn(text, digits) != strlen(text))
        return -1;
    return parse_i64(text, 0, INT64_MAX, &number, NULL) == ERR_OK ? number : -1;
}
