/* lib/tls_shown.h - which certificate a TLS server shows.
 *
 * What:    Connects, shakes hands and ends. Nothing of the certificate is believed but that the server has
 *          its key, which the handshake shows: whose it is, and until when, is what is asked. So a server
 *          with a certificate that is over, or of an authority that nobody knows, is answered for, too.
 * Owner:   plain values; a connection is the caller's.
 * Limits:  TLS 1.2 and 1.3, from the first byte on; a certificate of KT_TLS_CERT_MAX bytes.
 * Errors:  KT_IO: it was not reached, or the handshake did not come to its end; KT_INVALID: what is given is
 *          no place, or what is shown no certificate; KT_NO_MEMORY.
 * Threads: any thread; it blocks.
 * Source:  GnuTLS 3.7's manual, gnutls_certificate_get_peers(), gnutls_handshake_set_timeout(). */
#pragma once

#include "lib/tls_cert.h"
#include "lib/tls_place.h"

/* place: an address, as kt_tls_addresses() has them. name: what the server is asked for (SNI); NULL: nothing.
 * timeout_ms: for each of connecting and the handshake. */
enum kt_kind kt_tls_shown(const char *place, const char *name, unsigned timeout_ms, struct kt_tls_cert *ret,
                          struct kt_err *err) KT_MUST_CHECK;
/* The same on a connection that stands already and does not block; name NULL: none. place: for errors. */
enum kt_kind kt_tls_shown_on(int fd, const char *place, const char *name, unsigned timeout_ms,
                             struct kt_tls_cert *ret, struct kt_err *err) KT_MUST_CHECK;
