/* Answers of a REST submission server: one byte for the call, one for the HTTP status, then the body. */
#include "base/mem.h"
#include "cluster/submission_server_internal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct submission_server_answer *a, enum submission_server_action action)
{
    bool ok = a->err.code == ERR_OK;
    assert(ok || a->err.msg[0] != '\0');
    assert(!ok || !a->uncertain);
    assert(!a->uncertain || action != SUBMISSION_STATUS);
    assert(!ok || action != SUBMISSION_CREATE || a->driver_id[0] != '\0');
    assert(!ok || action != SUBMISSION_STATUS || a->driver_state[0] != '\0');
    assert(a->message == NULL || strpbrk(a->message, "\r\n") == NULL);
    assert(strpbrk(a->err.msg, "\r\n") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 400, 405, 468, 500, 503};
    struct submission_server_reading reading;
    if (size < 2)
        return 0;
    enum submission_server_action action = (enum submission_server_action)(data[0] % 3);
    cleanup(mem_freep) char *body = mem_strndup((const char *)data + 2, size - 2);
    struct http_result result = {
        .status = statuses[data[1] % 6], .sent = true, .body = body, .len = strlen(body)};
    submission_server_read(action, &result, &reading);
    check(&reading.answer, action);
    submission_server_reading_clear(&reading);
    mem_freep(&body);
    assert(mem_live() == 0);
    return 0;
}
