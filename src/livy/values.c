/*
 * Values of requests in the forms that Livy's clients send. The words of the errors are Livy's.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"
#include "base/parse.h"

#include <ctype.h>
#include <string.h>

/* The text without blanks around it, in lower case; NULL: out of memory. */
static char *lower_trimmed(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    char *word = mem_strndup(text, n);
    for (char *c = word; c != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return word;
}

static bool is_time_unit(const char *suffix)
{
    static const char *const units[] = {"", "us", "ms", "s", "m", "min", "h", "d"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(suffix, units[i]) == 0)
            return true;
    return false;
}

enum err_code value_timeout(const char *text, int64_t *ret_ms, struct err *err)
{
    cleanup(mem_freep) char *word = lower_trimmed(text);
    if (word == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    const char *digits = word + (word[0] == '-');
    size_t n = strspn(digits, "0123456789");
    const char *suffix = digits + n;
    if (n == 0 || strspn(suffix, "abcdefghijklmnopqrstuvwxyz") != strlen(suffix))
        return err_set(err, ERR_INVALID, "Invalid time string: %.100s", text);
    if (!is_time_unit(suffix))
        return err_set(err, ERR_INVALID, "Invalid suffix: \"%.100s\"", suffix);
    if (word[0] == '-')
        return err_set(err, ERR_INVALID, "Invalid value: %.*s", (int)(suffix - word), word);
    if (parse_duration(word, ret_ms, NULL) != ERR_OK) /* too large */
        return err_set(err, ERR_INVALID, "Invalid time string: %.100s", text);
    return ERR_OK;
}

void value_read_kind(struct json_in *in, const char **ret)
{
    const json_t *value = json_in_value(in, "kind");
    if (value == NULL)
        return;
    const char *kind = json_is_string(value) ? session_kind_find(json_string_value(value)) : NULL;
    if (kind != NULL)
        *ret = kind;
    else if (json_is_string(value))
        in->code = err_set(in->err, ERR_INVALID, "Invalid kind: %.100s", json_string_value(value));
    else
        in->code = err_set(in->err, ERR_INVALID, "Kind should be a string.");
}

bool value_is_base64(const char *text)
{
    size_t n = strlen(text);
    size_t digits = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    size_t padding = strspn(text + digits, "=");
    return n > 0 && n % 4 == 0 && padding <= 2 && digits + padding == n;
}

enum err_code value_file_name(const char *sent, const char **ret, struct err *err)
{
    enum { NAME_MAX_BYTES = 255 };
    const char *name = sent;
    for (const char *c = sent; *c != '\0'; c++)
        if (*c == '/' || *c == '\\')
            name = c + 1;
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return err_set(err, ERR_INVALID, "the file's name holds a control character");
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(err, ERR_INVALID, "'%.100s' is no name for a file", sent);
    if (strlen(name) > NAME_MAX_BYTES)
        return err_set(err, ERR_INVALID, "the file's name has %zu bytes; it may have %d", strlen(name),
                       NAME_MAX_BYTES);
    *ret = name;
    return ERR_OK;
}

void value_unix_lines(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++)
        if (from[0] != '\r' || from[1] != '\n')
            *to++ = *from;
    *to = '\0';
}

void value_window(int64_t *from, int64_t *size, bool size_given)
{
    int64_t end = *from + *size;
    *from = *from < 0 ? 0 : *from;
    if (!size_given)
        *size = -1;
    else
        *size = end > *from ? end - *from : 0;
}

bool value_is_descending(const char *order)
{
    cleanup(mem_freep) char *word = order != NULL ? lower_trimmed(order) : NULL;
    return word != NULL && strcmp(word, "desc") == 0;
}
