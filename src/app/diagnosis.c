/*
 * Why a driver ended, in words: from its exit, from what Spark's launcher link said, and from the
 * last lines it wrote.
 */
#include "app/app_internal.h"

#include "base/mem.h"
#include "base/parse.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { ERRORS_MAX = 20, KEY_MAX = 300 };

/* What a line means for a person; the first row that any line has wins. */
static const struct {
    const char *needle;
    const char *words;
} rules[] = {
    {"java.lang.OutOfMemoryError", "ran out of Java memory; raise driverMemory"},
    {"Invalid maximum heap size", "java refused the driver's memory size (driverMemory)"},
    {"Could not create the Java Virtual Machine", "java refused to start"},
    {"Failed to load class", "the class was not found"},
    {"ClassNotFoundException", "a class was not found"},
    {"can't open file", "a file was not found"},
    {"FileNotFoundException", "a file was not found"},
    {"NoSuchFileException", "a file was not found"},
    {"Input path does not exist", "an input path does not exist"},
    {"PATH_NOT_FOUND", "a path does not exist"},
    {"Could not parse Master URL", "the master's address is not one that Spark knows"},
    {"All masters are unresponsive", "no Spark master answered"},
    {"No such file or directory", "a file was not found"},
    {"Permission denied", "permission was denied"},
    {"Address already in use", "a port was taken"},
    {"No space left on device", "a disk was full"},
};

void diagnosis_clear(struct app_diagnosis *d)
{
    mem_free(d->summary);
    strlist_clear(&d->errors);
    *d = (struct app_diagnosis){0};
}

static bool is_trace(const char *line)
{
    return isspace((unsigned char)line[0]) || str_starts(line, "Caused by: ") || str_starts(line, "\tat ");
}

/* "org.apache.spark.SparkException: …", "ValueError: …", "Error: …": an exception's own line. */
static bool is_exception(const char *line)
{
    const char *colon = strchr(line, ':');
    size_t n = colon != NULL ? (size_t)(colon - line) : strlen(line);
    if (n == 0 || n > 200 || memchr(line, ' ', n) != NULL)
        return false;
    return (n >= 5 && strncmp(line + n - 5, "Error", 5) == 0) ||
           (n >= 9 && strncmp(line + n - 9, "Exception", 9) == 0) ||
           (n == 10 && strncmp(line, "SystemExit", 10) == 0);
}

static bool starts_trouble(const char *line)
{
    return str_starts(line, "Traceback (most recent call last)") || str_starts(line, "Exception in thread") ||
           str_starts(line, "Error: ") || str_starts(line, "Error occurred") || is_exception(line) ||
           strstr(line, " ERROR ") != NULL || strstr(line, "can't open file") != NULL ||
           str_starts(line, "Invalid maximum heap size");
}

/* Where the last trouble begins among the lines; n when there is none. */
static size_t find_trouble(const struct strlist *lines)
{
    size_t found = lines->n;
    for (size_t i = lines->n; i-- > 0;) {
        if (str_starts(lines->items[i], "Traceback (most recent call last)"))
            return i;
        if (starts_trouble(lines->items[i]) && !is_trace(lines->items[i])) {
            found = i;
            if (i == 0 || !starts_trouble(lines->items[i - 1]))
                break;
        }
    }
    /* A Python traceback above the exception's line belongs to it. */
    for (size_t i = found; i-- > 0 && found < lines->n && found - i < 100;)
        if (str_starts(lines->items[i], "Traceback (most recent call last)"))
            return i;
    return found;
}

/* The line that says it best: the exception of a traceback, or the first line of the trouble. */
static const char *key_line(const struct strlist *lines, size_t trouble)
{
    if (trouble == lines->n)
        return NULL;
    if (!str_starts(lines->items[trouble], "Traceback"))
        return lines->items[trouble];
    for (size_t i = trouble + 1; i < lines->n; i++)
        if (lines->items[i][0] != '\0' && !isspace((unsigned char)lines->items[i][0]))
            return lines->items[i];
    return lines->items[trouble];
}

static const char *rule_words(const struct strlist *lines, const char **ret_line)
{
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        for (size_t i = lines->n; i-- > 0;) {
            if (strstr(lines->items[i], rules[r].needle) == NULL || strstr(lines->items[i], "WARN") != NULL)
                continue;
            *ret_line = lines->items[i];
            return rules[r].words;
        }
    }
    return NULL;
}

static int collect_errors(const struct strlist *lines, size_t trouble, struct strlist *errors)
{
    for (size_t i = trouble; i < lines->n && errors->n < ERRORS_MAX; i++)
        if (strlist_add(errors, lines->items[i]) != 0)
            return -1;
    return 0;
}

static const char *signal_name(int number, char text[24])
{
    const char *abbreviation = sigabbrev_np(number);
    if (abbreviation != NULL)
        (void)snprintf(text, 24, "SIG%s", abbreviation);
    else
        (void)snprintf(text, 24, "signal %d", number);
    return text;
}

/* How the process went, without what it said. */
static char *describe_exit(const struct diagnosis_input *in)
{
    char name[24];
    char peak[PARSE_TEXT_MAX];
    if (in->lost != NULL)
        return mem_printf("lost: %s; its exit code is not known%s%s", in->lost,
                          in->launcher_state != NULL ? ", Spark's last word was " : "",
                          in->launcher_state != NULL ? in->launcher_state : "");
    if (in->oom_killed) {
        parse_format_size(in->max_memory >> 20 << 20, peak);
        return mem_printf(
            "killed for memory: the kernel ended the driver at its memory limit, its peak was %s; "
            "raise driverMemory or the memory of the machine",
            peak);
    }
    if (in->signal == SIGKILL)
        return mem_printf("killed by SIGKILL, by somebody other than hearth");
    if (in->signal != 0)
        return mem_printf("ended by %s", signal_name(in->signal, name));
    return mem_printf("exited with code %d", in->exit_code);
}

static char *compose(const struct diagnosis_input *in, const char *key)
{
    cleanup(mem_freep) char *exit = describe_exit(in);
    if (exit == NULL)
        return NULL;
    const char *line = NULL;
    const char *words = rule_words(in->lines, &line);
    if (in->lost != NULL || in->oom_killed || (in->signal != 0 && words == NULL))
        return mem_strdup(exit);
    if (words != NULL)
        return mem_printf("%s: %s: %.*s", exit, words, KEY_MAX, line);
    if (key != NULL && !in->connected && str_starts(key, "Error: "))
        return mem_printf("%s: spark-submit refused it: %.*s", exit, KEY_MAX, key);
    if (key != NULL)
        return mem_printf("%s: %.*s", exit, KEY_MAX, key);
    return mem_strdup(exit);
}

int diagnosis_make(const struct diagnosis_input *in, struct app_diagnosis *ret)
{
    struct app_diagnosis d = {
        .exit_code = in->exit_code,
        .signal = in->signal,
        .killed_for_memory = in->oom_killed,
        .max_memory = in->max_memory,
    };
    bool failed_inside = in->launcher_state != NULL && (strcmp(in->launcher_state, "FAILED") == 0 ||
                                                        strcmp(in->launcher_state, "KILLED") == 0);
    if (in->exit_code == 0 && in->lost == NULL) {
        d.summary = failed_inside ? mem_printf("exited with code 0, but Spark said %s", in->launcher_state)
                                  : mem_strdup("finished");
    } else {
        size_t trouble = find_trouble(in->lines);
        d.summary = compose(in, key_line(in->lines, trouble));
        if (collect_errors(in->lines, trouble, &d.errors) != 0)
            mem_freep(&d.summary);
    }
    if (d.summary == NULL) {
        diagnosis_clear(&d);
        return -1;
    }
    *ret = d;
    return 0;
}
