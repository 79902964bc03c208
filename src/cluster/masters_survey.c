/* The state of each master of a group. */
#include "cluster/masters_internal.h"

#include "base/mem.h"

#include <string.h>
#include <utlist.h>

struct part {
    struct survey *survey;
    struct member *member;
    json_t *object; /* NULL: not answered yet, or memory was short */
};

struct survey {
    struct survey *prev, *next;
    struct masters *masters;
    masters_surveyed_cb *done;
    void *arg;
    size_t n_left;
    struct part parts[MASTERS_MAX];
};

static void survey_free(struct survey *s)
{
    for (size_t i = 0; i < s->masters->n; i++)
        json_decref(s->parts[i].object);
    mem_free(s);
}

void masters_free_surveys(struct masters *m)
{
    struct survey *s, *next;
    DL_FOREACH_SAFE(m->surveys, s, next)
    survey_free(s);
    m->surveys = NULL;
}

static json_t *collect(const struct survey *s)
{
    json_t *array = json_array();
    for (size_t i = 0; i < s->masters->n; i++) {
        if (json_array_append(array, s->parts[i].object) == 0)
            continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *describe(const struct member *member, const struct rpc_answer *answer)
{
    if (answer->result == RPC_VALUE && masters_is_state(answer->value))
        return json_pack("{s:s, s:O?, s:O}", "master", member->name, "status",
                         json_object_get(answer->value, "status"), "state", answer->value);
    return json_pack("{s:s, s:s, s:s}", "master", member->name, "error",
                     member->trouble != NULL ? member->trouble : answer->words, "result",
                     rpc_result_name(member->result));
}

static void on_answer(const struct rpc_answer *answer, void *arg)
{
    struct part *part = arg;
    struct survey *s = part->survey;
    masters_note(part->member, answer);
    part->object = describe(part->member, answer);
    if (--s->n_left > 0)
        return;
    json_t *array = collect(s);
    DL_DELETE(s->masters->surveys, s);
    s->done(array, s->arg); /* the group may be gone after this, its memory is not */
    json_decref(array);
    survey_free(s);
}

void masters_survey(struct masters *m, int64_t timeout_ms, masters_surveyed_cb *done, void *arg)
{
    static const struct rpc_message question = {.kind = RPC_MASTER_STATE};
    struct survey *s = mem_calloc(1, sizeof *s);
    if (s == NULL) {
        masters_cannot(m, NULL, done, arg);
        return;
    }
    s->masters = m;
    s->done = done;
    s->arg = arg;
    s->n_left = m->n;
    DL_APPEND(m->surveys, s);
    for (size_t i = 0; i < m->n; i++) {
        s->parts[i] = (struct part){.survey = s, .member = &m->members[i]};
        rpc_ask(m->members[i].node, &question, timeout_ms, on_answer, &s->parts[i]);
    }
}
