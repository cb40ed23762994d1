/* vaultd/audit/record_auth.h - whose token it was, and what the policies ruled, in a record.
 *
 * What:    "auth", and the token's members of "request". They are the same for all records of a token, so
 *          each thread keeps them for its last ones.
 * Owner:   what is kept is the thread's (hasher.h).
 * Threads: any thread. */
#pragma once

#include "vaultd/audit/pen.h"

/* As the thread keeps it; NULL, also for no token: it is written anew each time. */
const struct audit_who *record_who(struct audit_hasher *hasher, const struct audit_auth *auth);
/* who: what record_who() gave for the event's token. */
void record_auth(struct pen *pen, const struct audit_event *event, const struct audit_who *who);
void record_owner(struct pen *pen, const struct audit_auth *auth, const struct audit_who *who);
