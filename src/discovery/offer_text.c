/* Offers as text: the JSON object, the file for shells, server-sent events, and what the store keeps. */
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "discovery/offer.h"

#include <inttypes.h>
#include <string.h>

enum { STORED_DEPTH_MAX = 2 };

static const char bare_characters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@%+,=-";

/* ---- the object ---- */

static void write_flag(struct json_out *out, const char *key, enum offer_flag flag)
{
    if (flag == OFFER_UNKNOWN)
        json_out_null(out, key);
    else
        json_out_bool(out, key, flag == OFFER_TRUE);
}

static void write_time(struct json_out *out, const char *key, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];
    if (wall_ms > 0)
        clock_format(wall_ms, text);
    json_out_str(out, key, wall_ms > 0 ? text : NULL);
}

static void write_values(struct json_out *out, const struct offer_values *v)
{
    write_flag(out, "spark_started", v->spark_started);
    json_out_str(out, "connection_string", v->connection_string);
    json_out_str(out, "master", v->master);
    if (v->rest_port > 0)
        json_out_int(out, "rest_port", v->rest_port);
    else
        json_out_null(out, "rest_port");
    json_out_str(out, "private_address", v->private_address);
}

static void write_states(struct json_out *out, const struct offer *o)
{
    json_out_array(out, "states");
    if (o->n > 0)
        json_out_str(out, NULL, "joined");
    if (offer_has_master(o))
        json_out_str(out, NULL, "master");
    if (offer_is_ready(o))
        json_out_str(out, NULL, "ready");
    json_out_end_array(out);
}

static void write_units(struct json_out *out, const struct offer *o)
{
    json_out_object(out, "units");
    for (size_t i = 0; i < o->n; i++) {
        json_out_object(out, o->units[i].name);
        write_values(out, &o->units[i].values);
        write_time(out, "expires", o->units[i].expires_ms);
        json_out_end_object(out);
    }
    json_out_end_object(out);
}

const char *offer_reason(const struct offer_outcome *outcome)
{
    if (outcome == NULL || outcome->effect != OFFER_DEPARTED)
        return NULL;
    return outcome->expired ? "expired" : "left";
}

void offer_write_json(struct buf *to, const struct offer *o, const struct offer_outcome *outcome)
{
    static const struct offer_values nothing;
    const struct offer_unit *chosen = offer_chosen(o);
    const char *reason = offer_reason(outcome);
    struct json_out out;
    json_out_open(&out, to);
    json_out_object(&out, NULL);
    json_out_str(&out, "name", o->name);
    json_out_int(&out, "version", o->version);
    json_out_int(&out, "joined", (int64_t)o->n);
    write_states(&out, o);
    write_values(&out, chosen != NULL ? &chosen->values : &nothing);
    json_out_str(&out, "provider", chosen != NULL ? chosen->name : NULL);
    write_time(&out, "updated", o->updated_ms);
    write_units(&out, o);
    if (reason != NULL) {
        json_out_str(&out, "unit", outcome->unit);
        json_out_str(&out, "reason", reason);
    }
    json_out_end_object(&out);
}

/* ---- for shells ---- */

void offer_write_shell(struct buf *to, const char *value)
{
    if (value[0] != '\0' && value[strspn(value, bare_characters)] == '\0') {
        buf_str(to, value);
        return;
    }
    buf_char(to, '\'');
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\'')
            buf_str(to, "'\\''"); /* ends the quotes, adds one, begins them again */
        else
            buf_char(to, *p);
    }
    buf_char(to, '\'');
}

static void write_line(struct buf *to, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(to, "%s=", name);
    offer_write_shell(to, value);
    buf_char(to, '\n');
}

void offer_write_env(struct buf *to, const struct offer *o)
{
    const struct offer_unit *chosen = offer_chosen(o);
    if (chosen == NULL) {
        buf_str(to, "SPARK_STARTED=false\n");
    } else {
        const struct offer_values *v = &chosen->values;
        if (v->spark_started != OFFER_UNKNOWN)
            write_line(to, "SPARK_STARTED", v->spark_started == OFFER_TRUE ? "true" : "false");
        write_line(to, "SPARK_MASTER_URL", v->connection_string);
        write_line(to, "SPARK_MASTER_IP", v->master);
        if (v->rest_port > 0)
            buf_printf(to, "SPARK_REST_PORT=%" PRId64 "\n", v->rest_port);
    }
    buf_printf(to, "SPARK_DISCOVERY_VERSION=%" PRId64 "\n", o->version);
}

/* ---- events ---- */

static void write_event(struct buf *to, const char *kind, const struct offer *o,
                        const struct offer_outcome *outcome)
{
    buf_printf(to, "id: %" PRId64 "\nevent: %s\ndata: ", o->version, kind);
    offer_write_json(to, o, outcome);
    buf_str(to, "\n\n");
}

void offer_write_events(struct buf *to, const struct offer *o, const struct offer_outcome *outcome)
{
    switch (outcome->effect) {
    case OFFER_SAME:
    case OFFER_RENEWED: break;
    case OFFER_JOINED: write_event(to, "joined", o, NULL); break;
    case OFFER_CHANGED: write_event(to, "changed", o, NULL); break;
    case OFFER_DEPARTED:
        write_event(to, "departed", o, outcome);
        if (o->n == 0)
            write_event(to, "broken", o, NULL);
        break;
    }
}

void offer_write_present(struct buf *to, const struct offer *o)
{
    write_event(to, o->n > 0 ? "changed" : "broken", o, NULL);
}

/* ---- in the store ---- */

void offer_write_units(struct buf *to, const struct offer *o)
{
    struct json_out out;
    json_out_open(&out, to);
    json_out_array(&out, NULL);
    for (size_t i = 0; i < o->n; i++) {
        const struct offer_unit *u = &o->units[i];
        json_out_object(&out, NULL);
        json_out_str(&out, "name", u->name);
        write_values(&out, &u->values);
        json_out_int(&out, "ttl", u->ttl_s);
        json_out_int(&out, "expires", u->expires_ms);
        json_out_end_object(&out);
    }
    json_out_end_array(&out);
}

/* What is left of a lease may not be more than its length: the clock may have been set back. */
static int64_t left_ms(const struct offer_unit *u, int64_t wall_ms)
{
    int64_t left = u->expires_ms - wall_ms;
    return left > u->ttl_s * 1000 ? u->ttl_s * 1000 : left;
}

static enum err_code read_unit(struct offer *o, json_t *stored, struct offer_moment at, struct err *err)
{
    if (o->n == OFFER_UNITS_MAX)
        return err_set(err, ERR_INVALID, "more than %d units", OFFER_UNITS_MAX);
    struct offer_unit *u = &o->units[o->n];
    struct json_in in;
    bool started = false;
    char *name = NULL;
    *u = (struct offer_unit){0};
    o->n++; /* from here on offer_free() sees to it */
    json_in_open(&in, stored, err);
    json_in_str(&in, "name", &name);
    json_in_bool(&in, "spark_started", &started);
    json_in_str(&in, "connection_string", &u->values.connection_string);
    json_in_str(&in, "master", &u->values.master);
    json_in_str(&in, "private_address", &u->values.private_address);
    json_in_int(&in, "rest_port", 0, UINT16_MAX, &u->values.rest_port);
    json_in_int(&in, "ttl", 0, OFFER_TTL_MAX, &u->ttl_s);
    json_in_int(&in, "expires", 0, INT64_MAX, &u->expires_ms);
    enum err_code rc = json_in_end(&in);
    if (rc == ERR_OK)
        rc = offer_check_name("a unit", name != NULL ? name : "", err);
    if (rc == ERR_OK) {
        (void)snprintf(u->name, sizeof u->name, "%s", name);
        if (json_is_boolean(json_object_get(stored, "spark_started")))
            u->values.spark_started = started ? OFFER_TRUE : OFFER_FALSE;
        u->due_ms = u->ttl_s > 0 ? at.mono_ms + left_ms(u, at.wall_ms) : 0;
    }
    mem_free(name);
    return rc;
}

enum err_code offer_read_units(struct offer *o, const char *text, struct offer_moment at, struct err *err)
{
    json_t *stored = NULL;
    enum err_code rc = json_parse(text, strlen(text), STORED_DEPTH_MAX, &stored, err);
    if (rc == ERR_OK && !json_is_array(stored))
        rc = err_set(err, ERR_INVALID, "its units are no list");
    size_t i = 0;
    json_t *unit = NULL;
    json_array_foreach(stored, i, unit) if (rc == ERR_OK) rc = read_unit(o, unit, at, err);
    json_decref(stored);
    return rc;
}
