/* Answers: a status, headers and a body, ready to be sent many times. */
#include "loop/http_internal.h"

#include "base/mem.h"

struct http_answer *answer_wrap(int status, const char *content_type, size_t size,
                                struct MHD_Response *response)
{
    struct http_answer *a = response != NULL ? mem_calloc(1, sizeof *a) : NULL;
    if (a == NULL) {
        if (response != NULL)
            MHD_destroy_response(response);
        return NULL;
    }
    *a = (struct http_answer){.refs = 1, .status = status, .size = size, .response = response};
    if (content_type != NULL && !http_answer_header(a, "Content-Type", content_type)) {
        http_answer_unref(a);
        return NULL;
    }
    return a;
}

struct http_answer *http_answer_new(int status, const char *content_type, struct buf *body)
{
    size_t size = body->len;
    char *data = buf_steal(body);
    struct MHD_Response *response =
        data != NULL ? MHD_create_response_from_buffer_with_free_callback(size, data, mem_free) : NULL;
    if (response == NULL)
        mem_free(data);
    return answer_wrap(status, content_type, size, response);
}

struct http_answer *http_answer_empty(int status, const char *content_type)
{
    return answer_wrap(status, content_type, 0,
                       MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
}

bool http_answer_header(struct http_answer *a, const char *name, const char *value)
{
    return MHD_add_response_header(a->response, name, value) == MHD_YES;
}

size_t http_answer_size(const struct http_answer *a)
{
    return a->size;
}

struct http_answer *http_answer_ref(struct http_answer *a)
{
    a->refs++;
    return a;
}

void http_answer_unref(struct http_answer *a)
{
    if (a == NULL || --a->refs > 0)
        return;
    MHD_destroy_response(a->response);
    mem_free(a);
}

/* They go onto an answer once, when it is first sent. */
void answer_add_security_headers(struct http_answer *a)
{
    if (MHD_get_response_header(a->response, "X-Content-Type-Options") != NULL)
        return;
    (void)http_answer_header(a, "X-Content-Type-Options", "nosniff"); /* missing: memory is short */
    (void)http_answer_header(a, "X-Frame-Options", "SAMEORIGIN");
    (void)http_answer_header(a, "X-XSS-Protection", "1; mode=block");
    (void)http_answer_header(a, "Content-Security-Policy",
                             "default-src 'self'; script-src 'self' 'unsafe-inline'; img-src 'self'; "
                             "frame-src 'self';");
}

struct http_answer *answer_error(int status, const char *text)
{
    struct buf body = BUF(4096);
    buf_str(&body, "{\"msg\":\"");
    for (; *text != '\0'; text++) /* our own sentences: quotes are all there is to escape */
        buf_add(&body, *text == '"' || *text == '\\' ? (char[]){'\\', *text} : text,
                *text == '"' || *text == '\\' ? 2 : 1);
    buf_str(&body, "\"}");
    struct http_answer *a = http_answer_new(status, HTTP_JSON, &body);
    buf_clear(&body);
    return a;
}
