/*
 * How schedules and fires look on the wire. What a request may say stands here under the same names.
 */
#include "web/web_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <string.h>

enum { DESCRIPTION_MAX = CRON_TEXT_MAX * 8 };

static void write_duration(struct json_out *out, const char *key, int64_t ms)
{
    char text[PARSE_TEXT_MAX];
    parse_format_duration(ms, text);
    json_out_str(out, key, text);
}

/* ---- when ---- */

static void describe(const struct trigger *t, struct buf *to)
{
    char at[CLOCK_TEXT_MAX];
    char every[PARSE_TEXT_MAX];
    switch (t->kind) {
    case TRIGGER_CRON: cron_describe(&t->cron, t->zone, to); return;
    case TRIGGER_ONCE:
        clock_format(t->start_ms, at);
        buf_printf(to, "Once at %s", at);
        return;
    case TRIGGER_INTERVAL:
        parse_format_duration(t->interval_ms, every);
        buf_printf(to, "Every %s", every);
        if (t->repeat != TRIGGER_REPEAT_FOREVER)
            buf_printf(to, ", %" PRId64 " times in all", t->repeat + 1);
        return;
    case TRIGGER_KINDS: break;
    }
}

static void write_description(struct json_out *out, const struct trigger *t)
{
    cleanup(buf_clear) struct buf words = BUF(DESCRIPTION_MAX);
    describe(t, &words);
    json_out_str(out, "description", buf_cstr(&words));
}

static void write_interval(struct json_out *out, const struct trigger *t)
{
    bool is_interval = t->kind == TRIGGER_INTERVAL;
    if (is_interval)
        write_duration(out, "every", t->interval_ms);
    else
        json_out_null(out, "every");
    if (is_interval && t->repeat != TRIGGER_REPEAT_FOREVER)
        json_out_int(out, "repeat", t->repeat);
    else
        json_out_null(out, "repeat");
}

static void write_when(struct json_out *out, const struct schedule_spec *spec)
{
    const struct trigger *t = &spec->trigger;
    bool is_once = t->kind == TRIGGER_ONCE;
    json_out_str(out, "cron", spec->cron);
    json_out_str(out, "timeZone", spec->zone);
    web_write_time(out, "at", is_once ? t->start_ms : 0);
    write_interval(out, t);
    web_write_time(out, "start", is_once ? 0 : t->start_ms);
    web_write_time(out, "end", t->end_ms);
    write_description(out, t);
    json_out_str(out, "misfire", misfire_name(t->misfire));
}

/* ---- what ---- */

/* As the body of POST /batches that would run the same. */
static void write_batch(struct json_out *out, const struct spark_submission *s)
{
    if (s->file == NULL) { /* a task of another door */
        json_out_null(out, "batch");
        return;
    }
    json_out_object(out, "batch");
    json_out_str(out, "file", s->file);
    json_out_str(out, "className", s->class_name);
    json_out_list(out, "args", &s->args);
    json_out_str(out, "name", s->name);
    json_out_str(out, "proxyUser", s->proxy_user);
    json_out_str(out, "master", s->master);
    json_out_str(out, "deployMode", s->deploy_mode);
    json_out_str(out, "queue", s->queue);
    json_out_list(out, "pyFiles", &s->py_files);
    json_out_map(out, "conf", &s->conf);
    json_out_end_object(out);
}

static void write_retry(struct json_out *out, const struct retry_policy *retry)
{
    if (retry->limit == 0) {
        json_out_null(out, "retry");
        return;
    }
    json_out_object(out, "retry");
    json_out_int(out, "limit", retry->limit);
    write_duration(out, "delay", retry->delay_ms);
    write_duration(out, "maxDelay", retry->max_delay_ms);
    json_out_end_object(out);
}

void view_schedule(struct json_out *out, const struct schedule_view *schedule, bool viewable)
{
    const struct schedule_spec *spec = &schedule->spec;
    bool is_active = schedule->state == SCHEDULE_ACTIVE;
    json_out_int(out, "id", schedule->id);
    json_out_int(out, "version", schedule->version);
    json_out_str(out, "group", spec->group);
    json_out_str(out, "name", spec->name);
    json_out_str(out, "state", schedule_state_name(schedule->state));
    json_out_str(out, "owner", spec->owner);
    json_out_str(out, "proxyUser", spec->proxy_user);
    json_out_str(out, "door", spec->door);
    write_when(out, spec);
    json_out_int(out, "priority", spec->priority);
    json_out_str(out, "overlap", overlap_name(spec->overlap));
    write_duration(out, "jitter", spec->jitter_ms);
    write_retry(out, &spec->retry);
    if (viewable)
        write_batch(out, &spec->submission);
    else
        json_out_null(out, "batch");
    web_write_time(out, "nextAt", is_active ? spec->trigger.next_ms : 0);
    web_write_time(out, "previousAt", spec->trigger.previous_ms);
    web_write_time(out, "createdAt", schedule->created_ms);
    web_write_time(out, "changedAt", schedule->changed_ms);
    json_out_int(out, "fires", schedule->fires);
}

/* ---- fires ---- */

static void write_missed(struct json_out *out, const struct fire_view *fire)
{
    if (fire->missed == 0) {
        json_out_null(out, "missed");
        return;
    }
    json_out_object(out, "missed");
    json_out_int(out, "count", fire->missed);
    web_write_time(out, "from", fire->planned_ms);
    web_write_time(out, "until", fire->missed_until_ms);
    json_out_end_object(out);
}

void view_fire(struct json_out *out, const char *key, const struct fire_view *fire, bool viewable)
{
    json_out_object(out, key);
    json_out_int(out, "number", fire->number);
    json_out_str(out, "cause", fire_cause_name(fire->cause));
    json_out_str(out, "state", fire_state_name(fire->state));
    json_out_int(out, "attempt", fire->attempt);
    web_write_time(out, "plannedAt", fire->planned_ms);
    web_write_time(out, "actualAt", fire->actual_ms);
    web_write_time(out, "endedAt", fire->ended_ms);
    if (fire->batch >= 0)
        json_out_int(out, "batch", fire->batch);
    else
        json_out_null(out, "batch");
    json_out_str(out, "reason", viewable ? fire->reason : NULL);
    write_missed(out, fire);
    json_out_end_object(out);
}
