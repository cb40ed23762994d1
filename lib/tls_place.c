#include "lib/tls_place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/bytes.h"
#include "lib/net_route.h"
#include "lib/num.h"

static bool take_port(const char *text, struct kt_tls_place *ret)
{
    uint64_t port = 0;
    if (!kt_u64_parse(kt_str(text), 65535, &port) || port == 0)
        return false;
    ret->port = (uint16_t)port;
    return true;
}

/* An address of version 6 has its colons in brackets. */
enum kt_kind kt_tls_place_read(const char *text, struct kt_tls_place *ret, struct kt_err *err)
{
    bool six = text[0] == '[';
    const char *host = six ? text + 1 : text;
    const char *end = six ? strchr(host, ']') : strrchr(host, ':');
    if (end == NULL && !six)
        end = host + strlen(host);
    size_t len = end == NULL ? 0 : (size_t)(end - host);
    const char *rest = end == NULL ? "" : six ? end + 1 : end;
    bool good = len > 0 && len <= KT_TLS_HOST_MAX && (six || memchr(host, ':', len) == NULL);
    if (good) {
        memcpy(ret->host, host, len);
        ret->host[len] = '\0';
        good = rest[0] == '\0' ? take_port("443", ret) : rest[0] == ':' && take_port(rest + 1, ret);
    }
    if (good)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "'%.200s' is no place of a server", text);
    kt_hint(err, "web1.example.com:443, 192.0.2.7:8443, [2001:db8::7]:443");
    return KT_INVALID;
}

bool kt_tls_is_address(const char *host)
{
    unsigned char any[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

static bool stands(char (*places)[KT_TLS_ADDRESS_TEXT], size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(places[i], text) == 0)
            return true;
    return false;
}

static size_t take_addresses(const struct addrinfo *list, uint16_t port, bool routed, size_t most,
                             char (*ret)[KT_TLS_ADDRESS_TEXT])
{
    size_t n = 0;
    for (const struct addrinfo *at = list; at != NULL && n < most; at = at->ai_next) {
        char host[NI_MAXHOST], text[KT_TLS_ADDRESS_TEXT];
        bool six = at->ai_family == AF_INET6;
        if ((routed && !kt_has_route(at->ai_addr, at->ai_addrlen)) ||
            getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        int len = snprintf(text, sizeof text, "%s%s%s:%u", six ? "[" : "", host, six ? "]" : "", port);
        if (len > 0 && (size_t)len < sizeof text && !stands(ret, n, text))
            memcpy(ret[n++], text, sizeof text);
    }
    return n;
}

enum kt_kind kt_tls_addresses(const struct kt_tls_place *place, size_t most, char (*ret)[KT_TLS_ADDRESS_TEXT],
                              size_t *ret_count, struct kt_err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", place->port);
    int rc = getaddrinfo(place->host, port, &hints, &list);
    *ret_count = 0;
    errno = 0; /* the sentence has the reason */
    if (rc != 0)
        return kt_fail(err, KT_IO, "%s was not reached: %s", place->host, gai_strerror(rc));
    *ret_count = take_addresses(list, place->port, true, most, ret);
    if (*ret_count == 0) /* connecting says why */
        *ret_count = take_addresses(list, place->port, false, most, ret);
    freeaddrinfo(list);
    errno = 0;
    return *ret_count > 0 ? KT_OK : kt_fail(err, KT_IO, "%s was not reached: it has no address", place->host);
}
