/* Fires of schedules in SQLite: the steps that make them, the applications they make, their history. */
#include "store/sqlite_internal.h"

#include <string.h>

/* ---- rows ---- */

static sqlite3_stmt *bind_fire(struct db *d, enum statement which, const struct store_fire *fire)
{
    sqlite3_stmt *st = db_statement(d, which);
    db_bind_int(st, 1, fire->schedule);
    db_bind_int(st, 2, fire->number);
    db_bind_int(st, 3, d->fence);
    db_bind_text(st, 4, fire->state);
    db_bind_int(st, 5, fire->actual_ms);
    db_bind_int(st, 6, fire->ended_ms);
    db_bind_int(st, 7, fire->due_ms);
    db_bind_int(st, 8, fire->batch);
    db_bind_text(st, 9, fire->reason);
    db_bind_int(st, 10, fire->ended);
    return st;
}

static enum err_code insert_row(struct db *d, const struct store_fire *fire, struct err *err)
{
    sqlite3_stmt *st = bind_fire(d, SQL_FIRE_INSERT, fire);
    db_bind_text(st, 11, fire->cause);
    db_bind_int(st, 12, fire->attempt);
    db_bind_int(st, 13, fire->planned_ms);
    db_bind_int(st, 14, fire->missed);
    db_bind_int(st, 15, fire->missed_until_ms);
    db_bind_text(st, 16, fire->token);
    return db_finish(d, st, err, "writing a fire");
}

static enum err_code gone(const struct store_fire *fire, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "there is no fire %lld of schedule %lld", (long long)fire->number,
                   (long long)fire->schedule);
}

static enum err_code update_row(struct db *d, const struct store_fire *fire, struct err *err)
{
    enum err_code rc = db_finish(d, bind_fire(d, SQL_FIRE_UPDATE, fire), err, "writing a fire");
    return rc == ERR_OK && sqlite3_changes(d->handle) == 0 ? gone(fire, err) : rc;
}

static enum err_code step_schedule(struct db *d, const struct store_schedule *schedule, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_SCHEDULE_STEP);
    db_bind_int(st, 1, schedule->id);
    db_bind_int(st, 2, schedule->version);
    db_bind_text(st, 3, schedule->state);
    db_bind_text(st, 4, schedule->progress);
    db_bind_int(st, 5, schedule->due_ms);
    db_bind_int(st, 6, schedule->fires);
    db_bind_int(st, 7, schedule->steady);
    enum err_code rc = db_finish(d, st, err, "writing a schedule");
    if (rc == ERR_OK && sqlite3_changes(d->handle) == 0)
        rc =
            err_set(err, ERR_CONFLICT, "schedule %lld was changed by somebody else", (long long)schedule->id);
    return rc;
}

/* The rows that are over `keep` are those that earlier steps left: mostly one. */
static enum err_code trim_history(struct db *d, const struct store_step *step, struct err *err)
{
    int64_t newest_to_go = step->schedule.fires - step->keep;
    if (newest_to_go <= 0)
        return ERR_OK;
    sqlite3_stmt *st = db_statement(d, SQL_FIRES_TRIM);
    db_bind_int(st, 1, step->schedule.id);
    db_bind_int(st, 2, newest_to_go);
    return db_finish(d, st, err, "removing old fires");
}

static enum err_code add_fire(struct db *d, const struct store_step *step, int64_t batch, struct err *err)
{
    struct store_fire fire = step->fire;
    fire.schedule = step->schedule.id;
    fire.number = step->schedule.fires;
    fire.batch = batch;
    enum err_code rc = insert_row(d, &fire, err);
    return rc == ERR_OK ? trim_history(d, step, err) : rc;
}

/* ---- mutations ---- */

enum err_code db_step(struct db *d, const struct store_step *step, int64_t *ret_id, struct err *err)
{
    *ret_id = -1;
    enum err_code rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    if (rc != ERR_OK)
        return rc;
    rc = step_schedule(d, &step->schedule, err);
    if (rc == ERR_OK)
        rc = add_fire(d, step, step->fire.batch, err);
    if (rc == ERR_OK)
        *ret_id = step->schedule.fires;
    return db_end_one(d, rc, err);
}

enum err_code db_fire_app(struct db *d, const struct store_step *step, const struct store_app *app,
                          const struct store_note *note, int64_t *ret_id, struct err *err)
{
    *ret_id = -1;
    enum err_code rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    if (rc != ERR_OK)
        return rc;
    rc = step_schedule(d, &step->schedule, err);
    if (rc == ERR_OK)
        rc = db_add_app(d, app, note, ret_id, err);
    if (rc == ERR_OK)
        rc = add_fire(d, step, *ret_id, err);
    return db_end_one(d, rc, err);
}

/* The fire must be in that state. */
static enum err_code check_state(struct db *d, const struct store_fire *fire, const char *state,
                                 struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_FIRE_STATE);
    db_bind_int(st, 1, fire->schedule);
    db_bind_int(st, 2, fire->number);
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    const char *now = rc == SQLITE_ROW ? db_column_text(st, 0) : NULL;
    enum err_code code = ERR_OK;
    if (rc == SQLITE_DONE)
        code = gone(fire, err);
    else if (now == NULL)
        code = db_error(d, err, "looking up a fire");
    else if (strcmp(now, state) != 0)
        code = err_set(err, ERR_CONFLICT, "fire %lld of schedule %lld is %.20s, not %.20s",
                       (long long)fire->number, (long long)fire->schedule, now, state);
    (void)sqlite3_reset(st);
    return code;
}

static enum err_code launch(struct db *d, const struct store_fire *fire, const struct store_app *app,
                            const struct store_note *note, int64_t *ret_id, struct err *err)
{
    struct store_fire row = *fire;
    enum err_code rc = db_add_app(d, app, note, ret_id, err);
    row.batch = *ret_id;
    return rc == ERR_OK ? update_row(d, &row, err) : rc;
}

enum err_code db_launch_fire(struct db *d, const struct store_fire *fire, const char *from_state,
                             const struct store_app *app, const struct store_note *note, int64_t *ret_id,
                             struct err *err)
{
    *ret_id = -1;
    enum err_code rc = check_state(d, fire, from_state, err);
    if (rc == ERR_OK)
        rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    return rc == ERR_OK ? db_end_one(d, launch(d, fire, app, note, ret_id, err), err) : rc;
}

/* Takes the next number of a schedule. */
static enum err_code take_number(struct db *d, int64_t schedule, int64_t *ret, struct err *err)
{
    sqlite3_stmt *st = db_statement(d, SQL_SCHEDULE_NEXT_FIRE);
    db_bind_int(st, 1, schedule);
    int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;
    enum err_code code = ERR_OK;
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(st, 0);
    else if (rc == SQLITE_DONE)
        code = err_set(err, ERR_NOT_FOUND, "there is no schedule %lld", (long long)schedule);
    else
        code = db_error(d, err, "writing a schedule");
    (void)sqlite3_reset(st);
    return code;
}

static enum err_code append(struct db *d, const struct store_fire *fire, int64_t schedule, int64_t *ret_id,
                            struct err *err)
{
    struct store_fire row = *fire;
    row.schedule = schedule;
    enum err_code rc = take_number(d, schedule, &row.number, err);
    if (rc == ERR_OK)
        rc = insert_row(d, &row, err);
    if (rc == ERR_OK)
        *ret_id = row.number;
    return rc;
}

enum err_code db_update_fire(struct db *d, const struct store_fire *fire, const struct store_fire *next,
                             int64_t *ret_id, struct err *err)
{
    *ret_id = fire->number;
    enum err_code rc = db_run(d, SQL_SAVE, err, "setting a savepoint");
    if (rc != ERR_OK)
        return rc;
    rc = update_row(d, fire, err);
    if (rc == ERR_OK && next != NULL)
        rc = append(d, next, fire->schedule, ret_id, err);
    return db_end_one(d, rc, err);
}

/* ---- reads ---- */

static enum err_code read_fire(sqlite3_stmt *st, struct store_fire *ret, struct err *err)
{
    *ret = (struct store_fire){
        .schedule = sqlite3_column_int64(st, 0),
        .number = sqlite3_column_int64(st, 1),
        .cause = db_column_text(st, 2),
        .state = db_column_text(st, 3),
        .attempt = sqlite3_column_int64(st, 4),
        .planned_ms = sqlite3_column_int64(st, 5),
        .actual_ms = sqlite3_column_int64(st, 6),
        .ended_ms = sqlite3_column_int64(st, 7),
        .due_ms = sqlite3_column_int64(st, 8),
        .batch = sqlite3_column_int64(st, 9),
        .missed = sqlite3_column_int64(st, 10),
        .missed_until_ms = sqlite3_column_int64(st, 11),
        .ended = sqlite3_column_int64(st, 12) != 0,
        .reason = db_column_text(st, 13),
        .token = db_column_text(st, 14),
    };
    return ret->cause != NULL && ret->state != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
}

/* Gives every row to the visitor until that has enough, which *stopped tells. */
static enum err_code each_fire(struct db *d, sqlite3_stmt *st, store_fire_visit *visit, void *arg,
                               bool *stopped, struct err *err)
{
    enum err_code code = ERR_OK;
    int rc = SQLITE_ERROR;
    *stopped = false;
    while (code == ERR_OK && !*stopped && st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_fire fire;
        code = read_fire(st, &fire, err);
        if (code == ERR_OK)
            *stopped = !visit(&fire, arg);
    }
    if (code == ERR_OK && !*stopped && rc != SQLITE_DONE)
        code = db_error(d, err, "reading fires");
    (void)sqlite3_reset(st);
    return code;
}

enum err_code db_load_fires(struct db *d, bool (*on_fire)(const struct store_fire *fire, void *arg),
                            void *arg, struct err *err)
{
    bool stopped = false;
    enum err_code rc = each_fire(d, db_statement(d, SQL_FIRES_OPEN), on_fire, arg, &stopped, err);
    return stopped ? err_set(err, ERR_NOMEM, "out of memory") : rc;
}

enum err_code db_read_fires(struct db *d, int64_t schedule, int64_t before, int64_t max,
                            store_fire_visit *visit, void *arg, struct err *err)
{
    bool stopped = false;
    sqlite3_stmt *st = db_statement(d, SQL_FIRES);
    db_bind_int(st, 1, schedule);
    db_bind_int(st, 2, before > 0 ? before : INT64_MAX);
    db_bind_int(st, 3, max);
    return each_fire(d, st, visit, arg, &stopped, err);
}
