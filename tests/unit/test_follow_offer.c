/* Followers of an offer: how far one may fall behind. The registry is one of this file's own, with a single
 * watcher; the HTTP server and the client are real. */
#include "http_world.h"

#include "discovery/discovery_internal.h"

enum { EVENT_BYTES = 500, BEHIND_MAX = 1000, SMALL = 4096 };

static struct registry_watcher *watcher;

bool registry_find(const struct registry *r, const char *name, struct registry_view *ret)
{
    (void)r;
    (void)name;
    (void)ret;
    return false;
}

bool registry_watch(struct registry *r, const char *name, struct registry_watcher *w)
{
    (void)r;
    assert_string_equal(name, "main");
    assert_null(watcher);
    watcher = w;
    return true;
}

void registry_unwatch(struct registry_watcher *w)
{
    if (watcher == w)
        watcher = NULL;
}

void discovery_reply_error(struct http_request *r, const struct err *err)
{
    reply_text(r, err_http_status(err->code), err->msg);
}

static void follow(struct http_request *r, void *world)
{
    struct discovery none = {0};
    (void)world;
    discovery_follow(r, &none);
}

static const struct http_route routes[] = {{"GET", "/{name}/events", follow, "", false}};

static int begin(void **state)
{
    *state = world_new(routes, 1);
    return 0;
}

/* A client to whom the server's socket holds next to nothing. */
static struct client *follow_narrowly(struct world *w)
{
    struct client *c = connect_to(w);
    const int small = SMALL;
    say(c, "GET /main/events HTTP/1.1\r\n" HOST "\r\n");
    (void)read_reply(w, c, false);
    assert_non_null(watcher);
    (void)setsockopt(w->server->connections->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    return c;
}

static void tell(struct world *w)
{
    char event[EVENT_BYTES];
    memset(event, 'x', sizeof event);
    event[sizeof event - 1] = '\n';
    watcher->on_change((struct registry_view){0}, event, sizeof event, watcher->arg);
    turn(w);
}

/* Events that have not gone out, or not whole. */
static size_t behind(const struct world *w)
{
    return (http_stream_waiting(w->server->streams) + EVENT_BYTES - 1) / EVENT_BYTES;
}

static void a_thousand_events_may_wait_and_no_more(void **state)
{
    struct world *w = *state;
    struct client *c = follow_narrowly(w);
    int64_t limit = limit_from_now();
    while (behind(w) < BEHIND_MAX && clock_mono_ms() < limit) {
        tell(w);
        assert_non_null(watcher);
    }
    assert_int_equal(behind(w), BEHIND_MAX);
    tell(w);
    assert_null(watcher);
    until_closed(w, c);
    hang_up(c);
}

static void who_is_slow_and_keeps_up_stays(void **state)
{
    struct world *w = *state;
    struct client *c = follow_narrowly(w);
    int64_t limit = limit_from_now();
    while (behind(w) < BEHIND_MAX / 2 && clock_mono_ms() < limit)
        tell(w);
    for (int i = 0;
         i < 3 * BEHIND_MAX && clock_mono_ms() < limit;) { /* there is always something that waits */
        char taken[SMALL];
        (void)recv(c->fd, taken, sizeof taken, MSG_DONTWAIT);
        turn(w);
        for (; behind(w) < BEHIND_MAX / 2 && i < 3 * BEHIND_MAX; i++) {
            tell(w);
            assert_non_null(watcher);
        }
    }
    assert_true(clock_mono_ms() < limit);
    hang_up(c);
}

static void without_memory_for_an_event_the_follower_is_let_go(void **state)
{
    struct world *w = *state;
    struct client *c = follow_narrowly(w);
    watcher->on_change((struct registry_view){0}, NULL, 0, watcher->arg);
    assert_null(watcher);
    until_closed(w, c);
    hang_up(c);
}

static void bad_names_are_refused(void **state)
{
    struct world *w = *state;
    assert_int_equal(ask(w, "GET /a%20b/events HTTP/1.1\r\n" HOST "\r\n").status, 400);
    assert_null(watcher);
}

static int end(void **state)
{
    int rc = world_end(state);
    assert_null(watcher);
    return rc;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_thousand_events_may_wait_and_no_more),
        TEST(who_is_slow_and_keeps_up_stays),
        TEST(without_memory_for_an_event_the_follower_is_let_go),
        TEST(bad_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
