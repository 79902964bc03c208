/*
 * Cron expressions, and files of time zones. The first byte chooses: an expression and where to look from, or
 * the bytes of a file.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "schedule/civil.h"
#include "schedule/cron.h"
#include "schedule/zone.h"
#include "schedule/zone_internal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIRES = 3, HEAD = 6 };

static const char *const names[] = {
    "UTC",          "Europe/Rome",          "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll",
    "Pacific/Apia", "America/Scoresbysund", "Asia/Beirut"};

static bool fires_at(const struct cron *c, const struct zone *z, int64_t at_s)
{
    int64_t found_s = 0;
    return cron_next(c, z, at_s - 1, &found_s) && found_s == at_s;
}

/* What next finds, previous finds again; nothing lies between a moment and the one before it. */
static void check_fires(const struct cron *c, const struct zone *z, int64_t at_s)
{
    int64_t back_s = 0;
    if (cron_previous(c, z, at_s, &back_s))
        assert(back_s < at_s && fires_at(c, z, back_s));
    for (int i = 0; i < FIRES; i++) {
        int64_t next_s = 0;
        if (!cron_next(c, z, at_s, &next_s))
            return;
        assert(next_s > at_s && fires_at(c, z, next_s));
        assert(cron_previous(c, z, next_s + 1, &back_s) && back_s == next_s);
        at_s = next_s;
    }
}

/* A meaning is told of everything, and a second reading gives the same. */
static void check_words(const struct cron *c, const struct zone *z)
{
    cleanup(buf_clear) struct buf words = BUF(CRON_TEXT_MAX * 8);
    cron_describe(c, z, &words);
    assert(words.failed == ERR_OK && words.len > 0);
}

static void read_expression(const uint8_t *data, size_t size)
{
    char text[CRON_TEXT_MAX + 16];
    struct cron c;
    struct cron_problem problem = {0};
    struct err err = {0};
    const struct zone *z = NULL;
    uint32_t at = (uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4];
    size_t n = size - HEAD < sizeof text - 1 ? size - HEAD : sizeof text - 1;
    memcpy(text, data + HEAD, n);
    text[n] = '\0';
    if (cron_parse(text, &c, &problem, &err) != ERR_OK) {
        assert(problem.reason[0] != '\0' && err.msg[0] != '\0');
        return;
    }
    if (zone_find(names[data[5] % (sizeof names / sizeof *names)], &z, NULL) != ERR_OK)
        return;
    check_fires(&c, z, at);
    check_words(&c, z);
}

static void read_zone(const uint8_t *data, size_t size)
{
    struct zone_changes changes = {0};
    if (zone_read_file(data, size, &changes, NULL) == ERR_OK) {
        assert(changes.n >= 1);
        for (size_t i = 1; i < changes.n; i++)
            assert(changes.items[i].at_s > changes.items[i - 1].at_s);
    }
    zone_changes_clear(&changes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    long live = mem_live();
    if (size >= HEAD && data[0] != 'T')
        read_expression(data, size);
    else
        read_zone(data, size);
    zone_forget_all();
    assert(mem_live() <= live);
    return 0;
}
