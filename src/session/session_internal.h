/* What the files of src/session share: the collection, one session, its items and questions. */
#ifndef HEARTH_SESSION_SESSION_INTERNAL_H
#define HEARTH_SESSION_SESSION_INTERNAL_H

#include "session/link.h"
#include "session/session.h"

#include <uthash.h>

enum { TOKEN_BYTES = LINK_TOKEN_BYTES };

/* A statement or job that is in memory: it waits or runs, or its result was asked for a moment ago. */
struct item {
    struct item *prev, *next; /* ascending by id */
    int64_t id;
    enum item_type type;
    enum item_state state;
    char *kind;
    char *request; /* NULL: in the store only */
    char *output;  /* NULL: none yet, or in the store only */
    double progress;
    int64_t created_ms, started_ms, completed_ms;
    bool ended_on_disk;
    bool sent;    /* to the agent, on its present connection */
    bool loading; /* its request comes from the store */
};

/* What the driver was asked and has not answered yet. */
struct question {
    struct question *prev, *next;
    int64_t id;
    char *line;                           /* as it is sent, and sent again to another connection */
    int64_t deadline_ms;                  /* monotonic; 0: none */
    session_completion_cb *on_candidates; /* one of these two */
    app_done_cb *on_added;
    void *arg;
};

/* What the agent told of itself, kept in the store. */
struct agent_facts {
    bool warm;     /* it stands ready, or stood so once */
    bool ready;    /* it takes code */
    bool jvm_gone; /* the JVM ended by itself */
    char *spark_version, *scala_version;
};

struct session {
    UT_hash_handle hh; /* by id */
    int64_t id;
    struct sessions *sessions;
    struct app *app; /* NULL once its application has left */
    struct app_waiter app_waiter;

    /* constant, from the application's door object */
    char *kind, *asked, *profile; /* profile: of a driver that stands ready or stood so; or NULL */
    int64_t idle_timeout_ms, ttl_ms, heartbeat_ms;

    enum session_state told;       /* as watchers know it */
    int64_t running_since_ms;      /* monotonic; 0: its driver was not seen running */
    int64_t active_ms, touched_ms; /* monotonic */
    int64_t active_wall_ms;

    struct link_session *link; /* NULL once its driver has ended */
    char *boot;                /* of the agent that was welcomed first */
    int64_t last_seq;          /* of its messages that are in the store */
    struct agent_facts agent;
    bool given;         /* a driver that stood ready is on its way to a request */
    bool adopt_loading; /* the message that makes a warm driver a session's is being made */

    struct item *items[ITEM_TYPES];
    size_t unfinished;  /* items that wait or run */
    int64_t statements; /* accepted so far */
    struct question *questions;
    struct session_watcher *watchers;
};

struct sessions {
    struct sessions_options options;
    struct link *link;
    struct session *by_id;
    unsigned char secret[TOKEN_BYTES]; /* of this server; sessions' tokens are made from it */
    char *address_file;
    char *agent_dir;
    int64_t next_question;
    struct warm *warm;
    uv_timer_t tick;
    bool closing;
};

/* sessions.c */
struct session *sessions_find(struct sessions *s, int64_t id); /* warm ones, too; or NULL */
/* Finds out what has changed, and tells those who watch. */
void session_refresh(struct session *session);
void session_tell_item(struct session *session, const struct item *item);
/* The application's row was given to a request: reads what is new about it. */
void session_adopted(struct session *session);
enum err_code sessions_check_kind(const struct sessions *s, const char *kind, struct err *err);
/* The JSON object that the application keeps for its session; NULL: out of memory. */
char *session_door(const char *kind, const char *asked, int64_t idle_timeout_ms, int64_t ttl_ms,
                   int64_t heartbeat_ms, const char *profile);

/* items.c */
bool items_restore(struct session *session, const struct store_item *row); /* false: out of memory */
void items_resend(struct session *session);                                /* to a new connection */
void items_pump(struct session *session);                                  /* sends what may go now */
/* The driver has ended: everything that waits or runs gets its end. */
void items_end(struct session *session, const char *why);
void items_free(struct session *session);
void items_on_started(struct session *session, enum item_type type, int64_t id, int64_t at_ms, int64_t seq);
/* Takes output. */
void items_on_result(struct session *session, enum item_type type, int64_t id, enum item_state state,
                     char *output, int64_t at_ms, int64_t seq);
void items_on_progress(struct session *session, int64_t id, double progress);
struct item_view item_view_of(const struct item *item);

/* agent.c: what goes over the link */
void agent_open(struct session *session);  /* its end of the link; fine when it has one */
void agent_adopt(struct session *session); /* tells a driver that stood ready whose it is now */
void agent_shutdown(struct session *session);
void agent_cancel(struct session *session, enum item_type type, int64_t id);
/* Writes what the message with this number told (item may be NULL), and acknowledges it once it is on disk;
 * `written` (may be NULL) is called then. */
void agent_record(struct session *session, int64_t seq, const struct store_item *item,
                  void (*written)(struct session *session, enum item_type type, int64_t id));
bool agent_facts_read(struct agent_facts *facts, const char *json); /* false: out of memory */
void agent_facts_clear(struct agent_facts *facts);

/* questions.c */
void questions_resend(struct session *session);
void questions_fail(struct session *session, const struct err *err);
void questions_check_deadlines(struct session *session);
/* Takes nothing. */
void questions_on_candidates(struct session *session, int64_t id, const struct strlist *candidates);
void questions_on_added(struct session *session, int64_t id, bool ok, const char *error);

/* launch.c: how a session's driver is started */
enum err_code launch_prepare(struct sessions *s, struct err *err); /* the agent's files, the secret */
app_build_fn launch_build;                                         /* arg: struct sessions */
void launch_token(const struct sessions *s, int64_t id, unsigned char token[TOKEN_BYTES]);

/* expiry.c */
void expiry_check(struct session *session);

/* warm.c */
enum err_code warm_new(struct sessions *s, struct warm **ret, struct err *err);
void warm_free(struct warm *w);
void warm_tick(struct warm *w);
size_t warm_ready(const struct warm *w);
/* A driver that stands ready and fits the request, or NULL. */
struct app *warm_take(struct warm *w, const struct session_request *request);
void warm_give_way(void *warm); /* something waits for room */

#endif
