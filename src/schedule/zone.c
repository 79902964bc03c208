#include "schedule/zone.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/strs.h"
#include "schedule/civil.h"
#include "schedule/zone_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_FOLDER "/usr/share/zoneinfo"
#define ZONE_LOCAL_FILE "/etc/localtime"

enum { PATH_TEXT_MAX = 1024 };

/* Spans without an end; far enough away from the ends of int64_t that offsets can be added. */
#define ALWAYS_S (INT64_MAX / 4)

static struct {
    pthread_mutex_t lock;
    struct zone *first;
    size_t n;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- changes ---- */

enum err_code zone_changes_add(struct zone_changes *changes, int64_t at_s, int32_t offset_s, struct err *err)
{
    const struct zone_change *last = changes->n > 0 ? &changes->items[changes->n - 1] : NULL;
    if (last != NULL && (at_s <= last->at_s || offset_s == last->offset_s))
        return ERR_OK;
    if (changes->n == changes->cap) {
        size_t cap = changes->cap > 0 ? 2 * changes->cap : 64;
        struct zone_change *items = mem_realloc(changes->items, cap * sizeof *items);
        if (items == NULL)
            return err_set(err, ERR_NOMEM, "out of memory");
        changes->items = items;
        changes->cap = cap;
    }
    changes->items[changes->n++] = (struct zone_change){at_s, offset_s};
    return ERR_OK;
}

void zone_changes_clear(struct zone_changes *changes)
{
    mem_free(changes->items);
    *changes = (struct zone_changes){0};
}

/* ---- the zones that are known ---- */

static struct zone *find_known(const char *name)
{
    struct zone *z = known.first;
    while (z != NULL && strcmp(z->name, name) != 0)
        z = z->next;
    return z;
}

static enum err_code keep(const char *name, const struct zone_changes *changes, const struct zone **ret,
                          struct err *err)
{
    assert(changes->n > 0 && changes->items != NULL);
    if (known.n >= ZONES_MAX)
        return err_set(err, ERR_BUSY, "more than %d time zones are in use", (int)ZONES_MAX);
    struct zone *z = mem_alloc(sizeof *z + changes->n * sizeof *changes->items);
    if (z == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    z->n = changes->n;
    memcpy(z->changes, changes->items, changes->n * sizeof *changes->items);
    size_t len = strnlen(name, ZONE_NAME_MAX);
    memcpy(z->name, name, len);
    z->name[len] = '\0';
    z->next = known.first;
    known.first = z;
    known.n++;
    *ret = z;
    return ERR_OK;
}

void zone_forget_all(void)
{
    (void)pthread_mutex_lock(&known.lock);
    while (known.first != NULL) {
        struct zone *z = known.first;
        known.first = z->next;
        mem_free(z);
    }
    known.n = 0;
    (void)pthread_mutex_unlock(&known.lock);
}

/* ---- files ---- */

static const char *folder(void)
{
    const char *named = getenv("TZDIR");
    return named != NULL && named[0] != '\0' ? named : ZONE_FOLDER;
}

/* A name has nothing in it that could lead out of the database. The database's own variants are left out:
 * "right" counts leap seconds, "posix" is the same as without it. */
static bool is_name(const char *name)
{
    size_t len = strnlen(name, ZONE_NAME_MAX + 1);
    if (len == 0 || len > ZONE_NAME_MAX || str_starts(name, "right/") || str_starts(name, "posix/"))
        return false;
    char before = '/';
    for (const char *c = name; *c != '\0'; before = *c++) {
        bool is_part = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                       *c == '+' || *c == '-' || *c == '_';
        if (!is_part && (*c != '/' || before == '/'))
            return false;
    }
    return before != '/';
}

static enum err_code read_regular(int fd, unsigned char *bytes, size_t *ret_n, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_sys(err, errno, "reading it");
    if (!S_ISREG(st.st_mode) || st.st_size > ZONE_FILE_MAX)
        return err_set(err, ERR_INVALID, "it is not a file of at most %d bytes", (int)ZONE_FILE_MAX);
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, bytes + n, ZONE_FILE_MAX - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, errno, "reading it");
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret_n = n;
    return ERR_OK;
}

/* ERR_NOT_FOUND when there is no such file. */
static enum err_code load(const char *path, struct zone_changes *into, struct err *err)
{
    /* without waiting, should it be a pipe */
    cleanup(io_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
        return err_set(err, ERR_NOT_FOUND, "there is no such file");
    if (fd < 0)
        return err_sys(err, errno, "opening it");
    unsigned char *bytes = mem_alloc(ZONE_FILE_MAX);
    if (bytes == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    size_t n = 0;
    enum err_code rc = read_regular(fd, bytes, &n, err);
    if (rc == ERR_OK)
        rc = zone_read_file(bytes, n, into, err);
    mem_free(bytes);
    return rc;
}

static enum err_code load_named(const char *name, struct zone_changes *into, struct err *err)
{
    char path[PATH_TEXT_MAX];
    if (strcmp(name, "UTC") == 0)
        return zone_changes_add(into, CIVIL_INSTANT_MIN_S, 0, err);
    int len = snprintf(path, sizeof path, "%s/%s", folder(), name);
    if (len < 0 || (size_t)len >= sizeof path)
        return err_set(err, ERR_INVALID, "the path of the tz database is too long");
    return load(path, into, err);
}

static enum err_code find_locked(const char *name, const struct zone **ret, struct err *err)
{
    struct zone_changes changes = {0};
    const struct zone *z = find_known(name);
    if (z != NULL) {
        *ret = z;
        return ERR_OK;
    }
    enum err_code rc = load_named(name, &changes, err);
    if (rc == ERR_OK)
        rc = keep(name, &changes, ret, err);
    else if (rc == ERR_NOT_FOUND)
        rc = err_set(err, ERR_INVALID, "there is none of this name below %s", folder());
    zone_changes_clear(&changes);
    return rc;
}

enum err_code zone_find(const char *name, const struct zone **ret, struct err *err)
{
    if (!is_name(name))
        return err_set(err, ERR_INVALID, "time zone '%.*s': not a name such as Europe/Rome or UTC",
                       (int)ZONE_NAME_MAX, name);
    (void)pthread_mutex_lock(&known.lock);
    enum err_code rc = find_locked(name, ret, err);
    (void)pthread_mutex_unlock(&known.lock);
    if (rc != ERR_OK)
        (void)err_wrap(err, "time zone '%s'", name);
    return rc;
}

/* ---- the zone of the process ---- */

/* The part of a path that is a name in some tz database; NULL when there is none. */
static const char *name_in(const char *path)
{
    static const char mark[] = "/zoneinfo/";
    const char *at = strstr(path, mark);
    return at != NULL && is_name(at + sizeof mark - 1) ? at + sizeof mark - 1 : NULL;
}

/* Keeps what a file, or else a rule, says, under the text itself as the name. */
static enum err_code find_text(const char *text, const struct zone **ret, struct err *err)
{
    struct zone_changes changes = {0};
    enum err_code rc = ERR_OK;
    (void)pthread_mutex_lock(&known.lock);
    const struct zone *z = find_known(text);
    if (z == NULL) {
        rc = text[0] == '/' ? load(text, &changes, err) : zone_read_rule(text, strlen(text), &changes, err);
        if (rc == ERR_OK)
            rc = keep(text, &changes, &z, err);
    }
    (void)pthread_mutex_unlock(&known.lock);
    if (rc == ERR_OK)
        *ret = z;
    zone_changes_clear(&changes);
    return rc;
}

static enum err_code from_variable(const char *tz, const struct zone **ret, struct err *err)
{
    struct err ignored;
    if (tz[0] == ':')
        tz++;
    if (tz[0] == '\0')
        return zone_find("UTC", ret, err);
    const char *name = tz[0] == '/' ? name_in(tz) : tz;
    if (name != NULL && zone_find(name, ret, &ignored) == ERR_OK)
        return ERR_OK;
    if (strnlen(tz, ZONE_NAME_MAX + 1) > ZONE_NAME_MAX || find_text(tz, ret, &ignored) != ERR_OK)
        return err_set(err, ERR_INVALID, "TZ is '%.64s', which is neither a time zone nor a rule", tz);
    return ERR_OK;
}

enum err_code zone_local(const struct zone **ret, struct err *err)
{
    char path[PATH_TEXT_MAX];
    const char *tz = getenv("TZ");
    if (tz != NULL)
        return from_variable(tz, ret, err);
    ssize_t n = readlink(ZONE_LOCAL_FILE, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    const char *name = name_in(path);
    if (name != NULL && zone_find(name, ret, err) == ERR_OK)
        return ERR_OK;
    if (find_text(ZONE_LOCAL_FILE, ret, err) == ERR_OK)
        return ERR_OK;
    return zone_find("UTC", ret, err);
}

/* ---- questions ---- */

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}

static struct zone_span span(const struct zone *zone, size_t i)
{
    const struct zone_change *change = &zone->changes[i];
    struct zone_span s = {
        .from_s = i > 0 ? change->at_s : -ALWAYS_S,
        .to_s = ALWAYS_S,
        .wall_from_s = i > 0 ? change->at_s + change->offset_s : -ALWAYS_S,
        .wall_to_s = ALWAYS_S,
        .offset_s = change->offset_s,
    };
    if (i + 1 < zone->n) {
        s.to_s = change[1].at_s;
        int32_t least = change[1].offset_s < change->offset_s ? change[1].offset_s : change->offset_s;
        s.wall_to_s = change[1].at_s + least; /* clocks put back: the next span has these wall times, too */
    }
    return s;
}

/* The last change at or before a time: an instant, or (with wall = 1) a wall time after the change. */
static size_t last_change(const struct zone *zone, int64_t time_s, int wall)
{
    size_t low = 0;
    size_t high = zone->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        const struct zone_change *change = &zone->changes[middle];
        if (change->at_s + wall * change->offset_s <= time_s)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct zone_span zone_span_at(const struct zone *zone, int64_t instant_s)
{
    return span(zone, last_change(zone, instant_s, 0));
}

struct zone_span zone_span_of_wall(const struct zone *zone, int64_t wall_s)
{
    return span(zone, last_change(zone, wall_s, 1));
}
