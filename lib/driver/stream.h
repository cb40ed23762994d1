/* lib/driver/stream.h - bytes to and from a target, with a deadline on everything, TLS or not.
 *
 * What:    For protocols that a driver speaks itself. kt_stream_find() checks the target's sslmode,
 *          looks the host up and reads the trusted certificates, before the worker is in its
 *          sandbox; kt_stream_open() connects in it. One step keeps to one address.
 * Owner:   kt_stream_open() begins a stream, kt_stream_close() ends it, also after a failure and
 *          twice. A place lives as long as the process.
 *          A stream stays where it was opened.
 * Limits:  TLS 1.2 and 1.3. verify-full: chain, purpose (a server's) and name; verify-ca: chain and
 *          purpose; require: none of them.
 * Errors:  false, and `code` is "connect", "timeout", "tls" or "closed", `detail` a sentence or "".
 *          After any failure the stream is of no use any more.
 * Threads: one.
 * Source:  GnuTLS 3.7's manual, "Asynchronous operation", gnutls_session_set_verify_cert2(). */
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sys/socket.h>

#include "lib/driver/table.h"

#define STREAM_ADDRESSES_MAX 4u

struct kt_stream_place {
    struct kt_stream_address {
        struct sockaddr_storage at;
        socklen_t size;
    } addresses[STREAM_ADDRESSES_MAX];
    size_t n_addresses, chosen; /* chosen == n_addresses: not yet */
    const char *host;
    bool tls, check_chain, check_name;
    bool later; /* set by the driver: TLS begins when it says so, not with the connection */
    gnutls_certificate_credentials_t trust; /* NULL without TLS */
};

struct kt_stream {
    bool is_open;
    int fd;
    gnutls_session_t tls; /* NULL: without */
    gnutls_typed_vdata_st verify[2]; /* what is asked of the certificate; GnuTLS keeps the pointer */
    char code[9];
    char detail[400];
};

/* Of a host, before the sandbox: as many as there is room for; 0: *ret_error is getaddrinfo()'s, or 0. */
size_t kt_stream_addresses(const char *host, uint32_t port, struct kt_stream_address ret[STREAM_ADDRESSES_MAX],
                           int *ret_error);
/* False: *ret says why. */
bool kt_stream_find(struct driver_run *run, struct kt_stream_place *place,
                    struct driver_result *ret);
/* For a protocol that protects itself: no TLS, whatever sslmode says; a host, no socket. */
bool kt_stream_find_bare(const struct driver_run *run, struct kt_stream_place *place,
                         struct driver_result *ret);
/* Deadlines are kt_ipc_deadline()'s. */
bool kt_stream_open(struct kt_stream_place *place, int64_t deadline, struct kt_stream *s);
/* Where TLS begins later: now. What was received before is the caller's to throw away. */
bool kt_stream_secure(const struct kt_stream_place *place, int64_t deadline, struct kt_stream *s);
void kt_stream_close(struct kt_stream *s);
/* All of it. */
bool kt_stream_send(struct kt_stream *s, struct kt_bytes bytes, int64_t deadline);
/* At least one byte; the other end's end is "closed". */
bool kt_stream_receive(struct kt_stream *s, unsigned char *at, size_t room, size_t *ret_len,
                       int64_t deadline);
