/* vaultd/http/server.h - what the files of this folder share; for them alone. */
#pragma once

#include <microhttpd.h>

#include "lib/tally.h"
#include "vaultd/http/certificate.h"
#include "vaultd/http/listener.h"

#define HTTP_LISTENERS_MAX 16u
/* Longest time a handshake may still use a certificate that was replaced. */
#define CERTIFICATE_LINGER_MS 60000

struct retired_certificate {
    struct retired_certificate *next;
    struct certificate *certificate;
    int64_t since_ms;
};

struct listener {
    struct http_server *server;
    struct http_listener_config config; /* its strings are this struct's */
    int fd;                             /* listens; libmicrohttpd closes it when the daemon stops */
    int quiet[2]; /* what takes the place of fd when accepting ends; -1 before */
    unsigned port;
    struct MHD_Daemon *daemon;
    _Atomic(struct certificate *) certificate;
    struct retired_certificate *retired;
    atomic_bool serving;
    atomic_ulong complaints; /* of libmicrohttpd's */
};

struct http_server {
    struct http_limits limits;
    const struct kt_clock *clock;
    struct core *core;
    struct deadlines *deadlines;
    struct listener *listeners[HTTP_LISTENERS_MAX];
    size_t n_listeners;
    atomic_bool draining;
    atomic_uint suspended; /* requests */
    _Atomic uint64_t body_bytes, anonymous_body_bytes;
    struct kt_tally active; /* requests; last, for every request of every thread changes it */
};
