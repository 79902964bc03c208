#include "hdfs/hdfs_internal.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/strs.h"

#include <stdio.h>
#include <string.h>

enum {
    DEPTH_MAX = 64,
    VALUES_MAX = 200000, /* each takes some hundred bytes of memory; 1000 entries of a folder have 13000 */
    WORDS_MAX = 240,     /* of Hadoop's, that are shown */
};

/* ---- JSON ---- */

/* A text can hold many more values than it has bytes to spare. */
static bool holds_too_much(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == ',' || text[i] == '{' || text[i] == '[';
    return n > VALUES_MAX;
}

/* NULL: it is none, or memory is short. */
static json_t *parse(const char *text, size_t len)
{
    json_t *value = NULL;
    if (holds_too_much(text, len) || json_parse(text, len, DEPTH_MAX, &value, NULL) != ERR_OK)
        return NULL;
    return value;
}

static enum err_code no_such_answer(struct err *err, const char *what)
{
    return err_set(err, ERR_IO, "the answer is not %s as WebHDFS writes it", what);
}

/* ---- files ---- */

static void forget_file(const struct hdfs_file *f)
{
    const char *const texts[] = {f->name, f->owner, f->group, f->permission};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *text = NULL;
        memcpy(&text, &texts[i], sizeof text); /* they are the list's own */
        mem_free(text);
    }
}

void hdfs_files_drop(struct hdfs_files *files, size_t from)
{
    for (size_t i = from; i < files->n; i++)
        forget_file(&files->items[i]);
    files->n = from;
}

void hdfs_files_clear(struct hdfs_files *files)
{
    hdfs_files_drop(files, 0);
    mem_free(files->items);
    *files = (struct hdfs_files){0};
}

static bool make_room(struct hdfs_files *files)
{
    if (files->n < files->cap)
        return true;
    size_t cap = files->cap > 0 ? 2 * files->cap : 16;
    struct hdfs_file *items = mem_realloc(files->items, cap * sizeof *items);
    if (items == NULL)
        return false;
    files->items = items;
    files->cap = cap;
    return true;
}

static char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return mem_strdup(text != NULL ? text : "");
}

/* True when it is a whole number from 0 on. */
static bool number_of(const json_t *object, const char *name, int64_t *ret)
{
    const json_t *value = json_object_get(object, name);
    *ret = json_integer_value(value);
    return json_is_integer(value) && *ret >= 0;
}

/* A name that is a path would lead whoever uses it to another place. */
static bool is_name(const char *name)
{
    return strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static enum err_code add_file(struct hdfs_files *files, const json_t *status, struct err *err)
{
    struct hdfs_file f = {0};
    const char *type = json_string_value(json_object_get(status, "type"));
    if (type == NULL || !number_of(status, "length", &f.size) ||
        !number_of(status, "modificationTime", &f.modified_ms))
        return no_such_answer(err, "the state of a file");
    f.is_folder = strcmp(type, "DIRECTORY") == 0;
    f.size = f.is_folder ? 0 : f.size;
    f.name = text_of(status, "pathSuffix");
    f.owner = text_of(status, "owner");
    f.group = text_of(status, "group");
    f.permission = text_of(status, "permission");
    enum err_code code = ERR_OK;
    if (f.name == NULL || f.owner == NULL || f.group == NULL || f.permission == NULL || !make_room(files))
        code = err_set(err, ERR_NOMEM, "out of memory");
    else if (!is_name(f.name))
        code = err_set(err, ERR_IO, "the answer has a file whose name is a path");
    if (code == ERR_OK)
        files->items[files->n++] = f;
    else
        forget_file(&f);
    return code;
}

enum err_code hdfs_read_status(const char *text, size_t len, struct hdfs_files *into, struct err *err)
{
    json_t *answer = parse(text, len);
    enum err_code code = add_file(into, json_object_get(answer, "FileStatus"), err);
    json_decref(answer);
    return code;
}

static enum err_code add_listing(const json_t *listing, struct hdfs_files *into, bool *ret_more,
                                 struct err *err)
{
    size_t i = 0;
    const json_t *status = NULL;
    const json_t *part = json_object_get(listing, "partialListing");
    const json_t *list = json_object_get(json_object_get(part, "FileStatuses"), "FileStatus");
    int64_t left = 0;
    if (!json_is_array(list) || !number_of(listing, "remainingEntries", &left))
        return no_such_answer(err, "a listing");
    if (left > 0 && json_array_size(list) == 0)
        return err_set(err, ERR_IO, "a listing that has more entries, and shows none");
    json_array_foreach(list, i, status)
    {
        if (add_file(into, status, err) != ERR_OK)
            return err->code;
    }
    *ret_more = left > 0;
    return ERR_OK;
}

enum err_code hdfs_read_listing(const char *text, size_t len, struct hdfs_files *into, bool *ret_more,
                                struct err *err)
{
    json_t *answer = parse(text, len);
    enum err_code code = add_listing(json_object_get(answer, "DirectoryListing"), into, ret_more, err);
    json_decref(answer);
    return code;
}

enum err_code hdfs_read_boolean(const char *text, size_t len, bool *ret, struct err *err)
{
    json_t *answer = parse(text, len);
    const json_t *value = json_object_get(answer, "boolean");
    bool is = json_is_boolean(value);
    *ret = json_is_true(value);
    json_decref(answer);
    return is ? ERR_OK : no_such_answer(err, "a yes or no");
}

/* ---- presence ---- */

bool hdfs_says_active(const char *text, size_t len)
{
    json_t *answer = parse(text, len);
    const json_t *beans = json_object_get(answer, "beans");
    bool is_active = false;
    for (size_t i = 0; i < json_array_size(beans); i++) {
        const char *state = json_string_value(json_object_get(json_array_get(beans, i), "State"));
        is_active = is_active || (state != NULL && strcmp(state, "active") == 0);
    }
    json_decref(answer);
    return is_active;
}

bool hdfs_has_file_id(const char *text, size_t len)
{
    json_t *answer = parse(text, len);
    bool has = json_object_get(json_object_get(answer, "FileStatus"), "fileId") != NULL;
    json_decref(answer);
    return has;
}

/* ---- refusals ---- */

static const struct {
    const char *exception;
    enum err_code code;
} exceptions[] = {
    {"StandbyException", ERR_BUSY},
    {"ObserverRetryOnActiveException", ERR_BUSY},
    {"SafeModeException", ERR_BUSY},
    {"RetriableException", ERR_BUSY},
    {"FileNotFoundException", ERR_NOT_FOUND},
    {"AccessControlException", ERR_DENIED},
    {"AuthenticationException", ERR_DENIED},
    {"AuthorizationException", ERR_DENIED},
    {"InvalidToken", ERR_DENIED},
    {"SecurityException", ERR_DENIED},
    {"AlreadyBeingCreatedException", ERR_CONFLICT},
    {"FileAlreadyExistsException", ERR_CONFLICT},
    {"ParentNotDirectoryException", ERR_CONFLICT},
    {"PathIsNotEmptyDirectoryException", ERR_CONFLICT},
    {"IllegalArgumentException", ERR_INVALID},
    {"InvalidPathException", ERR_INVALID},
    {"PathComponentTooLongException", ERR_INVALID},
    {"UnsupportedOperationException", ERR_INVALID},
};

/* A standby NameNode that is asked with a token says so in the words of another exception. */
static bool hides_standby(const char *exception, const char *message)
{
    return (strcmp(exception, "SecurityException") == 0 || strcmp(exception, "InvalidToken") == 0) &&
           strstr(message, "StandbyException") != NULL;
}

static enum err_code code_of(const char *exception, const char *message)
{
    if (hides_standby(exception, message))
        return ERR_BUSY;
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (strcmp(exception, exceptions[i].exception) == 0)
            return exceptions[i].code;
    return ERR_IO;
}

/* The first line, without what would spoil a log. */
static void set_words(struct err *err, enum err_code code, const char *exception, const char *message)
{
    int n = (int)strcspn(message, "\r\n");
    (void)err_set(err, code, "%.*s (%.80s)", n < WORDS_MAX ? n : WORDS_MAX, message, exception);
    for (char *c = err->msg; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
}

static enum hdfs_verdict read_exception(const json_t *remote, struct err *err)
{
    const char *exception = json_string_value(json_object_get(remote, "exception"));
    const char *message = json_string_value(json_object_get(remote, "message"));
    if (message == NULL)
        message = "no words";
    set_words(err, code_of(exception, message), exception, message);
    return err->code == ERR_BUSY ? HDFS_ELSEWHERE : HDFS_OVER;
}

static enum hdfs_verdict read_status_code(int status, struct err *err)
{
    if (status == 401 || status == 403 || status == 407) {
        (void)err_set(err, ERR_DENIED,
                      "it wants to know who is asking, and no credentials were good enough (HTTP %d)",
                      status);
        return HDFS_OVER;
    }
    (void)err_set(err, ERR_IO, "HTTP %d, and not in the words of WebHDFS", status);
    return status >= 500 ? HDFS_ELSEWHERE : HDFS_BROKEN;
}

enum hdfs_verdict hdfs_read_refusal(int status, const char *text, size_t len, struct err *err)
{
    json_t *answer = parse(text, len);
    const json_t *remote = json_object_get(answer, "RemoteException");
    enum hdfs_verdict verdict = json_is_string(json_object_get(remote, "exception"))
                                    ? read_exception(remote, err)
                                    : read_status_code(status, err);
    json_decref(answer);
    return verdict;
}
