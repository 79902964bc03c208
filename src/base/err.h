/*
 * Errors: a code for programs, a sentence for people.
 *
 * A function that can fail returns enum err_code and fills a caller's struct err, which may be NULL
 * when nobody will read it. Each caller may put its own words in front with err_wrap(), so that the
 * message reads "outer: inner". A message never holds a secret.
 *
 * Thread   any; a struct err belongs to whoever declared it.
 */
#ifndef HEARTH_BASE_ERR_H
#define HEARTH_BASE_ERR_H

/* code, HTTP status a door answers with, words when there is nothing better to say */
#define ERR_MAP(X)                                                                                           \
    X(OK, 200, "ok")                                                                                         \
    X(INVALID, 400, "the request is not valid")                                                              \
    X(DENIED, 403, "not allowed")                                                                            \
    X(NOT_FOUND, 404, "no such object")                                                                      \
    X(CONFLICT, 409, "the object is not in a state for it")                                                  \
    X(TOO_LARGE, 413, "larger than the limit")                                                               \
    X(MISMATCH, 422, "the same key was used for another request")                                            \
    X(INTERNAL, 500, "an error inside hearth")                                                               \
    X(BUSY, 503, "a limit is reached, try again")                                                            \
    X(NOMEM, 503, "out of memory")                                                                           \
    X(IO, 503, "the system refused an operation")                                                            \
    X(TIMEOUT, 504, "it took too long")

enum err_code {
#define ERR_ENUM(name, status, text) ERR_##name,
    ERR_MAP(ERR_ENUM)
#undef ERR_ENUM
};

struct err {
    enum err_code code;
    char msg[512];
};

/* Sets code and message (printf form) and returns the code, for `return err_set(...)`. The old message must
 * not be among the arguments. */
enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, with ": <words for errnum>" behind the message. */
enum err_code err_sys(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<fmt>: " in front of the message; returns the code that was there, ERR_INTERNAL when err is NULL
 * (so that where NULL may come, the code is kept aside). */
enum err_code err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int err_http_status(enum err_code code);
const char *err_text(enum err_code code);

#endif
