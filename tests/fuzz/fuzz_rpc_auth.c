/* The replies of a node during a handshake, and its failures: anyone may listen on that port. */
#include "base/mem.h"
#include "rpc/auth.h"

#include <stdint.h>
#include <stdlib.h>

static const uint8_t fixed[32] = "The same bytes in every run....";
static const struct auth_random fixed_random = {"cnonce", fixed, fixed, fixed};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two bytes choose the handshake and where the first reply ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint8_t *replies = data + 2;
    size_t len = size - 2;
    size_t first = data[1] < len ? data[1] : len;
    cleanup(buf_clear) struct buf to = BUF(16 * 1024);
    struct err err = {0};
    struct auth *a = auth_new((enum auth_method)(data[0] % 3), "secret", &fixed_random);
    if (auth_next(a, NULL, 0, &to, &err) != AUTH_SEND)
        abort();
    enum auth_step step = auth_next(a, replies, first, &to, &err);
    if (step == AUTH_SEND)
        step = auth_next(a, replies + first, len - first, &to, &err);
    /* Nobody can prove anything without the secret, and a failure always says why. */
    if (step != AUTH_FAILED || err.code == ERR_OK || err.msg[0] == '\0' || auth_encrypts(a))
        abort();
    auth_free(a);
    (void)auth_read_failure((const char *)replies, len);
    return 0;
}
