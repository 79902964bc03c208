/*
 * Juju's tools, as a charm's hook finds them on PATH: relation-ids, relation-list, relation-get,
 * relation-set, network-get, unit-get. They work inside a hook only, and say themselves on standard error
 * what they miss.
 *
 * Thread   whoever calls.
 */
#ifndef HEARTH_CMD_JUJU_H
#define HEARTH_CMD_JUJU_H

#include "base/err.h"
#include "base/strs.h"

#include <jansson.h>

/* The ids of a relation, such as spark:3, in Juju's order. */
enum err_code juju_relation_ids(const char *relation, struct strlist *ids, struct err *err);
/* The units on the other side of one. */
enum err_code juju_relation_units(const char *id, struct strlist *units, struct err *err);
/* What a unit has written: an object of texts, which the caller drops. */
enum err_code juju_relation_get(const char *id, const char *unit, json_t **ret, struct err *err);
/* Writes "key=value" for this unit; an empty value removes the key. */
enum err_code juju_relation_set(const char *id, const struct strlist *pairs, struct err *err);
/* The address at which the other side reaches this unit; the caller frees it. */
enum err_code juju_own_address(const char *relation, char **ret, struct err *err);

#endif
