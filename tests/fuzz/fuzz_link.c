/*
 * Lines of an agent: its messages, its handshake, and the look into JSON text underneath, held against
 * jansson, which reads the same texts in its own way.
 */
#include "base/buf.h"
#include "base/json.h"
#include "base/json_scan.h"
#include "base/mem.h"
#include "session/message.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 2048 }; /* jansson's own limit */

static void check_message(const struct agent_message *m)
{
    const char *name = agent_message_name(m->type);
    assert(name != NULL && m->seq >= 0 && m->id >= 0 && m->at_ms >= 0 && m->elapsed_ms >= 0);
    assert(m->progress >= 0 && m->progress <= 1);
    assert(m->exit_code >= -1 && m->exit_code <= 255 && m->signal >= 0 && m->signal <= 64);
    struct json_slice status;
    if (m->output != NULL)
        assert(json_scan_object(m->output, strlen(m->output), 256, (const char *const[]){"status"}, &status,
                                1, NULL) == ERR_OK &&
               status.at != NULL);
}

static void read_line(const char *line, size_t len)
{
    struct agent_message m;
    struct agent_hello hello;
    struct agent_auth auth;
    struct err err;
    enum err_code rc = agent_message_read(&m, line, len, &err);
    assert(rc == ERR_OK || (rc == ERR_INVALID && err.msg[0] != '\0'));
    if (rc == ERR_OK) {
        check_message(&m);
        agent_message_clear(&m);
    }
    if (agent_hello_read(&hello, line, len, NULL) == ERR_OK)
        assert(strlen(hello.boot) >= 16 && strlen(hello.nonce) == 32);
    if (agent_auth_read(&auth, line, len, NULL) == ERR_OK)
        assert(auth.pid > 0 && auth.last_seq >= 0);
}

/* Half a surrogate pair is all that jansson does not read. U+FFFD stands for NUL. */
static void compare_text(struct json_slice string)
{
    json_t *value = json_loadb(string.at, string.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    cleanup(mem_freep) char *text = json_scan_text(string);
    cleanup(buf_clear) struct buf expected = BUF(64 << 20);
    const char *bytes = json_string_value(value);
    for (size_t i = 0; i < json_string_length(value); i++)
        buf_add(&expected, bytes[i] != '\0' ? bytes + i : "\xef\xbf\xbd", bytes[i] != '\0' ? 1 : 3);
    assert(text != NULL && (value == NULL || strcmp(text, buf_cstr(&expected)) == 0));
    json_decref(value);
}

/* What jansson takes for an object is one; but it passes over a NUL behind a word or a number. */
static void compare(const char *text, size_t len)
{
    static const char *const names[] = {"t", "boot", "error"};
    struct json_slice values[3];
    enum err_code rc = json_scan_object(text, len, DEPTH_MAX, names, values, 3, NULL);
    json_t *tree = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    assert(rc == ERR_OK || !json_is_object(tree) || memchr(text, '\0', len) != NULL);
    json_decref(tree);
    for (size_t i = 0; rc == ERR_OK && i < 3; i++)
        if (values[i].at != NULL && values[i].at[0] == '"')
            compare_text(values[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    const char *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline != NULL ? newline : end) - at);
        read_line(at, len);
        compare(at, len);
        at += len + 1;
    }
    assert(mem_live() == 0);
    return 0;
}
