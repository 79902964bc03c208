/* Reading and printing the server's answers. */
#include "cmd/client.h"

#include "base/mem.h"
#include "cmd/cmd.h"

#include <inttypes.h>
#include <stdio.h>

enum { PAGE = 500 };

json_t *answer_get(const json_t *object, const char *name)
{
    json_t *v = json_object_get(object, name);
    return json_is_null(v) ? NULL : v;
}

const char *answer_text(const json_t *object, const char *name, const char *otherwise)
{
    const json_t *v = json_object_get(object, name);
    return json_is_string(v) ? json_string_value(v) : otherwise;
}

int64_t answer_int(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(object, name);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

int answer_print(const json_t *answer)
{
    if (json_dumpf(answer, stdout, JSON_INDENT(2)) != 0 || fputc('\n', stdout) == EOF) {
        (void)fprintf(stderr, "hearth: the output could not be written\n");
        return CMD_FAILED;
    }
    return CMD_OK;
}

int answer_print_list(json_t *elements)
{
    json_t *list = json_pack("{s:i, s:I, s:O}", "from", 0, "total", (json_int_t)json_array_size(elements),
                             "sessions", elements);
    int exit_code = list != NULL ? answer_print(list) : CMD_FAILED;
    json_decref(list);
    return exit_code;
}

/* Adds the wanted elements of a page to `all`. */
static int add_page(json_t *all, const json_t *page, bool (*keep)(const json_t *))
{
    size_t i = 0;
    json_t *element = NULL;
    json_array_foreach(page, i, element)
    {
        if ((keep == NULL || keep(element)) && json_array_append(all, element) != 0)
            return -1;
    }
    return 0;
}

enum err_code client_fetch_all(struct client *c, const char *path, bool (*keep)(const json_t *element),
                               json_t **ret, struct err *err)
{
    json_t *all = json_array();
    enum err_code rc = all != NULL ? ERR_OK : err_set(err, ERR_NOMEM, "out of memory");
    int64_t from = 0;
    int64_t total = 1;
    while (rc == ERR_OK && from < total) {
        json_t *answer = NULL;
        cleanup(mem_freep) char *page = mem_printf("%s?from=%" PRId64 "&size=%d", path, from, PAGE);
        rc = page != NULL ? client_ask(c, "GET", page, NULL, &answer, err)
                          : err_set(err, ERR_NOMEM, "out of memory");
        if (rc == ERR_OK && add_page(all, json_object_get(answer, "sessions"), keep) != 0)
            rc = err_set(err, ERR_NOMEM, "out of memory");
        total = answer_int(answer, "total", 0);
        from += PAGE;
        json_decref(answer);
    }
    if (rc == ERR_OK)
        *ret = all;
    else
        json_decref(all);
    return rc;
}
