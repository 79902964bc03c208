/*
 * Dates of a schedule: exactly YYYY-MM-DDTHH:MM:SSZ. A year of more than four digits has a + in front. The
 * day may be one that its month does not have, and the time 24:00:00.
 */
#include "provision/provision_internal.h"

#include "schedule/civil.h"

#include <ctype.h>
#include <string.h>

enum {
    YEAR_MAX = 999999999, /* of java.time */
    YEAR_DIGITS_MAX = 19,
    YEAR_COUNTED_MAX = 9999, /* later ones count as the end of this */
};

/* n digits at *at. */
static bool take_digits(const char **at, size_t n, int64_t *ret)
{
    int64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)(*at)[i]))
            return false;
        if (value <= YEAR_MAX)
            value = value * 10 + ((*at)[i] - '0');
    }
    *at += n;
    *ret = value;
    return true;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

static bool take_year(const char **at, int64_t *ret)
{
    bool is_long = take_char(at, '+');
    size_t digits = strspn(*at, "0123456789");
    if (is_long ? digits < 5 || digits > YEAR_DIGITS_MAX : digits != 4)
        return false;
    return take_digits(at, digits, ret) && *ret >= 1 && *ret <= YEAR_MAX;
}

/* A separator, and two digits within a range. */
static bool take_part(const char **at, char separator, int64_t min, int64_t max, int64_t *ret)
{
    return take_char(at, separator) && take_digits(at, 2, ret) && *ret >= min && *ret <= max;
}

bool date_read(const char *text, int64_t *ret_s)
{
    int64_t year, month, day, hour, minute, second;
    const char *at = text;
    if (!take_year(&at, &year) || !take_part(&at, '-', 1, 12, &month) || !take_part(&at, '-', 1, 31, &day) ||
        !take_part(&at, 'T', 0, 24, &hour) || !take_part(&at, ':', 0, 59, &minute) ||
        !take_part(&at, ':', 0, 59, &second) || strcmp(at, "Z") != 0 ||
        (hour == 24 && (minute > 0 || second > 0)))
        return false;
    *ret_s = CIVIL_INSTANT_MAX_S;
    if (year > YEAR_COUNTED_MAX)
        return true;
    int64_t instant_s =
        civil_to_days((int)year, (int)month, (int)day) * CIVIL_DAY_S + hour * 3600 + minute * 60 + second;
    if (instant_s < CIVIL_INSTANT_MAX_S)
        *ret_s = instant_s;
    return true;
}
