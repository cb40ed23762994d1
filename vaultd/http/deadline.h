/* vaultd/http/deadline.h - the connections that are open, and how long each may take.
 *
 * What:    libmicrohttpd's own time-outs only see inactivity, so a byte a second lives for ever.
 *          Here every connection stands in a table with the phase it is in and when that began;
 *          one thread looks through it and shuts down what is past its deadline. libmicrohttpd
 *          then notices the end of the socket and drops the connection. It also holds one address
 *          to a number of connections that never authenticated: a burst is let in, the oldest of
 *          them that are not being served are shut down after a grace. Connections that
 *          authenticated are bounded only by the listeners' limit.
 * Owner:   deadlines_new() starts the thread, deadlines_free() ends it; the table must be empty.
 *          conn_add() gives a connection, conn_remove() ends it; in between its descriptor is
 *          open, so a shutdown never hits a stranger's.
 * Threads: conn_phase(), conn_body(): the connection's thread. The rest: any thread.
 * Cost:    a phase is two plain stores; the clock is read by the table's thread alone. */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/err.h"

enum conn_phase {
    CONN_HEADER, /* from accept, or from the request line, until the header is whole */
    CONN_BODY,
    CONN_BUSY, /* being served or suspended: whoever serves it has its own deadline */
    CONN_REPLY,
    CONN_IDLE /* kept alive, nothing asked */
};

struct deadline_limits {
    int64_t header_ms; /* TLS handshake and header together */
    int64_t body_ms;
    int64_t body_grace_ms; /* after this long a body must keep up body_rate */
    uint64_t body_rate;    /* bytes a second */
    int64_t reply_ms;
    int64_t idle_ms;
    unsigned per_address; /* connections of one address that never authenticated; 0: no limit */
    int64_t address_grace_ms;
};

struct address_count;
#define CONN_MAGIC 0x636f6e31u
struct conn {
    uint32_t magic;
    int fd;
    void *owner; /* the listener */
    struct deadlines *table;
    atomic_int phase;
    _Atomic int64_t since_ms;
    _Atomic uint64_t body_bytes; /* of the request at hand */
    /* guarded by the table's lock */
    struct conn *prev, *next;
    struct address_count *count; /* NULL: authenticated, or no address */
    bool shut;
    /* set once */
    _Atomic bool authenticated;
    char address[64]; /* text; "unix" for the Unix socket */
    uint16_t port;
    uint32_t peer_uid;
    struct peer_groups *peer_groups; /* malloc'd, may be NULL; conn_remove() frees it */
};

struct deadlines;
enum kt_kind deadlines_new(const struct deadline_limits *limits, const struct kt_clock *clock,
                           struct deadlines **ret, struct kt_err *err) KT_MUST_CHECK;
void deadlines_free(struct deadlines *table);

/* False: the address has so many unauthenticated connections that even a burst is over. */
bool deadlines_admit(struct deadlines *table, const struct sockaddr *peer);
/* NULL: out of memory. peer may be NULL. */
struct conn *conn_add(struct deadlines *table, int fd, const struct sockaddr *peer, void *owner);
void conn_remove(struct conn *conn);
void conn_phase(struct conn *conn, enum conn_phase phase);
/* The request's body grew to this many bytes. */
void conn_body(struct conn *conn, uint64_t bytes);
/* The connection's client proved who it is; the limit per address no longer counts it. */
void conn_authenticated(struct conn *conn);

/* It is a proxy's, who stands for many: the limit per address does not count it. */
void conn_uncounted(struct conn *conn);

/* Shuts down the connections on which nothing is being asked; at the end of the process. */
void deadlines_shut_idle(struct deadlines *table);
struct deadline_counts {
    unsigned open, unauthenticated;
    uint64_t late, over_address; /* shut down since the start, by reason */
};
void deadlines_counts(struct deadlines *table, struct deadline_counts *ret);
