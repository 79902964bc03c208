/*
 * A schedule that is due, or that somebody wants to run now: what is too late is recorded as missed, then the
 * fire is written, with its application, and the fire time that comes next, in one step.
 *
 *     due ──► too late? ── yes ──► step: missed, as the misfire instruction says ──► due again?
 *              │ no
 *              ▼
 *             does another one live? ──► step: skipped, or waiting (overlap)
 *              │ no
 *              ▼
 *             step: running, with the application ──► accepted, launched by the application core
 *              │ can never run
 *              └──► step: refused
 */
#include "scheduler/scheduler_internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>
#include <utlist.h>

void step_clear(struct step *step)
{
    if (step->ongoing != NULL && !step->is_launch)
        ongoing_free(step->ongoing);
    if (step->door != NULL)
        step->door->n_starting--;
    mem_free(step->reason);
    *step = (struct step){0};
}

/* ---- when ---- */

static int64_t later(int64_t at_ms, int64_t by_ms)
{
    int64_t sum;
    return __builtin_add_overflow(at_ms, by_ms, &sum) ? TRIGGER_NEVER - 1 : sum;
}

/* The largest jitter: one fire is due before the next. */
static int64_t jitter_max(const struct schedule_spec *spec, int64_t planned_ms)
{
    int64_t following_ms = trigger_after(&spec->trigger, planned_ms);
    bool is_cut = following_ms != TRIGGER_NEVER && following_ms - planned_ms <= spec->jitter_ms;
    return is_cut ? following_ms - planned_ms - 1 : spec->jitter_ms;
}

/* Spreads evenly, and always the same way for the same fire time. */
static int64_t jitter_of(const struct turn *t, int64_t planned_ms)
{
    const struct schedule_spec *spec = &t->view.spec;
    if (spec->jitter_ms == 0 || planned_ms == t->at_once_ms)
        return 0;
    uint64_t x = (uint64_t)t->id * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)planned_ms;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return (int64_t)(x % ((uint64_t)jitter_max(spec, planned_ms) + 1));
}

int64_t fire_due_ms(const struct turn *t)
{
    int64_t next_ms = t->view.spec.trigger.next_ms;
    if (t->view.state != SCHEDULE_ACTIVE || next_ms == TRIGGER_NEVER)
        return TRIGGER_NEVER;
    return later(next_ms, jitter_of(t, next_ms));
}

bool fire_is_steady(const struct trigger *trigger)
{
    return trigger->kind == TRIGGER_INTERVAL &&
           (trigger->previous_ms != TRIGGER_NOT_YET || trigger->next_ms != trigger->start_ms);
}

void fire_complete_anchor(struct turn *t)
{
    int64_t next_ms = t->view.spec.trigger.next_ms;
    t->anchor_next_ms = next_ms;
    if (next_ms != TRIGGER_NEVER && t->anchor_mono_ms == next_ms - t->scheduler->load_offset_ms)
        t->anchor_mono_ms += jitter_of(t, next_ms);
}

static bool is_anchored(const struct turn *t)
{
    return t->is_anchored && t->anchor_next_ms == t->view.spec.trigger.next_ms;
}

static bool is_due(const struct turn *t)
{
    int64_t due_ms = fire_due_ms(t);
    if (due_ms == TRIGGER_NEVER)
        return false;
    return is_anchored(t) ? clock_mono_ms() >= t->anchor_mono_ms : clock_wall_ms() >= due_ms;
}

/* The wall clock was set since an interval's due time was noted: its times move along. */
static void match_clock(const struct turn *t, struct trigger *trigger)
{
    if (!is_anchored(t))
        return;
    int64_t late_by_wall_ms = clock_wall_ms() - fire_due_ms(t);
    int64_t late_ms = clock_mono_ms() - t->anchor_mono_ms;
    int64_t jump_ms = late_by_wall_ms - late_ms;
    if (jump_ms > CLOCK_JUMP_MS || jump_ms < -CLOCK_JUMP_MS)
        trigger_shift(trigger, jump_ms);
}

/* ---- the step ---- */

static void wish_back(struct turn *t)
{
    if (t->step.wish != NULL) {
        DL_PREPEND(t->wishes, t->step.wish);
        t->wish = NULL;
    }
}

/* Another node has changed the schedule: nothing was written. */
static void start_over(struct turn *t)
{
    wish_back(t);
    step_clear(&t->step);
    turn_reread(t);
}

/* Whoever asked for it is told; what the trigger wants is tried again. */
static void step_failed(struct turn *t, const struct err *err)
{
    struct wish *wish = t->step.wish;
    if (wish == NULL) {
        turn_hold(t, err);
        return;
    }
    step_clear(&t->step);
    wish_tell(t, wish, err, -1);
    turn_reread(t);
}

static bool is_complete(const struct turn *t, const struct trigger *trigger)
{
    return t->view.state == SCHEDULE_ACTIVE && trigger->next_ms == TRIGGER_NEVER;
}

static void run_task(struct turn *t)
{
    const struct schedule_door *door = scheduler_find_door(t->scheduler, t->view.spec.door);
    if (door != NULL && door->run != NULL)
        door->run(door->arg, &t->view, &t->step.fire);
}

/* The step is on disk. */
static void step_done(struct turn *t)
{
    struct step *step = &t->step;
    struct wish *wish = step->wish;
    int64_t number = step->fire.number;
    t->view.version++;
    t->view.fires = number;
    if (is_complete(t, &step->trigger))
        t->view.state = SCHEDULE_COMPLETE;
    t->view.spec.trigger = step->trigger;
    bool is_task = step->ongoing != NULL && step->ongoing->phase == ONGOING_TASK;
    bool is_missed = step->fire.state == FIRE_MISSED;
    step->ongoing = NULL; /* goes on by itself */
    if (is_task)
        run_task(t);
    step_clear(step);
    if (!is_missed)
        mem_freep(&t->refusal);
    static const struct err ok;
    if (wish != NULL)
        wish_tell(t, wish, &ok, number);
    turn_release_held(t->scheduler, 1);
    turn_go(t);
}

static void on_step(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct turn *t = arg;
    (void)id;
    (void)replayed;
    FAULT_POINT("schedule.after_step");
    if (err->code == ERR_CONFLICT) {
        start_over(t);
        return;
    }
    if (err->code != ERR_OK) {
        step_failed(t, err);
        return;
    }
    if (t->step.ongoing != NULL)
        ongoing_set_phase(t->step.ongoing, t->step.fire.state == FIRE_RUNNING ? ONGOING_TASK : ONGOING_READY);
    step_done(t);
}

static struct store_step step_row(const struct turn *t, const char *progress)
{
    const struct step *step = &t->step;
    struct schedule_spec spec = t->view.spec;
    enum schedule_state state = is_complete(t, &step->trigger) ? SCHEDULE_COMPLETE : t->view.state;
    spec.trigger = step->trigger;
    struct store_step row = {
        .schedule = record_row(&spec, state, NULL, progress),
        .fire = record_fire(&step->fire),
        .keep = t->scheduler->options.settings->schedule.history,
    };
    row.schedule.id = t->id;
    row.schedule.version = t->view.version;
    row.schedule.fires = step->fire.number;
    return row;
}

/* Writes a step that makes no application. */
static void write_step(struct turn *t)
{
    cleanup(mem_freep) char *progress = record_progress(&t->step.trigger);
    if (progress == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        step_failed(t, &err);
        return;
    }
    struct store_step row = step_row(t, progress);
    FAULT_POINT("schedule.before_step");
    store_step(t->scheduler->options.store, &row, on_step, t);
}

/* One that ends as it begins. Takes the reason. */
static void write_ended(struct turn *t, enum fire_state state, char *reason)
{
    struct step *step = &t->step;
    if (step->ongoing != NULL)
        ongoing_free(step->ongoing);
    step->ongoing = NULL;
    mem_free(step->reason);
    step->reason = reason;
    step->fire.state = state;
    step->fire.reason = reason;
    step->fire.actual_ms = 0;
    step->fire.ended_ms = clock_wall_ms();
    write_step(t);
}

/* It can never run. */
static void refuse(struct turn *t, const struct err *err)
{
    if (t->step.is_launch) {
        struct ongoing *f = t->step.ongoing;
        step_clear(&t->step);
        f->actual_ms = 0;
        ongoing_end(f, FIRE_REFUSED, err->msg);
        turn_go(t);
    } else if (t->step.wish != NULL) {
        step_failed(t, err);
    } else {
        log_warn("a fire is refused", LOG_I("schedule", t->id), LOG_I("fire", t->step.fire.number),
                 LOG_S("why", err->msg));
        write_ended(t, FIRE_REFUSED, mem_strdup(err->msg));
    }
}

/* ---- with an application ---- */

static void submit(struct turn *t);

static bool may_mend(enum err_code code)
{
    return code == ERR_BUSY || code == ERR_IO || code == ERR_NOMEM || code == ERR_TIMEOUT;
}

static void launch_done(struct turn *t)
{
    step_clear(&t->step);
    mem_freep(&t->refusal);
    turn_release_held(t->scheduler, 1);
    turn_go(t);
}

static void not_made(struct turn *t, const struct err *err, int64_t owner_of_name)
{
    bool is_conflict = err->code == ERR_CONFLICT;
    if (is_conflict && owner_of_name >= 0 && !t->step.nameless) {
        t->step.nameless = true;
        submit(t);
    } else if (is_conflict && t->step.is_launch) { /* it does not wait any more, or is gone */
        ongoing_free(t->step.ongoing);
        start_over(t);
    } else if (is_conflict) {
        start_over(t);
    } else if (may_mend(err->code)) {
        step_failed(t, err);
    } else {
        refuse(t, err);
    }
}

static void on_made(const struct err *err, struct app *app, int64_t id, bool replayed, void *arg)
{
    struct turn *t = arg;
    (void)app;
    (void)replayed;
    FAULT_POINT("schedule.after_step");
    if (err->code != ERR_OK) {
        not_made(t, err, id);
        return;
    }
    ongoing_app(t->step.ongoing, id);
    if (t->step.is_launch)
        launch_done(t);
    else
        step_done(t);
}

/* What the application is told, with what its door has to add. */
static enum err_code prepare(const struct turn *t, struct spark_submission *ret, struct err *err)
{
    const struct schedule_spec *spec = &t->view.spec;
    const struct schedule_door *door = scheduler_find_door(t->scheduler, spec->door);
    if (spec->door != NULL && door == NULL)
        return err_set(err, ERR_INVALID, "its door '%.60s' is not open in this server", spec->door);
    if (spark_submission_copy(ret, &spec->submission) != 0 ||
        (ret->name == NULL && mem_set_str(&ret->name, spec->name) != 0) ||
        (ret->proxy_user == NULL && mem_set_str(&ret->proxy_user, spec->proxy_user) != 0))
        return err_set(err, ERR_NOMEM, "out of memory");
    if (door == NULL || door->prepare == NULL)
        return ERR_OK;
    return door->prepare(door->arg, &t->view, &t->step.fire, ret, err);
}

/* The name by which the application is listed: its door's, or that of the schedule with the fire's number. */
static char *listed_name(const struct turn *t, const struct spark_submission *submission)
{
    const struct schedule_door *door = scheduler_find_door(t->scheduler, t->view.spec.door);
    if (door != NULL && door->prepare != NULL && submission->name != NULL)
        return mem_strdup(submission->name);
    return mem_printf("%s-%" PRId64, t->view.spec.name, t->step.fire.number);
}

static enum err_code hand_over(struct turn *t, const struct spark_submission *submission, struct err *err)
{
    const struct schedule_spec *spec = &t->view.spec;
    cleanup(mem_freep) char *progress = record_progress(&t->step.trigger);
    cleanup(mem_freep) char *name = listed_name(t, submission);
    if (progress == NULL || name == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct store_step row = step_row(t, progress);
    struct app_request request = {
        .kind = APP_BATCH,
        .name = t->step.nameless ? NULL : name,
        .owner = spec->owner,
        .proxy_user = submission->proxy_user,
        .submission = submission,
        .step = t->step.is_launch ? NULL : &row,
        .launched = t->step.is_launch ? &row.fire : NULL,
        .launched_from = fire_state_name(FIRE_WAITING),
    };
    FAULT_POINT("schedule.before_step");
    return apps_submit(t->scheduler->options.apps, &request, on_made, t, err);
}

static void submit(struct turn *t)
{
    struct spark_submission submission = {0};
    struct err err = {0};
    t->step.fire.actual_ms = clock_wall_ms();
    enum err_code rc = prepare(t, &submission, &err);
    if (rc == ERR_OK)
        rc = hand_over(t, &submission, &err);
    spark_submission_clear(&submission);
    if (rc != ERR_OK)
        not_made(t, &err, -1);
}

static bool does_tasks(const struct turn *t)
{
    const struct schedule_door *door = scheduler_find_door(t->scheduler, t->view.spec.door);
    return door != NULL && door->run != NULL;
}

/* Until the door has it, the step knows of it only. */
static void count_task(struct turn *t)
{
    t->step.door = scheduler_find_door_entry(t->scheduler, t->view.spec.door);
    t->step.door->n_starting++;
}

/* ---- overlap ---- */

static char *living_words(const struct turn *t, const struct ongoing *living)
{
    const char *policy = overlap_name(t->view.spec.overlap);
    if (living->phase == ONGOING_APP)
        return mem_printf("batch %" PRId64 " of fire %" PRId64 " still lives (overlap: %s)", living->batch,
                          living->number, policy);
    return mem_printf("fire %" PRId64 " is still under way (overlap: %s)", living->number, policy);
}

/* The state in which a new fire begins, and why when it does not run. */
static enum fire_state begin_as(const struct turn *t, char **ret_reason)
{
    const struct ongoing_fires *of = ongoing_find(t->scheduler, t->id);
    const struct ongoing *living = ongoing_living(of);
    const struct ongoing *waiting = ongoing_waiting(of);
    enum overlap policy = t->view.spec.overlap;
    if (policy == OVERLAP_ALLOW || (living == NULL && waiting == NULL))
        return FIRE_RUNNING;
    if (waiting != NULL) {
        *ret_reason =
            mem_printf("fire %" PRId64 " waits already (overlap: %s)", waiting->number, overlap_name(policy));
        return FIRE_SKIPPED;
    }
    *ret_reason = living_words(t, living);
    return policy == OVERLAP_SKIP ? FIRE_SKIPPED : FIRE_WAITING;
}

static void note_fire(struct ongoing *f, const struct fire_view *fire)
{
    f->cause = fire->cause;
    f->attempt = fire->attempt;
    f->planned_ms = fire->planned_ms;
    f->actual_ms = fire->actual_ms;
}

/* The step of a fire that begins; its trigger, cause and planned time are set. */
static void begin_fire(struct turn *t)
{
    struct step *step = &t->step;
    char *reason = NULL;
    enum fire_state state = begin_as(t, &reason);
    step->fire.schedule = t->id;
    step->fire.number = t->view.fires + 1;
    step->fire.attempt = 1;
    step->fire.batch = -1;
    if (state == FIRE_SKIPPED) {
        write_ended(t, state, reason);
        return;
    }
    mem_free(step->reason);
    step->reason = reason;
    step->fire.state = state;
    step->fire.reason = reason;
    step->fire.actual_ms = state == FIRE_RUNNING ? clock_wall_ms() : 0;
    step->ongoing = ongoing_new(t->scheduler, t->id, step->fire.number);
    if (step->ongoing == NULL) {
        struct err err;
        err_set(&err, ERR_NOMEM, "out of memory");
        step_failed(t, &err);
        return;
    }
    note_fire(step->ongoing, &step->fire);
    if (state == FIRE_RUNNING && does_tasks(t))
        count_task(t);
    if (state == FIRE_WAITING || does_tasks(t))
        write_step(t);
    else
        submit(t);
}

/* ---- misfires ---- */

static char *missed_words(const struct turn *t, const struct missed *missed)
{
    char first[CLOCK_TEXT_MAX];
    char last[CLOCK_TEXT_MAX];
    clock_format(missed->first_ms, first);
    clock_format(missed->last_ms, last);
    const char *misfire = misfire_name(t->view.spec.trigger.misfire);
    const char *because = t->refusal != NULL ? "; it was refused: " : "";
    const char *refusal = t->refusal != NULL ? t->refusal : "";
    if (missed->count == 1)
        return mem_printf("the fire time %s was missed (misfire: %s)%s%s", first, misfire, because, refusal);
    return mem_printf("%s%" PRId64 " fire times from %s to %s were missed (misfire: %s)%s%s",
                      missed->count == MISSED_MAX ? "at least " : "", missed->count, first, last, misfire,
                      because, refusal);
}

static void record_missed(struct turn *t, const struct missed *missed, int64_t now_ms)
{
    struct step *step = &t->step;
    if (step->trigger.next_ms == now_ms)
        t->at_once_ms = now_ms;
    step->fire = (struct fire_view){
        .schedule = t->id,
        .number = t->view.fires + 1,
        .cause = FIRE_TRIGGER,
        .attempt = 1,
        .planned_ms = missed->first_ms,
        .batch = -1,
        .missed = missed->count,
        .missed_until_ms = missed->last_ms,
    };
    write_ended(t, FIRE_MISSED, missed_words(t, missed));
}

/* ---- the ways in ---- */

bool fire_has_room(const struct turn *t)
{
    const struct door_entry *entry = scheduler_find_door_entry(t->scheduler, t->view.spec.door);
    if (entry == NULL || entry->door.run == NULL || entry->door.room == NULL)
        return true;
    return entry->n_starting < entry->door.room(entry->door.arg);
}

bool fire_if_due(struct turn *t)
{
    if (!is_due(t))
        return false;
    FAULT_POINT("schedule.due");
    int64_t now_ms = clock_wall_ms();
    t->step = (struct step){.trigger = t->view.spec.trigger};
    struct trigger *trigger = &t->step.trigger;
    int64_t jitter_ms = jitter_of(t, trigger->next_ms);
    int64_t threshold_ms = t->scheduler->options.settings->schedule.misfire_threshold_ms;
    struct missed missed = {trigger->next_ms, trigger->next_ms, 1};
    match_clock(t, trigger);
    bool is_past_end = trigger->next_ms == TRIGGER_NEVER; /* where the clock was set to */
    if (is_past_end || trigger_apply_misfire(trigger, now_ms, threshold_ms + jitter_ms, &missed)) {
        record_missed(t, &missed, now_ms);
        return true;
    }
    if (!fire_has_room(t)) {
        turn_hold_for_room(t);
        return true;
    }
    t->step.fire.cause = FIRE_TRIGGER;
    t->step.fire.planned_ms = trigger->next_ms;
    trigger_fired(trigger);
    begin_fire(t);
    return true;
}

bool fire_wish(struct turn *t, struct wish *wish)
{
    t->step = (struct step){.trigger = t->view.spec.trigger, .wish = wish};
    t->step.fire.cause = FIRE_MANUAL;
    t->step.fire.planned_ms = clock_wall_ms();
    t->step.fire.token = wish->token;
    begin_fire(t);
    return true;
}

/* The task of a fire that waited is on disk as running. */
static void on_task_launched(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct turn *t = arg;
    (void)id;
    (void)replayed;
    FAULT_POINT("schedule.after_step");
    if (err->code == ERR_NOT_FOUND) {
        ongoing_free(t->step.ongoing);
        start_over(t);
    } else if (err->code != ERR_OK) {
        step_failed(t, err);
    } else {
        ongoing_set_phase(t->step.ongoing, ONGOING_TASK);
        run_task(t);
        launch_done(t);
    }
}

bool fire_launch(struct turn *t, struct ongoing *f)
{
    t->step = (struct step){.trigger = t->view.spec.trigger, .ongoing = f, .is_launch = true};
    f->actual_ms = clock_wall_ms();
    t->step.fire = (struct fire_view){
        .schedule = t->id,
        .number = f->number,
        .cause = f->cause,
        .state = FIRE_RUNNING,
        .attempt = f->attempt,
        .planned_ms = f->planned_ms,
        .actual_ms = f->actual_ms,
        .batch = -1,
    };
    if (!does_tasks(t)) {
        submit(t);
        return true;
    }
    count_task(t);
    const struct store_fire row = record_fire(&t->step.fire);
    FAULT_POINT("schedule.before_step");
    store_update_fire(t->scheduler->options.store, &row, NULL, on_task_launched, t);
    return true;
}
