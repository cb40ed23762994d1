/* lib/http_address.h - where a server is: "https://host:port", "http://127.0.0.1:port",
 * "unix:///path". For lib/http_client.c.
 *
 * Owner:   a plain value.
 * Errors:  KT_INVALID with a hint that shows a right one.
 * Threads: any thread. */
#pragma once

#include "lib/err.h"
#include "lib/http_client.h"

struct kt_http_address {
    char text[KT_HTTP_ADDRESS_MAX + 1]; /* as given, without a trailing slash */
    char base[KT_HTTP_ADDRESS_MAX + 1]; /* "https://host:8200": a path is put behind it */
    char socket_path[128];              /* "" for TCP */
    char host[256];                     /* without brackets */
    unsigned port;
    bool tls;
};

enum kt_kind kt_http_address_parse(const char *text, struct kt_http_address *ret,
                                   struct kt_err *err) KT_MUST_CHECK;
/* Another name for the certificate: base then names it, and *connect_to ("::host:port" for
 * CURLOPT_CONNECT_TO) is where the connection goes. */
enum kt_kind kt_http_address_rename(struct kt_http_address *address, const char *server_name,
                                    char *connect_to, size_t connect_to_size,
                                    struct kt_err *err) KT_MUST_CHECK;
