/* What is Spark's in answers: states, references to endpoints, addresses. */
#include "base/mem.h"
#include "rpc/answer_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Scala 2.13 sends a number and a class only. */
static const struct enumeration {
    const char *class;
    const char *names[8];
} enumerations[] = {
    {"org.apache.spark.deploy.master.DriverState$",
     {"SUBMITTED", "RUNNING", "FINISHED", "RELAUNCHING", "UNKNOWN", "KILLED", "FAILED", "ERROR"}},
    {"org.apache.spark.deploy.master.RecoveryState$",
     {"STANDBY", "ALIVE", "RECOVERING", "COMPLETING_RECOVERY"}},
};

static const char *name_by_number(const char *class, int64_t n)
{
    for (size_t e = 0; e < sizeof enumerations / sizeof enumerations[0]; e++)
        if (strcmp(enumerations[e].class, class) == 0 && n >= 0 && n < 8)
            return enumerations[e].names[n];
    return NULL;
}

/* Scala 2.12 sends the whole enumeration, which has a field for each of its values. */
static const char *name_by_field(const struct jser_value *enumeration, const struct jser_value *v)
{
    for (size_t p = 0; p < enumeration->u.object.n_parts; p++) {
        const struct jser_part *part = &enumeration->u.object.parts[p];
        for (unsigned i = 0; part->fields != NULL && i < part->class->n_fields; i++)
            if (part->fields[i] == v)
                return part->class->fields[i].name;
    }
    return NULL;
}

static json_t *read_enumeration(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *outer = jser_field(v, "$outer");
    const struct jser_value *number = jser_field(v, "i");
    const struct jser_class *module = answer_module(outer);
    int64_t n = number != NULL && number->kind == JSER_INTEGER ? number->u.integer : -1;
    const char *name = jser_field_text(v, "name");
    if (name == NULL && module != NULL)
        name = name_by_number(module->name, n);
    else if (name == NULL && outer != NULL && outer->kind == JSER_OBJECT && walk_pay_search(w, outer))
        name = name_by_field(outer, v);
    char unknown[32];
    (void)snprintf(unknown, sizeof unknown, "#%" PRId64, n);
    if (name == NULL)
        name = unknown;
    return walk_text(w, name, strlen(name));
}

static json_t *read_endpoint_ref(struct walk *w, const struct jser_value *v)
{
    const struct jser_value *where = jser_field(v, "endpointAddress");
    if (where == NULL || where->kind != JSER_OBJECT)
        return walk_fail(w, ERR_INVALID, "a reference to an endpoint without an address");
    json_t *o = walk_object(w);
    if (o == NULL)
        return NULL;
    walk_set(w, o, "name", walk_field(w, where, "name"));
    walk_set(w, o, "address", walk_field(w, where, "rpcAddress"));
    return walk_finished(w, o);
}

static json_t *read_address(struct walk *w, const struct jser_value *v)
{
    const char *host = jser_field_text(v, "host");
    const struct jser_value *port = jser_field(v, "port");
    if (host == NULL || port == NULL || port->kind != JSER_INTEGER)
        return walk_fail(w, ERR_INVALID, "an address without a host or port");
    char *both = mem_printf("%s:%" PRId64, host, port->u.integer);
    if (both == NULL)
        return walk_fail(w, ERR_NOMEM, "out of memory");
    json_t *s = walk_text(w, both, strlen(both));
    mem_free(both);
    return s;
}

/* Bytes that a class wrote itself. Sticky: with less than is asked for, all is gone. */
struct bytes {
    const uint8_t *at;
    size_t left;
    bool is_short;
};

static const uint8_t *take(struct bytes *b, size_t n)
{
    if (b->is_short || n > b->left) {
        b->is_short = true;
        return NULL;
    }
    b->at += n;
    b->left -= n;
    return b->at - n;
}

static uint64_t take_number(struct bytes *b, size_t n)
{
    const uint8_t *p = take(b, n);
    return p != NULL ? answer_big_endian(p, n) : 0;
}

static void set_text(struct walk *w, json_t *object, const char *key, struct bytes *b)
{
    size_t n = take_number(b, 2);
    const char *s = (const char *)take(b, n);
    json_t *value = s != NULL && walk_pay(w, n) ? json_stringn(s, n) : NULL;
    if (value == NULL) /* or it is no UTF-8: names of hosts are ASCII */
        b->is_short = true;
    walk_set(w, object, key, value);
}

static json_t *read_block_manager(struct walk *w, const struct jser_value *v)
{
    struct jser_items items = answer_annotation(v);
    struct bytes b = {0};
    if (items.n > 0 && items.at[0]->kind == JSER_BLOCK)
        b = (struct bytes){items.at[0]->u.block.bytes, items.at[0]->u.block.len, false};
    json_t *o = walk_object(w);
    if (o == NULL)
        return NULL;
    set_text(w, o, "executorId", &b);
    set_text(w, o, "host", &b);
    walk_set(w, o, "port", walk_integer(w, (int32_t)take_number(&b, 4)));
    if (take_number(&b, 1) != 0)
        set_text(w, o, "topologyInfo", &b);
    else
        walk_set(w, o, "topologyInfo", walk_null(w));
    walk_set(w, o, "class", walk_text(w, "BlockManagerId", strlen("BlockManagerId")));
    if (b.is_short)
        (void)walk_fail(w, ERR_INVALID, "a BlockManagerId that cannot be read");
    return walk_finished(w, o);
}

/* --- which is which ----------------------------------------------------------------------------- */

static const struct answer_row rows[] = {
    {"scala.Enumeration$Value", read_enumeration, true},
    {"org.apache.spark.rpc.RpcEndpointRef", read_endpoint_ref, true},
    {"org.apache.spark.rpc.RpcAddress", read_address, false},
    {"org.apache.spark.storage.BlockManagerId", read_block_manager, false},
};

const struct answer_rows answer_spark_rows = {rows, sizeof rows / sizeof rows[0]};
