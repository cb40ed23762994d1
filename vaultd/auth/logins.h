/* vaultd/auth/logins.h - what logins keep in memory.
 *
 * Owner:   the core makes and ends it.
 * Threads: any thread; the fields are set at birth and stay. */
#pragma once

#include "vaultd/auth/hashing.h"
#include "vaultd/auth/lockout.h"

struct logins {
    struct lockout *passwords; /* names that passwords were guessed for */
    struct lockout *machines;  /* roles that secret ids were guessed for */
    struct hashing *hashing;
};

struct logins *logins_new(struct wait_clock *waits, const struct kt_clock *clock); /* NULL: no memory */
void logins_free(struct logins *logins); /* NULL is fine */
