/* lib/tls_place.h - where a TLS server is, as people write it.
 *
 * Owner:   plain values.
 * Errors:  KT_INVALID, with what a place looks like.
 * Threads: any. */
#pragma once

#include "lib/err.h"

#define KT_TLS_HOST_MAX 254u

struct kt_tls_place {
    char host[KT_TLS_HOST_MAX + 1]; /* an address of version 6 without its brackets */
    uint16_t port;
};
/* "host:port", "[address]:port", or without a port: 443. */
enum kt_kind kt_tls_place_read(const char *text, struct kt_tls_place *ret, struct kt_err *err) KT_MUST_CHECK;
/* The addresses that the place's host has now and this machine a route to (if to none: all), each as a place of its
 * own ("192.0.2.7:443"); of more than `most` the first. KT_IO: its name is not known. Blocks as long as the resolver does. */
#define KT_TLS_ADDRESS_TEXT 64u
enum kt_kind kt_tls_addresses(const struct kt_tls_place *place, size_t most, char (*ret)[KT_TLS_ADDRESS_TEXT],
                              size_t *ret_count, struct kt_err *err) KT_MUST_CHECK;
/* Is the host an address, as inet_pton() has them? */
bool kt_tls_is_address(const char *host);
