/*
 * The parts of the guard and what they ask of each other.
 *
 *   guard.c            the order of things: start, events, end
 *   guard_launch.c     launch.json
 *   guard_driver.c     the driver's process and its descendants
 *   guard_memory.c     its memory limit
 *   guard_links.c      Spark's launcher protocol: the driver's SparkContexts
 *   guard_followers.c  guard.sock: who wants to know
 *   guard_disk.c       journal and log, on a thread of their own
 *   guard_journal.c    the journal's lines as values; guard.pid
 */
#ifndef HEARTH_GUARD_INTERNAL_H
#define HEARTH_GUARD_INTERNAL_H

#include "base/json.h"
#include "guard/disk.h"
#include "guard/driver.h"
#include "guard/guard.h"
#include "guard/memory.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <uv.h>

struct guard;
struct guard_links;
struct guard_followers;

/* --- guard.c ------------------------------------------------------------------------------------ */

/* One event on its way to the journal: opened, given fields through `out`, closed. */
struct guard_record {
    struct buf line;
    struct json_out out;
};

void guard_record_open(struct guard *g, struct guard_record *r, const char *word);
void guard_record_close(struct guard *g, struct guard_record *r);

/* What followers may ask for. */
void guard_ask_stop(struct guard *g);
/* False when the driver has ended already. */
bool guard_ask_signal(struct guard *g, int signal);
struct guard_disk_progress guard_told(struct guard *g); /* what followers may know */
int guard_journal_fd(const struct guard *g);

/* One buffer for everything that is read; it is used up in the callback at once. */
void guard_on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret);

/* --- guard_links.c ------------------------------------------------------------------------------ */

enum { GUARD_SECRET_MAX = 65 };

/* Listens on a port of its own. */
enum err_code guard_links_open(struct guard *g, uv_loop_t *loop, struct guard_links **ret, struct err *err);
/* What the driver's environment must say. */
int guard_links_port(const struct guard_links *l);
const char *guard_links_secret(const struct guard_links *l);
/* Sends Stop on every connection that was not sent one; returns on how many. */
unsigned guard_links_stop(struct guard_links *l);
/* Reads what the driver still said before its end, then closes everything. */
void guard_links_finish(struct guard_links *l);
void guard_links_free(struct guard_links *l); /* after the loop has closed its handles */

/* --- guard_followers.c -------------------------------------------------------------------------- */

/* Listens on guard.sock in the present folder. */
enum err_code guard_followers_open(struct guard *g, uv_loop_t *loop, struct guard_followers **ret,
                                   struct err *err);
/* There is something new to tell. */
void guard_followers_tell(struct guard_followers *f);
/* Takes no more of them and lets go of each once it knows everything; true when all are gone. */
bool guard_followers_finish(struct guard_followers *f);
void guard_followers_close(struct guard_followers *f); /* the rest of them */
void guard_followers_free(struct guard_followers *f);  /* after the loop has closed its handles */

#endif
