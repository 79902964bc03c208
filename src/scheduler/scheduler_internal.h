/*
 * What the files of src/scheduler share.
 *
 *   timing.c      when schedules are due
 *   scheduler.c   opening, the timer, stopping
 *   turn.c        work on one schedule, one thing after the other
 *   fire.c        what is due: misfire, overlap, the step with its application or task
 *   ongoing.c      fires under way: their ends, further attempts, those that wait
 *   change.c      what people want of a schedule
 *   look.c        what people ask
 *   record.c      a schedule and a fire as rows
 *
 * Everything that happens to a stored schedule is part of a turn: it reads the row, does what there is to do,
 * one write after the other, and ends by noting when the schedule is due again. There is one turn per
 * schedule at most, so that nothing here loses a race against itself; a conflict means another node.
 */
#ifndef HEARTH_SCHEDULER_SCHEDULER_INTERNAL_H
#define HEARTH_SCHEDULER_SCHEDULER_INTERNAL_H

#include "scheduler/scheduler.h"
#include "scheduler/timing.h"

#include <uthash.h>

enum {
    TICK_MS = 1000,       /* jumps of the wall clock are seen within it; what was refused is tried again */
    READ_BATCH = 256,     /* rows read together, and steps begun in one turn of the loop */
    READS_MAX = 2,        /* batches read at the same time */
    TURNS_MAX = 16384,    /* schedules that are due wait beyond that; those that are held do not count */
    HELD_MAX = 65536,     /* what is due waits beyond that, too */
    HELD_LOG_MS = 60000,  /* held schedules are in the log so often at most */
    CLOCK_JUMP_MS = 1000, /* a smaller difference of the clocks counts as drift */
};

/* ---- fires under way ---- */

enum ongoing_phase {
    ONGOING_APP,   /* its application lives */
    ONGOING_TASK,  /* its door does its task */
    ONGOING_DELAY, /* waits for its back-off */
    ONGOING_READY, /* waits behind others */
    ONGOING_ENDED, /* its end is to be written */
};

struct ongoing {
    struct ongoing *prev, *next; /* of the same schedule, ascending by number */
    struct ongoing_fires *of;
    int64_t number;
    enum ongoing_phase phase;
    enum fire_cause cause;
    int64_t attempt;
    int64_t planned_ms, actual_ms;
    int64_t batch;
    int64_t due_mono_ms; /* end of the back-off */
    enum fire_state end; /* of ONGOING_ENDED */
    int64_t ended_ms;
    char *reason;
    bool kill_asked;
    struct app_waiter waiter;
};

struct ongoing_fires { /* the fires of one schedule that are under way */
    UT_hash_handle hh;
    struct scheduler *scheduler;
    int64_t schedule;
    struct ongoing *list;
};

/* ---- work on one schedule ---- */

enum wish_kind { WISH_RUN, WISH_REPLACE, WISH_PAUSE, WISH_RESUME, WISH_REMOVE };

struct wish { /* of somebody who is told */
    struct wish *prev, *next;
    enum wish_kind kind;
    scheduler_cb *done;
    void *arg;
    int64_t version;           /* of WISH_REPLACE; 0: any */
    struct schedule_spec spec; /* of WISH_REPLACE */
    char *token;               /* of WISH_RUN, or NULL */
};

/* A step on its way to the store. */
struct step {
    struct trigger trigger; /* after it */
    struct fire_view fire;
    char *reason;            /* of fire */
    struct wish *wish;       /* it was asked for; NULL: by the trigger */
    struct ongoing *ongoing; /* a new fire's, or the one that is launched */
    bool is_launch;          /* of a fire that waited */
    bool nameless;           /* the application's name was taken */
    struct door_entry *door; /* it begins a task, which counts there until it runs; or NULL */
};

struct turn {
    UT_hash_handle hh;
    struct turn *prev, *next; /* in to_read or held */
    struct scheduler *scheduler;
    int64_t id;
    enum { TURN_WAITS_FOR_READ, TURN_HELD, TURN_BUSY } place;
    bool was_due; /* it came out of the timing */
    bool has_view;
    struct schedule_view view;
    char *unreadable; /* why its row is, and the view what is known all the same; or NULL */
    /* An interval's due time on the monotonic clock, and the fire time that it belongs to. */
    bool is_anchored;
    int64_t anchor_mono_ms, anchor_next_ms;
    int64_t at_once_ms; /* the fire time that a misfire has set: no jitter; TRIGGER_NEVER: none */
    char *refusal;      /* why it could not fire until now, or NULL */
    struct wish *wishes;
    struct wish *wish;      /* is being fulfilled */
    struct ongoing *ending; /* its end is being written */
    bool wants_room;        /* one that waited could start, but for its door */
    struct step step;
};

struct door_entry {
    struct door_entry *next;
    struct schedule_door door;
    size_t n_starting; /* tasks that are on their way to it */
};

struct scheduler {
    struct scheduler_options options;
    struct timing wall;   /* schedules by the wall clock */
    struct timing steady; /* those of intervals, by the monotonic clock */
    struct timing delays; /* schedules that have a fire in back-off, by the monotonic clock */
    uv_timer_t timer;
    bool has_timer;
    struct turn *turns; /* all, by id */
    size_t n_turns, n_held, n_due_turns;
    struct turn *to_read; /* in order */
    struct turn *held;    /* refused; tried again, oldest first */
    unsigned reads;       /* batches under way */
    int64_t tick_mono_ms; /* when the clocks are looked at, and held ones tried again */
    int64_t held_log_mono_ms;
    size_t n_held_unlogged; /* since then */
    struct ongoing_fires *ongoing;
    int64_t running;
    int64_t schedules; /* stored */
    struct door_entry *doors;
    int64_t clock_offset_ms; /* wall - monotonic, as last seen */
    int64_t load_offset_ms;  /* as it was when schedules were loaded */
    bool started, stopping;
};

/* scheduler.c */
/* Sets the timer for what is due first, after taking what is due now. */
void scheduler_pump(struct scheduler *s);
struct door_entry *scheduler_find_door_entry(const struct scheduler *s, const char *name);    /* or NULL */
const struct schedule_door *scheduler_find_door(const struct scheduler *s, const char *name); /* or NULL */

/* turn.c */
/* The turn of that schedule, begun when there is none; NULL: out of memory. It goes on by itself, later. */
struct turn *turn_begin(struct scheduler *s, int64_t id);
void turn_go(struct turn *t);     /* what there is to do next */
void turn_reread(struct turn *t); /* the row has changed; then goes on */
/* Tries again in a while. */
void turn_hold(struct turn *t, const struct err *why);
void turn_hold_for_room(struct turn *t);               /* until the door has room */
void turn_fail(struct turn *t, const struct err *err); /* the same, and those who wait for it are told */
void turn_release_held(struct scheduler *s, size_t n);
void turn_read_waiting(struct scheduler *s);
void turn_forget_due(struct turn *t); /* it does not count as active any more */
void turn_free(struct turn *t);

/* fire.c: each returns true when something is under way that will call turn_go(), turn_reread() or
 * turn_hold(), false when there is nothing to do */
bool fire_if_due(struct turn *t);
bool fire_wish(struct turn *t, struct wish *wish);
bool fire_launch(struct turn *t, struct ongoing *f); /* one that waited */
bool fire_has_room(const struct turn *t);            /* its door takes a further task */
/* When its next fire time is due: on the wall clock, jitter included. TRIGGER_NEVER: not at all. */
int64_t fire_due_ms(const struct turn *t);
/* Its anchor, read from the store without jitter, becomes the moment when it is due. */
void fire_complete_anchor(struct turn *t);
/* Its next fire time is a duration behind the fire before it, and not an instant. */
bool fire_is_steady(const struct trigger *trigger);
void step_clear(struct step *step);

/* ongoing.c */
struct ongoing *ongoing_new(struct scheduler *s, int64_t schedule, int64_t number); /* NULL: out of memory */
void ongoing_free(struct ongoing *f);
void ongoing_set_phase(struct ongoing *f, enum ongoing_phase phase);
void ongoing_app(struct ongoing *f, int64_t batch); /* waits for the end of its application */
/* It has ended; takes note, and has it written. `reason` may be NULL. */
void ongoing_end(struct ongoing *f, enum fire_state end, const char *reason);
void ongoing_drop_schedule(struct scheduler *s, int64_t schedule);
struct ongoing_fires *ongoing_find(const struct scheduler *s, int64_t schedule); /* or NULL */
struct ongoing *ongoing_living(const struct ongoing_fires *of); /* the first that runs, or NULL */
struct ongoing *
ongoing_waiting(const struct ongoing_fires *of); /* the first behind others, no retry; or NULL */
bool ongoing_write_end(struct turn *t);          /* as in fire.c */
bool ongoing_start_waiting(struct turn *t);
bool ongoing_has_ended(const struct turn *t); /* there is an end to write */
/* Takes up a stored fire. False: out of memory. */
bool ongoing_load(struct scheduler *s, const struct store_fire *row);
void ongoing_take_up(struct scheduler *s); /* all that were loaded */
void ongoing_clear(struct scheduler *s);

/* change.c */
bool change_if_wanted(struct turn *t);                                                /* as in fire.c */
void wish_tell(struct turn *t, struct wish *wish, const struct err *err, int64_t id); /* and frees it */

/* record.c */
enum err_code record_read_schedule(const struct store_schedule *row, struct schedule_view *ret,
                                   struct err *err);
/* What is known of a row that is not readable, whose it is among it; it is never due. ERR_NOMEM. */
enum err_code record_unreadable(const struct store_schedule *row, struct schedule_view *ret);
void schedule_view_clear(struct schedule_view *view);
/* Expression and zone from their texts; without a zone it is the one of this process. */
enum err_code record_read_cron(const struct schedule_spec *spec, struct trigger *ret, struct err *err);
char *record_spec(const struct schedule_spec *spec);  /* NULL: out of memory */
char *record_progress(const struct trigger *trigger); /* NULL: out of memory */
/* The row of a schedule in that state; texts are borrowed, spec and progress are the caller's. */
struct store_schedule record_row(const struct schedule_spec *spec, enum schedule_state state,
                                 const char *spec_text, const char *progress);
enum err_code schedule_spec_copy(struct schedule_spec *to, const struct schedule_spec *from, struct err *err);
/* A stored fire; texts stay the row's. False: not readable. */
bool record_read_fire(const struct store_fire *row, struct fire_view *ret);
struct store_fire record_fire(const struct fire_view *fire);

#endif
