#include "cmd/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t show_parse_time(const char *rfc3339)
{
    struct tm tm = {0};
    const char *end = rfc3339 != NULL ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (end == NULL)
        return -1;
    int64_t ms = 0;
    if (*end == '.')
        ms = strtol(end + 1, NULL, 10); /* hearth writes three digits */
    return (int64_t)timegm(&tm) * 1000 + ms;
}

void show_duration(int64_t ms, char out[SHOW_MAX])
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};
    if (ms < 0) {
        (void)snprintf(out, SHOW_MAX, "-");
        return;
    }
    size_t u = 0;
    while (ms < units[u].ms && units[u].ms > 1)
        u++;
    (void)snprintf(out, SHOW_MAX, "%" PRId64 "%s", ms / units[u].ms, units[u].name);
}

void show_bytes(int64_t bytes, char out[SHOW_MAX])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024) {
        (void)snprintf(out, SHOW_MAX, "%" PRId64 " B", bytes);
        return;
    }
    double amount = (double)bytes / 1024;
    size_t u = 0;
    for (; amount >= 1024 && u < 4; u++)
        amount /= 1024;
    (void)snprintf(out, SHOW_MAX, "%.1f %s", amount, units[u]);
}
