/* The identities of classes on nodes of both Scala versions, and how a node's own ones are learnt. */
#include "base/mem.h"
#include "base/parse.h"
#include "rpc/message_internal.h"

#include <string.h>

#define STRING 'L', "Ljava/lang/String;"
#define OBJECT 'L', "Ljava/lang/Object;"
#define OPTION 'L', "Lscala/Option;"
#define IMMUTABLE_MAP 'L', "Lscala/collection/immutable/Map;"
#define SEQ 'L', seq_212

/* The one signature that depends on the dialect. */
static const char seq_212[] = "Lscala/collection/Seq;";
static const char seq_213[] = "Lscala/collection/immutable/Seq;";

struct field_row {
    const char *name;
    char type;
    const char *signature;
};

struct class_row {
    const char *name;
    int64_t uid[2]; /* by enum rpc_scala; 0: nodes of that kind have no such class */
    struct field_row fields[CLASS_FIELDS_MAX];
    enum class_id super; /* 0: none (no class has the first one above it) */
    uint8_t flags;       /* besides JSER_SERIALIZABLE */
};

#define DEPLOY "org.apache.spark.deploy.DeployMessages$"
#define COARSE "org.apache.spark.scheduler.cluster.CoarseGrainedClusterMessages$"
#define IMMUTABLE "scala.collection.immutable."

/* Spark 3.0.3 to 4.3.0 agree on all but ResourceProfile and what has two rows. Fields in wire order. */
static const struct class_row classes[] = {
    [CLASS_CHECK_EXISTENCE] = {.name = "org.apache.spark.rpc.netty.RpcEndpointVerifier$CheckExistence",
                               .uid = {7789290765573734431, 5378738997755484868},
                               .fields = {{"name", STRING}}},
    [CLASS_BOUND_PORTS] = {.name = "org.apache.spark.deploy.master.MasterMessages$BoundPortsRequest$",
                           .uid = {-8315875281763783979, -626912526822357023}},
    [CLASS_MASTER_STATE] = {.name = DEPLOY "RequestMasterState$",
                            .uid = {-6953120368494249720, 747665300976380874}},
    [CLASS_WORKER_STATE] = {.name = DEPLOY "RequestWorkerState$",
                            .uid = {-8095521657553640263, -3696304506317343518}},
    [CLASS_SUBMIT_DRIVER] = {.name = DEPLOY "RequestSubmitDriver",
                             .uid = {2086705296795265444, -4723813690162202536},
                             .fields = {{"driverDescription", 'L',
                                         "Lorg/apache/spark/deploy/DriverDescription;"}}},
    [CLASS_DRIVER_DESCRIPTION] = {.name = "org.apache.spark.deploy.DriverDescription",
                                  .uid = {6857588364864877158, -809178530656055453},
                                  .fields = {{"cores", 'I', NULL},
                                             {"mem", 'I', NULL},
                                             {"supervise", 'Z', NULL},
                                             {"command", 'L', "Lorg/apache/spark/deploy/Command;"},
                                             {"jarUrl", STRING},
                                             {"resourceReqs", SEQ}}},
    [CLASS_COMMAND] = {.name = "org.apache.spark.deploy.Command",
                       .uid = {-7098307370860582211, 8406518256943838952},
                       .fields = {{"arguments", SEQ},
                                  {"classPathEntries", SEQ},
                                  {"environment", 'L', "Lscala/collection/Map;"},
                                  {"javaOpts", SEQ},
                                  {"libraryPathEntries", SEQ},
                                  {"mainClass", STRING}}},
    [CLASS_RESOURCE_REQUIREMENT] = {.name = "org.apache.spark.resource.ResourceRequirement",
                                    .uid = {-294983194822912093, 8620403987018219005},
                                    .fields = {{"amount", 'I', NULL},
                                               {"numParts", 'I', NULL},
                                               {"resourceName", STRING}}},
    [CLASS_KILL_DRIVER] = {.name = DEPLOY "RequestKillDriver",
                           .uid = {7763132472584695338, -6009959939375207245},
                           .fields = {{"driverId", STRING}}},
    [CLASS_DRIVER_STATUS] = {.name = DEPLOY "RequestDriverStatus",
                             .uid = {-5846948205890614879, -1863272440264723007},
                             .fields = {{"driverId", STRING}}},
    [CLASS_KILL_ALL_DRIVERS] = {.name = DEPLOY "RequestKillAllDrivers$", .uid = {0, -5788778459428030730}},
    [CLASS_CLEAR] = {.name = DEPLOY "RequestClearCompletedDriversAndApps$", .uid = {0, -2016761822100720973}},
    [CLASS_READYZ] = {.name = DEPLOY "RequestReadyz$", .uid = {0, 7372794124295618119}},
    [CLASS_EXECUTORS] = {.name = DEPLOY "RequestExecutors",
                         .uid = {1498232161328921434, 7425611577559342961},
                         .fields = {{"appId", STRING}, {"resourceProfileToTotalExecs", IMMUTABLE_MAP}}},
    [CLASS_EXECUTORS_33] = {.name = DEPLOY "RequestExecutors",
                            .uid = {-797605926471212175, 7184792765288994410},
                            .fields = {{"requestedTotal", 'I', NULL}, {"appId", STRING}}},
    [CLASS_RESOURCE_PROFILE] = {.name = "org.apache.spark.resource.ResourceProfile",
                                .uid = {6817910790482746242, -6369593179083993645},
                                .fields = {{"_coresLimitKnown", 'Z', NULL},
                                           {"_id", 'I', NULL},
                                           {"_executorResourceSlotsPerAddr", OPTION},
                                           {"_limitingResource", OPTION},
                                           {"_maxTasksPerExecutor", OPTION},
                                           {"executorResources", IMMUTABLE_MAP},
                                           {"taskResources", IMMUTABLE_MAP}}},
    [CLASS_KILL_EXECUTORS] = {.name = DEPLOY "KillExecutors",
                              .uid = {-3955979353196882338, 9133637256198584554},
                              .fields = {{"appId", STRING}, {"executorIds", SEQ}}},
    [CLASS_DECOMMISSION] = {.name = DEPLOY "DecommissionWorkersOnHosts",
                            .uid = {-4245048730789221583, 2582546299461359131},
                            .fields = {{"hostnames", SEQ}}},
    [CLASS_UNREGISTER] = {.name = DEPLOY "UnregisterApplication",
                          .uid = {78849718616371197, -8390152732535815425},
                          .fields = {{"appId", STRING}}},
    [CLASS_WORKER_KILL_DRIVER] = {.name = DEPLOY "KillDriver",
                                  .uid = {5427866380509360776, 7880461073620246646},
                                  .fields = {{"driverId", STRING}}},
    [CLASS_SPARK_APP_CONFIG] = {.name = COARSE "RetrieveSparkAppConfig",
                                .uid = {-6712847925685497919, 7017594059367549417},
                                .fields = {{"resourceProfileId", 'I', NULL}}},
    [CLASS_IS_EXECUTOR_ALIVE] = {.name = COARSE "IsExecutorAlive",
                                 .uid = {-1286214853198286117, 7141610301448817105},
                                 .fields = {{"executorId", STRING}}},
    [CLASS_MEMORY_STATUS] = {.name = "org.apache.spark.storage.BlockManagerMessages$GetMemoryStatus$",
                             .uid = {4458907399956321760, -7426049479162355480}},

    [CLASS_NONE] = {.name = "scala.None$",
                    .uid = {5066590221178148012, 5066590221178148012},
                    .super = CLASS_OPTION},
    [CLASS_OPTION] = {.name = "scala.Option", .uid = {-114498752079829388, -114498752079829388}},
    [CLASS_INTEGER] = {.name = "java.lang.Integer",
                       .uid = {1360826667806852920, 1360826667806852920},
                       .fields = {{"value", 'I', NULL}},
                       .super = CLASS_NUMBER},
    [CLASS_NUMBER] = {.name = "java.lang.Number", .uid = {-8742448824652078965, -8742448824652078965}},
    [CLASS_LIST_PROXY] = {.name = IMMUTABLE "List$SerializationProxy",
                          .uid = {1, 0},
                          .flags = JSER_WRITE_METHOD},
    [CLASS_LIST_END] = {.name = IMMUTABLE "ListSerializeEnd$", .uid = {-8476791151975527571, 0}},
    [CLASS_HASH_MAP_PROXY] = {.name = IMMUTABLE "HashMap$SerializationProxy",
                              .uid = {2, 0},
                              .flags = JSER_WRITE_METHOD},
    [CLASS_MODULE_PROXY] = {.name = "scala.runtime.ModuleSerializationProxy",
                            .uid = {0, 1},
                            .fields = {{"moduleClass", 'L', "Ljava/lang/Class;"}}},
    [CLASS_COLLECTION_PROXY] = {.name = "scala.collection.generic.DefaultSerializationProxy",
                                .uid = {0, 3},
                                .fields = {{"factory", 'L', "Lscala/collection/Factory;"}},
                                .flags = JSER_WRITE_METHOD},
    [CLASS_LIST_FACTORY] = {.name = "scala.collection.IterableFactory$ToFactory",
                            .uid = {0, 3},
                            .fields = {{"factory", 'L', "Lscala/collection/IterableFactory;"}}},
    [CLASS_LIST_MODULE] = {.name = IMMUTABLE "List$", .uid = {0, 3}},
    [CLASS_MAP_FACTORY] = {.name = "scala.collection.MapFactory$ToFactory",
                           .uid = {0, 3},
                           .fields = {{"factory", 'L', "Lscala/collection/MapFactory;"}}},
    [CLASS_HASH_MAP_MODULE] = {.name = IMMUTABLE "HashMap$", .uid = {0, 3}},
    [CLASS_EMPTY_MAP] = {.name = IMMUTABLE "Map$EmptyMap$", .uid = {0, 3}},
    [CLASS_PAIR] = {.name = "scala.Tuple2",
                    .uid = {142951686315914362, 142951686315914362},
                    .fields = {{"_1", OBJECT}, {"_2", OBJECT}}},
};

/* --- describing --------------------------------------------------------------------------------- */

static const struct rpc_learnt *find_learnt(const struct rpc_dialect *d, const char *class)
{
    for (size_t i = 0; i < d->n_learnt; i++)
        if (strcmp(d->learnt[i].class, class) == 0)
            return &d->learnt[i];
    return NULL;
}

static int64_t identity_of(const struct rpc_dialect *d, enum class_id id)
{
    const struct rpc_learnt *learnt = find_learnt(d, classes[id].name);
    return learnt != NULL ? learnt->uid : classes[id].uid[d->scala];
}

static struct jser_class plain_class(const struct rpc_dialect *d, enum class_id id)
{
    return (struct jser_class){.name = classes[id].name,
                               .uid = identity_of(d, id),
                               .flags = (uint8_t)(JSER_SERIALIZABLE | classes[id].flags)};
}

void dialect_describe(const struct rpc_dialect *d, enum class_id id, struct described *ret)
{
    const struct class_row *row = &classes[id];
    uint16_t n = 0;
    for (; n < CLASS_FIELDS_MAX && row->fields[n].name != NULL; n++) {
        const struct field_row *f = &row->fields[n];
        const char *signature = f->signature == seq_212 && d->scala == RPC_SCALA_213 ? seq_213 : f->signature;
        ret->fields[n] = (struct jser_field_desc){f->type, f->name, signature};
    }
    ret->class = plain_class(d, id);
    ret->class.fields = ret->fields;
    ret->class.n_fields = n;
    if (row->super == 0)
        return;
    ret->super = plain_class(d, row->super);
    ret->class.super = &ret->super;
}

bool dialect_has_old_executors(const struct rpc_dialect *d)
{
    const struct class_row *old = &classes[CLASS_EXECUTORS_33];
    const struct rpc_learnt *learnt = find_learnt(d, old->name);
    return learnt != NULL &&
           (learnt->uid == old->uid[RPC_SCALA_212] || learnt->uid == old->uid[RPC_SCALA_213]);
}

/* --- learning ----------------------------------------------------------------------------------- */

void rpc_dialect_clear(struct rpc_dialect *d)
{
    for (size_t i = 0; i < d->n_learnt; i++)
        mem_free(d->learnt[i].class);
    mem_free(d->learnt);
    *d = (struct rpc_dialect){0};
}

static int add_learnt(struct rpc_dialect *d, const char *class, int64_t uid)
{
    struct rpc_learnt *learnt = mem_realloc(d->learnt, (d->n_learnt + 1) * sizeof *learnt);
    if (learnt == NULL)
        return -1;
    d->learnt = learnt;
    char *name = mem_strdup(class);
    if (name == NULL)
        return -1;
    learnt[d->n_learnt++] = (struct rpc_learnt){name, uid};
    return 0;
}

/* At most one for each class of the table, so that a node cannot make it grow. */
static int remember(struct rpc_dialect *d, const char *class, int64_t uid)
{
    for (size_t i = 0; i < d->n_learnt; i++) {
        if (strcmp(d->learnt[i].class, class) == 0) {
            d->learnt[i].uid = uid;
            return 0;
        }
    }
    return add_learnt(d, class, uid);
}

/* What follows `mark` in the text, up to the end of its line; false when the mark is not there. */
static bool line_after(const char *text, const char *mark, char *to, size_t size)
{
    const char *start = strstr(text, mark);
    if (start == NULL)
        return false;
    start += strlen(mark);
    size_t n = strcspn(start, "\r\n");
    if (n >= size)
        return false;
    memcpy(to, start, n);
    to[n] = '\0';
    return true;
}

static bool is_class(enum class_id id, const char *name)
{
    return strcmp(classes[id].name, name) == 0;
}

/* Scala's own classes tell which of its versions a node has: those of the other one are not there. */
static enum rpc_lesson learn_from_missing(struct rpc_dialect *d, const char *name)
{
    for (enum class_id id = CLASS_NONE; id < CLASSES; id++) {
        if (!is_class(id, name) || classes[id].uid[!d->scala] != 0)
            continue;
        d->scala = !d->scala;
        return RPC_LESSON;
    }
    return RPC_NO_LESSON;
}

/* The dialect whose nodes have that identity; the present one when neither or both have it. */
static enum rpc_scala scala_of(const struct rpc_dialect *d, const char *name, int64_t uid)
{
    bool is_new = is_class(CLASS_CHECK_EXISTENCE, name);
    for (enum class_id id = 0; id < CLASSES; id++) {
        if (!is_class(id, name))
            continue;
        if (uid == classes[id].uid[d->scala])
            return d->scala;
        if (uid == classes[id].uid[!d->scala])
            return !d->scala;
    }
    /* A node that nobody has seen yet is younger than this table, and so is its Scala. Were it not, what is
     * sent next would tell. Other classes change while the dialect stays the same. */
    return is_new ? RPC_SCALA_213 : d->scala;
}

static enum rpc_lesson learn_identity(struct rpc_dialect *d, const char *name, int64_t uid)
{
    enum class_id id = 0;
    while (id < CLASSES && !is_class(id, name))
        id++;
    if (id == CLASSES || identity_of(d, id) == uid || remember(d, name, uid) != 0)
        return RPC_NO_LESSON;
    d->scala = scala_of(d, name, uid);
    return RPC_LESSON;
}

enum rpc_lesson rpc_dialect_learn(struct rpc_dialect *d, const char *failure)
{
    static const char incompatible[] = "; local class incompatible: ";
    char line[512];
    char number[512];
    int64_t uid = 0;
    if (line_after(failure, "ClassNotFoundException: ", line, sizeof line))
        return learn_from_missing(d, line);
    if (!line_after(failure, "InvalidClassException: ", line, sizeof line))
        return RPC_NO_LESSON;
    char *end = strstr(line, incompatible);
    if (end == NULL || !line_after(end, "local class serialVersionUID = ", number, sizeof number) ||
        parse_i64(number, INT64_MIN, INT64_MAX, &uid, NULL) != ERR_OK)
        return RPC_NO_LESSON;
    *end = '\0';
    return learn_identity(d, line, uid);
}
