#include "lib/net_route.h"

#include "lib/cleanup.h"

bool kt_has_route(const struct sockaddr *address, socklen_t size)
{
    kt_autoclose int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, address, size) == 0;
}
