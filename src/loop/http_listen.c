/* Addresses to listen on. */
#include "loop/http_internal.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool http_is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

enum err_code http_parse_listen(const char *listen, char host[64], uint16_t *ret_port, struct err *err)
{
    const char *colon = strrchr(listen, ':');
    int64_t port = -1;
    if (colon == NULL || parse_i64(colon + 1, 0, 65535, &port, NULL) != ERR_OK)
        return err_set(err, ERR_INVALID, "'%.100s' is not address:port, as in 127.0.0.1:8998 or [::1]:8998",
                       listen);
    const char *start = listen;
    size_t n = (size_t)(colon - listen);
    if (n >= 2 && listen[0] == '[' && colon[-1] == ']') {
        start++;
        n -= 2;
    }
    char text[64];
    struct in6_addr address;
    if (n >= sizeof text)
        n = 0;
    memcpy(text, start, n);
    text[n] = '\0';
    if (strcmp(text, "localhost") == 0)
        (void)snprintf(text, sizeof text, "127.0.0.1");
    if (inet_pton(AF_INET, text, &address) != 1 && inet_pton(AF_INET6, text, &address) != 1)
        return err_set(err, ERR_INVALID,
                       "'%.100s' is not address:port: the address must be numeric, as in "
                       "127.0.0.1:8998, 0.0.0.0:8998 or [::1]:8998",
                       listen);
    memcpy(host, text, sizeof text);
    *ret_port = (uint16_t)port;
    return ERR_OK;
}

static socklen_t make_address(const char *host, uint16_t port, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    (void)inet_pton(AF_INET6, host, &v6->sin6_addr); /* checked by http_parse_listen */
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
}

enum err_code listen_open(const char *listen_text, char address[96], int *ret_fd, struct err *err)
{
    char host[64];
    uint16_t port = 0;
    if (http_parse_listen(listen_text, host, &port, err) != ERR_OK)
        return err->code;
    struct sockaddr_storage where;
    socklen_t size = make_address(host, port, &where);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, errno, "making a socket");
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a restart must not wait */
    if (bind(fd, (struct sockaddr *)&where, size) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&where, &size) != 0) {
        err_sys(err, errno, "listening on %s", listen_text);
        (void)close(fd);
        return err->code;
    }
    bool v6 = where.ss_family == AF_INET6;
    port = ntohs(v6 ? ((struct sockaddr_in6 *)&where)->sin6_port : ((struct sockaddr_in *)&where)->sin_port);
    (void)snprintf(address, 96, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", port);
    *ret_fd = fd;
    return ERR_OK;
}
