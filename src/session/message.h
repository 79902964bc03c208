/*
 * The words of the link between hearth and the agents (link.h): what agents say is decoded and checked,
 * what hearth says is encoded. One message is one JSON object on one line, at most MESSAGE_LINE_MAX bytes.
 *
 * Durable messages of an agent carry a sequence number (1, 2, …) and are repeated until hearth has
 * acknowledged them, the others are said once.
 *
 * What agents send is treated as hostile: every field is checked for type, range and length. Fields and
 * members that nobody knows are passed over, for newer agents may say more; an unknown message is refused.
 * No tree is built of what comes: the output of a statement is checked and kept as the bytes that came, so
 * that numbers of any size and precision reach the client as the interpreter wrote them.
 *
 * Thread   any; nothing here keeps anything.
 */
#ifndef HEARTH_SESSION_MESSAGE_H
#define HEARTH_SESSION_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MESSAGE_LINE_MAX = 64 << 20, /* bytes, the newline not counted */
    MESSAGE_NONCE_TEXT = 32 + 1, /* hex digits and the NUL */
    MESSAGE_BOOT_TEXT = 64 + 1,
    MESSAGE_PROOF_BYTES = 32,
};

/* ---- what agents say ---- */

/* name on the wire, constant, durable */
#define AGENT_MESSAGES(X)                                                                                    \
    X(state, STATE, true)                   /* it takes code: elapsed_ms */                                  \
    X(context, CONTEXT, true)               /* app_id, ui, version, scala: each may be NULL */               \
    X(context_failed, CONTEXT_FAILED, true) /* error */                                                      \
    X(started, STARTED, true)               /* id, at_ms */                                                  \
    X(result, RESULT, true)                 /* id, cancelled, output, at_ms */                               \
    X(job_started, JOB_STARTED, true)       /* id, at_ms */                                                  \
    X(job_result, JOB_RESULT, true)         /* id, ok, cancelled, job_result, error, at_ms */                \
    X(stuck, STUCK, true)                   /* id of a statement that does not yield to cancel */            \
    X(jvm_exit, JVM_EXIT, true)             /* exit_code, signal, lines, files */                            \
    X(warm, WARM, true)                     /* it stands ready to be adopted */                              \
    X(trouble, TROUBLE, true)               /* error: what is wrong around the driver; NULL: no more */      \
    X(progress, PROGRESS, false)            /* id, progress */                                               \
    X(completions, COMPLETIONS, false)      /* id of the question, candidates */                             \
    X(added, ADDED, false)                  /* id of the question, ok, error */                              \
    X(pong, PONG, false)                    /* id: the ping's number */                                      \
    X(bye, BYE, false)

enum agent_message_type {
#define AGENT_MESSAGE_ENUM(name, constant, durable) AGENT_##constant,
    AGENT_MESSAGES(AGENT_MESSAGE_ENUM)
#undef AGENT_MESSAGE_ENUM
};

/* Strings and lists are owned by it; what a message does not speak of is 0, NULL or empty. */
struct agent_message {
    enum agent_message_type type;
    int64_t seq;        /* 1… of durable ones, else 0 */
    int64_t id;         /* 0..INT32_MAX of statements (from 0) and jobs (from 1), any number of questions */
    int64_t at_ms;      /* wall time */
    int64_t elapsed_ms; /* since the agent's process started */
    bool ok, cancelled;
    double progress;  /* 0 to 1 */
    int exit_code;    /* 0..255; -1: not known, or ended by a signal */
    int signal;       /* 1..64; 0: none, or not known */
    char *output;     /* JSON object {"status":"ok"|"error",…}, or NULL */
    char *job_result; /* base64, or NULL */
    char *error;      /* at most 1 MiB, what is beyond is cut off; or NULL */
    char *app_id, *ui, *version, *scala;
    struct strlist lines, files; /* last lines of output, names of crash reports */
    struct strlist candidates;
};

const char *agent_message_name(enum agent_message_type type);

/* Reads one line (its newline not included) into *m, whatever was there before: it need not be initialised.
 * ERR_INVALID with words that name message and field, or ERR_NOMEM; nothing to clear then. */
enum err_code agent_message_read(struct agent_message *m, const char *line, size_t len, struct err *err);
void agent_message_clear(struct agent_message *m);

/* The two messages of the handshake; errors as above. */
struct agent_hello {
    int64_t session;
    char boot[MESSAGE_BOOT_TEXT];   /* names the process: 16 to 64 hex digits */
    char nonce[MESSAGE_NONCE_TEXT]; /* 32 hex digits */
};
struct agent_auth {
    unsigned char proof[MESSAGE_PROOF_BYTES];
    int64_t pid;
    int64_t last_seq; /* of its last durable message */
};
enum err_code agent_hello_read(struct agent_hello *hello, const char *line, size_t len, struct err *err);
enum err_code agent_auth_read(struct agent_auth *auth, const char *line, size_t len, struct err *err);

/* ---- what hearth says: each appends one line with its newline ---- */

void message_challenge(struct buf *to, const char *nonce, const unsigned char proof[MESSAGE_PROOF_BYTES]);
void message_welcome(struct buf *to, int64_t acked);
void message_refused(struct buf *to, bool fatal, const char *reason);

void message_execute(struct buf *to, int64_t id, const char *kind, const char *code);
void message_cancel(struct buf *to, int64_t id, int64_t timeout_ms);
void message_job(struct buf *to, int64_t id, const char *type, const char *job); /* job: base64 */
void message_job_cancel(struct buf *to, int64_t id);
void message_complete(struct buf *to, int64_t question, const char *kind, const char *code, int64_t cursor);
void message_add(struct buf *to, int64_t question, const char *what, const char *uri);
void message_adopt(struct buf *to, const char *kind, const struct strmap *conf);
void message_ping(struct buf *to, int64_t number);
void message_ack(struct buf *to, int64_t seq);
void message_shutdown(struct buf *to);

#endif
