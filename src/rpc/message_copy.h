/*
 * A copy of a message with all that it borrows: a request outlives the call that made it, because it is
 * written when there is a connection, and may be written again.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_RPC_MESSAGE_COPY_H
#define HEARTH_RPC_MESSAGE_COPY_H

#include "rpc/message.h"

struct driver_copy; /* opaque */

struct message_copy {
    struct rpc_message message; /* points into the rest: do not move it */
    char *text;
    struct strlist list;
    struct driver_copy *driver;
};

/* -1: memory is short, and *to is empty. */
int message_copy(struct message_copy *to, const struct rpc_message *from);
void message_copy_clear(struct message_copy *m);

#endif
