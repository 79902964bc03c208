/* Answers that the doors of this module share. */
#include "web/web_internal.h"

#include "base/clock.h"
#include "base/parse.h"
#include "door/door.h"
#include "schedule/civil.h"

#include <stdarg.h>
#include <stdio.h>

void web_reply_msg(struct http_request *r, int status, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    http_reply(r, door_msg_answer(status, text));
}

void web_reply_error(struct http_request *r, const struct err *err)
{
    web_reply_msg(r, err_http_status(err->code), "%s", err->msg);
}

void web_write_time(struct json_out *out, const char *key, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];
    bool is_time = wall_ms > 0 && wall_ms != TRIGGER_NEVER;
    if (is_time)
        clock_format(wall_ms, text);
    json_out_str(out, key, is_time ? text : NULL);
}

bool web_query_int(struct http_request *r, const char *name, int64_t min, int64_t max, int64_t *value)
{
    struct err err = {0};
    const char *text = http_query(r, name);
    if (text == NULL || parse_i64(text, min, max, value, &err) == ERR_OK)
        return true;
    web_reply_msg(r, 400, "%s: %s", name, err.msg);
    return false;
}

bool web_query_instant(struct http_request *r, const char *name, int64_t *ret_ms)
{
    struct err err = {0};
    const char *text = http_query(r, name);
    if (text == NULL || civil_parse_instant(text, ret_ms, &err) == ERR_OK)
        return true;
    web_reply_msg(r, 400, "%s: %s", name, err.msg);
    return false;
}
