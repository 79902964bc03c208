#include "web/schedules.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "web/web_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ANSWER_MAX = 256 << 20,
    PAGE = 100,
    PAGE_MAX = 1000,
    RANGE_MAX_DAYS = 366,
};
static const int64_t day_ms = 24 * 3600 * 1000;
static const int64_t last_ms = 253402300799999; /* of the year 9999: what RFC 3339 can write */

/* ---- a request, from its arrival to its answer ---- */

struct asking *asking_new(struct schedules *d, struct http_request *r)
{
    struct err err = {0};
    const char *user = NULL;
    if (door_effective_user(d->options.door, r, &user, &err) != ERR_OK) {
        web_reply_error(r, &err);
        return NULL;
    }
    struct asking *a = mem_calloc(1, sizeof *a);
    if (a == NULL) {
        http_reply(r, NULL);
        return NULL;
    }
    a->door = d;
    a->request = r;
    a->user = user;
    buf_init(&a->body, ANSWER_MAX);
    json_out_open(&a->out, &a->body);
    return a;
}

void asking_free(struct asking *a)
{
    buf_clear(&a->body);
    mem_free(a);
}

void asking_fail(struct asking *a, const struct err *err)
{
    if (err->code == ERR_NOT_FOUND)
        web_reply_msg(a->request, 404, "there is no schedule %" PRId64, a->id);
    else
        web_reply_error(a->request, err);
    asking_free(a);
}

void asking_answer(struct asking *a, int status)
{
    http_reply(a->request, http_answer_new(status, HTTP_JSON, &a->body));
    asking_free(a);
}

static void refuse_change(struct asking *a)
{
    web_reply_msg(a->request, 403,
                  "schedule %" PRId64 " belongs to somebody else: its owner, the user it runs as, "
                  "auth.modify_users and auth.superusers may change it",
                  a->id);
    asking_free(a);
}

static void refuse_other(struct asking *a)
{
    web_reply_msg(a->request, 412, "schedule %" PRId64 " was changed since the answer that If-Match tells of",
                  a->id);
    asking_free(a);
}

static void on_got(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    struct asking *a = arg;
    const struct door *door = a->door->options.door;
    if (err->code != ERR_OK && (schedule == NULL || !a->unreadable_too)) {
        asking_fail(a, err);
        return;
    }
    const struct schedule_spec *spec = &schedule->spec;
    a->viewable = door_may_view_owned(door, a->user, spec->owner, spec->proxy_user);
    if (a->to_modify && !door_may_modify_owned(door, a->user, spec->owner, spec->proxy_user))
        refuse_change(a);
    else if (a->to_modify && a->if_match != 0 && a->if_match != schedule->changed_ms)
        refuse_other(a);
    else
        a->found(a, schedule);
}

void asking_find(struct asking *a)
{
    struct err err = {0};
    if (parse_i64(http_param(a->request, 0), 0, INT64_MAX, &a->id, &err) == ERR_OK) {
        scheduler_get(a->door->options.scheduler, a->id, on_got, a);
        return;
    }
    web_reply_msg(a->request, 400,
                  "id: %s; ?group=…&name=… of /hearth/schedules finds a schedule by its name", err.msg);
    asking_free(a);
}

/* For the handlers of routes that only need the schedule of the path. */
static void find(struct schedules *d, struct http_request *r, asking_found *found)
{
    struct asking *a = asking_new(d, r);
    if (a == NULL)
        return;
    a->found = found;
    asking_find(a);
}

/* ---- one schedule ---- */

static void add_headers(const struct asking *a, struct http_answer *answer)
{
    char text[256];
    (void)snprintf(text, sizeof text, "\"%" PRId64 "\"", a->changed_ms);
    (void)http_answer_header(answer, "ETag", text);
    if (a->status != 201)
        return;
    (void)snprintf(text, sizeof text, "%s/hearth/schedules/%" PRId64,
                   http_server_base_path(a->door->options.server), a->id);
    (void)http_answer_header(answer, "Location", text);
}

static void on_last_fire(const struct err *err, const struct fire_view *fires, size_t n, void *arg)
{
    struct asking *a = arg;
    if (err->code != ERR_OK) {
        asking_fail(a, err);
        return;
    }
    if (n > 0)
        view_fire(&a->out, "lastFire", &fires[0], a->viewable);
    else
        json_out_null(&a->out, "lastFire");
    json_out_end_object(&a->out);
    struct http_answer *answer = http_answer_new(a->status, HTTP_JSON, &a->body);
    if (answer != NULL)
        add_headers(a, answer);
    http_reply(a->request, answer);
    asking_free(a);
}

static void show(struct asking *a, const struct schedule_view *schedule)
{
    a->changed_ms = schedule->changed_ms;
    json_out_object(&a->out, NULL);
    view_schedule(&a->out, schedule, a->viewable);
    scheduler_history(a->door->options.scheduler, a->id, 0, 1, on_last_fire, a);
}

void asking_show(struct asking *a, int status)
{
    a->status = status;
    a->to_modify = a->unreadable_too = false; /* what was to be done is done */
    a->found = show;
    scheduler_get(a->door->options.scheduler, a->id, on_got, a);
}

static void get(struct http_request *r, void *arg)
{
    struct asking *a = asking_new(arg, r);
    if (a == NULL)
        return;
    a->status = 200;
    a->found = show;
    asking_find(a);
}

/* ---- the list ---- */

static void write_list(struct asking *a, const struct schedule_view *schedules, size_t n, int64_t total)
{
    const struct door *door = a->door->options.door;
    json_out_object(&a->out, NULL);
    json_out_int(&a->out, "total", total);
    json_out_array(&a->out, "schedules");
    for (size_t i = 0; i < n; i++) {
        const struct schedule_spec *spec = &schedules[i].spec;
        json_out_object(&a->out, NULL);
        view_schedule(&a->out, &schedules[i],
                      door_may_view_owned(door, a->user, spec->owner, spec->proxy_user));
        json_out_end_object(&a->out);
    }
    json_out_end_array(&a->out);
    json_out_end_object(&a->out);
}

static void on_listed(const struct err *err, const struct schedule_view *schedules, size_t n, int64_t total,
                      void *arg)
{
    struct asking *a = arg;
    if (err->code != ERR_OK) {
        asking_fail(a, err);
        return;
    }
    write_list(a, schedules, n, total);
    asking_answer(a, 200);
}

static void on_named(const struct err *err, const struct schedule_view *schedule, void *arg)
{
    static const struct err fine = {0};
    bool none = err->code == ERR_NOT_FOUND;
    on_listed(none ? &fine : err, schedule, schedule != NULL, schedule != NULL, arg);
}

static bool read_order(struct http_request *r, struct schedule_query *query)
{
    const char *order = http_query(r, "order");
    query->by_name = order != NULL && strcmp(order, "name") == 0;
    query->newest_first = order == NULL || strcmp(order, "newest") == 0;
    if (query->by_name || query->newest_first)
        return true;
    web_reply_msg(r, 400, "order is '%.100s'; it must be newest or name", order);
    return false;
}

static void list(struct http_request *r, void *arg)
{
    struct schedules *d = arg;
    int64_t size = PAGE;
    struct schedule_query query = {.after_id = -1, .group = http_query(r, "group")};
    const char *name = http_query(r, "name");
    if (!web_query_int(r, "from", 0, INT64_MAX, &query.from) ||
        !web_query_int(r, "size", 0, PAGE_MAX, &size) || !read_order(r, &query))
        return;
    struct asking *a = asking_new(d, r);
    if (a == NULL)
        return;
    query.max = (size_t)size;
    if (name != NULL)
        scheduler_find(d->options.scheduler, query.group != NULL ? query.group : "default", name, on_named,
                       a);
    else
        scheduler_list(d->options.scheduler, &query, on_listed, a);
}

/* ---- fires that were ---- */

static void on_history(const struct err *err, const struct fire_view *fires, size_t n, void *arg)
{
    struct asking *a = arg;
    if (err->code != ERR_OK) {
        asking_fail(a, err);
        return;
    }
    json_out_object(&a->out, NULL);
    json_out_int(&a->out, "schedule", a->id);
    json_out_array(&a->out, "fires");
    for (size_t i = 0; i < n; i++)
        view_fire(&a->out, NULL, &fires[i], a->viewable);
    json_out_end_array(&a->out);
    json_out_end_object(&a->out);
    asking_answer(a, 200);
}

static void read_history(struct asking *a, const struct schedule_view *schedule)
{
    scheduler_history(a->door->options.scheduler, schedule->id, a->before, (size_t)a->size, on_history, a);
}

static void history(struct http_request *r, void *arg)
{
    int64_t before = 0;
    int64_t size = PAGE;
    if (!web_query_int(r, "before", 0, INT64_MAX, &before) || !web_query_int(r, "size", 1, PAGE_MAX, &size))
        return;
    struct asking *a = asking_new(arg, r);
    if (a == NULL)
        return;
    a->before = before;
    a->size = size;
    a->found = read_history;
    asking_find(a);
}

/* ---- fires to come ---- */

static void on_upcoming(const struct err *err, const struct upcoming *times, size_t n, bool complete,
                        void *arg)
{
    struct asking *a = arg;
    if (err->code != ERR_OK) {
        asking_fail(a, err);
        return;
    }
    json_out_object(&a->out, NULL);
    web_write_time(&a->out, "from", a->from_ms);
    web_write_time(&a->out, "to", a->to_ms);
    json_out_bool(&a->out, "complete", complete);
    json_out_array(&a->out, "times");
    for (size_t i = 0; i < n; i++) {
        json_out_object(&a->out, NULL);
        json_out_int(&a->out, "schedule", times[i].schedule);
        json_out_str(&a->out, "group", times[i].group);
        json_out_str(&a->out, "name", times[i].name);
        web_write_time(&a->out, "at", times[i].at_ms);
        json_out_end_object(&a->out);
    }
    json_out_end_array(&a->out);
    json_out_end_object(&a->out);
    asking_answer(a, 200);
}

/* What the query says of the range, into *a. False: it was answered, and *a is gone. */
static bool read_range(struct asking *a, int64_t default_days)
{
    struct http_request *r = a->request;
    int64_t most_ms = day_ms * RANGE_MAX_DAYS;
    a->from_ms = clock_wall_ms();
    a->size = PAGE;
    bool good = web_query_instant(r, "from", &a->from_ms);
    a->to_ms = a->from_ms + day_ms * default_days;
    if (a->to_ms > last_ms)
        a->to_ms = last_ms;
    good = good && web_query_instant(r, "to", &a->to_ms) && web_query_int(r, "size", 1, PAGE_MAX, &a->size);
    if (good && (a->from_ms <= 0 || a->to_ms < a->from_ms || a->to_ms - a->from_ms > most_ms)) {
        web_reply_msg(
            r, 400,
            "from and to: the range must lie after 1970, not end before it begins, and have at most %d days",
            RANGE_MAX_DAYS);
        good = false;
    }
    if (!good)
        asking_free(a);
    return good;
}

static void read_upcoming(struct asking *a, const struct schedule_view *schedule)
{
    if (read_range(a, RANGE_MAX_DAYS))
        scheduler_upcoming(a->door->options.scheduler, schedule->id, a->from_ms, a->to_ms, (size_t)a->size,
                           on_upcoming, a);
}

static void upcoming(struct http_request *r, void *arg)
{
    find(arg, r, read_upcoming);
}

static void upcoming_of_all(struct http_request *r, void *arg)
{
    struct asking *a = asking_new(arg, r);
    if (a != NULL && read_range(a, 1))
        scheduler_upcoming(a->door->options.scheduler, -1, a->from_ms, a->to_ms, (size_t)a->size, on_upcoming,
                           a);
}

/* The first row that fits counts. */
static const struct http_route routes[] = {
    {"GET", "/hearth/schedules", list, "List schedules, newest first or by name", false},
    {"POST", "/hearth/schedules", schedule_create, "Run a program when it should", false},
    {"GET", "/hearth/schedules/upcoming", upcoming_of_all, "Fire times to come, of all schedules", false},
    {"GET", "/hearth/schedules/{id}", get, "One schedule", false},
    {"PUT", "/hearth/schedules/{id}", schedule_replace, "Give it another definition", false},
    {"DELETE", "/hearth/schedules/{id}", schedule_delete, "Forget it and its history", false},
    {"POST", "/hearth/schedules/{id}/pause", schedule_pause, "Let it rest", false},
    {"POST", "/hearth/schedules/{id}/resume", schedule_resume, "Let it go on", false},
    {"POST", "/hearth/schedules/{id}/run", schedule_run, "Fire now", false},
    {"GET", "/hearth/schedules/{id}/history", history, "Its fires, newest first", false},
    {"GET", "/hearth/schedules/{id}/upcoming", upcoming, "Its fire times to come", false},
};

/* ---- life ---- */

struct schedules *schedules_open(const struct schedules_options *options)
{
    struct schedules *d = mem_calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->options = *options;
    http_mount(options->server, routes, sizeof routes / sizeof *routes, d);
    return d;
}

void schedules_close(struct schedules *d)
{
    mem_free(d);
}
