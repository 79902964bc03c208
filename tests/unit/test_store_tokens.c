/* The store: answers to operations that go on in the background. */
#include "store_world.h"

#include <string.h>

static struct answer put(struct world *w, const struct store_token *token)
{
    struct answer a = {0};
    store_put_token(w->store, token, on_answer, &a);
    await(w, &a.came);
    return a;
}

static struct answer remove_before(struct world *w, const char *door, int64_t before_ms)
{
    struct answer a = {0};
    store_remove_tokens(w->store, door, before_ms, on_answer, &a);
    await(w, &a.came);
    return a;
}

struct seen {
    char text[256];
    int stop_after; /* 0: never */
    int n;
};

static bool on_token(const struct store_token *token, void *arg)
{
    struct seen *seen = arg;
    size_t used = strlen(seen->text);
    (void)snprintf(seen->text + used, sizeof seen->text - used, "%s/%s:%s:%d:%d ", token->door, token->token,
                   token->facts, (int)token->changed_ms, token->ended);
    return ++seen->n != seen->stop_after;
}

static void expect_tokens(struct world *w, const char *door, const char *expected)
{
    struct seen seen = {0};
    struct err err;
    assert_int_equal(store_load_tokens(w->store, door, on_token, &seen, &err), ERR_OK);
    assert_string_equal(seen.text, expected);
}

static void tokens_are_kept_by_door(void **state)
{
    struct world *w = *state;
    expect_tokens(w, "d", "");
    struct answer a = put(w, &(struct store_token){"t2", "d", "{\"n\":2}", 20, true});
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, 0);
    (void)put(w, &(struct store_token){"t1", "d", "{}", 10, false});
    (void)put(w, &(struct store_token){"t3", "e", "{}", 30, false});
    close_store(w);
    open_store(w);
    expect_tokens(w, "d", "d/t1:{}:10:0 d/t2:{\"n\":2}:20:1 ");
    expect_tokens(w, "e", "e/t3:{}:30:0 ");
}

static void a_token_is_replaced(void **state)
{
    struct world *w = *state;
    (void)put(w, &(struct store_token){"t", "d", "{}", 10, false});
    assert_int_equal(put(w, &(struct store_token){"t", "d", "[1]", 11, true}).err.code, ERR_OK);
    expect_tokens(w, "d", "d/t:[1]:11:1 ");
}

static void only_those_that_ended_before_go(void **state)
{
    struct world *w = *state;
    (void)put(w, &(struct store_token){"old", "d", "{}", 10, true});
    (void)put(w, &(struct store_token){"busy", "d", "{}", 10, false});
    (void)put(w, &(struct store_token){"new", "d", "{}", 20, true});
    (void)put(w, &(struct store_token){"foreign", "e", "{}", 10, true});
    struct answer a = remove_before(w, "d", 20);
    assert_int_equal(a.err.code, ERR_OK);
    assert_int_equal(a.id, 0);
    expect_tokens(w, "d", "d/busy:{}:10:0 d/new:{}:20:1 ");
    expect_tokens(w, "e", "e/foreign:{}:10:1 ");
}

static void a_reader_may_stop(void **state)
{
    struct world *w = *state;
    struct seen seen = {.stop_after = 1};
    struct err err;
    (void)put(w, &(struct store_token){"a", "d", "{}", 1, false});
    (void)put(w, &(struct store_token){"b", "d", "{}", 2, false});
    assert_int_equal(store_load_tokens(w->store, "d", on_token, &seen, &err), ERR_NOMEM);
    assert_string_equal(seen.text, "d/a:{}:1:0 ");
}

static void tokens_survive_failing_allocations(void **state)
{
    struct world *w = *state;
    enum err_code rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        rc = put(w, &(struct store_token){"t", "d", "{}", 1, true}).err.code;
        mem_fail_at(0);
        expect_tokens(w, "d", rc == ERR_OK ? "d/t:{}:1:1 " : "");
    }
    assert_int_equal(rc, ERR_OK);
    rc = ERR_NOMEM;
    for (long n = 1; rc == ERR_NOMEM; n++) {
        mem_fail_at(n);
        rc = remove_before(w, "d", 2).err.code;
        mem_fail_at(0);
        expect_tokens(w, "d", rc == ERR_OK ? "" : "d/t:{}:1:1 ");
    }
    assert_int_equal(rc, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens_are_kept_by_door),
        TEST(a_token_is_replaced),
        TEST(only_those_that_ended_before_go),
        TEST(a_reader_may_stop),
        TEST(tokens_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
