#include "session/message.h"

#include "base/json.h"
#include "base/json_scan.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROTOCOL_VERSION = 1,
    OUTPUT_DEPTH_MAX = 256,
    SHORT_TEXT_MAX = 4096, /* bytes */
    ERROR_MAX = 1 << 20,
    LINES_MAX = 100,
    LINE_TEXT_MAX = 64 << 10,
    CANDIDATES_MAX = 10000,
};
/* Larger ones are no exact numbers in every reader of JSON. */
static const int64_t NUMBER_MAX = (int64_t)1 << 53;

/* ---- reading fields ---- */

#define FIELDS(X)                                                                                            \
    X(t)                                                                                                     \
    X(v)                                                                                                     \
    X(seq)                                                                                                   \
    X(id)                                                                                                    \
    X(rid)                                                                                                   \
    X(at)                                                                                                    \
    X(ms)                                                                                                    \
    X(state)                                                                                                 \
    X(appId)                                                                                                 \
    X(ui)                                                                                                    \
    X(version)                                                                                               \
    X(scala)                                                                                                 \
    X(error)                                                                                                 \
    X(output)                                                                                                \
    X(ok)                                                                                                    \
    X(cancelled)                                                                                             \
    X(result)                                                                                                \
    X(exit)                                                                                                  \
    X(signal)                                                                                                \
    X(lines)                                                                                                 \
    X(files)                                                                                                 \
    X(progress)                                                                                              \
    X(candidates)                                                                                            \
    X(n)                                                                                                     \
    X(session)                                                                                               \
    X(boot)                                                                                                  \
    X(nonce)                                                                                                 \
    X(proof)                                                                                                 \
    X(pid)                                                                                                   \
    X(last_seq)

enum field {
#define FIELD_ENUM(name) FIELD_##name,
    FIELDS(FIELD_ENUM)
#undef FIELD_ENUM
        N_FIELDS
};

static const char *const field_names[N_FIELDS] = {
#define FIELD_NAME(name) #name,
    FIELDS(FIELD_NAME)
#undef FIELD_NAME
};

/* Sticky: the first bad field is remembered, reading others is harmless. */
struct reader {
    struct json_slice values[N_FIELDS];
    const char *message;
    struct err *err;
    enum err_code code;
};

static void refuse(struct reader *r, enum field field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct reader *r, enum field field, const char *fmt, ...)
{
    if (r->code != ERR_OK)
        return;
    char allowed[120];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(allowed, sizeof allowed, fmt, ap);
    va_end(ap);
    r->code = err_set(r->err, ERR_INVALID, "message \"%s\": field \"%s\" must be %s", r->message,
                      field_names[field], allowed);
}

static void refuse_memory(struct reader *r)
{
    if (r->code == ERR_OK)
        r->code = err_set(r->err, ERR_NOMEM, "out of memory");
}

static bool is_text(struct json_slice value, const char *text)
{
    return value.at != NULL && value.len == strlen(text) && memcmp(value.at, text, value.len) == 0;
}

static bool is_string(struct json_slice value)
{
    return value.at != NULL && *value.at == '"';
}

/* Absent or null. */
static bool is_nothing(const struct reader *r, enum field field)
{
    return r->values[field].at == NULL || *r->values[field].at == 'n';
}

static bool slice_int(struct json_slice value, int64_t min, int64_t max, int64_t *ret)
{
    char digits[24];
    if (value.at == NULL || value.len >= sizeof digits)
        return false;
    memcpy(digits, value.at, value.len);
    digits[value.len] = '\0';
    char *end = NULL;
    long long n = strtoll(digits, &end, 10); /* what overflows is out of every range */
    if (*end != '\0' || end == digits || n < min || n > max)
        return false;
    *ret = n;
    return true;
}

static int64_t read_int(struct reader *r, enum field field, int64_t min, int64_t max)
{
    int64_t n = 0;
    if (!slice_int(r->values[field], min, max, &n))
        refuse(r, field, "a whole number from %" PRId64 " to %" PRId64, min, max);
    return n;
}

static int64_t read_int_or_null(struct reader *r, enum field field, int64_t min, int64_t max, int64_t absent)
{
    return is_nothing(r, field) ? absent : read_int(r, field, min, max);
}

static double read_share(struct reader *r, enum field field)
{
    struct json_slice value = r->values[field];
    char digits[40];
    double share = -1;
    if (value.at != NULL && value.len < sizeof digits) {
        memcpy(digits, value.at, value.len);
        digits[value.len] = '\0';
        char *end = NULL;
        share = strtod(digits, &end);
        if (*end != '\0')
            share = -1;
    }
    if (!(share >= 0 && share <= 1))
        refuse(r, field, "a number from 0 to 1");
    return share;
}

static bool read_bool(struct reader *r, enum field field)
{
    if (is_text(r->values[field], "true"))
        return true;
    if (!is_text(r->values[field], "false"))
        refuse(r, field, "true or false");
    return false;
}

/* `max` counts the bytes between the quotes. */
static char *read_text(struct reader *r, enum field field, size_t max)
{
    struct json_slice value = r->values[field];
    if (!is_string(value) || value.len - 2 > max) {
        refuse(r, field, "a string of at most %zu bytes", max);
        return NULL;
    }
    char *text = r->code == ERR_OK ? json_scan_text(value) : NULL;
    if (text == NULL)
        refuse_memory(r);
    return text;
}

static char *read_text_or_null(struct reader *r, enum field field, size_t max)
{
    return is_nothing(r, field) ? NULL : read_text(r, field, max);
}

/* Whatever an exception says: its end is dropped rather than the message, which would only come again. */
static char *read_error(struct reader *r)
{
    char *text = read_text(r, FIELD_error, MESSAGE_LINE_MAX);
    if (text == NULL || strlen(text) <= ERROR_MAX)
        return text;
    size_t n = ERROR_MAX;
    while ((text[n] & 0xc0) == 0x80) /* not within a character */
        n--;
    char *cut = mem_strndup(text, n);
    mem_free(text);
    if (cut == NULL)
        refuse_memory(r);
    return cut;
}

static char *read_error_or_null(struct reader *r)
{
    return is_nothing(r, FIELD_error) ? NULL : read_error(r);
}

static void read_hex(struct reader *r, enum field field, size_t min, size_t max, char *to)
{
    struct json_slice value = r->values[field];
    size_t n = is_string(value) ? value.len - 2 : 0;
    bool good = n >= min && n <= max;
    for (size_t i = 0; good && i < n; i++)
        good = value.at[1 + i] != '\0' && strchr("0123456789abcdef", value.at[1 + i]) != NULL;
    if (!good) {
        refuse(r, field, "a string of %zu to %zu hex digits (0-9, a-f)", min, max);
        return;
    }
    memcpy(to, value.at + 1, n);
    to[n] = '\0';
}

struct list_reader {
    struct strlist *to;
    size_t items_max, bytes_max;
    bool short_of_memory;
};

static bool take_item(struct json_slice item, void *arg)
{
    struct list_reader *l = arg;
    if (!is_string(item) || item.len - 2 > l->bytes_max || l->to->n == l->items_max)
        return false;
    cleanup(mem_freep) char *text = json_scan_text(item);
    l->short_of_memory = text == NULL || strlist_add(l->to, text) != 0;
    return !l->short_of_memory;
}

static void read_list(struct reader *r, enum field field, size_t items_max, size_t bytes_max,
                      struct strlist *to)
{
    struct list_reader l = {.to = to, .items_max = items_max, .bytes_max = bytes_max};
    if (r->code != ERR_OK || (r->values[field].at != NULL && json_scan_list(r->values[field], take_item, &l)))
        return;
    if (l.short_of_memory)
        refuse_memory(r);
    else
        refuse(r, field, "a list of at most %zu strings of at most %zu bytes", items_max, bytes_max);
}

static bool is_base64(const char *text)
{
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    size_t padding = strspn(text + n, "=");
    return text[n + padding] == '\0' && padding <= 2 && (n + padding) % 4 == 0;
}

static char *read_base64_or_null(struct reader *r, enum field field)
{
    char *text = read_text_or_null(r, field, MESSAGE_LINE_MAX);
    if (text != NULL && !is_base64(text))
        refuse(r, field, "base64");
    return text;
}

static bool on_traceback_line(struct json_slice line, void *arg)
{
    (void)arg;
    return is_string(line);
}

/* What a client may rely on in a statement's output. */
static bool is_output(struct json_slice output)
{
    enum { STATUS, COUNT, DATA, ENAME, EVALUE, TRACEBACK, N };
    static const char *const names[N] = {"status", "execution_count", "data", "ename", "evalue", "traceback"};
    struct json_slice values[N];
    int64_t count = 0;
    if (json_scan_object(output.at, output.len, OUTPUT_DEPTH_MAX, names, values, N, NULL) != ERR_OK ||
        !slice_int(values[COUNT], 0, INT32_MAX, &count))
        return false;
    if (is_text(values[STATUS], "\"ok\""))
        return values[DATA].at != NULL && *values[DATA].at == '{';
    return is_text(values[STATUS], "\"error\"") && is_string(values[ENAME]) && is_string(values[EVALUE]) &&
           values[TRACEBACK].at != NULL && json_scan_list(values[TRACEBACK], on_traceback_line, NULL);
}

static char *read_output_or_null(struct reader *r, enum field field)
{
    if (is_nothing(r, field))
        return NULL;
    struct json_slice output = r->values[field];
    if (!is_output(output)) {
        refuse(r, field, "null, or an object with status, execution_count and what belongs to the status");
        return NULL;
    }
    char *text = r->code == ERR_OK ? mem_strndup(output.at, output.len) : NULL;
    if (text == NULL)
        refuse_memory(r);
    return text;
}

/* ---- the messages of agents, one function each ---- */

static void read_id(struct reader *r, struct agent_message *m)
{
    m->id = read_int(r, FIELD_id, 0, INT32_MAX);
}

static void read_job_id(struct reader *r, struct agent_message *m)
{
    m->id = read_int(r, FIELD_id, 1, INT32_MAX);
}

static void read_question(struct reader *r, struct agent_message *m)
{
    m->id = read_int(r, FIELD_rid, 0, NUMBER_MAX);
}

static void read_at(struct reader *r, struct agent_message *m)
{
    m->at_ms = read_int(r, FIELD_at, 0, NUMBER_MAX);
}

static void read_state(struct reader *r, struct agent_message *m)
{
    if (!is_text(r->values[FIELD_state], "\"idle\""))
        refuse(r, FIELD_state, "\"idle\"");
    m->elapsed_ms = read_int(r, FIELD_ms, 0, NUMBER_MAX);
}

static void read_context(struct reader *r, struct agent_message *m)
{
    m->app_id = read_text_or_null(r, FIELD_appId, SHORT_TEXT_MAX);
    m->ui = read_text_or_null(r, FIELD_ui, SHORT_TEXT_MAX);
    m->version = read_text_or_null(r, FIELD_version, SHORT_TEXT_MAX);
    m->scala = read_text_or_null(r, FIELD_scala, SHORT_TEXT_MAX);
}

static void read_context_failed(struct reader *r, struct agent_message *m)
{
    m->error = read_error(r);
}

static void read_trouble(struct reader *r, struct agent_message *m)
{
    m->error = read_error_or_null(r);
}

static void read_started(struct reader *r, struct agent_message *m)
{
    read_id(r, m);
    read_at(r, m);
}

static void read_result(struct reader *r, struct agent_message *m)
{
    read_id(r, m);
    m->cancelled = is_text(r->values[FIELD_state], "\"cancelled\"");
    if (!m->cancelled && !is_text(r->values[FIELD_state], "\"available\""))
        refuse(r, FIELD_state, "\"available\" or \"cancelled\"");
    m->output = read_output_or_null(r, FIELD_output);
    read_at(r, m);
}

static void read_job_started(struct reader *r, struct agent_message *m)
{
    read_job_id(r, m);
    read_at(r, m);
}

static void read_job_result(struct reader *r, struct agent_message *m)
{
    read_job_id(r, m);
    m->ok = read_bool(r, FIELD_ok);
    m->cancelled = read_bool(r, FIELD_cancelled);
    m->job_result = read_base64_or_null(r, FIELD_result);
    m->error = read_error_or_null(r);
    read_at(r, m);
}

static void read_stuck(struct reader *r, struct agent_message *m)
{
    read_id(r, m);
}

static void read_jvm_exit(struct reader *r, struct agent_message *m)
{
    m->exit_code = (int)read_int_or_null(r, FIELD_exit, 0, 255, -1);
    m->signal = (int)read_int_or_null(r, FIELD_signal, 1, 64, 0);
    read_list(r, FIELD_lines, LINES_MAX, LINE_TEXT_MAX, &m->lines);
    read_list(r, FIELD_files, LINES_MAX, SHORT_TEXT_MAX, &m->files);
}

static void read_progress(struct reader *r, struct agent_message *m)
{
    read_id(r, m);
    m->progress = read_share(r, FIELD_progress);
}

static void read_completions(struct reader *r, struct agent_message *m)
{
    read_question(r, m);
    read_list(r, FIELD_candidates, CANDIDATES_MAX, LINE_TEXT_MAX, &m->candidates);
}

static void read_added(struct reader *r, struct agent_message *m)
{
    read_question(r, m);
    m->ok = read_bool(r, FIELD_ok);
    m->error = read_error_or_null(r);
}

static void read_pong(struct reader *r, struct agent_message *m)
{
    m->id = read_int(r, FIELD_n, 0, NUMBER_MAX);
}

static void read_warm(struct reader *r, struct agent_message *m)
{
    (void)r;
    (void)m;
}

static void read_bye(struct reader *r, struct agent_message *m)
{
    (void)r;
    (void)m;
}

static const struct message_kind {
    const char *name;
    bool durable;
    void (*read)(struct reader *r, struct agent_message *m);
} kinds[] = {
#define AGENT_MESSAGE_KIND(name, constant, durable) [AGENT_##constant] = {#name, durable, read_##name},
    AGENT_MESSAGES(AGENT_MESSAGE_KIND)
#undef AGENT_MESSAGE_KIND
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

const char *agent_message_name(enum agent_message_type type)
{
    return kinds[type].name;
}

/* Finds the fields and what kind of message it is; the name is a copy without its quotes. */
static enum err_code open_reader(struct reader *r, const char *line, size_t len, char name[64],
                                 struct err *err)
{
    *r = (struct reader){.message = name, .err = err};
    if (len > MESSAGE_LINE_MAX)
        return err_set(err, ERR_INVALID, "a message of more than %d bytes", MESSAGE_LINE_MAX);
    if (json_scan_object(line, len, OUTPUT_DEPTH_MAX + 1, field_names, r->values, N_FIELDS, err) != ERR_OK)
        return ERR_INVALID;
    struct json_slice type = r->values[FIELD_t];
    if (!is_string(type))
        return err_set(err, ERR_INVALID, "a message without a type: field \"t\" must be a string");
    (void)snprintf(name, 64, "%.*s", (int)(type.len - 2 < 60 ? type.len - 2 : 60), type.at + 1);
    return ERR_OK;
}

enum err_code agent_message_read(struct agent_message *m, const char *line, size_t len, struct err *err)
{
    struct reader r;
    char name[64];
    enum err_code rc = open_reader(&r, line, len, name, err);
    if (rc != ERR_OK)
        return rc;
    size_t type = 0;
    while (type < N_KINDS && strcmp(kinds[type].name, name) != 0)
        type++;
    if (type == N_KINDS)
        return err_set(err, ERR_INVALID, "a message of the unknown type \"%s\"", name);
    *m = (struct agent_message){.type = (enum agent_message_type)type};
    if (kinds[type].durable)
        m->seq = read_int(&r, FIELD_seq, 1, NUMBER_MAX);
    kinds[type].read(&r, m);
    if (r.code != ERR_OK)
        agent_message_clear(m);
    return r.code;
}

void agent_message_clear(struct agent_message *m)
{
    mem_free(m->output);
    mem_free(m->job_result);
    mem_free(m->error);
    mem_free(m->app_id);
    mem_free(m->ui);
    mem_free(m->version);
    mem_free(m->scala);
    strlist_clear(&m->lines);
    strlist_clear(&m->files);
    strlist_clear(&m->candidates);
    *m = (struct agent_message){.type = m->type};
}

/* ---- the handshake ---- */

static enum err_code open_handshake(struct reader *r, const char *type, const char *line, size_t len,
                                    char name[64], struct err *err)
{
    enum err_code rc = open_reader(r, line, len, name, err);
    if (rc == ERR_OK && strcmp(name, type) != 0)
        rc = err_set(err, ERR_INVALID, "a message \"%s\" where \"%s\" is expected", name, type);
    return rc;
}

enum err_code agent_hello_read(struct agent_hello *hello, const char *line, size_t len, struct err *err)
{
    struct reader r;
    char name[64];
    enum err_code rc = open_handshake(&r, "hello", line, len, name, err);
    if (rc != ERR_OK)
        return rc;
    (void)read_int(&r, FIELD_v, PROTOCOL_VERSION, PROTOCOL_VERSION);
    hello->session = read_int(&r, FIELD_session, 0, NUMBER_MAX);
    read_hex(&r, FIELD_boot, 16, sizeof hello->boot - 1, hello->boot);
    read_hex(&r, FIELD_nonce, sizeof hello->nonce - 1, sizeof hello->nonce - 1, hello->nonce);
    return r.code;
}

static unsigned hex_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

enum err_code agent_auth_read(struct agent_auth *auth, const char *line, size_t len, struct err *err)
{
    struct reader r;
    char name[64];
    enum err_code rc = open_handshake(&r, "auth", line, len, name, err);
    if (rc != ERR_OK)
        return rc;
    char proof[2 * MESSAGE_PROOF_BYTES + 1] = "";
    read_hex(&r, FIELD_proof, sizeof proof - 1, sizeof proof - 1, proof);
    auth->pid = read_int(&r, FIELD_pid, 1, INT32_MAX);
    auth->last_seq = read_int(&r, FIELD_last_seq, 0, NUMBER_MAX);
    if (r.code == ERR_OK)
        for (size_t i = 0; i < MESSAGE_PROOF_BYTES; i++)
            auth->proof[i] = (unsigned char)(hex_value(proof[2 * i]) << 4 | hex_value(proof[2 * i + 1]));
    return r.code;
}

/* ---- what hearth says ---- */

static struct json_out begin(struct buf *to, const char *type)
{
    struct json_out out;
    json_out_open(&out, to);
    json_out_object(&out, NULL);
    json_out_str(&out, "t", type);
    return out;
}

static void end(struct json_out *out)
{
    json_out_end_object(out);
    buf_char(out->to, '\n');
}

void message_challenge(struct buf *to, const char *nonce, const unsigned char proof[MESSAGE_PROOF_BYTES])
{
    char hex[2 * MESSAGE_PROOF_BYTES + 1];
    for (size_t i = 0; i < MESSAGE_PROOF_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", proof[i]);
    struct json_out out = begin(to, "challenge");
    json_out_str(&out, "nonce", nonce);
    json_out_str(&out, "proof", hex);
    end(&out);
}

void message_welcome(struct buf *to, int64_t acked)
{
    struct json_out out = begin(to, "welcome");
    json_out_int(&out, "ack", acked);
    end(&out);
}

void message_refused(struct buf *to, bool fatal, const char *reason)
{
    struct json_out out = begin(to, "refused");
    json_out_bool(&out, "fatal", fatal);
    json_out_str(&out, "reason", reason);
    end(&out);
}

void message_execute(struct buf *to, int64_t id, const char *kind, const char *code)
{
    struct json_out out = begin(to, "execute");
    json_out_int(&out, "id", id);
    json_out_str(&out, "kind", kind);
    json_out_str(&out, "code", code);
    end(&out);
}

void message_cancel(struct buf *to, int64_t id, int64_t timeout_ms)
{
    struct json_out out = begin(to, "cancel");
    json_out_int(&out, "id", id);
    json_out_int(&out, "timeout", timeout_ms);
    end(&out);
}

void message_job(struct buf *to, int64_t id, const char *type, const char *job)
{
    struct json_out out = begin(to, "job");
    json_out_int(&out, "id", id);
    json_out_str(&out, "type", type);
    json_out_str(&out, "job", job);
    end(&out);
}

void message_job_cancel(struct buf *to, int64_t id)
{
    struct json_out out = begin(to, "job_cancel");
    json_out_int(&out, "id", id);
    end(&out);
}

void message_complete(struct buf *to, int64_t question, const char *kind, const char *code, int64_t cursor)
{
    struct json_out out = begin(to, "complete");
    json_out_int(&out, "rid", question);
    json_out_str(&out, "kind", kind);
    json_out_str(&out, "code", code);
    json_out_int(&out, "cursor", cursor);
    end(&out);
}

void message_add(struct buf *to, int64_t question, const char *what, const char *uri)
{
    struct json_out out = begin(to, "add");
    json_out_int(&out, "rid", question);
    json_out_str(&out, "what", what);
    json_out_str(&out, "uri", uri);
    end(&out);
}

void message_adopt(struct buf *to, const char *kind, const struct strmap *conf)
{
    struct json_out out = begin(to, "adopt");
    json_out_str(&out, "kind", kind);
    json_out_map(&out, "conf", conf);
    end(&out);
}

void message_ping(struct buf *to, int64_t number)
{
    struct json_out out = begin(to, "ping");
    json_out_int(&out, "n", number);
    end(&out);
}

void message_ack(struct buf *to, int64_t seq)
{
    struct json_out out = begin(to, "ack");
    json_out_int(&out, "n", seq);
    end(&out);
}

void message_shutdown(struct buf *to)
{
    struct json_out out = begin(to, "shutdown");
    end(&out);
}
