/*
 * Who asks, and what that user may do.
 *
 * The filter runs before any route: authentication, then CSRF, then the list of allowed users. Without
 * authentication the user is NULL, who may do everything (hearth listens on loopback only, then).
 */
#include "door/door_internal.h"

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/work.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/random.h>
#include <uthash.h>

enum { USERS_FILE_MAX = 1 << 20, PROVEN_MAX = 1024 };

enum auth_type { AUTH_NONE, AUTH_SIMPLE, AUTH_BASIC };

struct proven { /* a password that was right once; hashing it the slow way each time would be too slow */
    UT_hash_handle hh;
    char *user;
    unsigned char digest[SHA256_DIGEST_LENGTH];
};

struct access {
    uv_loop_t *loop;
    const struct settings *settings;
    enum auth_type type;
    struct strmap users; /* user -> hash, of the users file */
    struct proven *proven;
    unsigned char salt[16];
};

/* ---- opening ---- */

static enum err_code read_users(struct access *a, const char *path, struct err *err)
{
    cleanup(buf_clear) struct buf text = BUF(USERS_FILE_MAX);
    if (io_read_file(path, &text, err) != ERR_OK)
        return err_wrap(err, "auth.users_file");
    char *rest = text.data;
    int number = 0;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        number++;
        line[strcspn(line, "\r")] = '\0'; /* as some editors end a line */
        char *colon = strchr(line, ':');
        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (colon == NULL || colon == line || colon[1] != '$')
            return err_set(
                err, ERR_INVALID,
                "%s line %d: expected user:hash with a hash of crypt(3), as `openssl passwd -6` makes it",
                path, number);
        *colon = '\0';
        if (strmap_set(&a->users, line, colon + 1) != 0)
            return err_set(err, ERR_NOMEM, "out of memory");
    }
    return a->users.n > 0 ? ERR_OK : err_set(err, ERR_INVALID, "%s names no user", path);
}

enum err_code access_new(uv_loop_t *loop, const struct settings *settings, struct access **ret,
                         struct err *err)
{
    struct access *a = mem_calloc(1, sizeof *a);
    if (a == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    a->loop = loop;
    a->settings = settings;
    enum err_code rc = ERR_OK;
    if (strcmp(settings->auth.type, "simple") == 0)
        a->type = AUTH_SIMPLE;
    if (strcmp(settings->auth.type, "basic") == 0) {
        a->type = AUTH_BASIC;
        rc = read_users(a, settings->auth.users_file, err);
    }
    /* Not OpenSSL's generator: it would be the only thing that makes libcrypto start up with the server. */
    if (rc == ERR_OK && getrandom(a->salt, sizeof a->salt, 0) != (ssize_t)sizeof a->salt)
        rc = err_sys(err, errno, "random numbers");
    if (rc != ERR_OK) {
        access_free(a);
        return rc;
    }
    *ret = a;
    return ERR_OK;
}

static void forget_proven(struct access *a)
{
    struct proven *p;
    struct proven *next;
    HASH_ITER(hh, a->proven, p, next)
    {
        HASH_DEL(a->proven, p);
        mem_free(p->user);
        mem_free(p);
    }
}

void access_free(struct access *a)
{
    if (a == NULL)
        return;
    forget_proven(a);
    strmap_clear(&a->users);
    mem_free(a);
}

/* ---- the filter ---- */

static void reply_text(struct http_request *r, int status, const char *text, const char *header,
                       const char *value)
{
    struct buf body = BUF(1024);
    buf_str(&body, text);
    struct http_answer *answer = http_answer_new(status, "text/html;charset=utf-8", &body);
    if (answer != NULL && header != NULL && !http_answer_header(answer, header, value)) {
        http_answer_unref(answer);
        answer = NULL;
    }
    http_reply(r, answer);
    buf_clear(&body);
}

static void challenge(struct http_request *r)
{
    reply_text(r, 401, "Authentication required", "WWW-Authenticate", "Basic realm=\"hearth\"");
}

static bool changes_something(const struct http_request *r)
{
    const char *method = http_method(r);
    return strcmp(method, "GET") != 0 && strcmp(method, "OPTIONS") != 0;
}

static bool in_list(const struct strlist *l, const char *user)
{
    return strlist_has(l, "*") || strlist_has(l, user);
}

static bool is_superuser(const struct access *a, const char *user)
{
    return user == NULL || strlist_has(&a->settings->auth.superusers, user);
}

static bool may_use(const struct access *a, const char *user)
{
    if (!a->settings->auth.access_control || user == NULL)
        return true;
    return in_list(&a->settings->auth.allowed_users, user) || in_list(&a->settings->auth.view_users, user) ||
           in_list(&a->settings->auth.modify_users, user) || is_superuser(a, user);
}

/* What comes after authentication; true: answered. */
static bool refuse(const struct access *a, struct http_request *r)
{
    if (a->settings->auth.csrf && changes_something(r) && http_header(r, "X-Requested-By") == NULL) {
        bool is_delete = strcmp(http_method(r), "DELETE") == 0;
        reply_text(r, 400, is_delete ? "" : "Missing Required Header for CSRF protection.", NULL, NULL);
        return true;
    }
    if (!may_use(a, http_user(r))) {
        reply_text(r, 403, "User not authorised to use Livy.", NULL, NULL);
        return true;
    }
    return false;
}

/* ---- HTTP Basic ---- */

struct login {
    struct access *access;
    struct http_request *request;
    char *user;
    char *password;
    char *hash;
    bool right;
};

static void login_free(struct login *login)
{
    if (login->password != NULL)
        OPENSSL_cleanse(login->password, strlen(login->password));
    mem_free(login->user);
    mem_free(login->password);
    mem_free(login->hash);
    mem_free(login);
}

static void digest_password(const struct access *a, const char *password,
                            unsigned char digest[SHA256_DIGEST_LENGTH])
{
    unsigned char text[sizeof a->salt + 1024];
    size_t n = strnlen(password, 1024);
    memcpy(text, a->salt, sizeof a->salt);
    memcpy(text + sizeof a->salt, password, n);
    (void)SHA256(text, sizeof a->salt + n, digest);
    OPENSSL_cleanse(text, sizeof text);
}

static bool is_proven(const struct access *a, const struct login *login)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    const struct proven *p = NULL;
    HASH_FIND_STR(a->proven, login->user, p);
    if (p == NULL)
        return false;
    digest_password(a, login->password, digest);
    return CRYPTO_memcmp(digest, p->digest, sizeof digest) == 0;
}

static void remember_proven(struct access *a, const struct login *login)
{
    struct proven *p = NULL;
    HASH_FIND_STR(a->proven, login->user, p);
    if (p == NULL) {
        if (HASH_COUNT(a->proven) >= PROVEN_MAX)
            forget_proven(a);
        p = mem_calloc(1, sizeof *p);
        if (p == NULL || (p->user = mem_strdup(login->user)) == NULL) {
            mem_free(p);
            return; /* it is hashed the slow way again */
        }
        HASH_ADD_KEYPTR(hh, a->proven, p->user, strlen(p->user), p);
    }
    digest_password(a, login->password, p->digest);
}

static void admit(struct login *login)
{
    struct http_request *r = login->request;
    const struct access *a = login->access;
    bool set = http_set_user(r, login->user);
    login_free(login);
    if (!set)
        http_reply(r, NULL);
    else if (!refuse(a, r))
        http_pass(r);
}

static void login_run(void *arg)
{
    struct login *login = arg;
    struct crypt_data *data = mem_calloc(1, sizeof *data); /* 32 KiB */
    const char *made = data != NULL ? crypt_r(login->password, login->hash, data) : NULL;
    login->right = made != NULL && strcmp(made, login->hash) == 0;
    mem_free(data);
}

static void login_done(void *arg)
{
    struct login *login = arg;
    if (login->right) {
        remember_proven(login->access, login);
        admit(login);
    } else {
        log_warn("wrong password", LOG_S("user", login->user));
        challenge(login->request);
        login_free(login);
    }
}

static void authenticate_basic(struct access *a, struct http_request *r)
{
    struct err err = {0};
    struct login *login = mem_calloc(1, sizeof *login);
    if (login == NULL) {
        http_reply(r, NULL);
        return;
    }
    login->access = a;
    login->request = r;
    if (!http_basic_auth(r, &login->user, &login->password)) {
        login_free(login);
        challenge(r);
        return;
    }
    if (is_proven(a, login)) {
        admit(login);
        return;
    }
    /* An unknown user costs the same time as a wrong password. */
    const char *hash = strmap_get(&a->users, login->user);
    login->hash = mem_strdup(hash != NULL ? hash : "$6$unknown$");
    if (login->hash == NULL || work_run(a->loop, login_run, login_done, login, &err) != ERR_OK) {
        login_free(login);
        http_reply(r, NULL);
    }
}

/* Probes of load balancers and service managers carry no credentials. */
static bool is_probe(const struct http_request *r)
{
    static const char *const probes[] = {"/healthz", "/readyz", "/health"};
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        if (strcmp(http_path(r), probes[i]) == 0)
            return true;
    return false;
}

bool door_filter(struct http_request *r, void *arg)
{
    const struct door *d = arg;
    struct access *a = d->access;
    if (a->type == AUTH_BASIC && !is_probe(r)) {
        authenticate_basic(a, r);
        return true;
    }
    if (a->type == AUTH_SIMPLE && !is_probe(r)) {
        const char *user = http_query(r, "user.name");
        if (user == NULL || user[0] == '\0') {
            reply_text(r, 401, "Authentication required: the query parameter user.name is missing",
                       "WWW-Authenticate", "PseudoAuth");
            return true;
        }
        if (!http_set_user(r, user)) {
            http_reply(r, NULL);
            return true;
        }
    }
    return !is_probe(r) && refuse(a, r);
}

/* ---- rights ---- */

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool owns(const char *user, const char *owner, const char *proxy_user)
{
    return same(user, owner) || same(user, proxy_user);
}

static bool may_view_all(const struct access *a, const char *user)
{
    return !a->settings->auth.access_control || is_superuser(a, user) ||
           in_list(&a->settings->auth.modify_users, user) || in_list(&a->settings->auth.view_users, user);
}

bool door_may_modify_owned(const struct door *d, const char *user, const char *owner, const char *proxy_user)
{
    const struct access *a = d->access;
    if (!a->settings->auth.access_control || is_superuser(a, user))
        return true;
    return owns(user, owner, proxy_user) || in_list(&a->settings->auth.modify_users, user);
}

bool door_may_view_owned(const struct door *d, const char *user, const char *owner, const char *proxy_user)
{
    return may_view_all(d->access, user) || owns(user, owner, proxy_user);
}

bool door_may_modify(const struct door *d, const char *user, const struct app_info *info)
{
    return door_may_modify_owned(d, user, info->owner, info->proxy_user);
}

bool door_may_view(const struct door *d, const char *user, const struct app_info *info)
{
    return door_may_view_owned(d, user, info->owner, info->proxy_user);
}

bool door_may_view_row(const struct door *d, const char *user, const struct store_app *row)
{
    return door_may_view_owned(d, user, row->owner, row->proxy_user);
}

static enum err_code check_may_act_for(const struct access *a, const char *user, const char *wanted,
                                       struct err *err)
{
    if (is_superuser(a, user) || same(user, wanted))
        return ERR_OK;
    return err_set(err, ERR_DENIED, "User '%.200s' not allowed to impersonate 'Some(%.200s)'.", user, wanted);
}

enum err_code door_effective_user(const struct door *d, struct http_request *r, const char **ret_user,
                                  struct err *err)
{
    const char *wanted = d->settings->auth.impersonation ? http_query(r, "doAs") : NULL;
    if (wanted == NULL || wanted[0] == '\0')
        wanted = http_user(r);
    else if (check_may_act_for(d->access, http_user(r), wanted, err) != ERR_OK)
        return err->code;
    *ret_user = wanted;
    return ERR_OK;
}

enum err_code door_proxy_user(const struct door *d, struct http_request *r, const char *asked,
                              const char **ret_user, struct err *err)
{
    *ret_user = NULL;
    if (!d->settings->auth.impersonation)
        return ERR_OK;
    const char *wanted = http_query(r, "doAs");
    if (wanted == NULL || wanted[0] == '\0')
        wanted = asked != NULL && asked[0] != '\0' ? asked : NULL;
    if (wanted != NULL && check_may_act_for(d->access, http_user(r), wanted, err) != ERR_OK)
        return err->code;
    *ret_user = wanted != NULL ? wanted : http_user(r);
    return ERR_OK;
}
