#include "web/schedule_request.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "base/parse.h"
#include "schedule/civil.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 400, VALUE_MAX = 100 };

void schedule_request_clear(struct schedule_request *r)
{
    schedule_spec_clear(&r->spec);
    program_request_clear(&r->program);
}

/* ---- values ---- */

/* "priority is 11; it must be …". Sticky, as the readers of json.h are. */
static void refuse(struct json_in *in, const char *name, const json_t *value, const char *allowed)
{
    if (in->code != ERR_OK)
        return;
    cleanup(mem_freep) char *text = json_text(value);
    size_t n = text != NULL ? strlen(text) : 0;
    in->code = err_set(in->err, ERR_INVALID, "%s is %.*s%s; it must be %s", name, VALUE_MAX,
                       text != NULL ? text : "", n > VALUE_MAX ? "…" : "", allowed);
}

static void no_memory(struct json_in *in)
{
    in->code = err_set(in->err, ERR_NOMEM, "out of memory");
}

/* Puts the field's name in front of what a parser said. */
static void blame(struct json_in *in, const char *name)
{
    (void)err_wrap(in->err, "%s", name);
    in->code = in->err->code;
}

/* Borrowed from the body; NULL: not given, or refused. */
static const char *read_text(struct json_in *in, const char *name, const char *allowed)
{
    const json_t *value = json_in_value(in, name);
    if (value == NULL)
        return NULL;
    if (json_is_string(value))
        return json_string_value(value);
    refuse(in, name, value, allowed);
    return NULL;
}

static void copy_text(struct json_in *in, const char *text, char **ret)
{
    if (in->code == ERR_OK && mem_set_str(ret, text) != 0)
        no_memory(in);
}

static void read_whole(struct json_in *in, const char *name, int64_t min, int64_t max, int64_t *ret)
{
    char allowed[80];
    const json_t *value = json_in_value(in, name);
    if (value == NULL)
        return;
    if (json_is_integer(value) && json_integer_value(value) >= min && json_integer_value(value) <= max) {
        *ret = json_integer_value(value);
        return;
    }
    (void)snprintf(allowed, sizeof allowed, "a whole number from %" PRId64 " to %" PRId64, min, max);
    refuse(in, name, value, allowed);
}

static void read_flag(struct json_in *in, const char *name, bool *ret)
{
    const json_t *value = json_in_value(in, name);
    if (json_is_boolean(value))
        *ret = json_is_true(value);
    else if (value != NULL)
        refuse(in, name, value, "true or false");
}

static void read_duration(struct json_in *in, const char *name, int64_t min_ms, int64_t max_ms,
                          int64_t *ret_ms)
{
    int64_t ms = 0;
    const char *text = read_text(in, name, "a duration in quotes, such as \"10min\"");
    if (text == NULL)
        return;
    if (parse_duration(text, &ms, in->err) != ERR_OK) {
        blame(in, name);
    } else if (ms < min_ms || ms > max_ms) {
        char least[PARSE_TEXT_MAX];
        char most[PARSE_TEXT_MAX];
        parse_format_duration(min_ms, least);
        parse_format_duration(max_ms, most);
        in->code = err_set(in->err, ERR_INVALID, "%s is '%.100s'; it must be from %s to %s", name, text,
                           least, most);
    } else {
        *ret_ms = ms;
    }
}

static void read_instant(struct json_in *in, const char *name, int64_t *ret_ms)
{
    int64_t ms = 0;
    const char *text = read_text(in, name, "an instant in quotes, such as \"2027-01-01T06:30:00Z\"");
    if (text == NULL)
        return;
    bool has_time = strpbrk(text, "Tt") != NULL; /* a date alone would not tell in which time zone */
    if (has_time && civil_parse_instant(text, &ms, in->err) != ERR_OK)
        blame(in, name);
    else if (!has_time || ms < 0)
        in->code =
            err_set(in->err, ERR_INVALID,
                    "%s is '%.100s'; it must be an instant after 1970, such as 2027-01-01T06:30:00Z or "
                    "2027-01-01T08:30:00+02:00",
                    name, text);
    else
        *ret_ms = ms;
}

static bool has_control(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return true;
    return false;
}

/* A group or a name. */
static void read_name(struct json_in *in, const char *name, char **ret)
{
    static const char allowed[] = "a text of 1 to 255 bytes without control characters";
    const json_t *value = json_in_value(in, name);
    if (value == NULL)
        return;
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    if (text[0] == '\0' || strlen(text) > SCHEDULE_NAME_MAX || has_control(text))
        refuse(in, name, value, allowed);
    copy_text(in, text, ret);
}

/* ---- fields that nobody knows ---- */

static bool is_among(const char *const *known, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(known[i], name) == 0)
            return true;
    return false;
}

static enum err_code refuse_unknown(const char *const *known, size_t n, const char *name, struct err *err)
{
    struct nearest near = {.word = name};
    cleanup(buf_clear) struct buf all = BUF(WORDS_MAX);
    for (size_t i = 0; i < n; i++) {
        nearest_offer(&near, known[i]);
        buf_printf(&all, "%s%s", i > 0 ? ", " : "", known[i]);
    }
    if (near.best != NULL)
        return err_set(err, ERR_INVALID, "%.100s is no field of it; did you mean %s?", name, near.best);
    return err_set(err, ERR_INVALID, "%.100s is no field of it; it may have %s", name, buf_cstr(&all));
}

static void check_known(struct json_in *in, const char *const *known, size_t n)
{
    const char *name;
    json_t *ignored;
    json_object_foreach(in->object, name, ignored)
    {
        if (in->code == ERR_OK && !is_among(known, n, name))
            in->code = refuse_unknown(known, n, name, in->err);
    }
}

/* ---- when ---- */

static void read_cron(struct json_in *in, const char *text, const char *zone_text, struct schedule_spec *spec)
{
    struct err *err = in->err;
    struct trigger *t = &spec->trigger;
    t->kind = TRIGGER_CRON;
    if (cron_parse(text, &t->cron, NULL, err) != ERR_OK) {
        in->code = err->code = ERR_INVALID; /* one that is too long, too */
        blame(in, "cron");
        return;
    }
    enum err_code rc = zone_text != NULL ? zone_find(zone_text, &t->zone, err) : zone_local(&t->zone, err);
    if (rc == ERR_OK && zone_text == NULL && zone_find(zone_name(t->zone), &t->zone, NULL) != ERR_OK)
        rc = zone_find("UTC", &t->zone, err); /* the server's own is a rule, or a file without a name */
    if (rc != ERR_OK) {
        blame(in, "timeZone");
        return;
    }
    copy_text(in, text, &spec->cron);
    copy_text(in, zone_name(t->zone), &spec->zone);
}

/* Which of the three it is; NULL: refused. */
static const char *one_of_three(struct json_in *in)
{
    static const char *const kinds[] = {"cron", "at", "every"};
    const char *found = NULL;
    int given = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (json_in_value(in, kinds[i]) != NULL) {
            found = kinds[i];
            given++;
        }
    if (in->code == ERR_OK && given != 1)
        in->code = err_set(in->err, ERR_INVALID,
                           "%s of cron, at and every %s given; give one: a cron expression, an instant, or a "
                           "duration",
                           given == 0 ? "none" : "more than one", given == 0 ? "is" : "are");
    return in->code == ERR_OK ? found : NULL;
}

static void allow_only_with(struct json_in *in, const char *name, const char *kind, const char *wanted)
{
    if (json_in_value(in, name) != NULL && in->code == ERR_OK && strcmp(kind, wanted) != 0)
        in->code =
            err_set(in->err, ERR_INVALID, "%s is given with %s; it goes with %s only", name, kind, wanted);
}

static void read_window(struct json_in *in, const char *kind, struct trigger *t)
{
    if (strcmp(kind, "at") == 0) {
        for (size_t i = 0; i < 2; i++) {
            const char *name = i == 0 ? "start" : "end";
            if (json_in_value(in, name) != NULL)
                in->code = err_set(in->err, ERR_INVALID,
                                   "%s is given with at; it goes with cron and every only", name);
        }
        return;
    }
    read_instant(in, "start", &t->start_ms);
    read_instant(in, "end", &t->end_ms);
    if (in->code == ERR_OK && t->end_ms < t->start_ms)
        in->code = err_set(in->err, ERR_INVALID, "end is before start, which is now unless it is given");
}

/* Times before now are past, and not missed: an expression begins now, an interval without an end with the
 * next of the times that count from its start. */
static void leave_past(struct trigger *t, int64_t now_ms)
{
    if (t->start_ms >= now_ms || t->end_ms < now_ms)
        return;
    if (t->kind == TRIGGER_CRON)
        t->start_ms = now_ms;
    if (t->kind == TRIGGER_INTERVAL && t->repeat == TRIGGER_REPEAT_FOREVER && t->interval_ms > 0)
        t->start_ms = now_ms + (t->interval_ms - (now_ms - t->start_ms) % t->interval_ms) % t->interval_ms;
}

static void read_misfire(struct json_in *in, struct trigger *t)
{
    const char *word = read_text(in, "misfire", "a word in quotes, such as \"smart\"");
    if (word != NULL && misfire_find(word, t->kind, &t->misfire, in->err) != ERR_OK)
        blame(in, "misfire");
}

static void read_trigger(struct json_in *in, int64_t now_ms, struct schedule_spec *spec)
{
    struct trigger *t = &spec->trigger;
    const char *kind = one_of_three(in);
    *t = (struct trigger){.start_ms = now_ms, .end_ms = TRIGGER_NEVER, .repeat = TRIGGER_REPEAT_FOREVER};
    const char *cron = read_text(in, "cron", "a cron expression in quotes, such as \"0 0 2 * * ?\"");
    const char *zone = read_text(in, "timeZone", "a time zone in quotes, such as \"Europe/Rome\"");
    allow_only_with(in, "timeZone", kind != NULL ? kind : "", "cron");
    allow_only_with(in, "repeat", kind != NULL ? kind : "", "every");
    if (in->code != ERR_OK)
        return;
    if (cron != NULL)
        read_cron(in, cron, zone, spec);
    else
        t->kind = strcmp(kind, "at") == 0 ? TRIGGER_ONCE : TRIGGER_INTERVAL;
    read_instant(in, "at", &t->start_ms);
    read_duration(in, "every", TRIGGER_INTERVAL_MIN_MS, INT64_C(86400000) * SCHEDULE_EVERY_MAX_DAYS,
                  &t->interval_ms);
    read_whole(in, "repeat", 0, SCHEDULE_REPEAT_MAX, &t->repeat);
    read_window(in, kind, t);
    leave_past(t, now_ms);
    read_misfire(in, t);
}

/* ---- in trouble ---- */

static void read_overlap(struct json_in *in, enum overlap *ret)
{
    cleanup(buf_clear) struct buf allowed = BUF(WORDS_MAX);
    const json_t *value = json_in_value(in, "overlap");
    const char *word = json_is_string(value) ? json_string_value(value) : "";
    struct nearest near = {.word = word};
    if (value == NULL)
        return;
    for (int i = 0; i < OVERLAPS; i++) {
        const char *name = overlap_name((enum overlap)i);
        if (strcmp(name, word) == 0) {
            *ret = (enum overlap)i;
            return;
        }
        nearest_offer(&near, name);
        buf_printf(&allowed, "%s%s", i == 0 ? "" : i < OVERLAPS - 1 ? ", " : " or ", name);
    }
    if (near.best != NULL)
        buf_printf(&allowed, " (did you mean %s?)", near.best);
    refuse(in, "overlap", value, buf_cstr(&allowed));
}

static enum err_code read_retry_fields(json_t *value, struct retry_policy *ret, struct err *err)
{
    static const char *const known[] = {"limit", "delay", "maxDelay"};
    struct json_in in;
    json_in_open(&in, value, err);
    check_known(&in, known, sizeof known / sizeof *known);
    if (json_in_value(&in, "limit") == NULL && in.code == ERR_OK)
        in.code = err_set(err, ERR_INVALID, "limit is missing; it must be the number of further attempts");
    read_whole(&in, "limit", 0, SCHEDULE_RETRY_MAX, &ret->limit);
    read_duration(&in, "delay", SCHEDULE_RETRY_DELAY_MIN_MS, SCHEDULE_RETRY_DELAY_MAX_MS, &ret->delay_ms);
    if (ret->max_delay_ms < ret->delay_ms)
        ret->max_delay_ms = ret->delay_ms;
    read_duration(&in, "maxDelay", ret->delay_ms, SCHEDULE_RETRY_DELAY_MAX_MS, &ret->max_delay_ms);
    return in.code;
}

static void read_retry(struct json_in *in, struct retry_policy *ret)
{
    enum { DELAY_MS = 30 * 1000, MAX_DELAY_MS = 600 * 1000 };
    json_t *value = json_in_value(in, "retry");
    *ret = (struct retry_policy){.delay_ms = DELAY_MS, .max_delay_ms = MAX_DELAY_MS};
    if (value == NULL)
        return;
    if (!json_is_object(value))
        refuse(in, "retry", value, "an object of limit, delay and maxDelay");
    else if (read_retry_fields(value, ret, in->err) != ERR_OK)
        blame(in, "retry");
}

/* ---- all of it ---- */

static enum err_code read_program_fields(json_t *value, struct program_request *program, struct err *err)
{
    struct json_in in;
    json_in_open(&in, value, err);
    program_request_read(program, &in);
    check_known(&in, in.asked, in.n_asked);
    return in.code;
}

static void read_program(struct json_in *in, struct program_request *program)
{
    json_t *value = json_in_value(in, "batch");
    program->kind = APP_BATCH;
    if (in->code != ERR_OK)
        return;
    if (value == NULL)
        in->code = err_set(in->err, ERR_INVALID,
                           "batch is missing; it must be what to run, as the body of POST /batches: "
                           "{\"file\": \"/jobs/etl.py\"}");
    else if (!json_is_object(value)) /* whatever it is, it may be secret */
        in->code = err_set(in->err, ERR_INVALID, "batch must be an object, as the body of POST /batches");
    else if (read_program_fields(value, program, in->err) != ERR_OK)
        blame(in, "batch");
}

static void require_name(struct json_in *in, struct schedule_spec *spec)
{
    read_name(in, "name", &spec->name);
    read_name(in, "group", &spec->group);
    if (in->code == ERR_OK && spec->name == NULL)
        in->code = err_set(in->err, ERR_INVALID,
                           "name is missing; it must be a text of 1 to 255 bytes without control characters");
    if (spec->group == NULL)
        copy_text(in, "default", &spec->group);
}

enum err_code schedule_request_read(struct schedule_request *r, json_t *body, bool is_new, int64_t now_ms,
                                    struct err *err)
{
    /* paused stands last: only a new one takes it */
    static const char *const known[] = {"name",  "group",    "batch",    "cron",    "at",     "every",
                                        "start", "end",      "repeat",   "misfire", "jitter", "overlap",
                                        "retry", "timeZone", "priority", "paused"};
    enum { PRIORITY_MIN = 1, PRIORITY_MIDDLE = 5, PRIORITY_MAX = 10 };
    struct schedule_spec *spec = &r->spec;
    struct json_in in;
    json_in_open(&in, body, err);
    if (in.code != ERR_OK)
        return err_set(err, ERR_INVALID,
                       "the body must be a JSON object of name, batch, and cron, at or every");
    check_known(&in, known, sizeof known / sizeof *known - (is_new ? 0 : 1));
    spec->priority = PRIORITY_MIDDLE;
    require_name(&in, spec);
    read_program(&in, &r->program);
    read_trigger(&in, now_ms, spec);
    read_whole(&in, "priority", PRIORITY_MIN, PRIORITY_MAX, &spec->priority);
    read_overlap(&in, &spec->overlap);
    read_duration(&in, "jitter", 0, SCHEDULE_JITTER_MAX_MS, &spec->jitter_ms);
    read_retry(&in, &spec->retry);
    if (is_new)
        read_flag(&in, "paused", &r->paused);
    return in.code;
}
