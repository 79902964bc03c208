/* Any bytes as the JSON of a request. What is read must read the same again after being written. */
#include "base/json.h"
#include "base/mem.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_OUTPUT = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct request {
    char *file;
    char *name;
    int64_t cores;
    bool flag;
    struct strlist args;
    struct strmap conf;
};

static void request_clear(struct request *r)
{
    mem_free(r->file);
    mem_free(r->name);
    strlist_clear(&r->args);
    strmap_clear(&r->conf);
}

static enum err_code request_read(struct request *r, const char *text, size_t len, struct err *err)
{
    json_t *value = NULL;
    enum err_code rc = json_parse(text, len, MAX_DEPTH, &value, err);
    if (rc != ERR_OK)
        return rc;
    struct json_in in;
    json_in_open(&in, value, err);
    json_in_str(&in, "file", &r->file);
    json_in_str(&in, "name", &r->name);
    json_in_int(&in, "driverCores", 1, INT32_MAX, &r->cores);
    json_in_bool(&in, "flag", &r->flag);
    json_in_list(&in, "args", &r->args);
    json_in_map(&in, "conf", &r->conf);
    rc = json_in_end(&in);
    json_decref(value);
    return rc;
}

static void request_write(const struct request *r, struct buf *to)
{
    struct json_out out;
    json_out_open(&out, to);
    json_out_object(&out, NULL);
    json_out_str(&out, "file", r->file);
    json_out_str(&out, "name", r->name);
    if (r->cores != 0)
        json_out_int(&out, "driverCores", r->cores);
    json_out_bool(&out, "flag", r->flag);
    json_out_list(&out, "args", &r->args);
    json_out_map(&out, "conf", &r->conf);
    json_out_end_object(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request first = {0};
    struct request second = {0};
    struct err err;
    enum err_code rc = request_read(&first, (const char *)data, size, &err);
    assert(rc == ERR_OK || (rc == ERR_INVALID && err.msg[0] != '\0'));
    if (rc == ERR_OK) {
        cleanup(buf_clear) struct buf once = BUF(MAX_OUTPUT);
        cleanup(buf_clear) struct buf twice = BUF(MAX_OUTPUT);
        request_write(&first, &once);
        rc = request_read(&second, once.data, once.len, &err);
        assert(rc == ERR_OK);
        request_write(&second, &twice);
        assert(strcmp(buf_cstr(&once), buf_cstr(&twice)) == 0);
    }
    request_clear(&first);
    request_clear(&second);
    assert(mem_live() == 0);
    return 0;
}
