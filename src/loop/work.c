#include "loop/work.h"

#include "base/mem.h"

struct work {
    uv_work_t req;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void on_worker(uv_work_t *req)
{
    struct work *w = req->data;
    w->run(w->arg);
}

static void on_loop(uv_work_t *req, int status)
{
    struct work w = *(struct work *)req->data;
    (void)status; /* never cancelled: nobody has the handle */
    mem_free(req->data);
    w.done(w.arg);
}

enum err_code work_run(uv_loop_t *loop, void (*run)(void *arg), void (*done)(void *arg), void *arg,
                       struct err *err)
{
    struct work *w = mem_calloc(1, sizeof *w);
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *w = (struct work){.run = run, .done = done, .arg = arg};
    w->req.data = w;
    int rc = uv_queue_work(loop, &w->req, on_worker, on_loop);
    if (rc != 0) {
        mem_free(w);
        return err_set(err, ERR_INTERNAL, "queueing work: %s", uv_strerror(rc));
    }
    return ERR_OK;
}
