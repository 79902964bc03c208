/* A connection to a Spark node: what it survives, and what it tells. */
#include "fake_node.h"

#include "rpc/rpc.h"

#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONG_MS = 50 * 1000, SHORT_MS = 150, ASKS_MAX = 1200 };

struct heard {
    enum rpc_result result;
    bool uncertain;
    char words[700];
    json_t *value;
    unsigned n; /* callbacks */
    bool frees, asks_again;
};

static struct rig {
    uv_loop_t loop;
    struct fake_node fake;
    struct rpc_node *node;
    uv_timer_t trickle;
    long live;
    struct heard heard[ASKS_MAX];
    bool is_returned; /* from rpc_ask() */
} rig;

static const struct rpc_message master_state = {.kind = RPC_MASTER_STATE};
static const struct rpc_message driver_status = {.kind = RPC_DRIVER_STATUS,
                                                 .text = "driver-20261120230635-0000"};

/* ---- the user's side ---- */

static void open_node(const char *host, const char *secret)
{
    struct rpc_node_options options = {
        .loop = &rig.loop, .host = host, .port = rig.fake.port, .secret = secret, .frame_max = 32 << 20};
    rig.node = rpc_node_new(&options);
    assert_non_null(rig.node);
}

static void ask(unsigned i, const struct rpc_message *message, int64_t timeout_ms);

static void on_answer(const struct rpc_answer *answer, void *arg)
{
    struct heard *h = arg;
    assert_true(rig.is_returned);
    h->n++;
    h->result = answer->result;
    h->uncertain = answer->uncertain;
    (void)snprintf(h->words, sizeof h->words, "%s", answer->words);
    json_decref(h->value);
    h->value = json_incref(answer->value);
    if (h->frees) {
        rpc_node_free(rig.node);
        rig.node = NULL;
    }
    if (h->asks_again && h->n == 1)
        ask((unsigned)(h - rig.heard), &master_state, LONG_MS);
}

static void ask(unsigned i, const struct rpc_message *message, int64_t timeout_ms)
{
    rig.is_returned = false;
    rpc_ask(rig.node, message, timeout_ms, on_answer, &rig.heard[i]);
    rig.is_returned = true;
}

static struct heard *wait_for(unsigned i)
{
    FAKE_UNTIL(&rig.loop, rig.heard[i].n > 0);
    return &rig.heard[i];
}

/* Asks as number i, and waits. */
static struct heard *hear(unsigned i, const struct rpc_message *message, int64_t timeout_ms)
{
    ask(i, message, timeout_ms);
    return wait_for(i);
}

static void assert_heard(const struct heard *h, enum rpc_result result, const char *words)
{
    if (h->result != result || strstr(h->words, words) == NULL)
        fail_msg("%s: %s", rpc_result_name(h->result), h->words);
    assert_int_equal(h->n, 1);
}

static int rig_up(void **state)
{
    (void)state;
    rig = (struct rig){.is_returned = true, .live = mem_live()};
    if (uv_loop_init(&rig.loop) != 0 || uv_timer_init(&rig.loop, &rig.trickle) != 0)
        return -1;
    fake_node_init(&rig.fake, &rig.loop, "3.5.7");
    open_node("127.0.0.1", NULL);
    return 0;
}

static int rig_down(void **state)
{
    (void)state;
    rpc_node_free(rig.node);
    fake_node_down(&rig.fake);
    uv_close((uv_handle_t *)&rig.trickle, NULL);
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < ASKS_MAX; i++)
        json_decref(rig.heard[i].value);
    return uv_loop_close(&rig.loop) == 0 && mem_live() == rig.live ? 0 : -1;
}

static void use_version(const char *version)
{
    rig.fake.version = version;
}

/* ---- answers ---- */

static void nodes_of_both_scalas_are_understood(void **state)
{
    static const char *const rows[][3] = {{"3.5.7", "2.12", "3.4 or 3.5"}, {"4.0.1", "2.13", "4.0"}};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        use_version(rows[i][0]);
        fake_node_hang_up(&rig.fake);
        struct heard *h = hear(i, &master_state, LONG_MS);
        assert_heard(h, RPC_VALUE, "");
        assert_string_equal(h->words, "");
        assert_string_equal(json_string_value(json_object_get(h->value, "status")), "ALIVE");
        assert_string_equal(rpc_node_scala(rig.node), rows[i][1]);
        assert_string_equal(rpc_node_version(rig.node), rows[i][2]);
    }
}

static struct frame held[3];
static unsigned n_held;

static void answer_in_reverse(struct fake_peer *peer, const struct frame *frame)
{
    static const uint8_t one_way[] = {0, 0, 0, 0, 0, 0, 0, 15, 9, 0, 0, 0, 2, 'h', 'i'};
    held[n_held++] = *frame;
    if (n_held < 3)
        return;
    fake_send(peer, one_way, sizeof one_way);
    fake_reply(peer, FRAME_REQUEST, held[0].id, "what", 4);
    fake_fail(peer, 424242, "nobody asked this");
    fake_send_vector(peer, "3.5.7", "driver-status-unknown.response", held[2].id);
    fake_send_vector(peer, "3.5.7", "driver-status-running.response", held[1].id);
    fake_send_vector(peer, "3.5.7", "master-state-idle.response", held[0].id);
    fake_send_vector(peer, "3.5.7", "driver-status-unknown.response", held[0].id); /* once more */
}

static void answers_are_matched_by_id_and_strays_are_skipped(void **state)
{
    (void)state;
    n_held = 0;
    rig.fake.act = answer_in_reverse;
    ask(0, &master_state, LONG_MS);
    ask(1, &driver_status, LONG_MS);
    ask(2, &driver_status, LONG_MS);
    for (unsigned i = 0; i < 3; i++)
        assert_heard(wait_for(i), RPC_VALUE, "");
    assert_non_null(json_object_get(rig.heard[0].value, "workers"));
    assert_true(json_is_true(json_object_get(rig.heard[1].value, "found")));
    assert_true(json_is_false(json_object_get(rig.heard[2].value, "found")));
    assert_int_equal(rig.fake.n_connections, 1);
}

/* A state that came again is the same value: nothing was read anew. */
static void the_same_state_is_read_once(void **state)
{
    (void)state;
    rig.fake.state = "master-state-idle.response";
    const json_t *first = hear(0, &master_state, LONG_MS)->value;
    assert_non_null(json_object_get(first, "workers"));
    assert_ptr_equal(hear(1, &master_state, LONG_MS)->value, first);
    rig.fake.answer = rig.fake.state;
    assert_ptr_not_equal(hear(2, &driver_status, LONG_MS)->value, first);
    rig.fake.state = "master-state-busy.response";
    const json_t *other = hear(3, &master_state, LONG_MS)->value;
    assert_ptr_not_equal(other, first);
    assert_int_equal(json_array_size(json_object_get(other, "activeDrivers")), 1);
    rig.fake.state = "master-state-idle.response";
    assert_true(json_equal(hear(4, &master_state, LONG_MS)->value, first));
}

static void fail_softly(struct fake_peer *peer, const struct frame *frame)
{
    static const char *const vectors[] = {"unknown-endpoint.response", "unsupported-message.response",
                                          "unknown-class.response", "driver-status-running.response"};
    if (peer->node->n_asked == 5)
        fake_reply(peer, FRAME_RESPONSE, frame->id, "no Java", 7);
    else
        fake_send_vector(peer, "3.5.7", vectors[(peer->node->n_asked - 1) % 4], frame->id);
}

static void refusals_leave_the_connection_usable(void **state)
{
    (void)state;
    rig.fake.act = fail_softly;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_NO_ENDPOINT, "has no endpoint 'Master'");
    assert_heard(hear(1, &master_state, LONG_MS), RPC_EXCEPTION, "Unsupported message");
    assert_true(json_is_object(rig.heard[1].value));
    assert_heard(hear(2, &master_state, LONG_MS), RPC_REFUSED, "ClassNotFoundException");
    assert_heard(hear(3, &master_state, LONG_MS), RPC_VALUE, "");
    assert_heard(hear(4, &master_state, LONG_MS), RPC_BROKEN, "cannot be read");
    assert_true(rig.heard[4].uncertain && !rig.heard[2].uncertain && !rig.heard[1].uncertain);
    assert_int_equal(rig.fake.n_connections, 1);
}

/* Knows another identity of a class than anybody else. */
static void teach(struct fake_peer *peer, const struct frame *frame)
{
    if (fake_has_identity(frame, 4711))
        fake_answer(peer, frame);
    else
        fake_fail(
            peer, frame->id,
            "java.io.InvalidClassException: org.apache.spark.deploy.DeployMessages$RequestDriverStatus; "
            "local "
            "class incompatible: stream classdesc serialVersionUID = 1, local class serialVersionUID = 4711\n"
            "\tat java.base/java.io.ObjectStreamClass.initNonProxy(ObjectStreamClass.java:597)");
}

static void all_requests_profit_from_a_lesson(void **state)
{
    (void)state;
    rig.fake.act = teach;
    for (unsigned i = 0; i < 5; i++)
        ask(i, &driver_status, LONG_MS);
    for (unsigned i = 0; i < 5; i++)
        assert_heard(wait_for(i), RPC_VALUE, "");
    assert_int_equal(rig.fake.n_asked, 10);
}

static void contradict(struct fake_peer *peer, const struct frame *frame)
{
    char text[400];
    (void)snprintf(
        text, sizeof text,
        "java.io.InvalidClassException: org.apache.spark.deploy.DeployMessages$RequestDriverStatus; local "
        "class incompatible: stream classdesc serialVersionUID = 1, local class serialVersionUID = %u",
        5000 + peer->node->n_asked);
    fake_fail(peer, frame->id, text);
}

static void lessons_come_to_an_end(void **state)
{
    (void)state;
    rig.fake.act = contradict;
    assert_heard(hear(0, &driver_status, LONG_MS), RPC_REFUSED, "InvalidClassException");
    assert_int_equal(rig.fake.n_asked, 9);
}

static void note_one_way(struct fake_peer *peer, const struct frame *frame)
{
    (void)peer;
    assert_int_equal(frame->type, FRAME_ONE_WAY);
}

static void one_way_messages_end_when_they_are_sent(void **state)
{
    (void)state;
    struct rpc_message end = {.kind = RPC_UNREGISTER, .text = "app-1"};
    rig.fake.act = note_one_way;
    struct heard *h = hear(0, &end, LONG_MS);
    assert_heard(h, RPC_VALUE, "");
    assert_null(h->value);
    FAKE_UNTIL(&rig.loop, rig.fake.n_asked == 1);
}

/* ---- limits ---- */

static void say_nothing(struct fake_peer *peer, const struct frame *frame)
{
    (void)peer;
    (void)frame;
}

static void a_thousand_requests_may_be_under_way(void **state)
{
    (void)state;
    rig.fake.act = say_nothing;
    for (unsigned i = 0; i <= RPC_NODE_REQUESTS_MAX; i++)
        ask(i, &driver_status, LONG_MS);
    assert_heard(wait_for(RPC_NODE_REQUESTS_MAX), RPC_NOT_SENT, "1000");
    FAKE_UNTIL(&rig.loop, rig.fake.n_asked == RPC_NODE_REQUESTS_MAX);
    assert_int_equal(rig.heard[0].n, 0);
}

static void a_silent_node_costs_the_time_limit_and_its_connection(void **state)
{
    (void)state;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_VALUE, "");
    rig.fake.act = say_nothing;
    int64_t start_ms = clock_mono_ms();
    assert_heard(hear(1, &master_state, SHORT_MS), RPC_LATE, "did not answer within 150ms");
    assert_true(rig.heard[1].uncertain);
    assert_in_range(clock_mono_ms() - start_ms, SHORT_MS, LONG_MS / 2);
    rig.fake.act = NULL;
    assert_heard(hear(2, &master_state, LONG_MS), RPC_VALUE, "");
    assert_int_equal(rig.fake.n_connections, 2);
}

static struct fake_peer *slow_peer;
static int64_t slow_id;

static void answer_the_second_later(struct fake_peer *peer, const struct frame *frame)
{
    slow_peer = peer;
    slow_id = frame->id;
}

static void the_time_limit_of_one_request_does_not_end_others(void **state)
{
    (void)state;
    rig.fake.act = answer_the_second_later;
    ask(0, &driver_status, SHORT_MS);
    ask(1, &driver_status, LONG_MS);
    assert_heard(wait_for(0), RPC_LATE, "150ms");
    assert_int_equal(rig.fake.n_asked, 2);
    rig.fake.act = NULL;
    assert_heard(hear(2, &master_state, LONG_MS), RPC_VALUE, "");
    fake_send_vector(slow_peer, "3.5.7", "driver-status-running.response", slow_id);
    assert_heard(wait_for(1), RPC_VALUE, "");
    FAKE_UNTIL(&rig.loop, rig.fake.n_open == 1); /* the old connection is of no use any more */
}

static void of_two_silent_connections_the_older_is_lost(void **state)
{
    (void)state;
    rig.fake.act = say_nothing;
    for (unsigned i = 0; i < 4; i += 2) {
        ask(i, &master_state, SHORT_MS);
        ask(i + 1, &driver_status, LONG_MS);
        assert_heard(wait_for(i), RPC_LATE, "150ms");
        rig.fake.act = i == 0 ? say_nothing : NULL;
    }
    assert_heard(wait_for(1), RPC_VALUE, ""); /* asked once more, on the third */
    assert_int_equal(rig.heard[3].n, 0);
    assert_int_equal(rig.fake.n_connections, 3);
}

static void a_node_that_hangs_before_it_is_open_is_late(void **state)
{
    (void)state;
    rig.fake.discover = say_nothing;
    assert_heard(hear(0, &master_state, SHORT_MS), RPC_LATE, "did not answer");
    assert_false(rig.heard[0].uncertain);
    rig.fake.discover = NULL;
    assert_heard(hear(1, &master_state, LONG_MS), RPC_VALUE, "");
}

/* ---- lost connections ---- */

static void a_lost_idle_connection_is_made_anew(void **state)
{
    (void)state;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_VALUE, "");
    fake_node_hang_up(&rig.fake);
    assert_heard(hear(1, &master_state, LONG_MS), RPC_VALUE, "");
    assert_int_equal(rig.fake.n_connections, 2);
    assert_int_equal(rig.fake.n_open, 1);
}

static void hang_up_once(struct fake_peer *peer, const struct frame *frame)
{
    if (peer->node->n_asked == 1)
        fake_close(peer);
    else
        fake_answer(peer, frame);
}

static void hang_up(struct fake_peer *peer, const struct frame *frame)
{
    (void)frame;
    fake_close(peer);
}

static void what_may_be_repeated_is_sent_once_more(void **state)
{
    (void)state;
    rig.fake.act = hang_up_once;
    assert_heard(hear(0, &driver_status, LONG_MS), RPC_VALUE, "");
    assert_int_equal(rig.fake.n_asked, 2);
    rig.fake.act = hang_up;
    assert_heard(hear(1, &driver_status, LONG_MS), RPC_CLOSED, "closed the connection before it answered");
    assert_int_equal(rig.fake.n_asked, 4);
    assert_true(rig.heard[1].uncertain);
}

static struct strlist driver_arguments;
static const struct strmap no_environment;
static const struct rpc_resource gpu = {"gpu", 1, 1};
static const struct rpc_driver driver = {.jar_url = "file:/x.jar",
                                         .memory_mib = 512,
                                         .cores = 1,
                                         .main_class = "x",
                                         .arguments = &driver_arguments,
                                         .environment = &no_environment,
                                         .resources = &gpu,
                                         .n_resources = 1};
static const struct rpc_message submit = {.kind = RPC_SUBMIT_DRIVER, .driver = &driver};

static void a_submission_is_sent_once(void **state)
{
    (void)state;
    rig.fake.act = hang_up;
    assert_heard(hear(0, &submit, LONG_MS), RPC_CLOSED, "closed");
    assert_true(rig.heard[0].uncertain);
    assert_int_equal(rig.fake.n_asked, 1);
}

enum { LONG_ONES = 12 };

/* More than the system takes from a node that does not read. */
static void ask_at_length(void)
{
    char *argument = malloc(60001);
    memset(argument, 'x', 60000);
    argument[60000] = '\0';
    for (unsigned i = 0; i < 15; i++) {
        argument[i] = 'y'; /* equal ones would be sent once */
        assert_int_equal(strlist_add(&driver_arguments, argument), 0);
    }
    free(argument);
    rig.fake.is_deaf = true;
    for (unsigned i = 0; i < LONG_ONES; i++)
        ask(i, &submit, LONG_MS);
    strlist_clear(&driver_arguments); /* requests keep copies */
    ask(LONG_ONES, &(struct rpc_message){.kind = RPC_UNREGISTER, .text = "app-1"}, LONG_MS);
    FAKE_UNTIL(&rig.loop, rpc_node_scala(rig.node) != NULL);
}

static void a_node_may_read_slowly(void **state)
{
    (void)state;
    ask_at_length();
    assert_int_equal(rig.heard[LONG_ONES].n, 0);
    fake_node_listen(&rig.fake);
    for (unsigned i = 0; i <= LONG_ONES; i++) {
        FAKE_UNTIL(&rig.loop, rig.heard[i].n > 0);
        assert_heard(&rig.heard[i], RPC_VALUE, "");
    }
    assert_int_equal(rig.fake.n_asked, LONG_ONES + 1);
}

static void what_was_not_written_is_sent_again(void **state)
{
    (void)state;
    ask_at_length();
    rig.fake.is_deaf = false;
    fake_node_hang_up(&rig.fake);
    for (unsigned i = 0; i <= LONG_ONES; i++)
        FAKE_UNTIL(&rig.loop, rig.heard[i].n > 0);
    assert_heard(&rig.heard[0], RPC_CLOSED, "closed the connection");
    assert_true(rig.heard[0].uncertain);
    assert_heard(&rig.heard[LONG_ONES - 1], RPC_VALUE, "");
    assert_heard(&rig.heard[LONG_ONES], RPC_VALUE, "");
}

static void a_node_may_be_freed_while_it_is_written_to(void **state)
{
    (void)state;
    ask_at_length();
    rpc_node_free(rig.node);
    rig.node = NULL;
    FAKE_UNTIL(&rig.loop, mem_live() == rig.live);
}

static void a_node_may_be_replaced_by_another_version(void **state)
{
    (void)state;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_VALUE, "");
    fake_node_down(&rig.fake);
    assert_heard(hear(1, &master_state, LONG_MS), RPC_UNREACHABLE, "cannot be reached (connection refused)");
    use_version("4.0.1");
    fake_node_up(&rig.fake);
    assert_heard(hear(2, &master_state, LONG_MS), RPC_VALUE, "");
    assert_string_equal(rpc_node_scala(rig.node), "2.13");
}

/* ---- nodes that are none ---- */

static void send_nonsense(struct fake_peer *peer, const char *bytes, size_t n)
{
    fake_send(peer, bytes, n);
}

static void announce_2_gib(struct fake_peer *peer, const struct frame *frame)
{
    (void)frame;
    send_nonsense(peer, "\0\0\0\0\x7f\xff\xff\xff\x04", 9);
}

static void announce_nothing(struct fake_peer *peer, const struct frame *frame)
{
    (void)frame;
    send_nonsense(peer, "\0\0\0\0\0\0\0\0\0\0", 10);
}

static void speak_http(struct fake_peer *peer, const struct frame *frame)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    (void)frame;
    send_nonsense(peer, text, sizeof text - 1);
}

static void send_odd_type(struct fake_peer *peer, const struct frame *frame)
{
    (void)frame;
    send_nonsense(peer, "\0\0\0\0\0\0\0\x20\x4d", 9);
}

static void nonsense_ends_what_is_under_way(void **state)
{
    static const struct {
        fake_act *act;
        const char *words;
    } rows[] = {{announce_2_gib, "2147483647"},
                {announce_nothing, "0 bytes"},
                {speak_http, "but HTTP"},
                {send_odd_type, "type 77"}};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        rig.fake.act = rows[i].act;
        rig.fake.discover = NULL;
        ask(4 * i, &master_state, LONG_MS);
        ask(4 * i + 1, &driver_status, LONG_MS);
        assert_heard(wait_for(4 * i), RPC_BROKEN, "not Spark's RPC");
        assert_heard(wait_for(4 * i + 1), RPC_BROKEN, i == 2 ? "not Spark's RPC" : rows[i].words);
        rig.fake.discover = rows[i].act;
        assert_heard(hear(4 * i + 2, &master_state, LONG_MS), RPC_BROKEN, rows[i].words);
        assert_false(rig.heard[4 * i + 2].uncertain);
    }
}

static void a_peer_that_hangs_up_at_once_may_speak_tls(void **state)
{
    (void)state;
    rig.fake.discover = hang_up;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_CLOSED, "does it speak TLS");
    assert_false(rig.heard[0].uncertain);
}

static void send_half(struct fake_peer *peer, const struct frame *frame)
{
    (void)frame;
    const struct fake_vector *v = fake_vector("3.5.7", "master-state-idle.response");
    fake_send(peer, v->bytes, v->len / 2);
}

static void send_half_and_close(struct fake_peer *peer, const struct frame *frame)
{
    const struct fake_vector *v = fake_vector("3.5.7", "master-state-idle.response");
    (void)frame;
    uv_buf_t half = uv_buf_init((char *)v->bytes, (unsigned)v->len / 2);
    (void)uv_try_write((uv_stream_t *)&peer->tcp, &half, 1);
    fake_close(peer);
}

static void half_an_answer_is_none(void **state)
{
    (void)state;
    rig.fake.act = send_half;
    assert_heard(hear(0, &master_state, SHORT_MS), RPC_LATE, "did not answer");
    rig.fake.act = send_half_and_close;
    assert_heard(hear(1, &master_state, LONG_MS), RPC_CLOSED, "closed");
    rig.fake.act = NULL;
    assert_heard(hear(2, &master_state, LONG_MS), RPC_VALUE, "");
}

static void on_trickle(uv_timer_t *timer)
{
    (void)timer;
    for (struct fake_peer *p = rig.fake.peers; p != NULL; p = p->next)
        fake_send(p, "x", 1);
}

static void trickle(struct fake_peer *peer, const struct frame *frame)
{
    (void)frame;
    send_nonsense(peer, "\0\0\0\0\0\xff\xff\xff\x04", 9);
    (void)uv_timer_start(&rig.trickle, on_trickle, 1, 1);
}

static void an_endless_trickle_does_not_move_the_time_limit(void **state)
{
    (void)state;
    rig.fake.act = trickle;
    assert_heard(hear(0, &master_state, SHORT_MS), RPC_LATE, "did not answer");
    (void)uv_timer_stop(&rig.trickle);
    rig.fake.act = NULL;
    assert_heard(hear(1, &master_state, LONG_MS), RPC_VALUE, "");
}

static void complain_at_length(struct fake_peer *peer, const struct frame *frame)
{
    size_t n = 10 << 20;
    char *text = malloc(n);
    memset(text, 'x', n);
    fake_reply(peer, FRAME_FAILURE, frame->id, text, n);
    free(text);
}

static void a_long_complaint_becomes_a_short_one(void **state)
{
    (void)state;
    rig.fake.act = complain_at_length;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_REFUSED, "refused the request: xxxx");
    assert_in_range(strlen(rig.heard[0].words), 100, 600);
}

static void talk_on(struct fake_peer *peer, const struct frame *frame)
{
    fake_answer(peer, frame);
    size_t n = 4 << 20;
    char *nonsense = calloc(1, n);
    fake_put_number((uint8_t *)nonsense, 5 << 20, 8);
    nonsense[8] = FRAME_ONE_WAY;
    fake_send(peer, nonsense, n);
    free(nonsense);
}

static void a_node_that_talks_without_being_asked_is_left(void **state)
{
    (void)state;
    rig.fake.act = talk_on;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_VALUE, "");
    FAKE_UNTIL(&rig.loop, rig.fake.n_open == 0);
    rig.fake.act = NULL;
    assert_heard(hear(1, &master_state, LONG_MS), RPC_VALUE, "");
}

static void on_babble(uv_timer_t *timer)
{
    static const uint8_t nothing[1 << 20] = {0, 0, 0, 0, 0, 0x10, 0, 0, FRAME_ONE_WAY};
    (void)timer;
    for (struct fake_peer *p = rig.fake.peers; p != NULL; p = p->next)
        fake_send(p, nothing, sizeof nothing);
}

static void babble(struct fake_peer *peer, const struct frame *frame)
{
    (void)peer;
    (void)frame;
    (void)uv_timer_start(&rig.trickle, on_babble, 0, 1);
}

static void a_node_that_talks_instead_of_answering_is_left(void **state)
{
    (void)state;
    rig.fake.act = babble;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_BROKEN, "talks on and on");
    (void)uv_timer_stop(&rig.trickle);
    rig.fake.act = NULL;
    assert_heard(hear(1, &master_state, LONG_MS), RPC_VALUE, "");
}

/* ---- authentication ---- */

static void want_authentication(struct fake_peer *peer, const struct frame *frame)
{
    fake_send_vector(peer, "auth/detect", "plain-request-to-sasl-server.response", frame->id);
}

static void a_secret_may_be_needed(void **state)
{
    (void)state;
    rig.fake.discover = want_authentication;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_UNAUTHORIZED, "none is configured");
    assert_false(rig.heard[0].uncertain);
}

static void know_no_handshake(struct fake_peer *peer, const struct frame *frame)
{
    fake_send_vector(peer, "auth/detect", "sasl-to-open-server.response", frame->id);
}

static void an_open_node_gets_no_requests_when_there_is_a_secret(void **state)
{
    (void)state;
    rpc_node_free(rig.node);
    open_node("127.0.0.1", "secret");
    rig.fake.act = know_no_handshake;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_UNAUTHORIZED, "spark.authenticate is off there");
    assert_int_equal(rig.fake.n_asked, 1);
}

static void take_no_secret(struct fake_peer *peer, const struct frame *frame)
{
    if (frame->body[0] != 0xea)
        want_authentication(peer, frame);
    else if (fake_mentions(frame, "response="))
        fake_send_vector(peer, "auth/sasl-wrong-secret", "sasl-2.response", frame->id);
    else
        fake_send_vector(peer, "auth/sasl-wrong-secret", "sasl-1.response", frame->id);
}

static void a_wrong_secret_is_told(void **state)
{
    (void)state;
    rpc_node_free(rig.node);
    open_node("127.0.0.1", "wrong");
    rig.fake.act = take_no_secret;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_UNAUTHORIZED, "does not accept the secret");
    assert_int_equal(rig.fake.n_connections, 3);
}

static void unknown_handshakes_come_to_an_end(void **state)
{
    (void)state;
    rpc_node_free(rig.node);
    open_node("127.0.0.1", "secret");
    rig.fake.act = want_authentication;
    assert_heard(hear(0, &master_state, LONG_MS), RPC_UNAUTHORIZED, "in a way that hearth does not know");
    assert_int_equal(rig.fake.n_connections, 3);
}

/* ---- names ---- */

/* A stub: stands before libuv's own and knows one name more, of two addresses: at the first nobody listens.
 */
int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done, const char *name,
                   const char *service, const struct addrinfo *hints);

static uv_getaddrinfo_cb on_both_found;

static void on_first_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct addrinfo *second = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)rig.fake.port);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    assert_int_equal(status, 0);
    assert_int_equal(getaddrinfo("127.0.0.1", port, &hints, &second), 0);
    found->ai_next = second;
    on_both_found(request, status, found);
}

int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done, const char *name,
                   const char *service, const struct addrinfo *hints)
{
    int (*real)(uv_loop_t *, uv_getaddrinfo_t *, uv_getaddrinfo_cb, const char *, const char *,
                const struct addrinfo *);
    *(void **)&real = dlsym(RTLD_NEXT, "uv_getaddrinfo");
    if (strcmp(name, "two.example") != 0)
        return real(loop, request, done, name, service, hints);
    on_both_found = done;
    return real(loop, request, on_first_found, "127.0.0.2", service, hints);
}

static void each_address_is_tried(void **state)
{
    (void)state;
    rpc_node_free(rig.node);
    open_node("two.example", NULL);
    assert_heard(hear(0, &master_state, LONG_MS), RPC_VALUE, "");
    fake_node_down(&rig.fake);
    assert_heard(hear(1, &master_state, LONG_MS), RPC_UNREACHABLE, "two.example:");
}

/* A socket whose queue is full: the system answers no further connection. */
static int full_socket(int others[4])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    for (unsigned i = 0; i < 4; i++) {
        others[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(others[i], (struct sockaddr *)&at,
                      sizeof at); /* some of them are not answered either */
    }
    rig.fake.port = ntohs(at.sin_port);
    return fd;
}

static void connecting_has_a_time_limit(void **state)
{
    int others[4];
    (void)state;
    fake_node_down(&rig.fake);
    int fd = full_socket(others);
    rpc_node_free(rig.node);
    struct rpc_node_options options = {
        .loop = &rig.loop, .host = "127.0.0.1", .port = rig.fake.port, .connect_ms = SHORT_MS};
    rig.node = rpc_node_new(&options);
    assert_heard(hear(0, &master_state, LONG_MS), RPC_UNREACHABLE,
                 "cannot be reached (connection timed out)");
    assert_heard(hear(1, &master_state, SHORT_MS / 3), RPC_UNREACHABLE, "no connection within 50ms");
    for (unsigned i = 0; i < 4; i++)
        (void)close(others[i]);
    (void)close(fd);
}

static void names_are_looked_up(void **state)
{
    (void)state;
    rpc_node_free(rig.node);
    open_node("localhost", NULL);
    assert_heard(hear(0, &master_state, LONG_MS), RPC_VALUE, "");
    rpc_node_free(rig.node);
    open_node("no-such-host.invalid", NULL);
    assert_heard(hear(1, &master_state, LONG_MS), RPC_UNREACHABLE, "no-such-host.invalid:");
    assert_false(rig.heard[1].uncertain);
}

static void ipv6_is_spoken(void **state)
{
    (void)state;
    rpc_node_free(rig.node);
    fake_node_down(&rig.fake);
    (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    rig.fake.is_ipv6 = true;
    rig.fake.port = 0;
    bool has_ipv6 = fake_node_try_up(&rig.fake);
    open_node("::1", NULL);
    if (has_ipv6) {
        assert_heard(hear(0, &master_state, LONG_MS), RPC_VALUE, "");
        fake_node_down(&rig.fake);
    }
    assert_heard(hear(1, &master_state, LONG_MS), RPC_UNREACHABLE, "[::1]:");
}

/* ---- ends ---- */

static void a_node_may_be_freed_inside_a_callback(void **state)
{
    (void)state;
    rig.heard[0].frees = true;
    ask(0, &master_state, LONG_MS);
    for (unsigned i = 1; i < 10; i++)
        ask(i, &driver_status, LONG_MS);
    assert_heard(wait_for(0), RPC_VALUE, "");
    FAKE_UNTIL(&rig.loop, rig.fake.n_open == 0);
    for (unsigned i = 1; i < 10; i++)
        assert_int_equal(rig.heard[i].n, 0);
}

static void a_node_may_be_freed_at_any_time(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 12; turns++) {
        rpc_node_free(rig.node);
        open_node(turns % 2 == 0 ? "127.0.0.1" : "localhost", "secret");
        ask(turns, &master_state, LONG_MS);
        for (unsigned i = 0; i < turns; i++)
            (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    }
}

static void a_callback_may_ask_again(void **state)
{
    (void)state;
    rig.heard[0].asks_again = true;
    ask(0, &master_state, LONG_MS);
    FAKE_UNTIL(&rig.loop, rig.heard[0].n == 2);
    assert_int_equal(rig.heard[0].result, RPC_VALUE);
}

/* ---- memory ---- */

static void ask_with_a_failing_allocation(long nth, const char *host, const char *secret)
{
    long live = mem_live();
    mem_fail_at(nth);
    struct rpc_node_options options = {
        .loop = &rig.loop, .host = host, .port = rig.fake.port, .secret = secret};
    rig.node = rpc_node_new(&options);
    if (rig.node != NULL) {
        rig.heard[0].n = 0;
        (void)hear(0, &driver_status, 400);
        assert_int_equal(rig.heard[0].n, 1);
    }
    mem_fail_at(0);
    rpc_node_free(rig.node);
    rig.node = NULL;
    FAKE_UNTIL(&rig.loop, mem_live() == live);
}

static void every_allocation_may_fail(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    (void)state;
    rpc_node_free(rig.node);
    FAKE_UNTIL(&rig.loop, mem_live() == rig.live);
    use_version("4.0.1");
    ask_with_a_failing_allocation(0, "127.0.0.1", NULL); /* reads the vectors */
    for (long n = 1; n < 150; n++)
        ask_with_a_failing_allocation(n, hosts[n % 2], NULL);
    ask_with_a_failing_allocation(0, "127.0.0.1", NULL);
    assert_heard(&rig.heard[0], RPC_VALUE, "");
}

static void every_allocation_of_a_handshake_may_fail(void **state)
{
    (void)state;
    rpc_node_free(rig.node);
    FAKE_UNTIL(&rig.loop, mem_live() == rig.live);
    rig.fake.act = take_no_secret;
    ask_with_a_failing_allocation(0, "127.0.0.1", "secret");
    for (long n = 1; n < 100; n++)
        ask_with_a_failing_allocation(n, "127.0.0.1", "secret");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_of_both_scalas_are_understood),
        TEST(answers_are_matched_by_id_and_strays_are_skipped),
        TEST(the_same_state_is_read_once),
        TEST(refusals_leave_the_connection_usable),
        TEST(all_requests_profit_from_a_lesson),
        TEST(lessons_come_to_an_end),
        TEST(one_way_messages_end_when_they_are_sent),
        TEST(a_thousand_requests_may_be_under_way),
        TEST(a_silent_node_costs_the_time_limit_and_its_connection),
        TEST(the_time_limit_of_one_request_does_not_end_others),
        TEST(of_two_silent_connections_the_older_is_lost),
        TEST(a_node_that_hangs_before_it_is_open_is_late),
        TEST(a_lost_idle_connection_is_made_anew),
        TEST(what_may_be_repeated_is_sent_once_more),
        TEST(a_submission_is_sent_once),
        TEST(a_node_may_read_slowly),
        TEST(what_was_not_written_is_sent_again),
        TEST(a_node_may_be_freed_while_it_is_written_to),
        TEST(a_node_may_be_replaced_by_another_version),
        TEST(nonsense_ends_what_is_under_way),
        TEST(a_peer_that_hangs_up_at_once_may_speak_tls),
        TEST(half_an_answer_is_none),
        TEST(an_endless_trickle_does_not_move_the_time_limit),
        TEST(a_long_complaint_becomes_a_short_one),
        TEST(a_node_that_talks_without_being_asked_is_left),
        TEST(a_node_that_talks_instead_of_answering_is_left),
        TEST(a_secret_may_be_needed),
        TEST(an_open_node_gets_no_requests_when_there_is_a_secret),
        TEST(a_wrong_secret_is_told),
        TEST(unknown_handshakes_come_to_an_end),
        TEST(each_address_is_tried),
        TEST(connecting_has_a_time_limit),
        TEST(names_are_looked_up),
        TEST(ipv6_is_spoken),
        TEST(a_node_may_be_freed_inside_a_callback),
        TEST(a_node_may_be_freed_at_any_time),
        TEST(a_callback_may_ask_again),
        TEST(every_allocation_may_fail),
        TEST(every_allocation_of_a_handshake_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
