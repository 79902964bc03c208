/* Bodies of POST /v1/submissions/create, and ids of submissions. */
#include "base/mem.h"
#include "submissions/submissions_internal.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 64 };

static void check(const struct spark_submission *s)
{
    assert(s->file != NULL && s->file[0] != '\0');
    assert(s->class_name == NULL || s->class_name[0] != '\0');
    assert(s->name == NULL && s->master == NULL && s->deploy_mode == NULL && s->proxy_user == NULL);
    assert(strmap_get(&s->conf, "spark.app.name") != NULL);
    assert(strmap_get(&s->conf, "spark.master") == NULL);
    assert(strmap_get(&s->conf, "spark.submit.deployMode") == NULL);
    for (size_t i = 0; i < s->env.n; i++)
        assert(strchr(s->env.items[i].key, '=') == NULL && !str_starts(s->env.items[i].key, "SPARK_"));
}

static void read_request(const char *text, size_t len)
{
    struct err err = {0};
    cleanup(json_decrefp) json_t *body = NULL;
    cleanup(create_request_clear) struct create_request c = {0};
    if (json_parse(text, len, DEPTH_MAX, &body, &err) != ERR_OK)
        return;
    enum err_code rc = create_request_read(&c, body, &err);
    assert(rc == ERR_OK || (rc == ERR_INVALID && err.msg[0] != '\0'));
    if (rc == ERR_OK)
        check(&c.submission);
}

static void read_id(const char *text)
{
    char id[SUBMISSION_ID_MAX];
    int64_t number = submission_id_number(text);
    assert(number >= -1);
    if (number < 0)
        return;
    struct app_info info = {.id = number};
    submission_id_write(&info, id);
    assert(submission_id_number(id) == number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(mem_freep) char *text = mem_strndup((const char *)data, size);
    read_request(text, strlen(text));
    read_id(text);
    mem_freep(&text);
    assert(mem_live() == 0);
    return 0;
}
