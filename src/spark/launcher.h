/*
 * Spark's launcher protocol: what a driver tells the program that launched it.
 *
 * A Spark driver started with the environment variables below connects to 127.0.0.1 when its
 * scheduler backend starts and keeps that connection until it ends. Both directions are Java object
 * streams of the messages of org.apache.spark.launcher.LauncherProtocol. This is the codec alone,
 * from the launching program's side: bytes in, messages out, and the bytes to send.
 *
 *   driver   header, Hello(secret, sparkVersion), SetAppId(appId), SetState(state) …
 *   hearth   header (at once: the driver's reader waits for it), Stop
 *
 * Stop makes the driver answer SetState(KILLED), close the connection and stop its SparkContext.
 * User code is not interrupted, so the process may stay. Several SparkContexts one after the other
 * connect again, each with its own Hello.
 *
 * Thread   whoever owns it.
 */
#ifndef HEARTH_SPARK_LAUNCHER_H
#define HEARTH_SPARK_LAUNCHER_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>

#define LAUNCHER_ENV_PORT "_SPARK_LAUNCHER_PORT"
#define LAUNCHER_ENV_SECRET "_SPARK_LAUNCHER_SECRET"

enum launcher_kind {
    LAUNCHER_HELLO,      /* text: the secret; spark_version */
    LAUNCHER_SET_APP_ID, /* text: the application id */
    LAUNCHER_SET_STATE,  /* text: UNKNOWN, CONNECTED, SUBMITTED, RUNNING, FINISHED, FAILED, KILLED, LOST */
};

struct launcher_message {
    enum launcher_kind kind;
    const char *text;          /* valid as long as the decoder */
    const char *spark_version; /* of Hello */
};

enum launcher_result {
    LAUNCHER_MESSAGE,
    LAUNCHER_MORE,   /* feed more bytes */
    LAUNCHER_BROKEN, /* no launcher stream, or a limit is passed: close the connection */
};

struct launcher_decoder; /* opaque */

struct launcher_decoder *launcher_decoder_new(void); /* NULL when memory is short */
void launcher_decoder_free(struct launcher_decoder *d);
enum err_code launcher_decoder_feed(struct launcher_decoder *d, const void *bytes, size_t n, struct err *err);
/* The next message; kinds that are not known are passed over. */
enum launcher_result launcher_decoder_next(struct launcher_decoder *d, struct launcher_message *ret,
                                           struct err *err);

/* What hearth sends: everything it ever says on a connection, in order. */
void launcher_write_header(struct buf *to);
void launcher_write_stop(struct buf *to); /* the first and only object after the header */

#endif
