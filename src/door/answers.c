/* The answer that more than one door gives. */
#include "base/json.h"
#include "base/mem.h"
#include "door/door.h"

struct http_answer *door_msg_answer(int status, const char *text)
{
    cleanup(buf_clear) struct buf body = BUF(16384); /* escapes may make six bytes of one */
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "msg", text);
    json_out_end_object(&out);
    struct http_answer *a = http_answer_new(status, HTTP_JSON, &body);
    if (a != NULL && status == 503)
        (void)http_answer_header(a, "Retry-After", "5"); /* a hint; the answer does without */
    return a;
}
