/* lib/net_route.h - whether this machine has a way to an address.
 *
 * What:    A name often has addresses of version 6 for others, where this machine has none: whoever asks each address
 *          of a name leaves those out. Nothing is sent. That there is a route says not that anybody is there.
 * Threads: any.
 * Source:  connect(2): a datagram socket is given its peer, for which the kernel looks for a route. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

bool kt_has_route(const struct sockaddr *address, socklen_t size);
