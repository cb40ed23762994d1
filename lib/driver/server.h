/* lib/driver/server.h - one of several servers that are one target, as people write it.
 *
 * What:    "db1", "db1:5432", "192.0.2.7:5432", "2001:db8::7", "[2001:db8::7]:5432", "/run/pg", "/run/pg:5433".
 *          The name is the same with the port, always written: what texts, records and answers call the server,
 *          and it reads back as itself. Two names that differ may still be one server.
 * Owner:   texts are in the arena.
 * Threads: plain values.
 * Limits:  a host of DRIVER_NAME_MAX - 1 bytes, without blanks, commas and control characters.
 * Errors:  KT_INVALID, without what was given; KT_NO_MEMORY. */
#pragma once

#include "lib/arena.h"
#include "lib/err.h"

#define DRIVER_SERVERS_MAX  8u
#define DRIVER_SERVERS_TEXT 1100u /* so many names with commas: a host, brackets, a port */

struct driver_server {
    const char *name, *host;
    uint32_t port;
    bool own_port; /* it was given with one */
};

/* default_port: where none is given; 1 to 65535. */
enum kt_kind kt_server_parse(struct kt_bytes text, uint32_t default_port, struct kt_arena *arena,
                             struct driver_server *ret, struct kt_err *err) KT_MUST_CHECK;
/* The same of a host and a port that are known to be right. NULL: no memory. */
const char *kt_server_name(const char *host, uint32_t port, struct kt_arena *arena);
