/* The heap of due times, compared with a plain list. */
#include "base/mem.h"
#include "scheduler/timing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static int nothing_is_left(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_int_equal(mem_live(), 0);
    return 0;
}

static int64_t take_first(struct timing *t)
{
    const struct timing_entry *first = timing_first(t);
    if (first == NULL)
        return -1;
    int64_t id = first->id;
    assert_true(timing_take(t, id, NULL));
    return id;
}

static void the_earliest_comes_first_then_priority_then_id(void **state)
{
    (void)state;
    struct timing t = {0};
    assert_null(timing_first(&t));
    assert_false(timing_take(&t, 1, NULL));
    assert_true(timing_put(&t, 4, 200, 5));
    assert_true(timing_put(&t, 3, 100, 5));
    assert_true(timing_put(&t, 2, 100, 5));
    assert_true(timing_put(&t, 1, 100, 4));
    assert_true(timing_put(&t, 9, 100, 10));
    static const int64_t order[] = {9, 2, 3, 1, 4, -1};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        assert_int_equal(take_first(&t), order[i]);
    timing_clear(&t);
}

static void an_entry_moves_when_it_is_put_again(void **state)
{
    (void)state;
    struct timing t = {0};
    struct timing_entry entry;
    for (int64_t id = 0; id < 10; id++)
        assert_true(timing_put(&t, id, 100 + id, 5));
    assert_true(timing_put(&t, 7, 1, 5));
    assert_true(timing_put(&t, 0, 1000, 5));
    assert_int_equal(t.n, 10);
    assert_int_equal(take_first(&t), 7);
    assert_int_equal(take_first(&t), 1);
    assert_true(timing_take(&t, 0, &entry));
    assert_int_equal(entry.due_ms, 1000);
    assert_false(timing_take(&t, 0, &entry));
    timing_clear(&t);
}

/* ---- against a list ---- */

enum { IDS = 500, STEPS = 200000 };

struct plain {
    int64_t due_ms[IDS];
    int32_t priority[IDS];
    bool is_there[IDS];
};

/* Ids that collide and that do not. */
static int64_t id_of(int i)
{
    return i % 2 == 0 ? i : (int64_t)i << 40;
}

static int first_of(const struct plain *p)
{
    int first = -1;
    for (int i = 0; i < IDS; i++) {
        if (!p->is_there[i])
            continue;
        bool is_before = first < 0 || p->due_ms[i] < p->due_ms[first];
        if (first >= 0 && p->due_ms[i] == p->due_ms[first])
            is_before = p->priority[i] > p->priority[first] ||
                        (p->priority[i] == p->priority[first] && id_of(i) < id_of(first));
        if (is_before)
            first = i;
    }
    return first;
}

static void random_changes_agree_with_a_list(void **state)
{
    (void)state;
    static struct plain p;
    struct timing t = {0};
    unsigned seed = 7;
    for (int step = 0; step < STEPS; step++) {
        int i = rand_r(&seed) % IDS;
        if (rand_r(&seed) % 3 > 0) {
            p.due_ms[i] = rand_r(&seed) % 1000;
            p.priority[i] = rand_r(&seed) % 10;
            p.is_there[i] = true;
            assert_true(timing_put(&t, id_of(i), p.due_ms[i], p.priority[i]));
        } else {
            struct timing_entry entry;
            assert_int_equal(timing_take(&t, id_of(i), &entry), p.is_there[i]);
            if (p.is_there[i])
                assert_int_equal(entry.due_ms, p.due_ms[i]);
            p.is_there[i] = false;
        }
        if (step % 20 != 0)
            continue;
        int first = first_of(&p);
        const struct timing_entry *entry = timing_first(&t);
        assert_int_equal(entry != NULL ? entry->id : -1, first >= 0 ? id_of(first) : -1);
    }
    timing_clear(&t);
}

static void a_million_are_taken_in_and_given_back_in_order(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    struct timing t = {0};
    for (int64_t i = 0; i < MANY; i++)
        assert_true(timing_put(&t, i, (i * 7919) % MANY, 5));
    assert_true(t.cap * sizeof *t.heap + t.n_slots * sizeof *t.slots < 50 * 1000 * 1000);
    int64_t last = -1;
    for (int64_t i = 0; i < MANY; i++) {
        const struct timing_entry first = *timing_first(&t);
        assert_true(first.due_ms > last);
        last = first.due_ms;
        assert_true(timing_take(&t, first.id, NULL));
    }
    assert_null(timing_first(&t));
    timing_clear(&t);
}

static void nothing_changes_when_memory_is_short(void **state)
{
    (void)state;
    for (long n = 1; n <= 2; n++) {
        struct timing t = {0};
        int64_t id = 0;
        while (t.n < t.cap || t.n == 0)
            assert_true(timing_put(&t, id++, 100, 5));
        mem_fail_at(n);
        assert_false(timing_put(&t, id, 1, 5));
        mem_fail_at(0);
        assert_int_equal(timing_first(&t)->id, 0);
        assert_int_equal(t.n, id);
        assert_true(timing_put(&t, id, 1, 5));
        assert_int_equal(timing_first(&t)->id, id);
        timing_clear(&t);
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, nothing_is_left)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_earliest_comes_first_then_priority_then_id),
        TEST(an_entry_moves_when_it_is_put_again),
        TEST(random_changes_agree_with_a_list),
        TEST(a_million_are_taken_in_and_given_back_in_order),
        TEST(nothing_changes_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
