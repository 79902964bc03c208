/*
 * A schedule as it is stored: columns, what it is as JSON, how far it has come as JSON. Both only grow: a
 * field that is missing has the value that it had before there was such a field.
 */
#include "scheduler/scheduler_internal.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

enum { RECORD_MAX = 64 << 20, RECORD_DEPTH = 64 }; /* a request is at most as large */

/* ---- words ---- */

static const char *const overlap_names[OVERLAPS] = {
    [OVERLAP_ALLOW] = "allow",
    [OVERLAP_SKIP] = "skip",
    [OVERLAP_QUEUE] = "queue",
    [OVERLAP_REPLACE] = "replace",
};

static const char *const state_names[SCHEDULE_STATES] = {
    [SCHEDULE_ACTIVE] = "active",
    [SCHEDULE_PAUSED] = "paused",
    [SCHEDULE_COMPLETE] = "complete",
};

static const char *const cause_names[FIRE_CAUSES] = {
    [FIRE_TRIGGER] = "trigger",
    [FIRE_MANUAL] = "manual",
    [FIRE_RETRY] = "retry",
};

static const char *const fire_state_names[FIRE_STATES] = {
    [FIRE_WAITING] = "waiting", [FIRE_RUNNING] = "running", [FIRE_SUCCEEDED] = "succeeded",
    [FIRE_FAILED] = "failed",   [FIRE_KILLED] = "killed",   [FIRE_SKIPPED] = "skipped",
    [FIRE_MISSED] = "missed",   [FIRE_REFUSED] = "refused", [FIRE_LOST] = "lost",
};

static const char *const kind_names[TRIGGER_KINDS] = {
    [TRIGGER_CRON] = "cron",
    [TRIGGER_ONCE] = "once",
    [TRIGGER_INTERVAL] = "interval",
};

const char *overlap_name(enum overlap overlap)
{
    return overlap_names[overlap];
}

const char *schedule_state_name(enum schedule_state state)
{
    return state_names[state];
}

const char *fire_cause_name(enum fire_cause cause)
{
    return cause_names[cause];
}

const char *fire_state_name(enum fire_state state)
{
    return fire_state_names[state];
}

bool fire_state_is_end(enum fire_state state)
{
    return state != FIRE_WAITING && state != FIRE_RUNNING;
}

/* The place of a word, or -1. */
static int find_word(const char *const *words, int n, const char *word)
{
    for (int i = 0; word != NULL && i < n; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

/* ---- values ---- */

void schedule_spec_clear(struct schedule_spec *spec)
{
    mem_free(spec->group);
    mem_free(spec->name);
    mem_free(spec->owner);
    mem_free(spec->proxy_user);
    mem_free(spec->cron);
    mem_free(spec->zone);
    mem_free(spec->door);
    mem_free(spec->task);
    spark_submission_clear(&spec->submission);
    *spec = (struct schedule_spec){0};
}

void schedule_view_clear(struct schedule_view *view)
{
    schedule_spec_clear(&view->spec);
    *view = (struct schedule_view){0};
}

enum err_code schedule_spec_copy(struct schedule_spec *to, const struct schedule_spec *from, struct err *err)
{
    struct schedule_spec copy = {
        .trigger = from->trigger,
        .priority = from->priority,
        .overlap = from->overlap,
        .jitter_ms = from->jitter_ms,
        .retry = from->retry,
    };
    if (mem_set_str(&copy.group, from->group) == 0 && mem_set_str(&copy.name, from->name) == 0 &&
        mem_set_str(&copy.owner, from->owner) == 0 && mem_set_str(&copy.proxy_user, from->proxy_user) == 0 &&
        mem_set_str(&copy.cron, from->cron) == 0 && mem_set_str(&copy.zone, from->zone) == 0 &&
        mem_set_str(&copy.door, from->door) == 0 && mem_set_str(&copy.task, from->task) == 0 &&
        spark_submission_copy(&copy.submission, &from->submission) == 0) {
        *to = copy;
        return ERR_OK;
    }
    schedule_spec_clear(&copy);
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- writing ---- */

static void write_trigger(struct json_out *out, const struct schedule_spec *spec)
{
    const struct trigger *t = &spec->trigger;
    json_out_object(out, "trigger");
    json_out_str(out, "kind", kind_names[t->kind]);
    json_out_str(out, "misfire", misfire_name(t->misfire));
    if (t->kind == TRIGGER_CRON) {
        json_out_str(out, "cron", spec->cron);
        json_out_str(out, "zone", spec->zone);
    }
    if (t->kind == TRIGGER_INTERVAL) {
        json_out_int(out, "intervalMs", t->interval_ms);
        json_out_int(out, "repeat", t->repeat);
    }
    json_out_int(out, "startMs", t->start_ms);
    if (t->end_ms != TRIGGER_NEVER)
        json_out_int(out, "endMs", t->end_ms);
    json_out_end_object(out);
}

char *record_spec(const struct schedule_spec *spec)
{
    cleanup(buf_clear) struct buf text = BUF(RECORD_MAX);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    write_trigger(&out, spec);
    json_out_str(&out, "overlap", overlap_name(spec->overlap));
    if (spec->jitter_ms > 0)
        json_out_int(&out, "jitterMs", spec->jitter_ms);
    if (spec->retry.limit > 0) {
        json_out_object(&out, "retry");
        json_out_int(&out, "limit", spec->retry.limit);
        json_out_int(&out, "delayMs", spec->retry.delay_ms);
        json_out_int(&out, "maxDelayMs", spec->retry.max_delay_ms);
        json_out_end_object(&out);
    }
    spark_submission_write(&spec->submission, &out, "submission");
    if (spec->task != NULL)
        json_out_raw(&out, "task", spec->task);
    json_out_end_object(&out);
    return buf_steal(&text);
}

/* A misfire may set the beginning of an interval anew, and so does a clock that is set. */
char *record_progress(const struct trigger *t)
{
    cleanup(buf_clear) struct buf text = BUF(1024);
    struct json_out out;
    json_out_open(&out, &text);
    json_out_object(&out, NULL);
    if (t->next_ms != TRIGGER_NEVER)
        json_out_int(&out, "nextMs", t->next_ms);
    if (t->previous_ms != TRIGGER_NOT_YET)
        json_out_int(&out, "previousMs", t->previous_ms);
    json_out_int(&out, "fired", t->fired);
    if (t->kind == TRIGGER_INTERVAL) {
        json_out_int(&out, "startMs", t->start_ms);
        json_out_int(&out, "repeat", t->repeat);
    }
    json_out_end_object(&out);
    return buf_steal(&text);
}

struct store_schedule record_row(const struct schedule_spec *spec, enum schedule_state state,
                                 const char *spec_text, const char *progress)
{
    bool is_due = state == SCHEDULE_ACTIVE && spec->trigger.next_ms != TRIGGER_NEVER;
    return (struct store_schedule){
        .group = spec->group,
        .name = spec->name,
        .owner = spec->owner,
        .proxy_user = spec->proxy_user,
        .door = spec->door,
        .state = schedule_state_name(state),
        .spec = spec_text,
        .progress = progress,
        .priority = spec->priority,
        .steady = fire_is_steady(&spec->trigger),
        .due_ms = !is_due                     ? 0
                  : spec->trigger.next_ms > 0 ? spec->trigger.next_ms
                                              : 1,
    };
}

/* ---- reading ---- */

static enum err_code unknown_word(const char *what, const char *word, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s '%.40s' is unknown", what, word != NULL ? word : "");
}

enum err_code record_read_cron(const struct schedule_spec *spec, struct trigger *t, struct err *err)
{
    if (spec->cron == NULL)
        return err_set(err, ERR_INVALID, "cron is missing");
    enum err_code rc = cron_parse(spec->cron, &t->cron, NULL, err);
    if (rc != ERR_OK)
        return rc;
    return spec->zone != NULL ? zone_find(spec->zone, &t->zone, err) : zone_local(&t->zone, err);
}

static enum err_code read_trigger(struct schedule_spec *spec, json_t *value, struct err *err)
{
    struct trigger *t = &spec->trigger;
    cleanup(mem_freep) char *kind = NULL;
    cleanup(mem_freep) char *misfire = NULL;
    struct json_in in;
    *t = (struct trigger){.end_ms = TRIGGER_NEVER};
    json_in_open(&in, value, err);
    json_in_str(&in, "kind", &kind);
    json_in_str(&in, "misfire", &misfire);
    json_in_str(&in, "cron", &spec->cron);
    json_in_str(&in, "zone", &spec->zone);
    json_in_int(&in, "intervalMs", TRIGGER_INTERVAL_MIN_MS, INT64_MAX, &t->interval_ms);
    json_in_int(&in, "repeat", TRIGGER_REPEAT_FOREVER, INT64_MAX, &t->repeat);
    json_in_int(&in, "startMs", INT64_MIN, INT64_MAX, &t->start_ms);
    json_in_int(&in, "endMs", INT64_MIN, INT64_MAX, &t->end_ms);
    if (json_in_end(&in) != ERR_OK)
        return in.code;
    int found = find_word(kind_names, TRIGGER_KINDS, kind);
    if (found < 0)
        return unknown_word("kind of trigger", kind, err);
    t->kind = (enum trigger_kind)found;
    enum err_code rc = misfire_find(misfire != NULL ? misfire : "", t->kind, &t->misfire, err);
    return rc == ERR_OK && t->kind == TRIGGER_CRON ? record_read_cron(spec, t, err) : rc;
}

static enum err_code read_retry(struct retry_policy *retry, json_t *value, struct err *err)
{
    struct json_in in;
    json_in_open(&in, value, err);
    json_in_int(&in, "limit", 0, INT64_MAX, &retry->limit);
    json_in_int(&in, "delayMs", 0, INT64_MAX, &retry->delay_ms);
    json_in_int(&in, "maxDelayMs", 0, INT64_MAX, &retry->max_delay_ms);
    return json_in_end(&in);
}

static enum err_code read_spec(struct schedule_spec *spec, const char *text, struct err *err)
{
    cleanup(json_decrefp) json_t *whole = NULL;
    cleanup(mem_freep) char *overlap = NULL;
    struct json_in in;
    enum err_code rc = json_parse(text, strlen(text), RECORD_DEPTH, &whole, err);
    if (rc != ERR_OK)
        return rc;
    json_in_open(&in, whole, err);
    json_in_str(&in, "overlap", &overlap);
    json_in_int(&in, "jitterMs", 0, SCHEDULE_JITTER_MAX_MS, &spec->jitter_ms);
    json_t *trigger = json_in_value(&in, "trigger");
    json_t *retry = json_in_value(&in, "retry");
    json_t *submission = json_in_value(&in, "submission");
    json_t *task = json_in_value(&in, "task");
    if (json_in_end(&in) != ERR_OK)
        return in.code;
    int found = find_word(overlap_names, OVERLAPS, overlap);
    if (found < 0)
        return unknown_word("overlap", overlap, err);
    spec->overlap = (enum overlap)found;
    if (task != NULL && (spec->task = json_text(task)) == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = read_trigger(spec, trigger, err);
    if (rc == ERR_OK && retry != NULL)
        rc = read_retry(&spec->retry, retry, err);
    return rc == ERR_OK ? spark_submission_read(&spec->submission, submission, err) : rc;
}

static enum err_code read_progress(struct trigger *t, const char *text, struct err *err)
{
    cleanup(json_decrefp) json_t *whole = NULL;
    struct json_in in;
    t->next_ms = TRIGGER_NEVER;
    t->previous_ms = TRIGGER_NOT_YET;
    enum err_code rc = json_parse(text, strlen(text), RECORD_DEPTH, &whole, err);
    if (rc != ERR_OK)
        return rc;
    json_in_open(&in, whole, err);
    json_in_int(&in, "nextMs", INT64_MIN, INT64_MAX, &t->next_ms);
    json_in_int(&in, "previousMs", INT64_MIN, INT64_MAX, &t->previous_ms);
    json_in_int(&in, "fired", 0, INT64_MAX, &t->fired);
    json_in_int(&in, "startMs", INT64_MIN, INT64_MAX, &t->start_ms);
    json_in_int(&in, "repeat", TRIGGER_REPEAT_FOREVER, INT64_MAX, &t->repeat);
    return json_in_end(&in);
}

static enum err_code read_row(const struct store_schedule *row, struct schedule_view *view, struct err *err)
{
    struct schedule_spec *spec = &view->spec;
    int state = find_word(state_names, SCHEDULE_STATES, row->state);
    if (state < 0)
        return unknown_word("state", row->state, err);
    view->id = row->id;
    view->version = row->version;
    view->state = (enum schedule_state)state;
    view->created_ms = row->created_ms;
    view->changed_ms = row->changed_ms;
    view->fires = row->fires;
    spec->priority = row->priority;
    if (mem_set_str(&spec->group, row->group) != 0 || mem_set_str(&spec->name, row->name) != 0 ||
        mem_set_str(&spec->owner, row->owner) != 0 || mem_set_str(&spec->proxy_user, row->proxy_user) != 0 ||
        mem_set_str(&spec->door, row->door) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    enum err_code rc = read_spec(spec, row->spec, err);
    return rc == ERR_OK ? read_progress(&spec->trigger, row->progress, err) : rc;
}

enum err_code record_read_schedule(const struct store_schedule *row, struct schedule_view *ret,
                                   struct err *err)
{
    struct schedule_view view = {0};
    enum err_code rc = read_row(row, &view, err);
    if (rc == ERR_OK)
        *ret = view;
    else
        schedule_view_clear(&view);
    return rc;
}

enum err_code record_unreadable(const struct store_schedule *row, struct schedule_view *ret)
{
    int state = find_word(state_names, SCHEDULE_STATES, row->state);
    *ret = (struct schedule_view){
        .id = row->id,
        .version = row->version,
        .state = state >= 0 ? (enum schedule_state)state : SCHEDULE_ACTIVE,
        .created_ms = row->created_ms,
        .changed_ms = row->changed_ms,
        .fires = row->fires,
    };
    ret->spec.trigger.next_ms = TRIGGER_NEVER;
    if (mem_set_str(&ret->spec.owner, row->owner) == 0 &&
        mem_set_str(&ret->spec.proxy_user, row->proxy_user) == 0 &&
        mem_set_str(&ret->spec.door, row->door) == 0)
        return ERR_OK;
    schedule_view_clear(ret);
    return ERR_NOMEM;
}

/* ---- fires ---- */

bool record_read_fire(const struct store_fire *row, struct fire_view *ret)
{
    int cause = find_word(cause_names, FIRE_CAUSES, row->cause);
    int state = find_word(fire_state_names, FIRE_STATES, row->state);
    if (cause < 0 || state < 0)
        return false;
    *ret = (struct fire_view){
        .schedule = row->schedule,
        .number = row->number,
        .cause = (enum fire_cause)cause,
        .state = (enum fire_state)state,
        .attempt = row->attempt,
        .planned_ms = row->planned_ms,
        .actual_ms = row->actual_ms,
        .ended_ms = row->ended_ms,
        .batch = row->batch,
        .missed = row->missed,
        .missed_until_ms = row->missed_until_ms,
        .reason = row->reason,
        .token = row->token,
    };
    return true;
}

struct store_fire record_fire(const struct fire_view *fire)
{
    return (struct store_fire){
        .schedule = fire->schedule,
        .number = fire->number,
        .cause = fire_cause_name(fire->cause),
        .state = fire_state_name(fire->state),
        .attempt = fire->attempt,
        .planned_ms = fire->planned_ms,
        .actual_ms = fire->actual_ms,
        .ended_ms = fire->ended_ms,
        .batch = fire->batch,
        .missed = fire->missed,
        .missed_until_ms = fire->missed_until_ms,
        .reason = fire->reason,
        .token = fire->token,
        .ended = fire_state_is_end(fire->state),
    };
}
