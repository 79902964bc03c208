/* What a Spark node, or whatever listens where one should be, sends: frames, in pieces. */
#include "rpc/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 1000 };

/* A number that stands for all frames and how the stream ended. */
static uint64_t read_frames(const uint8_t *data, size_t size, size_t piece)
{
    struct frame_reader r;
    struct frame f;
    struct err err;
    enum frame_result result = FRAME_MORE;
    uint64_t sum = 0;
    frame_reader_init(&r, MAX);
    for (size_t at = 0; at < size && result == FRAME_MORE; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (frame_reader_feed(&r, data + at, n, &err) != ERR_OK)
            abort();
        while ((result = frame_reader_next(&r, &f, &err)) == FRAME_READY) {
            if (f.len > MAX)
                abort();
            sum = sum * 31 + f.type + (uint64_t)f.id + f.len + (f.len > 0 ? f.body[f.len - 1] : 0);
        }
    }
    frame_reader_clear(&r);
    return sum * 31 + result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (read_frames(data, size, size) != read_frames(data, size, 7)) /* pieces may not change what is read */
        abort();
    return 0;
}
