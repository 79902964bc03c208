/* Descriptors: YAML or JSON text, the component in it, its rules, and the texts that are made of it. */
#include "base/mem.h"
#include "provision/provision_internal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 20 };

/* A value that was accepted can be written, and what is written is YAML again. */
static void check_yaml(const char *text, size_t len)
{
    cleanup(json_decrefp) json_t *value = NULL;
    cleanup(json_decrefp) json_t *again = NULL;
    struct err err = {0};
    if (yaml_to_json(text, len, &value, &err) != ERR_OK) {
        assert(err.msg[0] != '\0');
        return;
    }
    size_t size = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY); /* counts only: aliases may stand for much */
    if (size == 0 || size > TEXT_MAX)
        return;
    cleanup(mem_freep) char *json = json_text(value);
    assert(json != NULL);
    if (json_parse(json, strlen(json), YAML_DEPTH_MAX, &again, &err) == ERR_OK)
        assert(json_equal(value, again));
}

/* What is decoded has all its fields, and becomes job data that is read back as it was. */
static void check_component(const struct component *c)
{
    cleanup(job_data_clear) struct job_data made = {0};
    cleanup(job_data_clear) struct job_data read = {0};
    assert(c->id != NULL && c->job_name != NULL && c->jar != NULL && c->class_name != NULL &&
           c->queue != NULL);
    assert(c->has_schedule ==
           (c->schedule.cron != NULL && c->schedule.start != NULL && c->schedule.end != NULL));
    assert(job_data_make(c, false, &made, NULL) == ERR_OK);
    cleanup(mem_freep) char *text = job_data_text(&made);
    cleanup(mem_freep) char *result = result_text(c, &made, 0);
    assert(text != NULL && result != NULL);
    assert(job_data_read(text, &read, NULL) == ERR_OK);
    assert(strcmp(made.name, read.name) == 0 && made.conf.n == read.conf.n && made.args.n == read.args.n);
}

static void check_rules(const struct descriptor *d)
{
    bool failed[RULES_END] = {0};
    cleanup(jar_clear) struct jar jar = {0};
    rules_check(d, failed);
    for (int rule = RULE_COMPONENT; rule < RULES_END; rule++)
        assert(d->has_component || failed[rule]);
    if (d->has_component && jar_read(d->component.jar, &jar, NULL) == ERR_OK)
        assert(jar.path != NULL && (jar.scheme == NULL || jar.scheme[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    long live = mem_live();
    struct descriptor d = {0};
    char *text = mem_strndup((const char *)data, size);
    assert(text != NULL);
    check_yaml((const char *)data, size);
    if (descriptor_read(text, &d, NULL) == ERR_OK) {
        check_rules(&d);
        if (d.has_component)
            check_component(&d.component);
    }
    descriptor_clear(&d);
    mem_free(text);
    assert(mem_live() == live);
    return 0;
}
