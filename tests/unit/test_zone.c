/* Time zones, held against those of the C library; and files that are none. */
#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "schedule/civil.h"
#include "schedule/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ROME "/usr/share/zoneinfo/Europe/Rome"

static const char *const names[] = {
    "UTC",           "Europe/Rome",     "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo",
    "Pacific/Apia",  "Asia/Kathmandu",  "Africa/Cairo",     "Africa/Casablanca",   "Antarctica/Troll",
    "Europe/Dublin", "America/Caracas", "Asia/Gaza",        "Asia/Tehran",         "America/Nuuk",
    "Etc/GMT+5",     "EST5EDT",         "Asia/Pyongyang",   "Pacific/Kiritimati",  "America/St_Johns",
};

enum { NAMES = sizeof names / sizeof *names };

static int64_t day_s(int year)
{
    return civil_to_days(year, 1, 1) * CIVIL_DAY_S;
}

static int libc_offset(int64_t instant_s)
{
    time_t t = (time_t)instant_s;
    struct tm tm;
    assert_non_null(localtime_r(&t, &tm));
    return (int)tm.tm_gmtoff;
}

static void check_instant(const struct zone *z, int64_t instant_s)
{
    struct zone_span span = zone_span_at(z, instant_s);
    assert_true(span.from_s <= instant_s && instant_s < span.to_s);
    if (span.offset_s != libc_offset(instant_s))
        fail_msg("%s at %lld: %d instead of %d", zone_name(z), (long long)instant_s, (int)span.offset_s,
                 libc_offset(instant_s));
}

/* Every span from 1970 to 2190, at its ends and in between. */
static void compare_with_libc(const struct zone *z)
{
    for (int64_t at_s = day_s(1970); at_s < day_s(2190);) {
        struct zone_span span = zone_span_at(z, at_s);
        int64_t end_s = span.to_s < day_s(2190) ? span.to_s : day_s(2190);
        check_instant(z, at_s);
        check_instant(z, at_s + (end_s - at_s) / 2);
        check_instant(z, end_s - 1);
        at_s = end_s;
    }
    for (int64_t at_s = day_s(1971); at_s < day_s(2036); at_s += 40 * 3600 + 1)
        check_instant(z, at_s);
}

static void set_tz(const char *tz)
{
    assert_int_equal(setenv("TZ", tz, 1), 0);
    tzset();
}

static void offsets_are_those_of_the_c_library(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        const struct zone *z = NULL;
        set_tz(names[i]);
        assert_int_equal(zone_find(names[i], &z, NULL), ERR_OK);
        assert_string_equal(zone_name(z), names[i]);
        compare_with_libc(z);
    }
}

static void rules_in_tz_are_those_of_the_c_library(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "CET-1CEST,M3.5.0,M10.5.0/3",  "EST5EDT4,M3.2.0/2:00,M11.1.0/2",  "<+0330>-3:30",
        "NZST-12NZDT,M9.5.0,M4.1.0/3", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "AAA3BBB,J60,J300/3",
        "AAA3BBB,59,299/4:30:30",      "IST-1GMT0,M10.5.0,M3.5.0/1",
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct zone *z = NULL;
        set_tz(rules[i]);
        assert_int_equal(zone_local(&z, NULL), ERR_OK);
        assert_string_equal(zone_name(z), rules[i]);
        compare_with_libc(z);
    }
}

static void wall_times_belong_to_one_span(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        const struct zone *z = NULL;
        assert_int_equal(zone_find(names[i], &z, NULL), ERR_OK);
        for (int64_t at_s = day_s(1971); at_s < day_s(2045); at_s += 3 * 3600 + 7) {
            struct zone_span span = zone_span_at(z, at_s);
            struct zone_span again = zone_span_of_wall(z, at_s + span.offset_s);
            int64_t meant_s = at_s + span.offset_s - again.offset_s;
            /* the second of two, else itself */
            assert_true(meant_s == at_s || (meant_s > at_s && again.from_s == span.to_s));
        }
    }
}

static void the_zone_of_the_process_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *tz, *name;
    } cases[] = {
        {"Europe/Rome", "Europe/Rome"}, {":Europe/Rome", "Europe/Rome"}, {ROME, "Europe/Rome"}, {"", "UTC"},
        {":" ROME, "Europe/Rome"},
    };
    const struct zone *z = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set_tz(cases[i].tz);
        assert_int_equal(zone_local(&z, NULL), ERR_OK);
        assert_string_equal(zone_name(z), cases[i].name);
    }
    static const char *const bad[] = {"Nowhere/None", "../../etc/passwd",        "/etc/passwd", "CET-1CEST",
                                      "A1",           "CET-1CEST,M3.5.0,M13.1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        set_tz(bad[i]);
        assert_int_equal(zone_local(&z, &err), ERR_INVALID);
        assert_non_null(strstr(err.msg, bad[i]));
    }
    assert_int_equal(unsetenv("TZ"), 0);
    assert_int_equal(zone_local(&z, NULL), ERR_OK);
}

static void no_name_leads_out_of_the_database(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/",
        "/etc/passwd",
        "..",
        "../UTC",
        "Europe/../UTC",
        "Europe//Rome",
        "Europe/",
        "/Europe/Rome",
        "Europe/Rome.",
        "tzdata.zi",
        "Europe\\Rome",
        "Europe/Rome\n",
        "Eur ope",
        "posix/UTC",
        "right/UTC",
        "Europ\xc3\xa9",
        "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct zone *z = NULL;
        struct err err = {0};
        assert_int_equal(zone_find(bad[i], &z, &err), ERR_INVALID);
        assert_non_null(strstr(err.msg, "not a name such as Europe/Rome or UTC"));
        assert_null(z);
    }
    static const char *const missing[] = {"Nowhere/None", "Europe", "europe/rome", "UTC/x"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        const struct zone *z = NULL;
        assert_int_equal(zone_find(missing[i], &z, NULL), ERR_INVALID);
    }
}

/* ---- files ---- */

static char folder[] = "/tmp/hearth-zones-XXXXXX";

static void put(const char *name, const void *bytes, size_t n)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int make_folder(void **state)
{
    (void)state;
    zone_forget_all();
    return mkdtemp(folder) != NULL && setenv("TZDIR", folder, 1) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    zone_forget_all();
    (void)unsetenv("TZDIR");
    enum err_code rc = io_remove_tree(folder, NULL);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    return rc == ERR_OK && mem_live() == 0 ? 0 : -1;
}

static void refused(const char *name, const char *said)
{
    const struct zone *z = NULL;
    struct err err = {0};
    assert_int_equal(zone_find(name, &z, &err), ERR_INVALID);
    assert_null(z);
    if (strstr(err.msg, said) == NULL)
        fail_msg("%s", err.msg);
}

static void read_rome(struct buf *into)
{
    assert_int_equal(io_read_file(ROME, into, NULL), ERR_OK);
}

/* All bytes of the header, some of the rest. */
static size_t step(size_t at)
{
    return at < 100 ? 1 : 7;
}

static void a_file_that_is_cut_short_is_refused(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf rome = BUF(64 << 10);
    read_rome(&rome);
    for (size_t n = 0; n < rome.len; n += step(n)) {
        put("Cut", rome.data, n);
        refused("Cut", "time zone 'Cut': it");
    }
    put("Cut", rome.data, rome.len);
    const struct zone *z = NULL;
    assert_int_equal(zone_find("Cut", &z, NULL), ERR_OK);
}

/* Any byte may be wrong: the file is read or refused, and whatever is read can be asked. */
static void any_byte_may_be_wrong(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf rome = BUF(64 << 10);
    read_rome(&rome);
    for (size_t i = 0; i < rome.len; i += step(i)) {
        char good = rome.data[i];
        rome.data[i] = (char)(good ^ (0x81 >> i % 3));
        put("Wrong", rome.data, rome.len);
        rome.data[i] = good;
        const struct zone *z = NULL;
        if (zone_find("Wrong", &z, NULL) != ERR_OK)
            continue;
        for (int64_t at_s = day_s(1800); at_s < day_s(2250); at_s += 12345678)
            assert_true(zone_span_at(z, at_s).to_s > at_s &&
                        zone_span_of_wall(z, at_s).offset_s <= 26 * 3600);
        zone_forget_all();
    }
}

static void files_of_another_kind_are_refused(void **state)
{
    (void)state;
    char path[256];
    cleanup(buf_clear) struct buf rome = BUF(64 << 10);
    read_rome(&rome);
    put("Text", "Europe/Rome\n", 12);
    refused("Text", "not in the TZif format");
    rome.data[4] = '\0';
    put("Old", rome.data, rome.len);
    refused("Old", "first version");
    static char large[(64 << 10) + 1];
    put("Large", large, sizeof large);
    refused("Large", "not a file of at most 65536 bytes");
    (void)snprintf(path, sizeof path, "%s/Pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused("Pipe", "not a file of at most");
    (void)snprintf(path, sizeof path, "%s/Folder", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    refused("Folder", "not a file of at most");
    refused("Nothing", "there is none of this name below /tmp/hearth-zones-");
}

static void there_are_at_most_so_many_zones(void **state)
{
    (void)state;
    char path[256];
    const struct zone *z = NULL;
    for (int i = 0; i <= ZONES_MAX; i++) {
        struct err err = {0};
        char name[16];
        (void)snprintf(name, sizeof name, "Z%d", i);
        (void)snprintf(path, sizeof path, "%s/%s", folder, name);
        assert_int_equal(symlink("/usr/share/zoneinfo/Asia/Tokyo", path), 0);
        assert_int_equal(zone_find(name, &z, &err), i < ZONES_MAX ? ERR_OK : ERR_BUSY);
    }
    const struct zone *again = NULL;
    assert_int_equal(zone_find("Z0", &z, NULL), ERR_OK);
    assert_int_equal(zone_find("Z0", &again, NULL), ERR_OK);
    assert_ptr_equal(z, again);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        const struct zone *z = NULL;
        mem_fail_at(n);
        rc = zone_find("Europe/Rome", &z, NULL);
        mem_fail_at(0);
        assert_true((rc == ERR_OK) == (z != NULL));
        if (rc != ERR_OK)
            assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    zone_forget_all();
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_those_of_the_c_library),
        cmocka_unit_test(rules_in_tz_are_those_of_the_c_library),
        cmocka_unit_test(wall_times_belong_to_one_span),
        cmocka_unit_test(the_zone_of_the_process_is_found),
        cmocka_unit_test(no_name_leads_out_of_the_database),
        cmocka_unit_test_setup_teardown(a_file_that_is_cut_short_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(any_byte_may_be_wrong, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(files_of_another_kind_are_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(there_are_at_most_so_many_zones, make_folder, remove_folder),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("zones", tests, NULL, NULL);
}
