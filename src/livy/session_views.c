/*
 * How sessions and their statements look on the wire.
 */
#include "livy/livy_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* The fields of the request without its configuration, which may hold secrets; NULL: out of memory. */
static char *without_conf(const char *asked)
{
    enum { DEPTH = 4 }; /* as the door has written it */
    struct err err = {0};
    cleanup(json_decrefp) json_t *fields = NULL;
    if (json_parse(asked, strlen(asked), DEPTH, &fields, &err) != ERR_OK ||
        json_object_set_new(fields, "conf", json_object()) != 0)
        return NULL;
    return json_text(fields);
}

static void view_asked(struct json_out *out, const char *asked, enum view view)
{
    if (view != VIEW_PUBLIC) {
        json_out_members(out, asked);
        return;
    }
    cleanup(mem_freep) char *shown = without_conf(asked);
    if (shown != NULL)
        json_out_members(out, shown);
    else
        out->to->failed = ERR_NOMEM; /* the whole answer */
}

/* hearth's own, where clients pass over keys that they do not know. */
static void view_extras(struct json_out *out, const struct session_info *s)
{
    json_out_int(out, "statements", s->statements);
    json_out_str(out, "sparkVersion", s->spark_version);
    json_out_str(out, "scalaVersion", s->scala_version);
    json_out_bool(out, "warmStart", s->warm_start);
    view_time(out, "lastActivityAt", s->last_activity_ms);
}

void view_session_keys(struct livy *l, struct json_out *out, const struct app *app, enum view view,
                       enum keys keys)
{
    const struct session_info s = session_info(session_of(l->sessions, app));
    const struct app_info *info = app_info(app);
    json_out_int(out, "id", info->id);
    json_out_str(out, "name", info->name);
    json_out_str(out, "appId", info->app_id);
    json_out_str(out, "owner", info->owner);
    json_out_str(out, "proxyUser", info->proxy_user);
    json_out_str(out, "state", session_state_name(s.state));
    json_out_str(out, "kind", s.kind);
    view_app_info(out, info, view);
    view_tail(out, info, view, false);
    if (keys == KEYS_OLDEST)
        return;
    view_asked(out, s.asked, view);
    if (keys == KEYS_LIVY)
        return;
    json_out_str(out, "master", info->master);
    view_extras(out, &s);
    view_life(out, app, view);
}

enum keys view_keys_for(const struct http_request *r)
{
    const char *agent = http_header(r, "User-Agent");
    return agent != NULL && str_starts(agent, "livy-client-http") ? KEYS_OLDEST : KEYS_LIVY;
}

/* A share from 0 to 1 as a JSON number with a fraction: 1.0, 0.25. */
static void view_progress(struct json_out *out, double share)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%.4f", share);
    size_t n = strlen(text);
    while (n > strlen("0.0") && text[n - 1] == '0')
        n--;
    text[n] = '\0';
    json_out_raw(out, "progress", text);
}

void view_statement(struct json_out *out, const struct item_view *item)
{
    json_out_object(out, NULL);
    json_out_int(out, "id", item->id);
    json_out_str(out, "code", item->request);
    json_out_str(out, "state", item_state_name(item->state));
    json_out_raw(out, "output", item->output != NULL ? item->output : "null");
    view_progress(out, item_state_is_end(item->state) ? 1.0 : item->progress);
    json_out_int(out, "started", item->started_ms);
    json_out_int(out, "completed", item->completed_ms);
    json_out_str(out, "kind", item->kind);
    json_out_end_object(out);
}
