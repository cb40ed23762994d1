/* lib/server_purpose.h - with libcurl on GnuTLS: the certificate at the other end is a server's.
 *
 * What:    libcurl checks the chain and the name, not what the certificate is for: one that a CA gave to a
 *          client with that name would do. kt_server_purpose_check() has a transfer given up where the
 *          extended key usage is there and lacks serverAuth, after the handshake and before anything of the
 *          request is sent; also where there is no TLS to be seen, so it is for transfers that have to
 *          have it. The transfer then ends with CURLE_ABORTED_BY_CALLBACK, which has no other cause
 *          where no other callback gives up.
 * Threads: one per handle, as libcurl's.
 * Source:  RFC 5280, section 4.2.1.12; libcurl 7.80, CURLOPT_PREREQFUNCTION, CURLINFO_TLS_SSL_PTR. */
#pragma once

#include <curl/curl.h>

#define KT_SERVER_PURPOSE_LACKS "is not a server's: its extended key usage lacks serverAuth"

CURLcode kt_server_purpose_check(CURL *easy);
