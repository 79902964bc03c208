#include "rpc/frame.h"

#include <inttypes.h>
#include <string.h>

enum {
    LENGTH_SIZE = 8,
    HEAD_SIZE = LENGTH_SIZE + 1,  /* and the type */
    KEPT_MAX = 64 * 1024,         /* more is given back once it is read */
    ONE_WAY_HEAD = HEAD_SIZE + 4, /* and the body's length, which counts for nothing: the frame's does */
    CALL_HEAD = HEAD_SIZE + 8 + 4 /* and the id */
};

/* The caller takes all frames after each piece, so at most one frame and one piece are held. */
static const size_t no_limit = SIZE_MAX / 4;

void frame_reader_init(struct frame_reader *r, size_t max)
{
    *r = (struct frame_reader){.max = max};
    buf_init(&r->in, no_limit);
}

void frame_reader_clear(struct frame_reader *r)
{
    buf_clear(&r->in);
    r->taken = 0;
}

enum err_code frame_reader_feed(struct frame_reader *r, const void *bytes, size_t n, struct err *err)
{
    buf_drop(&r->in, r->taken);
    r->taken = 0;
    buf_add(&r->in, bytes, n);
    return buf_check(&r->in, err);
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* Bytes before the body in frames of that type; 0 when hearth has no use for the type. */
static size_t head_size(unsigned type)
{
    switch (type) {
    case FRAME_REQUEST:
    case FRAME_RESPONSE:
    case FRAME_FAILURE: return CALL_HEAD;
    case FRAME_ONE_WAY: return ONE_WAY_HEAD;
    default: return 0;
    }
}

/* Called as soon as a length is there, so that nobody waits for what is refused in the end. */
static enum frame_result check_head(const struct frame_reader *r, const uint8_t *p, size_t n, struct err *err)
{
    uint64_t length = big_endian(p, LENGTH_SIZE);
    if (length < HEAD_SIZE || length > INT64_MAX)
        (void)err_set(err, ERR_INVALID, "a frame of %" PRId64 " bytes, the shortest has %d", (int64_t)length,
                      HEAD_SIZE);
    else if (length > r->max)
        (void)err_set(err, ERR_TOO_LARGE, "a frame of %" PRIu64 " bytes, the limit is %zu", length, r->max);
    else if (n >= HEAD_SIZE && head_size(p[LENGTH_SIZE]) == 0)
        (void)err_set(err, ERR_INVALID, "a frame of type %u, which is not expected", p[LENGTH_SIZE]);
    else if (n >= HEAD_SIZE && length < head_size(p[LENGTH_SIZE]))
        (void)err_set(err, ERR_INVALID, "a frame of type %u with %" PRIu64 " bytes only", p[LENGTH_SIZE],
                      length);
    else
        return n >= length ? FRAME_READY : FRAME_MORE;
    return FRAME_BROKEN;
}

/* All is read: one large answer must not keep its memory for as long as the connection lives. */
static void give_back(struct frame_reader *r)
{
    r->taken = 0;
    if (r->in.cap > KEPT_MAX)
        buf_clear(&r->in);
    else
        buf_reset(&r->in);
}

/* What is broken is never taken, so that every later call finds it again. */
enum frame_result frame_reader_next(struct frame_reader *r, struct frame *ret, struct err *err)
{
    if (r->taken == r->in.len)
        give_back(r);
    const uint8_t *p = (const uint8_t *)buf_cstr(&r->in) + r->taken;
    size_t n = r->in.len - r->taken;
    if (n < LENGTH_SIZE)
        return FRAME_MORE;
    enum frame_result result = check_head(r, p, n, err);
    if (result != FRAME_READY)
        return result;
    size_t length = (size_t)big_endian(p, LENGTH_SIZE);
    size_t head = head_size(p[LENGTH_SIZE]);
    *ret = (struct frame){.type = p[LENGTH_SIZE], .body = p + head, .len = length - head};
    if (head == CALL_HEAD)
        ret->id = (int64_t)big_endian(p + HEAD_SIZE, 8);
    r->taken += length;
    return FRAME_READY;
}

static uint8_t *put(uint8_t *to, uint64_t n, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(n >> 8 * (bytes - 1 - i));
    return to + bytes;
}

void frame_write(struct buf *to, enum frame_type type, int64_t id, const void *body, size_t len)
{
    uint8_t head[CALL_HEAD];
    size_t size = head_size(type);
    uint8_t *p = put(head, size + len, LENGTH_SIZE);
    p = put(p, type, 1);
    if (size == CALL_HEAD)
        p = put(p, (uint64_t)id, 8);
    (void)put(p, len, 4);
    if (buf_reserve(to, size + len) == NULL)
        return; /* half a frame would put the whole stream out of step */
    buf_add(to, head, size);
    buf_add(to, body, len);
}
