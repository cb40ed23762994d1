/* lib/driver/cert_dates.h - a server's certificate that is over, or not valid yet, in words with its date.
 *
 * What:    kt_cert_dates() looks at what the server showed in a handshake, also in one that failed.
 *          kt_cert_look() is for client libraries that say no more than that something is wrong: it connects once
 *          more, in TLS that believes nothing, sends no login, reads the dates, and hangs up.
 *          Nothing is decided by it: whether a server is believed the client library says.
 * Owner:   the caller's; nothing is left open.
 * Errors:  false: there is nothing to say, or it could not be found out; `ret` is "".
 * Threads: one.
 * Source:  RFC 5280, 4.1.2.5 (validity). */
#pragma once

#include "lib/driver/stream.h"

#define CERT_DATES_TEXT 280u

/* "the certificate of db.example expired at 2020-02-01T00:00:00Z: ...", with what to do. The CA's may stand behind
 * the server's: the first that is not valid now is named. */
bool kt_cert_dates(gnutls_session_t tls, const char *host, char ret[CERT_DATES_TEXT]);

/* What the protocol wants before TLS begins on the connection; false: it does not begin. */
typedef bool kt_cert_hello(struct kt_stream *s, int64_t deadline);

/* address: a numeric one, as in lib/driver/place.h. */
bool kt_cert_look(const struct driver_run *run, const char *address, kt_cert_hello *hello, char ret[CERT_DATES_TEXT]);
