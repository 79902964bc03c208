/* The routes of /v1/discovery. */
#include "discovery/discovery_internal.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <string.h>

enum {
    BODY_MAX = 64 * 1024,        /* bytes of a PUT */
    DEPTH_MAX = 4,               /* of its JSON */
    WAIT_MAX_S = 60,             /* a request is held no longer */
    LIST_MAX = 64 * 1024 * 1024, /* bytes */
    ETAG_MAX = 24,
};

/* ---- answers ---- */

void discovery_reply_error(struct http_request *r, const struct err *err)
{
    struct buf body = BUF(8192);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_str(&out, "error", err->msg);
    json_out_end_object(&out);
    http_reply(r, http_answer_new(err_http_status(err->code), HTTP_JSON, &body));
    buf_clear(&body);
}

static void reply_with_etag(struct http_request *r, struct http_answer *a, const char *etag)
{
    if (a != NULL && !http_answer_header(a, "ETag", etag)) {
        http_answer_unref(a);
        a = NULL;
    }
    http_reply(r, a);
}

static void reply_view(struct http_request *r, int status, struct registry_view view)
{
    char etag[ETAG_MAX];
    struct buf body = BUF(OFFER_JSON_MAX);
    (void)snprintf(etag, sizeof etag, "\"%" PRId64 "\"", view.offer->version);
    buf_str(&body, view.json);
    reply_with_etag(r, http_answer_new(status, HTTP_JSON, &body), etag);
    buf_clear(&body);
}

/* If-None-Match: a list of quoted tags, or *. */
static bool client_has(const struct http_request *r, const char *etag)
{
    const char *tags = http_header(r, "If-None-Match");
    return tags != NULL && (strcmp(tags, "*") == 0 || strstr(tags, etag) != NULL);
}

void discovery_reply_offer(struct discovery *d, struct http_request *r, const char *name)
{
    char etag[ETAG_MAX];
    struct err err;
    struct registry_view view;
    if (!registry_find(d->registry, name, &view)) {
        (void)err_set(&err, ERR_NOT_FOUND, "offer '%s' is not known", name);
        discovery_reply_error(r, &err);
        return;
    }
    (void)snprintf(etag, sizeof etag, "\"%" PRId64 "\"", view.offer->version);
    if (client_has(r, etag))
        reply_with_etag(r, http_answer_empty(304, NULL), etag);
    else
        reply_view(r, 200, view);
}

/* ---- reading ---- */

static void add_to_list(struct registry_view view, void *arg)
{
    json_out_raw(arg, NULL, view.json);
}

static void list_offers(struct http_request *r, void *arg)
{
    struct discovery *d = arg;
    struct buf body = BUF(LIST_MAX);
    struct json_out out;
    json_out_open(&out, &body);
    json_out_object(&out, NULL);
    json_out_array(&out, "offers");
    registry_each(d->registry, add_to_list, &out);
    json_out_end_array(&out);
    json_out_end_object(&out);
    http_reply(r, http_answer_new(200, HTTP_JSON, &body));
    buf_clear(&body);
}

/* A number from 0 to max of the query. */
static enum err_code query_number(const struct http_request *r, const char *name, int64_t max, int64_t *ret,
                                  struct err *err)
{
    const char *text = http_query(r, name);
    if (text == NULL)
        return err_set(err, ERR_INVALID, "%s is missing: wait=SECONDS and since=VERSION go together", name);
    if (parse_i64(text, 0, max, ret, err) != ERR_OK)
        return err_wrap(err, "%s", name);
    return ERR_OK;
}

static void get_offer(struct http_request *r, void *arg)
{
    struct discovery *d = arg;
    struct err err;
    const char *name = http_param(r, 0);
    int64_t wait_s = 0;
    int64_t since = 0;
    struct registry_view view;
    enum err_code rc = offer_check_name("an offer", name, &err);
    if (rc == ERR_OK && (http_query(r, "wait") != NULL || http_query(r, "since") != NULL)) {
        rc = query_number(r, "wait", WAIT_MAX_S, &wait_s, &err);
        if (rc == ERR_OK)
            rc = query_number(r, "since", INT64_MAX, &since, &err);
    }
    if (rc != ERR_OK)
        discovery_reply_error(r, &err);
    else if (wait_s == 0 || (registry_find(d->registry, name, &view) && view.offer->version > since))
        discovery_reply_offer(d, r, name);
    else
        held_add(d, r, name, since, wait_s * 1000);
}

/* ---- changing ---- */

/* Who may change what others have submitted may change offers, too: they are nobody's own. */
static bool may_change(const struct settings *settings, const char *user)
{
    const struct strlist *modify = &settings->auth.modify_users;
    if (!settings->auth.access_control || user == NULL)
        return true;
    return strlist_has(&settings->auth.superusers, user) || strlist_has(modify, "*") ||
           strlist_has(modify, user);
}

/* The names of the path, and the right to change that unit. */
static enum err_code check(const struct discovery *d, const struct http_request *r, struct err *err)
{
    enum err_code rc = offer_check_name("an offer", http_param(r, 0), err);
    if (rc == ERR_OK)
        rc = offer_check_name("a unit", http_param(r, 1), err);
    if (rc != ERR_OK)
        return rc;
    if (!may_change(d->settings, http_user(r)))
        return err_set(err, ERR_DENIED,
                       "user '%.80s' may not change offers: auth.superusers and auth.modify_users may",
                       http_user(r));
    if (strcmp(http_param(r, 1), OFFER_OWN_UNIT) == 0)
        return err_set(err, ERR_CONFLICT,
                       "unit '" OFFER_OWN_UNIT "' is hearth's own: it follows the clusters of the setting "
                       "clusters.watch and cannot be changed from outside");
    return ERR_OK;
}

static enum err_code read_body(const struct http_request *r, struct offer_change *change, struct err *err)
{
    const struct buf *body = http_body(r);
    json_t *value = NULL;
    if (body->len > BODY_MAX)
        return err_set(err, ERR_TOO_LARGE, "the body has %zu bytes, at most %d are allowed", body->len,
                       BODY_MAX);
    enum err_code rc = json_parse(buf_cstr(body), body->len, DEPTH_MAX, &value, err);
    if (rc == ERR_OK)
        rc = offer_change_read(change, value, err);
    json_decref(value);
    return rc;
}

static void on_put(const struct err *err, struct registry_view view, bool created, void *arg)
{
    struct http_request *r = arg;
    if (err->code != ERR_OK)
        discovery_reply_error(r, err);
    else
        reply_view(r, created ? 201 : 200, view);
}

static void on_other(const struct err *err, struct registry_view view, bool created, void *arg)
{
    struct http_request *r = arg;
    (void)view;
    (void)created;
    if (err->code != ERR_OK)
        discovery_reply_error(r, err);
    else
        http_reply(r, http_answer_empty(204, NULL));
}

static void change_unit(struct discovery *d, struct http_request *r, enum offer_change_kind kind)
{
    struct err err;
    struct offer_change change = {.kind = kind};
    enum err_code rc = check(d, r, &err);
    if (rc == ERR_OK && kind == OFFER_PUT)
        rc = read_body(r, &change, &err);
    if (rc != ERR_OK) {
        offer_change_clear(&change);
        discovery_reply_error(r, &err);
        return;
    }
    (void)snprintf(change.unit, sizeof change.unit, "%s", http_param(r, 1));
    registry_change(d->registry, http_param(r, 0), &change, kind == OFFER_PUT ? on_put : on_other, r);
}

static void put_unit(struct http_request *r, void *arg)
{
    change_unit(arg, r, OFFER_PUT);
}

static void renew_unit(struct http_request *r, void *arg)
{
    change_unit(arg, r, OFFER_RENEW);
}

static void delete_unit(struct http_request *r, void *arg)
{
    change_unit(arg, r, OFFER_LEAVE);
}

static const struct http_route routes[] = {
    {"GET", "/v1/discovery", list_offers, "The Sparks that are offered", false},
    {"GET", "/v1/discovery/{name}", get_offer, "One offer; can wait for its next version", false},
    {"GET", "/v1/discovery/{name}/events", discovery_follow, "Its changes, as server-sent events", false},
    {"PUT", "/v1/discovery/{name}/units/{unit}", put_unit, "Join an offer, or change what a unit says",
     false},
    {"DELETE", "/v1/discovery/{name}/units/{unit}", delete_unit, "Depart", false},
    {"POST", "/v1/discovery/{name}/units/{unit}/heartbeat", renew_unit, "Renew a unit's lease", false},
};

void discovery_mount(struct discovery *d, struct http_server *server)
{
    http_mount(server, routes, sizeof routes / sizeof *routes, d);
}
