#include "cmd/cluster_print.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cluster/cluster_kill.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/show.h"
#include "cmd/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ENDED_SHOWN = 10 }; /* a master keeps hundreds of drivers and applications that have ended */

/* ---- words ---- */

/* "3/8"; "-/8" when only the page would tell what is used, "-" when that is not known either. */
static void write_share(const json_t *object, const char *used, const char *all, char out[2 * SHOW_MAX])
{
    int64_t n = answer_int(object, used, -1);
    int64_t of = answer_int(object, all, -1);
    if (of < 0)
        (void)snprintf(out, 2 * SHOW_MAX, "-");
    else if (n < 0)
        (void)snprintf(out, 2 * SHOW_MAX, "-/%" PRId64, of);
    else
        (void)snprintf(out, 2 * SHOW_MAX, "%" PRId64 "/%" PRId64, n, of);
}

/* "512.0 MiB/1.0 GiB" */
static void write_memory(const json_t *object, const char *used, const char *all, char out[2 * SHOW_MAX])
{
    char n[SHOW_MAX] = "-";
    char of[SHOW_MAX] = "-";
    if (answer_int(object, used, -1) >= 0)
        show_bytes(answer_int(object, used, 0), n);
    if (answer_int(object, all, -1) >= 0)
        show_bytes(answer_int(object, all, 0), of);
    (void)snprintf(out, 2 * SHOW_MAX, "%s/%s", n, of);
}

static void age_cell(struct table *t, const json_t *object, const char *key)
{
    char text[SHOW_MAX];
    int64_t at = show_parse_time(answer_text(object, key, NULL));
    int64_t age = at >= 0 ? clock_wall_ms() - at : -1;
    show_duration(at >= 0 && age < 0 ? 0 : age, text); /* another machine's clock */
    table_cell(t, text);
}

static void bytes_cell(struct table *t, const json_t *object, const char *key)
{
    char text[SHOW_MAX] = "-";
    if (answer_int(object, key, -1) >= 0)
        show_bytes(answer_int(object, key, 0), text);
    table_cell(t, text);
}

static void number_cell(struct table *t, const json_t *object, const char *key)
{
    char text[24] = "-";
    if (json_is_integer(json_object_get(object, key)))
        (void)snprintf(text, sizeof text, "%" PRId64, answer_int(object, key, 0));
    table_cell(t, text);
}

static void print_line(const char *label, const char *text)
{
    if (text == NULL)
        return;
    (void)printf("  %-13s ", label);
    table_print_text(stdout, text);
    (void)putchar('\n');
}

/* ---- the head ---- */

static void print_totals(const json_t *totals)
{
    char text[4 * SHOW_MAX];
    char share[2 * SHOW_MAX];
    if (totals == NULL)
        return;
    write_share(totals, "workersAlive", "workers", share);
    print_line("workers", share);
    write_share(totals, "coresUsed", "cores", share);
    print_line("cores", share);
    write_memory(totals, "memoryUsed", "memory", share);
    print_line("memory", share);
    if (answer_get(totals, "applicationsRunning") != NULL) {
        (void)snprintf(text, sizeof text, "%" PRId64 " running, %" PRId64 " waiting",
                       answer_int(totals, "applicationsRunning", 0),
                       answer_int(totals, "applicationsWaiting", 0));
        print_line("applications", text);
    }
    (void)snprintf(text, sizeof text, "%" PRId64 " running", answer_int(totals, "driversRunning", 0));
    print_line("drivers", text);
}

static void print_masters(const json_t *masters)
{
    size_t i = 0;
    json_t *master = NULL;
    if (json_array_size(masters) < 2)
        return;
    json_array_foreach(masters, i, master)
    {
        char text[1024];
        const char *status = answer_text(master, "status", NULL);
        (void)snprintf(text, sizeof text, "%s %s", answer_text(master, "address", "?"),
                       status != NULL ? status : "");
        print_line(i == 0 ? "masters" : "", status != NULL ? text : answer_text(master, "trouble", "?"));
    }
}

static void print_head(const json_t *c)
{
    char age[SHOW_MAX];
    const char *name = answer_text(c, "name", NULL);
    const char *version = answer_text(c, "sparkVersion", NULL);
    bool reachable = json_is_true(json_object_get(c, "reachable"));
    if (name != NULL) {
        table_print_text(stdout, name);
        (void)fputs("  ", stdout);
    }
    table_print_text(stdout, answer_text(c, "url", "?"));
    (void)printf("  %s", reachable                            ? "ALIVE"
                         : answer_get(c, "checkedAt") != NULL ? "UNREACHABLE"
                                                              : "NOT ASKED YET");
    (void)fputs(version != NULL ? "  Spark " : "", stdout);
    table_print_text(stdout, version != NULL ? version : "");
    (void)fputc('\n', stdout);
    print_line("trouble", answer_text(c, "trouble", NULL));
    if (!reachable && answer_get(c, "stateAt") != NULL) {
        show_duration(answer_int(c, "ageMs", -1), age);
        print_line("last state", age);
    }
    print_masters(answer_get(c, "masters"));
    print_totals(answer_get(c, "totals"));
    print_line("page", answer_text(c, "webUi", NULL));
    print_line("page trouble", answer_text(c, "webUiTrouble", NULL));
}

/* ---- workers ---- */

/* "gpu 1/2" for each resource. */
static void resources_cell(struct table *t, const json_t *worker)
{
    char text[256] = "";
    size_t len = 0;
    const char *name = NULL;
    json_t *one = NULL;
    json_object_foreach(answer_get(worker, "resources"), name, one)
    {
        const json_t *used = answer_get(one, "used");
        char n[24] = "-";
        if (used != NULL)
            (void)snprintf(n, sizeof n, "%zu", json_array_size(used));
        int more = snprintf(text + len, sizeof text - len, "%s%.60s %s/%zu", len > 0 ? ", " : "", name, n,
                            json_array_size(json_object_get(one, "addresses")));
        len = len + (size_t)more < sizeof text ? len + (size_t)more : sizeof text - 1;
    }
    table_cell(t, len > 0 ? text : NULL);
}

static void worker_row(struct table *t, const json_t *w)
{
    char text[2 * SHOW_MAX];
    char address[300];
    (void)snprintf(address, sizeof address, "%s:%" PRId64, answer_text(w, "host", "?"),
                   answer_int(w, "port", 0));
    table_cell(t, address);
    table_cell(t, answer_text(w, "state", NULL));
    write_share(w, "coresUsed", "cores", text);
    table_cell(t, text);
    write_memory(w, "memoryUsed", "memory", text);
    table_cell(t, text);
    age_cell(t, w, "lastHeartbeat");
    resources_cell(t, w);
    table_cell(t, answer_text(w, "webUi", NULL));
}

static int print_workers(const json_t *workers)
{
    static const struct table_column columns[] = {
        {"WORKER", false},    {"STATE", false},    {"CORES", false}, {"MEMORY", false},
        {"HEARTBEAT", false}, {"RESOURCES", true}, {"PAGE", true},   {0},
    };
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    size_t i = 0;
    json_t *worker = NULL;
    json_array_foreach(workers, i, worker) worker_row(&t, worker);
    (void)putchar('\n');
    return table_print(&t);
}

/* ---- applications and drivers: those that live, and the newest of those that have ended ---- */

static bool app_ended(const json_t *app)
{
    return !json_is_true(json_object_get(app, "active"));
}

static bool driver_ended(const json_t *driver)
{
    return cluster_driver_is_final(answer_text(driver, "state", NULL));
}

static void app_row(struct table *t, const json_t *app)
{
    table_cell(t, answer_text(app, "id", NULL));
    table_cell(t, answer_text(app, "name", NULL));
    table_cell(t, answer_text(app, "user", NULL));
    table_cell(t, answer_text(app, "state", app_ended(app) ? "ended" : NULL));
    number_cell(t, app, "cores");
    bytes_cell(t, app, "memoryPerExecutor");
    age_cell(t, app, "submittedAt");
    table_cell(t, answer_text(app, "ui", NULL));
}

static void driver_row(struct table *t, const json_t *driver)
{
    table_cell(t, answer_text(driver, "id", NULL));
    table_cell(t, answer_text(driver, "state", NULL));
    table_cell(t, answer_text(driver, "worker", NULL));
    number_cell(t, driver, "cores");
    bytes_cell(t, driver, "memory");
    age_cell(t, driver, "submittedAt");
    table_cell(t, answer_text(driver, "mainClass", NULL));
    table_cell(t, answer_text(driver, "trouble", NULL));
}

struct section {
    const struct table_column *columns;
    const char *what;
    bool (*ended)(const json_t *item);
    void (*row)(struct table *t, const json_t *item);
};

static size_t count_ended(const json_t *list, bool (*ended)(const json_t *item))
{
    size_t n = 0;
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach(list, i, item) n += ended(item);
    return n;
}

/* The list has those that live first, and the ones that ended with the newest last. */
static int print_section(const struct section *s, const json_t *list)
{
    size_t ended = count_ended(list, s->ended);
    size_t hidden = ended > ENDED_SHOWN ? ended - ENDED_SHOWN : 0;
    size_t left_out = 0;
    cleanup(table_clear) struct table t;
    table_init(&t, s->columns);
    size_t i = 0;
    json_t *item = NULL;
    json_array_foreach(list, i, item)
    {
        if (s->ended(item) && left_out < hidden)
            left_out++;
        else
            s->row(&t, item);
    }
    (void)putchar('\n');
    int exit_code = table_print(&t);
    if (hidden > 0)
        (void)printf("and %zu %s that ended earlier; --json shows them\n", hidden, s->what);
    return exit_code;
}

static int print_applications(const json_t *list)
{
    static const struct table_column columns[] = {
        {"APPLICATION", false}, {"NAME", true},   {"USER", true},
        {"STATE", false},       {"CORES", false}, {"PER EXECUTOR", false},
        {"AGE", false},         {"PAGE", true},   {0},
    };
    static const struct section section = {columns, "applications", app_ended, app_row};
    return print_section(&section, list);
}

static int print_drivers(const json_t *list)
{
    static const struct table_column columns[] = {
        {"DRIVER", false}, {"STATE", false},  {"WORKER", true},
        {"CORES", false},  {"MEMORY", false}, {"AGE", false},
        {"CLASS", true},   {"TROUBLE", true}, {0},
    };
    static const struct section section = {columns, "drivers", driver_ended, driver_row};
    return print_section(&section, list);
}

int cluster_print(const json_t *c)
{
    const struct {
        const char *key;
        int (*print)(const json_t *list);
    } lists[] = {
        {"workers", print_workers}, {"applications", print_applications}, {"drivers", print_drivers}};
    int exit_code = CMD_OK;
    print_head(c);
    for (size_t i = 0; exit_code == CMD_OK && i < sizeof lists / sizeof *lists; i++)
        if (json_array_size(json_object_get(c, lists[i].key)) > 0)
            exit_code = lists[i].print(json_object_get(c, lists[i].key));
    return exit_code;
}

/* ---- the list ---- */

static void cluster_row(struct table *t, const json_t *c)
{
    char text[2 * SHOW_MAX];
    const json_t *totals = answer_get(c, "totals");
    bool reachable = json_is_true(json_object_get(c, "reachable"));
    table_cell(t, answer_text(c, "name", NULL));
    table_cell(t, reachable ? "ALIVE" : answer_get(c, "checkedAt") != NULL ? "UNREACHABLE" : NULL);
    table_cell(t, answer_text(c, "leader", NULL));
    table_cell(t, answer_text(c, "sparkVersion", NULL));
    write_share(totals, "workersAlive", "workers", text);
    table_cell(t, text);
    write_share(totals, "coresUsed", "cores", text);
    table_cell(t, text);
    write_memory(totals, "memoryUsed", "memory", text);
    table_cell(t, text);
    show_duration(answer_int(c, "ageMs", -1), text);
    table_cell(t, text);
    table_cell(t, answer_text(c, "trouble", NULL));
}

int cluster_print_list(const json_t *clusters)
{
    static const struct table_column columns[] = {
        {"NAME", false},  {"STATUS", false}, {"LEADER", true}, {"SPARK", false},  {"WORKERS", false},
        {"CORES", false}, {"MEMORY", false}, {"AGE", false},   {"TROUBLE", true}, {0},
    };
    cleanup(table_clear) struct table t;
    table_init(&t, columns);
    size_t i = 0;
    json_t *c = NULL;
    json_array_foreach(clusters, i, c) cluster_row(&t, c);
    return table_print(&t);
}
