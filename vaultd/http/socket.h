/* vaultd/http/socket.h - sockets that listen: addresses as people write them, errors that say what
 * to do. The descriptors are non-blocking and close on exec; their TCP connections notice a peer
 * that vanished (keep-alive 60 s, then 3 probes 10 s apart).
 * Threads: any thread. Resolving a name may block. */
#pragma once

#include "lib/err.h"

/* "HOST:PORT", "[V6]:PORT", ":PORT" (every address). Parts are NUL-terminated. */
struct socket_address {
    char host[256]; /* "": every address */
    char port[6];
};
enum kt_kind socket_address_parse(const char *text, struct socket_address *ret,
                                  struct kt_err *err) KT_MUST_CHECK;
/* The host is one of this machine's loopback addresses, or a name for them ("localhost"). */
bool socket_address_is_loopback(const struct socket_address *address);
enum kt_kind socket_listen_tcp(const char *address, int *ret_fd, unsigned *ret_port,
                               struct kt_err *err) KT_MUST_CHECK;
/* A socket that nobody serves any more is replaced; anything else at the path is refused. */
enum kt_kind socket_listen_unix(const char *path, unsigned mode, int *ret_fd,
                                struct kt_err *err) KT_MUST_CHECK;
