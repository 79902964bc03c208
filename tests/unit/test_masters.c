/* The masters of a cluster: their URL, who leads, and requests that follow the leader. */
#include "fake_node.h"

#include "cluster/masters.h"

enum { LONG_MS = 50 * 1000, SHORT_MS = 300, FAKES = 2, ASKS_MAX = 8 };

struct heard {
    enum rpc_result result;
    bool uncertain, frees;
    char words[2000];
    json_t *value;
    unsigned n; /* callbacks */
};

static struct rig {
    uv_loop_t loop;
    uv_timer_t later;
    struct fake_node fakes[FAKES];
    const char *status[FAKES]; /* "ALIVE", "STANDBY", "RECOVERING" */
    unsigned n_acted[FAKES];   /* requests that an ALIVE one has answered, other than for its state */
    struct masters *masters;
    char url[128];
    long live;
    struct heard heard[ASKS_MAX];
    json_t *survey;
    unsigned n_surveys;
    bool survey_frees;
} rig;

static const struct rpc_message kill_driver = {.kind = RPC_KILL_DRIVER, .text = "driver-1"};
static const struct rpc_message driver_status = {.kind = RPC_DRIVER_STATUS, .text = "driver-1"};
static const struct rpc_message bound_ports = {.kind = RPC_BOUND_PORTS};

static const struct strlist no_arguments;
static const struct strmap no_environment;
static const struct rpc_driver driver = {.jar_url = "file:/x.jar",
                                         .memory_mib = 512,
                                         .cores = 1,
                                         .main_class = "x",
                                         .arguments = &no_arguments,
                                         .environment = &no_environment};
static const struct rpc_message submit = {.kind = RPC_SUBMIT_DRIVER, .driver = &driver};

/* ---- Java objects of the test's own: a flag, a text, and perhaps a throwable instead of the text ---- */

struct stream {
    uint8_t bytes[1024];
    size_t n;
};

static void put_bytes(struct stream *s, const void *bytes, size_t n)
{
    assert_true(s->n + n <= sizeof s->bytes);
    memcpy(s->bytes + s->n, bytes, n);
    s->n += n;
}

static void put_utf(struct stream *s, const char *text)
{
    uint8_t len[2] = {(uint8_t)(strlen(text) >> 8), (uint8_t)strlen(text)};
    put_bytes(s, len, 2);
    put_bytes(s, text, strlen(text));
}

static void put_string(struct stream *s, const char *text)
{
    put_bytes(s, "\x74", 1);
    put_utf(s, text);
}

/* Up to the fields; the class is serializable. */
static void put_class(struct stream *s, const char *name, char n_fields)
{
    put_bytes(s, "\x72", 1);
    put_utf(s, name);
    put_bytes(s, "\0\0\0\0\0\0\0\1\2\0", 10);
    put_bytes(s, &n_fields, 1);
}

static void put_field(struct stream *s, char type, const char *name, const char *signature)
{
    put_bytes(s, &type, 1);
    put_utf(s, name);
    if (signature != NULL)
        put_string(s, signature);
}

static void put_throwable(struct stream *s, const char *message)
{
    put_bytes(s, "\x73", 1);
    put_class(s, "java.lang.Exception", 0);
    put_bytes(s, "\x78", 1);
    put_class(s, "java.lang.Throwable", 1);
    put_field(s, 'L', "detailMessage", "Ljava/lang/String;");
    put_bytes(s, "\x78\x70", 2);
    put_string(s, message);
}

/* `flag` may be NULL. The other field is the throwable's when it is called "exception". */
static void reply_object(struct fake_peer *peer, int64_t id, const char *class, const char *flag,
                         const char *field, const char *text)
{
    struct stream s = {.n = 0};
    put_bytes(&s, "\xac\xed\0\5\x73", 5);
    put_class(&s, class, flag != NULL ? 2 : 1);
    if (flag != NULL)
        put_field(&s, 'Z', flag, NULL);
    put_field(&s, 'L', field, "Ljava/lang/Object;");
    put_bytes(&s, "\x78\x70", 2);
    if (flag != NULL)
        put_bytes(&s, "\0", 1);
    if (strcmp(field, "exception") == 0)
        put_throwable(&s, text);
    else
        put_string(&s, text);
    fake_reply(peer, FRAME_RESPONSE, id, s.bytes, s.n);
}

#define MESSAGES "org.apache.spark.deploy.DeployMessages$"

static void refuse(struct fake_peer *peer, const struct frame *frame, const char *status)
{
    char text[200];
    (void)snprintf(text, sizeof text,
                   "Current state is not alive: %s. Can only accept requests in ALIVE state.", status);
    if (fake_mentions(frame, "RequestMasterState$"))
        reply_object(peer, frame->id, MESSAGES "MasterStateResponse", NULL, "status", status);
    else if (fake_mentions(frame, "RequestDriverStatus"))
        reply_object(peer, frame->id, MESSAGES "DriverStatusResponse", "found", "exception", text);
    else if (fake_mentions(frame, "RequestSubmitDriver"))
        reply_object(peer, frame->id, MESSAGES "SubmitDriverResponse", "success", "message", text);
    else
        reply_object(peer, frame->id, MESSAGES "KillDriverResponse", "success", "message", text);
}

/* What masters do. */
static void act(struct fake_peer *peer, const struct frame *frame)
{
    size_t i = (size_t)(peer->node - rig.fakes);
    if (strcmp(rig.status[i], "ALIVE") != 0) {
        refuse(peer, frame, rig.status[i]);
        return;
    }
    rig.n_acted[i] += !fake_mentions(frame, "RequestMasterState$");
    fake_answer(peer, frame);
}

/* ---- the user's side ---- */

static int rig_up(void **state)
{
    (void)state;
    rig = (struct rig){.live = mem_live(), .status = {"STANDBY", "ALIVE"}};
    if (uv_loop_init(&rig.loop) != 0 || uv_timer_init(&rig.loop, &rig.later) != 0)
        return -1;
    for (size_t i = 0; i < FAKES; i++) {
        fake_node_init(&rig.fakes[i], &rig.loop, "4.0.1");
        rig.fakes[i].act = act;
    }
    (void)snprintf(rig.url, sizeof rig.url, "spark://127.0.0.1:%u,127.0.0.1:%u", (unsigned)rig.fakes[0].port,
                   (unsigned)rig.fakes[1].port);
    struct masters_options options = {&rig.loop, rig.url, NULL};
    return masters_new(&options, &rig.masters, NULL) == ERR_OK ? 0 : -1;
}

static int rig_down(void **state)
{
    (void)state;
    masters_free(rig.masters);
    for (size_t i = 0; i < FAKES; i++)
        fake_node_down(&rig.fakes[i]);
    uv_close((uv_handle_t *)&rig.later, NULL);
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < ASKS_MAX; i++)
        json_decref(rig.heard[i].value);
    json_decref(rig.survey);
    return uv_loop_close(&rig.loop) == 0 && mem_live() == rig.live ? 0 : -1;
}

static void use_first_alone(void)
{
    struct masters_options options = {&rig.loop, rig.url, NULL};
    masters_free(rig.masters);
    *strchr(rig.url, ',') = '\0';
    assert_int_equal(masters_new(&options, &rig.masters, NULL), ERR_OK);
}

static void on_answer(const struct rpc_answer *answer, void *arg)
{
    struct heard *h = arg;
    h->n++;
    h->result = answer->result;
    h->uncertain = answer->uncertain;
    (void)snprintf(h->words, sizeof h->words, "%s", answer->words);
    json_decref(h->value);
    h->value = json_incref(answer->value);
    if (h->frees) {
        masters_free(rig.masters);
        rig.masters = NULL;
    }
}

static void ask(unsigned i, const struct rpc_message *message, int64_t timeout_ms)
{
    masters_ask(rig.masters, message, timeout_ms, on_answer, &rig.heard[i]);
    assert_int_equal(rig.heard[i].n, 0);
}

static struct heard *hear(unsigned i, const struct rpc_message *message, int64_t timeout_ms)
{
    ask(i, message, timeout_ms);
    FAKE_UNTIL(&rig.loop, rig.heard[i].n > 0);
    return &rig.heard[i];
}

static void assert_heard(const struct heard *h, enum rpc_result result, const char *words)
{
    if (h->result != result || strstr(h->words, words) == NULL)
        fail_msg("%s: %s", rpc_result_name(h->result), h->words);
    assert_int_equal(h->n, 1);
}

static void assert_leader(size_t i)
{
    char name[64];
    (void)snprintf(name, sizeof name, "127.0.0.1:%u", (unsigned)rig.fakes[i].port);
    assert_string_equal(masters_leader(rig.masters), name);
    assert_string_equal(masters_leader_host(rig.masters), "127.0.0.1");
}

static void on_later(uv_timer_t *timer)
{
    (void)timer;
    rig.status[1] = "ALIVE";
}

/* ---- URLs ---- */

static void urls_are_checked(void **state)
{
    static const char *const good[] = {"spark://a", "spark://a:7077,b:7077", "spark://[::1]:7077",
                                       "spark://[fe80::1%eth0]", "spark://10.0.0.1,b_c.example-1.org:1"};
    static const char *const bad[][2] = {{"", "spark://"},
                                         {"yarn", "spark://"},
                                         {"http://a:7077", "spark://"},
                                         {"spark://", "no host"},
                                         {"spark://a,", "no host"},
                                         {"spark://a:7077/", "port"},
                                         {"spark://a:0", "port"},
                                         {"spark://a:65536", "port"},
                                         {"spark://a:", "port"},
                                         {"spark://a b", "no host"},
                                         {"spark://u@a", "no host"},
                                         {"spark://[::1", "no host"},
                                         {"spark://[a]", "no host"},
                                         {"spark://::1", "no host"},
                                         {"spark://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", "16 masters"}};
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(masters_check_url(good[i], &err), ERR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(masters_check_url(bad[i][0], &err), ERR_INVALID);
        if (strstr(err.msg, bad[i][1]) == NULL || strstr(err.msg, "allowed is") == NULL)
            fail_msg("%s: %s", bad[i][0], err.msg);
    }
    assert_int_equal(masters_check_url(NULL, &err), ERR_INVALID);
}

/* ---- the leader ---- */

static void the_only_master_is_asked_at_once(void **state)
{
    (void)state;
    use_first_alone();
    rig.status[0] = "ALIVE";
    assert_null(masters_leader(rig.masters));
    assert_heard(hear(0, &driver_status, LONG_MS), RPC_VALUE, "");
    assert_int_equal(rig.fakes[0].n_asked, 1);
    assert_leader(0);
    assert_string_equal(masters_scala(rig.masters), "2.13");
}

static void the_leader_is_found_and_remembered(void **state)
{
    (void)state;
    assert_heard(hear(0, &driver_status, LONG_MS), RPC_VALUE, "");
    assert_leader(1);
    FAKE_UNTIL(&rig.loop, rig.fakes[0].n_asked == 1);
    for (unsigned i = 1; i < 5; i++)
        assert_heard(hear(i, &bound_ports, LONG_MS), RPC_VALUE, "");
    assert_int_equal(rig.fakes[0].n_asked, 1);
    assert_int_equal(rig.n_acted[1], 5);
    assert_string_equal(masters_url(rig.masters), rig.url);
}

static void the_first_of_two_leaders_stays(void **state)
{
    (void)state;
    rig.status[0] = "ALIVE";
    assert_heard(hear(0, &driver_status, LONG_MS), RPC_VALUE, "");
    FAKE_UNTIL(&rig.loop, rig.fakes[0].n_asked > 0 && rig.fakes[1].n_asked > 0);
    for (unsigned i = 1; i < 6; i++)
        assert_heard(hear(i, &driver_status, LONG_MS), RPC_VALUE, "");
    assert_true(rig.n_acted[0] == 0 || rig.n_acted[1] == 0);
}

static void a_leader_that_comes_later_is_waited_for(void **state)
{
    (void)state;
    rig.status[1] = "STANDBY";
    (void)uv_timer_start(&rig.later, on_later, 700, 0);
    for (unsigned i = 0; i < 3; i++)
        ask(i, &kill_driver, LONG_MS);
    FAKE_UNTIL(&rig.loop, rig.heard[2].n > 0);
    for (unsigned i = 0; i < 3; i++)
        assert_heard(&rig.heard[i], RPC_VALUE, "");
    assert_leader(1);
}

static void a_leader_that_stands_by_is_left(void **state)
{
    (void)state;
    static const struct rpc_message *const rows[] = {&driver_status, &kill_driver, &submit, &driver_status};
    for (unsigned i = 0; i < 4; i++) {
        size_t leader = i % 2;
        rig.status[leader] = "ALIVE";
        rig.status[!leader] = i == 0 ? "STANDBY" : "RECOVERING";
        unsigned n_acted = rig.n_acted[leader];
        assert_heard(hear(i, rows[i], LONG_MS), RPC_VALUE, "");
        assert_leader(leader);
        assert_int_equal(rig.n_acted[leader], n_acted + 1);
    }
}

static void a_leader_that_dies_is_followed(void **state)
{
    (void)state;
    rig.status[0] = "ALIVE";
    rig.status[1] = "STANDBY";
    assert_heard(hear(0, &driver_status, LONG_MS), RPC_VALUE, "");
    assert_leader(0);
    fake_node_down(&rig.fakes[0]);
    (void)uv_timer_start(&rig.later, on_later, 300, 0);
    assert_heard(hear(1, &kill_driver, LONG_MS), RPC_VALUE, "");
    assert_leader(1);
}

static void say_nothing(struct fake_peer *peer, const struct frame *frame)
{
    (void)peer;
    (void)frame;
}

static void a_leader_that_hangs_is_left(void **state)
{
    (void)state;
    rig.status[0] = "ALIVE";
    rig.status[1] = "STANDBY";
    assert_heard(hear(0, &driver_status, LONG_MS), RPC_VALUE, "");
    rig.fakes[0].act = rig.fakes[0].discover = say_nothing;
    rig.status[1] = "ALIVE";
    assert_heard(hear(1, &driver_status, 3000), RPC_VALUE, "");
    assert_leader(1);
}

/* ---- no leader ---- */

static void every_master_is_named_when_none_is_alive(void **state)
{
    char words[2][100];
    (void)state;
    (void)snprintf(words[0], sizeof words[0], "127.0.0.1:%u is RECOVERING", (unsigned)rig.fakes[0].port);
    (void)snprintf(words[1], sizeof words[1], "127.0.0.1:%u cannot be reached (connection refused)",
                   (unsigned)rig.fakes[1].port);
    rig.status[0] = "RECOVERING";
    fake_node_down(&rig.fakes[1]);
    assert_heard(hear(0, &kill_driver, SHORT_MS), RPC_UNREACHABLE, words[0]);
    assert_heard(&rig.heard[0], RPC_UNREACHABLE, words[1]);
    assert_heard(&rig.heard[0], RPC_UNREACHABLE, rig.url);
    assert_false(rig.heard[0].uncertain);
    fake_node_down(&rig.fakes[0]);
    assert_heard(hear(1, &submit, SHORT_MS), RPC_UNREACHABLE, words[1]);
    assert_null(masters_leader(rig.masters));
}

static void the_only_master_may_stand_by(void **state)
{
    (void)state;
    use_first_alone();
    assert_heard(hear(0, &submit, SHORT_MS), RPC_UNREACHABLE, " is STANDBY");
    assert_false(rig.heard[0].uncertain);
    assert_heard(hear(1, &bound_ports, SHORT_MS), RPC_UNREACHABLE, " is STANDBY");
    rig.status[0] = "ALIVE";
    assert_heard(hear(2, &submit, LONG_MS), RPC_VALUE, "");
}

static void speak_http(struct fake_peer *peer, const struct frame *frame)
{
    (void)frame;
    fake_send(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void be_a_worker(struct fake_peer *peer, const struct frame *frame)
{
    fake_fail(peer, frame->id, "org.apache.spark.SparkException: Could not find Master.");
}

static void what_is_no_master_is_not_waited_for(void **state)
{
    (void)state;
    rig.fakes[0].discover = speak_http;
    rig.fakes[1].act = be_a_worker;
    int64_t start_ms = clock_mono_ms();
    assert_heard(hear(0, &driver_status, LONG_MS), RPC_NO_ENDPOINT, "but HTTP");
    assert_heard(&rig.heard[0], RPC_NO_ENDPOINT, "has no endpoint 'Master'");
    assert_true(clock_mono_ms() - start_ms < LONG_MS / 2);
}

/* ---- what may be repeated ---- */

static void hang_up(struct fake_peer *peer, const struct frame *frame)
{
    if (fake_mentions(frame, "RequestMasterState$"))
        fake_answer(peer, frame);
    else
        fake_close(peer);
}

static void a_submission_that_may_have_arrived_is_not_repeated(void **state)
{
    (void)state;
    rig.status[0] = "ALIVE";
    rig.status[1] = "STANDBY";
    rig.fakes[0].act = hang_up;
    unsigned n_asked = 2; /* state, and the submission itself */
    assert_heard(hear(0, &submit, LONG_MS), RPC_CLOSED, "closed");
    assert_true(rig.heard[0].uncertain);
    assert_int_equal(rig.fakes[0].n_asked, n_asked);
    rig.fakes[0].act = act;
    assert_heard(hear(1, &submit, LONG_MS), RPC_VALUE, "");
}

/* ---- surveys ---- */

static void on_survey(json_t *array, void *arg)
{
    assert_ptr_equal(arg, &rig);
    rig.n_surveys++;
    json_decref(rig.survey);
    rig.survey = json_incref(array);
    if (rig.survey_frees) {
        masters_free(rig.masters);
        rig.masters = NULL;
    }
}

static const char *text_at(size_t i, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(rig.survey, i), key));
    return text != NULL ? text : "none";
}

static void a_survey_tells_the_state_of_each(void **state)
{
    (void)state;
    fake_node_down(&rig.fakes[0]);
    masters_survey(rig.masters, LONG_MS, on_survey, &rig);
    FAKE_UNTIL(&rig.loop, rig.n_surveys == 1);
    assert_int_equal(json_array_size(rig.survey), 2);
    assert_string_equal(text_at(0, "result"), "unreachable");
    assert_non_null(strstr(text_at(0, "error"), "connection refused"));
    assert_string_equal(text_at(1, "status"), "ALIVE");
    assert_string_equal(text_at(1, "error"), "none");
    assert_true(json_is_object(json_object_get(json_array_get(rig.survey, 1), "state")));
    assert_leader(1);
    fake_node_up(&rig.fakes[0]);
    masters_survey(rig.masters, LONG_MS, on_survey, &rig);
    FAKE_UNTIL(&rig.loop, rig.n_surveys == 2);
    assert_string_equal(text_at(0, "status"), "STANDBY");
}

static void answer_the_wrong_thing(struct fake_peer *peer, const struct frame *frame)
{
    fake_send_vector(peer, "4.0.1", "check-existence-master.response", frame->id);
}

static void a_survey_wants_states(void **state)
{
    (void)state;
    rig.fakes[1].act = answer_the_wrong_thing;
    masters_survey(rig.masters, LONG_MS, on_survey, &rig);
    FAKE_UNTIL(&rig.loop, rig.n_surveys == 1);
    assert_string_equal(text_at(1, "result"), "broken");
    assert_non_null(strstr(text_at(1, "error"), "no master's state"));
    assert_null(masters_leader(rig.masters));
}

/* ---- ends and memory ---- */

static void masters_may_be_freed_inside_callbacks(void **state)
{
    (void)state;
    rig.heard[0].frees = true;
    for (unsigned i = 0; i < 4; i++)
        ask(i, &driver_status, LONG_MS);
    masters_survey(rig.masters, LONG_MS, on_survey, &rig);
    FAKE_UNTIL(&rig.loop, rig.masters == NULL);
    FAKE_UNTIL(&rig.loop, mem_live() == rig.live);
    assert_int_equal(rig.heard[1].n, 0);
}

static void masters_may_be_freed_inside_a_survey(void **state)
{
    (void)state;
    rig.survey_frees = true;
    masters_survey(rig.masters, LONG_MS, on_survey, &rig);
    masters_survey(rig.masters, LONG_MS, on_survey, &rig);
    FAKE_UNTIL(&rig.loop, rig.masters == NULL);
    FAKE_UNTIL(&rig.loop, mem_live() == rig.live);
    assert_int_equal(rig.n_surveys, 1);
}

static void masters_may_be_freed_while_nobody_is_alive(void **state)
{
    (void)state;
    rig.status[1] = "STANDBY";
    rig.heard[0].frees = true;
    ask(0, &driver_status, SHORT_MS);
    ask(1, &driver_status, SHORT_MS);
    FAKE_UNTIL(&rig.loop, rig.masters == NULL);
    assert_int_equal(rig.heard[1].n, 0);
}

static void use_with_a_failing_allocation(long nth)
{
    long live = mem_live();
    struct masters_options options = {&rig.loop, rig.url, NULL};
    mem_fail_at(nth);
    rig.heard[0].n = rig.n_surveys = 0;
    if (masters_new(&options, &rig.masters, NULL) == ERR_OK) {
        ask(0, &submit, 400);
        masters_survey(rig.masters, 400, on_survey, &rig);
        FAKE_UNTIL(&rig.loop, rig.heard[0].n > 0 && rig.n_surveys > 0);
        assert_int_equal(rig.heard[0].n, 1);
        assert_int_equal(rig.n_surveys, 1);
    }
    mem_fail_at(0);
    masters_free(rig.masters);
    rig.masters = NULL;
    FAKE_UNTIL(&rig.loop, mem_live() == live);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    masters_free(rig.masters);
    rig.masters = NULL;
    FAKE_UNTIL(&rig.loop, mem_live() == rig.live);
    use_with_a_failing_allocation(0); /* reads the vectors */
    for (long n = 1; n < 250; n++)
        use_with_a_failing_allocation(n);
    use_with_a_failing_allocation(0);
    assert_heard(&rig.heard[0], RPC_VALUE, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(urls_are_checked),
        TEST(the_only_master_is_asked_at_once),
        TEST(the_leader_is_found_and_remembered),
        TEST(the_first_of_two_leaders_stays),
        TEST(a_leader_that_comes_later_is_waited_for),
        TEST(a_leader_that_stands_by_is_left),
        TEST(a_leader_that_dies_is_followed),
        TEST(a_leader_that_hangs_is_left),
        TEST(every_master_is_named_when_none_is_alive),
        TEST(the_only_master_may_stand_by),
        TEST(what_is_no_master_is_not_waited_for),
        TEST(a_submission_that_may_have_arrived_is_not_repeated),
        TEST(a_survey_tells_the_state_of_each),
        TEST(a_survey_wants_states),
        TEST(masters_may_be_freed_inside_callbacks),
        TEST(masters_may_be_freed_inside_a_survey),
        TEST(masters_may_be_freed_while_nobody_is_alive),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
