/* What the files of src/app share: the collection, one application, and the steps of its life. */
#ifndef HEARTH_APP_APP_INTERNAL_H
#define HEARTH_APP_APP_INTERNAL_H

#include "app/app.h"
#include "base/fsm.h"
#include "guard/follow.h"

struct app_after { /* somebody who waits for a write */
    struct app_after *prev, *next;
    app_done_cb *done;
    void *arg;
};

struct app {
    struct app_info info; /* first: app_info() is a cast */
    struct apps *apps;
    uint64_t revision;
    struct app_waiter *waiters;

    /* store */
    int64_t version;
    int64_t last_event;
    int64_t forgotten_ms;
    bool dirty;              /* memory is ahead of the store */
    bool writing;            /* an update is under way */
    struct app_note *notes;  /* history not yet in the store */
    struct app_note *sent;   /* history in the update under way */
    struct app_after *after; /* wait for the next update */
    struct app_after *after_sent;

    /* driver */
    bool remote;   /* the application is more than this process (spark.h) */
    bool hidden;   /* in the list of those that are not shown */
    bool adopting; /* it is being given to a request */
    bool occupies; /* its memory counts in apps->memory_used */
    bool launch_under_way;
    unsigned launches; /* guards started for it by this server */
    struct follower *follower;
    bool connected;        /* a SparkContext listens on the launcher link */
    char *token;           /* names its submission to a standalone cluster; NULL: its driver runs here */
    struct driver *driver; /* on that cluster, once there is something to follow */
    bool in_trouble;       /* that cluster cannot be asked now */
    bool stop_wanted;
    unsigned kill_step;
    uv_timer_t *kill_timer;

    /* output */
    uint64_t lines;      /* as the guard last told */
    uint64_t lines_read; /* of them looked at for what Spark says about itself */
    bool tail_loading;
    bool tail_stale;

    struct app_after *forgetting; /* those who wait for app_forget; not NULL while that goes on */
    struct app_waiter forget_waiter;
};

struct app_note {
    struct app_note *prev, *next;
    int64_t at_ms;
    enum app_state state;
    char *reason;
};

struct app_list {
    bool by_creation; /* in the order of submission; otherwise by kind and id */
    struct app **items;
    size_t n, cap;
};

enum { APP_HIDDEN = APP_KINDS, APP_LISTS }; /* a list for each kind, and one of those that are not shown */

struct forgotten { /* off the lists, but still in the store */
    enum app_kind kind;
    int64_t id;
    int64_t ended_ms;
};

struct apps {
    struct apps_options options;
    char *root; /* folder of the applications' folders */
    struct app_list lists[APP_LISTS];
    struct app_list waiting; /* all kinds */
    int64_t last_created_ms; /* never goes back, so that it orders submissions of all kinds */
    struct forgotten *forgotten;
    size_t n_forgotten, cap_forgotten;
    size_t inserting; /* submissions on their way to disk */
    uint64_t revision;
    uint64_t queue_revision;
    uint64_t memory_budget, memory_used;
    size_t running;
    uv_timer_t tick;
    struct {
        app_build_fn *build;
        void *arg;
    } builders[APP_KINDS];
    void (*on_pressure)(void *arg);
    void *pressure_arg;
    bool admitting; /* admission_run() is at work */
    bool closing;
};

/* app.c: the collection */
struct app *app_new(struct apps *apps);
void app_free(struct app *app);
void app_leave(struct app *app); /* it is off all lists: tells those who wait, and frees it */
/* Takes over what a request says of it, and the present time as that of its creation. */
enum err_code app_fill(struct app *app, const struct app_request *request, struct err *err);

/* list.c: the lists */
int app_list_insert(struct app_list *l, struct app *app); /* keeps it sorted; -1: out of memory */
void app_list_remove(struct app_list *l, struct app *app);
struct app *app_list_find(const struct app_list *l, enum app_kind kind, int64_t id); /* or NULL */
/* Listed or not; NULL also while the server stops. */
struct app *app_find_any(struct apps *apps, enum app_kind kind, int64_t id);
/* Moves it between the list of its kind and the one that is not shown. -1: out of memory, it stays. */
int app_set_hidden(struct app *app, bool hidden);
size_t app_list_index(const struct app_list *l, const struct app *app); /* l->n when absent */
/* app.c again */
/* Blocking work for an application: `run` on a worker, `done` on the loop with the application, or NULL
 * when it is gone by then; done frees arg. ERR_NOMEM: nothing was started. */
enum err_code app_work(struct app *app, void (*run)(void *arg), void (*done)(struct app *app, void *arg),
                       void *arg, struct err *err);

/* record.c: an application as JSON facts and a row */
char *app_facts(const struct app *app); /* NULL: out of memory */
struct app *app_from_row(struct apps *apps, const struct store_app *row);

char *app_submission(const struct spark_submission *submission); /* as the store keeps it; NULL: no memory */

/* persist.c: memory to store */
void app_note(struct app *app, const char *reason); /* a line of history with the present state */
void app_persist(struct app *app, app_done_cb *done, void *arg); /* done may be NULL */
void app_persist_again(struct app *app);                         /* after a failure; from the tick */
/* Calls everybody in the list and frees it; they may well submit, kill or persist. */
void app_tell(struct app_after *list, const struct err *err);

/* life.c: the states */
extern const struct fsm_state app_states[];
/* Moves it if the table allows, with a note and the reason shown; false when it does not. */
bool app_move(struct app *app, enum app_state to, const char *reason);
void app_follow(struct app *app, int64_t patience_ms);
void app_end(struct app *app, enum app_state state, struct app_diagnosis *diagnosis); /* takes it */
void app_refuse(struct app *app, const char *why); /* ends as dead before a driver ran */
/* How a driver on a cluster ended: its exit code, or -1, the master's words, and its output, which is written
 * into its folder. */
void app_conclude_on_cluster(struct app *app, int exit_code, const char *verdict,
                             const char *const output[2]);
void app_close_driver(struct app *app); /* lets go of follower and timers */

/* kill.c */
void app_kill_continue(struct app *app); /* next step of the sequence; starts it, too */

/* admission.c */
uint64_t admission_budget(const struct settings *settings);
void admission_enter(struct app *app);  /* it waits from now on */
void admission_leave(struct app *app);  /* it does not wait any more */
void admission_occupy(struct app *app); /* its memory counts */
void admission_release(struct app *app);
void admission_run(struct apps *apps); /* starts what fits */

/* launch.c */
void app_launch(struct app *app); /* state launching is on disk: prepares the folder, starts a guard */
/* Its stored submission, the caller's to clear. */
enum err_code app_read_submission(const char *text, struct spark_submission *ret, struct err *err);

/* on_cluster.c: those whose driver a standalone cluster runs */
/* Decides where a new application's driver runs, and what it costs here. ERR_INVALID: it cannot run there. */
enum err_code app_place(struct app *app, const struct spark_submission *submission, struct err *err);
/* Submits the driver, or follows it again; `again`: another server may have submitted it already. */
void app_drive(struct app *app, bool again);

/* diagnosis.c: no state, no clock, no disk */
struct diagnosis_input {
    int exit_code;
    int signal;
    bool oom_killed;
    uint64_t max_memory;
    const char *launcher_state; /* or NULL */
    const char *lost;           /* why the exit is not known, or NULL */
    const char *stopped;        /* why hearth ended it, or NULL */
    const char *verdict; /* what a cluster's master told of its end, or NULL: a process of this machine */
    bool connected;      /* a SparkContext had been made */
    const struct strlist *lines; /* end of the output, oldest first */
};
/* 0, or -1 when memory is short (then *ret is empty). */
int diagnosis_make(const struct diagnosis_input *in, struct app_diagnosis *ret);
void diagnosis_clear(struct app_diagnosis *d);

/* hidden.c: those that are not shown */
void apps_drop_gone(struct apps *apps); /* lets those go that have left and ended, on disk */

/* tail.c */
void app_refresh_tail(struct app *app);
struct strlist *app_output_end(const char *folder, size_t lines); /* worker threads; for diagnosis */
void app_drop_tails(struct apps *apps);                           /* when they take too much memory */
void app_set_tail(struct app *app, struct strlist *lines);        /* takes the lines */

/* retain.c */
void apps_retire(struct apps *apps);        /* removes what is too old or too many */
void apps_sweep_folders(struct apps *apps); /* folders that no row knows, once at start */
int apps_add_forgotten(struct apps *apps, enum app_kind kind, int64_t id, int64_t ended_ms);

#endif
