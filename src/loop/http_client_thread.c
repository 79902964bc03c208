/*
 * Calls that may block: a file is read from a disk, which may be slow; Kerberos asks its server for a ticket,
 * and libcurl waits for that. Each has a thread while it runs:
 *
 *     http_thread_start ─► waiting ─► launch ─► thread: run ─► on_over ─► done ─► launch the next
 *                             │                    │ cancelled: noticed by on_progress
 *                             └─ cancelled: freed  └────────► on_over ─► freed
 */
#include "loop/http_client_internal.h"

#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

enum { THREADS_MAX = 8 };

/* ---- on the thread ---- */

static int on_progress(void *arg, curl_off_t to_get, curl_off_t got, curl_off_t to_send, curl_off_t sent)
{
    struct http_call *call = arg;
    (void)to_get;
    (void)got;
    (void)to_send;
    (void)sent;
    return atomic_load(&call->is_cancelled) ? 1 : 0; /* 1 ends the transfer */
}

static size_t on_read(char *into, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;
    size_t wanted = size * n;
    ssize_t got;
    if ((uint64_t)call->file_left < wanted)
        wanted = (size_t)call->file_left;
    do
        got = wanted > 0 ? read(call->file_fd, into, wanted) : 0;
    while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && wanted > 0)) {
        (void)err_set(&call->file_trouble, ERR_INVALID, "%s: %s", call->file,
                      got < 0 ? strerror(errno) : "it became shorter while it was sent");
        return CURL_READFUNC_ABORT;
    }
    call->file_left -= got;
    return (size_t)got;
}

/* libcurl begins again when a server asks for authentication. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct http_call *call = arg;
    if (origin != SEEK_SET || offset > call->file_size || lseek(call->file_fd, offset, SEEK_SET) < 0)
        return CURL_SEEKFUNC_FAIL;
    call->file_left = call->file_size - offset;
    return CURL_SEEKFUNC_OK;
}

static bool open_file(struct http_call *call)
{
    struct stat s;
    call->file_fd = open(call->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hang here */
    if (call->file_fd < 0 || fstat(call->file_fd, &s) != 0)
        (void)err_set(&call->file_trouble, ERR_INVALID, "%s: %s", call->file, strerror(errno));
    else if (!S_ISREG(s.st_mode))
        (void)err_set(&call->file_trouble, ERR_INVALID, "%s: not a file", call->file);
    else
        call->file_left = call->file_size = s.st_size;
    return call->file_trouble.code == ERR_OK;
}

static CURLcode send_file(struct http_call *call)
{
    CURL *easy = call->easy;
    if (!open_file(call))
        return CURLE_READ_ERROR;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->file_size);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
    return curl_easy_perform(easy);
}

static void run(void *arg)
{
    struct http_call *call = arg;
    curl_easy_setopt(call->easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(call->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(call->easy, CURLOPT_XFERINFODATA, call);
    call->thread_result = call->file != NULL ? send_file(call) : curl_easy_perform(call->easy);
    io_closep(&call->file_fd);
    (void)uv_async_send(&call->thread_over); /* fails for no open handle */
}

/* ---- on the loop ---- */

static void on_closed(uv_handle_t *handle)
{
    struct http_call *call = handle->data;
    struct http_client *c = call->client;
    http_call_free(call);
    http_client_release(c);
}

static void launch_next(struct http_client *c);

static void on_over(uv_async_t *over)
{
    struct http_call *call = over->data;
    struct http_client *c = call->client;
    struct http_result result;
    if (call->thread_runs)
        (void)uv_thread_join(&call->thread); /* it has nothing left to do */
    c->n_threads--;
    if (!atomic_load(&call->is_cancelled)) {
        DL_DELETE(c->calls, call);
        http_call_result(call, call->thread_result, &result);
        call->done(&result, call->arg);
    }
    uv_close((uv_handle_t *)over, on_closed);
    launch_next(c);
}

static void launch(struct http_call *call)
{
    struct http_client *c = call->client;
    call->thread_state = HAS_THREAD;
    (void)uv_async_init(c->loop, &call->thread_over,
                        on_over); /* fails when the loop's first one cannot be made */
    call->thread_over.data = call;
    c->open_handles++;
    c->n_threads++;
    call->thread_runs = uv_thread_create(&call->thread, run, call) == 0;
    if (!call->thread_runs) {
        call->thread_result = CURLE_OUT_OF_MEMORY;
        (void)uv_async_send(&call->thread_over);
    }
}

static void launch_next(struct http_client *c)
{
    while (c->waiting != NULL && c->n_threads < THREADS_MAX) {
        struct http_call *call = c->waiting;
        DL_DELETE(c->waiting, call);
        DL_APPEND(c->calls, call);
        launch(call);
    }
}

void http_thread_start(struct http_call *call)
{
    call->file_fd = -1;
    call->thread_state = WAITS_FOR_THREAD;
    DL_APPEND(call->client->waiting, call);
    launch_next(call->client);
}

void http_thread_cancel(struct http_call *call)
{
    if (call->thread_state == WAITS_FOR_THREAD) {
        DL_DELETE(call->client->waiting, call);
        http_call_free(call);
        return;
    }
    DL_DELETE(call->client->calls, call);
    atomic_store(&call->is_cancelled, true); /* on_over() frees it */
}
