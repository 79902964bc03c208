/*
 * The provisioner contract, section 5.2: JMX of the first node, of the second one if that is not active, then
 * the file's status on the active one. Each question is asked once.
 */
#include "hdfs/hdfs_internal.h"

#include "base/mem.h"

enum { ANSWER_MAX = 1 << 20 };

static void ask_state(struct operation *o)
{
    cleanup(buf_clear) struct buf url = BUF(HDFS_URL_MAX);
    int64_t questions_left = hdfs_n_nodes(o) - o->node + 1; /* nodes, and the file's status */
    buf_printf(&url, "%s/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus", hdfs_node_url(o));
    hdfs_ask(o, "GET", &url, hdfs_left_ms(o) / questions_left + 1, ANSWER_MAX);
}

static void finish(struct operation *o, enum hdfs_presence presence)
{
    struct err none = {0};
    o->presence = presence;
    hdfs_finish(o, &none);
}

static void ask_status(struct operation *o)
{
    cleanup(buf_clear) struct buf url = BUF(HDFS_URL_MAX);
    hdfs_add_url(o, &url);
    buf_str(&url, "GETFILESTATUS");
    hdfs_add_user(o, &url);
    if (url.failed == ERR_TOO_LARGE)
        finish(o, HDFS_MISSING); /* no file has such a path */
    else
        hdfs_ask(o, "GET", &url, hdfs_left_ms(o), ANSWER_MAX);
}

static void begin(struct operation *o)
{
    o->node = 0;
    ask_state(o);
}

static void ask_next_node(struct operation *o)
{
    if (++o->node < hdfs_n_nodes(o))
        ask_state(o);
    else
        finish(o, HDFS_NO_ACTIVE_NODE);
}

static void on_state(struct operation *o, const struct http_result *result)
{
    if (hdfs_says_active(result->body, result->len)) {
        o->flag = true; /* the node is found */
        ask_status(o);
    } else {
        ask_next_node(o);
    }
}

static void on_state_alone(struct operation *o, const struct http_result *result)
{
    if (hdfs_says_active(result->body, result->len))
        finish(o, HDFS_PRESENT);
    else
        ask_next_node(o);
}

static void on_answer(struct operation *o, const struct http_result *result)
{
    if (o->flag)
        finish(o, hdfs_has_file_id(result->body, result->len) ? HDFS_PRESENT : HDFS_MISSING);
    else
        on_state(o, result);
}

static void tell(const struct operation *o, const struct err *err)
{
    (void)err; /* memory was short: o->presence is still HDFS_NO_ACTIVE_NODE */
    o->cb.presence(o->presence, o->arg);
}

void hdfs_ask_presence(struct hdfs *h, const char *path, hdfs_presence_cb *done, void *arg)
{
    static const struct operation_kind kind = {
        .verb = "looking for", .begin = begin, .on_answer = on_answer, .tell = tell};
    (void)hdfs_start(h, &kind, path[0] != '\0' ? path : "/", (union hdfs_cb){.presence = done}, arg);
}

void hdfs_ask_active(struct hdfs *h, hdfs_presence_cb *done, void *arg)
{
    static const struct operation_kind kind = {
        .verb = "looking for the active node of", .begin = begin, .on_answer = on_state_alone, .tell = tell};
    (void)hdfs_start(h, &kind, "/", (union hdfs_cb){.presence = done}, arg);
}
