/* The launcher protocol: what Spark really sends, what it may never send, and what is sent to it. */
#include "spark/launcher.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define P "org.apache.spark.launcher.LauncherProtocol$"

/* As sent by Spark 3.5.7, local[1]. Written in parts: a hex escape swallows digits that follow. */
#define HEADER "\xac\xed\x00\x05"
#define MESSAGE "r\x00\x32" P "Message\xBA\x91\x30\x69\x56\xCA\x88\x35\x02\x00\x00xp"
#define HELLO                                                                                                \
    "sr\x00\x30" P "Hello\x7F\x5A\xFA\xC8\x65\x17\xB0\xCD\x02\x00\x02"                                       \
    "L\x00\x06secrett\x00\x12Ljava/lang/String;L\x00\x0CsparkVersionq\x00\x7E\x00\x01x" MESSAGE "t\x00\x06"  \
    "abc123t\x00\x05"                                                                                        \
    "3.5.7"
#define APP_ID                                                                                               \
    "sr\x00\x33" P "SetAppId\x17\x86\xD3\xA1\x35\x82\x7E\x48\x02\x00\x01"                                    \
    "L\x00\x05"                                                                                              \
    "appIdq\x00\x7E\x00\x01xq\x00\x7E\x00\x02t\x00\x13local-1795215241049"
#define RUNNING                                                                                              \
    "sr\x00\x33" P "SetState\xEF\x75\x1F\xF3\x9F\xE4\xC9\x88\x02\x00\x01"                                    \
    "L\x00\x05statet\x00\x30Lorg/apache/spark/launcher/SparkAppHandle$State;xq\x00\x7E\x00\x02"              \
    "~r\x00\x2Eorg.apache.spark.launcher.SparkAppHandle$State\0\0\0\0\0\0\0\0\x12\x00\x00x"                  \
    "r\x00\x0Ejava.lang.Enum\0\0\0\0\0\0\0\0\x12\x00\x00xpt\x00\x07RUNNING"
#define FINISHED                                                                                             \
    "sq\x00\x7E\x00\x09~q\x00\x7E\x00\x0Ct\x00\x08"                                                          \
    "FINISHED"

static const char captured[] = HEADER HELLO APP_ID RUNNING FINISHED;

static void expect(struct launcher_decoder *d, enum launcher_kind kind, const char *text)
{
    struct launcher_message m;
    struct err err = {0};
    if (launcher_decoder_next(d, &m, &err) != LAUNCHER_MESSAGE)
        fail_msg("no message \"%s\": %s", text, err.msg);
    assert_int_equal(m.kind, kind);
    assert_string_equal(m.text, text);
}

static void what_spark_sends_is_understood(void **state)
{
    (void)state;
    struct launcher_decoder *d = launcher_decoder_new();
    struct launcher_message m;
    assert_int_equal(launcher_decoder_feed(d, captured, sizeof captured - 1, NULL), ERR_OK);
    assert_int_equal(launcher_decoder_next(d, &m, NULL), LAUNCHER_MESSAGE);
    assert_int_equal(m.kind, LAUNCHER_HELLO);
    assert_string_equal(m.text, "abc123");
    assert_string_equal(m.spark_version, "3.5.7");
    expect(d, LAUNCHER_SET_APP_ID, "local-1795215241049");
    expect(d, LAUNCHER_SET_STATE, "RUNNING");
    expect(d, LAUNCHER_SET_STATE, "FINISHED");
    assert_int_equal(launcher_decoder_next(d, &m, NULL), LAUNCHER_MORE);
    launcher_decoder_free(d);
}

static void it_may_come_in_any_two_pieces(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof captured; cut++) {
        struct launcher_decoder *d = launcher_decoder_new();
        struct launcher_message m;
        int n = 0;
        assert_int_equal(launcher_decoder_feed(d, captured, cut, NULL), ERR_OK);
        while (launcher_decoder_next(d, &m, NULL) == LAUNCHER_MESSAGE)
            n++;
        assert_int_equal(launcher_decoder_feed(d, captured + cut, sizeof captured - 1 - cut, NULL), ERR_OK);
        while (launcher_decoder_next(d, &m, NULL) == LAUNCHER_MESSAGE)
            n++;
        assert_int_equal(n, 4);
        launcher_decoder_free(d);
    }
}

static void it_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct launcher_decoder *d = launcher_decoder_new();
    struct launcher_message m;
    int n = 0;
    for (size_t i = 0; i < sizeof captured - 1; i++) {
        assert_int_equal(launcher_decoder_feed(d, captured + i, 1, NULL), ERR_OK);
        while (launcher_decoder_next(d, &m, NULL) == LAUNCHER_MESSAGE)
            n++;
    }
    assert_int_equal(n, 4);
    launcher_decoder_free(d);
}

static void messages_of_unknown_kinds_are_passed_over(void **state)
{
    (void)state;
    static const char bytes[] = HEADER "p"
                                       "sr\x00\x03"
                                       "a.B\0\0\0\0\0\0\0\1\2\0\0xp"
                                       "w\x01x";
    struct launcher_decoder *d = launcher_decoder_new();
    struct launcher_message m;
    assert_int_equal(launcher_decoder_feed(d, bytes, sizeof bytes - 1, NULL), ERR_OK);
    assert_int_equal(launcher_decoder_next(d, &m, NULL), LAUNCHER_MORE);
    launcher_decoder_free(d);
}

static void known_messages_with_wrong_fields_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
#define ROW(bytes) {HEADER bytes, sizeof(HEADER bytes) - 1}
        ROW("sr\x00\x30" P "Hello\0\0\0\0\0\0\0\0\x02\0\0xp"),
        ROW("sr\x00\x33" P "SetAppId\0\0\0\0\0\0\0\0\x02\0\1I\0\5appIdxp\0\0\0\1"),
        ROW("sr\x00\x33" P "SetAppId\0\0\0\0\0\0\0\0\x02\0\1L\0\5appIdt\0\1Sxpp"),
        ROW("sr\x00\x33" P "SetAppId\0\0\0\0\0\0\0\0\x02\0\1L\0\5appIdt\0\1Sxpt\0\3a\0b"),
        ROW("sr\x00\x33" P "SetState\0\0\0\0\0\0\0\0\x02\0\1L\0\5statet\0\1Sxpt\0\7RUNNING"),
        ROW("t\0\2\xff\xff"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct launcher_decoder *d = launcher_decoder_new();
        struct launcher_message m;
        struct err err;
        assert_int_equal(launcher_decoder_feed(d, rows[i].bytes, rows[i].n, NULL), ERR_OK);
        if (launcher_decoder_next(d, &m, &err) != LAUNCHER_BROKEN)
            fail_msg("row %zu was accepted", i);
        launcher_decoder_free(d);
    }
}

static void a_stream_has_an_end_to_its_size(void **state)
{
    (void)state;
    struct launcher_decoder *d = launcher_decoder_new();
    static char block[65536];
    enum err_code rc = ERR_OK;
    for (int i = 0; i < 16; i++)
        rc = launcher_decoder_feed(d, block, sizeof block, NULL);
    assert_int_equal(rc, ERR_OK);
    assert_int_equal(launcher_decoder_feed(d, block, 1, NULL), ERR_TOO_LARGE);
    launcher_decoder_free(d);
}

static void stop_is_what_sparks_own_launcher_sends(void **state)
{
    (void)state;
    static const char expected[] =
        HEADER "sr\x00\x2F" P "Stop\x18\x05\x48\x2f\x54\xcd\x23\x01\x02\x00\x00x" MESSAGE;
    cleanup(buf_clear) struct buf out = BUF(4096);
    launcher_write_header(&out);
    assert_int_equal(out.len, 4);
    launcher_write_stop(&out);
    assert_int_equal(out.failed, ERR_OK);
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(out.data, expected, out.len);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    bool done = false;
    for (long n = 1; !done; n++) {
        long live = mem_live();
        struct buf out = BUF(4096);
        struct launcher_message m;
        mem_fail_at(n);
        struct launcher_decoder *d = launcher_decoder_new();
        if (d != NULL && launcher_decoder_feed(d, captured, sizeof captured - 1, NULL) == ERR_OK)
            done = launcher_decoder_next(d, &m, NULL) == LAUNCHER_MESSAGE;
        launcher_write_header(&out);
        launcher_write_stop(&out);
        mem_fail_at(0);
        done = done && out.failed == ERR_OK;
        buf_clear(&out);
        launcher_decoder_free(d);
        assert_int_equal(mem_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_spark_sends_is_understood),
        cmocka_unit_test(it_may_come_in_any_two_pieces),
        cmocka_unit_test(it_may_come_byte_by_byte),
        cmocka_unit_test(messages_of_unknown_kinds_are_passed_over),
        cmocka_unit_test(known_messages_with_wrong_fields_are_refused),
        cmocka_unit_test(a_stream_has_an_end_to_its_size),
        cmocka_unit_test(stop_is_what_sparks_own_launcher_sends),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
