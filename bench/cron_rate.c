/*
 * How many next fire times one core finds in a second, for the expressions of bench/cron.txt.
 *
 *     cron_rate FILE ZONE SECONDS      one line per expression: fire times per second, tab, expression
 *
 * Each expression walks from fire time to fire time, as a scheduler would; one that has no more begins anew.
 */
#include "schedule/cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE = 256, ROUND = 10000 };

static const int64_t START_S = 1704067200; /* 2024-01-01 */

/* Time of the processor: what else the machine does must not count. */
static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double rate(const struct cron *c, const struct zone *z, double seconds)
{
    double begin = now_s();
    double end = begin;
    int64_t at_s = START_S;
    long n = 0;
    while (end - begin < seconds) {
        for (int i = 0; i < ROUND; i++)
            if (!cron_next(c, z, at_s, &at_s))
                at_s = START_S;
        n += ROUND;
        end = now_s();
    }
    return (double)n / (end - begin);
}

int main(int argc, char **argv)
{
    char line[LINE];
    const struct zone *z = NULL;
    struct cron c;
    struct err err = {0};
    FILE *file = argc == 4 ? fopen(argv[1], "r") : NULL;
    if (file == NULL || zone_find(argv[2], &z, &err) != ERR_OK) {
        (void)fprintf(stderr, "usage: cron_rate FILE ZONE SECONDS\n");
        return 2;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (cron_parse(line, &c, NULL, &err) != ERR_OK) {
            (void)fprintf(stderr, "%s: %s\n", line, err.msg);
            return 1;
        }
        (void)printf("%.0f\t%s\n", rate(&c, z, strtod(argv[3], NULL)), line);
    }
    (void)fclose(file);
    zone_forget_all();
    return 0;
}
