/* What agents say, decoded and checked field by field; what hearth says, encoded. */
#include "base/json.h"
#include "base/mem.h"
#include "session/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUTPUT_OK "{\"status\":\"ok\",\"execution_count\":3,\"data\":{\"text/plain\":\"2\"}}"
#define OUTPUT_ERROR                                                                                         \
    "{\"status\":\"error\",\"execution_count\":3,\"ename\":\"E\",\"evalue\":\"v\",\"traceback\":[\"a\","     \
    "\"b\"]}"

static enum err_code read_line(struct agent_message *m, const char *line, struct err *err)
{
    return agent_message_read(m, line, strlen(line), err);
}

static struct agent_message good(const char *line)
{
    struct agent_message m;
    struct err err = {0};
    if (read_line(&m, line, &err) != ERR_OK)
        fail_msg("%s: %s", line, err.msg);
    return m;
}

/* ---- each message ---- */

static void every_message_is_read(void **state)
{
    (void)state;
    struct agent_message m = good("{\"t\":\"state\",\"seq\":1,\"state\":\"idle\",\"ms\":51}");
    assert_int_equal(m.type, AGENT_STATE);
    assert_int_equal(m.seq, 1);
    assert_int_equal(m.elapsed_ms, 51);

    m = good("{\"t\":\"context\",\"seq\":2,\"appId\":\"local-1\",\"ui\":null,\"version\":\"3.5.7\",\"scala\":"
             "\"2.12\"}");
    assert_int_equal(m.type, AGENT_CONTEXT);
    assert_string_equal(m.app_id, "local-1");
    assert_null(m.ui);
    assert_string_equal(m.version, "3.5.7");
    assert_string_equal(m.scala, "2.12");
    agent_message_clear(&m);

    m = good("{\"t\":\"context_failed\",\"seq\":3,\"error\":\"no \\u20ac\"}");
    assert_int_equal(m.type, AGENT_CONTEXT_FAILED);
    assert_string_equal(m.error, "no \xe2\x82\xac");
    agent_message_clear(&m);

    m = good("{\"t\":\"trouble\",\"seq\":3,\"error\":\"no master\"}");
    assert_int_equal(m.type, AGENT_TROUBLE);
    assert_string_equal(m.error, "no master");
    agent_message_clear(&m);

    m = good("{\"t\":\"trouble\",\"seq\":3,\"error\":null}");
    assert_null(m.error);
    agent_message_clear(&m);

    m = good("{\"t\":\"started\",\"seq\":4,\"id\":0,\"at\":1893456000000}");
    assert_int_equal(m.type, AGENT_STARTED);
    assert_int_equal(m.id, 0);
    assert_int_equal(m.at_ms, 1893456000000);

    m = good("{\"t\":\"result\",\"seq\":5,\"id\":3,\"state\":\"available\",\"output\":" OUTPUT_OK
             ",\"at\":9}");
    assert_int_equal(m.type, AGENT_RESULT);
    assert_int_equal(m.id, 3);
    assert_false(m.cancelled);
    assert_string_equal(m.output, OUTPUT_OK);
    assert_int_equal(m.at_ms, 9);
    agent_message_clear(&m);
    assert_null(m.output);

    m = good("{\"t\":\"result\",\"seq\":5,\"id\":3,\"state\":\"cancelled\",\"output\":null,\"at\":9}");
    assert_true(m.cancelled);
    assert_null(m.output);

    m = good("{\"t\":\"result\",\"seq\":5,\"id\":3,\"state\":\"available\",\"output\":" OUTPUT_ERROR
             ",\"at\":9}");
    assert_string_equal(m.output, OUTPUT_ERROR);
    agent_message_clear(&m);

    m = good("{\"t\":\"job_started\",\"seq\":6,\"id\":1,\"at\":9}");
    assert_int_equal(m.type, AGENT_JOB_STARTED);
    assert_int_equal(m.id, 1);

    m = good(
        "{\"t\":\"job_result\",\"seq\":7,\"id\":1,\"ok\":true,\"cancelled\":false,\"result\":\"gASVAA==\","
        "\"error\":null,\"at\":9}");
    assert_int_equal(m.type, AGENT_JOB_RESULT);
    assert_true(m.ok);
    assert_false(m.cancelled);
    assert_string_equal(m.job_result, "gASVAA==");
    assert_null(m.error);
    agent_message_clear(&m);

    m = good("{\"t\":\"job_result\",\"seq\":7,\"id\":1,\"ok\":false,\"cancelled\":true,\"result\":null,"
             "\"error\":\"cut\",\"at\":9}");
    assert_false(m.ok);
    assert_true(m.cancelled);
    assert_string_equal(m.error, "cut");
    agent_message_clear(&m);

    m = good("{\"t\":\"stuck\",\"seq\":8,\"id\":2}");
    assert_int_equal(m.type, AGENT_STUCK);
    assert_int_equal(m.id, 2);

    m = good(
        "{\"t\":\"jvm_exit\",\"seq\":9,\"exit\":52,\"signal\":null,\"lines\":[\"a\",\"\"],\"files\":[]}");
    assert_int_equal(m.type, AGENT_JVM_EXIT);
    assert_int_equal(m.exit_code, 52);
    assert_int_equal(m.signal, 0);
    assert_int_equal(m.lines.n, 2);
    assert_string_equal(m.lines.items[0], "a");
    assert_int_equal(m.files.n, 0);
    agent_message_clear(&m);

    m = good("{\"t\":\"jvm_exit\",\"seq\":9,\"exit\":null,\"signal\":9,\"lines\":[],\"files\":[\"hs_err_pid7."
             "log\"]}");
    assert_int_equal(m.exit_code, -1);
    assert_int_equal(m.signal, 9);
    assert_string_equal(m.files.items[0], "hs_err_pid7.log");
    agent_message_clear(&m);

    m = good("{\"t\":\"warm\",\"seq\":10}");
    assert_int_equal(m.type, AGENT_WARM);
    assert_int_equal(m.seq, 10);

    m = good("{\"t\":\"progress\",\"id\":2,\"progress\":0.25}");
    assert_int_equal(m.type, AGENT_PROGRESS);
    assert_int_equal(m.seq, 0);
    assert_float_equal(m.progress, 0.25, 1e-9);

    m = good("{\"t\":\"completions\",\"rid\":12,\"candidates\":[\"one\",\"two\"]}");
    assert_int_equal(m.type, AGENT_COMPLETIONS);
    assert_int_equal(m.id, 12);
    assert_int_equal(m.candidates.n, 2);
    assert_string_equal(m.candidates.items[1], "two");
    agent_message_clear(&m);

    m = good("{\"t\":\"added\",\"rid\":13,\"ok\":false,\"error\":\"no such file\"}");
    assert_int_equal(m.type, AGENT_ADDED);
    assert_int_equal(m.id, 13);
    assert_false(m.ok);
    assert_string_equal(m.error, "no such file");
    agent_message_clear(&m);

    m = good("{\"t\":\"pong\",\"n\":5}");
    assert_int_equal(m.type, AGENT_PONG);
    assert_int_equal(m.id, 5);
    assert_int_equal(good("{\"t\":\"bye\"}").type, AGENT_BYE);
    assert_string_equal(agent_message_name(AGENT_JOB_RESULT), "job_result");
}

static void more_than_is_known_is_passed_over(void **state)
{
    (void)state;
    struct agent_message m =
        good(" {\"new\":{\"deep\":[1,{}]},\"t\":\"stuck\",\"id\":2,\"seq\":8,\"error\":17,\"lines\":true} ");
    assert_int_equal(m.id, 2);
    assert_null(m.error);
}

/* Of each message: a whole one, and its required fields. */
static const struct {
    const char *line;
    const char *required[6];
} whole[] = {
    {"{\"t\":\"state\",\"seq\":1,\"state\":\"idle\",\"ms\":1}", {"t", "seq", "state", "ms"}},
    {"{\"t\":\"context\",\"seq\":1}", {"t", "seq"}},
    {"{\"t\":\"context_failed\",\"seq\":1,\"error\":\"e\"}", {"t", "seq", "error"}},
    {"{\"t\":\"started\",\"seq\":1,\"id\":0,\"at\":1}", {"t", "seq", "id", "at"}},
    {"{\"t\":\"result\",\"seq\":1,\"id\":0,\"state\":\"available\",\"at\":1}",
     {"t", "seq", "id", "state", "at"}},
    {"{\"t\":\"job_started\",\"seq\":1,\"id\":1,\"at\":1}", {"t", "seq", "id", "at"}},
    {"{\"t\":\"job_result\",\"seq\":1,\"id\":1,\"ok\":true,\"cancelled\":false,\"at\":1}",
     {"t", "seq", "id", "ok", "cancelled", "at"}},
    {"{\"t\":\"stuck\",\"seq\":1,\"id\":0}", {"t", "seq", "id"}},
    {"{\"t\":\"jvm_exit\",\"seq\":1,\"lines\":[],\"files\":[]}", {"t", "seq", "lines", "files"}},
    {"{\"t\":\"warm\",\"seq\":1}", {"t", "seq"}},
    {"{\"t\":\"trouble\",\"seq\":1,\"error\":\"no master\"}", {"t", "seq"}},
    {"{\"t\":\"progress\",\"id\":0,\"progress\":1}", {"t", "id", "progress"}},
    {"{\"t\":\"completions\",\"rid\":0,\"candidates\":[]}", {"t", "rid", "candidates"}},
    {"{\"t\":\"added\",\"rid\":0,\"ok\":true}", {"t", "rid", "ok"}},
    {"{\"t\":\"pong\",\"n\":0}", {"t", "n"}},
    {"{\"t\":\"bye\"}", {"t"}},
};

/* The line without the field, or with another value of it. */
static char *changed(const char *line, const char *field, const char *value)
{
    cleanup(json_decrefp) json_t *object = NULL;
    struct err err = {0};
    assert_int_equal(json_parse(line, strlen(line), 8, &object, &err), ERR_OK);
    if (value == NULL)
        assert_int_equal(json_object_del(object, field), 0);
    else
        assert_int_equal(
            json_object_set_new(object, field, json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)), 0);
    return json_text(object);
}

static void assert_refused(const char *line, const char *word)
{
    struct agent_message m;
    struct err err = {0};
    if (read_line(&m, line, &err) != ERR_INVALID)
        fail_msg("accepted: %.200s", line);
    if (strstr(err.msg, word) == NULL)
        fail_msg("%s: \"%s\" does not name %s", line, err.msg, word);
}

static void every_required_field_is_missed_and_its_type_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {"null", "{}", "[1]",     "\"\\u0000\"",
                                        "1e3",  "-1", "\"zzz\"", "[\"a\",1]"};
    assert_int_equal(sizeof whole / sizeof *whole, AGENT_BYE + 1);
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        struct agent_message m = good(whole[i].line);
        assert_int_equal(m.type, i);
        agent_message_clear(&m);
        for (size_t f = 0; f < 6 && whole[i].required[f] != NULL; f++) {
            const char *field = whole[i].required[f];
            char quoted[40];
            (void)snprintf(quoted, sizeof quoted, "\"%s\"", field);
            cleanup(mem_freep) char *without = changed(whole[i].line, field, NULL);
            assert_refused(without, quoted);
            for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
                bool is_text = strcmp(field, "error") == 0 && wrong[w][0] == '"';
                cleanup(mem_freep) char *line = changed(whole[i].line, field, wrong[w]);
                if (!is_text)
                    assert_refused(line, strcmp(field, "t") == 0 ? "type" : quoted);
            }
        }
    }
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t message;
        const char *field, *value;
        bool is_good;
    } cases[] = {
        {AGENT_STUCK, "id", "2147483647", true},
        {AGENT_STUCK, "id", "2147483648", false},
        {AGENT_STUCK, "seq", "0", false},
        {AGENT_STUCK, "seq", "9007199254740992", true},
        {AGENT_STUCK, "seq", "9007199254740993", false},
        {AGENT_STUCK, "seq", "1.0", false},
        {AGENT_JOB_STARTED, "id", "0", false},
        {AGENT_STARTED, "at", "9007199254740992", true},
        {AGENT_STARTED, "at", "9007199254740993", false},
        {AGENT_STARTED, "at", "-1", false},
        {AGENT_STATE, "ms", "-1", false},
        {AGENT_STATE, "state", "\"busy\"", false},
        {AGENT_RESULT, "state", "\"running\"", false},
        {AGENT_PROGRESS, "progress", "0", true},
        {AGENT_PROGRESS, "progress", "0.0", true},
        {AGENT_PROGRESS, "progress", "1.0", true},
        {AGENT_PROGRESS, "progress", "1.01", false},
        {AGENT_PROGRESS, "progress", "-0.01", false},
        {AGENT_PROGRESS, "progress", "1e300", false},
        {AGENT_JVM_EXIT, "exit", "0", true},
        {AGENT_JVM_EXIT, "exit", "255", true},
        {AGENT_JVM_EXIT, "exit", "256", false},
        {AGENT_JVM_EXIT, "exit", "\"0\"", false},
        {AGENT_JVM_EXIT, "signal", "0", false},
        {AGENT_JVM_EXIT, "signal", "64", true},
        {AGENT_JVM_EXIT, "signal", "65", false},
        {AGENT_CONTEXT, "ui", "7", false},
        {AGENT_JOB_RESULT, "result", "\"\"", true},
        {AGENT_JOB_RESULT, "result", "\"YQ==\"", true},
        {AGENT_JOB_RESULT, "result", "\"YWI=\"", true},
        {AGENT_JOB_RESULT, "result", "\"YQ=\"", false},
        {AGENT_JOB_RESULT, "result", "\"Y===\"", false},
        {AGENT_JOB_RESULT, "result", "\"Y Q=\"", false},
        {AGENT_JOB_RESULT, "result", "\"YQ==YQ==\"", false},
        {AGENT_JOB_RESULT, "result", "7", false},
        {AGENT_JOB_RESULT, "error", "[]", false},
        {AGENT_ADDED, "error", "false", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(mem_freep) char *line = changed(whole[cases[i].message].line, cases[i].field, cases[i].value);
        if (cases[i].is_good) {
            struct agent_message m = good(line);
            agent_message_clear(&m);
        } else {
            assert_refused(line, cases[i].field);
        }
    }
}

/* "field": a string of n letters. */
static char *with_text(size_t message, const char *field, size_t n)
{
    char *letters = mem_alloc(n + 3);
    memset(letters, 'x', n + 2);
    letters[0] = letters[n + 1] = '"';
    letters[n + 2] = '\0';
    char *line = changed(whole[message].line, field, letters);
    mem_free(letters);
    return line;
}

/* "field": n times the text. */
static char *with_list(size_t message, const char *field, size_t n, const char *text)
{
    cleanup(buf_clear) struct buf list = BUF(64 << 20);
    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%c\"%s\"", i == 0 ? '[' : ',', text);
    buf_char(&list, ']');
    return changed(whole[message].line, field, list.data);
}

static void long_texts_and_lists_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t message;
        const char *field;
        size_t max;
    } texts[] = {
        {AGENT_CONTEXT, "appId", 4096},
        {AGENT_CONTEXT, "ui", 4096},
        {AGENT_CONTEXT, "version", 4096},
        {AGENT_CONTEXT, "scala", 4096},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cleanup(mem_freep) char *longest = with_text(texts[i].message, texts[i].field, texts[i].max);
        cleanup(mem_freep) char *longer = with_text(texts[i].message, texts[i].field, texts[i].max + 1);
        struct agent_message m = good(longest);
        agent_message_clear(&m);
        assert_refused(longer, texts[i].field);
    }
    static const struct {
        size_t message;
        const char *field;
        size_t items, bytes;
    } lists[] = {
        {AGENT_JVM_EXIT, "lines", 100, 64 << 10},
        {AGENT_JVM_EXIT, "files", 100, 4096},
        {AGENT_COMPLETIONS, "candidates", 10000, 64 << 10},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cleanup(mem_freep) char *most = with_list(lists[i].message, lists[i].field, lists[i].items, "a");
        cleanup(mem_freep) char *more = with_list(lists[i].message, lists[i].field, lists[i].items + 1, "a");
        char *text = mem_alloc(lists[i].bytes + 2);
        memset(text, 'y', lists[i].bytes + 1);
        text[lists[i].bytes + 1] = '\0';
        cleanup(mem_freep) char *longer = with_list(lists[i].message, lists[i].field, 1, text);
        text[lists[i].bytes] = '\0';
        cleanup(mem_freep) char *longest = with_list(lists[i].message, lists[i].field, 1, text);
        mem_free(text);
        struct agent_message m = good(most);
        agent_message_clear(&m);
        m = good(longest);
        agent_message_clear(&m);
        assert_refused(more, lists[i].field);
        assert_refused(longer, lists[i].field);
    }
}

static void long_errors_are_cut_between_characters(void **state)
{
    (void)state;
    enum { MAX = 1 << 20 };
    static const enum agent_message_type types[] = {AGENT_CONTEXT_FAILED, AGENT_JOB_RESULT, AGENT_ADDED};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        cleanup(mem_freep) char *longest = with_text(types[i], "error", MAX);
        cleanup(mem_freep) char *longer = with_text(types[i], "error", MAX + 1);
        struct agent_message m = good(longest);
        assert_int_equal(strlen(m.error), MAX);
        agent_message_clear(&m);
        m = good(longer);
        assert_int_equal(strlen(m.error), MAX);
        agent_message_clear(&m);
        char *last = strrchr(longer, 'x'); /* the letters around the limit become one character */
        memcpy(last - 2, "\xe2\x82\xac", 3);
        m = good(longer);
        assert_int_equal(strlen(m.error), MAX - 2);
        agent_message_clear(&m);
    }
}

static void what_is_no_message_is_refused(void **state)
{
    (void)state;
    assert_refused("", "JSON");
    assert_refused("[]", "JSON");
    assert_refused("{\"t\":\"stuck\",\"id\":1,\"seq\":1", "JSON");
    assert_refused("{\"t\":\"stuck\",\"id\":1,\"seq\":1}{}", "JSON");
    assert_refused("{\"t\":\"hop\",\"seq\":1}", "hop");
    assert_refused("{\"t\":\"\",\"seq\":1}", "unknown");
    assert_refused("{\"t\":\"execute\",\"seq\":1}", "execute");
    assert_refused("{\"t\":\"a_very_long_name_of_a_message_that_nobody_has_ever_heard_of_anywhere\"}",
                   "a_very_long");
}

/* ---- outputs ---- */

static char *result_with(const char *output)
{
    return mem_printf("{\"t\":\"result\",\"seq\":1,\"id\":0,\"state\":\"available\",\"at\":1,\"output\":%s}",
                      output);
}

static void outputs_are_kept_byte_for_byte(void **state)
{
    (void)state;
    static const char output[] =
        "{\"status\":\"ok\",\"execution_count\":0,\"data\":{\"text/plain\":\"\\u0000\\ud800\xe2\x82\xac\","
        "\"application/json\":[0.1,1e400,123456789012345678901234567890,{\"\\u0000\":[]}]}}";
    cleanup(mem_freep) char *line = result_with(output);
    struct agent_message m = good(line);
    assert_string_equal(m.output, output);
    agent_message_clear(&m);
}

static void outputs_of_another_shape_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[]",
        "\"text\"",
        "1",
        "{}",
        "{\"status\":\"ok\",\"data\":{}}",
        "{\"status\":\"ok\",\"execution_count\":\"0\",\"data\":{}}",
        "{\"status\":\"ok\",\"execution_count\":-1,\"data\":{}}",
        "{\"status\":\"ok\",\"execution_count\":0}",
        "{\"status\":\"ok\",\"execution_count\":0,\"data\":[]}",
        "{\"status\":\"fine\",\"execution_count\":0,\"data\":{}}",
        "{\"status\":\"error\",\"execution_count\":0,\"data\":{}}",
        "{\"status\":\"error\",\"execution_count\":0,\"ename\":1,\"evalue\":\"\",\"traceback\":[]}",
        "{\"status\":\"error\",\"execution_count\":0,\"ename\":\"\",\"evalue\":null,\"traceback\":[]}",
        "{\"status\":\"error\",\"execution_count\":0,\"ename\":\"\",\"evalue\":\"\"}",
        "{\"status\":\"error\",\"execution_count\":0,\"ename\":\"\",\"evalue\":\"\",\"traceback\":\"\"}",
        "{\"status\":\"error\",\"execution_count\":0,\"ename\":\"\",\"evalue\":\"\",\"traceback\":[1]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cleanup(mem_freep) char *line = result_with(bad[i]);
        assert_refused(line, "output");
    }
}

static char *nested_output(size_t lists)
{
    cleanup(buf_clear) struct buf text = BUF(1 << 20);
    buf_str(&text, "{\"status\":\"ok\",\"execution_count\":0,\"data\":{\"x\":");
    for (size_t i = 0; i < lists; i++)
        buf_char(&text, '[');
    for (size_t i = 0; i < lists; i++)
        buf_char(&text, ']');
    buf_str(&text, "}}");
    return result_with(buf_cstr(&text));
}

static void outputs_may_be_256_levels_deep(void **state)
{
    (void)state;
    cleanup(mem_freep) char *deepest = nested_output(254);
    cleanup(mem_freep) char *deeper = nested_output(255);
    cleanup(mem_freep) char *hostile = nested_output(400000);
    struct agent_message m = good(deepest);
    agent_message_clear(&m);
    assert_refused(deeper, "deep");
    if (hostile != NULL)
        assert_refused(hostile, "deep");
}

static void no_failing_allocation_leaks(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"t\":\"context\",\"seq\":2,\"appId\":\"a\",\"ui\":\"u\",\"version\":\"v\",\"scala\":\"s\"}",
        "{\"t\":\"jvm_exit\",\"seq\":9,\"exit\":1,\"lines\":[\"a\",\"b\"],\"files\":[\"c\"]}",
        "{\"t\":\"result\",\"seq\":5,\"id\":3,\"state\":\"available\",\"output\":" OUTPUT_OK ",\"at\":9}",
        ("{\"t\":\"job_result\",\"seq\":7,\"id\":1,\"ok\":true,\"cancelled\":false,\"result\":\"\",\"error\":"
         "\"\",\"at\":9}"),
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        enum err_code rc = ERR_NOMEM;
        for (long n = 1; rc == ERR_NOMEM; n++) {
            struct agent_message m;
            struct err err = {0};
            long live = mem_live();
            mem_fail_at(n);
            rc = read_line(&m, lines[i], &err);
            mem_fail_at(0);
            if (rc == ERR_OK) {
                assert_true(n > 1);
                agent_message_clear(&m);
            }
            assert_int_equal(mem_live(), live);
        }
        assert_int_equal(rc, ERR_OK);
    }
}

/* ---- the handshake ---- */

#define NONCE "00112233445566778899aabbccddeeff"
#define PROOF NONCE NONCE

static enum err_code read_hello(const char *line, struct agent_hello *hello)
{
    struct err err;
    return agent_hello_read(hello, line, strlen(line), &err);
}

static void hello_is_read_and_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"t\":\"auth\",\"v\":1,\"session\":7,\"boot\":\"" NONCE "\",\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"session\":7,\"boot\":\"" NONCE "\",\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":2,\"session\":7,\"boot\":\"" NONCE "\",\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":1,\"boot\":\"" NONCE "\",\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":1,\"session\":-7,\"boot\":\"" NONCE "\",\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":1,\"session\":7,\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":1,\"session\":7,\"boot\":\"0123456789abcde\",\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":1,\"session\":7,\"boot\":\"" PROOF "0\",\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":1,\"session\":7,\"boot\":\"0123456789ABCDEF\",\"nonce\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":1,\"session\":7,\"boot\":\"" NONCE "\"}",
        "{\"t\":\"hello\",\"v\":1,\"session\":7,\"boot\":\"" NONCE "\",\"nonce\":\"" NONCE "0\"}",
        "{\"t\":\"hello\",\"v\":1,\"session\":7,\"boot\":\"" NONCE
        "\",\"nonce\":\"|0112233445566778899aabbccddeeff\"}",
    };
    struct agent_hello hello;
    assert_int_equal(read_hello("{\"t\":\"hello\",\"v\":1,\"session\":7,\"boot\":\"" PROOF
                                "\",\"nonce\":\"" NONCE "\"}",
                                &hello),
                     ERR_OK);
    assert_int_equal(hello.session, 7);
    assert_string_equal(hello.boot, PROOF);
    assert_string_equal(hello.nonce, NONCE);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_hello(bad[i], &hello) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
}

static void auth_is_read_and_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"t\":\"hello\",\"proof\":\"" PROOF "\",\"pid\":42,\"last_seq\":9}",
        "{\"t\":\"auth\",\"pid\":42,\"last_seq\":9}",
        "{\"t\":\"auth\",\"proof\":\"" NONCE "\",\"pid\":42,\"last_seq\":9}",
        "{\"t\":\"auth\",\"proof\":\"" PROOF "\",\"last_seq\":9}",
        "{\"t\":\"auth\",\"proof\":\"" PROOF "\",\"pid\":0,\"last_seq\":9}",
        "{\"t\":\"auth\",\"proof\":\"" PROOF "\",\"pid\":42}",
        "{\"t\":\"auth\",\"proof\":\"" PROOF "\",\"pid\":42,\"last_seq\":-1}",
    };
    static const char line[] = "{\"t\":\"auth\",\"proof\":\"" PROOF "\",\"pid\":42,\"last_seq\":9}";
    struct agent_auth auth;
    struct err err;
    assert_int_equal(agent_auth_read(&auth, line, sizeof line - 1, &err), ERR_OK);
    assert_int_equal(auth.pid, 42);
    assert_int_equal(auth.last_seq, 9);
    for (size_t i = 0; i < MESSAGE_PROOF_BYTES; i++)
        assert_int_equal(auth.proof[i], 0x11 * (i % 16));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (agent_auth_read(&auth, bad[i], strlen(bad[i]), &err) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
}

/* ---- what hearth says ---- */

static void assert_said(struct buf *said, const char *expected)
{
    assert_string_equal(buf_cstr(said), expected);
    buf_reset(said);
}

static void every_message_of_hearth_is_one_line(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf to = BUF(4096);
    unsigned char proof[MESSAGE_PROOF_BYTES];
    for (size_t i = 0; i < sizeof proof; i++)
        proof[i] = (unsigned char)(0x11 * (i % 16));
    message_challenge(&to, NONCE, proof);
    assert_said(&to, "{\"t\":\"challenge\",\"nonce\":\"" NONCE "\",\"proof\":\"" PROOF "\"}\n");
    message_welcome(&to, 12);
    assert_said(&to, "{\"t\":\"welcome\",\"ack\":12}\n");
    message_refused(&to, true, "other \"boot\"");
    assert_said(&to, "{\"t\":\"refused\",\"fatal\":true,\"reason\":\"other \\\"boot\\\"\"}\n");
    message_execute(&to, 0, "pyspark", "a = 'x'\nb\n");
    assert_said(&to, "{\"t\":\"execute\",\"id\":0,\"kind\":\"pyspark\",\"code\":\"a = 'x'\\nb\\n\"}\n");
    message_cancel(&to, 4, 30000);
    assert_said(&to, "{\"t\":\"cancel\",\"id\":4,\"timeout\":30000}\n");
    message_complete(&to, 9, "spark", "sc.", 3);
    assert_said(&to, "{\"t\":\"complete\",\"rid\":9,\"kind\":\"spark\",\"code\":\"sc.\",\"cursor\":3}\n");
    message_job(&to, 1, "pyspark", "gASV");
    assert_said(&to, "{\"t\":\"job\",\"id\":1,\"type\":\"pyspark\",\"job\":\"gASV\"}\n");
    message_job_cancel(&to, 1);
    assert_said(&to, "{\"t\":\"job_cancel\",\"id\":1}\n");
    message_add(&to, 10, "jar", "/tmp/a.jar");
    assert_said(&to, "{\"t\":\"add\",\"rid\":10,\"what\":\"jar\",\"uri\":\"/tmp/a.jar\"}\n");
    struct strmap conf = {0};
    assert_int_equal(strmap_set(&conf, "spark.master", "local[2]"), 0);
    message_adopt(&to, "pyspark", &conf);
    strmap_clear(&conf);
    assert_said(&to, "{\"t\":\"adopt\",\"kind\":\"pyspark\",\"conf\":{\"spark.master\":\"local[2]\"}}\n");
    message_ping(&to, 3);
    assert_said(&to, "{\"t\":\"ping\",\"n\":3}\n");
    message_ack(&to, 77);
    assert_said(&to, "{\"t\":\"ack\",\"n\":77}\n");
    message_shutdown(&to);
    assert_said(&to, "{\"t\":\"shutdown\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_read),
        cmocka_unit_test(more_than_is_known_is_passed_over),
        cmocka_unit_test(every_required_field_is_missed_and_its_type_checked),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(long_texts_and_lists_are_refused),
        cmocka_unit_test(long_errors_are_cut_between_characters),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(outputs_are_kept_byte_for_byte),
        cmocka_unit_test(outputs_of_another_shape_are_refused),
        cmocka_unit_test(outputs_may_be_256_levels_deep),
        cmocka_unit_test(no_failing_allocation_leaks),
        cmocka_unit_test(hello_is_read_and_checked),
        cmocka_unit_test(auth_is_read_and_checked),
        cmocka_unit_test(every_message_of_hearth_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
