/* A group of masters: its leader, and the requests that go there. */
#include "cluster/masters_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    STATE_MS = 5000, /* for a master to say whether it is the leader */
    ATTEMPT_MS = 10 * 1000,
};

struct ask {
    struct ask *prev, *next; /* in masters->asked or ->waiting */
    struct masters *masters;
    struct member *member; /* that was asked last */
    struct message_copy copy;
    rpc_answer_cb *done;
    void *arg;
    int64_t due_ms;
    bool is_uncertain;
};

static void ask_free(struct ask *a)
{
    message_copy_clear(&a->copy);
    mem_free(a);
}

/* ---- what answers say ---- */

#define NOT_ALIVE "Current state is not alive"

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* The refusal of a master that is not the leader: "Current state is not alive: STANDBY. Can only …"; or NULL.
 */
static const char *refusal_of(const json_t *value)
{
    const char *text = text_of(value, "message");
    bool is_no = json_is_false(json_object_get(value, "success"));
    if (json_is_false(json_object_get(value, "found"))) {
        is_no = true;
        text = text_of(json_object_get(value, "exception"), "message");
    }
    return is_no && text != NULL && str_starts(text, NOT_ALIVE) ? text : NULL;
}

bool masters_is_state(const json_t *value)
{
    return strcmp(rpc_answer_class(value), "MasterStateResponse") == 0;
}

static bool is_leaders(const json_t *value)
{
    const char *status = text_of(value, "status");
    if (masters_is_state(value))
        return status != NULL && strcmp(status, "ALIVE") == 0;
    return refusal_of(value) == NULL;
}

/* Kinds whose answers tell by themselves when a master is not the leader. */
static bool tells_leadership(enum rpc_kind kind)
{
    return kind == RPC_SUBMIT_DRIVER || kind == RPC_KILL_DRIVER || kind == RPC_DRIVER_STATUS ||
           kind == RPC_MASTER_STATE || kind == RPC_KILL_ALL_DRIVERS;
}

/* ---- who is the leader, and why the others are not ---- */

/* Takes the text; NULL: memory was short. */
static void note_trouble(struct member *member, enum rpc_result result, char *text)
{
    mem_free(member->trouble);
    member->trouble = text;
    member->result = result;
    if (member->masters->leader == member)
        member->masters->leader = NULL;
}

/* "Current state is not alive: STANDBY. Can only …" tells the state, too. */
static void note_not_alive(struct member *member, const json_t *value)
{
    char state[64] = "not alive";
    const char *text = masters_is_state(value) ? text_of(value, "status") : refusal_of(value);
    if (text != NULL && str_starts(text, NOT_ALIVE ": "))
        text += strlen(NOT_ALIVE ": ");
    size_t n = text != NULL ? strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_#0123456789") : 0;
    if (n > 0 && n < sizeof state) {
        memcpy(state, text, n);
        state[n] = '\0';
    }
    note_trouble(member, RPC_UNREACHABLE, mem_printf("%s is %s", member->name, state));
}

static void note_leader(struct member *member)
{
    mem_free(member->trouble);
    member->trouble = NULL;
    member->masters->leader = member;
    member->masters->hunt_due_ms = 0;
}

static void note_answer(struct member *member, const struct rpc_answer *answer)
{
    if (answer->result != RPC_VALUE)
        note_trouble(member, answer->result, mem_strdup(answer->words));
    else if (is_leaders(answer->value))
        note_leader(member);
    else
        note_not_alive(member, answer->value);
}

static void send_waiting(struct masters *m);

void masters_note(struct member *member, const struct rpc_answer *answer)
{
    if (answer->result == RPC_VALUE && !masters_is_state(answer->value))
        note_trouble(member, RPC_BROKEN,
                     mem_printf("%s gave an answer that is no master's state", member->name));
    else
        note_answer(member, answer);
    if (member->masters->leader != NULL)
        send_waiting(member->masters);
}

/* ---- ends ---- */

/* What is worth more to know comes later. */
static int worth(enum rpc_result result)
{
    static const enum rpc_result order[] = {RPC_UNREACHABLE, RPC_NOT_SENT, RPC_CLOSED,
                                            RPC_LATE,        RPC_BROKEN,   RPC_NO_ENDPOINT,
                                            RPC_EXCEPTION,   RPC_REFUSED,  RPC_UNAUTHORIZED};
    int i = 0;
    while (i < (int)(sizeof order / sizeof order[0]) && order[i] != result)
        i++;
    return i;
}

static enum rpc_result worst(const struct masters *m)
{
    enum rpc_result result = RPC_UNREACHABLE;
    for (size_t i = 0; i < m->n; i++)
        if (m->members[i].trouble != NULL && worth(m->members[i].result) > worth(result))
            result = m->members[i].result;
    return result;
}

static void list_troubles(const struct masters *m, struct buf *to)
{
    buf_printf(to, "no master of %s is alive", m->url);
    for (size_t i = 0; i < m->n; i++) {
        const struct member *member = &m->members[i];
        buf_str(to, i == 0 ? ": " : ", ");
        if (member->trouble != NULL)
            buf_str(to, member->trouble);
        else
            buf_printf(to, "%s has not answered yet", member->name);
    }
}

/* The group may be gone after this; its memory is not, before the loop runs on. */
static void end(struct ask *a, const struct rpc_answer *answer)
{
    a->done(answer, a->arg);
    ask_free(a);
}

static void end_without_leader(struct ask *a)
{
    struct masters *m = a->masters;
    cleanup(buf_clear) struct buf words = BUF(64 << 10);
    DL_DELETE(m->waiting, a);
    list_troubles(m, &words);
    end(a, &(struct rpc_answer){.result = worst(m), .words = buf_cstr(&words), .uncertain = a->is_uncertain});
}

/* ---- looking for the leader ---- */

static void set_timer(struct masters *m);

static void on_state(const struct rpc_answer *answer, void *arg);

static void hunt(struct masters *m)
{
    static const struct rpc_message question = {.kind = RPC_MASTER_STATE};
    m->hunt_due_ms = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct member *member = &m->members[i];
        if (member->is_hunted)
            continue;
        member->is_hunted = true;
        rpc_ask(member->node, &question, STATE_MS, on_state, member);
    }
}

/* At once, and then after 0.5, 1, 2, 4, 5, 5 … s. */
static void want_leader(struct masters *m)
{
    static const int64_t pauses_ms[] = {0, 500, 1000, 2000, 4000, 5000};
    const unsigned last = sizeof pauses_ms / sizeof pauses_ms[0] - 1;
    if (m->leader != NULL || m->waiting == NULL || m->hunt_due_ms != 0)
        return;
    int64_t pause_ms = pauses_ms[m->n_fruitless < last ? m->n_fruitless : last];
    m->n_fruitless++;
    if (pause_ms == 0)
        hunt(m);
    else
        m->hunt_due_ms = clock_mono_ms() + pause_ms;
}

/* Time does not help against these. */
static bool is_hopeless(const struct masters *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct member *member = &m->members[i];
        if (member->is_hunted || member->trouble == NULL || worth(member->result) < worth(RPC_BROKEN))
            return false;
    }
    return true;
}

static void end_hopeless(struct masters *m)
{
    while (!m->is_freed && m->waiting != NULL && is_hopeless(m))
        end_without_leader(m->waiting);
}

static void on_state(const struct rpc_answer *answer, void *arg)
{
    struct member *member = arg;
    struct masters *m = member->masters;
    member->is_hunted = false;
    if (m->leader == NULL || m->leader == member || answer->result != RPC_VALUE)
        masters_note(member, answer); /* otherwise somebody else was faster */
    end_hopeless(m);
    if (m->is_freed)
        return;
    want_leader(m);
    set_timer(m);
}

/* ---- asking ---- */

static void wait_for_leader(struct ask *a)
{
    DL_APPEND(a->masters->waiting, a);
    want_leader(a->masters);
}

static bool must_end(const struct ask *a, const struct rpc_answer *answer)
{
    bool is_repeatable = rpc_may_repeat(a->copy.message.kind) || !answer->uncertain;
    switch (answer->result) {
    case RPC_VALUE: return is_leaders(answer->value);
    case RPC_REFUSED:
    case RPC_EXCEPTION:
    case RPC_NOT_SENT: return true;
    case RPC_UNREACHABLE:
    case RPC_CLOSED:
    case RPC_UNAUTHORIZED:
    case RPC_NO_ENDPOINT:
    case RPC_BROKEN:
    case RPC_LATE: break;
    }
    return !is_repeatable;
}

static void note_end(struct ask *a, const struct rpc_answer *answer)
{
    struct masters *m = a->masters;
    if (answer->result == RPC_REFUSED || answer->result == RPC_EXCEPTION || answer->result == RPC_NOT_SENT)
        return; /* so would others */
    bool is_good = answer->result == RPC_VALUE && is_leaders(answer->value);
    if (is_good)
        m->n_fruitless = 0;
    if (!is_good || tells_leadership(a->copy.message.kind))
        note_answer(a->member, answer);
}

static void on_answer(const struct rpc_answer *answer, void *arg)
{
    struct ask *a = arg;
    struct masters *m = a->masters;
    DL_DELETE(m->asked, a);
    note_end(a, answer);
    a->is_uncertain |= answer->uncertain;
    if (must_end(a, answer)) {
        end(a, answer);
        return;
    }
    wait_for_leader(a);
    set_timer(m);
}

/* What may be repeated gives another master a chance. */
static int64_t attempt_ms(const struct ask *a)
{
    int64_t left_ms = a->due_ms - clock_mono_ms();
    int64_t limit_ms = left_ms / 2 < ATTEMPT_MS ? left_ms / 2 : ATTEMPT_MS;
    bool has_others = a->masters->n > 1 && rpc_may_repeat(a->copy.message.kind);
    int64_t time_ms = has_others ? limit_ms : left_ms;
    return time_ms > 0 ? time_ms : 0;
}

static void send_to(struct ask *a, struct member *member)
{
    DL_APPEND(a->masters->asked, a);
    a->member = member;
    rpc_ask(member->node, &a->copy.message, attempt_ms(a), on_answer, a);
}

static void send_waiting(struct masters *m)
{
    while (m->waiting != NULL) {
        struct ask *a = m->waiting;
        DL_DELETE(m->waiting, a);
        send_to(a, m->leader);
    }
}

/* A new request looks at once, whatever has been tried for others before. */
static void look_and_wait(struct ask *a)
{
    struct masters *m = a->masters;
    if (m->waiting == NULL) {
        m->hunt_due_ms = 0;
        m->n_fruitless = 0;
    }
    wait_for_leader(a);
}

void masters_ask(struct masters *m, const struct rpc_message *message, int64_t timeout_ms,
                 rpc_answer_cb *done, void *arg)
{
    struct ask *a = mem_calloc(1, sizeof *a);
    if (a == NULL || message_copy(&a->copy, message) != 0) {
        mem_free(a);
        masters_cannot(m, done, NULL, arg);
        return;
    }
    a->masters = m;
    a->done = done;
    a->arg = arg;
    a->due_ms = clock_mono_ms() + timeout_ms;
    bool is_only = m->n == 1 && m->members[0].trouble == NULL && tells_leadership(message->kind);
    struct member *to = is_only ? &m->members[0] : m->leader;
    if (to != NULL)
        send_to(a, to);
    else
        look_and_wait(a);
    set_timer(m);
}

/* ---- time ---- */

static void say_unsaid(struct masters *m)
{
    static const struct rpc_answer answer = {.result = RPC_NOT_SENT, .words = "out of memory"};
    for (unsigned left = m->n_unsaid; left > 0 && !m->is_freed; left--) {
        rpc_answer_cb *done = m->unsaid[0].done;
        masters_surveyed_cb *surveyed = m->unsaid[0].surveyed;
        void *arg = m->unsaid[0].arg;
        m->n_unsaid--;
        memmove(&m->unsaid[0], &m->unsaid[1], m->n_unsaid * sizeof m->unsaid[0]);
        if (surveyed != NULL)
            surveyed(NULL, arg);
        else
            done(&answer, arg);
    }
}

static struct ask *first_expired(struct ask *list, int64_t now_ms)
{
    struct ask *a;
    DL_FOREACH(list, a)
    if (a->due_ms <= now_ms)
        return a;
    return NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct masters *m = timer->data;
    struct ask *a;
    int64_t now_ms = clock_mono_ms();
    say_unsaid(m);
    while (!m->is_freed && (a = first_expired(m->waiting, now_ms)) != NULL)
        end_without_leader(a);
    if (m->is_freed)
        return;
    if (m->waiting == NULL)
        m->hunt_due_ms = 0;
    if (m->hunt_due_ms != 0 && m->hunt_due_ms <= now_ms)
        hunt(m);
    set_timer(m);
}

static void set_timer(struct masters *m)
{
    struct ask *a;
    int64_t due_ms = m->hunt_due_ms != 0 ? m->hunt_due_ms : INT64_MAX;
    DL_FOREACH(m->waiting, a)
    due_ms = a->due_ms < due_ms ? a->due_ms : due_ms;
    if (m->n_unsaid > 0)
        due_ms = 0;
    int64_t wait_ms = due_ms - clock_mono_ms();
    if (due_ms == INT64_MAX)
        (void)uv_timer_stop(&m->timer); /* cannot fail */
    else
        (void)uv_timer_start(&m->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0); /* nor can this */
}

void masters_cannot(struct masters *m, rpc_answer_cb *done, masters_surveyed_cb *surveyed, void *arg)
{
    if (m->n_unsaid == UNSAID_MAX) {
        log_error("out of memory", LOG_S("for", "requests to masters"));
        abort();
    }
    m->unsaid[m->n_unsaid].done = done;
    m->unsaid[m->n_unsaid].surveyed = surveyed;
    m->unsaid[m->n_unsaid++].arg = arg;
    set_timer(m);
}

/* ---- the group ---- */

static void clear(struct masters *m)
{
    for (size_t i = 0; i < m->n; i++) {
        rpc_node_free(m->members[i].node);
        mem_free(m->members[i].name);
        mem_free(m->members[i].trouble);
    }
    mem_free(m->url);
}

static bool add_member(struct masters *m, const struct master_place *place, const char *secret)
{
    struct member *member = &m->members[m->n++];
    struct rpc_node_options options = {
        .loop = m->loop, .host = place->host, .port = place->port, .secret = secret};
    bool is_ipv6 = strchr(place->host, ':') != NULL;
    member->masters = m;
    member->name = mem_printf(is_ipv6 ? "[%s]:%u" : "%s:%u", place->host, (unsigned)place->port);
    member->node = rpc_node_new(&options);
    return member->name != NULL && member->node != NULL;
}

static bool fill(struct masters *m, const struct masters_options *options, const struct master_place *places,
                 size_t n)
{
    m->loop = options->loop;
    m->url = mem_strdup(options->url);
    m->has_secret = options->secret != NULL && options->secret[0] != '\0';
    bool is_made = m->url != NULL;
    for (size_t i = 0; i < n && is_made; i++)
        is_made = add_member(m, &places[i], options->secret);
    return is_made && uv_timer_init(m->loop, &m->timer) == 0;
}

enum err_code masters_new(const struct masters_options *options, struct masters **ret, struct err *err)
{
    size_t n = 0;
    struct master_place places[MASTERS_MAX];
    enum err_code rc = masters_parse_url(options->url, places, &n, err);
    if (rc != ERR_OK)
        return rc;
    struct masters *m = mem_calloc(1, sizeof *m);
    if (m == NULL || !fill(m, options, places, n)) {
        if (m != NULL)
            clear(m);
        mem_free(m);
        return err_set(err, ERR_NOMEM, "masters %.200s", options->url);
    }
    m->timer.data = m;
    *ret = m;
    return ERR_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void free_asks(struct ask **list)
{
    struct ask *a, *next;
    DL_FOREACH_SAFE(*list, a, next)
    ask_free(a);
    *list = NULL;
}

void masters_free(struct masters *m)
{
    if (m == NULL)
        return;
    assert(!m->is_freed);
    m->is_freed = true;
    clear(m);
    free_asks(&m->asked);
    free_asks(&m->waiting);
    masters_free_surveys(m);
    uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}

const char *masters_url(const struct masters *m)
{
    return m->url;
}

const char *masters_leader(const struct masters *m)
{
    return m->leader != NULL ? m->leader->name : NULL;
}

const char *masters_leader_host(const struct masters *m)
{
    return m->leader != NULL ? rpc_node_host(m->leader->node) : NULL;
}

const char *masters_version(const struct masters *m)
{
    return m->leader != NULL ? rpc_node_version(m->leader->node) : NULL;
}

const char *masters_scala(const struct masters *m)
{
    return m->leader != NULL ? rpc_node_scala(m->leader->node) : NULL;
}

bool masters_has_secret(const struct masters *m)
{
    return m->has_secret;
}
