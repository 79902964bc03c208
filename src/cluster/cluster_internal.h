/* What the files of watched clusters share. Private to src/cluster. */
#ifndef HEARTH_CLUSTER_CLUSTER_INTERNAL_H
#define HEARTH_CLUSTER_CLUSTER_INTERNAL_H

#include "cluster/clusters.h"

/* ---- watch_list.c: the clusters of the configuration ---- */

enum { WATCH_MAX = 1000, WATCH_NAME_MAX = 64 };

struct watch {
    char *name;
    char *url; /* "spark://a:7077,b:7077" */
    int64_t period_ms;
    char *secret; /* NULL: none */
};

/* The caller frees *ret with watch_list_free(). ERR_INVALID names the entry and what is allowed. */
enum err_code watch_list_read(const struct settings *settings, struct watch **ret, size_t *ret_n,
                              struct err *err);
void watch_list_free(struct watch *list, size_t n); /* wipes the secrets */

/* ---- cluster_json.c: what was found out, as the object of docs/rest.md "Clusters" (no state) ---- */

struct cluster_facts {
    const char *leader;  /* "a:7077" */
    const json_t *state; /* MasterStateResponse of the leader */
    const char *version; /* or NULL */
    const char *web_ui;  /* "http://a:8080"; NULL: not known */
    int64_t rest_port;   /* 0: none */
    const json_t *page;  /* the web UI's /json/; NULL: it could not be read */
    const char *page_trouble;
    const json_t *drivers; /* DriverStatusResponse by driver id, of those that were asked for */
};

/* The members from "leader" to "drivers"; NULL: out of memory. */
json_t *cluster_json_state(const struct cluster_facts *facts);
/* The same without its lists; NULL: out of memory. */
json_t *cluster_json_summary(const json_t *state);
/* The member "masters" out of what masters_survey() gave; NULL: out of memory. */
json_t *cluster_json_masters(const json_t *survey);
/* The element of a survey whose master is alive; NULL: none. */
const json_t *cluster_json_leader(const json_t *survey);
/* Why no master leads, in a sentence that the caller frees; NULL: out of memory. */
char *cluster_json_trouble(const char *url, const json_t *survey);

/* The whole object; steals `state` (an object or NULL: never seen) and `masters` (NULL: not asked yet). Times
 * are of the wall clock, 0 when it has not been. NULL: out of memory. */
struct cluster_frame {
    const char *name; /* NULL: none */
    const char *url;
    const char *trouble; /* NULL: reachable, or not asked yet */
    int64_t checked_ms, state_ms, age_ms;
};
json_t *cluster_json_whole(const struct cluster_frame *frame, json_t *masters, json_t *state);

/* ---- cluster_look.c: asking once ---- */

/* What is worth knowing at the next look of the same cluster. Zeroed at first. */
struct look_memory {
    char *leader; /* whose page it is */
    char *web_ui;
    json_t *final_drivers; /* DriverStatusResponse by driver id */
    char *page_text;       /* the page as it came last, when it is small; NULL: none */
    size_t page_len;
    json_t *page;    /* the same, read */
    int64_t page_ms; /* when it came (monotonic) */
    /* What `merged` was made of, besides the page: looks that see the same again give it again. */
    json_t *seen_state, *seen_drivers;
    json_t *merged;
};

void look_memory_clear(struct look_memory *m);

struct look_result {
    const json_t *masters; /* see cluster_json_masters(); NULL: out of memory */
    json_t *state;         /* see cluster_json_state(), borrowed; NULL: no master leads, trouble tells */
    const char *trouble;
    const char *leader; /* NULL without a state */
    int64_t rest_port;  /* 0: none known */
};

struct look; /* opaque */

struct look_options {
    struct masters *masters;
    struct http_client *http; /* NULL: the web UI is not read */
    int64_t timeout_ms;
    struct look_memory *memory;
    void (*done)(const struct look_result *result, void *arg); /* never before return; the look is gone */
    void *arg;
};

struct look *look_start(const struct look_options *options); /* NULL: out of memory, done is not called */
/* Ends it without its callback; only when its masters have been freed. NULL is fine. */
void look_free(struct look *look);

#endif
