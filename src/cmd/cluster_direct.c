#include "cmd/cluster_direct.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cluster/clusters.h"
#include "cluster/secrets.h"
#include "cmd/cmd.h"
#include "cmd/table.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { POLL_MS = 100 };

static int refuse(const struct usage *usage, const struct err *err)
{
    (void)fprintf(stderr, "hearth %s: ", usage->command);
    table_print_text(stderr, err->msg);
    (void)fputc('\n', stderr);
    return CMD_USAGE;
}

int direct_open(struct direct *d, const struct usage *usage, const char *url, const char *secret_file)
{
    struct err err = {0};
    char *secret = NULL;
    *d = (struct direct){0};
    (void)signal(SIGPIPE, SIG_IGN); /* a master that goes away is an error code, not an end */
    if (secret_file != NULL && secret_read(secret_file, &secret, &err) != ERR_OK)
        return refuse(usage, &err);
    (void)uv_loop_init(&d->loop);
    const struct masters_options options = {.loop = &d->loop, .url = url, .secret = secret};
    enum err_code rc = masters_new(&options, &d->masters, &err);
    secret_free(secret);
    if (rc != ERR_OK) {
        direct_close(d);
        return refuse(usage, &err);
    }
    return ARGS_GO;
}

void direct_close(struct direct *d)
{
    masters_free(d->masters);
    http_client_free(d->http);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&d->loop);
}

int direct_exit_code(const char *result_name)
{
    bool silent = result_name != NULL && (strcmp(result_name, rpc_result_name(RPC_UNREACHABLE)) == 0 ||
                                          strcmp(result_name, rpc_result_name(RPC_LATE)) == 0);
    return silent ? CMD_UNREACHABLE : CMD_FAILED;
}

/* ---- looking ---- */

/* A loop that is told to stop does not wait any more, whichever callback of it told. */
static void wait_for(uv_loop_t *loop, const bool *done)
{
    while (!*done)
        (void)uv_run(loop, UV_RUN_DEFAULT);
}

struct seeing {
    uv_loop_t *loop;
    bool done;
    json_t *object;
};

static void on_seen(json_t *object, void *arg)
{
    struct seeing *s = arg;
    s->object = json_incref(object);
    s->done = true;
    uv_stop(s->loop);
}

json_t *direct_look(struct direct *d, int64_t timeout_ms)
{
    struct seeing s = {.loop = &d->loop};
    if (d->http == NULL)
        d->http = http_client_new(&d->loop); /* without it the page is not read */
    cluster_look(d->masters, d->http, true, timeout_ms, on_seen, &s);
    wait_for(&d->loop, &s.done);
    return s.object;
}

static void on_pause_over(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
    uv_stop(timer->loop);
}

void direct_pause(struct direct *d, int64_t ms)
{
    bool is_over = false;
    uv_timer_t timer;
    (void)uv_timer_init(&d->loop, &timer);
    timer.data = &is_over;
    (void)uv_timer_start(&timer, on_pause_over, (uint64_t)ms, 0);
    wait_for(&d->loop, &is_over);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&d->loop, UV_RUN_NOWAIT); /* the handle is on this stack */
}

/* ---- killing ---- */

struct killing {
    struct direct *direct;
    const char *driver_id;
    int64_t deadline_ms; /* monotonic */
    struct direct_kill *ret;
    uv_timer_t pause;
    bool done;
};

static void step_done(struct killing *k)
{
    k->done = true;
    uv_stop(&k->direct->loop);
}

static void on_ordered(const struct cluster_kill_answer *answer, void *arg)
{
    struct killing *k = arg;
    k->ret->outcome = answer->outcome;
    k->ret->result = answer->result;
    k->ret->is_final = answer->outcome == CLUSTER_KILL_ENDED;
    (void)snprintf(k->ret->state, sizeof k->ret->state, "%s", answer->state != NULL ? answer->state : "");
    (void)snprintf(k->ret->words, sizeof k->ret->words, "%s", answer->words);
    step_done(k);
}

static void on_status(const struct rpc_answer *answer, void *arg)
{
    struct killing *k = arg;
    const char *state = json_string_value(json_object_get(answer->value, "state"));
    if (state != NULL)
        (void)snprintf(k->ret->state, sizeof k->ret->state, "%s", state);
    k->ret->is_final = cluster_driver_is_final(state);
    step_done(k);
}

static void on_pause(uv_timer_t *timer)
{
    struct killing *k = timer->data;
    const struct rpc_message message = {.kind = RPC_DRIVER_STATUS, .text = k->driver_id};
    int64_t left_ms = k->deadline_ms - clock_mono_ms();
    masters_ask(k->direct->masters, &message, left_ms > 0 ? left_ms : 1, on_status, k);
}

void direct_kill(struct direct *d, const char *driver_id, int64_t timeout_ms, struct direct_kill *ret)
{
    struct killing k = {d, driver_id, clock_mono_ms() + timeout_ms, ret, {0}, false};
    *ret = (struct direct_kill){
        .outcome = CLUSTER_KILL_FAILED, .result = RPC_NOT_SENT, .words = "out of memory"};
    if (cluster_kill_start(d->masters, driver_id, timeout_ms, on_ordered, &k) == NULL)
        return;
    wait_for(&d->loop, &k.done);
    (void)uv_timer_init(&d->loop, &k.pause);
    k.pause.data = &k;
    uint64_t pause_ms = 0;
    while (ret->outcome == CLUSTER_KILL_ORDERED && !ret->is_final && clock_mono_ms() < k.deadline_ms) {
        k.done = false;
        (void)uv_timer_start(&k.pause, on_pause, pause_ms, 0);
        wait_for(&d->loop, &k.done);
        pause_ms = POLL_MS;
    }
    uv_close((uv_handle_t *)&k.pause, NULL);
    (void)uv_run(&d->loop, UV_RUN_NOWAIT); /* the handle is on this stack */
}
