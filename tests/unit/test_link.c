/* The link, with agents that are plain sockets: handshake, order, repetition, limits. */
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "session/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 60 * 1000, SESSION = 7, MIB = 1 << 20 };

#define AGENT_NONCE "00112233445566778899aabbccddeeff"
#define BOOT "0123456789abcdef"

static const unsigned char token[LINK_TOKEN_BYTES] = "a token of just thirty-two bytes";

/* What is to happen in on_hello and on_message, beside taking notes. */
enum reaction { WELCOME, WAIT, REFUSE, FREE };

static struct rig {
    char dir[64];
    char address_file[96];
    uv_loop_t loop;
    long live;
    struct link *link;
    struct link_session *session;
    enum reaction on_hello, on_message;
    struct buf told; /* "hello(BOOT 42 3) started(1) …" */
} rig;

/* ---- hearth's side ---- */

static void react(enum reaction reaction)
{
    switch (reaction) {
    case WELCOME: link_welcome(rig.session); break;
    case REFUSE: link_refuse(rig.session, true, "no"); break;
    case FREE:
        link_session_free(rig.session);
        rig.session = NULL;
        break;
    case WAIT: break;
    }
}

static void on_hello(void *arg, const char *boot, int64_t pid, int64_t last_seq)
{
    assert_ptr_equal(arg, &rig);
    react(rig.on_hello);
    buf_printf(&rig.told, "hello(%s %" PRId64 " %" PRId64 ") ", boot, pid, last_seq);
}

static void on_message(void *arg, struct agent_message *m)
{
    assert_ptr_equal(arg, &rig);
    react(rig.on_message);
    buf_printf(&rig.told, "%s(%" PRId64 ") ", agent_message_name(m->type), m->seq);
    if (m->output != NULL && strlen(m->output) > MIB)
        buf_printf(&rig.told, "%zu bytes ", strlen(m->output));
}

static const struct link_events events = {.on_hello = on_hello, .on_message = on_message};

static int rig_up(void **state)
{
    (void)state;
    rig = (struct rig){.told = BUF(MIB), .on_hello = WELCOME, .on_message = WAIT, .live = mem_live()};
    (void)snprintf(rig.dir, sizeof rig.dir, "/tmp/hearth-link-XXXXXX");
    if (mkdtemp(rig.dir) == NULL || uv_loop_init(&rig.loop) != 0)
        return -1;
    (void)snprintf(rig.address_file, sizeof rig.address_file, "%s/address", rig.dir);
    struct link_options options = {&rig.loop, "127.0.0.1:0", rig.address_file};
    if (link_open(&options, &rig.link, NULL) != ERR_OK)
        return -1;
    rig.session = link_session_new(rig.link, SESSION, token, 0, &events, &rig);
    return rig.session != NULL ? 0 : -1;
}

static int rig_down(void **state)
{
    (void)state;
    link_close(rig.link);
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
    link_session_free(rig.session);
    buf_clear(&rig.told);
    return uv_loop_close(&rig.loop) == 0 && mem_live() == rig.live && io_remove_tree(rig.dir, NULL) == ERR_OK
               ? 0
               : -1;
}

/* ---- an agent's side ---- */

struct peer {
    int fd;
    struct buf in;
    char line[8192]; /* the last one read */
    char nonce[MESSAGE_NONCE_TEXT];
};

static void turn(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    (void)poll(&p, 1, 1);
}

/* Runs the loop until the condition holds. */
#define UNTIL(condition)                                                                                     \
    do {                                                                                                     \
        int64_t until_ms = clock_mono_ms() + PATIENCE_MS;                                                    \
        while (!(condition)) {                                                                               \
            turn(-1);                                                                                        \
            assert_true(clock_mono_ms() < until_ms);                                                         \
        }                                                                                                    \
    } while (0)

static void peer_connect(struct peer *p)
{
    *p = (struct peer){.in = BUF(64 * MIB)};
    assert_non_null(buf_reserve(&p->in, sizeof p->line)); /* so that it allocates nothing later */
    buf_reset(&p->in);
    struct sockaddr_in where = {.sin_family = AF_INET};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons((uint16_t)atoi(strchr(link_address(rig.link), ':') + 1));
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&where, sizeof where), 0);
    assert_int_equal(fcntl(p->fd, F_SETFL, O_NONBLOCK), 0);
}

static void peer_close(struct peer *p)
{
    (void)close(p->fd);
    buf_clear(&p->in);
}

/* False: hearth hung up. */
static bool peer_send_bytes(struct peer *p, const char *bytes, size_t n)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    while (n > 0) {
        ssize_t done = send(p->fd, bytes, n, MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN)
            return false;
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        }
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
        assert_true(clock_mono_ms() < deadline);
    }
    return true;
}

static void peer_say(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void peer_say(struct peer *p, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line - 1, fmt, ap);
    va_end(ap);
    assert_in_range(n, 0, sizeof line - 2);
    line[n] = '\n';
    (void)peer_send_bytes(p, line, (size_t)n + 1); /* whether it arrived is seen by what comes back */
}

/* What hearth hung up with is in `in` then. */
static bool peer_is_cut_off(struct peer *p)
{
    char bytes[4096];
    turn(p->fd);
    for (;;) {
        ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            return n == 0 || errno != EAGAIN;
        buf_add(&p->in, bytes, (size_t)n);
    }
}

/* The next line that hearth says, "" when it hangs up instead. */
static const char *peer_hear(struct peer *p)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    const char *newline;
    while ((newline = strchr(buf_cstr(&p->in), '\n')) == NULL) {
        if (peer_is_cut_off(p) && strchr(buf_cstr(&p->in), '\n') == NULL)
            return "";
        assert_true(clock_mono_ms() < deadline);
    }
    size_t n = (size_t)(newline - p->in.data);
    assert_true(n < sizeof p->line);
    memcpy(p->line, p->in.data, n);
    p->line[n] = '\0';
    buf_drop(&p->in, n + 1);
    return p->line;
}

static void hex_proof(const unsigned char *key, const char *text, char hex[65])
{
    unsigned char proof[32];
    unsigned size = 0;
    assert_non_null(HMAC(EVP_sha256(), key, 32, (const unsigned char *)text, strlen(text), proof, &size));
    for (size_t i = 0; i < sizeof proof; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", proof[i]);
}

static bool peer_say_hello(struct peer *p, int64_t session, const char *boot)
{
    peer_say(
        p, "{\"t\":\"hello\",\"v\":1,\"session\":%" PRId64 ",\"boot\":\"%s\",\"nonce\":\"" AGENT_NONCE "\"}",
        session, boot);
    char proof[65] = "";
    if (sscanf(peer_hear(p), "{\"t\":\"challenge\",\"nonce\":\"%32[0-9a-f]\",\"proof\":\"%64[0-9a-f]\"}",
               p->nonce, proof) != 2)
        return false;
    char text[200];
    char expected[65];
    (void)snprintf(text, sizeof text, "gw|%" PRId64 "|" AGENT_NONCE "|%s", session, p->nonce);
    hex_proof(token, text, expected);
    assert_int_equal(strcmp(proof, expected) == 0, session == SESSION);
    return true;
}

static void peer_say_auth(struct peer *p, int64_t session, const unsigned char *key, int64_t last_seq)
{
    char text[200];
    char proof[65];
    (void)snprintf(text, sizeof text, "agent|%" PRId64 "|%s|" AGENT_NONCE, session, p->nonce);
    hex_proof(key, text, proof);
    peer_say(p, "{\"t\":\"auth\",\"proof\":\"%s\",\"pid\":42,\"last_seq\":%" PRId64 "}", proof, last_seq);
}

/* A connection that proved itself, from a process named `boot`. */
static void peer_prove(struct peer *p, const char *boot)
{
    peer_connect(p);
    assert_true(peer_say_hello(p, SESSION, boot));
    peer_say_auth(p, SESSION, token, 3);
}

static void peer_open(struct peer *p)
{
    peer_prove(p, BOOT);
    assert_int_equal(strncmp(peer_hear(p), "{\"t\":\"welcome\"", 14), 0);
    buf_reset(&rig.told);
}

static void peer_tell(struct peer *p, int64_t seq)
{
    peer_say(p, "{\"t\":\"stuck\",\"id\":1,\"seq\":%" PRId64 "}", seq);
}

static void assert_told(const char *expected)
{
    UNTIL(rig.told.len >= strlen(expected));
    turn(-1);
    assert_string_equal(buf_cstr(&rig.told), expected);
    buf_reset(&rig.told);
}

/* ---- the listener ---- */

static void the_address_is_in_the_file(void **state)
{
    (void)state;
    cleanup(buf_clear) struct buf text = BUF(200);
    assert_int_equal(io_read_file(rig.address_file, &text, NULL), ERR_OK);
    assert_int_equal(strncmp(link_address(rig.link), "127.0.0.1:", 10), 0);
    assert_true(atoi(link_address(rig.link) + 10) > 0);
    assert_int_equal(text.data[text.len - 1], '\n');
    text.data[text.len - 1] = '\0';
    assert_string_equal(text.data, link_address(rig.link));
}

static void only_addresses_of_the_loopback_are_listened_on(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        enum err_code code;
    } cases[] = {
        {"0.0.0.0:0", ERR_INVALID},   {"192.0.2.1:0", ERR_INVALID}, {"127.0.0.1", ERR_INVALID},
        {"somewhere:1", ERR_INVALID}, {"[::]:0", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct link *link = NULL;
        struct err err = {0};
        struct link_options options = {&rig.loop, cases[i].listen, rig.address_file};
        assert_int_equal(link_open(&options, &link, &err), cases[i].code);
        assert_null(link);
        assert_true(err.msg[0] != '\0');
    }
}

static void a_port_in_use_and_a_missing_folder_are_errors(void **state)
{
    (void)state;
    struct link *link = NULL;
    struct err err = {0};
    struct link_options in_use = {&rig.loop, link_address(rig.link), rig.address_file};
    assert_int_equal(link_open(&in_use, &link, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "address already in use"));
    struct link_options no_folder = {&rig.loop, "127.0.0.1:0", "/nonexistent/address"};
    assert_int_equal(link_open(&no_folder, &link, &err), ERR_IO);
    assert_null(link);
}

static void a_new_listener_replaces_the_address(void **state)
{
    (void)state;
    struct link *second = NULL;
    struct link_options options = {&rig.loop, "localhost:0", rig.address_file};
    assert_int_equal(link_open(&options, &second, NULL), ERR_OK);
    cleanup(buf_clear) struct buf text = BUF(200);
    assert_int_equal(io_read_file(rig.address_file, &text, NULL), ERR_OK);
    assert_int_equal(strncmp(text.data, link_address(second), strlen(link_address(second))), 0);
    assert_string_not_equal(link_address(second), link_address(rig.link));
    link_close(second);
}

/* ---- the handshake ---- */

static void an_agent_with_the_token_is_welcomed(void **state)
{
    (void)state;
    struct peer p;
    assert_false(link_is_connected(rig.session));
    peer_prove(&p, BOOT);
    assert_string_equal(peer_hear(&p), "{\"t\":\"welcome\",\"ack\":0}");
    assert_told("hello(" BOOT " 42 3) ");
    assert_true(link_is_connected(rig.session));
    peer_close(&p);
    UNTIL(!link_is_connected(rig.session));
}

static void the_welcome_may_come_later(void **state)
{
    (void)state;
    struct peer p;
    rig.on_hello = WAIT;
    peer_prove(&p, BOOT);
    assert_told("hello(" BOOT " 42 3) ");
    assert_false(link_is_connected(rig.session));
    link_welcome(rig.session);
    assert_true(link_is_connected(rig.session));
    assert_string_equal(peer_hear(&p), "{\"t\":\"welcome\",\"ack\":0}");
    link_welcome(rig.session); /* nobody waits */
    peer_tell(&p, 1);
    assert_told("stuck(1) ");
    peer_close(&p);
}

static void an_answer_to_a_peer_that_has_gone_is_harmless(void **state)
{
    (void)state;
    struct peer p;
    rig.on_hello = WAIT;
    peer_prove(&p, BOOT);
    assert_told("hello(" BOOT " 42 3) ");
    peer_close(&p);
    for (int i = 0; i < 20; i++)
        turn(-1);
    link_welcome(rig.session);
    link_refuse(rig.session, true, "no");
    assert_false(link_is_connected(rig.session));
}

static void a_refused_peer_hears_why_and_leaves_the_other_alone(void **state)
{
    (void)state;
    struct peer first;
    struct peer second;
    peer_open(&first);
    rig.on_hello = REFUSE;
    peer_prove(&second, "fedcba9876543210");
    assert_string_equal(peer_hear(&second), "{\"t\":\"refused\",\"fatal\":true,\"reason\":\"no\"}");
    assert_string_equal(peer_hear(&second), "");
    assert_told("hello(fedcba9876543210 42 3) ");
    assert_true(link_is_connected(rig.session));
    peer_tell(&first, 1);
    assert_told("stuck(1) ");
    peer_close(&first);
    peer_close(&second);
}

static void wrong_proofs_and_unknown_sessions_are_answered_alike(void **state)
{
    (void)state;
    static const unsigned char wrong[LINK_TOKEN_BYTES] = "another token";
    static const struct {
        int64_t session;
        const unsigned char *key;
    } cases[] = {{SESSION, wrong}, {SESSION + 1, wrong}, {SESSION + 1, token}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer p;
        peer_connect(&p);
        assert_true(peer_say_hello(&p, cases[i].session, BOOT));
        peer_say_auth(&p, cases[i].session, cases[i].key, 0);
        assert_string_equal(peer_hear(&p),
                            "{\"t\":\"refused\",\"fatal\":false,\"reason\":\"unknown session\"}");
        assert_string_equal(peer_hear(&p), "");
        peer_close(&p);
    }
    assert_string_equal(buf_cstr(&rig.told), "");
}

static void a_proof_is_good_for_one_connection_only(void **state)
{
    (void)state;
    struct peer first;
    struct peer second;
    peer_connect(&first);
    assert_true(peer_say_hello(&first, SESSION, BOOT));
    peer_connect(&second);
    assert_true(peer_say_hello(&second, SESSION, BOOT));
    assert_string_not_equal(first.nonce, second.nonce);
    memcpy(second.nonce, first.nonce, sizeof second.nonce);
    peer_say_auth(&second, SESSION, token, 0);
    assert_non_null(strstr(peer_hear(&second), "refused"));
    peer_close(&first);
    peer_close(&second);
}

static void what_is_no_handshake_is_cut_off(void **state)
{
    (void)state;
    static const char *const first_lines[] = {
        "GET / HTTP/1.1\r",
        "",
        "{}",
        "{\"t\":\"auth\",\"proof\":\"\",\"pid\":1,\"last_seq\":0}",
        "{\"t\":\"stuck\",\"id\":1,\"seq\":1}",
        "{\"t\":\"hello\",\"v\":2,\"session\":7,\"boot\":\"" BOOT "\",\"nonce\":\"" AGENT_NONCE "\"}",
    };
    for (size_t i = 0; i < sizeof first_lines / sizeof *first_lines; i++) {
        struct peer p;
        peer_connect(&p);
        peer_say(&p, "%s", first_lines[i]);
        assert_string_equal(peer_hear(&p), "");
        peer_close(&p);
    }
    struct peer p;
    peer_connect(&p);
    assert_true(peer_say_hello(&p, SESSION, BOOT));
    assert_true(strlen(p.nonce) == 32);
    peer_say(&p, "{\"t\":\"auth\",\"proof\":\"00\",\"pid\":1,\"last_seq\":0}");
    assert_string_equal(peer_hear(&p), "");
    peer_close(&p);
    assert_string_equal(buf_cstr(&rig.told), "");
}

static void nothing_is_taken_before_the_welcome(void **state)
{
    (void)state;
    struct peer p;
    rig.on_hello = WAIT;
    peer_prove(&p, BOOT);
    assert_told("hello(" BOOT " 42 3) ");
    peer_tell(&p, 1);
    assert_string_equal(peer_hear(&p), "");
    assert_string_equal(buf_cstr(&rig.told), "");
    peer_close(&p);
}

static void a_long_first_line_is_cut_off(void **state)
{
    (void)state;
    struct peer whole;
    struct peer endless;
    char spaces[5000];
    memset(spaces, ' ', sizeof spaces);
    peer_connect(&endless);
    (void)peer_send_bytes(&endless, spaces, sizeof spaces);
    assert_string_equal(peer_hear(&endless), "");
    static const char hello[] =
        "{\"t\":\"hello\",\"v\":1,\"session\":7,\"boot\":\"" BOOT "\",\"nonce\":\"" AGENT_NONCE "\"}\n";
    memcpy(spaces + sizeof spaces - (sizeof hello - 1), hello,
           sizeof hello - 1); /* good, but for its length */
    peer_connect(&whole);
    (void)peer_send_bytes(&whole, spaces, sizeof spaces);
    assert_string_equal(peer_hear(&whole), "");
    peer_close(&whole);
    peer_close(&endless);
}

/* Bytes that trickle do not put off the end, and a session that does not answer is no excuse. */
static void a_handshake_that_takes_too_long_is_cut_off(void **state)
{
    (void)state;
    struct peer busy;
    struct peer waiting;
    link_set_second(rig.link, 10);
    rig.on_hello = WAIT;
    peer_prove(&waiting, BOOT);
    peer_connect(&busy);
    UNTIL(!peer_send_bytes(&busy, " ", 1));
    UNTIL(peer_is_cut_off(&waiting));
    peer_close(&busy);
    peer_close(&waiting);
}

static void the_oldest_of_too_many_strangers_goes(void **state)
{
    (void)state;
    enum { STRANGERS = 66 };
    struct peer known;
    struct peer strangers[STRANGERS];
    peer_open(&known);
    for (size_t i = 0; i < STRANGERS; i++)
        peer_connect(&strangers[i]);
    assert_string_equal(peer_hear(&strangers[0]), "");
    assert_string_equal(peer_hear(&strangers[1]), "");
    assert_true(peer_say_hello(&strangers[2], SESSION, BOOT));
    assert_true(peer_say_hello(&strangers[STRANGERS - 1], SESSION, BOOT));
    peer_tell(&known, 1);
    assert_told("stuck(1) ");
    for (size_t i = 0; i < STRANGERS; i++)
        peer_close(&strangers[i]);
    peer_close(&known);
}

static void warnings_about_strangers_do_not_fill_the_log(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/log", rig.dir);
    int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int saved = dup(STDERR_FILENO);
    assert_true(file >= 0 && saved >= 0 && dup2(file, STDERR_FILENO) >= 0);
    int64_t start = clock_mono_ms();
    bool good = true;
    for (int i = 0; i < 50; i++) {
        struct peer p;
        peer_connect(&p);
        peer_say(&p, "nonsense");
        good = strcmp(peer_hear(&p), "") == 0 && good;
        peer_close(&p);
    }
    int64_t seconds = (clock_mono_ms() - start) / 1000;
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(file);
    assert_true(good);
    cleanup(buf_clear) struct buf log = BUF(MIB);
    assert_int_equal(io_read_file(path, &log, NULL), ERR_OK);
    int64_t lines = 0;
    for (const char *at = buf_cstr(&log); (at = strstr(at, "refused")) != NULL; at++)
        lines++;
    assert_in_range(lines, 1, seconds + 2);
}

/* ---- messages ---- */

static void messages_are_told_once_and_in_order(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p);
    peer_tell(&p, 1);
    peer_tell(&p, 2);
    peer_tell(&p, 1);
    peer_tell(&p, 2);
    peer_say(&p, "{\"t\":\"progress\",\"id\":0,\"progress\":0.5}");
    peer_tell(&p, 3);
    assert_told("stuck(1) stuck(2) progress(0) stuck(3) ");
    peer_close(&p);
}

static void a_gap_and_nonsense_cut_the_connection(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"t\":\"stuck\",\"id\":1,\"seq\":2}", "{\"t\":\"stuck\",\"id\":1}", "{\"t\":\"hello\"}", "nonsense",
        "{\"t\":\"execute\",\"id\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct peer p;
        peer_open(&p);
        peer_say(&p, "%s", bad[i]);
        assert_string_equal(peer_hear(&p), "");
        assert_false(link_is_connected(rig.session));
        assert_string_equal(buf_cstr(&rig.told), "");
        peer_close(&p);
    }
}

static void what_is_stored_is_acknowledged_and_repeated_no_more(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p);
    peer_tell(&p, 1);
    peer_tell(&p, 2);
    peer_tell(&p, 3);
    assert_told("stuck(1) stuck(2) stuck(3) ");
    link_ack(rig.session, 2);
    assert_string_equal(peer_hear(&p), "{\"t\":\"ack\",\"n\":2}");
    peer_close(&p);
    UNTIL(!link_is_connected(rig.session));

    peer_prove(&p, BOOT);
    assert_string_equal(peer_hear(&p), "{\"t\":\"welcome\",\"ack\":2}");
    buf_reset(&rig.told);
    peer_tell(&p, 3); /* it was told and is not stored yet */
    peer_tell(&p, 4);
    assert_told("stuck(4) ");
    link_ack(rig.session, 3);
    assert_string_equal(peer_hear(&p), "{\"t\":\"ack\",\"n\":3}");
    peer_close(&p);
}

static void what_could_not_be_kept_is_told_again(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p);
    peer_tell(&p, 1);
    peer_tell(&p, 2);
    assert_told("stuck(1) stuck(2) ");
    link_ack(rig.session, 1);
    assert_string_equal(peer_hear(&p), "{\"t\":\"ack\",\"n\":1}");
    link_drop(rig.session);
    assert_false(link_is_connected(rig.session));
    assert_string_equal(peer_hear(&p), "");
    peer_close(&p);
    peer_open(&p);
    peer_tell(&p, 2);
    assert_told("stuck(2) ");
    link_drop(rig.session);
    link_ack(rig.session, 2); /* it was on its way */
    peer_close(&p);
    peer_open(&p);
    peer_tell(&p, 3);
    assert_told("stuck(3) ");
    peer_close(&p);
}

static void a_restarted_server_goes_on_from_what_is_stored(void **state)
{
    (void)state;
    struct peer p;
    link_session_free(rig.session);
    rig.session = link_session_new(rig.link, SESSION, token, 41, &events, &rig);
    peer_prove(&p, BOOT);
    assert_string_equal(peer_hear(&p), "{\"t\":\"welcome\",\"ack\":41}");
    buf_reset(&rig.told);
    peer_tell(&p, 41);
    peer_tell(&p, 42);
    assert_told("stuck(42) ");
    peer_close(&p);
}

static void a_newer_connection_takes_the_place_of_the_older(void **state)
{
    (void)state;
    struct peer first;
    struct peer second;
    peer_open(&first);
    peer_tell(&first, 1);
    assert_told("stuck(1) ");
    peer_open(&second);
    assert_string_equal(peer_hear(&first), "");
    assert_true(link_is_connected(rig.session));
    peer_tell(&second, 2);
    assert_told("stuck(2) ");
    peer_close(&first);
    peer_close(&second);
}

static void the_answer_goes_to_the_newest_that_waits(void **state)
{
    (void)state;
    struct peer first;
    struct peer second;
    rig.on_hello = WAIT;
    peer_prove(&first, BOOT);
    peer_prove(&second, BOOT);
    assert_string_equal(peer_hear(&first), "");
    assert_told("hello(" BOOT " 42 3) hello(" BOOT " 42 3) ");
    link_welcome(rig.session);
    assert_string_equal(peer_hear(&second), "{\"t\":\"welcome\",\"ack\":0}");
    peer_close(&first);
    peer_close(&second);
}

static void lines_may_come_in_any_pieces(void **state)
{
    (void)state;
    static const char both[] = "{\"t\":\"stuck\",\"id\":1,\"seq\":1}\n{\"t\":\"stuck\",\"id\":1,\"seq\":2}\n";
    for (size_t cut = 1; cut < sizeof both - 1; cut++) {
        struct peer p;
        peer_open(&p);
        assert_true(peer_send_bytes(&p, both, cut));
        assert_true(peer_send_bytes(&p, both + cut, sizeof both - 1 - cut));
        assert_told("stuck(1) stuck(2) ");
        link_drop(rig.session);
        peer_close(&p);
    }
    struct peer p;
    peer_open(&p);
    for (size_t i = 0; i < sizeof both - 1; i++)
        assert_true(peer_send_bytes(&p, both + i, 1));
    assert_told("stuck(1) stuck(2) ");
    peer_close(&p);
}

/* A result whose output has n bytes, and the newline. */
static void add_result(struct buf *to, int64_t seq, size_t n)
{
    static const char head[] = "{\"status\":\"ok\",\"execution_count\":0,\"data\":{\"text/plain\":\"";
    static const char tail[] = "\"}}";
    buf_printf(
        to, "{\"t\":\"result\",\"id\":0,\"state\":\"available\",\"at\":1,\"seq\":%" PRId64 ",\"output\":%s",
        seq, head);
    size_t text = n - (sizeof head - 1) - (sizeof tail - 1);
    char *at = buf_reserve(to, text);
    assert_non_null(at);
    memset(at, 'x', text);
    to->len += text;
    buf_printf(to, "%s}\n", tail);
}

static void large_lines_are_taken_and_their_memory_given_back(void **state)
{
    (void)state;
    struct peer p;
    cleanup(buf_clear) struct buf line = BUF(64 * MIB);
    peer_open(&p);
    long live = mem_live();
    add_result(&line, 1, 20 * MIB);
    assert_true(peer_send_bytes(&p, line.data, line.len));
    assert_told("result(1) 20971520 bytes ");
    assert_int_equal(mem_live(), live + 1); /* this test's line */
    link_ack(rig.session, 1);
    assert_string_equal(peer_hear(&p), "{\"t\":\"ack\",\"n\":1}");
    peer_close(&p);
}

static void a_line_beyond_the_limit_is_cut_off(void **state)
{
    (void)state;
    struct peer p;
    char *spaces = mem_alloc(MIB);
    memset(spaces, ' ', MIB);
    peer_open(&p);
    int sent = 0;
    while (sent < 200 && peer_send_bytes(&p, spaces, MIB))
        sent++;
    mem_free(spaces);
    assert_in_range(sent, 64, 100); /* and what the sockets hold */
    assert_string_equal(peer_hear(&p), "");
    assert_false(link_is_connected(rig.session));
    peer_close(&p);
}

static void a_session_that_falls_behind_is_not_read_from(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p);
    link_set_second(rig.link, 10);
    for (int64_t seq = 1; seq <= 4; seq++) {
        cleanup(buf_clear) struct buf line = BUF(64 * MIB);
        add_result(&line, seq, 20 * MIB);
        assert_true(peer_send_bytes(&p, line.data, line.len));
    }
    assert_told("result(1) 20971520 bytes result(2) 20971520 bytes result(3) 20971520 bytes "
                "result(4) 20971520 bytes ");
    peer_tell(&p, 5);
    for (int i = 0; i < 6; i++) /* pings go on, and its silence is not its own */
        assert_int_equal(strncmp(peer_hear(&p), "{\"t\":\"ping\"", 11), 0);
    assert_string_equal(buf_cstr(&rig.told), "");
    link_ack(rig.session, 3);
    for (int i = 0; i < 20; i++)
        turn(-1);
    assert_string_equal(buf_cstr(&rig.told), "");
    link_ack(rig.session, 4);
    assert_told("stuck(5) ");
    peer_close(&p);
}

/* ---- what hearth sends ---- */

static void lines_are_sent_in_order_to_the_welcomed(void **state)
{
    (void)state;
    struct peer p;
    struct buf line = BUF(MIB);
    message_execute(&line, 0, "pyspark", "lost");
    link_send(rig.session, &line);
    assert_int_equal(line.len, 0);
    peer_open(&p);
    message_execute(&line, 1, "pyspark", "1 + 1");
    link_send(rig.session, &line);
    message_cancel(&line, 1, 500);
    link_send(rig.session, &line);
    assert_string_equal(peer_hear(&p),
                        "{\"t\":\"execute\",\"id\":1,\"kind\":\"pyspark\",\"code\":\"1 + 1\"}");
    assert_string_equal(peer_hear(&p), "{\"t\":\"cancel\",\"id\":1,\"timeout\":500}");
    assert_null(line.data);
    peer_close(&p);
}

static void large_lines_reach_a_slow_reader(void **state)
{
    (void)state;
    struct peer p;
    char *code = mem_alloc(30 * MIB + 1);
    memset(code, 'y', 30 * MIB);
    code[30 * MIB] = '\0';
    peer_open(&p);
    for (int i = 0; i < 2; i++) {
        struct buf line = BUF(MESSAGE_LINE_MAX);
        message_execute(&line, i, "sql", code);
        link_send(rig.session, &line);
    }
    mem_free(code);
    assert_true(link_is_connected(rig.session));
    size_t lines = 0;
    size_t letters = 0;
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    while (lines < 2 && clock_mono_ms() < deadline) {
        (void)peer_is_cut_off(&p);
        for (size_t i = 0; i < p.in.len; i++) {
            lines += p.in.data[i] == '\n';
            letters += p.in.data[i] == 'y';
        }
        buf_reset(&p.in);
    }
    assert_int_equal(lines, 2);
    assert_int_equal(letters, 60 * MIB);
    peer_close(&p);
}

static void a_peer_that_does_not_read_is_cut_off(void **state)
{
    (void)state;
    struct peer p;
    char *code = mem_alloc(MIB + 1);
    memset(code, 'y', MIB);
    code[MIB] = '\0';
    peer_open(&p);
    int sent = 0;
    for (; link_is_connected(rig.session) && sent < 300; sent++) {
        struct buf line = BUF(2 * MIB);
        message_execute(&line, sent, "sql", code);
        link_send(rig.session, &line);
    }
    mem_free(code);
    assert_in_range(sent, 128, 160); /* and what the sockets hold */
    peer_close(&p);
}

static void a_line_that_could_not_be_made_costs_the_connection(void **state)
{
    (void)state;
    struct peer p;
    struct buf line = BUF(20);
    peer_open(&p);
    message_execute(&line, 1, "pyspark", "1 + 1"); /* larger than it may be: no use in trying again */
    link_send(rig.session, &line);
    assert_true(link_is_connected(rig.session));
    buf_init(&line, MIB);
    mem_fail_at(1);
    message_shutdown(&line);
    mem_fail_at(0);
    link_send(rig.session, &line);
    assert_false(link_is_connected(rig.session));
    assert_string_equal(peer_hear(&p), "");
    peer_close(&p);
}

static void pings_keep_a_connection_and_silence_ends_it(void **state)
{
    (void)state;
    struct peer p;
    link_set_second(rig.link, 10);
    peer_open(&p);
    int n = 0;
    for (int pings = 0; pings < 6; pings++) { /* twice as long as silence may last */
        assert_int_equal(sscanf(peer_hear(&p), "{\"t\":\"ping\",\"n\":%d}", &n), 1);
        peer_say(&p, "{\"t\":\"pong\",\"n\":%d}", n);
    }
    assert_true(link_is_connected(rig.session));
    UNTIL(peer_is_cut_off(&p));
    assert_false(link_is_connected(rig.session));
    assert_string_equal(buf_cstr(&rig.told), "");
    peer_close(&p);
}

/* ---- endings ---- */

static void a_session_may_be_freed_in_every_callback(void **state)
{
    (void)state;
    struct peer p;
    rig.on_hello = FREE;
    peer_prove(&p, BOOT);
    assert_string_equal(peer_hear(&p), "");
    peer_close(&p);
    rig.on_hello = WELCOME;
    rig.on_message = FREE;
    rig.session = link_session_new(rig.link, SESSION, token, 0, &events, &rig);
    peer_open(&p);
    static const char two[] = "{\"t\":\"stuck\",\"id\":1,\"seq\":1}\n{\"t\":\"stuck\",\"id\":1,\"seq\":2}\n";
    assert_true(peer_send_bytes(&p, two, sizeof two - 1));
    assert_string_equal(peer_hear(&p), "");
    assert_told("stuck(1) ");
    peer_close(&p);
}

static void closing_the_link_cuts_everybody_off(void **state)
{
    (void)state;
    struct peer stranger;
    struct peer known;
    peer_connect(&stranger);
    peer_open(&known);
    link_close(rig.link);
    link_close(rig.link);
    rig.link = NULL; /* it goes with the session */
    assert_string_equal(peer_hear(&stranger), "");
    assert_string_equal(peer_hear(&known), "");
    assert_false(link_is_connected(rig.session));
    peer_close(&stranger);
    peer_close(&known);
}

/* A whole conversation; false when it is cut short. */
static bool converse(struct peer *p)
{
    static const char first[] = "{\"t\":\"context_failed\",\"error\":\"a\",\"seq\":1}\n";
    if (!peer_say_hello(p, SESSION, BOOT))
        return false;
    peer_say_auth(p, SESSION, token, 0);
    if (strncmp(peer_hear(p), "{\"t\":\"welcome\"", 14) != 0 || !peer_send_bytes(p, first, 20) ||
        !peer_send_bytes(p, first + 20, sizeof first - 21))
        return false;
    peer_say(p, "{\"t\":\"context_failed\",\"error\":\"b\",\"seq\":2}");
    while (strstr(buf_cstr(&rig.told), "(2)") == NULL)
        if (peer_is_cut_off(p))
            return false;
    link_ack(rig.session, 2);
    return strcmp(peer_hear(p), "{\"t\":\"ack\",\"n\":2}") == 0;
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

static void no_failing_allocation_leaks_or_loses_a_message(void **state)
{
    (void)state;
    unsigned cut_short = 0;
    assert_non_null(buf_reserve(&rig.told, 64 * 1024));
    link_set_second(rig.link, 100); /* how soon a connection is taken that there was no memory for */
    for (long n = 1; n < 30; n++) {
        link_session_free(rig.session);
        rig.session = link_session_new(rig.link, SESSION, token, 0, &events, &rig);
        buf_reset(&rig.told);
        long live = mem_live();
        int64_t deadline = clock_mono_ms() + PATIENCE_MS;
        for (bool is_first = true, done = false; !done; is_first = false) {
            struct peer p;
            peer_connect(&p);
            mem_fail_at(is_first ? n : 0);
            done = converse(&p);
            mem_fail_at(0);
            cut_short += !done;
            peer_close(&p);
            assert_true(clock_mono_ms() < deadline);
        }
        assert_int_equal(count(buf_cstr(&rig.told), "context_failed(1)"), 1);
        assert_int_equal(count(buf_cstr(&rig.told), "context_failed(2)"), 1);
        UNTIL(mem_live() == live); /* all connections are gone */
    }
    assert_true(cut_short >= 5);
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(the_address_is_in_the_file),
        IN_RIG(only_addresses_of_the_loopback_are_listened_on),
        IN_RIG(a_port_in_use_and_a_missing_folder_are_errors),
        IN_RIG(a_new_listener_replaces_the_address),
        IN_RIG(an_agent_with_the_token_is_welcomed),
        IN_RIG(the_welcome_may_come_later),
        IN_RIG(an_answer_to_a_peer_that_has_gone_is_harmless),
        IN_RIG(a_refused_peer_hears_why_and_leaves_the_other_alone),
        IN_RIG(wrong_proofs_and_unknown_sessions_are_answered_alike),
        IN_RIG(a_proof_is_good_for_one_connection_only),
        IN_RIG(what_is_no_handshake_is_cut_off),
        IN_RIG(nothing_is_taken_before_the_welcome),
        IN_RIG(a_long_first_line_is_cut_off),
        IN_RIG(a_handshake_that_takes_too_long_is_cut_off),
        IN_RIG(the_oldest_of_too_many_strangers_goes),
        IN_RIG(warnings_about_strangers_do_not_fill_the_log),
        IN_RIG(messages_are_told_once_and_in_order),
        IN_RIG(a_gap_and_nonsense_cut_the_connection),
        IN_RIG(what_is_stored_is_acknowledged_and_repeated_no_more),
        IN_RIG(what_could_not_be_kept_is_told_again),
        IN_RIG(a_restarted_server_goes_on_from_what_is_stored),
        IN_RIG(a_newer_connection_takes_the_place_of_the_older),
        IN_RIG(the_answer_goes_to_the_newest_that_waits),
        IN_RIG(lines_may_come_in_any_pieces),
        IN_RIG(large_lines_are_taken_and_their_memory_given_back),
        IN_RIG(a_line_beyond_the_limit_is_cut_off),
        IN_RIG(a_session_that_falls_behind_is_not_read_from),
        IN_RIG(lines_are_sent_in_order_to_the_welcomed),
        IN_RIG(large_lines_reach_a_slow_reader),
        IN_RIG(a_peer_that_does_not_read_is_cut_off),
        IN_RIG(a_line_that_could_not_be_made_costs_the_connection),
        IN_RIG(pings_keep_a_connection_and_silence_ends_it),
        IN_RIG(a_session_may_be_freed_in_every_callback),
        IN_RIG(closing_the_link_cuts_everybody_off),
        IN_RIG(no_failing_allocation_leaks_or_loses_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
