#include "lib/may_connect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static bool may_connect_4(uint32_t address)
{
    unsigned first = address >> 24;
    return first != 0 && first < 224 && (address >> 16) != 0xa9fe;
}

bool kt_may_connect(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return may_connect_4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 in;
    memcpy(&in, address, sizeof in);
    const struct in6_addr *at = &in.sin6_addr;
    static const unsigned char translated[12] = {0, 0x64, 0xff, 0x9b}; /* RFC 6052 */
    static const unsigned char aws[16] = {0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54};
    if (IN6_IS_ADDR_V4MAPPED(at) || memcmp(at->s6_addr, translated, sizeof translated) == 0) {
        uint32_t inner = 0;
        memcpy(&inner, at->s6_addr + 12, sizeof inner);
        return may_connect_4(ntohl(inner));
    }
    return !IN6_IS_ADDR_UNSPECIFIED(at) && !IN6_IS_ADDR_LINKLOCAL(at) && !IN6_IS_ADDR_MULTICAST(at) &&
           memcmp(at->s6_addr, aws, sizeof aws) != 0;
}
