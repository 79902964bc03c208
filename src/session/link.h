/*
 * The link: where the agents, the driver-side programs of sessions, connect to the server.
 *
 * The link listens on loopback and writes its address into a file, which an agent reads again before each
 * attempt: a new server may listen elsewhere. Both sides prove that they know the session's token, which
 * never crosses the wire; NA, NH are their nonces:
 *
 *     agent    {"t":"hello","v":1,"session":7,"boot":B,"nonce":NA}
 *     hearth   {"t":"challenge","nonce":NH,"proof":HMAC(token, "gw|7|NA|NH")}
 *     agent    {"t":"auth","proof":HMAC(token, "agent|7|NH|NA"),"pid":P,"last_seq":L}
 *                                                          → on_hello, answered by link_welcome or
 * link_refuse hearth   {"t":"welcome","ack":N}  or  {"t":"refused","fatal":…,"reason":…}
 *
 * After the welcome, messages flow (message.h). Durable ones are told once and in order, however often the
 * agent repeats them; it repeats them until link_ack() said that they are in the store. Whatever hearth sends
 * is lost with the connection: after each welcome the session sends again what still counts.
 *
 * Limits   a handshake takes at most 10 s, until the welcome; at most 64 peers that have proved nothing, of
 *          which the oldest goes first; 4 KiB for a line of the handshake, 64 MiB afterwards; 128 MiB that a
 *          peer does not read, then it is cut off. A peer with more than 64 MiB that are not in the store yet
 *          is not read from. A ping each 10 s, 30 s of silence end a connection.
 * Memory   a connection that says nothing costs half a kilobyte, a link_session a quarter.
 * Thread   loop thread only.
 */
#ifndef HEARTH_SESSION_LINK_H
#define HEARTH_SESSION_LINK_H

#include "base/buf.h"
#include "base/err.h"
#include "session/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct link;         /* the listener and its connections; opaque */
struct link_session; /* one session's end: exists as long as its driver lives, connected or not; opaque */

enum { LINK_TOKEN_BYTES = 32 };

struct link_options {
    uv_loop_t *loop;
    const char *listen;       /* "127.0.0.1:0" or "[::1]:7000"; port 0: any free one. Loopback only */
    const char *address_file; /* replaced by one line, HOST:PORT */
};

/* Listens and writes the address file; blocks on the disk. ERR_INVALID: not an address of this machine's
 * loopback; ERR_IO, ERR_NOMEM. */
enum err_code link_open(const struct link_options *options, struct link **ret, struct err *err);
/* Closes listener and connections; nobody is told. Sessions' ends may still be freed afterwards; the memory
 * goes with the last of them, once the loop has run empty. NULL is fine. */
void link_close(struct link *link);
const char *link_address(const struct link *link); /* "127.0.0.1:39117" */

/* Inside these calls everything below may be called, link_session_free() too. */
struct link_events {
    /* The peer has proved that it knows the token, and waits for link_welcome() or link_refuse(), which may
     * come later. `boot` names its process and is borrowed; last_seq is the number of its last durable
     * message. Called again when another connection proves itself before that; the answer goes to the newest.
     */
    void (*on_hello)(void *arg, const char *boot, int64_t pid, int64_t last_seq);
    /* Each durable message once, in order of seq, and all others but pongs. The callee may take strings and
     * lists out of it by leaving NULL or an empty list; the rest is cleared afterwards. */
    void (*on_message)(void *arg, struct agent_message *message);
};

/* One at a time for a session. `acked`: number of the last durable message that is in the store. The events
 * outlive it; arg is handed to them. NULL when memory is short. */
struct link_session *link_session_new(struct link *link, int64_t session,
                                      const uint8_t token[LINK_TOKEN_BYTES], int64_t acked,
                                      const struct link_events *events, void *arg);
/* Closes its connection. NULL is fine. */
void link_session_free(struct link_session *session);

/* Answer on_hello; nothing happens when that peer has gone meanwhile. A welcomed connection takes the place
 * of the one before; a refused one leaves it alone. fatal: the agent shall end instead of trying again. */
void link_welcome(struct link_session *session);
void link_refuse(struct link_session *session, bool fatal, const char *reason);

/* Sends a line (message.h) and takes its bytes; `line` is empty afterwards. Without a welcomed connection
 * nothing is sent. A line that memory did not suffice for closes the connection, so that everything is sent
 * again; one that passed its limit is dropped with an error in the log. */
void link_send(struct link_session *session, struct buf *line);
/* Durable messages up to this one are in the store now. */
void link_ack(struct link_session *session, int64_t seq);
/* What was told cannot be kept: closes the connection, so that the agent comes back and tells everything
 * again that was not acknowledged. What is on its way into the store may be told twice, then. */
void link_drop(struct link_session *session);

bool link_is_connected(const struct link_session *session); /* welcomed */

/* Tests: how long a second of the limits above lasts. */
void link_set_second(struct link *link, unsigned ms);

#endif
