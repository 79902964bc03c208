/* The store: what sessions were asked to run, their agents, and databases that did not know of either. */
#include "store_world.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { READ_MAX = 64, MANY = 2000 };

/* ---- calls that wait for their answer ---- */

static int64_t new_session(struct world *w)
{
    struct store_app app = waiting(NULL);
    app.kind = "session";
    struct answer a = insert(w, &app, NULL);
    if (a.err.code != ERR_OK)
        fail_msg("%s", a.err.msg);
    return a.id;
}

static struct store_item asked(const char *type, int64_t session, const char *request)
{
    return (struct store_item){
        .type = type,
        .session = session,
        .id = 77, /* of no importance */
        .state = "waiting",
        .kind = "pyspark",
        .request = request,
        .created_ms = 1000,
    };
}

static struct answer insert_item(struct world *w, const struct store_item *item, const struct store_key *key)
{
    struct answer a = {0};
    store_insert_item(w->store, item, key, on_answer, &a);
    await(w, &a.came);
    return a;
}

static int64_t ask_for(struct world *w, const char *type, int64_t session, const char *request)
{
    struct store_item item = asked(type, session, request);
    struct answer a = insert_item(w, &item, NULL);
    if (a.err.code != ERR_OK)
        fail_msg("%s", a.err.msg);
    return a.id;
}

static struct answer update(struct world *w, const struct store_agent *agent, const struct store_item *item)
{
    struct answer a = {0};
    store_update_agent(w->store, agent, item, on_answer, &a);
    await(w, &a.came);
    return a;
}

static enum err_code hear(struct world *w, int64_t session, const char *boot, int64_t seq, const char *facts)
{
    return update(w, &(struct store_agent){session, boot, seq, facts, 0}, NULL).err.code;
}

static struct store_item result_of(const char *type, int64_t session, int64_t id)
{
    struct store_item item = asked(type, session, "not written");
    item.id = id;
    item.state = "available";
    item.kind = "not written";
    item.output = "{\"status\":\"ok\"}";
    item.created_ms = 9;
    item.started_ms = 2000;
    item.completed_ms = 3000;
    return item;
}

struct page {
    bool came;
    struct err err;
    size_t n;
    int64_t total;
    char text[4096]; /* "id:state:kind:request:output:created:started:completed " of each */
};

static void on_items(const struct err *err, const struct store_item *items, size_t n, int64_t total,
                     void *arg)
{
    struct page *p = arg;
    *p = (struct page){.came = true, .err = *err, .n = n, .total = total};
    size_t len = 0;
    for (size_t i = 0; i < n && len < sizeof p->text; i++)
        len +=
            (size_t)snprintf(p->text + len, sizeof p->text - len, "%lld:%s:%s:%.20s:%.20s:%lld:%lld:%lld ",
                             (long long)items[i].id, items[i].state, items[i].kind, items[i].request,
                             items[i].output != NULL ? items[i].output : "-", (long long)items[i].created_ms,
                             (long long)items[i].started_ms, (long long)items[i].completed_ms);
}

static struct page read_items(struct world *w, const char *type, int64_t session, int64_t from, int64_t size,
                              bool descending)
{
    struct page p = {0};
    store_read_items(w->store, type, session, from, size, descending, on_items, &p);
    await(w, &p.came);
    return p;
}

struct ids {
    bool came;
    int64_t total;
    char text[READ_MAX]; /* "4 3 " */
};

static void on_ids(const struct err *err, const struct store_item *items, size_t n, int64_t total, void *arg)
{
    struct ids *ids = arg;
    *ids = (struct ids){.came = true, .total = total};
    assert_int_equal(err->code, ERR_OK);
    size_t len = 0;
    for (size_t i = 0; i < n && len < sizeof ids->text; i++)
        len += (size_t)snprintf(ids->text + len, sizeof ids->text - len, "%lld ", (long long)items[i].id);
}

static void expect_ids(struct world *w, const char *type, int64_t session, int64_t from, int64_t size,
                       bool descending, const char *expected, int64_t total)
{
    struct ids ids = {0};
    store_read_items(w->store, type, session, from, size, descending, on_ids, &ids);
    await(w, &ids.came);
    assert_string_equal(ids.text, expected);
    assert_int_equal(ids.total, total);
}

/* ---- items ---- */

static void ids_count_per_session_and_type(void **state)
{
    struct world *w = *state;
    int64_t one = new_session(w);
    int64_t two = new_session(w);
    assert_int_equal(ask_for(w, "statement", one, "a"), 0);
    assert_int_equal(ask_for(w, "statement", one, "b"), 1);
    assert_int_equal(ask_for(w, "job", one, "c"), 1);
    assert_int_equal(ask_for(w, "job", one, "d"), 2);
    assert_int_equal(ask_for(w, "statement", two, "e"), 0);
    close_store(w);
    open_store(w);
    assert_int_equal(ask_for(w, "statement", one, "f"), 2);
    assert_int_equal(ask_for(w, "job", two, "g"), 1);
}

static void an_item_is_read_as_it_was_written(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    (void)ask_for(w, "statement", session, "1 + 1");
    struct page p = read_items(w, "statement", session, 0, -1, false);
    assert_int_equal(p.err.code, ERR_OK);
    assert_string_equal(p.text, "0:waiting:pyspark:1 + 1:-:1000:0:0 ");
    assert_int_equal(p.total, 1);
}

static void an_item_needs_a_session_and_a_type_that_exist(void **state)
{
    struct world *w = *state;
    struct store_item item = asked("statement", 5, "1");
    struct store_app batch = waiting(NULL);
    assert_int_equal(insert_item(w, &item, NULL).err.code, ERR_NOT_FOUND);
    item.session = insert(w, &batch, NULL).id; /* of another kind */
    struct answer a = insert_item(w, &item, NULL);
    assert_int_equal(a.err.code, ERR_NOT_FOUND);
    assert_int_equal(a.id, -1);
    item = asked("question", new_session(w), "1");
    assert_int_equal(insert_item(w, &item, NULL).err.code, ERR_INVALID);
    assert_int_equal(read_items(w, "question", item.session, 0, -1, false).err.code, ERR_INVALID);
    assert_string_equal(ask(w, "SELECT count(*) FROM item"), "0");
    assert_null(store_trouble(w->store));
}

static void the_same_key_finds_the_first_item_again(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct store_key key = {"alice", "k1", "digest"};
    struct store_item item = asked("statement", session, "a");
    (void)ask_for(w, "statement", session, "before");
    struct answer first = insert_item(w, &item, &key);
    assert_int_equal(first.id, 1);
    assert_false(first.replayed);
    close_store(w);
    open_store(w);
    struct answer again = insert_item(w, &item, &key);
    assert_int_equal(again.err.code, ERR_OK);
    assert_true(again.replayed);
    assert_int_equal(again.id, 1);
    struct answer other = insert_item(w, &item, &(struct store_key){"alice", "k1", "another"});
    assert_int_equal(other.err.code, ERR_MISMATCH);
    assert_int_equal(other.id, 1);
    expect_ids(w, "statement", session, 0, -1, false, "0 1 ", 2);
}

static void a_key_counts_per_user_session_and_type(void **state)
{
    struct world *w = *state;
    struct store_key key = {"alice", "k1", "digest"};
    struct store_key bobs = {"bob", "k1", "another"};
    struct store_item item = asked("statement", new_session(w), "a");
    struct store_item job = asked("job", item.session, "a");
    struct store_item elsewhere = asked("statement", new_session(w), "a");
    struct store_app app = waiting(NULL);
    assert_false(insert_item(w, &item, &key).replayed);
    assert_false(insert_item(w, &item, &bobs).replayed);
    assert_false(insert_item(w, &job, &key).replayed);
    assert_false(insert_item(w, &elsewhere, &key).replayed);
    app.kind = "session";
    assert_false(insert(w, &app, &key).replayed);
    assert_true(insert_item(w, &job, &key).replayed);
}

/* ---- agents ---- */

struct agents {
    size_t n, stop_at; /* 0: never */
    char text[256];    /* "session:boot:seq:facts " */
};

static bool on_agent(const struct store_agent *agent, void *arg)
{
    struct agents *a = arg;
    size_t len = strlen(a->text);
    (void)snprintf(a->text + len, sizeof a->text - len, "%lld:%s:%lld:%s ", (long long)agent->session,
                   agent->boot, (long long)agent->last_seq, agent->facts != NULL ? agent->facts : "-");
    return ++a->n != a->stop_at;
}

static void expect_agents(struct world *w, const char *expected)
{
    struct agents a = {0};
    struct err err;
    assert_int_equal(store_load_agents(w->store, on_agent, &a, &err), ERR_OK);
    assert_string_equal(a.text, expected);
}

static void an_agent_is_inserted_and_then_followed(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    expect_agents(w, "");
    assert_int_equal(hear(w, session, "b1", 0, NULL), ERR_OK);
    expect_agents(w, "0:b1:0:- ");
    assert_int_equal(hear(w, session, "b1", 1, "{}"), ERR_OK);
    assert_int_equal(hear(w, session, "b1", 2, NULL), ERR_OK); /* keeps the facts */
    expect_agents(w, "0:b1:2:{} ");
    assert_int_equal(hear(w, session, "b1", 4, "{}"), ERR_CONFLICT); /* the third is missing */
    assert_int_equal(hear(w, session, "b1", 1, "{\"late\":1}"), ERR_OK);
    close_store(w);
    open_store(w);
    expect_agents(w, "0:b1:2:{\"late\":1} ");
}

static void agents_come_in_the_order_of_sessions(void **state)
{
    struct world *w = *state;
    struct agents stopped = {.stop_at = 2};
    struct err err;
    for (int i = 0; i < 3; i++)
        (void)new_session(w);
    assert_int_equal(hear(w, 2, "c", 1, NULL), ERR_OK);
    assert_int_equal(hear(w, 0, "a", 1, NULL), ERR_OK);
    assert_int_equal(hear(w, 1, "b", 1, NULL), ERR_OK);
    expect_agents(w, "0:a:1:- 1:b:1:- 2:c:1:- ");
    assert_int_equal(store_load_agents(w->store, on_agent, &stopped, &err), ERR_NOMEM);
    assert_int_equal(stopped.n, 2);
}

static void a_result_and_its_number_are_written_together(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    (void)ask_for(w, "statement", session, "first");
    (void)ask_for(w, "statement", session, "second");
    (void)ask_for(w, "job", session, "third");
    struct store_item result = result_of("statement", session, 1);
    struct answer a = update(w, &(struct store_agent){session, "b1", 5, NULL, 0}, &result);
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, 1);
    expect_agents(w, "0:b1:5:- ");
    struct page p = read_items(w, "statement", session, 0, -1, false);
    assert_string_equal(p.text, "0:waiting:pyspark:first:-:1000:0:0 "
                                "1:available:pyspark:second:{\"status\":\"ok\"}:1000:2000:3000 ");
    assert_string_equal(read_items(w, "job", session, 0, -1, false).text,
                        "1:waiting:pyspark:third:-:1000:0:0 ");
}

static void an_item_is_changed_alone(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct store_item result = result_of("job", session, ask_for(w, "job", session, "x"));
    result.output = NULL;
    result.state = "running";
    result.completed_ms = 0;
    assert_int_equal(update(w, NULL, &result).err.code, ERR_OK);
    assert_string_equal(read_items(w, "job", session, 0, -1, false).text,
                        "1:running:pyspark:x:-:1000:2000:0 ");
    expect_agents(w, "");
}

static void another_boot_is_a_conflict_and_changes_nothing(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct store_item result = result_of("statement", session, ask_for(w, "statement", session, "a"));
    assert_int_equal(hear(w, session, "b1", 3, "{}"), ERR_OK);
    struct answer a = update(w, &(struct store_agent){session, "b2", 9, "{\"b\":2}", 0}, &result);
    assert_int_equal(a.err.code, ERR_CONFLICT);
    expect_agents(w, "0:b1:3:{} ");
    assert_string_equal(read_items(w, "statement", session, 0, -1, false).text,
                        "0:waiting:pyspark:a:-:1000:0:0 ");
    assert_null(store_trouble(w->store));
}

static void a_result_of_nothing_is_refused_with_its_number(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct store_item result = result_of("statement", session, 0);
    assert_int_equal(hear(w, session, "b1", 3, NULL), ERR_OK);
    assert_int_equal(update(w, &(struct store_agent){session, "b1", 4, NULL, 0}, &result).err.code,
                     ERR_NOT_FOUND);
    expect_agents(w, "0:b1:3:- ");
    assert_int_equal(update(w, NULL, &result).err.code, ERR_NOT_FOUND);
    assert_int_equal(hear(w, session + 1, "b1", 1, NULL), ERR_NOT_FOUND); /* no such session */
    expect_agents(w, "0:b1:3:- ");
}

/* ---- pages ---- */

static void pages_are_read_both_ways(void **state)
{
    struct world *w = *state;
    int64_t other = new_session(w);
    int64_t session = new_session(w);
    for (int i = 0; i < 7; i++) {
        (void)ask_for(w, "statement", session, "x");
        (void)ask_for(w, "job", session, "x");
        (void)ask_for(w, "statement", other, "x");
    }
    expect_ids(w, "statement", session, 0, 3, false, "0 1 2 ", 7);
    expect_ids(w, "statement", session, 3, 3, false, "3 4 5 ", 7);
    expect_ids(w, "statement", session, 6, 3, false, "6 ", 7);
    expect_ids(w, "statement", session, 7, 3, false, "", 7);
    expect_ids(w, "statement", session, 0, 3, true, "6 5 4 ", 7);
    expect_ids(w, "statement", session, 3, 3, true, "3 2 1 ", 7);
    expect_ids(w, "statement", session, 6, 3, true, "0 ", 7);
    expect_ids(w, "statement", session, 7, 3, true, "", 7);
    expect_ids(w, "statement", session, 0, -1, false, "0 1 2 3 4 5 6 ", 7);
    expect_ids(w, "statement", session, 5, -1, true, "1 0 ", 7);
    expect_ids(w, "job", session, 0, 2, false, "1 2 ", 7);
    expect_ids(w, "job", session, 0, 2, true, "7 6 ", 7);
    expect_ids(w, "job", session, 6, INT64_MAX, false, "7 ", 7);
    expect_ids(w, "job", session, 6, INT64_MAX, true, "1 ", 7);
    expect_ids(w, "statement", session, 0, 0, false, "", 7);
    expect_ids(w, "statement", session, -1, 3, false, "", 7);
    expect_ids(w, "statement", session, INT64_MAX, INT64_MAX, true, "", 7);
    expect_ids(w, "statement", 99, 0, -1, false, "", 0);
    expect_ids(w, "job", other, 0, -1, true, "", 0);
}

static bool count_item(const struct store_item *item, void *arg)
{
    (void)item;
    ++*(size_t *)arg;
    return true;
}

static void a_page_with_too_much_text_is_refused(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct store_item result = result_of("statement", session, ask_for(w, "statement", session, "12345"));
    struct db *reader = NULL;
    struct err err = {0};
    size_t n = 0;
    int64_t total = 0;
    result.output = "12345";
    (void)ask_for(w, "statement", session, "1234567890");
    assert_int_equal(update(w, NULL, &result).err.code, ERR_OK);
    assert_int_equal(db_open_reader(w->dir, &reader, &err), ERR_OK);
    struct db_page page = {.type = "statement", .session = session, .size = -1, .text_limit = 20};
    assert_int_equal(db_read_items(reader, &page, count_item, &n, &total, &err), ERR_OK);
    assert_int_equal(n, 2);
    page.text_limit = 19;
    assert_int_equal(db_read_items(reader, &page, count_item, &n, &total, &err), ERR_TOO_LARGE);
    assert_non_null(strstr(err.msg, "19 bytes"));
    page.size = 1;
    assert_int_equal(db_read_items(reader, &page, count_item, &n, &total, &err), ERR_OK);
    db_close(reader);
}

static void long_texts_come_back_whole(void **state)
{
    struct world *w = *state;
    enum { LONG = 3000000 };
    int64_t session = new_session(w);
    char *text = malloc(LONG + 1);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    struct store_item result = result_of("statement", session, ask_for(w, "statement", session, text));
    result.output = text;
    assert_int_equal(update(w, NULL, &result).err.code, ERR_OK);
    assert_string_equal(ask(w, "SELECT length(request) || ' ' || length(output) FROM item"),
                        "3000000 3000000");
    struct db *reader = NULL;
    size_t n = 0;
    int64_t total = 0;
    assert_int_equal(db_open_reader(w->dir, &reader, NULL), ERR_OK);
    struct db_page page = {.type = "statement", .session = session, .size = -1, .text_limit = 2 * LONG};
    assert_int_equal(db_read_items(reader, &page, count_item, &n, &total, NULL), ERR_OK);
    page.text_limit--; /* it has exactly that length */
    assert_int_equal(db_read_items(reader, &page, count_item, &n, &total, NULL), ERR_TOO_LARGE);
    db_close(reader);
    free(text);
}

/* ---- groups ---- */

struct crowd {
    unsigned good, refused;
    int64_t last_id;
    bool dense, came;
};

static void on_one_of_many(const struct err *err, int64_t id, bool replayed, void *arg)
{
    struct crowd *c = arg;
    (void)replayed;
    c->good += err->code == ERR_OK;
    c->refused += err->code == ERR_NOT_FOUND;
    if (err->code == ERR_OK) {
        c->dense = c->dense && id == c->last_id + 1;
        c->last_id = id;
    }
    c->came = c->good + c->refused == MANY;
}

static void a_crowd_of_items_gets_ids_without_gaps(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct crowd c = {.last_id = -1, .dense = true};
    struct store_item good = asked("statement", session, "x");
    struct store_item bad = asked("statement", session + 1, "x");
    for (int i = 0; i < MANY; i++)
        store_insert_item(w->store, i % 100 == 50 ? &bad : &good, NULL, on_one_of_many, &c);
    await(w, &c.came);
    assert_int_equal(c.refused, MANY / 100);
    assert_true(c.dense);
    expect_ids(w, "statement", session, 0, 2, true, "1979 1978 ", MANY - MANY / 100);
}

static void a_refused_agent_fails_alone(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct answer answers[3] = {0};
    struct store_item item = asked("statement", session, "x");
    struct store_item result = result_of("statement", session, 0);
    store_insert_item(w->store, &item, NULL, on_answer, &answers[0]);
    store_update_agent(w->store, &(struct store_agent){session, "b1", 1, NULL, 0},
                       &(struct store_item){.type = "job", .session = session, .id = 1, .state = "failed"},
                       on_answer, &answers[1]);
    store_update_agent(w->store, &(struct store_agent){session, "b2", 2, NULL, 0}, &result, on_answer,
                       &answers[2]);
    await(w, &answers[2].came);
    assert_int_equal(answers[0].err.code, ERR_OK);
    assert_int_equal(answers[1].err.code, ERR_NOT_FOUND);
    assert_int_equal(answers[2].err.code, ERR_OK); /* the refused one left no boot */
    expect_agents(w, "0:b2:2:- ");
}

/* ---- loading ---- */

struct loaded {
    size_t n, stop_at; /* 0: never */
    char text[256];    /* "session:type:id:request " */
};

static bool on_loaded(const struct store_item *item, void *arg)
{
    struct loaded *l = arg;
    size_t len = strlen(l->text);
    assert_null(item->output);
    assert_int_equal(item->created_ms, 1000);
    assert_string_equal(item->kind, "pyspark");
    (void)snprintf(l->text + len, sizeof l->text - len, "%lld:%s:%lld:%s:%s ", (long long)item->session,
                   item->type, (long long)item->id, item->state, item->request);
    return ++l->n != l->stop_at;
}

static void expect_loaded(struct world *w, const char *const *states, const char *expected)
{
    struct loaded l = {0};
    struct err err;
    assert_int_equal(store_load_items(w->store, states, on_loaded, &l, &err), ERR_OK);
    assert_string_equal(l.text, expected);
}

static void set_state(struct world *w, const char *type, int64_t session, int64_t id, const char *word)
{
    struct store_item item = result_of(type, session, id);
    item.state = word;
    assert_int_equal(update(w, NULL, &item).err.code, ERR_OK);
}

static void items_in_the_asked_states_are_loaded_in_order(void **state)
{
    struct world *w = *state;
    int64_t one = new_session(w);
    int64_t two = new_session(w);
    (void)ask_for(w, "statement", two, "s20");
    (void)ask_for(w, "statement", two, "s21");
    (void)ask_for(w, "statement", one, "s10");
    (void)ask_for(w, "statement", one, "s11");
    (void)ask_for(w, "statement", one, "s12");
    (void)ask_for(w, "job", one, "j11");
    set_state(w, "statement", two, 0, "running"); /* with an output, which is not loaded */
    set_state(w, "statement", one, 0, "available");
    set_state(w, "statement", one, 1, "cancelling");
    close_store(w);
    open_store(w);
    expect_loaded(w, (const char *const[]){"waiting", "running", NULL},
                  "0:job:1:waiting:j11 0:statement:2:waiting:s12 1:statement:0:running:s20 "
                  "1:statement:1:waiting:s21 ");
    expect_loaded(w, (const char *const[]){"cancelling", NULL}, "0:statement:1:cancelling:s11 ");
    expect_loaded(w, (const char *const[]){"no such state", NULL}, "");
    expect_loaded(w, (const char *const[]){NULL}, "");
    struct loaded stopped = {.stop_at = 2};
    assert_int_equal(
        store_load_items(w->store, (const char *const[]){"waiting", NULL}, on_loaded, &stopped, NULL),
        ERR_NOMEM);
    assert_int_equal(stopped.n, 2);
}

/* ---- removal ---- */

static void a_removed_session_takes_all_of_its_own_with_it(void **state)
{
    struct world *w = *state;
    struct store_key key = {"alice", "k1", "digest"};
    struct store_app batch = waiting(NULL);
    (void)insert(w, &batch, NULL); /* batch 0 has the id of the first session */
    int64_t gone = new_session(w);
    int64_t stays = new_session(w);
    struct store_item item = asked("statement", gone, "x");
    struct store_item kept = asked("statement", stays, "y");
    struct store_item job = asked("job", gone, "x");
    (void)insert_item(w, &item, &key);
    (void)insert_item(w, &job, &key);
    (void)insert_item(w, &kept, &key);
    assert_int_equal(hear(w, gone, "b1", 1, NULL), ERR_OK);
    assert_int_equal(hear(w, stays, "b2", 1, NULL), ERR_OK);
    assert_int_equal(remove_kind(w, "batch", gone).err.code, ERR_OK);
    expect_ids(w, "statement", gone, 0, -1, false, "0 ", 1); /* that was a batch */
    assert_int_equal(remove_kind(w, "session", gone).err.code, ERR_OK);
    assert_int_equal(remove_kind(w, "session", gone).err.code, ERR_OK); /* twice is no harm */
    expect_ids(w, "statement", gone, 0, -1, false, "", 0);
    expect_ids(w, "job", gone, 0, -1, false, "", 0);
    expect_ids(w, "statement", stays, 0, -1, false, "0 ", 1);
    expect_agents(w, "1:b2:1:- ");
    assert_true(insert_item(w, &kept, &key).replayed);
    assert_string_equal(ask(w, "SELECT count(*) || ' ' || max(session) FROM item_key"), "1 1");
    assert_int_equal(hear(w, gone, "b1", 2, NULL), ERR_NOT_FOUND); /* what comes late leaves nothing behind */
    assert_int_equal(insert_item(w, &item, &key).err.code, ERR_NOT_FOUND);
    expect_agents(w, "1:b2:1:- ");
}

static void a_removal_does_not_write_what_it_removes(void **state)
{
    struct world *w = *state;
    enum { LONG = 8 << 20 };
    int64_t session = new_session(w);
    struct stat st;
    char *text = calloc(1, LONG + 1);
    memset(text, 'x', LONG);
    (void)ask_for(w, "statement", session, text);
    free(text);
    close_store(w); /* empties the write-ahead log */
    open_store(w);
    assert_int_equal(remove_kind(w, "session", session).err.code, ERR_OK);
    assert_int_equal(stat(in_world(w, "hearth.db-wal"), &st), 0);
    assert_in_range(st.st_size, 1, LONG / 8);
}

/* ---- a disk that is full ---- */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit l;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void a_full_disk_refuses_the_whole_group_and_loses_no_id(void **state)
{
    struct world *w = *state;
    enum { ROOM = 256 * 1024, LARGE = 4 * ROOM };
    int64_t session = new_session(w);
    char *large = calloc(1, LARGE + 1);
    memset(large, 'x', LARGE);
    struct store_item small = asked("statement", session, "small");
    struct store_item big = asked("statement", session, large);
    struct store_item result = result_of("statement", session, ask_for(w, "statement", session, "before"));
    struct answer refused[2] = {0};
    result.output = large;
    assert_int_equal(hear(w, session, "b1", 1, NULL), ERR_OK);
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_file_size(ROOM);
    store_insert_item(w->store, &big, &(struct store_key){"alice", "k1", "digest"}, on_answer, &refused[0]);
    store_update_agent(w->store, &(struct store_agent){session, "b1", 2, NULL, 0}, &result, on_answer,
                       &refused[1]);
    await(w, &refused[0].came);
    await(w, &refused[1].came);
    assert_int_equal(refused[0].err.code, ERR_IO);
    assert_int_equal(refused[1].err.code, ERR_IO);
    assert_non_null(store_trouble(w->store));
    assert_string_equal(read_items(w, "statement", session, 0, -1, false).text,
                        "0:waiting:pyspark:before:-:1000:0:0 ");
    limit_file_size(RLIM_INFINITY);
    expect_agents(w, "0:b1:1:- ");
    assert_false(insert_item(w, &small, &(struct store_key){"alice", "k1", "digest"}).replayed);
    assert_null(store_trouble(w->store));
    assert_int_equal(update(w, &(struct store_agent){session, "b1", 2, NULL, 0}, &result).err.code, ERR_OK);
    expect_ids(w, "statement", session, 0, -1, false, "0 1 ", 2);
    expect_agents(w, "0:b1:2:- ");
    free(large);
}

/* ---- databases of an older hearth ---- */

/* Leaves a database as the first schema had it, with a batch, a session, and another table in the way or not.
 */
static void make_first_schema(struct world *w, const char *more)
{
    make_old_database(w, 1,
                      "INSERT INTO node VALUES ('main', 4);"
                      "INSERT INTO counter VALUES ('batch', 8), ('session', 3);"
                      "INSERT INTO application VALUES ('batch', 7, 5, 'main', 'running', 'etl', "
                      "'alice', NULL, 'app-1', NULL, '{}', '{}', 1, 2, 3, 4, 5, 0, 0), "
                      "('session', 2, 1, 'main', 'waiting', NULL, NULL, NULL, NULL, NULL, '{}', "
                      "'{}', 0, 0, 0, 4, 0, 0, 0);"
                      "INSERT INTO note VALUES ('batch', 7, 1, 4, 'waiting', NULL);"
                      "INSERT INTO request_key VALUES ('alice', 'k1', 'batch', 7, 'digest')",
                      more);
}

static void a_database_of_the_first_schema_is_upgraded_in_place(void **state)
{
    struct world *w = *state;
    struct store_app app = waiting(NULL);
    make_first_schema(w, "");
    open_store(w);
    assert_string_equal(ask(w, "PRAGMA user_version"), "4");
    assert_string_equal(ask(w, "SELECT fence FROM node"), "5");
    struct answer known = insert(w, &app, &(struct store_key){"alice", "k1", "digest"});
    assert_true(known.replayed);
    assert_int_equal(known.id, 7);
    app.name = "etl";
    assert_int_equal(insert(w, &app, NULL).id, 7); /* whose name it is */
    assert_string_equal(ask(w, "SELECT app_id || ' ' || version || ' ' || (SELECT count(*) FROM note) "
                               "FROM application WHERE kind = 'batch'"),
                        "app-1 5 1");
    assert_int_equal(ask_for(w, "statement", 2, "x"), 0);
    assert_int_equal(hear(w, 2, "b1", 1, NULL), ERR_OK);
    close_store(w);
    open_store(w); /* is not upgraded twice */
    expect_ids(w, "statement", 2, 0, -1, false, "0 ", 1);
}

static void an_upgrade_that_fails_leaves_the_older_schema(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    make_first_schema(w, "CREATE TABLE item_key (mine INTEGER)");
    assert_int_equal(store_open(&w->loop, w->dir, &w->store, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "upgrading the database"));
    assert_string_equal(ask(w, "PRAGMA user_version"), "1");
    assert_string_equal(ask(w, "SELECT count(*) FROM sqlite_schema WHERE name IN ('item', 'agent')"), "0");
    assert_string_equal(ask(w, "SELECT count(*) FROM application"), "2");
    assert_string_equal(ask(w, "DROP TABLE item_key"), "");
    open_store(w);
    assert_string_equal(ask(w, "PRAGMA user_version"), "4");
}

/* ---- closing, memory ---- */

static void a_closed_store_refuses_items_and_ends_reads(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct store_item item = asked("statement", session, "x");
    struct answer before = {0};
    struct answer inserted = {0};
    struct answer updated = {0};
    struct ids ids = {0};
    (void)ask_for(w, "statement", session, "x");
    store_insert_item(w->store, &item, NULL, on_answer, &before);
    store_read_items(w->store, "statement", session, 0, 1, false, on_ids,
                     &ids); /* under way while it closes */
    store_close(w->store);
    assert_int_equal(before.err.code, ERR_OK);
    store_insert_item(w->store, &item, NULL, on_answer, &inserted);
    store_update_agent(w->store, &(struct store_agent){session, "b1", 1, NULL, 0}, NULL, on_answer, &updated);
    assert_int_equal(inserted.err.code, ERR_BUSY);
    assert_int_equal(updated.err.code, ERR_BUSY);
    assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
    assert_string_equal(ids.text, "0 ");
    open_store(w);
}

static void items_survive_every_failing_allocation(void **state)
{
    struct world *w = *state;
    int64_t session = new_session(w);
    struct store_item result = result_of("statement", session, 0);
    long live = mem_live();
    enum err_code rc = ERR_NOMEM;
    for (int i = 0; i < 20; i++) /* more than a page has room for at first */
        (void)ask_for(w, "statement", session, "x");
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        rc = update(w, &(struct store_agent){session, "b1", 1, "{}", 0}, &result).err.code;
        mem_fail_at(0);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        struct page p = read_items(w, "statement", session, 0, -1, false);
        mem_fail_at(0);
        rc = p.err.code;
        assert_int_equal(p.n, rc == ERR_OK ? 20 : 0);
        assert_int_equal(p.total, rc == ERR_OK ? 20 : 0);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
    rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        struct loaded l = {.stop_at = 0};
        mem_fail_at(n);
        rc = store_load_items(w->store, (const char *const[]){"available", NULL}, on_loaded, &l, NULL);
        mem_fail_at(0);
        assert_int_equal(l.n, rc == ERR_OK ? 1 : 0);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_count_per_session_and_type),
        TEST(an_item_is_read_as_it_was_written),
        TEST(an_item_needs_a_session_and_a_type_that_exist),
        TEST(the_same_key_finds_the_first_item_again),
        TEST(a_key_counts_per_user_session_and_type),
        TEST(an_agent_is_inserted_and_then_followed),
        TEST(agents_come_in_the_order_of_sessions),
        TEST(a_result_and_its_number_are_written_together),
        TEST(an_item_is_changed_alone),
        TEST(another_boot_is_a_conflict_and_changes_nothing),
        TEST(a_result_of_nothing_is_refused_with_its_number),
        TEST(pages_are_read_both_ways),
        TEST(a_page_with_too_much_text_is_refused),
        TEST(long_texts_come_back_whole),
        TEST(a_crowd_of_items_gets_ids_without_gaps),
        TEST(a_refused_agent_fails_alone),
        TEST(items_in_the_asked_states_are_loaded_in_order),
        TEST(a_removed_session_takes_all_of_its_own_with_it),
        TEST(a_removal_does_not_write_what_it_removes),
        TEST(a_full_disk_refuses_the_whole_group_and_loses_no_id),
        TEST(a_database_of_the_first_schema_is_upgraded_in_place),
        TEST(an_upgrade_that_fails_leaves_the_older_schema),
        TEST(a_closed_store_refuses_items_and_ends_reads),
        TEST(items_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
