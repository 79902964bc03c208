/* Operations that go on behind a token: with a real store, a real server and client, and operations of the
 * test's own that end when the test says so. */
#include "store_world.h"

#include "base/clock.h"
#include "loop/http_client.h"
#include "provision/provision_internal.h"

#include <string.h>

enum { PATIENCE_MS = 20000, HELD_MAX = 64 };

const char provision_door_name[] = "provision";

struct held {
    enum operation operation;
    char *descriptor, *owner, *proxy_user;
    int64_t since_ms;
    outcome_cb *done; /* NULL: it has ended */
    void *arg;
};

struct rig {
    struct world world;
    struct http_server *server;
    struct http_client *client;
    struct provision provision;
    unsigned n_held;
    struct held held[HELD_MAX];
    /* of the last call */
    bool answered;
    int status;
    char body[8192];
};

static struct rig *rig; /* for the stand-ins */

/* ---- stand-ins ---- */

const char *operation_name(enum operation operation)
{
    static const char *const names[] = {"validate", "provision", "unprovision"};
    return names[operation];
}

void operation_run(struct provision *p, const struct operation_request *request, outcome_cb *done, void *arg)
{
    assert_ptr_equal(p, &rig->provision);
    assert_in_range(rig->n_held, 0, HELD_MAX - 1);
    struct held *h = &rig->held[rig->n_held++];
    *h = (struct held){.operation = request->operation, .done = done, .arg = arg};
    h->since_ms = request->since_ms;
    h->descriptor = strdup(request->descriptor);
    h->owner = request->owner != NULL ? strdup(request->owner) : NULL;
    h->proxy_user = request->proxy_user != NULL ? strdup(request->proxy_user) : NULL;
}

/* A descriptor is just the name of its job here; without a slash it cannot be decoded. */
enum err_code descriptor_read(const char *text, struct descriptor *ret, struct err *err)
{
    const char *slash = strchr(text, '/');
    if (slash == NULL)
        return err_set(err, ERR_INVALID, "no slash");
    *ret = (struct descriptor){.has_component = true};
    ret->group = mem_strndup(text, (size_t)(slash - text));
    ret->component.job_name = mem_strdup(slash + 1);
    if (ret->group != NULL && ret->component.job_name != NULL)
        return ERR_OK;
    descriptor_clear(ret);
    return err_set(err, ERR_NOMEM, "out of memory");
}

void descriptor_clear(struct descriptor *d)
{
    mem_free(d->group);
    mem_free(d->component.job_name);
    *d = (struct descriptor){0};
}

/* ---- the rig ---- */

static void begin_as(struct http_request *r, enum operation operation)
{
    struct operation_request request = {
        .operation = operation,
        .descriptor = buf_cstr(http_body(r)),
        .owner = http_query(r, "owner"),
        .proxy_user = http_query(r, "proxy"),
    };
    tokens_begin(&rig->provision, r, &request);
}

static void begin_validate(struct http_request *r, void *arg)
{
    (void)arg;
    begin_as(r, OPERATION_VALIDATE);
}

static void begin_provision(struct http_request *r, void *arg)
{
    (void)arg;
    begin_as(r, OPERATION_PROVISION);
}

static void begin_unprovision(struct http_request *r, void *arg)
{
    (void)arg;
    begin_as(r, OPERATION_UNPROVISION);
}

static const struct http_route routes[] = {
    {"POST", "/v2/validate", begin_validate, "", false},
    {"POST", "/v1/provision", begin_provision, "", false},
    {"POST", "/v1/unprovision", begin_unprovision, "", false},
    {"GET", "/v2/validate/{token}/status", validate_status, "", false},
    {"GET", "/v1/provision/{token}/status", provision_status, "", false},
};

static void start_server(struct rig *r)
{
    struct err err = {0};
    struct http_options options = {
        .listen = "127.0.0.1:0",
        .base_path = "",
        .connections = 100,
        .body_limit = 1 << 20,
        .request_timeout_ms = PATIENCE_MS,
        .idle_timeout_ms = PATIENCE_MS,
    };
    open_store(&r->world);
    r->provision.options = (struct provision_options){.loop = &r->world.loop, .store = r->world.store};
    assert_int_equal(http_server_new(&r->world.loop, &options, &r->server, &err), ERR_OK);
    http_mount(r->server, routes, sizeof routes / sizeof *routes, &r->provision);
    r->client = http_client_new(&r->world.loop);
    assert_non_null(r->client);
    if (tokens_open(&r->provision, &r->provision.tokens, &err) != ERR_OK)
        fail_msg("%s", err.msg);
}

static void drop_held(struct rig *r)
{
    for (unsigned i = 0; i < r->n_held; i++) {
        free(r->held[i].descriptor);
        free(r->held[i].owner);
        free(r->held[i].proxy_user);
    }
    r->n_held = 0;
}

/* In the order in which the server stops its parts. What is held never ends, as after kill -9. */
static void stop_server(struct rig *r)
{
    store_close(r->world.store);
    tokens_stop(r->provision.tokens);
    http_server_close(r->server);
    http_client_free(r->client);
    assert_int_equal(uv_run(&r->world.loop, UV_RUN_DEFAULT), 0);
    tokens_free(r->provision.tokens);
    drop_held(r);
}

static int rig_begin(void **state)
{
    rig = calloc(1, sizeof *rig);
    world_init(&rig->world);
    start_server(rig);
    *state = rig;
    return 0;
}

static int rig_end(void **state)
{
    struct rig *r = *state;
    mem_fail_at(0);
    stop_server(r);
    assert_int_equal(uv_loop_close(&r->world.loop), 0);
    assert_int_equal(io_remove_tree(r->world.dir, NULL), ERR_OK);
    free(r);
    assert_int_equal(mem_live(), 0);
    return 0;
}

static void restart(struct rig *r)
{
    stop_server(r);
    start_server(r);
}

/* ---- calls ---- */

static void on_call(const struct http_result *result, void *arg)
{
    struct rig *r = arg;
    assert_in_range(result->len, 0, sizeof r->body - 1);
    memcpy(r->body, result->body, result->len + 1);
    r->status = result->status;
    r->answered = true;
}

static int call(struct rig *r, const char *method, const char *path, const char *body)
{
    char url[256];
    (void)snprintf(url, sizeof url, "http://%s%s", http_server_address(r->server), path);
    struct http_call_options options = {
        .method = method,
        .url = url,
        .body = body,
        .body_len = body != NULL ? strlen(body) : 0,
        .timeout_ms = PATIENCE_MS,
        .answer_max = sizeof r->body - 1,
    };
    r->answered = false;
    assert_non_null(http_call_start(r->client, &options, on_call, r));
    await(&r->world, &r->answered);
    return r->status;
}

struct token_text {
    char text[64];
};

static struct token_text take_token(struct rig *r, const char *path, const char *descriptor)
{
    struct token_text token = {""};
    assert_int_equal(call(r, "POST", path, descriptor), 202);
    assert_int_equal(r->body[0], '"');
    (void)snprintf(token.text, sizeof token.text, "%.*s", (int)strcspn(r->body + 1, "\""), r->body + 1);
    assert_int_equal(strlen(token.text) + 2, strlen(r->body));
    return token;
}

static int ask_status(struct rig *r, const char *kind, struct token_text token)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s/status", kind, token.text);
    return call(r, "GET", path, NULL);
}

static void expect_status(struct rig *r, const char *kind, struct token_text token, const char *body)
{
    assert_int_equal(ask_status(r, kind, token), 200);
    assert_string_equal(r->body, body);
}

/* Lets the loop work until so many operations have begun in all. */
static void until_held(struct rig *r, unsigned n)
{
    int64_t limit = clock_mono_ms() + PATIENCE_MS;
    while (r->n_held < n && clock_mono_ms() < limit)
        (void)uv_run(&r->world.loop, UV_RUN_ONCE);
    assert_int_equal(r->n_held, n);
}

static void finish(struct rig *r, unsigned i, const struct outcome *outcome)
{
    outcome_cb *done = r->held[i].done;
    assert_non_null(done);
    r->held[i].done = NULL;
    done(outcome, r->held[i].arg);
}

/* Ends one, and waits until its end is on disk. */
static void finish_wholly(struct rig *r, unsigned i, const struct outcome *outcome)
{
    finish(r, i, outcome);
    struct answer a = {0};
    const struct store_token other = {.token = "t", .door = "another", .facts = "{}", .changed_ms = 1};
    store_put_token(r->world.store, &other, on_answer, &a); /* writes happen in order */
    await(&r->world, &a.came);
}

static const struct strlist no_errors;
static char *two_items[] = {(char[]){"Job name not valid"}, (char[]){"Invalid cron expression"}, NULL};
static const struct strlist two_errors = {.items = two_items, .n = 2, .cap = 3};
static const struct outcome done_well = {.status = 200, .result = "{\"createdJob\":{}}"};
static const struct outcome valid = {.status = 200, .errors = &no_errors};

#define VALIDATE "/v2/validate"
#define PROVISION "/v1/provision"
#define UNPROVISION "/v1/unprovision"
#define RUNNING "{\"status\":\"RUNNING\",\"result\":\"\",\"info\":null,\"logs\":null}"
#define COMPLETED                                                                                            \
    "{\"status\":\"COMPLETED\",\"result\":\"{\\\"createdJob\\\":{}}\",\"info\":null,\"logs\":null}"

/* ---- tests ---- */

static void a_token_leads_to_the_outcome(void **state)
{
    struct rig *r = *state;
    struct token_text token = take_token(r, PROVISION "?owner=alice&proxy=bob", "orders/load");
    assert_true(strlen(token.text) >= 20);
    assert_int_equal(strspn(token.text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"),
                     strlen(token.text));
    expect_status(r, PROVISION, token, RUNNING);
    until_held(r, 1);
    assert_int_equal(r->held[0].operation, OPERATION_PROVISION);
    assert_string_equal(r->held[0].descriptor, "orders/load");
    assert_string_equal(r->held[0].owner, "alice");
    assert_string_equal(r->held[0].proxy_user, "bob");
    finish_wholly(r, 0, &done_well);
    expect_status(r, PROVISION, token, COMPLETED);
}

static void a_validation_tells_its_result(void **state)
{
    struct rig *r = *state;
    struct token_text good = take_token(r, VALIDATE, "a");
    struct token_text bad = take_token(r, VALIDATE, "b");
    struct token_text broken = take_token(r, VALIDATE, "c");
    expect_status(r, VALIDATE, good, "{\"status\":\"RUNNING\",\"info\":null}");
    until_held(r, 3);
    finish_wholly(r, 0, &valid);
    finish_wholly(r, 1, &(struct outcome){.status = 200, .errors = &two_errors});
    finish_wholly(r, 2, &(struct outcome){.status = 500, .error = "an exception"});
    expect_status(r, VALIDATE, good,
                  "{\"status\":\"COMPLETED\",\"info\":{\"publicInfo\":{\"valid\":true,\"error\":null}}}");
    expect_status(r, VALIDATE, bad,
                  "{\"status\":\"COMPLETED\",\"info\":{\"publicInfo\":{\"valid\":false,\"error\":{\"errors\":"
                  "[\"Job name not valid\",\"Invalid cron expression\"]}}}}");
    expect_status(r, VALIDATE, broken, "{\"status\":\"FAILED\",\"info\":null}");
}

static void a_failure_tells_its_messages(void **state)
{
    struct rig *r = *state;
    struct token_text refused = take_token(r, UNPROVISION, "orders/load");
    struct token_text broken = take_token(r, PROVISION, "orders/other");
    until_held(r, 2);
    assert_int_equal(r->held[0].operation, OPERATION_UNPROVISION);
    finish_wholly(r, 0, &(struct outcome){.status = 400, .errors = &two_errors});
    finish_wholly(r, 1, &(struct outcome){.status = 500, .error = "Livy URL not found in env vars"});
    assert_int_equal(ask_status(r, PROVISION, refused), 200);
    assert_non_null(strstr(r->body, "{\"status\":\"FAILED\",\"result\":\"Job name not valid\\nInvalid cron "
                                    "expression\",\"info\":null,\"logs\":[{\"timestamp\":\"2"));
    assert_non_null(
        strstr(r->body, "\"level\":\"ERROR\",\"message\":\"Job name not valid\",\"phase\":null}"));
    assert_int_equal(ask_status(r, PROVISION, broken), 200);
    assert_non_null(strstr(r->body, "\"result\":\"Livy URL not found in env vars\""));
}

static void an_unknown_token_is_named(void **state)
{
    struct rig *r = *state;
    assert_int_equal(ask_status(r, PROVISION, (struct token_text){"no-such_one"}), 400);
    assert_non_null(strstr(r->body, "\"errors\":[\"Provision state with id: no-such_one not found.\"]"));
    struct token_text validation = take_token(r, VALIDATE, "a");
    struct token_text provision = take_token(r, PROVISION, "b/c");
    assert_int_equal(ask_status(r, PROVISION, validation), 400);
    assert_int_equal(ask_status(r, VALIDATE, provision), 400);
}

static void what_was_accepted_goes_on_after_a_restart(void **state)
{
    struct rig *r = *state;
    struct token_text ended = take_token(r, PROVISION, "orders/first");
    until_held(r, 1);
    finish_wholly(r, 0, &done_well);
    int64_t before_ms = clock_wall_ms();
    struct token_text open = take_token(r, PROVISION "?owner=alice", "orders/second");
    until_held(r, 2);
    assert_int_equal(r->held[1].since_ms, 0);
    restart(r);
    expect_status(r, PROVISION, ended, COMPLETED);
    expect_status(r, PROVISION, open, RUNNING);
    until_held(r, 1);
    assert_string_equal(r->held[0].descriptor, "orders/second");
    assert_string_equal(r->held[0].owner, "alice");
    assert_null(r->held[0].proxy_user);
    assert_in_range(r->held[0].since_ms, before_ms, clock_wall_ms());
    finish_wholly(r, 0, &done_well);
    restart(r);
    expect_status(r, PROVISION, open, COMPLETED);
    assert_int_equal(r->n_held, 0);
}

/* The one that has begun; different jobs begin in any order. */
static unsigned held_as(const struct rig *r, enum operation operation, const char *descriptor)
{
    for (unsigned i = 0; i < r->n_held; i++)
        if (r->held[i].done != NULL && r->held[i].operation == operation &&
            strcmp(r->held[i].descriptor, descriptor) == 0)
            return i;
    fail_msg("%s %s has not begun", operation_name(operation), descriptor);
    return 0;
}

static void changes_of_one_job_happen_in_order(void **state)
{
    struct rig *r = *state;
    (void)take_token(r, PROVISION, "orders/load");
    (void)take_token(r, UNPROVISION, "orders/load");
    (void)take_token(r, PROVISION, "orders/load");
    (void)take_token(r, PROVISION, "orders/other");
    (void)take_token(r, VALIDATE, "orders/load");
    (void)take_token(r, PROVISION, "cannot be decoded");
    until_held(r, 4);
    (void)held_as(r, OPERATION_PROVISION, "orders/other");
    (void)held_as(r, OPERATION_VALIDATE, "orders/load");
    (void)held_as(r, OPERATION_PROVISION, "cannot be decoded");
    finish(r, held_as(r, OPERATION_PROVISION, "orders/load"), &done_well);
    until_held(r, 5);
    (void)held_as(r, OPERATION_UNPROVISION, "orders/load");
    restart(r); /* and so they do afterwards */
    until_held(r, 4);
    finish(r, held_as(r, OPERATION_UNPROVISION, "orders/load"), &done_well);
    until_held(r, 5);
    (void)held_as(r, OPERATION_PROVISION, "orders/load");
}

static void a_few_run_at_a_time(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 20; i++)
        (void)take_token(r, VALIDATE, "a");
    until_held(r, 16);
    finish_wholly(r, 3, &valid);
    until_held(r, 17);
}

static void old_ones_are_forgotten(void **state)
{
    struct rig *r = *state;
    static const char facts[] = "{\"operation\":\"validate\",\"number\":1,\"status\":200,\"errors\":[]}";
    int64_t now_ms = clock_wall_ms();
    const struct store_token rows[] = {
        {"old", provision_door_name, facts, now_ms - 25 * 3600 * 1000LL, true},
        {"fresh", provision_door_name, facts, now_ms - 23 * 3600 * 1000LL, true},
        {"nonsense", provision_door_name, "[", now_ms, true},
        {"foreign", provision_door_name, "{\"operation\":\"dance\"}", now_ms, false},
        {"empty", provision_door_name, "{\"operation\":\"provision\"}", now_ms, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer a = {0};
        store_put_token(r->world.store, &rows[i], on_answer, &a);
        await(&r->world, &a.came);
    }
    restart(r);
    assert_int_equal(ask_status(r, VALIDATE, (struct token_text){"fresh"}), 200);
    assert_int_equal(ask_status(r, VALIDATE, (struct token_text){"old"}), 400);
    assert_int_equal(ask_status(r, VALIDATE, (struct token_text){"nonsense"}), 400);
    assert_int_equal(ask_status(r, PROVISION, (struct token_text){"empty"}), 400);
    restart(r);
    assert_int_equal(ask_status(r, VALIDATE, (struct token_text){"old"}), 400);
    assert_string_equal(ask(&r->world, "SELECT count(*) FROM token WHERE token = 'old'"), "0");
    assert_string_equal(ask(&r->world, "SELECT count(*) FROM token WHERE NOT ended"), "0");
}

/* As many as are kept at most, which have ended so long ago. */
static void fill_up(struct rig *r, int64_t minutes_ago)
{
    enum { MANY = 10000 };
    static const char facts[] = "{\"operation\":\"validate\",\"number\":1,\"status\":200,\"errors\":[]}";
    struct answer last = {0};
    struct answer ignored = {0};
    for (int i = 0; i < MANY; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "many-%d", i);
        const struct store_token row = {text, provision_door_name, facts,
                                        clock_wall_ms() - minutes_ago * 60 * 1000, true};
        store_put_token(r->world.store, &row, on_answer, i == MANY - 1 ? &last : &ignored);
    }
    await(&r->world, &last.came);
    restart(r);
}

static void too_many_are_refused_for_an_hour(void **state)
{
    struct rig *r = *state;
    fill_up(r, 55);
    assert_int_equal(call(r, "POST", VALIDATE, "a"), 503);
    assert_non_null(strstr(r->body, "too many operations"));
    assert_int_equal(ask_status(r, VALIDATE, (struct token_text){"many-77"}), 200);
}

static void too_many_that_are_older_than_an_hour_give_way(void **state)
{
    struct rig *r = *state;
    fill_up(r, 65);
    assert_int_equal(ask_status(r, VALIDATE, (struct token_text){"many-77"}), 200);
    (void)take_token(r, VALIDATE, "a");
    assert_int_equal(ask_status(r, VALIDATE, (struct token_text){"many-77"}), 400);
}

/* Rows of operations that have not ended, for the next server. */
static void leave_open(struct rig *r, int first, int n, const char *descriptor)
{
    struct answer last = {0};
    struct answer ignored = {0};
    cleanup(buf_clear) struct buf facts = BUF(2 << 20);
    for (int i = first; i < first + n; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "open-%d", i);
        buf_reset(&facts);
        buf_printf(&facts, "{\"operation\":\"provision\",\"number\":%d,\"descriptor\":\"%s\"}", i,
                   descriptor);
        const struct store_token row = {text, provision_door_name, buf_cstr(&facts), clock_wall_ms(), false};
        store_put_token(r->world.store, &row, on_answer, i == first + n - 1 ? &last : &ignored);
    }
    await(&r->world, &last.came);
}

/* Looking through all of them at each step took minutes. */
static void a_long_queue_holds_nobody_up(void **state)
{
    enum { MANY = 4000 };
    struct rig *r = *state;
    leave_open(r, 0, MANY, "orders/first");
    leave_open(r, MANY, MANY, "orders/second");
    leave_open(r, 2 * MANY, 1, "orders/third");
    restart(r);
    until_held(r, 3);
    finish_wholly(r, held_as(r, OPERATION_PROVISION, "orders/first"), &done_well);
    until_held(r, 4);
    (void)held_as(r, OPERATION_PROVISION, "orders/first");
    (void)held_as(r, OPERATION_PROVISION, "orders/second");
    finish_wholly(r, held_as(r, OPERATION_PROVISION, "orders/third"), &done_well);
    (void)take_token(r, PROVISION, "orders/third");
    until_held(r, 5);
}

static void what_is_refused_writes_nothing(void **state)
{
    struct rig *r = *state;
    static const char facts[] = "{\"operation\":\"validate\",\"number\":1,\"status\":200,\"errors\":[]}";
    fill_up(r, 55);
    assert_int_equal(call(r, "POST", VALIDATE, "a"), 503);
    struct answer a = {0};
    const struct store_token old = {"old", provision_door_name, facts, clock_wall_ms() - 65 * 60 * 1000,
                                    true};
    store_put_token(r->world.store, &old, on_answer, &a);
    await(&r->world, &a.came);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call(r, "POST", VALIDATE, "a"), 503);
    struct answer later = {0};
    const struct store_token other = {"t", "another", "{}", 1, false};
    store_put_token(r->world.store, &other, on_answer, &later); /* writes happen in order */
    await(&r->world, &later.came);
    assert_string_equal(ask(&r->world, "SELECT count(*) FROM token WHERE token = 'old'"), "1");
}

static void what_is_kept_has_a_limit(void **state)
{
    enum { LARGE = 1 << 20, MANY = 64 };
    struct rig *r = *state;
    cleanup(mem_freep) char *large = mem_alloc(LARGE + 1);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';
    leave_open(r, 0, MANY, large);
    restart(r);
    assert_int_equal(call(r, "POST", PROVISION, "orders/load"), 503);
    assert_non_null(strstr(r->body, "too many operations"));
    until_held(r, 16);
    finish_wholly(r, 0, &done_well);
    (void)take_token(r, PROVISION, "orders/load");
}

static void accepting_survives_every_failing_allocation(void **state)
{
    struct rig *r = *state;
    int status = 0;
    for (long n = 1; status != 202 && n < 300; n++) {
        char url[128];
        (void)snprintf(url, sizeof url, "http://%s" PROVISION, http_server_address(r->server));
        struct http_call_options options = {"POST", url, .body = "a/b", .body_len = 3};
        options.timeout_ms = PATIENCE_MS;
        options.answer_max = 4096;
        assert_non_null(http_call_start(r->client, &options, on_call, r));
        r->answered = false;
        mem_fail_at(n);
        while (!r->answered)
            (void)uv_run(&r->world.loop, UV_RUN_ONCE);
        mem_fail_at(0);
        status = r->status;
        assert_true(status == 202 || status == 503 || status == 0);
    }
    assert_int_equal(status, 202);
}

int main(void)
{
#define RIG(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
    const struct CMUnitTest tests[] = {
        RIG(a_token_leads_to_the_outcome),
        RIG(a_validation_tells_its_result),
        RIG(a_failure_tells_its_messages),
        RIG(an_unknown_token_is_named),
        RIG(what_was_accepted_goes_on_after_a_restart),
        RIG(changes_of_one_job_happen_in_order),
        RIG(a_few_run_at_a_time),
        RIG(old_ones_are_forgotten),
        RIG(too_many_are_refused_for_an_hour),
        RIG(too_many_that_are_older_than_an_hour_give_way),
        RIG(a_long_queue_holds_nobody_up),
        RIG(what_is_refused_writes_nothing),
        RIG(what_is_kept_has_a_limit),
        RIG(accepting_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
