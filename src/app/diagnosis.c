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

enum { ERRORS_MAX = 20, FRAMES_MAX = 3, LAST_WORDS = 3, KEY_MAX = 300, TRACEBACK_MAX = 100 };

static const char traceback[] = "Traceback (most recent call last):";

/* What a line means for a person; the first row that any line has wins. */
static const struct {
    const char *needle;
    const char *words;
    bool anywhere; /* in the output; otherwise only where the last trouble is told */
} rules[] = {
    {"java.lang.OutOfMemoryError", "ran out of Java memory; raise driverMemory", true},
    {"Invalid maximum heap size", "java refused the driver's memory size (driverMemory)", true},
    {"Could not reserve enough space", "java could not get that much memory; lower driverMemory", true},
    {"Could not create the Java Virtual Machine", "java refused to start", true},
    {"INVALID_DRIVER_MEMORY", "Spark needs more memory than that; raise driverMemory", false},
    {"System memory ", "Spark needs more memory than that; raise driverMemory", false},
    {"No main class set in JAR", "the jar names no main class; give className", false},
    {"Failed to load class", "the class was not found", false},
    {"ClassNotFoundException", "a class was not found", false},
    {"ModuleNotFoundError", "a Python module was not found", false},
    {"can't open file", "a file was not found", false},
    {"FileNotFoundException", "a file was not found", false},
    {"NoSuchFileException", "a file was not found", false},
    {"Input path does not exist", "an input path does not exist", false},
    {"PATH_NOT_FOUND", "a path does not exist", false},
    {"TABLE_OR_VIEW_NOT_FOUND", "a table or view was not found", false},
    {"Could not parse Master URL", "the master's address is not one that Spark knows", false},
    {"Master must either be", "the master's address is not one that Spark knows", false},
    {"All masters are unresponsive", "no Spark master answered", true},
    {"No such file or directory", "a file was not found", false},
    {"Permission denied", "permission was denied", false},
    {"Address already in use", "a port was taken", false},
    {"No space left on device", "a disk was full", true},
};

void diagnosis_clear(struct app_diagnosis *d)
{
    mem_free(d->summary);
    strlist_clear(&d->errors);
    *d = (struct app_diagnosis){0};
}

/* "org.apache.spark.SparkException: …", "ValueError: …": an exception's own line. */
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
    static const char *const beginnings[] = {traceback, "Exception in thread", "Error: ", "Error occurred",
                                             "Invalid maximum heap size"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (str_starts(line, beginnings[i]))
            return true;
    return is_exception(line) || strstr(line, " ERROR ") != NULL || strstr(line, "can't open file") != NULL;
}

/* Where the last trouble begins among the lines; n when there is none. */
static size_t find_trouble(const struct strlist *lines)
{
    size_t found = lines->n;
    for (size_t i = lines->n; i-- > 0;) {
        if (str_starts(lines->items[i], traceback))
            return i;
        if (isspace((unsigned char)lines->items[i][0]) || !starts_trouble(lines->items[i]))
            continue;
        found = i;
        if (i == 0 || !starts_trouble(lines->items[i - 1]))
            break;
    }
    /* A Python traceback above the exception's line belongs to it, also one that java tells about. */
    for (size_t i = found; i-- > 0 && found < lines->n && found - i < TRACEBACK_MAX;)
        if (strstr(lines->items[i], traceback) != NULL)
            return i;
    while (found > 0 && found < lines->n && lines->items[found - 1][0] == ' ')
        found--; /* a syntax error has its place above it and no traceback */
    return found;
}

static const char wrapper[] = "java.lang.reflect.InvocationTargetException";

/* Spark's wrapper of drivers on a cluster ends with an exception of its own. Where it only says that a Python
 * program failed, what that said itself stands before it. */
static size_t find_inner_trouble(const struct strlist *lines)
{
    size_t trouble = find_trouble(lines);
    if (trouble == lines->n || strstr(lines->items[trouble], wrapper) == NULL)
        return trouble;
    const struct strlist before = {lines->items, trouble, trouble};
    size_t inner = find_trouble(&before);
    for (size_t i = trouble; i < lines->n && inner < trouble; i++)
        if (strstr(lines->items[i], "SparkUserAppException") != NULL)
            return inner;
    return trouble;
}

/* The first cause of an exception that only wraps others. */
static const char *root_cause(const struct strlist *lines, size_t trouble)
{
    static const char heading[] = "Caused by: ";
    const char *cause = NULL;
    for (size_t i = trouble; i < lines->n; i++)
        if (strncmp(lines->items[i], heading, strlen(heading)) == 0)
            cause = lines->items[i] + strlen(heading);
    return cause;
}

/* The line that says it best: the exception of a traceback, or the first line of the trouble. */
static const char *key_line(const struct strlist *lines, size_t trouble)
{
    if (trouble == lines->n)
        return NULL;
    const char *cause = strstr(lines->items[trouble], wrapper) != NULL ? root_cause(lines, trouble) : NULL;
    if (cause != NULL)
        return cause;
    if (strstr(lines->items[trouble], traceback) == NULL && lines->items[trouble][0] != ' ')
        return lines->items[trouble];
    for (size_t i = trouble + 1; i < lines->n; i++) {
        const char *line = lines->items[i];
        if (line[0] == '\0' || isspace((unsigned char)line[0]))
            continue;
        bool java = strstr(line, "Py4JJavaError") != NULL && i + 1 < lines->n;
        return java && str_starts(lines->items[i + 1], ": ") ? lines->items[i + 1] : line;
    }
    return lines->items[trouble];
}

/* The part of a line that is worth showing behind other words. */
static const char *essence(const char *line)
{
    if (str_starts(line, ": "))
        return line + 2;
    if (str_starts(line, "Exception in thread \"")) {
        const char *name_end = strstr(line + strlen("Exception in thread \""), "\" ");
        return name_end != NULL ? name_end + 2 : line;
    }
    return line;
}

static const char *rule_words(const struct strlist *lines, size_t trouble, const char **ret_line)
{
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        for (size_t i = lines->n; i-- > (rules[r].anywhere ? 0 : trouble);) {
            if (strstr(lines->items[i], rules[r].needle) == NULL || strstr(lines->items[i], " WARN ") != NULL)
                continue;
            *ret_line = lines->items[i];
            return rules[r].words;
        }
    }
    return NULL;
}

/* The trouble's lines without what Spark logs while it stops, and with few of each stack's frames. */
static int collect_errors(const struct strlist *lines, size_t trouble, struct strlist *errors)
{
    unsigned frames = 0;
    for (size_t i = trouble; i < lines->n && errors->n < ERRORS_MAX; i++) {
        const char *line = lines->items[i];
        frames = str_starts(line, "\tat ") ? frames + 1 : 0;
        if (frames > FRAMES_MAX || str_blank(line) || strstr(line, " INFO ") != NULL)
            continue;
        if (strlist_add(errors, line) != 0)
            return -1;
    }
    return 0;
}

/* Where the last words of a driver begin that ended before Spark came up, and said nothing that is known. */
static size_t find_last_words(const struct strlist *lines)
{
    return lines->n > LAST_WORDS ? lines->n - LAST_WORDS : 0;
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
    if (in->verdict != NULL)
        return mem_strdup(in->verdict);
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
    if (in->signal == SIGKILL && in->stopped == NULL)
        return mem_printf("killed by SIGKILL, by somebody other than hearth");
    if (in->signal != 0)
        return mem_printf("ended by %s", signal_name(in->signal, name));
    if (in->exit_code > 128 && sigabbrev_np(in->exit_code - 128) != NULL)
        return mem_printf("exited with code %d, as after %s", in->exit_code,
                          signal_name(in->exit_code - 128, name));
    return mem_printf("exited with code %d", in->exit_code);
}

/* As much as is known of an end that nobody asked for. */
static char *compose(const struct diagnosis_input *in, size_t trouble)
{
    const char *line = NULL;
    const char *key = key_line(in->lines, trouble);
    const char *words = rule_words(in->lines, trouble, &line);
    cleanup(mem_freep) char *exit = describe_exit(in);
    if (exit == NULL || in->lost != NULL || in->oom_killed || (in->signal != 0 && words == NULL)) {
        char *whole = exit;
        exit = NULL; /* the caller's now */
        return whole;
    }
    if (words != NULL)
        return mem_printf("%s: %s: %.*s", exit, words, KEY_MAX, essence(line));
    if (key != NULL && !in->connected && str_starts(key, "Error: "))
        return mem_printf("%s: spark-submit refused it: %.*s", exit, KEY_MAX, key);
    return mem_printf("%s%s%.*s", exit, key != NULL ? ": " : "", KEY_MAX, key != NULL ? essence(key) : "");
}

static char *describe_stopped(const struct diagnosis_input *in)
{
    cleanup(mem_freep) char *exit = describe_exit(in);
    if (in->verdict != NULL)
        return mem_printf("%s; the driver %s", in->stopped, in->verdict);
    return exit != NULL ? mem_printf("%s; the driver %s%s", in->stopped, in->signal != 0 ? "was " : "", exit)
                        : NULL;
}

static char *describe_clean_end(const struct diagnosis_input *in)
{
    bool failed_inside = in->launcher_state != NULL && (strcmp(in->launcher_state, "FAILED") == 0 ||
                                                        strcmp(in->launcher_state, "KILLED") == 0);
    return failed_inside ? mem_printf("exited with code 0, but Spark said %s", in->launcher_state)
                         : mem_strdup("finished");
}

int diagnosis_make(const struct diagnosis_input *in, struct app_diagnosis *ret)
{
    struct app_diagnosis d = {
        .exit_code = in->exit_code,
        .signal = in->signal,
        .killed_for_memory = in->oom_killed,
        .max_memory = in->max_memory,
    };
    size_t trouble = find_inner_trouble(in->lines);
    if (in->stopped != NULL) {
        d.summary = describe_stopped(in); /* what it said on the way out tells nothing */
    } else if (in->exit_code == 0 && in->lost == NULL) {
        d.summary = describe_clean_end(in);
    } else {
        d.summary = compose(in, trouble);
        size_t from = trouble == in->lines->n && !in->connected ? find_last_words(in->lines) : trouble;
        if (collect_errors(in->lines, from, &d.errors) != 0)
            mem_freep(&d.summary);
    }
    if (d.summary == NULL) {
        diagnosis_clear(&d);
        return -1;
    }
    *ret = d;
    return 0;
}
