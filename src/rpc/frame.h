/*
 * Frames: how Spark's RPC cuts a TCP stream into messages (org.apache.spark.network.protocol).
 *
 *     i64 length (counts itself) | u8 type | header and body of that type
 *
 * Reading    a frame_reader is fed with bytes in any pieces and gives one frame after the other. Nothing is
 *            allocated for what a length merely announces.
 * Writing    appends one whole frame to a buffer.
 *
 * Thread     whoever owns it.
 */
#ifndef HEARTH_RPC_FRAME_H
#define HEARTH_RPC_FRAME_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum frame_type {
    FRAME_REQUEST = 3,
    FRAME_RESPONSE = 4,
    FRAME_FAILURE = 5, /* its body is UTF-8 text, a Java stack trace */
    FRAME_ONE_WAY = 9,
};

enum { FRAME_MAX_DEFAULT = 64 * 1024 * 1024 }; /* bytes */

struct frame {
    enum frame_type type;
    int64_t id;          /* of requests, responses and failures */
    const uint8_t *body; /* borrowed from the reader until its next call */
    size_t len;
};

enum frame_result {
    FRAME_READY,
    FRAME_MORE,   /* feed more bytes */
    FRAME_BROKEN, /* no such stream, or a limit is passed: close the connection; it stays so */
};

struct frame_reader {
    struct buf in;
    size_t taken; /* bytes of `in` that the frames given so far occupy */
    size_t max;   /* largest frame, bytes */
};

void frame_reader_init(struct frame_reader *r, size_t max);
void frame_reader_clear(struct frame_reader *r);
/* Takes a copy. Take all frames before the next piece is fed: nothing else bounds what is held. ERR_NOMEM. */
enum err_code frame_reader_feed(struct frame_reader *r, const void *bytes, size_t n, struct err *err);
/* The next frame of one of the four types. Frames of other types are broken; err is set with FRAME_BROKEN
 * only. */
enum frame_result frame_reader_next(struct frame_reader *r, struct frame *ret, struct err *err);

/* Appends a whole frame. `id` counts for requests, responses and failures only. */
void frame_write(struct buf *to, enum frame_type type, int64_t id, const void *body, size_t len);

#endif
