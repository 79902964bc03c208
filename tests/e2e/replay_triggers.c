/* For test_trigger_oracle.py: lives the lives that QuartzTriggers.java writes, read from standard input, and
 * says where hearth's triggers would have lived otherwise. The last line is the number of lives. */
#include "schedule/trigger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 16384 };

/* The next field of a line, or of the words in one. */
static const char *next(char **rest, const char *separator)
{
    const char *field = strsep(rest, separator);
    return field != NULL ? field : "-";
}

static int64_t number(char **rest, const char *separator, int64_t none)
{
    const char *text = next(rest, separator);
    return strcmp(text, "-") == 0 ? none : strtoll(text, NULL, 10);
}

static enum trigger_kind kind_of(const char *name)
{
    enum trigger_kind kind = TRIGGER_CRON;
    while (kind < TRIGGER_INTERVAL && strcmp(trigger_kind_name(kind), name) != 0)
        kind++;
    return kind;
}

static bool read_definition(char **rest, struct trigger *t)
{
    struct err err = {0};
    *t = (struct trigger){.kind = kind_of(next(rest, "\t"))};
    const char *cron = next(rest, "\t");
    const char *zone = next(rest, "\t");
    t->interval_ms = number(rest, "\t", 0);
    t->repeat = number(rest, "\t", 0);
    t->start_ms = number(rest, "\t", 0);
    t->end_ms = number(rest, "\t", TRIGGER_NEVER);
    if (misfire_find(next(rest, "\t"), t->kind, &t->misfire, &err) == ERR_OK &&
        (t->kind != TRIGGER_CRON ||
         (cron_parse(cron, &t->cron, NULL, &err) == ERR_OK && zone_find(zone, &t->zone, &err) == ERR_OK)))
        return true;
    (void)printf("%s\n", err.msg);
    return false;
}

static void move(struct trigger *t, const char *what)
{
    struct missed missed;
    if (strcmp(what, "begin") == 0) {
        if (trigger_begin(t, NULL) != ERR_OK)
            t->next_ms = TRIGGER_NEVER;
        t->previous_ms = TRIGGER_NOT_YET;
    } else if (strcmp(what, "fired") == 0) {
        trigger_fired(t);
    } else {
        (void)trigger_apply_misfire(t, strtoll(what, NULL, 10), 0, &missed);
    }
}

static bool same(const struct trigger *t, char **state)
{
    bool same_times = number(state, " ", TRIGGER_NEVER) == t->next_ms;
    same_times = number(state, " ", TRIGGER_NOT_YET) == t->previous_ms && same_times;
    int64_t start_ms = number(state, " ", 0);
    int64_t repeat = number(state, " ", t->repeat);
    int64_t fired = number(state, " ", t->fired);
    /* Quartz keeps the start of cron cut, hearth as it was given. */
    return same_times && repeat == t->repeat && fired == t->fired &&
           (t->kind == TRIGGER_CRON || start_ms == t->start_ms);
}

static void replay(char *line)
{
    struct trigger t;
    char *whole = strdup(line);
    char *rest = line;
    int step = 0;
    if (whole == NULL || !read_definition(&rest, &t)) {
        free(whole);
        return;
    }
    for (char *state; (state = strsep(&rest, "\t")) != NULL; step++) {
        move(&t, next(&state, " "));
        if (!same(&t, &state)) {
            (void)printf("step %d: next %lld previous %lld start %lld repeat %lld fired %lld in\n  %s\n",
                         step, (long long)t.next_ms, (long long)t.previous_ms, (long long)t.start_ms,
                         (long long)t.repeat, (long long)t.fired, whole);
            break;
        }
    }
    free(whole);
}

int main(void)
{
    char line[LINE_MAX_BYTES];
    int lives = 0;
    for (; fgets(line, sizeof line, stdin) != NULL; lives++) {
        line[strcspn(line, "\n")] = '\0';
        replay(line);
    }
    (void)printf("%d\n", lives);
    zone_forget_all();
    return 0;
}
