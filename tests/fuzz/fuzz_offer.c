/* Offers: bodies of PUT, one per line, from whoever may reach the server; and units as the store keeps them.
 * What comes of them must read back as itself, and stay on its lines. */
#include "base/json.h"
#include "base/mem.h"
#include "discovery/offer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct offer_moment moment = {.wall_ms = 1893456000000, .mono_ms = 1000};

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Written, read and written again it is the same. */
static void check_stored(const struct offer *o)
{
    struct buf once = BUF(OFFER_JSON_MAX);
    struct buf twice = BUF(OFFER_JSON_MAX);
    struct offer *again = offer_new(o->name);
    offer_write_units(&once, o);
    require(once.failed == ERR_OK);
    require(offer_read_units(again, once.data, moment, NULL) == ERR_OK);
    offer_write_units(&twice, again);
    require(strcmp(once.data, twice.data) == 0);
    offer_free(again);
    buf_clear(&once);
    buf_clear(&twice);
}

static void check_texts(const struct offer *o, const struct offer_outcome *outcome)
{
    struct buf text = BUF(4 * OFFER_JSON_MAX);
    json_t *parsed = NULL;
    offer_write_json(&text, o, outcome);
    require(json_parse(buf_cstr(&text), text.len, 8, &parsed, NULL) == ERR_OK);
    require(strchr(text.data, '\n') == NULL);
    json_decref(parsed);
    buf_reset(&text);
    offer_write_env(&text, o);
    for (const char *p = buf_cstr(&text); *p != '\0'; p = strchr(p, '\n') + 1)
        require(strncmp(p, "SPARK_", 6) == 0);
    buf_reset(&text);
    offer_write_events(&text, o, outcome);
    require(text.failed == ERR_OK);
    buf_clear(&text);
}

/* The first byte of a line says what happens, and to which unit. */
static struct offer *happen(struct offer *o, const char *line, size_t n)
{
    static const enum offer_change_kind kinds[] = {OFFER_PUT, OFFER_PUT, OFFER_PUT, OFFER_LEAVE, OFFER_RENEW};
    struct offer_change change = {.kind = kinds[(unsigned char)line[0] % 5]};
    struct offer_outcome outcome;
    struct offer *next = NULL;
    json_t *body = NULL;
    struct err err;
    (void)snprintf(change.unit, sizeof change.unit, "p%d", (unsigned char)line[0] / 5 % 40);
    enum err_code rc = ERR_OK;
    if (change.kind == OFFER_PUT)
        rc = json_parse(line + 1, n - 1, 4, &body, &err);
    if (rc == ERR_OK && change.kind == OFFER_PUT)
        rc = offer_change_read(&change, body, &err);
    if (rc == ERR_OK)
        rc = offer_apply(o, &change, moment, &next, &outcome, &err);
    offer_change_clear(&change);
    json_decref(body);
    if (rc != ERR_OK)
        return o;
    require(next->version == o->version || next->version == o->version + 1);
    check_texts(next, &outcome);
    check_stored(next);
    offer_free(o);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct offer *o = offer_new("main");
    char *text = mem_strndup((const char *)data, size);
    struct offer *stored = offer_new("main");
    if (offer_read_units(stored, text, moment, NULL) == ERR_OK)
        check_stored(stored);
    offer_free(stored);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        o = happen(o, line, strlen(line));
    offer_free(o);
    mem_free(text);
    return 0;
}
