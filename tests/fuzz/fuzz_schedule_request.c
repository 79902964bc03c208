/* Bodies of POST and PUT of /hearth/schedules. */
#include "base/mem.h"
#include "schedule/zone.h"
#include "web/schedule_request.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 64 };
#define NOW_MS INT64_C(1795277445000)

static void check(const struct schedule_spec *s)
{
    const struct trigger *t = &s->trigger;
    assert(s->name[0] != '\0' && strlen(s->name) <= SCHEDULE_NAME_MAX);
    assert(s->group[0] != '\0' && strlen(s->group) <= SCHEDULE_NAME_MAX);
    assert((t->kind == TRIGGER_CRON) == (s->cron != NULL && s->zone != NULL && t->zone != NULL));
    assert(t->kind != TRIGGER_INTERVAL || t->interval_ms >= TRIGGER_INTERVAL_MIN_MS);
    assert(t->start_ms >= 0 && t->repeat >= TRIGGER_REPEAT_FOREVER);
    assert(s->priority >= 1 && s->priority <= 10);
    assert(s->jitter_ms >= 0 && s->jitter_ms <= SCHEDULE_JITTER_MAX_MS);
    assert(s->retry.limit >= 0 && s->retry.delay_ms <= s->retry.max_delay_ms);
}

/* What the reader takes, the scheduler must not choke on: it may only find that it never fires. */
static void begin(struct schedule_request *r)
{
    struct err err = {0};
    struct trigger t;
    r->spec.submission = r->program.submission;
    r->program.submission = (struct spark_submission){0};
    enum err_code rc = scheduler_check(&r->spec, &t, &err);
    assert(rc == ERR_OK || (rc == ERR_INVALID && err.msg[0] != '\0'));
}

static void read_request(const char *text, size_t len, bool is_new)
{
    struct err err = {0};
    cleanup(json_decrefp) json_t *body = NULL;
    cleanup(schedule_request_clear) struct schedule_request r = {0};
    if (json_parse(text, len, DEPTH_MAX, &body, &err) != ERR_OK)
        return;
    enum err_code rc = schedule_request_read(&r, body, is_new, NOW_MS, &err);
    assert(rc == ERR_OK || (err.code == rc && err.msg[0] != '\0'));
    if (rc != ERR_OK)
        return;
    check(&r.spec);
    begin(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_request((const char *)data, size, size % 2 == 0);
    zone_forget_all();
    assert(mem_live() == 0);
    return 0;
}
