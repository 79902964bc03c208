/* Offers: which values count, states, versions, leases, and every way in which they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "discovery/offer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { START_MS = 1000000 };

/* An offer with a clock of its own. */
struct world {
    struct offer *offer;
    struct offer_moment at;
    struct offer_outcome outcome;
    struct err err;
};

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->offer = offer_new("main");
    w->at = (struct offer_moment){.wall_ms = 1893456000000, .mono_ms = START_MS}; /* 2030-01-01T00:00:00Z */
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    mem_fail_at(0);
    offer_free(w->offer);
    free(w);
    assert_int_equal(mem_live(), 0);
    return 0;
}

static void pass(struct world *w, int64_t seconds)
{
    w->at.wall_ms += seconds * 1000;
    w->at.mono_ms += seconds * 1000;
}

static enum err_code apply(struct world *w, struct offer_change *change)
{
    struct offer *next = NULL;
    enum err_code rc = offer_apply(w->offer, change, w->at, &next, &w->outcome, &w->err);
    offer_change_clear(change);
    if (rc == ERR_OK) {
        offer_free(w->offer);
        w->offer = next;
    }
    return rc;
}

static enum err_code read_change(const char *body, struct offer_change *change, struct err *err)
{
    json_t *value = NULL;
    assert_int_equal(json_parse(body, strlen(body), 8, &value, err), ERR_OK);
    enum err_code rc = offer_change_read(change, value, err);
    json_decref(value);
    return rc;
}

static enum err_code put(struct world *w, const char *unit, const char *body)
{
    struct offer_change change = {.kind = OFFER_PUT};
    (void)snprintf(change.unit, sizeof change.unit, "%s", unit);
    enum err_code rc = read_change(body, &change, &w->err);
    if (rc == ERR_OK)
        return apply(w, &change);
    offer_change_clear(&change);
    return rc;
}

static enum err_code change(struct world *w, enum offer_change_kind kind, const char *unit)
{
    struct offer_change c = {.kind = kind};
    (void)snprintf(c.unit, sizeof c.unit, "%s", unit);
    return apply(w, &c);
}

/* "3 joined,master p0 spark://a 6066": version, states, provider, and its values. */
static const char *summary(const struct world *w)
{
    static char text[512];
    const struct offer *o = w->offer;
    const struct offer_unit *u = offer_chosen(o);
    (void)snprintf(text, sizeof text, "%d%s%s%s %s %s %d", (int)o->version, o->n > 0 ? " joined" : "",
                   offer_has_master(o) ? ",master" : "", offer_is_ready(o) ? ",ready" : "",
                   u != NULL ? u->name : "-",
                   u != NULL && u->values.connection_string != NULL ? u->values.connection_string : "-",
                   u != NULL ? (int)u->values.rest_port : 0);
    return text;
}

#define EXPECT(expected) assert_string_equal(summary(w), expected)

static const char *text_of(void (*write)(struct buf *to, const struct offer *o), const struct offer *o)
{
    static char text[8192];
    cleanup(buf_clear) struct buf b = BUF(sizeof text - 1);
    write(&b, o);
    assert_int_equal(b.failed, ERR_OK);
    (void)snprintf(text, sizeof text, "%s", buf_cstr(&b));
    return text;
}

static void write_json(struct buf *to, const struct offer *o)
{
    offer_write_json(to, o, NULL);
}

/* ---- joining, changing, departing ---- */

static void a_unit_joins_tells_and_departs(void **state)
{
    struct world *w = *state;
    EXPECT("0 - - 0");
    assert_int_equal(put(w, "p0", "{\"private_address\":\"10.0.0.1\"}"), ERR_OK);
    assert_int_equal(w->outcome.effect, OFFER_JOINED);
    assert_true(w->outcome.created);
    EXPECT("1 joined p0 - 0");
    assert_int_equal(put(w, "p0", "{\"connection_string\":\"spark://a\",\"master\":\"a\"}"), ERR_OK);
    assert_int_equal(w->outcome.effect, OFFER_CHANGED);
    assert_false(w->outcome.created);
    EXPECT("2 joined,master p0 spark://a 0");
    assert_int_equal(put(w, "p0", "{\"spark_started\":true,\"rest_port\":6066}"), ERR_OK);
    EXPECT("3 joined,master,ready p0 spark://a 6066");
    assert_int_equal(put(w, "p0", "{\"spark_started\":false}"), ERR_OK);
    EXPECT("4 joined,master p0 spark://a 6066");
    assert_int_equal(change(w, OFFER_LEAVE, "p0"), ERR_OK);
    assert_int_equal(w->outcome.effect, OFFER_DEPARTED);
    assert_string_equal(offer_reason(&w->outcome), "left");
    EXPECT("5 - - 0");
}

static void states_need_no_order(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{\"spark_started\":true}");
    EXPECT("1 joined,ready p0 - 0");
    (void)put(w, "p0", "{\"connection_string\":\"yarn-client\"}");
    EXPECT("2 joined,ready p0 yarn-client 0"); /* master needs both */
    (void)put(w, "p0", "{\"master\":\"a\"}");
    EXPECT("3 joined,master,ready p0 yarn-client 0");
    (void)put(w, "p0", "{\"connection_string\":null}");
    EXPECT("4 joined,ready p0 - 0");
}

static void what_changes_nothing_raises_no_version(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{\"master\":\"a\",\"spark_started\":\"TRUE\"}");
    pass(w, 30);
    assert_int_equal(put(w, "p0", "{\"master\":\"a\",\"spark_started\":true}"), ERR_OK);
    assert_int_equal(w->outcome.effect, OFFER_RENEWED);
    assert_int_equal(w->offer->version, 1);
    assert_int_equal(offer_due_ms(w->offer), START_MS + 120000);
    assert_int_equal(w->offer->updated_ms, w->at.wall_ms - 30000);
}

static void null_and_empty_texts_remove_values(void **state)
{
    struct world *w = *state;
    (void)put(
        w, "p0",
        "{\"connection_string\":\"c\",\"master\":\"a\",\"rest_port\":\"6066\",\"private_address\":\"b\","
        "\"spark_started\":\"False\"}");
    EXPECT("1 joined,master p0 c 6066");
    (void)put(w, "p0",
              "{\"connection_string\":\"\",\"master\":null,\"rest_port\":null,\"private_address\":\"\"}");
    const struct offer_values *v = &w->offer->units[0].values;
    assert_true(v->connection_string == NULL && v->master == NULL && v->private_address == NULL);
    assert_int_equal(v->rest_port, 0);
    assert_int_equal(v->spark_started, OFFER_FALSE);
    (void)put(w, "p0", "{\"spark_started\":null}");
    assert_int_equal(w->offer->units[0].values.spark_started, OFFER_UNKNOWN);
    assert_int_equal(w->offer->version, 3);
}

static void values_come_from_one_unit(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{\"connection_string\":\"zero\",\"master\":\"z\",\"spark_started\":false}");
    (void)put(w, "p1", "{\"connection_string\":\"one\"}");
    assert_int_equal(w->outcome.effect, OFFER_CHANGED);
    EXPECT("2 joined,master p0 zero 0"); /* none has started: the first */
    (void)put(w, "p1", "{\"spark_started\":true,\"rest_port\":1}");
    EXPECT(
        "3 joined,ready p1 one 1"); /* the False of the first hides nothing, and its master is not mixed in */
    (void)put(w, "p2", "{\"connection_string\":\"two\",\"spark_started\":true}");
    EXPECT("4 joined,ready p1 one 1");
    (void)put(w, "p0", "{\"spark_started\":true}");
    EXPECT("5 joined,master,ready p0 zero 0"); /* who registers again keeps the place */
    (void)change(w, OFFER_LEAVE, "p0");
    EXPECT("6 joined,ready p1 one 1");
    (void)put(w, "p0", "{\"spark_started\":true}"); /* who left begins at the end */
    (void)change(w, OFFER_LEAVE, "p1");
    EXPECT("8 joined,ready p2 two 0");
}

static void unknown_units_are_refused(void **state)
{
    struct world *w = *state;
    assert_int_equal(change(w, OFFER_LEAVE, "p0"), ERR_NOT_FOUND);
    assert_string_equal(w->err.msg, "unit 'p0' of offer 'main' is not known");
    assert_int_equal(change(w, OFFER_RENEW, "p0"), ERR_NOT_FOUND);
    assert_non_null(strstr(w->err.msg, "must join again"));
    EXPECT("0 - - 0");
}

static void units_are_limited(void **state)
{
    struct world *w = *state;
    char name[16];
    for (int i = 0; i < OFFER_UNITS_MAX - 1; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        assert_int_equal(put(w, name, "{}"), ERR_OK);
    }
    assert_int_equal(put(w, "more", "{}"), ERR_BUSY);
    assert_string_equal(w->err.msg, "offer 'main' has 32 units already, which is the limit");
    assert_int_equal(put(w, "p3", "{\"spark_started\":true}"), ERR_OK);
    assert_int_equal(change(w, OFFER_LEAVE, "p0"), ERR_OK);
    assert_int_equal(put(w, "more", "{}"), ERR_OK);
}

/* ---- leases ---- */

static void leases_end_in_their_order(void **state)
{
    struct world *w = *state;
    assert_true(offer_due_ms(w->offer) == INT64_MAX);
    (void)put(w, "slow", "{\"ttl\":3600}");
    (void)put(w, "usual", "{}");
    (void)put(w, "fast", "{\"ttl\":\"5\"}");
    assert_int_equal(offer_due_ms(w->offer), START_MS + 5000);
    pass(w, 4);
    assert_int_equal(change(w, OFFER_EXPIRE, ""), ERR_OK);
    assert_int_equal(w->outcome.effect, OFFER_SAME);
    pass(w, 1);
    assert_int_equal(change(w, OFFER_EXPIRE, ""), ERR_OK);
    assert_int_equal(w->outcome.effect, OFFER_DEPARTED);
    assert_string_equal(w->outcome.unit, "fast");
    assert_string_equal(offer_reason(&w->outcome), "expired");
    assert_int_equal(w->offer->version, 4);
    assert_int_equal(offer_due_ms(w->offer), START_MS + 90000);
    pass(w, 3600);
    (void)change(w, OFFER_EXPIRE, "");
    assert_string_equal(w->outcome.unit, "usual");
    (void)change(w, OFFER_EXPIRE, "");
    assert_string_equal(w->outcome.unit, "slow");
    EXPECT("6 - - 0");
}

static void a_lease_is_renewed_with_its_own_length(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{\"ttl\":10}");
    pass(w, 8);
    assert_int_equal(change(w, OFFER_RENEW, "p0"), ERR_OK);
    assert_int_equal(w->outcome.effect, OFFER_RENEWED);
    assert_int_equal(w->offer->version, 1);
    assert_int_equal(offer_due_ms(w->offer), START_MS + 18000);
    (void)put(w, "p0", "{\"master\":\"a\"}"); /* keeps the length */
    assert_int_equal(offer_due_ms(w->offer), START_MS + 18000);
    (void)put(w, "p0", "{\"ttl\":null}"); /* back to the usual one */
    assert_int_equal(offer_due_ms(w->offer), START_MS + 8000 + 90000);
}

static void setting_the_clock_ends_no_lease(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{\"ttl\":10}");
    w->at.wall_ms += 100000000;
    (void)change(w, OFFER_EXPIRE, "");
    assert_int_equal(w->outcome.effect, OFFER_SAME);
}

static void hearths_own_unit_has_no_lease(void **state)
{
    struct world *w = *state;
    struct offer_change c = {.kind = OFFER_PUT, .unit = OFFER_OWN_UNIT, .own = true};
    assert_int_equal(apply(w, &c), ERR_OK);
    assert_true(offer_due_ms(w->offer) == INT64_MAX);
    assert_non_null(strstr(text_of(write_json, w->offer), "\"expires\":null"));
    assert_int_equal(apply(w, &c), ERR_OK);
    assert_int_equal(w->outcome.effect, OFFER_SAME);
}

/* ---- bodies ---- */

static void bad_bodies_are_refused_by_name(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"[]", "must be a JSON object"},
        {"7", "must be a JSON object"},
        {"{\"spark_started\":1}", "field \"spark_started\" must be true, false or null"},
        {"{\"spark_started\":\"yes\"}", "field \"spark_started\" must be"},
        {"{\"spark_started\":[true]}", "field \"spark_started\" must be"},
        {"{\"rest_port\":0}", "field \"rest_port\" must be a whole number from 1 to 65535"},
        {"{\"rest_port\":65536}", "\"rest_port\""},
        {"{\"rest_port\":\"80x\"}", "\"rest_port\""},
        {"{\"rest_port\":\"+80\"}", "\"rest_port\""},
        {"{\"rest_port\":6066.0}", "\"rest_port\""},
        {"{\"rest_port\":true}", "\"rest_port\""},
        {"{\"connection_string\":7}", "field \"connection_string\" must be a text of at most 2048 bytes"},
        {"{\"connection_string\":\"a\\nb\"}", "without control characters"},
        {"{\"master\":{}}", "field \"master\" must be a text of at most 255 bytes"},
        {"{\"private_address\":\"\\u007f\"}", "\"private_address\""},
        {"{\"ttl\":4}", "field \"ttl\" must be a whole number from 5 to 3600"},
        {"{\"ttl\":3601}", "\"ttl\""},
        {"{\"ttl\":\"soon\"}", "\"ttl\""},
        {"{\"url\":\"x\"}", "Unrecognized field \"url\" (known: spark_started, connection_string, master"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(put(w, "p0", cases[i].body), ERR_INVALID);
        if (strstr(w->err.msg, cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].body, w->err.msg);
    }
    EXPECT("0 - - 0");
}

static void values_have_a_longest_length(void **state)
{
    struct world *w = *state;
    char body[4096];
    (void)snprintf(body, sizeof body, "{\"master\":\"%0255d\",\"connection_string\":\"%02048d\"}", 0, 0);
    assert_int_equal(put(w, "p0", body), ERR_OK);
    (void)snprintf(body, sizeof body, "{\"master\":\"%0256d\"}", 0);
    assert_int_equal(put(w, "p0", body), ERR_INVALID);
    (void)snprintf(body, sizeof body, "{\"connection_string\":\"%02049d\"}", 0);
    assert_int_equal(put(w, "p0", body), ERR_INVALID);
    assert_int_equal(w->offer->version, 1);
}

static void names_are_checked(void **state)
{
    struct err err;
    char longest[OFFER_NAME_MAX + 2];
    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    static const char *const good[] = {"a", "main", "A-Z_0.9", ".", "..", "-"};
    static const char *const bad[] = {"", "a b", "a/b", "../x", "\xc3\xa4", "a\n", "%41"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(offer_check_name("an offer", good[i], &err), ERR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(offer_check_name("a unit", bad[i], &err), ERR_INVALID);
    assert_int_equal(offer_check_name("a unit", longest, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "cannot be the name of a unit: 1 to 64 characters of A-Z"));
    assert_int_equal(offer_check_name("a unit", longest + 1, &err), ERR_OK);
}

/* ---- texts ---- */

static void the_object_is_the_one_of_the_documentation(void **state)
{
    struct world *w = *state;
    (void)put(
        w, "p0",
        "{\"spark_started\":true,\"connection_string\":\"spark://10.0.0.1:7077\",\"master\":\"10.0.0.1\","
        "\"rest_port\":6066,\"private_address\":\"10.0.0.1\"}");
    assert_string_equal(
        text_of(write_json, w->offer),
        "{\"name\":\"main\",\"version\":1,\"joined\":1,\"states\":[\"joined\",\"master\",\"ready\"],"
        "\"spark_started\":true,\"connection_string\":\"spark://10.0.0.1:7077\",\"master\":\"10.0.0.1\","
        "\"rest_port\":6066,\"private_address\":\"10.0.0.1\",\"provider\":\"p0\","
        "\"updated\":\"2030-01-01T00:00:00.000Z\",\"units\":{\"p0\":{\"spark_started\":true,"
        "\"connection_string\":\"spark://10.0.0.1:7077\",\"master\":\"10.0.0.1\",\"rest_port\":6066,"
        "\"private_address\":\"10.0.0.1\",\"expires\":\"2030-01-01T00:01:30.000Z\"}}}");
    (void)change(w, OFFER_LEAVE, "p0");
    assert_string_equal(
        text_of(write_json, w->offer),
        "{\"name\":\"main\",\"version\":2,\"joined\":0,\"states\":[],\"spark_started\":null,"
        "\"connection_string\":null,\"master\":null,\"rest_port\":null,\"private_address\":null,"
        "\"provider\":null,\"updated\":\"2030-01-01T00:00:00.000Z\",\"units\":{}}");
}

static void the_file_for_shells_leaves_out_what_is_unknown(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{\"private_address\":\"10.0.0.1\"}");
    assert_string_equal(text_of(offer_write_env, w->offer), "SPARK_DISCOVERY_VERSION=1\n");
    (void)put(w, "p0",
              "{\"connection_string\":\"local[*]\",\"master\":\"10.0.0.1\",\"spark_started\":false}");
    assert_string_equal(text_of(offer_write_env, w->offer), "SPARK_STARTED=false\n"
                                                            "SPARK_MASTER_URL='local[*]'\n"
                                                            "SPARK_MASTER_IP=10.0.0.1\n"
                                                            "SPARK_DISCOVERY_VERSION=2\n");
    (void)put(w, "p0",
              "{\"connection_string\":\"spark://a:1,b:2\",\"rest_port\":6066,\"spark_started\":true}");
    assert_string_equal(text_of(offer_write_env, w->offer), "SPARK_STARTED=true\n"
                                                            "SPARK_MASTER_URL=spark://a:1,b:2\n"
                                                            "SPARK_MASTER_IP=10.0.0.1\n"
                                                            "SPARK_REST_PORT=6066\n"
                                                            "SPARK_DISCOVERY_VERSION=3\n");
    (void)change(w, OFFER_LEAVE, "p0");
    assert_string_equal(text_of(offer_write_env, w->offer),
                        "SPARK_STARTED=false\nSPARK_DISCOVERY_VERSION=4\n");
}

/* What a real shell makes of VALUE. */
static void expect_shell(const char *value, const char *written)
{
    cleanup(buf_clear) struct buf b = BUF(4096);
    char read_back[1024] = "";
    buf_str(&b, "X=");
    offer_write_shell(&b, value);
    assert_string_equal(buf_cstr(&b) + 2, written);
    buf_str(&b, "\nprintf %s \"$X\"");
    assert_int_equal(setenv("SCRIPT", buf_cstr(&b), 1), 0);
    FILE *shell = popen("exec sh -c \"$SCRIPT\"", "r");
    assert_non_null(shell);
    size_t n = fread(read_back, 1, sizeof read_back - 1, shell);
    read_back[n] = '\0';
    assert_int_equal(pclose(shell), 0);
    assert_string_equal(read_back, value);
}

static void a_shell_reads_values_back(void **state)
{
    (void)state;
    expect_shell("spark://a:7077,b:7077", "spark://a:7077,b:7077");
    expect_shell("A-Z_0.9:/@%+,=-", "A-Z_0.9:/@%+,=-");
    expect_shell("", "''");
    expect_shell("local[*]", "'local[*]'");
    expect_shell("it's", "'it'\\''s'");
    expect_shell("'", "''\\'''");
    expect_shell("$(touch /tmp/x) `id` \"q\" \\ ~ #", "'$(touch /tmp/x) `id` \"q\" \\ ~ #'");
    expect_shell("~root", "'~root'");
    expect_shell("\xc3\xa4 \xf0\x9f\x94\xa5", "'\xc3\xa4 \xf0\x9f\x94\xa5'");
}

/* The kinds of the events that the last change makes. */
static const char *events(const struct world *w)
{
    static char kinds[128];
    cleanup(buf_clear) struct buf b = BUF(65536);
    kinds[0] = '\0';
    offer_write_events(&b, w->offer, &w->outcome);
    for (const char *p = buf_cstr(&b); (p = strstr(p, "event: ")) != NULL; p += 7) {
        size_t used = strlen(kinds);
        (void)snprintf(kinds + used, sizeof kinds - used, "%.*s ", (int)strcspn(p + 7, "\n"), p + 7);
    }
    return kinds;
}

static void changes_are_told(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{}");
    assert_string_equal(events(w), "joined ");
    (void)put(w, "p1", "{}");
    assert_string_equal(events(w), "changed ");
    (void)put(w, "p1", "{}");
    assert_string_equal(events(w), "");
    (void)put(w, "p1", "{\"master\":\"a\"}");
    assert_string_equal(events(w), "changed ");
    (void)change(w, OFFER_LEAVE, "p0");
    assert_string_equal(events(w), "departed ");
    (void)change(w, OFFER_LEAVE, "p1");
    assert_string_equal(events(w), "departed broken ");
    (void)put(w, "p1", "{}");
    assert_string_equal(events(w), "joined ");
}

static void an_event_is_one_line_of_data(void **state)
{
    struct world *w = *state;
    cleanup(buf_clear) struct buf b = BUF(65536);
    (void)put(w, "p0", "{}");
    (void)change(w, OFFER_LEAVE, "p0");
    offer_write_events(&b, w->offer, &w->outcome);
    assert_ptr_equal(strstr(b.data, "id: 2\nevent: departed\ndata: {\"name\":\"main\",\"version\":2,"),
                     b.data);
    assert_non_null(
        strstr(b.data, "\"units\":{},\"unit\":\"p0\",\"reason\":\"left\"}\n\nid: 2\nevent: broken\n"));
    assert_string_equal(b.data + b.len - strlen("\"units\":{}}\n\n"), "\"units\":{}}\n\n");
}

/* ---- the stored form ---- */

static void stored_units_come_back(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{\"ttl\":60,\"connection_string\":\"it's\",\"spark_started\":false}");
    (void)put(w, "p1", "{\"master\":\"m\",\"rest_port\":1,\"private_address\":\"p\",\"spark_started\":true}");
    (void)put(w, "p2", "{}");
    char *stored = strdup(text_of(offer_write_units, w->offer));
    char *before = strdup(text_of(write_json, w->offer));
    struct offer *o = offer_new("main");
    o->version = w->offer->version;
    o->updated_ms = w->offer->updated_ms;
    struct offer_moment later = {.wall_ms = w->at.wall_ms + 20000, .mono_ms = 5}; /* another boot */
    assert_int_equal(offer_read_units(o, stored, later, &w->err), ERR_OK);
    assert_string_equal(text_of(write_json, o), before);
    assert_int_equal(offer_due_ms(o), 5 + 40000);
    assert_int_equal(o->units[2].values.spark_started, OFFER_UNKNOWN);
    offer_free(o);
    free(stored);
    free(before);
}

static void a_clock_that_was_set_back_makes_no_lease_longer(void **state)
{
    struct world *w = *state;
    (void)put(w, "p0", "{\"ttl\":60}");
    struct offer *o = offer_new("main");
    struct offer_moment earlier = {.wall_ms = w->at.wall_ms - 3600000, .mono_ms = 5};
    assert_int_equal(offer_read_units(o, text_of(offer_write_units, w->offer), earlier, &w->err), ERR_OK);
    assert_int_equal(offer_due_ms(o), 5 + 60000);
    offer_free(o);
}

static void damaged_units_are_refused(void **state)
{
    struct world *w = *state;
    static const char *const damaged[] = {"",
                                          "{}",
                                          "[1]",
                                          "[{}]",
                                          "[{\"name\":\"a b\"}]",
                                          "[{\"name\":\"a\",\"x\":1}]",
                                          "[{\"name\":\"a\",\"ttl\":-1}]",
                                          "[[]]",
                                          "[{\"name\":\"a\",\"master\":[]}]"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct offer *o = offer_new("main");
        if (offer_read_units(o, damaged[i], w->at, &w->err) != ERR_INVALID)
            fail_msg("%s was read", damaged[i]);
        offer_free(o);
    }
}

/* ---- memory ---- */

static void changes_survive_failing_allocations(void **state)
{
    struct world *w = *state;
    enum err_code rc = ERR_NOMEM;
    (void)put(w, "p0", "{\"connection_string\":\"c\",\"master\":\"a\",\"private_address\":\"p\"}");
    for (long n = 1; rc == ERR_NOMEM; n++) {
        long live = mem_live();
        mem_fail_at(n);
        rc = put(w, "p1",
                 "{\"connection_string\":\"d\",\"master\":\"b\",\"private_address\":\"q\",\"rest_port\":1}");
        mem_fail_at(0);
        if (rc == ERR_NOMEM) {
            assert_int_equal(mem_live(), live);
            EXPECT("1 joined,master p0 c 0");
        }
    }
    assert_int_equal(rc, ERR_OK);
    assert_int_equal(w->offer->version, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_unit_joins_tells_and_departs),
        TEST(states_need_no_order),
        TEST(what_changes_nothing_raises_no_version),
        TEST(null_and_empty_texts_remove_values),
        TEST(values_come_from_one_unit),
        TEST(unknown_units_are_refused),
        TEST(units_are_limited),
        TEST(leases_end_in_their_order),
        TEST(a_lease_is_renewed_with_its_own_length),
        TEST(setting_the_clock_ends_no_lease),
        TEST(hearths_own_unit_has_no_lease),
        TEST(bad_bodies_are_refused_by_name),
        TEST(values_have_a_longest_length),
        TEST(names_are_checked),
        TEST(the_object_is_the_one_of_the_documentation),
        TEST(the_file_for_shells_leaves_out_what_is_unknown),
        TEST(a_shell_reads_values_back),
        TEST(changes_are_told),
        TEST(an_event_is_one_line_of_data),
        TEST(stored_units_come_back),
        TEST(a_clock_that_was_set_back_makes_no_lease_longer),
        TEST(damaged_units_are_refused),
        TEST(changes_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
