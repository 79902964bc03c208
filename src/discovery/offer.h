/*
 * An offer: a Spark that clients may use, as the units that provide it tell. Values and rules, without a
 * clock, a store or a network.
 *
 *   unit     one provider, with what it says and a lease; in the order in which they joined
 *   chosen   the unit whose values count: the first with spark_started true, else the first. All values of an
 *            offer come from this one, so that they fit together
 *   version  grows by one with every change but the renewal of a lease
 *   states   joined: there is a unit; master: the chosen one knows connection_string and master; ready: its
 *            spark_started is true
 *
 * Thread   whoever owns them.
 */
#ifndef HEARTH_DISCOVERY_OFFER_H
#define HEARTH_DISCOVERY_OFFER_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OFFER_NAME_MAX = 64,                /* bytes of the name of an offer or a unit */
    OFFER_UNITS_MAX = 33,               /* in one offer, of which one place is hearth's own */
    OFFER_CONNECTION_STRING_MAX = 2048, /* bytes; sixteen masters fit */
    OFFER_ADDRESS_MAX = 255,            /* bytes; the longest host name */
    OFFER_TTL_MIN = 5,                  /* seconds of a lease */
    OFFER_TTL_MAX = 3600,
    OFFER_TTL = 90, /* unless the unit says otherwise */
    OFFER_JSON_MAX =
        1024 * 1024, /* bytes; the units with their longest values fit, every character escaped */
};

/* A unit that hearth keeps for itself: its own view of a cluster. It has no lease. */
#define OFFER_OWN_UNIT "self"

/* What a unit says. NULL, 0 and OFFER_UNKNOWN: nothing of it. */
enum offer_flag { OFFER_UNKNOWN, OFFER_FALSE, OFFER_TRUE };
struct offer_values {
    enum offer_flag spark_started;
    char *connection_string;
    char *master;
    char *private_address;
    int64_t rest_port;
};

struct offer_unit {
    char name[OFFER_NAME_MAX + 1];
    struct offer_values values;
    int64_t ttl_s;      /* 0: no lease */
    int64_t expires_ms; /* wall time, for people; the end of the lease is due_ms */
    int64_t due_ms;     /* monotonic, so that setting the clock ends no lease */
};

struct offer {
    char name[OFFER_NAME_MAX + 1];
    int64_t version; /* 0: nobody has ever joined it */
    int64_t updated_ms;
    size_t n;
    struct offer_unit units[OFFER_UNITS_MAX];
};

/* The same moment on both clocks. */
struct offer_moment {
    int64_t wall_ms, mono_ms;
};

/* "[A-Za-z0-9._-]{1,64}"; ERR_INVALID names `what` ("offer", "unit"). */
enum err_code offer_check_name(const char *what, const char *name, struct err *err);

struct offer *offer_new(const char *name); /* without units; NULL: out of memory */
void offer_free(struct offer *o);          /* NULL is fine */

const struct offer_unit *offer_chosen(const struct offer *o);                 /* NULL: it has no unit */
const struct offer_unit *offer_unit(const struct offer *o, const char *name); /* NULL: not there */
bool offer_has_master(const struct offer *o);
bool offer_is_ready(const struct offer *o);
/* When the next lease ends, monotonic; INT64_MAX: none will. */
int64_t offer_due_ms(const struct offer *o);

/* ---- changes ---- */

enum offer_change_kind {
    OFFER_PUT,    /* join or update */
    OFFER_RENEW,  /* the lease alone */
    OFFER_LEAVE,  /* depart */
    OFFER_EXPIRE, /* the unit whose lease ended first departs, if any has; `unit` is not looked at */
    OFFER_KEEP,   /* nothing: a copy */
};

/* Which of a change's values were given. */
enum offer_field {
    OFFER_SPARK_STARTED = 1,
    OFFER_CONNECTION_STRING = 2,
    OFFER_MASTER = 4,
    OFFER_PRIVATE_ADDRESS = 8,
    OFFER_REST_PORT = 16,
    OFFER_ALL_FIELDS = 31,
};

struct offer_change {
    enum offer_change_kind kind;
    char unit[OFFER_NAME_MAX + 1];
    unsigned given; /* enum offer_field */
    struct offer_values values;
    int64_t ttl_s; /* 0: as it was, or OFFER_TTL for a unit that joins */
    bool own;      /* the unit is hearth's own: no lease */
};

void offer_change_clear(struct offer_change *c);
/* Reads the body of a PUT: {"spark_started":…,"connection_string":…,"master":…,"rest_port":…,
 * "private_address":…,"ttl":…}, all optional; null and "" remove a value. ERR_INVALID names the field and
 * what is allowed. */
enum err_code offer_change_read(struct offer_change *c, json_t *body, struct err *err);

/* What a change came to. */
enum offer_effect {
    OFFER_SAME,     /* nothing */
    OFFER_RENEWED,  /* a lease is longer; the version is as it was */
    OFFER_JOINED,   /* the first unit */
    OFFER_CHANGED,  /* a value, or another unit */
    OFFER_DEPARTED, /* a unit left; the last one when none is there any more */
};

struct offer_outcome {
    enum offer_effect effect;
    bool created;                  /* the unit is new */
    bool expired;                  /* it left because its lease ended */
    char unit[OFFER_NAME_MAX + 1]; /* which one it was about */
};

/* Makes the offer as it is after the change, which the caller frees; `now` is not touched. ERR_NOT_FOUND: no
 * such unit. ERR_BUSY: no room for another unit. */
enum err_code offer_apply(const struct offer *now, const struct offer_change *change, struct offer_moment at,
                          struct offer **ret, struct offer_outcome *outcome, struct err *err);

/* ---- as text (offer_text.c) ---- */

/* Why a unit departed, or NULL when it did not. */
const char *offer_reason(const struct offer_outcome *outcome);

/* The object of docs/discovery.md on one line. With an outcome that is a departure, its unit and reason. */
void offer_write_json(struct buf *to, const struct offer *o, const struct offer_outcome *outcome);
/* Lines NAME=VALUE that a POSIX shell can read. */
void offer_write_env(struct buf *to, const struct offer *o);
/* VALUE as a shell reads it back: bare, or in single quotes. */
void offer_write_shell(struct buf *to, const char *value);
/* The server-sent events that tell of the outcome; none for OFFER_SAME and OFFER_RENEWED. */
void offer_write_events(struct buf *to, const struct offer *o, const struct offer_outcome *outcome);
/* The one that tells a client who comes late: `changed`, or `broken` when there is no unit. */
void offer_write_present(struct buf *to, const struct offer *o);

/* Units as the store keeps them. Reading replaces those of the offer; ERR_INVALID: damaged. Leases that ended
 * before `at` are due then. */
void offer_write_units(struct buf *to, const struct offer *o);
enum err_code offer_read_units(struct offer *o, const char *text, struct offer_moment at, struct err *err);

#endif
