/* vaultd/http/listener.h - the sockets through which requests come in, and their whole life.
 *
 * What:    TCP (plain or TLS) and Unix-socket listeners over libmicrohttpd, each its own daemon
 *          with epoll and a thread for each core, so that a full one never locks out another.
 *          Requests go to pipeline_run(); a request that must wait is suspended and no thread waits
 *          for it.
 * Owner:   http_server_new() gives one, http_server_free() ends it after http_server_stop().
 * Order:   new, listen (each socket; may need root for a low port), drop privileges, start,
 *          [reload], [drain], stop, free. No thread exists before start.
 * Threads: one thread at a time, but for http_server_counts(): any thread, and http_server_reload(): one thread,
 *          beside drain and stop.
 * Limits:  struct http_limits. They bind connections that never authenticated, unless said
 *          otherwise.
 * Source:  microhttpd.h 0.9.75 and its observed behaviour, noted where it matters. */
#pragma once

#include "vaultd/http/deadline.h"
#include "vaultd/http/forwarded.h"

struct core;

struct http_limits {
    unsigned max_connections;      /* of one TCP listener, all clients */
    unsigned max_unix_connections; /* of one Unix-socket listener */
    unsigned threads;              /* of one listener; 0: as many as cores */
    size_t header_bytes;           /* memory of a connection: its header, and its reply's */
    uint64_t max_request_bytes;    /* a body, all clients */
    uint64_t anonymous_body_bytes; /* bodies in flight of connections that never authenticated */
    uint64_t body_bytes;           /* bodies in flight, all clients */
    struct deadline_limits deadlines;
};
extern const struct http_limits http_default_limits;

struct http_listener_config {
    bool is_unix;
    const char *address; /* "127.0.0.1:8200", "[::1]:8200", ":8200"; port 0: any. Or the path */
    unsigned mode;       /* of the Unix socket */
    bool tls;
    const char *cert_file, *key_file;
    bool no_client_certs; /* TLS clients are not asked for one; else they are, and may have none */
    struct forwarded_rules forwarded; /* TCP */
};

struct http_server;
enum kt_kind http_server_new(const struct http_limits *limits, const struct kt_clock *clock,
                             struct http_server **ret, struct kt_err *err) KT_MUST_CHECK;
void http_server_free(struct http_server *server);
/* Binds. The strings are copied. */
enum kt_kind http_server_listen(struct http_server *server,
                                const struct http_listener_config *config,
                                struct kt_err *err) KT_MUST_CHECK;
/* The TCP port of the i-th listener, in the order of http_server_listen(); 0 for a Unix socket. */
unsigned http_server_port(const struct http_server *server, size_t i);
/* Reads the certificates and begins to serve. On error nothing serves. */
enum kt_kind http_server_start(struct http_server *server, struct core *core,
                               struct kt_err *err) KT_MUST_CHECK;
/* Reads every certificate anew. A pair that would not work is logged and the old one stays. */
void http_server_reload(struct http_server *server);
/* Accepts nothing new, ends idle connections, and waits at most wait_ms until no request is being
 * served but those that are suspended. Every answer from now on closes its connection. */
void http_server_drain(struct http_server *server, int64_t wait_ms);
/* Drains, waits at most wait_ms for the last answers to be taken, and ends all threads. Whatever
 * was suspended must have been woken (core_seal). False: some request still is, nothing was stopped
 * and nothing may be freed: the process has to end without cleaning up. */
bool http_server_stop(struct http_server *server, int64_t wait_ms) KT_MUST_CHECK;

struct http_counts {
    struct deadline_counts connections;
    unsigned active, suspended; /* requests */
    uint64_t body_bytes;        /* in flight */
};
void http_server_counts(struct http_server *server, struct http_counts *ret);
