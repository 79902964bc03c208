/* The launcher connection: any local process can send anything there. */
#include "spark/launcher.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct launcher_decoder *d = launcher_decoder_new();
    struct launcher_message m;
    struct err err;
    size_t first = size > 0 ? data[0] % size : 0;
    if (launcher_decoder_feed(d, data, first, &err) == ERR_OK)
        while (launcher_decoder_next(d, &m, &err) == LAUNCHER_MESSAGE)
            if (m.text == NULL || strlen(m.text) > size)
                abort();
    if (launcher_decoder_feed(d, data + first, size - first, &err) == ERR_OK)
        while (launcher_decoder_next(d, &m, &err) == LAUNCHER_MESSAGE)
            if (m.text == NULL || strlen(m.text) > size)
                abort();
    launcher_decoder_free(d);
    return 0;
}
