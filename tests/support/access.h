/* tests/support/access.h - what each row of each engine's table asks of who comes, said a second time.
 *
 * What:    The rows say it in flags, which are easily set or forgotten; here stands what is meant, and the build
 *          compares the two (main_access.c): a row without an entry, an entry without a row, or one that says
 *          otherwise fails it. unit/denied_routes_test then asks a vault whether it holds.
 * Add one: the build prints the line that is missing. Think before it is copied: is it who should come?
 * Threads: any. */
#pragma once

#include <stdio.h>

#include "vaultd/core/engine.h"

enum access {
    ACCESS_NONE,   /* no such operation */
    ACCESS_POLICY, /* a policy that grants the capability */
    ACCESS_SUDO,   /* and sudo */
    ACCESS_TOKEN,  /* any valid token */
    ACCESS_MAYBE,  /* any valid token, or none at all */
    ACCESS_WRAPPING, /* a wrapping token, and a policy; a false one is refused before it matters who asks */
    ACCESS_OPEN,  /* anybody; who shows a token is known by it */
    ACCESS_PUBLIC /* anybody; a token is not looked at */
};

struct access_entry {
    const char *type, *version, *pattern; /* the engine's and the row's */
    enum access read, list, write, patch, delete_;
};
extern const struct access_entry access_entries[];
extern const size_t n_access_entries;

/* NULL: the row has no entry. */
const struct access_entry *access_entry_of(const struct engine *engine, const struct route *route);
/* By an HTTP method's name; HEAD is only for what is public. */
enum access access_of(const struct access_entry *entry, const char *method);
/* Compares entries and rows; what is wrong to out, a line each. Returns how many lines. */
size_t access_compare(FILE *out);
