/*
 * One look at a cluster: its masters' states, then at once the leader's page and the states of drivers.
 *
 *     survey ──► ports (unless the page's address is known) ──► page ─┐
 *           └──► states of drivers that may still change ─────────────┴──► done
 *
 * Every question has what is left of the look's time, so the end comes within it; what was not answered
 * stays out of the result.
 */
#include "cluster/cluster_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cluster/cluster_kill.h"

#include <inttypes.h>
#include <string.h>

enum {
    PAGE_MAX = 4 * 1024 * 1024, /* bytes */
    PAGE_VALUES_MAX = 200000,   /* each takes some hundred bytes of memory */
    PAGE_KEPT_MAX = 256 * 1024,
    PAGE_FRESH_MS = 3000,
    PAGE_DEPTH = 32,
    PAGE_PATIENCE_MS = 3000, /* the rest is worth showing without it */
    DRIVERS_PER_LOOK = 256,  /* the newest; others are asked for at the next look */
};

struct driver_question {
    struct look *look;
    const json_t *id; /* in the survey */
};

struct look {
    struct look_options options;
    int64_t deadline_ms; /* monotonic */
    json_t *survey;
    const json_t *leader; /* the survey's element; NULL: none */
    struct http_call *call;
    json_t *page;
    char *page_trouble;
    int64_t rest_port;
    json_t *drivers; /* DriverStatusResponse by driver id */
    struct driver_question *questions;
    size_t pending; /* callbacks that will come */
};

static void forget_merged(struct look_memory *m)
{
    json_decref(m->seen_state);
    json_decref(m->seen_drivers);
    json_decref(m->merged);
    m->seen_state = m->seen_drivers = m->merged = NULL;
}

static void forget_page(struct look_memory *m)
{
    mem_free(m->page_text);
    json_decref(m->page);
    m->page_text = NULL;
    m->page = NULL;
    forget_merged(m);
}

void look_memory_clear(struct look_memory *m)
{
    forget_page(m);
    mem_free(m->leader);
    mem_free(m->web_ui);
    json_decref(m->final_drivers);
    *m = (struct look_memory){0};
}

void look_free(struct look *look)
{
    if (look == NULL)
        return;
    if (look->call != NULL)
        http_call_cancel(look->call);
    json_decref(look->survey);
    json_decref(look->page);
    json_decref(look->drivers);
    mem_free(look->page_trouble);
    mem_free(look->questions);
    mem_free(look);
}

static int64_t left_ms(const struct look *look)
{
    int64_t left = look->deadline_ms - clock_mono_ms();
    return left > 0 ? left : 1;
}

static const char *leader_address(const struct look *look)
{
    return json_string_value(json_object_get(look->leader, "master"));
}

static const json_t *leader_state(const struct look *look)
{
    return json_object_get(look->leader, "state");
}

/* ---- the end ---- */

/* The states that will not change any more, of drivers that the master still lists. */
static void remember_drivers(struct look *look)
{
    json_t *kept = json_object();
    const char *id = NULL;
    json_t *answer = NULL;
    json_object_foreach(look->drivers, id, answer)
    {
        if (cluster_driver_is_final(json_string_value(json_object_get(answer, "state"))))
            (void)json_object_set(kept, id, answer); /* one that is missing is asked for again */
    }
    json_decref(look->options.memory->final_drivers);
    look->options.memory->final_drivers = kept;
}

static json_t *make(const struct look *look)
{
    const struct cluster_facts facts = {
        .leader = leader_address(look),
        .state = leader_state(look),
        .version = masters_version(look->options.masters),
        .web_ui = look->options.memory->web_ui,
        .rest_port = look->rest_port,
        .page = look->page,
        .page_trouble = look->page_trouble,
        .drivers = look->drivers,
    };
    return cluster_json_state(&facts);
}

static bool says(const json_t *object, const char *key, const char *text)
{
    const char *is = json_string_value(json_object_get(object, key));
    return is == NULL || text == NULL ? is == text : strcmp(is, text) == 0;
}

/* A cluster that does nothing tells the same look after look. */
static bool is_as_before(const struct look *look)
{
    const struct look_memory *m = look->options.memory;
    return m->merged != NULL && look->page != NULL && look->page == m->page &&
           json_equal(leader_state(look), m->seen_state) && json_equal(look->drivers, m->seen_drivers) &&
           says(m->merged, "leader", leader_address(look)) && says(m->merged, "webUi", m->web_ui) &&
           says(m->merged, "sparkVersion", masters_version(look->options.masters));
}

static json_t *merge(struct look *look)
{
    struct look_memory *m = look->options.memory;
    if (is_as_before(look))
        return json_incref(m->merged);
    json_t *made = make(look);
    remember_drivers(look);
    forget_merged(m);
    if (made != NULL && look->page != NULL && look->page == m->page) {
        m->merged = json_incref(made);
        m->seen_state = json_incref(json_object_get(look->leader, "state"));
        m->seen_drivers = json_incref(look->drivers);
    }
    return made;
}

static void finish(struct look *look)
{
    const struct look_options options = look->options;
    json_t *masters = cluster_json_masters(look->survey);
    json_t *state = look->leader != NULL ? merge(look) : NULL;
    cleanup(mem_freep) char *trouble =
        look->leader == NULL ? cluster_json_trouble(masters_url(options.masters), look->survey) : NULL;
    const struct look_result result = {
        .masters = masters,
        .state = state,
        .trouble = trouble != NULL ? trouble : "out of memory",
        .leader = state != NULL ? leader_address(look) : NULL,
        .rest_port = look->rest_port,
    };
    options.done(&result, options.arg);
    json_decref(masters);
    json_decref(state);
    look_free(look);
}

static void release(struct look *look)
{
    if (--look->pending == 0)
        finish(look);
}

/* ---- drivers ---- */

static void on_driver(const struct rpc_answer *answer, void *arg)
{
    const struct driver_question *q = arg;
    struct look *look = q->look;
    const char *id = json_string_value(q->id);
    if (answer->result == RPC_VALUE && json_is_true(json_object_get(answer->value, "found")))
        (void)json_object_set(look->drivers, id, answer->value); /* one that is missing is asked for again */
    release(look);
}

/* Known: its state is final and was told before. */
static bool is_known(struct look *look, const char *id)
{
    json_t *known = json_object_get(look->options.memory->final_drivers, id);
    return known != NULL && json_object_set(look->drivers, id, known) == 0;
}

static size_t ask_newest(struct look *look, const char *list_name, size_t n)
{
    const json_t *list = json_object_get(leader_state(look), list_name);
    for (size_t i = json_array_size(list); i > 0; i--) {
        const json_t *id = json_object_get(json_array_get(list, i - 1), "id");
        if (!json_is_string(id) || is_known(look, json_string_value(id)) || n == DRIVERS_PER_LOOK)
            continue;
        struct driver_question *q = &look->questions[n++];
        *q = (struct driver_question){look, id};
        struct rpc_message message = {.kind = RPC_DRIVER_STATUS, .text = json_string_value(id)};
        look->pending++;
        masters_ask(look->options.masters, &message, left_ms(look), on_driver, q);
    }
    return n;
}

static void ask_drivers(struct look *look)
{
    size_t n = json_array_size(json_object_get(leader_state(look), "activeDrivers")) +
               json_array_size(json_object_get(leader_state(look), "completedDrivers"));
    if (n == 0)
        return;
    look->questions = mem_calloc(n < DRIVERS_PER_LOOK ? n : DRIVERS_PER_LOOK, sizeof *look->questions);
    if (look->questions != NULL)
        (void)ask_newest(look, "completedDrivers", ask_newest(look, "activeDrivers", 0));
}

/* ---- the page ---- */

static void no_page(struct look *look, const char *words)
{
    struct look_memory *memory = look->options.memory;
    mem_free(look->page_trouble);
    look->page_trouble = mem_printf("%s/json/: %s", memory->web_ui, words);
    (void)mem_set_str(&memory->leader, NULL); /* the page may have moved: ask for its port next time */
}

static bool is_same_page(const struct look_memory *m, const struct http_result *result)
{
    return m->page_text != NULL && m->page_len == result->len &&
           memcmp(m->page_text, result->body, result->len) == 0;
}

static void keep_page(struct look *look, const struct http_result *result)
{
    struct look_memory *m = look->options.memory;
    forget_page(m);
    m->page_text = result->len <= PAGE_KEPT_MAX ? mem_strndup(result->body, result->len) : NULL;
    m->page_len = result->len;
    m->page = m->page_text != NULL ? json_incref(look->page) : NULL;
}

/* A text can hold many more values than it has bytes to spare; a real page has some dozens for each worker.
 */
static bool holds_too_much(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == ',' || text[i] == '{' || text[i] == '[';
    return n > PAGE_VALUES_MAX;
}

/* False: it is none. */
static bool take_page(struct look *look, const struct http_result *result)
{
    struct look_memory *m = look->options.memory;
    json_t *page = NULL;
    m->page_ms = clock_mono_ms();
    if (is_same_page(m, result)) {
        look->page = json_incref(m->page);
        return true;
    }
    if (holds_too_much(result->body, result->len) ||
        json_parse(result->body, result->len, PAGE_DEPTH, &page, NULL) != ERR_OK ||
        !json_is_array(json_object_get(page, "workers"))) {
        json_decref(page);
        return false;
    }
    look->page = page;
    keep_page(look, result);
    return true;
}

static void read_page(struct look *look, const struct http_result *result)
{
    char status[48];
    if (result->status == 0) {
        no_page(look, result->err.msg);
    } else if (result->status != 200) {
        (void)snprintf(status, sizeof status, "HTTP status %d", result->status);
        no_page(look, status);
    } else if (!take_page(look, result)) {
        no_page(look, "not the JSON of a master's page");
    }
}

static void on_page(const struct http_result *result, void *arg)
{
    struct look *look = arg;
    look->call = NULL;
    read_page(look, result);
    release(look);
}

/* While the master tells nothing new its page hardly does: looks that follow closely do without a new one. */
static bool has_fresh_page(const struct look *look)
{
    const struct look_memory *m = look->options.memory;
    return m->page != NULL && m->seen_state != NULL && clock_mono_ms() - m->page_ms < PAGE_FRESH_MS &&
           json_equal(leader_state(look), m->seen_state);
}

static void ask_page(struct look *look)
{
    if (has_fresh_page(look)) {
        look->page = json_incref(look->options.memory->page);
        return;
    }
    const char *web_ui = look->options.memory->web_ui;
    cleanup(mem_freep) char *url = web_ui != NULL ? mem_printf("%s/json/", web_ui) : NULL;
    if (url == NULL || look->options.http == NULL)
        return;
    const struct http_call_options call = {
        .method = "GET",
        .url = url,
        .timeout_ms = left_ms(look) < PAGE_PATIENCE_MS ? left_ms(look) : PAGE_PATIENCE_MS,
        .answer_max = PAGE_MAX,
    };
    look->call = http_call_start(look->options.http, &call, on_page, look);
    if (look->call != NULL)
        look->pending++;
}

/* ---- the ports ---- */

/* The leader's host, as its URL has it, with the port of its page. */
static void remember_web_ui(struct look *look, int64_t port)
{
    struct look_memory *memory = look->options.memory;
    const char *leader = leader_address(look);
    const char *colon = strrchr(leader, ':');
    int host = colon != NULL ? (int)(colon - leader) : (int)strlen(leader);
    mem_free(memory->web_ui);
    memory->web_ui =
        port > 0 && port <= UINT16_MAX ? mem_printf("http://%.*s:%" PRId64, host, leader, port) : NULL;
    (void)mem_set_str(&memory->leader, memory->web_ui != NULL ? leader : NULL); /* asked for again */
}

static void on_ports(const struct rpc_answer *answer, void *arg)
{
    struct look *look = arg;
    if (answer->result == RPC_VALUE) {
        remember_web_ui(look, json_integer_value(json_object_get(answer->value, "webUIPort")));
        ask_page(look);
    }
    release(look);
}

static void ask_ports(struct look *look)
{
    static const struct rpc_message message = {.kind = RPC_BOUND_PORTS};
    look->pending++;
    masters_ask(look->options.masters, &message, left_ms(look), on_ports, look);
}

static bool knows_page(const struct look *look)
{
    const struct look_memory *memory = look->options.memory;
    return memory->leader != NULL && strcmp(memory->leader, leader_address(look)) == 0;
}

/* ---- the survey ---- */

static void ask_leader(struct look *look)
{
    int64_t rest_port = json_integer_value(json_object_get(leader_state(look), "restPort"));
    look->rest_port = rest_port > 0 && rest_port <= UINT16_MAX ? rest_port : 0;
    if (knows_page(look))
        ask_page(look);
    else
        ask_ports(look);
    ask_drivers(look);
}

static void on_survey(json_t *array, void *arg)
{
    struct look *look = arg;
    look->survey = json_incref(array);
    look->leader = cluster_json_leader(array);
    if (look->leader != NULL)
        ask_leader(look);
    release(look);
}

struct look *look_start(const struct look_options *options)
{
    struct look *look = mem_calloc(1, sizeof *look);
    if (look == NULL)
        return NULL;
    look->options = *options;
    look->deadline_ms = clock_mono_ms() + options->timeout_ms;
    look->drivers = json_object();
    look->pending = 1;
    masters_survey(options->masters, options->timeout_ms, on_survey, look);
    return look;
}

/* ---- the same for everybody ---- */

struct public_look {
    struct look_memory memory;
    char *url;
    bool with_details;
    void (*done)(json_t *object, void *arg);
    void *arg;
};

static json_t *whole_object(const struct public_look *p, const struct look_result *result)
{
    int64_t now = clock_wall_ms();
    struct cluster_frame frame = {
        .url = p->url,
        .trouble = result->state == NULL ? result->trouble : NULL,
        .checked_ms = now,
        .state_ms = result->state != NULL ? now : 0,
    };
    json_t *state = p->with_details || result->state == NULL ? json_incref(result->state)
                                                             : cluster_json_summary(result->state);
    return cluster_json_whole(&frame, json_deep_copy(result->masters), state);
}

static void on_public_look(const struct look_result *result, void *arg)
{
    struct public_look *p = arg;
    json_t *object = whole_object(p, result);
    p->done(object, p->arg);
    json_decref(object);
    look_memory_clear(&p->memory);
    mem_free(p->url);
    mem_free(p);
}

void cluster_look(struct masters *m, struct http_client *http, bool with_details, int64_t timeout_ms,
                  void (*done)(json_t *object, void *arg), void *arg)
{
    struct public_look *p = mem_calloc(1, sizeof *p);
    char *url = mem_strdup(masters_url(m));
    if (p != NULL && url != NULL) {
        *p = (struct public_look){.url = url, .with_details = with_details, .done = done, .arg = arg};
        const struct look_options options = {
            .masters = m,
            .http = http,
            .timeout_ms = timeout_ms,
            .memory = &p->memory,
            .done = on_public_look,
            .arg = p,
        };
        if (look_start(&options) != NULL)
            return;
    }
    mem_free(p);
    mem_free(url);
    done(NULL, arg);
}
