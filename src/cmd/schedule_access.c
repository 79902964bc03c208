#include "cmd/schedule_access.h"

#include "base/mem.h"
#include "base/strs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char default_group[] = "default";

/* ---- finding ---- */

static enum err_code take_first(const json_t *answer, char id[SCHEDULE_ID_MAX])
{
    const json_t *schedule = json_array_get(json_object_get(answer, "schedules"), 0);
    int64_t number = answer_int(schedule, "id", -1);
    if (number < 0)
        return ERR_NOT_FOUND;
    (void)snprintf(id, SCHEDULE_ID_MAX, "%" PRId64, number);
    return ERR_OK;
}

enum err_code schedule_find_named(struct client *c, const char *group, const char *name,
                                  char id[SCHEDULE_ID_MAX], struct err *err)
{
    cleanup(mem_freep) char *group_text = client_escape(c, group);
    cleanup(mem_freep) char *name_text = client_escape(c, name);
    cleanup(mem_freep) char *path =
        group_text != NULL && name_text != NULL
            ? mem_printf("/hearth/schedules?group=%s&name=%s", group_text, name_text)
            : NULL;
    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    json_t *answer = NULL;
    enum err_code rc = client_call(c, &(struct client_request){.method = "GET", .path = path}, &answer, err);
    if (rc == ERR_OK && take_first(answer, id) != ERR_OK)
        rc = err_set(err, ERR_NOT_FOUND, "there is no schedule '%s' in the group '%s'", name, group);
    json_decref(answer);
    return rc;
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text) &&
           strlen(text) < SCHEDULE_ID_MAX - 4;
}

static enum err_code find_number(struct client *c, const char *called, char id[SCHEDULE_ID_MAX],
                                 struct err *err)
{
    json_t *answer = NULL;
    enum err_code rc = client_ask(c, "GET", "/hearth/schedules/{id}", called, &answer, err);
    json_decref(answer);
    if (rc == ERR_OK)
        (void)snprintf(id, SCHEDULE_ID_MAX, "%s", called);
    return rc;
}

static enum err_code find_in_group(struct client *c, const char *called, char id[SCHEDULE_ID_MAX],
                                   struct err *err)
{
    const char *slash = strchr(called, '/');
    cleanup(mem_freep) char *group = mem_strndup(called, (size_t)(slash - called));
    if (group == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    return schedule_find_named(c, group, slash + 1, id, err);
}

enum err_code schedule_find(struct client *c, const char *called, char id[SCHEDULE_ID_MAX], struct err *err)
{
    struct err first = {0};
    enum err_code rc = ERR_NOT_FOUND;
    const char *slash = strchr(called, '/');
    if (is_number(called))
        rc = find_number(c, called, id, &first);
    else if (slash != NULL && slash != called && slash[1] != '\0')
        rc = find_in_group(c, called, id, &first);
    if (rc != ERR_NOT_FOUND) {
        if (rc != ERR_OK)
            *err = first;
        return rc;
    }
    rc = schedule_find_named(c, default_group, called, id, err);
    if (rc == ERR_NOT_FOUND && first.code == ERR_NOT_FOUND)
        *err = first;
    return rc;
}

enum err_code schedule_ask(struct client *c, const char *method, const char *path, const char *called,
                           json_t **ret, struct err *err)
{
    char id[SCHEDULE_ID_MAX];
    enum err_code rc = schedule_find(c, called, id, err);
    return rc == ERR_OK ? client_ask(c, method, path, id, ret, err) : rc;
}

/* ---- showing ---- */

void schedule_print_name(FILE *to, const json_t *schedule)
{
    const char *group = answer_text(schedule, "group", default_group);
    if (strcmp(group, default_group) != 0) {
        table_print_text(to, group);
        (void)fputc('/', to);
    }
    table_print_text(to, answer_text(schedule, "name", "?"));
}

void schedule_time_cell(struct table *t, const json_t *object, const char *member)
{
    char text[40];
    const char *instant = answer_text(object, member, NULL);
    if (instant == NULL) {
        table_cell(t, NULL);
        return;
    }
    (void)snprintf(text, sizeof text, "%s", instant);
    if (str_ends(text, ".000Z"))
        (void)snprintf(text + strlen(text) - strlen(".000Z"), sizeof "Z", "Z");
    table_cell(t, text);
}
