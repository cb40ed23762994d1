/* vaultd/auth/lockout.h - who failed to log in too often has to wait, whatever he shows meanwhile.
 *
 * What:    Failures are counted per mount and name (those at the host's accounts per name alone), known or not, in memory: five within a quarter of an
 *          hour and the name is refused for the next quarter, as in Vault. A success forgets them. The
 *          name is the one that the login looks up: there is one notion of it.
 * Limits:  LOCKOUT_NAMES names; when more fail, the one is forgotten that has the least left to wait, one
 *          that is locked out last. Where a name stands nobody outside can foresee. A restart forgets
 *          all: who can restart vaultd has better ways.
 * Owner:   the core; one for each kind of login, so that a flood of one kind crowds out no other's names.
 * Threads: any thread. Times are monotonic milliseconds. */
#pragma once

#include "lib/bytes.h"
#include "vaultd/barrier/barrier.h"

#define LOCKOUT_FAILURES 5u
#define LOCKOUT_MS       900000
#define LOCKOUT_NAMES    16384u

struct lockout;
struct lockout *lockout_new(void); /* NULL: out of memory */
void lockout_free(struct lockout *lockout);

#define LOCKOUT_KEY 16u
void lockout_key(const struct lockout *lockout, const unsigned char scope[BARRIER_SCOPE],
                 struct kt_bytes name, unsigned char out[LOCKOUT_KEY]);
/* How many failures count against it; never more than LOCKOUT_FAILURES. */
unsigned lockout_count(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY], int64_t now_ms);
bool lockout_is_locked(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY], int64_t now_ms);
void lockout_failed(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY], int64_t now_ms);
void lockout_forget(struct lockout *lockout, const unsigned char key[LOCKOUT_KEY]);
