/* agent/pipes.h - how a value is written so that another program reads that value again.
 *
 * What:    A row for each grammar that a template may name behind a '|'. What the grammar has no way to
 *          write is refused: a part of a password, or a line of somebody else's, is worse than no file.
 * Rules:   apply() appends to `out`, whose own limit and memory are out's to tell; false: refused, and
 *          `out` holds something that nobody may use. Values are never in a text.
 * Source:  PostgreSQL 15, fe-connect.c (passwordFromFile, parseServiceFile); MariaDB 10.11, my_default.c;
 *          RFC 8259, 4648, 3986; POSIX.1-2017, XCU 2.2.2.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"

struct pipe {
    const char *name;
    bool (*apply)(struct kt_bytes value, struct kt_buf *out);
    const char *takes; /* said where a value is refused */
};

#define PIPE_NAMES "json base64 base64Decode shellQuote urlquery pgService pgpass myCnf"

/* NULL: there is none of this name. */
const struct pipe *pipe_named(const char *name);
