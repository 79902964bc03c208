/* Calls that are repeated when the server or the connection to it goes away for a while. */
#include "cmd/client.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

enum {
    ASK_PATIENCE_MS = 5 * 60 * 1000, /* for a server that is being restarted */
    CREATE_PATIENCE_MS = 30000,      /* for a connection that broke */
    PAUSE_MS = 500,
    KEY_BYTES = 16,
};

static void pause_for(int ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000L};
    (void)nanosleep(&pause, NULL); /* a signal ends it early, and the next call sees the stop */
}

enum err_code client_ask_patiently(struct client *c, const char *method, const char *path, const char *id,
                                   json_t **ret, struct err *err)
{
    bool told = false;
    for (int64_t give_up = clock_mono_ms() + ASK_PATIENCE_MS;;) {
        enum err_code rc = client_ask(c, method, path, id, ret, err);
        enum client_outcome outcome = client_outcome(c);
        bool gone = outcome == CLIENT_UNREACHABLE || outcome == CLIENT_BROKEN;
        if (rc == ERR_OK || !gone || clock_mono_ms() > give_up)
            return rc;
        if (!told)
            (void)fprintf(stderr,
                          "hearth: the server has gone away; waiting for it (the application needs no "
                          "server to run on)\n");
        told = true;
        pause_for(PAUSE_MS);
    }
}

static enum err_code make_key(char key[2 * KEY_BYTES + 1], struct err *err)
{
    unsigned char bytes[KEY_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_sys(err, errno, "getting random bytes");
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(key + 2 * i, 3, "%02x", bytes[i]);
    return ERR_OK;
}

/* When the connection breaks the server may have acted; the same key makes the second try find what the
 * first one made. */
enum err_code client_create(struct client *c, const char *path, const char *body,
                            const volatile sig_atomic_t *stop, json_t **ret, struct err *err)
{
    char key[2 * KEY_BYTES + 1];
    if (make_key(key, err) != ERR_OK)
        return ERR_IO;
    const struct client_request request = {.method = "POST", .path = path, .body = body, .key = key};
    bool broke = false;
    for (int64_t give_up = clock_mono_ms() + CREATE_PATIENCE_MS;;) {
        enum err_code rc = client_call(c, &request, ret, err);
        enum client_outcome outcome = client_outcome(c);
        broke = broke || outcome == CLIENT_BROKEN;
        bool again = outcome == CLIENT_BROKEN || (outcome == CLIENT_UNREACHABLE && broke);
        if (rc == ERR_OK || !again || *stop || clock_mono_ms() > give_up)
            return rc;
        pause_for(PAUSE_MS);
    }
}
