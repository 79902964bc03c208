#include "discovery/offer.h"

#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum { PORT_MAX = 65535 };

static const char name_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

enum err_code offer_check_name(const char *what, const char *name, struct err *err)
{
    size_t len = strlen(name);
    if (len > 0 && len <= OFFER_NAME_MAX && strspn(name, name_characters) == len)
        return ERR_OK;
    return err_set(
        err, ERR_INVALID,
        "'%.80s' cannot be the name of %s: 1 to %d characters of A-Z, a-z, 0-9, '.', '_' and '-' can", name,
        what, OFFER_NAME_MAX);
}

/* ---- values ---- */

static void values_clear(struct offer_values *v)
{
    mem_free(v->connection_string);
    mem_free(v->master);
    mem_free(v->private_address);
    *v = (struct offer_values){0};
}

static bool copy_text(char **to, const char *from)
{
    return mem_set_str(to, from) == 0;
}

/* Takes over the values that were given. False: out of memory. */
static bool values_merge(struct offer_values *to, const struct offer_values *from, unsigned given)
{
    if ((given & OFFER_SPARK_STARTED) != 0)
        to->spark_started = from->spark_started;
    if ((given & OFFER_REST_PORT) != 0)
        to->rest_port = from->rest_port;
    return ((given & OFFER_CONNECTION_STRING) == 0 ||
            copy_text(&to->connection_string, from->connection_string)) &&
           ((given & OFFER_MASTER) == 0 || copy_text(&to->master, from->master)) &&
           ((given & OFFER_PRIVATE_ADDRESS) == 0 || copy_text(&to->private_address, from->private_address));
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool values_same(const struct offer_values *a, const struct offer_values *b)
{
    return a->spark_started == b->spark_started && a->rest_port == b->rest_port &&
           same_text(a->connection_string, b->connection_string) && same_text(a->master, b->master) &&
           same_text(a->private_address, b->private_address);
}

/* ---- offers ---- */

struct offer *offer_new(const char *name)
{
    struct offer *o = mem_calloc(1, sizeof *o);
    if (o != NULL)
        (void)snprintf(o->name, sizeof o->name, "%s", name);
    return o;
}

void offer_free(struct offer *o)
{
    for (size_t i = 0; o != NULL && i < o->n; i++)
        values_clear(&o->units[i].values);
    mem_free(o);
}

/* NULL: out of memory. */
static struct offer *copy_offer(const struct offer *o)
{
    struct offer *copy = offer_new(o->name);
    if (copy == NULL)
        return NULL;
    copy->version = o->version;
    copy->updated_ms = o->updated_ms;
    for (size_t i = 0; i < o->n; i++) {
        copy->units[i] = o->units[i];
        copy->units[i].values = (struct offer_values){0};
        copy->n++;
        if (!values_merge(&copy->units[i].values, &o->units[i].values, OFFER_ALL_FIELDS)) {
            offer_free(copy);
            return NULL;
        }
    }
    return copy;
}

static size_t find_unit(const struct offer *o, const char *name)
{
    size_t i = 0;
    while (i < o->n && strcmp(o->units[i].name, name) != 0)
        i++;
    return i;
}

const struct offer_unit *offer_unit(const struct offer *o, const char *name)
{
    size_t i = find_unit(o, name);
    return i < o->n ? &o->units[i] : NULL;
}

const struct offer_unit *offer_chosen(const struct offer *o)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->units[i].values.spark_started == OFFER_TRUE)
            return &o->units[i];
    return o->n > 0 ? &o->units[0] : NULL;
}

bool offer_has_master(const struct offer *o)
{
    const struct offer_unit *u = offer_chosen(o);
    return u != NULL && u->values.connection_string != NULL && u->values.master != NULL;
}

bool offer_is_ready(const struct offer *o)
{
    const struct offer_unit *u = offer_chosen(o);
    return u != NULL && u->values.spark_started == OFFER_TRUE;
}

/* The place of the unit whose lease ends first; o->n when none has a lease. */
static size_t first_due(const struct offer *o)
{
    size_t first = o->n;
    for (size_t i = 0; i < o->n; i++)
        if (o->units[i].ttl_s > 0 && (first == o->n || o->units[i].due_ms < o->units[first].due_ms))
            first = i;
    return first;
}

int64_t offer_due_ms(const struct offer *o)
{
    size_t first = first_due(o);
    return first < o->n ? o->units[first].due_ms : INT64_MAX;
}

/* ---- reading a change ---- */

void offer_change_clear(struct offer_change *c)
{
    values_clear(&c->values);
}

/* A field that was given, null included; NULL: it was not, or something is wrong already. */
static json_t *take(struct json_in *in, struct offer_change *c, const char *name, enum offer_field field)
{
    (void)json_in_value(in, name); /* makes the name a known one */
    json_t *v = in->code == ERR_OK ? json_object_get(in->object, name) : NULL;
    if (v != NULL)
        c->given |= field;
    return v;
}

static void refuse(struct json_in *in, const char *name, const char *allowed)
{
    in->code = err_set(in->err, ERR_INVALID, "field \"%s\" must be %s", name, allowed);
}

static bool is_printable(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return false;
    return true;
}

static void take_text(struct json_in *in, struct offer_change *c, const char *name, enum offer_field field,
                      size_t max, char **ret)
{
    const json_t *v = take(in, c, name, field);
    if (v == NULL || json_is_null(v))
        return;
    size_t n = json_string_length(v);
    if (!json_is_string(v) || n > max || !is_printable(json_string_value(v), n)) {
        char allowed[80];
        (void)snprintf(allowed, sizeof allowed,
                       "a text of at most %zu bytes without control characters, or null", max);
        refuse(in, name, allowed);
    } else if (n > 0 && mem_set_str(ret, json_string_value(v)) != 0) {
        in->code = err_set(in->err, ERR_NOMEM, "out of memory");
    }
}

static void take_started(struct json_in *in, struct offer_change *c)
{
    const json_t *v = take(in, c, "spark_started", OFFER_SPARK_STARTED);
    const char *text = json_string_value(v);
    if (v == NULL || json_is_null(v) || (text != NULL && text[0] == '\0'))
        return;
    if (json_is_true(v) || (text != NULL && strcasecmp(text, "true") == 0))
        c->values.spark_started = OFFER_TRUE;
    else if (json_is_false(v) || (text != NULL && strcasecmp(text, "false") == 0))
        c->values.spark_started = OFFER_FALSE;
    else
        refuse(in, "spark_started", "true, false or null");
}

static void take_port(struct json_in *in, struct offer_change *c)
{
    const json_t *v = take(in, c, "rest_port", OFFER_REST_PORT);
    if (json_is_string(v) && json_string_length(v) == 0)
        return;
    json_in_int(in, "rest_port", 1, PORT_MAX, &c->values.rest_port);
}

enum err_code offer_change_read(struct offer_change *c, json_t *body, struct err *err)
{
    struct json_in in;
    json_in_open(&in, body, err);
    take_started(&in, c);
    take_text(&in, c, "connection_string", OFFER_CONNECTION_STRING, OFFER_CONNECTION_STRING_MAX,
              &c->values.connection_string);
    take_text(&in, c, "master", OFFER_MASTER, OFFER_ADDRESS_MAX, &c->values.master);
    take_port(&in, c);
    take_text(&in, c, "private_address", OFFER_PRIVATE_ADDRESS, OFFER_ADDRESS_MAX,
              &c->values.private_address);
    if (json_is_null(json_object_get(in.object, "ttl")))
        c->ttl_s = OFFER_TTL;
    json_in_int(&in, "ttl", OFFER_TTL_MIN, OFFER_TTL_MAX, &c->ttl_s);
    return json_in_end(&in);
}

/* ---- applying a change ---- */

static void renew(struct offer_unit *u, struct offer_moment at)
{
    u->expires_ms = u->ttl_s > 0 ? at.wall_ms + u->ttl_s * 1000 : 0;
    u->due_ms = u->ttl_s > 0 ? at.mono_ms + u->ttl_s * 1000 : 0;
}

static void set_lease(struct offer_unit *u, const struct offer_change *change, struct offer_moment at)
{
    if (change->own)
        u->ttl_s = 0;
    else if (change->ttl_s > 0)
        u->ttl_s = change->ttl_s;
    else if (u->ttl_s == 0)
        u->ttl_s = OFFER_TTL;
    renew(u, at);
}

/* One place is always hearth's own. */
static enum err_code add_unit(struct offer *o, const char *name, bool own, struct err *err)
{
    if (!own && o->n + (offer_unit(o, OFFER_OWN_UNIT) == NULL) >= OFFER_UNITS_MAX)
        return err_set(err, ERR_BUSY, "offer '%s' has %d units already, which is the limit", o->name,
                       OFFER_UNITS_MAX - 1);
    struct offer_unit *u = &o->units[o->n++];
    *u = (struct offer_unit){0};
    (void)snprintf(u->name, sizeof u->name, "%s", name);
    return ERR_OK;
}

static enum err_code put(struct offer *next, const struct offer_change *change, struct offer_moment at,
                         struct offer_outcome *outcome, struct err *err)
{
    size_t place = find_unit(next, change->unit);
    bool first = next->n == 0;
    outcome->created = place == next->n;
    if (outcome->created && add_unit(next, change->unit, change->own, err) != ERR_OK)
        return err->code;
    struct offer_unit *u = &next->units[place];
    struct offer_values before = u->values; /* borrows */
    u->values = (struct offer_values){0};
    bool copied = values_merge(&u->values, &before, OFFER_ALL_FIELDS) &&
                  values_merge(&u->values, &change->values, change->given);
    bool same = copied && values_same(&before, &u->values);
    values_clear(&before);
    if (!copied)
        return err_set(err, ERR_NOMEM, "out of memory");
    set_lease(u, change, at);
    if (outcome->created)
        outcome->effect = first ? OFFER_JOINED : OFFER_CHANGED;
    else if (!same)
        outcome->effect = OFFER_CHANGED;
    else
        outcome->effect = u->ttl_s > 0 ? OFFER_RENEWED : OFFER_SAME;
    return ERR_OK;
}

static void remove_unit(struct offer *o, size_t place)
{
    values_clear(&o->units[place].values);
    o->n--;
    memmove(&o->units[place], &o->units[place + 1], (o->n - place) * sizeof *o->units);
}

static enum err_code leave(struct offer *next, size_t place, struct offer_outcome *outcome, struct err *err)
{
    if (place == next->n)
        return err_set(err, ERR_NOT_FOUND, "unit '%s' of offer '%s' is not known", outcome->unit, next->name);
    (void)snprintf(outcome->unit, sizeof outcome->unit, "%s", next->units[place].name);
    remove_unit(next, place);
    outcome->effect = OFFER_DEPARTED;
    return ERR_OK;
}

static enum err_code expire(struct offer *next, struct offer_moment at, struct offer_outcome *outcome,
                            struct err *err)
{
    size_t place = first_due(next);
    if (place == next->n || next->units[place].due_ms > at.mono_ms)
        return ERR_OK; /* renewed meanwhile */
    outcome->expired = true;
    return leave(next, place, outcome, err);
}

static enum err_code renew_unit(struct offer *next, size_t place, struct offer_moment at,
                                struct offer_outcome *outcome, struct err *err)
{
    if (place == next->n)
        return err_set(err, ERR_NOT_FOUND, "unit '%s' of offer '%s' is not known: it must join again",
                       outcome->unit, next->name);
    renew(&next->units[place], at);
    outcome->effect = OFFER_RENEWED;
    return ERR_OK;
}

static enum err_code apply_to(struct offer *next, const struct offer_change *change, struct offer_moment at,
                              struct offer_outcome *outcome, struct err *err)
{
    switch (change->kind) {
    case OFFER_PUT: return put(next, change, at, outcome, err);
    case OFFER_RENEW: return renew_unit(next, find_unit(next, change->unit), at, outcome, err);
    case OFFER_LEAVE: return leave(next, find_unit(next, change->unit), outcome, err);
    case OFFER_EXPIRE: return expire(next, at, outcome, err);
    case OFFER_KEEP: break;
    }
    return ERR_OK;
}

enum err_code offer_apply(const struct offer *now, const struct offer_change *change, struct offer_moment at,
                          struct offer **ret, struct offer_outcome *outcome, struct err *err)
{
    struct offer *next = copy_offer(now);
    if (next == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *outcome = (struct offer_outcome){.effect = OFFER_SAME};
    (void)snprintf(outcome->unit, sizeof outcome->unit, "%s", change->unit);
    enum err_code rc = apply_to(next, change, at, outcome, err);
    if (rc != ERR_OK) {
        offer_free(next);
        return rc;
    }
    if (outcome->effect != OFFER_SAME && outcome->effect != OFFER_RENEWED) {
        next->version++;
        next->updated_ms = at.wall_ms;
    }
    *ret = next;
    return ERR_OK;
}
