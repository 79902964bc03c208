/*
 * Random triggers with random lives against an oracle of its own: it holds a truth value for each second of a
 * cron trigger's window, counts the fires that an interval has left, and moves on by single steps. In each
 * life a trigger fires, is late, misfires, and has its clock set.
 *
 * HEARTH_TRIGGER_RANDOM is the number of lives, HEARTH_TRIGGER_SEED where they begin.
 */
#include "schedule/civil.h"
#include "schedule/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LIVES = 4000, STEPS = 12, WINDOW_S = 3600, BEFORE_S = 10, NO_LIMIT = -1 };

struct oracle {
    struct trigger *t; /* whose definition it reads, and whose progress it never does */
    char text[200];
    int64_t from_s;         /* of the window */
    bool seconds[WINDOW_S]; /* cron: fires in that second */
    int64_t end_ms, interval_ms;
    int64_t left; /* others: fires to come, the next one included */
    int64_t repeat, fired, next_ms;
};

/* ---- chance ---- */

static uint64_t chance;

static int64_t draw(int64_t from, int64_t to)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return from + (int64_t)(chance % (uint64_t)(to - from + 1));
}

/* ---- the oracle ---- */

static int64_t to_end(const struct oracle *o, int64_t at_ms)
{
    return at_ms <= o->end_ms ? at_ms : TRIGGER_NEVER;
}

/* Cron: the first second after an instant. */
static int64_t scan(const struct oracle *o, int64_t after_ms)
{
    for (int64_t i = 0; i < WINDOW_S; i++)
        if (o->seconds[i] && (o->from_s + i) * 1000 > after_ms)
            return to_end(o, (o->from_s + i) * 1000);
    return TRIGGER_NEVER;
}

/* The fire time behind one, `left` counting that one. */
static int64_t step(const struct oracle *o, int64_t at_ms, int64_t left)
{
    if (o->t->kind == TRIGGER_CRON)
        return scan(o, at_ms);
    return left == 1 ? TRIGGER_NEVER : to_end(o, at_ms + o->interval_ms);
}

static void oracle_fired(struct oracle *o)
{
    o->fired++;
    o->next_ms = step(o, o->next_ms, o->left);
    o->left -= o->left > 0;
}

static struct missed oracle_missed(const struct oracle *o, int64_t up_to_ms)
{
    struct missed missed = {o->next_ms, o->next_ms, 0};
    int64_t left = o->left;
    for (int64_t at_ms = o->next_ms; at_ms <= up_to_ms; at_ms = step(o, at_ms, left), left -= left > 0) {
        missed.last_ms = at_ms;
        missed.count++;
        if (at_ms > o->end_ms)
            return missed; /* it was put to a moment behind the end */
    }
    return missed;
}

static void oracle_go_on(struct oracle *o, int64_t now_ms)
{
    int64_t steps = 0;
    while (o->next_ms <= now_ms) {
        o->next_ms = step(o, o->next_ms, o->left);
        o->left -= o->left > 0;
        steps++;
    }
    if (o->t->kind == TRIGGER_INTERVAL && o->next_ms != TRIGGER_NEVER &&
        o->t->misfire != MISFIRE_NEXT_EXISTING)
        o->fired += steps;
}

/* `spent` of those that are left are not made up for. */
static void oracle_begin_again(struct oracle *o, int64_t now_ms, int64_t spent)
{
    if (o->left != NO_LIMIT && o->repeat > 0) {
        o->left = o->left > spent ? o->left - spent : 1;
        o->repeat = o->left - 1;
        o->fired = 0;
    }
    o->next_ms = to_end(o, now_ms);
}

static int64_t steps_to(const struct oracle *o, int64_t now_ms)
{
    int64_t steps = 0;
    for (int64_t at_ms = o->next_ms + o->interval_ms; at_ms <= now_ms; at_ms += o->interval_ms)
        steps++;
    return steps;
}

static void oracle_interval(struct oracle *o, int64_t now_ms)
{
    enum misfire m = o->t->misfire;
    if (m == MISFIRE_NEXT_EXISTING || m == MISFIRE_NEXT_REMAINING ||
        (m == MISFIRE_SMART && o->left == NO_LIMIT))
        oracle_go_on(o, now_ms);
    else if ((m == MISFIRE_SMART || m == MISFIRE_ONCE_NOW) && o->repeat == 0)
        o->next_ms = now_ms;
    else if (m == MISFIRE_SMART || m == MISFIRE_NOW_EXISTING)
        oracle_begin_again(o, now_ms, 0);
    else
        oracle_begin_again(o, now_ms, steps_to(o, now_ms));
}

static bool oracle_misfire(struct oracle *o, int64_t now_ms, int64_t threshold_ms, struct missed *ret)
{
    if (o->next_ms == TRIGGER_NEVER || now_ms - o->next_ms <= threshold_ms || o->t->misfire == MISFIRE_IGNORE)
        return false;
    struct oracle before = *o;
    if (o->t->kind == TRIGGER_INTERVAL)
        oracle_interval(o, now_ms);
    else if (o->t->misfire == MISFIRE_SKIP)
        oracle_go_on(o, now_ms);
    else
        o->next_ms = now_ms;
    *ret = oracle_missed(&before, o->next_ms == now_ms ? now_ms - 1 : now_ms);
    return true;
}

static void oracle_shift(struct oracle *o, int64_t delta_ms)
{
    if (o->next_ms != TRIGGER_NEVER)
        o->next_ms = to_end(o, o->next_ms + delta_ms);
}

/* ---- a random trigger ---- */

static void make_cron(struct oracle *o)
{
    static const char *const forms[] = {"* * * * * ?",    "0/7 * * * * ?",   "5,6,59 0/3 * * * ?",
                                        "0 0/5 * * * ?",  "0 15,45 * * * ?", "0 30 2-3 * * ?",
                                        "0-9/3 * 2 * * ?"};
    struct trigger *t = o->t;
    const char *form = forms[draw(0, (int64_t)(sizeof forms / sizeof *forms) - 1)];
    assert_int_equal(zone_find(draw(0, 1) == 0 ? "UTC" : "Europe/Rome", &t->zone, NULL), ERR_OK);
    assert_int_equal(cron_parse(form, &t->cron, NULL, NULL), ERR_OK);
    (void)snprintf(o->text, sizeof o->text, "cron %s in %s", form, zone_name(t->zone));
    int64_t last_ms = (o->from_s + WINDOW_S) * 1000 - 1;
    if (t->end_ms > last_ms)
        t->end_ms = last_ms; /* behind it the oracle knows nothing */
    for (int64_t i = t->start_ms / 1000 - o->from_s; i < WINDOW_S; i++) {
        int64_t at_s;
        o->seconds[i] = cron_next(&t->cron, t->zone, o->from_s + i - 1, &at_s) && at_s == o->from_s + i;
    }
}

static void make_interval(struct oracle *o)
{
    struct trigger *t = o->t;
    t->interval_ms = draw(0, 1) == 0 ? draw(1, 60) * 1000 : draw(1000, 90000);
    t->repeat = draw(0, 3) == 0 ? TRIGGER_REPEAT_FOREVER : draw(0, 40);
    (void)snprintf(o->text, sizeof o->text, "interval %lld ms, %lld repeats", (long long)t->interval_ms,
                   (long long)t->repeat);
}

static void make(struct oracle *o, struct trigger *t)
{
    int64_t change_ms = 0; /* clocks in Rome are put forward */
    assert_int_equal(civil_parse_instant("2027-03-28T01:00:00Z", &change_ms, NULL), ERR_OK);
    *t = (struct trigger){.kind = (enum trigger_kind)draw(0, TRIGGER_KINDS - 1), .end_ms = TRIGGER_NEVER};
    *o = (struct oracle){.t = t, .from_s = change_ms / 1000 - draw(0, WINDOW_S), .left = 1};
    t->start_ms =
        o->from_s * 1000 + draw(BEFORE_S, WINDOW_S / 4) * 1000 + (draw(0, 1) == 0 ? 0 : draw(0, 999));
    if (draw(0, 1) == 0)
        t->end_ms = t->start_ms + draw(0, WINDOW_S / 2) * 1000;
    do
        t->misfire = (enum misfire)draw(0, MISFIRES - 1);
    while (misfire_find(misfire_name(t->misfire), t->kind, &t->misfire, NULL) != ERR_OK);
    if (t->kind == TRIGGER_CRON)
        make_cron(o);
    else if (t->kind == TRIGGER_INTERVAL)
        make_interval(o);
    o->end_ms = t->end_ms;
    o->interval_ms = t->interval_ms;
    o->repeat = t->repeat;
    if (t->kind == TRIGGER_INTERVAL)
        o->left = t->repeat == TRIGGER_REPEAT_FOREVER ? NO_LIMIT : t->repeat + 1;
    o->next_ms = t->kind == TRIGGER_CRON ? scan(o, t->start_ms / 1000 * 1000 - 1) : t->start_ms;
}

/* ---- the comparison ---- */

static void differ(const struct oracle *o, const char *what, int64_t ours, int64_t expected)
{
    if (ours != expected)
        fail_msg("%s, %s, from %lld to %lld: %s is %lld instead of %lld", o->text,
                 misfire_name(o->t->misfire), (long long)o->t->start_ms, (long long)o->t->end_ms, what,
                 (long long)ours, (long long)expected);
}

static void compare(const struct oracle *o, const struct trigger *t)
{
    differ(o, "next", t->next_ms, o->next_ms);
    differ(o, "fired", t->fired, o->fired);
    differ(o, "repeat", t->repeat, o->repeat);
}

/* Late by any time, mostly around the threshold, or by whole steps. */
static void be_late(struct oracle *o, struct trigger *t)
{
    int64_t threshold_ms = draw(0, 2) == 0 ? 0 : 60000;
    int64_t late_ms = draw(0, 1) == 0 ? threshold_ms + draw(-1, 1) : draw(0, 300000);
    if (draw(0, 2) == 0)
        late_ms = draw(1, 100) * (o->interval_ms > 0 ? o->interval_ms : 1000);
    struct missed ours = {0};
    struct missed expected = {0};
    int64_t now_ms = o->next_ms + late_ms;
    if (now_ms / 1000 >= o->from_s + WINDOW_S)
        return;
    bool has_misfired = oracle_misfire(o, now_ms, threshold_ms, &expected);
    assert_int_equal(trigger_apply_misfire(t, now_ms, threshold_ms, &ours), has_misfired);
    differ(o, "count of missed", ours.count, expected.count);
    differ(o, "first missed", ours.first_ms, expected.first_ms);
    differ(o, "last missed", ours.last_ms, expected.last_ms);
}

static void live(struct oracle *o, struct trigger *t)
{
    for (int i = 0; i < STEPS && o->next_ms != TRIGGER_NEVER; i++) {
        switch (draw(0, 4)) {
        case 0:
        case 1: be_late(o, t); break;
        case 2:
            if (t->kind == TRIGGER_INTERVAL && t->previous_ms != TRIGGER_NOT_YET) {
                int64_t delta_ms = draw(-5000, 5000);
                trigger_shift(t, delta_ms);
                oracle_shift(o, delta_ms);
            }
            break;
        default:
            oracle_fired(o);
            trigger_fired(t);
            break;
        }
        compare(o, t);
    }
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void random_triggers_live_as_the_oracle_says(void **state)
{
    (void)state;
    uint64_t lives = from_environment("HEARTH_TRIGGER_RANDOM", LIVES);
    uint64_t ended = 0;
    chance = from_environment("HEARTH_TRIGGER_SEED", 88172645463325252U);
    for (uint64_t i = 0; i < lives; i++) {
        struct oracle o;
        struct trigger t;
        make(&o, &t);
        assert_int_equal(trigger_begin(&t, NULL), o.next_ms == TRIGGER_NEVER ? ERR_INVALID : ERR_OK);
        if (o.next_ms == TRIGGER_NEVER)
            continue;
        compare(&o, &t);
        live(&o, &t);
        ended += t.next_ms == TRIGGER_NEVER;
    }
    assert_in_range(ended, lives / 10, lives); /* lives are not all too short to come to an end, or endless */
    zone_forget_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_triggers_live_as_the_oracle_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
