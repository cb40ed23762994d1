#include "vaultd/http/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/num.h"

#define BACKLOG 4096

enum kt_kind socket_address_parse(const char *text, struct socket_address *ret, struct kt_err *err)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL || strlen(colon + 1) >= sizeof ret->port ||
        !kt_u64_parse(kt_str(colon + 1), 65535, &port)) {
        enum kt_kind kind = kt_fail(err, KT_INVALID, "'%.100s' is not HOST:PORT", text);
        kt_hint(err, "write it as 127.0.0.1:8200, [::1]:8200 or :8200");
        return kind;
    }
    const char *host = text;
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    if (bracketed) {
        host++;
        len -= 2;
    }
    if (len >= sizeof ret->host || memchr(host, '[', len) != NULL ||
        (!bracketed && memchr(host, ':', len) != NULL)) {
        enum kt_kind kind = kt_fail(err, KT_INVALID, "'%.100s' is not HOST:PORT", text);
        kt_hint(err, "an IPv6 address stands in brackets: [::1]:8200");
        return kind;
    }
    memcpy(ret->host, host, len);
    ret->host[len] = '\0';
    (void)snprintf(ret->port, sizeof ret->port, "%u", (unsigned)port);
    return KT_OK;
}

bool socket_address_is_loopback(const struct socket_address *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(address->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, address->host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, address->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static void set(int fd, int level, int option, int value)
{
    /* What cannot be set is a comfort that is missing, never a reason not to serve. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static enum kt_kind bind_fail(const char *address, struct kt_err *err)
{
    int error = errno;
    enum kt_kind kind = kt_fail(err, KT_IO, "cannot listen on %s", address);
    if (error == EADDRINUSE)
        kt_hint(err, "another program has this port (ss -ltnp shows which): stop it, or change "
                     "listener \"tcp\" { address }");
    else if (error == EACCES)
        kt_hint(err, "ports below 1024 need root or AmbientCapabilities=CAP_NET_BIND_SERVICE");
    else if (error == EADDRNOTAVAIL)
        kt_hint(err, "this machine does not have that address (ip addr shows those it has)");
    return kind;
}

static enum kt_kind bind_one(const struct addrinfo *info, const char *address, int *ret_fd,
                             unsigned *ret_port, struct kt_err *err)
{
    kt_autoclose int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot make a socket for %s", address);
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (info->ai_family == AF_INET6)
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    /* Connections inherit these. */
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 90000);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        return bind_fail(address, err);
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
        return kt_fail(err, KT_IO, "cannot read the port of %s", address);
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &bound, sizeof v4);
    memcpy(&v6, &bound, sizeof v6);
    *ret_port = ntohs(bound.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
    *ret_fd = KT_TAKE_FD(fd);
    return KT_OK;
}

enum kt_kind socket_listen_tcp(const char *address, int *ret_fd, unsigned *ret_port,
                               struct kt_err *err)
{
    struct socket_address parts = {0};
    enum kt_kind kind = socket_address_parse(address, &parts, err);
    if (kind != KT_OK)
        return kind;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    int code = getaddrinfo(parts.host[0] == '\0' ? NULL : parts.host, parts.port, &hints, &info);
    if (code != 0 || info == NULL) {
        kind = kt_fail(err, KT_INVALID, "cannot find the address of '%s': %s", parts.host,
                       gai_strerror(code));
        kt_hint(err, "write an address of this machine, such as 127.0.0.1:8200");
        return kind;
    }
    /* Without a host the IPv6 wildcard serves both families; where there is no IPv6, the other. */
    const struct addrinfo *pick = info;
    for (const struct addrinfo *at = info; parts.host[0] == '\0' && at != NULL; at = at->ai_next)
        if (at->ai_family == AF_INET6)
            pick = at;
    kind = bind_one(pick, address, ret_fd, ret_port, err);
    if (kind != KT_OK && parts.host[0] == '\0' && pick != info)
        kind = bind_one(info, address, ret_fd, ret_port, err);
    freeaddrinfo(info);
    return kind;
}

/* Removes a socket that its process left behind. */
static enum kt_kind clear_path(const struct sockaddr_un *name, struct kt_err *err)
{
    struct stat st;
    if (lstat(name->sun_path, &st) != 0)
        return errno == ENOENT ? KT_OK : kt_fail(err, KT_IO, "cannot look at '%s'", name->sun_path);
    if (!S_ISSOCK(st.st_mode)) {
        enum kt_kind kind =
            kt_fail(err, KT_INVALID, "'%s' exists and is not a socket", name->sun_path);
        kt_hint(err, "choose another path in listener \"unix\", or move that file away");
        return kind;
    }
    kt_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot make a socket");
    if (connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 || errno == EAGAIN) {
        enum kt_kind kind =
            kt_fail(err, KT_INVALID, "another program already serves '%s'", name->sun_path);
        kt_hint(err, "stop it, or choose another path in listener \"unix\"");
        return kind;
    }
    if (errno != ECONNREFUSED)
        return kt_fail(err, KT_IO, "cannot tell whether '%s' is in use", name->sun_path);
    if (unlink(name->sun_path) != 0)
        return kt_fail(err, KT_IO, "cannot remove the old socket '%s'", name->sun_path);
    return KT_OK;
}

enum kt_kind socket_listen_unix(const char *path, unsigned mode, int *ret_fd, struct kt_err *err)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (path[0] != '/' || strlen(path) >= sizeof name.sun_path) {
        enum kt_kind kind = kt_fail(err, KT_INVALID, "'%.120s' cannot be a Unix socket", path);
        kt_hint(err,
                "give an absolute path shorter than %zu bytes, such as /run/vaultd/vaultd.sock",
                sizeof name.sun_path);
        return kind;
    }
    memcpy(name.sun_path, path, strlen(path) + 1);
    enum kt_kind kind = clear_path(&name, err);
    if (kind != KT_OK)
        return kind;
    kt_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot make a socket");
    mode_t old = umask(0177); /* nobody connects between bind and chmod */
    int bound = bind(fd, (const struct sockaddr *)&name, sizeof name);
    (void)umask(old);
    if (bound != 0) {
        kind = kt_fail(err, KT_IO, "cannot make the socket '%s'", path);
        kt_hint(err, "its folder must exist and vaultd's user must be able to write there");
        return kind;
    }
    if (chmod(path, mode) != 0 || listen(fd, BACKLOG) != 0) {
        kind = kt_fail(err, KT_IO, "cannot listen on '%s'", path);
        (void)unlink(path);
        return kind;
    }
    *ret_fd = KT_TAKE_FD(fd);
    return KT_OK;
}
