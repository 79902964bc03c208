/*
 * TZif files (RFC 8536): a header and data for old readers, then both again with 64-bit times, then a rule
 * for the time behind the last change. Bytes of a file are not trusted: every count is checked before it is
 * used.
 */
#include "base/mem.h"
#include "schedule/civil.h"
#include "schedule/zone_internal.h"

#include <string.h>

enum { HEADER_SIZE = 44, TYPE_SIZE = 6, OLD_TIME_SIZE = 4, TIME_SIZE = 8, LEAP_EXTRA = 4 };

struct header {
    char version;
    size_t is_ut, is_std, leaps, times, types, chars; /* how many */
};

struct input {
    const unsigned char *at;
    size_t left;
};

static const unsigned char *take(struct input *in, size_t n)
{
    if (n > in->left)
        return NULL;
    const unsigned char *at = in->at;
    in->at += n;
    in->left -= n;
    return at;
}

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const unsigned char *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static bool read_header(struct input *in, struct header *ret)
{
    const unsigned char *p = take(in, HEADER_SIZE);
    if (p == NULL || memcmp(p, "TZif", 4) != 0)
        return false;
    *ret = (struct header){
        (char)p[4], be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32), be32(p + 36), be32(p + 40),
    };
    /* counts come from 32 bits, so that the sums below cannot overflow */
    return ret->types >= 1 && ret->types <= 256;
}

static size_t data_size(const struct header *h, size_t time_size)
{
    return h->times * (time_size + 1) + h->types * TYPE_SIZE + h->chars +
           h->leaps * (time_size + LEAP_EXTRA) + h->is_std + h->is_ut;
}

static bool offset_of(const unsigned char *types, size_t n_types, size_t type, int32_t *ret)
{
    if (type >= n_types)
        return false;
    *ret = (int32_t)be32(types + type * TYPE_SIZE);
    return *ret >= -ZONE_OFFSET_MAX_S && *ret <= ZONE_OFFSET_MAX_S;
}

/* The times from the year 1 on: before it some files have one for the beginning of the world. */
static enum err_code read_changes(const unsigned char *data, const struct header *h,
                                  struct zone_changes *into, struct err *err)
{
    const unsigned char *indexes = data + h->times * TIME_SIZE;
    const unsigned char *types = indexes + h->times;
    int32_t offset = 0;
    if (!offset_of(types, h->types, 0, &offset))
        return err_set(err, ERR_INVALID, "an offset is out of range");
    enum err_code rc = zone_changes_add(into, CIVIL_INSTANT_MIN_S, offset, err);
    for (size_t i = 0; i < h->times && rc == ERR_OK; i++) {
        int64_t at_s = be64(data + i * TIME_SIZE);
        if (i > 0 && at_s <= be64(data + (i - 1) * TIME_SIZE))
            return err_set(err, ERR_INVALID, "its times do not ascend");
        if (!offset_of(types, h->types, indexes[i], &offset))
            return err_set(err, ERR_INVALID, "an offset is out of range");
        if (at_s > CIVIL_INSTANT_MAX_S)
            break;
        if (at_s <= CIVIL_INSTANT_MIN_S)
            into->items[0].offset_s = offset;
        else
            rc = zone_changes_add(into, at_s, offset, err);
    }
    return rc;
}

/* What stands between two line ends behind the data; it may be empty. */
static enum err_code read_footer(const struct input *in, struct zone_changes *into, struct err *err)
{
    const char *text = (const char *)in->at + 1;
    if (in->left < 2 || in->at[0] != '\n')
        return err_set(err, ERR_INVALID, "it has no closing rule");
    const char *end = memchr(text, '\n', in->left - 1);
    if (end == NULL)
        return err_set(err, ERR_INVALID, "its closing rule does not end");
    return end == text ? ERR_OK : zone_read_rule(text, (size_t)(end - text), into, err);
}

enum err_code zone_read_file(const unsigned char *bytes, size_t n, struct zone_changes *into, struct err *err)
{
    struct input in = {bytes, n};
    struct header old = {0};
    struct header h = {0};
    if (!read_header(&in, &old))
        return err_set(err, ERR_INVALID, "it is not in the TZif format");
    if (old.version < '2')
        return err_set(err, ERR_INVALID, "it is in the first version of TZif; 2 or later is needed");
    if (take(&in, data_size(&old, OLD_TIME_SIZE)) == NULL || !read_header(&in, &h))
        return err_set(err, ERR_INVALID, "it is cut short");
    if (h.leaps != 0)
        return err_set(err, ERR_INVALID, "it counts leap seconds");
    if (h.times > ZONE_TRANSITIONS_MAX)
        return err_set(err, ERR_INVALID, "it has more than %d changes", (int)ZONE_TRANSITIONS_MAX);
    const unsigned char *data = take(&in, data_size(&h, TIME_SIZE));
    if (data == NULL)
        return err_set(err, ERR_INVALID, "it is cut short");
    enum err_code rc = read_changes(data, &h, into, err);
    return rc == ERR_OK ? read_footer(&in, into, err) : rc;
}
