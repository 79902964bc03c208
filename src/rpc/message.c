#include "rpc/message.h"

#include "rpc/message_internal.h"

#include <inttypes.h>
#include <string.h>

/* --- what the objects consist of: their fields, in wire order ----------------------------------- */

typedef void write_fields(struct scala_writer *w, const struct rpc_message *m);

static void write_text(struct scala_writer *w, const struct rpc_message *m)
{
    scala_text(w, m->text);
}

static void write_number(struct scala_writer *w, const struct rpc_message *m)
{
    jser_write_integer(&w->jser, 'I', m->number);
}

static void write_list(struct scala_writer *w, const struct rpc_message *m)
{
    scala_text_list(w, m->list);
}

static void write_text_and_list(struct scala_writer *w, const struct rpc_message *m)
{
    scala_text(w, m->text);
    scala_text_list(w, m->list);
}

static void write_no_totals(struct scala_writer *w, const struct rpc_message *m)
{
    scala_text(w, m->text);
    scala_map(w, 0);
    scala_map_end(w, 0);
}

/* The master looks at the id only. */
static void write_profile(struct scala_writer *w, int64_t id)
{
    (void)scala_object(w, CLASS_RESOURCE_PROFILE);
    jser_write_integer(&w->jser, 'Z', 0);
    jser_write_integer(&w->jser, 'I', id);
    for (int option = 0; option < 3; option++)
        scala_none(w);
    for (int map = 0; map < 2; map++) {
        scala_map(w, 0);
        scala_map_end(w, 0);
    }
}

static void write_totals(struct scala_writer *w, const struct rpc_message *m)
{
    if (dialect_has_old_executors(w->dialect)) {
        jser_write_integer(&w->jser, 'I', m->total);
        scala_text(w, m->text);
        return;
    }
    scala_text(w, m->text);
    scala_map(w, 1);
    scala_pair(w);
    write_profile(w, m->number);
    scala_boxed_int(w, m->total);
    scala_map_end(w, 1);
}

static void write_command(struct scala_writer *w, const struct rpc_driver *d)
{
    (void)scala_object(w, CLASS_COMMAND);
    scala_text_list(w, d->arguments);
    scala_text_list(w, d->class_path);
    scala_text_map(w, d->environment);
    scala_text_list(w, d->java_options);
    scala_text_list(w, d->library_path);
    scala_text(w, d->main_class);
}

static void write_resources(struct scala_writer *w, const struct rpc_driver *d)
{
    scala_list(w, d->n_resources);
    for (size_t i = 0; i < d->n_resources; i++) {
        (void)scala_object(w, CLASS_RESOURCE_REQUIREMENT);
        jser_write_integer(&w->jser, 'I', d->resources[i].amount);
        jser_write_integer(&w->jser, 'I', d->resources[i].parts);
        scala_text(w, d->resources[i].name);
    }
    scala_list_end(w);
}

static void write_driver(struct scala_writer *w, const struct rpc_message *m)
{
    const struct rpc_driver *d = m->driver;
    (void)scala_object(w, CLASS_DRIVER_DESCRIPTION);
    jser_write_integer(&w->jser, 'I', d->cores);
    jser_write_integer(&w->jser, 'I', d->memory_mib);
    jser_write_integer(&w->jser, 'Z', d->supervise);
    write_command(w, d);
    scala_text(w, d->jar_url);
    write_resources(w, d);
}

/* --- the messages ------------------------------------------------------------------------------- */

enum { TEXT = 1, NUMBER = 2, TOTAL = 4, LIST = 8, DRIVER = 16 };

static const struct message_row {
    const char *endpoint;
    enum class_id class;
    unsigned parts;       /* of struct rpc_message that are used */
    write_fields *fields; /* NULL: a case object */
    bool is_one_way;
} rows[] = {
    [RPC_CHECK_EXISTENCE] = {"endpoint-verifier", CLASS_CHECK_EXISTENCE, TEXT, write_text, false},
    [RPC_BOUND_PORTS] = {"Master", CLASS_BOUND_PORTS, 0, NULL, false},
    [RPC_MASTER_STATE] = {"Master", CLASS_MASTER_STATE, 0, NULL, false},
    [RPC_WORKER_STATE] = {"Worker", CLASS_WORKER_STATE, 0, NULL, false},
    [RPC_SUBMIT_DRIVER] = {"Master", CLASS_SUBMIT_DRIVER, DRIVER, write_driver, false},
    [RPC_KILL_DRIVER] = {"Master", CLASS_KILL_DRIVER, TEXT, write_text, false},
    [RPC_DRIVER_STATUS] = {"Master", CLASS_DRIVER_STATUS, TEXT, write_text, false},
    [RPC_KILL_ALL_DRIVERS] = {"Master", CLASS_KILL_ALL_DRIVERS, 0, NULL, false},
    [RPC_CLEAR] = {"Master", CLASS_CLEAR, 0, NULL, false},
    [RPC_READYZ] = {"Master", CLASS_READYZ, 0, NULL, false},
    [RPC_EXECUTORS] = {"Master", CLASS_EXECUTORS, TEXT, write_no_totals, false},
    [RPC_EXECUTORS_TOTAL] = {"Master", CLASS_EXECUTORS, TEXT | NUMBER | TOTAL, write_totals, false},
    [RPC_KILL_EXECUTORS] = {"Master", CLASS_KILL_EXECUTORS, TEXT | LIST, write_text_and_list, false},
    [RPC_DECOMMISSION] = {"Master", CLASS_DECOMMISSION, LIST, write_list, false},
    [RPC_UNREGISTER] = {"Master", CLASS_UNREGISTER, TEXT, write_text, true},
    [RPC_WORKER_KILL_DRIVER] = {"Worker", CLASS_WORKER_KILL_DRIVER, TEXT, write_text, true},
    [RPC_SPARK_APP_CONFIG] = {"CoarseGrainedScheduler", CLASS_SPARK_APP_CONFIG, NUMBER, write_number, false},
    [RPC_IS_EXECUTOR_ALIVE] = {"CoarseGrainedScheduler", CLASS_IS_EXECUTOR_ALIVE, TEXT, write_text, false},
    [RPC_MEMORY_STATUS] = {"BlockManagerMaster", CLASS_MEMORY_STATUS, 0, NULL, false},
};

const char *rpc_endpoint(enum rpc_kind kind)
{
    return rows[kind].endpoint;
}

bool rpc_is_one_way(enum rpc_kind kind)
{
    return rows[kind].is_one_way;
}

/* --- what may be sent --------------------------------------------------------------------------- */

static enum err_code check_there(const void *part, const char *name, struct err *err)
{
    return part != NULL ? ERR_OK : err_set(err, ERR_INVALID, "%s is required", name);
}

static enum err_code check_range(int64_t n, int64_t min, const char *name, struct err *err)
{
    if (n >= min && n <= INT32_MAX)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "%s is %" PRId64 ", it must be %" PRId64 " to %d", name, n, min,
                   INT32_MAX);
}

static enum err_code check_resource(const struct rpc_resource *r, struct err *err)
{
    enum err_code rc = check_there(r->name, "a resource's name", err);
    if (rc == ERR_OK)
        rc = check_range(r->amount, 0, "a resource's amount", err);
    return rc == ERR_OK ? check_range(r->parts, 1, "the parts of a resource", err) : rc;
}

static enum err_code check_driver(const struct rpc_driver *d, struct err *err)
{
    enum err_code rc = check_there(d->jar_url, "the jar's URL", err);
    if (rc == ERR_OK)
        rc = check_there(d->main_class, "the main class", err);
    if (rc == ERR_OK)
        rc = check_range(d->memory_mib, 0, "the driver's memory in MiB", err);
    if (rc == ERR_OK)
        rc = check_range(d->cores, 0, "the number of the driver's cores", err);
    for (size_t i = 0; rc == ERR_OK && i < d->n_resources; i++)
        rc = check_resource(&d->resources[i], err);
    return rc;
}

/* Masters before Spark 3.4 know one total for an application, and no profiles. They would read what is
 * missing as zero, and take all executors away. */
static enum err_code check_executors(const struct rpc_dialect *d, const struct rpc_message *m,
                                     struct err *err)
{
    if (!dialect_has_old_executors(d) || (m->kind == RPC_EXECUTORS_TOTAL && m->number == 0))
        return ERR_OK;
    return err_set(err, ERR_INVALID, "this master is older than Spark 3.4: it has no resource profiles");
}

static enum err_code check_message(const struct rpc_dialect *d, const struct rpc_message *m, struct err *err)
{
    const struct message_row *row = &rows[m->kind];
    enum err_code rc = ERR_OK;
    if (row->parts & TEXT)
        rc = check_there(m->text, "the message's text", err);
    if (rc == ERR_OK && (row->parts & LIST))
        rc = check_there(m->list, "the message's list", err);
    if (rc == ERR_OK && (row->parts & NUMBER))
        rc = check_range(m->number, 0, "the profile's id", err);
    if (rc == ERR_OK && (row->parts & TOTAL))
        rc = check_range(m->total, 0, "the total of executors", err);
    if (rc == ERR_OK && (row->parts & DRIVER))
        rc = check_there(m->driver, "the driver", err);
    if (rc == ERR_OK && (row->parts & DRIVER))
        rc = check_driver(m->driver, err);
    if (rc == ERR_OK && row->class == CLASS_EXECUTORS)
        rc = check_executors(d, m, err);
    return rc;
}

/* Java's own encoding and UTF-8 are the same for ASCII, and names of hosts are nothing else. */
static enum err_code check_host(const struct rpc_address *a, struct err *err)
{
    size_t n = strlen(a->host);
    if (n > UINT16_MAX)
        return err_set(err, ERR_INVALID, "a host's name has %zu bytes, at most %d are allowed", n,
                       UINT16_MAX);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)a->host[i] > 0x7f)
            return err_set(err, ERR_INVALID, "host %.200s: only ASCII is allowed", a->host);
    return ERR_OK;
}

/* --- the body of a request ---------------------------------------------------------------------- */

static void put(struct buf *to, uint64_t n, size_t bytes)
{
    for (size_t i = bytes; i > 0; i--)
        buf_char(to, (char)(n >> 8 * (i - 1)));
}

static void put_text(struct buf *to, const char *text)
{
    put(to, strlen(text), 2);
    buf_str(to, text);
}

static void put_address(struct buf *to, const struct rpc_address *a)
{
    put(to, a != NULL, 1);
    if (a == NULL)
        return;
    put_text(to, a->host);
    put(to, a->port, 4);
}

static enum err_code write_object(const struct rpc_dialect *d, const struct rpc_message *m, struct buf *to,
                                  struct err *err)
{
    const struct message_row *row = &rows[m->kind];
    bool is_old = row->class == CLASS_EXECUTORS && dialect_has_old_executors(d);
    struct scala_writer w;
    scala_writer_init(&w, d, to);
    if (row->fields == NULL) {
        (void)scala_module(&w, row->class);
    } else {
        (void)scala_object(&w, is_old ? CLASS_EXECUTORS_33 : row->class);
        row->fields(&w, m);
    }
    enum err_code rc = jser_writer_check(&w.jser, err);
    jser_writer_clear(&w.jser);
    return rc;
}

enum err_code rpc_message_write(const struct rpc_dialect *dialect, const struct rpc_address *sender,
                                const struct rpc_address *receiver, const struct rpc_message *message,
                                struct buf *to, struct err *err)
{
    size_t start = to->len;
    enum err_code rc = check_host(receiver, err);
    if (rc == ERR_OK && sender != NULL)
        rc = check_host(sender, err);
    if (rc == ERR_OK)
        rc = check_message(dialect, message, err);
    if (rc != ERR_OK)
        return rc;
    put_address(to, sender);
    put_address(to, receiver);
    put_text(to, rows[message->kind].endpoint);
    rc = write_object(dialect, message, to, err);
    if (rc != ERR_OK && to->len > start) {
        to->len = start;
        to->data[start] = '\0';
    }
    return rc;
}
