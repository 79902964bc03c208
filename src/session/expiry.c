/*
 * The ends of a session by time: it never became ready, nobody worked with it, nobody asked for it, or it is
 * too old. What ends it is its reason, which is told to whoever still asks.
 */
#include "session/session_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"

static void on_deleted(const struct err *err, void *arg)
{
    (void)arg;
    if (err->code != ERR_OK) /* it is listed again; the next check comes here again */
        log_error("an expired session could not be taken off the list", LOG_S("why", err->msg));
}

/* The sentence is "<words> for <time> (<setting>)". */
static void expire(struct session *session, const char *words, int64_t limit_ms, const char *setting)
{
    char time[PARSE_TEXT_MAX];
    parse_format_duration(limit_ms, time);
    cleanup(mem_freep) char *why = mem_printf("%s %s (%s)", words, time, setting);
    log_info("a session expires", LOG_I("id", session->id), LOG_S("why", why));
    session_delete(session, why != NULL ? why : words, on_deleted, NULL);
}

/* A driver that hangs while it starts; its session stays listed, dead, with the reason. */
static void check_start(struct session *session, int64_t now)
{
    int64_t limit = session->sessions->options.settings->sessions.start_timeout_ms;
    if (session->agent.ready || session->running_since_ms == 0 || now - session->running_since_ms < limit ||
        app_info(session->app)->state != APP_RUNNING || app_info(session->app)->warm)
        return;
    char time[PARSE_TEXT_MAX];
    parse_format_duration(limit, time);
    cleanup(mem_freep) char *why =
        mem_printf("its driver was not ready after %s (sessions.start_timeout)", time);
    session_stop(session, why != NULL ? why : "its driver was not ready in time", NULL, NULL);
}

void expiry_check(struct session *session)
{
    const struct app_info *info = app_info(session->app);
    enum session_state state = session_state(session);
    int64_t now = clock_mono_ms();
    if (info->warm || state == SESSION_SHUTTING_DOWN)
        return;
    if (session->ttl_ms > 0 && clock_wall_ms() - info->created_ms >= session->ttl_ms)
        expire(session, "the session was older than", session->ttl_ms, "ttl");
    else if (session->heartbeat_ms > 0 && now - session->touched_ms >= session->heartbeat_ms)
        expire(session, "no request named the session for", session->heartbeat_ms,
               "heartbeatTimeoutInSecond");
    else if (state == SESSION_IDLE && session->idle_timeout_ms > 0 &&
             now - session->active_ms >= session->idle_timeout_ms)
        expire(session, "the session was idle for", session->idle_timeout_ms, "idleTimeout");
    else
        check_start(session, now);
}
