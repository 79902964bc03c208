#include "spark/launcher.h"

#include "base/mem.h"
#include "spark/jser.h"

#include <string.h>

#define PREFIX "org.apache.spark.launcher.LauncherProtocol$"

enum { HEADER_SIZE = 4 }; /* of an object stream */

/* A whole connection says a few hundred bytes in honest use. */
static const struct jser_limits limits = {
    .bytes = 1024 * 1024, .memory = 4 * 1024 * 1024, .depth = 32, .handles = 65536};

static const struct jser_class message_class = {
    .name = PREFIX "Message", .uid = -5003164482046097355, .flags = JSER_SERIALIZABLE};
static const struct jser_class stop_class = {
    .name = PREFIX "Stop", .uid = 1730868999917216513, .flags = JSER_SERIALIZABLE, .super = &message_class};

struct launcher_decoder {
    struct jser_reader *reader;
};

struct launcher_decoder *launcher_decoder_new(void)
{
    struct launcher_decoder *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->reader = jser_reader_new(&limits);
    if (d->reader == NULL) {
        mem_free(d);
        return NULL;
    }
    return d;
}

void launcher_decoder_free(struct launcher_decoder *d)
{
    if (d == NULL)
        return;
    jser_reader_free(d->reader);
    mem_free(d);
}

enum err_code launcher_decoder_feed(struct launcher_decoder *d, const void *bytes, size_t n, struct err *err)
{
    return jser_reader_feed(d->reader, bytes, n, err);
}

/* A text field, which may not hide anything behind a NUL; NULL when it is not like that. */
static const char *text_field(const struct jser_value *object, const char *name)
{
    const struct jser_value *v = jser_field(object, name);
    if (v == NULL || v->kind != JSER_STRING || strlen(v->u.string.text) != v->u.string.len)
        return NULL;
    return v->u.string.text;
}

/* True for a message of a known kind; one with a field missing has text NULL. */
static bool understand(const struct jser_value *v, struct launcher_message *ret)
{
    const char *name = v->kind == JSER_OBJECT ? v->class->name : "";
    if (strcmp(name, PREFIX "Hello") == 0) {
        *ret =
            (struct launcher_message){LAUNCHER_HELLO, text_field(v, "secret"), text_field(v, "sparkVersion")};
    } else if (strcmp(name, PREFIX "SetAppId") == 0) {
        *ret = (struct launcher_message){LAUNCHER_SET_APP_ID, text_field(v, "appId"), NULL};
    } else if (strcmp(name, PREFIX "SetState") == 0) {
        const struct jser_value *state = jser_field(v, "state");
        bool is_enum = state != NULL && state->kind == JSER_ENUM;
        *ret = (struct launcher_message){LAUNCHER_SET_STATE, is_enum ? state->u.constant : NULL, NULL};
    } else {
        return false;
    }
    return true;
}

enum launcher_result launcher_decoder_next(struct launcher_decoder *d, struct launcher_message *ret,
                                           struct err *err)
{
    for (;;) {
        const struct jser_value *v = NULL;
        enum jser_result result = jser_reader_next(d->reader, &v, err);
        if (result == JSER_MORE)
            return LAUNCHER_MORE;
        if (result == JSER_BROKEN)
            return LAUNCHER_BROKEN;
        if (!understand(v, ret))
            continue;
        if (ret->text != NULL)
            return LAUNCHER_MESSAGE;
        (void)err_set(err, ERR_INVALID, "%s lacks a field, or it is of another type", v->class->name);
        return LAUNCHER_BROKEN;
    }
}

void launcher_write_header(struct buf *to)
{
    struct jser_writer w;
    jser_writer_init(&w, to);
    jser_writer_clear(&w);
}

void launcher_write_stop(struct buf *to)
{
    cleanup(buf_clear) struct buf stream = BUF(to->limit);
    struct jser_writer w;
    jser_writer_init(&w, &stream);
    (void)jser_write_object(&w, &stop_class);
    if (jser_writer_check(&w, NULL) != ERR_OK)
        to->failed = ERR_NOMEM;
    else
        buf_add(to, stream.data + HEADER_SIZE, stream.len - HEADER_SIZE);
    jser_writer_clear(&w);
}
